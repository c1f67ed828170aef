//! `fsck` and `reindex`: whether journal, index, files, uploads and counters agree, and making them agree again.
//!
//! Both work on a data directory that no node has open. It is replayed first, as a start would, so what is compared is what a
//! node would serve. `fsck` walks all rows and looks for the files that they name (`rows`), then walks all files and looks for the
//! rows that name them (`files`), and last for the times of what is there then (`times`) and for what it adds up to (`meters`). `reindex` makes a new index of the files alone (`rebuild`).

mod check;
mod files;
mod key_counts;
mod meters;
mod outgoing;
mod rebuild;
mod replication;
mod rows;
mod salvage;
mod sealed;
mod tag;
mod times;

use std::sync::Arc;

use check::Check;
pub use rebuild::reindex;

use super::StorageError;
use super::disk::Disk;
use super::engine::StorageSettings;
use super::journal;
use super::opened::Opened;
use super::recovery::{Holes, Lost};
use crate::clock::SharedClock;
use crate::names::BucketName;

/// How index and files disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// The journal holds batches behind its end, or was cut: the disk lost acknowledged writes.
    JournalHole,
    /// A row that cannot be read.
    UnreadableRow,
    /// A row that another one implies is not there.
    MissingRow,
    /// A row that belongs to no bucket, object or upload.
    OrphanRow,
    /// The counters of a bucket, or of what is wrapped under a key, are not the sum of what is there.
    WrongCounters,
    /// An assembled object whose list of parts is missing or does not add up.
    WrongParts,
    /// A bucket without its folder.
    MissingFolder,
    /// An object without its file.
    MissingFile,
    /// An object's file lies in overflow, and its row does not say so.
    MisplacedFile,
    /// An object's file has the right bytes, but another time.
    WrongTime,
    /// An object's file was edited by somebody.
    EditedFile,
    /// An object's file does not have the bytes that were stored.
    DamagedFile,
    /// The file of an encrypted object does not carry its data key: without the index it would be lost.
    WrongTag,
    /// Index and tag tell an object differently, and nothing tells which of them is right.
    DifferingTag,
    /// An encrypted file of which nothing tells the data key.
    LostKey,
    /// A file that cannot be read.
    UnreadableFile,
    /// A part of an upload without its file.
    MissingPart,
    /// A file in a bucket's folder that no object has.
    UnknownFile,
    /// A folder that could be a bucket and is none.
    UnknownFolder,
    /// A file of the node's own that no row names.
    OrphanFile,
}

impl Difference {
    /// Its name, for machines.
    pub fn name(self) -> &'static str {
        match self {
            Self::JournalHole => "journal-hole",
            Self::UnreadableRow => "unreadable-row",
            Self::MissingRow => "missing-row",
            Self::OrphanRow => "orphan-row",
            Self::WrongCounters => "wrong-counters",
            Self::WrongParts => "wrong-parts",
            Self::MissingFolder => "missing-folder",
            Self::MissingFile => "missing-file",
            Self::MisplacedFile => "misplaced-file",
            Self::WrongTime => "wrong-time",
            Self::EditedFile => "edited-file",
            Self::DamagedFile => "damaged-file",
            Self::WrongTag => "wrong-tag",
            Self::DifferingTag => "differing-tag",
            Self::LostKey => "lost-key",
            Self::UnreadableFile => "unreadable-file",
            Self::MissingPart => "missing-part",
            Self::UnknownFile => "unknown-file",
            Self::UnknownFolder => "unknown-folder",
            Self::OrphanFile => "orphan-file",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What disagrees.
    pub difference: Difference,
    /// Bucket and key, or the path below the root.
    pub place: String,
    /// More, for people.
    pub detail: String,
    /// Whether it was mended.
    pub mended: bool,
}

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckProgress {
    /// What is walked: `rows` or `files`.
    pub stage: &'static str,
    /// How many so far.
    pub done: u64,
    /// How many there will be, roughly.
    pub expected: u64,
}

/// Hears what a check finds, as it finds it.
pub trait CheckObserver {
    /// A difference.
    fn found(&mut self, finding: &Finding);
    /// Called now and then.
    fn progress(&mut self, progress: CheckProgress);
}

/// What a check may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mend {
    /// Nothing.
    Nothing,
    /// What has one right answer: counters, times, edited files, rows of nothing; what nothing names is put aside.
    Safely,
    /// The same, and files decide what objects there are: those without a file go, files without an object become one.
    FromFiles,
}

