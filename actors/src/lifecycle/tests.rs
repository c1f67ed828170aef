//! The worker: it removes what is due, when it is due, and goes on after a restart.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::bucket_config::{BucketConfig, ConfigChange, Day, Expiration, Lifecycle, LifecycleRule};
use crate::clock::{ManualClock, SystemClock};
use crate::lifecycle::LifecycleClient;
use crate::names::{BucketName, CanonicalId, ObjectKey, Stamp};
use crate::storage::*;

const DAY: Duration = Duration::from_secs(86_400);

fn settings(root: &Path) -> StorageSettings {
    StorageSettings {
        root: root.to_owned(),
        strict: false,
        journal_segment_bytes: 4 << 20,
        inline_body_bytes: 16 << 10,
        index_cache_bytes: 1 << 20,
        ballast_bytes: 0,
    }
}

fn owner() -> CanonicalId {
    CanonicalId::from_bytes([7; 32])
}

async fn put(storage: &StorageClient, bucket: &Arc<Bucket>, name: &str) {
    let (key, owner) = (ObjectKey::parse(name.as_bytes()).unwrap(), owner());
    let begin = BeginBody { bucket, key: &key, owner: &owner, size: Some(5) };
    let mut writer = storage.begin_body(begin, DigestPlan::default(), None).unwrap();
    writer.write(bytes::Bytes::from_static(b"hello")).await.unwrap();
    let message = PutObject {
        bucket: Arc::clone(bucket),
        key,
        owner,
        attributes: Attributes::default(),
        controls: Controls::default(),
        body: writer.finish().await.unwrap(),
        checksum: None,
        conditions: WriteConditions::default(),
        replica: None,
    };
    storage.put_object(message).await.unwrap();
}

async fn expire_after(storage: &StorageClient, bucket: &Arc<Bucket>, days: u32) -> Arc<Bucket> {
    let rule = LifecycleRule {
        id: "all".to_owned(),
        enabled: true,
        expiration: Some(Expiration::Days(days)),
        ..LifecycleRule::default()
    };
    let lifecycle = Lifecycle { rules: vec![rule], ..Lifecycle::default() };
    let change = BucketChange::Config(ConfigChange::Lifecycle(Some(lifecycle)));
    storage.configure_bucket(ConfigureBucket { bucket: Arc::clone(bucket), change }).await.unwrap().after
}

async fn bucket(storage: &StorageClient) -> Arc<Bucket> {
    let name = BucketName::parse("aging").unwrap();
    storage.create_bucket(CreateBucket { name, owner: owner(), config: BucketConfig::default() }).await.unwrap()
}

fn arbiter() -> actix::ArbiterHandle {
    actix::Arbiter::current()
}

async fn stop(storage: StorageClient, worker: LifecycleClient) {
    worker.stop().await.unwrap();
    storage.stop().await.unwrap();
}

fn open(root: &Path, clock: &Arc<ManualClock>) -> StorageClient {
    loop {
        // The last thread of the node before may hold the directory for an instant.
        match StorageClient::start(&settings(root), Arc::clone(clock) as _) {
            Ok(storage) => return storage,
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

#[actix::test]
async fn what_is_due_goes_whatever_was_there_before() {
    let root = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(Stamp(20_000 * 86_400_000_000_000 + 5)));
    let storage = open(root.path(), &clock);
    let worker = LifecycleClient::start(storage.clone(), Arc::clone(&clock) as _, Day::default(), &arbiter());
    let there = bucket(&storage).await;
    for number in 0..250 {
        put(&storage, &there, &format!("old/{number}")).await;
    }
    clock.advance(2 * DAY);
    put(&storage, &there, "new").await;
    assert!(!worker.report(&there).unwrap().is_complete);
    let there = expire_after(&storage, &there, 3).await;
    worker.look_through().await.unwrap();
    let report = worker.report(&there).unwrap();
    assert!(report.is_complete && report.looked_at.is_some() && report.runs.is_empty());
    assert_eq!(storage.usage(&there).objects, 251);
    let preview = worker.preview(&there, there.config.lifecycle.clone().unwrap()).await.unwrap();
    assert_eq!((preview.now.objects, preview.later.objects, preview.later.bytes), (0, 251, 251 * 5));
    clock.advance(2 * DAY);
    worker.look_through().await.unwrap();
    assert_eq!(storage.usage(&there).objects, 1);
    let runs = worker.report(&there).unwrap().runs;
    assert_eq!((runs.len(), runs[0].objects, runs[0].bytes, runs[0].failed), (1, 250, 1250, 0));
    // A look that finds nothing is not worth telling.
    worker.look_through().await.unwrap();
    assert_eq!(worker.report(&there).unwrap().runs, runs);
    stop(storage, worker).await;
    // After a restart it looks by itself; reports are there.
    let storage = open(root.path(), &clock);
    clock.advance(5 * DAY);
    let worker = LifecycleClient::start(storage.clone(), Arc::clone(&clock) as _, Day::default(), &arbiter());
    worker.look_through().await.unwrap();
    let there = storage.bucket(&there.name).unwrap();
    assert_eq!(storage.usage(&there).objects, 0);
    let after = worker.report(&there).unwrap().runs;
    assert_eq!((after.len(), after[0].objects, &after[1]), (2, 1, &runs[0]));
    stop(storage, worker).await;
}

#[actix::test]
async fn it_wakes_by_itself_at_midnight() {
    let root = tempfile::tempdir().unwrap();
    let storage = StorageClient::start(&settings(root.path()), Arc::new(SystemClock)).unwrap();
    let worker = LifecycleClient::start(storage.clone(), Arc::new(SystemClock), Day::of_seconds(1), &arbiter());
    let there = bucket(&storage).await;
    let there = expire_after(&storage, &there, 1).await;
    put(&storage, &there, "short-lived").await;
    worker.look().await.unwrap();
    for _ in 0..100 {
        if storage.usage(&there).objects == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(storage.usage(&there).objects, 0);
    stop(storage, worker).await;
}
