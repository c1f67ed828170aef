//! A bucket's cross-origin rules: read, put, delete. What they do to requests stands in [`cors`](crate::s3::cors).

use actix_web::http::StatusCode;
use myfsio_actors::bucket_config::ConfigChange;

use super::bucket_config::{checked_document, configure, told};
use crate::s3::context::Call;
use crate::s3::error::ErrorCode;
use crate::s3::respond::{Answer, empty};
use crate::s3::xml::cors::{CORS_BYTES_MAX, cors_configuration, write_cors};

/// S3 API Reference, GetBucketCors. Errs: NoSuchCORSConfiguration.
pub fn get_bucket_cors(call: &Call) -> Answer {
    told(call, call.bucket()?.config.cors.as_ref(), write_cors, ErrorCode::NoSuchCORSConfiguration)
}

/// S3 API Reference, PutBucketCors. Errs: MalformedXML, InvalidRequest.
pub async fn put_bucket_cors(mut call: Call) -> Answer {
    let cors = cors_configuration(&checked_document(&mut call, CORS_BYTES_MAX).await?)?;
    configure(&call, ConfigChange::Cors(Some(cors))).await?;
    Ok(empty(StatusCode::OK))
}

/// S3 API Reference, DeleteBucketCors.
pub async fn delete_bucket_cors(call: Call) -> Answer {
    configure(&call, ConfigChange::Cors(None)).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
