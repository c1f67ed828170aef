//! The listener and the spine: from a connection's requests to answers.
//!
//! Built on actix-http's HTTP/1.1 service directly, without routing or middleware, for two reasons: the path must stay
//! as the client sent it, and `Expect: 100-continue` must be answered only once the request is authenticated,
//! authorised and within its limits. A refusal before the body is read makes the HTTP layer close the connection after
//! the answer, so leftovers of a body are never taken for a request.

use std::cell::{Cell, OnceCell};
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::body::BoxBody;
use actix_http::error::DispatchError;
use actix_http::{
    BoxedPayloadStream, ConnectionType, HttpMessage as _, HttpServiceBuilder, KeepAlive, Payload, Request, RequestHead,
    Response,
};
use actix_server::{Server, ServerHandle};
use actix_service::{Service, ServiceFactory, ServiceFactoryExt as _, fn_service};
use actix_web::HttpResponse;
use actix_web::http::Method;
use futures_util::stream::{self, StreamExt as _};
use myfsio_actors::names::BucketName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tracing::Instrument as _;

use crate::admin::{self, health::health};
use crate::aws;
use crate::connection::{Connection, Patience};
use crate::console::{self, Console};
use crate::node::Node;
use crate::s3::auth::query_signs;
use crate::s3::body::RequestBody;
use crate::s3::context::Call;
use crate::s3::cors;
use crate::s3::dispatch::dispatch;
use crate::s3::encryption::Asker;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::exchange::Exchange;
use crate::s3::handlers::{multipart_part, object_put};
use crate::s3::operation::Operation;
use crate::s3::preflight::{self, Prepared};
use crate::s3::query::percent_decode;
use crate::s3::replica;
use crate::s3::request_head::first_value;
use crate::s3::respond::{Answer, Asked, RequestId, add_common_headers, error_response, set_header};
use crate::s3::route::{self, Address, Route, parse_key};
use crate::s3::website::{self, Door, Site};
use crate::telemetry::request_span;
use crate::tls::{self, Tls};

mod connect;
mod hold;
pub mod within;

use connect::connections;
use hold::{Held, Hold, SharedPayload, serve_on};

/// How long an idle connection stays open.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a refused client may go on sending before the connection is cut.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that wait to be accepted, at most; the system may allow fewer.
const BACKLOG: i32 = 4096;
/// Bytes of a response that are buffered before the socket is written.
const WRITE_BUFFER_BYTES: usize = 64 * 1024;

/// Settings of the listener.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Worker threads.
    pub workers: usize,
    /// Connections open at once; further ones wait to be accepted.
    pub connections_max: usize,
    /// How long a client may take to send a request's head.
    pub head_timeout: Duration,
    /// How long requests under way may take to end after a stop.
    pub shutdown_timeout: Duration,
    /// The certificate of the listeners; else they speak plain HTTP.
    pub tls: Option<Tls>,
}

impl ServerSettings {
    /// How long clients of the node may take.
    pub fn patience(&self, node: &Node) -> Patience {
        Patience { head: self.head_timeout, answer: node.settings.body_idle }
    }
}

/// Stops a server: idle connections at once, others when their request has ended or the shutdown timeout has passed.
#[derive(Debug, Clone)]
pub struct Stopper {
    handle: ServerHandle,
    draining: watch::Sender<bool>,
}

impl Stopper {
    /// Stops accepting and waits for the requests under way.
    pub async fn stop(&self) {
        self.draining.send_replace(true);
        self.handle.stop(true).await;
    }
}

