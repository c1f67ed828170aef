//! What lifecycle knows of itself, asked when metrics are read.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::MetricsError;
use crate::node::Node;

/// Figures of what is removed by the rules of buckets.
#[derive(Debug)]
pub(super) struct LifecycleGauges {
    running: IntGauge,
    removed: IntCounterVec,
    bytes: IntCounter,
    failed: IntCounter,
}

impl LifecycleGauges {
    pub fn new(registry: &Registry) -> Result<Self, MetricsError> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, MetricsError> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let running = IntGauge::new("myfsio_lifecycle_running", "1 while buckets are looked through, else 0")?;
        registry.register(Box::new(running.clone()))?;
        let removed = Opts::new("myfsio_lifecycle_removed_total", "What was removed by the rules of buckets");
        let removed = IntCounterVec::new(removed, &["kind"])?;
        registry.register(Box::new(removed.clone()))?;
        Ok(Self {
            running,
            removed,
            bytes: counter("myfsio_lifecycle_removed_bytes_total", "Bytes that buckets hold less for that")?,
            failed: counter("myfsio_lifecycle_failed_total", "Removals that failed, and are tried again")?,
        })
    }

    pub fn refresh(&self, node: &Node) {
        let totals = node.lifecycle.totals();
        self.running.set(i64::from(totals.is_looking));
        // The counters are this node's alone, so what they lack is what has come since.
        let raise = |counter: &IntCounter, to: u64| counter.inc_by(to.saturating_sub(counter.get()));
        for (kind, count) in [
            ("objects", totals.objects),
            ("versions", totals.versions),
            ("markers", totals.markers),
            ("uploads", totals.uploads),
        ] {
            raise(&self.removed.with_label_values(&[kind]), count);
        }
        raise(&self.bytes, totals.bytes);
        raise(&self.failed, totals.failed);
    }
}
