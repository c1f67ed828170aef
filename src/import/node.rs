//! The node that objects are brought to, as its own commands ask it: at its admin socket, in requests of the S3 API.
//!
//! Objects come as changes of the node's own that were made when the source dates them (`s3::replica`). So they keep their times and the
//! order of their versions; what was changed or deleted here since then is later, and stays; and importing them again changes nothing.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use myfsio_actors::clock::SharedClock;
use myfsio_actors::names::{Change, NodeId, Stamp, VersionId};
use myfsio_actors::storage::{Applied, Permits, Replica};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::entry::Version;
use super::settings::{Document, Settings, Versioning};
use crate::replication::{Ask, Endpoint, Failure, Method, Payload, Place, Remote, Reply, S3Client, Uploads, allowed};
use crate::s3::auth::canonical::encode;
use crate::s3::conditional::date_seconds;
use crate::s3::replica::{self, APPLIED};
use crate::s3::xml::XmlWriter;
use crate::s3::xml::client as documents;

/// Requests at once: the socket serves some more, so that other commands have a place.
const AT_ONCE: usize = 10;
const PEER: &str = "/_myfsio/replication/peer";

/// What the node takes in one request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a body.
    pub body_bytes_max: u64,
    /// Bytes of a part that is not the last.
    pub part_bytes_min: u64,
}

/// The node.
#[derive(Debug)]
pub struct NodeApi {
    client: S3Client,
    remote: Remote,
    places: Semaphore,
    id: NodeId,
    clock: SharedClock,
    pub(super) limits: Limits,
    pub(super) uploads: Uploads,
}

/// What became of something that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is there now.
    Stored,
    /// It was there, or something later is, or it was deleted here.
    Known,
}

impl NodeApi {
    /// The node behind a socket; what was begun there and not ended is remembered in a file of its data directory. Errs: it does not
    /// answer.
    pub async fn connect(socket: &Path, root: &Path, limits: Limits, clock: SharedClock) -> Result<Self, String> {
        let client = S3Client::at_socket(socket, allowed(true), Arc::clone(&clock));
        let endpoint = Endpoint::parse("http://localhost")?;
        let remote = Remote { endpoint, signer: None, ahead_seconds: Arc::default() };
        let ask = Ask {
            method: Method::GET,
            place: Place::Route(PEER),
            query: &[],
            headers: Vec::new(),
            payload: Payload::Empty,
        };
        let reply = client.send(&remote, ask).await.map_err(|failure| format!("the node: {failure}"))?;
        let told: Value = serde_json::from_slice(&reply.body).map_err(|error| format!("the node: {error}"))?;
        let id = told.get("node_id").and_then(Value::as_str).and_then(|id| id.parse().ok());
        let id = id.ok_or("the node does not tell its id")?;
        let uploads = Uploads::open(root.join(".myfsio.sys/import_uploads.json"), Arc::clone(&clock));
        Ok(Self { client, remote, places: Semaphore::new(AT_ONCE), id, clock, limits, uploads })
    }

    /// Asks one thing.
    pub async fn ask(
        &self,
        method: Method,
        place: Place<'_>,
        query: &[(&str, &str)],
        headers: Vec<(String, String)>,
        payload: Payload,
    ) -> Result<Reply, Failure> {
        let _place = self.places.acquire().await;
        self.client.send(&self.remote, Ask { method, place, query, headers, payload }).await
    }

    /// Asks a route that speaks JSON; its segments are encoded.
    pub async fn json(&self, method: Method, route: &[&str], document: Option<&Value>) -> Result<Value, Failure> {
        let path = route.iter().map(|part| format!("/{}", encode(part.as_bytes(), false))).collect::<String>();
        let payload = document.map_or(Payload::Empty, |document| Payload::Document(Bytes::from(document.to_string())));
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let reply = self.ask(method, Place::Route(&path), &[], headers, payload).await?;
        match reply.body.is_empty() {
            true => Ok(Value::Null),
            false => serde_json::from_slice(&reply.body).map_err(|error| Failure::Nonsense(error.to_string())),
        }
    }

