//! Deleting objects by whoever has the permission for them.
//!
//! Where the permission depended on the object, it is that very object which is deleted: one that was written since is another, for which
//! the permission is asked again.

use myfsio_actors::names::{ObjectKey, VersionId};
use myfsio_actors::storage::{Bucket, DeleteObject, Deleted, StorageError};

use super::{Further, TRIES_MAX, further_judged};
use crate::s3::context::Call;
use crate::s3::error::S3Error;

/// Deletes an object, or a version. `message` tells how, but for what the permission was asked for. Errs: AccessDenied; OperationAborted
/// when the object is another one again and again; as the deletion does.
pub async fn delete(
    call: &Call,
    bucket: &Bucket,
    key: &ObjectKey,
    version: Option<VersionId>,
    message: impl Fn() -> DeleteObject,
) -> Result<Deleted, S3Error> {
    let action = call.operation.action(version.is_some());
    let asked = Further { key: Some(key.as_str()), version, ..Further::default() };
    for _ in 0..TRIES_MAX {
        let of = further_judged(call, action, bucket, asked)?;
        match call.storage().delete_object(DeleteObject { of, ..message() }).await {
            Err(StorageError::Overtaken { .. }) => {}
            deleted => return Ok(deleted?),
        }
    }
    Err(StorageError::Overtaken { key: key.clone() }.into())
}
