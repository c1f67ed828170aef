//! `replication_rules.json`: `{"<bucket>": {"bucket_name", "target_connection_id", "target_bucket", "enabled", "mode", "created_at"}}`,
//! compiled. Pure.
//!
//! Optional: `id`, `replicate_deletes` (true if absent), `delete_versions` (false), and `rules`, which stand there where more was said
//! than that: rules of the S3 API with priority, prefix, tags and options of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::audit;
use super::rule_document::RuleDocument;
use crate::audit::{AuditLog, ChangeOrigin};
use crate::bucket_config::{ReplicationFilter, ReplicationRule, TargetId};
use crate::json_store::{Mistake, Schema, Version};
use crate::names::{BucketName, Stamp};

/// Most rules of a bucket (S3 User Guide, "Replication configuration": 1000).
pub const RULES_MAX: usize = 1000;
/// Longest id of a rule (S3 API Reference, ReplicationRule).
pub const RULE_ID_BYTES_MAX: usize = 255;

/// What is replicated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// What changes from now on.
    NewOnly,
    /// That, and what is there already.
    All,
}

/// How a bucket is replicated, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The bucket.
    pub bucket: BucketName,
    /// Id of the connection.
    pub connection: Arc<str>,
    /// The bucket there.
    pub target_bucket: Arc<str>,
    /// Whether it is sent: while it is not, changes wait.
    pub enabled: bool,
    /// What is replicated.
    pub mode: Mode,
    /// Since when.
    pub created_at: Stamp,
    /// Its id, where it was given one.
    pub id: Option<String>,
    /// Whether deletes are replicated: delete markers, and objects of buckets without versions.
    pub replicate_deletes: bool,
    /// Whether deletes of versions are, for good.
    pub delete_versions: bool,
    /// The rules that were set through S3; none where the bucket is replicated as a whole.
    pub rules: Option<Vec<ReplicationRule>>,
    /// The role that was named through S3. Nothing is asked of it.
    pub role: Option<String>,
    /// The destination as it was named through S3.
    pub destination: Option<String>,
    /// As [`ReplicationRule::added`], where the bucket is replicated as a whole. Set here.
    pub added: Option<Stamp>,
}

impl Rule {
    /// What names its queue: connection and target bucket.
    pub fn target(&self) -> TargetId {
        let digest = Sha256::new().chain_update(&*self.connection).chain_update([0]).chain_update(&*self.target_bucket);
        let text = hex::encode(digest.finalize());
        TargetId(Arc::from(text.get(..16).unwrap_or(&text)))
    }

    /// The rules that hold.
    pub fn rules(&self) -> Vec<ReplicationRule> {
        self.rules.clone().unwrap_or_else(|| {
            vec![ReplicationRule {
                id: self.id.clone().unwrap_or_default(),
                priority: 0,
                enabled: true,
                filter: ReplicationFilter::default(),
                delete_markers: self.replicate_deletes,
                delete_versions: self.delete_versions,
                existing: self.mode == Mode::All,
                added: self.added,
                is_legacy: false,
            }]
        })
    }

    /// Tells since when its rules count: where it goes on with a former one, each since another was about all that it is about, or since
    /// `now`.
    pub(super) fn count_from(&mut self, former: Option<&Self>, now: Stamp) {
        let before = former.map(Self::rules);
        let added = |new: &ReplicationRule| {
            let before = before.as_ref()?;
            // One that is switched off counts since it is switched on.
            let was_at_work = |old: &&ReplicationRule| old.enabled || !new.enabled;
            let covering = before.iter().filter(was_at_work).filter(|old| old.filter.covers(&new.filter));
            covering.map(|old| old.added).min().unwrap_or(Some(now))
        };
        let whole = self.rules();
        match &mut self.rules {
            Some(rules) => rules.iter_mut().for_each(|new| new.added = added(new)),
            None => self.added = whole.first().and_then(added),
        }
    }

    /// Whether it is about what was there before it, too.
    pub fn wants_existing(&self) -> bool {
        self.rules().iter().any(|rule| rule.enabled && rule.existing)
    }
}

/// The rules of all buckets.
#[derive(Debug, Default)]
pub struct Rules(BTreeMap<BucketName, Arc<Rule>>);

