//! A queue and a target without a disk and a network: the queue may be of any length, the target does what it is told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::super::peer::*;
use super::super::source::{Current, Opened, Source, SourceFuture};
use crate::bucket_config::{BucketConfig, RuleSet};
use crate::names::{BucketId, BucketName, CanonicalId, Change, ETag, NodeId, ObjectKey, Seen, Stamp, VersionId};
use crate::storage::*;

pub const OWN: u64 = 1;
pub const OTHER: u64 = 2;

pub fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text.as_bytes()).unwrap()
}

pub fn bucket_name() -> BucketName {
    BucketName::parse("photos").unwrap()
}

#[derive(Debug, Clone)]
struct Row {
    since: Stamp,
    mark: Stamp,
    parked: Option<String>,
}

#[derive(Debug, Default)]
struct Inner {
    clock: u64,
    /// What is in the bucket: bytes, and where they were written; none once deleted.
    states: BTreeMap<ObjectKey, (Option<Bytes>, Stamp, NodeId2)>,
    rows: BTreeMap<(QueueName, Slot), Row>,
    pending: BTreeMap<(QueueName, Stamp, Slot), ()>,
    overflowed: bool,
    dropped: Vec<QueueName>,
    refuses_drops: bool,
    /// Rows that were read and not settled yet.
    read: BTreeSet<(Stamp, Slot)>,
    read_max: usize,
    filled: BTreeSet<QueueName>,
    rules: Arc<RuleSet>,
    settles: usize,
    swept: Vec<Stamp>,
}

/// A node id with a default.
#[derive(Debug, Clone, Copy)]
struct NodeId2(NodeId);

impl Default for NodeId2 {
    fn default() -> Self {
        Self(NodeId::new(OWN).unwrap())
    }
}

/// The queues and bytes of one bucket.
#[derive(Debug)]
pub struct MemorySource {
    inner: Mutex<Inner>,
    bucket: Mutex<Option<Arc<Bucket>>>,
    bell: Notify,
    /// Rows of a queue that has this many more, made up as they are read.
    pub made_up: Option<u64>,
}

impl MemorySource {
    pub fn new(versioning: Versioning) -> Self {
        let bucket = Bucket {
            id: BucketId(7),
            name: bucket_name(),
            owner: CanonicalId::from_bytes([1; 32]),
            created: Stamp(1),
            versioning,
            config: Arc::new(BucketConfig::default()),
        };
        Self { inner: Mutex::default(), bucket: Mutex::new(Some(Arc::new(bucket))), bell: Notify::new(), made_up: None }
    }

    pub fn delete_bucket(&self) {
        *self.bucket.lock() = None;
    }

    /// Writes an object, as a change of `origin`; none deletes it.
    pub fn write_as(&self, origin: u64, name: &str, content: Option<&str>) {
        let mut inner = self.inner.lock();
        inner.clock += 1;
        let (now, slot) = (Stamp(inner.clock), Slot { key: key(name), version: None });
        let bytes = content.map(|text| Bytes::copy_from_slice(text.as_bytes()));
        let origin = NodeId::new(origin).unwrap();
        inner.states.insert(key(name), (bytes, now, NodeId2(origin)));
        let Some(rules) = inner.rules.buckets.get(&bucket_name()).cloned() else { return };
        if rules.peer != Some(origin) && !inner.overflowed {
            enqueue(&mut inner, &QueueName { bucket: BucketId(7), target: rules.target }, slot);
            self.bell.notify_one();
        }
    }

    pub fn write(&self, name: &str, content: Option<&str>) {
        self.write_as(OWN, name, content);
    }

    pub fn is_published(&self) -> bool {
        self.inner.lock().rules.buckets.contains_key(&bucket_name())
    }

    pub fn rules(&self) -> Arc<RuleSet> {
        Arc::clone(&self.inner.lock().rules)
    }

    pub fn rows(&self) -> usize {
        self.inner.lock().rows.len()
    }

    pub fn overflow(&self) {
        self.inner.lock().overflowed = true;
    }

    /// Whether queues cannot be dropped for now.
    pub fn refuse_drops(&self, refuses: bool) {
        self.inner.lock().refuses_drops = refuses;
    }

    /// The times as of which it was swept.
    pub fn swept(&self) -> Vec<Stamp> {
        self.inner.lock().swept.clone()
    }

    pub fn dropped(&self) -> usize {
        self.inner.lock().dropped.len()
    }

    pub fn read_max(&self) -> usize {
        self.inner.lock().read_max
    }

