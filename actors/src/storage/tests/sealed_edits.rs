//! Files of encrypted objects that somebody edits, touches or puts there while the node runs, and those of versions and of what is
//! locked: none of them is ever taken for the object.

use std::fs;
use std::io::Write as _;
use std::sync::Arc;

use super::envelopes;
use super::fixtures::*;
use crate::bucket_config::{ConfigChange, ObjectLock, Retention, RetentionMode};
use crate::encryption::Encryption;
use crate::names::{Stamp, VersionId};
use crate::storage::*;

fn settle(node: &Node) {
    let progress = &node.client.shared().progress;
    progress.wait_followed(progress.position().sequence).unwrap();
}

async fn put_sealed(node: &Node, bucket: &Arc<Bucket>, name: &str, bytes: bytes::Bytes) -> Stored {
    let envelope = envelopes::managed("m", bucket, name);
    put_with(&node.client, bucket, name, bytes, WriteConditions::default(), Some(&envelope)).await.unwrap()
}

#[actix::test]
async fn an_edited_file_is_not_served_until_its_bytes_are_back() {
    let node = node();
    let bucket = bucket(&node.client, "edited").await;
    for (name, size) in [("small", 100), ("d/large", 300_000)] {
        let stored = put_sealed(&node, &bucket, name, body(1, size)).await;
        settle(&node);
        let path = node.root.path().join("edited").join(name);
        let good = fs::read(&path).unwrap();
        fs::File::options().append(true).open(&path).unwrap().write_all(b"and more").unwrap();
        for _ in 0..3 {
            let refused = node.client.object(&bucket, &key(name), None).await;
            let Err(StorageError::Quarantined { reason, .. }) = refused else { panic!("{refused:?}") };
            assert!(reason.contains("encrypted"));
            assert!(matches!(get(&node.client, &bucket, name).await, Err(StorageError::Quarantined { .. })));
        }
        let adopted = node.client.adopt_files(&bucket).await.unwrap();
        assert_eq!((adopted.changed, adopted.adopted), (0, 0), "{adopted:?}");
        assert!(adopted.skipped >= 1);
        assert_eq!(fs::read(&path).unwrap().len(), good.len() + 8, "it is left where it is");
        // The right bytes, put back by whoever has them.
        fs::write(&path, &good).unwrap();
        assert_eq!(get(&node.client, &bucket, name).await.unwrap(), body(1, size));
        assert_eq!(node.client.object(&bucket, &key(name), None).await.unwrap(), stored.object);
        settle(&node);
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(Stamp::from_system_time(time), stored.object.stamp);
        // Edited again, and written again: the object is the new one.
        fs::write(&path, b"x").unwrap();
        assert!(get(&node.client, &bucket, name).await.is_err());
        put_sealed(&node, &bucket, name, body(2, size)).await;
        assert_eq!(get(&node.client, &bucket, name).await.unwrap(), body(2, size));
    }
}

#[actix::test]
async fn only_the_object_that_is_meant_is_changed() {
    let node = node();
    let bucket = bucket(&node.client, "meant").await;
    let first = put_sealed(&node, &bucket, "a", body(1, 100)).await.object;
    let change = |of: &Object, change| {
        let message = ChangeObject {
            bucket: Arc::clone(&bucket),
            key: key("a"),
            version: Some(VersionId::Null),
            of: Some(of.stamp),
            change,
            replica: None,
        };
        node.client.change_object(message)
    };
    let tags = || ObjectChange::Tags(vec![("a".to_owned(), "b".to_owned())]);
    assert_eq!(change(&first, tags()).await.unwrap().attributes.tags.len(), 1);
    let second = put_sealed(&node, &bucket, "a", body(2, 100)).await.object;
    let refused = change(&first, tags()).await;
    assert!(matches!(refused, Err(StorageError::Overtaken { .. })), "{refused:?}");
    assert_eq!(node.client.object(&bucket, &key("a"), None).await.unwrap().attributes.tags, []);
    // A key that was replaced meanwhile.
    let from = second.encryption().unwrap().clone();
    let to = envelopes::rewrapped(&from, &bucket, "a", "m2");
    let moves = |from: &Encryption| ObjectChange::MoveToKey { from: from.clone(), to: to.clone() };
    assert_eq!(change(&second, moves(&from)).await.unwrap().encryption(), Some(&to));
    let refused = change(&second, moves(&from)).await;
    assert!(matches!(refused, Err(StorageError::Overtaken { .. })), "{refused:?}");
}

