//! Requests as they end. The page shows the last ones, and a script adds each that follows, from the stream that the node has of
//! them; without scripts the page is loaded again.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::Method;
use askama::Template;
use futures_util::{StreamExt as _, stream};

use super::requests::{Filter, RequestRow, listing};
use crate::console::layout::Page;
use crate::console::route::Outcome;
use crate::console::visit::{Visit, render};

/// Requests that the page begins with.
const ROWS: usize = 50;
/// How often it is asked whether the session still lasts.
const ASKED_EVERY: Duration = Duration::from_secs(2);

#[derive(Template)]
#[template(path = "monitor/trace.html")]
struct TracePage {
    page: Page,
    rows: Vec<RequestRow>,
    filter: Filter,
    is_filtered: bool,
    /// Path and query of this page, and of its stream.
    again: String,
    stream: String,
}

/// The page.
pub async fn show(visit: Visit) -> Outcome {
    let filter = Filter::query(&visit);
    let query = filter.strip_prefix('&').unwrap_or_default();
    let below = |path: &str| if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let view = TracePage {
        rows: listing(&visit, ROWS, &filter).await?,
        filter: Filter::of(&visit),
        is_filtered: !query.is_empty(),
        again: below("/ui/trace"),
        stream: below("/ui/trace/stream"),
        page: visit.page(visit.t.monitor.trace_title),
    };
    render(&view)
}

/// The stream of server-sent events, as long as the session lasts and its user administers the node.
pub async fn follow(visit: Visit) -> Outcome {
    let filter = Filter::query(&visit);
    let target = format!("/_myfsio/trace?{}", filter.strip_prefix('&').unwrap_or_default());
    let answer = visit.asker()?.answer(Method::GET, &target).await?;
    let (head, body) = HttpResponse::from(answer).into_parts();
    let handle = visit.signed_in.as_ref().map(|who| who.session.handle().to_owned()).unwrap_or_default();
    let console = visit.console;
    let ended = async move {
        while console.sessions.lasts(&handle, console.node.clock.now()) {
            tokio::time::sleep(ASKED_EVERY).await;
        }
    };
    let mut body = Box::pin(body);
    let pieces = stream::poll_fn(move |context| actix_web::body::MessageBody::poll_next(body.as_mut(), context));
    let mut response = HttpResponse::build(head.status());
    for (name, value) in head.headers() {
        response.insert_header((name.clone(), value.clone()));
    }
    Ok(response.streaming(pieces.take_until(Box::pin(ended))))
}
