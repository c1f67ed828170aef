//! The task that goes from one thing to the next, and the desk where orders lie and reports hang.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::client::{ScrubSettings, ScrubTotals};
use super::messages::ScrubError;
use super::replicas::Replicas;
use super::report::{FindingOutcome, ScrubOrder, ScrubReport, ScrubRun, ScrubState};
use crate::clock::SharedClock;
use crate::kms::KmsClient;
use crate::names::{BucketName, ObjectKey, PartNumber, Stamp, UploadId, VersionId};
use crate::pace::Pace;
use crate::storage::{Bucket, StorageClient, StorageError};

/// Things of a page.
const PAGE: usize = 256;
/// What a thing costs at least, in bytes of the pace: a disk seeks for the smallest.
const ITEM_BYTES_MIN: usize = 32 << 10;
/// How many times as long as a piece took it rests at most, while others are at work.
const YIELD_MAX: usize = 8;
/// Longest rest of that kind.
const REST_MAX: Duration = Duration::from_secs(1);
/// Rest after Storage refused, the first time and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often it is kept how far the run is: after a restart at most this much is read again.
const KEEP: Duration = Duration::from_secs(15);
/// When the first run begins, from the first start of a node on.
const FIRST: Duration = Duration::from_secs(600);
/// Longest wait for something to become due; clocks are set now and then.
const LOOK: Duration = Duration::from_secs(3600);

type Load = Box<dyn Fn() -> usize + Send + Sync>;

