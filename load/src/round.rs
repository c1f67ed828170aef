//! One round: the same load against one endpoint for a while, with its server's CPU and memory beside.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;

use crate::connection::Failure;
use crate::keys::Keys;
use crate::multipart;
use crate::process::{Memory, Process};
use crate::progress::Progress;
use crate::script::Script;
use crate::site::Site;
use crate::statistics::percentile;
use crate::worker::{Tally, Worker};
use crate::workload::{Operation, Stop, Workload};

/// How often the server's memory is looked at.
const MEMORY_EVERY: Duration = Duration::from_millis(50);
/// A server that has used no CPU for so long has done what it was asked to.
const SETTLED: Duration = Duration::from_secs(1);
/// A server that is still busy after this long never rests.
const IDLE_WAIT_MAX: Duration = Duration::from_secs(600);
/// Bytes that request bodies repeat.
const PATTERN_BYTES: u64 = 1 << 20;

/// A round that is under way.
pub struct Round {
    /// Whom it drives.
    pub site: Arc<Site>,
    /// With what.
    pub workload: Arc<Workload>,
    /// The keys of this round.
    pub keys: Keys,
    /// What bodies are made of.
    pub pattern: Vec<u8>,
    /// The one upload that all connections send parts of.
    pub upload: Option<String>,
    /// What is shown meanwhile.
    pub progress: Arc<Progress>,
    scripts: BTreeMap<Operation, Script>,
    next: AtomicU64,
    steps: u64,
    end: Option<Instant>,
}

impl Round {
    /// A round of `operation` on `keys`; its time runs from now on.
    fn new(site: &Arc<Site>, workload: &Arc<Workload>, keys: Keys, progress: &Arc<Progress>) -> Self {
        let operations: &[Operation] = match workload.operation {
            Operation::Mixed => &[Operation::Get, Operation::Put, Operation::Head, Operation::Delete, Operation::List],
            Operation::Part | Operation::Multipart => &[],
            _ => &[workload.operation],
        };
        let script = |operation: Operation| {
            let mut keys = keys.clone();
            if workload.operation == Operation::Mixed && matches!(operation, Operation::Put | Operation::Delete) {
                keys.prefix.push_str("mixed/");
                keys.count = u64::MAX;
            }
            (operation, Script::new(site, operation, workload, keys))
        };
        Self {
            scripts: operations.iter().copied().map(script).collect(),
            pattern: pattern(workload.size.min(PATTERN_BYTES)),
            upload: None,
            next: AtomicU64::new(0),
            steps: workload.operations_max(),
            end: match workload.stop {
                Stop::After(time) => Some(Instant::now() + time),
                Stop::Count(_) => None,
            },
            site: Arc::clone(site),
            workload: Arc::clone(workload),
            progress: Arc::clone(progress),
            keys,
        }
    }

    /// The number of the next step; `None` when the round has ended.
    pub fn next_step(&self) -> Option<u64> {
        if self.end.is_some_and(|end| Instant::now() >= end) {
            return None;
        }
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        (n < self.steps).then_some(n)
    }

    /// The script of an operation. Errs when this round has none.
    pub fn script(&self, operation: Operation) -> Result<&Script, Failure> {
        self.scripts.get(&operation).ok_or(Failure::Unexpected("no script"))
    }
}

/// Bytes that do not compress, the same in every run.
fn pattern(length: u64) -> Vec<u8> {
    (0..length.div_ceil(8)).flat_map(|n| crate::keys::scatter(n).to_le_bytes()).take(length as usize).collect()
}

/// What a round showed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// From the first step to the last answer, in seconds.
    pub seconds: f64,
    /// Good operations.
    pub operations: u64,
    /// The same per second.
    pub operations_per_second: f64,
    /// Megabytes (10^6) of objects and listings per second.
    pub megabytes_per_second: f64,
    /// Median time of a good operation, in milliseconds.
    pub p50_ms: f64,
    /// What 99 of 100 stayed under.
    pub p99_ms: f64,
    /// What 999 of 1000 stayed under.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// CPU time of the server per good operation, in microseconds.
    pub cpu_us_per_operation: Option<f64>,
    /// CPU time of the server over time: 1 is one core.
    pub cpu_cores: Option<f64>,
    /// How long the server went on working afterwards, in seconds, where that was waited for.
    pub busy_afterwards_seconds: Option<f64>,
    /// The server's memory: the most that was seen of each kind.
    pub memory: Option<Memory>,
    /// CPU time of this program over time: near 1 it is what limits the rate.
    pub generator_cores: f64,
    /// Median time of CompleteMultipartUpload, in milliseconds.
    pub complete_ms: Option<f64>,
    /// Good operations of a mix, by kind.
    pub steps: BTreeMap<Operation, u64>,
    /// What failed, and how often.
    pub errors: BTreeMap<String, u64>,
}

