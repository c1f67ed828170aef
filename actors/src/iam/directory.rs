//! The compiled users: what a lookup sees. Built from the whole file or not at all.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::first_boot::WELL_KNOWN_SECRET;
use super::messages::{AccessKeySummary, UserSummary};
use super::principal::Principal;
use super::records::{Expiry, FileRecord, KeyRecord, UserRecord};
use crate::json_store::{Mistake, Schema};
use crate::names::{AccessKeyId, CanonicalId};
use crate::policy_engine::{IdentityPolicy, PolicyHome, is_account_id, refuse_ambiguous};
use crate::seal::{Sealer, SecretKey};

/// What sealed secrets are for; part of what the seal protects.
pub(super) const SEAL_PURPOSE: &str = "iam secret_key";

/// An access key in force.
#[derive(Debug)]
pub(super) struct KeyEntry {
    pub secret: SecretKey,
    /// Both the key and its user are.
    pub is_enabled: bool,
    /// The earlier end of key and user.
    pub expires_at: Expiry,
    pub is_well_known: bool,
    pub principal: Arc<Principal>,
}

/// All users and keys at one moment.
#[derive(Debug, Default)]
pub struct Directory {
    /// In the order of the file.
    users: Vec<UserSummary>,
    /// Of each user, with its first key.
    principals: Vec<Arc<Principal>>,
    keys: HashMap<String, KeyEntry>,
    by_id: HashMap<CanonicalId, usize>,
    by_name: HashMap<String, Named>,
    former_accounts: HashMap<CanonicalId, String>,
    warnings: Vec<String>,
}

/// Whom a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    One(usize),
    Several,
}

impl Directory {
    /// The account that owns what this user owns. An unknown id is an account of its own.
    pub fn account_of(&self, user_id: &CanonicalId) -> Cow<'_, str> {
        let known = self.by_id.get(user_id).and_then(|index| self.users.get(*index)).map(|user| &user.account_id);
        match known.or_else(|| self.former_accounts.get(user_id)) {
            Some(account_id) => Cow::Borrowed(account_id),
            None => Cow::Owned(account_id_of(user_id)),
        }
    }

    /// Whether there is, or was, such a user.
    pub fn knows(&self, user_id: &CanonicalId) -> bool {
        self.by_id.contains_key(user_id) || self.former_accounts.contains_key(user_id)
    }

    /// The users with this e-mail address, in any letter case.
    pub fn by_email<'a>(&'a self, email: &'a str) -> impl Iterator<Item = &'a CanonicalId> {
        let has_it =
            move |user: &&UserSummary| user.email.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(email));
        self.users.iter().filter(has_it).map(|user| &user.user_id)
    }

    /// Display name of a user.
    pub fn display_name(&self, user_id: &CanonicalId) -> Option<&str> {
        self.by_id.get(user_id).and_then(|index| self.users.get(*index)).map(|user| user.display_name.as_str())
    }

    /// Every user, in the order of the file.
    pub fn users(&self) -> &[UserSummary] {
        &self.users
    }

    /// What policies are asked about for each user: with its first access key, or `none` without one.
    pub fn principals(&self) -> &[Arc<Principal>] {
        &self.principals
    }

    /// The user that goes by `name`: user id, access key, or a display or user name that it alone has. With its place in
    /// the file.
    pub(super) fn find(&self, name: &str) -> Option<(usize, &UserSummary)> {
        match self.by_name.get(name)? {
            Named::One(index) => self.users.get(*index).map(|user| (*index, user)),
            Named::Several => None,
        }
    }

    pub(super) fn key(&self, access_key: &AccessKeyId) -> Option<&KeyEntry> {
        self.keys.get(access_key.as_str())
    }

    /// An enabled access key that still has the well-known secret.
    pub(super) fn well_known_key(&self) -> Option<&AccessKeyId> {
        let open = self.keys.values().find(|key| key.is_well_known && key.is_enabled);
        open.map(|key| &key.principal.access_key)
    }

    /// What in the file has no effect, for the log.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// The account of a user that was given none: twelve digits that follow from its id.
