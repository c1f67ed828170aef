//! Who hears of events as they are committed: listeners, each of whom may miss some, and whoever empties the outbox, who learns
//! only which queues to look at. And who hears of quotas.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};

use super::messages::{ObjectEvent, OutboxQueue, QuotaWarning};

/// Events that a listener may be behind.
const BEHIND_MAX: usize = 1024;

/// Passes events on.
#[derive(Debug)]
pub(super) struct EventFeed {
    live: broadcast::Sender<Arc<ObjectEvent>>,
    /// Queues that have new events; as many as there are targets at most.
    filled: Mutex<BTreeSet<OutboxQueue>>,
    bell: Notify,
    warnings: broadcast::Sender<Arc<QuotaWarning>>,
    /// Rung when a meter has something to count.
    meters: Notify,
}

impl Default for EventFeed {
    fn default() -> Self {
        Self {
            live: broadcast::Sender::new(BEHIND_MAX),
            filled: Mutex::default(),
            bell: Notify::new(),
            warnings: broadcast::Sender::new(BEHIND_MAX),
            meters: Notify::new(),
        }
    }
}

impl EventFeed {
    /// Whether anybody listens.
    pub fn is_heard(&self) -> bool {
        self.live.receiver_count() > 0
    }

    pub fn listen(&self) -> broadcast::Receiver<Arc<ObjectEvent>> {
        self.live.subscribe()
    }

    /// Tells the listeners; nobody may be there any more.
    pub fn tell(&self, event: &Arc<ObjectEvent>) {
        let _nobody = self.live.send(Arc::clone(event));
    }

    /// A queue has a new event.
    pub fn ring(&self, queue: &OutboxQueue) {
        self.filled.lock().insert(queue.clone());
        self.bell.notify_one();
    }

    /// Tells who listens that a quota came to a warning threshold.
    pub fn warn(&self, warning: &Arc<QuotaWarning>) {
        let _nobody = self.warnings.send(Arc::clone(warning));
    }

    pub fn listen_to_warnings(&self) -> broadcast::Receiver<Arc<QuotaWarning>> {
        self.warnings.subscribe()
    }

    /// A meter is not complete.
    pub fn meter(&self) {
        self.meters.notify_one();
    }

    /// Waits until a meter may have something to count. For one reader.
    pub async fn metered(&self) {
        self.meters.notified().await;
    }

    /// Waits for queues with new events; there may turn out to be none.
    pub async fn filled(&self) -> BTreeSet<OutboxQueue> {
        self.bell.notified().await;
        std::mem::take(&mut *self.filled.lock())
    }
}
