//! `reindex`: a new index of the files alone.
//!
//! It is made beside the old one: buckets first, then every file is made an object, as its tag tells, or else as its bytes are.
//! Then it takes the old one's place, and what the journal holds beyond the files is replayed over it. Where the old index can
//! still be read, it is believed about what no file tells (owners, uploads in progress, lists of parts), and about objects
//! as far as it agrees with their files.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::check::Check;
use super::{CheckObserver, CheckOptions, CheckProgress, Checked, Difference, Finding, Mend, files, fsck, open_disk};
use crate::clock::SharedClock;
use crate::names::{BucketId, BucketName, CanonicalId, Stamp};
use crate::storage::StorageError;
use crate::storage::disk::{BUCKETS_FOLDER, Disk};
use crate::storage::engine::StorageSettings;
use crate::storage::index::{Index, RowChange};
use crate::storage::journal::Replay;
use crate::storage::keys::{self, RowKind};
use crate::storage::messages::{Bucket, Versioning};
use crate::storage::opened::{Opened, index_path, new_index_path, open_index};
use crate::storage::overlay::{LiveRows, Overlay};
use crate::storage::progress::Position;
use crate::storage::recovery::{Holes, Recovered};
use crate::storage::rows::{self, BucketRow, CheckpointRow, FORMAT_VERSION, FormatRow};
use crate::storage::space::Space;
use crate::storage::staging::Staging;

/// Rows copied at a time.
const COPY_ROWS: usize = 4096;

/// Makes a new index of the files of a data directory that no node has open. Buckets whose owner nothing tells belong to `owner`.
/// Errs: as [`fsck`].
pub fn reindex(
    settings: &StorageSettings,
    clock: SharedClock,
    owner: &CanonicalId,
    observer: &mut dyn CheckObserver,
) -> Result<Checked, StorageError> {
    let old = match Opened::new(open_disk(settings)?, settings, Holes::Refuse) {
        Ok(old) => Some(old),
        Err(error) if is_unreadable(&error) => {
            tracing::warn!(%error, "the index cannot be read: what only it knows is lost");
            None
        }
        Err(error) => return Err(error),
    };
    let mut quiet = Quiet { observer, told: Checked::default() };
    build(settings, &clock, owner, old, &mut quiet)?;
    let options = CheckOptions { mend: Mend::Safely, data: false, bucket: None };
    let checked = fsck(settings, clock, &options, &mut quiet)?;
    Ok(Checked { differences: quiet.told.differences, mended: quiet.told.mended, ..checked })
}

/// Whether the index is what is broken, and not the disk or the directory.
fn is_unreadable(error: &StorageError) -> bool {
    match error {
        StorageError::Index(_) => true,
        StorageError::Io { source, .. } => {
            matches!(source.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
        }
        _ => false,
    }
}

/// Makes the new index and puts it in place.
fn build(
    settings: &StorageSettings,
    clock: &SharedClock,
    owner: &CanonicalId,
    old: Option<Opened>,
    observer: &mut dyn CheckObserver,
) -> Result<(), StorageError> {
    let disk = match &old {
        Some(old) => Arc::clone(&old.disk),
        None => Arc::new(open_disk(settings)?),
    };
    let path = new_index_path();
    disk.create(&path).map_err(|e| StorageError::io("create", &path, e))?;
    let space = match &old {
        Some(old) => Arc::clone(&old.space),
        None => Space::open(Arc::clone(&disk), 0).map_err(|e| StorageError::io("open", &settings.root, e))?,
    };
    let index = Arc::new(open_index(&disk, &space, &path, settings.index_cache_bytes)?);
    let (mut recovered, told) = match &old {
        Some(old) => (old.recovered.clone(), HashMap::new()),
        None => from_journal(&disk)?,
    };
    add_folders(&disk, &mut recovered, &told, owner, clock.now())?;
    enter_buckets(&*index, &recovered)?;
    if let Some(old) = &old {
        carry_over(&*old.rows.index, &*index)?;
    }
    let staging = Staging::new(Arc::clone(&disk), recovered.generation);
    let rows = LiveRows { overlay: Arc::new(Overlay::default()), index };
    let opened = Opened { disk: Arc::clone(&disk), space, rows, staging, recovered };
    let options = CheckOptions { mend: Mend::FromFiles, data: false, bucket: None };
    let mut check = Check::new(&opened, Arc::clone(clock), &options, observer)?;
    check.hints = old.as_ref().map(|old| &old.rows);
    files::walk(&mut check)?;
    check.finish()?;
    drop((opened, old));
    disk.rename(&path, &index_path()).map_err(|e| StorageError::io("put in place", &path, e))?;
    disk.sync_everything().map_err(|e| StorageError::io("sync", disk.root(), e))
}

/// Passes on all but what `reindex` is for: files that are objects again, and the sums that go with them.
struct Quiet<'a> {
    observer: &'a mut dyn CheckObserver,
    told: Checked,
}

