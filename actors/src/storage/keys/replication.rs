//! Keys of the rows of replication. They follow those of objects and versions, so that what holds bytes is walked in order.

use std::sync::Arc;

use super::{KeyRange, RowKind, of_bucket, push_escaped, push_terminated, split_terminated, successor, whole_bucket};
use crate::bucket_config::TargetId;
use crate::names::{BucketId, Stamp};
use crate::storage::messages::{QueueName, ReplicationTray};

const QUEUED: u8 = b'F';
const QUEUED_SINCE: u8 = b'G';
const QUEUE_TOTALS: u8 = b'H';
const TOMBSTONE: u8 = b'X';
const TOMBSTONE_SINCE: u8 = b'Y';
const CONFLICT: u8 = b'Z';

/// Behind the bucket in the table of tombstones by time: instead of a time, how many there are.
const COUNT: &[u8] = &[0xff];

/// What a row of replication is about.
pub(super) fn kind(row: &[u8]) -> Option<RowKind> {
    let (table, rest) = row.split_first()?;
    let (id, rest) = rest.split_first_chunk()?;
    let bucket = BucketId(u64::from_be_bytes(*id));
    match *table {
        QUEUED | QUEUED_SINCE | QUEUE_TOTALS => {
            let (target, rest) = split_terminated(rest)?;
            let target = TargetId(Arc::from(std::str::from_utf8(&target).ok()?));
            let queue = QueueName { bucket, target };
            match *table {
                QUEUED => split_slot(rest).map(|(key, version)| RowKind::Queued(queue, key, version)),
                QUEUED_SINCE => {
                    let (tray, rest) = rest.split_first()?;
                    let tray = TRAYS.iter().find(|(code, _)| code == tray).map(|(_, tray)| *tray)?;
                    let (since, rest) = rest.split_first_chunk()?;
                    let (key, version) = split_slot(rest)?;
                    Some(RowKind::QueuedSince(queue, tray, Stamp(u64::from_be_bytes(*since)), key, version))
                }
                _ => rest.is_empty().then_some(RowKind::QueueTotals(queue)),
            }
        }
        TOMBSTONE => split_slot(rest).map(|(key, version)| RowKind::Tombstone(bucket, key, version)),
        TOMBSTONE_SINCE if rest == COUNT => Some(RowKind::TombstoneCount(bucket)),
        TOMBSTONE_SINCE => {
            let (since, rest) = rest.split_first_chunk()?;
            let (key, version) = split_slot(rest)?;
            Some(RowKind::TombstoneSince(bucket, Stamp(u64::from_be_bytes(*since)), key, version))
        }
        CONFLICT => {
            let (key, rest) = split_terminated(rest)?;
            let (clock, random) = rest.split_first_chunk()?;
            let random = u64::from_be_bytes(random.try_into().ok()?);
            Some(RowKind::Conflict(bucket, key, !u64::from_be_bytes(*clock), random))
        }
        _ => None,
    }
}

const TRAYS: [(u8, ReplicationTray); 2] = [(1, ReplicationTray::Pending), (2, ReplicationTray::Parked)];

/// The null version has no clock; a version's is never 0.
fn push_slot(row: &mut Vec<u8>, key: &[u8], version: Option<u64>) {
    push_terminated(row, key);
    row.extend_from_slice(&version.unwrap_or_default().to_be_bytes());
}

fn split_slot(bytes: &[u8]) -> Option<(Vec<u8>, Option<u64>)> {
    let (key, version) = split_terminated(bytes)?;
    Some((key, Some(u64::from_be_bytes(version.try_into().ok()?)).filter(|clock| *clock != 0)))
}

fn of_queue(table: u8, queue: &QueueName) -> Vec<u8> {
    let mut row = of_bucket(table, queue.bucket);
    push_terminated(&mut row, queue.target.as_str().as_bytes());
    row
}

fn below(start: Vec<u8>) -> KeyRange {
    let end = successor(&start);
    (start, end)
}

/// A slot in a queue.
pub(in crate::storage) fn queued(queue: &QueueName, key: &[u8], version: Option<u64>) -> Vec<u8> {
    let mut row = of_queue(QUEUED, queue);
    push_slot(&mut row, key, version);
    row
}

/// All slots of a queue.
pub(in crate::storage) fn all_queued(queue: &QueueName) -> KeyRange {
    below(of_queue(QUEUED, queue))
}

