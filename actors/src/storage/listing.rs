//! Listings as pure rules over ordered rows: prefixes, delimiters, markers and exact truncation. No I/O of their own.
//!
//! Cost is that of the page, not of the bucket: behind a common prefix the scan seeks to its end.

use std::sync::Arc;

use super::messages::{KeyEntry, ListObjects, ListParts, ListUploads, ObjectPage, PartPage, Upload, UploadPage};
use super::overlay::Rows;
use super::rows::{self, ObjectRow, PartRow, UploadRow};
use super::{StorageError, keys};
use crate::names::{BucketId, ObjectKey};

/// How the keys of a table become row keys and back.
struct Table {
    /// The row key at which keys that begin with these bytes begin.
    start_of: fn(BucketId, &[u8]) -> Vec<u8>,
    /// The object key inside a row key.
    key_of: fn(&[u8]) -> Option<Vec<u8>>,
}

const OBJECTS: Table = Table { start_of: keys::object, key_of: |row| Some(keys::object_key(row).to_vec()) };
const UPLOADS: Table = Table {
    start_of: |bucket, key| {
        let (mut row, _) = keys::uploads(bucket);
        keys::push_escaped(&mut row, key);
        row
    },
    key_of: |row| keys::split_upload(row).map(|(key, _)| key),
};

struct Query<'q> {
    bucket: BucketId,
    prefix: &'q str,
    delimiter: Option<&'q str>,
    limit: usize,
    /// First row key to look at.
    start: Vec<u8>,
}

/// What stands last on a page.
enum Last {
    Key(Vec<u8>),
    Prefix(String),
}

struct Walked {
    common_prefixes: Vec<String>,
    /// The last item, when more follow.
    next: Option<Last>,
}

/// The part of `key` up to the first delimiter behind the prefix, if it has one.
pub(super) fn common_prefix<'k>(key: &'k [u8], prefix: &str, delimiter: Option<&str>) -> Option<&'k str> {
    let delimiter = delimiter?.as_bytes();
    let rest = key.get(prefix.len()..)?;
    let at = rest.windows(delimiter.len().max(1)).position(|w| w == delimiter)?;
    std::str::from_utf8(key.get(..prefix.len() + at + delimiter.len())?).ok()
}

/// Takes row key, object key and row.
type EntryVisitor<'a> = dyn FnMut(&[u8], Vec<u8>, &[u8]) -> Result<(), StorageError> + 'a;

/// Walks one page, handing each row that is no part of a common prefix to `entry`.
fn walk(
    view: &dyn Rows,
    table: &Table,
    query: Query<'_>,
    entry: &mut EntryVisitor<'_>,
) -> Result<Walked, StorageError> {
    let mut walked = Walked { common_prefixes: Vec::new(), next: None };
    if query.limit == 0 {
        return Ok(walked);
    }
    let first = (table.start_of)(query.bucket, query.prefix.as_bytes());
    let end = keys::successor(&first);
    let mut start = query.start.max(first);
    let (mut count, mut last, mut more) = (0, None, false);
    loop {
        let mut jump = None;
        view.scan(&start, &end, &mut |row_key, value| {
            if count == query.limit {
                more = true;
                return Ok(false);
            }
            let key = (table.key_of)(row_key).ok_or_else(|| StorageError::Index("malformed row key".to_owned()))?;
            count += 1;
            if let Some(common) = common_prefix(&key, query.prefix, query.delimiter) {
                jump = Some(keys::successor(&(table.start_of)(query.bucket, common.as_bytes())));
                walked.common_prefixes.push(common.to_owned());
                last = Some(Last::Prefix(common.to_owned()));
                return Ok(false);
            }
            last = Some(Last::Key(key.clone()));
            entry(row_key, key, value)?;
            Ok(true)
        })?;
        match jump {
            Some(next) if next < end => start = next,
            _ => break,
        }
    }
    walked.next = if more { last } else { None };
    Ok(walked)
}

pub(super) fn text(key: Vec<u8>) -> Result<String, StorageError> {
    String::from_utf8(key).map_err(|_| StorageError::Index("key that is not UTF-8".to_owned()))
}

pub(super) fn object_key(key: &[u8]) -> Result<ObjectKey, StorageError> {
    ObjectKey::parse(key).map_err(|e| StorageError::Index(format!("malformed key: {e}")))
}

