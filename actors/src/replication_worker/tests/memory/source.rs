//! Queues and bytes of one bucket, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{OWN, bucket_name, etag, key};
use crate::bucket_config::{BucketConfig, RuleSet};
use crate::names::{BucketId, BucketName, CanonicalId, Change, NodeId, ObjectKey, Seen, Stamp, VersionId};
use crate::replication_worker::peer::{Content, ContentStream};
use crate::replication_worker::source::{Current, Opened, Source, SourceFuture};
use crate::storage::*;

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
