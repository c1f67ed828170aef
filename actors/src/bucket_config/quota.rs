//! Quotas: how much a bucket, the keys of a bucket that begin alike, or a user may hold (docs/quotas.md).

use serde::{Deserialize, Serialize};

use crate::names::KEY_BYTES_MAX;

/// Most quotas of prefixes that a bucket has: each is looked at when a key of the bucket is written.
pub const PREFIX_QUOTAS_MAX: usize = 32;

/// What may be held; an absent limit is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct QuotaLimits {
    /// Bytes of objects, noncurrent versions and parts of uploads in progress.
    #[serde(alias = "max_size_bytes")]
    pub max_bytes: Option<u64>,
    /// Objects and noncurrent versions.
    pub max_objects: Option<u64>,
}

impl QuotaLimits {
    /// Whether it limits nothing.
    pub fn is_unlimited(&self) -> bool {
        self.max_bytes.is_none() && self.max_objects.is_none()
    }

    /// The limit of a resource.
    pub fn of(&self, resource: QuotaResource) -> Option<u64> {
        match resource {
            QuotaResource::Bytes => self.max_bytes,
            QuotaResource::Objects => self.max_objects,
        }
    }
}

/// What a limit is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QuotaResource {
    /// Bytes.
    Bytes,
    /// Objects and noncurrent versions.
    Objects,
}

impl QuotaResource {
    /// Both, in the order in which they are looked at.
    pub const ALL: [Self; 2] = [Self::Bytes, Self::Objects];

    /// The field that limits it.
    pub fn field(self) -> &'static str {
        match self {
            Self::Bytes => "max_bytes",
            Self::Objects => "max_objects",
        }
    }
}

/// The quota of the keys of a bucket that begin with a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixQuota {
    /// The prefix; never empty.
    pub prefix: String,
    /// What they may hold together.
    #[serde(flatten)]
    pub limits: QuotaLimits,
}

/// The quotas of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BucketQuota {
    /// What the whole bucket may hold.
    #[serde(flatten)]
    pub limits: QuotaLimits,
    /// What keys that begin alike may hold, each prefix once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<PrefixQuota>,
}

/// Why a document is no quota.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuota {
    /// A prefix is empty or longer than a key.
    #[error("a prefix has 1 to {KEY_BYTES_MAX} bytes; the quota of the whole bucket has none")]
    PrefixLength,
    /// A prefix stands twice.
    #[error("the prefix {0:?} stands twice")]
    PrefixTwice(String),
    /// A prefix without any limit.
    #[error("the prefix {0:?} has neither max_bytes nor max_objects")]
    PrefixUnlimited(String),
    /// Too many prefixes.
    #[error("a bucket has quotas for at most {PREFIX_QUOTAS_MAX} prefixes")]
    TooManyPrefixes,
}

impl BucketQuota {
    /// Checks what was read from a document; one that limits nothing is none.
    pub fn checked(self) -> Result<Option<Self>, InvalidQuota> {
        if self.prefixes.len() > PREFIX_QUOTAS_MAX {
            return Err(InvalidQuota::TooManyPrefixes);
        }
        for (place, PrefixQuota { prefix, limits }) in self.prefixes.iter().enumerate() {
            if prefix.is_empty() || prefix.len() > KEY_BYTES_MAX {
                return Err(InvalidQuota::PrefixLength);
            }
            if self.prefixes.iter().take(place).any(|other| other.prefix == *prefix) {
                return Err(InvalidQuota::PrefixTwice(prefix.clone()));
            }
            if limits.is_unlimited() {
                return Err(InvalidQuota::PrefixUnlimited(prefix.clone()));
            }
        }
        Ok((!self.limits.is_unlimited() || !self.prefixes.is_empty()).then_some(self))
    }

    /// The quotas of prefixes that a key begins with.
    pub fn of_key<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = &'a PrefixQuota> {
        self.prefixes.iter().filter(move |quota| key.starts_with(quota.prefix.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(document: &str) -> Result<Option<BucketQuota>, InvalidQuota> {
        serde_json::from_str::<BucketQuota>(document).unwrap().checked()
    }

    #[test]
    fn documents() {
        let limits = QuotaLimits { max_bytes: Some(10), max_objects: None };
        let plain = BucketQuota { limits, prefixes: Vec::new() };
        for text in [r#"{"max_bytes": 10}"#, r#"{"max_size_bytes": 10, "max_objects": null}"#] {
            assert_eq!(checked(text), Ok(Some(plain.clone())), "{text}");
        }
        assert_eq!(serde_json::to_string(&plain).unwrap(), r#"{"max_bytes":10,"max_objects":null}"#);
        for text in ["{}", r#"{"max_bytes": null, "max_objects": null, "prefixes": []}"#] {
            assert_eq!(checked(text), Ok(None), "{text}");
        }
        let prefixed = checked(r#"{"prefixes": [{"prefix": "a/", "max_objects": 0}]}"#).unwrap().unwrap();
        assert_eq!(serde_json::from_str::<BucketQuota>(&serde_json::to_string(&prefixed).unwrap()).unwrap(), prefixed);
        let of = |key: &str| prefixed.of_key(key.as_bytes()).count();
        assert_eq!((of("a/b"), of("a"), of("b/a/")), (1, 0, 0));
    }

    #[test]
    fn what_is_no_quota() {
        let one = |prefix: &str| format!(r#"{{"prefix": "{prefix}", "max_bytes": 1}}"#);
        let list = |prefixes: &[String]| format!(r#"{{"prefixes": [{}]}}"#, prefixes.join(","));
        assert_eq!(checked(&list(&[one("")])), Err(InvalidQuota::PrefixLength));
        assert_eq!(checked(&list(&[one(&"p".repeat(1025))])), Err(InvalidQuota::PrefixLength));
        assert_eq!(checked(&list(&[one("a"), one("b"), one("a")])), Err(InvalidQuota::PrefixTwice("a".to_owned())));
        let unlimited = r#"{"prefixes": [{"prefix": "a", "max_bytes": null}]}"#;
        assert_eq!(checked(unlimited), Err(InvalidQuota::PrefixUnlimited("a".to_owned())));
        let many = |n: usize| list(&(0..n).map(|n| one(&format!("p{n}"))).collect::<Vec<_>>());
        assert!(checked(&many(PREFIX_QUOTAS_MAX)).is_ok());
        assert_eq!(checked(&many(PREFIX_QUOTAS_MAX + 1)), Err(InvalidQuota::TooManyPrefixes));
    }
}
