//! The journal: the commit point. What is not in a valid batch did not happen.
//!
//! Segments are files of a fixed size, written once with zeros and then reused in turn, so that a commit changes no file
//! size and one fdatasync suffices. The unit on disk is the batch: a header with generation, sequence and length, and one
//! checksum over header and payload; it begins on a 4 KiB boundary, so that no later write touches a block that holds
//! acknowledged bytes. A batch is written only after the fdatasync of the one before it returned.
//!
//! INVARIANT: sequence numbers of batches ascend by one over the life of a data directory. The first batch that is short,
//! broken or not the next in sequence is the end of the journal.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::StorageError;
use super::disk::{self, Disk, JOURNAL_FOLDER};
use super::index::RowChange;
use super::rows::{self, CheckpointRow};
use super::steps::Step;
use crate::names::Stamp;

const MAGIC: u64 = u64::from_be_bytes(*b"myfsioJ1");
const HEADER_BYTES: usize = 64;
const BLOCK_BYTES: u64 = 4096;
const SEGMENTS: usize = 4;
/// Marks a removed row in place of a length.
const REMOVED: u32 = u32::MAX;

/// One transaction: rows, the work on files that goes with them, and the body if it is small.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    pub changes: Vec<RowChange>,
    pub steps: Vec<Step>,
    pub body: Option<Bytes>,
}

/// An entry as it will stand in a batch: its head, then its body.
#[derive(Debug)]
pub(super) struct EncodedEntry {
    head: Vec<u8>,
    body: Option<Bytes>,
}

impl EncodedEntry {
    /// Encodes an entry.
    pub fn of(entry: &Entry) -> Result<Self, StorageError> {
        let mut head = Vec::with_capacity(512);
        put_u32(&mut head, entry.changes.len())?;
        for (key, value) in &entry.changes {
            put_u32(&mut head, key.len())?;
            match value {
                Some(value) => put_u32(&mut head, value.len())?,
                None => head.extend_from_slice(&REMOVED.to_be_bytes()),
            }
            head.extend_from_slice(key);
            head.extend_from_slice(value.as_deref().unwrap_or_default());
        }
        let steps = rows::encode(&entry.steps)?;
        put_u32(&mut head, steps.len())?;
        head.extend_from_slice(&steps);
        put_u32(&mut head, entry.body.as_ref().map_or(0, |b| b.len() + 1))?;
        Ok(Self { head, body: entry.body.clone() })
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.head.len() + self.body.as_ref().map_or(0, Bytes::len)
    }
}

/// Bytes in the journal. Holding it keeps the segment from being reused.
#[derive(Debug, Clone)]
pub(super) struct JournalBytes {
    file: Arc<File>,
    offset: u64,
    length: usize,
    _pin: Arc<()>,
}

impl JournalBytes {
    /// Reads all of them.
    pub fn read(&self) -> Result<Vec<u8>, StorageError> {
        let mut buffer = vec![0; self.length];
        disk::read_exact_at(&self.file, &mut buffer, self.offset)
            .map_err(|e| StorageError::io("read", JOURNAL_FOLDER, e))?;
        Ok(buffer)
    }
}

/// A batch on disk.
#[derive(Debug)]
pub(super) struct Written {
    pub sequence: u64,
    /// The body of each entry that has one.
    pub bodies: Vec<Option<JournalBytes>>,
    /// Where the next batch would stand.
    pub next: (u32, u64),
}

#[derive(Debug)]
struct Segment {
    file: Arc<File>,
    /// Sequence of the last batch written in its present use.
    last: u64,
    pin: Arc<()>,
}

/// The open journal.
#[derive(Debug)]
pub(super) struct Journal {
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

/// Random bytes of this journal, part of every checksum: whoever writes an object cannot make its bytes look like a batch.
type Salt = [u8; 16];

/// The journal's salt; made, and made durable, before its segments.
fn salt(disk: &Disk) -> Result<Salt, StorageError> {
    let path = Path::new(JOURNAL_FOLDER).join("salt");
    let unfinished = path.with_extension("new");
    let load = || {
        let mut salt = Salt::default();
        match disk.open_file(&path) {
            Ok(file) => disk::read_exact_at(&file, &mut salt, 0)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                getrandom::fill(&mut salt).map_err(std::io::Error::other)?;
                let file = disk.create(&unfinished)?;
                disk::write_all_at(&file, &salt, 0)?;
                file.sync_all()?;
                disk.rename(&unfinished, &path)?;
                disk.sync_folder(Path::new(JOURNAL_FOLDER))?;
            }
            Err(e) => return Err(e),
        }
        Ok(salt)
    };
    load().map_err(|e| StorageError::io("use", path.clone(), e))
}

