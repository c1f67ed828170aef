//! Where and how one object lies on the disk, and whether its file is the one of its row. No key is asked for: heads, sizes and the
//! checksum of what is stored tell.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::StorageError;
use super::client::StorageClient;
use super::disk::{Disk, FileStamp};
use super::edits::{hash, open_plain};
use super::engine::StorageSettings;
use super::fsck::open_stopped;
use super::keys::{self, RowKind};
use super::messages::Bucket;
use super::overlay::Rows;
use super::plan::{is_same, place_of};
use super::read::{ObjectPart, find_row, object_parts};
use super::rows::{Location, ObjectRow};
use super::{segments, tags};
use crate::encryption::{CHUNK_BYTES, Encryption, EncryptionContext, Method, sealed_size};
use crate::names::{BucketName, Checksum, ChecksumAlgorithm, ChecksumKind, ObjectKey, Stamp, VersionId};

/// One version of an object, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredObject {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its version id; `null` of the null version.
    pub version_id: String,
    /// Whether it is the key's current object.
    pub is_current: bool,
    /// When it was committed.
    pub last_modified: String,
    /// Its ETag, without quotes.
    pub etag: String,
    /// Bytes of content.
    pub size: u64,
    /// Bytes on disk.
    pub stored_size: u64,
    /// The file, relative to the data directory; none of an object that is a folder.
    pub path: Option<String>,
    /// Why it lies where it lies.
    pub location: StoredLocation,
    /// Checksums of content and of what is stored.
    pub checksums: Vec<StoredChecksum>,
    /// Number of its parts, if it was assembled.
    pub parts: Option<u16>,
    /// How it is encrypted; none when it is not.
    pub encryption: Option<StoredEncryption>,
    /// Whether the file is the object's.
    pub file: FileVerdict,
}

/// Where the bytes of an object lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoredLocation {
    /// At the path of its key, in the folder of its bucket.
    Plain,
    /// Among the node's own files: a version that is not current, a key that is no path, or one whose path is taken.
    Overflow,
    /// It is empty, and its key ends with `/`: a folder.
    Folder,
}

/// A checksum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredChecksum {
    /// `CRC64NVME` and so on.
    pub algorithm: &'static str,
    /// In base64.
    pub value: String,
    /// `content`, `parts` for one made of those of the parts, or `stored-bytes`.
    pub of: &'static str,
}

/// How an object is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredEncryption {
    /// `AES-256-GCM`.
    pub algorithm: &'static str,
    /// `SSE-S3`, `SSE-KMS` or `SSE-C`.
    pub method: &'static str,
    /// Id of the master key or KMS key; none of a customer's key.
    pub key_id: Option<String>,
    /// Version of the KMS key's material.
    pub key_version: Option<u32>,
    /// What the KMS key authenticates beside the object's name.
    pub context: Option<EncryptionContext>,
    /// The data key as it is kept, wrapped under that key, in hexadecimal: with it, another program can open the file, too.
    pub wrapped_key: String,
    /// Salt of a customer's key, in hexadecimal.
    pub customer_salt: Option<String>,
    /// Bytes of content that are sealed together.
    pub chunk_bytes: usize,
    /// Its segments as they should be, in order.
    pub segments: Vec<StoredSegment>,
}

/// A segment of an encrypted file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StoredSegment {
    /// Its part; none of an object that one request wrote.
    pub part: Option<u16>,
    /// Bytes of content.
    pub size: u64,
    /// Its first byte in the file.
    pub offset: u64,
    /// Bytes in the file.
    pub stored_size: u64,
}

/// Whether a file is the object's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileVerdict {
    /// In one word.
    pub state: FileState,
    /// More, for people.
    pub detail: String,
    /// Whether every byte was read and compared with the checksum.
    pub read: bool,
}

/// See [`FileVerdict`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileState {
    /// It is.
    Agrees,
    /// There is none, and there need not be.
    Folder,
    /// The bytes are on their way from the journal to the file.
    Pending,
    /// It is not there.
    Missing,
    /// It has another size or time.
    Changed,
    /// It has other bytes than were stored.
    Damaged,
    /// It is the object's, but does not carry its data key: without the index it would be lost.
    Untagged,
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct ExplainObject {
    /// The key.
    pub key: ObjectKey,
    /// The version; none for the current object.
    pub version: Option<VersionId>,
    /// Whether every byte is read.
    pub data: bool,
}

