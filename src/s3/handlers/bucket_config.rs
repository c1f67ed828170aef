//! What the handlers of bucket configurations share: reading the document, making the change, answering.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use bytes::Bytes;
use myfsio_actors::bucket_config::ConfigChange;
use myfsio_actors::storage::{Bucket, BucketChange};

use crate::s3::context::Call;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::respond::xml;

/// The request's document. Errs: InvalidRequest without any digest of it where S3 asks for one, MissingRequestBodyError when
/// there is none, and those of [`RequestBody::collect`](crate::s3::body::RequestBody::collect).
pub async fn document(call: &mut Call, bytes_max: usize) -> Result<Bytes, S3Error> {
    let document = call.body.collect(bytes_max).await?;
    if document.is_empty() {
        return Err(ErrorCode::MissingRequestBodyError.into());
    }
    Ok(document)
}

/// The same for operations that S3 takes only with a digest of the document: `Content-MD5` or a checksum.
pub async fn checked_document(call: &mut Call, bytes_max: usize) -> Result<Bytes, S3Error> {
    if !call.body_checks()?.has_integrity() {
        let message = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*";
        return Err(S3Error::with_message(ErrorCode::InvalidRequest, message));
    }
    document(call, bytes_max).await
}

/// Makes the change. Errs: NoSuchBucket.
pub async fn configure(call: &Call, change: ConfigChange) -> Result<Arc<Bucket>, S3Error> {
    call.configure(BucketChange::Config(change)).await
}

/// A configuration as its document, or the error that says that it was never set.
pub fn told<T>(
    call: &Call,
    configuration: Option<&T>,
    write: impl Fn(&T) -> String,
    unset: ErrorCode,
) -> Result<HttpResponse, S3Error> {
    match configuration {
        Some(configuration) => Ok(xml(StatusCode::OK, write(configuration))),
        None => Err(S3Error::new(unset).field("BucketName", call.bucket()?.name.as_str())),
    }
}
