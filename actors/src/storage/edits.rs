//! Files that a person edited in place, or put into a bucket's folder.
//!
//! The node notices by size and time that a file is not the one of its row. Its bytes are then hashed, and if they are the same
//! only the time is mended; else the file becomes the current object, with a new ETag and time. What is encrypted, locked or a
//! version is never taken for edited: other bytes in its file are damage. The file stays where it is and is not served, so that
//! who has the right bytes can put them back; that it is so is remembered, and not found out again by each reader.
//!
//! SAFETY OF ORDER: a checkpoint first, so that no replay brings older bytes over the edited ones and the person's own bytes are
//! durable → hash → look again → commit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use futures_util::StreamExt as _;

use super::StorageError;
use super::client::StorageClient;
use super::digest::{DigestPlan, Digests, Hasher};
use super::disk::{Disk, DiskFile, FileStamp, is_absent};
use super::engine::Shared;
use super::keys;
use super::materialise::is_left;
use super::messages::{Adopted, Bucket};
use super::overlay::Rows as _;
use super::plan::{Adopt, Taken, is_same};
use super::rows::{self, Location, ObjectRow};
use super::segments;
use super::steps::is_plain_path;
use crate::names::{BucketName, ObjectKey, Stamp};

/// How often a file that is just being written is hashed again.
const ATTEMPTS: usize = 3;
/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// Clocks of file systems tick this coarsely: a younger file may be written again within the same tick.
const TICK: Duration = Duration::from_millis(20);
/// Files that share one checkpoint while a folder is adopted.
const BATCH: usize = 1024;
/// Files that are hashed and committed at once.
const TOGETHER: usize = 64;
/// Files that are remembered not to be their objects'.
const QUARANTINED_MAX: usize = 4096;
/// How long a request waits for a checkpoint.
const FOLLOW_PATIENCE: Duration = Duration::from_secs(20);

