//! The task that removes what is due, bucket after bucket, kind after kind, page after page.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::messages::{LifecycleError, LifecycleTotals};
use crate::bucket_config::{Day, Lifecycle, LifecycleKind};
use crate::clock::SharedClock;
use crate::names::{BucketId, Stamp};
use crate::storage::{
    Bucket, Expire, Expired, LifecycleRun, ListDue, RecordRun, StorageClient, StorageError, TimeEntry, WalkTimes,
};

/// Things that one step removes.
const STEP: usize = 100;
/// Commits of a step that are under way at once: enough to share a batch, few enough to leave room to others.
const CONCURRENCY: usize = 16;
/// Longest rest between two steps.
const REST_MAX: Duration = Duration::from_secs(1);
/// Rest after Storage refused, the first time and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Longest sleep: the clock may be set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(3600);
/// Errors that a report quotes.
const ERRORS_MAX: usize = 5;

/// What the worker tells others.
#[derive(Debug, Default)]
pub(super) struct Board {
    looked: DashMap<BucketId, Stamp>,
    totals: Mutex<LifecycleTotals>,
}

impl Board {
    /// What was done since the start.
    pub fn totals(&self) -> LifecycleTotals {
        *self.totals.lock()
    }

    /// Counts what a run has done since it was counted last.
    fn count(&self, counted: &mut LifecycleRun, run: &LifecycleRun) {
        let mut totals = self.totals.lock();
        totals.objects += run.objects.saturating_sub(counted.objects);
        totals.versions += run.versions.saturating_sub(counted.versions);
        totals.markers += run.markers.saturating_sub(counted.markers);
        totals.uploads += run.uploads.saturating_sub(counted.uploads);
        totals.bytes += run.bytes.saturating_sub(counted.bytes);
        totals.failed += run.failed.saturating_sub(counted.failed);
        counted.clone_from(run);
    }

    pub fn looked_at(&self, bucket: BucketId) -> Option<Stamp> {
        self.looked.get(&bucket).map(|time| *time)
    }
}

/// How the worker is woken, and tells how far it is.
#[derive(Debug)]
pub(super) struct Signals {
    wake: Notify,
    /// Looks that were asked for, and those that were taken to their end.
    asked: watch::Sender<u64>,
    done: watch::Sender<u64>,
    stopping: AtomicBool,
    stopped: watch::Sender<bool>,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            wake: Notify::new(),
            asked: watch::Sender::new(0),
            done: watch::Sender::new(0),
            stopping: AtomicBool::new(false),
            stopped: watch::Sender::new(false),
        }
    }
}

impl Signals {
    /// Asks for a look; answers its number.
    pub fn ask(&self) -> u64 {
        let mut number = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            number = *asked;
        });
        self.wake.notify_one();
        number
    }

    /// Waits until the look of this number, or a later one, is done. Errs: Stopped.
    pub async fn done(&self, number: u64) -> Result<(), LifecycleError> {
        let (mut done, mut stopped) = (self.done.subscribe(), self.stopped.subscribe());
        tokio::select! {
            _ = done.wait_for(|done| *done >= number) => Ok(()),
            _ = stopped.wait_for(|stopped| *stopped) => Err(LifecycleError::Stopped),
        }
    }

    /// Asks the worker to end, and waits for that.
    pub async fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.wake.notify_one();
        // An error means that the worker is gone.
        let _ = self.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Sleeps until it is woken, or that long.
    async fn sleep(&self, longest: Option<Duration>) {
        match longest {
            Some(longest) => drop(tokio::time::timeout(longest, self.wake.notified()).await),
            None => self.wake.notified().await,
        }
    }
}

/// The task and what it works with.
#[derive(Debug)]
pub(super) struct Worker {
    pub storage: StorageClient,
    pub clock: SharedClock,
    pub day: Day,
    pub board: Arc<Board>,
    pub signals: Arc<Signals>,
}

impl Worker {
    /// Works until it is told to stop.
    pub async fn run(self) {
        let mut retry = RETRY.0;
        while !self.signals.is_stopping() {
            let asked = *self.signals.asked.borrow();
            self.board.totals.lock().is_looking = true;
            let is_well = self.look().await;
            self.board.totals.lock().is_looking = false;
            self.signals.done.send_replace(asked);
            let longest = match is_well {
                true => self.until_midnight(),
                false => Some(retry),
            };
            retry = if is_well { RETRY.0 } else { (retry * 2).min(RETRY.1) };
            self.signals.sleep(longest).await;
        }
        self.signals.stopped.send_replace(true);
    }

    /// How long nothing can become due; none while no rule is in force.
    fn until_midnight(&self) -> Option<Duration> {
        let is_in_force = |bucket: &Arc<Bucket>| bucket.config.lifecycle.as_ref().is_some_and(Lifecycle::is_in_force);
        if !self.storage.buckets().iter().any(is_in_force) {
            return None;
        }
        let now = self.clock.now();
        let left = Duration::from_nanos(self.day.next_midnight(now).0.saturating_sub(now.0));
        Some(left.clamp(Duration::from_millis(1), SLEEP_MAX))
    }

