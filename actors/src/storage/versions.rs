//! Listing versions: two tables, the current objects and the noncurrent versions with the delete markers, walked side by side.
//! Pure: no I/O of its own.
//!
//! Cost is that of the page, not of the bucket: behind a common prefix both walks seek to its end.

use std::collections::VecDeque;
use std::sync::Arc;

use super::listing::{common_prefix, object_key, text};
use super::messages::{ListVersions, VersionEntry, VersionPage};
use super::overlay::Rows;
use super::rows::{self, ObjectRow};
use super::{StorageError, keys};
use crate::names::{BucketId, Stamp, VersionId};

/// Rows read ahead at a time.
const AHEAD: usize = 128;

/// A walk over one table of a bucket.
struct Cursor<'v> {
    view: &'v dyn Rows,
    key_of: fn(&[u8]) -> Option<Vec<u8>>,
    /// Where the next read begins, and where the table ends.
    next: Vec<u8>,
    end: Vec<u8>,
    /// Object keys and rows that were read ahead.
    ahead: VecDeque<(Vec<u8>, Arc<[u8]>)>,
    is_done: bool,
}

impl Cursor<'_> {
    /// The next key, if there is one.
    fn key(&mut self) -> Result<Option<&[u8]>, StorageError> {
        if self.ahead.is_empty() && !self.is_done {
            self.read()?;
        }
        Ok(self.ahead.front().map(|(key, _)| key.as_slice()))
    }

    fn read(&mut self) -> Result<(), StorageError> {
        let mut last = None;
        self.view.scan(&self.next, &self.end, &mut |row_key, row| {
            let key = (self.key_of)(row_key).ok_or_else(|| StorageError::Index("malformed row key".to_owned()))?;
            self.ahead.push_back((key, Arc::from(row)));
            last = Some(row_key.to_vec());
            Ok(self.ahead.len() < AHEAD)
        })?;
        match last {
            Some(mut last) if self.ahead.len() >= AHEAD => {
                last.push(0);
                self.next = last;
            }
            _ => self.is_done = true,
        }
        Ok(())
    }

    fn take(&mut self) -> Result<Option<ObjectRow>, StorageError> {
        self.ahead.pop_front().map(|(_, row)| rows::decode(&row)).transpose()
    }

    /// Goes on at `start`, which lies behind what was taken so far.
    fn seek(&mut self, start: Vec<u8>, is_before: impl Fn(&[u8]) -> bool) {
        while self.ahead.front().is_some_and(|(key, _)| is_before(key)) {
            self.ahead.pop_front();
        }
        if self.ahead.is_empty() && start > self.next {
            self.next = start;
        }
    }
}

/// The key of a row of the versions' table at which keys that begin with `prefix` begin.
fn versions_from(bucket: BucketId, prefix: &[u8]) -> Vec<u8> {
    let (mut row, _) = keys::versions(bucket);
    keys::push_escaped(&mut row, prefix);
    row
}

/// A page of versions and delete markers: keys in byte order, the newest of a key first (S3 API Reference, ListObjectVersions).
pub(super) fn list_versions(view: &dyn Rows, query: &ListVersions) -> Result<VersionPage, StorageError> {
    let mut page = VersionPage::default();
    if query.limit == 0 {
        return Ok(page);
    }
    let (bucket, prefix) = (query.bucket.id, query.prefix.as_bytes());
    let delimiter = query.delimiter.as_deref().filter(|d| !d.is_empty());
    let (objects, versions) = (keys::object(bucket, prefix), versions_from(bucket, prefix));
    let (objects_end, versions_end) = (keys::successor(&objects), keys::successor(&versions));
    let begin = Begin::of(view, query, delimiter)?;
    let mut current = Cursor {
        view,
        key_of: |row| Some(keys::object_key(row).to_vec()),
        next: objects.max(begin.objects),
        end: objects_end,
        ahead: VecDeque::new(),
        is_done: false,
    };
    let mut others = Cursor {
        view,
        key_of: |row| keys::split_version(row).map(|(key, _)| key),
        next: versions.max(begin.versions),
        end: versions_end,
        ahead: VecDeque::new(),
        is_done: false,
    };
    // The key whose newest version was met already.
    let mut met = begin.inside;
    let (mut count, mut last) = (0, None);
    loop {
        let (from_current, key) = match (current.key()?, others.key()?) {
            (None, None) => return Ok(page),
            (Some(key), other) if other.is_none_or(|other| key <= other) => (true, key.to_vec()),
            (_, Some(key)) => (false, key.to_vec()),
            (Some(key), None) => (true, key.to_vec()),
        };
        if count == query.limit {
            page.next = last;
            return Ok(page);
        }
        count += 1;
        if let Some(common) = common_prefix(&key, &query.prefix, delimiter) {
            let within = common.as_bytes();
            let is_before = |key: &[u8]| key.starts_with(within);
            current.seek(keys::successor(&keys::object(bucket, within)), is_before);
            others.seek(keys::successor(&versions_from(bucket, within)), is_before);
            page.common_prefixes.push(common.to_owned());
            last = Some((common.to_owned(), None));
            continue;
        }
        let row = if from_current { current.take()? } else { others.take()? };
        let Some(row) = row else { continue };
        let is_latest = met.as_ref() != Some(&key);
        let (version_id, is_marker) = (row.version_id(), row.is_marker());
        let object = row.into_object(&query.bucket.owner)?;
        page.entries.push(VersionEntry {
            key: object_key(&key)?,
            version_id,
            is_latest,
            last_modified: object.modified(),
            owner: object.owner.clone(),
            object: (!is_marker).then(|| Arc::new(object)),
        });
        last = Some((text(key.clone())?, Some(version_id)));
        met = Some(key);
    }
}

