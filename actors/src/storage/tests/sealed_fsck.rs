//! `fsck` and `reindex` on encrypted objects: they come back from files and tags alone, and what cannot come back is named.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::envelopes;
use super::fixtures::*;
use super::fsck::{rebuild, run, tamper};
use crate::bucket_config::{ConfigChange, ObjectLock};
use crate::encryption::{CHUNK_BYTES, WrappingKey, sealed_size};
use crate::names::VersionId;
use crate::storage::*;

const KMS: &str = "11111111-aaaa";
const CHUNK: usize = CHUNK_BYTES;

/// A bucket of every kind of encrypted object; answers what each holds, newest versions only.
async fn filled(node: &Node) -> (Arc<Bucket>, Vec<(String, Vec<u8>)>) {
    let bucket = bucket(&node.client, "filled").await;
    let mut objects = Vec::new();
    for (name, size) in [
        ("empty", 0),
        ("b/c", 100),
        ("chunk", CHUNK),
        ("large", 300_000),
        ("b//odd", 50),
        ("../up", 30_000),
        ("dir/", 0),
        ("dir/full/", 7),
    ] {
        let envelope = match size {
            100 | 30_000 => envelopes::kms(KMS, &bucket, name),
            _ => envelopes::managed("m1", &bucket, name),
        };
        let conditions = WriteConditions::default();
        put_with(&node.client, &bucket, name, body(size, size), conditions, Some(&envelope)).await.unwrap();
        objects.push((name.to_owned(), body(size, size).to_vec()));
    }
    let uploads: [(&str, &[(u32, usize)]); 6] = [
        ("even", &[(1, 40_000), (2, 40_000), (3, 9)]),
        ("uneven", &[(1, 20_000), (2, 70_000)]),
        ("gaps", &[(2, 20_000), (5, CHUNK), (10_000, 1)]),
        ("grid", &[(1, 30_000), (2, 30_000), (2, 30_000), (3, 30_000)]),
        ("multi//odd", &[(1, 100_000), (2, 0)]),
        ("single", &[(7, 200_000)]),
    ];
    for (name, parts) in uploads {
        let upload = begin_with(&node.client, &bucket, name, Some(&envelopes::managed("m1", &bucket, name))).await;
        let mut listed = std::collections::BTreeMap::new();
        for (at, (number, size)) in parts.iter().enumerate() {
            let bytes = body(at, *size);
            let part = part(&node.client, &bucket, &upload, *number, bytes.clone()).await;
            listed.insert(*number, (part, bytes));
        }
        let (parts, bytes): (Vec<_>, Vec<_>) = listed.into_values().unzip();
        node.client.complete_upload(completion(&bucket, &upload, parts)).await.unwrap();
        objects.push((name.to_owned(), bytes.concat()));
    }
    let open = begin_with(&node.client, &bucket, "open", Some(&envelopes::kms(KMS, &bucket, "open"))).await;
    part(&node.client, &bucket, &open, 1, body(3, 30_000)).await;
    objects.sort();
    (bucket, objects)
}

async fn expect(client: &StorageClient, bucket: &Arc<Bucket>, objects: &[(String, Vec<u8>)]) {
    let wanted: Vec<_> = objects.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(list(client, bucket).await, wanted);
    for (name, bytes) in objects {
        assert!(get(client, bucket, name).await.unwrap() == *bytes, "{name}");
    }
    let usage = client.usage(bucket);
    let bytes = objects.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    assert_eq!((usage.objects, usage.bytes), (objects.len() as u64, bytes));
}

fn uses(client: &StorageClient) -> Vec<(WrappingKey, u64, u64)> {
    client.keys_in_use().unwrap().into_iter().map(|(key, used)| (key, used.objects, used.uploads)).collect()
}

fn filled_uses(uploads: u64) -> Vec<(WrappingKey, u64, u64)> {
    vec![(WrappingKey::Managed("m1".to_owned()), 12, 0), (WrappingKey::Kms(KMS.to_owned()), 2, uploads)]
}

fn names(findings: &[Finding]) -> Vec<(&'static str, &str)> {
    let mut names: Vec<_> = findings.iter().map(|f| (f.difference.name(), f.place.as_str())).collect();
    names.sort_unstable();
    names
}

fn lose_journal(root: &Path) {
    fs::remove_dir_all(root.join(".myfsio.sys/journal")).unwrap();
}

fn lose_index(root: &Path) {
    fs::remove_file(root.join(".myfsio.sys/index.redb")).unwrap();
}

