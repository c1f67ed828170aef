//! The index, made anew from the files.

use std::sync::Arc;

use super::super::fixtures::*;
use super::{Heard, expect, filled, rebuild, run};
use crate::clock::SystemClock;
use crate::names::CanonicalId;
use crate::storage::*;

#[actix::test]
async fn the_index_comes_back_from_the_files_alone() {
    let node = node();
    let (bucket, objects) = filled(&node).await;
    let mut attributes = Vec::new();
    for (name, _) in &objects {
        attributes.push(node.client.object(&bucket, &key(name), None).await.unwrap());
    }
    let copy = crashed_copy(&node);
    let stopped = stop(node).await;
    let keep_index = copy_of(stopped.path());
    for (root, spoil, has_upload) in [
        (keep_index.path(), None, true),
        (stopped.path(), Some(b"".as_slice()), false),
        (copy.path(), Some(b"this is no index".as_slice()), true),
    ] {
        if let Some(bytes) = spoil {
            std::fs::write(root.join(".myfsio.sys/index.redb"), bytes).unwrap();
            let start = StorageClient::start(&settings(root), Arc::new(SystemClock));
            assert!(start.is_err(), "an index that is gone must not be taken for an empty one");
        }
        if !has_upload {
            std::fs::remove_dir_all(root.join(".myfsio.sys/journal")).unwrap();
        }
        std::fs::write(root.join("filled/stranger"), b"adopted").unwrap();
        assert_eq!(rebuild(root), [], "{spoil:?}, {has_upload}");
        let (_, findings) = run(root, Mend::Nothing, true);
        assert_eq!(findings, []);
        let reopened = open(root);
        let found = reopened.bucket(&bucket.name).unwrap();
        assert_eq!(found, bucket);
        let mut wanted = objects.clone();
        // Empty objects that have no folder, since a file or another is in their way, are known to index and journal alone.
        wanted.retain(|(name, _)| has_upload || !name.starts_with("a/"));
        wanted.push(("stranger".to_owned(), b"adopted".to_vec()));
        wanted.sort();
        expect(&reopened, &found, &wanted).await;
        for ((name, _), before) in objects.iter().zip(&attributes) {
            if !wanted.iter().any(|(wanted, _)| wanted == name) {
                continue;
            }
            assert_eq!(reopened.object(&found, &key(name), None).await.unwrap(), *before, "{name}");
        }
        let even = reopened.object(&found, &key("even"), None).await.unwrap();
        let sizes: Vec<_> = reopened.object_parts(&found, &even).unwrap().iter().map(|part| part.size).collect();
        assert_eq!(sizes, [40_000, 40_000, 9]);
        let uploads = ListUploads {
            bucket: Arc::clone(&found),
            prefix: String::new(),
            delimiter: None,
            key_after: None,
            upload_after: None,
            limit: 10,
        };
        assert_eq!(!reopened.list_uploads(uploads).await.unwrap().entries.is_empty(), has_upload);
        put(&reopened, &found, "and/on", body(1, 10)).await;
        close(reopened).await;
        assert_eq!(run(root, Mend::Nothing, true).1, []);
    }
}

#[actix::test]
async fn a_folder_of_files_becomes_a_bucket() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("photos/2024")).unwrap();
    std::fs::write(root.path().join("photos/2024/a.jpg"), b"jpg").unwrap();
    assert_eq!(rebuild(root.path()), []);
    let client = open(root.path());
    let bucket = client.buckets().into_iter().next().unwrap();
    assert_eq!((bucket.name.as_str(), &bucket.owner), ("photos", &CanonicalId::from_bytes([9; 32])));
    assert_eq!(get(&client, &bucket, "2024/a.jpg").await.unwrap(), b"jpg");
}

