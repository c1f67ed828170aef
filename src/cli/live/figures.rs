//! What two readings of the metrics tell of the time between them. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::exposition::{Sample, parse};

/// Operations that are told, those with most requests first.
const OPERATIONS: usize = 12;

/// What the metrics said at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading(Vec<Sample>);

impl Reading {
    /// Of the text that the node answers.
    pub fn new(text: &str) -> Self {
        Self(parse(text))
    }

    fn samples<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> + 'a {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// The sum over all labels.
    fn sum(&self, name: &str) -> f64 {
        self.samples(name).map(|sample| sample.value).sum()
    }

    fn labelled(&self, name: &str, label: &str, value: &str) -> f64 {
        self.samples(name).filter(|sample| sample.label(label) == value).map(|sample| sample.value).sum()
    }
}

/// What a node did and what it holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Figures {
    /// Its version.
    pub version: String,
    /// `ok`, `degraded` or `failed`.
    pub health: &'static str,
    /// Seconds that rates are over.
    pub seconds: f64,
    /// Requests that ended, in a second.
    pub requests_per_second: f64,
    /// Those of them that were answered 4xx.
    pub client_errors_per_second: f64,
    /// Those of them that were answered 5xx.
    pub server_errors_per_second: f64,
    /// Bytes of bodies that came in, in a second.
    pub received_per_second: f64,
    /// Bytes of bodies that went out, in a second.
    pub sent_per_second: f64,
    /// Requests under way, and how many may be.
    pub under_way: u64,
    /// The most that may be.
    pub under_way_max: u64,
    /// Milliseconds until the answer's head, for half of the requests.
    pub answer_ms_p50: Option<f64>,
    /// The same for 99 of 100.
    pub answer_ms_p99: Option<f64>,
    /// Requests in a second and answers of 4xx and 5xx among them, by operation.
    pub operations: Vec<OperationFigures>,
    /// Batches written to the journal, in a second.
    pub commits_per_second: f64,
    /// Milliseconds that one took.
    pub commit_ms: Option<f64>,
    /// Changes in one.
    pub changes_per_commit: Option<f64>,
    /// What waits, by queue.
    pub queues: BTreeMap<String, u64>,
    /// Buckets.
    pub buckets: u64,
    /// Current objects.
    pub objects: u64,
    /// Noncurrent versions and delete markers.
    pub versions: u64,
    /// Bytes of objects and versions.
    pub bytes: u64,
    /// Bytes free on the device.
    pub device_free: u64,
    /// Bytes of the device.
    pub device_total: u64,
    /// Cores that the process used.
    pub cpu_cores: f64,
    /// Bytes of memory that it holds.
    pub memory_bytes: u64,
    /// Files that it has open.
    pub open_files: u64,
}

/// One operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct OperationFigures {
    /// Its name.
    pub operation: String,
    /// Requests in a second.
    pub per_second: f64,
    /// Those of them that were answered 4xx or 5xx.
    pub errors_per_second: f64,
}

