//! Encrypted objects: what is read is what was written, from wherever it lies, and what was changed on the disk is noticed.

use std::fs;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::fixtures::*;
use crate::encryption::{CustomerKey, DataKey, Encryption, EncryptionError, Envelope, Method, ObjectName};
use crate::names::PartNumber;
use crate::storage::*;

const CHUNK: usize = crate::encryption::CHUNK_BYTES;

fn md5_of(bytes: &[u8]) -> [u8; 16] {
    use ::md5::Digest as _;
    ::md5::Md5::digest(bytes).into()
}

fn envelope(name: &str) -> Envelope {
    CustomerKey::from_bytes(&[5; 32]).seal(&ObjectName { bucket: "things", key: name }).unwrap()
}

async fn put_sealed(client: &StorageClient, bucket: &Arc<Bucket>, name: &str, bytes: &Bytes) -> (Stored, DataKey) {
    let envelope = envelope(name);
    let (key, owner) = (key(name), owner());
    let begin = BeginBody { bucket, key: &key, owner: &owner, size: Some(bytes.len() as u64) };
    let mut writer = client.begin_body(begin, DigestPlan::default(), Some(&envelope)).unwrap();
    for chunk in bytes.chunks(100_000) {
        writer.write(bytes.slice_ref(chunk)).await.unwrap();
    }
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
    (client.put_object(message).await.unwrap(), envelope.key)
}

async fn read(
    client: &StorageClient,
    bucket: &Arc<Bucket>,
    name: &str,
    range: Range<usize>,
    data_key: &DataKey,
) -> Result<Vec<u8>, StorageError> {
    let open = client.open_object(bucket, &key(name), None).await?;
    let mut reader = open.read(range.start as u64..range.end as u64, Some(data_key))?;
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes)
}

fn ranges(size: usize) -> Vec<Range<usize>> {
    let mut edges: Vec<usize> = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, size / 2, size].into();
    edges.retain(|edge| *edge <= size);
    edges.sort_unstable();
    edges.dedup();
    let mut ranges = Vec::new();
    for (at, start) in edges.iter().enumerate() {
        ranges.extend(edges[at..].iter().map(|end| *start..*end));
    }
    ranges
}

async fn check_all(client: &StorageClient, bucket: &Arc<Bucket>, name: &str, bytes: &Bytes, data_key: &DataKey) {
    for range in ranges(bytes.len()) {
        let read = read(client, bucket, name, range.clone(), data_key).await.unwrap();
        assert!(read == bytes[range.clone()], "{name} {range:?}");
    }
}

fn followed(node: &Node) {
    let progress = &node.client.shared().progress;
    progress.wait_materialised(progress.position().sequence, std::time::Duration::from_secs(20)).unwrap();
}

#[actix::test]
async fn every_size_and_range_reads_back_from_journal_and_file() {
    let node = node();
    let bucket = bucket(&node.client, "things").await;
    for size in [0, 1, 1000, 16 << 10, CHUNK - 1, CHUNK, CHUNK + 1, 300_000, 8 * CHUNK, 8 * CHUNK + 1, 1_300_000] {
        let (name, bytes) = (format!("of {size}"), body(size, size));
        let (stored, data_key) = put_sealed(&node.client, &bucket, &name, &bytes).await;
        assert_eq!(stored.object.size, size as u64);
        assert_eq!(stored.object.stored_size(), crate::encryption::sealed_size(size as u64));
        assert_ne!(stored.object.etag.md5, md5_of(&bytes), "told");
        check_all(&node.client, &bucket, &name, &bytes, &data_key).await;
        followed(&node);
        check_all(&node.client, &bucket, &name, &bytes, &data_key).await;
        let file = fs::read(node.root.path().join("things").join(&name)).unwrap();
        assert_eq!(file.len() as u64, stored.object.stored_size());
        let open = node.client.open_object(&bucket, &key(&name), None).await.unwrap();
        assert!(matches!(open.clone().read(0..1, None), Err(StorageError::Encryption(EncryptionError::KeyNeeded))));
        let other = DataKey::from_bytes(&[1; 32]);
        if size > 0 {
            assert!(matches!(
                read(&node.client, &bucket, &name, 0..size, &other).await,
                Err(StorageError::Corrupt { .. })
            ));
        }
    }
    let usage = node.client.usage(&bucket);
    assert_eq!(usage.objects, 11);
    assert!(usage.bytes < 3_100_000, "counted as plaintext: {}", usage.bytes);
}

