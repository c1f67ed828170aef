//! The thread on which messages meet. While it hashes, others arrive; it takes all of them together next. So nobody waits
//! for company, and the busier the node, the cheaper each of them.

use std::fmt;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::{Semaphore, oneshot};

use super::lanes::{LANES_MAX, Width};
use super::message::Md5;
use crate::storage::StorageError;

/// Messages that may wait at once; further callers wait before they hand theirs over.
const QUEUE: usize = 256;

struct Job {
    md5: Md5,
    bytes: Vec<u8>,
    reply: oneshot::Sender<(Md5, Vec<u8>)>,
}

/// The way to the thread. Cheap to clone; it ends when the last clone is gone.
#[derive(Clone)]
pub(in crate::storage) struct Md5Thread {
    jobs: Sender<Job>,
    places: Arc<Semaphore>,
}

impl fmt::Debug for Md5Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Md5Thread").field("free", &self.places.available_permits()).finish()
    }
}

impl Md5Thread {
    /// Starts one thread for every two processors: where lanes are wide, one outruns the disk.
    pub fn start(processors: usize) -> Result<Self, StorageError> {
        let (jobs, queue) = bounded(QUEUE);
        let width = Width::detect();
        let threads = if width == Width::None { processors } else { processors.div_ceil(2) };
        for number in 0..threads.max(1) {
            let queue = queue.clone();
            std::thread::Builder::new()
                .name(format!("md5-{number}"))
                .spawn(move || run(width, &queue))
                .map_err(|e| StorageError::io("start", "thread", e))?;
        }
        Ok(Self { jobs, places: Arc::new(Semaphore::new(QUEUE)) })
    }

    /// Takes the next bytes of a message, and gives both back.
    pub async fn update(&self, md5: Md5, bytes: Vec<u8>) -> Result<(Md5, Vec<u8>), StorageError> {
        let ended = || StorageError::Unavailable { reason: "the node is stopping".to_owned() };
        let _place = self.places.acquire().await.map_err(|_| ended())?;
        let (reply, answer) = oneshot::channel();
        self.jobs.try_send(Job { md5, bytes, reply }).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())
    }
}

fn run(width: Width, queue: &Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let mut jobs = vec![first];
        jobs.extend(queue.try_iter().take(LANES_MAX - 1));
        let mut messages: Vec<_> = jobs.iter_mut().map(|job| (&mut job.md5, job.bytes.as_slice())).collect();
        Md5::update_many(width, &mut messages);
        for job in jobs {
            // Nobody waits any more when the request was dropped.
            let _nobody = job.reply.send((job.md5, job.bytes));
        }
    }
}
