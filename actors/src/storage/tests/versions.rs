//! Versions against a model: what is written, hidden, removed and brought back, read by id and listed, across restarts, crashes
//! and a new index.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::fixtures::*;
use super::fsck::{rebuild, run};
use crate::names::VersionId;
use crate::storage::*;

type Version = (VersionId, Option<Bytes>);

/// Keys with their versions, newest first.
#[derive(Default, Clone)]
struct Model(std::collections::BTreeMap<String, Vec<Version>>);

impl Model {
    fn add(&mut self, name: &str, versioning: Versioning, version: Version) {
        let versions = self.0.entry(name.to_owned()).or_default();
        if versioning == Versioning::Suspended {
            versions.retain(|(id, _)| *id != VersionId::Null);
        }
        versions.insert(0, version);
    }

    async fn check(&self, client: &StorageClient, bucket: &Arc<Bucket>) {
        let mut usage = Usage::default();
        for (name, versions) in &self.0 {
            match versions.first() {
                Some((_, Some(bytes))) => {
                    assert_eq!(get(client, bucket, name).await.unwrap(), bytes.to_vec(), "{name}");
                    usage.objects += 1;
                    usage.versions += versions.len() as u64 - 1;
                }
                newest => {
                    let marker = newest.map(|(id, _)| *id);
                    let missing = get(client, bucket, name).await.unwrap_err();
                    let is_told =
                        matches!(missing, StorageError::NoSuchKey { delete_marker, .. } if delete_marker == marker);
                    assert!(is_told, "{name}: {missing}");
                    usage.versions += versions.len() as u64;
                }
            }
            let old = versions.iter().skip(1).filter_map(|(_, bytes)| bytes.as_ref());
            usage.old_bytes += old.map(|bytes| bytes.len() as u64).sum::<u64>();
            for (id, bytes) in versions {
                let open = client.open_object(bucket, &key(name), Some(*id)).await;
                match bytes {
                    Some(bytes) => {
                        let open = open.unwrap();
                        assert_eq!(open.object.version_id, *id);
                        usage.bytes += bytes.len() as u64;
                        let read: Vec<_> = open.read(0..bytes.len() as u64, None).unwrap().collect().await;
                        let read: Vec<u8> = read.into_iter().flat_map(|chunk| chunk.unwrap().to_vec()).collect();
                        assert_eq!(read, bytes.to_vec());
                    }
                    None => {
                        usage.markers += 1;
                        assert!(matches!(open, Err(StorageError::IsDeleteMarker { .. })));
                    }
                }
            }
        }
        assert_eq!(client.usage(bucket), usage);
        let page = client.list_versions(versions_of(bucket, "")).await.unwrap();
        let listed: Vec<_> = page
            .entries
            .iter()
            .map(|e| (e.key.as_str().to_owned(), e.version_id, e.is_latest, e.object.as_ref().map(|o| o.size)))
            .collect();
        let expected: Vec<_> = self
            .0
            .iter()
            .flat_map(|(name, versions)| {
                versions.iter().enumerate().map(|(at, (id, bytes))| {
                    (name.clone(), *id, at == 0, bytes.as_ref().map(|bytes| bytes.len() as u64))
                })
            })
            .collect();
        assert_eq!(listed, expected);
    }
}

async fn set(client: &StorageClient, bucket: &Arc<Bucket>, versioning: Versioning) -> Arc<Bucket> {
    let change = BucketChange::Versioning(versioning);
    client.configure_bucket(ConfigureBucket { bucket: Arc::clone(bucket), change }).await.unwrap().after
}

async fn remove(client: &StorageClient, bucket: &Arc<Bucket>, name: &str, version: Option<VersionId>) -> Deleted {
    let message = DeleteObject {
        bucket: Arc::clone(bucket),
        key: key(name),
        version,
        owner: owner(),
        bypass_governance: false,
        conditions: WriteConditions::default(),
        replica: None,
    };
    client.delete_object(message).await.unwrap()
}

const NAMES: [&str; 6] = ["a", "dir/b", "odd//", "folder/", "dir/b/below", "multi"];

