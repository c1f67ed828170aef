//! From a message to a transaction: what a mutation changes, decided against the rows as they are at its turn.
//!
//! The committer calls these rules one after the other, so a precondition that holds here holds when the batch is durable.
//! They read rows and hand out stamps; they do no I/O of their own.

mod adopt;
mod bucket;
mod change;
mod conflicts;
mod copies;
mod drop_replication;
mod events;
mod expecting;
mod key_use;
mod lineage;
mod multipart;
mod object;
mod pass_on;
mod queue;
mod quota;
mod reencryption;
mod replica;
mod scrub;
mod times;
mod versions;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub(super) use adopt::{Adopt, Taken, adopted_row, is_same, must_stay};
pub(super) use bucket::{DropBucket, NewBucket};
pub(super) use conflicts::{EndConflict, EndConflicts, ForgetTombstones};
pub(super) use drop_replication::{DropLeftovers, DropQueue};
pub(super) use expecting::Expecting;
pub(super) use multipart::{EndUpload, Finish, FinishedFile, NewPart, NewUpload};
pub(super) use object::{ObjectWrite, Relocate, check_conditions, place_of};
pub(super) use pass_on::PassOn;
pub(super) use scrub::{KeepScrub, MarkDamaged, MarkDamagedPart, RepairObject};
#[cfg(test)]
pub(super) use times::kept;
pub(super) use versions::marker;

use quota::Growth;

use super::disk::FileStamp;
use super::feed::EventFeed;
use super::index::{RowChange, RowVisitor};
use super::journal::Entry;
use super::messages::{Bucket, ObjectEvent, Origin, OutboxQueue, QueueName, QuotaScope, QuotaWarning, Usage};
use super::overlay::{Rows, merge};
use super::quota::meters::{Meter, Meters};
use super::quota::{Charge, Ledger};
use super::replication::Replication;
use super::rows::{self, QueueTotalsRow, UsageRow};
use super::steps::Step;
use super::{StorageError, keys};
use crate::bucket_config::QuotaLimits;
use crate::clock::SharedClock;
use crate::names::{BucketId, BucketName, Stamp};

/// A change of state, as the committer takes it.
pub(super) trait Mutation: Send + 'static {
    /// What a success answers.
    type Output: Send + 'static;
    /// Plans the change. An error leaves no trace: the planner drops what was planned so far.
    fn plan(self, planner: &mut Planner<'_>) -> Result<Self::Output, StorageError>;
}

/// What readers must learn once a batch is durable.
#[derive(Debug)]
pub(super) enum Effect {
    /// The bucket is new, or another than it was.
    BucketIs(Arc<Bucket>),
    BucketDeleted(BucketName, BucketId),
    UsageChanged(BucketId, Usage),
    /// The object of this stamp has its bytes in the entry's body, or in this staged file, until its own file stands.
    BytesPending(Stamp, Option<String>),
    /// The object of this stamp is a file that stands at its place already, for now under this size and time.
    BytesInPlace(Stamp, FileStamp),
    /// A target's queue has a new event.
    Queued(OutboxQueue),
    /// Something happened that somebody listens to.
    Happened(Arc<ObjectEvent>),
    /// A meter is what it was not; none when nothing asks for it any more.
    MeterIs(QuotaScope, Option<Meter>),
    /// A quota has these limits; none when it ends. The thresholds that it comes to by them are told, unless they are `known`.
    LimitsAre {
        scope: QuotaScope,
        limits: Option<QuotaLimits>,
        known: bool,
    },
    /// A quota has come to a warning threshold.
    Warned(Arc<QuotaWarning>),
    /// Sums over a replication queue; none when it is no more.
    QueueIs(QueueName, Option<QueueTotalsRow>),
    /// A replication queue has a new entry.
    ToBeSent(QueueName),
    /// An upload ended; its part table entry can go.
    UploadEnded(crate::names::UploadId),
}

/// What the committer knows beside the rows.
#[derive(Debug)]
pub(super) struct State {
    pub buckets: HashMap<BucketName, Arc<Bucket>>,
    pub usage: HashMap<BucketId, Usage>,
    pub meters: Meters,
    pub ledger: Arc<Ledger>,
    pub bucket_id_next: u64,
    pub stamp_last: Stamp,
    pub clock: SharedClock,
    pub feed: Arc<EventFeed>,
    pub replication: Arc<Replication>,
    /// Sums over the replication queues that there are.
    pub queues: HashMap<QueueName, QueueTotalsRow>,
    /// Stamps of one key differ by at least this many nanoseconds.
    pub time_step: u64,
    /// Whether the file system takes names that differ in case for the same.
    pub folds_case: bool,
    /// Longest key that still fits a path below the root, in bytes.
    pub plain_key_bytes_max: usize,
}

