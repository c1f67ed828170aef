//! A request of a website and its answer: redirects that come first, the object or its folder's index document, and for errors
//! redirects, the error document, a page.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use actix_http::RequestHead as HttpHead;
use actix_web::HttpResponse;
use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::http::{Method, StatusCode};
use futures_util::stream;
use myfsio_actors::bucket_config::{RoutingRule, Website};
use myfsio_actors::names::{ObjectKey, Stamp};
use myfsio_actors::storage::{Bucket, PeekedObject, Purpose};
use tokio::sync::OwnedSemaphorePermit;

use super::address::Site;
use super::page::error_page;
use crate::node::Node;
use crate::s3::auth::{Mechanism, PayloadSigning};
use crate::s3::authorize::{self, Authenticated, Facts, Primary};
use crate::s3::body::{BodyLimits, RequestBody};
use crate::s3::checksum::BodyChecks;
use crate::s3::context::Call;
use crate::s3::cors;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::exchange::Exchange;
use crate::s3::handlers::object_get;
use crate::s3::operation::{Operation, Scope};
use crate::s3::preflight;
use crate::s3::query::{Query, percent_decode};
use crate::s3::respond::{Answer, RequestId, empty, set_header};
use crate::s3::route::{self, parse_key};
use crate::s3::xml::write::url_encode_into;

/// Answers a request of a website; errors become pages.
pub async fn answer(
    node: &Arc<Node>,
    head: &HttpHead,
    site: &Site,
    request_id: RequestId,
    place: Arc<OwnedSemaphorePermit>,
    exchange: &Exchange,
) -> HttpResponse {
    exchange.note.asked_of_website(head.method.as_str());
    exchange.came_from(preflight::client_of(node, head));
    if let Err(error) = preflight::check_head_size(head) {
        return refusal(node, head, &error, None, request_id, exchange);
    }
    let bucket = site.bucket.as_ref().and_then(|name| node.storage.bucket(name).ok());
    if head.method == Method::OPTIONS {
        let rules = bucket.as_ref().map(|bucket| bucket.config.cors.as_ref());
        let scope = if site.raw_key.is_empty() { Scope::Bucket } else { Scope::Object };
        let told = cors::preflight(rules, scope, &head.headers);
        return told.unwrap_or_else(|error| refusal(node, head, &error, None, request_id, exchange));
    }
    let visit = match Visit::begin(node, head, site, bucket, request_id, place) {
        Ok(visit) => visit,
        Err(error) => return refusal(node, head, &error, None, request_id, exchange),
    };
    match visit.answer().await {
        Ok(response) => response,
        Err(Failure { error, second }) => refusal(node, head, &error, second.as_ref(), request_id, exchange),
    }
}

/// The page of a refusal.
pub fn refusal(
    node: &Node,
    head: &HttpHead,
    error: &S3Error,
    second: Option<&S3Error>,
    request_id: RequestId,
    exchange: &Exchange,
) -> HttpResponse {
    let (code, cause) = (error.code().name(), error.cause().unwrap_or_default());
    if error.code().status() == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(%request_id, path = head.uri.path(), code, cause, "a website's request failed");
    } else {
        tracing::debug!(%request_id, path = head.uri.path(), code, cause, "a website's request was refused");
    }
    exchange.note.refused(code);
    exchange.refused(node, request_id, error, head.uri.path());
    error_page(error, second, request_id, &node.host_id, head.method == Method::HEAD)
}

/// An error, and what went wrong when its error document was looked for.
struct Failure {
    error: S3Error,
    second: Option<S3Error>,
}

impl From<S3Error> for Failure {
    fn from(error: S3Error) -> Self {
        Self { error, second: None }
    }
}

/// One request of a website.
struct Visit<'a> {
    node: &'a Arc<Node>,
    head: &'a HttpHead,
    site: &'a Site,
    bucket: Arc<Bucket>,
    website: Website,
    /// The key that is asked for; none is the website's root.
    key: String,
    headers: HeaderMap,
    request_id: RequestId,
    place: Arc<OwnedSemaphorePermit>,
    received: Stamp,
    client: Option<IpAddr>,
    secure: bool,
}

