//! What the client answers of replication.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{conflicts, walk};
use crate::bucket_config::RuleSet;
use crate::names::{BucketId, NodeId, ObjectKey, Stamp, VersionId};
use crate::storage::StorageError;
use crate::storage::client::StorageClient;
use crate::storage::keys::{self, RowKind};
use crate::storage::messages::{
    Bucket, Conflict, ConflictChoice, EnqueueChanges, Object, QueueName, QueueTotals, QueuedChange, ReplicationStatus,
    ReplicationTray, ResolveConflict, SettleChanges, Slot, SlotPage, SlotState, WalkPosition,
};
use crate::storage::overlay::{LiveRows, Rows as _};
use crate::storage::plan::{DropLeftovers, DropQueue, EndConflict, EndConflicts, ForgetTombstones, PassOn};
use crate::storage::rows::{self, QueueRow};
use crate::storage::staging::StagedFile;

impl StorageClient {
    /// This node, as others that replicate with it know it.
    pub fn node_id(&self) -> NodeId {
        self.shared.replication.own
    }

    /// Has these rules hold for every change that is planned from now on.
    pub fn replication_rules(&self, rules: Arc<RuleSet>) {
        self.shared.replication.set_rules(rules);
    }

    /// Waits for queues with new entries; there may turn out to be none. For one reader.
    pub async fn filled_replication(&self) -> BTreeSet<QueueName> {
        self.shared.replication.filled().await
    }

    /// All queues that there are, also of buckets that are gone and of targets that no rule has any more.
    pub fn replication_queues(&self) -> Vec<QueueName> {
        let mut queues: Vec<_> = self.shared.replication.totals.iter().map(|entry| entry.key().clone()).collect();
        queues.sort();
        queues
    }

    /// Entries of a queue, oldest first, at most `limit`, behind `after`.
    pub async fn queued_changes(
        &self,
        queue: QueueName,
        tray: ReplicationTray,
        after: Option<(Stamp, Slot)>,
        limit: usize,
    ) -> Result<Vec<QueuedChange>, StorageError> {
        let shared = Arc::clone(&self.shared);
        self.shared.tools.pool.run(move || queued_changes(&shared.rows, &queue, tray, after.as_ref(), limit)).await
    }

    /// The entry of one slot, if it is queued.
    pub fn queued_change(&self, queue: &QueueName, slot: &Slot) -> Result<Option<QueuedChange>, StorageError> {
        let row = self.shared.rows.get(&keys::queued(queue, slot.key.as_bytes(), slot.version))?;
        let row = row.map(|row| rows::decode::<QueueRow>(&row)).transpose()?;
        Ok(row.map(|row| row.into_change(slot.key.clone(), slot.version)))
    }

    /// Sums over a queue; all 0 when there is none.
    pub fn replication_totals(&self, queue: &QueueName) -> Result<QueueTotals, StorageError> {
        let Some(totals) = self.shared.replication.totals.get(queue).map(|totals| *totals) else {
            return Ok(QueueTotals::default());
        };
        let (start, end) = keys::queued_by_time(queue, ReplicationTray::Pending);
        let first = self.shared.rows.first(&start, &end)?;
        let oldest = match first.as_deref().and_then(keys::kind) {
            Some(RowKind::QueuedSince(_, _, since, ..)) => Some(since),
            _ => None,
        };
        Ok(totals.totals(oldest))
    }

    /// See [`SettleChanges`].
    pub async fn settle_changes(&self, message: SettleChanges) -> Result<usize, StorageError> {
        self.commit(message).await
    }

    /// See [`EnqueueChanges`].
    pub async fn enqueue_changes(&self, message: EnqueueChanges) -> Result<usize, StorageError> {
        self.commit(message).await
    }

    /// Drops a queue, a few entries at a time; answers whether all are gone. What changes meanwhile goes with it, and is found by the walk
    /// that follows.
    pub async fn drop_replication(&self, queue: QueueName) -> Result<bool, StorageError> {
        self.commit(DropQueue { queue, is_former: false }).await
    }

    /// The same of a queue whose rule is no more. One that has a rule again stays, and is told to be incomplete if some of it is gone.
    pub async fn drop_former_replication(&self, queue: QueueName) -> Result<bool, StorageError> {
        self.commit(DropQueue { queue, is_former: true }).await
    }

