//! What a change of `bucket_policies.json` changed, bucket by bucket, for the audit log: the documents before and after. Pure.

use serde_json::{Map, Value};

use crate::audit::{AuditEntry, ChangeOrigin};
use crate::names::Stamp;

/// Who changed what: one entry for each bucket whose policy is not what it was. A difference in how a policy is written is none.
pub(super) fn entries(before: &Value, after: &Value, at: Stamp, origin: &ChangeOrigin) -> Vec<AuditEntry> {
    let (old, new) = (policies(before), policies(after));
    let lacks =
        |policies: Option<&Map<String, Value>>, bucket: &str| !policies.is_some_and(|all| all.contains_key(bucket));
    let gone = old.into_iter().flat_map(Map::keys).filter(|bucket| lacks(new, bucket));
    let entry = |bucket: &String| {
        let policy = |policies: Option<&Map<String, Value>>| {
            policies.and_then(|all| all.get(bucket)).cloned().unwrap_or_default()
        };
        let (was, is) = (policy(old), policy(new));
        let action = if is.is_null() { "s3:DeleteBucketPolicy" } else { "s3:PutBucketPolicy" };
        AuditEntry::of_document(at, origin.clone(), action, format!("arn:aws:s3:::{bucket}"), was, is)
    };
    new.into_iter().flat_map(Map::keys).chain(gone).filter_map(entry).collect()
}

fn policies(file: &Value) -> Option<&Map<String, Value>> {
    file.get("policies").and_then(Value::as_object)
}
