//! Static websites (S3 User Guide, "Hosting a static website"): the configuration, and where its rules send a request. Pure.

use serde::{Deserialize, Serialize};

/// A bucket's website.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Website {
    /// Suffix of folders' index documents.
    pub index_suffix: Option<String>,
    /// Key of the error document.
    pub error_key: Option<String>,
    /// Sends everything elsewhere; excludes all else.
    pub redirect_all: Option<RedirectAll>,
    /// Redirects, tried in order.
    pub routing_rules: Vec<RoutingRule>,
}

/// Where everything is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedirectAll {
    /// The host.
    pub host_name: String,
    /// `http` or `https`; absent means that of the request.
    pub protocol: Option<String>,
}

/// One redirect.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RoutingRule {
    /// When; absent means always.
    pub condition: Option<RoutingCondition>,
    /// Where to.
    pub redirect: Redirect,
}

/// When a redirect is taken: all that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RoutingCondition {
    /// The key begins with this.
    pub key_prefix: Option<String>,
    /// The request would be answered with this HTTP status.
    pub error_code: Option<u16>,
}

/// Where a redirect leads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Redirect {
    /// Another host.
    pub host_name: Option<String>,
    /// `http` or `https`.
    pub protocol: Option<String>,
    /// Replaces the prefix of the condition.
    pub replace_key_prefix: Option<String>,
    /// Replaces the whole key.
    pub replace_key: Option<String>,
    /// HTTP status; absent means 301.
    pub http_code: Option<u16>,
}

impl Website {
    /// The first rule that sends the key elsewhere before the object is looked for.
    pub fn rule_before(&self, key: &str) -> Option<&RoutingRule> {
        self.routing_rules.iter().find(|rule| rule.error_code().is_none() && rule.fits_key(key))
    }

    /// The first rule that sends the key elsewhere instead of answering this error.
    pub fn rule_after(&self, key: &str, status: u16) -> Option<&RoutingRule> {
        self.routing_rules.iter().find(|rule| rule.error_code() == Some(status) && rule.fits_key(key))
    }
}

impl RoutingRule {
    fn error_code(&self) -> Option<u16> {
        self.condition.as_ref()?.error_code
    }

    fn key_prefix(&self) -> &str {
        self.condition.as_ref().and_then(|condition| condition.key_prefix.as_deref()).unwrap_or_default()
    }

    fn fits_key(&self, key: &str) -> bool {
        key.starts_with(self.key_prefix())
    }

    /// The key that `key` is sent to: what is configured, and what is left of `key` behind it.
    pub fn target_key<'a>(&'a self, key: &'a str) -> (&'a str, &'a str) {
        match (&self.redirect.replace_key, &self.redirect.replace_key_prefix) {
            (Some(whole), _) => (whole, ""),
            (None, Some(prefix)) => (prefix, key.strip_prefix(self.key_prefix()).unwrap_or(key)),
            (None, None) => ("", key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(prefix: Option<&str>, code: Option<u16>, redirect: Redirect) -> RoutingRule {
        let condition = RoutingCondition { key_prefix: prefix.map(str::to_owned), error_code: code };
        RoutingRule { condition: Some(condition), redirect }
    }

    #[test]
    fn rules_are_tried_in_order_before_and_after() {
        let to = |key: &str| Redirect { replace_key: Some(key.to_owned()), ..Redirect::default() };
        let website = Website {
            routing_rules: vec![
                rule(Some("docs/"), Some(404), to("gone")),
                rule(Some("docs/"), None, to("moved")),
                rule(None, Some(403), to("login")),
                RoutingRule { condition: None, redirect: to("all") },
            ],
            ..Website::default()
        };
        let target = |rule: &RoutingRule, key: &str| rule.target_key(key).0.to_owned();
        let before = |key: &str| target(website.rule_before(key).unwrap(), key);
        let after = |key: &str, status| website.rule_after(key, status).map(|rule| target(rule, key));
        assert_eq!((before("docs/a"), before("other")), ("moved".to_owned(), "all".to_owned()));
        assert_eq!(after("docs/a", 404).as_deref(), Some("gone"));
        assert_eq!(after("other", 404), None);
        assert_eq!(after("other", 403).as_deref(), Some("login"));
    }

    #[test]
    fn prefixes_are_replaced() {
        let redirect = Redirect { replace_key_prefix: Some("documents/".to_owned()), ..Redirect::default() };
        assert_eq!(rule(Some("docs/"), None, redirect.clone()).target_key("docs/docs/a"), ("documents/", "docs/a"));
        assert_eq!(rule(None, Some(404), redirect).target_key("a"), ("documents/", "a"));
        assert_eq!(rule(Some("docs/"), None, Redirect::default()).target_key("docs/a"), ("", "docs/a"));
    }
}
