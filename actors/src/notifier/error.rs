//! Why the notifier refuses a call.

use crate::call::CallError;
use crate::json_store::StoreError;
use crate::storage::StorageError;

/// Why a target is not sent anything, told to whoever configures it.
pub(super) const UNUSABLE: &str = "The destination does not exist or is disabled";

/// Why the notifier refuses a call.
#[derive(Debug, thiserror::Error)]
pub enum NotifierError {
    /// Not the ARN of a target of its kind.
    #[error("{arn} is not the ARN of a target of this kind")]
    MalformedArn {
        /// The ARN.
        arn: String,
    },
    /// A target in another region than the bucket.
    #[error("{arn} is in another region")]
    WrongRegion {
        /// The ARN.
        arn: String,
    },
    /// A target that cannot be told of anything.
    #[error("{arn}: {cause}")]
    Unreachable {
        /// The ARN.
        arn: String,
        /// Why not, for whoever configures it.
        reason: &'static str,
        /// Why not in detail, for whoever administers the node.
        cause: String,
    },
    /// The file of webhooks cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Events cannot be read or settled.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Too many calls are under way.
    #[error("the notifier is overloaded")]
    Busy,
    /// The actor has stopped.
    #[error("the notifier has stopped")]
    Stopped,
    /// No answer within the deadline.
    #[error("the notifier did not answer in time")]
    TimedOut,
}

impl From<CallError<NotifierError>> for NotifierError {
    fn from(error: CallError<NotifierError>) -> Self {
        match error {
            CallError::Busy => Self::Busy,
            CallError::Stopped => Self::Stopped,
            CallError::TimedOut => Self::TimedOut,
            CallError::Refused(refusal) => refusal,
        }
    }
}
