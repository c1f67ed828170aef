//! What the node is asked to do, and what each request changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::super::envelopes;
use super::super::fixtures::{body, completion, key, md5_of, owner, put_with};
use super::Choices;
use super::recorder::{Note, Recorder};
use super::sealed::{FIRST_MASTER, is_sealed};
use crate::bucket_config::{
    AbortUploads, BucketConfig, BucketQuota, ConfigChange, Day, EventKind, EventPattern, Expiration, Lifecycle,
    LifecycleKind, LifecycleRule, NoncurrentExpiration, Notification, NotificationTarget, PrefixQuota, QuotaLimits,
    TargetKind,
};
use crate::names::{BucketName, PartNumber, VersionId};
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

fn object(bucket: &str, name: &str, bytes: Option<Bytes>) -> Changes {
    let (bucket, name) = (bucket.to_owned(), name.to_owned());
    let master = bytes.as_ref().map_or(Value::Absent, |_| Value::Master(FIRST_MASTER.to_owned()));
    let wrapped = is_sealed(&bucket).then(|| (Thing::Wrapped(bucket.clone(), name.clone()), master));
    let object = (Thing::Object(bucket, name), bytes.map_or(Value::Absent, Value::Bytes));
    std::iter::once(object).chain(wrapped).collect()
}

/// A key of a bucket that keeps versions, as its only client knows it: newest first, with whether it is the null version.
pub struct History {
    bucket: String,
    name: String,
    versions: Vec<(VersionId, Option<Bytes>)>,
    /// A request was refused: what it did is not known.
    is_unsure: bool,
}

impl History {
    pub fn of(bucket: &str, name: &str) -> Self {
        Self { bucket: bucket.to_owned(), name: name.to_owned(), versions: Vec::new(), is_unsure: false }
    }

    /// Bucket, key and versions, without delete markers; none when it is not known which there are.
    pub(super) fn known(&self) -> (&str, &str, Vec<VersionId>) {
        let known = self.versions.iter().filter(|(_, bytes)| !self.is_unsure && bytes.is_some());
        (&self.bucket, &self.name, known.map(|(id, _)| *id).collect())
    }

    fn changes(&self, versions: &[(VersionId, Option<Bytes>)]) -> Changes {
        let value = match versions {
            [] => Value::Absent,
            some => Value::Versions(some.iter().map(|(_, bytes)| bytes.clone()).collect()),
        };
        vec![(Thing::History(self.bucket.clone(), self.name.clone()), value)]
    }

