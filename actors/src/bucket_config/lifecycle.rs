//! Expiration rules (S3 User Guide, "Managing the lifecycle of objects"): the data. What they mean stands in `lifecycle_rules`.

use serde::{Deserialize, Serialize};

use super::Tag;

/// The rules of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lifecycle {
    /// 1 to 1000 rules, their ids unique.
    pub rules: Vec<LifecycleRule>,
    /// `x-amz-transition-default-minimum-object-size` is `varies_by_storage_class`, and not the default. Kept and told only,
    /// since there are no transitions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub transition_minimum_varies: bool,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LifecycleRule {
    /// Its id; never empty.
    pub id: String,
    /// Whether it is in force.
    pub enabled: bool,
    /// Which objects it is about.
    pub filter: LifecycleFilter,
    /// Whether the document had the older `Prefix` in place of `Filter`.
    pub legacy_prefix: bool,
    /// When current objects expire.
    pub expiration: Option<Expiration>,
    /// When noncurrent versions expire.
    pub noncurrent: Option<NoncurrentExpiration>,
    /// When uploads in progress are aborted.
    pub abort_uploads: Option<AbortUploads>,
}

/// Which objects a rule is about: all that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LifecycleFilter {
    /// The key begins with this.
    pub prefix: Option<String>,
    /// It has all these tags.
    pub tags: Vec<Tag>,
    /// It is larger than this, in bytes.
    pub size_greater_than: Option<u64>,
    /// It is smaller than this, in bytes.
    pub size_less_than: Option<u64>,
    /// Whether the document had the conditions within `And`.
    pub and: bool,
}

/// When current objects expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expiration {
    /// So many days after they were made, at least 1; delete markers that stand alone too.
    Days(u32),
    /// At this time, in seconds since 1970: a midnight in UTC.
    Date(u64),
    /// Whether delete markers that stand alone go at once; current objects stay.
    ExpiredDeleteMarker(bool),
}

/// When noncurrent versions expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoncurrentExpiration {
    /// So many days after they became noncurrent, at least 1.
    pub days: u32,
    /// So many newest noncurrent versions stay, 1 to 100.
    pub newer_versions: Option<u32>,
}

/// When uploads in progress are aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbortUploads {
    /// So many days after their initiation, at least 1.
    pub days: u32,
}
