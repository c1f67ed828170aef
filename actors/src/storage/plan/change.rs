//! Changing what stands beside the bytes of a version: tags, access control list, retention, legal hold, whose key seals it.

use std::sync::Arc;

use super::events::{Change, kind_of};
use super::key_use::KeyTally;
use super::lineage::{no_later_clock, slot_of};
use super::object::place_of;
use super::queue::ToSend;
use super::{Mutation, Planner, random};
use crate::bucket_config::{ReplicatedChange, Retention};
use crate::encryption::Encryption;
use crate::names::{Change as Clocked, ObjectKey, Stamp, VersionId};
use crate::storage::StorageError;
use crate::storage::messages::{Bucket, ChangeObject, Kinds, Lineage, Object, ObjectChange};
use crate::storage::read::find_row;
use crate::storage::replication::Ancestry;
use crate::storage::rows::{self, ObjectRow};
use crate::storage::steps::Step;

impl Mutation for ChangeObject {
    type Output = Arc<Object>;

    fn plan(self, planner: &mut Planner<'_>) -> Result<Self::Output, StorageError> {
        let bucket = planner.live(&self.bucket)?;
        let (row_key, row) = find_row(planner.rows, &bucket, &self.key, self.version)?;
        if self.of.is_some_and(|stamp| stamp != Stamp(row.stamp)) {
            return Err(StorageError::Overtaken { key: self.key });
        }
        let mut object = row.clone().into_object(&bucket.owner)?;
        let told = kind_of(&self.change);
        let now = planner.state.clock.now().0 / 1_000_000;
        // Copies of what lost are nobody else's.
        let kinds = replicated(&self.change).filter(|_| !row.is_copy());
        let change = match (self.replica, kinds) {
            (Some(replica), Some(kinds)) => {
                let lineage = planner.lineage_of(&row)?;
                let Some(accepted) = accept(&object, &lineage, self.change, replica.change, now) else {
                    return Ok(Arc::new(object));
                };
                if matches!(accepted, ObjectChange::LegalHold(false))
                    && object.controls.is_held()
                    && !replica.lifts_hold
                {
                    return Err(cannot_lift(self.key, object.version_id));
                }
                planner.keep_changes(&bucket)?;
                object.lineage = Some(Box::new(with_change(lineage, kinds, replica.change)));
                accepted
            }
            (None, Some(kinds)) if planner.keeps_changes(&bucket)? => {
                let change = planner.change_beside(&row)?;
                object.lineage = Some(Box::new(with_change(planner.lineage_of(&row)?, kinds, change)));
                self.change
            }
            _ => self.change,
        };
        apply(&mut object, change, &bucket, &self.key, now)?;
        let beside = ObjectRow::of(&object, row.location, &bucket.owner);
        let lineage = if row.is_copy() { row.lineage.clone() } else { beside.lineage.clone() };
        let changed = ObjectRow { noncurrent_since: row.noncurrent_since, lineage, damaged: row.damaged, ..beside };
        let mut keys = KeyTally::default();
        keys.object(&row, -1);
        keys.object(&changed, 1);
        keys.count(planner)?;
        let row = planner.change(row_key, Some(rows::encode(&changed)?));
        planner.step(Step::Tag { place: place_of(&bucket, &self.key, &changed), row });
        if let Some(kind) = told {
            planner.tell(&bucket, &self.key, Change::Altered(&object, kind))?;
        }
        if let Some(kinds) = kinds.filter(|_| object.lineage.is_some()) {
            let (key, version) = (&self.key, slot_of(object.version_id));
            let what = ReplicatedChange::Object(&object.attributes.tags);
            let known_to =
                self.replica.map_or([None; 2], |replica| [Some(replica.change.origin), Some(replica.sender)]);
            planner.queue_change(&bucket, &ToSend { key, version, what, kinds, bytes: 0, known_to })?;
        }
        Ok(Arc::new(object))
    }
}

/// What of a change is replicated: access control lists and keys are each node's own.
fn replicated(change: &ObjectChange) -> Option<Kinds> {
    match change {
        ObjectChange::Tags(_) => Some(Kinds::TAGS),
        ObjectChange::Retention { .. } | ObjectChange::LegalHold(_) => Some(Kinds::LOCK),
        ObjectChange::Acl(_) | ObjectChange::Rewrap { .. } | ObjectChange::MoveToKey { .. } => None,
    }
}

