//! What may be asked of lifecycle.

use crate::call::CallError;
use crate::names::Stamp;
use crate::storage::{LifecycleRun, StorageError};

/// Looks at once, since rules changed.
#[derive(Debug, actix::Message)]
#[rtype(result = "Result<(), LifecycleError>")]
pub(super) struct Look;

/// Looks at once, and answers when all that is due was removed.
#[derive(Debug, actix::Message)]
#[rtype(result = "Result<(), LifecycleError>")]
pub(super) struct LookThrough;

/// Ends the work after the step that is under way.
#[derive(Debug, actix::Message)]
#[rtype(result = "Result<(), LifecycleError>")]
pub(super) struct Stop;

/// What is known of a bucket's lifecycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleReport {
    /// Whether the time of everything in the bucket is known: until then nothing is removed.
    pub is_complete: bool,
    /// When the bucket was last looked at, since the node started.
    pub looked_at: Option<Stamp>,
    /// When it is looked at next; none while no rule is in force.
    pub looks_next: Option<Stamp>,
    /// The last runs that removed something, or failed, newest first.
    pub runs: Vec<LifecycleRun>,
}

/// What was done since the node started, over all buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LifecycleTotals {
    /// Whether it is at work.
    pub is_looking: bool,
    /// Current objects that expired.
    pub objects: u64,
    /// Noncurrent versions that were removed.
    pub versions: u64,
    /// Delete markers that were removed.
    pub markers: u64,
    /// Uploads that were aborted.
    pub uploads: u64,
    /// Bytes that buckets hold less.
    pub bytes: u64,
    /// Requests that failed, and are tried again.
    pub failed: u64,
}

/// Why lifecycle has no answer.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// Storage refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
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

impl From<CallError<LifecycleError>> for LifecycleError {
    fn from(error: CallError<LifecycleError>) -> Self {
        match error {
            CallError::Busy => Self::Busy,
            CallError::Stopped => Self::Stopped,
            CallError::TimedOut => Self::TimedOut,
            CallError::Refused(refusal) => refusal,
        }
    }
}
