//! The policy of a POST upload form (S3 API Reference, "Creating a POST Policy"): what the form's author allows whoever
//! fills it in.
//!
//! Pure rules. Codes follow ceph/s3-tests `test_post_object_*`: a malformed policy is 400 InvalidPolicyDocument, a form
//! that does not meet it 403 AccessDenied, a size out of range 400 EntityTooLarge or EntityTooSmall.
//!
//! The checksum fields need no condition: they can only make an upload fail.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use myfsio_actors::names::Stamp;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::signing::seconds_of;
use crate::s3::error::{ErrorCode, S3Error};

/// Names and values of the fields in front of the file, as sent.
pub type Fields = [(String, String)];

/// The value of a field; names are case-insensitive, the first of several counts.
pub fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The value of a field that is there once.
fn only_field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    let mut values = fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
    values.next().filter(|_| values.next().is_none())
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Equals { name: String, value: String },
    StartsWith { name: String, prefix: String },
}

impl Condition {
    fn name(&self) -> &str {
        match self {
            Self::Equals { name, .. } | Self::StartsWith { name, .. } => name,
        }
    }

    fn holds(&self, actual: &str) -> bool {
        // `\$` is how a policy writes a dollar sign; a form may carry it either way.
        match self {
            Self::Equals { value, .. } => actual == value || actual == value.replace("\\$", "$"),
            Self::StartsWith { name, prefix } => {
                let plain = prefix.replace("\\$", "$");
                let begins = |value: &str| value.starts_with(prefix.as_str()) || value.starts_with(&plain);
                // A content type with commas is a list, of which every element must meet the condition.
                match name.as_str() {
                    "content-type" => actual.split(',').map(str::trim_start).all(begins),
                    _ => begins(actual),
                }
            }
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Equals { name, value } => format!("[\"eq\", \"${name}\", \"{value}\"]"),
            Self::StartsWith { name, prefix } => format!("[\"starts-with\", \"${name}\", \"{prefix}\"]"),
        }
    }
}

/// A parsed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostPolicy {
    expires_at_seconds: i64,
    conditions: Vec<Condition>,
    size_min: u64,
    size_max: u64,
}

impl PostPolicy {
    /// Parses the `policy` field: base64 of a JSON document. Errs: InvalidPolicyDocument.
    pub fn parse(base64_text: &str) -> Result<Self, S3Error> {
        let compact: String = base64_text.split_ascii_whitespace().collect();
        let json = STANDARD.decode(compact).map_err(|_| invalid("Invalid Policy: not base64."))?;
        let document: Value = serde_json::from_slice(&json).map_err(|_| invalid("Invalid Policy: Invalid JSON."))?;
        let expiration = document.get("expiration").and_then(Value::as_str);
        let expiration = expiration.ok_or_else(|| invalid("Invalid Policy: Policy missing expiration."))?;
        // ISO 8601 in UTC, `2007-12-01T12:00:00.000Z`; RFC 3339 would let a space stand for the `T`.
        let shaped = expiration.as_bytes().get(10) == Some(&b'T') && expiration.ends_with('Z');
        let expires_at = OffsetDateTime::parse(expiration, &Rfc3339).ok().filter(|_| shaped);
        let expires_at = expires_at.ok_or_else(|| invalid("Invalid Policy: Invalid 'expiration' value."))?;
        let conditions = document.get("conditions").and_then(Value::as_array);
        let conditions = conditions.ok_or_else(|| invalid("Invalid Policy: Policy missing conditions."))?;
        let expires_at_seconds = expires_at.unix_timestamp();
        let mut policy = Self { expires_at_seconds, conditions: Vec::new(), size_min: 0, size_max: u64::MAX };
        for condition in conditions {
            policy.add(condition)?;
        }
        Ok(policy)
    }

    fn add(&mut self, condition: &Value) -> Result<(), S3Error> {
        if let Some(simple) = condition.as_object() {
            let mut pairs = simple.iter();
            let (Some((name, Value::String(value))), None) = (pairs.next(), pairs.next()) else {
                return Err(invalid(
                    "Invalid Policy: Invalid Simple-Condition: Simple-Conditions must have exactly one property \
                     specified.",
                ));
            };
            let condition = Condition::Equals { name: name.to_ascii_lowercase(), value: value.clone() };
            self.conditions.push(condition);
            return Ok(());
        }
        let shape = || invalid("Invalid Policy: Invalid Condition: expected an operation, a field and a value.");
        let Some([Value::String(operation), first, second]) = condition.as_array().map(Vec::as_slice) else {
            return Err(shape());
        };
        let operation = operation.to_ascii_lowercase();
        if operation == "content-length-range" {
            let (Some(min), Some(max)) = (size(first), size(second)) else {
                return Err(invalid("Invalid Policy: Invalid content-length-range: expected two sizes in bytes."));
            };
            // Several ranges all hold.
            self.size_min = self.size_min.max(min);
            self.size_max = self.size_max.min(max);
            return Ok(());
        }
        let (Value::String(name), Value::String(value)) = (first, second) else { return Err(shape()) };
        let name = name.strip_prefix('$').ok_or_else(shape)?.to_ascii_lowercase();
        self.conditions.push(match operation.as_str() {
            "eq" => Condition::Equals { name, value: value.clone() },
            "starts-with" => Condition::StartsWith { name, prefix: value.clone() },
            _ => return Err(invalid("Invalid Policy: Invalid Condition: unknown operation.")),
        });
        Ok(())
    }

