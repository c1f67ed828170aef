//! UpdateObjectEncryption: an object's data key is sealed under another KMS key; its bytes stay as they are.

use std::sync::Arc;

use actix_web::http::StatusCode;
use myfsio_actors::encryption::{Encryption, Method};
use myfsio_actors::names::Stamp;
use myfsio_actors::storage::{Object, ObjectChange, Purpose};

use super::bucket_config::document;
use super::tagging::with_version;
use crate::s3::authorize::{self, Further};
use crate::s3::context::Call;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::operation::Operation;
use crate::s3::respond::{Answer, empty};
use crate::s3::xml::encryption::{ENCRYPTION_BYTES_MAX, object_encryption};

/// S3 API Reference, UpdateObjectEncryption. Who moves an object under a key decides who reads it from then on, so it takes reading it,
/// too. Errs: MalformedXML, NoSuchKey, InvalidRequest for what is not sealed under a key of this node, AccessDenied for what is locked,
/// OperationAborted for what somebody else changes at the same time, and those of the KMS and of the permission to use either key.
pub async fn update_object_encryption(mut call: Call) -> Answer {
    let asked = object_encryption(&document(&mut call, ENCRYPTION_BYTES_MAX).await?)?;
    let (bucket, key, version) = (call.bucket()?, call.key()?, call.version()?);
    let permitted = authorize::open(&call, &bucket, Purpose::Look).await?.object;
    let ask = |object: &_| authorize::ask_again(&call, &bucket, object);
    let change = |object: &Arc<Object>| {
        let further = Further { key: Some(key.as_str()), version, object: Some(object), ..Further::default() };
        call.authorize_further(Operation::GetObject.action(version.is_some()), &bucket, further)?;
        let from = movable(object, call.received)?.clone();
        let to = call.moved_to_key((&bucket, &key), &from, &asked)?;
        Ok(Some(ObjectChange::MoveToKey { from, to }))
    };
    let object = authorize::change(&call, &bucket, Some(permitted), ask, change).await?;
    Ok(with_version(empty(StatusCode::OK), &bucket, &object))
}

/// How the object is sealed, if it may be sealed otherwise.
fn movable(object: &Object, now: Stamp) -> Result<&Encryption, S3Error> {
    if object.controls.is_locked(now.0 / 1_000_000) {
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
