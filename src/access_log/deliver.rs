//! The delivery: a task that makes log objects of the lines, through Storage's client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use myfsio_actors::bucket_config::{Acl, Logging, ObjectOwnership};
use myfsio_actors::kms::KmsError;
use myfsio_actors::names::{BucketName, ObjectKey};
use myfsio_actors::storage::{
    Attributes, BeginBody, Bucket, Controls, DigestPlan, PutObject, StorageError, WriteConditions,
};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::buffer::Lines;
use super::delivery_allowed;
use super::entry::{partition_time, partitioned_key, simple_key};
use crate::node::Node;
use crate::s3::encryption::envelope_by_default;

/// How long a stopping node waits for its last delivery.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// The running delivery.
#[derive(Debug)]
pub struct Delivery {
    node: Arc<Node>,
    stopping: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Delivery {
    /// Starts it on the current thread.
    pub(super) fn start(node: Arc<Node>) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let task = tokio::task::spawn_local(run(Arc::clone(&node), Arc::clone(&stopping)));
        Self { node, stopping, task }
    }

    /// Delivers what is there, and ends.
    pub async fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        self.node.access_log.wake.notify_one();
        if tokio::time::timeout(STOP_PATIENCE, self.task).await.is_err() {
            tracing::warn!("access logs were not delivered before the node stopped");
        }
    }
}

async fn run(node: Arc<Node>, stopping: Arc<AtomicBool>) {
    let log = &node.access_log;
    let mut due = Instant::now() + log.settings.interval;
    loop {
        // The interval ending is as good a reason as being woken, and the only one to try again what failed.
        let is_due = tokio::time::timeout_at(due, log.wake.notified()).await.is_err();
        let last = stopping.load(Ordering::Acquire);
        deliver_all(&node, is_due || last).await;
        if is_due {
            due = Instant::now() + log.settings.interval;
        }
        if last {
            return;
        }
    }
}

async fn deliver_all(node: &Node, with_failed: bool) {
    let (all, dropped) = node.access_log.buffers.take(with_failed);
    if dropped > 0 {
        tracing::warn!(dropped, "access log lines were dropped: they came faster than they could be delivered");
    }
    for lines in all {
        match deliver(node, &lines).await {
            Ok(()) => {}
            Err(Undelivered::ForNow(error)) => {
                tracing::warn!(bucket = %lines.name, %error, "an access log waits for its delivery");
                node.access_log.buffers.take_back(lines);
            }
            Err(Undelivered::ForGood(reason)) => {
                tracing::warn!(bucket = %lines.name, reason, "an access log cannot be delivered and is dropped");
            }
        }
    }
}

/// Why lines were not delivered.
enum Undelivered {
    /// Storage or the KMS could not; later they may.
    ForNow(Box<dyn std::error::Error>),
    /// They have no place to go.
    ForGood(&'static str),
}

impl From<StorageError> for Undelivered {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NoSuchBucket { .. } => Self::ForGood("the target bucket does not exist"),
            error => Self::ForNow(error.into()),
        }
    }
}

impl From<KmsError> for Undelivered {
    fn from(error: KmsError) -> Self {
        Self::ForNow(error.into())
    }
}

