//! Keys of the index's rows. One ordered map holds every table; the first byte says which.
//!
//! INVARIANT: within a table, byte order of the encoded keys is the order that listings need: object keys bytewise, versions
//! of a key newest first, uploads of a key by initiation, parts by number, times of a kind oldest first.

use std::sync::Arc;

use super::messages::{OutboxQueue, QueueName, ReplicationTray, TimeEntry, Tray};
use crate::bucket_config::LifecycleKind;
use crate::encryption::WrappingKey;
use crate::names::{BucketId, BucketName, CanonicalId, PartNumber, Stamp, UploadId};

mod replication;
mod stored;

pub(super) use replication::*;
pub(super) use stored::stored;

const BUCKET: u8 = b'B';
const CONFIG: u8 = b'C';
const DEAD_EVENT: u8 = b'D';
const EVENT: u8 = b'E';
const KEY_USE: u8 = b'K';
const NULL_VERSION: u8 = b'N';
const OBJECT: u8 = b'O';
const PART: u8 = b'P';
const PART_LIST: u8 = b'L';
const PREFIX_METER: u8 = b'Q';
const OWNER_METER: u8 = b'R';
const TIME: u8 = b'T';
const UPLOAD: u8 = b'W';
const USAGE: u8 = b'U';
const VERSION: u8 = b'V';

/// Where the journal stood at the last checkpoint.
pub(super) const META_CHECKPOINT: &[u8] = b"M/checkpoint";
/// The format of the index and the next bucket id.
pub(super) const META_FORMAT: &[u8] = b"M/format";
/// How far it is that data keys are wrapped anew.
pub(super) const META_REENCRYPTION: &[u8] = b"M/reencryption";
/// How far a scrub is, and what the last ones have found.
pub(super) const META_SCRUB: &[u8] = b"M/scrub";

/// What a row is about, told by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RowKind {
    Bucket,
    /// What is configured of a bucket.
    Config(BucketId),
    Meta,
    Object(BucketId, Vec<u8>),
    Part(BucketId, UploadId, PartNumber),
    /// With the stamp of the object.
    PartList(BucketId, Stamp),
    Upload(BucketId, Vec<u8>, UploadId),
    Usage(BucketId),
    /// A noncurrent version, or a delete marker.
    Version(BucketId, Vec<u8>, Stamp),
    /// Since when something is what it is.
    Time(BucketId, TimeEntry),
    /// How far the walk is that brings the times of a bucket into rows.
    TimesWalked(BucketId),
    /// Reports of the last runs of a bucket's lifecycle rules.
    LifecycleRuns(BucketId),
    /// Where the null version of a key is, while it is among the versions.
    NullVersion(BucketId, Vec<u8>),
    /// What the keys of a bucket that begin with a prefix add up to.
    PrefixMeter(BucketId, Vec<u8>),
    /// What a user owns, in whatever bucket.
    OwnerMeter(CanonicalId),
    /// An event that a target has still to be told of, or that was given up. Its bucket may be gone.
    Event(OutboxQueue, Stamp, Tray),
    /// How much is wrapped under a key.
    KeyUse(WrappingKey),
    /// A slot that is to be sent to a target. Its bucket may be gone, as with the next two.
    Queued(QueueName, Vec<u8>, Option<u64>),
    /// The same by its time.
    QueuedSince(QueueName, ReplicationTray, Stamp, Vec<u8>, Option<u64>),
    /// Sums over a queue.
    QueueTotals(QueueName),
    /// What was deleted: the null version of a key, or the version of this clock.
    Tombstone(BucketId, Vec<u8>, Option<u64>),
    /// The same by its time.
    TombstoneSince(BucketId, Stamp, Vec<u8>, Option<u64>),
    /// How many tombstones a bucket has.
    TombstoneCount(BucketId),
    /// What lost against a change that had not seen it: clock and random half of its id.
    Conflict(BucketId, Vec<u8>, u64, u64),
}

