//! The body of a request: unwrapped from aws-chunked, counted, limited, and given up when the client stops sending.
//!
//! INVARIANT: a body ends well (`next` answers none) only when exactly the declared number of bytes has arrived and,
//! for aws-chunked bodies, the framing and its signatures are whole. Nothing is buffered beyond what one read gave.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use actix_http::error::PayloadError;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use myfsio_actors::names::Checksum;
use myfsio_actors::storage::{BodyWriter, FinishedBody};

use super::auth::ChunkedDecoder;
use super::checksum::{BodyChecks, Trailers};
use super::error::{ErrorCode, S3Error};

type Incoming = Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>;

/// What is known of a body before it is read.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Size of the content in bytes, if the head told it.
    pub declared: Option<u64>,
    /// Most bytes of content.
    pub max: u64,
    /// Longest wait for the next bytes, and head start of the lowest rate.
    pub idle: Duration,
}

/// Lowest average rate at which a body may arrive and an answer be taken, in bytes per second: a client that drips must not
/// keep its place among the requests for days.
pub const RATE_MIN: u64 = 1024;

/// The body of one request.
pub struct RequestBody {
    incoming: Incoming,
    decoder: Option<ChunkedDecoder>,
    ready: VecDeque<Bytes>,
    limits: BodyLimits,
    checks: BodyChecks,
    received: u64,
    /// Bytes as they came from the socket, framing included.
    arrived: u64,
    /// When the first bytes were waited for.
    began: Option<tokio::time::Instant>,
    trailers: Trailers,
    ended: bool,
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("limits", &self.limits)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

impl RequestBody {
    /// A body that is read from `incoming`, through `decoder` when its framing is aws-chunked; `checks` are the claims
    /// that [`RequestBody::collect`] verifies.
    pub fn new(
        incoming: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
        decoder: Option<ChunkedDecoder>,
        limits: BodyLimits,
        checks: BodyChecks,
    ) -> Self {
        Self {
            incoming: Box::pin(incoming),
            decoder,
            ready: VecDeque::new(),
            limits,
            checks,
            received: 0,
            arrived: 0,
            began: None,
            trailers: Vec::new(),
            ended: false,
        }
    }

    /// Size of the content in bytes, if the head told it.
    pub fn declared_size(&self) -> Option<u64> {
        self.limits.declared
    }

    /// Trailers, once the body has ended.
    pub fn trailers(&self) -> &[(String, String)] {
        &self.trailers
    }

    /// The next bytes of content; none at its end. Errs: IncompleteBody, EntityTooLarge, RequestTimeout, and the
    /// refusals of the aws-chunked decoder.
    pub async fn next(&mut self) -> Option<Result<Bytes, S3Error>> {
        match self.try_next().await {
            Ok(Some(bytes)) => Some(Ok(bytes)),
            Ok(None) => None,
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }

    async fn try_next(&mut self) -> Result<Option<Bytes>, S3Error> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                if bytes.is_empty() {
                    continue;
                }
                self.count(bytes.len())?;
                return Ok(Some(bytes));
            }
            if self.ended {
                return Ok(None);
            }
            match self.receive().await? {
                Some(bytes) => match &mut self.decoder {
                    Some(decoder) => self.ready.extend(decoder.feed(bytes)?),
                    None => self.ready.push_back(bytes),
                },
                None => self.end()?,
            }
        }
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, S3Error> {
        let now = tokio::time::Instant::now();
        let began = *self.began.get_or_insert(now);
        let slowest = began + self.limits.idle + Duration::from_secs(self.arrived / RATE_MIN);
        let deadline = slowest.min(now + self.limits.idle);
        match tokio::time::timeout_at(deadline, self.incoming.next()).await {
            Err(_) => Err(ErrorCode::RequestTimeout.into()),
            Ok(None) => Ok(None),
            Ok(Some(Ok(bytes))) => {
                self.arrived = self.arrived.saturating_add(bytes.len() as u64);
                Ok(Some(bytes))
            }
            Ok(Some(Err(error))) => Err(S3Error::new(ErrorCode::IncompleteBody).because(error)),
        }
    }

