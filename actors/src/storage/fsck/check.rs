//! What the walks have in common: counting, telling, and gathering changes.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::key_counts::KeyCounts;
use super::{CheckObserver, CheckOptions, CheckProgress, Checked, Difference, Finding, Mend, wanted};
use crate::clock::SharedClock;
use crate::names::{BucketId, ObjectKey, Stamp, VersionId};
use crate::storage::checkpoint::{Next, seal};
use crate::storage::digest::Digests;
use crate::storage::disk::{DiskFile, FileStamp, JOURNAL_FOLDER, LOST_FOLDER, is_absent};
use crate::storage::index::RowChange;
use crate::storage::keys::{self, RowKind};
use crate::storage::messages::{Bucket, KeyUse, QueueName, Usage, Versioning};
use crate::storage::opened::Opened;
use crate::storage::overlay::LiveRows;
use crate::storage::plan::{adopted_row, marker, random};
use crate::storage::progress::Position;
use crate::storage::recovery::Lost;
use crate::storage::rows::{self, FileTag, KeyUseRow, ObjectRow, QueueTotalsRow, UsageRow};
use crate::storage::{StorageError, edits};

/// Changes of rows that wait at most.
const CHANGES_MAX: usize = 4096;
/// Rows or files between two reports of progress.
const PROGRESS_EVERY: u64 = 1024;

/// A check under way.
pub(super) struct Check<'a> {
    pub opened: &'a Opened,
    pub options: &'a CheckOptions,
    pub buckets: HashMap<BucketId, Arc<Bucket>>,
    /// What the rows of each bucket add up to.
    pub counted: HashMap<BucketId, Usage>,
    /// The same, once mended.
    pub usage: HashMap<BucketId, Usage>,
    /// How much is wrapped under each key.
    pub keys: KeyCounts,
    /// Rows of an earlier index, believed where they agree with a file.
    pub hints: Option<&'a LiveRows>,
    /// A new index is made: nothing is put aside before it is in place.
    pub rebuilds: bool,
    /// Stamps of the objects, when files may become objects: a copy of a file must not have that of the first.
    pub stamps: HashSet<(BucketId, Stamp)>,
    /// Overflow files that rows name.
    pub overflow: HashSet<PathBuf>,
    /// Sums over queues to which something was added.
    queues: HashMap<QueueName, QueueTotalsRow>,
    pub checked: Checked,
    observer: &'a mut dyn CheckObserver,
    clock: SharedClock,
    stamp_last: Stamp,
    changes: Vec<RowChange>,
}

/// Time and size of a file, and the copy of a row that goes with it.
type Tagged = (FileStamp, Option<Vec<u8>>);

impl<'a> Check<'a> {
    pub fn new(
        opened: &'a Opened,
        clock: SharedClock,
        options: &'a CheckOptions,
        observer: &'a mut dyn CheckObserver,
    ) -> Result<Self, StorageError> {
        let recovered = &opened.recovered;
        let buckets = wanted(&recovered.buckets, options.bucket.as_ref())?;
        Ok(Self {
            opened,
            options,
            counted: HashMap::new(),
            keys: KeyCounts::default(),
            usage: buckets.iter().map(|bucket| (bucket.id, Usage::default())).collect(),
            hints: None,
            rebuilds: false,
            stamps: HashSet::new(),
            buckets: buckets.into_iter().map(|bucket| (bucket.id, bucket)).collect(),
            overflow: HashSet::new(),
            queues: HashMap::new(),
            checked: Checked { replayed: recovered.replayed, ..Checked::default() },
            observer,
            clock,
            stamp_last: recovered.position.stamp,
            changes: Vec::new(),
        })
    }

    /// The time.
    pub fn now(&self) -> Stamp {
        self.clock.now()
    }

    pub fn may(&self, mend: Mend) -> bool {
        self.options.mend >= mend
    }

    /// Tells a difference.
    pub fn tell(&mut self, difference: Difference, place: impl Into<String>, detail: impl Into<String>, mended: bool) {
        self.checked.differences += 1;
        self.checked.mended += u64::from(mended);
        self.observer.found(&Finding { difference, place: place.into(), detail: detail.into(), mended });
    }

    /// Tells progress, now and then.
    pub fn step(&mut self, stage: &'static str, done: u64) {
        if done.is_multiple_of(PROGRESS_EVERY) {
            let expected = self.opened.recovered.usage.values().map(|usage| usage.objects).sum();
            self.observer.progress(CheckProgress { stage, done, expected });
        }
    }

    pub fn change(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), StorageError> {
        self.changes.push((key, value.map(Arc::from)));
        if self.changes.len() >= CHANGES_MAX { self.flush() } else { Ok(()) }
    }

