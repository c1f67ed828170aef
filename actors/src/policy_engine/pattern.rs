//! Patterns of policies: `*`, `?` and policy variables (IAM User Guide, "IAM policy elements: Variables and tags").
//!
//! A variable's value is text, never a pattern: a user named `*` matches only itself. Matching takes time proportional
//! to pattern times text, never more.

/// Longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 2048;

/// One step of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Char(char),
    /// `?`: any one character.
    One,
    /// `*`: any run of characters, also none.
    Run,
    Variable {
        name: String,
        default: Option<String>,
    },
}

/// What in a pattern has a meaning beyond itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syntax {
    /// `*` and `?`.
    pub wildcards: bool,
    /// `${…}`.
    pub variables: bool,
}

impl Syntax {
    /// Wildcards only.
    pub const WILDCARDS: Self = Self { wildcards: true, variables: false };
}

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    pieces: Vec<Piece>,
    has_variables: bool,
}

/// Gives a variable's value, if the request has it.
pub type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A lookup for patterns without variables.
pub fn no_variables(_: &str) -> Option<String> {
    None
}

impl Pattern {
    /// Parses `text`. Errs with the reason.
    pub fn parse(text: &str, syntax: Syntax) -> Result<Self, String> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!("longer than {PATTERN_BYTES_MAX} bytes"));
        }
        let mut pieces = Vec::with_capacity(text.len());
        let mut has_variables = false;
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(inner) = rest.strip_prefix("${").filter(|_| syntax.variables) {
                let (body, after) = inner.split_once('}').ok_or("a variable `${…}` without its closing brace")?;
                let piece = variable(body)?;
                has_variables |= matches!(piece, Piece::Variable { .. });
                pieces.push(piece);
                rest = after;
                continue;
            }
            pieces.push(match c {
                // Runs of stars mean one star; collapsing them keeps matching fast.
                '*' if syntax.wildcards && pieces.last() == Some(&Piece::Run) => {
                    rest = rest.get(1..).unwrap_or_default();
                    continue;
                }
                '*' if syntax.wildcards => Piece::Run,
                '?' if syntax.wildcards => Piece::One,
                other => Piece::Char(other),
            });
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        Ok(Self { pieces, has_variables })
    }

    /// The pattern that matches everything that begins with `prefix`.
    pub fn prefix(prefix: &str) -> Self {
        let mut pieces: Vec<Piece> = prefix.chars().map(Piece::Char).collect();
        pieces.push(Piece::Run);
        Self { pieces, has_variables: false }
    }

    /// Whether it is a single `*`.
    pub fn is_everything(&self) -> bool {
        self.pieces == [Piece::Run]
    }

    /// Whether only one text fits: no wildcards and no variables.
    pub fn is_literal(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Char(_)))
    }

    /// Names of the variables in it.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable { name, .. } => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether the whole of `text` fits. A variable without value or default fits nothing.
    pub fn matches(&self, text: &str, lookup: &Lookup<'_>) -> bool {
        self.matches_with(text, lookup, |a, b| a == b)
    }

    /// The same without regard to letter case.
    pub fn matches_ignoring_case(&self, text: &str, lookup: &Lookup<'_>) -> bool {
        self.matches_with(text, lookup, |a, b| a == b || a.to_lowercase().eq(b.to_lowercase()))
    }

    fn matches_with(&self, text: &str, lookup: &Lookup<'_>, same: fn(char, char) -> bool) -> bool {
        if !self.has_variables {
            return glob(&self.pieces, text, same);
        }
        let mut pieces = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            let Piece::Variable { name, default } = piece else {
                pieces.push(piece.clone());
                continue;
            };
            let Some(value) = lookup(name).or_else(|| default.clone()) else {
                return false;
            };
            pieces.extend(value.chars().map(Piece::Char));
        }
        glob(&pieces, text, same)
    }
}

