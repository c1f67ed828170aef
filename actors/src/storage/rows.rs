//! Rows as they stand in the index, in the journal, and — beside each file — in its extended attribute.
//!
//! Rows are CBOR arrays: a field is found by its place, so a place is never reused, a new field goes behind the last one
//! and is optional. Older rows then read as if it were absent.

mod damaged;
mod replication;
mod sealed;

use std::sync::Arc;

pub(super) use damaged::DamagedRow;
use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};
pub(super) use replication::{LineageRow, QueueRow, QueueTotalsRow, TombstoneRow};
pub(super) use sealed::{EncryptionRow, KeyUseRow, SealedRow};

use super::messages::{
    Attributes, Bucket, Cause, Controls, LifecycleRun, Object, ObjectChecksum, ObjectEvent, Origin, Part, QueuedEvent,
    Upload, Usage, Versioning,
};
use super::{StorageError, keys};
use crate::bucket_config::{Acl, BucketConfig, EventKind, Grant, Grantee, Permission, Retention, RetentionMode};
use crate::names::{
    BucketId, BucketName, CanonicalId, Checksum, ChecksumAlgorithm, ChecksumKind, ETag, ObjectKey, PartNumber, Stamp,
    UploadId, VersionId,
};

/// Where the bytes of an object lie; `paths.rs` turns it into a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(super) enum Location {
    /// The ordinary file `<bucket>/<key>`.
    #[n(0)]
    Plain,
    /// No bytes: a key that ends in `/` is a folder.
    #[n(1)]
    Folder,
    /// A file of its own under `.myfsio.sys`, since the key is no path, something stands in its way, or a later version has it.
    #[n(2)]
    Overflow,
    /// No bytes: a delete marker.
    #[n(3)]
    Marker,
}

#[derive(Debug, Clone, Encode, Decode)]
pub(super) struct BucketRow {
    #[n(0)]
    pub id: u64,
    #[n(1)]
    pub owner: String,
    #[n(2)]
    pub created: u64,
    #[n(3)]
    pub versioning: u8,
}

#[derive(Debug, Clone, Copy, Default, Encode, Decode)]
pub(super) struct UsageRow {
    #[n(0)]
    pub objects: u64,
    #[n(1)]
    pub bytes: u64,
    #[n(2)]
    pub versions: u64,
    /// Absent in older rows, as are the next: what they tell is counted when the node starts.
    #[n(3)]
    pub markers: Option<u64>,
    #[n(4)]
    pub part_bytes: Option<u64>,
    #[n(5)]
    pub old_bytes: Option<u64>,
}

impl UsageRow {
    /// Whether it tells all that is counted today.
    pub fn is_whole(&self) -> bool {
        self.markers.is_some() && self.part_bytes.is_some() && self.old_bytes.is_some()
    }
}

/// What the keys of a prefix, or the things of a user, add up to.
#[derive(Debug, Clone, Default, PartialEq, Encode, Decode)]
pub(super) struct MeterRow {
    #[n(0)]
    pub objects: u64,
    #[n(1)]
    pub bytes: u64,
    /// The key of the last row that its walk has counted; absent when everything is.
    #[n(2)]
    pub after: Option<ByteVec>,
}

#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(super) struct ChecksumRow {
    #[n(0)]
    pub algorithm: u8,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub value: Vec<u8>,
    #[n(2)]
    pub composite: bool,
}

#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(super) struct AttributesRow {
    #[n(0)]
    pub content_type: Option<String>,
    #[n(1)]
    pub cache_control: Option<String>,
    #[n(2)]
    pub content_disposition: Option<String>,
    #[n(3)]
    pub content_encoding: Option<String>,
    #[n(4)]
    pub content_language: Option<String>,
    #[n(5)]
    pub expires: Option<String>,
    #[n(6)]
    pub website_redirect: Option<String>,
    #[n(7)]
    pub storage_class: Option<String>,
    #[n(8)]
    pub user_metadata: Option<Vec<(String, String)>>,
    #[n(9)]
    pub tags: Option<Vec<(String, String)>>,
}

