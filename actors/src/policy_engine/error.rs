//! Why a policy is refused, and why a call to PolicyEngine fails.

use crate::call::CallError;
use crate::json_store::StoreError;
use crate::names::BucketName;

/// A policy document breaks the grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct InvalidPolicy {
    /// Where, such as `Statement[1].Condition.StringEquals`.
    pub place: String,
    /// What is wrong.
    pub reason: String,
}

impl InvalidPolicy {
    /// A mistake at a place.
    pub fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { place: place.into(), reason: reason.into() }
    }
}

/// Why PolicyEngine refuses a call.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The document breaks the grammar (S3: MalformedPolicy).
    #[error("policy of bucket {bucket}: {source}")]
    Malformed {
        /// The bucket.
        bucket: BucketName,
        /// The mistake.
        #[source]
        source: InvalidPolicy,
    },
    /// The document is public, and the bucket takes no public policy (S3: AccessDenied).
    #[error("policy of bucket {bucket}: it is public, which the bucket's public access block refuses")]
    Public {
        /// The bucket.
        bucket: BucketName,
    },
    /// The policy file cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too many calls are under way.
    #[error("the policy engine is overloaded")]
    Busy,
    /// The actor has stopped.
    #[error("the policy engine has stopped")]
    Stopped,
    /// No answer within the deadline.
    #[error("the policy engine did not answer in time")]
    TimedOut,
}

impl From<CallError<PolicyError>> for PolicyError {
    fn from(error: CallError<PolicyError>) -> Self {
        match error {
            CallError::Busy => Self::Busy,
            CallError::Stopped => Self::Stopped,
            CallError::TimedOut => Self::TimedOut,
            CallError::Refused(refusal) => refusal,
        }
    }
}
