//! The backups in a directory.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::Trouble;
use super::manifest::{MANIFEST, Manifest};

/// What the name of a folder ends in until its backup is whole.
pub const INCOMPLETE: &str = ".incomplete";
const LOCK: &str = ".lock";

/// What is in a directory of backups.
#[derive(Debug, Default)]
pub struct Shelf {
    /// Whole ones, oldest first.
    pub backups: Vec<Backup>,
    /// Folders of backups that did not end.
    pub incomplete: Vec<PathBuf>,
    /// Folders that look like backups and cannot be read, with the reason.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// A whole backup.
#[derive(Debug, Clone)]
pub struct Backup {
    /// Its folder.
    pub folder: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

impl Shelf {
    /// Looks through a directory. Errs: it cannot be read.
    pub fn read(directory: &Path) -> Result<Self, Trouble> {
        let failed = |e| Trouble::io("list", directory, e);
        let mut shelf = Self::default();
        for entry in fs::read_dir(directory).map_err(failed)? {
            let folder = entry.map_err(failed)?.path();
            if folder.to_string_lossy().ends_with(INCOMPLETE) {
                shelf.incomplete.push(folder);
            } else if folder.join(MANIFEST).is_file() {
                match Manifest::read(&folder) {
                    Ok(manifest) => shelf.backups.push(Backup { folder, manifest }),
                    Err(error) => shelf.unreadable.push((folder, error.to_string())),
                }
            }
        }
        shelf.backups.sort_by(|a, b| {
            (a.manifest.created_millis, &a.manifest.id).cmp(&(b.manifest.created_millis, &b.manifest.id))
        });
        shelf.incomplete.sort();
        Ok(shelf)
    }

    /// The backup of this name, or the latest. Errs: there is none, or it is not whole.
    pub fn choose(&self, directory: &Path, id: Option<&str>) -> Result<&Backup, Trouble> {
        let found = match id {
            None => self.backups.last(),
            Some(id) => self.backups.iter().find(|backup| backup.manifest.id == id),
        };
        let place = directory.display();
        found.ok_or_else(|| {
            let is_incomplete = |id: &str| self.incomplete.iter().any(|it| it.ends_with(format!("{id}{INCOMPLETE}")));
            Trouble::Refused(match id {
                Some(id) if is_incomplete(id) => format!("the backup {id} in {place} is incomplete: it did not end"),
                Some(id) => format!("there is no backup {id} in {place}"),
                None if !self.incomplete.is_empty() => format!("there are only incomplete backups in {place}"),
                None => format!("there is no backup in {place}"),
            })
        })
    }
}

/// Keeps others from making or removing backups in a directory.
#[derive(Debug)]
pub struct ShelfLock {
    /// Closing it ends the lock.
    _file: fs::File,
}

impl ShelfLock {
    /// Takes the directory. Errs: another has it.
    pub fn take(directory: &Path) -> Result<Self, Trouble> {
        let path = directory.join(LOCK);
        let file = fs::File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|e| Trouble::io("open", &path, e))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(_) => {
                let text = format!("another backup is being made or removed in {}", directory.display());
                Err(Trouble::Refused(text))
            }
        }
    }
}
