//! What is asked of a target, whoever speaks to it: another node or any S3 service. The node gives the worker something that speaks
//! HTTP, tests something that does not.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::BoxStream;

use super::beside::Beside;
use super::connections::Connection;
use crate::names::{ETag, NodeId, ObjectKey, Stamp, VersionId};
use crate::storage::{Applied, Object, ObjectPart, Replica, StorageError, Versioning};

/// What a target answers, later. On the thread of the worker.
pub type PeerFuture<'a, T> = LocalBoxFuture<'a, Result<T, PeerError>>;

/// Bytes of an object, as they are sent: no faster than the connection may.
pub type ContentStream = BoxStream<'static, Result<Bytes, StorageError>>;

/// Speaks to targets. Each call may be dropped half-way; asked again, it may find that part of it was done.
pub trait Peer: fmt::Debug + Send + Sync {
    /// Asks who is there, and what may be done in the target bucket. Errs only where nobody could be asked; what is missing is part of
    /// the answer. Without a bucket it asks for the service alone.
    fn handshake<'a>(&'a self, to: &'a Destination) -> PeerFuture<'a, Handshake>;

    /// Stores an object with everything that it has, and sees to it that the target has these very bytes.
    fn put<'a>(&'a self, to: &'a Destination, object: &'a Outgoing) -> PeerFuture<'a, Applied>;

    /// Stores small objects of different keys, each as [`Self::put`] would, at a node that takes them together
    /// ([`Handshake::together`]). Answers of each in its turn; errs where nothing is known of any.
    fn put_together<'a>(
        &'a self,
        to: &'a Destination,
        objects: &'a [Outgoing],
    ) -> PeerFuture<'a, Vec<Result<Applied, PeerError>>>;

    /// Stores the tags of an object alone. Errs: Refused with `NoSuchKey` or `NoSuchVersion` where the object is not there.
    fn change_tags<'a>(&'a self, to: &'a Destination, object: &'a Outgoing) -> PeerFuture<'a, Applied>;

    /// Stores retention and legal hold of an object alone. Errs as [`Self::change_tags`].
    fn change_lock<'a>(&'a self, to: &'a Destination, object: &'a Outgoing) -> PeerFuture<'a, Applied>;

    /// Deletes. What is not there is deleted already.
    fn delete<'a>(&'a self, to: &'a Destination, deletion: &'a Deletion) -> PeerFuture<'a, Applied>;

    /// Lists what the target bucket has: of a node all versions and delete markers, else current objects. Keys ascend; of one key, the
    /// newest comes first.
    fn list<'a>(&'a self, to: &'a Destination, query: &'a ListPeer) -> PeerFuture<'a, PeerPage>;
}

/// Where something goes.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The connection.
    pub connection: Arc<Connection>,
    /// The target bucket; none when only the connection is meant.
    pub bucket: Option<Arc<str>>,
    /// What the target said of itself last; none before it was asked.
    pub terms: Option<Arc<Handshake>>,
}

impl Destination {
    /// Whether versions, times and deletes of another node may be written there.
    pub fn takes_replicas(&self) -> bool {
        self.terms.as_ref().is_some_and(|terms| terms.takes_replicas())
    }

    /// Whether an object that was cut to be sent can be there what it was before.
    pub fn takes_whole(&self) -> bool {
        self.takes_replicas() && self.terms.as_ref().is_some_and(|terms| terms.whole)
    }

    /// The node that is there, if it is one.
    pub fn node(&self) -> Option<NodeId> {
        self.terms.as_ref().and_then(|terms| terms.node).map(|node| node.id)
    }
}

/// What a target says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Handshake {
    /// The node that is there; none when it is another S3 service.
    pub node: Option<PeerNode>,
    /// What is known of the bucket; none when none was asked for, or it is not there.
    pub bucket: Option<PeerBucket>,
    /// What the credentials may do in it. Of other services as far as it shows.
    pub rights: PeerRights,
    /// Its version, or what it calls itself.
    pub version: String,
    /// Whether it takes small objects together.
    pub together: bool,
    /// Whether it is a node at which an object that was cut to be sent can be what it was before.
    pub whole: bool,
    /// What is wrong, such as refused credentials; none while nothing is.
    pub problem: Option<String>,
    /// Whether it is a node whose own routes something keeps from us: then it is not known what may be done there beyond the S3 API.
    pub is_hidden: bool,
}

