//! What may be asked of the notifier.

use std::collections::BTreeMap;

use actix::Message;

use super::error::NotifierError;
use crate::names::{BucketId, Stamp};
use crate::storage::OutboxQueue;

/// Reads the file of webhooks again if it changed.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), NotifierError>")]
pub(super) struct Reload;

/// Looks at the queues of a bucket anew, from their beginning and without waiting: events were replayed, or their targets mended.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), NotifierError>")]
pub(super) struct Recheck {
    pub bucket: BucketId,
}

/// Sends no more, and has what was told removed. What is under way is told again by the next start.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), NotifierError>")]
pub(super) struct Stop;

/// How the queues of a bucket fare; those that are not there have nothing to do.
#[derive(Debug, Message)]
#[rtype(result = "Result<BTreeMap<OutboxQueue, Trouble>, NotifierError>")]
pub(super) struct Status {
    pub bucket: BucketId,
}

/// Who is told of in a test event.
#[derive(Debug, Clone)]
pub struct TestSender {
    /// The bucket's name.
    pub bucket: String,
    /// `x-amz-request-id` of the answer.
    pub request_id: String,
    /// `x-amz-id-2` of the answer.
    pub host_id: String,
}

/// Sends a test event to each webhook, named with the ARN that it stands for. Errs: Unreachable.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), NotifierError>")]
pub(super) struct SendTest {
    pub targets: Vec<(String, String)>,
    pub sender: TestSender,
}

/// What keeps a queue from being emptied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trouble {
    /// Failures in a row.
    pub failures: u32,
    /// The last one.
    pub error: Option<String>,
    /// When it is tried again.
    pub until: Option<Stamp>,
    /// Events that were refused, and wait for another try.
    pub refused: Vec<FailingEvent>,
}

/// An event that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingEvent {
    /// Which.
    pub sequence: Stamp,
    /// Its key.
    pub key: String,
    /// How often.
    pub attempts: u32,
    /// Why.
    pub error: String,
    /// When it is tried again.
    pub until: Stamp,
}
