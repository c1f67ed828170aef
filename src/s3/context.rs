//! What a handler gets: one request, routed, authenticated and authorised on its own resource, with its body still
//! unread.

use std::cell::{Cell, OnceCell};
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use myfsio_actors::audit::ChangeOrigin;
use myfsio_actors::names::{BucketName, CanonicalId, ObjectKey, Stamp, VersionId};
use myfsio_actors::storage::{Bucket, Cause, Object, Origin, PeekedObject, StorageClient, WriteConditions};

use tokio::sync::OwnedSemaphorePermit;

use super::authorize::{self, Authenticated, Further};
use super::body::RequestBody;
use super::checksum::BodyChecks;
use super::error::{ErrorCode, S3Error};
use super::operation::Operation;
use super::query::Query;
use super::requester_pays;
use super::respond::RequestId;
use crate::access_log::AccessNote;
use crate::node::Node;

/// What a change is expected to find, as somebody saw it: else it is refused when it is committed. No header and no query says so, only
/// who asks from within, such as a form of the console.
#[derive(Debug, Clone)]
pub enum Expected {
    /// This object, and what changes of it as it is here.
    Object(Arc<Object>),
    /// What changes of the bucket as it is here.
    Bucket(Arc<Bucket>),
}

/// One request on its way to a handler.
#[derive(Debug)]
pub struct Call {
    /// The node that serves it.
    pub node: Arc<Node>,
    /// What it asks for.
    pub operation: Operation,
    /// The bucket's name; none for the service.
    pub bucket_name: Option<BucketName>,
    /// The bucket, as looked up when the request was authorised; none for the service and for CreateBucket.
    pub bucket: Option<Arc<Bucket>>,
    /// The decoded key; none for the service and buckets.
    pub key: Option<ObjectKey>,
    /// The decoded query.
    pub query: Query,
    /// The headers as received.
    pub headers: HeaderMap,
    /// The method.
    pub method: Method,
    /// The path as received.
    pub raw_path: String,
    /// Who asks.
    pub auth: Authenticated,
    /// Names the request in responses and logs.
    pub request_id: RequestId,
    /// Its place among the requests under way: work that goes on without its client keeps it.
    pub place: Arc<OwnedSemaphorePermit>,
    /// When its head had arrived.
    pub received: Stamp,
    /// Address of the client, as far as it is known.
    pub peer: Option<IpAddr>,
    /// Whether it came over TLS.
    pub secure: bool,
    /// What the bucket's access log will say of it.
    pub note: AccessNote,
    /// Its body.
    pub body: RequestBody,
    /// Storage, asked on behalf of the caller; made when it matters.
    pub on_behalf: OnceCell<StorageClient>,
    /// The object that the permission was asked for, where that was looked up.
    pub peeked: Option<PeekedObject>,
    /// What it expects to find; none of every request of a client.
    pub expected: Option<Expected>,
    /// How many permissions were refused to it on its way.
    pub refusals: Cell<usize>,
}

impl Call {
    /// Storage. Where changes are told to somebody, it knows who asks for them.
    pub fn storage(&self) -> &StorageClient {
        let storage = &self.node.storage;
        match &self.bucket {
            Some(bucket) if !self.is_read() && storage.tells(bucket) => {
                self.on_behalf.get_or_init(|| storage.on_behalf(Arc::new(self.origin())))
            }
            _ => storage,
        }
    }

