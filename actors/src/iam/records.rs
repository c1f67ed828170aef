//! The shape of `iam.json`. Fields that are not listed here are kept as they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::bucket_config::QuotaLimits;
use crate::names::Stamp;

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FileRecord {
    pub users: Vec<UserRecord>,
    /// Users and roles that were deleted: their ids, never to be given away again, and the account that keeps what they own.
    pub former_users: Vec<FormerUserRecord>,
    pub groups: Vec<GroupRecord>,
    pub managed_policies: Vec<ManagedRecord>,
    pub roles: Vec<RoleRecord>,
    pub oidc_providers: Vec<ProviderRecord>,
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
    pub attached_policies: Vec<String>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(default)]
    pub created_at: Moment,
    pub quota: Option<QuotaLimits>,
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
    #[serde(default)]
    pub created_at: Moment,
}

/// A deleted user or role.
#[derive(Debug, Deserialize)]
pub(super) struct FormerUserRecord {
    pub user_id: String,
    pub account_id: String,
    /// Whether it was a role.
    #[serde(default)]
    pub role: bool,
}

/// A group. Without an account it is every account's.
#[derive(Debug, Deserialize)]
pub(super) struct GroupRecord {
    pub name: String,
    pub path: Option<String>,
    pub account_id: Option<String>,
    pub group_id: Option<String>,
    #[serde(default)]
    pub policies: Vec<Value>,
    #[serde(default)]
    pub attached_policies: Vec<String>,
    #[serde(default)]
    pub created_at: Moment,
}

/// A managed policy. Without an account it is every account's; who types one may give its `document` alone, which is then its
/// version `v1`.
#[derive(Debug, Deserialize)]
pub(super) struct ManagedRecord {
    pub policy_name: String,
    pub path: Option<String>,
    pub account_id: Option<String>,
    pub policy_id: Option<String>,
    pub description: Option<String>,
    pub default_version_id: Option<String>,
    #[serde(default)]
    pub versions: Vec<VersionRecord>,
    pub document: Option<Value>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(default)]
    pub created_at: Moment,
    #[serde(default)]
    pub updated_at: Moment,
}

/// A version of a managed policy.
#[derive(Debug, Deserialize)]
pub(super) struct VersionRecord {
    pub version_id: String,
    pub document: Value,
    #[serde(default)]
    pub created_at: Moment,
}

/// A role. Without an account it is of that of the first administrator.
#[derive(Debug, Deserialize)]
pub(super) struct RoleRecord {
    pub role_name: String,
    pub path: Option<String>,
    pub account_id: Option<String>,
    pub role_id: Option<String>,
    pub canonical_id: Option<String>,
    pub assume_role_policy: Option<Value>,
    /// The users and roles that the trust policy named when it was put.
    pub assume_role_principals: Option<Value>,
    #[serde(default)]
    pub policies: Vec<Value>,
    #[serde(default)]
    pub attached_policies: Vec<String>,
    pub max_session_duration: Option<u64>,
    pub description: Option<String>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(default)]
    pub created_at: Moment,
}

/// An OpenID Connect provider. Without an account it is of that of the first administrator.
#[derive(Debug, Deserialize)]
pub(super) struct ProviderRecord {
    pub url: String,
    pub account_id: Option<String>,
    #[serde(default)]
    pub client_ids: Vec<String>,
    #[serde(default)]
    pub thumbprints: Vec<String>,
    /// Whether it may be on this machine or a private network, and without TLS.
    pub private: Option<bool>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(default)]
    pub created_at: Moment,
}

/// When something was made. It only informs, so what is no time is as good as none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moment(pub Option<Stamp>);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Expiry::of(&Value::deserialize(deserializer)?).and_then(|time| time.0)))
    }
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

    /// Whether it comes at all.
    pub fn has_end(self) -> bool {
        self.0.is_some()
    }

    /// Whether it has come.
    pub fn is_over(self, now: Stamp) -> bool {
        self.0.is_some_and(|end| end <= now)
    }

    /// Reads a value of JSON.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self(None)),
            Value::String(text) if text.is_empty() => Some(Self(None)),
            Value::String(text) => Stamp::parse_time_or_date(text).map(|end| Self(Some(end))),
            Value::Number(seconds) => {
                seconds.as_u64().map(|seconds| Self(Some(Stamp(seconds.saturating_mul(1_000_000_000)))))
            }
            _ => None,
        }
    }
}

/// Reads when something ends, as the file has it: an RFC 3339 time, a date, seconds since the epoch, or null for never. None for
/// anything else.
pub fn end_of(value: &Value) -> Option<Option<Stamp>> {
    Expiry::of(value).map(|end| end.0)
}

impl<'de> Deserialize<'de> for Expiry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = Self::of(&Value::deserialize(deserializer)?);
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
        let made = |text: &str| serde_json::from_str::<Moment>(text).unwrap().0.map(Stamp::seconds);
        assert_eq!((made("\"1970-01-02\""), made("\"soon\""), made("[]")), (Some(86_400), None, None));
        assert!(early.is_over(Stamp(1)) && !late.is_over(Stamp(1)) && !never.is_over(Stamp(9)));
    }
}
