//! Requests that ended: the last ones, the buckets that they were for, and all as they end.

use std::sync::Arc;

use actix_web::http::StatusCode;
use futures_util::stream;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::stream::{KEEP_ALIVE, Listener, answer};
use crate::node::Node;
use crate::requests::{self, Measure, RequestFilter, RequestRecord, busiest};
use crate::s3::error::S3Error;
use crate::s3::preflight::Caller;
use crate::s3::query::Query;
use crate::s3::respond::{self, Answer, no_store};

/// Records of an answer when nothing is said of it, and at most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1000;
/// Buckets of an answer when nothing is said of it, and at most.
const BUCKETS: usize = 10;
const BUCKETS_MAX: usize = 100;

/// The last requests that the query wants, newest first. Errs: InvalidArgument.
pub fn find(node: &Node, query: &Query) -> Answer {
    let filter = RequestFilter::parse(query)?;
    let limits = |text| S3Error::invalid_argument("limit", text, format!("It is a number from 1 to {LIMIT_MAX}."));
    let limit = |text: &str| text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    let limit = query.get("limit").map_or(Ok(LIMIT), |text| limit(text).ok_or_else(|| limits(text)))?;
    let found: Vec<_> = node.requests.find(&filter, limit).iter().map(|record| requests::json(record)).collect();
    Ok(no_store(respond::json(StatusCode::OK, &json!({ "requests": found }))))
}

/// The buckets that the last requests were for, those with the most first. Errs: InvalidArgument.
pub fn by_bucket(node: &Node, query: &Query) -> Answer {
    let measures = |text| S3Error::invalid_argument("by", text, "It is requests, received or sent.");
    let by =
        query.get("by").map_or(Ok(Measure::Requests), |text| Measure::parse(text).ok_or_else(|| measures(text)))?;
    let limits = |text| S3Error::invalid_argument("limit", text, format!("It is a number from 1 to {BUCKETS_MAX}."));
    let limit = |text: &str| text.parse().ok().filter(|limit| (1..=BUCKETS_MAX).contains(limit));
    let limit = query.get("limit").map_or(Ok(BUCKETS), |text| limit(text).ok_or_else(|| limits(text)))?;
    let kept = node.requests.find(&RequestFilter::default(), usize::MAX);
    let buckets = busiest(kept.iter().filter_map(|record| record.traffic()), by, limit);
    let told = buckets.into_iter().map(|(bucket, traffic)| {
        json!({
            "bucket": bucket, "requests": traffic.requests, "errors": traffic.errors,
            "bytes_received": traffic.received, "bytes_sent": traffic.sent,
        })
    });
    let since = kept.last().map(|record| record.ended.rfc3339());
    let told = json!({ "since": since, "requests": kept.len(), "buckets": told.collect::<Vec<_>>() });
    Ok(no_store(respond::json(StatusCode::OK, &told)))
}

/// Each request that the query wants, as it ends, as server-sent events. Who is too slow is told how many were missed. Errs:
/// InvalidArgument; SlowDown when too many listen.
pub fn trace(node: &Arc<Node>, caller: Caller) -> Answer {
    let filter = RequestFilter::parse(caller.query())?;
    let state = (Listener::begin(node, caller)?, node.requests.listen(), filter);
    let told = stream::unfold(state, |(mut listener, mut ended, filter)| async move {
        let text = next(&mut listener, &mut ended, &filter).await?;
        Some((text, (listener, ended, filter)))
    });
    Ok(answer(told))
}

/// What is sent next; none when the node stops or the caller may not listen any more.
async fn next(
    listener: &mut Listener,
    ended: &mut Receiver<Arc<RequestRecord>>,
    filter: &RequestFilter,
) -> Option<String> {
    let deadline = Instant::now() + KEEP_ALIVE;
    while listener.may_stay().await {
        let received = tokio::select! {
            received = tokio::time::timeout_at(deadline, ended.recv()) => received,
            () = listener.stopped() => return None,
        };
        match received {
            Ok(Ok(record)) if filter.wants(&record) => {
                let id = record.id;
                return Some(format!("id: {id}\nevent: request\ndata: {}\n\n", requests::json(&record)));
            }
            Ok(Ok(_)) => {}
            Ok(Err(RecvError::Lagged(missed))) => {
                return Some(format!("event: missed\ndata: {{\"requests\":{missed}}}\n\n"));
            }
            Ok(Err(RecvError::Closed)) => return None,
            Err(_) => return Some(": keep-alive\n\n".to_owned()),
        }
    }
    None
}