    fn is_read(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    /// The request as events tell of it.
    fn origin(&self) -> Origin {
        let cause = match self.operation {
            Operation::PostObject => Cause::Post,
            Operation::CopyObject => Cause::Copy,
            _ => Cause::Request,
        };
        let principal = self.auth.principal.as_ref();
        Origin {
            cause,
            principal: principal.map_or_else(|| "Anonymous".to_owned(), |user| format!("AWS:{}", user.unique_id())),
            source_ip: self.peer.map(|address| address.to_canonical().to_string()).unwrap_or_default(),
            request_id: self.request_id.to_string(),
            host_id: self.node.host_id.clone(),
        }
    }

    /// The request as the audit log tells of it.
    pub fn changed_by(&self) -> ChangeOrigin {
        authorize::changed_by(self.auth.principal.as_deref(), self.request_id, self.peer)
    }

    /// Makes somebody else the caller: the one whom the body names.
    pub fn set_caller(&mut self, caller: Authenticated) {
        self.auth = caller;
        self.on_behalf = OnceCell::new();
    }

    /// The bucket that the request addresses. Errs: NoSuchBucket.
    pub fn bucket(&self) -> Result<Arc<Bucket>, S3Error> {
        self.bucket.clone().ok_or_else(|| ErrorCode::NoSuchBucket.into())
    }

    /// The key that the request addresses. Errs: InvalidRequest when there is none.
    pub fn key(&self) -> Result<ObjectKey, S3Error> {
        self.key
            .clone()
            .ok_or_else(|| S3Error::with_message(ErrorCode::InvalidRequest, "The request addresses no object."))
    }

    /// `versionId` of the query. Errs: InvalidArgument when it is empty or no version id of this node.
    pub fn version(&self) -> Result<Option<VersionId>, S3Error> {
        self.query.get("versionId").map(parse_version).transpose()
    }

    /// Asks for a permission on a further resource: a copy source, or a key of a batch. Errs: AccessDenied.
    pub fn authorize(&self, action: &str, bucket: &Bucket, key: Option<&str>) -> Result<(), S3Error> {
        self.authorize_further(action, bucket, Further { key, ..Further::default() })
    }

    /// The same with more to say about the resource.
    pub fn authorize_further(&self, action: &str, bucket: &Bucket, more: Further<'_>) -> Result<(), S3Error> {
        authorize::further(self, action, bucket, more)
    }

    /// Whether the caller would see the key in a listing of the bucket: decides between 404 and 403 for a missing one.
    pub fn would_list(&self, bucket: &Bucket, key: &ObjectKey) -> bool {
        authorize::would_list(self, bucket, key.as_str())
    }

    /// Whether the caller is charged for a request to this bucket. Errs: AccessDenied when it does not agree to be.
    pub fn charged(&self, bucket: &Bucket) -> Result<bool, S3Error> {
        requester_pays::charged(&self.node, self.auth.principal.as_deref(), bucket, &authorize::facts(self))
    }

    /// Answers of each bucket whether it belongs in the caller's ListBuckets.
    pub fn sees_bucket(&self) -> impl Fn(&Bucket) -> bool {
        authorize::sees_bucket(self)
    }

    /// Canonical id that the caller's new objects and buckets belong to; the anonymous one without credentials.
    pub fn owner_id(&self) -> CanonicalId {
        authorize::owner_id(&self.auth)
    }

    /// Display name of an owner; empty when unknown.
    pub fn owner_name(&self, owner: &CanonicalId) -> String {
        authorize::owner_name(&self.node, owner)
    }

    /// Whether the request carries no credentials.
    pub fn is_anonymous(&self) -> bool {
        authorize::is_anonymous(&self.auth)
    }

    /// What the request says about the integrity of its body, from its headers. Errs: InvalidDigest, BadDigest,
    /// InvalidRequest.
    pub fn body_checks(&self) -> Result<BodyChecks, S3Error> {
        BodyChecks::parse(&self.headers, authorize::content_sha256(&self.auth))
    }

    /// `If-Match` and `If-None-Match` of a write. Errs: InvalidArgument when malformed.
    pub fn write_conditions(&self) -> Result<WriteConditions, S3Error> {
        super::conditional::write_conditions(&self.headers)
    }
}

/// Parses a version id as clients send it. Errs: InvalidArgument.
pub fn parse_version(text: &str) -> Result<VersionId, S3Error> {
    VersionId::parse(text).map_err(|_| S3Error::invalid_argument("versionId", text, "Invalid version id specified"))
}
