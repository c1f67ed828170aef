//! Who asks: a user as one of its access keys shows it.

use std::sync::Arc;

use crate::names::{AccessKeyId, CanonicalId};
use crate::policy_engine::IdentityPolicy;
use crate::seal::SecretKey;

/// The user behind a request.
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
    /// Name in ARNs.
    pub user_name: String,
    /// Path in ARNs, with a slash at both ends.
    pub path: String,
    /// Whether the user is its account's root: by its record, as the only one in it, or without a given account.
    pub is_root: bool,
    /// Whether its record says so, and its ARN therefore too.
    pub is_named_root: bool,
    /// Display name and user name, as far as no other user goes by them.
    pub unambiguous_names: Arc<[String]>,
    /// Its policies.
    pub policies: Arc<[IdentityPolicy]>,
}

impl Principal {
    /// `arn:aws:iam::<account>:user/<path><name>`, or `arn:aws:iam::<account>:root`.
    pub fn arn(&self) -> String {
        match self.is_named_root {
            true => format!("arn:aws:iam::{}:root", self.account_id),
            false => format!("arn:aws:iam::{}:user{}{}", self.account_id, self.path, self.user_name),
        }
    }

    /// Whether `text` is the user's path and name as its ARN has them behind `user/`.
    pub fn has_path_and_name(&self, text: &str) -> bool {
        let path = self.path.trim_start_matches('/');
        text.strip_prefix(path) == Some(self.user_name.as_str())
    }

    /// Whether the user goes by `text`: its user id, one of its access keys, or a name that it alone has.
    pub fn is_called(&self, text: &str) -> bool {
        self.user_id.as_str() == text
            || self.access_keys.iter().any(|key| key.as_str() == text)
            || self.unambiguous_names.iter().any(|name| name == text)
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