fn behind(table: &Table, bucket: BucketId, after: &str, is_prefix: bool) -> Vec<u8> {
    let mut row = (table.start_of)(bucket, after.as_bytes());
    if is_prefix {
        return keys::successor(&row);
    }
    // Behind one key means at the smallest longer one; in escaped tables `00 02` is behind its end mark `00 01`.
    if std::ptr::fn_addr_eq(table.start_of, OBJECTS.start_of) {
        row.push(0)
    } else {
        row.extend_from_slice(&[0, 2])
    }
    row
}

/// A page of current objects.
pub(super) fn list_objects(view: &dyn Rows, query: &ListObjects) -> Result<ObjectPage, StorageError> {
    let bucket = query.bucket.id;
    let start = query.after.as_ref().map(|after| behind(&OBJECTS, bucket, after, query.after_is_prefix));
    let mut entries = Vec::new();
    let walk_query = Query {
        bucket,
        prefix: &query.prefix,
        delimiter: query.delimiter.as_deref().filter(|d| !d.is_empty()),
        limit: query.limit,
        start: start.unwrap_or_default(),
    };
    let walked = walk(view, &OBJECTS, walk_query, &mut |_, key, value| {
        let object = rows::decode::<ObjectRow>(value)?.into_object(&query.bucket.owner)?;
        entries.push(KeyEntry { key: object_key(&key)?, object: Arc::new(object) });
        Ok(())
    })?;
    let (next, next_is_prefix) = match walked.next {
        Some(Last::Key(key)) => (Some(text(key)?), false),
        Some(Last::Prefix(prefix)) => (Some(prefix), true),
        None => (None, false),
    };
    Ok(ObjectPage { entries, common_prefixes: walked.common_prefixes, next, next_is_prefix })
}

/// A page of uploads in progress.
pub(super) fn list_uploads(view: &dyn Rows, query: &ListUploads) -> Result<UploadPage, StorageError> {
    let bucket = query.bucket.id;
    let delimiter = query.delimiter.as_deref().filter(|d| !d.is_empty());
    let start = match (&query.key_after, query.upload_after) {
        (Some(key), Some(upload)) => {
            let mut row = keys::upload(bucket, key.as_bytes(), upload);
            row.push(0);
            Some(row)
        }
        (Some(key), None) => {
            let is_prefix = common_prefix(key.as_bytes(), &query.prefix, delimiter).is_some_and(|p| p == key.as_str());
            Some(behind(&UPLOADS, bucket, key, is_prefix))
        }
        (None, _) => None,
    };
    let mut entries: Vec<Arc<Upload>> = Vec::new();
    let walk_query =
        Query { bucket, prefix: &query.prefix, delimiter, limit: query.limit, start: start.unwrap_or_default() };
    let walked = walk(view, &UPLOADS, walk_query, &mut |row_key, key, value| {
        let (_, id) = keys::split_upload(row_key).ok_or_else(|| StorageError::Index("malformed row".to_owned()))?;
        entries.push(Arc::new(rows::decode::<UploadRow>(value)?.into_upload(object_key(&key)?, id)?));
        Ok(())
    })?;
    let next = match walked.next {
        Some(Last::Key(key)) => Some((text(key)?, entries.last().map(|u| u.id))),
        Some(Last::Prefix(prefix)) => Some((prefix, None)),
        None => None,
    };
    Ok(UploadPage { entries, common_prefixes: walked.common_prefixes, next })
}

