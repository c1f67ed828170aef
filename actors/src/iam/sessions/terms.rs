//! What somebody may ask of a session (STS API Reference, AssumeRole). Pure.

use serde_json::Value;

use super::error::SessionError;
use super::grant::SessionTag;
use crate::policy_engine::{IdentityPolicy, RequestContext, refuse_ambiguous};

/// Longest session policy, in characters.
const POLICY_CHARS_MAX: usize = 2048;
/// Most managed policies that bound a session.
const POLICY_ARNS_MAX: usize = 10;
/// Most tags of a session.
const TAGS_MAX: usize = 50;
/// Shortest session of any kind, in seconds.
pub(super) const SECONDS_MIN: u64 = 900;
/// Longest session of a role, in seconds, whatever the role says.
const ROLE_SECONDS_MAX: u64 = 43_200;

/// A role, and what is asked of its session.
#[derive(Debug, Clone, Default)]
pub struct SessionRequest {
    /// ARN of the role.
    pub role_arn: String,
    /// Name of the session.
    pub session_name: String,
    /// How long it is to last; an hour when absent.
    pub seconds: Option<u64>,
    /// A policy that bounds it: the text of a JSON document.
    pub policy: Option<String>,
    /// ARNs of managed policies that bound it.
    pub policy_arns: Vec<String>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// Keys of those tags that go on to roles that are assumed from it.
    pub transitive_tag_keys: Vec<String>,
    /// Who stands behind it.
    pub source_identity: Option<String>,
    /// What the owner of the role and the caller have agreed on.
    pub external_id: Option<String>,
}

impl SessionRequest {
    /// Checks what needs neither role nor caller. Answers the session policy. Errs: Validation, MalformedPolicyDocument.
    pub(super) fn check(&self) -> Result<Option<Value>, SessionError> {
        check_length("roleArn", &self.role_arn, 20, 2048)?;
        check_words("roleSessionName", &self.session_name, 2, 64, "[\\w+=,.@-]*", "+=,.@-_")?;
        if let Some(seconds) = self.seconds {
            check_seconds(seconds, ROLE_SECONDS_MAX)?;
        }
        if let Some(external_id) = &self.external_id {
            check_words("externalId", external_id, 2, 1224, "[\\w+=,.@:\\/-]*", "+=,.@:/-_")?;
        }
        if let Some(source_identity) = &self.source_identity {
            check_source_identity(source_identity)?;
        }
        check_count("policyArns", self.policy_arns.len(), POLICY_ARNS_MAX)?;
        for arn in &self.policy_arns {
            check_length("policyArns.member.arn", arn, 20, 2048)?;
        }
        self.session_tags()?;
        self.policy.as_deref().map(session_policy).transpose()
    }

    /// The tags with their marks. Errs: Validation.
    pub(super) fn session_tags(&self) -> Result<Vec<SessionTag>, SessionError> {
        check_count("tags", self.tags.len(), TAGS_MAX)?;
        check_count("transitiveTagKeys", self.transitive_tag_keys.len(), TAGS_MAX)?;
        let mut tags: Vec<SessionTag> = Vec::with_capacity(self.tags.len());
        for (key, value) in &self.tags {
            check_length("tags.member.key", key, 1, 128)?;
            check_length("tags.member.value", value, 0, 256)?;
            check_letters("tags.member.key", key)?;
            check_letters("tags.member.value", value)?;
            if key.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("aws:")) {
                let message = "System tags cannot be added/updated by requester: tag keys must not begin with aws:.";
                return Err(SessionError::Validation(message.to_owned()));
            }
            if tags.iter().any(|tag| tag.key.eq_ignore_ascii_case(key)) {
                let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
                return Err(SessionError::Validation(message.to_owned()));
            }
            let (key, value) = (key.clone(), value.clone());
            tags.push(SessionTag { key, value, is_transitive: false });
        }
        for key in &self.transitive_tag_keys {
            let found = tags.iter_mut().find(|tag| tag.key.eq_ignore_ascii_case(key));
            let Some(tag) = found else {
                let message = "The specified transitive tag key must be included in the requested tags.";
                return Err(SessionError::Validation(message.to_owned()));
            };
            tag.is_transitive = true;
        }
        Ok(tags)
    }

    /// What trust policies may ask for beside what the request says by itself.
    pub(super) fn tell(&self, context: &mut RequestContext) {
        context.add("sts:RoleSessionName", self.session_name.as_str());
        if let Some(external_id) = &self.external_id {
            context.add("sts:ExternalId", external_id.as_str());
        }
        if let Some(seconds) = self.seconds {
            context.add("sts:DurationSeconds", seconds.to_string());
        }
        if let Some(source_identity) = &self.source_identity {
            context.add("sts:SourceIdentity", source_identity.as_str());
        }
        for (key, value) in &self.tags {
            context.add(format!("aws:RequestTag/{key}"), value.as_str());
            context.add("aws:TagKeys", key.as_str());
        }
        for key in &self.transitive_tag_keys {
            context.add("sts:TransitiveTagKeys", key.as_str());
        }
    }
}

