//! How a table is sorted, told by two fields of its address: `sort`, a column, and `order`, `asc` or `desc`. Both are left out where they
//! say what holds without them, so that each order has one address. Pure.

use super::forms::Fields;

/// A column that a table can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// As addresses name it.
    pub name: &'static str,
    /// Whether its largest comes first where nothing else is asked for.
    pub descends_first: bool,
}

impl Column {
    /// One that begins with the smallest.
    pub const fn ascending(name: &'static str) -> Self {
        Self { name, descends_first: false }
    }

    /// One that begins with the largest.
    pub const fn descending(name: &'static str) -> Self {
        Self { name, descends_first: true }
    }
}

/// How a table is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sorting {
    columns: &'static [Column],
    column: Column,
    /// Whether the largest comes first.
    pub descends: bool,
}

/// The head of a column: a link that sorts by it, or the other way round where it is what the table is sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// What the column is called.
    pub word: &'static str,
    /// Where the link leads, without the base.
    pub address: String,
    /// `ascending`, `descending` or `none` (WAI-ARIA, aria-sort).
    pub aria: &'static str,
}

impl Sorting {
    /// What a query asks for; where it names no column, the first one, as it begins.
    pub fn of(query: &Fields, columns: &'static [Column]) -> Self {
        const NAMELESS: Column = Column::ascending("");
        let first = columns.first().copied().unwrap_or(NAMELESS);
        let wanted = query.text("sort");
        let column = columns.iter().find(|column| column.name == wanted).copied().unwrap_or(first);
        let descends = match query.text("order") {
            "asc" => false,
            "desc" => true,
            _ => column.descends_first,
        };
        Self { columns, column, descends }
    }

    /// The column that it is sorted by.
    pub fn by(self) -> &'static str {
        self.column.name
    }

    /// Whether it is what holds where nothing is asked for.
    pub fn is_plain(self) -> bool {
        self.fields().iter().all(|(_, value)| value.is_empty())
    }

    /// Its fields in an address; empty ones are left out there.
    pub fn fields(self) -> [(&'static str, &'static str); 2] {
        let is_first = self.columns.first() == Some(&self.column);
        let order = match self.descends {
            descends if descends == self.column.descends_first => "",
            true => "desc",
            false => "asc",
        };
        [("sort", if is_first { "" } else { self.column.name }), ("order", order)]
    }

    /// The head of a column. `address`: of the table with these fields.
    pub fn head(
        self,
        name: &'static str,
        word: &'static str,
        address: impl Fn([(&'static str, &'static str); 2]) -> String,
    ) -> Head {
        let is_this = self.column.name == name;
        let column = self.columns.iter().find(|column| column.name == name).copied().unwrap_or(self.column);
        let descends = if is_this { !self.descends } else { column.descends_first };
        let aria = match (is_this, self.descends) {
            (false, _) => "none",
            (true, true) => "descending",
            (true, false) => "ascending",
        };
        Head { word, address: address(Self { column, descends, ..self }.fields()), aria }
    }

    /// Sorts by a key that ascends. What is equal stays as it was, whichever way.
    pub fn apply<T, K: Ord>(self, rows: &mut [T], key: impl Fn(&T) -> K) {
        rows.sort_by(|a, b| if self.descends { key(b).cmp(&key(a)) } else { key(a).cmp(&key(b)) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[Column::ascending("name"), Column::descending("size")];

    fn of(query: &str) -> Sorting {
        Sorting::of(&Fields::parse(query).unwrap(), COLUMNS)
    }

    #[test]
    fn each_order_has_one_address() {
        for (query, by, descends, fields) in [
            ("", "name", false, ["", ""]),
            ("sort=name&order=asc", "name", false, ["", ""]),
            ("order=desc", "name", true, ["", "desc"]),
            ("sort=size", "size", true, ["size", ""]),
            ("sort=size&order=asc", "size", false, ["size", "asc"]),
            ("sort=other&order=up", "name", false, ["", ""]),
        ] {
            let sorting = of(query);
            assert_eq!((sorting.by(), sorting.descends), (by, descends), "{query}");
            assert_eq!(sorting.fields().map(|(_, value)| value), fields, "{query}");
            assert_eq!(sorting.is_plain(), fields == ["", ""], "{query}");
        }
    }

    #[test]
    fn a_head_leads_to_the_other_order() {
        let told =
            |sorting: Sorting, name| sorting.head(name, "Word", |[(_, sort), (_, order)]| format!("{sort}.{order}"));
        assert_eq!(told(of(""), "name"), Head { word: "Word", address: ".desc".to_owned(), aria: "ascending" });
        assert_eq!(told(of(""), "size"), Head { word: "Word", address: "size.".to_owned(), aria: "none" });
        assert_eq!(told(of("sort=size"), "size").address, "size.asc");
        assert_eq!(told(of("sort=size"), "size").aria, "descending");
        assert_eq!(told(of("sort=size"), "name").address, ".");
    }

    #[test]
    fn equal_rows_keep_their_order() {
        let mut rows = [("a", 1), ("b", 2), ("c", 1)];
        of("sort=size").apply(&mut rows, |row| row.1);
        assert_eq!(rows.map(|row| row.0), ["b", "a", "c"]);
        of("sort=size&order=asc").apply(&mut rows, |row| row.1);
        assert_eq!(rows.map(|row| row.0), ["a", "c", "b"]);
    }
}
