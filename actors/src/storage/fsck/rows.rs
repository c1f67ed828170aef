//! The walk over all rows: each must be readable, belong to something, and name a file that is there.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::check::Check;
use super::{Difference, Mend, sealed, tag};
use crate::encryption::sealed_size;
use crate::names::{BucketId, ObjectKey, PartNumber, Stamp, UploadId};
use crate::storage::StorageError;
use crate::storage::disk::{FileStamp, is_blocked};
use crate::storage::edits;
use crate::storage::keys::{self, RowKind};
use crate::storage::messages::{Bucket, KeyUse, Usage};
use crate::storage::plan::{is_same, must_stay, place_of};
use crate::storage::rows::{
    self, BucketRow, EventRow, KeyUseRow, Location, MeterRow, ObjectRow, PartListRow, PartRow, TimesRow, UploadRow,
    UsageRow,
};
use crate::storage::segments;
use crate::storage::steps::{Place, staged_path};

/// What rows met earlier in the order of their keys await from later ones.
#[derive(Default)]
struct Awaited {
    /// The parts of assembled objects, by the object.
    part_lists: HashMap<(BucketId, Stamp), Listed>,
    parts: HashMap<(BucketId, UploadId), Vec<(PartNumber, u64)>>,
    /// Where the null versions are that are not current.
    nulls: HashMap<(BucketId, Vec<u8>), Stamp>,
    done: u64,
}

/// A list of parts, added up.
#[derive(Debug, Clone, Copy)]
struct Listed {
    count: usize,
    bytes: u64,
    /// Bytes on disk, if the parts are sealed.
    sealed: u64,
}

impl Listed {
    fn of(list: &PartListRow) -> Self {
        let sum =
            |size: fn(u64) -> u64| list.parts.iter().fold(0, |sum: u64, part| sum.saturating_add(size(part.size)));
        Self { count: list.parts.len(), bytes: sum(|size| size), sealed: sum(sealed_size) }
    }

    /// Whether it is the list of an object. One without parts says that nothing is known of them, which will not do where they
    /// tell where the segments lie.
    fn is_of(&self, row: &ObjectRow) -> bool {
        let is_right = self.count == usize::from(row.listed_parts().unwrap_or(0)) && self.bytes == row.size;
        match (&row.sealed, row.location) {
            (Some(sealed), Location::Plain | Location::Overflow) => is_right && self.sealed == sealed.size,
            _ => is_right || self.count == 0,
        }
    }
}

/// Walks the whole index.
pub(super) fn walk(check: &mut Check<'_>) -> Result<(), StorageError> {
    let rows = check.opened.rows.index.snapshot()?;
    let mut awaited = Awaited::default();
    rows.scan(&[], &[], &mut |key, value| {
        awaited.done += 1;
        check.step("rows", awaited.done);
        match keys::kind(key) {
            Some(kind) => row(check, &mut awaited, kind, key, value)?,
            None => check.tell(Difference::UnreadableRow, hex::encode(key), "a key that no table has", false),
        }
        Ok(true)
    })?;
    drop(rows);
    for ((bucket, stamp), _) in awaited.part_lists {
        orphan(check, keys::part_list(bucket, stamp), "the parts of an object that is not there")?;
    }
    for ((bucket, upload), numbers) in awaited.parts {
        for (number, _) in numbers {
            orphan(check, keys::part(bucket, upload, number), "a part of an upload that is not there")?;
        }
    }
    for ((bucket, key), _) in awaited.nulls {
        orphan(check, keys::null_version(bucket, &key), "the place of a null version that is not there")?;
    }
    counters(check);
    if check.options.bucket.is_none() {
        key_counters(check);
    }
    check.flush()
}