/// What a row is about; none for a key that no table has.
pub(super) fn kind(row: &[u8]) -> Option<RowKind> {
    let (table, rest) = row.split_first()?;
    let of_bucket = || {
        let (id, rest) = rest.split_first_chunk()?;
        Some((BucketId(u64::from_be_bytes(*id)), rest))
    };
    match *table {
        BUCKET => Some(RowKind::Bucket),
        b'M' if [META_CHECKPOINT, META_FORMAT, META_REENCRYPTION, META_SCRUB].contains(&row) => Some(RowKind::Meta),
        OBJECT => of_bucket().map(|(id, key)| RowKind::Object(id, key.to_vec())),
        PART => {
            let (id, rest) = of_bucket()?;
            let (upload, number) = split_upload_id(rest)?;
            let number = PartNumber::new(u32::from(u16::from_be_bytes(number.try_into().ok()?))).ok()?;
            Some(RowKind::Part(id, upload, number))
        }
        PART_LIST => {
            let (id, stamp) = of_bucket()?;
            Some(RowKind::PartList(id, Stamp(u64::from_be_bytes(stamp.try_into().ok()?))))
        }
        UPLOAD => {
            let (id, _) = of_bucket()?;
            let (key, upload) = split_upload(row)?;
            Some(RowKind::Upload(id, key, upload))
        }
        NULL_VERSION => of_bucket().map(|(id, key)| RowKind::NullVersion(id, key.to_vec())),
        VERSION => {
            let (id, _) = of_bucket()?;
            let (key, stamp) = split_version(row)?;
            Some(RowKind::Version(id, key, stamp))
        }
        TIME => {
            let (id, rest) = of_bucket()?;
            match rest {
                WALKED => Some(RowKind::TimesWalked(id)),
                RUNS => Some(RowKind::LifecycleRuns(id)),
                _ => split_time(row).map(|entry| RowKind::Time(id, entry)),
            }
        }
        EVENT => split_event(row).map(|(queue, stamp)| RowKind::Event(queue, stamp, Tray::Pending)),
        DEAD_EVENT => split_event(row).map(|(queue, stamp)| RowKind::Event(queue, stamp, Tray::Dead)),
        KEY_USE => split_key_use(rest).map(RowKind::KeyUse),
        PREFIX_METER => of_bucket().map(|(id, prefix)| RowKind::PrefixMeter(id, prefix.to_vec())),
        OWNER_METER => Some(RowKind::OwnerMeter(CanonicalId::from_bytes(rest.try_into().ok()?))),
        CONFIG => of_bucket().filter(|(_, rest)| rest.is_empty()).map(|(id, _)| RowKind::Config(id)),
        USAGE => of_bucket().filter(|(_, rest)| rest.is_empty()).map(|(id, _)| RowKind::Usage(id)),
        _ => replication::kind(row),
    }
}

/// A range of encoded keys: from the first, inclusive, to the second, exclusive.
pub(super) type KeyRange = (Vec<u8>, Vec<u8>);

pub(super) fn bucket(name: &BucketName) -> Vec<u8> {
    [&[BUCKET], name.as_str().as_bytes()].concat()
}

pub(super) fn buckets() -> KeyRange {
    (vec![BUCKET], vec![BUCKET + 1])
}

pub(super) fn config(id: BucketId) -> Vec<u8> {
    of_bucket(CONFIG, id)
}

pub(super) fn usage(id: BucketId) -> Vec<u8> {
    of_bucket(USAGE, id)
}

/// How much is wrapped under a key.
pub(super) fn key_use(key: &WrappingKey) -> Vec<u8> {
    let code = match key {
        WrappingKey::Managed(_) => 1,
        WrappingKey::Kms(_) => 2,
        WrappingKey::Customer => 3,
    };
    [&[KEY_USE, code], key.id().unwrap_or_default().as_bytes()].concat()
}

/// The same of all keys.
pub(super) fn key_uses() -> KeyRange {
    (vec![KEY_USE], vec![KEY_USE + 1])
}

fn split_key_use(rest: &[u8]) -> Option<WrappingKey> {
    let (code, id) = rest.split_first()?;
    let id = std::str::from_utf8(id).ok()?.to_owned();
    match code {
        1 => Some(WrappingKey::Managed(id)),
        2 => Some(WrappingKey::Kms(id)),
        3 if id.is_empty() => Some(WrappingKey::Customer),
        _ => None,
    }
}

