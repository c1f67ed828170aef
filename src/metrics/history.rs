//! What metrics were over the last hour, day and month, for charts that need nobody else. Pure.
//!
//! Three series of the same length, each coarser than the one before: 10 s, 4 min, 2 h. A point tells what happened since the point
//! before it, and what was there at its end.

use std::collections::VecDeque;
use std::time::Duration;

use prometheus::proto::{MetricFamily, MetricType};
use serde::{Deserialize, Serialize};

use super::window::{Kept, Window, choose};

/// Points of a series.
const POINTS: usize = 360;
/// Seconds from point to point.
const STEPS: [u64; 3] = [10, 240, 7200];

/// How far back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// Thirty days.
    Month,
}

impl Span {
    /// Reads `1h`, `24h` or `30d`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "1h" => Some(Self::Hour),
            "24h" => Some(Self::Day),
            "30d" => Some(Self::Month),
            _ => None,
        }
    }

    /// Seconds from point to point.
    pub fn step_seconds(self) -> u64 {
        STEPS.get(self as usize).copied().unwrap_or(u64::MAX)
    }

    /// How long it is, in seconds.
    pub fn seconds(self) -> u64 {
        self.step_seconds().saturating_mul(POINTS as u64)
    }
}

/// The time that is kept: as far back as the coarsest series goes.
pub fn kept(now: u64) -> Kept {
    Kept::until(now, Span::Month.seconds())
}

/// Figures that only grow, and some that are as they are, at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    requests: u64,
    client_errors: u64,
    server_errors: u64,
    received: u64,
    sent: u64,
    cpu_seconds: f64,
    /// Upper bound in seconds, and requests that took no longer.
    classes: Vec<(f64, u64)>,
    objects: u64,
    bytes: u64,
    device_free: u64,
    memory: u64,
}

impl Totals {
    /// The figures of what the registry tells.
    pub fn of(families: &[MetricFamily]) -> Self {
        let mut totals = Self::default();
        for family in families {
            let sum = || family.get_metric().iter().map(|metric| value(family, metric)).sum::<f64>();
            match family.name() {
                "myfsio_requests_total" => {
                    for metric in family.get_metric() {
                        let count = metric.get_counter().get_value() as u64;
                        let status = metric.get_label().iter().find(|label| label.name() == "status");
                        totals.requests += count;
                        match status.and_then(|status| status.value().bytes().next()) {
                            Some(b'4') => totals.client_errors += count,
                            Some(b'5') => totals.server_errors += count,
                            _ => {}
                        }
                    }
                }
                "myfsio_request_time_to_answer_seconds" => {
                    let classes = family.get_metric().iter().flat_map(|metric| metric.get_histogram().get_bucket());
                    totals.classes =
                        classes.map(|class| (class.upper_bound(), class.cumulative_count())).collect::<Vec<_>>();
                }
                "myfsio_request_body_bytes_total" => totals.received = sum() as u64,
                "myfsio_response_body_bytes_total" => totals.sent = sum() as u64,
                "process_cpu_seconds_total" => totals.cpu_seconds = sum(),
                "process_resident_memory_bytes" => totals.memory = sum() as u64,
                "myfsio_bucket_objects" => totals.objects = sum() as u64,
                "myfsio_bucket_bytes" => totals.bytes = sum() as u64,
                "myfsio_device_bytes" => {
                    let is_free = |metric: &&prometheus::proto::Metric| {
                        metric.get_label().iter().any(|label| label.value() == "free")
                    };
                    let free = family.get_metric().iter().find(is_free);
                    totals.device_free = free.map_or(0, |metric| value(family, metric) as u64);
                }
                _ => {}
            }
        }
        totals
    }
}

fn value(family: &MetricFamily, metric: &prometheus::proto::Metric) -> f64 {
    match family.get_field_type() {
        MetricType::COUNTER => metric.get_counter().get_value(),
        _ => metric.get_gauge().get_value(),
    }
}

