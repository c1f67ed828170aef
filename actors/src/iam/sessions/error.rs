//! Why a session is refused, in the words of the STS API Reference, "Common errors" and those of each action.

use crate::iam::IamError;
use crate::names::InvalidId;
use crate::policy_engine::{Decision, InvalidPolicy, Trace};
use crate::seal::SealError;

/// What was decided of somebody who wants to assume a role.
#[derive(Debug)]
pub struct TrustDecision {
    /// `sts:AssumeRole`, `sts:TagSession` and the like.
    pub action: &'static str,
    /// ARN of the role.
    pub role_arn: String,
    /// The decision.
    pub decision: Decision,
    /// What was considered for it.
    pub trace: Trace,
}

/// Why temporary credentials are not given.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// A parameter breaks its rule (STS: ValidationError).
    #[error("{0}")]
    Validation(String),
    /// A session policy breaks the grammar (STS: MalformedPolicyDocument).
    #[error("{0}")]
    MalformedPolicyDocument(String),
    /// Policies and tags take more than they may (STS: PackedPolicyTooLarge).
    #[error("Packed policy consumes {0}% of allotted space, please use smaller policy.")]
    PackedPolicyTooLarge(usize),
    /// The caller may not (STS: AccessDenied).
    #[error("{message}")]
    Denied {
        /// What the caller is told.
        message: String,
        /// What the log is told beside.
        cause: String,
        /// What the trust policy of the role decided, where it was asked.
        trust: Option<Box<TrustDecision>>,
    },
    /// The token of an identity provider has ended (STS: ExpiredTokenException).
    #[error("{0}")]
    ExpiredToken(String),
    /// It is none that can be believed (STS: InvalidIdentityToken).
    #[error("{0}")]
    InvalidIdentityToken(String),
    /// It claims what it may not (STS: IDPRejectedClaim).
    #[error("{0}")]
    RejectedClaim(String),
    /// The provider's keys are not to be had (STS: IDPCommunicationError).
    #[error("The identity provider specified is not available; try again.")]
    Communication,
    /// A token cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// IAM cannot answer.
    #[error(transparent)]
    Iam(#[from] IamError),
}

impl SessionError {
    pub(super) fn denied(message: impl Into<String>, cause: impl Into<String>) -> Self {
        Self::Denied { message: message.into(), cause: cause.into(), trust: None }
    }

    /// The same, with what the role's trust policy decided.
    pub(super) fn by_trust(self, decided: TrustDecision) -> Self {
        match self {
            Self::Denied { message, cause, .. } => Self::Denied { message, cause, trust: Some(Box::new(decided)) },
            other => other,
        }
    }
}

impl From<InvalidPolicy> for SessionError {
    fn from(mistake: InvalidPolicy) -> Self {
        Self::MalformedPolicyDocument(mistake.to_string())
    }
}

impl From<InvalidId> for SessionError {
    fn from(_: InvalidId) -> Self {
        Self::Seal(SealError::Damaged)
    }
}
