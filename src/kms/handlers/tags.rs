//! Tags of keys.

use serde_json::{Value, json};

use super::page::{Limits, page};
use crate::kms::call::Call;
use crate::kms::error::refusal;
use crate::kms::fields::missing;
use crate::s3::error::S3Error;

/// TagResource.
pub async fn tag(call: &Call<'_>) -> Result<Value, S3Error> {
    let tags = named(call, "Tags", call.fields.tags("Tags")?)?;
    let key = call.key_for(call.operation.permission(), call.fields.key("KeyId")?, |question| {
        question.add_tags(tags.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))));
    })?;
    call.kms().tag(call.by.clone(), &key.id, tags).await.map_err(refusal)?;
    Ok(Value::Null)
}

/// UntagResource.
pub async fn untag(call: &Call<'_>) -> Result<Value, S3Error> {
    let names = named(call, "TagKeys", call.fields.texts("TagKeys")?)?;
    let key = call.key_for(call.operation.permission(), call.fields.key("KeyId")?, |question| {
        question.add_tags(names.iter().map(|name| (name.as_str(), None)));
    })?;
    call.kms().untag(call.by.clone(), &key.id, names).await.map_err(refusal)?;
    Ok(Value::Null)
}

/// ListResourceTags.
pub fn list(call: &Call<'_>) -> Result<Value, S3Error> {
    let key = call.key()?;
    let told = |(name, value): &(&String, &String)| json!({ "TagKey": name, "TagValue": value });
    let limits = Limits { default: 50, max: 50 };
    page(&call.fields, limits, "Tags", &key.tags, |(name, _)| (*name).clone(), told)
}

/// A list that must be there. Errs: ValidationException.
fn named<T>(call: &Call<'_>, name: &str, list: Vec<T>) -> Result<Vec<T>, S3Error> {
    match call.fields.has(name) {
        true => Ok(list),
        false => Err(missing(name)),
    }
}
