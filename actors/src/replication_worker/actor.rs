//! The replication worker: owner of connections and rules, and of the lanes that follow them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, ResponseFuture};
use arc_swap::ArcSwapOption;
use dashmap::DashMap;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::board::Board;
use super::compare::{CompareJob, Comparer};
use super::connections::{self, Connection, ConnectionsFile};
use super::draft::{drafted, missing, random_id};
use super::error::ReplicationError;
use super::lane::{Bell, Lane, Order};
use super::learned::{self, Fill, Learned, LearnedFile};
use super::line::Line;
use super::messages::{
    Compare, ConnectionDraft, ConnectionReport, DeleteConnection, DeleteRule, Keep, PutConnection, PutRule, Reload,
    Resync, SetEnabled, Stop, TestConnection,
};
use super::peer::{Destination, Peer};
use super::rules::{self, Rule, RulesFile};
use super::source::Source;
use crate::audit::AuditLog;
use crate::bucket_config::{BucketReplication, ReplicationLimits, RuleSet};
use crate::clock::SharedClock;
use crate::json_store::{JsonStore, StoreError};
use crate::names::BucketName;
use crate::seal::Sealer;
use crate::storage::QueueName;

/// How often files are looked at, also while nobody asks for anything.
const LOOK: Duration = Duration::from_secs(1);
/// How long after new entries it is listened again: each commit brings some.
const HEAR_AGAIN: Duration = Duration::from_millis(2);
/// How often queues are looked for that belong to no rule, and what is only kept for a time.
const SWEEP: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 60 });
/// How long a test of a connection may take.
const TEST: Duration = Duration::from_secs(15);

/// What is known of a rule at work, shared with those who ask.
#[derive(Debug, Default)]
pub(super) struct Seat {
    pub board: Arc<Board>,
    pub bell: Arc<Bell>,
    pub line: ArcSwapOption<Line>,
    pub compare: ArcSwapOption<CompareJob>,
}

/// The seats of all rules.
pub(super) type Seats = Arc<DashMap<BucketName, Arc<Seat>>>;

/// What the worker starts from.
#[derive(Debug)]
pub(super) struct Tools {
    pub source: Arc<dyn Source>,
    pub peer: Arc<dyn Peer>,
    pub clock: SharedClock,
    pub audit: AuditLog,
    pub sealer: Sealer,
    pub limits: ReplicationLimits,
    pub seats: Seats,
}

/// A lane at work.
#[derive(Debug)]
struct Running {
    seat: Arc<Seat>,
    orders: watch::Sender<Option<Order>>,
    task: Option<JoinHandle<()>>,
}

/// Owns connections and rules.
#[derive(Debug)]
pub(super) struct ReplicationWorker {
    pub(super) connections: JsonStore<ConnectionsFile>,
    pub(super) rules: JsonStore<RulesFile>,
    pub(super) learned: JsonStore<LearnedFile>,
    pub(super) tools: Tools,
    lines: HashMap<Arc<str>, Arc<Line>>,
    lanes: BTreeMap<BucketName, Running>,
    is_stopping: bool,
}

impl ReplicationWorker {
    pub fn new(
        connections: JsonStore<ConnectionsFile>,
        rules: JsonStore<RulesFile>,
        learned: JsonStore<LearnedFile>,
        tools: Tools,
    ) -> Self {
        let (lines, lanes) = (HashMap::new(), BTreeMap::new());
        Self { connections, rules, learned, tools, lines, lanes, is_stopping: false }
    }

    /// Seals secrets that a person wrote. The node can serve without, so a file that cannot be written is only reported.
    pub fn tidy(&mut self) {
        let sealer = &self.tools.sealer;
        let tidied: Result<(), StoreError> = self.connections.edit(self.tools.clock.now(), |file| {
            if let Err(error) = connections::seal_secrets(file, sealer) {
                tracing::error!(%error, "secrets of connections cannot be sealed");
            }
            Ok(())
        });
        if let Err(error) = tidied {
            tracing::error!(%error, "secrets of connections cannot be written back sealed");
        }
    }

