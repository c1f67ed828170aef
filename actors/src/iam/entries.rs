//! What the directory holds, as those see it who ask: users, groups, managed policies, roles, identity providers. No secrets.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::naming::{Kind, provider_arn};
use super::principal::{Principal, RoleSession, Session};
use crate::bucket_config::QuotaLimits;
use crate::names::{AccessKeyId, CanonicalId, Stamp};
use crate::policy_engine::{IdentityPolicy, InvalidPolicy, TrustPolicy};

/// Tags in the order of their keys.
pub type Tags = Vec<(String, String)>;

/// A name in an account: of a user, group or role, in any letter case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Account, twelve digits.
    pub account_id: String,
    /// The name.
    pub name: String,
}

impl Named {
    /// A name in an account.
    pub fn new(account_id: impl Into<String>, name: impl Into<String>) -> Self {
        Self { account_id: account_id.into(), name: name.into() }
    }
}

/// Which user is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhichUser {
    /// By its name in ARNs.
    Named(Named),
    /// By what it alone goes by on the node: user id, access key, display name or user name.
    Called(String),
}

impl From<&str> for WhichUser {
    fn from(name: &str) -> Self {
        Self::Called(name.to_owned())
    }
}

/// Who may hold policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A user.
    User(WhichUser),
    /// A group.
    Group(Named),
    /// A role.
    Role(Named),
}

/// A user without its secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct UserSummary {
    /// Canonical id.
    pub user_id: CanonicalId,
    /// Account, twelve digits.
    pub account_id: String,
    /// Name for people.
    pub display_name: String,
    /// Name in ARNs.
    pub user_name: String,
    /// Path in ARNs.
    pub path: String,
    /// E-mail address, by which access control lists may name the user.
    pub email: Option<String>,
    /// Whether the user is its account's root.
    pub is_root: bool,
    /// Whether its record says so.
    pub is_named_root: bool,
    /// Whether it may sign requests.
    pub is_enabled: bool,
    /// When it ends.
    pub expires_at: Option<Stamp>,
    /// When it was made, if the file tells.
    pub created_at: Option<Stamp>,
    /// Its access keys.
    pub access_keys: Vec<AccessKeySummary>,
    /// Its own policies as the file has them: a list.
    pub policies: Value,
    /// Names of its groups as the file has them.
    pub groups: Vec<String>,
    /// ARNs of the managed policies that are attached to it.
    pub attached_policies: Vec<String>,
    /// Its tags.
    pub tags: Tags,
    /// How much it may own, in whatever buckets.
    pub quota: QuotaLimits,
}

impl UserSummary {
    /// Its ARN; of a root by its record `arn:aws:iam::<account>:root`.
    pub fn arn(&self) -> String {
        match self.is_named_root {
            true => format!("arn:aws:iam::{}:root", self.account_id),
            false => Kind::User.arn(&self.account_id, &self.path, &self.user_name),
        }
    }
}

/// An access key without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKeySummary {
    /// Access key id.
    pub access_key: AccessKeyId,
    /// Whether it may sign requests.
    pub is_enabled: bool,
    /// When it ends.
    pub expires_at: Option<Stamp>,
    /// When it was made, if the file tells.
    pub created_at: Option<Stamp>,
    /// Whether its secret is stored sealed.
    pub is_sealed: bool,
}

/// A group.
#[derive(Debug, Clone)]
pub struct GroupEntry {
    /// Account; none: it is every account's, and changed in the file only.
    pub account_id: Option<String>,
    /// Name.
    pub name: String,
    /// Path in ARNs.
    pub path: String,
    /// `AGPA…`
    pub group_id: String,
    /// When it was made, if the file tells.
    pub created_at: Option<Stamp>,
    /// Its own policies as the file has them: a list.
    pub policies: Value,
    /// ARNs of the managed policies that are attached to it.
    pub attached_policies: Vec<String>,
    /// What its members hold by it.
    pub(super) compiled: Vec<IdentityPolicy>,
    /// Place in the file.
    pub(super) place: usize,
}

impl GroupEntry {
    /// What its members hold by it.
    pub fn identity_policies(&self) -> &[IdentityPolicy] {
        &self.compiled
    }

    /// Its ARN, as the account sees it.
    pub fn arn(&self, account_id: &str) -> String {
        Kind::Group.arn(self.account_id.as_deref().unwrap_or(account_id), &self.path, &self.name)
    }
}

/// A managed policy.
#[derive(Debug, Clone)]
pub struct ManagedPolicy {
    /// Account; `aws` for those that every node has; none: it is every account's, and changed in the file only.
    pub account_id: Option<String>,
    /// Name.
    pub name: String,
    /// Path in ARNs.
    pub path: String,
    /// `ANPA…`
    pub policy_id: String,
    /// What it is for.
    pub description: Option<String>,
    /// When it was made, if the file tells.
    pub created_at: Option<Stamp>,
    /// When its default version changed last, if the file tells.
    pub updated_at: Option<Stamp>,
    /// The version in force.
    pub default_version_id: String,
    /// Its versions, in the order of the file.
    pub versions: Vec<PolicyVersion>,
    /// Its tags.
    pub tags: Tags,
    /// The version in force, as those hold it whom it is attached to.
    pub(super) compiled: IdentityPolicy,
    /// Place in the file; none for AWS's own.
    pub(super) place: Option<usize>,
}

