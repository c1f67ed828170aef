//! Operators of conditions and the values that they compare with (IAM User Guide, "IAM JSON policy elements: Condition
//! operators"). Values are parsed when the policy is: a number, date, or address that is none makes the policy invalid.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use super::context::Found;
use super::pattern::{Lookup, Pattern, Syntax};

/// How numbers and dates are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equals,
    LessThan,
    LessThanEquals,
    GreaterThan,
    GreaterThanEquals,
}

impl Comparison {
    fn holds<T: PartialOrd>(self, found: T, wanted: T) -> bool {
        match self {
            Self::Equals => found == wanted,
            Self::LessThan => found < wanted,
            Self::LessThanEquals => found <= wanted,
            Self::GreaterThan => found > wanted,
            Self::GreaterThanEquals => found >= wanted,
        }
    }
}

/// What an operator compares, apart from its negation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    Numeric(Comparison),
    Date(Comparison),
    Bool,
    Binary,
    IpAddress,
    Arn,
    Null,
}

impl Test {
    /// Whether values are compared as the texts that they are.
    pub fn compares_text(self) -> bool {
        match self {
            Self::StringEquals | Self::StringEqualsIgnoreCase | Self::StringLike | Self::Binary | Self::Arn => true,
            Self::Numeric(_) | Self::Date(_) | Self::Bool | Self::IpAddress | Self::Null => false,
        }
    }
}

/// An operator's name without qualifier and `IfExists`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operator {
    pub test: Test,
    /// It holds when no value fits.
    pub negated: bool,
}

impl Operator {
    /// Parses a name such as `StringNotLike`.
    pub fn parse(name: &str) -> Option<Self> {
        use Comparison::{Equals, GreaterThan, GreaterThanEquals, LessThan, LessThanEquals};
        let (test, negated) = match name {
            "StringEquals" => (Test::StringEquals, false),
            "StringNotEquals" => (Test::StringEquals, true),
            "StringEqualsIgnoreCase" => (Test::StringEqualsIgnoreCase, false),
            "StringNotEqualsIgnoreCase" => (Test::StringEqualsIgnoreCase, true),
            "StringLike" => (Test::StringLike, false),
            "StringNotLike" => (Test::StringLike, true),
            "NumericEquals" => (Test::Numeric(Equals), false),
            "NumericNotEquals" => (Test::Numeric(Equals), true),
            "NumericLessThan" => (Test::Numeric(LessThan), false),
            "NumericLessThanEquals" => (Test::Numeric(LessThanEquals), false),
            "NumericGreaterThan" => (Test::Numeric(GreaterThan), false),
            "NumericGreaterThanEquals" => (Test::Numeric(GreaterThanEquals), false),
            "DateEquals" => (Test::Date(Equals), false),
            "DateNotEquals" => (Test::Date(Equals), true),
            "DateLessThan" => (Test::Date(LessThan), false),
            "DateLessThanEquals" => (Test::Date(LessThanEquals), false),
            "DateGreaterThan" => (Test::Date(GreaterThan), false),
            "DateGreaterThanEquals" => (Test::Date(GreaterThanEquals), false),
            "Bool" => (Test::Bool, false),
            "BinaryEquals" => (Test::Binary, false),
            "IpAddress" => (Test::IpAddress, false),
            "NotIpAddress" => (Test::IpAddress, true),
            "ArnEquals" | "ArnLike" => (Test::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Test::Arn, true),
            "Null" => (Test::Null, false),
            _ => return None,
        };
        Some(Self { test, negated })
    }
}

/// A value of a condition, ready to be compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wanted {
    Text(Pattern),
    TextIgnoringCase(Pattern),
    Number(Comparison, f64),
    Date(Comparison, i128),
    Bool(bool),
    Binary(Vec<u8>),
    Network(IpAddr, u8),
    /// The six parts of an ARN.
    Arn(Box<[Pattern; 6]>),
    /// Whether the key must be absent.
    Null(bool),
}

