//! What one connection does in a round: step after step until the round ends.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connection::{Connection, Failure, Payload};
use crate::multipart;
use crate::round::Round;
use crate::workload::Operation;

/// How long a connection waits after it could not be made, so that a server that is gone is not hammered.
const CONNECT_PAUSE: Duration = Duration::from_millis(20);

/// What connections did.
#[derive(Debug, Default)]
pub struct Tally {
    /// Time of each good operation, in microseconds.
    pub latencies_us: Vec<u32>,
    /// Bytes of objects and listings.
    pub bytes: u64,
    /// How often what failed.
    pub errors: BTreeMap<Failure, u64>,
    /// Good operations of a mix, by kind.
    pub steps: BTreeMap<Operation, u64>,
    /// Parts that were taken: number and ETag.
    pub etags: Vec<(u64, String)>,
    /// Time of each CompleteMultipartUpload, in microseconds.
    pub completes_us: Vec<u32>,
}

impl Tally {
    /// Adds what another did.
    pub fn add(&mut self, other: Self) {
        self.latencies_us.extend(other.latencies_us);
        self.bytes += other.bytes;
        other.errors.into_iter().for_each(|(failure, count)| *self.errors.entry(failure).or_default() += count);
        other.steps.into_iter().for_each(|(operation, count)| *self.steps.entry(operation).or_default() += count);
        self.etags.extend(other.etags);
        self.completes_us.extend(other.completes_us);
    }
}

/// A duration in whole microseconds, as they are kept.
pub fn microseconds(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// One connection and what it keeps from step to step.
pub struct Worker {
    /// The round that it works for.
    pub round: Arc<Round>,
    /// Its connection.
    pub connection: Connection,
    /// Room for requests.
    pub request: Vec<u8>,
    /// What it did.
    pub tally: Tally,
    /// Steps whose objects it wrote in a mix and has not deleted.
    written: VecDeque<u64>,
}

impl Worker {
    /// A worker for `round`.
    pub fn new(round: Arc<Round>) -> Self {
        let connection = Connection::new(round.site.address);
        Self { round, connection, request: Vec::new(), tally: Tally::default(), written: VecDeque::new() }
    }

    /// Works until the round ends.
    pub async fn work(mut self) -> Tally {
        while let Some(n) = self.round.next_step() {
            let begin = Instant::now();
            let limit = self.round.workload.timeout;
            // A step that takes longer is dropped, and its connection with it.
            let done = tokio::time::timeout(limit, self.step(n)).await.unwrap_or(Err(Failure::TimedOut));
            self.round.progress.step(done.as_ref().copied().unwrap_or(0), done.is_err());
            match done {
                Ok(bytes) => {
                    self.tally.latencies_us.push(microseconds(begin.elapsed()));
                    self.tally.bytes += bytes;
                }
                Err(failure) => {
                    let refused = matches!(failure, Failure::Connect(_));
                    *self.tally.errors.entry(failure).or_default() += 1;
                    if refused {
                        tokio::time::sleep(CONNECT_PAUSE).await;
                    }
                }
            }
        }
        self.tally
    }

    /// Does step `n` and returns the bytes that it moved.
    async fn step(&mut self, n: u64) -> Result<u64, Failure> {
        match self.round.workload.operation {
            Operation::Mixed => self.mixed_step(n).await,
            Operation::Part => multipart::part(self, n).await,
            Operation::Multipart => multipart::upload(self, n).await,
            operation => self.single(operation, n).await,
        }
    }

    /// One exchange of a script.
    async fn single(&mut self, operation: Operation, n: u64) -> Result<u64, Failure> {
        let round = Arc::clone(&self.round);
        let script = round.script(operation)?;
        script.request(&round.site, n, &mut self.request);
        let payload = Payload { pattern: &round.pattern, length: script.body_bytes() };
        let answer = self.connection.exchange(&mut self.request, payload, script.wanted()).await?;
        script.check(&answer)
    }

    async fn mixed_step(&mut self, n: u64) -> Result<u64, Failure> {
        let mut operation = self.round.workload.mix.pick(n);
        // Only what this connection wrote is deleted, so that reads find what they look for.
        let oldest = if operation == Operation::Delete { self.written.pop_front() } else { None };
        if operation == Operation::Delete && oldest.is_none() {
            operation = Operation::Put;
        }
        let bytes = self.single(operation, oldest.unwrap_or(n)).await?;
        if operation == Operation::Put {
            self.written.push_back(n);
        }
        *self.tally.steps.entry(operation).or_default() += 1;
        Ok(bytes)
    }
}