    /// How an object stands with replication; none where nothing is replicated, or not this object.
    pub fn replication_status(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        object: &Object,
    ) -> Result<Option<ReplicationStatus>, StorageError> {
        if object.lineage.as_ref().is_some_and(|lineage| lineage.change.origin != self.node_id()) {
            return Ok(Some(ReplicationStatus::Replica));
        }
        let rules = self.shared.replication.rules();
        let Some(to) = rules.of(&bucket.name) else { return Ok(None) };
        let queue = QueueName { bucket: bucket.id, target: to.target.clone() };
        match self.queued_change(&queue, &Slot::of(key, object.version_id))? {
            Some(change) if change.parked.is_some() => return Ok(Some(ReplicationStatus::Failed)),
            Some(_) => return Ok(Some(ReplicationStatus::Pending)),
            None => {}
        }
        if !to.covers(key.as_str(), &object.attributes.tags, object.last_change()) {
            return Ok(None);
        }
        if object.is_dismissed() {
            return Ok(Some(ReplicationStatus::Failed));
        }
        Ok(Some(match self.replication_totals(&queue)?.overflowed {
            true => ReplicationStatus::Pending,
            false => ReplicationStatus::Completed,
        }))
    }

    /// What a slot holds now.
    pub fn slot_state(&self, bucket: &Bucket, slot: &Slot) -> Result<SlotState, StorageError> {
        walk::slot_state(&self.shared.rows, self.node_id(), bucket, slot)
    }

    /// What lost against a change that had not seen it, and nobody has looked at yet: at most `limit`, behind `after`.
    pub async fn conflicts(
        &self,
        bucket: Arc<Bucket>,
        after: Option<(ObjectKey, VersionId)>,
        limit: usize,
    ) -> Result<Vec<Conflict>, StorageError> {
        let shared = Arc::clone(&self.shared);
        self.shared.tools.pool.run(move || conflicts::page(&shared.rows, &bucket, after.as_ref(), limit)).await
    }

    /// Ends a conflict. If the copy is chosen it becomes the current object, as if it were written now; what is there then goes, or
    /// stays as a version. Errs: NoSuchVersion when it is no conflict any more.
    pub async fn resolve_conflict(&self, message: ResolveConflict) -> Result<(), StorageError> {
        let ResolveConflict { bucket, key, version_id, keep } = message;
        let chosen = match keep {
            ConflictChoice::Current => None,
            ConflictChoice::Copy => Some(self.copy_of_conflict(&bucket, &key, version_id).await?),
        };
        self.commit(EndConflict { bucket, key, version_id, chosen }).await.map(drop)
    }

    /// A copy of the bytes of a conflict as they are on disk: so no key is asked for.
    async fn copy_of_conflict(
        &self,
        bucket: &Arc<Bucket>,
        key: &ObjectKey,
        version_id: VersionId,
    ) -> Result<(Object, StagedFile), StorageError> {
        let open = self.open_object(bucket, key, Some(version_id)).await?;
        self.check_room(open.object.stored_size())?;
        let object = Object::clone(&open.object);
        let shared = Arc::clone(&self.shared);
        let copy = move || {
            let staged = shared.tools.staging.take()?;
            let file = staged.file().ok_or(StorageError::TimedOut)?;
            let copied = open.copy_stored(&file).and_then(|()| shared.disk.sync_data(&file));
            copied.map_err(|e| StorageError::io("copy", staged.name(), e))?;
            Ok(staged)
        };
        let staged = self.shared.long_pool.run(copy).await?;
        Ok((object, staged))
    }

    /// Passes on what was found while no node ran to the queues of whoever its buckets are replicated to, by the rules in force; what
    /// nobody replicates is forgotten.
    async fn pass_on_changes(&self) -> Result<(), StorageError> {
        let waiting: BTreeSet<_> = self.replication_queues().into_iter().filter(QueueName::is_of_anybody).collect();
        for bucket in self.buckets() {
            if waiting.contains(&QueueName::of_anybody(bucket.id)) {
                while !self.commit(PassOn(Arc::clone(&bucket))).await? {}
            }
        }
        Ok(())
    }

