//! What a scrub commits: that an object is damaged, right bytes for it, and how far it is.

use std::sync::Arc;

use super::{Mutation, Planner};
use crate::names::{ObjectKey, PartNumber, Stamp, UploadId, VersionId};
use crate::storage::body::BodyPlace;
use crate::storage::disk::FileStamp;
use crate::storage::messages::Bucket;
use crate::storage::read::find_row;
use crate::storage::rows::{self, DamagedRow, ObjectRow, PartRow};
use crate::storage::staging::StagedFile;
use crate::storage::{StorageError, keys};

/// Marks a version as damaged, or takes the mark away. Answers whether it was still there.
pub(in crate::storage) struct MarkDamaged {
    pub bucket: Arc<Bucket>,
    pub key: ObjectKey,
    pub version: VersionId,
    /// The stamp of what was looked at.
    pub of: Stamp,
    /// What its file was; none to take the mark away.
    pub seen: Option<FileStamp>,
}

/// Marks a part of an upload as damaged, or takes the mark away. Answers whether it was still there.
pub(in crate::storage) struct MarkDamagedPart {
    pub bucket: Arc<Bucket>,
    pub upload: UploadId,
    pub number: PartNumber,
    /// The stamp of what was looked at.
    pub of: Stamp,
    pub is_damaged: bool,
}

/// Puts right bytes in the place of damaged ones. Answers whether the version was still there.
pub(in crate::storage) struct RepairObject {
    pub bucket: Arc<Bucket>,
    pub key: ObjectKey,
    pub version: VersionId,
    /// The stamp of what was looked at.
    pub of: Stamp,
    /// Its bytes as they are on disk, durable.
    pub file: StagedFile,
}

/// Keeps how far a scrub is.
pub(in crate::storage) struct KeepScrub(pub Vec<u8>);

/// The row of a version, if it is the one that was looked at.
fn row_of(
    planner: &Planner<'_>,
    bucket: &Bucket,
    key: &ObjectKey,
    version: VersionId,
    of: Stamp,
) -> Result<Option<(Vec<u8>, ObjectRow)>, StorageError> {
    match find_row(planner.rows, bucket, key, Some(version)) {
        Ok((row_key, row)) if row.stamp == of.0 => Ok(Some((row_key, row))),
        Ok(_)
        | Err(
            StorageError::NoSuchKey { .. } | StorageError::NoSuchVersion { .. } | StorageError::IsDeleteMarker { .. },
        ) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Mutation for MarkDamaged {
    type Output = bool;

    fn plan(self, planner: &mut Planner<'_>) -> Result<bool, StorageError> {
        let bucket = planner.live(&self.bucket)?;
        let Some((row_key, row)) = row_of(planner, &bucket, &self.key, self.version, self.of)? else {
            return Ok(false);
        };
        let now = planner.state.clock.now();
        let row = ObjectRow { damaged: self.seen.map(|seen| DamagedRow::of(now, seen)), ..row };
        planner.change(row_key, Some(rows::encode(&row)?));
        Ok(true)
    }
}

impl Mutation for MarkDamagedPart {
    type Output = bool;

    fn plan(self, planner: &mut Planner<'_>) -> Result<bool, StorageError> {
        let bucket = planner.live(&self.bucket)?;
        let row_key = keys::part(bucket.id, self.upload, self.number);
        let row = planner.rows.get(&row_key)?.map(|row| rows::decode::<PartRow>(&row)).transpose()?;
        let Some(row) = row.filter(|row| row.stamp == self.of.0) else { return Ok(false) };
        let now = planner.state.clock.now();
        let damaged = self.is_damaged.then_some(now.0);
        planner.change(row_key, Some(rows::encode(&PartRow { damaged, ..row })?));
        Ok(true)
    }
}

impl Mutation for RepairObject {
    type Output = bool;

    fn plan(self, planner: &mut Planner<'_>) -> Result<bool, StorageError> {
        let bucket = planner.live(&self.bucket)?;
        let Some((row_key, row)) = row_of(planner, &bucket, &self.key, self.version, self.of)? else {
            return Ok(false);
        };
        let row = ObjectRow { damaged: None, ..row };
        let change = planner.change(row_key, Some(rows::encode(&row)?));
        if row.parts.is_some() {
            // Unchanged: its file's tag tells of its parts.
            let list = keys::part_list(bucket.id, Stamp(row.stamp));
            if let Some(parts) = planner.rows.get(&list)? {
                planner.change(list, Some(parts.to_vec()));
            }
        }
        planner.write_aside(&bucket, &self.key, &row, change, BodyPlace::Staged(self.file));
        Ok(true)
    }
}

impl Mutation for KeepScrub {
    type Output = ();

    fn plan(self, planner: &mut Planner<'_>) -> Result<(), StorageError> {
        planner.change(keys::META_SCRUB.to_vec(), Some(self.0));
        Ok(())
    }
}
