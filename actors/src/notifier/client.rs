//! The only way to the notifier: targets are judged on the published webhooks, queues on their rows and what the actor knows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ArbiterHandle};

use super::actor::Notifier;
use super::arn::{InvalidArn, webhook_of, webhook_of_target};
use super::error::{NotifierError, UNUSABLE};
use super::messages::{Recheck, Reload, SendTest, Status, Stop, TestSender, Trouble};
use super::webhooks::{WebhookFile, Webhooks};
use crate::bucket_config::{Notification, TargetKind};
use crate::call::Door;
use crate::clock::SharedClock;
use crate::json_store::{FileProblem, JsonStore, Snapshot};
use crate::names::Stamp;
use crate::seal::Sealer;
use crate::storage::{
    Bucket, EVENT_BUS, OutboxQueue, QueueLength, QueuedEvent, SettleEvents, Settled, StorageClient, StorageError, Tray,
};

const CALLS_MAX: usize = 256;
const DEADLINE: Duration = Duration::from_secs(30);
/// Events of a queue that are counted at most.
const COUNT_MAX: u64 = 100_000;
/// Queues of a bucket that are told of at most; more than a bucket can have targets, as former ones may have some left.
const QUEUES_MAX: usize = 1000;
/// Dead events that are shown of each queue.
const SHOWN_MAX: usize = 100;

/// What the notifier starts from.
#[derive(Debug, Clone)]
pub struct NotifierSettings {
    /// `WEBHOOKS_PATH`; need not exist.
    pub path: PathBuf,
    /// Seals the tokens of webhooks.
    pub sealer: Sealer,
    /// Region in messages, and of targets.
    pub region: String,
    /// Whether webhooks may be at addresses that are not public.
    pub allow_private: bool,
    /// How long an event is tried to be told.
    pub keep: Duration,
}

/// The client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct NotifierClient {
    door: Door<Notifier>,
    storage: StorageClient,
    webhooks: Snapshot<Webhooks>,
    path: Arc<Path>,
    region: Arc<str>,
}

/// The events of a bucket that were not told yet, by target.
#[derive(Debug, Clone, Default)]
pub struct BucketEvents {
    /// Targets that have any.
    pub targets: Vec<TargetEvents>,
}

/// The events that one target was not told of yet.
#[derive(Debug, Clone)]
pub struct TargetEvents {
    /// ARN of the target, or `eventbridge`.
    pub target: Arc<str>,
    /// Name of its webhook.
    pub webhook: Option<String>,
    /// Those to be told.
    pub pending: QueueLength,
    /// Those that were given up.
    pub dead: QueueLength,
    /// The oldest of these.
    pub dead_first: Vec<QueuedEvent>,
    /// What keeps them from being told.
    pub trouble: Trouble,
}

impl NotifierClient {
    /// Reads the webhooks and starts the actor on `arbiter`. Errs: the file cannot be read, has a mistake, or holds a token
    /// sealed under an unknown key.
    pub fn start(
        settings: NotifierSettings,
        storage: StorageClient,
        clock: SharedClock,
        arbiter: &ArbiterHandle,
    ) -> Result<Self, NotifierError> {
        let file = WebhookFile { sealer: settings.sealer.clone() };
        let store = JsonStore::open(settings.path.clone(), file, None, &WebhookFile::empty())?;
        let (webhooks, path) = (store.snapshot(), Arc::from(settings.path.as_path()));
        let region = Arc::from(settings.region.as_str());
        let mut actor = Notifier::new(store, storage.clone(), clock, settings);
        if webhooks.load().exists() {
            actor.tidy();
        }
        let address = Notifier::start_in_arbiter(arbiter, move |_| actor);
        Ok(Self { door: Door::new(address, CALLS_MAX, DEADLINE), storage, webhooks, path, region })
    }

    /// Calls that wait for the actor, or for its answer.
    pub fn calls(&self) -> usize {
        self.door.calls()
    }

