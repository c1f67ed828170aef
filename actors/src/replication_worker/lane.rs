//! The work on one rule: reads its queue, sends, has rows settled, walks over what was there before. A task of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::Addr;
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};

use super::actor::ReplicationWorker;
use super::board::Board;
use super::breaker::Use;
use super::learned::{Fill, Learned};
use super::line::Line;
use super::messages::Keep;
use super::peer::{Destination, Handshake, Peer, PeerError, PeerErrorKind};
use super::retry::{Retry, Waits};
use super::rules::Rule;
use super::schedule::{Place, Schedule, Verdict};
use super::source::Source;
use super::transfer::{Courier, Ended};
use crate::bucket_config::BucketReplication;
use crate::clock::SharedClock;
use crate::names::{NodeId, Stamp};
use crate::storage::{
    Bucket, EnqueueChanges, QueueName, QueuedChange, ReplicationTray, SettleChanges, SettledChange, Slot, SlotState,
    StorageError, WalkPosition,
};

/// How long transfers that are under way may take when the work ends.
const DRAIN: Duration = Duration::from_secs(5);
/// How often it is looked whether anything was missed, and the figures are brought up to date.
const TICK: Duration = Duration::from_secs(1);
/// How often a target is asked what may be done there.
const GREET: Duration = Duration::from_secs(60);
/// The same while something is refused.
const GREET_SOON: Duration = Duration::from_secs(5);
/// Waits after a target could not even be asked, or Storage was busy.
const WAITS: Waits = Waits { first: Duration::from_secs(1), longest: Duration::from_secs(30) };
/// A back-fill goes on only while fewer entries wait.
const FILL_BELOW: u64 = 1024;
/// How often it is kept how far a back-fill is.
const KEEP: Duration = Duration::from_secs(5);

/// What a lane is to do.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub rule: Arc<Rule>,
    pub rules: Arc<BucketReplication>,
    /// Its connection; none when there is no such connection.
    pub line: Option<Arc<Line>>,
    pub learned: Learned,
}

/// What wakes a lane, and why.
#[derive(Debug, Default)]
pub(super) struct Bell {
    notify: Notify,
    rewind: AtomicBool,
}

impl Bell {
    /// There are new entries.
    pub fn ring(&self) {
        self.notify.notify_one();
    }

    /// There may be entries anywhere, and nothing waits any longer.
    pub fn rewind(&self) {
        self.rewind.store(true, Ordering::SeqCst);
        self.notify.notify_one();
    }
}

/// The task and what it works with.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub source: Arc<dyn Source>,
    pub peer: Arc<dyn Peer>,
    pub clock: SharedClock,
    pub board: Arc<Board>,
    pub bell: Arc<Bell>,
    /// None ends it.
    pub orders: watch::Receiver<Option<Order>>,
    pub worker: Addr<ReplicationWorker>,
}

impl Lane {
    /// Works until it is told to end.
    pub async fn run(mut self) {
        let mut is_first = true;
        loop {
            let Some(order) = self.orders.borrow_and_update().clone() else { return };
            if let Err(reason) = self.follow(&order, std::mem::take(&mut is_first)).await {
                self.board.fail(Some(reason));
                // What is missing may come.
                let _or_not = tokio::time::timeout(GREET_SOON, self.orders.changed()).await;
            }
        }
    }