    /// Brings the changes so far into the index; the end makes them durable.
    pub fn flush(&mut self) -> Result<(), StorageError> {
        let changes = std::mem::take(&mut self.changes);
        if changes.is_empty() { Ok(()) } else { self.opened.rows.index.apply(&changes) }
    }

    pub fn object(&self, bucket: BucketId, key: &ObjectKey) -> Result<Option<ObjectRow>, StorageError> {
        let row = self.opened.rows.index.snapshot()?.get(&keys::object(bucket, key.as_bytes()))?;
        row.map(|row| rows::decode(&row)).transpose()
    }

    /// The time and size that an object's file has.
    pub fn stamp_of(&self, row: &ObjectRow) -> FileStamp {
        FileStamp { size: row.stored_size(), modified: self.opened.disk.rounded(Stamp(row.stamp)) }
    }

    pub fn look(&self, path: &Path) -> Result<Option<FileStamp>, StorageError> {
        self.opened.disk.stamp_at(path).map_err(|e| StorageError::io("look at", path, e))
    }

    /// The same with the copy of a row that goes with the file.
    pub fn look_tagged(&self, path: &Path) -> Result<Option<Tagged>, StorageError> {
        match self.opened.disk.open_stamped(path) {
            Ok((file, there)) => Ok(Some((there, file.tag()))),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(StorageError::io("look at", path, e)),
        }
    }

    /// Hashes a file; none when it is gone, or somebody is writing it.
    pub fn hash(&self, path: &Path) -> Result<Option<(FileStamp, Digests)>, StorageError> {
        match edits::open_plain(&self.opened.disk, path)? {
            Some(file) => edits::hash(&file).map_err(|e| StorageError::io("read", path, e)),
            None => Ok(None),
        }
    }

    /// Makes a hashed file the object of its key.
    pub fn adopt(
        &mut self,
        bucket: &Bucket,
        key: &ObjectKey,
        path: &Path,
        previous: Option<&ObjectRow>,
        (seen, digests): (FileStamp, Digests),
    ) -> Result<(), StorageError> {
        let step = self.opened.disk.time_step();
        let beyond = previous.map_or(0, |row| row.stamp - row.stamp % step + step);
        self.stamp_last = Stamp(self.clock.now().0.max(self.stamp_last.0 + 1).max(beyond));
        let version_id = match (previous, bucket.versioning) {
            (None, Versioning::Enabled | Versioning::Suspended) => {
                VersionId::Unique { stamp: self.stamp_last, random: random()? }
            }
            _ => VersionId::Null,
        };
        let is_null = version_id == VersionId::Null;
        let mut row = adopted_row(previous, bucket, self.stamp_last, version_id, seen.size, &digests);
        row.lineage = self.lineage_of_adopted(bucket, key, previous, is_null, self.stamp_last)?;
        let file = self.opened.disk.open_writable(path).map_err(|e| StorageError::io("open", path, e))?;
        set_tag(&file, &row)?;
        self.set_time(&file, path, &row)?;
        self.change(keys::object(bucket.id, key.as_bytes()), Some(rows::encode(&row)?))?;
        if let Some(row) = previous {
            self.leave(bucket.id, row)?;
        }
        add(&mut self.usage, bucket.id, seen.size);
        let version = (!is_null).then(|| row.clock().0);
        self.send_later(bucket.id, key, version, &row)
    }

    /// Sums over a queue, with what was added.
    pub(super) fn queue_totals(&self, queue: &QueueName) -> QueueTotalsRow {
        let before = || self.opened.recovered.queues.get(queue).copied();
        self.queues.get(queue).copied().or_else(before).unwrap_or_default()
    }

    pub(super) fn set_queue_totals(&mut self, queue: QueueName, totals: QueueTotalsRow) -> Result<(), StorageError> {
        self.change(keys::queue_totals(&queue), Some(rows::encode(&totals)?))?;
        self.queues.insert(queue, totals);
        Ok(())
    }

    /// Counts an object that a row tells of.
    pub fn count(&mut self, bucket: BucketId, row: &ObjectRow) {
        self.checked.objects += 1;
        self.checked.bytes += row.size;
        add(&mut self.counted, bucket, row.size);
        add(&mut self.usage, bucket, row.size);
        self.keys.object(row);
    }

    /// Counts a noncurrent version, or a delete marker, that a row tells of.
    pub fn count_version(&mut self, bucket: BucketId, row: &ObjectRow) {
        self.checked.versions += 1;
        self.checked.bytes += row.size;
        add_version(&mut self.counted, bucket, row);
        add_version(&mut self.usage, bucket, row);
        self.keys.object(row);
    }

    /// Counts the parts of an upload in progress.
    pub fn count_parts(&mut self, bucket: BucketId, bytes: u64) {
        for usage in [&mut self.counted, &mut self.usage] {
            usage.entry(bucket).or_default().part_bytes += bytes;
        }
    }

