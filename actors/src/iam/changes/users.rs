//! Users.

use serde_json::{Map, Value, json};

use super::keys::{KeyChoice, NewCredential};
use super::policies::check_policies;
use super::tags::tags_value;
use super::taken::check_name;
use crate::iam::directory::Directory;
use crate::iam::document::{Former, append_record, fields, fill_in_ids, record, remember, remove_record, set};
use crate::iam::entries::{Tags, UserSummary, WhichUser, inline_policies};
use crate::iam::error::IamError;
use crate::iam::grants::{Permission, has_grants, needed};
use crate::iam::ids::administers;
use crate::iam::messages::{Draft, IamChange};
use crate::iam::naming::{Kind, checked_path, random_access_key, random_canonical_id, scope};
use crate::names::{CanonicalId, Stamp};
use crate::policy_engine::is_account_id;

/// Most users of an account (IAM User Guide, "IAM and AWS STS quotas"), unless those make them who administer the node.
pub const USERS_MAX: usize = 5_000;
/// Most users of a node.
const NODE_USERS_MAX: usize = 50_000;
/// How many of them only those make who administer the node: whatever accounts do, it can be administered.
const NODE_USERS_RESERVE: usize = 1_000;
/// Most users and roles that an account had and has no more, whose ids are kept for good; beyond that it gets no new ones.
pub(super) const FORMER_MAX: usize = 10_000;
const NAME_BYTES_MAX: usize = 256;

/// Adds a user (IAM API Reference, CreateUser). Errs: EntityAlreadyExists, InvalidInput, MalformedPolicyDocument, LimitExceeded.
#[derive(Debug, Clone)]
pub struct CreateUser {
    /// Whose account the user joins; when absent that of the first administrator, else one of its own.
    pub account_id: Option<String>,
    /// Name for people, 1 to 256 bytes; the user name when absent.
    pub display_name: Option<String>,
    /// Name in ARNs; follows from the display name or access key when absent.
    pub user_name: Option<String>,
    /// Path in ARNs.
    pub path: Option<String>,
    /// List of policies in either form.
    pub policies: Value,
    /// Tags.
    pub tags: Tags,
    /// When it ends.
    pub expires_at: Option<Stamp>,
    /// Whether it gets an access key at once.
    pub with_key: bool,
    /// That access key; a random one when absent.
    pub access_key: Option<String>,
    /// Its secret, 8 to 128 printable characters; a random one when absent.
    pub secret_key: Option<String>,
    /// Whether it is made by a grant of the short form, which the account's quota does not bind.
    pub by_grant: bool,
}

impl Default for CreateUser {
    fn default() -> Self {
        Self {
            account_id: None,
            display_name: None,
            user_name: None,
            path: None,
            policies: json!([]),
            tags: Tags::new(),
            expires_at: None,
            with_key: true,
            access_key: None,
            secret_key: None,
            by_grant: false,
        }
    }
}

/// A user, just made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Canonical id.
    pub user_id: CanonicalId,
    /// Its access key.
    pub credential: Option<NewCredential>,
}

fn check_display_name(name: &str) -> Result<(), IamError> {
    match name.trim().is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
        true => Err(IamError::invalid("display_name", "must have 1 to 256 bytes and no control characters")),
        false => Ok(()),
    }
}

pub(super) fn exists(name: &str) -> IamError {
    IamError::EntityAlreadyExists(format!("User with name {name} already exists."))
}

impl IamChange for CreateUser {
    type Answer = NewUser;

