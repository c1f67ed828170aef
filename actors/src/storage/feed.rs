//! Who hears of events as they are committed: listeners, each of whom may miss some, and whoever empties the outbox, who learns
//! only which queues to look at.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};

use super::messages::{ObjectEvent, OutboxQueue};

/// Events that a listener may be behind.
const BEHIND_MAX: usize = 1024;

/// Passes events on.
#[derive(Debug)]
pub(super) struct EventFeed {
    live: broadcast::Sender<Arc<ObjectEvent>>,
    /// Queues that have new events; as many as there are targets at most.
    filled: Mutex<BTreeSet<OutboxQueue>>,
    bell: Notify,
}

impl Default for EventFeed {
    fn default() -> Self {
        Self { live: broadcast::Sender::new(BEHIND_MAX), filled: Mutex::default(), bell: Notify::new() }
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

    /// Waits for queues with new events; there may turn out to be none.
    pub async fn filled(&self) -> BTreeSet<OutboxQueue> {
        self.bell.notified().await;
        std::mem::take(&mut *self.filled.lock())
    }
}
