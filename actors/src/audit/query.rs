//! What may be asked of the log, and what a page of it is. Pure.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::names::Stamp;

/// Which entries are asked for; what is none asks for all. Texts may hold `*`, any text, and `?`, any character.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Not before this.
    pub from: Option<Stamp>,
    /// Before this.
    pub to: Option<Stamp>,
    /// Who made the change.
    pub principal: Option<String>,
    /// Service and operation.
    pub action: Option<String>,
    /// ARN of what was changed.
    pub target: Option<String>,
    /// Most entries of the page.
    pub limit: usize,
    /// Where the page before ended; none for the newest entries.
    pub position: Option<AuditPosition>,
}

/// Entries, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// Each a JSON object, as the log has it.
    pub entries: Vec<String>,
    /// Where to go on; none at the end. A page may be short, even empty, and have one: looking at the log is bounded, too.
    pub next: Option<AuditPosition>,
}

/// Where a page ended: everything before this offset of the file of this number is still to come. It stays what it is when entries
/// are added and files rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditPosition {
    pub(super) number: u64,
    pub(super) end: u64,
}

const TOKEN_VERSION: u8 = 1;

impl AuditPosition {
    /// Reads what [`Display`](fmt::Display) wrote; none for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 18];
        // What would be longer does not fit.
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        let ([version], rest) = bytes.get(..length)?.split_first_chunk::<1>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (end, rest) = rest.split_first_chunk::<8>()?;
        let is_ours = *version == TOKEN_VERSION && rest.is_empty();
        is_ours.then(|| Self { number: u64::from_be_bytes(*number), end: u64::from_be_bytes(*end) })
    }
}

impl fmt::Display for AuditPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[TOKEN_VERSION][..], &self.number.to_be_bytes(), &self.end.to_be_bytes()].concat();
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// What of a line is asked for. Fields that are not known here are passed on with the line.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    time: String,
    #[serde(default)]
    principal: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    target: String,
}

impl Head {
    /// Reads a line; none when it is no entry, such as one that a crash tore.
    pub fn parse(line: &[u8]) -> Option<(Self, Stamp)> {
        let head: Self = serde_json::from_slice(line).ok()?;
        let at = Stamp::parse_rfc3339(&head.time)?;
        Some((head, at))
    }
}

impl AuditQuery {
    /// Whether an entry is asked for.
    pub(super) fn wants(&self, head: &Head, at: Stamp) -> bool {
        let fits =
            |pattern: &Option<String>, text: &str| pattern.as_deref().is_none_or(|pattern| matches(pattern, text));
        self.from.is_none_or(|from| at >= from)
            && self.to.is_none_or(|to| at < to)
            && fits(&self.principal, &head.principal)
            && fits(&self.action, &head.action)
            && fits(&self.target, &head.target)
    }
}

/// Whether the pattern covers the whole text.
fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // Where to go on when the rest does not fit: behind the last `*`, which then takes one character more.
    let mut retry = None;
    loop {
        let mut ahead = pattern.clone();
        match (ahead.next(), text.clone().next()) {
            (Some('*'), _) => {
                pattern = ahead;
                retry = Some((pattern.clone(), text.clone()));
                continue;
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                pattern = ahead;
                text.next();
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        let Some((after, mut taken)) = retry.take() else { return false };
        if taken.next().is_none() {
            return false;
        }
        (pattern, text) = (after.clone(), taken.clone());
        retry = Some((after, taken));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, letter by letter.
    fn by_definition(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|taken| by_definition(rest, &text[taken..])),
            Some(('?', rest)) => text.split_first().is_some_and(|(_, text)| by_definition(rest, text)),
            Some((wanted, rest)) => {
                text.split_first().is_some_and(|(found, text)| found == wanted && by_definition(rest, text))
            }
        }
    }

    #[test]
    fn patterns() {
        for (pattern, text) in [("iam:*", "iam:CreateUser"), ("*", ""), ("a?c", "aüc"), ("*b*b", "abcb"), ("", "")] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("iam:", "iam:CreateUser"), ("?", ""), ("*b", "abc"), ("A", "a")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn lines_of_other_versions_and_torn_ones() {
        let line = br#"{"time":"2026-01-02T03:04:05.5+01:00","action":"a:B","new":{"x":[1]},"target":"t"}"#;
        let (head, at) = Head::parse(line).unwrap();
        assert_eq!((head.action.as_str(), head.principal.as_str(), at.0 % 1_000_000_000), ("a:B", "", 500_000_000));
        let bad: [&[u8]; 6] = [b"", b"{}", b"{\"time\":\"soon\"}", &line[..40], b"[1]", b"\xff"];
        assert!(bad.iter().all(|line| Head::parse(line).is_none()));
    }

    #[test]
    fn positions() {
        let position = AuditPosition { number: 7, end: u64::MAX };
        let text = position.to_string();
        assert_eq!(AuditPosition::parse(&text), Some(position));
        for bad in
            ["", "a", "AAAA", &text[1..], &format!("{text}AA"), &"A".repeat(5000), "ü", &text.replace("AQ", "Ag")]
        {
            assert_eq!(AuditPosition::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn matching_is_as_defined(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            let (letters, of_text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), by_definition(&letters, &of_text));
        }

        #[test]
        fn any_text_may_be_no_position(text in any::<String>()) {
            let _ = AuditPosition::parse(&text);
        }
    }
}