fn row(
    check: &mut Check<'_>,
    awaited: &mut Awaited,
    kind: RowKind,
    key: &[u8],
    value: &[u8],
) -> Result<(), StorageError> {
    let id = match kind {
        RowKind::Meta => return Ok(()),
        RowKind::Bucket => return bucket(check, key, value),
        // It tells all that there is to tell: its bucket may be gone.
        RowKind::Event(_, sequence, _) => {
            if let Err(error) = rows::decode::<EventRow>(value).and_then(|row| row.into_event(sequence)) {
                check.tell(Difference::UnreadableRow, hex::encode(key), error.to_string(), false);
            }
            return Ok(());
        }
        RowKind::KeyUse(wrapping) => {
            match rows::decode::<KeyUseRow>(value) {
                Ok(row) => drop(check.keys.recorded.insert(wrapping, row.into())),
                Err(error) => check.tell(Difference::UnreadableRow, hex::encode(key), error.to_string(), false),
            }
            return Ok(());
        }
        // Their bucket may be gone; what they add up to is looked at afterwards.
        RowKind::Queued(..) | RowKind::QueuedSince(..) | RowKind::QueueTotals(_) => return Ok(()),
        // Users are not Storage's.
        RowKind::OwnerMeter(_) => {
            if let Err(error) = rows::decode::<MeterRow>(value) {
                check.tell(Difference::UnreadableRow, hex::encode(key), error.to_string(), false);
            }
            return Ok(());
        }
        RowKind::Object(id, _)
        | RowKind::Part(id, ..)
        | RowKind::PartList(id, _)
        | RowKind::Upload(id, ..)
        | RowKind::Config(id)
        | RowKind::Version(id, ..)
        | RowKind::NullVersion(id, _)
        | RowKind::Time(id, _)
        | RowKind::TimesWalked(id)
        | RowKind::LifecycleRuns(id)
        | RowKind::PrefixMeter(id, _)
        | RowKind::Tombstone(id, ..)
        | RowKind::TombstoneSince(id, ..)
        | RowKind::TombstoneCount(id)
        | RowKind::Conflict(id, ..)
        | RowKind::Usage(id) => id,
    };
    let Some(bucket) = check.buckets.get(&id).map(Arc::clone) else {
        let is_other = check.opened.recovered.buckets.values().any(|bucket| bucket.id == id);
        // Dropped in steps when their bucket goes, and swept up later.
        let is_swept =
            matches!(kind, RowKind::Tombstone(..) | RowKind::TombstoneSince(..) | RowKind::TombstoneCount(_));
        return if is_other || is_swept {
            Ok(())
        } else {
            orphan(check, key.to_vec(), "a row of a bucket that is not there")
        };
    };
    let read = match kind {
        RowKind::Object(_, key) => rows::decode(value).map(|row| object(check, awaited, &bucket, &key, row, None)),
        RowKind::NullVersion(_, key) => rows::decode_stamp(value).map(|stamp| {
            awaited.nulls.insert((id, key), stamp);
            Ok(())
        }),
        RowKind::Version(_, key, stamp) => {
            rows::decode(value).map(|row| object(check, awaited, &bucket, &key, row, Some(stamp)))
        }
        RowKind::PartList(_, stamp) => rows::decode::<PartListRow>(value).map(|list| {
            awaited.part_lists.insert((id, stamp), Listed::of(&list));
            Ok(())
        }),
        RowKind::Part(_, upload, number) => rows::decode(value).map(|row: PartRow| {
            awaited.parts.entry((id, upload)).or_default().push((number, row.size));
            part(check, &bucket, upload, number, &row)
        }),
        RowKind::Upload(_, key, upload) => rows::decode::<UploadRow>(value).and_then(|row| {
            check.checked.uploads += 1;
            check.keys.upload(row.encryption.as_ref());
            let parts = awaited.parts.remove(&(id, upload)).unwrap_or_default();
            check.count_parts(id, parts.iter().map(|(_, bytes)| bytes).sum());
            ObjectKey::parse(&key).map_or(Ok(()), |key| row.into_upload(key, upload).map(drop)).map(Ok)
        }),
        RowKind::Config(_) => rows::decode_config(value).map(|_| Ok(())),
        // Whether each is of something is looked at when all rows are mended.
        RowKind::Time(..) => Ok(Ok(())),
        RowKind::TimesWalked(_) => rows::decode::<TimesRow>(value).map(|_| Ok(())),
        RowKind::LifecycleRuns(_) => rows::decode_runs(value).map(|_| Ok(())),
        // What it tells was read when the directory was opened, and is compared when everything is counted.
        RowKind::Usage(_) => rows::decode::<UsageRow>(value).map(|_| Ok(())),
        // What they add up to is looked at when all rows are mended.
        RowKind::PrefixMeter(..) => rows::decode::<MeterRow>(value).map(|_| Ok(())),
        // A version that is counted where it is.
        RowKind::Conflict(..) if value.is_empty() => Ok(Ok(())),
        RowKind::Conflict(_, key, clock, _) => {
            rows::decode(value).map(|row| object(check, awaited, &bucket, &key, row, Some(Stamp(clock))))
        }
        // Whether they agree is looked at when all rows are mended.
        RowKind::Tombstone(..) | RowKind::TombstoneSince(..) | RowKind::TombstoneCount(_) => Ok(Ok(())),
        RowKind::Queued(..)
        | RowKind::QueuedSince(..)
        | RowKind::QueueTotals(_)
        | RowKind::Meta
        | RowKind::Bucket
        | RowKind::OwnerMeter(_)
        | RowKind::Event(..)
        | RowKind::KeyUse(_) => {
            return Ok(());
        }
    };
    match read {
        Ok(done) => done,
        Err(error) => {
            check.tell(Difference::UnreadableRow, hex::encode(key), error.to_string(), false);
            Ok(())
        }
    }
}

