//! A run: prepare every endpoint, then rounds against one after the other, A B A B, so that what the machine does meanwhile
//! hits all alike.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::prepare::{count_entries, create_bucket, put_keys};
use crate::progress::Progress;
use crate::round::{self, Outcome};
use crate::site::Site;
use crate::statistics::median;
use crate::workload::{Operation, Workload};

/// A load against an endpoint.
#[derive(Clone)]
pub struct Lane {
    /// The endpoint.
    pub site: Arc<Site>,
    /// The load.
    pub workload: Arc<Workload>,
}

impl Lane {
    /// The same load against each of these endpoints.
    pub fn each(sites: &[Arc<Site>], workload: Workload) -> Vec<Self> {
        let workload = Arc::new(workload);
        sites.iter().map(|site| Self { site: Arc::clone(site), workload: Arc::clone(&workload) }).collect()
    }
}

/// Loads that are compared.
pub struct Run {
    /// In the order of their columns.
    pub lanes: Vec<Lane>,
    /// Rounds of each.
    pub rounds: u32,
    /// Wait after each round until the server has used no CPU for so long, and count what it used.
    pub until_idle: Option<Duration>,
    /// Put buckets and keys in place first, where requests are signed.
    pub prepare: bool,
    /// What is shown meanwhile.
    pub progress: Arc<Progress>,
}

/// What a run showed of one endpoint.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Medians over the rounds, each figure by itself; errors are summed.
    pub median: Outcome,
    /// Each round.
    pub rounds: Vec<Outcome>,
    /// Keys and common prefixes in one answer to the run's first listing.
    pub entries: Option<usize>,
}

impl Run {
    /// Runs. Errs when an endpoint cannot be prepared.
    pub async fn execute(&self) -> Result<Vec<Measured>, String> {
        let mut measured = Vec::new();
        for lane in &self.lanes {
            let entries = self.prepare(lane).await?;
            let name = lane.site.endpoint.name.clone();
            measured.push(Measured { name, median: Outcome::default(), rounds: Vec::new(), entries });
        }
        for number in 1..=self.rounds {
            for (lane, measured) in self.lanes.iter().zip(&mut measured) {
                measured.rounds.push(self.round(lane, number).await?);
            }
        }
        measured.iter_mut().for_each(|measured| measured.median = median_of(&measured.rounds));
        Ok(measured)
    }

    /// Whether keys are to be put in place for a lane.
    fn prepares(&self, lane: &Lane) -> bool {
        self.prepare && lane.site.endpoint.credentials.is_some()
    }

    /// Puts bucket and keys in place, and returns how many entries a listing answers where there will be one.
    async fn prepare(&self, lane: &Lane) -> Result<Option<usize>, String> {
        let Lane { site, workload } = lane;
        if self.prepares(lane) {
            create_bucket(site).await?;
            if workload.operation.reads() {
                put_keys(site, workload, workload.keys.clone(), &self.progress).await?;
            }
            round::settle(site).await;
        }
        if workload.operation != Operation::List {
            return Ok(None);
        }
        count_entries(site, workload).await.map(Some)
    }

    async fn round(&self, lane: &Lane, number: u32) -> Result<Outcome, String> {
        let Lane { site, workload } = lane;
        if self.prepares(lane) && workload.operation == Operation::Delete {
            put_keys(site, workload, workload.keys_of(number), &self.progress).await?;
            round::settle(site).await;
        }
        let (name, operation) = (&site.endpoint.name, workload.operation.name());
        let steps = Some(workload.operations_max()).filter(|steps| *steps < u64::MAX);
        self.progress.begin(&format!("{name} {operation}, round {number} of {}", self.rounds), steps);
        let outcome = round::run(site, workload, number, self.until_idle, &self.progress).await;
        if self.until_idle.is_some() {
            // What one round left unwritten is not written at the expense of the next one.
            rustix::fs::sync();
        }
        outcome.map_err(|failure| format!("{name}: cannot begin: {failure}"))
    }
}

/// Each figure's median; of memory the most, of errors and steps the sum.
fn median_of(rounds: &[Outcome]) -> Outcome {
    let optional = |figure: fn(&Outcome) -> Option<f64>| {
        let values: Vec<f64> = rounds.iter().filter_map(figure).collect();
        median(&values)
    };
    let middle = |figure: fn(&Outcome) -> f64| {
        let values: Vec<f64> = rounds.iter().map(figure).collect();
        median(&values).unwrap_or(0.0)
    };
    let mut all = Outcome {
        seconds: middle(|round| round.seconds),
        operations: middle(|round| round.operations as f64) as u64,
        operations_per_second: middle(|round| round.operations_per_second),
        megabytes_per_second: middle(|round| round.megabytes_per_second),
        p50_ms: middle(|round| round.p50_ms),
        p99_ms: middle(|round| round.p99_ms),
        p999_ms: middle(|round| round.p999_ms),
        max_ms: middle(|round| round.max_ms),
        generator_cores: middle(|round| round.generator_cores),
        cpu_us_per_operation: optional(|round| round.cpu_us_per_operation),
        cpu_cores: optional(|round| round.cpu_cores),
        busy_afterwards_seconds: optional(|round| round.busy_afterwards_seconds),
        complete_ms: optional(|round| round.complete_ms),
        memory: rounds.iter().filter_map(|round| round.memory).max_by_key(|memory| memory.rss_kib),
        ..Outcome::default()
    };
    for round in rounds {
        round.steps.iter().for_each(|(step, count)| *all.steps.entry(*step).or_default() += count);
        round.errors.iter().for_each(|(error, count)| *all.errors.entry(error.clone()).or_default() += count);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_of_each_figure_and_errors_of_all_rounds() {
        let round = |rate: f64, p50_ms: f64, errors: u64| Outcome {
            operations_per_second: rate,
            p50_ms,
            errors: [("timed out".to_owned(), errors)].into(),
            ..Outcome::default()
        };
        let all = median_of(&[round(1.0, 30.0, 1), round(3.0, 10.0, 2), round(2.0, 20.0, 4)]);
        assert_eq!((all.operations_per_second, all.p50_ms), (2.0, 20.0));
        assert_eq!(all.errors.get("timed out"), Some(&7));
        assert_eq!(all.cpu_us_per_operation, None, "there was no process to look at");
    }
}
