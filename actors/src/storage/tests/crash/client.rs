//! What a client can ask the node for, and what each request changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::super::envelopes;
use super::super::fixtures::{key, owner, put_with};
use super::recorder::{Note, Recorder};
use super::sealed::{FIRST_MASTER, is_sealed};
use crate::bucket_config::{
    AbortUploads, BucketConfig, BucketQuota, ConfigChange, Day, EventKind, Expiration, Lifecycle, LifecycleKind,
    LifecycleRule, NoncurrentExpiration, PrefixQuota, QuotaLimits,
};
use crate::names::{BucketName, VersionId};
use crate::storage::plan::kept;
use crate::storage::*;

/// Something that a client can ask for, or whose absence it can see.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    Bucket(String),
    Object(String, String),
    Upload(String, String),
    /// All versions of a key, where they are kept.
    History(String, String),
    /// The events of a key that its target was not told yet.
    Told(String, String),
    /// What lost against other changes of a key and is kept beside it.
    Copies(String, String),
    /// The master key under which an encrypted object's data key is wrapped.
    Wrapped(String, String),
}

/// What a thing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Absent,
    Present,
    Bytes(Bytes),
    /// MD5 of each part, by number.
    Parts(BTreeMap<u16, [u8; 16]>),
    /// Newest first; a delete marker is none.
    Versions(Vec<Option<Bytes>>),
    /// In their order.
    Events(Vec<EventKind>),
    Master(String),
}

/// What a request changes, all of it or nothing.
pub type Changes = Vec<(Thing, Value)>;

/// Sends requests and notes what they change.
pub struct Client<'a> {
    pub storage: &'a StorageClient,
    pub recorder: &'a Recorder,
    /// What each request changes, by its number.
    pub requests: &'a std::cell::RefCell<Vec<Changes>>,
}

pub(super) fn object(bucket: &str, name: &str, bytes: Option<Bytes>) -> Changes {
    let (bucket, name) = (bucket.to_owned(), name.to_owned());
    let master = bytes.as_ref().map_or(Value::Absent, |_| Value::Master(FIRST_MASTER.to_owned()));
    let wrapped = is_sealed(&bucket).then(|| (Thing::Wrapped(bucket.clone(), name.clone()), master));
    let object = (Thing::Object(bucket, name), bytes.map_or(Value::Absent, Value::Bytes));
    std::iter::once(object).chain(wrapped).collect()
}

