//! Access keys.
//!
//! A user's record may hold one key itself, as people write it, and further ones in `access_keys`. What can be said of a further key
//! only (that it is disabled, or ends) makes the own one a further one first.

use serde_json::{Map, Value};

use super::taken::check_access_key;
use crate::iam::directory::Directory;
use crate::iam::document::{append, fields, record, remove_from, set, set_secret};
use crate::iam::entries::{UserSummary, WhichUser};
use crate::iam::error::IamError;
use crate::iam::grants::Permission;
use crate::iam::messages::{Draft, IamChange};
use crate::iam::naming::{Kind, random_access_key};
use crate::names::{AccessKeyId, CanonicalId, Stamp};
use crate::seal::{SealError, Sealer, SecretKey};

/// Most access keys of a user that have not ended (IAM User Guide, "IAM and AWS STS quotas").
pub const KEYS_MAX: usize = 2;
/// Most access keys of a user by rotation, ended ones aside.
const ROTATED_KEYS_MAX: usize = 10;
/// Longest time for which a rotated key goes on, in seconds: a year.
const OVERLAP_SECONDS_MAX: u64 = 365 * 86_400;

/// A credential that is shown once.
#[derive(Debug, Clone)]
pub struct NewCredential {
    /// Canonical id of the user.
    pub user_id: CanonicalId,
    /// Display name of the user.
    pub display_name: String,
    /// Access key id.
    pub access_key: AccessKeyId,
    /// Secret access key.
    pub secret_key: SecretKey,
    /// The access key in whose place it comes, when that goes on for a while.
    pub replaced: Option<ReplacedKey>,
}

/// An access key that has a successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacedKey {
    /// Access key id.
    pub access_key: AccessKeyId,
    /// When it ends.
    pub expires_at: Stamp,
}

/// What a request chooses of a new key; the rest is random.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyChoice<'a> {
    pub access_key: Option<&'a str>,
    pub secret_key: Option<&'a str>,
}

fn bad_access_key() -> IamError {
    let reason = "must have 3 to 128 printable characters without spaces, commas, slashes and equal signs";
    IamError::invalid("access_key", reason)
}

impl KeyChoice<'_> {
    /// The new key; `own` is the user that gets it, if it is there already. Errs: InvalidInput; EntityAlreadyExists for an access
    /// key that somebody has or goes by.
    pub fn make(self, directory: &Directory, own: Option<&CanonicalId>) -> Result<(AccessKeyId, SecretKey), IamError> {
        let access_key = match self.access_key {
            None => random_access_key()?,
            Some(text) if text.len() >= 3 => AccessKeyId::parse(text).map_err(|_| bad_access_key())?,
            Some(_) => return Err(bad_access_key()),
        };
        if directory.key(&access_key).is_some() {
            return Err(IamError::EntityAlreadyExists(format!("Access key {access_key} already exists.")));
        }
        check_access_key(directory, own, access_key.as_str())?;
        let secret_key = match self.secret_key {
            None => SecretKey::random()?,
            Some(text) if (8..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) => {
                SecretKey::new(text)
            }
            Some(_) => {
                let reason = "must have 8 to 128 printable characters without spaces";
                return Err(IamError::invalid("secret_key", reason));
            }
        };
        Ok((access_key, secret_key))
    }
}

/// Writes a key into an object of the file.
pub(super) fn put_key(
    map: &mut Map<String, Value>,
    access_key: &AccessKeyId,
    secret_key: &SecretKey,
    sealer: &Sealer,
) -> Result<(), SealError> {
    set(map, "access_key", Some(Value::from(access_key.as_str())));
    set_secret(map, secret_key.expose(), sealer)
}

fn is_key(value: &Value, access_key: &AccessKeyId) -> bool {
    value.get("access_key").and_then(Value::as_str) == Some(access_key.as_str())
}

fn is_own(record: &Map<String, Value>, access_key: &AccessKeyId) -> bool {
    record.get("access_key").and_then(Value::as_str) == Some(access_key.as_str())
}

/// Makes the key that the record holds itself the first of its further ones.
fn list_own_key(record: &mut Map<String, Value>) {
    let own = fields([
        ("access_key", record.shift_remove("access_key")),
        ("secret_key", record.shift_remove("secret_key")),
        ("secret_key_sealed", record.shift_remove("secret_key_sealed")),
        ("created_at", record.get("created_at").cloned()),
    ]);
    let Value::Array(keys) = record.entry("access_keys").or_insert_with(|| Value::Array(Vec::new())) else { return };
    keys.insert(0, Value::Object(own));
}

/// The key among the further ones of a record, which becomes one if it was not.
fn listed_key<'a>(
    record: &'a mut Map<String, Value>,
    access_key: &AccessKeyId,
) -> Result<&'a mut Map<String, Value>, IamError> {
    if is_own(record, access_key) {
        list_own_key(record);
    }
    let keys = record.get_mut("access_keys").and_then(Value::as_array_mut);
    let found = keys.and_then(|keys| keys.iter_mut().find(|key| is_key(key, access_key)));
    found.and_then(Value::as_object_mut).ok_or_else(|| no_key(access_key.as_str()))
}

