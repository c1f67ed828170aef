//! How far each replicated bucket was behind over the last hour and day, for charts. Pure.
//!
//! Two series a bucket, of the same length: every 10 s, and every 4 min what was the worst within. Of so many buckets at most, in a
//! form that takes about 20 bytes a point, so that it takes the same room for ever.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::history::Span;

/// Points of a series.
const POINTS: usize = 360;
/// Most buckets.
const BUCKETS_MAX: usize = 200;
/// A bucket that is not replicated any more is forgotten with its last point.
const KEPT_SECONDS: u64 = 86_400;

/// How far a bucket was behind: when in seconds since 1970, age of the oldest change that waited in milliseconds, changes that waited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LagPoint(pub u64, pub u64, pub u64);

impl LagPoint {
    /// The worse of both, at the time of the second.
    fn or_worse(self, other: Self) -> Self {
        Self(other.0, self.1.max(other.1), self.2.max(other.2))
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Series {
    hour: VecDeque<LagPoint>,
    day: VecDeque<LagPoint>,
    /// The worst since the last point of the day.
    worst: LagPoint,
}

/// The series of all buckets.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Lags {
    buckets: BTreeMap<String, Series>,
}

impl Lags {
    /// Takes what is so at a moment: of each bucket, how many milliseconds it is behind and how many changes wait.
    pub fn take<'a>(&mut self, at: u64, now: impl Iterator<Item = (&'a str, u64, u64)>) {
        for (bucket, lag_ms, pending) in now {
            if !self.buckets.contains_key(bucket) && self.buckets.len() >= BUCKETS_MAX {
                continue;
            }
            let series = self.buckets.entry(bucket.to_owned()).or_default();
            let point = LagPoint(at, lag_ms, pending);
            if series.hour.back().is_none_or(|last| last.0 < at) {
                push(&mut series.hour, point);
            }
            series.worst = series.worst.or_worse(point);
            // A tick may come a little early.
            let step = Span::Day.step_seconds();
            if series.day.back().is_none_or(|last| last.0.saturating_add(step) <= at.saturating_add(5)) {
                push(&mut series.day, series.worst);
                series.worst = LagPoint::default();
            }
        }
        self.buckets
            .retain(|_, series| series.hour.back().is_some_and(|last| last.0.saturating_add(KEPT_SECONDS) > at));
    }

    /// The points of a bucket over an hour or a day, oldest first, none older than that.
    pub fn points(&self, bucket: &str, span: Span, now: u64) -> Vec<LagPoint> {
        let oldest = now.saturating_sub(span.step_seconds().saturating_mul(POINTS as u64));
        let series = self.buckets.get(bucket);
        let points = series.map(|series| if span == Span::Hour { &series.hour } else { &series.day });
        points.into_iter().flatten().filter(|point| point.0 >= oldest && point.0 <= now).copied().collect()
    }

    /// Drops what a file should not have held.
    pub fn trimmed(mut self) -> Self {
        while self.buckets.len() > BUCKETS_MAX {
            self.buckets.pop_last();
        }
        for series in self.buckets.values_mut().flat_map(|series| [&mut series.hour, &mut series.day]) {
            series.drain(..series.len().saturating_sub(POINTS));
        }
        self
    }
}

fn push(series: &mut VecDeque<LagPoint>, point: LagPoint) {
    series.push_back(point);
    while series.len() > POINTS {
        series.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_remembers_the_worst() {
        let mut lags = Lags::default();
        for tick in 0..=48_u64 {
            let lag = if tick == 30 { 9_000 } else { 10 };
            lags.take(1_000 + tick * 10, [("a", lag, tick)].into_iter());
        }
        let hour = lags.points("a", Span::Hour, 1_480);
        assert_eq!((hour.len(), hour[30]), (49, LagPoint(1_300, 9_000, 30)));
        let day = lags.points("a", Span::Day, 1_480);
        assert_eq!(day, [LagPoint(1_000, 10, 0), LagPoint(1_240, 10, 24), LagPoint(1_480, 9_000, 48)]);
        assert!(lags.points("b", Span::Hour, 1_480).is_empty());
        assert!(lags.points("a", Span::Hour, 100_000).is_empty(), "too old");
    }

    #[test]
    fn it_is_bounded_and_comes_back() {
        let mut lags = Lags::default();
        let names: Vec<String> = (0..BUCKETS_MAX + 9).map(|bucket| format!("b{bucket:04}")).collect();
        for tick in 0..POINTS as u64 + 9 {
            lags.take(tick * 10, names.iter().map(|name| (name.as_str(), 1, 1)));
        }
        let now = (POINTS as u64 + 8) * 10;
        assert_eq!(lags.buckets.len(), BUCKETS_MAX);
        assert_eq!(lags.points("b0000", Span::Hour, now).len(), POINTS);
        let text = serde_json::to_string(&lags).unwrap();
        assert!(text.len() < BUCKETS_MAX * POINTS * 20, "{}", text.len());
        let back = serde_json::from_str::<Lags>(&text).unwrap().trimmed();
        assert_eq!(back.points("b0000", Span::Hour, now), lags.points("b0000", Span::Hour, now));
        lags.take(now + KEPT_SECONDS, std::iter::once(("b0001", 1, 1)));
        assert_eq!(lags.buckets.len(), 1, "who is gone is forgotten after a day");
    }
}
