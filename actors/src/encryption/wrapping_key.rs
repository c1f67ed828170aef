//! Which key data keys are wrapped under: what objects are counted by, and chosen by when they are wrapped anew.

use std::fmt;

use super::{Encryption, Method};

/// A key under which data keys are wrapped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WrappingKey {
    /// The node's master key of this id (SSE-S3).
    Managed(String),
    /// The KMS key of this id (SSE-KMS), whatever the version of its material.
    Kms(String),
    /// Keys of customers, all together: the node knows none of them (SSE-C).
    Customer,
}

impl WrappingKey {
    /// The method by its usual name: `SSE-S3`, `SSE-KMS` or `SSE-C`.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Managed(_) => "SSE-S3",
            Self::Kms(_) => "SSE-KMS",
            Self::Customer => "SSE-C",
        }
    }

    /// The id of the key; none of customers' keys.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Managed(id) | Self::Kms(id) => Some(id),
            Self::Customer => None,
        }
    }
}

impl fmt::Display for WrappingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id() {
            Some(id) => write!(f, "{} key {id}", self.method()),
            None => f.write_str(self.method()),
        }
    }
}

impl Encryption {
    /// The key under which the data key is wrapped.
    pub fn wrapping_key(&self) -> WrappingKey {
        match &self.method {
            Method::Managed { master } => WrappingKey::Managed(master.clone()),
            Method::Kms { key_id, .. } => WrappingKey::Kms(key_id.clone()),
            Method::Customer(_) => WrappingKey::Customer,
        }
    }
}