pub(super) fn object(id: BucketId, key: &[u8]) -> Vec<u8> {
    let mut row = of_bucket(OBJECT, id);
    row.extend_from_slice(key);
    row
}

/// All current objects of a bucket.
pub(super) fn objects(id: BucketId) -> KeyRange {
    whole_bucket(OBJECT, id)
}

/// The object key inside the key of a row of [`objects`].
pub(super) fn object_key(row: &[u8]) -> &[u8] {
    row.get(9..).unwrap_or_default()
}

/// All noncurrent versions and delete markers of a bucket.
pub(super) fn versions(id: BucketId) -> KeyRange {
    whole_bucket(VERSION, id)
}

/// The version of this clock of a key: newer ones come first.
pub(super) fn version(bucket: BucketId, key: &[u8], stamp: Stamp) -> Vec<u8> {
    let (mut row, _) = versions_of(bucket, key);
    row.extend_from_slice(&(!stamp.0).to_be_bytes());
    row
}

/// All noncurrent versions and delete markers of a key, newest first.
pub(super) fn versions_of(bucket: BucketId, key: &[u8]) -> KeyRange {
    let mut start = of_bucket(VERSION, bucket);
    push_terminated(&mut start, key);
    let end = successor(&start);
    (start, end)
}

/// Key and clock inside the key of a row of [`versions`].
pub(super) fn split_version(row: &[u8]) -> Option<(Vec<u8>, Stamp)> {
    let (key, rest) = split_terminated(row.get(9..)?)?;
    Some((key, Stamp(!u64::from_be_bytes(rest.try_into().ok()?))))
}

/// The row that tells the clock of a key's null version while it is among the versions.
pub(super) fn null_version(bucket: BucketId, key: &[u8]) -> Vec<u8> {
    let mut row = of_bucket(NULL_VERSION, bucket);
    row.extend_from_slice(key);
    row
}

/// The upload `id` of a key.
pub(super) fn upload(bucket: BucketId, key: &[u8], id: UploadId) -> Vec<u8> {
    let mut row = of_bucket(UPLOAD, bucket);
    push_terminated(&mut row, key);
    push_upload(&mut row, id);
    row
}

/// All uploads in progress of a bucket.
pub(super) fn uploads(id: BucketId) -> KeyRange {
    whole_bucket(UPLOAD, id)
}

/// Key and id inside the key of a row of [`uploads`].
pub(super) fn split_upload(row: &[u8]) -> Option<(Vec<u8>, UploadId)> {
    let (key, rest) = split_terminated(row.get(9..)?)?;
    split_upload_id(rest).filter(|(_, rest)| rest.is_empty()).map(|(id, _)| (key, id))
}

fn split_upload_id(bytes: &[u8]) -> Option<(UploadId, &[u8])> {
    let (stamp, rest) = bytes.split_first_chunk()?;
    let (random, rest) = rest.split_first_chunk()?;
    Some((UploadId { stamp: Stamp(u64::from_be_bytes(*stamp)), random: u64::from_be_bytes(*random) }, rest))
}

pub(super) fn part(bucket: BucketId, upload: UploadId, number: PartNumber) -> Vec<u8> {
    let mut row = of_bucket(PART, bucket);
    push_upload(&mut row, upload);
    row.extend_from_slice(&number.get().to_be_bytes());
    row
}

/// All parts of an upload, in order of their numbers.
pub(super) fn parts(bucket: BucketId, upload: UploadId) -> KeyRange {
    let mut start = of_bucket(PART, bucket);
    push_upload(&mut start, upload);
    let end = successor(&start);
    (start, end)
}

/// All parts of all uploads of a bucket.
pub(super) fn parts_of_bucket(id: BucketId) -> KeyRange {
    whole_bucket(PART, id)
}

/// All parts of all uploads of all buckets.
pub(super) fn all_parts() -> KeyRange {
    (vec![PART], vec![PART + 1])
}

