//! What a check makes an object of is a change like any other: where its bucket keeps that, it tells what it comes after, and it is to
//! be sent to whoever the bucket is replicated to. Who that is only a running node knows, so it waits in a queue of its own
//! ([`QueueName::of_anybody`]), which the node passes on when it starts.

use super::check::Check;
use crate::names::{BucketId, ObjectKey, Stamp};
use crate::storage::StorageError;
use crate::storage::keys;
use crate::storage::messages::{Bucket, Kinds, Lineage, QueueName, ReplicationTray};
use crate::storage::overlay::Rows as _;
use crate::storage::plan::random;
use crate::storage::read::newest_noncurrent;
use crate::storage::replication::{Ancestry, kept};
use crate::storage::rows::{self, LineageRow, ObjectRow, QueueRow, TombstoneRow};

/// Changes that wait to be passed on. Of more, the bucket is looked at as a whole.
const CHANGES_MAX: u64 = if cfg!(test) { 20 } else { 100_000 };

impl Check<'_> {
    /// Whether the null version of a key was deleted here, and a tombstone tells so.
    pub fn is_buried(&self, bucket: BucketId, key: &ObjectKey) -> Result<bool, StorageError> {
        Ok(self.opened.rows.get(&keys::tombstone(bucket, key.as_bytes(), None))?.is_some())
    }

    /// The lineage of a file that becomes the object of its key at `stamp`, as its row keeps it. If it becomes the null version, the
    /// tombstone of a former one goes.
    pub(super) fn lineage_of_adopted(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        previous: Option<&ObjectRow>,
        is_null: bool,
        stamp: Stamp,
    ) -> Result<Option<LineageRow>, StorageError> {
        if !bucket.config.keeps_changes {
            return Ok(None);
        }
        let own = self.opened.recovered.node_id;
        let rows = &self.opened.rows;
        let newest = match previous {
            Some(previous) => Some(previous.clone()),
            None => newest_noncurrent(rows, bucket.id, key, None)?.map(|(_, row)| row),
        };
        let mut ancestry = Ancestry::default();
        if let Some(newest) = newest {
            let stamp = Stamp(newest.stamp);
            let lineage = newest.lineage.map_or_else(|| Ok(Lineage::of_own(stamp, own)), LineageRow::into_lineage)?;
            ancestry.after(&lineage);
        }
        let tombstone = keys::tombstone(bucket.id, key.as_bytes(), None);
        if let Some(row) = rows.get(&tombstone)?.filter(|_| is_null) {
            let row: TombstoneRow = rows::decode(&row)?;
            let count = rows.get(&keys::tombstone_count(bucket.id))?;
            let count = count.map(|count| rows::decode_stamp(&count)).transpose()?.unwrap_or_default();
            self.change(keys::tombstone_since(bucket.id, Stamp(row.stamp), key.as_bytes(), None), None)?;
            self.change(tombstone, None)?;
            let left = rows::encode_stamp(Stamp(count.0.saturating_sub(1)));
            self.change(keys::tombstone_count(bucket.id), Some(left))?;
            // The next one is counted from here.
            self.flush()?;
            ancestry.after(&row.into_lineage()?);
        }
        let change = ancestry.change(stamp, own, random()?).unwrap_or_else(|| Lineage::last(own));
        let lineage = kept(change, stamp, own);
        Ok(lineage.map(|lineage| LineageRow::of(&lineage)))
    }

    /// Has a new state of a key wait to be sent.
    pub(super) fn send_later(
        &mut self,
        bucket: BucketId,
        key: &ObjectKey,
        version: Option<u64>,
        row: &ObjectRow,
    ) -> Result<(), StorageError> {
        let queue = QueueName::of_anybody(bucket);
        let mut totals = self.queue_totals(&queue);
        let row_key = keys::queued(&queue, key.as_bytes(), version);
        let by_time = |since| keys::queued_since(&queue, ReplicationTray::Pending, since, key.as_bytes(), version);
        // From an earlier check, after which the node was not started.
        let before = self.opened.rows.get(&row_key)?;
        if let Some(before) = before.map(|before| rows::decode::<QueueRow>(&before)).transpose()? {
            totals.pending = totals.pending.saturating_sub(1);
            totals.pending_bytes = totals.pending_bytes.saturating_sub(before.bytes);
            self.change(by_time(Stamp(before.since)), None)?;
        } else if totals.pending >= CHANGES_MAX {
            return self.send_all_later(bucket);
        }
        let (since, kinds) = (row.stamp, Kinds::CONTENT.0);
        let entry = QueueRow { since, mark: since, kinds, bytes: row.size, attempts: 0, parked: None };
        totals.pending = totals.pending.saturating_add(1);
        totals.pending_bytes = totals.pending_bytes.saturating_add(row.size);
        self.change(by_time(Stamp(since)), Some(Vec::new()))?;
        self.change(row_key, Some(rows::encode(&entry)?))?;
        self.set_queue_totals(queue, totals)
    }

    /// Has a bucket be looked at as a whole: it is not known what was sent, and what not.
    pub(super) fn send_all_later(&mut self, bucket: BucketId) -> Result<(), StorageError> {
        let queue = QueueName::of_anybody(bucket);
        let mut totals = self.queue_totals(&queue);
        if totals.overflowed {
            return Ok(());
        }
        totals.overflowed = true;
        self.set_queue_totals(queue, totals)
    }
}
