//! What a change of `kms_keys.json` changed, key by key and alias by alias, for the audit log. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::name::arn;
use super::records::FileRecord;
use crate::audit::{AuditEntry, ChangeOrigin};
use crate::names::Stamp;

/// One entry for each key and alias that is not what it was. Materials are masked: their field is called `sealed`.
pub(super) fn entries(before: &Value, after: &Value, at: Stamp, by: &ChangeOrigin, action: &str) -> Vec<AuditEntry> {
    let (old, new) = (entities(before), entities(after));
    let gone = old.keys().filter(|arn| !new.contains_key(*arn));
    let side = |entities: &BTreeMap<String, Value>, arn: &String| entities.get(arn).cloned().unwrap_or_default();
    let entry =
        |arn: &String| AuditEntry::of_change(at, by.clone(), action, arn.clone(), &side(&old, arn), &side(&new, arn));
    new.keys().chain(gone).filter_map(entry).collect()
}

/// Keys and aliases by their ARNs.
fn entities(document: &Value) -> BTreeMap<String, Value> {
    // It was compiled already, so that it does parse.
    let file: FileRecord = serde_json::from_value(document.clone()).unwrap_or_default();
    let keys = file.keys.iter().filter_map(|key| {
        Some((arn(&key.region, &key.account, &format!("key/{}", key.id)), serde_json::to_value(key).ok()?))
    });
    let aliases = file.aliases.iter().filter_map(|alias| {
        let key = file.keys.iter().find(|key| key.id == alias.key_id)?;
        Some((arn(&key.region, &key.account, &alias.name), serde_json::to_value(alias).ok()?))
    });
    keys.chain(aliases).collect()
}
