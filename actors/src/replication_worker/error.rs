//! Why the replication worker refuses a call.

use crate::call::CallError;
use crate::json_store::StoreError;
use crate::names::BucketName;
use crate::seal::SealError;
use crate::storage::StorageError;

/// Why the replication worker refuses a call.
#[derive(Debug, thiserror::Error)]
pub enum ReplicationError {
    /// No connection has this id.
    #[error("no connection has the id {0:?}")]
    NoSuchConnection(String),
    /// The bucket is not replicated.
    #[error("the bucket {0} is not replicated")]
    NoSuchRule(BucketName),
    /// A rule uses the connection.
    #[error("the connection is used by the replication of {0}")]
    ConnectionInUse(String),
    /// Another connection has the id or name already.
    #[error("there is a connection of this {0} already")]
    ConnectionExists(&'static str),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// There is nothing to compare with, or a job is at work already.
    #[error("{0}")]
    Conflict(&'static str),
    /// A secret could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Queues cannot be read or settled.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Too many calls are under way.
    #[error("the replication worker is overloaded")]
    Busy,
    /// The actor has stopped.
    #[error("the replication worker has stopped")]
    Stopped,
    /// No answer within the deadline.
    #[error("the replication worker did not answer in time")]
    TimedOut,
}

impl From<CallError<ReplicationError>> for ReplicationError {
    fn from(error: CallError<ReplicationError>) -> Self {
        match error {
            CallError::Busy => Self::Busy,
            CallError::Stopped => Self::Stopped,
            CallError::TimedOut => Self::TimedOut,
            CallError::Refused(refusal) => refusal,
        }
    }
}
