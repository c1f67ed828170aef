//! Dropping what replication keeps, a few rows in each commit: a queue that its rule starts anew, and what is left of buckets and rules
//! that are gone.

use super::{Effect, Mutation, Planner};
use crate::names::BucketId;
use crate::storage::StorageError;
use crate::storage::keys::{self, KeyRange};
use crate::storage::messages::{QueueName, ReplicationTray};
use crate::storage::rows::QueueTotalsRow;

/// Rows of one commit.
const ROWS_MAX: usize = if cfg!(test) { 7 } else { 500 };

impl Planner<'_> {
    /// Whether a rule has changes added to a queue.
    fn is_followed(&self, queue: &QueueName) -> bool {
        let bucket = self.state.buckets.values().find(|bucket| bucket.id == queue.bucket);
        let rules = self.state.replication.rules();
        bucket.and_then(|bucket| rules.of(&bucket.name)).is_some_and(|rule| rule.target == queue.target)
    }

    /// Removes rows of some ranges; answers whether those were all.
    fn drop_rows(&mut self, ranges: &[KeyRange]) -> Result<bool, StorageError> {
        let mut found = Vec::new();
        for (start, end) in ranges {
            self.rows.scan(start, end, &mut |row_key, _| {
                found.push(row_key.to_vec());
                Ok(found.len() <= ROWS_MAX)
            })?;
            if found.len() > ROWS_MAX {
                break;
            }
        }
        let is_all = found.len() <= ROWS_MAX;
        for row_key in found.into_iter().take(ROWS_MAX) {
            self.change(row_key, None);
        }
        Ok(is_all)
    }
}

/// Empties a queue, of which nothing counts any more: everything is looked at anew, or its rule is no more.
pub(in crate::storage) struct DropQueue {
    pub queue: QueueName,
    /// Whether its rule is no more. Once there is such a rule again, what is left of the queue is its own: it has no end that is known, so
    /// everything is looked at anew.
    pub is_former: bool,
}

impl Mutation for DropQueue {
    /// Whether it is empty.
    type Output = bool;

    fn plan(self, planner: &mut Planner<'_>) -> Result<bool, StorageError> {
        let Self { queue, is_former } = self;
        if !planner.state.queues.contains_key(&queue) || (is_former && planner.is_followed(&queue)) {
            return Ok(true);
        }
        let trays = [ReplicationTray::Pending, ReplicationTray::Parked].map(|tray| keys::queued_by_time(&queue, tray));
        let [pending, parked] = trays;
        if planner.drop_rows(&[keys::all_queued(&queue), pending, parked])? {
            planner.change(keys::queue_totals(&queue), None);
            planner.effects.push(Effect::QueueIs(queue, None));
            return Ok(true);
        }
        planner.set_totals(&queue, QueueTotalsRow { overflowed: true, ..QueueTotalsRow::default() })?;
        Ok(false)
    }
}

/// Removes what replication has kept of a bucket that is gone.
pub(in crate::storage) struct DropLeftovers(pub BucketId);

impl Mutation for DropLeftovers {
    /// Whether nothing is left.
    type Output = bool;

    fn plan(self, planner: &mut Planner<'_>) -> Result<bool, StorageError> {
        let Self(bucket) = self;
        if planner.state.buckets.values().any(|live| live.id == bucket) {
            return Ok(true);
        }
        let queues: Vec<_> = planner.state.queues.keys().filter(|queue| queue.bucket == bucket).cloned().collect();
        planner.effects.extend(queues.into_iter().map(|queue| Effect::QueueIs(queue, None)));
        planner.drop_rows(&keys::replication_of(bucket))
    }
}
