//! The policies that users, groups and roles have of their own.

use serde_json::{Map, Value};

use super::policies::{characters, check_policies, identity_document};
use crate::iam::directory::Directory;
use crate::iam::document::{record, remove_from, set};
use crate::iam::entries::{Holder, Named, WhichUser, inline_document, inline_name, inline_policies};
use crate::iam::error::IamError;
use crate::iam::grants::Permission;
use crate::iam::messages::{Draft, IamChange};
use crate::iam::naming::Kind;
use crate::names::CanonicalId;

/// Most inline policies of one holder, whatever their size.
const POLICIES_MAX: usize = 100;

/// A holder of policies, found.
pub(super) struct FoundHolder<'a> {
    /// Its list in the file.
    pub list: &'static str,
    pub place: usize,
    pub arn: String,
    /// Its account; managed policies of others it cannot hold.
    pub account_id: &'a str,
    pub policies: &'a Value,
    pub attached: &'a [String],
}

/// Errs: NoSuchEntity; UnmodifiableEntity for what every account has.
pub(super) fn find_holder<'a>(directory: &'a Directory, holder: &'a Holder) -> Result<FoundHolder<'a>, IamError> {
    match holder {
        Holder::User(which) => {
            let (place, user) = directory.find_user(which)?;
            Ok(FoundHolder {
                list: "users",
                place,
                arn: user.arn(),
                account_id: &user.account_id,
                policies: &user.policies,
                attached: &user.attached_policies,
            })
        }
        Holder::Group(Named { account_id, name }) => {
            let group = super::groups::own_group(directory, account_id, name)?;
            Ok(FoundHolder {
                list: "groups",
                place: group.place,
                arn: group.arn(account_id),
                account_id,
                policies: &group.policies,
                attached: &group.attached_policies,
            })
        }
        Holder::Role(Named { account_id, name }) => {
            let role = directory.role(account_id, name)?;
            Ok(FoundHolder {
                list: "roles",
                place: role.place,
                arn: role.arn(),
                account_id: &role.account_id,
                policies: &role.policies,
                attached: &role.attached_policies,
            })
        }
    }
}

/// Most characters of all inline policies of a user together, white space aside.
pub const USER_CHARACTERS_MAX: usize = 2048;
/// The same of a group.
pub const GROUP_CHARACTERS_MAX: usize = 5120;
/// The same of a role.
pub const ROLE_CHARACTERS_MAX: usize = 10_240;

/// What all inline policies of a holder may have together, and the name of that quota.
fn quota(holder: &Holder) -> (usize, &'static str) {
    match holder {
        Holder::User(_) => (USER_CHARACTERS_MAX, "UserPolicySize"),
        Holder::Group(_) => (GROUP_CHARACTERS_MAX, "GroupPolicySize"),
        Holder::Role(_) => (ROLE_CHARACTERS_MAX, "RolePolicySize"),
    }
}

/// The word of a holder in the names of actions.
pub(super) fn word(holder: &Holder) -> &'static str {
    match holder {
        Holder::User(_) => "user",
        Holder::Group(_) => "group",
        Holder::Role(_) => "role",
    }
}

fn is_called(index: usize, policy: &Value, name: &str) -> bool {
    inline_name(index, policy).is_some_and(|own| own == name)
}

/// Puts an inline policy in the place of one of the same name, if there is one (IAM API Reference, PutUserPolicy, PutGroupPolicy,
/// PutRolePolicy). Errs: NoSuchEntity, InvalidInput, MalformedPolicyDocument, LimitExceeded.
#[derive(Debug, Clone)]
pub struct PutInlinePolicy {
    /// Whose.
    pub holder: Holder,
    /// Its name.
    pub policy_name: String,
    /// The document, as text.
    pub document: String,
}

impl IamChange for PutInlinePolicy {
    type Answer = ();

