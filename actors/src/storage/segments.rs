//! The segments of a sealed file, as the file itself tells them: by walking from head to head. No key is needed for that.

use std::io;
use std::path::Path;

use super::StorageError;
use super::disk::{Disk, DiskFile};
use super::edits::open_plain;
use super::rows::{ObjectRow, PartListItem, PartListRow};
use crate::encryption::{EncryptionError, HEAD_BYTES, SegmentHead, plain_size, sealed_size};
use crate::names::{PART_NUMBER_MAX, PartNumber};

/// What is said of a sealed file without its tag.
pub(super) const LOST_KEY: &str = "it is encrypted, and what tells its data key is missing";

/// One segment of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// Its part; none of an object that one request wrote.
    pub part: Option<PartNumber>,
    /// Bytes of plaintext.
    pub size: u64,
    /// Its first byte within the file.
    pub offset: u64,
}

/// Whether a file begins as a sealed one does; not when it is none, or gone.
pub(super) fn is_sealed(disk: &Disk, path: &Path) -> Result<bool, StorageError> {
    let Some(file) = open_plain(disk, path)? else { return Ok(false) };
    begins_sealed(&file).map_err(|e| StorageError::io("read", path, e))
}

/// The same of an open file.
pub(super) fn begins_sealed(file: &DiskFile) -> io::Result<bool> {
    Ok(read(file, 0, 8)?.is_some_and(|bytes| SegmentHead::begins(&bytes)))
}

/// The segments of a file of `stored` bytes. The error says why its heads do not make up the file.
pub(super) fn walk(file: &DiskFile, stored: u64) -> io::Result<Result<Vec<Segment>, EncryptionError>> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut offset = 0;
    while offset < stored || segments.is_empty() {
        let Some(head) = read(file, offset, HEAD_BYTES)? else { return Ok(Err(EncryptionError::WrongSegment)) };
        let head = match SegmentHead::parse(&head) {
            Ok(head) => head,
            Err(error) => return Ok(Err(error)),
        };
        let is_next = segments.last().is_none_or(|last| last.part.is_some() && last.part < head.part);
        // What was not known when the first byte was written is the rest of the file.
        let size = head.size.or_else(|| plain_size(stored - offset).filter(|_| head.part.is_none()));
        let (Some(size), true) = (size, is_next && segments.len() < usize::from(PART_NUMBER_MAX)) else {
            return Ok(Err(EncryptionError::WrongSegment));
        };
        segments.push(Segment { part: head.part, size, offset });
        offset = offset.saturating_add(sealed_size(size));
    }
    Ok(if offset == stored { Ok(segments) } else { Err(EncryptionError::WrongSegment) })
}

/// Whether the segments are those of a row, as far as it tells.
pub(super) fn are_of(row: &ObjectRow, segments: &[Segment]) -> bool {
    let size = segments.iter().fold(0, |sum: u64, segment| sum.saturating_add(segment.size));
    let is_assembled = segments.iter().all(|segment| segment.part.is_some());
    let count = row.listed_parts().map_or(1, usize::from);
    size == row.size && segments.len() == count && is_assembled == row.listed_parts().is_some()
}

/// The list of parts that the segments of an object which came in such tell; what `told` says of checksums of the same parts stays.
pub(super) fn part_list(segments: &[Segment], told: Option<PartListRow>) -> PartListRow {
    let told = told.unwrap_or_else(|| PartListRow::of(&[]));
    let item = |segment: &Segment| {
        let number = segment.part?.get();
        let at = told.parts.binary_search_by_key(&number, |part| part.number).ok();
        let known = at.and_then(|at| told.parts.get(at)).filter(|part| part.size == segment.size);
        let checksum = known.map(|part| part.checksum.clone()).unwrap_or_default();
        Some(PartListItem { number, size: segment.size, checksum })
    };
    PartListRow { checksum_algorithm: told.checksum_algorithm, parts: segments.iter().filter_map(item).collect() }
}

fn read(file: &DiskFile, offset: u64, size: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; size];
    match file.read_exact_at(&mut bytes, offset) {
        Ok(()) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    }
}
