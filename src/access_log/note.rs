//! What is noted of a request on its way, for the access log of its bucket.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_http::RequestHead;
use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody as _};
use actix_web::http::header::HeaderMap;
use myfsio_actors::clock::SharedClock;
use myfsio_actors::iam::Principal;
use myfsio_actors::names::ObjectKey;
use myfsio_actors::storage::Bucket;

use super::AccessLog;
use super::entry::{Entry, without_secrets};
use crate::node::Node;
use crate::s3::auth::Mechanism;
use crate::s3::operation::Operation;
use crate::s3::respond::RequestId;
use crate::tls::{client_suite, client_version};

/// What is noted of one request; nothing where no log is wanted. The last holder writes the line.
#[derive(Debug, Clone, Default)]
pub struct AccessNote(Option<Arc<Noted>>);

#[derive(Debug)]
struct Noted {
    log: Arc<AccessLog>,
    clock: SharedClock,
    bucket: Arc<Bucket>,
    bytes_sent: AtomicU64,
    entry: Mutex<Entry>,
}

impl AccessNote {
    /// Begins the note of a request to a bucket that is logged.
    pub fn begin(
        node: &Node,
        head: &RequestHead,
        bucket: Arc<Bucket>,
        key: Option<&ObjectKey>,
        request_id: RequestId,
    ) -> Self {
        let header = |name: &str| head.headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
        let resource = if key.is_some() { "OBJECT" } else { "BUCKET" };
        let entry = Entry {
            bucket_owner: bucket.owner.as_str().to_owned(),
            bucket: bucket.name.to_string(),
            time: node.clock.now(),
            remote: head.peer_addr.map(|peer| peer.ip()),
            request_id: request_id.to_string(),
            operation: match head.method.as_str() {
                "OPTIONS" => "REST.OPTIONS.PREFLIGHT".to_owned(),
                method => format!("REST.{method}.{resource}"),
            },
            key: key.map(|key| key.as_str().to_owned()),
            request: format!("{} {}", head.method, without_secrets(head.uri.path(), head.uri.query())),
            referer: header("referer"),
            user_agent: header("user-agent"),
            host_id: node.host_id.clone(),
            host: header("host"),
            tls: client_version(&head.headers),
            cipher_suite: client_suite(&head.headers).map(str::to_owned),
            ..Entry::default()
        };
        Self(Some(Arc::new(Noted {
            log: Arc::clone(&node.access_log),
            clock: Arc::clone(&node.clock),
            bucket,
            bytes_sent: AtomicU64::new(0),
            entry: Mutex::new(entry),
        })))
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        if let Some(noted) = &self.0 {
            change(&mut noted.entry());
        }
    }

    /// The client's address, where a proxy tells another than the peer's.
    pub fn came_from(&self, address: Option<std::net::IpAddr>) {
        self.change(|entry| entry.remote = address);
    }

    /// Who asks, and how that was proven.
    pub fn asked_by(&self, principal: Option<&Principal>, mechanism: Mechanism) {
        self.change(|entry| {
            entry.requester = principal.map(|principal| match principal.is_root {
                true => principal.user_id.as_str().to_owned(),
                false => principal.caller_arn(),
            });
            (entry.signature_version, entry.auth_type) = match mechanism {
                Mechanism::SigV4Header => (Some("SigV4"), Some("AuthHeader")),
                Mechanism::SigV2Header => (Some("SigV2"), Some("AuthHeader")),
                Mechanism::SigV4Query => (Some("SigV4"), Some("QueryString")),
                Mechanism::SigV2Query => (Some("SigV2"), Some("QueryString")),
                Mechanism::PostForm | Mechanism::HeaderPair | Mechanism::Anonymous => (None, None),
            };
        });
    }

    /// What is asked for.
    pub fn asked_for(&self, operation: Operation, headers: &HeaderMap) {
        self.change(|entry| {
            entry.operation = operation_name(operation);
            if operation.takes_content() {
                let length = ["x-amz-decoded-content-length", "content-length"]
                    .iter()
                    .find_map(|name| headers.get(*name)?.to_str().ok()?.trim().parse().ok());
                entry.object_size = length;
            }
        });
    }

    /// That it is asked of a website.
    pub fn asked_of_website(&self, method: &str) {
        self.change(|entry| entry.operation = format!("WEBSITE.{method}.OBJECT"));
    }

    /// The key that a form names.
    pub fn names_key(&self, key: &ObjectKey) {
        self.change(|entry| entry.key = Some(key.as_str().to_owned()));
    }

    /// That it is refused.
    pub fn refused(&self, code: &'static str) {
        self.change(|entry| entry.error_code = Some(code));
    }

