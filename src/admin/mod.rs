//! Routes of the node's own beside the S3 API. All but `/healthz` are for administrators, unless they say otherwise, and speak JSON.

mod audit;
mod backup;
mod backups;
mod buckets;
mod compare;
mod events;
mod explain;
pub mod health;
mod iam;
mod jobs;
pub mod kms;
mod lifecycle;
mod metrics;
mod node;
mod objects;
mod permissions;
mod policy;
pub mod presign;
mod quotas;
mod reencryption;
mod replication;
mod requests;
mod route;
mod scrub;
mod simulate;
mod stream;

use std::sync::Arc;

use actix_http::RequestHead;
use actix_http::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;

use crate::node::Node;
use crate::s3::error::S3Error;
use crate::s3::exchange::Exchange;
use crate::s3::preflight::{self, Caller};
use crate::s3::respond::{Answer, RequestId};
use route::AdminRoute;

/// Answers a request below `/_myfsio`. Errs: as S3, told as JSON.
pub async fn answer(
    node: &Arc<Node>,
    head: &RequestHead,
    request_id: RequestId,
    exchange: &Exchange,
    incoming: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
) -> Answer {
    let route = route::find(&head.method, head.uri.path())?;
    if route == AdminRoute::Metrics && metrics::shows_token(node, head) {
        return metrics::text(node);
    }
    let mut caller = preflight::identify(node, head).await?;
    caller.note(exchange);
    match route {
        AdminRoute::AdoptFiles(bucket) => {
            only_administrators(node, &caller)?;
            buckets::adopt(node, &bucket, caller.origin(request_id)).await
        }
        AdminRoute::Lifecycle(bucket) => {
            let bucket = lifecycle::bucket(node, &caller, &bucket).await?;
            lifecycle::report(node, &bucket)
        }
        AdminRoute::PreviewLifecycle(bucket) => {
            let bucket = lifecycle::bucket(node, &caller, &bucket).await?;
            let may_list = lifecycle::may_list(node, &caller, &bucket).await;
            lifecycle::preview(node, &bucket, caller.body(incoming)?, may_list).await
        }
        AdminRoute::Jobs(route) => jobs::answer(node, head, caller, request_id, route, incoming).await,
        AdminRoute::Iam(route) => iam::answer(node, caller, request_id, route, incoming).await,
        AdminRoute::BucketPolicy(bucket) => policy::show(node, &caller, &bucket).await,
        AdminRoute::SetBucketPolicy(bucket) => policy::set(node, caller, request_id, &bucket, incoming).await,
        AdminRoute::BucketEvents(bucket) => {
            only_administrators(node, &caller)?;
            events::pending(node, &bucket).await
        }
        AdminRoute::ReplayEvents(bucket) => {
            only_administrators(node, &caller)?;
            events::replay(node, &bucket, caller.origin(request_id)).await
        }
        AdminRoute::DiscardEvents(bucket) => {
            only_administrators(node, &caller)?;
            events::discard(node, &bucket, caller.origin(request_id)).await
        }
        AdminRoute::Metrics => {
            only_administrators(node, &caller)?;
            metrics::text(node)
        }
        AdminRoute::MetricsHistory => {
            only_administrators(node, &caller)?;
            metrics::history(node, caller.query())
        }
        AdminRoute::Requests => {
            only_administrators(node, &caller)?;
            requests::find(node, caller.query())
        }
        AdminRoute::RequestsByBucket => {
            only_administrators(node, &caller)?;
            requests::by_bucket(node, caller.query())
        }
        AdminRoute::Trace => {
            only_administrators(node, &caller)?;
            requests::trace(node, caller)
        }
        AdminRoute::Settings => {
            only_administrators(node, &caller)?;
            node::settings(node)
        }
        AdminRoute::SelfCheck => {
            only_administrators(node, &caller)?;
            node::check(node).await
        }
        AdminRoute::AuditLog => {
            only_administrators(node, &caller)?;
            audit::entries(node, caller.query()).await
        }
        AdminRoute::ObjectStorage(bucket, key) => {
            only_administrators(node, &caller)?;
            objects::storage(node, &bucket, key, caller.query()).await
        }
        AdminRoute::ListenToEvents => {
            only_administrators(node, &caller)?;
            events::listen(node, caller)
        }
        AdminRoute::Permissions(user) => {
            only_administrators(node, &caller)?;
            permissions::of_user(node, &user, caller.query(), caller.received()).await
        }
        AdminRoute::UserQuota(route) => quotas::answer(node, caller, request_id, route, incoming).await,
        AdminRoute::KeyUsage => {
            only_administrators(node, &caller)?;
            reencryption::usage(node)
        }
        AdminRoute::Reencrypt(route) => {
            only_administrators(node, &caller)?;
            reencryption::answer(node, caller, request_id, route, incoming).await
        }
        AdminRoute::Backups => {
            only_administrators(node, &caller)?;
            backups::known(node).await
        }
        AdminRoute::CreateBackup => {
            only_administrators(node, &caller)?;
            backup::begin(node, caller, request_id, incoming).await
        }
        AdminRoute::Scrub(route) => {
            only_administrators(node, &caller)?;
            scrub::answer(node, caller, request_id, route, incoming).await
        }
        AdminRoute::Replication(route) => replication::answer(node, head, caller, request_id, route, incoming).await,
        AdminRoute::Explain => explain::explain(node, &caller),
        AdminRoute::Simulate => {
            let body = caller.body(incoming)?;
            simulate::simulate(node, &caller, body).await
        }
    }
}

fn only_administrators(node: &Node, caller: &Caller) -> Result<(), S3Error> {
    match caller.is_administrator(node) {
        true => Ok(()),
        false => Err(caller.refused(node)),
    }
}