/// Whatever page of the index is lost: a check says so and goes on living, and the files give all of it back.
#[actix::test]
async fn a_lost_page_of_the_index_is_no_dead_end() {
    let node = node();
    let bucket = bucket(&node.client, "pages").await;
    let mut wanted = Vec::new();
    for n in 0..150 {
        let name = format!("folder{}/object-{n:04}", n % 7);
        put(&node.client, &bucket, &name, body(n, 200)).await;
        wanted.push((name, body(n, 200).to_vec()));
    }
    wanted.sort();
    let stopped = stop(node).await;
    let root = stopped.path();
    let path = root.join(".myfsio.sys/index.redb");
    let whole = std::fs::read(&path).unwrap();
    let mut refused = 0;
    for page in whole.chunks(4096).enumerate().filter(|(_, page)| page.iter().any(|byte| *byte != 0)).map(|(n, _)| n) {
        let mut damaged = whole.clone();
        damaged[page * 4096..][..4096].fill(0);
        std::fs::write(&path, &damaged).unwrap();
        let options = CheckOptions { mend: Mend::Nothing, data: false, bucket: None };
        let check = || fsck::fsck(&settings(root), Arc::new(SystemClock), &options, &mut Heard::default());
        let checked = unlocked(|| match check() {
            Err(error @ StorageError::Io { .. }) if error.to_string().contains("another process") => Err(error),
            other => Ok(other),
        });
        refused += u32::from(checked.is_err());
        std::fs::write(&path, &damaged).unwrap();
        rebuild(root);
        let client = open(root);
        let found = client.bucket(&bucket.name).unwrap();
        expect(&client, &found, &wanted).await;
        close(client).await;
    }
    assert!(refused > 3, "{refused}");
}

/// The journal still holds steps that were done long ago: they must not be done again to what came later.
#[actix::test]
async fn a_new_index_does_nothing_of_the_journal_twice() {
    let node = node();
    let first = bucket(&node.client, "again").await;
    put(&node.client, &first, "old", body(1, 100_000)).await;
    put(&node.client, &first, "back", body(1, 100)).await;
    put(&node.client, &first, "edited", body(1, 100)).await;
    for name in ["old", "back", "edited"] {
        delete(&node.client, &first, name).await;
    }
    node.client.delete_bucket(DeleteBucket { bucket: first }).await.unwrap();
    let bucket = bucket(&node.client, "again").await;
    put(&node.client, &bucket, "large", body(2, 100_000)).await;
    put(&node.client, &bucket, "edited", body(2, 100)).await;
    put(&node.client, &bucket, "back", body(2, 100)).await;
    delete(&node.client, &bucket, "back").await;
    let stopped = stop(node).await;
    let root = stopped.path();
    std::fs::remove_file(root.join(".myfsio.sys/index.redb")).unwrap();
    std::fs::write(root.join("again/edited"), b"by hand").unwrap();
    std::fs::write(root.join("again/back"), b"put there again").unwrap();
    rebuild(root);
    let client = open(root);
    let found = client.bucket(&bucket.name).unwrap();
    assert_eq!(found, bucket);
    let wanted = [
        ("back".to_owned(), b"put there again".to_vec()),
        ("edited".to_owned(), b"by hand".to_vec()),
        ("large".to_owned(), body(2, 100_000).to_vec()),
    ];
    expect(&client, &found, &wanted).await;
}

#[actix::test]
async fn a_copied_file_is_an_object_of_its_own() {
    let node = node();
    let bucket = bucket(&node.client, "copies").await;
    put(&node.client, &bucket, "a", body(1, 100)).await;
    let stopped = stop(node).await;
    let root = stopped.path();
    let copied =
        std::process::Command::new("cp").arg("-a").arg(root.join("copies/a")).arg(root.join("copies/b")).status();
    assert!(copied.unwrap().success());
    for spoil in [false, true] {
        if spoil {
            std::fs::remove_file(root.join(".myfsio.sys/index.redb")).unwrap();
        }
        assert_eq!(rebuild(root), []);
        let client = open(root);
        let found = client.bucket(&bucket.name).unwrap();
        let [a, b] = ["a", "b"].map(key);
        let [a, b] = [client.object(&found, &a, None).await.unwrap(), client.object(&found, &b, None).await.unwrap()];
        assert_ne!(a.stamp, b.stamp);
        assert_eq!(a.etag, b.etag);
        close(client).await;
    }
}
