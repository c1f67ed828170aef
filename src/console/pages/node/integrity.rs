//! Whether what is stored is still what was written: the scrub, what it has read and found, and beginning and ending it. A script asks
//! the same address for the figures alone.

use std::collections::BTreeMap;

use actix_web::http::Method;
use askama::Template;
use myfsio_actors::names::Stamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::console::layout::Page;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::route::Outcome;
use crate::console::text::NodePages;
use crate::console::units::{When, bytes, count, counted, legible};
use crate::console::visit::{Visit, json as answer_json, read, render};

/// Findings on the page.
const FINDINGS_MAX: usize = 100;

#[derive(Deserialize)]
struct Told {
    interval_days: Option<u64>,
    next_run_millis: Option<u64>,
    percent: Option<u64>,
    run: Option<Run>,
    waiting: Option<Run>,
    /// Newest first, and so are the findings.
    last_runs: Vec<Run>,
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
struct Run {
    order: Order,
    state: String,
    started_millis: u64,
    ended_millis: Option<u64>,
    objects: u64,
    versions: u64,
    parts: u64,
    bytes: u64,
    expected_bytes: u64,
    damaged: BTreeMap<String, u64>,
    repaired: u64,
}

#[derive(Deserialize)]
struct Order {
    bucket: Option<String>,
}

#[derive(Deserialize)]
struct Finding {
    found_millis: u64,
    bucket: String,
    key: Option<String>,
    version_id: Option<String>,
    path: String,
    damage: String,
    detail: String,
    outcome: String,
}

#[derive(Template)]
#[template(path = "node/integrity.html")]
struct IntegrityPage {
    page: Page,
    /// The run that is at work.
    run: Option<RunRow>,
    percent: String,
    has_waiting: bool,
    every: Option<String>,
    next: Option<When>,
    last: Vec<RunRow>,
    findings: Vec<FindingRow>,
    stamp: String,
    buckets: Vec<String>,
}

struct RunRow {
    about: String,
    word: &'static str,
    tone: &'static str,
    started: When,
    ended: Option<When>,
    read: String,
    objects: String,
    expected: String,
    damaged: u64,
    repaired: String,
}

struct FindingRow {
    when: When,
    what: String,
    address: Option<String>,
    path: String,
    damage: String,
    outcome: &'static str,
    tone: &'static str,
}

/// The page, or its figures.
pub async fn show(visit: Visit) -> Outcome {
    let words = &visit.t.node;
    let asker = visit.asker()?;
    let told: Told = read(asker.json(Method::GET, "/_myfsio/scrub", None).await?)?;
    let percent = told.percent.unwrap_or(0).to_string();
    let stamp = format!("{} {} {}", told.run.is_some(), told.last_runs.len(), told.findings.len());
    let run = told.run.as_ref().map(|run| row(words, run));
    if visit.wants_json() {
        let (objects, read) = run.map(|run| (run.objects, run.read)).unwrap_or_default();
        let figures = json!({ "percent": percent, "objects": objects, "read": read });
        return answer_json(&json!({ "figures": figures, "tone": "", "stamp": stamp }));
    }
    let view = IntegrityPage {
        run,
        percent,
        has_waiting: told.waiting.is_some(),
        every: told.interval_days.map(|days| counted(days, words.day_one, words.day_many)),
        next: told.next_run_millis.map(when),
        last: told.last_runs.iter().map(|run| row(words, run)).collect(),
        findings: told.findings.iter().take(FINDINGS_MAX).map(|found| finding(words, found)).collect(),
        stamp,
        buckets: asker.buckets().await?.iter().map(|bucket| bucket.name.to_string()).collect(),
        page: visit.page(words.integrity_title),
    };
    render(&view)
}

/// How much the last run that ended found damaged and could not repair, as words; none where nothing is left, or nobody can tell now.
pub async fn damage_left(visit: &Visit) -> Option<String> {
    let told = visit.asker().ok()?.json(Method::GET, "/_myfsio/scrub", None).await.ok()?;
    let told: Told = read(told).ok()?;
    // The newest stands first.
    let last = told.last_runs.first()?;
    let left = damaged(last).saturating_sub(last.repaired);
    let words = &visit.t.node;
    (left > 0).then(|| counted(left, words.damage_one, words.damage_many))
}

fn damaged(run: &Run) -> u64 {
    run.damaged.values().fold(0, |sum: u64, number| sum.saturating_add(*number))
}

fn when(millis: u64) -> When {
    When::of(Stamp(millis.saturating_mul(1_000_000)))
}

fn row(words: &'static NodePages, run: &Run) -> RunRow {
    let damaged = damaged(run);
    let (word, tone) = match run.state.as_str() {
        "running" => (words.run_running, "accent"),
        "stopped" => (words.run_stopped, ""),
        _ if damaged > 0 => (words.run_damaged, "bad"),
        _ => (words.run_good, "good"),
    };
    RunRow {
        about: run.order.bucket.clone().unwrap_or_else(|| words.run_everything.to_owned()),
        word,
        tone,
        started: when(run.started_millis),
        ended: run.ended_millis.map(when),
        read: bytes(run.bytes),
        objects: count(run.objects.saturating_add(run.versions).saturating_add(run.parts)),
        expected: bytes(run.expected_bytes),
        damaged,
        repaired: count(run.repaired),
    }
}

fn finding(words: &'static NodePages, found: &Finding) -> FindingRow {
    let (outcome, tone) = match found.outcome.as_str() {
        "repaired" => (words.found_repaired, "good"),
        "lifted" => (words.found_lifted, "good"),
        "quarantined" => (words.found_quarantined, "bad"),
        _ => (words.found_reported, "warn"),
    };
    let key = found.key.as_deref();
    FindingRow {
        when: when(found.found_millis),
        what: legible(&key.map_or_else(|| found.bucket.clone(), |key| format!("{}/{key}", found.bucket))),
        address: key.map(|key| links::object(&found.bucket, key, found.version_id.as_deref().unwrap_or_default())),
        path: legible(&found.path),
        damage: legible(&format!("{}: {}", found.damage, found.detail)),
        outcome,
        tone,
    }
}

/// Begins a run over everything, or over one bucket.
pub async fn begin(visit: Visit) -> Outcome {
    let order = match visit.form.filled("bucket") {
        Some(bucket) => json!({ "bucket": bucket }),
        None => Value::Object(serde_json::Map::new()),
    };
    visit.asker()?.json(Method::POST, "/_myfsio/scrub", Some(&order)).await?;
    visit.done(Notice::good(visit.t.node.run_begun), "/ui/integrity")
}

/// Ends the run that is at work.
pub async fn stop(visit: Visit) -> Outcome {
    visit.asker()?.json(Method::DELETE, "/_myfsio/scrub", None).await?;
    visit.done(Notice::good(visit.t.node.run_ended), "/ui/integrity")
}