/// Checks how long a session is to last. Errs: Validation.
pub(super) fn check_seconds(seconds: u64, max: u64) -> Result<(), SessionError> {
    let bound = match seconds {
        _ if seconds < SECONDS_MIN => format!("Member must have value greater than or equal to {SECONDS_MIN}"),
        _ if seconds > max => format!("Member must have value less than or equal to {max}"),
        _ => return Ok(()),
    };
    Err(broken("durationSeconds", &seconds.to_string(), &bound))
}

fn check_source_identity(text: &str) -> Result<(), SessionError> {
    check_words("sourceIdentity", text, 2, 64, "[\\w+=,.@-]*", "+=,.@-_")?;
    match text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
        true => Err(broken("sourceIdentity", text, "Member must not begin with aws:")),
        false => Ok(()),
    }
}

/// Parses a session policy. A document only: the short form is the node administrator's word.
fn session_policy(text: &str) -> Result<Value, SessionError> {
    check_length("policy", text, 1, POLICY_CHARS_MAX)?;
    let malformed = |reason: String| SessionError::MalformedPolicyDocument(reason);
    refuse_ambiguous(text).map_err(|error| malformed(error.to_string()))?;
    let document: Value = serde_json::from_str(text).map_err(|error| malformed(format!("not JSON: {error}")))?;
    if document.get("Statement").is_none() {
        return Err(malformed("Statement is missing".to_owned()));
    }
    IdentityPolicy::parse(&document, "policy")?;
    Ok(document)
}

/// The error of a parameter, as AWS words it.
fn broken(field: &str, value: &str, constraint: &str) -> SessionError {
    const SHOWN_CHARS_MAX: usize = 200;
    let shown: String = value.chars().take(SHOWN_CHARS_MAX).collect();
    SessionError::Validation(format!(
        "1 validation error detected: Value '{shown}' at '{field}' failed to satisfy constraint: {constraint}"
    ))
}

fn check_length(field: &str, text: &str, min: usize, max: usize) -> Result<(), SessionError> {
    let length = text.chars().count();
    let constraint = match length {
        _ if length < min => format!("Member must have length greater than or equal to {min}"),
        _ if length > max => format!("Member must have length less than or equal to {max}"),
        _ => return Ok(()),
    };
    Err(broken(field, text, &constraint))
}

fn check_count(field: &str, count: usize, max: usize) -> Result<(), SessionError> {
    match count > max {
        true => Err(broken(field, "", &format!("Member must have length less than or equal to {max}"))),
        false => Ok(()),
    }
}

/// Checks a text of letters, digits and the characters of `more`.
fn check_words(field: &str, text: &str, min: usize, max: usize, pattern: &str, more: &str) -> Result<(), SessionError> {
    check_length(field, text, min, max)?;
    match text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c)) {
        true => Ok(()),
        false => Err(broken(field, text, &format!("Member must satisfy regular expression pattern: {pattern}"))),
    }
}

