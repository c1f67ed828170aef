//! What answers tell. Never a secret.

use myfsio_actors::replication_worker::{
    Circuit, Comparison, ComparisonState, Connection, ConnectionReport, DifferenceKind, Fill, Mode, ParkedReason, Rule,
    RuleDocument, RuleStatus,
};
use myfsio_actors::storage::{Conflict, QueuedChange, Slot};
use serde_json::{Value, json};

use crate::replication::handshake::versioning_name;
use crate::s3::xml::time_text;

pub(super) fn connection(connection: &Connection) -> Value {
    json!({
        "id": &*connection.id,
        "name": connection.name,
        "endpoint_url": connection.endpoint_url,
        "access_key": connection.access_key.as_str(),
        "region": connection.region,
        "concurrency": connection.concurrency,
        "bytes_per_second": connection.bytes_per_second,
    })
}

pub(super) fn report(report: &ConnectionReport, with_bucket: bool) -> Value {
    let handshake = report.handshake.as_ref();
    let problems: Vec<_> = report.error.iter().chain(&report.missing).collect();
    let state = match (report.is_usable(with_bucket), problems.is_empty()) {
        (true, true) => "ok",
        (true, false) => "limited",
        (false, _) => "failed",
    };
    json!({
        "state": state,
        "version": handshake.map(|handshake| handshake.version.as_str()).unwrap_or_default(),
        "node_id": handshake.and_then(|handshake| handshake.node).map(|node| node.id.to_string()),
        "bucket": handshake.and_then(|handshake| handshake.bucket).map(|bucket| json!({
            "versioning": versioning_name(bucket.versioning),
            "object_lock": bucket.object_lock,
        })),
        "rights": handshake.map(|handshake| json!({
            "read": handshake.rights.read,
            "write": handshake.rights.write,
            "delete": handshake.rights.delete,
            "replicate": handshake.rights.replicate,
        })),
        "problems": problems,
        "skew_millis": report.skew_millis,
        "took_millis": report.took_millis,
    })
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::NewOnly => "new_only",
        Mode::All => "all",
    }
}

fn rule(rule: &Rule) -> Value {
    json!({
        "bucket_name": rule.bucket.as_str(),
        "target_connection_id": &*rule.connection,
        "target_bucket": &*rule.target_bucket,
        "enabled": rule.enabled,
        "mode": mode(rule.mode),
        "created_at": time_text(rule.created_at),
        "id": rule.id,
        "replicate_deletes": rule.replicate_deletes,
        "delete_versions": rule.delete_versions,
        "rules": rule.rules.as_ref().map(|rules| rules.iter().map(RuleDocument::from).collect::<Vec<_>>()),
    })
}

/// A rule with how it fares. Reasons of failures are told where they were looked for.
pub(super) fn status(status: &RuleStatus, reasons: Option<&[ParkedReason]>) -> Value {
    let mut told = rule(&status.rule);
    let connection = status.connection.as_ref().map(|connection| connection.name.as_str());
    let failing = status.failing.iter().map(|failing| {
        json!({
            "key": failing.slot.key.as_str(),
            "reason": failing.reason,
            "failures": failing.failures,
            "tried_again": time_text(failing.until),
        })
    });
    let how = json!({
        "state": status.state.name(),
        "reason": status.state.reason(),
        "circuit": status.circuit.name(),
        "connection_name": connection,
        "lag_seconds": status.lag.as_secs_f64(),
        "pending": status.totals.pending,
        "pending_bytes": status.totals.pending_bytes,
        "parked": status.totals.parked,
        "parked_bytes": status.totals.parked_bytes,
        "overflowed": status.totals.overflowed,
        "under_way": status.under_way,
        "throughput": {
            "changes": status.throughput.changes,
            "bytes": status.throughput.bytes,
            "changes_per_minute": status.throughput.changes_per_minute,
            "bytes_per_minute": status.throughput.bytes_per_minute,
        },
        "failed_attempts": status.failures,
        "lost": status.lost,
        "known": status.known,
        "failing": failing.collect::<Vec<_>>(),
        "failures": reasons.map(|reasons| reasons.iter().map(parked_reason).collect::<Vec<_>>()),
        "back_fill": status.fill.as_ref().map(fill),
    });
    if let Value::Object(fields) = &mut told {
        fields.insert("status".to_owned(), how);
    }
    told
}

