//! What the threads of Storage share, and their start and end.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use dashmap::DashMap;
use parking_lot::RwLock;

use super::body::BodyTools;
use super::checkpoint::Next;
use super::chunk_pool::ChunkPool;
use super::committer::{CommittedBatch, Committer, Proposal};
use super::disk::{Disk, FileStamp};
use super::edits::Quarantine;
use super::feed::EventFeed;
use super::figures::Figures;
use super::index::last_states;
use super::io_pool::IoPool;
use super::journal::{Journal, JournalBytes};
use super::md5::Md5Thread;
use super::messages::{Bucket, QuotaScope, Usage};
use super::opened::Opened;
use super::overlay::LiveRows;
use super::plan::{Effect, State};
use super::progress::Progress;
use super::quota::Ledger;
use super::recovery::{Holes, Recovered};
use super::replication::Replication;
use super::rows::CheckpointRow;
use super::space::Space;
use super::uploads::UploadTable;
use super::{StorageError, checkpoint, materialise};
use crate::clock::SharedClock;
use crate::names::{BucketId, BucketName, KEY_BYTES_MAX, Stamp};

/// Proposals that may wait for the committer; further ones are refused as Busy.
const PROPOSALS_MAX: usize = 4096;
/// Batches that may wait for the index or the files; a full queue holds the committer back.
const BATCHES_MAX: usize = 64;
/// Threads for work that may take long.
const LONG_THREADS: usize = 2;
/// Longest path that file systems take, in bytes.
const PATH_BYTES_MAX: usize = 4095;

/// How a node's storage is set up.
#[derive(Debug, Clone)]
pub struct StorageSettings {
    /// STORAGE_ROOT.
    pub root: PathBuf,
    /// Whether acknowledged writes survive power loss (`DURABILITY=strict`), or a process crash only.
    pub strict: bool,
    /// Size of a journal segment in bytes when the journal is made; there are four.
    pub journal_segment_bytes: u64,
    /// Largest body that goes through the journal, in bytes.
    pub inline_body_bytes: usize,
    /// Cache of the index in bytes.
    pub index_cache_bytes: usize,
    /// Bytes kept for deletes and for what was acknowledged, when the device is full; less on a small device.
    pub ballast_bytes: u64,
}

/// Bytes of a committed object whose own file does not stand yet.
#[derive(Debug, Clone)]
pub(super) enum PendingBytes {
    Journal(JournalBytes),
    Staged(String),
    /// The file of its place, still with the size and time that a person gave it.
    InPlace(FileStamp),
}

/// What the client and the threads share. Readers use it directly; only the committer and those behind it change it.
#[derive(Debug)]
pub(super) struct Shared {
    pub disk: Arc<Disk>,
    pub rows: LiveRows,
    pub pending: DashMap<Stamp, PendingBytes>,
    pub buckets: DashMap<BucketName, Arc<Bucket>>,
    pub usage: DashMap<BucketId, Usage>,
    pub ledger: Arc<Ledger>,
    /// Whether each meter is complete.
    pub meters: DashMap<QuotaScope, bool>,
    pub progress: Progress,
    pub space: Arc<Space>,
    pub uploads: UploadTable,
    pub tools: BodyTools,
    pub feed: Arc<EventFeed>,
    pub figures: Figures,
    pub replication: Arc<Replication>,
    pub chunks: Arc<ChunkPool>,
    /// For work that may take long: copying an object's parts together, walking a bucket's folder.
    pub long_pool: IoPool,
    /// The place of the one preview of lifecycle rules.
    pub previewing: Arc<tokio::sync::Semaphore>,
    pub generation: u64,
    /// Edited files that are being hashed, by their path: readers of one key do it once.
    pub edits: DashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>,
    /// Edited files that are not served.
    pub quarantine: Quarantine,
    /// Held while a bucket's folder is adopted.
    pub adopting: tokio::sync::Mutex<()>,
    failure: RwLock<Option<String>>,
    /// What keeps files from following the journal, for now.
    trouble: RwLock<Option<String>>,
    /// The committer waits for index or files.
    held_back: AtomicBool,
    stopping: AtomicBool,
}

