//! Refusals of the KMS as S3 errors: one exhaustive match (S3 API Reference, "Error responses": codes that begin with `KMS.`).

use myfsio_actors::encryption::EncryptionError;
use myfsio_actors::kms::KmsError;

use super::settings::disabled;
use crate::s3::error::{ErrorCode, S3Error};

impl From<EncryptionError> for S3Error {
    fn from(error: EncryptionError) -> Self {
        Self::internal(error)
    }
}

impl From<KmsError> for S3Error {
    fn from(error: KmsError) -> Self {
        let text = error.to_string();
        match error {
            KmsError::EncryptionDisabled => disabled(),
            KmsError::KmsDisabled => ErrorCode::KMSNotEnabled.into(),
            KmsError::Unusable(_) | KmsError::UnknownMasterKey { .. } => Self::with_message(
                ErrorCode::ServiceUnavailable,
                "The server cannot open its encryption keys. Its log and /healthz say why.",
            )
            .because(text),
            KmsError::NotFound(_) | KmsError::Destroyed { .. } | KmsError::InvalidArn(_) | KmsError::Validation(_) => {
                Self::with_message(ErrorCode::KMSNotFoundException, text)
            }
            KmsError::Disabled { .. } => Self::with_message(ErrorCode::KMSDisabledException, text),
            KmsError::PendingDeletion { .. } | KmsError::NotPendingDeletion { .. } => {
                Self::with_message(ErrorCode::KMSKMSInvalidStateException, text)
            }
            KmsError::Busy => Self::new(ErrorCode::SlowDown).because(text),
            KmsError::Stopped | KmsError::TimedOut => Self::new(ErrorCode::ServiceUnavailable).because(text),
            // What S3 never asks for.
            KmsError::ManagedByNode { .. }
            | KmsError::AlreadyExists { .. }
            | KmsError::ReservedAlias
            | KmsError::InvalidAliasName
            | KmsError::InvalidCiphertext
            | KmsError::IncorrectKey
            | KmsError::KeyOfCiphertextNotFound
            | KmsError::Tag(_)
            | KmsError::LimitExceeded(_)
            | KmsError::MalformedPolicy(_)
            | KmsError::Encryption(_)
            | KmsError::Store(_) => Self::internal(text),
        }
    }
}
