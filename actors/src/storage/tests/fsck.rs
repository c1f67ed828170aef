//! `fsck` and `reindex`, on directories that were damaged in every way that they tell of.

mod broken_journal;
mod differences;
mod reindexed;

use std::path::Path;
use std::sync::Arc;

use super::fixtures::*;
use crate::clock::SystemClock;
use crate::names::CanonicalId;
use crate::storage::*;

#[derive(Default)]
pub struct Heard(pub Vec<Finding>);

impl CheckObserver for Heard {
    fn found(&mut self, finding: &Finding) {
        self.0.push(finding.clone());
    }

    fn progress(&mut self, _: CheckProgress) {}
}

pub fn run(root: &Path, mend: Mend, data: bool) -> (Checked, Vec<Finding>) {
    let mut heard = Heard::default();
    let options = CheckOptions { mend, data, bucket: None };
    let checked = unlocked(|| fsck::fsck(&settings(root), Arc::new(SystemClock), &options, &mut heard));
    assert_eq!(checked.differences, heard.0.len() as u64);
    (checked, heard.0)
}

/// Why something is refused.
fn refusal(mut open: impl FnMut() -> Result<(), StorageError>) -> StorageError {
    unlocked(|| match open() {
        Err(StorageError::Io { source, .. }) if source.kind() == std::io::ErrorKind::ResourceBusy => {
            Err(StorageError::io("open", "the root", source))
        }
        other => Ok(other.unwrap_err()),
    })
}

fn names(findings: &[Finding]) -> Vec<(&'static str, &str)> {
    let mut names: Vec<_> = findings.iter().map(|f| (f.difference.name(), f.place.as_str())).collect();
    names.sort_unstable();
    names
}

pub fn rebuild(root: &Path) -> Vec<Finding> {
    let mut heard = Heard::default();
    let other = CanonicalId::from_bytes([9; 32]);
    unlocked(|| fsck::reindex(&settings(root), Arc::new(SystemClock), &other, &mut heard));
    heard.0
}

/// A bucket of every kind of object; answers what each holds.
async fn filled(node: &Node) -> (Arc<Bucket>, Vec<(String, Vec<u8>)>) {
    let bucket = bucket(&node.client, "filled").await;
    let mut objects = Vec::new();
    for (name, size) in [
        ("a", 0),
        ("b/c", 100),
        ("large", 300_000),
        ("b//odd", 50),
        ("../up", 30_000),
        ("dir/", 0),
        ("dir/full/", 7),
        ("a/", 0),
        ("a//", 0),
    ] {
        put(&node.client, &bucket, name, body(size, size)).await;
        objects.push((name.to_owned(), body(size, size).to_vec()));
    }
    for (name, sizes) in [("even", vec![40_000, 40_000, 9]), ("uneven", vec![20_000, 70_000])] {
        let upload = begin(&node.client, &bucket, name).await;
        let (mut parts, mut whole) = (Vec::new(), Vec::new());
        for (number, size) in (1..).zip(sizes) {
            parts.push(part(&node.client, &bucket, &upload, number, body(number as usize, size)).await);
            whole.extend_from_slice(&body(number as usize, size));
        }
        node.client.complete_upload(completion(&bucket, &upload, parts)).await.unwrap();
        objects.push((name.to_owned(), whole));
    }
    let open = begin(&node.client, &bucket, "open").await;
    part(&node.client, &bucket, &open, 1, body(3, 30_000)).await;
    objects.sort();
    (bucket, objects)
}

async fn expect(client: &StorageClient, bucket: &Arc<Bucket>, objects: &[(String, Vec<u8>)]) {
    let wanted: Vec<_> = objects.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(list(client, bucket).await, wanted);
    for (name, bytes) in objects {
        assert_eq!(get(client, bucket, name).await.unwrap(), *bytes, "{name}");
    }
    let usage = client.usage(bucket);
    let bytes = objects.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    assert_eq!((usage.objects, usage.bytes), (objects.len() as u64, bytes));
}

/// Changes rows behind the node's back.
pub fn tamper(root: &Path, changes: &[index::RowChange]) {
    let disk = unlocked(|| disk::Disk::open(root, true).map_err(|e| StorageError::io("open", root, e)));
    let opened = opened::Opened::new(disk, &settings(root), recovery::Holes::Refuse).unwrap();
    opened.rows.index.checkpoint(changes).unwrap();
}

/// The row of an object in a directory that nobody has open.
fn row_of(root: &Path, bucket: &Bucket, name: &str) -> Vec<u8> {
    let disk = unlocked(|| disk::Disk::open(root, true).map_err(|e| StorageError::io("open", root, e)));
    let opened = opened::Opened::new(disk, &settings(root), recovery::Holes::Refuse).unwrap();
    let row = overlay::Rows::get(&opened.rows, &keys::object(bucket.id, name.as_bytes())).unwrap().unwrap();
    row.to_vec()
}

/// A plain object with metadata.
async fn described(client: &StorageClient, bucket: &Arc<Bucket>, name: &str) {
    let attributes = Attributes {
        content_type: Some("text/plain".to_owned()),
        user_metadata: vec![("colour".to_owned(), "green".to_owned())],
        ..Attributes::default()
    };
    put_as(client, bucket, name, body(7, 300), attributes).await.unwrap();
}
