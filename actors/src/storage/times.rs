//! Times: since when objects are current, versions noncurrent, delete markers alone, uploads in progress. Pure: no I/O of its own.
//!
//! In a bucket that has, or once had, lifecycle rules (`BucketConfig::keeps_times`), each of these has a row whose key begins with its
//! kind and that time. They know nothing of rules: what a rule asks for is a range of them, whatever it says and however many
//! other objects there are. Each commit keeps them (`plan/times.rs`); what was there before is walked once.
//!
//! INVARIANT, where the walk has been: a current object has one row, with its stamp. A noncurrent version tells in its own row since
//! when it is noncurrent (when the version that followed it was made), and has one row with that time. A delete marker that is the
//! newest version has one, with its stamp, if there is no other version. An upload has one, with its initiation.

use super::StorageError;
use super::keys::{self, RowKind};
use super::messages::TimeEntry;
use super::overlay::Rows;
use super::rows::{self, ObjectRow};
use crate::bucket_config::{Day, Due, Lifecycle, LifecycleKind, Subject};
use crate::names::{BucketId, ObjectKey, Stamp, UploadId, VersionId};
use crate::storage::messages::Controls;

/// The newest of a key: the current object, and the first two of its other versions.
#[derive(Debug, Default)]
pub(super) struct Top {
    pub object: Option<ObjectRow>,
    pub others: Vec<(Vec<u8>, ObjectRow)>,
}

impl Top {
    pub fn of(rows: &dyn Rows, bucket: BucketId, key: &[u8]) -> Result<Self, StorageError> {
        let object = rows.get(&keys::object(bucket, key))?.map(|row| rows::decode(&row)).transpose()?;
        let (start, end) = keys::versions_of(bucket, key);
        let mut others = Vec::new();
        rows.scan(&start, &end, &mut |row_key, row| {
            others.push((row_key.to_vec(), rows::decode(row)?));
            Ok(others.len() < 2)
        })?;
        Ok(Self { object, others })
    }

    /// The delete marker that is all there is of the key.
    pub fn lone_marker(&self, key: &[u8]) -> Option<TimeEntry> {
        match (&self.object, &self.others[..]) {
            (None, [(_, row)]) if row.is_marker() => Some(TimeEntry {
                kind: LifecycleKind::LoneMarker,
                since: Stamp(row.stamp),
                key: key.to_vec(),
                mark: row.stamp,
            }),
            _ => None,
        }
    }

    /// Rows that do not tell rightly since when their version is noncurrent, as they should be. Only the two newest can be wrong:
    /// what is noncurrent stays so while there is something newer.
    pub fn mended(&self) -> Vec<(Vec<u8>, ObjectRow)> {
        let mut newer = self.object.as_ref().map(|object| object.stamp);
        let mut mended = Vec::new();
        for (row_key, row) in &self.others {
            let since = newer.map(|newer| row.noncurrent_since.unwrap_or(newer));
            if since != row.noncurrent_since {
                mended.push((row_key.clone(), ObjectRow { noncurrent_since: since, ..row.clone() }));
            }
            newer = Some(row.stamp);
        }
        mended
    }
}

/// The time that a row tells of by itself: all but that of a delete marker which is the newest version.
pub(super) fn told(kind: &RowKind, row: &[u8]) -> Result<Option<TimeEntry>, StorageError> {
    match kind {
        RowKind::Object(_, key) => Ok(Some(current(key, &rows::decode(row)?))),
        RowKind::Version(_, key, _) => Ok(noncurrent(key, &rows::decode(row)?)),
        RowKind::Upload(_, key, upload) => Ok(Some(in_progress(key, *upload))),
        _ => Ok(None),
    }
}

fn current(key: &[u8], row: &ObjectRow) -> TimeEntry {
    TimeEntry { kind: LifecycleKind::Current, since: row.modified(), key: key.to_vec(), mark: row.stamp }
}

fn noncurrent(key: &[u8], row: &ObjectRow) -> Option<TimeEntry> {
    let since = Stamp(row.noncurrent_since?);
    Some(TimeEntry { kind: LifecycleKind::Noncurrent, since, key: key.to_vec(), mark: row.clock().0 })
}

pub(super) fn in_progress(key: &[u8], upload: UploadId) -> TimeEntry {
    TimeEntry { kind: LifecycleKind::Upload, since: upload.stamp, key: key.to_vec(), mark: upload.random }
}

/// What one row asks for.
#[derive(Debug)]
pub(super) struct Aged {
    pub entry: Option<TimeEntry>,
    /// The row of a version as it should be.
    pub mended: Option<(Vec<u8>, ObjectRow)>,
}