    fn action(&self) -> &'static str {
        "iam:CreateUser"
    }

    fn takes_by_grant(&self, _directory: &Directory, _caller: &CanonicalId) -> Vec<Permission> {
        let account_id = self.account_id.as_deref().unwrap_or_default();
        needed(has_grants(&self.policies), "iam:PutUserPolicy", || Kind::User.arn(account_id, "/", "*"))
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<NewUser, IamError> {
        let display_name = self.display_name.as_ref().or(self.user_name.as_ref());
        let display_name = display_name.ok_or_else(|| IamError::invalid("display_name", "is missing"))?;
        check_display_name(display_name)?;
        let path = checked_path(self.path.as_deref())?;
        check_policies(&self.policies)?;
        let account_id = self.account(draft.directory)?;
        self.check_room(draft.directory, account_id.as_deref())?;
        let choice = KeyChoice { access_key: self.access_key.as_deref(), secret_key: self.secret_key.as_deref() };
        let key = self.with_key.then(|| choice.make(draft.directory, None)).transpose()?;
        let user_name = match (&self.user_name, &key) {
            (Some(name), _) => name.as_str(),
            (None, None) => display_name,
            (None, Some((access_key, _))) => {
                follows(draft.directory, account_id.as_deref(), display_name, access_key.as_str())
            }
        };
        Kind::User.check("user_name", user_name)?;
        if is_taken(draft.directory, account_id.as_deref(), user_name) {
            return Err(exists(user_name));
        }
        check_name(draft.directory, None, display_name)?;
        check_name(draft.directory, None, user_name)?;
        let mut user = Map::new();
        if let Some((access_key, secret)) = &key {
            super::keys::put_key(&mut user, access_key, secret, draft.sealer)?;
        }
        let user_id = match &key {
            Some(_) => None,
            None => Some(random_canonical_id()?),
        };
        user.extend(fields([
            ("display_name", Some(Value::from(display_name.as_str()))),
            ("user_name", Some(Value::from(user_name))),
            ("path", (path != "/").then(|| Value::from(path))),
            ("account_id", account_id.clone().map(Value::from)),
            ("user_id", user_id.map(|id| Value::from(id.as_str()))),
            ("created_at", Some(draft.time())),
            ("expires_at", self.expires_at.map(|end| Value::from(end.rfc3339()))),
            ("policies", Some(self.policies.clone())),
            ("tags", tags_value(&[], &self.tags, "TagsPerUser")?),
        ]));
        append_record(draft.document, "users", user);
        fill_in_ids(draft.document)?;
        let made = draft.document.get("users").and_then(Value::as_array).and_then(|users| users.last());
        let id = made.and_then(|user| user.get("user_id")).and_then(Value::as_str).map(CanonicalId::parse);
        let user_id = id.and_then(Result::ok).ok_or_else(|| IamError::invalid("user_id", "is missing"))?;
        let account_id = account_id.unwrap_or_else(|| crate::iam::ids::account_id_of(&user_id));
        draft.target = Kind::User.arn(&account_id, path, user_name);
        let credential = key.map(|(access_key, secret_key)| NewCredential {
            user_id: user_id.clone(),
            display_name: display_name.clone(),
            access_key,
            secret_key,
            replaced: None,
        });
        Ok(NewUser { user_id, credential })
    }
}

/// Whether a user of the account has this name in ARNs.
fn is_taken(directory: &Directory, account_id: Option<&str>, name: &str) -> bool {
    account_id.is_some_and(|own| directory.by_user_name.contains_key(&scope(Some(own), name)))
}

/// The name in ARNs of a user that was given none: its display name, or its access key where that is somebody's or can be none.
fn follows<'a>(directory: &Directory, account_id: Option<&str>, display_name: &'a str, access_key: &'a str) -> &'a str {
    match Kind::User.fits(display_name) && !is_taken(directory, account_id, display_name) {
        true => display_name,
        false => access_key,
    }
}

