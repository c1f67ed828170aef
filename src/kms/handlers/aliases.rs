//! Aliases. Each operation takes its permission twice: on the alias, and on each key that it concerns (KMS Developer Guide,
//! "Controlling access to aliases").

use myfsio_actors::kms::{Alias, KmsKey};
use serde_json::Value;

use super::keys::ALIAS_MAX;
use super::page::{Limits, page};
use crate::kms::access::Subject;
use crate::kms::call::{Call, alias_of};
use crate::kms::error::refusal;
use crate::kms::fields::validation;
use crate::kms::tell;
use crate::s3::error::{ErrorCode, S3Error};

/// CreateAlias.
pub async fn create(call: &Call<'_>) -> Result<Value, S3Error> {
    let alias = call.fields.required("AliasName", ALIAS_MAX)?;
    let key = call.key_for(call.operation.permission(), target(call)?, |_| {})?;
    ask_of_alias(call, alias, &key)?;
    call.kms().create_alias(call.by.clone(), alias, &key.id).await.map_err(refusal)?;
    Ok(Value::Null)
}

/// UpdateAlias. The alias is one of the key's account.
pub async fn update(call: &Call<'_>) -> Result<Value, S3Error> {
    let alias = call.fields.required("AliasName", ALIAS_MAX)?;
    let key = call.key_for(call.operation.permission(), target(call)?, |_| {})?;
    let former = match key.account == call.principal.account_id {
        true => own_key(call, alias)?,
        false => own_key(call, &format!("arn:aws:kms:{}:{}:{alias}", key.region, key.account))?,
    };
    ask_of_alias(call, alias, &former)?;
    ask_of_alias(call, alias, &key)?;
    call.kms().update_alias(call.by.clone(), alias, &key.id).await.map_err(refusal)?;
    Ok(Value::Null)
}

/// DeleteAlias. An alias of another account, which administrators may delete, goes by its ARN.
pub async fn delete(call: &Call<'_>) -> Result<Value, S3Error> {
    let name = call.fields.required("AliasName", ALIAS_MAX)?;
    let former = own_key(call, name)?;
    let alias = alias_of(name).unwrap_or(name);
    ask_of_alias(call, alias, &former)?;
    call.kms().delete_alias(call.by.clone(), &former.account, alias).await.map_err(refusal)?;
    Ok(Value::Null)
}

/// ListAliases.
pub fn list(call: &Call<'_>) -> Result<Value, S3Error> {
    let seen = call.ask_of_account()?;
    let only = match call.fields.key_if("KeyId")? {
        Some(name) => {
            let key = call.find(name).map_err(refusal)?;
            if !seen.includes(&key) {
                let message = format!("Key '{name}' does not exist");
                return Err(S3Error::with_message(ErrorCode::NotFoundException, message));
            }
            Some(key)
        }
        None => None,
    };
    let is_listed = |alias: &Alias| match &only {
        Some(key) => alias.key_id == key.id,
        None => call.kms().find(&alias.key_id).is_ok_and(|key| seen.includes(&key)),
    };
    let aliases = call.kms().aliases().map_err(refusal)?;
    let limits = Limits { default: 50, max: 100 };
    page(
        &call.fields,
        limits,
        "Aliases",
        aliases.into_iter().filter(is_listed),
        // Several accounts may have one of the same name.
        |alias| format!("{}\0{}", alias.name, alias.arn),
        tell::alias,
    )
}

/// The key that an alias is given. Errs: ValidationException for what is itself an alias.
fn target<'a>(call: &'a Call<'_>) -> Result<&'a str, S3Error> {
    let name = call.fields.key("TargetKeyId")?;
    match name.starts_with("alias/") || name.contains(":alias/") {
        true => Err(validation("Aliases must refer to keys. Not aliases")),
        false => Ok(name),
    }
}

/// The key that an alias has now, if the caller may do with it what it asks for. Errs: InvalidAliasNameException for what is no alias.
fn own_key(call: &Call<'_>, alias: &str) -> Result<std::sync::Arc<KmsKey>, S3Error> {
    match alias_of(alias).is_some() {
        true => call.key_for(call.operation.permission(), alias, |_| {}),
        false => Err(ErrorCode::InvalidAliasNameException.into()),
    }
}

/// Asks for the permission of the operation on an alias, which belongs to the account of its key. Errs: AccessDenied.
fn ask_of_alias(call: &Call<'_>, alias: &str, key: &KmsKey) -> Result<(), S3Error> {
    let arn = format!("arn:aws:kms:{}:{}:{alias}", key.region, key.account);
    let subject = Subject { arn: &arn, ..Subject::account(&key.account) };
    call.ask(&call.question(call.operation.permission(), subject)).map(|_| ())
}
