//! Files of deleted objects that may not be removed: somebody took the right to change their folder, or holds them busy. The delete was
//! acknowledged, so a note of each is kept and it is tried again, and nobody takes such a file for one that a person put there.
//!
//! INVARIANT: a file is removed, or passed over, for a note only while it still has the time of the object that was deleted. Whatever else
//! lies at the path by then is not that object's.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{Materialiser, io_at};
use crate::names::Stamp;
use crate::storage::StorageError;
use crate::storage::disk::{Disk, LEFT_FOLDER, is_absent, is_blocked};
use crate::storage::rows::{self, Location};
use crate::storage::steps::Place;

/// Notes that are looked at together.
const ROUND: usize = 1024;

/// The note of a file, by its path: it holds the place of the object that was deleted.
fn note_path(path: &Path) -> PathBuf {
    Path::new(LEFT_FOLDER).join(hex::encode(Sha256::digest(path.as_os_str().as_encoded_bytes())))
}

fn read(disk: &Disk, note: &Path) -> std::io::Result<Option<Place>> {
    let file = match disk.open_file(note) {
        Ok(file) => file,
        Err(e) if is_absent(&e) => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut bytes = vec![0; usize::try_from(file.stamp()?.size).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)?;
    // Half a note is written again by the replay of its step.
    Ok(rows::decode(&bytes).ok())
}

/// Whether the file at a path is one whose object was deleted.
pub(in crate::storage) fn is_left(disk: &Disk, path: &Path) -> Result<bool, StorageError> {
    let note = note_path(path);
    let Some(place) = io_at("read", &note, read(disk, &note))? else { return Ok(false) };
    let there = io_at("look at", path, disk.stamp_at(path))?;
    Ok(there.is_some_and(|there| there.modified == disk.rounded(Stamp(place.stamp))))
}

impl Materialiser<'_> {
    /// Notes that the file of a deleted object is still there.
    pub(super) fn note_left(&self, place: &Place) -> Result<(), StorageError> {
        let (note, bytes) = (note_path(&place.path()), rows::encode(place)?);
        let keep = || {
            self.disk.make_folders(Path::new(LEFT_FOLDER))?;
            self.disk.create(&note)?.write_all_at(&bytes, 0)
        };
        io_at("keep", &note, keep())
    }

    /// Tries again to remove what is noted, another part of very many at each `turn`.
    pub fn remove_left(&self, turn: usize) -> Result<(), StorageError> {
        let folder = Path::new(LEFT_FOLDER);
        let mut names = match self.disk.list(folder) {
            Err(e) if is_absent(&e) => return Ok(()),
            other => io_at("list", folder, other)?,
        };
        names.sort_unstable();
        let first = turn.wrapping_mul(ROUND).checked_rem(names.len()).unwrap_or(0);
        names.rotate_left(first);
        for (name, _) in names.into_iter().take(ROUND) {
            let note = folder.join(name);
            let place = io_at("read", &note, read(self.disk, &note))?;
            if place.map_or(Ok(true), |place| self.try_again(&place))? {
                io_at("remove", &note, self.disk.remove_file(&note))?;
            }
        }
        Ok(())
    }

    /// Removes the file of a deleted object; answers whether it is gone, or another's by now.
    fn try_again(&self, place: &Place) -> Result<bool, StorageError> {
        let path = place.path();
        let there = match self.disk.stamp_at(&path) {
            Err(e) if is_blocked(&e) => return Ok(false),
            other => io_at("look at", &path, other)?,
        };
        let is_own = there.is_some_and(|there| there.modified == self.disk.rounded(Stamp(place.stamp)));
        if !is_own || self.row(place)?.is_some_and(|row| row.stamp == place.stamp) {
            return Ok(true);
        }
        match self.make_way(&path) {
            Err(e) if is_absent(&e) => {}
            Err(e) if is_blocked(&e) => return Ok(false),
            other => io_at("remove", &path, other)?,
        }
        tracing::info!(path = %path.display(), "the file of a deleted object is removed at last");
        if place.location == Location::Plain {
            self.remove_empty_parents(&place.bucket, &place.key);
        }
        Ok(true)
    }
}
