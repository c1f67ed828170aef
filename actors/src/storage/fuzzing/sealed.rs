//! The fuzz target of the format of encrypted files, and the file in memory that property tests read, too: sealed as bodies are,
//! opened as readers do.
//!
//! An input is one of two. `open`, a line end, and the bytes of a file of one segment under the key of nines: whatever opens is
//! sealed to the very same bytes again. Or a line of words that say how a file is made, what of it is read, and what happens to it
//! before:
//!
//! ```text
//! size=70000 read=65530..65540                  an object that one request wrote; `untold` if its size was not known then
//! parts=65536,10,0 read=5..65540 flip=70:3      one of parts; a bit is flipped
//! ```
//!
//! `cut=n` and `add=n` change its end; `swap=a:b`, `copy=a:b` and `other=a` exchange two chunks, put one in another's place, and take
//! one from another object; `segments=a:b` exchanges whole segments. Answered is whether all of it still opens.

#![allow(clippy::indexing_slicing, reason = "what does not hold ends the run")]

use std::ops::Range;
use std::sync::Arc;

use crate::encryption::{
    CHUNK_BYTES, DataKey, Encryption, HEAD_BYTES, Method, SegmentHead, TAG_BYTES, plain_size, sealed_size,
};
use crate::names::{CanonicalId, ETag, PartNumber, Stamp, VersionId};
use crate::storage::chunk_pool::ChunkPool;
use crate::storage::read::ObjectPart;
use crate::storage::sealing::Sealer;
use crate::storage::unsealing::Unsealing;
use crate::storage::{Attributes, Controls, Object, Sealed, StorageError};

const SIZE_MAX: u64 = 1 << 18;
const PARTS_MAX: usize = 4;

/// The target.
pub fn sealed(data: &[u8]) -> bool {
    if let Some(file) = data.strip_prefix(b"open\n") {
        return opens(file);
    }
    let Some(case) = std::str::from_utf8(data).ok().and_then(Case::parse) else { return false };
    case.check()
}

/// The file of an object, and what its row tells of it.
#[derive(Debug, Clone)]
pub(in crate::storage) struct SealedFile {
    pub bytes: Vec<u8>,
    /// Part and size of each segment.
    pub segments: Vec<(Option<PartNumber>, u64)>,
    pub key: DataKey,
}

impl SealedFile {
    /// Seals pieces of `plain`, one for each of `heads`, whose sizes the row tells.
    pub fn seal(key: &DataKey, heads: &[(SegmentHead, u64)], plain: &[u8]) -> Self {
        let (mut bytes, mut rest) = (Vec::new(), plain);
        for (head, size) in heads {
            let (piece, later) = rest.split_at(usize::try_from(*size).expect("a size in memory"));
            rest = later;
            let mut sealer = Sealer::with_head(key, *head).expect("a key");
            // In blocks, as bodies come.
            let mut blocks = piece.chunks(2 * CHUNK_BYTES).peekable();
            if piece.is_empty() {
                bytes.extend_from_slice(sealer.seal(&[], true).expect("sealed"));
            }
            while let Some(block) = blocks.next() {
                bytes.extend_from_slice(sealer.seal(block, blocks.peek().is_none()).expect("sealed"));
            }
        }
        let segments = heads.iter().map(|(head, size)| (head.part, *size)).collect();
        Self { bytes, segments, key: key.clone() }
    }

    /// Bytes of plaintext, as the row tells.
    pub fn size(&self) -> u64 {
        self.segments.iter().map(|(_, size)| size).sum()
    }

    /// Reads as a reader does; a file of another size than the row's is none of it.
    pub fn read(&self, range: Range<u64>) -> Result<Vec<u8>, StorageError> {
        let broken = || StorageError::Corrupt { what: "a file of another size".to_owned() };
        let object = Arc::new(self.object());
        if object.stored_size() != self.bytes.len() as u64 {
            return Err(broken());
        }
        let parts: Vec<ObjectPart> = self
            .segments
            .iter()
            .filter_map(|(part, size)| Some(ObjectPart { number: (*part)?, offset: 0, size: *size, checksum: None }))
            .collect();
        let parts = (!parts.is_empty()).then_some(parts.as_slice());
        let mut unsealing = Unsealing::new(object, parts, &self.key)?;
        let chunks = Arc::new(ChunkPool::default());
        let (mut at, mut plain) = (range.start, Vec::new());
        while at < range.end {
            let wanted = unsealing.wanted(at)?;
            let mut chunk = chunks.take(wanted.size);
            let start = usize::try_from(wanted.offset).map_err(|_| broken())?;
            let stored = self.bytes.get(start..start + wanted.size).ok_or_else(broken)?;
            chunk.bytes_mut().copy_from_slice(stored);
            if let Some(bytes) = unsealing.take(wanted, chunk, at, range.end)? {
                assert!(!bytes.is_empty(), "a reader goes on");
                at += bytes.len() as u64;
                plain.extend_from_slice(&bytes);
            }
        }
        Ok(plain)
    }

