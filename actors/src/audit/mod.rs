//! Who changed what: one entry for each change to users, policies and settings.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::names::Stamp;

/// Who asks for a change, and by which request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeOrigin {
    /// ARN of the caller; what else made the change where nobody asked, such as `hand edit`.
    pub principal: String,
    /// Access key of the request.
    pub access_key: Option<String>,
    /// Id of the request.
    pub request_id: String,
    /// Address of the client.
    pub source_ip: Option<IpAddr>,
}

/// A change.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// When it was made.
    pub at: Stamp,
    /// Who made it.
    pub origin: ChangeOrigin,
    /// IAM action, such as `iam:CreateUser` or `s3:PutBucketPolicy`.
    pub action: String,
    /// ARN of what was changed.
    pub target: String,
    /// What it was before, as far as it changed; null when there was nothing. Never a secret.
    pub before: Value,
    /// What it is now, as far as it changed; null when there is nothing any more. Never a secret.
    pub after: Value,
}
