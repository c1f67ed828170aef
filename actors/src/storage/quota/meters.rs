//! Meters: what the keys of a prefix, or the things of a user, add up to. Pure: no I/O of its own.
//!
//! A meter is a row that is there while a quota asks for it. Each commit keeps it (`plan/quota.rs`); what was there before is walked
//! in the order of keys, some rows in each commit.
//!
//! INVARIANT: a meter is the sum over the rows of objects, versions and uploads (of these, of their parts) up to the place that
//! its walk has come to. A commit that changes a row behind that place leaves it to the walk. When the walk has been everywhere, the
//! meter is the sum over all of them.

use std::collections::HashMap;

use crate::names::{BucketId, CanonicalId};
use crate::storage::StorageError;
use crate::storage::keys::{self, KeyRange, RowKind};
use crate::storage::messages::{Quantity, QuotaScope};
use crate::storage::overlay::Rows;
use crate::storage::rows::{self, MeterRow, ObjectRow, PartRow, UploadRow};

/// One meter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meter {
    pub counted: Quantity,
    /// Key of the last row that the walk has looked at, empty at first; none when it has been everywhere.
    pub after: Option<Vec<u8>>,
}

impl Meter {
    /// One that nothing was counted of yet.
    pub fn begun() -> Self {
        Self { counted: Quantity::default(), after: Some(Vec::new()) }
    }

    pub fn is_complete(&self) -> bool {
        self.after.is_none()
    }

    /// Whether the walk has been at a row.
    pub fn covers(&self, row_key: &[u8]) -> bool {
        self.after.as_ref().is_none_or(|after| row_key <= after.as_slice())
    }
}

impl From<MeterRow> for Meter {
    fn from(row: MeterRow) -> Self {
        let counted = Quantity { bytes: row.bytes, objects: row.objects };
        Self { counted, after: row.after.map(Into::into) }
    }
}

impl From<&Meter> for MeterRow {
    fn from(meter: &Meter) -> Self {
        let Quantity { bytes, objects } = meter.counted;
        Self { objects, bytes, after: meter.after.clone().map(Into::into) }
    }
}

/// All meters.
#[derive(Debug, Clone, Default)]
pub struct Meters {
    meters: HashMap<QuotaScope, Meter>,
    owners: usize,
}

impl Meters {
    pub fn get(&self, scope: &QuotaScope) -> Option<&Meter> {
        self.meters.get(scope)
    }

    /// Whether what somebody owns is metered.
    pub fn has_owners(&self) -> bool {
        self.owners > 0
    }

    /// Sets or removes one.
    pub fn set(&mut self, scope: QuotaScope, meter: Option<Meter>) {
        let is_owner = usize::from(matches!(scope, QuotaScope::Owner(_)));
        let before = match meter {
            Some(meter) => {
                self.owners += is_owner;
                self.meters.insert(scope, meter)
            }
            None => self.meters.remove(&scope),
        };
        self.owners -= before.map_or(0, |_| is_owner);
    }

    pub fn iter(&self) -> impl Iterator<Item = (&QuotaScope, &Meter)> {
        self.meters.iter()
    }
}

/// The key of a meter's row; none for what is counted otherwise.
pub fn row_key(scope: &QuotaScope) -> Option<Vec<u8>> {
    match scope {
        QuotaScope::Bucket(_) => None,
        QuotaScope::Prefix(bucket, prefix) => Some(keys::prefix_meter(*bucket, prefix.as_bytes())),
        QuotaScope::Owner(owner) => Some(keys::owner_meter(owner)),
    }
}

/// Whether a meter is of a key of a bucket.
pub fn is_of_key(scope: &QuotaScope, bucket: BucketId, key: &[u8]) -> bool {
    match scope {
        QuotaScope::Prefix(of, prefix) => *of == bucket && key.starts_with(prefix.as_bytes()),
        QuotaScope::Bucket(_) | QuotaScope::Owner(_) => false,
    }
}

/// What one row adds to meters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub row_key: Vec<u8>,
    pub bucket: BucketId,
    pub key: Vec<u8>,
    pub owner: CanonicalId,
    pub quantity: Quantity,
}

/// What the row of an object or version adds; none for a delete marker.
pub fn of_object(
    row_key: &[u8],
    (bucket, key): (BucketId, &[u8]),
    row: &ObjectRow,
    bucket_owner: &CanonicalId,
) -> Option<Entry> {
    let owner = row.owner.map_or_else(|| bucket_owner.clone(), |owner| CanonicalId::from_bytes(owner.into()));
    let quantity = Quantity { bytes: row.size, objects: 1 };
    (!row.is_marker()).then(|| Entry { row_key: row_key.to_vec(), bucket, key: key.to_vec(), owner, quantity })
}

