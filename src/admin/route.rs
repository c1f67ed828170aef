//! Which of the node's own routes a request asks for. Pure.

use actix_web::http::Method;
use myfsio_actors::names::BucketName;

use crate::s3::error::{ErrorCode, S3Error};

/// A route below `/_myfsio`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminRoute {
    /// `POST /_myfsio/buckets/<bucket>/adopt`
    AdoptFiles(BucketName),
}

/// Finds the route of a path that begins with `/_myfsio`. Errs: NotImplemented, MethodNotAllowed, InvalidBucketName.
pub fn find(method: &Method, path: &str) -> Result<AdminRoute, S3Error> {
    let segments: Vec<_> = path.trim_start_matches('/').split('/').skip(1).collect();
    match segments[..] {
        ["buckets", bucket, "adopt"] if method == Method::POST => {
            let bucket = BucketName::parse(bucket).map_err(|_| ErrorCode::InvalidBucketName)?;
            Ok(AdminRoute::AdoptFiles(bucket))
        }
        ["buckets", _, "adopt"] => Err(ErrorCode::MethodNotAllowed.into()),
        _ => Err(S3Error::with_message(ErrorCode::NotImplemented, "This route is not implemented.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let bucket = BucketName::parse("photos").unwrap();
        let adopt = "/_myfsio/buckets/photos/adopt";
        assert_eq!(find(&Method::POST, adopt).unwrap(), AdminRoute::AdoptFiles(bucket));
        let code = |method, path| find(&method, path).unwrap_err().code();
        assert_eq!(code(Method::GET, adopt), ErrorCode::MethodNotAllowed);
        assert_eq!(code(Method::POST, "/_myfsio/buckets/NO/adopt"), ErrorCode::InvalidBucketName);
        for path in ["/_myfsio", "/_myfsio/", "/_myfsio/buckets/photos", "/_myfsio/buckets/photos/adopt/x"] {
            assert_eq!(code(Method::POST, path), ErrorCode::NotImplemented, "{path}");
        }
    }
}