/// Where orders lie and reports hang.
pub(super) struct Desk {
    pub settings: ScrubSettings,
    storage: StorageClient,
    pub clock: SharedClock,
    started: Stamp,
    report: Mutex<ScrubReport>,
    totals: Mutex<ScrubTotals>,
    load: OnceLock<Load>,
    /// Whether a run is at work.
    running: watch::Sender<bool>,
    wake: Notify,
    stopping: AtomicBool,
    stopped: watch::Sender<bool>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Desk {
    /// With what was kept of earlier runs.
    pub fn new(settings: ScrubSettings, storage: StorageClient, clock: SharedClock) -> Self {
        let report = kept(&storage).unwrap_or_else(|error| {
            tracing::warn!(%error, "what earlier scrubs have found is forgotten");
            ScrubReport::default()
        });
        Self {
            settings,
            storage,
            started: clock.now(),
            clock,
            running: watch::Sender::new(report.run.is_some()),
            report: Mutex::new(report),
            totals: Mutex::default(),
            load: OnceLock::new(),
            wake: Notify::new(),
            stopping: AtomicBool::new(false),
            stopped: watch::Sender::new(false),
        }
    }

    pub fn watch_load(&self, load: Load) {
        // Only the first counts.
        let _set_before = self.load.set(load);
    }

    /// How many others are at work.
    fn load(&self) -> usize {
        self.load.get().map_or(0, |load| load())
    }

    pub fn totals(&self) -> ScrubTotals {
        self.totals.lock().clone()
    }

    pub fn total(&self, change: impl FnOnce(&mut ScrubTotals)) {
        change(&mut self.totals.lock());
    }

    /// What is told. What was found and is well again by now is told so.
    pub fn report(&self) -> ScrubReport {
        let mut report = self.report.lock().clone();
        for finding in &mut report.findings {
            if finding.outcome == FindingOutcome::Quarantined && !self.is_marked(finding) {
                finding.outcome = FindingOutcome::Lifted;
            }
        }
        report
    }

    fn is_marked(&self, finding: &super::report::ScrubFinding) -> bool {
        let bucket = BucketName::parse(&finding.bucket).ok().and_then(|name| self.storage.bucket(&name).ok());
        let Some(bucket) = bucket else { return false };
        let key = finding.key.as_deref().and_then(|key| ObjectKey::parse(key.as_bytes()).ok());
        let version = finding.version_id.as_deref().and_then(|version| VersionId::parse(version).ok());
        let upload = finding.upload_id.as_deref().and_then(|upload| UploadId::parse(upload).ok());
        let number = finding.part_number.and_then(|number| PartNumber::new(number.into()).ok());
        match (key.zip(version), upload.zip(number)) {
            (Some((key, version)), _) => self.storage.is_marked(&bucket, &key, version),
            (_, Some((upload, number))) => self.storage.is_part_marked(&bucket, upload, number),
            _ => false,
        }
    }

    fn expected_bytes(&self, buckets: &[Arc<Bucket>]) -> u64 {
        let held = |bucket: &Arc<Bucket>| {
            let usage = self.storage.usage(bucket);
            usage.bytes.saturating_add(usage.part_bytes)
        };
        buckets.iter().map(held).fold(0, u64::saturating_add)
    }

    pub async fn begin(&self, order: ScrubOrder) -> Result<ScrubRun, ScrubError> {
        let buckets = match &order.bucket {
            None => self.storage.buckets(),
            Some(bucket) => {
                let name = BucketName::parse(bucket).map_err(|_| ScrubError::InvalidBucketName(bucket.clone()))?;
                vec![self.storage.bucket(&name)?]
            }
        };
        let run = ScrubRun::new(order, false, self.expected_bytes(&buckets), self.clock.now());
        self.enter(run.clone()).await?;
        Ok(run)
    }

    async fn enter(&self, run: ScrubRun) -> Result<(), ScrubError> {
        if !self.report.lock().begin(run) {
            return Err(ScrubError::Running);
        }
        self.running.send_replace(true);
        let kept = self.keep().await;
        self.wake.notify_one();
        kept
    }

    pub async fn cancel(&self) -> Result<ScrubRun, ScrubError> {
        let ended = self.report.lock().end(ScrubState::Stopped, self.clock.now()).ok_or(ScrubError::NotRunning)?;
        self.running.send_replace(false);
        self.wake.notify_one();
        self.keep().await?;
        Ok(ended)
    }

    /// Asks the worker to end, and waits for that.
    pub async fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.wake.notify_one();
        // An error means that the worker is gone.
        let _ = self.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    async fn keep(&self) -> Result<(), ScrubError> {
        let kept = serde_json::to_vec(&*self.report.lock())?;
        Ok(self.storage.keep_scrub(kept).await?)
    }

    /// Changes the run, if it is still the one that is at work; answers whether it is.
    pub fn update(&self, run: &ScrubRun, change: impl FnOnce(&mut ScrubRun, &mut ScrubReport)) -> bool {
        let mut report = self.report.lock();
        let Some(mut own) = report.run.take() else { return false };
        let is_it = own.is(run);
        if is_it {
            change(&mut own, &mut report);
        }
        report.run = Some(own);
        is_it && !self.is_stopping()
    }

    /// Waits until no run is at work, or that long.
    pub async fn idle(&self, longest: Duration) {
        let mut running = self.running.subscribe();
        let _or_not = tokio::time::timeout(longest, running.wait_for(|running| !*running)).await;
    }

    /// When the next run over everything begins by itself.
    pub fn due(&self) -> Option<Stamp> {
        let interval = self.settings.interval?;
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let last = self.report.lock().last_full_millis();
        Some(match last {
            Some(last) => Stamp(last.saturating_mul(1_000_000).saturating_add(nanos(interval))),
            None => Stamp(self.started.0.saturating_add(nanos(FIRST))),
        })
    }
}

fn kept(storage: &StorageClient) -> Result<ScrubReport, ScrubError> {
    let kept = storage.kept_scrub()?;
    Ok(kept.map(|kept| serde_json::from_slice(&kept)).transpose()?.unwrap_or_default())
}

/// The task and what it works with.
#[derive(Debug)]
pub(super) struct Worker {
    pub desk: Arc<Desk>,
    pub storage: StorageClient,
    pub kms: KmsClient,
    pub replicas: Arc<dyn Replicas>,
}

/// How fast a run may read.
#[derive(Debug)]
pub(super) struct Tempo {
    desk: Arc<Desk>,
    pace: Option<Pace>,
}

impl Tempo {
    /// Rests after a piece of so many bytes that took so long: as the pace asks for, and longer while others are at work.
    pub async fn rest(&mut self, bytes: usize, took: Duration) {
        let paced = self.pace.as_mut().map_or(Duration::ZERO, |pace| pace.take(bytes, self.desk.clock.now()));
        let others = self.desk.load().min(YIELD_MAX);
        let yielded = took.saturating_mul(u32::try_from(others).unwrap_or(1)).min(REST_MAX);
        let rest = paced.max(yielded);
        match rest.is_zero() {
            // Orders are heard even by a run that never rests.
            true => tokio::task::yield_now().await,
            false => drop(tokio::time::timeout(rest, self.desk.wake.notified()).await),
        }
    }
}

impl Worker {
    /// Works until it is told to stop.
    pub async fn run(self) {
        while !self.desk.is_stopping() {
            let run = self.desk.report.lock().run.clone();
            match run {
                Some(run) => self.work(&run).await,
                None => self.wait().await,
            }
        }
        self.desk.stopped.send_replace(true);
    }