#[actix::test]
async fn a_sound_directory_has_no_differences() {
    let node = node();
    let (bucket, objects) = filled(&node).await;
    expect(&node.client, &bucket, &objects).await;
    assert_eq!(uses(&node.client), filled_uses(1));
    let copy = crashed_copy(&node);
    let stopped = stop(node).await;
    for root in [stopped.path(), copy.path()] {
        for mend in [Mend::Nothing, Mend::Safely, Mend::FromFiles] {
            let (checked, findings) = run(root, mend, true);
            assert_eq!(findings, [], "{mend:?}");
            assert_eq!((checked.objects, checked.uploads, checked.parts), (14, 1, 1));
        }
        let reopened = open(root);
        expect(&reopened, &bucket, &objects).await;
        assert_eq!(uses(&reopened), filled_uses(1));
        close(reopened).await;
    }
}

#[actix::test]
async fn the_index_comes_back_from_files_and_tags() {
    let node = node();
    let (bucket, objects) = filled(&node).await;
    let mut before = Vec::new();
    for (name, _) in &objects {
        let object = node.client.object(&bucket, &key(name), None).await.unwrap();
        let parts = node.client.object_parts(&bucket, &object).unwrap();
        before.push((object, parts.iter().map(|part| (part.number, part.offset, part.size)).collect::<Vec<_>>()));
    }
    let copy = crashed_copy(&node);
    let stopped = stop(node).await;
    let keep_index = copy_of(stopped.path());
    lose_index(stopped.path());
    lose_journal(stopped.path());
    lose_index(copy.path());
    for (root, has_upload) in [(keep_index.path(), true), (stopped.path(), false), (copy.path(), true)] {
        assert_eq!(rebuild(root), [], "{has_upload}");
        assert_eq!(run(root, Mend::Nothing, true).1, []);
        let reopened = open(root);
        let found = reopened.bucket(&bucket.name).unwrap();
        expect(&reopened, &found, &objects).await;
        for ((name, _), (object, parts)) in objects.iter().zip(&before) {
            let now = reopened.object(&found, &key(name), None).await.unwrap();
            assert_eq!(now, *object, "{name}");
            let told = reopened.object_parts(&found, &now).unwrap();
            assert_eq!(told.iter().map(|part| (part.number, part.offset, part.size)).collect::<Vec<_>>(), *parts);
        }
        assert_eq!(uses(&reopened), filled_uses(u64::from(has_upload)));
        close(reopened).await;
    }
}