pub(super) fn orphan(check: &mut Check<'_>, key: Vec<u8>, why: &str) -> Result<(), StorageError> {
    let mended = check.may(Mend::Safely);
    check.tell(Difference::OrphanRow, hex::encode(&key), why, mended);
    if mended { check.change(key, None) } else { Ok(()) }
}

fn bucket(check: &mut Check<'_>, key: &[u8], value: &[u8]) -> Result<(), StorageError> {
    let name = rows::bucket_name(key)?;
    rows::decode::<BucketRow>(value)?;
    if check.buckets.values().all(|bucket| bucket.name != name) {
        return Ok(());
    }
    check.checked.buckets += 1;
    let (disk, path) = (&check.opened.disk, Path::new(name.as_str()));
    if disk.open_folder_file(path).is_ok() {
        return Ok(());
    }
    let mut mended = check.may(Mend::Safely);
    let mut detail = "the bucket has no folder".to_owned();
    if mended {
        match disk.make_folders(path).and_then(|()| disk.open_folder_file(path)) {
            Ok(folder) => {
                folder.set_tag(value);
            }
            Err(e) if is_blocked(&e) => (mended, detail) = (false, format!("{detail}, and none can be made: {e}")),
            Err(e) => return Err(StorageError::io("make", path, e)),
        }
    }
    check.tell(Difference::MissingFolder, name.as_str(), detail, mended);
    Ok(())
}

fn counters(check: &mut Check<'_>) {
    let buckets: Vec<_> = check.buckets.values().cloned().collect();
    for bucket in buckets {
        let recorded = check.opened.recovered.usage.get(&bucket.id).copied().unwrap_or_default();
        let counted = check.counted.get(&bucket.id).copied().unwrap_or_default();
        if recorded != counted {
            let text = |usage: Usage| {
                let Usage { objects, bytes, versions, markers, old_bytes, part_bytes } = usage;
                format!(
                    "{objects} objects and {versions} versions of {bytes} bytes, {old_bytes} of them in versions, {markers} of these \
                     delete markers, and parts of {part_bytes} bytes"
                )
            };
            let detail = format!("{} are recorded, {} are there", text(recorded), text(counted));
            let mended = check.may(Mend::Safely);
            check.tell(Difference::WrongCounters, bucket.name.as_str(), detail, mended);
        }
    }
}

fn key_counters(check: &mut Check<'_>) {
    let mended = check.may(Mend::Safely);
    for (key, recorded, counted) in check.keys.wrong() {
        let text = |used: KeyUse| format!("{} objects and {} uploads", used.objects, used.uploads);
        let detail = format!("{} are recorded, {} are there", text(recorded), text(counted));
        check.tell(Difference::WrongCounters, key.to_string(), detail, mended);
    }
}

