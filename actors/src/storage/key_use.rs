//! What the client answers about keys: how much is wrapped under each, and wrapping anew.

use super::StorageError;
use super::client::StorageClient;
use super::keys::{self, RowKind};
use super::messages::{KeepReencryption, KeyUse, RewrapUpload, RewriteObject};
use super::overlay::Rows as _;
use super::rows::{self, KeyUseRow};
use crate::encryption::WrappingKey;

impl StorageClient {
    /// How much is wrapped under a key: counted in the commits that change it, so that asking costs one look.
    pub fn key_use(&self, key: &WrappingKey) -> Result<KeyUse, StorageError> {
        let row = self.shared.rows.get(&keys::key_use(key))?;
        Ok(row.map(|row| rows::decode::<KeyUseRow>(&row)).transpose()?.unwrap_or_default().into())
    }

    /// Objects, with versions that are not current, whose data key is wrapped under the KMS key of this id.
    pub fn objects_under_key(&self, key_id: &str) -> Result<u64, StorageError> {
        Ok(self.key_use(&WrappingKey::Kms(key_id.to_owned()))?.objects)
    }

    /// All keys under which something is wrapped.
    pub fn keys_in_use(&self) -> Result<Vec<(WrappingKey, KeyUse)>, StorageError> {
        let (start, end) = keys::key_uses();
        let mut found = Vec::new();
        self.shared.rows.scan(&start, &end, &mut |row_key, row| {
            if let Some(RowKind::KeyUse(key)) = keys::kind(row_key) {
                found.push((key, rows::decode::<KeyUseRow>(row)?.into()));
            }
            Ok(true)
        })?;
        Ok(found)
    }

    /// See [`RewrapUpload`].
    pub async fn rewrap_upload(&self, message: RewrapUpload) -> Result<bool, StorageError> {
        self.commit(message).await
    }

    /// See [`RewriteObject`].
    pub async fn rewrite_object(&self, message: RewriteObject) -> Result<bool, StorageError> {
        self.commit(message).await
    }

    /// See [`KeepReencryption`].
    pub async fn keep_reencryption(&self, message: KeepReencryption) -> Result<(), StorageError> {
        self.commit(message).await
    }

    /// What was kept of that work.
    pub fn kept_reencryption(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.shared.rows.get(keys::META_REENCRYPTION)?.map(|row| row.to_vec()))
    }
}