#[actix::test]
async fn an_md5_is_computed_for_who_asks_or_for_the_etag() {
    let node = node();
    let bucket = bucket(&node.client, "things").await;
    let managed = Envelope {
        encryption: Encryption { method: Method::Managed { master: "m".to_owned() }, wrapped_key: vec![1] },
        ..envelope("a")
    };
    for size in [0, 100, 100_000, 1_300_000] {
        let bytes = body(5, size);
        let own = envelope("a");
        for (envelope, asks, computes) in
            [(None, false, true), (Some(&managed), false, true), (Some(&own), false, false), (Some(&own), true, true)]
        {
            let plan = DigestPlan { md5: asks, ..DigestPlan::default() };
            let (to, owner_of) = (key("k"), owner());
            let begin = BeginBody { bucket: &bucket, key: &to, owner: &owner_of, size: Some(size as u64) };
            let mut writer = node.client.begin_body(begin, plan, envelope).unwrap();
            writer.write(bytes.clone()).await.unwrap();
            let finished = writer.finish().await.unwrap();
            assert_eq!(finished.digests().md5, computes.then(|| md5_of(&bytes)), "{size} {asks}");
        }
    }
}

#[actix::test]
async fn no_plaintext_reaches_the_disk() {
    let node = node();
    let bucket = bucket(&node.client, "things").await;
    let marker = b"PLAINTEXT-MARKER";
    for size in [16, 10_000, 2_000_000] {
        let bytes: Bytes = marker.iter().copied().cycle().take(size).collect::<Vec<_>>().into();
        put_sealed(&node.client, &bucket, &size.to_string(), &bytes).await;
    }
    let finds = |root: &std::path::Path| {
        // Nothing goes to another place between the look for it and the look into it.
        let progress = &node.client.shared().progress;
        progress.wait_followed(progress.position().sequence).unwrap();
        let all = files_below(root);
        all.into_iter()
            .filter(|file| memchr::memmem::find(&fs::read(file).unwrap(), marker).is_some())
            .collect::<Vec<_>>()
    };
    assert!(finds(node.root.path()).is_empty(), "{:?}", finds(node.root.path()));
    put(&node.client, &bucket, "plain", Bytes::from_static(marker)).await;
    assert!(!finds(node.root.path()).is_empty(), "the search works");
}

#[actix::test]
async fn a_restart_changes_nothing() {
    let node = node();
    let bucket = bucket(&node.client, "things").await;
    let (small, large) = (body(1, 9000), body(2, 700_000));
    let (_, small_key) = put_sealed(&node.client, &bucket, "small", &small).await;
    let (_, large_key) = put_sealed(&node.client, &bucket, "large", &large).await;
    let copy = crashed_copy(&node);
    let client = open(copy.path());
    let there = client.bucket(&bucket.name).unwrap();
    check_all(&client, &there, "small", &small, &small_key).await;
    check_all(&client, &there, "large", &large, &large_key).await;
}

