//! Objects that are opened by whoever has the permission for them.
//!
//! The row that was looked up for the permission is the one that is opened. Where another object stands under the key by now, the
//! permission is asked for again, for that one.

use std::cell::OnceCell;
use std::sync::Arc;

use myfsio_actors::names::{ObjectKey, VersionId};
use myfsio_actors::policy_engine::ObjectState;
use myfsio_actors::storage::{Bucket, Object, OpenObject, Purpose, StorageError};

use super::{Further, Primary, Subject, about, ask_primary, facts, further, would_list};
use crate::decisions::{Explanation, Why};
use crate::s3::context::Call;
use crate::s3::error::S3Error;
use crate::s3::request_facts::Asks;
use crate::s3::storage_error::refused_read;

/// Opens the object of the request, which a permission was asked for. One that was written since is another, which it is asked for
/// again. Errs: what is missing; AccessDenied.
pub async fn open(call: &Call, bucket: &Arc<Bucket>, purpose: Purpose) -> Result<OpenObject, S3Error> {
    let (key, version) = (call.key()?, call.version()?);
    if let Some(peeked) = &call.peeked
        && let Some(opened) = call.storage().open_peeked(bucket, peeked, purpose)?
    {
        return Ok(opened);
    }
    let opened = call.storage().open_for(purpose, bucket, &key, version).await;
    let opened = opened.map_err(|error| missing(call, bucket, error))?;
    ask_again(call, bucket, &opened.object)?;
    Ok(opened)
}

/// Asks for all that the request takes of its object, for this one. Errs: AccessDenied.
pub fn ask_again(call: &Call, bucket: &Bucket, object: &Arc<Object>) -> Result<(), S3Error> {
    let primary = Primary {
        operation: call.operation,
        bucket_name: Some(&bucket.name),
        bucket: Some(bucket),
        key: call.key.as_ref(),
        facts: facts(call),
    };
    let found = OnceCell::from(Arc::clone(object));
    ask_primary(&call.node, &call.auth, &primary, &Subject { found, ..Subject::default() })
}

/// Asks for the permission to read a further object and opens it, as [`open`] does with the request's own. Errs: AccessDenied; what
/// is missing.
pub async fn open_further(
    call: &Call,
    action: &str,
    bucket: &Arc<Bucket>,
    key: &ObjectKey,
    version: Option<VersionId>,
) -> Result<OpenObject, S3Error> {
    let ask = |object| {
        further(call, action, bucket, Further { key: Some(key.as_str()), version, object, ..Further::default() })
    };
    let peeked = call.storage().peek_object(bucket, key, version).ok();
    ask(peeked.as_ref().map(|peeked| &peeked.object))?;
    if let Some(peeked) = &peeked
        && let Some(opened) = call.storage().open_peeked(bucket, peeked, Purpose::Read)?
    {
        return Ok(opened);
    }
    let opened = call.storage().open_object(bucket, key, version).await;
    let opened = opened.map_err(|error| missing(call, bucket, error))?;
    ask(Some(&opened.object))?;
    Ok(opened)
}

/// Who may not list the bucket does not learn which keys are missing.
pub fn missing(call: &Call, bucket: &Bucket, error: StorageError) -> S3Error {
    match &error {
        StorageError::NoSuchKey { key, .. } | StorageError::NoSuchVersion { key, .. }
            if !would_list(call, bucket, key.as_str()) =>
        {
            hidden_absence(call, bucket, key.as_str())
        }
        _ => refused_read(error),
    }
}

/// The refusal of somebody who may read an object that is not there, but may not know that.
fn hidden_absence(call: &Call, bucket: &Bucket, key: &str) -> S3Error {
    let question = about(call, "s3:ListBucket", bucket, None);
    let context = question.facts.context(Asks::Listing(key));
    let decision = call.node.access.policy_engine.decide(&question.request(ObjectState::Missing, &context));
    let request = question.request(ObjectState::Missing, &context);
    let error = call.node.access.denied(&request, &decision, question.facts.explains);
    match error.why() {
        Some(Why::Decided(told)) => {
            let mut told = Explanation::clone(told);
            told.message = format!(
                "There is no object {key}, which is told only to those who may list the bucket. {}",
                told.message
            );
            error.explained(Why::Decided(Box::new(told)))
        }
        _ => error,
    }
}
