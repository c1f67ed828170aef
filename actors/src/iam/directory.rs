//! The compiled file: what a lookup sees. Built from the whole file or not at all.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::audit;
use super::aws_policies::AWS_ACCOUNT;
use super::build::build;
use super::document::entries;
use super::entries::{GroupEntry, HolderEntry, ManagedPolicy, Named, OidcProvider, RoleEntry, UserSummary, WhichUser};
use super::error::IamError;
use super::ids::account_id_of;
use super::naming::{Kind, scope};
use super::principal::Principal;
use super::records::{Expiry, FileRecord};
use super::uses::{Cell, KeyUses};
use crate::audit::{AuditLog, ChangeOrigin};
use crate::json_store::{Mistake, Schema, Version};
use crate::names::{AccessKeyId, CanonicalId, Stamp};
use crate::policy_engine::{IdentityPolicy, refuse_ambiguous};
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
    /// When it was last used; the same cell in every directory.
    pub used: Arc<Cell>,
}

/// Whose a canonical id is, by the place in its list.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner {
    User(usize),
    Role(usize),
}

/// Who holds a managed policy, by the place in its list.
#[derive(Debug, Clone, Copy)]
pub(super) enum HolderPlace {
    User(usize),
    Group(usize),
    Role(usize),
}

/// Whom a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    One(usize),
    Several,
}

/// Users, keys, groups, managed policies, roles and identity providers at one moment.
#[derive(Debug, Default)]
pub struct Directory {
    /// In the order of the file, as are the other lists.
    pub(super) users: Vec<UserSummary>,
    /// Of each user, with its first key.
    pub(super) principals: Vec<Arc<Principal>>,
    pub(super) keys: foldhash::HashMap<String, KeyEntry>,
    pub(super) by_id: foldhash::HashMap<CanonicalId, Owner>,
    pub(super) by_name: HashMap<String, Means>,
    /// By [`scope`], as are the other indexes.
    pub(super) by_user_name: HashMap<String, Means>,
    /// Users whose ARN is another's, too.
    pub(super) shared_arns: HashSet<usize>,
    pub(super) former_accounts: foldhash::HashMap<CanonicalId, String>,
    pub(super) groups: Vec<GroupEntry>,
    pub(super) group_places: HashMap<String, usize>,
    /// Users in each group.
    pub(super) members: Vec<Vec<usize>>,
    /// AWS's own first.
    pub(super) managed: Vec<ManagedPolicy>,
    pub(super) managed_places: HashMap<String, usize>,
    /// Of each managed policy that anybody holds.
    pub(super) holders: HashMap<usize, Vec<HolderPlace>>,
    pub(super) roles: Vec<RoleEntry>,
    pub(super) role_places: HashMap<String, usize>,
    pub(super) providers: Vec<OidcProvider>,
    /// By ARN.
    pub(super) provider_places: HashMap<String, usize>,
    pub(super) warnings: Vec<String>,
}

fn missing(kind: &str, name: &str) -> IamError {
    IamError::NoSuchEntity(format!("The {kind} with name {name} cannot be found."))
}