    fn object(&self, bytes: &Bytes, stamp: Stamp, origin: NodeId) -> Arc<Object> {
        let change = Change { clock: stamp.0, origin };
        let (seen, won) = (Seen::default(), Seen::default());
        let lineage = Lineage {
            change,
            seen,
            won,
            modified: None,
            tags_change: None,
            lock_change: None,
            is_conflict: false,
            is_dismissed: false,
        };
        Arc::new(Object {
            version_id: VersionId::Null,
            stamp,
            size: bytes.len() as u64,
            etag: etag(bytes),
            crc64nvme: 0,
            checksum: None,
            owner: CanonicalId::from_bytes([1; 32]),
            attributes: Attributes::default(),
            controls: Controls::default(),
            upload: None,
            sealed: None,
            lineage: Some(Box::new(lineage)),
        })
    }
}

pub fn etag(bytes: &[u8]) -> ETag {
    let mut digest = [0; 16];
    bytes.iter().enumerate().for_each(|(at, byte)| digest[at % 16] ^= byte.wrapping_add(at as u8));
    ETag::single(digest)
}

fn enqueue(inner: &mut Inner, queue: &QueueName, slot: Slot) {
    inner.clock += 1;
    let now = Stamp(inner.clock);
    let row = inner.rows.entry((queue.clone(), slot.clone())).or_insert(Row { since: now, mark: now, parked: None });
    (row.mark, row.parked) = (now, None);
    let since = row.since;
    inner.pending.insert((queue.clone(), since, slot), ());
    inner.filled.insert(queue.clone());
}

impl Source for MemorySource {
    fn node_id(&self) -> NodeId {
        NodeId::new(OWN).unwrap()
    }

    fn bucket(&self, name: &BucketName) -> Result<Arc<Bucket>, StorageError> {
        self.bucket.lock().clone().ok_or_else(|| StorageError::NoSuchBucket { bucket: name.clone() })
    }

    fn publish(&self, rules: Arc<RuleSet>) {
        self.inner.lock().rules = rules;
    }

