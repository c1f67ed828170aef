//! Passing on changes that were found while no node ran, to the queue of whoever their bucket is replicated to.

use std::sync::Arc;

use super::{Effect, Mutation, Planner};
use crate::names::{ObjectKey, Stamp};
use crate::storage::messages::{
    Bucket, EnqueueChanges, QueueName, ReplicationTray, SettleChanges, SettledChange, Slot,
};
use crate::storage::rows::{self, QueueRow};
use crate::storage::{StorageError, keys};

/// Passes on some of them, in one commit with their end in the queue of anybody.
pub(in crate::storage) struct PassOn(pub Arc<Bucket>);

impl Mutation for PassOn {
    /// Whether nothing is left.
    type Output = bool;

    fn plan(self, planner: &mut Planner<'_>) -> Result<bool, StorageError> {
        let bucket = planner.live(&self.0)?;
        let queue = QueueName::of_anybody(bucket.id);
        let Some(totals) = planner.state.queues.get(&queue).copied() else { return Ok(true) };
        let changes = first_of(planner, &queue)?;
        if !changes.is_empty() {
            let slots = changes.iter().map(|(slot, ..)| slot.clone()).collect();
            EnqueueChanges { bucket, slots, is_repair: false }.plan(planner)?;
            SettleChanges { queue, changes }.plan(planner)?;
            return Ok(false);
        }
        let rules = planner.state.replication.rules();
        if let Some(to) = rules.of(&bucket.name).filter(|_| totals.overflowed) {
            // It is not known which: whoever sends looks at all of them.
            let theirs = QueueName { bucket: bucket.id, target: to.target.clone() };
            let mut totals = planner.totals(&theirs);
            totals.overflowed = true;
            planner.set_totals(&theirs, totals)?;
            planner.effects.push(Effect::ToBeSent(theirs));
        }
        planner.change(keys::queue_totals(&queue), None);
        planner.effects.push(Effect::QueueIs(queue, None));
        Ok(true)
    }
}

/// The oldest entries of a queue, as settled.
fn first_of(planner: &Planner<'_>, queue: &QueueName) -> Result<Vec<(Slot, Stamp, SettledChange)>, StorageError> {
    let (start, end) = keys::queued_by_time(queue, ReplicationTray::Pending);
    let mut slots = Vec::new();
    planner.rows.scan(&start, &end, &mut |row_key, _| {
        if let Some(keys::RowKind::QueuedSince(.., key, version)) = keys::kind(row_key) {
            slots.push((key, version));
        }
        Ok(slots.len() < SettleChanges::CHANGES_MAX)
    })?;
    let mut changes = Vec::with_capacity(slots.len());
    for (key, version) in slots {
        let Some(row) = planner.rows.get(&keys::queued(queue, &key, version))? else { continue };
        let mark = Stamp(rows::decode::<QueueRow>(&row)?.mark);
        let key = ObjectKey::parse(&key).map_err(|error| StorageError::Index(format!("malformed key: {error}")))?;
        changes.push((Slot { key, version }, mark, SettledChange::Done));
    }
    Ok(changes)
}
