//! The soak: many clients that do everything, some of them leaving in the middle, against a node that expires, verifies and replicates
//! meanwhile. Then all is let come to rest, and looked at: nothing may be lost, left over or left open, and memory may not have grown.

mod client;
mod content;
mod nodes;
mod report;
mod step;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Args;
use tokio::task::JoinSet;

use crate::process::Process;
use crate::progress::Progress;
use crate::site::Site;
use crate::suite::machine;
use crate::units;
use client::{Client, Shared, Tally};
use content::Material;
use nodes::{BUCKETS, Pair, SENT};
use report::{Report, Verdict, quarters};
use step::Step;
use watch::{Sample, Watch, open_files};

/// The folder below `--dir` that is made, emptied and removed.
const DATA: &str = "myfsio-soak-data";
/// A line is said so often.
const SAY_EVERY: Duration = Duration::from_secs(30);
/// A scrub is begun so often.
const SCRUB_EVERY: Duration = Duration::from_secs(60);
/// How long what works by itself may take to come to its end, once the clients are gone.
const QUIET_MAX: Duration = Duration::from_secs(600);
/// How long a node may keep a file or a connection open that nobody needs.
const CLOSED_MAX: Duration = Duration::from_secs(120);
/// Pause between two looks whether it has.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Clients that compare at once.
const COMPARING: usize = 16;
const NODES: [&str; 2] = ["source", "target"];
/// Longest day of lifecycle rules.
const DAY_MAX: Duration = Duration::from_secs(60);

/// What the soak is told.
#[derive(Debug, Args)]
pub struct SoakArguments {
    /// The node's program
    #[arg(long, value_name = "FILE", default_value = "target/release/myfsio")]
    node: PathBuf,
    /// Where data is written: a folder on a disk, with 10 GiB free
    #[arg(long, default_value = "target/soak")]
    dir: PathBuf,
    /// How long clients are at it
    #[arg(long, value_parser = units::time, default_value = "20m")]
    duration: Duration,
    /// Clients, each with a connection of its own
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Operations per second of all clients, at most: it is a soak, not a measurement
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Seed of what clients choose
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write all figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Leave the data of both nodes where it is
    #[arg(long)]
    keep: bool,
    /// Show progress also where standard error is no terminal
    #[arg(long)]
    progress: bool,
}

impl SoakArguments {
    /// What is shown meanwhile.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::new(Progress::new(self.progress))
    }
}

/// Runs the soak, and returns what it found for people, with whether all is good. Errs when it cannot be run.
pub async fn run(arguments: &SoakArguments, progress: &Arc<Progress>) -> Result<(String, bool), String> {
    let folder = arguments.dir.join(DATA);
    remove(&folder)?;
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let soaked = soak(arguments, &folder, progress).await;
    if !arguments.keep {
        remove(&folder)?;
    }
    let report = soaked?;
    if let Some(path) = &arguments.json {
        crate::write_json(path, &report)?;
    }
    Ok((report.text(), report.good()))
}

fn remove(folder: &Path) -> Result<(), String> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {error}", folder.display())),
        _ => Ok(()),
    }
}

/// The soak from its first node to its last look.
async fn soak(arguments: &SoakArguments, folder: &Path, progress: &Arc<Progress>) -> Result<Report, String> {
    let day = (arguments.duration / 8).clamp(Duration::from_secs(1), DAY_MAX);
    let pair = Pair::start(&arguments.node, folder, day).await?;
    let processes = [pair.source.process(), pair.target.process()];
    let shared = Arc::new(Shared {
        material: Material::new(arguments.seed),
        tally: Mutex::default(),
        progress: Arc::clone(progress),
        pause: Duration::from_secs(1) * arguments.connections / arguments.rate,
    });
    let clients = clients(arguments, &pair, &shared).await?;
    progress.begin("before it begins", None);
    settle(&pair).await?;
    let before = processes.map(open_files);

    let begin = Instant::now();
    let end = begin + arguments.duration;
    progress.begin("soak", None);
    let (mut watch, mut working) = (Watch::begin(processes), JoinSet::new());
    clients.into_iter().for_each(|client| drop(working.spawn(client.work(end))));
    tokio::join!(watch.watch(arguments.duration), tell(&shared, processes, end), scrub(&pair, &shared, end));
    let clients = joined(working).await?;
    let seconds = begin.elapsed().as_secs_f64();

    let mut verdicts = Vec::new();
    for (place, node) in NODES.into_iter().enumerate() {
        let mib = |sample: &Sample| sample.rss_kib.get(place).map_or(0.0, |kib| *kib as f64 / 1024.0);
        verdicts.push(Verdict::memory(node, quarters(&watch.samples, mib)));
    }
    progress.begin("what works by itself comes to its end", None);
    verdicts.push(Verdict::none("work that does not come to its end", &settle(&pair).await?));
    for ((node, process), before) in NODES.into_iter().zip(processes).zip(&before) {
        verdicts.push(files_are_closed(node, process, before).await);
    }
    verdicts.push(Verdict::none("left in temporary folders", &pair.leftovers()));
    let background = pair.background().await?;

    progress.begin("comparing", None);
    let certain: u64 = clients.iter().map(Client::certain).sum();
    let (sent, others): (Vec<_>, Vec<_>) = clients.into_iter().partition(|client| client.bucket() == SENT);
    compare(others, None).await?;
    compare(compare(sent, None).await?, Some(&pair.at_target()?)).await?;
    progress.begin("checking all that is stored", None);
    verdicts.push(Verdict::none("what fsck and the logs complain of", &pair.stop_and_check().await));

    let Tally { steps, refusals, errors } = shared.take_tally();
    let told: Vec<String> = errors.iter().map(|(what, count)| format!("{count} × {what}")).collect();
    verdicts.insert(0, Verdict::none("errors that nobody asked for, and what is not there", &told));
    let mut report = Report {
        machine: machine::describe(&arguments.dir),
        seconds,
        connections: arguments.connections,
        seed: arguments.seed,
        keys: certain,
        steps,
        refusals,
        errors,
        background,
        verdicts,
        samples: watch.samples,
    };
    report.thin();
    Ok(report)
}

