//! The notifier: reads queues, sends their events, has Storage remove what was told. The only one who knows how each queue fares.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, ResponseFuture};
use bytes::Bytes;
use futures_util::future;

use super::arn::webhook_of_target;
use super::client::NotifierSettings;
use super::deliver::Deliverer;
use super::document;
use super::error::{NotifierError, UNUSABLE};
use super::messages::{Recheck, Reload, SendTest, Status, Stop, Trouble};
use super::schedule::{Outcome, Schedule, Verdict};
use super::webhooks::{WebhookFile, Webhooks, seal_tokens};
use crate::clock::SharedClock;
use crate::json_store::{JsonStore, StoreError};
use crate::names::{BucketId, Stamp};
use crate::storage::{
    EVENT_BUS, ObjectEvent, OutboxQueue, QueuedEvent, SettleEvents, Settled, StorageClient, StorageError, Tray,
};

/// Events that are under way at once, of all queues together.
const UNDER_WAY_MAX: usize = 256;
/// How often queues that wait are looked at, while there are any.
const TICK: Duration = Duration::from_millis(250);
/// How often dead events of buckets that are gone are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// Events of a queue, above which its oldest dead ones go.
const KEPT_MAX: u64 = 100_000;
/// How long dead events are kept, from when they were first to be told or were replayed.
const DEAD_AGE: Duration = Duration::from_secs(30 * 86_400);
/// Queues that are listed at once.
const QUEUES: usize = 256;

/// Owns the file of webhooks, and the sending.
#[derive(Debug)]
pub struct Notifier {
    store: JsonStore<WebhookFile>,
    storage: StorageClient,
    deliverer: Arc<Deliverer>,
    clock: SharedClock,
    settings: NotifierSettings,
    queues: BTreeMap<OutboxQueue, Schedule>,
    under_way: usize,
    /// The queue that was served last: the next round begins behind it.
    last: Option<OutboxQueue>,
    /// What is to be settled, and whether some of it just is.
    to_settle: Vec<(OutboxQueue, Stamp, Settled)>,
    is_settling: bool,
    is_ticking: bool,
    is_stopping: bool,
}

impl Notifier {
    pub(super) fn new(
        store: JsonStore<WebhookFile>,
        storage: StorageClient,
        clock: SharedClock,
        settings: NotifierSettings,
    ) -> Self {
        let deliverer = Arc::new(Deliverer::new(settings.allow_private));
        Self {
            store,
            storage,
            deliverer,
            clock,
            settings,
            queues: BTreeMap::new(),
            under_way: 0,
            last: None,
            to_settle: Vec::new(),
            is_settling: false,
            is_ticking: false,
            is_stopping: false,
        }
    }

    /// Seals tokens that a person wrote. The node can serve without, so a file that cannot be written is only reported.
    pub(super) fn tidy(&mut self) {
        let sealer = self.store.schema().sealer.clone();
        let tidied: Result<(), StoreError> = self.store.edit(self.clock.now(), |file| {
            if let Err(error) = seal_tokens(file, &sealer) {
                tracing::error!(%error, "webhook tokens cannot be sealed");
            }
            Ok(())
        });
        if let Err(error) = tidied {
            tracing::error!(%error, "webhook tokens cannot be written back sealed");
        }
    }

    fn reload(&mut self) {
        let before = self.store.snapshot().load_full();
        self.store.reload(self.clock.now());
        let after = self.store.snapshot().load_full();
        if !Arc::ptr_eq(&before.state, &after.state) {
            self.tidy();
        }
    }

    /// Takes up what earlier runs left, one page after the other.
    fn discover(&mut self, after: Option<OutboxQueue>, context: &mut Context<Self>) {
        let storage = self.storage.clone();
        let list = async move { storage.queues(Tray::Pending, after, QUEUES).await };
        context.spawn(wrap_future(list).map(|listed, notifier: &mut Self, context| match listed {
            Ok(queues) => {
                if queues.len() >= QUEUES {
                    notifier.discover(queues.last().cloned(), context);
                }
                notifier.fill(queues, context);
            }
            Err(error) => {
                tracing::error!(%error, "the outbox cannot be read; it is tried again");
                context.run_later(Duration::from_secs(5), |notifier, context| notifier.discover(None, context));
            }
        }));
    }

