//! Objects.

use std::sync::Arc;

use super::replication::{Applied, ChangeBeside, Lineage, Replica};
use crate::bucket_config::{Acl, Retention};
use crate::encryption::Encryption;
use crate::names::{CanonicalId, Checksum, ChecksumKind, ETag, ObjectKey, Stamp, UploadId, VersionId};
use crate::names::{Change, NodeId, Seen};
use crate::storage::{Bucket, FinishedBody};

/// What a client says about an object beside its bytes: kept and given back as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// `Content-Type`; absent means `binary/octet-stream`.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Encoding` without the `aws-chunked` token.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Expires`, verbatim.
    pub expires: Option<String>,
    /// `x-amz-website-redirect-location`.
    pub website_redirect: Option<String>,
    /// `x-amz-storage-class`; absent means STANDARD.
    pub storage_class: Option<String>,
    /// `x-amz-meta-*`: names in lower case without the prefix, in order of their names.
    pub user_metadata: Vec<(String, String)>,
    /// Object tags in the order given.
    pub tags: Vec<(String, String)>,
}

/// Who may do what with a version, beside what bucket and policies say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Controls {
    /// Its access control list; absent means that its owner has full control, and nobody else any.
    pub acl: Option<Acl>,
    /// Until when it may not be deleted.
    pub retention: Option<Retention>,
    /// Whether it may not be deleted until further notice; absent while nobody has said.
    pub legal_hold: Option<bool>,
}

impl Controls {
    /// Whether a legal hold is on it.
    pub fn is_held(&self) -> bool {
        self.legal_hold == Some(true)
    }

    /// Whether it is held, or its retention is in force at a time in milliseconds since 1970.
    pub fn is_locked(&self, now_millis: u64) -> bool {
        self.is_held() || self.retention.is_some_and(|retention| retention.holds(now_millis))
    }
}

/// The checksum that the writer asked for, beside the CRC-64/NVME that every object has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectChecksum {
    /// Algorithm and value.
    pub value: Checksum,
    /// Whether it covers the bytes or the parts' checksums.
    pub kind: ChecksumKind,
}

/// One version of an object, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its version id; `Null` in buckets without versioning.
    pub version_id: VersionId,
    /// Commit stamp: last-modified time, and mtime of the file.
    pub stamp: Stamp,
    /// Size in bytes.
    pub size: u64,
    /// Its ETag.
    pub etag: ETag,
    /// CRC-64/NVME over all bytes.
    pub crc64nvme: u64,
    /// The checksum that the writer asked for, if it is not the CRC-64/NVME.
    pub checksum: Option<ObjectChecksum>,
    /// Canonical id of its owner.
    pub owner: CanonicalId,
    /// What the client said about it.
    pub attributes: Attributes,
    /// Who may do what with it.
    pub controls: Controls,
    /// The upload that made it, when it was assembled from parts: a repeated Complete is answered from this.
    pub upload: Option<UploadId>,
    /// How its bytes are sealed on disk; absent when they are not.
    pub sealed: Option<Sealed>,
    /// Where it comes from; absent when it was written here at the time of its stamp, which is what it is of nearly all objects.
    pub lineage: Option<Box<Lineage>>,
}

/// How an object's bytes are sealed on disk. All else that is told of an object is about its plaintext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Its data key, wrapped, and under whose key.
    pub encryption: Encryption,
    /// Bytes on disk.
    pub size: u64,
    /// CRC-64/NVME of these: a check that needs no key.
    pub crc64nvme: u64,
    /// Number of its parts, each of which is a segment, of an object that counts as written by a single request and still came in parts;
    /// absent of all others.
    pub segments: Option<u16>,
}

impl Object {
    /// Bytes on disk.
    pub fn stored_size(&self) -> u64 {
        self.sealed.as_ref().map_or(self.size, |sealed| sealed.size)
    }

