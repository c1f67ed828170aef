//! Bodies of requests: documents, and objects that are read from Storage while they are sent.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Frame, SizeHint};
use reqwest::Body;

/// Pieces of an object, in order.
pub type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, String>> + Send>>;

/// A body.
pub enum Payload {
    /// None.
    Empty,
    /// A document, whose digest is signed.
    Document(Bytes),
    /// So many bytes of an object, whose digest stands in headers of its own.
    Object(u64, Pieces),
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Document(document) => write!(f, "Document({} bytes)", document.len()),
            Self::Object(size, _) => write!(f, "Object({size} bytes)"),
        }
    }
}

/// A body on its way.
pub(super) struct Sending {
    /// The body; none for none.
    pub body: Option<Body>,
    /// Why it could not be read to its end.
    pub failure: Arc<OnceLock<String>>,
}

impl Payload {
    /// The body, whose progress is counted.
    pub(super) fn into_sending(self, progress: Arc<AtomicU64>) -> Sending {
        let failure = Arc::new(OnceLock::new());
        let body = match self {
            Self::Empty => None,
            Self::Document(document) => Some(Body::from(document)),
            Self::Object(0, _) => Some(Body::from(Bytes::new())),
            Self::Object(left, pieces) => {
                let failure = Arc::clone(&failure);
                Some(Body::wrap(ObjectBody { pieces: Mutex::new(pieces), left, progress, failure }))
            }
        };
        Sending { body, failure }
    }
}

/// An object could not be read to its end.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unread(String);

/// The bytes of an object as the HTTP client takes them: exactly as many as were announced, or an error.
struct ObjectBody {
    /// The client wants to share what only one task ever polls.
    pieces: Mutex<Pieces>,
    left: u64,
    progress: Arc<AtomicU64>,
    failure: Arc<OnceLock<String>>,
}

impl ObjectBody {
    fn fail(&self, reason: String) -> Poll<Option<Result<Frame<Bytes>, Unread>>> {
        Poll::Ready(Some(Err(Unread(self.failure.get_or_init(|| reason).clone()))))
    }
}

impl http_body::Body for ObjectBody {
    type Data = Bytes;
    type Error = Unread;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unread>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let next = self.pieces.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll_next(cx);
        let Poll::Ready(next) = next else { return Poll::Pending };
        self.progress.fetch_add(1, Ordering::Relaxed);
        match next {
            None => self.fail("the object is shorter than its size".to_owned()),
            Some(Err(reason)) => self.fail(reason),
            Some(Ok(piece)) => match self.left.checked_sub(piece.len() as u64) {
                None => self.fail("the object is longer than its size".to_owned()),
                Some(left) => {
                    self.left = left;
                    Poll::Ready(Some(Ok(Frame::data(piece))))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
