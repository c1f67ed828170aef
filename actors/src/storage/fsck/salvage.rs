//! What the journal tells when the index is gone. No checkpoint says where to begin, so nothing is replayed: long done steps would
//! be done to files that came later. Of each row only the journal's last word counts, and a file is only written that is wanting.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Difference;
use super::check::Check;
use crate::names::{BucketId, BucketName, ObjectKey, Stamp};
use crate::storage::StorageError;
use crate::storage::disk::Disk;
use crate::storage::index::RowChange;
use crate::storage::journal::{ReadBatch, Replay};
use crate::storage::keys::{self, RowKind};
use crate::storage::materialise::{Materialiser, Outcome};
use crate::storage::plan::place_of;
use crate::storage::progress::Position;
use crate::storage::rows::{self, BucketRow, CheckpointRow, FileTag, FormatRow, Location, ObjectRow, PartRow};
use crate::storage::steps::{Place, Source, Step, overflow_path, staged_path};
use crate::storage::tags;

/// All that the journal still holds of the last run.
pub(super) struct Salvage {
    replay: Replay,
    from: CheckpointRow,
    /// Where it ends.
    pub end: Position,
    /// The last word on each row.
    last: BTreeMap<Vec<u8>, Option<Arc<[u8]>>>,
}

impl Salvage {
    pub fn read(disk: &Disk) -> Result<Self, StorageError> {
        let from = Replay::oldest(disk)?.unwrap_or_default();
        let mut salvage = Self {
            replay: Replay::open(disk, from.generation)?,
            from,
            end: Position { sequence: from.sequence, next: (from.segment, from.offset), stamp: Stamp(from.stamp) },
            last: BTreeMap::new(),
        };
        let (mut last, mut end) = (BTreeMap::new(), salvage.end);
        salvage.for_each_batch(&mut |batch| {
            for (key, value) in batch.entries.iter().flat_map(|entry| &entry.changes) {
                last.insert(key.clone(), value.clone());
            }
            end = Position { sequence: batch.sequence, next: batch.next, stamp: end.stamp.max(batch.stamp) };
            Ok(())
        })?;
        (salvage.last, salvage.end) = (last, end);
        Ok(salvage)
    }

    /// Generation of the run that wrote it.
    pub fn generation(&self) -> u64 {
        self.from.generation
    }

    fn for_each_batch(&self, work: &mut dyn FnMut(&ReadBatch) -> Result<(), StorageError>) -> Result<(), StorageError> {
        let (mut sequence, mut next) = (self.from.sequence, (self.from.segment, self.from.offset));
        while let Some(batch) = self.replay.next(sequence, next)? {
            work(&batch)?;
            (sequence, next) = (batch.sequence, batch.next);
        }
        Ok(())
    }

    /// The next bucket id, as far as it is told.
    pub fn bucket_id_next(&self) -> Result<u64, StorageError> {
        let row = self.last.get(keys::META_FORMAT).and_then(Option::as_deref);
        Ok(row.map(rows::decode::<FormatRow>).transpose()?.map_or(1, |format| format.bucket_id_next))
    }

    /// Buckets that were made, and those that were deleted.
    pub fn buckets(&self) -> Result<HashMap<BucketName, Option<BucketRow>>, StorageError> {
        let mut buckets = HashMap::new();
        for (key, value) in &self.last {
            if let Ok(name) = rows::bucket_name(key) {
                buckets.insert(name, value.as_deref().map(rows::decode).transpose()?);
            }
        }
        Ok(buckets)
    }

    /// What it tells of a bucket's configuration: none when nothing, else the row, if it was not removed.
    pub fn config(&self, bucket: BucketId) -> Option<Option<&[u8]>> {
        self.last.get(&keys::config(bucket)).map(Option::as_deref)
    }

