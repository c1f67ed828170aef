//! Where the chunks of a sealed object lie, and opening them.

use std::sync::Arc;

use bytes::Bytes;

use super::StorageError;
use super::chunk_pool::Chunk;
use super::messages::Object;
use super::read::ObjectPart;
use crate::encryption::{
    CHUNK_BYTES, DataKey, EncryptionError, HEAD_BYTES, SegmentHead, SegmentKey, TAG_BYTES, chunk_count, sealed_size,
};
use crate::names::PartNumber;

/// One segment of an object's file.
#[derive(Debug, Clone, Copy)]
struct Segment {
    part: Option<PartNumber>,
    /// Its first byte within the plaintext.
    start: u64,
    /// Bytes of plaintext.
    size: u64,
    /// Its first byte within the file.
    stored: u64,
}

/// Opens the chunks of one object.
pub(super) struct Unsealing {
    object: Arc<Object>,
    key: DataKey,
    segments: Vec<Segment>,
    /// Key of the segment of this number, once its head was read.
    current: Option<(usize, SegmentKey)>,
}

/// What is to be read from the file next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub offset: u64,
    pub size: usize,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Head { segment: usize },
    Chunk { number: u64, is_last: bool, start: u64 },
}

impl Unsealing {
    /// Of an object of one segment, or of one for each of its parts. Errs: Corrupt when these do not make the object.
    pub fn new(object: Arc<Object>, parts: Option<&[ObjectPart]>, key: &DataKey) -> Result<Self, StorageError> {
        let mut segments = Vec::with_capacity(parts.map_or(1, <[_]>::len));
        let mut end = (0_u64, 0_u64);
        let whole = [(None, object.size)];
        let told = parts.map(|parts| parts.iter().map(|part| (Some(part.number), part.size)).collect::<Vec<_>>());
        for &(part, size) in told.as_deref().unwrap_or(&whole) {
            segments.push(Segment { part, start: end.0, size, stored: end.1 });
            end = (end.0.saturating_add(size), end.1.saturating_add(sealed_size(size)));
        }
        if end != (object.size, object.stored_size()) {
            return Err(broken(&object, EncryptionError::WrongSegment));
        }
        Ok(Self { object, key: key.clone(), segments, current: None })
    }

    /// What must be read for the byte `at` of the plaintext, which lies within the object.
    pub fn wanted(&self, at: u64) -> Result<Wanted, StorageError> {
        let number = self.segments.partition_point(|segment| segment.start.saturating_add(segment.size) <= at);
        let segment = self.segments.get(number).ok_or_else(|| broken(&self.object, EncryptionError::WrongSegment))?;
        if self.current.as_ref().is_none_or(|(current, _)| *current != number) {
            return Ok(Wanted { offset: segment.stored, size: HEAD_BYTES, what: What::Head { segment: number } });
        }
        let chunk = at.saturating_sub(segment.start) / CHUNK_BYTES as u64;
        let start = chunk * CHUNK_BYTES as u64;
        let is_last = chunk + 1 == chunk_count(segment.size);
        let plain = usize::try_from(segment.size.saturating_sub(start)).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        let offset = segment.stored + HEAD_BYTES as u64 + chunk * (CHUNK_BYTES + TAG_BYTES) as u64;
        let what = What::Chunk { number: chunk, is_last, start: segment.start + start };
        Ok(Wanted { offset, size: plain + TAG_BYTES, what })
    }

    /// Takes what was read; answers plaintext from byte `at` on, at most up to `end`, unless it was a head.
    pub fn take(&mut self, wanted: Wanted, mut read: Chunk, at: u64, end: u64) -> Result<Option<Bytes>, StorageError> {
        let mut open = || -> Result<_, EncryptionError> {
            match wanted.what {
                What::Head { segment } => {
                    let head = SegmentHead::parse(read.bytes_mut())?;
                    let there = self.segments.get(segment).ok_or(EncryptionError::WrongSegment)?;
                    head.check(there.part, there.size)?;
                    self.current = Some((segment, SegmentKey::derive(&self.key, &head)?));
                    Ok(None)
                }
                What::Chunk { number, is_last, start } => {
                    let (_, key) = self.current.as_ref().ok_or(EncryptionError::KeyNeeded)?;
                    let size = key.open(number, is_last, read.bytes_mut())?;
                    let within = |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX).min(size);
                    Ok(Some((within(at), within(end))))
                }
            }
        };
        match open() {
            Ok(None) => Ok(None),
            Ok(Some((from, to))) => Ok(Some(read.freeze().slice(from..to))),
            Err(error) => Err(broken(&self.object, error)),
        }
    }
}

fn broken(object: &Object, error: EncryptionError) -> StorageError {
    let what = format!("an encrypted object of {} bytes with ETag {}: {error}", object.size, object.etag);
    tracing::error!(what, "stored bytes cannot be opened");
    StorageError::Corrupt { what }
}