    /// What a new version, or marker, makes of the others.
    fn with(&self, versioning: Versioning, bytes: Option<Bytes>) -> Vec<(VersionId, Option<Bytes>)> {
        let kept = |id: &VersionId| versioning == Versioning::Enabled || *id != VersionId::Null;
        let others = self.versions.iter().filter(|(id, _)| kept(id)).cloned();
        std::iter::once((VersionId::Null, bytes)).chain(others).collect()
    }
}

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
    async fn expire(
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

    pub async fn expire_upload(&self, upload: Uploading) -> Result<(), StorageError> {
        let Thing::Upload(bucket, name) = upload.thing.clone() else { unreachable!() };
        self.expire(&bucket, &name, LifecycleKind::Upload, vec![(upload.thing, Value::Absent)]).await
    }

    /// Removes the version that has been noncurrent longest: the oldest, since versions follow each other.
    pub async fn expire_oldest(&self, history: &mut History) -> Result<(), StorageError> {
        if history.is_unsure || history.versions.len() < 2 {
            return Ok(());
        }
        history.is_unsure = true;
        let mut versions = history.versions.clone();
        versions.pop();
        let changes = history.changes(&versions);
        self.expire(&history.bucket, &history.name, LifecycleKind::Noncurrent, changes).await?;
        (history.versions, history.is_unsure) = (versions, false);
        Ok(())
    }

    pub async fn put_version(&self, history: &mut History, bytes: Bytes) -> Result<(), StorageError> {
        let there = self.bucket(&history.bucket)?;
        if history.is_unsure || there.versioning == Versioning::Off {
            return Ok(());
        }
        history.is_unsure = true;
        let mut versions = history.with(there.versioning, Some(bytes.clone()));
        let request = self.put_request(&there, &history.name, bytes);
        let stored = self.send(history.changes(&versions), request).await?;
        versions[0].0 = stored.object.version_id;
        (history.versions, history.is_unsure) = (versions, false);
        Ok(())
    }

    pub async fn mark_deleted(&self, history: &mut History) -> Result<(), StorageError> {
        let there = self.bucket(&history.bucket)?;
        if history.is_unsure || there.versioning == Versioning::Off {
            return Ok(());
        }
        history.is_unsure = true;
        let mut versions = history.with(there.versioning, None);
        let request = self.storage.delete_object(deletion(&there, &history.name, None));
        let deleted = self.send(history.changes(&versions), request).await?;
        versions[0].0 = deleted.version_id.expect("a marker");
        (history.versions, history.is_unsure) = (versions, false);
        Ok(())
    }

    pub async fn delete_version(&self, history: &mut History, at: usize) -> Result<(), StorageError> {
        let there = self.bucket(&history.bucket)?;
        if history.is_unsure || at >= history.versions.len() {
            return Ok(());
        }
        history.is_unsure = true;
        let mut versions = history.versions.clone();
        let (id, _) = versions.remove(at);
        let request = self.storage.delete_object(deletion(&there, &history.name, Some(id)));
        self.send(history.changes(&versions), request).await?;
        (history.versions, history.is_unsure) = (versions, false);
        Ok(())
    }

    async fn put_request(&self, there: &Arc<Bucket>, name: &str, bytes: Bytes) -> Result<Stored, StorageError> {
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

    pub async fn begin(&self, bucket: &str, name: &str) -> Result<Uploading, StorageError> {
        let there = self.bucket(bucket)?;
        let thing = Thing::Upload(bucket.to_owned(), name.to_owned());
        let message = CreateUpload {
            bucket: Arc::clone(&there),
            key: key(name),
            owner: owner(),
            attributes: Attributes::default(),
            controls: Controls::default(),
            checksum: None,
            encryption: self.envelope(&there, name).map(|envelope| envelope.encryption),
        };
        let changes = vec![(thing.clone(), Value::Parts(BTreeMap::new()))];
        let upload = self.send(changes, self.storage.create_upload(message)).await?;
        Ok(Uploading { bucket: there, thing, upload, parts: BTreeMap::new(), master: None })
    }

    pub async fn part(&self, upload: &mut Uploading, number: u16, bytes: Bytes) -> Result<(), StorageError> {
        let mut parts: BTreeMap<_, _> = upload.parts.iter().map(|(n, bytes)| (*n, md5_of(bytes))).collect();
        parts.insert(number, md5_of(&bytes));
        let request = async {
            let number = PartNumber::new(u32::from(number)).unwrap();
            let begin = BeginPart {
                bucket: Arc::clone(&upload.bucket),
                key: upload.upload.key.clone(),
                upload: upload.upload.id,
                number,
                size: bytes.len() as u64,
            };
            let encryption = upload.upload.encryption.as_ref();
            let data_key = encryption.map(|e| envelopes::open(e, &upload.bucket, upload.upload.key.as_str()));
            let mut writer = self.storage.begin_part(begin, DigestPlan::default(), data_key.as_ref()).await?;
            writer.write(bytes.clone()).await?;
            let message = PutPart {
                bucket: Arc::clone(&upload.bucket),
                key: upload.upload.key.clone(),
                upload: upload.upload.id,
                number,
                body: writer.finish().await?,
                checksum: None,
            };
            self.storage.put_part(message).await
        };
        self.send(vec![(upload.thing.clone(), Value::Parts(parts))], request).await?;
        upload.parts.insert(number, bytes);
        Ok(())
    }

    pub async fn complete(&self, upload: Uploading) -> Result<(), StorageError> {
        let Thing::Upload(bucket, name) = &upload.thing else { unreachable!() };
        let whole: Vec<u8> = upload.parts.values().flat_map(|bytes| bytes.iter().copied()).collect();
        let mut changes = object(bucket, name, Some(whole.into()));
        if let (Some(master), Some((_, value))) = (&upload.master, changes.get_mut(1)) {
            *value = Value::Master(master.clone());
        }
        changes.push((upload.thing.clone(), Value::Absent));
        let request = completion(&upload.bucket, &upload.upload, upload.completed());
        self.send(changes, self.storage.complete_upload(request)).await.map(drop)
    }

    pub async fn abort(&self, upload: Uploading) -> Result<(), StorageError> {
        let message = AbortUpload {
            bucket: Arc::clone(&upload.bucket),
            key: upload.upload.key.clone(),
            upload: upload.upload.id,
        };
        self.send(vec![(upload.thing.clone(), Value::Absent)], self.storage.abort_upload(message)).await
    }
}

fn deletion(bucket: &Arc<Bucket>, name: &str, version: Option<VersionId>) -> DeleteObject {
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

/// An upload as its client knows it.
pub struct Uploading {
    pub(super) bucket: Arc<Bucket>,
    pub(super) thing: Thing,
    pub(super) upload: Arc<Upload>,
    parts: BTreeMap<u16, Bytes>,
    /// The master key to which it was wrapped anew.
    pub(super) master: Option<String>,
}

impl Uploading {
    /// Its parts, as the request that completes it lists them.
    pub(super) fn completed(&self) -> Vec<CompletedPart> {
        let listed = self.parts.iter().map(|(number, bytes)| CompletedPart {
            number: PartNumber::new(u32::from(*number)).unwrap(),
            etag: crate::names::ETag::single(md5_of(bytes)),
            checksum: None,
        });
        listed.collect()
    }
}

/// Larger than what goes through the journal.
pub(super) const LARGE: usize = 40_000;
pub(super) const SMALL: usize = 700;

/// Waits until index and files have followed and a checkpoint has been; not for long, since a failing disk has none.
pub(super) fn checkpoint(storage: &StorageClient) {
    let progress = &storage.shared().progress;
    let _or_not = progress.checkpoint_within(progress.position().sequence, std::time::Duration::from_millis(500));
}

/// One request after the other, of every kind, in the orders that matter. A request that fails ends nothing.
pub async fn one_by_one(client: &Client<'_>) {
    let _ = client.create_bucket("alpha").await;
    for round in 0..3 {
        let of = |seed: usize, size: usize| body(round * 100 + seed, size);
        let _ = client.put("alpha", "small", of(1, SMALL)).await;
        let _ = client.put("alpha", "dir/large", of(2, LARGE)).await;
        let _ = client.put("alpha", "dir/empty", of(3, 0)).await;
        let _ = client.put("alpha", "small", of(4, SMALL + 1)).await;
        let _ = client.put("alpha", "small", of(5, LARGE)).await;
        let _ = client.put("alpha", "small", of(6, SMALL)).await;
        let _ = client.put("alpha", "small//../odd", of(7, SMALL)).await;
        let _ = client.put("alpha", "small/below", of(8, LARGE)).await;
        let _ = client.put("alpha", "folder/", of(0, 0)).await;
        let _ = client.copy("alpha", "dir/large", "copied", of(2, LARGE)).await;
        let _ = client.delete("alpha", "dir/large").await;
        let _ = client.delete("alpha", "dir/empty").await;
        let _ = client.delete("alpha", "never/there").await;
        if round == 1 {
            checkpoint(client.storage);
            let _ = client.set_lifecycle("alpha").await;
        }
        if round == 0 {
            let _ = client.set_quotas("alpha", &["dir/", "assembled/", "small"]).await;
        }
        let _ = client.count().await;
        let _ = client.expire_object("alpha", "copied").await;
        // A key of its own for each upload: one that could not be completed stays.
        if let Ok(mut upload) = client.begin("alpha", &format!("assembled/{round}")).await {
            let _ = client.part(&mut upload, 1, of(10, 9000)).await;
            let _ = client.part(&mut upload, 2, of(11, 9000)).await;
            let _ = client.count().await;
            let _ = client.part(&mut upload, 1, of(12, 9000)).await;
            let _ = client.part(&mut upload, 3, of(13, 10)).await;
            let _ = client.complete(upload).await;
        }
        let over = format!("over/{round}");
        let _ = client.put("alpha", &over, of(9, SMALL)).await;
        if let Ok(mut upload) = client.begin("alpha", &over).await {
            let _ = client.part(&mut upload, 4, of(14, 5000)).await;
            let _ = client.part(&mut upload, 9, of(15, 17_000)).await;
            let _ = client.complete(upload).await;
        }
        if let Ok(mut upload) = client.begin("alpha", &format!("aborted/{round}")).await {
            let _ = client.part(&mut upload, 1, of(16, 9000)).await;
            let _ = client.part(&mut upload, 3, of(17, 3000)).await;
            let _ = match round {
                2 => client.expire_upload(upload).await,
                _ => client.abort(upload).await,
            };
        }
        let _ = client.create_bucket("beta").await;
        let _ = client.put("beta", "x/y", of(18, SMALL)).await;
        let _ = client.put("beta", "z", of(19, LARGE)).await;
        let _ = client.delete("beta", "x/y").await;
        let _ = client.delete("beta", "z").await;
        let _ = client.delete_bucket("beta", &[]).await;
        let _ = client.delete("alpha", &over).await;
        let _ = client.delete("alpha", "small").await;
        let _ = client.put("alpha", "small/new", of(20, SMALL)).await;
        let _ = client.delete("alpha", "small/new").await;
        let _ = client.delete("alpha", "small/below").await;
        let _ = client.delete("alpha", "folder/").await;
    }
    let _ = client.set_quotas("alpha", &["small"]).await;
    versions_one_by_one(client).await;
    events_one_by_one(client).await;
    super::sealed::one_by_one(client).await;
    super::replicas::one_by_one(client).await;
    if let Ok(mut upload) = client.begin("alpha", "left/open").await {
        let _ = client.part(&mut upload, 1, body(50, 9000)).await;
        let _ = client.part(&mut upload, 5, body(51, 400)).await;
    }
}

/// Versions: kept, hidden, removed from both ends and the middle, brought back, and null versions before, between and after.
async fn versions_one_by_one(client: &Client<'_>) {
    let _ = client.create_bucket("kept").await;
    let _ = client.set_versioning("kept", Versioning::Enabled).await;
    let mut file = History::of("kept", "dir/file");
    let mut odd = History::of("kept", "odd//");
    for round in 0..2 {
        let of = |seed: usize, size: usize| body(round * 100 + seed + 60, size);
        let _ = client.put_version(&mut file, of(1, SMALL)).await;
        let _ = client.put_version(&mut file, of(2, LARGE)).await;
        let _ = client.put_version(&mut file, of(3, LARGE + 5)).await;
        let _ = client.delete_version(&mut file, 0).await;
        let _ = client.mark_deleted(&mut file).await;
        let _ = client.mark_deleted(&mut file).await;
        let _ = client.delete_version(&mut file, 0).await;
        let _ = client.delete_version(&mut file, 0).await;
        if round == 0 {
            checkpoint(client.storage);
            let _ = client.put_version(&mut odd, of(11, SMALL)).await;
            let _ = client.set_lifecycle("kept").await;
            let _ = client.set_quotas("kept", &["dir/"]).await;
        }
        let _ = client.count().await;
        let _ = client.put_version(&mut odd, of(4, SMALL)).await;
        let _ = client.expire_oldest(&mut odd).await;
        let _ = client.put_version(&mut odd, of(5, SMALL)).await;
        let _ = client.set_versioning("kept", Versioning::Suspended).await;
        let _ = client.put_version(&mut file, of(6, SMALL)).await;
        let _ = client.put_version(&mut file, of(7, SMALL + 9)).await;
        let _ = client.mark_deleted(&mut odd).await;
        let _ = client.put_version(&mut odd, of(8, 0)).await;
        let _ = client.mark_deleted(&mut file).await;
        let _ = client.set_versioning("kept", Versioning::Enabled).await;
        let _ = client.put_version(&mut file, of(9, SMALL)).await;
        let _ = client.delete_version(&mut file, 1).await;
        let _ = client.expire_oldest(&mut file).await;
        let _ = client.delete_version(&mut odd, 0).await;
        let _ = client.put_version(&mut file, of(10, LARGE)).await;
        let _ = client.delete_version(&mut file, 0).await;
        let _ = client.delete_version(&mut file, 0).await;
    }
    while !odd.is_unsure && !odd.versions.is_empty() {
        if client.delete_version(&mut odd, 0).await.is_err() {
            break;
        }
    }
}

/// Events: of every change there is one until it is settled.
async fn events_one_by_one(client: &Client<'_>) {
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

/// Several clients at once, each with keys of its own, so that batches hold many requests.
pub async fn together(client: &Client<'_>, seed: u64) {
    let _ = client.create_bucket("shared").await;
    let _ = client.create_bucket("versions").await;
    let _ = client.set_versioning("versions", Versioning::Enabled).await;
    let _ = client.set_lifecycle("versions").await;
    let _ = client.set_lifecycle("shared").await;
    let _ = client.create_telling_bucket("telling").await;
    let _ = client.set_quotas("versions", &["of/"]).await;
    let _ = client.set_quotas("shared", &["dir0/", "parts/"]).await;
    let _ = client.create_bucket("sealed").await;
    let _ = client.create_bucket("sealed-versions").await;
    let _ = client.set_versioning("sealed-versions", Versioning::Enabled).await;
    let clients = (0..6).map(|number| async move {
        let mut choices = Choices(seed.wrapping_add(number));
        let mut history = History::of("versions", &format!("of/{number}"));
        let mut told = Told::of("telling", &format!("of/{number}"));
        for step in 0..14 {
            let bytes = body(choices.below(1000), [0, SMALL, SMALL, LARGE][choices.below(4)]);
            let _ = match choices.below(4) {
                0 => client.mark_deleted(&mut history).await,
                1 => client.delete_version(&mut history, choices.below(4)).await,
                _ => client.put_version(&mut history, bytes).await,
            };
            let bytes = body(choices.below(1000), [0, SMALL, LARGE][choices.below(3)]);
            let _ = match choices.below(6) {
                0 => client.delete_telling(&mut told).await,
                1 => client.settle(&mut told).await,
                2 => client.tag_telling(&mut told).await,
                _ => client.put_telling(&mut told, bytes).await,
            };
            if number == 0 {
                let _ = client.count().await;
            }
            super::sealed::one_of_many(client, &mut choices, number, step).await;
            let name = format!("dir{}/{number}-{}", choices.below(2), choices.below(3));
            let bytes = body(choices.below(1000), [0, SMALL, SMALL, 5000, LARGE][choices.below(5)]);
            match choices.below(8) {
                0 | 1 => drop(client.delete("shared", &name).await),
                2 => {
                    let name = format!("parts/{number}-{step}");
                    if let Ok(mut upload) = client.begin("shared", &name).await {
                        let _ = client.part(&mut upload, 1, bytes.clone()).await;
                        let _ = client.part(&mut upload, 2, bytes).await;
                        let _ = match choices.below(3) {
                            0 => client.abort(upload).await,
                            _ => client.complete(upload).await,
                        };
                    }
                }
                _ => drop(client.put("shared", &name, bytes).await),
            }
        }
    });
    futures_util::future::join_all(clients).await;
}
