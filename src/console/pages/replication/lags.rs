//! How far a bucket was behind, drawn.

use actix_web::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::told::rule_route;
use crate::console::failure::Failure;
use crate::console::links;
use crate::console::pages::monitor::chart::{Chart, draw};
use crate::console::pages::monitor::figures::Range;
use crate::console::text::Replication;
use crate::console::units::{When, count};
use crate::console::visit::{Visit, read};

#[derive(Deserialize)]
struct Told {
    points: Vec<Point>,
}

#[derive(Deserialize)]
struct Point {
    at: u64,
    lag_seconds: f64,
    pending: u64,
}

/// The charts, and what spans of time there are.
pub struct Lags {
    /// The word, its address, and whether it is this one.
    pub ranges: Vec<(&'static str, String, bool)>,
    /// Lag, and changes that waited.
    pub charts: Vec<Chart>,
    /// When they begin.
    pub begin: When,
    /// When they end.
    pub end: When,
}

impl Lags {
    /// Asks for what the query wants: an hour, or a day. Errs: as the route.
    pub async fn of(visit: &Visit) -> Result<Self, Failure> {
        let range = if Range::of(visit) == Range::Day { Range::Day } else { Range::Hour };
        let bucket = visit.parameter("bucket");
        let target = rule_route(bucket, &format!("/history?range={}", range.name()));
        let told: Told = read(visit.asker()?.json(Method::GET, &target, None).await?)?;
        let address =
            |name: &str| format!("{}#lag", links::link(&["buckets", bucket, "replication"], &[("range", name)]));
        let (charts, (begin, end)) = drawn(&visit.t.replication, &told.points);
        Ok(Self {
            ranges: range.among(&[Range::Hour, Range::Day], &visit.t.monitor, address),
            charts,
            begin: When::of_seconds(begin),
            end: When::of_seconds(end),
        })
    }

    /// What a script draws anew.
    pub fn told(&self) -> Value {
        let time = |when: &When| json!({ "iso": when.iso, "text": when.text });
        json!({ "charts": self.charts, "begin": time(&self.begin), "end": time(&self.end) })
    }
}

fn drawn(words: &'static Replication, points: &[Point]) -> (Vec<Chart>, (u64, u64)) {
    let begin = points.first().map_or(0, |point| point.at);
    let span = (begin, points.last().map_or(begin, |point| point.at));
    let lag = points.iter().map(|point| (point.at, Some(point.lag_seconds))).collect();
    let pending = points.iter().map(|point| (point.at, Some(point.pending as f64))).collect();
    let charts = vec![
        draw(words.lag, span, vec![(words.lag, lag)], |seconds| format!("{seconds:.1} s")),
        draw(words.pending, span, vec![(words.pending, pending)], |changes| count(changes as u64)).toned(1),
    ];
    (charts, span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lines_have_their_own_measure() {
        let point = |at, lag_seconds, pending| Point { at, lag_seconds, pending };
        let (charts, span) =
            drawn(&Replication::ENGLISH, &[point(100, 0.0, 0), point(110, 90.25, 1_500), point(120, 2.0, 3)]);
        assert_eq!(span, (100, 120));
        let [lag, pending] = &charts[..] else { panic!("{charts:?}") };
        assert_eq!((&*lag.most, &*lag.lines[0].last), ("90.2 s", "2.0 s"));
        assert_eq!((&*pending.most, &*pending.lines[0].last), (&*count(1_500), "3"));
        assert_eq!(lag.lines[0].path.matches('L').count(), 2);
    }
}
