//! The fuzz target of the journal: entries as they are decoded, and whole segments that were damaged and replayed.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "what does not hold ends the run")]

use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use tempfile::TempDir;

use super::batch::{EncodedEntry, Entry, HEADER_BYTES, batch_bytes, decode_entries};
use super::{Journal, Replay, SEGMENTS, segment_path};
use crate::names::Stamp;
use crate::storage::disk::Disk;
use crate::storage::rows::CheckpointRow;
use crate::storage::steps::Step;

const SEGMENT_BYTES: usize = 32 << 10;
const BATCHES_MAX: usize = 24;
/// The last field of a header is unused, and no checksum covers it.
const UNUSED: Range<usize> = HEADER_BYTES - 8..HEADER_BYTES;

/// `E`, a count and a payload decode, or are refused; anything else says what to write and what to damage.
pub fn journal(data: &[u8]) -> bool {
    match data {
        [b'E', count, payload @ ..] => entries(payload, u64::from(*count)),
        script => PLACE.with(|place| replay(place, &mut script.iter().copied())),
    }
}

/// What decodes is the same when it is encoded and decoded again.
fn entries(payload: &[u8], count: u64) -> bool {
    let Ok(entries) = decode_entries(&Bytes::copy_from_slice(payload), count) else { return false };
    assert_eq!(entries.len() as u64, count);
    let mut again = Vec::new();
    for entry in &entries {
        again.extend_from_slice(&EncodedEntry::of(entry).expect("a decoded entry can be encoded").head);
        again.extend_from_slice(entry.body.as_deref().unwrap_or_default());
    }
    assert_eq!(decode_entries(&again.into(), count).expect("what was encoded decodes"), entries);
    true
}

/// Folders are made once: each would cost syncs.
struct Place {
    root: TempDir,
    disk: Disk,
}

thread_local! {
    static PLACE: Place = {
        let root = TempDir::new().expect("a temporary folder");
        let disk = Disk::open(root.path(), false).expect("a folder for the journal");
        Place { root, disk }
    };
}

/// A batch as it was written.
struct Batch {
    entries: Vec<Entry>,
    segment: usize,
    /// Header and payload within the segment.
    bytes: Range<usize>,
}

impl Batch {
    /// Whether nothing was damaged that its checksum covers.
    fn is_whole(&self, before: &[Vec<u8>], after: &[Vec<u8>]) -> bool {
        let start = self.bytes.start;
        [start..start + UNUSED.start, start + UNUSED.end..self.bytes.end]
            .into_iter()
            .all(|range| before[self.segment][range.clone()] == after[self.segment][range])
    }
}

/// Writes batches, damages the segments, and replays: what comes back is what was written in front of the first damaged
/// batch, and nothing else.
fn replay(place: &Place, script: &mut dyn Iterator<Item = u8>) -> bool {
    let paths: Vec<PathBuf> = (0..SEGMENTS).map(|n| place.root.path().join(segment_path(n))).collect();
    for path in &paths {
        std::fs::write(path, vec![0; SEGMENT_BYTES]).expect("an empty segment");
    }
    let batches = write(place, script);
    let read = |path: &PathBuf| std::fs::read(path).expect("a segment");
    let before: Vec<Vec<u8>> = paths.iter().map(read).collect();
    let mut after = before.clone();
    while let Some(number) = script.next() {
        let at = usize::from(script.next().unwrap_or(0)) << 8 | usize::from(script.next().unwrap_or(0));
        let segment = usize::from(number) % SEGMENTS;
        after[segment][at % SEGMENT_BYTES] ^= script.next().unwrap_or(0);
        std::fs::write(&paths[segment], &after[segment]).expect("a damaged segment");
    }

    let whole: Vec<bool> = batches.iter().map(|batch| batch.is_whole(&before, &after)).collect();
    let expected = whole.iter().take_while(|whole| **whole).count();
    let replay = Replay::open(&place.disk, 1).expect("segments that can be read");
    let (mut sequence, mut position) = (0, (0, 0));
    while let Some(read) = replay.next(sequence, position).expect("a batch whose checksum holds") {
        let written = batches.get(sequence as usize).expect("only what was written comes back");
        assert_eq!(read.entries, written.entries);
        assert_eq!((read.sequence, read.stamp), (sequence + 1, Stamp(sequence)));
        (sequence, position) = (read.sequence, read.next);
    }
    assert_eq!(sequence as usize, expected);
    let highest = whole.iter().rposition(|whole| *whole).map_or(0, |at| at + 1);
    assert_eq!(replay.highest_sequence().expect("segments that can be read"), highest as u64);
    !batches.is_empty()
}

fn write(place: &Place, script: &mut dyn Iterator<Item = u8>) -> Vec<Batch> {
    let start = CheckpointRow { generation: 1, ..CheckpointRow::default() };
    let mut journal = Journal::open(&place.disk, SEGMENT_BYTES as u64, &start, false).expect("a journal");
    let mut batches: Vec<Batch> = Vec::new();
    while let Some(count) = script.next().map(|count| count % 4).filter(|count| *count > 0) {
        let entries: Vec<Entry> = (0..count).map(|_| entry(script)).collect();
        let encoded: Vec<EncodedEntry> =
            entries.iter().map(|entry| EncodedEntry::of(entry).expect("a small entry")).collect();
        if batches.len() == BATCHES_MAX || journal.room_for(&encoded).is_err() {
            break;
        }
        let written = journal.append(&encoded, Stamp(batches.len() as u64)).expect("room for the batch");
        for (body, entry) in written.bodies.iter().zip(&entries) {
            let read = body.as_ref().map(|body| body.read().expect("a body"));
            assert_eq!(read.as_deref(), entry.body.as_deref());
        }
        let (segment, end) = written.next;
        let begin = (end - batch_bytes(&encoded)) as usize;
        let length = HEADER_BYTES + encoded.iter().map(EncodedEntry::size).sum::<usize>();
        batches.push(Batch { entries, segment: segment as usize, bytes: begin..begin + length });
    }
    batches
}

fn entry(script: &mut dyn Iterator<Item = u8>) -> Entry {
    let mut next = || script.next().unwrap_or(0);
    let (shape, fill) = (next(), next());
    let body = usize::from(next()) * 24;
    Entry {
        changes: (0..shape % 4)
            .map(|n| (vec![fill, n], (n != 1).then(|| vec![fill; usize::from(n) * 9].into())))
            .collect(),
        steps: if shape & 4 == 0 { Vec::new() } else { vec![Step::Discard { name: shape.to_string() }] },
        body: (shape & 8 != 0).then(|| vec![fill; body].into()),
    }
}
