//! What lost against changes that had not seen it: reading it, and choosing.

use std::sync::Arc;

use crate::names::{BucketId, ObjectKey, Stamp, VersionId};
use crate::storage::StorageError;
use crate::storage::keys::{self, RowKind};
use crate::storage::messages::{Bucket, Conflict};
use crate::storage::overlay::{LiveRows, Rows};
use crate::storage::read::find_version;
use crate::storage::rows::{self, ObjectRow};

/// Conflicts of a bucket behind one, in order of keys, later ones of a key first.
pub(super) fn page(
    live: &LiveRows,
    bucket: &Bucket,
    after: Option<&(ObjectKey, VersionId)>,
    limit: usize,
) -> Result<Vec<Conflict>, StorageError> {
    let (start, end) = keys::conflicts(bucket.id);
    let start = match after {
        Some((key, VersionId::Unique { stamp, random })) => {
            [keys::conflict(bucket.id, key.as_bytes(), stamp.0, *random).as_slice(), &[0]].concat()
        }
        _ => start,
    };
    let mut found = Vec::new();
    live.scan(&start, &end, &mut |row_key, row| {
        if let Some(RowKind::Conflict(_, key, clock, random)) = keys::kind(row_key) {
            found.push((key, VersionId::Unique { stamp: Stamp(clock), random }, row.to_vec()));
        }
        Ok(found.len() < limit)
    })?;
    let mut conflicts = Vec::with_capacity(found.len());
    for (key, version_id, row) in found {
        let key = ObjectKey::parse(&key).map_err(|error| StorageError::Index(format!("malformed key: {error}")))?;
        let is_version = row.is_empty();
        let row = match is_version {
            // It may have been deleted between the two looks.
            true => find_version(live, bucket.id, &key, version_id)?.map(|(_, row)| row),
            false => Some(rows::decode::<ObjectRow>(&row)?),
        };
        let Some(row) = row.filter(|row| !row.is_marker()) else { continue };
        let object = Arc::new(row.into_object(&bucket.owner)?);
        conflicts.push(Conflict { key, version_id, object, is_version });
    }
    Ok(conflicts)
}

/// The row of a conflict copy, which is no version, with its key.
pub(in crate::storage) fn copy_row(
    rows: &dyn Rows,
    bucket: BucketId,
    key: &ObjectKey,
    version: VersionId,
) -> Result<Option<(Vec<u8>, ObjectRow)>, StorageError> {
    let VersionId::Unique { stamp, random } = version else { return Ok(None) };
    let row_key = keys::conflict(bucket, key.as_bytes(), stamp.0, random);
    match rows.get(&row_key)?.filter(|row| !row.is_empty()) {
        Some(row) => Ok(Some((row_key, rows::decode(&row)?))),
        None => Ok(None),
    }
}