    /// Tells Storage which changes are queued for whom.
    pub fn publish(&self) {
        let rules = self.rules.snapshot().load_full();
        let buckets = rules.state.all().map(|rule| (rule.bucket.clone(), self.replication_of(rule))).collect();
        self.tools.source.publish(Arc::new(RuleSet { buckets, limits: self.tools.limits }));
    }

    pub(super) fn learned_of(&self, rule: &Rule) -> Learned {
        self.learned.snapshot().load().state.of(&rule.bucket, &rule.target(), rule.created_at)
    }

    fn replication_of(&self, rule: &Rule) -> BucketReplication {
        let learned = self.learned_of(rule);
        let filled = learned.fill.is_some_and(|fill| fill.done);
        BucketReplication {
            target: rule.target(),
            peer: learned.peer,
            since: rule.created_at,
            filled,
            rules: rule.rules(),
        }
    }

    /// Reads files again that changed, and does what they say.
    fn reload(&mut self, context: &mut Context<Self>) {
        let before = (self.connections.snapshot().load_full(), self.rules.snapshot().load_full());
        let now = self.tools.clock.now();
        self.connections.reload(now);
        self.rules.reload(now);
        let after = (self.connections.snapshot().load_full(), self.rules.snapshot().load_full());
        if !Arc::ptr_eq(&before.0.state, &after.0.state) {
            self.tidy();
        }
        if !Arc::ptr_eq(&before.0.state, &after.0.state) || !Arc::ptr_eq(&before.1.state, &after.1.state) {
            self.follow(context);
        }
    }

    /// Does what connections and rules say now.
    fn follow(&mut self, context: &mut Context<Self>) {
        if self.is_stopping {
            return;
        }
        self.publish();
        let connections = self.connections.snapshot().load_full();
        let is_kept = |line: &Line| {
            let same = |now: &Arc<Connection>| {
                let was = &line.connection;
                now.is_same_place(was)
                    && (now.concurrency, now.bytes_per_second) == (was.concurrency, was.bytes_per_second)
            };
            connections.state.get(&line.connection.id).is_some_and(same)
        };
        self.lines.retain(|_, line| is_kept(line));
        let rules: Vec<_> = self.rules.snapshot().load().state.all().cloned().collect();
        let is_left = |bucket: &BucketName| rules.iter().any(|rule| rule.bucket == *bucket);
        let gone: Vec<_> = self.lanes.keys().filter(|bucket| !is_left(bucket)).cloned().collect();
        for bucket in gone {
            if let Some(running) = self.lanes.remove(&bucket) {
                running.orders.send_replace(None);
                self.tools.seats.remove(&bucket);
                if let Some(job) = running.seat.compare.load_full() {
                    job.cancel();
                }
            }
        }
        for rule in rules {
            self.order(rule, false, context);
        }
    }

    /// Has a lane follow a rule, if it does not yet.
    fn order(&mut self, rule: Arc<Rule>, anew: bool, context: &mut Context<Self>) {
        let line = self.line(&rule.connection);
        let learned = self.learned_of(&rule);
        let order = Order { rules: Arc::new(self.replication_of(&rule)), learned, line, rule };
        let bucket = order.rule.bucket.clone();
        if let Some(running) = self.lanes.get(&bucket) {
            running.seat.line.store(order.line.clone());
            let is_followed = |former: &Option<Order>| {
                former.as_ref().is_some_and(|former| {
                    let line = |order: &Order| order.line.as_ref().map(Arc::as_ptr);
                    former.rule == order.rule && line(former) == line(&order)
                })
            };
            if anew || !is_followed(&running.orders.borrow()) {
                running.orders.send_replace(Some(order));
            }
            return;
        }
        let seat = Arc::new(Seat::default());
        seat.line.store(order.line.clone());
        let (sender, orders) = watch::channel(Some(order));
        let lane = Lane {
            source: Arc::clone(&self.tools.source),
            peer: Arc::clone(&self.tools.peer),
            clock: Arc::clone(&self.tools.clock),
            board: Arc::clone(&seat.board),
            bell: Arc::clone(&seat.bell),
            backlog_max: self.tools.limits.backlog_max,
            orders,
            worker: context.address(),
        };
        let task = Some(actix::spawn(lane.run()));
        self.tools.seats.insert(bucket.clone(), Arc::clone(&seat));
        self.lanes.insert(bucket, Running { seat, orders: sender, task });
    }

