//! The scrub: how far it is and what it has found, and beginning and ending it. For administrators.

use std::sync::Arc;
use std::time::Duration;

use actix_http::error::PayloadError;
use actix_web::http::StatusCode;
use bytes::Bytes;
use futures_util::Stream;
use myfsio_actors::audit::AuditEntry;
use myfsio_actors::scrub::{ScrubError, ScrubOrder, ScrubReport, ScrubRun};
use serde_json::{Value, json};

use super::route::ScrubRoute;
use crate::node::Node;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight::Caller;
use crate::s3::respond::{self, Answer, RequestId};

/// Largest body, in bytes.
const BODY_BYTES_MAX: usize = 4 << 10;
/// Longest wait for the end of a run, in seconds.
const WAIT_SECONDS_MAX: u64 = 50;

/// Answers a request for the scrub. Errs: InvalidArgument, OperationAborted while a run is at work, NoSuchBucket.
pub async fn answer(
    node: &Arc<Node>,
    mut caller: Caller,
    request_id: RequestId,
    route: ScrubRoute,
    incoming: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
) -> Answer {
    let (action, status, run) = match route {
        ScrubRoute::Report => {
            let wait = caller.query().get("wait").map_or(Ok(0), str::parse).ok().filter(|s| *s <= WAIT_SECONDS_MAX);
            let limits = || format!("A number of seconds up to {WAIT_SECONDS_MAX}.");
            let text = || caller.query().get("wait").unwrap_or_default();
            let wait = wait.ok_or_else(|| S3Error::invalid_argument("wait", text(), limits()))?;
            let report = node.scrub.report_when_idle(Duration::from_secs(wait)).await;
            return Ok(respond::no_store(respond::json(StatusCode::OK, &told(node, &report))));
        }
        ScrubRoute::Begin => {
            let body = caller.body(incoming)?.collect(BODY_BYTES_MAX).await?;
            let order = match body.trim_ascii() {
                b"" => ScrubOrder::default(),
                text => serde_json::from_slice(text)
                    .map_err(|e| S3Error::with_message(ErrorCode::InvalidArgument, e.to_string()))?,
            };
            ("myfsio:BeginScrub", StatusCode::ACCEPTED, node.scrub.begin(order).await?)
        }
        ScrubRoute::Stop => ("myfsio:StopScrub", StatusCode::OK, node.scrub.cancel().await?),
    };
    let target = format!("arn:aws:s3:::{}", run.order.bucket.as_deref().unwrap_or("*"));
    let body = of_run(&run);
    let entry = AuditEntry::of_change(node.clock.now(), caller.origin(request_id), action, target, &Value::Null, &body);
    node.audit.record(entry.into_iter().collect()).await;
    Ok(respond::json(status, &body))
}

/// A run, but for where exactly it is.
fn of_run(run: &ScrubRun) -> Value {
    let mut body = serde_json::to_value(run).unwrap_or_default();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("position");
    }
    body
}

fn told(node: &Node, report: &ScrubReport) -> Value {
    let settings = node.scrub.settings();
    let state = if report.run.is_some() { "running" } else { "idle" };
    json!({
        "state": state,
        "bytes_per_second": settings.bytes_per_second,
        "interval_days": settings.interval.map(|interval| interval.as_secs() / 86_400),
        "next_run_millis": node.scrub.next_run().map(|next| next.0 / 1_000_000),
        "percent": report.run.as_ref().map(ScrubRun::percent),
        "run": report.run.as_ref().map(of_run),
        "waiting": report.waiting.as_ref().map(of_run),
        "last_runs": report.last_runs.iter().map(of_run).collect::<Vec<_>>(),
        "findings": report.findings,
    })
}

impl From<ScrubError> for S3Error {
    fn from(error: ScrubError) -> Self {
        let text = error.to_string();
        match error {
            ScrubError::Running => Self::with_message(ErrorCode::OperationAborted, text),
            ScrubError::NotRunning => Self::with_message(ErrorCode::InvalidRequest, text),
            ScrubError::InvalidBucketName(bucket) => {
                Self::new(ErrorCode::InvalidBucketName).field("BucketName", bucket)
            }
            ScrubError::Storage(error) => error.into(),
            ScrubError::Kept(_) => Self::internal(text),
            ScrubError::Busy => Self::new(ErrorCode::SlowDown).because(text),
            ScrubError::Stopped | ScrubError::TimedOut => Self::new(ErrorCode::ServiceUnavailable).because(text),
        }
    }
}
