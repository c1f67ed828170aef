//! Rows as they stand in the index, in the journal, and — beside each file — in its extended attribute.
//!
//! Rows are CBOR arrays: a field is found by its place, so a place is never reused, a new field goes behind the last one
//! and is optional. Older rows then read as if it were absent. This room has the forms; what is kept in them is written into
//! rows, and read from them, in the rooms below: [`buckets`], [`objects`], [`uploads`], [`events`], and in [`sealed`],
//! [`replication`] and [`damaged`], which have forms of their own.

mod buckets;
mod codes;
mod damaged;
mod events;
mod objects;
mod replication;
mod sealed;
mod uploads;

pub(super) use buckets::{bucket_name, decode_config, decode_runs, encode_config, encode_runs};
pub(super) use damaged::DamagedRow;
use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};
pub(super) use replication::{LineageRow, QueueRow, QueueTotalsRow, TombstoneRow};
pub(super) use sealed::{EncryptionRow, KeyUseRow, SealedRow};

use super::StorageError;
use crate::names::Stamp;

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

/// The row that tells where a null version is.
pub(super) fn encode_stamp(stamp: Stamp) -> Vec<u8> {
    stamp.0.to_be_bytes().to_vec()
}

/// The stamp that such a row tells.
pub(super) fn decode_stamp(row: &[u8]) -> Result<Stamp, StorageError> {
    let bytes = row.try_into().map_err(|_| StorageError::Index("malformed stamp".to_owned()))?;
    Ok(Stamp(u64::from_be_bytes(bytes)))
}
