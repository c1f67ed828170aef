//! The journal: the commit point. What is not in a valid batch did not happen.
//!
//! Segments are files of a fixed size, written once with zeros and then reused in turn, so that a commit changes no file
//! size and one fdatasync suffices. The unit on disk is the batch: a header with generation, sequence and length, and one
//! checksum over header and payload; it begins on a 4 KiB boundary, so that no later write touches a block that holds
//! acknowledged bytes. A batch is written only after the fdatasync of the one before it returned.
//!
//! INVARIANT: sequence numbers of batches ascend by one over the life of a data directory. The first batch that is short,
//! broken or not the next in sequence is the end of the journal.

mod batch;
#[cfg(any(test, feature = "internals"))]
pub(super) mod fuzzing;
#[cfg(feature = "internals")]
pub(super) mod measured;
mod replay;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use batch::{BLOCK_BYTES, Header, Salt, batch_bytes, encode_batch};
pub(super) use batch::{EncodedEntry, Entry};
pub(super) use replay::{ReadBatch, Replay};

use super::StorageError;
use super::disk::{Disk, DiskFile, JOURNAL_FOLDER, is_absent};
use super::rows::CheckpointRow;
use crate::names::Stamp;

const SEGMENTS: usize = 4;

/// Bytes in the journal. Holding it keeps the segment from being reused.
#[derive(Debug, Clone)]
pub(in crate::storage) struct JournalBytes {
    file: Arc<DiskFile>,
    offset: u64,
    length: usize,
    _pin: Arc<()>,
}

impl JournalBytes {
    /// Reads all of them.
    pub fn read(&self) -> Result<Vec<u8>, StorageError> {
        let mut buffer = vec![0; self.length];
        self.file.read_exact_at(&mut buffer, self.offset).map_err(|e| StorageError::io("read", JOURNAL_FOLDER, e))?;
        Ok(buffer)
    }
}

/// A batch on disk.
#[derive(Debug)]
pub(in crate::storage) struct Written {
    pub sequence: u64,
    /// The body of each entry that has one.
    pub bodies: Vec<Option<JournalBytes>>,
    /// Where the next batch would stand.
    pub next: (u32, u64),
}

#[derive(Debug)]
struct Segment {
    file: Arc<DiskFile>,
    /// Sequence of the last batch written in its present use.
    last: u64,
    pin: Arc<()>,
}

/// The open journal.
#[derive(Debug)]
pub(in crate::storage) struct Journal {
    segments: Vec<Segment>,
    segment_bytes: u64,
    active: usize,
    offset: u64,
    sequence_next: u64,
    generation: u64,
    salt: Salt,
    buffer: Vec<u8>,
    strict: bool,
}

fn salt_path() -> PathBuf {
    Path::new(JOURNAL_FOLDER).join("salt")
}

/// The journal's salt; none when it is not there, or not whole.
fn salt(disk: &Disk) -> Result<Option<Salt>, StorageError> {
    let mut salt = Salt::default();
    match disk.open_file(&salt_path()).and_then(|file| file.read_exact_at(&mut salt, 0)) {
        Ok(()) => Ok(Some(salt)),
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::UnexpectedEof) => Ok(None),
        Err(e) => Err(StorageError::io("read", salt_path(), e)),
    }
}

/// A new salt, which nobody knows.
fn new_salt() -> Result<Salt, StorageError> {
    let mut salt = Salt::default();
    let filled = getrandom::fill(&mut salt).map_err(std::io::Error::other);
    filled.map(|()| salt).map_err(|e| StorageError::io("make", salt_path(), e))
}

/// The journal's salt; made, and made durable, before its segments.
fn salt_or_new(disk: &Disk) -> Result<Salt, StorageError> {
    if let Some(salt) = salt(disk)? {
        return Ok(salt);
    }
    let (salt, path) = (new_salt()?, salt_path());
    let unfinished = path.with_extension("new");
    let make = || {
        let file = disk.create(&unfinished)?;
        file.write_all_at(&salt, 0)?;
        file.sync_all()?;
        disk.rename(&unfinished, &path)?;
        disk.sync_folder(Path::new(JOURNAL_FOLDER))
    };
    make().map(|()| salt).map_err(|e| StorageError::io("make", path.clone(), e))
}

fn segment_path(number: usize) -> PathBuf {
    Path::new(JOURNAL_FOLDER).join(format!("segment-{number}"))
}

/// Removes the segments of a journal that was checkpointed to its end; the next start makes new ones.
pub(in crate::storage) fn discard(disk: &Disk) -> Result<(), StorageError> {
    for number in 0..SEGMENTS {
        match disk.remove_file(&segment_path(number)) {
            Err(e) if is_absent(&e) => {}
            other => other.map_err(|e| failed("remove", number, e))?,
        }
    }
    Ok(())
}

