//! What the KMS refuses, in the exceptions of AWS KMS: one exhaustive match.

use myfsio_actors::json_store::StoreError;
use myfsio_actors::kms::KmsError;

use crate::s3::error::{ErrorCode, S3Error};

/// A refusal of the KMS as those who speak to it by its own APIs know it (KMS API Reference, the errors of each operation). What S3
/// says when it is S3 that is asked is another matter.
pub fn refusal(error: KmsError) -> S3Error {
    let told = |code| S3Error::with_message(code, error.to_string());
    match &error {
        KmsError::KmsDisabled => S3Error::new(ErrorCode::KMSNotEnabled),
        KmsError::Unusable(_) => told(ErrorCode::KeyUnavailableException).because("keys cannot be opened"),
        KmsError::NotFound(_) | KmsError::Destroyed { .. } => told(ErrorCode::NotFoundException),
        KmsError::InvalidArn(_) => told(ErrorCode::InvalidArnException),
        KmsError::Disabled { .. } => told(ErrorCode::DisabledException),
        KmsError::PendingDeletion { .. } | KmsError::NotPendingDeletion { .. } => {
            told(ErrorCode::KMSInvalidStateException)
        }
        KmsError::ManagedByNode { .. } => told(ErrorCode::UnsupportedOperationException),
        KmsError::AlreadyExists { .. } => told(ErrorCode::AlreadyExistsException),
        KmsError::ReservedAlias => told(ErrorCode::NotAuthorizedException),
        KmsError::InvalidAliasName => told(ErrorCode::InvalidAliasNameException),
        KmsError::InvalidCiphertext => told(ErrorCode::InvalidCiphertextException),
        KmsError::IncorrectKey => S3Error::new(ErrorCode::IncorrectKeyException),
        KmsError::KeyOfCiphertextNotFound => told(ErrorCode::AccessDenied).by_rule("no_such_key"),
        KmsError::Validation(_) => told(ErrorCode::ValidationException),
        KmsError::Tag(_) => told(ErrorCode::TagException),
        KmsError::LimitExceeded(_) => told(ErrorCode::LimitExceededException),
        KmsError::MalformedPolicy(_) => told(ErrorCode::MalformedPolicyDocumentException),
        KmsError::Busy => S3Error::new(ErrorCode::SlowDown),
        KmsError::Stopped | KmsError::TimedOut => S3Error::new(ErrorCode::ServiceUnavailable).because(error),
        KmsError::Store(store) if store.is_full() => S3Error::new(ErrorCode::InsufficientStorage).because(error),
        KmsError::Store(StoreError::Contended { .. }) => S3Error::new(ErrorCode::ServiceUnavailable).because(error),
        KmsError::Store(StoreError::Broken(problem)) => {
            let line = problem.line.map(|line| format!(" in line {line}")).unwrap_or_default();
            let message = format!("The file of keys has a mistake{line}, and is not written until that is mended.");
            S3Error::with_message(ErrorCode::ServiceUnavailable, message).because(error)
        }
        KmsError::EncryptionDisabled
        | KmsError::UnknownMasterKey { .. }
        | KmsError::Encryption(_)
        | KmsError::Store(StoreError::Io { .. }) => S3Error::internal(error),
    }
}