impl Figures {
    /// Of the time between two readings, so many seconds apart.
    pub fn between(before: &Reading, now: &Reading, seconds: f64) -> Self {
        // A node that was started anew meanwhile counts from zero.
        let grown = |before: f64, now: f64| if now < before { now } else { now - before };
        let rate = |name: &str| grown(before.sum(name), now.sum(name)) / seconds;
        let operations = operations(before, now, seconds);
        let class = |class: char| {
            let of = |reading: &Reading| -> f64 {
                let samples = reading.samples("myfsio_requests_total");
                samples.filter(|sample| sample.label("status").starts_with(class)).map(|sample| sample.value).sum()
            };
            grown(of(before), of(now)) / seconds
        };
        let commits = grown(before.sum("myfsio_commit_batches_total"), now.sum("myfsio_commit_batches_total"));
        let each = |name: &str| (commits > 0.0).then(|| grown(before.sum(name), now.sum(name)) / commits);
        let health = match (now.sum("myfsio_healthy") > 0.0, now.sum("myfsio_degraded") > 0.0) {
            (false, _) => "failed",
            (true, true) => "degraded",
            (true, false) => "ok",
        };
        let queues = now.samples("myfsio_queue_length");
        Self {
            version: now
                .samples("myfsio_build_info")
                .next()
                .map(|info| info.label("version").to_owned())
                .unwrap_or_default(),
            health,
            seconds,
            requests_per_second: rate("myfsio_requests_total"),
            client_errors_per_second: class('4'),
            server_errors_per_second: class('5'),
            received_per_second: rate("myfsio_request_body_bytes_total"),
            sent_per_second: rate("myfsio_response_body_bytes_total"),
            under_way: count(now.sum("myfsio_requests_under_way")),
            under_way_max: count(now.sum("myfsio_requests_max")),
            answer_ms_p50: quantile(before, now, 0.50).map(|seconds| seconds * 1e3),
            answer_ms_p99: quantile(before, now, 0.99).map(|seconds| seconds * 1e3),
            operations,
            commits_per_second: commits / seconds,
            commit_ms: each("myfsio_commit_duration_seconds_sum").map(|seconds| seconds * 1e3),
            changes_per_commit: each("myfsio_commit_transactions_total"),
            queues: queues.map(|sample| (sample.label("queue").to_owned(), count(sample.value))).collect(),
            buckets: count(now.sum("myfsio_buckets")),
            objects: count(now.sum("myfsio_bucket_objects")),
            versions: count(now.sum("myfsio_bucket_versions")),
            bytes: count(now.sum("myfsio_bucket_bytes")),
            device_free: count(now.labelled("myfsio_device_bytes", "kind", "free")),
            device_total: count(now.labelled("myfsio_device_bytes", "kind", "total")),
            cpu_cores: rate("process_cpu_seconds_total"),
            memory_bytes: count(now.sum("process_resident_memory_bytes")),
            open_files: count(now.sum("process_open_fds")),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "gauges are whole numbers, and none is negative"
)]
fn count(value: f64) -> u64 {
    value.max(0.0) as u64
}

fn operations(before: &Reading, now: &Reading, seconds: f64) -> Vec<OperationFigures> {
    let mut found: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    let former: BTreeMap<(&str, &str), f64> = before
        .samples("myfsio_requests_total")
        .map(|sample| ((sample.label("operation"), sample.label("status")), sample.value))
        .collect();
    for sample in now.samples("myfsio_requests_total") {
        let (operation, status) = (sample.label("operation"), sample.label("status"));
        let before = former.get(&(operation, status)).copied().unwrap_or(0.0);
        let grown = if sample.value < before { sample.value } else { sample.value - before };
        let entry = found.entry(operation).or_default();
        entry.0 += grown;
        entry.1 += if status.starts_with(['4', '5']) { grown } else { 0.0 };
    }
    let mut told: Vec<_> = found
        .into_iter()
        .filter(|(_, (all, _))| *all > 0.0)
        .map(|(operation, (all, errors))| OperationFigures {
            operation: operation.to_owned(),
            per_second: all / seconds,
            errors_per_second: errors / seconds,
        })
        .collect();
    told.sort_by(|a, b| b.per_second.total_cmp(&a.per_second));
    told.truncate(OPERATIONS);
    told
}

/// The upper bound of the class in which the quantile lies, in seconds; none where nothing ended, or beyond the last bound.
fn quantile(before: &Reading, now: &Reading, quantile: f64) -> Option<f64> {
    const NAME: &str = "myfsio_request_time_to_answer_seconds_bucket";
    let mut bounds: Vec<f64> = now.samples(NAME).filter_map(|sample| sample.label("le").parse().ok()).collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    let below = |reading: &Reading, bound: f64| -> f64 {
        let samples = reading.samples(NAME).filter(|sample| sample.label("le").parse() == Ok(bound));
        samples.map(|sample| sample.value).sum()
    };
    let classes: Vec<(f64, f64)> = bounds
        .into_iter()
        .map(|bound| {
            let (before, now) = (below(before, bound), below(now, bound));
            (bound, if now < before { now } else { now - before })
        })
        .collect();
    let all = classes.last().map(|(_, count)| *count).filter(|all| *all > 0.0)?;
    classes
        .into_iter()
        .find(|(_, count)| *count >= all * quantile)
        .map(|(bound, _)| bound)
        .filter(|bound| bound.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(requests: f64, fast: f64, refused: f64) -> Reading {
        Reading::new(&format!(
            "myfsio_build_info{{version=\"1.2.3\"}} 1\nmyfsio_healthy 1\nmyfsio_degraded 0\n\
             myfsio_requests_total{{operation=\"GetObject\",status=\"200\"}} {requests}\n\
             myfsio_requests_total{{operation=\"PutObject\",status=\"403\"}} {refused}\n\
             myfsio_request_time_to_answer_seconds_bucket{{operation=\"GetObject\",le=\"0.001\"}} {fast}\n\
             myfsio_request_time_to_answer_seconds_bucket{{operation=\"GetObject\",le=\"0.5\"}} {requests}\n\
             myfsio_request_time_to_answer_seconds_bucket{{operation=\"GetObject\",le=\"+Inf\"}} {requests}\n\
             myfsio_queue_length{{queue=\"commits\"}} 3\nmyfsio_device_bytes{{kind=\"free\"}} 7\nmyfsio_bucket_objects{{bucket=\"a\"}} 2\n\
             myfsio_bucket_objects{{bucket=\"b\"}} 3\n"
        ))
    }

    #[test]
    fn rates_are_of_the_time_between() {
        let figures = Figures::between(&reading(100.0, 50.0, 5.0), &reading(200.0, 140.0, 15.0), 2.0);
        assert_eq!((figures.version.as_str(), figures.health), ("1.2.3", "ok"));
        assert_eq!(
            (figures.requests_per_second, figures.client_errors_per_second, figures.server_errors_per_second),
            (55.0, 5.0, 0.0)
        );
        assert_eq!((figures.answer_ms_p50, figures.answer_ms_p99), (Some(1.0), Some(500.0)));
        let told: Vec<_> =
            figures.operations.iter().map(|o| (o.operation.as_str(), o.per_second, o.errors_per_second)).collect();
        assert_eq!(told, [("GetObject", 50.0, 0.0), ("PutObject", 5.0, 5.0)]);
        assert_eq!((figures.objects, figures.device_free, figures.queues["commits"]), (5, 7, 3));
        assert_eq!((figures.commits_per_second, figures.commit_ms), (0.0, None));
    }

    #[test]
    fn a_node_that_was_started_anew_counts_from_zero() {
        let figures = Figures::between(&reading(100.0, 50.0, 5.0), &reading(10.0, 10.0, 0.0), 1.0);
        assert_eq!(figures.requests_per_second, 10.0);
        let idle = Figures::between(&reading(1.0, 1.0, 0.0), &reading(1.0, 1.0, 0.0), 1.0);
        assert!(idle.operations.is_empty() && idle.answer_ms_p50.is_none());
    }
}
