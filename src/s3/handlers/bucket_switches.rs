//! Request payment and transfer acceleration of a bucket: documents of one word. Who pays is asked in
//! [`requester_pays`](crate::s3::requester_pays).

use actix_web::http::StatusCode;
use myfsio_actors::bucket_config::ConfigChange;

use super::bucket_config::{configure, document};
use crate::s3::context::Call;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::respond::{Answer, empty, xml};
use crate::s3::xml::switches::{accelerate, request_payment, write_accelerate, write_request_payment};

/// Largest document in bytes.
const SWITCH_BYTES_MAX: usize = 4 * 1024;

/// S3 API Reference, GetBucketRequestPayment.
pub fn get_bucket_request_payment(call: &Call) -> Answer {
    Ok(xml(StatusCode::OK, write_request_payment(call.bucket()?.config.requester_pays)))
}

/// S3 API Reference, PutBucketRequestPayment. Errs: MalformedXML.
pub async fn put_bucket_request_payment(mut call: Call) -> Answer {
    let requester_pays = request_payment(&document(&mut call, SWITCH_BYTES_MAX).await?)?;
    configure(&call, ConfigChange::RequesterPays(requester_pays)).await?;
    Ok(empty(StatusCode::OK))
}

/// S3 API Reference, GetBucketAccelerateConfiguration.
pub fn get_bucket_accelerate(call: &Call) -> Answer {
    Ok(xml(StatusCode::OK, write_accelerate(call.bucket()?.config.accelerate)))
}

/// S3 API Reference, PutBucketAccelerateConfiguration: recorded, since there is one endpoint. Errs: MalformedXML,
/// InvalidRequest for a name with dots, which no accelerated host could carry.
pub async fn put_bucket_accelerate(mut call: Call) -> Answer {
    let enabled = accelerate(&document(&mut call, SWITCH_BYTES_MAX).await?)?;
    if call.bucket()?.name.as_str().contains('.') {
        return Err(S3Error::with_message(
            ErrorCode::InvalidRequest,
            "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names",
        ));
    }
    configure(&call, ConfigChange::Accelerate(enabled)).await?;
    Ok(empty(StatusCode::OK))
}
