//! Which changes of a bucket are replicated: the rules as Storage's planner asks for them at each change. Pure.
//!
//! What they are made of (connections, states, documents) is the replication worker's; this is what it publishes.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::Tag;
use crate::names::{BucketName, NodeId, Stamp};

/// What a bucket is replicated to, as a name for its queue: stays the same while connection and target bucket do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(pub Arc<str>);

impl TargetId {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bounds of what replication keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicationLimits {
    /// Entries of one queue (`REPLICATION_BACKLOG_MAX`); beyond it nothing more is queued, and the rule resyncs.
    pub backlog_max: u64,
    /// Tombstones of one bucket (`REPLICATION_TOMBSTONES_MAX`); beyond it the oldest go.
    pub tombstones_max: u64,
    /// Days that tombstones are kept (`REPLICATION_TOMBSTONE_DAYS`).
    pub tombstone_days: u32,
    /// Days that conflict copies are kept (`REPLICATION_CONFLICT_DAYS`).
    pub conflict_days: u32,
}

impl Default for ReplicationLimits {
    fn default() -> Self {
        Self { backlog_max: 2_000_000, tombstones_max: 1_000_000, tombstone_days: 30, conflict_days: 30 }
    }
}

/// The rules of all buckets that are replicated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleSet {
    /// By the bucket's name.
    pub buckets: HashMap<BucketName, BucketReplication>,
    /// What holds for all of them.
    pub limits: ReplicationLimits,
}

/// How one bucket is replicated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketReplication {
    /// Where to.
    pub target: TargetId,
    /// The node that is there, once it is known: its own changes are not sent back to it.
    pub peer: Option<NodeId>,
    /// Since when.
    pub since: Stamp,
    /// Whether a back-fill has sent what was there before.
    pub filled: bool,
    /// The rules; more than one only if they were set through S3.
    pub rules: Vec<ReplicationRule>,
}

/// A replication rule (S3 API Reference, ReplicationRule).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationRule {
    /// Its id.
    pub id: String,
    /// Of several rules that match, the one of the highest priority counts.
    pub priority: u32,
    /// Whether it is in force. A rule that is paused stays in force: its changes wait.
    pub enabled: bool,
    /// Which objects it is about.
    pub filter: ReplicationFilter,
    /// Whether delete markers, and deletes in buckets without versions, are replicated.
    pub delete_markers: bool,
    /// Whether deletes of versions are.
    pub delete_versions: bool,
    /// Whether objects are that were there before it.
    pub existing: bool,
    /// When it came to rules that were there already, if none of them was about all that it is about.
    pub added: Option<Stamp>,
    /// Whether it was set in the older form of S3, which has no word for priority, tags and delete markers; told in that form, too.
    pub is_legacy: bool,
}

/// Which objects a rule is about: all of these must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplicationFilter {
    /// Keys begin with it.
    pub prefix: String,
    /// Objects have these tags.
    pub tags: Vec<Tag>,
}

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicatedChange<'a> {
    /// An object with these tags is written or changed.
    Object(&'a [Tag]),
    /// A delete marker, or the delete of the only state of a key.
    Delete,
    /// A version is deleted for good.
    DeleteVersion,
}

impl ReplicationFilter {
    /// Whether everything that another one is about is what this is about.
    pub fn covers(&self, other: &Self) -> bool {
        other.prefix.starts_with(&self.prefix) && self.tags.iter().all(|tag| other.tags.contains(tag))
    }

    fn matches(&self, key: &str, tags: Option<&[Tag]>) -> bool {
        let has_tags = tags.map_or(self.tags.is_empty(), |tags| self.tags.iter().all(|tag| tags.contains(tag)));
        key.starts_with(&self.prefix) && has_tags
    }
}

impl BucketReplication {
    /// The rule that is about a key, or an object with its tags. Without tags those of the object are not known, and rules that ask
    /// for some are about others (S3 User Guide, "Replicating delete markers between buckets").
    pub fn rule(&self, key: &str, tags: Option<&[Tag]>) -> Option<&ReplicationRule> {
        let matching = self.rules.iter().filter(|rule| rule.enabled && rule.filter.matches(key, tags));
        matching.max_by_key(|rule| rule.priority)
    }

    /// Whether something that was written at a time is meant, as far as that goes: what was there before only where a rule says so.
    pub fn means(&self, key: &str, tags: Option<&[Tag]>, written: Stamp) -> bool {
        written >= self.since || self.rule(key, tags).is_some_and(|rule| rule.existing)
    }