/// Where a page begins in both tables.
#[derive(Default)]
struct Begin {
    objects: Vec<u8>,
    versions: Vec<u8>,
    /// The key within which it begins.
    inside: Option<Vec<u8>>,
}

impl Begin {
    fn of(view: &dyn Rows, query: &ListVersions, delimiter: Option<&str>) -> Result<Self, StorageError> {
        let Some(after) = &query.key_after else { return Ok(Self::default()) };
        let (bucket, key) = (query.bucket.id, after.as_bytes());
        let is_prefix = common_prefix(key, &query.prefix, delimiter).is_some_and(|common| common == after);
        if is_prefix {
            let objects = keys::successor(&keys::object(bucket, key));
            return Ok(Self { objects, versions: keys::successor(&versions_from(bucket, key)), inside: None });
        }
        let (first, behind) = keys::versions_of(bucket, key);
        let mut object_behind = keys::object(bucket, key);
        object_behind.push(0);
        let marker = query.version_after.map(|version| stamp_of(view, bucket, key, version)).transpose()?.flatten();
        let Some(stamp) = marker else {
            return Ok(Self { objects: object_behind, versions: behind, inside: None });
        };
        let is_current_older = match view.get(&keys::object(bucket, key))? {
            Some(row) => rows::decode::<ObjectRow>(&row)?.clock() < stamp,
            None => false,
        };
        if is_current_older {
            return Ok(Self { objects: keys::object(bucket, key), versions: first, inside: Some(key.to_vec()) });
        }
        let mut versions = keys::version(bucket, key, stamp);
        versions.push(0);
        Ok(Self { objects: object_behind, versions, inside: Some(key.to_vec()) })
    }
}

