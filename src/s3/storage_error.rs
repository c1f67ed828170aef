//! Storage's refusals as S3 errors: one exhaustive match. What the client must not see goes to the log.

use myfsio_actors::bucket_config::QuotaResource;
use myfsio_actors::quota_tracker::QuotaError;
use myfsio_actors::storage::{QuotaScope, StorageError};

use super::conditional::http_date;
use super::error::{ErrorCode, S3Error};
use super::headers::too_many_bucket_tags;

/// The condition that does not hold of a change which does not find what it expects.
pub const EXPECTATION: &str = "Expectation";

/// The refusal of a read, which says of a missing key whether a delete marker stands there.
pub fn refused_read(error: StorageError) -> S3Error {
    let nothing_there = matches!(error, StorageError::NoSuchKey { delete_marker: None, .. });
    let error = S3Error::from(error);
    if nothing_there { error.header("x-amz-delete-marker", "false") } else { error }
}

impl From<StorageError> for S3Error {
    fn from(error: StorageError) -> Self {
        let cause = error.to_string();
        match error {
            StorageError::NoSuchBucket { bucket } => {
                Self::new(ErrorCode::NoSuchBucket).field("BucketName", bucket.as_str())
            }
            StorageError::BucketExists { bucket, owner: _ } => {
                Self::new(ErrorCode::BucketAlreadyExists).field("BucketName", bucket.as_str())
            }
            StorageError::NameTaken { bucket } => Self::with_message(
                ErrorCode::BucketAlreadyExists,
                "A file that is no bucket has this name in the server's data directory.",
            )
            .field("BucketName", bucket.as_str()),
            StorageError::BucketNotEmpty { bucket, unknown_file } => {
                let error = Self::new(ErrorCode::BucketNotEmpty).field("BucketName", bucket.as_str());
                match unknown_file {
                    Some(file) => error.field("UnknownFile", file.to_string_lossy()),
                    None => error,
                }
            }
            StorageError::InvalidBucketState { reason } => Self::with_message(ErrorCode::InvalidBucketState, reason),
            StorageError::TooManyBucketTags => too_many_bucket_tags(),
            StorageError::LockNotEnabled { bucket } => {
                Self::with_message(ErrorCode::InvalidRequest, "Bucket is missing Object Lock Configuration")
                    .field("BucketName", bucket.as_str())
            }
            StorageError::ObjectLocked { key, version, reason: _ } => {
                Self::with_message(ErrorCode::AccessDenied, "Access Denied because object protected by object lock.")
                    .field("Key", key.as_str())
                    .field("VersionId", version.to_string())
                    .by_rule("object_lock")
            }
            StorageError::Overtaken { key } => {
                Self::new(ErrorCode::OperationAborted).field("Key", key.as_str()).because(cause)
            }
            StorageError::NotAsExpected { what: _ } => {
                Self::new(ErrorCode::PreconditionFailed).field("Condition", EXPECTATION).because(cause)
            }
            StorageError::NoSuchKey { key, delete_marker } => {
                let error = Self::new(ErrorCode::NoSuchKey).field("Key", key.as_str());
                match delete_marker {
                    Some(version) => {
                        error.header("x-amz-delete-marker", "true").header("x-amz-version-id", &version.to_string())
                    }
                    None => error,
                }
            }
            StorageError::NoSuchVersion { key, version } => {
                Self::new(ErrorCode::NoSuchVersion).field("Key", key.as_str()).field("VersionId", version.to_string())
            }
            StorageError::IsDeleteMarker { key: _, version, last_modified } => Self::new(ErrorCode::MethodNotAllowed)
                .field("Method", "GET")
                .field("ResourceType", "DeleteMarker")
                .header("allow", "DELETE")
                .header("x-amz-delete-marker", "true")
                .header("x-amz-version-id", &version.to_string())
                .header("last-modified", &http_date(last_modified)),
            StorageError::NoSuchUpload { upload } => {
                Self::new(ErrorCode::NoSuchUpload).field("UploadId", upload.to_string())
            }
            StorageError::InvalidPart { part, etag } => {
                Self::new(ErrorCode::InvalidPart).field("PartNumber", part.to_string()).field("ETag", etag.to_string())
            }
            StorageError::DamagedPart { part, etag } => Self::with_message(
                ErrorCode::InvalidPart,
                "The stored bytes of this part do not match its checksum. Upload the part again.",
            )
            .field("PartNumber", part.to_string())
            .field("ETag", etag.to_string()),
            StorageError::InvalidPartOrder => ErrorCode::InvalidPartOrder.into(),
            StorageError::PartTooSmall { part, etag, size, size_min } => Self::new(ErrorCode::EntityTooSmall)
                .field("ProposedSize", size.to_string())
                .field("MinSizeAllowed", size_min.to_string())
                .field("PartNumber", part.to_string())
                .field("ETag", etag.to_string()),
            StorageError::ObjectTooLarge { size, size_max } => super::body::too_large(size, size_max),
            StorageError::CompletedMismatch { what: "checksum" } => Self::with_message(
                ErrorCode::BadDigest,
                "The checksum you specified did not match the calculated checksum.",
            ),
            StorageError::CompletedMismatch { what } => Self::with_message(
                ErrorCode::InvalidRequest,
                format!("The object's {what} does not match the value that the request specifies."),
            ),
            StorageError::PreconditionFailed { condition } => {
                Self::new(ErrorCode::PreconditionFailed).field("Condition", condition)
            }
            StorageError::QuotaExceeded { bucket, scope, resource } => {
                let (whose, prefix) = match &scope {
                    QuotaScope::Bucket(_) => ("Bucket", None),
                    QuotaScope::Prefix(_, prefix) => ("Prefix", Some(prefix)),
                    QuotaScope::Owner(_) => ("User", None),
                };
                let what = match resource {
                    QuotaResource::Bytes => "storage",
                    QuotaResource::Objects => "object",
                };
                let message = format!("{whose} quota exceeded: {what} limit reached");
                let error = Self::with_message(ErrorCode::QuotaExceeded, message).field("BucketName", bucket.as_str());
                prefix.into_iter().fold(error, |error, prefix| error.field("Prefix", &**prefix))
            }
            StorageError::BodyUnfinished => ErrorCode::IncompleteBody.into(),
            StorageError::Encryption(error) => Self::new(ErrorCode::InternalError).because(error),
            StorageError::NoSpace => Self::new(ErrorCode::InsufficientStorage).because(cause),
            StorageError::Busy => Self::new(ErrorCode::SlowDown).because(cause),
            StorageError::TimedOut | StorageError::Unavailable { .. } => {
                Self::new(ErrorCode::ServiceUnavailable).because(cause)
            }
            StorageError::Quarantined { path: _, reason } => Self::with_message(
                ErrorCode::InternalError,
                format!("The object's file was changed by another program and is not served: {reason}."),
            )
            .because(cause),
            StorageError::Damaged { key, version } => Self::with_message(
                ErrorCode::InternalError,
                "The stored bytes of this object do not match their checksum (checksum mismatch), so they are not served. \
                 Writing or deleting the key ends this.",
            )
            .field("Key", key.as_str())
            .field("VersionId", version.to_string())
            .because(cause),
            StorageError::Corrupt { .. } | StorageError::Io { .. } | StorageError::Index(_) => Self::internal(cause),
        }
    }
}

impl From<QuotaError> for S3Error {
    fn from(error: QuotaError) -> Self {
        match error {
            QuotaError::Storage(error) => error.into(),
            QuotaError::Busy => Self::new(ErrorCode::SlowDown).because("quotas: too many calls are waiting"),
            QuotaError::Stopped | QuotaError::TimedOut => Self::new(ErrorCode::ServiceUnavailable).because(error),
        }
    }
}