impl<'a> Visit<'a> {
    /// Errs: MethodNotAllowed, NoSuchBucket, NoSuchWebsiteConfiguration, AccessDenied where requesters pay, InvalidURI.
    fn begin(
        node: &'a Arc<Node>,
        head: &'a HttpHead,
        site: &'a Site,
        bucket: Option<Arc<Bucket>>,
        request_id: RequestId,
        place: Arc<OwnedSemaphorePermit>,
    ) -> Result<Self, S3Error> {
        if !matches!(head.method, Method::GET | Method::HEAD) {
            return Err(S3Error::new(ErrorCode::MethodNotAllowed)
                .field("Method", head.method.as_str())
                .field("ResourceType", "OBJECT")
                .header("allow", "GET, HEAD, OPTIONS"));
        }
        let name = || site.bucket.as_ref().map(|name| name.as_str()).unwrap_or_default();
        let bucket = bucket.ok_or_else(|| S3Error::new(ErrorCode::NoSuchBucket).field("BucketName", name()))?;
        let website = bucket
            .config
            .website
            .clone()
            .ok_or_else(|| S3Error::new(ErrorCode::NoSuchWebsiteConfiguration).field("BucketName", name()))?;
        if bucket.config.requester_pays {
            return Err(S3Error::new(ErrorCode::AccessDenied)
                .because("nobody could agree to pay on a website")
                .by_rule("requester_pays"));
        }
        let key = percent_decode(site.raw_key.as_bytes(), false)
            .and_then(|key| String::from_utf8(key).ok())
            .ok_or_else(|| S3Error::new(ErrorCode::InvalidURI))?;
        let client = preflight::client_of(node, head);
        let headers = website_headers(&head.headers);
        let received = node.clock.now();
        let secure = preflight::is_secure(node, head);
        Ok(Self { node, head, site, bucket, website, key, headers, request_id, place, received, client, secure })
    }

    async fn answer(&self) -> Result<HttpResponse, Failure> {
        if let Some(all) = &self.website.redirect_all {
            let protocol = all.protocol.as_deref().unwrap_or_else(|| self.protocol());
            let query = self.head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
            let target = format!("{protocol}://{}/{}{query}", all.host_name, self.site.raw_key);
            return Ok(redirect(StatusCode::MOVED_PERMANENTLY, &target));
        }
        if let Some(rule) = self.website.rule_before(&self.key) {
            return Ok(self.follow(rule));
        }
        match self.object(&self.index_of(&self.key), &self.headers).await {
            Ok(response) => Ok(response),
            Err(error) => self.instead_of(error).await,
        }
    }

    /// What is answered in place of an error.
    async fn instead_of(&self, error: S3Error) -> Result<HttpResponse, Failure> {
        let status = error.code().status();
        let is_folder = !self.key.is_empty() && !self.key.ends_with('/');
        let absent = matches!(status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN);
        if is_folder && absent && self.may_read(&format!("{}/", self.key)).await {
            return Ok(redirect(StatusCode::FOUND, &on_this_host(&self.site.base, &format!("{}/", self.site.raw_key))));
        }
        if let Some(rule) = self.website.rule_after(&self.key, status.as_u16()) {
            return Ok(self.follow(rule));
        }
        let Some(document) = self.website.error_key.as_deref().filter(|_| absent) else { return Err(error.into()) };
        // Conditions and ranges were meant for another object.
        match self.object(document, &HeaderMap::new()).await {
            Ok(mut response) => {
                *response.status_mut() = status;
                set_header(&mut response, "x-amz-error-code", error.code().name());
                set_header(&mut response, "x-amz-error-message", error.message());
                Ok(response)
            }
            Err(second) => Err(Failure { error, second: Some(second) }),
        }
    }

    /// Whether the index document of a folder is there for everybody.
    async fn may_read(&self, folder: &str) -> bool {
        let Ok(key) = parse_key(self.index_of(folder).as_bytes()) else { return false };
        self.authorize(&key).await.is_ok() && self.node.storage.object(&self.bucket, &key, None).await.is_ok()
    }

    /// The key of a folder's index document; other keys as they are.
    fn index_of(&self, key: &str) -> String {
        match (key.is_empty() || key.ends_with('/'), &self.website.index_suffix) {
            (true, Some(suffix)) => format!("{key}{suffix}"),
            _ => key.to_owned(),
        }
    }

    /// The object of a key, or the redirect that it is. Errs: as GetObject.
    async fn object(&self, key: &str, headers: &HeaderMap) -> Answer {
        let key = parse_key(key.as_bytes())?;
        let peeked = self.authorize(&key).await?;
        let call = Call { peeked, ..self.call(key, headers.clone()) };
        let opened = authorize::open(&call, &self.bucket, Purpose::Look).await?;
        if let Some(target) = &opened.object.attributes.website_redirect {
            let base = if target.starts_with('/') { self.site.base.as_str() } else { "" };
            return Ok(redirect(StatusCode::MOVED_PERMANENTLY, &format!("{base}{target}")));
        }
        match call.operation {
            Operation::HeadObject => object_get::head_object(call).await,
            _ => object_get::get_object(call).await,
        }
    }

    /// Everybody's permission to read the key. Errs: AccessDenied.
    async fn authorize(&self, key: &ObjectKey) -> Result<Option<PeekedObject>, S3Error> {
        let query = Query::default();
        let primary = Primary {
            operation: Operation::GetObject,
            facts: Facts {
                headers: &self.headers,
                query: &query,
                address: self.client,
                secure: self.secure,
                now: self.received,
                mechanism: Mechanism::Anonymous,
                signed_at_seconds: None,
                region: &self.node.settings.region,
                explains: self.node.decisions.is_on(),
            },
            bucket_name: Some(&self.bucket.name),
            bucket: Some(&self.bucket),
            key: Some(key),
        };
        authorize::primary(self.node, &anonymous(), &primary, Instant::now()).await
    }

