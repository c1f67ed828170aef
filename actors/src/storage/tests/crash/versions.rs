//! Versions of a key: kept, hidden, removed from both ends and the middle, brought back.

use bytes::Bytes;

use super::super::fixtures::body;
use super::client::{Changes, Client, Thing, Value, deletion};
use super::workload::{LARGE, SMALL, checkpoint};
use crate::bucket_config::LifecycleKind;
use crate::names::VersionId;
use crate::storage::*;

/// A key of a bucket that keeps versions, as its only client knows it: newest first, with whether it is the null version.
pub struct History {
    bucket: String,
    name: String,
    versions: Vec<(VersionId, Option<Bytes>)>,
    /// A request was refused: what it did is not known.
    is_unsure: bool,
}

impl History {
    pub fn of(bucket: &str, name: &str) -> Self {
        Self { bucket: bucket.to_owned(), name: name.to_owned(), versions: Vec::new(), is_unsure: false }
    }

    /// Bucket, key and versions, without delete markers; none when it is not known which there are.
    pub(super) fn known(&self) -> (&str, &str, Vec<VersionId>) {
        let known = self.versions.iter().filter(|(_, bytes)| !self.is_unsure && bytes.is_some());
        (&self.bucket, &self.name, known.map(|(id, _)| *id).collect())
    }

    fn changes(&self, versions: &[(VersionId, Option<Bytes>)]) -> Changes {
        let value = match versions {
            [] => Value::Absent,
            some => Value::Versions(some.iter().map(|(_, bytes)| bytes.clone()).collect()),
        };
        vec![(Thing::History(self.bucket.clone(), self.name.clone()), value)]
    }

    /// What a new version, or marker, makes of the others.
    fn with(&self, versioning: Versioning, bytes: Option<Bytes>) -> Vec<(VersionId, Option<Bytes>)> {
        let kept = |id: &VersionId| versioning == Versioning::Enabled || *id != VersionId::Null;
        let others = self.versions.iter().filter(|(id, _)| kept(id)).cloned();
        std::iter::once((VersionId::Null, bytes)).chain(others).collect()
    }
}

impl Client<'_> {
    /// Removes the version that has been noncurrent longest: the oldest, since versions follow each other.
    pub async fn expire_oldest(&self, history: &mut History) -> Result<(), StorageError> {
        if history.is_unsure || history.versions.len() < 2 {
            return Ok(());
        }
        history.is_unsure = true;
        let mut versions = history.versions.clone();
        versions.pop();
        let changes = history.changes(&versions);
        self.expire(&history.bucket, &history.name, LifecycleKind::Noncurrent, changes).await?;
        (history.versions, history.is_unsure) = (versions, false);
        Ok(())
    }

    pub async fn put_version(&self, history: &mut History, bytes: Bytes) -> Result<(), StorageError> {
        let there = self.bucket(&history.bucket)?;
        if history.is_unsure || there.versioning == Versioning::Off {
            return Ok(());
        }
        history.is_unsure = true;
        let mut versions = history.with(there.versioning, Some(bytes.clone()));
        let request = self.put_request(&there, &history.name, bytes);
        let stored = self.send(history.changes(&versions), request).await?;
        versions[0].0 = stored.object.version_id;
        (history.versions, history.is_unsure) = (versions, false);
        Ok(())
    }

    pub async fn mark_deleted(&self, history: &mut History) -> Result<(), StorageError> {
        let there = self.bucket(&history.bucket)?;
        if history.is_unsure || there.versioning == Versioning::Off {
            return Ok(());
        }
        history.is_unsure = true;
        let mut versions = history.with(there.versioning, None);
        let request = self.storage.delete_object(deletion(&there, &history.name, None));
        let deleted = self.send(history.changes(&versions), request).await?;
        versions[0].0 = deleted.version_id.expect("a marker");
        (history.versions, history.is_unsure) = (versions, false);
        Ok(())
    }

    pub async fn delete_version(&self, history: &mut History, at: usize) -> Result<(), StorageError> {
        let there = self.bucket(&history.bucket)?;
        if history.is_unsure || at >= history.versions.len() {
            return Ok(());
        }
        history.is_unsure = true;
        let mut versions = history.versions.clone();
        let (id, _) = versions.remove(at);
        let request = self.storage.delete_object(deletion(&there, &history.name, Some(id)));
        self.send(history.changes(&versions), request).await?;
        (history.versions, history.is_unsure) = (versions, false);
        Ok(())
    }
}

/// Versions: kept, hidden, removed from both ends and the middle, brought back, and null versions before, between and after.
pub async fn one_by_one(client: &Client<'_>) {
    let _ = client.create_bucket("kept").await;
    let _ = client.set_versioning("kept", Versioning::Enabled).await;
    let mut file = History::of("kept", "dir/file");
    let mut odd = History::of("kept", "odd//");
    for round in 0..2 {
        let of = |seed: usize, size: usize| body(round * 100 + seed + 60, size);
        let _ = client.put_version(&mut file, of(1, SMALL)).await;
        let _ = client.put_version(&mut file, of(2, LARGE)).await;
        let _ = client.put_version(&mut file, of(3, LARGE + 5)).await;
        let _ = client.delete_version(&mut file, 0).await;
        let _ = client.mark_deleted(&mut file).await;
        let _ = client.mark_deleted(&mut file).await;
        let _ = client.delete_version(&mut file, 0).await;
        let _ = client.delete_version(&mut file, 0).await;
        if round == 0 {
            checkpoint(client.storage);
            let _ = client.put_version(&mut odd, of(11, SMALL)).await;
            let _ = client.set_lifecycle("kept").await;
            let _ = client.set_quotas("kept", &["dir/"]).await;
        }
        let _ = client.count().await;
        let _ = client.put_version(&mut odd, of(4, SMALL)).await;
        let _ = client.expire_oldest(&mut odd).await;
        let _ = client.put_version(&mut odd, of(5, SMALL)).await;
        let _ = client.set_versioning("kept", Versioning::Suspended).await;
        let _ = client.put_version(&mut file, of(6, SMALL)).await;
        let _ = client.put_version(&mut file, of(7, SMALL + 9)).await;
        let _ = client.mark_deleted(&mut odd).await;
        let _ = client.put_version(&mut odd, of(8, 0)).await;
        let _ = client.mark_deleted(&mut file).await;
        let _ = client.set_versioning("kept", Versioning::Enabled).await;
        let _ = client.put_version(&mut file, of(9, SMALL)).await;
        let _ = client.delete_version(&mut file, 1).await;
        let _ = client.expire_oldest(&mut file).await;
        let _ = client.delete_version(&mut odd, 0).await;
        let _ = client.put_version(&mut file, of(10, LARGE)).await;
        let _ = client.delete_version(&mut file, 0).await;
        let _ = client.delete_version(&mut file, 0).await;
    }
    while !odd.is_unsure && !odd.versions.is_empty() {
        if client.delete_version(&mut odd, 0).await.is_err() {
            break;
        }
    }
}
