//! How much is wrapped under each key, counted once more.

use std::collections::{BTreeMap, BTreeSet};

use crate::encryption::WrappingKey;
use crate::storage::messages::KeyUse;
use crate::storage::rows::{EncryptionRow, ObjectRow};

/// What each key is used for: as recorded, as the rows add up to, and once mended.
#[derive(Debug, Default)]
pub(super) struct KeyCounts {
    pub recorded: BTreeMap<WrappingKey, KeyUse>,
    pub counted: BTreeMap<WrappingKey, KeyUse>,
    mended: BTreeMap<WrappingKey, KeyUse>,
}

impl KeyCounts {
    /// Counts an object or version that a row tells of.
    pub fn object(&mut self, row: &ObjectRow) {
        if let Some(key) = wrapping_key(row) {
            self.counted.entry(key).or_default().objects += 1;
            self.enter(row);
        }
    }

    /// Counts an upload that a row tells of.
    pub fn upload(&mut self, encryption: Option<&EncryptionRow>) {
        if let Some(key) = encryption.and_then(EncryptionRow::wrapping_key) {
            self.counted.entry(key.clone()).or_default().uploads += 1;
            self.mended.entry(key).or_default().uploads += 1;
        }
    }

    /// Counts an object whose row is added.
    pub fn enter(&mut self, row: &ObjectRow) {
        if let Some(key) = wrapping_key(row) {
            self.mended.entry(key).or_default().objects += 1;
        }
    }

    /// Counts an object less, whose row goes.
    pub fn leave(&mut self, row: &ObjectRow) {
        if let Some(key) = wrapping_key(row) {
            let used = self.mended.entry(key).or_default();
            used.objects = used.objects.saturating_sub(1);
        }
    }

    /// Keys whose recorded use is not what was counted: recorded and counted.
    pub fn wrong(&self) -> Vec<(WrappingKey, KeyUse, KeyUse)> {
        let keys: BTreeSet<_> = self.recorded.keys().chain(self.counted.keys()).collect();
        let both = keys.into_iter().map(|key| (key.clone(), of(&self.recorded, key), of(&self.counted, key)));
        both.filter(|(_, recorded, counted)| recorded != counted).collect()
    }

    /// What is to be recorded of each key. Where not everything was looked at, what was recorded counts for the rest.
    pub fn mended(&self, is_everything: bool) -> Vec<(WrappingKey, KeyUse)> {
        let keys: BTreeSet<_> = self.recorded.keys().chain(self.mended.keys()).collect();
        let rest = |recorded: u64, counted| if is_everything { 0 } else { recorded.saturating_sub(counted) };
        let used = |key: &WrappingKey| {
            let (recorded, counted, mended) = (of(&self.recorded, key), of(&self.counted, key), of(&self.mended, key));
            let objects = mended.objects + rest(recorded.objects, counted.objects);
            let uploads = mended.uploads + rest(recorded.uploads, counted.uploads);
            (key.clone(), KeyUse { objects, uploads })
        };
        keys.into_iter().map(used).collect()
    }
}

fn of(map: &BTreeMap<WrappingKey, KeyUse>, key: &WrappingKey) -> KeyUse {
    map.get(key).copied().unwrap_or_default()
}

fn wrapping_key(row: &ObjectRow) -> Option<WrappingKey> {
    row.sealed.as_ref().and_then(|sealed| sealed.encryption.wrapping_key())
}
