//! Patterns of policies: `*`, `?` and policy variables (IAM User Guide, "IAM policy elements: Variables and tags").
//!
//! A variable's value is text, never a pattern: a user named `*` matches only itself. Matching takes time proportional
//! to pattern times text, never more.

use std::borrow::Cow;

use memchr::memmem::Finder;

use super::effort;

/// Longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 2048;

/// One step of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Just these characters.
    Text(Box<str>),
    /// `?`: any one character.
    One,
    /// `*`: any run of characters, also none. With how to find the text behind it, if there is one and more behind that.
    Run(Option<Box<Search>>),
    /// The value of the variable at this place among the pattern's variables.
    Variable(usize),
}

/// How a text is found in others.
#[derive(Debug, Clone)]
struct Search(Finder<'static>);

impl PartialEq for Search {
    fn eq(&self, other: &Self) -> bool {
        self.0.needle() == other.0.needle()
    }
}

impl Eq for Search {}

/// A policy variable.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Variable {
    name: Box<str>,
    /// The name in lower case, since condition keys have no letter case.
    lower_name: Box<str>,
    default: Option<Box<str>>,
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
    pieces: Box<[Piece]>,
    variables: Box<[Variable]>,
}

/// Gives a variable's value, by its name in lower case, if the request has it.
pub type Lookup<'a> = dyn Fn(&str) -> Option<Cow<'a, str>> + 'a;

/// A lookup for patterns without variables.
pub fn no_variables(_: &str) -> Option<Cow<'static, str>> {
    None
}

impl Pattern {
    /// Parses `text`. Errs with the reason.
    pub fn parse(text: &str, syntax: Syntax) -> Result<Self, String> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!("longer than {PATTERN_BYTES_MAX} bytes"));
        }
        let (mut pieces, mut variables, mut plain) = (Vec::new(), Vec::new(), String::new());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(inner) = rest.strip_prefix("${").filter(|_| syntax.variables) {
                let (body, after) = inner.split_once('}').ok_or("a variable `${…}` without its closing brace")?;
                match body {
                    "*" | "?" | "$" => plain.push_str(body),
                    _ => {
                        end_text(&mut pieces, &mut plain);
                        pieces.push(Piece::Variable(variables.len()));
                        variables.push(Variable::parse(body)?);
                    }
                }
                rest = after;
                continue;
            }
            match c {
                '*' if syntax.wildcards => {
                    end_text(&mut pieces, &mut plain);
                    // Runs of stars mean one star; collapsing them keeps matching fast.
                    if pieces.last() != Some(&Piece::Run(None)) {
                        pieces.push(Piece::Run(None));
                    }
                }
                '?' if syntax.wildcards => {
                    end_text(&mut pieces, &mut plain);
                    pieces.push(Piece::One);
                }
                other => plain.push(other),
            }
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        end_text(&mut pieces, &mut plain);
        for at in 0..pieces.len() {
            let search = match (pieces.get(at + 1), pieces.get(at + 2)) {
                (Some(Piece::Text(text)), Some(_)) => Some(Box::new(Search(Finder::new(text.as_bytes()).into_owned()))),
                _ => None,
            };
            if let Some(Piece::Run(place)) = pieces.get_mut(at) {
                *place = search;
            }
        }
        Ok(Self { pieces: pieces.into(), variables: variables.into() })
    }

    /// The pattern that matches everything that begins with `prefix`.
    pub fn prefix(prefix: &str) -> Self {
        let mut pieces = Vec::with_capacity(2);
        end_text(&mut pieces, &mut prefix.to_owned());
        pieces.push(Piece::Run(None));
        Self { pieces: pieces.into(), variables: Box::default() }
    }

    /// Whether it is a single `*`.
    pub fn is_everything(&self) -> bool {
        *self.pieces == [Piece::Run(None)]
    }

    /// Whether only one text fits: no wildcards and no variables.
    pub fn is_literal(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// Whether a text with this byte can fit; it is an ASCII one.
    pub fn may_have(&self, byte: u8) -> bool {
        self.pieces.iter().any(|piece| match piece {
            Piece::Text(text) => text.as_bytes().contains(&byte),
            Piece::One | Piece::Run(_) | Piece::Variable(_) => true,
        })
    }

    /// Whether what fits depends on the request.
    pub fn has_variables(&self) -> bool {
        !self.variables.is_empty()
    }

    /// Names of the variables in it, as they are written.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|variable| &*variable.name)
    }

    /// Whether the whole of `text` fits. A variable without value or default fits nothing.
    pub fn matches(&self, text: &str, lookup: &Lookup<'_>) -> bool {
        self.fits(text, Case::Counts, lookup)
    }

    /// The same without regard to letter case.
    pub fn matches_ignoring_case(&self, text: &str, lookup: &Lookup<'_>) -> bool {
        self.fits(text, Case::Ignored, lookup)
    }

    fn fits(&self, text: &str, case: Case, lookup: &Lookup<'_>) -> bool {
        // As most patterns of resources are.
        if let ([Piece::Text(head), Piece::Run(None)], Case::Counts) = (&*self.pieces, case) {
            // Resources differ late, so the last byte tells most apart.
            let (text, head) = (text.as_bytes(), head.as_bytes());
            let may_begin = head.last() == head.len().checked_sub(1).and_then(|last| text.get(last));
            return effort::spend() && may_begin && text.starts_with(head);
        }
        if self.variables.is_empty() {
            return glob(&self.pieces, &[], text, case);
        }
        // What differs in front already needs no values.
        if matches!(self.pieces.first(), Some(Piece::Text(head)) if case.strip(text, head).is_none()) {
            return false;
        }
        let mut values = Vec::with_capacity(self.variables.len());
        for Variable { lower_name, default, .. } in &self.variables {
            let Some(value) = lookup(lower_name).or_else(|| default.as_deref().map(Cow::Borrowed)) else {
                return false;
            };
            values.push(value);
        }
        glob(&self.pieces, &values, text, case)
    }
}

