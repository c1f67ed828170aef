//! Replication beside direct writes to the same target: small objects, a large one, what writers at the source feel of it, and a long
//! backlog.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::results::Case;
use super::results::Target::{AtLeast, AtMost};
use super::servers::{self, Server};
use super::{Suite, load};
use crate::keys::{KeyShape, Keys};
use crate::prepare::{create_bucket, put_keys};
use crate::round::{self, Outcome, settle};
use crate::run::Measured;
use crate::site::Site;
use crate::statistics::median;
use crate::workload::Operation::{Part, Put};
use crate::workload::{Stop, Workload};

/// Requests under way at once: what a connection has unless it is told otherwise.
const CONNECTIONS: u32 = 16;
/// Parts of one object that a node sends at once.
const PARTS_AT_ONCE: u32 = 4;
const SMALL: u64 = 4 << 10;
const PART_BYTES: u64 = 64 << 20;
/// Bytes of an object of the backlog: nothing of what is measured depends on it.
const TINY: u64 = 64;
const TARGET: &str = "bench-target";
const TOKEN: &str = "bench-of-replication";
/// How often it is looked how much waits.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a backlog may take.
const PATIENCE: Duration = Duration::from_secs(1800);
/// How long memory is looked at.
const WATCHED: Duration = Duration::from_secs(10);

/// A node that replicates to another one.
struct Pair {
    program: PathBuf,
    folder: PathBuf,
    source: Server,
    target: Server,
}

/// Runs the part. Errs when it cannot.
pub async fn run(suite: &mut Suite) -> Result<(), String> {
    let target = Server::node(&suite.node, "target", &suite.folder_of("target"), &[]).await?;
    let folder = suite.folder_of("source");
    let source = start(suite, &folder).await?;
    let pair = Pair { program: suite.node.clone(), folder, source, target };
    create_bucket(&*pair.target.site("target", TARGET)?).await?;
    let connect = ["connect", "--name", "target", "--access-key", "localadmin", "--endpoint"];
    pair.command(&[&connect[..], &[&pair.target.url()]].concat(), "localadmin")?;
    small(suite, &pair).await?;
    large(suite, &pair).await?;
    foreground(suite, &pair).await?;
    let pair = backlog(suite, pair).await?;
    pair.source.stop().await?;
    pair.target.stop().await
}

async fn start(suite: &Suite, folder: &std::path::Path) -> Result<Server, String> {
    Server::node(&suite.node, "source", folder, &[("METRICS_TOKEN", TOKEN)]).await
}

impl Pair {
    fn command(&self, arguments: &[&str], input: &str) -> Result<(), String> {
        servers::command(&self.program, &self.folder, &[&["replication"], arguments].concat(), input)
    }

    /// A bucket of the source that is replicated, which waits until it may go.
    async fn bucket(&self, bucket: &str) -> Result<Arc<Site>, String> {
        let site = self.source.site("source", bucket)?;
        create_bucket(&site).await?;
        self.command(&["start", bucket, "--connection", "target", "--target-bucket", TARGET], "")?;
        self.command(&["pause", bucket], "")?;
        Ok(site)
    }

    /// A figure of a bucket's replication.
    async fn figure(&self, name: &str, bucket: &str, more: &str) -> Result<u64, String> {
        let begin = format!("myfsio_replication_{name}{{bucket=\"{bucket}\"{more}}} ");
        let text = self.source.metrics(TOKEN).await?;
        let found = text.lines().find_map(|line| line.strip_prefix(&begin)?.parse::<f64>().ok());
        found.map(|found| found as u64).ok_or_else(|| format!("no metric begins with {begin}"))
    }

    async fn pending(&self, bucket: &str) -> Result<u64, String> {
        self.figure("changes", bucket, ",tray=\"pending\"").await
    }

    /// Lets a bucket go, and waits until all is sent; how long that took.
    async fn drain(&self, bucket: &str) -> Result<Duration, String> {
        let begin = Instant::now();
        self.command(&["resume", bucket], "")?;
        self.wait_until_sent(bucket).await?;
        let took = begin.elapsed();
        match self.figure("changes", bucket, ",tray=\"parked\"").await? {
            0 => Ok(took),
            parked => Err(format!("{parked} changes of {bucket} were refused")),
        }
    }