/// What all rules come to.
pub(super) fn totals(statuses: &[RuleStatus]) -> Value {
    let sum = |figure: fn(&RuleStatus) -> u64| statuses.iter().map(figure).fold(0, u64::saturating_add);
    let lag = statuses.iter().map(|status| status.lag).max().unwrap_or_default();
    let in_state = |name: &str| statuses.iter().filter(|status| status.state.name() == name).count();
    json!({
        "rules": statuses.len(),
        "active": in_state("ACTIVE"),
        "paused": in_state("PAUSED"),
        "offline": in_state("OFFLINE"),
        "failed": in_state("FAILED"),
        "circuits_open": statuses.iter().filter(|status| status.circuit != Circuit::Closed).count(),
        "lag_seconds": lag.as_secs_f64(),
        "pending": sum(|status| status.totals.pending),
        "pending_bytes": sum(|status| status.totals.pending_bytes),
        "parked": sum(|status| status.totals.parked),
        "parked_bytes": sum(|status| status.totals.parked_bytes),
        "failed_attempts": sum(|status| status.failures),
        "sent_changes": sum(|status| status.throughput.changes),
        "sent_bytes": sum(|status| status.throughput.bytes),
        "changes_per_minute": sum(|status| status.throughput.changes_per_minute),
        "bytes_per_minute": sum(|status| status.throughput.bytes_per_minute),
    })
}

fn parked_reason(reason: &ParkedReason) -> Value {
    json!({ "reason": reason.reason, "changes": reason.changes, "example": reason.example.key.as_str() })
}

fn fill(fill: &Fill) -> Value {
    json!({ "done": fill.done, "looked_at": fill.looked_at, "queued": fill.queued, "is_resync": fill.is_resync })
}

/// The version of a slot as far as it is known: the first half of its id.
fn version(slot: &Slot) -> Option<String> {
    slot.version.map(|clock| format!("{clock:016x}"))
}

pub(super) fn failure(change: &QueuedChange) -> Value {
    json!({
        "key": change.slot.key.as_str(),
        "version": version(&change.slot),
        "reason": change.parked,
        "attempts": change.attempts,
        "bytes": change.bytes,
        "since": time_text(change.since),
    })
}

pub(super) fn comparison(of: &Comparison) -> Value {
    let (state, reason) = match &of.state {
        ComparisonState::Running => ("running", None),
        ComparisonState::Done => ("done", None),
        ComparisonState::Cancelled => ("cancelled", None),
        ComparisonState::Failed(reason) => ("failed", Some(reason.as_str())),
    };
    let samples = of.differences.iter().map(|difference| {
        let kind = match difference.kind {
            DifferenceKind::Missing => "missing",
            DifferenceKind::Different => "different",
            DifferenceKind::Extra => "extra",
        };
        json!({ "difference": kind, "key": difference.key, "version_id": difference.version_id.to_string() })
    });
    json!({
        "state": state,
        "reason": reason,
        "repairs": of.repairs,
        "by_version": of.by_version,
        "started": time_text(of.started),
        "ended": of.ended.map(time_text),
        "compared": of.keys,
        "same": of.same,
        "missing": of.missing,
        "different": of.different,
        "extra": of.extra,
        "queued": of.queued,
        "samples": samples.collect::<Vec<_>>(),
    })
}

pub(super) fn conflict(conflict: &Conflict) -> Value {
    let object = &conflict.object;
    json!({
        "key": conflict.key.as_str(),
        "version_id": conflict.version_id.to_string(),
        "etag": object.etag.to_string(),
        "size": object.size,
        "last_modified": time_text(object.modified()),
        "is_version": conflict.is_version,
        "origin": object.lineage.as_ref().map(|lineage| lineage.change.origin.to_string()),
    })
}
