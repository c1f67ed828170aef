//! What a request keeps while its answer is sent, and what is told of it when the last byte has gone.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::error::PayloadError;
use actix_http::{Payload, Request};
use actix_web::http::header::HeaderMap;
use bytes::Bytes;
use futures_util::stream::Stream;
use tokio::sync::OwnedSemaphorePermit;

use crate::connection::{Phase, Serving};
use crate::node::Node;
use crate::requests::RequestRecord;
use crate::s3::exchange::Exchange;
use crate::s3::respond::RequestId;
use crate::spans::TraceContext;

/// What a response keeps until its last byte is sent: the request's place, its body, and its turn on the connection.
///
/// While the body lives, the HTTP layer knows that nobody has read it to its end: it then announces the close of the
/// connection, takes in leftovers for [`super::DISCONNECT_TIMEOUT`] and closes. Dropped early, a chunked body would be taken in
/// without end.
///
/// When it ends, what there is to tell of the request is told.
#[derive(Default)]
pub(super) struct Hold {
    pub(super) permit: Option<Arc<OwnedSemaphorePermit>>,
    pub(super) payload: Option<SharedPayload>,
    _serving: Option<Serving>,
    pub(super) exchange: Exchange,
    /// Whom it is told to.
    node: Option<Arc<Node>>,
    pub(super) request_id: RequestId,
    /// The trace that it belongs to.
    pub(super) trace: Option<TraceContext>,
    sent: u64,
}

impl Hold {
    pub(super) fn new(
        node: &Arc<Node>,
        request_id: RequestId,
        payload: Payload,
        serving: Option<Serving>,
        exchange: Exchange,
    ) -> Self {
        let payload = SharedPayload::new(payload);
        let node = Some(Arc::clone(node));
        Self { permit: None, payload, _serving: serving, exchange, node, request_id, trace: None, sent: 0 }
    }

    /// The same, which belongs to the trace that these headers tell of, or to one that begins with it.
    pub(super) fn traced(mut self, headers: &HeaderMap) -> Self {
        let spans = self.node.as_ref().and_then(|node| node.spans.as_ref());
        self.trace = spans.map(|spans| spans.begin(headers, self.request_id));
        self
    }

    /// Of a request that nobody is told of: what it asks of the node is told where it is asked.
    pub(super) fn untold(payload: Option<SharedPayload>, serving: Option<Serving>) -> Self {
        let mut hold = Self::default();
        (hold.payload, hold._serving) = (payload, serving);
        hold
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(node) = &self.node else { return };
        let exchange = std::mem::take(&mut self.exchange);
        let received = self.payload.as_ref().map_or((0, Duration::ZERO), SharedPayload::taken);
        exchange.watch.waited(received.1);
        let record = exchange.into_record(self.request_id, node.clock.now(), received.0, self.sent);
        node.metrics.observe(&record);
        let record = Arc::new(RequestRecord { trace: self.trace, ..record });
        if let Some(spans) = &node.spans {
            spans.tell(&record);
        }
        node.requests.record(record);
    }
}

/// Tells the connection that its request has come.
pub(super) fn serve_on(request: &Request) -> Option<Serving> {
    request.conn_data::<Phase>().map(Phase::serve)
}

/// A response body with what it keeps.
pub(super) struct Held {
    pub(super) body: BoxBody,
    pub(super) hold: Hold,
}

impl MessageBody for Held {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let next = Pin::new(&mut self.body).poll_next(cx);
        if let Poll::Ready(Some(Ok(bytes))) = &next {
            self.hold.exchange.note.sent(bytes.len());
            self.hold.sent += bytes.len() as u64;
        }
        next
    }
}

/// A request's body, read by its handler and kept by its response.
#[derive(Clone)]
pub(super) struct SharedPayload(Rc<Incoming>);

/// What is there of a body.
struct Incoming {
    payload: RefCell<Payload>,
    bytes: Cell<u64>,
    /// Since when the client is waited for.
    since: Cell<Option<Instant>>,
    waited: Cell<Duration>,
}

impl SharedPayload {
    /// The body, if the request has one.
    pub(super) fn new(payload: Payload) -> Option<Self> {
        match payload {
            Payload::None => None,
            payload => Some(Self(Rc::new(Incoming {
                payload: RefCell::new(payload),
                bytes: Cell::default(),
                since: Cell::default(),
                waited: Cell::default(),
            }))),
        }
    }

    /// Bytes that were read, and how long they were waited for.
    fn taken(&self) -> (u64, Duration) {
        (self.0.bytes.get(), self.0.waited.get())
    }
}

impl Stream for SharedPayload {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let incoming = &self.0;
        let polled = match incoming.payload.try_borrow_mut() {
            Ok(mut payload) => Pin::new(&mut *payload).poll_next(cx),
            // The response only keeps it, so nobody else ever reads.
            Err(_) => Poll::Ready(None),
        };
        match &polled {
            Poll::Pending if incoming.since.get().is_none() => incoming.since.set(Some(Instant::now())),
            Poll::Pending => {}
            Poll::Ready(read) => {
                let waited = incoming.since.take().map_or(Duration::ZERO, |since| since.elapsed());
                incoming.waited.set(incoming.waited.get() + waited);
                let bytes = read.as_ref().and_then(|read| read.as_ref().ok()).map_or(0, Bytes::len);
                incoming.bytes.set(incoming.bytes.get() + bytes as u64);
            }
        }
        polled
    }
}
