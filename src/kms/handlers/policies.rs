//! Policies of keys. A key has one, which is called `default`.

use myfsio_actors::kms::KeyManager;
use myfsio_actors::policy_engine::KeyPolicy;
use serde_json::{Value, json};

use super::page::{Limits, page};
use crate::kms::access::{Subject, policy_text};
use crate::kms::call::Call;
use crate::kms::error::refusal;
use crate::kms::fields::missing;
use crate::s3::error::{ErrorCode, S3Error};

/// Longest text of a policy that is looked at, in characters.
pub const POLICY_MAX: usize = 131_072;
/// Longest name of a policy, in characters.
const NAME_MAX: usize = 128;

/// GetKeyPolicy.
pub fn get(call: &Call<'_>) -> Result<Value, S3Error> {
    check_name(call)?;
    let key = call.key()?;
    Ok(json!({ "Policy": policy_text(&key), "PolicyName": "default" }))
}

/// PutKeyPolicy.
pub async fn put(call: &Call<'_>) -> Result<Value, S3Error> {
    check_name(call)?;
    let bypass = call.fields.truth("BypassPolicyLockoutSafetyCheck")?;
    let policy = call.fields.text_up_to("Policy", POLICY_MAX)?.ok_or_else(|| missing("Policy"))?;
    let key = call.key_for(call.operation.permission(), call.fields.key("KeyId")?, |question| {
        question.add("kms:BypassPolicyLockoutSafetyCheck", bypass.to_string());
    })?;
    // The node's own refuses any.
    if key.manager == KeyManager::Customer {
        check_policy(call, policy, Subject::of(&key, call.principal), bypass)?;
    }
    call.kms().put_policy(call.by.clone(), &key.id, Some(policy.to_owned())).await.map_err(refusal)?;
    Ok(Value::Null)
}

/// ListKeyPolicies.
pub fn list(call: &Call<'_>) -> Result<Value, S3Error> {
    call.key()?;
    let limits = Limits { default: 100, max: 1000 };
    page(&call.fields, limits, "PolicyNames", ["default"], |name| (*name).to_owned(), |name| Value::from(*name))
}

/// Errs: NotFoundException for any name but the one that there is.
fn check_name(call: &Call<'_>) -> Result<(), S3Error> {
    match call.fields.text_up_to("PolicyName", NAME_MAX)? {
        None | Some("default") => Ok(()),
        Some(_) => Err(S3Error::with_message(ErrorCode::NotFoundException, "No such policy exists.")),
    }
}

/// Errs unless a policy may become that of `subject`: MalformedPolicyDocumentException when it is none, names somebody who is not there,
/// or, unless `bypass` says that it may, would not let the caller put another one.
pub fn check_policy(call: &Call<'_>, text: &str, subject: Subject<'_>, bypass: bool) -> Result<(), S3Error> {
    let malformed = |message: String| Err(S3Error::with_message(ErrorCode::MalformedPolicyDocumentException, message));
    let policy = KeyPolicy::new(text.into());
    if let Some(mistake) = policy.mistake() {
        return malformed(mistake.to_string());
    }
    if let Some(name) = policy.bare_names().find(|name| !call.node.access.iam.is_known(name)) {
        return malformed(format!("Policy contains a statement with one or more invalid principals: {name}."));
    }
    let subject = Subject { policy: Some(&policy), ..subject };
    let again = call.question("kms:PutKeyPolicy", subject).decide(Some(call.principal));
    if !bypass && !again.allowed {
        return malformed("The new key policy will not allow you to update the key policy in the future.".to_owned());
    }
    Ok(())
}