    /// Follows an order until there is another. Errs: why it cannot be followed for now.
    async fn follow(&mut self, order: &Order, is_first: bool) -> Result<(), String> {
        if !order.rule.enabled {
            self.board.fail(None);
            self.board.show(0, std::iter::empty());
            // An error means that nobody gives orders any more.
            let _ = self.orders.changed().await;
            return Ok(());
        }
        let Some(line) = &order.line else {
            return Err(format!("no connection has the id {:?}", order.rule.connection));
        };
        let bucket = self.source.bucket(&order.rule.bucket).map_err(|error| error.to_string())?;
        let queue = QueueName { bucket: bucket.id, target: order.rules.target.clone() };
        self.board.fail(None);
        let mut work = Work {
            lane: self.clone(),
            order: order.clone(),
            learned: order.learned.clone(),
            line: Arc::clone(line),
            bucket,
            queue,
            schedule: Schedule::default(),
            tasks: FuturesUnordered::new(),
            unsettled: Vec::new(),
            is_settling: false,
            waits_for_place: false,
            place: None,
            terms: None,
            greeting: Greeting::Due,
            greet_retry: Retry::new(WAITS),
            storage_retry: Retry::new(WAITS),
            rests_until: None,
            is_walking: false,
            kept: Instant::now(),
            ticked: Instant::now(),
        };
        if !is_first {
            // Somebody has resumed the rule, or changed something about it.
            work.unpark();
        }
        work.run(&mut self.orders).await
    }
}

/// What a task of the work has come to.
enum Event {
    Sent(Place, Stamp, Ended, OwnedSemaphorePermit),
    Read(Result<Vec<QueuedChange>, StorageError>),
    Settled(Vec<(Place, Stamp, SettledChange)>, Result<usize, StorageError>),
    Walked(Result<Walked, StorageError>),
    Greeted(Result<Handshake, PeerError>),
    Place(Option<OwnedSemaphorePermit>),
    Dropped(Result<(), StorageError>),
    Nothing,
}

struct Walked {
    next: Option<WalkPosition>,
    looked_at: u64,
    queued: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Greeting {
    Due,
    UnderWay,
    Since(Instant),
}

struct Work {
    lane: Lane,
    order: Order,
    learned: Learned,
    line: Arc<Line>,
    bucket: Arc<Bucket>,
    queue: QueueName,
    schedule: Schedule,
    tasks: FuturesUnordered<LocalBoxFuture<'static, Event>>,
    /// What is to be settled.
    unsettled: Vec<(Place, Stamp, SettledChange)>,
    is_settling: bool,
    waits_for_place: bool,
    /// A place on the line that is not used yet.
    place: Option<OwnedSemaphorePermit>,
    /// What the target said of itself last.
    terms: Option<Arc<Handshake>>,
    greeting: Greeting,
    greet_retry: Retry,
    storage_retry: Retry,
    /// Until when Storage, or the target as a whole, is left alone.
    rests_until: Option<Instant>,
    is_walking: bool,
    kept: Instant,
    ticked: Instant,
}

impl Work {
    async fn run(mut self, orders: &mut watch::Receiver<Option<Order>>) -> Result<(), String> {
        let worked = self.work(orders).await;
        self.end().await;
        worked
    }

    /// Works until there is another order. Errs: why it cannot go on.
    async fn work(&mut self, orders: &mut watch::Receiver<Option<Order>>) -> Result<(), String> {
        self.begin_fill();
        self.check()?;
        loop {
            self.pump();
            let (line, bell) = (Arc::clone(&self.line), Arc::clone(&self.lane.bell));
            let sleep = self.sleep();
            tokio::select! {
                Some(event) = self.tasks.next() => self.hear(event),
                changed = orders.changed() => {
                    // An error means that nobody gives orders any more.
                    let _ = changed;
                    return Ok(());
                }
                () = bell.notify.notified() => match bell.rewind.swap(false, Ordering::SeqCst) {
                    true => {
                        self.schedule.hurry();
                        self.schedule.rewind();
                    }
                    false => self.schedule.fill(),
                },
                () = line.changed() => {}
                () = tokio::time::sleep(sleep) => {}
            }
            if self.ticked.elapsed() >= TICK {
                self.ticked = Instant::now();
                self.lane.board.show(self.schedule.under_way(), self.schedule.failing());
                self.check()?;
            }
        }
    }

