//! From the shape of the file to the directory. Groups and managed policies are compiled once and shared by those who hold them, so
//! the work grows with the file and not with its square.
//!
//! INVARIANT: what a user, group or role names and is not there, or has a mistake, denies everything to whoever holds it: nobody
//! knows what it was to deny.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::aws_policies::{AWS_ACCOUNT, aws_policies};
use super::build_users::{add_principal, add_users};
use super::directory::{Directory, HolderPlace, Owner};
use super::entries::{GroupEntry, ManagedPolicy, OidcProvider, PolicyVersion, RoleEntry, Tags};
use super::ids::{Ids, Problem, account_id_of, default_account};
use super::naming::{Kind, derived_unique_id, is_path, scope};
use super::records::{FileRecord, ManagedRecord, RoleRecord};
use crate::names::CanonicalId;
use crate::policy_engine::{IdentityPolicy, InvalidPolicy, PolicyHome, TrustPolicy, is_account_id};
use crate::seal::Sealer;

/// Shortest and longest sessions of roles, in seconds (IAM API Reference, CreateRole); the shortest is also what a role has
/// whose record says nothing.
pub const SESSION_SECONDS: std::ops::RangeInclusive<u64> = 3600..=43_200;

/// Compiles the file.
pub(super) fn build(file: &FileRecord, sealer: &Sealer) -> Result<Directory, Problem> {
    let ids = Ids::of(file)?;
    let mut directory = Directory::default();
    for former in &file.former_users {
        if let Ok(id) = CanonicalId::parse(&former.user_id) {
            directory.former_accounts.insert(id, former.account_id.clone());
        }
    }
    add_managed(&mut directory, file)?;
    add_groups(&mut directory, file)?;
    add_users(&mut directory, file, &ids)?;
    for (place, user) in file.users.iter().enumerate() {
        add_principal(&mut directory, place, user, sealer)?;
    }
    let default_account = default_account(file, &ids);
    add_roles(&mut directory, file, &ids, default_account.as_deref())?;
    add_providers(&mut directory, file, default_account.as_deref())?;
    Ok(directory)
}

