//! A rule with priority, filter and options of its own, as JSON has it: in `replication_rules.json` and in the node's own routes. Pure.

use serde::{Deserialize, Serialize};

use crate::bucket_config::{ReplicationFilter, ReplicationRule};

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
}

fn yes() -> bool {
    true
}

impl From<RuleDocument> for ReplicationRule {
    fn from(document: RuleDocument) -> Self {
        let RuleDocument { id, priority, enabled, prefix, tags, delete_markers, delete_versions, existing } = document;
        let filter = ReplicationFilter { prefix, tags };
        Self { id, priority, enabled, filter, delete_markers, delete_versions, existing }
    }
}

impl From<&ReplicationRule> for RuleDocument {
    fn from(rule: &ReplicationRule) -> Self {
        let ReplicationRule { id, priority, enabled, filter, delete_markers, delete_versions, existing } = rule.clone();
        let ReplicationFilter { prefix, tags } = filter;
        Self { id, priority, enabled, prefix, tags, delete_markers, delete_versions, existing }
    }
}
