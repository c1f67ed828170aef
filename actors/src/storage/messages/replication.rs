//! Replication: what a change tells of where it comes from, what waits to be sent, and what lost against another change.

use std::fmt;
use std::sync::Arc;

use super::object::Object;
use crate::bucket_config::TargetId;
use crate::names::{BucketId, Change, NodeId, ObjectKey, Seen, Stamp, VersionId};
use crate::storage::Bucket;

/// Where the state of a key comes from, as far as it is not simply a change of this node at the time of its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// The change that made it.
    pub change: Change,
    /// What that change had seen, but for earlier ones of its own origin. Never changes: it goes with the change to every node.
    pub seen: Seen,
    /// What this node knows to be overtaken by it beside that: what it won over. Never told to others, who have to find out by
    /// themselves, or they would drop what lost as if it had been replaced on purpose.
    pub won: Seen,
    /// When it was written, if that is not the time of its commit here.
    pub modified: Option<Stamp>,
    /// The last change of its tags, if they were changed after it was written.
    pub tags_change: Option<Change>,
    /// The same of its retention or legal hold.
    pub lock_change: Option<Change>,
    /// Whether it lost against a change that had not seen it, and nobody has looked at that yet.
    pub is_conflict: bool,
    /// Whether the target did not take it, and somebody has said that it need not: this node's own knowledge, until it is to be sent again.
    pub is_dismissed: bool,
}

/// What another node says of a change that it sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// The change.
    pub change: Change,
    /// What it has seen.
    pub seen: Seen,
    /// The node that sends it, which need not be its origin: it is not sent back there.
    pub sender: NodeId,
    /// The version that is written, marked or deleted.
    pub version: VersionId,
    /// When it was written.
    pub modified: Option<Stamp>,
    /// The last change of its tags, if they were changed after it was written.
    pub tags_change: Option<Change>,
    /// The same of its retention or legal hold.
    pub lock_change: Option<Change>,
    /// What its sender may. Decided where it is received, whatever is sent.
    pub permits: Permits,
}

/// What the sender of another node's change may do with it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permits {
    /// Choose the version, also the null version: else it is one of this node's where versions are kept.
    pub chooses: bool,
    /// Shorten or lift a governance retention.
    pub bypasses_governance: bool,
    /// Take off a legal hold.
    pub lifts_hold: bool,
}

impl Permits {
    /// All of it.
    pub const ALL: Self = Self { chooses: true, bypasses_governance: true, lifts_hold: true };
}

/// A change of another node that stands beside the bytes of a version: tags or a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeBeside {
    /// The change.
    pub change: Change,
    /// The node that sends it.
    pub sender: NodeId,
    /// Whether a legal hold may be taken off.
    pub lifts_hold: bool,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Applied {
    /// It is the state of its key, or a version of it.
    #[default]
    Applied,
    /// It was known, or what it wanted was overtaken: nothing changed.
    Known,
    /// It lost against another one; what it wrote is kept as a conflict copy.
    Lost,
}

impl Applied {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Known => "known",
            Self::Lost => "lost",
        }
    }
}

/// The changes of one bucket that wait to be sent to one target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueName {
    /// The bucket, which may be gone by now.
    pub bucket: BucketId,
    /// The target.
    pub target: TargetId,
}

impl QueueName {
    /// Where changes of a bucket wait that were found while no node ran, for whoever it is replicated to.
    pub(in crate::storage) fn of_anybody(bucket: BucketId) -> Self {
        Self { bucket, target: TargetId(Arc::from("")) }
    }

    /// Whether nobody is named in it: it empties itself as soon as rules are known.
    pub fn is_of_anybody(&self) -> bool {
        self.target.as_str().is_empty()
    }
}

/// What changes come to: the null version of a key with its deletes, or one of its other versions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    /// The key.
    pub key: ObjectKey,
    /// Clock of the version, which is the first half of its id; none for the null version.
    pub version: Option<u64>,
}

impl Slot {
    /// The slot of a version.
    pub fn of(key: &ObjectKey, version: VersionId) -> Self {
        let version = match version {
            VersionId::Null => None,
            VersionId::Unique { stamp, .. } => Some(stamp.0),
        };
        Self { key: key.clone(), version }
    }
}

/// What of a slot has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(pub u8);

impl Kinds {
    /// Bytes and what goes with them, or a delete marker.
    pub const CONTENT: Self = Self(1);
    /// Tags.
    pub const TAGS: Self = Self(2);
    /// Retention or legal hold.
    pub const LOCK: Self = Self(4);
    /// It was deleted.
    pub const DELETE: Self = Self(8);

    /// Both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it has all of these.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A slot that is to be sent. What of it is read when it is sent: only its last state counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedChange {
    /// Which.
    pub slot: Slot,
    /// Time of the first change that was not sent.
    pub since: Stamp,
    /// Stamp of the last one: who settles an entry says which he has sent.
    pub mark: Stamp,
    /// What has changed.
    pub kinds: Kinds,
    /// Bytes to be sent, about.
    pub bytes: u64,
    /// Attempts that failed.
    pub attempts: u32,
    /// Why it is not sent any more; none while it is.
    pub parked: Option<String>,
}

