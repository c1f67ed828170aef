//! The start: what was journalled and not yet checkpointed is done again. Its cost is that of the uncheckpointed work, never
//! that of the objects.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::checkpoint::{self, Next};
use super::disk::{Disk, JOURNAL_FOLDER, LOST_FOLDER, is_absent, is_elsewhere};
use super::index::{Index, RowChange};
use super::journal::{ReadBatch, Replay};
use super::keys::RowKind;
use super::materialise::{Materialiser, Outcome};
use super::messages::{Bucket, QueueName, QuotaScope, Usage};
use super::overlay::{LiveRows, Rows};
use super::progress::Position;
use super::quota::Ledger;
use super::quota::meters::{Meter, Meters};
use super::replication::node_id;
use super::rows::{
    self, BucketRow, CheckpointRow, FORMAT_VERSION, FormatRow, Location, MeterRow, ObjectRow, PartRow, QueueTotalsRow,
    UsageRow,
};
use super::space::Space;
use super::steps::{Place, Source, Step, staged_path};
use super::{StorageError, keys};
use crate::bucket_config::PrefixQuota;
use crate::names::{BucketId, BucketName, NodeId, Stamp};

/// Where a recovered node goes on.
#[derive(Debug, Clone)]
pub(super) struct Recovered {
    pub position: Position,
    pub generation: u64,
    pub buckets: HashMap<BucketName, Arc<Bucket>>,
    pub usage: HashMap<BucketId, Usage>,
    pub meters: Meters,
    pub node_id: NodeId,
    pub queues: HashMap<QueueName, QueueTotalsRow>,
    pub bucket_id_next: u64,
    /// Batches that were replayed.
    pub replayed: u64,
}

/// What is to be done when the journal holds batches behind its end, or a piece of it is gone: the disk lost acknowledged writes.
#[derive(Debug)]
pub(super) enum Holes<'a> {
    /// Start nothing.
    Refuse,
    /// Go on at the end of the journal, and hand over what is known of the rest.
    Drop(&'a mut Lost),
}

/// What is known of what a journal has lost.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// Which file of it was cut or is gone, for people.
    pub cut: Option<String>,
    /// The batches behind its end.
    pub behind: Vec<ReadBatch>,
}