/// Some rows, and where to go on.
#[derive(Debug, Default)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// The key of the last row; none when there are no more.
    pub next: Option<Vec<u8>>,
}

/// The ranges of rows that can add to a meter, in the order of their keys.
pub fn ranges(scope: &QuotaScope) -> [KeyRange; 4] {
    match scope {
        QuotaScope::Bucket(bucket) => keys::holdings_below(*bucket, b""),
        QuotaScope::Prefix(bucket, prefix) => keys::holdings_below(*bucket, prefix.as_bytes()),
        QuotaScope::Owner(_) => keys::all_holdings(),
    }
}

/// Looks at the objects, versions and uploads of `ranges` whose rows come behind `after`: about so many rows at most. Rows of buckets
/// that `owner_of` does not know are passed over.
pub fn walk(
    rows: &dyn Rows,
    ranges: [KeyRange; 4],
    after: &[u8],
    rows_max: usize,
    owner_of: &dyn Fn(BucketId) -> Option<CanonicalId>,
) -> Result<Page, StorageError> {
    let mut page = Page::default();
    let mut looked_at = 0;
    // Rows of one bucket follow each other.
    let mut owner: Option<(BucketId, Option<CanonicalId>)> = None;
    for (first, end) in ranges {
        let start = if after >= first.as_slice() { [after, &[0]].concat() } else { first };
        if start >= end {
            continue;
        }
        let mut is_full = false;
        rows.scan(&start, &end, &mut |row_key, row| {
            let malformed = || StorageError::Index("malformed row key".to_owned());
            let kind = keys::kind(row_key).ok_or_else(malformed)?;
            let (RowKind::Object(bucket, key)
            | RowKind::Version(bucket, key, _)
            | RowKind::Upload(bucket, key, _)
            | RowKind::Conflict(bucket, key, ..)) = &kind
            else {
                return Err(malformed());
            };
            if owner.as_ref().is_none_or(|(of, _)| of != bucket) {
                owner = Some((*bucket, owner_of(*bucket)));
            }
            if let Some((_, Some(bucket_owner))) = &owner {
                match &kind {
                    RowKind::Upload(_, _, upload) => {
                        let (parts, bytes) = parts_of(rows, *bucket, *upload)?;
                        looked_at += parts;
                        let owner = rows::decode::<UploadRow>(row)?.owner()?;
                        let quantity = Quantity { bytes, objects: 0 };
                        let row_key = row_key.to_vec();
                        page.entries.push(Entry { row_key, bucket: *bucket, key: key.clone(), owner, quantity });
                    }
                    // A version that is counted where it is.
                    RowKind::Conflict(..) if row.is_empty() => {}
                    _ => {
                        let row = rows::decode(row)?;
                        page.entries.extend(of_object(row_key, (*bucket, key), &row, bucket_owner));
                    }
                }
            }
            looked_at += 1;
            page.next = Some(row_key.to_vec());
            is_full = looked_at >= rows_max;
            Ok(!is_full)
        })?;
        if is_full {
            return Ok(page);
        }
    }
    page.next = None;
    Ok(page)
}

/// Number and bytes of the parts of an upload.
fn parts_of(rows: &dyn Rows, bucket: BucketId, upload: crate::names::UploadId) -> Result<(usize, u64), StorageError> {
    let (start, end) = keys::parts(bucket, upload);
    let (mut count, mut bytes) = (0, 0u64);
    rows.scan(&start, &end, &mut |_, row| {
        bytes = bytes.saturating_add(rows::decode::<PartRow>(row)?.size);
        count += 1;
        Ok(true)
    })?;
    Ok((count, bytes))
}

/// Adds what entries have for a meter.
pub fn count<'a>(scope: &QuotaScope, counted: &mut Quantity, entries: impl Iterator<Item = &'a Entry>) {
    for Entry { bucket, key, owner, quantity, .. } in entries {
        let is_its_own = match scope {
            QuotaScope::Owner(of) => of == owner,
            scope => is_of_key(scope, *bucket, key),
        };
        if is_its_own {
            counted.bytes = counted.bytes.saturating_add(quantity.bytes);
            counted.objects = counted.objects.saturating_add(quantity.objects);
        }
    }
}
