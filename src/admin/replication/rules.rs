//! How buckets are replicated: set, paused, looked after.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use myfsio_actors::audit::{AuditEntry, ChangeOrigin};
use myfsio_actors::names::{BucketName, ObjectKey, Stamp, VersionId};
use myfsio_actors::replication_worker::Rule;
use myfsio_actors::storage::{Bucket, ConflictChoice, ResolveConflict, Slot};
use serde_json::{Value, json};

use super::body::{Keep, ResolveBody, RuleBody, WhichBody, parse};
use super::route::RuleRoute;
use super::{connections, tell};
use crate::metrics::history::Span;
use crate::metrics::lags::LagPoint;
use crate::node::Node;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::query::Query;
use crate::s3::respond::{self, Answer, no_store};

/// Entries of a page when nothing is said of it, and at most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1000;

fn ok(status: StatusCode, body: &Value) -> Answer {
    Ok(no_store(respond::json(status, body)))
}

/// The figures of all rules, and what they come to.
pub(super) async fn overview(node: &Node) -> Answer {
    node.replication.refresh().await?;
    let statuses = node.replication.statuses();
    let told: Vec<_> = statuses.iter().map(|status| tell::status(status, None)).collect();
    let body = json!({
        "node_id": node.storage.node_id().to_string(),
        "totals": tell::totals(&statuses),
        "rules": told,
    });
    ok(StatusCode::OK, &body)
}

pub(super) async fn list(node: &Node) -> Answer {
    node.replication.refresh().await?;
    let told: Vec<_> = node.replication.statuses().iter().map(|status| tell::status(status, None)).collect();
    ok(StatusCode::OK, &json!({ "node_id": node.storage.node_id().to_string(), "rules": told }))
}

/// Answers what is asked of one bucket.
pub(super) async fn answer(
    node: &Arc<Node>,
    by: ChangeOrigin,
    name: &BucketName,
    bucket: Option<Arc<Bucket>>,
    route: RuleRoute,
    (query, body): (&Query, &[u8]),
) -> Answer {
    let replication = &node.replication;
    replication.refresh().await?;
    match route {
        RuleRoute::Show => show(node, name, StatusCode::OK).await,
        RuleRoute::Set => {
            let rule = rule_of(node, name, parse(body)?)?;
            let status = if replication.rule(name).is_ok() { StatusCode::OK } else { StatusCode::CREATED };
            replication.put_rule(by, rule).await?;
            show(node, name, status).await
        }
        RuleRoute::Remove => {
            replication.delete_rule(by, name.clone()).await?;
            Ok(HttpResponse::NoContent().finish())
        }
        RuleRoute::Pause | RuleRoute::Resume => {
            replication.set_enabled(by, name.clone(), route == RuleRoute::Resume).await?;
            show(node, name, StatusCode::OK).await
        }
        RuleRoute::Resync => {
            replication.resync(name.clone()).await?;
            audit(node, by, "myfsio:ResyncReplication", name, &json!({ "bucket": name.as_str() })).await;
            show(node, name, StatusCode::ACCEPTED).await
        }
        RuleRoute::History => history(node, name, query),
        RuleRoute::Failures => failures(node, name, query).await,
        RuleRoute::Retry | RuleRoute::Dismiss => {
            let slots = slots_of(node, name, parse(body)?).await?;
            let (action, changes) = match route {
                RuleRoute::Retry => ("myfsio:RetryReplication", replication.retry(name, slots.as_deref()).await?),
                _ => ("myfsio:DismissReplication", replication.dismiss(name, slots.as_deref()).await?),
            };
            let told = json!({ "changes": changes });
            audit(node, by, action, name, &told).await;
            ok(StatusCode::OK, &told)
        }
        RuleRoute::Comparison => comparison(node, name, StatusCode::OK),
        RuleRoute::Compare | RuleRoute::Repair => {
            let repairs = route == RuleRoute::Repair;
            replication.compare(name.clone(), repairs).await?;
            audit(node, by, "myfsio:CompareReplication", name, &json!({ "repairs": repairs })).await;
            comparison(node, name, StatusCode::ACCEPTED)
        }
        RuleRoute::StopComparing => {
            replication.cancel_comparison(name);
            comparison(node, name, StatusCode::OK)
        }
        RuleRoute::Conflicts => conflicts(node, bucket, query).await,
        RuleRoute::Resolve => resolve(node, by, bucket, parse(body)?).await,
    }
}

async fn audit(node: &Node, by: ChangeOrigin, action: &str, bucket: &BucketName, done: &Value) {
    let target = format!("arn:aws:s3:::{bucket}");
    let entry = AuditEntry::of_change(node.clock.now(), by, action, target, &Value::Null, done);
    node.audit.record(entry.into_iter().collect()).await;
}

