//! Who has which canonical id and account: given by the file, or following from what it says.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::records::{FileRecord, RoleRecord, UserRecord};
use crate::names::CanonicalId;

/// A mistake in the file and the word by which its line is found.
#[derive(Debug)]
pub(super) struct Problem {
    pub word: String,
    pub reason: String,
}

impl Problem {
    /// A mistake in something, such as `group`, that the file calls by this name.
    pub fn new(what: &str, name: &str, reason: impl Into<String>) -> Self {
        Self { reason: format!("{what} `{name}`: {}", reason.into()), word: name.to_owned() }
    }

    /// A mistake in a user.
    pub fn of(user: &UserRecord, reason: impl Into<String>) -> Self {
        let key = user.access_keys.first().map(|key| &key.access_key);
        let word = user.access_key.as_ref().or(key).or(user.user_name.as_ref()).or(user.display_name.as_ref());
        Self::new("user", word.map(String::as_str).unwrap_or_default(), reason)
    }
}

/// The canonical ids of all users and roles, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Ids {
    pub users: Vec<CanonicalId>,
    pub roles: Vec<CanonicalId>,
}

impl Ids {
    /// Those of a file. An absent one follows from access key or role name (SHA-256), unless somebody else has or had that id.
    pub fn of(file: &FileRecord) -> Result<Self, Problem> {
        let mut taken: HashSet<CanonicalId> = HashSet::new();
        for former in &file.former_users {
            taken.extend(CanonicalId::parse(&former.user_id));
        }
        let mut take = |text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => match CanonicalId::parse(text) {
                Err(_) => Err("must be 64 lower-case hexadecimal digits"),
                Ok(id) if taken.insert(id.clone()) => Ok(Some(id)),
                Ok(_) => Err("is taken: another user has, or had, this user_id"),
            },
        };
        let users: Result<Vec<_>, _> = file
            .users
            .iter()
            .map(|user| take(&user.user_id).map_err(|reason| Problem::of(user, format!("user_id {reason}"))))
            .collect();
        let roles: Result<Vec<_>, _> = file
            .roles
            .iter()
            .map(|role| take(&role.canonical_id).map_err(|why| problem_of(role, format!("canonical_id {why}"))))
            .collect();
        let mut derived =
            |seed: &str| (0u32..).map(|round| derived_id(seed, round)).find(|id| taken.insert(id.clone()));
        let mut ids = Self::default();
        for (user, given) in file.users.iter().zip(users?) {
            let id = match given {
                Some(id) => Some(id),
                None => {
                    let first =
                        user.access_key.as_ref().or_else(|| user.access_keys.first().map(|key| &key.access_key));
                    derived(first.ok_or_else(|| Problem::of(user, "has neither an access key nor a user_id"))?)
                }
            };
            ids.users.extend(id);
        }
        for (role, given) in file.roles.iter().zip(roles?) {
            let seed = || format!("role {}/{}", role.account_id.as_deref().unwrap_or_default(), role.role_name);
            ids.roles.extend(given.or_else(|| derived(&seed())));
        }
        Ok(ids)
    }
}

fn problem_of(role: &RoleRecord, reason: String) -> Problem {
    Problem::new("role", &role.role_name, reason)
}

fn derived_id(seed: &str, round: u32) -> CanonicalId {
    let digest = match round {
        0 => Sha256::digest(seed.as_bytes()),
        _ => Sha256::digest(format!("{seed}\n{round}").as_bytes()),
    };
    CanonicalId::from_bytes(digest.into())
}

/// The id of the first user of the file at `path`, for work on a data directory that no node has open. None when there is no
/// user, or the file cannot be read.
pub fn first_user_id(path: &Path) -> Option<CanonicalId> {
    let file: FileRecord = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    Ids::of(&file).ok()?.users.into_iter().next()
}

/// The account of a user that was given none: twelve digits that follow from its id.
pub fn account_id_of(user_id: &CanonicalId) -> String {
    let number = user_id.as_str().get(..15).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0);
    format!("{:012}", number % 1_000_000_000_000)
}

/// Whether policies of the short form name their holder an administrator.
pub(super) fn administers(policies: &[Value]) -> bool {
    policies
        .iter()
        .filter_map(|policy| policy.get("actions").and_then(Value::as_array))
        .flatten()
        .any(|word| matches!(word.as_str().map(str::to_ascii_lowercase).as_deref(), Some("iam:*" | "*")))
}

/// The account of what was given none: that of the first administrator, else of the first user.
pub(super) fn default_account(file: &FileRecord, ids: &Ids) -> Option<String> {
    let users = || file.users.iter().zip(&ids.users);
    let (user, id) = users().find(|(user, _)| administers(&user.policies)).or_else(|| users().next())?;
    Some(user.account_id.clone().unwrap_or_else(|| account_id_of(id)))
}