    /// Checks the fields of a form that was sent to `bucket`; `${filename}` is already substituted. A condition is on one
    /// field: beside a second of its name it does not hold. Errs: AccessDenied when the policy has expired, a condition
    /// does not hold, or a field has none.
    pub fn check_fields(&self, fields: &Fields, bucket: &str, now: Stamp) -> Result<(), S3Error> {
        if seconds_of(now) >= self.expires_at_seconds {
            return Err(denied("Invalid according to Policy: Policy expired.".to_owned()));
        }
        for condition in &self.conditions {
            let actual = if condition.name() == "bucket" { Some(bucket) } else { only_field(fields, condition.name()) };
            if !actual.is_some_and(|actual| condition.holds(actual)) {
                let which = condition.describe();
                return Err(denied(format!("Invalid according to Policy: Policy Condition failed: {which}")));
            }
        }
        let names = fields.iter().map(|(name, _)| name.to_ascii_lowercase()).filter(|name| !needs_no_condition(name));
        let covered = |name: &str| self.conditions.iter().any(|condition| condition.name() == name);
        let extra: Vec<String> = names.chain(["bucket".to_owned()]).filter(|name| !covered(name)).collect();
        if extra.is_empty() {
            return Ok(());
        }
        Err(denied(format!("Invalid according to Policy: Extra input fields: {}", extra.join(", "))))
    }

    /// Largest file that the policy allows, in bytes.
    pub fn size_max(&self) -> u64 {
        self.size_max
    }

    /// Checks the size of the whole file, in bytes. Errs: EntityTooLarge, EntityTooSmall.
    pub fn check_size(&self, file_bytes: u64) -> Result<(), S3Error> {
        let proposed = |code| S3Error::new(code).field("ProposedSize", file_bytes.to_string());
        if file_bytes > self.size_max {
            return Err(proposed(ErrorCode::EntityTooLarge).field("MaxSizeAllowed", self.size_max.to_string()));
        }
        if file_bytes < self.size_min {
            return Err(proposed(ErrorCode::EntityTooSmall).field("MinSizeAllowed", self.size_min.to_string()));
        }
        Ok(())
    }
}

/// Whether a field may be there without a condition; `name` is lower case. `bucket` is checked by itself.
fn needs_no_condition(name: &str) -> bool {
    matches!(name, "policy" | "x-amz-signature" | "signature" | "awsaccesskeyid" | "file" | "bucket")
        || name.starts_with("x-ignore-")
        || name.starts_with("x-amz-checksum-")
}

