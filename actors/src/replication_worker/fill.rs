//! Walks of replication: over what was in a bucket before, and over what is parked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::learned::Fill;
use super::messages::Keep;
use super::source::Source;
use super::work::{Event, Work};
use crate::bucket_config::BucketReplication;
use crate::names::NodeId;
use crate::storage::{
    Bucket, EnqueueChanges, QueueName, QueueTotals, ReplicationTray, SettleChanges, SettledChange, Slot, SlotState,
    StorageError, WalkPosition,
};

/// A back-fill goes on only while fewer entries wait, and half as many as may.
const FILL_BELOW: u64 = 1024;
/// How often it is kept how far a back-fill is.
const KEEP: Duration = Duration::from_secs(5);

impl Work {
    /// Begins a back-fill where one is wanted that was not begun.
    pub(super) fn begin_fill(&mut self) {
        if self.learned.fill.is_none() && self.order.rule.wants_existing() {
            self.learned.fill = Some(Fill::default());
        }
        if let Some(fill) = &self.learned.fill {
            self.lane.board.filled(fill.clone());
        }
    }

    pub(super) fn walk(&mut self) {
        let Some(fill) = self.learned.fill.as_ref().filter(|fill| !fill.done) else { return };
        // What its own changes are is known only once the target was asked who it is.
        if self.is_walking || self.terms.is_none() {
            return;
        }
        let totals = self.lane.source.totals(&self.queue);
        let Some(limit) = totals.ok().and_then(|totals| room(self.lane.backlog_max, &totals)) else { return };
        self.is_walking = true;
        let position = fill.position.as_deref().and_then(WalkPosition::parse);
        let (source, bucket, peer) = (Arc::clone(&self.lane.source), Arc::clone(&self.bucket), self.learned.peer);
        let rules = Arc::clone(&self.order.rules);
        self.tasks
            .push(Box::pin(async move { Event::Walked(step(&*source, bucket, position, limit, peer, &rules).await) }));
    }

    pub(super) fn walked(&mut self, walked: Result<Walked, StorageError>) {
        self.is_walking = false;
        let (walked, Some(fill)) = (walked, &mut self.learned.fill) else { return };
        match walked {
            Err(error) => self.rest(&error),
            Ok(Walked { next, looked_at, queued }) => {
                self.storage_retry.reset();
                fill.looked_at += looked_at;
                fill.queued += queued;
                fill.done = next.is_none();
                fill.position = next.map(|next| next.to_string());
                let is_done = fill.done;
                self.lane.board.filled(fill.clone());
                if queued > 0 {
                    self.schedule.fill();
                }
                if is_done {
                    self.lane.board.overflow(false);
                }
                if is_done || self.kept.elapsed() >= KEEP {
                    self.keep_later();
                }
            }
        }
    }

    /// What is to be kept of what was learned.
    pub(super) fn message(&self) -> Keep {
        Keep {
            bucket: self.order.rule.bucket.clone(),
            target: self.order.rules.target.clone(),
            created_at: self.order.rule.created_at,
            learned: self.learned.clone(),
        }
    }

    pub(super) fn keep_later(&mut self) {
        self.kept = Instant::now();
        let (worker, message) = (self.lane.worker.clone(), self.message());
        self.tasks.push(Box::pin(async move {
            // Without it some is learned again.
            let _kept = worker.send(message).await;
            Event::Nothing
        }));
    }

    pub(super) async fn keep(&mut self) {
        let _kept = self.lane.worker.send(self.message()).await;
    }
}

/// Below how many entries a back-fill goes on, and how many slots a step of it looks at: together never more than a queue may hold, or
/// it would overflow by itself.
fn bounds(backlog_max: u64) -> (u64, usize) {
    let half = (backlog_max / 2).max(1);
    let page = usize::try_from(half).unwrap_or(usize::MAX).min(SettleChanges::CHANGES_MAX);
    (FILL_BELOW.min(half), page)
}

