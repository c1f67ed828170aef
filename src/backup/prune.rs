//! Removing old backups.

use std::fs;
use std::path::{Path, PathBuf};

use super::Trouble;
use super::shelf::{INCOMPLETE, Shelf, ShelfLock};

/// Removes all but the latest `keep` backups, and what is left of those that did not end. Answers what was removed. Later backups keep
/// what they share with an earlier one.
pub fn prune(directory: &Path, keep: usize) -> Result<Vec<PathBuf>, Trouble> {
    let _lock = ShelfLock::take(directory)?;
    let shelf = Shelf::read(directory)?;
    let old = shelf.backups.len().saturating_sub(keep);
    let mut removed = Vec::new();
    for backup in shelf.backups.into_iter().take(old) {
        // From here on it is incomplete, whatever happens.
        let marked = backup.folder.with_file_name(format!("{}{INCOMPLETE}", backup.manifest.id));
        fs::rename(&backup.folder, &marked).map_err(|e| Trouble::io("remove", &backup.folder, e))?;
        removed.push(backup.folder);
        remove(&marked)?;
    }
    for folder in shelf.incomplete {
        remove(&folder)?;
        removed.push(folder);
    }
    Ok(removed)
}

fn remove(folder: &Path) -> Result<(), Trouble> {
    fs::remove_dir_all(folder).map_err(|e| Trouble::io("remove", folder, e))
}