impl CreateUser {
    /// Settles what the request leaves open and the user's ARN depends on, so that its permission can be asked for: the name in
    /// ARNs, and an access key if that is where the name comes from. Errs: InvalidInput.
    pub fn settle(&mut self, directory: &Directory) -> Result<(), IamError> {
        if let (None, Some(display_name), true) = (&self.user_name, &self.display_name, self.with_key) {
            let account_id = self.account(directory)?;
            let access_key = match self.access_key.take() {
                Some(access_key) => access_key,
                None => random_access_key()?.as_str().to_owned(),
            };
            let name = follows(directory, account_id.as_deref(), display_name, &access_key).to_owned();
            (self.user_name, self.access_key) = (Some(name), Some(access_key));
        }
        Ok(())
    }

    /// Errs when there are as many users as there may be: LimitExceeded.
    fn check_room(&self, directory: &Directory, account_id: Option<&str>) -> Result<(), IamError> {
        let exceeded = |quota, most| Err(IamError::LimitExceeded(format!("Cannot exceed quota for {quota}: {most}")));
        let most = if self.by_grant { NODE_USERS_MAX } else { NODE_USERS_MAX - NODE_USERS_RESERVE };
        if directory.users().len() >= most {
            return exceeded("UsersPerNode", most);
        }
        match account_id.filter(|_| !self.by_grant) {
            Some(own) if directory.users_of(own).count() >= USERS_MAX => exceeded("UsersPerAccount", USERS_MAX),
            Some(own) => check_former(directory, own),
            None => Ok(()),
        }
    }

    fn account(&self, directory: &Directory) -> Result<Option<String>, IamError> {
        match &self.account_id {
            Some(account_id) if is_account_id(account_id) => Ok(Some(account_id.clone())),
            Some(_) => Err(IamError::invalid("account_id", "must be twelve digits")),
            None => {
                let holds =
                    |user: &&UserSummary| administers(user.policies.as_array().map(Vec::as_slice).unwrap_or_default());
                Ok(directory.users().iter().find(holds).map(|user| user.account_id.clone()))
            }
        }
    }
}

/// Errs when an account has had as many users and roles as it may: LimitExceeded.
pub(super) fn check_former(directory: &Directory, account_id: &str) -> Result<(), IamError> {
    let count = directory.former_accounts.values().filter(|former| *former == account_id).count();
    match count >= FORMER_MAX {
        true => {
            let reason = format!("Cannot exceed quota for DeletedUsersAndRolesPerAccount: {FORMER_MAX}");
            Err(IamError::LimitExceeded(reason))
        }
        false => Ok(()),
    }
}

/// Changes what is said of a user (IAM API Reference, UpdateUser; what AWS does not have beside that). Groups and policies stay as
/// they are; policies elsewhere that name its old ARN no longer mean it. Errs: NoSuchEntity, EntityAlreadyExists, InvalidInput.
#[derive(Debug, Clone)]
pub struct UpdateUser {
    /// The user.
    pub user: WhichUser,
    /// Its new name in ARNs.
    pub user_name: Option<String>,
    /// Its new path.
    pub path: Option<String>,
    /// Its new name for people.
    pub display_name: Option<String>,
    /// Whether it may sign requests.
    pub enabled: Option<bool>,
    /// When it ends; `Some(None)` is never.
    pub expires_at: Option<Option<Stamp>>,
    /// The groups that it is in from now on.
    pub groups: Option<Vec<String>>,
}

impl UpdateUser {
    /// Changes nothing yet.
    pub fn new(user: WhichUser) -> Self {
        Self { user, user_name: None, path: None, display_name: None, enabled: None, expires_at: None, groups: None }
    }

    fn says_more_than_groups(&self) -> bool {
        let is_renamed = self.user_name.is_some() || self.path.is_some() || self.display_name.is_some();
        is_renamed || self.enabled.is_some() || self.expires_at.is_some()
    }
}