impl Journal {
    /// Opens the segments, making those that are missing; replay comes first, see [`Replay`]. Writing goes on at
    /// `position` with sequence `sequence_next`.
    pub fn open(disk: &Disk, bytes: u64, position: &CheckpointRow, strict: bool) -> Result<Self, StorageError> {
        let salt = salt_or_new(disk)?;
        let mut segments = Vec::new();
        // The size at creation stays, whatever the setting says now.
        let there = (0..SEGMENTS).find_map(|number| disk.stamp_at(&segment_path(number)).ok().flatten());
        let segment_bytes = there.map_or(bytes, |there| there.size);
        for number in 0..SEGMENTS {
            let file = open_segment(disk, number, segment_bytes)?;
            segments.push(Segment { file: Arc::new(file), last: 0, pin: Arc::new(()) });
        }
        Ok(Self {
            segments,
            segment_bytes,
            active: usize::try_from(position.segment).unwrap_or(0) % SEGMENTS,
            offset: position.offset,
            sequence_next: position.sequence + 1,
            generation: position.generation,
            salt,
            buffer: Vec::new(),
            strict,
        })
    }

    /// Largest entry that a batch may hold, in bytes: two of them, or one and a full batch of others, fit a segment.
    pub fn entry_bytes_max(&self) -> usize {
        usize::try_from(self.segment_bytes / 2).unwrap_or(usize::MAX) - BLOCK_BYTES as usize
    }

    /// Whether the entries can be written now; else the sequence up to which a checkpoint must come first.
    pub fn room_for(&self, entries: &[EncodedEntry]) -> Result<(), u64> {
        let bytes = batch_bytes(entries);
        if self.offset + bytes <= self.segment_bytes {
            return Ok(());
        }
        match self.segments.get((self.active + 1) % SEGMENTS) {
            Some(next) if next.last > 0 => Err(next.last),
            _ => Ok(()),
        }
    }

    /// Marks segments whose batches are all checkpointed as free. One that is still being read stays.
    pub fn release(&mut self, checkpointed: u64) {
        let active = self.active;
        for (number, segment) in self.segments.iter_mut().enumerate() {
            if number != active && segment.last <= checkpointed && Arc::strong_count(&segment.pin) == 1 {
                segment.last = 0;
            }
        }
    }

    /// Writes one batch and makes it durable; `stamp` is the highest handed out so far. After an error the journal must not
    /// be used again.
    pub fn append(&mut self, entries: &[EncodedEntry], stamp: Stamp) -> Result<Written, StorageError> {
        let sequence = self.sequence_next;
        let header = Header { generation: self.generation, sequence, stamp, ..Header::default() };
        let body_offsets = encode_batch(&mut self.buffer, entries, header, &self.salt);
        if self.buffer.len() as u64 > self.segment_bytes {
            return Err(StorageError::Index("a batch larger than a segment of the journal".to_owned()));
        }
        if self.offset + self.buffer.len() as u64 > self.segment_bytes {
            self.active = (self.active + 1) % SEGMENTS;
            self.offset = 0;
        }
        let at = self.offset;
        let (strict, number) = (self.strict, self.active);
        let segment = self.segments.get_mut(self.active).ok_or_else(|| StorageError::Index("no segment".to_owned()))?;
        segment.file.write_all_at(&self.buffer, at).map_err(|e| failed("write", number, e))?;
        if strict {
            segment.file.sync_data().map_err(|e| failed("sync", number, e))?;
        }
        segment.last = sequence;
        let bodies = body_offsets
            .into_iter()
            .map(|body| {
                body.map(|(offset, length)| JournalBytes {
                    file: Arc::clone(&segment.file),
                    offset: at + offset,
                    length,
                    _pin: Arc::clone(&segment.pin),
                })
            })
            .collect();
        self.offset = at + self.buffer.len() as u64;
        self.sequence_next += 1;
        Ok(Written { sequence, bodies, next: (u32::try_from(self.active).unwrap_or(0), self.offset) })
    }
}

fn failed(action: &'static str, segment: usize, error: std::io::Error) -> StorageError {
    StorageError::io(action, segment_path(segment), error)
}

fn open_segment(disk: &Disk, number: usize, bytes: u64) -> Result<DiskFile, StorageError> {
    let path = segment_path(number);
    match disk.open_writable(&path) {
        Ok(file) => return Ok(file),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(failed("open", number, e)),
    }
    // Written under another name first: a segment that is there has its full size.
    let unfinished = path.with_extension("new");
    let make = || {
        let file = disk.create(&unfinished)?;
        let zeros = vec![0; 1 << 20];
        let mut at = 0;
        while at < bytes {
            let step = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(zeros.len());
            file.write_all_at(zeros.get(..step).unwrap_or_default(), at)?;
            at += step as u64;
        }
        file.sync_all()?;
        disk.rename(&unfinished, &path)?;
        disk.sync_folder(Path::new(JOURNAL_FOLDER))?;
        Ok(file)
    };
    make().map_err(|e| failed("make", number, e))
}
