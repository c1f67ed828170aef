//! `reindex`: a new index of the files alone.
//!
//! It is made beside the old one: buckets first, then every file is made an object, and the new index takes the old one's place.
//! Where the old index can still be read, it is believed about what no file tells (owners, uploads in progress, lists of parts),
//! and about objects as far as it agrees with their files. Else files are what their tags tell, or else their bytes, and the
//! journal is searched for what is not in files yet (`salvage`).

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::check::Check;
use super::salvage::Salvage;
use super::{
    CheckObserver, CheckOptions, CheckProgress, Checked, Difference, Finding, Mend, files, fsck, guarded, open_disk,
};
use crate::clock::SharedClock;
use crate::names::{BucketId, BucketName, CanonicalId, ObjectKey, Stamp};
use crate::storage::StorageError;
use crate::storage::disk::{BUCKETS_FOLDER, Disk};
use crate::storage::edits::open_plain;
use crate::storage::engine::StorageSettings;
use crate::storage::format;
use crate::storage::index::{Index, RowChange};
use crate::storage::keys::{self, RowKind};
use crate::storage::messages::{Bucket, Versioning};
use crate::storage::opened::{Opened, index_path, new_index_path, open_index};
use crate::storage::overlay::{LiveRows, Overlay};
use crate::storage::plan::place_of;
use crate::storage::quota::meters::Meters;
use crate::storage::recovery::{Holes, Recovered};
use crate::storage::replication::node_id;
use crate::storage::rows::{self, BucketRow, FORMAT_VERSION, FormatRow, Location, ObjectRow, UploadRow};
use crate::storage::space::Space;
use crate::storage::staging::Staging;
use crate::storage::steps::config_path;

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
    let old = match guarded(|| Opened::new(open_disk(settings)?, settings, Holes::Refuse)) {
        Ok(old) => Some(old),
        Err(error) if is_unreadable(&error) => {
            tracing::warn!(%error, "the index cannot be read: what only it knows is lost");
            None
        }
        Err(error) => return Err(error),
    };
    let mut quiet = Quiet { observer, told: Checked::default() };
    let has_old = old.is_some();
    match guarded(|| build(settings, &clock, owner, old, &mut quiet)) {
        // It could be opened, and some page of it is none.
        Err(error) if has_old && is_unreadable(&error) => {
            tracing::warn!(%error, "the index cannot be read: what only it knows is lost");
            quiet.told = Checked::default();
            build(settings, &clock, owner, None, &mut quiet)?;
        }
        other => other?,
    }
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
    let salvage = if old.is_none() { Some(Salvage::read(&disk)?) } else { None };
    let (mut recovered, told) = match (&old, &salvage) {
        (Some(old), _) => (old.recovered.clone(), HashMap::new()),
        (None, Some(salvage)) => (from_journal(&disk, salvage)?, salvage.buckets()?),
        (None, None) => return Ok(()),
    };
    add_folders(&disk, &mut recovered, &told, owner, clock.now())?;
    if let Some(salvage) = &salvage {
        add_configs(&disk, &mut recovered, salvage)?;
    }
    enter_buckets(&*index, &recovered)?;
    if let Some(old) = &old {
        carry_over(&*old.rows.index, &*index)?;
    }
    let staging = Staging::new(Arc::clone(&disk), recovered.generation);
    let rows = LiveRows { overlay: Arc::new(Overlay::default()), index };
    let opened = Opened { disk: Arc::clone(&disk), space, rows, staging, recovered };
    let options = CheckOptions { mend: Mend::FromFiles, data: false, bucket: None };
    let mut check = Check::new(&opened, Arc::clone(clock), &options, observer)?;
    check.rebuilds = true;
    if let Some(old) = &old {
        check.hints = Some(&old.rows);
        carry_objects(&*old.rows.index, &mut check)?;
    }
    files::walk(&mut check)?;
    if let Some(salvage) = &salvage {
        salvage.apply(&mut check)?;
        // Most of what waited to be sent went with the index.
        let kept: Vec<_> = check.buckets.values().filter(|bucket| bucket.config.keeps_changes).map(|b| b.id).collect();
        for bucket in kept {
            check.send_all_later(bucket)?;
        }
    }
    let versioned = check.buckets.values().filter(|bucket| bucket.versioning != Versioning::Off).cloned();
    for bucket in versioned.collect::<Vec<_>>() {
        check.hide_deleted(&bucket)?;
    }
    count_uploads(&mut check)?;
    check.finish()?;
    drop((opened, old));
    format::claim(&disk)?;
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
        let own = [Difference::UnknownFile, Difference::WrongCounters, Difference::OrphanRow, Difference::WrongTag];
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
        changes.push((keys::config(bucket.id), rows::encode_config(&bucket.config)?.map(Arc::from)));
    }
    let format = FormatRow { version: FORMAT_VERSION, bucket_id_next: recovered.bucket_id_next };
    changes.push((keys::META_FORMAT.to_vec(), Some(rows::encode(&format)?.into())));
    index.apply(&changes)
}

/// Copies what no file tells.
fn carry_over(old: &dyn Index, new: &dyn Index) -> Result<(), StorageError> {
    let mut changes: Vec<RowChange> = Vec::new();
    old.snapshot()?.scan(&[], &[], &mut |key, value| {
        if let Some(
            RowKind::Upload(..)
            | RowKind::Part(..)
            | RowKind::PartList(..)
            | RowKind::LifecycleRuns(_)
            | RowKind::Event(..)
            | RowKind::Queued(..)
            | RowKind::QueuedSince(..)
            | RowKind::QueueTotals(_)
            | RowKind::Tombstone(..)
            | RowKind::TombstoneSince(..)
            | RowKind::TombstoneCount(_),
        ) = keys::kind(key)
        {
            changes.push((key.to_vec(), Some(Arc::from(value))));
        }
        if changes.len() >= COPY_ROWS {
            new.apply(&std::mem::take(&mut changes))?;
        }
        Ok(true)
    })?;
    new.apply(&changes)
}

