//! The walk over all files: each must be named by a row.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::{Check, entries};
use super::rows::unless_unreadable;
use super::{Difference, Mend};
use crate::names::{BucketName, ObjectKey, Stamp};
use crate::storage::disk::BUCKETS_FOLDER;
use crate::storage::edits::{key_of, open_plain};
use crate::storage::materialise::is_left;
use crate::storage::messages::{Bucket, Controls};
use crate::storage::overlay::Rows as _;
use crate::storage::plan::is_same;
use crate::storage::rows::{self, FileTag, Location, ObjectRow, PartListRow};
use crate::storage::steps::{overflow_folder, overflow_path};
use crate::storage::{StorageError, keys, segments, tags};

/// Walks the folders of the buckets, and those of the node's own.
pub(super) fn walk(check: &mut Check<'_>) -> Result<(), StorageError> {
    let buckets: Vec<_> = check.buckets.values().cloned().collect();
    for bucket in &buckets {
        walk_folder(check, &overflow_folder(bucket.id), &mut |check, path, kind| match kind {
            Kind::File => overflow(check, bucket, path),
            Kind::Folder => Ok(()),
        })?;
        // What lies in overflow keeps its key: a file at its path is a stranger's.
        check.flush()?;
        walk_folder(check, Path::new(bucket.name.as_str()), &mut |check, path, kind| match kind {
            Kind::File => {
                let done = plain(check, bucket, path);
                unless_unreadable(check, &path.display().to_string(), done)
            }
            Kind::Folder => folder(check, bucket, path),
        })?;
    }
    if check.options.bucket.is_none() {
        unknown_buckets(check)?;
    }
    Ok(())
}

/// What lies in a folder; links and the like count as files.
enum Kind {
    File,
    Folder,
}

/// Calls `work` with everything below a folder.
fn walk_folder(
    check: &mut Check<'_>,
    folder: &Path,
    work: &mut dyn FnMut(&mut Check<'_>, &Path, Kind) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for (name, is_folder) in entries(check, &folder)? {
            let path = folder.join(name);
            if is_folder {
                work(check, &path, Kind::Folder)?;
                folders.push(path);
                continue;
            }
            check.checked.files += 1;
            check.step("files", check.checked.files);
            work(check, &path, Kind::File)?;
        }
    }
    Ok(())
}

fn plain(check: &mut Check<'_>, bucket: &Arc<Bucket>, path: &Path) -> Result<(), StorageError> {
    let tell = |check: &mut Check<'_>, detail: &str, mended| {
        check.tell(Difference::UnknownFile, path.display().to_string(), detail, mended);
    };
    let Some(key) = key_of(&bucket.name, path) else {
        tell(check, "its path is no key", false);
        return Ok(());
    };
    let row = match check.object(bucket.id, &key) {
        // The row is told already. Who makes rows of files has to have a new index first.
        Err(StorageError::Index(_)) if !check.may(Mend::FromFiles) => return Ok(()),
        row => row?,
    };
    match row {
        Some(row) if row.location == Location::Plain => return Ok(()),
        Some(_) => {
            tell(check, "the object of this key lies elsewhere", false);
            return Ok(());
        }
        None if is_left(&check.opened.disk, path)? => {
            tell(check, "its object was deleted, and the node may not remove it", false);
            return Ok(());
        }
        None => {}
    }
    // What is no regular file is none that is sealed either.
    let is_sealed = segments::is_sealed(&check.opened.disk, path).unwrap_or(false);
    let looks = is_sealed || check.may(Mend::FromFiles);
    let told = if looks { told(check, bucket, &key, path, Location::Plain)? } else { Told::Nothing };
    let told = match told {
        Told::Object(row, parts) => Some((*row, parts)),
        Told::Nothing | Told::Kept if is_sealed => return lost_key(check, path),
        Told::Kept if check.may(Mend::FromFiles) => return damaged(check, path),
        Told::Nothing | Told::Kept => None,
    };
    if !check.may(Mend::FromFiles) {
        tell(check, "no object has it; reindex makes it one", false);
        return Ok(());
    }
    // What was deleted, and somebody put back, comes after its delete.
    let is_buried = row_is_null(told.as_ref()) && check.is_buried(bucket.id, &key)?;
    if let Some((row, parts)) = told.filter(|_| is_sealed || !is_buried) {
        enter(check, bucket, &key, &row, parts)?;
        tell(check, "it is an object again", true);
        return Ok(());
    }
    match check.hash(path)? {
        Some(hashed) => {
            check.adopt(bucket, &key, path, None, hashed)?;
            tell(check, "it is an object now", true);
        }
        None => tell(check, "it is no regular file, or somebody is writing it", false),
    }
    Ok(())
}

fn row_is_null(told: Option<&(ObjectRow, PartListRow)>) -> bool {
    told.is_some_and(|(row, _)| row.version.is_none())
}

