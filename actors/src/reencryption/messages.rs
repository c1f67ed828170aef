//! What may be asked of reencryption.

use super::job::{Job, JobOrder};
use crate::call::CallError;
use crate::kms::KmsError;
use crate::storage::StorageError;

/// Begins a job. Errs: Running while there is another, NoSuchBucket, Kms when a key is not found.
#[derive(Debug, actix::Message)]
#[rtype(result = "Result<Job, ReencryptionError>")]
pub(super) struct Begin(pub JobOrder);

/// Ends the job after the page that is under way. Errs: NotRunning.
#[derive(Debug, actix::Message)]
#[rtype(result = "Result<Job, ReencryptionError>")]
pub(super) struct Cancel;

/// Ends the work after the page that is under way; the next start goes on.
#[derive(Debug, actix::Message)]
#[rtype(result = "Result<(), ReencryptionError>")]
pub(super) struct Stop;

/// Why reencryption refuses.
#[derive(Debug, thiserror::Error)]
pub enum ReencryptionError {
    /// There is a job already.
    #[error("a job is at work already; cancel it first")]
    Running,
    /// There is no job to cancel.
    #[error("no job is at work")]
    NotRunning,
    /// The order contradicts itself.
    #[error("convert goes with bucket and prefix only: what is not encrypted has no key")]
    Unsound,
    /// No bucket can have this name.
    #[error("{0:?} is no name of a bucket")]
    InvalidBucketName(String),
    /// Storage refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The KMS refused.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// What was kept of a job cannot be read.
    #[error("what was kept of a job cannot be read: {0}")]
    Kept(#[from] serde_json::Error),
    /// Too much is asked at once.
    #[error("overloaded")]
    Busy,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopped,
    /// No answer within the deadline.
    #[error("no answer within the deadline")]
    TimedOut,
}

impl From<CallError<ReencryptionError>> for ReencryptionError {
    fn from(error: CallError<ReencryptionError>) -> Self {
        match error {
            CallError::Busy => Self::Busy,
            CallError::Stopped => Self::Stopped,
            CallError::TimedOut => Self::TimedOut,
            CallError::Refused(refusal) => refusal,
        }
    }
}
