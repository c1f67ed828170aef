//! Where a bucket's access logs go: read and put. They are written by [`access_log`](crate::access_log).

use actix_web::http::StatusCode;
use myfsio_actors::bucket_config::{ConfigChange, Logging, ObjectOwnership};
use myfsio_actors::names::BucketName;

use super::bucket_config::{configure, document};
use crate::access_log::delivery_allowed;
use crate::s3::acl::resolve_grants;
use crate::s3::context::Call;
use crate::s3::controls::refuse_public;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::respond::{Answer, empty, xml};
use crate::s3::xml::logging::{AskedLogging, LOGGING_BYTES_MAX, bucket_logging_status, write_logging};

/// S3 API Reference, GetBucketLogging: empty while it is off.
pub fn get_bucket_logging(call: &Call) -> Answer {
    Ok(xml(StatusCode::OK, write_logging(call.bucket()?.config.logging.as_ref())))
}

/// S3 API Reference, PutBucketLogging. Errs: MalformedXML, InvalidTargetBucketForLogging, and those of the target grants.
pub async fn put_bucket_logging(mut call: Call) -> Answer {
    let asked = bucket_logging_status(&document(&mut call, LOGGING_BYTES_MAX).await?)?;
    let logging = asked.map(|asked| checked(&call, asked)).transpose()?;
    configure(&call, ConfigChange::Logging(logging)).await?;
    Ok(empty(StatusCode::OK))
}

fn checked(call: &Call, asked: AskedLogging) -> Result<Logging, S3Error> {
    let AskedLogging { mut logging, grants } = asked;
    let refused = |message: &'static str| {
        S3Error::with_message(ErrorCode::InvalidTargetBucketForLogging, message)
            .field("TargetBucket", logging.target_bucket.as_str())
    };
    let target = BucketName::parse(&logging.target_bucket).ok().and_then(|name| call.storage().bucket(&name).ok());
    let target = target.ok_or_else(|| refused("The target bucket for logging does not exist"))?;
    if !grants.is_empty() && target.config.ownership == Some(ObjectOwnership::BucketOwnerEnforced) {
        return Err(ErrorCode::AccessControlListNotSupported.into());
    }
    let source = call.bucket()?;
    delivery_allowed(&call.node, &source, &target, &logging, call.received).map_err(refused)?;
    let granted = resolve_grants(grants, &call.node.access.iam.directory())?;
    refuse_public(&target, &granted)?;
    logging.target_grants = granted.grants;
    Ok(logging)
}