impl Shared {
    /// Why nothing is acknowledged any more; none while all is well.
    pub fn failure(&self) -> Option<String> {
        self.failure.read().clone()
    }

    /// From here on nothing is acknowledged. The first reason stays.
    pub fn fail(&self, reason: &str) {
        tracing::error!(reason, "storage has failed and accepts no more writes");
        self.failure.write().get_or_insert_with(|| reason.to_owned());
        self.progress.give_up();
    }

    /// What keeps files from following the journal, or new objects from being taken, if anything does.
    pub fn trouble(&self) -> Option<String> {
        self.space.shortage().or_else(|| self.trouble.read().clone())
    }

    /// Tells, or takes back, that files cannot follow the journal.
    pub fn set_trouble(&self, error: Option<&StorageError>) {
        let reason = error.map(StorageError::to_string);
        if *self.trouble.read() == reason {
            return;
        }
        match &reason {
            Some(reason) => tracing::error!(reason, "an object's file could not be written; it is tried again"),
            None => tracing::info!("files follow again"),
        }
        *self.trouble.write() = reason;
    }

    /// Does something that may make the committer wait for index or files.
    pub fn held_back<T>(&self, work: impl FnOnce() -> T) -> T {
        self.held_back.store(true, Ordering::SeqCst);
        let done = work();
        self.held_back.store(false, Ordering::SeqCst);
        done
    }

    /// Why a commit would wait without end: the committer is held back by a device that is full to the last byte, or fails.
    pub fn stuck(&self) -> Option<StorageError> {
        if !self.held_back.load(Ordering::SeqCst) {
            return None;
        }
        if self.space.is_exhausted() {
            return Some(StorageError::NoSpace);
        }
        self.trouble.read().clone().map(|reason| StorageError::Unavailable { reason })
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Lets readers find the bytes of a new object; comes before its row is visible.
    pub fn publish_bytes(&self, effect: &Effect, body: Option<&JournalBytes>) {
        let (stamp, bytes) = match (effect, body) {
            (Effect::BytesPending(stamp, Some(name)), _) => (stamp, PendingBytes::Staged(name.clone())),
            (Effect::BytesPending(stamp, None), Some(body)) => (stamp, PendingBytes::Journal(body.clone())),
            (Effect::BytesInPlace(stamp, seen), _) => (stamp, PendingBytes::InPlace(*seen)),
            _ => return,
        };
        self.pending.insert(*stamp, bytes);
    }

    /// Makes what is kept outside of rows visible.
    pub fn publish_effect(&self, effect: &Effect) {
        match effect {
            Effect::BucketIs(bucket) => drop(self.buckets.insert(bucket.name.clone(), Arc::clone(bucket))),
            Effect::BucketDeleted(name, id) => {
                self.buckets.remove_if(name, |_, bucket| bucket.id == *id);
                self.usage.remove(id);
            }
            Effect::UsageChanged(bucket, usage) => drop(self.usage.insert(*bucket, *usage)),
            Effect::MeterIs(scope, Some(meter)) => {
                self.meters.insert(scope.clone(), meter.is_complete());
                if !meter.is_complete() {
                    self.feed.meter();
                }
            }
            Effect::MeterIs(scope, None) => drop(self.meters.remove(scope)),
            Effect::Warned(warning) => self.feed.warn(warning),
            Effect::UploadEnded(id) => self.uploads.remove(*id),
            Effect::QueueIs(queue, Some(totals)) => drop(self.replication.totals.insert(queue.clone(), *totals)),
            Effect::QueueIs(queue, None) => drop(self.replication.totals.remove(queue)),
            Effect::ToBeSent(queue) => self.replication.ring(queue),
            Effect::Queued(queue) => self.feed.ring(queue),
            Effect::Happened(event) => self.feed.tell(event),
            Effect::BytesPending(..) | Effect::BytesInPlace(..) | Effect::LimitsAre { .. } => {}
        }
    }
}

/// The running threads of Storage.
#[derive(Debug)]
pub(super) struct Engine {
    pub shared: Arc<Shared>,
    proposals: Sender<Proposal>,
    followers: Vec<JoinHandle<()>>,
    checkpointer: JoinHandle<()>,
    /// Dropped to end the thread that looks after the space.
    space_stop: Sender<()>,
}

impl Engine {
    /// Opens the data directory, replays what is outstanding, and starts the threads.
    pub fn start(settings: &StorageSettings, clock: SharedClock) -> Result<Self, StorageError> {
        let opened = Disk::open(&settings.root, settings.strict);
        let disk = opened.map_err(|e| StorageError::io("open", &settings.root, e));
        disk.and_then(|disk| Self::open(disk, settings, clock)).map_err(|error| match error {
            StorageError::NoSpace => {
                let root = settings.root.display();
                let reason = format!("no space left on the device of {root}: free some, then start again");
                StorageError::Unavailable { reason }
            }
            other => other,
        })
    }

