//! A delete of another node: of the null version, of a version for good, or a delete marker of its own.

use super::place::{Around, Placing, newer_than};
use super::{known_to, lose};
use crate::names::{CanonicalId, ObjectKey, Seen, Stamp, VersionId};
use crate::storage::messages::{Applied, Bucket, DeleteObject, Deleted, Lineage, Replica, Versioning};
use crate::storage::plan::Planner;
use crate::storage::plan::copies::Leaves;
use crate::storage::plan::events::Change;
use crate::storage::plan::lineage::{Keyed, NullState, lineage_row};
use crate::storage::plan::versions::{self, Tally};
use crate::storage::read::newest_noncurrent;
use crate::storage::replication::Verdict;
use crate::storage::{StorageError, keys, rows};

/// A delete of another node.
struct Removal<'a> {
    bucket: &'a Bucket,
    key: &'a ObjectKey,
    replica: &'a Replica,
    /// Who owns its delete marker.
    owner: CanonicalId,
    /// Whether a governance retention does not hold.
    bypass_governance: bool,
    lineage: Lineage,
}

/// Plans the delete of another node.
pub(in crate::storage::plan) fn delete(
    message: DeleteObject,
    replica: &Replica,
    planner: &mut Planner<'_>,
    bucket: &Bucket,
) -> Result<Deleted, StorageError> {
    planner.keep_changes(bucket)?;
    let DeleteObject { key, version, owner, bypass_governance, .. } = message;
    let lineage = Lineage::of_replica(replica);
    let mut removal = Removal { bucket, key: &key, replica, owner, bypass_governance, lineage };
    let keeps_versions = bucket.versioning != Versioning::Off;
    match (version, replica.version) {
        (None, VersionId::Unique { stamp, random }) if keeps_versions => removal.mark_version(planner, stamp, random),
        (None, _) if keeps_versions => removal.delete_null(planner, true),
        (None | Some(VersionId::Null), _) => removal.delete_null(planner, false),
        (Some(VersionId::Unique { stamp, random }), _) if keeps_versions => {
            removal.delete_version(planner, stamp, random)
        }
        // The version is a state of the null version here: it goes if it is still that.
        (Some(VersionId::Unique { stamp, .. }), _) => {
            let state = planner.null_state(bucket, &key)?;
            match planner.lineage_of_null(&state)? {
                Some(local) if local.change.clock == stamp.0 => {
                    let seen = Seen::from_iter(replica.seen.iter().chain([local.change]));
                    removal.lineage.seen = seen.without(removal.lineage.change.origin);
                    removal.delete_null(planner, false)
                }
                _ => Ok(Deleted { version_id: None, delete_marker: false, applied: Applied::Known }),
            }
        }
    }
}

