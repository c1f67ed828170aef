//! What the tests of Storage share: a node in a temporary directory, and its requests in one line each.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::envelopes;
use crate::bucket_config::BucketConfig;
use crate::clock::SystemClock;
use crate::encryption::Envelope;
use crate::names::{BucketName, CanonicalId, ObjectKey, PartNumber};
use crate::storage::*;

pub struct Node {
    pub client: StorageClient,
    pub root: tempfile::TempDir,
}

pub fn settings(root: &Path) -> StorageSettings {
    StorageSettings {
        root: root.to_owned(),
        strict: true,
        journal_segment_bytes: 4 << 20,
        inline_body_bytes: 16 << 10,
        index_cache_bytes: 1 << 20,
        ballast_bytes: 1 << 20,
    }
}

pub fn open(root: &Path) -> StorageClient {
    unlocked(|| StorageClient::start(&settings(root), Arc::new(SystemClock)))
}

pub fn node() -> Node {
    let root = tempfile::tempdir().unwrap();
    Node { client: open(root.path()), root }
}

pub fn owner() -> CanonicalId {
    CanonicalId::from_bytes([7; 32])
}

pub fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text.as_bytes()).unwrap()
}

pub fn body(seed: usize, size: usize) -> Bytes {
    (0..size).map(|i| ((i * 31 + seed * 7 + i / 251) % 256) as u8).collect::<Vec<_>>().into()
}

pub async fn bucket(client: &StorageClient, name: &str) -> Arc<Bucket> {
    let name = BucketName::parse(name).unwrap();
    client.create_bucket(CreateBucket { name, owner: owner(), config: BucketConfig::default() }).await.unwrap()
}

pub async fn try_put(
    client: &StorageClient,
    bucket: &Arc<Bucket>,
    name: &str,
    bytes: Bytes,
    conditions: WriteConditions,
) -> Result<Stored, StorageError> {
    put_with(client, bucket, name, bytes, conditions, None).await
}

/// The same, encrypted if there is an envelope.
pub async fn put_with(
    client: &StorageClient,
    bucket: &Arc<Bucket>,
    name: &str,
    bytes: Bytes,
    conditions: WriteConditions,
    envelope: Option<&Envelope>,
) -> Result<Stored, StorageError> {
    let (key, owner) = (key(name), owner());
    let begin = BeginBody { bucket, key: &key, owner: &owner, size: Some(bytes.len() as u64) };
    let mut writer = client.begin_body(begin, DigestPlan::default(), envelope)?;
    for chunk in bytes.chunks(100_000) {
        writer.write(bytes.slice_ref(chunk)).await?;
    }
    let body = writer.finish().await?;
    let message = PutObject {
        bucket: Arc::clone(bucket),
        key,
        owner,
        attributes: Attributes { content_type: Some("text/plain".to_owned()), ..Attributes::default() },
        controls: Controls::default(),
        body,
        checksum: None,
        conditions,
        replica: None,
    };
    client.put_object(message).await
}

/// A small object with these attributes.
pub async fn put_as(
    client: &StorageClient,
    bucket: &Arc<Bucket>,
    name: &str,
    bytes: Bytes,
    attributes: Attributes,
) -> Result<Stored, StorageError> {
    let (key, owner) = (key(name), owner());
    let begin = BeginBody { bucket, key: &key, owner: &owner, size: Some(bytes.len() as u64) };
    let mut writer = client.begin_body(begin, DigestPlan::default(), None)?;
    writer.write(bytes).await?;
    let body = writer.finish().await?;
    let message = PutObject {
        bucket: Arc::clone(bucket),
        key,
        owner,
        attributes,
        controls: Controls::default(),
        body,
        checksum: None,
        conditions: WriteConditions::default(),
        replica: None,
    };
    client.put_object(message).await
}

pub async fn put(client: &StorageClient, bucket: &Arc<Bucket>, name: &str, bytes: Bytes) -> Stored {
    try_put(client, bucket, name, bytes, WriteConditions::default()).await.unwrap()
}

pub async fn get(client: &StorageClient, bucket: &Arc<Bucket>, name: &str) -> Result<Vec<u8>, StorageError> {
    let open = client.open_object(bucket, &key(name), None).await?;
    let size = open.object.size;
    let data_key = open.object.encryption().map(|encryption| envelopes::open(encryption, bucket, name));
    let mut reader = open.read(0..size, data_key.as_ref())?;
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes)
}

pub async fn delete(client: &StorageClient, bucket: &Arc<Bucket>, name: &str) {
    let message = DeleteObject {
        bucket: Arc::clone(bucket),
        key: key(name),
        version: None,
        owner: owner(),
        bypass_governance: false,
        conditions: WriteConditions::default(),
        replica: None,
    };
    client.delete_object(message).await.unwrap();
}

/// Asks for all versions and delete markers of the keys that begin so.
pub fn versions_of(bucket: &Arc<Bucket>, prefix: &str) -> ListVersions {
    ListVersions {
        bucket: Arc::clone(bucket),
        prefix: prefix.to_owned(),
        delimiter: None,
        key_after: None,
        version_after: None,
        limit: 1000,
    }
}