/// What was read so far becomes a piece, if it is any.
fn end_text(pieces: &mut Vec<Piece>, plain: &mut String) {
    if !plain.is_empty() {
        pieces.push(Piece::Text(std::mem::take(plain).into_boxed_str()));
    }
}

impl Variable {
    /// `name` or `name, 'default'`.
    fn parse(body: &str) -> Result<Self, String> {
        let (name, default) = match body.split_once(',') {
            None => (body.trim(), None),
            Some((name, default)) => {
                let quoted = default.trim().strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
                (name.trim(), Some(quoted.ok_or("a variable's default stands in single quotes")?))
            }
        };
        if name.is_empty() || !name.contains(':') {
            return Err(format!("`${{{body}}}` is no policy variable"));
        }
        Ok(Self {
            name: Box::from(name),
            lower_name: name.to_ascii_lowercase().into(),
            default: default.map(Box::from),
        })
    }
}

/// Whether letters of different case differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Counts,
    Ignored,
}

impl Case {
    /// What is behind `wanted` at the beginning of `text`.
    fn strip<'t>(self, text: &'t str, wanted: &str) -> Option<&'t str> {
        if self == Self::Counts {
            return text.strip_prefix(wanted);
        }
        match text.split_at_checked(wanted.len()) {
            Some((head, rest)) if head.eq_ignore_ascii_case(wanted) => return Some(rest),
            _ if text.is_ascii() && wanted.is_ascii() => return None,
            _ => {}
        }
        let mut rest = text.chars();
        let same = |a: char, b: char| a == b || a.to_lowercase().eq(b.to_lowercase());
        wanted.chars().all(|c| rest.next().is_some_and(|found| same(c, found))).then_some(rest.as_str())
    }

    /// `text` from where `wanted` first is in it.
    fn find<'t>(self, text: &'t str, wanted: &str) -> Option<&'t str> {
        let mut rest = text;
        let Some(first) = wanted.chars().next() else { return Some(text) };
        loop {
            if self == Self::Counts {
                rest = rest.get(rest.find(first)?..)?;
            }
            if self.strip(rest, wanted).is_some() {
                return Some(rest);
            }
            rest = behind_one(rest)?;
        }
    }
}

