//! What the scrub knows of itself, asked when metrics are read.

use myfsio_actors::storage::DamageKind;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::MetricsError;
use crate::node::Node;

/// Figures of the verification of stored bytes.
#[derive(Debug)]
pub(super) struct ScrubGauges {
    running: IntGauge,
    percent: IntGauge,
    ended: IntGauge,
    items: IntCounter,
    bytes: IntCounter,
    repaired: IntCounter,
    damaged: IntCounterVec,
}

impl ScrubGauges {
    pub fn new(registry: &Registry) -> Result<Self, MetricsError> {
        let gauge = |name: &str, help: &str| -> Result<IntGauge, MetricsError> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let counter = |name: &str, help: &str| -> Result<IntCounter, MetricsError> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let damaged =
            Opts::new("myfsio_scrub_damaged_total", "Damaged objects, versions and parts that were found, by how");
        let damaged = IntCounterVec::new(damaged, &["damage"])?;
        registry.register(Box::new(damaged.clone()))?;
        // A series that begins with its first damage would hide it from whoever asks for an increase.
        for kind in DamageKind::ALL {
            damaged.with_label_values(&[kind.name()]);
        }
        Ok(Self {
            running: gauge("myfsio_scrub_running", "1 while stored bytes are being verified, else 0")?,
            percent: gauge("myfsio_scrub_progress_percent", "How far the run is that is at work, roughly")?,
            ended: gauge("myfsio_scrub_last_end_seconds", "When the last run ended, in seconds since 1970; 0: never")?,
            items: counter("myfsio_scrub_verified_total", "Objects, versions and parts that were verified")?,
            bytes: counter("myfsio_scrub_bytes_total", "Bytes that were read for that")?,
            repaired: counter("myfsio_scrub_repaired_total", "Damaged objects that were repaired from a replica")?,
            damaged,
        })
    }

    pub fn refresh(&self, node: &Node) {
        let report = node.scrub.report();
        self.running.set(i64::from(report.run.is_some()));
        let percent = report.run.as_ref().map_or(0, |run| run.percent());
        self.percent.set(i64::try_from(percent).unwrap_or(100));
        let ended = report.last_runs.front().and_then(|run| run.ended_millis).unwrap_or(0) / 1000;
        self.ended.set(i64::try_from(ended).unwrap_or(i64::MAX));
        let totals = node.scrub.totals();
        // The counters are this node's alone, so what they lack is what has come since.
        let raise = |counter: &IntCounter, to: u64| counter.inc_by(to.saturating_sub(counter.get()));
        raise(&self.items, totals.items);
        raise(&self.bytes, totals.bytes);
        raise(&self.repaired, totals.repaired);
        for (kind, count) in totals.damaged {
            raise(&self.damaged.with_label_values(&[kind]), count);
        }
    }
}
