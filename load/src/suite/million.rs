//! A million objects: listings beside those of ten thousand, memory, and how long a start takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Kind::ReadPrepared;
use super::results::Case;
use super::results::Target::AtMost;
use super::servers::{self, Server};
use super::{Suite, load, ratio};
use crate::keys::{KeyShape, Keys};
use crate::prepare::{create_bucket, put_keys};
use crate::progress::Progress;
use crate::round::settle;
use crate::run::{Lane, Run};
use crate::site::Site;
use crate::statistics::median;
use crate::workload::Operation::{Get, List, Put};
use crate::workload::{Pages, Workload};

/// Objects of the bucket that the large one is compared with.
const FEW: u64 = 10_000;
/// The bucket that has as many.
const FEW_BUCKET: &str = "bench-few";
/// The bucket with all.
const MANY_BUCKET: &str = "bench-many";
/// Bytes of an object: nothing of what is measured depends on it.
const OBJECT_BYTES: u64 = 64;
/// How much slower a listing of the large bucket may be to count as flat: what rounds differ by anyway.
const FLAT: f64 = 1.5;
/// How long a check or a new index may take.
const MAINTENANCE_SECONDS_MAX: f64 = 300.0;
/// How long a node writes before it is killed: its journal is full by then.
const WRITES_BEFORE_KILL: Duration = Duration::from_secs(10);

/// Runs the part. Errs when it cannot.
pub async fn run(suite: &mut Suite) -> Result<(), String> {
    let node = Server::node(&suite.node, "node", &suite.folder_of("million"), &[]).await?;
    let few = node.site(&format!("{FEW} objects"), FEW_BUCKET)?;
    let many = node.site(&format!("{} objects", suite.objects), MANY_BUCKET)?;
    fill(suite, &few, FEW).await?;
    fill(suite, &many, suite.objects).await?;
    listings(suite, &many, &few).await?;
    memory(suite, &many).await?;
    drop((few, many));
    let node = starts(suite, node).await?;
    node.stop().await?;
    maintenance(suite)
}

/// Half of the keys of a bucket: a thousand in each folder, or in a thousand folders.
pub fn half(shape: KeyShape, objects: u64) -> Keys {
    let prefix = if shape == KeyShape::Deep { "deep/" } else { "wide/" };
    Keys { shape, prefix: prefix.to_owned(), count: objects / 2 }
}

/// Makes a bucket with so many objects.
pub async fn fill(suite: &Suite, site: &Arc<Site>, objects: u64) -> Result<(), String> {
    create_bucket(site).await?;
    let workload = load(Put, OBJECT_BYTES, 64, 1, suite.write_time);
    for shape in [KeyShape::Deep, KeyShape::Wide] {
        put_keys(site, &workload, half(shape, objects), &suite.progress).await?;
    }
    settle(site).await;
    Ok(())
}

/// One connection, so that the time is that of a listing and not of its waiting for others.
async fn listings(suite: &mut Suite, many: &Arc<Site>, few: &Arc<Site>) -> Result<(), String> {
    let kinds = [
        ("pages all over the bucket", KeyShape::Deep, Pages::All, None),
        ("deep prefix and delimiter", KeyShape::Deep, Pages::Folders, Some("/")),
        ("1000 common prefixes", KeyShape::Wide, Pages::First, Some("/")),
    ];
    for (what, shape, pages, delimiter) in kinds {
        let lane = |site: &Arc<Site>, objects| {
            let mut workload = load(List, OBJECT_BYTES, 1, 1, suite.read_time);
            workload.listing.pages = pages;
            workload.listing.delimiter = delimiter.map(str::to_owned);
            workload.keys = half(shape, objects);
            Lane { site: Arc::clone(site), workload: Arc::new(workload) }
        };
        let lanes = vec![lane(many, suite.objects), lane(few, FEW)];
        let name = format!("LIST 1000, {what}, 1 connection");
        let measured = suite.case(&name, lanes, ReadPrepared).await?;
        let share = ratio(&measured, &few.endpoint.name, |outcome| outcome.p50_ms);
        let figure = format!("LIST 1000 of {}, {what}: p50", many.endpoint.name);
        suite.check(&figure, measured.first().map(|many| many.median.p50_ms), AtMost(10.0), "ms");
        suite.check(&figure, share, AtMost(FLAT), "× that of 10 000 objects");
    }
    Ok(())
}

