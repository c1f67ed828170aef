//! The work on one rule while it is followed: reads its queue, sends, has rows settled, walks over what was there before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::breaker::Use;
use super::fill::{Walked, settle_parked};
use super::lane::{Lane, Order};
use super::learned::{Fill, Learned};
use super::line::Line;
use super::peer::{Destination, Handshake, PeerError, PeerErrorKind};
use super::retry::{Retry, Waits};
use super::schedule::{Place, Schedule, Verdict};
use super::transfer::{Courier, Ended, is_light};
use crate::names::{NodeId, Stamp};
use crate::storage::{Bucket, QueueName, QueuedChange, ReplicationTray, SettleChanges, SettledChange, StorageError};

/// How long transfers that are under way may take when the work ends.
const DRAIN: Duration = Duration::from_secs(5);
/// How often it is looked whether anything was missed, and the figures are brought up to date.
const TICK: Duration = Duration::from_secs(1);
/// How often a target is asked what may be done there.
const GREET: Duration = Duration::from_secs(60);
/// The same while something is refused.
const GREET_SOON: Duration = Duration::from_secs(5);
/// How many changes that were sent are worth a commit, and how long one waits for others. A crash has those sent again, no more.
const SETTLED_AT_ONCE: usize = 64;
const SETTLE_WITHIN: Duration = Duration::from_millis(50);
/// Most small objects that are sent together, and most bytes of them.
const TOGETHER_MAX: usize = 16;
const TOGETHER_BYTES_MAX: u64 = 256 * 1024;
/// Waits after a target could not even be asked, or Storage was busy.
const WAITS: Waits = Waits { first: Duration::from_secs(1), longest: Duration::from_secs(30) };
/// What a task of the work has come to.
pub(super) enum Event {
    Sent(Vec<(Place, Ended)>, OwnedSemaphorePermit),
    Read(Result<Vec<QueuedChange>, StorageError>),
    Settled(Vec<(Place, Stamp, SettledChange)>, Result<usize, StorageError>),
    Walked(Result<Walked, StorageError>),
    Greeted(Result<Handshake, PeerError>),
    Place(Option<OwnedSemaphorePermit>),
    Dropped(Result<(), StorageError>),
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Greeting {
    Due,
    UnderWay,
    Since(Instant),
}

/// The work while one order holds.
pub(super) struct Work {
    pub(super) lane: Lane,
    pub(super) order: Order,
    pub(super) learned: Learned,
    pub(super) line: Arc<Line>,
    pub(super) bucket: Arc<Bucket>,
    pub(super) queue: QueueName,
    pub(super) schedule: Schedule,
    pub(super) tasks: FuturesUnordered<LocalBoxFuture<'static, Event>>,
    /// What is to be settled.
    pub(super) unsettled: Vec<(Place, Stamp, SettledChange)>,
    /// Since when some of it waits.
    pub(super) unsettled_since: Instant,
    pub(super) is_settling: bool,
    pub(super) waits_for_place: bool,
    /// A place on the line that is not used yet.
    pub(super) place: Option<OwnedSemaphorePermit>,
    /// What the target said of itself last.
    pub(super) terms: Option<Arc<Handshake>>,
    pub(super) greeting: Greeting,
    pub(super) greet_retry: Retry,
    pub(super) storage_retry: Retry,
    /// Until when Storage, or the target as a whole, is left alone.
    pub(super) rests_until: Option<Instant>,
    pub(super) is_walking: bool,
    /// The queue is incomplete: nothing of it is sent any more before it is dropped.
    pub(super) is_full: bool,
    pub(super) kept: Instant,
    pub(super) ticked: Instant,
}

impl Work {
    pub fn new(lane: Lane, order: Order, line: Arc<Line>, bucket: Arc<Bucket>, queue: QueueName) -> Self {
        Self {
            learned: order.learned.clone(),
            lane,
            order,
            line,
            bucket,
            queue,
            schedule: Schedule::default(),
            tasks: FuturesUnordered::new(),
            unsettled: Vec::new(),
            unsettled_since: Instant::now(),
            is_settling: false,
            waits_for_place: false,
            place: None,
            terms: None,
            greeting: Greeting::Due,
            greet_retry: Retry::new(WAITS),
            storage_retry: Retry::new(WAITS),
            rests_until: None,
            is_walking: false,
            is_full: false,
            kept: Instant::now(),
            ticked: Instant::now(),
        }
    }

    /// Works until there is another order, and brings what is under way to its end. Errs: why it cannot go on.
    pub async fn run(mut self, orders: &mut watch::Receiver<Option<Order>>) -> Result<(), String> {
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
                may_be_anywhere = bell.rung() => match may_be_anywhere {
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
                    Event::Sent(sent, _) => {
                        sent.into_iter().for_each(|(place, ended)| note(schedule, unsettled, place, ended, now));
                    }
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
        // Nothing is looked at while it rests.
        if let Some(until) = self.rests_until {
            return until.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(1), TICK);
        }
        let settles = !self.unsettled.is_empty() && !self.is_settling;
        let settled = settles.then(|| SETTLE_WITHIN.saturating_sub(self.unsettled_since.elapsed()));
        [released, freed, settled].into_iter().flatten().fold(TICK, Duration::min)
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
            self.is_full = true;
            // A key that is under way must not be sent beside that.
            if self.schedule.under_way() == 0 {
                self.begin_anew();
            }
        } else if totals.pending > 0 && self.schedule.is_idle() && self.unsettled.is_empty() {
            self.schedule.rewind();
        }
        Ok(())
    }

