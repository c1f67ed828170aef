//! Sends requests to another S3 service: signed, without redirects, to addresses that may be spoken to, and with an end to all waiting.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use actix_web::http::header::{HeaderMap as SignedMap, HeaderName as SignedName, HeaderValue as SignedValue};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use myfsio_actors::clock::SharedClock;
use myfsio_actors::names::Stamp;
use myfsio_actors::outgoing::{Allowed, why};
use reqwest::header::{CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Body, Client, Method, Response, StatusCode};

use super::content::{Payload, Pieces, Sending};
use super::sign::{Signer, Unsigned};
use super::target::{Endpoint, query};
use crate::s3::auth::payload::UNSIGNED;
use crate::s3::auth::signing::{EMPTY_SHA256, seconds_of, sha256_hex};
use crate::s3::replica::USER_AGENT;
use crate::s3::xml::client::{self as documents, Refusal};

/// How long a connection may take to be made.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// How long nothing may happen: no byte sent, none received.
const IDLE_PATIENCE: Duration = Duration::from_secs(60);
/// The same of a question to a node, which takes no time to answer.
const QUESTION_PATIENCE: Duration = Duration::from_secs(15);
/// How long a connection that is not used is kept.
const POOL_IDLE: Duration = Duration::from_secs(30);
/// Largest answer that is read, in bytes: a page of 1000 keys of 1024 bytes, percent-encoded, fits.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The code of a clock that is too far off (S3 API Reference, "Error responses").
const SKEWED: &str = "RequestTimeTooSkewed";

/// The service that a connection leads to, and who the node is there.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Where.
    pub endpoint: Endpoint,
    /// Signs; none for a node that takes who asks for granted, as at its admin socket.
    pub signer: Option<Signer>,
    /// Seconds by which its clock is ahead of the node's, as far as that keeps it from taking signatures.
    pub ahead_seconds: Arc<AtomicI64>,
}

/// A request.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Method.
    pub method: Method,
    /// What it is about.
    pub place: Place<'a>,
    /// Names and values of the query.
    pub query: &'a [(&'a str, &'a str)],
    /// Headers beside those of the signature.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub payload: Payload,
}

/// What a request is about.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// A bucket.
    Bucket(&'a str),
    /// A key in a bucket.
    Key(&'a str, &'a str),
    /// A route of a node's own.
    Route(&'a str),
}

/// An answer that is no refusal.
#[derive(Debug)]
pub struct Reply {
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Reply {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// An answer whose body is still to come.
pub struct Download {
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub pieces: Pieces,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("headers", &self.headers).finish_non_exhaustive()
    }
}

impl Download {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Why a request came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nobody answered, or not to the end.
    #[error("{0}")]
    Unreachable(String),
    /// It was refused.
    #[error("{}", told(*.status, .refusal))]
    Refused {
        /// HTTP status.
        status: u16,
        /// Code and message.
        refusal: Refusal,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// It was answered by something that does not speak S3.
    #[error("{0}")]
    Nonsense(String),
    /// What was to be sent could not be read here.
    #[error("{0}")]
    Ours(String),
    /// It can never be sent.
    #[error("{0}")]
    Impossible(String),
}

fn told(status: u16, refusal: &Refusal) -> String {
    match (refusal.code.as_str(), refusal.message.as_str()) {
        ("", _) if (300..400).contains(&status) => format!("answered {status}: redirects are not followed"),
        ("", _) => format!("answered {status}"),
        (code, "") => format!("answered {status} {code}"),
        (code, message) => format!("{message} ({code})"),
    }
}

impl Failure {
    /// That of a key which has no path.
    pub fn unsayable() -> Self {
        Self::Impossible("no URL can hold this key".to_owned())
    }

    /// The code of a refusal.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { refusal, .. } => &refusal.code,
            _ => "",
        }
    }

    /// The status of a refusal; 0 for anything else.
    pub fn status(&self) -> u16 {
        match self {
            Self::Refused { status, .. } => *status,
            _ => 0,
        }
    }
}

/// Sends requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct S3Client {
    /// Or why nothing can be sent.
    http: Result<Client, String>,
    allowed: Allowed,
    clock: SharedClock,
}

