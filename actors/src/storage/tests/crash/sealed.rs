//! The part of the workload that is encrypted: everything in buckets whose names say so. No plaintext of it may ever be written.

use std::sync::Arc;

use bytes::Bytes;

use super::super::envelopes;
use super::super::fixtures::key;
use super::Choices;
use super::client::{Client, Thing, Value};
use super::recorder::Note;
use super::uploads::Uploading;
use super::versions::History;
use super::workload::{LARGE, SMALL, checkpoint};
use crate::encryption::Envelope;
use crate::storage::*;

/// The master key under which objects are put.
pub const FIRST_MASTER: &str = "m1";
/// The one under which they are wrapped anew.
const SECOND_MASTER: &str = "m2";
/// Is in every few bytes of what is encrypted.
const MARKER: &[u8] = b"PLAINTEXT";

/// Whether everything in a bucket of this name is encrypted.
pub fn is_sealed(bucket: &str) -> bool {
    bucket.starts_with("sealed")
}

/// Bytes that must not be seen.
fn secret(seed: usize, size: usize) -> Bytes {
    format!("{}-{seed:04};", String::from_utf8_lossy(MARKER)).bytes().cycle().take(size).collect::<Vec<_>>().into()
}

/// Whether a change writes plaintext of what is encrypted.
pub fn is_plaintext(note: &Note) -> bool {
    let written = match note {
        Note::Write { bytes, .. } => bytes.as_slice(),
        Note::SetTag { tag: Some(tag), .. } => tag.as_slice(),
        _ => &[],
    };
    memchr::memmem::find(written, MARKER).is_some()
}

impl Client<'_> {
    /// A data key for what is written into an encrypted bucket.
    pub fn envelope(&self, there: &Bucket, name: &str) -> Option<Envelope> {
        is_sealed(there.name.as_str()).then(|| envelopes::managed(FIRST_MASTER, there, name))
    }

    /// Wraps the data key of an object anew.
    async fn rewrap(&self, bucket: &str, name: &str, to: &str) -> Result<(), StorageError> {
        let there = self.bucket(bucket)?;
        let object = self.storage.peek_object(&there, &key(name), None)?;
        let Some(from) = object.object.encryption().cloned() else { return Ok(()) };
        let to_master = envelopes::rewrapped(&from, &there, name, to);
        let wrapped = (Thing::Wrapped(bucket.to_owned(), name.to_owned()), Value::Master(to.to_owned()));
        let change = ObjectChange::Rewrap { from, to: to_master };
        let message = ChangeObject { bucket: there, key: key(name), version: None, of: None, change, replica: None };
        self.send(vec![wrapped], self.storage.change_object(message)).await.map(drop)
    }

    /// Wraps the data keys of all versions of a key anew.
    async fn rewrap_versions(&self, history: &History) -> Result<(), StorageError> {
        let (bucket, name, versions) = history.known();
        let there = self.bucket(bucket)?;
        for version in versions {
            let Some(from) = self.storage.peek_object(&there, &key(name), Some(version))?.object.encryption().cloned()
            else {
                continue;
            };
            let to = envelopes::rewrapped(&from, &there, name, SECOND_MASTER);
            let change = ObjectChange::Rewrap { from, to };
            let message = ChangeObject {
                bucket: Arc::clone(&there),
                key: key(name),
                version: Some(version),
                of: None,
                change,
                replica: None,
            };
            self.send(Vec::new(), self.storage.change_object(message)).await?;
        }
        Ok(())
    }

    /// Wraps the data key of an upload anew.
    async fn rewrap_upload(&self, upload: &mut Uploading) -> Result<(), StorageError> {
        let name = upload.upload.key.clone();
        let Some(from) = upload.upload.encryption.clone() else { return Ok(()) };
        let to = envelopes::rewrapped(&from, &upload.bucket, name.as_str(), SECOND_MASTER);
        let (bucket, upload_id) = (Arc::clone(&upload.bucket), upload.upload.id);
        let message = RewrapUpload { bucket, key: name, upload: upload_id, from, to };
        self.send(Vec::new(), self.storage.rewrap_upload(message)).await?;
        upload.master = Some(SECOND_MASTER.to_owned());
        Ok(())
    }
}