/// Runs a round. Errs when it cannot begin.
pub async fn run(
    site: &Arc<Site>,
    workload: &Arc<Workload>,
    number: u32,
    until_idle: Option<Duration>,
    progress: &Arc<Progress>,
) -> Result<Outcome, Failure> {
    let keys = workload.keys_of(number);
    let mut round = Round::new(site, workload, keys, progress);
    if workload.operation == Operation::Part {
        let mut worker = Worker::new(Arc::new(Round::new(site, workload, round.keys.clone(), progress)));
        round.upload = Some(multipart::create(&mut worker, &round.keys.key(0)).await?);
    }
    let round = Arc::new(round);
    let mut watch = Watch::begin(site.endpoint.process);
    let (begin, own) = (Instant::now(), own_cpu());
    let mut tally = tokio::select! {
        tally = work(&round) => tally,
        never = watch.sample() => match never {},
    };
    let elapsed = begin.elapsed();
    let generator_cores = (own_cpu().saturating_sub(own)).as_secs_f64() / elapsed.as_secs_f64();
    if let Some(upload) = &round.upload {
        let mut worker = Worker::new(Arc::clone(&round));
        let parts = std::mem::take(&mut tally.etags);
        if let Err(failure) = multipart::complete(&mut worker, &round.keys.key(0), upload, parts).await {
            *tally.errors.entry(failure).or_default() += 1;
        }
        tally.add(worker.tally);
    }
    let mut outcome = summarise(tally, elapsed);
    outcome.generator_cores = generator_cores;
    watch.end(&mut outcome, begin, elapsed, until_idle).await;
    Ok(outcome)
}

async fn work(round: &Arc<Round>) -> Tally {
    // Aborted when a run is given up.
    let mut workers = JoinSet::new();
    (0..round.workload.connections).for_each(|_| drop(workers.spawn(Worker::new(Arc::clone(round)).work())));
    workers.join_all().await.into_iter().fold(Tally::default(), |mut all, tally| {
        all.add(tally);
        all
    })
}

fn own_cpu() -> Duration {
    Process { pid: std::process::id() }.cpu().unwrap_or_default()
}

fn summarise(mut tally: Tally, elapsed: Duration) -> Outcome {
    tally.latencies_us.sort_unstable();
    tally.completes_us.sort_unstable();
    let ms = |sorted: &[u32], p| percentile(sorted, p).map(|us| f64::from(us) / 1000.0);
    let latency = |p| ms(&tally.latencies_us, p).unwrap_or(0.0);
    let (seconds, operations) = (elapsed.as_secs_f64(), tally.latencies_us.len() as u64);
    Outcome {
        seconds,
        operations,
        operations_per_second: operations as f64 / seconds,
        megabytes_per_second: tally.bytes as f64 / 1e6 / seconds,
        p50_ms: latency(0.5),
        p99_ms: latency(0.99),
        p999_ms: latency(0.999),
        max_ms: latency(1.0),
        complete_ms: ms(&tally.completes_us, 0.5),
        steps: tally.steps,
        errors: tally.errors.into_iter().map(|(failure, count)| (failure.to_string(), count)).collect(),
        ..Outcome::default()
    }
}

/// Watches a server's process during a round.
struct Watch {
    process: Option<Process>,
    cpu: Option<Duration>,
    memory: Option<Memory>,
}

impl Watch {
    fn begin(process: Option<Process>) -> Self {
        Self { process, cpu: process.and_then(Process::cpu), memory: None }
    }

    /// Looks at the memory again and again.
    async fn sample(&mut self) -> Infallible {
        loop {
            self.note_memory();
            tokio::time::sleep(MEMORY_EVERY).await;
        }
    }

    fn note_memory(&mut self) {
        if let Some(now) = self.process.and_then(Process::memory) {
            let before = self.memory.unwrap_or_default();
            self.memory = Some(Memory {
                rss_kib: now.rss_kib.max(before.rss_kib),
                anonymous_kib: now.anonymous_kib.max(before.anonymous_kib),
                peak_kib: now.peak_kib.max(before.peak_kib),
            });
        }
    }

