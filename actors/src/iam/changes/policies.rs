//! What a policy must be before it is stored.

use serde_json::{Map, Value};

use crate::iam::directory::Directory;
use crate::iam::error::IamError;
use crate::policy_engine::{IdentityPolicy, InvalidPolicy, TrustPolicy, refuse_ambiguous};

/// Most policies of a user, and most bytes of one, where they come as a list.
const POLICIES_MAX: usize = 100;
const POLICY_BYTES_MAX: usize = 64 * 1024;
/// Most characters of a managed policy, and of a trust policy, white space aside (IAM User Guide, "IAM and AWS STS quotas").
pub const MANAGED_CHARACTERS_MAX: usize = 6144;
/// Most characters of a trust policy, white space aside.
pub const TRUST_CHARACTERS_MAX: usize = 2048;

fn malformed(reason: impl Into<String>) -> IamError {
    IamError::MalformedPolicyDocument(reason.into())
}

/// Checks a list of policies in either form. Errs: MalformedPolicyDocument, also for words that would grant nothing.
pub(super) fn check_policies(policies: &Value) -> Result<(), IamError> {
    let list = policies.as_array().ok_or_else(|| malformed("policies must be a list"))?;
    if list.len() > POLICIES_MAX {
        return Err(malformed(format!("a user has at most {POLICIES_MAX} policies")));
    }
    for (index, value) in list.iter().enumerate() {
        let place = format!("policies[{index}]");
        if value.to_string().len() > POLICY_BYTES_MAX {
            return Err(malformed(format!("{place}: larger than {POLICY_BYTES_MAX} bytes")));
        }
        let policy = IdentityPolicy::parse(value, &place)?;
        if let Some(word) = policy.unknown_words().first() {
            return Err(malformed(format!("{place}.actions: `{word}` is not an action")));
        }
    }
    Ok(())
}

/// Characters that count against a quota.
pub(super) fn characters(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

fn json(text: &str, characters_max: usize, what: &'static str) -> Result<Value, IamError> {
    if characters(text) > characters_max {
        return Err(IamError::LimitExceeded(format!("Cannot exceed quota for {what}: {characters_max}")));
    }
    refuse_ambiguous(text).and_then(|()| serde_json::from_str(text)).map_err(|error| malformed(error.to_string()))
}

/// Reads the text of an identity policy: a document, whose name stands elsewhere. Errs: MalformedPolicyDocument, LimitExceeded.
pub(super) fn identity_document(text: &str, characters_max: usize, what: &'static str) -> Result<Value, IamError> {
    let document = json(text, characters_max, what)?;
    // The short form is the node administrator's word, and not for those who may put policies in an account.
    if document.get("Statement").is_none() {
        return Err(InvalidPolicy::new("Statement", "is missing").into());
    }
    if document.get("PolicyName").is_some() {
        return Err(InvalidPolicy::new("PolicyName", "is not an element of a policy").into());
    }
    IdentityPolicy::parse(&document, "PolicyDocument")?;
    Ok(document)
}

/// Reads the text of a trust policy; gives the ids of the users and roles that it names beside it, if any. Errs:
/// MalformedPolicyDocument, also for a name that is nobody's; LimitExceeded.
pub(super) fn trust_document(text: &str, directory: &Directory) -> Result<(Value, Option<Value>), IamError> {
    let document = json(text, TRUST_CHARACTERS_MAX, "ACLSizePerRole")?;
    let trust = TrustPolicy::parse(&document, "AssumeRolePolicyDocument")?;
    let mut ids = Map::new();
    for name in trust.principals() {
        let unknown = || malformed(format!("Invalid principal in policy: \"AWS\":\"{name}\""));
        let id = directory.id_of_principal(&name).ok_or_else(unknown)?;
        ids.insert(name, Value::from(id.as_str()));
    }
    Ok((document, (!ids.is_empty()).then_some(Value::Object(ids))))
}
