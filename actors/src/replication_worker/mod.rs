//! The replication worker: sends changes of buckets to other nodes, or to any S3 service.
//!
//! Storage queues a change in the very commit that makes it (`storage/replication`). Here each bucket that is replicated has a lane,
//! a task that reads the queue page by page, sends what each slot holds at that moment, and has the row settled once the target has
//! it, if it did not change meanwhile. So a change can be late, and is never lost. The slots of one key are sent one after the other,
//! keys side by side; how many at once and how fast, the connection says. What fails is tried again after waits that grow; what is
//! refused is parked with its reason; a target that is away is asked now and then whether it is back, and nothing else.
//!
//! The actor owns `connections.json` and `replication_rules.json`, and publishes the rules to Storage before anything is written.
//! Whoever speaks to targets is given to it as a [`Peer`]. `schedule` (which entry next), `breaker`, `pace`, `connections`, `rules`
//! and `learned` are pure.

mod actor;
mod audit;
mod beside;
mod board;
mod breaker;
mod changes;
mod client;
mod compare;
mod connections;
mod draft;
mod error;
mod fill;
mod lane;
mod learned;
mod line;
mod messages;
mod peer;
mod retry;
mod rule_document;
mod rules;
mod schedule;
mod source;
#[cfg(test)]
mod tests;
mod transfer;
mod work;

pub use beside::Beside;
pub use board::{Circuit, RuleState, Throughput};
pub use client::{ParkedReason, ReplicationClient, ReplicationSettings, RuleStatus};
pub use compare::{Comparison, ComparisonState, DifferenceKind, ReplicaDifference};
pub use connections::{CONCURRENCY, CONCURRENCY_MAX, Connection};
pub use error::ReplicationError;
pub use learned::Fill;
pub use messages::{ConnectionDraft, ConnectionReport};
pub use peer::{
    Content, ContentStream, Deleting, Deletion, Destination, Handshake, ListPeer, Outgoing, Peer, PeerBucket, PeerETag,
    PeerEntry, PeerError, PeerErrorKind, PeerFuture, PeerNode, PeerPage, PeerRights,
};
pub use rule_document::RuleDocument;
pub use rules::{Mode, RULE_ID_BYTES_MAX, RULES_MAX, Rule};
pub use schedule::FailingChange;