fn segment_path(number: usize) -> PathBuf {
    Path::new(JOURNAL_FOLDER).join(format!("segment-{number}"))
}

impl Journal {
    /// Opens the segments, making those that are missing; replay comes first, see [`Replay`]. Writing goes on at
    /// `position` with sequence `sequence_next`.
    pub fn open(disk: &Disk, bytes: u64, position: &CheckpointRow, strict: bool) -> Result<Self, StorageError> {
        let mut segments = Vec::new();
        let mut segment_bytes = bytes;
        for number in 0..SEGMENTS {
            let file = open_segment(disk, number, segment_bytes)?;
            // The size at creation stays, whatever the setting says now.
            segment_bytes = disk.stamp_of(&file).map_err(|e| failed("look at", number, e))?.size;
            segments.push(Segment { file: Arc::new(file), last: 0, pin: Arc::new(()) });
        }
        Ok(Self {
            segments,
            segment_bytes,
            active: usize::try_from(position.segment).unwrap_or(0) % SEGMENTS,
            offset: position.offset,
            sequence_next: position.sequence + 1,
            generation: position.generation,
            salt: salt(disk)?,
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
        disk::write_all_at(&segment.file, &self.buffer, at).map_err(|e| failed("write", number, e))?;
        if strict {
            rustix::fs::fdatasync(&*segment.file).map_err(|e| failed("sync", number, e.into()))?;
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

fn open_segment(disk: &Disk, number: usize, bytes: u64) -> Result<File, StorageError> {
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
            disk::write_all_at(&file, zeros.get(..step).unwrap_or_default(), at)?;
            at += step as u64;
        }
        file.sync_all()?;
        disk.rename(&unfinished, &path)?;
        disk.sync_folder(Path::new(JOURNAL_FOLDER))?;
        Ok(file)
    };
    make().map_err(|e| failed("make", number, e))
}

fn batch_bytes(entries: &[EncodedEntry]) -> u64 {
    let payload: usize = entries.iter().map(EncodedEntry::size).sum();
    ((HEADER_BYTES + payload) as u64).next_multiple_of(BLOCK_BYTES)
}

/// Encodes a batch, padded to whole blocks; answers offset and length of each entry's body within it.
fn encode_batch(
    out: &mut Vec<u8>,
    entries: &[EncodedEntry],
    mut header: Header,
    salt: &Salt,
) -> Vec<Option<(u64, usize)>> {
    out.clear();
    out.resize(HEADER_BYTES, 0);
    let mut bodies = Vec::with_capacity(entries.len());
    for entry in entries {
        out.extend_from_slice(&entry.head);
        bodies.push(entry.body.as_ref().map(|b| (out.len() as u64, b.len())));
        out.extend_from_slice(entry.body.as_deref().unwrap_or_default());
    }
    header.payload = (out.len() - HEADER_BYTES) as u64;
    header.entries = entries.len() as u64;
    header.crc = header.checksum(out.get(HEADER_BYTES..).unwrap_or_default(), salt);
    if let Some(place) = out.first_chunk_mut::<HEADER_BYTES>() {
        *place = header.to_bytes();
    }
    out.resize(out.len().next_multiple_of(BLOCK_BYTES as usize), 0);
    bodies
}

/// What stands before the entries of a batch.
#[derive(Debug, Clone, Copy, Default)]
struct Header {
    generation: u64,
    sequence: u64,
    /// Highest stamp handed out when the batch was written.
    stamp: Stamp,
    payload: u64,
    entries: u64,
    crc: u64,
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let fields = [MAGIC, self.generation, self.sequence, self.stamp.0, self.payload, self.entries, self.crc, 0];
        let mut bytes = [0; HEADER_BYTES];
        for (place, field) in bytes.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_be_bytes());
        }
        bytes
    }

    fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let mut fields = bytes.chunks_exact(8).filter_map(|f| f.try_into().ok().map(u64::from_be_bytes));
        let magic = fields.next()?;
        let header = Self {
            generation: fields.next()?,
            sequence: fields.next()?,
            stamp: Stamp(fields.next()?),
            payload: fields.next()?,
            entries: fields.next()?,
            crc: fields.next()?,
        };
        (magic == MAGIC).then_some(header)
    }

    /// Over salt, header and payload.
    fn checksum(self, payload: &[u8], salt: &Salt) -> u64 {
        let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
        digest.update(salt);
        digest.update(&Self { crc: 0, ..self }.to_bytes());
        digest.update(payload);
        digest.finalize()
    }

    fn bytes_on_disk(self) -> u64 {
        (HEADER_BYTES as u64).saturating_add(self.payload).next_multiple_of(BLOCK_BYTES)
    }
}

fn put_u32(out: &mut Vec<u8>, value: usize) -> Result<(), StorageError> {
    let value = u32::try_from(value).ok().filter(|v| *v != REMOVED);
    let value = value.ok_or_else(|| StorageError::Index("entry too large for the journal".to_owned()))?;
    out.extend_from_slice(&value.to_be_bytes());
    Ok(())
}

/// A batch read back.
#[derive(Debug)]
pub(super) struct ReadBatch {
    pub sequence: u64,
    /// Highest stamp handed out when it was written.
    pub stamp: Stamp,
    pub entries: Vec<Entry>,
    /// Where the next batch would stand.
    pub next: (u32, u64),
}

/// Reads the journal from a checkpoint to its end.
#[derive(Debug)]
pub(super) struct Replay {
    segments: Vec<File>,
    segment_bytes: u64,
    salt: Salt,
    /// Generation of the run that wrote what is to be read: batches of earlier runs do not count.
    generation: u64,
}

impl Replay {
    /// Opens whatever segments are there; `generation` is that of the last checkpoint.
    pub fn open(disk: &Disk, generation: u64) -> Result<Self, StorageError> {
        let mut segments = Vec::new();
        let mut segment_bytes = 0;
        for number in 0..SEGMENTS {
            match disk.open_file(&segment_path(number)) {
                Ok(file) => {
                    segment_bytes = disk.stamp_of(&file).map_err(|e| failed("look at", number, e))?.size;
                    segments.push(file);
                }
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => break,
                Err(e) => return Err(failed("open", number, e)),
            }
        }
        Ok(Self { segments, segment_bytes, salt: salt(disk)?, generation })
    }