    /// Brings what the journal tells beyond the files into the new index of `check`, and into files that are wanting.
    pub fn apply(&self, check: &mut Check<'_>) -> Result<(), StorageError> {
        check.flush()?;
        self.objects(check)?;
        check.flush()?;
        for (key, value) in &self.last {
            match (keys::kind(key), value) {
                (Some(RowKind::Object(bucket, name)), None) => self.deleted(check, bucket, &name)?,
                (Some(RowKind::Object(bucket, name)), Some(value)) => {
                    let Ok(name) = ObjectKey::parse(&name) else { continue };
                    renew(check, bucket, key, check.object(bucket, &name)?, value)?;
                }
                (Some(RowKind::Version(bucket, name, stamp)), Some(value)) => {
                    let row: ObjectRow = rows::decode(value)?;
                    if row.is_marker()
                        && check.buckets.contains_key(&bucket)
                        && let Ok(name) = ObjectKey::parse(&name)
                    {
                        check.enter_version(bucket, &name, &row)?;
                    } else {
                        renew(check, bucket, key, check.version(bucket, &name, stamp)?, value)?;
                    }
                }
                (Some(RowKind::Version(bucket, name, stamp)), None) => {
                    if let (Some(row), Ok(name)) = (check.version(bucket, &name, stamp)?, ObjectKey::parse(&name)) {
                        check.drop_version(bucket, &name, &row)?;
                        let stamp = Stamp(row.stamp);
                        if row.location == Location::Overflow && !self.is_current(bucket, &name, stamp)? {
                            check.put_aside(&overflow_path(bucket, name.as_str(), stamp))?;
                        }
                    }
                }
                (
                    Some(
                        RowKind::Queued(..)
                        | RowKind::QueuedSince(..)
                        | RowKind::QueueTotals(_)
                        | RowKind::Tombstone(..)
                        | RowKind::TombstoneSince(..)
                        | RowKind::TombstoneCount(_),
                    ),
                    value,
                ) => check.change(key.clone(), value.as_ref().map(|value| value.to_vec()))?,
                (Some(RowKind::Conflict(bucket, name, ..)), value) => {
                    if let Ok(name) = ObjectKey::parse(&name) {
                        conflict(check, bucket, key, &name, value.as_deref())?;
                    }
                }
                (Some(RowKind::Upload(..) | RowKind::Event(..)), Some(value)) => {
                    check.change(key.clone(), Some(value.to_vec()))?
                }
                (Some(RowKind::Part(..)), Some(value)) => {
                    let part: PartRow = rows::decode(value)?;
                    if check.look(&staged_path(&part.file))?.is_some() {
                        check.change(key.clone(), Some(value.to_vec()))?;
                    }
                }
                _ => {}
            }
        }
        check.flush()
    }

    /// The objects of the journal whose files do not stand yet.
    fn objects(&self, check: &mut Check<'_>) -> Result<(), StorageError> {
        let opened = check.opened;
        let bucket_id = |name: &str| {
            BucketName::parse(name).ok().and_then(|name| opened.recovered.buckets.get(&name)).map(|bucket| bucket.id)
        };
        let files = Materialiser { disk: &opened.disk, rows: &opened.rows, bucket_id: &bucket_id, replay: None };
        self.for_each_batch(&mut |batch| {
            for entry in &batch.entries {
                let body = || Ok(entry.body.as_deref().unwrap_or_default().to_vec());
                for step in &entry.steps {
                    match step {
                        // Only the journal's last word counts: the version may be current again.
                        Step::Archive { place, .. } if self.noncurrent(place)?.is_some() => {
                            files.carry_out(step, &entry.changes, &body)?;
                            self.archived(check, place)?;
                            continue;
                        }
                        Step::Promote { place, .. } => {
                            self.promoted(check, &files, step, place, &entry.changes)?;
                            continue;
                        }
                        _ => {}
                    }
                    let (bucket, key) = match step {
                        Step::Write { place, .. } => (place.bucket_id, &place.key),
                        Step::MakeFolder { bucket_id, key, row: Some(_), .. } => (*bucket_id, key),
                        _ => continue,
                    };
                    let Some(row) = self.wanting(check, BucketId(bucket), key, step)? else {
                        self.version(check, &files, step, &entry.changes, &body)?;
                        continue;
                    };
                    let is_gone = matches!(step, Step::Write { source: Source::Staged { name }, .. }
                        if check.look(&staged_path(name))?.is_none());
                    if is_gone {
                        let detail = "the journal tells of it, but its bytes are neither in it nor in a file";
                        check.tell(Difference::MissingFile, format!("bucket {bucket}: {key}"), detail, false);
                        continue;
                    }
                    let mut row = row;
                    if let Outcome::Moved(_) = files.carry_out(step, &entry.changes, &body)? {
                        row.location = Location::Overflow;
                    }
                    self.enter(check, BucketId(bucket), key, &row)?;
                }
            }
            Ok(())
        })
    }

