//! Figures over an hour, a day, thirty days or a window of time, from the node's own history.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use askama::Template;

use super::chart::Chart;
use super::figures::{History, Range};
use super::traffic::Busiest;
use super::ways::{address, ways};
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::Outcome;
use crate::console::units::{When, bytes, count};
use crate::console::visit::{Visit, render};
use crate::metrics::history::Point;

#[derive(Template)]
#[template(path = "monitor/metrics.html")]
struct MetricsPage {
    page: Page,
    ranges: Vec<(&'static str, String, bool)>,
    is_window: bool,
    ways: Vec<(&'static str, String)>,
    charts: Vec<Chart>,
    begin: When,
    end: When,
    csv: String,
    requests: String,
    errors: String,
    received: String,
    sent: String,
    busiest: Busiest,
}

/// The charts.
pub async fn show(visit: Visit) -> Outcome {
    let history = History::named(&visit).await?;
    let charts = match history.points.is_empty() {
        true => Vec::new(),
        false => vec![
            history.requests(),
            history.errors(),
            history.time_to_answer(),
            history.traffic(),
            history.stored(),
            history.objects(),
            history.free(),
            history.memory(),
            history.cpu(),
        ],
    };
    let (begin, end) = history.times();
    let fields = history.fields();
    let busiest = Busiest::of(&visit, &fields).await?;
    let words = &visit.t.monitor;
    let is_window = history.range.is_none();
    let to = |name: &str| links::link(&["metrics"], &[("range", name)]);
    let mut ranges = history.range.unwrap_or(Range::Hour).choices(words, to);
    ranges.iter_mut().for_each(|(_, _, is_current)| *is_current &= !is_window);
    let view = MetricsPage {
        page: visit.page(visit.t.monitor.metrics_title),
        ranges,
        is_window,
        ways: ways(words, history.window, history.step_seconds, history.kept),
        charts,
        begin,
        end,
        csv: address(&["metrics", "csv"], &fields, &[]),
        requests: count(history.sum(|point| point.requests)),
        errors: count(history.sum(|point| point.client_errors.saturating_add(point.server_errors))),
        received: bytes(history.sum(|point| point.received)),
        sent: bytes(history.sum(|point| point.sent)),
        busiest,
    };
    render(&view)
}

/// The points as comma-separated values (RFC 4180).
pub async fn csv(visit: Visit) -> Outcome {
    let history = History::named(&visit).await?;
    let mut text = String::from(
        "time,seconds,requests,client_errors,server_errors,bytes_received,bytes_sent,p50_ms,p95_ms,cpu_seconds,objects,\
         bytes_stored,device_free,memory\r\n",
    );
    for point in &history.points {
        let millis = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let Point { seconds, requests, client_errors, server_errors, received, sent, cpu_seconds, .. } = *point;
        let (at, p50, p95) = (When::of_seconds(point.at).iso, millis(point.p50_ms), millis(point.p95_ms));
        let Point { objects, bytes, device_free, memory, .. } = *point;
        text.push_str(&format!(
            "{at},{seconds},{requests},{client_errors},{server_errors},{received},{sent},{p50},{p95},{cpu_seconds},{objects},\
             {bytes},{device_free},{memory}\r\n"
        ));
    }
    let name = history.fields().into_iter().map(|(_, value)| value).collect::<Vec<_>>().join("-");
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"myfsio-{name}.csv\"")))
        .body(text))
}
