//! Writes of other nodes. Which of two changes wins is decided by [`Lineage::judge`]; here it is done to rows and files.
//!
//! Of each key there is one null version with its deletes, of which one state is there, and a set of versions that only grows, but for
//! deletes for good, which win. A version is put at its place in the order of clocks, so that all nodes list the same in the same order.
//! Where a bucket never had versions, those of others are states of its null version.

use std::sync::Arc;

use super::copies::Leaves;
use super::events::Change;
use super::lineage::{Keyed, NullState, lineage_row};
use super::object::{ObjectWrite, choose_location, drop_previous, lock, place_of, plan_file};
use super::versions::{self, Tally};
use super::{Growth, Planner};
use crate::names::{CanonicalId, Change as Clocked, NodeId, ObjectKey, Seen, Stamp, VersionId};
use crate::storage::body::BodyPlace;
use crate::storage::messages::{
    Applied, Bucket, DeleteObject, Deleted, Lineage, Object, Replica, Slot, Stored, Versioning,
};
use crate::storage::quota::Reserved;
use crate::storage::replication::{Verdict, slot_row};
use crate::storage::rows::{self, LineageRow, Location, ObjectRow, TombstoneRow};
use crate::storage::steps::Step;
use crate::storage::{StorageError, keys};

/// What other states of the key are there when one is put among them.
struct Around {
    /// The newest of them.
    newest: Option<Keyed>,
    /// Whether the one that comes is newer.
    is_newest: bool,
}

impl Around {
    fn of(newest: Option<Keyed>, clock: u64) -> Self {
        let is_newest = newest.as_ref().is_none_or(|(_, row)| row.clock().0 < clock);
        Self { newest, is_newest }
    }

    /// The current object, if it stays one of the key's versions.
    fn current(&self, bucket: &Bucket, key: &ObjectKey) -> Option<&ObjectRow> {
        let row_key = keys::object(bucket.id, key.as_bytes());
        self.newest.as_ref().filter(|(newest, _)| *newest == row_key).map(|(_, row)| row)
    }
}

fn stored(bucket: &Bucket, object: Object, applied: Applied) -> Stored {
    Stored { object: Arc::new(object), versioned: bucket.versioning != Versioning::Off, applied }
}

/// Nodes that know what is sent: who sends it, and who made all of it.
fn known_to(replica: &Replica) -> [Option<NodeId>; 2] {
    let origin = replica.change.origin;
    let beside = [replica.tags_change, replica.lock_change];
    let is_all_its_own = beside.iter().flatten().all(|change| change.origin == origin);
    [Some(origin).filter(|_| is_all_its_own), Some(replica.sender)]
}

/// Plans the write of another node.
pub(super) fn write(
    mut write: ObjectWrite<'_>,
    replica: &Replica,
    planner: &mut Planner<'_>,
) -> Result<Stored, StorageError> {
    let (bucket, key) = (write.bucket, write.key);
    planner.keep_changes(bucket)?;
    let mut lineage = Lineage::of_replica(replica);
    match (replica.version, bucket.versioning) {
        (VersionId::Unique { stamp, .. }, Versioning::Enabled | Versioning::Suspended) => {
            lineage.change.clock = stamp.0;
            write.object.version_id = replica.version;
            write_version(write, lineage, replica, planner)
        }
        _ => {
            write.object.version_id = VersionId::Null;
            write_null(write, lineage, replica, planner)
        }
    }
    .inspect(
        |stored| tracing::debug!(%bucket.name, %key, change = %replica.change, applied = ?stored.applied, "replica"),
    )
}