    /// Whether the journal's last word on a key is the version of this stamp.
    fn is_current(&self, bucket: BucketId, key: &ObjectKey, stamp: Stamp) -> Result<bool, StorageError> {
        let Some(Some(row)) = self.last.get(&keys::object(bucket, key.as_bytes())) else { return Ok(false) };
        Ok(rows::decode::<ObjectRow>(row)?.stamp == stamp.0)
    }

    /// The journal's last word on a noncurrent version.
    fn noncurrent(&self, place: &Place) -> Result<Option<ObjectRow>, StorageError> {
        let row = self.last.get(&place.version_key()).and_then(Option::as_deref);
        let row = row.map(rows::decode::<ObjectRow>).transpose()?.filter(|row| row.stamp == place.stamp);
        let (start, end) = keys::conflicts_of(BucketId(place.bucket_id), place.key.as_bytes());
        let copies = self.last.range(start..end).filter_map(|(_, copy)| copy.as_deref());
        let mut copies = copies.filter(|copy| row.is_none() && !copy.is_empty()).map(rows::decode::<ObjectRow>);
        let copy = copies.find(|copy| copy.as_ref().map_or(true, |copy| copy.stamp == place.stamp)).transpose()?;
        Ok(row.or(copy))
    }

    /// Tells the new index that the object of a plain file was followed by a later version.
    fn archived(&self, check: &mut Check<'_>, place: &Place) -> Result<(), StorageError> {
        let (bucket, Ok(key)) = (BucketId(place.bucket_id), ObjectKey::parse(place.key.as_bytes())) else {
            return Ok(());
        };
        let Some(row) = self.noncurrent(place)?.filter(|_| check.buckets.contains_key(&bucket)) else { return Ok(()) };
        check.flush()?;
        if let Some(there) = check.object(bucket, &key)?.filter(|there| there.stamp == row.stamp) {
            check.forget(bucket, &there);
            check.change(keys::object(bucket, key.as_bytes()), None)?;
        }
        let own = check.stamp_of(&row);
        if !check.has_noncurrent(bucket, &key, &row)? && check.look(&place.overflow_path())? == Some(own) {
            check.enter_version(bucket, &key, &row)?;
        }
        check.flush()
    }

    /// Tells the new index that a version is the current object again, if that is the journal's last word on its key.
    fn promoted(
        &self,
        check: &mut Check<'_>,
        files: &Materialiser<'_>,
        step: &Step,
        place: &Place,
        changes: &[RowChange],
    ) -> Result<(), StorageError> {
        let (bucket, Ok(key)) = (BucketId(place.bucket_id), ObjectKey::parse(place.key.as_bytes())) else {
            return Ok(());
        };
        let Some(Some(row)) = self.last.get(&keys::object(bucket, key.as_bytes())) else { return Ok(()) };
        let mut row: ObjectRow = rows::decode(row)?;
        check.flush()?;
        let is_told = check.object(bucket, &key)?.is_some_and(|there| there.stamp >= row.stamp);
        if row.stamp != place.stamp || is_told || !check.buckets.contains_key(&bucket) {
            return Ok(());
        }
        if let Some(there) = check.version(bucket, key.as_bytes(), row.clock())? {
            check.drop_version(bucket, &key, &there)?;
        }
        if let Outcome::Moved(_) = files.carry_out(step, changes, &|| Ok(Vec::new()))? {
            row.location = Location::Overflow;
        }
        self.enter(check, bucket, place.key.as_str(), &row)
    }

