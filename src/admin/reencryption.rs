//! The job that wraps data keys anew, and how much is wrapped under each key. For administrators.

use std::sync::Arc;
use std::time::Duration;

use actix_http::error::PayloadError;
use actix_web::http::StatusCode;
use bytes::Bytes;
use futures_util::Stream;
use myfsio_actors::audit::AuditEntry;
use myfsio_actors::encryption::{KeyUse, WrappingKey};
use myfsio_actors::kms::KeyState;
use myfsio_actors::reencryption::{Job, JobOrder, ReencryptionError};
use serde_json::{Value, json};

use super::route::ReencryptRoute;
use crate::node::Node;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight::Caller;
use crate::s3::respond::{self, Answer, RequestId};

/// Largest body, in bytes: a prefix takes most.
const BODY_BYTES_MAX: usize = 16 << 10;
/// Longest wait for the end of a job, in seconds.
const WAIT_SECONDS_MAX: u64 = 50;

/// Answers a request for the job. Errs: InvalidArgument, OperationAborted while another job is at work, NoSuchBucket.
pub async fn answer(
    node: &Arc<Node>,
    mut caller: Caller,
    request_id: RequestId,
    route: ReencryptRoute,
    incoming: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
) -> Answer {
    let (action, status, job) = match route {
        ReencryptRoute::Progress => {
            let wait = caller.query().get("wait").map_or(Ok(0), str::parse).ok().filter(|s| *s <= WAIT_SECONDS_MAX);
            let limits = || format!("A number of seconds up to {WAIT_SECONDS_MAX}.");
            let text = || caller.query().get("wait").unwrap_or_default();
            let wait = wait.ok_or_else(|| S3Error::invalid_argument("wait", text(), limits()))?;
            let job = node.reencryption.job_when_idle(Duration::from_secs(wait)).await;
            return Ok(respond::json(StatusCode::OK, &job.map_or(Value::Null, |job| told(&job))));
        }
        ReencryptRoute::Begin => {
            let body = caller.body(incoming)?.collect(BODY_BYTES_MAX).await?;
            let order = match body.trim_ascii() {
                b"" => JobOrder::default(),
                text => serde_json::from_slice(text)
                    .map_err(|e| S3Error::with_message(ErrorCode::InvalidArgument, e.to_string()))?,
            };
            ("myfsio:BeginReencryption", StatusCode::ACCEPTED, node.reencryption.begin(order).await?)
        }
        ReencryptRoute::Cancel => ("myfsio:CancelReencryption", StatusCode::OK, node.reencryption.cancel().await?),
    };
    let target = format!("arn:aws:s3:::{}", job.order.bucket.as_deref().unwrap_or("*"));
    let body = told(&job);
    let entry = AuditEntry::of_change(node.clock.now(), caller.origin(request_id), action, target, &Value::Null, &body);
    node.audit.record(entry.into_iter().collect()).await;
    Ok(respond::json(status, &body))
}

/// How much is wrapped under each key, and which keys the node has.
pub fn usage(node: &Node) -> Answer {
    let in_use = node.storage.keys_in_use()?;
    let masters = node.kms.master_keys().unwrap_or_default();
    let keys = node.kms.keys().unwrap_or_default();
    let used = |wanted: WrappingKey| {
        let found = in_use.iter().find(|(key, _)| *key == wanted).map(|(_, used)| *used);
        found.unwrap_or_default()
    };
    let is_here = |key: &WrappingKey| match key {
        WrappingKey::Managed(id) => Some(masters.contains(id)),
        WrappingKey::Kms(id) => Some(keys.iter().any(|key| key.id == *id)),
        WrappingKey::Customer => None,
    };
    let told = in_use.iter().map(|(key, used)| {
        json!({
            "method": key.method(), "key_id": key.id(), "objects": used.objects, "uploads": used.uploads, "here": is_here(key)
        })
    });
    let masters = masters.iter().enumerate().map(|(place, id)| {
        let KeyUse { objects, uploads } = used(WrappingKey::Managed(id.clone()));
        json!({ "key_id": id, "in_force": place == 0, "objects": objects, "uploads": uploads })
    });
    let of_kms = keys.iter().map(|key| {
        let KeyUse { objects, uploads } = used(WrappingKey::Kms(key.id.clone()));
        json!({
            "key_id": key.id, "account_id": key.account, "aliases": key.aliases, "state": state_name(key.state),
            "materials": key.materials().len(), "objects": objects, "uploads": uploads
        })
    });
    let body = json!({
        "keys": told.collect::<Vec<_>>(), "master_keys": masters.collect::<Vec<_>>(), "kms_keys": of_kms.collect::<Vec<_>>(),
        "trouble": node.kms.trouble()
    });
    Ok(respond::json(StatusCode::OK, &body))
}

fn state_name(state: KeyState) -> &'static str {
    match state {
        KeyState::Enabled => "enabled",
        KeyState::Disabled => "disabled",
        KeyState::PendingDeletion { .. } => "pending deletion",
    }
}

/// A job, but for where exactly it is.
fn told(job: &Job) -> Value {
    let mut body = serde_json::to_value(job).unwrap_or_default();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("position");
        fields.insert("bucket".to_owned(), json!(job.position.bucket));
    }
    body
}

impl From<ReencryptionError> for S3Error {
    fn from(error: ReencryptionError) -> Self {
        let text = error.to_string();
        match error {
            ReencryptionError::Running => Self::with_message(ErrorCode::OperationAborted, text),
            ReencryptionError::Unsound => Self::with_message(ErrorCode::InvalidArgument, text),
            ReencryptionError::NotRunning => Self::with_message(ErrorCode::InvalidRequest, text),
            ReencryptionError::InvalidBucketName(bucket) => {
                Self::new(ErrorCode::InvalidBucketName).field("BucketName", bucket)
            }
            ReencryptionError::Storage(error) => error.into(),
            ReencryptionError::Kms(error) => error.into(),
            ReencryptionError::Kept(_) => Self::internal(text),
            ReencryptionError::Busy => Self::new(ErrorCode::SlowDown).because(text),
            ReencryptionError::Stopped | ReencryptionError::TimedOut => {
                Self::new(ErrorCode::ServiceUnavailable).because(text)
            }
        }
    }
}