/// A version of its own.
fn write_version(
    write: ObjectWrite<'_>,
    mut lineage: Lineage,
    replica: &Replica,
    planner: &mut Planner<'_>,
) -> Result<Stored, StorageError> {
    let (bucket, key) = (write.bucket, write.key);
    let clock = lineage.change.clock;
    let mut object = write.object;
    if planner.rows.get(&keys::tombstone(bucket.id, key.as_bytes(), Some(clock)))?.is_some() {
        return Ok(stored(bucket, object, Applied::Known));
    }
    let mut tally = Tally::default();
    let slot = Slot { key: key.clone(), version: Some(clock) };
    if let Some(there) = slot_row(planner.rows, bucket, &slot)? {
        let is_it = there.1.version_id() == object.version_id;
        if is_it && there.1.is_marker() {
            return Ok(stored(bucket, object, Applied::Known));
        }
        if is_it {
            let object = merge_beside(planner, bucket, key, there, (&object, &lineage), replica)?;
            return Ok(stored(bucket, object, Applied::Known));
        }
        // Two nodes wrote at the same nanosecond: on both, the one of the greater id has the place.
        let random = |id| if let VersionId::Unique { random, .. } = id { random } else { 0 };
        if random(there.1.version_id()) > random(object.version_id) || there.1.is_marker() {
            object.stamp = planner.stamp(None);
            object.lineage = Some(Box::new(lineage));
            let object = planner.keep_copy(bucket, key, object, (write.bytes, write.reserved), tally)?;
            return Ok(stored(bucket, object, Applied::Lost));
        }
        let current = keys::object(bucket.id, key.as_bytes());
        let is_replaced = there.0 == current;
        planner.take_away(&mut tally, bucket, key, &there, Leaves::AsCopy, is_replaced)?;
        let around = Around::of(planner.newest(bucket, key, Some(&there.0))?, clock);
        return insert(
            planner,
            tally,
            bucket,
            key,
            object,
            lineage,
            (write.bytes, write.reserved),
            around,
            None,
            replica,
        );
    }
    let mut around = Around::of(planner.newest(bucket, key, None)?, clock);
    if let Some((_, newest)) = &mut around.newest {
        match planner.lineage_of(newest)?.judge(&lineage) {
            Verdict::Wins => *newest = planner.mark_conflict(bucket.id, key, newest)?,
            Verdict::Loses => lineage.is_conflict = true,
            Verdict::Known | Verdict::Follows => {}
        }
    }
    if lineage.is_conflict
        && let VersionId::Unique { random, .. } = object.version_id
    {
        planner.change_again(keys::conflict(bucket.id, key.as_bytes(), clock, random), Vec::new());
    }
    insert(planner, tally, bucket, key, object, lineage, (write.bytes, write.reserved), around, None, replica)
}

/// A state of the null version.
fn write_null(
    write: ObjectWrite<'_>,
    mut lineage: Lineage,
    replica: &Replica,
    planner: &mut Planner<'_>,
) -> Result<Stored, StorageError> {
    let (bucket, key) = (write.bucket, write.key);
    let mut object = write.object;
    let mut tally = Tally::default();
    let state = planner.null_state(bucket.id, key)?;
    let local = planner.lineage_of_null(&state)?;
    let verdict = local.as_ref().map_or(Verdict::Follows, |local| local.judge(&lineage));
    match verdict {
        Verdict::Known => {
            if let NullState::Row(there) = state
                && !there.1.is_marker()
            {
                let same = planner.lineage_of(&there.1)?.change == lineage.change;
                let object = match same {
                    true => merge_beside(planner, bucket, key, there, (&object, &lineage), replica)?,
                    false => there.1.into_object(&bucket.owner)?,
                };
                return Ok(stored(bucket, object, Applied::Known));
            }
            return Ok(stored(bucket, object, Applied::Known));
        }
        Verdict::Loses => {
            lose(planner, bucket, key, state, &lineage)?;
            object.stamp = planner.stamp(None);
            object.lineage = Some(Box::new(lineage));
            let object = planner.keep_copy(bucket, key, object, (write.bytes, write.reserved), tally)?;
            return Ok(stored(bucket, object, Applied::Lost));
        }
        Verdict::Follows | Verdict::Wins => {}
    }
    local.iter().for_each(|local| lineage.win_over(local));
    let leaves = if verdict == Verdict::Wins { Leaves::AsCopy } else { Leaves::ForGood };
    let mut replaced = None;
    let mut except = None;
    match state {
        NullState::Nothing => {}
        NullState::Tombstone(_) => planner.exhume(bucket.id, key, None)?,
        NullState::Row(there) => {
            check_unlocked(planner, key, &there.1)?;
            if !there.1.is_marker() {
                keep_beside(planner, &there.1, &mut object, &mut lineage)?;
            }
            let is_current = there.0 == keys::object(bucket.id, key.as_bytes());
            planner.take_away(&mut tally, bucket, key, &there, leaves, is_current)?;
            except = Some(there.0);
            replaced = is_current.then_some((there.1, leaves));
        }
    }
    let around = Around::of(planner.newest(bucket, key, except.as_deref())?, lineage.change.clock);
    insert(planner, tally, bucket, key, object, lineage, (write.bytes, write.reserved), around, replaced, replica)
}

