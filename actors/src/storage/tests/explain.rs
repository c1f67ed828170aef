//! What is told of one object: how it is encrypted, where its segments lie, and whether its file is its own.

use std::fs;

use super::envelopes;
use super::fixtures::*;
use crate::storage::*;

fn asked(name: &str, data: bool) -> ExplainObject {
    ExplainObject { key: key(name), version: None, data }
}

async fn state(node: &Node, bucket: &std::sync::Arc<Bucket>, name: &str, data: bool) -> FileState {
    node.client.explain_object(bucket, asked(name, data)).await.unwrap().file.state
}

#[actix::test]
async fn objects_are_told_as_they_lie_on_the_disk() {
    let node = node();
    let bucket = bucket(&node.client, "told").await;
    let envelope = envelopes::kms("k1", &bucket, "parts");
    let upload = begin_with(&node.client, &bucket, "parts", Some(&envelope)).await;
    let mut parts = Vec::new();
    for (number, size) in [(2, 70_000), (9, 5)] {
        parts.push(part(&node.client, &bucket, &upload, number, body(1, size)).await);
    }
    node.client.complete_upload(completion(&bucket, &upload, parts)).await.unwrap();
    put(&node.client, &bucket, "plain", body(1, 10)).await;
    put(&node.client, &bucket, "folder/", body(1, 0)).await;
    put(&node.client, &bucket, "odd//", body(1, 10)).await;
    let progress = &node.client.shared().progress;
    progress.wait_followed(progress.position().sequence).unwrap();

    let told = node.client.explain_object(&bucket, asked("parts", true)).await.unwrap();
    assert_eq!((told.size, told.stored_size, told.parts), (70_005, 70_005 + 2 * 56 + 3 * 16, Some(2)));
    assert_eq!((told.location, told.path.as_deref()), (StoredLocation::Plain, Some("told/parts")));
    assert_eq!((told.file.state, told.file.read, told.is_current), (FileState::Agrees, true, true));
    let encryption = told.encryption.unwrap();
    assert_eq!((encryption.algorithm, encryption.method), ("AES-256-GCM", "SSE-KMS"));
    assert_eq!((encryption.key_id.as_deref(), encryption.key_version), (Some("k1"), Some(1)));
    let segments: Vec<_> = encryption.segments.iter().map(|s| (s.part, s.size, s.offset, s.stored_size)).collect();
    assert_eq!(segments, [(Some(2), 70_000, 0, 70_088), (Some(9), 5, 70_088, 77)]);
    assert_eq!(told.checksums.iter().map(|c| c.of).collect::<Vec<_>>(), ["content", "stored-bytes"]);
    let plain = node.client.explain_object(&bucket, asked("plain", true)).await.unwrap();
    assert_eq!((plain.encryption, plain.file.state), (None, FileState::Agrees));
    assert_eq!(state(&node, &bucket, "folder/", false).await, FileState::Folder);
    let odd = node.client.explain_object(&bucket, asked("odd//", true)).await.unwrap();
    assert_eq!((odd.location, odd.file.state), (StoredLocation::Overflow, FileState::Agrees));
    let missing = node.client.explain_object(&bucket, asked("none", false)).await;
    assert!(matches!(missing, Err(StorageError::NoSuchKey { .. })));

    // Its tag, a head, a byte, its time, and then the file itself.
    let path = node.root.path().join("told/parts");
    let (good, time) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
    let write = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    };
    rustix::fs::fremovexattr(fs::File::open(&path).unwrap(), "user.myfsio").unwrap();
    assert_eq!(state(&node, &bucket, "parts", false).await, FileState::Untagged);
    let mut bent = good.clone();
    bent[70_088 + 12] ^= 1;
    write(&bent);
    assert_eq!(state(&node, &bucket, "parts", false).await, FileState::Damaged);
    let mut bent = good.clone();
    bent[100] ^= 1;
    write(&bent);
    assert_eq!(state(&node, &bucket, "parts", false).await, FileState::Untagged, "a look at sizes does not see it");
    assert_eq!(state(&node, &bucket, "parts", true).await, FileState::Damaged);
    fs::write(&path, &good).unwrap();
    assert_eq!(state(&node, &bucket, "parts", false).await, FileState::Changed);
    fs::remove_file(&path).unwrap();
    assert_eq!(state(&node, &bucket, "parts", false).await, FileState::Missing);
    let stopped = stop(node).await;
    let told = unlocked(|| explain(&settings(stopped.path()), &bucket.name, &asked("plain", true)));
    assert_eq!((told.size, told.file.state), (10, FileState::Agrees));
}