#[actix::test]
async fn what_is_locked_moves_to_another_key_by_the_node_only() {
    let node = node();
    let mut there = bucket(&node.client, "held").await;
    let stored = put_sealed(&node, &there, "a", body(1, 100)).await.object;
    let lock = BucketChange::Config(ConfigChange::ObjectLock(ObjectLock { default: None }));
    for change in [BucketChange::Versioning(Versioning::Enabled), lock] {
        there = node.client.configure_bucket(ConfigureBucket { bucket: there, change }).await.unwrap().after;
    }
    let change = |change| {
        let bucket = Arc::clone(&there);
        node.client.change_object(ChangeObject {
            bucket,
            key: key("a"),
            version: None,
            of: None,
            change,
            replica: None,
        })
    };
    change(ObjectChange::LegalHold(true)).await.unwrap();
    let from = stored.encryption().unwrap().clone();
    let to = envelopes::rewrapped(&from, &there, "a", "m2");
    let refused = change(ObjectChange::MoveToKey { from: from.clone(), to: to.clone() }).await;
    assert!(matches!(refused, Err(StorageError::ObjectLocked { .. })), "{refused:?}");
    assert_eq!(change(ObjectChange::Rewrap { from, to: to.clone() }).await.unwrap().encryption(), Some(&to));
}

#[actix::test]
async fn a_stranger_that_is_encrypted_is_not_adopted() {
    let node = node();
    let bucket = bucket(&node.client, "strange").await;
    put_sealed(&node, &bucket, "a", body(1, 5000)).await;
    put(&node.client, &bucket, "plain", body(1, 10)).await;
    settle(&node);
    let folder = node.root.path().join("strange");
    let bytes = fs::read(folder.join("a")).unwrap();
    fs::write(folder.join("b"), &bytes).unwrap();
    fs::write(folder.join("plain"), &bytes).unwrap();
    let adopted = node.client.adopt_files(&bucket).await.unwrap();
    assert_eq!((adopted.adopted, adopted.changed, adopted.skipped), (0, 0, 2), "{adopted:?}");
    assert_eq!(list(&node.client, &bucket).await, ["a", "plain"]);
    assert!(matches!(get(&node.client, &bucket, "plain").await, Err(StorageError::Quarantined { .. })));
    assert!(folder.join("b").exists());
}

#[actix::test]
async fn versions_and_what_is_locked_keep_their_bytes() {
    let node = node();
    let there = bucket(&node.client, "kept").await;
    put(&node.client, &there, "locked", body(1, 100)).await;
    let mut there = there;
    for change in [
        BucketChange::Versioning(Versioning::Enabled),
        BucketChange::Config(ConfigChange::ObjectLock(ObjectLock { default: None })),
    ] {
        there = node.client.configure_bucket(ConfigureBucket { bucket: there, change }).await.unwrap().after;
    }
    let retention = Some(Retention { mode: RetentionMode::Governance, until_millis: u64::MAX / 2_000_000 });
    let change = ObjectChange::Retention { retention, bypass_governance: false };
    let message =
        ChangeObject { bucket: Arc::clone(&there), key: key("locked"), version: None, of: None, change, replica: None };
    node.client.change_object(message).await.unwrap();
    put(&node.client, &there, "version", body(2, 100)).await;
    settle(&node);
    for (name, why) in [("locked", "locked"), ("version", "version")] {
        let path = node.root.path().join("kept").join(name);
        let good = fs::read(&path).unwrap();
        fs::write(&path, b"other").unwrap();
        let refused = get(&node.client, &there, name).await;
        let Err(StorageError::Quarantined { reason, .. }) = refused else { panic!("{refused:?}") };
        assert!(reason.contains(why), "{reason}");
        fs::write(&path, &good).unwrap();
        assert_eq!(get(&node.client, &there, name).await.unwrap(), good);
    }
}
