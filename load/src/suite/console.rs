//! The console over a bucket with a million objects: how long each kind of page takes, and what a folder as one archive takes of
//! memory.

use std::time::{Duration, Instant};

use super::browser::Browser;
use super::million::{fill, half};
use super::results::Case;
use super::results::Target::AtMost;
use super::servers::Server;
use super::{Suite, load};
use crate::keys::{KeyShape, Keys};
use crate::prepare::{create_bucket, put_keys, set_versioning};
use crate::round::{Outcome, settle};
use crate::run::Measured;
use crate::statistics::percentile;
use crate::workload::Operation::Put;

/// The bucket with all objects.
const BUCKET: &str = "bench-console";
/// The bucket with the folder that is sent as an archive.
const ARCHIVED: &str = "bench-archive";
/// Bytes of an object of the archive.
const MEMBER_BYTES: u64 = 64 << 20;
/// A page is loaded as often as this, or as long as a round of reads takes.
const LOADS: usize = 200;
/// What 95 of 100 loads of any page stay under, in milliseconds.
const PAGE_MS_MAX: f64 = 100.0;
/// What ten times the bytes may add to the node's memory, in MiB: nothing but what its allocator keeps.
const GROWTH_MIB_MAX: f64 = 16.0;

/// Runs the part. Errs when it cannot.
pub async fn run(suite: &mut Suite) -> Result<(), String> {
    let node = Server::node(&suite.node, "node", &suite.folder_of("console"), &[]).await?;
    let site = node.site("node", BUCKET)?;
    fill(suite, &site, suite.objects).await?;
    // What was deleted, and what there was at a time, is only to be seen where versions are kept.
    set_versioning(&site).await?;
    let mut browser = Browser::sign_in(node.console(), "localadmin", "localadmin").await?;
    pages(suite, &mut browser).await?;
    archive(suite, &node, &mut browser).await?;
    node.stop().await
}

/// Names of pages and their addresses.
fn addresses(objects: u64) -> Vec<(String, String)> {
    let (deep, wide) = (half(KeyShape::Deep, objects), half(KeyShape::Wide, objects));
    let (middle, folder) = (deep.key(deep.count / 2), deep.folder(deep.count / 2));
    let encode = |text: &str| text.replace('/', "%2F");
    let (key, folder, wide_key) = (encode(&middle), encode(&folder), encode(&wide.key(wide.count / 2)));
    let of_bucket = [
        ("browser, first page", "browse".to_owned()),
        ("browser, 1000 folders", "browse?prefix=wide%2F".to_owned()),
        ("browser, 1000 folders, middle", "browse?prefix=wide%2F&after=wide%2F0500%2F&folder=1".to_owned()),
        ("browser, deep folder", format!("browse?prefix={folder}")),
        ("browser, deep folder, middle", format!("browse?prefix={folder}&after={key}")),
        ("browser, flat, middle", format!("browse?show=flat&after={key}")),
        ("search, nothing found", "browse?q=nothing-has-this-name".to_owned()),
        ("search, middle, much found", format!("browse?q=00&after={key}")),
        ("deleted objects", "browse?show=deleted".to_owned()),
        ("as of a time long ago", "browse?at=2020-01-01T00:00".to_owned()),
        ("as of now", "browse?at=2099-01-01T00:00".to_owned()),
        ("object", format!("object?key={key}")),
        ("object, last key", format!("object?key={wide_key}")),
        ("unfinished uploads", "uploads".to_owned()),
        ("properties", "properties".to_owned()),
        ("policy", "policy".to_owned()),
        ("access", "access".to_owned()),
        ("lifecycle", "lifecycle".to_owned()),
        ("cors", "cors".to_owned()),
        ("notifications", "notifications".to_owned()),
        ("document", "document?name=logging".to_owned()),
        ("replication", "replication".to_owned()),
        ("space, whole bucket", "space".to_owned()),
        ("space, 1000 folders", "space?prefix=wide%2F".to_owned()),
        ("work on the whole bucket", "work".to_owned()),
        ("work on half of it", "work?item=wide%2F".to_owned()),
        ("delete the bucket", "delete".to_owned()),
    ];
    let of_node = ["", "buckets", "jobs", "metrics", "requests", "trace", "audit", "why", "simulate", "connections"];
    let further = ["iam", "groups", "policies", "kms", "settings", "self-check", "guide", "account"];
    let of_bucket = of_bucket.into_iter().map(|(name, page)| (name.to_owned(), format!("/ui/buckets/{BUCKET}/{page}")));
    let of_node = of_node.into_iter().chain(further).map(|page| match page {
        "" => ("dashboard".to_owned(), "/ui".to_owned()),
        page => (page.to_owned(), format!("/ui/{page}")),
    });
    of_node.chain(of_bucket).collect()
}