/// A version of an object. What most objects share is left out, and what few have comes last, where an absent field costs
/// nothing: the row is copied to the file's extended attribute, which is cheap while it fits the inode.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(super) struct ObjectRow {
    #[n(0)]
    pub stamp: u64,
    #[n(1)]
    pub size: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub md5: [u8; 16],
    #[n(3)]
    pub crc64nvme: u64,
    #[n(4)]
    pub location: Location,
    /// Absent when all are at their defaults.
    #[n(5)]
    pub attributes: Option<AttributesRow>,
    #[n(6)]
    pub checksum: Option<ChecksumRow>,
    /// Absent for the bucket's owner.
    #[n(7)]
    pub owner: Option<ByteArray<32>>,
    #[n(8)]
    pub parts: Option<u16>,
    /// Random half of the version id; absent for the null version.
    #[n(9)]
    pub version: Option<u64>,
    #[n(10)]
    pub upload: Option<(u64, u64)>,
    /// Absent when all are at their defaults.
    #[n(11)]
    pub controls: Option<ControlsRow>,
    /// When the version that followed it was made; told only in buckets that keep times, and only of noncurrent versions.
    #[n(12)]
    pub noncurrent_since: Option<u64>,
    /// How the bytes are sealed; absent when they are not.
    #[n(13)]
    pub sealed: Option<SealedRow>,
    /// Where it comes from; absent when it was written here at the time of its stamp.
    #[n(14)]
    pub lineage: Option<LineageRow>,
    /// That its file has other bytes than were stored, as a scrub has found; absent of all that are well.
    #[n(15)]
    pub damaged: Option<DamagedRow>,
}

/// Who may do what with a version.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(super) struct ControlsRow {
    #[n(0)]
    pub acl: Option<Vec<GrantRow>>,
    /// End in milliseconds since 1970, and whether the mode is compliance.
    #[n(1)]
    pub retention: Option<(u64, bool)>,
    #[n(2)]
    pub legal_hold: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(super) struct GrantRow {
    /// 0: a user, 1: everybody, 2: everybody with credentials, 3: log delivery.
    #[n(0)]
    pub grantee: u8,
    #[n(1)]
    pub user: Option<ByteArray<32>>,
    /// 0: full control, 1: read, 2: write, 3: read the ACL, 4: write the ACL.
    #[n(2)]
    pub permission: u8,
}

#[derive(Debug, Clone, Encode, Decode)]
pub(super) struct UploadRow {
    #[n(0)]
    pub owner: String,
    #[n(1)]
    pub attributes: AttributesRow,
    #[n(2)]
    pub checksum_algorithm: Option<u8>,
    #[n(3)]
    pub checksum_composite: bool,
    #[n(4)]
    pub controls: Option<ControlsRow>,
    #[n(5)]
    pub encryption: Option<EncryptionRow>,
}

#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(super) struct PartRow {
    #[n(0)]
    pub stamp: u64,
    #[n(1)]
    pub size: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub md5: [u8; 16],
    #[n(3)]
    pub crc64nvme: u64,
    #[n(4)]
    pub checksum_algorithm: Option<u8>,
    #[cbor(n(5), with = "minicbor::bytes")]
    pub checksum: Vec<u8>,
    /// Staged file that holds the bytes.
    #[n(6)]
    pub file: String,
    /// First byte within that file.
    #[n(7)]
    pub offset: u64,
    /// Size of the slots of that file when it is the upload's grid; absent for a file of this part alone.
    #[n(8)]
    pub grid: Option<u64>,
    /// The grid's file, when an earlier part of this number had a slot in it: it must go with the upload, though no other
    /// row may name it.
    #[n(9)]
    pub left_grid: Option<String>,
    /// Size and CRC-64/NVME of the bytes on disk, when they are sealed.
    #[n(10)]
    pub sealed: Option<(u64, u64)>,
    /// When a scrub found that the bytes are not those that were sent.
    #[n(11)]
    pub damaged: Option<u64>,
}

/// A part of an assembled object.
#[derive(Debug, Clone, Encode, Decode)]
pub(super) struct PartListItem {
    #[n(0)]
    pub number: u16,
    #[n(1)]
    pub size: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub checksum: Vec<u8>,
}

#[derive(Debug, Clone, Encode, Decode)]
pub(super) struct PartListRow {
    #[n(0)]
    pub checksum_algorithm: Option<u8>,
    #[n(1)]
    pub parts: Vec<PartListItem>,
}