    /// Hears of new events, for ever.
    fn hear(&mut self, context: &mut Context<Self>) {
        let storage = self.storage.clone();
        let wait = async move { storage.filled_queues().await };
        context.spawn(wrap_future(wait).map(|queues, notifier: &mut Self, context| {
            notifier.fill(queues, context);
            notifier.hear(context);
        }));
    }

    fn fill(&mut self, queues: impl IntoIterator<Item = OutboxQueue>, context: &mut Context<Self>) {
        for queue in queues {
            self.queues.entry(queue).or_default().fill();
        }
        self.pump(context);
    }

    /// Does whatever can be done now: sends, reads, settles.
    fn pump(&mut self, context: &mut Context<Self>) {
        if self.is_stopping {
            return;
        }
        let now = self.clock.now();
        self.reload();
        self.send(now, context);
        let wanting: Vec<_> =
            self.queues.iter_mut().filter_map(|(queue, schedule)| Some((queue.clone(), schedule.read()?))).collect();
        for (queue, (after, limit)) in wanting {
            self.read(queue, after, limit, context);
        }
        self.settle(context);
        self.queues.retain(|_, schedule| !schedule.is_idle());
        self.tick(context);
    }

    /// Gives up what is too old.
    fn expire(&mut self) {
        let now = self.clock.now();
        let kept = u64::try_from(self.settings.keep.as_nanos()).unwrap_or(u64::MAX);
        let limit = Stamp(now.0.saturating_sub(kept));
        for (queue, schedule) in &mut self.queues {
            let expired = schedule.expire(limit).into_iter();
            self.to_settle.extend(expired.map(|(sequence, reason)| (queue.clone(), sequence, Settled::Dead(reason))));
        }
    }

    /// Sends events, one of each queue in turn, as long as there is room.
    fn send(&mut self, now: Stamp, context: &mut Context<Self>) {
        let webhooks = Arc::clone(&self.store.snapshot().load().state);
        let mut fruitless = 0;
        while self.under_way < UNDER_WAY_MAX && fruitless <= self.queues.len() {
            let Some(queue) = self.next_queue() else { return };
            let event = self.queues.get_mut(&queue).and_then(|schedule| schedule.next(now));
            match event {
                Some(event) => {
                    fruitless = 0;
                    self.under_way += 1;
                    self.deliver(queue.clone(), &event, &webhooks, context);
                }
                None => fruitless += 1,
            }
            self.last = Some(queue);
        }
    }

    fn next_queue(&self) -> Option<OutboxQueue> {
        let behind = self.last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.queues.range((behind, Bound::Unbounded)).next();
        next.or_else(|| self.queues.first_key_value()).map(|(queue, _)| queue.clone())
    }

    fn deliver(&self, queue: OutboxQueue, queued: &QueuedEvent, webhooks: &Webhooks, context: &mut Context<Self>) {
        let sequence = queued.event.sequence;
        let webhook = match webhook_of_target(&queue.target) {
            Some(name) => webhooks.usable(name),
            None => Err("its ARN names no webhook".to_owned()),
        };
        let (deliverer, id) = (Arc::clone(&self.deliverer), document::event_id(&queued.event));
        let message = self.message(&queue, &queued.event, &queued.configuration);
        let send = async move {
            match webhook {
                Ok(webhook) => deliverer.send(&webhook, &id, message).await,
                Err(reason) => Outcome::Failed(reason),
            }
        };
        context.spawn(wrap_future(send).map(move |outcome, notifier: &mut Self, context| {
            notifier.delivered(queue, sequence, outcome, context);
        }));
    }

    fn message(&self, queue: &OutboxQueue, event: &ObjectEvent, configuration: &str) -> Bytes {
        let region = &self.settings.region;
        let message = match &*queue.target {
            EVENT_BUS => document::bus_message(event, region),
            _ => document::message(event, configuration, region),
        };
        message.to_string().into()
    }

    fn delivered(&mut self, queue: OutboxQueue, sequence: Stamp, outcome: Outcome, context: &mut Context<Self>) {
        self.under_way = self.under_way.saturating_sub(1);
        if let Outcome::Failed(reason) | Outcome::Refused(reason) = &outcome {
            tracing::debug!(target = &*queue.target, reason, "an event could not be told");
        }
        if let Some(schedule) = self.queues.get_mut(&queue) {
            // Without random numbers the waits are only less spread out.
            let random = getrandom::u64().unwrap_or(0);
            let settled = match schedule.done(sequence, outcome, self.clock.now(), random) {
                Verdict::Done => Some(Settled::Done),
                Verdict::Dead(reason) => Some(Settled::Dead(reason)),
                Verdict::Waits => None,
            };
            self.to_settle.extend(settled.map(|settled| (queue, sequence, settled)));
        }
        self.pump(context);
    }

