//! Buckets.

use std::sync::Arc;

use crate::names::{BucketId, BucketName, CanonicalId, Stamp};

/// Versioning state of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versioning {
    /// Never enabled: writes replace.
    #[default]
    Off,
    /// Each write makes a version.
    Enabled,
    /// Writes replace the null version; others stay.
    Suspended,
}

/// A bucket as published to readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its number, never reused.
    pub id: BucketId,
    /// Its name.
    pub name: BucketName,
    /// Canonical id of its owner.
    pub owner: CanonicalId,
    /// When it was created.
    pub created: Stamp,
    /// Its versioning state.
    pub versioning: Versioning,
}

/// Creates a bucket. Errs: BucketExists.
#[derive(Debug)]
pub struct CreateBucket {
    /// Its name.
    pub name: BucketName,
    /// Its owner.
    pub owner: CanonicalId,
}

/// Deletes an empty bucket, with its uploads in progress. Errs: NoSuchBucket, BucketNotEmpty.
#[derive(Debug)]
pub struct DeleteBucket {
    /// The bucket, as looked up when the request was authorised.
    pub bucket: Arc<Bucket>,
}

/// What a bucket holds. Always exact: the numbers are part of each commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Current objects.
    pub objects: u64,
    /// Bytes of current objects and noncurrent versions.
    pub bytes: u64,
    /// Noncurrent versions and delete markers.
    pub versions: u64,
}
