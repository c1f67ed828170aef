//! Changes to the document of `iam.json`. Pure: a document goes in and is changed, everything else in it stays.

use serde_json::{Map, Value, json};

use super::directory::{Directory, SEAL_PURPOSE, is_user_name, user_ids};
use super::error::IamError;
use super::first_boot::WELL_KNOWN_SECRET;
use super::messages::{CreateUser, NewCredential, UserSummary};
use super::records::FileRecord;
use crate::names::{AccessKeyId, CanonicalId};
use crate::policy_engine::IdentityPolicy;
use crate::seal::{SealError, Sealer, SecretKey};

/// Most users of a node.
const USERS_MAX: usize = 50_000;
/// Most policies of a user, and most bytes of one.
const POLICIES_MAX: usize = 100;
const POLICY_BYTES_MAX: usize = 64 * 1024;
const NAME_BYTES_MAX: usize = 256;

fn invalid(field: &'static str, reason: &str) -> IamError {
    IamError::InvalidInput { field, reason: reason.to_owned() }
}

/// Writes the ids of users that have none yet, and seals anew what stands under a previous key.
pub(super) fn tidy(document: &mut Value, sealer: &Sealer) -> Result<(), IamError> {
    fill_in_ids(document)?;
    for_each_key(document, |key| {
        let Some(sealed) = key.get("secret_key_sealed").and_then(Value::as_str) else {
            return Ok(());
        };
        if sealer.is_outdated(sealed) {
            let secret = sealer.unseal(SEAL_PURPOSE, sealed)?;
            key.insert("secret_key_sealed".to_owned(), Value::from(sealer.seal(SEAL_PURPOSE, secret.expose())?));
        }
        Ok(())
    })?;
    Ok(())
}

fn fill_in_ids(document: &mut Value) -> Result<(), IamError> {
    let ids = ids_of(document)?;
    for (user, id) in users_of(document).iter_mut().zip(ids) {
        if let Value::Object(user) = user
            && user.get("user_id").is_none_or(Value::is_null)
        {
            user.insert("user_id".to_owned(), Value::from(id.as_str()));
        }
    }
    Ok(())
}

fn ids_of(document: &Value) -> Result<Vec<CanonicalId>, IamError> {
    let file: FileRecord =
        serde_json::from_value(document.clone()).map_err(|error| invalid("iam.json", &error.to_string()))?;
    user_ids(&file).map_err(|problem| IamError::InvalidInput { field: "iam.json", reason: problem.reason() })
}

/// Seals the secrets that people typed; the well-known one stays readable.
fn seal_plain(document: &mut Value, sealer: &Sealer) -> Result<(), SealError> {
    for_each_key(document, |key| match key.get("secret_key").and_then(Value::as_str) {
        None | Some("" | WELL_KNOWN_SECRET) => Ok(()),
        Some(secret) => {
            let secret = secret.to_owned();
            set_secret(key, &secret, sealer)
        }
    })
}

/// Puts a sealed secret where the plain one stands, so that a person finds it at its place.
fn set_secret(key: &mut Map<String, Value>, secret: &str, sealer: &Sealer) -> Result<(), SealError> {
    let sealed = Value::from(sealer.seal(SEAL_PURPOSE, secret)?);
    let mut sealed = Some(sealed);
    let mut rebuilt = Map::with_capacity(key.len());
    for (name, value) in std::mem::take(key) {
        match name.as_str() {
            "secret_key" | "secret_key_sealed" => {
                if let Some(sealed) = sealed.take() {
                    rebuilt.insert("secret_key_sealed".to_owned(), sealed);
                }
            }
            _ => {
                rebuilt.insert(name, value);
            }
        }
    }
    if let Some(sealed) = sealed {
        rebuilt.insert("secret_key_sealed".to_owned(), sealed);
    }
    *key = rebuilt;
    Ok(())
}

fn users_of(document: &mut Value) -> &mut [Value] {
    match document.get_mut("users") {
        Some(Value::Array(users)) => users,
        _ => &mut [],
    }
}

/// Visits every object that holds an access key and its secret.
fn for_each_key(
    document: &mut Value,
    mut visit: impl FnMut(&mut Map<String, Value>) -> Result<(), SealError>,
) -> Result<(), SealError> {
    for user in users_of(document) {
        let Value::Object(user) = user else { continue };
        if user.contains_key("access_key") {
            visit(user)?;
        }
        if let Some(Value::Array(keys)) = user.get_mut("access_keys") {
            for key in keys.iter_mut().filter_map(Value::as_object_mut) {
                visit(key)?;
            }
        }
    }
    Ok(())
}

