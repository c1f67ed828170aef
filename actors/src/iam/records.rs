//! The shape of `iam.json`. Fields that are not listed here are kept as they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use crate::names::Stamp;

/// The file.
#[derive(Debug, Default, Deserialize)]
pub(super) struct FileRecord {
    #[serde(default)]
    pub users: Vec<UserRecord>,
    /// Users that were deleted: their ids, never to be given away again, and the account that keeps what they own.
    #[serde(default)]
    pub former_users: Vec<FormerUserRecord>,
}

/// A user.
#[derive(Debug, Deserialize)]
pub(super) struct UserRecord {
    pub access_key: Option<String>,
    pub secret_key: Option<String>,
    pub secret_key_sealed: Option<String>,
    pub display_name: Option<String>,
    #[serde(default)]
    pub policies: Vec<Value>,
    pub user_name: Option<String>,
    pub path: Option<String>,
    pub account_id: Option<String>,
    pub root: Option<bool>,
    pub user_id: Option<String>,
    pub email: Option<String>,
    pub enabled: Option<bool>,
    #[serde(default)]
    pub expires_at: Expiry,
    #[serde(default)]
    pub access_keys: Vec<KeyRecord>,
    #[serde(default)]
    pub groups: Vec<String>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A further access key of a user.
#[derive(Debug, Deserialize)]
pub(super) struct KeyRecord {
    pub access_key: String,
    pub secret_key: Option<String>,
    pub secret_key_sealed: Option<String>,
    pub enabled: Option<bool>,
    #[serde(default)]
    pub expires_at: Expiry,
}

/// A deleted user.
#[derive(Debug, Deserialize)]
pub(super) struct FormerUserRecord {
    pub user_id: String,
    pub account_id: String,
}

/// When something ends: an RFC 3339 time, a date (its first moment, UTC), seconds since the epoch, or null for never.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Expiry(pub Option<Stamp>);

impl Expiry {
    /// The earlier of two.
    pub fn or_earlier(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Self(Some(a.min(b))),
            (a, b) => Self(a.or(b)),
        }
    }

    /// Whether it has come.
    pub fn is_over(self, now: Stamp) -> bool {
        self.0.is_some_and(|end| end <= now)
    }

    fn parse(text: &str) -> Option<Self> {
        let nanos = match OffsetDateTime::parse(text, &Rfc3339) {
            Ok(time) => time.unix_timestamp_nanos(),
            Err(_) => Date::parse(text, format_description!("[year]-[month]-[day]"))
                .ok()?
                .midnight()
                .assume_utc()
                .unix_timestamp_nanos(),
        };
        Some(Self(Some(Stamp(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX)))))
    }
}

impl<'de> Deserialize<'de> for Expiry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = match Value::deserialize(deserializer)? {
            Value::Null => Some(Self(None)),
            Value::String(text) if text.is_empty() => Some(Self(None)),
            Value::String(text) => Self::parse(&text),
            Value::Number(seconds) => {
                seconds.as_u64().map(|seconds| Self(Some(Stamp(seconds.saturating_mul(1_000_000_000)))))
            }
            _ => None,
        };
        found.ok_or_else(|| serde::de::Error::custom("an end is an RFC 3339 time, a date, or seconds since 1970"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        let parse = |text: &str| serde_json::from_str::<Expiry>(text).map(|expiry| expiry.0.map(Stamp::seconds));
        assert_eq!(parse("null").unwrap(), None);
        assert_eq!(parse("\"\"").unwrap(), None);
        assert_eq!(parse("60").unwrap(), Some(60));
        assert_eq!(parse("\"1970-01-02\"").unwrap(), Some(86_400));
        assert_eq!(parse("\"1970-01-01T01:00:00+01:00\"").unwrap(), Some(0));
        assert!(parse("\"soon\"").is_err() && parse("true").is_err() && parse("-1").is_err());
        let (early, late, never) = (Expiry(Some(Stamp(1))), Expiry(Some(Stamp(2))), Expiry(None));
        assert_eq!((early.or_earlier(late), never.or_earlier(late)), (early, late));
        assert!(early.is_over(Stamp(1)) && !late.is_over(Stamp(1)) && !never.is_over(Stamp(9)));
    }
}
