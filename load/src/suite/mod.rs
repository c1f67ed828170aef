//! The suite: the loads of `docs/benchmarks.md`, against nodes that it starts itself, each beside its reference in the same
//! run, and the figures that are to be reached.

mod browser;
mod console;
mod encrypted;
mod large;
pub mod machine;
mod million;
mod reads;
mod replication;
mod results;
pub mod servers;
mod writes;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use time::OffsetDateTime;

use crate::keys::{KeyShape, Keys};
use crate::progress::Progress;
use crate::round::Outcome;
use crate::run::{Lane, Measured, Run};
use crate::sign::Credentials;
use crate::site::{Defaults, Endpoint, Site};
use crate::units;
use crate::workload::{Listing, Mix, Operation, Pages, Stop, Workload};
use results::{Case, Check, Results, Target};

/// How long a node must rest to count as done: longer than its pause between checkpoints, so that the last is counted too.
const QUIET_SECONDS: u64 = 6;
/// The same where nothing is measured.
const QUIET_SECONDS_QUICK: u64 = 1;
/// The bucket of most parts.
const BUCKET: &str = "bench-bucket";
/// The folder below `--dir` that the suite makes, empties and removes.
const DATA: &str = "myfsio-bench-data";

/// A part of the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// GET, HEAD and LIST, beside nginx
    Reads,
    /// PUT, strict beside relaxed and beside a file synced for each object
    Writes,
    /// Multipart uploads of large objects
    Large,
    /// Encrypted objects beside plain ones
    Encrypted,
    /// Listing, starting and memory with a million objects
    Million,
    /// Replication to a second node beside direct writes to that one
    Replication,
    /// The console's pages over a million objects, and a folder as one archive
    Console,
}

/// What the suite is told.
#[derive(Debug, Args)]
pub struct SuiteArguments {
    /// The node's program
    #[arg(long, value_name = "FILE", default_value = "target/release/myfsio")]
    node: PathBuf,
    /// nginx's program, the reference for reads; without it they have none
    #[arg(long, value_name = "FILE")]
    nginx: Option<PathBuf>,
    /// Where data is written: a folder on a disk, with 40 GiB free
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// A further endpoint that reads and writes are measured of, with the fields of `run --endpoint`
    #[arg(long, value_name = "FIELDS")]
    peer: Vec<String>,
    /// Short rounds and few objects: shows that everything runs, measures nothing
    #[arg(long)]
    quick: bool,
    /// Rounds against each endpoint
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Length of a round that reads
    #[arg(long, value_parser = units::time)]
    read_time: Option<Duration>,
    /// Length of a round that writes
    #[arg(long, value_parser = units::time)]
    write_time: Option<Duration>,
    /// Objects of the large bucket
    #[arg(long)]
    objects: Option<u64>,
    /// Size of the large multipart object
    #[arg(long, value_parser = units::size)]
    large: Option<u64>,
    /// Write all figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Show progress also where standard error is no terminal
    #[arg(long)]
    progress: bool,
}

/// What a load does to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// When the last answer is there, nothing is left to do.
    Read,
    /// The same, and what is read is there already.
    ReadPrepared,
    /// The server goes on working behind the last answer, and that is counted.
    Write,
}

/// What is common to all parts.
struct Suite {
    node: PathBuf,
    nginx: Option<PathBuf>,
    peers: Vec<Arc<Site>>,
    folder: PathBuf,
    rounds: u32,
    read_time: Duration,
    write_time: Duration,
    quiet: Duration,
    objects: u64,
    large: u64,
    progress: Arc<Progress>,
    results: Results,
}

/// Runs the suite, says on standard error what each load showed as soon as it is known, and returns all of it as Markdown,
/// with whether every operation was good. Errs when a part could not be run.
pub async fn run(arguments: &SuiteArguments, progress: &Arc<Progress>) -> Result<(String, bool), String> {
    let mut suite = Suite::new(arguments, progress)?;
    let all = [
        Section::Reads,
        Section::Writes,
        Section::Large,
        Section::Encrypted,
        Section::Million,
        Section::Replication,
        Section::Console,
    ];
    let mut failed = false;
    for section in all.into_iter().filter(|section| arguments.only.is_empty() || arguments.only.contains(section)) {
        progress.part(&format!("{section:?}"));
        let done = match section {
            Section::Reads => reads::run(&mut suite).await,
            Section::Writes => writes::run(&mut suite).await,
            Section::Large => large::run(&mut suite).await,
            Section::Encrypted => encrypted::run(&mut suite).await,
            Section::Million => million::run(&mut suite).await,
            Section::Replication => replication::run(&mut suite).await,
            Section::Console => console::run(&mut suite).await,
        };
        if let Err(reason) = done {
            failed = true;
            let note = format!("FAILED, {section:?}: {reason}");
            progress.say(&format!("{note}\n"));
            suite.results.notes.push(note);
        }
        suite.remove_data()?;
        // After each part: a later one that fails takes nothing with it.
        if let Some(path) = &arguments.json {
            crate::write_json(path, &suite.results)?;
        }
    }
    Ok((suite.results.markdown(), !failed && suite.results.without_errors()))
}

impl SuiteArguments {
    /// What is shown meanwhile.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::new(Progress::new(self.progress))
    }
}

