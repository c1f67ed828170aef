//! Multipart uploads.

use std::sync::Arc;

use super::object::{Attributes, Controls, WriteConditions};
use super::replication::Replica;
use crate::encryption::Encryption;
use crate::names::{
    CanonicalId, Checksum, ChecksumAlgorithm, ChecksumKind, ETag, ObjectKey, PartNumber, Stamp, UploadId,
};
use crate::storage::{Bucket, FinishedBody};

/// Begins an upload. Errs: NoSuchBucket, QuotaExceeded where no byte of a part, or not its object, has room.
#[derive(Debug)]
pub struct CreateUpload {
    /// The bucket, as looked up when the request was authorised.
    pub bucket: Arc<Bucket>,
    /// The key.
    pub key: ObjectKey,
    /// Who initiated it, and will own the object.
    pub owner: CanonicalId,
    /// What the client said about the object.
    pub attributes: Attributes,
    /// Who may do what with the object.
    pub controls: Controls,
    /// The checksum algorithm and kind that the client chose.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    /// How its parts, and the object, are sealed.
    pub encryption: Option<Encryption>,
}

/// An upload in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its id; holds the time of its initiation.
    pub id: UploadId,
    /// The key.
    pub key: ObjectKey,
    /// Who initiated it.
    pub owner: CanonicalId,
    /// What the client said about the object.
    pub attributes: Attributes,
    /// Who may do what with the object.
    pub controls: Controls,
    /// The checksum algorithm and kind that the client chose.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    /// How its parts, and the object, are sealed.
    pub encryption: Option<Encryption>,
}

/// Wraps the data key of an upload anew; answers whether it did. Nothing changes when `from` is not how it is sealed any more.
/// Errs: NoSuchBucket, NoSuchUpload.
#[derive(Debug)]
pub struct RewrapUpload {
    /// The bucket.
    pub bucket: Arc<Bucket>,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// How it is sealed.
    pub from: Encryption,
    /// The same data key under another key.
    pub to: Encryption,
}

/// Claims the place where a part's bytes go, before they arrive. Errs: NoSuchUpload.
#[derive(Debug, Clone)]
pub struct BeginPart {
    /// The bucket, as looked up when the request was authorised.
    pub bucket: Arc<Bucket>,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// Which part.
    pub number: PartNumber,
    /// Declared size of the part in bytes.
    pub size: u64,
}

/// Adds a part to an upload, replacing an earlier one of the same number. Errs: NoSuchUpload, QuotaExceeded.
#[derive(Debug)]
pub struct PutPart {
    /// The bucket, as looked up when the request was authorised.
    pub bucket: Arc<Bucket>,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// Which part.
    pub number: PartNumber,
    /// The whole body, hashed; begun with [`BeginPart`].
    pub body: FinishedBody,
    /// The part's checksum to keep beside CRC-64/NVME.
    pub checksum: Option<Checksum>,
}

/// A part, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which part.
    pub number: PartNumber,
    /// Size in bytes.
    pub size: u64,
    /// MD5 of the part; of a sealed one whose ETag must not tell it, random.
    pub etag: ETag,
    /// CRC-64/NVME of the part.
    pub crc64nvme: u64,
    /// The checksum that the client asked for.
    pub checksum: Option<Checksum>,
    /// When it was committed.
    pub stamp: Stamp,
}

/// One part as a Complete request lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedPart {
    /// Which part.
    pub number: PartNumber,
    /// The ETag that its upload answered.
    pub etag: ETag,
    /// The checksum that the client believes it has.
    pub checksum: Option<Checksum>,
}

/// What is told of an object that another node has cut into parts to send it: it counts as written by a single request, as it is there.
/// Its bytes are those of the CRC-64/NVME that comes with it, or it is refused; what else is told of them is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// The MD5 of its bytes.
    pub md5: [u8; 16],
    /// The checksum of all bytes that its writer chose, if it is not the CRC-64/NVME.
    pub checksum: Option<Checksum>,
}

/// Makes one object of the listed parts. Repeating the same request after success answers the same object.
/// Errs: NoSuchUpload, InvalidPart, DamagedPart, InvalidPartOrder, PartTooSmall, ObjectTooLarge, CompletedMismatch,
/// PreconditionFailed, NoSuchKey (If-Match), QuotaExceeded.
#[derive(Debug, Clone)]
pub struct CompleteUpload {
    /// The bucket, as looked up when the request was authorised.
    pub bucket: Arc<Bucket>,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// The parts in the request's order; at least one.
    pub parts: Vec<CompletedPart>,
    /// Smallest size in bytes of a part that is not the last.
    pub part_size_min: u64,
    /// Size that the client says the object has (`x-amz-mp-object-size`).
    pub expected_size: Option<u64>,
    /// Checksum that the client says the object has.
    pub expected_checksum: Option<Checksum>,
    /// Preconditions on the current object.
    pub conditions: WriteConditions,
    /// Where the change comes from, if it is another node's.
    pub replica: Option<Box<Replica>>,
    /// What it is there, if it was written by a single request: then `expected_checksum` must be its CRC-64/NVME.
    pub whole: Option<Whole>,
}

/// Ends an upload and frees its parts. Errs: NoSuchUpload.
#[derive(Debug)]
pub struct AbortUpload {
    /// The bucket, as looked up when the request was authorised.
    pub bucket: Arc<Bucket>,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
}
