//! The task that has meters count what was there before their quotas, and tells of warning thresholds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, watch};

use super::error::QuotaError;
use crate::storage::{CountMeter, QuotaScope, QuotaWarning, StorageClient, StorageError};

/// Longest rest between two commits of a walk.
const REST_MAX: Duration = Duration::from_secs(1);
/// Rest after Storage refused.
const RETRY: Duration = Duration::from_secs(5);

/// How the task is woken, and tells how far it is.
#[derive(Debug)]
pub(super) struct Signals {
    wake: Notify,
    /// Times that counting was asked for, and those that it was taken to its end.
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
    /// Asks for counting; answers its number.
    pub fn ask(&self) -> u64 {
        let mut number = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            number = *asked;
        });
        self.wake.notify_one();
        number
    }

    /// Waits until what was asked by this number is done. Errs: Stopped.
    pub async fn done(&self, number: u64) -> Result<(), QuotaError> {
        let (mut done, mut stopped) = (self.done.subscribe(), self.stopped.subscribe());
        tokio::select! {
            _ = done.wait_for(|done| *done >= number) => Ok(()),
            _ = stopped.wait_for(|stopped| *stopped) => Err(QuotaError::Stopped),
        }
    }

    /// Asks the task to end, and waits for that.
    pub async fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.wake.notify_one();
        // An error means that the task is gone.
        let _ = self.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}

/// The task and what it works with.
#[derive(Debug)]
pub(super) struct Worker {
    pub storage: StorageClient,
    pub signals: Arc<Signals>,
}

impl Worker {
    /// Works until it is told to stop.
    pub async fn run(self) {
        let telling = actix::spawn(tell(self.storage.clone()));
        while !self.signals.is_stopping() {
            let asked = *self.signals.asked.borrow();
            let is_well = self.count_all().await;
            if is_well {
                self.signals.done.send_replace(asked);
            }
            tokio::select! {
                () = self.signals.wake.notified() => {}
                () = self.storage.meter_begun() => {}
                () = tokio::time::sleep(RETRY), if !is_well => {}
            }
        }
        telling.abort();
        self.signals.stopped.send_replace(true);
    }

    /// Finishes the walks of all meters; answers whether all is well.
    async fn count_all(&self) -> bool {
        let mut is_well = true;
        for scope in self.storage.uncounted_meters() {
            if let Err(error) = self.count(&scope).await {
                tracing::warn!(%scope, %error, "what a quota is of could not be counted; tried again");
                is_well = false;
            }
        }
        is_well
    }

    async fn count(&self, scope: &QuotaScope) -> Result<(), StorageError> {
        while !self.signals.is_stopping() {
            let started = Instant::now();
            if self.storage.count_meter(CountMeter { scope: scope.clone() }).await? {
                break;
            }
            tokio::time::sleep(started.elapsed().min(REST_MAX)).await;
        }
        Ok(())
    }
}

/// Tells the log of quotas that fill up.
async fn tell(storage: StorageClient) {
    let mut warnings = storage.listen_to_quotas();
    // Held by nobody else here: the node may stop while this waits.
    drop(storage);
    loop {
        match warnings.recv().await {
            Ok(warning) => log(&warning),
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "quotas filled up faster than could be told"),
            Err(RecvError::Closed) => return,
        }
    }
}

fn log(warning: &QuotaWarning) {
    let QuotaWarning { bucket, scope, resource, percent, used, limit } = warning;
    let bucket = bucket.as_ref().map(tracing::field::display);
    tracing::warn!(bucket, quota = %scope, limit_of = resource.field(), percent, used, limit, "a quota fills up");
}
