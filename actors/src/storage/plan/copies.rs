//! Conflict copies: what lost against a change that had not seen it is kept beside the versions, until somebody has looked at it or
//! its time is over. Listings do not show it; counters and quotas do.
//!
//! Where a key has versions, what lost is a version like others, and is only marked.

use super::lineage::Keyed;
use super::object::{choose_location, drop_previous, place_of};
use super::versions::{Tally, Unlocked};
use super::{Effect, Growth, Planner};
use crate::names::{BucketId, ObjectKey, Stamp, VersionId};
use crate::storage::body::BodyPlace;
use crate::storage::messages::{Applied, Bucket, Lineage, Object};
use crate::storage::quota::Reserved;
use crate::storage::rows::{self, LineageRow, Location, ObjectRow};
use crate::storage::steps::{Source, Step};
use crate::storage::{StorageError, keys};

/// What becomes of a row that gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaves {
    /// It goes.
    ForGood,
    /// It lost in a conflict, and is kept as a copy.
    AsCopy,
}

/// The row of a copy, with its key. It is named by the change that made it. `since`: when it lost, if it was here before.
fn copy_of(bucket: BucketId, key: &ObjectKey, row: &ObjectRow, lineage: &Lineage, since: Option<Stamp>) -> Keyed {
    let random = row.version.unwrap_or_else(|| lineage.change.origin.get());
    let lineage_row = LineageRow { is_conflict: Some(true), is_copy: Some(true), ..LineageRow::of(lineage) };
    let location = if row.location == Location::Plain { Location::Overflow } else { row.location };
    let copy = ObjectRow {
        location,
        version: Some(random),
        noncurrent_since: since.map(|since| since.0),
        lineage: Some(lineage_row),
        ..row.clone()
    };
    (keys::conflict(bucket, key.as_bytes(), lineage.change.clock, random), copy)
}

/// What answers a change that another node places where a version is.
pub(super) fn clock_taken() -> StorageError {
    StorageError::InvalidBucketState { reason: "another version of the key has this clock" }
}

/// Whether there is anything in it to be kept.
fn has_content(row: &ObjectRow) -> bool {
    matches!(row.location, Location::Plain | Location::Overflow)
}

