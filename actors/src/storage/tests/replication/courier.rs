//! Nodes in a ring, and who carries changes from one to the next: in any order, more than once, and late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::super::fixtures::{key, owner, settings, versions_of};
use crate::bucket_config::{
    BucketConfig, BucketReplication, ReplicationFilter, ReplicationLimits, ReplicationRule, RuleSet, TargetId,
};
use crate::clock::{Clock, SystemClock};
use crate::names::{BucketName, NodeId, ObjectKey, Stamp, VersionId};
use crate::storage::*;

/// Numbers that look random, the same for the same seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }
}

/// The machine's clock, set wrong.
#[derive(Debug)]
struct WrongClock(i64);

impl Clock for WrongClock {
    fn now(&self) -> Stamp {
        Stamp(SystemClock.now().0.saturating_add_signed(self.0))
    }
}

const HOUR: i64 = 3_600_000_000_000;

pub fn rule() -> ReplicationRule {
    ReplicationRule {
        id: "all".to_owned(),
        priority: 1,
        enabled: true,
        filter: ReplicationFilter::default(),
        delete_markers: true,
        delete_versions: true,
        existing: false,
        added: None,
        is_legacy: false,
    }
}

pub fn rules(bucket: &str, peer: Option<NodeId>, limits: ReplicationLimits) -> Arc<RuleSet> {
    rules_of(&[bucket], peer, limits)
}

/// Rules that replicate all of some buckets.
pub fn rules_of(buckets: &[&str], peer: Option<NodeId>, limits: ReplicationLimits) -> Arc<RuleSet> {
    let to = BucketReplication {
        target: TargetId(Arc::from("peer")),
        peer,
        since: Stamp(0),
        filled: false,
        rules: vec![rule()],
    };
    let buckets = buckets.iter().map(|bucket| (BucketName::parse(bucket).unwrap(), to.clone()));
    Arc::new(RuleSet { buckets: buckets.collect(), limits })
}

pub struct Peer {
    root: tempfile::TempDir,
    clock: i64,
    pub client: StorageClient,
}

impl Peer {
    fn open(root: tempfile::TempDir, clock: i64) -> Self {
        let client = StorageClient::start(&settings(root.path()), Arc::new(WrongClock(clock))).unwrap();
        Self { root, clock, client }
    }

    pub fn bucket(&self) -> Arc<Bucket> {
        self.client.bucket(&BucketName::parse("shared").unwrap()).unwrap()
    }

    pub fn queue(&self) -> QueueName {
        QueueName { bucket: self.bucket().id, target: TargetId(Arc::from("peer")) }
    }
}

/// What a courier brings: the state of a slot as it was when he read it.
#[derive(Clone)]
pub enum Parcel {
    Object { key: ObjectKey, object: Arc<Object>, bytes: Bytes, replica: Replica, only_tags: bool },
    Delete { key: ObjectKey, version: Option<VersionId>, replica: Replica },
}

pub struct Ring {
    pub peers: Vec<Peer>,
    /// What was delivered once, and may come again.
    past: Vec<(usize, Parcel)>,
}