/// What happened in a while, and what was there at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Point {
    /// Its end, in seconds since 1970.
    pub at: u64,
    /// Its length in seconds.
    pub seconds: f64,
    /// Requests that ended.
    pub requests: u64,
    /// Those of them that answered 4xx.
    pub client_errors: u64,
    /// Those of them that answered 5xx.
    pub server_errors: u64,
    /// Bytes of requests' bodies.
    pub received: u64,
    /// Bytes of answers' bodies.
    pub sent: u64,
    /// Half of the requests were answered within so many milliseconds, as far as classes tell; none without requests.
    pub p50_ms: Option<f64>,
    /// The same of 95 %.
    pub p95_ms: Option<f64>,
    /// CPU time of the process, in seconds.
    pub cpu_seconds: f64,
    /// Current objects.
    pub objects: u64,
    /// Bytes of objects and versions.
    pub bytes: u64,
    /// Free bytes of the device.
    pub device_free: u64,
    /// Resident memory of the process, in bytes.
    pub memory: u64,
}

impl Point {
    fn between(before: &Totals, now: &Totals, at: u64, length: Duration) -> Self {
        let classes: Vec<_> = now
            .classes
            .iter()
            .enumerate()
            .map(|(class, (bound, count))| {
                (*bound, count.saturating_sub(before.classes.get(class).map_or(0, |(_, count)| *count)))
            })
            .collect();
        let requests = now.requests.saturating_sub(before.requests);
        Self {
            at,
            seconds: length.as_secs_f64(),
            requests,
            client_errors: now.client_errors.saturating_sub(before.client_errors),
            server_errors: now.server_errors.saturating_sub(before.server_errors),
            received: now.received.saturating_sub(before.received),
            sent: now.sent.saturating_sub(before.sent),
            p50_ms: quantile(&classes, requests, 0.5),
            p95_ms: quantile(&classes, requests, 0.95),
            cpu_seconds: (now.cpu_seconds - before.cpu_seconds).max(0.0),
            objects: now.objects,
            bytes: now.bytes,
            device_free: now.device_free,
            memory: now.memory,
        }
    }
}

/// Milliseconds within which a share of `count` things was done: the class that it falls into, and how far into it.
fn quantile(classes: &[(f64, u64)], count: u64, share: f64) -> Option<f64> {
    if count == 0 {
        return None;
    }
    let wanted = count as f64 * share;
    let (mut lower, mut below) = (0.0, 0);
    for (bound, up_to) in classes {
        if *up_to as f64 >= wanted {
            let within = (wanted - below as f64) / (up_to - below).max(1) as f64;
            return Some(((lower + (bound - lower) * within) * 1e6).round() / 1e3);
        }
        (lower, below) = (*bound, *up_to);
    }
    // Beyond the last bound nothing more is known.
    Some((lower * 1e6).round() / 1e3)
}

/// What is told of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The window, as it can be told.
    pub window: Window,
    /// Seconds from point to point.
    pub step_seconds: u64,
    /// Its points, oldest first.
    pub points: Vec<Point>,
}

/// The three series.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct History {
    series: [VecDeque<Point>; 3],
    /// Where the point began that is to come.
    #[serde(skip)]
    begun: [Option<(Duration, Totals)>; 3],
}

impl History {
    /// Takes the figures of a moment: `at` in seconds since 1970, `clock` of whichever beginning, as long as it ascends steadily.
    pub fn take(&mut self, at: u64, clock: Duration, now: &Totals) {
        for ((series, begun), step) in self.series.iter_mut().zip(&mut self.begun).zip(STEPS) {
            let Some((since, before)) = begun.as_ref() else {
                *begun = Some((clock, now.clone()));
                continue;
            };
            let length = clock.saturating_sub(*since);
            // A tick may come a little early.
            if length.as_millis() + 500 < u128::from(step) * 1_000 {
                continue;
            }
            series.push_back(Point::between(before, now, at, length));
            while series.len() > POINTS {
                series.pop_front();
            }
            *begun = Some((clock, now.clone()));
        }
    }

    /// The points of a span, oldest first, none older than it.
    pub fn points(&self, span: Span, now: u64) -> Vec<Point> {
        let oldest = now.saturating_sub(span.seconds());
        let series = self.series.get(span as usize);
        series.into_iter().flatten().filter(|point| point.at >= oldest && point.at <= now).copied().collect()
    }

    /// A window as the finest series tells it that goes back so far; of a wider one or of a part, where it cannot be told as it is.
    pub fn view(&self, wanted: Window, now: u64) -> View {
        let begin = |point: &Point| point.at.saturating_sub(point.seconds as u64);
        let begins = self.series.iter().map(|series| series.front().map(begin));
        let (chosen, window) = choose(wanted, kept(now), &STEPS.into_iter().zip(begins).collect::<Vec<_>>());
        let series = self.series.get(chosen);
        View {
            window,
            step_seconds: STEPS.get(chosen).copied().unwrap_or(u64::MAX),
            points: series.into_iter().flatten().filter(|point| window.holds(point.at)).copied().collect(),
        }
    }