    /// The batch after `sequence`, which stands at `position` or, if it did not fit there, at the start of the next
    /// segment; none at the end of the journal.
    pub fn next(&self, sequence: u64, position: (u32, u64)) -> Result<Option<ReadBatch>, StorageError> {
        let (segment, offset) = position;
        let following = (segment + 1) % SEGMENTS as u32;
        for (segment, offset) in [(segment, offset), (following, 0)] {
            let header = self.header_at(segment, offset)?;
            if let Some(header) = header.filter(|h| h.sequence == sequence + 1)
                && let Some(batch) = self.read(header, segment, offset)?
            {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// The highest sequence of any valid batch of any segment: beyond the end of the journal there must be none.
    pub fn highest_sequence(&self) -> Result<u64, StorageError> {
        let mut highest = 0;
        for segment in 0..self.segments.len() as u32 {
            let mut offset = 0;
            while offset + HEADER_BYTES as u64 <= self.segment_bytes {
                let header = self.header_at(segment, offset)?;
                let later = header.filter(|h| h.sequence > highest);
                if let Some(header) = later
                    && self.payload_of(header, segment, offset)?.is_some()
                {
                    highest = header.sequence;
                }
                offset += BLOCK_BYTES;
            }
        }
        Ok(highest)
    }

    /// A header of this generation, if one that fits the segment stands there.
    fn header_at(&self, segment: u32, offset: u64) -> Result<Option<Header>, StorageError> {
        let number = usize::try_from(segment).unwrap_or(usize::MAX);
        let Some(file) = self.segments.get(number) else { return Ok(None) };
        if offset + HEADER_BYTES as u64 > self.segment_bytes {
            return Ok(None);
        }
        let mut bytes = [0; HEADER_BYTES];
        disk::read_exact_at(file, &mut bytes, offset).map_err(|e| failed("read", number, e))?;
        let fits = |h: &Header| offset.saturating_add(h.bytes_on_disk()) <= self.segment_bytes;
        Ok(Header::parse(&bytes).filter(|h| h.generation == self.generation && fits(h)))
    }

    /// The payload, if its checksum holds.
    fn payload_of(&self, header: Header, segment: u32, offset: u64) -> Result<Option<Bytes>, StorageError> {
        let number = usize::try_from(segment).unwrap_or(usize::MAX);
        let Some(file) = self.segments.get(number) else { return Ok(None) };
        let mut payload = vec![0; usize::try_from(header.payload).unwrap_or(0)];
        disk::read_exact_at(file, &mut payload, offset + HEADER_BYTES as u64).map_err(|e| failed("read", number, e))?;
        Ok((header.checksum(&payload, &self.salt) == header.crc).then(|| payload.into()))
    }

    fn read(&self, header: Header, segment: u32, offset: u64) -> Result<Option<ReadBatch>, StorageError> {
        let Some(payload) = self.payload_of(header, segment, offset)? else { return Ok(None) };
        let entries = decode_entries(&payload, header.entries)?;
        let next = (segment, offset + header.bytes_on_disk());
        Ok(Some(ReadBatch { sequence: header.sequence, stamp: header.stamp, entries, next }))
    }
}

/// Decodes what [`EncodedEntry::of`] wrote. Its checksum held, so anything unreadable is a fault of a program, not of a disk.
fn decode_entries(payload: &Bytes, count: u64) -> Result<Vec<Entry>, StorageError> {
    let malformed = || StorageError::Index("malformed journal entry".to_owned());
    let mut rest = payload.clone();
    let mut take = |n: usize| if n <= rest.len() { Ok(rest.split_to(n)) } else { Err(malformed()) };
    let number = |b: Bytes| b.first_chunk().map(|c| u32::from_be_bytes(*c)).ok_or_else(malformed);
    let mut entries = Vec::new();
    for _ in 0..count {
        let mut entry = Entry::default();
        for _ in 0..number(take(4)?)? {
            let (key, value) = (number(take(4)?)?, number(take(4)?)?);
            let key = take(key as usize)?.to_vec();
            let value = if value == REMOVED { None } else { Some(Arc::from(&*take(value as usize)?)) };
            entry.changes.push((key, value));
        }
        let steps = number(take(4)?)?;
        entry.steps = rows::decode(&take(steps as usize)?)?;
        let body = number(take(4)?)?;
        entry.body = if body == 0 { None } else { Some(take(body as usize - 1)?) };
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u8, body: usize) -> EncodedEntry {
        EncodedEntry::of(&plain(n, body)).unwrap()
    }

    fn plain(n: u8, body: usize) -> Entry {
        Entry {
            changes: vec![(vec![n], Some(Arc::from([n, n].as_slice()))), (vec![n, 0], None)],
            steps: vec![Step::MakeBucket { id: 1, name: format!("b{n}") }],
            body: Some(vec![n; body].into()),
        }
    }

    fn at(sequence: u64, next: (u32, u64)) -> CheckpointRow {
        CheckpointRow { sequence, segment: next.0, offset: next.1, stamp: 0, generation: 1, relaxed: false }
    }

    #[test]
    fn batches_come_back_in_order_across_segments() {
        let root = tempfile::tempdir().unwrap();
        let disk = Disk::open(root.path(), false).unwrap();
        let start = at(0, (0, 0));
        let mut journal = Journal::open(&disk, 1 << 16, &start, false).unwrap();
        for n in 1..=10u8 {
            let batch = [entry(n, 5000), entry(n, 0)];
            assert!(journal.room_for(&batch).is_ok(), "{n}");
            let written = journal.append(&batch, Stamp(7)).unwrap();
            assert_eq!(written.sequence, u64::from(n));
            assert_eq!(written.bodies[0].as_ref().unwrap().read().unwrap(), vec![n; 5000]);
        }
        let replay = Replay::open(&disk, 1).unwrap();
        let (mut sequence, mut position) = (0, (0, 0));
        while let Some(batch) = replay.next(sequence, position).unwrap() {
            assert_eq!(batch.entries[0].body.as_ref().unwrap()[0], batch.sequence as u8);
            assert_eq!(batch.entries[1].body.as_ref().unwrap().len(), 0);
            assert_eq!(batch.entries[0].changes.len(), 2);
            (sequence, position) = (batch.sequence, batch.next);
        }
        assert_eq!(sequence, 10);
        assert_eq!(replay.highest_sequence().unwrap(), 10);
    }

    #[test]
    fn a_segment_is_reused_only_after_its_checkpoint() {
        let root = tempfile::tempdir().unwrap();
        let disk = Disk::open(root.path(), false).unwrap();
        let mut journal = Journal::open(&disk, 1 << 15, &at(0, (0, 0)), false).unwrap();
        let batch = [entry(1, 20_000)];
        let mut first = None;
        for _ in 0..4 {
            assert!(journal.room_for(&batch).is_ok());
            let written = journal.append(&batch, Stamp(7)).unwrap();
            first.get_or_insert(written);
        }
        assert_eq!(journal.room_for(&batch), Err(1));
        journal.release(1);
        assert_eq!(journal.room_for(&batch), Err(1), "a reader still holds bytes of it");
        drop(first);
        journal.release(1);
        assert!(journal.room_for(&batch).is_ok());
    }

    #[test]
    fn any_torn_tail_ends_the_journal() {
        let root = tempfile::tempdir().unwrap();
        let disk = Disk::open(root.path(), false).unwrap();
        let mut journal = Journal::open(&disk, 1 << 15, &at(0, (0, 0)), false).unwrap();
        let first = journal.append(&[entry(1, 10)], Stamp(7)).unwrap();
        journal.append(&[entry(2, 6000)], Stamp(7)).unwrap();
        let path = root.path().join(segment_path(0));
        let whole = std::fs::read(&path).unwrap();
        let batch_end = 4096 + HEADER_BYTES + 6000;
        for cut in [4096, 4097, 4100, 4096 + 63, 4096 + 64, 8192, batch_end] {
            let mut torn = whole.clone();
            torn[cut..].fill(0);
            std::fs::write(&path, &torn).unwrap();
            let replay = Replay::open(&disk, 1).unwrap();
            let read = replay.next(0, (0, 0)).unwrap().unwrap();
            assert_eq!(read.next, first.next);
            assert!(replay.next(1, read.next).unwrap().is_none(), "cut at {cut}");
        }
        std::fs::write(&path, &whole).unwrap();
        assert!(Replay::open(&disk, 1).unwrap().next(1, first.next).unwrap().is_some());
    }

    #[test]
    fn a_later_batch_behind_a_broken_one_is_seen() {
        let root = tempfile::tempdir().unwrap();
        let disk = Disk::open(root.path(), false).unwrap();
        let mut journal = Journal::open(&disk, 1 << 15, &at(0, (0, 0)), false).unwrap();
        for n in 1..=3 {
            journal.append(&[entry(n, 10)], Stamp(7)).unwrap();
        }
        let path = root.path().join(segment_path(0));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[4096 + 70] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let replay = Replay::open(&disk, 1).unwrap();
        let first = replay.next(0, (0, 0)).unwrap().unwrap();
        assert!(replay.next(1, first.next).unwrap().is_none());
        assert_eq!(replay.highest_sequence().unwrap(), 3);
    }

    #[test]
    fn bytes_of_an_object_never_pass_for_a_batch() {
        let root = tempfile::tempdir().unwrap();
        let disk = Disk::open(root.path(), false).unwrap();
        let mut journal = Journal::open(&disk, 1 << 16, &at(0, (0, 0)), false).unwrap();
        // A body that holds what another journal would take for its next batch, at every block.
        let mut forged = Vec::new();
        let header = Header { generation: 1, sequence: 2, ..Header::default() };
        encode_batch(&mut forged, &[entry(9, 10)], header, &[0; 16]);
        let fill = 4096 - HEADER_BYTES - EncodedEntry::of(&plain(1, 0)).unwrap().head.len();
        let mut body = vec![0; fill];
        body.extend_from_slice(&forged);
        let carrier = Entry { body: Some(body.into()), ..plain(1, 0) };
        journal.append(&[EncodedEntry::of(&carrier).unwrap()], Stamp(7)).unwrap();
        assert_eq!(Replay::open(&disk, 1).unwrap().highest_sequence().unwrap(), 1);
        assert_eq!(Replay::open(&disk, 2).unwrap().highest_sequence().unwrap(), 0, "of another generation");
    }
}
