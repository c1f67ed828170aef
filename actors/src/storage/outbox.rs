//! The outbox as its readers see it: queues of events that targets have still to be told of, and listeners.
//!
//! An event is committed with its change and stays until [`StorageClient::settle_events`] removes it: who tells a target and is
//! stopped before that tells it again.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::broadcast;

use super::client::StorageClient;
use super::messages::{Bucket, ObjectEvent, Origin, OutboxQueue, QueuedEvent, SettleEvents, Tray};
use super::overlay::{LiveRows, Rows as _};
use super::rows::{self, EventRow};
use super::{StorageError, keys};
use crate::names::Stamp;

/// How many events a queue has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueLength {
    /// So many, or more if `is_more`.
    pub events: u64,
    /// Whether not all were counted.
    pub is_more: bool,
    /// Time of the oldest.
    pub oldest: Option<Stamp>,
}

impl StorageClient {
    /// The same client, whose changes are told to come from `origin`.
    pub fn on_behalf(&self, origin: Arc<Origin>) -> Self {
        let mut client = self.clone();
        client.origin = Some(origin);
        client
    }

    /// Whether changes of the bucket are told to anybody, so that it matters where they come from.
    pub fn tells(&self, bucket: &Bucket) -> bool {
        bucket.config.notification.is_some() || self.shared.feed.is_heard()
    }

    /// Hears of every event from now on. A listener that is slow misses some, and is told how many.
    pub fn listen(&self) -> broadcast::Receiver<Arc<ObjectEvent>> {
        self.shared.feed.listen()
    }

    /// Waits for queues with new events; there may turn out to be none. For one reader.
    pub async fn filled_queues(&self) -> BTreeSet<OutboxQueue> {
        self.shared.feed.filled().await
    }

    /// Queues that have events, at most `limit`, behind `after`.
    pub async fn queues(
        &self,
        tray: Tray,
        after: Option<OutboxQueue>,
        limit: usize,
    ) -> Result<Vec<OutboxQueue>, StorageError> {
        let shared = Arc::clone(&self.shared);
        self.shared.tools.pool.run(move || queues(&shared.rows, tray, after.as_ref(), limit)).await
    }

    /// Events of a queue in order, at most `limit`, behind `after`.
    pub async fn queued_events(
        &self,
        tray: Tray,
        queue: OutboxQueue,
        after: Option<Stamp>,
        limit: usize,
    ) -> Result<Vec<QueuedEvent>, StorageError> {
        let shared = Arc::clone(&self.shared);
        self.shared.tools.pool.run(move || queued_events(&shared.rows, tray, &queue, after, limit)).await
    }

    /// Counts the events of a queue, up to `max`.
    pub async fn queue_length(&self, tray: Tray, queue: OutboxQueue, max: u64) -> Result<QueueLength, StorageError> {
        let shared = Arc::clone(&self.shared);
        self.shared.long_pool.run(move || queue_length(&shared.rows, tray, &queue, max)).await
    }

    /// See [`SettleEvents`].
    pub async fn settle_events(&self, message: SettleEvents) -> Result<usize, StorageError> {
        self.commit(message).await
    }
}

/// Steps from queue to queue, without looking at their events.
fn queues(
    live: &LiveRows,
    tray: Tray,
    after: Option<&OutboxQueue>,
    limit: usize,
) -> Result<Vec<OutboxQueue>, StorageError> {
    let (first, end) = keys::all_events(tray);
    let mut start = after.map_or(first, |after| keys::events_of(tray, after).1);
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row_key) = live.first(&start, &end)?
    {
        let Some((queue, _)) = keys::split_event(&row_key) else {
            // Unreadable, which `fsck` tells.
            start = [row_key, vec![0]].concat();
            continue;
        };
        start = keys::events_of(tray, &queue).1;
        found.push(queue);
    }
    Ok(found)
}

fn queued_events(
    live: &LiveRows,
    tray: Tray,
    queue: &OutboxQueue,
    after: Option<Stamp>,
    limit: usize,
) -> Result<Vec<QueuedEvent>, StorageError> {
    let (start, end) = keys::events_of(tray, queue);
    let start = after.map_or(start, |after| keys::event(tray, queue, Stamp(after.0.saturating_add(1))));
    let mut found = Vec::new();
    live.scan(&start, &end, &mut |row_key, row| {
        if let Some((_, sequence)) = keys::split_event(row_key) {
            found.push(rows::decode::<EventRow>(row)?.into_event(sequence)?);
        }
        Ok(found.len() < limit)
    })?;
    Ok(found)
}

fn queue_length(live: &LiveRows, tray: Tray, queue: &OutboxQueue, max: u64) -> Result<QueueLength, StorageError> {
    let (start, end) = keys::events_of(tray, queue);
    let mut length = QueueLength::default();
    live.scan(&start, &end, &mut |row_key, _| {
        if length.events >= max {
            length.is_more = true;
            return Ok(false);
        }
        length.oldest = length.oldest.or_else(|| keys::split_event(row_key).map(|(_, sequence)| sequence));
        length.events += 1;
        Ok(true)
    })?;
    Ok(length)
}