    /// Waits until a run is due, or ordered.
    async fn wait(&self) {
        let now = self.desk.clock.now();
        let left = self.desk.due().map(|due| Duration::from_nanos(due.0.saturating_sub(now.0)));
        if left == Some(Duration::ZERO) {
            let run =
                ScrubRun::new(ScrubOrder::default(), true, self.desk.expected_bytes(&self.storage.buckets()), now);
            if let Err(error) = self.desk.enter(run).await {
                tracing::warn!(%error, "a scrub that is due does not begin yet");
                tokio::time::sleep(RETRY.0).await;
            }
            return;
        }
        let _woken = tokio::time::timeout(left.unwrap_or(LOOK).min(LOOK), self.desk.wake.notified()).await;
    }

    fn tempo(&self, run: &ScrubRun) -> Tempo {
        let rate = match run.order.bytes_per_second {
            Some(0) => None,
            Some(rate) => Some(rate),
            None => self.desk.settings.bytes_per_second,
        };
        let pace = rate.map(|rate| Pace::new(rate, self.desk.clock.now()));
        Tempo { desk: Arc::clone(&self.desk), pace }
    }

    /// Goes on with a run until it ends, or another one goes before it.
    async fn work(&self, run: &ScrubRun) {
        tracing::info!(bucket = run.order.bucket, goes_on = run.position.is_some(), "scrub: verifying stored bytes");
        let (mut tempo, mut retry, mut kept) = (self.tempo(run), RETRY.0, Instant::now());
        let mut after = run.after();
        while self.desk.update(run, |_, _| ()) {
            match self.page(run, after.clone(), &mut tempo, &mut kept).await {
                Ok(Next::Page(next)) => (after, retry) = (Some(next), RETRY.0),
                Ok(Next::Interrupted) => break,
                Ok(Next::End) => {
                    self.end(run);
                    break;
                }
                Err(error) => {
                    tracing::warn!(%error, "scrub waits, and tries again");
                    let _woken = tokio::time::timeout(retry, self.desk.wake.notified()).await;
                    retry = (retry * 2).min(RETRY.1);
                    let now = self.desk.report.lock().run.clone().filter(|now| now.is(run));
                    after = now.and_then(|now| now.after());
                }
            }
        }
        self.keep().await;
        self.desk.running.send_replace(self.desk.report.lock().run.is_some());
    }

    /// Ends a run that was everywhere, unless another one has just gone before it: then it ends after that.
    fn end(&self, run: &ScrubRun) {
        let ended = {
            let mut report = self.desk.report.lock();
            let is_it = report.run.as_ref().is_some_and(|now| now.is(run));
            is_it.then(|| report.end(ScrubState::Done, self.desk.clock.now())).flatten()
        };
        if let Some(run) = ended {
            let damaged = run.damaged_total();
            let ScrubRun { objects, versions, parts, bytes, edited, repaired, lifted, .. } = run;
            tracing::info!(
                objects,
                versions,
                parts,
                bytes,
                edited,
                damaged,
                repaired,
                lifted,
                "scrub: everything was read"
            );
        }
    }

    async fn keep(&self) {
        if let Err(error) = self.desk.keep().await {
            tracing::warn!(%error, "how far a scrub is could not be kept: a restart reads some of it again");
        }
    }

    /// Verifies the next page.
    async fn page(
        &self,
        run: &ScrubRun,
        after: Option<Vec<u8>>,
        tempo: &mut Tempo,
        kept: &mut Instant,
    ) -> Result<Next, StorageError> {
        let bucket = run.order.bucket.as_deref().and_then(|name| BucketName::parse(name).ok());
        let bucket = match bucket.map(|name| self.storage.bucket(&name)).transpose() {
            // It was deleted meanwhile.
            Err(StorageError::NoSuchBucket { .. }) => return Ok(Next::End),
            other => other?,
        };
        let page = self.storage.scrub_page(bucket, after, PAGE).await?;
        self.desk.update(run, |run, _| run.unreadable_rows += page.unreadable_rows);
        for item in &page.items {
            let started = Instant::now();
            let Some(read) = self.verify_or_tell(run, item, tempo).await? else { return Ok(Next::Interrupted) };
            if !self.desk.update(run, |run, _| run.reach(item.mark())) {
                return Ok(Next::Interrupted);
            }
            let rest = ITEM_BYTES_MIN.saturating_sub(read);
            if rest > 0 {
                tempo.rest(rest, if read == 0 { started.elapsed() } else { Duration::ZERO }).await;
            }
            if kept.elapsed() >= KEEP {
                self.keep().await;
                *kept = Instant::now();
            }
        }
        Ok(page.next.map_or(Next::End, Next::Page))
    }
}

/// How a page ended.
enum Next {
    /// There is another one, behind this row.
    Page(Vec<u8>),
    /// It was the last.
    End,
    /// The run is not the one at work any more, or the node stops.
    Interrupted,
}