/// The stamp of a version; none for a null version that is not there.
fn stamp_of(view: &dyn Rows, bucket: BucketId, key: &[u8], version: VersionId) -> Result<Option<Stamp>, StorageError> {
    if let VersionId::Unique { stamp, .. } = version {
        return Ok(Some(stamp));
    }
    if let Some(row) = view.get(&keys::null_version(bucket, key))? {
        return rows::decode_stamp(&row).map(Some);
    }
    let current = view.get(&keys::object(bucket, key))?.map(|row| rows::decode::<ObjectRow>(&row)).transpose()?;
    Ok(current.filter(|row| row.version.is_none()).map(|row| row.clock()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::names::{BucketName, CanonicalId, ETag};
    use crate::storage::messages::{Attributes, Bucket, Controls, Object, Versioning};
    use crate::storage::overlay::model::ModelRows;
    use crate::storage::plan::marker;
    use crate::storage::rows::Location;

    fn bucket() -> Arc<Bucket> {
        Arc::new(Bucket {
            id: BucketId(7),
            name: BucketName::parse("things").unwrap(),
            owner: CanonicalId::from_bytes([1; 32]),
            created: Stamp(0),
            versioning: Versioning::Enabled,
            config: Arc::default(),
        })
    }

    fn version(stamp: u64, is_null: bool) -> VersionId {
        if is_null { VersionId::Null } else { VersionId::Unique { stamp: Stamp(stamp), random: stamp ^ 0xabcd } }
    }

    fn row(stamp: u64, is_null: bool, is_marker: bool) -> ObjectRow {
        let bucket = bucket();
        if is_marker {
            return marker(&bucket, version(stamp, is_null), Stamp(stamp), bucket.owner.clone());
        }
        let object = Object {
            version_id: version(stamp, is_null),
            stamp: Stamp(stamp),
            size: 1,
            etag: ETag::single([0; 16]),
            crc64nvme: 0,
            checksum: None,
            owner: bucket.owner.clone(),
            attributes: Attributes::default(),
            controls: Controls::default(),
            upload: None,
            sealed: None,
            lineage: None,
        };
        ObjectRow::of(&object, Location::Overflow, &bucket.owner)
    }

    /// Versions of each key: newest last; whether each is a delete marker.
    type Model = BTreeMap<String, Vec<bool>>;

    fn rows_of(model: &Model) -> (ModelRows, Vec<(String, VersionId, bool, bool)>) {
        let mut rows = ModelRows::default();
        let mut expected = Vec::new();
        let mut stamp = 10;
        for (key, versions) in model {
            let mut of_key = Vec::new();
            for (at, is_marker) in versions.iter().enumerate() {
                stamp += 7;
                let is_null = at == 1;
                let (row, is_newest) = (row(stamp, is_null, *is_marker), at + 1 == versions.len());
                let row: Arc<[u8]> = rows::encode(&row).unwrap().into();
                if is_newest && !is_marker {
                    rows.0.insert(keys::object(BucketId(7), key.as_bytes()), row);
                } else {
                    rows.0.insert(keys::version(BucketId(7), key.as_bytes(), Stamp(stamp)), row);
                    if is_null {
                        let told = rows::encode_stamp(Stamp(stamp)).into();
                        rows.0.insert(keys::null_version(BucketId(7), key.as_bytes()), told);
                    }
                }
                of_key.insert(0, (key.clone(), version(stamp, is_null), is_newest, *is_marker));
            }
            expected.extend(of_key);
        }
        // Neighbours on both sides must never show.
        for other in [6, 8] {
            let neighbour: Arc<[u8]> = rows::encode(&row(1, false, true)).unwrap().into();
            rows.0.insert(keys::version(BucketId(other), b"a", Stamp(1)), Arc::clone(&neighbour));
            rows.0.insert(keys::object(BucketId(other), b"a"), neighbour);
        }
        (rows, expected)
    }

    fn key() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["a", "b", "/", "-", "0", "\0", "\u{1}"]), 1..5)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn pages_add_up_to_the_model(
            model in prop::collection::btree_map(key(), prop::collection::vec(any::<bool>(), 1..5), 0..12),
            prefix in prop::sample::select(vec!["", "a", "b/", "/"]),
            delimiter in prop::sample::select(vec![None, Some("/"), Some("a"), Some("0/")]),
            limit in 1usize..5,
        ) {
            let (rows, all) = rows_of(&model);
            let mut expected: Vec<String> = Vec::new();
            for (key, version, is_latest, is_marker) in all.iter().filter(|(key, ..)| key.starts_with(prefix)) {
                let common = common_prefix(key.as_bytes(), prefix, delimiter).map(|common| format!("prefix {common:?}"));
                let item = common.unwrap_or_else(|| format!("{key:?} {version} {is_latest} {is_marker}"));
                if expected.last() != Some(&item) {
                    expected.push(item);
                }
            }
            let mut query = ListVersions {
                bucket: bucket(),
                prefix: prefix.to_owned(),
                delimiter: delimiter.map(str::to_owned),
                key_after: None,
                version_after: None,
                limit,
            };
            let mut seen = Vec::new();
            loop {
                let page = list_versions(&rows, &query).unwrap();
                let entries = page.entries.iter().enumerate().map(|(at, e)| {
                    let item = format!("{:?} {} {} {}", e.key.as_str(), e.version_id, e.is_latest, e.object.is_none());
                    ((e.key.as_str().to_owned(), at), item)
                });
                let prefixes = page.common_prefixes.iter().map(|p| ((p.clone(), 0), format!("prefix {p:?}")));
                let mut items: Vec<_> = entries.chain(prefixes).collect();
                items.sort();
                prop_assert!(items.len() <= limit);
                prop_assert!(page.next.is_none() || items.len() == limit, "a page that goes on is full");
                seen.extend(items.into_iter().map(|(_, item)| item));
                match page.next {
                    Some((key, version)) => (query.key_after, query.version_after) = (Some(key), version),
                    None => break,
                }
            }
            prop_assert_eq!(seen, expected);
        }
    }
}
