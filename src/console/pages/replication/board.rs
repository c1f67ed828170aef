//! The Replication tab of a bucket: how it goes, what failed, what differs, and the forms for whoever may do something about it.
//! A script asks the same address for the figures alone.

use actix_web::http::Method;
use askama::Template;
use serde_json::{Value, json};

use super::compared::{ConflictView, ReportView, conflict, moment, report};
use super::lags::Lags;
use super::rule::revision;
use super::told::{self, Comparison, Conflicts, Connection, Failures, Rule, Status, rule_route};
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::Outcome;
use crate::console::text::Replication;
use crate::console::units::{bytes, count, lasting, legible};
use crate::console::visit::{Visit, json as answer, read, render};

/// Failures and conflicts on one page.
const ROWS: usize = 20;

#[derive(Template)]
#[template(path = "replication/board.html")]
struct BoardPage {
    page: Page,
    bucket: String,
    is_admin: bool,
    none_lead: &'static str,
    may_act: bool,
    /// How it goes; none where the bucket is not replicated.
    board: Option<Board>,
    form: Option<RuleForm>,
}

/// What an administrator sets.
struct RuleForm {
    connections: Vec<Choice>,
    target_bucket: String,
    is_all: bool,
    deletes: bool,
    delete_versions: bool,
    parts: Vec<PartView>,
    revision: String,
}

struct Choice {
    id: String,
    name: String,
    endpoint: String,
    is_chosen: bool,
}

struct PartView {
    id: String,
    about: String,
    tags: String,
    priority: u32,
    enabled: bool,
}

struct Board {
    figures: Figures,
    lags: Lags,
    enabled: bool,
    reason: String,
    connection: String,
    target_bucket: String,
    overflowed: bool,
    lost: Option<String>,
    fill: Option<FillView>,
    failing: Vec<FailingView>,
    reasons: Vec<(String, String, String)>,
    failures: Vec<FailureView>,
    more_failures: Option<String>,
    report: Option<ReportView>,
    is_comparing: bool,
    conflicts: Vec<ConflictView>,
    more_conflicts: Option<String>,
}

struct FillView {
    done: bool,
    looked_at: String,
    queued: String,
}

struct FailingView {
    key: String,
    reason: String,
    failures: String,
    tried_again: String,
}

struct FailureView {
    key: String,
    shown: String,
    reason: String,
    attempts: String,
    size: String,
    since: String,
}

/// What changes by itself while the page is open.
struct Figures {
    state: &'static str,
    tone: &'static str,
    lag: String,
    pending: String,
    pending_bytes: String,
    under_way: String,
    changes: String,
    moved: String,
    /// When what waits is sent, at the pace of the last minute; empty where nobody can tell.
    done_in: String,
    parked: String,
    /// Changes with whatever else on the page would have to.
    stamp: String,
}

fn figures(words: &'static Replication, status: &Status, comparison: &Comparison) -> Figures {
    let (state, tone) = match status.state.as_str() {
        "ACTIVE" => (words.state_active, "good"),
        "PAUSED" => (words.state_paused, "warn"),
        "OFFLINE" => (words.state_offline, "warn"),
        _ => (words.state_failed, "bad"),
    };
    let reason = status.reason.as_deref().unwrap_or_default();
    // What is not sent now is done at no time that anybody knows.
    let waiting = if status.state == "ACTIVE" { status.pending } else { 0 };
    Figures {
        state,
        tone,
        lag: lasting(status.lag_seconds.max(0.0) as u64),
        pending: count(status.pending),
        pending_bytes: bytes(status.pending_bytes),
        under_way: count(status.under_way),
        changes: count(status.throughput.changes_per_minute),
        moved: bytes(status.throughput.bytes_per_minute),
        done_in: done_in(waiting, status.throughput.changes_per_minute)
            .map(|seconds| format!("{} {}", words.done_in, lasting(seconds)))
            .unwrap_or_default(),
        parked: count(status.parked),
        stamp: format!("{} {} {} {reason}", status.state, status.parked, comparison.state),
    }
}

/// Seconds until so many changes are sent, at the pace of the last minute; none where nothing waits, or nothing was sent.
fn done_in(waiting: u64, sent_per_minute: u64) -> Option<u64> {
    (waiting > 0).then(|| waiting.saturating_mul(60).checked_div(sent_per_minute)).flatten()
}

/// The page, or its figures.
pub async fn show(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    let rule = told::rule(&visit).await?;
    let is_admin = asker.is_administrator();
    if visit.wants_json() {
        let rule = rule.ok_or(Failure::NoSuchPage)?;
        return live(&visit, &rule).await;
    }
    let form = match is_admin {
        true => Some(rule_form(rule.as_ref(), told::connections(&visit).await?)),
        false => None,
    };
    let words = &visit.t.replication;
    let view = BoardPage {
        bucket: bucket.name.to_string(),
        is_admin,
        none_lead: if is_admin { words.none_yet_admin } else { words.none_yet_other },
        may_act: is_admin || asker.may("s3:PutReplicationConfiguration", Some(&bucket), None),
        board: match rule {
            Some(rule) => Some(board(&visit, rule).await?),
            None => None,
        },
        form,
        page: visit.page(words.title).for_bucket(asker, &bucket, "replication"),
    };
    render(&view)
}

async fn ask(visit: &Visit, below: &str) -> Result<Value, Failure> {
    Ok(visit.asker()?.json(Method::GET, &rule_route(visit.parameter("bucket"), below), None).await?)
}

