//! What surrounds a request whatever becomes of it: the cross-origin headers of its answer, how errors are told, what the
//! bucket's access log will say of it, and who asked for what, should it be refused.

use std::borrow::Cow;
use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

use actix_http::RequestHead;
use actix_web::HttpResponse;
use actix_web::http::header::HeaderMap;
use myfsio_actors::iam::Principal;
use myfsio_actors::names::{BucketName, ObjectKey, Stamp};
use myfsio_actors::storage::Bucket;

use super::accept::prefers_xml;
use super::auth::Mechanism;
use super::cors;
use super::error::S3Error;
use super::operation::Operation;
use super::preflight::check_head_size;
use super::respond::RequestId;
use super::route::Address;
use crate::access_log::AccessNote;
use crate::decisions::Circumstances;
use crate::node::Node;
use crate::requests::{RequestRecord, Stopwatch};

/// What stands for a status where the client left before there was one, as other servers have it.
const CLIENT_GONE: u16 = 499;
/// Characters of a path that are kept.
const PATH_CHARS_MAX: usize = 256;

/// What surrounds one request.
#[derive(Debug, Default)]
pub struct Exchange {
    cors: cors::Headers,
    /// What the access log will say; its last holder writes it down.
    pub note: AccessNote,
    /// Whether errors are told as JSON.
    pub tells_json: bool,
    /// Where its time goes.
    pub watch: Stopwatch,
    bucket: Option<Arc<Bucket>>,
    key: Option<ObjectKey>,
    asked: RefCell<Asked>,
}

/// What became known of a request on its way.
#[derive(Debug, Default)]
struct Asked {
    /// What is asked for when it is no operation of the S3 API.
    interface: Option<&'static str>,
    path: Option<String>,
    status: u16,
    code: Option<&'static str>,
    operation: Option<Operation>,
    principal: Option<Arc<Principal>>,
    address: Option<IpAddr>,
}

impl Exchange {
    /// Begins the exchange of a request of the S3 API.
    pub fn begin(node: &Node, head: &RequestHead, address: &Address, request_id: RequestId) -> Self {
        match address {
            Address::Bucket(bucket) => Self::with_bucket(node, head, bucket, None, request_id),
            Address::Document(_, bucket) => {
                Self { tells_json: asks_json(head), ..Self::with_bucket(node, head, bucket, None, request_id) }
            }
            Address::Object(bucket, key) => Self::with_bucket(node, head, bucket, Some(key), request_id),
            Address::Service | Address::ObjectLambda | Address::Control(_) => Self::default(),
        }
    }

    /// Begins the exchange of a request of a route that speaks JSON, unless the client would rather read XML.
    pub fn of_json_route(head: &RequestHead) -> Self {
        Self { tells_json: asks_json(head), ..Self::default() }
    }

    /// Begins the exchange of a request that concerns a bucket, which may not be there.
    pub fn with_bucket(
        node: &Node,
        head: &RequestHead,
        bucket: &BucketName,
        key: Option<&ObjectKey>,
        request_id: RequestId,
    ) -> Self {
        let Ok(bucket) = node.storage.bucket(bucket) else { return Self::default() };
        let cors = match &bucket.config.cors {
            // Before the request is authenticated, no more is matched than a head may hold.
            Some(cors) if check_head_size(head).is_ok() => cors::headers_for(cors, head.method.as_str(), &head.headers),
            _ => Vec::new(),
        };
        let note = match bucket.config.logging {
            Some(_) => AccessNote::begin(node, head, Arc::clone(&bucket), key, request_id),
            None => AccessNote::default(),
        };
        Self { cors, note, bucket: Some(bucket), key: key.cloned(), ..Self::default() }
    }

    /// Notes that it is asked of another interface than the S3 API.
    pub fn asked_of(&self, interface: &'static str) {
        self.asked.borrow_mut().interface = Some(interface);
    }

