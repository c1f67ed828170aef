//! Cross-origin resource sharing (S3 User Guide, "Using cross-origin resource sharing"): the rules, and which of them lets a
//! request through. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Different names of headers that a request may announce.
const HEADER_NAMES_MAX: usize = 100;

/// The rules of a bucket; the first that fits counts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cors {
    /// 1 to 100 rules.
    pub rules: Vec<CorsRule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CorsRule {
    /// Its name.
    pub id: Option<String>,
    /// Origins, each with at most one `*`.
    pub allowed_origins: Vec<String>,
    /// GET, PUT, POST, DELETE, HEAD.
    pub allowed_methods: Vec<String>,
    /// Request headers, each with at most one `*`.
    pub allowed_headers: Vec<String>,
    /// Response headers that scripts may read.
    pub expose_headers: Vec<String>,
    /// How long a browser may keep the answer, in seconds.
    pub max_age_seconds: Option<u32>,
}

/// What a browser tells of a request of another origin's script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrossOrigin<'a> {
    /// `Origin`.
    pub origin: &'a str,
    /// The method: of the request, or the one that it announces.
    pub method: &'a str,
    /// The value of `Access-Control-Request-Headers`, if it is there.
    pub headers: Option<&'a str>,
}

impl CrossOrigin<'_> {
    /// The names of the headers that are announced.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.headers.into_iter().flat_map(|names| names.split(',')).map(str::trim).filter(|name| !name.is_empty())
    }
}

impl Cors {
    /// The first rule that allows origin, method and all headers (S3 User Guide, "How does Amazon S3 evaluate the CORS
    /// configuration on a bucket?").
    ///
    /// None also when too many different headers are announced: whoever asks need not have proven anything
    /// yet, and every name is compared with every header that the rules allow.
    pub fn rule_for(&self, request: &CrossOrigin<'_>) -> Option<&CorsRule> {
        let mut names = BTreeSet::new();
        for name in request.header_names() {
            names.insert(name.to_ascii_lowercase());
            if names.len() > HEADER_NAMES_MAX {
                return None;
            }
        }
        self.rules.iter().find(|rule| rule.allows(request, &names))
    }
}

impl CorsRule {
    /// Whether the rule lets the request through, which announces headers of these names.
    fn allows(&self, request: &CrossOrigin<'_>, names: &BTreeSet<String>) -> bool {
        let header_allowed = |name: &String| self.allowed_headers.iter().any(|pattern| fits_name(pattern, name));
        self.allowed_methods.iter().any(|method| method == request.method)
            && self.allowed_origins.iter().any(|pattern| fits(pattern, request.origin))
            && names.iter().all(header_allowed)
    }

    /// Whether the rule is for every origin, so that its answer is the same for all of them.
    pub fn allows_every_origin(&self) -> bool {
        self.allowed_origins.iter().any(|origin| origin == "*")
    }
}

/// Whether `text` is `pattern`, of which one `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end),
    }
}

/// [`fits`] for names of headers, whose case does not matter.
fn fits_name(pattern: &str, name: &str) -> bool {
    let Some((start, end)) = pattern.split_once('*') else { return pattern.eq_ignore_ascii_case(name) };
    let name = name.as_bytes();
    let begins = name.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start.as_bytes()));
    let ends = || name.get(name.len() - end.len()..).is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes()));
    name.len() >= start.len() + end.len() && begins && ends()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(origins: &[&str], methods: &[&str], headers: &[&str]) -> CorsRule {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        CorsRule {
            allowed_origins: owned(origins),
            allowed_methods: owned(methods),
            allowed_headers: owned(headers),
            ..CorsRule::default()
        }
    }

    fn ask<'a>(origin: &'a str, method: &'a str, headers: Option<&'a str>) -> CrossOrigin<'a> {
        CrossOrigin { origin, method, headers }
    }

    #[test]
    fn one_star_stands_for_any_text() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*suffix", "foo.suffix", true),
            ("*suffix", "suffix.no", false),
            ("start*end", "startend", true),
            ("start*end", "start1end", true),
            ("start*end", "0start12end", false),
            ("ab*ba", "aba", false),
            ("prefix*", "prefix.suffix", true),
            ("http://a.example", "http://a.example", true),
            ("http://a.example", "http://a.example.org", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_rule_asks_for_origin_method_and_every_header() {
        let rule = rule(&["http://a.example", "*.b.example"], &["GET", "PUT"], &["X-Amz-*", "content-type"]);
        let cors = Cors { rules: vec![rule] };
        let allows = |request| cors.rule_for(&request).is_some();
        assert!(allows(ask("http://a.example", "GET", None)));
        assert!(allows(ask("https://www.b.example", "PUT", Some("x-amz-date, Content-Type"))));
        assert!(!allows(ask("http://a.example", "DELETE", None)));
        assert!(!allows(ask("http://c.example", "GET", None)));
        assert!(!allows(ask("http://A.example", "GET", None)), "origins are compared letter by letter");
        assert!(!allows(ask("http://a.example", "GET", Some("x-amz-date,authorization"))));
    }

    #[test]
    fn so_many_headers_are_announced_and_no_more() {
        let cors = Cors { rules: vec![rule(&["*"], &["GET"], &["*"])] };
        let allows = |count: usize| {
            let names: Vec<String> = (0..count).flat_map(|n| [format!("x-{n}"), format!("X-{n}")]).collect();
            cors.rule_for(&ask("http://a.example", "GET", Some(&names.join(",")))).is_some()
        };
        assert!(allows(HEADER_NAMES_MAX) && !allows(HEADER_NAMES_MAX + 1));
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let mut second = rule(&["*"], &["GET"], &["*"]);
        second.id = Some("second".to_owned());
        let cors = Cors { rules: vec![rule(&["http://a.example"], &["GET"], &[]), second] };
        let found = |headers| cors.rule_for(&ask("http://a.example", "GET", headers)).map(|rule| rule.id.as_deref());
        assert_eq!(found(None), Some(None));
        assert_eq!(found(Some("x-a")), Some(Some("second")));
        assert_eq!(cors.rule_for(&ask("http://a.example", "PUT", None)), None);
    }

    proptest! {
        #[test]
        fn what_is_put_in_place_of_the_star_fits(start in "[a-z.]{0,5}", middle in "[a-z.*]{0,5}", end in "[a-z.]{0,5}") {
            let (pattern, text) = (format!("{start}*{end}"), format!("{start}{middle}{end}"));
            prop_assert!(fits(&pattern, &text));
            prop_assert!(fits_name(&pattern, &text.to_ascii_uppercase()));
        }
    }
}
