//! Writes down once a minute when access keys were last used, so that a restart forgets nothing and a crash the last minute.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::node::Node;

const EVERY: Duration = Duration::from_secs(60);

/// The task that writes.
#[derive(Debug)]
pub(crate) struct Keeper {
    task: JoinHandle<()>,
    node: Arc<Node>,
}

/// Begins to write.
pub(crate) fn start(node: &Arc<Node>) -> Keeper {
    Keeper { task: actix_rt::spawn(run(Arc::clone(node))), node: Arc::clone(node) }
}

impl Keeper {
    /// Writes what is known now, and no more.
    pub async fn stop(self) {
        self.task.abort();
        keep(&self.node).await;
    }
}

async fn run(node: Arc<Node>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        keep(&node).await;
    }
}

async fn keep(node: &Arc<Node>) {
    let iam = node.access.iam.clone();
    let written = tokio::task::spawn_blocking(move || iam.keep_uses());
    if let Ok(Err(error)) = written.await {
        tracing::warn!(%error, "when access keys were used cannot be written");
    }
}
