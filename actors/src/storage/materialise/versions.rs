//! What versions ask of files: out of the way when another follows, back when it is current again, and on replay to where they
//! are at the journal's end.

use std::io;

use super::{Materialiser, Outcome, Source, change_at, io_at, is_noncurrent};
use crate::names::{BucketId, Stamp};
use crate::storage::disk::{DiskFile, FileStamp, is_absent, is_blocked};
use crate::storage::index::RowChange;
use crate::storage::rows::{self, FileTag, Location, ObjectRow};
use crate::storage::steps::Place;
use crate::storage::{StorageError, keys, tags};

/// A version, as the rows have it.
pub(super) struct Version {
    pub row: ObjectRow,
    pub is_noncurrent: bool,
}

impl Materialiser<'_> {
    /// At the end of a replay: removes what an earlier try left at the path of a version that was archived or removed, when no
    /// object is to be there. By now every version is where it belongs.
    pub fn clear(&self, place: &Place) -> Result<(), StorageError> {
        if self.is_doomed(place.bucket_id) || place.location != Location::Plain || self.is_taken_over(place)? {
            return Ok(());
        }
        self.remove_file(place)
    }

    /// On replay: whether the file at the path may be the only one of another version, on its way into overflow.
    pub fn has_versions(&self, place: &Place) -> Result<bool, StorageError> {
        let (start, end) = keys::versions_of(BucketId(place.bucket_id), place.key.as_bytes());
        Ok(self.rows.first(&start, &end)?.is_some())
    }

    /// On replay: what has become of a version. The rows are already those of the journal's end.
    pub(super) fn version(&self, place: &Place) -> Result<Option<Version>, StorageError> {
        if let Some(row) = self.row(place)?.filter(|row| row.stamp == place.stamp) {
            return Ok(Some(Version { row, is_noncurrent: false }));
        }
        let row = self.rows.get(&place.version_key())?.map(|row| rows::decode::<ObjectRow>(&row)).transpose()?;
        let mut row = row.filter(|row| row.stamp == place.stamp);
        if row.is_none() {
            let (start, end) = keys::conflicts_of(BucketId(place.bucket_id), place.key.as_bytes());
            self.rows.scan(&start, &end, &mut |_, copy| {
                if !copy.is_empty() {
                    row = Some(rows::decode::<ObjectRow>(copy)?).filter(|row| row.stamp == place.stamp);
                }
                Ok(row.is_none())
            })?;
        }
        Ok(row.map(|row| Version { row, is_noncurrent: true }))
    }

    /// On replay: whether the path belongs to the current object of the key, whose own step may have been done already. In
    /// overflow every version has a path of its own.
    pub(super) fn is_taken_over(&self, place: &Place) -> Result<bool, StorageError> {
        let is_plain = |location| location == Location::Plain;
        Ok(is_plain(place.location) && self.row(place)?.is_some_and(|row| is_plain(row.location)))
    }

    pub(super) fn row(&self, place: &Place) -> Result<Option<ObjectRow>, StorageError> {
        let row = self.rows.get(&keys::object(BucketId(place.bucket_id), place.key.as_bytes()))?;
        row.map(|row| rows::decode(&row)).transpose()
    }

    /// On replay: puts the file of a version that is no longer current where it is at the end, since the path of the step may
    /// belong to a later one already.
    pub(super) fn write_noncurrent(
        &self,
        place: &Place,
        source: &Source,
        size: u64,
        row: ObjectRow,
        body: &dyn Fn() -> Result<Vec<u8>, StorageError>,
    ) -> Result<Outcome, StorageError> {
        let place = Place { location: row.location, ..place.clone() };
        let tag = self.tag_in_overflow(&place, Version { row, is_noncurrent: true }, None)?;
        if !self.is_done(&place, source, size, Some(&tag))? {
            let staged = self.prepare(&place, source, size, Some(&tag), body)?;
            let path = place.path();
            io_at("put in place", &path, self.put_in_place(&staged, &path))?;
        }
        Ok(Outcome::Done)
    }

    /// The copy of the row of a version in overflow; `before` is the file's earlier one.
    pub(super) fn tag_in_overflow(
        &self,
        place: &Place,
        version: Version,
        before: Option<FileTag>,
    ) -> Result<Vec<u8>, StorageError> {
        let Version { row, is_noncurrent } = version;
        let told = before.and_then(|tag| tag.part_size);
        let list = keys::part_list(BucketId(place.bucket_id), Stamp(place.stamp));
        let part_size = match (told, row.parts) {
            (None, Some(_)) => {
                let list = self.rows.get(&list)?;
                list.map(|list| rows::decode::<rows::PartListRow>(&list)).transpose()?.and_then(|list| list.part_size())
            }
            (told, _) => told,
        };
        rows::encode(&tags::of(place, row, true, part_size, is_noncurrent))
    }

    /// See [`Step::Archive`].
    pub(super) fn archive(
        &self,
        place: &Place,
        changes: &[RowChange],
        row: u32,
        leaves: bool,
    ) -> Result<(), StorageError> {
        let version = match self.replay {
            None => self.changed(changes, row)?,
            Some(_) => self.version(place)?,
        };
        let (from, to) = (place.path(), place.overflow_path());
        if let Some(version) = version.filter(|version| version.row.location == Location::Overflow) {
            let own = self.stamp_of(&version.row, place);
            let is_own = |file: &io::Result<DiskFile>| file.as_ref().is_ok_and(|file| file.stamp().ok() == Some(own));
            // On replay what is in overflow was written just now, and what is at its path may be half a file. Otherwise it is
            // mostly at its path, and was put into overflow before only if another file is there.
            let mut is_moved = from == to || (self.replay.is_some() && self.look_at(&to)? == Some(own));
            let mut file = self.disk.open_writable(if is_moved { &to } else { &from });
            if !is_moved && !is_own(&file) && self.look_at(&to)? == Some(own) {
                is_moved = true;
                file = self.disk.open_writable(&to);
            }
            match file {
                // A later version has its place.
                Ok(_) if self.replay.is_some() && !is_own(&file) => {}
                // A file that somebody touched or edited goes with its version: the next must not be written over it.
                Ok(file) => {
                    let told = version.row.parts.and_then(|_| file.tag());
                    let before = told.and_then(|tag| rows::decode::<FileTag>(&tag).ok());
                    tags::leave(&file, &from, &self.tag_in_overflow(place, version, before)?)?;
                    if !is_moved {
                        io_at("put in place", &to, self.put_in_place(&from, &to))?;
                    }
                }
                // It may not be opened, but it is its own: without its tag is better than gone under the next version.
                Err(e) if is_blocked(&e) && !is_moved && self.look_at(&from)? == Some(own) => {
                    io_at("put in place", &to, self.put_in_place(&from, &to))?;
                }
                Err(e) if is_absent(&e) || is_blocked(&e) => {}
                Err(e) => return Err(StorageError::io("open", &from, e)),
            }
        }
        if leaves && place.location == Location::Plain {
            self.remove_empty_parents(&place.bucket, &place.key);
        }
        Ok(())
    }

    /// See [`Step::Promote`].
    pub(super) fn promote(&self, place: &Place, changes: &[RowChange], row: u32) -> Result<Outcome, StorageError> {
        let version = match self.replay {
            None => self.changed(changes, row)?,
            Some(_) => self.version(place)?.filter(|version| !version.is_noncurrent),
        };
        let Some(version) = version.filter(|version| version.row.location == place.location) else {
            return Ok(Outcome::Done);
        };
        let (from, to) = (place.overflow_path(), place.path());
        let own = self.stamp_of(&version.row, place);
        if from != to && self.look_at(&to)? == Some(own) {
            // Written again from the journal: what lies in overflow is of an earlier try.
            match self.disk.remove_file(&from) {
                Err(e) if is_absent(&e) => {}
                other => io_at("remove", &from, other)?,
            }
        } else if from != to && self.look_at(&from)? == Some(own) {
            match self.put_in_place(&from, &to) {
                Err(e) if is_blocked(&e) => {
                    tracing::warn!(bucket = place.bucket, key = place.key, error = %e, "something unknown stands in the way of an object's file; it stays in overflow");
                    let overflow = Place { location: Location::Overflow, ..place.clone() };
                    self.renew_tag(&overflow, changes, row)?;
                    return Ok(Outcome::Moved(place.clone()));
                }
                other => io_at("put in place", &to, other)?,
            }
        }
        self.renew_tag(place, changes, row).map(|()| Outcome::Done)
    }

    /// A version as the entry itself has it.
    pub(super) fn changed(&self, changes: &[RowChange], row: u32) -> Result<Option<Version>, StorageError> {
        let Some((row_key, Some(row))) = change_at(changes, row) else { return Ok(None) };
        let is_noncurrent = is_noncurrent(row_key);
        Ok(Some(Version { row: rows::decode(row)?, is_noncurrent }))
    }

    /// Size and time that the file of a version has.
    pub(super) fn stamp_of(&self, row: &ObjectRow, place: &Place) -> FileStamp {
        FileStamp { size: row.stored_size(), modified: self.disk.rounded(Stamp(place.stamp)) }
    }
}
