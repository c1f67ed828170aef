//! [`Peer`] over HTTP: what the replication worker asks of targets, said in requests of the S3 API.
//!
//! Another node is told where changes come from; other services are asked as any client would ask them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use myfsio_actors::bucket_config::Tag;
use myfsio_actors::clock::SharedClock;
use myfsio_actors::names::{ETag, VersionId};
use myfsio_actors::outgoing::Allowed;
use myfsio_actors::replication_worker::{
    Beside, Connection, Deleting, Deletion, Destination, Handshake, ListPeer, Outgoing, Peer, PeerETag, PeerEntry,
    PeerError, PeerErrorKind, PeerFuture, PeerPage,
};
use myfsio_actors::storage::{Applied, Replica};
use reqwest::Method;

use super::client::{Ask, Failure, Place, Remote, Reply, S3Client};
use super::content::Payload;
use super::sign::Signer;
use super::target::Endpoint;
use super::uploads::{Uploads, What as UploadOf};
use super::{bundle, handshake, object};
use crate::s3::auth::SecretText;
use crate::s3::auth::signing_keys::SigningKeys;
use crate::s3::replica::{self, APPLIED};
use crate::s3::xml::client as documents;
use crate::s3::xml::object_lock::write_legal_hold;
use crate::s3::xml::tagging::write_tagging;

/// Entries of a page of a listing.
const PAGE: &str = "1000";
/// Connections of which it is remembered what was made of them.
const REMOTES_MAX: usize = 1024;

/// A connection, and what was made of it.
type Made = (Arc<Connection>, Arc<Remote>);

/// Speaks to targets over HTTP.
#[derive(Debug)]
pub struct HttpPeer {
    pub(super) client: S3Client,
    keys: SigningKeys,
    /// What was made of connections, by their ids: of those of an endpoint, one clock.
    remotes: Mutex<HashMap<Arc<str>, Made>>,
    pub(super) uploads: Uploads,
}

impl HttpPeer {
    /// Speaks to no other addresses than those, and remembers in a file which uploads it has begun.
    pub fn new(allowed: Allowed, uploads: PathBuf, clock: SharedClock) -> Self {
        Self {
            uploads: Uploads::open(uploads, Arc::clone(&clock)),
            client: S3Client::new(allowed, clock),
            keys: SigningKeys::default(),
            remotes: Mutex::default(),
        }
    }

