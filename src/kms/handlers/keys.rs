//! Keys: making, looking at, listing, describing.

use std::sync::Arc;

use myfsio_actors::kms::{CreateKey, KmsClient, KmsKey};
use serde_json::{Value, json};

use super::page::{Limits, page};
use super::policies::{POLICY_MAX, check_policy};
use super::{refuse_grant_tokens, refuse_unsupported, unsupported};
use crate::kms::access::Subject;
use crate::kms::call::Call;
use crate::kms::error::refusal;
use crate::kms::fields::{Fields, missing, validation};
use crate::kms::tell;
use crate::s3::error::S3Error;

/// Longest description, in characters.
const DESCRIPTION_MAX: usize = 8192;
/// Longest alias, in characters.
pub const ALIAS_MAX: usize = 256;

const KEY_SPECS: [&str; 17] = [
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "SYMMETRIC_DEFAULT",
    "HMAC_224",
    "HMAC_256",
    "HMAC_384",
    "HMAC_512",
    "SM2",
    "ML_DSA_44",
    "ML_DSA_65",
    "ML_DSA_87",
    "ECC_NIST_EDWARDS25519",
];

/// CreateKey. With `AliasName`, which only the routes of the node's own know, the key has an alias from the start.
pub async fn create(call: &Call<'_>) -> Result<Value, S3Error> {
    let fields = &call.fields;
    check_kind(fields)?;
    let tags = fields.tags("Tags")?;
    let bypass = fields.truth("BypassPolicyLockoutSafetyCheck")?;
    let account = call.principal.account_id.as_str();
    let alias = fields.text_up_to("AliasName", ALIAS_MAX)?;
    let describe = |action| {
        let mut question = call.question(action, Subject::account(account));
        question.add("kms:BypassPolicyLockoutSafetyCheck", bypass.to_string());
        question.add_tags(tags.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))));
        question
    };
    call.ask(&describe("kms:CreateKey"))?;
    if !tags.is_empty() {
        call.ask(&describe("kms:TagResource"))?;
    }
    if let Some(alias) = alias {
        let arn = format!("arn:aws:kms:{}:{account}:{alias}", call.node.settings.region);
        call.ask(&call.question("kms:CreateAlias", Subject { arn: &arn, ..Subject::account(account) }))?;
    }
    let policy = fields.text_up_to("Policy", POLICY_MAX)?.map(str::to_owned);
    if let Some(policy) = &policy {
        check_policy(call, policy, Subject::account(account), bypass)?;
    }
    let message = CreateKey {
        alias: alias.map(str::to_owned),
        description: fields.text_up_to("Description", DESCRIPTION_MAX)?.unwrap_or_default().to_owned(),
        tags,
        policy,
        account: account.to_owned(),
        creator: Some(call.principal.caller_arn()),
    };
    let key = call.kms().create_key(call.by.clone(), message).await.map_err(refusal)?;
    Ok(json!({ "KeyMetadata": tell::metadata(&key) }))
}

/// Errs unless a symmetric key is asked for that the node makes: ValidationException, UnsupportedOperationException.
fn check_kind(fields: &Fields) -> Result<(), S3Error> {
    let spec = match (fields.word("KeySpec", &KEY_SPECS)?, fields.word("CustomerMasterKeySpec", &KEY_SPECS)?) {
        (Some(_), Some(_)) => {
            let message = "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. \
                           CustomerMasterKeySpec is deprecated.";
            return Err(validation(message));
        }
        (spec, older) => spec.or(older).unwrap_or("SYMMETRIC_DEFAULT"),
    };
    let usages = ["SIGN_VERIFY", "ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"];
    let usage = fields.word("KeyUsage", &usages)?;
    let origins = ["AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"];
    let origin = fields.word("Origin", &origins)?.unwrap_or("AWS_KMS");
    match (spec, usage) {
        ("SYMMETRIC_DEFAULT", None | Some("ENCRYPT_DECRYPT")) => {}
        ("SYMMETRIC_DEFAULT", Some(usage)) => {
            return Err(validation(format!("KeyUsage {usage} is not compatible with KeySpec SYMMETRIC_DEFAULT")));
        }
        (_, None) => return Err(validation(format!("You must specify a KeyUsage value for KeySpec {spec}."))),
        (spec, Some(_)) => return Err(unsupported(&format!("KeySpec {spec}"))),
    }
    if origin != "AWS_KMS" {
        return Err(unsupported(&format!("Origin {origin}")));
    }
    if fields.truth("MultiRegion")? {
        return Err(unsupported("MultiRegion"));
    }
    refuse_unsupported(fields, &["CustomKeyStoreId", "XksKeyId"])
}

/// DescribeKey. The node's own key is made when it is looked at first, as AWS does.
pub async fn describe(call: &Call<'_>) -> Result<Value, S3Error> {
    refuse_grant_tokens(&call.fields)?;
    if KmsClient::is_default_key(call.fields.key("KeyId")?) {
        call.kms().ensure_default_key().await.map_err(refusal)?;
    }
    Ok(json!({ "KeyMetadata": tell::metadata(&*call.key()?) }))
}

/// ListKeys.
pub fn list(call: &Call<'_>) -> Result<Value, S3Error> {
    let seen = call.ask_of_account()?;
    let keys = call.kms().keys().map_err(refusal)?;
    let told = |key: &Arc<KmsKey>| json!({ "KeyId": key.id, "KeyArn": key.arn });
    let limits = Limits { default: 100, max: 1000 };
    page(&call.fields, limits, "Keys", keys.into_iter().filter(|key| seen.includes(key)), |key| key.id.clone(), told)
}

/// UpdateKeyDescription.
pub async fn update_description(call: &Call<'_>) -> Result<Value, S3Error> {
    let key = call.key()?;
    let description = call.fields.text_up_to("Description", DESCRIPTION_MAX)?.ok_or_else(|| missing("Description"))?;
    call.kms().update_description(call.by.clone(), &key.id, description).await.map_err(refusal)?;
    Ok(Value::Null)
}