async fn live(visit: &Visit, rule: &Rule) -> Outcome {
    let now = figures(&visit.t.replication, &rule.status, &read(ask(visit, "/compare").await?)?);
    answer(&json!({
        "drawn": Lags::of(visit).await?.told(),
        "stamp": now.stamp,
        "tone": now.tone,
        "figures": {
            "state": now.state,
            "lag": now.lag,
            "pending": now.pending,
            "pending_bytes": now.pending_bytes,
            "under_way": now.under_way,
            "changes": now.changes,
            "moved": now.moved,
            "done_in": now.done_in,
            "parked": now.parked,
        },
    }))
}

async fn board(visit: &Visit, rule: Rule) -> Result<Board, Failure> {
    let words = &visit.t.replication;
    let comparison: Comparison = read(ask(visit, "/compare").await?)?;
    let failures = failures(visit, &rule.status).await?;
    let conflicts = conflicts(visit).await?;
    let here = |query: &[(&str, &str)]| links::link(&["buckets", &rule.bucket_name, "replication"], query);
    let own = visit.console.node.storage.node_id().to_string();
    let status = rule.status;
    let failing = status.failing.iter().map(|failing| FailingView {
        key: legible(&failing.key),
        reason: legible(&failing.reason),
        failures: count(failing.failures),
        tried_again: moment(&failing.tried_again),
    });
    let reasons = status.failures.iter().flatten();
    let failed = failures.failures.into_iter().map(|failed| FailureView {
        shown: legible(&failed.key),
        key: failed.key,
        reason: failed.reason.as_deref().map(legible).unwrap_or_default(),
        attempts: count(failed.attempts),
        size: bytes(failed.bytes),
        since: moment(&failed.since),
    });
    Ok(Board {
        figures: figures(words, &status, &comparison),
        lags: Lags::of(visit).await?,
        enabled: rule.enabled,
        reason: status.reason.as_deref().map(legible).unwrap_or_default(),
        connection: legible(status.connection_name.as_deref().unwrap_or(&rule.target_connection_id)),
        overflowed: status.overflowed,
        lost: (status.lost > 0).then(|| count(status.lost)),
        fill: status.back_fill.as_ref().map(|fill| FillView {
            done: fill.done,
            looked_at: count(fill.looked_at),
            queued: count(fill.queued),
        }),
        failing: failing.collect(),
        reasons: reasons.map(|it| (legible(&it.reason), count(it.changes), legible(&it.example))).collect(),
        failures: failed.collect(),
        more_failures: failures.next.map(|next| format!("{}#failures", here(&[("after", &next)]))),
        report: report(words, &comparison),
        is_comparing: comparison.state == "running",
        more_conflicts: conflicts.next.map(|next| {
            format!("{}#conflicts", here(&[("after_key", &next.key), ("after_version", &next.version_id)]))
        }),
        conflicts: conflicts.conflicts.into_iter().map(|told| conflict(words, &own, told)).collect(),
        target_bucket: legible(&rule.target_bucket),
    })
}

/// A page of what was given up, as far as the query has turned.
async fn failures(visit: &Visit, status: &Status) -> Result<Failures, Failure> {
    let after = visit.query.raw("after").unwrap_or_default();
    if status.parked == 0 && after.is_empty() {
        return Ok(Failures::default());
    }
    read(ask(visit, &format!("/failures?limit={ROWS}&after={}", links::encode(after))).await?)
}

async fn conflicts(visit: &Visit) -> Result<Conflicts, Failure> {
    let mut below = format!("/conflicts?limit={ROWS}");
    if let Some(key) = visit.query.raw("after_key") {
        let version = visit.query.text("after_version");
        below.push_str(&format!("&key={}&version-id={}", links::encode(key), links::encode(version)));
    }
    read(ask(visit, &below).await?)
}

fn rule_form(rule: Option<&Rule>, connections: Vec<Connection>) -> RuleForm {
    let chosen = rule.map(|rule| rule.target_connection_id.as_str());
    let choice = |connection: Connection| Choice {
        is_chosen: chosen == Some(connection.id.as_str()),
        name: legible(&connection.name),
        endpoint: legible(&connection.endpoint_url),
        id: connection.id,
    };
    let parts = rule.and_then(|rule| rule.rules.as_deref()).unwrap_or_default();
    let part = |part: &told::Part| PartView {
        id: legible(&part.id),
        about: legible(&part.prefix),
        tags: part.tags.iter().map(|(name, value)| legible(&format!("{name}={value}"))).collect::<Vec<_>>().join(", "),
        priority: part.priority,
        enabled: part.enabled,
    };
    RuleForm {
        connections: connections.into_iter().map(choice).collect(),
        target_bucket: rule.map(|rule| rule.target_bucket.clone()).unwrap_or_default(),
        is_all: rule.is_none_or(|rule| rule.mode == "all"),
        deletes: rule.is_none_or(|rule| rule.replicate_deletes),
        delete_versions: rule.is_some_and(|rule| rule.delete_versions),
        parts: parts.iter().map(part).collect(),
        revision: revision(rule),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_all_is_sent() {
        assert_eq!(done_in(90, 60), Some(90));
        assert_eq!((done_in(0, 60), done_in(5, 0)), (None, None));
        assert_eq!(done_in(u64::MAX, 60), Some(u64::MAX / 60), "and no overflow");
    }
}