    /// When it was written, on whatever node: what `Last-Modified` tells.
    pub fn modified(&self) -> Stamp {
        self.lineage.as_ref().and_then(|lineage| lineage.modified).unwrap_or(self.stamp)
    }

    /// The change that wrote it; `own` is this node.
    pub fn change(&self, own: NodeId) -> Change {
        self.lineage.as_ref().map_or(Change { clock: self.stamp.0, origin: own }, |lineage| lineage.change)
    }

    /// What that change had seen.
    pub fn seen(&self) -> Seen {
        self.lineage.as_ref().map(|lineage| lineage.seen.clone()).unwrap_or_default()
    }

    /// The last change of its tags, if they were changed after it was written.
    pub fn tags_change(&self) -> Option<Change> {
        self.lineage.as_ref().and_then(|lineage| lineage.tags_change)
    }

    /// The last change of its retention or legal hold, if they were changed after it was written.
    pub fn lock_change(&self) -> Option<Change> {
        self.lineage.as_ref().and_then(|lineage| lineage.lock_change)
    }

    /// Whether the target did not take what was to be sent of it, and somebody has had that forgotten.
    pub fn is_dismissed(&self) -> bool {
        self.lineage.as_ref().is_some_and(|lineage| lineage.is_dismissed)
    }

    /// When it was written here, or what stands beside its bytes was changed last, by the clocks of who did.
    pub fn last_change(&self) -> Stamp {
        let beside = [self.tags_change(), self.lock_change()].into_iter().flatten();
        beside.map(|change| Stamp(change.clock)).fold(self.stamp, Stamp::max)
    }

    /// The node that made all of it, also what was changed beside its bytes; else this one, which is `own`.
    pub fn maker(&self, own: NodeId) -> NodeId {
        let origin = self.change(own).origin;
        let beside = [self.tags_change(), self.lock_change()];
        match beside.iter().flatten().all(|change| change.origin == origin) {
            true => origin,
            false => own,
        }
    }

    /// Number of parts that a list tells of: those that it was assembled from, or that only tell where its segments lie.
    pub(in crate::storage) fn listed_parts(&self) -> Option<u16> {
        self.etag.parts.or_else(|| self.sealed.as_ref().and_then(|sealed| sealed.segments))
    }

    /// How it is encrypted.
    pub fn encryption(&self) -> Option<&Encryption> {
        self.sealed.as_ref().map(|sealed| &sealed.encryption)
    }
}

/// A condition on an ETag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ETagCondition {
    /// `*`: any current object.
    Any,
    /// One of these; texts that are no ETag of this server match nothing and may be left out.
    OneOf(Vec<ETag>),
}

/// Preconditions of a write or delete, decided inside the commit. An absent object, or a delete marker, counts as missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriteConditions {
    /// The current object must match. A missing one errs NoSuchKey.
    pub if_match: Option<ETagCondition>,
    /// No current object may match. Else errs PreconditionFailed.
    pub if_none_match: Option<ETagCondition>,
    /// The current object's last-modified time in whole seconds must be this one (`x-amz-if-match-last-modified-time`).
    pub if_match_last_modified: Option<u64>,
    /// The current object's size must be this one (`x-amz-if-match-size`).
    pub if_match_size: Option<u64>,
}

/// What a body is about to be: quotas reserve room for it before it arrives.
#[derive(Debug, Clone, Copy)]
pub struct BeginBody<'a> {
    /// The bucket, as looked up when the request was authorised.
    pub bucket: &'a Bucket,
    /// The key.
    pub key: &'a ObjectKey,
    /// Owner of the new object.
    pub owner: &'a CanonicalId,
    /// Declared size in bytes, if it is known.
    pub size: Option<u64>,
}