fn check_unlocked(planner: &Planner<'_>, key: &ObjectKey, row: &ObjectRow) -> Result<(), StorageError> {
    versions::check_unlocked(row, key, planner.state.clock.now().0 / 1_000_000, false)
}

/// Puts an object among the versions of its key. `replaced` is the current object whose place it takes, and what becomes of that.
#[allow(clippy::too_many_arguments, reason = "all that an object is put in place with")]
fn insert(
    planner: &mut Planner<'_>,
    mut tally: Tally,
    bucket: &Bucket,
    key: &ObjectKey,
    mut object: Object,
    lineage: Lineage,
    (bytes, reserved): (BodyPlace, Option<Reserved>),
    around: Around,
    replaced: Option<(ObjectRow, Leaves)>,
    replica: &Replica,
) -> Result<Stored, StorageError> {
    let current = around.current(bucket, key).cloned();
    let previous = replaced.as_ref().map(|(row, _)| row).or(current.as_ref());
    object.stamp = planner.stamp(previous.map(|row| Stamp(row.stamp)));
    let written = lineage.modified.unwrap_or(object.stamp);
    lock(&mut object, bucket, Some(written))?;
    object.lineage = Some(Box::new(lineage));
    let location = choose_location(planner, bucket.id, key, object.size, previous)?;
    if around.is_newest {
        if let Some(current) = current {
            versions::archive(planner, &mut tally, bucket, key, current, false)?;
        }
        let row = ObjectRow::of(&object, location, &bucket.owner);
        let change = planner.change(keys::object(bucket.id, key.as_bytes()), Some(rows::encode(&row)?));
        tally.add_object(&row);
        tally.count(planner, bucket.id)?;
        planner.charge(reserved, Growth::Within)?;
        let place = place_of(bucket, key, &row);
        plan_file(planner, &place, object.stored_size(), change, bytes);
        if let Some((replaced, Leaves::ForGood)) = &replaced {
            drop_previous(planner, bucket, key, replaced, Some(&place));
        }
    } else {
        let location = if location == Location::Folder { location } else { Location::Overflow };
        let mut row = ObjectRow::of(&object, location, &bucket.owner);
        row.noncurrent_since = newer_than(planner, bucket, key, &row, &around)?;
        if row.version.is_none() {
            let place = rows::encode_stamp(row.clock());
            planner.change_again(keys::null_version(bucket.id, key.as_bytes()), place);
        }
        let row_key = keys::version(bucket.id, key.as_bytes(), row.clock());
        let change = planner.change(row_key, Some(rows::encode(&row)?));
        tally.add_version(&row);
        tally.count(planner, bucket.id)?;
        planner.charge(reserved, Growth::Within)?;
        planner.write_aside(bucket, key, &row, change, bytes);
    }
    planner.tell(bucket, key, Change::Created(&object))?;
    let sent = (&object.attributes.tags[..], object.size);
    planner.send_object(bucket, key, object.version_id, sent, known_to(replica))?;
    Ok(stored(bucket, object, Applied::Applied))
}

/// When the version was made that follows one which is put among older ones, where the bucket keeps times.
fn newer_than(
    planner: &Planner<'_>,
    bucket: &Bucket,
    key: &ObjectKey,
    row: &ObjectRow,
    around: &Around,
) -> Result<Option<u64>, StorageError> {
    if !bucket.config.keeps_times {
        return Ok(None);
    }
    let (start, _) = keys::versions_of(bucket.id, key.as_bytes());
    let own = keys::version(bucket.id, key.as_bytes(), row.clock());
    let mut newer = around.current(bucket, key).map(|row| row.stamp);
    planner.rows.scan(&start, &own, &mut |_, row| {
        newer = Some(rows::decode::<ObjectRow>(row)?.stamp);
        Ok(true)
    })?;
    Ok(newer)
}

