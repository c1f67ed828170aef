//! Users, groups and policies as a file: out, and in after a look at what that would do.
//!
//! The node keeps nothing between the look and the deed: the page carries the file along, compressed, and the stamp of what it showed.

use std::io::Read as _;

use actix_http::Payload;
use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use actix_web::http::{Method, StatusCode};
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::Value;

use super::users::parse_document;
use crate::console::assets::gzip;
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::notice::Notice;
use crate::console::route::Outcome;
use crate::console::units::{bytes, count, legible};
use crate::console::upload_form::read_to_file;
use crate::console::visit::{Visit, read, render_with};

/// Largest file, in bytes.
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Most of it that the page carries along, in characters: the form that it comes back by takes a MiB.
const CARRIED_MAX: usize = 800 * 1024;
const ROUTE: &str = "/_myfsio/iam/import";

#[derive(Deserialize)]
struct Told {
    stamp: String,
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    kind: String,
    name: String,
    outcome: String,
    fields: Vec<String>,
}

struct ItemView {
    kind: &'static str,
    name: String,
    word: &'static str,
    tone: &'static str,
    fields: String,
}

/// What the file would do.
struct Preview {
    items: Vec<ItemView>,
    created: String,
    changed: String,
    stayed: String,
    does_nothing: bool,
    stamp: String,
    document: String,
}

#[derive(Template)]
#[template(path = "iam/transfer.html")]
struct TransferPage {
    page: Page,
    most: String,
    problem: String,
    preview: Option<Preview>,
}

fn page(visit: &Visit, status: StatusCode, problem: String, preview: Option<Preview>) -> Outcome {
    let page = visit.page(visit.t.transfer.title).crumb(visit.t.iam.title, "/ui/iam");
    render_with(status, &TransferPage { page, most: bytes(FILE_BYTES_MAX), problem, preview })
}

/// The page.
pub async fn show(visit: Visit) -> Outcome {
    // It shows what only administrators may do.
    visit.asker()?.json(Method::GET, "/_myfsio/iam/export", None).await?;
    page(&visit, StatusCode::OK, String::new(), None)
}

/// The file.
pub async fn export(visit: Visit) -> Outcome {
    let told = visit.asker()?.json(Method::GET, "/_myfsio/iam/export", None).await?;
    let text = serde_json::to_string_pretty(&told).unwrap_or_default();
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"myfsio-users.json\""))
        .body(text))
}

/// Tells what a file would do.
pub async fn preview(mut visit: Visit) -> Outcome {
    let text = match uploaded(&mut visit).await? {
        Ok(text) => text,
        Err(problem) => {
            visit.asker()?.json(Method::GET, "/_myfsio/iam/export", None).await?;
            return page(&visit, StatusCode::BAD_REQUEST, problem, None);
        }
    };
    look(&visit, &text, StatusCode::OK, String::new()).await
}