/// Which part of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReplicationTray {
    /// To be sent.
    Pending,
    /// Refused for good, until somebody asks for another attempt.
    Parked,
}

/// What becomes of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettledChange {
    /// It was sent, or is not wanted any more.
    Done,
    /// It is forgotten, though the target has not taken it: its object tells that it failed.
    Dismissed,
    /// It is not sent any more, for this reason.
    Parked(String),
    /// It is to be tried again: one more attempt failed, or a parked one gets another chance, as if it were new.
    Pending,
}

/// Settles entries of a queue, at most [`SettleChanges::CHANGES_MAX`] at once. One that has changed since it was read stays as it is.
/// Answers how many were settled.
#[derive(Debug)]
pub struct SettleChanges {
    /// The queue.
    pub queue: QueueName,
    /// Which, as of which mark, and what becomes of them.
    pub changes: Vec<(Slot, Stamp, SettledChange)>,
}

impl SettleChanges {
    /// Most entries of one commit.
    pub const CHANGES_MAX: usize = 256;
}

/// Queues slots for the bucket's target as if they had changed now, as far as a rule is about them: for back-fill and repair. At most
/// [`SettleChanges::CHANGES_MAX`]. Answers how many were queued. Errs: NoSuchBucket.
#[derive(Debug)]
pub struct EnqueueChanges {
    /// The bucket.
    pub bucket: Arc<Bucket>,
    /// Which slots.
    pub slots: Vec<Slot>,
    /// Whether also what the target made itself: it says that it does not have it any more.
    pub is_repair: bool,
}

/// Sums over a queue. Always exact: they are part of each commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueTotals {
    /// Entries to be sent.
    pub pending: u64,
    /// Their bytes.
    pub pending_bytes: u64,
    /// Entries that are parked.
    pub parked: u64,
    /// Their bytes.
    pub parked_bytes: u64,
    /// Whether there were more than may be kept: some are missing, so target and bucket have to be compared as a whole.
    pub overflowed: bool,
    /// Time of the oldest that is to be sent.
    pub oldest: Option<Stamp>,
}

/// What a slot holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotState {
    /// An object.
    Object(Arc<Object>),
    /// A delete marker.
    Marker {
        /// Its version id.
        version_id: VersionId,
        /// The change that made it.
        change: Change,
        /// What that has seen.
        seen: Seen,
        /// When it was made.
        modified: Stamp,
    },
    /// It was deleted, and a tombstone tells so.
    Deleted {
        /// The version that was deleted.
        version_id: VersionId,
        /// The delete.
        change: Change,
        /// What that has seen.
        seen: Seen,
    },
    /// Nothing is known of it.
    Gone,
}

/// How far a walk over slots is. Its text can be kept and read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkPosition(pub(in crate::storage) Vec<u8>);

impl WalkPosition {
    /// Reads its text; none when it is no position.
    pub fn parse(text: &str) -> Option<Self> {
        hex::decode(text).ok().filter(|row_key| !row_key.is_empty()).map(Self)
    }
}

impl fmt::Display for WalkPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

/// A page of slots: keys in byte order, and of each key the current object, other versions newest first, and what was deleted.
#[derive(Debug, Clone, Default)]
pub struct SlotPage {
    /// The slots, with the size of what is in each.
    pub slots: Vec<(Slot, u64)>,
    /// Where the next page begins; none when this was the last.
    pub next: Option<WalkPosition>,
}

/// Something that lost against a change that had not seen it.
#[derive(Debug, Clone)]
pub struct Conflict {
    /// Its key.
    pub key: ObjectKey,
    /// By which it is read, and resolved. Listings have it only if it is a version of its own.
    pub version_id: VersionId,
    /// The object.
    pub object: Arc<Object>,
    /// Whether it is a version like others, which stays whatever is chosen.
    pub is_version: bool,
}

/// Which side of a conflict is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConflictChoice {
    /// What is there: the copy is not kept any longer.
    Current,
    /// The copy: it becomes the current object.
    Copy,
}

/// Names a conflict and what is wanted of it.
#[derive(Debug, Clone)]
pub struct ResolveConflict {
    /// The bucket.
    pub bucket: Arc<Bucket>,
    /// The key.
    pub key: ObjectKey,
    /// The copy.
    pub version_id: VersionId,
    /// What is wanted.
    pub keep: ConflictChoice,
}

/// How an object stands with replication (S3 API Reference, `x-amz-replication-status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicationStatus {
    /// It waits to be sent.
    Pending,
    /// It was sent.
    Completed,
    /// The target does not take it, or did not when somebody had it forgotten.
    Failed,
    /// It came from another node.
    Replica,
}

impl ReplicationStatus {
    /// Its name in S3's headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Replica => "REPLICA",
        }
    }
}
