//! Choosing between the sides of a conflict, and letting go of copies whose time is over.

use std::sync::Arc;

use super::lineage::Keyed;
use super::versions::Tally;
use super::{Growth, Mutation, ObjectWrite, Planner, place_of};
use crate::names::{ObjectKey, Stamp, VersionId};
use crate::storage::StorageError;
use crate::storage::body::BodyPlace;
use crate::storage::keys::{self, RowKind};
use crate::storage::messages::{Bucket, Object, Stored, WriteConditions};
use crate::storage::read::find_version;
use crate::storage::replication::copy_row;
use crate::storage::rows::{self, LineageRow, ObjectRow};
use crate::storage::staging::StagedFile;
use crate::storage::steps::Step;

/// Rows of one commit.
const ROWS_MAX: usize = if cfg!(test) { 3 } else { 200 };

/// Ends a conflict: the copy goes, or a version is not marked any more. Errs: ObjectLocked for a copy that is locked.
pub(in crate::storage) struct EndConflict {
    pub bucket: Arc<Bucket>,
    pub key: ObjectKey,
    pub version_id: VersionId,
    /// The copy's bytes as they are on disk, if it is to be the current object.
    pub chosen: Option<(Object, StagedFile)>,
}

impl Mutation for EndConflict {
    /// The new current object, if the copy was chosen.
    type Output = Option<Stored>;

    fn plan(self, planner: &mut Planner<'_>) -> Result<Self::Output, StorageError> {
        let Self { bucket, key, version_id, chosen } = self;
        let bucket = planner.live(&bucket)?;
        let copy = copy_row(planner.rows, bucket.id, &key, version_id)?;
        let version = find_version(planner.rows, bucket.id, &key, version_id)?;
        if copy.is_none() && version.as_ref().is_none_or(|(_, row)| !is_marked(row)) {
            return Err(StorageError::NoSuchVersion { key, version: version_id });
        }
        end(planner, &bucket, &key, copy, version)?;
        let Some((object, file)) = chosen else { return Ok(None) };
        // Read as it was before the copy went.
        let parts = planner.rows.get(&keys::part_list(bucket.id, object.stamp))?;
        let conditions = WriteConditions::default();
        let write = ObjectWrite {
            bucket: &bucket,
            key: &key,
            conditions: &conditions,
            object: Object { upload: None, ..object },
            bytes: BodyPlace::Staged(file),
            reserved: None,
            replica: None,
        };
        let stored = write.plan(planner)?;
        if let Some(parts) = parts {
            planner.change(keys::part_list(bucket.id, stored.object.stamp), Some(parts.to_vec()));
        }
        Ok(Some(stored))
    }
}

fn is_marked(row: &ObjectRow) -> bool {
    row.lineage.as_ref().is_some_and(|lineage| lineage.is_conflict == Some(true))
}

fn end(
    planner: &mut Planner<'_>,
    bucket: &Bucket,
    key: &ObjectKey,
    copy: Option<Keyed>,
    version: Option<Keyed>,
) -> Result<(), StorageError> {
    if let Some(copy) = copy {
        let mut tally = Tally::default();
        planner.drop_copy(&mut tally, bucket, key, &copy)?;
        return tally.count(planner, bucket.id);
    }
    if let Some((row_key, row)) = version {
        planner.unmark(bucket.id, key, &row)?;
        let lineage = row.lineage.clone().map(|lineage| LineageRow { is_conflict: None, ..lineage });
        let row = ObjectRow { lineage, ..row };
        let change = planner.change(row_key, Some(rows::encode(&row)?));
        planner.step(Step::Tag { place: place_of(bucket, key, &row), row: change });
    }
    Ok(())
}

/// Lets go of conflicts, a few in each commit: those that are older than `before`, or all copies of a bucket that is about to go. A copy
/// that is locked stays.
pub(in crate::storage) struct EndConflicts {
    pub bucket: Arc<Bucket>,
    /// Where to go on.
    pub after: Option<Vec<u8>>,
    /// Those that came here before this time.
    pub before: Stamp,
}

