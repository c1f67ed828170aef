//! Replication by JSON: connections, which buckets are replicated, how that goes, comparisons and conflicts.
//!
//! Administrators make, change and remove; who may replicate a bucket (`s3:PutReplicationConfiguration`) pauses and resumes it, has
//! sent again what failed, and settles conflicts; who may look at that (`s3:GetReplicationConfiguration`) sees how it goes.
//!
//! INVARIANT: no secret of a connection is in any answer.

mod body;
mod connections;
mod objects;
mod peer;
pub mod route;
mod rules;
mod tell;

use std::sync::Arc;

use actix_http::RequestHead;
use actix_http::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;
use myfsio_actors::replication_worker::ReplicationError;
use myfsio_actors::storage::Bucket;

use super::only_administrators;
use crate::node::Node;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight::Caller;
use crate::s3::respond::{Answer, RequestId};
use route::{ReplicationRoute, RuleRoute};

/// Largest body, in bytes: as many rules of a bucket as there can be fit in.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Answers a request below `/_myfsio/replication`. Errs: AccessDenied, InvalidArgument, and what replication refuses.
pub async fn answer(
    node: &Arc<Node>,
    head: &RequestHead,
    mut caller: Caller,
    request_id: RequestId,
    route: ReplicationRoute,
    incoming: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
) -> Answer {
    let body = caller.body(incoming)?.collect(BODY_BYTES_MAX).await?;
    let by = caller.origin(request_id);
    match route {
        ReplicationRoute::Peer => return peer::answer(node, &caller).await,
        ReplicationRoute::Objects => return objects::put(node, head, &caller, &body).await,
        ReplicationRoute::Of(name, route) => {
            let bucket = permitted(node, &caller, &name, route).await?;
            return rules::answer(node, by, &name, bucket, route, (caller.query(), &body)).await;
        }
        _ => only_administrators(node, &caller)?,
    }
    match route {
        ReplicationRoute::Connections => connections::list(node).await,
        ReplicationRoute::AddConnection => connections::put(node, by, None, &body).await,
        ReplicationRoute::Connection(name) => connections::get(node, &name).await,
        ReplicationRoute::SetConnection(name) => connections::put(node, by, Some(&name), &body).await,
        ReplicationRoute::RemoveConnection(name) => connections::remove(node, by, &name).await,
        ReplicationRoute::TestConnection(name) => connections::test(node, &name, &body).await,
        ReplicationRoute::Overview => rules::overview(node).await,
        ReplicationRoute::Rules | ReplicationRoute::Peer | ReplicationRoute::Objects | ReplicationRoute::Of(..) => {
            rules::list(node).await
        }
    }
}

/// The bucket, if the caller may do this with its replication; none where a rule of a bucket that is gone is removed. Errs: AccessDenied,
/// NoSuchBucket.
async fn permitted(
    node: &Arc<Node>,
    caller: &Caller,
    name: &myfsio_actors::names::BucketName,
    route: RuleRoute,
) -> Result<Option<Arc<Bucket>>, S3Error> {
    let is_administrator = caller.is_administrator(node);
    let action = match route {
        RuleRoute::Show | RuleRoute::History | RuleRoute::Failures | RuleRoute::Comparison | RuleRoute::Conflicts => {
            "s3:GetReplicationConfiguration"
        }
        RuleRoute::Pause | RuleRoute::Resume | RuleRoute::Retry | RuleRoute::Resolve => {
            "s3:PutReplicationConfiguration"
        }
        _ if !is_administrator => return Err(caller.refused(node)),
        RuleRoute::Remove => return Ok(node.storage.bucket(name).ok()),
        _ => "",
    };
    let bucket = node.storage.bucket(name)?;
    if !is_administrator {
        caller.ask(node, action, &bucket).await?;
    }
    Ok(Some(bucket))
}

impl From<ReplicationError> for S3Error {
    fn from(error: ReplicationError) -> Self {
        let text = error.to_string();
        match error {
            ReplicationError::NoSuchConnection(_) => Self::with_message(ErrorCode::NoSuchEntity, text),
            ReplicationError::NoSuchRule(_) => {
                Self::new(ErrorCode::ReplicationConfigurationNotFoundError).because(text)
            }
            ReplicationError::ConnectionInUse(_) => Self::with_message(ErrorCode::OperationAborted, text),
            ReplicationError::ConnectionExists(_) => Self::with_message(ErrorCode::EntityAlreadyExists, text),
            ReplicationError::Invalid(_) => Self::with_message(ErrorCode::InvalidArgument, text),
            ReplicationError::Conflict(_) => Self::with_message(ErrorCode::OperationAborted, text),
            ReplicationError::Storage(error) => error.into(),
            ReplicationError::Store(store) if store.is_full() => {
                Self::new(ErrorCode::InsufficientStorage).because(text)
            }
            ReplicationError::Store(_) | ReplicationError::Seal(_) => Self::internal(text),
            ReplicationError::Busy => Self::new(ErrorCode::SlowDown).because(text),
            ReplicationError::Stopped | ReplicationError::TimedOut => {
                Self::new(ErrorCode::ServiceUnavailable).because(text)
            }
        }
    }
}