    /// Notes what the server used, once it rests if `until_idle` asks for that.
    async fn end(mut self, outcome: &mut Outcome, begin: Instant, elapsed: Duration, until_idle: Option<Duration>) {
        let Some(process) = self.process else { return };
        let load_cpu = process.cpu();
        if let Some(quiet) = until_idle {
            let rested = wait_until_idle(process, quiet).await;
            outcome.busy_afterwards_seconds = rested.map(|at| at.duration_since(begin + elapsed).as_secs_f64());
        }
        self.note_memory();
        outcome.memory = self.memory;
        let used = |end: Option<Duration>| Some(end?.saturating_sub(self.cpu?).as_secs_f64());
        let operations = outcome.operations.max(1) as f64;
        outcome.cpu_us_per_operation = used(process.cpu()).map(|seconds| seconds * 1e6 / operations);
        outcome.cpu_cores = used(load_cpu).map(|seconds| seconds / elapsed.as_secs_f64());
    }
}

/// Waits until a local server has done what preparations left it to do, so that no round is charged for it.
pub async fn settle(site: &Site) {
    if let Some(process) = site.endpoint.process {
        wait_until_idle(process, SETTLED).await;
    }
}

/// Waits until a process has used no tick of CPU for `quiet`; when it last had. `None` when it never rests, or is gone.
async fn wait_until_idle(process: Process, quiet: Duration) -> Option<Instant> {
    let begin = Instant::now();
    let (mut last_cpu, mut last_change) = (process.cpu()?, begin);
    while last_change.elapsed() < quiet {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let cpu = process.cpu()?;
        if cpu != last_cpu {
            (last_cpu, last_change) = (cpu, Instant::now());
        }
        if begin.elapsed() > IDLE_WAIT_MAX {
            return None;
        }
    }
    Some(last_change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::tests::workload;

    #[test]
    fn a_tally_becomes_rates_and_percentiles() {
        let tally = Tally {
            latencies_us: vec![4000, 1000, 3000, 2000],
            bytes: 8_000_000,
            errors: BTreeMap::from([(Failure::TimedOut, 2)]),
            completes_us: vec![50_000],
            ..Tally::default()
        };
        let outcome = summarise(tally, Duration::from_secs(2));
        assert_eq!((outcome.operations, outcome.operations_per_second, outcome.megabytes_per_second), (4, 2.0, 4.0));
        assert_eq!((outcome.p50_ms, outcome.p99_ms, outcome.max_ms), (2.0, 4.0, 4.0));
        assert_eq!(outcome.complete_ms, Some(50.0));
        assert_eq!(outcome.errors, BTreeMap::from([("timed out".to_owned(), 2)]));
    }

    #[test]
    fn nothing_done_is_no_division_by_zero() {
        let outcome = summarise(Tally::default(), Duration::from_secs(1));
        assert_eq!((outcome.operations_per_second, outcome.p50_ms, outcome.complete_ms), (0.0, 0.0, None));
    }

    #[test]
    fn a_round_has_as_many_steps_as_it_was_given() {
        let site = Arc::new(crate::site::tests::plain_site());
        let round = |stop| {
            let mut workload = workload(Operation::Get);
            workload.stop = stop;
            let (workload, progress) = (Arc::new(workload), Arc::new(Progress::default()));
            Round::new(&site, &workload, workload.keys.clone(), &progress)
        };
        let counted = round(Stop::Count(3));
        assert_eq!((0..5).map(|_| counted.next_step()).collect::<Vec<_>>(), [Some(0), Some(1), Some(2), None, None]);
        assert_eq!(round(Stop::After(Duration::ZERO)).next_step(), None);
        assert_eq!(round(Stop::After(Duration::from_secs(60))).next_step(), Some(0));
    }

    #[test]
    fn bodies_do_not_repeat_early() {
        let bytes = pattern(1003);
        assert_eq!(bytes.len(), 1003);
        assert_ne!(bytes[..500], bytes[500..1000]);
        assert_eq!(pattern(0), b"");
    }

    #[tokio::test]
    async fn a_process_that_rests_is_noticed_and_one_that_is_gone_too() {
        let mut sleeper = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let rest = wait_until_idle(Process { pid: sleeper.id() }, Duration::from_millis(120)).await;
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        assert!(rest.is_some());
        assert!(wait_until_idle(Process { pid: u32::MAX }, Duration::from_millis(1)).await.is_none());
    }
}