/// What is behind the first character.
fn behind_one(text: &str) -> Option<&str> {
    let mut rest = text.chars();
    rest.next().map(|_| rest.as_str())
}

/// The text that a piece is, if it is one.
fn text_of<'p>(piece: &'p Piece, values: &'p [Cow<'_, str>]) -> Option<&'p str> {
    match piece {
        Piece::Text(text) => Some(text),
        Piece::Variable(place) => values.get(*place).map(|value| &**value),
        Piece::One | Piece::Run(_) => None,
    }
}

/// Matches greedily, going back only to the latest run: earlier runs never need to grow once a later one was reached.
fn glob(pieces: &[Piece], values: &[Cow<'_, str>], text: &str, case: Case) -> bool {
    let (mut pieces, mut rest) = (pieces, text);
    // The latest run with what is behind it, and where that was tried last.
    let mut retry: Option<(&[Piece], &str)> = None;
    loop {
        if !effort::spend() {
            return false;
        }
        let further = match pieces.split_first() {
            None if rest.is_empty() => return true,
            None => None,
            Some((Piece::Run(_), [])) => return true,
            Some((Piece::Run(_), [last @ (Piece::Text(_) | Piece::Variable(_))])) if case == Case::Counts => {
                return text_of(last, values).is_some_and(|text| rest.ends_with(text));
            }
            Some((Piece::Run(search), behind)) => {
                let Some(start) = end_of_run(search.as_deref(), behind.first(), values, rest, case) else {
                    return false;
                };
                retry = Some((pieces, start));
                Some((behind, start))
            }
            Some((Piece::One, behind)) => behind_one(rest).map(|rest| (behind, rest)),
            Some((piece, behind)) => {
                text_of(piece, values).and_then(|text| case.strip(rest, text)).map(|rest| (behind, rest))
            }
        };
        (pieces, rest) = match (further, retry) {
            (Some(further), _) => further,
            (None, None) => return false,
            (None, Some((run, start))) => match behind_one(start) {
                Some(next) => (run, next),
                None => return false,
            },
        };
    }
}

/// The first place in `text` at which a run can end: where the piece behind it can begin.
fn end_of_run<'t>(
    search: Option<&Search>,
    behind: Option<&Piece>,
    values: &[Cow<'_, str>],
    text: &'t str,
    case: Case,
) -> Option<&'t str> {
    match (search, behind.and_then(|piece| text_of(piece, values))) {
        (Some(Search(finder)), _) if case == Case::Counts => text.get(finder.find(text.as_bytes())?..),
        (_, Some(wanted)) => case.find(text, wanted),
        (_, None) => Some(text),
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
        fn ignoring_case_agrees_with_the_model_in_lower_case(pattern in "[aAbB*?éÉ]{0,8}", text in "[aAbBéÉ]{0,10}") {
            let chars = |text: &str| text.to_lowercase().chars().collect::<Vec<char>>();
            let parsed = Pattern::parse(&pattern, Syntax::WILDCARDS).unwrap();
            let matches = parsed.matches_ignoring_case(&text, &no_variables);
            prop_assert_eq!(matches, model(&chars(&pattern), &chars(&text)));
        }

        #[test]
        fn values_are_texts_wherever_they_stand(
            parts in prop::collection::vec("[ab*?]{0,2}", 3), value in "[ab*?]{0,3}", text in "[ab*?]{0,8}",
        ) {
            let syntax = Syntax { wildcards: true, variables: true };
            let written = parts.join("${aws:username}");
            let parsed = Pattern::parse(&written, syntax).unwrap();
            let escaped: String = value.chars().map(|c| if c.is_alphabetic() { c.into() } else { format!("${{{c}}}") }).collect();
            let plain = Pattern::parse(&parts.join(&escaped), syntax).unwrap();
            let lookup = |_: &str| Some(Cow::Owned(value.clone()));
            prop_assert_eq!(parsed.matches(&text, &lookup), plain.matches(&text, &no_variables));
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
            prop_assert_eq!(pattern.matches(&text, &|_| Some(Cow::Owned(value.clone()))), value == text);
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
        let lookup = |name: &str| (name == "aws:username").then_some(Cow::Borrowed("ann"));
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