    /// Lets what is under way come to its end, if that is not far, and has what was sent settled. The rest stays queued.
    async fn end(&mut self) {
        self.place = None;
        let tasks = &mut self.tasks;
        let (schedule, unsettled, board) = (&mut self.schedule, &mut self.unsettled, &self.lane.board);
        let now = self.lane.clock.now();
        let finish = async {
            while let Some(event) = tasks.next().await {
                match event {
                    Event::Sent(place, mark, ended, _) => note(schedule, unsettled, place, mark, ended, now),
                    Event::Settled(changes, Err(_)) => unsettled.extend(changes),
                    _ => {}
                }
            }
        };
        let _or_not = tokio::time::timeout(DRAIN, finish).await;
        // What is left of them is given up: probes, too.
        self.tasks.clear();
        if self.greeting == Greeting::UnderWay {
            self.line.unasked();
        }
        board.show(0, std::iter::empty());
        for changes in std::mem::take(&mut self.unsettled).chunks(SettleChanges::CHANGES_MAX) {
            if let Err(error) = self.lane.source.settle(self.settlement(changes)).await {
                tracing::warn!(bucket = %self.bucket.name, %error, "changes that were sent are sent again: their rows stay");
            }
        }
        if self.learned.fill.as_ref().is_some_and(|fill| !fill.done) {
            self.keep().await;
        }
    }

    /// How long nothing can happen by itself.
    fn sleep(&self) -> Duration {
        let now = self.lane.clock.now();
        let until = |time: Stamp| Duration::from_nanos(time.0.saturating_sub(now.0)).max(Duration::from_millis(1));
        let released = self.schedule.next_release().map(until);
        let freed = self.line.trouble().and_then(|(_, free)| free).map(until);
        let rested = self.rests_until.map(|until| until.saturating_duration_since(Instant::now()));
        [released, freed, rested].into_iter().flatten().fold(TICK, Duration::min)
    }

    /// Looks at what should always hold: nothing is queued that nobody sends, and nothing was left out of the queue.
    fn check(&mut self) -> Result<(), String> {
        let bucket = self.lane.source.bucket(&self.bucket.name).map_err(|error| error.to_string())?;
        if bucket.id != self.bucket.id {
            return Err("the bucket was deleted and made again".to_owned());
        }
        // What is configured of it may have changed.
        self.bucket = bucket;
        let totals = self.lane.source.totals(&self.queue).map_err(|error| error.to_string())?;
        if totals.overflowed && !self.is_walking {
            self.lane.board.overflow(true);
            self.learned.fill = Some(Fill { is_resync: true, ..Fill::default() });
            self.schedule = Schedule::default();
            let (source, queue) = (Arc::clone(&self.lane.source), self.queue.clone());
            self.is_walking = true;
            self.tasks.push(Box::pin(async move { Event::Dropped(source.drop_queue(queue).await) }));
        } else if totals.pending > 0 && self.schedule.is_idle() && self.unsettled.is_empty() {
            self.schedule.rewind();
        }
        Ok(())
    }

    /// Does whatever can be done now.
    fn pump(&mut self) {
        self.settle();
        let now = Instant::now();
        if self.rests_until.is_some_and(|until| until > now) {
            return;
        }
        self.rests_until = None;
        self.schedule.release(self.lane.clock.now());
        self.read();
        self.walk();
        match self.line.ask() {
            Use::Free => {}
            Use::Probe => return self.greet(),
            Use::Closed(_) | Use::Probing => return,
        }
        match self.greeting {
            Greeting::Due => self.greet(),
            Greeting::Since(time) if time.elapsed() >= GREET => self.greet(),
            Greeting::UnderWay | Greeting::Since(_) => {}
        }
        self.send();
    }

    fn read(&mut self) {
        if let Some((after, limit)) = self.schedule.read() {
            let (source, queue) = (Arc::clone(&self.lane.source), self.queue.clone());
            self.tasks.push(Box::pin(async move {
                Event::Read(source.page(queue, ReplicationTray::Pending, after, limit).await)
            }));
        }
    }

