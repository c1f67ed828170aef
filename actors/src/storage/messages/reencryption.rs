//! What wrapping data keys anew, and encrypting what is there anew, asks of Storage.

use std::sync::Arc;

use crate::names::{ObjectKey, Stamp};
use crate::storage::{Bucket, FinishedBody};

/// Puts the same content in the place of the current object, encrypted otherwise: as CopyObject onto itself, what stands beside the
/// content stays. It is a commit like any other: a new Last-Modified, and a new version where versions are kept. Answers whether
/// the object was still the one that was read. Errs: NoSuchBucket.
#[derive(Debug)]
pub struct RewriteObject {
    /// The bucket.
    pub bucket: Arc<Bucket>,
    /// The key.
    pub key: ObjectKey,
    /// When the object was committed that the content is of.
    pub of: Stamp,
    /// The content.
    pub body: FinishedBody,
}

/// Keeps how far the work is, for the next start; nothing when there is none.
#[derive(Debug)]
pub struct KeepReencryption(pub Option<Vec<u8>>);
