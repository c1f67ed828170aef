//! From a browser's request to a page: session, row, forgery, handler; and what all answers have in common.

use std::sync::Arc;

use actix_http::{Payload, RequestHead, Response};
use actix_web::HttpResponse;
use actix_web::body::{BoxBody, MessageBody as _};
use actix_web::http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION, VARY};
use actix_web::http::{Method, Uri};
use futures_util::StreamExt as _;

use super::cookies::{Jar, Kind};
use super::csrf::{self, Token};
use super::failure::Failure;
use super::forms::Fields;
use super::route::{self, Body, Found, Outcome, Row};
use super::visit::{SignedIn, Visit, words};
use super::{Console, assets, headers, links, pages, preview_origin};
use crate::admin::health::health;
use crate::within::{self, Asker};

/// Largest form, in bytes.
const FORM_BYTES_MAX: usize = 1024 * 1024;
/// Pages shorter than this are not worth compressing, in bytes.
const COMPRESSED_BYTES_MIN: usize = 1024;

/// Answers a request to the console.
pub async fn answer(console: &Arc<Console>, mut head: RequestHead, payload: Payload) -> Response<BoxBody> {
    if let Some(origin) = console.settings.preview_origin.as_ref().filter(|origin| origin.is_asked(&head)) {
        let secure = within::is_secure(&console.node, &head) || origin.text().starts_with("https:");
        let mut response = preview_origin::answer(console, &head).await;
        headers::add_to_preview(&mut response, secure);
        return response.into();
    }
    strip_base(&mut head, console.settings.base());
    let takes_gzip = takes_gzip(&head);
    let secure = within::is_secure(&console.node, &head)
        || console.settings.base_url.as_ref().is_some_and(|url| url.origin.starts_with("https:"));
    let path = head.uri.path();
    let node = &console.node;
    let mut response = if path == "/" {
        let location = format!("{}/ui", console.settings.base());
        HttpResponse::Found().insert_header((LOCATION, location)).finish()
    } else if path == "/healthz" {
        health(node.storage.failure(), node.trouble())
    } else if let Some(asset) =
        path.strip_prefix("/ui/static/").and_then(|path| console.assets.answer(path, takes_gzip))
    {
        asset
    } else {
        page(console, head, payload, secure).await
    };
    headers::add(&mut response, secure);
    if takes_gzip { compress(response).into() } else { response.into() }
}

/// A proxy may leave in the path what stands before `/ui`.
fn strip_base(head: &mut RequestHead, base: &str) {
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    if let Some(rest) = target.strip_prefix(base).filter(|rest| !base.is_empty() && rest.starts_with('/'))
        && let Ok(uri) = rest.parse::<Uri>()
    {
        head.uri = uri;
    }
}

async fn page(console: &Arc<Console>, head: RequestHead, payload: Payload, secure: bool) -> HttpResponse {
    let signed_in = signed_in(console, &head, secure).await;
    let visit = |payload| Visit {
        console: Arc::clone(console),
        head: head.clone(),
        query: Fields::default(),
        form: Fields::default(),
        payload,
        parameters: Vec::new(),
        signed_in: signed_in.clone(),
        t: words(),
        secure,
    };
    match handle(visit(payload)).await {
        Ok(response) => response,
        Err(failure) => fail(&visit(Payload::None), &failure).await,
    }
}

/// The session of a request, as long as its access key may be used and its secret is what it was.
async fn signed_in(console: &Arc<Console>, head: &RequestHead, secure: bool) -> Option<SignedIn> {
    let id = Jar::of(head, secure).get(head, Kind::Session)?.to_owned();
    let session = console.sessions.find(&id, console.node.clock.now())?;
    let identity = match within::resume(&console.node, head, &session.key()?).await {
        Ok(identity) => identity,
        Err(refusal) => {
            // A node that is busy now ends no session.
            if !refusal.status.is_server_error() {
                console.sessions.end(session.handle());
            }
            return None;
        }
    };
    if !session.has_mark(&identity.mark(&id)) {
        console.sessions.end(session.handle());
        return None;
    }
    let asker = Asker::new(&console.node, identity.principal, head, console.settings.api_port);
    Some(SignedIn { asker, session, token: Token::of(&id) })
}

