//! Fields of queries and of forms (`application/x-www-form-urlencoded`).

use std::borrow::Cow;

use super::failure::Failure;

/// Most fields of one form.
const FIELDS_MAX: usize = 2_000;

/// Names and values in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads them. Bytes that are no UTF-8 become replacement characters, so that they name nothing that is there. Errs: there are
    /// too many.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut fields = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if fields.len() >= FIELDS_MAX {
                return Err(Failure::TooLarge);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            fields.push((decode(name), decode(value)));
        }
        Ok(Self(fields))
    }

    /// The first value of a name, as it was typed.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The same without spaces around it; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.raw(name).unwrap_or_default().trim()
    }

    /// The same, unless it is empty.
    pub fn filled(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// All values of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Whether a box is ticked.
    pub fn is_on(&self, name: &str) -> bool {
        self.raw(name).is_some_and(|value| !matches!(value, "" | "0" | "off" | "false"))
    }

    /// A whole number; none where the field is empty. Errs: it is something else.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        let Some(text) = self.filled(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Failure::input(format!("{name}: “{text}” is no whole number.")))
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn decode(part: &str) -> String {
    let spaced: Cow<'_, str> = if part.contains('+') { part.replace('+', " ").into() } else { part.into() };
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let fields = Fields::parse("a=1&a=+2%262+&b&c=%FF&d=on&e=off").unwrap();
        assert_eq!(fields.raw("a"), Some("1"));
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["1", " 2&2 "]);
        assert_eq!(fields.filled("b"), None);
        assert_eq!(fields.raw("c"), Some("\u{fffd}"));
        assert!(fields.is_on("d") && !fields.is_on("e") && !fields.is_on("f"));
        assert_eq!(fields.number("a").unwrap(), Some(1));
        assert!(fields.number("c").is_err());
        assert!(Fields::parse(&"a&".repeat(FIELDS_MAX + 1)).is_err());
    }
}