/// Replays the journal over `index` and files, checkpoints, and reads what the node keeps in memory.
pub(super) fn recover(
    disk: &Disk,
    rows: &LiveRows,
    space: &Space,
    holes: Holes<'_>,
) -> Result<Recovered, StorageError> {
    let format = read::<FormatRow>(rows, keys::META_FORMAT)?;
    if let Some(format) = format
        && format.version != FORMAT_VERSION
    {
        let message = format!("the data directory has format {}, this program knows {FORMAT_VERSION}", format.version);
        return Err(StorageError::Unavailable { reason: message });
    }
    let saved = read::<CheckpointRow>(rows, keys::META_CHECKPOINT)?.unwrap_or_default();
    let replay = Replay::open(disk, saved.generation)?;
    let missing = || replay.missing().filter(|_| saved.is_open == Some(true));
    let cut = replay.cut(&saved).or_else(missing);
    if let (Some(cut), Holes::Refuse) = (&cut, &holes) {
        let message = format!(
            "the journal was cut: {cut}, and what was acknowledged may be lost with the rest; restore the data directory from a \
             backup, or let `myfsio fsck --repair` go on with what is left"
        );
        return Err(StorageError::Unavailable { reason: message });
    }
    let mut position =
        Position { sequence: saved.sequence, next: (saved.segment, saved.offset), stamp: Stamp(saved.stamp) };
    if replay.is_new() {
        // The next one may have smaller segments.
        position.next = (0, 0);
    }
    let mut doomed = HashSet::new();
    for_each_batch(&replay, &mut position, &mut |batch| apply(&*rows.index, batch, &mut doomed))?;
    let highest = replay.highest_sequence()?;
    let end = position.sequence;
    match holes {
        _ if highest <= end && cut.is_none() => {}
        Holes::Refuse if !saved.relaxed => {
            let message = format!(
                "the journal ends at batch {end} but holds batch {highest}: the disk lost acknowledged writes between \
                 them; restore the data directory from a backup, or let `myfsio fsck --repair` go on without them"
            );
            return Err(StorageError::Unavailable { reason: message });
        }
        Holes::Refuse => {
            let why = "the journal has a hole, as DURABILITY=relaxed allows; what follows it is dropped";
            tracing::warn!(end, highest, "{why}");
        }
        Holes::Drop(lost) => {
            *lost = Lost { cut, behind: replay.behind(end)? };
            keep(disk, &lost.behind, saved.generation)?;
        }
    }
    let buckets = load_buckets(rows)?;
    tell_mounts(disk, &buckets);
    let bucket_id = |name: &str| BucketName::parse(name).ok().and_then(|name| buckets.get(&name)).map(|b| b.id);
    let files = Materialiser { disk, rows, bucket_id: &bucket_id, replay: Some(&doomed) };
    let moved = replay_files(&files, &replay, &saved, space)?;
    rows.index.apply(&relocated(rows, &moved)?)?;
    let generation = saved.generation + 1;
    let trash = checkpoint::trash(disk);
    let replayed = position.sequence - saved.sequence;
    if replayed > 0 {
        checkpoint::checkpoint(disk, &*rows.index, position, generation, Next::End)?;
    } else {
        checkpoint::seal(disk, &*rows.index, position, generation, Next::End, Vec::new())?;
    }
    trash.iter().for_each(|path| checkpoint::empty_trash(disk, path));
    let usage = load_usage(rows, &buckets)?;
    let meters = load_meters(rows, &buckets)?;
    let bucket_id_next = read::<FormatRow>(rows, keys::META_FORMAT)?.map_or(1, |f| f.bucket_id_next);
    let node_id = node_id(disk)?;
    let queues = load_queues(rows)?;
    Ok(Recovered { node_id, queues, position, generation, buckets, usage, meters, bucket_id_next, replayed })
}

/// Keeps the files of a journal with a hole, and the staged bodies of what lies behind it, before anything else is done.
fn keep(disk: &Disk, behind: &[ReadBatch], generation: u64) -> Result<(), StorageError> {
    let folder = Path::new(LOST_FOLDER).join(format!("journal-{generation}"));
    let keep = || {
        disk.make_folders(&folder)?;
        for (name, _) in disk.list(Path::new(JOURNAL_FOLDER))? {
            let from = disk.open_file(&Path::new(JOURNAL_FOLDER).join(&name))?;
            disk.create(&folder.join(&name))?.copy_from(&from, 0, 0, from.stamp()?.size)?;
        }
        for step in behind.iter().flat_map(|batch| &batch.entries).flat_map(|entry| &entry.steps) {
            if let Step::Write { source: Source::Staged { name }, .. } = step {
                match disk.rename(&staged_path(name), &folder.join(name)) {
                    Err(e) if is_absent(&e) => {}
                    other => other?,
                }
            }
        }
        disk.sync_everything()
    };
    keep().map_err(|e| StorageError::io("keep", &folder, e))
}

fn read<T: for<'b> minicbor::Decode<'b, ()>>(rows: &dyn Rows, key: &[u8]) -> Result<Option<T>, StorageError> {
    rows.get(key)?.map(|row| rows::decode(&row)).transpose()
}

fn for_each_batch(
    replay: &Replay,
    position: &mut Position,
    work: &mut dyn FnMut(&ReadBatch) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    while let Some(batch) = replay.next(position.sequence, position.next)? {
        work(&batch)?;
        position.stamp = position.stamp.max(batch.stamp);
        position.sequence = batch.sequence;
        position.next = batch.next;
    }
    Ok(())
}

fn apply(index: &dyn Index, batch: &ReadBatch, doomed: &mut HashSet<u64>) -> Result<(), StorageError> {
    let changes: Vec<_> = batch.entries.iter().flat_map(|e| e.changes.iter().cloned()).collect();
    index.apply(&changes)?;
    for step in batch.entries.iter().flat_map(|e| &e.steps) {
        if let Step::TrashBucket { id, .. } = step {
            doomed.insert(*id);
        }
    }
    Ok(())
}

