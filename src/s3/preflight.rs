//! Everything that is decided before the body is read: route, operation, caller, permission, size.
//!
//! It runs once per request: for `Expect: 100-continue` before the interim response, else just before the handler. A
//! refusal here costs the client no upload and the node no memory.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use actix_http::RequestHead as HttpHead;
use actix_http::error::PayloadError;
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, REFERER, USER_AGENT};
use bytes::Bytes;
use futures_util::Stream;
use myfsio_actors::audit::ChangeOrigin;
use myfsio_actors::iam::Principal;
use myfsio_actors::names::{BucketName, ObjectKey, Stamp};
use myfsio_actors::policy_engine::{Reason, RequestContext};
use myfsio_actors::storage::{Bucket, PeekedObject};
use tokio::sync::OwnedSemaphorePermit;

use super::auth::chunked::decoded_length;
use super::auth::settings::{self, client_address};
use super::auth::{AuthSettings, ChunkedDecoder, Mechanism, SecretText, authenticate};
use super::authorize::{self, Authenticated, Facts, Primary};
use super::body::{BodyLimits, RequestBody, too_large};
use super::checksum::BodyChecks;
use super::context::Expected;
use super::encryption::settings::refuse_exposed_key;
use super::error::{ErrorCode, S3Error};
use super::exchange::Exchange;
use super::headers::text;
use super::operation::{self, Operation};
use super::query::Query;
use super::request_head::{RequestHead, has_header};
use super::requester_pays;
use super::respond::RequestId;
use super::route::{self, Address};
use crate::node::Node;
use crate::tls::client_is_secure;

/// Largest object that one request may write (S3 User Guide, "Uploading objects"), in bytes.
pub const CONTENT_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;
/// Largest document in a request body, in bytes; each handler sets its own, smaller limit.
const DOCUMENT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Most bytes of all header names and values together.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// A request that may go to its handler.
#[derive(Debug)]
pub struct Prepared {
    /// One of the node's places for requests under way.
    pub permit: OwnedSemaphorePermit,
    /// Its id.
    pub request_id: RequestId,
    /// When its head had arrived.
    pub received: Stamp,
    /// Address of the client, as far as it is known.
    pub peer: Option<IpAddr>,
    /// Whether its request came over TLS.
    pub secure: bool,
    /// What it asks for.
    pub operation: Operation,
    /// What it addresses.
    pub address: Address,
    /// The bucket, unless it is to be created.
    pub bucket: Option<Arc<Bucket>>,
    /// The decoded query.
    pub query: Query,
    /// Who asks.
    pub auth: Authenticated,
    /// The object, where it was looked up for the permission.
    pub peeked: Option<PeekedObject>,
    /// What a change is expected to find; none of every request of a client.
    pub expected: Option<Expected>,
    /// Whether the requester pays.
    pub charged: bool,
    /// Claims about the body.
    pub checks: BodyChecks,
    /// Limits of the body.
    pub limits: BodyLimits,
    /// The decoder of the body's framing.
    pub decoder: Option<ChunkedDecoder>,
}

impl Prepared {
    /// What decisions about the request depend on.
    pub fn facts<'a>(&'a self, node: &'a Node, headers: &'a HeaderMap) -> Facts<'a> {
        Facts {
            headers,
            query: &self.query,
            address: self.peer,
            secure: self.secure,
            now: self.received,
            mechanism: self.auth.mechanism,
            signed_at_seconds: self.auth.signed_at_seconds,
            region: &node.settings.region,
            explains: node.decisions.is_on(),
        }
    }
}

/// Takes one of the node's places for requests under way. Errs: SlowDown when all are taken.
pub fn admit(node: &Node) -> Result<OwnedSemaphorePermit, S3Error> {
    Arc::clone(&node.admission).try_acquire_owned().map_err(|_| ErrorCode::SlowDown.into())
}

/// Who asks for one of the node's own routes.
#[derive(Debug)]
pub struct Caller {
    auth: Authenticated,
    query: Query,
    headers: HeaderMap,
    address: Option<IpAddr>,
    secure: bool,
    received: Stamp,
    path: String,
    decoder: Option<ChunkedDecoder>,
    limits: BodyLimits,
}

impl Caller {
    /// What it asks for beside the path.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// Who it is; none is anonymous.
    pub fn principal(&self) -> Option<&Arc<Principal>> {
        self.auth.principal.as_ref()
    }

    /// Notes who it is.
    pub fn note(&self, exchange: &Exchange) {
        exchange.asked_by(self.auth.principal.as_ref(), self.auth.mechanism);
    }