/// The local state has won: it remembers that.
fn lose(
    planner: &mut Planner<'_>,
    bucket: &Bucket,
    key: &ObjectKey,
    state: NullState,
    incoming: &Lineage,
) -> Result<(), StorageError> {
    match state {
        NullState::Nothing => {}
        NullState::Row((row_key, row)) => {
            let mut lineage = planner.lineage_of(&row)?;
            lineage.win_over(incoming);
            let row = ObjectRow { lineage: Some(LineageRow::of(&lineage)), ..row };
            let change = planner.change(row_key, Some(rows::encode(&row)?));
            if !row.is_marker() {
                planner.step(Step::Tag { place: place_of(bucket, key, &row), row: change });
            }
        }
        NullState::Tombstone(mut lineage) => {
            lineage.win_over(incoming);
            let row_key = keys::tombstone(bucket.id, key.as_bytes(), None);
            let Some(row) = planner.planned_row(&row_key)? else { return Ok(()) };
            let stamp = Stamp(rows::decode::<TombstoneRow>(&row)?.stamp);
            let row = rows::encode(&TombstoneRow::of(stamp, &lineage, None))?;
            planner.change(row_key, Some(row));
        }
    }
    Ok(())
}

/// Tags and locks that were changed later than the write that replaces their object stay: on all nodes the last change of them counts.
fn keep_beside(
    planner: &Planner<'_>,
    before: &ObjectRow,
    object: &mut Object,
    lineage: &mut Lineage,
) -> Result<(), StorageError> {
    let told = planner.lineage_of(before)?;
    let is_later = |changed: Option<Clocked>, than: Clocked| changed.filter(|changed| *changed > than);
    let (tags, locks) = (is_later(told.tags_change, lineage.tags()), is_later(told.lock_change, lineage.lock()));
    if tags.is_none() && locks.is_none() {
        return Ok(());
    }
    let before = before.clone().into_object(&object.owner)?;
    if tags.is_some() {
        (object.attributes.tags, lineage.tags_change) = (before.attributes.tags, tags);
    }
    if locks.is_some() {
        object.controls.retention = before.controls.retention;
        object.controls.legal_hold = before.controls.legal_hold;
        lineage.lock_change = locks;
    }
    Ok(())
}

/// The object is there, but what stands beside its bytes may be older than what is sent with it.
fn merge_beside(
    planner: &mut Planner<'_>,
    bucket: &Bucket,
    key: &ObjectKey,
    (row_key, row): Keyed,
    (sent, lineage): (&Object, &Lineage),
    replica: &Replica,
) -> Result<Object, StorageError> {
    let mut own = planner.lineage_of(&row)?;
    let mut object = row.clone().into_object(&bucket.owner)?;
    let (has_tags, has_locks) = (lineage.tags() > own.tags(), lineage.lock() > own.lock());
    if has_tags {
        object.attributes.tags.clone_from(&sent.attributes.tags);
        own.tags_change = lineage.tags_change;
    }
    if has_locks && bucket.config.object_lock.is_some() {
        merge_lock(planner, &mut object, sent);
        own.lock_change = lineage.lock_change;
    }
    if !has_tags && !has_locks {
        return Ok(object);
    }
    object.lineage = Some(Box::new(own));
    let beside = ObjectRow::of(&object, row.location, &bucket.owner);
    let changed = ObjectRow { noncurrent_since: row.noncurrent_since, damaged: row.damaged, ..beside };
    let change = planner.change(row_key, Some(rows::encode(&changed)?));
    planner.step(Step::Tag { place: place_of(bucket, key, &changed), row: change });
    let sent = (&object.attributes.tags[..], object.size);
    planner.send_object(bucket, key, object.version_id, sent, known_to(replica))?;
    Ok(object)
}

/// A retention gives way only to what may take its place.
fn merge_lock(planner: &Planner<'_>, object: &mut Object, sent: &Object) {
    let now = planner.state.clock.now().0 / 1_000_000;
    let current = object.controls.retention;
    let may = match &sent.controls.retention {
        Some(retention) => retention.may_replace(current.as_ref(), now, true),
        None => current.is_none_or(|current| current.may_be_lifted(now, true)),
    };
    if may {
        object.controls.retention = sent.controls.retention;
    }
    object.controls.legal_hold = sent.controls.legal_hold.or(object.controls.legal_hold);
}

