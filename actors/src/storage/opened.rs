//! A data directory that is open and replayed: what a node starts from, and what `fsck` and `reindex` look at.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::StorageError;
use super::backup::clear_held;
use super::disk::{Disk, JOURNAL_FOLDER, RESTORING, SYSTEM_FOLDER};
use super::engine::StorageSettings;
use super::format;
use super::index::RedbIndex;
use super::index_file::IndexFile;
use super::overlay::{LiveRows, Overlay};
use super::recovery::{self, Holes, Recovered};
use super::space::Space;
use super::staging::Staging;

/// Index and files agree with the journal; no thread runs yet.
#[derive(Debug)]
pub(super) struct Opened {
    pub disk: Arc<Disk>,
    pub space: Arc<Space>,
    pub rows: LiveRows,
    pub staging: Arc<Staging>,
    pub recovered: Recovered,
}

/// The index's file, relative to the root.
pub(super) fn index_path() -> PathBuf {
    Path::new(SYSTEM_FOLDER).join("index.redb")
}

/// Where a new index is made.
pub(super) fn new_index_path() -> PathBuf {
    index_path().with_extension("new")
}

/// Opens the index in the file at `path`.
pub(super) fn open_index(
    disk: &Disk,
    space: &Arc<Space>,
    path: &Path,
    cache_bytes: usize,
) -> Result<RedbIndex, StorageError> {
    let file = disk.open_or_create(path).map_err(|e| StorageError::io("open", path, e))?;
    RedbIndex::open(IndexFile::new(file, Arc::clone(space)), cache_bytes)
}

/// An index that is there is whole: a new one gets its name when it is, and before anything is acknowledged.
fn make_or_open_index(disk: &Disk, space: &Arc<Space>, cache_bytes: usize) -> Result<RedbIndex, StorageError> {
    let (path, new) = (index_path(), new_index_path());
    if disk.stamp_at(&path).map_err(|e| StorageError::io("look at", &path, e))?.is_some() {
        return open_index(disk, space, &path, cache_bytes);
    }
    disk.create(&new).map_err(|e| StorageError::io("create", &new, e))?;
    let index = open_index(disk, space, &new, cache_bytes)?;
    let named = disk.rename(&new, &path).and_then(|()| disk.sync_folder(Path::new(SYSTEM_FOLDER)));
    named.map_err(|e| StorageError::io("put in place", &path, e))?;
    Ok(index)
}

/// Refuses to go on with a new, empty index where there was one: every object would be gone.
fn check_index(disk: &Disk) -> Result<(), StorageError> {
    let there = |path: &Path| disk.stamp_at(path).map_err(|e| StorageError::io("look at", path, e));
    if there(Path::new(RESTORING))?.is_some() {
        let reason =
            "a backup was to be restored into this directory, and that did not end: empty it, and restore again";
        return Err(StorageError::Unavailable { reason: reason.to_owned() });
    }
    let index = there(&index_path())?;
    if index.is_none_or(|index| index.size == 0) && there(&Path::new(JOURNAL_FOLDER).join("salt"))?.is_some() {
        let reason = "the index is gone, but the journal is there; `myfsio reindex` makes a new index of the files";
        return Err(StorageError::Index(reason.to_owned()));
    }
    Ok(())
}

impl Opened {
    /// Replays what is outstanding and sweeps what unfinished requests left.
    pub fn new(disk: Disk, settings: &StorageSettings, holes: Holes<'_>) -> Result<Self, StorageError> {
        let disk = Arc::new(disk);
        let space = Space::open(Arc::clone(&disk), settings.ballast_bytes)
            .map_err(|e| StorageError::io("open", &settings.root, e))?;
        check_index(&disk)?;
        clear_held(&disk);
        let index = Arc::new(make_or_open_index(&disk, &space, settings.index_cache_bytes)?);
        let rows = LiveRows { overlay: Arc::new(Overlay::default()), index };
        let recovered = recovery::recover(&disk, &rows, &space, holes)?;
        format::claim(&disk)?;
        if recovered.replayed > 0 {
            tracing::info!(batches = recovered.replayed, "replayed the journal");
        }
        let staging = Staging::new(Arc::clone(&disk), recovered.generation);
        let swept = staging.sweep(&recovery::named_staged_files(&rows)?)?;
        tracing::debug!(swept, "staged files of unfinished requests removed");
        Ok(Self { disk, space, rows, staging, recovered })
    }
}