/// The same slot by its time.
pub(in crate::storage) fn queued_since(
    queue: &QueueName,
    tray: ReplicationTray,
    since: Stamp,
    key: &[u8],
    version: Option<u64>,
) -> Vec<u8> {
    let (mut row, _) = queued_by_time(queue, tray);
    row.extend_from_slice(&since.0.to_be_bytes());
    push_slot(&mut row, key, version);
    row
}

/// All slots of a tray of a queue, oldest first.
pub(in crate::storage) fn queued_by_time(queue: &QueueName, tray: ReplicationTray) -> KeyRange {
    let mut row = of_queue(QUEUED_SINCE, queue);
    row.extend(TRAYS.iter().filter(|(_, of)| *of == tray).map(|(code, _)| code));
    below(row)
}

/// Sums over a queue.
pub(in crate::storage) fn queue_totals(queue: &QueueName) -> Vec<u8> {
    of_queue(QUEUE_TOTALS, queue)
}

/// The sums of all queues.
pub(in crate::storage) fn all_queue_totals() -> KeyRange {
    (vec![QUEUE_TOTALS], vec![QUEUE_TOTALS + 1])
}

/// What was deleted.
pub(in crate::storage) fn tombstone(bucket: BucketId, key: &[u8], version: Option<u64>) -> Vec<u8> {
    let mut row = of_bucket(TOMBSTONE, bucket);
    push_slot(&mut row, key, version);
    row
}

/// All that was deleted of a bucket.
pub(in crate::storage) fn tombstones(bucket: BucketId) -> KeyRange {
    whole_bucket(TOMBSTONE, bucket)
}

/// All that was deleted of all buckets.
pub(in crate::storage) fn all_tombstones() -> KeyRange {
    (vec![TOMBSTONE], vec![TOMBSTONE + 1])
}

/// All that was deleted of a key.
pub(in crate::storage) fn tombstones_of(bucket: BucketId, key: &[u8]) -> KeyRange {
    let mut row = of_bucket(TOMBSTONE, bucket);
    push_terminated(&mut row, key);
    below(row)
}

/// The same by its time.
pub(in crate::storage) fn tombstone_since(bucket: BucketId, since: Stamp, key: &[u8], version: Option<u64>) -> Vec<u8> {
    let mut row = of_bucket(TOMBSTONE_SINCE, bucket);
    row.extend_from_slice(&since.0.to_be_bytes());
    push_slot(&mut row, key, version);
    row
}

/// All of a bucket, oldest first.
pub(in crate::storage) fn tombstones_by_time(bucket: BucketId) -> KeyRange {
    // Times begin with a lesser byte than the count until the year 2552.
    let (start, _) = whole_bucket(TOMBSTONE_SINCE, bucket);
    let end = tombstone_count(bucket);
    (start, end)
}

/// How many there are.
pub(in crate::storage) fn tombstone_count(bucket: BucketId) -> Vec<u8> {
    [of_bucket(TOMBSTONE_SINCE, bucket).as_slice(), COUNT].concat()
}

/// What lost, by the two halves of its id: later ones of a key come first.
pub(in crate::storage) fn conflict(bucket: BucketId, key: &[u8], clock: u64, random: u64) -> Vec<u8> {
    let mut row = of_bucket(CONFLICT, bucket);
    push_terminated(&mut row, key);
    row.extend_from_slice(&(!clock).to_be_bytes());
    row.extend_from_slice(&random.to_be_bytes());
    row
}

/// All that lost of a bucket.
pub(in crate::storage) fn conflicts(bucket: BucketId) -> KeyRange {
    whole_bucket(CONFLICT, bucket)
}

/// All that lost of a key.
pub(in crate::storage) fn conflicts_of(bucket: BucketId, key: &[u8]) -> KeyRange {
    let mut row = of_bucket(CONFLICT, bucket);
    push_terminated(&mut row, key);
    below(row)
}

/// The conflicts of all buckets.
pub(in crate::storage) fn all_conflicts() -> KeyRange {
    (vec![CONFLICT], vec![CONFLICT + 1])
}

/// Those of the keys that begin with a prefix.
pub(in crate::storage) fn conflicts_below(bucket: BucketId, prefix: &[u8]) -> KeyRange {
    let mut row = of_bucket(CONFLICT, bucket);
    push_escaped(&mut row, prefix);
    below(row)
}

/// The rows of replication that may be left of a bucket: what is queued, what was deleted.
pub(in crate::storage) fn replication_of(bucket: BucketId) -> [KeyRange; 5] {
    [QUEUED, QUEUED_SINCE, QUEUE_TOTALS, TOMBSTONE, TOMBSTONE_SINCE].map(|table| whole_bucket(table, bucket))
}