fn replay_files(
    files: &Materialiser<'_>,
    replay: &Replay,
    saved: &CheckpointRow,
    space: &Space,
) -> Result<Vec<Place>, StorageError> {
    let (mut moved, mut left) = (Vec::new(), Vec::new());
    let mut position =
        Position { sequence: saved.sequence, next: (saved.segment, saved.offset), stamp: Stamp(saved.stamp) };
    for_each_batch(replay, &mut position, &mut |batch| {
        for entry in &batch.entries {
            let body = || Ok(entry.body.as_deref().unwrap_or_default().to_vec());
            for step in &entry.steps {
                if let Outcome::Moved(place) = space.sparing(|| files.carry_out(step, &entry.changes, &body))? {
                    moved.push(place);
                }
                match step {
                    Step::Archive { place, .. } => left.push(place.clone()),
                    Step::Remove { place } if files.has_versions(place)? => left.push(place.clone()),
                    _ => {}
                }
            }
        }
        Ok(())
    })?;
    for place in &left {
        files.clear(place)?;
    }
    if let Err(error) = files.remove_left(0) {
        tracing::warn!(%error, "what could not be removed is not tried again for now");
    }
    Ok(moved)
}

/// The rows of objects whose files had to go to overflow.
fn relocated(rows: &dyn Rows, moved: &[Place]) -> Result<Vec<RowChange>, StorageError> {
    let mut changes = Vec::new();
    for place in moved {
        let key = keys::object(BucketId(place.bucket_id), place.key.as_bytes());
        if let Some(mut row) = read::<ObjectRow>(rows, &key)?
            && row.stamp == place.stamp
        {
            row.location = Location::Overflow;
            changes.push((key, Some(Arc::from(rows::encode(&row)?))));
        }
    }
    Ok(changes)
}

fn load_buckets(rows: &dyn Rows) -> Result<HashMap<BucketName, Arc<Bucket>>, StorageError> {
    let (start, end) = keys::buckets();
    let mut buckets = HashMap::new();
    rows.scan(&start, &end, &mut |key, row| {
        let name = rows::bucket_name(key)?;
        let bucket = rows::decode::<BucketRow>(row)?.into_bucket(name.clone())?;
        buckets.insert(name, bucket);
        Ok(true)
    })?;
    for bucket in buckets.values_mut() {
        if let Some(row) = rows.get(&keys::config(bucket.id))? {
            bucket.config = Arc::new(rows::decode_config(&row)?);
        }
    }
    let buckets = buckets.into_iter().map(|(name, bucket)| (name, Arc::new(bucket))).collect();
    Ok(buckets)
}

/// Tells of buckets whose folder is another file system: what is in it is not served.
fn tell_mounts(disk: &Disk, buckets: &HashMap<BucketName, Arc<Bucket>>) {
    for name in buckets.keys() {
        if let Err(error) = disk.open_folder_file(Path::new(name.as_str()))
            && is_elsewhere(&error)
        {
            let why = "another file system is mounted at a bucket's folder: its files cannot be made durable with the rest, and are not \
                       served; move them into a folder of the data directory's own";
            tracing::error!(bucket = name.as_str(), "{why}");
        }
    }
}

fn load_usage(
    rows: &dyn Rows,
    buckets: &HashMap<BucketName, Arc<Bucket>>,
) -> Result<HashMap<BucketId, Usage>, StorageError> {
    let mut usage = HashMap::new();
    for bucket in buckets.values() {
        let row = read::<UsageRow>(rows, &keys::usage(bucket.id))?;
        let is_whole = row.as_ref().is_some_and(UsageRow::is_whole);
        let told = row.map(Usage::from).unwrap_or_default();
        usage.insert(bucket.id, if is_whole { told } else { count_the_rest(rows, bucket.id, told)? });
    }
    Ok(usage)
}

