//! Files that a backup still needs are moved aside by whoever is about to replace or remove them.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::names::Stamp;
use crate::storage::disk::{Disk, HELD_FOLDER, is_absent};

/// Where the file of a path goes that had this modification time.
pub(in crate::storage) fn held_path(path: &Path, modified: Stamp) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    let digest = hex::encode(Sha256::digest(path.as_os_str().as_bytes()));
    let (folder, name) = (digest.get(..2).unwrap_or_default(), digest.get(2..40).unwrap_or_default());
    Path::new(HELD_FOLDER).join(folder).join(format!("{name}-{:016x}", modified.0))
}

impl Disk {
    /// Moves a file aside that a backup still needs; answers whether it did. Nothing is done while there is no backup, and of files
    /// that came after its moment.
    pub fn hold_back(&self, path: &Path) -> io::Result<bool> {
        let Some(until) = self.held_until() else { return Ok(false) };
        let there = match self.stamp_at(path) {
            Ok(Some(there)) if there.modified <= until => there,
            Ok(_) => return Ok(false),
            Err(e) if is_absent(&e) => return Ok(false),
            Err(e) => return Err(e),
        };
        let held = held_path(path, there.modified);
        self.make_folders(held.parent().unwrap_or(Path::new(HELD_FOLDER)))?;
        match self.rename(path, &held) {
            Ok(()) => Ok(true),
            Err(e) if is_absent(&e) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

/// Removes what was held for a backup that is done, or of which a crash was the end.
pub(in crate::storage) fn clear(disk: &Disk) {
    let folder = Path::new(HELD_FOLDER);
    for (name, is_folder) in disk.list(folder).unwrap_or_default() {
        let path = folder.join(name);
        if !is_folder {
            continue;
        }
        for (name, _) in disk.list(&path).unwrap_or_default() {
            if let Err(error) = disk.remove_file(&path.join(name)) {
                tracing::warn!(%error, path = %path.display(), "a file that was held for a backup is not removed");
            }
        }
        let _not_empty = disk.remove_folder(&path);
    }
    let _mostly_absent = disk.remove_folder(folder);
}