    /// As the one who asks for a change.
    pub fn origin(&self, request_id: RequestId) -> ChangeOrigin {
        authorize::changed_by(self.auth.principal.as_deref(), request_id, self.address)
    }

    /// What conditions of policies may ask for.
    pub fn context(&self, node: &Node) -> RequestContext {
        self.facts(node).plain_context()
    }

    fn facts<'a>(&'a self, node: &'a Node) -> Facts<'a> {
        Facts {
            headers: &self.headers,
            query: &self.query,
            address: self.address,
            secure: self.secure,
            now: self.received,
            mechanism: self.auth.mechanism,
            signed_at_seconds: self.auth.signed_at_seconds,
            region: &node.settings.region,
            explains: node.decisions.is_on(),
        }
    }

    /// When the request arrived.
    pub fn received(&self) -> Stamp {
        self.received
    }

    /// The refusal of what only administrators may.
    pub fn refused(&self, node: &Node) -> S3Error {
        node.access.administrators_only(self.auth.principal.as_deref(), &self.facts(node), &self.path)
    }

    /// Whether the caller administers the node.
    pub fn is_administrator(&self, node: &Node) -> bool {
        let principal = self.auth.principal.as_deref();
        principal.is_some_and(|principal| node.access.is_administrator(principal, &self.facts(node)))
    }

    /// Whether it is a command of this machine, which came by the admin socket.
    pub fn is_command(&self, node: &Node) -> bool {
        self.auth.access_key_id.as_ref().is_some_and(|id| node.access.own_key.is_of(id))
    }

    /// Whether the caller, who was answered long ago, administers the node by now: its key may have ended since, or its rights.
    pub async fn is_still_administrator(&self, node: &Node) -> bool {
        let Some(access_key) = &self.auth.access_key_id else { return false };
        let token = self.auth.session_token.as_ref().map(SecretText::expose);
        let Ok(credential) = node.access.iam.credential(access_key, token, || false).await else { return false };
        node.access.is_administrator(&credential.principal, &Facts { now: node.clock.now(), ..self.facts(node) })
    }

    /// Asks for a permission on a bucket. Errs: AccessDenied.
    pub async fn ask(&self, node: &Node, action: &str, bucket: &Bucket) -> Result<(), S3Error> {
        node.access.refresh().await;
        authorize::on_bucket(node, self.auth.principal.as_deref(), action, bucket, self.facts(node))
    }

    /// Whether the caller may do this to a bucket, or to a key in it. Nobody is told of a refusal.
    pub fn may(&self, node: &Node, action: &str, bucket: &Bucket, key: Option<&str>) -> bool {
        authorize::may_anew(node, self.auth.principal.as_deref(), action, bucket, key, self.facts(node))
    }

    /// Asks for a permission on what is no bucket, by its ARN and tags; answers why the caller may. Errs: AccessDenied.
    pub fn ask_about(
        &self,
        node: &Node,
        action: &str,
        resource: (&str, &[(String, String)]),
    ) -> Result<Reason, S3Error> {
        authorize::on_resource(node, self.auth.principal.as_deref(), action, resource, self.facts(node))
    }

    /// The same of a resource without tags, about which the request says more. Errs: AccessDenied.
    pub fn ask_telling(
        &self,
        node: &Node,
        action: &str,
        resource: &str,
        told: &[(String, String)],
    ) -> Result<Reason, S3Error> {
        authorize::on_resource_telling(node, self.auth.principal.as_deref(), action, (resource, told), self.facts(node))
    }

    /// Asks whether the caller may do this to an object by a presigned URL, if it came back with one from where it is now.
    /// Errs: as that request would be refused.
    pub async fn ask_presigned(
        &self,
        node: &Node,
        operation: Operation,
        bucket_name: &BucketName,
        key: &ObjectKey,
    ) -> Result<(), S3Error> {
        let bucket = node.storage.bucket(bucket_name)?;
        let mut headers = HeaderMap::new();
        for name in [USER_AGENT, REFERER] {
            self.headers.get_all(&name).for_each(|value| headers.append(name.clone(), value.clone()));
        }
        let query = Query::default();
        let facts = Facts { headers: &headers, query: &query, mechanism: Mechanism::SigV4Query, ..self.facts(node) };
        let (bucket_name, bucket, key) = (Some(bucket_name), Some(&*bucket), Some(key));
        let primary = Primary { operation, facts, bucket_name, bucket, key };
        authorize::primary(node, &self.auth, &primary, Instant::now()).await.map(drop)
    }

