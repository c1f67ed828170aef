//! What the operator allows of encryption.

use std::net::IpAddr;

use super::customer;
use crate::s3::auth::settings::exposed;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::request_head::RequestHead;

/// Settings of encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EncryptionSettings {
    /// Whether anything new is encrypted (`ENCRYPTION_ENABLED`); what is encrypted is read all the same.
    pub enabled: bool,
    /// Whether there are KMS keys (`KMS_ENABLED`).
    pub kms_enabled: bool,
    /// Whether a customer's key is taken over a connection that others may read (`SSE_C_OVER_HTTP`).
    pub customer_keys_over_http: bool,
}

impl EncryptionSettings {
    /// Errs unless new objects are encrypted: InvalidRequest.
    pub fn check_enabled(self) -> Result<(), S3Error> {
        match self.enabled {
            true => Ok(()),
            false => Err(disabled()),
        }
    }

    /// Errs unless new objects are encrypted under KMS keys: InvalidRequest, KMSNotEnabled.
    pub fn check_kms_enabled(self) -> Result<(), S3Error> {
        self.check_enabled()?;
        match self.kms_enabled {
            true => Ok(()),
            false => Err(ErrorCode::KMSNotEnabled.into()),
        }
    }

    /// Refuses a customer's key that came where others may have read it: over plain HTTP from elsewhere than this machine. A
    /// request that a proxy passed on, over a connection of which nothing is known, comes from elsewhere. Errs: InvalidArgument.
    pub fn refuse_exposed_key(self, head: &RequestHead<'_>, secure: bool) -> Result<(), S3Error> {
        let is_fine = secure || self.customer_keys_over_http || !customer::brings_key(head.headers) || !exposed(head);
        match is_fine {
            true => Ok(()),
            false => Err(customer::insecure()),
        }
    }
}

/// The refusal of encryption where it is turned off.
pub fn disabled() -> S3Error {
    S3Error::with_message(
        ErrorCode::InvalidRequest,
        "Server-side encryption is not enabled on this server (ENCRYPTION_ENABLED).",
    )
}
