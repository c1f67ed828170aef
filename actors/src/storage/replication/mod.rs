//! Replication as Storage has it: which change of a key wins (`lineage`), what waits to be sent to whom (`queue`), and what the
//! client answers of it. The changes themselves are planned with all others (`plan/replica`, `plan/queue`).
//!
//! INVARIANT: an entry of a queue is committed with the change that it is about, and removed only by who says that he has sent it as it
//! is: so a change can be late, and is never lost.

mod client;
mod conflicts;
mod lineage;
mod node_id;
mod walk;

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::sync::Notify;

pub(super) use conflicts::copy_row;
pub(super) use lineage::{Ancestry, Verdict, gives_way, kept};
pub(super) use node_id::node_id;
pub(super) use walk::{slot_row, slot_state};

use super::messages::QueueName;
use super::rows::QueueTotalsRow;
use crate::bucket_config::RuleSet;
use crate::names::NodeId;

/// What planner, client and whoever sends changes have in common.
#[derive(Debug)]
pub(super) struct Replication {
    /// This node.
    pub own: NodeId,
    rules: ArcSwap<RuleSet>,
    /// Sums over the queues that there are.
    pub totals: DashMap<QueueName, QueueTotalsRow>,
    /// Queues with new entries; as many as there are targets at most.
    filled: Mutex<BTreeSet<QueueName>>,
    bell: Notify,
}

impl Replication {
    pub fn new(own: NodeId, totals: impl IntoIterator<Item = (QueueName, QueueTotalsRow)>) -> Self {
        Self {
            own,
            rules: ArcSwap::default(),
            totals: totals.into_iter().collect(),
            filled: Mutex::default(),
            bell: Notify::new(),
        }
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<RuleSet> {
        self.rules.load_full()
    }

    pub fn set_rules(&self, rules: Arc<RuleSet>) {
        self.rules.store(rules);
    }

    /// A queue has a new entry.
    pub fn ring(&self, queue: &QueueName) {
        self.filled.lock().insert(queue.clone());
        self.bell.notify_one();
    }

    /// Waits for queues with new entries; there may turn out to be none.
    pub async fn filled(&self) -> BTreeSet<QueueName> {
        self.bell.notified().await;
        std::mem::take(&mut *self.filled.lock())
    }
}
