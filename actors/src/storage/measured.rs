//! Rows, batches and listings, for benches.
#![allow(clippy::expect_used, reason = "what cannot be set up ends the run")]

use std::sync::Arc;

use super::index::{RowChange, RowVisitor};
use super::journal::Entry;
use super::overlay::model::ModelRows;
use super::overlay::{Rows, merge};
use super::rows::{self, Location, ObjectRow};
use super::steps::{Place, Source, Step};
use super::{Attributes, Bucket, Controls, ListObjects, Object, StorageError, Versioning, keys, listing};
use crate::names::{BucketId, BucketName, CanonicalId, ETag, Stamp, VersionId};

const BUCKET: BucketId = BucketId(1);

fn owner() -> CanonicalId {
    CanonicalId::from_bytes([1; 32])
}

fn object() -> Object {
    Object {
        version_id: VersionId::Null,
        stamp: Stamp(1_700_000_000_000_000_000),
        size: 4096,
        etag: ETag::single([0x5d; 16]),
        crc64nvme: 0x1234_5678_90ab_cdef,
        checksum: None,
        owner: owner(),
        attributes: Attributes {
            content_type: Some("application/octet-stream".to_owned()),
            user_metadata: vec![("mtime".to_owned(), "1700000000.5".to_owned())],
            ..Attributes::default()
        },
        controls: Controls::default(),
        upload: None,
        sealed: None,
        lineage: None,
    }
}

fn encoded() -> Vec<u8> {
    rows::encode(&ObjectRow::of(&object(), Location::Plain, &owner())).expect("a row can be encoded")
}

fn key(n: usize) -> String {
    format!("folder-{:04}/object-{n:08}", n / 100)
}

/// Encodes the row of an object; gives its size in bytes.
pub fn row_encoding() -> impl FnMut() -> usize {
    let (object, owner) = (object(), owner());
    move || rows::encode(&ObjectRow::of(&object, Location::Plain, &owner)).expect("a row can be encoded").len()
}

/// Decodes the row of an object; gives its stamp.
pub fn row_decoding() -> impl FnMut() -> u64 {
    let (row, owner) = (encoded(), owner());
    let decode = move || rows::decode::<ObjectRow>(&row).and_then(|row| row.into_object(&owner));
    move || decode().expect("a good row").stamp.0
}

/// Encodes a batch of puts with bodies of `body_bytes`; gives its size in bytes.
pub fn batch_encoding(puts: usize, body_bytes: usize) -> impl FnMut() -> usize {
    let put = |n: usize| Entry {
        changes: vec![
            (keys::object(BUCKET, key(n).as_bytes()), Some(encoded().into())),
            (keys::usage(BUCKET), Some(Arc::from([0x83, 1, 2, 3].as_slice()))),
        ],
        steps: vec![Step::Write {
            place: Place {
                bucket_id: BUCKET.0,
                bucket: "photos".to_owned(),
                key: key(n),
                location: Location::Plain,
                stamp: 1_700_000_000_000_000_000,
                clock: None,
            },
            source: Source::Journal,
            size: body_bytes as u64,
            row: 0,
        }],
        body: Some(vec![7; body_bytes].into()),
    };
    super::journal::measured::batch_encoding((0..puts).map(put).collect())
}

/// Recent rows over those of an index, both in memory.
struct Merged {
    recent: Vec<RowChange>,
    below: ModelRows,
}

impl Rows for Merged {
    fn get(&self, key: &[u8]) -> Result<Option<Arc<[u8]>>, StorageError> {
        self.below.get(key)
    }

    fn scan(&self, start: &[u8], end: &[u8], row: &mut RowVisitor<'_>) -> Result<(), StorageError> {
        let first = self.recent.partition_point(|(key, _)| key.as_slice() < start);
        merge(self.recent.iter().skip(first), row, |row| self.below.scan(start, end, row))
    }
}

/// Lists a page of 1000 from the middle of a bucket of `objects`, a tenth of which the index does not have yet; gives its
/// entries and common prefixes.
pub fn listing_page(objects: usize, delimiter: Option<&str>) -> impl FnMut() -> usize {
    let row = |n: usize| (keys::object(BUCKET, key(n).as_bytes()), Arc::from(encoded()));
    let recent = (0..objects).step_by(10).map(row).map(|(key, value)| (key, Some(value))).collect();
    let below = ModelRows((0..objects).filter(|n| n % 10 != 0).map(row).collect());
    let view = Merged { recent, below };
    let bucket = Bucket {
        id: BUCKET,
        name: BucketName::parse("photos").expect("a bucket name"),
        owner: owner(),
        created: Stamp(1),
        versioning: Versioning::Off,
        config: Arc::default(),
    };
    let query = ListObjects {
        bucket: Arc::new(bucket),
        prefix: String::new(),
        delimiter: delimiter.map(str::to_owned),
        after: Some(key(objects / 2)),
        after_is_prefix: false,
        limit: 1000,
    };
    move || {
        let page = listing::list_objects(&view, &query).expect("a page");
        page.entries.len() + page.common_prefixes.len()
    }
}
