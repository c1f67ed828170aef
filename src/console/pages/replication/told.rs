//! Connections and replication as the routes below `/_myfsio/replication` tell them.

use actix_web::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::console::failure::Failure;
use crate::console::links;
use crate::console::visit::{Visit, read};

/// A connection.
#[derive(Debug, Clone, Deserialize)]
pub struct Connection {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Where it leads.
    pub endpoint_url: String,
    /// As whom.
    pub access_key: String,
    /// Region that requests are signed for.
    pub region: String,
    /// Transfers at once.
    pub concurrency: u16,
    /// Bytes per second at most.
    pub bytes_per_second: Option<u64>,
}

/// How a bucket is replicated.
#[derive(Debug, Clone, Deserialize)]
pub struct Rule {
    /// The bucket.
    pub bucket_name: String,
    /// Id of the connection.
    pub target_connection_id: String,
    /// The bucket there.
    pub target_bucket: String,
    /// Whether it is sent.
    pub enabled: bool,
    /// `new_only` or `all`.
    pub mode: String,
    /// Its id.
    pub id: Option<String>,
    /// Whether deletes are sent.
    pub replicate_deletes: bool,
    /// Whether deletes of versions are.
    pub delete_versions: bool,
    /// More than that: rules as S3 has them.
    pub rules: Option<Vec<Part>>,
    /// How it goes.
    pub status: Status,
}

/// One of several rules of a bucket.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Part {
    /// Its id.
    pub id: String,
    /// Of several that apply, the greatest decides.
    pub priority: u32,
    /// Whether it applies.
    pub enabled: bool,
    /// Keys that begin so.
    pub prefix: String,
    /// Objects with these tags.
    pub tags: Vec<(String, String)>,
    /// Whether delete markers are sent.
    pub delete_markers: bool,
    /// Whether deletes of versions are.
    pub delete_versions: bool,
    /// Whether what was there before is.
    pub existing: bool,
    /// Whether it was set in the older form of S3, and stays in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub legacy: bool,
}

/// How replication goes.
#[derive(Debug, Clone, Deserialize)]
pub struct Status {
    /// `ACTIVE`, `PAUSED`, `FAILED` or `OFFLINE`.
    pub state: String,
    /// Why, if something is wrong.
    pub reason: Option<String>,
    /// What the connection is called.
    pub connection_name: Option<String>,
    /// Age of the oldest change that waits.
    pub lag_seconds: f64,
    /// Changes that wait.
    pub pending: u64,
    /// Their bytes.
    pub pending_bytes: u64,
    /// Changes that were given up.
    pub parked: u64,
    /// Whether some could not be queued.
    pub overflowed: bool,
    /// Transfers under way.
    pub under_way: u64,
    /// What was sent.
    pub throughput: Throughput,
    /// Changes that are gone.
    pub lost: u64,
    /// Changes that failed and are tried again.
    pub failing: Vec<Failing>,
    /// Why changes were given up.
    pub failures: Option<Vec<Reason>>,
    /// How far sending what was there before is.
    pub back_fill: Option<Fill>,
}

/// What was sent in the last minute.
#[derive(Debug, Clone, Deserialize)]
pub struct Throughput {
    /// Changes.
    pub changes_per_minute: u64,
    /// Bytes.
    pub bytes_per_minute: u64,
}

/// A change that is tried again.
#[derive(Debug, Clone, Deserialize)]
pub struct Failing {
    /// Its key.
    pub key: String,
    /// Why it failed.
    pub reason: String,
    /// How often.
    pub failures: u64,
    /// When it is tried next, RFC 3339.
    pub tried_again: String,
}

/// Why changes were given up.
#[derive(Debug, Clone, Deserialize)]
pub struct Reason {
    /// The reason.
    pub reason: String,
    /// How many.
    pub changes: u64,
    /// One of them.
    pub example: String,
}

/// How far sending what was there before is.
#[derive(Debug, Clone, Deserialize)]
pub struct Fill {
    /// Whether all was looked at.
    pub done: bool,
    /// How many versions were.
    pub looked_at: u64,
    /// How many of them are sent.
    pub queued: u64,
}

/// A page of changes that were given up.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Failures {
    /// The changes.
    pub failures: Vec<Failed>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// A change that was given up.
#[derive(Debug, Clone, Deserialize)]
pub struct Failed {
    /// Its key.
    pub key: String,
    /// Why.
    pub reason: Option<String>,
    /// How often it was tried.
    pub attempts: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Since when it waits, RFC 3339.
    pub since: String,
}

/// A comparison of both sides.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Comparison {
    /// `none`, `running`, `done`, `cancelled` or `failed`.
    pub state: String,
    /// Why it failed.
    pub reason: Option<String>,
    /// Whether differences are queued.
    pub repairs: bool,
    /// When it began, RFC 3339.
    pub started: String,
    /// When it ended.
    pub ended: Option<String>,
    /// What was compared.
    pub compared: u64,
    /// What is alike.
    pub same: u64,
    /// What is not there.
    pub missing: u64,
    /// What differs.
    pub different: u64,
    /// What is only there.
    pub extra: u64,
    /// What was queued.
    pub queued: u64,
    /// Some differences.
    pub samples: Vec<Sample>,
}