    fn line(&mut self, id: &Arc<str>) -> Option<Arc<Line>> {
        if let Some(line) = self.lines.get(id) {
            return Some(Arc::clone(line));
        }
        let connection = Arc::clone(self.connections.snapshot().load().state.get(id)?);
        let line = Arc::new(Line::new(connection, Arc::clone(&self.tools.clock)));
        self.lines.insert(Arc::clone(id), Arc::clone(&line));
        Some(line)
    }

    /// Hears of new entries, for ever.
    fn hear(&mut self, context: &mut Context<Self>) {
        let source = Arc::clone(&self.tools.source);
        let wait = async move { source.filled().await };
        context.spawn(wrap_future(wait).map(|queues, worker: &mut Self, context| {
            for (bucket, running) in &worker.lanes {
                let order = running.orders.borrow();
                let Some(order) = &*order else { continue };
                let Ok(bucket) = worker.tools.source.bucket(bucket) else { continue };
                if queues.contains(&QueueName { bucket: bucket.id, target: order.rules.target.clone() }) {
                    running.seat.bell.ring();
                }
            }
            context.run_later(HEAR_AGAIN, Self::hear);
        }));
    }

    /// Drops rules whose bucket is gone, queues that belong to no rule, and what was learned of rules that are gone.
    fn sweep(&mut self, context: &mut Context<Self>) {
        // While the file is broken nobody knows what it is to say.
        if self.rules.snapshot().load().problem.is_some() || self.is_stopping {
            return;
        }
        if self.forget_rules_of_nothing() {
            self.follow(context);
        }
        let rules = self.rules.snapshot().load_full();
        let source = Arc::clone(&self.tools.source);
        let queue_of =
            |rule: &Arc<Rule>| Some(QueueName { bucket: source.bucket(&rule.bucket).ok()?.id, target: rule.target() });
        let used: Vec<_> = rules.state.all().filter_map(queue_of).collect();
        let is_unused = |queue: &QueueName| !queue.is_of_anybody() && !used.contains(queue);
        let unused: Vec<_> = source.queues().into_iter().filter(is_unused).collect();
        let is_kept = |bucket: &str| rules.state.all().any(|rule| rule.bucket.as_str() == bucket);
        let forgotten: Result<(), StoreError> = self.learned.edit(self.tools.clock.now(), |file| {
            learned::retain(file, is_kept);
            Ok(())
        });
        if let Err(error) = forgotten {
            tracing::warn!(%error, "what was learned of former rules cannot be forgotten");
        }
        let now = self.tools.clock.now();
        context.spawn(wrap_future(async move {
            for queue in unused {
                if let Err(error) = source.drop_former_queue(queue).await {
                    tracing::warn!(%error, "the queue of a former rule cannot be dropped; it is tried again");
                }
            }
            if let Err(error) = source.sweep(now).await {
                tracing::warn!(%error, "replication cannot be put in order; it is tried again");
            }
        }));
    }