/// An encrypted file of which nothing tells the data key: its bytes are nobody's, and must not become an object's.
fn lost_key(check: &mut Check<'_>, path: &Path) -> Result<(), StorageError> {
    // The check that follows does what is to be done.
    if check.rebuilds {
        return Ok(());
    }
    let tag = open_plain(&check.opened.disk, path)?.and_then(|file| file.tag());
    let detail = match tag.and_then(|tag| rows::decode::<FileTag>(&tag).ok()).and_then(|tag| tag.sealed) {
        Some(_) => "it is encrypted, and the data key in its tag is of another object",
        None => segments::LOST_KEY,
    };
    let mended = check.may(Mend::Safely);
    if mended {
        check.put_aside(path)?;
    }
    check.tell(Difference::LostKey, path.display().to_string(), detail, mended);
    Ok(())
}

/// Other bytes where an encrypted or a locked object was: whoever wrote them, they must not become an object in its place. This is no
/// file that the earlier index could serve, so it is put aside at once; the one that is made would know nothing of the object.
fn damaged(check: &mut Check<'_>, path: &Path) -> Result<(), StorageError> {
    check.put_aside(path)?;
    let detail = "the object that was here is encrypted or locked, and these are not its bytes";
    check.tell(Difference::DamagedFile, path.display().to_string(), detail, true);
    Ok(())
}

/// What the earlier index and a file's tag tell of the file.
enum Told {
    /// Its object, with what the tag tells of its parts.
    Object(Box<ObjectRow>, PartListRow),
    /// Of an object which keeps its bytes, and whose file this is not.
    Kept,
    /// Nothing that agrees with the file.
    Nothing,
}

/// Whether an object keeps its bytes, whatever somebody writes into its file.
fn is_kept(row: &ObjectRow, now: Stamp) -> bool {
    let controls = row.controls.clone().and_then(|controls| Controls::try_from(controls).ok());
    row.sealed.is_some() || controls.is_some_and(|controls| controls.is_locked(now.0 / 1_000_000))
}

/// The row of the object whose file this is: as the earlier index has it, or the file's tag, if they agree with the file.
fn told(
    check: &mut Check<'_>,
    bucket: &Bucket,
    key: &ObjectKey,
    path: &Path,
    location: Location,
) -> Result<Told, StorageError> {
    let Some(file) = open_plain(&check.opened.disk, path)? else { return Ok(Told::Nothing) };
    let there = file.stamp().map_err(|e| StorageError::io("look at", path, e))?;
    let agrees = |row: &ObjectRow| check.stamp_of(row) == there && row.location == location;
    let tag = file.tag().and_then(|tag| rows::decode::<FileTag>(&tag).ok());
    let tag = tag.filter(|tag| tags::is_of(tag, bucket.name.as_str(), key.as_str()));
    let parts = tag.as_ref().map_or_else(|| PartListRow::of(&[]), |tag| tag.part_list(there.size));
    let tagged = tag.map(|tag| tag.into_row(there.size, location));
    let hint = check.hints.map(|rows| rows.get(&keys::object(bucket.id, key.as_bytes()))).transpose()?.flatten();
    let hint = hint.and_then(|row| rows::decode::<ObjectRow>(&row).ok());
    // A copy that somebody made, tag and all, is a file of its own.
    let tagged = tagged.filter(|row| !check.stamps.contains(&(bucket.id, Stamp(row.stamp))));
    let mut rows: Vec<ObjectRow> = hint.into_iter().chain(tagged).collect();
    let found = match rows.iter().position(agrees) {
        Some(found) => Some(found),
        None => {
            rows.retain(|row| row.location == location && is_kept(row, check.now()));
            touched(check, path, &rows)?
        }
    };
    let Some(row) = found.map(|found| rows.swap_remove(found)) else {
        return Ok(if rows.is_empty() { Told::Nothing } else { Told::Kept });
    };
    if row.sealed.is_none() {
        return Ok(Told::Object(Box::new(row), parts));
    }
    // Parts of any sizes are told by the heads of their segments. Where one is damaged, so is the object, and not gone.
    let segments = segments::walk(&file, there.size).map_err(|e| StorageError::io("read", path, e))?;
    let segments = segments.ok().filter(|segments| segments::are_of(&row, segments)).unwrap_or_default();
    Ok(Told::Object(Box::new(row), segments::part_list(&segments, None)))
}

/// Which of these objects has the bytes of a file that somebody only touched: it gets its time back.
fn touched(check: &mut Check<'_>, path: &Path, rows: &[ObjectRow]) -> Result<Option<usize>, StorageError> {
    if rows.is_empty() || !check.may(Mend::FromFiles) {
        return Ok(None);
    }
    let Some((seen, digests)) = check.hash(path)? else { return Ok(None) };
    let Some((found, row)) = rows.iter().enumerate().find(|(_, row)| is_same(row, &seen, &digests)) else {
        return Ok(None);
    };
    let file = check.opened.disk.open_writable(path).map_err(|e| StorageError::io("open", path, e))?;
    check.set_time(&file, path, row)?;
    check.tell(Difference::WrongTime, path.display().to_string(), "the bytes are right", true);
    Ok(Some(found))
}