    fn action(&self) -> &'static str {
        match self.holder {
            Holder::User(_) => "iam:PutUserPolicy",
            Holder::Group(_) => "iam:PutGroupPolicy",
            Holder::Role(_) => "iam:PutRolePolicy",
        }
    }

    fn takes_by_grant(&self, directory: &Directory, caller: &CanonicalId) -> Vec<Permission> {
        directory.to_change_holder(self.action(), &self.holder, caller)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let found = find_holder(draft.directory, &self.holder)?;
        draft.target.clone_from(&found.arn);
        Kind::Policy.check("policyName", &self.policy_name)?;
        let (characters_max, quota_name) = quota(&self.holder);
        let document = identity_document(&self.document, characters_max, quota_name)?;
        let others = || inline_policies(found.policies).filter(|(name, _)| *name != self.policy_name);
        let used: usize = others().map(|(_, policy)| characters(&inline_document(policy).to_string())).sum();
        if used + characters(&self.document) > characters_max || others().count() >= POLICIES_MAX {
            let reason = format!("Maximum policy size of {characters_max} bytes exceeded for {}", word(&self.holder));
            return Err(IamError::LimitExceeded(reason));
        }
        let mut policy = Map::new();
        set(&mut policy, "PolicyName", Some(Value::from(self.policy_name.as_str())));
        if let Value::Object(elements) = document {
            policy.extend(elements);
        }
        let record = record(draft.document, found.list, found.place)?;
        let policies = record.entry("policies").or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(policies) = policies {
            let at = policies.iter().enumerate().position(|(index, old)| is_called(index, old, &self.policy_name));
            match at.and_then(|at| policies.get_mut(at)) {
                Some(old) => *old = Value::Object(policy),
                None => policies.push(Value::Object(policy)),
            }
        }
        Ok(())
    }
}

/// Removes an inline policy (IAM API Reference, DeleteUserPolicy, DeleteGroupPolicy, DeleteRolePolicy). Errs: NoSuchEntity.
#[derive(Debug, Clone)]
pub struct DeleteInlinePolicy {
    /// Whose.
    pub holder: Holder,
    /// Its name.
    pub policy_name: String,
}

impl IamChange for DeleteInlinePolicy {
    type Answer = ();

    fn action(&self) -> &'static str {
        match self.holder {
            Holder::User(_) => "iam:DeleteUserPolicy",
            Holder::Group(_) => "iam:DeleteGroupPolicy",
            Holder::Role(_) => "iam:DeleteRolePolicy",
        }
    }

    fn takes_by_grant(&self, directory: &Directory, caller: &CanonicalId) -> Vec<Permission> {
        directory.to_change_holder(self.action(), &self.holder, caller)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let found = find_holder(draft.directory, &self.holder)?;
        draft.target.clone_from(&found.arn);
        let doomed = inline_policies(found.policies).find(|(name, _)| *name == self.policy_name);
        let (_, doomed) = doomed.ok_or_else(|| {
            let (kind, name) = (word(&self.holder), &self.policy_name);
            IamError::NoSuchEntity(format!("The {kind} policy with name {name} cannot be found."))
        })?;
        remove_from(record(draft.document, found.list, found.place)?, "policies", |policy| policy == doomed);
        Ok(())
    }
}

/// Replaces a user's own policies by a list in either form; durable on reply. Errs: NoSuchEntity, MalformedPolicyDocument.
#[derive(Debug, Clone)]
pub struct SetPolicies {
    /// The user.
    pub user: WhichUser,
    /// List of policies in either form.
    pub policies: Value,
}

impl IamChange for SetPolicies {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:PutUserPolicy"
    }

    fn takes_by_grant(&self, directory: &Directory, caller: &CanonicalId) -> Vec<Permission> {
        directory.to_set_policies(&self.user, &self.policies, caller)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        check_policies(&self.policies)?;
        let (place, user) = draft.directory.find_user(&self.user)?;
        draft.target = user.arn();
        set(record(draft.document, "users", place)?, "policies", Some(self.policies.clone()));
        Ok(())
    }
}