/// Some hundred changes; the bucket begins without versions, keeps them, and stops keeping them in between.
async fn change(client: &StorageClient, bucket: &mut Arc<Bucket>, model: &mut Model, seed: u64, steps: usize) {
    let mut choices = super::crash::Choices(seed);
    for step in 0..steps {
        if step % 25 == 24 {
            let next = match bucket.versioning {
                Versioning::Enabled => Versioning::Suspended,
                _ => Versioning::Enabled,
            };
            *bucket = set(client, bucket, next).await;
        }
        let name = NAMES[choices.below(NAMES.len())];
        match choices.below(6) {
            0 => {
                let deleted = remove(client, bucket, name, None).await;
                match deleted.version_id {
                    Some(marker) => {
                        assert!(deleted.delete_marker);
                        model.add(name, bucket.versioning, (marker, None));
                    }
                    None => drop(model.0.remove(name)),
                }
            }
            1 | 2 if bucket.versioning != Versioning::Off => {
                let Some(versions) = model.0.get_mut(name).filter(|versions| !versions.is_empty()) else { continue };
                let (id, bytes) = versions.remove(choices.below(versions.len()));
                let deleted = remove(client, bucket, name, Some(id)).await;
                assert_eq!((deleted.version_id, deleted.delete_marker), (Some(id), bytes.is_none()));
            }
            3 => {
                let upload = begin(client, bucket, name).await;
                let bytes = [body(step, 9000), body(step + 1, 5000)];
                let mut parts = Vec::new();
                for (number, bytes) in (1..).zip(&bytes) {
                    parts.push(part(client, bucket, &upload, number, bytes.clone()).await);
                }
                let stored = client.complete_upload(completion(bucket, &upload, parts)).await.unwrap();
                let version = (stored.object.version_id, Some(bytes.concat().into()));
                match bucket.versioning {
                    Versioning::Off => drop(model.0.insert(name.to_owned(), vec![version])),
                    versioning => model.add(name, versioning, version),
                }
            }
            _ => {
                let bytes = body(step, [0, 10, 700, 40_000][choices.below(4)]);
                let stored = put(client, bucket, name, bytes.clone()).await;
                assert_eq!(stored.versioned, bucket.versioning != Versioning::Off);
                let version = (stored.object.version_id, Some(bytes));
                match bucket.versioning {
                    Versioning::Off => drop(model.0.insert(name.to_owned(), vec![version])),
                    versioning => model.add(name, versioning, version),
                }
            }
        }
        model.0.retain(|_, versions| !versions.is_empty());
    }
}

fn is_clean(root: &Path) {
    let (checked, findings) = run(root, Mend::Nothing, true);
    assert_eq!(findings, []);
    assert!(checked.versions > 0);
}

#[actix::test]
async fn versions_are_kept_hidden_removed_and_brought_back() {
    for seed in 1..6 {
        let node = node();
        let mut there = bucket(&node.client, "versions").await;
        let mut model = Model::default();
        change(&node.client, &mut there, &mut model, seed, 150).await;
        model.check(&node.client, &there).await;
        let copy = crashed_copy(&node);
        let recovered = open(copy.path());
        let again = recovered.bucket(&there.name).unwrap();
        model.check(&recovered, &again).await;
        recovered.stop().await.unwrap();
        node.client.stop().await.unwrap();
        drop((recovered, node.client));
        is_clean(copy.path());
        is_clean(node.root.path());
        assert_eq!(rebuild(node.root.path()), [], "what the old index tells");
        is_clean(node.root.path());
        let restarted = open(node.root.path());
        let again = restarted.bucket(&there.name).unwrap();
        assert_eq!(again.versioning, there.versioning);
        model.check(&restarted, &again).await;
        restarted.stop().await.unwrap();
    }
}