impl Ring {
    pub async fn new(size: usize, versioning: Versioning) -> Self {
        let clocks = [0, 5 * HOUR, -3 * HOUR];
        let mut peers = Vec::new();
        for clock in clocks.into_iter().take(size) {
            let peer = Peer::open(tempfile::tempdir().unwrap(), clock);
            let name = BucketName::parse("shared").unwrap();
            let config = BucketConfig::default();
            let bucket = peer.client.create_bucket(CreateBucket { name, owner: owner(), config }).await.unwrap();
            let states = match versioning {
                Versioning::Off => vec![],
                Versioning::Enabled => vec![Versioning::Enabled],
                Versioning::Suspended => vec![Versioning::Enabled, Versioning::Suspended],
            };
            for state in states {
                let change = BucketChange::Versioning(state);
                peer.client.configure_bucket(ConfigureBucket { bucket: Arc::clone(&bucket), change }).await.unwrap();
            }
            peers.push(peer);
        }
        let ring = Self { peers, past: Vec::new() };
        (0..size).for_each(|at| ring.set_rules(at));
        ring
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) % self.peers.len()
    }

    fn set_rules(&self, at: usize) {
        let peer = self.peers[self.next(at)].client.node_id();
        self.peers[at].client.replication_rules(rules("shared", Some(peer), ReplicationLimits::default()));
    }

    /// Stops a node, does something to its directory, and starts it again.
    pub async fn restart(&mut self, at: usize, meanwhile: impl FnOnce(&std::path::Path)) {
        let peer = self.peers.remove(at);
        let id = peer.client.node_id();
        peer.client.stop().await.unwrap();
        let Peer { root, clock, client } = peer;
        drop(client);
        meanwhile(root.path());
        // The threads let the directory go a moment later.
        let mut left = 200;
        let reopened = loop {
            match StorageClient::start(&settings(root.path()), Arc::new(WrongClock(clock))) {
                Ok(client) => break client,
                Err(error) if left == 0 => panic!("{error}"),
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
            left -= 1;
        };
        assert_eq!(reopened.node_id(), id);
        self.peers.insert(at, Peer { root, clock, client: reopened });
        self.set_rules(at);
    }

    async fn pack(&self, at: usize, change: &QueuedChange) -> Option<Parcel> {
        let peer = &self.peers[at];
        let (key, sender) = (change.slot.key.clone(), peer.client.node_id());
        let replica = |change, seen, version, modified| Replica {
            change,
            seen,
            sender,
            version,
            modified,
            tags_change: None,
            lock_change: None,
            permits: Permits::ALL,
        };
        match peer.client.slot_state(&peer.bucket(), &change.slot).unwrap() {
            SlotState::Object(object) => {
                let bytes = read(&peer.client, &peer.bucket(), &key, Some(object.version_id)).await.ok()?;
                let own = peer.client.node_id();
                let replica = Replica {
                    tags_change: object.tags_change(),
                    lock_change: object.lock_change(),
                    ..replica(object.change(own), object.seen(), object.version_id, Some(object.modified()))
                };
                let only_tags = change.kinds == Kinds::TAGS && object.tags_change().is_some();
                Some(Parcel::Object { key, object, bytes, replica, only_tags })
            }
            SlotState::Marker { version_id, change, seen, modified } => {
                Some(Parcel::Delete { key, version: None, replica: replica(change, seen, version_id, Some(modified)) })
            }
            SlotState::Deleted { version_id, change, seen } => {
                let replica = replica(change, seen, version_id, None);
                Some(Parcel::Delete { key, version: Some(version_id), replica })
            }
            SlotState::Gone => None,
        }
    }

    /// Brings something to a node.
    pub async fn deliver(&self, to: usize, parcel: Parcel) {
        let peer = &self.peers[to];
        let bucket = peer.bucket();
        match parcel {
            Parcel::Object { key, object, bytes, replica, only_tags } => {
                if only_tags {
                    let change = ObjectChange::Tags(object.attributes.tags.clone());
                    let (change_of, sender) = (replica.tags_change.unwrap(), replica.sender);
                    let replica = Some(ChangeBeside { change: change_of, sender, lifts_hold: true });
                    let version = Some(object.version_id);
                    let (bucket, key) = (Arc::clone(&bucket), key.clone());
                    let message = ChangeObject { bucket, key, version, of: None, change, replica };
                    if peer.client.change_object(message).await.is_ok() {
                        return;
                    }
                }
                let begin = BeginBody { bucket: &bucket, key: &key, owner: &owner(), size: Some(bytes.len() as u64) };
                let mut writer = peer.client.begin_body(begin, DigestPlan::default(), None).unwrap();
                writer.write(bytes).await.unwrap();
                let message = PutObject {
                    bucket: Arc::clone(&bucket),
                    key,
                    owner: owner(),
                    attributes: object.attributes.clone(),
                    controls: object.controls.clone(),
                    body: writer.finish().await.unwrap(),
                    checksum: None,
                    conditions: WriteConditions::default(),
                    replica: Some(Box::new(replica)),
                };
                peer.client.put_object(message).await.unwrap();
            }
            Parcel::Delete { key, version, replica } => {
                let message = DeleteObject {
                    bucket,
                    key,
                    version,
                    owner: owner(),
                    bypass_governance: false,
                    conditions: WriteConditions::default(),
                    replica: Some(Box::new(replica)),
                };
                peer.client.delete_object(message).await.unwrap();
            }
        }
    }

    /// Carries some of what waits, in any order; not everything is settled, so that it comes again. Answers how many waited.
    pub async fn carry(&mut self, at: usize, dice: &mut Dice, careful: bool) -> usize {
        let (client, queue) = (self.peers[at].client.clone(), self.peers[at].queue());
        let mut waiting = client.queued_changes(queue.clone(), ReplicationTray::Pending, None, 50).await.unwrap();
        let count = waiting.len();
        assert!(count > 0 || client.replication_totals(&queue).unwrap() == QueueTotals::default());
        for left in (1..=count).rev() {
            let change = waiting.remove(dice.roll(left));
            if !careful && dice.roll(4) == 0 {
                continue;
            }
            let to = self.next(at);
            if let Some(parcel) = self.pack(at, &change).await {
                self.deliver(to, parcel.clone()).await;
                if dice.roll(3) == 0 {
                    self.past.push((to, parcel));
                }
            }
            if careful || dice.roll(4) > 0 {
                let changes = vec![(change.slot, change.mark, SettledChange::Done)];
                client.settle_changes(SettleChanges { queue: queue.clone(), changes }).await.unwrap();
            }
        }
        count
    }

    /// Brings something again that came long ago.
    pub async fn repeat(&mut self, dice: &mut Dice) {
        if !self.past.is_empty() {
            let (to, parcel) = self.past[dice.roll(self.past.len())].clone();
            self.deliver(to, parcel).await;
        }
    }

    /// Carries until nothing waits anywhere.
    pub async fn settle(&mut self, dice: &mut Dice) {
        for _ in 0..100 {
            let mut waiting = 0;
            for at in 0..self.peers.len() {
                waiting += self.carry(at, dice, true).await;
            }
            if waiting == 0 {
                return;
            }
        }
        panic!("changes go round and round");
    }
}