    /// Notes the path of a request that concerns no bucket by itself.
    pub fn asked_at(&self, path: &str) {
        self.asked.borrow_mut().path = self.bucket.is_none().then(|| path.chars().take(PATH_CHARS_MAX).collect());
    }

    /// Notes that it is let through, and carried out without an answer of its own.
    pub fn permitted(&self) {
        self.asked.borrow_mut().status = 200;
    }

    /// Notes the answer.
    pub fn answered(&self, response: &HttpResponse) {
        self.note.answered(response);
        self.watch.answered();
        self.asked.borrow_mut().status = response.status().as_u16();
    }

    /// Notes what is asked for.
    pub fn asked_for(&self, operation: Operation, headers: &HeaderMap) {
        self.note.asked_for(operation, headers);
        self.asked.borrow_mut().operation = Some(operation);
    }

    /// Notes the client's address.
    pub fn came_from(&self, address: Option<IpAddr>) {
        self.note.came_from(address);
        self.asked.borrow_mut().address = address;
    }

    /// Notes who asks, and how that was proven.
    pub fn asked_by(&self, principal: Option<&Arc<Principal>>, mechanism: Mechanism) {
        self.note.asked_by(principal.map(|principal| &**principal), mechanism);
        self.asked.borrow_mut().principal = principal.cloned();
        self.watch.authenticated();
    }

    /// Keeps a refusal for those who may ask about it. `path` is that of the request.
    pub fn refused(&self, node: &Node, request_id: RequestId, error: &S3Error, path: &str) {
        let code = error.code().name();
        self.note.refused(code);
        {
            let mut asked = self.asked.borrow_mut();
            asked.code = Some(code);
            asked.status = error.code().status().as_u16();
            asked.path = self.bucket.is_none().then(|| path.chars().take(PATH_CHARS_MAX).collect());
        }
        if !node.decisions.is_on() {
            return;
        }
        let asked = self.asked.borrow();
        let resource = match (&self.bucket, &self.key) {
            (Some(bucket), Some(key)) => Cow::Owned(format!("arn:aws:s3:::{}/{}", bucket.name, key.as_str())),
            (Some(bucket), None) => Cow::Owned(format!("arn:aws:s3:::{}", bucket.name)),
            (None, _) => Cow::Borrowed(path),
        };
        let circumstances = Circumstances {
            address: asked.address,
            principal: asked.principal.as_deref(),
            action: asked.operation.map(|operation| operation.action(false)),
            resource,
            bucket: self.bucket.as_ref().map(|bucket| (bucket.name.as_str(), &bucket.owner)),
        };
        node.decisions.refused(request_id, node.clock.now(), error, &circumstances);
    }

    /// What there is to tell of the request when its last byte is sent.
    pub fn into_record(self, id: RequestId, ended: Stamp, received: u64, sent: u64) -> RequestRecord {
        let times = self.watch.read();
        let asked = self.asked.into_inner();
        let operation = asked.interface.or_else(|| asked.operation.map(Operation::name)).unwrap_or("Unknown");
        RequestRecord {
            id,
            ended,
            operation,
            bucket: self.bucket,
            key: self.key,
            path: asked.path,
            principal: asked.principal,
            address: asked.address,
            status: if asked.status == 0 { CLIENT_GONE } else { asked.status },
            code: asked.code,
            received,
            sent,
            times,
            trace: None,
        }
    }

    /// Adds the cross-origin headers; a preflight has its own.
    pub fn add_headers(&self, headers: &mut HeaderMap) {
        if headers.contains_key("access-control-allow-origin") {
            return;
        }
        for (name, value) in &self.cors {
            headers.insert(name.clone(), value.clone());
        }
    }
}

/// Whether the client of a JSON route takes errors as JSON. No more is read of what it likes than a head may hold.
fn asks_json(head: &RequestHead) -> bool {
    check_head_size(head).is_err() || !prefers_xml(&head.headers)
}
