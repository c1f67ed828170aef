//! What the replication worker knows of each rule, asked when metrics are read.

use myfsio_actors::replication_worker::{Circuit, RuleStatus};
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry};

use super::MetricsError;
use super::node::{BUCKETS_MAX, signed};
use crate::node::Node;

/// States of rules, of which each has one.
const STATES: [&str; 4] = ["ACTIVE", "PAUSED", "OFFLINE", "FAILED"];

/// Figures of replicated buckets, set anew at each reading.
#[derive(Debug)]
pub(super) struct ReplicationGauges {
    state: IntGaugeVec,
    circuit: IntGaugeVec,
    lag: GaugeVec,
    changes: IntGaugeVec,
    bytes: IntGaugeVec,
    under_way: IntGaugeVec,
    failures: IntCounterVec,
    lost: IntCounterVec,
    sent_changes: IntCounterVec,
    sent_bytes: IntCounterVec,
}

impl ReplicationGauges {
    pub fn new(registry: &Registry) -> Result<Self, MetricsError> {
        let gauges = |name: &str, help: &str, labels: &[&str]| -> Result<IntGaugeVec, MetricsError> {
            let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauges.clone()))?;
            Ok(gauges)
        };
        let counters = |name: &str, help: &str| -> Result<IntCounterVec, MetricsError> {
            let counters = IntCounterVec::new(Opts::new(name, help), &["bucket"])?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let lag = Opts::new("myfsio_replication_lag_seconds", "Age of a bucket's oldest change that waits to be sent");
        let lag = GaugeVec::new(lag, &["bucket"])?;
        registry.register(Box::new(lag.clone()))?;
        let in_trays = &["bucket", "tray"];
        Ok(Self {
            state: gauges(
                "myfsio_replication_state",
                "1 for the state that a bucket's replication is in",
                &["bucket", "state"],
            )?,
            circuit: gauges(
                "myfsio_replication_circuit_state",
                "1 for the state of the circuit breaker of the connection that a bucket is replicated by",
                &["bucket", "state"],
            )?,
            lag,
            changes: gauges("myfsio_replication_changes", "Changes that wait to be sent, or are parked", in_trays)?,
            bytes: gauges("myfsio_replication_bytes", "Bytes of these changes", in_trays)?,
            under_way: gauges("myfsio_replication_under_way", "Changes that are being sent", &["bucket"])?,
            failures: counters("myfsio_replication_failed_attempts_total", "Attempts to send a change that failed")?,
            lost: counters("myfsio_replication_lost_total", "Changes that lost against others at the target")?,
            sent_changes: counters("myfsio_replication_sent_changes_total", "Changes that were sent")?,
            sent_bytes: counters("myfsio_replication_sent_bytes_total", "Bytes of bodies that were sent")?,
        })
    }

    pub fn refresh(&self, node: &Node) {
        self.set(&node.replication.statuses());
    }

    fn set(&self, statuses: &[RuleStatus]) {
        // Those of rules that are gone must go.
        for gauges in [&self.state, &self.circuit, &self.changes, &self.bytes, &self.under_way] {
            gauges.reset();
        }
        self.lag.reset();
        for counters in [&self.failures, &self.lost, &self.sent_changes, &self.sent_bytes] {
            counters.reset();
        }
        for status in statuses.iter().take(BUCKETS_MAX) {
            self.rule(status);
        }
    }

    fn rule(&self, status: &RuleStatus) {
        let bucket = status.rule.bucket.as_str();
        for state in STATES {
            self.state.with_label_values(&[bucket, state]).set(i64::from(status.state.name() == state));
        }
        for circuit in [Circuit::Closed, Circuit::Open, Circuit::HalfOpen] {
            let gauge = self.circuit.with_label_values(&[bucket, circuit.name()]);
            gauge.set(i64::from(status.circuit == circuit));
        }
        let totals = &status.totals;
        for (tray, changes, bytes) in
            [("pending", totals.pending, totals.pending_bytes), ("parked", totals.parked, totals.parked_bytes)]
        {
            self.changes.with_label_values(&[bucket, tray]).set(signed(changes));
            self.bytes.with_label_values(&[bucket, tray]).set(signed(bytes));
        }
        let of_bucket = &[bucket];
        self.lag.with_label_values(of_bucket).set(status.lag.as_secs_f64());
        self.under_way.with_label_values(of_bucket).set(signed(status.under_way as u64));
        self.failures.with_label_values(of_bucket).inc_by(status.failures);
        self.lost.with_label_values(of_bucket).inc_by(status.lost);
        self.sent_changes.with_label_values(of_bucket).inc_by(status.throughput.changes);
        self.sent_bytes.with_label_values(of_bucket).inc_by(status.throughput.bytes);
    }
}