/// Rows inside a batch: those of earlier mutations of the batch over the live ones.
pub(super) struct BatchRows<'a> {
    pub staged: BTreeMap<Vec<u8>, Option<Arc<[u8]>>>,
    pub live: &'a dyn Rows,
}

impl Rows for BatchRows<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Arc<[u8]>>, StorageError> {
        match self.staged.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.live.get(key),
        }
    }

    fn scan(&self, start: &[u8], end: &[u8], row: &mut RowVisitor<'_>) -> Result<(), StorageError> {
        let within = self.staged.range(start.to_vec()..).take_while(|(k, _)| end.is_empty() || k.as_slice() < end);
        let staged: Vec<_> = within.map(|(k, v)| (k.clone(), v.clone())).collect();
        merge(staged.iter(), row, |row| self.live.scan(start, end, row))
    }
}

/// Gathers one transaction.
pub(super) struct Planner<'a> {
    pub rows: &'a dyn Rows,
    pub state: &'a mut State,
    /// Who asks; none is the node itself.
    pub origin: Option<Arc<Origin>>,
    pub entry: Entry,
    pub effects: Vec<Effect>,
    /// The bucket that it is about.
    subject: Option<Arc<Bucket>>,
    /// The same, if that keeps times.
    timed: Option<Arc<Bucket>>,
    /// What it does to parts, as meters count it.
    moves: Vec<quota::Move>,
    /// What it has posted to quotas; taken back when it is dropped.
    charge: Option<Charge>,
}

impl<'a> Planner<'a> {
    pub fn new(rows: &'a dyn Rows, state: &'a mut State) -> Self {
        Self {
            rows,
            state,
            origin: None,
            entry: Entry::default(),
            effects: Vec::new(),
            subject: None,
            timed: None,
            moves: Vec::new(),
            charge: None,
        }
    }

    /// Adds what the planned changes ask for beside themselves. The last of a plan.
    pub fn finish(&mut self) -> Result<(), StorageError> {
        self.keep_times()?;
        match self.charge {
            Some(_) => Ok(()),
            None => self.charge(None, Growth::Within),
        }
    }

    /// What was planned.
    pub fn into_parts(self) -> (Entry, Vec<Effect>, Option<Charge>) {
        (self.entry, self.effects, self.charge)
    }

    /// Sets or removes a row; answers the number of the change within the entry.
    pub fn change(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) -> u32 {
        self.entry.changes.push((key, value.map(Arc::from)) as RowChange);
        u32::try_from(self.entry.changes.len() - 1).unwrap_or(u32::MAX)
    }

    pub fn step(&mut self, step: Step) {
        self.entry.steps.push(step);
    }

    /// The bucket as it is now, if it is still the one that the request was authorised for.
    pub fn live(&mut self, bucket: &Bucket) -> Result<Arc<Bucket>, StorageError> {
        let now = self.state.buckets.get(&bucket.name).filter(|now| now.id == bucket.id).map(Arc::clone);
        let now = now.ok_or_else(|| StorageError::NoSuchBucket { bucket: bucket.name.clone() })?;
        self.concerns(&now);
        Ok(now)
    }

    /// Has the transaction keep what its bucket keeps beside the rows that change: times, and quotas.
    pub fn concerns(&mut self, bucket: &Arc<Bucket>) {
        self.subject = Some(Arc::clone(bucket));
        self.timed = bucket.config.keeps_times.then(|| Arc::clone(bucket));
    }

    /// The time of this commit: later than any stamp before it, and distinguishable from `previous` of the same key.
    pub fn stamp(&mut self, previous: Option<Stamp>) -> Stamp {
        let step = self.state.time_step;
        let beyond = previous.map_or(0, |p| p.0 - p.0 % step + step);
        let now = self.state.clock.now().0.max(self.state.stamp_last.0 + 1).max(beyond);
        self.state.stamp_last = Stamp(now);
        Stamp(now)
    }

    /// A bucket's counters, as the transaction leaves them.
    fn usage(&self, bucket: BucketId) -> Usage {
        let changed = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::UsageChanged(id, usage) if *id == bucket => Some(*usage),
            _ => None,
        });
        changed.or_else(|| self.state.usage.get(&bucket).copied()).unwrap_or_default()
    }

    /// Changes a bucket's counters.
    pub fn count(&mut self, bucket: BucketId, change: impl FnOnce(&mut Usage)) -> Result<(), StorageError> {
        let mut usage = self.usage(bucket);
        change(&mut usage);
        let row = rows::encode(&UsageRow::from(usage))?;
        self.change_again(keys::usage(bucket), row);
        self.effects.push(Effect::UsageChanged(bucket, usage));
        Ok(())
    }
}

/// 64 bits that cannot be guessed.
pub(super) fn random() -> Result<u64, StorageError> {
    getrandom::u64().map_err(|e| StorageError::io("draw", "random bits", std::io::Error::other(e)))
}