/// Checks a current object, or the version of this stamp.
fn object(
    check: &mut Check<'_>,
    awaited: &mut Awaited,
    bucket: &Bucket,
    key: &[u8],
    row: ObjectRow,
    version: Option<Stamp>,
) -> Result<(), StorageError> {
    let key = match ObjectKey::parse(key) {
        Ok(key) => key,
        Err(error) => {
            check.tell(Difference::UnreadableRow, hex::encode(key), error.to_string(), false);
            return Ok(());
        }
    };
    match version {
        None => check.count(bucket.id, &row),
        Some(stamp) => {
            check.count_version(bucket.id, &row);
            null_version(check, awaited, bucket, &key, &row, stamp)?;
        }
    }
    if check.may(Mend::FromFiles) {
        check.stamps.insert((bucket.id, Stamp(row.stamp)));
    }
    let place = place_of(bucket, &key, &row);
    let listed = row.listed_parts();
    let list = listed.and_then(|_| awaited.part_lists.remove(&(bucket.id, Stamp(row.stamp))));
    let has_parts = listed.is_none() || list.is_some_and(|list| list.is_of(&row));
    if !has_parts {
        parts(check, &place, &row, list)?;
    }
    match row.location {
        Location::Folder | Location::Marker => return Ok(()),
        Location::Overflow => drop(check.overflow.insert(place.path())),
        Location::Plain => {}
    }
    let own = check.stamp_of(&row);
    let looked = match check.look_tagged(&place.path()) {
        Ok(Some((there, tag))) if there == own => tag::compare(check, &place, &row, version.is_some(), tag.as_deref())
            .and_then(|()| data(check, &place, &row)),
        Ok(Some((there, tag))) => {
            other_file(check, bucket, &key, (&place, &row), there, (tag.as_deref(), version.is_some()))
        }
        Ok(None) if version.is_some() => no_version(check, bucket, &key, &place, &row),
        Ok(None) => no_file(check, bucket, &key, &place, row),
        Err(error) => Err(error),
    };
    unless_unreadable(check, &name(&place), looked)
}

/// The version's place must be told if it is the null version.
fn null_version(
    check: &mut Check<'_>,
    awaited: &mut Awaited,
    bucket: &Bucket,
    key: &ObjectKey,
    row: &ObjectRow,
    stamp: Stamp,
) -> Result<(), StorageError> {
    let place = format!("{}/{key}, version {}", bucket.name, row.version_id());
    if row.clock() != stamp {
        check.tell(Difference::UnreadableRow, place.clone(), "its key has another clock than its row", false);
    }
    if row.version.is_some() {
        return Ok(());
    }
    let awaited_key = (bucket.id, key.as_bytes().to_vec());
    if awaited.nulls.get(&awaited_key) == Some(&stamp) {
        awaited.nulls.remove(&awaited_key);
        return Ok(());
    }
    let mended = check.may(Mend::Safely);
    check.tell(Difference::MissingRow, place, "nothing tells that the null version is here", mended);
    if mended {
        check.change(keys::null_version(bucket.id, key.as_bytes()), Some(rows::encode_stamp(stamp)))?;
    }
    Ok(())
}

/// A noncurrent version without its file.
fn no_version(
    check: &mut Check<'_>,
    bucket: &Bucket,
    key: &ObjectKey,
    place: &Place,
    row: &ObjectRow,
) -> Result<(), StorageError> {
    let mended = check.may(Mend::FromFiles);
    let detail = format!("{} bytes of version {} are lost", row.size, row.version_id());
    check.tell(Difference::MissingFile, name(place), detail, mended);
    if mended { check.drop_version(bucket.id, key, row) } else { Ok(()) }
}

/// One file that cannot be read or changed is a difference, and not the end of the check.
pub(super) fn unless_unreadable(
    check: &mut Check<'_>,
    place: &str,
    looked: Result<(), StorageError>,
) -> Result<(), StorageError> {
    match looked {
        Err(error @ StorageError::Io { .. }) => {
            check.tell(Difference::UnreadableFile, place, error.to_string(), false);
            Ok(())
        }
        other => other,
    }
}

pub(super) fn name(place: &Place) -> String {
    format!("{}/{}", place.bucket, place.key)
}

/// The list of parts does not add up. Where it cannot be had from the file, nothing is known of them.
fn parts(check: &mut Check<'_>, place: &Place, row: &ObjectRow, list: Option<Listed>) -> Result<(), StorageError> {
    let detail = format!("{} parts of {} bytes, listed are {list:?}", row.listed_parts().unwrap_or(0), row.size);
    let from_file = if row.sealed.is_some() { sealed::part_list(check, place, row)? } else { None };
    let is_known = from_file.is_some() || row.sealed.is_none() || row.location == Location::Folder;
    let mended = check.may(Mend::Safely) && is_known;
    check.tell(Difference::WrongParts, name(place), detail, mended);
    if mended {
        let list = from_file.unwrap_or_else(|| PartListRow::of(&[]));
        check.change(keys::part_list(BucketId(place.bucket_id), Stamp(row.stamp)), Some(rows::encode(&list)?))?;
    }
    Ok(())
}

