//! The only way to the replication worker: what is asked often is answered from what it publishes, changes go through its mailbox.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor as _, ArbiterHandle};

use super::actor::{ReplicationWorker, Seats, Tools};
use super::board::{Circuit, OVERFLOWED, RuleState, Throughput, lag};
use super::compare::Comparison;
use super::connections::{Connection, Connections, ConnectionsFile};
use super::error::ReplicationError;
use super::fill::settle_parked;
use super::learned::{Fill, LearnedFile};
use super::messages::{
    Compare, ConnectionDraft, ConnectionReport, DeleteConnection, DeleteRule, PutConnection, PutRule, Reload, Resync,
    SetEnabled, Stop, TestConnection,
};
use super::peer::Peer;
use super::rules::{Rule, Rules, RulesFile};
use super::schedule::FailingChange;
use super::source::{NodeSource, Source};
use crate::audit::{AuditLog, ChangeOrigin};
use crate::bucket_config::ReplicationLimits;
use crate::call::Door;
use crate::clock::SharedClock;
use crate::json_store::{FileProblem, JsonStore, Snapshot};
use crate::kms::KmsClient;
use crate::names::{BucketName, Stamp};
use crate::seal::Sealer;
use crate::storage::{
    QueueName, QueueTotals, QueuedChange, ReplicationTray, SettleChanges, SettledChange, Slot, StorageClient,
};

const CALLS_MAX: usize = 256;
const DEADLINE: Duration = Duration::from_secs(30);
/// Parked entries that are looked at for their reasons.
const REASONS_OF: usize = 10_000;

/// What the worker starts from.
#[derive(Debug, Clone)]
pub struct ReplicationSettings {
    /// `connections.json`; need not exist.
    pub connections_path: PathBuf,
    /// `replication_rules.json`; need not exist.
    pub rules_path: PathBuf,
    /// Where it is kept what was learned of them; need not exist.
    pub state_path: PathBuf,
    /// Seals the secrets of connections.
    pub sealer: Sealer,
    /// Is told of every change.
    pub audit: AuditLog,
    /// Bounds of what is kept.
    pub limits: ReplicationLimits,
}

/// The client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ReplicationClient {
    door: Door<ReplicationWorker>,
    connections: Snapshot<Connections>,
    rules: Snapshot<Rules>,
    paths: Arc<(PathBuf, PathBuf)>,
    source: Arc<dyn Source>,
    seats: Seats,
    clock: SharedClock,
}

/// How the replication of a bucket fares.
#[derive(Debug, Clone)]
pub struct RuleStatus {
    /// The rule.
    pub rule: Arc<Rule>,
    /// Its connection, if it is there.
    pub connection: Option<Arc<Connection>>,
    /// How it fares.
    pub state: RuleState,
    /// Whether its connection's circuit breaker lets requests through.
    pub circuit: Circuit,
    /// What waits.
    pub totals: QueueTotals,
    /// Age of the oldest change that waits.
    pub lag: Duration,
    /// What was sent.
    pub throughput: Throughput,
    /// Transfers under way.
    pub under_way: usize,
    /// Attempts that failed since the start.
    pub failures: u64,
    /// Changes that lost against others at the target, since the start.
    pub lost: u64,
    /// Changes that the target knew already, since the start.
    pub known: u64,
    /// Changes that failed and are tried again, some of them.
    pub failing: Vec<FailingChange>,
    /// How far a back-fill or resync is.
    pub fill: Option<Fill>,
}

/// Parked changes of one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedReason {
    /// The reason.
    pub reason: String,
    /// How many.
    pub changes: u64,
    /// One of them.
    pub example: Slot,
}

impl ReplicationClient {
    /// Reads connections and rules, has Storage queue what they are about, and starts the actor on `arbiter`. Errs: a file cannot be
    /// read or has a mistake.
    pub fn start(
        settings: ReplicationSettings,
        storage: StorageClient,
        kms: KmsClient,
        peer: Arc<dyn Peer>,
        clock: SharedClock,
        arbiter: &ArbiterHandle,
    ) -> Result<Self, ReplicationError> {
        Self::start_with(settings, Arc::new(NodeSource { storage, kms }), peer, clock, arbiter)
    }

    /// Calls that wait for the actor, or for its answer.
    pub fn calls(&self) -> usize {
        self.door.calls()
    }

