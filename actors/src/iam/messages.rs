//! What IAM may be asked to do.

use actix::Message;
use serde_json::Value;

use super::error::IamError;
use crate::names::{AccessKeyId, CanonicalId, Stamp};
use crate::seal::SecretKey;

/// Reads the file again if it changed.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), IamError>")]
pub struct Reload;

/// Adds a user; durable on reply. Errs: AlreadyExists, InvalidInput, MalformedPolicy.
#[derive(Debug, Clone, Default, Message)]
#[rtype(result = "Result<NewCredential, IamError>")]
pub struct CreateUser {
    /// Name for people, 1 to 256 bytes.
    pub display_name: String,
    /// Name in ARNs; follows from the display name or access key when absent.
    pub user_name: Option<String>,
    /// List of policies in either form.
    pub policies: Value,
    /// Access key; a random one when absent.
    pub access_key: Option<String>,
    /// Secret access key, 8 to 128 printable characters; a random one when absent.
    pub secret_key: Option<String>,
    /// Whose account the user joins; when absent that of the first administrator, else one of its own.
    pub creator: Option<CanonicalId>,
}

/// Every user, in the order of the file.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<UserSummary>, IamError>")]
pub struct ListUsers;

/// Removes a user; what it owns stays with its account. Durable on reply. Errs: NoSuchUser.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<UserSummary, IamError>")]
pub struct DeleteUser {
    /// User id, access key, or a name that only one user has.
    pub user: String,
}

/// Gives an access key a new secret; durable on reply. Errs: NoSuchUser, InvalidInput when the user has several keys and
/// is not named by one of them.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<NewCredential, IamError>")]
pub struct RotateKey {
    /// Access key, or what else names a user with a single key.
    pub user: String,
}

/// Replaces a user's policies; durable on reply. Errs: NoSuchUser, MalformedPolicy.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), IamError>")]
pub struct SetPolicies {
    /// User id, access key, or a name that only one user has.
    pub user: String,
    /// List of policies in either form.
    pub policies: Value,
}

/// A credential that is shown once.
#[derive(Debug, Clone)]
pub struct NewCredential {
    /// Canonical id of the user.
    pub user_id: CanonicalId,
    /// Display name of the user.
    pub display_name: String,
    /// Access key id.
    pub access_key: AccessKeyId,
    /// Secret access key.
    pub secret_key: SecretKey,
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
    /// Its access keys.
    pub access_keys: Vec<AccessKeySummary>,
    /// Its policies as the file has them.
    pub policies: Value,
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
    /// Whether its secret is stored sealed.
    pub is_sealed: bool,
}
