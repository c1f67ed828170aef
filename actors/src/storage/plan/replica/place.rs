//! Putting an object of another node at its place among the versions of its key.

use std::cmp::Ordering;

use super::known_to;
use super::write::Incoming;
use crate::names::{ObjectKey, Stamp};
use crate::storage::messages::{Applied, Bucket, Slot, Stored};
use crate::storage::plan::copies::{Leaves, clock_taken};
use crate::storage::plan::events::Change;
use crate::storage::plan::lineage::Keyed;
use crate::storage::plan::object::{choose_location, drop_previous, lock, place_of, plan_file};
use crate::storage::plan::versions::{self, Tally};
use crate::storage::plan::{Growth, Planner};
use crate::storage::replication::{gives_way, slot_row};
use crate::storage::rows::{self, Location, ObjectRow, TombstoneRow};
use crate::storage::{StorageError, keys};

/// Who has the place of a version, which is one clock of its key. It is one on all nodes, in whatever order they hear of what was there.
pub(super) enum Placing {
    /// Nobody.
    Free,
    /// It was deleted for good, or another one was that had the place.
    Buried,
    /// It is there.
    Itself(Keyed),
    /// Another one, which stays: it has the greater id, or is locked.
    Taken,
    /// Another one, which gives way.
    GivesWay(Keyed),
}

impl Planner<'_> {
    /// Who has the place of a version, by its clock and the random half of its id. That another one was deleted there, which would have
    /// given way, is not told any more.
    pub(super) fn placing(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        (clock, random): (u64, u64),
    ) -> Result<Placing, StorageError> {
        let slot = Slot { key: key.clone(), version: Some(clock) };
        if let Some(row) = self.rows.get(&keys::tombstone(bucket.id, key.as_bytes(), slot.version))? {
            let buried = rows::decode::<TombstoneRow>(&row)?.version;
            if buried.is_none_or(|buried| !gives_way(buried, random)) {
                return Ok(Placing::Buried);
            }
            self.exhume(bucket.id, key, slot.version)?;
        }
        let Some(there) = slot_row(self.rows, bucket, &slot)? else { return Ok(Placing::Free) };
        match there.1.version {
            Some(its) if its == random => return Ok(Placing::Itself(there)),
            Some(its) if gives_way(its, random) => {}
            _ => return Ok(Placing::Taken),
        }
        // What is locked stays where it is found, whoever comes.
        match self.unlocked(key, &there.1, false) {
            Ok(_) => Ok(Placing::GivesWay(there)),
            Err(StorageError::ObjectLocked { .. }) => Ok(Placing::Taken),
            Err(error) => Err(error),
        }
    }
}

/// What other states of the key are there when one is put among them.
pub(super) struct Around {
    /// The newest of them.
    pub newest: Option<Keyed>,
    /// Whether the one that comes is newer.
    pub is_newest: bool,
    /// The current object, if the one that comes takes its place, and what becomes of it.
    pub replaced: Option<(ObjectRow, Leaves)>,
}

impl Around {
    /// Errs: InvalidBucketState when the newest has this clock: each clock of a key is of one version.
    pub fn of(newest: Option<Keyed>, clock: u64) -> Result<Self, StorageError> {
        let order = newest.as_ref().map(|(_, row)| row.clock().0.cmp(&clock));
        match order {
            Some(Ordering::Equal) => Err(clock_taken()),
            _ => Ok(Self { newest, is_newest: order != Some(Ordering::Greater), replaced: None }),
        }
    }

    /// The current object, if it stays one of the key's versions.
    pub fn current(&self, bucket: &Bucket, key: &ObjectKey) -> Option<&ObjectRow> {
        let row_key = keys::object(bucket.id, key.as_bytes());
        self.newest.as_ref().filter(|(newest, _)| *newest == row_key).map(|(_, row)| row)
    }
}

impl Incoming<'_> {
    /// Puts the object among the versions of its key.
    pub(super) fn put(
        self,
        planner: &mut Planner<'_>,
        mut tally: Tally,
        around: &Around,
    ) -> Result<Stored, StorageError> {
        let Self { bucket, key, replica, mut object, lineage, bytes, reserved } = self;
        let current = around.current(bucket, key).cloned();
        let replaced = around.replaced.as_ref();
        let previous = replaced.map(|(row, _)| row).or(current.as_ref());
        object.stamp = planner.stamp(previous.map(|row| Stamp(row.stamp)));
        let written = lineage.modified.unwrap_or(object.stamp);
        lock(&mut object, bucket, Some(written))?;
        object.lineage = Some(Box::new(lineage));
        let location = choose_location(planner, bucket.id, key, object.size, previous)?;
        if around.is_newest {
            if let Some(current) = current {
                versions::archive(planner, &mut tally, bucket, key, current, false)?;
            }
            let row = ObjectRow::of(&object, location, &bucket.owner);
            let change = planner.change(keys::object(bucket.id, key.as_bytes()), Some(rows::encode(&row)?));
            tally.add_object(&row);
            tally.count(planner, bucket.id)?;
            planner.charge(reserved, Growth::Within)?;
            let place = place_of(bucket, key, &row);
            plan_file(planner, &place, object.stored_size(), change, bytes);
            if let Some((replaced, Leaves::ForGood)) = replaced {
                drop_previous(planner, bucket, key, replaced, Some(&place));
            }
        } else {
            let location = if location == Location::Folder { location } else { Location::Overflow };
            let mut row = ObjectRow::of(&object, location, &bucket.owner);
            row.noncurrent_since = newer_than(planner, bucket, key, &row, around)?;
            if row.version.is_none() {
                let place = rows::encode_stamp(row.clock());
                planner.change_again(keys::null_version(bucket.id, key.as_bytes()), place);
            }
            let row_key = keys::version(bucket.id, key.as_bytes(), row.clock());
            let change = planner.put_anew(row_key, &row)?;
            tally.add_version(&row);
            tally.count(planner, bucket.id)?;
            planner.charge(reserved, Growth::Within)?;
            planner.write_aside(bucket, key, &row, change, bytes);
        }
        planner.tell(bucket, key, Change::Created(&object))?;
        let sent = (&object.attributes.tags[..], object.size);
        planner.send_object(bucket, key, object.version_id, sent, known_to(Some(replica)))?;
        Ok(super::write::stored(bucket, object, Applied::Applied))
    }
}

/// When the version was made that follows one which is put among older ones, where the bucket keeps times.
pub(super) fn newer_than(
    planner: &Planner<'_>,
    bucket: &Bucket,
    key: &ObjectKey,
    row: &ObjectRow,
    around: &Around,
) -> Result<Option<u64>, StorageError> {
    if !bucket.config.keeps_times {
        return Ok(None);
    }
    let (start, _) = keys::versions_of(bucket.id, key.as_bytes());
    let own = keys::version(bucket.id, key.as_bytes(), row.clock());
    let mut newer = around.current(bucket, key).map(|row| row.stamp);
    planner.rows.scan(&start, &own, &mut |_, row| {
        newer = Some(rows::decode::<ObjectRow>(row)?.stamp);
        Ok(true)
    })?;
    Ok(newer)
}
