//! Lines over time as SVG, which needs no script. Pure.

use std::fmt::Write as _;

use serde::Serialize;

/// Width and height of the plane that lines are drawn in; the page stretches it.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 120.0;

/// A chart.
#[derive(Debug, Serialize)]
pub struct Chart {
    /// What it is of.
    pub title: &'static str,
    /// The largest value.
    pub most: String,
    /// Its lines.
    pub lines: Vec<Line>,
}

impl Chart {
    /// The same with other colours: its first line has this one.
    #[must_use]
    pub fn toned(mut self, first: usize) -> Self {
        self.lines.iter_mut().for_each(|line| line.tone += first);
        self
    }
}

/// A line of a chart.
#[derive(Debug, Serialize)]
pub struct Line {
    /// What it is of.
    pub word: &'static str,
    /// Number of its colour.
    pub tone: usize,
    /// Its last value.
    pub last: String,
    /// The path, as SVG has it (SVG 2, section 9.3).
    pub path: String,
    /// The same as the edge of what lies below it; only of the first line.
    pub area: Option<String>,
}

/// What a line is of: the word, and value by value when and how much. A value that is not there leaves a gap.
pub type Series = (&'static str, Vec<(u64, Option<f64>)>);

/// Draws a chart between two times. `told`: how a value is written.
pub fn draw(title: &'static str, (begin, end): (u64, u64), all: Vec<Series>, told: fn(f64) -> String) -> Chart {
    let values = all.iter().flat_map(|(_, points)| points.iter().filter_map(|(_, value)| *value));
    let most = values.fold(0.0, f64::max);
    let scale = if most > 0.0 { most } else { 1.0 };
    let span = end.saturating_sub(begin).max(1) as f64;
    let lines = all.into_iter().enumerate().map(|(tone, (word, points))| {
        let last = points.last().and_then(|(_, value)| *value).map_or_else(|| "–".to_owned(), told);
        let x = |at: u64| at.saturating_sub(begin) as f64 / span * WIDTH;
        let (mut path, mut area) = (String::new(), String::new());
        // What is known without a gap, one after the other.
        for known in points.split(|(_, value)| value.is_none()).filter(|known| !known.is_empty()) {
            let (first, last) = (known.first().map_or(0, |(at, _)| *at), known.last().map_or(0, |(at, _)| *at));
            // Writing into a string never fails.
            let _ = write!(area, "M{:.1} {HEIGHT}", x(first));
            for (at, (when, value)) in known.iter().enumerate() {
                let place = format!("{:.1} {:.1}", x(*when), HEIGHT - value.unwrap_or(0.0) / scale * HEIGHT);
                // A point alone is a dot.
                let _ = if at == 0 { write!(path, "M{place}h.1") } else { write!(path, "L{place}") };
                let _ = write!(area, "L{place}");
            }
            let _ = write!(area, "L{:.1} {HEIGHT}z", x(last));
        }
        Line { word, tone, last, path, area: (tone == 0).then_some(area) }
    });
    Chart { title, most: told(most), lines: lines.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_gaps() {
        let points = vec![(10, Some(1.0)), (20, None), (30, Some(2.0)), (40, Some(0.0))];
        let chart = draw("t", (10, 40), vec![("w", points), ("none", Vec::new())], |value| format!("{value:.0}"));
        let [line, none] = &chart.lines[..] else { panic!("{chart:?}") };
        assert_eq!(line.path, "M0.0 60.0h.1M400.0 0.0h.1L600.0 120.0");
        let area = "M0.0 120L0.0 60.0L0.0 120zM400.0 120L400.0 0.0L600.0 120.0L600.0 120z";
        assert_eq!((line.area.as_deref(), none.area.as_deref()), (Some(area), None));
        assert_eq!((chart.most.as_str(), line.last.as_str(), none.last.as_str()), ("2", "0", "–"));
    }

    #[test]
    fn nothing_happened() {
        let chart = draw("t", (5, 5), vec![("w", vec![(5, Some(0.0))])], |value| value.to_string());
        assert_eq!(chart.lines[0].path, "M0.0 120.0h.1");
    }
}
