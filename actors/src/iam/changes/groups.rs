//! Groups and who is in them. Membership stands with the user.

use serde_json::{Value, json};

use crate::iam::directory::Directory;
use crate::iam::document::{append, append_record, fields, record, remove_from, remove_record, set};
use crate::iam::entries::{GroupEntry, Named, UserSummary, WhichUser, inline_policies};
use crate::iam::error::IamError;
use crate::iam::grants::Permission;
use crate::iam::messages::{Draft, IamChange};
use crate::iam::naming::{Kind, checked_path, scope, unique_id};
use crate::names::CanonicalId;

/// Most groups of an account (IAM User Guide, "IAM and AWS STS quotas").
pub const GROUPS_MAX: usize = 300;
/// Most groups that a user is in.
pub const GROUPS_OF_USER_MAX: usize = 10;

/// A group that the account may change. Errs: NoSuchEntity; UnmodifiableEntity for one that every account has.
pub(super) fn own_group<'a>(
    directory: &'a Directory,
    account_id: &str,
    name: &str,
) -> Result<&'a GroupEntry, IamError> {
    let group = directory.group(account_id, name)?;
    match group.account_id {
        Some(_) => Ok(group),
        None => Err(IamError::UnmodifiableEntity(format!(
            "The group with name {name} is every account's: it can be changed in the node's file only."
        ))),
    }
}

fn exists(name: &str) -> IamError {
    IamError::EntityAlreadyExists(format!("Group with name {name} already exists."))
}

/// The names of these groups as they are written. Errs: NoSuchEntity, LimitExceeded.
pub(super) fn checked_names(
    directory: &Directory,
    user: &UserSummary,
    groups: &[String],
) -> Result<Vec<String>, IamError> {
    let mut names: Vec<String> = Vec::with_capacity(groups.len().min(GROUPS_OF_USER_MAX));
    for name in groups {
        let group = directory.group(&user.account_id, name)?;
        if !names.contains(&group.name) {
            names.push(group.name.clone());
        }
    }
    match names.len() > GROUPS_OF_USER_MAX {
        true => Err(IamError::LimitExceeded(format!("Cannot exceed quota for GroupsPerUser: {GROUPS_OF_USER_MAX}"))),
        false => Ok(names),
    }
}

/// Adds a group (IAM API Reference, CreateGroup). Errs: EntityAlreadyExists, InvalidInput, LimitExceeded.
#[derive(Debug, Clone)]
pub struct CreateGroup {
    /// The group.
    pub group: Named,
    /// Path in ARNs.
    pub path: Option<String>,
}

impl IamChange for CreateGroup {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:CreateGroup"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let Named { account_id, name } = &self.group;
        let path = checked_path(self.path.as_deref())?;
        Kind::Group.check("groupName", name)?;
        draft.target = Kind::Group.arn(account_id, path, name);
        if draft.directory.group_place(account_id, name).is_some() {
            return Err(exists(name));
        }
        if draft.directory.groups_of(account_id).count() >= GROUPS_MAX {
            return Err(IamError::LimitExceeded(format!("Cannot exceed quota for GroupsPerAccount: {GROUPS_MAX}")));
        }
        let group = fields([
            ("name", Some(Value::from(name.as_str()))),
            ("path", Some(Value::from(path))),
            ("account_id", Some(Value::from(account_id.as_str()))),
            ("group_id", Some(Value::from(unique_id("AGPA")?))),
            ("created_at", Some(draft.time())),
            ("policies", Some(json!([]))),
        ]);
        append_record(draft.document, "groups", group);
        Ok(())
    }
}

/// Renames or moves a group; its members stay in it (IAM API Reference, UpdateGroup). Errs: NoSuchEntity, EntityAlreadyExists,
/// InvalidInput, UnmodifiableEntity.
#[derive(Debug, Clone)]
pub struct UpdateGroup {
    /// The group.
    pub group: Named,
    /// Its new name.
    pub new_name: Option<String>,
    /// Its new path.
    pub new_path: Option<String>,
}

impl IamChange for UpdateGroup {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:UpdateGroup"
    }

    fn takes_by_grant(&self, directory: &Directory, _caller: &CanonicalId) -> Vec<Permission> {
        directory.to_change_own_group(self.action(), &self.group)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let directory = draft.directory;
        let Named { account_id, name } = &self.group;
        let group = own_group(directory, account_id, name)?;
        draft.target = group.arn(account_id);
        // What the members are in is told by a name: they need the id to be written, where it follows from the name.
        let group_record = record(draft.document, "groups", group.place)?;
        set(group_record, "group_id", Some(Value::from(group.group_id.as_str())));
        if let Some(path) = &self.new_path {
            set(group_record, "path", Some(Value::from(checked_path(Some(path))?)));
        }
        let Some(new_name) = &self.new_name else { return Ok(()) };
        Kind::Group.check("newGroupName", new_name)?;
        if !new_name.eq_ignore_ascii_case(&group.name) && directory.group_place(account_id, new_name).is_some() {
            return Err(exists(new_name));
        }
        set(group_record, "name", Some(Value::from(new_name.as_str())));
        let old = Some(scope(Some(account_id), &group.name));
        for place in directory.members.get(group.place).into_iter().flatten() {
            if let Some(Value::Array(groups)) = record(draft.document, "users", *place)?.get_mut("groups") {
                let is_old = |entry: &&mut Value| entry.as_str().map(|name| scope(Some(account_id), name)) == old;
                groups.iter_mut().filter(is_old).for_each(|entry| *entry = Value::from(new_name.as_str()));
            }
        }
        Ok(())
    }
}

