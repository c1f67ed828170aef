//! Why IAM refuses.

use crate::call::CallError;
use crate::json_store::StoreError;
use crate::names::{AccessKeyId, Stamp};
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
    /// No user goes by this name, or more than one does.
    #[error("no user, or more than one, goes by the name `{0}`")]
    NoSuchUser(String),
    /// The access key or user name is taken.
    #[error("{0} exists already")]
    AlreadyExists(String),
    /// A value that no user can have.
    #[error("{field}: {reason}")]
    InvalidInput {
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A policy breaks the grammar.
    #[error("policy: {0}")]
    MalformedPolicy(String),
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
