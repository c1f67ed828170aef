//! Which of the node's own routes a request asks for. Pure.

use actix_web::http::Method;
use myfsio_actors::names::BucketName;

use crate::s3::error::{ErrorCode, S3Error};

/// A route below `/_myfsio`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminRoute {
    /// `POST /_myfsio/buckets/<bucket>/adopt`
    AdoptFiles(BucketName),
    /// `GET /_myfsio/buckets/<bucket>/events`
    BucketEvents(BucketName),
    /// `POST /_myfsio/buckets/<bucket>/events/replay`
    ReplayEvents(BucketName),
    /// `DELETE /_myfsio/buckets/<bucket>/events/dead`
    DiscardEvents(BucketName),
    /// `GET /_myfsio/events`
    ListenToEvents,
}

/// Finds the route of a path that begins with `/_myfsio`. Errs: NotImplemented, MethodNotAllowed, InvalidBucketName.
pub fn find(method: &Method, path: &str) -> Result<AdminRoute, S3Error> {
    let segments: Vec<_> = path.trim_start_matches('/').split('/').skip(1).collect();
    let named = |bucket| BucketName::parse(bucket).map_err(|_| S3Error::from(ErrorCode::InvalidBucketName));
    match (segments.as_slice(), method.as_str()) {
        (["buckets", bucket, "adopt"], "POST") => named(bucket).map(AdminRoute::AdoptFiles),
        (["buckets", bucket, "events"], "GET") => named(bucket).map(AdminRoute::BucketEvents),
        (["buckets", bucket, "events", "replay"], "POST") => named(bucket).map(AdminRoute::ReplayEvents),
        (["buckets", bucket, "events", "dead"], "DELETE") => named(bucket).map(AdminRoute::DiscardEvents),
        (["events"], "GET") => Ok(AdminRoute::ListenToEvents),
        (["buckets", _, "adopt" | "events"] | ["buckets", _, "events", "replay" | "dead"] | ["events"], _) => {
            Err(ErrorCode::MethodNotAllowed.into())
        }
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