pub(super) fn tags(record: &BTreeMap<String, String>) -> Tags {
    record.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn checked_account(what: &str, name: &str, account_id: Option<&String>) -> Result<Option<String>, Problem> {
    match account_id {
        Some(account_id) if !is_account_id(account_id) => {
            Err(Problem::new(what, name, "account_id must be twelve digits"))
        }
        given => Ok(given.cloned()),
    }
}

fn checked_path(what: &str, name: &str, path: Option<&String>) -> Result<String, Problem> {
    match path {
        None => Ok("/".to_owned()),
        Some(path) if is_path(path) => Ok(path.clone()),
        Some(_) => Err(Problem::new(what, name, "path must begin and end with a slash")),
    }
}

fn checked_name(kind: Kind, name: &str) -> Result<(), Problem> {
    match kind.fits(name) {
        true => Ok(()),
        false => Err(Problem::new(kind.word(), name, format!("the name {}", kind.rule()))),
    }
}

/// Files a thing under its name. Errs when there is one of this name.
fn file_under(
    places: &mut HashMap<String, usize>,
    key: String,
    place: usize,
    what: &str,
    name: &str,
) -> Result<(), Problem> {
    match places.insert(key, place) {
        None => Ok(()),
        Some(_) => Err(Problem::new(what, name, "stands twice")),
    }
}

fn add_managed(directory: &mut Directory, file: &FileRecord) -> Result<(), Problem> {
    for policy in aws_policies() {
        let version = PolicyVersion { version_id: "v1".to_owned(), document: policy.document, created_at: None };
        let compiled = compile_managed(policy.name, Some(&version));
        let arn = Kind::Policy.arn(AWS_ACCOUNT, "/", policy.name);
        directory.managed_places.insert(scope(Some(AWS_ACCOUNT), policy.name), directory.managed.len());
        directory.managed.push(ManagedPolicy {
            account_id: Some(AWS_ACCOUNT.to_owned()),
            name: policy.name.to_owned(),
            path: "/".to_owned(),
            policy_id: derived_unique_id("ANPA", &arn),
            description: Some(policy.description.to_owned()),
            created_at: None,
            updated_at: None,
            default_version_id: version.version_id.clone(),
            versions: vec![version],
            tags: Tags::new(),
            compiled,
            place: None,
        });
    }
    for (place, record) in file.managed_policies.iter().enumerate() {
        let policy = managed(place, record)?;
        if let Some(mistake) = policy.mistake() {
            let warning =
                format!("who holds policy `{}` may do nothing, since it has a mistake: {mistake}", policy.name);
            directory.warnings.push(warning);
        }
        let key = scope(policy.account_id.as_deref(), &policy.name);
        file_under(&mut directory.managed_places, key, directory.managed.len(), "policy", &policy.name)?;
        directory.managed.push(policy);
    }
    Ok(())
}

fn managed(place: usize, record: &ManagedRecord) -> Result<ManagedPolicy, Problem> {
    let name = &record.policy_name;
    checked_name(Kind::Policy, name)?;
    let account_id = checked_account("policy", name, record.account_id.as_ref())?;
    let mut versions: Vec<PolicyVersion> = Vec::with_capacity(record.versions.len().max(1));
    for version in &record.versions {
        if versions.iter().any(|other| other.version_id == version.version_id) {
            return Err(Problem::new("policy", name, format!("version {} stands twice", version.version_id)));
        }
        let created_at = version.created_at.0;
        let (version_id, document) = (version.version_id.clone(), version.document.clone());
        versions.push(PolicyVersion { version_id, document, created_at });
    }
    if let Some(document) = record.document.as_ref().filter(|_| versions.is_empty()) {
        let (version_id, created_at) = ("v1".to_owned(), record.created_at.0);
        versions.push(PolicyVersion { version_id, document: document.clone(), created_at });
    }
    let only = || versions.first().filter(|_| versions.len() == 1).map(|version| version.version_id.clone());
    let default_version_id = record.default_version_id.clone().or_else(only).unwrap_or_default();
    let default = versions.iter().find(|version| version.version_id == default_version_id);
    let seed = || format!("{}/{name}", account_id.as_deref().unwrap_or_default());
    Ok(ManagedPolicy {
        compiled: compile_managed(name, default),
        name: name.clone(),
        path: checked_path("policy", name, record.path.as_ref())?,
        policy_id: record.policy_id.clone().unwrap_or_else(|| derived_unique_id("ANPA", &seed())),
        account_id,
        description: record.description.clone(),
        created_at: record.created_at.0,
        updated_at: record.updated_at.0,
        default_version_id,
        versions,
        tags: tags(&record.tags),
        place: Some(place),
    })
}

/// The default version as it is held. Documents only: the short form is the node administrator's word, which a managed policy, that
/// an account's own users write, must not be.
fn compile_managed(name: &str, version: Option<&PolicyVersion>) -> IdentityPolicy {
    let parsed = match version {
        None => Err(InvalidPolicy::new("default_version_id", "names no version")),
        Some(version) if version.document.get("Statement").is_none() => {
            Err(InvalidPolicy::new(format!("{}.Statement", version.version_id), "is missing"))
        }
        Some(version) => IdentityPolicy::parse(&version.document, &version.version_id),
    };
    let mut policy = parsed.unwrap_or_else(|mistake| IdentityPolicy::broken(&Value::Null, mistake));
    policy.name = Some(Box::from(name));
    policy
}

/// Who holds policies, and which.
pub(super) struct Held<'a> {
    /// Begins sentences.
    pub who: String,
    /// Of whose account managed policies may be; none: of any.
    pub account_id: Option<&'a str>,
    /// The group by which others hold them.
    pub group: Option<&'a str>,
    pub own: &'a [Value],
    pub attached: &'a [String],
    pub place: HolderPlace,
}

/// Compiles what somebody holds: its own policies, then attached ones.
pub(super) fn compile(directory: &mut Directory, held: &Held<'_>) -> Vec<IdentityPolicy> {
    let mut policies = Vec::with_capacity(held.own.len() + held.attached.len());
    for (index, value) in held.own.iter().enumerate() {
        let home = match held.group {
            None => PolicyHome::Own { index },
            Some(group) => PolicyHome::Group { group: Box::from(group), index },
        };
        let policy = IdentityPolicy::parse(value, &format!("policies[{index}]")).unwrap_or_else(|mistake| {
            warn_of_mistake(directory, &held.who, &mistake);
            IdentityPolicy::broken(value, mistake)
        });
        for word in policy.unknown_words() {
            directory.warnings.push(format!("{}: policies[{index}] grants nothing by `{word}`", held.who));
        }
        policies.push(policy.at(home));
    }
    for (index, arn) in held.attached.iter().enumerate() {
        let home = PolicyHome::Managed { arn: Box::from(arn.as_str()), group: held.group.map(Box::from) };
        let place = directory.managed_place(arn, held.account_id);
        let policy = place.and_then(|place| Some((place, directory.managed.get(place)?.compiled.at(home.clone()))));
        policies.push(match policy {
            Some((place, policy)) => {
                directory.holders.entry(place).or_default().push(held.place);
                policy
            }
            None => {
                let reason = format!("`{arn}` is no policy of this account");
                let mistake = InvalidPolicy::new(format!("attached_policies[{index}]"), reason);
                warn_of_mistake(directory, &held.who, &mistake);
                IdentityPolicy::broken(&Value::Null, mistake).at(home)
            }
        });
    }
    policies
}

pub(super) fn warn_of_mistake(directory: &mut Directory, who: &str, mistake: &InvalidPolicy) {
    directory.warnings.push(format!("{who} may do nothing, since a policy has a mistake: {mistake}"));
}