    fn send(&mut self) {
        let Some(terms) = &self.terms else { return };
        let to = self.destination(Some(Arc::clone(terms)));
        while self.schedule.is_ready() {
            let place = match self.place.take() {
                Some(place) => place,
                None => match Arc::clone(&self.line.places).try_acquire_owned() {
                    Ok(place) => place,
                    Err(_) => return self.wait_for_place(),
                },
            };
            let Some(entry) = self.schedule.next() else { return };
            let courier = Courier {
                source: Arc::clone(&self.lane.source),
                peer: Arc::clone(&self.lane.peer),
                clock: Arc::clone(&self.lane.clock),
                line: Arc::clone(&self.line),
                board: Arc::clone(&self.lane.board),
                rules: Arc::clone(&self.order.rules),
                bucket: Arc::clone(&self.bucket),
                to: to.clone(),
            };
            self.tasks.push(Box::pin(async move {
                let ended = courier.send(&entry).await;
                Event::Sent((entry.since, entry.slot.clone()), entry.mark, ended, place)
            }));
        }
    }

    fn wait_for_place(&mut self) {
        if !self.waits_for_place {
            self.waits_for_place = true;
            let places = Arc::clone(&self.line.places);
            self.tasks.push(Box::pin(async move { Event::Place(places.acquire_owned().await.ok()) }));
        }
    }

    fn destination(&self, terms: Option<Arc<Handshake>>) -> Destination {
        let bucket = Some(Arc::clone(&self.order.rule.target_bucket));
        Destination { connection: Arc::clone(&self.line.connection), bucket, terms }
    }

    fn greet(&mut self) {
        self.greeting = Greeting::UnderWay;
        let (peer, to) = (Arc::clone(&self.lane.peer), self.destination(None));
        self.tasks.push(Box::pin(async move { Event::Greeted(peer.handshake(&to).await) }));
    }

    fn settlement(&self, changes: &[(Place, Stamp, SettledChange)]) -> SettleChanges {
        let changes = changes.iter().map(|(place, mark, outcome)| (place.1.clone(), *mark, outcome.clone())).collect();
        SettleChanges { queue: self.queue.clone(), changes }
    }

    fn settle(&mut self) {
        if self.is_settling || self.unsettled.is_empty() {
            return;
        }
        self.is_settling = true;
        let count = self.unsettled.len().min(SettleChanges::CHANGES_MAX);
        let changes: Vec<_> = self.unsettled.drain(..count).collect();
        let (source, message) = (Arc::clone(&self.lane.source), self.settlement(&changes));
        self.tasks.push(Box::pin(async move {
            let settled = source.settle(message).await;
            if settled.is_err() {
                // They are not sent again: only their rows still stand.
                tokio::time::sleep(TICK).await;
            }
            Event::Settled(changes, settled)
        }));
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Sent(place, mark, ended, permit) => {
                self.place = Some(permit);
                if ended.is_refusal && matches!(self.greeting, Greeting::Since(time) if time.elapsed() >= GREET_SOON) {
                    self.greeting = Greeting::Due;
                }
                note(&mut self.schedule, &mut self.unsettled, place, mark, ended, self.lane.clock.now());
                if !self.schedule.is_ready() {
                    self.place = None;
                }
            }
            Event::Read(Ok(changes)) => {
                self.storage_retry.reset();
                self.schedule.take(Some(changes));
            }
            Event::Read(Err(error)) => {
                self.schedule.take(None);
                self.rest(&error);
            }
            Event::Settled(changes, Ok(count)) => {
                self.is_settling = false;
                changes.iter().for_each(|(place, ..)| self.schedule.settled(place));
                if count < changes.len() {
                    self.schedule.rewind();
                }
            }
            Event::Settled(changes, Err(error)) => {
                self.is_settling = false;
                tracing::warn!(bucket = %self.bucket.name, %error, "changes that were sent cannot be settled; it is tried again");
                self.unsettled.extend(changes);
            }
            Event::Walked(walked) => self.walked(walked),
            Event::Greeted(greeted) => self.greeted(greeted),
            Event::Place(place) => {
                self.waits_for_place = false;
                self.place = place.filter(|_| self.schedule.is_ready());
            }
            Event::Dropped(dropped) => {
                self.is_walking = false;
                match dropped {
                    Ok(()) => self.keep_later(),
                    Err(error) => self.rest(&error),
                }
            }
            Event::Nothing => {}
        }
    }

