//! Events: what happened to a key, for those who are told of it.

use std::sync::Arc;

use crate::bucket_config::EventKind;
use crate::names::{BucketId, BucketName, CanonicalId, ETag, ObjectKey, Stamp, VersionId};

/// The target that stands for a bucket's event bus, beside those that have an ARN.
pub const EVENT_BUS: &str = "eventbridge";

/// By what way a change came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cause {
    /// PostObject.
    Post,
    /// CopyObject.
    Copy,
    /// A lifecycle rule.
    Lifecycle,
    /// Any other way; what it is shows in the change itself.
    #[default]
    Request,
}

/// Who asked for a change, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// By what way.
    pub cause: Cause,
    /// The principal, as events name it.
    pub principal: String,
    /// Its address.
    pub source_ip: String,
    /// `x-amz-request-id` of the answer.
    pub request_id: String,
    /// `x-amz-id-2` of the answer.
    pub host_id: String,
}

impl Origin {
    /// What S3 itself is called in events that no requester caused.
    const SERVICE: &str = "s3.amazonaws.com";

    /// The node itself.
    pub fn of_node(cause: Cause) -> Self {
        let service = || Self::SERVICE.to_owned();
        Self { cause, principal: service(), source_ip: service(), ..Self::default() }
    }
}

/// Something that happened to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectEvent {
    /// What.
    pub kind: EventKind,
    /// The bucket's name.
    pub bucket: BucketName,
    /// Canonical id of its owner.
    pub bucket_owner: CanonicalId,
    /// The key.
    pub key: ObjectKey,
    /// When; events of one key ascend.
    pub sequence: Stamp,
    /// Size of the object in bytes, where there is one.
    pub size: Option<u64>,
    /// Its ETag, where there is one.
    pub etag: Option<ETag>,
    /// The version; none in buckets that never had versions.
    pub version_id: Option<VersionId>,
    /// Who caused it.
    pub origin: Arc<Origin>,
}

/// The events of one bucket that one target has still to be told of, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutboxQueue {
    /// The bucket, which may be gone by now.
    pub bucket: BucketId,
    /// ARN of the target, or [`EVENT_BUS`].
    pub target: Arc<str>,
}

/// An event in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedEvent {
    /// Id of the configuration that it belongs to; empty for the event bus.
    pub configuration: String,
    /// What happened.
    pub event: ObjectEvent,
    /// Since when it is tried to be told: the time of the event, or of its replay.
    pub since: Stamp,
    /// Why it was given up; none while it is pending.
    pub error: Option<String>,
}

/// Which part of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tray {
    /// To be told.
    Pending,
    /// Given up, and kept to be looked at or replayed.
    Dead,
}

/// What becomes of an event in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Its target was told; a dead one is not wanted any more.
    Done,
    /// It is given up, for this reason.
    Dead(String),
    /// It is dead, and is to be told again.
    Replayed,
}

/// Settles events of the outbox, at most [`SettleEvents::CHANGES_MAX`] at once; those that are not there are left out. Answers
/// how many there were.
#[derive(Debug)]
pub struct SettleEvents {
    /// Where they are.
    pub tray: Tray,
    /// Which, and what becomes of them.
    pub events: Vec<(OutboxQueue, Stamp, Settled)>,
}

impl SettleEvents {
    /// Most events of one commit.
    pub const CHANGES_MAX: usize = 256;
}