pub fn account_id_of(user_id: &CanonicalId) -> String {
    let number = user_id.as_str().get(..15).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0);
    format!("{:012}", number % 1_000_000_000_000)
}

/// The ids of all users in the order of the file. An absent one follows from the access key (SHA-256), unless another
/// user has or had that id.
pub(super) fn user_ids(file: &FileRecord) -> Result<Vec<CanonicalId>, Problem> {
    let mut taken: HashSet<CanonicalId> = HashSet::new();
    for former in &file.former_users {
        taken.extend(CanonicalId::parse(&former.user_id));
    }
    let mut given = Vec::with_capacity(file.users.len());
    for user in &file.users {
        let id = match &user.user_id {
            None => None,
            Some(text) => {
                let id = CanonicalId::parse(text)
                    .map_err(|_| Problem::of(user, "user_id must be 64 lower-case hexadecimal digits"))?;
                if !taken.insert(id.clone()) {
                    return Err(Problem::of(user, "another user has, or had, this user_id"));
                }
                Some(id)
            }
        };
        given.push(id);
    }
    let mut ids = Vec::with_capacity(given.len());
    for (user, given) in file.users.iter().zip(given) {
        let Some(id) = given else {
            let first = user.access_key.as_ref().or_else(|| user.access_keys.first().map(|key| &key.access_key));
            let first = first.ok_or_else(|| Problem::of(user, "has neither an access key nor a user_id"))?;
            let free = (0u32..).map(|round| derived_id(first, round)).find(|id| taken.insert(id.clone()));
            ids.extend(free);
            continue;
        };
        ids.push(id);
    }
    Ok(ids)
}

/// The id of the first user of the file at `path`, for work on a data directory that no node has open. None when there is no
/// user, or the file cannot be read.
pub fn first_user_id(path: &Path) -> Option<CanonicalId> {
    let file: FileRecord = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    user_ids(&file).ok()?.into_iter().next()
}

fn derived_id(access_key: &str, round: u32) -> CanonicalId {
    let digest = match round {
        0 => Sha256::digest(access_key.as_bytes()),
        _ => Sha256::digest(format!("{access_key}\n{round}").as_bytes()),
    };
    CanonicalId::from_bytes(digest.into())
}

/// A mistake and the word by which its line is found.
#[derive(Debug)]
pub(super) struct Problem {
    word: String,
    reason: String,
}

impl Problem {
    fn of(user: &UserRecord, reason: impl Into<String>) -> Self {
        let key = user.access_keys.first().map(|key| &key.access_key);
        let word = user.access_key.as_ref().or(key).or(user.user_name.as_ref()).or(user.display_name.as_ref());
        let word = word.cloned().unwrap_or_default();
        Self { reason: format!("user `{word}`: {}", reason.into()), word }
    }

    pub(super) fn reason(self) -> String {
        self.reason
    }
}

/// How `iam.json` is read.
#[derive(Debug)]
pub(super) struct IamFile {
    pub sealer: Sealer,
}

impl Schema for IamFile {
    type State = Directory;

    fn compile(&self, text: &str, document: &Value) -> Result<Directory, Mistake> {
        refuse_ambiguous(text)?;
        // serde would take an empty array for a record without fields.
        if !document.is_object() {
            return Err(Mistake::near(text, "[", "the file is not a JSON object".to_owned()));
        }
        // From the text rather than the document, for the lines of mistakes.
        let file: FileRecord = serde_json::from_str(text)?;
        build(&file, &self.sealer).map_err(|problem| Mistake::near(text, &problem.word, problem.reason))
    }
}

