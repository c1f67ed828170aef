//! Routes of the node's own beside the S3 API. All but `/healthz` are for administrators, and speak JSON.

mod buckets;
mod events;
pub mod health;
mod route;

use std::sync::Arc;

use actix_http::RequestHead;

use crate::node::Node;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight;
use crate::s3::respond::Answer;
use route::AdminRoute;

/// Answers a request below `/_myfsio`. Errs: as S3, told as JSON.
pub async fn answer(node: &Arc<Node>, head: &RequestHead) -> Answer {
    let route = route::find(&head.method, head.uri.path())?;
    let caller = preflight::identify(node, head).await?;
    if !caller.is_administrator(node) {
        return Err(S3Error::new(ErrorCode::AccessDenied).because("only administrators may ask this"));
    }
    match route {
        AdminRoute::AdoptFiles(bucket) => buckets::adopt(node, &bucket).await,
        AdminRoute::BucketEvents(bucket) => events::pending(node, &bucket).await,
        AdminRoute::ReplayEvents(bucket) => events::replay(node, &bucket).await,
        AdminRoute::DiscardEvents(bucket) => events::discard(node, &bucket).await,
        AdminRoute::ListenToEvents => events::listen(node, caller.query()),
    }
}