    pub(super) fn start_with(
        settings: ReplicationSettings,
        source: Arc<dyn Source>,
        peer: Arc<dyn Peer>,
        clock: SharedClock,
        arbiter: &ArbiterHandle,
    ) -> Result<Self, ReplicationError> {
        let ReplicationSettings { connections_path, rules_path, state_path, sealer, audit, limits } = settings;
        let file = ConnectionsFile { sealer: sealer.clone(), audit: audit.clone() };
        let connections = JsonStore::open(connections_path.clone(), file, None, &ConnectionsFile::empty())?;
        let file = RulesFile { audit: audit.clone() };
        let rules = JsonStore::open(rules_path.clone(), file, None, &RulesFile::empty())?;
        let learned = JsonStore::open(state_path, LearnedFile, None, &LearnedFile::empty())?;
        let (connections_now, rules_now, seats) = (connections.snapshot(), rules.snapshot(), Seats::default());
        let tools = Tools {
            source: Arc::clone(&source),
            peer,
            clock: Arc::clone(&clock),
            audit,
            sealer,
            limits,
            seats: Arc::clone(&seats),
        };
        let mut actor = ReplicationWorker::new(connections, rules, learned, tools);
        if connections_now.load().exists() {
            actor.tidy();
        }
        // Before the first request: every change counts.
        actor.publish();
        let address = ReplicationWorker::start_in_arbiter(arbiter, move |_| actor);
        Ok(Self {
            door: Door::new(address, CALLS_MAX, DEADLINE),
            connections: connections_now,
            rules: rules_now,
            paths: Arc::new((connections_path, rules_path)),
            source,
            seats,
            clock,
        })
    }

    /// Takes up hand edits, if there are any.
    pub async fn refresh(&self) -> Result<(), ReplicationError> {
        self.refresh_since(Instant::now()).await
    }

    /// Takes up hand edits, if there are any from before `arrived`.
    pub async fn refresh_since(&self, arrived: Instant) -> Result<(), ReplicationError> {
        let (connections, rules) = &*self.paths;
        if self.connections.load().is_current_for_request(connections, arrived)
            && self.rules.load().is_current_for_request(rules, arrived)
        {
            return Ok(());
        }
        Ok(self.door.call(Reload).await?)
    }

    /// Why a file's present content is not in force; empty while both are.
    pub fn problems(&self) -> Vec<FileProblem> {
        [self.connections.load().problem.clone(), self.rules.load().problem.clone()].into_iter().flatten().collect()
    }

    /// All connections in the order of their file.
    pub fn connections(&self) -> Vec<Arc<Connection>> {
        self.connections.load().state.all().to_vec()
    }

    /// The connection of this id, or the only one of this name.
    pub fn connection(&self, id_or_name: &str) -> Option<Arc<Connection>> {
        self.connections.load().state.find(id_or_name).cloned()
    }

    /// Makes a connection, or changes the one of the draft's id. Errs: NoSuchConnection, ConnectionExists, Invalid.
    pub async fn put_connection(
        &self,
        by: ChangeOrigin,
        draft: ConnectionDraft,
    ) -> Result<Arc<Connection>, ReplicationError> {
        Ok(self.door.call(PutConnection { by, draft }).await?)
    }

    /// Removes a connection. Errs: NoSuchConnection, ConnectionInUse.
    pub async fn delete_connection(&self, by: ChangeOrigin, id: String) -> Result<(), ReplicationError> {
        Ok(self.door.call(DeleteConnection { by, id }).await?)
    }

    /// Asks a target who is there and what may be done, in a bucket if one is named. What the draft leaves out is as in the connection
    /// of its id. Nothing is kept. Errs: NoSuchConnection, Invalid.
    pub async fn test_connection(
        &self,
        draft: ConnectionDraft,
        bucket: Option<String>,
    ) -> Result<ConnectionReport, ReplicationError> {
        Ok(self.door.call(TestConnection { draft, bucket }).await?)
    }

    /// The rules of all buckets, in order of these.
    pub fn rules(&self) -> Vec<Arc<Rule>> {
        self.rules.load().state.all().cloned().collect()
    }

    /// How a bucket is replicated. Errs: NoSuchRule.
    pub fn rule(&self, bucket: &BucketName) -> Result<Arc<Rule>, ReplicationError> {
        let rules = self.rules.load();
        rules.state.get(bucket).cloned().ok_or_else(|| ReplicationError::NoSuchRule(bucket.clone()))
    }

    /// Replicates a bucket so; `connection` of the rule may be an id or a name, and `created_at` is set here. When it is replicated to
    /// the same place already, that goes on. Errs: NoSuchConnection, Invalid.
    pub async fn put_rule(&self, by: ChangeOrigin, rule: Rule) -> Result<Arc<Rule>, ReplicationError> {
        Ok(self.door.call(PutRule { by, rule }).await?)
    }

