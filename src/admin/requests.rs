//! Requests that ended: the last ones, and all as they end.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use crate::node::Node;
use crate::requests::{self, RequestFilter, RequestRecord};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight::Caller;
use crate::s3::query::Query;
use crate::s3::respond::{self, Answer, no_store};

/// Records of an answer when nothing is said of it, and at most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1000;
/// How often a stream on which nothing happens shows that it lives, and every stream's listener is asked for again.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The last requests that the query wants, newest first. Errs: InvalidArgument.
pub fn find(node: &Node, query: &Query) -> Answer {
    let filter = RequestFilter::parse(query)?;
    let limits = |text| S3Error::invalid_argument("limit", text, format!("It is a number from 1 to {LIMIT_MAX}."));
    let limit = |text: &str| text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    let limit = query.get("limit").map_or(Ok(LIMIT), |text| limit(text).ok_or_else(|| limits(text)))?;
    let found: Vec<_> = node.requests.find(&filter, limit).iter().map(|record| requests::json(record)).collect();
    Ok(no_store(respond::json(StatusCode::OK, &json!({ "requests": found }))))
}

/// A listener's end of the stream.
struct Listener {
    ended: Receiver<Arc<RequestRecord>>,
    stopping: watch::Receiver<bool>,
    filter: RequestFilter,
    node: Arc<Node>,
    caller: Caller,
    /// When it was last known that the caller may listen.
    asked: Instant,
    _place: OwnedSemaphorePermit,
}

/// Each request that the query wants, as it ends, as server-sent events (WHATWG HTML, "Server-sent events"). Who is too slow is told how
/// many were missed. Errs: InvalidArgument; SlowDown when too many listen.
pub fn trace(node: &Arc<Node>, caller: Caller) -> Answer {
    let filter = RequestFilter::parse(caller.query())?;
    let place = Arc::clone(&node.listeners).try_acquire_owned().map_err(|_| ErrorCode::SlowDown)?;
    let listener = Listener {
        ended: node.requests.listen(),
        stopping: node.stopping.subscribe(),
        filter,
        node: Arc::clone(node),
        caller,
        asked: Instant::now(),
        _place: place,
    };
    let greeting = stream::iter([Ok::<_, S3Error>(Bytes::from_static(b": listening\n\n"))]);
    let told = stream::unfold(listener, |mut listener| async move {
        let text = listener.next().await?;
        Some((Ok(Bytes::from(text)), listener))
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(greeting.chain(told)))
}

impl Listener {
    /// What is sent next; none when the node stops or the caller may not listen any more.
    async fn next(&mut self) -> Option<String> {
        let deadline = Instant::now() + KEEP_ALIVE;
        loop {
            if self.asked.elapsed() >= KEEP_ALIVE {
                if !self.caller.is_still_administrator(&self.node).await {
                    return None;
                }
                self.asked = Instant::now();
            }
            let received = tokio::select! {
                received = tokio::time::timeout_at(deadline, self.ended.recv()) => received,
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            };
            match received {
                Ok(Ok(record)) if self.filter.wants(&record) => {
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
    }
}
