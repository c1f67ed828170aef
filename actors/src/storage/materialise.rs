//! From the journal to plain files: carries out the steps of committed entries, in commit order, on one thread.
//!
//! Only this room changes names under a bucket's folder, so there is no race between making and removing folders. The node's
//! readers never see half a file: until its time is set it is not that of its row, and the bytes come from where they were.
//!
//! INVARIANT: steps may be carried out again after a crash, from any point. Rows and, for staged files, names and times tell
//! what was done before; the bytes of a body from the journal are always written again.

mod folders;
mod follow;
mod left;
mod versions;

use std::collections::HashSet;
use std::io;
use std::path::Path;

pub(super) use follow::run;
pub(super) use left::is_left;

use super::StorageError;
use super::disk::{Disk, DiskFile, FileStamp, STAGING_FOLDER, is_absent, is_blocked, is_forbidden};
use super::index::RowChange;
use super::keys;
use super::overlay::Rows;
use super::rows::{self, FileTag, Location, ObjectRow};
use super::steps::{Place, Source, Step, is_plain_path, staged_path};
use super::tags;
use crate::names::{BucketId, Stamp};

/// Carries out steps on files.
pub(super) struct Materialiser<'a> {
    pub disk: &'a Disk,
    /// Rows as they are now: tells whether an empty folder is still a key of its own.
    pub rows: &'a dyn Rows,
    /// Ids of buckets by name, for the same purpose.
    pub bucket_id: &'a dyn Fn(&str) -> Option<BucketId>,
    /// Set while the journal is replayed: buckets that a later step deletes.
    pub replay: Option<&'a HashSet<u64>>,
}

/// What the row of an object must learn.
pub(super) enum Outcome {
    Done,
    /// The file could not be put at its plain path and lies in overflow.
    Moved(Place),
    /// The file that was to be adopted was removed meanwhile.
    Gone(Place),
}