/// Requests one after the other: written, overwritten, copied, wrapped anew, deleted, assembled, aborted, kept as versions.
pub async fn one_by_one(client: &Client<'_>) {
    let _ = client.create_bucket("sealed").await;
    for round in 0..2 {
        let of = |seed: usize, size: usize| secret(round * 100 + seed, size);
        let _ = client.put("sealed", "small", of(1, SMALL)).await;
        let _ = client.put("sealed", "dir/large", of(2, LARGE)).await;
        let _ = client.rewrap("sealed", "dir/large", SECOND_MASTER).await;
        let _ = client.put("sealed", "empty", of(3, 0)).await;
        let _ = client.put("sealed", "folder/", of(0, 0)).await;
        let _ = client.put("sealed", "odd//key", of(4, LARGE)).await;
        let _ = client.rewrap("sealed", "odd//key", SECOND_MASTER).await;
        let _ = client.rewrap("sealed", "small", SECOND_MASTER).await;
        let _ = client.put("sealed", "small", of(5, LARGE)).await;
        let _ = client.rewrap("sealed", "small", SECOND_MASTER).await;
        if round == 0 {
            checkpoint(client.storage);
        }
        let _ = client.rewrap("sealed", "small", "m3").await;
        let _ = client.copy("sealed", "small", "copied", of(5, LARGE)).await;
        let _ = client.put("sealed", "small", of(6, SMALL)).await;
        if let Ok(mut upload) = client.begin("sealed", &format!("assembled/{round}")).await {
            let _ = client.part(&mut upload, 1, of(10, 9000)).await;
            let _ = client.part(&mut upload, 2, of(11, 9000)).await;
            let _ = client.rewrap_upload(&mut upload).await;
            let _ = client.part(&mut upload, 1, of(12, 9000)).await;
            let _ = client.part(&mut upload, 3, of(13, 10)).await;
            let _ = client.complete(upload).await;
        }
        if let Ok(mut upload) = client.begin("sealed", &format!("gaps/{round}")).await {
            let _ = client.part(&mut upload, 4, of(14, 5000)).await;
            let _ = client.part(&mut upload, 9, of(15, 17_000)).await;
            let _ = client.complete(upload).await;
        }
        let _ = client.rewrap("sealed", &format!("gaps/{round}"), SECOND_MASTER).await;
        if let Ok(mut upload) = client.begin("sealed", &format!("aborted/{round}")).await {
            let _ = client.part(&mut upload, 1, of(16, 9000)).await;
            let _ = client.abort(upload).await;
        }
        for name in ["dir/large", "empty", "folder/", "odd//key"] {
            let _ = client.delete("sealed", name).await;
        }
    }
    let _ = client.create_bucket("sealed-versions").await;
    let _ = client.set_versioning("sealed-versions", Versioning::Enabled).await;
    let mut file = History::of("sealed-versions", "dir/file");
    for round in 0..2 {
        let of = |seed: usize, size: usize| secret(round * 100 + seed + 50, size);
        let _ = client.put_version(&mut file, of(1, SMALL)).await;
        let _ = client.put_version(&mut file, of(2, LARGE)).await;
        let _ = client.rewrap_versions(&file).await;
        let _ = client.put_version(&mut file, of(3, LARGE + 5)).await;
        let _ = client.delete_version(&mut file, 0).await;
        if round == 0 {
            checkpoint(client.storage);
        }
        let _ = client.rewrap_versions(&file).await;
        let _ = client.mark_deleted(&mut file).await;
        let _ = client.delete_version(&mut file, 0).await;
        let _ = client.set_versioning("sealed-versions", Versioning::Suspended).await;
        let _ = client.put_version(&mut file, of(4, SMALL)).await;
        let _ = client.put_version(&mut file, of(5, LARGE)).await;
        let _ = client.set_versioning("sealed-versions", Versioning::Enabled).await;
        let _ = client.delete_version(&mut file, 1).await;
    }
    if let Ok(mut upload) = client.begin("sealed", "left/open").await {
        let _ = client.part(&mut upload, 1, secret(90, 9000)).await;
        let _ = client.part(&mut upload, 5, secret(91, 400)).await;
        let _ = client.rewrap_upload(&mut upload).await;
    }
}

/// One request of one of several clients, on keys of its own.
pub async fn one_of_many(client: &Client<'_>, choices: &mut Choices, number: u64, step: usize) {
    let name = format!("of{number}/{}", choices.below(2));
    let bytes = secret(choices.below(1000), [0, SMALL, SMALL, LARGE][choices.below(4)]);
    match choices.below(5) {
        0 => drop(client.delete("sealed", &name).await),
        1 => drop(client.rewrap("sealed", &name, SECOND_MASTER).await),
        2 => {
            if let Ok(mut upload) = client.begin("sealed", &format!("parts/{number}-{step}")).await {
                let _ = client.part(&mut upload, 1, bytes.clone()).await;
                let _ = client.rewrap_upload(&mut upload).await;
                let _ = client.part(&mut upload, 2, bytes).await;
                let _ = client.complete(upload).await;
            }
        }
        _ => drop(client.put("sealed", &name, bytes).await),
    }
}