    fn compare(&mut self, bucket: &BucketName, repairs: bool) -> Result<Comparer, ReplicationError> {
        let rule = self.rule(bucket)?;
        let seat = self.lanes.get(bucket).map(|running| Arc::clone(&running.seat));
        let seat = seat.ok_or_else(|| ReplicationError::NoSuchRule(bucket.clone()))?;
        if seat.compare.load().as_ref().is_some_and(|job| job.is_running()) {
            return Err(ReplicationError::Conflict("a comparison is at work already; cancel it first"));
        }
        let missing = || ReplicationError::NoSuchConnection(rule.connection.to_string());
        let connection = Arc::clone(&self.line(&rule.connection).ok_or_else(missing)?.connection);
        let job = Arc::new(CompareJob::new(repairs, self.tools.clock.now()));
        let comparer = Comparer {
            source: Arc::clone(&self.tools.source),
            peer: Arc::clone(&self.tools.peer),
            clock: Arc::clone(&self.tools.clock),
            bucket: self.tools.source.bucket(bucket)?,
            rules: Arc::new(self.replication_of(&rule)),
            to: Destination { connection, bucket: Some(Arc::clone(&rule.target_bucket)), terms: None },
            job: Arc::clone(&job),
        };
        seat.compare.store(Some(job));
        Ok(comparer)
    }
}

impl Actor for ReplicationWorker {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.follow(context);
        self.hear(context);
        self.sweep(context);
        context.run_interval(LOOK, Self::reload);
        context.run_interval(SWEEP, Self::sweep);
    }
}

impl Handler<Reload> for ReplicationWorker {
    type Result = Result<(), ReplicationError>;

    fn handle(&mut self, _: Reload, context: &mut Self::Context) -> Self::Result {
        self.reload(context);
        Ok(())
    }
}

impl Handler<PutConnection> for ReplicationWorker {
    type Result = Result<Arc<Connection>, ReplicationError>;

    fn handle(&mut self, message: PutConnection, context: &mut Self::Context) -> Self::Result {
        let connection = self.put_connection(&message.by, message.draft)?;
        self.follow(context);
        Ok(connection)
    }
}

impl Handler<DeleteConnection> for ReplicationWorker {
    type Result = Result<(), ReplicationError>;

    fn handle(&mut self, message: DeleteConnection, context: &mut Self::Context) -> Self::Result {
        self.delete_connection(&message.by, &message.id)?;
        self.follow(context);
        Ok(())
    }
}

impl Handler<TestConnection> for ReplicationWorker {
    type Result = ResponseFuture<Result<ConnectionReport, ReplicationError>>;

    fn handle(&mut self, message: TestConnection, _: &mut Self::Context) -> Self::Result {
        let TestConnection { draft, bucket } = message;
        let known = self.connections.snapshot().load_full();
        // Its name does not matter: nothing is kept.
        let named =
            |id: Arc<str>| drafted(&known.state, ConnectionDraft { name: Some(format!("test-{id}")), ..draft }, &id);
        let connection = random_id().and_then(named);
        let (peer, clock) = (Arc::clone(&self.tools.peer), Arc::clone(&self.tools.clock));
        Box::pin(async move {
            let bucket: Option<Arc<str>> = bucket.map(Arc::from);
            let to = Destination { connection: Arc::new(connection?), bucket: bucket.clone(), terms: None };
            let (started, began) = (clock.now(), Instant::now());
            let answer = tokio::time::timeout(TEST, peer.handshake(&to)).await;
            let took = began.elapsed();
            let took_millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            let handshake = match answer {
                Ok(Ok(handshake)) => handshake,
                Ok(Err(error)) => {
                    return Ok(ConnectionReport {
                        error: Some(error.text),
                        took_millis,
                        ..ConnectionReport::default()
                    });
                }
                Err(_) => {
                    let error = Some(format!("no answer within {} seconds", TEST.as_secs()));
                    return Ok(ConnectionReport { error, took_millis, ..ConnectionReport::default() });
                }
            };
            let skew_millis = handshake.node.map(|node| {
                let middle = started.0.saturating_add(u64::try_from(took.as_nanos() / 2).unwrap_or(u64::MAX));
                let skew = (i128::from(node.time.0) - i128::from(middle)) / 1_000_000;
                i64::try_from(skew).unwrap_or(i64::MAX)
            });
            let missing = missing(&handshake, bucket.as_deref(), skew_millis);
            Ok(ConnectionReport { handshake: Some(handshake), error: None, skew_millis, took_millis, missing })
        })
    }
}

