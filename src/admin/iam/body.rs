//! What requests say.

use std::fmt;

use myfsio_actors::iam::end_of;
use myfsio_actors::names::Stamp;
use myfsio_actors::policy_engine::refuse_ambiguous;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::s3::error::{ErrorCode, S3Error};

/// A time that may be null for never; the outer none is that nothing is said of it.
pub type End = Option<Option<Stamp>>;

/// `POST users`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Name for people.
    pub display_name: Option<String>,
    /// Name in ARNs.
    pub user_name: Option<String>,
    /// Path in ARNs.
    pub path: Option<String>,
    /// In either form.
    pub policies: Option<Value>,
    /// Chosen access key.
    pub access_key: Option<String>,
    /// Chosen secret.
    pub secret_key: Option<String>,
    /// When it ends.
    #[serde(default, deserialize_with = "end")]
    pub expires_at: End,
}

/// `PATCH users/<user>`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangedUser {
    /// Name for people.
    pub display_name: Option<String>,
    /// Name in ARNs.
    pub user_name: Option<String>,
    /// Path in ARNs.
    pub path: Option<String>,
    /// Whether it may sign requests.
    pub enabled: Option<bool>,
    /// When it ends.
    #[serde(default, deserialize_with = "end")]
    pub expires_at: End,
    /// The groups that it is in.
    pub groups: Option<Vec<String>>,
}

/// `POST users/<user>/rotate`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Which key, where there are several.
    pub access_key: Option<String>,
    /// How long the old one goes on.
    pub overlap_seconds: Option<u64>,
}

/// `POST users/<user>/access-keys`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Chosen access key.
    pub access_key: Option<String>,
    /// Chosen secret.
    pub secret_key: Option<String>,
    /// When it ends.
    #[serde(default, deserialize_with = "end")]
    pub expires_at: End,
}

/// `PATCH users/<user>/access-keys/<key>`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangedKey {
    /// Whether it may sign requests.
    pub enabled: Option<bool>,
    /// When it ends.
    #[serde(default, deserialize_with = "end")]
    pub expires_at: End,
}

fn end<'de, D: Deserializer<'de>>(deserializer: D) -> Result<End, D::Error> {
    let expected = || serde::de::Error::custom("expires_at is an RFC 3339 time, a date, seconds since 1970, or null");
    end_of(&Value::deserialize(deserializer)?).map(Some).ok_or_else(expected)
}

/// Reads a body. Errs: InvalidArgument, also when an object has a name twice, of which parsers keep only one.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, S3Error> {
    let refused =
        |error: &dyn fmt::Display| S3Error::with_message(ErrorCode::InvalidArgument, format!("The body: {error}."));
    let text = str::from_utf8(body).map_err(|error| refused(&error))?;
    refuse_ambiguous(text).and_then(|()| serde_json::from_str(text)).map_err(|error| refused(&error))
}

/// Reads a body that may be left out. Errs: InvalidArgument.
pub fn parse_or_default<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, S3Error> {
    match body.is_empty() {
        true => Ok(T::default()),
        false => parse(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies() {
        let ends = |text: &str| parse::<ChangedKey>(text.as_bytes()).map(|key| key.expires_at).map_err(|e| e.code());
        assert_eq!(ends("{}"), Ok(None));
        assert_eq!(ends(r#"{"expires_at": null}"#), Ok(Some(None)));
        assert_eq!(ends(r#"{"expires_at": 60}"#), Ok(Some(Some(Stamp(60_000_000_000)))));
        for bad in ["", "[]", "{", r#"{"expires_at": "soon"}"#, r#"{"enabled": 1}"#, r#"{"enabled": true, "x": 1}"#] {
            assert_eq!(ends(bad), Err(ErrorCode::InvalidArgument), "{bad}");
        }
        for twice in [
            r#"[{"Effect": "Deny", "Effect": "Allow"}]"#,
            r#"[{"bucket": "a", "actions": ["read"], "bucket": "*"}]"#,
            r#"{"a": {"b": [{"c": 1, "c": 1}]}}"#,
        ] {
            let told = parse::<Value>(twice.as_bytes()).unwrap_err();
            assert_eq!(told.code(), ErrorCode::InvalidArgument, "{twice}");
        }
        assert_eq!(parse::<Value>(b"\"\xff\"").unwrap_err().code(), ErrorCode::InvalidArgument);
        assert!(parse_or_default::<Rotation>(b"").is_ok() && parse_or_default::<Rotation>(b"1").is_err());
    }
}