/// How many slots the next step of a back-fill may look at; none while it has to wait: also until somebody has looked at what the target
/// refuses, or a bucket that is larger than its queue would be sent again and again, to be refused each time.
fn room(backlog_max: u64, totals: &QueueTotals) -> Option<usize> {
    let (below, limit) = bounds(backlog_max);
    let all = totals.pending.saturating_add(totals.parked).saturating_add(limit as u64);
    let goes_on = totals.pending < below && totals.parked < (backlog_max / 2).max(1) && all <= backlog_max;
    goes_on.then_some(limit)
}

/// What a step of a back-fill has come to.
#[derive(Debug)]
pub(super) struct Walked {
    /// Where the next one begins; none when it was everywhere.
    pub next: Option<WalkPosition>,
    pub looked_at: u64,
    pub queued: u64,
}

/// A step of a back-fill: queues a page of slots, but for those that the target made itself, or that no rule means.
pub(super) async fn step(
    source: &dyn Source,
    bucket: Arc<Bucket>,
    position: Option<WalkPosition>,
    limit: usize,
    peer: Option<NodeId>,
    rules: &BucketReplication,
) -> Result<Walked, StorageError> {
    let page = source.walk(Arc::clone(&bucket), position, limit).await?;
    let own = source.node_id();
    let mut slots: Vec<Slot> = Vec::with_capacity(page.slots.len());
    let looked_at = page.slots.len() as u64;
    for (slot, _) in page.slots {
        let key = slot.key.as_str();
        let (origin, is_meant) = match source.state(&bucket, &slot)? {
            SlotState::Object(object) => {
                (object.maker(own), rules.means(key, Some(&object.attributes.tags), object.last_change()))
            }
            SlotState::Marker { change, modified, .. } => (change.origin, rules.means(key, None, modified)),
            SlotState::Deleted { change, .. } => (change.origin, true),
            SlotState::Gone => continue,
        };
        if peer != Some(origin) && is_meant {
            slots.push(slot);
        }
    }
    let mut queued = 0;
    for slots in slots.chunks(SettleChanges::CHANGES_MAX) {
        let message = EnqueueChanges { bucket: Arc::clone(&bucket), slots: slots.to_vec(), is_repair: false };
        queued += source.enqueue(message).await? as u64;
    }
    Ok(Walked { next: page.next, looked_at, queued })
}

/// Settles all entries that a queue has parked by now. Answers how many.
pub(super) async fn settle_parked(
    source: &dyn Source,
    queue: &QueueName,
    outcome: &SettledChange,
) -> Result<usize, StorageError> {
    let (mut settled, mut after) = (0, None);
    loop {
        let limit = SettleChanges::CHANGES_MAX;
        let page = source.page(queue.clone(), ReplicationTray::Parked, after, limit).await?;
        let Some(last) = page.last() else { return Ok(settled) };
        after = Some((last.since, last.slot.clone()));
        let changes = page.iter().map(|entry| (entry.slot.clone(), entry.mark, outcome.clone())).collect();
        settled += source.settle(SettleChanges { queue: queue.clone(), changes }).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_back_fill_never_overflows_its_queue() {
        for backlog_max in [1, 2, 3, 20, 511, 1024, 2_000_000] {
            let (below, page) = bounds(backlog_max);
            assert!(below >= 1 && page >= 1);
            assert!(below - 1 + page as u64 <= backlog_max, "{backlog_max}");
        }
        assert_eq!(bounds(2_000_000), (FILL_BELOW, SettleChanges::CHANGES_MAX));
    }

    #[test]
    fn a_back_fill_waits_for_who_looks_at_refusals() {
        let room = |pending, parked| room(100, &QueueTotals { pending, parked, ..QueueTotals::default() });
        assert_eq!(room(0, 0), Some(50));
        assert_eq!(room(0, 49), Some(50));
        assert_eq!([room(50, 0), room(0, 50), room(2, 49)], [None; 3]);
    }
}