    /// Replicates a bucket no more, and drops its queue. Errs: NoSuchRule.
    pub async fn delete_rule(&self, by: ChangeOrigin, bucket: BucketName) -> Result<(), ReplicationError> {
        Ok(self.door.call(DeleteRule { by: Some(by), bucket }).await?)
    }

    /// The bucket is gone, and with it how it was replicated. To be called when one was deleted.
    pub async fn bucket_deleted(&self, bucket: BucketName) -> Result<(), ReplicationError> {
        if self.rule(&bucket).is_err() {
            return Ok(());
        }
        Ok(self.door.call(DeleteRule { by: None, bucket }).await?)
    }

    /// Pauses or resumes. What changes meanwhile waits. Errs: NoSuchRule.
    pub async fn set_enabled(
        &self,
        by: ChangeOrigin,
        bucket: BucketName,
        enabled: bool,
    ) -> Result<Arc<Rule>, ReplicationError> {
        Ok(self.door.call(SetEnabled { by, bucket, enabled }).await?)
    }

    /// Sends everything again that the rule is about. Errs: NoSuchRule.
    pub async fn resync(&self, bucket: BucketName) -> Result<(), ReplicationError> {
        Ok(self.door.call(Resync { bucket }).await?)
    }

    /// How the replication of a bucket fares. Errs: NoSuchRule, Storage.
    pub fn status(&self, bucket: &BucketName) -> Result<RuleStatus, ReplicationError> {
        self.status_of(self.rule(bucket)?)
    }

    /// How all of them fare; for listings and metrics.
    pub fn statuses(&self) -> Vec<RuleStatus> {
        // What cannot be read is missing for once.
        self.rules().into_iter().filter_map(|rule| self.status_of(rule).ok()).collect()
    }

    fn status_of(&self, rule: Arc<Rule>) -> Result<RuleStatus, ReplicationError> {
        let now: Stamp = self.clock.now();
        let totals = match self.queue(&rule) {
            Ok(queue) => self.source.totals(&queue)?,
            Err(_) => QueueTotals::default(),
        };
        let seat = self.seats.get(&rule.bucket).map(|seat| Arc::clone(&seat));
        let notes = seat.as_ref().map(|seat| seat.board.notes()).unwrap_or_default();
        let line = seat.as_ref().and_then(|seat| seat.line.load_full());
        let trouble = line.as_ref().and_then(|line| line.trouble());
        let circuit = Circuit::of(trouble.as_ref());
        let is_incomplete = notes.overflowed || totals.overflowed;
        let state = match (rule.enabled, trouble, notes.failed) {
            (false, ..) => RuleState::Paused,
            // Also while the target is away: more than time is needed.
            (true, ..) if is_incomplete => RuleState::Failed(OVERFLOWED.to_owned()),
            (true, Some((reason, until)), _) => RuleState::Offline { reason, until },
            (true, None, Some(reason)) => RuleState::Failed(reason),
            (true, None, None) => RuleState::Active,
        };
        Ok(RuleStatus {
            connection: self.connection(&rule.connection),
            state,
            circuit,
            totals,
            lag: lag(totals.oldest, now),
            throughput: seat.map(|seat| seat.board.meter.read(now)).unwrap_or_default(),
            under_way: notes.under_way,
            failures: notes.failures,
            lost: notes.lost,
            known: notes.known,
            failing: notes.failing,
            fill: notes.fill,
            rule,
        })
    }

    fn queue(&self, rule: &Rule) -> Result<QueueName, ReplicationError> {
        Ok(QueueName { bucket: self.source.bucket(&rule.bucket)?.id, target: rule.target() })
    }

    /// Changes that are parked, oldest first, behind `after`. Errs: NoSuchRule, Storage.
    pub async fn parked(
        &self,
        bucket: &BucketName,
        after: Option<(Stamp, Slot)>,
        limit: usize,
    ) -> Result<Vec<QueuedChange>, ReplicationError> {
        self.page(bucket, ReplicationTray::Parked, after, limit).await
    }

    /// Changes that wait to be sent, oldest first, behind `after`. Errs: NoSuchRule, Storage.
    pub async fn pending(
        &self,
        bucket: &BucketName,
        after: Option<(Stamp, Slot)>,
        limit: usize,
    ) -> Result<Vec<QueuedChange>, ReplicationError> {
        self.page(bucket, ReplicationTray::Pending, after, limit).await
    }

