//! Parameters of the Query protocol, decoded once, and the checks that AWS words as validation errors. Pure.
//!
//! Lists are `Name.member.1`, `Name.member.2` …, and structures in them `Name.member.1.Key` (IAM User Guide, "Making query
//! requests"). What an operation does not know is ignored, as AWS does, but a name that stands twice is refused: two readers
//! could take different ones for meant.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{ApiError, ErrorCode};
use crate::constraint::{self, shown};
use crate::s3::query::percent_decode;

/// Most parameters of one request.
const PARAMETERS_MAX: usize = 4096;

/// The parameters of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    pairs: BTreeMap<String, String>,
}

impl Parameters {
    /// Decodes a form, or a query. Errs: ValidationError, MalformedQueryString.
    pub fn parse(raw: &str) -> Result<Self, ApiError> {
        let mut pairs = BTreeMap::new();
        for piece in raw.split('&').filter(|piece| !piece.is_empty()) {
            if pairs.len() >= PARAMETERS_MAX {
                return Err(ApiError::validation("The request has too many parameters."));
            }
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if pairs.contains_key(&name) {
                return Err(ApiError::validation(format!("The parameter {} stands twice.", shown(&name))));
            }
            pairs.insert(name, value);
        }
        Ok(Self { pairs })
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.get(name).map(String::as_str)
    }

    /// The value of a parameter that must be there. Errs: ValidationError.
    pub fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| missing(name))
    }

    /// A text of `1..=max` characters that must be there. Errs: ValidationError.
    pub fn text(&self, name: &str, max: usize) -> Result<&str, ApiError> {
        check_length(name, self.required(name)?, max)
    }

    /// A text of at most `max` characters that may be missing. Errs: ValidationError.
    pub fn text_if(&self, name: &str, max: usize) -> Result<Option<&str>, ApiError> {
        self.get(name).map(|value| check_length(name, value, max)).transpose()
    }

    /// A whole number in a range. Errs: ValidationError.
    pub fn number(&self, name: &str, min: u64, max: u64) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let Ok(number) = text.parse::<u64>() else {
            return Err(invalid(name, text, "Member must be a whole number"));
        };
        match constraint::range(number, min, max) {
            Some(constraint) => Err(invalid(name, text, &constraint)),
            None => Ok(Some(number)),
        }
    }

    /// `true` or `false`. Errs: ValidationError.
    pub fn truth(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(text) => Err(invalid(name, text, "Member must be true or false")),
        }
    }

    /// One of some words that may be missing. Errs: ValidationError.
    pub fn word<'a>(&self, name: &str, words: &[&'a str]) -> Result<Option<&'a str>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match words.iter().find(|word| **word == text) {
            Some(word) => Ok(Some(word)),
            None => Err(invalid(name, text, &constraint::one_of(words))),
        }
    }

    /// The texts of a list, in the order of their numbers. Errs: ValidationError when there are more than `max`.
    pub fn list(&self, name: &str, max: usize) -> Result<Vec<&str>, ApiError> {
        let members = self.members(name, max)?;
        Ok(members.iter().filter_map(|at| self.get(&format!("{name}.member.{at}"))).collect())
    }

    /// The structures of a list, each by the beginning of its parameters' names. Errs: ValidationError when there are more
    /// than `max`.
    pub fn structures(&self, name: &str, max: usize) -> Result<Vec<String>, ApiError> {
        let members = self.members(name, max)?;
        Ok(members.iter().map(|at| format!("{name}.member.{at}")).collect())
    }

    /// The numbers of a list's members.
    fn members(&self, name: &str, max: usize) -> Result<BTreeSet<u32>, ApiError> {
        let prefix = format!("{name}.member.");
        let mut numbers = BTreeSet::new();
        for key in self.pairs.range(prefix.clone()..).map(|(key, _)| key) {
            let Some(rest) = key.strip_prefix(&prefix) else { break };
            let digits = rest.split('.').next().unwrap_or_default();
            // One way to write each number, so that no two names mean one member.
            let number = digits.parse::<u32>().ok().filter(|number| number.to_string() == digits);
            numbers.insert(number.ok_or_else(|| ApiError::validation(format!("{} is no list.", shown(key))))?);
            if numbers.len() > max {
                return Err(invalid(name, "", &constraint::at_most_long(max)));
            }
        }
        Ok(numbers)
    }

    /// `Tags` (IAM API Reference, Tag): at most fifty, no key twice in any letter case. Errs: ValidationError, InvalidInput.
    pub fn tags(&self, name: &str) -> Result<Vec<(String, String)>, ApiError> {
        let mut tags: Vec<(String, String)> = Vec::new();
        for at in self.structures(name, TAGS_MAX)? {
            let key = self.text(&format!("{at}.Key"), TAG_KEY_MAX)?;
            let value = self.text_if(&format!("{at}.Value"), TAG_VALUE_MAX)?.unwrap_or_default();
            check_tag(key, &format!("{at}.Key"))?;
            check_tag(value, &format!("{at}.Value"))?;
            if tags.iter().any(|(other, _)| other.eq_ignore_ascii_case(key)) {
                let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
                return Err(ApiError::with_message(ErrorCode::InvalidInput, message));
            }
            tags.push((key.to_owned(), value.to_owned()));
        }
        Ok(tags)
    }
}

/// Most tags of a user, role, policy or provider, and of a session.
const TAGS_MAX: usize = 50;
const TAG_KEY_MAX: usize = 128;
const TAG_VALUE_MAX: usize = 256;

