//! Metrics, and what they were.

use actix_http::RequestHead;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use crate::metrics::history::{Span, View};
use crate::metrics::window::Window;
use crate::node::Node;
use crate::s3::error::S3Error;
use crate::s3::query::Query;
use crate::s3::respond::{self, Answer, no_store};

/// Whether a request shows the token that scrapers are given (RFC 6750, section 2.1).
pub fn shows_token(node: &Node, head: &RequestHead) -> bool {
    let Some(token) = &node.settings.metrics_token else { return false };
    let shown = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|text| text.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    shown.is_some_and(|(_, shown)| shown.trim().as_bytes().ct_eq(token.expose().as_bytes()).into())
}

/// Everything that is counted, as Prometheus text.
pub fn text(node: &Node) -> Answer {
    let text = node.metrics.text(node).map_err(S3Error::internal)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text))
}

/// The points of `range`: `1h` (the default), `24h` or `30d`; or those of the window between `from` and `to`, in seconds since 1970, as
/// finely as they are held. Errs: InvalidArgument.
pub fn history(node: &Node, query: &Query) -> Answer {
    let now = node.clock.now().seconds();
    if query.has("from") || query.has("to") {
        let wanted = window(query)?;
        let View { window, step_seconds, points } = node.history.lock().view(wanted, now);
        let (from, to) = (window.begin(), window.end());
        return told(json!({ "now": now, "from": from, "to": to, "step_seconds": step_seconds, "points": points }));
    }
    let text = query.get("range").unwrap_or("1h");
    let unknown = || S3Error::invalid_argument("range", text, "A range is 1h, 24h or 30d.");
    let span = Span::parse(text).ok_or_else(unknown)?;
    let points = node.history.lock().points(span, now);
    let (from, step_seconds) = (now.saturating_sub(span.seconds()), span.step_seconds());
    told(json!({
        "range": text, "now": now, "from": from, "to": now, "step_seconds": step_seconds, "points": points,
    }))
}

fn told(history: Value) -> Answer {
    Ok(no_store(respond::json(StatusCode::OK, &history)))
}

fn window(query: &Query) -> Result<Window, S3Error> {
    let seconds = |name: &str| {
        let text = query.get(name).unwrap_or_default();
        let is_none = |_| S3Error::invalid_argument(name, text, "It is a whole number of seconds since 1970.");
        text.parse::<u64>().map_err(is_none)
    };
    let (from, to) = (seconds("from")?, seconds("to")?);
    let ends_before = || S3Error::invalid_argument("to", &to.to_string(), "A window ends after it begins.");
    Window::new(from, to).ok_or_else(ends_before)
}