/// Removes a group (IAM API Reference, DeleteGroup). Errs: NoSuchEntity, UnmodifiableEntity; DeleteConflict while it has members or
/// named policies.
#[derive(Debug, Clone)]
pub struct DeleteGroup {
    /// The group.
    pub group: Named,
}

impl IamChange for DeleteGroup {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:DeleteGroup"
    }

    fn takes_by_grant(&self, directory: &Directory, _caller: &CanonicalId) -> Vec<Permission> {
        directory.to_change_own_group(self.action(), &self.group)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let Named { account_id, name } = &self.group;
        let group = own_group(draft.directory, account_id, name)?;
        draft.target = group.arn(account_id);
        let has_members = draft.directory.members.get(group.place).is_some_and(|members| !members.is_empty());
        if has_members {
            return Err(IamError::DeleteConflict("Cannot delete entity, must remove users from group first."));
        }
        if inline_policies(&group.policies).next().is_some() {
            return Err(IamError::DeleteConflict("Cannot delete entity, must delete policies first."));
        }
        if !group.attached_policies.is_empty() {
            return Err(IamError::DeleteConflict("Cannot delete entity, must detach all policies first."));
        }
        remove_record(draft.document, "groups", group.place);
        Ok(())
    }
}

/// The group and the user of a change of membership, and whether the user is in the group. Errs: NoSuchEntity.
fn membership<'d>(
    draft: &mut Draft<'d>,
    group: &Named,
    user: &WhichUser,
) -> Result<(&'d GroupEntry, usize, &'d UserSummary, bool), IamError> {
    let directory = draft.directory;
    let found = directory.group(&group.account_id, &group.name)?;
    draft.target = found.arn(&group.account_id);
    let (place, user) = directory.find_user(user)?;
    let is_in = directory.members.get(found.place).is_some_and(|members| members.contains(&place));
    Ok((found, place, user, is_in))
}

/// Puts a user into a group; one that is in it stays (IAM API Reference, AddUserToGroup). Errs: NoSuchEntity, LimitExceeded.
#[derive(Debug, Clone)]
pub struct AddUserToGroup {
    /// The group.
    pub group: Named,
    /// The user, of the same account.
    pub user: WhichUser,
}

impl IamChange for AddUserToGroup {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:AddUserToGroup"
    }

    fn takes_by_grant(&self, directory: &Directory, caller: &CanonicalId) -> Vec<Permission> {
        directory.to_change_group(self.action(), &self.group, &self.user, caller)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let (group, place, user, is_in) = membership(draft, &self.group, &self.user)?;
        if user.account_id != self.group.account_id {
            return Err(IamError::NoSuchEntity(format!("The user with name {} cannot be found.", user.user_name)));
        }
        if is_in {
            return Ok(());
        }
        if user.groups.len() >= GROUPS_OF_USER_MAX {
            let reason = format!("Cannot exceed quota for GroupsPerUser: {GROUPS_OF_USER_MAX}");
            return Err(IamError::LimitExceeded(reason));
        }
        append(record(draft.document, "users", place)?, "groups", Value::from(group.name.as_str()));
        Ok(())
    }
}

/// Takes a user out of a group (IAM API Reference, RemoveUserFromGroup). Errs: NoSuchEntity, also when it is not in it.
#[derive(Debug, Clone)]
pub struct RemoveUserFromGroup {
    /// The group.
    pub group: Named,
    /// The user, of the same account.
    pub user: WhichUser,
}

impl IamChange for RemoveUserFromGroup {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:RemoveUserFromGroup"
    }

    fn takes_by_grant(&self, directory: &Directory, caller: &CanonicalId) -> Vec<Permission> {
        directory.to_change_group(self.action(), &self.group, &self.user, caller)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let (group, place, user, is_in) = membership(draft, &self.group, &self.user)?;
        if user.account_id != self.group.account_id || !is_in {
            let (user, group) = (&user.user_name, &self.group.name);
            let reason = format!("The user with name {user} cannot be found in the group {group}.");
            return Err(IamError::NoSuchEntity(reason));
        }
        let is_this = |entry: &Value| entry.as_str().is_some_and(|entry| entry.eq_ignore_ascii_case(&group.name));
        remove_from(record(draft.document, "users", place)?, "groups", is_this);
        Ok(())
    }
}
