//! The replication queue: what a change adds to it, and what its reader settles.
//!
//! INVARIANT: of each slot a queue has one row, and one row by time in the tray that it is in; the sums are of all of them.

use std::sync::Arc;

use super::lineage::lineage_row;
use super::object::place_of;
use super::{Effect, Mutation, Planner};
use crate::bucket_config::ReplicatedChange;
use crate::names::{BucketId, NodeId, ObjectKey, Stamp};
use crate::storage::messages::{
    Bucket, EnqueueChanges, Kinds, Lineage, QueueName, ReplicationTray, SettleChanges, SettledChange, Slot, SlotState,
};
use crate::storage::replication::{slot_row, slot_state};
use crate::storage::rows::{self, ObjectRow, QueueRow, QueueTotalsRow};
use crate::storage::steps::Step;
use crate::storage::{StorageError, keys};

/// Characters of a reason that are kept.
const REASON_CHARS_MAX: usize = 1024;

/// A change that may have to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToSend<'a> {
    pub key: &'a ObjectKey,
    /// Clock of the version; none for the null version.
    pub version: Option<u64>,
    pub what: ReplicatedChange<'a>,
    pub kinds: Kinds,
    pub bytes: u64,
    /// Nodes that know it: its origin, and who sent it here.
    pub known_to: [Option<NodeId>; 2],
}

impl QueueTotalsRow {
    fn add(&mut self, row: &QueueRow) {
        let (count, bytes) = self.tray(row);
        (*count, *bytes) = (count.saturating_add(1), bytes.saturating_add(row.bytes));
    }

    fn remove(&mut self, row: &QueueRow) {
        let (count, bytes) = self.tray(row);
        (*count, *bytes) = (count.saturating_sub(1), bytes.saturating_sub(row.bytes));
    }

    fn tray(&mut self, row: &QueueRow) -> (&mut u64, &mut u64) {
        match row.parked {
            None => (&mut self.pending, &mut self.pending_bytes),
            Some(_) => (&mut self.parked, &mut self.parked_bytes),
        }
    }
}

fn tray_of(row: &QueueRow) -> ReplicationTray {
    if row.parked.is_some() { ReplicationTray::Parked } else { ReplicationTray::Pending }
}

impl Planner<'_> {
    /// A row as the transaction leaves it.
    pub(super) fn planned_row(&self, row_key: &[u8]) -> Result<Option<std::sync::Arc<[u8]>>, StorageError> {
        match self.entry.changes.iter().rev().find(|(changed, _)| changed == row_key) {
            Some((_, row)) => Ok(row.clone()),
            None => self.rows.get(row_key),
        }
    }

    pub(super) fn totals(&self, queue: &QueueName) -> QueueTotalsRow {
        let changed = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::QueueIs(of, totals) if of == queue => Some(totals.unwrap_or_default()),
            _ => None,
        });
        changed.or_else(|| self.state.queues.get(queue).copied()).unwrap_or_default()
    }

    pub(super) fn set_totals(&mut self, queue: &QueueName, totals: QueueTotalsRow) -> Result<(), StorageError> {
        let row = rows::encode(&totals)?;
        self.change_again(keys::queue_totals(queue), row);
        self.effects.push(Effect::QueueIs(queue.clone(), Some(totals)));
        Ok(())
    }

    /// Has the object of a slot tell, or not any more, that what was not taken of it was dismissed.
    fn note_dismissed(&mut self, bucket: BucketId, slot: &Slot, is_dismissed: bool) -> Result<(), StorageError> {
        let Some(bucket) = self.state.buckets.values().find(|live| live.id == bucket).map(Arc::clone) else {
            return Ok(());
        };
        let Some((row_key, row)) = slot_row(self.rows, &bucket, slot)?.filter(|(_, row)| !row.is_marker()) else {
            return Ok(());
        };
        let lineage = Lineage { is_dismissed, ..self.lineage_of(&row)? };
        let row = ObjectRow { lineage: lineage_row(lineage, Stamp(row.stamp), self.own()), ..row };
        let change = self.change(row_key, Some(rows::encode(&row)?));
        self.step(Step::Tag { place: place_of(&bucket, &slot.key, &row), row: change });
        Ok(())
    }

    /// Queues a change for where its bucket is replicated to, if it is to be sent there. Answers whether it was.
    pub(super) fn queue_change(&mut self, bucket: &Bucket, send: &ToSend<'_>) -> Result<bool, StorageError> {
        let rules = self.state.replication.rules();
        let Some(to) = rules.of(&bucket.name) else { return Ok(false) };
        let is_known = to.peer.is_some_and(|peer| send.known_to.contains(&Some(peer)));
        if is_known || !to.matches(send.key.as_str(), send.what) {
            return Ok(false);
        }
        let queue = QueueName { bucket: bucket.id, target: to.target.clone() };
        let mut totals = self.totals(&queue);
        let row_key = keys::queued(&queue, send.key.as_bytes(), send.version);
        let before = self.planned_row(&row_key)?.map(|row| rows::decode::<QueueRow>(&row)).transpose()?;
        if before.is_none() && totals.pending.saturating_add(totals.parked) >= rules.limits.backlog_max {
            if !totals.overflowed {
                totals.overflowed = true;
                self.set_totals(&queue, totals)?;
                self.effects.push(Effect::ToBeSent(queue));
            }
            return Ok(false);
        }
        // Of its own: an entry that was read before this change must not be settled as if it had been.
        let mark = self.stamp(None).0;
        let mut row = QueueRow { since: mark, mark, kinds: send.kinds.0, bytes: send.bytes, attempts: 0, parked: None };
        if let Some(before) = before {
            totals.remove(&before);
            let by_time = |row: &QueueRow| {
                keys::queued_since(&queue, tray_of(row), Stamp(row.since), send.key.as_bytes(), send.version)
            };
            row.kinds |= before.kinds;
            if before.parked.is_some() {
                self.change(by_time(&before), None);
                self.change(by_time(&row), Some(Vec::new()));
            } else {
                (row.since, row.attempts) = (before.since, before.attempts);
            }
        } else {
            let by_time = keys::queued_since(
                &queue,
                ReplicationTray::Pending,
                Stamp(row.since),
                send.key.as_bytes(),
                send.version,
            );
            self.change(by_time, Some(Vec::new()));
        }
        totals.add(&row);
        let row = rows::encode(&row)?;
        self.change_again(row_key, row);
        self.set_totals(&queue, totals)?;
        self.effects.push(Effect::ToBeSent(queue));
        Ok(true)
    }
}