    fn filled(&self) -> LocalBoxFuture<'_, BTreeSet<QueueName>> {
        Box::pin(async move {
            self.bell.notified().await;
            std::mem::take(&mut self.inner.lock().filled)
        })
    }

    fn queues(&self) -> Vec<QueueName> {
        let queues: BTreeSet<_> = self.inner.lock().rows.keys().map(|(queue, _)| queue.clone()).collect();
        queues.into_iter().collect()
    }

    fn totals(&self, queue: &QueueName) -> Result<QueueTotals, StorageError> {
        let inner = self.inner.lock();
        let of_queue = inner.rows.iter().filter(|((of, _), _)| of == queue);
        let (parked, pending): (Vec<_>, Vec<_>) = of_queue.partition(|(_, row)| row.parked.is_some());
        Ok(QueueTotals {
            pending: pending.len() as u64 + self.made_up.unwrap_or(0),
            parked: parked.len() as u64,
            overflowed: inner.overflowed,
            oldest: pending.iter().map(|(_, row)| row.since).min(),
            ..QueueTotals::default()
        })
    }

    fn page(
        &self,
        queue: QueueName,
        tray: ReplicationTray,
        after: Option<(Stamp, Slot)>,
        limit: usize,
    ) -> SourceFuture<'_, Vec<QueuedChange>> {
        let mut inner = self.inner.lock();
        let entry = |since: Stamp, mark: Stamp, slot: &Slot, parked: Option<String>| QueuedChange {
            slot: slot.clone(),
            since,
            mark,
            kinds: Kinds::CONTENT,
            bytes: 1,
            attempts: 0,
            parked,
        };
        if let (Some(total), ReplicationTray::Pending) = (self.made_up, tray) {
            let first = after.map_or(0, |(since, _)| since.0 + 1);
            let page = (first..total).take(limit);
            let page: Vec<_> = page
                .map(|at| entry(Stamp(at), Stamp(at), &Slot { key: key(&format!("made/{at}")), version: None }, None))
                .collect();
            inner.read.extend(page.iter().map(|entry| (entry.since, entry.slot.clone())));
            inner.read_max = inner.read_max.max(inner.read.len());
            return Box::pin(async move { Ok(page) });
        }
        let mut found: Vec<_> = inner
            .rows
            .iter()
            .filter(|((of, _), row)| *of == queue && row.parked.is_some() == (tray == ReplicationTray::Parked))
            .map(|((_, slot), row)| entry(row.since, row.mark, slot, row.parked.clone()))
            .filter(|entry| after.as_ref().is_none_or(|after| (entry.since, entry.slot.clone()) > *after))
            .collect();
        found.sort_by_key(|entry| (entry.since, entry.slot.clone()));
        found.truncate(limit);
        inner.read.extend(found.iter().map(|entry| (entry.since, entry.slot.clone())));
        inner.read_max = inner.read_max.max(inner.read.len());
        Box::pin(async move { Ok(found) })
    }

    fn entry(&self, queue: &QueueName, slot: &Slot) -> Result<Option<QueuedChange>, StorageError> {
        let inner = self.inner.lock();
        let made_up = self.made_up.map(|_| Row { since: Stamp(0), mark: Stamp(0), parked: None });
        let row = inner.rows.get(&(queue.clone(), slot.clone())).cloned().or(made_up);
        Ok(row.map(|row| QueuedChange {
            slot: slot.clone(),
            since: row.since,
            mark: row.mark,
            kinds: Kinds::CONTENT,
            bytes: 1,
            attempts: 0,
            parked: row.parked.clone(),
        }))
    }

    fn settle(&self, message: SettleChanges) -> SourceFuture<'_, usize> {
        assert!(message.changes.len() <= SettleChanges::CHANGES_MAX);
        let mut inner = self.inner.lock();
        inner.settles += 1;
        let mut settled = 0;
        for (slot, mark, outcome) in message.changes {
            inner.read.retain(|(_, read)| *read != slot);
            if self.made_up.is_some() {
                settled += 1;
                continue;
            }
            let id = (message.queue.clone(), slot);
            let Some(row) = inner.rows.get_mut(&id).filter(|row| row.mark == mark) else { continue };
            settled += 1;
            match outcome {
                SettledChange::Done | SettledChange::Dismissed => drop(inner.rows.remove(&id)),
                SettledChange::Parked(reason) => row.parked = Some(reason),
                SettledChange::Pending => row.parked = None,
            }
        }
        Box::pin(async move {
            // As a commit, it takes a while.
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(settled)
        })
    }

    fn enqueue(&self, message: EnqueueChanges) -> SourceFuture<'_, usize> {
        let mut inner = self.inner.lock();
        let target = inner.rules.buckets[&message.bucket.name].target.clone();
        let count = message.slots.len();
        for slot in message.slots {
            enqueue(&mut inner, &QueueName { bucket: message.bucket.id, target: target.clone() }, slot);
        }
        self.bell.notify_one();
        Box::pin(async move { Ok(count) })
    }

    fn drop_queue(&self, queue: QueueName) -> SourceFuture<'_, ()> {
        let mut inner = self.inner.lock();
        if inner.refuses_drops {
            return Box::pin(async { Err(StorageError::Busy) });
        }
        inner.rows.retain(|(of, _), _| *of != queue);
        inner.overflowed = false;
        inner.dropped.push(queue);
        Box::pin(async { Ok(()) })
    }

    fn drop_former_queue(&self, queue: QueueName) -> SourceFuture<'_, ()> {
        self.drop_queue(queue)
    }

    fn sweep(&self, now: Stamp) -> SourceFuture<'_, ()> {
        self.inner.lock().swept.push(now);
        Box::pin(async { Ok(()) })
    }

    fn state(&self, _: &Bucket, slot: &Slot) -> Result<SlotState, StorageError> {
        if self.made_up.is_some() {
            return Ok(SlotState::Object(self.object(&Bytes::from_static(b"x"), Stamp(1), self.node_id())));
        }
        let inner = self.inner.lock();
        Ok(match inner.states.get(&slot.key) {
            None => SlotState::Gone,
            Some((Some(bytes), stamp, origin)) => SlotState::Object(self.object(bytes, *stamp, origin.0)),
            Some((None, stamp, origin)) => SlotState::Deleted {
                version_id: VersionId::Null,
                change: Change { clock: stamp.0, origin: origin.0 },
                seen: Seen::default(),
            },
        })
    }

    fn current(&self, bucket: &Bucket, key: &ObjectKey) -> Result<Current, StorageError> {
        Ok(match self.state(bucket, &Slot { key: key.clone(), version: None })? {
            SlotState::Object(object) => Some(object),
            _ => None,
        })
    }

    fn walk(&self, _: Arc<Bucket>, after: Option<WalkPosition>, limit: usize) -> SourceFuture<'_, SlotPage> {
        let after = after.map(|after| hex::decode(after.to_string()).unwrap());
        let inner = self.inner.lock();
        let behind =
            inner.states.keys().filter(|key| after.as_ref().is_none_or(|after| key.as_bytes() > after.as_slice()));
        let slots: Vec<_> =
            behind.take(limit.min(10)).map(|key| (Slot { key: key.clone(), version: None }, 1)).collect();
        let last = slots.last().filter(|_| slots.len() == 10).map(|(slot, _)| hex::encode(slot.key.as_bytes()));
        let next = last.and_then(|last| WalkPosition::parse(&last));
        Box::pin(async move { Ok(SlotPage { slots, next }) })
    }

    fn open<'a>(&'a self, _: &'a Arc<Bucket>, key: &'a ObjectKey, object: &'a Object) -> SourceFuture<'a, Opened> {
        let bytes = match self.made_up {
            Some(_) => Some(Bytes::from_static(b"x")),
            None => {
                let inner = self.inner.lock();
                let state = inner.states.get(key).filter(|(_, stamp, _)| *stamp == object.stamp);
                state.and_then(|(bytes, ..)| bytes.clone())
            }
        };
        Box::pin(async move {
            Ok(bytes.map_or(Opened::Changed, |bytes| Opened::Content(Arc::new(MemoryContent(bytes)), Vec::new())))
        })
    }
}