async fn show(node: &Node, bucket: &BucketName, status: StatusCode) -> Answer {
    let found = node.replication.status(bucket)?;
    let reasons = match found.totals.parked {
        0 => Vec::new(),
        _ => node.replication.parked_reasons(bucket).await?,
    };
    ok(status, &tell::status(&found, Some(&reasons)))
}

/// How far the bucket was behind, and is at this moment. Errs: ReplicationConfigurationNotFoundError, InvalidArgument.
fn history(node: &Node, bucket: &BucketName, query: &Query) -> Answer {
    let text = query.get("range").unwrap_or("1h");
    let unknown = || S3Error::invalid_argument("range", text, "A range is 1h or 24h.");
    let span = Span::parse(text).filter(|span| *span != Span::Month).ok_or_else(unknown)?;
    let found = node.replication.status(bucket)?;
    let now = node.clock.now().seconds();
    let mut points = node.lags.lock().points(bucket.as_str(), span, now);
    points.retain(|point| point.0 < now);
    points.push(LagPoint(now, u64::try_from(found.lag.as_millis()).unwrap_or(u64::MAX), found.totals.pending));
    let told = points.into_iter().map(
        |LagPoint(at, lag_ms, pending)| json!({ "at": at, "lag_seconds": lag_ms as f64 / 1e3, "pending": pending }),
    );
    let told: Vec<_> = told.collect();
    ok(StatusCode::OK, &json!({ "range": text, "step_seconds": span.step_seconds(), "points": told }))
}

fn rule_of(node: &Node, bucket: &BucketName, body: RuleBody) -> Result<Rule, S3Error> {
    let connection = connections::find(node, &body.target_connection_id).map_err(|_| {
        let message = "There is no such connection.";
        S3Error::invalid_argument("target_connection_id", &body.target_connection_id, message)
    })?;
    let former = node.replication.rule(bucket).ok();
    Ok(Rule {
        bucket: bucket.clone(),
        connection: Arc::clone(&connection.id),
        target_bucket: Arc::from(body.target_bucket),
        enabled: body.enabled,
        mode: body.mode,
        created_at: node.clock.now(),
        id: body.id,
        replicate_deletes: body.replicate_deletes,
        delete_versions: body.delete_versions,
        rules: body.rules.map(|rules| rules.into_iter().map(Into::into).collect()),
        role: former.as_ref().and_then(|rule| rule.role.clone()),
        destination: None,
        added: None,
    })
}

fn limit_of(query: &Query) -> Result<usize, S3Error> {
    let Some(text) = query.get("limit") else { return Ok(LIMIT) };
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| S3Error::invalid_argument("limit", text, format!("A page has 1 to {LIMIT_MAX} entries.")))
}

/// Where a page of failures ends: `<since>/<clock of the version or ->/<key>`.
fn position(text: &str) -> Option<(Stamp, Slot)> {
    let (since, rest) = text.split_once('/')?;
    let (version, key) = rest.split_once('/')?;
    let version = match version {
        "-" => None,
        clock => Some(clock.parse().ok()?),
    };
    Some((Stamp(since.parse().ok()?), Slot { key: ObjectKey::parse(key.as_bytes()).ok()?, version }))
}

fn position_text(since: Stamp, slot: &Slot) -> String {
    let version = slot.version.map_or_else(|| "-".to_owned(), |clock| clock.to_string());
    format!("{}/{version}/{}", since.0, slot.key.as_str())
}

async fn failures(node: &Node, bucket: &BucketName, query: &Query) -> Answer {
    let limit = limit_of(query)?;
    let unknown = |text| S3Error::invalid_argument("after", text, "No page ends there.");
    let after = query.get_filled("after").map(|text| position(text).ok_or_else(|| unknown(text))).transpose()?;
    let found = node.replication.parked(bucket, after, limit).await?;
    let next = found.last().filter(|_| found.len() >= limit).map(|last| position_text(last.since, &last.slot));
    let told: Vec<_> = found.iter().map(tell::failure).collect();
    ok(StatusCode::OK, &json!({ "failures": told, "next": next }))
}