/// Checks the characters of tags.
fn check_letters(field: &str, text: &str) -> Result<(), SessionError> {
    let fits = |c: char| c.is_alphanumeric() || c.is_whitespace() && !c.is_control() || "_.:/=+-@".contains(c);
    match text.chars().all(fits) {
        true => Ok(()),
        false => {
            let pattern = "[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*";
            Err(broken(field, text, &format!("Member must satisfy regular expression pattern: {pattern}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> SessionRequest {
        SessionRequest {
            role_arn: "arn:aws:iam::123456789012:role/reader".to_owned(),
            session_name: "ann@example.com".to_owned(),
            ..SessionRequest::default()
        }
    }

    fn refused(change: impl Fn(&mut SessionRequest)) -> String {
        let mut request = good();
        change(&mut request);
        match request.check().expect_err("a refusal") {
            SessionError::Validation(message) => message,
            other => panic!("{other:?}"),
        }
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn parameters() {
        assert!(good().check().unwrap().is_none());
        let name = "1 validation error detected: Value 'a b' at 'roleSessionName' failed to satisfy constraint: Member must \
                    satisfy regular expression pattern: [\\w+=,.@-]*";
        assert_eq!(refused(|request| request.session_name = "a b".to_owned()), name);
        let short = "1 validation error detected: Value '899' at 'durationSeconds' failed to satisfy constraint: Member must \
                     have value greater than or equal to 900";
        assert_eq!(refused(|request| request.seconds = Some(899)), short);
        type Change = fn(&mut SessionRequest);
        let changes: [Change; 12] = [
            |r| r.role_arn = "arn".to_owned(),
            |r| r.session_name = "a".to_owned(),
            |r| r.session_name = "a".repeat(65),
            |r| r.session_name = "é1".to_owned(),
            |r| r.seconds = Some(43_201),
            |r| r.external_id = Some("a".to_owned()),
            |r| r.external_id = Some("a b".to_owned()),
            |r| r.source_identity = Some("a/b".to_owned()),
            |r| r.policy = Some(String::new()),
            |r| r.policy = Some(" ".repeat(2049)),
            |r| r.policy_arns = vec!["arn:aws:iam::aws:policy/x".to_owned(); 11],
            |r| r.policy_arns = vec!["short".to_owned()],
        ];
        for change in changes {
            assert!(refused(change).starts_with("1 validation error detected"));
        }
    }

    #[test]
    fn tags() {
        let mut request = good();
        request.tags = vec![pair("team", "red"), pair("Straße 1", "a/b@c")];
        request.transitive_tag_keys = vec!["TEAM".to_owned()];
        request.check().unwrap();
        let tags = request.session_tags().unwrap();
        assert_eq!(tags.iter().map(|tag| tag.is_transitive).collect::<Vec<_>>(), [true, false]);
        refused(|r| r.tags = vec![pair("team", "red"), pair("Team", "blue")]);
        refused(|r| r.tags = vec![pair("", "red")]);
        refused(|r| r.tags = vec![pair(&"k".repeat(129), "red")]);
        refused(|r| r.tags = vec![pair("k", &"v".repeat(257))]);
        refused(|r| r.tags = vec![pair("k", "a\nb")]);
        refused(|r| r.tags = vec![pair("a*", "b")]);
        refused(|r| r.tags = (0..51).map(|i| pair(&i.to_string(), "")).collect());
        refused(|r| r.transitive_tag_keys = vec!["team".to_owned()]);
    }

    #[test]
    fn policies() {
        let parse = |text: &str| SessionRequest { policy: Some(text.to_owned()), ..good() }.check();
        let good = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}"#;
        assert!(parse(good).unwrap().is_some());
        for bad in [
            "{",
            "[]",
            r#"{"bucket": "*", "actions": ["*"]}"#,
            r#"{"Version": "2012-10-17", "Statement": []}"#,
            &good.replace("Allow", "Maybe"),
            &good.replace("\"Version\"", "\"Statement\": [], \"Version\""),
        ] {
            assert!(matches!(parse(bad), Err(SessionError::MalformedPolicyDocument(_))), "{bad}");
        }
    }
}