/// Hashes a file; answers what it was, or none when it changed meanwhile.
pub(super) fn hash(file: &DiskFile) -> std::io::Result<Option<(FileStamp, Digests)>> {
    let seen = file.stamp()?;
    let mut hasher = Hasher::new(DigestPlan::default());
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut at = 0;
    while at < seen.size {
        let step = usize::try_from(seen.size - at).unwrap_or(usize::MAX).min(buffer.len());
        let chunk = buffer.get_mut(..step).unwrap_or_default();
        match file.read_exact_at(chunk, at) {
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        hasher.update(chunk);
        at += step as u64;
    }
    Ok((file.stamp()? == seen).then(|| (seen, hasher.finish())))
}

/// Opens the file of a plain key; none when nothing, or no regular file, is there.
pub(super) fn open_plain(disk: &Disk, path: &Path) -> Result<Option<DiskFile>, StorageError> {
    match disk.open_file(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if is_absent(&e) => Ok(None),
        Err(e) => Err(StorageError::io("open", path, e)),
    }
}

/// A file that is not the one of its row.
#[derive(Debug, Clone)]
pub(super) struct Edited {
    pub row: Box<ObjectRow>,
}

/// What became of one file.
enum Outcome {
    /// It is the one of its row.
    Known,
    /// Its bytes are those of its row; the time was mended.
    Mended,
    /// Its bytes are the object's now, which was another before.
    Changed,
    Adopted {
        bytes: u64,
    },
    /// The object must stay what it was, for this reason.
    Kept(&'static str),
    /// It cannot be an object, for this reason.
    Skipped(&'static str),
}

/// Files that were found to have other bytes than their objects, which must not change: the object's stamp, what the file was,
/// and why.
#[derive(Debug, Default)]
pub(super) struct Quarantine(DashMap<Stamp, (FileStamp, &'static str)>);

impl Quarantine {
    fn put(&self, row: &ObjectRow, seen: FileStamp, reason: &'static str) {
        // What is forgotten is found out again.
        if self.0.len() >= QUARANTINED_MAX {
            self.0.clear();
        }
        self.0.insert(Stamp(row.stamp), (seen, reason));
    }

    /// Why the file of a row is not served, if it is still the one that was found.
    fn holds(&self, row: &ObjectRow, path: &Path, disk: &Disk) -> Option<&'static str> {
        let (seen, reason) = *self.0.get(&Stamp(row.stamp))?;
        (disk.stamp_at(path).ok().flatten() == Some(seen)).then_some(reason)
    }
}

/// Makes everything that was committed so far durable outside of the journal, and what others wrote as well.
fn checkpoint_now(shared: &Shared) -> Result<(), StorageError> {
    shared.progress.checkpoint_within(shared.progress.position().sequence, FOLLOW_PATIENCE)?;
    shared.disk.sync_everything().map_err(|e| StorageError::io("sync", shared.disk.root(), e))
}

/// Said of a file that is longer or shorter than its object, though it has the very nanosecond that the node gave it: nobody wrote it.
pub(super) const CUT: &str = "its size is another, and its time is still the object's: that is damage";
/// File systems that round times more than this tell nothing by them.
const TIME_STEP_MAX: u64 = 1_000_000;

/// Whether a file has the time of its object, but another size.
pub(super) fn is_cut(disk: &Disk, row: &ObjectRow, there: &FileStamp) -> bool {
    let is_own_time = there.modified == disk.rounded(Stamp(row.stamp)) && disk.time_step() <= TIME_STEP_MAX;
    is_own_time && there.size != row.stored_size()
}

/// A file whose bytes were read.
struct Hashed {
    seen: FileStamp,
    digests: Digests,
    /// Whether it begins as an encrypted object's does: it cannot be a plain one.
    is_sealed: bool,
}

/// Hashes the file of a plain key; none when it is gone or just being written. Errs: Io when it may not be read, or not be
/// given another time: then it cannot be an object's file.
fn hash_at(shared: &Shared, path: &Path) -> Result<Option<Hashed>, StorageError> {
    let Some(there) = open_plain(&shared.disk, path)? else { return Ok(None) };
    let hash = || -> std::io::Result<_> {
        let file = shared.disk.open_writable(path)?;
        let Some((seen, digests)) = hash(&there)? else { return Ok(None) };
        file.set_modified(seen.modified)?;
        file.sync_data()?;
        let is_sealed = segments::begins_sealed(&there)?;
        Ok((file.stamp()? == seen).then_some(Hashed { seen, digests, is_sealed }))
    };
    hash().map_err(|e| StorageError::io("take over", path, e))
}

/// The key whose plain path this is, below its bucket's folder.
pub(super) fn key_of(bucket: &BucketName, path: &Path) -> Option<ObjectKey> {
    let key = path.strip_prefix(bucket.as_str()).ok()?.to_str()?;
    ObjectKey::parse(key.as_bytes()).ok().filter(|key| is_plain_path(key.as_str()))
}

impl StorageClient {
    /// Makes an edited file the object of its key, or mends its time; then its reader looks again. Goes on when the reader does
    /// not wait: the next one finds it done.
    pub(super) async fn settle_edit(
        &self,
        bucket: &Arc<Bucket>,
        key: &ObjectKey,
        edited: Edited,
    ) -> Result<(), StorageError> {
        let (client, bucket, key) = (self.clone(), Arc::clone(bucket), key.clone());
        let path = Path::new(bucket.name.as_str()).join(key.as_str());
        let settling = tokio::task::spawn(async move {
            let turn = Arc::clone(&client.shared.edits.entry(path.clone()).or_default());
            let result = {
                let _one_at_a_time = turn.lock().await;
                client.settle(&bucket, &key, &edited, &path).await
            };
            drop(turn);
            client.shared.edits.remove_if(&path, |_, turn| Arc::strong_count(turn) == 1);
            result
        });
        settling.await.unwrap_or_else(|e| Err(StorageError::Unavailable { reason: e.to_string() }))
    }

    async fn settle(
        &self,
        bucket: &Arc<Bucket>,
        key: &ObjectKey,
        edited: &Edited,
        path: &Path,
    ) -> Result<(), StorageError> {
        for _ in 0..ATTEMPTS {
            let row = row_of(&self.shared, bucket, key)?;
            if row.as_ref().is_none_or(|row| row.stamp != edited.row.stamp) {
                return Ok(());
            }
            if let Some(reason) = self.shared.quarantine.holds(&edited.row, path, &self.shared.disk) {
                return Err(StorageError::Quarantined { path: path.to_owned(), reason });
            }
            tokio::time::sleep(TICK).await;
            let (shared, file) = (Arc::clone(&self.shared), path.to_owned());
            let hashing = self.shared.long_pool.run(move || {
                checkpoint_now(&shared)?;
                hash_at(&shared, &file)
            });
            if let Some(hashed) = hashing.await? {
                let seen = hashed.seen;
                match self.take(bucket, key, row.as_ref(), hashed).await? {
                    Outcome::Kept(reason) => {
                        tracing::error!(path = %path.display(), reason, "a file was changed by another program; it is not served");
                        self.shared.quarantine.put(&edited.row, seen, reason);
                        return Err(StorageError::Quarantined { path: path.to_owned(), reason });
                    }
                    Outcome::Changed => {
                        tracing::warn!(path = %path.display(), "a file was edited: its bytes are the object now")
                    }
                    _ => tracing::debug!(path = %path.display(), "a file had another time than its object"),
                }
                return Ok(());
            }
        }
        Err(StorageError::Corrupt { what: format!("the file {}, which another program is writing", path.display()) })
    }

    /// Commits a hashed file as the object of its key.
    async fn take(
        &self,
        bucket: &Arc<Bucket>,
        key: &ObjectKey,
        row: Option<&ObjectRow>,
        hashed: Hashed,
    ) -> Result<Outcome, StorageError> {
        let outcome = match row {
            None => Outcome::Adopted { bytes: hashed.seen.size },
            Some(row) if is_same(row, &hashed.seen, &hashed.digests) => Outcome::Mended,
            Some(_) => Outcome::Changed,
        };
        if hashed.is_sealed && !matches!(outcome, Outcome::Mended) {
            return Ok(Outcome::Kept(segments::LOST_KEY));
        }
        if row.is_some_and(|row| is_cut(&self.shared.disk, row, &hashed.seen)) {
            return Ok(Outcome::Kept(CUT));
        }
        let Hashed { seen, digests, .. } = hashed;
        let expected = row.map(|row| Stamp(row.stamp));
        let adopt = Adopt { bucket: Arc::clone(bucket), key: key.clone(), expected, seen, digests };
        Ok(match self.commit(adopt).await? {
            Taken::Yes => outcome,
            Taken::No => Outcome::Skipped(BUSY),
            Taken::Kept(reason) => Outcome::Kept(reason),
        })
    }

    /// Makes every file of a bucket's folder that no object has an object, and settles those that were edited. Links, special
    /// files and what the node does not own are left alone.
    /// Errs: Busy while another bucket is being adopted.
    pub async fn adopt_files(&self, bucket: &Arc<Bucket>) -> Result<Adopted, StorageError> {
        let Ok(_one_at_a_time) = self.shared.adopting.try_lock() else { return Err(StorageError::Busy) };
        let mut total = Adopted::default();
        let mut folders = vec![PathBuf::from(bucket.name.as_str())];
        while let Some(folder) = folders.pop() {
            let (shared, listed) = (Arc::clone(&self.shared), folder.clone());
            let list = move || match shared.disk.list(&listed) {
                // It went with its last file.
                Err(e) if is_absent(&e) => Ok(Vec::new()),
                other => other.map_err(|e| StorageError::io("list", &listed, e)),
            };
            let mut files = Vec::new();
            for (name, is_folder) in self.shared.long_pool.run(list).await? {
                if is_folder { folders.push(folder.join(name)) } else { files.push(folder.join(name)) }
            }
            for some in files.chunks(BATCH) {
                self.adopt_some(bucket, some, &mut total).await?;
            }
        }
        Ok(total)
    }

    async fn adopt_some(
        &self,
        bucket: &Arc<Bucket>,
        files: &[PathBuf],
        total: &mut Adopted,
    ) -> Result<(), StorageError> {
        let mut strange = Vec::new();
        let (shared, there, some) = (Arc::clone(&self.shared), Arc::clone(bucket), files.to_vec());
        let examine = move || Ok(some.iter().map(|path| examine(&shared, &there, path)).collect::<Vec<_>>());
        for (path, outcome) in files.iter().zip(self.shared.long_pool.run(examine).await?) {
            match outcome? {
                Outcome::Known => total.known += 1,
                Outcome::Skipped(reason) => total.skip(path, reason),
                _ => strange.push(path),
            }
        }
        if strange.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(TICK).await;
        let shared = Arc::clone(&self.shared);
        self.shared.long_pool.run(move || checkpoint_now(&shared)).await?;
        let adopting = strange.iter().map(|path| self.adopt_file(bucket, path));
        let mut adopting = futures_util::stream::iter(adopting).buffered(TOGETHER);
        let mut paths = strange.iter();
        while let (Some(outcome), Some(path)) = (adopting.next().await, paths.next()) {
            match outcome? {
                Outcome::Known => total.known += 1,
                Outcome::Mended => total.mended += 1,
                Outcome::Changed => total.changed += 1,
                Outcome::Adopted { bytes } => {
                    total.adopted += 1;
                    total.bytes += bytes;
                }
                Outcome::Kept(reason) | Outcome::Skipped(reason) => total.skip(path, reason),
            }
        }
        Ok(())
    }

    async fn adopt_file(&self, bucket: &Arc<Bucket>, path: &Path) -> Result<Outcome, StorageError> {
        let Some(key) = key_of(&bucket.name, path) else { return Ok(Outcome::Skipped(NO_KEY)) };
        let (shared, there, file) = (Arc::clone(&self.shared), Arc::clone(bucket), path.to_owned());
        let looked = self.shared.long_pool.run(move || {
            // Looked at again: what was deleted before the checkpoint is gone now.
            let seen = examine(&shared, &there, &file)?;
            let row = key_of(&there.name, &file).map(|key| row_of(&shared, &there, &key)).transpose()?.flatten();
            if matches!(seen, Outcome::Known | Outcome::Skipped(_)) {
                return Ok(Err(seen));
            }
            Ok(match hash_at(&shared, &file) {
                Ok(Some(hashed)) => Ok((row, hashed)),
                Ok(None) => Err(Outcome::Skipped(NO_FILE)),
                Err(error) => {
                    tracing::warn!(%error, "a file is not adopted");
                    Err(Outcome::Skipped(NOT_OURS))
                }
            })
        });
        match looked.await? {
            Ok((row, hashed)) => self.take(bucket, &key, row.as_ref(), hashed).await,
            Err(outcome) => Ok(outcome),
        }
    }
}

fn row_of(shared: &Shared, bucket: &Bucket, key: &ObjectKey) -> Result<Option<ObjectRow>, StorageError> {
    let row = shared.rows.get(&keys::object(bucket.id, key.as_bytes()))?;
    row.map(|row| rows::decode(&row)).transpose()
}

/// Whether a file is known or cannot be an object; anything else is worth a closer look.
fn examine(shared: &Shared, bucket: &Bucket, path: &Path) -> Result<Outcome, StorageError> {
    let Some(key) = key_of(&bucket.name, path) else { return Ok(Outcome::Skipped(NO_KEY)) };
    let Some(row) = row_of(shared, bucket, &key)? else {
        let is_left = is_left(&shared.disk, path).unwrap_or(false);
        return Ok(if is_left { Outcome::Skipped(DELETED) } else { Outcome::Adopted { bytes: 0 } });
    };
    if row.location != Location::Plain {
        return Ok(Outcome::Skipped(IN_THE_WAY));
    }
    if shared.pending.contains_key(&Stamp(row.stamp)) {
        return Ok(Outcome::Known);
    }
    let own = FileStamp { size: row.stored_size(), modified: shared.disk.rounded(Stamp(row.stamp)) };
    Ok(match shared.disk.stamp_at(path) {
        Ok(Some(there)) if there == own => Outcome::Known,
        Ok(_) => Outcome::Changed,
        Err(_) => Outcome::Skipped(NOT_OURS),
    })
}

const NO_KEY: &str = "its path is no key";
const IN_THE_WAY: &str = "an object of this key lies elsewhere, since this file was in its way";
const DELETED: &str = "its object was deleted, and the node may not remove it";
const NO_FILE: &str = "it is no regular file, or it is being written or was moved away";
const NOT_OURS: &str = "the node may not read it, or not change its time: it needs to own the file";
const BUSY: &str = "its key was written meanwhile, or an object is in its way";