impl Suite {
    fn new(arguments: &SuiteArguments, progress: &Arc<Progress>) -> Result<Self, String> {
        let quick = arguments.quick;
        let seconds = |asked: Option<Duration>, long, short| {
            asked.unwrap_or(Duration::from_secs(if quick { short } else { long }))
        };
        let number = |asked: Option<u64>, long, short| asked.unwrap_or(if quick { short } else { long });
        let suite = Self {
            node: arguments.node.clone(),
            nginx: arguments.nginx.clone(),
            peers: peers(&arguments.peer)?,
            folder: arguments.dir.join(DATA),
            rounds: arguments.rounds.unwrap_or(if quick { 1 } else { 3 }),
            read_time: seconds(arguments.read_time, 10, 2),
            write_time: seconds(arguments.write_time, 60, 5),
            quiet: seconds(None, QUIET_SECONDS, QUIET_SECONDS_QUICK),
            objects: number(arguments.objects, 1_000_000, 20_000),
            large: number(arguments.large, 5 << 30, 512 << 20),
            progress: Arc::clone(progress),
            results: Results::default(),
        };
        suite.remove_data()?;
        let told = |error| format!("{}: {error}", suite.folder.display());
        std::fs::create_dir_all(&suite.folder).map_err(told)?;
        let machine = machine::describe(&suite.folder);
        let mut notes = vec![format!(
            "Medians of {} rounds, one after the other against each endpoint; reads {} s, writes {} s, all on loopback.",
            suite.rounds,
            suite.read_time.as_secs(),
            suite.write_time.as_secs()
        )];
        if let Some(load) = machine::busy() {
            notes.push(format!("The machine was not quiet: its load was {load} at the start."));
        }
        if quick {
            notes.push("Quick: short rounds and few objects, so these figures are no measurement.".to_owned());
        }
        Ok(Self { results: Results { machine, notes, ..Results::default() }, ..suite })
    }

    fn remove_data(&self) -> Result<(), String> {
        self.progress.begin("removing data", None);
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("{}: {error}", self.folder.display()))
            }
            _ => Ok(()),
        }
    }

    /// Where a server of this name keeps what it has.
    fn folder_of(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Runs loads one after the other in rounds, notes what they showed under `load`, and returns it in their order.
    async fn case(&mut self, load: &str, lanes: Vec<Lane>, kind: Kind) -> Result<Vec<Measured>, String> {
        self.case_of(load, lanes, kind, self.rounds).await
    }

    /// The same in one round.
    async fn once(&mut self, load: &str, lanes: Vec<Lane>, kind: Kind) -> Result<Vec<Measured>, String> {
        self.case_of(load, lanes, kind, 1).await
    }

    async fn case_of(
        &mut self,
        load: &str,
        lanes: Vec<Lane>,
        kind: Kind,
        rounds: u32,
    ) -> Result<Vec<Measured>, String> {
        let run = Run {
            lanes,
            rounds,
            until_idle: (kind == Kind::Write).then_some(self.quiet),
            prepare: kind != Kind::ReadPrepared,
            progress: Arc::clone(&self.progress),
        };
        let measured = run.execute().await.map_err(|error| format!("{load}: {error}"))?;
        self.note(Case { load: load.to_owned(), measured: measured.clone() });
        Ok(measured)
    }

    /// Keeps what a load showed, and shows it at once: the parts that follow take long.
    fn note(&mut self, case: Case) {
        self.progress.say(&case.rows());
        self.results.cases.push(case);
    }

    fn check(&mut self, figure: impl Into<String>, value: Option<f64>, target: Target, unit: &'static str) {
        let check = Check::new(figure, value, target, unit);
        self.progress.say(&check.row());
        self.results.checks.push(check);
    }
}

/// Endpoints that run already.
fn peers(texts: &[String]) -> Result<Vec<Arc<Site>>, String> {
    let defaults = Defaults { credentials: Credentials::well_known(), process: None };
    let now = OffsetDateTime::now_utc();
    texts.iter().map(|text| Site::new(Endpoint::parse(text, &defaults)?, BUCKET, now).map(Arc::new)).collect()
}

/// A load that is changed to what a part needs.
fn load(operation: Operation, size: u64, connections: u32, keys: u64, time: Duration) -> Workload {
    Workload {
        operation,
        size,
        part_size: 64 << 20,
        connections,
        stop: Stop::After(time),
        keys: Keys { shape: KeyShape::Flat, prefix: format!("{}-{size}/", operation.name()), count: keys },
        fresh: false,
        listing: Listing { pages: Pages::All, delimiter: None, keys_max: 1000 },
        mix: Mix::default(),
        range: None,
        timeout: Duration::from_secs(120),
    }
}

/// The node's CPU per operation, in microseconds. The node is always the first.
fn cpu(measured: &[Measured]) -> Option<f64> {
    measured.first().and_then(|node| node.median.cpu_us_per_operation)
}

/// The node's figure over that of the endpoint `name`; `None` when that is not there.
fn ratio(measured: &[Measured], name: &str, figure: fn(&Outcome) -> f64) -> Option<f64> {
    let other = measured.iter().find(|endpoint| endpoint.name == name).map(|other| figure(&other.median));
    let node = measured.first().map(|node| figure(&node.median));
    other.filter(|other| *other > 0.0).and_then(|other| Some(node? / other))
}

fn p50(outcome: &Outcome) -> f64 {
    outcome.p50_ms
}

fn rate(outcome: &Outcome) -> f64 {
    outcome.operations_per_second
}

/// Whether there is a program at `path`.
fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file())
}
