//! A comparison of a bucket with its target: both are walked side by side, key by key. What differs is counted, some of it named, and
//! queued if it is to be repaired.

use std::cmp::Ordering;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering as Atomic};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::beside::Beside;
use super::peer::{Destination, ListPeer, Peer, PeerETag, PeerEntry, PeerError, PeerErrorKind, PeerPage};
use super::source::Source;
use crate::bucket_config::{BucketReplication, ReplicatedChange};
use crate::clock::SharedClock;
use crate::names::{ETag, ObjectKey, Stamp, VersionId};
use crate::storage::{
    Bucket, EnqueueChanges, Object, SettleChanges, Slot, SlotState, StorageError, Versioning, WalkPosition,
};

/// Differences of each kind that are named.
const NAMED_MAX: usize = 100;
/// Slots that are read at once.
const PAGE: usize = 256;
/// Longest rest between two pages.
const REST_MAX: Duration = Duration::from_millis(200);
/// Versions of one key that are compared at most; further ones are passed over.
const VERSIONS_MAX: usize = 10_000;

/// Where a comparison stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ComparisonState {
    /// It is at work.
    #[default]
    Running,
    /// It was everywhere.
    Done,
    /// It was told to end.
    Cancelled,
    /// It could not go on.
    Failed(String),
}

/// How something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceKind {
    /// The target has it not.
    Missing,
    /// The target has something else there, or something whose deletion here is replicated.
    Different,
    /// Only the target has it, of what the rules are about.
    Extra,
}

/// Something that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaDifference {
    /// How.
    pub kind: DifferenceKind,
    /// Its key.
    pub key: String,
    /// Its version; `Null` where only current objects are compared.
    pub version_id: VersionId,
}

/// What a comparison has found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Where it stands.
    pub state: ComparisonState,
    /// Whether what is missing or different is queued.
    pub repairs: bool,
    /// Whether all versions are compared, or only current objects.
    pub by_version: bool,
    /// When it began.
    pub started: Stamp,
    /// When it ended.
    pub ended: Option<Stamp>,
    /// Keys that were looked at.
    pub keys: u64,
    /// What is the same on both sides.
    pub same: u64,
    /// What the target has not.
    pub missing: u64,
    /// What is another there, or deleted here.
    pub different: u64,
    /// What only the target has.
    pub extra: u64,
    /// What was queued to be sent.
    pub queued: u64,
    /// The first differences of each kind.
    pub differences: Vec<ReplicaDifference>,
}

impl Comparison {
    fn note(&mut self, kind: DifferenceKind, key: &str, version_id: VersionId) {
        let count = match kind {
            DifferenceKind::Missing => &mut self.missing,
            DifferenceKind::Different => &mut self.different,
            DifferenceKind::Extra => &mut self.extra,
        };
        *count += 1;
        if *count <= NAMED_MAX as u64 {
            self.differences.push(ReplicaDifference { kind, key: key.to_owned(), version_id });
        }
    }
}

/// A comparison at work.
#[derive(Debug)]
pub(super) struct CompareJob {
    found: Mutex<Comparison>,
    is_cancelled: AtomicBool,
}

impl CompareJob {
    pub fn new(repairs: bool, now: Stamp) -> Self {
        let found = Comparison { repairs, started: now, ..Comparison::default() };
        Self { found: Mutex::new(found), is_cancelled: AtomicBool::new(false) }
    }

    pub fn report(&self) -> Comparison {
        self.found.lock().clone()
    }

    pub fn is_running(&self) -> bool {
        self.found.lock().state == ComparisonState::Running
    }

    pub fn cancel(&self) {
        self.is_cancelled.store(true, Atomic::SeqCst);
    }
}

/// What a comparison works with.
#[derive(Debug, Clone)]
pub(super) struct Comparer {
    pub source: Arc<dyn Source>,
    pub peer: Arc<dyn Peer>,
    pub clock: SharedClock,
    pub bucket: Arc<Bucket>,
    pub rules: Arc<BucketReplication>,
    pub to: Destination,
    pub job: Arc<CompareJob>,
}