    fn rest(&mut self, error: &StorageError) {
        tracing::warn!(bucket = %self.bucket.name, %error, "replication waits, and tries again");
        self.rests_until = Some(Instant::now() + self.storage_retry.failed(None));
    }

    fn greeted(&mut self, greeted: Result<Handshake, PeerError>) {
        self.greeting = Greeting::Since(Instant::now());
        let terms = match greeted {
            Ok(terms) => terms,
            Err(error) => {
                // Before the first answer nothing is sent: it is not known what the target understands.
                self.greeting = Greeting::Due;
                match error.kind {
                    PeerErrorKind::Unreachable => self.line.unreachable(&error.text),
                    PeerErrorKind::Throttled { retry_after } => self.line.throttled(retry_after, &error.text),
                    PeerErrorKind::Refused { .. } | PeerErrorKind::Permanent | PeerErrorKind::Ours => {
                        self.line.answered();
                        self.lane.board.fail(Some(error.text));
                    }
                }
                // A line that is not free tells itself when it is.
                if self.line.trouble().is_none() {
                    self.rests_until = Some(Instant::now() + self.greet_retry.failed(None));
                }
                return;
            }
        };
        self.greet_retry.reset();
        self.line.answered();
        self.lane.board.fail(terms.problem.clone());
        let node = terms.node.map(|node| node.id);
        if node.is_some() && node != self.learned.peer {
            self.learned.peer = node;
            self.keep_later();
        }
        let terms = Arc::new(terms);
        let has_changed = self.terms.replace(Arc::clone(&terms)).is_some_and(|former| {
            (former.bucket, former.rights, &former.problem) != (terms.bucket, terms.rights, &terms.problem)
        });
        if has_changed {
            self.unpark();
        }
    }

    /// Gives what was refused another chance: something about the target has changed.
    fn unpark(&mut self) {
        let (source, queue, bell) = (Arc::clone(&self.lane.source), self.queue.clone(), Arc::clone(&self.lane.bell));
        self.tasks.push(Box::pin(async move {
            match settle_parked(&*source, &queue, &SettledChange::Pending).await {
                Ok(_) => bell.rewind(),
                Err(error) => tracing::warn!(%error, "parked changes cannot be tried again"),
            }
            Event::Nothing
        }));
    }

    /// Begins a back-fill where one is wanted that was not begun.
    fn begin_fill(&mut self) {
        if self.learned.fill.is_none() && self.order.rule.wants_existing() {
            self.learned.fill = Some(Fill::default());
        }
        if let Some(fill) = &self.learned.fill {
            self.lane.board.filled(fill.clone());
        }
    }

    fn walk(&mut self) {
        let Some(fill) = self.learned.fill.as_ref().filter(|fill| !fill.done) else { return };
        // What its own changes are is known only once the target was asked who it is.
        if self.is_walking || self.terms.is_none() {
            return;
        }
        let pending = self.lane.source.totals(&self.queue).map_or(u64::MAX, |totals| totals.pending);
        if pending >= FILL_BELOW {
            return;
        }
        self.is_walking = true;
        let position = fill.position.as_deref().and_then(WalkPosition::parse);
        let (source, bucket, peer) = (Arc::clone(&self.lane.source), Arc::clone(&self.bucket), self.learned.peer);
        let since = (!self.order.rule.wants_existing()).then_some(self.order.rule.created_at);
        self.tasks.push(Box::pin(async move { Event::Walked(step(&*source, bucket, position, peer, since).await) }));
    }