    /// Writes the file of a version that is no longer current, if it is wanting.
    fn version(
        &self,
        check: &mut Check<'_>,
        files: &Materialiser<'_>,
        step: &Step,
        changes: &[RowChange],
        body: &dyn Fn() -> Result<Vec<u8>, StorageError>,
    ) -> Result<(), StorageError> {
        let Step::Write { place, source, size, row } = step else { return Ok(()) };
        let (bucket, Ok(key)) = (BucketId(place.bucket_id), ObjectKey::parse(place.key.as_bytes())) else {
            return Ok(());
        };
        let Some(told) = self.noncurrent(place)?.filter(|_| check.buckets.contains_key(&bucket)) else { return Ok(()) };
        let is_told = check.has_noncurrent(bucket, &key, &told)?
            || check.object(bucket, &key)?.is_some_and(|there| there.stamp == place.stamp);
        let is_gone = match source {
            Source::Staged { name } => check.look(&staged_path(name))?.is_none(),
            Source::Journal => false,
        };
        if is_told || is_gone {
            return Ok(());
        }
        let place = Place { location: Location::Overflow, ..place.clone() };
        let step = Step::Write { place, source: source.clone(), size: *size, row: *row };
        files.carry_out(&step, changes, body)?;
        check.enter_version(bucket, &key, &told)?;
        check.flush()
    }

    /// The row that `step` is of, if it is the journal's last word on the key and no file told as much, or something later.
    fn wanting(
        &self,
        check: &Check<'_>,
        bucket: BucketId,
        key: &str,
        step: &Step,
    ) -> Result<Option<ObjectRow>, StorageError> {
        if !check.buckets.contains_key(&bucket) {
            return Ok(None);
        }
        let Some(Some(row)) = self.last.get(&keys::object(bucket, key.as_bytes())) else { return Ok(None) };
        let row: ObjectRow = rows::decode(row)?;
        let is_its = match step {
            Step::Write { place, .. } => place.stamp == row.stamp,
            _ => row.location == Location::Folder,
        };
        let Ok(key) = ObjectKey::parse(key.as_bytes()) else { return Ok(None) };
        let told = check.object(bucket, &key)?.is_some_and(|there| there.stamp >= row.stamp);
        Ok((is_its && !told).then_some(row))
    }

    fn enter(&self, check: &mut Check<'_>, bucket: BucketId, key: &str, row: &ObjectRow) -> Result<(), StorageError> {
        let Ok(key) = ObjectKey::parse(key.as_bytes()) else { return Ok(()) };
        if let Some(other) = check.object(bucket, &key)? {
            check.leave(bucket, &other)?;
        }
        let list = keys::part_list(bucket, Stamp(row.stamp));
        if let Some(Some(parts)) = self.last.get(&list) {
            check.change(list, Some(parts.to_vec()))?;
        }
        check.enter(bucket, &key, row)?;
        check.flush()
    }

    /// An object that was deleted, and whose file was not removed any more.
    fn deleted(&self, check: &mut Check<'_>, bucket: BucketId, key: &[u8]) -> Result<(), StorageError> {
        let Some(there) = check.buckets.get(&bucket).map(Arc::clone) else { return Ok(()) };
        let Ok(key) = ObjectKey::parse(key) else { return Ok(()) };
        let Some(row) = check.object(bucket, &key)?.filter(|row| row.stamp <= self.end.stamp.0) else { return Ok(()) };
        check.leave(bucket, &row)?;
        check.change(keys::object(bucket, key.as_bytes()), None)?;
        if row.location != Location::Folder {
            check.put_aside(&place_of(&there, &key, &row).path())?;
        }
        Ok(())
    }
}