    /// The same on a directory that is open already.
    pub(super) fn open(disk: Disk, settings: &StorageSettings, clock: SharedClock) -> Result<Self, StorageError> {
        let Opened { disk, space, rows, staging, recovered } = Opened::new(disk, settings, Holes::Refuse)?;
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let pool = IoPool::start((threads * 2).max(4))?;
        let inline_bytes_max = settings.inline_body_bytes;
        let long_pool = IoPool::start(LONG_THREADS)?;
        let md5 = Md5Thread::start(threads)?;
        let tools = BodyTools {
            pool,
            md5,
            staging,
            disk: Arc::clone(&disk),
            space: Arc::clone(&space),
            buffers: Arc::default(),
            inline_bytes_max,
        };
        let checkpoint = CheckpointRow {
            sequence: recovered.position.sequence,
            segment: recovered.position.next.0,
            offset: recovered.position.next.1,
            stamp: recovered.position.stamp.0,
            generation: recovered.generation,
            relaxed: !settings.strict,
            is_open: Some(true),
        };
        let journal = Journal::open(&disk, settings.journal_segment_bytes, &checkpoint, settings.strict)?;
        // Without syncs the names of its files may still be lost with the power; the next checkpoint comes after one.
        if settings.strict {
            let Recovered { position, generation, .. } = &recovered;
            checkpoint::seal(&disk, &*rows.index, *position, *generation, Next::More, Vec::new())?;
        }
        space.tend();
        space.set_patient(true);
        let shared = Arc::new(Shared {
            pending: DashMap::new(),
            buckets: recovered.buckets.clone().into_iter().collect(),
            usage: recovered.usage.clone().into_iter().collect(),
            ledger: recovered.ledger(),
            meters: recovered.meters.iter().map(|(scope, meter)| (scope.clone(), meter.is_complete())).collect(),
            progress: Progress::at(recovered.position),
            uploads: UploadTable::default(),
            chunks: Arc::default(),
            feed: Arc::default(),
            figures: Figures::default(),
            replication: Arc::new(Replication::new(recovered.node_id, recovered.queues.clone())),
            generation: recovered.generation,
            edits: DashMap::new(),
            quarantine: Quarantine::default(),
            adopting: tokio::sync::Mutex::default(),
            failure: RwLock::new(None),
            trouble: RwLock::new(None),
            held_back: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            space,
            rows,
            long_pool,
            previewing: Arc::new(tokio::sync::Semaphore::new(1)),
            tools,
            disk,
        });
        Self::spawn(shared, journal, recovered, clock)
    }