    /// Adds the row of a noncurrent version, of a conflict copy, or of a delete marker.
    pub fn enter_version(&mut self, bucket: BucketId, key: &ObjectKey, row: &ObjectRow) -> Result<(), StorageError> {
        let stamp = Stamp(row.stamp);
        self.stamp_last = self.stamp_last.max(stamp);
        self.stamps.insert((bucket, stamp));
        add_version(&mut self.usage, bucket, row);
        self.keys.enter(row);
        if row.version.is_none() {
            self.change(keys::null_version(bucket, key.as_bytes()), Some(rows::encode_stamp(row.clock())))?;
        }
        self.change(noncurrent_key(bucket, key, row), Some(rows::encode(row)?))
    }

    /// Removes the row of a noncurrent version, or of a conflict copy.
    pub fn drop_version(&mut self, bucket: BucketId, key: &ObjectKey, row: &ObjectRow) -> Result<(), StorageError> {
        let usage = self.usage.entry(bucket).or_default();
        usage.versions = usage.versions.saturating_sub(1);
        usage.markers = usage.markers.saturating_sub(u64::from(row.is_marker()));
        usage.bytes = usage.bytes.saturating_sub(row.size);
        usage.old_bytes = usage.old_bytes.saturating_sub(row.size);
        self.keys.leave(row);
        if row.version.is_none() {
            self.change(keys::null_version(bucket, key.as_bytes()), None)?;
        }
        if row.listed_parts().is_some() {
            self.change(keys::part_list(bucket, Stamp(row.stamp)), None)?;
        }
        self.change(noncurrent_key(bucket, key, row), None)
    }

    /// Whether a row that is no current object's is there.
    pub fn has_noncurrent(&self, bucket: BucketId, key: &ObjectKey, row: &ObjectRow) -> Result<bool, StorageError> {
        Ok(self.opened.rows.index.snapshot()?.get(&noncurrent_key(bucket, key, row))?.is_some())
    }

    /// The noncurrent version of this clock.
    pub fn version(&self, bucket: BucketId, key: &[u8], stamp: Stamp) -> Result<Option<ObjectRow>, StorageError> {
        let row = self.opened.rows.index.snapshot()?.get(&keys::version(bucket, key, stamp))?;
        row.map(|row| rows::decode(&row)).transpose()
    }

    /// Hides every key of a bucket that has versions and no current object behind a delete marker: the files do not tell of markers,
    /// and what was deleted must not come back.
    pub fn hide_deleted(&mut self, bucket: &Bucket) -> Result<(), StorageError> {
        self.flush()?;
        let rows = self.opened.rows.index.snapshot()?;
        let (start, end) = keys::versions(bucket.id);
        let (mut last, mut hidden) = (None, Vec::new());
        rows.scan(&start, &end, &mut |row_key, row| {
            let Some((key, _)) = keys::split_version(row_key) else { return Ok(true) };
            if last.as_ref() == Some(&key) {
                return Ok(true);
            }
            let row: ObjectRow = rows::decode(row)?;
            if !row.is_marker() && rows.get(&keys::object(bucket.id, &key))?.is_none() {
                hidden.push(key.clone());
            }
            last = Some(key);
            Ok(true)
        })?;
        drop(rows);
        for key in hidden {
            let Ok(key) = ObjectKey::parse(&key) else { continue };
            self.stamp_last = Stamp(self.clock.now().0.max(self.stamp_last.0 + 1));
            let version = VersionId::Unique { stamp: self.stamp_last, random: random()? };
            let marker = marker(bucket, version, self.stamp_last, bucket.owner.clone());
            self.enter_version(bucket.id, &key, &marker)?;
        }
        Ok(())
    }

    /// Adds the row of an object.
    pub fn enter(&mut self, bucket: BucketId, key: &ObjectKey, row: &ObjectRow) -> Result<(), StorageError> {
        self.stamp_last = self.stamp_last.max(Stamp(row.stamp));
        self.stamps.insert((bucket, Stamp(row.stamp)));
        add(&mut self.usage, bucket, row.size);
        self.keys.enter(row);
        self.change(keys::object(bucket, key.as_bytes()), Some(rows::encode(row)?))
    }

    /// Counts an object less, which is counted as something else.
    pub fn forget(&mut self, bucket: BucketId, row: &ObjectRow) {
        let usage = self.usage.entry(bucket).or_default();
        usage.objects = usage.objects.saturating_sub(1);
        usage.bytes = usage.bytes.saturating_sub(row.size);
        self.keys.leave(row);
    }

