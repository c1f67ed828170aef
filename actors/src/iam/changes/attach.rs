//! Managed policies on users, groups and roles.

use serde_json::Value;

use super::inline::find_holder;
use crate::iam::directory::Directory;
use crate::iam::document::{append, record, remove_from};
use crate::iam::entries::Holder;
use crate::iam::error::IamError;
use crate::iam::grants::Permission;
use crate::iam::messages::{Draft, IamChange};
use crate::names::CanonicalId;

/// Most managed policies on one holder (IAM User Guide, "IAM and AWS STS quotas").
pub const ATTACHED_MAX: usize = 10;

/// Attaches a managed policy; one that is attached stays so (IAM API Reference, AttachUserPolicy, AttachGroupPolicy,
/// AttachRolePolicy). Errs: NoSuchEntity, LimitExceeded, UnmodifiableEntity.
#[derive(Debug, Clone)]
pub struct AttachPolicy {
    /// To whom.
    pub holder: Holder,
    /// ARN of the policy: AWS's own, or one of the holder's account.
    pub policy_arn: String,
}

impl IamChange for AttachPolicy {
    type Answer = ();

    fn action(&self) -> &'static str {
        match self.holder {
            Holder::User(_) => "iam:AttachUserPolicy",
            Holder::Group(_) => "iam:AttachGroupPolicy",
            Holder::Role(_) => "iam:AttachRolePolicy",
        }
    }

    fn takes_by_grant(&self, directory: &Directory, caller: &CanonicalId) -> Vec<Permission> {
        directory.to_change_holder(self.action(), &self.holder, caller)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let found = find_holder(draft.directory, &self.holder)?;
        draft.target.clone_from(&found.arn);
        let place = draft.directory.managed_place(&self.policy_arn, Some(found.account_id));
        let policy = place.and_then(|place| draft.directory.managed.get(place)).ok_or_else(|| {
            IamError::NoSuchEntity(format!("Policy {} does not exist or is not attachable.", self.policy_arn))
        })?;
        // In one spelling, whatever the letter case of the request.
        let arn = policy.arn(found.account_id);
        if found.attached.contains(&arn) {
            return Ok(());
        }
        if found.attached.len() >= ATTACHED_MAX {
            let kind = match self.holder {
                Holder::User(_) => "PoliciesPerUser",
                Holder::Group(_) => "PoliciesPerGroup",
                Holder::Role(_) => "PoliciesPerRole",
            };
            return Err(IamError::LimitExceeded(format!("Cannot exceed quota for {kind}: {ATTACHED_MAX}")));
        }
        append(record(draft.document, found.list, found.place)?, "attached_policies", Value::from(arn));
        Ok(())
    }
}

/// Detaches a managed policy (IAM API Reference, DetachUserPolicy, DetachGroupPolicy, DetachRolePolicy). Errs: NoSuchEntity, also
/// when it is not attached; UnmodifiableEntity.
#[derive(Debug, Clone)]
pub struct DetachPolicy {
    /// From whom.
    pub holder: Holder,
    /// ARN of the policy.
    pub policy_arn: String,
}

impl IamChange for DetachPolicy {
    type Answer = ();

    fn action(&self) -> &'static str {
        match self.holder {
            Holder::User(_) => "iam:DetachUserPolicy",
            Holder::Group(_) => "iam:DetachGroupPolicy",
            Holder::Role(_) => "iam:DetachRolePolicy",
        }
    }

    fn takes_by_grant(&self, directory: &Directory, caller: &CanonicalId) -> Vec<Permission> {
        directory.to_change_holder(self.action(), &self.holder, caller)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let found = find_holder(draft.directory, &self.holder)?;
        draft.target.clone_from(&found.arn);
        // In any letter case in which it would be found.
        let directory = draft.directory;
        let meant = directory.managed_policy_arn(&self.policy_arn);
        let is_this =
            |arn: &str| arn == self.policy_arn || (meant.is_some() && directory.managed_policy_arn(arn) == meant);
        if !found.attached.iter().any(|arn| is_this(arn)) {
            return Err(IamError::NoSuchEntity(format!("Policy {} was not found.", self.policy_arn)));
        }
        let entry = |value: &Value| value.as_str().is_some_and(is_this);
        remove_from(record(draft.document, found.list, found.place)?, "attached_policies", entry);
        Ok(())
    }
}
