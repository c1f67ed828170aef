//! Takes the figures of history every few seconds, and keeps them in files, so that a restart forgets no more than minutes.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use myfsio_actors::replication_worker::RuleStatus;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::history::{History, Totals};
use super::lags::Lags;
use crate::node::Node;

const EVERY: Duration = Duration::from_secs(10);
/// How often it is written, in samples.
const WRITTEN_EVERY: u32 = 30;
/// Largest file that is read, in bytes: three full series take about 350 KiB, those of all replicated buckets 3 MiB.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// The task that takes samples.
#[derive(Debug)]
pub struct Sampler {
    task: JoinHandle<()>,
    node: Arc<Node>,
    files: Files,
}

/// Where it is kept.
#[derive(Debug, Clone)]
struct Files {
    history: PathBuf,
    lags: PathBuf,
}

/// Reads the history of earlier runs and begins to add to it. A file that cannot be read is begun anew: it is only figures.
pub fn start(node: &Arc<Node>, storage_root: &Path) -> Sampler {
    let file = |name: &str| storage_root.join(".myfsio.sys").join(name);
    let files = Files { history: file("metrics.json"), lags: file("replication_history.json") };
    if let Some(history) = known::<History>(&files.history) {
        *node.history.lock() = history.trimmed();
    }
    if let Some(lags) = known::<Lags>(&files.lags) {
        *node.lags.lock() = lags.trimmed();
    }
    let task = actix_rt::spawn(run(Arc::clone(node), files.clone()));
    Sampler { task, node: Arc::clone(node), files }
}

/// What a file holds, if it is there and can be read.
fn known<T: DeserializeOwned>(file: &Path) -> Option<T> {
    match read(file) {
        Ok(known) => Some(known),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(%error, file = %file.display(), "the history of metrics begins anew");
            None
        }
    }
}

impl Sampler {
    /// Takes no more samples, and writes those that are there.
    pub async fn stop(self) {
        self.task.abort();
        let Self { node, files, .. } = self;
        keep(node, files).await;
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
            keep(Arc::clone(&node), files.clone()).await;
        }
    }
}

async fn keep(node: Arc<Node>, files: Files) {
    let written = tokio::task::spawn_blocking(move || {
        let text = serde_json::to_vec(&*node.history.lock())?;
        write(&files.history, &text)?;
        let text = serde_json::to_vec(&*node.lags.lock())?;
        write(&files.lags, &text)
    });
    if let Ok(Err(error)) = written.await {
        tracing::warn!(%error, "the history of metrics cannot be written");
    }
}

fn read<T: DeserializeOwned>(file: &Path) -> io::Result<T> {
    let size = std::fs::metadata(file)?.len();
    if size > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too large"));
    }
    Ok(serde_json::from_slice(&std::fs::read(file)?)?)
}

/// Not synced: losing the last minutes to a power failure hurts nobody.
fn write(file: &Path, text: &[u8]) -> io::Result<()> {
    let new = file.with_extension("json.new");
    std::fs::File::create(&new)?.write_all(text)?;
    std::fs::rename(new, file)
}