fn add_groups(directory: &mut Directory, file: &FileRecord) -> Result<(), Problem> {
    for (place, record) in file.groups.iter().enumerate() {
        let name = &record.name;
        checked_name(Kind::Group, name)?;
        let account_id = checked_account("group", name, record.account_id.as_ref())?;
        let held = Held {
            who: format!("who is in group `{name}`"),
            account_id: account_id.as_deref(),
            group: Some(name),
            own: &record.policies,
            attached: &record.attached_policies,
            place: HolderPlace::Group(place),
        };
        let compiled = compile(directory, &held);
        let seed = || format!("{}/{name}", account_id.as_deref().unwrap_or_default());
        file_under(&mut directory.group_places, scope(account_id.as_deref(), name), place, "group", name)?;
        directory.members.push(Vec::new());
        directory.groups.push(GroupEntry {
            name: name.clone(),
            path: checked_path("group", name, record.path.as_ref())?,
            group_id: record.group_id.clone().unwrap_or_else(|| derived_unique_id("AGPA", &seed())),
            account_id,
            created_at: record.created_at.0,
            policies: Value::Array(record.policies.clone()),
            attached_policies: record.attached_policies.clone(),
            compiled,
            place,
        });
    }
    Ok(())
}

fn add_roles(directory: &mut Directory, file: &FileRecord, ids: &Ids, default: Option<&str>) -> Result<(), Problem> {
    for (place, (record, canonical_id)) in file.roles.iter().zip(&ids.roles).enumerate() {
        let role = role(directory, place, record, canonical_id, default)?;
        file_under(&mut directory.role_places, scope(Some(&role.account_id), &role.name), place, "role", &role.name)?;
        directory.by_id.insert(canonical_id.clone(), Owner::Role(place));
        if let Err(mistake) = &role.trust {
            let name = &role.name;
            let warning = format!("nobody may assume role `{name}`, since its trust policy has a mistake: {mistake}");
            directory.warnings.push(warning);
        }
        directory.roles.push(role);
    }
    Ok(())
}

fn role(
    directory: &mut Directory,
    place: usize,
    record: &RoleRecord,
    canonical_id: &CanonicalId,
    default_account: Option<&str>,
) -> Result<RoleEntry, Problem> {
    let name = &record.role_name;
    checked_name(Kind::Role, name)?;
    let given = checked_account("role", name, record.account_id.as_ref())?;
    let account_id =
        given.or_else(|| default_account.map(str::to_owned)).unwrap_or_else(|| account_id_of(canonical_id));
    let max_session_duration = record.max_session_duration.unwrap_or(*SESSION_SECONDS.start());
    if !SESSION_SECONDS.contains(&max_session_duration) {
        return Err(Problem::new("role", name, "max_session_duration must be 3600 to 43200"));
    }
    let trust = match &record.assume_role_policy {
        None => Err(InvalidPolicy::new("assume_role_policy", "is missing")),
        Some(document) => {
            let parsed = TrustPolicy::parse(document, "assume_role_policy");
            parsed.and_then(|trust| match &record.assume_role_principals {
                None => Ok(trust),
                Some(ids) => trust.tied(ids),
            })
        }
    };
    let held = Held {
        who: format!("who has role `{name}`"),
        account_id: Some(&account_id),
        group: None,
        own: &record.policies,
        attached: &record.attached_policies,
        place: HolderPlace::Role(place),
    };
    let compiled = Arc::from(compile(directory, &held));
    Ok(RoleEntry {
        account_id,
        name: name.clone(),
        path: checked_path("role", name, record.path.as_ref())?,
        role_id: record.role_id.clone().unwrap_or_else(|| derived_unique_id("AROA", canonical_id.as_str())),
        canonical_id: canonical_id.clone(),
        trust,
        assume_role_policy: record.assume_role_policy.clone().unwrap_or_default(),
        max_session_duration,
        description: record.description.clone(),
        created_at: record.created_at.0,
        tags: tags(&record.tags),
        policies: Value::Array(record.policies.clone()),
        attached_policies: record.attached_policies.clone(),
        compiled,
        place,
    })
}

fn add_providers(directory: &mut Directory, file: &FileRecord, default_account: Option<&str>) -> Result<(), Problem> {
    for (place, record) in file.oidc_providers.iter().enumerate() {
        let url = &record.url;
        let given = checked_account("provider", url, record.account_id.as_ref())?;
        let account_id = given.or_else(|| default_account.map(str::to_owned));
        let provider = OidcProvider {
            account_id: account_id.ok_or_else(|| Problem::new("provider", url, "account_id is missing"))?,
            url: url.clone(),
            client_ids: record.client_ids.clone(),
            thumbprints: record.thumbprints.clone(),
            // What nobody marked and has no time was typed.
            may_be_private: record.private.unwrap_or(record.created_at.0.is_none()),
            created_at: record.created_at.0,
            tags: tags(&record.tags),
            place,
        };
        file_under(&mut directory.provider_places, provider.arn(), place, "provider", url)?;
        directory.providers.push(provider);
    }
    Ok(())
}
