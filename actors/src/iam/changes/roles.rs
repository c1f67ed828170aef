//! Roles.

use serde_json::{Value, json};

use super::managed::check_description;
use super::policies::trust_document;
use super::tags::tags_value;
use super::users::check_former;
use crate::iam::build::SESSION_SECONDS;
use crate::iam::directory::Directory;
use crate::iam::document::{Former, append_record, fields, record, remember, remove_record, set};
use crate::iam::entries::{Named, Tags, inline_policies};
use crate::iam::error::IamError;
use crate::iam::grants::Permission;
use crate::iam::messages::{Draft, IamChange};
use crate::iam::naming::{Kind, checked_path, random_canonical_id, unique_id};
use crate::names::CanonicalId;

/// Most roles of an account (IAM User Guide, "IAM and AWS STS quotas").
pub const ROLES_MAX: usize = 1000;

fn checked_duration(seconds: Option<u64>) -> Result<u64, IamError> {
    match seconds.unwrap_or(*SESSION_SECONDS.start()) {
        seconds if SESSION_SECONDS.contains(&seconds) => Ok(seconds),
        _ => Err(IamError::invalid("maxSessionDuration", "must be 3600 to 43200 seconds")),
    }
}

/// Adds a role (IAM API Reference, CreateRole). Errs: EntityAlreadyExists, InvalidInput, MalformedPolicyDocument, LimitExceeded.
#[derive(Debug, Clone)]
pub struct CreateRole {
    /// The role.
    pub role: Named,
    /// Path in ARNs.
    pub path: Option<String>,
    /// The trust policy, as text.
    pub assume_role_policy: String,
    /// What it is for.
    pub description: Option<String>,
    /// Longest session, in seconds.
    pub max_session_duration: Option<u64>,
    /// Its tags.
    pub tags: Tags,
}

impl IamChange for CreateRole {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:CreateRole"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let Named { account_id, name } = &self.role;
        let path = checked_path(self.path.as_deref())?;
        Kind::Role.check("roleName", name)?;
        check_description(self.description.as_deref())?;
        let seconds = checked_duration(self.max_session_duration)?;
        draft.target = Kind::Role.arn(account_id, path, name);
        let (trust, principals) = trust_document(&self.assume_role_policy, draft.directory)?;
        if draft.directory.role(account_id, name).is_ok() {
            return Err(IamError::EntityAlreadyExists(format!("Role with name {name} already exists.")));
        }
        if draft.directory.roles_of(account_id).count() >= ROLES_MAX {
            return Err(IamError::LimitExceeded(format!("Cannot exceed quota for RolesPerAccount: {ROLES_MAX}")));
        }
        check_former(draft.directory, account_id)?;
        let role = fields([
            ("role_name", Some(Value::from(name.as_str()))),
            ("path", Some(Value::from(path))),
            ("account_id", Some(Value::from(account_id.as_str()))),
            ("role_id", Some(Value::from(unique_id("AROA")?))),
            ("canonical_id", Some(Value::from(random_canonical_id()?.as_str()))),
            ("assume_role_policy", Some(trust)),
            ("assume_role_principals", principals),
            ("policies", Some(json!([]))),
            ("max_session_duration", Some(Value::from(seconds))),
            ("description", self.description.as_deref().map(Value::from)),
            ("created_at", Some(draft.time())),
            ("tags", tags_value(&[], &self.tags, "TagsPerRole")?),
        ]);
        append_record(draft.document, "roles", role);
        Ok(())
    }
}

/// Changes what a role is for and how long its sessions may be (IAM API Reference, UpdateRole). Errs: NoSuchEntity, InvalidInput.
#[derive(Debug, Clone)]
pub struct UpdateRole {
    /// The role.
    pub role: Named,
    /// What it is for.
    pub description: Option<String>,
    /// Longest session, in seconds.
    pub max_session_duration: Option<u64>,
}

impl IamChange for UpdateRole {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:UpdateRole"
    }

    fn takes_by_grant(&self, directory: &Directory, _caller: &CanonicalId) -> Vec<Permission> {
        directory.to_change_role(self.action(), &self.role)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let role = draft.directory.role(&self.role.account_id, &self.role.name)?;
        draft.target = role.arn();
        check_description(self.description.as_deref())?;
        let record = record(draft.document, "roles", role.place)?;
        if let Some(description) = &self.description {
            set(record, "description", Some(Value::from(description.as_str())));
        }
        if self.max_session_duration.is_some() {
            let seconds = checked_duration(self.max_session_duration)?;
            set(record, "max_session_duration", Some(Value::from(seconds)));
        }
        Ok(())
    }
}

/// Replaces a role's trust policy (IAM API Reference, UpdateAssumeRolePolicy). Errs: NoSuchEntity, MalformedPolicyDocument,
/// LimitExceeded.
#[derive(Debug, Clone)]
pub struct UpdateAssumeRolePolicy {
    /// The role.
    pub role: Named,
    /// The trust policy, as text.
    pub document: String,
}

impl IamChange for UpdateAssumeRolePolicy {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:UpdateAssumeRolePolicy"
    }

    fn takes_by_grant(&self, directory: &Directory, _caller: &CanonicalId) -> Vec<Permission> {
        directory.to_change_role(self.action(), &self.role)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let role = draft.directory.role(&self.role.account_id, &self.role.name)?;
        draft.target = role.arn();
        let (trust, principals) = trust_document(&self.document, draft.directory)?;
        let record = record(draft.document, "roles", role.place)?;
        set(record, "assume_role_policy", Some(trust));
        set(record, "assume_role_principals", principals);
        Ok(())
    }
}

/// Removes a role; what its sessions own stays with its account (IAM API Reference, DeleteRole). Errs: NoSuchEntity; DeleteConflict
/// while it has named policies.
#[derive(Debug, Clone)]
pub struct DeleteRole {
    /// The role.
    pub role: Named,
}

impl IamChange for DeleteRole {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:DeleteRole"
    }

    fn takes_by_grant(&self, directory: &Directory, _caller: &CanonicalId) -> Vec<Permission> {
        directory.to_change_role(self.action(), &self.role)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let role = draft.directory.role(&self.role.account_id, &self.role.name)?;
        draft.target = role.arn();
        if inline_policies(&role.policies).next().is_some() {
            return Err(IamError::DeleteConflict("Cannot delete entity, must delete policies first."));
        }
        if !role.attached_policies.is_empty() {
            return Err(IamError::DeleteConflict("Cannot delete entity, must detach all policies first."));
        }
        remove_record(draft.document, "roles", role.place);
        remember(draft.document, Former::Role, &role.canonical_id, &role.account_id, &role.name);
        Ok(())
    }
}
