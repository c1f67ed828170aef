//! Reading metrics (Prometheus, "Text-based format"). Pure.

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// The metric's name.
    pub name: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: f64,
}

impl Sample {
    /// The value of a label.
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }
}

/// All samples of a text. Lines that are none are left out.
pub(super) fn parse(text: &str) -> Vec<Sample> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at_checked(end)?;
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// Labels up to the brace that ends them, and what is behind it.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((labels, behind));
        }
        let (name, behind) = rest.split_once("=\"")?;
        let (value, behind) = quoted(behind)?;
        labels.push((name.to_owned(), value));
        rest = behind;
    }
}

/// A text up to its closing quotation mark, and what is behind that.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn samples_are_read_and_the_rest_is_left_out() {
        let text = "# HELP a b\na 1\nb{x=\"y\",z=\"a\\\"b\\\\c\\nd} \"} 2.5 1700000000\nc{le=\"+Inf\"} 1e3\nbroken\nd{ 1\ne x\n\n";
        let found = parse(text);
        assert_eq!(
            found.iter().map(|s| (s.name.as_str(), s.value)).collect::<Vec<_>>(),
            [("a", 1.0), ("b", 2.5), ("c", 1000.0)]
        );
        assert_eq!((found[1].label("x"), found[1].label("z"), found[1].label("none")), ("y", "a\"b\\c\nd} ", ""));
        assert_eq!(found[2].label("le"), "+Inf");
    }

    proptest! {
        #[test]
        fn any_text_is_read_somehow(text in "[a-z{}=\", \\\\0-9\n]{0,60}") {
            let _samples = parse(&text);
        }
    }
}