/// Plans the delete of another node.
pub(super) fn delete(
    message: DeleteObject,
    replica: &Replica,
    planner: &mut Planner<'_>,
    bucket: &Bucket,
) -> Result<Deleted, StorageError> {
    planner.keep_changes(bucket)?;
    let lineage = Lineage::of_replica(replica);
    let keeps_versions = bucket.versioning != Versioning::Off;
    match (message.version, replica.version) {
        (None, VersionId::Unique { .. }) if keeps_versions => mark_version(message, lineage, replica, planner, bucket),
        (None, _) if keeps_versions => delete_null(message, lineage, replica, planner, bucket, true),
        (None | Some(VersionId::Null), _) => delete_null(message, lineage, replica, planner, bucket, false),
        (Some(version @ VersionId::Unique { .. }), _) if keeps_versions => {
            delete_version(message, lineage, replica, planner, bucket, version)
        }
        // The version is a state of the null version here: it goes if it is still that.
        (Some(VersionId::Unique { stamp, .. }), _) => {
            let state = planner.null_state(bucket.id, &message.key)?;
            match planner.lineage_of_null(&state)? {
                Some(local) if local.change.clock == stamp.0 => {
                    let seen = Seen::from_iter(replica.seen.iter().chain([local.change]));
                    let lineage = Lineage { seen: seen.without(lineage.change.origin), ..lineage };
                    delete_null(message, lineage, replica, planner, bucket, false)
                }
                _ => Ok(Deleted { version_id: None, delete_marker: false, applied: Applied::Known }),
            }
        }
    }
}

/// A delete marker of its own.
fn mark_version(
    message: DeleteObject,
    mut lineage: Lineage,
    replica: &Replica,
    planner: &mut Planner<'_>,
    bucket: &Bucket,
) -> Result<Deleted, StorageError> {
    let (key, id) = (&message.key, replica.version);
    let done = |applied| Deleted { version_id: Some(id), delete_marker: true, applied };
    if let VersionId::Unique { stamp, .. } = id {
        lineage.change.clock = stamp.0;
    }
    let clock = lineage.change.clock;
    let slot = Slot { key: key.clone(), version: Some(clock) };
    let is_buried = planner.rows.get(&keys::tombstone(bucket.id, key.as_bytes(), Some(clock)))?.is_some();
    if is_buried || slot_row(planner.rows, bucket, &slot)?.is_some() {
        return Ok(done(Applied::Known));
    }
    let mut around = Around::of(planner.newest(bucket, key, None)?, clock);
    if let Some((_, newest)) = &mut around.newest
        && planner.lineage_of(newest)?.judge(&lineage) == Verdict::Wins
    {
        *newest = planner.mark_conflict(bucket.id, key, newest)?;
    }
    put_marker(planner, Tally::default(), bucket, (key, message.owner), lineage, id, around, replica)?;
    Ok(done(Applied::Applied))
}

/// Puts a delete marker among the versions of a key.
#[allow(clippy::too_many_arguments, reason = "all that a marker is put in place with")]
fn put_marker(
    planner: &mut Planner<'_>,
    mut tally: Tally,
    bucket: &Bucket,
    (key, owner): (&ObjectKey, CanonicalId),
    lineage: Lineage,
    id: VersionId,
    around: Around,
    replica: &Replica,
) -> Result<(), StorageError> {
    let own = planner.own();
    let current = around.current(bucket, key).cloned();
    let stamp = planner.stamp(around.newest.as_ref().map(|(_, row)| Stamp(row.stamp)));
    let mut row = versions::marker(bucket, id, stamp, owner);
    row.lineage = lineage_row(lineage, stamp, own);
    if !around.is_newest {
        row.noncurrent_since = newer_than(planner, bucket, key, &row, &around)?;
    } else if let Some(current) = current {
        planner.change(keys::object(bucket.id, key.as_bytes()), None);
        versions::archive(planner, &mut tally, bucket, key, current, true)?;
    }
    if row.version.is_none() {
        planner.change_again(keys::null_version(bucket.id, key.as_bytes()), rows::encode_stamp(row.clock()));
    }
    planner.change(keys::version(bucket.id, key.as_bytes(), row.clock()), Some(rows::encode(&row)?));
    tally.add_marker();
    tally.count(planner, bucket.id)?;
    planner.tell(bucket, key, Change::Hidden(id))?;
    planner.send_delete(bucket, key, Some(id), known_to(replica))
}

