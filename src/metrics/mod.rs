//! Metrics: one registry for everything that is counted, told as Prometheus text (Prometheus documentation, "Exposition formats").
//!
//! Requests are counted when they end ([`Metrics::observe`]). What others know of themselves — Storage, quotas, keys, the process — is
//! asked when somebody reads (`node`), so counting it costs requests nothing.

pub mod growth;
pub mod history;
pub mod lags;
mod lifecycle;
mod node;
mod replication;
pub mod sampler;
mod scrub;
pub mod window;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder, process_collector,
};

use crate::node::Node;
use crate::requests::RequestRecord;
use lifecycle::LifecycleGauges;
use node::NodeGauges;
use scrub::ScrubGauges;

/// Upper bounds of the classes of durations, in seconds.
const SECONDS: [f64; 16] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// Something cannot be counted: two things of one name, which is a mistake of the program.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// What became of a request that was to be told to a collector of traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceOutcome {
    /// The collector has it.
    Sent,
    /// It was not told: the collector was too slow, away, or would not have it.
    Dropped,
}

impl TraceOutcome {
    fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Dropped => "dropped",
        }
    }
}

/// The registry, and what is counted of requests.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    errors: IntCounterVec,
    seconds: HistogramVec,
    first_byte: Histogram,
    received: IntCounter,
    sent: IntCounter,
    spans: IntCounterVec,
    gauges: NodeGauges,
    scrub: ScrubGauges,
    lifecycle: LifecycleGauges,
}

impl Metrics {
    /// An empty registry. Errs: two metrics have one name.
    pub fn new() -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let requests = IntCounterVec::new(
            Opts::new("myfsio_requests_total", "Requests that ended, by operation and HTTP status"),
            &["operation", "status"],
        )?;
        let errors = IntCounterVec::new(
            Opts::new("myfsio_request_errors_total", "Requests that were refused or failed, by S3 error code"),
            &["code"],
        )?;
        let durations = HistogramOpts::new("myfsio_request_duration_seconds", "From a request's head to its last byte");
        let seconds = HistogramVec::new(durations.buckets(SECONDS.to_vec()), &["operation"])?;
        let to_answer =
            HistogramOpts::new("myfsio_request_time_to_answer_seconds", "From a request's head to the answer's");
        let first_byte = Histogram::with_opts(to_answer.buckets(SECONDS.to_vec()))?;
        let received = IntCounter::new("myfsio_request_body_bytes_total", "Bytes of requests' bodies")?;
        let sent = IntCounter::new("myfsio_response_body_bytes_total", "Bytes of answers' bodies")?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(errors.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(first_byte.clone()))?;
        registry.register(Box::new(received.clone()))?;
        registry.register(Box::new(sent.clone()))?;
        registry.register(Box::new(process_collector::ProcessCollector::for_self()))?;
        let spans =
            Opts::new("myfsio_traces_total", "Requests that were to be told to the collector of traces, by outcome");
        let spans = IntCounterVec::new(spans, &["outcome"])?;
        for outcome in [TraceOutcome::Sent, TraceOutcome::Dropped] {
            spans.with_label_values(&[outcome.name()]);
        }
        registry.register(Box::new(spans.clone()))?;
        let gauges = NodeGauges::new(&registry)?;
        let scrub = ScrubGauges::new(&registry)?;
        let lifecycle = LifecycleGauges::new(&registry)?;
        Ok(Self { registry, requests, errors, seconds, first_byte, received, sent, spans, gauges, scrub, lifecycle })
    }

    /// Counts a request that has ended.
    pub fn observe(&self, request: &RequestRecord) {
        // The text of a status never fails to be one of few.
        let mut status = [0; 3];
        let status = three_digits(request.status, &mut status);
        self.requests.with_label_values(&[request.operation, status]).inc();
        if let Some(code) = request.code {
            self.errors.with_label_values(&[code]).inc();
        }
        let times = &request.times;
        self.seconds.with_label_values(&[request.operation]).observe(times.total().as_secs_f64());
        self.first_byte.observe(times.to_answer().as_secs_f64());
        self.received.inc_by(request.received);
        self.sent.inc_by(request.sent);
    }

    /// Counts requests that were to be told to a collector of traces.
    pub fn traced(&self, outcome: TraceOutcome, requests: usize) {
        self.spans.with_label_values(&[outcome.name()]).inc_by(requests as u64);
    }

    /// Everything, as Prometheus text.
    pub fn text(&self, node: &Node) -> Result<String, MetricsError> {
        Ok(TextEncoder::new().encode_to_string(&self.gather(node))?)
    }

    fn gather(&self, node: &Node) -> Vec<prometheus::proto::MetricFamily> {
        self.gauges.refresh(node);
        self.scrub.refresh(node);
        self.lifecycle.refresh(node);
        self.registry.gather()
    }
}

fn three_digits(status: u16, room: &mut [u8; 3]) -> &str {
    let status = status % 1000;
    for (digit, power) in room.iter_mut().zip([100, 10, 1]) {
        *digit = b'0' + u8::try_from(status / power % 10).unwrap_or(0);
    }
    std::str::from_utf8(room).unwrap_or("000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_by_what_became_of_it() {
        let metrics = Metrics::new().unwrap();
        let refused =
            RequestRecord { status: 403, code: Some("AccessDenied"), received: 5, ..RequestRecord::default() };
        metrics.observe(&refused);
        metrics.observe(&RequestRecord { status: 200, sent: 7, ..RequestRecord::default() });
        let text = TextEncoder::new().encode_to_string(&metrics.registry.gather()).unwrap();
        for line in [
            "myfsio_requests_total{operation=\"Unknown\",status=\"403\"} 1",
            "myfsio_requests_total{operation=\"Unknown\",status=\"200\"} 1",
            "myfsio_request_errors_total{code=\"AccessDenied\"} 1",
            "myfsio_request_body_bytes_total 5",
            "myfsio_response_body_bytes_total 7",
            "myfsio_request_duration_seconds_count{operation=\"Unknown\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }

    #[test]
    fn statuses() {
        assert_eq!(three_digits(404, &mut [0; 3]), "404");
        assert_eq!(three_digits(7, &mut [0; 3]), "007");
    }
}