fn build(file: &FileRecord, sealer: &Sealer) -> Result<Directory, Problem> {
    let ids = user_ids(file)?;
    let mut directory = Directory::default();
    for former in &file.former_users {
        if let Ok(id) = CanonicalId::parse(&former.user_id) {
            directory.former_accounts.insert(id, former.account_id.clone());
        }
    }
    for (index, (user, user_id)) in file.users.iter().zip(&ids).enumerate() {
        let summary = summary(user, user_id)?;
        directory.by_id.insert(user_id.clone(), index);
        let keys = summary.access_keys.iter().map(|key| key.access_key.as_str());
        let own = [user_id.as_str(), &summary.display_name, &summary.user_name];
        for name in keys.chain(own) {
            let entry = directory.by_name.entry(name.to_owned()).or_insert(Named::One(index));
            if *entry != Named::One(index) {
                *entry = Named::Several;
            }
        }
        directory.users.push(summary);
    }
    let mut members: HashMap<String, usize> = HashMap::new();
    for user in &directory.users {
        *members.entry(user.account_id.clone()).or_default() += 1;
    }
    for user in &mut directory.users {
        user.is_root |= members.get(&user.account_id) == Some(&1);
    }
    for (index, user) in file.users.iter().enumerate() {
        add_keys(&mut directory, index, user, sealer)?;
    }
    Ok(directory)
}

fn summary(user: &UserRecord, user_id: &CanonicalId) -> Result<UserSummary, Problem> {
    let account_id = match &user.account_id {
        None => account_id_of(user_id),
        Some(account_id) if is_account_id(account_id) => account_id.clone(),
        Some(_) => return Err(Problem::of(user, "account_id must be twelve digits")),
    };
    let path = user.path.clone().unwrap_or_else(|| "/".to_owned());
    if !(path.starts_with('/') && path.ends_with('/') && path.len() <= 512) {
        return Err(Problem::of(user, "path must begin and end with a slash"));
    }
    let keys = key_records(user);
    let mut access_keys = Vec::with_capacity(keys.len());
    for key in &keys {
        let access_key = AccessKeyId::parse(key.access_key)
            .map_err(|_| Problem::of(user, format!("`{}` is no access key", key.access_key)))?;
        access_keys.push(AccessKeySummary {
            access_key,
            is_enabled: key.enabled,
            expires_at: key.expires_at.0,
            is_sealed: key.secret_key.is_none(),
        });
    }
    let first_key = access_keys.first().map(|key| key.access_key.as_str().to_owned());
    let given = [user.display_name.clone(), user.user_name.clone(), first_key.clone()];
    let display_name = given.into_iter().flatten().find(|name| !name.is_empty()).unwrap_or_default();
    let user_name = match &user.user_name {
        Some(name) if is_user_name(name) => name.clone(),
        Some(_) => return Err(Problem::of(user, "user_name must be 1 to 64 letters, digits, or of `+=,.@_-`")),
        None if is_user_name(&display_name) => display_name.clone(),
        None => first_key.unwrap_or_else(|| user_id.as_str().to_owned()),
    };
    let is_named_root = user.root == Some(true);
    Ok(UserSummary {
        user_id: user_id.clone(),
        is_root: is_named_root || user.account_id.is_none(),
        is_named_root,
        account_id,
        display_name,
        user_name,
        path,
        email: user.email.clone().filter(|email| !email.is_empty()),
        is_enabled: user.enabled != Some(false),
        expires_at: user.expires_at.0,
        access_keys,
        policies: Value::Array(user.policies.clone()),
    })
}

/// Whether `name` can be a user name (IAM API Reference, CreateUser).
pub(super) fn is_user_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

/// An access key of a user, wherever its record has it.
struct Key<'a> {
    access_key: &'a str,
    secret_key: Option<&'a str>,
    sealed: Option<&'a str>,
    enabled: bool,
    expires_at: Expiry,
}

fn key_records(user: &UserRecord) -> Vec<Key<'_>> {
    let own = user.access_key.as_ref().map(|access_key| Key {
        access_key,
        secret_key: user.secret_key.as_deref(),
        sealed: user.secret_key_sealed.as_deref(),
        enabled: true,
        expires_at: Expiry::default(),
    });
    fn further(key: &KeyRecord) -> Key<'_> {
        let KeyRecord { access_key, secret_key, secret_key_sealed, enabled, expires_at } = key;
        Key {
            access_key,
            secret_key: secret_key.as_deref(),
            sealed: secret_key_sealed.as_deref(),
            enabled: *enabled != Some(false),
            expires_at: *expires_at,
        }
    }
    own.into_iter().chain(user.access_keys.iter().map(further)).collect()
}