async fn handle(mut visit: Visit) -> Outcome {
    within::check_head_size(&visit.head)?;
    let (row, parameters) = match route::find(visit.head.method.as_str(), visit.head.uri.path()) {
        Found::Row(row, parameters) => (row, parameters),
        Found::OtherMethods(methods) => return Err(Failure::Method(methods)),
        Found::Nothing => return Err(Failure::NoSuchPage),
    };
    visit.parameters = parameters;
    visit.query = Fields::parse(visit.head.uri.query().unwrap_or_default())?;
    if !row.is_open() && visit.signed_in.is_none() {
        return Err(Failure::SignedOut);
    }
    if row.method != "GET" {
        check_origin(&mut visit, row).await?;
    }
    (row.handler)(visit).await
}

/// Lets a change through only if one of our pages asks for it.
async fn check_origin(visit: &mut Visit, row: &Row) -> Result<(), Failure> {
    if !csrf::is_from_us(&visit.console.settings, &visit.head) {
        return Err(Failure::Forged);
    }
    let in_header = visit.head.headers.get("x-csrf-token").and_then(|token| token.to_str().ok().map(str::to_owned));
    let token = match row.body {
        Body::Form => {
            visit.form = read_form(visit).await?;
            in_header.or_else(|| visit.form.raw("csrf").map(str::to_owned))
        }
        Body::Stream => in_header,
        // The page looks at its first field.
        Body::Files if in_header.is_none() => return Ok(()),
        Body::Files => in_header,
    };
    match row.is_open() {
        // Has no session yet, and a token of its own.
        true => Ok(()),
        false => visit.check_token(&token.unwrap_or_default()),
    }
}

/// The fields of a form. Errs: it is none, or too large.
async fn read_form(visit: &mut Visit) -> Result<Fields, Failure> {
    let kind = visit.head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let mut bytes = Vec::new();
    while let Some(chunk) = visit.payload.next().await {
        let chunk = chunk.map_err(|_| Failure::input(visit.t.common.error_too_large))?;
        if bytes.len() + chunk.len() > FORM_BYTES_MAX {
            return Err(Failure::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    if !bytes.is_empty() && kind != "application/x-www-form-urlencoded" {
        return Err(Failure::Forged);
    }
    Fields::parse(&String::from_utf8_lossy(&bytes))
}

/// The page that tells a failure; a log-in where one is missing.
async fn fail(visit: &Visit, failure: &Failure) -> HttpResponse {
    if matches!(failure, Failure::SignedOut) && visit.head.method == Method::GET && !visit.wants_json() {
        let here = visit.head.uri.path_and_query().map_or("/ui", |target| target.as_str());
        let next = if here == "/ui" { "" } else { links::safe_next(here) };
        let address = links::link(&["login"], &[("next", next)]);
        let location = format!("{}{address}", visit.console.settings.base());
        return HttpResponse::SeeOther().insert_header((LOCATION, location)).finish();
    }
    let reasons = pages::error::reasons(visit, failure).await;
    let mut response = pages::error::show(visit, failure, reasons);
    if let Failure::Method(methods) = failure
        && let Ok(methods) = HeaderValue::from_str(methods)
    {
        response.headers_mut().insert(ALLOW, methods);
    }
    response
}

fn takes_gzip(head: &RequestHead) -> bool {
    let accepted = head.headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|part| {
        let (coding, weight) = part.split_once(';').unwrap_or((part, ""));
        coding.trim().eq_ignore_ascii_case("gzip") && weight.trim() != "q=0"
    })
}

/// Compresses a page that is worth it. One that shows a secret says `Content-Encoding: identity`, and stays as it is.
fn compress(response: HttpResponse) -> HttpResponse {
    let is_page = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if !is_page || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let (mut response, body) = response.into_parts();
    match body.try_into_bytes() {
        Ok(bytes) if bytes.len() >= COMPRESSED_BYTES_MIN => {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
            response.set_body(BoxBody::new(assets::gzip(&bytes)))
        }
        Ok(bytes) => response.set_body(BoxBody::new(bytes)),
        Err(body) => response.set_body(body),
    }
}