#[actix::test]
async fn damage_is_named_and_what_has_one_answer_is_mended() {
    let node = node();
    let (bucket, mut objects) = filled(&node).await;
    let even = node.client.object(&bucket, &key("even"), None).await.unwrap();
    let gaps = node.client.object(&bucket, &key("gaps"), None).await.unwrap();
    let stopped = stop(node).await;
    let root = stopped.path();
    let file = |name: &str| root.join("filled").join(name);
    // Edited, touched, without its tag, bent with its time kept, and its list of parts lost or wrong.
    fs::write(file("b/c"), b"edited").unwrap();
    fs::File::options().write(true).open(file("empty")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let opened = fs::File::open(file("chunk")).unwrap();
    rustix::fs::fremovexattr(&opened, "user.myfsio").unwrap();
    let time = fs::metadata(file("large")).unwrap().modified().unwrap();
    let large = fs::File::options().write(true).open(file("large")).unwrap();
    std::os::unix::fs::FileExt::write_at(&large, b"!!", 1000).unwrap();
    large.set_modified(time).unwrap();
    let wrong = rows::KeyUseRow { objects: 5, uploads: 0 };
    let row = |bytes: Vec<u8>| Some(Arc::from(bytes));
    tamper(
        root,
        &[
            (keys::part_list(bucket.id, even.stamp), None),
            (keys::part_list(bucket.id, gaps.stamp), row(rows::encode(&rows::PartListRow::of(&[])).unwrap())),
            (keys::key_use(&WrappingKey::Managed("m1".to_owned())), row(rows::encode(&wrong).unwrap())),
            (keys::key_use(&WrappingKey::Managed("m0".to_owned())), row(rows::encode(&wrong).unwrap())),
        ],
    );
    let found = [
        ("damaged-file", "filled/b/c"),
        ("damaged-file", "filled/large"),
        ("wrong-counters", "SSE-S3 key m0"),
        ("wrong-counters", "SSE-S3 key m1"),
        ("wrong-parts", "filled/even"),
        ("wrong-parts", "filled/gaps"),
        ("wrong-tag", "filled/chunk"),
        ("wrong-time", "filled/empty"),
    ];
    let (_, findings) = run(root, Mend::Nothing, true);
    // A list that is not there is wrong, and others than its file tells.
    let mut told = names(&findings);
    told.dedup();
    assert_eq!(told, found);
    let (_, findings) = run(root, Mend::Safely, false);
    assert_eq!(findings.iter().filter(|finding| !finding.mended).count(), 1, "{findings:?}");
    let (_, findings) = run(root, Mend::Nothing, true);
    assert_eq!(names(&findings), found[..2]);
    assert!(findings[0].detail.contains("encrypted"), "{findings:?}");

    let reopened = open(root);
    for name in ["b/c", "large"] {
        assert!(get(&reopened, &bucket, name).await.is_err(), "{name}");
    }
    assert_eq!(fs::read(file("b/c")).unwrap(), b"edited", "it is left where it is");
    objects.retain(|(name, _)| !["b/c", "large"].contains(&name.as_str()));
    for (name, bytes) in &objects {
        assert!(get(&reopened, &bucket, name).await.unwrap() == *bytes, "{name}");
    }
    assert_eq!(uses(&reopened), filled_uses(1));
}

#[actix::test]
async fn an_encrypted_file_without_its_key_never_becomes_an_object() {
    let node = node();
    let (bucket, mut objects) = filled(&node).await;
    let stopped = stop(node).await;
    let root = stopped.path();
    let file = |name: &str| root.join("filled").join(name);
    // As a copy without extended attributes leaves it, moved with its tag, and cut off.
    let bytes = fs::read(file("large")).unwrap();
    fs::remove_file(file("large")).unwrap();
    fs::write(file("large"), &bytes).unwrap();
    fs::rename(file("chunk"), file("moved")).unwrap();
    fs::write(file("cut"), &bytes[..40]).unwrap();
    lose_index(root);
    lose_journal(root);
    let findings = rebuild(root);
    assert_eq!(
        names(&findings),
        [("lost-key", "filled/cut"), ("lost-key", "filled/large"), ("lost-key", "filled/moved")]
    );
    assert!(findings.iter().all(|finding| finding.mended && finding.detail.contains("encrypted")), "{findings:?}");
    let aside: Vec<_> = fs::read_dir(root.join(".myfsio.sys/lost+found")).unwrap().collect();
    assert_eq!(aside.len(), 3);
    assert_eq!(run(root, Mend::Nothing, true).1, []);
    let reopened = open(root);
    let found = reopened.bucket(&bucket.name).unwrap();
    objects.retain(|(name, _)| !["large", "chunk"].contains(&name.as_str()));
    expect(&reopened, &found, &objects).await;
    close(reopened).await;
    // `fsck` alone tells, and puts it aside when it may.
    fs::write(file("again"), &bytes).unwrap();
    assert_eq!(names(&run(root, Mend::Nothing, false).1), [("lost-key", "filled/again")]);
    assert!(file("again").exists());
    assert_eq!(names(&run(root, Mend::Safely, false).1), [("lost-key", "filled/again")]);
    assert!(!file("again").exists());
    assert_eq!(run(root, Mend::Nothing, false).1, []);
    // A plain object whose file was overwritten by an encrypted one.
    let reopened = open(root);
    put(&reopened, &found, "plain", body(1, 100)).await;
    close(reopened).await;
    fs::write(file("plain"), &bytes).unwrap();
    assert_eq!(names(&run(root, Mend::FromFiles, false).1), [("lost-key", "filled/plain")]);
    let reopened = open(root);
    let refused = get(&reopened, &found, "plain").await;
    assert!(matches!(refused, Err(StorageError::Quarantined { .. })), "{refused:?}");
}

#[actix::test]
async fn other_bytes_in_the_file_of_an_encrypted_or_locked_object_never_become_an_object() {
    for (loses_index, loses_tag) in [(false, false), (false, true), (true, false)] {
        let node = node();
        let (bucket, mut objects) = filled(&node).await;
        put(&node.client, &bucket, "held", body(1, 100)).await;
        put(&node.client, &bucket, "plain", body(1, 100)).await;
        let lock = BucketChange::Config(ConfigChange::ObjectLock(ObjectLock { default: None }));
        let mut there = bucket;
        for change in [BucketChange::Versioning(Versioning::Enabled), lock] {
            there = node.client.configure_bucket(ConfigureBucket { bucket: there, change }).await.unwrap().after;
        }
        let (bucket, change) = (Arc::clone(&there), ObjectChange::LegalHold(true));
        let message = ChangeObject { bucket, key: key("held"), version: None, of: None, change, replica: None };
        node.client.change_object(message).await.unwrap();
        let stopped = stop(node).await;
        let root = stopped.path();
        for name in ["large", "held", "plain"] {
            let file = root.join("filled").join(name);
            if loses_tag {
                fs::remove_file(&file).unwrap();
            }
            fs::write(file, b"junk").unwrap();
        }
        if loses_index {
            lose_index(root);
            lose_journal(root);
        }
        let findings = rebuild(root);
        let told: Vec<_> = names(&findings).into_iter().filter(|(name, _)| *name == "damaged-file").collect();
        assert_eq!(told, [("damaged-file", "filled/held"), ("damaged-file", "filled/large")], "{findings:?}");
        assert!(findings.iter().all(|finding| finding.mended), "{findings:?}");
        assert_eq!(fs::read_dir(root.join(".myfsio.sys/lost+found")).unwrap().count(), 2);
        assert_eq!(rebuild(root), [], "nor by the next run");
        let reopened = open(root);
        let found = reopened.bucket(&there.name).unwrap();
        for name in ["held", "large"] {
            let refused = get(&reopened, &found, name).await;
            assert!(matches!(refused, Err(StorageError::NoSuchKey { .. })), "{refused:?}");
        }
        objects.retain(|(name, _)| name != "large");
        objects.push(("plain".to_owned(), b"junk".to_vec()));
        objects.sort();
        expect(&reopened, &found, &objects).await;
        close(reopened).await;
    }
}

/// Who only touches such a file, or restores it with another time, has not taken it away.
#[actix::test]
async fn an_encrypted_or_locked_file_that_was_only_touched_is_its_object() {
    for loses_index in [false, true] {
        let node = node();
        let (bucket, mut objects) = filled(&node).await;
        let plain = body(4, 70_000);
        put(&node.client, &bucket, "held", plain.clone()).await;
        let lock = BucketChange::Config(ConfigChange::ObjectLock(ObjectLock { default: None }));
        let mut there = bucket;
        for change in [BucketChange::Versioning(Versioning::Enabled), lock] {
            there = node.client.configure_bucket(ConfigureBucket { bucket: there, change }).await.unwrap().after;
        }
        let (bucket, change) = (Arc::clone(&there), ObjectChange::LegalHold(true));
        let message = ChangeObject { bucket, key: key("held"), version: None, of: None, change, replica: None };
        let held = node.client.change_object(message).await.unwrap();
        let stopped = stop(node).await;
        let root = stopped.path();
        for name in ["large", "held"] {
            let file = fs::File::options().write(true).open(root.join("filled").join(name)).unwrap();
            file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(100)).unwrap();
        }
        if loses_index {
            lose_index(root);
            lose_journal(root);
        }
        let findings = rebuild(root);
        let told: Vec<_> = names(&findings).into_iter().filter(|(name, _)| *name == "wrong-time").collect();
        assert_eq!(told, [("wrong-time", "filled/held"), ("wrong-time", "filled/large")], "{findings:?}");
        assert!(!root.join(".myfsio.sys/lost+found").exists(), "{findings:?}");
        assert_eq!(rebuild(root), []);
        let reopened = open(root);
        let found = reopened.bucket(&there.name).unwrap();
        let again = reopened.object(&found, &key("held"), None).await.unwrap();
        assert_eq!((again.stamp, again.controls.legal_hold), (held.stamp, Some(true)));
        assert_eq!(get(&reopened, &found, "held").await.unwrap(), plain);
        objects.retain(|(name, _)| name == "large");
        assert_eq!(get(&reopened, &found, "large").await.unwrap(), objects[0].1);
        close(reopened).await;
    }
}