impl Mutation for SettleChanges {
    /// How many were settled.
    type Output = usize;

    fn plan(self, planner: &mut Planner<'_>) -> Result<usize, StorageError> {
        let queue = &self.queue;
        let mut totals = planner.totals(queue);
        let (mut settled, mut has_more) = (0, false);
        for (slot, mark, outcome) in self.changes.into_iter().take(Self::CHANGES_MAX) {
            let row_key = keys::queued(queue, slot.key.as_bytes(), slot.version);
            let row = planner.planned_row(&row_key)?.map(|row| rows::decode::<QueueRow>(&row)).transpose()?;
            let Some(before) = row.filter(|row| row.mark == mark.0) else { continue };
            settled += 1;
            totals.remove(&before);
            let by_time = |row: &QueueRow| {
                keys::queued_since(queue, tray_of(row), Stamp(row.since), slot.key.as_bytes(), slot.version)
            };
            let mut row = before.clone();
            match outcome {
                SettledChange::Done | SettledChange::Dismissed => {
                    planner.change(by_time(&before), None);
                    planner.change(row_key, None);
                    if outcome == SettledChange::Dismissed {
                        planner.note_dismissed(queue.bucket, &slot, true)?;
                    }
                    continue;
                }
                SettledChange::Parked(reason) => {
                    row.parked = Some(reason.chars().take(REASON_CHARS_MAX).collect());
                    row.attempts = row.attempts.saturating_add(1);
                }
                SettledChange::Pending => {
                    row.attempts = if before.parked.is_some() { 0 } else { row.attempts.saturating_add(1) };
                    row.parked = None;
                    has_more |= before.parked.is_some();
                }
            }
            if tray_of(&row) != tray_of(&before) {
                planner.change(by_time(&before), None);
                planner.change(by_time(&row), Some(Vec::new()));
            }
            totals.add(&row);
            planner.change(row_key, Some(rows::encode(&row)?));
        }
        if settled > 0 {
            planner.set_totals(queue, totals)?;
        }
        if has_more {
            planner.effects.push(Effect::ToBeSent(self.queue));
        }
        Ok(settled)
    }
}

impl Mutation for EnqueueChanges {
    /// How many were queued.
    type Output = usize;

    fn plan(self, planner: &mut Planner<'_>) -> Result<usize, StorageError> {
        let bucket = planner.live(&self.bucket)?;
        let own = planner.state.replication.own;
        let mut queued = 0;
        for slot in self.slots.iter().take(SettleChanges::CHANGES_MAX) {
            let Slot { key, version } = slot;
            let state = slot_state(planner.rows, own, &bucket, slot)?;
            let (what, kinds, bytes, origin) = match &state {
                SlotState::Object(object) => {
                    let kinds = Kinds::CONTENT.with(Kinds::TAGS).with(Kinds::LOCK);
                    let what = ReplicatedChange::Object(&object.attributes.tags);
                    (what, kinds, object.size, object.maker(own))
                }
                SlotState::Marker { change, .. } => (ReplicatedChange::Delete, Kinds::CONTENT, 0, change.origin),
                SlotState::Deleted { change, .. } => {
                    let what = match version {
                        None => ReplicatedChange::Delete,
                        Some(_) => ReplicatedChange::DeleteVersion,
                    };
                    (what, Kinds::DELETE, 0, change.origin)
                }
                SlotState::Gone => continue,
            };
            let known_to = [Some(origin).filter(|origin| *origin != own && !self.is_repair), None];
            let send = ToSend { key, version: *version, what, kinds, bytes, known_to };
            let is_queued = planner.queue_change(&bucket, &send)?;
            queued += usize::from(is_queued);
            if let SlotState::Object(object) = &state
                && is_queued
                && object.is_dismissed()
            {
                planner.note_dismissed(bucket.id, slot, false)?;
            }
        }
        Ok(queued)
    }
}
