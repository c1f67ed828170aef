//! `GET /healthz`: whether the node serves, for supervisors and load balancers. Never authenticated, never queued.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::json;

use crate::s3::respond;

/// The answer: 503 with the reason when storage has failed; 200 else, but `degraded` while something, such as a full
/// device, keeps files from following what was committed.
pub fn health(failure: Option<String>, trouble: Option<String>) -> HttpResponse {
    let version = env!("CARGO_PKG_VERSION");
    let (status, body) = match (failure, trouble) {
        (None, None) => (StatusCode::OK, json!({ "status": "ok", "version": version })),
        (None, Some(reason)) => (StatusCode::OK, json!({ "status": "degraded", "version": version, "reason": reason })),
        (Some(reason), _) => {
            (StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "failed", "version": version, "reason": reason }))
        }
    };
    respond::json(status, &body)
}