/// The clients, each of which has done everything once, so that the nodes hold open what they always do.
async fn clients(arguments: &SoakArguments, pair: &Pair, shared: &Arc<Shared>) -> Result<Vec<Client>, String> {
    let mut clients = Vec::new();
    for number in 0..arguments.connections {
        let bucket = BUCKETS.get(number as usize % BUCKETS.len()).copied().unwrap_or(SENT);
        clients.push(Client::new(shared, &pair.site(bucket)?, arguments.seed, number.into()));
    }
    for client in clients.iter_mut().take(BUCKETS.len()) {
        for step in [Step::PutSmall, Step::PutLarge, Step::Multipart, Step::Get, Step::List] {
            client.take(step).await;
        }
        client.hang_up();
    }
    Ok(clients)
}

async fn joined(mut working: JoinSet<Client>) -> Result<Vec<Client>, String> {
    let mut clients = Vec::new();
    while let Some(client) = working.join_next().await {
        clients.push(client.map_err(|error| format!("a client broke off: {error}"))?);
    }
    Ok(clients)
}

/// Says again and again how it goes.
async fn tell(shared: &Shared, processes: [Process; 2], end: Instant) {
    let begin = Instant::now();
    loop {
        tokio::time::sleep(SAY_EVERY.min(end.saturating_duration_since(Instant::now()))).await;
        if Instant::now() >= end {
            return;
        }
        let [source, target] = processes.map(|process| process.memory().unwrap_or_default().rss_kib / 1024);
        let files = open_files(processes[0]).values().sum::<usize>();
        let seconds = begin.elapsed().as_secs();
        shared.progress.say(&format!(
            "{seconds} s: {}, source {source} MiB and {files} files, target {target} MiB\n",
            shared.counts()
        ));
    }
}

/// Has all that is stored verified again and again.
async fn scrub(pair: &Pair, shared: &Shared, end: Instant) {
    while Instant::now() < end {
        if let Err(reason) = pair.scrub().await {
            shared.fault(format!("scrub: {reason}"));
        }
        tokio::time::sleep(SCRUB_EVERY.min(end.saturating_duration_since(Instant::now()))).await;
    }
}

/// Waits until what the nodes do by themselves is done; what is not after ten minutes.
async fn settle(pair: &Pair) -> Result<Vec<String>, String> {
    let begin = Instant::now();
    loop {
        match pair.unfinished().await? {
            None => return Ok(Vec::new()),
            Some(left) if begin.elapsed() > QUIET_MAX => return Ok(vec![left]),
            Some(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// Waits until a node has no more files open than before: idle connections to others are kept for half a minute.
async fn files_are_closed(node: &str, process: Process, before: &BTreeMap<String, usize>) -> Verdict {
    let begin = Instant::now();
    loop {
        let verdict = Verdict::files(node, before, &open_files(process));
        if verdict.good || begin.elapsed() > CLOSED_MAX {
            return verdict;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Has clients compare what they know with what is there, some at a time.
async fn compare(clients: Vec<Client>, at: Option<&Arc<Site>>) -> Result<Vec<Client>, String> {
    let (mut waiting, mut compared) = (clients.into_iter(), Vec::new());
    loop {
        let some: Vec<Client> = waiting.by_ref().take(COMPARING).collect();
        if some.is_empty() {
            return Ok(compared);
        }
        let mut working = JoinSet::new();
        some.into_iter().for_each(|client| drop(working.spawn(client.compare(at.cloned()))));
        compared.extend(joined(working).await?);
    }
}