/// A server on bound listeners, of the API and perhaps of websites and the console; it runs when the [`Server`] is awaited. Errs: a listener
/// cannot be registered.
pub fn serve(
    node: &Arc<Node>,
    api: TcpListener,
    websites: Option<TcpListener>,
    console: Option<(TcpListener, Arc<Console>)>,
    settings: &ServerSettings,
) -> io::Result<(Server, Stopper)> {
    let draining = node.stopping.clone();
    let patience = settings.patience(node);
    let service = |door: Door| {
        let (node, draining, tls) = (Arc::clone(node), draining.clone(), settings.tls.clone());
        move || {
            let (expecting, serving) = (Arc::clone(&node), Arc::clone(&node));
            let http = http(patience, &draining)
                .expect(fn_service(move |request: Request| expect(Arc::clone(&expecting), door, request)))
                .h1(fn_service(move |request: Request| {
                    // Boxed, since an idle connection would keep the room of the largest request.
                    let answered = Box::pin(answer(Arc::clone(&serving), door, request));
                    async move { Ok::<_, Infallible>(answered.await) }
                }));
            connections(Arc::clone(&node), patience, tls.clone()).and_then(http)
        }
    };
    // What std asks for is short for a burst of clients.
    rustix::net::listen(&api, BACKLOG)?;
    let mut server = Server::build()
        .workers(settings.workers)
        .max_concurrent_connections(settings.connections_max.div_ceil(settings.workers))
        .shutdown_timeout(settings.shutdown_timeout.as_secs())
        .disable_signals()
        .listen("s3", api, service(Door::Api))?;
    if let Some(websites) = websites {
        rustix::net::listen(&websites, BACKLOG)?;
        server = server.listen("websites", websites, service(Door::Website))?;
    }
    if let Some((listener, console)) = console {
        rustix::net::listen(&listener, BACKLOG)?;
        let (node, draining, tls) = (Arc::clone(node), draining.clone(), settings.tls.clone());
        let service = move || {
            let http = of_console(&console, patience, &draining);
            connections(Arc::clone(&node), patience, tls.clone()).and_then(http)
        };
        server = server.listen("console", listener, service)?;
    }
    let server = server.run();
    let stopper = Stopper { handle: server.handle(), draining };
    Ok((server, stopper))
}