impl Mutation for EndConflicts {
    /// Where to go on; none at the end.
    type Output = Option<Vec<u8>>;

    fn plan(self, planner: &mut Planner<'_>) -> Result<Self::Output, StorageError> {
        let bucket = planner.live(&self.bucket)?;
        let (start, end_of_all) = keys::conflicts(bucket.id);
        let start = self.after.map_or(start, |after| [after.as_slice(), &[0]].concat());
        let mut found = Vec::new();
        planner.rows.scan(&start, &end_of_all, &mut |row_key, row| {
            found.push((row_key.to_vec(), row.to_vec()));
            Ok(found.len() < ROWS_MAX)
        })?;
        let next = found.last().filter(|_| found.len() == ROWS_MAX).map(|(row_key, _)| row_key.clone());
        let mut tally = Tally::default();
        for (row_key, row) in found {
            let Some(RowKind::Conflict(_, key, clock, random)) = keys::kind(&row_key) else { continue };
            let Ok(key) = ObjectKey::parse(&key) else { continue };
            if !row.is_empty() {
                let row: ObjectRow = rows::decode(&row)?;
                // What was here long before it lost is kept from then on.
                if Stamp(row.noncurrent_since.unwrap_or(row.stamp)) < self.before {
                    match planner.drop_copy(&mut tally, &bucket, &key, &(row_key, row)) {
                        Err(StorageError::ObjectLocked { .. }) => {}
                        other => other?,
                    }
                }
                continue;
            }
            let version_id = VersionId::Unique { stamp: Stamp(clock), random };
            let version = find_version(planner.rows, bucket.id, &key, version_id)?;
            if version.as_ref().is_some_and(|(_, row)| Stamp(row.stamp) < self.before) {
                end(planner, &bucket, &key, None, version)?;
            }
        }
        tally.count(planner, bucket.id)?;
        planner.charge(None, Growth::Regardless)?;
        Ok(next)
    }
}

/// Lets go of tombstones that are older than `before`, a few in each commit.
pub(in crate::storage) struct ForgetTombstones {
    pub bucket: Arc<Bucket>,
    pub before: Stamp,
}

impl Mutation for ForgetTombstones {
    /// Whether there may be more.
    type Output = bool;

    fn plan(self, planner: &mut Planner<'_>) -> Result<bool, StorageError> {
        let bucket = planner.live(&self.bucket)?;
        Ok(planner.forget_tombstones(&bucket, |since| since < self.before, ROWS_MAX)? == ROWS_MAX)
    }
}

/// The copies of a bucket that goes. They do not keep it from being deleted, unless they are locked. Errs: BucketNotEmpty; Busy when they
/// are many, which go beforehand.
pub(super) fn drop_copies(planner: &mut Planner<'_>, bucket: &Bucket, limit: usize) -> Result<(), StorageError> {
    let (start, end) = keys::conflicts(bucket.id);
    let mut found = Vec::new();
    planner.rows.scan(&start, &end, &mut |row_key, row| {
        found.push((row_key.to_vec(), row.to_vec()));
        Ok(found.len() <= limit)
    })?;
    let are_many = found.len() > limit;
    let mut tally = Tally::default();
    for (row_key, row) in found {
        let Some(RowKind::Conflict(_, key, ..)) = keys::kind(&row_key) else { continue };
        match ObjectKey::parse(&key) {
            Ok(key) if !row.is_empty() => {
                let copy = (row_key, rows::decode(&row)?);
                planner.drop_copy(&mut tally, bucket, &key, &copy).map_err(|error| match error {
                    StorageError::ObjectLocked { .. } => {
                        StorageError::BucketNotEmpty { bucket: bucket.name.clone(), unknown_file: None }
                    }
                    other => other,
                })?;
            }
            _ => drop(planner.change(row_key, None)),
        }
    }
    if are_many {
        return Err(StorageError::Busy);
    }
    // Its other counters go with it.
    tally.count_keys(planner)
}