    /// Takes what an object has beside its row, which goes or is replaced.
    pub fn leave(&mut self, bucket: BucketId, row: &ObjectRow) -> Result<(), StorageError> {
        self.forget(bucket, row);
        match row.listed_parts() {
            Some(_) => self.change(keys::part_list(bucket, Stamp(row.stamp)), None),
            None => Ok(()),
        }
    }

    pub fn set_time(&self, file: &DiskFile, path: &Path, row: &ObjectRow) -> Result<(), StorageError> {
        let time = self.opened.disk.rounded(Stamp(row.stamp));
        file.set_modified(time).map_err(|e| StorageError::io("set the time of", path, e))
    }

    /// Puts something of the node's own that no row names out of its way.
    pub fn put_aside(&self, path: &Path) -> Result<(), StorageError> {
        let folder = Path::new(LOST_FOLDER);
        let name: Vec<_> = path.iter().skip(1).map(|name| name.to_string_lossy()).collect();
        let disk = &self.opened.disk;
        // A name of its own, whatever was put aside before.
        let name = format!("{}-{:x}", name.join("-"), self.clock.now().0);
        let moved = disk.make_folders(folder).and_then(|()| disk.rename(path, &folder.join(name)));
        disk.forget_folders();
        moved.map_err(|e| StorageError::io("put aside", path, e))
    }

    /// Tells of what the disk lost of the journal.
    pub fn journal(&mut self, lost: &Lost) {
        let end = self.opened.recovered.position.sequence;
        if let Some(cut) = &lost.cut {
            let detail = format!("{cut}; what was acknowledged after batch {end} is lost");
            // Mended as far as that goes: a new journal is made.
            self.tell(Difference::JournalHole, JOURNAL_FOLDER, detail, true);
        }
        for batch in &lost.behind {
            let detail = format!("lost with batch {}, since the journal ends at {end}", batch.sequence);
            for (key, _) in batch.entries.iter().flat_map(|entry| &entry.changes) {
                if let Some(RowKind::Object(bucket, key)) = keys::kind(key) {
                    let name = self.buckets.get(&bucket).map_or_else(|| bucket.0.to_string(), |b| b.name.to_string());
                    let place = format!("{name}/{}", String::from_utf8_lossy(&key));
                    self.tell(Difference::JournalHole, place, detail.clone(), false);
                }
            }
        }
    }

    /// Makes everything durable that was mended.
    pub fn finish(mut self) -> Result<Checked, StorageError> {
        if self.may(Mend::Safely) {
            for (bucket, usage) in std::mem::take(&mut self.usage) {
                self.change(keys::usage(bucket), Some(rows::encode(&UsageRow::from(usage))?))?;
            }
            for (key, used) in self.keys.mended(self.options.bucket.is_none()) {
                let row = if used == KeyUse::default() { None } else { Some(rows::encode(&KeyUseRow::from(used))?) };
                self.change(keys::key_use(&key), row)?;
            }
            let Opened { disk, rows, recovered, .. } = self.opened;
            disk.sync_everything().map_err(|e| StorageError::io("sync", disk.root(), e))?;
            let position = Position { stamp: self.stamp_last, ..recovered.position };
            seal(disk, &*rows.index, position, recovered.generation, Next::End, self.changes)?;
        }
        Ok(self.checked)
    }
}

fn add(usage: &mut HashMap<BucketId, Usage>, bucket: BucketId, bytes: u64) {
    let usage = usage.entry(bucket).or_default();
    usage.objects += 1;
    usage.bytes += bytes;
}

/// The key of a row that is no current object's.
fn noncurrent_key(bucket: BucketId, key: &ObjectKey, row: &ObjectRow) -> Vec<u8> {
    match row.version.filter(|_| row.is_copy()) {
        Some(random) => keys::conflict(bucket, key.as_bytes(), row.clock().0, random),
        None => keys::version(bucket, key.as_bytes(), row.clock()),
    }
}

fn add_version(usage: &mut HashMap<BucketId, Usage>, bucket: BucketId, row: &ObjectRow) {
    let usage = usage.entry(bucket).or_default();
    usage.versions += 1;
    usage.markers += u64::from(row.is_marker());
    usage.bytes += row.size;
    usage.old_bytes += row.size;
}

/// Leaves the copy of a plain object's row with its file.
fn set_tag(file: &DiskFile, row: &ObjectRow) -> Result<(), StorageError> {
    file.set_tag(&rows::encode(&FileTag::of(row.clone(), None, None))?);
    Ok(())
}

/// The entries of a folder; none when it is not there.
pub(super) fn entries(check: &Check<'_>, folder: &Path) -> Result<Vec<(std::ffi::OsString, bool)>, StorageError> {
    match check.opened.disk.list(folder) {
        Ok(entries) => Ok(entries),
        Err(e) if is_absent(&e) => Ok(Vec::new()),
        Err(e) => Err(StorageError::io("list", folder, e)),
    }
}
