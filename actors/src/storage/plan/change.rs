//! Changing what stands beside the bytes of a version: tags, access control list, retention, legal hold.

use std::sync::Arc;

use super::events::{Change, kind_of};
use super::key_use::KeyTally;
use super::object::place_of;
use super::{Mutation, Planner};
use crate::names::ObjectKey;
use crate::storage::StorageError;
use crate::storage::messages::{Bucket, ChangeObject, Object, ObjectChange};
use crate::storage::read::find_row;
use crate::storage::rows::{self, ObjectRow};
use crate::storage::steps::Step;

impl Mutation for ChangeObject {
    type Output = Arc<Object>;

    fn plan(self, planner: &mut Planner<'_>) -> Result<Self::Output, StorageError> {
        let bucket = planner.live(&self.bucket)?;
        let (row_key, row) = find_row(planner.rows, &bucket, &self.key, self.version)?;
        let mut object = row.clone().into_object(&bucket.owner)?;
        let told = kind_of(&self.change);
        let now = planner.state.clock.now().0 / 1_000_000;
        apply(&mut object, self.change, &bucket, &self.key, now)?;
        let beside = ObjectRow::of(&object, row.location, &bucket.owner);
        let changed = ObjectRow { noncurrent_since: row.noncurrent_since, ..beside };
        let mut keys = KeyTally::default();
        keys.object(&row, -1);
        keys.object(&changed, 1);
        keys.count(planner)?;
        let row = planner.change(row_key, Some(rows::encode(&changed)?));
        planner.step(Step::Tag { place: place_of(&bucket, &self.key, &changed), row });
        if let Some(kind) = told {
            planner.tell(&bucket, &self.key, Change::Altered(&object, kind))?;
        }
        Ok(Arc::new(object))
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
            if let Some(sealed) = object.sealed.as_mut().filter(|sealed| sealed.encryption == from) {
                sealed.encryption = to;
            }
        }
        ObjectChange::LegalHold(hold) => {
            lockable()?;
            object.controls.legal_hold = Some(hold);
        }
        ObjectChange::Retention { retention, bypass_governance } => {
            lockable()?;
            let current = object.controls.retention.as_ref();
            let may = match &retention {
                Some(retention) => retention.may_replace(current, now_millis, bypass_governance),
                None => current.is_none_or(|current| current.may_be_lifted(now_millis, bypass_governance)),
            };
            if !may {
                let reason = "its retention may not be shortened or lifted";
                return Err(StorageError::ObjectLocked { key: key.clone(), version: object.version_id, reason });
            }
            object.controls.retention = retention;
        }
    }
    Ok(())
}
