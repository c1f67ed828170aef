//! Who asks: a user as one of its access keys shows it, or a role that somebody has assumed.

use std::borrow::Cow;
use std::sync::Arc;

use crate::names::{AccessKeyId, CanonicalId, Stamp};
use crate::policy_engine::IdentityPolicy;
use crate::seal::SecretKey;

/// The user or role behind a request.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Canonical id: what buckets and objects name as their owner.
    pub user_id: CanonicalId,
    /// Account, twelve digits.
    pub account_id: String,
    /// The access key of the request.
    pub access_key: AccessKeyId,
    /// All access keys of the user.
    pub access_keys: Arc<[AccessKeyId]>,
    /// Name for people.
    pub display_name: String,
    /// Name in ARNs: of the user or of the role.
    pub user_name: String,
    /// Path in ARNs, with a slash at both ends.
    pub path: String,
    /// Whether the user is its account's root: by its record, as the only one in it, or without a given account.
    pub is_root: bool,
    /// Whether its record says so, and its ARN therefore too.
    pub is_named_root: bool,
    /// Whether another user has the same ARN, which then means none of them.
    pub shares_arn: bool,
    /// Display name, user name and access keys, as far as no other user goes by them.
    pub unambiguous_names: Arc<[String]>,
    /// Its policies: its own, those of its groups, and managed ones that are attached to either.
    pub policies: Arc<[IdentityPolicy]>,
    /// Tags of the user or role.
    pub tags: Arc<[(String, String)]>,
    /// Set when it is a role that somebody has assumed.
    pub role: Option<RoleSession>,
    /// Set when the access key is a temporary one.
    pub session: Option<Arc<Session>>,
}

/// A role, assumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSession {
    /// Unique id of the role.
    pub role_id: String,
    /// Name that whoever assumed it gave to the session.
    pub session_name: String,
}

/// What temporary credentials say beside whom they stand for (STS API Reference, AssumeRole and GetSessionToken).
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// When they were given.
    pub issued_at: Stamp,
    /// When they end.
    pub expires_at: Stamp,
    /// Policies that bound them; none bounds nothing.
    pub policies: Vec<IdentityPolicy>,
    /// The identity provider whose token was shown for them.
    pub provider: Option<String>,
    /// Who stands behind the session, for as long as roles are assumed from it.
    pub source_identity: Option<String>,
    /// Tags of the session.
    pub tags: Vec<(String, String)>,
    /// Keys of the tags that go on to roles that are assumed from the session.
    pub transitive_tag_keys: Vec<String>,
    /// Condition keys that the identity provider's token gave, and their values.
    pub claims: Vec<(String, String)>,
}

impl Principal {
    /// `arn:aws:iam::<account>:user/<path><name>`, `arn:aws:iam::<account>:root`, or, of an assumed role, the ARN of the role:
    /// what policies know it by.
    pub fn arn(&self) -> String {
        match (&self.role, self.is_named_root) {
            (Some(_), _) => format!("arn:aws:iam::{}:role{}{}", self.account_id, self.path, self.user_name),
            (None, true) => format!("arn:aws:iam::{}:root", self.account_id),
            (None, false) => format!("arn:aws:iam::{}:user{}{}", self.account_id, self.path, self.user_name),
        }
    }

    /// The same, but of an assumed role `arn:aws:sts::<account>:assumed-role/<role>/<session>`.
    pub fn caller_arn(&self) -> String {
        match &self.role {
            Some(role) => {
                format!("arn:aws:sts::{}:assumed-role/{}/{}", self.account_id, self.user_name, role.session_name)
            }
            None => self.arn(),
        }
    }

    /// `aws:userid`: the user id, or, of an assumed role, `<role id>:<session>`.
    pub fn unique_id(&self) -> Cow<'_, str> {
        match &self.role {
            Some(role) => Cow::Owned(format!("{}:{}", role.role_id, role.session_name)),
            None => Cow::Borrowed(self.user_id.as_str()),
        }
    }

    /// Whether `text` is the path and name as its ARN has them behind `user/` or `role/`, and that ARN means it alone.
    pub fn has_path_and_name(&self, text: &str) -> bool {
        let path = self.path.trim_start_matches('/');
        !self.shares_arn && text.strip_prefix(path) == Some(self.user_name.as_str())
    }

    /// Whether the user goes by `text`: its user id, or an access key or a name that it alone goes by.
    pub fn is_called(&self, text: &str) -> bool {
        self.user_id.as_str() == text || self.unambiguous_names.iter().any(|name| name == text)
    }
}

/// An access key's secret and its user.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Secret access key.
    pub secret: SecretKey,
    /// The user.
    pub principal: Arc<Principal>,
}