    fn call(&self, key: ObjectKey, headers: HeaderMap) -> Call {
        let is_head = self.head.method == Method::HEAD;
        let limits = BodyLimits { declared: Some(0), max: 0, idle: self.node.settings.body_idle };
        Call {
            node: Arc::clone(self.node),
            operation: if is_head { Operation::HeadObject } else { Operation::GetObject },
            bucket_name: Some(self.bucket.name.clone()),
            bucket: Some(Arc::clone(&self.bucket)),
            key: Some(key),
            query: Query::default(),
            headers,
            method: self.head.method.clone(),
            raw_path: self.head.uri.path().to_owned(),
            auth: anonymous(),
            request_id: self.request_id,
            place: Arc::clone(&self.place),
            received: self.received,
            peer: self.client,
            secure: self.secure,
            note: Default::default(),
            body: RequestBody::new(stream::empty(), None, limits, BodyChecks::default()),
            on_behalf: Default::default(),
            peeked: None,
            expected: None,
            refusals: Default::default(),
        }
    }

    /// The redirect of a routing rule: to the same host unless the rule names one.
    fn follow(&self, rule: &RoutingRule) -> HttpResponse {
        let to = &rule.redirect;
        let (configured, rest) = rule.target_key(&self.key);
        // What is configured may be more than a path: `?page=`, `#!/`.
        let mut key = configured.to_owned();
        url_encode_into(&mut key, rest);
        let own_host = || route::host(self.head).map(str::to_owned);
        let target = match (&to.host_name, &to.protocol) {
            (None, None) => on_this_host(&self.site.base, &key),
            (Some(host), protocol) => format!("{}://{host}/{key}", protocol.as_deref().unwrap_or(self.protocol())),
            (None, Some(protocol)) => {
                let host = own_host().unwrap_or_default();
                format!("{protocol}://{host}{}/{key}", self.site.base)
            }
        };
        let status = to.http_code.and_then(|code| StatusCode::from_u16(code).ok());
        redirect(status.unwrap_or(StatusCode::MOVED_PERMANENTLY), &target)
    }

    /// The protocol that the visitor uses: `https` where a trusted proxy says so.
    fn protocol(&self) -> &'static str {
        let trusted = |peer: IpAddr| self.node.settings.auth.trusted_proxies.may_name_host(peer);
        let forwarded = self.head.headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes() == b"https");
        match forwarded && self.head.peer_addr.is_some_and(|peer| trusted(peer.ip())) {
            true => "https",
            false => "http",
        }
    }
}

fn anonymous() -> Authenticated {
    Authenticated {
        principal: None,
        access_key_id: None,
        mechanism: Mechanism::Anonymous,
        payload: PayloadSigning::Unsigned,
        signed_at_seconds: None,
        session_token: None,
        signed_headers: Vec::new(),
    }
}

/// The headers without those of the API, which a website does not have: credentials, checksums, encryption.
fn website_headers(headers: &HeaderMap) -> HeaderMap {
    let of_the_api = |name: &HeaderName| {
        let name = name.as_str();
        name.starts_with("x-amz-") || matches!(name, "authorization" | "x-access-key" | "x-secret-key")
    };
    headers.iter().filter(|(name, _)| !of_the_api(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A key below `base` of the host that was asked. A second slash in front would make its first part the name of a host.
fn on_this_host(base: &str, key: &str) -> String {
    match (base.is_empty(), key.as_bytes().first()) {
        (true, Some(b'/')) => format!("/%2F{}", key.get(1..).unwrap_or_default()),
        // Browsers take it for a slash.
        (true, Some(b'\\')) => format!("/%5C{}", key.get(1..).unwrap_or_default()),
        _ => format!("{base}/{key}"),
    }
}

fn redirect(status: StatusCode, target: &str) -> HttpResponse {
    let mut response = empty(status);
    set_header(&mut response, "location", &location(target));
    response
}

/// The target with what no URL in a header can have percent-encoded: spaces, control characters, all beyond ASCII.
fn location(target: &str) -> String {
    let mut location = String::with_capacity(target.len());
    for byte in target.bytes() {
        match byte.is_ascii_graphic() {
            true => location.push(char::from(byte)),
            false => {
                // Writing into a string does not fail.
                let _ = write!(location, "%{byte:02X}");
            }
        }
    }
    location
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_on_the_host() {
        for (base, key, expected) in [
            ("", "a/", "/a/"),
            ("", "/evil.example/", "/%2Fevil.example/"),
            ("", "\\evil.example/", "/%5Cevil.example/"),
            ("/bucket", "/a/", "/bucket//a/"),
            ("", "", "/"),
        ] {
            assert_eq!(on_this_host(base, key), expected);
        }
    }

    #[test]
    fn every_target_is_a_header() {
        assert_eq!(location("/é x?a=b#!/%41"), "/%C3%A9%20x?a=b#!/%41");
        let response = redirect(StatusCode::FOUND, "/\u{1}é");
        assert_eq!(response.headers().get("location").unwrap(), "/%01%C3%A9");
    }
}