/// Files tell of versions, but not of delete markers: what was deleted stays hidden.
#[actix::test]
async fn a_lost_index_loses_no_version_and_brings_nothing_back() {
    let node = node();
    let there = bucket(&node.client, "versions").await;
    put(&node.client, &there, "null-first", body(1, 100)).await;
    let there = set(&node.client, &there, Versioning::Enabled).await;
    for (name, size) in
        [("kept", 300), ("kept", 30_000), ("gone", 50), ("null-first", 70), ("odd//", 20), ("odd//", 30)]
    {
        put(&node.client, &there, name, body(size, size)).await;
    }
    remove(&node.client, &there, "gone", None).await;
    let before = node.client.list_versions(versions_of(&there, "")).await.unwrap();
    node.client.stop().await.unwrap();
    drop(node.client);
    std::fs::remove_file(node.root.path().join(".myfsio.sys/index.redb")).unwrap();
    for journal in std::fs::read_dir(node.root.path().join(".myfsio.sys/journal")).unwrap() {
        std::fs::remove_file(journal.unwrap().path()).unwrap();
    }
    rebuild(node.root.path());
    is_clean(node.root.path());
    let restarted = open(node.root.path());
    let again = restarted.bucket(&there.name).unwrap();
    assert_eq!(again.versioning, Versioning::Enabled);
    let after = restarted.list_versions(versions_of(&again, "")).await.unwrap();
    let told = |page: &VersionPage| -> Vec<_> {
        page.entries.iter().filter(|e| e.object.is_some()).map(|e| (e.key.clone(), e.version_id, e.is_latest)).collect()
    };
    assert_eq!(told(&before), told(&after));
    assert!(matches!(
        get(&restarted, &again, "gone").await,
        Err(StorageError::NoSuchKey { delete_marker: Some(_), .. })
    ));
    restarted.stop().await.unwrap();
}

/// A file or folder that a person put in the way keeps nothing from going on.
#[actix::test]
async fn what_stands_in_the_way_of_an_old_version_stays() {
    let node = node();
    let there = bucket(&node.client, "versions").await;
    let there = set(&node.client, &there, Versioning::Enabled).await;
    put(&node.client, &there, "k", body(1, 100)).await;
    let marker = remove(&node.client, &there, "k", None).await;
    let follow = || {
        let progress = &node.client.shared().progress;
        progress.wait_followed(progress.position().sequence).unwrap();
    };
    follow();
    std::fs::create_dir(node.root.path().join("versions/k")).unwrap();
    std::fs::write(node.root.path().join("versions/k/theirs"), b"theirs").unwrap();
    remove(&node.client, &there, "k", marker.version_id).await;
    follow();
    assert_eq!(get(&node.client, &there, "k").await.unwrap(), body(1, 100));
    put(&node.client, &there, "other", body(2, 100)).await;
    let copy = crashed_copy(&node);
    let recovered = open(copy.path());
    assert_eq!(get(&recovered, &recovered.bucket(&there.name).unwrap(), "k").await.unwrap(), body(1, 100));
    recovered.stop().await.unwrap();
    node.client.stop().await.unwrap();
}

/// A file that was touched is archived all the same, not written over.
#[actix::test]
async fn a_touched_file_goes_with_its_version() {
    let node = node();
    let there = bucket(&node.client, "versions").await;
    let there = set(&node.client, &there, Versioning::Enabled).await;
    let first = put(&node.client, &there, "k", body(1, 100)).await;
    let progress = &node.client.shared().progress;
    progress.wait_followed(progress.position().sequence).unwrap();
    let file = std::fs::File::options().write(true).open(node.root.path().join("versions/k")).unwrap();
    file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(100)).unwrap();
    put(&node.client, &there, "k", body(2, 100)).await;
    node.client.stop().await.unwrap();
    drop(node.client);
    let (_, findings) = run(node.root.path(), Mend::Safely, true);
    assert_eq!(findings.iter().map(|f| f.difference.name()).collect::<Vec<_>>(), ["wrong-time"]);
    let restarted = open(node.root.path());
    let again = restarted.bucket(&there.name).unwrap();
    let old = restarted.open_object(&again, &key("k"), Some(first.object.version_id)).await.unwrap();
    let read: Vec<_> = old.read(0..100, None).unwrap().collect().await;
    assert_eq!(read.into_iter().flat_map(|chunk| chunk.unwrap().to_vec()).collect::<Vec<_>>(), body(1, 100).to_vec());
    restarted.stop().await.unwrap();
}

/// What is decided looks at the bucket as it is, not as the request saw it.
#[actix::test]
async fn a_state_that_was_set_twice_lasts() {
    let node = node();
    let seen = bucket(&node.client, "versions").await;
    let enabled = set(&node.client, &seen, Versioning::Enabled).await;
    set(&node.client, &seen, Versioning::Suspended).await;
    set(&node.client, &enabled, Versioning::Enabled).await;
    node.client.stop().await.unwrap();
    drop(node.client);
    let restarted = open(node.root.path());
    assert_eq!(restarted.bucket(&seen.name).unwrap().versioning, Versioning::Enabled);
    restarted.stop().await.unwrap();
}
