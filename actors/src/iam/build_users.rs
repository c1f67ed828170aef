//! The users of the file and their access keys, compiled.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::build::{Held, compile, tags, warn_of_mistake};
use super::directory::{Directory, HolderPlace, KeyEntry, Means, Owner, SEAL_PURPOSE};
use super::entries::{AccessKeySummary, UserSummary};
use super::first_boot::WELL_KNOWN_SECRET;
use super::ids::{Ids, Problem, account_id_of};
use super::naming::{Kind, is_path, scope};
use super::principal::Principal;
use super::records::{Expiry, FileRecord, KeyRecord, UserRecord};
use crate::names::{AccessKeyId, CanonicalId, Stamp};
use crate::policy_engine::{IdentityPolicy, InvalidPolicy, PolicyHome, is_account_id};
use crate::seal::{Sealer, SecretKey};

/// Adds the users, without their keys and policies.
pub(super) fn add_users(directory: &mut Directory, file: &FileRecord, ids: &Ids) -> Result<(), Problem> {
    fn note(names: &mut HashMap<String, Means>, name: String, place: usize) {
        let means = names.entry(name).or_insert(Means::One(place));
        if *means != Means::One(place) {
            *means = Means::Several;
        }
    }
    let mut arns: HashMap<String, Means> = HashMap::new();
    for (place, (user, user_id)) in file.users.iter().zip(&ids.users).enumerate() {
        let summary = summary(user, user_id)?;
        directory.by_id.insert(user_id.clone(), Owner::User(place));
        let keys = summary.access_keys.iter().map(|key| key.access_key.as_str());
        for name in keys.chain([user_id.as_str(), &summary.display_name, &summary.user_name]) {
            note(&mut directory.by_name, name.to_owned(), place);
        }
        let name = scope(Some(&summary.account_id), &summary.user_name);
        note(&mut directory.by_user_name, name, place);
        note(&mut arns, own_arn(&summary), place);
        directory.users.push(summary);
    }
    for (place, user) in directory.users.iter().enumerate() {
        if arns.get(&own_arn(user)) != Some(&Means::One(place)) {
            directory.shared_arns.insert(place);
            directory.warnings.push(format!("several users are {}, which therefore means none of them", own_arn(user)));
        }
        warn_of_names(user, &directory.by_name, &directory.by_id, place, &mut directory.warnings);
    }
    // Who is left of several is nobody's root: else whoever may delete users would come to be it.
    let mut members: HashMap<String, usize> = HashMap::new();
    let former = file.former_users.iter().filter(|former| !former.role).map(|former| &former.account_id);
    for account_id in directory.users.iter().map(|user| &user.account_id).chain(former) {
        *members.entry(account_id.clone()).or_default() += 1;
    }
    for user in &mut directory.users {
        user.is_root |= members.get(&user.account_id) == Some(&1);
    }
    Ok(())
}

/// The ARN by which policies mean the user itself.
fn own_arn(user: &UserSummary) -> String {
    Kind::User.arn(&user.account_id, &user.path, &user.user_name)
}

/// Tells of access keys and names that mean nobody, since somebody else goes by them.
fn warn_of_names(
    user: &UserSummary,
    by_name: &HashMap<String, Means>,
    by_id: &foldhash::HashMap<CanonicalId, Owner>,
    place: usize,
    warnings: &mut Vec<String>,
) {
    let who = &user.display_name;
    for key in &user.access_keys {
        let key = key.access_key.as_str();
        if by_name.get(key) != Some(&Means::One(place)) {
            warnings.push(format!("user `{who}`: others go by its access key `{key}`, which therefore names nobody"));
        }
    }
    for name in [&user.display_name, &user.user_name] {
        let owner = CanonicalId::parse(name).ok().and_then(|id| by_id.get(&id));
        if owner.is_some_and(|owner| !matches!(owner, Owner::User(own) if *own == place)) {
            warnings.push(format!("user `{who}`: its name is the id of somebody else, who is meant by it"));
        }
    }
}

fn summary(user: &UserRecord, user_id: &CanonicalId) -> Result<UserSummary, Problem> {
    let account_id = match &user.account_id {
        None => account_id_of(user_id),
        Some(account_id) if is_account_id(account_id) => account_id.clone(),
        Some(_) => return Err(Problem::of(user, "account_id must be twelve digits")),
    };
    let path = user.path.clone().unwrap_or_else(|| "/".to_owned());
    if !is_path(&path) {
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
            created_at: key.created_at,
            is_sealed: key.secret_key.is_none(),
        });
    }
    let first_key = access_keys.first().map(|key| key.access_key.as_str().to_owned());
    let given = [user.display_name.clone(), user.user_name.clone(), first_key.clone()];
    let display_name = given.into_iter().flatten().find(|name| !name.is_empty()).unwrap_or_default();
    let user_name = match &user.user_name {
        Some(name) if Kind::User.fits(name) => name.clone(),
        Some(_) => return Err(Problem::of(user, format!("user_name {}", Kind::User.rule()))),
        None if Kind::User.fits(&display_name) => display_name.clone(),
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
        created_at: user.created_at.0,
        access_keys,
        policies: Value::Array(user.policies.clone()),
        groups: user.groups.clone(),
        attached_policies: user.attached_policies.clone(),
        tags: tags(&user.tags),
        quota: user.quota.unwrap_or_default(),
    })
}