/// The same data key under another key: nothing but rows and tags changes.
#[actix::test]
async fn wrapped_anew_it_opens_under_the_new_key_also_without_the_index() {
    let node = node();
    let (bucket, objects) = filled(&node).await;
    let progress = &node.client.shared().progress;
    progress.wait_followed(progress.position().sequence).unwrap();
    let contents = |root: &Path| {
        let files = files_below(&root.join("filled"));
        files
            .into_iter()
            .map(|file| (fs::read(&file).unwrap(), fs::metadata(&file).unwrap().modified().unwrap()))
            .collect::<Vec<_>>()
    };
    let before = contents(node.root.path());
    for (name, _) in &objects {
        let object = node.client.object(&bucket, &key(name), None).await.unwrap();
        let from = object.encryption().unwrap().clone();
        let to = envelopes::rewrapped(&from, &bucket, name, "m2");
        let change = |from, to| ChangeObject {
            bucket: Arc::clone(&bucket),
            key: key(name),
            version: Some(VersionId::Null),
            of: None,
            change: ObjectChange::Rewrap { from, to },
            replica: None,
        };
        let now = node.client.change_object(change(from.clone(), to.clone())).await.unwrap();
        assert_eq!(now.encryption(), Some(&to));
        // What is not there any more is not replaced again.
        let again = node.client.change_object(change(from.clone(), from)).await.unwrap();
        assert_eq!((again.encryption(), again.stamp), (Some(&to), object.stamp));
    }
    let uploads = ListUploads {
        bucket: Arc::clone(&bucket),
        prefix: String::new(),
        delimiter: None,
        key_after: None,
        upload_after: None,
        limit: 10,
    };
    let upload = node.client.list_uploads(uploads).await.unwrap().entries.remove(0);
    let from = upload.encryption.clone().unwrap();
    let to = envelopes::rewrapped(&from, &bucket, "open", "k2");
    let rewrap = |from, to| RewrapUpload { bucket: Arc::clone(&bucket), key: key("open"), upload: upload.id, from, to };
    assert!(node.client.rewrap_upload(rewrap(from.clone(), to.clone())).await.unwrap());
    assert!(!node.client.rewrap_upload(rewrap(from.clone(), from)).await.unwrap());
    let kms = |id: &str| WrappingKey::Kms(id.to_owned());
    let wanted = vec![(WrappingKey::Managed("m2".to_owned()), 12, 0), (kms("k2"), 0, 1), (kms("m2"), 2, 0)];
    assert_eq!(uses(&node.client), wanted);
    expect(&node.client, &bucket, &objects).await;

    // A part that came before, and one that comes after, make one object.
    let first =
        CompletedPart { number: crate::names::PartNumber::new(1).unwrap(), ..listed(&node, &bucket, &upload).await };
    let upload = node.client.upload(&bucket, &key("open"), upload.id).unwrap();
    let second = part(&node.client, &bucket, &upload, 2, body(9, 99_000)).await;
    let copy = crashed_copy(&node);
    node.client.complete_upload(completion(&bucket, &upload, vec![first, second])).await.unwrap();
    let mut objects = objects;
    objects.push(("open".to_owned(), [body(3, 30_000), body(9, 99_000)].concat()));
    objects.sort();
    expect(&node.client, &bucket, &objects).await;
    delete(&node.client, &bucket, "open").await;
    objects.retain(|(name, _)| name != "open");
    let stopped = stop(node).await;
    assert_eq!(contents(stopped.path()), before);
    lose_index(stopped.path());
    lose_journal(stopped.path());
    lose_index(copy.path());
    for (root, wanted) in [(copy.path(), wanted.clone()), (stopped.path(), vec![wanted[0].clone(), wanted[2].clone()])]
    {
        rebuild(root);
        assert_eq!(run(root, Mend::Nothing, true).1, []);
        let reopened = open(root);
        let found = reopened.bucket(&bucket.name).unwrap();
        assert_eq!(uses(&reopened), wanted);
        expect(&reopened, &found, &objects).await;
        close(reopened).await;
    }
}

