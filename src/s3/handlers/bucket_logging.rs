//! Where a bucket's access logs go: read and put. They are written by [`access_log`](crate::access_log).

use actix_web::http::StatusCode;
use myfsio_actors::bucket_config::{ConfigChange, Logging, ObjectOwnership};
use myfsio_actors::names::BucketName;

use super::bucket_config::{configure, document};
use crate::access_log::delivery_allowed;
use crate::s3::context::Call;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::respond::{Answer, empty, xml};
use crate::s3::xml::logging::{LOGGING_BYTES_MAX, bucket_logging_status, write_logging};

/// S3 API Reference, GetBucketLogging: empty while it is off.
pub fn get_bucket_logging(call: &Call) -> Answer {
    Ok(xml(StatusCode::OK, write_logging(call.bucket()?.config.logging.as_ref())))
}

/// S3 API Reference, PutBucketLogging. Errs: MalformedXML, InvalidArgument, InvalidTargetBucketForLogging.
pub async fn put_bucket_logging(mut call: Call) -> Answer {
    let logging = bucket_logging_status(&document(&mut call, LOGGING_BYTES_MAX).await?)?;
    if let Some(logging) = &logging {
        check_target(&call, logging)?;
    }
    configure(&call, ConfigChange::Logging(logging)).await?;
    Ok(empty(StatusCode::OK))
}

fn check_target(call: &Call, logging: &Logging) -> Result<(), S3Error> {
    let refused = |message: &'static str| {
        S3Error::with_message(ErrorCode::InvalidTargetBucketForLogging, message)
            .field("TargetBucket", logging.target_bucket.as_str())
    };
    let target = BucketName::parse(&logging.target_bucket).ok().and_then(|name| call.storage().bucket(&name).ok());
    let target = target.ok_or_else(|| refused("The target bucket for logging does not exist"))?;
    if !logging.target_grants.is_empty() && target.config.ownership == Some(ObjectOwnership::BucketOwnerEnforced) {
        let message =
            "Target grants are not supported for a target bucket whose Object Ownership is BucketOwnerEnforced.";
        return Err(S3Error::invalid_argument("TargetGrants", "not null", message));
    }
    let source = call.bucket()?;
    delivery_allowed(&call.node, &source, &target, logging, call.received).map_err(refused)
}