impl Directory {
    /// The account that owns what this user or role owns. An unknown id is an account of its own.
    pub fn account_of(&self, id: &CanonicalId) -> Cow<'_, str> {
        let known = match self.by_id.get(id) {
            Some(Owner::User(place)) => self.users.get(*place).map(|user| &user.account_id),
            Some(Owner::Role(place)) => self.roles.get(*place).map(|role| &role.account_id),
            None => self.former_accounts.get(id),
        };
        match known {
            Some(account_id) => Cow::Borrowed(account_id),
            None => Cow::Owned(account_id_of(id)),
        }
    }

    /// Whether there is, or was, such a user or role.
    pub fn knows(&self, id: &CanonicalId) -> bool {
        self.by_id.contains_key(id) || self.former_accounts.contains_key(id)
    }

    /// The users with this e-mail address, in any letter case.
    pub fn by_email<'a>(&'a self, email: &'a str) -> impl Iterator<Item = &'a CanonicalId> {
        let has_it =
            move |user: &&UserSummary| user.email.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(email));
        self.users.iter().filter(has_it).map(|user| &user.user_id)
    }

    /// Display name of a user, or name of a role.
    pub fn display_name(&self, id: &CanonicalId) -> Option<&str> {
        match self.by_id.get(id)? {
            Owner::User(place) => self.users.get(*place).map(|user| user.display_name.as_str()),
            Owner::Role(place) => self.roles.get(*place).map(|role| role.name.as_str()),
        }
    }

    /// Every user, in the order of the file.
    pub fn users(&self) -> &[UserSummary] {
        &self.users
    }

    /// The users of an account.
    pub fn users_of<'a>(&'a self, account_id: &'a str) -> impl Iterator<Item = &'a UserSummary> {
        self.users.iter().filter(move |user| user.account_id == account_id)
    }

    /// What policies are asked about for a user: with its first access key, or `none` without one.
    pub fn principal_of(&self, id: &CanonicalId) -> Option<&Arc<Principal>> {
        match self.by_id.get(id)? {
            Owner::User(place) => self.principals.get(*place),
            Owner::Role(_) => None,
        }
    }

    /// A user by its id.
    pub fn user_by_id(&self, id: &CanonicalId) -> Option<&UserSummary> {
        match self.by_id.get(id)? {
            Owner::User(place) => self.users.get(*place),
            Owner::Role(_) => None,
        }
    }

    /// The same of every user.
    pub fn principals(&self) -> &[Arc<Principal>] {
        &self.principals
    }

    /// A user. Errs: NoSuchEntity, also when several go by the name.
    pub fn user(&self, which: &WhichUser) -> Result<&UserSummary, IamError> {
        self.find_user(which).map(|(_, user)| user)
    }

    /// A user with its place in the file. Errs: as [`Self::user`].
    pub(super) fn find_user(&self, which: &WhichUser) -> Result<(usize, &UserSummary), IamError> {
        match which {
            WhichUser::Named(Named { account_id, name }) => {
                let found = self.by_user_name.get(&scope(Some(account_id), name));
                found.and_then(|means| self.meant(*means)).ok_or_else(|| missing("user", name))
            }
            WhichUser::Called(name) => self.find(name).ok_or_else(|| IamError::unknown_user(name)),
        }
    }

    fn meant(&self, means: Means) -> Option<(usize, &UserSummary)> {
        match means {
            Means::One(place) => self.users.get(place).map(|user| (place, user)),
            Means::Several => None,
        }
    }

    /// The user that goes by `name`: user id, or an access key, display or user name that it alone goes by. With its place in
    /// the file.
    pub(super) fn find(&self, name: &str) -> Option<(usize, &UserSummary)> {
        // Nobody takes another's id away by going by it.
        let by_id = |id: &CanonicalId| match self.by_id.get(id)? {
            Owner::User(place) => Some(Means::One(*place)),
            Owner::Role(_) => None,
        };
        let id = CanonicalId::parse(name).ok().as_ref().and_then(by_id);
        self.meant(id.or_else(|| self.by_name.get(name).copied())?)
    }

    pub(super) fn key(&self, access_key: &AccessKeyId) -> Option<&KeyEntry> {
        self.keys.get(access_key.as_str())
    }

    /// An enabled access key that still has the well-known secret.
    pub(super) fn well_known_key(&self) -> Option<&AccessKeyId> {
        let open = self.keys.values().find(|key| key.is_well_known && key.is_enabled);
        open.map(|key| &key.principal.access_key)
    }

    /// A group of an account, or one that every account has. Errs: NoSuchEntity.
    pub fn group(&self, account_id: &str, name: &str) -> Result<&GroupEntry, IamError> {
        let place = self.group_place(account_id, name);
        place.and_then(|place| self.groups.get(place)).ok_or_else(|| missing("group", name))
    }

    pub(super) fn group_place(&self, account_id: &str, name: &str) -> Option<usize> {
        let own = self.group_places.get(&scope(Some(account_id), name));
        own.or_else(|| self.group_places.get(&scope(None, name))).copied()
    }

    /// The groups of an account, with those that every account has.
    pub fn groups_of<'a>(&'a self, account_id: &'a str) -> impl Iterator<Item = &'a GroupEntry> {
        self.groups.iter().filter(move |group| group.account_id.as_deref().is_none_or(|own| own == account_id))
    }

    /// The users of an account who are in a group.
    pub fn members<'a>(&'a self, group: &GroupEntry, account_id: &'a str) -> impl Iterator<Item = &'a UserSummary> {
        let places = self.members.get(group.place).map(Vec::as_slice).unwrap_or_default();
        let users = places.iter().filter_map(|place| self.users.get(*place));
        users.filter(move |user| user.account_id == account_id)
    }

    /// The groups that a user is in.
    pub fn groups_of_user<'a>(&'a self, user: &'a UserSummary) -> impl Iterator<Item = &'a GroupEntry> {
        let places = user.groups.iter().filter_map(|name| self.group_place(&user.account_id, name));
        places.filter_map(|place| self.groups.get(place))
    }

    /// A managed policy by its ARN. Errs: NoSuchEntity.
    pub fn managed_policy(&self, arn: &str) -> Result<&ManagedPolicy, IamError> {
        let place = self.managed_place(arn, None);
        let found = place.and_then(|place| self.managed.get(place));
        found.ok_or_else(|| IamError::NoSuchEntity(format!("Policy {arn} does not exist or is not attachable.")))
    }

    /// The ARN of a managed policy in its own spelling: names are looked up in any letter case, but policies compare texts.
    pub fn managed_policy_arn(&self, arn: &str) -> Option<String> {
        let (owner, _, _) = Kind::Policy.parse_arn(arn)?;
        self.managed_policy(arn).ok().map(|policy| policy.arn(owner))
    }

    /// The place of a managed policy that somebody of this account, or of any, may hold.
    pub(super) fn managed_place(&self, arn: &str, account_id: Option<&str>) -> Option<usize> {
        let (owner, path, name) = Kind::Policy.parse_arn(arn)?;
        let is_aws = owner == AWS_ACCOUNT;
        if !is_aws && account_id.is_some_and(|own| own != owner) {
            return None;
        }
        let own = self.managed_places.get(&scope(Some(owner), name));
        let place = match own {
            None if !is_aws => self.managed_places.get(&scope(None, name)),
            own => own,
        };
        let policy = self.managed.get(*place?)?;
        (policy.path == path).then_some(*place?)
    }

    /// A managed policy that somebody of this account may hold, as it is in force.
    pub(super) fn managed_for(&self, arn: &str, account_id: &str) -> Option<IdentityPolicy> {
        let place = self.managed_place(arn, Some(account_id))?;
        self.managed.get(place).map(|policy| policy.compiled.clone())
    }

    /// The managed policies that an account sees: AWS's, its own, and those that every account has.
    pub fn managed_policies_of<'a>(&'a self, account_id: &'a str) -> impl Iterator<Item = &'a ManagedPolicy> {
        self.managed.iter().filter(move |policy| {
            policy.account_id.as_deref().is_none_or(|own| own == account_id || own == AWS_ACCOUNT)
        })
    }

    /// Who of an account holds a managed policy directly.
    pub fn holders<'a>(&'a self, policy: &ManagedPolicy, account_id: &'a str) -> impl Iterator<Item = HolderEntry<'a>> {
        let place = self.managed_places.get(&scope(policy.account_id.as_deref(), &policy.name));
        let places = place.and_then(|place| self.holders.get(place)).map(Vec::as_slice).unwrap_or_default();
        let entries = places.iter().filter_map(|holder| match holder {
            HolderPlace::User(place) => self.users.get(*place).map(HolderEntry::User),
            HolderPlace::Group(place) => self.groups.get(*place).map(HolderEntry::Group),
            HolderPlace::Role(place) => self.roles.get(*place).map(HolderEntry::Role),
        });
        entries.filter(move |entry| match entry {
            HolderEntry::User(user) => user.account_id == account_id,
            HolderEntry::Group(group) => group.account_id.as_deref().is_none_or(|own| own == account_id),
            HolderEntry::Role(role) => role.account_id == account_id,
        })
    }

    /// A role of an account. Errs: NoSuchEntity.
    pub fn role(&self, account_id: &str, name: &str) -> Result<&RoleEntry, IamError> {
        let place = self.role_places.get(&scope(Some(account_id), name));
        place.and_then(|place| self.roles.get(*place)).ok_or_else(|| missing("role", name))
    }

    /// A role by its ARN.
    pub fn role_by_arn(&self, arn: &str) -> Option<&RoleEntry> {
        let (account_id, path, name) = Kind::Role.parse_arn(arn)?;
        // Names differ by more than letter case, but an ARN is one text.
        self.role(account_id, name).ok().filter(|role| role.path == path && role.name == name)
    }

    /// A role by what owns what its sessions create.
    pub fn role_by_id(&self, id: &CanonicalId) -> Option<&RoleEntry> {
        match self.by_id.get(id)? {
            Owner::Role(place) => self.roles.get(*place),
            Owner::User(_) => None,
        }
    }

    /// The roles of an account.
    pub fn roles_of<'a>(&'a self, account_id: &'a str) -> impl Iterator<Item = &'a RoleEntry> {
        self.roles.iter().filter(move |role| role.account_id == account_id)
    }

    /// Every role, in the order of the file.
    pub fn roles(&self) -> &[RoleEntry] {
        &self.roles
    }

    /// The id of the user or role whom a principal of a policy means: by its ARN, by that of a session of the role, or by what a user
    /// alone goes by.
    pub fn id_of_principal(&self, text: &str) -> Option<&CanonicalId> {
        if let Some((account_id, path, name)) = Kind::User.parse_arn(text) {
            let user = self.user(&WhichUser::Named(Named::new(account_id, name))).ok()?;
            return (user.path == path && user.user_name == name).then_some(&user.user_id);
        }
        if let Some((account_id, rest)) = text.strip_prefix("arn:aws:sts::").and_then(|rest| rest.split_once(':')) {
            let (name, _) = rest.strip_prefix("assumed-role/")?.split_once('/')?;
            let role = self.role(account_id, name).ok().filter(|role| role.name == name);
            return role.map(|role| &role.canonical_id);
        }
        match text.starts_with("arn:") {
            true => self.role_by_arn(text).map(|role| &role.canonical_id),
            false => self.find(text).map(|(_, user)| &user.user_id),
        }
    }

    /// An identity provider by its ARN. Errs: NoSuchEntity.
    pub fn provider(&self, arn: &str) -> Result<&OidcProvider, IamError> {
        let place = self.provider_places.get(arn);
        let found = place.and_then(|place| self.providers.get(*place));
        found.ok_or_else(|| IamError::NoSuchEntity(format!("OpenIDConnect Provider not found for arn {arn}")))
    }

    /// The identity providers of an account.
    pub fn providers_of<'a>(&'a self, account_id: &'a str) -> impl Iterator<Item = &'a OidcProvider> {
        self.providers.iter().filter(move |provider| provider.account_id == account_id)
    }

    /// Every identity provider, in the order of the file.
    pub fn providers(&self) -> &[OidcProvider] {
        &self.providers
    }

    /// What in the file has no effect, or another than whoever typed it may think.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// How `iam.json` is read.
