//! One entry on its way: what its slot holds now is sent, if it is wanted there.

use std::sync::Arc;

use super::board::Board;
use super::line::Line;
use super::peer::{Deleting, Deletion, Destination, Outgoing, Peer, PeerError, PeerErrorKind};
use super::schedule::Attempt;
use super::source::{Opened, Source};
use crate::bucket_config::{BucketReplication, ReplicatedChange};
use crate::clock::SharedClock;
use crate::names::{Change, NodeId, Seen, Stamp, VersionId};
use crate::storage::{
    Applied, Bucket, Kinds, Object, Permits, QueueName, QueuedChange, Replica, Slot, SlotState, StorageError,
};

/// Largest object that is sent together with others, in bytes.
const LIGHT_BYTES_MAX: u64 = 64 * 1024;

/// What a transfer works with.
#[derive(Debug, Clone)]
pub(super) struct Courier {
    pub source: Arc<dyn Source>,
    pub peer: Arc<dyn Peer>,
    pub clock: SharedClock,
    pub line: Arc<Line>,
    pub board: Arc<Board>,
    pub rules: Arc<BucketReplication>,
    pub bucket: Arc<Bucket>,
    pub queue: QueueName,
    pub to: Destination,
}

/// What to do with a slot.
#[derive(Debug)]
enum Errand {
    /// Nothing.
    Nothing,
    Store(Arc<Object>),
    Delete(Deleting, Change, Seen, Option<Stamp>),
    Refuse(&'static str),
}

/// How an attempt ended, and what it tells of the target.
#[derive(Debug)]
pub(super) struct Ended {
    pub attempt: Attempt,
    /// The entry's mark when it was sent.
    pub mark: Stamp,
    /// Whether the target refused it: then what is known of the target may be outdated.
    pub is_refusal: bool,
}

/// What is sent of an entry.
#[derive(Debug)]
enum Parcel {
    Nothing,
    Object(Box<Outgoing>),
    Deletion(Deletion),
}

/// Whether an entry seems to be of an object that is worth sending together with others.
pub(super) fn is_light(entry: &QueuedChange) -> bool {
    entry.kinds.has(Kinds::CONTENT) && (1..=LIGHT_BYTES_MAX).contains(&entry.bytes)
}

impl Courier {
    /// Sends what the slots of entries, which are of different keys, hold now: small objects together, if there are several. Answers how
    /// each ended.
    pub async fn send_all(&self, entries: &[Arc<QueuedChange>]) -> Vec<Ended> {
        let mut ended: Vec<Option<Ended>> = Vec::with_capacity(entries.len());
        let (mut light, mut objects) = (Vec::new(), Vec::new());
        for (at, entry) in entries.iter().enumerate() {
            // It may have changed since it was read: then this is all of it.
            let entry = match self.source.entry(&self.queue, &entry.slot) {
                Ok(Some(entry)) => entry,
                Ok(None) => {
                    ended.push(Some(Ended { attempt: Attempt::Done, mark: entry.mark, is_refusal: false }));
                    continue;
                }
                Err(error) => {
                    ended.push(Some(self.ended(entry, Err(error.into()))));
                    continue;
                }
            };
            ended.push(match self.pack(&entry).await {
                Ok(Parcel::Object(object)) if entries.len() > 1 && is_light_object(&entry, &object) => {
                    light.push((at, entry));
                    objects.push(*object);
                    None
                }
                Ok(parcel) => {
                    let carried = self.carry(&entry, parcel).await;
                    Some(self.ended(&entry, carried))
                }
                Err(error) => Some(self.ended(&entry, Err(error))),
            });
        }
        let mut note = |at: &usize, of: Ended| {
            if let Some(ended) = ended.get_mut(*at) {
                *ended = Some(of);
            }
        };
        match (self.carry_together(&objects).await, light.split_first()) {
            (Ok(carried), _) => {
                let each = light.iter().zip(carried);
                each.for_each(|((at, entry), carried)| note(at, self.ended(entry, carried.map(Some))));
            }
            // All met the same, which is told once.
            (Err(error), Some(((first, entry), others))) => {
                for (at, entry) in others {
                    note(at, Ended { attempt: judge(&error), mark: entry.mark, is_refusal: false });
                }
                note(first, self.ended(entry, Err(error)));
            }
            (Err(_), None) => {}
        }
        // One of which nothing was told is tried again.
        let untold =
            |entry: &Arc<QueuedChange>| Ended { attempt: Attempt::Untried, mark: entry.mark, is_refusal: false };
        ended.into_iter().zip(entries).map(|(ended, entry)| ended.unwrap_or_else(|| untold(entry))).collect()
    }