    /// Where its chunks lie, one after the other.
    pub fn chunks(&self) -> Vec<Range<usize>> {
        let (mut chunks, mut start) = (Vec::new(), 0);
        for range in self.segment_ranges() {
            start = start.max(range.start) + HEAD_BYTES;
            while start < range.end {
                let end = range.end.min(start + CHUNK_BYTES + TAG_BYTES);
                chunks.push(start..end);
                start = end;
            }
        }
        chunks
    }

    /// Where its segments lie.
    pub fn segment_ranges(&self) -> Vec<Range<usize>> {
        let mut start = 0;
        let ranges = self.segments.iter().map(|(_, size)| {
            let end = start + usize::try_from(sealed_size(*size)).expect("a size in memory");
            std::mem::replace(&mut start, end)..end
        });
        ranges.collect()
    }

    fn object(&self) -> Object {
        let encryption = Encryption { method: Method::Managed { master: String::new() }, wrapped_key: Vec::new() };
        let stored = self.segments.iter().map(|(_, size)| sealed_size(*size)).sum();
        Object {
            version_id: VersionId::Null,
            stamp: Stamp(1),
            size: self.size(),
            etag: ETag { md5: [0; 16], parts: None },
            crc64nvme: 0,
            checksum: None,
            owner: CanonicalId::from_bytes([1; 32]),
            attributes: Attributes::default(),
            controls: Controls::default(),
            upload: None,
            sealed: Some(Sealed { encryption, size: stored, crc64nvme: 0, segments: None }),
            lineage: None,
        }
    }
}

/// Bytes that differ from place to place, so that a chunk at another's place shows.
pub(in crate::storage) fn pattern(size: u64) -> Vec<u8> {
    (0..size).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

fn opens(file: &[u8]) -> bool {
    let Some(head) = file.get(..HEAD_BYTES).and_then(|head| SegmentHead::parse(head).ok()) else { return false };
    assert_eq!(head.encode(), file[..HEAD_BYTES], "a head has one form");
    let Some(size) = plain_size(file.len() as u64) else { return false };
    let key = DataKey::from_bytes(&[9; 32]);
    let there = SealedFile { bytes: file.to_vec(), segments: vec![(head.part, size)], key: key.clone() };
    if head.check(head.part, size).is_err() {
        assert!(size == 0 || there.read(0..size).is_err(), "its head tells another size");
        return false;
    }
    let Ok(plain) = there.read(0..size) else { return false };
    let again = SealedFile::seal(&key, &[(head, size)], &plain);
    // Nothing is read of an empty object, so its only chunk may be anything.
    assert!(again.bytes == file || size == 0, "what opens has one form");
    again.bytes == file
}

/// How a file is made, read and changed.
#[derive(Debug, Default)]
struct Case {
    sizes: Vec<u64>,
    /// Whether it was assembled from parts.
    assembled: bool,
    untold: bool,
    reads: Vec<Range<u64>>,
    changes: Vec<Change>,
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Flip { at: usize, bit: u32 },
    Cut { bytes: usize },
    Add { bytes: usize },
    Swap { one: usize, other: usize },
    Copy { from: usize, to: usize },
    Other { chunk: usize },
    Segments { one: usize, other: usize },
}

impl Case {
    fn parse(text: &str) -> Option<Self> {
        let mut case = Self::default();
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let pair = || value.split_once(':').and_then(|(one, other)| Some((number(one)?, number(other)?)));
            match name {
                "size" => case.sizes = vec![number(value)? as u64],
                "parts" => {
                    case.sizes = value.split(',').map(|size| Some(number(size)? as u64)).collect::<Option<_>>()?;
                    case.assembled = true;
                }
                "untold" => case.untold = true,
                "read" => {
                    let (start, end) = value.split_once("..")?;
                    case.reads.push(number(start)? as u64..number(end)? as u64);
                }
                "flip" => case.changes.push(pair().map(|(at, bit)| Change::Flip { at, bit: bit as u32 % 8 })?),
                "cut" => case.changes.push(Change::Cut { bytes: number(value)? }),
                "add" => case.changes.push(Change::Add { bytes: number(value)? }),
                "swap" => case.changes.push(pair().map(|(one, other)| Change::Swap { one, other })?),
                "copy" => case.changes.push(pair().map(|(from, to)| Change::Copy { from, to })?),
                "other" => case.changes.push(Change::Other { chunk: number(value)? }),
                "segments" => case.changes.push(pair().map(|(one, other)| Change::Segments { one, other })?),
                _ => return None,
            }
        }
        let fits = (1..=PARTS_MAX).contains(&case.sizes.len()) && case.reads.len() + case.changes.len() <= 16;
        (fits && case.sizes.iter().all(|size| *size <= SIZE_MAX)).then_some(case)
    }

    fn check(&self) -> bool {
        let plain = pattern(self.sizes.iter().sum());
        let whole = self.file(9, &plain);
        let size = whole.size();
        assert_eq!(whole.read(0..size).expect("it opens"), plain);
        let mut file = whole.clone();
        for change in &self.changes {
            change.apply(&mut file, || self.file(8, &plain));
        }
        for read in &self.reads {
            let range = read.start.min(size)..read.end.min(size).max(read.start.min(size));
            let expected = &plain[range.start as usize..range.end as usize];
            let read = whole.read(range.clone());
            assert_eq!(read.expect("it opens"), expected, "{range:?}");
            if let Ok(read) = file.read(range.clone()) {
                assert_eq!(read, expected, "never other bytes: {range:?}");
            }
        }
        let is_same = file.bytes == whole.bytes;
        // Also when the row tells the size that the file has now.
        if let (false, Some(now)) = (self.assembled, plain_size(file.bytes.len() as u64)) {
            let told = SealedFile { segments: vec![(None, now)], ..file.clone() };
            assert!(now == size || now == 0 || told.read(0..now).is_err(), "cut off or continued");
        }
        let read = file.read(0..size);
        // Nothing is read of a segment without bytes.
        let unread = |range: &Range<usize>| range.len() == HEAD_BYTES + TAG_BYTES;
        let differs =
            |range: &Range<usize>| !unread(range) && file.bytes.get(range.clone()) != whole.bytes.get(range.clone());
        let must_fail = file.bytes.len() != whole.bytes.len() || whole.segment_ranges().iter().any(differs);
        assert_eq!(read.is_err(), must_fail, "what was changed is noticed, and nothing else is");
        read.is_ok_and(|read| read == plain) && is_same
    }

    /// The file of an object under the key of these bytes.
    fn file(&self, key: u8, plain: &[u8]) -> SealedFile {
        let heads = self.sizes.iter().enumerate().map(|(at, size)| {
            let part = self.assembled.then(|| PartNumber::new(at as u32 + 1).expect("a part number"));
            let told = (self.assembled || !self.untold).then_some(*size);
            (SegmentHead::with_salt(part, told, [at as u8; 32]), *size)
        });
        SealedFile::seal(&DataKey::from_bytes(&[key; 32]), &heads.collect::<Vec<_>>(), plain)
    }
}

