//! The administrator of a node that has no users yet.
//!
//! On loopback it is `localadmin` with the secret that everybody knows; on any other address its secret is random, unless
//! the operator sets it. The well-known secret stands in the file as it is, so that whoever opens the file learns it.

use serde_json::{Value, json};

use super::directory::SEAL_PURPOSE;
use super::error::IamError;
use crate::names::AccessKeyId;
use crate::seal::{SealError, Sealer, SecretKey};

/// Access key of the first administrator, unless `ADMIN_ACCESS_KEY` says otherwise.
pub(super) const WELL_KNOWN_ACCESS_KEY: &str = "localadmin";
/// Its secret on loopback. Whatever access key has it, it is accepted from this machine only.
pub const WELL_KNOWN_SECRET: &str = "localadmin";

/// The administrator that the first start made, to be shown once.
#[derive(Debug, Clone)]
pub struct SeededAdmin {
    /// Access key id.
    pub access_key: AccessKeyId,
    /// Secret access key.
    pub secret_key: SecretKey,
    /// Whether the secret is the one that everybody knows.
    pub well_known: bool,
}

/// Chooses the first administrator. Errs: InvalidInput for settings that are no access key or secret.
pub(super) fn first_admin(
    access_key: Option<&str>,
    secret_key: Option<&str>,
    host_is_loopback: bool,
) -> Result<SeededAdmin, IamError> {
    let access_key = access_key.unwrap_or(WELL_KNOWN_ACCESS_KEY);
    let access_key = AccessKeyId::parse(access_key).map_err(|_| IamError::InvalidInput {
        field: "ADMIN_ACCESS_KEY",
        reason: "1 to 128 printable characters without spaces, commas, slashes and equal signs".to_owned(),
    })?;
    let secret_key = match secret_key {
        Some("") => {
            return Err(IamError::InvalidInput { field: "ADMIN_SECRET_KEY", reason: "is empty".to_owned() });
        }
        Some(secret) => SecretKey::new(secret),
        None if host_is_loopback => SecretKey::new(WELL_KNOWN_SECRET),
        None => SecretKey::random()?,
    };
    let well_known = secret_key.expose() == WELL_KNOWN_SECRET;
    Ok(SeededAdmin { access_key, secret_key, well_known })
}

/// The first document of `iam.json`.
pub(super) fn first_document(admin: &SeededAdmin, sealer: &Sealer) -> Result<Value, SealError> {
    let (field, secret) = match admin.well_known {
        true => ("secret_key", admin.secret_key.expose().to_owned()),
        false => ("secret_key_sealed", sealer.seal(SEAL_PURPOSE, admin.secret_key.expose())?),
    };
    Ok(json!({
        "users": [{
            "access_key": admin.access_key.as_str(),
            field: secret,
            "display_name": "Local Admin",
            "policies": [{
                "bucket": "*",
                "actions": ["list", "read", "write", "delete", "share", "policy", "replication", "iam:*"],
            }],
        }],
    }))
}
