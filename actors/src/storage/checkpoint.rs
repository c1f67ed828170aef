//! Checkpoints: from time to time, and when the journal needs room, everything committed so far is made durable outside of
//! it, on a thread of its own where nobody waits.
//!
//! SAFETY OF ORDER: index and files have followed the journal → one syncfs (files, folders, extended attributes) → one
//! durable commit of the index that names the position → only then may the segments before it be reused.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::disk::{Disk, TRASH_FOLDER};
use super::engine::Shared;
use super::index::{Index, RowChange};
use super::progress::Position;
use super::rows::{self, CheckpointRow};
use super::{StorageError, keys};

/// Longest time that something stays uncheckpointed; bounds what a start after a crash has to replay.
const INTERVAL: Duration = Duration::from_secs(5);

/// What follows a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// More is written to the journal, which stands with all of its files.
    More,
    /// Nothing: the journal holds nothing that is needed.
    End,
}

/// Writes down that everything up to `position` is durable outside of the journal, after making it so.
pub(super) fn checkpoint(
    disk: &Disk,
    index: &dyn Index,
    position: Position,
    generation: u64,
    next: Next,
) -> Result<(), StorageError> {
    disk.sync_everything().map_err(|e| StorageError::io("sync", disk.root(), e))?;
    seal(disk, index, position, generation, next, Vec::new())
}

/// The index's half of a checkpoint, with further changes of rows; alone when no file changed since the last one.
pub(super) fn seal(
    disk: &Disk,
    index: &dyn Index,
    position: Position,
    generation: u64,
    next: Next,
    mut changes: Vec<RowChange>,
) -> Result<(), StorageError> {
    let row = CheckpointRow {
        sequence: position.sequence,
        segment: position.next.0,
        offset: position.next.1,
        stamp: position.stamp.0,
        generation,
        relaxed: !disk.is_strict(),
        is_open: Some(next == Next::More),
    };
    changes.push((keys::META_CHECKPOINT.to_vec(), Some(Arc::from(rows::encode(&row)?))));
    index.checkpoint(&changes)
}

/// The thread: checkpoints until the node stops, and once more then.
pub(super) fn run(shared: &Arc<Shared>) {
    let mut going = true;
    while going {
        going = shared.progress.wait_checkpoint_due(INTERVAL);
        if shared.progress.is_checkpoint_behind()
            && let Err(error) = once(shared)
        {
            if shared.is_stopping() {
                tracing::error!(%error, "no last checkpoint; the next start replays the journal");
                return shared.progress.give_up();
            }
            shared.fail(&format!("a checkpoint failed: {error}"));
            return;
        }
    }
    if shared.failure().is_none()
        && !shared.progress.is_checkpoint_behind()
        && let Err(error) = end(shared)
    {
        tracing::error!(%error, "the index does not say that the node has stopped");
    }
}

/// Writes down that the run has ended: whatever becomes of the journal now, nothing is lost with it.
fn end(shared: &Shared) -> Result<(), StorageError> {
    let Shared { disk, rows, progress, generation, .. } = shared;
    seal(disk, &*rows.index, progress.position(), *generation, Next::End, Vec::new())
}

fn once(shared: &Shared) -> Result<(), StorageError> {
    let trash = trash(&shared.disk);
    let position = shared.progress.position();
    shared.progress.wait_followed(position.sequence)?;
    checkpoint(&shared.disk, &*shared.rows.index, position, shared.generation, Next::More)?;
    shared.progress.checkpointed(position.sequence);
    // No replay can ask for these any more.
    trash.iter().for_each(|path| empty_trash(&shared.disk, path));
    Ok(())
}

/// What lies in the trash now.
pub(super) fn trash(disk: &Disk) -> Vec<PathBuf> {
    let folder = Path::new(TRASH_FOLDER);
    disk.list(folder).unwrap_or_default().into_iter().map(|(name, _)| folder.join(name)).collect()
}

/// Removes a deleted bucket's folder with what is in it.
pub(super) fn empty_trash(disk: &Disk, path: &Path) {
    for (name, is_folder) in disk.list(path).unwrap_or_default() {
        let inner = path.join(name);
        if is_folder {
            empty_trash(disk, &inner);
        } else if let Err(error) = disk.remove_file(&inner) {
            tracing::warn!(%error, path = %inner.display(), "not removed from the trash");
        }
    }
    if let Err(error) = disk.remove_folder(path) {
        tracing::warn!(%error, path = %path.display(), "not removed from the trash");
    }
}