impl Wanted {
    /// Parses a value for an operator. Errs with the reason.
    pub fn parse(test: Test, text: &str, variables: bool) -> Result<Self, String> {
        let literal = Syntax { wildcards: false, variables };
        let like = Syntax { wildcards: true, variables };
        Ok(match test {
            Test::StringEquals => Self::Text(Pattern::parse(text, literal)?),
            Test::StringEqualsIgnoreCase => Self::TextIgnoringCase(Pattern::parse(text, literal)?),
            Test::StringLike => Self::Text(Pattern::parse(text, like)?),
            Test::Numeric(comparison) => {
                Self::Number(comparison, number(text).ok_or_else(|| format!("`{text}` is not a number"))?)
            }
            Test::Date(comparison) => {
                Self::Date(comparison, date(text).ok_or_else(|| format!("`{text}` is not a date"))?)
            }
            Test::Bool => Self::Bool(truth(text).ok_or_else(|| format!("`{text}` is not true or false"))?),
            Test::Null => Self::Null(truth(text).ok_or_else(|| format!("`{text}` is not true or false"))?),
            Test::Binary => Self::Binary(STANDARD.decode(text).map_err(|_| format!("`{text}` is not base64"))?),
            Test::IpAddress => {
                let (address, bits) = network(text).ok_or_else(|| format!("`{text}` is not an address or network"))?;
                Self::Network(address, bits)
            }
            Test::Arn => Self::Arn(arn_patterns(text, like)?),
        })
    }

    /// Names of the policy variables in it.
    pub fn variables(&self) -> Vec<&str> {
        match self {
            Self::Text(pattern) | Self::TextIgnoringCase(pattern) => pattern.variables().collect(),
            Self::Arn(parts) => parts.iter().flat_map(Pattern::variables).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it stands for fixed values (S3 User Guide, "The meaning of 'public'"): no wildcards and variables, and no network
    /// so wide that it is nearly everybody.
    pub fn is_fixed(&self) -> bool {
        match self {
            Self::Text(pattern) | Self::TextIgnoringCase(pattern) => pattern.is_literal(),
            Self::Arn(parts) => parts.iter().all(Pattern::is_literal),
            Self::Network(IpAddr::V4(_), bits) => *bits >= 8,
            Self::Network(IpAddr::V6(_), bits) => *bits >= 32,
            Self::Number(..) | Self::Date(..) | Self::Bool(_) | Self::Binary(_) | Self::Null(_) => false,
        }
    }

    /// Whether a value that the request has fits this one. A value of another kind fits nothing.
    pub fn fits(&self, found: &Found<'_>, lookup: &Lookup<'_>) -> bool {
        match self {
            Self::Text(pattern) => pattern.matches(&found.text(), lookup),
            Self::TextIgnoringCase(pattern) => pattern.matches_ignoring_case(&found.text(), lookup),
            Self::Number(comparison, wanted) => number_of(found).is_some_and(|n| comparison.holds(n, *wanted)),
            Self::Date(comparison, wanted) => date_of(found).is_some_and(|d| comparison.holds(d, *wanted)),
            Self::Bool(wanted) => truth(&found.text()) == Some(*wanted),
            Self::Binary(wanted) => STANDARD.decode(&*found.text()).is_ok_and(|bytes| bytes == *wanted),
            Self::Network(address, bits) => {
                address_of(found).is_some_and(|ip| in_network(ip.to_canonical(), *address, *bits))
            }
            Self::Arn(_) => arn_parts(&found.text()).is_some_and(|parts| self.fits_arn(&parts, lookup)),
            Self::Null(_) => false,
        }
    }

    /// Whether an ARN that the request has fits this one: each part by itself.
    pub fn fits_arn(&self, found: &[&str; 6], lookup: &Lookup<'_>) -> bool {
        match self {
            Self::Arn(parts) => parts.iter().zip(found).all(|(part, text)| part.matches(text, lookup)),
            _ => false,
        }
    }
}

fn number_of(found: &Found<'_>) -> Option<f64> {
    match found {
        Found::Text(text) => number(text),
        Found::Seconds(seconds) => Some(*seconds as f64),
        Found::Address(_) | Found::Time(_) => None,
    }
}

fn date_of(found: &Found<'_>) -> Option<i128> {
    match found {
        Found::Text(text) => date(text),
        Found::Time(time) => Some(i128::from(time.0)),
        Found::Seconds(seconds) => Some(i128::from(*seconds) * 1_000_000_000),
        Found::Address(_) => None,
    }
}

fn address_of(found: &Found<'_>) -> Option<IpAddr> {
    match found {
        Found::Text(text) => text.parse().ok(),
        Found::Address(address) => Some(*address),
        Found::Time(_) | Found::Seconds(_) => None,
    }
}

fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    if text.is_empty() || text.len() > 64 || !plain {
        return None;
    }
    text.parse().ok().filter(|n: &f64| n.is_finite())
}

fn truth(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A date of ISO 8601 as W3C's note "Date and Time Formats" narrows it, or seconds since the epoch, as nanoseconds since the
/// epoch. Four digits are a year.
fn date(text: &str) -> Option<i128> {
    let time = |text: &str| Some(OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos());
    let day = |text: &str| {
        let day = Date::parse(text, format_description!("[year]-[month]-[day]")).ok()?;
        Some(day.midnight().assume_utc().unix_timestamp_nanos())
    };
    match text.len() {
        4 => day(&format!("{text}-01-01")),
        7 => day(&format!("{text}-01")),
        10 => day(text),
        _ => {
            // Seconds may be left out.
            let minute = text.split_at_checked("2020-01-01T00:00".len()).filter(|(_, zone)| !zone.starts_with(':'));
            time(text).or_else(|| minute.and_then(|(minute, zone)| time(&format!("{minute}:00{zone}"))))
        }
    }
    .or_else(|| i128::from(text.parse::<i64>().ok()?).checked_mul(1_000_000_000))
}

fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = match text.split_once('/') {
        None => (text, None),
        Some((address, bits)) => (address, Some(bits)),
    };
    let address: IpAddr = address.parse().ok()?;
    let width: u8 = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        None => width,
        Some(bits) if !bits.is_empty() && bits.len() <= 3 && bits.bytes().all(|b| b.is_ascii_digit()) => {
            bits.parse().ok().filter(|bits| *bits <= width)?
        }
        Some(_) => return None,
    };
    // Callers are known by their IPv4 address, however it reached the node.
    match (address, address.to_canonical()) {
        (IpAddr::V6(_), IpAddr::V4(mapped)) => Some((IpAddr::V4(mapped), bits.checked_sub(96)?)),
        (address, _) => Some((address, bits)),
    }
}