impl IamChange for UpdateUser {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:UpdateUser"
    }

    fn takes_by_grant(&self, directory: &Directory, caller: &CanonicalId) -> Vec<Permission> {
        let mut needed = match self.says_more_than_groups() {
            true => directory.to_change_user(self.action(), &self.user, caller),
            false => Vec::new(),
        };
        if let (Some(groups), Ok(user)) = (&self.groups, directory.user(&self.user)) {
            let changes = directory.group_changes(user, groups, caller);
            needed.extend(changes.into_iter().filter(|change| change.by_grant).map(|change| change.permission));
        }
        needed
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let directory = draft.directory;
        let (place, user) = directory.find_user(&self.user)?;
        draft.target = user.arn();
        if let Some(name) = &self.user_name {
            Kind::User.check("user_name", name)?;
            let is_taken = directory.by_user_name.contains_key(&scope(Some(&user.account_id), name));
            if is_taken && !name.eq_ignore_ascii_case(&user.user_name) {
                return Err(exists(name));
            }
            check_name(directory, Some(&user.user_id), name)?;
        }
        if let Some(name) = &self.display_name {
            check_display_name(name)?;
            check_name(directory, Some(&user.user_id), name)?;
        }
        let groups = self.groups.as_ref().map(|groups| super::groups::checked_names(directory, user, groups));
        let groups = groups.transpose()?;
        let record = record(draft.document, "users", place)?;
        if let Some(name) = &self.user_name {
            // Whoever had one name for both keeps it so.
            if user.display_name == user.user_name && self.display_name.is_none() {
                set(record, "display_name", Some(Value::from(name.as_str())));
            }
            set(record, "user_name", Some(Value::from(name.as_str())));
        }
        if let Some(path) = &self.path {
            let path = checked_path(Some(path))?;
            set(record, "path", Some(Value::from(path)));
        }
        if let Some(name) = &self.display_name {
            // Its name in ARNs followed from the old one, and stays.
            if self.user_name.is_none() {
                set(
                    record,
                    "user_name",
                    Some(Value::from(user.user_name.as_str())).filter(|_| Kind::User.fits(&user.user_name)),
                );
            }
            set(record, "display_name", Some(Value::from(name.as_str())));
        }
        if let Some(enabled) = self.enabled {
            set(record, "enabled", Some(Value::from(enabled)));
        }
        if let Some(end) = self.expires_at {
            set(record, "expires_at", end.map(|end| Value::from(end.rfc3339())));
        }
        if let Some(groups) = groups {
            set(record, "groups", Some(Value::from(groups)));
        }
        Ok(())
    }
}

/// Removes a user; what it owns stays with its account (IAM API Reference, DeleteUser). Errs: NoSuchEntity; DeleteConflict while it
/// has keys, named policies or groups, unless forced.
#[derive(Debug, Clone)]
pub struct DeleteUser {
    /// The user.
    pub user: WhichUser,
    /// With whatever it has.
    pub force: bool,
}

impl IamChange for DeleteUser {
    type Answer = UserSummary;

    fn action(&self) -> &'static str {
        "iam:DeleteUser"
    }

    fn takes_by_grant(&self, directory: &Directory, caller: &CanonicalId) -> Vec<Permission> {
        directory.to_change_user(self.action(), &self.user, caller)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<UserSummary, IamError> {
        let (place, user) = draft.directory.find_user(&self.user)?;
        draft.target = user.arn();
        let hangs_on = match () {
            () if self.force => None,
            () if !user.access_keys.is_empty() => Some("Cannot delete entity, must delete access keys first."),
            () if inline_policies(&user.policies).next().is_some() => {
                Some("Cannot delete entity, must delete policies first.")
            }
            () if !user.attached_policies.is_empty() => Some("Cannot delete entity, must detach all policies first."),
            () if !user.groups.is_empty() => Some("Cannot delete entity, must remove users from group first."),
            () => None,
        };
        if let Some(what) = hangs_on {
            return Err(IamError::DeleteConflict(what));
        }
        remove_record(draft.document, "users", place);
        remember(draft.document, Former::User, &user.user_id, &user.account_id, &user.display_name);
        Ok(user.clone())
    }
}