    fn count(&mut self, bytes: usize) -> Result<(), S3Error> {
        self.received = self.received.saturating_add(bytes as u64);
        if self.limits.declared.is_some_and(|declared| self.received > declared) {
            return Err(S3Error::with_message(
                ErrorCode::IncompleteBody,
                "The request body is longer than the declared number of bytes.",
            ));
        }
        if self.received > self.limits.max {
            return Err(too_large(self.received, self.limits.max));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), S3Error> {
        self.ended = true;
        if let Some(decoder) = self.decoder.take() {
            self.trailers = decoder.finish()?;
        }
        match self.limits.declared {
            Some(declared) if self.received != declared => Err(ErrorCode::IncompleteBody.into()),
            _ => Ok(()),
        }
    }

    /// Reads a whole document of at most `limit` bytes and verifies every claim about it. Errs:
    /// MaxMessageLengthExceeded, BadDigest, XAmzContentSHA256Mismatch, and those of [`RequestBody::next`].
    pub async fn collect(&mut self, limit: usize) -> Result<Bytes, S3Error> {
        let over =
            || S3Error::from(ErrorCode::MaxMessageLengthExceeded).field("MaxMessageLengthBytes", limit.to_string());
        if self.limits.declared.is_some_and(|declared| declared > limit as u64) {
            return Err(over());
        }
        let mut document = BytesMut::new();
        while let Some(bytes) = self.next().await {
            let bytes = bytes?;
            if document.len() + bytes.len() > limit {
                return Err(over());
            }
            document.extend_from_slice(&bytes);
        }
        self.checks.verify_bytes(&document, &self.trailers)?;
        Ok(document.freeze())
    }

    /// Streams the body into a writer and compares all digests; gives back the finished body and the checksum to keep.
    /// On an error nothing is left behind.
    pub async fn write_to(
        &mut self,
        mut writer: BodyWriter,
        checks: &BodyChecks,
    ) -> Result<(FinishedBody, Option<Checksum>), S3Error> {
        while let Some(bytes) = self.next().await {
            writer.write(bytes?).await?;
        }
        let finished = writer.finish().await?;
        let checksum = checks.verify(finished.digests(), &self.trailers)?;
        Ok((finished, checksum))
    }
}

/// The refusal of content that is, or is declared, too large.
pub fn too_large(size: u64, max: u64) -> S3Error {
    S3Error::new(ErrorCode::EntityTooLarge)
        .field("ProposedSize", size.to_string())
        .field("MaxSizeAllowed", max.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn body(chunks: Vec<Result<&'static str, PayloadError>>, declared: Option<u64>, max: u64) -> RequestBody {
        let chunks = chunks.into_iter().map(|chunk| chunk.map(|text| Bytes::from_static(text.as_bytes())));
        let limits = BodyLimits { declared, max, idle: Duration::from_secs(5) };
        RequestBody::new(stream::iter(chunks.collect::<Vec<_>>()), None, limits, BodyChecks::default())
    }

    fn refusal(result: Result<Bytes, S3Error>) -> ErrorCode {
        result.unwrap_err().code()
    }

    #[actix_rt::test]
    async fn ends_only_at_the_declared_size() {
        assert_eq!(body(vec![Ok("ab"), Ok(""), Ok("c")], Some(3), 10).collect(10).await.unwrap(), "abc");
        assert_eq!(refusal(body(vec![Ok("ab")], Some(3), 10).collect(10).await), ErrorCode::IncompleteBody);
        assert_eq!(refusal(body(vec![Ok("abcd")], Some(3), 10).collect(10).await), ErrorCode::IncompleteBody);
        let broken = vec![Ok("ab"), Err(PayloadError::Incomplete(None))];
        assert_eq!(refusal(body(broken, Some(3), 10).collect(10).await), ErrorCode::IncompleteBody);
    }

    #[actix_rt::test]
    async fn limits_hold_with_and_without_a_declared_size() {
        assert_eq!(refusal(body(vec![Ok("abc")], None, 2).collect(10).await), ErrorCode::EntityTooLarge);
        assert_eq!(refusal(body(vec![Ok("abc")], None, 9).collect(2).await), ErrorCode::MaxMessageLengthExceeded);
        assert_eq!(refusal(body(vec![Ok("abc")], Some(3), 9).collect(2).await), ErrorCode::MaxMessageLengthExceeded);
    }

    #[actix_rt::test]
    async fn a_client_that_drips_is_given_up() {
        let drops = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Some((Ok(Bytes::from_static(b"x")), ()))
        });
        let limits = BodyLimits { declared: Some(1_000_000), max: 1_000_000, idle: Duration::from_millis(100) };
        let mut dripping = RequestBody::new(drops, None, limits, BodyChecks::default());
        assert_eq!(refusal(dripping.collect(1_000_000).await), ErrorCode::RequestTimeout);
    }

    #[actix_rt::test]
    async fn a_silent_client_is_given_up() {
        let limits = BodyLimits { declared: Some(1), max: 1, idle: Duration::from_millis(5) };
        let mut silent = RequestBody::new(stream::pending(), None, limits, BodyChecks::default());
        assert_eq!(refusal(silent.collect(1).await), ErrorCode::RequestTimeout);
        assert!(silent.next().await.is_none());
    }
}
