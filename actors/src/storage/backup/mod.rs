//! Backups of everything that Storage holds, as of one moment, while it goes on; and a new data directory from one.
//!
//! The rows of a backup are a view of the index, which is always the end of a batch: all that had been answered when the backup
//! began is in it, and nothing by halves. Their files change on while they are copied. So from before that moment until the copy is
//! done, whoever is about to replace or remove a file that is older moves it aside instead ([`hold`]): each row finds its very bytes,
//! however long it takes.
//!
//! What is copied is what lies on disk, sealed if it is encrypted, under names that follow from bucket, key and commit time: what two
//! backups have in common has the same name in both, and the later one gives it a second name instead of a copy.

mod copy;
mod error;
mod hold;
mod restore;
mod rows_file;
mod snapshot;

pub use error::BackupError;
pub(super) use hold::clear as clear_held;
pub use restore::{Restored, finish_restore, restore};
pub use snapshot::{BackupProgress, Exported, StorageSnapshot};

/// The dump of rows in a backup.
pub const ROWS_FILE: &str = "rows";
/// Where objects' files lie in a backup.
pub const DATA_FOLDER: &str = "data";
/// The list of these files.
pub const FILES_FILE: &str = "files.jsonl";