/// Explains an object of a data directory that no node has open. Errs: Io when one has, NoSuchBucket, NoSuchKey, NoSuchVersion,
/// IsDeleteMarker.
pub fn explain(
    settings: &StorageSettings,
    bucket: &BucketName,
    asked: &ExplainObject,
) -> Result<StoredObject, StorageError> {
    let opened = open_stopped(settings)?;
    let there = opened.recovered.buckets.get(bucket);
    let there = there.ok_or_else(|| StorageError::NoSuchBucket { bucket: bucket.clone() })?;
    Explaining { rows: &opened.rows, disk: &opened.disk, is_pending: &|_| false }.explain(there, asked)
}

impl StorageClient {
    /// Where and how an object lies on the disk, and whether its file is the one of its row. Errs: NoSuchKey, NoSuchVersion,
    /// IsDeleteMarker.
    pub async fn explain_object(
        &self,
        bucket: &Arc<Bucket>,
        asked: ExplainObject,
    ) -> Result<StoredObject, StorageError> {
        let (shared, bucket) = (Arc::clone(&self.shared), Arc::clone(bucket));
        let explain = move || {
            let is_pending = |stamp| shared.pending.contains_key(&stamp);
            Explaining { rows: &shared.rows, disk: &shared.disk, is_pending: &is_pending }.explain(&bucket, &asked)
        };
        self.shared.long_pool.run(explain).await
    }
}

struct Explaining<'a> {
    rows: &'a dyn Rows,
    disk: &'a Disk,
    is_pending: &'a dyn Fn(Stamp) -> bool,
}