    fn walked(&mut self, walked: Result<Walked, StorageError>) {
        self.is_walking = false;
        let (walked, Some(fill)) = (walked, &mut self.learned.fill) else { return };
        match walked {
            Err(error) => self.rest(&error),
            Ok(Walked { next, looked_at, queued }) => {
                self.storage_retry.reset();
                fill.looked_at += looked_at;
                fill.queued += queued;
                fill.done = next.is_none();
                fill.position = next.map(|next| next.to_string());
                let is_done = fill.done;
                self.lane.board.filled(fill.clone());
                if queued > 0 {
                    self.schedule.fill();
                }
                if is_done {
                    self.lane.board.overflow(false);
                }
                if is_done || self.kept.elapsed() >= KEEP {
                    self.keep_later();
                }
            }
        }
    }

    /// What is to be kept of what was learned.
    fn message(&self) -> Keep {
        Keep {
            bucket: self.order.rule.bucket.clone(),
            target: self.order.rules.target.clone(),
            created_at: self.order.rule.created_at,
            learned: self.learned.clone(),
        }
    }

    fn keep_later(&mut self) {
        self.kept = Instant::now();
        let (worker, message) = (self.lane.worker.clone(), self.message());
        self.tasks.push(Box::pin(async move {
            // Without it some is learned again.
            let _kept = worker.send(message).await;
            Event::Nothing
        }));
    }

    async fn keep(&mut self) {
        let _kept = self.lane.worker.send(self.message()).await;
    }
}

/// Takes note of how an attempt ended.
fn note(
    schedule: &mut Schedule,
    unsettled: &mut Vec<(Place, Stamp, SettledChange)>,
    place: Place,
    mark: Stamp,
    ended: Ended,
    now: Stamp,
) {
    let settled = match schedule.done(&place, ended.attempt, now) {
        Verdict::Done => SettledChange::Done,
        Verdict::Parked(reason) => {
            tracing::warn!(key = %place.1.key, reason, "a change was refused, and waits until somebody looks at it");
            SettledChange::Parked(reason)
        }
        Verdict::Waits => return,
    };
    unsettled.push((place, mark, settled));
}

/// A step of a back-fill: queues a page of slots, but for those that the target made itself, or that were written before `since`.
async fn step(
    source: &dyn Source,
    bucket: Arc<Bucket>,
    position: Option<WalkPosition>,
    peer: Option<NodeId>,
    since: Option<Stamp>,
) -> Result<Walked, StorageError> {
    let page = source.walk(Arc::clone(&bucket), position, SettleChanges::CHANGES_MAX).await?;
    let own = source.node_id();
    let mut slots: Vec<Slot> = Vec::with_capacity(page.slots.len());
    let looked_at = page.slots.len() as u64;
    for (slot, _) in page.slots {
        let (origin, written) = match source.state(&bucket, &slot)? {
            SlotState::Object(object) => (object.change(own).origin, Some(object.stamp)),
            SlotState::Marker { change, modified, .. } => (change.origin, Some(modified)),
            SlotState::Deleted { change, .. } => (change.origin, None),
            SlotState::Gone => continue,
        };
        let is_meant = since.is_none_or(|since| written.is_none_or(|written| written >= since));
        if peer != Some(origin) && is_meant {
            slots.push(slot);
        }
    }
    let mut queued = 0;
    for slots in slots.chunks(SettleChanges::CHANGES_MAX) {
        let message = EnqueueChanges { bucket: Arc::clone(&bucket), slots: slots.to_vec() };
        queued += source.enqueue(message).await? as u64;
    }
    Ok(Walked { next: page.next, looked_at, queued })
}

/// Settles all entries that a queue has parked by now. Answers how many.
pub(super) async fn settle_parked(
    source: &dyn Source,
    queue: &QueueName,
    outcome: &SettledChange,
) -> Result<usize, StorageError> {
    let (mut settled, mut after) = (0, None);
    loop {
        let limit = SettleChanges::CHANGES_MAX;
        let page = source.page(queue.clone(), ReplicationTray::Parked, after, limit).await?;
        let Some(last) = page.last() else { return Ok(settled) };
        after = Some((last.since, last.slot.clone()));
        let changes = page.iter().map(|entry| (entry.slot.clone(), entry.mark, outcome.clone())).collect();
        settled += source.settle(SettleChanges { queue: queue.clone(), changes }).await?;
    }
}