async fn deliver(node: &Node, lines: &Lines) -> Result<(), Undelivered> {
    // A bucket that is gone, or is not logged any more, has nobody who would read them.
    let Ok(source) = node.storage.bucket(&lines.name) else { return Ok(()) };
    let Some(logging) = source.config.logging.as_ref().filter(|_| source.id == lines.bucket) else { return Ok(()) };
    let target = BucketName::parse(&logging.target_bucket)
        .map_err(|_| Undelivered::ForGood("the target bucket does not exist"))?;
    let target = node.storage.bucket(&target)?;
    node.access.refresh().await;
    delivery_allowed(node, &source, &target, logging, node.clock.now()).map_err(Undelivered::ForGood)?;
    let key = key_of(node, &source, logging, lines)?;
    let size = lines.text.len() as u64;
    node.storage.check_room(size)?;
    let envelope = envelope_by_default(node, &target, &key).await?;
    let begin = BeginBody { bucket: &target, key: &key, owner: &target.owner, size: Some(size) };
    let mut writer = node.storage.begin_body(begin, DigestPlan::default(), envelope.as_ref())?;
    writer.write(Bytes::copy_from_slice(lines.text.as_bytes())).await?;
    let body = writer.finish().await?;
    let message = PutObject {
        owner: target.owner.clone(),
        attributes: Attributes { content_type: Some("text/plain".to_owned()), ..Attributes::default() },
        controls: Controls { acl: acl_of(&target, logging), ..Controls::default() },
        bucket: target,
        key,
        body,
        checksum: None,
        conditions: WriteConditions::default(),
        replica: None,
    };
    node.storage.put_object(message).await?;
    Ok(())
}

fn key_of(node: &Node, source: &Bucket, logging: &Logging, lines: &Lines) -> Result<ObjectKey, Undelivered> {
    let mut bytes = [0; 8];
    // Without random numbers the time alone names the object; deliveries of one bucket are seconds apart.
    let _ = getrandom::fill(&mut bytes);
    let (now, unique, prefix) = (node.clock.now(), u64::from_ne_bytes(bytes), &logging.target_prefix);
    let key = match logging.partitioned_by {
        None => simple_key(prefix, now, unique),
        Some(date) => {
            let directory = node.access.iam.directory();
            let account = directory.account_of(&source.owner);
            let time = partition_time(date, lines, now);
            partitioned_key(prefix, &account, &node.settings.region, lines, time, unique)
        }
    };
    ObjectKey::parse(key.as_bytes()).map_err(|_| Undelivered::ForGood("the prefix makes keys that are too long"))
}

/// The target's owner has full control, and others what the configuration grants them, unless the target has come to take no
/// such list since.
fn acl_of(target: &Bucket, logging: &Logging) -> Option<Acl> {
    if logging.target_grants.is_empty() || target.config.ownership == Some(ObjectOwnership::BucketOwnerEnforced) {
        return None;
    }
    let mut acl = Acl::of_owner(&target.owner);
    acl.grants.extend(logging.target_grants.iter().cloned());
    let refuses = target.config.public_access_block.is_some_and(|block| block.block_public_acls);
    (!(refuses && acl.is_public())).then_some(acl)
}

#[cfg(test)]
mod tests {
    use myfsio_actors::bucket_config::{BucketConfig, Grant, Grantee, Permission, PublicAccessBlock};
    use myfsio_actors::names::{BucketId, CanonicalId, Stamp};
    use myfsio_actors::storage::Versioning;

    use super::*;

    #[test]
    fn grants_count_while_the_target_takes_them() {
        let target = |ownership, block_public_acls| Bucket {
            id: BucketId(1),
            name: BucketName::parse("target").unwrap(),
            owner: CanonicalId::from_bytes([1; 32]),
            created: Stamp(0),
            versioning: Versioning::Off,
            config: Arc::new(BucketConfig {
                ownership,
                public_access_block: Some(PublicAccessBlock { block_public_acls, ..PublicAccessBlock::default() }),
                ..BucketConfig::default()
            }),
        };
        let to = |grantee| Logging {
            target_bucket: "target".to_owned(),
            target_prefix: String::new(),
            target_grants: vec![Grant { grantee, permission: Permission::Read }],
            partitioned_by: None,
            simple_prefix: false,
        };
        let (all, one) = (to(Grantee::AllUsers), to(Grantee::User(CanonicalId::from_bytes([2; 32]))));
        assert_eq!(acl_of(&target(None, false), &all).map(|acl| acl.grants.len()), Some(2));
        assert_eq!(acl_of(&target(None, true), &all), None);
        assert!(acl_of(&target(None, true), &one).is_some());
        assert_eq!(acl_of(&target(Some(ObjectOwnership::BucketOwnerEnforced), false), &one), None);
    }
}