/// An access key of a user, wherever its record has it.
struct Key<'a> {
    access_key: &'a str,
    secret_key: Option<&'a str>,
    sealed: Option<&'a str>,
    enabled: bool,
    expires_at: Expiry,
    created_at: Option<Stamp>,
}

fn key_records(user: &UserRecord) -> Vec<Key<'_>> {
    let own = user.access_key.as_ref().map(|access_key| Key {
        access_key,
        secret_key: user.secret_key.as_deref(),
        sealed: user.secret_key_sealed.as_deref(),
        enabled: true,
        expires_at: Expiry::default(),
        created_at: user.created_at.0,
    });
    fn further(key: &KeyRecord) -> Key<'_> {
        let KeyRecord { access_key, secret_key, secret_key_sealed, enabled, expires_at, created_at } = key;
        Key {
            access_key,
            secret_key: secret_key.as_deref(),
            sealed: secret_key_sealed.as_deref(),
            enabled: *enabled != Some(false),
            expires_at: *expires_at,
            created_at: created_at.0,
        }
    }
    own.into_iter().chain(user.access_keys.iter().map(further)).collect()
}

/// What a user holds by the groups that it is in.
fn by_groups(
    directory: &mut Directory,
    who: &str,
    place: usize,
    account_id: &str,
    groups: &[String],
) -> Vec<IdentityPolicy> {
    let mut policies = Vec::new();
    for (index, name) in groups.iter().enumerate() {
        let Some(at) = directory.group_place(account_id, name) else {
            let mistake = InvalidPolicy::new(format!("groups[{index}]"), format!("there is no group `{name}`"));
            warn_of_mistake(directory, who, &mistake);
            let home = PolicyHome::Group { group: Box::from(name.as_str()), index: 0 };
            policies.push(IdentityPolicy::broken(&Value::Null, mistake).at(home));
            continue;
        };
        // It may name one twice.
        if let (Some(group), Some(members)) = (directory.groups.get(at), directory.members.get_mut(at))
            && members.last() != Some(&place)
        {
            members.push(place);
            policies.extend(group.compiled.iter().cloned());
        }
    }
    policies
}

/// Adds what a user may do, and its keys. Groups and managed policies are there already.
pub(super) fn add_principal(
    directory: &mut Directory,
    place: usize,
    user: &UserRecord,
    sealer: &Sealer,
) -> Result<(), Problem> {
    let Some(summary) = directory.users.get(place).cloned() else {
        return Ok(());
    };
    let who = format!("user `{}`", summary.display_name);
    let groups = by_groups(directory, &who, place, &summary.account_id, &user.groups);
    let held = Held {
        who,
        account_id: Some(&summary.account_id),
        group: None,
        own: &user.policies,
        attached: &user.attached_policies,
        place: HolderPlace::User(place),
    };
    let mut policies = compile(directory, &held);
    // Its own come first, then those of its groups.
    policies.splice(user.policies.len()..user.policies.len(), groups);
    let is_its_own = |name: &str| directory.by_name.get(name) == Some(&Means::One(place));
    let keys = summary.access_keys.iter().map(|key| key.access_key.as_str());
    let names = [summary.display_name.as_str(), &summary.user_name].into_iter().chain(keys);
    let unambiguous = names.filter(|name| is_its_own(name)).map(str::to_owned);
    let no_key = || AccessKeyId::parse("none").map_err(|_| Problem::of(user, "has no access key"));
    let first_key = summary.access_keys.first().map(|key| key.access_key.clone());
    let template = Principal {
        user_id: summary.user_id.clone(),
        account_id: summary.account_id.clone(),
        access_key: first_key.map_or_else(no_key, Ok)?,
        access_keys: summary.access_keys.iter().map(|key| key.access_key.clone()).collect(),
        display_name: summary.display_name.clone(),
        user_name: summary.user_name.clone(),
        path: summary.path.clone(),
        is_root: summary.is_root,
        is_named_root: summary.is_named_root,
        shares_arn: directory.shared_arns.contains(&place),
        unambiguous_names: unambiguous.collect(),
        policies: Arc::from(policies),
        tags: Arc::from(summary.tags),
        role: None,
        session: None,
    };
    for (key, parsed) in key_records(user).into_iter().zip(&summary.access_keys) {
        let secret = secret_of(&key, sealer).map_err(|reason| Problem::of(user, reason))?;
        let entry = KeyEntry {
            is_well_known: secret.expose() == WELL_KNOWN_SECRET,
            secret,
            is_enabled: key.enabled && summary.is_enabled,
            expires_at: key.expires_at.or_earlier(user.expires_at),
            principal: Arc::new(Principal { access_key: parsed.access_key.clone(), ..template.clone() }),
            used: Arc::default(),
        };
        if directory.keys.insert(key.access_key.to_owned(), entry).is_some() {
            return Err(Problem::of(user, format!("access key `{}` stands twice", key.access_key)));
        }
    }
    directory.principals.push(Arc::new(template));
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
