//! Backups: a folder for each, in a directory that the operator names. What Storage holds is brought there by Storage itself
//! (`myfsio_actors::storage`, backup); here are the files beside it, the manifest, and what is done with backups that are there.
//!
//! ```text
//! DIR/<id>/manifest.json      what it is; written last, and with it the folder gets its name: before it ends in `.incomplete`
//! DIR/<id>/rows               the rows of the index
//! DIR/<id>/files.jsonl        each object's file with size and CRC-64/NVME
//! DIR/<id>/data/…             these files
//! DIR/<id>/config/… keys/…    users, policies, connections, rules, KMS keys
//! ```

pub mod create;
pub mod manifest;
pub mod prune;
pub mod restore;
pub mod shelf;
pub mod sources;
pub mod verify;

use std::io;
use std::path::{Path, PathBuf};

use myfsio_actors::storage::{BackupError, StorageError};

/// Why something cannot be done with backups.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Making or restoring one.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The data directory.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Something else, in words.
    #[error("{0}")]
    Refused(String),
}

impl Trouble {
    /// A failure at a path.
    pub fn io(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        BackupError::io(action, path, source).into()
    }
}

/// Opens the folder so that its names last.
fn sync_folder(path: &Path) -> Result<(), Trouble> {
    let synced = std::fs::File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(|e| Trouble::io("sync", path, e))
}

/// The absolute path of a directory. Errs: there is none such.
fn absolute(path: &Path) -> Result<PathBuf, Trouble> {
    std::path::absolute(path).map_err(|e| Trouble::io("find", path, e))
}
