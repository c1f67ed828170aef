//! Work on the document of `iam.json` that several changes have in common. Pure: everything that is not named stays.

use serde_json::{Map, Value, json};

use super::directory::SEAL_PURPOSE;
use super::error::IamError;
use super::first_boot::WELL_KNOWN_SECRET;
use super::ids::{Ids, default_account};
use super::records::FileRecord;
use crate::names::CanonicalId;
use crate::seal::{SealError, Sealer};

/// Writes the ids of users and roles that have none yet, seals what people typed, and anew what stands under a previous key.
pub(super) fn tidy(document: &mut Value, sealer: &Sealer) -> Result<(), IamError> {
    fill_in_ids(document)?;
    seal_plain(document, sealer)?;
    for_each_key(document, |key| {
        let Some(sealed) = key.get("secret_key_sealed").and_then(Value::as_str) else {
            return Ok(());
        };
        if sealer.is_outdated(sealed) {
            let secret = sealer.unseal(SEAL_PURPOSE, sealed)?;
            key.insert("secret_key_sealed".to_owned(), Value::from(sealer.seal(SEAL_PURPOSE, secret.expose())?));
        }
        Ok(())
    })?;
    Ok(())
}

/// Writes what follows from the rest of the file only as long as that does not change: canonical ids, and the account of roles.
pub(super) fn fill_in_ids(document: &mut Value) -> Result<(), IamError> {
    let lacks = |record: &Value, field: &str| record.get(field).is_none_or(Value::is_null);
    let users_are_whole = entries(document, "users").iter().all(|user| !lacks(user, "user_id"));
    let is_whole = |role: &Value| !lacks(role, "canonical_id") && !lacks(role, "account_id");
    if users_are_whole && entries(document, "roles").iter().all(is_whole) {
        return Ok(());
    }
    let file: FileRecord =
        serde_json::from_value(document.clone()).map_err(|error| IamError::invalid("iam.json", error.to_string()))?;
    let ids = Ids::of(&file).map_err(|problem| IamError::invalid("iam.json", problem.reason))?;
    let account = default_account(&file, &ids);
    let fill = |record: &mut Value, field: &str, value: &str| {
        if let Value::Object(record) = record
            && record.get(field).is_none_or(Value::is_null)
        {
            record.insert(field.to_owned(), Value::from(value));
        }
    };
    for (user, id) in entries_mut(document, "users").iter_mut().zip(&ids.users) {
        fill(user, "user_id", id.as_str());
    }
    for (role, id) in entries_mut(document, "roles").iter_mut().zip(&ids.roles) {
        fill(role, "canonical_id", id.as_str());
        let account_id = account.clone().unwrap_or_else(|| super::ids::account_id_of(id));
        fill(role, "account_id", &account_id);
    }
    Ok(())
}

/// Seals the secrets that people typed; the well-known one stays readable.
pub(super) fn seal_plain(document: &mut Value, sealer: &Sealer) -> Result<(), SealError> {
    for_each_key(document, |key| match key.get("secret_key").and_then(Value::as_str) {
        None | Some("") => Ok(()),
        // What was sealed before is out of force, and may be sealed under a key that is lost.
        Some(WELL_KNOWN_SECRET) => {
            key.shift_remove("secret_key_sealed");
            Ok(())
        }
        Some(secret) => {
            let secret = secret.to_owned();
            set_secret(key, &secret, sealer)
        }
    })
}

/// Puts a sealed secret where the plain one stands, so that a person finds it at its place.
pub(super) fn set_secret(key: &mut Map<String, Value>, secret: &str, sealer: &Sealer) -> Result<(), SealError> {
    let sealed = Value::from(sealer.seal(SEAL_PURPOSE, secret)?);
    let mut sealed = Some(sealed);
    let mut rebuilt = Map::with_capacity(key.len());
    for (name, value) in std::mem::take(key) {
        match name.as_str() {
            "secret_key" | "secret_key_sealed" => {
                if let Some(sealed) = sealed.take() {
                    rebuilt.insert("secret_key_sealed".to_owned(), sealed);
                }
            }
            _ => {
                rebuilt.insert(name, value);
            }
        }
    }
    if let Some(sealed) = sealed {
        rebuilt.insert("secret_key_sealed".to_owned(), sealed);
    }
    *key = rebuilt;
    Ok(())
}

