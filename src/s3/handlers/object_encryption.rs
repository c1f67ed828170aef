//! UpdateObjectEncryption: an object's data key is sealed under another KMS key; its bytes stay as they are.

use actix_web::http::StatusCode;
use myfsio_actors::encryption::{Encryption, Method};
use myfsio_actors::names::Stamp;
use myfsio_actors::storage::{ChangeObject, Object, ObjectChange};

use super::bucket_config::document;
use super::tagging::with_version;
use crate::s3::authorize::missing;
use crate::s3::context::Call;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::respond::{Answer, empty};
use crate::s3::xml::encryption::{ENCRYPTION_BYTES_MAX, object_encryption};

/// S3 API Reference, UpdateObjectEncryption. Errs: MalformedXML, NoSuchKey, InvalidRequest for what is not sealed under a key of this
/// node, AccessDenied for what is locked, and those of the KMS and of the permission to use either key.
pub async fn update_object_encryption(mut call: Call) -> Answer {
    let asked = object_encryption(&document(&mut call, ENCRYPTION_BYTES_MAX).await?)?;
    let (bucket, key, version) = (call.bucket()?, call.key()?, call.version()?);
    let found = call.storage().object(&bucket, &key, version).await;
    let object = found.map_err(|error| missing(&call, &bucket, error))?;
    let from = movable(&object, call.received)?.clone();
    let to = call.moved_to_key((&bucket, &key), &from, &asked)?;
    let change = ObjectChange::Rewrap { from, to };
    // The version that was looked at: what is written meanwhile is not meant.
    let message = ChangeObject { bucket: bucket.clone(), key, version: Some(object.version_id), change };
    let changed = call.storage().change_object(message).await;
    let object = changed.map_err(|error| missing(&call, &bucket, error))?;
    Ok(with_version(empty(StatusCode::OK), &bucket, &object))
}

/// How the object is sealed, if it may be sealed otherwise.
fn movable(object: &Object, now: Stamp) -> Result<&Encryption, S3Error> {
    let is_retained = object.controls.retention.is_some_and(|retention| retention.holds(now.0 / 1_000_000));
    if is_retained || object.controls.is_held() {
        let message = "Access Denied because object protected by object lock.";
        return Err(S3Error::with_message(ErrorCode::AccessDenied, message).by_rule("object_lock"));
    }
    match object.encryption() {
        Some(encryption) if !matches!(encryption.method, Method::Customer(_)) => Ok(encryption),
        _ => Err(S3Error::with_message(
            ErrorCode::InvalidRequest,
            "The encryption of an object that is not encrypted, or with a key of its customer, cannot be updated.",
        )),
    }
}