impl ManagedPolicy {
    /// Its ARN, as the account sees it.
    pub fn arn(&self, account_id: &str) -> String {
        Kind::Policy.arn(self.account_id.as_deref().unwrap_or(account_id), &self.path, &self.name)
    }

    /// A version by its id.
    pub fn version(&self, version_id: &str) -> Option<&PolicyVersion> {
        self.versions.iter().find(|version| version.version_id == version_id)
    }

    /// The mistake in the version in force, for which it denies everything.
    pub fn mistake(&self) -> Option<&InvalidPolicy> {
        self.compiled.mistake()
    }
}

/// A version of a managed policy.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyVersion {
    /// `v1`, `v2`, …
    pub version_id: String,
    /// The document.
    pub document: Value,
    /// When it was made, if the file tells.
    pub created_at: Option<Stamp>,
}

/// A role.
#[derive(Debug, Clone)]
pub struct RoleEntry {
    /// Account, twelve digits.
    pub account_id: String,
    /// Name.
    pub name: String,
    /// Path in ARNs.
    pub path: String,
    /// `AROA…`
    pub role_id: String,
    /// Owns what sessions of the role create.
    pub canonical_id: CanonicalId,
    /// Who may assume it, or why nobody may.
    pub trust: Result<TrustPolicy, InvalidPolicy>,
    /// The trust policy as the file has it.
    pub assume_role_policy: Value,
    /// Longest session, in seconds.
    pub max_session_duration: u64,
    /// What it is for.
    pub description: Option<String>,
    /// When it was made, if the file tells.
    pub created_at: Option<Stamp>,
    /// Its tags.
    pub tags: Tags,
    /// Its own policies as the file has them: a list.
    pub policies: Value,
    /// ARNs of the managed policies that are attached to it.
    pub attached_policies: Vec<String>,
    /// What its sessions hold.
    pub(super) compiled: Arc<[IdentityPolicy]>,
    /// Place in the file.
    pub(super) place: usize,
}

impl RoleEntry {
    /// Its ARN.
    pub fn arn(&self) -> String {
        Kind::Role.arn(&self.account_id, &self.path, &self.name)
    }

    /// What sessions of it hold: its own policies and managed ones that are attached to it.
    pub fn identity_policies(&self) -> &Arc<[IdentityPolicy]> {
        &self.compiled
    }

    /// The role, assumed under this temporary access key.
    pub fn principal(&self, access_key: AccessKeyId, session_name: &str, session: Arc<Session>) -> Principal {
        Principal {
            user_id: self.canonical_id.clone(),
            account_id: self.account_id.clone(),
            access_keys: Arc::from([access_key.clone()]),
            access_key,
            display_name: self.name.clone(),
            user_name: self.name.clone(),
            path: self.path.clone(),
            is_root: false,
            is_named_root: false,
            shares_arn: false,
            unambiguous_names: Arc::from([]),
            policies: Arc::clone(&self.compiled),
            tags: Arc::from(self.tags.clone()),
            role: Some(RoleSession { role_id: self.role_id.clone(), session_name: session_name.to_owned() }),
            session: Some(session),
        }
    }
}

/// An OpenID Connect identity provider.
#[derive(Debug, Clone, PartialEq)]
pub struct OidcProvider {
    /// Account, twelve digits.
    pub account_id: String,
    /// The issuer's URL.
    pub url: String,
    /// Audiences that it may name.
    pub client_ids: Vec<String>,
    /// SHA-1 of the certificates of those who may have signed its server's.
    pub thumbprints: Vec<String>,
    /// Whether it may be on this machine or a private network, and without TLS: whoever administers the node says so, by a grant
    /// or by typing it into the file.
    pub may_be_private: bool,
    /// When it was made, if the file tells.
    pub created_at: Option<Stamp>,
    /// Its tags.
    pub tags: Tags,
    /// Place in the file.
    pub(super) place: usize,
}

impl OidcProvider {
    /// Its ARN.
    pub fn arn(&self) -> String {
        provider_arn(&self.account_id, &self.url)
    }
}

/// Who holds a managed policy.
#[derive(Debug, Clone, Copy)]
pub enum HolderEntry<'a> {
    /// A user.
    User(&'a UserSummary),
    /// A group.
    Group(&'a GroupEntry),
    /// A role.
    Role(&'a RoleEntry),
}

/// The documents among a holder's own policies, as inline policies with their names. One that was typed without a name goes by
/// its place; grants of the short form are none.
pub fn inline_policies(policies: &Value) -> impl Iterator<Item = (Cow<'_, str>, &Value)> {
    let list = policies.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().enumerate().filter_map(|(index, policy)| Some((inline_name(index, policy)?, policy)))
}

/// The name of a holder's own policy at a place.
pub(super) fn inline_name(index: usize, policy: &Value) -> Option<Cow<'_, str>> {
    policy.get("Statement")?;
    match policy.get("PolicyName").and_then(Value::as_str) {
        Some(name) => Some(Cow::Borrowed(name)),
        None => Some(Cow::Owned(format!("policy-{}", index + 1))),
    }
}

/// An inline policy without its name, as it was put.
pub fn inline_document(policy: &Value) -> Value {
    let mut document = policy.clone();
    if let Value::Object(fields) = &mut document {
        fields.shift_remove("PolicyName");
    }
    document
}
