//! A backup is one moment, whatever happens to the files between it and the copy.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::fixtures::*;
use crate::bucket_config::BucketConfig;
use crate::names::BucketName;
use crate::storage::*;

fn settle(client: &StorageClient) {
    let progress = &client.shared().progress;
    progress.wait_followed(progress.position().sequence).unwrap();
}

async fn versioned(client: &StorageClient, name: &str) -> Arc<Bucket> {
    let name = BucketName::parse(name).unwrap();
    let made = CreateBucket { name: name.clone(), owner: owner(), config: BucketConfig::default() };
    let bucket = client.create_bucket(made).await.unwrap();
    let change = BucketChange::Versioning(Versioning::Enabled);
    client.configure_bucket(ConfigureBucket { bucket, change }).await.unwrap();
    client.bucket(&name).unwrap()
}

fn restored(from: &Path) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let told = restore(&settings(root.path()), from, &BackupProgress::default()).unwrap();
    assert_eq!((told.missing, told.damaged), (0, 0), "{told:?}");
    let refused = StorageClient::start(&settings(root.path()), Arc::new(crate::clock::SystemClock));
    assert!(refused.is_err_and(|error| error.to_string().contains("did not end")), "before its end");
    finish_restore(root.path()).unwrap();
    root
}

struct Only(&'static [Difference]);

impl CheckObserver for Only {
    fn found(&mut self, finding: &Finding) {
        assert!(self.0.contains(&finding.difference), "{finding:?}");
    }
    fn progress(&mut self, _: CheckProgress) {}
}

fn check(root: &Path, expected: &'static [Difference]) {
    let options = CheckOptions { mend: Mend::Safely, data: true, bucket: None };
    unlocked(|| fsck(&settings(root), Arc::new(crate::clock::SystemClock), &options, &mut Only(expected)));
}

#[actix::test]
async fn what_is_gone_since_the_moment_is_in_the_backup() {
    let node = node();
    let (plain, versions) = (bucket(&node.client, "plain").await, versioned(&node.client, "versions").await);
    for (name, size) in [("small", 10), ("large", 300_000), ("d/deleted", 20_000), ("no//path", 50_000), ("turns/", 0)]
    {
        put(&node.client, &plain, name, body(1, size)).await;
    }
    for seed in 1..4 {
        put(&node.client, &versions, "v", body(seed, 100_000)).await;
    }
    let upload = begin(&node.client, &plain, "parts").await;
    let parts = vec![part(&node.client, &plain, &upload, 1, body(1, 60_000)).await];
    node.client.complete_upload(completion(&plain, &upload, parts)).await.unwrap();
    begin(&node.client, &plain, "open").await;
    let mut snapshot = node.client.snapshot().unwrap();
    assert!(matches!(node.client.snapshot(), Err(StorageError::Busy)), "one at a time");
    let listed = list(&node.client, &plain).await;

    // Everything is overwritten, deleted or moved before a file is copied.
    for (name, size) in [("small", 11), ("large", 300_001), ("no//path", 50_001), ("parts", 5)] {
        for turn in 0..3 {
            put(&node.client, &plain, name, body(7 + turn, size)).await;
        }
    }
    delete(&node.client, &plain, "d/deleted").await;
    put(&node.client, &versions, "v", body(9, 100_000)).await;
    delete(&node.client, &versions, "v").await;
    settle(&node.client);
    let shelf = tempfile::tempdir().unwrap();
    let first = shelf.path().join("first");
    std::fs::create_dir(&first).unwrap();
    let progress = BackupProgress::default();
    let exported = snapshot.export(&first, None, &progress).unwrap();
    assert_eq!((exported.files, exported.missing, exported.damaged), (8, 0, 0), "{exported:?}");
    assert_eq!(progress.objects.load(Ordering::Relaxed), 8);
    drop(snapshot);
    assert!(!node.root.path().join(".myfsio.sys/held").exists());

    // The next one shares what is still there.
    let second = shelf.path().join("second");
    std::fs::create_dir(&second).unwrap();
    let exported = node.client.snapshot().unwrap().export(&second, Some(&first), &progress).unwrap();
    assert_eq!((exported.files, exported.missing), (8, 0));
    assert!(exported.shared_files >= 4, "all versions; more where files can be cloned: {exported:?}");

    let root = restored(&first);
    assert_eq!(Format::of(root.path()).unwrap(), Some(Format::current()), "before a node was there");
    check(root.path(), &[Difference::WrongCounters, Difference::OrphanRow]);
    check(root.path(), &[]);
    let reopened = open(root.path());
    assert_eq!(list(&reopened, &plain).await, listed);
    for (name, size) in
        [("small", 10), ("large", 300_000), ("d/deleted", 20_000), ("no//path", 50_000), ("parts", 60_000)]
    {
        assert_eq!(get(&reopened, &plain, name).await.unwrap(), body(1, size), "{name}");
    }
    assert_eq!(get(&reopened, &versions, "v").await.unwrap(), body(3, 100_000));
    put(&reopened, &plain, "small", body(5, 10)).await;
    close(reopened).await;
    check(root.path(), &[]);
}

/// A version that is current again is a person's to edit, as any object is: whatever they do to its file, the backup keeps what it has.
#[actix::test]
async fn no_file_that_people_may_come_to_edit_is_shared_with_a_backup() {
    let node = node();
    let bucket = versioned(&node.client, "edited").await;
    put(&node.client, &bucket, "k", body(1, 100_000)).await;
    put(&node.client, &bucket, "odd//key", body(1, 100_000)).await;
    let second = put(&node.client, &bucket, "k", body(2, 100_000)).await;
    put(&node.client, &bucket, "odd//key", body(2, 100_000)).await;
    settle(&node.client);
    let shelf = tempfile::tempdir().unwrap();
    let exported = node.client.snapshot().unwrap().export(shelf.path(), None, &BackupProgress::default()).unwrap();
    assert!(exported.files == 4 && exported.shared_files >= 2, "who cannot be reached is shared: {exported:?}");
    let removed = DeleteObject {
        bucket: Arc::clone(&bucket),
        key: key("k"),
        version: Some(second.object.version_id),
        owner: owner(),
        bypass_governance: false,
        conditions: WriteConditions::default(),
        replica: None,
    };
    node.client.delete_object(removed).await.unwrap();
    settle(&node.client);
    let path = node.root.path().join("edited/k");
    assert_eq!(std::fs::read(&path).unwrap(), body(1, 100_000));
    std::fs::write(&path, "edited in place").unwrap();
    let root = restored(shelf.path());
    let reopened = open(root.path());
    let bucket = reopened.bucket(&bucket.name).unwrap();
    assert_eq!(get(&reopened, &bucket, "k").await.unwrap(), body(2, 100_000));
    close(reopened).await;
    check(root.path(), &[Difference::WrongCounters, Difference::OrphanRow]);
}

#[actix::test]
async fn a_backup_that_is_ended_lets_go() {
    let node = node();
    let bucket = bucket(&node.client, "ended").await;
    put(&node.client, &bucket, "k", body(1, 100_000)).await;
    let mut snapshot = node.client.snapshot().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let progress = BackupProgress::default();
    progress.is_cancelled.store(true, Ordering::Relaxed);
    assert!(matches!(snapshot.export(folder.path(), None, &progress), Err(BackupError::Cancelled)));
    drop(snapshot);
    delete(&node.client, &bucket, "k").await;
    settle(&node.client);
    assert!(!node.root.path().join(".myfsio.sys/held").exists(), "nothing is held any more");
    let refused = restore(&settings(node.root.path()), folder.path(), &BackupProgress::default());
    assert!(matches!(refused, Err(BackupError::Unreadable(_))), "a directory that is in use");
}

#[actix::test]
async fn an_edit_that_nobody_saw_is_restored_as_one() {
    let node = node();
    let bucket = bucket(&node.client, "edited").await;
    put(&node.client, &bucket, "k", body(1, 1000)).await;
    settle(&node.client);
    std::fs::write(node.root.path().join("edited/k"), b"by hand").unwrap();
    let shelf = tempfile::tempdir().unwrap();
    let exported = node.client.snapshot().unwrap().export(shelf.path(), None, &BackupProgress::default()).unwrap();
    assert_eq!(exported.damaged, 1);
    let root = tempfile::tempdir().unwrap();
    assert_eq!(restore(&settings(root.path()), shelf.path(), &BackupProgress::default()).unwrap().damaged, 1);
    finish_restore(root.path()).unwrap();
    let reopened = open(root.path());
    assert_eq!(get(&reopened, &bucket, "k").await.unwrap(), b"by hand");
}
