//! The only way to the scrub.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor as _, ArbiterHandle};

use super::actor::ScrubActor;
use super::messages::{Begin, Cancel, ScrubError, Stop};
use super::replicas::Replicas;
use super::report::{ScrubOrder, ScrubReport, ScrubRun};
use super::worker::{Desk, Worker};
use crate::call::Door;
use crate::clock::SharedClock;
use crate::kms::KmsClient;
use crate::names::Stamp;
use crate::storage::StorageClient;

/// Calls under way at once.
const CALLS_MAX: usize = 16;
/// How long a call may take: the stop waits for a piece that is being read.
const DEADLINE: Duration = Duration::from_secs(60);

/// How a scrub goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrubSettings {
    /// Pace; none: as fast as others leave room.
    pub bytes_per_second: Option<u64>,
    /// Time from the beginning of a run over everything to that of the next; none: only when it is asked for.
    pub interval: Option<Duration>,
}

/// What was done since the node started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScrubTotals {
    /// Objects, versions and parts that were verified.
    pub items: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// What was damaged, by how.
    pub damaged: BTreeMap<&'static str, u64>,
    /// What of that was repaired.
    pub repaired: u64,
}

/// The scrub's client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ScrubClient {
    door: Door<ScrubActor>,
    desk: Arc<Desk>,
}

impl ScrubClient {
    /// Starts the actor on an arbiter; a run that was at work when the node stopped goes on.
    pub fn start(
        settings: ScrubSettings,
        storage: StorageClient,
        kms: KmsClient,
        replicas: Arc<dyn Replicas>,
        clock: SharedClock,
        arbiter: &ArbiterHandle,
    ) -> Self {
        let desk = Arc::new(Desk::new(settings, storage.clone(), clock));
        let worker = Worker { desk: Arc::clone(&desk), storage, kms, replicas };
        let address = ScrubActor::start_in_arbiter(arbiter, move |_| ScrubActor::new(worker));
        Self { door: Door::new(address, CALLS_MAX, DEADLINE), desk }
    }

    /// Calls that wait for the actor, or for its answer.
    pub fn calls(&self) -> usize {
        self.door.calls()
    }

    /// Tells by what it is to see how much others are doing: the number of requests under way. It takes itself back while there
    /// are any.
    pub fn watch_load(&self, load: impl Fn() -> usize + Send + Sync + 'static) {
        self.desk.watch_load(Box::new(load));
    }

    /// Begins a run. Errs: Running while there is another, Storage when there is no such bucket.
    pub async fn begin(&self, order: ScrubOrder) -> Result<ScrubRun, ScrubError> {
        Ok(self.door.call(Begin(order)).await?)
    }

    /// Ends the run. Errs: NotRunning.
    pub async fn cancel(&self) -> Result<ScrubRun, ScrubError> {
        Ok(self.door.call(Cancel).await?)
    }

    /// How far it is, and what was found.
    pub fn report(&self) -> ScrubReport {
        self.desk.report()
    }

    /// The same, once no run is at work, or after that long.
    pub async fn report_when_idle(&self, longest: Duration) -> ScrubReport {
        self.desk.idle(longest).await;
        self.desk.report()
    }

    /// When the next run over everything begins by itself.
    pub fn next_run(&self) -> Option<Stamp> {
        self.desk.due()
    }

    /// What was done since the start.
    pub fn totals(&self) -> ScrubTotals {
        self.desk.totals()
    }

    /// How it goes about it.
    pub fn settings(&self) -> ScrubSettings {
        self.desk.settings
    }

    /// Ends the work; the next start goes on.
    pub async fn stop(&self) -> Result<(), ScrubError> {
        Ok(self.door.call(Stop).await?)
    }
}