/// The part number inside the key of a row of [`parts`].
pub(super) fn part_number(row: &[u8]) -> Option<PartNumber> {
    let digits = row.get(row.len().checked_sub(2)?..)?;
    PartNumber::new(u32::from(u16::from_be_bytes(digits.try_into().ok()?))).ok()
}

/// The parts of an assembled object, by the stamp of the object.
pub(super) fn part_list(bucket: BucketId, object: Stamp) -> Vec<u8> {
    let mut row = of_bucket(PART_LIST, bucket);
    row.extend_from_slice(&object.0.to_be_bytes());
    row
}

/// What follows the bucket in the table of times: a kind, or no kind and what the row is instead.
const KINDS: [(u8, LifecycleKind); 4] = [
    (1, LifecycleKind::Current),
    (2, LifecycleKind::Noncurrent),
    (3, LifecycleKind::LoneMarker),
    (4, LifecycleKind::Upload),
];
const WALKED: &[u8] = &[0, 0];
const RUNS: &[u8] = &[0, 1];

/// Since when something is what it is.
pub(super) fn time(bucket: BucketId, entry: &TimeEntry) -> Vec<u8> {
    let (mut row, _) = times(bucket, entry.kind);
    row.extend_from_slice(&entry.since.0.to_be_bytes());
    push_terminated(&mut row, &entry.key);
    row.extend_from_slice(&entry.mark.to_be_bytes());
    row
}

/// All times of a kind, oldest first.
pub(super) fn times(bucket: BucketId, kind: LifecycleKind) -> KeyRange {
    let mut start = of_bucket(TIME, bucket);
    start.extend(KINDS.iter().filter(|(_, of)| *of == kind).map(|(code, _)| code));
    let end = successor(&start);
    (start, end)
}

/// The times of a kind that are no later than `latest`.
pub(super) fn times_until(bucket: BucketId, kind: LifecycleKind, latest: Stamp) -> KeyRange {
    let (start, _) = times(bucket, kind);
    let end = successor(&[start.as_slice(), &latest.0.to_be_bytes()].concat());
    (start, end)
}

/// What the key of a row of [`times`] says.
pub(super) fn split_time(row: &[u8]) -> Option<TimeEntry> {
    let (code, rest) = row.get(9..)?.split_first()?;
    let kind = KINDS.iter().find(|(of, _)| of == code).map(|(_, kind)| *kind)?;
    let (since, rest) = rest.split_first_chunk()?;
    let (key, mark) = split_terminated(rest)?;
    Some(TimeEntry {
        kind,
        since: Stamp(u64::from_be_bytes(*since)),
        key,
        mark: u64::from_be_bytes(mark.try_into().ok()?),
    })
}

/// How far the walk is that brings the times of a bucket into rows.
pub(super) fn times_walked(bucket: BucketId) -> Vec<u8> {
    [of_bucket(TIME, bucket).as_slice(), WALKED].concat()
}

/// Reports of the last runs of a bucket's lifecycle rules.
pub(super) fn lifecycle_runs(bucket: BucketId) -> Vec<u8> {
    [of_bucket(TIME, bucket).as_slice(), RUNS].concat()
}

/// What the keys of a bucket that begin with a prefix add up to.
pub(super) fn prefix_meter(bucket: BucketId, prefix: &[u8]) -> Vec<u8> {
    let mut row = of_bucket(PREFIX_METER, bucket);
    row.extend_from_slice(prefix);
    row
}

/// What a user owns, in whatever bucket.
pub(super) fn owner_meter(owner: &CanonicalId) -> Vec<u8> {
    [&[OWNER_METER], owner.to_bytes().as_slice()].concat()
}

/// All meters, of prefixes and of users.
pub(super) fn all_meters() -> KeyRange {
    (vec![PREFIX_METER], vec![OWNER_METER + 1])
}

