//! Buckets.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::quota::Quantity;
use crate::bucket_config::{BucketConfig, ConfigChange, ObjectOwnership};
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
    /// What is configured of it.
    pub config: Arc<BucketConfig>,
}

impl Bucket {
    /// Who owns what `owner` wrote: the bucket's owner, where it owns every object (S3 User Guide, "Controlling ownership of
    /// objects").
    pub fn owner_of<'a>(&'a self, owner: &'a CanonicalId) -> &'a CanonicalId {
        match self.config.ownership {
            Some(ObjectOwnership::BucketOwnerEnforced) => &self.owner,
            Some(ObjectOwnership::BucketOwnerPreferred | ObjectOwnership::ObjectWriter) | None => owner,
        }
    }
}

/// Creates a bucket. Errs: BucketExists.
#[derive(Debug)]
pub struct CreateBucket {
    /// Its name.
    pub name: BucketName,
    /// Its owner.
    pub owner: CanonicalId,
    /// What is configured of it from the start. With Object Lock, versioning is enabled.
    pub config: BucketConfig,
}

/// Changes one configuration of a bucket. Errs: NoSuchBucket; InvalidBucketState when versions may be locked and the bucket
/// would not keep them.
#[derive(Debug)]
pub struct ConfigureBucket {
    /// The bucket, as looked up when the request was authorised.
    pub bucket: Arc<Bucket>,
    /// What changes.
    pub change: BucketChange,
}

/// What a change made of a bucket: the very states before and after its commit.
#[derive(Debug, Clone)]
pub struct Configured {
    /// Before.
    pub before: Arc<Bucket>,
    /// After.
    pub after: Arc<Bucket>,
}

/// A change of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketChange {
    /// Its versioning state; never back to `Off`.
    Versioning(Versioning),
    /// A configuration.
    Config(ConfigChange),
}

/// Deletes an empty bucket, with its uploads in progress; answers what it was. Errs: NoSuchBucket, BucketNotEmpty.
#[derive(Debug)]
pub struct DeleteBucket {
    /// The bucket, as looked up when the request was authorised.
    pub bucket: Arc<Bucket>,
}

/// What became of the files in a bucket's folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Adopted {
    /// Files that are objects now and were none before.
    pub adopted: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects whose file was edited, and is the object now.
    pub changed: u64,
    /// Files that had only another time than their object.
    pub mended: u64,
    /// Files that are as their objects have them.
    pub known: u64,
    /// Files that were left alone.
    pub skipped: u64,
    /// Paths of the first of these below the root, and why.
    pub skipped_first: Vec<(PathBuf, &'static str)>,
}

impl Adopted {
    /// Names kept at most.
    const NAMES_MAX: usize = 100;

    pub(in crate::storage) fn skip(&mut self, path: &Path, reason: &'static str) {
        self.skipped += 1;
        if self.skipped_first.len() < Self::NAMES_MAX {
            self.skipped_first.push((path.to_owned(), reason));
        }
    }
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
    /// Delete markers, which are among the versions.
    pub markers: u64,
    /// Bytes of noncurrent versions and of copies of what lost, which are among the bytes above.
    pub old_bytes: u64,
    /// Bytes of the parts of uploads in progress, which are not among the bytes above.
    pub part_bytes: u64,
}

impl Usage {
    /// What counts for quotas.
    pub fn quantity(&self) -> Quantity {
        Quantity {
            bytes: self.bytes.saturating_add(self.part_bytes),
            objects: self.objects.saturating_add(self.versions).saturating_sub(self.markers),
        }
    }
}
