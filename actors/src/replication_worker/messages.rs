//! What may be asked of the replication worker.

use std::sync::Arc;

use actix::Message;

use super::connections::Connection;
use super::error::ReplicationError;
use super::learned::Learned;
use super::peer::Handshake;
use super::rules::Rule;
use crate::audit::ChangeOrigin;
use crate::bucket_config::TargetId;
use crate::names::{BucketName, Stamp};
use crate::seal::SecretKey;

/// Reads the files again that changed.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), ReplicationError>")]
pub(super) struct Reload;

/// What is wanted of a connection. What is left out stays as it is, or is what it is without.
#[derive(Debug, Clone, Default)]
pub struct ConnectionDraft {
    /// Which one is changed; none makes a new one.
    pub id: Option<String>,
    /// What people call it; of one kind only.
    pub name: Option<String>,
    /// Where the S3 endpoint is.
    pub endpoint_url: Option<String>,
    /// Access key id.
    pub access_key: Option<String>,
    /// Secret access key.
    pub secret_key: Option<SecretKey>,
    /// Region that requests are signed for.
    pub region: Option<String>,
    /// Requests under way at once.
    pub concurrency: Option<u16>,
    /// Bytes per second at most; 0 is as many as it takes.
    pub bytes_per_second: Option<u64>,
}

/// Makes or changes a connection. Errs: NoSuchConnection, ConnectionExists, Invalid.
#[derive(Debug, Message)]
#[rtype(result = "Result<Arc<Connection>, ReplicationError>")]
pub(super) struct PutConnection {
    pub by: ChangeOrigin,
    pub draft: ConnectionDraft,
}

/// Removes a connection. Errs: NoSuchConnection, ConnectionInUse.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), ReplicationError>")]
pub(super) struct DeleteConnection {
    pub by: ChangeOrigin,
    pub id: String,
}

/// Asks a target who is there and what may be done in a bucket.
#[derive(Debug, Message)]
#[rtype(result = "Result<ConnectionReport, ReplicationError>")]
pub(super) struct TestConnection {
    pub draft: ConnectionDraft,
    pub bucket: Option<String>,
}

/// What a test of a connection has found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectionReport {
    /// What the target says of itself; none when it could not be asked.
    pub handshake: Option<Handshake>,
    /// Why it could not be asked.
    pub error: Option<String>,
    /// How far its clock is ahead of ours, in milliseconds; none when it does not tell.
    pub skew_millis: Option<i64>,
    /// How long it took to answer, in milliseconds.
    pub took_millis: u64,
    /// What is missing for replication to work in full, for people; empty when nothing is.
    pub missing: Vec<String>,
}

impl ConnectionReport {
    /// Whether objects can be sent.
    pub fn is_usable(&self, with_bucket: bool) -> bool {
        let is_well = |handshake: &Handshake| {
            handshake.problem.is_none() && (!with_bucket || (handshake.bucket.is_some() && handshake.rights.write))
        };
        self.handshake.as_ref().is_some_and(is_well)
    }
}

/// Replicates a bucket so. When it is replicated to the same place already, that goes on. Errs: NoSuchConnection, Invalid.
#[derive(Debug, Message)]
#[rtype(result = "Result<Arc<Rule>, ReplicationError>")]
pub(super) struct PutRule {
    pub by: ChangeOrigin,
    pub rule: Rule,
}

/// Replicates a bucket no more. Errs: NoSuchRule.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), ReplicationError>")]
pub(super) struct DeleteRule {
    /// None when the bucket is gone: then it is no error, either, when there is none.
    pub by: Option<ChangeOrigin>,
    pub bucket: BucketName,
}

/// Pauses or resumes. Errs: NoSuchRule.
#[derive(Debug, Message)]
#[rtype(result = "Result<Arc<Rule>, ReplicationError>")]
pub(super) struct SetEnabled {
    pub by: ChangeOrigin,
    pub bucket: BucketName,
    pub enabled: bool,
}

/// Sends everything again that the rule is about. Errs: NoSuchRule.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), ReplicationError>")]
pub(super) struct Resync {
    pub bucket: BucketName,
}

/// Begins a comparison. Errs: NoSuchRule, NoSuchConnection, Conflict while there is one.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), ReplicationError>")]
pub(super) struct Compare {
    pub bucket: BucketName,
    pub repairs: bool,
}

/// Keeps what was learned of a rule, if it is still that one.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), ReplicationError>")]
pub(super) struct Keep {
    pub bucket: BucketName,
    pub target: TargetId,
    pub created_at: Stamp,
    pub learned: Learned,
}

/// Sends no more, once what is under way is sent, or after a few seconds; then what was sent is settled.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), ReplicationError>")]
pub(super) struct Stop;