    /// Looks at all buckets once; answers whether all is well.
    async fn look(&self) -> bool {
        let mut is_well = true;
        for bucket in self.storage.buckets() {
            if self.signals.is_stopping() {
                break;
            }
            if !bucket.config.keeps_times {
                continue;
            }
            match self.complete_times(&bucket).await {
                Ok(()) => is_well &= self.work_on(&bucket).await,
                // It was deleted meanwhile.
                Err(StorageError::NoSuchBucket { .. }) => {}
                Err(error) => {
                    tracing::warn!(bucket = %bucket.name, %error, "the times of a bucket could not be completed; tried again");
                    is_well = false;
                }
            }
        }
        is_well
    }

    /// Finishes the walk over what was in the bucket before it kept times.
    async fn complete_times(&self, bucket: &Arc<Bucket>) -> Result<(), StorageError> {
        if self.storage.has_times(bucket)? {
            return Ok(());
        }
        loop {
            let started = Instant::now();
            if self.storage.walk_times(WalkTimes { bucket: Arc::clone(bucket) }).await? || self.signals.is_stopping() {
                return Ok(());
            }
            self.rest(started).await;
        }
    }

    /// Removes what is due in a bucket; answers whether all is well.
    async fn work_on(&self, bucket: &Arc<Bucket>) -> bool {
        let Some(lifecycle) = bucket.config.lifecycle.clone().filter(Lifecycle::is_in_force).map(Arc::new) else {
            return true;
        };
        let now = self.clock.now();
        let mut run = LifecycleRun { started_millis: millis(now), ..LifecycleRun::default() };
        let mut counted = LifecycleRun::default();
        for kind in LifecycleKind::ALL {
            if let Err(error) = self.remove(bucket, &lifecycle, kind, &mut run, &mut counted).await {
                fail(&mut run, &error);
            }
        }
        self.board.count(&mut counted, &run);
        self.board.looked.insert(bucket.id, now);
        run.ended_millis = millis(self.clock.now());
        let is_well = run.failed == 0;
        if run.is_worth_telling() {
            let LifecycleRun { objects, versions, markers, uploads, bytes, locked, failed, .. } = run;
            tracing::info!(bucket = %bucket.name, objects, versions, markers, uploads, bytes, locked, failed, "lifecycle");
            match self.storage.record_run(RecordRun { bucket: Arc::clone(bucket), run }).await {
                Ok(()) | Err(StorageError::NoSuchBucket { .. }) => {}
                Err(error) => tracing::warn!(bucket = %bucket.name, %error, "the report of a run could not be kept"),
            }
        }
        is_well
    }

    /// Removes what of one kind is due.
    async fn remove(
        &self,
        bucket: &Arc<Bucket>,
        lifecycle: &Arc<Lifecycle>,
        kind: LifecycleKind,
        run: &mut LifecycleRun,
        counted: &mut LifecycleRun,
    ) -> Result<(), StorageError> {
        let mut after = None;
        while !self.signals.is_stopping() {
            let started = Instant::now();
            let query = ListDue {
                bucket: Arc::clone(bucket),
                lifecycle: Arc::clone(lifecycle),
                kind,
                now: self.clock.now(),
                day: self.day,
                after: after.take(),
                limit: STEP,
            };
            let page = self.storage.list_due(query).await?;
            let removed = stream::iter(page.due).map(|entry| self.expire(bucket, entry)).buffered(CONCURRENCY);
            let removed: Vec<_> = removed.collect().await;
            removed.into_iter().for_each(|result| note(run, result));
            self.board.count(counted, run);
            match page.next {
                Some(next) if run.failed == 0 => after = Some(next),
                _ => break,
            }
            self.rest(started).await;
        }
        Ok(())
    }

    async fn expire(&self, bucket: &Arc<Bucket>, entry: TimeEntry) -> Result<Expired, StorageError> {
        self.storage.expire(Expire { bucket: Arc::clone(bucket), entry, day: self.day }).await
    }

    /// Rests as long as the step took that began at `started`.
    async fn rest(&self, started: Instant) {
        tokio::time::sleep(started.elapsed().min(REST_MAX)).await;
    }
}

fn millis(time: Stamp) -> u64 {
    time.0 / 1_000_000
}

fn note(run: &mut LifecycleRun, result: Result<Expired, StorageError>) {
    match result {
        Ok(Expired { kind, bytes }) => {
            run.bytes += bytes;
            match kind {
                Some(LifecycleKind::Current) => run.objects += 1,
                Some(LifecycleKind::Noncurrent) => run.versions += 1,
                Some(LifecycleKind::LoneMarker) => run.markers += 1,
                Some(LifecycleKind::Upload) => run.uploads += 1,
                None => {}
            }
        }
        Err(StorageError::ObjectLocked { .. }) => run.locked += 1,
        Err(StorageError::NoSuchBucket { .. }) => {}
        Err(error) => fail(run, &error),
    }
}

fn fail(run: &mut LifecycleRun, error: &StorageError) {
    if matches!(error, StorageError::NoSuchBucket { .. }) {
        return;
    }
    run.failed += 1;
    if run.errors.len() < ERRORS_MAX {
        run.errors.push(error.to_string());
    }
}
