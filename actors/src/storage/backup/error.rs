//! Why a backup, or a restore, comes to nothing.

use std::io;
use std::path::{Path, PathBuf};

use crate::storage::StorageError;

/// A backup or restore that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Storage refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The place where it is written to is full.
    #[error("no space left at {}", .0.display())]
    Full(PathBuf),
    /// The file system failed.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// To which path.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// What is read is no backup, or of a format that this program does not know.
    #[error("{0}")]
    Unreadable(String),
    /// It was told to end.
    #[error("it was told to end")]
    Cancelled,
}

impl BackupError {
    /// A failure at a path.
    pub fn io(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(path.to_owned()),
            _ => Self::Io { action, path: path.to_owned(), source },
        }
    }
}
