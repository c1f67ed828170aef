//! A run's figures as text: a row for each figure, a column for each endpoint, and the first one's ratio to each other.

use crate::round::Outcome;
use crate::run::Measured;

/// Name of a figure, how it is found, and its decimals.
type Figure = (&'static str, fn(&Outcome) -> Option<f64>, usize);

const FIGURES: [Figure; 15] = [
    ("operations/s", |o| Some(o.operations_per_second), 1),
    ("MB/s", |o| Some(o.megabytes_per_second), 1),
    ("p50 ms", |o| Some(o.p50_ms), 3),
    ("p99 ms", |o| Some(o.p99_ms), 3),
    ("p999 ms", |o| Some(o.p999_ms), 3),
    ("max ms", |o| Some(o.max_ms), 3),
    ("server CPU µs/operation", |o| o.cpu_us_per_operation, 1),
    ("server cores in use", |o| o.cpu_cores, 2),
    ("busy afterwards s", |o| o.busy_afterwards_seconds, 1),
    ("complete ms", |o| o.complete_ms, 2),
    ("resident MiB", |o| o.memory.map(|memory| memory.rss_kib as f64 / 1024.0), 1),
    ("of it anonymous MiB", |o| o.memory.map(|memory| memory.anonymous_kib as f64 / 1024.0), 1),
    ("peak resident MiB", |o| o.memory.map(|memory| memory.peak_kib as f64 / 1024.0), 1),
    ("generator cores in use", |o| Some(o.generator_cores), 2),
    ("operations", |o| Some(o.operations as f64), 0),
];

/// The table of a run, and below it what failed.
pub fn render(measured: &[Measured]) -> String {
    let mut rows = vec![header(measured)];
    for (name, figure, decimals) in FIGURES {
        let values: Vec<Option<f64>> = measured.iter().map(|endpoint| figure(&endpoint.median)).collect();
        if values.iter().any(Option::is_some) {
            rows.push(row(name, &values, decimals));
        }
    }
    if measured.iter().any(|endpoint| endpoint.entries.is_some()) {
        let values: Vec<Option<f64>> = measured.iter().map(|endpoint| endpoint.entries.map(|n| n as f64)).collect();
        rows.push(row("entries in a listing", &values, 0));
    }
    let mut text = align(&rows);
    for endpoint in measured {
        for (step, count) in &endpoint.median.steps {
            text.push_str(&format!("{}: {count} × {}\n", endpoint.name, step.name()));
        }
        for (error, count) in &endpoint.median.errors {
            text.push_str(&format!("{}: {count} × FAILED: {error}\n", endpoint.name));
        }
    }
    text
}

fn header(measured: &[Measured]) -> Vec<String> {
    let mut cells = vec![String::new()];
    cells.extend(measured.iter().map(|endpoint| endpoint.name.clone()));
    let Some((first, others)) = measured.split_first() else { return cells };
    cells.extend(others.iter().map(|other| format!("{} : {}", first.name, other.name)));
    cells
}

fn row(name: &str, values: &[Option<f64>], decimals: usize) -> Vec<String> {
    let mut cells = vec![name.to_owned()];
    let number = |value: &Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"));
    cells.extend(values.iter().map(number));
    let Some((first, others)) = values.split_first() else { return cells };
    cells.extend(others.iter().map(|other| match (first, other) {
        (Some(first), Some(other)) if *other != 0.0 => format!("{:.2}", first / other),
        _ => "–".to_owned(),
    }));
    cells
}

/// Columns of one width each, all but the first to the right.
fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let length = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
    let widths: Vec<usize> =
        (0..columns).map(|column| rows.iter().map(|row| length(row, column)).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") }
        });
        let line: String = cells.collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(name: &str, rate: f64, cpu: Option<f64>) -> Measured {
        let median = Outcome { operations_per_second: rate, cpu_us_per_operation: cpu, ..Outcome::default() };
        Measured { name: name.into(), median, rounds: Vec::new(), entries: None }
    }

    #[test]
    fn endpoints_stand_side_by_side_with_ratios() {
        let text = render(&[endpoint("node", 500.0, Some(60.0)), endpoint("peer", 1000.0, None)]);
        let line = |name: &str| -> Vec<String> {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line[name.len()..].split_whitespace().map(str::to_owned).collect()
        };
        assert_eq!(
            text.lines().next().unwrap().split_whitespace().collect::<Vec<_>>(),
            ["node", "peer", "node", ":", "peer"]
        );
        assert_eq!(line("operations/s"), ["500.0", "1000.0", "0.50"]);
        assert_eq!(line("server CPU µs/operation"), ["60.0", "–", "–"]);
        assert!(!text.contains("complete ms"), "nobody completed anything");
    }

    #[test]
    fn failures_are_said_aloud() {
        let mut node = endpoint("node", 1.0, None);
        node.median.errors = [("503 SlowDown".to_owned(), 3)].into();
        assert!(render(&[node]).contains("node: 3 × FAILED: 503 SlowDown"));
    }
}