impl S3Client {
    /// A client that speaks to no other addresses than those.
    pub fn new(allowed: Allowed, clock: SharedClock) -> Self {
        let http = allowed
            .client()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_PATIENCE)
            .pool_idle_timeout(POOL_IDLE)
            .tcp_nodelay(true)
            .build();
        Self { http: http.map_err(why), allowed, clock }
    }

    /// A client that asks a node at its admin socket, whatever host is named.
    pub fn at_socket(socket: &Path, allowed: Allowed, clock: SharedClock) -> Self {
        let http = allowed.client().user_agent(USER_AGENT).unix_socket(socket).build();
        Self { http: http.map_err(why), allowed, clock }
    }

    /// What time it is here.
    pub fn now(&self) -> Stamp {
        self.clock.now()
    }

    /// Sends a request and waits for the whole answer. Errs: whatever is no 2xx.
    pub async fn send(&self, remote: &Remote, ask: Ask<'_>) -> Result<Reply, Failure> {
        let patience = patience(&ask);
        let progress = Arc::new(AtomicU64::new(0));
        let work = async {
            let response = self.ask(remote, ask, &progress).await?;
            self.read(remote, response, &progress).await
        };
        watched(&progress, patience, work).await.unwrap_or_else(|| Err(silent(patience)))
    }

    /// Sends a request and waits for the head of the answer; its body comes in pieces, as it is asked for. Errs: whatever is no 2xx.
    pub async fn open(&self, remote: &Remote, ask: Ask<'_>) -> Result<Download, Failure> {
        let patience = patience(&ask);
        let progress = Arc::new(AtomicU64::new(0));
        let work = async {
            let response = self.ask(remote, ask, &progress).await?;
            match response.status().is_success() {
                true => Ok(response),
                // The same as if all of it had been waited for.
                false => match self.read(remote, response, &progress).await {
                    Ok(_) => Err(Failure::Nonsense("the answer changed while it was read".to_owned())),
                    Err(failure) => Err(failure),
                },
            }
        };
        let response: Response = watched(&progress, patience, work).await.unwrap_or_else(|| Err(silent(patience)))?;
        let headers = response.headers().clone();
        let pieces = stream::try_unfold(response, move |mut response| async move {
            match tokio::time::timeout(patience, response.chunk()).await {
                Ok(Ok(piece)) => Ok(piece.map(|piece| (piece, response))),
                Ok(Err(error)) => Err(why(error)),
                Err(_) => Err(silent(patience).to_string()),
            }
        });
        Ok(Download { headers, pieces: Box::pin(pieces) })
    }

    async fn ask(&self, remote: &Remote, ask: Ask<'_>, progress: &Arc<AtomicU64>) -> Result<Response, Failure> {
        let http = self.http.as_ref().map_err(|reason| Failure::Ours(reason.clone()))?;
        self.allowed.check(remote.endpoint.url()).map_err(Failure::Unreachable)?;
        let path = match ask.place {
            Place::Bucket(bucket) => remote.endpoint.path_of(bucket, None),
            Place::Key(bucket, key) => remote.endpoint.path_of(bucket, Some(key)),
            Place::Route(route) => Some(remote.endpoint.path(route)),
        };
        let path = path.ok_or_else(Failure::unsayable)?;
        let query = query(ask.query);
        let url = remote.endpoint.url_of(&path, &query).ok_or_else(Failure::unsayable)?;
        let headers = self.signed_headers(remote, &ask, &path, &query)?;
        let Sending { body, failure } = ask.payload.into_sending(Arc::clone(progress));
        // The HTTP client says nothing of a body that is not there, which S3 asks for.
        let says_none = body.is_none() && matches!(ask.method, Method::PUT | Method::POST);
        let mut request = http.request(ask.method, url).headers(headers);
        if says_none {
            request = request.header(CONTENT_LENGTH, 0);
        }
        if let Some(body) = body {
            request = request.body::<Body>(body);
        }
        request.send().await.map_err(|error| match failure.get() {
            Some(reason) => Failure::Ours(reason.clone()),
            None => Failure::Unreachable(why(error)),
        })
    }

    fn signed_headers(&self, remote: &Remote, ask: &Ask<'_>, path: &str, query: &str) -> Result<HeaderMap, Failure> {
        let unsayable = |name: &str| Failure::Impossible(format!("the header {name} cannot be sent"));
        let mut map = SignedMap::new();
        for (name, value) in &ask.headers {
            let field = SignedName::from_bytes(name.as_bytes()).map_err(|_| unsayable(name))?;
            map.append(field, SignedValue::from_bytes(value.as_bytes()).map_err(|_| unsayable(name))?);
        }
        let digest;
        let payload = match &ask.payload {
            Payload::Empty => EMPTY_SHA256,
            Payload::Document(document) => {
                digest = sha256_hex(document);
                &digest
            }
            Payload::Object(..) => UNSIGNED,
        };
        let authority = remote.endpoint.authority();
        let unsigned = Unsigned { method: ask.method.as_str(), authority, path, query, payload };
        let nanos = remote.ahead_seconds.load(Ordering::Relaxed).saturating_mul(1_000_000_000);
        let now = Stamp(self.clock.now().0.saturating_add_signed(nanos));
        if let Some(signer) = &remote.signer {
            signer.sign(&unsigned, &mut map, now).ok_or_else(|| unsayable("authorization"))?;
        }
        // The server's and the client's libraries have headers of their own each.
        let mut headers = HeaderMap::with_capacity(map.len());
        for (name, value) in &map {
            let field = HeaderName::from_bytes(name.as_str().as_bytes()).map_err(|_| unsayable(name.as_str()))?;
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| unsayable(name.as_str()))?;
            headers.append(field, value);
        }
        Ok(headers)
    }

    async fn read(&self, remote: &Remote, mut response: Response, progress: &AtomicU64) -> Result<Reply, Failure> {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Failure::Unreachable(why(error)))? {
            progress.fetch_add(1, Ordering::Relaxed);
            if body.len().saturating_add(chunk.len()) > ANSWER_BYTES_MAX {
                return Err(Failure::Nonsense("the answer is too long".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(Reply { headers, body: body.freeze() });
        }
        let refusal = refusal_of(&body);
        if refusal.code == SKEWED {
            self.learn_time(remote, &headers);
        }
        Err(Failure::Refused { status: status.as_u16(), refusal, retry_after: retry_after(status, &headers) })
    }

    /// Takes over the time of a service that refused the node's, as SDKs do: the next request is signed with it.
    fn learn_time(&self, remote: &Remote, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let there = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let there = there.and_then(|there| there.duration_since(SystemTime::UNIX_EPOCH).ok());
        if let Some(there) = there.and_then(|there| i64::try_from(there.as_secs()).ok()) {
            let ahead = there.saturating_sub(seconds_of(self.clock.now()));
            tracing::warn!(endpoint = %remote.endpoint, ahead, "the clocks differ: requests are signed with the time there");
            remote.ahead_seconds.store(ahead, Ordering::Relaxed);
        }
    }
}

/// Code and message of a refusal, in XML or in the JSON of a node's own routes.
fn refusal_of(body: &[u8]) -> Refusal {
    let of_json = || {
        let told: serde_json::Value = serde_json::from_slice(body).ok()?;
        let text = |name: &str| told.get("error")?.get(name)?.as_str().map(str::to_owned);
        Some(Refusal { code: text("code")?, message: text("message").unwrap_or_default() })
    };
    match body.first() {
        Some(b'{') => of_json().unwrap_or_default(),
        _ => documents::refusal(body),
    }
}

/// `Retry-After` of an answer that asks to be left alone, in seconds or as a date (RFC 9110 §10.2.3).
fn retry_after(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let asks = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
    let text = headers.get(RETRY_AFTER).filter(|_| asks)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let of = |date: &str| httpdate::parse_http_date(date).ok();
            let now = of(headers.get(DATE)?.to_str().ok()?)?;
            of(text)?.duration_since(now).ok()
        }
    }
}