/// Reads all bytes, if that was asked for.
fn data(check: &mut Check<'_>, place: &Place, row: &ObjectRow) -> Result<(), StorageError> {
    if !check.options.data {
        if row.damaged.is_some() {
            check.tell(
                Difference::DamagedFile,
                name(place),
                "a scrub found other bytes in it; it is not served",
                false,
            );
        }
        return Ok(());
    }
    match check.hash(&place.path()) {
        Ok(Some((seen, digests))) if !is_same(row, &seen, &digests) => {
            check.tell(Difference::DamagedFile, name(place), "its bytes do not match its checksum", false);
        }
        Ok(Some(_)) if row.sealed.is_some() => sealed::heads(check, place, row)?,
        Ok(_) => {}
        Err(error) => check.tell(Difference::DamagedFile, name(place), error.to_string(), false),
    }
    Ok(())
}

/// The file has another size or time than its row.
fn other_file(
    check: &mut Check<'_>,
    bucket: &Bucket,
    key: &ObjectKey,
    (place, row): (&Place, &ObjectRow),
    there: FileStamp,
    (tag, is_noncurrent): (Option<&[u8]>, bool),
) -> Result<(), StorageError> {
    let path = place.path();
    if tag::tells_time(check, place, row, &there, tag) {
        return Ok(());
    }
    let detail = format!("the file has {} bytes, the object's has {}", there.size, row.stored_size());
    let Some((seen, digests)) = check.hash(&path)? else {
        check.tell(Difference::EditedFile, name(place), "somebody is writing it", false);
        return Ok(());
    };
    let mended = check.may(Mend::Safely);
    if is_same(row, &seen, &digests) {
        if mended {
            let file = check.opened.disk.open_writable(&path).map_err(|e| StorageError::io("open", &path, e))?;
            check.set_time(&file, &path, row)?;
        }
        check.tell(Difference::WrongTime, name(place), "the bytes are right", mended);
        tag::compare(check, place, row, is_noncurrent, tag)?;
    } else if let Some(reason) = stays(check, key, place, row, &there) {
        check.tell(Difference::DamagedFile, name(place), format!("{detail}; it is not served: {reason}"), false);
    } else if segments::is_sealed(&check.opened.disk, &path)? {
        check.tell(Difference::LostKey, name(place), segments::LOST_KEY, false);
    } else {
        if mended {
            check.adopt(bucket, key, &path, Some(row), (seen, digests))?;
        }
        check.tell(Difference::EditedFile, name(place), detail, mended);
    }
    Ok(())
}

/// Why other bytes in the file are no new state of the object.
fn stays(
    check: &Check<'_>,
    key: &ObjectKey,
    place: &Place,
    row: &ObjectRow,
    there: &FileStamp,
) -> Option<&'static str> {
    let elsewhere = (place.location != Location::Plain).then_some("it does not lie at its key's path");
    let cut = edits::is_cut(&check.opened.disk, row, there).then_some(edits::CUT);
    must_stay(row, key, check.now().0 / 1_000_000).or(elsewhere).or(cut)
}

fn no_file(
    check: &mut Check<'_>,
    bucket: &Bucket,
    key: &ObjectKey,
    place: &Place,
    mut row: ObjectRow,
) -> Result<(), StorageError> {
    let row_key = keys::object(bucket.id, key.as_bytes());
    let overflow = Place { location: Location::Overflow, ..place.clone() };
    if check.look(&overflow.path())? == Some(check.stamp_of(&row)) {
        let mended = check.may(Mend::Safely);
        check.overflow.insert(overflow.path());
        check.tell(Difference::MisplacedFile, name(place), "it lies in overflow", mended);
        if mended {
            row.location = Location::Overflow;
            check.change(row_key, Some(rows::encode(&row)?))?;
        }
        return Ok(());
    }
    let mended = check.may(Mend::FromFiles);
    check.tell(Difference::MissingFile, name(place), format!("{} bytes are lost", row.size), mended);
    if mended {
        check.change(row_key, None)?;
        check.leave(bucket.id, &row)?;
    }
    Ok(())
}

fn part(
    check: &mut Check<'_>,
    bucket: &Bucket,
    upload: UploadId,
    number: PartNumber,
    row: &PartRow,
) -> Result<(), StorageError> {
    check.checked.parts += 1;
    let there = check.look(&staged_path(&row.file))?;
    if there.is_none_or(|there| there.size < row.offset.saturating_add(row.stored_size())) {
        let place = format!("{}, upload {upload}, part {}", bucket.name, number.get());
        check.tell(Difference::MissingPart, place, format!("{} bytes in {} are lost", row.size, row.file), false);
    }
    Ok(())
}
