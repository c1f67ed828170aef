//! Lifecycle: what is due, removing it, and what was removed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bucket_config::{Day, Lifecycle, LifecycleKind};
use crate::names::Stamp;
use crate::storage::Bucket;

/// Since when one thing is what it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeEntry {
    /// What it is.
    pub kind: LifecycleKind,
    /// Since when.
    pub since: Stamp,
    /// Its key, in UTF-8.
    pub key: Vec<u8>,
    /// What tells it from others of its key: the stamp of a version, the random bits of an upload.
    pub mark: u64,
}

/// Brings the times of what was there before the bucket kept any into rows, some at a time. Answers whether all are there now.
/// Errs: NoSuchBucket.
#[derive(Debug)]
pub struct WalkTimes {
    /// The bucket.
    pub bucket: Arc<Bucket>,
}

/// Asks for a page of what is due now, oldest first.
#[derive(Debug, Clone)]
pub struct ListDue {
    /// The bucket; its times are kept and complete.
    pub bucket: Arc<Bucket>,
    /// The rules.
    pub lifecycle: Arc<Lifecycle>,
    /// What of.
    pub kind: LifecycleKind,
    /// The present.
    pub now: Stamp,
    /// The day that rules count in.
    pub day: Day,
    /// Where the last page ended.
    pub after: Option<TimeEntry>,
    /// Most entries of the page.
    pub limit: usize,
}

/// A page of what is due.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DuePage {
    /// What is due.
    pub due: Vec<TimeEntry>,
    /// Rows that were looked at.
    pub looked_at: u64,
    /// Where the next page begins; none when this was the last.
    pub next: Option<TimeEntry>,
}

/// Removes something if it is still there and due by the bucket's rules as they are then. Errs: NoSuchBucket, ObjectLocked.
#[derive(Debug)]
pub struct Expire {
    /// The bucket.
    pub bucket: Arc<Bucket>,
    /// What.
    pub entry: TimeEntry,
    /// The day that rules count in.
    pub day: Day,
}

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// What it was; none when it is gone, or not due any more.
    pub kind: Option<LifecycleKind>,
    /// Bytes that the bucket holds less.
    pub bytes: u64,
}

/// Keeps the report of a run. Errs: NoSuchBucket.
#[derive(Debug)]
pub struct RecordRun {
    /// The bucket.
    pub bucket: Arc<Bucket>,
    /// The report.
    pub run: LifecycleRun,
}

/// What one run over a bucket did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LifecycleRun {
    /// When it began, in milliseconds since 1970.
    pub started_millis: u64,
    /// When it ended, in milliseconds since 1970.
    pub ended_millis: u64,
    /// Current objects that expired.
    pub objects: u64,
    /// Noncurrent versions that were removed.
    pub versions: u64,
    /// Delete markers that were removed.
    pub markers: u64,
    /// Uploads that were aborted.
    pub uploads: u64,
    /// Bytes that the bucket holds less.
    pub bytes: u64,
    /// Versions that were due, and are locked.
    pub locked: u64,
    /// Requests that failed, and are tried again.
    pub failed: u64,
    /// The first of these, in words.
    pub errors: Vec<String>,
}

impl LifecycleRun {
    /// Reports kept of each bucket.
    pub(in crate::storage) const KEPT: usize = 10;

    /// Whether there is anything to tell.
    pub fn is_worth_telling(&self) -> bool {
        self.objects + self.versions + self.markers + self.uploads + self.failed > 0
    }
}

/// What rules would remove.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LifecyclePreview {
    /// What is due now.
    pub now: Foreseen,
    /// What of that which is there now becomes due later, up to the time asked for.
    pub later: Foreseen,
    /// Versions that are due in that time, and locked now: they are counted nowhere else.
    pub locked: u64,
    /// Whether the time that a preview may take ended before everything was looked at.
    pub is_partial: bool,
}

/// Things that would be removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Foreseen {
    /// Current objects.
    pub objects: u64,
    /// Noncurrent versions.
    pub versions: u64,
    /// Delete markers that stand alone.
    pub markers: u64,
    /// Uploads in progress.
    pub uploads: u64,
    /// Bytes of these objects and versions.
    pub bytes: u64,
    /// The first of them.
    pub sample: Vec<ForeseenEntry>,
}

/// One thing that would be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeseenEntry {
    /// What it is.
    pub kind: LifecycleKind,
    /// Its key.
    pub key: String,
    /// Its size in bytes; none of delete markers and uploads.
    pub size: Option<u64>,
    /// When it is due.
    pub at: Stamp,
    /// The rule by which.
    pub rule: String,
}
