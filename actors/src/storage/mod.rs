//! Storage: buckets, objects, uploads; the one owner of what lies under STORAGE_ROOT but for the JSON stores.
//!
//! The way of a write: the client streams the body into memory or a staged file (`body`, `staging`), the actor hands the
//! mutation to the committer, which turns it into a transaction by pure rules (`plan`), writes it to the journal in a batch
//! with others, makes it visible (`overlay`) and answers. Behind the answer, one thread brings rows into the index, another
//! puts plain files in place (`materialise`), a third makes both durable now and then (`checkpoint`), so that segments of the
//! journal can be used again. `recovery` does again at the start what was not checkpointed.
//!
//! The way of a read: row from overlay or index, bytes from journal or file (`read`), no mailbox. docs/design.md says more.

mod actor;
mod backup;
mod ballast;
mod body;
mod checkpoint;
mod checksum_hash;
mod chunk_pool;
mod client;
mod committer;
mod complete;
mod digest;
mod disk;
mod edits;
mod engine;
mod error;
mod explain;
mod feed;
mod figures;
mod format;
mod fsck;
#[cfg(any(test, feature = "internals"))]
pub(crate) mod fuzzing;
mod index;
mod index_file;
mod io_pool;
mod journal;
mod key_use;
mod keys;
mod lifecycle;
mod listing;
mod materialise;
mod md5;
#[cfg(feature = "internals")]
pub(crate) mod measured;
mod messages;
mod opened;
mod outbox;
mod overlay;
mod parts;
mod plan;
mod progress;
mod quota;
mod read;
mod recovery;
mod replication;
mod rows;
mod scrub;
mod sealing;
mod segments;
mod space;
mod staging;
mod steps;
mod tags;
#[cfg(test)]
mod tests;
mod times;
mod unsealing;
mod uploads;
mod versions;

pub use backup::{
    BackupError, BackupProgress, DATA_FOLDER, Exported, FILES_FILE, ROWS_FILE, Restored, StorageSnapshot,
    finish_restore, restore,
};
pub use body::{BodyWriter, FinishedBody};
pub use checksum_hash::checksum_of;
pub use client::StorageClient;
pub use digest::{DigestPlan, Digests};
pub use disk::open_beneath;
pub use engine::StorageSettings;
pub use error::StorageError;
pub use explain::{
    ExplainObject, FileState, FileVerdict, StoredChecksum, StoredEncryption, StoredLocation, StoredObject,
    StoredSegment, explain,
};
pub use figures::{COMMIT_BOUNDS_US, StorageFigures, StorageRoom};
pub use format::Format;
pub use fsck::{CheckObserver, CheckOptions, CheckProgress, Checked, Difference, Finding, Mend, fsck, reindex};
pub use index::IndexCache;
pub use messages::*;
pub use outbox::QueueLength;
pub use read::{ObjectPart, ObjectReader, OpenObject, PeekedObject, Purpose};
pub use scrub::{Damage, DamageKind, Examination, Examined, Look, Repair, Repaired, ScrubItem, ScrubKind, ScrubPage};
