//! The dashboard: is it well, how full is it and how long will it last, what was asked of it, what is largest, how does one connect.
//! Every figure is read from a counter that is kept with each commit, or from the node's own history; nothing is counted for the page.

use std::sync::Arc;

use actix_web::http::Method;
use askama::Template;
use myfsio_actors::bucket_config::QuotaResource;
use myfsio_actors::names::BucketId;
use myfsio_actors::storage::{Bucket, QuotaScope};
use rustix::fs::statvfs;
use serde::Deserialize;

use super::jobs;
use super::monitor::chart::Chart;
use super::monitor::figures::{History, Range};
use super::monitor::forecast::full_in;
use super::monitor::growth::grown;
use super::monitor::requests::{RequestRow, listing};
use super::node::damage_left;
use super::replication;
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::{Outcome, Row, SIGNED_IN};
use crate::console::units::{When, bytes, count, counted, lasting, legible, percent};
use crate::console::visit::{Visit, read, render};
use crate::within::Asker;

/// Routes.
pub const ROWS: &[Row] = &[Row::get("/ui", SIGNED_IN, |visit| Box::pin(show(visit)))];

/// Buckets in the list of the largest.
const LARGEST_MAX: usize = 6;
/// Jobs that are looked at, the newest first.
const JOBS_MAX: usize = 20;
/// Requests in the list of those that did not go well.
const TROUBLES_MAX: usize = 6;

#[derive(Template)]
#[template(path = "home/home.html")]
struct HomePage {
    page: Page,
    health: Health,
    objects: String,
    versions: String,
    buckets: String,
    stored: String,
    unfinished: Option<String>,
    disk: Option<Disk>,
    largest: Vec<Largest>,
    attention: Vec<Attention>,
    connect: String,
    activity: Option<Activity>,
}