    async fn page(
        &self,
        bucket: &BucketName,
        tray: ReplicationTray,
        after: Option<(Stamp, Slot)>,
        limit: usize,
    ) -> Result<Vec<QueuedChange>, ReplicationError> {
        let queue = self.queue(&*self.rule(bucket)?)?;
        Ok(self.source.page(queue, tray, after, limit.min(1000)).await?)
    }

    /// Why changes are parked, the most frequent reason first; of many, the oldest count. Errs: NoSuchRule, Storage.
    pub async fn parked_reasons(&self, bucket: &BucketName) -> Result<Vec<ParkedReason>, ReplicationError> {
        let (mut reasons, mut after, mut looked_at) = (BTreeMap::<String, (u64, Slot)>::new(), None, 0);
        while looked_at < REASONS_OF {
            let page = self.parked(bucket, after, 1000).await?;
            let Some(last) = page.last() else { break };
            after = Some((last.since, last.slot.clone()));
            looked_at += page.len();
            for entry in page {
                let reason = entry.parked.unwrap_or_default();
                reasons.entry(reason).or_insert_with(|| (0, entry.slot)).0 += 1;
            }
        }
        let mut reasons: Vec<_> =
            reasons.into_iter().map(|(reason, (changes, example))| ParkedReason { reason, changes, example }).collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.changes));
        Ok(reasons)
    }

    /// Tries parked changes again, these or all, and has nothing wait any longer. Answers how many. Errs: NoSuchRule, Storage.
    pub async fn retry(&self, bucket: &BucketName, slots: Option<&[Slot]>) -> Result<usize, ReplicationError> {
        let settled = self.settle(bucket, slots, SettledChange::Pending).await?;
        if let Some(seat) = self.seats.get(bucket).map(|seat| Arc::clone(&seat)) {
            if let Some(line) = seat.line.load_full() {
                line.hurry();
            }
            seat.bell.rewind();
        }
        Ok(settled)
    }

    /// Forgets parked changes, these or all: the target stays as it is there, and their objects tell that they failed. Answers how many.
    /// Errs: NoSuchRule, Storage.
    pub async fn dismiss(&self, bucket: &BucketName, slots: Option<&[Slot]>) -> Result<usize, ReplicationError> {
        self.settle(bucket, slots, SettledChange::Dismissed).await
    }

    async fn settle(
        &self,
        bucket: &BucketName,
        slots: Option<&[Slot]>,
        outcome: SettledChange,
    ) -> Result<usize, ReplicationError> {
        let queue = self.queue(&*self.rule(bucket)?)?;
        let Some(slots) = slots else { return Ok(settle_parked(&*self.source, &queue, &outcome).await?) };
        let mut settled = 0;
        for slots in slots.chunks(SettleChanges::CHANGES_MAX) {
            let found = slots.iter().filter_map(|slot| self.source.entry(&queue, slot).transpose());
            let found: Vec<QueuedChange> = found.collect::<Result<_, _>>()?;
            let parked = found.into_iter().filter(|entry| entry.parked.is_some());
            let changes: Vec<_> = parked.map(|entry| (entry.slot, entry.mark, outcome.clone())).collect();
            if !changes.is_empty() {
                settled += self.source.settle(SettleChanges { queue: queue.clone(), changes }).await?;
            }
        }
        Ok(settled)
    }

    /// Begins to compare a bucket with its target; what is missing or different there is queued if `repairs`. Errs: NoSuchRule,
    /// NoSuchConnection, Conflict.
    pub async fn compare(&self, bucket: BucketName, repairs: bool) -> Result<(), ReplicationError> {
        Ok(self.door.call(Compare { bucket, repairs }).await?)
    }

    /// What the last comparison has found so far; none when there was none since the start.
    pub fn comparison(&self, bucket: &BucketName) -> Option<Comparison> {
        let seat = Arc::clone(&*self.seats.get(bucket)?);
        let job = seat.compare.load_full()?;
        Some(job.report())
    }

    /// Ends a comparison after the page that is under way.
    pub fn cancel_comparison(&self, bucket: &BucketName) {
        let job = self.seats.get(bucket).and_then(|seat| seat.compare.load_full());
        if let Some(job) = job {
            job.cancel();
        }
    }

    /// Sends no more. To be called before Storage stops.
    pub async fn stop(&self) -> Result<(), ReplicationError> {
        Ok(self.door.call(Stop).await?)
    }
}
