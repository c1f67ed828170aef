//! What takes a grant of the short form.
//!
//! Such a grant is the node administrator's word and counts in every account, while documents and the root of an account count inside the
//! account. Whoever holds a permission by one of the latter must not come to a grant by it: neither by giving itself one or
//! a group that has one, nor by taking over whoever holds one. And it must not shake one off, since grants bind their holders.
//!
//! The root of an account is above what policies give inside it: it is changed by itself or by such a grant.

use serde_json::Value;

use super::directory::Directory;
use super::entries::{GroupEntry, Holder, Named, UserSummary, WhichUser};
use super::naming::Kind;
use crate::names::CanonicalId;

/// A permission, and the ARN of what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// Action, such as `iam:CreateUser`.
    pub action: &'static str,
    /// ARN.
    pub resource: String,
}

/// A group that a user comes into or leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupChange {
    /// What that takes.
    pub permission: Permission,
    /// Whether it takes it by a grant.
    pub by_grant: bool,
}

/// Whether any of these policies, as the file has them, is no document: a grant, or the attempt at one.
pub(super) fn has_grants(policies: &Value) -> bool {
    policies.as_array().is_some_and(|list| list.iter().any(|policy| policy.get("Statement").is_none()))
}

/// Whether a group may be more than its members' account can give.
fn is_guarded(group: &GroupEntry) -> bool {
    group.account_id.is_none() || has_grants(&group.policies)
}

/// Whether a user is the root of an account, and not the caller itself.
fn is_anothers_root(user: &UserSummary, caller: &CanonicalId) -> bool {
    user.is_root && user.user_id != *caller
}

impl Directory {
    /// Whether a user holds a grant of the short form, of its own or by a group.
    pub(super) fn holds_grants(&self, user: &UserSummary) -> bool {
        has_grants(&user.policies) || self.groups_of_user(user).any(|group| has_grants(&group.policies))
    }

    /// Whether what the caller has inside the account is not enough to change a user: it holds grants, or is the root.
    fn is_above(&self, user: &UserSummary, caller: &CanonicalId) -> bool {
        self.holds_grants(user) || is_anothers_root(user, caller)
    }

    /// What it takes that a user is in these groups and no others. To leave one that is not there takes a grant, too: nobody knows
    /// what it was to deny.
    pub fn group_changes(&self, user: &UserSummary, wanted: &[String], caller: &CanonicalId) -> Vec<GroupChange> {
        let is_in = |list: &[String], name: &str| list.iter().any(|other| other.eq_ignore_ascii_case(name));
        let came = wanted.iter().filter(|name| !is_in(&user.groups, name)).map(|name| ("iam:AddUserToGroup", name));
        let left = user.groups.iter().filter(|name| !is_in(wanted, name)).map(|name| ("iam:RemoveUserFromGroup", name));
        let change = |(action, name): (&'static str, &String)| match self.group(&user.account_id, name) {
            Ok(group) => self.group_change(action, user, group, caller),
            Err(_) => GroupChange {
                permission: Permission { action, resource: Kind::Group.arn(&user.account_id, "/", name) },
                by_grant: action == "iam:RemoveUserFromGroup",
            },
        };
        came.chain(left).map(change).collect()
    }

    fn group_change(
        &self,
        action: &'static str,
        user: &UserSummary,
        group: &GroupEntry,
        caller: &CanonicalId,
    ) -> GroupChange {
        let by_grant = is_guarded(group) || self.is_above(user, caller);
        GroupChange { permission: Permission { action, resource: group.arn(&user.account_id) }, by_grant }
    }

    /// What it takes by a grant to put a user into a group or take it out.
    pub(super) fn to_change_group(
        &self,
        action: &'static str,
        group: &Named,
        which: &WhichUser,
        caller: &CanonicalId,
    ) -> Vec<Permission> {
        let (Ok(user), Ok(group)) = (self.user(which), self.group(&group.account_id, &group.name)) else {
            return Vec::new();
        };
        let change = self.group_change(action, user, group, caller);
        needed(change.by_grant, action, || change.permission.resource)
    }

    /// What it takes by a grant to change a user.
    pub(super) fn to_change_user(
        &self,
        action: &'static str,
        which: &WhichUser,
        caller: &CanonicalId,
    ) -> Vec<Permission> {
        let Ok(user) = self.user(which) else { return Vec::new() };
        needed(self.is_above(user, caller), action, || user.arn())
    }

    /// What it takes by a grant to change a user's keys: those of its own whoever has the permission may change.
    pub(super) fn to_change_keys(
        &self,
        action: &'static str,
        which: &WhichUser,
        caller: &CanonicalId,
    ) -> Vec<Permission> {
        match self.user(which) {
            Ok(user) if user.user_id == *caller => Vec::new(),
            _ => self.to_change_user(action, which, caller),
        }
    }

    /// What it takes by a grant to change a group of an account.
    pub(super) fn to_change_own_group(&self, action: &'static str, group: &Named) -> Vec<Permission> {
        let Ok(found) = self.group(&group.account_id, &group.name) else { return Vec::new() };
        needed(has_grants(&found.policies), action, || found.arn(&group.account_id))
    }

    /// What it takes by a grant to change a role, or who may assume it.
    pub(super) fn to_change_role(&self, action: &'static str, role: &Named) -> Vec<Permission> {
        let Ok(found) = self.role(&role.account_id, &role.name) else { return Vec::new() };
        needed(has_grants(&found.policies), action, || found.arn())
    }

    /// What it takes by a grant to change what somebody holds.
    pub(super) fn to_change_holder(
        &self,
        action: &'static str,
        holder: &Holder,
        caller: &CanonicalId,
    ) -> Vec<Permission> {
        match holder {
            Holder::User(which) => self.to_change_user(action, which, caller),
            Holder::Group(group) => self.to_change_own_group(action, group),
            Holder::Role(role) => self.to_change_role(action, role),
        }
    }

    /// What it takes by a grant to replace a user's own policies by these.
    pub(super) fn to_set_policies(&self, which: &WhichUser, policies: &Value, caller: &CanonicalId) -> Vec<Permission> {
        const ACTION: &str = "iam:PutUserPolicy";
        let Ok(user) = self.user(which) else { return Vec::new() };
        needed(has_grants(policies) || self.is_above(user, caller), ACTION, || user.arn())
    }
}

/// The permission, if it is needed.
pub(super) fn needed(is_needed: bool, action: &'static str, resource: impl FnOnce() -> String) -> Vec<Permission> {
    is_needed.then(|| Permission { action, resource: resource() }).into_iter().collect()
}
