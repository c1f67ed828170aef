//! Server access logging (S3 User Guide, "Logging requests with server access logging"): what was asked of a bucket, delivered
//! as objects into another bucket of the same owner.
//!
//! A request of a bucket whose accesses are logged carries an [`AccessNote`]; when its last byte is sent the note becomes a
//! line in memory. A task of its own makes objects of the lines, through Storage's client like any client. INVARIANT: no
//! request waits for that, or fails by it; lines for which there is no room are counted and dropped, and a node that is killed
//! loses those that were not delivered yet, as S3 promises best effort too.

mod buffer;
mod deliver;
mod entry;
mod note;

use std::sync::Arc;
use std::time::Duration;

use myfsio_actors::bucket_config::{Acl, BucketConfig, Grantee, Logging, ObjectOwnership, Permission};
use myfsio_actors::names::Stamp;
use myfsio_actors::policy_engine::RequestContext;
use myfsio_actors::storage::Bucket;
use tokio::sync::Notify;

pub use buffer::Buffers;
pub use deliver::Delivery;
pub use note::AccessNote;

use crate::node::Node;

/// The service that bucket policies let in.
const SERVICE: &str = "logging.s3.amazonaws.com";

/// Settings of the access logs.
#[derive(Debug, Clone, Copy)]
pub struct AccessLogSettings {
    /// Longest time between two deliveries.
    pub interval: Duration,
    /// A bucket's lines are delivered as soon as they are so many bytes.
    pub object_bytes: usize,
}

/// The access logs of all buckets, as far as they are not delivered.
#[derive(Debug)]
pub struct AccessLog {
    settings: AccessLogSettings,
    buffers: Buffers,
    /// Tells the delivery that a bucket has enough lines for an object, or that the node stops.
    wake: Notify,
}

impl AccessLog {
    /// Empty logs.
    pub fn new(settings: AccessLogSettings) -> Self {
        Self { settings, buffers: Buffers::default(), wake: Notify::new() }
    }

    /// Takes a line of a bucket.
    fn record(&self, bucket: &Bucket, time: Stamp, line: &str) {
        if self.buffers.add(bucket, time, line) >= self.settings.object_bytes {
            self.wake.notify_one();
        }
    }
}

/// Whether log objects of `source` may be written into `target`: by the target's ACL or by its policy (S3 User Guide,
/// "Permissions for log delivery"). Errs: why not.
pub fn delivery_allowed(
    node: &Node,
    source: &Bucket,
    target: &Bucket,
    logging: &Logging,
    now: Stamp,
) -> Result<(), &'static str> {
    let account = |bucket: &Bucket| node.access.iam.directory().account_of(&bucket.owner).into_owned();
    let owner = account(target);
    if account(source) != owner {
        return Err("The owner for the bucket to be logged and the target bucket must be the same.");
    }
    let context = RequestContext::new(now, None, true)
        .with("aws:SourceArn", format!("arn:aws:s3:::{}", source.name))
        .with("aws:SourceAccount", owner);
    let key = entry::simple_key(&logging.target_prefix, now, 0);
    if acl_allows(&target.config)
        || node.access.policy_engine.service_may(SERVICE, "s3:PutObject", &target.name, &key, &context)
    {
        return Ok(());
    }
    Err("You must give the log-delivery group WRITE and READ_ACP permissions to the target bucket")
}

fn acl_allows(target: &BucketConfig) -> bool {
    let enforced = target.ownership == Some(ObjectOwnership::BucketOwnerEnforced);
    let grants = |asked: Permission| {
        let gives = |acl: &Acl| {
            acl.grants.iter().any(|grant| grant.grantee == Grantee::LogDelivery && grant.permission.includes(asked))
        };
        target.acl.as_ref().is_some_and(gives)
    };
    !enforced && grants(Permission::Write) && grants(Permission::ReadAcp)
}

/// Starts the delivery on the current thread.
pub fn start(node: Arc<Node>) -> Delivery {
    Delivery::start(node)
}