/// What was asked of the node, which administrators see.
struct Activity {
    ranges: Vec<(&'static str, String, bool)>,
    charts: Vec<Chart>,
    begin: When,
    end: When,
    /// The last requests that were refused or failed, the newest first.
    troubles: Vec<RequestRow>,
}

struct Health {
    word: &'static str,
    tone: &'static str,
    reason: String,
}

/// The device of the data directory, which administrators see.
struct Disk {
    free: String,
    size: String,
    used_percent: u8,
    /// How long until nothing is free, if somebody can tell.
    full_in: Option<String>,
}

struct Largest {
    name: String,
    address: String,
    stored: String,
    objects: String,
    share: u8,
    /// By how much it has grown; none where nobody knows.
    grown: Option<String>,
}

struct Attention {
    text: String,
    address: String,
}

#[derive(Deserialize)]
struct Jobs {
    jobs: Vec<jobs::Told>,
}

async fn show(visit: Visit) -> Outcome {
    let asker = visit.asker()?;
    let buckets = asker.buckets().await?;
    let storage = &visit.console.node.storage;
    let mut sized: Vec<_> = buckets.iter().map(|bucket| (bucket, storage.usage(bucket))).collect();
    let sum = |of: fn(&myfsio_actors::storage::Usage) -> u64| sized.iter().map(|(_, usage)| of(usage)).sum::<u64>();
    let objects = sum(|usage| usage.objects);
    let versions = sum(|usage| usage.versions.saturating_sub(usage.markers));
    let stored = sum(|usage| usage.bytes.saturating_add(usage.part_bytes));
    let parts = sum(|usage| usage.part_bytes);
    let mut attention = Vec::new();
    for (bucket, _) in &sized {
        let name = bucket.name.as_str();
        if visit.console.node.access.policy_engine.is_public(&bucket.name) {
            let text = format!("{name}: {}", visit.t.common.public);
            attention.push(Attention { text, address: links::bucket(name, "browse") });
        }
    }
    attention.extend(full_quotas(&visit, asker, &buckets));
    attention.extend(under_way(&visit, asker).await?);
    sized.sort_by_key(|(_, usage)| std::cmp::Reverse(usage.bytes));
    let most = sized.first().map_or(0, |(_, usage)| usage.bytes);
    let largest = sized
        .iter()
        .take(LARGEST_MAX)
        .map(|(bucket, usage)| Largest {
            name: bucket.name.to_string(),
            address: links::bucket(bucket.name.as_str(), "browse"),
            stored: bytes(usage.bytes),
            objects: counted(usage.objects, visit.t.common.objects_one, visit.t.common.objects_many),
            share: percent(usage.bytes, most),
            grown: grown(&visit, bucket, usage),
        })
        .collect();
    let is_admin = asker.is_administrator();
    let view = HomePage {
        health: health(&visit, asker),
        objects: count(objects),
        versions: count(versions),
        buckets: counted(buckets.len() as u64, visit.t.home.bucket_one, visit.t.home.bucket_many),
        stored: bytes(stored),
        unfinished: (parts > 0).then(|| bytes(parts)),
        disk: if is_admin { disk(&visit).await? } else { None },
        activity: if is_admin { Some(activity(&visit).await?) } else { None },
        largest,
        attention,
        connect: format!("aws --endpoint-url {} s3 ls", asker.endpoint()),
        page: visit.page(visit.t.home.title),
    };
    render(&view)
}

/// Quotas that have reached a warning threshold: those of buckets that are seen, and for administrators those of users.
fn full_quotas(visit: &Visit, asker: &Asker, buckets: &[Arc<Bucket>]) -> Vec<Attention> {
    let (node, words) = (&visit.console.node, &visit.t.home);
    let bucket_of = |id: BucketId| buckets.iter().find(|bucket| bucket.id == id).map(|bucket| bucket.name.as_str());
    let mut full = Vec::new();
    for (scope, account) in node.storage.quota_accounts() {
        let (what, address) = match &scope {
            QuotaScope::Bucket(id) => match bucket_of(*id) {
                Some(name) => (name.to_owned(), links::bucket(name, "properties")),
                None => continue,
            },
            QuotaScope::Prefix(id, prefix) => match bucket_of(*id) {
                Some(name) => (format!("{name}/{}", legible(prefix)), links::bucket(name, "properties")),
                None => continue,
            },
            QuotaScope::Owner(owner) if asker.is_administrator() => {
                (node.access.owner_name(owner).unwrap_or_else(|| owner.to_string()), "/ui/iam".to_owned())
            }
            QuotaScope::Owner(_) => continue,
        };
        for (resource, word) in
            [(QuotaResource::Bytes, words.quota_bytes), (QuotaResource::Objects, words.quota_objects)]
        {
            let limit = account.limits.of(resource).filter(|_| account.warning(resource).is_some());
            let Some(limit) = limit else { continue };
            let text = format!("{what}: {} % {word}", percent(account.used.of(resource), limit));
            full.push(Attention { text, address: address.clone() });
        }
    }
    full.sort_by(|a, b| a.text.cmp(&b.text));
    full
}

/// Jobs that are not over or went wrong of late, and, for administrators, replication that does not get on.
async fn under_way(visit: &Visit, asker: &Asker) -> Result<Vec<Attention>, Failure> {
    let words = &visit.t.home;
    let Jobs { jobs } = read(asker.json(Method::GET, "/_myfsio/jobs", None).await?)?;
    let rows: Vec<_> = jobs.iter().take(JOBS_MAX).map(|job| jobs::row(visit, job)).collect();
    let open = rows.iter().filter(|row| !row.is_over || row.tone == "bad");
    let mut items: Vec<_> = open
        .map(|row| Attention { text: format!("{}: {}", row.title, row.word), address: row.address.clone() })
        .collect();
    if asker.is_administrator() {
        let damage = damage_left(visit).await;
        items.extend(damage.map(|text| Attention { text, address: "/ui/integrity".to_owned() }));
        for rule in replication::rules(visit).await? {
            let status = &rule.status;
            let text = match status.state.as_str() {
                "PAUSED" => words.replication_paused.to_owned(),
                "ACTIVE" if status.parked > 0 => format!("{} {}", count(status.parked), words.replication_parked),
                "ACTIVE" => continue,
                _ => words.replication_failed.to_owned(),
            };
            let address = links::bucket(&rule.bucket_name, "replication");
            items.push(Attention { text: format!("{}: {text}", rule.bucket_name), address });
        }
    }
    Ok(items)
}

/// How the node is; why, administrators learn.
fn health(visit: &Visit, asker: &Asker) -> Health {
    let (words, node) = (&visit.t.home, &visit.console.node);
    let (word, tone, reason) = match (node.storage.failure(), node.trouble()) {
        (Some(reason), _) => (words.failed, "bad", reason),
        (None, Some(reason)) => (words.degraded, "warn", reason),
        (None, None) => return Health { word: words.healthy, tone: "good", reason: words.healthy_hint.to_owned() },
    };
    Health { word, tone, reason: if asker.is_administrator() { reason } else { String::new() } }
}

/// What was asked of the node in a span of time. Errs: as the routes.
async fn activity(visit: &Visit) -> Result<Activity, Failure> {
    let range = Range::of(visit);
    let history = History::of(visit, range).await?;
    let charts = match history.points.is_empty() {
        true => Vec::new(),
        false => vec![
            history.requests(),
            history.errors(),
            history.time_to_answer(),
            history.traffic(),
            history.stored(),
            history.free(),
        ],
    };
    let (begin, end) = history.times();
    let mut troubles = listing(visit, TROUBLES_MAX, "&status=5xx").await?;
    troubles.extend(listing(visit, TROUBLES_MAX, "&status=4xx").await?);
    troubles.sort_by(|a, b| b.when.iso.cmp(&a.when.iso));
    troubles.truncate(TROUBLES_MAX);
    let ranges = range.choices(&visit.t.monitor, |name| links::link(&[], &[("range", name)]));
    Ok(Activity { ranges, charts, begin, end, troubles })
}

/// The device of the data directory; none where the system does not tell. Errs: as the route of the history.
async fn disk(visit: &Visit) -> Result<Option<Disk>, Failure> {
    let Some(Ok(found)) = visit.console.settings.sessions_path.parent().map(statvfs) else { return Ok(None) };
    let (size, free) = (found.f_blocks.saturating_mul(found.f_frsize), found.f_bavail.saturating_mul(found.f_frsize));
    let month = History::of(visit, Range::Month).await?;
    let past: Vec<_> = month.points.iter().map(|point| (point.at, point.device_free)).collect();
    Ok(Some(Disk {
        free: bytes(free),
        size: bytes(size),
        used_percent: percent(size.saturating_sub(free), size),
        full_in: full_in(&past).map(lasting),
    }))
}