    async fn wait_until_sent(&self, bucket: &str) -> Result<(), String> {
        let begin = Instant::now();
        while self.pending(bucket).await? > 0 {
            if begin.elapsed() > PATIENCE {
                return Err(format!("{bucket} is never sent"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn settle(&self) -> Result<(), String> {
        settle(&*self.source.site("source", TARGET)?).await;
        settle(&*self.target.site("target", TARGET)?).await;
        rustix::fs::sync();
        Ok(())
    }
}

fn outcome_of(operations: u64, bytes: u64, seconds: f64) -> Outcome {
    Outcome {
        seconds,
        operations,
        operations_per_second: operations as f64 / seconds,
        megabytes_per_second: bytes as f64 / 1e6 / seconds,
        ..Outcome::default()
    }
}

/// The round of median rate, under a name.
fn measured(name: &str, rounds: Vec<Outcome>) -> Measured {
    let rates: Vec<f64> = rounds.iter().map(|round| round.megabytes_per_second).collect();
    let middle = median(&rates).unwrap_or_default();
    let by_distance = |a: &&Outcome, b: &&Outcome| {
        let distance = |outcome: &Outcome| (outcome.megabytes_per_second - middle).abs();
        distance(a).total_cmp(&distance(b))
    };
    let median = rounds.iter().min_by(by_distance).cloned().unwrap_or_default();
    Measured { name: name.to_owned(), median, rounds, entries: None }
}

/// The first over the second.
fn share(of: &Case, figure: fn(&Outcome) -> f64) -> Option<f64> {
    match of.measured.as_slice() {
        [first, second, ..] => Some(figure(&first.median) / figure(&second.median)),
        _ => None,
    }
}

fn counted(operation: crate::workload::Operation, size: u64, connections: u32, count: u64, prefix: String) -> Workload {
    let mut workload = load(operation, size, connections, count, Duration::ZERO);
    (workload.stop, workload.keys.prefix) = (Stop::Count(count), prefix);
    workload
}

async fn once(suite: &Suite, site: &Arc<Site>, workload: Workload) -> Result<Outcome, String> {
    let outcome = round::run(site, &Arc::new(workload), 0, None, &suite.progress).await;
    let outcome = outcome.map_err(|failure| format!("{}: {failure}", site.endpoint.name))?;
    match outcome.errors.keys().next() {
        None => Ok(outcome),
        Some(error) => Err(format!("{}: {error}", site.endpoint.name)),
    }
}

/// Objects of 4 KiB that wait are sent, and as many are put there directly, in turns.
async fn small(suite: &mut Suite, pair: &Pair) -> Result<(), String> {
    let count = (suite.objects / 25).max(1);
    let (site, direct) = (pair.bucket("bench-small").await?, pair.target.site("target", TARGET)?);
    let (mut replicated, mut put) = (Vec::new(), Vec::new());
    for round in 0..suite.rounds {
        put.push(once(suite, &direct, counted(Put, SMALL, CONNECTIONS, count, format!("direct-{round}/"))).await?);
        pair.settle().await?;
        pair.command(&["pause", "bench-small"], "")?;
        once(suite, &site, counted(Put, SMALL, CONNECTIONS, count, format!("sent-{round}/"))).await?;
        pair.settle().await?;
        suite.progress.begin("small objects are sent", None);
        let took = pair.drain("bench-small").await?.as_secs_f64();
        replicated.push(outcome_of(count, count * SMALL, took));
        pair.settle().await?;
    }
    let load = format!("{count} × 4 KiB, {CONNECTIONS} at once");
    let case = Case { load, measured: vec![measured("replicated", replicated), measured("direct PUT", put)] };
    let rate = share(&case, |outcome| outcome.operations_per_second);
    suite.note(case);
    suite.check("replication of 4 KiB: rate", rate, AtLeast(0.7), "of direct PUTs");
    Ok(())
}

/// An object of 1 GiB in parts that waits is sent, and one is uploaded there directly, in turns.
async fn large(suite: &mut Suite, pair: &Pair) -> Result<(), String> {
    let count = (suite.large / 5).div_ceil(PART_BYTES).max(1);
    let bytes = count * PART_BYTES;
    let upload = |prefix: String| Workload {
        keys: Keys { shape: KeyShape::Flat, prefix, count: 1 },
        ..counted(Part, bytes, PARTS_AT_ONCE, count, String::new())
    };
    let (site, direct) = (pair.bucket("bench-large").await?, pair.target.site("target", TARGET)?);
    let (mut replicated, mut put) = (Vec::new(), Vec::new());
    for round in 0..suite.rounds {
        let outcome = once(suite, &direct, upload(format!("direct-large-{round}/"))).await?;
        let seconds = outcome.seconds + outcome.complete_ms.unwrap_or_default() / 1000.0;
        put.push(outcome_of(1, bytes, seconds));
        pair.settle().await?;
        pair.command(&["pause", "bench-large"], "")?;
        once(suite, &site, upload(format!("sent-large-{round}/"))).await?;
        pair.settle().await?;
        suite.progress.begin("a large object is sent", None);
        let took = pair.drain("bench-large").await?.as_secs_f64();
        replicated.push(outcome_of(1, bytes, took));
        pair.settle().await?;
    }
    let load = format!("{count} parts of 64 MiB, {PARTS_AT_ONCE} at once");
    let case = Case { load, measured: vec![measured("replicated", replicated), measured("direct upload", put)] };
    let rate = share(&case, |outcome| outcome.megabytes_per_second);
    suite.note(case);
    suite.check("replication of 1 GiB: throughput", rate, AtLeast(0.8), "of a direct upload");
    Ok(())
}

/// What a load used: rate of its operations, CPU seconds of source and target per second.
struct Used {
    outcome: Outcome,
    source: f64,
    target: f64,
}

async fn used(suite: &Suite, pair: &Pair, site: &Arc<Site>, workload: Workload) -> Result<Used, String> {
    let cpu = || (pair.source.process().cpu(), pair.target.process().cpu());
    let before = cpu();
    let outcome = once(suite, site, workload).await?;
    let after = cpu();
    let per_second = |before: Option<Duration>, after: Option<Duration>| {
        let used = after.unwrap_or_default().saturating_sub(before.unwrap_or_default());
        used.as_secs_f64() / outcome.seconds
    };
    let (source, target) = (per_second(before.0, after.0), per_second(before.1, after.1));
    Ok(Used { outcome, source, target })
}

/// PUT at the source: not replicated, only queued, and sent meanwhile, in turns.
async fn foreground(suite: &mut Suite, pair: &Pair) -> Result<(), String> {
    let alone = pair.source.site("source", "bench-alone")?;
    create_bucket(&alone).await?;
    let (queued, sent) = (pair.bucket("bench-queued").await?, pair.bucket("bench-sent").await?);
    pair.command(&["resume", "bench-sent"], "")?;
    let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
    let (mut rounds, mut beyond) = (vec![Vec::new(), Vec::new(), Vec::new()], Vec::new());
    for round in 0..suite.rounds {
        let mut of_round = Vec::new();
        for site in [&alone, &queued, &sent] {
            let mut workload = load(Put, SMALL, CONNECTIONS, u64::MAX, suite.write_time / 6);
            workload.keys.prefix = format!("{}-{round}/", site.bucket);
            of_round.push(used(suite, pair, site, workload).await?);
            if site.bucket == sent.bucket {
                pair.wait_until_sent(&sent.bucket).await?;
            }
            pair.settle().await?;
        }
        if let [alone, _, sent] = of_round.as_slice() {
            // What writing alone costs the source is not the transfers'.
            let per_put = alone.source / alone.outcome.operations_per_second;
            let of_transfers = (sent.source - per_put * sent.outcome.operations_per_second).max(0.0) + sent.target;
            let left = (1.0 - of_transfers / cores).max(0.01);
            beyond.push(sent.outcome.operations_per_second / (alone.outcome.operations_per_second * left));
        }
        for (rounds, used) in rounds.iter_mut().zip(of_round) {
            rounds.push(used.outcome);
        }
    }
    pair.command(&["stop", "bench-queued"], "")?;
    let names = ["queued only", "not replicated", "sent meanwhile"];
    let mut rounds = rounds.into_iter();
    let (alone, queued, sent) =
        (rounds.next().unwrap_or_default(), rounds.next().unwrap_or_default(), rounds.next().unwrap_or_default());
    let all = names.into_iter().zip([queued, alone, sent]).map(|(name, rounds)| measured(name, rounds)).collect();
    let case = Case { load: format!("PUT 4 KiB, {CONNECTIONS} connections, at the source"), measured: all };
    let rate = share(&case, |outcome| outcome.operations_per_second);
    suite.note(case);
    suite.check("PUT while changes are queued: rate", rate, AtLeast(0.9), "of PUT without a rule");
    let figure = "PUT while changes are sent: rate, without the CPU that transfers take";
    suite.check(figure, median(&beyond), AtLeast(0.9), "of PUT without a rule");
    Ok(())
}

/// A backlog beside a short one: memory while it is sent, and how soon after a start that begins.
async fn backlog(suite: &mut Suite, pair: Pair) -> Result<Pair, String> {
    let few = (suite.objects / 20).max(1);
    let (pair, short, _) = started_with(suite, pair, "bench-short", few).await?;
    let (pair, long, begun) = started_with(suite, pair, "bench-long", suite.objects).await?;
    let objects = suite.objects;
    suite.check(format!("memory while a backlog of {objects} is sent"), Some(long), AtMost(200.0), "MiB");
    suite.check(format!("the same, beyond a backlog of {few}"), Some(long - short), AtMost(50.0), "MiB");
    suite.check(format!("start with a backlog of {objects} until some of it is sent"), Some(begun), AtMost(1.0), "s");
    Ok(pair)
}

/// Starts the source with a backlog. Answers the memory that it takes while that is sent, in MiB, and after how many seconds the first
/// change was sent.
async fn started_with(suite: &Suite, pair: Pair, bucket: &str, count: u64) -> Result<(Pair, f64, f64), String> {
    let site = pair.bucket(bucket).await?;
    let keys = Keys { shape: KeyShape::Deep, prefix: "backlog/".to_owned(), count };
    put_keys(&site, &load(Put, TINY, 64, 1, suite.write_time), keys, &suite.progress).await?;
    pair.settle().await?;
    let pending = pair.pending(bucket).await?;
    if pending != count {
        return Err(format!("{pending} changes wait, not {count}"));
    }
    let (pair, begun) = start_again(suite, pair, bucket).await?;
    let mut most = 0;
    let begin = Instant::now();
    while begin.elapsed() < WATCHED {
        most = most.max(pair.source.process().memory().unwrap_or_default().rss_kib);
        tokio::time::sleep(LOOK_EVERY).await;
    }
    // What is left of it is not waited for.
    pair.command(&["stop", bucket], "")?;
    Ok((pair, most as f64 / 1024.0, begun.as_secs_f64()))
}

/// Stops the source, resumes a rule by hand, and starts it again; how long it took until something was sent.
async fn start_again(suite: &Suite, pair: Pair, bucket: &str) -> Result<(Pair, Duration), String> {
    let Pair { program, folder, source, target } = pair;
    let rules = source.data().join(".myfsio.sys/config/replication_rules.json");
    source.stop().await?;
    let told = |error: std::io::Error| format!("{}: {error}", rules.display());
    let text = std::fs::read_to_string(&rules).map_err(told)?;
    let mut document: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let enabled = document.get_mut(bucket).and_then(|rule| rule.get_mut("enabled"));
    *enabled.ok_or("the bucket has no rule")? = true.into();
    std::fs::write(&rules, document.to_string()).map_err(told)?;
    let begin = Instant::now();
    let source = start(suite, &folder).await?;
    let pair = Pair { program, folder, source, target };
    while pair.figure("sent_changes_total", bucket, "").await? == 0 {
        if begin.elapsed() > PATIENCE {
            return Err("nothing is sent".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok((pair, begin.elapsed()))
}
