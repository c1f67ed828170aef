//! Takes the figures of history every few seconds, and keeps them in a file, so that a restart forgets no more than minutes.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::history::{History, Totals};
use crate::node::Node;

const EVERY: Duration = Duration::from_secs(10);
/// How often it is written, in samples.
const WRITTEN_EVERY: u32 = 30;
/// Largest file that is read, in bytes: three full series take about 350 KiB.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The task that takes samples.
#[derive(Debug)]
pub struct Sampler {
    task: JoinHandle<()>,
    node: Arc<Node>,
    file: PathBuf,
}

/// Reads the history of earlier runs and begins to add to it. A file that cannot be read is begun anew: it is only figures.
pub fn start(node: &Arc<Node>, storage_root: &Path) -> Sampler {
    let file = storage_root.join(".myfsio.sys/metrics.json");
    match read(&file) {
        Ok(history) => *node.history.lock() = history,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, file = %file.display(), "the history of metrics begins anew"),
    }
    let task = actix_rt::spawn(run(Arc::clone(node), file.clone()));
    Sampler { task, node: Arc::clone(node), file }
}

impl Sampler {
    /// Takes no more samples, and writes those that are there.
    pub async fn stop(self) {
        self.task.abort();
        let Self { node, file, .. } = self;
        keep(node, file).await;
    }
}

async fn run(node: Arc<Node>, file: PathBuf) {
    let begun = Instant::now();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unwritten = 0;
    loop {
        ticks.tick().await;
        let totals = Totals::of(&node.metrics.gather(&node));
        let now = node.clock.now().seconds();
        node.history.lock().take(now, begun.elapsed(), &totals);
        unwritten += 1;
        if unwritten >= WRITTEN_EVERY {
            unwritten = 0;
            keep(Arc::clone(&node), file.clone()).await;
        }
    }
}

async fn keep(node: Arc<Node>, file: PathBuf) {
    let written = tokio::task::spawn_blocking(move || {
        let text = serde_json::to_vec(&*node.history.lock())?;
        write(&file, &text)
    });
    if let Ok(Err(error)) = written.await {
        tracing::warn!(%error, "the history of metrics cannot be written");
    }
}

fn read(file: &Path) -> io::Result<History> {
    let size = std::fs::metadata(file)?.len();
    if size > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too large"));
    }
    let history: History = serde_json::from_slice(&std::fs::read(file)?)?;
    Ok(history.trimmed())
}

/// Not synced: losing the last minutes to a power failure hurts nobody.
fn write(file: &Path, text: &[u8]) -> io::Result<()> {
    let new = file.with_extension("json.new");
    std::fs::File::create(&new)?.write_all(text)?;
    std::fs::rename(new, file)
}