impl Handler<PutRule> for ReplicationWorker {
    type Result = Result<Arc<Rule>, ReplicationError>;

    fn handle(&mut self, message: PutRule, context: &mut Self::Context) -> Self::Result {
        let rule = self.put_rule(&message.by, message.rule)?;
        self.follow(context);
        self.sweep(context);
        Ok(rule)
    }
}

impl Handler<DeleteRule> for ReplicationWorker {
    type Result = Result<(), ReplicationError>;

    fn handle(&mut self, message: DeleteRule, context: &mut Self::Context) -> Self::Result {
        let DeleteRule { by, bucket } = message;
        self.rules.reload(self.tools.clock.now());
        match self.rule(&bucket) {
            Err(_) if by.is_none() => return Ok(()),
            found => drop(found?),
        }
        self.edit_rules(by.as_ref(), |file| {
            rules::remove(file, &bucket);
            Ok(())
        })?;
        self.follow(context);
        self.sweep(context);
        Ok(())
    }
}

impl Handler<SetEnabled> for ReplicationWorker {
    type Result = Result<Arc<Rule>, ReplicationError>;

    fn handle(&mut self, message: SetEnabled, context: &mut Self::Context) -> Self::Result {
        let SetEnabled { by, bucket, enabled } = message;
        self.rules.reload(self.tools.clock.now());
        self.rule(&bucket)?;
        self.edit_rules(Some(&by), |file| {
            rules::set_enabled(file, &bucket, enabled);
            Ok(())
        })?;
        self.follow(context);
        self.rule(&bucket)
    }
}

impl Handler<Resync> for ReplicationWorker {
    type Result = Result<(), ReplicationError>;

    fn handle(&mut self, message: Resync, context: &mut Self::Context) -> Self::Result {
        let rule = self.rule(&message.bucket)?;
        self.keep_fill(&rule, Some(Fill { is_resync: true, ..Fill::default() }))?;
        self.order(rule, true, context);
        Ok(())
    }
}

impl Handler<Compare> for ReplicationWorker {
    type Result = Result<(), ReplicationError>;

    fn handle(&mut self, message: Compare, _: &mut Self::Context) -> Self::Result {
        let comparer = self.compare(&message.bucket, message.repairs)?;
        actix::spawn(comparer.run());
        Ok(())
    }
}

impl Handler<Keep> for ReplicationWorker {
    type Result = Result<(), ReplicationError>;

    fn handle(&mut self, message: Keep, _: &mut Self::Context) -> Self::Result {
        let Keep { bucket, target, created_at, learned } = message;
        let Ok(rule) = self.rule(&bucket) else { return Ok(()) };
        if rule.target() != target || rule.created_at != created_at {
            return Ok(());
        }
        self.learned.edit(self.tools.clock.now(), |file| {
            learned::keep(file, &bucket, &target, created_at, &learned);
            Ok::<_, ReplicationError>(())
        })?;
        self.publish();
        Ok(())
    }
}

impl Handler<Stop> for ReplicationWorker {
    type Result = ResponseFuture<Result<(), ReplicationError>>;

    fn handle(&mut self, _: Stop, _: &mut Self::Context) -> Self::Result {
        self.is_stopping = true;
        let mut tasks = Vec::new();
        for running in self.lanes.values_mut() {
            running.orders.send_replace(None);
            if let Some(job) = running.seat.compare.load_full() {
                job.cancel();
            }
            tasks.extend(running.task.take());
        }
        Box::pin(async move {
            for task in tasks {
                // One that failed has nothing to be waited for.
                let _ended = task.await;
            }
            Ok(())
        })
    }
}