/// The parked slots that a request means; none is all of them. Errs: InvalidArgument.
async fn slots_of(node: &Node, bucket: &BucketName, which: WhichBody) -> Result<Option<Vec<Slot>>, S3Error> {
    let Some(key) = which.key else {
        return match which.version_id {
            None => Ok(None),
            Some(version) => Err(S3Error::invalid_argument("version_id", &version, "A version is one of a key.")),
        };
    };
    let invalid = |_| S3Error::invalid_argument("key", "", "This is no key.");
    let key = ObjectKey::parse(key.as_bytes()).map_err(invalid)?;
    if let Some(version) = which.version_id {
        let version = VersionId::parse(&version)
            .map_err(|_| S3Error::invalid_argument("version_id", &version, "Invalid version id specified"))?;
        return Ok(Some(vec![Slot::of(&key, version)]));
    }
    let (mut slots, mut after) = (Vec::new(), None);
    loop {
        let page = node.replication.parked(bucket, after, LIMIT_MAX).await?;
        let Some(last) = page.last() else { return Ok(Some(slots)) };
        after = Some((last.since, last.slot.clone()));
        slots.extend(page.into_iter().map(|entry| entry.slot).filter(|slot| slot.key == key));
    }
}

fn comparison(node: &Node, bucket: &BucketName, status: StatusCode) -> Answer {
    node.replication.rule(bucket)?;
    match node.replication.comparison(bucket) {
        Some(found) => ok(status, &tell::comparison(&found)),
        None => ok(status, &json!({ "state": "none" })),
    }
}

async fn conflicts(node: &Node, bucket: Option<Arc<Bucket>>, query: &Query) -> Answer {
    let bucket = bucket.ok_or(ErrorCode::NoSuchBucket)?;
    let limit = limit_of(query)?;
    let after = match (query.get_filled("key"), query.get_filled("version-id")) {
        (None, _) => None,
        (Some(key), version) => {
            let invalid = |_| S3Error::invalid_argument("key", key, "No page ends there.");
            let key = ObjectKey::parse(key.as_bytes()).map_err(invalid)?;
            let unknown =
                |_| S3Error::invalid_argument("version-id", version.unwrap_or_default(), "No page ends there.");
            Some((key, version.map_or(Ok(VersionId::Null), VersionId::parse).map_err(unknown)?))
        }
    };
    let found = node.storage.conflicts(Arc::clone(&bucket), after, limit).await?;
    let next = found.last().filter(|_| found.len() >= limit);
    let next = next.map(|last| json!({ "key": last.key.as_str(), "version-id": last.version_id.to_string() }));
    let told: Vec<_> =
        found.iter().map(|conflict| with_winner(node, &bucket, tell::conflict(conflict), &conflict.key)).collect();
    ok(StatusCode::OK, &json!({ "conflicts": told, "next": next }))
}

/// Both sides of a conflict: what lost, and what is there now; null when that was deleted.
fn with_winner(node: &Node, bucket: &Bucket, mut told: Value, key: &ObjectKey) -> Value {
    let current = node.storage.peek_object(bucket, key, None).ok().map(|peeked| {
        let object = peeked.object;
        json!({
            "version_id": object.version_id.to_string(),
            "etag": object.etag.to_string(),
            "size": object.size,
            "last_modified": crate::s3::xml::time_text(object.modified()),
            "origin": object.change(node.storage.node_id()).origin.to_string(),
        })
    });
    if let Value::Object(fields) = &mut told {
        fields.insert("current".to_owned(), current.unwrap_or(Value::Null));
    }
    told
}

async fn resolve(node: &Node, by: ChangeOrigin, bucket: Option<Arc<Bucket>>, body: ResolveBody) -> Answer {
    let bucket = bucket.ok_or(ErrorCode::NoSuchBucket)?;
    let invalid = |_| S3Error::invalid_argument("key", &body.key, "This is no key.");
    let key = ObjectKey::parse(body.key.as_bytes()).map_err(invalid)?;
    let version_id = VersionId::parse(&body.version_id)
        .map_err(|_| S3Error::invalid_argument("version_id", &body.version_id, "Invalid version id specified"))?;
    let keep = match body.keep {
        Keep::Current => ConflictChoice::Current,
        Keep::Copy => ConflictChoice::Copy,
    };
    let name = bucket.name.clone();
    node.storage.resolve_conflict(ResolveConflict { bucket, key, version_id, keep }).await?;
    let chosen = if keep == ConflictChoice::Copy { "copy" } else { "current" };
    let told = json!({ "key": body.key, "version_id": body.version_id, "keep": chosen });
    audit(node, by, "myfsio:ResolveConflict", &name, &told).await;
    ok(StatusCode::OK, &told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_failures_go_on_where_they_ended() {
        for slot in [
            Slot { key: ObjectKey::parse(b"a/b").unwrap(), version: None },
            Slot { key: ObjectKey::parse("ä/".as_bytes()).unwrap(), version: Some(7) },
        ] {
            assert_eq!(position(&position_text(Stamp(5), &slot)), Some((Stamp(5), slot)));
        }
        for text in ["", "1", "1/2", "x/-/a", "1/x/a", "1/-/"] {
            assert_eq!(position(text), None, "{text}");
        }
    }
}