/// The journal's last word on a conflict: a mark is taken as it is, a copy if its file is there.
fn conflict(
    check: &mut Check<'_>,
    bucket: BucketId,
    row_key: &[u8],
    name: &ObjectKey,
    told: Option<&[u8]>,
) -> Result<(), StorageError> {
    if !check.buckets.contains_key(&bucket) {
        return Ok(());
    }
    check.flush()?;
    let there = check.opened.rows.index.snapshot()?.get(row_key)?;
    let there = there.filter(|row| !row.is_empty()).map(|row| rows::decode::<ObjectRow>(&row)).transpose()?;
    match (told, there) {
        (Some([]), _) => check.change(row_key.to_vec(), Some(Vec::new())),
        (Some(told), Some(there)) => renew(check, bucket, row_key, Some(there), told),
        (Some(told), None) => {
            let told: ObjectRow = rows::decode(told)?;
            let path = overflow_path(bucket, name.as_str(), Stamp(told.stamp));
            if check.look(&path)? == Some(check.stamp_of(&told)) {
                check.enter_version(bucket, name, &told)?;
            }
            Ok(())
        }
        (None, Some(there)) => {
            check.drop_version(bucket, name, &there)?;
            check.put_aside(&overflow_path(bucket, name.as_str(), Stamp(there.stamp)))
        }
        (None, None) => Ok(()),
    }
}

/// What was changed beside the bytes of an object may not be in its file's tag yet: tags, locks, how its data key is wrapped. The
/// journal's last word counts, but for where the file was found.
fn renew(
    check: &mut Check<'_>,
    bucket: BucketId,
    row_key: &[u8],
    there: Option<ObjectRow>,
    told: &[u8],
) -> Result<(), StorageError> {
    let told: ObjectRow = rows::decode(told)?;
    let Some(there) = there.filter(|there| there.stamp == told.stamp && check.buckets.contains_key(&bucket)) else {
        return Ok(());
    };
    let told = ObjectRow { location: there.location, ..told };
    if told != there {
        check.keys.leave(&there);
        check.keys.enter(&told);
        check.change(row_key.to_vec(), Some(rows::encode(&told)?))?;
        renew_tag(check, bucket, row_key, &told)?;
    }
    Ok(())
}

/// Leaves a row with its file, if that can be had: it would be taken for another one than the file's.
fn renew_tag(check: &Check<'_>, bucket: BucketId, row_key: &[u8], row: &ObjectRow) -> Result<(), StorageError> {
    let (key, is_noncurrent) = match keys::kind(row_key) {
        Some(RowKind::Object(_, key)) => (key, false),
        Some(RowKind::Version(_, key, _) | RowKind::Conflict(_, key, ..)) => (key, true),
        _ => return Ok(()),
    };
    let (Some(bucket), Ok(key)) = (check.buckets.get(&bucket), ObjectKey::parse(&key)) else { return Ok(()) };
    if !matches!(row.location, Location::Plain | Location::Overflow) {
        return Ok(());
    }
    let place = place_of(bucket, &key, row);
    let path = place.path();
    let Ok(file) = check.opened.disk.open_writable(&path) else { return Ok(()) };
    if file.stamp().ok() != Some(check.stamp_of(row)) {
        return Ok(());
    }
    let before = file.tag().and_then(|tag| rows::decode::<FileTag>(&tag).ok());
    let part_size = before.and_then(|tag| tag.part_size);
    tags::leave(&file, &path, &rows::encode(&FileTag { part_size, ..tags::of_file(&place, row, is_noncurrent) })?)
}