    /// The headers that make of a request a change that was made when the version was.
    pub fn told(&self, version: &Version) -> Vec<(String, String)> {
        let now = self.clock.now().0;
        let clock = match version.id {
            VersionId::Unique { stamp, .. } => stamp.0,
            VersionId::Null => version.clock.min(now),
        };
        let replica = Replica {
            change: Change { clock, origin: self.id },
            seen: Default::default(),
            sender: self.id,
            version: version.id,
            // What somebody dates into the future is of now.
            modified: Some(Stamp(version.modified.0.min(now))),
            tags_change: None,
            lock_change: None,
            permits: Permits::default(),
        };
        let headers = replica::describe(&replica, true);
        headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Whether the node has a version already, or something later in its place.
    pub async fn has(&self, bucket: &str, key: &str, version: &Version) -> Result<bool, Failure> {
        let id = version.id.to_string();
        let place = Place::Key(bucket, key);
        let reply = match self.ask(Method::HEAD, place, &[("versionId", &id)], Vec::new(), Payload::Empty).await {
            Ok(reply) => reply,
            // A delete marker (S3 API Reference, HeadObject).
            Err(failure) if failure.status() == 405 => return Ok(true),
            Err(failure) if matches!(failure.status(), 404 | 400) => return Ok(false),
            Err(failure) => return Err(failure),
        };
        if version.id != VersionId::Null {
            return Ok(true);
        }
        let Some(there) = reply.header("last-modified").and_then(date_seconds) else { return Ok(false) };
        let here = version.modified.0.min(self.clock.now().0) / 1_000_000_000;
        let size = reply.header("content-length").and_then(|size| size.parse().ok());
        // What was written in the same second is told by its size, where the source tells that.
        Ok(there > here || (there == here && version.exact_size().is_none_or(|own| Some(own) == size)))
    }

    /// Puts a delete marker.
    pub async fn mark(&self, bucket: &str, key: &str, version: &Version) -> Result<Outcome, Failure> {
        let reply = self.ask(Method::DELETE, Place::Key(bucket, key), &[], self.told(version), Payload::Empty).await?;
        Ok(outcome(&reply))
    }

    /// Makes a bucket unless it is there; answers whether it was made, and whether it keeps versions and can lock.
    pub async fn make_bucket(&self, bucket: &str, settings: &Settings) -> Result<Made, Failure> {
        let place = Place::Bucket(bucket);
        let is_new = match self.ask(Method::HEAD, place, &[], Vec::new(), Payload::Empty).await {
            Ok(_) => false,
            Err(failure) if failure.status() == 404 => {
                let mut headers = Vec::new();
                if settings.object_lock {
                    headers.push(("x-amz-bucket-object-lock-enabled".to_owned(), "true".to_owned()));
                }
                headers.extend(settings.canned_acl.map(|acl| ("x-amz-acl".to_owned(), acl.to_owned())));
                self.ask(Method::PUT, place, &[], headers, Payload::Empty).await?;
                true
            }
            Err(failure) => return Err(failure),
        };
        let reply = self.ask(Method::GET, place, &[("versioning", "")], Vec::new(), Payload::Empty).await?;
        let status = documents::versioning(&reply.body).map_err(|error| Failure::Nonsense(error.to_string()))?;
        let mut made = Made { is_new, keeps_versions: status.is_some(), locks: false };
        made.locks = self.ask(Method::GET, place, &[("object-lock", "")], Vec::new(), Payload::Empty).await.is_ok();
        if settings.versioning != Versioning::Off && !made.keeps_versions {
            // Versions of the source find their places in a bucket that makes none, too; an import that is broken off leaves it right.
            let status = if settings.versioning == Versioning::Suspended { "Suspended" } else { "Enabled" };
            self.set_versioning(bucket, status).await?;
            made.keeps_versions = true;
        }
        Ok(made)
    }

    /// Enables or suspends versioning.
    async fn set_versioning(&self, bucket: &str, status: &str) -> Result<(), Failure> {
        let mut out = XmlWriter::new("VersioningConfiguration");
        out.text("Status", status);
        let text = out.finish();
        self.put_document(bucket, &Document { resource: "versioning", text }).await
    }

    /// Whether something is configured of a bucket.
    pub async fn is_configured(&self, bucket: &str, resource: &str) -> Result<bool, Failure> {
        match self.ask(Method::GET, Place::Bucket(bucket), &[(resource, "")], Vec::new(), Payload::Empty).await {
            Ok(reply) => Ok(match resource {
                "quota" => reply.body.windows(5).any(|part| part == b"max_b") && !says_no_quota(&reply.body),
                "logging" => reply.body.windows(15).any(|part| part == b"<LoggingEnabled"),
                // That it locks was said when it was made; what it locks by itself may not have been yet.
                "object-lock" => reply.body.windows(6).any(|part| part == b"<Rule>"),
                _ => true,
            }),
            Err(failure) if failure.status() == 404 => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Configures a bucket.
    pub async fn put_document(&self, bucket: &str, document: &Document) -> Result<(), Failure> {
        let body = Bytes::from(document.text.clone());
        let kind = if document.text.starts_with('{') { "application/json" } else { "application/xml" };
        let headers = vec![
            ("content-type".to_owned(), kind.to_owned()),
            ("content-md5".to_owned(), STANDARD.encode(Md5::digest(&body))),
        ];
        let query = [(document.resource, "")];
        self.ask(Method::PUT, Place::Bucket(bucket), &query, headers, Payload::Document(body)).await.map(drop)
    }
}

/// A bucket as it is after it was made.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    /// It was not there before.
    pub is_new: bool,
    /// It keeps versions.
    pub keeps_versions: bool,
    /// Its objects can be locked.
    pub locks: bool,
}

fn says_no_quota(body: &[u8]) -> bool {
    let told: Value = serde_json::from_slice(body).unwrap_or_default();
    let quota = told.get("quota");
    let field = |name: &str| quota.and_then(|quota| quota.get(name)).is_none_or(Value::is_null);
    field("max_bytes") && field("max_objects")
}

/// What the node says became of a change.
pub fn outcome(reply: &Reply) -> Outcome {
    match reply.header(APPLIED) {
        Some(name) if name == Applied::Known.name() || name == Applied::Lost.name() => Outcome::Known,
        _ => Outcome::Stored,
    }
}