    /// Passes on what was found while no node ran, and lets go of what is old: tombstones and conflicts whose time is over, and what is
    /// left of buckets that are gone. To be called now and then; each commit of it is small.
    pub async fn sweep_replication(&self, now: Stamp) -> Result<(), StorageError> {
        self.pass_on_changes().await?;
        let limits = self.shared.replication.rules().limits;
        let before = |days: u32| Stamp(now.0.saturating_sub(u64::from(days).saturating_mul(86_400_000_000_000)));
        for bucket in self.buckets().into_iter().filter(|bucket| bucket.config.keeps_changes) {
            let (of, until) = (Arc::clone(&bucket), before(limits.tombstone_days));
            while self.commit(ForgetTombstones { bucket: Arc::clone(&of), before: until }).await? {}
            let mut after = None;
            loop {
                let (bucket, before) = (Arc::clone(&bucket), before(limits.conflict_days));
                after = self.commit(EndConflicts { bucket, after, before }).await?;
                if after.is_none() {
                    break;
                }
            }
        }
        let gone = self
            .buckets_of_tombstones()?
            .into_iter()
            .chain(self.replication_queues().into_iter().map(|queue| queue.bucket));
        let live: BTreeSet<_> = self.buckets().iter().map(|bucket| bucket.id).collect();
        for bucket in gone.filter(|bucket| !live.contains(bucket)).collect::<BTreeSet<_>>() {
            self.drop_leftovers(bucket).await?;
        }
        Ok(())
    }

    /// Buckets that have tombstones, whether they are there or not.
    fn buckets_of_tombstones(&self) -> Result<Vec<BucketId>, StorageError> {
        let (mut start, end) = keys::all_tombstones();
        let mut found = Vec::new();
        while let Some(row_key) = self.shared.rows.first(&start, &end)? {
            match keys::kind(&row_key) {
                Some(RowKind::Tombstone(bucket, ..)) => {
                    found.push(bucket);
                    start = keys::tombstones(bucket).1;
                }
                // Unreadable, which `fsck` tells.
                _ => start = [row_key, vec![0]].concat(),
            }
        }
        Ok(found)
    }

    /// Removes what replication has kept of a bucket that is gone.
    pub(in crate::storage) async fn drop_leftovers(&self, bucket: BucketId) -> Result<(), StorageError> {
        while !self.commit(DropLeftovers(bucket)).await? {}
        Ok(())
    }

    /// Lets go of all conflict copies of a bucket that is about to go: together they may be too many for one commit.
    pub(in crate::storage) async fn end_conflicts(&self, bucket: &Arc<Bucket>) -> Result<(), StorageError> {
        let mut after = None;
        loop {
            let message = EndConflicts { bucket: Arc::clone(bucket), after, before: Stamp(u64::MAX) };
            after = self.commit(message).await?;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// A page of the slots of a bucket behind `after`: objects, versions, delete markers, and what was deleted.
    pub async fn walk_slots(
        &self,
        bucket: Arc<Bucket>,
        after: Option<WalkPosition>,
        limit: usize,
    ) -> Result<SlotPage, StorageError> {
        let shared = Arc::clone(&self.shared);
        let walk = move || walk::walk(&shared.rows, bucket.id, after.as_ref(), limit);
        self.shared.long_pool.run(walk).await
    }
}

fn queued_changes(
    live: &LiveRows,
    queue: &QueueName,
    tray: ReplicationTray,
    after: Option<&(Stamp, Slot)>,
    limit: usize,
) -> Result<Vec<QueuedChange>, StorageError> {
    let (start, end) = keys::queued_by_time(queue, tray);
    let start = match after {
        Some((since, slot)) => {
            let mut row_key = keys::queued_since(queue, tray, *since, slot.key.as_bytes(), slot.version);
            row_key.push(0);
            row_key
        }
        None => start,
    };
    let mut found = Vec::new();
    live.scan(&start, &end, &mut |row_key, _| {
        let Some(RowKind::QueuedSince(_, _, since, key, version)) = keys::kind(row_key) else { return Ok(true) };
        let Some(row) = live.get(&keys::queued(queue, &key, version))? else { return Ok(true) };
        let row = rows::decode::<QueueRow>(&row)?;
        // One that has moved since the view was taken has another place.
        if row.since == since.0 && row.parked.is_some() == (tray == ReplicationTray::Parked) {
            let key = ObjectKey::parse(&key).map_err(|error| StorageError::Index(format!("malformed key: {error}")))?;
            found.push(row.into_change(key, version));
        }
        Ok(found.len() < limit)
    })?;
    Ok(found)
}
