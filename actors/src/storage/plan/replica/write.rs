//! An object of another node: known already, or on its way to its place, or to the copies of what lost.

use std::sync::Arc;

use super::beside::{keep_beside, merge_beside};
use super::lose;
use super::place::{Around, Placing};
use crate::names::{ObjectKey, VersionId};
use crate::storage::body::BodyPlace;
use crate::storage::messages::{Applied, Bucket, Lineage, Object, Replica, Stored, Versioning, WriteConditions};
use crate::storage::plan::copies::Leaves;
use crate::storage::plan::lineage::NullState;
use crate::storage::plan::versions::Tally;
use crate::storage::plan::{ObjectWrite, Planner, check_conditions};
use crate::storage::quota::Reserved;
use crate::storage::read::current_row;
use crate::storage::replication::Verdict;
use crate::storage::{StorageError, keys};

/// An object of another node.
pub(super) struct Incoming<'a> {
    pub bucket: &'a Bucket,
    pub key: &'a ObjectKey,
    pub replica: &'a Replica,
    /// The object but for its stamp and lineage.
    pub object: Object,
    pub lineage: Lineage,
    pub bytes: BodyPlace,
    /// What was promised to it.
    pub reserved: Option<Reserved>,
}

pub(in crate::storage::plan) fn stored(bucket: &Bucket, object: Object, applied: Applied) -> Stored {
    Stored { object: Arc::new(object), versioned: bucket.versioning != Versioning::Off, applied }
}

/// Plans the write of another node.
pub(in crate::storage::plan) fn write(
    write: ObjectWrite<'_>,
    replica: &Replica,
    planner: &mut Planner<'_>,
) -> Result<Stored, StorageError> {
    let ObjectWrite { bucket, key, conditions, object, bytes, reserved, .. } = write;
    // What is asked of a request holds for what other nodes send, too.
    if *conditions != WriteConditions::default() {
        let current = current_row(planner.rows, bucket.id, key)?.map(|(_, row)| row);
        check_conditions(conditions, key, current.as_ref())?;
    }
    planner.keep_changes(bucket)?;
    let lineage = Lineage::of_replica(replica);
    let mut incoming = Incoming { bucket, key, replica, object, lineage, bytes, reserved };
    match (replica.version, bucket.versioning) {
        (VersionId::Unique { stamp, random }, Versioning::Enabled | Versioning::Suspended) => {
            incoming.lineage.change.clock = stamp.0;
            incoming.object.version_id = replica.version;
            incoming.into_version(planner, random)
        }
        _ => {
            incoming.object.version_id = VersionId::Null;
            incoming.into_null(planner)
        }
    }
    .inspect(
        |stored| tracing::debug!(%bucket.name, %key, change = %replica.change, applied = ?stored.applied, "replica"),
    )
}

impl Incoming<'_> {
    /// It is there, or what it says was overtaken.
    fn known(self) -> Stored {
        stored(self.bucket, self.object, Applied::Known)
    }

    /// It lost: it is kept as a copy.
    fn into_copy(self, planner: &mut Planner<'_>) -> Result<Stored, StorageError> {
        let Self { bucket, key, mut object, lineage, bytes, reserved, .. } = self;
        object.stamp = planner.stamp(None);
        object.lineage = Some(Box::new(lineage));
        let (object, applied) = planner.keep_copy(bucket, key, object, (bytes, reserved))?;
        Ok(stored(bucket, object, applied))
    }

    /// A version of its own, whose id has this random half.
    fn into_version(mut self, planner: &mut Planner<'_>, random: u64) -> Result<Stored, StorageError> {
        let Self { bucket, key, replica, .. } = self;
        let clock = self.lineage.change.clock;
        let mut tally = Tally::default();
        match planner.placing(bucket, key, (clock, random))? {
            Placing::Free => {}
            Placing::Buried => return Ok(self.known()),
            Placing::Itself(there) if there.1.is_marker() => return Ok(self.known()),
            Placing::Itself(there) => {
                let object = merge_beside(planner, bucket, key, there, (&self.object, &self.lineage), replica)?;
                return Ok(stored(bucket, object, Applied::Known));
            }
            Placing::Taken => return self.into_copy(planner),
            Placing::GivesWay(there) => {
                let unlocked = planner.unlocked(key, &there.1, false)?;
                let is_replaced = there.0 == keys::object(bucket.id, key.as_bytes());
                let at = (there.0.as_slice(), unlocked);
                let leaves = planner.take_away(&mut tally, bucket, key, at, Leaves::AsCopy, is_replaced)?;
                let newest = planner.newest(bucket, key, Some(&there.0))?;
                let replaced = is_replaced.then_some((there.1, leaves));
                let around = Around { replaced, ..Around::of(newest, clock)? };
                return self.put(planner, tally, &around);
            }
        }
        let mut around = Around::of(planner.newest(bucket, key, None)?, clock)?;
        if let Some((_, newest)) = &mut around.newest {
            match planner.lineage_of(newest)?.judge(&self.lineage) {
                Verdict::Wins => *newest = planner.mark_conflict(bucket.id, key, newest)?,
                Verdict::Loses => self.lineage.is_conflict = true,
                Verdict::Known | Verdict::Follows => {}
            }
        }
        if self.lineage.is_conflict {
            planner.mark(bucket.id, key, clock, random)?;
        }
        self.put(planner, tally, &around)
    }

    /// A state of the null version.
    fn into_null(mut self, planner: &mut Planner<'_>) -> Result<Stored, StorageError> {
        let Self { bucket, key, replica, .. } = self;
        let mut tally = Tally::default();
        let state = planner.null_state(bucket, key)?;
        let local = planner.lineage_of_null(&state)?;
        let verdict = local.as_ref().map_or(Verdict::Follows, |local| local.judge(&self.lineage));
        let leaves = match verdict {
            Verdict::Known => {
                let NullState::Row(there) = state else { return Ok(self.known()) };
                if there.1.is_marker() {
                    return Ok(self.known());
                }
                let object = match planner.lineage_of(&there.1)?.change == self.lineage.change {
                    true => merge_beside(planner, bucket, key, there, (&self.object, &self.lineage), replica)?,
                    false => there.1.into_object(&bucket.owner)?,
                };
                return Ok(stored(bucket, object, Applied::Known));
            }
            Verdict::Loses => {
                lose(planner, bucket, key, state, &self.lineage)?;
                return self.into_copy(planner);
            }
            Verdict::Follows => Leaves::ForGood,
            Verdict::Wins => Leaves::AsCopy,
        };
        local.iter().for_each(|local| self.lineage.win_over(local));
        let (mut replaced, mut except) = (None, None);
        match state {
            NullState::Nothing => {}
            NullState::Tombstone(_) => planner.exhume(bucket.id, key, None)?,
            NullState::Row(there) => {
                let unlocked = planner.unlocked(key, &there.1, false)?;
                if !there.1.is_marker() {
                    keep_beside(planner, &there.1, &mut self.object, &mut self.lineage)?;
                }
                let is_current = there.0 == keys::object(bucket.id, key.as_bytes());
                let at = (there.0.as_slice(), unlocked);
                let leaves = planner.take_away(&mut tally, bucket, key, at, leaves, is_current)?;
                except = Some(there.0);
                replaced = is_current.then_some((there.1, leaves));
            }
        }
        let newest = planner.newest(bucket, key, except.as_deref())?;
        let around = Around { replaced, ..Around::of(newest, self.lineage.change.clock)? };
        self.put(planner, tally, &around)
    }
}
