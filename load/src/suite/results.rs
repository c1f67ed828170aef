//! What the suite found, as Markdown and JSON: a row for each endpoint of each load, and below them each figure that has a
//! target. Pure.

use serde::Serialize;

use crate::run::Measured;

/// One load and what it showed of each endpoint.
#[derive(Debug, Clone, Serialize)]
pub struct Case {
    /// What was done, with how many connections.
    pub load: String,
    /// The node and its references.
    pub measured: Vec<Measured>,
}

/// A figure with the value that it should reach.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What is measured.
    pub figure: String,
    /// Its value; `None` when its reference was not there.
    pub value: Option<f64>,
    /// The bound.
    pub target: Target,
    /// What both are counted in.
    pub unit: &'static str,
    /// Whether it was reached; `None` without a value.
    pub met: Option<bool>,
}

/// A bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

impl Case {
    /// A row of the table for each endpoint.
    pub fn rows(&self) -> String {
        let mut text = String::new();
        for (place, endpoint) in self.measured.iter().enumerate() {
            let (load, figures) = (if place == 0 { self.load.as_str() } else { "" }, &endpoint.median);
            text.push_str(&format!(
                "| {load} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
                endpoint.name,
                number(figures.operations_per_second),
                number(figures.megabytes_per_second),
                number(figures.p50_ms),
                number(figures.p99_ms),
                number(figures.p999_ms),
                figures.cpu_us_per_operation.map_or_else(|| "–".to_owned(), cpu),
                figures.memory.map_or_else(|| "–".to_owned(), |memory| number(memory.peak_kib as f64 / 1024.0)),
            ));
        }
        text
    }
}

impl Check {
    /// A figure and its bound.
    pub fn new(figure: impl Into<String>, value: Option<f64>, target: Target, unit: &'static str) -> Self {
        let met = value.map(|value| match target {
            Target::AtMost(bound) => value <= bound,
            Target::AtLeast(bound) => value >= bound,
        });
        Self { figure: figure.into(), value, target, unit, met }
    }

    /// Its row of the table.
    pub fn row(&self) -> String {
        let (sign, bound) = match self.target {
            Target::AtMost(bound) => ("≤", bound),
            Target::AtLeast(bound) => ("≥", bound),
        };
        let verdict = match self.met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "not measured",
        };
        let value = self.value.map_or_else(|| "–".to_owned(), |value| format!("{} {}", number(value), self.unit));
        format!("| {} | {value} | {sign} {} {} | {verdict} |\n", self.figure, number(bound), self.unit)
    }
}

/// Everything that a suite found.
#[derive(Debug, Default, Serialize)]
pub struct Results {
    /// On what it ran, in one line.
    pub machine: String,
    /// What of it is no measurement, and why.
    pub notes: Vec<String>,
    /// The loads.
    pub cases: Vec<Case>,
    /// The figures with targets.
    pub checks: Vec<Check>,
}

impl Results {
    /// Whether every operation of every load was good.
    pub fn without_errors(&self) -> bool {
        self.cases.iter().flat_map(|case| &case.measured).all(|endpoint| endpoint.median.errors.is_empty())
    }

    /// Everything as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("{}\n\n", self.machine);
        self.notes.iter().for_each(|note| text.push_str(&format!("- {note}\n")));
        text.push_str(&self.loads());
        text.push_str(&self.targets());
        self.failures().iter().for_each(|failure| text.push_str(&format!("\n{failure}\n")));
        text
    }

    fn loads(&self) -> String {
        if self.cases.is_empty() {
            return String::new();
        }
        let mut text = String::from(
            "\n| load | endpoint | operations/s | MB/s | p50 ms | p99 ms | p999 ms | CPU/operation | peak MiB |\n\
             |---|---|---:|---:|---:|---:|---:|---:|---:|\n",
        );
        self.cases.iter().for_each(|case| text.push_str(&case.rows()));
        text
    }

    fn targets(&self) -> String {
        if self.checks.is_empty() {
            return String::new();
        }
        let mut text = String::from("\n| figure | measured | target | |\n|---|---:|---:|---|\n");
        self.checks.iter().for_each(|check| text.push_str(&check.row()));
        text
    }

    fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for case in &self.cases {
            for endpoint in &case.measured {
                for (error, count) in &endpoint.median.errors {
                    failures.push(format!("{}, {}: {count} × FAILED: {error}", case.load, endpoint.name));
                }
            }
        }
        failures
    }
}

/// A number with three significant digits, thousands apart.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (place, digit) in whole.char_indices() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

/// CPU time, in milliseconds where it is much.
fn cpu(microseconds: f64) -> String {
    if microseconds >= 1000.0 {
        format!("{} ms", number(microseconds / 1000.0))
    } else {
        format!("{} µs", number(microseconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::round::Outcome;

    #[test]
    fn numbers_are_short() {
        for (value, expected) in [
            (0.123_45, "0.123"),
            (1.234, "1.23"),
            (12.34, "12.3"),
            (123.4, "123"),
            (1234.5, "1 234"),
            (1_234_567.0, "1 234 567"),
            (-123.0, "-123"),
        ] {
            assert_eq!(number(value), expected);
        }
        assert_eq!((cpu(57.4), cpu(2_200.0)), ("57.4 µs".into(), "2.20 ms".into()));
    }

    #[test]
    fn a_bound_itself_is_met() {
        let met = |value, target| Check::new("x", value, target, "").met;
        assert_eq!(met(Some(2.0), Target::AtMost(2.0)), Some(true));
        assert_eq!(met(Some(2.1), Target::AtMost(2.0)), Some(false));
        assert_eq!(met(Some(2.0), Target::AtLeast(2.0)), Some(true));
        assert_eq!(met(Some(1.9), Target::AtLeast(2.0)), Some(false));
        assert_eq!(met(None, Target::AtLeast(2.0)), None);
    }

    #[test]
    fn the_tables_name_what_was_missed_what_was_not_there_and_what_failed() {
        let median = Outcome { errors: [("timed out".to_owned(), 2)].into(), ..Outcome::default() };
        let node = Measured { name: "node".into(), median, rounds: Vec::new(), entries: None };
        let mut results = Results { machine: "two cores".into(), ..Results::default() };
        results
            .cases
            .push(Case { load: "GET".into(), measured: vec![node.clone(), Measured { name: "nginx".into(), ..node }] });
        results.checks.push(Check::new("CPU", Some(70.0), Target::AtMost(60.0), "µs"));
        results.checks.push(Check::new("rate", None, Target::AtLeast(0.25), "of nginx"));
        let text = results.markdown();
        for line in [
            "| GET | node | 0.000 |",
            "|  | nginx | 0.000 |",
            "| CPU | 70.0 µs | ≤ 60.0 µs | **missed** |",
            "| rate | – | ≥ 0.250 of nginx | not measured |",
            "GET, node: 2 × FAILED: timed out",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!results.without_errors());
    }
}
