//! What the node's parts know of themselves, asked when metrics are read.

use myfsio_actors::bucket_config::QuotaResource;
use myfsio_actors::kms::KeyState;
use myfsio_actors::storage::{COMMIT_BOUNDS_US, QuotaAccount, QuotaScope, StorageFigures};
use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket as Class, Histogram as HistogramProto, Metric, MetricFamily, MetricType};
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::MetricsError;
use super::replication::ReplicationGauges;
use crate::node::Node;
use crate::tls::Certificate;

/// Buckets that have figures of their own, in order of what they hold: a scraper keeps a series for each.
pub(super) const BUCKETS_MAX: usize = 500;

/// Gauges that are set anew at each reading.
#[derive(Debug)]
pub(super) struct NodeGauges {
    under_way: IntGauge,
    places: IntGauge,
    connections: IntGauge,
    refused: IntCounter,
    healthy: IntGauge,
    degraded: IntGauge,
    buckets: IntGauge,
    objects: IntGaugeVec,
    bytes: IntGaugeVec,
    versions: IntGaugeVec,
    part_bytes: IntGaugeVec,
    device: IntGaugeVec,
    index: IntGauge,
    cache_reads: IntCounterVec,
    cache_bytes: IntGauge,
    calls: IntGaugeVec,
    waiting: IntGaugeVec,
    batches: IntCounter,
    transactions: IntCounter,
    journal: IntCounter,
    commits: Commits,
    quota_used: IntGaugeVec,
    quota_limit: IntGaugeVec,
    quota_warning: IntGaugeVec,
    keys: IntGaugeVec,
    audit: IntGaugeVec,
    certificate: IntGauge,
    replication: ReplicationGauges,
}

/// A histogram that Storage keeps.
#[derive(Debug, Clone)]
struct Commits {
    description: Desc,
    figures: std::sync::Arc<Mutex<StorageFigures>>,
}

impl Collector for Commits {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.description]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let figures = *self.figures.lock();
        let mut histogram = HistogramProto::default();
        let mut below = 0;
        let mut classes = Vec::with_capacity(COMMIT_BOUNDS_US.len());
        for (bound, count) in COMMIT_BOUNDS_US.iter().zip(figures.commit_classes) {
            below += count;
            let mut class = Class::default();
            class.set_cumulative_count(below);
            class.set_upper_bound(micros(*bound));
            classes.push(class);
        }
        histogram.set_bucket(classes);
        histogram.set_sample_count(figures.batches);
        histogram.set_sample_sum(std::time::Duration::from_nanos(figures.commit_nanos).as_secs_f64());
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        let mut family = MetricFamily::default();
        family.set_name(self.description.fq_name.clone());
        family.set_help(self.description.help.clone());
        family.set_field_type(MetricType::HISTOGRAM);
        family.set_metric(vec![metric]);
        vec![family]
    }
}

fn micros(micros: u64) -> f64 {
    std::time::Duration::from_micros(micros).as_secs_f64()
}

