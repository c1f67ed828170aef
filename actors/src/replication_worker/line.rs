//! A connection in use: how many requests may be under way, how fast, and whether any.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use super::board::Meter;
use super::breaker::{Breaker, Use};
use super::connections::Connection;
use super::peer::{Content, ContentStream};
use crate::clock::SharedClock;
use crate::names::Stamp;
use crate::pace::Pace;
use crate::storage::StorageError;

/// A connection in use by any number of rules.
#[derive(Debug)]
pub(super) struct Line {
    pub connection: Arc<Connection>,
    pub places: Arc<Semaphore>,
    breaker: Mutex<Breaker>,
    pace: Option<Arc<Mutex<Pace>>>,
    clock: SharedClock,
    /// Rung when it may be used again.
    freed: Notify,
}

impl Line {
    pub fn new(connection: Arc<Connection>, clock: SharedClock) -> Self {
        let now = clock.now();
        let pace = connection.bytes_per_second.map(|rate| Arc::new(Mutex::new(Pace::new(rate, now))));
        let places = Arc::new(Semaphore::new(usize::from(connection.concurrency)));
        Self { connection, places, breaker: Mutex::default(), pace, clock, freed: Notify::new() }
    }

    /// What it may be used for now.
    pub fn ask(&self) -> Use {
        self.breaker.lock().ask(self.clock.now())
    }

    pub fn answered(&self) {
        let mut breaker = self.breaker.lock();
        let was_free = breaker.trouble().is_none();
        breaker.answered();
        drop(breaker);
        if !was_free {
            self.freed.notify_waiters();
        }
    }

    pub fn unreachable(&self, reason: &str) {
        self.breaker.lock().unreachable(reason, self.clock.now());
        self.freed.notify_waiters();
    }

    pub fn throttled(&self, retry_after: Option<Duration>, reason: &str) {
        self.breaker.lock().throttled(retry_after, reason, self.clock.now());
        self.freed.notify_waiters();
    }

    /// A probe was given up before it told anything.
    pub fn unasked(&self) {
        self.breaker.lock().unasked(self.clock.now());
        self.freed.notify_waiters();
    }

    pub fn hurry(&self) {
        self.breaker.lock().hurry(self.clock.now());
        self.freed.notify_waiters();
    }

    /// Why it may not be used, and until when; none while it may.
    pub fn trouble(&self) -> Option<(String, Option<Stamp>)> {
        self.breaker.lock().trouble()
    }

    /// Waits until something changes about it.
    pub async fn changed(&self) {
        self.freed.notified().await;
    }

    /// The same bytes, no faster than the connection may send, and counted.
    pub fn paced(&self, content: Arc<dyn Content>, meter: Arc<Meter>) -> Arc<dyn Content> {
        Arc::new(PacedContent { content, pace: self.pace.clone(), clock: Arc::clone(&self.clock), meter })
    }
}

#[derive(Debug)]
struct PacedContent {
    content: Arc<dyn Content>,
    pace: Option<Arc<Mutex<Pace>>>,
    clock: SharedClock,
    meter: Arc<Meter>,
}

impl Content for PacedContent {
    fn read(&self, range: Range<u64>) -> Result<ContentStream, StorageError> {
        let stream = self.content.read(range)?;
        let (pace, clock, meter) = (self.pace.clone(), Arc::clone(&self.clock), Arc::clone(&self.meter));
        let paced = stream.then(move |chunk| {
            let size = chunk.as_ref().map_or(0, bytes::Bytes::len);
            let now = clock.now();
            meter.bytes(size as u64, now);
            let wait = pace.as_ref().map_or(Duration::ZERO, |pace| pace.lock().take(size, now));
            async move {
                if !wait.is_zero() {
                    tokio::time::sleep(wait).await;
                }
                chunk
            }
        });
        Ok(paced.boxed())
    }
}
