//! Events of a key, from the change that they tell of until their target was told.

use std::sync::Arc;

use bytes::Bytes;

use super::super::fixtures::{body, key, owner};
use super::client::{Changes, Client, Thing, Value, deletion, object};
use super::workload::{LARGE, SMALL, checkpoint};
use crate::bucket_config::{BucketConfig, EventKind, EventPattern, Notification, NotificationTarget, TargetKind};
use crate::names::BucketName;
use crate::storage::*;

/// The target that is told of everything in some buckets.
const TARGET: &str = "arn:aws:sqs:us-east-1:1:all";

/// A key of a bucket that tells of events, as its only client knows it.
pub struct Told {
    bucket: String,
    name: String,
    bytes: Option<Bytes>,
    events: Vec<EventKind>,
    /// A request was refused: what it did is not known.
    is_unsure: bool,
}

impl Told {
    pub fn of(bucket: &str, name: &str) -> Self {
        Self { bucket: bucket.to_owned(), name: name.to_owned(), bytes: None, events: Vec::new(), is_unsure: false }
    }

    fn changes(&self) -> Changes {
        let events = match self.events.is_empty() {
            true => Value::Absent,
            false => Value::Events(self.events.clone()),
        };
        let told = (Thing::Told(self.bucket.clone(), self.name.clone()), events);
        let object = object(&self.bucket, &self.name, self.bytes.clone());
        object.into_iter().chain([told]).collect()
    }
}

impl Client<'_> {
    pub async fn create_telling_bucket(&self, name: &str) -> Result<(), StorageError> {
        let patterns = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*"];
        let target = NotificationTarget {
            id: "all".to_owned(),
            kind: TargetKind::Queue,
            arn: TARGET.to_owned(),
            events: patterns.map(|pattern| EventPattern::parse(pattern).unwrap()).to_vec(),
            prefix: None,
            suffix: None,
        };
        let notification = Some(Notification { targets: vec![target], event_bridge: false });
        let config = BucketConfig { notification, ..BucketConfig::default() };
        let message = CreateBucket { name: BucketName::parse(name).unwrap(), owner: owner(), config };
        let changes = vec![(Thing::Bucket(name.to_owned()), Value::Present)];
        self.send(changes, self.storage.create_bucket(message)).await.map(drop)
    }

    /// A request that makes of a key what `told` says, and of its events too.
    async fn telling<T>(
        &self,
        told: &mut Told,
        change: impl FnOnce(&mut Told),
        request: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<(), StorageError> {
        if told.is_unsure {
            return Ok(());
        }
        told.is_unsure = true;
        change(told);
        self.send(told.changes(), request).await?;
        told.is_unsure = false;
        Ok(())
    }

    pub async fn put_telling(&self, told: &mut Told, bytes: Bytes) -> Result<(), StorageError> {
        let (there, name) = (self.bucket(&told.bucket)?, told.name.clone());
        let request = self.put_request(&there, &name, bytes.clone());
        let change = |told: &mut Told| {
            told.bytes = Some(bytes.clone());
            told.events.push(EventKind::CreatedByPut);
        };
        self.telling(told, change, request).await
    }

    pub async fn tag_telling(&self, told: &mut Told) -> Result<(), StorageError> {
        let there = self.bucket(&told.bucket)?;
        if told.bytes.is_none() {
            return Ok(());
        }
        let change = ObjectChange::Tags(vec![("a".to_owned(), "b".to_owned())]);
        let message =
            ChangeObject { bucket: there, key: key(&told.name), version: None, of: None, change, replica: None };
        let request = self.storage.change_object(message);
        self.telling(told, |told| told.events.push(EventKind::Tagged), request).await
    }

    pub async fn delete_telling(&self, told: &mut Told) -> Result<(), StorageError> {
        let request = self.storage.delete_object(deletion(&self.bucket(&told.bucket)?, &told.name, None));
        let change = |told: &mut Told| {
            // Nothing was there, nothing happens.
            told.events.extend(told.bytes.take().map(|_| EventKind::Removed));
        };
        self.telling(told, change, request).await
    }

    /// As the notifier does when a target was told.
    pub async fn settle(&self, told: &mut Told) -> Result<(), StorageError> {
        let queue = OutboxQueue { bucket: self.bucket(&told.bucket)?.id, target: Arc::from(TARGET) };
        let pending = self.storage.queued_events(Tray::Pending, queue.clone(), None, 1000).await?;
        let own = pending.iter().filter(|queued| queued.event.key.as_str() == told.name);
        let events = own.map(|queued| (queue.clone(), queued.event.sequence, Settled::Done)).collect();
        let request = self.storage.settle_events(SettleEvents { tray: Tray::Pending, events });
        self.telling(told, |told| told.events.clear(), request).await
    }
}

/// Events: of every change there is one until it is settled.
pub async fn one_by_one(client: &Client<'_>) {
    let _ = client.create_telling_bucket("telling").await;
    let (mut file, mut other) = (Told::of("telling", "dir/file"), Told::of("telling", "odd//"));
    for round in 0..2 {
        let of = |seed: usize, size: usize| body(round * 100 + seed + 80, size);
        let _ = client.put_telling(&mut file, of(1, SMALL)).await;
        let _ = client.put_telling(&mut other, of(2, SMALL)).await;
        let _ = client.tag_telling(&mut file).await;
        let _ = client.put_telling(&mut file, of(3, LARGE)).await;
        let _ = client.settle(&mut other).await;
        let _ = client.delete_telling(&mut file).await;
        let _ = client.delete_telling(&mut file).await;
        if round == 0 {
            checkpoint(client.storage);
        }
        let _ = client.delete_telling(&mut other).await;
        let _ = client.settle(&mut file).await;
    }
}
