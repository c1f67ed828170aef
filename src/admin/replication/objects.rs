//! Small objects that another node sends together. Each is a request of its own, in the name of whoever sends them: what it takes, what
//! it meets and what is told of it is as if it had come alone.

use std::sync::Arc;

use actix_http::RequestHead;
use actix_web::http::{Method, StatusCode};
use bytes::Bytes;
use futures_util::future::join_all;
use myfsio_actors::names::{BucketName, ObjectKey};
use serde_json::json;

use crate::node::Node;
use crate::replication::together::{self, Head, Outcome};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight::Caller;
use crate::s3::replica::APPLIED;
use crate::s3::respond::{Answer, json as answer_json, no_store};
use crate::within::{Asker, Refusal, Whence, Wish, body};

/// Stores objects in the bucket that the query names, and tells of each what became of it. Errs: AccessDenied without credentials or with
/// temporary ones, which nothing of the node's own can ask with; InvalidBucketName, InvalidArgument.
pub(super) async fn put(node: &Arc<Node>, head: &RequestHead, caller: &Caller, objects: &Bytes) -> Answer {
    let principal = caller.principal().filter(|principal| principal.session.is_none());
    let principal = principal.ok_or_else(|| S3Error::from(ErrorCode::AccessDenied))?;
    let name = caller.query().get("bucket").unwrap_or_default();
    let bucket = BucketName::parse(name).map_err(|_| S3Error::from(ErrorCode::InvalidBucketName))?;
    let objects = together::parse(objects).map_err(|why| S3Error::with_message(ErrorCode::InvalidArgument, why))?;
    let asker = Asker::recall(node, &principal.access_key, &Whence::of(head)).await.map_err(Refusal::into_s3)?;
    let outcomes = join_all(objects.into_iter().map(|(head, bytes)| put_one(&asker, &bucket, head, bytes))).await;
    Ok(no_store(answer_json(StatusCode::OK, &json!(outcomes))))
}

async fn put_one(asker: &Asker, bucket: &BucketName, head: Head, bytes: Bytes) -> Outcome {
    let Ok(key) = ObjectKey::parse(head.key.as_bytes()) else {
        return refused(Refusal::invalid("This is no key."));
    };
    let length = head.size.to_string();
    let mut headers = vec![("content-length", length.as_str())];
    headers.extend(head.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let (bucket, key) = (Some(bucket), Some(&key));
    let wish =
        Wish { method: Method::PUT, bucket, key, headers: &headers, payload: Some(body(bytes)), ..Wish::default() };
    let response = match asker.s3(wish).await {
        Ok(response) => response,
        Err(refusal) => return refused(refusal),
    };
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Outcome {
        status: response.status().as_u16(),
        etag: header("etag"),
        applied: header(APPLIED),
        encryption: header("x-amz-server-side-encryption"),
        ..Outcome::default()
    }
}

fn refused(refusal: Refusal) -> Outcome {
    Outcome {
        status: refusal.status.as_u16(),
        code: Some(refusal.code.to_owned()),
        message: Some(refusal.message),
        ..Outcome::default()
    }
}