/// Adds the row of an object with its list of parts, unless the latter is there already.
fn enter(
    check: &mut Check<'_>,
    bucket: &Bucket,
    key: &ObjectKey,
    row: &ObjectRow,
    parts: PartListRow,
) -> Result<(), StorageError> {
    let list = keys::part_list(bucket.id, Stamp(row.stamp));
    if row.listed_parts().is_some() && check.opened.rows.index.snapshot()?.get(&list)?.is_none() {
        check.change(list, Some(rows::encode(&parts)?))?;
    }
    check.enter(bucket.id, key, row)
}

fn overflow(check: &mut Check<'_>, bucket: &Arc<Bucket>, path: &Path) -> Result<(), StorageError> {
    if check.overflow.contains(path) {
        return Ok(());
    }
    if check.may(Mend::FromFiles) && overflow_object(check, bucket, path)? {
        check.tell(Difference::UnknownFile, path.display().to_string(), "it is an object again", true);
        return Ok(());
    }
    aside(check, path, "no object has it")
}

/// Makes an overflow file the object that its tag tells of, unless there is one that is no older.
fn overflow_object(check: &mut Check<'_>, bucket: &Arc<Bucket>, path: &Path) -> Result<bool, StorageError> {
    let Some(file) = open_plain(&check.opened.disk, path)? else { return Ok(false) };
    let tag = file.tag().and_then(|tag| rows::decode::<FileTag>(&tag).ok());
    let noncurrent = tag.as_ref().is_some_and(|tag| tag.noncurrent == Some(true));
    let Some(key) = tag.and_then(|tag| ObjectKey::parse(tag.key?.as_bytes()).ok()) else { return Ok(false) };
    let Told::Object(row, parts) = told(check, bucket, &key, path, Location::Overflow)? else { return Ok(false) };
    if overflow_path(bucket.id, key.as_str(), Stamp(row.stamp)) != path {
        return Ok(false);
    }
    check.flush()?;
    if noncurrent {
        let list = keys::part_list(bucket.id, Stamp(row.stamp));
        if row.listed_parts().is_some() && check.opened.rows.index.snapshot()?.get(&list)?.is_none() {
            check.change(list, Some(rows::encode(&parts)?))?;
        }
        check.enter_version(bucket.id, &key, &row)?;
        return Ok(true);
    }
    if let Some(other) = check.object(bucket.id, &key)? {
        if other.stamp >= row.stamp {
            return Ok(false);
        }
        check.leave(bucket.id, &other)?;
    }
    enter(check, bucket, &key, &row, parts)?;
    Ok(true)
}

/// A folder whose tag says that it is an object of its own.
fn folder(check: &mut Check<'_>, bucket: &Arc<Bucket>, path: &Path) -> Result<(), StorageError> {
    if !check.may(Mend::FromFiles) {
        return Ok(());
    }
    let key = key_of(&bucket.name, path).and_then(|key| ObjectKey::parse(format!("{key}/").as_bytes()).ok());
    let tag = check.opened.disk.open_folder_file(path).ok().and_then(|folder| folder.tag());
    let tag = tag.and_then(|tag| rows::decode::<FileTag>(&tag).ok());
    if let (Some(key), Some(tag)) = (key, tag)
        && check.object(bucket.id, &key)?.is_none()
    {
        check.enter(bucket.id, &key, &tag.into_row(0, Location::Folder))?;
        check.tell(Difference::UnknownFile, format!("{}/", path.display()), "it is an object again", true);
    }
    Ok(())
}

fn aside(check: &mut Check<'_>, path: &Path, detail: &str) -> Result<(), StorageError> {
    if check.rebuilds {
        return Ok(());
    }
    let mended = check.may(Mend::Safely);
    if mended {
        check.put_aside(path)?;
    }
    check.tell(Difference::OrphanFile, path.display().to_string(), detail, mended);
    Ok(())
}

/// Folders that could be a bucket's and belong to none.
fn unknown_buckets(check: &mut Check<'_>) -> Result<(), StorageError> {
    for (name, is_folder) in entries(check, Path::new(""))? {
        let bucket = name.to_str().and_then(|name| BucketName::parse(name).ok());
        if let Some(bucket) = bucket.filter(|_| is_folder)
            && check.buckets.values().all(|known| known.name != bucket)
        {
            check.tell(Difference::UnknownFolder, bucket.as_str(), "no bucket has it; reindex makes it one", false);
        }
    }
    for (name, _) in entries(check, Path::new(BUCKETS_FOLDER))? {
        let id = name.to_str().and_then(|name| name.parse::<u64>().ok());
        if id.is_none_or(|id| check.buckets.values().all(|bucket| bucket.id.0 != id)) {
            let path: PathBuf = Path::new(BUCKETS_FOLDER).join(name);
            aside(check, &path, "it belongs to a bucket that is not there")?;
        }
    }
    Ok(())
}