impl Rules {
    /// How a bucket is replicated, if it is.
    pub fn get(&self, bucket: &BucketName) -> Option<&Arc<Rule>> {
        self.0.get(bucket)
    }

    /// All of them in order of their buckets.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.0.values()
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Time {
    Text(String),
    Seconds(f64),
}

impl Time {
    fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::Text(text) => Stamp::parse_time_or_date(text),
            // Beyond what a stamp holds it saturates.
            Self::Seconds(seconds) => Some(Stamp((seconds * 1e9) as u64)),
        }
    }
}

#[derive(Deserialize)]
struct Record {
    bucket_name: Option<String>,
    target_connection_id: String,
    target_bucket: String,
    enabled: Option<bool>,
    mode: Option<Mode>,
    created_at: Option<Time>,
    id: Option<String>,
    replicate_deletes: Option<bool>,
    delete_versions: Option<bool>,
    rules: Option<Vec<RuleDocument>>,
    role: Option<String>,
    destination: Option<String>,
    added: Option<Time>,
}

/// How the file is read.
#[derive(Debug)]
pub(super) struct RulesFile {
    /// Hears of hand edits.
    pub audit: AuditLog,
}

impl RulesFile {
    /// The document of a node that replicates nothing.
    pub fn empty() -> Value {
        Value::Object(Map::new())
    }
}

fn compile_rule(bucket: BucketName, record: &Value) -> Result<Rule, String> {
    let record = Record::deserialize(record).map_err(|error| error.to_string())?;
    if record.bucket_name.as_ref().is_some_and(|name| name != bucket.as_str()) {
        return Err("`bucket_name` is another bucket".to_owned());
    }
    let created_at = match record.created_at {
        None => Stamp(0),
        Some(time) => time.stamp().ok_or("`created_at` is no time (RFC 3339, or seconds since 1970)")?,
    };
    let added = record.added.map(|time| time.stamp().ok_or("`added` is no time (RFC 3339, or seconds since 1970)"));
    let rule = Rule {
        bucket,
        connection: Arc::from(record.target_connection_id),
        target_bucket: Arc::from(record.target_bucket),
        enabled: record.enabled.unwrap_or(true),
        mode: record.mode.unwrap_or(Mode::NewOnly),
        created_at,
        id: record.id,
        replicate_deletes: record.replicate_deletes.unwrap_or(true),
        delete_versions: record.delete_versions.unwrap_or(false),
        rules: record.rules.map(|rules| rules.into_iter().map(ReplicationRule::from).collect()),
        role: record.role,
        destination: record.destination,
        added: added.transpose()?,
    };
    check(&rule).map(|()| rule)
}

/// Whether a rule makes sense. Errs: why not.
pub(super) fn check(rule: &Rule) -> Result<(), String> {
    if rule.connection.is_empty() || rule.connection.len() > 128 {
        return Err("`target_connection_id` must be the id of a connection".to_owned());
    }
    // Other services may know names that this node does not.
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let target = &*rule.target_bucket;
    if !(1..=255).contains(&target.len()) || !target.bytes().all(is_name) || matches!(target, "." | "..") {
        return Err("`target_bucket` is no name of a bucket".to_owned());
    }
    let rules = rule.rules.as_deref().unwrap_or_default();
    if rules.len() > RULES_MAX || rule.rules.as_ref().is_some_and(Vec::is_empty) {
        return Err(format!("`rules` must have 1 to {RULES_MAX} elements"));
    }
    if rules.iter().map(|rule| &rule.id).chain(&rule.id).any(|id| id.len() > RULE_ID_BYTES_MAX) {
        return Err(format!("an id has at most {RULE_ID_BYTES_MAX} bytes"));
    }
    let mut ids: Vec<_> = rules.iter().map(|rule| &rule.id).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
        return Err("two of its `rules` have one id".to_owned());
    }
    Ok(())
}

impl Schema for RulesFile {
    type State = Rules;