fn in_network(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        let rest = width.saturating_sub(u32::from(bits));
        a.checked_shr(rest).unwrap_or(0) == b.checked_shr(rest).unwrap_or(0)
    };
    match (ip, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

/// The six parts of an ARN.
pub(super) fn arn_parts(text: &str) -> Option<[&str; 6]> {
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next();
    Some([next()?, next()?, next()?, next()?, next()?, next()?])
}

/// The same of a pattern: colons in names of variables separate nothing.
fn arn_pattern_parts(text: &str, syntax: Syntax) -> Vec<&str> {
    let (mut parts, mut rest, mut is_in_variable) = (Vec::with_capacity(6), text, false);
    for (index, c) in text.char_indices() {
        let at = index - (text.len() - rest.len());
        match c {
            '$' if syntax.variables => is_in_variable |= rest.get(at..).is_some_and(|rest| rest.starts_with("${")),
            '}' => is_in_variable = false,
            ':' if !is_in_variable && parts.len() < 5 => {
                let (part, behind) = (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default());
                parts.push(part);
                rest = behind;
            }
            _ => {}
        }
    }
    parts.push(rest);
    parts
}

fn arn_patterns(text: &str, syntax: Syntax) -> Result<Box<[Pattern; 6]>, String> {
    // A lone star stands for any ARN.
    let parts = if text == "*" { vec!["*"; 6] } else { arn_pattern_parts(text, syntax) };
    let patterns: Vec<Pattern> =
        parts.into_iter().map(|part| Pattern::parse(part, syntax)).collect::<Result<_, String>>()?;
    let is_arn = text == "*" || text.starts_with("arn:");
    patterns.try_into().ok().filter(|_| is_arn).ok_or_else(|| format!("`{text}` is not an ARN"))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::super::pattern::no_variables;
    use super::*;

    #[test]
    fn values_of_each_kind() {
        use Comparison::Equals;
        let good = [
            (Test::Numeric(Equals), "10", "10.0", true),
            (Test::Numeric(Comparison::LessThan), "10", "9", true),
            (Test::Numeric(Comparison::LessThan), "10", "10", false),
            (Test::Numeric(Comparison::LessThanEquals), "10", "10", true),
            (Test::Numeric(Comparison::GreaterThan), "-1", "0", true),
            (Test::Numeric(Equals), "1", "one", false),
            (Test::Date(Comparison::GreaterThan), "2020-01-01T00:00:00Z", "2020-01-01T00:00:01Z", true),
            (Test::Date(Equals), "2020-01-01", "1577836800", true),
            (Test::Date(Equals), "2020", "2020-01", true),
            (Test::Date(Equals), "2020-01-01T01:00+01:00", "2020-01-01T00:00Z", true),
            (Test::Date(Equals), "0", "1970-01-01", true),
            (Test::Date(Equals), "2020-01-01T02:00:00+02:00", "2020-01-01", true),
            (Test::Date(Comparison::LessThanEquals), "1577836800", "2020-01-02", false),
            (Test::Bool, "true", "TRUE", true),
            (Test::Bool, "false", "true", false),
            (Test::IpAddress, "10.0.0.0/8", "10.255.0.1", true),
            (Test::IpAddress, "10.0.0.0/8", "11.0.0.1", false),
            (Test::IpAddress, "10.0.0.0/8", "::ffff:10.0.0.1", true),
            (Test::IpAddress, "::ffff:10.0.0.0/104", "10.255.0.1", true),
            (Test::IpAddress, "::ffff:10.0.0.0/104", "11.0.0.1", false),
            (Test::IpAddress, "::ffff:127.0.0.1", "127.0.0.1", true),
            (Test::IpAddress, "::ffff:0.0.0.0/96", "203.0.113.9", true),
            (Test::IpAddress, "192.0.2.1", "192.0.2.1", true),
            (Test::IpAddress, "0.0.0.0/0", "203.0.113.9", true),
            (Test::IpAddress, "0.0.0.0/0", "::1", false),
            (Test::IpAddress, "2001:db8::/32", "2001:db8:1::5", true),
            (Test::IpAddress, "::/0", "2001:db8::1", true),
            (Test::Binary, "AQI=", "AQI=", true),
            (Test::StringLike, "a*", "abc", true),
            (Test::StringEquals, "a*", "abc", false),
            (Test::StringEqualsIgnoreCase, "ABC", "abc", true),
            (Test::Arn, "arn:aws:iam::1:user/*", "arn:aws:iam::1:user/ann", true),
            (Test::Arn, "arn:aws:iam::*:user/ann", "arn:aws:iam::1:user/ann", true),
            (Test::Arn, "arn:*:ann", "arn:aws:iam::1:user/ann", false),
            (Test::Arn, "*", "arn:aws:iam::1:user/ann", true),
        ];
        for (test, wanted, found, fits) in good {
            match Wanted::parse(test, wanted, true) {
                Ok(wanted_value) => {
                    let found_value = Found::Text(Cow::Borrowed(found));
                    assert_eq!(wanted_value.fits(&found_value, &no_variables), fits, "{test:?} {wanted} {found}")
                }
                Err(reason) => assert_eq!((wanted, fits), ("arn:*:ann", false), "{reason}"),
            }
        }
    }

    #[test]
    fn values_that_are_none() {
        let bad = [
            (Test::Numeric(Comparison::Equals), "ten"),
            (Test::Numeric(Comparison::Equals), "inf"),
            (Test::Numeric(Comparison::Equals), ""),
            (Test::Date(Comparison::Equals), "yesterday"),
            (Test::Date(Comparison::Equals), "2020-13"),
            (Test::Date(Comparison::Equals), "2020-01-01T00:00"),
            (Test::Date(Comparison::Equals), "2020-01-01T00Z"),
            (Test::Bool, "yes"),
            (Test::Null, "0"),
            (Test::IpAddress, "10.0.0.0/33"),
            (Test::IpAddress, "10.0.0/8"),
            (Test::IpAddress, "10.0.0.0/"),
            (Test::IpAddress, "10.0.0.0/+8"),
            (Test::IpAddress, "2001:db8::/129"),
            (Test::IpAddress, "::ffff:10.0.0.0/95"),
            (Test::Binary, "***"),
            (Test::Arn, "user/ann"),
            (Test::Arn, "a:b:c:d:e:f"),
            (Test::StringEquals, "${broken"),
        ];
        for (test, text) in bad {
            assert!(Wanted::parse(test, text, true).is_err(), "{test:?} {text}");
        }
        assert!(Operator::parse("stringequals").is_none() && Operator::parse("StringMatches").is_none());
    }
}