fn size(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

fn invalid(message: &'static str) -> S3Error {
    S3Error::with_message(ErrorCode::InvalidPolicyDocument, message)
}

fn denied(message: String) -> S3Error {
    S3Error::with_message(ErrorCode::AccessDenied, message)
}

/// Puts the name of the uploaded file, without folders, in place of `${filename}` in every field but the policy and its
/// signature.
pub fn substitute_filename(fields: &mut [(String, String)], filename: &str) {
    let base = filename.rsplit(['/', '\\']).next().unwrap_or_default();
    for (name, value) in fields {
        let fixed = ["policy", "signature", "x-amz-signature"].iter().any(|fixed| name.eq_ignore_ascii_case(fixed));
        if !fixed && value.contains("${filename}") {
            *value = value.replace("${filename}", base);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Stamp = Stamp(1_369_353_600_000_000_000);

    fn policy(json: &str) -> Result<PostPolicy, ErrorCode> {
        PostPolicy::parse(&STANDARD.encode(json)).map_err(|error| error.code())
    }

    fn form(conditions: &str, fields: &[(&str, &str)]) -> Result<(), ErrorCode> {
        let json = format!(r#"{{"expiration": "2013-05-25T00:00:00Z", "conditions": [{conditions}]}}"#);
        let fields: Vec<_> = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        policy(&json)?.check_fields(&fields, "examplebucket", NOW).map_err(|error| error.code())
    }

    #[test]
    fn malformed_policies() {
        for json in [
            "",
            "[]",
            r#"{"conditions": []}"#,
            r#"{"expiration": "2013-05-25T00:00:00Z"}"#,
            r#"{"EXPIRATION": "2013-05-25T00:00:00Z", "conditions": []}"#,
            r#"{"expiration": "2013-05-25T00:00:00Z", "CONDITIONS": []}"#,
            r#"{"expiration": "2013-05-25 00:00:00.123456+00:00", "conditions": []}"#,
            r#"{"expiration": "2013-05-25T00:00:00Z", "conditions": [{}]}"#,
            r#"{"expiration": "2013-05-25T00:00:00Z", "conditions": [{"a": "b", "c": "d"}]}"#,
            r#"{"expiration": "2013-05-25T00:00:00Z", "conditions": [["content-length-range", 0]]}"#,
            r#"{"expiration": "2013-05-25T00:00:00Z", "conditions": [["content-length-range", -1, 0]]}"#,
            r#"{"expiration": "2013-05-25T00:00:00Z", "conditions": [["ends-with", "$key", "a"]]}"#,
            r#"{"expiration": "2013-05-25T00:00:00Z", "conditions": [["eq", "key", "a"]]}"#,
        ] {
            assert_eq!(policy(json), Err(ErrorCode::InvalidPolicyDocument), "{json}");
        }
        assert!(PostPolicy::parse("!").is_err());
    }

    #[test]
    fn conditions() {
        let bucket = r#"{"bucket": "examplebucket"}"#;
        let usual = r#"{"bUcKeT": "examplebucket"}, ["StArTs-WiTh", "$KeY", "foo"], {"AcL": "private"}"#;
        let denied = Err(ErrorCode::AccessDenied);
        for (conditions, fields, expected) in [
            (usual, &[("kEy", "foo.txt"), ("aCl", "private"), ("pOLICy", "p"), ("x-ignore-a", "b")][..], Ok(())),
            (usual, &[("key", "foo.txt"), ("acl", "private"), ("x-amz-checksum-sha256", "b")][..], Ok(())),
            (usual, &[("key", "foo.txt")][..], denied),
            (usual, &[("key", "bar.txt"), ("acl", "private")][..], denied),
            (usual, &[("key", "foo.txt"), ("acl", "private"), ("x-amz-meta-foo", "bar")][..], denied),
            (r#"["starts-with", "$key", ""]"#, &[("key", "foo.txt")][..], denied),
            (r#"{"bucket": "other"}, ["starts-with", "$key", ""]"#, &[("key", "a"), ("bucket", "other")][..], denied),
            (usual, &[("key", "foo.txt"), ("acl", "private"), ("ACL", "private")][..], denied),
            (usual, &[("key", "foo.txt"), ("acl", "private"), ("Key", "other")][..], denied),
            (
                r#"{"bucket": "examplebucket"}, ["starts-with", "$Content-Type", "image/"]"#,
                &[("content-type", "image/a, image/b")][..],
                Ok(()),
            ),
            (
                r#"{"bucket": "examplebucket"}, ["starts-with", "$Content-Type", "image/"]"#,
                &[("content-type", "image/a,text/html")][..],
                denied,
            ),
            (bucket, &[][..], Ok(())),
            (bucket, &[("key", "a")][..], denied),
        ] {
            assert_eq!(form(conditions, fields), expected, "{conditions} {fields:?}");
        }
        let escaped = r#"{"bucket": "examplebucket"}, ["starts-with", "$key", "\\$foo"]"#;
        assert_eq!(form(escaped, &[("key", "\\$foo.txt")]), Ok(()));
        assert_eq!(form(escaped, &[("key", "$foo.txt")]), Ok(()));
        let expired = policy(r#"{"expiration": "2013-05-24T00:00:00Z", "conditions": []}"#).unwrap();
        assert_eq!(expired.check_fields(&[], "b", NOW).unwrap_err().code(), ErrorCode::AccessDenied);
    }

    #[test]
    fn sizes() {
        let json = r#"{"expiration": "2013-05-25T00:00:00Z", "conditions": [["content-length-range", 512, "1000"]]}"#;
        let policy = policy(json).unwrap();
        assert_eq!(policy.check_size(511).unwrap_err().code(), ErrorCode::EntityTooSmall);
        assert!(policy.check_size(512).is_ok() && policy.check_size(1000).is_ok());
        assert_eq!(policy.check_size(1001).unwrap_err().code(), ErrorCode::EntityTooLarge);
    }

    #[test]
    fn file_names_are_substituted() {
        let mut fields =
            [("key", "a/${filename}"), ("policy", "${filename}")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        substitute_filename(&mut fields, "C:\\files\\b.txt");
        assert_eq!((field(&fields, "KEY"), field(&fields, "policy")), (Some("a/b.txt"), Some("${filename}")));
    }
}
