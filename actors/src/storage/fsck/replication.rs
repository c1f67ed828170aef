//! The walk over what replication keeps: queues with their order and sums, tombstones with theirs, marks of conflicts.
//!
//! It comes last, when rows are mended. A queue that is to be dropped, and what is left of buckets that are gone, is not looked at: its
//! owner empties it in steps.

use std::collections::BTreeMap;

use super::check::Check;
use super::rows::orphan;
use super::{Difference, Mend};
use crate::names::{BucketId, Stamp};
use crate::storage::StorageError;
use crate::storage::keys::{self, RowKind};
use crate::storage::messages::{QueueName, ReplicationTray};
use crate::storage::overlay::Rows as _;
use crate::storage::rows::{self, ObjectRow, QueueRow, QueueTotalsRow, TombstoneRow};

/// What is wrong, until the walk that reads the rows is over.
#[derive(Default)]
struct Found {
    /// Rows that are missing, and what each is.
    missing: Vec<(Vec<u8>, &'static str)>,
    /// Rows of nothing.
    orphans: Vec<(Vec<u8>, &'static str)>,
    unreadable: Vec<(Vec<u8>, String)>,
    sums: BTreeMap<QueueName, QueueTotalsRow>,
    tombstones: BTreeMap<BucketId, u64>,
}

/// Walks queues, tombstones and marks of all buckets.
pub(super) fn walk(check: &mut Check<'_>) -> Result<(), StorageError> {
    check.flush()?;
    let mut found = Found::default();
    let buckets: Vec<_> = check.buckets.keys().copied().collect();
    for bucket in buckets {
        let [queued, by_time, _, tombstones, tombstones_by_time] = keys::replication_of(bucket);
        let conflicts = keys::conflicts(bucket);
        for (start, end) in [queued, by_time, tombstones, tombstones_by_time, conflicts] {
            check.opened.rows.scan(&start, &end, &mut |row_key, row| {
                if let Err(error) = look(check, &mut found, row_key, row) {
                    found.unreadable.push((row_key.to_vec(), error.to_string()));
                }
                Ok(true)
            })?;
        }
    }
    for (row_key, error) in std::mem::take(&mut found.unreadable) {
        check.tell(Difference::UnreadableRow, hex::encode(row_key), error, false);
    }
    let mends = check.may(Mend::Safely);
    for (row_key, what) in std::mem::take(&mut found.missing) {
        check.tell(Difference::MissingRow, hex::encode(&row_key), what, mends);
        if mends {
            check.change(row_key, Some(Vec::new()))?;
        }
    }
    for (row_key, why) in std::mem::take(&mut found.orphans) {
        orphan(check, row_key, why)?;
    }
    sums(check, &found)?;
    check.flush()
}

fn recorded(check: &Check<'_>, queue: &QueueName) -> Result<QueueTotalsRow, StorageError> {
    let row = check.opened.rows.get(&keys::queue_totals(queue))?;
    Ok(row.map(|row| rows::decode(&row)).transpose()?.unwrap_or_default())
}

fn look(check: &Check<'_>, found: &mut Found, row_key: &[u8], row: &[u8]) -> Result<(), StorageError> {
    let rows = &check.opened.rows;
    match keys::kind(row_key) {
        Some(RowKind::Queued(queue, key, version)) => {
            let row: QueueRow = rows::decode(row)?;
            let tray = if row.parked.is_some() { ReplicationTray::Parked } else { ReplicationTray::Pending };
            let by_time = keys::queued_since(&queue, tray, Stamp(row.since), &key, version);
            if !recorded(check, &queue)?.overflowed && rows.get(&by_time)?.is_none() {
                found.missing.push((by_time, "a change that waits to be sent, by its time"));
            }
            let sums = found.sums.entry(queue).or_default();
            let (count, bytes) = match tray {
                ReplicationTray::Pending => (&mut sums.pending, &mut sums.pending_bytes),
                ReplicationTray::Parked => (&mut sums.parked, &mut sums.parked_bytes),
            };
            (*count, *bytes) = (*count + 1, bytes.saturating_add(row.bytes));
        }
        Some(RowKind::QueuedSince(queue, tray, since, key, version)) => {
            let row = rows.get(&keys::queued(&queue, &key, version))?;
            let row = row.map(|row| rows::decode::<QueueRow>(&row)).transpose()?;
            let is_its =
                |row: QueueRow| row.since == since.0 && row.parked.is_some() == (tray == ReplicationTray::Parked);
            if !row.is_some_and(is_its) && !recorded(check, &queue)?.overflowed {
                found.orphans.push((row_key.to_vec(), "the time of a change that does not wait to be sent"));
            }
        }
        Some(RowKind::Tombstone(bucket, key, version)) => {
            *found.tombstones.entry(bucket).or_default() += 1;
            let since = Stamp(rows::decode::<TombstoneRow>(row)?.stamp);
            let by_time = keys::tombstone_since(bucket, since, &key, version);
            if rows.get(&by_time)?.is_none() {
                found.missing.push((by_time, "a tombstone, by its time"));
            }
        }
        Some(RowKind::TombstoneSince(bucket, since, key, version)) => {
            let row = rows.get(&keys::tombstone(bucket, &key, version))?;
            let row = row.map(|row| rows::decode::<TombstoneRow>(&row)).transpose()?;
            if row.is_none_or(|row| row.stamp != since.0) {
                found.orphans.push((row_key.to_vec(), "the time of a tombstone that is not there"));
            }
        }
        Some(RowKind::Conflict(bucket, key, clock, random)) if row.is_empty() => {
            let rows_of = [keys::object(bucket, &key), keys::version(bucket, &key, Stamp(clock))];
            let mut is_there = false;
            for of in rows_of {
                let row = rows.get(&of)?.map(|row| rows::decode::<ObjectRow>(&row)).transpose()?;
                is_there |= row.is_some_and(|row| row.clock().0 == clock && row.version == Some(random));
            }
            if !is_there {
                found.orphans.push((row_key.to_vec(), "the mark of a version that is not there"));
            }
        }
        _ => {}
    }
    Ok(())
}

fn sums(check: &mut Check<'_>, found: &Found) -> Result<(), StorageError> {
    let mends = check.may(Mend::Safely);
    let queues = check.opened.recovered.queues.keys().filter(|queue| check.buckets.contains_key(&queue.bucket));
    let queues: std::collections::BTreeSet<_> = queues.chain(found.sums.keys()).cloned().collect();
    for queue in queues {
        let (told, counted) = (recorded(check, &queue)?, found.sums.get(&queue).copied().unwrap_or_default());
        if told.overflowed || told == counted {
            continue;
        }
        let detail = format!("{told:?} is recorded, {counted:?} is there");
        let place = format!("what waits in bucket {} to be sent to {}", queue.bucket.0, queue.target);
        check.tell(Difference::WrongCounters, place, detail, mends);
        if mends {
            check.change(keys::queue_totals(&queue), Some(rows::encode(&counted)?))?;
        }
    }
    let buckets: Vec<_> = check.buckets.values().cloned().collect();
    for bucket in buckets {
        let row_key = keys::tombstone_count(bucket.id);
        let told = check.opened.rows.get(&row_key)?.map(|row| rows::decode_stamp(&row)).transpose()?;
        let (told, counted) =
            (told.unwrap_or_default().0, found.tombstones.get(&bucket.id).copied().unwrap_or_default());
        if told != counted {
            let detail = format!("{told} tombstones are recorded, {counted} are there");
            check.tell(Difference::WrongCounters, bucket.name.as_str(), detail, mends);
            if mends {
                check.change(row_key, Some(rows::encode_stamp(Stamp(counted))))?;
            }
        }
    }
    Ok(())
}