/// One round of a load whose bucket and keys are there.
fn plain_run(suite: &Suite, site: &Arc<Site>, workload: Workload) -> Run {
    Run {
        lanes: Lane::each(&[Arc::clone(site)], workload),
        rounds: 1,
        until_idle: None,
        prepare: false,
        progress: Arc::clone(&suite.progress),
    }
}

/// 256 connections, 64 of which upload 64 MiB each, over and over.
async fn memory(suite: &mut Suite, many: &Arc<Site>) -> Result<(), String> {
    let uploads = plain_run(suite, many, load(Put, 64 << 20, 64, 64, suite.write_time));
    let mut reads = load(Get, OBJECT_BYTES, 192, 1, suite.write_time);
    reads.keys = half(KeyShape::Deep, suite.objects);
    let mut reads = plain_run(suite, many, reads);
    reads.progress = Arc::new(Progress::default());
    let (of_uploads, of_reads) = tokio::join!(uploads.execute(), reads.execute());
    let mut most_kib = None;
    for (load, measured) in [("PUT 64 MiB, 64 connections", of_uploads?), ("GET beside, 192 connections", of_reads?)] {
        let mut measured = measured;
        for endpoint in &mut measured {
            // The CPU of either is not to be told from the other's.
            endpoint.median.cpu_us_per_operation = None;
            most_kib = most_kib.max(endpoint.median.memory.map(|memory| memory.anonymous_kib));
        }
        suite.note(Case { load: format!("{load}, {} objects", suite.objects), measured });
    }
    // What a mapped file, such as the program itself, takes of the page cache is none of the node's.
    let figure = format!("resident memory, {} objects, 256 connections, 64 uploads of 64 MiB", suite.objects);
    suite.check(figure, most_kib.map(|kib| kib as f64 / 1024.0), AtMost(200.0), "MiB");
    Ok(())
}

/// How long until a node answers, after it was stopped and after it was killed while it wrote.
async fn starts(suite: &mut Suite, mut node: Server) -> Result<Server, String> {
    let folder = suite.folder_of("million");
    let (mut clean, mut killed) = (Vec::new(), Vec::new());
    for round in 0..suite.rounds {
        node.stop().await?;
        let begin = Instant::now();
        node = Server::node(&suite.node, "node", &folder, &[]).await?;
        clean.push(begin.elapsed().as_secs_f64());

        let mut workload = load(Put, 4 << 10, 64, u64::MAX, WRITES_BEFORE_KILL * 10);
        workload.keys.prefix = format!("killed-{round}/");
        let writing = plain_run(suite, &node.site("node", MANY_BUCKET)?, workload);
        tokio::select! {
            ended = writing.execute() => return Err(format!("the load ended before the node was killed: {:?}", ended.err())),
            () = tokio::time::sleep(WRITES_BEFORE_KILL) => node.kill(),
        }
        let begin = Instant::now();
        node = Server::node(&suite.node, "node", &folder, &[]).await?;
        killed.push(begin.elapsed().as_secs_f64());
    }
    let objects = suite.objects;
    suite.check(format!("start with {objects} objects after a clean stop"), median(&clean), AtMost(1.0), "s");
    suite.check(format!("start with {objects} objects after kill -9"), median(&killed), AtMost(5.0), "s");
    Ok(node)
}

/// How long a check and a new index take, once each, while no node runs.
fn maintenance(suite: &mut Suite) -> Result<(), String> {
    for command in ["fsck", "reindex"] {
        suite.progress.begin(command, None);
        let begin = Instant::now();
        servers::run(&suite.node, &suite.folder_of("million"), command)?;
        let figure = format!("{command} with {} objects and what the killed rounds wrote", suite.objects);
        suite.check(figure, Some(begin.elapsed().as_secs_f64()), AtMost(MAINTENANCE_SECONDS_MAX), "s");
    }
    Ok(())
}