    /// Drops what a file should not have held.
    pub fn trimmed(mut self) -> Self {
        for series in &mut self.series {
            while series.len() > POINTS {
                series.pop_front();
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(requests: u64) -> Totals {
        let classes = vec![(0.001, requests / 2), (0.01, requests), (1.0, requests)];
        Totals { requests, classes, ..Totals::default() }
    }

    #[test]
    fn points_tell_of_what_lies_between() {
        let mut history = History::default();
        for tick in 0..=50 {
            history.take(1_000_000 + tick * 10, Duration::from_secs(tick * 10), &totals(tick * 100));
        }
        let hour = history.points(Span::Hour, 1_000_500);
        assert_eq!(hour.len(), 50);
        assert!(hour.iter().all(|point| point.requests == 100 && (point.seconds - 10.0).abs() < 1e-9));
        let day = history.points(Span::Day, 1_000_500);
        assert_eq!(day.iter().map(|point| point.requests).collect::<Vec<_>>(), [2400, 2400]);
        assert!(history.points(Span::Month, 1_000_500).is_empty());
    }

    #[test]
    fn a_window_is_told_as_finely_as_it_is_held() {
        let mut history = History::default();
        for tick in 0..=2_000 {
            history.take(1_000_000 + tick * 10, Duration::from_secs(tick * 10), &totals(tick));
        }
        let now = 1_020_000;
        let view = |begin, end| history.view(Window::new(begin, end).unwrap(), now);
        let fine = view(now - 3_000, now - 2_000);
        assert_eq!((fine.step_seconds, fine.points.len()), (10, 100));
        assert_eq!((fine.points[0].at, fine.points[99].at), (now - 2_990, now - 2_000));
        let coarse = view(now - 10_000, now - 5_200);
        assert_eq!((coarse.step_seconds, coarse.points.len()), (240, 20));
        let narrow = view(now - 10_000, now - 9_999).window;
        assert_eq!((narrow.begin(), narrow.end()), (now - 10_720, now - 9_280));
        let all = view(0, u64::MAX);
        assert_eq!((all.window.begin(), all.window.end(), all.step_seconds), (0, now, 240));
        assert!(view(0, 1).points.is_empty(), "before anything was known");
        let empty = History::default().view(all.window, now);
        assert_eq!((empty.step_seconds, empty.points.len()), (10, 0));
    }

    #[test]
    fn series_are_bounded_and_come_back() {
        let mut history = History::default();
        for tick in 0..1_000 {
            history.take(tick * 10, Duration::from_secs(tick * 10), &totals(tick));
        }
        let text = serde_json::to_string(&history).unwrap();
        let back = serde_json::from_str::<History>(&text).unwrap().trimmed();
        assert_eq!(back.points(Span::Hour, 9_990), history.points(Span::Hour, 9_990));
        assert_eq!(back.points(Span::Hour, 9_990).len(), POINTS);
        assert!(back.points(Span::Hour, 1_000_000).is_empty(), "too old");
    }

    #[test]
    fn quantiles_lie_within_their_class() {
        let classes = [(0.001, 50), (0.01, 100)];
        assert_eq!(quantile(&classes, 100, 0.5), Some(1.0));
        let p95 = quantile(&classes, 100, 0.95).unwrap();
        assert!((9.0..=9.2).contains(&p95), "{p95}");
        assert_eq!(quantile(&classes, 0, 0.5), None);
        assert_eq!(quantile(&classes, 1_000, 0.95), Some(10.0), "beyond the last class");
    }

    #[test]
    fn figures_come_from_the_registry() {
        let metrics = crate::metrics::Metrics::new().unwrap();
        let failed = crate::requests::RequestRecord { status: 500, sent: 9, ..Default::default() };
        metrics.observe(&failed);
        let totals = Totals::of(&metrics.registry.gather());
        assert_eq!((totals.requests, totals.server_errors, totals.client_errors, totals.sent), (1, 1, 0, 9));
        assert_eq!(totals.classes.len(), 16);
        assert!(totals.memory > 1 << 20);
    }
}
