//! Rotation of keys: on demand, and by itself.

use myfsio_actors::kms::{Cause, KeyState, Material, ROTATION_DAYS_DEFAULT, Rotation};
use serde_json::{Map, Value, json};

use super::page::{Limits, page};
use crate::kms::call::Call;
use crate::kms::error::refusal;
use crate::kms::tell;
use crate::s3::error::S3Error;

/// RotateKeyOnDemand.
pub async fn rotate(call: &Call<'_>) -> Result<Value, S3Error> {
    let key = call.key()?;
    call.kms().rotate(call.by.clone(), &key.id).await.map_err(refusal)?;
    Ok(json!({ "KeyId": key.id }))
}

/// EnableKeyRotation.
pub async fn enable(call: &Call<'_>) -> Result<Value, S3Error> {
    let days = call.fields.number("RotationPeriodInDays", 90, 2560)?.unwrap_or(ROTATION_DAYS_DEFAULT);
    let key = call.key_for(call.operation.permission(), call.fields.key("KeyId")?, |question| {
        question.add("kms:RotationPeriodInDays", days.to_string());
    })?;
    call.kms().set_rotation(call.by.clone(), &key.id, Some(days)).await.map_err(refusal)?;
    Ok(Value::Null)
}

/// DisableKeyRotation.
pub async fn disable(call: &Call<'_>) -> Result<Value, S3Error> {
    let key = call.key()?;
    call.kms().set_rotation(call.by.clone(), &key.id, None).await.map_err(refusal)?;
    Ok(Value::Null)
}

/// GetKeyRotationStatus. While a key waits for its deletion, it is not rotated.
pub fn status(call: &Call<'_>) -> Result<Value, S3Error> {
    let key = call.key()?;
    let rotation = key.rotation.filter(|_| !matches!(key.state, KeyState::PendingDeletion { .. }));
    let mut told = Map::new();
    told.insert("KeyId".to_owned(), key.id.clone().into());
    told.insert("KeyRotationEnabled".to_owned(), rotation.is_some().into());
    if let Some(rotation @ Rotation { period_days, .. }) = rotation {
        told.insert("RotationPeriodInDays".to_owned(), period_days.into());
        told.insert("NextRotationDate".to_owned(), tell::time(rotation.next()));
    }
    Ok(told.into())
}

/// ListKeyRotations: the materials that replaced another; all of them where that is asked for.
pub fn list(call: &Call<'_>) -> Result<Value, S3Error> {
    let words = ["ALL_KEY_MATERIAL", "ROTATIONS_ONLY"];
    let all = call.fields.word("IncludeKeyMaterial", &words)? == Some("ALL_KEY_MATERIAL");
    let key = call.key()?;
    let current = key.materials().last().map(|material| material.version);
    let told = |material: &&Material| {
        let state = if current == Some(material.version) { "CURRENT" } else { "NON_CURRENT" };
        let mut entry = json!({
            "KeyId": key.id,
            "KeyMaterialId": tell::material_id(&key, material.version),
            "KeyMaterialState": state,
        });
        let kind = match material.cause {
            Cause::Created => None,
            Cause::Automatic => Some("AUTOMATIC"),
            Cause::OnDemand => Some("ON_DEMAND"),
        };
        if let (Value::Object(fields), Some(kind)) = (&mut entry, kind) {
            fields.insert("RotationType".to_owned(), kind.into());
            fields.insert("RotationDate".to_owned(), tell::time(material.created_at));
        }
        entry
    };
    let listed = key.materials().iter().filter(|material| all || material.cause != Cause::Created);
    let limits = Limits { default: 100, max: 1000 };
    page(&call.fields, limits, "Rotations", listed, |material| format!("{:010}", material.version), told)
}