/// Objects, versions, uploads and conflicts of the keys of a bucket that begin with a prefix: ranges that follow each other.
pub(super) fn holdings_below(bucket: BucketId, prefix: &[u8]) -> [KeyRange; 4] {
    let mut ranges = [OBJECT, VERSION, UPLOAD].map(|table| (of_bucket(table, bucket), Vec::new()));
    for (start, end) in &mut ranges {
        match start.first() {
            Some(&OBJECT) => start.extend_from_slice(prefix),
            _ => push_escaped(start, prefix),
        }
        *end = successor(start);
    }
    let [objects, versions, uploads] = ranges;
    [objects, versions, uploads, conflicts_below(bucket, prefix)]
}

/// Objects, versions, uploads and conflicts of all buckets: ranges that follow each other.
pub(super) fn all_holdings() -> [KeyRange; 4] {
    let [objects, versions, uploads] = [OBJECT, VERSION, UPLOAD].map(|table| (vec![table], vec![table + 1]));
    [objects, versions, uploads, all_conflicts()]
}

fn event_table(tray: Tray) -> u8 {
    match tray {
        Tray::Pending => EVENT,
        Tray::Dead => DEAD_EVENT,
    }
}

/// An event in a target's queue: each queue is a range of its own, so that none steps over what another cannot be told.
pub(super) fn event(tray: Tray, queue: &OutboxQueue, sequence: Stamp) -> Vec<u8> {
    let (mut row, _) = events_of(tray, queue);
    row.extend_from_slice(&sequence.0.to_be_bytes());
    row
}

/// The events of a queue, in order.
pub(super) fn events_of(tray: Tray, queue: &OutboxQueue) -> KeyRange {
    let mut start = of_bucket(event_table(tray), queue.bucket);
    push_terminated(&mut start, queue.target.as_bytes());
    let end = successor(&start);
    (start, end)
}

/// The events of all queues.
pub(super) fn all_events(tray: Tray) -> KeyRange {
    (vec![event_table(tray)], vec![event_table(tray) + 1])
}

/// Queue and sequence inside the key of a row of [`all_events`].
pub(super) fn split_event(row: &[u8]) -> Option<(OutboxQueue, Stamp)> {
    let (id, rest) = row.get(1..)?.split_first_chunk()?;
    let (target, sequence) = split_terminated(rest)?;
    let target = Arc::from(std::str::from_utf8(&target).ok()?);
    let queue = OutboxQueue { bucket: BucketId(u64::from_be_bytes(*id)), target };
    Some((queue, Stamp(u64::from_be_bytes(sequence.try_into().ok()?))))
}

/// The smallest key behind every key that begins with `prefix`; empty (no bound) when there is none.
pub(super) fn successor(prefix: &[u8]) -> Vec<u8> {
    let mut next = prefix.to_vec();
    while let Some(last) = next.pop() {
        if last < 0xff {
            next.push(last + 1);
            return next;
        }
    }
    next
}

fn of_bucket(table: u8, id: BucketId) -> Vec<u8> {
    let mut row = Vec::with_capacity(64);
    row.push(table);
    row.extend_from_slice(&id.0.to_be_bytes());
    row
}

fn whole_bucket(table: u8, id: BucketId) -> KeyRange {
    let start = of_bucket(table, id);
    let end = successor(&start);
    (start, end)
}

fn push_upload(row: &mut Vec<u8>, id: UploadId) {
    row.extend_from_slice(&id.stamp.0.to_be_bytes());
    row.extend_from_slice(&id.random.to_be_bytes());
}

/// Appends `key` so that what follows cannot disturb the order of keys: NUL becomes `00 FF`, the end is `00 01`.
pub(super) fn push_terminated(row: &mut Vec<u8>, key: &[u8]) {
    push_escaped(row, key);
    row.extend_from_slice(&[0, 1]);
}

/// Appends the beginning of a key, as [`push_terminated`] would, without its end.
pub(super) fn push_escaped(row: &mut Vec<u8>, key: &[u8]) {
    for &byte in key {
        row.push(byte);
        if byte == 0 {
            row.push(0xff);
        }
    }
}

fn split_terminated(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut key = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        match rest {
            [0, 1, tail @ ..] => return Some((key, tail)),
            [0, 0xff, tail @ ..] => {
                key.push(0);
                rest = tail;
            }
            [byte, tail @ ..] if *byte != 0 => {
                key.push(*byte);
                rest = tail;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests;