    fn remote(&self, to: &Destination) -> Result<Arc<Remote>, PeerError> {
        let connection = &to.connection;
        let mut remotes = self.remotes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, remote)) = remotes.get(&connection.id)
            && Arc::ptr_eq(of, connection)
        {
            return Ok(Arc::clone(remote));
        }
        let permanent = |reason: String| PeerError::new(PeerErrorKind::Permanent, reason);
        let endpoint = Endpoint::parse(&connection.endpoint_url).map_err(permanent)?;
        let signer = Signer {
            access_key_id: connection.access_key.clone(),
            secret: SecretText::new(connection.secret_key.expose()),
            region: connection.region.clone(),
            keys: self.keys.clone(),
        };
        let same_place = |remote: &Arc<Remote>| remote.endpoint == endpoint;
        let known = remotes.values().map(|(_, remote)| remote).find(|remote| same_place(remote));
        let ahead_seconds = known.map(|remote| Arc::clone(&remote.ahead_seconds)).unwrap_or_default();
        let remote = Arc::new(Remote { endpoint, signer: Some(signer), ahead_seconds });
        if remotes.len() >= REMOTES_MAX {
            remotes.clear();
        }
        remotes.insert(Arc::clone(&connection.id), (Arc::clone(connection), Arc::clone(&remote)));
        Ok(remote)
    }

    /// The target, with the bucket that is meant.
    pub(super) fn bucket<'a>(&self, to: &'a Destination) -> Result<(Arc<Remote>, &'a str), PeerError> {
        let none = || PeerError::new(PeerErrorKind::Permanent, "no target bucket is named");
        Ok((self.remote(to)?, to.bucket.as_deref().ok_or_else(none)?))
    }

    async fn hand_shake(&self, to: &Destination) -> Result<Handshake, PeerError> {
        let remote = self.remote(to)?;
        Ok(handshake::ask(&self.client, &remote, to.bucket.as_deref()).await?)
    }

    /// Puts a document of what stands beside the bytes of an object; none deletes it.
    async fn change(
        &self,
        to: &Destination,
        object: &Outgoing,
        what: &str,
        document: Option<String>,
    ) -> Result<Reply, PeerError> {
        let (remote, bucket) = self.bucket(to)?;
        let version = addressed(to, object.object.version_id);
        let mut query = vec![(what, "")];
        query.extend(version.as_deref().map(|version| ("versionId", version)));
        let mut headers = told(to, object.replica.as_ref());
        let (method, payload) = match document.map(Bytes::from) {
            Some(document) => {
                headers.push(("content-md5".to_owned(), STANDARD.encode(Md5::digest(&document))));
                headers.push(("content-type".to_owned(), "application/xml".to_owned()));
                (Method::PUT, Payload::Document(document))
            }
            None => (Method::DELETE, Payload::Empty),
        };
        let ask = Ask { method, place: Place::Key(bucket, object.key.as_str()), query: &query, headers, payload };
        Ok(self.client.send(&remote, ask).await?)
    }

    async fn change_retention_and_hold(&self, to: &Destination, object: &Outgoing) -> Result<Applied, PeerError> {
        let controls = &object.object.controls;
        let told = object::told_retention(to, &object.object, self.client.now());
        let mut applied = Applied::Applied;
        // One that is over says nothing to who takes only what is to come; nor is it taken off, which would take a permission.
        if told == controls.retention {
            let retention = documents::write_retention_request(told.as_ref());
            applied = self::applied(&self.change(to, object, "retention", Some(retention)).await?);
        }
        if let Some(is_on) = controls.legal_hold {
            self.change(to, object, "legal-hold", Some(write_legal_hold(is_on))).await?;
        }
        Ok(applied)
    }

    /// Ends an upload that nobody goes on with. Should that fail, the target's own rules clear it away, if it has any.
    pub(super) async fn abort(&self, remote: &Remote, what: &UploadOf, upload: &str) {
        let ask = Ask {
            method: Method::DELETE,
            place: Place::Key(&what.bucket, &what.key),
            query: &[("uploadId", upload)],
            headers: Vec::new(),
            payload: Payload::Empty,
        };
        if let Err(failure) = self.client.send(remote, ask).await {
            tracing::debug!(key = %what.key, %failure, "an upload was left at the target");
        }
        self.uploads.ended(what);
    }

    /// Ends what was begun of an object that is deleted before all of it was sent.
    async fn give_up(&self, to: &Destination, remote: &Remote, bucket: &str, deletion: &Deletion) {
        let version = match deletion.what {
            // Where versions are kept, the one before the marker is still to be sent.
            Deleting::Marker(version) if version != VersionId::Null => return,
            Deleting::Marker(version) | Deleting::Version(version) => version,
        };
        let what = UploadOf {
            connection: to.connection.id.to_string(),
            bucket: bucket.to_owned(),
            key: deletion.key.as_str().to_owned(),
            version: version.to_string(),
        };
        if let Some(upload) = self.uploads.begun_for(&what) {
            self.abort(remote, &what, &upload).await;
        }
    }

    async fn remove(&self, to: &Destination, deletion: &Deletion) -> Result<Applied, PeerError> {
        let (remote, bucket) = self.bucket(to)?;
        self.give_up(to, &remote, bucket, deletion).await;
        let version = match deletion.what {
            Deleting::Marker(_) => None,
            Deleting::Version(version) => addressed(to, version),
        };
        let query: Vec<_> = version.iter().map(|version| ("versionId", version.as_str())).collect();
        let ask = Ask {
            method: Method::DELETE,
            place: Place::Key(bucket, deletion.key.as_str()),
            query: &query,
            headers: told(to, deletion.replica.as_ref()),
            payload: Payload::Empty,
        };
        match self.client.send(&remote, ask).await {
            Ok(reply) => Ok(applied(&reply)),
            Err(failure) if matches!(failure.code(), "NoSuchKey" | "NoSuchVersion") => Ok(Applied::Known),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn list_versions(&self, to: &Destination, query: &ListPeer) -> Result<PeerPage, PeerError> {
        let (remote, bucket) = self.bucket(to)?;
        let mut pairs = vec![("versions", ""), ("encoding-type", "url"), ("max-keys", PAGE)];
        if !query.prefix.is_empty() {
            pairs.push(("prefix", &query.prefix));
        }
        if let Some((key, version)) = &query.after {
            pairs.push(("key-marker", key));
            pairs.extend(version.as_deref().map(|version| ("version-id-marker", version)));
        }
        let page = documents::versions(&self.document(&remote, bucket, &pairs).await?).map_err(nonsense)?;
        let entries = page.entries.into_iter().map(entry).collect();
        let next = page.next.map(|(key, version)| (key, Some(version).filter(|version| !version.is_empty())));
        Ok(PeerPage { entries, next })
    }

    async fn list_objects(&self, to: &Destination, query: &ListPeer) -> Result<PeerPage, PeerError> {
        let (remote, bucket) = self.bucket(to)?;
        let mut pairs = vec![("list-type", "2"), ("encoding-type", "url"), ("max-keys", PAGE)];
        if !query.prefix.is_empty() {
            pairs.push(("prefix", &query.prefix));
        }
        if let Some((key, _)) = &query.after {
            pairs.push(("start-after", key));
        }
        let page = documents::objects(&self.document(&remote, bucket, &pairs).await?).map_err(nonsense)?;
        let entries: Vec<_> = page.entries.into_iter().map(entry).collect();
        // Tokens end with the connection that gave them on some services; keys do not.
        let last = entries.last().filter(|_| page.next.is_some());
        if page.next.is_some() && last.is_none() {
            return Err(nonsense("a page of a listing is empty, and not the last"));
        }
        Ok(PeerPage { next: last.map(|last| (last.key.clone(), None)), entries })
    }

    async fn document(&self, remote: &Remote, bucket: &str, query: &[(&str, &str)]) -> Result<Bytes, PeerError> {
        let place = Place::Bucket(bucket);
        let ask = Ask { method: Method::GET, place, query, headers: Vec::new(), payload: Payload::Empty };
        Ok(self.client.send(remote, ask).await?.body)
    }
}

impl Peer for HttpPeer {
    fn handshake<'a>(&'a self, to: &'a Destination) -> PeerFuture<'a, Handshake> {
        Box::pin(self.hand_shake(to))
    }

    fn put<'a>(&'a self, to: &'a Destination, object: &'a Outgoing) -> PeerFuture<'a, Applied> {
        Box::pin(object::put(self, to, object))
    }

    fn put_together<'a>(
        &'a self,
        to: &'a Destination,
        objects: &'a [Outgoing],
    ) -> PeerFuture<'a, Vec<Result<Applied, PeerError>>> {
        Box::pin(bundle::put(self, to, objects))
    }

    fn change_tags<'a>(&'a self, to: &'a Destination, object: &'a Outgoing) -> PeerFuture<'a, Applied> {
        let document = tags_document(&object.object.attributes.tags, to.node().is_some());
        Box::pin(async move { Ok(applied(&self.change(to, object, "tagging", document).await?)) })
    }

    fn change_lock<'a>(&'a self, to: &'a Destination, object: &'a Outgoing) -> PeerFuture<'a, Applied> {
        Box::pin(self.change_retention_and_hold(to, object))
    }

    fn delete<'a>(&'a self, to: &'a Destination, deletion: &'a Deletion) -> PeerFuture<'a, Applied> {
        Box::pin(self.remove(to, deletion))
    }

    fn list<'a>(&'a self, to: &'a Destination, query: &'a ListPeer) -> PeerFuture<'a, PeerPage> {
        match to.node() {
            Some(_) => Box::pin(self.list_versions(to, query)),
            None => Box::pin(self.list_objects(to, query)),
        }
    }
}