/// The copy of a row that goes with a file, in its extended attribute `user.myfsio`; the file itself tells the rest.
///
/// Up to 64 bytes ext4 keeps it in the inode (of the usual 256 bytes); a longer one costs a block of the disk and as much
/// time again as the file. So the fields that an ordinary object has stand first.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(super) struct FileTag {
    #[n(0)]
    pub stamp: u64,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub md5: [u8; 16],
    #[n(2)]
    pub crc64nvme: u64,
    #[n(3)]
    pub attributes: Option<AttributesRow>,
    #[n(4)]
    pub checksum: Option<ChecksumRow>,
    #[n(5)]
    pub owner: Option<ByteArray<32>>,
    #[n(6)]
    pub parts: Option<u16>,
    #[n(7)]
    pub version: Option<u64>,
    #[n(8)]
    pub upload: Option<(u64, u64)>,
    /// The key, when the file's path does not tell it.
    #[n(9)]
    pub key: Option<String>,
    /// Size of each part but the last, in bytes, when they are numbered from 1 without a gap and all have it.
    #[n(10)]
    pub part_size: Option<u64>,
    #[n(11)]
    pub controls: Option<ControlsRow>,
    /// Whether a later version or a delete marker followed it.
    #[n(12)]
    pub noncurrent: Option<bool>,
    #[n(13)]
    pub sealed: Option<SealedRow>,
    /// Bytes of plaintext of a sealed object.
    #[n(14)]
    pub plain_size: Option<u64>,
    /// The name to which the data key of a sealed object is bound: the first bytes of its SHA-256.
    #[n(15)]
    pub name: Option<ByteArray<8>>,
    #[n(16)]
    pub lineage: Option<LineageRow>,
}

/// An event in the outbox. It tells all that its target must know, as bucket and object may be gone when it is told.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(super) struct EventRow {
    #[n(0)]
    pub kind: u8,
    #[n(1)]
    pub bucket: String,
    #[n(2)]
    pub bucket_owner: ByteArray<32>,
    #[n(3)]
    pub key: String,
    #[n(4)]
    pub configuration: String,
    #[n(5)]
    pub since: u64,
    #[n(6)]
    pub size: Option<u64>,
    /// MD5 and number of parts.
    #[n(7)]
    pub etag: Option<(ByteArray<16>, Option<u16>)>,
    /// Stamp and random half of the version id; zeros for the null version.
    #[n(8)]
    pub version: Option<(u64, u64)>,
    #[n(9)]
    pub principal: String,
    #[n(10)]
    pub source_ip: String,
    #[n(11)]
    pub request_id: String,
    #[n(12)]
    pub host_id: String,
    /// Why it was given up.
    #[n(13)]
    pub error: Option<String>,
}

/// How far the index and the files follow the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct CheckpointRow {
    /// Every batch up to this sequence number is in the index and in the files, durably.
    #[n(0)]
    pub sequence: u64,
    /// Segment in which the next batch stands, if it was written.
    #[n(1)]
    pub segment: u32,
    /// Its first byte within that segment.
    #[n(2)]
    pub offset: u64,
    /// Highest stamp handed out so far.
    #[n(3)]
    pub stamp: u64,
    /// Generation of the node that wrote it.
    #[n(4)]
    pub generation: u64,
    /// Whether what follows is written without syncs: power loss may then leave holes in the journal.
    #[n(5)]
    pub relaxed: bool,
    /// Whether the run that wrote it went on: then the journal holds what follows, and each file of it must be there. Absent in
    /// older rows, which do not tell.
    #[n(6)]
    pub is_open: Option<bool>,
}

/// How far the walk is that brings the times of a bucket into rows.
#[derive(Debug, Clone, Default, PartialEq, Encode, Decode)]
pub(super) struct TimesRow {
    /// Whether all are there.
    #[n(0)]
    pub is_complete: bool,
    /// The key of the last row that it looked at.
    #[n(1)]
    pub after: Option<ByteVec>,
}

#[derive(Debug, Clone, Copy, Encode, Decode)]
pub(super) struct FormatRow {
    /// The oldest format that a program must know to read the rows (`format.rs`).
    #[n(0)]
    pub version: u32,
    #[n(1)]
    pub bucket_id_next: u64,
}

/// Version of the formats of rows, journal and layout that this program writes and reads.
pub(super) const FORMAT_VERSION: u32 = 2;

/// Encodes a row.
pub(super) fn encode<T: Encode<()>>(row: &T) -> Result<Vec<u8>, StorageError> {
    minicbor::to_vec(row).map_err(|e| StorageError::Index(format!("row not encodable: {e}")))
}

/// Decodes a row; a broken one is corruption, never absence.
pub(super) fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, StorageError> {
    minicbor::decode(bytes).map_err(|e| StorageError::Index(format!("row not decodable: {e}")))
}