/// A user to be added, its secrets chosen.
#[derive(Debug, Clone)]
pub(super) struct NewUser {
    message: CreateUser,
    access_key: AccessKeyId,
    secret_key: SecretKey,
}

impl NewUser {
    /// Checks what the message says and chooses what it leaves open.
    pub fn prepare(message: CreateUser) -> Result<Self, IamError> {
        let name = &message.display_name;
        if name.trim().is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
            return Err(invalid("display_name", "must have 1 to 256 bytes and no control characters"));
        }
        if message.user_name.as_ref().is_some_and(|name| !is_user_name(name)) {
            return Err(invalid("user_name", "must be 1 to 64 letters, digits, or of `+=,.@_-`"));
        }
        check_policies(&message.policies)?;
        let access_key = match &message.access_key {
            None => random_access_key()?,
            Some(text) if text.len() >= 3 => AccessKeyId::parse(text).map_err(|_| bad_access_key())?,
            Some(_) => return Err(bad_access_key()),
        };
        let secret_key = match &message.secret_key {
            None => SecretKey::random()?,
            Some(text) if (8..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) => {
                SecretKey::new(text)
            }
            Some(_) => return Err(invalid("secret_key", "must have 8 to 128 printable characters without spaces")),
        };
        Ok(Self { message, access_key, secret_key })
    }

    /// Adds the user to the document.
    pub fn add(&self, document: &mut Value, directory: &Directory, sealer: &Sealer) -> Result<NewCredential, IamError> {
        if directory.users().len() >= USERS_MAX {
            return Err(invalid("users", "the node has as many users as it can hold"));
        }
        if directory.key(&self.access_key).is_some() {
            return Err(IamError::AlreadyExists(format!("access key {}", self.access_key)));
        }
        let account_id = self.account_id(directory);
        if let (Some(name), Some(account_id)) = (&self.message.user_name, &account_id) {
            let mut members = directory.users().iter().filter(|user| user.account_id == *account_id);
            if members.any(|user| user.user_name.eq_ignore_ascii_case(name)) {
                return Err(IamError::AlreadyExists(format!("user {name}")));
            }
        }
        let mut user = Map::new();
        user.insert("access_key".to_owned(), Value::from(self.access_key.as_str()));
        set_secret(&mut user, self.secret_key.expose(), sealer)?;
        user.insert("display_name".to_owned(), Value::from(self.message.display_name.as_str()));
        if let Some(name) = &self.message.user_name {
            user.insert("user_name".to_owned(), Value::from(name.as_str()));
        }
        if let Some(account_id) = account_id {
            user.insert("account_id".to_owned(), Value::from(account_id));
        }
        user.insert("policies".to_owned(), self.message.policies.clone());
        append(document, "users", Value::Object(user));
        seal_plain(document, sealer)?;
        fill_in_ids(document)?;
        let user_id = ids_of(document)?.pop().ok_or_else(|| invalid("users", "is empty"))?;
        Ok(NewCredential {
            user_id,
            display_name: self.message.display_name.clone(),
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
        })
    }

    fn account_id(&self, directory: &Directory) -> Option<String> {
        match &self.message.creator {
            Some(creator) => Some(directory.account_of(creator).into_owned()),
            None => directory.users().iter().find(|user| administers(user)).map(|user| user.account_id.clone()),
        }
    }
}

fn bad_access_key() -> IamError {
    invalid("access_key", "must have 3 to 128 printable characters without spaces, commas, slashes and equal signs")
}

/// Whether a user's short-form policies name it an administrator.
fn administers(user: &UserSummary) -> bool {
    let policies = user.policies.as_array().map(Vec::as_slice).unwrap_or_default();
    policies
        .iter()
        .filter_map(|policy| policy.get("actions").and_then(Value::as_array))
        .flatten()
        .any(|word| matches!(word.as_str().map(str::to_ascii_lowercase).as_deref(), Some("iam:*" | "*")))
}

/// `MF` and eighteen letters and digits.
fn random_access_key() -> Result<AccessKeyId, IamError> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut bytes = [0; 18];
    getrandom::fill(&mut bytes).map_err(|_| SealError::NoRandomness)?;
    let random = bytes.iter().filter_map(|byte| LETTERS.get(usize::from(byte % 32)));
    let text: String = b"MF".iter().chain(random).map(|byte| char::from(*byte)).collect();
    AccessKeyId::parse(&text).map_err(|_| bad_access_key())
}

