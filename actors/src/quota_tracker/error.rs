//! Why quotas have no answer.

use crate::call::CallError;
use crate::storage::StorageError;

/// A failure of the QuotaTracker.
#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
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

impl From<CallError<QuotaError>> for QuotaError {
    fn from(error: CallError<QuotaError>) -> Self {
        match error {
            CallError::Busy => Self::Busy,
            CallError::Stopped => Self::Stopped,
            CallError::TimedOut => Self::TimedOut,
            CallError::Refused(refusal) => refusal,
        }
    }
}
