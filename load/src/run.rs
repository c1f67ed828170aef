//! A run: prepare every endpoint, then rounds against one after the other, A B A B, so that what the machine does meanwhile
//! hits all alike.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::connection::{Connection, Failure, Payload, Wanted};
use crate::keys::Keys;
use crate::progress::Progress;
use crate::round::{self, Outcome};
use crate::script::Script;
use crate::site::Site;
use crate::statistics::median;
use crate::workload::{Operation, Stop, Workload};

/// Connections that put objects in place before a run.
const PREPARE_CONNECTIONS: u32 = 32;

/// What is run against whom.
pub struct Run {
    /// The endpoints, in the order of their columns.
    pub sites: Vec<Arc<Site>>,
    /// The load.
    pub workload: Workload,
    /// Rounds per endpoint.
    pub rounds: u32,
    /// Wait after each round until the server has used no CPU for so long, and count what it used.
    pub until_idle: Option<Duration>,
    /// Put buckets and keys in place first.
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
        let workload = Arc::new(self.workload.clone());
        let mut rounds: Vec<Vec<Outcome>> = vec![Vec::new(); self.sites.len()];
        let mut entries = Vec::new();
        for site in &self.sites {
            let told = |failure: Failure| format!("{}: cannot prepare: {failure}", site.endpoint.name);
            if self.prepare && site.endpoint.credentials.is_some() {
                create_bucket(site).await.map_err(told)?;
                if workload.operation.reads() {
                    self.put_keys(site, &workload.keys).await?;
                    round::settle(site).await;
                }
            }
            entries.push(if workload.operation == Operation::List {
                Some(count_entries(site, &workload).await.map_err(told)?)
            } else {
                None
            });
        }
        for number in 1..=self.rounds {
            for (site, outcomes) in self.sites.iter().zip(&mut rounds) {
                if self.prepare && workload.operation == Operation::Delete {
                    self.put_keys(site, &workload.keys_of(number)).await?;
                    round::settle(site).await;
                }
                let label =
                    format!("{} {}, round {number} of {}", site.endpoint.name, workload.operation.name(), self.rounds);
                let of = Some(workload.operations_max()).filter(|steps| *steps < u64::MAX);
                self.progress.begin(&label, of);
                let outcome = round::run(site, &workload, number, self.until_idle, &self.progress).await;
                outcomes.push(outcome.map_err(|failure| format!("{}: cannot begin: {failure}", site.endpoint.name))?);
                if self.until_idle.is_some() {
                    // What one round left unwritten is not written at the expense of the next one.
                    rustix::fs::sync();
                }
            }
        }
        let measured = self.sites.iter().zip(rounds).zip(entries).map(|((site, rounds), entries)| Measured {
            name: site.endpoint.name.clone(),
            median: median_of(&rounds),
            rounds,
            entries,
        });
        Ok(measured.collect())
    }

    /// Puts every key in place. Errs when one cannot be.
    pub async fn put_keys(&self, site: &Arc<Site>, keys: &Keys) -> Result<Outcome, String> {
        let workload = Workload {
            operation: Operation::Put,
            connections: PREPARE_CONNECTIONS.max(self.workload.connections.min(64)),
            stop: Stop::Count(keys.count),
            keys: keys.clone(),
            fresh: false,
            ..self.workload.clone()
        };
        self.progress.begin(&format!("{}: putting objects in place", site.endpoint.name), Some(keys.count));
        let told = |failure: &dyn std::fmt::Display| format!("{}: cannot put: {failure}", site.endpoint.name);
        let outcome = round::run(site, &Arc::new(workload), 0, None, &self.progress).await;
        let outcome = outcome.map_err(|failure| told(&failure))?;
        match outcome.errors.keys().next() {
            Some(error) => Err(told(error)),
            None => Ok(outcome),
        }
    }
}

/// Creates the site's bucket, if it is not there.
pub async fn create_bucket(site: &Site) -> Result<(), Failure> {
    let mut request = Vec::new();
    site.write_request(&mut request, "PUT", &site.path(""), "", Some(0));
    match Connection::new(site.address).exchange(&mut request, Payload::NONE, Wanted::default()).await {
        Ok(_) | Err(Failure::Status(409, _)) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// How many keys and common prefixes the first listing answers.
async fn count_entries(site: &Site, workload: &Workload) -> Result<usize, Failure> {
    let mut request = Vec::new();
    Script::new(site, Operation::List, workload, workload.keys.clone()).request(site, 0, &mut request);
    let wanted = Wanted { body: true, ..Wanted::default() };
    let answer = Connection::new(site.address).exchange(&mut request, Payload::NONE, wanted).await?;
    Ok(answer.body.matches("<Contents>").count() + answer.body.matches("<CommonPrefixes>").count())
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