fn algorithm_code(algorithm: ChecksumAlgorithm) -> u8 {
    match algorithm {
        ChecksumAlgorithm::Crc32 => 1,
        ChecksumAlgorithm::Crc32c => 2,
        ChecksumAlgorithm::Crc64Nvme => 3,
        ChecksumAlgorithm::Sha1 => 4,
        ChecksumAlgorithm::Sha256 => 5,
    }
}

fn algorithm_of(code: u8) -> Result<ChecksumAlgorithm, StorageError> {
    ChecksumAlgorithm::ALL
        .into_iter()
        .find(|a| algorithm_code(*a) == code)
        .ok_or_else(|| StorageError::Index(format!("unknown checksum algorithm {code}")))
}

fn checksum_of(algorithm: u8, value: &[u8]) -> Result<Checksum, StorageError> {
    let checksum = Checksum::from_bytes(algorithm_of(algorithm)?, value);
    checksum.ok_or_else(|| StorageError::Index("checksum of wrong length".to_owned()))
}

fn owner_of(text: &str) -> Result<CanonicalId, StorageError> {
    CanonicalId::parse(text).map_err(|_| StorageError::Index(format!("malformed owner {text:?}")))
}

impl From<&Attributes> for AttributesRow {
    fn from(a: &Attributes) -> Self {
        Self {
            content_type: a.content_type.clone(),
            cache_control: a.cache_control.clone(),
            content_disposition: a.content_disposition.clone(),
            content_encoding: a.content_encoding.clone(),
            content_language: a.content_language.clone(),
            expires: a.expires.clone(),
            website_redirect: a.website_redirect.clone(),
            storage_class: a.storage_class.clone(),
            user_metadata: (!a.user_metadata.is_empty()).then(|| a.user_metadata.clone()),
            tags: (!a.tags.is_empty()).then(|| a.tags.clone()),
        }
    }
}

impl From<AttributesRow> for Attributes {
    fn from(a: AttributesRow) -> Self {
        Self {
            content_type: a.content_type,
            cache_control: a.cache_control,
            content_disposition: a.content_disposition,
            content_encoding: a.content_encoding,
            content_language: a.content_language,
            expires: a.expires,
            website_redirect: a.website_redirect,
            storage_class: a.storage_class,
            user_metadata: a.user_metadata.unwrap_or_default(),
            tags: a.tags.unwrap_or_default(),
        }
    }
}

impl From<&Controls> for ControlsRow {
    fn from(controls: &Controls) -> Self {
        let grant = |grant: &Grant| {
            let (grantee, user) = match &grant.grantee {
                Grantee::User(user) => (0, Some(user.to_bytes().into())),
                Grantee::AllUsers => (1, None),
                Grantee::AuthenticatedUsers => (2, None),
                Grantee::LogDelivery => (3, None),
            };
            let permission = match grant.permission {
                Permission::FullControl => 0,
                Permission::Read => 1,
                Permission::Write => 2,
                Permission::ReadAcp => 3,
                Permission::WriteAcp => 4,
            };
            GrantRow { grantee, user, permission }
        };
        Self {
            acl: controls.acl.as_ref().map(|acl| acl.grants.iter().map(grant).collect()),
            retention: controls.retention.map(|r| (r.until_millis, r.mode == RetentionMode::Compliance)),
            legal_hold: controls.legal_hold,
        }
    }
}

impl TryFrom<ControlsRow> for Controls {
    type Error = StorageError;

    fn try_from(row: ControlsRow) -> Result<Self, StorageError> {
        let grant = |row: GrantRow| {
            let grantee = match (row.grantee, row.user) {
                (0, Some(user)) => Grantee::User(CanonicalId::from_bytes(user.into())),
                (1, _) => Grantee::AllUsers,
                (2, _) => Grantee::AuthenticatedUsers,
                (3, _) => Grantee::LogDelivery,
                (other, _) => return Err(StorageError::Index(format!("unknown grantee {other}"))),
            };
            let permission = match row.permission {
                0 => Permission::FullControl,
                1 => Permission::Read,
                2 => Permission::Write,
                3 => Permission::ReadAcp,
                4 => Permission::WriteAcp,
                other => return Err(StorageError::Index(format!("unknown permission {other}"))),
            };
            Ok(Grant { grantee, permission })
        };
        let acl = row.acl.map(|grants| grants.into_iter().map(grant).collect::<Result<_, StorageError>>());
        let mode = |compliance| if compliance { RetentionMode::Compliance } else { RetentionMode::Governance };
        Ok(Self {
            acl: acl.transpose()?.map(|grants| Acl { grants }),
            retention: row
                .retention
                .map(|(until_millis, compliance)| Retention { mode: mode(compliance), until_millis }),
            legal_hold: row.legal_hold,
        })
    }
}