/// The HTTP layer of the admin socket: whatever comes is asked by the node's administrator.
pub fn own_requests<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    node: &Arc<Node>,
    settings: &ServerSettings,
) -> impl ServiceFactory<
    (Connection<S>, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> {
    let serving = Arc::clone(node);
    http(settings.patience(node), &node.stopping).h1(fn_service(move |mut request: Request| {
        serving.access.own_key.put_into(&mut request.head_mut().headers);
        let answered = Box::pin(answer(Arc::clone(&serving), Door::Api, request));
        async move { Ok::<_, Infallible>(answered.await) }
    }))
}

/// HTTP/1.1 as every listener speaks it.
fn http<C, S>(patience: Patience, draining: &watch::Sender<bool>) -> HttpServiceBuilder<Connection<C>, S>
where
    C: AsyncRead + AsyncWrite + Unpin + 'static,
    S: ServiceFactory<Request, Config = ()>,
    S::Error: Into<Response<BoxBody>> + 'static,
    S::InitError: fmt::Debug,
    <S::Service as Service<Request>>::Future: 'static,
{
    let signal = draining.clone();
    HttpServiceBuilder::default()
        .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
        .client_request_timeout(patience.head)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .h1_write_buffer_size(WRITE_BUFFER_BYTES)
        .graceful_shutdown_signal(move || {
            let mut draining = signal.subscribe();
            async move {
                // An error means that the stopper is gone: then nobody asks to drain.
                if draining.wait_for(|draining| *draining).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        })
        .on_connect_ext(|connection: &Connection<C>, data| {
            data.insert(connection.phase());
            if let Some(mark) = connection.mark() {
                data.insert(mark);
            }
        })
}

/// The HTTP layer of the console, over whatever it is reached by.
pub fn of_console<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    console: &Arc<Console>,
    patience: Patience,
    draining: &watch::Sender<bool>,
) -> impl ServiceFactory<
    (Connection<S>, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> + use<S> {
    let serving = Arc::clone(console);
    http(patience, draining).h1(fn_service(move |request: Request| {
        let answered = Box::pin(answer_of_console(Arc::clone(&serving), request));
        async move { Ok::<_, Infallible>(answered.await) }
    }))
}

async fn answer_of_console(console: Arc<Console>, mut request: Request) -> Response<BoxBody> {
    let serving = serve_on(&request);
    tls::stamp(&mut request, &console.node().settings.auth.trusted_proxies);
    let (head, payload) = request.into_parts();
    let payload = SharedPayload::new(payload);
    let incoming = match payload.clone() {
        Some(payload) => Payload::from(Box::pin(payload) as BoxedPayloadStream),
        None => Payload::None,
    };
    let response = console::answer(&console, (*head).clone(), incoming).await;
    let hold = Hold::untold(payload, serving);
    response.map_body(|_, body| BoxBody::new(Held { body, hold }))
}

/// Decides on a request whose client waits for `100 Continue`; what was decided travels on with the request.
async fn expect(node: Arc<Node>, door: Door, mut request: Request) -> Result<Request, Response<BoxBody>> {
    let request_id = RequestId::random();
    let serving = serve_on(&request);
    tls::stamp(&mut request, &node.settings.auth.trusted_proxies);
    adopt_headers(request.head_mut());
    let route = find_route(&node, door, request.head());
    let exchange = begin_exchange(&node, request.head(), &route, request_id);
    match prepare(&node, route, request.head(), request_id, &exchange).await {
        Ok(Some(prepared)) => {
            request.extensions_mut().insert((prepared, exchange));
            Ok(request)
        }
        Ok(None) => Ok(request),
        Err(error) => {
            let (head, payload) = request.into_parts();
            let hold = Hold::new(&node, request_id, payload, serving, exchange).traced(&head.headers);
            let mut refusal = refuse(&node, &head, request_id, &error, hold);
            // Also where there is no body: some clients take the next answer for one to this request else.
            refusal.head_mut().set_connection_type(ConnectionType::Close);
            Err(refusal)
        }
    }
}

/// What is decided before `100 Continue`; none for requests that read no body.
async fn prepare(
    node: &Arc<Node>,
    route: Result<Route, S3Error>,
    head: &RequestHead,
    request_id: RequestId,
    exchange: &Exchange,
) -> Result<Option<Prepared>, S3Error> {
    let Route::S3(address) = route? else { return Ok(None) };
    if head.method == Method::OPTIONS {
        return Ok(None);
    }
    let prepared = preflight::prepare(node, head, address, request_id, exchange).await?;
    if let (Operation::PutObject, Some(bucket), Address::Object(_, key)) =
        (prepared.operation, &prepared.bucket, &prepared.address)
    {
        let (.., owner) = object_put::check_head(node, &prepared.auth, &head.headers, bucket, key)?;
        node.storage.check_quota(bucket, key, &owner, prepared.limits.declared.unwrap_or(0))?;
        // What it is sealed with is made again for the body: no more is asked here than whether there would be something.
        Asker::of(node, &prepared, &head.headers).envelope(bucket, key).await?;
    }
    if let (Operation::UploadPart, Some(bucket), Address::Object(_, key)) =
        (prepared.operation, &prepared.bucket, &prepared.address)
    {
        let size = prepared.limits.declared;
        let upload = multipart_part::check_head(node, &head.headers, &prepared.query, bucket, key, size)?;
        Asker::of(node, &prepared, &head.headers).part_key(bucket, key, &upload)?;
    }
    Ok(Some(prepared))
}

async fn answer(node: Arc<Node>, door: Door, mut request: Request) -> Response<BoxBody> {
    tls::stamp(&mut request, &node.settings.auth.trusted_proxies);
    let stashed = request.extensions_mut().remove::<(Prepared, Exchange)>();
    let serving = serve_on(&request);
    let request_id = stashed.as_ref().map_or_else(RequestId::random, |(prepared, _)| prepared.request_id);
    let (mut head, payload) = request.into_parts();
    adopt_headers(&mut head);
    let mut hold = Hold::new(&node, request_id, payload, serving, Exchange::default()).traced(&head.headers);
    if let Some((prepared, exchange)) = stashed {
        hold.exchange = exchange;
        return handle(&node, &mut head, prepared, hold).await;
    }
    let route = find_route(&node, door, &head);
    hold.exchange = begin_exchange(&node, &head, &route, request_id);
    if let Some(interface) = route.as_ref().ok().and_then(Route::interface) {
        hold.exchange.asked_of(interface);
    }
    match route {
        Ok(Route::S3(address)) => s3(&node, &mut head, address, request_id, hold).await,
        Ok(Route::Website(site)) => website(&node, &head, &site, request_id, hold).await,
        Ok(Route::Health) => finish(&node, request_id, health(node.storage.failure(), node.trouble()), hold),
        Ok(Route::Aws) => aws(&node, &head, request_id, hold).await,
        Ok(route @ (Route::Admin | Route::Kms | Route::Presign(..) | Route::Unbuilt)) => {
            own(&node, &head, &route, request_id, hold).await
        }
        Err(error) => refuse(&node, &head, request_id, &error, hold),
    }
}

/// What surrounds the answer to a request, or the refusal of one that addresses nothing. A website begins its own.
fn begin_exchange(node: &Node, head: &RequestHead, route: &Result<Route, S3Error>, request_id: RequestId) -> Exchange {
    match route {
        Ok(Route::S3(address)) => Exchange::begin(node, head, address, request_id),
        Ok(Route::Admin | Route::Kms | Route::Presign(..) | Route::Unbuilt) => Exchange::of_json_route(head),
        Err(_) if route::speaks_json(route::host(head), head.uri.path(), &node.settings.base_domains) => {
            Exchange::of_json_route(head)
        }
        // A browser is told of the refusal only where the bucket's rules let it read the answer.
        Err(_) => match route::bucket_of(route::host(head), head.uri.path(), &node.settings.base_domains) {
            Some(bucket) => Exchange::with_bucket(node, head, &bucket, None, request_id),
            None => Exchange::default(),
        },
        Ok(Route::Health | Route::Website(_) | Route::Aws) => Exchange::default(),
    }
}

async fn s3(
    node: &Arc<Node>,
    head: &mut RequestHead,
    address: Address,
    request_id: RequestId,
    hold: Hold,
) -> Response<BoxBody> {
    if head.method == Method::OPTIONS {
        return match cors_preflight(node, head, &address) {
            Ok(response) => finish(node, request_id, response, hold),
            Err(error) => refuse(node, head, request_id, &error, hold),
        };
    }
    match preflight::prepare(node, head, address, request_id, &hold.exchange).await {
        Ok(prepared) => handle(node, head, prepared, hold).await,
        Err(error) => refuse(node, head, request_id, &error, hold),
    }
}

/// A browser asks whether it may ask: by the bucket's rules alone, whoever it is.
fn cors_preflight(node: &Node, head: &RequestHead, address: &Address) -> Answer {
    preflight::check_head_size(head)?;
    let (bucket, _) = address.clone().into_parts();
    let bucket = bucket.and_then(|bucket| node.storage.bucket(&bucket).ok());
    let rules = bucket.as_ref().map(|bucket| bucket.config.cors.as_ref());
    cors::preflight(rules, address.scope(), &head.headers)
}

async fn website(
    node: &Arc<Node>,
    head: &RequestHead,
    site: &Site,
    request_id: RequestId,
    mut hold: Hold,
) -> Response<BoxBody> {
    if let Some(bucket) = &site.bucket {
        let key = percent_decode(site.raw_key.as_bytes(), false).and_then(|key| parse_key(&key).ok());
        hold.exchange = Exchange::with_bucket(node, head, bucket, key.as_ref(), request_id);
        hold.exchange.asked_of("Website");
    }
    let response = match preflight::admit(node).map(Arc::new) {
        Ok(place) => {
            hold.permit = Some(Arc::clone(&place));
            website::answer(node, head, site, request_id, place, &hold.exchange).await
        }
        Err(error) => website::refusal(node, head, &error, None, request_id, &hold.exchange),
    };
    finish(node, request_id, response, hold)
}

/// Runs the handler; its answer keeps the request's place until the last byte is sent.
async fn handle(node: &Arc<Node>, head: &mut RequestHead, prepared: Prepared, mut hold: Hold) -> Response<BoxBody> {
    match run(node, head, prepared, &mut hold).await {
        Ok(response) => finish(node, hold.request_id, response, hold),
        Err(error) => refuse(node, head, hold.request_id, &error, hold),
    }
}

async fn run(node: &Arc<Node>, head: &mut RequestHead, prepared: Prepared, hold: &mut Hold) -> Answer {
    let (request_id, operation, charged) = (prepared.request_id, prepared.operation, prepared.charged);
    let replicates = replica::is_agent(&head.headers);
    let call = call(node, head, prepared, hold);
    let is_signed = call.auth.principal.is_some();
    let span = request_span(&request_id.to_string(), head.method.as_str(), head.uri.path());
    if let Some(principal) = &call.auth.principal {
        span.record("principal", principal.access_key.as_str());
    }
    let mut response = dispatch(call).instrument(span).await?;
    if charged {
        set_header(&mut response, "x-amz-request-charged", "requester");
    }
    if replicates && is_signed {
        replica::name_node(&mut response, node.storage.node_id(), node.clock.now());
    }
    tracing::debug!(%request_id, operation = operation.name(), status = response.status().as_u16(), "answered");
    Ok(response)
}

/// What the handler of a request that was let through gets.
fn call(node: &Arc<Node>, head: &mut RequestHead, prepared: Prepared, hold: &mut Hold) -> Call {
    let Prepared {
        permit,
        request_id,
        received,
        peer,
        secure,
        operation,
        address,
        bucket,
        query,
        auth,
        peeked,
        expected,
        charged: _,
        checks,
        limits,
        decoder,
    } = prepared;
    let (bucket_name, key) = address.into_parts();
    let place = Arc::new(permit);
    hold.permit = Some(Arc::clone(&place));
    hold.request_id = request_id;
    let incoming = stream::iter(hold.payload.clone()).flatten();
    Call {
        node: Arc::clone(node),
        operation,
        bucket_name,
        bucket,
        key,
        query,
        headers: std::mem::take(&mut head.headers),
        method: head.method.clone(),
        raw_path: head.uri.path().to_owned(),
        auth,
        request_id,
        place,
        received,
        peer,
        secure,
        note: hold.exchange.note.clone(),
        body: RequestBody::new(incoming, decoder, limits, checks),
        on_behalf: OnceCell::new(),
        peeked,
        expected,
        refusals: Cell::new(0),
    }
}

/// Headers that the query of a presigned URL carries become headers, for authentication and handlers alike.
fn adopt_headers(head: &mut RequestHead) {
    query_signs::adopt_headers(head.uri.query().unwrap_or_default(), &mut head.headers);
}

fn find_route(node: &Node, door: Door, head: &RequestHead) -> Result<Route, S3Error> {
    let (host, path) = (route::host(head), head.uri.path());
    let exists = |name: &BucketName| node.storage.bucket(name).is_ok();
    if let Some(site) = website::find(door, host, path, &node.settings.website_domains, exists) {
        return Ok(Route::Website(site));
    }
    let account = first_value(&head.headers, "x-amz-account-id").and_then(|account| account.to_str().ok());
    // There the host names an account, not a bucket.
    let domains = if route::is_control(host, path, account) { &[] } else { node.settings.base_domains.as_slice() };
    let route = route::find(host, path, domains)?;
    // The names of the node's own routes are no names for buckets.
    let creates = head.method == Method::PUT && !head.uri.path().trim_matches('/').contains('/');
    match route {
        Route::Health | Route::Admin | Route::Kms | Route::Unbuilt if creates => {
            Err(ErrorCode::InvalidBucketName.into())
        }
        Route::S3(Address::Service) if aws::is_meant(head) => Ok(Route::Aws),
        route => Ok(route),
    }
}

async fn aws(node: &Arc<Node>, head: &RequestHead, request_id: RequestId, mut hold: Hold) -> Response<BoxBody> {
    let response = match preflight::admit(node).map(Arc::new) {
        Ok(place) => {
            hold.permit = Some(place);
            let incoming = stream::iter(hold.payload.clone()).flatten();
            aws::answer(node, head, request_id, incoming).await
        }
        Err(error) => aws::refuse(node, head, &error.into(), request_id),
    };
    finish(node, request_id, response, hold)
}

/// Answers a request of one of the node's own routes, which speak JSON.
async fn own(
    node: &Arc<Node>,
    head: &RequestHead,
    route: &Route,
    request_id: RequestId,
    mut hold: Hold,
) -> Response<BoxBody> {
    match run_own(node, head, route, request_id, &mut hold).await {
        Ok(response) => finish(node, request_id, response, hold),
        Err(error) => refuse(node, head, request_id, &error, hold),
    }
}

async fn run_own(
    node: &Arc<Node>,
    head: &RequestHead,
    route: &Route,
    request_id: RequestId,
    hold: &mut Hold,
) -> Answer {
    hold.exchange.came_from(preflight::client_of(node, head));
    hold.permit = Some(preflight::admit(node).map(Arc::new)?);
    let incoming = stream::iter(hold.payload.clone()).flatten();
    let exchange = &hold.exchange;
    exchange.asked_at(head.uri.path());
    match route {
        Route::Admin => admin::answer(node, head, request_id, exchange, incoming).await,
        Route::Kms => admin::kms::answer(node, head, request_id, exchange, incoming).await,
        Route::Presign(bucket, key) => admin::presign::answer(node, head, exchange, incoming, (bucket, key)).await,
        _ => Err(route::unbuilt()),
    }
}

fn refuse(node: &Node, head: &RequestHead, request_id: RequestId, error: &S3Error, hold: Hold) -> Response<BoxBody> {
    note_refusal(node, head, request_id, error, &hold);
    let (code, path) = (error.code(), head.uri.path());
    let asked = Asked {
        request_id,
        host_id: &node.host_id,
        resource: path,
        is_head: head.method == Method::HEAD,
        as_json: hold.exchange.tells_json,
    };
    let mut response = error_response(error, asked);
    // HeadBucket tells the region also to those who may not look into the bucket.
    if head.method == Method::HEAD && matches!(code, ErrorCode::AccessDenied) {
        set_header(&mut response, "x-amz-bucket-region", &node.settings.region);
    }
    finish(node, request_id, response, hold)
}

/// Keeps a refusal for those who may ask about it, and tells the logs.
fn note_refusal(node: &Node, head: &RequestHead, request_id: RequestId, error: &S3Error, hold: &Hold) {
    let code = error.code();
    hold.exchange.refused(node, request_id, error, head.uri.path());
    let (status, cause, path) = (code.status().as_u16(), error.cause().unwrap_or_default(), head.uri.path());
    // A full device is told once by storage, not by each request that it refuses.
    if status == 500 {
        tracing::error!(%request_id, method = %head.method, path, code = code.name(), cause, "failed");
    } else {
        tracing::debug!(%request_id, method = %head.method, path, code = code.name(), cause, "refused");
    }
}

fn finish(node: &Node, request_id: RequestId, mut response: HttpResponse, hold: Hold) -> Response<BoxBody> {
    hold.exchange.add_headers(response.headers_mut());
    hold.exchange.answered(&response);
    let mut response: Response<BoxBody> = response.into();
    add_common_headers(response.headers_mut(), request_id, &node.host_id);
    response.map_body(|_, body| BoxBody::new(Held { body, hold }))
}