#[derive(Debug)]
struct MemoryContent(Bytes);

impl Content for MemoryContent {
    fn read(&self, range: Range<u64>) -> Result<ContentStream, StorageError> {
        let bytes = self.0.slice(range.start as usize..range.end as usize);
        Ok(stream::iter([Ok(bytes)]).boxed())
    }
}

/// How the target behaves.
#[derive(Debug, Default)]
pub struct Behaviour {
    pub away: bool,
    pub throttles: Option<Duration>,
    pub delay: Duration,
    /// Keys with the error that they meet.
    pub refuses: HashMap<String, PeerErrorKind>,
    /// Of so many requests, one fails.
    pub fails_every: usize,
    pub is_node: bool,
    pub has_bucket: bool,
    pub may_delete: bool,
    /// Whether it takes small objects together.
    pub together: bool,
    /// What it refuses everything with.
    pub problem: Option<&'static str>,
    /// Whether each page of its listing is the first.
    pub lists_anew: bool,
}

/// A target in memory.
#[derive(Debug)]
pub struct MemoryPeer {
    pub behaviour: Mutex<Behaviour>,
    objects: Mutex<BTreeMap<String, Bytes>>,
    keys: Mutex<BTreeSet<String>>,
    under_way: AtomicUsize,
    pub under_way_max: AtomicUsize,
    pub requests: AtomicUsize,
    pub handshakes: AtomicUsize,
    pub out_of_order: AtomicUsize,
    /// How many objects came together, each time.
    pub bundles: Mutex<Vec<usize>>,
    /// Changes in the order of their arrival.
    pub log: Mutex<Vec<(String, u64)>>,
}

impl MemoryPeer {
    pub fn new(is_node: bool) -> Self {
        let behaviour = Behaviour { is_node, has_bucket: true, may_delete: true, ..Behaviour::default() };
        Self {
            behaviour: Mutex::new(behaviour),
            objects: Mutex::default(),
            keys: Mutex::default(),
            under_way: AtomicUsize::new(0),
            under_way_max: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            handshakes: AtomicUsize::new(0),
            out_of_order: AtomicUsize::new(0),
            bundles: Mutex::default(),
            log: Mutex::default(),
        }
    }