impl EventRow {
    pub fn of(event: &ObjectEvent, configuration: &str) -> Self {
        let origin = &event.origin;
        let version = |id| match id {
            VersionId::Null => (0, 0),
            VersionId::Unique { stamp, random } => (stamp.0, random),
        };
        Self {
            kind: event.kind.code(),
            bucket: event.bucket.as_str().to_owned(),
            bucket_owner: event.bucket_owner.to_bytes().into(),
            key: event.key.as_str().to_owned(),
            configuration: configuration.to_owned(),
            since: event.sequence.0,
            size: event.size,
            etag: event.etag.map(|etag| (etag.md5.into(), etag.parts)),
            version: event.version_id.map(version),
            principal: origin.principal.clone(),
            source_ip: origin.source_ip.clone(),
            request_id: origin.request_id.clone(),
            host_id: origin.host_id.clone(),
            error: None,
        }
    }

    /// The event whose row's key has this sequence.
    pub fn into_event(self, sequence: Stamp) -> Result<QueuedEvent, StorageError> {
        let malformed = |what: &str| StorageError::Index(format!("an event of an unknown {what}"));
        let origin = Origin {
            cause: Cause::Request,
            principal: self.principal,
            source_ip: self.source_ip,
            request_id: self.request_id,
            host_id: self.host_id,
        };
        let event = ObjectEvent {
            kind: EventKind::of_code(self.kind).ok_or_else(|| malformed("kind"))?,
            bucket: BucketName::parse(&self.bucket).map_err(|_| malformed("bucket"))?,
            bucket_owner: CanonicalId::from_bytes(self.bucket_owner.into()),
            key: ObjectKey::parse(self.key.as_bytes()).map_err(|_| malformed("key"))?,
            sequence,
            size: self.size,
            etag: self.etag.map(|(md5, parts)| ETag { md5: md5.into(), parts }),
            version_id: self.version.map(|(stamp, random)| match (stamp, random) {
                (0, 0) => VersionId::Null,
                (stamp, random) => VersionId::Unique { stamp: Stamp(stamp), random },
            }),
            origin: Arc::new(origin),
        };
        Ok(QueuedEvent { configuration: self.configuration, event, since: Stamp(self.since), error: self.error })
    }
}

impl BucketRow {
    pub fn of(bucket: &Bucket) -> Self {
        let versioning = match bucket.versioning {
            Versioning::Off => 0,
            Versioning::Enabled => 1,
            Versioning::Suspended => 2,
        };
        Self { id: bucket.id.0, owner: bucket.owner.as_str().to_owned(), created: bucket.created.0, versioning }
    }

    /// The bucket of this row, but for its configuration.
    pub fn into_bucket(self, name: BucketName) -> Result<Bucket, StorageError> {
        let versioning = match self.versioning {
            0 => Versioning::Off,
            1 => Versioning::Enabled,
            2 => Versioning::Suspended,
            other => return Err(StorageError::Index(format!("unknown versioning state {other}"))),
        };
        let owner = owner_of(&self.owner)?;
        Ok(Bucket {
            id: BucketId(self.id),
            name,
            owner,
            created: Stamp(self.created),
            versioning,
            config: Arc::default(),
        })
    }
}

impl From<UsageRow> for Usage {
    fn from(row: UsageRow) -> Self {
        Self {
            objects: row.objects,
            bytes: row.bytes,
            versions: row.versions,
            markers: row.markers.unwrap_or_default(),
            part_bytes: row.part_bytes.unwrap_or_default(),
            old_bytes: row.old_bytes.unwrap_or_default(),
        }
    }
}

impl From<Usage> for UsageRow {
    fn from(usage: Usage) -> Self {
        Self {
            objects: usage.objects,
            bytes: usage.bytes,
            versions: usage.versions,
            markers: Some(usage.markers),
            part_bytes: Some(usage.part_bytes),
            old_bytes: Some(usage.old_bytes),
        }
    }
}

