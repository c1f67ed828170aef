//! A rule with priority, filter and options of its own, as JSON has it: in `replication_rules.json` and in the node's own routes. Pure.

use serde::{Deserialize, Serialize};

use crate::bucket_config::{ReplicationFilter, ReplicationRule};
use crate::names::Stamp;

/// A time as its text (RFC 3339).
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Time(Stamp);

impl TryFrom<String> for Time {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Stamp::parse_time_or_date(&text).map(Self).ok_or("`added` is no time (RFC 3339)")
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.0.rfc3339()
    }
}

/// The document of a [`ReplicationRule`]. A field that is not known is refused: it would seem to be obeyed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleDocument {
    id: String,
    #[serde(default)]
    priority: u32,
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    tags: Vec<(String, String)>,
    #[serde(default)]
    delete_markers: bool,
    #[serde(default)]
    delete_versions: bool,
    #[serde(default)]
    existing: bool,
    /// Set by the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    added: Option<Time>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    legacy: bool,
}

fn yes() -> bool {
    true
}

impl From<RuleDocument> for ReplicationRule {
    fn from(document: RuleDocument) -> Self {
        let RuleDocument { id, priority, enabled, prefix, tags, delete_markers, delete_versions, .. } = document;
        Self {
            id,
            priority,
            enabled,
            filter: ReplicationFilter { prefix, tags },
            delete_markers,
            delete_versions,
            existing: document.existing,
            added: document.added.map(|Time(added)| added),
            is_legacy: document.legacy,
        }
    }
}

impl From<&ReplicationRule> for RuleDocument {
    fn from(rule: &ReplicationRule) -> Self {
        let ReplicationFilter { prefix, tags } = rule.filter.clone();
        Self {
            id: rule.id.clone(),
            priority: rule.priority,
            enabled: rule.enabled,
            prefix,
            tags,
            delete_markers: rule.delete_markers,
            delete_versions: rule.delete_versions,
            existing: rule.existing,
            added: rule.added.map(Time),
            legacy: rule.is_legacy,
        }
    }
}
