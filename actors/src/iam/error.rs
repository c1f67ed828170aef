//! Why IAM refuses.

use crate::call::CallError;
use crate::json_store::StoreError;
use crate::names::{AccessKeyId, Stamp};
use crate::policy_engine::InvalidPolicy;
use crate::seal::SealError;

/// Why IAM refuses a lookup or a change.
#[derive(Debug, thiserror::Error)]
pub enum IamError {
    /// No user has this access key.
    #[error("access key {0} does not exist")]
    NoSuchAccessKey(AccessKeyId),
    /// The access key or its user is disabled.
    #[error("access key {0} is disabled")]
    Disabled(AccessKeyId),
    /// The access key or its user has expired.
    #[error("access key {0} has expired")]
    Expired(AccessKeyId),
    /// The session token is none of this node's, or not that of the access key.
    #[error("the session token is not that of the access key")]
    InvalidToken,
    /// The temporary credentials have ended.
    #[error("the temporary credentials have expired")]
    ExpiredToken,
    /// The well-known secret is for requests from this machine only.
    #[error(
        "access key {0} still has its well-known secret, which is accepted only from this machine under a loopback name; \
         rotate it or set ADMIN_SECRET_KEY before the first start"
    )]
    WellKnownRefused(AccessKeyId),
    /// The secret is not that of the access key.
    #[error("wrong secret for access key {0}")]
    WrongSecret(AccessKeyId),
    /// Too many wrong secrets for this access key from this address.
    #[error("access key {access_key} is locked for this address after too many wrong secrets")]
    LockedOut {
        /// The key.
        access_key: AccessKeyId,
        /// When it will be unlocked.
        until: Stamp,
    },
    /// Too many wrong secrets and unknown access keys from this address.
    #[error("the address is locked for access keys that it has not used lately, after too many wrong ones")]
    AddressLockedOut {
        /// When it will be unlocked.
        until: Stamp,
    },
    /// What the request names is not there; the text says what (IAM: NoSuchEntity).
    #[error("{0}")]
    NoSuchEntity(String),
    /// A name or access key is taken (IAM: EntityAlreadyExists).
    #[error("{0}")]
    EntityAlreadyExists(String),
    /// Something else still hangs on what is to be deleted (IAM: DeleteConflict).
    #[error("{0}")]
    DeleteConflict(&'static str),
    /// There would be too much of something (IAM: LimitExceeded).
    #[error("{0}")]
    LimitExceeded(String),
    /// It is nobody's to change by a request: AWS's own, or what the file gives to every account (IAM: UnmodifiableEntity).
    #[error("{0}")]
    UnmodifiableEntity(String),
    /// A value that the field cannot have (IAM: ValidationError, or InvalidInput).
    #[error("{field}: {reason}")]
    InvalidInput {
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A policy breaks the grammar (IAM: MalformedPolicyDocument).
    #[error("policy: {0}")]
    MalformedPolicyDocument(String),
    /// The file cannot be read or written, or holds a mistake.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A secret cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Too many calls are under way.
    #[error("IAM is overloaded")]
    Busy,
    /// The actor has stopped.
    #[error("IAM has stopped")]
    Stopped,
    /// No answer within the deadline.
    #[error("IAM did not answer in time")]
    TimedOut,
}

impl IamError {
    /// NoSuchEntity for a name by which no one user goes.
    pub fn unknown_user(name: &str) -> Self {
        Self::NoSuchEntity(format!("No user, or more than one, goes by the name {name}."))
    }

    /// What clients are told while the file has a mistake, so that it is not written; the log says more.
    pub fn mistake_in_file(&self) -> Option<String> {
        let Self::Store(StoreError::Broken(problem)) = self else { return None };
        let line = problem.line.map(|line| format!(" in line {line}")).unwrap_or_default();
        Some(format!("The file of users has a mistake{line}, and is not written until that is mended."))
    }

    pub(super) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::InvalidInput { field, reason: reason.into() }
    }
}

impl From<InvalidPolicy> for IamError {
    fn from(mistake: InvalidPolicy) -> Self {
        Self::MalformedPolicyDocument(mistake.to_string())
    }
}

impl From<CallError<IamError>> for IamError {
    fn from(error: CallError<IamError>) -> Self {
        match error {
            CallError::Busy => Self::Busy,
            CallError::Stopped => Self::Stopped,
            CallError::TimedOut => Self::TimedOut,
            CallError::Refused(refusal) => refusal,
        }
    }
}
