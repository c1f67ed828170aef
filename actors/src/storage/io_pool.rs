//! A few threads for file work that may block, fed by a bounded channel: hashing and writing bodies, cold reads, listings.
//!
//! Jobs are short pieces of work on bytes that are already there, so a slow client holds no thread.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::{Sender, bounded};
use tokio::sync::{Semaphore, oneshot};

use super::StorageError;

type Job = Box<dyn FnOnce() + Send>;

/// Jobs that may wait at once; further callers wait before they hand theirs over.
const QUEUE: usize = 256;

/// The pool. Cheap to clone; the threads end when the last clone is gone.
#[derive(Clone)]
pub(super) struct IoPool {
    jobs: Sender<Job>,
    places: Arc<Semaphore>,
}

impl fmt::Debug for IoPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoPool").field("free", &self.places.available_permits()).finish()
    }
}

impl IoPool {
    /// Starts `threads` threads.
    pub fn start(threads: usize) -> Result<Self, StorageError> {
        let (jobs, queue) = bounded::<Job>(QUEUE);
        for number in 0..threads.max(1) {
            let queue = queue.clone();
            std::thread::Builder::new()
                .name(format!("io-{number}"))
                .spawn(move || {
                    for job in queue {
                        // The caller learns of a panic by its reply that never comes; the thread serves on.
                        if catch_unwind(AssertUnwindSafe(job)).is_err() {
                            tracing::error!("a storage job panicked");
                        }
                    }
                })
                .map_err(|e| StorageError::io("start", "thread", e))?;
        }
        Ok(Self { jobs, places: Arc::new(Semaphore::new(QUEUE)) })
    }

    /// Runs `work` on a thread of the pool.
    pub async fn run<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, StorageError> + Send + 'static,
    {
        self.start_job(work).await?.result().await
    }

    /// Hands `work` to a thread of the pool and does not wait for its end.
    pub async fn start_job<T, F>(&self, work: F) -> Result<PoolJob<T>, StorageError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, StorageError> + Send + 'static,
    {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| ended())?;
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move || {
            let result = work();
            drop(place);
            // Nobody waits any more when the request was dropped.
            let _nobody = reply.send(result);
        });
        self.jobs.try_send(job).map_err(|_| ended())?;
        Ok(PoolJob(answer))
    }
}

/// Work that a thread of the pool does; it is done whether anybody waits or not.
#[derive(Debug)]
pub(super) struct PoolJob<T>(oneshot::Receiver<Result<T, StorageError>>);

impl<T> PoolJob<T> {
    /// Waits for its end.
    pub async fn result(self) -> Result<T, StorageError> {
        self.0.await.map_err(|_| ended())?
    }
}

fn ended() -> StorageError {
    StorageError::Unavailable { reason: "the node is stopping, or a job failed".to_owned() }
}
