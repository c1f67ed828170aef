//! Previews of what browsers only show with more freedom than a page of the console may give: PDF files. They come from another origin of
//! the same listener (`CONSOLE_PREVIEW_ORIGIN`), which serves nothing else, knows no cookies, and is reached by sealed links alone.
//!
//! INVARIANT: a link gives no more than whoever it was made for may read at that moment: each request is asked in their name, and only as
//! long as their session, their key and its secret are what they were.

use std::sync::Arc;

use actix_http::RequestHead;
use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use actix_web::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use myfsio_actors::names::{AccessKeyId, BucketName, ObjectKey, VersionId};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::address::host;
use super::headers::preview_policy;
use super::pages::bytes;
use super::pages::preview::Subject;
use super::store::random_id;
use super::visit::{Visit, words};
use super::{Console, ConsoleSettings};
use crate::within::{self, Asker, Place};

/// How long a link is good for, in seconds: a viewer reads long files in pieces as their pages are turned.
const LINK_SECONDS: u64 = 600;
/// What links are sealed for.
const PURPOSE: &str = "console preview link v1";
/// What stands before them in the path.
const PATH: &str = "/preview/";

/// The origin that serves previews.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewOrigin {
    /// `https://host[:port]`, in lower case, without a port that the scheme has anyway.
    text: String,
}

impl PreviewOrigin {
    /// Of a setting that was read already; none where it is no URL.
    pub fn of(text: &str) -> Option<Self> {
        text.contains("://").then(|| Self { text: text.to_owned() })
    }

    /// As headers and addresses name it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a request is meant for it. Whoever claims so in one way or another gets no more than previews.
    pub fn is_asked(&self, head: &RequestHead) -> bool {
        let (scheme, authority) = self.text.split_once("://").unwrap_or_default();
        let usual = if scheme == "https" { ":443" } else { ":80" };
        let is_it = |host: &str| {
            let host = host.trim();
            let bare = host.strip_suffix(usual).unwrap_or(host);
            bare.strip_suffix('.').unwrap_or(bare).eq_ignore_ascii_case(authority)
        };
        let forwarded = head.headers.get_all("x-forwarded-host").filter_map(|value| value.to_str().ok());
        is_it(host(head)) || forwarded.flat_map(|hosts| hosts.split(',')).any(is_it)
    }
}

/// What a link is sealed of.
#[derive(Debug, Serialize, Deserialize)]
struct Link {
    /// Until when it is good, in seconds since 1970.
    until: u64,
    /// The session that it was made in.
    session: String,
    /// The access key that it asks by.
    access_key: String,
    /// What the mark is of, beside the secret.
    salt: String,
    /// What is kept of the secret.
    mark: String,
    bucket: String,
    key: String,
    /// The version; none is whatever is current, as long as it has the ETag.
    version: Option<String>,
    /// What the object must still be.
    etag: String,
    /// The origin of the page that may show it.
    page: String,
}

/// The address of a preview for whoever asks by this visit; none where there is no such origin, or the page's own cannot be named.
pub async fn link(visit: &Visit, subject: &Subject<'_>) -> Option<String> {
    let console = &visit.console;
    let origin = console.settings.preview_origin.as_ref()?;
    let signed_in = visit.signed_in.as_ref()?;
    let page = page_origin(&console.settings, host(&visit.head), visit.secure)?;
    let access_key = signed_in.session.key()?;
    let identity = within::resume(&console.node, &visit.head, &access_key).await.ok()?;
    let salt = random_id().ok()?;
    let link = Link {
        until: console.node.clock.now().seconds().saturating_add(LINK_SECONDS),
        session: signed_in.session.handle().to_owned(),
        access_key: access_key.as_str().to_owned(),
        mark: URL_SAFE_NO_PAD.encode(identity.mark(&salt)),
        salt,
        bucket: subject.bucket.name.as_str().to_owned(),
        key: subject.key.as_str().to_owned(),
        version: subject.version.map(|version| version.to_string()),
        etag: subject.object.etag.to_string(),
        page,
    };
    let sealed = console.sealer.seal_token(PURPOSE, &serde_json::to_vec(&link).ok()?).ok()?;
    Some(format!("{}{PATH}{sealed}", origin.text()))
}

/// The origin of a page as a policy names it; none for hosts that none can name, such as IPv6 addresses.
fn page_origin(settings: &ConsoleSettings, host: &str, secure: bool) -> Option<String> {
    let scheme = if secure { "https" } else { "http" };
    let origin = settings.base_url.as_ref().map_or_else(|| format!("{scheme}://{host}"), |url| url.origin.clone());
    let (_, authority) = origin.split_once("://")?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    (!authority.is_empty() && authority.bytes().all(is_plain)).then_some(origin)
}