impl ObjectRow {
    pub fn of(object: &Object, location: Location, bucket_owner: &CanonicalId) -> Self {
        let version = match object.version_id {
            VersionId::Null => None,
            VersionId::Unique { random, .. } => Some(random),
        };
        let checksum = object.checksum.map(|c| ChecksumRow {
            algorithm: algorithm_code(c.value.algorithm()),
            value: c.value.bytes().to_vec(),
            composite: c.kind == ChecksumKind::Composite,
        });
        Self {
            stamp: object.stamp.0,
            size: object.size,
            md5: object.etag.md5,
            parts: object.etag.parts,
            crc64nvme: object.crc64nvme,
            location,
            version,
            owner: (object.owner != *bucket_owner).then(|| object.owner.to_bytes().into()),
            checksum,
            attributes: (object.attributes != Attributes::default()).then(|| (&object.attributes).into()),
            upload: object.upload.map(|u| (u.stamp.0, u.random)),
            controls: (object.controls != Controls::default()).then(|| (&object.controls).into()),
            noncurrent_since: None,
            sealed: object.sealed.as_ref().map(SealedRow::of),
            lineage: object.lineage.as_deref().map(LineageRow::of),
            damaged: None,
        }
    }

    /// Its place among the versions of its key.
    pub fn clock(&self) -> Stamp {
        Stamp(self.lineage.as_ref().map_or(self.stamp, |lineage| lineage.clock))
    }

    /// When it was written, on whatever node.
    pub fn modified(&self) -> Stamp {
        Stamp(self.lineage.as_ref().and_then(|lineage| lineage.modified).unwrap_or(self.stamp))
    }

    /// Whether it is kept only since it lost against a change that had not seen it.
    pub fn is_copy(&self) -> bool {
        self.lineage.as_ref().is_some_and(|lineage| lineage.is_copy == Some(true))
    }

    /// Bytes on disk.
    pub fn stored_size(&self) -> u64 {
        self.sealed.as_ref().map_or(self.size, |sealed| sealed.size)
    }

    /// Number of parts that a list tells of; see [`Object::listed_parts`].
    pub fn listed_parts(&self) -> Option<u16> {
        self.parts.or_else(|| self.sealed.as_ref().and_then(|sealed| sealed.segments))
    }

    /// Its version id.
    pub fn version_id(&self) -> VersionId {
        let stamp = self.clock();
        self.version.map_or(VersionId::Null, |random| VersionId::Unique { stamp, random })
    }

    /// Whether it is a delete marker.
    pub fn is_marker(&self) -> bool {
        self.location == Location::Marker
    }

    pub fn into_object(self, bucket_owner: &CanonicalId) -> Result<Object, StorageError> {
        let version_id = self.version_id();
        let checksum = match self.checksum {
            None => None,
            Some(row) => {
                let value = checksum_of(row.algorithm, &row.value)?;
                let kind = if row.composite { ChecksumKind::Composite } else { ChecksumKind::FullObject };
                Some(ObjectChecksum { value, kind })
            }
        };
        Ok(Object {
            version_id,
            stamp: Stamp(self.stamp),
            size: self.size,
            etag: ETag { md5: self.md5, parts: self.parts },
            crc64nvme: self.crc64nvme,
            checksum,
            owner: self.owner.map_or_else(|| bucket_owner.clone(), |bytes| CanonicalId::from_bytes(bytes.into())),
            attributes: self.attributes.map(Attributes::from).unwrap_or_default(),
            controls: self.controls.map(Controls::try_from).transpose()?.unwrap_or_default(),
            upload: self.upload.map(|(stamp, random)| UploadId { stamp: Stamp(stamp), random }),
            sealed: self.sealed.map(SealedRow::into_sealed).transpose()?,
            lineage: self.lineage.map(LineageRow::into_lineage).transpose()?.map(Box::new),
        })
    }
}

impl FileTag {
    /// The tag of an object's file; `key` where its path does not tell it, `part_size` where its parts have one.
    pub fn of(row: ObjectRow, key: Option<&str>, part_size: Option<u64>) -> Self {
        Self {
            stamp: row.stamp,
            md5: row.md5,
            crc64nvme: row.crc64nvme,
            attributes: row.attributes,
            checksum: row.checksum,
            owner: row.owner,
            parts: row.parts,
            version: row.version,
            upload: row.upload,
            key: key.map(str::to_owned),
            part_size,
            controls: row.controls,
            noncurrent: None,
            plain_size: row.sealed.is_some().then_some(row.size),
            sealed: row.sealed,
            name: None,
            lineage: row.lineage,
        }
    }

    /// The row of an object whose file has `size` bytes.
    pub fn into_row(self, size: u64, location: Location) -> ObjectRow {
        ObjectRow {
            stamp: self.stamp,
            size: self.plain_size.unwrap_or(size),
            md5: self.md5,
            crc64nvme: self.crc64nvme,
            location,
            attributes: self.attributes,
            checksum: self.checksum,
            owner: self.owner,
            parts: self.parts,
            version: self.version,
            upload: self.upload,
            controls: self.controls,
            noncurrent_since: None,
            sealed: self.sealed,
            lineage: self.lineage,
            damaged: None,
        }
    }

