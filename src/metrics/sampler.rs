//! Takes the figures of history every few seconds, and keeps them in a file, so that a restart forgets no more than minutes.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use myfsio_actors::replication_worker::RuleStatus;
use myfsio_actors::storage::Bucket;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::growth::{Growth, Held, Seen};
use super::history::{History, Totals};
use super::lags::Lags;
use crate::node::Node;

const EVERY: Duration = Duration::from_secs(10);
/// How often it is written, in samples.
const WRITTEN_EVERY: u32 = 30;
/// Largest file that is read, in bytes: three full series take about 350 KiB, all samples of buckets below 2 MiB, those of all replicated
/// buckets 3 MiB.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// The task that takes samples.
#[derive(Debug)]
pub struct Sampler {
    task: JoinHandle<()>,
    node: Arc<Node>,
    files: Files,
}

/// Where what was sampled is kept.
#[derive(Debug, Clone)]
struct Files {
    history: PathBuf,
    growth: PathBuf,
    lags: PathBuf,
}

/// Reads the history of earlier runs and begins to add to it. A file that cannot be read is begun anew: it is only figures.
pub fn start(node: &Arc<Node>, storage_root: &Path) -> Sampler {
    let system = storage_root.join(".myfsio.sys");
    let files = Files {
        history: system.join("metrics.json"),
        growth: system.join("growth.json"),
        lags: system.join("replication_history.json"),
    };
    if let Some(history) = read::<History>(&files.history) {
        *node.history.lock() = history.trimmed();
    }
    if let Some(growth) = read::<Growth>(&files.growth) {
        *node.growth.lock() = growth.trimmed();
    }
    if let Some(lags) = read::<Lags>(&files.lags) {
        *node.lags.lock() = lags.trimmed();
    }
    let task = actix_rt::spawn(run(Arc::clone(node), files.clone()));
    Sampler { task, node: Arc::clone(node), files }
}

impl Sampler {
    /// Takes no more samples, and writes those that are there.
    pub async fn stop(self) {
        self.task.abort();
        let Self { node, files, .. } = self;
        keep_history(&node, files).await;
    }
}

async fn run(node: Arc<Node>, files: Files) {
    let begun = Instant::now();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unwritten = 0;
    loop {
        ticks.tick().await;
        let totals = Totals::of(&node.metrics.gather(&node));
        let now = node.clock.now().seconds();
        node.history.lock().take(now, begun.elapsed(), &totals);
        let statuses = node.replication.statuses();
        let lag = |status: &RuleStatus| u64::try_from(status.lag.as_millis()).unwrap_or(u64::MAX);
        let behind = statuses.iter().map(|it| (it.rule.bucket.as_str(), lag(it), it.totals.pending));
        node.lags.lock().take(now, behind);
        unwritten += 1;
        if unwritten >= WRITTEN_EVERY {
            unwritten = 0;
            keep_history(&node, files.clone()).await;
        }
        if node.growth.lock().is_due(now) {
            sample_buckets(&node, now);
            keep_growth(&node, files.growth.clone()).await;
        }
    }
}

/// What each bucket holds, from the counters that are kept with each commit.
fn sample_buckets(node: &Node, now: u64) {
    let seen = |bucket: &Arc<Bucket>| {
        let held = node.storage.usage(bucket).quantity();
        let has_quota = bucket.config.quota.as_ref().is_some_and(|quota| !quota.limits.is_unlimited());
        Seen { id: bucket.id.0, has_quota, held: Held { bytes: held.bytes, objects: held.objects } }
    };
    let all = node.storage.buckets().iter().map(seen).collect();
    node.growth.lock().take(now, all);
}

async fn keep_history(node: &Arc<Node>, files: Files) {
    let node = Arc::clone(node);
    keep(move || {
        let text = serde_json::to_vec(&*node.history.lock())?;
        write(&files.history, &text)?;
        let text = serde_json::to_vec(&*node.lags.lock())?;
        write(&files.lags, &text)
    })
    .await;
}

async fn keep_growth(node: &Arc<Node>, file: PathBuf) {
    let node = Arc::clone(node);
    keep(move || {
        let text = serde_json::to_vec(&*node.growth.lock())?;
        write(&file, &text)
    })
    .await;
}

async fn keep(written: impl FnOnce() -> io::Result<()> + Send + 'static) {
    if let Ok(Err(error)) = tokio::task::spawn_blocking(written).await {
        tracing::warn!(%error, "the history of metrics cannot be written");
    }
}

/// What a file holds; none where there is no such file. One that cannot be read is begun anew.
fn read<T: DeserializeOwned>(file: &Path) -> Option<T> {
    let read = || -> io::Result<T> {
        if std::fs::metadata(file)?.len() > FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too large"));
        }
        Ok(serde_json::from_slice(&std::fs::read(file)?)?)
    };
    match read() {
        Ok(found) => Some(found),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(%error, file = %file.display(), "the history of metrics begins anew");
            }
            None
        }
    }
}

/// Not synced: losing the last minutes to a power failure hurts nobody.
fn write(file: &Path, text: &[u8]) -> io::Result<()> {
    let new = file.with_extension("json.new");
    std::fs::File::create(&new)?.write_all(text)?;
    std::fs::rename(new, file)
}