pub async fn read(
    client: &StorageClient,
    bucket: &Arc<Bucket>,
    key: &ObjectKey,
    version: Option<VersionId>,
) -> Result<Bytes, StorageError> {
    let open = client.open_object(bucket, key, version).await?;
    let size = open.object.size;
    let mut reader = open.read(0..size, None)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes.into())
}

/// All that a node lists of its bucket, with contents: comparable with another's.
pub async fn listing(peer: &Peer) -> BTreeMap<(String, usize), String> {
    let bucket = peer.bucket();
    let page = peer.client.list_versions(versions_of(&bucket, "")).await.unwrap();
    assert!(page.next.is_none());
    let mut found = BTreeMap::new();
    let mut objects = BTreeSet::new();
    for (at, entry) in page.entries.iter().enumerate() {
        let content = match &entry.object {
            None => "marker".to_owned(),
            Some(object) => {
                let version = Some(entry.version_id);
                let bytes = read(&peer.client, &bucket, &entry.key, version).await.unwrap();
                if entry.is_latest {
                    objects.insert(entry.key.as_str().to_owned());
                }
                let text = String::from_utf8_lossy(&bytes);
                format!("{} {:?} {}", text.trim_end_matches('x'), object.attributes.tags, object.etag)
            }
        };
        let modified = entry.last_modified.0;
        let text = format!("{} {} {} {modified} {content}", entry.key, entry.version_id, entry.is_latest);
        found.insert((entry.key.as_str().to_owned(), at), text);
    }
    let listed: BTreeSet<_> = super::super::fixtures::list(&peer.client, &bucket).await.into_iter().collect();
    assert_eq!(listed, objects, "what is listed as current is the newest of its key");
    found
}

/// The contents of conflict copies.
pub async fn copies(peer: &Peer) -> Vec<String> {
    let bucket = peer.bucket();
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = peer.client.conflicts(Arc::clone(&bucket), after.clone(), 3).await.unwrap();
        let Some(last) = page.last() else { return found };
        after = Some((last.key.clone(), last.version_id));
        for conflict in page {
            let bytes = read(&peer.client, &bucket, &conflict.key, Some(conflict.version_id)).await.unwrap();
            found.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}

pub fn name(number: usize) -> ObjectKey {
    // One is below another, one is no path.
    key(["a", "a/b", "c//d", "é", "folder/x"][number])
}