    fn spawn(
        shared: Arc<Shared>,
        journal: Journal,
        recovered: Recovered,
        clock: SharedClock,
    ) -> Result<Self, StorageError> {
        let (proposals, proposed) = bounded(PROPOSALS_MAX);
        let (relocate, relocations) = unbounded();
        let (applier, to_apply) = bounded(BATCHES_MAX);
        let (materialiser, to_materialise) = bounded(BATCHES_MAX);
        let state = State {
            buckets: recovered.buckets,
            usage: recovered.usage,
            meters: recovered.meters,
            ledger: Arc::clone(&shared.ledger),
            bucket_id_next: recovered.bucket_id_next,
            stamp_last: recovered.position.stamp,
            clock,
            feed: Arc::clone(&shared.feed),
            replication: Arc::clone(&shared.replication),
            queues: recovered.queues,
            time_step: shared.disk.time_step(),
            folds_case: shared.disk.folds_case(),
            plain_key_bytes_max: plain_key_bytes_max(shared.disk.root().as_os_str().len()),
        };
        let committer = Committer {
            shared: Arc::clone(&shared),
            journal,
            state,
            proposals: proposed,
            relocations,
            applier,
            materialiser,
        };
        let followers = vec![
            spawn("committer", &shared, move |_| committer.run())?,
            spawn("index", &shared, move |shared| apply(shared, &to_apply))?,
            spawn("files", &shared, move |shared| materialise::run(shared, &to_materialise, &relocate))?,
        ];
        let checkpointer = spawn("checkpoint", &shared, checkpoint::run)?;
        let (space_stop, stopped) = bounded(0);
        spawn("space", &shared, move |shared| shared.space.run(&stopped))?;
        Ok(Self { shared, proposals, followers, checkpointer, space_stop })
    }

    /// The committer's door.
    pub fn proposals(&self) -> Sender<Proposal> {
        self.proposals.clone()
    }

    /// Lets everything proposed so far be committed and follow, seals the index, and ends the threads.
    pub fn stop(self) {
        drop(self.proposals);
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.space.set_patient(false);
        drop(self.space_stop);
        for thread in self.followers {
            let _reported = thread.join();
        }
        self.shared.progress.close();
        let _reported = self.checkpointer.join();
    }
}

/// Room for a key below the root: bucket name, separators and the longest path count.
fn plain_key_bytes_max(root_bytes: usize) -> usize {
    PATH_BYTES_MAX.saturating_sub(root_bytes + 64 + 2).min(KEY_BYTES_MAX)
}

/// Starts a thread whose panic poisons storage instead of being lost.
fn spawn(
    name: &str,
    shared: &Arc<Shared>,
    work: impl FnOnce(&Arc<Shared>) + Send + 'static,
) -> Result<JoinHandle<()>, StorageError> {
    struct Poison(Arc<Shared>);
    impl Drop for Poison {
        fn drop(&mut self) {
            if std::thread::panicking() {
                self.0.fail("a storage thread panicked");
            }
        }
    }
    let poison = Poison(Arc::clone(shared));
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || work(&poison.0))
        .map_err(|e| StorageError::io("start", "thread", e))
}

/// The thread that brings committed rows into the index, several batches in one of its transactions when they queue up.
fn apply(shared: &Arc<Shared>, batches: &Receiver<Arc<CommittedBatch>>) {
    while let Ok(first) = batches.recv() {
        let mut group = vec![first];
        group.extend(batches.try_iter().take(BATCHES_MAX));
        let changes = last_states(group.iter().flat_map(|batch| &batch.entries).flat_map(|entry| &entry.changes));
        if let Err(error) = shared.rows.index.apply(&changes) {
            if shared.is_stopping() {
                tracing::error!(%error, "the index does not follow; the next start replays the journal");
                return shared.progress.give_up();
            }
            return shared.fail(&format!("the index could not be written: {error}"));
        }
        for batch in &group {
            for entry in &batch.entries {
                shared.rows.overlay.retire(batch.sequence, &entry.changes);
            }
            shared.progress.applied(batch.sequence);
        }
    }
}