impl NodeGauges {
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
        let gauges = |name: &str, help: &str, labels: &[&str]| -> Result<IntGaugeVec, MetricsError> {
            let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauges.clone()))?;
            Ok(gauges)
        };
        let cache_reads =
            Opts::new("myfsio_index_cache_reads_total", "Pages of the index that were read, by where they were");
        let cache_reads = IntCounterVec::new(cache_reads, &["outcome"])?;
        registry.register(Box::new(cache_reads.clone()))?;
        let version = gauges("myfsio_build_info", "1; the version is in the label", &["version"])?;
        version.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let seconds = ("myfsio_commit_duration_seconds", "Writing and syncing a batch of the journal");
        let description = Desc::new(seconds.0.to_owned(), seconds.1.to_owned(), Vec::new(), Default::default())?;
        let commits = Commits { description, figures: Default::default() };
        registry.register(Box::new(commits.clone()))?;
        Ok(Self {
            under_way: gauge("myfsio_requests_under_way", "Requests that are being answered")?,
            places: gauge("myfsio_requests_max", "Requests that may be under way at once")?,
            connections: gauge("myfsio_connections_open", "Connections of clients that are open")?,
            refused: counter(
                "myfsio_connections_refused_total",
                "Connections that were refused since their address had as many as it may",
            )?,
            healthy: gauge("myfsio_healthy", "1 while writes are acknowledged, else 0")?,
            degraded: gauge("myfsio_degraded", "1 while something does not work though the node serves, else 0")?,
            buckets: gauge("myfsio_buckets", "Buckets")?,
            objects: gauges("myfsio_bucket_objects", "Current objects of a bucket", &["bucket"])?,
            bytes: gauges("myfsio_bucket_bytes", "Bytes of a bucket's objects and versions", &["bucket"])?,
            versions: gauges("myfsio_bucket_versions", "Noncurrent versions and delete markers", &["bucket"])?,
            part_bytes: gauges("myfsio_bucket_part_bytes", "Bytes of parts of uploads in progress", &["bucket"])?,
            device: gauges("myfsio_device_bytes", "Bytes of the device of the data", &["kind"])?,
            index: gauge("myfsio_index_bytes", "Size of the index's file")?,
            cache_reads,
            cache_bytes: gauge("myfsio_index_cache_bytes", "Bytes in the cache of the index")?,
            calls: gauges("myfsio_actor_calls", "Calls that wait for an actor, or for its answer", &["actor"])?,
            waiting: gauges("myfsio_queue_length", "What waits in a queue of Storage", &["queue"])?,
            batches: counter("myfsio_commit_batches_total", "Batches that were written to the journal")?,
            transactions: counter("myfsio_commit_transactions_total", "Transactions in these batches")?,
            journal: counter("myfsio_commit_bytes_total", "Bytes of these batches")?,
            commits,
            quota_used: gauges("myfsio_quota_used", "What counts for a quota", &["scope", "name", "resource"])?,
            quota_limit: gauges("myfsio_quota_limit", "The limit of a quota", &["scope", "name", "resource"])?,
            quota_warning: gauges(
                "myfsio_quota_warning_percent",
                "Warning threshold that a quota has reached, 0 for none",
                &["scope", "name", "resource"],
            )?,
            keys: gauges("myfsio_kms_keys", "Keys of the KMS by state", &["state"])?,
            audit: gauges("myfsio_audit_entries", "Entries of the audit log since the start", &["state"])?,
            certificate: gauge(
                "myfsio_certificate_expiry_seconds",
                "When the TLS certificate of the listeners ends, in seconds since 1970; 0 without TLS",
            )?,
            replication: ReplicationGauges::new(registry)?,
        })
    }

    pub fn refresh(&self, node: &Node) {
        let free = node.admission.available_permits();
        self.places.set(signed(node.settings.requests_max as u64));
        self.under_way.set(signed(node.settings.requests_max.saturating_sub(free) as u64));
        let connections = node.connections.figures();
        self.connections.set(signed(connections.open));
        self.refused.inc_by(connections.refused.saturating_sub(self.refused.get()));
        self.healthy.set(i64::from(node.storage.failure().is_none()));
        self.degraded.set(i64::from(node.trouble().is_some()));
        self.storage(node);
        self.quotas(node);
        self.replication.refresh(node);
        self.actors(node);
        self.rest(node);
    }

    fn storage(&self, node: &Node) {
        let buckets = node.storage.buckets();
        self.buckets.set(signed(buckets.len() as u64));
        let mut held: Vec<_> = buckets.iter().map(|bucket| (node.storage.usage(bucket), bucket)).collect();
        held.sort_by_key(|(usage, _)| std::cmp::Reverse(usage.bytes));
        for gauges in [&self.objects, &self.bytes, &self.versions, &self.part_bytes] {
            // Those of buckets that are gone must go.
            gauges.reset();
        }
        for (usage, bucket) in held.into_iter().take(BUCKETS_MAX) {
            let name = &[bucket.name.as_str()];
            self.objects.with_label_values(name).set(signed(usage.objects));
            self.bytes.with_label_values(name).set(signed(usage.bytes));
            self.versions.with_label_values(name).set(signed(usage.versions));
            self.part_bytes.with_label_values(name).set(signed(usage.part_bytes));
        }
        let room = node.storage.room();
        self.device.with_label_values(&["free"]).set(signed(room.device_free));
        self.device.with_label_values(&["total"]).set(signed(room.device_total));
        self.index.set(signed(room.index));
        let cache = node.storage.index_cache();
        for (outcome, count) in [("hit", cache.hits), ("miss", cache.misses)] {
            let counter = self.cache_reads.with_label_values(&[outcome]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
        self.cache_bytes.set(signed(cache.bytes));
        let figures = node.storage.figures();
        for (queue, length) in
            [("commits", figures.waiting_commits), ("index", figures.waiting_index), ("files", figures.waiting_files)]
        {
            self.waiting.with_label_values(&[queue]).set(signed(length));
        }
        let mut before = self.commits.figures.lock();
        self.batches.inc_by(figures.batches.saturating_sub(before.batches));
        self.transactions.inc_by(figures.entries.saturating_sub(before.entries));
        self.journal.inc_by(figures.bytes.saturating_sub(before.bytes));
        *before = figures;
    }

    fn actors(&self, node: &Node) {
        for (actor, calls) in [
            ("storage", node.storage.calls()),
            ("iam", node.access.iam.calls()),
            ("policy_engine", node.access.policy_engine.calls()),
            ("kms", node.kms.calls()),
            ("lifecycle", node.lifecycle.calls()),
            ("notifier", node.notifier.calls()),
            ("quota_tracker", node.quotas.calls()),
            ("reencryption", node.reencryption.calls()),
            ("replication_worker", node.replication.calls()),
            ("scrub", node.scrub.calls()),
        ] {
            self.calls.with_label_values(&[actor]).set(signed(calls as u64));
        }
    }

    fn quotas(&self, node: &Node) {
        for gauges in [&self.quota_used, &self.quota_limit, &self.quota_warning] {
            gauges.reset();
        }
        let buckets = node.storage.buckets();
        let named = |id| buckets.iter().find(|bucket| bucket.id == id).map(|bucket| bucket.name.as_str());
        for (scope, account) in node.quotas.accounts().into_iter().take(BUCKETS_MAX) {
            match &scope {
                QuotaScope::Bucket(id) => self.quota("bucket", named(*id).unwrap_or_default(), &account),
                QuotaScope::Prefix(id, prefix) => {
                    self.quota("prefix", &format!("{}/{prefix}", named(*id).unwrap_or_default()), &account);
                }
                QuotaScope::Owner(owner) => self.quota("user", owner.as_str(), &account),
            }
        }
    }

    fn quota(&self, scope: &str, name: &str, account: &QuotaAccount) {
        let limits = &account.limits;
        for (resource, label, used, limit) in [
            (QuotaResource::Bytes, "bytes", account.used.bytes, limits.max_bytes),
            (QuotaResource::Objects, "objects", account.used.objects, limits.max_objects),
        ] {
            let labels = &[scope, name, label];
            self.quota_used.with_label_values(labels).set(signed(used));
            if let Some(limit) = limit {
                self.quota_limit.with_label_values(labels).set(signed(limit));
                let warning = account.warning(resource).unwrap_or(0);
                self.quota_warning.with_label_values(labels).set(i64::from(warning));
            }
        }
    }

    fn rest(&self, node: &Node) {
        let mut states = [("enabled", 0), ("disabled", 0), ("pending_deletion", 0)];
        for key in node.kms.keys().unwrap_or_default() {
            let state = match key.state {
                KeyState::Enabled => 0,
                KeyState::Disabled => 1,
                KeyState::PendingDeletion { .. } => 2,
            };
            if let Some((_, count)) = states.get_mut(state) {
                *count += 1;
            }
        }
        for (state, count) in states {
            self.keys.with_label_values(&[state]).set(count);
        }
        let audit = node.audit.figures();
        for (state, count) in [("written", audit.written), ("waiting", audit.waiting), ("lost", audit.lost)] {
            self.audit.with_label_values(&[state]).set(signed(count));
        }
        let term = node.settings.certificate.as_ref().and_then(Certificate::term);
        self.certificate.set(term.map_or(0, |term| term.until_seconds()));
    }
}

pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