/// Letters, digits, white space and a few signs, as AWS has it for keys and values.
fn check_tag(text: &str, name: &str) -> Result<(), ApiError> {
    let fits = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
    match text.chars().all(fits) && !text.contains(char::is_control) {
        true => Ok(()),
        false => Err(pattern(name, text, r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*")),
    }
}

fn decode(raw: &str) -> Result<String, ApiError> {
    let bytes = percent_decode(raw.as_bytes(), true).and_then(|bytes| String::from_utf8(bytes).ok());
    bytes.ok_or_else(|| ErrorCode::MalformedQueryString.into())
}

fn check_length<'a>(name: &str, value: &'a str, max: usize) -> Result<&'a str, ApiError> {
    match value.chars().nth(max) {
        None => Ok(value),
        Some(_) => Err(invalid(name, value, &constraint::at_most_long(max))),
    }
}

/// The refusal of a parameter that is not there.
pub fn missing(name: &str) -> ApiError {
    ApiError::validation(constraint::null(name))
}

/// The refusal of a value.
pub fn invalid(name: &str, value: &str, constraint: &str) -> ApiError {
    ApiError::validation(constraint::broken(name, value, constraint))
}

/// The refusal of a value that a regular expression of the API Reference does not fit.
pub fn pattern(name: &str, value: &str, expression: &str) -> ApiError {
    invalid(name, value, &constraint::fitting(expression))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(raw: &str) -> Parameters {
        Parameters::parse(raw).unwrap()
    }

    #[test]
    fn decodes_once() {
        let parameters = parse("Action=CreateUser&UserName=a%2Bb+c&Path=%252F&Empty=&&Bare");
        assert_eq!(parameters.get("UserName"), Some("a+b c"));
        assert_eq!(parameters.get("Path"), Some("%2F"));
        assert_eq!(
            (parameters.get("Empty"), parameters.get("Bare"), parameters.get("None")),
            (Some(""), Some(""), None)
        );
        assert!(parameters.required("Empty").is_err() && parameters.required("None").is_err());
    }

    #[test]
    fn what_is_ambiguous_or_malformed_is_refused() {
        for (raw, code) in [
            ("A=1&A=2", ErrorCode::ValidationError),
            ("A=1&%41=2", ErrorCode::ValidationError),
            ("A=%", ErrorCode::MalformedQueryString),
            ("A=%ff", ErrorCode::MalformedQueryString),
        ] {
            assert_eq!(Parameters::parse(raw).unwrap_err().code(), code, "{raw}");
        }
        let many: String = (0..=PARAMETERS_MAX).map(|n| format!("{n}=&")).collect();
        assert!(Parameters::parse(&many).is_err());
    }

    #[test]
    fn lists_follow_their_numbers() {
        let parameters = parse("L.member.10=j&L.member.2=b&L.member.1=a&Lx.member.1=n&Empty=&M=&S.member.1.K=v");
        assert_eq!(parameters.list("L", 10).unwrap(), ["a", "b", "j"]);
        assert_eq!(parameters.structures("S", 10).unwrap(), ["S.member.1"]);
        assert!(parameters.list("Empty", 10).unwrap().is_empty());
        assert!(parameters.list("L", 2).is_err());
        for raw in ["L.member.x=1", "L.member.01=1", "L.member.=1", "L.member.99999999999=1"] {
            assert!(parse(raw).list("L", 10).is_err(), "{raw}");
        }
    }

    #[test]
    fn values_are_checked_as_aws_words_it() {
        let parameters = parse("N=12&T=true&W=Active&Long=abcd&Odd=x");
        assert_eq!(parameters.number("N", 1, 12).unwrap(), Some(12));
        assert_eq!(parameters.truth("T").unwrap(), Some(true));
        assert_eq!(parameters.word("W", &["Active", "Inactive"]).unwrap(), Some("Active"));
        let message = |error: ApiError| error.message().to_owned();
        assert_eq!(
            message(parameters.number("N", 1, 11).unwrap_err()),
            "1 validation error detected: Value '12' at 'n' failed to satisfy constraint: Member must have value less than \
             or equal to 11"
        );
        assert_eq!(
            message(parameters.required("UserName").unwrap_err()),
            "1 validation error detected: Value null at 'userName' failed to satisfy constraint: Member must not be null"
        );
        assert_eq!(
            message(parameters.text("Long", 3).unwrap_err()),
            "1 validation error detected: Value 'abcd' at 'long' failed to satisfy constraint: Member must have length less \
             than or equal to 3"
        );
        assert!(parameters.number("Odd", 0, 1).is_err() && parameters.truth("Odd").is_err());
        assert!(parameters.word("Odd", &["Active", "Inactive"]).is_err());
    }

    #[test]
    fn tags() {
        let tags = parse("Tags.member.1.Key=a&Tags.member.1.Value=b&Tags.member.2.Key=c&Tags.member.2.Value=");
        assert_eq!(tags.tags("Tags").unwrap(), [("a".to_owned(), "b".to_owned()), ("c".to_owned(), String::new())]);
        for raw in [
            "Tags.member.1.Value=b",
            "Tags.member.1.Key=a&Tags.member.2.Key=A",
            "Tags.member.1.Key=a%00",
            "Tags.member.1.Key=a%3C",
        ] {
            assert!(parse(raw).tags("Tags").is_err(), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(raw in ".{0,200}", name in ".{0,10}") {
            if let Ok(parameters) = Parameters::parse(&raw) {
                let _ = (parameters.list(&name, 3), parameters.tags(&name), parameters.number(&name, 0, 9));
            }
        }

        #[test]
        fn round_trips(pairs in proptest::collection::btree_map(".{0,20}", ".{0,20}", 0..8)) {
            let encode = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
            let raw: Vec<_> = pairs.iter().map(|(n, v)| format!("{}={}", encode(n), encode(v))).collect();
            prop_assert_eq!(parse(&raw.join("&")).pairs, pairs);
        }
    }
}