/// What was sent, or what is wrong with it. Errs: it is not from our page.
async fn uploaded(visit: &mut Visit) -> Result<Result<String, String>, Failure> {
    let words = &visit.t.transfer;
    let header = |name: HeaderName| {
        visit.head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let (kind, length) = (header(CONTENT_TYPE), header(CONTENT_LENGTH).parse().unwrap_or(0));
    let payload = std::mem::replace(&mut visit.payload, Payload::None);
    let Some(form) = read_to_file(&kind, length, payload).await else {
        // Nobody knows yet whether the page is ours: scripts say it by a header.
        let token = visit.head.headers.get("x-csrf-token").and_then(|token| token.to_str().ok());
        visit.check_token(token.unwrap_or_default())?;
        return Ok(Err(words.no_file.to_owned()));
    };
    visit.check_token(form.field("csrf"))?;
    if form.name.is_empty() {
        return Ok(Err(words.no_file.to_owned()));
    }
    if form.size > FILE_BYTES_MAX {
        return Err(Failure::TooLarge);
    }
    let (mut text, mut payload) = (Vec::new(), form.payload);
    while let Some(chunk) = payload.next().await {
        text.extend_from_slice(&chunk.map_err(|_| Failure::input(words.no_file))?);
    }
    Ok(String::from_utf8(text).map_err(|_| words.no_text.to_owned()))
}

async fn look(visit: &Visit, text: &str, status: StatusCode, problem: String) -> Outcome {
    let asked = match parse_document(text) {
        Ok(document) => visit.asker()?.json(Method::POST, &format!("{ROUTE}?preview"), Some(&document)).await,
        Err(Failure::Input(problem)) => return page(visit, StatusCode::BAD_REQUEST, problem, None),
        Err(failure) => return Err(failure),
    };
    match asked {
        Ok(told) => {
            let document = STANDARD.encode(gzip(text.as_bytes()));
            if document.len() > CARRIED_MAX {
                return Err(Failure::TooLarge);
            }
            page(visit, status, problem, Some(told_of(visit, read(told)?, document)))
        }
        Err(refusal) if refusal.status.is_client_error() && refusal.status != StatusCode::FORBIDDEN => {
            page(visit, StatusCode::BAD_REQUEST, legible(&refusal.message), None)
        }
        Err(refusal) => Err(refusal.into()),
    }
}

fn told_of(visit: &Visit, told: Told, document: String) -> Preview {
    let words = &visit.t.transfer;
    let number = |outcomes: &[&str]| told.items.iter().filter(|item| outcomes.contains(&&*item.outcome)).count() as u64;
    let item = |item: &Item| {
        let (word, tone) = match item.outcome.as_str() {
            "created" => (words.created, "good"),
            "changed" => (words.changed, "warn"),
            "kept" => (words.kept, ""),
            _ => (words.same, ""),
        };
        let kind = match item.kind.as_str() {
            "policy" => words.policy,
            "group" => words.group,
            _ => words.user,
        };
        ItemView { kind, name: legible(&item.name), word, tone, fields: item.fields.join(", ") }
    };
    Preview {
        items: told.items.iter().map(item).collect(),
        created: count(number(&["created"])),
        changed: count(number(&["changed"])),
        stayed: count(number(&["same", "kept"])),
        does_nothing: number(&["created", "changed"]) == 0,
        stamp: told.stamp,
        document,
    }
}

/// Does what was looked at, if it still is what it was.
pub async fn import(visit: Visit) -> Outcome {
    let text = unpacked(visit.form.text("document"));
    let document = match &text {
        Some(text) => parse_document(text)?,
        None => Value::Null,
    };
    let target = format!("{ROUTE}?stamp={}", crate::console::links::encode(visit.form.text("stamp")));
    match visit.asker()?.json(Method::POST, &target, Some(&document)).await {
        Ok(told) => {
            let Told { items, .. } = read(told)?;
            let done = items.iter().filter(|item| matches!(item.outcome.as_str(), "created" | "changed")).count();
            visit.done(Notice::good(format!("{} {}", count(done as u64), visit.t.transfer.done)), "/ui/iam")
        }
        Err(refusal) if refusal.status == StatusCode::PRECONDITION_FAILED => {
            let text = text.unwrap_or_default();
            look(&visit, &text, StatusCode::CONFLICT, visit.t.transfer.differs.to_owned()).await
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// What the page carried along; none where it is nothing that it could have.
fn unpacked(carried: &str) -> Option<String> {
    let packed = STANDARD.decode(carried).ok()?;
    let mut text = String::new();
    GzDecoder::new(packed.as_slice()).take(FILE_BYTES_MAX + 1).read_to_string(&mut text).ok()?;
    (text.len() as u64 <= FILE_BYTES_MAX).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_carried_is_bounded() {
        let carried = |text: &str| unpacked(&STANDARD.encode(gzip(text.as_bytes())));
        assert_eq!(carried("{\"ä\": 1}").as_deref(), Some("{\"ä\": 1}"));
        assert_eq!(carried(&"a".repeat(FILE_BYTES_MAX as usize + 1)), None);
        assert_eq!((unpacked("no base64"), unpacked("aGVsbG8=")), (None, None));
    }
}