impl Explaining<'_> {
    fn explain(&self, bucket: &Bucket, asked: &ExplainObject) -> Result<StoredObject, StorageError> {
        let (row_key, row) = find_row(self.rows, bucket, &asked.key, asked.version)?;
        let is_current = matches!(keys::kind(&row_key), Some(RowKind::Object(..)));
        let object = row.clone().into_object(&bucket.owner)?;
        let parts = object_parts(self.rows, bucket, &object)?;
        let encryption = object.encryption().map(|encryption| describe(encryption, &row, &parts));
        let (location, path) = match row.location {
            Location::Plain => (StoredLocation::Plain, Some(place_of(bucket, &asked.key, &row).path())),
            Location::Overflow => (StoredLocation::Overflow, Some(place_of(bucket, &asked.key, &row).path())),
            Location::Folder | Location::Marker => (StoredLocation::Folder, None),
        };
        let file = match &path {
            Some(path) => self.judge(bucket, asked, &row, &parts, path, is_current)?,
            None => verdict(FileState::Folder, "an empty object that is a folder"),
        };
        let crc = |value: u64, of| StoredChecksum {
            algorithm: ChecksumAlgorithm::Crc64Nvme.name(),
            value: Checksum::from_bytes(ChecksumAlgorithm::Crc64Nvme, &value.to_be_bytes())
                .map(|checksum| checksum.to_string())
                .unwrap_or_default(),
            of,
        };
        let mut checksums = vec![crc(row.crc64nvme, "content")];
        checksums.extend(object.sealed.as_ref().map(|sealed| crc(sealed.crc64nvme, "stored-bytes")));
        let asked_for = object.checksum.filter(|told| told.value.algorithm() != ChecksumAlgorithm::Crc64Nvme);
        checksums.extend(asked_for.map(|told| StoredChecksum {
            algorithm: told.value.algorithm().name(),
            value: told.value.to_string(),
            of: if told.kind == ChecksumKind::Composite { "parts" } else { "content" },
        }));
        Ok(StoredObject {
            bucket: bucket.name.as_str().to_owned(),
            key: asked.key.as_str().to_owned(),
            version_id: object.version_id.to_string(),
            is_current,
            last_modified: object.modified().rfc3339(),
            etag: object.etag.to_string(),
            size: row.size,
            stored_size: row.stored_size(),
            path: path.map(|path| path.display().to_string()),
            location,
            checksums,
            parts: row.parts,
            encryption,
            file,
        })
    }

    fn judge(
        &self,
        bucket: &Bucket,
        asked: &ExplainObject,
        row: &ObjectRow,
        parts: &[ObjectPart],
        path: &Path,
        is_current: bool,
    ) -> Result<FileVerdict, StorageError> {
        if (self.is_pending)(Stamp(row.stamp)) {
            return Ok(verdict(FileState::Pending, "its bytes are on their way from the journal to the file"));
        }
        let Some(file) = open_plain(self.disk, path)? else {
            return Ok(verdict(FileState::Missing, "the file is not there"));
        };
        let io = |e| StorageError::io("read", path, e);
        let own = FileStamp { size: row.stored_size(), modified: self.disk.rounded(Stamp(row.stamp)) };
        let there = file.stamp().map_err(io)?;
        if there != own {
            let detail = format!(
                "the file has {} bytes and the time {}; the object's has {} bytes and the time {}",
                there.size,
                there.modified.rfc3339(),
                own.size,
                own.modified.rfc3339()
            );
            return Ok(verdict(FileState::Changed, &detail));
        }
        if row.sealed.is_some() {
            let found = segments::walk(&file, row.stored_size()).map_err(io)?;
            let wanted: Vec<_> = parts.iter().map(|part| (Some(part.number), part.size)).collect();
            let told = |found: &[segments::Segment]| found.iter().map(|s| (s.part, s.size)).collect::<Vec<_>>();
            match found {
                Err(error) => return Ok(verdict(FileState::Damaged, &error.to_string())),
                Ok(found)
                    if !segments::are_of(row, &found) || (row.listed_parts().is_some() && told(&found) != wanted) =>
                {
                    let detail = "the heads of its segments are not those of the object";
                    return Ok(verdict(FileState::Damaged, detail));
                }
                Ok(_) => {}
            }
        }
        if asked.data {
            match hash(&file).map_err(io)? {
                Some((seen, digests)) if is_same(row, &seen, &digests) => {}
                _ => {
                    let bytes = verdict(FileState::Damaged, "its bytes do not match their checksum");
                    return Ok(FileVerdict { read: true, ..bytes });
                }
            }
        }
        let place = place_of(bucket, &asked.key, row);
        let carries = row.sealed.is_none()
            || !self.disk.keeps_tags()
            || tags::tells(&file, &tags::of_file(&place, row, !is_current));
        let (state, detail) = match carries {
            true => (FileState::Agrees, "size, time and all that it tells are the object's"),
            false => (FileState::Untagged, "the file does not carry its data key; fsck --repair mends that"),
        };
        Ok(FileVerdict { read: asked.data, ..verdict(state, detail) })
    }
}

fn verdict(state: FileState, detail: &str) -> FileVerdict {
    FileVerdict { state, detail: detail.to_owned(), read: false }
}

fn describe(encryption: &Encryption, row: &ObjectRow, parts: &[ObjectPart]) -> StoredEncryption {
    let (key_version, context) = match &encryption.method {
        Method::Kms { version, context, .. } => (Some(*version), Some(context.clone())),
        Method::Managed { .. } | Method::Customer(_) => (None, None),
    };
    let customer_salt = match &encryption.method {
        Method::Customer(check) => Some(hex::encode(check.salt)),
        Method::Managed { .. } | Method::Kms { .. } => None,
    };
    let wrapping_key = encryption.wrapping_key();
    let whole = [(None, row.size)];
    let told: Vec<_> = parts.iter().map(|part| (Some(part.number.get()), part.size)).collect();
    let mut offset = 0;
    let segment = |(part, size): &(Option<u16>, u64)| {
        let segment = StoredSegment { part: *part, size: *size, offset, stored_size: sealed_size(*size) };
        offset += segment.stored_size;
        segment
    };
    let segments = if row.listed_parts().is_some() { told.as_slice() } else { &whole };
    StoredEncryption {
        algorithm: "AES-256-GCM",
        method: wrapping_key.method(),
        key_id: wrapping_key.id().map(str::to_owned),
        key_version,
        context,
        wrapped_key: hex::encode(&encryption.wrapped_key),
        customer_salt,
        chunk_bytes: CHUNK_BYTES,
        segments: segments.iter().map(segment).collect(),
    }
}