/// Why a comparison could not go on.
#[derive(Debug, thiserror::Error)]
enum Stuck {
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What this side has of a key.
#[derive(Debug, Default)]
struct Ours {
    key: Option<ObjectKey>,
    slots: Vec<Slot>,
}

/// Something of this side that should be there.
#[derive(Debug)]
struct Wanted {
    slot: Slot,
    version_id: VersionId,
    /// None of a delete marker.
    object: Option<Arc<Object>>,
}

impl Comparer {
    /// Compares, and tells the job.
    pub async fn run(mut self) {
        let state = match self.compare().await {
            Ok(()) if self.is_cancelled() => ComparisonState::Cancelled,
            Ok(()) => ComparisonState::Done,
            Err(stuck) => ComparisonState::Failed(stuck.to_string()),
        };
        let mut found = self.job.found.lock();
        (found.state, found.ended) = (state, Some(self.clock.now()));
        let Comparison { keys, same, missing, different, extra, queued, .. } = &*found;
        tracing::info!(bucket = %self.bucket.name, keys, same, missing, different, extra, queued, "compared");
    }

    fn is_cancelled(&self) -> bool {
        self.job.is_cancelled.load(Atomic::SeqCst)
    }

    async fn compare(&mut self) -> Result<(), Stuck> {
        let terms = self.peer.handshake(&self.to).await?;
        let there = terms.bucket.map(|bucket| bucket.versioning);
        let is_versioned = |versioning: Versioning| versioning != Versioning::Off;
        let by_version =
            terms.takes_replicas() && is_versioned(self.bucket.versioning) && there.is_some_and(is_versioned);
        self.job.found.lock().by_version = by_version;
        self.to.terms = Some(Arc::new(terms));
        let mut ours = OurKeys { comparer: self, waiting: VecDeque::new(), position: None, is_last: false };
        let mut theirs = TheirKeys::new(self);
        let mut to_queue: Vec<Slot> = Vec::new();
        let (mut here, mut there) = (ours.next().await?, theirs.next().await?);
        while !self.is_cancelled() {
            let (our_key, their_key) =
                (here.key.as_ref().map(ObjectKey::as_str), there.first().map(|it| it.key.as_str()));
            let order = match (our_key, their_key) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(ours), Some(theirs)) => ours.as_bytes().cmp(theirs.as_bytes()),
            };
            let nothing = (Ours::default(), Vec::new());
            let (left, right) = match order {
                Ordering::Less => (&here, &nothing.1),
                Ordering::Greater => (&nothing.0, &there),
                Ordering::Equal => (&here, &there),
            };
            self.compare_key(by_version, left, right, &mut to_queue)?;
            if to_queue.len() >= SettleChanges::CHANGES_MAX {
                self.queue(&mut to_queue).await?;
            }
            if order.is_le() {
                here = ours.next().await?;
            }
            if order.is_ge() {
                there = theirs.next().await?;
            }
        }
        Ok(self.queue(&mut to_queue).await?)
    }

    fn compare_key(
        &self,
        by_version: bool,
        ours: &Ours,
        theirs: &[PeerEntry],
        to_queue: &mut Vec<Slot>,
    ) -> Result<(), StorageError> {
        let wanted = self.wanted(by_version, ours)?;
        let bucket = self.to.terms.as_ref().and_then(|terms| terms.bucket);
        let is_node = self.to.node().is_some();
        let has_locks = self.bucket.config.object_lock.is_some() && bucket.is_some_and(|bucket| bucket.object_lock);
        let mut found = self.job.found.lock();
        found.keys += 1;
        let mut left: Vec<&PeerEntry> =
            theirs.iter().filter(|it| by_version || (it.is_latest && it.object.is_some())).collect();
        for Wanted { slot, version_id, object } in wanted {
            let is_it = |it: &&PeerEntry| !by_version || it.version_id == version_id;
            let there = left.iter().position(is_it).map(|at| left.swap_remove(at));
            let kind = match (there, &object) {
                // A marker that only hides nothing is no difference where only current objects are compared.
                (None, None) if !by_version => continue,
                (None, _) => DifferenceKind::Missing,
                (Some(there), object) if is_same(object.as_deref(), there, has_locks, is_node) => {
                    found.same += 1;
                    continue;
                }
                (Some(_), _) => DifferenceKind::Different,
            };
            found.note(kind, slot.key.as_str(), version_id);
            to_queue.push(slot);
        }
        drop(found);
        for extra in left {
            let deleted = self.deleted(by_version, ours, extra)?;
            let kind = deleted.as_ref().map_or(DifferenceKind::Extra, |_| DifferenceKind::Different);
            self.job.found.lock().note(kind, &extra.key, extra.version_id);
            to_queue.extend(deleted);
        }
        Ok(())
    }

    /// The slot that tells that something of the target was deleted here, if the target is to be told so. What is here and no rule means
    /// says nothing of what the target has.
    fn deleted(&self, by_version: bool, ours: &Ours, extra: &PeerEntry) -> Result<Option<Slot>, StorageError> {
        let Some(key) = &ours.key else { return Ok(None) };
        if !by_version && self.source.current(&self.bucket, key)?.is_some() {
            return Ok(None);
        }
        let version = Slot::of(key, extra.version_id).version;
        for slot in ours.slots.iter().filter(|slot| !by_version || slot.version == version) {
            if self.tells_delete(by_version, slot)? {
                return Ok(Some(slot.clone()));
            }
        }
        Ok(None)
    }

    /// Whether a slot is deleted in a way that is replicated.
    fn tells_delete(&self, by_version: bool, slot: &Slot) -> Result<bool, StorageError> {
        let key = slot.key.as_str();
        let matches = |change| self.rules.matches(key, change);
        Ok(match self.source.state(&self.bucket, slot)? {
            SlotState::Object(_) | SlotState::Gone => false,
            SlotState::Marker { modified, .. } => {
                self.rules.means(key, None, modified) && matches(ReplicatedChange::Delete)
            }
            SlotState::Deleted { version_id, .. } => match by_version && version_id != VersionId::Null {
                true => matches(ReplicatedChange::DeleteVersion),
                false => matches(ReplicatedChange::Delete),
            },
        })
    }

    /// What should be there of a key.
    fn wanted(&self, by_version: bool, ours: &Ours) -> Result<Vec<Wanted>, StorageError> {
        let Some(key) = &ours.key else { return Ok(Vec::new()) };
        let is_wanted = |object: &Object| {
            let tags = &object.attributes.tags;
            self.rules.means(key.as_str(), Some(tags), object.stamp)
                && self.rules.matches(key.as_str(), ReplicatedChange::Object(tags))
        };
        if !by_version {
            let object = self.source.current(&self.bucket, key)?.filter(|object| is_wanted(object));
            let wanted = object.map(|object| {
                let version_id = object.version_id;
                Wanted { slot: Slot::of(key, version_id), version_id, object: Some(object) }
            });
            return Ok(wanted.into_iter().collect());
        }
        let mut wanted = Vec::with_capacity(ours.slots.len());
        for slot in &ours.slots {
            match self.source.state(&self.bucket, slot)? {
                SlotState::Object(object) if is_wanted(&object) => {
                    let version_id = object.version_id;
                    wanted.push(Wanted { slot: slot.clone(), version_id, object: Some(object) });
                }
                SlotState::Marker { version_id, modified, .. }
                    if self.rules.means(key.as_str(), None, modified)
                        && self.rules.matches(key.as_str(), ReplicatedChange::Delete) =>
                {
                    wanted.push(Wanted { slot: slot.clone(), version_id, object: None });
                }
                SlotState::Object(_) | SlotState::Marker { .. } | SlotState::Deleted { .. } | SlotState::Gone => {}
            }
        }
        Ok(wanted)
    }

    async fn queue(&self, slots: &mut Vec<Slot>) -> Result<(), StorageError> {
        let slots = std::mem::take(slots);
        if !self.job.found.lock().repairs {
            return Ok(());
        }
        for slots in slots.chunks(SettleChanges::CHANGES_MAX) {
            let message = EnqueueChanges { bucket: Arc::clone(&self.bucket), slots: slots.to_vec(), is_repair: true };
            let queued = self.source.enqueue(message).await?;
            self.job.found.lock().queued += queued as u64;
        }
        Ok(())
    }
}

