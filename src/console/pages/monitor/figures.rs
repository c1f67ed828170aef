//! The node's own history, and what is drawn of it.

use actix_web::http::Method;
use serde::Deserialize;

use super::chart::{Chart, draw};
use crate::console::failure::Failure;
use crate::console::text::Monitor;
use crate::console::units::{When, bytes, count};
use crate::console::visit::{Visit, read};
use crate::metrics::history::Point;

#[derive(Deserialize)]
struct Told {
    points: Vec<Point>,
}

/// A span of time, as its route names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// Thirty days.
    Month,
}

impl Range {
    /// What a page is asked for; an hour if it is not asked.
    pub fn of(visit: &Visit) -> Self {
        match visit.query.text("range") {
            "24h" => Self::Day,
            "30d" => Self::Month,
            _ => Self::Hour,
        }
    }

    /// As addresses have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Month => "30d",
        }
    }

    /// All of them: the word, its address by `to`, and whether it is this one.
    pub fn choices(self, words: &Monitor, to: impl Fn(&str) -> String) -> Vec<(&'static str, String, bool)> {
        self.among(&[Self::Hour, Self::Day, Self::Month], words, to)
    }

    /// The same of some of them.
    pub fn among(
        self,
        some: &[Self],
        words: &Monitor,
        to: impl Fn(&str) -> String,
    ) -> Vec<(&'static str, String, bool)> {
        let all = [(Self::Hour, words.hour), (Self::Day, words.day), (Self::Month, words.month)];
        let all = all.into_iter().filter(|(range, _)| some.contains(range));
        all.map(|(range, word)| (word, to(range.name()), range == self)).collect()
    }
}

/// A line of a chart: what it is of, and its value at a point.
type Figure = (&'static str, fn(&Point) -> Option<f64>);

/// What is known of a span of time.
pub struct History {
    words: &'static Monitor,
    /// Its points, oldest first.
    pub points: Vec<Point>,
}

impl History {
    /// Asks for it. Errs: as the route.
    pub async fn of(visit: &Visit, range: Range) -> Result<Self, Failure> {
        let target = format!("/_myfsio/metrics/history?range={}", range.name());
        let told: Told = read(visit.asker()?.json(Method::GET, &target, None).await?)?;
        Ok(Self { words: &visit.t.monitor, points: told.points })
    }

    /// When it begins and ends, in seconds since 1970.
    fn span(&self) -> (u64, u64) {
        let begin = self.points.first().map_or(0, |point| point.at);
        (begin, self.points.last().map_or(begin, |point| point.at))
    }

    /// The same for people.
    pub fn times(&self) -> (When, When) {
        let (begin, end) = self.span();
        (When::of_seconds(begin), When::of_seconds(end))
    }

    /// The sum of a figure.
    pub fn sum(&self, of: fn(&Point) -> u64) -> u64 {
        self.points.iter().map(of).fold(0, u64::saturating_add)
    }

    fn chart<const N: usize>(&self, title: &'static str, lines: [Figure; N], told: fn(f64) -> String) -> Chart {
        let line = |(word, of): Figure| (word, self.points.iter().map(|point| (point.at, of(point))).collect());
        draw(title, self.span(), lines.into_iter().map(line).collect(), told)
    }

    /// Requests in a second.
    pub fn requests(&self) -> Chart {
        let words = self.words;
        self.chart(words.requests_rate, [(words.all, |point| over(point, point.requests))], per_second)
    }

    /// Requests in a second that were refused or failed.
    pub fn errors(&self) -> Chart {
        let words = self.words;
        self.chart(
            words.errors,
            [
                (words.client_errors, |point| over(point, point.client_errors)),
                (words.server_errors, |point| over(point, point.server_errors)),
            ],
            per_second,
        )
        .toned(1)
    }

    /// How long answers took.
    pub fn time_to_answer(&self) -> Chart {
        let words = self.words;
        let lines: [(_, fn(&Point) -> _); 2] = [(words.p50, |point| point.p50_ms), (words.p95, |point| point.p95_ms)];
        self.chart(words.time_to_answer, lines, |value| format!("{value:.1} ms"))
    }

    /// Bytes in a second.
    pub fn traffic(&self) -> Chart {
        let words = self.words;
        self.chart(
            words.traffic,
            [(words.received, |point| over(point, point.received)), (words.sent, |point| over(point, point.sent))],
            |value| format!("{}/s", size(value)),
        )
    }

    /// Bytes that were stored.
    pub fn stored(&self) -> Chart {
        self.chart(self.words.stored, [(self.words.stored, |point| Some(point.bytes as f64))], size)
    }

    /// Objects that were there.
    pub fn objects(&self) -> Chart {
        let words = self.words;
        self.chart(words.objects, [(words.objects, |point| Some(point.objects as f64))], |value| count(value as u64))
    }

    /// What was free on the device.
    pub fn free(&self) -> Chart {
        self.chart(self.words.free, [(self.words.free, |point| Some(point.device_free as f64))], size)
    }

    /// Memory of the process.
    pub fn memory(&self) -> Chart {
        self.chart(self.words.memory, [(self.words.memory, |point| Some(point.memory as f64))], size)
    }

    /// Time of one CPU that the process took.
    pub fn cpu(&self) -> Chart {
        let share: fn(&Point) -> _ = |point| (point.seconds > 0.0).then(|| point.cpu_seconds / point.seconds * 100.0);
        self.chart(self.words.cpu, [(self.words.cpu, share)], |value| format!("{value:.0} %"))
    }
}

/// So much in a second.
fn over(point: &Point, sum: u64) -> Option<f64> {
    (point.seconds > 0.0).then(|| sum as f64 / point.seconds)
}

fn per_second(value: f64) -> String {
    format!("{value:.1}/s")
}

fn size(value: f64) -> String {
    bytes(value as u64)
}
