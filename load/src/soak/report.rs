//! What a soak found, and whether that is good. No I/O.

use std::collections::BTreeMap;

use serde::Serialize;

use super::watch::Sample;

/// How much more memory the last quarter may take than the second.
const GROWTH_MAX: f64 = 1.05;
/// Samples are kept by tens.
const KEPT_EVERY: usize = 10;

/// One thing that must hold.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// What.
    pub what: String,
    /// Whether it holds.
    pub good: bool,
    /// What was found.
    pub found: String,
}

impl Verdict {
    /// It holds if nothing is wrong.
    pub fn none(what: &str, wrong: &[String]) -> Self {
        let found = if wrong.is_empty() { "none".to_owned() } else { wrong.join("; ") };
        Self { what: what.to_owned(), good: wrong.is_empty(), found }
    }

    /// Memory is flat if the last quarter's mean is not above the second's by more than 5 %.
    pub fn memory(node: &str, means: [f64; 4]) -> Self {
        let [_, second, third, last] = means;
        let good = second > 0.0 && last <= second * GROWTH_MAX;
        let change = (last / second - 1.0) * 100.0;
        let found = format!("{second:.1}, {third:.1}, {last:.1} MiB in the last three quarters: {change:+.1} %");
        Self { what: format!("memory of the {node} is flat"), good, found }
    }

    /// Files are all closed if there are no more of a kind than before, but for what is kept open on purpose.
    pub fn files(node: &str, before: &BTreeMap<String, usize>, after: &BTreeMap<String, usize>) -> Self {
        // Folders of keys that were used last, and a staged file or two at hand.
        const KEPT: [&str; 2] = ["below buckets", ".myfsio.sys/buckets"];
        let grown = |(kind, count): &(&String, &usize)| {
            **count > before.get(*kind).copied().unwrap_or(0) && !KEPT.contains(&kind.as_str())
        };
        let grown: Vec<String> = after
            .iter()
            .filter(grown)
            .map(|(kind, count)| format!("{kind}: {count}, {} before", before.get(kind).copied().unwrap_or(0)))
            .collect();
        let sum = |files: &BTreeMap<String, usize>| files.values().sum::<usize>();
        let counts = format!("{} before, {} after", sum(before), sum(after));
        let found = if grown.is_empty() { counts } else { format!("{counts}; {}", grown.join("; ")) };
        Self { what: format!("files of the {node} are closed"), good: grown.is_empty(), found }
    }

    /// A line.
    pub fn line(&self) -> String {
        format!("{:<4} {}: {}\n", if self.good { "good" } else { "BAD" }, self.what, self.found)
    }
}

/// The means of four quarters of a figure.
pub fn quarters(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> [f64; 4] {
    let length = samples.last().map_or(0.0, |last| last.seconds).max(f64::MIN_POSITIVE);
    [0, 1, 2, 3].map(|quarter| {
        let within = |sample: &&Sample| ((sample.seconds / length * 4.0) as usize).min(3) == quarter;
        let figures: Vec<f64> = samples.iter().filter(within).map(&figure).collect();
        figures.iter().sum::<f64>() / (figures.len() as f64).max(1.0)
    })
}

/// All of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The processor, the kernel and so on.
    pub machine: String,
    /// How long clients were at it, in seconds.
    pub seconds: f64,
    /// How many.
    pub connections: u32,
    /// The seed of their choices.
    pub seed: u64,
    /// Keys that hold an object for certain, each of which was compared.
    pub keys: u64,
    /// What they did.
    pub steps: BTreeMap<&'static str, u64>,
    /// Refusals that were asked for.
    pub refusals: BTreeMap<String, u64>,
    /// What should not have been.
    pub errors: BTreeMap<String, u64>,
    /// What is to be known of the nodes' own work.
    pub background: BTreeMap<&'static str, f64>,
    /// What must hold.
    pub verdicts: Vec<Verdict>,
    /// What the nodes held.
    pub samples: Vec<Sample>,
}

impl Report {
    /// Whether all is good.
    pub fn good(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.good)
    }

    /// Keeps few of the samples.
    pub fn thin(&mut self) {
        self.samples = self.samples.iter().step_by(KEPT_EVERY).copied().collect();
    }

    /// For people.
    pub fn text(&self) -> String {
        let steps: u64 = self.steps.values().sum();
        let per_second = steps as f64 / self.seconds;
        let mut text = format!(
            "{}\n{} connections, {:.0} s, seed {}: {steps} operations, {per_second:.0} per second\n",
            self.machine, self.connections, self.seconds, self.seed
        );
        let mut list = |what: &str, counts: Vec<String>| {
            if !counts.is_empty() {
                text.push_str(&format!("{what}: {}\n", counts.join(", ")));
            }
        };
        let counted = |counts: &BTreeMap<String, u64>| {
            counts.iter().map(|(what, count)| format!("{count} × {what}")).collect::<Vec<_>>()
        };
        list("operations", self.steps.iter().map(|(what, count)| format!("{what} {count}")).collect());
        list("deliberate refusals", counted(&self.refusals));
        list("background", self.background.iter().map(|(what, count)| format!("{what} {count}")).collect());
        list("compared at the end", vec![format!("{} objects", self.keys)]);
        list("ERRORS", counted(&self.errors));
        self.verdicts.iter().for_each(|verdict| text.push_str(&verdict.line()));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seconds: f64, rss: u64) -> Sample {
        Sample { seconds, rss_kib: [rss, 0], anonymous_kib: [0, 0], files: [0, 0] }
    }

    #[test]
    fn quarters_are_of_time() {
        let samples: Vec<Sample> = (0..=40).map(|n| sample(f64::from(n), 10 * (u64::from(n as u32) / 10))).collect();
        assert_eq!(quarters(&samples, |sample| sample.rss_kib[0] as f64)[..3], [0.0, 10.0, 20.0]);
        assert_eq!(quarters(&[], |_| 1.0), [0.0; 4]);
    }

    #[test]
    fn memory_may_not_grow_by_more_than_a_twentieth() {
        for (means, good) in [
            ([50.0, 100.0, 120.0, 105.0], true),
            ([100.0, 100.0, 100.0, 106.0], false),
            ([100.0, 100.0, 50.0, 20.0], true),
            ([0.0; 4], false),
        ] {
            assert_eq!(Verdict::memory("source", means).good, good, "{means:?}");
        }
    }

    #[test]
    fn files_are_compared_by_kind() {
        let files = |kinds: &[(&str, usize)]| kinds.iter().map(|(kind, n)| ((*kind).to_owned(), *n)).collect();
        let before: BTreeMap<String, usize> = files(&[("socket", 4), ("below buckets", 1)]);
        assert!(Verdict::files("source", &before, &files(&[("socket", 4), ("below buckets", 90)])).good);
        let leaked = Verdict::files("source", &before, &files(&[("socket", 5)]));
        assert!(!leaked.good && leaked.found.contains("socket: 5, 4 before"), "{leaked:?}");
        assert!(!Verdict::files("source", &before, &files(&[("deleted file", 1)])).good);
    }
}