impl Materialiser<'_> {
    /// Carries out one step; `changes` are the rows of its entry, `body` reads its body.
    pub fn carry_out(
        &self,
        step: &Step,
        changes: &[RowChange],
        body: &dyn Fn() -> Result<Vec<u8>, StorageError>,
    ) -> Result<Outcome, StorageError> {
        match step {
            Step::MakeBucket { id, .. } if self.is_doomed(*id) => {}
            Step::MakeBucket { name, .. } => self.make_bucket(name, changes)?,
            Step::DescribeBucket { id, .. } if self.is_doomed(*id) => {}
            Step::DescribeBucket { id, name, row } => {
                self.describe_bucket(BucketId(*id), name, row_at(changes, *row))?
            }
            Step::TrashBucket { id, name } => self.trash_bucket(*id, name)?,
            Step::Write { place, source, size, row } => {
                let tag = tag_of(place, changes, *row)?;
                return self.write(place, source, *size, tag.as_deref(), body);
            }
            Step::Remove { place } => self.remove(place)?,
            Step::Archive { place, .. } | Step::Promote { place, .. } if self.is_doomed(place.bucket_id) => {}
            Step::Archive { place, row, leaves } => self.archive(place, changes, *row, *leaves)?,
            Step::Promote { place, row } => return self.promote(place, changes, *row),
            Step::Tag { place, .. } if self.is_doomed(place.bucket_id) => {}
            Step::Tag { place, row } => self.renew_tag(place, changes, *row)?,
            Step::MakeFolder { bucket_id, .. } | Step::RemoveFolder { bucket_id, .. } if self.is_doomed(*bucket_id) => {
            }
            Step::MakeFolder { bucket_id, bucket, key, row } => {
                self.make_folder(BucketId(*bucket_id), bucket, key, changes, *row)?;
            }
            Step::RemoveFolder { bucket, key, .. } => self.remove_folder(bucket, key),
            Step::Discard { name } => self.discard(name)?,
            Step::Adopt { place, .. } if self.is_doomed(place.bucket_id) => {}
            Step::Adopt { place, size, modified, row } => {
                let tag = row.map(|row| tag_of(place, changes, row)).transpose()?.flatten();
                let seen = FileStamp { size: *size, modified: Stamp(*modified) };
                let outcome = self.adopt(place, seen, tag.as_deref())?;
                // While it had another time, no change of its tags could reach it.
                if let (None, Some(row)) = (row, self.row(place)?)
                    && row.stamp == place.stamp
                    && row.location == place.location
                {
                    self.leave_tag(place, tags::of_file(place, &row, false))?;
                }
                return match outcome {
                    // Its row was there before: a file that is gone is an error to its readers.
                    Outcome::Gone(_) if row.is_none() => Ok(Outcome::Done),
                    outcome => Ok(outcome),
                };
            }
        }
        Ok(Outcome::Done)
    }

    /// See [`Step::Tag`].
    fn renew_tag(&self, place: &Place, changes: &[RowChange], row: u32) -> Result<(), StorageError> {
        match tag_of(place, changes, row)? {
            Some(tag) => self.leave_tag(place, rows::decode(&tag)?),
            None => Ok(()),
        }
    }

    /// Renews the tag of a file that is its own. Best effort, as the tag itself.
    fn leave_tag(&self, place: &Place, tag: FileTag) -> Result<(), StorageError> {
        let path = place.path();
        let opened = match place.location {
            Location::Folder => self.disk.open_folder_file(&path),
            Location::Plain | Location::Overflow => self.disk.open_writable(&path),
            Location::Marker => return Ok(()),
        };
        let Ok(file) = opened else { return Ok(()) };
        let own = self.disk.rounded(Stamp(place.stamp));
        if place.location != Location::Folder && file.stamp().is_ok_and(|there| there.modified != own) {
            return Ok(());
        }
        // What the change does not tell stays: the sizes of parts.
        let before = file.tag().and_then(|tag| rows::decode::<FileTag>(&tag).ok());
        let part_size = before.and_then(|tag| tag.part_size);
        tags::leave(&file, &path, &rows::encode(&FileTag { part_size, ..tag })?)
    }

    /// See [`Step::Adopt`].
    fn adopt(&self, place: &Place, seen: FileStamp, tag: Option<&[u8]>) -> Result<Outcome, StorageError> {
        let path = place.path();
        let mark = || -> io::Result<()> {
            let file = self.disk.open_writable(&path)?;
            if file.stamp()? == seen {
                if let Some(tag) = tag {
                    file.set_tag(tag);
                }
                file.set_modified(self.disk.rounded(Stamp(place.stamp)))?;
            }
            Ok(())
        };
        match mark() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Outcome::Gone(place.clone())),
            // It is the person's file: if it may not be touched any more, its readers will look again.
            Err(e) if is_blocked(&e) || e.kind() == io::ErrorKind::ExecutableFileBusy => {}
            other => io_at("mark", &path, other)?,
        }
        Ok(Outcome::Done)
    }

    fn is_doomed(&self, bucket: u64) -> bool {
        self.replay.is_some_and(|doomed| doomed.contains(&bucket))
    }

    fn write(
        &self,
        place: &Place,
        source: &Source,
        size: u64,
        tag: Option<&[u8]>,
        body: &dyn Fn() -> Result<Vec<u8>, StorageError>,
    ) -> Result<Outcome, StorageError> {
        if self.is_doomed(place.bucket_id) {
            return match source {
                Source::Staged { name } => self.discard(name).map(|()| Outcome::Done),
                Source::Journal => Ok(Outcome::Done),
            };
        }
        if self.replay.is_some() {
            let Some(row) = self.version(place)? else {
                // Its version is gone.
                if let Source::Staged { name } = source {
                    self.discard(name)?;
                }
                return Ok(Outcome::Done);
            };
            if row.is_noncurrent {
                return self.write_noncurrent(place, source, size, row.row, body);
            }
            if self.is_done(place, source, size, tag)? {
                return Ok(Outcome::Done);
            }
        }
        if self.replay.is_none() && *source == Source::Journal && self.write_new(place, size, tag, body)? {
            return Ok(Outcome::Done);
        }
        let staged = self.prepare(place, source, size, tag, body)?;
        match self.put_in_place(&staged, &place.path()) {
            Ok(()) => Ok(Outcome::Done),
            Err(e) if is_blocked(&e) && place.location == Location::Plain => {
                tracing::warn!(bucket = place.bucket, key = place.key, error = %e, "something unknown stands in the way of an object's file; it goes to overflow");
                let moved = Place { location: Location::Overflow, ..place.clone() };
                self.tag_with_key(&staged, &place.key, tag)?;
                io_at("put in place", moved.path(), self.put_in_place(&staged, &moved.path()))?;
                Ok(Outcome::Moved(place.clone()))
            }
            Err(e) => Err(StorageError::io("put in place", place.path(), e)),
        }
    }

    /// Writes a file where it belongs, unless something that is no file is there; answers whether it did. Readers take the bytes
    /// from the journal until it is whole, and after a crash it is written again, so there is no need for a name of its own
    /// before. A file that is replaced is removed first: a rename over it would make ext4 write the new one out at once
    /// (its `auto_da_alloc`), which is fourteen times slower where keys are written again and again.
    fn write_new(
        &self,
        place: &Place,
        size: u64,
        tag: Option<&[u8]>,
        body: &dyn Fn() -> Result<Vec<u8>, StorageError>,
    ) -> Result<bool, StorageError> {
        let path = place.path();
        let create = || match self.disk.create_new(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.make_parent(&path)?;
                self.disk.create_new(&path)
            }
            other => other,
        };
        let created = match create() {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && self.make_way(&path).is_ok() => create(),
            other => other,
        };
        let file = match created {
            Ok(file) => file,
            Err(e) if is_blocked(&e) => return Ok(false),
            Err(e) => return Err(StorageError::io("create", &path, e)),
        };
        let written = io_at("write", &path, file.write_all_at(&body()?, 0));
        let finished = written.and_then(|()| self.finish(&file, &path, place, size, tag));
        if finished.is_err() {
            // It is tried again, perhaps for want of the very blocks that this half of a file has.
            let _left_for_the_next_try = self.disk.remove_file(&path);
        }
        finished.map(|()| true)
    }

    /// On replay: whether the file of this step stands already. The bytes of a body from the journal are written again: name and
    /// time may have reached the disk before them.
    fn is_done(&self, place: &Place, source: &Source, size: u64, tag: Option<&[u8]>) -> Result<bool, StorageError> {
        let own = self.disk.rounded(Stamp(place.stamp));
        let Source::Staged { name } = source else { return Ok(false) };
        let left = self.disk.stamp_at(&staged_path(name)).map_err(|e| StorageError::io("look at", name, e))?;
        if left.is_some() {
            return Ok(false);
        }
        // Its bytes were synced before the commit, but what was done to it since may be lost. In overflow no other can have its
        // name; while nothing has, names that changed later are not on the disk either, and its own path is still its own.
        let overflow = place.overflow_path();
        let path = match self.look_at(&overflow)? {
            None if is_plain_path(&place.key) => Path::new(&place.bucket).join(&place.key),
            _ => overflow,
        };
        if self
            .look_at(&path)?
            .is_some_and(|there| there.modified < own || (there.modified == own && there.size != size))
        {
            let file = self.disk.open_writable(&path).map_err(|e| StorageError::io("open", &path, e))?;
            self.finish(&file, &path, place, size, tag)?;
        }
        if let Some(tag) = tag
            && self.look_at(&path)? == Some(FileStamp { size, modified: own })
        {
            self.keep_tag(&path, tag)?;
        }
        Ok(true)
    }

    /// The time of a file may have reached the disk before its tag, which an encrypted object cannot be without.
    fn keep_tag(&self, path: &Path, tag: &[u8]) -> Result<(), StorageError> {
        let file = io_at("open", path, self.disk.open_writable(path))?;
        if file.tag().as_deref() != Some(tag) {
            tags::leave(&file, path, tag)?;
        }
        Ok(())
    }

    /// Brings the file into its final state under its staged name; answers that name.
    fn prepare(
        &self,
        place: &Place,
        source: &Source,
        size: u64,
        tag: Option<&[u8]>,
        body: &dyn Fn() -> Result<Vec<u8>, StorageError>,
    ) -> Result<std::path::PathBuf, StorageError> {
        let (path, file) = match source {
            Source::Journal => {
                let path = Path::new(STAGING_FOLDER).join("next");
                let file = self.disk.create(&path).map_err(|e| StorageError::io("create", &path, e))?;
                io_at("write", &path, file.write_all_at(&body()?, 0))?;
                (path, file)
            }
            Source::Staged { name } => {
                let path = staged_path(name);
                let file = self.disk.open_writable(&path).map_err(|e| StorageError::io("open", &path, e))?;
                (path, file)
            }
        };
        self.finish(&file, &path, place, size, tag)?;
        Ok(path)
    }

    /// Gives a file the size, the copy of its row and the time that belong to its object.
    fn finish(
        &self,
        file: &DiskFile,
        path: &Path,
        place: &Place,
        size: u64,
        tag: Option<&[u8]>,
    ) -> Result<(), StorageError> {
        // Bytes of parts that were left out may lie behind the object's end.
        let there = file.stamp().map_err(|e| StorageError::io("look at", path, e))?;
        if there.size != size {
            io_at("cut", path, file.set_len(size))?;
        }
        if let Some(tag) = tag {
            tags::leave(file, path, tag)?;
        }
        io_at("set the time of", path, file.set_modified(self.disk.rounded(Stamp(place.stamp))))
    }

    /// In overflow the path does not tell the key.
    fn tag_with_key(&self, staged: &Path, key: &str, tag: Option<&[u8]>) -> Result<(), StorageError> {
        let Some(tag) = tag else { return Ok(()) };
        let tag = FileTag { key: Some(key.to_owned()), ..rows::decode(tag)? };
        tags::leave(&io_at("open", staged, self.disk.open_writable(staged))?, staged, &rows::encode(&tag)?)
    }

    /// Removes a file, unless a backup still needs it.
    fn make_way(&self, path: &Path) -> io::Result<()> {
        if self.disk.hold_back(path)? { Ok(()) } else { self.disk.remove_file(path) }
    }

    fn put_in_place(&self, staged: &Path, target: &Path) -> io::Result<()> {
        self.disk.hold_back(target)?;
        match self.disk.rename(staged, target) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.make_parent(target)?;
                self.disk.rename(staged, target)
            }
            other => other,
        }
    }

    fn make_parent(&self, path: &Path) -> io::Result<()> {
        self.disk.forget_folders();
        self.disk.make_folders(path.parent().unwrap_or(Path::new("")))
    }

    fn remove(&self, place: &Place) -> Result<(), StorageError> {
        if self.is_doomed(place.bucket_id) {
            return Ok(());
        }
        if self.replay.is_none() {
            return self.remove_file(place);
        }
        if place.location == Location::Plain {
            // It may be there: archived, or put there by the replay, which found the path taken by a later key.
            let moved = Place { location: Location::Overflow, ..place.clone() };
            let _mostly_absent = self.disk.remove_file(&moved.path());
            if self.is_taken_over(place)? || self.has_versions(place)? {
                return Ok(());
            }
        }
        self.remove_file(place)
    }

    fn remove_file(&self, place: &Place) -> Result<(), StorageError> {
        let path = place.path();
        match self.make_way(&path) {
            Err(e) if is_forbidden(&e) => {
                tracing::warn!(path = %path.display(), error = %e, "the file of a deleted object may not be removed; it is tried again");
                return self.note_left(place);
            }
            Err(e) if is_blocked(&e) => {
                tracing::warn!(path = %path.display(), error = %e, "the file of a deleted object could not be removed");
            }
            Err(e) if is_absent(&e) => {}
            other => io_at("remove", &path, other)?,
        }
        if place.location == Location::Plain {
            self.remove_empty_parents(&place.bucket, &place.key);
        }
        Ok(())
    }

    fn look_at(&self, path: &Path) -> Result<Option<FileStamp>, StorageError> {
        self.disk.stamp_at(path).map_err(|e| StorageError::io("look at", path, e))
    }

    fn discard(&self, name: &str) -> Result<(), StorageError> {
        match self.disk.remove_file(&staged_path(name)) {
            Err(e) if is_absent(&e) => Ok(()),
            other => io_at("remove", staged_path(name), other),
        }
    }
}

