//! `replication_state.json`: what the node has learned of its rules, and how far their back-fills are. Nobody has to write it, and
//! what is lost with it is learned again. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::bucket_config::TargetId;
use crate::json_store::{Mistake, Schema};
use crate::names::{BucketName, NodeId, Stamp};

/// How far a walk over all that is in a bucket is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Fill {
    /// Behind this; none at the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// Whether it was everywhere.
    pub done: bool,
    /// Slots that were looked at.
    pub looked_at: u64,
    /// Slots that were queued.
    pub queued: u64,
    /// Whether it sends again what was sent already: since somebody asked for it, or entries were lost.
    pub is_resync: bool,
}

/// What is known of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Learned {
    /// The node that is there, once it has said so.
    pub peer: Option<NodeId>,
    /// Its back-fill; none where none was begun.
    pub fill: Option<Fill>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    target: String,
    created_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_node_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fill: Option<Fill>,
}

/// All that is known, by the bucket's name.
#[derive(Debug, Default)]
pub(super) struct AllLearned(BTreeMap<String, (TargetId, Stamp, Learned)>);

impl AllLearned {
    /// What is known of a rule: nothing where another one was there before.
    pub fn of(&self, bucket: &BucketName, target: &TargetId, created_at: Stamp) -> Learned {
        match self.0.get(bucket.as_str()) {
            Some((of, since, learned)) if of == target && *since == created_at => learned.clone(),
            // The node stays the same, whatever the rule.
            Some((of, _, learned)) if of == target => Learned { peer: learned.peer, fill: None },
            _ => Learned::default(),
        }
    }

    /// Whether a rule was ever at work: what was only typed by hand, for a bucket that is yet to come, was not.
    pub fn was_at_work(&self, bucket: &BucketName, target: &TargetId, created_at: Stamp) -> bool {
        matches!(self.0.get(bucket.as_str()), Some((of, since, _)) if of == target && *since == created_at)
    }
}

/// How the file is read.
#[derive(Debug)]
pub(super) struct LearnedFile;

impl LearnedFile {
    /// The document of a node that knows nothing.
    pub fn empty() -> Value {
        Value::Object(Map::new())
    }
}

impl Schema for LearnedFile {
    type State = AllLearned;

    fn compile(&self, text: &str, document: &Value) -> Result<AllLearned, Mistake> {
        let Value::Object(records) = document else {
            return Err(Mistake::near(text, "", "must be a JSON object".to_owned()));
        };
        let mut all = BTreeMap::new();
        for (bucket, record) in records {
            let mistake = |reason: String| Mistake::near(text, bucket, format!("bucket `{bucket}`: {reason}"));
            let record = Record::deserialize(record).map_err(|error| mistake(error.to_string()))?;
            let peer = record.peer_node_id.map(|id| id.parse()).transpose();
            let peer = peer.map_err(|_| mistake("`peer_node_id` is no id of a node".to_owned()))?;
            let target = TargetId(record.target.into());
            all.insert(bucket.clone(), (target, Stamp(record.created_at), Learned { peer, fill: record.fill }));
        }
        Ok(AllLearned(all))
    }
}

/// Keeps what is known of a rule.
pub(super) fn keep(document: &mut Value, bucket: &BucketName, target: &TargetId, created_at: Stamp, learned: &Learned) {
    let record = Record {
        target: target.as_str().to_owned(),
        created_at: created_at.0,
        peer_node_id: learned.peer.map(|peer| peer.to_string()),
        fill: learned.fill.clone(),
    };
    // Texts, numbers and truth values always serialise.
    let record = serde_json::to_value(record).unwrap_or_default();
    if let Some(records) = document.as_object_mut() {
        records.insert(bucket.as_str().to_owned(), record);
    }
}

/// Forgets the rules of other buckets than these.
pub(super) fn retain(document: &mut Value, is_kept: impl Fn(&str) -> bool) {
    if let Some(records) = document.as_object_mut() {
        records.retain(|bucket, _| is_kept(bucket));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_learned_is_of_one_rule() {
        let (mut document, bucket) = (LearnedFile::empty(), BucketName::parse("photos").unwrap());
        let (target, other) = (TargetId("a".into()), TargetId("b".into()));
        let fill = Fill { position: Some("ab".to_owned()), looked_at: 3, queued: 2, ..Fill::default() };
        let learned = Learned { peer: NodeId::new(7), fill: Some(fill) };
        keep(&mut document, &bucket, &target, Stamp(5), &learned);
        let all = LearnedFile.compile(&document.to_string(), &document).unwrap();
        assert_eq!(all.of(&bucket, &target, Stamp(5)), learned);
        assert_eq!(all.of(&bucket, &target, Stamp(6)), Learned { peer: NodeId::new(7), fill: None });
        assert_eq!(all.of(&bucket, &other, Stamp(5)), Learned::default());
        assert!(all.was_at_work(&bucket, &target, Stamp(5)));
        assert!(!all.was_at_work(&bucket, &target, Stamp(6)) && !all.was_at_work(&bucket, &other, Stamp(5)));
        retain(&mut document, |bucket| bucket != "photos");
        assert_eq!(document, LearnedFile::empty());
    }
}