/// The null version is deleted, or hidden behind a delete marker that takes its place.
fn delete_null(
    message: DeleteObject,
    mut lineage: Lineage,
    replica: &Replica,
    planner: &mut Planner<'_>,
    bucket: &Bucket,
    leaves_marker: bool,
) -> Result<Deleted, StorageError> {
    let key = &message.key;
    let version_id = (bucket.versioning != Versioning::Off).then_some(VersionId::Null);
    let done = |applied| Deleted { version_id, delete_marker: leaves_marker, applied };
    let state = planner.null_state(bucket.id, key)?;
    let local = planner.lineage_of_null(&state)?;
    let verdict = local.as_ref().map_or(Verdict::Follows, |local| local.judge(&lineage));
    let leaves = match verdict {
        Verdict::Known => return Ok(done(Applied::Known)),
        Verdict::Loses => {
            lose(planner, bucket, key, state, &lineage)?;
            return Ok(done(Applied::Lost));
        }
        Verdict::Follows => Leaves::ForGood,
        Verdict::Wins => Leaves::AsCopy,
    };
    local.iter().for_each(|local| lineage.win_over(local));
    let mut tally = Tally::default();
    let mut removed = None;
    match state {
        NullState::Nothing => {}
        NullState::Tombstone(_) => planner.exhume(bucket.id, key, None)?,
        NullState::Row(there) => {
            check_unlocked(planner, key, &there.1)?;
            planner.take_away(&mut tally, bucket, key, &there, leaves, false)?;
            removed = Some(there);
        }
    }
    let except = removed.as_ref().map(|(row_key, _)| row_key.as_slice());
    let newest = planner.newest(bucket, key, except)?;
    if leaves_marker {
        // If the newest was removed, this takes its place, as it is later: no other becomes current.
        let around = Around::of(newest, lineage.change.clock);
        put_marker(planner, tally, bucket, (key, message.owner), lineage, VersionId::Null, around, replica)?;
        return Ok(done(Applied::Applied));
    }
    let stamp = planner.stamp(None);
    planner.bury(bucket, key, VersionId::Null, stamp, &lineage)?;
    if let Some(removed) = &removed {
        promote(planner, &mut tally, bucket, key, removed)?;
        planner.tell(bucket, key, Change::Removed(VersionId::Null))?;
    }
    tally.count(planner, bucket.id)?;
    planner.send_version_delete(bucket, key, VersionId::Null, known_to(replica))?;
    Ok(done(Applied::Applied))
}

/// Where the newest of a key was removed, the next one becomes current.
pub(super) fn promote(
    planner: &mut Planner<'_>,
    tally: &mut Tally,
    bucket: &Bucket,
    key: &ObjectKey,
    (row_key, row): &Keyed,
) -> Result<(), StorageError> {
    if bucket.versioning == Versioning::Off {
        return Ok(());
    }
    let current = keys::object(bucket.id, key.as_bytes());
    if *row_key == current {
        return versions::promote_next(planner, tally, bucket, key, Some(row), None);
    }
    if planner.rows.get(&current)?.is_some() {
        return Ok(());
    }
    // There was none: the newest of all was a delete marker, perhaps this one.
    let newest = crate::storage::read::newest_noncurrent(planner.rows, bucket.id, key, None)?;
    if newest.is_some_and(|(newest, _)| newest == *row_key) {
        versions::promote_next(planner, tally, bucket, key, None, Some(row_key))?;
    }
    Ok(())
}

/// A version, or a delete marker, is deleted for good. That wins over whatever else is sent of it.
fn delete_version(
    message: DeleteObject,
    lineage: Lineage,
    replica: &Replica,
    planner: &mut Planner<'_>,
    bucket: &Bucket,
    version: VersionId,
) -> Result<Deleted, StorageError> {
    let slot = Slot::of(&message.key, version);
    let mut done = Deleted { version_id: Some(version), delete_marker: false, applied: Applied::Known };
    if planner.rows.get(&keys::tombstone(bucket.id, message.key.as_bytes(), slot.version))?.is_some() {
        return Ok(done);
    }
    let there = slot_row(planner.rows, bucket, &slot)?;
    if let Some((_, row)) = &there {
        if row.version_id() != version {
            return Ok(done);
        }
        check_unlocked(planner, &message.key, row)?;
        done.delete_marker = row.is_marker();
    }
    let key = &message.key;
    if let Some(there) = &there {
        let mut tally = Tally::default();
        planner.take_away(&mut tally, bucket, key, there, Leaves::ForGood, false)?;
        promote(planner, &mut tally, bucket, key, there)?;
        tally.count(planner, bucket.id)?;
        planner.tell(bucket, key, Change::Removed(version))?;
    }
    let stamp = planner.stamp(None);
    planner.bury(bucket, key, version, stamp, &lineage)?;
    planner.send_version_delete(bucket, key, version, known_to(replica))?;
    done.applied = Applied::Applied;
    Ok(done)
}
