//! Why Storage refuses. Knows nothing of HTTP: the S3 layer maps each variant to one S3 error.

use std::io;
use std::path::PathBuf;

use super::disk::is_passing;
use super::messages::QuotaScope;
use crate::bucket_config::QuotaResource;
use crate::call::CallError;
use crate::names::{BucketName, CanonicalId, ETag, ObjectKey, PartNumber, Stamp, UploadId, VersionId};

/// A refusal or failure of Storage.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No bucket of this name.
    #[error("no bucket named {bucket}")]
    NoSuchBucket {
        /// The name asked for.
        bucket: BucketName,
    },
    /// A bucket of this name is there already.
    #[error("bucket {bucket} exists already")]
    BucketExists {
        /// The name asked for.
        bucket: BucketName,
        /// Who owns it.
        owner: CanonicalId,
    },
    /// Something that is no folder stands where the bucket's folder would.
    #[error("a file that is no bucket stands at {bucket} in the data directory")]
    NameTaken {
        /// The name asked for.
        bucket: BucketName,
    },
    /// The bucket holds objects, versions, or files that the node does not know.
    #[error("bucket {bucket} is not empty")]
    BucketNotEmpty {
        /// The bucket.
        bucket: BucketName,
        /// A file in its folder that no row knows, relative to the folder, when that is the reason.
        unknown_file: Option<PathBuf>,
    },
    /// The bucket's versioning or Object Lock does not allow this.
    #[error("{reason}")]
    InvalidBucketState {
        /// Why.
        reason: &'static str,
    },
    /// A lock is asked for in a bucket without Object Lock.
    #[error("bucket {bucket} has no object lock")]
    LockNotEnabled {
        /// The bucket.
        bucket: BucketName,
    },
    /// A retention or legal hold keeps a version as it is.
    #[error("version {version} of {key} is locked: {reason}")]
    ObjectLocked {
        /// The key.
        key: ObjectKey,
        /// The version.
        version: VersionId,
        /// What keeps it.
        reason: &'static str,
    },
    /// The object that was to be changed was written or changed anew since it was looked at.
    #[error("the object {key} is not the one any more that was to be changed")]
    Overtaken {
        /// The key.
        key: ObjectKey,
    },
    /// What was to be changed is not what the caller expects any more. Only of changes that say what they expect.
    #[error("{what} is not as it was seen any more")]
    NotAsExpected {
        /// The bucket, or bucket and key.
        what: String,
    },
    /// No object of this key.
    #[error("no object {key}")]
    NoSuchKey {
        /// The key asked for.
        key: ObjectKey,
        /// The delete marker that is the current version, if that is why.
        delete_marker: Option<VersionId>,
    },
    /// No such version of this key.
    #[error("no version {version} of {key}")]
    NoSuchVersion {
        /// The key asked for.
        key: ObjectKey,
        /// The version asked for.
        version: VersionId,
    },
    /// The version asked for is a delete marker.
    #[error("version {version} of {key} is a delete marker")]
    IsDeleteMarker {
        /// The key asked for.
        key: ObjectKey,
        /// The version asked for.
        version: VersionId,
        /// When the marker was made.
        last_modified: Stamp,
    },
    /// No such multipart upload of this key in this bucket.
    #[error("no upload {upload}")]
    NoSuchUpload {
        /// The id asked for.
        upload: UploadId,
    },
    /// A part of a Complete request is missing, or its ETag or checksum is not the uploaded one.
    #[error("part {part} was not uploaded, or not with this ETag or checksum")]
    InvalidPart {
        /// The first such part.
        part: PartNumber,
        /// The ETag given.
        etag: ETag,
    },
    /// A scrub found that the bytes of a part of a Complete request are not those that were sent.
    #[error("the stored bytes of part {part} are damaged; it must be sent again")]
    DamagedPart {
        /// The first such part.
        part: PartNumber,
        /// Its ETag.
        etag: ETag,
    },
    /// The parts of a Complete request are not in ascending order.
    #[error("the list of parts is not in ascending order")]
    InvalidPartOrder,
    /// A part that is not the last is smaller than the minimum.
    #[error("part {part} of {size} bytes is smaller than the minimum of {size_min}")]
    PartTooSmall {
        /// The first such part.
        part: PartNumber,
        /// Its ETag.
        etag: ETag,
        /// Its size in bytes.
        size: u64,
        /// The minimum in bytes.
        size_min: u64,
    },
    /// The completed object would be larger than S3 allows.
    #[error("an object of {size} bytes is larger than {size_max}")]
    ObjectTooLarge {
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        size_max: u64,
    },
    /// A value that the client gave for the completed object is not what the parts give.
    #[error("the completed object's {what} does not match the request")]
    CompletedMismatch {
        /// `checksum` or `size`.
        what: &'static str,
    },
    /// A write or delete precondition does not hold.
    #[error("precondition {condition} does not hold")]
    PreconditionFailed {
        /// The S3 name of the condition: `If-Match`, `If-None-Match` ….
        condition: &'static str,
    },
    /// What is encrypted cannot be opened or made.
    #[error(transparent)]
    Encryption(#[from] crate::encryption::EncryptionError),
    /// A quota has no room for it.
    #[error("{} of {scope} leaves no room in bucket {bucket}", resource.field())]
    QuotaExceeded {
        /// The bucket that was to be written to.
        bucket: BucketName,
        /// Which quota.
        scope: QuotaScope,
        /// What there is no room for.
        resource: QuotaResource,
    },
    /// The body ended, or broke off, other than declared; nothing was stored.
    #[error("the body was not written to its end")]
    BodyUnfinished,
    /// Full: no space on the device.
    #[error("no space left on the device")]
    NoSpace,
    /// Too much is under way; try again later.
    #[error("overloaded")]
    Busy,
    /// No answer within the deadline; the work may still be done.
    #[error("no answer within the deadline")]
    TimedOut,
    /// A bucket would have more tags than [`BUCKET_TAGS_MAX`](crate::bucket_config::BUCKET_TAGS_MAX).
    #[error("a bucket has at most {} tags", crate::bucket_config::BUCKET_TAGS_MAX)]
    TooManyBucketTags,
    /// The node is stopping, or its journal could not be written and nothing more is acknowledged.
    #[error("storage does not accept writes: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
    },
    /// Bytes on disk are not those that were stored.
    #[error("stored data of {what} does not match its checksum")]
    Corrupt {
        /// Bucket and key, or the file.
        what: String,
    },
    /// A scrub found that the bytes in an object's file are not those that were stored.
    #[error("the stored bytes of {key}, version {version}, do not match their checksum; they are not served")]
    Damaged {
        /// The key.
        key: ObjectKey,
        /// The version.
        version: VersionId,
    },
    /// An object's file was changed by another program, and the object must not change with it.
    #[error("the file {} was changed by another program and is not served: {reason}", path.display())]
    Quarantined {
        /// The file, relative to the data directory.
        path: PathBuf,
        /// Why it is not the object now.
        reason: &'static str,
    },
    /// The file system failed.
    #[error("{action} {path:?}: {source}")]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// To which path; empty when there is none.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// The index failed.
    #[error("index: {0}")]
    Index(String),
}

impl StorageError {
    /// An I/O failure with what was being done; a full device becomes [`StorageError::NoSpace`].
    pub fn io(action: &'static str, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            _ => Self::Io { action, path: path.into(), source },
        }
    }

    /// Whether it says nothing of what was asked for: the node or its machine cannot do it just now, and later may.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Busy | Self::TimedOut | Self::NoSpace | Self::Unavailable { .. } => true,
            Self::Io { source, .. } => is_passing(source),
            _ => false,
        }
    }
}

impl From<CallError<StorageError>> for StorageError {
    fn from(error: CallError<StorageError>) -> Self {
        match error {
            CallError::Busy => Self::Busy,
            CallError::Stopped => Self::Unavailable { reason: "the node is stopping".to_owned() },
            CallError::TimedOut => Self::TimedOut,
            CallError::Refused(refusal) => refusal,
        }
    }
}