    pub fn get(&self, name: &str) -> Option<String> {
        self.objects.lock().get(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    pub fn set(&self, name: &str, content: Option<&str>) {
        match content {
            Some(content) => {
                drop(self.objects.lock().insert(name.to_owned(), Bytes::copy_from_slice(content.as_bytes())))
            }
            None => drop(self.objects.lock().remove(name)),
        }
    }

    pub fn len(&self) -> usize {
        self.objects.lock().len()
    }

    /// What any request meets.
    async fn meet(&self, name: Option<&str>) -> Result<(), PeerError> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let (delay, error) = {
            let it = self.behaviour.lock();
            let fails = name.is_some() && it.fails_every > 0 && number.is_multiple_of(it.fails_every);
            let error = if it.away {
                Some(PeerErrorKind::Unreachable)
            } else if let (Some(wait), Some(_)) = (it.throttles, name) {
                Some(PeerErrorKind::Throttled { retry_after: Some(wait) })
            } else if let (Some(code), Some(_)) = (it.problem, name) {
                Some(PeerErrorKind::Refused { status: 403, code: code.to_owned() })
            } else if fails {
                Some(PeerErrorKind::Refused { status: 500, code: "InternalError".to_owned() })
            } else {
                name.and_then(|name| it.refuses.get(name).cloned())
            };
            (it.delay, error)
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        error.map_or(Ok(()), |kind| Err(PeerError::new(kind.clone(), format!("{kind:?}"))))
    }

    /// A change of a key, of which only one may be under way.
    async fn change<T>(&self, name: &str, clock: u64, change: impl AsyncFnOnce() -> T) -> Result<T, PeerError> {
        let guard = Guard::new(self, name);
        self.meet(Some(name)).await?;
        let answer = change().await;
        self.log.lock().push((name.to_owned(), clock));
        drop(guard);
        Ok(answer)
    }
}

struct Guard<'a>(&'a MemoryPeer, String);

impl<'a> Guard<'a> {
    fn new(peer: &'a MemoryPeer, name: &str) -> Self {
        let now = peer.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        peer.under_way_max.fetch_max(now, Ordering::SeqCst);
        if !peer.keys.lock().insert(name.to_owned()) {
            peer.out_of_order.fetch_add(1, Ordering::SeqCst);
        }
        Self(peer, name.to_owned())
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
        self.0.keys.lock().remove(&self.1);
    }
}

impl Peer for MemoryPeer {
    fn handshake<'a>(&'a self, _: &'a Destination) -> PeerFuture<'a, Handshake> {
        Box::pin(async move {
            self.handshakes.fetch_add(1, Ordering::SeqCst);
            self.meet(None).await?;
            let it = self.behaviour.lock();
            let node = it.is_node.then(|| PeerNode { id: NodeId::new(OTHER).unwrap(), time: Stamp(0) });
            let bucket = PeerBucket { versioning: Versioning::Off, object_lock: false };
            let rights = PeerRights { read: true, write: true, delete: it.may_delete, replicate: it.is_node };
            Ok(Handshake {
                node,
                bucket: it.has_bucket.then_some(bucket),
                rights,
                version: "memory".to_owned(),
                together: it.together,
                whole: false,
                problem: it.problem.map(str::to_owned),
                is_hidden: false,
            })
        })
    }

    fn put<'a>(&'a self, to: &'a Destination, object: &'a Outgoing) -> PeerFuture<'a, Applied> {
        Box::pin(async move {
            assert_eq!(object.replica.is_some(), to.node().is_some());
            let clock = object.object.stamp.0;
            let bytes = self
                .change(object.key.as_str(), clock, async || {
                    let mut stream = object.content.read(0..object.object.size).unwrap();
                    let mut all = Vec::new();
                    while let Some(chunk) = stream.next().await {
                        all.extend_from_slice(&chunk.unwrap());
                    }
                    Bytes::from(all)
                })
                .await?;
            self.objects.lock().insert(object.key.as_str().to_owned(), bytes);
            Ok(Applied::Applied)
        })
    }

    fn put_together<'a>(
        &'a self,
        to: &'a Destination,
        objects: &'a [Outgoing],
    ) -> PeerFuture<'a, Vec<Result<Applied, PeerError>>> {
        Box::pin(async move {
            self.meet(None).await?;
            self.bundles.lock().push(objects.len());
            let mut results = Vec::new();
            for object in objects {
                results.push(self.put(to, object).await);
            }
            Ok(results)
        })
    }

    fn change_tags<'a>(&'a self, to: &'a Destination, object: &'a Outgoing) -> PeerFuture<'a, Applied> {
        self.put(to, object)
    }

    fn change_lock<'a>(&'a self, to: &'a Destination, object: &'a Outgoing) -> PeerFuture<'a, Applied> {
        self.put(to, object)
    }

    fn delete<'a>(&'a self, _: &'a Destination, deletion: &'a Deletion) -> PeerFuture<'a, Applied> {
        Box::pin(async move {
            self.change(deletion.key.as_str(), 0, async || ()).await?;
            self.objects.lock().remove(deletion.key.as_str());
            Ok(Applied::Applied)
        })
    }

    fn list<'a>(&'a self, _: &'a Destination, query: &'a ListPeer) -> PeerFuture<'a, PeerPage> {
        Box::pin(async move {
            self.meet(None).await?;
            let objects = self.objects.lock();
            let is_deaf = self.behaviour.lock().lists_anew;
            let after = query.after.as_ref().filter(|_| !is_deaf).map(|(key, _)| key.as_str());
            let behind = objects.iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
            let entries: Vec<_> = behind
                .take(7)
                .map(|(key, bytes)| PeerEntry {
                    key: key.clone(),
                    version_id: VersionId::Null,
                    is_latest: true,
                    object: Some((PeerETag::Known(etag(bytes)), bytes.len() as u64)),
                    beside: None,
                })
                .collect();
            let next = entries.last().filter(|_| entries.len() == 7).map(|entry| (entry.key.clone(), None));
            Ok(PeerPage { entries, next })
        })
    }
}