async fn listed(node: &Node, bucket: &Arc<Bucket>, upload: &Upload) -> CompletedPart {
    let query = ListParts {
        bucket: Arc::clone(bucket),
        key: upload.key.clone(),
        upload: upload.id,
        number_after: 0,
        limit: 10,
    };
    let part = node.client.list_parts(query).await.unwrap().parts.remove(0);
    CompletedPart { number: part.number, etag: part.etag, checksum: None }
}

/// A journal that ends behind a rewrap, with an index that is gone: the journal's last word counts, and not the file's tag.
#[actix::test]
async fn a_rewrap_that_is_only_in_the_journal_is_not_lost() {
    let node = node();
    let bucket = bucket(&node.client, "filled").await;
    let envelope = envelopes::managed("m1", &bucket, "k");
    let bytes = body(1, 50_000);
    let conditions = WriteConditions::default();
    put_with(&node.client, &bucket, "k", bytes.clone(), conditions, Some(&envelope)).await.unwrap();
    let progress = &node.client.shared().progress;
    progress.wait_followed(progress.position().sequence).unwrap();
    let path = node.root.path().join("filled/k");
    let file = fs::File::open(&path).unwrap();
    let mut tag = vec![0; 4096];
    let size = rustix::fs::fgetxattr(&file, "user.myfsio", &mut tag).unwrap();
    let to = envelopes::rewrapped(&envelope.encryption, &bucket, "k", "m2");
    let change = ObjectChange::Rewrap { from: envelope.encryption.clone(), to: to.clone() };
    let message =
        ChangeObject { bucket: Arc::clone(&bucket), key: key("k"), version: None, of: None, change, replica: None };
    node.client.change_object(message).await.unwrap();
    let copy = crashed_copy(&node);
    let copied = fs::File::options().write(true).open(copy.path().join("filled/k")).unwrap();
    rustix::fs::fsetxattr(&copied, "user.myfsio", &tag[..size], rustix::fs::XattrFlags::empty()).unwrap();
    lose_index(copy.path());
    rebuild(copy.path());
    assert_eq!(run(copy.path(), Mend::Nothing, true).1, [], "the tag is the row's again");
    let reopened = open(copy.path());
    let found = reopened.bucket(&bucket.name).unwrap();
    let object = reopened.object(&found, &key("k"), None).await.unwrap();
    assert_eq!(object.encryption(), Some(&to));
    assert_eq!(object.stored_size(), sealed_size(bytes.len() as u64));
    assert_eq!(get(&reopened, &found, "k").await.unwrap(), bytes);
}

