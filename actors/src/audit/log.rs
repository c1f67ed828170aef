//! The log: a thread that writes, and the client by which changes are told and pages read.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, oneshot};

use super::entry::{AuditEntry, ChangeOrigin};
use super::error::AuditError;
use super::query::{AuditPage, AuditQuery};
use super::reader::Reader;
use super::writer::Writer;
use crate::clock::SharedClock;

/// Most bytes of lines that are written with one sync.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Most bytes of lines that wait for a log that cannot be written.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// How long a log that cannot be written is left alone, unless somebody makes a change.
const RETRY: Duration = Duration::from_secs(5);
/// Most readers at once.
const READERS_MAX: usize = 4;

/// What the log starts from.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// Where its files are; made with the first entry.
    pub folder: PathBuf,
    /// Most bytes of all files; the oldest go first.
    pub bytes_max: u64,
}

/// What became of entries since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditFigures {
    /// In the log.
    pub written: u64,
    /// Waiting, since the log cannot be written.
    pub waiting: u64,
    /// Given up, since too many waited; the log of the node tells them.
    pub lost: u64,
    /// Attempts to write that failed.
    pub failures: u64,
}

/// The client. Cheap to clone.
#[derive(Clone)]
pub struct AuditLog {
    jobs: Option<Sender<Job>>,
    shared: Arc<Shared>,
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog").field("figures", &self.figures()).finish_non_exhaustive()
    }
}

struct Shared {
    reader: Option<Reader>,
    readers: Semaphore,
    trouble: Mutex<Option<String>>,
    written: AtomicU64,
    waiting: AtomicU64,
    lost: AtomicU64,
    failures: AtomicU64,
}

/// Lines on their way, or the end of the log.
struct Job {
    lines: Vec<Vec<u8>>,
    is_last: bool,
    done: Box<dyn FnOnce() + Send>,
}

impl AuditLog {
    /// Starts the log. One that cannot be written is no reason not to start: it is told as any later trouble.
    pub fn start(settings: AuditSettings, clock: SharedClock) -> Self {
        let AuditSettings { folder, bytes_max } = settings;
        let mut writer = Writer::new(folder.clone(), bytes_max);
        let shared = Arc::new(Shared::of(Some(Reader::new(folder, writer.current()))));
        if let Err(error) = writer.prepare() {
            shared.failed(&error);
        }
        // As many jobs wait at most as requests are under way, and the actors that wait for theirs.
        let (jobs, taken) = unbounded();
        let mut worker = Worker { writer, clock, shared: Arc::clone(&shared), waiting: Vec::new(), bytes: 0, lost: 0 };
        let spawned = std::thread::Builder::new().name("audit".to_owned()).spawn(move || worker.run(&taken));
        match spawned {
            Ok(_) => Self { jobs: Some(jobs), shared },
            Err(error) => {
                shared.tell(format!("its thread cannot be started: {error}"));
                Self { jobs: None, shared }
            }
        }
    }

    /// A log that keeps nothing, for work on actors without a node around them.
    pub fn nowhere() -> Self {
        Self { jobs: None, shared: Arc::new(Shared::of(None)) }
    }

    /// Adds entries. On return they are on the disk, or the log cannot be written, which [`Self::trouble`] tells.
    pub async fn record(&self, entries: Vec<AuditEntry>) {
        let (done, answer) = oneshot::channel();
        // Whoever waits may be gone; the entries stand all the same.
        self.send(entries, false, Box::new(move || _ = done.send(())));
        // Without a thread there is nobody to wait for.
        let _ = answer.await;
    }

    /// The same for actors, whose threads may be blocked.
    pub fn record_blocking(&self, entries: Vec<AuditEntry>) {
        let (done, answer) = bounded(1);
        self.send(entries, false, Box::new(move || _ = done.send(())));
        let _ = answer.recv();
    }

    /// Tries once more to write what waits, and ends. What cannot be written goes to the log of the node.
    pub async fn stop(&self) {
        let (done, answer) = oneshot::channel();
        self.send(Vec::new(), true, Box::new(move || _ = done.send(())));
        let _ = answer.await;
    }

    fn send(&self, entries: Vec<AuditEntry>, is_last: bool, done: Box<dyn FnOnce() + Send>) {
        let (Some(jobs), false) = (&self.jobs, entries.is_empty() && !is_last) else { return };
        let lines: Vec<_> = entries.iter().map(AuditEntry::line).collect();
        if let Err(unsent) = jobs.send(Job { lines, is_last, done }) {
            self.shared.give_up(&unsent.0.lines);
        }
    }

    /// Why the log cannot be written, and what that has led to; none while it can.
    pub fn trouble(&self) -> Option<String> {
        let reason = self.shared.trouble.lock().clone()?;
        let AuditFigures { waiting, lost, .. } = self.figures();
        Some(format!("the audit log cannot be written ({waiting} entries wait, {lost} are lost): {reason}"))
    }

    /// What became of entries so far.
    pub fn figures(&self) -> AuditFigures {
        let shared = &self.shared;
        AuditFigures {
            written: shared.written.load(Ordering::Relaxed),
            waiting: shared.waiting.load(Ordering::Relaxed),
            lost: shared.lost.load(Ordering::Relaxed),
            failures: shared.failures.load(Ordering::Relaxed),
        }
    }

