//! Changes of other nodes. Which of two changes wins is decided by [`Lineage::judge`]; here it is done to rows and files.
//!
//! Of each key there is one null version with its deletes, of which one state is there, and a set of versions that only grows, but for
//! deletes for good, which win. A version is put at its place in the order of clocks, so that all nodes list the same in the same order.
//! Where a bucket never had versions, those of others are states of its null version.

mod beside;
mod delete;
mod place;
mod write;

pub(super) use delete::{delete, promote};
pub(super) use write::{stored, write};

use super::Planner;
use super::lineage::NullState;
use super::object::place_of;
use crate::names::{NodeId, ObjectKey, Stamp, VersionId};
use crate::storage::messages::{Bucket, Lineage, Replica, Versioning};
use crate::storage::rows::{self, LineageRow, ObjectRow, TombstoneRow};
use crate::storage::steps::Step;
use crate::storage::{StorageError, keys};

/// Nodes that know what is sent, if it came from another one: who sends it, and who made all of it.
pub(super) fn known_to(replica: Option<&Replica>) -> [Option<NodeId>; 2] {
    let Some(replica) = replica else { return [None; 2] };
    let origin = replica.change.origin;
    let beside = [replica.tags_change, replica.lock_change];
    let is_all_its_own = beside.iter().flatten().all(|change| change.origin == origin);
    [Some(origin).filter(|_| is_all_its_own), Some(replica.sender)]
}

/// Whether a write is put at its own place among the versions of its key. Where versions are kept, one whose sender chooses none is a
/// version of this node on top of all others, so that it takes nothing away.
pub(super) fn places_write(replica: &Replica, bucket: &Bucket) -> bool {
    replica.permits.chooses || bucket.versioning != Versioning::Enabled
}

/// The same of a delete: else it is one like any client's.
pub(super) fn places_delete(replica: &Replica, bucket: &Bucket, version: Option<VersionId>) -> bool {
    match bucket.versioning {
        Versioning::Off => true,
        Versioning::Suspended => replica.permits.chooses || version.is_none(),
        Versioning::Enabled => replica.permits.chooses,
    }
}

/// Whether a change that became a version of this node came once more: the newest version tells.
pub(super) fn is_known(
    planner: &Planner<'_>,
    bucket: &Bucket,
    key: &ObjectKey,
    current: Option<&ObjectRow>,
    replica: &Replica,
) -> Result<bool, StorageError> {
    let newest = match current {
        Some(current) => Some(planner.lineage_of(current)?),
        None => planner.newest(bucket, key, None)?.map(|(_, row)| planner.lineage_of(&row)).transpose()?,
    };
    Ok(newest.is_some_and(|newest| newest.knows(replica.change)))
}

/// The local state has won: it remembers that.
fn lose(
    planner: &mut Planner<'_>,
    bucket: &Bucket,
    key: &ObjectKey,
    state: NullState,
    incoming: &Lineage,
) -> Result<(), StorageError> {
    match state {
        NullState::Nothing => {}
        NullState::Row((row_key, row)) => {
            let mut lineage = planner.lineage_of(&row)?;
            lineage.win_over(incoming);
            let row = ObjectRow { lineage: Some(LineageRow::of(&lineage)), ..row };
            let change = planner.change(row_key, Some(rows::encode(&row)?));
            if !row.is_marker() {
                planner.step(Step::Tag { place: place_of(bucket, key, &row), row: change });
            }
        }
        NullState::Tombstone(mut lineage) => {
            lineage.win_over(incoming);
            let row_key = keys::tombstone(bucket.id, key.as_bytes(), None);
            let Some(row) = planner.planned_row(&row_key)? else { return Ok(()) };
            let stamp = Stamp(rows::decode::<TombstoneRow>(&row)?.stamp);
            let row = rows::encode(&TombstoneRow::of(stamp, &lineage, None))?;
            planner.change(row_key, Some(row));
        }
    }
    Ok(())
}
