//! Reading the journal back: from the last checkpoint to the first batch that is short, broken or not the next.

use bytes::Bytes;

use super::batch::{BLOCK_BYTES, Entry, HEADER_BYTES, Header, Salt, decode_entries};
use super::{SEGMENTS, failed, new_salt, salt, salt_path, segment_path};
use crate::names::Stamp;
use crate::storage::StorageError;
use crate::storage::disk::{Disk, DiskFile};
use crate::storage::rows::CheckpointRow;

/// A batch read back.
#[derive(Debug)]
pub(in crate::storage) struct ReadBatch {
    pub sequence: u64,
    /// Highest stamp handed out when it was written.
    pub stamp: Stamp,
    pub entries: Vec<Entry>,
    /// Where the next batch would stand.
    pub next: (u32, u64),
}

/// Reads the journal from a checkpoint to its end.
#[derive(Debug)]
pub(in crate::storage) struct Replay {
    /// Each with its size in bytes; none for one that is not there.
    segments: Vec<Option<(DiskFile, u64)>>,
    salt: Salt,
    /// Whether that is the journal's, and not one under which no batch is whole.
    has_salt: bool,
    /// Generation of the run that wrote what is to be read: batches of earlier runs do not count.
    generation: u64,
}

impl Replay {
    /// Opens whatever segments are there; `generation` is that of the last checkpoint.
    pub fn open(disk: &Disk, generation: u64) -> Result<Self, StorageError> {
        let mut segments = Vec::new();
        for number in 0..SEGMENTS {
            match disk.open_stamped(&segment_path(number)) {
                Ok((file, stamp)) => segments.push(Some((file, stamp.size))),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => segments.push(None),
                Err(e) => return Err(failed("open", number, e)),
            }
        }
        let salt = salt(disk)?;
        Ok(Self { segments, has_salt: salt.is_some(), salt: salt.map_or_else(new_salt, Ok)?, generation })
    }

    /// Whether there is no journal yet, or none any more.
    pub fn is_new(&self) -> bool {
        self.segments.iter().all(Option::is_none)
    }

    /// Which file of it is not there, for people. A journal that is written to has all of them.
    pub fn missing(&self) -> Option<String> {
        let segment = || self.segments.iter().position(Option::is_none).map(segment_path);
        let path = if self.has_salt { segment() } else { Some(salt_path()) };
        path.map(|path| format!("{} is not there, or not whole", path.display()))
    }

    /// Which segment was cut, for people: each gets its size before its name, the same for all, and keeps it. A `checkpoint` that
    /// lies behind the end of its segment tells so, too. None when all that are there are whole.
    pub fn cut(&self, checkpoint: &CheckpointRow) -> Option<String> {
        let sizes = || self.segments.iter().enumerate().filter_map(|(n, file)| Some((n, file.as_ref()?.1)));
        let whole = sizes().map(|(_, bytes)| bytes).max()?;
        let is_cut = |(number, bytes): &(usize, u64)| {
            *bytes < whole || (*number == checkpoint.segment as usize && *bytes < checkpoint.offset)
        };
        let (number, bytes) = sizes().find(is_cut)?;
        Some(format!("{} has {bytes} of {} bytes", segment_path(number).display(), whole.max(checkpoint.offset)))
    }

