//! How much a user may own, in whatever buckets: set by administrators, told to them and to the user.

use std::sync::Arc;

use actix_http::error::PayloadError;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use bytes::Bytes;
use futures_util::Stream;
use myfsio_actors::bucket_config::QuotaLimits;
use myfsio_actors::iam::{SetUserQuota, UserSummary, WhichUser};
use myfsio_actors::storage::{QuotaScope, QuotaWarning};
use serde_json::{Value, json};

use super::route::UserQuotaRoute;
use crate::node::Node;
use crate::s3::handlers::bucket_quota::{parse_limits, told_account};
use crate::s3::preflight::Caller;
use crate::s3::respond::{Answer, RequestId, json as json_answer, no_store};

/// Largest body, in bytes.
const BODY_BYTES_MAX: usize = 4096;

/// Answers a request for a user's quota. Errs: AccessDenied, NoSuchEntity, InvalidArgument.
pub async fn answer(
    node: &Arc<Node>,
    mut caller: Caller,
    request_id: RequestId,
    route: UserQuotaRoute,
    incoming: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
) -> Answer {
    let directory = node.access.iam.fresh().await?;
    let (UserQuotaRoute::Get(name) | UserQuotaRoute::Set(name) | UserQuotaRoute::Remove(name)) = &route;
    let found = directory.user(&WhichUser::Called(name.clone()));
    let is_own = |user: &&UserSummary| caller.principal().is_some_and(|caller| caller.user_id == user.user_id);
    let may_see = matches!(route, UserQuotaRoute::Get(_)) && found.as_ref().ok().is_some_and(is_own);
    if !may_see && !caller.is_administrator(node) {
        return Err(caller.refused(node));
    }
    let user = found?;
    let quota = match route {
        UserQuotaRoute::Get(_) => {
            node.quotas.refresh().await?;
            return Ok(tell(node, user));
        }
        UserQuotaRoute::Set(_) => parse_limits(&caller.body(incoming)?.collect(BODY_BYTES_MAX).await?)?,
        UserQuotaRoute::Remove(_) => QuotaLimits::default(),
    };
    // From here on by its id, which nothing else takes on.
    let which = WhichUser::Called(user.user_id.as_str().to_owned());
    let message = SetUserQuota { user: which.clone(), quota };
    node.access.iam.change(caller.origin(request_id), message).await?;
    node.quotas.refresh().await?;
    match route {
        UserQuotaRoute::Remove(_) => Ok(HttpResponse::NoContent().finish()),
        _ => Ok(tell(node, node.access.iam.directory().user(&which)?)),
    }
}

fn tell(node: &Node, user: &UserSummary) -> HttpResponse {
    let account = node.quotas.account(&QuotaScope::Owner(user.user_id.clone()));
    let mut told = told_account(&user.quota, account.as_ref());
    if let Value::Object(fields) = &mut told {
        fields.insert("user_id".to_owned(), Value::from(user.user_id.as_str()));
    }
    no_store(json_answer(StatusCode::OK, &told))
}

/// The name of the event that tells of a warning.
pub const WARNING_EVENT: &str = "myfsio:QuotaWarning";

/// A warning as listeners are told of it.
pub fn warning(warning: &QuotaWarning) -> Value {
    let QuotaWarning { bucket, scope, resource, percent, used, limit } = warning;
    let (prefix, user) = match scope {
        QuotaScope::Bucket(_) => (None, None),
        QuotaScope::Prefix(_, prefix) => (Some(&**prefix), None),
        QuotaScope::Owner(owner) => (None, Some(owner.as_str())),
    };
    json!({
        "eventName": WARNING_EVENT,
        "bucket": bucket.as_ref().map(|bucket| bucket.as_str()),
        "prefix": prefix,
        "user_id": user,
        "limit": resource.field(),
        "percent": percent,
        "used": used,
        "of": limit,
    })
}
