//! What the node tells administrators of itself: its settings, and whether it is deployed as it should be.

use actix_web::http::StatusCode;
use serde_json::json;

use crate::node::Node;
use crate::s3::respond::{Answer, json, no_store};
use crate::self_check::{self, Verdict};

/// Every setting with its value and where that came from; secrets are masked.
pub fn settings(node: &Node) -> Answer {
    Ok(no_store(json(StatusCode::OK, &json!({ "settings": node.settings.deployment.told }))))
}

/// Every check with its verdict, what was found and what to do, and the worst verdict.
pub async fn check(node: &Node) -> Answer {
    let checks = self_check::run(node).await;
    let worst = checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Good);
    Ok(no_store(json(StatusCode::OK, &json!({ "verdict": worst, "checks": checks }))))
}
