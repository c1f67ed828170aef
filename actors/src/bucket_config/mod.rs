//! What is configured of a bucket beside its name and owner: plain data, kept by Storage and published with the bucket, and
//! the pure rules on it. Documents are checked where they are parsed; what is here is valid.
//!
//! Kept as JSON, so a field is found by its name: a new one is optional, and older rows read as if it were absent.

mod access;
mod cors;
mod encryption;
mod lifecycle;
mod lifecycle_rules;
mod logging;
mod notification;
mod object_lock;
mod quota;
mod replication;
mod website;

use serde::{Deserialize, Serialize};

pub use access::{Acl, Grant, Grantee, ObjectOwnership, Permission, PublicAccessBlock};
pub use cors::{Cors, CorsRule, CrossOrigin};
pub use encryption::{BucketEncryption, DefaultEncryption};
pub use lifecycle::{AbortUploads, Expiration, Lifecycle, LifecycleFilter, LifecycleRule, NoncurrentExpiration};
pub use lifecycle_rules::{Day, Due, LifecycleKind, Subject};
pub use logging::{Logging, PartitionDate};
pub use notification::{EventKind, EventPattern, Notification, NotificationTarget, Overlap, TargetKind};
pub use object_lock::{DefaultRetention, ObjectLock, Retention, RetentionMode, RetentionPeriod};
pub use quota::{BucketQuota, InvalidQuota, PREFIX_QUOTAS_MAX, PrefixQuota, QuotaLimits, QuotaResource};
pub use replication::{
    BucketReplication, ReplicatedChange, ReplicationFilter, ReplicationLimits, ReplicationRule, RuleSet, TargetId,
};
pub use website::{Redirect, RedirectAll, RoutingCondition, RoutingRule, Website};

/// Key and value of a tag.
pub type Tag = (String, String);

/// Most tags of a bucket (S3 User Guide, "Using cost allocation S3 bucket tags").
pub const BUCKET_TAGS_MAX: usize = 50;

/// All configurations of a bucket; an absent one was never set, or removed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BucketConfig {
    /// Its access control list; absent means that its owner has full control, and nobody else any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<Acl>,
    /// Who owns new objects, and whether ACLs count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ownership: Option<ObjectOwnership>,
    /// What public access is refused whatever ACLs and policy say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_access_block: Option<PublicAccessBlock>,
    /// Its tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Tag>>,
    /// Cross-origin rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// Static website.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<Website>,
    /// Expiration rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    /// Whether the ages of objects, versions and uploads are kept in rows of their own: from the first lifecycle rules on, for ever.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keeps_times: bool,
    /// Whether changes tell where they come from, and deletes leave tombstones: from the first replication rule, or the first change of
    /// another node, on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keeps_changes: bool,
    /// Present when objects may be locked; once present it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_lock: Option<ObjectLock>,
    /// Who is told of events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification: Option<Notification>,
    /// Where server access logs go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// Whether requesters pay; recorded, and asked for in requests of others, but nobody is billed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub requester_pays: bool,
    /// Transfer acceleration; absent while it was never set. Recorded only: there is one endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accelerate: Option<bool>,
    /// How much it may hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<BucketQuota>,
    /// How new objects are encrypted when their request does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<BucketEncryption>,
}

/// A change of one configuration; none removes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of BucketConfig")]
pub enum ConfigChange {
    Acl(Option<Acl>),
    Ownership(Option<ObjectOwnership>),
    PublicAccessBlock(Option<PublicAccessBlock>),
    Tags(Option<Vec<Tag>>),
    /// Of the tags that are there when it is made.
    MergeTags {
        /// Added, or put in place of those of the same keys.
        set: Vec<Tag>,
        /// Keys of those that go.
        remove: Vec<String>,
    },
    Cors(Option<Cors>),
    Website(Option<Website>),
    Lifecycle(Option<Lifecycle>),
    ObjectLock(ObjectLock),
    Notification(Option<Notification>),
    Logging(Option<Logging>),
    RequesterPays(bool),
    Accelerate(bool),
    Quota(Option<BucketQuota>),
    Encryption(Option<BucketEncryption>),
}

