//! Why the KMS refuses. Texts are those of AWS KMS where it has one; which error is which code is for those who speak to clients.

use crate::call::CallError;
use crate::encryption::EncryptionError;
use crate::json_store::StoreError;
use crate::names::Stamp;

/// Why the KMS refuses (KMS API Reference, the errors of each operation).
#[derive(Debug, thiserror::Error)]
pub enum KmsError {
    /// `ENCRYPTION_ENABLED` is false: nothing new is encrypted, what is encrypted is still read.
    #[error("Server-side encryption is not enabled on this node.")]
    EncryptionDisabled,
    /// `KMS_ENABLED` is false: keys cannot be used but to read what they encrypted.
    #[error("KMS is not enabled on this node.")]
    KmsDisabled,
    /// The master key is missing, malformed or another one, or the file of keys cannot be read: nothing can be opened or changed.
    /// The text names no files; [`super::KmsClient::trouble`] does.
    #[error("{0} Until that is mended, neither encrypted objects nor keys can be used.")]
    Unusable(&'static str),
    /// Something was sealed under a master key that this node was not given.
    #[error(
        "It is sealed under master key {id}, which the node does not have; ENCRYPTION_MASTER_KEY_PREVIOUS can give it back."
    )]
    UnknownMasterKey {
        /// Id of the missing key.
        id: String,
    },
    /// No key or alias goes by this name; the text says which (NotFoundException).
    #[error("{0}")]
    NotFound(String),
    /// The key was deleted, and its materials with it (NotFoundException).
    #[error("Key '{arn}' does not exist: it was deleted at {}, and what it encrypted cannot be read any more.", at.rfc3339())]
    Destroyed {
        /// Its ARN.
        arn: String,
        /// When.
        at: Stamp,
    },
    /// Not an ARN of a key or alias (InvalidArnException).
    #[error("Invalid arn {0}")]
    InvalidArn(String),
    /// The key is disabled (DisabledException).
    #[error("{arn} is disabled.")]
    Disabled {
        /// Its ARN.
        arn: String,
    },
    /// The key waits for its deletion (KMSInvalidStateException).
    #[error("{arn} is pending deletion.")]
    PendingDeletion {
        /// Its ARN.
        arn: String,
    },
    /// There is no deletion to be cancelled (KMSInvalidStateException).
    #[error("{arn} is not pending deletion.")]
    NotPendingDeletion {
        /// Its ARN.
        arn: String,
    },
    /// The node's own key is not changed like this (UnsupportedOperationException).
    #[error("{arn} is managed by the node; {what}.")]
    ManagedByNode {
        /// Its ARN.
        arn: String,
        /// What cannot be done.
        what: &'static str,
    },
    /// An alias is taken (AlreadyExistsException).
    #[error("An alias with the name {arn} already exists")]
    AlreadyExists {
        /// ARN of the alias.
        arn: String,
    },
    /// Aliases that begin with `alias/aws/` are the node's (NotAuthorizedException).
    #[error("Aliases that begin with alias/aws/ are reserved.")]
    ReservedAlias,
    /// A name that no alias can have (InvalidAliasNameException).
    #[error(
        "Alias must start with the prefix \"alias/\", followed by 1 to 250 letters, digits or characters of \"/_-\"."
    )]
    InvalidAliasName,
    /// Not a blob that this KMS made, a changed one, or another encryption context (InvalidCiphertextException).
    #[error("The ciphertext is not valid, or was encrypted under another encryption context.")]
    InvalidCiphertext,
    /// The blob is that of another key than the one that was named (IncorrectKeyException).
    #[error("The key ID in the request does not identify a CMK that can perform this operation.")]
    IncorrectKey,
    /// The blob names a key that is not here (AccessDeniedException).
    #[error(
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not \
         allowed to access."
    )]
    KeyOfCiphertextNotFound,
    /// A value that the parameter cannot have (ValidationException).
    #[error("{0}")]
    Validation(String),
    /// A tag that is not allowed (TagException).
    #[error("{0}")]
    Tag(String),
    /// There would be too much of something (LimitExceededException).
    #[error("{0}")]
    LimitExceeded(String),
    /// Not a policy document (MalformedPolicyDocumentException).
    #[error("{0}")]
    MalformedPolicy(String),
    /// What is kept of an object does not open, or the system gives no random numbers.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// The file of keys cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too many calls are under way.
    #[error("KMS is overloaded")]
    Busy,
    /// The actor has stopped.
    #[error("KMS has stopped")]
    Stopped,
    /// No answer within the deadline.
    #[error("KMS did not answer in time")]
    TimedOut,
}

impl KmsError {
    pub(super) fn validation(reason: impl Into<String>) -> Self {
        Self::Validation(reason.into())
    }

    /// ValidationException in AWS's words.
    pub(super) fn out_of_range(parameter: &str, value: impl std::fmt::Display, constraint: &str) -> Self {
        Self::Validation(format!(
            "1 validation error detected: Value '{value}' at '{parameter}' failed to satisfy constraint: Member must have {constraint}"
        ))
    }
}

impl From<CallError<KmsError>> for KmsError {
    fn from(error: CallError<KmsError>) -> Self {
        match error {
            CallError::Busy => Self::Busy,
            CallError::Stopped => Self::Stopped,
            CallError::TimedOut => Self::TimedOut,
            CallError::Refused(refusal) => refusal,
        }
    }
}
