//! Where changes come from, in buckets that keep that: what a change of this node comes after, and tombstones of what was deleted.
//!
//! INVARIANT: of the null versions of a key there is at most one state: an object, a delete marker, or a tombstone. A version that has a
//! tombstone is not there.

use std::sync::Arc;

use super::bucket::describe;
use super::queue::ToSend;
use super::{Effect, Planner, random};
use crate::bucket_config::{BucketConfig, ReplicatedChange, Tag};
use crate::names::{BucketId, NodeId, ObjectKey, Stamp, VersionId};
use crate::storage::messages::{Bucket, Kinds, Lineage, QueueName, Versioning};
use crate::storage::read::{current_row, find_version, newest_noncurrent};
use crate::storage::replication::{Ancestry, kept};
use crate::storage::rows::{self, LineageRow, ObjectRow, TombstoneRow};
use crate::storage::{StorageError, keys};

/// A row with its key.
pub(super) type Keyed = (Vec<u8>, ObjectRow);

/// The state of the null version of a key.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub(super) enum NullState {
    /// Nothing is known of it.
    Nothing,
    /// An object or a delete marker.
    Row(Keyed),
    /// It was deleted.
    Tombstone(Lineage),
}

/// The row of a lineage, if it is worth one.
pub(super) fn lineage_row(lineage: Lineage, stamp: Stamp, own: NodeId) -> Option<LineageRow> {
    kept(lineage, stamp, own).map(|lineage| LineageRow::of(&lineage))
}

/// What answers a change of a key whose clock is at its end.
pub(super) fn no_later_clock() -> StorageError {
    StorageError::InvalidBucketState {
        reason: "a version of the key has a clock that none can be later than; delete it first",
    }
}

/// The slot of a version in queues and tombstones.
pub(super) fn slot_of(version: VersionId) -> Option<u64> {
    match version {
        VersionId::Null => None,
        VersionId::Unique { stamp, .. } => Some(stamp.0),
    }
}

