//! The only way to reencryption.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor as _, ArbiterHandle};

use super::actor::ReencryptionActor;
use super::job::{Job, JobOrder};
use super::messages::{Begin, Cancel, ReencryptionError, Stop};
use super::worker::{Desk, Worker};
use crate::call::Door;
use crate::clock::SharedClock;
use crate::iam::IamClient;
use crate::kms::KmsClient;
use crate::storage::StorageClient;

/// Calls under way at once.
const CALLS_MAX: usize = 16;
/// How long a call may take: ending a page that writes large objects anew takes longest.
const DEADLINE: Duration = Duration::from_secs(60);

/// Reencryption's client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ReencryptionClient {
    door: Door<ReencryptionActor>,
    desk: Arc<Desk>,
}

impl ReencryptionClient {
    /// Starts the actor on an arbiter; a job that was at work when the node stopped goes on.
    pub fn start(
        storage: StorageClient,
        kms: KmsClient,
        iam: IamClient,
        clock: SharedClock,
        arbiter: &ArbiterHandle,
    ) -> Self {
        let desk = Arc::new(Desk::new(storage.clone(), kms.clone(), clock));
        let worker = Worker { desk: Arc::clone(&desk), storage, kms, iam };
        let address = ReencryptionActor::start_in_arbiter(arbiter, move |_| ReencryptionActor::new(worker));
        Self { door: Door::new(address, CALLS_MAX, DEADLINE), desk }
    }

    /// Calls that wait for the actor, or for its answer.
    pub fn calls(&self) -> usize {
        self.door.calls()
    }

    /// Begins a job. Errs: Running while there is another, Storage when there is no such bucket, Kms when a key is not found.
    pub async fn begin(&self, order: JobOrder) -> Result<Job, ReencryptionError> {
        Ok(self.door.call(Begin(order)).await?)
    }

    /// Ends the job after the page that is under way. Errs: NotRunning.
    pub async fn cancel(&self) -> Result<Job, ReencryptionError> {
        Ok(self.door.call(Cancel).await?)
    }

    /// The job that is at work, or the last one.
    pub fn job(&self) -> Option<Job> {
        self.desk.job()
    }

    /// The same, once no job is at work, or after that long.
    pub async fn job_when_idle(&self, longest: Duration) -> Option<Job> {
        self.desk.idle(longest).await;
        self.desk.job()
    }

    /// Ends the work after the page that is under way; the next start goes on.
    pub async fn stop(&self) -> Result<(), ReencryptionError> {
        Ok(self.door.call(Stop).await?)
    }
}
