//! The copy of a row that goes with an object's file: an encrypted object would be lost with the index without it, and of any other it
//! tells whether the row is still what was written.
//!
//! Neither of the two has a checksum. Where both can be read and differ, nothing tells which is right: it is told and not mended. What
//! changes the object's tags or ACL, or puts it again, writes both.

use super::check::Check;
use super::rows::name;
use super::{Difference, Mend};
use crate::names::Stamp;
use crate::storage::StorageError;
use crate::storage::disk::FileStamp;
use crate::storage::rows::{self, FileTag, ObjectRow};
use crate::storage::steps::Place;
use crate::storage::tags;

/// Any file system that keeps tags keeps those of up to so many bytes. Of a larger one that could not be renewed, an earlier state is left.
const KEPT_BYTES: usize = 3 << 10;

/// Compares the row of a file that is its own with the `tag` of that file; `is_noncurrent` as its row is.
pub(super) fn compare(
    check: &mut Check<'_>,
    place: &Place,
    row: &ObjectRow,
    is_noncurrent: bool,
    tag: Option<&[u8]>,
) -> Result<(), StorageError> {
    if !check.opened.disk.keeps_tags() {
        return Ok(());
    }
    let own = tags::of_file(place, row, is_noncurrent);
    match tag.map(rows::decode::<FileTag>) {
        Some(Ok(there)) if !is_of_other(&own, &there) => {
            let differing = differing(&own, &there, rows::encode(&own)?.len());
            if !differing.is_empty() {
                tell(check, place, &differing);
            } else if own.sealed.is_some() && !tags::is_enough(&there, &own) {
                renew(check, place, &own)?;
            }
            Ok(())
        }
        // Who copies files without their attributes loses those of plain objects: only a loss of the index would show it.
        None | Some(Ok(_)) if row.sealed.is_none() => Ok(()),
        _ => renew(check, place, &own),
    }
}

/// Whether a file has another time than its row since the time in the row is not the one that was written: the tag still tells that of the
/// file. Tells so.
pub(super) fn tells_time(
    check: &mut Check<'_>,
    place: &Place,
    row: &ObjectRow,
    there: &FileStamp,
    tag: Option<&[u8]>,
) -> bool {
    let tag = tag.and_then(|tag| rows::decode::<FileTag>(tag).ok());
    let is_told = tag.is_some_and(|tag| {
        let is_files = check.opened.disk.rounded(Stamp(tag.stamp)) == there.modified;
        tag.stamp != row.stamp && is_files && (tag.md5, tag.crc64nvme) == (row.md5, row.crc64nvme)
    });
    if is_told {
        tell(check, place, &["the time"]);
    }
    is_told
}

fn tell(check: &mut Check<'_>, place: &Place, differing: &[&str]) {
    let detail = format!(
        "index and file do not tell the same of it, and nothing tells which is right: {}; put it again, or its tags",
        differing.join(", ")
    );
    check.tell(Difference::DifferingTag, name(place), detail, false);
}

/// Whether a tag came with a copy of another object's file.
fn is_of_other(own: &FileTag, there: &FileTag) -> bool {
    own.stamp != there.stamp && (own.md5, own.crc64nvme) != (there.md5, there.crc64nvme)
}

/// In what two records of one object differ; `bytes` of the row's own. What few tags have is not looked at: the sizes of parts, and the key
/// where the path tells it, too.
fn differing(own: &FileTag, there: &FileTag, bytes: usize) -> Vec<&'static str> {
    // One that was too large for the file system was cut down.
    let is_cut_down = own.sealed.is_some() && there.attributes.is_none() && there.checksum.is_none();
    let may_be_earlier = bytes > KEPT_BYTES;
    let fields = [
        ("the time", own.stamp != there.stamp),
        ("the checksum of the bytes", (own.md5, own.crc64nvme) != (there.md5, there.crc64nvme)),
        ("headers, metadata or tags", own.attributes != there.attributes && !is_cut_down && !may_be_earlier),
        ("the checksum that the client sent", own.checksum != there.checksum && !is_cut_down),
        ("the owner", own.owner != there.owner),
        ("the number of parts", own.parts != there.parts),
        ("the version", own.version != there.version),
        ("the upload", own.upload != there.upload),
        ("the ACL or the lock", own.controls != there.controls && !may_be_earlier),
        ("how it is encrypted", there.sealed.is_some() && own.sealed != there.sealed),
        ("the size", own.sealed.is_some() && there.sealed.is_some() && own.plain_size != there.plain_size),
        ("where it comes from", own.lineage != there.lineage && !may_be_earlier),
    ];
    fields.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what).collect()
}

/// Leaves the copy of the row with its file, where none can be read.
fn renew(check: &mut Check<'_>, place: &Place, own: &FileTag) -> Result<(), StorageError> {
    let path = place.path();
    let mut mended = check.may(Mend::Safely);
    if mended {
        let file = check.opened.disk.open_writable(&path).map_err(|e| StorageError::io("open", &path, e))?;
        tags::leave(&file, &path, &rows::encode(own)?)?;
        mended = tags::tells(&file, own);
    }
    let detail =
        if own.sealed.is_some() { "its file does not tell its data key" } else { "what its file tells cannot be read" };
    check.tell(Difference::WrongTag, name(place), detail, mended);
    Ok(())
}
