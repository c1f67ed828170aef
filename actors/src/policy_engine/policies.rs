//! `bucket_policies.json`: `{"policies": {"<bucket>": {…}}, "as_put": {"<bucket>": "…"}, "principals": {"<bucket>": {…}}}`, compiled.
//!
//! What stands in `policies` is in force. `as_put` keeps the text that a client sent, since GetBucketPolicy gives that back
//! to the letter; it counts only while it says the same as `policies`, so a hand edit need not know of it.
//!
//! `principals` tells the canonical ids of the users and roles that a policy named when it was put: whoever goes by one of those names
//! later is not meant. A name that was typed by hand means whoever goes by it.
//!
//! A policy with a mistake stays in the file and in the state, as a broken one: leaving it out would open what it closes.

use std::sync::Arc;

use serde_json::Value;

use super::changes;
use super::document::Document;
use super::error::InvalidPolicy;
use super::parse::{Kind, parse_document};
use super::principal::{PrincipalIds, principal_ids};
use super::unambiguous::refuse_ambiguous;
use crate::audit::{AuditLog, ChangeOrigin};
use crate::json_store::{Mistake, Schema, Version};
use crate::names::{BucketName, Stamp};

/// Name of the object that holds policies as they were put.
pub(super) const AS_PUT: &str = "as_put";

/// Name of the object that holds the canonical ids of those whom policies named when they were put, by their names.
pub(super) const PRINCIPALS: &str = "principals";

/// A bucket's policy.
#[derive(Debug)]
pub(super) struct BucketPolicy {
    /// As JSON text: as it was put, if it is still that.
    pub text: Arc<str>,
    /// Parsed, or why not.
    pub document: Result<Document, InvalidPolicy>,
}

/// The compiled policies of all buckets.
#[derive(Debug, Default)]
pub(super) struct BucketPolicies {
    by_bucket: foldhash::HashMap<String, BucketPolicy>,
}

impl BucketPolicies {
    /// The policy of a bucket.
    pub fn get(&self, bucket: &BucketName) -> Option<&BucketPolicy> {
        self.by_bucket.get(bucket.as_str())
    }

    /// Buckets whose policy is broken, with the mistake.
    pub fn broken(&self) -> impl Iterator<Item = (&str, &InvalidPolicy)> {
        self.by_bucket.iter().filter_map(|(name, policy)| Some((name.as_str(), policy.document.as_ref().err()?)))
    }
}

/// How the file is read.
#[derive(Debug)]
pub(super) struct PolicyFile {
    /// Hears of hand edits.
    pub audit: AuditLog,
}

impl PolicyFile {
    /// The document of a node without bucket policies.
    pub fn empty() -> Value {
        serde_json::json!({"policies": {}})
    }
}

impl Schema for PolicyFile {
    type State = BucketPolicies;

    fn compile(&self, text: &str, document: &Value) -> Result<BucketPolicies, Mistake> {
        refuse_ambiguous(text)?;
        let map = document.as_object().ok_or_else(|| Mistake::near(text, "", "must be a JSON object".to_owned()))?;
        let policies = match map.get("policies") {
            None if map.is_empty() => return Ok(BucketPolicies::default()),
            // A name that is not quite `policies` would open what it was to close.
            None => return Err(Mistake::near(text, "{", "`policies` is missing".to_owned())),
            Some(Value::Object(policies)) => policies,
            Some(_) => return Err(Mistake::near(text, "policies", "`policies` must be a JSON object".to_owned())),
        };
        let beside = |member: &'static str| match map.get(member) {
            None | Some(Value::Object(_)) => Ok(map.get(member)),
            Some(_) => Err(Mistake::near(text, member, format!("`{member}` must be a JSON object"))),
        };
        let (texts, principals) = (beside(AS_PUT)?, beside(PRINCIPALS)?);
        let mut by_bucket = foldhash::HashMap::with_capacity_and_hasher(policies.len(), Default::default());
        for (name, value) in policies {
            let bucket = BucketName::parse(name)
                .map_err(|error| Mistake::near(text, name, format!("`{name}` is no bucket name: {error}")))?;
            let ids = match principals.and_then(|all| all.get(name)) {
                None => PrincipalIds::new(),
                Some(ids) => principal_ids(ids).ok_or_else(|| {
                    Mistake::near(text, PRINCIPALS, format!("`{PRINCIPALS}` must tell a canonical id of each name"))
                })?,
            };
            let mut document = parse_document(value, Kind::Bucket(&bucket));
            if let Ok(document) = &mut document {
                document.tie(&ids);
            }
            let says_the_same = |text: &&str| serde_json::from_str::<Value>(text).is_ok_and(|put| put == *value);
            let as_put = texts.and_then(|texts| texts.get(name)).and_then(Value::as_str).filter(says_the_same);
            let text = as_put.map_or_else(|| Arc::from(value.to_string()), Arc::from);
            by_bucket.insert(name.clone(), BucketPolicy { text, document });
        }
        Ok(BucketPolicies { by_bucket })
    }

    fn edited_by_hand(&self, before: Version<'_, BucketPolicies>, after: Version<'_, BucketPolicies>, now: Stamp) {
        let entries = changes::entries(before.document, after.document, now, &ChangeOrigin::hand_edit());
        self.audit.record_blocking(entries);
    }
}