    /// What the tag tells of the parts of an object of `size` bytes; empty when it does not tell their sizes.
    pub fn part_list(&self, size: u64) -> PartListRow {
        let sizes = self.parts.zip(self.part_size).and_then(|(count, part)| {
            let last = size.checked_sub(part.checked_mul(u64::from(count.checked_sub(1)?))?)?;
            Some((count, part, last))
        });
        let item = |number, size| PartListItem { number, size, checksum: Vec::new() };
        let parts = sizes.map_or_else(Vec::new, |(count, part, last)| {
            (1..count).map(|number| item(number, part)).chain([item(count, last)]).collect()
        });
        PartListRow { checksum_algorithm: None, parts }
    }
}

impl UploadRow {
    /// Who initiated it, and owns what it holds.
    pub fn owner(&self) -> Result<CanonicalId, StorageError> {
        owner_of(&self.owner)
    }

    pub fn of(upload: &Upload) -> Self {
        Self {
            owner: upload.owner.as_str().to_owned(),
            attributes: (&upload.attributes).into(),
            checksum_algorithm: upload.checksum.map(|(a, _)| algorithm_code(a)),
            checksum_composite: upload.checksum.is_some_and(|(_, k)| k == ChecksumKind::Composite),
            controls: (upload.controls != Controls::default()).then(|| (&upload.controls).into()),
            encryption: upload.encryption.as_ref().map(EncryptionRow::of),
        }
    }

    pub fn into_upload(self, key: ObjectKey, id: UploadId) -> Result<Upload, StorageError> {
        let kind = if self.checksum_composite { ChecksumKind::Composite } else { ChecksumKind::FullObject };
        let checksum = match self.checksum_algorithm {
            Some(code) => Some((algorithm_of(code)?, kind)),
            None => None,
        };
        let controls = self.controls.map(Controls::try_from).transpose()?.unwrap_or_default();
        let encryption = self.encryption.map(EncryptionRow::into_encryption).transpose()?;
        let (owner, attributes) = (owner_of(&self.owner)?, self.attributes.into());
        Ok(Upload { id, key, owner, attributes, controls, checksum, encryption })
    }
}

impl PartRow {
    /// Bytes on disk.
    pub fn stored_size(&self) -> u64 {
        self.sealed.map_or(self.size, |(size, _)| size)
    }

    pub fn to_part(&self, number: PartNumber) -> Result<Part, StorageError> {
        let checksum = self.checksum_algorithm.map(|code| checksum_of(code, &self.checksum)).transpose()?;
        Ok(Part {
            number,
            size: self.size,
            etag: ETag::single(self.md5),
            crc64nvme: self.crc64nvme,
            checksum,
            stamp: Stamp(self.stamp),
        })
    }

    pub fn set_checksum(&mut self, checksum: Option<Checksum>) {
        self.checksum_algorithm = checksum.map(|c| algorithm_code(c.algorithm()));
        self.checksum = checksum.map(|c| c.bytes().to_vec()).unwrap_or_default();
    }
}

impl PartListRow {
    pub fn of(parts: &[Part]) -> Self {
        let checksum_algorithm = parts.first().and_then(|p| p.checksum).map(|c| algorithm_code(c.algorithm()));
        let item = |p: &Part| PartListItem {
            number: p.number.get(),
            size: p.size,
            checksum: p.checksum.map(|c| c.bytes().to_vec()).unwrap_or_default(),
        };
        Self { checksum_algorithm, parts: parts.iter().map(item).collect() }
    }

    /// Size of each part but the last, when they are numbered from 1 without a gap and all have it.
    pub fn part_size(&self) -> Option<u64> {
        let (last, others) = self.parts.split_last()?;
        let size = others.first().unwrap_or(last).size;
        let numbered = self.parts.iter().zip(1..).all(|(part, number)| part.number == number);
        (numbered && others.iter().all(|part| part.size == size)).then_some(size)
    }

    pub fn algorithm(&self) -> Result<Option<ChecksumAlgorithm>, StorageError> {
        self.checksum_algorithm.map(algorithm_of).transpose()
    }
}