impl ConfigChange {
    /// Whether what it changes is the same in two configurations.
    pub fn finds_the_same(&self, one: &BucketConfig, other: &BucketConfig) -> bool {
        match self {
            Self::Acl(_) => one.acl == other.acl,
            Self::Ownership(_) => one.ownership == other.ownership,
            Self::PublicAccessBlock(_) => one.public_access_block == other.public_access_block,
            Self::Tags(_) | Self::MergeTags { .. } => one.tags == other.tags,
            Self::Cors(_) => one.cors == other.cors,
            Self::Website(_) => one.website == other.website,
            Self::Lifecycle(_) => one.lifecycle == other.lifecycle,
            Self::ObjectLock(_) => one.object_lock == other.object_lock,
            Self::Notification(_) => one.notification == other.notification,
            Self::Logging(_) => one.logging == other.logging,
            Self::RequesterPays(_) => one.requester_pays == other.requester_pays,
            Self::Accelerate(_) => one.accelerate == other.accelerate,
            Self::Quota(_) => one.quota == other.quota,
            Self::Encryption(_) => one.encryption == other.encryption,
        }
    }
}

impl BucketConfig {
    /// Makes a change.
    pub fn apply(&mut self, change: ConfigChange) {
        match change {
            ConfigChange::Acl(acl) => self.acl = acl,
            ConfigChange::Ownership(ownership) => self.ownership = ownership,
            ConfigChange::PublicAccessBlock(block) => self.public_access_block = block,
            ConfigChange::Tags(tags) => self.tags = tags,
            ConfigChange::MergeTags { set, remove } => {
                let mut tags = self.tags.take().unwrap_or_default();
                tags.retain(|(key, _)| !remove.contains(key) && !set.iter().any(|(other, _)| other == key));
                tags.extend(set);
                // A bucket without tags has no tag set.
                self.tags = (!tags.is_empty()).then_some(tags);
            }
            ConfigChange::Cors(cors) => self.cors = cors,
            ConfigChange::Website(website) => self.website = website,
            ConfigChange::Lifecycle(lifecycle) => {
                self.keeps_times |= lifecycle.is_some();
                self.lifecycle = lifecycle;
            }
            ConfigChange::ObjectLock(lock) => self.object_lock = Some(lock),
            ConfigChange::Notification(notification) => self.notification = notification,
            ConfigChange::Logging(logging) => self.logging = logging,
            ConfigChange::RequesterPays(pays) => self.requester_pays = pays,
            ConfigChange::Accelerate(enabled) => self.accelerate = Some(enabled),
            ConfigChange::Quota(quota) => self.quota = quota,
            ConfigChange::Encryption(encryption) => self.encryption = encryption,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_merged_into_those_that_are_there() {
        let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut config = BucketConfig { tags: Some(pairs(&[("a", "1"), ("b", "1")])), ..BucketConfig::default() };
        config.apply(ConfigChange::MergeTags { set: pairs(&[("b", "2"), ("c", "2")]), remove: Vec::new() });
        assert_eq!(config.tags, Some(pairs(&[("a", "1"), ("b", "2"), ("c", "2")])));
        let remove = ["a", "b", "c", "none"].map(str::to_owned).to_vec();
        config.apply(ConfigChange::MergeTags { set: Vec::new(), remove });
        assert_eq!(config.tags, None);
    }

    #[test]
    fn a_change_finds_another_setting_only_where_it_is_its_own() {
        let tag = || vec![("a".to_owned(), "1".to_owned())];
        let logging = Logging {
            target_bucket: "logs".to_owned(),
            target_prefix: String::new(),
            target_grants: Vec::new(),
            partitioned_by: None,
            simple_prefix: false,
        };
        let all = [
            ConfigChange::Acl(Some(Acl::default())),
            ConfigChange::Ownership(Some(ObjectOwnership::ObjectWriter)),
            ConfigChange::PublicAccessBlock(Some(PublicAccessBlock::default())),
            ConfigChange::Tags(Some(tag())),
            ConfigChange::Cors(Some(Cors::default())),
            ConfigChange::Website(Some(Website::default())),
            ConfigChange::Lifecycle(Some(Lifecycle::default())),
            ConfigChange::ObjectLock(ObjectLock::default()),
            ConfigChange::Notification(Some(Notification::default())),
            ConfigChange::Logging(Some(logging)),
            ConfigChange::RequesterPays(true),
            ConfigChange::Accelerate(true),
            ConfigChange::Quota(Some(BucketQuota::default())),
            ConfigChange::Encryption(Some(BucketEncryption::default())),
        ];
        let before = BucketConfig::default();
        for (at, made) in all.iter().enumerate() {
            let mut after = before.clone();
            after.apply(made.clone());
            for (other, change) in all.iter().enumerate() {
                assert_eq!(change.finds_the_same(&before, &after), other != at, "{made:?} and {change:?}");
            }
        }
        let mut tagged = before.clone();
        tagged.apply(ConfigChange::Tags(Some(tag())));
        let merge = ConfigChange::MergeTags { set: tag(), remove: Vec::new() };
        assert!(!merge.finds_the_same(&before, &tagged) && merge.finds_the_same(&tagged, &tagged));
    }
}
