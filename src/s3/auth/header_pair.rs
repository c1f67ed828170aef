//! The header pair `X-Access-Key` and `X-Secret-Key`: access key id and secret as they are.
//!
//! The secret is compared, and wrong ones are counted, by the keeper of the keys; it appears in no error.

use myfsio_actors::names::AccessKeyId;

use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::request_head::RequestHead;

/// The pair of a request that carries one of the two. Errs: AccessDenied when the other is missing or one is given twice;
/// InvalidAccessKeyId when no key can have this id.
pub fn find<'a>(head: &RequestHead<'a>) -> Result<(AccessKeyId, &'a str), S3Error> {
    let count = |name: &str| head.headers.get_all(name).count();
    match (count("x-access-key"), count("x-secret-key")) {
        (1, 1) => {}
        _ => return Err(incomplete()),
    }
    let (Some(id), Some(secret)) = (head.header("x-access-key"), head.header("x-secret-key")) else {
        return Err(incomplete());
    };
    let unknown = |_| S3Error::new(ErrorCode::InvalidAccessKeyId).field("AWSAccessKeyId", id);
    Ok((AccessKeyId::parse(id).map_err(unknown)?, secret))
}

fn incomplete() -> S3Error {
    let message = "X-Access-Key and X-Secret-Key are given together, each once.";
    S3Error::with_message(ErrorCode::AccessDenied, message)
}