    /// The batch after `sequence`, which stands at `position` or, if it did not fit there, at the start of the next
    /// segment; none at the end of the journal.
    pub fn next(&self, sequence: u64, position: (u32, u64)) -> Result<Option<ReadBatch>, StorageError> {
        let (segment, offset) = position;
        let following = (segment + 1) % SEGMENTS as u32;
        for (segment, offset) in [(segment, offset), (following, 0)] {
            let header = self.header_at(segment, offset)?;
            if let Some(header) = header.filter(|h| h.generation == self.generation && h.sequence == sequence + 1)
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
        self.for_each_header(|header, segment, offset| {
            if header.generation == self.generation
                && header.sequence > highest
                && self.payload_of(header, segment, offset)?.is_some()
            {
                highest = header.sequence;
            }
            Ok(())
        })?;
        Ok(highest)
    }

    /// The valid batches of a higher sequence than `end`, in order.
    pub fn behind(&self, end: u64) -> Result<Vec<ReadBatch>, StorageError> {
        let mut batches = Vec::new();
        self.for_each_header(|header, segment, offset| {
            if header.generation == self.generation && header.sequence > end {
                batches.extend(self.read(header, segment, offset)?);
            }
            Ok(())
        })?;
        batches.sort_by_key(|batch| batch.sequence);
        Ok(batches)
    }

    /// For when no checkpoint is known: the position from which on all that the journal holds of the last run is read, up to
    /// its end, as a checkpoint would name it; none when it holds nothing.
    pub fn oldest(disk: &Disk) -> Result<Option<CheckpointRow>, StorageError> {
        let replay = Self::open(disk, 0)?;
        let mut batches = Vec::new();
        replay.for_each_header(|header, segment, offset| {
            if replay.payload_of(header, segment, offset)?.is_some() {
                batches.push((header.generation, header.sequence, segment, offset));
            }
            Ok(())
        })?;
        batches.sort_unstable();
        let run = batches.chunk_by(|one, next| (one.0, one.1 + 1) == (next.0, next.1)).next_back();
        let first = run.and_then(<[_]>::first);
        Ok(first.map(|&(generation, sequence, segment, offset)| CheckpointRow {
            sequence: sequence - 1,
            segment,
            offset,
            generation,
            ..CheckpointRow::default()
        }))
    }

    fn for_each_header(
        &self,
        mut work: impl FnMut(Header, u32, u64) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        for segment in 0..self.segments.len() as u32 {
            let mut offset = 0;
            while offset + HEADER_BYTES as u64 <= self.segment(segment).map_or(0, |(_, bytes)| bytes) {
                if let Some(header) = self.header_at(segment, offset)? {
                    work(header, segment, offset)?;
                }
                offset += BLOCK_BYTES;
            }
        }
        Ok(())
    }

    /// A segment that is there, with its size in bytes.
    fn segment(&self, number: u32) -> Option<(&DiskFile, u64)> {
        let segment = self.segments.get(usize::try_from(number).ok()?)?.as_ref();
        segment.map(|(file, bytes)| (file, *bytes))
    }

    /// A header, if one that fits the segment stands there.
    fn header_at(&self, segment: u32, offset: u64) -> Result<Option<Header>, StorageError> {
        let number = usize::try_from(segment).unwrap_or(usize::MAX);
        let Some((file, segment_bytes)) = self.segment(segment) else { return Ok(None) };
        if offset + HEADER_BYTES as u64 > segment_bytes {
            return Ok(None);
        }
        let mut bytes = [0; HEADER_BYTES];
        file.read_exact_at(&mut bytes, offset).map_err(|e| failed("read", number, e))?;
        let fits = |h: &Header| offset.saturating_add(h.bytes_on_disk()) <= segment_bytes;
        Ok(Header::parse(&bytes).filter(fits))
    }

    /// The payload, if its checksum holds.
    fn payload_of(&self, header: Header, segment: u32, offset: u64) -> Result<Option<Bytes>, StorageError> {
        let number = usize::try_from(segment).unwrap_or(usize::MAX);
        let Some((file, _)) = self.segment(segment) else { return Ok(None) };
        let mut payload = vec![0; usize::try_from(header.payload).unwrap_or(0)];
        file.read_exact_at(&mut payload, offset + HEADER_BYTES as u64).map_err(|e| failed("read", number, e))?;
        Ok((header.checksum(&payload, &self.salt) == header.crc).then(|| payload.into()))
    }

    fn read(&self, header: Header, segment: u32, offset: u64) -> Result<Option<ReadBatch>, StorageError> {
        let Some(payload) = self.payload_of(header, segment, offset)? else { return Ok(None) };
        let entries = decode_entries(&payload, header.entries)?;
        let next = (segment, offset + header.bytes_on_disk());
        Ok(Some(ReadBatch { sequence: header.sequence, stamp: header.stamp, entries, next }))
    }
}
