//! Jobs, for every user: its own; for administrators: all. `docs/jobs.md` has the orders.

use std::sync::Arc;
use std::time::Duration;

use actix_http::RequestHead;
use actix_http::error::PayloadError;
use actix_web::http::{Method, StatusCode};
use bytes::Bytes;
use futures_util::Stream;
use myfsio_actors::audit::AuditEntry;
use myfsio_actors::iam::Principal;
use serde_json::{Value, json};

use crate::jobs::{By, Job, NotTaken, Order, Unsound, Work, foresee, tell_end};
use crate::node::Node;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight::Caller;
use crate::s3::query::Query;
use crate::s3::respond::{Answer, RequestId, json, no_store};
use crate::within::{Asker, Refusal, Whence};

/// Largest order, in bytes.
const ORDER_BYTES_MAX: usize = 1024 * 1024;
/// Rows that a preview looks at, and how long it looks, at most.
const FORESEEN_MAX: (usize, Duration) = (100_000, Duration::from_millis(500));

/// A route below `/_myfsio/jobs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobsRoute {
    /// `GET /_myfsio/jobs`
    List,
    /// `POST /_myfsio/jobs`: begins one.
    Begin,
    /// `POST /_myfsio/jobs/preview`: what it would come to.
    Preview,
    /// `GET /_myfsio/jobs/<id>`
    Get(String),
    /// `DELETE /_myfsio/jobs/<id>`: ends it.
    Cancel(String),
}

/// The route of what stands behind `jobs`. Errs: NotImplemented, MethodNotAllowed.
pub fn find(method: &Method, rest: &[&str]) -> Result<JobsRoute, S3Error> {
    let not = |allowed| Err(S3Error::new(ErrorCode::MethodNotAllowed).header("allow", allowed));
    match (rest, method.as_str()) {
        ([], "GET") => Ok(JobsRoute::List),
        ([], "POST") => Ok(JobsRoute::Begin),
        ([], _) => not("GET, POST"),
        (["preview"], "POST") => Ok(JobsRoute::Preview),
        (["preview"], _) => not("POST"),
        ([id], "GET") if !id.is_empty() => Ok(JobsRoute::Get((*id).to_owned())),
        ([id], "DELETE") if !id.is_empty() => Ok(JobsRoute::Cancel((*id).to_owned())),
        ([id], _) if !id.is_empty() => not("GET, DELETE"),
        _ => Err(S3Error::with_message(ErrorCode::NotImplemented, "This route is not implemented.")),
    }
}

/// Answers a request for jobs. Errs: AccessDenied without credentials or with temporary ones, InvalidArgument, NoSuchBucket, NoSuchJob,
/// LimitExceeded.
pub async fn answer(
    node: &Arc<Node>,
    head: &RequestHead,
    mut caller: Caller,
    request_id: RequestId,
    route: JobsRoute,
    incoming: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
) -> Answer {
    let principal = caller.principal().cloned().ok_or_else(|| caller.refused(node))?;
    let told = match route {
        JobsRoute::List => {
            let of = (!caller.is_administrator(node)).then_some(&principal.user_id);
            let jobs: Vec<Value> = node.jobs.list(of).iter().map(|job| job.tell(false)).collect();
            (StatusCode::OK, json!({ "jobs": jobs }))
        }
        JobsRoute::Get(id) => (StatusCode::OK, visible(node, &caller, &principal, &id)?.tell(true)),
        JobsRoute::Cancel(id) => {
            let job = visible(node, &caller, &principal, &id)?;
            cancel(node, &caller, request_id, &job).await;
            (StatusCode::OK, job.tell(true))
        }
        JobsRoute::Begin | JobsRoute::Preview => {
            let body = caller.body(incoming)?.collect(ORDER_BYTES_MAX).await?;
            let unsound = |error: Unsound| S3Error::with_message(ErrorCode::InvalidArgument, error.to_string());
            let order = Order::parse(&body).map_err(unsound)?;
            let work = order.work().map_err(unsound)?;
            let whence = Whence::of(head);
            let asker = asker(node, &principal, &whence).await?;
            if route == JobsRoute::Preview {
                let bucket = asker.known_bucket(&work.bucket).map_err(Refusal::into_s3)?;
                let effort = (FORESEEN_MAX.0, patience(head.uri.query().unwrap_or_default())?);
                let count = foresee(&asker, &bucket, &work, effort).await.map_err(Refusal::into_s3)?;
                (StatusCode::OK, json!(count))
            } else {
                let origin = caller.origin(request_id);
                let by = By {
                    user_id: principal.user_id.clone(),
                    display_name: principal.display_name.clone(),
                    access_key: principal.access_key.as_str().to_owned(),
                    whence,
                    origin,
                };
                (StatusCode::CREATED, begin(node, &asker, by, order, &work).await?.tell(true))
            }
        }
    };
    Ok(no_store(json(told.0, &told.1)))
}