fn add_keys(directory: &mut Directory, index: usize, user: &UserRecord, sealer: &Sealer) -> Result<(), Problem> {
    let Some(summary) = directory.users.get(index).cloned() else {
        return Ok(());
    };
    let mut policies = Vec::with_capacity(user.policies.len());
    for (at, value) in user.policies.iter().enumerate() {
        let policy = IdentityPolicy::parse(value, &format!("policies[{at}]")).unwrap_or_else(|mistake| {
            let name = &summary.display_name;
            directory.warnings.push(format!("user `{name}` may do nothing, since a policy has a mistake: {mistake}"));
            IdentityPolicy::broken(value, mistake)
        });
        for word in policy.unknown_words() {
            let name = &summary.display_name;
            directory.warnings.push(format!("user `{name}`: policies[{at}] grants nothing by `{word}`"));
        }
        policies.push(policy.at(PolicyHome::Own { index: at }));
    }
    if !user.groups.is_empty() {
        let name = &summary.display_name;
        directory.warnings.push(format!("user `{name}`: groups have no effect yet"));
    }
    let names = [&summary.display_name, &summary.user_name].into_iter();
    let unambiguous = names.filter(|name| directory.by_name.get(*name) == Some(&Named::One(index))).cloned();
    let template = Principal {
        user_id: summary.user_id.clone(),
        account_id: summary.account_id.clone(),
        access_key: AccessKeyId::parse("none").map_err(|_| Problem::of(user, "has no access key"))?,
        access_keys: summary.access_keys.iter().map(|key| key.access_key.clone()).collect(),
        display_name: summary.display_name.clone(),
        user_name: summary.user_name.clone(),
        path: summary.path.clone(),
        is_root: summary.is_root,
        is_named_root: summary.is_named_root,
        unambiguous_names: unambiguous.collect(),
        policies: Arc::from(policies),
        tags: user.tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        role: None,
        session: None,
    };
    let first_key = summary.access_keys.first().map_or(&template.access_key, |key| &key.access_key).clone();
    directory.principals.push(Arc::new(Principal { access_key: first_key, ..template.clone() }));
    for (key, parsed) in key_records(user).into_iter().zip(&summary.access_keys) {
        let secret = secret_of(&key, sealer).map_err(|reason| Problem::of(user, reason))?;
        let entry = KeyEntry {
            is_well_known: secret.expose() == WELL_KNOWN_SECRET,
            secret,
            is_enabled: key.enabled && summary.is_enabled,
            expires_at: key.expires_at.or_earlier(user.expires_at),
            principal: Arc::new(Principal { access_key: parsed.access_key.clone(), ..template.clone() }),
        };
        if directory.keys.insert(key.access_key.to_owned(), entry).is_some() {
            return Err(Problem::of(user, format!("access key `{}` stands twice", key.access_key)));
        }
    }
    Ok(())
}

fn secret_of(key: &Key<'_>, sealer: &Sealer) -> Result<SecretKey, String> {
    match (key.secret_key, key.sealed) {
        (Some(""), _) | (None, None) => Err(format!("access key `{}` has no secret_key", key.access_key)),
        // What a person typed is newer than what the node sealed.
        (Some(plain), _) => Ok(SecretKey::new(plain)),
        (None, Some(sealed)) => sealer
            .unseal(SEAL_PURPOSE, sealed)
            .map_err(|error| format!("secret_key_sealed of access key `{}`: {error}", key.access_key)),
    }
}

#[cfg(test)]
impl Directory {
    /// The directory of a document, for tests of other rooms.
    pub(crate) fn of(document: &Value) -> Self {
        let sealer = Sealer::new(&SecretKey::new("test"), &[]).unwrap();
        IamFile { sealer }.compile(&document.to_string(), document).unwrap()
    }

    /// The principal of an access key, for tests of other rooms.
    pub(crate) fn principal(&self, access_key: &str) -> Arc<Principal> {
        Arc::clone(&self.keys[access_key].principal)
    }
}
