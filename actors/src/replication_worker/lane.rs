//! What a bucket's replication is told to do, and the task that does it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::Addr;
use tokio::sync::{Notify, watch};

use super::actor::ReplicationWorker;
use super::board::Board;
use super::learned::Learned;
use super::line::Line;
use super::peer::Peer;
use super::rules::Rule;
use super::source::Source;
use super::work::Work;
use crate::bucket_config::BucketReplication;
use crate::clock::SharedClock;
use crate::storage::QueueName;

/// When it is looked again whether what was missing has come.
const LOOK: Duration = Duration::from_secs(5);

/// What a lane is to do.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub rule: Arc<Rule>,
    pub rules: Arc<BucketReplication>,
    /// Its connection; none when there is no such connection.
    pub line: Option<Arc<Line>>,
    pub learned: Learned,
}

/// What wakes a lane, and why.
#[derive(Debug, Default)]
pub(super) struct Bell {
    notify: Notify,
    rewind: AtomicBool,
}

impl Bell {
    /// There are new entries.
    pub fn ring(&self) {
        self.notify.notify_one();
    }

    /// Waits until it is rung. Answers whether there may be entries anywhere.
    pub async fn rung(&self) -> bool {
        self.notify.notified().await;
        self.rewind.swap(false, Ordering::SeqCst)
    }

    /// There may be entries anywhere, and nothing waits any longer.
    pub fn rewind(&self) {
        self.rewind.store(true, Ordering::SeqCst);
        self.notify.notify_one();
    }
}

/// The task and what it works with.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub source: Arc<dyn Source>,
    pub peer: Arc<dyn Peer>,
    pub clock: SharedClock,
    pub board: Arc<Board>,
    pub bell: Arc<Bell>,
    /// Most entries of its queue.
    pub backlog_max: u64,
    /// None ends it.
    pub orders: watch::Receiver<Option<Order>>,
    pub worker: Addr<ReplicationWorker>,
}

impl Lane {
    /// Works until it is told to end.
    pub async fn run(mut self) {
        let mut is_first = true;
        loop {
            let Some(order) = self.orders.borrow_and_update().clone() else { return };
            if let Err(reason) = self.follow(&order, std::mem::take(&mut is_first)).await {
                self.board.fail(Some(reason));
                // What is missing may come.
                let _or_not = tokio::time::timeout(LOOK, self.orders.changed()).await;
            }
        }
    }

    /// Follows an order until there is another. Errs: why it cannot be followed for now.
    async fn follow(&mut self, order: &Order, is_first: bool) -> Result<(), String> {
        if !order.rule.enabled {
            self.board.fail(None);
            self.board.show(0, std::iter::empty());
            // An error means that nobody gives orders any more.
            let _ = self.orders.changed().await;
            return Ok(());
        }
        let Some(line) = &order.line else {
            return Err(format!("no connection has the id {:?}", order.rule.connection));
        };
        let bucket = self.source.bucket(&order.rule.bucket).map_err(|error| error.to_string())?;
        let queue = QueueName { bucket: bucket.id, target: order.rules.target.clone() };
        self.board.fail(None);
        let mut work = Work::new(self.clone(), order.clone(), Arc::clone(line), bucket, queue);
        if !is_first {
            // Somebody has resumed the rule, or changed something about it.
            work.unpark();
        }
        work.run(&mut self.orders).await
    }
}