    /// Judges the targets of a new configuration, and sends those of topics and queues a test event, as S3 does. `validate`:
    /// whether they must be there and answer. Errs: MalformedArn, WrongRegion, Unreachable.
    pub async fn check(
        &self,
        notification: &Notification,
        validate: bool,
        sender: TestSender,
    ) -> Result<(), NotifierError> {
        let mut named = Vec::new();
        for target in &notification.targets {
            let arn = || target.arn.clone();
            let name = webhook_of(&target.arn, target.kind, &self.region).map_err(|why| match why {
                InvalidArn::Malformed => NotifierError::MalformedArn { arn: arn() },
                InvalidArn::WrongRegion => NotifierError::WrongRegion { arn: arn() },
            })?;
            named.push((arn(), name.to_owned(), target.kind != TargetKind::Function));
        }
        if notification.event_bridge {
            named.push((EVENT_BUS.to_owned(), EVENT_BUS.to_owned(), false));
        }
        if !validate || named.is_empty() {
            return Ok(());
        }
        if !self.webhooks.load().is_current_for_request(&self.path, Instant::now()) {
            self.door.call(Reload).await?;
        }
        let webhooks = Arc::clone(&self.webhooks.load().state);
        for (arn, name, _) in &named {
            let unreachable = |cause| NotifierError::Unreachable { arn: arn.clone(), reason: UNUSABLE, cause };
            webhooks.usable(name).map_err(unreachable)?;
        }
        let mut targets: Vec<_> =
            named.into_iter().filter(|(.., is_tested)| *is_tested).map(|(arn, name, _)| (arn, name)).collect();
        targets.sort();
        targets.dedup();
        Ok(self.door.call(SendTest { targets, sender }).await?)
    }

    /// The events of a bucket that were not told yet.
    pub async fn events(&self, bucket: &Bucket) -> Result<BucketEvents, NotifierError> {
        let mut troubles: BTreeMap<OutboxQueue, Trouble> = self.door.call(Status { bucket: bucket.id }).await?;
        let mut queues = self.queues_of(bucket, Tray::Pending).await?;
        queues.extend(self.queues_of(bucket, Tray::Dead).await?);
        queues.sort();
        queues.dedup();
        let mut targets = Vec::with_capacity(queues.len());
        for queue in queues {
            let dead_first = self.storage.queued_events(Tray::Dead, queue.clone(), None, SHOWN_MAX).await?;
            targets.push(TargetEvents {
                target: Arc::clone(&queue.target),
                webhook: webhook_of_target(&queue.target).map(str::to_owned),
                pending: self.storage.queue_length(Tray::Pending, queue.clone(), COUNT_MAX).await?,
                dead: self.storage.queue_length(Tray::Dead, queue.clone(), COUNT_MAX).await?,
                dead_first,
                trouble: troubles.remove(&queue).unwrap_or_default(),
            });
        }
        Ok(BucketEvents { targets })
    }

    /// Has everything of a bucket told that can be: dead events are pending again, and nothing waits for another try. Answers how
    /// many were dead.
    pub async fn replay(&self, bucket: &Bucket) -> Result<usize, NotifierError> {
        let replayed = self.settle_dead(bucket, &Settled::Replayed).await?;
        self.door.call(Recheck { bucket: bucket.id }).await?;
        Ok(replayed)
    }

    /// Forgets the dead events of a bucket. Answers how many there were.
    pub async fn discard(&self, bucket: &Bucket) -> Result<usize, NotifierError> {
        Ok(self.settle_dead(bucket, &Settled::Done).await?)
    }

    async fn settle_dead(&self, bucket: &Bucket, outcome: &Settled) -> Result<usize, StorageError> {
        let mut settled = 0;
        for queue in self.queues_of(bucket, Tray::Dead).await? {
            settled += settle_all(&self.storage, &queue, outcome).await?;
        }
        Ok(settled)
    }

    async fn queues_of(&self, bucket: &Bucket, tray: Tray) -> Result<Vec<OutboxQueue>, StorageError> {
        let before = OutboxQueue { bucket: bucket.id, target: Arc::from("") };
        let mut queues = self.storage.queues(tray, Some(before), QUEUES_MAX).await?;
        queues.retain(|queue| queue.bucket == bucket.id);
        Ok(queues)
    }

    /// Sends no more. To be called before Storage stops.
    pub async fn stop(&self) -> Result<(), NotifierError> {
        Ok(self.door.call(Stop).await?)
    }

    /// Why the file's present content is not in force; none while it is.
    pub fn problem(&self) -> Option<FileProblem> {
        self.webhooks.load().problem.clone()
    }

    /// Region in messages.
    pub fn region(&self) -> &str {
        &self.region
    }
}

/// Settles all dead events that a queue has by now. Answers how many.
pub(super) async fn settle_all(
    storage: &StorageClient,
    queue: &OutboxQueue,
    outcome: &Settled,
) -> Result<usize, StorageError> {
    let (mut settled, mut after): (usize, Option<Stamp>) = (0, None);
    loop {
        let events = storage.queued_events(Tray::Dead, queue.clone(), after, SettleEvents::CHANGES_MAX).await?;
        let Some(last) = events.last() else { return Ok(settled) };
        after = Some(last.event.sequence);
        let events = events.iter().map(|event| (queue.clone(), event.event.sequence, outcome.clone())).collect();
        settled += storage.settle_events(SettleEvents { tray: Tray::Dead, events }).await?;
    }
}