#[actix::test]
async fn assembled_objects_read_back_wherever_their_parts_lay() {
    let node = node();
    let bucket = bucket(&node.client, "things").await;
    let sizes: [&[usize]; 5] =
        [&[300_000, 300_000, 5], &[CHUNK, CHUNK], &[70_000, 200_000, 10_000, 1], &[1], &[CHUNK + 1, 0]];
    for (case, sizes) in sizes.iter().enumerate() {
        let name = format!("case {case}");
        let envelope = envelope(&name);
        let message = CreateUpload {
            bucket: Arc::clone(&bucket),
            key: key(&name),
            owner: owner(),
            attributes: Attributes::default(),
            controls: Controls::default(),
            checksum: None,
            encryption: Some(envelope.encryption.clone()),
        };
        let upload = node.client.create_upload(message).await.unwrap();
        let mut listed = Vec::new();
        let mut all = Vec::new();
        for (at, &size) in sizes.iter().enumerate() {
            let number = PartNumber::new(at as u32 * 2 + 1).unwrap();
            let bytes = body(case * 10 + at, size);
            // The second one is sent twice.
            for again in (0..=usize::from(at == 1)).rev() {
                let begin = BeginPart {
                    bucket: Arc::clone(&bucket),
                    key: key(&name),
                    upload: upload.id,
                    number,
                    size: size as u64,
                };
                let unkeyed = node.client.begin_part(begin.clone(), DigestPlan::default(), None).await;
                assert!(matches!(unkeyed, Err(StorageError::Encryption(EncryptionError::KeyNeeded))));
                let mut writer =
                    node.client.begin_part(begin, DigestPlan::default(), Some(&envelope.key)).await.unwrap();
                writer.write(if again > 0 { body(99, size) } else { bytes.clone() }).await.unwrap();
                let body = writer.finish().await.unwrap();
                let (bucket, key) = (Arc::clone(&bucket), key(&name));
                let message = PutPart { bucket, key, upload: upload.id, number, body, checksum: None };
                let part = node.client.put_part(message).await.unwrap();
                if again == 0 {
                    listed.push(CompletedPart { number, etag: part.etag, checksum: None });
                }
            }
            all.extend_from_slice(&bytes);
        }
        let stored = node.client.complete_upload(completion(&bucket, &upload, listed)).await.unwrap();
        let on_disk: u64 = sizes.iter().map(|size| crate::encryption::sealed_size(*size as u64)).sum();
        assert_eq!((stored.object.size, stored.object.stored_size()), (all.len() as u64, on_disk));
        check_all(&node.client, &bucket, &name, &all.clone().into(), &envelope.key).await;
        followed(&node);
        check_all(&node.client, &bucket, &name, &all.into(), &envelope.key).await;
        let file = fs::read(node.root.path().join("things").join(&name)).unwrap();
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &file);
        assert_eq!(Some(crc), stored.object.sealed.as_ref().map(|sealed| sealed.crc64nvme), "the check without a key");
    }
}

#[actix::test]
async fn what_was_changed_on_the_disk_is_never_served() {
    let node = node();
    let bucket = bucket(&node.client, "things").await;
    let bytes = body(3, 3 * CHUNK + 100);
    let (_, data_key) = put_sealed(&node.client, &bucket, "a", &bytes).await;
    followed(&node);
    let path = node.root.path().join("things/a");
    let (good, time) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
    let sealed = CHUNK + 16;
    let head = crate::encryption::HEAD_BYTES;
    let write = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    };
    let mut swapped = good.clone();
    let (first, second) = swapped[head..].split_at_mut(sealed);
    first.swap_with_slice(&mut second[..sealed]);
    let mut bent = good.clone();
    bent[head + 5] ^= 1;
    let mut salted = good.clone();
    salted[head - 1] ^= 1;
    for (what, changed) in [("swapped chunks", swapped), ("a bit", bent), ("the salt", salted)] {
        write(&changed);
        let read = read(&node.client, &bucket, "a", 0..10, &data_key).await;
        assert!(matches!(read, Err(StorageError::Corrupt { .. })), "{what}");
    }
    write(&good);
    check_all(&node.client, &bucket, "a", &bytes, &data_key).await;
    // Shorter or longer: not the row's file any more, and never an object of its own.
    for changed in [&good[..good.len() - 1], &[good.as_slice(), b"x"].concat()] {
        fs::write(&path, changed).unwrap();
        let read = read(&node.client, &bucket, "a", 0..10, &data_key).await;
        assert!(matches!(read, Err(StorageError::Quarantined { .. })), "{read:?}");
    }
    // Touched only: it is what it was.
    fs::write(&path, &good).unwrap();
    check_all(&node.client, &bucket, "a", &bytes, &data_key).await;
}