/// Appends to the list of this name, which is made when it is not there; the schema has checked that it is a list.
fn append(document: &mut Value, name: &str, value: Value) {
    if let Value::Object(map) = document
        && let Value::Array(list) = map.entry(name).or_insert_with(|| json!([]))
    {
        list.push(value);
    }
}

/// Checks a list of policies before it is stored. Errs: MalformedPolicy, also for words that would grant nothing.
pub(super) fn check_policies(policies: &Value) -> Result<(), IamError> {
    let malformed = |reason: String| IamError::MalformedPolicy(reason);
    let list = policies.as_array().ok_or_else(|| malformed("policies must be a list".to_owned()))?;
    if list.len() > POLICIES_MAX {
        return Err(malformed(format!("a user has at most {POLICIES_MAX} policies")));
    }
    for (index, value) in list.iter().enumerate() {
        let place = format!("policies[{index}]");
        if value.to_string().len() > POLICY_BYTES_MAX {
            return Err(malformed(format!("{place}: larger than {POLICY_BYTES_MAX} bytes")));
        }
        let policy = IdentityPolicy::parse(value, &place).map_err(|error| malformed(error.to_string()))?;
        if let Some(word) = policy.unknown_words().first() {
            return Err(malformed(format!("{place}.actions: `{word}` is not an action")));
        }
    }
    Ok(())
}

/// Removes a user; its id is kept so that nobody else gets it and its account keeps what it owns.
pub(super) fn delete(document: &mut Value, directory: &Directory, name: &str) -> Result<UserSummary, IamError> {
    let (index, user) = found(directory, name)?;
    if let Some(Value::Array(users)) = document.get_mut("users")
        && index < users.len()
    {
        users.remove(index);
    }
    let former = json!({
        "user_id": user.user_id.as_str(),
        "account_id": user.account_id,
        "display_name": user.display_name,
    });
    append(document, "former_users", former);
    Ok(user.clone())
}

/// Gives an access key a new secret.
pub(super) fn rotate(
    document: &mut Value,
    directory: &Directory,
    name: &str,
    secret_key: &SecretKey,
    sealer: &Sealer,
) -> Result<NewCredential, IamError> {
    let (index, user) = found(directory, name)?;
    let named = user.access_keys.iter().find(|key| key.access_key.as_str() == name);
    let access_key = match (named, user.access_keys.as_slice()) {
        (Some(key), _) | (None, [key]) => key.access_key.clone(),
        (None, []) => return Err(invalid("user", "has no access key")),
        (None, _) => return Err(invalid("user", "has several access keys; name the one to rotate")),
    };
    let record = users_of(document).get_mut(index).and_then(Value::as_object_mut);
    let record = record.ok_or_else(|| IamError::NoSuchUser(name.to_owned()))?;
    let is_this = |map: &Map<String, Value>| map.get("access_key").and_then(Value::as_str) == Some(access_key.as_str());
    if is_this(record) {
        set_secret(record, secret_key.expose(), sealer)?;
    } else if let Some(Value::Array(keys)) = record.get_mut("access_keys") {
        for key in keys.iter_mut().filter_map(Value::as_object_mut).filter(|key| is_this(key)) {
            set_secret(key, secret_key.expose(), sealer)?;
        }
    }
    seal_plain(document, sealer)?;
    Ok(NewCredential {
        user_id: user.user_id.clone(),
        display_name: user.display_name.clone(),
        access_key,
        secret_key: secret_key.clone(),
    })
}

/// Replaces a user's policies, which [`check_policies`] has passed.
pub(super) fn set_policies(
    document: &mut Value,
    directory: &Directory,
    name: &str,
    policies: &Value,
) -> Result<(), IamError> {
    let (index, _) = found(directory, name)?;
    let record = users_of(document).get_mut(index).and_then(Value::as_object_mut);
    let record = record.ok_or_else(|| IamError::NoSuchUser(name.to_owned()))?;
    record.insert("policies".to_owned(), policies.clone());
    Ok(())
}

fn found<'a>(directory: &'a Directory, name: &str) -> Result<(usize, &'a UserSummary), IamError> {
    directory.find(name).ok_or_else(|| IamError::NoSuchUser(name.to_owned()))
}