/// Stores an object under its key. Errs: NoSuchBucket, NoSuchKey (If-Match), PreconditionFailed, QuotaExceeded.
#[derive(Debug)]
pub struct PutObject {
    /// The bucket, as looked up when the request was authorised.
    pub bucket: Arc<Bucket>,
    /// The key.
    pub key: ObjectKey,
    /// Owner of the new object.
    pub owner: CanonicalId,
    /// What the client said about it.
    pub attributes: Attributes,
    /// Who may do what with it. Without a retention, the bucket's default holds.
    pub controls: Controls,
    /// The whole body, hashed.
    pub body: FinishedBody,
    /// The checksum to keep beside CRC-64/NVME; its value comes from the body's digests.
    pub checksum: Option<ObjectChecksum>,
    /// Preconditions.
    pub conditions: WriteConditions,
    /// Where the change comes from, if it is another node's.
    pub replica: Option<Box<Replica>>,
}

/// Changes something of a version beside its bytes; the version stays the same. Errs: NoSuchBucket, NoSuchKey, NoSuchVersion,
/// IsDeleteMarker, Overtaken, ObjectLocked, InvalidBucketState when the bucket has no Object Lock and a lock is asked for.
#[derive(Debug)]
pub struct ChangeObject {
    /// The bucket, as looked up when the request was authorised.
    pub bucket: Arc<Bucket>,
    /// The key.
    pub key: ObjectKey,
    /// The version; none means the current object.
    pub version: Option<VersionId>,
    /// When the object that is meant was written: no other one is changed, whatever its version id. None means whichever is there.
    pub of: Option<Stamp>,
    /// What changes.
    pub change: ObjectChange,
    /// Where it comes from, if it is another node's: it counts if it is later than the last one that is known here.
    pub replica: Option<ChangeBeside>,
}

/// A change of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectChange {
    /// Its tags, all of them.
    Tags(Vec<(String, String)>),
    /// Its access control list.
    Acl(Option<Acl>),
    /// Its retention; none removes it.
    Retention {
        /// The new one.
        retention: Option<Retention>,
        /// Whether a governance retention does not hold: the caller asked for that, and may.
        bypass_governance: bool,
    },
    /// Its legal hold.
    LegalHold(bool),
    /// Its data key is wrapped anew, by the node itself, which may do so with what is locked. Nothing changes when `from` is not how
    /// it is sealed any more.
    Rewrap {
        /// How it is sealed.
        from: Encryption,
        /// The same data key under another key.
        to: Encryption,
    },
    /// The same as somebody asks for it. Errs: ObjectLocked; Overtaken when `from` is not how it is sealed any more.
    MoveToKey {
        /// How it is sealed.
        from: Encryption,
        /// The same data key under another key.
        to: Encryption,
    },
}

/// A stored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The new current version.
    pub object: Arc<Object>,
    /// Whether the bucket keeps versions, so that the version id is to be told.
    pub versioned: bool,
    /// What became of it, if it came from another node: then `object` may be the one that it lost against.
    pub applied: Applied,
}

/// Deletes the current object, or one version. A missing object is no error without conditions.
/// Errs: NoSuchBucket, NoSuchKey (If-Match on a missing object), PreconditionFailed.
#[derive(Debug)]
pub struct DeleteObject {
    /// The bucket, as looked up when the request was authorised.
    pub bucket: Arc<Bucket>,
    /// The key.
    pub key: ObjectKey,
    /// The version to delete for good; none means the current object.
    pub version: Option<VersionId>,
    /// Owner of the delete marker if one is made.
    pub owner: CanonicalId,
    /// Whether a governance retention does not hold: the caller asked for that, and may.
    pub bypass_governance: bool,
    /// Preconditions.
    pub conditions: WriteConditions,
    /// Where the change comes from, if it is another node's.
    pub replica: Option<Box<Replica>>,
}

/// What a delete did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deleted {
    /// The version that was deleted, or the delete marker that was made; none in buckets without versioning.
    pub version_id: Option<VersionId>,
    /// Whether that version is, or was, a delete marker.
    pub delete_marker: bool,
    /// What became of it, if it came from another node.
    pub applied: Applied,
}
