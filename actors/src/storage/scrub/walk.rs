//! Walking over everything that has bytes, in the order of rows. The place of the walk is the key of the last row.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::names::{BucketId, ObjectKey, PartNumber, UploadId, VersionId};
use crate::storage::client::StorageClient;
use crate::storage::disk::{Disk, FileStamp};
use crate::storage::keys::{self, RowKind};
use crate::storage::messages::{Bucket, Object};
use crate::storage::overlay::Rows as _;
use crate::storage::plan::place_of;
use crate::storage::rows::{self, Location, ObjectRow, PartRow};
use crate::storage::steps::{Place, is_plain_path, staged_path};
use crate::storage::{StorageError, engine::Shared};

/// Rows that one page may look at.
const ROWS_MAX: usize = 4096;

/// What kind of thing is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScrubKind {
    /// A current object.
    Object,
    /// A noncurrent version, or what lost in a conflict.
    Version,
    /// A part of an upload in progress.
    Part,
}

/// Something with bytes of its own.
#[derive(Debug, Clone)]
pub struct ScrubItem {
    pub(super) bucket: Arc<Bucket>,
    pub(super) row_key: Vec<u8>,
    pub(super) row: ItemRow,
    kind: ScrubKind,
}

#[derive(Debug, Clone)]
pub(super) enum ItemRow {
    Object(ObjectKey, Box<ObjectRow>),
    Part(UploadId, PartNumber, Box<PartRow>),
}

/// A page of the walk.
#[derive(Debug)]
pub struct ScrubPage {
    /// What is to be verified.
    pub items: Vec<ScrubItem>,
    /// Rows that cannot be read: `fsck` tells more of them.
    pub unreadable_rows: u64,
    /// Where the next page begins; none when this was the last.
    pub next: Option<Vec<u8>>,
}

impl ScrubItem {
    /// Up to where the walk is with it.
    pub fn mark(&self) -> &[u8] {
        &self.row_key
    }

    /// Its bucket.
    pub fn bucket(&self) -> &Arc<Bucket> {
        &self.bucket
    }

    /// What kind of thing it is.
    pub fn kind(&self) -> ScrubKind {
        self.kind
    }

    /// Its key; none of a part.
    pub fn key(&self) -> Option<&ObjectKey> {
        match &self.row {
            ItemRow::Object(key, _) => Some(key),
            ItemRow::Part(..) => None,
        }
    }

    /// Its version id; none of a part.
    pub fn version_id(&self) -> Option<VersionId> {
        match &self.row {
            ItemRow::Object(_, row) => Some(row.version_id()),
            ItemRow::Part(..) => None,
        }
    }

    /// Upload and number of a part.
    pub fn part(&self) -> Option<(UploadId, PartNumber)> {
        match &self.row {
            ItemRow::Object(..) => None,
            ItemRow::Part(upload, number, _) => Some((*upload, *number)),
        }
    }

    /// The object; none of a part. Errs: its row makes no sense.
    pub fn object(&self) -> Result<Option<Object>, StorageError> {
        match &self.row {
            ItemRow::Object(_, row) => ObjectRow::clone(row).into_object(&self.bucket.owner).map(Some),
            ItemRow::Part(..) => Ok(None),
        }
    }

    /// Whether an earlier scrub has found it damaged.
    pub fn is_marked(&self) -> bool {
        match &self.row {
            ItemRow::Object(_, row) => row.damaged.is_some(),
            ItemRow::Part(_, _, row) => row.damaged.is_some(),
        }
    }

    /// Whether a person's edit of its file would be a new state of the object.
    pub fn is_plain_current(&self) -> bool {
        self.kind == ScrubKind::Object
            && matches!(&self.row, ItemRow::Object(_, row) if row.location == Location::Plain)
    }

    /// Bytes on disk.
    pub fn stored_size(&self) -> u64 {
        match &self.row {
            ItemRow::Object(_, row) => row.stored_size(),
            ItemRow::Part(_, _, row) => row.stored_size(),
        }
    }

    /// Where its file lies, relative to the root.
    pub fn path(&self) -> PathBuf {
        match &self.row {
            ItemRow::Object(key, row) => place_of(&self.bucket, key, row).path(),
            ItemRow::Part(_, _, row) => staged_path(&row.file),
        }
    }