    /// Whether an object was sent, or is to be, that was changed last at a time: after the rule came that is about it, or before, if that
    /// was gone through.
    pub fn covers(&self, key: &str, tags: &[Tag], changed: Stamp) -> bool {
        let matching = self.rules.iter().filter(|rule| rule.enabled && rule.filter.matches(key, Some(tags)));
        let mut since = matching.map(|rule| (self.since.max(rule.added.unwrap_or(self.since)), rule.existing));
        since.any(|(since, existing)| changed >= since || (existing && self.filled))
    }

    /// Whether a change is replicated.
    pub fn matches(&self, key: &str, change: ReplicatedChange<'_>) -> bool {
        match change {
            ReplicatedChange::Object(tags) => self.rule(key, Some(tags)).is_some(),
            ReplicatedChange::Delete => self.rule(key, None).is_some_and(|rule| rule.delete_markers),
            ReplicatedChange::DeleteVersion => self.rule(key, None).is_some_and(|rule| rule.delete_versions),
        }
    }
}

impl RuleSet {
    /// How a bucket is replicated, if it is.
    pub fn of(&self, bucket: &BucketName) -> Option<&BucketReplication> {
        self.buckets.get(bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: &str, priority: u32, prefix: &str, tags: &[(&str, &str)]) -> ReplicationRule {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        ReplicationRule {
            id: id.to_owned(),
            priority,
            enabled: true,
            filter: ReplicationFilter { prefix: prefix.to_owned(), tags },
            delete_markers: true,
            delete_versions: false,
            existing: false,
            added: None,
            is_legacy: false,
        }
    }

    #[test]
    fn the_highest_priority_that_matches_counts() {
        let narrow = ReplicationRule { delete_markers: false, ..rule("narrow", 2, "logs/", &[]) };
        let off = ReplicationRule { enabled: false, ..rule("off", 9, "", &[]) };
        let rules = vec![rule("wide", 1, "", &[]), narrow, off, rule("tagged", 3, "", &[("keep", "1")])];
        let target = TargetId("t".into());
        let bucket = BucketReplication { target, peer: None, since: Stamp(0), filled: false, rules };
        let id = |key: &str, tags: Option<&[Tag]>| bucket.rule(key, tags).map(|rule| rule.id.clone());
        let kept = [("keep".to_owned(), "1".to_owned()), ("other".to_owned(), String::new())];
        assert_eq!(id("a", Some(&[])).as_deref(), Some("wide"));
        assert_eq!(id("logs/a", Some(&[])).as_deref(), Some("narrow"));
        assert_eq!(id("logs/a", Some(&kept)).as_deref(), Some("tagged"));
        assert_eq!(id("logs/a", None).as_deref(), Some("narrow"), "a delete has no tags");
        assert!(bucket.matches("a", ReplicatedChange::Delete) && !bucket.matches("logs/a", ReplicatedChange::Delete));
        assert!(!bucket.matches("a", ReplicatedChange::DeleteVersion));
    }

    #[test]
    fn what_was_there_before_is_meant_by_some_rules_only() {
        let existing = ReplicationRule { existing: true, ..rule("existing", 2, "old/", &[]) };
        let (target, rules) = (TargetId("t".into()), vec![rule("wide", 1, "", &[]), existing]);
        let bucket = BucketReplication { target, peer: None, since: Stamp(5), filled: false, rules };
        let means = |key: &str, written| bucket.means(key, Some(&[]), Stamp(written));
        assert!(means("a", 5) && !means("a", 4) && means("old/a", 4));
    }

    #[test]
    fn what_a_later_rule_is_about_was_not_sent_before_it() {
        let later = ReplicationRule { added: Some(Stamp(9)), ..rule("later", 2, "b/", &[]) };
        let (target, rules) = (TargetId("t".into()), vec![rule("first", 1, "a/", &[]), later]);
        let bucket = BucketReplication { target, peer: None, since: Stamp(5), filled: true, rules };
        let covers = |key: &str, changed| bucket.covers(key, &[], Stamp(changed));
        assert!(covers("a/x", 5) && !covers("a/x", 4) && covers("b/x", 9) && !covers("b/x", 8) && !covers("c", 10));
        let filter = |prefix: &str, tags| rule("", 0, prefix, tags).filter;
        assert!(
            filter("a", &[]).covers(&filter("a/b", &[("k", "v")])) && !filter("a/b", &[]).covers(&filter("a", &[]))
        );
        assert!(!filter("", &[("k", "v")]).covers(&filter("", &[("k", "w")])));
    }
}