#[derive(Debug)]
pub(super) struct IamFile {
    pub sealer: Sealer,
    /// Hears of hand edits.
    pub audit: AuditLog,
    /// Knows when keys were used.
    pub uses: Arc<KeyUses>,
}

impl Schema for IamFile {
    type State = Directory;

    fn compile(&self, text: &str, document: &Value) -> Result<Directory, Mistake> {
        refuse_ambiguous(text)?;
        if !document.is_object() {
            return Err(Mistake::near(text, "[", "the file is not a JSON object".to_owned()));
        }
        refuse_lists(text, document)?;
        // From the text rather than the document, for the lines of mistakes.
        let file: FileRecord = serde_json::from_str(text)?;
        let built = build(&file, &self.sealer);
        let mut directory = built.map_err(|problem| Mistake::near(text, &problem.word, problem.reason))?;
        for (access_key, entry) in &mut directory.keys {
            entry.used = self.uses.cell(access_key);
        }
        Ok(directory)
    }

    fn edited_by_hand(&self, before: Version<'_, Directory>, after: Version<'_, Directory>, now: Stamp) {
        let by = ChangeOrigin::hand_edit();
        self.audit.record_blocking(audit::of_each(&before, &after, &self.sealer, now, &by));
    }
}

/// Refuses a list in the place of a record: serde takes its elements for the fields in their order, and nobody could write ids and
/// sealed secrets into it.
fn refuse_lists(text: &str, document: &Value) -> Result<(), Mistake> {
    const LISTS: [(&str, Option<&str>); 6] = [
        ("users", Some("access_keys")),
        ("former_users", None),
        ("groups", None),
        ("managed_policies", Some("versions")),
        ("roles", None),
        ("oidc_providers", None),
    ];
    for (name, inner) in LISTS {
        let records = entries(document, name);
        let holds_list = |inner: &str| records.iter().any(|record| entries(record, inner).iter().any(Value::is_array));
        if records.iter().any(Value::is_array) || inner.is_some_and(holds_list) {
            return Err(Mistake::near(text, name, format!("what stands in `{name}` must be JSON objects")));
        }
    }
    Ok(())
}

#[cfg(any(test, feature = "internals"))]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "for tests and fuzzing")]
impl Directory {
    /// The directory of a document, for tests of other rooms.
    pub(crate) fn of(document: &Value) -> Self {
        let sealer = Sealer::new(&SecretKey::new("test"), &[]).unwrap();
        IamFile { sealer, audit: AuditLog::nowhere(), uses: KeyUses::nowhere() }
            .compile(&document.to_string(), document)
            .unwrap()
    }

    /// The principal of an access key, for tests of other rooms.
    pub(crate) fn principal(&self, access_key: &str) -> Arc<Principal> {
        Arc::clone(&self.keys[access_key].principal)
    }
}