pub async fn list(client: &StorageClient, bucket: &Arc<Bucket>) -> Vec<String> {
    let query = ListObjects {
        bucket: Arc::clone(bucket),
        prefix: String::new(),
        delimiter: None,
        after: None,
        after_is_prefix: false,
        limit: 1000,
    };
    let page = client.list_objects(query).await.unwrap();
    page.entries.iter().map(|e| e.key.as_str().to_owned()).collect()
}

/// A copy of the data directory as it is now, between two checkpoints: what a killed process leaves.
pub fn crashed_copy(node: &Node) -> tempfile::TempDir {
    let progress = &node.client.shared().progress;
    loop {
        let before = progress.position().sequence;
        progress.wait_followed(before).unwrap();
        let behind = progress.is_checkpoint_behind();
        let copy = copy_of(node.root.path());
        if progress.is_checkpoint_behind() == behind && progress.position().sequence == before {
            return copy;
        }
    }
}

pub fn copy_of(root: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let status = std::process::Command::new("cp").arg("-a").arg(root.join(".")).arg(copy.path()).status().unwrap();
    assert!(status.success());
    copy
}

/// Waits until pool threads have given back the staged files of dropped bodies; answers those that are not empty.
pub async fn staged_leftovers(root: &Path) -> Vec<PathBuf> {
    let mut left = Vec::new();
    for _ in 0..100 {
        left = files_below(&root.join(".myfsio.sys/tmp"));
        left.retain(|file| file.metadata().is_ok_and(|m| m.len() > 0));
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    left
}

pub fn files_below(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

pub async fn part(
    client: &StorageClient,
    bucket: &Arc<Bucket>,
    upload: &Upload,
    number: u32,
    bytes: Bytes,
) -> CompletedPart {
    let number = PartNumber::new(number).unwrap();
    let begin = BeginPart {
        bucket: Arc::clone(bucket),
        key: upload.key.clone(),
        upload: upload.id,
        number,
        size: bytes.len() as u64,
    };
    let data_key = upload.encryption.as_ref().map(|e| envelopes::open(e, bucket, upload.key.as_str()));
    let mut writer = client.begin_part(begin, DigestPlan::default(), data_key.as_ref()).await.unwrap();
    writer.write(bytes).await.unwrap();
    let body = writer.finish().await.unwrap();
    let message = PutPart {
        bucket: Arc::clone(bucket),
        key: upload.key.clone(),
        upload: upload.id,
        number,
        body,
        checksum: None,
    };
    let part = client.put_part(message).await.unwrap();
    CompletedPart { number, etag: part.etag, checksum: None }
}

pub async fn begin(client: &StorageClient, bucket: &Arc<Bucket>, name: &str) -> Arc<Upload> {
    begin_with(client, bucket, name, None).await
}

/// The same, encrypted if there is an envelope.
pub async fn begin_with(
    client: &StorageClient,
    bucket: &Arc<Bucket>,
    name: &str,
    envelope: Option<&Envelope>,
) -> Arc<Upload> {
    let message = CreateUpload {
        bucket: Arc::clone(bucket),
        key: key(name),
        owner: owner(),
        attributes: Attributes::default(),
        controls: Controls::default(),
        checksum: None,
        encryption: envelope.map(|envelope| envelope.encryption.clone()),
    };
    client.create_upload(message).await.unwrap()
}

pub fn completion(bucket: &Arc<Bucket>, upload: &Upload, parts: Vec<CompletedPart>) -> CompleteUpload {
    CompleteUpload {
        bucket: Arc::clone(bucket),
        key: upload.key.clone(),
        upload: upload.id,
        parts,
        part_size_min: 1,
        expected_size: None,
        expected_checksum: None,
        conditions: WriteConditions::default(),
        replica: None,
        whole: None,
    }
}

/// Sets a file's modification time, as another program would.
pub fn set_time(file: &std::fs::File, stamp: crate::names::Stamp) {
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_nanos(stamp.0)).unwrap();
}

/// The MD5 of some bytes, as an ETag has it.
pub fn md5_of(bytes: &[u8]) -> [u8; 16] {
    use ::md5::Digest as _;
    ::md5::Md5::digest(bytes).into()
}

/// Stops a node; answers its directory, which nobody has open any more.
pub async fn stop(node: Node) -> tempfile::TempDir {
    close(node.client).await;
    node.root
}

/// Opens a directory that nobody has open any more. A process that another test just starts may hold the lock for an instant.
pub fn unlocked<T>(mut open: impl FnMut() -> Result<T, StorageError>) -> T {
    loop {
        match open() {
            Err(StorageError::Io { source, .. }) if source.kind() == std::io::ErrorKind::ResourceBusy => {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            other => return other.unwrap(),
        }
    }
}

/// Stops a node and waits until its last thread has let go of the directory.
pub async fn close(client: StorageClient) {
    client.stop().await.unwrap();
    let shared = Arc::downgrade(&client.shared);
    drop(client);
    while shared.strong_count() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}