impl Removal<'_> {
    /// A delete marker of its own.
    fn mark_version(mut self, planner: &mut Planner<'_>, stamp: Stamp, random: u64) -> Result<Deleted, StorageError> {
        let Self { bucket, key, .. } = self;
        let id = VersionId::Unique { stamp, random };
        let done = |applied| Deleted { version_id: Some(id), delete_marker: true, applied };
        self.lineage.change.clock = stamp.0;
        let mut tally = Tally::default();
        let mut replaced = None;
        match planner.placing(bucket, key, (stamp.0, random))? {
            Placing::Free => {}
            Placing::Buried | Placing::Itself(_) => return Ok(done(Applied::Known)),
            Placing::Taken => return Ok(done(Applied::Lost)),
            Placing::GivesWay((row_key, row)) => {
                let unlocked = planner.unlocked(key, &row, false)?;
                planner.take_away(&mut tally, bucket, key, (&row_key, unlocked), Leaves::AsCopy, false)?;
                replaced = Some(row_key);
            }
        }
        let mut around = Around::of(planner.newest(bucket, key, replaced.as_deref())?, stamp.0)?;
        if let Some((_, newest)) = &mut around.newest
            && planner.lineage_of(newest)?.judge(&self.lineage) == Verdict::Wins
        {
            *newest = planner.mark_conflict(bucket.id, key, newest)?;
        }
        self.put_marker(planner, tally, id, &around)?;
        Ok(done(Applied::Applied))
    }

    /// Puts a delete marker among the versions of the key.
    fn put_marker(
        self,
        planner: &mut Planner<'_>,
        mut tally: Tally,
        id: VersionId,
        around: &Around,
    ) -> Result<(), StorageError> {
        let Self { bucket, key, replica, owner, lineage, .. } = self;
        let own = planner.own();
        let current = around.current(bucket, key).cloned();
        let stamp = planner.stamp(around.newest.as_ref().map(|(_, row)| Stamp(row.stamp)));
        let mut row = versions::marker(bucket, id, stamp, owner);
        row.lineage = lineage_row(lineage, stamp, own);
        if !around.is_newest {
            row.noncurrent_since = newer_than(planner, bucket, key, &row, around)?;
        } else if let Some(current) = current {
            planner.change(keys::object(bucket.id, key.as_bytes()), None);
            versions::archive(planner, &mut tally, bucket, key, current, true)?;
        }
        if row.version.is_none() {
            planner.change_again(keys::null_version(bucket.id, key.as_bytes()), rows::encode_stamp(row.clock()));
        }
        planner.put_anew(keys::version(bucket.id, key.as_bytes(), row.clock()), &row)?;
        tally.add_marker();
        tally.count(planner, bucket.id)?;
        planner.tell(bucket, key, Change::Hidden(id))?;
        planner.send_delete(bucket, key, Some(id), known_to(Some(replica)))
    }

    /// The null version is deleted, or hidden behind a delete marker that takes its place.
    fn delete_null(mut self, planner: &mut Planner<'_>, leaves_marker: bool) -> Result<Deleted, StorageError> {
        let Self { bucket, key, replica, .. } = self;
        let version_id = (bucket.versioning != Versioning::Off).then_some(VersionId::Null);
        let done = |applied| Deleted { version_id, delete_marker: leaves_marker, applied };
        let state = planner.null_state(bucket, key)?;
        let local = planner.lineage_of_null(&state)?;
        let verdict = local.as_ref().map_or(Verdict::Follows, |local| local.judge(&self.lineage));
        let leaves = match verdict {
            Verdict::Known => return Ok(done(Applied::Known)),
            Verdict::Loses => {
                lose(planner, bucket, key, state, &self.lineage)?;
                return Ok(done(Applied::Lost));
            }
            Verdict::Follows => Leaves::ForGood,
            Verdict::Wins => Leaves::AsCopy,
        };
        local.iter().for_each(|local| self.lineage.win_over(local));
        let mut tally = Tally::default();
        let mut removed = None;
        match state {
            NullState::Nothing => {}
            NullState::Tombstone(_) => planner.exhume(bucket.id, key, None)?,
            NullState::Row(there) => {
                let unlocked = planner.unlocked(key, &there.1, self.bypass_governance)?;
                planner.take_away(&mut tally, bucket, key, (&there.0, unlocked), leaves, false)?;
                removed = Some(there);
            }
        }
        if leaves_marker {
            let except = removed.as_ref().map(|(row_key, _)| row_key.as_slice());
            let newest = planner.newest(bucket, key, except)?;
            // If the newest was removed, this takes its place, as it is later: no other becomes current.
            let around = Around::of(newest, self.lineage.change.clock)?;
            self.put_marker(planner, tally, VersionId::Null, &around)?;
            return Ok(done(Applied::Applied));
        }
        let stamp = planner.stamp(None);
        planner.bury(bucket, key, VersionId::Null, stamp, &self.lineage)?;
        if let Some(removed) = &removed {
            promote(planner, &mut tally, bucket, key, removed)?;
            planner.tell(bucket, key, Change::Removed(VersionId::Null))?;
        }
        tally.count(planner, bucket.id)?;
        planner.send_version_delete(bucket, key, VersionId::Null, known_to(Some(replica)))?;
        Ok(done(Applied::Applied))
    }

    /// A version, or a delete marker, is deleted for good. That wins over whatever else is sent of it.
    fn delete_version(self, planner: &mut Planner<'_>, stamp: Stamp, random: u64) -> Result<Deleted, StorageError> {
        let Self { bucket, key, replica, .. } = self;
        let version = VersionId::Unique { stamp, random };
        let mut done = Deleted { version_id: Some(version), delete_marker: false, applied: Applied::Known };
        let (there, leaves) = match planner.placing(bucket, key, (stamp.0, random))? {
            Placing::Buried | Placing::Taken => return Ok(done),
            Placing::Free => (None, Leaves::ForGood),
            Placing::Itself(there) => (Some(there), Leaves::ForGood),
            // It had lost its place already, if what is deleted had come before.
            Placing::GivesWay(there) => (Some(there), Leaves::AsCopy),
        };
        if let Some(there) = &there {
            let is_it = leaves == Leaves::ForGood;
            done.delete_marker = is_it && there.1.is_marker();
            let unlocked = planner.unlocked(key, &there.1, is_it && self.bypass_governance)?;
            let mut tally = Tally::default();
            planner.take_away(&mut tally, bucket, key, (&there.0, unlocked), leaves, false)?;
            promote(planner, &mut tally, bucket, key, there)?;
            tally.count(planner, bucket.id)?;
            planner.tell(bucket, key, Change::Removed(there.1.version_id()))?;
        }
        let stamp = planner.stamp(None);
        planner.bury(bucket, key, version, stamp, &self.lineage)?;
        planner.send_version_delete(bucket, key, version, known_to(Some(replica)))?;
        done.applied = Applied::Applied;
        Ok(done)
    }
}

/// Where the newest of a key was removed, the next one becomes current.
pub(in crate::storage::plan) fn promote(
    planner: &mut Planner<'_>,
    tally: &mut Tally,
    bucket: &Bucket,
    key: &ObjectKey,
    (row_key, row): &Keyed,
) -> Result<(), StorageError> {
    if bucket.versioning == Versioning::Off {
        return Ok(());
    }
    let current = keys::object(bucket.id, key.as_bytes());
    if *row_key == current {
        return versions::promote_next(planner, tally, bucket, key, Some(row), None);
    }
    if planner.rows.get(&current)?.is_some() {
        return Ok(());
    }
    // There was none: the newest of all was a delete marker, perhaps this one.
    let newest = newest_noncurrent(planner.rows, bucket.id, key, None)?;
    if newest.is_some_and(|(newest, _)| newest == *row_key) {
        versions::promote_next(planner, tally, bucket, key, None, Some(row_key))?;
    }
    Ok(())
}
