//! Walking over all slots of a bucket, key by key: objects, other versions, and what was deleted.

use crate::names::NodeId;
use crate::names::{BucketId, ObjectKey, VersionId};
use crate::storage::keys::{self, RowKind};
use crate::storage::messages::{Slot, SlotPage, SlotState, WalkPosition};
use crate::storage::overlay::{LiveRows, Rows};
use crate::storage::read::find_version;
use crate::storage::rows::{self, ObjectRow, TombstoneRow};
use crate::storage::{Bucket, StorageError};

/// Slots behind `after`, about so many at most. Frozen as they are now, so that what moves from one table to another is not missed.
pub(in crate::storage) fn walk(
    live: &LiveRows,
    bucket: BucketId,
    after: Option<&WalkPosition>,
    limit: usize,
) -> Result<SlotPage, StorageError> {
    let tables = [keys::objects(bucket), keys::versions(bucket), keys::tombstones(bucket)];
    let ranges: Vec<_> = tables.iter().map(|(start, end)| (start.as_slice(), end.as_slice())).collect();
    let view = live.view_of(&ranges)?;
    let mut page = SlotPage::default();
    let mut last = None;
    let begin = after.and_then(|after| keys::kind(&after.0).and_then(key_of).map(|key| (key, after.0.clone())));
    let mut key = match begin {
        Some((key, from)) => {
            of_key(&view, bucket, &key, Some(&from), &mut page, &mut last, limit)?;
            if page.slots.len() >= limit { None } else { next_key(&view, bucket, Some(&key))? }
        }
        None => next_key(&view, bucket, None)?,
    };
    while let Some(next) = key {
        of_key(&view, bucket, &next, None, &mut page, &mut last, limit)?;
        if page.slots.len() >= limit {
            break;
        }
        key = next_key(&view, bucket, Some(&next))?;
    }
    if page.slots.len() >= limit {
        page.next = last.map(WalkPosition);
    }
    Ok(page)
}

fn key_of(kind: RowKind) -> Option<Vec<u8>> {
    match kind {
        RowKind::Object(_, key) | RowKind::Version(_, key, _) | RowKind::Tombstone(_, key, _) => Some(key),
        _ => None,
    }
}

/// The first key of any table behind one.
fn next_key(view: &dyn Rows, bucket: BucketId, after: Option<&[u8]>) -> Result<Option<Vec<u8>>, StorageError> {
    let ranges = match after {
        None => [keys::objects(bucket), keys::versions(bucket), keys::tombstones(bucket)],
        Some(after) => {
            let behind = [keys::object(bucket, after).as_slice(), &[0]].concat();
            [
                (behind, keys::objects(bucket).1),
                (keys::versions_of(bucket, after).1, keys::versions(bucket).1),
                (keys::tombstones_of(bucket, after).1, keys::tombstones(bucket).1),
            ]
        }
    };
    let mut next: Option<Vec<u8>> = None;
    for (start, end) in ranges {
        let found = view.first(&start, &end)?.as_deref().and_then(keys::kind).and_then(key_of);
        next = match (next, found) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    Ok(next)
}

/// The slots of one key, behind the row `from`.
fn of_key(
    view: &dyn Rows,
    bucket: BucketId,
    key: &[u8],
    from: Option<&[u8]>,
    page: &mut SlotPage,
    last: &mut Option<Vec<u8>>,
    limit: usize,
) -> Result<(), StorageError> {
    let name = ObjectKey::parse(key).map_err(|error| StorageError::Index(format!("malformed key: {error}")))?;
    let object = keys::object(bucket, key);
    let object_end = [object.as_slice(), &[0]].concat();
    for (first, end) in [(object, object_end), keys::versions_of(bucket, key), keys::tombstones_of(bucket, key)] {
        let start = match from {
            Some(from) if from >= first.as_slice() => [from, &[0]].concat(),
            _ => first,
        };
        if start >= end || page.slots.len() >= limit {
            continue;
        }
        view.scan(&start, &end, &mut |row_key, row| {
            let (version, size) = match keys::kind(row_key) {
                Some(RowKind::Tombstone(_, _, version)) => (version, 0),
                _ => {
                    let row: ObjectRow = rows::decode(row)?;
                    (row.version.map(|_| row.clock().0), row.size)
                }
            };
            page.slots.push((Slot { key: name.clone(), version }, size));
            *last = Some(row_key.to_vec());
            Ok(page.slots.len() < limit)
        })?;
    }
    Ok(())
}

/// What a slot holds now.
pub(in crate::storage) fn slot_state(
    rows: &dyn Rows,
    own: NodeId,
    bucket: &Bucket,
    slot: &Slot,
) -> Result<SlotState, StorageError> {
    if let Some((_, row)) = slot_row(rows, bucket, slot)? {
        let (version_id, is_marker) = (row.version_id(), row.is_marker());
        let object = row.into_object(&bucket.owner)?;
        if !is_marker {
            return Ok(SlotState::Object(std::sync::Arc::new(object)));
        }
        let (change, seen, modified) = (object.change(own), object.seen(), object.modified());
        return Ok(SlotState::Marker { version_id, change, seen, modified });
    }
    let row = rows.get(&keys::tombstone(bucket.id, slot.key.as_bytes(), slot.version))?;
    let Some(row) = row.map(|row| rows::decode::<TombstoneRow>(&row)).transpose()? else { return Ok(SlotState::Gone) };
    let version_id = match (slot.version, row.version) {
        (Some(clock), Some(random)) => VersionId::Unique { stamp: crate::names::Stamp(clock), random },
        _ => VersionId::Null,
    };
    let lineage = row.into_lineage()?;
    Ok(SlotState::Deleted { version_id, change: lineage.change, seen: lineage.seen })
}

/// The row of the object or delete marker in a slot, with its key.
pub(in crate::storage) fn slot_row(
    rows: &dyn Rows,
    bucket: &Bucket,
    slot: &Slot,
) -> Result<Option<(Vec<u8>, ObjectRow)>, StorageError> {
    let Some(clock) = slot.version else { return find_version(rows, bucket.id, &slot.key, VersionId::Null) };
    let is_it = |row: &ObjectRow| row.version.is_some() && row.clock().0 == clock;
    let object = keys::object(bucket.id, slot.key.as_bytes());
    let version = keys::version(bucket.id, slot.key.as_bytes(), crate::names::Stamp(clock));
    // Looked at twice: between the looks it may have moved from the versions to the objects.
    for row_key in [&object, &version, &object] {
        let row = rows.get(row_key)?.map(|row| rows::decode::<ObjectRow>(&row)).transpose()?;
        if let Some(row) = row.filter(is_it) {
            return Ok(Some((row_key.clone(), row)));
        }
    }
    Ok(None)
}
