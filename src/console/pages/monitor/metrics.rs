//! Figures over an hour, a day or thirty days, from the node's own history.

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use askama::Template;
use serde::Deserialize;

use super::chart::{Chart, draw};
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::Outcome;
use crate::console::units::{When, bytes, count};
use crate::console::visit::{Visit, read, render};

/// A point of the history.
#[derive(Debug, Deserialize)]
struct Point {
    at: u64,
    seconds: f64,
    requests: u64,
    client_errors: u64,
    server_errors: u64,
    received: u64,
    sent: u64,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    cpu_seconds: f64,
    objects: u64,
    bytes: u64,
    device_free: u64,
    memory: u64,
}

#[derive(Deserialize)]
struct History {
    points: Vec<Point>,
}

#[derive(Template)]
#[template(path = "monitor/metrics.html")]
struct MetricsPage {
    page: Page,
    ranges: Vec<(&'static str, String, bool)>,
    charts: Vec<Chart>,
    begin: When,
    end: When,
    csv: String,
    requests: String,
    errors: String,
    received: String,
    sent: String,
}

async fn history(visit: &Visit) -> Result<(&'static str, Vec<Point>), Failure> {
    let range = match visit.query.text("range") {
        "24h" => "24h",
        "30d" => "30d",
        _ => "1h",
    };
    let told = visit.asker()?.json(Method::GET, &format!("/_myfsio/metrics/history?range={range}"), None).await?;
    Ok((range, read::<History>(told)?.points))
}

/// The charts.
pub async fn show(visit: Visit) -> Outcome {
    let (range, points) = history(&visit).await?;
    let words = &visit.t.monitor;
    let begin = points.first().map_or(0, |point| point.at);
    let end = points.last().map_or(begin, |point| point.at);
    let series = |word, of: fn(&Point) -> Option<f64>| {
        (word, points.iter().map(|point| (point.at, of(point))).collect::<Vec<_>>())
    };
    let chart = |title, all, told| draw(title, (begin, end), all, told);
    let per_second = |value: f64| format!("{value:.1}/s");
    let rate = |value: f64| format!("{}/s", bytes(value as u64));
    let millis = |value: f64| format!("{value:.1} ms");
    let size = |value: f64| bytes(value as u64);
    let charts = vec![
        chart(
            words.requests_rate,
            vec![
                series(words.all, |point| over(point, point.requests)),
                series(words.client_errors, |point| over(point, point.client_errors)),
                series(words.server_errors, |point| over(point, point.server_errors)),
            ],
            per_second,
        ),
        chart(
            words.time_to_answer,
            vec![series(words.p50, |point| point.p50_ms), series(words.p95, |point| point.p95_ms)],
            millis,
        ),
        chart(
            words.traffic,
            vec![
                series(words.received, |point| over(point, point.received)),
                series(words.sent, |point| over(point, point.sent)),
            ],
            rate,
        ),
        chart(words.stored, vec![series(words.stored, |point| Some(point.bytes as f64))], size),
        chart(words.objects, vec![series(words.objects, |point| Some(point.objects as f64))], |value| {
            count(value as u64)
        }),
        chart(words.free, vec![series(words.free, |point| Some(point.device_free as f64))], size),
        chart(words.memory, vec![series(words.memory, |point| Some(point.memory as f64))], size),
        chart(
            words.cpu,
            vec![series(words.cpu, |point| (point.seconds > 0.0).then(|| point.cpu_seconds / point.seconds * 100.0))],
            |value| format!("{value:.0} %"),
        ),
    ];
    let sum = |of: fn(&Point) -> u64| points.iter().map(of).fold(0, u64::saturating_add);
    let choice = |word, name: &str| (word, links::link(&["metrics"], &[("range", name)]), name == range);
    let view = MetricsPage {
        page: visit.page(words.metrics_title),
        ranges: vec![choice(words.hour, "1h"), choice(words.day, "24h"), choice(words.month, "30d")],
        charts: if points.is_empty() { Vec::new() } else { charts },
        begin: When::of_seconds(begin),
        end: When::of_seconds(end),
        csv: links::link(&["metrics", "csv"], &[("range", range)]),
        requests: count(sum(|point| point.requests)),
        errors: count(sum(|point| point.client_errors.saturating_add(point.server_errors))),
        received: bytes(sum(|point| point.received)),
        sent: bytes(sum(|point| point.sent)),
    };
    render(&view)
}

/// So much in a second.
fn over(point: &Point, sum: u64) -> Option<f64> {
    (point.seconds > 0.0).then(|| sum as f64 / point.seconds)
}

/// The points as comma-separated values (RFC 4180).
pub async fn csv(visit: Visit) -> Outcome {
    let (range, points) = history(&visit).await?;
    let mut text = String::from(
        "time,seconds,requests,client_errors,server_errors,bytes_received,bytes_sent,p50_ms,p95_ms,cpu_seconds,objects,\
         bytes_stored,device_free,memory\r\n",
    );
    for point in points {
        let millis = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let Point { seconds, requests, client_errors, server_errors, received, sent, cpu_seconds, .. } = point;
        let (at, p50, p95) = (When::of_seconds(point.at).iso, millis(point.p50_ms), millis(point.p95_ms));
        let Point { objects, bytes, device_free, memory, .. } = point;
        text.push_str(&format!(
            "{at},{seconds},{requests},{client_errors},{server_errors},{received},{sent},{p50},{p95},{cpu_seconds},{objects},\
             {bytes},{device_free},{memory}\r\n"
        ));
    }
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"myfsio-{range}.csv\"")))
        .body(text))
}