/// The row of a bucket's configuration; none when nothing is configured.
pub(super) fn encode_config(config: &BucketConfig) -> Result<Option<Vec<u8>>, StorageError> {
    if *config == BucketConfig::default() {
        return Ok(None);
    }
    serde_json::to_vec(config).map(Some).map_err(|e| StorageError::Index(format!("row not encodable: {e}")))
}

/// What is configured of a bucket, as its row tells.
pub(super) fn decode_config(row: &[u8]) -> Result<BucketConfig, StorageError> {
    serde_json::from_slice(row).map_err(|e| StorageError::Index(format!("row not decodable: {e}")))
}

/// The row of the last runs of a bucket's lifecycle rules.
pub(super) fn encode_runs(runs: &[LifecycleRun]) -> Result<Vec<u8>, StorageError> {
    serde_json::to_vec(runs).map_err(|e| StorageError::Index(format!("row not encodable: {e}")))
}

/// The runs that such a row tells, newest first.
pub(super) fn decode_runs(row: &[u8]) -> Result<Vec<LifecycleRun>, StorageError> {
    serde_json::from_slice(row).map_err(|e| StorageError::Index(format!("row not decodable: {e}")))
}

/// The row that tells where a null version is.
pub(super) fn encode_stamp(stamp: Stamp) -> Vec<u8> {
    stamp.0.to_be_bytes().to_vec()
}

/// The stamp that such a row tells.
pub(super) fn decode_stamp(row: &[u8]) -> Result<Stamp, StorageError> {
    let bytes = row.try_into().map_err(|_| StorageError::Index("malformed stamp".to_owned()))?;
    Ok(Stamp(u64::from_be_bytes(bytes)))
}

/// The name of a bucket inside the key of its row.
pub(super) fn bucket_name(row_key: &[u8]) -> Result<BucketName, StorageError> {
    let (start, _) = keys::buckets();
    row_key
        .strip_prefix(start.as_slice())
        .and_then(|name| std::str::from_utf8(name).ok())
        .and_then(|name| BucketName::parse(name).ok())
        .ok_or_else(|| StorageError::Index("malformed bucket row".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(attributes: Option<AttributesRow>, checksum: Option<ChecksumRow>) -> FileTag {
        let (stamp, md5, crc64nvme) = (1_800_000_000_123_456_789, [7; 16], u64::MAX);
        let row = ObjectRow {
            stamp,
            size: 5 << 40,
            md5,
            crc64nvme,
            location: Location::Plain,
            attributes,
            checksum,
            owner: None,
            parts: None,
            version: None,
            upload: None,
            controls: None,
            noncurrent_since: None,
            sealed: None,
            lineage: None,
            damaged: None,
        };
        FileTag::of(row, None, None)
    }

    /// The room that ext4 leaves in an inode of 256 bytes for the value of an attribute of this name.
    #[test]
    fn the_tag_of_an_ordinary_object_fits_the_inode() {
        let attributes = Attributes { content_type: Some("application/json".to_owned()), ..Attributes::default() };
        let checksum = ChecksumRow { algorithm: 1, value: vec![1, 2, 3, 4], composite: false };
        let small = tag(Some((&attributes).into()), Some(checksum));
        let bytes = encode(&small).unwrap();
        assert!(bytes.len() <= 64 + 4, "{}", bytes.len());
        assert_eq!(decode::<FileTag>(&bytes).unwrap(), small);
        assert!(encode(&tag(None, None)).unwrap().len() <= 40);
    }

    #[test]
    fn parts_of_one_size_come_back_from_the_tag() {
        let list = |sizes: &[(u16, u64)]| {
            let item = |&(number, size): &(u16, u64)| PartListItem { number, size, checksum: Vec::new() };
            PartListRow { checksum_algorithm: None, parts: sizes.iter().map(item).collect() }
        };
        for (sizes, size) in [
            (vec![(1, 7)], Some(7)),
            (vec![(1, 8), (2, 8), (3, 1)], Some(8)),
            (vec![(2, 8)], None),
            (vec![(1, 8), (2, 7), (3, 8)], None),
            (vec![(1, 1), (2, 9)], Some(1)),
        ] {
            let list = list(&sizes);
            assert_eq!(list.part_size(), size, "{sizes:?}");
            let row = FileTag { parts: Some(sizes.len() as u16), part_size: size, ..tag(None, None) };
            let total = sizes.iter().map(|(_, size)| size).sum();
            let told: Vec<_> = row.part_list(total).parts.iter().map(|part| (part.number, part.size)).collect();
            assert_eq!(told, if size.is_some() { sizes } else { Vec::new() });
        }
    }
}
