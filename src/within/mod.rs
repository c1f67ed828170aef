//! What the console may ask of the node, and how: as the user who has signed in, never as itself.
//!
//! Changes, and all reads that the API has, are requests of the API that only lack a socket ([`crate::server::within`]): they are
//! counted, decided, audited and told as any other, and no rule is written twice. Reads whose answers the console shows as pages
//! ask for the same permission in the same way, and take the answer from Storage without a detour over XML.
//!
//! INVARIANT: nothing here answers for anybody but the asker. The console imports this room, and `s3` and `admin` only through it.

mod changes;
mod copy;
mod link;
mod patience;
mod reads;
mod recall;
mod refusal;
mod rewrite;
mod sign_in;

use std::net::IpAddr;
use std::sync::Arc;

use actix_http::{Payload, RequestHead, Response};
use actix_web::body::{BoxBody, MessageBody as _};
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use md5::{Digest as _, Md5};
use myfsio_actors::audit::AuditEntry;
use myfsio_actors::iam::Principal;
use myfsio_actors::names::{BucketName, ObjectKey};
use myfsio_actors::policy_engine::Reason;
use myfsio_actors::storage::{Bucket, Object};
use serde_json::Value;

pub use changes::Place;
pub use copy::{CopyLimits, Copying};
pub use patience::patiently;
pub use reads::{ObjectsWanted, VersionsWanted};
pub use recall::Whence;
pub use refusal::Refusal;
pub use sign_in::{Identity, resume, sign_in};

use crate::node::Node;
use crate::s3::auth::Mechanism;
use crate::s3::auth::canonical::encode;
use crate::s3::auth::settings::{public_url, split_port};
use crate::s3::authorize::{self, Facts};
pub use crate::s3::context::Expected;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight;
use crate::s3::query::Query;
use crate::s3::respond::RequestId;
use crate::s3::route::{self, Address, Route};
pub use crate::s3::xml::XmlWriter;
pub use crate::s3::xml::logging::write_logging;
pub use crate::s3::xml::website::write_website;
use crate::server::within::{self, Permitted};
use crate::tls;

/// Largest JSON answer that is read, in bytes.
const JSON_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Headers of the browser's request that say who sent it, and from where.
const KEPT_HEADERS: [&str; 9] = [
    "host",
    "user-agent",
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    tls::HEADER,
];

/// Somebody who has signed in, and the browser's request that they ask by.
#[derive(Debug, Clone)]
pub struct Asker {
    node: Arc<Node>,
    principal: Arc<Principal>,
    headers: HeaderMap,
    peer: Option<std::net::SocketAddr>,
    expected: Option<Expected>,
}

/// A request of the S3 API.
#[derive(Default)]
pub struct Wish<'a> {
    /// Its method.
    pub method: Method,
    /// The bucket; none for the service.
    pub bucket: Option<&'a BucketName>,
    /// The key; none for the bucket.
    pub key: Option<&'a ObjectKey>,
    /// Its query, not yet encoded. An empty value is written without `=`.
    pub query: &'a [(&'a str, &'a str)],
    /// Further headers. A value that is no header is refused.
    pub headers: &'a [(&'a str, &'a str)],
    /// Its body.
    pub payload: Option<Payload>,
}

/// `Content-MD5` of a document: some are not taken without.
fn content_md5(document: &str) -> String {
    STANDARD.encode(Md5::digest(document))
}

/// A body in memory.
pub fn body(bytes: impl Into<Bytes>) -> Payload {
    let bytes = bytes.into();
    Payload::from(Box::pin(stream::once(async move { Ok(bytes) })) as actix_http::BoxedPayloadStream)
}

impl Asker {
    /// Somebody who asks by this request of a browser's. `head`: of the browser's request, which came to the console's port: the
    /// API is at the same host with its own port, unless it has a public URL.
    pub fn new(node: &Arc<Node>, principal: Arc<Principal>, head: &RequestHead, api_port: u16) -> Self {
        let mut headers = HeaderMap::new();
        for name in KEPT_HEADERS.map(HeaderName::from_static) {
            head.headers.get_all(&name).for_each(|value| headers.append(name.clone(), value.clone()));
        }
        for name in ["host", "x-forwarded-host"].map(HeaderName::from_static) {
            let told = headers.get(&name).and_then(|value| value.to_str().ok()?.split(',').next());
            let host = told.map(|host| format!("{}:{api_port}", split_port(host.trim()).0));
            if let Some(Ok(host)) = host.map(|host| HeaderValue::from_str(&host)) {
                headers.insert(name, host);
            }
        }
        Self { node: Arc::clone(node), principal, headers, peer: head.peer_addr, expected: None }
    }

    /// The same, whose changes by the S3 API are made only as long as they find what is expected: else nothing changes, and
    /// [`Refusal::is_not_as_expected`].
    pub fn expecting(&self, expected: Expected) -> Self {
        Self { expected: Some(expected), ..self.clone() }
    }

