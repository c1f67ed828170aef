//! The task that does the job page by page, and the desk where orders lie.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::job::{Job, JobOrder, JobState};
use super::messages::ReencryptionError;
use crate::clock::SharedClock;
use crate::encryption::{KeyUse, WrappingKey};
use crate::iam::IamClient;
use crate::kms::{KmsClient, KmsError};
use crate::names::BucketName;
use crate::storage::{KeepReencryption, StorageClient, StorageError};

/// Longest rest between two pages.
const REST_MAX: Duration = Duration::from_secs(1);
/// Rest after Storage refused, the first time and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often it is kept how far the job is: after a restart at most this much is looked at again.
const KEEP: Duration = Duration::from_secs(2);

/// Where orders lie and reports hang.
#[derive(Debug)]
pub(super) struct Desk {
    storage: StorageClient,
    kms: KmsClient,
    clock: SharedClock,
    job: Mutex<Option<Job>>,
    /// Whether a job is at work.
    running: watch::Sender<bool>,
    wake: Notify,
    stopping: AtomicBool,
    stopped: watch::Sender<bool>,
}

impl Desk {
    pub fn new(storage: StorageClient, kms: KmsClient, clock: SharedClock) -> Self {
        Self {
            storage,
            kms,
            clock,
            job: Mutex::new(None),
            running: watch::Sender::new(false),
            wake: Notify::new(),
            stopping: AtomicBool::new(false),
            stopped: watch::Sender::new(false),
        }
    }

    pub fn job(&self) -> Option<Job> {
        self.job.lock().clone()
    }

    /// Takes an order, with its keys by their ids.
    pub async fn begin(&self, order: JobOrder) -> Result<Job, ReencryptionError> {
        if !order.is_sound() {
            return Err(ReencryptionError::Unsound);
        }
        if let Some(bucket) = &order.bucket {
            let name = BucketName::parse(bucket);
            self.storage.bucket(&name.map_err(|_| ReencryptionError::InvalidBucketName(bucket.clone()))?)?;
        }
        let id_of = |key: String| match self.kms.find(&key) {
            Ok(found) => Ok(found.id.clone()),
            // The id of a master key, or of a key that was lost.
            Err(KmsError::NotFound(_)) if self.is_in_use(&key)? || self.kms.has_master_key(&key)? => Ok(key),
            Err(error) => Err(ReencryptionError::from(error)),
        };
        let key_id = order.key_id.map(id_of).transpose()?;
        let to_key_id = order.to_key_id.map(|key| self.kms.find(&key).map(|key| key.id.clone())).transpose()?;
        let order = JobOrder { key_id, to_key_id, ..order };
        let job = {
            let mut job = self.job.lock();
            if job.as_ref().is_some_and(Job::is_running) {
                return Err(ReencryptionError::Running);
            }
            job.insert(Job::new(order, self.clock.now())).clone()
        };
        self.running.send_replace(true);
        let kept = self.keep(&job).await;
        self.wake.notify_one();
        kept.map(|()| job)
    }