/// Answers a request to the origin. Whatever is no preview, or not any more, is not found.
pub async fn answer(console: &Arc<Console>, head: &RequestHead) -> HttpResponse {
    let t = &words().object;
    let Some(link) = opened(console, head) else { return nothing(t.preview_only, None) };
    match preview(console, head, &link).await {
        Some(response) => response,
        None => nothing(t.preview_ended, Some(&link.page)),
    }
}

fn opened(console: &Console, head: &RequestHead) -> Option<Link> {
    let token = head.uri.path().strip_prefix(PATH)?;
    let sealed = console.sealer.open_token(PURPOSE, token).ok()?;
    serde_json::from_slice(&sealed).ok()
}

async fn preview(console: &Arc<Console>, head: &RequestHead, link: &Link) -> Option<HttpResponse> {
    let now = console.node.clock.now();
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    if !is_read || now.seconds() >= link.until || !console.sessions.lasts(&link.session, now) {
        return None;
    }
    within::check_head_size(head).ok()?;
    let access_key = AccessKeyId::parse(&link.access_key).ok()?;
    let identity = within::resume(&console.node, head, &access_key).await.ok()?;
    let mark = URL_SAFE_NO_PAD.decode(&link.mark).ok()?;
    if !bool::from(identity.mark(&link.salt).as_slice().ct_eq(&mark)) {
        return None;
    }
    let asker = Asker::new(&console.node, identity.principal, head, console.settings.api_port);
    let (bucket, key) = (BucketName::parse(&link.bucket).ok()?, ObjectKey::parse(link.key.as_bytes()).ok()?);
    let version = link.version.as_deref().map(VersionId::parse).transpose().ok()?;
    let place = Place { bucket: &bucket, key: &key, version };
    let etag = format!("\"{}\"", link.etag);
    let mut response = bytes::read(&asker, head, place, Some(&etag)).await.ok()?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/pdf"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_str(&bytes::named("inline", key.as_str())).ok()?);
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_str(&preview_policy(Some(&link.page))).ok()?);
    Some(response)
}

/// There is nothing here. `page`: the origin whose pages may show that, as they would have shown the preview.
fn nothing(why: &'static str, page: Option<&str>) -> HttpResponse {
    HttpResponse::build(StatusCode::NOT_FOUND)
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, preview_policy(page)))
        .body(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderName;

    fn asks(origin: &str, headers: &[(&'static str, &'static str)]) -> bool {
        let mut head = RequestHead::default();
        for (name, value) in headers {
            head.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        PreviewOrigin::of(origin).unwrap().is_asked(&head)
    }

    #[test]
    fn whoever_names_it_gets_no_more_than_previews() {
        let origin = "https://previews.test";
        for headers in [
            &[("host", "previews.test")][..],
            &[("host", "Previews.test:443")],
            &[("host", "previews.test.")],
            &[("host", "127.0.0.1:5100"), ("x-forwarded-host", "previews.test")],
            &[("host", "ui.test"), ("x-forwarded-host", "ui.test, previews.test")],
        ] {
            assert!(asks(origin, headers), "{headers:?}");
        }
        for host in ["ui.test", "previews.test:80", "x.previews.test", ""] {
            assert!(!asks(origin, &[("host", host)]), "{host}");
        }
        assert!(asks("http://localhost:5100", &[("host", "localhost:5100")]));
        assert!(!asks("http://localhost:5100", &[("host", "127.0.0.1:5100")]));
        assert!(!asks(origin, &[]));
    }

    #[test]
    fn pages_are_named_so_that_a_policy_holds() {
        let mut settings = ConsoleSettings {
            api_port: 5000,
            page_size: 100,
            base_url: None,
            preview_origin: None,
            sessions_path: "x".into(),
        };
        assert_eq!(page_origin(&settings, "n:5100", false).as_deref(), Some("http://n:5100"));
        assert_eq!(page_origin(&settings, "n", true).as_deref(), Some("https://n"));
        for host in ["", "*", "a b", "a;script-src *", "a\r\nx: y", "[::1]:5100", "a,b"] {
            assert_eq!(page_origin(&settings, host, false), None, "{host}");
        }
        settings.base_url = Some("https://ui.test/x".parse().unwrap());
        assert_eq!(page_origin(&settings, "*", false).as_deref(), Some("https://ui.test"));
    }
}