impl CheckObserver for Quiet<'_> {
    fn found(&mut self, finding: &Finding) {
        let own = [Difference::UnknownFile, Difference::WrongCounters, Difference::OrphanRow];
        if finding.mended && own.contains(&finding.difference) {
            return;
        }
        self.told.differences += 1;
        self.told.mended += u64::from(finding.mended);
        self.observer.found(finding);
    }

    fn progress(&mut self, progress: CheckProgress) {
        self.observer.progress(progress);
    }
}

fn enter_buckets(index: &dyn Index, recovered: &Recovered) -> Result<(), StorageError> {
    let mut changes: Vec<RowChange> = Vec::new();
    for bucket in recovered.buckets.values() {
        changes.push((keys::bucket(&bucket.name), Some(rows::encode(&BucketRow::of(bucket))?.into())));
    }
    let format = FormatRow { version: FORMAT_VERSION, bucket_id_next: recovered.bucket_id_next };
    changes.push((keys::META_FORMAT.to_vec(), Some(rows::encode(&format)?.into())));
    index.apply(&changes)
}

/// Copies what no file tells.
fn carry_over(old: &dyn Index, new: &dyn Index) -> Result<(), StorageError> {
    let mut changes: Vec<RowChange> = Vec::new();
    old.snapshot()?.scan(&[], &[], &mut |key, value| {
        if let Some(RowKind::Upload(..) | RowKind::Part(..) | RowKind::PartList(..)) = keys::kind(key) {
            changes.push((key.to_vec(), Some(Arc::from(value))));
        }
        if changes.len() >= COPY_ROWS {
            new.apply(&std::mem::take(&mut changes))?;
        }
        Ok(true)
    })?;
    new.apply(&changes)
}

/// Where a node without an index stands: at the oldest batch that the journal still has.
fn from_journal(disk: &Disk) -> Result<(Recovered, HashMap<BucketName, BucketRow>), StorageError> {
    let saved = Replay::oldest(disk)?.unwrap_or_default();
    let told = buckets_in_journal(disk, &saved)?;
    let recovered = Recovered {
        position: Position { sequence: saved.sequence, next: (saved.segment, saved.offset), stamp: Stamp(saved.stamp) },
        generation: saved.generation,
        buckets: HashMap::new(),
        usage: HashMap::new(),
        bucket_id_next: told.id_next,
        replayed: 0,
    };
    Ok((recovered, told.rows))
}

/// Makes every folder that could be one a bucket: as `told`, or as its tag tells, or else a new one of `owner`.
fn add_folders(
    disk: &Disk,
    recovered: &mut Recovered,
    told: &HashMap<BucketName, BucketRow>,
    owner: &CanonicalId,
    now: Stamp,
) -> Result<(), StorageError> {
    let folder = |path| disk.list(Path::new(path)).map_err(|e| StorageError::io("list", path, e));
    let ids = folder(BUCKETS_FOLDER)?.into_iter().filter_map(|(name, _)| name.to_str()?.parse::<u64>().ok());
    let mut id_next = ids.map(|id| id + 1).max().unwrap_or(1).max(recovered.bucket_id_next);
    let mut untold = Vec::new();
    for (name, is_folder) in folder("")? {
        let Some(name) = name.to_str().and_then(|name| BucketName::parse(name).ok()) else { continue };
        if !is_folder || recovered.buckets.contains_key(&name) {
            continue;
        }
        let tag = || disk.open_folder_file(Path::new(name.as_str())).ok()?.tag();
        let row = told.get(&name).cloned().or_else(|| rows::decode::<BucketRow>(&tag()?).ok());
        match row.and_then(|row| row.into_bucket(name.clone()).ok()) {
            // Two folders with one id: a copy that somebody made with all its attributes.
            Some(bucket) if recovered.buckets.values().all(|other| other.id != bucket.id) => {
                id_next = id_next.max(bucket.id.0 + 1);
                recovered.buckets.insert(name, Arc::new(bucket));
            }
            _ => untold.push(name),
        }
    }
    for name in untold {
        let (id, owner) = (BucketId(id_next), owner.clone());
        id_next += 1;
        let bucket = Bucket { id, name: name.clone(), owner, created: now, versioning: Versioning::Off };
        recovered.buckets.insert(name, Arc::new(bucket));
    }
    recovered.bucket_id_next = id_next;
    Ok(())
}

/// What the journal tells of buckets.
#[derive(Default)]
struct Told {
    rows: HashMap<BucketName, BucketRow>,
    id_next: u64,
}

fn buckets_in_journal(disk: &Disk, saved: &CheckpointRow) -> Result<Told, StorageError> {
    let replay = Replay::open(disk, saved.generation)?;
    let mut told = Told::default();
    let (mut sequence, mut next) = (saved.sequence, (saved.segment, saved.offset));
    while let Some(batch) = replay.next(sequence, next)? {
        for (key, value) in batch.entries.iter().flat_map(|entry| &entry.changes) {
            if *key == keys::META_FORMAT
                && let Some(value) = value
            {
                told.id_next = rows::decode::<FormatRow>(value)?.bucket_id_next;
            } else if let (Ok(name), Some(value)) = (rows::bucket_name(key), value) {
                told.rows.insert(name, rows::decode(value)?);
            }
        }
        (sequence, next) = (batch.sequence, batch.next);
    }
    Ok(told)
}