/// `name`, `name, 'default'`, or one of the escapes `*`, `?`, `$`.
fn variable(body: &str) -> Result<Piece, String> {
    match body {
        "*" => return Ok(Piece::Char('*')),
        "?" => return Ok(Piece::Char('?')),
        "$" => return Ok(Piece::Char('$')),
        _ => {}
    }
    let (name, default) = match body.split_once(',') {
        None => (body.trim(), None),
        Some((name, default)) => {
            let quoted = default.trim().strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
            (name.trim(), Some(quoted.ok_or("a variable's default stands in single quotes")?.to_owned()))
        }
    };
    if name.is_empty() || !name.contains(':') {
        return Err(format!("`${{{body}}}` is no policy variable"));
    }
    Ok(Piece::Variable { name: name.to_owned(), default })
}

/// Matches greedily, going back only to the latest run: earlier runs never need to grow once a later one was reached.
fn glob(pieces: &[Piece], text: &str, same: fn(char, char) -> bool) -> bool {
    let mut at = 0;
    let mut rest = text.chars();
    let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        let before = rest.clone();
        let fits = match (pieces.get(at), rest.next()) {
            (None, None) => return true,
            (Some(Piece::Run), _) => {
                rest = before.clone();
                retry = Some((at, before));
                at += 1;
                continue;
            }
            (Some(Piece::One), Some(_)) => true,
            (Some(Piece::Char(wanted)), Some(found)) => same(*wanted, found),
            _ => false,
        };
        if fits {
            at += 1;
            continue;
        }
        let Some((run, start)) = &mut retry else {
            return false;
        };
        if start.next().is_none() {
            return false;
        }
        at = *run + 1;
        rest = start.clone();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wild(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern, Syntax::WILDCARDS).unwrap().matches(text, &no_variables)
    }

    /// The obvious definition, exponential but right.
    fn model(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', more)), _) => {
                model(more, text) || text.split_first().is_some_and(|(_, rest)| model(pattern, rest))
            }
            (Some(('?', more)), Some((_, rest))) => model(more, rest),
            (Some((a, more)), Some((b, rest))) => a == b && model(more, rest),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_model(pattern in "[ab*?é]{0,8}", text in "[abé]{0,10}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(wild(&pattern, &text), model(&p, &t));
        }

        #[test]
        fn every_text_matches_itself_and_its_prefixes(text in "\\PC{0,20}", more in "\\PC{0,10}") {
            let literal = Pattern::parse(&text, Syntax { wildcards: false, variables: false }).unwrap();
            prop_assert!(literal.matches(&text, &no_variables));
            let joined = format!("{text}{more}");
            prop_assert!(Pattern::prefix(&text).matches(&joined, &no_variables));
        }

        #[test]
        fn a_variable_is_text(value in "[a*?]{0,6}", text in "[a*?]{0,6}") {
            let pattern = Pattern::parse("${aws:username}", Syntax { wildcards: true, variables: true }).unwrap();
            prop_assert_eq!(pattern.matches(&text, &|_| Some(value.clone())), value == text);
        }
    }

    #[test]
    fn hostile_patterns_end_soon() {
        let pattern = "*a".repeat(1000);
        assert!(!wild(&pattern, &"a".repeat(999)));
        assert!(!wild(&format!("{}b", "*".repeat(2000)), &"a".repeat(100_000)));
    }

    #[test]
    fn variables() {
        let syntax = Syntax { wildcards: true, variables: true };
        let parse = |text: &str| Pattern::parse(text, syntax);
        let home = parse("home/${aws:username}/*").unwrap();
        let lookup = |name: &str| (name == "aws:username").then(|| "ann".to_owned());
        assert!(home.matches("home/ann/x", &lookup) && !home.matches("home/bob/x", &lookup));
        assert!(!home.matches("home//x", &no_variables));
        let fallback = parse("${aws:username, 'none'}").unwrap();
        assert!(fallback.matches("none", &no_variables) && fallback.matches("ann", &lookup));
        assert!(parse("${*}${?}${$}").unwrap().matches("*?$", &no_variables));
        for bad in ["${", "${}", "${aws:username", "${username}", "${aws:username, none}"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(Pattern::parse("${", Syntax::WILDCARDS).is_ok());
        assert!(Pattern::parse(&"a".repeat(PATTERN_BYTES_MAX + 1), syntax).is_err());
    }
}
