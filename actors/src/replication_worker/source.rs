//! What the worker asks of the node: queues, what is in a bucket, and bytes. Behind a trait, so that tests have queues of any length
//! without a disk.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;

use super::peer::{Content, ContentStream};
use crate::bucket_config::RuleSet;
use crate::encryption::{DataKey, Method, ObjectName};
use crate::kms::KmsClient;
use crate::names::{BucketName, NodeId, ObjectKey, Stamp, VersionId};
use crate::storage::{
    Bucket, EnqueueChanges, Object, ObjectPart, OpenObject, QueueName, QueueTotals, QueuedChange, ReplicationTray,
    SettleChanges, Slot, SlotPage, SlotState, StorageClient, StorageError, WalkPosition,
};

pub(super) type SourceFuture<'a, T> = LocalBoxFuture<'a, Result<T, StorageError>>;

/// The object that is current under a key, if one is.
pub(super) type Current = Option<Arc<Object>>;

/// An object's bytes, or why they cannot be sent.
#[derive(Debug)]
pub(super) enum Opened {
    /// The bytes, and the parts that it was assembled from.
    Content(Arc<dyn Content>, Vec<ObjectPart>),
    /// It is not what it was any more.
    Changed,
    /// It can never be read here.
    Unreadable(String),
}

/// What the worker asks of the node.
pub(super) trait Source: fmt::Debug + Send + Sync {
    fn node_id(&self) -> NodeId;
    fn bucket(&self, name: &BucketName) -> Result<Arc<Bucket>, StorageError>;
    fn publish(&self, rules: Arc<RuleSet>);
    fn filled(&self) -> LocalBoxFuture<'_, BTreeSet<QueueName>>;
    fn queues(&self) -> Vec<QueueName>;
    fn totals(&self, queue: &QueueName) -> Result<QueueTotals, StorageError>;
    fn page(
        &self,
        queue: QueueName,
        tray: ReplicationTray,
        after: Option<(Stamp, Slot)>,
        limit: usize,
    ) -> SourceFuture<'_, Vec<QueuedChange>>;
    /// The entry of one slot, if it is queued.
    fn entry(&self, queue: &QueueName, slot: &Slot) -> Result<Option<QueuedChange>, StorageError>;
    fn settle(&self, message: SettleChanges) -> SourceFuture<'_, usize>;
    fn enqueue(&self, message: EnqueueChanges) -> SourceFuture<'_, usize>;
    /// Forgets a queue with all that is in it.
    fn drop_queue(&self, queue: QueueName) -> SourceFuture<'_, ()>;
    /// The same, unless there is a rule again that it belongs to.
    fn drop_former_queue(&self, queue: QueueName) -> SourceFuture<'_, ()>;
    /// Lets go of tombstones and conflicts whose time is over.
    fn sweep(&self, now: Stamp) -> SourceFuture<'_, ()>;
    fn state(&self, bucket: &Bucket, slot: &Slot) -> Result<SlotState, StorageError>;
    fn current(&self, bucket: &Bucket, key: &ObjectKey) -> Result<Current, StorageError>;
    fn walk(&self, bucket: Arc<Bucket>, after: Option<WalkPosition>, limit: usize) -> SourceFuture<'_, SlotPage>;
    fn open<'a>(&'a self, bucket: &'a Arc<Bucket>, key: &'a ObjectKey, object: &'a Object) -> SourceFuture<'a, Opened>;
}

/// The node itself. It reads with its own right to the KMS.
#[derive(Debug)]
pub(super) struct NodeSource {
    pub storage: StorageClient,
    pub kms: KmsClient,
}

impl Source for NodeSource {
    fn node_id(&self) -> NodeId {
        self.storage.node_id()
    }

    fn bucket(&self, name: &BucketName) -> Result<Arc<Bucket>, StorageError> {
        self.storage.bucket(name)
    }

    fn publish(&self, rules: Arc<RuleSet>) {
        self.storage.replication_rules(rules);
    }