    fn read(&self, queue: OutboxQueue, after: Option<Stamp>, limit: usize, context: &mut Context<Self>) {
        let (storage, from) = (self.storage.clone(), queue.clone());
        let read = async move { storage.queued_events(Tray::Pending, from, after, limit).await };
        context.spawn(wrap_future(read).map(move |read, notifier: &mut Self, context| {
            let read = match read {
                Ok(events) => Some(events),
                Err(error) => {
                    tracing::error!(target = &*queue.target, %error, "events cannot be read");
                    None
                }
            };
            let is_read = read.is_some();
            if let Some(schedule) = notifier.queues.get_mut(&queue) {
                schedule.take(read);
            }
            if is_read {
                notifier.pump(context);
            }
        }));
    }

    /// Has Storage settle what waits for it, one commit after the other.
    fn settle(&mut self, context: &mut Context<Self>) {
        if self.is_settling || self.to_settle.is_empty() {
            return;
        }
        self.is_settling = true;
        let count = self.to_settle.len().min(SettleEvents::CHANGES_MAX);
        let events: Vec<_> = self.to_settle.drain(..count).collect();
        let (storage, message) = (self.storage.clone(), SettleEvents { tray: Tray::Pending, events: events.clone() });
        let settle = async move { storage.settle_events(message).await };
        context.spawn(wrap_future(settle).map(move |settled, notifier: &mut Self, context| {
            notifier.is_settling = false;
            match settled {
                Ok(_) => notifier.settled(&events, context),
                Err(error) => {
                    // They are not told again: only their rows are still there.
                    tracing::warn!(%error, "events that were told cannot be removed; it is tried again");
                    notifier.to_settle.extend(events);
                }
            }
        }));
    }

    fn settled(&mut self, events: &[(OutboxQueue, Stamp, Settled)], context: &mut Context<Self>) {
        for (queue, sequence, outcome) in events {
            if let Settled::Dead(reason) = outcome {
                let target = &*queue.target;
                tracing::warn!(target, sequence = sequence.0, reason, "an event was given up");
            }
            if let Some(schedule) = self.queues.get_mut(queue) {
                schedule.settled(*sequence);
            }
        }
        self.pump(context);
    }

    /// Looks again a little later, while there is anything.
    fn tick(&mut self, context: &mut Context<Self>) {
        if self.is_ticking || (self.queues.is_empty() && self.to_settle.is_empty()) {
            return;
        }
        self.is_ticking = true;
        context.run_later(TICK, |notifier, context| {
            notifier.is_ticking = false;
            notifier.expire();
            notifier.pump(context);
        });
    }

    /// Removes dead events of buckets that are gone, which nobody can look at, and those that are too many or too old.
    fn sweep(&mut self, context: &mut Context<Self>) {
        let (storage, now) = (self.storage.clone(), self.clock.now());
        context.spawn(wrap_future(async move {
            if let Err(error) = sweep(&storage, now).await {
                tracing::warn!(%error, "dead events cannot be removed");
            }
        }));
    }
}

async fn sweep(storage: &StorageClient, now: Stamp) -> Result<(), StorageError> {
    let mut after = None;
    loop {
        let queues = storage.queues(Tray::Dead, after, QUEUES).await?;
        let buckets: HashSet<BucketId> = storage.buckets().iter().map(|bucket| bucket.id).collect();
        for queue in queues.iter().filter(|queue| !buckets.contains(&queue.bucket)) {
            super::client::settle_all(storage, queue, &Settled::Done).await?;
        }
        for queue in queues.iter().filter(|queue| buckets.contains(&queue.bucket)) {
            trim(storage, queue, now).await?;
        }
        match queues.last() {
            Some(last) if queues.len() >= QUEUES => after = Some(last.clone()),
            _ => return Ok(()),
        }
    }
}

