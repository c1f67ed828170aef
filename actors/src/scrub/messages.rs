//! What may be asked of a scrub.

use super::report::{ScrubOrder, ScrubRun};
use crate::call::CallError;
use crate::storage::StorageError;

/// Begins a run. Errs: Running while there is another, NoSuchBucket.
#[derive(Debug, actix::Message)]
#[rtype(result = "Result<ScrubRun, ScrubError>")]
pub(super) struct Begin(pub ScrubOrder);

/// Ends the run. Errs: NotRunning.
#[derive(Debug, actix::Message)]
#[rtype(result = "Result<ScrubRun, ScrubError>")]
pub(super) struct Cancel;

/// Ends the work; the next start goes on.
#[derive(Debug, actix::Message)]
#[rtype(result = "Result<(), ScrubError>")]
pub(super) struct Stop;

/// Why a scrub refuses.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    /// There is a run already.
    #[error("a scrub is at work already; stop it first")]
    Running,
    /// There is no run to end.
    #[error("no scrub is at work")]
    NotRunning,
    /// No bucket can have this name.
    #[error("{0:?} is no name of a bucket")]
    InvalidBucketName(String),
    /// Storage refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// What was kept cannot be read or written.
    #[error("what was kept of a scrub cannot be read: {0}")]
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

impl From<CallError<ScrubError>> for ScrubError {
    fn from(error: CallError<ScrubError>) -> Self {
        match error {
            CallError::Busy => Self::Busy,
            CallError::Stopped => Self::Stopped,
            CallError::TimedOut => Self::TimedOut,
            CallError::Refused(refusal) => refusal,
        }
    }
}