    /// The request's body, which comes from `incoming`. Once. Errs: InvalidDigest, InvalidRequest for what is claimed of it.
    pub fn body(
        &mut self,
        incoming: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
    ) -> Result<RequestBody, S3Error> {
        let checks = BodyChecks::parse(&self.headers, authorize::content_sha256(&self.auth))?;
        Ok(RequestBody::new(incoming, self.decoder.take(), self.limits, checks))
    }
}

/// Authenticates a request and counts it against its access key. Errs: as authentication does; SlowDown.
pub async fn known_caller(node: &Node, seen: &RequestHead<'_>, received: Stamp) -> Result<Authenticated, S3Error> {
    let auth = authenticate(seen, &node.settings.auth, &node.access, received).await;
    let auth = auth.map_err(S3Error::of_credentials)?;
    node.request_rates.count(auth.principal.as_deref(), received)?;
    // What the console and jobs ask is no use of the key: signing in was.
    let is_vouched_for = auth.mechanism == Mechanism::HeaderPair
        && seen.header("x-secret-key").is_some_and(|secret| node.access.own_key.has_secret(secret));
    if !is_vouched_for {
        let AuthSettings { service, region, .. } = &node.settings.auth;
        node.note_use(auth.access_key_id.as_ref(), (service, region), received);
    }
    Ok(auth)
}

/// Authenticates a request for one of the node's own routes. Errs: as authentication does.
pub async fn identify(node: &Arc<Node>, head: &HttpHead) -> Result<Caller, S3Error> {
    check_head_size(head)?;
    let query = Query::parse(head.uri.query().unwrap_or_default())?;
    let received = node.clock.now();
    let seen = request_head(head, None, head.peer_addr.map(|peer| peer.ip()));
    let auth = known_caller(node, &seen, received).await?;
    let address = client_address(&seen, &node.settings.auth.trusted_proxies);
    let (decoder, limits) = body_limits(node, &seen, false, &auth)?;
    let path = head.uri.path().to_owned();
    let secure = settings::is_secure(&seen, &node.settings.auth.trusted_proxies);
    let headers = head.headers.clone();
    Ok(Caller { auth, query, headers, address, secure, received, path, decoder, limits })
}

/// Decides whether a request of the S3 API may go to its handler.
pub async fn prepare(
    node: &Arc<Node>,
    head: &HttpHead,
    address: Address,
    request_id: RequestId,
    exchange: &Exchange,
) -> Result<Prepared, S3Error> {
    let permit = admit(node)?;
    check_head_size(head)?;
    let mut query = Query::parse(head.uri.query().unwrap_or_default())?;
    if let Address::Document(document, _) = &address {
        document.complete(&mut query)?;
    }
    let operation = operation::resolve(&head.method, address.scope(), &query, &head.headers)?;
    exchange.asked_for(operation, &head.headers);
    exchange.came_from(client_of(node, head));
    let (received, arrived) = (node.clock.now(), Instant::now());
    let peer = head.peer_addr.map(|peer| peer.ip());
    let virtual_bucket = route::virtual_bucket(route::host(head).unwrap_or_default(), &node.settings.base_domains);
    let seen = request_head(head, virtual_bucket.as_deref(), peer);
    let auth = known_caller(node, &seen, received).await?;
    exchange.asked_by(auth.principal.as_ref(), auth.mechanism);
    let address_of_client = client_address(&seen, &node.settings.auth.trusted_proxies);
    let secure = settings::is_secure(&seen, &node.settings.auth.trusted_proxies);
    let (bucket_name, key) = address.clone().into_parts();
    refuse_exposed_key(&seen, secure, node.settings.customer_keys_over_http)?;
    let bucket = match &bucket_name {
        Some(name) if operation != Operation::CreateBucket => Some(node.storage.bucket(name)?),
        _ => None,
    };
    if let Some(bucket) = &bucket {
        authorize::expect_owner(node, &head.headers, "x-amz-expected-bucket-owner", bucket)?;
    }
    let facts = Facts {
        headers: &head.headers,
        query: &query,
        address: address_of_client,
        secure,
        now: received,
        mechanism: auth.mechanism,
        signed_at_seconds: auth.signed_at_seconds,
        region: &node.settings.region,
        explains: node.decisions.is_on(),
    };
    let peeked = match operation.authorized_by_spine() {
        true => {
            let (bucket_name, bucket, key) = (bucket_name.as_ref(), bucket.as_deref(), key.as_ref());
            authorize::primary(node, &auth, &Primary { operation, facts, bucket_name, bucket, key }, arrived).await?
        }
        false => None,
    };
    exchange.watch.authorised();
    let charged = match &bucket {
        // The form tells who asks.
        Some(bucket) if operation != Operation::PostObject => {
            requester_pays::charged(node, auth.principal.as_deref(), bucket, &facts)?
        }
        _ => false,
    };
    if !operation.implemented() {
        return Err(S3Error::new(ErrorCode::NotImplemented).field("Operation", operation.name()));
    }
    let (decoder, limits) = body_limits(node, &seen, operation.takes_content(), &auth)?;
    if !matches!(head.method, Method::GET | Method::HEAD)
        && let Err(error) = node.replication.refresh_since(arrived).await
    {
        tracing::warn!(%error, "edited rules of replication were not taken up");
    }
    if operation.adds() {
        // The users' file may have been edited since the last request.
        node.quotas.refresh().await?;
    }
    if operation.takes_content() {
        node.storage.check_room(limits.declared.unwrap_or(0))?;
    }
    let checks = match head.method {
        // There the checksum headers are of the completed object, not of the document in the body.
        Method::POST if operation == Operation::CompleteMultipartUpload => {
            BodyChecks { sha256: authorize::content_sha256(&auth), ..BodyChecks::default() }
        }
        Method::PUT | Method::POST => BodyChecks::parse(&head.headers, authorize::content_sha256(&auth))?,
        _ => BodyChecks { sha256: authorize::content_sha256(&auth), ..BodyChecks::default() },
    };
    Ok(Prepared {
        permit,
        request_id,
        received,
        peer: address_of_client,
        secure,
        operation,
        address,
        bucket,
        query,
        auth,
        peeked,
        expected: None,
        charged,
        checks,
        limits,
        decoder,
    })
}

