//! The copy of a row that goes with its file ([`FileTag`]). For a plain object it is a help to `reindex`; for an encrypted one it
//! holds the wrapped data key, and with it everything.

use std::path::Path;

use minicbor::bytes::ByteArray;
use sha2::{Digest as _, Sha256};

use super::StorageError;
use super::disk::DiskFile;
use super::rows::{self, FileTag, Location, ObjectRow};
use super::steps::Place;
use crate::encryption::ObjectName;

/// The tag of an object's file; `tells_key` where its path does not.
pub(super) fn of(
    place: &Place,
    row: ObjectRow,
    tells_key: bool,
    part_size: Option<u64>,
    is_noncurrent: bool,
) -> FileTag {
    let name = row.sealed.is_some().then(|| name_of(&place.bucket, &place.key));
    let key = tells_key.then_some(place.key.as_str());
    FileTag { name, noncurrent: is_noncurrent.then_some(true), ..FileTag::of(row, key, part_size) }
}

/// What tells to which object a data key is bound, in few bytes.
fn name_of(bucket: &str, key: &str) -> ByteArray<8> {
    let digest: [u8; 32] = Sha256::digest(ObjectName { bucket, key }.arn()).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    [a, b, c, d, e, f, g, h].into()
}

/// Whether a tag is one of this object: the data key in that of another would not open it.
pub(super) fn is_of(tag: &FileTag, bucket: &str, key: &str) -> bool {
    tag.name.is_none_or(|name| name == name_of(bucket, key))
}

/// Whether two tags are the same in what an encrypted object cannot be without when the index is lost.
pub(super) fn is_enough(one: &FileTag, other: &FileTag) -> bool {
    let needed = |tag: &FileTag| {
        let FileTag { stamp, parts, version, sealed, plain_size, name, key, noncurrent, .. } = tag.clone();
        (stamp, parts, version, sealed, plain_size, name, key, noncurrent)
    };
    needed(one) == needed(other)
}

/// Whether a file carries what its object cannot be without when the index is lost.
pub(super) fn tells(file: &DiskFile, own: &FileTag) -> bool {
    let there = file.tag().and_then(|tag| rows::decode::<FileTag>(&tag).ok());
    there.is_some_and(|there| is_enough(&there, own))
}

/// The tag of an object's file where it lies.
pub(super) fn of_file(place: &Place, row: &ObjectRow, is_noncurrent: bool) -> FileTag {
    of(place, row.clone(), place.location != Location::Plain, None, is_noncurrent)
}

/// Leaves a tag with a file, as far as the file system can. One that is too large is cut down to what an encrypted object cannot
/// be without.
pub(super) fn leave(file: &DiskFile, path: &Path, tag: &[u8]) -> Result<(), StorageError> {
    if file.set_tag(tag) {
        return Ok(());
    }
    let tag: FileTag = rows::decode(tag)?;
    if tag.sealed.is_none() {
        return Ok(());
    }
    let needed = FileTag { attributes: None, checksum: None, ..tag };
    if !file.set_tag(&rows::encode(&needed)?) {
        let why = "a file cannot carry its data key: with the index its object would be lost";
        tracing::warn!(path = %path.display(), "{why}");
    }
    Ok(())
}