    fn filled(&self) -> LocalBoxFuture<'_, BTreeSet<QueueName>> {
        Box::pin(self.storage.filled_replication())
    }

    fn queues(&self) -> Vec<QueueName> {
        self.storage.replication_queues()
    }

    fn totals(&self, queue: &QueueName) -> Result<QueueTotals, StorageError> {
        self.storage.replication_totals(queue)
    }

    fn page(
        &self,
        queue: QueueName,
        tray: ReplicationTray,
        after: Option<(Stamp, Slot)>,
        limit: usize,
    ) -> SourceFuture<'_, Vec<QueuedChange>> {
        Box::pin(self.storage.queued_changes(queue, tray, after, limit))
    }

    fn entry(&self, queue: &QueueName, slot: &Slot) -> Result<Option<QueuedChange>, StorageError> {
        self.storage.queued_change(queue, slot)
    }

    fn settle(&self, message: SettleChanges) -> SourceFuture<'_, usize> {
        Box::pin(self.storage.settle_changes(message))
    }

    fn enqueue(&self, message: EnqueueChanges) -> SourceFuture<'_, usize> {
        Box::pin(self.storage.enqueue_changes(message))
    }

    fn drop_queue(&self, queue: QueueName) -> SourceFuture<'_, ()> {
        Box::pin(async move {
            while !self.storage.drop_replication(queue.clone()).await? {}
            Ok(())
        })
    }

    fn drop_former_queue(&self, queue: QueueName) -> SourceFuture<'_, ()> {
        Box::pin(async move {
            while !self.storage.drop_former_replication(queue.clone()).await? {}
            Ok(())
        })
    }

    fn sweep(&self, now: Stamp) -> SourceFuture<'_, ()> {
        Box::pin(self.storage.sweep_replication(now))
    }

    fn state(&self, bucket: &Bucket, slot: &Slot) -> Result<SlotState, StorageError> {
        self.storage.slot_state(bucket, slot)
    }

    fn current(&self, bucket: &Bucket, key: &ObjectKey) -> Result<Current, StorageError> {
        match self.storage.peek_object(bucket, key, None) {
            Ok(peeked) => Ok(Some(Arc::clone(&peeked.object))),
            Err(StorageError::NoSuchKey { .. } | StorageError::IsDeleteMarker { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn walk(&self, bucket: Arc<Bucket>, after: Option<WalkPosition>, limit: usize) -> SourceFuture<'_, SlotPage> {
        Box::pin(self.storage.walk_slots(bucket, after, limit))
    }

    fn open<'a>(&'a self, bucket: &'a Arc<Bucket>, key: &'a ObjectKey, object: &'a Object) -> SourceFuture<'a, Opened> {
        Box::pin(self.open_object(bucket, key, object))
    }
}

impl NodeSource {
    async fn open_object(
        &self,
        bucket: &Arc<Bucket>,
        key: &ObjectKey,
        object: &Object,
    ) -> Result<Opened, StorageError> {
        let version: VersionId = object.version_id;
        let source = match self.storage.open_object(bucket, key, Some(version)).await {
            Ok(source) => source,
            Err(
                StorageError::NoSuchKey { .. }
                | StorageError::NoSuchVersion { .. }
                | StorageError::IsDeleteMarker { .. }
                | StorageError::NoSuchBucket { .. },
            ) => return Ok(Opened::Changed),
            Err(error) => return Err(error),
        };
        if source.object.stamp != object.stamp {
            return Ok(Opened::Changed);
        }
        let key = match source.object.encryption() {
            None => None,
            Some(encryption) if matches!(encryption.method, Method::Customer(_)) => {
                let reason = "it is encrypted with a key that only its owner has (SSE-C)";
                return Ok(Opened::Unreadable(reason.to_owned()));
            }
            Some(encryption) => {
                let name = ObjectName { bucket: bucket.name.as_str(), key: key.as_str() };
                match self.kms.open(encryption, &name, None) {
                    Ok(key) => Some(Arc::new(key)),
                    Err(error) => return Ok(Opened::Unreadable(format!("it cannot be decrypted: {error}"))),
                }
            }
        };
        let parts = self.storage.object_parts(bucket, &source.object)?;
        Ok(Opened::Content(Arc::new(StoredContent { source, key }), parts))
    }
}

/// Bytes of an object of the node.
#[derive(Debug)]
struct StoredContent {
    source: OpenObject,
    key: Option<Arc<DataKey>>,
}

impl Content for StoredContent {
    fn read(&self, range: Range<u64>) -> Result<ContentStream, StorageError> {
        Ok(self.source.clone().read(range, self.key.as_deref())?.boxed())
    }
}