/// Visits every object that holds an access key and its secret.
fn for_each_key(
    document: &mut Value,
    mut visit: impl FnMut(&mut Map<String, Value>) -> Result<(), SealError>,
) -> Result<(), SealError> {
    for user in entries_mut(document, "users") {
        let Value::Object(user) = user else { continue };
        if user.get("access_key").is_some_and(Value::is_string) {
            visit(user)?;
        }
        if let Some(Value::Array(keys)) = user.get_mut("access_keys") {
            for key in keys.iter_mut().filter_map(Value::as_object_mut) {
                visit(key)?;
            }
        }
    }
    Ok(())
}

/// The list of this name; empty when it is not there.
pub(super) fn entries<'a>(document: &'a Value, list: &str) -> &'a [Value] {
    document.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn entries_mut<'a>(document: &'a mut Value, list: &str) -> &'a mut [Value] {
    match document.get_mut(list) {
        Some(Value::Array(entries)) => entries,
        _ => &mut [],
    }
}

/// Appends to the list of this name, which is made when it is not there; the schema has checked that it is a list.
pub(super) fn append(record: &mut Map<String, Value>, list: &str, value: Value) {
    if let Value::Array(entries) = record.entry(list).or_insert_with(|| json!([])) {
        entries.push(value);
    }
}

/// Appends to a list of the document.
pub(super) fn append_record(document: &mut Value, list: &str, record: Map<String, Value>) {
    if let Value::Object(document) = document {
        append(document, list, Value::Object(record));
    }
}

/// The record at a place of a list, which the directory was compiled from.
pub(super) fn record<'a>(
    document: &'a mut Value,
    list: &'static str,
    place: usize,
) -> Result<&'a mut Map<String, Value>, IamError> {
    let found = entries_mut(document, list).get_mut(place).and_then(Value::as_object_mut);
    found.ok_or_else(|| IamError::invalid(list, "is shorter than it was"))
}

/// Removes the record at a place of a list.
pub(super) fn remove_record(document: &mut Value, list: &str, place: usize) {
    if let Some(Value::Array(entries)) = document.get_mut(list)
        && place < entries.len()
    {
        entries.remove(place);
    }
}

/// Removes from a list in a record what answers to `unwanted`.
pub(super) fn remove_from(record: &mut Map<String, Value>, list: &str, unwanted: impl Fn(&Value) -> bool) {
    if let Some(Value::Array(entries)) = record.get_mut(list) {
        entries.retain(|entry| !unwanted(entry));
    }
}

/// What there was, and is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Former {
    User,
    Role,
}

/// Keeps the id of a user or role that goes, so that nobody else gets it and its account keeps what it owns.
pub(super) fn remember(document: &mut Value, what: Former, id: &CanonicalId, account_id: &str, display_name: &str) {
    let mut former = json!({"user_id": id.as_str(), "account_id": account_id, "display_name": display_name});
    if let (Former::Role, Value::Object(former)) = (what, &mut former) {
        former.insert("role".to_owned(), Value::Bool(true));
    }
    if let Value::Object(document) = document {
        append(document, "former_users", former);
    }
}

/// A record of these fields; those without a value are left out.
pub(super) fn fields<const N: usize>(fields: [(&str, Option<Value>); N]) -> Map<String, Value> {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Sets a field, or removes it.
pub(super) fn set(record: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        Some(value) => {
            record.insert(name.to_owned(), value);
        }
        None => {
            record.shift_remove(name);
        }
    }
}