impl Change {
    fn apply(self, file: &mut SealedFile, other: impl FnOnce() -> SealedFile) {
        let whole = file.segment_ranges().last().map_or(0, |last| last.end);
        let chunks: Vec<_> = file.chunks().into_iter().filter(|chunk| chunk.end <= file.bytes.len()).collect();
        let segments = file.segment_ranges();
        let copy = |file: &SealedFile, range: &Range<usize>| file.bytes[range.clone()].to_vec();
        match self {
            Self::Flip { at, bit } => {
                if let Some(byte) = file.bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            Self::Cut { bytes } => file.bytes.truncate(bytes),
            Self::Add { bytes } => file.bytes.resize((file.bytes.len() + bytes).min(2 * whole + CHUNK_BYTES), 0),
            Self::Swap { one, other } => {
                if let (Some(one), Some(other)) = (chunks.get(one), chunks.get(other)) {
                    exchange(file, one, other);
                }
            }
            Self::Copy { from, to } => {
                if let (Some(from), Some(to)) = (chunks.get(from), chunks.get(to)) {
                    let bytes = copy(file, from);
                    file.bytes.splice(to.clone(), bytes);
                }
            }
            Self::Other { chunk } => {
                if let Some(range) = chunks.get(chunk) {
                    let bytes = copy(&other(), range);
                    file.bytes.splice(range.clone(), bytes);
                }
            }
            Self::Segments { one, other } => {
                let there = |at: usize| segments.get(at).filter(|range| range.end <= file.bytes.len());
                if let (Some(one), Some(other)) = (there(one), there(other)) {
                    exchange(file, one, other);
                }
            }
        }
    }
}

/// Exchanges two pieces that do not overlap.
fn exchange(file: &mut SealedFile, one: &Range<usize>, other: &Range<usize>) {
    let (first, second) = if one.start <= other.start { (one, other) } else { (other, one) };
    if first.end > second.start {
        return;
    }
    let pieces = [&file.bytes[..first.start], &file.bytes[second.clone()], &file.bytes[first.end..second.start]];
    let tail = [&file.bytes[first.clone()], &file.bytes[second.end..]];
    file.bytes = [pieces.concat(), tail.concat()].concat();
}

fn number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|number| *number <= SIZE_MAX as usize * PARTS_MAX * 2)
}
