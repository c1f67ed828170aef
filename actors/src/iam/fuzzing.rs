//! The fuzz target of `iam.json`: what a person may type is taken or refused with a reason, and what is taken means the same after
//! the node has written it.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "what does not hold ends the run")]

use std::collections::HashSet;

use serde_json::Value;

use super::directory::{Directory, IamFile};
use super::first_boot::WELL_KNOWN_SECRET;
pub use super::oidc::fuzzing::identity_token;
pub use super::sessions::fuzzing::session_token;
use super::uses::KeyUses;
use super::{audit, document};
use crate::audit::{AuditLog, ChangeOrigin};
use crate::json_store::{Version, compile};
use crate::names::Stamp;
use crate::policy_engine::fuzzing::may_do_nothing;
use crate::seal::{Sealer, SecretKey};

/// Shortest secret that is looked for: a shorter one may be anywhere by chance.
const SECRET_BYTES_MIN: usize = 8;

/// The text of the file.
pub fn iam_file(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let sealer = Sealer::new(&SecretKey::new("fuzzing"), &[]).expect("a sealer");
    let file = IamFile { sealer: sealer.clone(), audit: AuditLog::nowhere(), uses: KeyUses::nowhere() };
    let (typed, directory) = match compile(&file, text) {
        Ok(read) => read,
        Err(mistake) => {
            assert!(!mistake.reason.is_empty());
            assert!(mistake.line.is_none_or(|line| (1..=text.split('\n').count()).contains(&line)), "{mistake:?}");
            return false;
        }
    };
    is_consistent(&directory);
    let mut tidied = typed.clone();
    document::tidy(&mut tidied, &sealer).expect("what was read can be tidied");
    let (_, again) = compile(&file, &tidied.to_string()).expect("what the node writes can be read");
    same(&directory, &again);
    no_secret_is_plain(&tidied);
    let mut twice = tidied.clone();
    document::tidy(&mut twice, &sealer).expect("what was tidied can be tidied");
    assert_eq!(twice, tidied, "tidying again changes something");
    let (before, after) =
        (Version { document: &typed, state: &directory }, Version { document: &tidied, state: &again });
    no_secret_is_told(&before, &after, &sealer);
    true
}

/// What lookups rely on.
fn is_consistent(directory: &Directory) {
    let users = directory.users().len();
    assert_eq!((directory.principals.len(), directory.members.len()), (users, directory.groups.len()));
    assert!(directory.members.iter().flatten().all(|place| *place < users), "a member is nobody");
    let ids =
        directory.users().iter().map(|user| &user.user_id).chain(directory.roles().iter().map(|r| &r.canonical_id));
    let ids: Vec<_> = ids.collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "an id is given twice");
    assert!(ids.iter().all(|id| !directory.former_accounts.contains_key(*id)), "an id is given again");
    for (access_key, entry) in &directory.keys {
        let user = directory.user_by_id(&entry.principal.user_id).expect("a key's user");
        assert!(user.access_keys.iter().any(|key| key.access_key.as_str() == access_key));
        assert!(!entry.is_enabled || user.is_enabled, "a key of a disabled user is enabled");
        assert_eq!(entry.is_well_known, entry.secret.expose() == WELL_KNOWN_SECRET);
    }
    for principal in directory.principals() {
        let is_broken = principal.policies.iter().any(|policy| policy.mistake().is_some());
        assert!(!is_broken || may_do_nothing(principal), "a policy with a mistake lets its holder in");
    }
}

/// Two readings of one file.
fn same(typed: &Directory, written: &Directory) {
    let users = |directory: &Directory| {
        let mut users = directory.users().to_vec();
        users.iter_mut().flat_map(|user| &mut user.access_keys).for_each(|key| key.is_sealed = true);
        users
    };
    assert_eq!(users(typed), users(written));
    assert_eq!(typed.keys.len(), written.keys.len());
    for (access_key, key) in &typed.keys {
        let other = &written.keys[access_key];
        assert_eq!((key.is_enabled, key.expires_at), (other.is_enabled, other.expires_at));
        assert_eq!(key.secret.expose(), other.secret.expose(), "a secret is another after it was sealed");
    }
    let roles = |directory: &Directory| -> Vec<_> {
        directory
            .roles()
            .iter()
            .map(|role| (role.canonical_id.clone(), role.account_id.clone(), role.role_id.clone()))
            .collect()
    };
    assert_eq!(roles(typed), roles(written));
    assert_eq!(typed.warnings(), written.warnings());
}

fn no_secret_is_plain(tidied: &Value) {
    for user in document::entries(tidied, "users") {
        let further = user.get("access_keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for key in
            std::iter::once(user).chain(further).filter(|key| key.get("access_key").is_some_and(Value::is_string))
        {
            let plain = key.get("secret_key").and_then(Value::as_str).unwrap_or_default();
            assert!(["", WELL_KNOWN_SECRET].contains(&plain), "a secret stays plain");
        }
    }
}

/// The audit log tells of both versions, and of no secret that stands nowhere but in its place.
fn no_secret_is_told(before: &Version<'_, Directory>, after: &Version<'_, Directory>, sealer: &Sealer) {
    let (nothing, nobody) = (Value::Null, Directory::default());
    let nothing = Version { document: &nothing, state: &nobody };
    let by = ChangeOrigin::hand_edit();
    let mut told = audit::of_each(&nothing, before, sealer, Stamp(1), &by);
    told.extend(audit::of_each(before, after, sealer, Stamp(1), &by));
    assert!(audit::of_each(after, after, sealer, Stamp(1), &by).is_empty(), "no change is told");
    let told: String = told.iter().map(|entry| format!("{} {} {}", entry.target, entry.before, entry.after)).collect();
    let mut elsewhere = before.document.clone();
    take_secrets(&mut elsewhere);
    let elsewhere = elsewhere.to_string();
    for key in before.state.keys.values() {
        let secret = Value::from(key.secret.expose()).to_string();
        let secret = secret.trim_matches('"');
        let is_looked_for = secret.len() >= SECRET_BYTES_MIN && !elsewhere.contains(secret);
        assert!(!is_looked_for || !told.contains(secret), "the audit log tells a secret");
    }
}

fn take_secrets(document: &mut Value) {
    let Some(users) = document.get_mut("users").and_then(Value::as_array_mut) else { return };
    for user in users {
        let keys = user.get_mut("access_keys").and_then(Value::as_array_mut);
        keys.into_iter().flatten().for_each(|key| key["secret_key"] = Value::Null);
        user["secret_key"] = Value::Null;
    }
}