    /// How an attempt ended; none when there was nothing to send.
    fn ended(&self, entry: &QueuedChange, carried: Result<Option<Applied>, PeerError>) -> Ended {
        let error = match carried {
            Ok(applied) => {
                if let Some(applied) = applied {
                    self.line.answered();
                    self.board.sent(applied, self.clock.now());
                }
                return Ended { attempt: Attempt::Done, mark: entry.mark, is_refusal: false };
            }
            Err(error) => error,
        };
        self.board.failure();
        tracing::debug!(bucket = %self.bucket.name, key = %entry.slot.key, %error, "a change could not be sent");
        let is_refusal = matches!(error.kind, PeerErrorKind::Refused { .. });
        match &error.kind {
            PeerErrorKind::Unreachable => self.line.unreachable(&error.text),
            PeerErrorKind::Throttled { retry_after } => self.line.throttled(*retry_after, &error.text),
            PeerErrorKind::Refused { .. } => self.line.answered(),
            PeerErrorKind::Permanent | PeerErrorKind::Ours => {}
        }
        Ended { attempt: judge(&error), mark: entry.mark, is_refusal }
    }

    /// What is to be sent of an entry.
    async fn pack(&self, entry: &QueuedChange) -> Result<Parcel, PeerError> {
        let errand = match self.to.takes_replicas() {
            true => self.errand_of_slot(entry)?,
            false => self.errand_of_key(entry)?,
        };
        match errand {
            Errand::Nothing => Ok(Parcel::Nothing),
            Errand::Refuse(reason) => Err(PeerError::new(PeerErrorKind::Permanent, reason)),
            Errand::Delete(what, change, seen, modified) => {
                let version = match what {
                    Deleting::Marker(version) | Deleting::Version(version) => version,
                };
                let replica = self.replica(version, change, seen, modified);
                Ok(Parcel::Deletion(Deletion { key: entry.slot.key.clone(), what, replica }))
            }
            Errand::Store(object) => Ok(Parcel::Object(Box::new(self.opened(entry, object).await?))),
        }
    }

    /// Sends it by itself. Answers none when there was nothing to send.
    async fn carry(&self, entry: &QueuedChange, parcel: Parcel) -> Result<Option<Applied>, PeerError> {
        match parcel {
            Parcel::Nothing => Ok(None),
            Parcel::Deletion(deletion) => self.peer.delete(&self.to, &deletion).await.map(Some),
            Parcel::Object(object) => self.store(entry, &object).await.map(Some),
        }
    }

    /// Sends small objects together. Errs where nothing is known of any of them.
    async fn carry_together(&self, objects: &[Outgoing]) -> Result<Vec<Result<Applied, PeerError>>, PeerError> {
        match objects {
            [] => Ok(Vec::new()),
            [one] => Ok(vec![self.peer.put(&self.to, one).await]),
            several => self.peer.put_together(&self.to, several).await,
        }
    }

    /// What a node is told that takes replicas: the slot as it is.
    fn errand_of_slot(&self, entry: &QueuedChange) -> Result<Errand, StorageError> {
        let key = entry.slot.key.as_str();
        let wants = |change| self.rules.matches(key, change);
        Ok(match self.source.state(&self.bucket, &entry.slot)? {
            SlotState::Gone => Errand::Nothing,
            SlotState::Object(object) if wants(ReplicatedChange::Object(&object.attributes.tags)) => {
                Errand::Store(object)
            }
            SlotState::Marker { version_id, change, seen, modified } if wants(ReplicatedChange::Delete) => {
                Errand::Delete(Deleting::Marker(version_id), change, seen, Some(modified))
            }
            SlotState::Deleted { version_id, change, seen } => {
                let kind = match version_id {
                    VersionId::Null => ReplicatedChange::Delete,
                    VersionId::Unique { .. } => ReplicatedChange::DeleteVersion,
                };
                match wants(kind) {
                    true => Errand::Delete(Deleting::Version(version_id), change, seen, None),
                    false => Errand::Nothing,
                }
            }
            SlotState::Object(_) | SlotState::Marker { .. } => Errand::Nothing,
        })
    }

    /// What another service is told, or a node that lets us only write: what is current under the key. What is older than that is
    /// settled, since there is no way to put it behind.
    fn errand_of_key(&self, entry: &QueuedChange) -> Result<Errand, StorageError> {
        let Slot { key, version } = &entry.slot;
        let current = self.source.current(&self.bucket, key)?;
        if let Some(object) = current {
            let clock = match object.version_id {
                VersionId::Null => None,
                VersionId::Unique { stamp, .. } => Some(stamp.0),
            };
            let is_older = *version != clock && version.unwrap_or(0) < clock.unwrap_or(object.change(self.own()).clock);
            let is_wanted = self.rules.matches(key.as_str(), ReplicatedChange::Object(&object.attributes.tags));
            return Ok(match is_older || !is_wanted {
                true => Errand::Nothing,
                false => Errand::Store(object),
            });
        }
        let (change, seen) = match self.source.state(&self.bucket, &entry.slot)? {
            SlotState::Marker { change, seen, .. } | SlotState::Deleted { change, seen, .. } => (change, seen),
            // It is behind a delete marker, which has an entry of its own.
            SlotState::Object(_) => return Ok(Errand::Nothing),
            SlotState::Gone => (Change { clock: entry.mark.0, origin: self.own() }, Seen::default()),
        };
        if !self.rules.matches(key.as_str(), ReplicatedChange::Delete) {
            return Ok(Errand::Nothing);
        }
        if self.to.terms.as_ref().is_some_and(|terms| terms.bucket.is_some() && !terms.rights.delete) {
            return Ok(Errand::Refuse("the credentials of the connection may not delete in the target bucket"));
        }
        Ok(Errand::Delete(Deleting::Marker(VersionId::Null), change, seen, None))
    }