impl Planner<'_> {
    /// Takes the row of an object or delete marker away, as one that is deleted or, if it `is_replaced`, whose
    /// place another object takes, which then drops its file. Answers what becomes of it: where the same change is kept as a copy
    /// already, that one stays.
    pub(super) fn take_away(
        &mut self,
        tally: &mut Tally,
        bucket: &Bucket,
        key: &ObjectKey,
        (row_key, unlocked): (&[u8], Unlocked<'_>),
        leaves: Leaves,
        is_replaced: bool,
    ) -> Result<Leaves, StorageError> {
        let row = unlocked.row();
        let is_current = *row_key == keys::object(bucket.id, key.as_bytes());
        if !is_replaced || !is_current {
            self.change(row_key.to_vec(), None);
        }
        if is_current {
            tally.remove_object(unlocked);
        } else {
            tally.remove_version(unlocked);
            if row.version.is_none() {
                self.change(keys::null_version(bucket.id, key.as_bytes()), None);
            }
        }
        self.unmark(bucket.id, key, row)?;
        let place = place_of(bucket, key, row);
        if leaves == Leaves::AsCopy && has_content(row) {
            let lineage = self.lineage_of(row)?;
            let now = self.state.clock.now();
            let (copy_key, copy) = copy_of(bucket.id, key, row, &lineage, Some(now));
            if self.planned_row(&copy_key)?.is_none_or(|there| there.is_empty()) {
                tally.add_version(&copy);
                let change = self.change(copy_key, Some(rows::encode(&copy)?));
                self.step(match is_current {
                    true => Step::Archive { place, row: change, leaves: !is_replaced },
                    false => Step::Tag { place, row: change },
                });
                return Ok(Leaves::AsCopy);
            }
        }
        match is_current {
            // The file of what comes instead takes its place.
            true if is_replaced => {}
            true => drop_previous(self, bucket, key, row, None),
            false => {
                if row.listed_parts().is_some() {
                    self.change(keys::part_list(bucket.id, Stamp(row.stamp)), None);
                }
                if row.location == Location::Overflow {
                    self.step(Step::Remove { place });
                }
            }
        }
        Ok(Leaves::ForGood)
    }

    /// Keeps an object that lost when it came as a copy, unless it is one already. Answers it with the id of its row.
    pub(super) fn keep_copy(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        mut object: Object,
        (bytes, reserved): (BodyPlace, Option<Reserved>),
    ) -> Result<(Object, Applied), StorageError> {
        let lineage = object.lineage.as_deref().cloned();
        let Some(lineage) = lineage else { return Ok((object, Applied::Lost)) };
        let location = match choose_location(self, bucket.id, key, object.size, None)? {
            Location::Folder => Location::Folder,
            _ => Location::Overflow,
        };
        let row = ObjectRow::of(&object, location, &bucket.owner);
        let (copy_key, copy) = copy_of(bucket.id, key, &row, &lineage, None);
        object.version_id = copy.version_id();
        if !has_content(&copy) {
            return Ok((object, Applied::Lost));
        }
        if self.planned_row(&copy_key)?.is_some() {
            return Ok((object, Applied::Known));
        }
        let mut tally = Tally::default();
        tally.add_version(&copy);
        let change = self.change(copy_key, Some(rows::encode(&copy)?));
        tally.count(self, bucket.id)?;
        self.charge(reserved, Growth::Within)?;
        self.write_aside(bucket, key, &copy, change, bytes);
        Ok((object, Applied::Lost))
    }

    /// Writes the file of a row that is no current object.
    pub(super) fn write_aside(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        row: &ObjectRow,
        change: u32,
        bytes: BodyPlace,
    ) {
        let (place, size, stamp) = (place_of(bucket, key, row), row.stored_size(), Stamp(row.stamp));
        if !has_content(row) {
            if let BodyPlace::Staged(file) = bytes {
                self.step(Step::Discard { name: file.keep() });
            }
            return;
        }
        let source = match bytes {
            BodyPlace::Inline(body) => {
                self.entry.body = Some(body);
                self.effects.push(Effect::BytesPending(stamp, None));
                Source::Journal
            }
            BodyPlace::Staged(file) => {
                let name = file.keep();
                self.effects.push(Effect::BytesPending(stamp, Some(name.clone())));
                Source::Staged { name }
            }
        };
        self.step(Step::Write { place, source, size, row: change });
    }

    /// Marks a version that lost: answers its row as it is to be.
    pub(super) fn mark_conflict(
        &mut self,
        bucket: BucketId,
        key: &ObjectKey,
        row: &ObjectRow,
    ) -> Result<ObjectRow, StorageError> {
        let Some(random) = row.version.filter(|_| !row.is_marker()) else { return Ok(row.clone()) };
        let lineage = Lineage { is_conflict: true, ..self.lineage_of(row)? };
        self.mark(bucket, key, lineage.change.clock, random)?;
        Ok(ObjectRow { lineage: Some(LineageRow::of(&lineage)), ..row.clone() })
    }

    /// Has conflicts tell a version that lost. A copy of the same name stays: it is told already.
    pub(super) fn mark(
        &mut self,
        bucket: BucketId,
        key: &ObjectKey,
        clock: u64,
        random: u64,
    ) -> Result<(), StorageError> {
        let row_key = keys::conflict(bucket, key.as_bytes(), clock, random);
        if self.planned_row(&row_key)?.is_none() {
            self.change(row_key, Some(Vec::new()));
        }
        Ok(())
    }

    /// Takes the mark of a version away that goes, or that nobody needs to look at any more.
    pub(super) fn unmark(&mut self, bucket: BucketId, key: &ObjectKey, row: &ObjectRow) -> Result<(), StorageError> {
        let is_marked = row.lineage.as_ref().is_some_and(|lineage| lineage.is_conflict == Some(true));
        if let (VersionId::Unique { stamp, random }, true) = (row.version_id(), is_marked && !row.is_copy()) {
            let row_key = keys::conflict(bucket, key.as_bytes(), stamp.0, random);
            if self.planned_row(&row_key)?.is_some_and(|mark| mark.is_empty()) {
                self.change(row_key, None);
            }
        }
        Ok(())
    }

    /// Puts the row of a version where there must be none: what other nodes send names the place itself, and nothing gives way to it
    /// unseen. Errs: InvalidBucketState.
    pub(super) fn put_anew(&mut self, row_key: Vec<u8>, row: &ObjectRow) -> Result<u32, StorageError> {
        match self.planned_row(&row_key)?.is_some() {
            true => Err(clock_taken()),
            false => Ok(self.change(row_key, Some(rows::encode(row)?))),
        }
    }

    /// Removes a copy for good. Errs: ObjectLocked, like for any version.
    pub(super) fn drop_copy(
        &mut self,
        tally: &mut Tally,
        bucket: &Bucket,
        key: &ObjectKey,
        (copy_key, copy): &Keyed,
    ) -> Result<(), StorageError> {
        let unlocked = self.unlocked(key, copy, false)?;
        self.change(copy_key.clone(), None);
        if copy.listed_parts().is_some() {
            self.change(keys::part_list(bucket.id, Stamp(copy.stamp)), None);
        }
        tally.remove_version(unlocked);
        self.step(Step::Remove { place: place_of(bucket, key, copy) });
        Ok(())
    }
}