/// How long nothing may happen to a request.
fn patience(ask: &Ask<'_>) -> Duration {
    match ask.place {
        Place::Route(_) => QUESTION_PATIENCE,
        Place::Bucket(_) | Place::Key(..) => IDLE_PATIENCE,
    }
}

fn silent(patience: Duration) -> Failure {
    Failure::Unreachable(format!("no answer for {} seconds", patience.as_secs()))
}

/// Waits for work as long as there is progress; none when there was none for too long.
async fn watched<T>(progress: &AtomicU64, patience: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let mut seen = progress.load(Ordering::Relaxed);
    loop {
        if let Ok(done) = tokio::time::timeout(patience, &mut work).await {
            return Some(done);
        }
        let now = progress.load(Ordering::Relaxed);
        if now == seen {
            return None;
        }
        seen = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_in_both_forms() {
        let json = refusal_of(br#"{"error":{"code":"AccessDenied","message":"No."}}"#);
        let xml = refusal_of(b"<Error><Code>AccessDenied</Code><Message>No.</Message></Error>");
        assert_eq!(json, xml);
        assert_eq!(refusal_of(b"<html></html>"), Refusal::default());
        assert_eq!(told(403, &xml), "No. (AccessDenied)");
        assert_eq!(told(502, &Refusal::default()), "answered 502");
        assert_eq!(told(307, &Refusal::default()), "answered 307: redirects are not followed");
    }

    #[test]
    fn how_long_to_wait() {
        let after = |status, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
            headers.insert(DATE, HeaderValue::from_static("Fri, 24 May 2013 00:00:00 GMT"));
            retry_after(status, &headers)
        };
        let busy = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(after(busy, "7"), Some(Duration::from_secs(7)));
        assert_eq!(after(busy, "Fri, 24 May 2013 00:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(after(busy, "soon"), None);
        assert_eq!(after(StatusCode::NOT_FOUND, "7"), None);
    }

    #[actix_web::test]
    async fn silence_ends_the_wait_and_progress_does_not() {
        let (progress, patience) = (AtomicU64::new(0), Duration::from_millis(60));
        assert_eq!(watched(&progress, patience, std::future::pending::<()>()).await, None);
        let slow = async {
            for _ in 0..10 {
                tokio::time::sleep(patience / 3).await;
                progress.fetch_add(1, Ordering::Relaxed);
            }
        };
        assert_eq!(watched(&progress, patience, slow).await, Some(()));
    }
}
