//! The node's own history, and what is drawn of it.

use actix_web::http::Method;
use serde::Deserialize;

use super::chart::{Chart, draw};
use super::ways::fields;
use crate::console::failure::Failure;
use crate::console::links::encode;
use crate::console::text::Monitor;
use crate::console::units::{When, bytes, count};
use crate::console::visit::{Visit, read};
use crate::metrics::history::{Point, kept};
use crate::metrics::window::{Kept, Window};
use crate::within::Refusal;

#[derive(Deserialize)]
struct Told {
    now: u64,
    from: u64,
    to: u64,
    step_seconds: u64,
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

/// What is known of a span of time, or of a window.
pub struct History {
    words: &'static Monitor,
    /// The span; none for a window that its address names.
    pub range: Option<Range>,
    /// All of the time, whether points tell of it or not.
    pub window: Window,
    /// Seconds from point to point.
    pub step_seconds: u64,
    /// The time that could be asked for.
    pub kept: Kept,
    /// Its points, oldest first.
    pub points: Vec<Point>,
}

impl History {
    /// Asks for a span. Errs: as the route.
    pub async fn of(visit: &Visit, range: Range) -> Result<Self, Failure> {
        Self::asked(visit, Some(range), &format!("range={}", range.name())).await
    }

    /// Asks for what the page's address names: the window between `from` and `to`, else a span. Errs: as the route.
    pub async fn named(visit: &Visit) -> Result<Self, Failure> {
        let (from, to) = (visit.query.text("from"), visit.query.text("to"));
        if from.is_empty() && to.is_empty() {
            return Self::of(visit, Range::of(visit)).await;
        }
        Self::asked(visit, None, &format!("from={}&to={}", encode(from), encode(to))).await
    }

    async fn asked(visit: &Visit, range: Option<Range>, query: &str) -> Result<Self, Failure> {
        let target = format!("/_myfsio/metrics/history?{query}");
        let told: Told = read(visit.asker()?.json(Method::GET, &target, None).await?)?;
        let window = Window::new(told.from, told.to).ok_or_else(|| Refusal::broken("The time has no length."))?;
        let Told { now, step_seconds, points, .. } = told;
        Ok(Self { words: &visit.t.monitor, range, window, step_seconds, kept: kept(now), points })
    }

    /// The fields that name it in an address.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        match self.range {
            Some(range) => vec![("range", range.name().to_owned())],
            None => fields(self.window),
        }
    }

    /// When what is drawn begins and ends, in seconds since 1970: a window as it is, a span as far as it is known.
    fn span(&self) -> (u64, u64) {
        if self.range.is_none() {
            return (self.window.begin(), self.window.end());
        }
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