    /// Whether something is wrapped under the key of this id.
    fn is_in_use(&self, id: &str) -> Result<bool, StorageError> {
        for key in [WrappingKey::Managed(id.to_owned()), WrappingKey::Kms(id.to_owned())] {
            if self.storage.key_use(&key)? != KeyUse::default() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub async fn cancel(&self) -> Result<Job, ReencryptionError> {
        let job = {
            let mut job = self.job.lock();
            let running = job.as_mut().filter(|job| job.is_running()).ok_or(ReencryptionError::NotRunning)?;
            running.end(JobState::Cancelled, self.clock.now());
            running.clone()
        };
        self.running.send_replace(false);
        self.keep(&job).await?;
        Ok(job)
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

    async fn keep(&self, job: &Job) -> Result<(), ReencryptionError> {
        Ok(self.storage.keep_reencryption(KeepReencryption(Some(serde_json::to_vec(job)?))).await?)
    }

    /// Publishes how far the job is, unless it was cancelled meanwhile; then that is answered.
    fn publish(&self, job: &Job) -> JobState {
        let mut published = self.job.lock();
        match &*published {
            Some(now) if now.is_running() && now.started_millis == job.started_millis => *published = Some(job.clone()),
            Some(now) => return now.state,
            None => *published = Some(job.clone()),
        }
        self.running.send_replace(job.is_running());
        job.state
    }

    /// Waits until no job is at work, or that long.
    pub async fn idle(&self, longest: Duration) {
        let mut running = self.running.subscribe();
        let _or_not = tokio::time::timeout(longest, running.wait_for(|running| !*running)).await;
    }
}

/// The task and what it works with.
#[derive(Debug)]
pub(super) struct Worker {
    pub desk: Arc<Desk>,
    pub storage: StorageClient,
    pub kms: KmsClient,
    /// Knows the accounts of buckets' owners.
    pub iam: IamClient,
}

impl Worker {
    /// Works until it is told to stop.
    pub async fn run(self) {
        match self.kept() {
            Ok(job) => {
                self.desk.running.send_replace(job.as_ref().is_some_and(Job::is_running));
                *self.desk.job.lock() = job;
            }
            Err(error) => tracing::warn!(%error, "a job of reencryption does not go on"),
        }
        while !self.desk.is_stopping() {
            match self.desk.job().filter(Job::is_running) {
                Some(job) => self.work(job).await,
                None => self.desk.wake.notified().await,
            }
        }
        self.desk.stopped.send_replace(true);
    }

    fn kept(&self) -> Result<Option<Job>, ReencryptionError> {
        let kept = self.storage.kept_reencryption()?;
        Ok(kept.map(|kept| serde_json::from_slice(&kept)).transpose()?)
    }

    async fn work(&self, mut job: Job) {
        let (mut retry, mut kept) = (RETRY.0, Instant::now());
        while !self.desk.is_stopping() && job.is_running() {
            let started = Instant::now();
            let rest = match self.page(&mut job).await {
                Ok(()) => {
                    retry = RETRY.0;
                    started.elapsed().min(REST_MAX)
                }
                Err(error) => {
                    tracing::warn!(%error, "reencryption waits, and tries again");
                    let rest = retry;
                    retry = (retry * 2).min(RETRY.1);
                    rest
                }
            };
            if self.desk.publish(&job) == JobState::Cancelled {
                return;
            }
            if !job.is_running() || kept.elapsed() >= KEEP {
                self.keep(&job).await;
                kept = Instant::now();
            }
            if job.is_running() {
                let _woken = tokio::time::timeout(rest, self.desk.wake.notified()).await;
            }
        }
        if job.is_running() {
            return self.keep(&job).await;
        }
        let Job { looked_at, rewrapped, rewritten, uploads, current, skipped, failed, .. } = job;
        tracing::info!(looked_at, rewrapped, rewritten, uploads, current, skipped, failed, "reencryption");
    }

    async fn keep(&self, job: &Job) {
        if let Err(error) = self.desk.keep(job).await {
            tracing::warn!(%error, "how far reencryption is could not be kept: a restart looks at some of it again");
        }
    }

    /// Does the next page, or ends the job.
    async fn page(&self, job: &mut Job) -> Result<(), StorageError> {
        let done = job.position.done.clone();
        let is_left = |name: &str| {
            job.order.bucket.as_deref().is_none_or(|only| only == name)
                && done.as_deref().is_none_or(|done| name > done)
        };
        let next = self.storage.buckets().into_iter().find(|bucket| is_left(bucket.name.as_str()));
        let Some(bucket) = next else {
            job.end(JobState::Done, self.desk.clock.now());
            return Ok(());
        };
        job.position.enter(bucket.name.as_str());
        let walked = match job.position.in_uploads {
            false => self.versions(&bucket, job).await,
            true => self.uploads(&bucket, job).await,
        };
        match walked {
            // It was deleted meanwhile.
            Err(StorageError::NoSuchBucket { .. }) => {
                job.position.in_uploads = true;
                job.position.advance(None);
                Ok(())
            }
            other => other,
        }
    }
}
