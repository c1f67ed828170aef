//! Changes that are made only of what somebody has seen.
//!
//! The comparison is part of the plan: of two who have seen the same and change it at the same instant, one comes too late.

use std::sync::Arc;

use super::{Mutation, Planner};
use crate::storage::StorageError;
use crate::storage::messages::{Bucket, BucketChange, ChangeObject, ConfigureBucket, Configured, Object, ObjectChange};
use crate::storage::read::find_row;

/// A change, and what it is expected to find; none: whatever is there.
pub(in crate::storage) struct Expecting<M, S> {
    pub message: M,
    pub expected: Option<Arc<S>>,
}

impl Mutation for Expecting<ChangeObject, Object> {
    type Output = Arc<Object>;

    fn plan(self, planner: &mut Planner<'_>) -> Result<Self::Output, StorageError> {
        let Self { message, expected } = self;
        if let Some(expected) = expected {
            let bucket = planner.live(&message.bucket)?;
            let (_, row) = find_row(planner.rows, &bucket, &message.key, message.version)?;
            let found = row.into_object(&bucket.owner)?;
            if !is_same_object(&expected, &found) || !finds_the_same(&message.change, &expected, &found) {
                return Err(StorageError::NotAsExpected { what: format!("{}/{}", bucket.name, message.key) });
            }
        }
        message.plan(planner)
    }
}

impl Mutation for Expecting<ConfigureBucket, Bucket> {
    type Output = Configured;

    fn plan(self, planner: &mut Planner<'_>) -> Result<Self::Output, StorageError> {
        let Self { message, expected } = self;
        if let Some(expected) = expected {
            let found = planner.live(&message.bucket)?;
            let is_same = match &message.change {
                BucketChange::Versioning(_) => found.versioning == expected.versioning,
                BucketChange::Config(change) => change.finds_the_same(&expected.config, &found.config),
            };
            if found.id != expected.id || !is_same {
                return Err(StorageError::NotAsExpected { what: found.name.to_string() });
            }
        }
        message.plan(planner)
    }
}

/// Whether nobody has written another one since.
fn is_same_object(one: &Object, other: &Object) -> bool {
    (one.stamp, one.version_id, one.etag) == (other.stamp, other.version_id, other.etag)
}

/// Whether what a change replaces is the same in both.
fn finds_the_same(change: &ObjectChange, one: &Object, other: &Object) -> bool {
    match change {
        ObjectChange::Tags(_) => one.attributes.tags == other.attributes.tags,
        ObjectChange::Acl(_) => one.controls.acl == other.controls.acl,
        ObjectChange::Retention { .. } => one.controls.retention == other.controls.retention,
        // One that was never put is as good as one that was lifted.
        ObjectChange::LegalHold(_) => one.controls.is_held() == other.controls.is_held(),
        ObjectChange::Rewrap { .. } | ObjectChange::MoveToKey { .. } => one.encryption() == other.encryption(),
    }
}
