//! Users.

use serde_json::{Map, Value, json};

use super::keys::{KeyChoice, NewCredential};
use super::policies::check_policies;
use super::tags::tags_value;
use crate::iam::directory::Directory;
use crate::iam::document::{append_record, fields, fill_in_ids, record, remember, remove_record, set};
use crate::iam::entries::{Tags, UserSummary, WhichUser, inline_policies};
use crate::iam::error::IamError;
use crate::iam::grants::{Permission, has_grants, needed};
use crate::iam::ids::administers;
use crate::iam::messages::{Draft, IamChange};
use crate::iam::naming::{Kind, checked_path, random_canonical_id, scope};
use crate::names::{CanonicalId, Stamp};
use crate::policy_engine::is_account_id;

/// Most users of a node.
pub const USERS_MAX: usize = 50_000;
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

fn exists(name: &str) -> IamError {
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
        if let Some(name) = &self.user_name {
            Kind::User.check("user_name", name)?;
        }
        let path = checked_path(self.path.as_deref())?;
        check_policies(&self.policies)?;
        if draft.directory.users().len() >= USERS_MAX {
            return Err(IamError::LimitExceeded(format!("Cannot exceed quota for UsersPerNode: {USERS_MAX}")));
        }
        let choice = KeyChoice { access_key: self.access_key.as_deref(), secret_key: self.secret_key.as_deref() };
        let key = self.with_key.then(|| choice.make(draft.directory)).transpose()?;
        let account_id = self.account(draft)?;
        let is_taken = |name: &str| {
            let account_id = account_id.as_deref();
            account_id.is_some_and(|own| draft.directory.by_user_name.contains_key(&scope(Some(own), name)))
        };
        let user_name = match &self.user_name {
            Some(name) if is_taken(name) => return Err(exists(name)),
            Some(name) => Some(name.as_str()),
            // What would follow from the display name is somebody else's.
            None if is_taken(display_name) => key.as_ref().map(|(access_key, _)| access_key.as_str()),
            None => None,
        };
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
            ("user_name", user_name.map(Value::from)),
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
        draft.target = Kind::User.arn(&account_id, path, user_name.unwrap_or(display_name));
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

impl CreateUser {
    fn account(&self, draft: &Draft<'_>) -> Result<Option<String>, IamError> {
        match &self.account_id {
            Some(account_id) if is_account_id(account_id) => Ok(Some(account_id.clone())),
            Some(_) => Err(IamError::invalid("account_id", "must be twelve digits")),
            None => {
                let holds =
                    |user: &&UserSummary| administers(user.policies.as_array().map(Vec::as_slice).unwrap_or_default());
                Ok(draft.directory.users().iter().find(holds).map(|user| user.account_id.clone()))
            }
        }
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

    fn takes_by_grant(&self, directory: &Directory, _caller: &CanonicalId) -> Vec<Permission> {
        let mut needed = match self.says_more_than_groups() {
            true => directory.to_change_user(self.action(), &self.user),
            false => Vec::new(),
        };
        if let (Some(groups), Ok(user)) = (&self.groups, directory.user(&self.user)) {
            let changes = directory.group_changes(user, groups);
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
        }
        if let Some(name) = &self.display_name {
            check_display_name(name)?;
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

    fn takes_by_grant(&self, directory: &Directory, _caller: &CanonicalId) -> Vec<Permission> {
        directory.to_change_user(self.action(), &self.user)
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
        remember(draft.document, &user.user_id, &user.account_id, &user.display_name);
        Ok(user.clone())
    }
}