    /// Drops the queue, and walks over everything after that.
    fn begin_anew(&mut self) {
        self.learned.fill = Some(Fill { is_resync: true, ..Fill::default() });
        self.schedule = Schedule::default();
        self.is_walking = true;
        let (source, queue) = (Arc::clone(&self.lane.source), self.queue.clone());
        let (worker, message) = (self.lane.worker.clone(), self.message());
        self.tasks.push(Box::pin(async move {
            // SAFETY OF ORDER: that everything is to be sent is kept before the queue goes, or a crash in between would lose it.
            Event::Dropped(match worker.send(message).await {
                Ok(Ok(())) => source.drop_queue(queue).await,
                Ok(Err(_)) | Err(_) => Err(StorageError::Busy),
            })
        }));
    }

    /// Does whatever can be done now.
    fn pump(&mut self) {
        self.settle();
        let now = Instant::now();
        if self.rests_until.is_some_and(|until| until > now) || self.is_full {
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
            let entries = match self.terms.as_ref().is_some_and(|terms| terms.together) {
                true => self.schedule.next_together(TOGETHER_MAX, TOGETHER_BYTES_MAX, is_light),
                false => self.schedule.next().into_iter().collect(),
            };
            let courier = Courier {
                source: Arc::clone(&self.lane.source),
                peer: Arc::clone(&self.lane.peer),
                clock: Arc::clone(&self.lane.clock),
                line: Arc::clone(&self.line),
                board: Arc::clone(&self.lane.board),
                rules: Arc::clone(&self.order.rules),
                bucket: Arc::clone(&self.bucket),
                queue: self.queue.clone(),
                to: to.clone(),
            };
            self.tasks.push(Box::pin(async move {
                let ended = courier.send_all(&entries).await;
                let places = entries.iter().map(|entry| (entry.since, entry.slot.clone()));
                Event::Sent(places.zip(ended).collect(), place)
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

    /// Has what was sent settled, many in one commit, unless nothing more is under way that could be among them.
    fn settle(&mut self) {
        let is_worth_it = self.unsettled.len() >= SETTLED_AT_ONCE
            || self.unsettled_since.elapsed() >= SETTLE_WITHIN
            || (self.schedule.under_way() == 0 && !self.schedule.is_ready());
        if self.is_settling || self.unsettled.is_empty() || !is_worth_it {
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
            Event::Sent(sent, permit) => {
                self.place = Some(permit);
                let is_refusal = sent.iter().any(|(_, ended)| ended.is_refusal);
                if is_refusal && matches!(self.greeting, Greeting::Since(time) if time.elapsed() >= GREET_SOON) {
                    self.greeting = Greeting::Due;
                }
                if self.unsettled.is_empty() {
                    self.unsettled_since = Instant::now();
                }
                let now = self.lane.clock.now();
                for (place, ended) in sent {
                    note(&mut self.schedule, &mut self.unsettled, place, ended, now);
                }
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
                (self.is_walking, self.is_full) = (false, false);
                if let Err(error) = dropped {
                    self.rest(&error);
                }
            }
            Event::Nothing => {}
        }
    }

    pub(super) fn rest(&mut self, error: &StorageError) {
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
            self.met(node);
        }
        let terms = Arc::new(terms);
        let has_changed = self.terms.replace(Arc::clone(&terms)).is_some_and(|former| {
            (former.bucket, former.rights, &former.problem) != (terms.bucket, terms.rights, &terms.problem)
        });
        if has_changed {
            self.unpark();
        }
    }

    /// Takes note of the node that is there. Another one than before has nothing of what that was sent.
    fn met(&mut self, node: Option<NodeId>) {
        if self.learned.peer.is_some() {
            if self.is_walking {
                // The step that is under way is one of the former walk.
                self.greeting = Greeting::Due;
                return;
            }
            tracing::warn!(bucket = %self.bucket.name, "another node is there now: all is sent to it");
            let fill = Fill { is_resync: true, ..Fill::default() };
            self.lane.board.filled(fill.clone());
            self.learned.fill = Some(fill);
        }
        self.learned.peer = node;
        self.keep_later();
    }

    /// Gives what was refused another chance: something about the target has changed.
    pub fn unpark(&mut self) {
        let (source, queue, bell) = (Arc::clone(&self.lane.source), self.queue.clone(), Arc::clone(&self.lane.bell));
        self.tasks.push(Box::pin(async move {
            match settle_parked(&*source, &queue, &SettledChange::Pending).await {
                Ok(_) => bell.rewind(),
                Err(error) => tracing::warn!(%error, "parked changes cannot be tried again"),
            }
            Event::Nothing
        }));
    }
}

/// Takes note of how an attempt ended.
fn note(
    schedule: &mut Schedule,
    unsettled: &mut Vec<(Place, Stamp, SettledChange)>,
    place: Place,
    ended: Ended,
    now: Stamp,
) {
    let Ended { attempt, mark, .. } = ended;
    let settled = match schedule.done(&place, attempt, now) {
        Verdict::Done => SettledChange::Done,
        Verdict::Parked(reason) => {
            tracing::warn!(key = %place.1.key, reason, "a change was refused, and waits until somebody looks at it");
            SettledChange::Parked(reason)
        }
        Verdict::Waits => return,
    };
    unsettled.push((place, mark, settled));
}