/// Some rows of a bucket, and where to go on.
#[derive(Debug, Default)]
pub(super) struct AgedPage {
    pub aged: Vec<Aged>,
    /// The key of the last row; none when there are no more.
    pub next: Option<Vec<u8>>,
}

/// Looks at the objects, versions and uploads of a bucket whose rows come behind `after`: at most so many, of so many bytes.
pub(super) fn walk(
    rows: &dyn Rows,
    bucket: BucketId,
    after: Option<&[u8]>,
    rows_max: usize,
    bytes_max: usize,
) -> Result<AgedPage, StorageError> {
    let mut page = AgedPage::default();
    let mut bytes = 0;
    // INVARIANT: the tables follow each other in the order of keys, so the key of a row is all there is to go on from.
    for (first, end) in [keys::objects(bucket), keys::versions(bucket), keys::uploads(bucket)] {
        let start = match after {
            Some(after) if after >= first.as_slice() => [after, &[0]].concat(),
            _ => first,
        };
        // What the last page ended with, so that no page has to look for it from the newest version on.
        let mut newer: Option<(Vec<u8>, Option<u64>)> = match after.and_then(keys::kind) {
            Some(RowKind::Version(_, key, stamp)) => Some((key, Some(stamp.0))),
            _ => None,
        };
        let mut is_full = false;
        rows.scan(&start, &end, &mut |row_key, row| {
            let kind = keys::kind(row_key).ok_or_else(|| StorageError::Index("malformed row key".to_owned()))?;
            let aged = match kind {
                RowKind::Version(_, key, _) => {
                    let row: ObjectRow = rows::decode(row)?;
                    let above = match newer.take() {
                        Some((last, above)) if last == key => above,
                        _ => newer_than(rows, bucket, &key, row_key)?,
                    };
                    newer = Some((key.clone(), Some(row.stamp)));
                    version(rows, bucket, &key, row_key, row, above)?
                }
                kind => Aged { entry: told(&kind, row)?, mended: None },
            };
            page.aged.push(aged);
            page.next = Some(row_key.to_vec());
            bytes += row_key.len() + row.len();
            is_full = page.aged.len() >= rows_max || bytes >= bytes_max;
            Ok(!is_full)
        })?;
        if is_full {
            return Ok(page);
        }
    }
    page.next = None;
    Ok(page)
}

/// The stamp of the version of a key that followed the one whose row has the key `row_key`.
fn newer_than(rows: &dyn Rows, bucket: BucketId, key: &[u8], row_key: &[u8]) -> Result<Option<u64>, StorageError> {
    let (start, _) = keys::versions_of(bucket, key);
    let mut newer = None;
    rows.scan(&start, row_key, &mut |_, row| {
        newer = Some(rows::decode::<ObjectRow>(row)?.stamp);
        Ok(true)
    })?;
    match newer {
        Some(newer) => Ok(Some(newer)),
        None => {
            let object = rows.get(&keys::object(bucket, key))?;
            object.map(|row| rows::decode::<ObjectRow>(&row).map(|row| row.stamp)).transpose()
        }
    }
}

fn version(
    rows: &dyn Rows,
    bucket: BucketId,
    key: &[u8],
    row_key: &[u8],
    row: ObjectRow,
    newer: Option<u64>,
) -> Result<Aged, StorageError> {
    let since = newer.map(|newer| row.noncurrent_since.unwrap_or(newer));
    let is_right = since == row.noncurrent_since;
    let row = ObjectRow { noncurrent_since: since, ..row };
    let entry = match since {
        Some(_) => noncurrent(key, &row),
        None => Top::of(rows, bucket, key)?.lone_marker(key),
    };
    Ok(Aged { entry, mended: (!is_right).then(|| (row_key.to_vec(), row)) })
}

/// The thing that a time is of.
#[derive(Debug)]
pub(super) struct Thing {
    /// None of an upload.
    pub row: Option<ObjectRow>,
}

impl Thing {
    /// Size and tags, where a filter may look at them.
    fn content(&self) -> Option<(u64, Vec<(String, String)>)> {
        let row = self.row.as_ref().filter(|row| !row.is_marker())?;
        let tags = row.attributes.as_ref().and_then(|attributes| attributes.tags.clone()).unwrap_or_default();
        Some((row.size, tags))
    }

    pub fn size(&self) -> u64 {
        self.row.as_ref().map_or(0, |row| row.size)
    }

    pub fn version_id(&self) -> Option<VersionId> {
        self.row.as_ref().map(ObjectRow::version_id)
    }

