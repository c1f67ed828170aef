//! The journal on its own: order, reuse, torn tails, forgery.

use std::sync::Arc;

use super::batch::{EncodedEntry, Entry, HEADER_BYTES, Header, encode_batch};
use super::{Journal, Replay, segment_path};
use crate::names::Stamp;
use crate::storage::disk::Disk;
use crate::storage::rows::CheckpointRow;
use crate::storage::steps::Step;

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
    CheckpointRow { sequence, segment: next.0, offset: next.1, stamp: 0, generation: 1, relaxed: false, is_open: None }
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
fn a_cut_segment_is_told_and_costs_nothing_of_the_others() {
    for (number, bytes) in [(3, 0), (3, 10), (3, 1 << 14), (1, 0), (0, 4096)] {
        let root = tempfile::tempdir().unwrap();
        let disk = Disk::open(root.path(), false).unwrap();
        let start = at(0, (0, 0));
        let mut journal = Journal::open(&disk, 1 << 15, &start, false).unwrap();
        for n in 1..=3 {
            journal.append(&[entry(n, 10)], Stamp(7)).unwrap();
        }
        assert_eq!(Replay::open(&disk, 1).unwrap().cut(&start), None);
        let file = std::fs::File::options().write(true).open(root.path().join(segment_path(number))).unwrap();
        file.set_len(bytes).unwrap();
        let replay = Replay::open(&disk, 1).unwrap();
        let cut = replay.cut(&start).unwrap();
        assert_eq!(cut, format!(".myfsio.sys/journal/segment-{number} has {bytes} of 32768 bytes"));
        assert_eq!(replay.highest_sequence().unwrap(), if number == 0 { 1 } else { 3 }, "{cut}");
    }
}

#[test]
fn a_journal_of_which_all_segments_were_cut_ends_before_its_checkpoint() {
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::open(root.path(), false).unwrap();
    let mut journal = Journal::open(&disk, 1 << 15, &at(0, (0, 0)), false).unwrap();
    journal.append(&[entry(1, 10_000)], Stamp(7)).unwrap();
    let written = journal.append(&[entry(2, 10)], Stamp(7)).unwrap();
    for number in 0..4 {
        let file = std::fs::File::options().write(true).open(root.path().join(segment_path(number))).unwrap();
        file.set_len(8192).unwrap();
    }
    let replay = Replay::open(&disk, 1).unwrap();
    assert!(replay.cut(&at(2, written.next)).is_some());
    assert_eq!(replay.cut(&at(0, (0, 0))), None);
}

#[test]
fn a_segment_that_is_not_there_hides_no_other() {
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::open(root.path(), false).unwrap();
    let start = at(0, (0, 0));
    let mut journal = Journal::open(&disk, 1 << 15, &start, false).unwrap();
    for n in 1..=3 {
        journal.append(&[entry(n, 20_000)], Stamp(7)).unwrap();
    }
    std::fs::remove_file(root.path().join(segment_path(1))).unwrap();
    let replay = Replay::open(&disk, 1).unwrap();
    let first = replay.next(0, (0, 0)).unwrap().unwrap();
    assert!(replay.next(1, first.next).unwrap().is_none());
    assert_eq!(replay.highest_sequence().unwrap(), 3);
    // The one that is made anew is as large as the others, whatever the setting says by now.
    Journal::open(&disk, 1 << 16, &start, false).unwrap();
    assert_eq!(Replay::open(&disk, 1).unwrap().cut(&start), None);
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
