//! Streams of server-sent events (WHATWG HTML, "Server-sent events"): who listens, for how long, and that the stream lives.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use crate::node::Node;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight::Caller;

/// How often a stream on which nothing happens shows that it lives, and every stream's listener is asked for again.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What every stream has of its listener.
pub struct Listener {
    node: Arc<Node>,
    caller: Caller,
    stopping: watch::Receiver<bool>,
    /// When it was last known that the caller may listen.
    asked: Instant,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// Takes a place. Errs: SlowDown when too many listen.
    pub fn begin(node: &Arc<Node>, caller: Caller) -> Result<Self, S3Error> {
        let place = Arc::clone(&node.listeners).try_acquire_owned().map_err(|_| ErrorCode::SlowDown)?;
        let stopping = node.stopping.subscribe();
        Ok(Self { node: Arc::clone(node), caller, stopping, asked: Instant::now(), _place: place })
    }

    /// Whether the caller still administers the node, which is asked now and then.
    pub async fn may_stay(&mut self) -> bool {
        if self.asked.elapsed() < KEEP_ALIVE {
            return true;
        }
        self.asked = Instant::now();
        self.caller.is_still_administrator(&self.node).await
    }

    /// Waits until the node stops.
    pub async fn stopped(&mut self) {
        // An error means that the node is gone.
        let _gone = self.stopping.wait_for(|stopping| *stopping).await;
    }
}

/// The answer that goes on with whatever comes.
pub fn answer(told: impl Stream<Item = String> + 'static) -> HttpResponse {
    let greeting = stream::iter([Ok::<_, S3Error>(Bytes::from_static(b": listening\n\n"))]);
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(greeting.chain(told.map(|text| Ok(Bytes::from(text)))))
}