fn no_key(access_key: &str) -> IamError {
    IamError::NoSuchEntity(format!("The Access Key with id {access_key} cannot be found."))
}

/// A key that the user has.
fn key_of(user: &UserSummary, access_key: &str) -> Result<AccessKeyId, IamError> {
    let found = user.access_keys.iter().find(|key| key.access_key.as_str() == access_key);
    found.map(|key| key.access_key.clone()).ok_or_else(|| no_key(access_key))
}

fn has_ended(end: Option<Stamp>, now: Stamp) -> bool {
    end.is_some_and(|end| end <= now)
}

/// Adds an access key (IAM API Reference, CreateAccessKey). Errs: NoSuchEntity, LimitExceeded, InvalidInput, EntityAlreadyExists.
#[derive(Debug, Clone)]
pub struct CreateAccessKey {
    /// The user.
    pub user: WhichUser,
    /// The access key; a random one when absent.
    pub access_key: Option<String>,
    /// Its secret; a random one when absent.
    pub secret_key: Option<String>,
    /// When it ends.
    pub expires_at: Option<Stamp>,
}

impl IamChange for CreateAccessKey {
    type Answer = NewCredential;

    fn action(&self) -> &'static str {
        "iam:CreateAccessKey"
    }

    fn takes_by_grant(&self, directory: &Directory, caller: &CanonicalId) -> Vec<Permission> {
        directory.to_change_keys(self.action(), &self.user, caller)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<NewCredential, IamError> {
        let (place, user) = draft.directory.find_user(&self.user)?;
        draft.target = user.arn();
        let living = user.access_keys.iter().filter(|key| !has_ended(key.expires_at, draft.now)).count();
        if living >= KEYS_MAX {
            return Err(IamError::LimitExceeded(format!("Cannot exceed quota for AccessKeysPerUser: {KEYS_MAX}")));
        }
        let choice = KeyChoice { access_key: self.access_key.as_deref(), secret_key: self.secret_key.as_deref() };
        let (access_key, secret_key) = choice.make(draft.directory, Some(&user.user_id))?;
        let created_at = draft.time();
        let record = record(draft.document, "users", place)?;
        let mut key = Map::new();
        put_key(&mut key, &access_key, &secret_key, draft.sealer)?;
        set(&mut key, "created_at", Some(created_at));
        set(&mut key, "expires_at", self.expires_at.map(|end| Value::from(end.rfc3339())));
        append(record, "access_keys", Value::Object(key));
        Ok(credential(user, access_key, secret_key, None))
    }
}

fn credential(
    user: &UserSummary,
    access_key: AccessKeyId,
    secret_key: SecretKey,
    replaced: Option<ReplacedKey>,
) -> NewCredential {
    let (user_id, display_name) = (user.user_id.clone(), user.display_name.clone());
    NewCredential { user_id, display_name, access_key, secret_key, replaced }
}

/// Enables or disables an access key, or sets its end (IAM API Reference, UpdateAccessKey). Errs: NoSuchEntity.
#[derive(Debug, Clone)]
pub struct UpdateAccessKey {
    /// The user.
    pub user: WhichUser,
    /// Its access key.
    pub access_key: String,
    /// Whether it may sign requests.
    pub enabled: Option<bool>,
    /// When it ends; `Some(None)` is never.
    pub expires_at: Option<Option<Stamp>>,
}

impl IamChange for UpdateAccessKey {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:UpdateAccessKey"
    }

    fn takes_by_grant(&self, directory: &Directory, caller: &CanonicalId) -> Vec<Permission> {
        directory.to_change_keys(self.action(), &self.user, caller)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let (place, user) = draft.directory.find_user(&self.user)?;
        draft.target = user.arn();
        let access_key = key_of(user, &self.access_key)?;
        let key = listed_key(record(draft.document, "users", place)?, &access_key)?;
        if let Some(enabled) = self.enabled {
            set(key, "enabled", Some(Value::from(enabled)));
        }
        if let Some(end) = self.expires_at {
            set(key, "expires_at", end.map(|end| Value::from(end.rfc3339())));
        }
        Ok(())
    }
}

/// Removes an access key (IAM API Reference, DeleteAccessKey). Errs: NoSuchEntity.
#[derive(Debug, Clone)]
pub struct DeleteAccessKey {
    /// The user.
    pub user: WhichUser,
    /// Its access key.
    pub access_key: String,
}

impl IamChange for DeleteAccessKey {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:DeleteAccessKey"
    }

    fn takes_by_grant(&self, directory: &Directory, caller: &CanonicalId) -> Vec<Permission> {
        directory.to_change_keys(self.action(), &self.user, caller)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let (place, user) = draft.directory.find_user(&self.user)?;
        draft.target = user.arn();
        let access_key = key_of(user, &self.access_key)?;
        let record = record(draft.document, "users", place)?;
        keep_names(record, user);
        if is_own(record, &access_key) {
            for field in ["access_key", "secret_key", "secret_key_sealed"] {
                record.shift_remove(field);
            }
        } else {
            remove_from(record, "access_keys", |key| is_key(key, &access_key));
        }
        Ok(())
    }
}

