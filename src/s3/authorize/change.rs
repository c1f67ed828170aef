//! Changes of objects by whoever has the permission for them.
//!
//! The very object that the permission was asked for is changed, and no other one: between the two the client may take its time with
//! a body, and somebody else may write under the key. Then the permission is asked for again, for what is there now.

use std::sync::Arc;

use myfsio_actors::storage::{Bucket, ChangeBeside, ChangeObject, Object, ObjectChange, StorageError};

use super::missing;
use crate::s3::context::{Call, Expected};
use crate::s3::error::S3Error;

/// How often an object may be overtaken by another one under its key.
const TRIES_MAX: usize = 4;

/// Changes the object of the request. `permitted` is the one that the permission was asked for, if it was there; `ask` asks for it
/// again, for another one; `change` tells what is to change of an object, none where it is as it should be. Errs: what is missing;
/// what those two err; OperationAborted when the object is another one again and again; PreconditionFailed when it is not what the
/// request expects.
pub async fn change(
    call: &Call,
    bucket: &Arc<Bucket>,
    permitted: Option<Arc<Object>>,
    ask: impl Fn(&Arc<Object>) -> Result<(), S3Error>,
    change: impl Fn(&Arc<Object>) -> Result<Option<ObjectChange>, S3Error>,
) -> Result<Arc<Object>, S3Error> {
    change_of(call, bucket, permitted, None, ask, change).await
}

/// The same of a change that another node made.
pub async fn change_of(
    call: &Call,
    bucket: &Arc<Bucket>,
    permitted: Option<Arc<Object>>,
    replica: Option<ChangeBeside>,
    ask: impl Fn(&Arc<Object>) -> Result<(), S3Error>,
    change: impl Fn(&Arc<Object>) -> Result<Option<ObjectChange>, S3Error>,
) -> Result<Arc<Object>, S3Error> {
    let (key, version) = (call.key()?, call.version()?);
    let mut permitted = permitted;
    for _ in 0..TRIES_MAX {
        let object = match permitted.take() {
            Some(object) => object,
            None => {
                let peeked = call.storage().peek_object(bucket, &key, version);
                let object = peeked.map_err(|error| missing(call, bucket, error))?.object;
                ask(&object)?;
                object
            }
        };
        let Some(change) = change(&object)? else { return Ok(object) };
        let of = Some(object.stamp);
        let message = ChangeObject { bucket: Arc::clone(bucket), key: key.clone(), version, of, change, replica };
        let expected = match &call.expected {
            Some(Expected::Object(expected)) => Some(Arc::clone(expected)),
            Some(Expected::Bucket(_)) | None => None,
        };
        match call.storage().change_object_expecting(message, expected).await {
            Err(StorageError::Overtaken { .. }) => {}
            changed => return changed.map_err(|error| missing(call, bucket, error)),
        }
    }
    Err(StorageError::Overtaken { key }.into())
}
