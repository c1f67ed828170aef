//! Quotas: what they are of, how full they are, and what changes them beside writes.

use std::fmt;
use std::sync::Arc;

use crate::bucket_config::{QuotaLimits, QuotaResource};
use crate::names::{BucketId, BucketName, CanonicalId};

/// What a quota is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QuotaScope {
    /// A bucket.
    Bucket(BucketId),
    /// The keys of a bucket that begin with this.
    Prefix(BucketId, Arc<str>),
    /// What a user owns, in whatever bucket.
    Owner(CanonicalId),
}

impl fmt::Display for QuotaScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket(_) => f.write_str("the bucket"),
            Self::Prefix(_, prefix) => write!(f, "the prefix {prefix:?}"),
            Self::Owner(owner) => write!(f, "user {}", owner.as_str()),
        }
    }
}

/// How much of each resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quantity {
    /// Bytes of objects, noncurrent versions and parts of uploads in progress.
    pub bytes: u64,
    /// Objects and noncurrent versions; delete markers do not count.
    pub objects: u64,
}

impl Quantity {
    /// So much of one resource.
    pub fn of(&self, resource: QuotaResource) -> u64 {
        match resource {
            QuotaResource::Bytes => self.bytes,
            QuotaResource::Objects => self.objects,
        }
    }
}

/// How full a quota is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuotaAccount {
    /// Its limits.
    pub limits: QuotaLimits,
    /// What is there.
    pub used: Quantity,
    /// What was promised to bodies that are under way.
    pub reserved: Quantity,
    /// The highest warning threshold that was reached, in per cent, of bytes and of objects; 0 for none.
    pub warned: [u8; 2],
    /// Whether what was there before the quota is still being counted: until then `used` may be too low.
    pub is_counting: bool,
}

impl QuotaAccount {
    /// The highest warning threshold that a resource has reached, in per cent.
    pub fn warning(&self, resource: QuotaResource) -> Option<u8> {
        let [bytes, objects] = self.warned;
        let percent = match resource {
            QuotaResource::Bytes => bytes,
            QuotaResource::Objects => objects,
        };
        (percent > 0).then_some(percent)
    }
}

/// A quota has come to one of the warning thresholds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaWarning {
    /// The bucket's name, unless the quota is a user's.
    pub bucket: Option<BucketName>,
    /// Of what the quota is.
    pub scope: QuotaScope,
    /// Of which resource.
    pub resource: QuotaResource,
    /// The threshold, in per cent.
    pub percent: u8,
    /// How much is there.
    pub used: u64,
    /// Of how much there may be.
    pub limit: u64,
}

/// Sets the quotas of users, or takes them away. What a user owns is counted from then on, beginning with [`CountMeter`].
#[derive(Debug)]
pub struct LimitOwners {
    /// Users and their limits, at most [`LimitOwners::CHANGES_MAX`].
    pub limits: Vec<(CanonicalId, Option<QuotaLimits>)>,
}

impl LimitOwners {
    /// Most users of one commit.
    pub const CHANGES_MAX: usize = 256;
}

/// Counts some more of what was there before a quota. Answers whether everything is counted, or the quota is gone.
#[derive(Debug)]
pub struct CountMeter {
    /// Of what.
    pub scope: QuotaScope,
}
