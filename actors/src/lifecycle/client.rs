//! The only way to lifecycle.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor as _, ArbiterHandle};

use super::actor::LifecycleActor;
use super::messages::{LifecycleError, LifecycleReport, LifecycleTotals, Look, LookThrough, Stop};
use super::worker::{Board, Signals, Worker};
use crate::bucket_config::{Day, Lifecycle};
use crate::call::Door;
use crate::clock::SharedClock;
use crate::names::Stamp;
use crate::storage::{Bucket, LifecyclePreview, StorageClient};

/// Calls under way at once.
const CALLS_MAX: usize = 1024;
/// How long a call may take; the work goes on all the same.
const DEADLINE: Duration = Duration::from_secs(600);
/// How far a preview looks ahead, in days.
const PREVIEW_DAYS: u32 = 30;

/// Lifecycle's client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LifecycleClient {
    door: Door<LifecycleActor>,
    storage: StorageClient,
    clock: SharedClock,
    day: Day,
    board: Arc<Board>,
}

impl LifecycleClient {
    /// Starts the actor on an arbiter; it looks at all buckets at once.
    pub fn start(storage: StorageClient, clock: SharedClock, day: Day, arbiter: &ArbiterHandle) -> Self {
        let board = Arc::new(Board::default());
        let worker = Worker {
            storage: storage.clone(),
            clock: Arc::clone(&clock),
            day,
            board: Arc::clone(&board),
            signals: Arc::new(Signals::default()),
        };
        let address = LifecycleActor::start_in_arbiter(arbiter, move |_| LifecycleActor::new(worker));
        Self { door: Door::new(address, CALLS_MAX, DEADLINE), storage, clock, day, board }
    }

    /// Calls that wait for the actor, or for its answer.
    pub fn calls(&self) -> usize {
        self.door.calls()
    }

    /// The day that rules count in.
    pub fn day(&self) -> Day {
        self.day
    }

    /// Has it look at once, since a bucket's rules changed. Errs: Busy, Stopped.
    pub async fn look(&self) -> Result<(), LifecycleError> {
        Ok(self.door.call(Look).await?)
    }

    /// The same; answers when all that is due was removed. Errs: Busy, Stopped.
    pub async fn look_through(&self) -> Result<(), LifecycleError> {
        Ok(self.door.call(LookThrough).await?)
    }

    /// Ends the work after the step that is under way.
    pub async fn stop(&self) -> Result<(), LifecycleError> {
        Ok(self.door.call(Stop).await?)
    }

    /// What was done since the node started.
    pub fn totals(&self) -> LifecycleTotals {
        self.board.totals()
    }

    /// What is known of a bucket's lifecycle.
    pub fn report(&self, bucket: &Bucket) -> Result<LifecycleReport, LifecycleError> {
        let is_in_force = bucket.config.lifecycle.as_ref().is_some_and(Lifecycle::is_in_force);
        Ok(LifecycleReport {
            is_complete: self.storage.has_times(bucket)?,
            looked_at: self.board.looked_at(bucket.id),
            looks_next: is_in_force.then(|| self.day.next_midnight(self.clock.now())),
            runs: self.storage.lifecycle_runs(bucket)?,
        })
    }

    /// What `lifecycle` would remove now and in the next 30 days.
    pub async fn preview(
        &self,
        bucket: &Arc<Bucket>,
        lifecycle: Lifecycle,
    ) -> Result<LifecyclePreview, LifecycleError> {
        let now = self.clock.now();
        let until: Stamp = self.day.later(now, PREVIEW_DAYS);
        Ok(self.storage.preview_lifecycle(bucket, lifecycle, self.day, now, until).await?)
    }
}
