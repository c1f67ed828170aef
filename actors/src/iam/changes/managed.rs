//! Managed policies and their versions.

use serde_json::{Map, Value, json};

use super::policies::{MANAGED_CHARACTERS_MAX, identity_document};
use super::tags::tags_value;
use crate::iam::aws_policies::AWS_ACCOUNT;
use crate::iam::directory::Directory;
use crate::iam::document::{append, append_record, fields, record, remove_from, remove_record, set};
use crate::iam::entries::{ManagedPolicy, Named, Tags};
use crate::iam::error::IamError;
use crate::iam::messages::{Draft, IamChange};
use crate::iam::naming::{Kind, checked_path, scope, unique_id};

/// Most managed policies of an account (IAM User Guide, "IAM and AWS STS quotas").
pub const POLICIES_MAX: usize = 1500;
/// Most versions of a managed policy.
pub const VERSIONS_MAX: usize = 5;
/// Longest description of a managed policy or role, in characters (IAM API Reference, CreatePolicy, CreateRole).
pub const DESCRIPTION_CHARACTERS_MAX: usize = 1000;

/// A managed policy that the account may change, with its place in the file. Errs: NoSuchEntity, also for another account's;
/// UnmodifiableEntity for AWS's own and what every account has.
pub(super) fn own_policy<'a>(
    directory: &'a Directory,
    account_id: &str,
    arn: &str,
) -> Result<(usize, &'a ManagedPolicy), IamError> {
    let policy = directory.managed_policy(arn)?;
    match (policy.account_id.as_deref(), policy.place) {
        (Some(AWS_ACCOUNT) | None, _) | (_, None) => {
            Err(IamError::UnmodifiableEntity(format!("Policy {arn} belongs to no account and cannot be changed.")))
        }
        (Some(owner), _) if owner != account_id => Err(IamError::NoSuchEntity(format!("Policy {arn} was not found."))),
        (Some(_), Some(place)) => Ok((place, policy)),
    }
}

/// Errs unless it can be a description.
pub(super) fn check_description(description: Option<&str>) -> Result<(), IamError> {
    match description.is_some_and(|text| text.chars().count() > DESCRIPTION_CHARACTERS_MAX) {
        true => Err(IamError::invalid("description", format!("has at most {DESCRIPTION_CHARACTERS_MAX} characters"))),
        false => Ok(()),
    }
}

fn version(version_id: &str, document: Value, created_at: Value) -> Value {
    json!({"version_id": version_id, "document": document, "created_at": created_at})
}

/// Adds a managed policy (IAM API Reference, CreatePolicy). Answers its ARN. Errs: EntityAlreadyExists, InvalidInput,
/// MalformedPolicyDocument, LimitExceeded.
#[derive(Debug, Clone)]
pub struct CreatePolicy {
    /// The policy.
    pub policy: Named,
    /// Path in ARNs.
    pub path: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The document, as text.
    pub document: String,
    /// Its tags.
    pub tags: Tags,
}

impl IamChange for CreatePolicy {
    type Answer = String;

    fn action(&self) -> &'static str {
        "iam:CreatePolicy"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<String, IamError> {
        let Named { account_id, name } = &self.policy;
        let path = checked_path(self.path.as_deref())?;
        Kind::Policy.check("policyName", name)?;
        check_description(self.description.as_deref())?;
        let arn = Kind::Policy.arn(account_id, path, name);
        draft.target.clone_from(&arn);
        let document = identity_document(&self.document, MANAGED_CHARACTERS_MAX, "PolicySize")?;
        let directory = draft.directory;
        let is_taken = |account_id| directory.managed_places.contains_key(&scope(account_id, name));
        if is_taken(Some(account_id.as_str())) || is_taken(None) {
            let reason = format!("A policy called {name} already exists. Duplicate names are not allowed.");
            return Err(IamError::EntityAlreadyExists(reason));
        }
        if directory.managed_policies_of(account_id).count() >= POLICIES_MAX {
            return Err(IamError::LimitExceeded(format!("Cannot exceed quota for PoliciesPerAccount: {POLICIES_MAX}")));
        }
        let now = draft.time();
        let policy = fields([
            ("policy_name", Some(Value::from(name.as_str()))),
            ("path", Some(Value::from(path))),
            ("account_id", Some(Value::from(account_id.as_str()))),
            ("policy_id", Some(Value::from(unique_id("ANPA")?))),
            ("description", self.description.as_deref().map(Value::from)),
            ("created_at", Some(now.clone())),
            ("updated_at", Some(now.clone())),
            ("default_version_id", Some(Value::from("v1"))),
            ("versions", Some(Value::from(vec![version("v1", document, now)]))),
            ("tags", tags_value(&[], &self.tags, "TagsPerPolicy")?),
        ]);
        append_record(draft.document, "managed_policies", policy);
        Ok(arn)
    }
}

/// Removes a managed policy (IAM API Reference, DeletePolicy). Errs: NoSuchEntity, UnmodifiableEntity; DeleteConflict while somebody
/// holds it, or it has other versions than the default one.
#[derive(Debug, Clone)]
pub struct DeletePolicy {
    /// Whose it must be.
    pub account_id: String,
    /// Its ARN.
    pub arn: String,
}

impl IamChange for DeletePolicy {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:DeletePolicy"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let (place, policy) = own_policy(draft.directory, &self.account_id, &self.arn)?;
        draft.target.clone_from(&self.arn);
        if draft.directory.holders(policy, &self.account_id).next().is_some() {
            return Err(IamError::DeleteConflict("Cannot delete a policy attached to entities."));
        }
        if policy.versions.len() > 1 {
            return Err(IamError::DeleteConflict(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The \
                 default version is deleted with the policy.",
            ));
        }
        remove_record(draft.document, "managed_policies", place);
        Ok(())
    }
}