/// How long a preview looks: as long as it may, or for fewer `milliseconds`. Errs: InvalidArgument.
fn patience(query: &str) -> Result<Duration, S3Error> {
    let query = Query::parse(query)?;
    let Some(text) = query.get("milliseconds") else { return Ok(FORESEEN_MAX.1) };
    let message = "milliseconds is a whole number.";
    let asked = text.parse().map_err(|_| S3Error::invalid_argument("milliseconds", text, message))?;
    Ok(Duration::from_millis(asked).min(FORESEEN_MAX.1))
}

/// As whom a job would ask. Errs: AccessDenied for credentials that a job cannot go on with.
async fn asker(node: &Arc<Node>, principal: &Principal, whence: &Whence) -> Result<Asker, S3Error> {
    let refused = |message: &'static str| S3Error::with_message(ErrorCode::AccessDenied, message);
    if principal.session.is_some() {
        return Err(refused(
            "A job goes on by itself, which temporary credentials cannot. Ask with an access key of a user.",
        ));
    }
    let own = node.access.iam.directory().user_by_id(&principal.user_id).is_some();
    if !own {
        return Err(refused("A job goes on as the user who asks for it, and these credentials are no user's."));
    }
    Asker::recall(node, &principal.access_key, whence).await.map_err(Refusal::into_s3)
}

async fn begin(node: &Arc<Node>, asker: &Asker, by: By, order: Order, work: &Work) -> Result<Arc<Job>, S3Error> {
    let bucket = asker.known_bucket(&work.bucket).map_err(Refusal::into_s3)?;
    if let Some(other) = work.target_bucket() {
        asker.known_bucket(other).map_err(Refusal::into_s3)?;
    }
    let (origin, now) = (by.origin.clone(), node.clock.now());
    let job = node.jobs.begin(bucket.id.0, by, order, now).await?;
    let about = job.tell_some(&["id", "action", "keys", "prefixes", "containing", "versions", "to_bucket", "to"]);
    let target = format!("arn:aws:s3:::{}", bucket.name);
    let entry = AuditEntry::of_document(now, origin, "myfsio:StartJob", target, Value::Null, about);
    node.audit.record(entry.into_iter().collect()).await;
    Ok(job)
}

/// A job that the caller may see. Errs: NoSuchJob.
fn visible(node: &Node, caller: &Caller, principal: &Principal, id: &str) -> Result<Arc<Job>, S3Error> {
    let is_seen = |job: &Arc<Job>| job.by.user_id == principal.user_id || caller.is_administrator(node);
    node.jobs.find(id).filter(is_seen).ok_or_else(|| ErrorCode::NoSuchJob.into())
}

async fn cancel(node: &Arc<Node>, caller: &Caller, request_id: RequestId, job: &Arc<Job>) {
    if !job.cancel() {
        return;
    }
    let (target, id) = (format!("arn:aws:s3:::{}", job.order().bucket), json!({ "id": job.id }));
    let origin = caller.origin(request_id);
    let entry = AuditEntry::of_document(node.clock.now(), origin, "myfsio:CancelJob", target, Value::Null, id);
    node.audit.record(entry.into_iter().collect()).await;
    // One that is at work ends by itself, once its requests under way have ended.
    if job.end_if_waiting(node.clock.now()) {
        tell_end(node, job).await;
        if let Err(error) = node.jobs.keep(job).await {
            tracing::warn!(%error, job = job.id, "that a job was cancelled could not be kept");
        }
    }
}

impl From<NotTaken> for S3Error {
    fn from(error: NotTaken) -> Self {
        match error {
            NotTaken::Yours | NotTaken::All => {
                Self::with_message(ErrorCode::LimitExceeded, format!("There are too many jobs: {error}."))
            }
            NotTaken::Kept(_) => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_look_as_long_as_they_are_told_but_no_longer() {
        let told = |query| patience(query).map(|time| time.as_millis()).map_err(|error| error.code());
        assert_eq!((told(""), told("milliseconds=30"), told("milliseconds=9999")), (Ok(500), Ok(30), Ok(500)));
        assert_eq!(told("milliseconds=soon"), Err(ErrorCode::InvalidArgument));
    }

    #[test]
    fn routes() {
        let found = |method: Method, rest: &[&str]| find(&method, rest).map_err(|error| error.code());
        assert_eq!(found(Method::GET, &[]), Ok(JobsRoute::List));
        assert_eq!(found(Method::POST, &[]), Ok(JobsRoute::Begin));
        assert_eq!(found(Method::POST, &["preview"]), Ok(JobsRoute::Preview));
        assert_eq!(found(Method::GET, &["1f"]), Ok(JobsRoute::Get("1f".to_owned())));
        assert_eq!(found(Method::DELETE, &["1f"]), Ok(JobsRoute::Cancel("1f".to_owned())));
        for (method, rest) in [(Method::PUT, &[][..]), (Method::GET, &["preview"]), (Method::POST, &["1f"])] {
            assert_eq!(found(method, rest), Err(ErrorCode::MethodNotAllowed), "{rest:?}");
        }
        assert_eq!(found(Method::GET, &[""]), Err(ErrorCode::NotImplemented));
        assert_eq!(found(Method::GET, &["a", "b"]), Err(ErrorCode::NotImplemented));
    }
}