    /// Who it is.
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// The node, for what is no secret: its settings, its usage counters, its clock.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Where programs reach the API.
    pub fn endpoint(&self) -> String {
        let head = self.head(Method::GET, Uri::default());
        let seen = preflight::request_head(&head, None, self.peer.map(|peer| peer.ip()));
        public_url(&seen, &self.node.settings.auth).map(|url| url.text()).unwrap_or_default()
    }

    /// Address of the browser.
    pub fn address(&self) -> Option<IpAddr> {
        preflight::client_of(&self.node, &self.head(Method::GET, Uri::default()))
    }

    /// Carries out a request of the S3 API. Errs: as the API would.
    pub async fn s3(&self, mut wish: Wish<'_>) -> Result<Response<BoxBody>, Refusal> {
        let (head, address) = self.request(&wish)?;
        let payload = wish.payload.take().unwrap_or(Payload::None);
        Ok(within::answer(&self.node, head, Route::S3(address), payload, self.expected.clone()).await?)
    }

    /// Puts one configuration of a bucket, an XML document. Errs: as the API would.
    pub async fn put_document(&self, bucket: &BucketName, what: &str, document: &str) -> Result<(), Refusal> {
        self.put_document_with(bucket, what, document, &[]).await
    }

    /// The same with further headers. Errs: as the API would.
    pub async fn put_document_with(
        &self,
        bucket: &BucketName,
        what: &str,
        document: &str,
        further: &[(&str, &str)],
    ) -> Result<(), Refusal> {
        let length = document.len().to_string();
        let digest = content_md5(document);
        let mut headers =
            vec![("content-length", length.as_str()), ("content-type", "application/xml"), ("content-md5", &digest)];
        headers.extend_from_slice(further);
        let wish = Wish {
            method: Method::PUT,
            bucket: Some(bucket),
            query: &[(what, "")],
            headers: &headers,
            payload: Some(body(document.to_owned())),
            ..Wish::default()
        };
        self.s3(wish).await.map(drop)
    }

    /// Asks for a permission on a bucket. Errs: AccessDenied, which can be explained.
    pub async fn ask(&self, action: &str, bucket: &Bucket) -> Result<(), Refusal> {
        let target = format!("/{}", bucket.name).parse().unwrap_or_default();
        Ok(within::ask(&self.node, &self.head(Method::GET, target), action, bucket).await?)
    }

    /// Asks for all that a request of the S3 API takes before it is carried out. Errs: as the API would.
    async fn permit(&self, mut wish: Wish<'_>) -> Result<Permitted, Refusal> {
        let (head, address) = self.request(&wish)?;
        let payload = wish.payload.take().unwrap_or(Payload::None);
        Ok(within::permit(&self.node, head, address, payload).await?)
    }

    /// Asks one of the routes that speak JSON: below `/_myfsio`, `/kms` or `/presign`. `target`: path and query, encoded.
    /// An answer without a body is null. Errs: as that route would.
    pub async fn json(&self, method: Method, target: &str, document: Option<&Value>) -> Result<Value, Refusal> {
        let uri: Uri = target.parse().map_err(|_| Refusal::invalid("The address is no URL."))?;
        let payload = document.map_or(Payload::None, |document| body(document.to_string()));
        let mut head = self.head(method, uri);
        if let Some(document) = document {
            let length = document.to_string().len();
            head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            head.headers.insert(HeaderName::from_static("content-length"), HeaderValue::from(length));
        }
        // Without a host, no domain of buckets can be meant.
        let route = route::find(None, head.uri.path(), &[])
            .map_err(|_| Refusal::invalid("The address is none of the node's."))?;
        let answer = within::answer(&self.node, head, route, payload, None).await?;
        let bytes = collect(answer, JSON_BYTES_MAX).await?;
        match bytes.is_empty() {
            true => Ok(Value::Null),
            false => serde_json::from_slice(&bytes).map_err(|_| Refusal::invalid("The answer is no JSON.")),
        }
    }

    /// Asks one of these routes for an answer that goes on, such as server-sent events. Errs: as that route would.
    pub async fn answer(&self, method: Method, target: &str) -> Result<Response<BoxBody>, Refusal> {
        let uri: Uri = target.parse().map_err(|_| Refusal::invalid("The address is no URL."))?;
        let head = self.head(method, uri);
        let route = route::find(None, head.uri.path(), &[])
            .map_err(|_| Refusal::invalid("The address is none of the node's."))?;
        Ok(within::answer(&self.node, head, route, Payload::None, None).await?)
    }

    /// Whether a permission is there, for what is shown of a page. `key`: of an object, which need not be there. Where the object
    /// itself decides, the answer is yes: asking will tell.
    pub fn may(&self, action: &str, bucket: Option<&Bucket>, key: Option<&str>) -> bool {
        let query = Query::default();
        authorize::may(&self.node, Some(&self.principal), action, bucket, key, self.facts(&query))
    }

    /// The same of an object that is at hand, which decides with the rest.
    pub fn may_of(&self, action: &str, bucket: &Bucket, key: &str, object: &Object) -> bool {
        let query = Query::default();
        authorize::may_of_object(&self.node, Some(&self.principal), action, (bucket, key), object, self.facts(&query))
    }

