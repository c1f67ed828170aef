//! Jobs on a node with its KMS: what is chosen is wrapped anew, what is not stays, and a restart goes on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::*;
use crate::audit::{AuditLog, ChangeOrigin};
use crate::bucket_config::{BucketConfig, BucketEncryption, ConfigChange, DefaultEncryption};
use crate::clock::{SharedClock, SystemClock};
use crate::encryption::{CustomerKey, EncryptionContext, Envelope, Method, ObjectName, WrappingKey};
use crate::iam::{IamClient, IamSettings};
use crate::kms::{CreateKey, KmsClient, KmsSettings};
use crate::names::{BucketName, CanonicalId, ObjectKey, PartNumber, VersionId};
use crate::seal::{Sealer, SecretKey};
use crate::storage::*;

struct Node {
    storage: StorageClient,
    kms: KmsClient,
    jobs: ReencryptionClient,
}

fn owner() -> CanonicalId {
    CanonicalId::from_bytes([7; 32])
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text.as_bytes()).unwrap()
}

async fn start(root: &Path) -> Node {
    let settings = StorageSettings {
        root: root.join("data"),
        strict: false,
        journal_segment_bytes: 4 << 20,
        inline_body_bytes: 16 << 10,
        index_cache_bytes: 1 << 20,
        ballast_bytes: 0,
    };
    let clock: SharedClock = Arc::new(SystemClock);
    let storage = loop {
        // The last thread of the node before may hold the directory for an instant.
        match StorageClient::start(&settings, Arc::clone(&clock)) {
            Ok(storage) => break storage,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let settings = KmsSettings {
        keys_path: root.join("kms_keys.json"),
        master_key_path: root.join("master.key"),
        master_key: None,
        previous_master_keys: Vec::new(),
        encryption_enabled: true,
        kms_enabled: true,
        region: "us-east-1".to_owned(),
        in_use: Vec::new(),
        audit: AuditLog::nowhere(),
    };
    let arbiter = actix::Arbiter::current();
    let kms = KmsClient::start(settings, Arc::clone(&clock), &arbiter);
    let settings = IamSettings {
        path: root.join("iam.json"),
        host_is_loopback: true,
        admin_access_key: None,
        admin_secret_key: None,
        sealer: Sealer::new(&SecretKey::new("some-secret-of-this-test"), &[]).unwrap(),
        audit: AuditLog::nowhere(),
        login_failures_max: 0,
    };
    let iam = IamClient::start(settings, Arc::clone(&clock), &arbiter).unwrap().client;
    let jobs = ReencryptionClient::start(storage.clone(), kms.clone(), iam, clock, &arbiter);
    Node { storage, kms, jobs }
}

async fn stop(node: Node) {
    node.jobs.stop().await.unwrap();
    node.storage.stop().await.unwrap();
}

impl Node {
    async fn bucket(&self, name: &str) -> Arc<Bucket> {
        let name = BucketName::parse(name).unwrap();
        self.storage
            .create_bucket(CreateBucket { name, owner: owner(), config: BucketConfig::default() })
            .await
            .unwrap()
    }

    async fn new_key(&self) -> String {
        let key = CreateKey {
            alias: None,
            description: String::new(),
            tags: Vec::new(),
            policy: None,
            account: "111122223333".to_owned(),
            creator: None,
        };
        self.kms.create_key(by(), key).await.unwrap().id.clone()
    }

    fn sealed_under(&self, key_id: &str, bucket: &Bucket, name: &str) -> Envelope {
        let name = ObjectName { bucket: bucket.name.as_str(), key: name };
        let context: EncryptionContext = [("tenant", "x")].into_iter().collect();
        self.kms.seal_with_key(key_id, context, false, &name).unwrap()
    }

    async fn put(&self, bucket: &Arc<Bucket>, name: &str, bytes: &Bytes, envelope: Option<&Envelope>) {
        let (to, owner_of) = (key(name), owner());
        let begin = BeginBody { bucket, key: &to, owner: &owner_of, size: Some(bytes.len() as u64) };
        let mut writer = self.storage.begin_body(begin, DigestPlan::default(), envelope).unwrap();
        writer.write(bytes.clone()).await.unwrap();
        let message = PutObject {
            bucket: Arc::clone(bucket),
            key: key(name),
            owner: owner(),
            attributes: Attributes { content_type: Some("text/x".to_owned()), ..Attributes::default() },
            controls: Controls::default(),
            body: writer.finish().await.unwrap(),
            checksum: None,
            conditions: WriteConditions::default(),
            replica: None,
        };
        self.storage.put_object(message).await.unwrap();
    }

    async fn get(&self, bucket: &Arc<Bucket>, name: &str, version: Option<VersionId>) -> (Arc<Object>, Vec<u8>) {
        let open = self.storage.open_object(bucket, &key(name), version).await.unwrap();
        let object = Arc::clone(&open.object);
        let named = ObjectName { bucket: bucket.name.as_str(), key: name };
        let data_key = object.encryption().map(|encryption| self.kms.open(encryption, &named, None).unwrap());
        let chunks: Vec<_> = open.read(0..object.size, data_key.as_ref()).unwrap().collect().await;
        (object, chunks.into_iter().flat_map(|chunk| chunk.unwrap().to_vec()).collect())
    }

    fn used(&self, key: WrappingKey) -> (u64, u64) {
        let used = self.storage.key_use(&key).unwrap();
        (used.objects, used.uploads)
    }

    async fn run(&self, order: JobOrder) -> Job {
        self.jobs.begin(order).await.unwrap();
        self.done().await
    }

    async fn done(&self) -> Job {
        for _ in 0..2000 {
            if let Some(job) = self.jobs.job().filter(|job| job.state != JobState::Running) {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{:?}", self.jobs.job());
    }
}

fn kms(id: &str) -> WrappingKey {
    WrappingKey::Kms(id.to_owned())
}

fn version_of(object: &Object) -> Option<u32> {
    match object.encryption().unwrap().method {
        Method::Kms { version, .. } => Some(version),
        _ => None,
    }
}

fn by() -> ChangeOrigin {
    ChangeOrigin { principal: "arn:aws:iam::111122223333:user/ann".to_owned(), ..ChangeOrigin::default() }
}

#[actix::test]
async fn after_a_rotation_everything_is_wrapped_under_the_newest_material() {
    let root = tempfile::tempdir().unwrap();
    let node = start(root.path()).await;
    let key_id = node.new_key().await;
    let there = node.bucket("things").await;
    let change = BucketChange::Versioning(Versioning::Enabled);
    let there = node.storage.configure_bucket(ConfigureBucket { bucket: there, change }).await.unwrap().after;
    let mut before = Vec::new();
    for number in 0..450 {
        let (name, bytes) = (format!("k{:03}", number / 2), Bytes::from(vec![number as u8; 100 + number]));
        node.put(&there, &name, &bytes, Some(&node.sealed_under(&key_id, &there, &name))).await;
        let (object, read) = node.get(&there, &name, None).await;
        assert_eq!(read, bytes);
        before.push((name, object, bytes));
    }
    let customer = CustomerKey::from_bytes(&[5; 32]).seal(&ObjectName { bucket: "things", key: "own" }).unwrap();
    node.put(&there, "own", &Bytes::from_static(b"customer"), Some(&customer)).await;
    node.put(&there, "plain", &Bytes::from_static(b"plain"), None).await;
    let envelope = node.sealed_under(&key_id, &there, "open");
    let message = CreateUpload {
        bucket: Arc::clone(&there),
        key: key("open"),
        owner: owner(),
        attributes: Attributes::default(),
        controls: Controls::default(),
        checksum: None,
        encryption: Some(envelope.encryption),
    };
    let upload = node.storage.create_upload(message).await.unwrap();
    assert_eq!(node.used(kms(&key_id)), (450, 1));

    let nothing = node.run(JobOrder::default()).await;
    assert_eq!((nothing.rewrapped, nothing.uploads, nothing.current, nothing.skipped), (0, 0, 451, 1));
    node.kms.rotate(by(), &key_id).await.unwrap();
    let job = node.run(JobOrder::default()).await;
    assert_eq!((job.state, job.rewrapped, job.uploads, job.skipped, job.failed), (JobState::Done, 450, 1, 1, 0));
    assert_eq!(job.looked_at, 453);
    for (name, object, bytes) in &before {
        let (now, read) = node.get(&there, name, Some(object.version_id)).await;
        assert_eq!(read, *bytes);
        assert_eq!((version_of(object), version_of(&now)), (Some(1), Some(2)));
        assert_eq!((now.stamp, &now.etag, &now.attributes), (object.stamp, &object.etag, &object.attributes));
    }
    let upload = node.storage.upload(&there, &key("open"), upload.id).unwrap();
    assert!(matches!(upload.encryption.as_ref().unwrap().method, Method::Kms { version: 2, .. }));
    assert_eq!(node.used(kms(&key_id)), (450, 1));

    // Under another key, some of them.
    let other = node.new_key().await;
    let order = JobOrder {
        prefix: Some("k00".to_owned()),
        key_id: Some(key_id.clone()),
        to_key_id: Some(other.clone()),
        ..JobOrder::default()
    };
    let job = node.run(order).await;
    assert_eq!((job.rewrapped, job.uploads), (20, 0));
    assert_eq!((node.used(kms(&key_id)), node.used(kms(&other))), ((430, 1), (20, 0)));
    let (object, read) = node.get(&there, "k009", None).await;
    assert_eq!(read, before[19].2);
    assert_eq!(object.encryption().unwrap().wrapping_key(), kms(&other));
    stop(node).await;
}

#[actix::test]
async fn written_anew_an_object_has_another_data_key_and_the_same_content() {
    let root = tempfile::tempdir().unwrap();
    let node = start(root.path()).await;
    let (there, other) = (node.bucket("things").await, node.bucket("others").await);
    let bytes = Bytes::from(vec![3; 300_000]);
    for bucket in [&there, &other] {
        let name = ObjectName { bucket: bucket.name.as_str(), key: "a" };
        node.put(bucket, "a", &bytes, Some(&node.kms.seal_managed(&name).unwrap())).await;
    }
    let (before, _) = node.get(&there, "a", None).await;
    // Assembled: afterwards it has one segment, as a copy would.
    let name = ObjectName { bucket: "things", key: "parts" };
    let envelope = node.kms.seal_managed(&name).unwrap();
    let message = CreateUpload {
        bucket: Arc::clone(&there),
        key: key("parts"),
        owner: owner(),
        attributes: Attributes::default(),
        controls: Controls::default(),
        checksum: None,
        encryption: Some(envelope.encryption),
    };
    let upload = node.storage.create_upload(message).await.unwrap();
    let mut parts = Vec::new();
    for number in 1..3 {
        let (bucket, upload) = (Arc::clone(&there), upload.id);
        let number = PartNumber::new(number).unwrap();
        let begin = BeginPart { bucket, key: key("parts"), upload, number, size: 70_000 };
        let mut writer = node.storage.begin_part(begin, DigestPlan::default(), Some(&envelope.key)).await.unwrap();
        writer.write(Bytes::from(vec![number.get() as u8; 70_000])).await.unwrap();
        let body = writer.finish().await.unwrap();
        let bucket = Arc::clone(&there);
        let message = PutPart { bucket, key: key("parts"), upload, number, body, checksum: None };
        let part = node.storage.put_part(message).await.unwrap();
        parts.push(CompletedPart { number, etag: part.etag, checksum: None });
    }
    let complete = CompleteUpload {
        bucket: Arc::clone(&there),
        key: key("parts"),
        upload: upload.id,
        parts,
        part_size_min: 1,
        expected_size: None,
        expected_checksum: None,
        conditions: WriteConditions::default(),
        replica: None,
        whole: None,
    };
    node.storage.complete_upload(complete).await.unwrap();
    let (_, assembled) = node.get(&there, "parts", None).await;

    let order = JobOrder { bucket: Some("things".to_owned()), rewrite: true, ..JobOrder::default() };
    let job = node.run(order).await;
    assert_eq!((job.rewritten, job.rewrapped, job.failed), (2, 0, 0), "{job:?}");
    let (after, read) = node.get(&there, "a", None).await;
    assert_eq!(read, bytes);
    assert_ne!(after.encryption().unwrap().wrapped_key, before.encryption().unwrap().wrapped_key);
    assert_eq!((after.etag, &after.attributes), (before.etag, &before.attributes));
    assert!(after.stamp > before.stamp);
    let (after, read) = node.get(&there, "parts", None).await;
    assert_eq!((after.etag.parts, read), (None, assembled));
    let master = after.encryption().unwrap().wrapping_key();
    assert_eq!(node.used(master), (3, 0));
    stop(node).await;
}

#[actix::test]
async fn what_is_not_encrypted_is_encrypted_as_its_bucket_is_configured() {
    let root = tempfile::tempdir().unwrap();
    let node = start(root.path()).await;
    let there = node.bucket("plain").await;
    for (name, size) in [("a", 5), ("b", 200_000), ("empty", 0)] {
        node.put(&there, name, &Bytes::from(vec![7; size]), None).await;
    }
    let order = JobOrder { convert: true, ..JobOrder::default() };
    let job = node.run(order.clone()).await;
    assert_eq!((job.rewritten, job.failed), (0, 0), "the bucket says nothing");
    let before = node.get(&there, "b", None).await.0;
    for default in [DefaultEncryption::Managed, DefaultEncryption::Kms { key: None }] {
        let encryption = Some(BucketEncryption { default: Some(default), ..BucketEncryption::default() });
        let change = BucketChange::Config(ConfigChange::Encryption(encryption));
        node.storage.configure_bucket(ConfigureBucket { bucket: Arc::clone(&there), change }).await.unwrap();
        let job = node.run(order.clone()).await;
        assert_eq!(job.failed, 0, "{job:?}");
    }
    let (object, bytes) = node.get(&there, "b", None).await;
    assert_eq!(bytes, vec![7; 200_000]);
    let managed = object.encryption().unwrap().wrapping_key();
    assert_eq!((managed.method(), node.used(managed.clone())), ("SSE-S3", (3, 0)), "once is enough");
    assert_eq!((object.etag, &object.attributes), (before.etag, &before.attributes));
    let order = JobOrder { convert: true, rewrite: true, ..JobOrder::default() };
    assert!(matches!(node.jobs.begin(order).await, Err(ReencryptionError::Unsound)));
    stop(node).await;
}

#[actix::test]
async fn what_fails_is_named_and_one_job_is_at_work_at_a_time() {
    let root = tempfile::tempdir().unwrap();
    let node = start(root.path()).await;
    let (key_id, good) = (node.new_key().await, node.new_key().await);
    let there = node.bucket("things").await;
    for name in ["a", "b"] {
        node.put(&there, name, &Bytes::from_static(b"x"), Some(&node.sealed_under(&key_id, &there, name))).await;
    }
    node.put(&there, "c", &Bytes::from_static(b"x"), Some(&node.sealed_under(&good, &there, "c"))).await;
    node.kms.rotate(by(), &good).await.unwrap();
    node.kms.disable(by(), &key_id).await.unwrap();
    let job = node.run(JobOrder::default()).await;
    assert_eq!((job.rewrapped, job.failed, job.errors.len()), (1, 2, 2), "{job:?}");
    assert!(job.errors[0].starts_with("things/a: ") && job.errors[0].contains("disabled"), "{:?}", job.errors);

    let of = |bucket: &str| JobOrder { bucket: Some(bucket.to_owned()), ..JobOrder::default() };
    assert!(matches!(node.jobs.begin(of("NO")).await, Err(ReencryptionError::InvalidBucketName(_))));
    let missing = node.jobs.begin(of("nowhere")).await;
    assert!(matches!(missing, Err(ReencryptionError::Storage(StorageError::NoSuchBucket { .. }))));
    let order = JobOrder { key_id: Some("alias/none".to_owned()), ..JobOrder::default() };
    assert!(matches!(node.jobs.begin(order).await, Err(ReencryptionError::Kms(_))));
    assert!(matches!(node.jobs.cancel().await, Err(ReencryptionError::NotRunning)));
    let (first, second) = tokio::join!(node.jobs.begin(of("things")), node.jobs.begin(of("things")));
    assert!(first.is_ok() && matches!(second, Err(ReencryptionError::Running)), "{second:?}");
    node.done().await;
    stop(node).await;
}

#[actix::test]
async fn a_job_goes_on_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let node = start(root.path()).await;
    let key_id = node.new_key().await;
    let there = node.bucket("things").await;
    for number in 0..700 {
        let name = format!("k{number:04}");
        node.put(&there, &name, &Bytes::from_static(b"x"), Some(&node.sealed_under(&key_id, &there, &name))).await;
    }
    node.kms.rotate(by(), &key_id).await.unwrap();
    node.jobs.begin(JobOrder::default()).await.unwrap();
    while node.jobs.job().unwrap().rewrapped == 0 {
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop(node).await;
    let node = start(root.path()).await;
    let job = node.done().await;
    assert_eq!((job.state, job.rewrapped + job.current, job.failed), (JobState::Done, 700, 0), "{job:?}");
    for number in [0, 350, 699] {
        let (object, _) = node.get(&there, &format!("k{number:04}"), None).await;
        assert_eq!(version_of(&object), Some(2));
    }
    stop(node).await;
}