/// Writes the names that follow from the first access key, before that goes.
fn keep_names(record: &mut Map<String, Value>, user: &UserSummary) {
    for (field, name) in [("display_name", &user.display_name), ("user_name", &user.user_name)] {
        let is_there = record.get(field).and_then(Value::as_str).is_some_and(|name| !name.is_empty());
        let follows = user.access_keys.first().is_some_and(|key| key.access_key.as_str() == name);
        if !is_there && follows && Kind::User.fits(name) {
            set(record, field, Some(Value::from(name.as_str())));
        }
    }
}

/// Gives a user a new secret: under the same access key at once, or under a new one, while the old one goes on until the overlap is
/// over. Keys that ended before are removed then. Errs: NoSuchEntity, LimitExceeded; InvalidInput when the user has several keys
/// and none is named, or for an overlap that is too long.
#[derive(Debug, Clone)]
pub struct RotateKey {
    /// The user; an access key also says which key.
    pub user: WhichUser,
    /// Which key.
    pub access_key: Option<String>,
    /// How long the old key goes on, in seconds.
    pub overlap_seconds: Option<u64>,
}

impl From<&str> for RotateKey {
    fn from(user: &str) -> Self {
        Self { user: WhichUser::from(user), access_key: None, overlap_seconds: None }
    }
}

impl RotateKey {
    fn which(&self, user: &UserSummary) -> Result<AccessKeyId, IamError> {
        if let Some(access_key) = &self.access_key {
            return key_of(user, access_key);
        }
        if let WhichUser::Called(name) = &self.user
            && let Ok(access_key) = key_of(user, name)
        {
            return Ok(access_key);
        }
        match user.access_keys.as_slice() {
            [key] => Ok(key.access_key.clone()),
            [] => Err(IamError::invalid("user", "has no access key")),
            _ => Err(IamError::invalid("user", "has several access keys; name the one to rotate")),
        }
    }
}

impl IamChange for RotateKey {
    type Answer = NewCredential;

    fn action(&self) -> &'static str {
        "iam:RotateAccessKey"
    }

    fn takes_by_grant(&self, directory: &Directory, caller: &CanonicalId) -> Vec<Permission> {
        directory.to_change_keys(self.action(), &self.user, caller)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<NewCredential, IamError> {
        let (place, user) = draft.directory.find_user(&self.user)?;
        draft.target = user.arn();
        let access_key = self.which(user)?;
        match self.overlap_seconds {
            None | Some(0) => {
                let secret_key = SecretKey::random()?;
                let record = record(draft.document, "users", place)?;
                let map = match is_own(record, &access_key) {
                    true => record,
                    false => listed_key(record, &access_key)?,
                };
                set_secret(map, secret_key.expose(), draft.sealer)?;
                Ok(credential(user, access_key, secret_key, None))
            }
            Some(overlap) if overlap > OVERLAP_SECONDS_MAX => {
                Err(IamError::invalid("overlap_seconds", format!("must be at most {OVERLAP_SECONDS_MAX}")))
            }
            Some(overlap) => succeed(draft, place, user, access_key, overlap),
        }
    }
}

/// Gives a key a successor.
fn succeed(
    draft: &mut Draft<'_>,
    place: usize,
    user: &UserSummary,
    old: AccessKeyId,
    overlap: u64,
) -> Result<NewCredential, IamError> {
    let now = draft.now;
    let ended: Vec<&AccessKeyId> =
        user.access_keys.iter().filter(|key| has_ended(key.expires_at, now)).map(|key| &key.access_key).collect();
    if user.access_keys.len() - ended.len() >= ROTATED_KEYS_MAX {
        let reason = format!("Cannot exceed quota for AccessKeysPerUser: {ROTATED_KEYS_MAX}");
        return Err(IamError::LimitExceeded(reason));
    }
    let choice = KeyChoice { access_key: None, secret_key: None };
    let (access_key, secret_key) = choice.make(draft.directory, Some(&user.user_id))?;
    let created_at = draft.time();
    let end = now.after(overlap);
    let given = user.access_keys.iter().find(|key| key.access_key == old).and_then(|key| key.expires_at);
    let end = given.map_or(end, |given| given.min(end));
    let record = record(draft.document, "users", place)?;
    keep_names(record, user);
    set(listed_key(record, &old)?, "expires_at", Some(Value::from(end.rfc3339())));
    remove_from(record, "access_keys", |key| ended.iter().any(|gone| **gone != old && is_key(key, gone)));
    let mut key = Map::new();
    put_key(&mut key, &access_key, &secret_key, draft.sealer)?;
    set(&mut key, "created_at", Some(created_at));
    append(record, "access_keys", Value::Object(key));
    Ok(credential(user, access_key, secret_key, Some(ReplacedKey { access_key: old, expires_at: end })))
}