/// What is checked.
#[derive(Debug, Clone)]
pub struct CheckOptions {
    /// What may be changed.
    pub mend: Mend,
    /// Whether every byte is read and compared with its checksum.
    pub data: bool,
    /// Only this bucket.
    pub bucket: Option<BucketName>,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checked {
    /// Buckets.
    pub buckets: u64,
    /// Objects.
    pub objects: u64,
    /// Noncurrent versions and delete markers.
    pub versions: u64,
    /// Bytes of objects and versions.
    pub bytes: u64,
    /// Uploads in progress.
    pub uploads: u64,
    /// Parts of these.
    pub parts: u64,
    /// Files below the root.
    pub files: u64,
    /// Differences found.
    pub differences: u64,
    /// Those of them that were mended.
    pub mended: u64,
    /// Batches of the journal that were replayed first.
    pub replayed: u64,
}

/// Checks a data directory that no node has open. Errs: Io when one has, Unavailable when the journal has a hole and nothing may
/// be mended, Index when that is damaged, NoSuchBucket.
pub fn fsck(
    settings: &StorageSettings,
    clock: SharedClock,
    options: &CheckOptions,
    observer: &mut dyn CheckObserver,
) -> Result<Checked, StorageError> {
    guarded(|| {
        let mut lost = Lost::default();
        let holes = match options.mend {
            Mend::Nothing => Holes::Refuse,
            Mend::Safely | Mend::FromFiles => Holes::Drop(&mut lost),
        };
        let opened = Opened::new(open_disk(settings)?, settings, holes)?;
        let mut check = Check::new(&opened, clock, options, observer)?;
        check.journal(&lost);
        walk(check)
    })
}

/// Does what reads an index that may be damaged: its engine panics at a page that is none. Errs: Index then.
fn guarded<T>(work: impl FnOnce() -> Result<T, StorageError>) -> Result<T, StorageError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let reason = "a page of the index is damaged; `myfsio reindex` makes a new index of the files";
        Err(StorageError::Index(reason.to_owned()))
    })
}

fn walk(mut check: Check<'_>) -> Result<Checked, StorageError> {
    rows::walk(&mut check)?;
    files::walk(&mut check)?;
    times::walk(&mut check)?;
    meters::walk(&mut check)?;
    replication::walk(&mut check)?;
    let disk = Arc::clone(&check.opened.disk);
    let checked = check.finish()?;
    if checked.mended > 0 {
        // What it holds is in the index and in the files; what was mended is not in it, and must not be undone by it.
        journal::discard(&disk)?;
    }
    Ok(checked)
}

/// The same for a directory that is open already.
#[cfg(test)]
pub(super) fn check_opened(
    opened: &Opened,
    clock: SharedClock,
    options: &CheckOptions,
    observer: &mut dyn CheckObserver,
) -> Result<Checked, StorageError> {
    walk(Check::new(opened, clock, options, observer)?)
}

/// Opens a data directory that no node has open, as a start would.
pub(super) fn open_stopped(settings: &StorageSettings) -> Result<Opened, StorageError> {
    Opened::new(open_disk(settings)?, settings, Holes::Refuse)
}

/// Takes the data directory. What is mended must last, whatever the node's durability.
fn open_disk(settings: &StorageSettings) -> Result<Disk, StorageError> {
    Disk::open(&settings.root, true).map_err(|e| StorageError::io("open", &settings.root, e))
}

/// All buckets, or the one that was asked for.
fn wanted(
    buckets: &std::collections::HashMap<BucketName, Arc<super::Bucket>>,
    only: Option<&BucketName>,
) -> Result<Vec<Arc<super::Bucket>>, StorageError> {
    match only {
        None => Ok(buckets.values().cloned().collect()),
        Some(name) => match buckets.get(name) {
            Some(bucket) => Ok(vec![Arc::clone(bucket)]),
            None => Err(StorageError::NoSuchBucket { bucket: name.clone() }),
        },
    }
}
