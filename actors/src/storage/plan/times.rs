//! Keeping the times of a bucket ([`times`]), and removing what rules say is due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{BatchRows, EndUpload, Mutation, Planner};
use crate::bucket_config::LifecycleKind;
use crate::names::UploadId;
use crate::storage::StorageError;
use crate::storage::keys::{self, RowKind};
use crate::storage::messages::{
    AbortUpload, Bucket, Cause, DeleteObject, Expire, Expired, LifecycleRun, Origin, RecordRun, Versioning, WalkTimes,
    WriteConditions,
};
use crate::storage::rows::{self, TimesRow};
use crate::storage::times::{self, Top};

/// Rows that one commit of a walk looks at, and their bytes.
const WALK_ROWS: usize = 100;
const WALK_BYTES: usize = 16 << 10;

impl Planner<'_> {
    /// Adds the changes of times that the planned changes of rows ask for.
    pub fn keep_times(&mut self) -> Result<(), StorageError> {
        let Some(bucket) = self.timed.take() else { return Ok(()) };
        let changed: BTreeMap<_, _> = self.entry.changes.iter().cloned().collect();
        let (mut before, mut after, mut touched) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (row_key, row) in &changed {
            let Some(kind) = keys::kind(row_key) else { continue };
            match &kind {
                RowKind::Object(id, key) | RowKind::Version(id, key, _) if *id == bucket.id => {
                    touched.insert(key.clone());
                }
                RowKind::Upload(id, ..) if *id == bucket.id => {}
                _ => continue,
            }
            if let Some(row) = self.rows.get(row_key)? {
                before.extend(times::told(&kind, &row)?);
            }
            if let Some(row) = row {
                after.extend(times::told(&kind, row)?);
            }
        }
        if bucket.versioning != Versioning::Off {
            let then = BatchRows { staged: changed, live: self.rows };
            let mut mended = Vec::new();
            for key in &touched {
                before.extend(Top::of(self.rows, bucket.id, key)?.lone_marker(key));
                let top = Top::of(&then, bucket.id, key)?;
                after.extend(top.lone_marker(key));
                mended.extend(top.mended());
            }
            for (row_key, row) in mended {
                let Some(kind) = keys::kind(&row_key) else { continue };
                if let Some(old) = self.rows.get(&row_key)? {
                    before.extend(times::told(&kind, &old)?);
                }
                let row = rows::encode(&row)?;
                if let Some(entry) = times::told(&kind, &row)? {
                    after.retain(|other| (other.kind, &other.key, other.mark) != (entry.kind, &entry.key, entry.mark));
                    after.insert(entry);
                }
                self.change_again(row_key, row);
            }
        }
        for entry in before.difference(&after) {
            self.change(keys::time(bucket.id, entry), None);
        }
        for entry in after.difference(&before) {
            self.change(keys::time(bucket.id, entry), Some(Vec::new()));
        }
        Ok(())
    }

    /// Sets a row that may have been set already: then the earlier change becomes this one.
    pub(super) fn change_again(&mut self, key: Vec<u8>, value: Vec<u8>) {
        match self.entry.changes.iter_mut().rev().find(|(changed, _)| *changed == key) {
            Some((_, row)) => *row = Some(value.into()),
            None => drop(self.change(key, Some(value))),
        }
    }
}

impl Mutation for WalkTimes {
    type Output = bool;

    fn plan(self, planner: &mut Planner<'_>) -> Result<bool, StorageError> {
        let bucket = planner.live(&self.bucket)?;
        let walked = planner.rows.get(&keys::times_walked(bucket.id))?;
        let walked = walked.map(|row| rows::decode::<TimesRow>(&row)).transpose()?.unwrap_or_default();
        if walked.is_complete || !bucket.config.keeps_times {
            return Ok(walked.is_complete);
        }
        let after = walked.after.as_ref().map(|after| after.as_slice());
        let page = times::walk(planner.rows, bucket.id, after, WALK_ROWS, WALK_BYTES)?;
        for aged in page.aged {
            if let Some((row_key, row)) = aged.mended {
                planner.change(row_key, Some(rows::encode(&row)?));
            }
            if let Some(entry) = aged.entry {
                planner.change(keys::time(bucket.id, &entry), Some(Vec::new()));
            }
        }
        let is_complete = page.next.is_none();
        let row = TimesRow { is_complete, after: page.next.map(Into::into) };
        planner.change(keys::times_walked(bucket.id), Some(rows::encode(&row)?));
        // The rows above are all that the changes ask for.
        planner.timed = None;
        Ok(is_complete)
    }
}

impl Mutation for Expire {
    type Output = Expired;

    fn plan(self, planner: &mut Planner<'_>) -> Result<Expired, StorageError> {
        let Self { bucket, entry, day } = self;
        let bucket = planner.live(&bucket)?;
        let nothing = Expired { kind: None, bytes: 0 };
        let Some(lifecycle) = &bucket.config.lifecycle else { return Ok(nothing) };
        let now = planner.state.clock.now();
        let due = times::due(planner.rows, bucket.id, lifecycle, day, &entry)?;
        let Some((_, thing)) = due.filter(|(due, _)| due.at <= now) else { return Ok(nothing) };
        let bytes_before = planner.usage(bucket.id).bytes;
        let key = times::key_of(&entry)?;
        if entry.kind == LifecycleKind::Upload {
            let upload = UploadId { stamp: entry.since, random: entry.mark };
            EndUpload(AbortUpload { bucket: Arc::clone(&bucket), key, upload }).plan(planner)?;
        } else {
            let delete = DeleteObject {
                bucket: Arc::clone(&bucket),
                key,
                version: thing.version_id().filter(|_| entry.kind != LifecycleKind::Current),
                owner: bucket.owner.clone(),
                bypass_governance: false,
                conditions: WriteConditions::default(),
                replica: None,
            };
            planner.origin = Some(Arc::new(Origin::of_node(Cause::Lifecycle)));
            delete.plan(planner)?;
        }
        let bytes = bytes_before.saturating_sub(planner.usage(bucket.id).bytes);
        Ok(Expired { kind: Some(entry.kind), bytes })
    }
}

impl Mutation for RecordRun {
    type Output = ();

    fn plan(self, planner: &mut Planner<'_>) -> Result<(), StorageError> {
        let bucket = planner.live(&self.bucket)?;
        let row_key = keys::lifecycle_runs(bucket.id);
        let mut runs = planner.rows.get(&row_key)?.map(|row| rows::decode_runs(&row)).transpose()?.unwrap_or_default();
        runs.insert(0, self.run);
        runs.truncate(LifecycleRun::KEPT);
        planner.change(row_key, Some(rows::encode_runs(&runs)?));
        Ok(())
    }
}

/// The rows of a bucket's times that stay when it is empty.
pub(super) fn drop_times(planner: &mut Planner<'_>, bucket: &Bucket) {
    if bucket.config.keeps_times {
        planner.change(keys::times_walked(bucket.id), None);
        planner.change(keys::lifecycle_runs(bucket.id), None);
    }
}

/// All times of a bucket, for tests that look behind the curtain.
#[cfg(test)]
pub(in crate::storage) fn kept(
    rows: &dyn crate::storage::overlay::Rows,
    bucket: &Bucket,
) -> Vec<crate::storage::messages::TimeEntry> {
    let mut found = Vec::new();
    for kind in LifecycleKind::ALL {
        let (start, end) = keys::times(bucket.id, kind);
        rows.scan(&start, &end, &mut |row_key, _| {
            found.extend(keys::split_time(row_key));
            Ok(true)
        })
        .expect("readable rows");
    }
    found
}
