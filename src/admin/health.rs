//! `GET /healthz`: whether the node serves, for supervisors and load balancers. Never authenticated, never queued.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use serde_json::json;

/// The answer: 200 while the node acknowledges writes, else 503 with the reason.
pub fn health(failure: Option<String>) -> HttpResponse {
    let version = env!("CARGO_PKG_VERSION");
    let (status, body) = match failure {
        None => (StatusCode::OK, json!({ "status": "ok", "version": version })),
        Some(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "failed", "version": version, "reason": reason }))
        }
    };
    HttpResponse::build(status).insert_header((CONTENT_TYPE, "application/json")).body(body.to_string())
}