    /// Whether the asker may be told what the node knows of it as a user.
    pub fn may_see_itself(&self) -> bool {
        self.may_with_itself("iam:GetUser").is_some()
    }

    /// Whether the asker may give its own access key a new secret, as the route that does it will ask.
    pub fn may_rotate_its_key(&self) -> bool {
        let may = |action| self.may_with_itself(action);
        may("iam:RotateAccessKey").is_some_and(|reason| {
            reason.is_grant() || (may("iam:CreateAccessKey").is_some() && may("iam:UpdateAccessKey").is_some())
        })
    }

    fn may_with_itself(&self, action: &str) -> Option<Reason> {
        let (query, itself) = (Query::default(), &self.principal);
        let arn = itself.arn();
        authorize::may_on_resource(&self.node, Some(itself), action, (&arn, &itself.tags), self.facts(&query))
    }

    /// Whether the asker administers the node.
    pub fn is_administrator(&self) -> bool {
        let query = Query::default();
        self.node.access.is_administrator(&self.principal, &self.facts(&query))
    }

    /// Errs: AccessDenied, to whoever does not.
    pub fn administrators_only(&self) -> Result<(), Refusal> {
        match self.is_administrator() {
            true => Ok(()),
            false => Err(S3Error::from(ErrorCode::AccessDenied).into()),
        }
    }

    /// Writes down that the asker did something which is no request of the API. `target`: its ARN, or a name of the node's own.
    pub async fn note_deed(&self, action: &str, target: String, before: &Value) {
        let by = authorize::changed_by(Some(&self.principal), RequestId::random(), self.address());
        let entry = AuditEntry::of_change(self.node.clock.now(), by, action, target, before, &Value::Null);
        self.node.audit.record(entry.into_iter().collect()).await;
    }

    fn facts<'a>(&'a self, query: &'a Query) -> Facts<'a> {
        let head = self.head(Method::GET, Uri::default());
        Facts {
            headers: &self.headers,
            query,
            address: preflight::client_of(&self.node, &head),
            secure: preflight::is_secure(&self.node, &head),
            now: self.node.clock.now(),
            mechanism: Mechanism::HeaderPair,
            signed_at_seconds: None,
            region: &self.node.settings.region,
            explains: false,
        }
    }

    fn head(&self, method: Method, uri: Uri) -> RequestHead {
        let mut head = RequestHead::default();
        head.uri = uri;
        head.method = method;
        head.peer_addr = self.peer;
        head.headers = self.headers.clone();
        self.node.access.own_key.put_for(&self.principal.access_key, &mut head.headers);
        head
    }

    fn request(&self, wish: &Wish<'_>) -> Result<(RequestHead, Address), Refusal> {
        let mut target = String::from("/");
        let address = match (wish.bucket, wish.key) {
            (None, _) => Address::Service,
            (Some(bucket), None) => {
                target.push_str(bucket.as_str());
                Address::Bucket(bucket.clone())
            }
            (Some(bucket), Some(key)) => {
                target.push_str(&format!("{bucket}/{}", encode(key.as_bytes(), true)));
                Address::Object(bucket.clone(), key.clone())
            }
        };
        for (at, (name, value)) in wish.query.iter().enumerate() {
            target.push(if at == 0 { '?' } else { '&' });
            target.push_str(&encode(name.as_bytes(), false));
            if !value.is_empty() {
                target.push('=');
                target.push_str(&encode(value.as_bytes(), false));
            }
        }
        let uri: Uri = target.parse().map_err(|_| Refusal::invalid("The request is too long."))?;
        let mut head = self.head(wish.method.clone(), uri);
        for (name, value) in wish.headers {
            let pair = (HeaderName::try_from(*name), HeaderValue::from_bytes(value.as_bytes()));
            let (Ok(name), Ok(value)) = pair else {
                return Err(Refusal::invalid(format!(
                    "{name} cannot have this value: it may hold no control characters."
                )));
            };
            head.headers.append(name, value);
        }
        Ok((head, address))
    }
}

/// Address of whoever sent a request.
pub fn client_of(node: &Node, head: &RequestHead) -> Option<IpAddr> {
    preflight::client_of(node, head)
}

/// Whether a request came over TLS, as far as a proxy may say so.
pub fn is_secure(node: &Node, head: &RequestHead) -> bool {
    preflight::is_secure(node, head)
}

/// Errs: the head of a request is larger than the node takes.
pub fn check_head_size(head: &RequestHead) -> Result<(), Refusal> {
    Ok(preflight::check_head_size(head)?)
}

/// The whole of an answer's body. Errs: it is longer than `max`, or broke off.
pub async fn collect(answer: Response<BoxBody>, max: usize) -> Result<Bytes, Refusal> {
    let mut body = Box::pin(answer.into_body());
    let mut bytes = BytesMut::new();
    let mut chunks = stream::poll_fn(move |context| body.as_mut().poll_next(context));
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::broken("The answer broke off."))?;
        if bytes.len() + chunk.len() > max {
            return Err(Refusal::broken("The answer is longer than the console shows."));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}
