//! What is told of keys (KMS API Reference, "Data Types").

use myfsio_actors::kms::{Alias, KeyManager, KeyState, KmsKey};
use myfsio_actors::names::Stamp;
use serde_json::{Map, Value, json};

use crate::s3::auth::signing::sha256_hex;

/// `KeyMetadata`.
pub fn metadata(key: &KmsKey) -> Value {
    let mut told = json!({
        "AWSAccountId": key.account,
        "KeyId": key.id,
        "Arn": key.arn,
        "CreationDate": time(key.created_at),
        "Enabled": key.state == KeyState::Enabled,
        "Description": key.description,
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": state(key.state),
        "Origin": "AWS_KMS",
        "KeyManager": match key.manager { KeyManager::Customer => "CUSTOMER", KeyManager::Node => "AWS" },
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": false,
    });
    if let Value::Object(fields) = &mut told {
        if let KeyState::PendingDeletion { at } = key.state {
            fields.insert("DeletionDate".to_owned(), time(at));
        }
        if let Some(material) = key.materials().last() {
            fields.insert("CurrentKeyMaterialId".to_owned(), material_id(key, material.version).into());
        }
    }
    told
}

/// `KeyState`.
pub fn state(state: KeyState) -> &'static str {
    match state {
        KeyState::Enabled => "Enabled",
        KeyState::Disabled => "Disabled",
        KeyState::PendingDeletion { .. } => "PendingDeletion",
    }
}

/// `AliasListEntry`.
pub fn alias(alias: &Alias) -> Value {
    json!({
        "AliasName": alias.name,
        "AliasArn": alias.arn,
        "TargetKeyId": alias.key_id,
        "CreationDate": time(alias.created_at),
        "LastUpdatedDate": time(alias.updated_at),
    })
}

/// The id of a version of a key's material: 64 hexadecimal digits that stand for no more than that.
pub fn material_id(key: &KmsKey, version: u32) -> String {
    sha256_hex(format!("{}/{version}", key.id).as_bytes())
}

/// A time as the JSON protocol has it: seconds since 1970, with milliseconds behind the point.
pub fn time(stamp: Stamp) -> Value {
    // Below 2^53 milliseconds, which are 285 thousand years, nothing is lost.
    #[allow(clippy::cast_precision_loss, reason = "see above")]
    let seconds = stamp.millis() as f64 / 1000.0;
    seconds.into()
}

/// A page of a list.
pub fn page(name: &str, items: Vec<Value>, next: Option<String>) -> Value {
    let mut told = Map::new();
    told.insert(name.to_owned(), items.into());
    told.insert("Truncated".to_owned(), next.is_some().into());
    told.extend(next.map(|next| ("NextMarker".to_owned(), next.into())));
    told.into()
}