/// Errs: RequestHeaderSectionTooLarge.
pub fn check_head_size(head: &HttpHead) -> Result<(), S3Error> {
    let size: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > HEADER_BYTES_MAX {
        return Err(
            S3Error::new(ErrorCode::RequestHeaderSectionTooLarge).field("MaxSizeAllowed", HEADER_BYTES_MAX.to_string())
        );
    }
    Ok(())
}

/// Address of the client: the peer's, or what a trusted proxy says.
pub fn client_of(node: &Node, head: &HttpHead) -> Option<IpAddr> {
    let seen = request_head(head, None, head.peer_addr.map(|peer| peer.ip()));
    client_address(&seen, &node.settings.auth.trusted_proxies)
}

/// Whether the client's request came over TLS, as far as the node or a trusted proxy knows.
pub fn is_secure(node: &Node, head: &HttpHead) -> bool {
    let seen = request_head(head, None, head.peer_addr.map(|peer| peer.ip()));
    settings::is_secure(&seen, &node.settings.auth.trusted_proxies)
}

/// The head as authentication reads it.
pub fn request_head<'a>(head: &'a HttpHead, virtual_bucket: Option<&'a str>, peer: Option<IpAddr>) -> RequestHead<'a> {
    RequestHead {
        method: head.method.as_str(),
        path: head.uri.path().as_bytes(),
        query: head.uri.query().unwrap_or_default(),
        virtual_bucket,
        headers: &head.headers,
        peer,
        secure: client_is_secure(&head.headers),
        body_sha256: None,
    }
}

/// Size and framing of the body, from the head alone. Errs: MissingContentLength, EntityTooLarge, InvalidArgument.
fn body_limits(
    node: &Node,
    head: &RequestHead<'_>,
    takes_content: bool,
    auth: &Authenticated,
) -> Result<(Option<ChunkedDecoder>, BodyLimits), S3Error> {
    let length = text(head.headers, "content-length").and_then(|value| value.trim().parse::<u64>().ok());
    let is_chunked = has_header(head.headers, "transfer-encoding");
    let decoder = ChunkedDecoder::for_request(&auth.payload, head)?;
    let declared = match (&decoder, length) {
        (Some(_), _) => Some(decoded_length(head)?),
        (None, Some(length)) => Some(length),
        (None, None) if is_chunked => None,
        (None, None) if takes_content => return Err(ErrorCode::MissingContentLength.into()),
        (None, None) => Some(0),
    };
    let max = match takes_content {
        true => node.settings.max_upload_size.min(CONTENT_BYTES_MAX),
        false => DOCUMENT_BYTES_MAX,
    };
    match declared {
        Some(size) if size > max => Err(too_large(size, max)),
        _ => Ok((decoder, BodyLimits { declared, max, idle: node.settings.body_idle })),
    }
}
