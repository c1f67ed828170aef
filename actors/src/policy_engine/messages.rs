//! What PolicyEngine may be asked to change.

use actix::Message;

use super::error::PolicyError;
use crate::audit::ChangeOrigin;
use crate::names::BucketName;

/// Reads the policy file again if it changed.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), PolicyError>")]
pub struct Reload;

/// Sets a bucket's policy; durable on reply. Errs: Malformed, Public.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), PolicyError>")]
pub struct PutBucketPolicy {
    /// The bucket.
    pub bucket: BucketName,
    /// The document as sent: JSON text of at most [`super::DOCUMENT_BYTES_MAX`] bytes.
    pub text: String,
    /// Refuse a public policy (S3 User Guide, "Blocking public access", `BlockPublicPolicy`).
    pub refuse_public: bool,
    /// Who asks.
    pub by: ChangeOrigin,
}

/// Removes a bucket's policy, if it has one; durable on reply.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), PolicyError>")]
pub struct DeleteBucketPolicy {
    /// The bucket.
    pub bucket: BucketName,
    /// Who asks; none when it is part of a change that is told by itself.
    pub by: Option<ChangeOrigin>,
}