    async fn opened(&self, entry: &QueuedChange, object: Arc<Object>) -> Result<Outgoing, PeerError> {
        let (content, parts) = match self.source.open(&self.bucket, &entry.slot.key, &object).await? {
            Opened::Content(content, parts) => (content, parts),
            // What it is now has an entry of its own, or this one was renewed.
            Opened::Changed => return Err(PeerError::new(PeerErrorKind::Ours, "it changed while it was sent")),
            Opened::Unreadable(reason) => return Err(PeerError::new(PeerErrorKind::Permanent, reason)),
        };
        let (change, modified) = (object.change(self.own()), Some(object.modified()));
        let mut replica = self.replica(object.version_id, change, object.seen(), modified);
        if let Some(replica) = &mut replica {
            (replica.tags_change, replica.lock_change) = (object.tags_change(), object.lock_change());
        }
        let content = self.line.paced(content, Arc::clone(&self.board.meter));
        Ok(Outgoing { key: entry.slot.key.clone(), object, replica, parts, content })
    }

    async fn store(&self, entry: &QueuedChange, outgoing: &Outgoing) -> Result<Applied, PeerError> {
        if !entry.kinds.has(Kinds::CONTENT) {
            match self.change_parts(entry.kinds, outgoing).await {
                // It never came there, so it is sent whole.
                Err(error) if error.is_missing() => {}
                other => return other,
            }
        }
        self.peer.put(&self.to, outgoing).await
    }

    /// Sends tags and locks alone.
    async fn change_parts(&self, kinds: Kinds, outgoing: &Outgoing) -> Result<Applied, PeerError> {
        let mut applied = Applied::Known;
        if kinds.has(Kinds::TAGS) {
            applied = self.peer.change_tags(&self.to, outgoing).await?;
        }
        if kinds.has(Kinds::LOCK) {
            applied = self.peer.change_lock(&self.to, outgoing).await?;
        }
        Ok(applied)
    }

    fn replica(&self, version: VersionId, change: Change, seen: Seen, modified: Option<Stamp>) -> Option<Replica> {
        self.to.node()?;
        let sender = self.own();
        Some(Replica {
            change,
            seen,
            sender,
            version,
            modified,
            tags_change: None,
            lock_change: None,
            permits: Permits::default(),
        })
    }

    fn own(&self) -> NodeId {
        self.source.node_id()
    }
}

fn is_light_object(entry: &QueuedChange, object: &Outgoing) -> bool {
    entry.kinds.has(Kinds::CONTENT) && object.parts.is_empty() && object.object.size <= LIGHT_BYTES_MAX
}

/// What an error means for the entry. What will not become another for waiting is refused; so is what is said of the bucket or the
/// credentials: somebody has to mend it.
fn judge(error: &PeerError) -> Attempt {
    let failed = || Attempt::Failed { reason: error.text.clone(), retry_after: None };
    match &error.kind {
        PeerErrorKind::Unreachable | PeerErrorKind::Throttled { .. } => Attempt::Untried,
        PeerErrorKind::Permanent => Attempt::Refused(error.text.clone()),
        PeerErrorKind::Ours => failed(),
        PeerErrorKind::Refused { status, code } => match (status, code.as_str()) {
            (408 | 409 | 412 | 425 | 429, _) | (500.., _) => failed(),
            (
                _,
                "BadDigest"
                | "IncompleteBody"
                | "InternalError"
                | "NoSuchUpload"
                | "OperationAborted"
                | "RequestTimeout"
                | "SlowDown"
                | "XAmzContentChecksumMismatch"
                | "XAmzContentSHA256Mismatch",
            ) => failed(),
            _ => Attempt::Refused(error.text.clone()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_judged() {
        let of =
            |status, code: &str| judge(&PeerError::new(PeerErrorKind::Refused { status, code: code.to_owned() }, "x"));
        for (status, code) in [
            (403, "AccessDenied"),
            (404, "NoSuchBucket"),
            (400, "QuotaExceeded"),
            (400, "InvalidArgument"),
            (400, "EntityTooLarge"),
            (301, "PermanentRedirect"),
            (501, "NotImplemented"),
        ] {
            let is_refused = matches!(of(status, code), Attempt::Refused(_));
            assert_eq!(is_refused, status != 501, "{status} {code}");
        }
        for (status, code) in [
            (500, ""),
            (503, "SlowDown"),
            (507, ""),
            (409, "OperationAborted"),
            (400, "BadDigest"),
            (404, "NoSuchUpload"),
        ] {
            assert!(matches!(of(status, code), Attempt::Failed { .. }), "{status} {code}");
        }
        assert_eq!(judge(&PeerError::new(PeerErrorKind::Unreachable, "x")), Attempt::Untried);
    }
}
