//! Users as the routes below `/_myfsio/iam` tell them, and what pages say of them.

use myfsio_actors::names::Stamp;
use serde::Deserialize;
use serde_json::Value;

use crate::console::links;
use crate::console::text::Text;
use crate::console::units::{lasting, legible};
use crate::console::visit::Visit;

/// A user.
#[derive(Debug, Clone, Deserialize)]
pub struct User {
    /// Its id, which nothing else takes on.
    pub user_id: String,
    /// Its ARN.
    pub arn: String,
    /// Name for people.
    pub display_name: String,
    /// Whether it is its account's root.
    pub root: bool,
    /// Whether it may sign requests.
    pub enabled: bool,
    /// When it ends, RFC 3339.
    pub expires_at: Option<String>,
    /// When it was made, RFC 3339.
    pub created_at: Option<String>,
    /// Its keys.
    pub access_keys: Vec<Key>,
    /// Its own policies, in either form.
    pub policies: Value,
    /// Names of its groups.
    pub groups: Vec<String>,
    /// ARNs of managed policies.
    pub attached_policies: Vec<String>,
}

/// An access key.
#[derive(Debug, Clone, Deserialize)]
pub struct Key {
    /// Its id.
    pub access_key: String,
    /// Whether it may sign requests.
    pub enabled: bool,
    /// When it ends, RFC 3339.
    pub expires_at: Option<String>,
    /// When it was made, RFC 3339.
    pub created_at: Option<String>,
    /// When it was last used, as far as is known.
    pub last_used: Option<LastUsed>,
}

/// The last use of an access key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LastUsed {
    /// When, RFC 3339.
    at: String,
    service: String,
    region: String,
}

/// A time, and what is said of it.
#[derive(Debug)]
pub struct Used {
    /// RFC 3339; empty for never.
    pub at: String,
    /// For people: how long ago, and where.
    pub text: String,
}

impl Used {
    /// Of the last of some uses.
    pub fn of<'a>(visit: &Visit, uses: impl Iterator<Item = &'a LastUsed>) -> Self {
        // RFC 3339 in UTC without parts of seconds: texts compare as times do.
        let Some(used) = uses.max_by(|one, other| one.at.cmp(&other.at)) else {
            return Self { at: String::new(), text: visit.t.iam.unused.to_owned() };
        };
        let at = Stamp::parse_rfc3339(&used.at).unwrap_or_default();
        let past = visit.console.node.clock.now().seconds().saturating_sub(at.seconds());
        let ago = format!("{} {}", lasting(past), visit.t.account.ago);
        let told = [ago.as_str(), &used.service, &used.region].into_iter().filter(|text| !text.is_empty());
        Self { at: used.at.clone(), text: legible(&told.collect::<Vec<_>>().join(", ")) }
    }
}

/// The route of a user, or below it.
pub fn route(user: &str, below: &[&str]) -> String {
    let mut route = format!("/_myfsio/iam/users/{}", links::encode(user));
    for part in below {
        route.push('/');
        route.push_str(&links::encode(part));
    }
    route
}

/// What is said of something that can be disabled and can end: the word, and its tone.
pub fn status(visit: &Visit, enabled: bool, expires_at: Option<&str>) -> (&'static str, &'static str) {
    let words: &Text = visit.t;
    let now = visit.console.node.clock.now().rfc3339();
    // Both are RFC 3339 in UTC, so that texts compare as times do.
    let is_over = expires_at.is_some_and(|end| end <= now.as_str());
    match (enabled, is_over) {
        (false, _) => (words.iam.disabled, "bad"),
        (true, true) => (words.iam.expired, "warn"),
        (true, false) => (words.iam.enabled, "good"),
    }
}

/// The day of a time, as fields for dates take it.
pub fn day(time: Option<&str>) -> String {
    time.and_then(|time| time.get(..10)).unwrap_or_default().to_owned()
}

/// The end that a field asks for, unless it says what is there already: a day, or null for never.
pub fn wanted_end(typed: &str, now: Option<&str>) -> Option<Value> {
    if typed == day(now) {
        return None;
    }
    Some(if typed.is_empty() { Value::Null } else { Value::from(typed) })
}

/// What policies allow, line by line, as far as the short form says it.
pub fn summary(policies: &Value) -> Vec<String> {
    let list = policies.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(line).collect()
}

fn line(policy: &Value) -> String {
    let texts = |value: &Value| match value {
        Value::String(one) => one.clone(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        _ => String::new(),
    };
    if let (Some(bucket), Some(actions)) = (policy.get("bucket"), policy.get("actions")) {
        return format!("{}: {}", texts(bucket), texts(actions));
    }
    let name = ["PolicyName", "Id", "name"].iter().find_map(|name| policy.get(name).and_then(Value::as_str));
    name.unwrap_or("AWS").to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ends() {
        assert_eq!(day(Some("2026-11-26T10:00:00Z")), "2026-11-26");
        assert_eq!(wanted_end("2026-11-26", Some("2026-11-26T10:00:00Z")), None);
        assert_eq!(wanted_end("", None), None);
        assert_eq!(wanted_end("", Some("2026-11-26T10:00:00Z")), Some(Value::Null));
        assert_eq!(wanted_end("2027-01-01", None), Some(json!("2027-01-01")));
    }

    #[test]
    fn summaries() {
        let policies =
            json!([{ "bucket": "*", "actions": ["list", "read"] }, { "Version": "2012-10-17", "Statement": [] }]);
        assert_eq!(summary(&policies), ["*: list, read", "AWS"]);
        assert_eq!(route("a/b", &["access-keys", "K"]), "/_myfsio/iam/users/a%2Fb/access-keys/K");
    }
}