    /// Entries, newest first. Errs: NoSuchPosition, Busy, Io.
    pub async fn page(&self, query: AuditQuery) -> Result<AuditPage, AuditError> {
        let _place = self.shared.readers.try_acquire().map_err(|_| AuditError::Busy)?;
        let Some(reader) = self.shared.reader.clone() else { return Ok(AuditPage::default()) };
        let read = tokio::task::spawn_blocking(move || reader.page(&query)).await;
        read.unwrap_or(Err(AuditError::BrokenOff))
    }
}

impl Shared {
    fn of(reader: Option<Reader>) -> Self {
        Self {
            reader,
            readers: Semaphore::new(READERS_MAX),
            trouble: Mutex::new(None),
            written: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// The log cannot be written. Each new reason is logged, and each attempt counted.
    fn failed(&self, error: &AuditError) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.tell(error.to_string());
    }

    fn tell(&self, reason: String) {
        let mut trouble = self.trouble.lock();
        if trouble.as_ref() != Some(&reason) {
            tracing::error!("the audit log cannot be written; changes stand, and their entries wait: {reason}");
            *trouble = Some(reason);
        }
    }

    /// Entries that the log will not have.
    fn give_up(&self, lines: &[Vec<u8>]) {
        self.lost.fetch_add(lines.len() as u64, Ordering::Relaxed);
        for line in lines {
            let entry = String::from_utf8_lossy(line);
            tracing::error!(entry = entry.trim_end(), "an entry of the audit log is lost");
        }
    }
}

/// The thread that writes.
struct Worker {
    writer: Writer,
    clock: SharedClock,
    shared: Arc<Shared>,
    /// Lines that could not be written yet, oldest first.
    waiting: Vec<Vec<u8>>,
    /// Bytes of these.
    bytes: usize,
    /// Entries given up that the log itself does not tell yet.
    lost: u64,
}

impl Worker {
    /// Runs until the log is stopped, or every client gone.
    fn run(&mut self, jobs: &Receiver<Job>) {
        let mut is_last = false;
        while !is_last {
            let first = match self.waiting.is_empty() {
                true => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => jobs.recv_timeout(RETRY),
            };
            let mut answers = Vec::new();
            match first {
                Ok(job) => is_last = self.take(job, &mut answers),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => is_last = true,
            }
            while self.bytes < BATCH_BYTES_MAX && !is_last {
                let Ok(job) = jobs.try_recv() else { break };
                is_last = self.take(job, &mut answers);
            }
            self.write();
            answers.into_iter().for_each(|answer| answer());
        }
        self.shared.give_up(&self.waiting);
    }

    /// Takes in the lines of a job, if there is room. Answers whether it is the last one.
    fn take(&mut self, job: Job, answers: &mut Vec<Box<dyn FnOnce() + Send>>) -> bool {
        let bytes: usize = job.lines.iter().map(Vec::len).sum();
        if self.bytes > 0 && self.bytes + bytes > WAITING_BYTES_MAX {
            self.lost += job.lines.len() as u64;
            self.shared.give_up(&job.lines);
        } else {
            self.bytes += bytes;
            self.waiting.extend(job.lines);
        }
        answers.push(job.done);
        job.is_last
    }

    /// Writes what waits, as far as it can be written.
    fn write(&mut self) {
        while !self.waiting.is_empty() {
            if let Err(error) = self.write_some() {
                self.shared.failed(&error);
                break;
            }
            if self.shared.trouble.lock().take().is_some() {
                tracing::warn!("the audit log can be written again");
            }
        }
        self.shared.waiting.store(self.waiting.len() as u64, Ordering::Relaxed);
    }

    /// Writes the oldest of the lines that wait.
    fn write_some(&mut self) -> Result<(), AuditError> {
        let mut bytes = 0;
        let fits = |line: &&Vec<u8>| {
            let is_first = bytes == 0;
            bytes += line.len();
            is_first || bytes <= BATCH_BYTES_MAX
        };
        let count = self.waiting.iter().take_while(fits).count();
        let mut lines = self.waiting.get(..count).unwrap_or_default().concat();
        let written = lines.len();
        // Behind everything that came before the first one that was lost.
        let tells_gap = self.lost > 0 && count == self.waiting.len();
        if tells_gap {
            lines.extend(self.gap().line());
        }
        self.writer.append(&lines)?;
        self.shared.written.fetch_add(count as u64, Ordering::Relaxed);
        self.waiting.drain(..count);
        self.bytes = self.bytes.saturating_sub(written);
        if tells_gap {
            self.lost = 0;
        }
        Ok(())
    }

    /// The entry that says that entries are missing before it.
    fn gap(&self) -> AuditEntry {
        AuditEntry {
            at: self.clock.now(),
            origin: ChangeOrigin { principal: "node".to_owned(), ..ChangeOrigin::default() },
            action: "myfsio:LoseAuditEntries".to_owned(),
            target: String::new(),
            before: Value::Null,
            after: json!({ "lost": self.lost }),
        }
    }
}
