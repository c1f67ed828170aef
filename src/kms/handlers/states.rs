//! Turning keys off and on, and deleting them.

use serde_json::{Value, json};

use crate::kms::call::Call;
use crate::kms::error::refusal;
use crate::kms::tell;
use crate::s3::error::S3Error;

/// Days before a deletion where nothing is said.
const WAITING_DAYS_DEFAULT: u32 = 30;

/// EnableKey.
pub async fn enable(call: &Call<'_>) -> Result<Value, S3Error> {
    let key = call.key()?;
    call.kms().enable(call.by.clone(), &key.id).await.map_err(refusal)?;
    Ok(Value::Null)
}

/// DisableKey.
pub async fn disable(call: &Call<'_>) -> Result<Value, S3Error> {
    let key = call.key()?;
    call.kms().disable(call.by.clone(), &key.id).await.map_err(refusal)?;
    Ok(Value::Null)
}

/// ScheduleKeyDeletion.
pub async fn schedule_deletion(call: &Call<'_>) -> Result<Value, S3Error> {
    let days = call.fields.number("PendingWindowInDays", 1, 365)?.unwrap_or(WAITING_DAYS_DEFAULT);
    let key = call.key_for(call.operation.permission(), call.fields.key("KeyId")?, |question| {
        question.add("kms:ScheduleKeyDeletionPendingWindowInDays", days.to_string());
    })?;
    let (key, at) = call.kms().schedule_deletion(call.by.clone(), &key.id, Some(days)).await.map_err(refusal)?;
    Ok(json!({
        "KeyId": key.arn,
        "DeletionDate": tell::time(at),
        "KeyState": tell::state(key.state),
        "PendingWindowInDays": days,
    }))
}

/// CancelKeyDeletion.
pub async fn cancel_deletion(call: &Call<'_>) -> Result<Value, S3Error> {
    let key = call.key()?;
    call.kms().cancel_deletion(call.by.clone(), &key.id).await.map_err(refusal)?;
    Ok(json!({ "KeyId": key.arn }))
}
