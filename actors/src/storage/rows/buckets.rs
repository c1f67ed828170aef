//! Buckets, what they hold, how they are configured and their runs as rows, and back.

use std::sync::Arc;

use super::codes::owner_of;
use super::{BucketRow, UsageRow};
use crate::bucket_config::BucketConfig;
use crate::names::{BucketId, BucketName, Stamp};
use crate::storage::messages::{Bucket, LifecycleRun, Usage, Versioning};
use crate::storage::{StorageError, keys};

impl BucketRow {
    pub fn of(bucket: &Bucket) -> Self {
        let versioning = match bucket.versioning {
            Versioning::Off => 0,
            Versioning::Enabled => 1,
            Versioning::Suspended => 2,
        };
        Self { id: bucket.id.0, owner: bucket.owner.as_str().to_owned(), created: bucket.created.0, versioning }
    }

    /// The bucket of this row, but for its configuration.
    pub fn into_bucket(self, name: BucketName) -> Result<Bucket, StorageError> {
        let versioning = match self.versioning {
            0 => Versioning::Off,
            1 => Versioning::Enabled,
            2 => Versioning::Suspended,
            other => return Err(StorageError::Index(format!("unknown versioning state {other}"))),
        };
        let owner = owner_of(&self.owner)?;
        Ok(Bucket {
            id: BucketId(self.id),
            name,
            owner,
            created: Stamp(self.created),
            versioning,
            config: Arc::default(),
        })
    }
}

impl From<UsageRow> for Usage {
    fn from(row: UsageRow) -> Self {
        Self {
            objects: row.objects,
            bytes: row.bytes,
            versions: row.versions,
            markers: row.markers.unwrap_or_default(),
            part_bytes: row.part_bytes.unwrap_or_default(),
            old_bytes: row.old_bytes.unwrap_or_default(),
        }
    }
}

impl From<Usage> for UsageRow {
    fn from(usage: Usage) -> Self {
        Self {
            objects: usage.objects,
            bytes: usage.bytes,
            versions: usage.versions,
            markers: Some(usage.markers),
            part_bytes: Some(usage.part_bytes),
            old_bytes: Some(usage.old_bytes),
        }
    }
}

/// The row of a bucket's configuration; none when nothing is configured.
pub(in crate::storage) fn encode_config(config: &BucketConfig) -> Result<Option<Vec<u8>>, StorageError> {
    if *config == BucketConfig::default() {
        return Ok(None);
    }
    serde_json::to_vec(config).map(Some).map_err(|e| StorageError::Index(format!("row not encodable: {e}")))
}

/// What is configured of a bucket, as its row tells.
pub(in crate::storage) fn decode_config(row: &[u8]) -> Result<BucketConfig, StorageError> {
    serde_json::from_slice(row).map_err(|e| StorageError::Index(format!("row not decodable: {e}")))
}

/// The row of the last runs of a bucket's lifecycle rules.
pub(in crate::storage) fn encode_runs(runs: &[LifecycleRun]) -> Result<Vec<u8>, StorageError> {
    serde_json::to_vec(runs).map_err(|e| StorageError::Index(format!("row not encodable: {e}")))
}

/// The runs that such a row tells, newest first.
pub(in crate::storage) fn decode_runs(row: &[u8]) -> Result<Vec<LifecycleRun>, StorageError> {
    serde_json::from_slice(row).map_err(|e| StorageError::Index(format!("row not decodable: {e}")))
}

/// The name of a bucket inside the key of its row.
pub(in crate::storage) fn bucket_name(row_key: &[u8]) -> Result<BucketName, StorageError> {
    let (start, _) = keys::buckets();
    row_key
        .strip_prefix(start.as_slice())
        .and_then(|name| std::str::from_utf8(name).ok())
        .and_then(|name| BucketName::parse(name).ok())
        .ok_or_else(|| StorageError::Index("malformed bucket row".to_owned()))
}