fn change_at(changes: &[RowChange], at: u32) -> Option<&RowChange> {
    usize::try_from(at).ok().and_then(|at| changes.get(at))
}

fn row_at(changes: &[RowChange], at: u32) -> Option<&[u8]> {
    change_at(changes, at).and_then(|(_, row)| row.as_deref())
}

/// Whether a row's key is that of a noncurrent version.
fn is_noncurrent(row_key: &[u8]) -> bool {
    matches!(keys::kind(row_key), Some(keys::RowKind::Version(..) | keys::RowKind::Conflict(..)))
}

/// The copy of an object's row that goes with its file; none when the entry has no such row.
fn tag_of(place: &Place, changes: &[RowChange], row: u32) -> Result<Option<Vec<u8>>, StorageError> {
    let Some((row_key, Some(row))) = change_at(changes, row) else { return Ok(None) };
    let row: ObjectRow = rows::decode(row)?;
    let list = keys::part_list(BucketId(place.bucket_id), Stamp(place.stamp));
    let list =
        row.parts.and_then(|_| changes.iter().find(|(key, _)| *key == list)).and_then(|(_, list)| list.as_deref());
    let part_size = list.map(rows::decode::<rows::PartListRow>).transpose()?.and_then(|list| list.part_size());
    let tells_key = place.location != Location::Plain;
    rows::encode(&tags::of(place, row, tells_key, part_size, is_noncurrent(row_key))).map(Some)
}

fn io_at<T>(action: &'static str, path: impl AsRef<Path>, result: io::Result<T>) -> Result<T, StorageError> {
    result.map_err(|e| StorageError::io(action, path.as_ref(), e))
}