/// A difference.
#[derive(Debug, Clone, Deserialize)]
pub struct Sample {
    /// `missing`, `different` or `extra`.
    pub difference: String,
    /// The key.
    pub key: String,
    /// The version.
    pub version_id: String,
}

/// A page of conflicts.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Conflicts {
    /// The conflicts.
    pub conflicts: Vec<Conflict>,
    /// Where the next page begins.
    pub next: Option<ConflictPlace>,
}

/// Where a page of conflicts ends.
#[derive(Debug, Clone, Deserialize)]
pub struct ConflictPlace {
    /// The key.
    pub key: String,
    /// The version.
    #[serde(rename = "version-id")]
    pub version_id: String,
}

/// What lost against a change of another node.
#[derive(Debug, Clone, Deserialize)]
pub struct Conflict {
    /// The key.
    pub key: String,
    /// The version that lost, and how it looks.
    #[serde(flatten)]
    pub copy: Side,
    /// What holds; none where that is a delete.
    pub current: Option<Side>,
}

/// One side of a conflict.
#[derive(Debug, Clone, Deserialize)]
pub struct Side {
    /// The version.
    pub version_id: String,
    /// Its entity tag.
    pub etag: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was written, RFC 3339.
    pub last_modified: String,
    /// The node that wrote it.
    pub origin: Option<String>,
}

/// What a test of a connection found.
#[derive(Debug, Clone, Deserialize)]
pub struct Report {
    /// `ok`, `limited` or `failed`.
    pub state: String,
    /// The other side's version.
    pub version: String,
    /// Its node id, if it is a node.
    pub node_id: Option<String>,
    /// The bucket there.
    pub bucket: Option<Value>,
    /// What the credentials may do.
    pub rights: Option<Rights>,
    /// What is in the way.
    pub problems: Vec<String>,
    /// How far its clock is ahead, in milliseconds.
    pub skew_millis: Option<i64>,
    /// How long it took to answer, in milliseconds.
    pub took_millis: u64,
}

/// What credentials may do in a bucket.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Rights {
    /// List and read.
    pub read: bool,
    /// Write.
    pub write: bool,
    /// Delete.
    pub delete: bool,
    /// Write ids and times.
    pub replicate: bool,
}

/// The route of a connection, or below it.
pub fn connection_route(connection: &str, below: &str) -> String {
    format!("/_myfsio/replication/connections/{}{below}", links::encode(connection))
}

/// The route of a bucket's replication, or below it.
pub fn rule_route(bucket: &str, below: &str) -> String {
    format!("/_myfsio/replication/rules/{}{below}", links::encode(bucket))
}

/// All connections. Errs: as the route.
pub async fn connections(visit: &Visit) -> Result<Vec<Connection>, Failure> {
    #[derive(Deserialize)]
    struct Listing {
        connections: Vec<Connection>,
    }
    let told = visit.asker()?.json(Method::GET, "/_myfsio/replication/connections", None).await?;
    Ok(read::<Listing>(told)?.connections)
}

/// All rules. Errs: as the route.
pub async fn rules(visit: &Visit) -> Result<Vec<Rule>, Failure> {
    #[derive(Deserialize)]
    struct Listing {
        rules: Vec<Rule>,
    }
    let told = visit.asker()?.json(Method::GET, "/_myfsio/replication/rules", None).await?;
    Ok(read::<Listing>(told)?.rules)
}

/// How the bucket of the path is replicated; none where it is not. Errs: as the route.
pub async fn rule(visit: &Visit) -> Result<Option<Rule>, Failure> {
    let route = rule_route(visit.parameter("bucket"), "");
    match visit.asker()?.json(Method::GET, &route, None).await {
        Ok(told) => Ok(Some(read(told)?)),
        Err(refusal) if refusal.code == "ReplicationConfigurationNotFoundError" => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_conflict_has_two_sides_or_one() {
        let side = json!({ "version_id": "v", "etag": "e", "size": 1, "last_modified": "t", "origin": null });
        let mut told = side.clone();
        told["key"] = json!("a/b");
        told["is_version"] = json!(true);
        told["current"] = Value::Null;
        let conflict: Conflict = serde_json::from_value(told.clone()).unwrap();
        assert!(conflict.current.is_none() && conflict.copy.etag == "e");
        told["current"] = side;
        assert!(serde_json::from_value::<Conflict>(told).unwrap().current.is_some());
        assert_eq!(connection_route("a/b ä", "/test"), "/_myfsio/replication/connections/a%2Fb%20%C3%A4/test");
    }
}
