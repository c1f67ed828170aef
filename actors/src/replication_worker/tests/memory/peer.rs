//! A target in memory: it does what it is told, or fails as it is told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use parking_lot::Mutex;

use super::{OTHER, etag};
use crate::names::{NodeId, Stamp, VersionId};
use crate::replication_worker::peer::*;
use crate::storage::{Applied, Versioning};

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