impl Handshake {
    /// Whether versions, times and deletes of another node may be written there.
    pub fn takes_replicas(&self) -> bool {
        self.node.is_some() && self.rights.replicate
    }
}

/// A node that is a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerNode {
    /// Which.
    pub id: NodeId,
    /// What its clock shows.
    pub time: Stamp,
}

/// A target bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerBucket {
    /// Whether it keeps versions.
    pub versioning: Versioning,
    /// Whether objects can be locked in it.
    pub object_lock: bool,
}

/// What credentials may do in a target bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the rights by their names")]
pub struct PeerRights {
    pub read: bool,
    pub write: bool,
    pub delete: bool,
    /// To write version ids and times of another node, and its deletes.
    pub replicate: bool,
}

/// Bytes that can be read as often as it takes.
pub trait Content: fmt::Debug + Send + Sync {
    /// Streams a range, which lies within the object. A stream of all bytes errs at its end if they are not those that were stored.
    fn read(&self, range: Range<u64>) -> Result<ContentStream, StorageError>;
}

/// An object on its way.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Its key.
    pub key: ObjectKey,
    /// What it is.
    pub object: Arc<Object>,
    /// What a node is told of where it comes from; none for other services.
    pub replica: Option<Replica>,
    /// The parts that it was assembled from; none for one that was written by a single request.
    pub parts: Vec<ObjectPart>,
    /// Its bytes.
    pub content: Arc<dyn Content>,
}

/// A delete on its way.
#[derive(Debug, Clone)]
pub struct Deletion {
    /// The key.
    pub key: ObjectKey,
    /// What is deleted.
    pub what: Deleting,
    /// What a node is told of where it comes from; none for other services.
    pub replica: Option<Replica>,
}

/// What a delete does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleting {
    /// Makes a delete marker of this version id; of other services, deletes the key as anybody would.
    Marker(VersionId),
    /// Deletes this version for good, the null version of buckets without versions among them.
    Version(VersionId),
}

/// Asks for a page of what a target has.
#[derive(Debug, Clone, Default)]
pub struct ListPeer {
    /// Keys that begin with it.
    pub prefix: String,
    /// Behind this entry: its key and, where versions are listed, its version id.
    pub after: Option<(String, Option<String>)>,
}

/// A page of what a target has.
#[derive(Debug, Clone, Default)]
pub struct PeerPage {
    /// Entries in order.
    pub entries: Vec<PeerEntry>,
    /// Where the next page begins; none when this was the last.
    pub next: Option<(String, Option<String>)>,
}

/// Something that a target has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerEntry {
    /// Its key.
    pub key: String,
    /// Its version id; `Null` where versions are not listed.
    pub version_id: VersionId,
    /// Whether it is the newest of its key.
    pub is_latest: bool,
    /// ETag and size; none of a delete marker.
    pub object: Option<(PeerETag, u64)>,
    /// Its tags and lock, where a node tells of them.
    pub beside: Option<Beside>,
}

/// An ETag of a target: one that a node could have made, or another text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerETag {
    /// One that can be compared.
    Known(ETag),
    /// One that says nothing of the bytes.
    Other(String),
}

/// Why a target could not be asked, or did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct PeerError {
    /// What kind of failure.
    pub kind: PeerErrorKind,
    /// What happened, for people. Never a secret.
    pub text: String,
}

/// What kind of failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerErrorKind {
    /// It could not be reached, or its answer did not come whole.
    Unreachable,
    /// It asks to be left alone for a while.
    Throttled {
        /// How long, if it says so (RFC 9110, "Retry-After").
        retry_after: Option<Duration>,
    },
    /// It answered with an error.
    Refused {
        /// HTTP status.
        status: u16,
        /// S3 error code; empty where there was none.
        code: String,
    },
    /// It will never take this, such as a key that no URL can hold.
    Permanent,
    /// The object could not be read here.
    Ours,
}

impl PeerError {
    /// An error of a kind.
    pub fn new(kind: PeerErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// Whether it says that the object is not there.
    pub fn is_missing(&self) -> bool {
        matches!(&self.kind, PeerErrorKind::Refused { status: 404, code } if matches!(code.as_str(), "NoSuchKey" | "NoSuchVersion" | ""))
    }
}

impl From<StorageError> for PeerError {
    fn from(error: StorageError) -> Self {
        Self::new(PeerErrorKind::Ours, error.to_string())
    }
}