fn with_change(mut lineage: Lineage, kinds: Kinds, change: Clocked) -> Lineage {
    match kinds {
        Kinds::TAGS => lineage.tags_change = Some(change),
        _ => lineage.lock_change = Some(change).max(lineage.lock_change),
    }
    lineage.is_dismissed = false;
    lineage
}

/// What answers another node that takes off a legal hold, and may not.
pub(super) fn cannot_lift(key: ObjectKey, version: VersionId) -> StorageError {
    let reason = "a legal hold is on it, and taking it off takes s3:PutObjectLegalHold";
    StorageError::ObjectLocked { key, version, reason }
}

/// What is to be done of another node's change: none when what is here is later, or a lock that gives way to nobody. A retention and a
/// legal hold that were changed together come one after the other, with one clock; and where two nodes have locked a version, both locks
/// hold.
fn accept(
    object: &Object,
    local: &Lineage,
    change: ObjectChange,
    of: Clocked,
    now_millis: u64,
) -> Option<ObjectChange> {
    let is_news = match change {
        ObjectChange::Retention { .. } | ObjectChange::LegalHold(_) => of >= local.lock(),
        _ => of > local.tags(),
    };
    match change {
        ObjectChange::Retention { retention, bypass_governance } => {
            let is_longer = retention
                .is_some_and(|new| object.controls.retention.is_none_or(|old| new.until_millis > old.until_millis));
            let may = may_become(object.controls.retention.as_ref(), retention.as_ref(), now_millis, true);
            ((is_news || is_longer) && may).then_some(ObjectChange::Retention { retention, bypass_governance })
        }
        ObjectChange::LegalHold(hold) => {
            (is_news || (hold && object.controls.legal_hold.is_none())).then_some(ObjectChange::LegalHold(hold))
        }
        other => is_news.then_some(other),
    }
}

impl Planner<'_> {
    /// A change beside the bytes that is made here: later than all that is known of the object.
    fn change_beside(&mut self, row: &ObjectRow) -> Result<Clocked, StorageError> {
        let stamp = self.stamp(None);
        let mut ancestry = Ancestry::default();
        ancestry.after(&self.lineage_of(row)?);
        Ok(ancestry.change(stamp, self.own(), random()?).ok_or_else(no_later_clock)?.change)
    }
}

/// Whether a retention may become another one, or none.
pub(super) fn may_become(
    current: Option<&Retention>,
    new: Option<&Retention>,
    now_millis: u64,
    bypass_governance: bool,
) -> bool {
    match new {
        Some(new) => new.may_replace(current, now_millis, bypass_governance),
        None => current.is_none_or(|current| current.may_be_lifted(now_millis, bypass_governance)),
    }
}

fn apply(
    object: &mut Object,
    change: ObjectChange,
    bucket: &Bucket,
    key: &ObjectKey,
    now_millis: u64,
) -> Result<(), StorageError> {
    let lockable = || match bucket.config.object_lock {
        Some(_) => Ok(()),
        None => Err(StorageError::LockNotEnabled { bucket: bucket.name.clone() }),
    };
    match change {
        ObjectChange::Tags(tags) => object.attributes.tags = tags,
        ObjectChange::Acl(acl) => object.controls.acl = acl,
        ObjectChange::Rewrap { from, to } => {
            rewrap(object, &from, to);
        }
        ObjectChange::MoveToKey { from, to } => {
            if object.controls.is_locked(now_millis) {
                let reason = "its encryption may not be changed";
                return Err(StorageError::ObjectLocked { key: key.clone(), version: object.version_id, reason });
            }
            if !rewrap(object, &from, to) {
                return Err(StorageError::Overtaken { key: key.clone() });
            }
        }
        ObjectChange::LegalHold(hold) => {
            lockable()?;
            object.controls.legal_hold = Some(hold);
        }
        ObjectChange::Retention { retention, bypass_governance } => {
            lockable()?;
            let current = object.controls.retention.as_ref();
            if !may_become(current, retention.as_ref(), now_millis, bypass_governance) {
                let reason = "its retention may not be shortened or lifted";
                return Err(StorageError::ObjectLocked { key: key.clone(), version: object.version_id, reason });
            }
            object.controls.retention = retention;
        }
    }
    Ok(())
}

/// Whether it was sealed as is said, and now is otherwise.
fn rewrap(object: &mut Object, from: &Encryption, to: Encryption) -> bool {
    let sealed = object.sealed.as_mut().filter(|sealed| sealed.encryption == *from);
    sealed.map(|sealed| sealed.encryption = to).is_some()
}