    fn compile(&self, text: &str, document: &Value) -> Result<Rules, Mistake> {
        let Value::Object(records) = document else {
            return Err(Mistake::near(text, "", "must be a JSON object".to_owned()));
        };
        let mut compiled = BTreeMap::new();
        for (name, record) in records {
            let mistake = |reason: String| Mistake::near(text, name, format!("bucket `{name}`: {reason}"));
            let bucket = BucketName::parse(name).map_err(|error| mistake(error.to_string()))?;
            compiled.insert(bucket.clone(), Arc::new(compile_rule(bucket, record).map_err(mistake)?));
        }
        Ok(Rules(compiled))
    }

    fn edited_by_hand(&self, before: Version<'_, Rules>, after: Version<'_, Rules>, now: Stamp) {
        let by = ChangeOrigin::hand_edit();
        self.audit.record_blocking(audit::rules(before.document, after.document, now, &by));
    }
}

/// Puts a rule into the document, in the place of the one of its bucket; what the node does not know of it stays.
pub(super) fn put(document: &mut Value, rule: &Rule) {
    let Some(records) = document.as_object_mut() else { return };
    let entry = records.entry(rule.bucket.as_str()).or_insert_with(|| Value::Object(Map::new()));
    let Some(record) = entry.as_object_mut() else { return };
    let mode = if rule.mode == Mode::All { "all" } else { "new_only" };
    let wanted = [
        ("bucket_name", Some(rule.bucket.as_str().into())),
        ("target_connection_id", Some((*rule.connection).into())),
        ("target_bucket", Some((*rule.target_bucket).into())),
        ("enabled", Some(rule.enabled.into())),
        ("mode", Some(mode.into())),
        ("created_at", Some(rule.created_at.rfc3339().into())),
        ("id", rule.id.as_deref().map(Value::from)),
        ("replicate_deletes", (!rule.replicate_deletes).then_some(Value::Bool(false))),
        ("delete_versions", rule.delete_versions.then_some(Value::Bool(true))),
        ("rules", rule.rules.as_deref().map(records_of)),
        ("role", rule.role.as_deref().map(Value::from)),
        ("destination", rule.destination.as_deref().map(Value::from)),
        ("added", rule.added.map(|added| added.rfc3339().into())),
    ];
    for (name, value) in wanted {
        match value {
            Some(value) => drop(record.insert(name.to_owned(), value)),
            None => drop(record.shift_remove(name)),
        }
    }
}

fn records_of(rules: &[ReplicationRule]) -> Value {
    // Texts, numbers and truth values always serialise.
    serde_json::to_value(rules.iter().map(RuleDocument::from).collect::<Vec<_>>()).unwrap_or_default()
}

/// Pauses or resumes a rule, and changes nothing else.
pub(super) fn set_enabled(document: &mut Value, bucket: &BucketName, enabled: bool) {
    if let Some(record) = document.get_mut(bucket.as_str()).and_then(Value::as_object_mut) {
        record.insert("enabled".to_owned(), enabled.into());
    }
}

