//! What can go wrong, each with its own sentence.

use std::io;

/// Why something cannot be encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no key.
    #[error("this is not a client key: 32 bytes in base64, 44 characters")]
    NotAKey,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// A value of the metadata is not there.
    #[error(
        "the metadata x-amz-meta-{0} is missing: the object was not encrypted by a client, or its metadata were lost"
    )]
    Missing(&'static str),
    /// A value of the metadata is not what it should be.
    #[error("the metadata x-amz-meta-{0} cannot be read: {1}")]
    Malformed(&'static str, String),
    /// Encrypted in a way that this version does not know.
    #[error("the object was encrypted by another program or a newer version: {0}")]
    Unsupported(String),
    /// Encrypted under another key.
    #[error("the object was encrypted under the key {wanted}, and this is the key {given}")]
    WrongKey {
        /// Id of the key that is needed.
        wanted: String,
        /// Id of the key that was given.
        given: String,
    },
    /// The three values do not belong together.
    #[error("the metadata were changed: key, iv and matdesc do not belong together")]
    DamagedMetadata,
    /// What the object is said to be is not what it was encrypted as.
    #[error("the object's context is {found}, not {wanted}")]
    OtherContext {
        /// The context that was asked for, as JSON.
        wanted: String,
        /// The object's context, as JSON.
        found: String,
    },
    /// A context that cannot stand in the metadata.
    #[error("the context cannot be stored: {0}")]
    BadContext(&'static str),
    /// A chunk is not what was encrypted.
    #[error("the content was changed, or is that of another object: the chunk at byte {offset} does not pass")]
    Damaged {
        /// Where the chunk begins in the encrypted body.
        offset: u64,
    },
    /// The content lacks its end.
    #[error("the content is cut off after {bytes} bytes")]
    CutOff {
        /// Length of the encrypted body.
        bytes: u64,
    },
    /// There is something behind the content.
    #[error("the content ends at byte {offset}, but more follows")]
    Continued {
        /// Where the encrypted body should have ended.
        offset: u64,
    },
    /// More than can be encrypted under one data key.
    #[error("the content is too long: 2^32 chunks at most, 256 TiB")]
    TooLong,
    /// The source cannot be read.
    #[error("reading failed: {0}")]
    Read(#[source] io::Error),
    /// The target cannot be written.
    #[error("writing failed: {0}")]
    Write(#[source] io::Error),
}