impl Client<'_> {
    pub async fn set_versioning(&self, bucket: &str, versioning: Versioning) -> Result<(), StorageError> {
        let change = BucketChange::Versioning(versioning);
        let message = ConfigureBucket { bucket: self.bucket(bucket)?, change };
        self.send(Vec::new(), self.storage.configure_bucket(message)).await.map(drop)
    }

    /// Gives a bucket rules by which everything is due, and brings the times of what is there into rows. Nothing is removed yet.
    pub async fn set_lifecycle(&self, bucket: &str) -> Result<(), StorageError> {
        let rule = LifecycleRule {
            id: "all".to_owned(),
            enabled: true,
            expiration: Some(Expiration::Days(1)),
            noncurrent: Some(NoncurrentExpiration { days: 1, newer_versions: None }),
            abort_uploads: Some(AbortUploads { days: 1 }),
            ..LifecycleRule::default()
        };
        let lifecycle = Lifecycle { rules: vec![rule], ..Lifecycle::default() };
        let change = BucketChange::Config(ConfigChange::Lifecycle(Some(lifecycle)));
        let message = ConfigureBucket { bucket: self.bucket(bucket)?, change };
        self.send(Vec::new(), self.storage.configure_bucket(message)).await?;
        self.walk_times(bucket).await
    }

    /// Gives a bucket quotas that it never reaches, and its owner one; what is there is still to be counted.
    pub async fn set_quotas(&self, bucket: &str, prefixes: &[&str]) -> Result<(), StorageError> {
        let limits = QuotaLimits { max_bytes: Some(1 << 40), max_objects: Some(1 << 20) };
        let prefix = |prefix: &&str| PrefixQuota { prefix: (*prefix).to_owned(), limits };
        let quota = BucketQuota { limits, prefixes: prefixes.iter().map(prefix).collect() };
        let change = BucketChange::Config(ConfigChange::Quota(Some(quota)));
        let message = ConfigureBucket { bucket: self.bucket(bucket)?, change };
        self.send(Vec::new(), self.storage.configure_bucket(message)).await?;
        let message = LimitOwners { limits: vec![(owner(), Some(limits))] };
        self.send(Vec::new(), self.storage.limit_owners(message)).await
    }

    /// Counts some more of each meter.
    pub async fn count(&self) -> Result<(), StorageError> {
        for scope in self.storage.uncounted_meters() {
            self.send(Vec::new(), self.storage.count_meter(CountMeter { scope })).await?;
        }
        Ok(())
    }

    pub async fn walk_times(&self, bucket: &str) -> Result<(), StorageError> {
        let bucket = self.bucket(bucket)?;
        loop {
            let message = WalkTimes { bucket: Arc::clone(&bucket) };
            if self.send(Vec::new(), self.storage.walk_times(message)).await? {
                return Ok(());
            }
        }
    }

    /// Removes what is of this key and kind by the bucket's rules, oldest first; `changes` is what the first of it changes.
    pub(super) async fn expire(
        &self,
        bucket: &str,
        name: &str,
        kind: LifecycleKind,
        changes: Changes,
    ) -> Result<(), StorageError> {
        let bucket = self.bucket(bucket)?;
        let mut entries = kept(&self.storage.shared().rows, &bucket);
        entries.retain(|entry| entry.kind == kind && entry.key == name.as_bytes());
        let Some(entry) = entries.into_iter().next() else { return Ok(()) };
        let message = Expire { bucket, entry, day: Day::of_one_nanosecond() };
        self.send(changes, self.storage.expire(message)).await.map(drop)
    }

    pub async fn expire_object(&self, bucket: &str, name: &str) -> Result<(), StorageError> {
        self.expire(bucket, name, LifecycleKind::Current, object(bucket, name, None)).await
    }

    pub(super) async fn put_request(
        &self,
        there: &Arc<Bucket>,
        name: &str,
        bytes: Bytes,
    ) -> Result<Stored, StorageError> {
        let envelope = self.envelope(there, name);
        put_with(self.storage, there, name, bytes, WriteConditions::default(), envelope.as_ref()).await
    }

    pub(super) async fn send<T>(
        &self,
        changes: Changes,
        request: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        let number = {
            let mut requests = self.requests.borrow_mut();
            requests.push(changes);
            requests.len() - 1
        };
        self.recorder.mark(Note::Begun { request: number });
        let answer = request.await;
        self.recorder.mark(match answer {
            Ok(_) => Note::Acknowledged { request: number },
            Err(_) => Note::Refused,
        });
        answer
    }

    pub(super) fn bucket(&self, name: &str) -> Result<Arc<Bucket>, StorageError> {
        self.storage.bucket(&BucketName::parse(name).unwrap())
    }

    pub async fn create_bucket(&self, name: &str) -> Result<(), StorageError> {
        let message =
            CreateBucket { name: BucketName::parse(name).unwrap(), owner: owner(), config: BucketConfig::default() };
        let changes = vec![(Thing::Bucket(name.to_owned()), Value::Present)];
        self.send(changes, self.storage.create_bucket(message)).await.map(drop)
    }

    /// With the uploads `open` that are in progress there.
    pub async fn delete_bucket(&self, name: &str, open: &[&str]) -> Result<(), StorageError> {
        // Uploads end one by one before the bucket goes.
        let bucket = self.bucket(name)?;
        let mut changes = vec![(Thing::Bucket(name.to_owned()), Value::Absent)];
        changes.extend(open.iter().map(|key| (Thing::Upload(name.to_owned(), (*key).to_owned()), Value::Absent)));
        self.send(changes, self.storage.delete_bucket(DeleteBucket { bucket })).await.map(drop)
    }

    pub async fn put(&self, bucket: &str, name: &str, bytes: Bytes) -> Result<(), StorageError> {
        let there = self.bucket(bucket)?;
        let request = self.put_request(&there, name, bytes.clone());
        self.send(object(bucket, name, Some(bytes)), request).await.map(drop)
    }

    /// As CopyObject does it.
    pub async fn copy(&self, bucket: &str, from: &str, to: &str, bytes: Bytes) -> Result<(), StorageError> {
        let there = self.bucket(bucket)?;
        let request = async {
            let source = self.storage.open_object(&there, &key(from), None).await?;
            let size = source.object.size;
            let data_key = source.object.encryption().map(|encryption| envelopes::open(encryption, &there, from));
            let envelope = self.envelope(&there, to);
            let (to, owner) = (key(to), owner());
            let begin = BeginBody { bucket: &there, key: &to, owner: &owner, size: Some(size) };
            let target = self.storage.begin_body(begin, DigestPlan::default(), envelope.as_ref())?;
            let body = self.storage.copy_body(source, 0..size, data_key.as_ref(), target).await?;
            let message = PutObject {
                bucket: Arc::clone(&there),
                key: to,
                owner,
                attributes: Attributes::default(),
                controls: Controls::default(),
                body,
                checksum: None,
                conditions: WriteConditions::default(),
                replica: None,
            };
            self.storage.put_object(message).await
        };
        self.send(object(bucket, to, Some(bytes)), request).await.map(drop)
    }

    pub async fn delete(&self, bucket: &str, name: &str) -> Result<(), StorageError> {
        let message = deletion(&self.bucket(bucket)?, name, None);
        self.send(object(bucket, name, None), self.storage.delete_object(message)).await.map(drop)
    }
}

pub(super) fn deletion(bucket: &Arc<Bucket>, name: &str, version: Option<VersionId>) -> DeleteObject {
    DeleteObject {
        bucket: Arc::clone(bucket),
        key: key(name),
        version,
        owner: owner(),
        bypass_governance: false,
        conditions: WriteConditions::default(),
        replica: None,
    }
}
