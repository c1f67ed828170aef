//! The walk over times: each thing of a bucket that keeps times must have one, and each time must be of something.
//!
//! It comes last, when rows and files are mended. A bucket whose own walk has not been everywhere yet lacks times without fault; where
//! something may be mended, that walk is finished here.

use super::check::Check;
use super::rows::orphan;
use super::{Difference, Mend};
use crate::bucket_config::LifecycleKind;
use crate::storage::messages::{Bucket, TimeEntry};
use crate::storage::overlay::Rows as _;
use crate::storage::rows::{self, TimesRow};
use crate::storage::{StorageError, keys, times};

const PAGE_ROWS: usize = 1000;
const PAGE_BYTES: usize = 1 << 20;

/// Walks the times of all buckets.
pub(super) fn walk(check: &mut Check<'_>) -> Result<(), StorageError> {
    check.flush()?;
    let buckets: Vec<_> = check.buckets.values().cloned().collect();
    for bucket in buckets {
        let is_complete = match check.opened.rows.get(&keys::times_walked(bucket.id))? {
            Some(row) => rows::decode::<TimesRow>(&row).is_ok_and(|row| row.is_complete),
            None => false,
        };
        if bucket.config.keeps_times {
            things(check, &bucket, is_complete)?;
            check.flush()?;
        }
        orphans(check, &bucket)?;
        if bucket.config.keeps_times && !is_complete && check.may(Mend::Safely) {
            let row = rows::encode(&TimesRow { is_complete: true, after: None })?;
            check.change(keys::times_walked(bucket.id), Some(row))?;
        }
    }
    check.flush()
}

/// Each object, version and upload has its time.
fn things(check: &mut Check<'_>, bucket: &Bucket, is_complete: bool) -> Result<(), StorageError> {
    let mends = check.may(Mend::Safely);
    let mut after = None;
    loop {
        let page = times::walk(&check.opened.rows, bucket.id, after.as_deref(), PAGE_ROWS, PAGE_BYTES)?;
        for aged in page.aged {
            if let Some((row_key, row)) = aged.mended {
                if is_complete {
                    let key = keys::split_version(&row_key).map(|(key, _)| key).unwrap_or_default();
                    let place =
                        format!("{}/{}, version {}", bucket.name, String::from_utf8_lossy(&key), row.version_id());
                    check.tell(Difference::MissingRow, place, "it tells wrongly since when it is noncurrent", mends);
                }
                if mends {
                    check.change(row_key, Some(rows::encode(&row)?))?;
                }
            }
            let Some(entry) = aged.entry else { continue };
            let row_key = keys::time(bucket.id, &entry);
            if check.opened.rows.get(&row_key)?.is_none() {
                if is_complete {
                    check.tell(Difference::MissingRow, name(bucket, &entry), "its time is not kept", mends);
                }
                if mends {
                    check.change(row_key, Some(Vec::new()))?;
                }
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// Each time is of something.
fn orphans(check: &mut Check<'_>, bucket: &Bucket) -> Result<(), StorageError> {
    for kind in LifecycleKind::ALL {
        let (start, end) = keys::times(bucket.id, kind);
        let rows = &check.opened.rows;
        let mut orphans = Vec::new();
        rows.scan(&start, &end, &mut |row_key, _| {
            let is_backed = match keys::split_time(row_key).filter(|_| bucket.config.keeps_times) {
                Some(entry) => times::find(rows, bucket.id, &entry)?.is_some(),
                None => false,
            };
            if !is_backed {
                orphans.push(row_key.to_vec());
            }
            Ok(true)
        })?;
        for row_key in orphans {
            orphan(check, row_key, "a time of something that is not there")?;
        }
    }
    Ok(())
}

fn name(bucket: &Bucket, entry: &TimeEntry) -> String {
    format!("{}/{}, {:?}", bucket.name, String::from_utf8_lossy(&entry.key), entry.kind)
}