/// Takes a rule out of the document.
pub(super) fn remove(document: &mut Value, bucket: &BucketName) {
    if let Some(records) = document.as_object_mut() {
        records.shift_remove(bucket.as_str());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compile(document: &Value) -> Result<Rules, Mistake> {
        let file = RulesFile { audit: AuditLog::nowhere() };
        file.compile(&serde_json::to_string_pretty(document).unwrap(), document)
    }

    fn photos() -> BucketName {
        BucketName::parse("photos").unwrap()
    }

    fn typed() -> Value {
        json!({"photos": {
            "bucket_name": "photos", "target_connection_id": "c1", "target_bucket": "backup-bucket", "enabled": true,
            "mode": "new_only", "created_at": 1_700_000_000.5, "note": "mine",
        }})
    }

    #[test]
    fn what_a_person_types_is_read() {
        let rules = compile(&typed()).unwrap();
        let rule = rules.get(&photos()).unwrap();
        assert_eq!(rule.created_at, Stamp(1_700_000_000_500_000_000));
        assert!(!rule.wants_existing() && rule.rules()[0].delete_markers && !rule.rules()[0].delete_versions);
        assert_eq!(rule.target().as_str().len(), 16);
        let least = compile(&json!({"photos": {"target_connection_id": "c1", "target_bucket": "other"}})).unwrap();
        let least = least.get(&photos()).unwrap();
        assert!(least.enabled && least.target() != rule.target());
    }

    #[test]
    fn a_rule_that_is_put_is_read_again() {
        let mut document = typed();
        let rule = Arc::clone(compile(&document).unwrap().get(&photos()).unwrap());
        let narrow = ReplicationRule {
            id: "narrow".to_owned(),
            priority: 3,
            enabled: true,
            filter: ReplicationFilter { prefix: "a/".to_owned(), tags: vec![("k".to_owned(), "v".to_owned())] },
            delete_markers: false,
            delete_versions: true,
            existing: true,
            added: Some(Stamp(1_700_000_000_007_000_000)),
            is_legacy: true,
        };
        for changed in [
            Rule { rules: Some(vec![narrow]), mode: Mode::All, id: Some("x".to_owned()), ..(*rule).clone() },
            Rule { replicate_deletes: false, delete_versions: true, enabled: false, ..(*rule).clone() },
            Rule { added: Some(Stamp(1_700_000_000_007_000_000)), ..(*rule).clone() },
        ] {
            put(&mut document, &changed);
            assert_eq!(**compile(&document).unwrap().get(&photos()).unwrap(), changed);
            assert_eq!(document["photos"]["note"], "mine");
        }
        set_enabled(&mut document, &photos(), true);
        assert!(compile(&document).unwrap().get(&photos()).unwrap().enabled);
        remove(&mut document, &photos());
        assert_eq!(document, json!({}));
    }

    #[test]
    fn a_rule_counts_since_another_was_about_the_same() {
        let whole = Rule::clone(compile(&typed()).unwrap().get(&photos()).unwrap());
        let of = |prefix: &str, enabled| ReplicationRule {
            id: prefix.to_owned(),
            enabled,
            filter: ReplicationFilter { prefix: prefix.to_owned(), tags: Vec::new() },
            ..whole.rules()[0].clone()
        };
        let put = |former: Option<&Rule>, rules: Option<Vec<ReplicationRule>>, now| {
            let mut rule = Rule { rules, ..whole.clone() };
            rule.count_from(former, Stamp(now));
            let added: Vec<_> = rule.rules().iter().map(|rule| rule.added.map(|added| added.0)).collect();
            (rule, added)
        };
        let (first, added) = put(None, Some(vec![of("a/", true), of("b/", false)]), 1);
        assert_eq!(added, [None, None], "all since the first was created");
        let (second, added) = put(Some(&first), Some(vec![of("a/x", true), of("b/", true), of("c/", true)]), 2);
        assert_eq!(added, [None, Some(2), Some(2)], "narrowed, enabled, and new");
        let (third, added) = put(Some(&second), Some(vec![of("b/x", true), of("a/", true)]), 3);
        assert_eq!(added, [Some(2), Some(3)], "narrowed, and widened");
        let (fourth, added) = put(Some(&third), None, 4);
        assert_eq!(added, [Some(4)], "all of the bucket");
        assert_eq!(put(Some(&fourth), Some(vec![of("z", true)]), 5).1, [Some(4)]);
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (field, value, word) in [
            ("bucket_name", json!("other"), "bucket_name"),
            ("target_connection_id", json!(null), "invalid type"),
            ("target_connection_id", json!(""), "target_connection_id"),
            ("target_bucket", json!("a/b"), "target_bucket"),
            ("target_bucket", json!(".."), "target_bucket"),
            ("mode", json!("some"), "some"),
            ("created_at", json!("soon"), "created_at"),
            ("rules", json!([]), "rules"),
            ("rules", json!([{"id": "a"}, {"id": "a"}]), "one id"),
            ("rules", json!([{"id": "a", "prefx": "logs/"}]), "prefx"),
        ] {
            let mut document = typed();
            document["photos"][field] = value;
            let mistake = compile(&document).unwrap_err();
            assert!(mistake.reason.contains(word), "{field}: {}", mistake.reason);
            assert_eq!(mistake.line, Some(2));
        }
        assert!(compile(&json!({"A": typed()["photos"]})).is_err());
        assert!(compile(&json!([])).is_err());
    }
}