    /// The answer, before its body is sent.
    pub fn answered(&self, response: &HttpResponse) {
        let Some(noted) = &self.0 else { return };
        let now = noted.clock.now();
        let mut entry = noted.entry();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        entry.status = response.status().as_u16();
        entry.turn_around_millis = Some(now.millis().saturating_sub(entry.time.millis()));
        entry.version_id = header("x-amz-version-id").map(str::to_owned);
        if entry.operation.ends_with(".GET.OBJECT") && response.status().is_success() {
            let whole = header("content-range").and_then(|range| range.rsplit('/').next()?.parse().ok());
            entry.object_size = whole.or(match response.body().size() {
                BodySize::Sized(size) => Some(size),
                BodySize::None => Some(0),
                BodySize::Stream => None,
            });
        }
    }

    /// Bytes of the answer's body that were handed to the connection.
    pub fn sent(&self, bytes: usize) {
        if let Some(noted) = &self.0 {
            noted.bytes_sent.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }
}

impl Noted {
    /// A panic elsewhere leaves fields that are whole.
    fn entry(&self) -> MutexGuard<'_, Entry> {
        self.entry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        let line = {
            let mut entry = self.entry();
            entry.bytes_sent = self.bytes_sent.load(Ordering::Relaxed);
            entry.total_millis = self.clock.now().millis().saturating_sub(entry.time.millis());
            format!("{}\n", *entry)
        };
        let time = self.entry().time;
        self.log.record(&self.bucket, time, &line);
    }
}

/// `REST.<method>.<resource>`, the resource by S3's name for it.
fn operation_name(operation: Operation) -> String {
    let row = operation.row();
    let resource = match operation {
        Operation::CopyObject => return "REST.COPY.OBJECT".to_owned(),
        Operation::UploadPartCopy => return "REST.COPY.PART".to_owned(),
        Operation::UploadPart => "PART",
        Operation::DeleteObjects => "MULTI_OBJECT_DELETE",
        Operation::CreateMultipartUpload | Operation::ListMultipartUploads => "UPLOADS",
        Operation::CompleteMultipartUpload | Operation::AbortMultipartUpload | Operation::ListParts => "UPLOAD",
        Operation::ListObjectVersions => "BUCKETVERSIONS",
        Operation::GetBucketLogging | Operation::PutBucketLogging => "LOGGING_STATUS",
        Operation::GetBucketPolicy | Operation::PutBucketPolicy | Operation::DeleteBucketPolicy => "BUCKETPOLICY",
        Operation::GetObjectTagging | Operation::PutObjectTagging | Operation::DeleteObjectTagging => "OBJECT_TAGGING",
        Operation::GetBucketRequestPayment | Operation::PutBucketRequestPayment => "REQUEST_PAYMENT",
        _ => {
            let mark = row.marks.iter().find_map(|mark| match mark {
                crate::s3::operation::Mark::Query(name) => Some(*name),
                _ => None,
            });
            return match mark {
                Some(mark) => format!("REST.{}.{}", row.method, upper_words(mark)),
                None if operation.scope() == crate::s3::operation::Scope::Object => {
                    format!("REST.{}.OBJECT", row.method)
                }
                None => format!("REST.{}.BUCKET", row.method),
            };
        }
    };
    format!("REST.{}.{resource}", row.method)
}

/// `publicAccessBlock` and `object-lock` as `PUBLIC_ACCESS_BLOCK` and `OBJECT_LOCK`.
fn upper_words(mark: &str) -> String {
    let mut out = String::with_capacity(mark.len() + 4);
    for c in mark.chars() {
        match c {
            '-' => out.push('_'),
            c => {
                if c.is_ascii_uppercase() {
                    out.push('_');
                }
                out.push(c.to_ascii_uppercase());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_have_s3s_names() {
        for (operation, name) in [
            (Operation::GetObject, "REST.GET.OBJECT"),
            (Operation::ListObjectsV2, "REST.GET.BUCKET"),
            (Operation::PutObject, "REST.PUT.OBJECT"),
            (Operation::CopyObject, "REST.COPY.OBJECT"),
            (Operation::DeleteObjects, "REST.POST.MULTI_OBJECT_DELETE"),
            (Operation::UploadPart, "REST.PUT.PART"),
            (Operation::GetBucketAcl, "REST.GET.ACL"),
            (Operation::GetBucketVersioning, "REST.GET.VERSIONING"),
            (Operation::PutPublicAccessBlock, "REST.PUT.PUBLIC_ACCESS_BLOCK"),
            (Operation::GetObjectLockConfiguration, "REST.GET.OBJECT_LOCK"),
            (Operation::HeadBucket, "REST.HEAD.BUCKET"),
        ] {
            assert_eq!(operation_name(operation), name);
        }
    }
}