impl Planner<'_> {
    /// This node.
    pub(super) fn own(&self) -> NodeId {
        self.state.replication.own
    }

    /// Whether a change of the bucket has to tell where it comes from. From the first that has to, all do.
    pub(super) fn keeps_changes(&mut self, bucket: &Bucket) -> Result<bool, StorageError> {
        let keeps = bucket.config.keeps_changes || self.state.replication.rules().of(&bucket.name).is_some();
        if keeps {
            self.keep_changes(bucket)?;
        }
        Ok(keeps)
    }

    /// Has the bucket keep changes from now on.
    pub(super) fn keep_changes(&mut self, bucket: &Bucket) -> Result<(), StorageError> {
        let is_told = self.effects.iter().any(|effect| matches!(effect, Effect::BucketIs(_)));
        if bucket.config.keeps_changes || is_told {
            return Ok(());
        }
        let config = BucketConfig { keeps_changes: true, ..BucketConfig::clone(&bucket.config) };
        let row = rows::encode_config(&config)?;
        let bucket = Arc::new(Bucket { config: Arc::new(config), ..bucket.clone() });
        describe(self, &bucket, row);
        self.effects.push(Effect::BucketIs(bucket));
        Ok(())
    }

    /// Where the state of a row comes from.
    pub(super) fn lineage_of(&self, row: &ObjectRow) -> Result<Lineage, StorageError> {
        match row.lineage.clone() {
            Some(lineage) => lineage.into_lineage(),
            None => Ok(Lineage::of_own(Stamp(row.stamp), self.own())),
        }
    }

    /// The state of the null version of a key.
    pub(super) fn null_state(&self, bucket: &Bucket, key: &ObjectKey) -> Result<NullState, StorageError> {
        let found = match bucket.versioning {
            // Here it is all there is.
            Versioning::Off => current_row(self.rows, bucket.id, key)?,
            Versioning::Enabled | Versioning::Suspended => find_version(self.rows, bucket.id, key, VersionId::Null)?,
        };
        found.map_or_else(|| self.buried_null(bucket.id, key), |found| Ok(NullState::Row(found)))
    }

    /// The same, where there is no row of it.
    fn buried_null(&self, bucket: BucketId, key: &ObjectKey) -> Result<NullState, StorageError> {
        match self.rows.get(&keys::tombstone(bucket, key.as_bytes(), None))? {
            Some(row) => Ok(NullState::Tombstone(rows::decode::<TombstoneRow>(&row)?.into_lineage()?)),
            None => Ok(NullState::Nothing),
        }
    }

    /// Where that state comes from.
    pub(super) fn lineage_of_null(&self, state: &NullState) -> Result<Option<Lineage>, StorageError> {
        match state {
            NullState::Nothing => Ok(None),
            NullState::Row((_, row)) => self.lineage_of(row).map(Some),
            NullState::Tombstone(lineage) => Ok(Some(lineage.clone())),
        }
    }

    /// The newest version or delete marker of a key, but for the one whose row has the key `except`. None where there are no versions.
    pub(super) fn newest(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        except: Option<&[u8]>,
    ) -> Result<Option<Keyed>, StorageError> {
        if bucket.versioning == Versioning::Off {
            return Ok(None);
        }
        match current_row(self.rows, bucket.id, key)?.filter(|(row_key, _)| Some(row_key.as_slice()) != except) {
            Some(current) => Ok(Some(current)),
            None => newest_noncurrent(self.rows, bucket.id, key, except),
        }
    }

    /// The lineage of a change that is made here at `stamp`, after the `current` object, if there is one: of the null version, or of a
    /// new one. What tells that the null version was deleted goes.
    pub(super) fn change_of_own(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        current: Option<&ObjectRow>,
        is_null: bool,
        stamp: Stamp,
    ) -> Result<Lineage, StorageError> {
        let mut ancestry = Ancestry::default();
        if let Some(current) = current {
            ancestry.after(&self.lineage_of(current)?);
        } else if let Some((_, newest)) = self.newest(bucket, key, None)? {
            ancestry.after(&self.lineage_of(&newest)?);
        }
        if is_null && current.is_none_or(|current| current.version.is_some()) {
            let state = match bucket.versioning {
                Versioning::Off => self.buried_null(bucket.id, key)?,
                Versioning::Enabled | Versioning::Suspended => self.null_state(bucket, key)?,
            };
            self.lineage_of_null(&state)?.iter().for_each(|state| ancestry.after(state));
            if let NullState::Tombstone(_) = state {
                self.exhume(bucket.id, key, None)?;
            }
        }
        let mut change = ancestry.change(stamp, self.own(), random()?).ok_or_else(no_later_clock)?;
        // A clock that is ahead may be that of a version which was deleted for good, and must not come back.
        while !is_null
            && change.change.clock != stamp.0
            && self.rows.get(&keys::tombstone(bucket.id, key.as_bytes(), Some(change.change.clock)))?.is_some()
        {
            let later = change.change.clock.checked_add(1 + random()? % 0x1_0000);
            change.change.clock = later.ok_or_else(no_later_clock)?;
        }
        Ok(change)
    }

    /// The lineage of a delete for good of what a row tells.
    pub(super) fn delete_of_own(&mut self, row: &ObjectRow) -> Result<(Stamp, Lineage), StorageError> {
        let stamp = self.stamp(None);
        let mut ancestry = Ancestry::default();
        ancestry.after(&self.lineage_of(row)?);
        // What has the last clock of all can be deleted, or nothing could ever be written here again.
        let change = ancestry.change(stamp, self.own(), random()?);
        Ok((stamp, change.unwrap_or_else(|| Lineage::last(self.own()))))
    }

    fn count_tombstones(&mut self, bucket: BucketId, by: i64) -> Result<u64, StorageError> {
        let row_key = keys::tombstone_count(bucket);
        let before = self.planned_row(&row_key)?.map(|row| rows::decode_stamp(&row)).transpose()?;
        let count = before.unwrap_or_default().0.saturating_add_signed(by);
        self.change_again(row_key, rows::encode_stamp(Stamp(count)));
        Ok(count)
    }

    /// Leaves a tombstone. Beyond the bound of a bucket, the oldest goes.
    pub(super) fn bury(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        version: VersionId,
        stamp: Stamp,
        lineage: &Lineage,
    ) -> Result<(), StorageError> {
        let random = match version {
            VersionId::Null => None,
            VersionId::Unique { random, .. } => Some(random),
        };
        let slot = slot_of(version);
        self.exhume(bucket.id, key, slot)?;
        let row = rows::encode(&TombstoneRow::of(stamp, lineage, random))?;
        self.change_again(keys::tombstone(bucket.id, key.as_bytes(), slot), row);
        self.change_again(keys::tombstone_since(bucket.id, stamp, key.as_bytes(), slot), Vec::new());
        let count = self.count_tombstones(bucket.id, 1)?;
        if count > self.state.replication.rules().limits.tombstones_max {
            self.forget_tombstones(bucket, |_| true, 1)?;
        }
        Ok(())
    }

    /// Takes a tombstone away: what was deleted is there again.
    pub(super) fn exhume(&mut self, bucket: BucketId, key: &ObjectKey, slot: Option<u64>) -> Result<(), StorageError> {
        let row_key = keys::tombstone(bucket, key.as_bytes(), slot);
        let Some(row) = self.planned_row(&row_key)? else { return Ok(()) };
        let since = Stamp(rows::decode::<TombstoneRow>(&row)?.stamp);
        self.change(row_key, None);
        self.change(keys::tombstone_since(bucket, since, key.as_bytes(), slot), None);
        self.count_tombstones(bucket, -1).map(drop)
    }

    /// Forgets the oldest tombstones as long as `is_old` says so, at most `limit`. A delete that was not sent yet is lost with its
    /// tombstone: its queue has to look at everything. Answers how many were forgotten.
    pub(super) fn forget_tombstones(
        &mut self,
        bucket: &Bucket,
        is_old: impl Fn(Stamp) -> bool,
        limit: usize,
    ) -> Result<usize, StorageError> {
        let (start, end) = keys::tombstones_by_time(bucket.id);
        let mut oldest = Vec::new();
        self.rows.scan(&start, &end, &mut |row_key, _| {
            if let Some(keys::RowKind::TombstoneSince(_, since, key, slot)) = keys::kind(row_key) {
                if !is_old(since) {
                    return Ok(false);
                }
                oldest.push((row_key.to_vec(), key, slot));
            }
            Ok(oldest.len() < limit)
        })?;
        if oldest.is_empty() {
            return Ok(0);
        }
        let queues: Vec<QueueName> =
            self.state.queues.keys().filter(|queue| queue.bucket == bucket.id).cloned().collect();
        let forgotten = oldest.len();
        for (row_key, key, slot) in oldest {
            for queue in &queues {
                let mut totals = self.totals(queue);
                if !totals.overflowed && self.planned_row(&keys::queued(queue, &key, slot))?.is_some() {
                    totals.overflowed = true;
                    self.set_totals(queue, totals)?;
                    self.effects.push(Effect::ToBeSent(queue.clone()));
                }
            }
            self.change(row_key, None);
            self.change(keys::tombstone(bucket.id, &key, slot), None);
        }
        self.count_tombstones(bucket.id, -i64::try_from(forgotten).unwrap_or(i64::MAX))?;
        Ok(forgotten)
    }

    /// Queues that an object was written here.
    pub(super) fn send_object(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        version: VersionId,
        (tags, bytes): (&[Tag], u64),
        known_to: [Option<NodeId>; 2],
    ) -> Result<(), StorageError> {
        let (what, kinds) = (ReplicatedChange::Object(tags), Kinds::CONTENT);
        self.queue_change(bucket, &ToSend { key, version: slot_of(version), what, kinds, bytes, known_to }).map(drop)
    }

    /// Queues a delete marker, or the delete of the only state of a key.
    pub(super) fn send_delete(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        marker: Option<VersionId>,
        known_to: [Option<NodeId>; 2],
    ) -> Result<(), StorageError> {
        let kinds = if marker.is_some() { Kinds::CONTENT } else { Kinds::DELETE };
        let version = marker.and_then(slot_of);
        let what = ReplicatedChange::Delete;
        self.queue_change(bucket, &ToSend { key, version, what, kinds, bytes: 0, known_to }).map(drop)
    }

    /// Queues that a version was deleted for good.
    pub(super) fn send_version_delete(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        version: VersionId,
        known_to: [Option<NodeId>; 2],
    ) -> Result<(), StorageError> {
        let what = match bucket.versioning {
            // Where there are no versions it is all there is.
            Versioning::Off => ReplicatedChange::Delete,
            Versioning::Enabled | Versioning::Suspended => ReplicatedChange::DeleteVersion,
        };
        let send = ToSend { key, version: slot_of(version), what, kinds: Kinds::DELETE, bytes: 0, known_to };
        self.queue_change(bucket, &send).map(drop)
    }
}