/// Counts the uploads in the new index by their keys.
fn count_uploads(check: &mut Check<'_>) -> Result<(), StorageError> {
    check.flush()?;
    let rows = check.opened.rows.index.snapshot()?;
    for bucket in check.buckets.keys() {
        let (start, end) = keys::uploads(*bucket);
        rows.scan(&start, &end, &mut |_, row| {
            if let Ok(row) = rows::decode::<UploadRow>(row) {
                check.keys.upload(row.encryption.as_ref());
            }
            Ok(true)
        })?;
    }
    Ok(())
}

/// Where a node without an index stands: at the end of the journal.
fn from_journal(disk: &Disk, salvage: &Salvage) -> Result<Recovered, StorageError> {
    Ok(Recovered {
        position: salvage.end,
        generation: salvage.generation(),
        buckets: HashMap::new(),
        usage: HashMap::new(),
        meters: Meters::default(),
        node_id: node_id(disk)?,
        queues: HashMap::new(),
        bucket_id_next: salvage.bucket_id_next()?,
        replayed: 0,
    })
}

/// Enters the objects that no plain file tells of: folders, and what lies in overflow.
fn carry_objects(old: &dyn Index, check: &mut Check<'_>) -> Result<(), StorageError> {
    old.snapshot()?.scan(&[], &[], &mut |key, value| {
        let (id, key, is_version) = match keys::kind(key) {
            // Only a mark: the version tells of it, too.
            Some(RowKind::Conflict(..)) if value.is_empty() => {
                check.change(key.to_vec(), Some(Vec::new()))?;
                return Ok(true);
            }
            Some(RowKind::Object(id, key)) => (id, key, false),
            Some(RowKind::Version(id, key, _) | RowKind::Conflict(id, key, ..)) => (id, key, true),
            _ => return Ok(true),
        };
        let (Some(bucket), Ok(key)) = (check.buckets.get(&id).map(Arc::clone), ObjectKey::parse(&key)) else {
            return Ok(true);
        };
        let Ok(row) = rows::decode::<ObjectRow>(value) else { return Ok(true) };
        check.stamps.insert((id, Stamp(row.stamp)));
        let path = place_of(&bucket, &key, &row).path();
        let enter = if is_version { Check::enter_version } else { Check::enter };
        match row.location {
            Location::Plain => {}
            Location::Folder | Location::Marker => enter(check, id, &key, &row)?,
            Location::Overflow if check.look(&path)? == Some(check.stamp_of(&row)) => {
                enter(check, id, &key, &row)?;
                check.overflow.insert(path);
            }
            Location::Overflow => {
                let detail = format!("{} bytes are lost", row.size);
                check.tell(Difference::MissingFile, format!("{}/{key}", bucket.name), detail, false);
            }
        }
        Ok(true)
    })?;
    check.flush()
}

/// Reads what is configured of each bucket: the journal's last word, or else the copy beside its files.
fn add_configs(disk: &Disk, recovered: &mut Recovered, salvage: &Salvage) -> Result<(), StorageError> {
    for bucket in recovered.buckets.values_mut() {
        let row = match salvage.config(bucket.id) {
            Some(told) => told.map(<[u8]>::to_vec),
            None => read_whole(disk, &config_path(bucket.id))?,
        };
        if let Some(row) = row {
            let config = Arc::new(rows::decode_config(&row)?);
            *bucket = Arc::new(Bucket { config, ..Bucket::clone(bucket) });
        }
    }
    Ok(())
}

fn read_whole(disk: &Disk, path: &Path) -> Result<Option<Vec<u8>>, StorageError> {
    let Some(file) = open_plain(disk, path)? else { return Ok(None) };
    let read = || {
        let mut bytes = vec![0; usize::try_from(file.stamp()?.size).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut bytes, 0).map(|()| bytes)
    };
    read().map(Some).map_err(|e| StorageError::io("read", path, e))
}

/// Makes every folder that could be one a bucket: as `told`, or as its tag tells, or else a new one of `owner`.
fn add_folders(
    disk: &Disk,
    recovered: &mut Recovered,
    told: &HashMap<BucketName, Option<BucketRow>>,
    owner: &CanonicalId,
    now: Stamp,
) -> Result<(), StorageError> {
    let folder = |path| disk.list(Path::new(path)).map_err(|e| StorageError::io("list", path, e));
    let ids = folder(BUCKETS_FOLDER)?.into_iter().filter_map(|(name, _)| name.to_str()?.parse::<u64>().ok());
    let mut id_next = ids.map(|id| id + 1).max().unwrap_or(1).max(recovered.bucket_id_next);
    let mut untold = Vec::new();
    for (name, is_folder) in folder("")? {
        let Some(name) = name.to_str().and_then(|name| BucketName::parse(name).ok()) else { continue };
        // The folder of a bucket that was deleted is told by the check that follows.
        if !is_folder || recovered.buckets.contains_key(&name) || told.get(&name).is_some_and(Option::is_none) {
            continue;
        }
        let tag = || disk.open_folder_file(Path::new(name.as_str())).ok()?.tag();
        let row = told.get(&name).cloned().flatten().or_else(|| rows::decode::<BucketRow>(&tag()?).ok());
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
        let config = Arc::default();
        let bucket = Bucket { id, name: name.clone(), owner, created: now, versioning: Versioning::Off, config };
        recovered.buckets.insert(name, Arc::new(bucket));
    }
    recovered.bucket_id_next = id_next;
    Ok(())
}