/// Damage to what tells the parts is damage, and no reason to forget the object.
#[actix::test]
async fn a_broken_head_does_not_lose_the_object() {
    let node = node();
    let (bucket, _) = filled(&node).await;
    let stopped = stop(node).await;
    let root = stopped.path();
    let path = root.join("filled/uneven");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_at(&file, b"??", sealed_size(20_000) + 3).unwrap();
    file.set_modified(time).unwrap();
    lose_index(root);
    lose_journal(root);
    let findings = rebuild(root);
    assert_eq!(names(&findings), [("wrong-parts", "filled/uneven")]);
    assert!(!findings[0].mended, "{findings:?}");
    let (_, findings) = run(root, Mend::Nothing, true);
    assert_eq!(names(&findings), [("damaged-file", "filled/uneven"), ("wrong-parts", "filled/uneven")]);
    let reopened = open(root);
    let found = reopened.bucket(&bucket.name).unwrap();
    assert_eq!(reopened.object(&found, &key("uneven"), None).await.unwrap().size, 90_000);
    assert!(matches!(get(&reopened, &found, "uneven").await, Err(StorageError::Corrupt { .. })));
}

/// What does not fit beside a file is left out, but never the data key.
#[actix::test]
async fn a_tag_that_is_too_large_keeps_the_data_key() {
    let node = node();
    let bucket = bucket(&node.client, "filled").await;
    let envelope = envelopes::managed("m1", &bucket, "k");
    let (name, owner_of) = (key("k"), owner());
    let begin = BeginBody { bucket: &bucket, key: &name, owner: &owner_of, size: Some(3) };
    let writer = node.client.begin_body(begin, DigestPlan::default(), Some(&envelope)).unwrap();
    let body = {
        let mut writer = writer;
        writer.write(Bytes::from_static(b"abc")).await.unwrap();
        writer.finish().await.unwrap()
    };
    let attributes = Attributes { user_metadata: vec![("a".to_owned(), "x".repeat(70_000))], ..Attributes::default() };
    let message = PutObject {
        bucket: Arc::clone(&bucket),
        key: key("k"),
        owner: owner(),
        attributes,
        controls: Controls::default(),
        body,
        checksum: None,
        conditions: WriteConditions::default(),
        replica: None,
    };
    node.client.put_object(message).await.unwrap();
    let stopped = stop(node).await;
    assert_eq!(run(stopped.path(), Mend::Nothing, true).1, []);
    lose_index(stopped.path());
    lose_journal(stopped.path());
    assert_eq!(rebuild(stopped.path()), []);
    let reopened = open(stopped.path());
    let found = reopened.bucket(&bucket.name).unwrap();
    assert_eq!(get(&reopened, &found, "k").await.unwrap(), b"abc");
}