/// Loads each page again and again, one at a time.
async fn pages(suite: &mut Suite, browser: &mut Browser) -> Result<(), String> {
    for (name, address) in addresses(suite.objects) {
        suite.progress.begin(&name, Some(LOADS as u64));
        let mut times = Vec::with_capacity(LOADS);
        let (begin, mut bytes) = (Instant::now(), 0);
        while times.len() < LOADS && begin.elapsed() < suite.read_time {
            let at = Instant::now();
            bytes += browser.open(&address).await?.bytes;
            times.push(u32::try_from(at.elapsed().as_micros()).unwrap_or(u32::MAX));
            suite.progress.step(0, false);
        }
        let outcome = outcome(&mut times, bytes, begin.elapsed());
        let p95 = percentile(&times, 0.95).map(|micros| f64::from(micros) / 1e3);
        suite.note(Case { load: format!("page: {name}"), measured: vec![measured("node", outcome)] });
        suite.check(format!("page: {name}, {} objects: p95", suite.objects), p95, AtMost(PAGE_MS_MAX), "ms");
    }
    Ok(())
}

/// What loads that took so many microseconds come to; they are in order then.
fn outcome(times: &mut [u32], bytes: u64, took: Duration) -> Outcome {
    times.sort_unstable();
    let at = |p| percentile(times, p).map_or(0.0, |micros| f64::from(micros) / 1e3);
    let (operations, seconds) = (times.len() as u64, took.as_secs_f64());
    Outcome {
        seconds,
        operations,
        operations_per_second: operations as f64 / seconds,
        megabytes_per_second: bytes as f64 / 1e6 / seconds,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        p999_ms: at(0.999),
        max_ms: at(1.0),
        ..Outcome::default()
    }
}

fn measured(name: &str, outcome: Outcome) -> Measured {
    Measured { name: name.to_owned(), median: outcome.clone(), rounds: vec![outcome], entries: None }
}

/// A folder as one archive, after one of a tenth of its size: the most memory that either took.
async fn archive(suite: &mut Suite, node: &Server, browser: &mut Browser) -> Result<(), String> {
    let site = node.site("node", ARCHIVED)?;
    create_bucket(&site).await?;
    let members = (suite.large * 2 / MEMBER_BYTES).max(10);
    let workload = load(Put, MEMBER_BYTES, 4, 1, suite.write_time);
    let mut peaks = Vec::new();
    for (folder, count) in [("tenth/", members / 10), ("whole/", members)] {
        let keys = Keys { shape: KeyShape::Flat, prefix: folder.to_owned(), count };
        put_keys(&site, &workload, keys, &suite.progress).await?;
    }
    settle(&site).await;
    // What writing took is none of the archive's.
    node.process().forget_peak()?;
    for (folder, count) in [("tenth/", members / 10), ("whole/", members)] {
        suite.progress.begin(&format!("{folder} as an archive"), None);
        let (page, action) = (format!("/ui/buckets/{ARCHIVED}/browse"), format!("/ui/buckets/{ARCHIVED}/archive"));
        let begin = Instant::now();
        let shown = browser.submit(&page, &action, &[("item", folder)]).await?;
        let took = begin.elapsed();
        if shown.status != 200 || shown.bytes < count * MEMBER_BYTES {
            return Err(format!("{folder}: {} with {} bytes", shown.status, shown.bytes));
        }
        let mut outcome = outcome(&mut [], shown.bytes, took);
        outcome.memory = node.process().memory();
        peaks.extend(outcome.memory.map(|memory| memory.peak_kib as f64 / 1024.0));
        let load = format!("{} of {} MiB as one archive", count, MEMBER_BYTES >> 20);
        suite.note(Case { load, measured: vec![measured("node", outcome)] });
    }
    let gibibytes = (members * MEMBER_BYTES) as f64 / f64::from(1 << 30);
    let growth = match peaks.as_slice() {
        [tenth, whole] => Some(whole - tenth),
        _ => None,
    };
    let figure = format!("a folder of {gibibytes} GiB as one archive: memory beyond that of a tenth");
    suite.check(figure, growth, AtMost(GROWTH_MIB_MAX), "MiB");
    Ok(())
}