/// Removes the oldest dead events of a queue that has more than [`KEPT_MAX`], and those that are older than [`DEAD_AGE`].
async fn trim(storage: &StorageClient, queue: &OutboxQueue, now: Stamp) -> Result<(), StorageError> {
    let pending = storage.queue_length(Tray::Pending, queue.clone(), KEPT_MAX).await?.events;
    let dead = storage.queue_length(Tray::Dead, queue.clone(), 2 * KEPT_MAX).await?.events;
    let is_old = |stamp: Stamp| u128::from(now.0.saturating_sub(stamp.0)) > DEAD_AGE.as_nanos();
    let (mut excess, mut after, mut removed) = ((pending + dead).saturating_sub(KEPT_MAX), None, 0);
    loop {
        let events = storage.queued_events(Tray::Dead, queue.clone(), after, SettleEvents::CHANGES_MAX).await?;
        let Some(last) = events.last().map(|last| last.event.sequence) else { break };
        after = Some(last);
        let mut gone = Vec::new();
        for event in &events {
            if excess > 0 || is_old(event.since) {
                excess = excess.saturating_sub(1);
                gone.push((queue.clone(), event.event.sequence, Settled::Done));
            }
        }
        if !gone.is_empty() {
            removed += storage.settle_events(SettleEvents { tray: Tray::Dead, events: gone }).await?;
        }
        // What follows happened later still.
        if excess == 0 && !is_old(last) {
            break;
        }
    }
    if removed > 0 {
        tracing::warn!(target = &*queue.target, removed, "dead events were removed: they were too many or too old");
    }
    Ok(())
}

impl Actor for Notifier {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.discover(None, context);
        self.hear(context);
        self.sweep(context);
        context.run_interval(SWEEP_EVERY, Self::sweep);
    }
}

impl Handler<Reload> for Notifier {
    type Result = Result<(), NotifierError>;

    fn handle(&mut self, _: Reload, _: &mut Self::Context) -> Self::Result {
        self.reload();
        Ok(())
    }
}

impl Handler<Recheck> for Notifier {
    type Result = Result<(), NotifierError>;

    fn handle(&mut self, message: Recheck, context: &mut Self::Context) -> Self::Result {
        for (_, schedule) in self.queues.iter_mut().filter(|(queue, _)| queue.bucket == message.bucket) {
            schedule.restart();
        }
        self.pump(context);
        Ok(())
    }
}

impl Handler<Stop> for Notifier {
    type Result = ResponseFuture<Result<(), NotifierError>>;

    fn handle(&mut self, _: Stop, _: &mut Self::Context) -> Self::Result {
        self.is_stopping = true;
        let (storage, to_settle) = (self.storage.clone(), std::mem::take(&mut self.to_settle));
        Box::pin(async move {
            for events in to_settle.chunks(SettleEvents::CHANGES_MAX) {
                storage.settle_events(SettleEvents { tray: Tray::Pending, events: events.to_vec() }).await?;
            }
            Ok(())
        })
    }
}

impl Handler<Status> for Notifier {
    type Result = Result<BTreeMap<OutboxQueue, Trouble>, NotifierError>;

    fn handle(&mut self, message: Status, _: &mut Self::Context) -> Self::Result {
        let of_bucket = self.queues.iter().filter(|(queue, _)| queue.bucket == message.bucket);
        Ok(of_bucket.map(|(queue, schedule)| (queue.clone(), schedule.trouble())).collect())
    }
}

impl Handler<SendTest> for Notifier {
    type Result = ResponseFuture<Result<(), NotifierError>>;

    fn handle(&mut self, message: SendTest, _: &mut Self::Context) -> Self::Result {
        let webhooks = Arc::clone(&self.store.snapshot().load().state);
        let (deliverer, now) = (Arc::clone(&self.deliverer), self.clock.now());
        Box::pin(async move {
            let SendTest { targets, sender } = message;
            let text: Bytes = document::test_message(&sender, now).to_string().into();
            let each = targets.into_iter().map(|(arn, name)| {
                let (deliverer, text, webhook) = (&deliverer, text.clone(), webhooks.usable(&name));
                let id = sender.request_id.as_str();
                async move {
                    let (reason, cause) = match webhook {
                        Ok(webhook) => match deliverer.send(&webhook, id, text).await {
                            Outcome::Told => return Ok(()),
                            Outcome::Refused(cause) => ("The destination refused the test event", cause),
                            Outcome::Failed(cause) => ("The destination could not be told the test event", cause),
                        },
                        Err(cause) => (UNUSABLE, cause),
                    };
                    Err(NotifierError::Unreachable { arn, reason, cause })
                }
            });
            future::try_join_all(each).await.map(drop)
        })
    }
}
