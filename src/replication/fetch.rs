//! Reads objects back from where they are replicated to, for a scrub that has found them damaged here.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use bytes::Bytes;
use myfsio_actors::clock::SharedClock;
use myfsio_actors::names::VersionId;
use myfsio_actors::outgoing::Allowed;
use myfsio_actors::replication_worker::{Connection, ReplicationClient};
use myfsio_actors::scrub::{ReplicaFuture, Replicas, Wanted};
use reqwest::Method;

use super::client::{Ask, Place, Remote, Reply, S3Client};
use super::content::Payload;
use super::sign::Signer;
use super::target::Endpoint;
use crate::s3::auth::SecretText;
use crate::s3::auth::signing_keys::SigningKeys;

/// Reads from the targets of rules.
#[derive(Debug)]
pub struct ReplicaReader {
    client: S3Client,
    replication: ReplicationClient,
    keys: SigningKeys,
    /// Seconds by which a target's clock was ahead of the node's when it said so last.
    ahead_seconds: Arc<AtomicI64>,
}

impl ReplicaReader {
    /// Speaks to no other addresses than those.
    pub fn new(replication: ReplicationClient, allowed: Allowed, clock: SharedClock) -> Self {
        let client = S3Client::new(allowed, clock);
        Self { client, replication, keys: SigningKeys::default(), ahead_seconds: Arc::default() }
    }

    /// Where a bucket is replicated to.
    fn target(&self, wanted: &Wanted<'_>) -> Option<(Arc<Connection>, Arc<str>)> {
        let rule = self.replication.rule(wanted.bucket).ok()?;
        let connection = self.replication.connection(&rule.connection)?;
        Some((connection, Arc::clone(&rule.target_bucket)))
    }

    fn remote(&self, connection: &Connection) -> Result<Remote, String> {
        let signer = Signer {
            access_key_id: connection.access_key.clone(),
            secret: SecretText::new(connection.secret_key.expose()),
            region: connection.region.clone(),
            keys: self.keys.clone(),
        };
        let endpoint = Endpoint::parse(&connection.endpoint_url)?;
        Ok(Remote { endpoint, signer: Some(signer), ahead_seconds: Arc::clone(&self.ahead_seconds) })
    }

    async fn get(&self, wanted: Wanted<'_>, range: Range<u64>) -> Result<Bytes, String> {
        let (connection, bucket) = self.target(&wanted).ok_or("the bucket is not replicated")?;
        let remote = self.remote(&connection)?;
        let bytes = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        // A node has the version by its id; anybody else has what is current under the key, or another version's id.
        let version = Some(wanted.object.version_id).filter(|id| *id != VersionId::Null).map(|id| id.to_string());
        let named = [("versionId", version.as_deref().unwrap_or_default())];
        let ask = |query| Ask {
            method: Method::GET,
            place: Place::Key(&bucket, wanted.key.as_str()),
            query,
            headers: vec![("range".to_owned(), bytes.clone())],
            payload: Payload::Empty,
        };
        let told = |reply: Reply| Ok(reply.body);
        let told_why = |failure: super::client::Failure| format!("the target {}: {failure}", connection.name);
        if version.is_some() {
            match self.client.send(&remote, ask(named.as_slice())).await {
                Err(failure) if matches!(failure.status(), 400 | 404 | 405) => {}
                other => return other.map_err(told_why).and_then(told),
            }
        }
        self.client.send(&remote, ask(&[])).await.map_err(told_why).and_then(told)
    }
}

impl Replicas for ReplicaReader {
    fn offers(&self, wanted: &Wanted<'_>) -> bool {
        self.target(wanted).is_some()
    }

    fn read<'a>(&'a self, wanted: Wanted<'a>, range: Range<u64>) -> ReplicaFuture<'a, Bytes> {
        Box::pin(self.get(wanted, range))
    }
}
