//! What stands beside the bytes of an object, tags and locks: on all nodes the last change of them counts, whatever comes when.

use super::known_to;
use crate::names::{Change as Clocked, ObjectKey};
use crate::storage::StorageError;
use crate::storage::messages::{Bucket, Lineage, Object, Replica};
use crate::storage::plan::Planner;
use crate::storage::plan::change::{cannot_lift, may_become};
use crate::storage::plan::lineage::Keyed;
use crate::storage::plan::object::place_of;
use crate::storage::rows::{self, ObjectRow};
use crate::storage::steps::Step;

/// Tags and locks that were changed later than the write that replaces their object stay.
pub(super) fn keep_beside(
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
pub(super) fn merge_beside(
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
        merge_lock(planner, key, &mut object, sent, replica)?;
        own.lock_change = lineage.lock_change;
    }
    if !has_tags && !has_locks {
        return Ok(object);
    }
    own.is_dismissed = false;
    object.lineage = Some(Box::new(own));
    let beside = ObjectRow::of(&object, row.location, &bucket.owner);
    let changed = ObjectRow { noncurrent_since: row.noncurrent_since, damaged: row.damaged, ..beside };
    let change = planner.change(row_key, Some(rows::encode(&changed)?));
    planner.step(Step::Tag { place: place_of(bucket, key, &changed), row: change });
    let sent = (&object.attributes.tags[..], object.size);
    planner.send_object(bucket, key, object.version_id, sent, known_to(Some(replica)))?;
    Ok(object)
}

/// A retention gives way only to what may take its place, and what only some may lift stays for others. Errs: ObjectLocked for the latter.
fn merge_lock(
    planner: &Planner<'_>,
    key: &ObjectKey,
    object: &mut Object,
    sent: &Object,
    replica: &Replica,
) -> Result<(), StorageError> {
    let now = planner.state.clock.now().0 / 1_000_000;
    let (current, new) = (object.controls.retention, sent.controls.retention);
    let may = |bypass| may_become(current.as_ref(), new.as_ref(), now, bypass);
    if may(true) {
        if !may(replica.permits.bypasses_governance) {
            let reason = "its retention may not be shortened or lifted";
            return Err(StorageError::ObjectLocked { key: key.clone(), version: object.version_id, reason });
        }
        object.controls.retention = new;
    }
    if let Some(hold) = sent.controls.legal_hold {
        if object.controls.is_held() && !hold && !replica.permits.lifts_hold {
            return Err(cannot_lift(key.clone(), object.version_id));
        }
        object.controls.legal_hold = Some(hold);
    }
    Ok(())
}
