//! One request that ended.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use myfsio_actors::iam::Principal;
use myfsio_actors::names::{ObjectKey, Stamp};
use myfsio_actors::storage::Bucket;
use serde_json::{Value, json};

use super::clock::Times;
use super::traffic::Traffic;
use crate::s3::respond::RequestId;
use crate::s3::xml::write::time_into;
use crate::spans::TraceContext;

/// What a request was, and what became of it.
#[derive(Debug, Clone)]
pub struct RequestRecord {
    /// Its id.
    pub id: RequestId,
    /// When it ended.
    pub ended: Stamp,
    /// What was asked for: an operation of the S3 API, or the name of another interface.
    pub operation: &'static str,
    /// The bucket, if it is there.
    pub bucket: Option<Arc<Bucket>>,
    /// The key.
    pub key: Option<ObjectKey>,
    /// The path, of requests that concern no bucket that is there.
    pub path: Option<String>,
    /// Who asked.
    pub principal: Option<Arc<Principal>>,
    /// From where.
    pub address: Option<IpAddr>,
    /// HTTP status of the answer.
    pub status: u16,
    /// Code of the error.
    pub code: Option<&'static str>,
    /// Bytes of the request's body that were read.
    pub received: u64,
    /// Bytes of the answer's body that were handed to the connection.
    pub sent: u64,
    /// Where its time went.
    pub times: Times,
    /// The trace that it belongs to, where requests become traces.
    pub trace: Option<TraceContext>,
}

impl Default for RequestRecord {
    fn default() -> Self {
        Self {
            id: RequestId::default(),
            ended: Stamp(0),
            operation: "Unknown",
            bucket: None,
            key: None,
            path: None,
            principal: None,
            address: None,
            status: 0,
            code: None,
            received: 0,
            sent: 0,
            times: Times::default(),
            trace: None,
        }
    }
}

impl RequestRecord {
    /// What it was for its bucket; none where that is not there.
    pub fn traffic(&self) -> Option<(&str, Traffic)> {
        let errors = u64::from(self.status >= 400);
        let bucket = self.bucket.as_ref()?;
        Some((bucket.name.as_str(), Traffic { requests: 1, errors, received: self.received, sent: self.sent }))
    }

    /// How the one who asked is called: a user's name, else its access key.
    pub fn user(&self) -> Option<&str> {
        self.principal.as_ref().map(|principal| match principal.display_name.as_str() {
            "" => principal.access_key.as_str(),
            name => name,
        })
    }
}

/// As routes tell it. Times are in milliseconds.
pub fn json(record: &RequestRecord) -> Value {
    let millis = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    let mut ended = String::new();
    time_into(&mut ended, record.ended);
    let times = &record.times;
    json!({
        "request_id": record.id.to_string(),
        "time": ended,
        "operation": record.operation,
        "bucket": record.bucket.as_ref().map(|bucket| bucket.name.as_str()),
        "key": record.key.as_ref().map(ObjectKey::as_str),
        "path": record.path,
        "user": record.user(),
        "access_key": record.principal.as_ref().map(|principal| principal.access_key.as_str()),
        "address": record.address,
        "trace_id": record.trace.map(|trace| trace.id.to_string()),
        "status": record.status,
        "code": record.code,
        "bytes_received": record.received,
        "bytes_sent": record.sent,
        "milliseconds": millis(times.total()),
        "phases": {
            "auth": millis(times.auth),
            "policy": millis(times.policy),
            "receive": millis(times.receive),
            "work": millis(times.work),
            "send": millis(times.send),
        },
    })
}
