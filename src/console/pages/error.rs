//! Pages that tell what went wrong: code, message, request id, why, and what can be done.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::http::{Method, StatusCode};
use askama::Template;
use serde_json::{Value, json};

use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links::{self, safe_next};
use crate::console::units::legible;
use crate::console::visit::{Visit, render_with};
use crate::within::Asker;

#[derive(Template)]
#[template(path = "error/error.html")]
struct ErrorPage {
    page: Page,
    status: u16,
    code: String,
    message: String,
    hint: String,
    request_id: String,
    /// Where whoever may look finds the request, and where its time went.
    trace: Option<String>,
    fields: Vec<(String, String)>,
    reasons: Vec<String>,
    back: String,
}

/// The answer that tells a failure: a page, or JSON for a script.
pub fn show(visit: &Visit, failure: &Failure, reasons: Vec<String>) -> HttpResponse {
    let words = &visit.t.common;
    let status = failure.status();
    let (title, code, message) = match failure {
        Failure::Refused(refusal) => (title_of(visit, status), refusal.code.to_owned(), refusal.message.clone()),
        Failure::SignedOut => (words.error_title_signed_out, "SignedOut".to_owned(), words.error_signed_out.to_owned()),
        Failure::Forged => (words.error_title_forged, "Forged".to_owned(), words.error_forged.to_owned()),
        Failure::NoSuchPage => (words.error_title_missing, "NoSuchPage".to_owned(), words.error_missing.to_owned()),
        Failure::Method(_) => (words.error_title_input, "MethodNotAllowed".to_owned(), words.error_method.to_owned()),
        Failure::Input(text) => (words.error_title_input, "InvalidInput".to_owned(), text.clone()),
        Failure::Changed => (words.error_title_conflict, "Changed".to_owned(), words.error_changed.to_owned()),
        Failure::Overtaken(text) => (words.error_title_conflict, "Changed".to_owned(), text.clone()),
        Failure::TooLarge => (words.error_title_input, "TooLarge".to_owned(), words.error_too_large.to_owned()),
    };
    let refusal = match failure {
        Failure::Refused(refusal) => Some(refusal),
        _ => None,
    };
    let request_id = refusal.map(|refusal| refusal.request_id.clone()).unwrap_or_default();
    let mut response = if visit.wants_json() {
        let told = json!({ "error": { "code": code, "message": message, "request_id": request_id } });
        let kind = HeaderValue::from_static("application/json");
        HttpResponse::build(status).insert_header((CONTENT_TYPE, kind)).body(told.to_string())
    } else {
        let fields = refusal.map(|refusal| refusal.fields.as_slice()).unwrap_or_default();
        let hint = if refusal.is_some_and(|refusal| refusal.is_denial) { words.error_why_hint } else { "" };
        let page = ErrorPage {
            page: visit.page(title),
            status: status.as_u16(),
            code,
            message: legible(&message),
            hint: hint.to_owned(),
            trace: trace(visit, &request_id),
            request_id: request_id.clone(),
            fields: fields.iter().map(|(name, value)| ((*name).to_owned(), legible(value))).collect(),
            reasons,
            back: back(visit),
        };
        render_with(status, &page).unwrap_or_else(|_| HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR))
    };
    if let Ok(id) = HeaderValue::from_str(&request_id)
        && !request_id.is_empty()
    {
        response.headers_mut().insert(HeaderName::from_static("x-amz-request-id"), id);
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn trace(visit: &Visit, request_id: &str) -> Option<String> {
    let may_look = visit.asker().is_ok_and(Asker::is_administrator) && !request_id.is_empty();
    may_look.then(|| links::link(&["requests"], &[("request_id", request_id)]))
}

fn title_of(visit: &Visit, status: StatusCode) -> &'static str {
    let words = &visit.t.common;
    match status {
        StatusCode::FORBIDDEN => words.error_title_denied,
        StatusCode::NOT_FOUND => words.error_title_missing,
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => words.error_title_conflict,
        StatusCode::SERVICE_UNAVAILABLE => words.error_title_busy,
        status if status.is_server_error() => words.error_title_server,
        _ => words.error_title_input,
    }
}

/// Where the request came from, if that is known: the field `back` of its form, else the page above.
fn back(visit: &Visit) -> String {
    if let Some(back) = visit.form.filled("back") {
        return safe_next(back).to_owned();
    }
    let path = visit.head.uri.path();
    let above = path.rsplit_once('/').map_or("/ui", |(above, _)| above);
    let above = if visit.head.method == Method::GET { above } else { path };
    match crate::console::route::find("GET", above) {
        crate::console::route::Found::Row(..) => safe_next(above).to_owned(),
        _ => "/ui".to_owned(),
    }
}

/// Why something was denied, as far as whoever asked may know: what was asked for, and what decided.
pub async fn reasons(visit: &Visit, failure: &Failure) -> Vec<String> {
    let (Failure::Refused(refusal), Ok(asker)) = (failure, visit.asker()) else { return Vec::new() };
    if !refusal.is_denial || refusal.request_id.is_empty() {
        return Vec::new();
    }
    let target = format!("/_myfsio/explain?request_id={}", refusal.request_id);
    let Ok(told) = asker.json(Method::GET, &target, None).await else { return Vec::new() };
    let all = told.get("refusals").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![told]);
    let mut reasons = Vec::new();
    for told in &all {
        let text = |name: &str| told.get(name).and_then(Value::as_str);
        let asked: Vec<_> = ["action", "resource"].iter().filter_map(|name| text(name)).collect();
        if !asked.is_empty() {
            reasons.push(legible(&asked.join(" → ")));
        }
        reasons.extend(["message", "hint"].iter().filter_map(|name| text(name)).map(legible));
    }
    reasons
}