/// The document of tags. Other services are told to delete them where there are none: not all take an empty set. A node is sent that: deleting
/// would take another permission.
fn tags_document(tags: &[Tag], is_node: bool) -> Option<String> {
    (is_node || !tags.is_empty()).then(|| write_tagging(tags))
}

/// The version that a request names: only a node that takes versions as they are has this one.
fn addressed(to: &Destination, version: VersionId) -> Option<String> {
    to.takes_replicas().then(|| version.to_string())
}

/// The headers that tell a node where a change comes from.
pub(super) fn told(to: &Destination, replica: Option<&Replica>) -> Vec<(String, String)> {
    let replica = replica.filter(|_| to.node().is_some());
    let headers = replica.map(|replica| replica::describe(replica, to.takes_replicas())).unwrap_or_default();
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What a node says became of a change; other services always take it.
pub(super) fn applied(reply: &Reply) -> Applied {
    applied_of(reply.header(APPLIED).unwrap_or_default())
}

/// The same by its name.
pub(super) fn applied_of(name: &str) -> Applied {
    let known = [Applied::Known, Applied::Lost].into_iter().find(|applied| applied.name() == name);
    known.unwrap_or(Applied::Applied)
}

fn entry(listed: documents::ListedObject) -> PeerEntry {
    let etag = || match ETag::parse(&listed.etag) {
        Ok(etag) => PeerETag::Known(etag),
        Err(_) => PeerETag::Other(listed.etag.clone()),
    };
    let version_id = listed.version_id.as_deref().and_then(|version| VersionId::parse(version).ok());
    PeerEntry {
        beside: listed.beside.as_deref().and_then(Beside::parse),
        version_id: version_id.unwrap_or(VersionId::Null),
        is_latest: listed.is_latest,
        object: (!listed.is_marker).then(|| (etag(), listed.size)),
        key: listed.key,
    }
}

/// The failure of an answer that makes no sense: it may come whole the next time.
pub(super) fn nonsense(error: impl std::fmt::Display) -> PeerError {
    PeerError::new(PeerErrorKind::Unreachable, format!("the answer makes no sense: {error}"))
}

impl From<Failure> for PeerError {
    fn from(failure: Failure) -> Self {
        let text = failure.to_string();
        let kind = match failure {
            Failure::Unreachable(_) | Failure::Nonsense(_) => PeerErrorKind::Unreachable,
            Failure::Ours(_) => PeerErrorKind::Ours,
            Failure::Impossible(_) => PeerErrorKind::Permanent,
            Failure::Refused { status, refusal, retry_after } => match (status, refusal.code.as_str()) {
                (429 | 503, _) | (_, "SlowDown" | "ServiceUnavailable" | "ThrottlingException") => {
                    PeerErrorKind::Throttled { retry_after }
                }
                // The time there is known by now. And what stands in front of a target says that it does not reach it.
                (_, "RequestTimeTooSkewed") | (502 | 504, _) => PeerErrorKind::Unreachable,
                _ => PeerErrorKind::Refused { status, code: refusal.code },
            },
        };
        Self::new(kind, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_services_are_told_to_delete_tags_that_are_none() {
        let tags = [("k".to_owned(), "v".to_owned())];
        assert_eq!(tags_document(&[], false), None);
        assert_eq!(tags_document(&[], true), Some(write_tagging(&[])));
        assert_eq!(tags_document(&tags, false), Some(write_tagging(&tags)));
    }
}