    /// The places at which its file may be: a version may be on its way from one to the other.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let ItemRow::Object(key, row) = &self.row else { return vec![self.path()] };
        let place = place_of(&self.bucket, key, row);
        let other = match place.location {
            Location::Plain => Some(place.overflow_path()),
            _ if is_plain_path(key.as_str()) => Some(Place { location: Location::Plain, ..place.clone() }.path()),
            _ => None,
        };
        [Some(place.path()), other].into_iter().flatten().collect()
    }

    /// First byte within its file.
    pub(super) fn offset(&self) -> u64 {
        match &self.row {
            ItemRow::Object(..) => 0,
            ItemRow::Part(_, _, row) => row.offset,
        }
    }

    /// CRC-64/NVME of the bytes on disk.
    pub(super) fn stored_crc(&self) -> u64 {
        match &self.row {
            ItemRow::Object(_, row) => row.sealed.as_ref().map_or(row.crc64nvme, |sealed| sealed.crc64nvme),
            ItemRow::Part(_, _, row) => row.sealed.map_or(row.crc64nvme, |(_, crc)| crc),
        }
    }

    /// Size and time of its file, as far as they are known: that of a part may have others, and is written meanwhile.
    pub(super) fn own_stamp(&self, disk: &Disk) -> Option<FileStamp> {
        match &self.row {
            ItemRow::Object(_, row) => {
                let modified = disk.rounded(crate::names::Stamp(row.stamp));
                Some(FileStamp { size: row.stored_size(), modified })
            }
            ItemRow::Part(..) => None,
        }
    }

    /// Whether its row is still there, and the same but for what stands beside its bytes.
    pub(super) fn is_current(&self, shared: &Shared) -> Result<bool, StorageError> {
        let Some(row) = shared.rows.get(&self.row_key)? else { return Ok(false) };
        Ok(match &self.row {
            ItemRow::Object(_, own) => rows::decode::<ObjectRow>(&row)?.stamp == own.stamp,
            ItemRow::Part(_, _, own) => rows::decode::<PartRow>(&row)?.stamp == own.stamp,
        })
    }
}

impl StorageClient {
    /// The next things that have bytes, of one bucket or of all, behind the row where the last page ended.
    pub async fn scrub_page(
        &self,
        bucket: Option<Arc<Bucket>>,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<ScrubPage, StorageError> {
        let shared = Arc::clone(&self.shared);
        self.shared.long_pool.run(move || page(&shared, bucket.as_deref(), after, limit)).await
    }
}

fn page(
    shared: &Shared,
    bucket: Option<&Bucket>,
    after: Option<Vec<u8>>,
    limit: usize,
) -> Result<ScrubPage, StorageError> {
    let buckets: HashMap<BucketId, Arc<Bucket>> =
        shared.buckets.iter().map(|bucket| (bucket.id, Arc::clone(&bucket))).collect();
    let mut page = ScrubPage { items: Vec::new(), unreadable_rows: 0, next: None };
    let (mut looked_at, mut last, mut is_full) = (0, after, false);
    for (start, end) in keys::stored(bucket.map(|bucket| bucket.id)) {
        // Behind the last row, which is the least key that is greater.
        let start = match &last {
            Some(last) if *last >= start => [last.as_slice(), &[0]].concat(),
            _ => start,
        };
        if !end.is_empty() && start >= end {
            continue;
        }
        shared.rows.scan(&start, &end, &mut |key, value| {
            is_full = page.items.len() >= limit || looked_at >= ROWS_MAX;
            if is_full {
                return Ok(false);
            }
            looked_at += 1;
            last = Some(key.to_vec());
            match item(&buckets, key, value) {
                Ok(found) => page.items.extend(found),
                Err(error) => {
                    tracing::error!(%error, row = hex::encode(key), "a row cannot be read");
                    page.unreadable_rows += 1;
                }
            }
            Ok(true)
        })?;
        if is_full {
            page.next = last;
            return Ok(page);
        }
    }
    Ok(page)
}

/// What a row tells of; none where it tells of no bytes, or its bucket is being removed.
fn item(
    buckets: &HashMap<BucketId, Arc<Bucket>>,
    row_key: &[u8],
    value: &[u8],
) -> Result<Option<ScrubItem>, StorageError> {
    let unreadable = || StorageError::Index("a key that no table has".to_owned());
    let kind = keys::kind(row_key).ok_or_else(unreadable)?;
    let (bucket, kind, row) = match kind {
        RowKind::Object(bucket, key) => (bucket, ScrubKind::Object, object(&key, value)?),
        RowKind::Version(bucket, key, _) => (bucket, ScrubKind::Version, object(&key, value)?),
        // A version that is looked at where it is.
        RowKind::Conflict(..) if value.is_empty() => return Ok(None),
        RowKind::Conflict(bucket, key, ..) => (bucket, ScrubKind::Version, object(&key, value)?),
        RowKind::Part(bucket, upload, number) => {
            let row = rows::decode::<PartRow>(value)?;
            (bucket, ScrubKind::Part, Some(ItemRow::Part(upload, number, Box::new(row))))
        }
        _ => return Ok(None),
    };
    let item = row.zip(buckets.get(&bucket)).map(|(row, bucket)| {
        let (bucket, row_key) = (Arc::clone(bucket), row_key.to_vec());
        ScrubItem { bucket, row_key, row, kind }
    });
    Ok(item)
}

fn object(key: &[u8], value: &[u8]) -> Result<Option<ItemRow>, StorageError> {
    let row = rows::decode::<ObjectRow>(value)?;
    let key = ObjectKey::parse(key).map_err(|error| StorageError::Index(error.to_string()))?;
    let has_bytes = matches!(row.location, Location::Plain | Location::Overflow);
    Ok(has_bytes.then(|| ItemRow::Object(key, Box::new(row))))
}