/// The record of a policy, with its document as its first version where it was typed alone, and with what follows from its name.
fn versioned<'a>(
    document: &'a mut Value,
    place: usize,
    policy: &ManagedPolicy,
) -> Result<&'a mut Map<String, Value>, IamError> {
    let record = record(document, "managed_policies", place)?;
    if let Some(document) = record.shift_remove("document")
        && policy.versions.len() == 1
        && record.get("versions").and_then(Value::as_array).is_none_or(|versions| versions.is_empty())
    {
        let created_at = record.get("created_at").cloned().unwrap_or_default();
        set(record, "versions", Some(Value::from(vec![version("v1", document, created_at)])));
    }
    set(record, "default_version_id", Some(Value::from(policy.default_version_id.as_str())));
    Ok(record)
}

fn set_default(record: &mut Map<String, Value>, version_id: &str, now: Value) {
    set(record, "default_version_id", Some(Value::from(version_id)));
    set(record, "updated_at", Some(now));
}

/// Adds a version to a managed policy (IAM API Reference, CreatePolicyVersion). Answers its id. Errs: NoSuchEntity,
/// UnmodifiableEntity, MalformedPolicyDocument, LimitExceeded.
#[derive(Debug, Clone)]
pub struct CreatePolicyVersion {
    /// Whose the policy must be.
    pub account_id: String,
    /// ARN of the policy.
    pub arn: String,
    /// The document, as text.
    pub document: String,
    /// Whether it is in force from now on.
    pub set_as_default: bool,
}

/// Field that keeps a version's number from being used again.
const LAST_VERSION: &str = "last_version";

fn number(version_id: &str) -> u64 {
    version_id.strip_prefix('v').and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

impl IamChange for CreatePolicyVersion {
    type Answer = String;

    fn action(&self) -> &'static str {
        "iam:CreatePolicyVersion"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<String, IamError> {
        let (place, policy) = own_policy(draft.directory, &self.account_id, &self.arn)?;
        draft.target.clone_from(&self.arn);
        let document = identity_document(&self.document, MANAGED_CHARACTERS_MAX, "PolicySize")?;
        if policy.versions.len() >= VERSIONS_MAX {
            return Err(IamError::LimitExceeded(format!(
                "A managed policy can have up to {VERSIONS_MAX} versions. Before you create a new version, you must delete an \
                 existing version."
            )));
        }
        let now = draft.time();
        let record = versioned(draft.document, place, policy)?;
        let last = record.get(LAST_VERSION).and_then(Value::as_u64).unwrap_or(0);
        let newest = policy.versions.iter().map(|version| number(&version.version_id)).max().unwrap_or(0);
        let next = last.max(newest).saturating_add(1);
        let version_id = format!("v{next}");
        append(record, "versions", version(&version_id, document, now.clone()));
        set(record, LAST_VERSION, Some(Value::from(next)));
        if self.set_as_default {
            set_default(record, &version_id, now);
        }
        Ok(version_id)
    }
}

fn no_version(arn: &str, version_id: &str) -> IamError {
    IamError::NoSuchEntity(format!("Policy {arn} version {version_id} does not exist or is not attachable."))
}

/// Removes a version that is not the default one (IAM API Reference, DeletePolicyVersion). Errs: NoSuchEntity, UnmodifiableEntity,
/// DeleteConflict.
#[derive(Debug, Clone)]
pub struct DeletePolicyVersion {
    /// Whose the policy must be.
    pub account_id: String,
    /// ARN of the policy.
    pub arn: String,
    /// The version.
    pub version_id: String,
}

impl IamChange for DeletePolicyVersion {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:DeletePolicyVersion"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let (place, policy) = own_policy(draft.directory, &self.account_id, &self.arn)?;
        draft.target.clone_from(&self.arn);
        if policy.version(&self.version_id).is_none() {
            return Err(no_version(&self.arn, &self.version_id));
        }
        if policy.default_version_id == self.version_id {
            return Err(IamError::DeleteConflict("Cannot delete the default version of a policy."));
        }
        let record = versioned(draft.document, place, policy)?;
        let last = policy.versions.iter().map(|version| number(&version.version_id)).max().unwrap_or(0);
        let last = record.get(LAST_VERSION).and_then(Value::as_u64).unwrap_or(0).max(last);
        set(record, LAST_VERSION, Some(Value::from(last)));
        let is_this = |version: &Value| version.get("version_id").and_then(Value::as_str) == Some(&self.version_id);
        remove_from(record, "versions", is_this);
        Ok(())
    }
}

/// Puts another version in force (IAM API Reference, SetDefaultPolicyVersion). Errs: NoSuchEntity, UnmodifiableEntity.
#[derive(Debug, Clone)]
pub struct SetDefaultPolicyVersion {
    /// Whose the policy must be.
    pub account_id: String,
    /// ARN of the policy.
    pub arn: String,
    /// The version.
    pub version_id: String,
}

impl IamChange for SetDefaultPolicyVersion {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:SetDefaultPolicyVersion"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let (place, policy) = own_policy(draft.directory, &self.account_id, &self.arn)?;
        draft.target.clone_from(&self.arn);
        if policy.version(&self.version_id).is_none() {
            return Err(no_version(&self.arn, &self.version_id));
        }
        let now = draft.time();
        set_default(versioned(draft.document, place, policy)?, &self.version_id, now);
        Ok(())
    }
}