/// Whether both are the same: a delete marker, or bytes of one size and ETag, with the same beside them where that is told. An ETag that
/// says nothing of the bytes is not compared: so that of parts which only a service that is no node is sent.
fn is_same(ours: Option<&Object>, theirs: &PeerEntry, has_locks: bool, is_node: bool) -> bool {
    match (ours, &theirs.object) {
        (None, None) => true,
        (Some(object), Some((etag, size))) => {
            let is_same_etag = |own: &ETag| match etag {
                PeerETag::Known(etag) if !is_node && etag.parts.is_some() && own.parts.is_none() => true,
                PeerETag::Known(etag) => etag == own,
                PeerETag::Other(_) => true,
            };
            let is_same_beside = |there: &Beside| Beside::of(object).is_at(there, has_locks);
            object.size == *size && is_same_etag(&object.etag) && theirs.beside.as_ref().is_none_or(is_same_beside)
        }
        _ => false,
    }
}

/// Reads this side, key by key.
struct OurKeys<'a> {
    comparer: &'a Comparer,
    waiting: VecDeque<Slot>,
    position: Option<WalkPosition>,
    is_last: bool,
}

impl OurKeys<'_> {
    /// The next key; without one there is none.
    async fn next(&mut self) -> Result<Ours, StorageError> {
        let mut ours = Ours::default();
        loop {
            while self.waiting.front().is_some_and(|slot| ours.key.as_ref().is_none_or(|key| *key == slot.key))
                && let Some(slot) = self.waiting.pop_front()
            {
                ours.key = Some(slot.key.clone());
                if ours.slots.len() < VERSIONS_MAX && !ours.slots.contains(&slot) {
                    ours.slots.push(slot);
                }
            }
            if self.is_last || !self.waiting.is_empty() {
                return Ok(ours);
            }
            let started = Instant::now();
            let bucket = Arc::clone(&self.comparer.bucket);
            let page = self.comparer.source.walk(bucket, self.position.take(), PAGE).await?;
            self.waiting.extend(page.slots.into_iter().map(|(slot, _)| slot));
            self.is_last = page.next.is_none();
            self.position = page.next;
            tokio::time::sleep(started.elapsed().min(REST_MAX)).await;
        }
    }
}

