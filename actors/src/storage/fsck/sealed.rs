//! What is looked at of encrypted objects beyond size, time and checksum: the heads of their segments, and their parts.

use super::check::Check;
use super::rows::name;
use super::{Difference, Mend};
use crate::names::{BucketId, Stamp};
use crate::storage::StorageError;
use crate::storage::disk::DiskFile;
use crate::storage::edits::open_plain;
use crate::storage::keys;
use crate::storage::rows::{self, ObjectRow, PartListRow};
use crate::storage::segments::{self, Segment};
use crate::storage::steps::Place;

/// The segments of the object's file, if they are the row's.
fn segments_of(file: &DiskFile, place: &Place, row: &ObjectRow) -> Result<Option<Vec<Segment>>, StorageError> {
    let walked = segments::walk(file, row.stored_size()).map_err(|e| StorageError::io("read", place.path(), e))?;
    Ok(walked.ok().filter(|found| segments::are_of(row, found)))
}

/// The list of parts as the file's heads tell it.
pub(super) fn part_list(
    check: &Check<'_>,
    place: &Place,
    row: &ObjectRow,
) -> Result<Option<PartListRow>, StorageError> {
    let Some(file) = open_plain(&check.opened.disk, &place.path())? else { return Ok(None) };
    Ok(segments_of(&file, place, row)?.map(|found| segments::part_list(&found, listed(check, place, row))))
}

/// The list of parts as the index has it.
fn listed(check: &Check<'_>, place: &Place, row: &ObjectRow) -> Option<PartListRow> {
    let list = keys::part_list(BucketId(place.bucket_id), Stamp(row.stamp));
    let list = check.opened.rows.index.snapshot().and_then(|rows| rows.get(&list)).ok().flatten()?;
    rows::decode(&list).ok()
}

/// The heads of a file whose bytes are those that were stored must be the row's, and its parts those of the list.
pub(super) fn heads(check: &mut Check<'_>, place: &Place, row: &ObjectRow) -> Result<(), StorageError> {
    let Some(file) = open_plain(&check.opened.disk, &place.path())? else { return Ok(()) };
    let Some(found) = segments_of(&file, place, row)? else {
        check.tell(
            Difference::DamagedFile,
            name(place),
            "the heads of its segments are not those of the object",
            false,
        );
        return Ok(());
    };
    if row.listed_parts().is_none() {
        return Ok(());
    }
    let list = listed(check, place, row);
    let parts = |list: &PartListRow| list.parts.iter().map(|part| (part.number, part.size)).collect::<Vec<_>>();
    let told = segments::part_list(&found, list.clone());
    if list.as_ref().map(parts) != Some(parts(&told)) {
        let mended = check.may(Mend::Safely);
        check.tell(Difference::WrongParts, name(place), "the parts that its file tells are others", mended);
        if mended {
            let row_key = keys::part_list(BucketId(place.bucket_id), Stamp(row.stamp));
            check.change(row_key, Some(rows::encode(&told)?))?;
        }
    }
    Ok(())
}