    /// Whether it must not be removed at `now`.
    pub fn is_locked(&self, now: Stamp) -> Result<bool, StorageError> {
        let controls = self.row.as_ref().and_then(|row| row.controls.clone());
        let Some(controls) = controls.map(Controls::try_from).transpose()? else { return Ok(false) };
        Ok(controls.is_locked(now.0 / 1_000_000))
    }
}

/// What a time is of; none when it is of nothing any more.
pub(super) fn find(rows: &dyn Rows, bucket: BucketId, entry: &TimeEntry) -> Result<Option<Thing>, StorageError> {
    let row_of = |row_key: Vec<u8>| rows.get(&row_key)?.map(|row| rows::decode::<ObjectRow>(&row)).transpose();
    let row = match entry.kind {
        LifecycleKind::Upload => {
            let id = UploadId { stamp: entry.since, random: entry.mark };
            let is_there = rows.get(&keys::upload(bucket, &entry.key, id))?.is_some();
            return Ok(is_there.then_some(Thing { row: None }));
        }
        LifecycleKind::Current => row_of(keys::object(bucket, &entry.key))?.filter(|row| row.stamp == entry.mark),
        LifecycleKind::Noncurrent => row_of(keys::version(bucket, &entry.key, Stamp(entry.mark)))?
            .filter(|row| row.noncurrent_since == Some(entry.since.0)),
        LifecycleKind::LoneMarker => {
            let top = Top::of(rows, bucket, &entry.key)?;
            let is_alone = top.lone_marker(&entry.key).as_ref() == Some(entry);
            top.others.into_iter().next().map(|(_, row)| row).filter(|_| is_alone)
        }
    };
    Ok(row.map(|row| Thing { row: Some(row) }))
}

/// When the thing of a time is due, and the thing; none when it is not there or no rule is about it.
pub(super) fn due<'l>(
    rows: &dyn Rows,
    bucket: BucketId,
    lifecycle: &'l Lifecycle,
    day: Day,
    entry: &TimeEntry,
) -> Result<Option<(Due<'l>, Thing)>, StorageError> {
    // Most of what a rule is not about differs by its key: that is seen without its row.
    let key = text(&entry.key)?;
    if !lifecycle.rules.iter().any(|rule| rule.filter.prefix.as_ref().is_none_or(|p| key.starts_with(p.as_str()))) {
        return Ok(None);
    }
    let Some(thing) = find(rows, bucket, entry)? else { return Ok(None) };
    judge(rows, bucket, lifecycle, day, entry, thing)
}

/// The same of a thing that was found.
pub(super) fn judge<'l>(
    rows: &dyn Rows,
    bucket: BucketId,
    lifecycle: &'l Lifecycle,
    day: Day,
    entry: &TimeEntry,
    thing: Thing,
) -> Result<Option<(Due<'l>, Thing)>, StorageError> {
    let key = text(&entry.key)?;
    let content = thing.content();
    let subject = Subject { key, content: content.as_ref().map(|(size, tags)| (*size, &tags[..])) };
    let mut failure = None;
    let due = lifecycle.due(entry.kind, &subject, entry.since, day, |wanted| {
        has_newer(rows, bucket, entry, wanted).unwrap_or_else(|error| {
            failure = Some(error);
            false
        })
    });
    match failure {
        Some(error) => Err(error),
        None => Ok(due.map(|due| (due, thing))),
    }
}

fn text(key: &[u8]) -> Result<&str, StorageError> {
    std::str::from_utf8(key).map_err(|_| StorageError::Index("a key that is not UTF-8".to_owned()))
}

/// The key of a time.
pub(super) fn key_of(entry: &TimeEntry) -> Result<ObjectKey, StorageError> {
    ObjectKey::parse(&entry.key).map_err(|error| StorageError::Index(format!("malformed key: {error}")))
}

/// Whether so many noncurrent versions are newer than that of `entry`. Delete markers do not count: they keep nothing.
fn has_newer(rows: &dyn Rows, bucket: BucketId, entry: &TimeEntry, wanted: u32) -> Result<bool, StorageError> {
    let (start, _) = keys::versions_of(bucket, &entry.key);
    let own = keys::version(bucket, &entry.key, Stamp(entry.mark));
    let (mut newer, mut looked) = (0, 0);
    rows.scan(&start, &own, &mut |_, row| {
        newer += u32::from(!rows::decode::<ObjectRow>(row)?.is_marker());
        looked += 1;
        Ok(newer < wanted && looked < NEWER_LOOKED_MAX)
    })?;
    Ok(newer >= wanted)
}

/// Rows that are looked at for newer versions: behind more delete markers than these, a version stays. Otherwise who stacks
/// them would make every look at a key as long as its history.
const NEWER_LOOKED_MAX: u32 = 2000;
