//! What a draft of a connection comes to, and what a test of one has found. Pure.

use std::sync::Arc;

use super::connections::{self, Connection, Connections};
use super::error::ReplicationError;
use super::messages::ConnectionDraft;
use super::peer::Handshake;
use crate::names::AccessKeyId;
use crate::seal::{SealError, SecretKey};

/// A clock that is further off than this is told.
const SKEW_MILLIS_MAX: u64 = 5 * 60 * 1000;

pub(super) fn random_id() -> Result<Arc<str>, ReplicationError> {
    let number = getrandom::u64().map_err(|_| SealError::NoRandomness)?;
    Ok(Arc::from(format!("{number:016x}")))
}

/// The connection that a draft comes to.
pub(super) fn drafted(
    known: &Connections,
    draft: ConnectionDraft,
    new_id: &Arc<str>,
) -> Result<Connection, ReplicationError> {
    let invalid = |reason: &str| ReplicationError::Invalid(reason.to_owned());
    let former = match &draft.id {
        Some(id) => Some(known.get(id).ok_or_else(|| ReplicationError::NoSuchConnection(id.clone()))?),
        None => None,
    };
    let name = draft.name.or_else(|| former.map(|it| it.name.clone())).ok_or_else(|| invalid("`name` is missing"))?;
    let is_taken = |other: &Arc<Connection>| other.name == name && former.is_none_or(|former| former.id != other.id);
    if known.all().iter().any(is_taken) {
        return Err(ReplicationError::ConnectionExists("name"));
    }
    let access_key = match draft.access_key {
        Some(text) => AccessKeyId::parse(&text).map_err(|_| invalid("`access_key` is no access key id"))?,
        None => former.map(|it| it.access_key.clone()).ok_or_else(|| invalid("`access_key` is missing"))?,
    };
    let secret_key: Option<SecretKey> = draft.secret_key.or_else(|| former.map(|it| it.secret_key.clone()));
    let endpoint_url = draft.endpoint_url.or_else(|| former.map(|it| it.endpoint_url.clone()));
    let region = draft.region.filter(|region| !region.is_empty()).or_else(|| former.map(|it| it.region.clone()));
    let bytes_per_second = draft.bytes_per_second.or_else(|| former.and_then(|it| it.bytes_per_second));
    let concurrency = draft.concurrency.or_else(|| former.map(|it| it.concurrency));
    let connection = Connection {
        id: former.map_or_else(|| Arc::clone(new_id), |it| Arc::clone(&it.id)),
        name,
        endpoint_url: endpoint_url.ok_or_else(|| invalid("`endpoint_url` is missing"))?,
        access_key,
        secret_key: secret_key.ok_or_else(|| invalid("`secret_key` is missing"))?,
        region: region.unwrap_or_else(|| "us-east-1".to_owned()),
        concurrency: concurrency.unwrap_or(connections::CONCURRENCY),
        bytes_per_second: bytes_per_second.filter(|bytes| *bytes > 0),
    };
    connections::check(&connection).map_err(ReplicationError::Invalid)?;
    Ok(connection)
}

/// What is missing for replication to work in full.
pub(super) fn missing(handshake: &Handshake, bucket: Option<&str>, skew_millis: Option<i64>) -> Vec<String> {
    if let Some(problem) = &handshake.problem {
        return vec![problem.clone()];
    }
    let mut missing = Vec::new();
    if let Some(skew) = skew_millis.filter(|skew| skew.unsigned_abs() > SKEW_MILLIS_MAX) {
        missing.push(format!("the clocks are {} seconds apart", skew.unsigned_abs() / 1000));
    }
    let Some(bucket) = bucket else { return missing };
    if handshake.bucket.is_none() {
        missing.push(format!("there is no bucket {bucket:?}, or the credentials may not see it"));
        return missing;
    }
    let rights = handshake.rights;
    for (is_there, what) in [
        (rights.write, "the credentials may not write there (`write`)"),
        (rights.read, "the credentials may not read there (`read`), which comparing takes"),
        (rights.delete, "the credentials may not delete there (`delete`): deletes wait"),
        (
            !handshake.is_hidden,
            "it is a node, and something in front of it keeps its routes below /_myfsio/replication from this one: only current objects are kept alike",
        ),
        (
            rights.replicate || handshake.node.is_none() || handshake.is_hidden,
            "the credentials may not write version ids and times (`replication`): only current objects are kept alike",
        ),
    ] {
        if !is_there {
            missing.push(what.to_owned());
        }
    }
    missing
}
