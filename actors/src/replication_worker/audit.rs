//! What a change of connections and rules changed, for the audit log. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::connections::SEAL_PURPOSE;
use crate::audit::{AuditEntry, ChangeOrigin};
use crate::names::Stamp;
use crate::seal::Sealer;

/// One entry for each connection that is not what it was. Sealing a secret is no change.
pub(super) fn connections(
    before: &Value,
    after: &Value,
    sealer: &Sealer,
    at: Stamp,
    by: &ChangeOrigin,
) -> Vec<AuditEntry> {
    let arn = |id: &str| format!("arn:myfsio:replication:::connection/{id}");
    let by_id = |document: &Value| -> BTreeMap<String, Value> {
        let told = |record: &Value| Some((arn(record.get("id")?.as_str()?), unsealed(record, sealer)));
        document.as_array().into_iter().flatten().filter_map(told).collect()
    };
    entries(&by_id(before), &by_id(after), at, by, "PutConnection", "DeleteConnection")
}

/// One entry for each bucket whose replication is not what it was.
pub(super) fn rules(before: &Value, after: &Value, at: Stamp, by: &ChangeOrigin) -> Vec<AuditEntry> {
    let by_bucket = |document: &Value| -> BTreeMap<String, Value> {
        let told = |(bucket, record): (&String, &Value)| (format!("arn:aws:s3:::{bucket}"), record.clone());
        document.as_object().into_iter().flatten().map(told).collect()
    };
    entries(&by_bucket(before), &by_bucket(after), at, by, "PutReplication", "DeleteReplication")
}

fn entries(
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
    at: Stamp,
    by: &ChangeOrigin,
    put: &str,
    delete: &str,
) -> Vec<AuditEntry> {
    let gone = before.keys().filter(|arn| !after.contains_key(*arn));
    let entry = |arn: &String| {
        let side = |records: &BTreeMap<String, Value>| records.get(arn).cloned().unwrap_or_default();
        let (was, is) = (side(before), side(after));
        let action = format!("replication:{}", if is.is_null() { delete } else { put });
        AuditEntry::of_change(at, by.clone(), &action, arn.clone(), &was, &is)
    };
    after.keys().chain(gone).filter_map(entry).collect()
}

/// The record with its secret as it is, so that it can be compared; only for entries, which mask it.
fn unsealed(record: &Value, sealer: &Sealer) -> Value {
    let mut record = record.clone();
    if let Some(fields) = record.as_object_mut()
        && let Some(sealed) = fields.get("secret_key_sealed").and_then(Value::as_str).map(str::to_owned)
    {
        let secret = sealer.unseal(SEAL_PURPOSE, &sealed);
        // What cannot be unsealed is another secret as soon as it is another text.
        let secret = secret.as_ref().map_or(sealed.as_str(), |secret| secret.expose()).to_owned();
        fields.shift_remove("secret_key_sealed");
        fields.insert("secret_key".to_owned(), secret.into());
    }
    record
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::connections::seal_secrets;
    use super::*;
    use crate::seal::SecretKey;

    #[test]
    fn secrets_are_compared_and_never_told() {
        let sealer = Sealer::new(&SecretKey::new("key"), &[]).unwrap();
        let plain = json!([{"id": "c", "secret_key": "first secret"}, {"id": "d", "secret_key": "x"}]);
        let mut sealed = plain.clone();
        seal_secrets(&mut sealed, &sealer).unwrap();
        let told =
            |before: &Value, after: &Value| connections(before, after, &sealer, Stamp(1), &ChangeOrigin::hand_edit());
        assert_eq!(told(&plain, &sealed), []);
        let changed = json!([{"id": "c", "secret_key": "second secret"}]);
        let entries = told(&sealed, &changed);
        let named: Vec<_> = entries.iter().map(|entry| (entry.action.as_str(), entry.target.as_str())).collect();
        assert_eq!(
            named,
            [
                ("replication:PutConnection", "arn:myfsio:replication:::connection/c"),
                ("replication:DeleteConnection", "arn:myfsio:replication:::connection/d"),
            ]
        );
        assert!(!format!("{entries:?}").contains("secret\""), "{entries:?}");
    }

    #[test]
    fn rules_have_an_entry_each() {
        let before = json!({"a": {"enabled": true, "mode": "all"}, "b": {}});
        let after = json!({"a": {"enabled": false, "mode": "all"}, "c": {"mode": "all"}});
        let entries = rules(&before, &after, Stamp(1), &ChangeOrigin::hand_edit());
        let targets: Vec<_> = entries.iter().map(|entry| (&*entry.target, &*entry.action)).collect();
        assert_eq!(
            targets,
            [
                ("arn:aws:s3:::a", "replication:PutReplication"),
                ("arn:aws:s3:::c", "replication:PutReplication"),
                ("arn:aws:s3:::b", "replication:DeleteReplication"),
            ]
        );
        assert_eq!(entries[0].after, json!({"enabled": false}));
    }
}
