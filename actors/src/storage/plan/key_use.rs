//! How much is wrapped under each key: counted in the transaction that changes it, so that what is lost with a key is known
//! without a look at every object.

use std::collections::BTreeMap;

use super::Planner;
use crate::encryption::WrappingKey;
use crate::storage::rows::{self, EncryptionRow, KeyUseRow, ObjectRow};
use crate::storage::{StorageError, keys};

/// What a transaction adds to the use of keys: objects and uploads.
#[derive(Debug, Default)]
pub(super) struct KeyTally(BTreeMap<WrappingKey, (i64, i64)>);

impl KeyTally {
    /// A version of an object comes (1) or goes (-1).
    pub fn object(&mut self, row: &ObjectRow, by: i64) {
        if let Some(key) = row.sealed.as_ref().and_then(|sealed| sealed.encryption.wrapping_key()) {
            self.0.entry(key).or_default().0 += by;
        }
    }

    /// An upload comes (1) or goes (-1).
    pub fn upload(&mut self, encryption: Option<&EncryptionRow>, by: i64) {
        if let Some(key) = encryption.and_then(EncryptionRow::wrapping_key) {
            self.0.entry(key).or_default().1 += by;
        }
    }

    /// Brings it into the rows, on top of what the transaction planned before.
    pub fn count(&self, planner: &mut Planner<'_>) -> Result<(), StorageError> {
        for (key, (objects, uploads)) in &self.0 {
            if (*objects, *uploads) == (0, 0) {
                continue;
            }
            let row_key = keys::key_use(key);
            let own = planner.entry.changes.iter().rev().find(|(changed, _)| *changed == row_key);
            let row = match own {
                Some((_, row)) => row.clone(),
                None => planner.rows.get(&row_key)?,
            };
            let before = row.map(|row| rows::decode::<KeyUseRow>(&row)).transpose()?.unwrap_or_default();
            let after = KeyUseRow {
                objects: before.objects.saturating_add_signed(*objects),
                uploads: before.uploads.saturating_add_signed(*uploads),
            };
            let row = if after == KeyUseRow::default() { None } else { Some(rows::encode(&after)?) };
            planner.change(row_key, row);
        }
        Ok(())
    }
}