/// With what older counters do not tell: delete markers, bytes of what is not current, and bytes of parts. Once: the next commit
/// writes them.
fn count_the_rest(rows: &dyn Rows, bucket: BucketId, told: Usage) -> Result<Usage, StorageError> {
    let mut usage = Usage { markers: 0, old_bytes: 0, part_bytes: 0, ..told };
    for (start, end) in [keys::versions(bucket), keys::conflicts(bucket)] {
        rows.scan(&start, &end, &mut |_, row| {
            // An empty row is a mark of a version, and no copy.
            if !row.is_empty() {
                let row = rows::decode::<ObjectRow>(row)?;
                usage.markers += u64::from(row.is_marker());
                usage.old_bytes = usage.old_bytes.saturating_add(row.size);
            }
            Ok(true)
        })?;
    }
    let (start, end) = keys::parts_of_bucket(bucket);
    rows.scan(&start, &end, &mut |_, row| {
        usage.part_bytes = usage.part_bytes.saturating_add(rows::decode::<PartRow>(row)?.size);
        Ok(true)
    })?;
    Ok(usage)
}

/// The meters that there are, and those that a bucket's quotas ask for and are not begun.
fn load_meters(rows: &dyn Rows, buckets: &HashMap<BucketName, Arc<Bucket>>) -> Result<Meters, StorageError> {
    let mut meters = Meters::default();
    let quotas = buckets.values().filter_map(|bucket| Some((bucket.id, bucket.config.quota.as_ref()?)));
    for (bucket, quota) in quotas {
        for PrefixQuota { prefix, .. } in &quota.prefixes {
            meters.set(QuotaScope::Prefix(bucket, prefix.as_str().into()), Some(Meter::begun()));
        }
    }
    let (start, end) = keys::all_meters();
    rows.scan(&start, &end, &mut |key, row| {
        let scope = match keys::kind(key) {
            Some(RowKind::PrefixMeter(bucket, prefix)) => {
                let prefix = String::from_utf8(prefix).ok();
                let scope = prefix.map(|prefix| QuotaScope::Prefix(bucket, prefix.into()));
                scope.filter(|scope| meters.get(scope).is_some())
            }
            Some(RowKind::OwnerMeter(owner)) => Some(QuotaScope::Owner(owner)),
            _ => None,
        };
        if let Some(scope) = scope {
            meters.set(scope, Some(rows::decode::<MeterRow>(row)?.into()));
        }
        Ok(true)
    })?;
    Ok(meters)
}

/// Sums over the replication queues that there are.
fn load_queues(rows: &dyn Rows) -> Result<HashMap<QueueName, QueueTotalsRow>, StorageError> {
    let (start, end) = keys::all_queue_totals();
    let mut queues = HashMap::new();
    rows.scan(&start, &end, &mut |key, row| {
        if let Some(RowKind::QueueTotals(queue)) = keys::kind(key) {
            queues.insert(queue, rows::decode(row)?);
        }
        Ok(true)
    })?;
    Ok(queues)
}

impl Recovered {
    /// The accounts of buckets and prefixes; users get theirs from who knows users.
    pub fn ledger(&self) -> Arc<Ledger> {
        let ledger = Ledger::default();
        for bucket in self.buckets.values() {
            let Some(quota) = &bucket.config.quota else { continue };
            if !quota.limits.is_unlimited() {
                let used = self.usage.get(&bucket.id).copied().unwrap_or_default().quantity();
                ledger.set_limits(&QuotaScope::Bucket(bucket.id), Some(quota.limits), used, true);
            }
            for PrefixQuota { prefix, limits } in &quota.prefixes {
                let scope = QuotaScope::Prefix(bucket.id, prefix.as_str().into());
                let used = self.meters.get(&scope).map(|meter| meter.counted).unwrap_or_default();
                ledger.set_limits(&scope, Some(*limits), used, true);
            }
        }
        Arc::new(ledger)
    }
}

/// Staged files that parts of uploads in progress name.
pub(super) fn named_staged_files(rows: &dyn Rows) -> Result<HashSet<String>, StorageError> {
    let (start, end) = keys::all_parts();
    let mut names = HashSet::new();
    rows.scan(&start, &end, &mut |_, row| {
        let row = rows::decode::<PartRow>(row)?;
        names.extend(std::iter::once(row.file).chain(row.left_grid));
        Ok(true)
    })?;
    Ok(names)
}