/// Reads the other side, key by key.
struct TheirKeys<'a> {
    comparer: &'a Comparer,
    waiting: VecDeque<PeerEntry>,
    query: ListPeer,
    is_last: bool,
    /// The key of the last entry.
    last: String,
    /// Where pages began that began within one key.
    begun: HashSet<(String, Option<String>)>,
}

impl<'a> TheirKeys<'a> {
    fn new(comparer: &'a Comparer) -> Self {
        Self {
            comparer,
            waiting: VecDeque::new(),
            query: ListPeer::default(),
            is_last: false,
            last: String::new(),
            begun: HashSet::new(),
        }
    }

    /// Each page has to lead on, in the order of keys: else the walk would never end, or compare what does not belong together. Errs:
    /// Permanent.
    fn check(&mut self, page: &PeerPage) -> Result<(), PeerError> {
        let stuck = |why: &str| Err(PeerError::new(PeerErrorKind::Permanent, format!("the target's listing {why}")));
        if let Some(next) = &page.next {
            let order = self.query.after.as_ref().map_or(Ordering::Greater, |(key, _)| next.0.cmp(key));
            if order == Ordering::Greater {
                self.begun.clear();
            }
            if order == Ordering::Less || !self.begun.insert(next.clone()) {
                return stuck("does not lead on: a page is followed by one that was there already");
            }
        }
        let mut last = &self.last;
        for entry in &page.entries {
            if entry.key < *last {
                return stuck("is not in the order of its keys");
            }
            last = &entry.key;
        }
        let last = last.clone();
        self.last = last;
        Ok(())
    }

    /// All of the next key; nothing at the end.
    async fn next(&mut self) -> Result<Vec<PeerEntry>, PeerError> {
        let mut theirs: Vec<PeerEntry> = Vec::new();
        loop {
            while self.waiting.front().is_some_and(|entry| theirs.first().is_none_or(|it| it.key == entry.key))
                && let Some(entry) = self.waiting.pop_front()
            {
                if theirs.len() < VERSIONS_MAX {
                    theirs.push(entry);
                }
            }
            if self.is_last || !self.waiting.is_empty() {
                return Ok(theirs);
            }
            let page = self.comparer.peer.list(&self.comparer.to, &self.query).await?;
            self.check(&page)?;
            self.waiting.extend(page.entries);
            self.is_last = page.next.is_none();
            self.query.after = page.next;
        }
    }
}