/// A page of the parts of `upload`. What a scrub has found damaged is as good as never sent, so that who goes on with the upload sends it
/// again.
pub(super) fn list_parts(view: &dyn Rows, query: &ListParts, upload: Arc<Upload>) -> Result<PartPage, StorageError> {
    let (first, end) = keys::parts(query.bucket.id, query.upload);
    let mut page = PartPage { upload, parts: Vec::new(), next: None };
    if query.limit == 0 {
        return Ok(page);
    }
    let mut more = false;
    view.scan(&first, &end, &mut |row_key, value| {
        let number = keys::part_number(row_key).ok_or_else(|| StorageError::Index("malformed row".to_owned()))?;
        if u32::from(number.get()) <= query.number_after {
            return Ok(true);
        }
        let row = rows::decode::<PartRow>(value)?;
        if row.damaged.is_some() {
            return Ok(true);
        }
        if page.parts.len() == query.limit {
            more = true;
            return Ok(false);
        }
        page.parts.push(row.to_part(number)?);
        Ok(true)
    })?;
    page.next = if more { page.parts.last().map(|p| p.number) } else { None };
    Ok(page)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::names::{BucketName, CanonicalId, ETag, Stamp, VersionId};
    use crate::storage::messages::{Attributes, Bucket, Controls, Object, Versioning};
    use crate::storage::overlay::model::ModelRows;
    use crate::storage::rows::Location;

    fn bucket() -> Arc<Bucket> {
        Arc::new(Bucket {
            id: BucketId(7),
            name: BucketName::parse("things").unwrap(),
            owner: CanonicalId::from_bytes([1; 32]),
            created: Stamp(0),
            versioning: Versioning::Off,
            config: Arc::default(),
        })
    }

    fn rows(names: &BTreeSet<String>) -> ModelRows {
        let object = Object {
            version_id: VersionId::Null,
            stamp: Stamp(1),
            size: 1,
            etag: ETag::single([0; 16]),
            crc64nvme: 0,
            checksum: None,
            owner: CanonicalId::from_bytes([1; 32]),
            attributes: Attributes::default(),
            controls: Controls::default(),
            upload: None,
            sealed: None,
            lineage: None,
        };
        let row: Arc<[u8]> = rows::encode(&ObjectRow::of(&object, Location::Plain, &object.owner)).unwrap().into();
        let mut model = ModelRows::default();
        for bucket in [6, 7, 8] {
            // Neighbours on both sides must never show.
            for name in names {
                model.0.insert(keys::object(BucketId(bucket), name.as_bytes()), Arc::clone(&row));
            }
        }
        model
    }

    /// What S3 promises, by brute force: every item of the whole listing in order.
    fn expected(names: &BTreeSet<String>, prefix: &str, delimiter: Option<&str>, after: Option<&str>) -> Vec<String> {
        let mut items: Vec<String> = Vec::new();
        for name in names.iter().filter(|n| n.starts_with(prefix) && after.is_none_or(|after| n.as_str() > after)) {
            let rolled =
                delimiter.and_then(|d| name[prefix.len()..].find(d).map(|at| &name[..prefix.len() + at + d.len()]));
            let item = rolled.map_or_else(|| format!("key {name}"), |common| format!("prefix {common}"));
            if items.last() != Some(&item) {
                items.push(item);
            }
        }
        items
    }

    fn key() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["a", "b", "/", "//", "-", "0", "é", "\0", "\u{1}"]), 1..6)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn pages_add_up_to_the_sorted_model(
            names in prop::collection::btree_set(key(), 0..25),
            prefix in prop::option::of(key()),
            delimiter in prop::sample::select(vec![None, Some("/"), Some("//"), Some("a"), Some("é"), Some("b/")]),
            start in prop::option::of(key()),
            limit in 1usize..6,
        ) {
            let prefix = prefix.map(|p| p.chars().take(2).collect::<String>()).unwrap_or_default();
            let model = rows(&names);
            let mut query = ListObjects {
                bucket: bucket(),
                prefix: prefix.clone(),
                delimiter: delimiter.map(str::to_owned),
                after: start.clone(),
                after_is_prefix: false,
                limit,
            };
            let mut seen = Vec::new();
            loop {
                let page = list_objects(&model, &query).unwrap();
                let entries = page.entries.iter().map(|e| (e.key.as_str().to_owned(), format!("key {}", e.key)));
                let prefixes = page.common_prefixes.iter().map(|p| (p.clone(), format!("prefix {p}")));
                let mut items: Vec<_> = entries.chain(prefixes).collect();
                items.sort();
                prop_assert!(items.len() <= limit);
                prop_assert!(page.next.is_none() || items.len() == limit, "a page that goes on is full");
                prop_assert_eq!(page.next.as_ref(), page.next.as_ref().and(items.last().map(|(at, _)| at)));
                seen.extend(items.into_iter().map(|(_, item)| item));
                match page.next {
                    Some(next) => (query.after, query.after_is_prefix) = (Some(next), page.next_is_prefix),
                    None => break,
                }
            }
            prop_assert_eq!(seen, expected(&names, &prefix, delimiter, start.as_deref()));
        }
    }

    #[test]
    fn no_limit_no_page() {
        let names = BTreeSet::from(["a".to_owned()]);
        let query = ListObjects {
            bucket: bucket(),
            prefix: String::new(),
            delimiter: None,
            after: None,
            after_is_prefix: false,
            limit: 0,
        };
        let page = list_objects(&rows(&names), &query).unwrap();
        assert!(page.entries.is_empty() && page.next.is_none());
    }
}
