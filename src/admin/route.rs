//! Which of the node's own routes a request asks for. Pure.

use actix_web::http::Method;
use myfsio_actors::names::{BucketName, ObjectKey};

use super::iam::route::IamRoute;
use super::jobs::JobsRoute;
use super::replication::route::ReplicationRoute;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::query::percent_decode;
use crate::s3::route::parse_key;

/// A route below `/_myfsio`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminRoute {
    /// `POST /_myfsio/buckets/<bucket>/adopt`
    AdoptFiles(BucketName),
    /// `GET /_myfsio/buckets/<bucket>/lifecycle`; also for whoever may set the bucket's rules.
    Lifecycle(BucketName),
    /// `POST /_myfsio/buckets/<bucket>/lifecycle/preview`; also for whoever may set the bucket's rules.
    PreviewLifecycle(BucketName),
    /// Routes below `/_myfsio/jobs`; each user sees its own.
    Jobs(JobsRoute),
    /// Routes below `/_myfsio/iam`, each for whoever has its permission.
    Iam(IamRoute),
    /// `GET /_myfsio/buckets/<bucket>/policy`; for whoever may read the bucket's policy.
    BucketPolicy(BucketName),
    /// `PUT /_myfsio/buckets/<bucket>/policy`; for whoever may set the bucket's policy.
    SetBucketPolicy(BucketName),
    /// `GET /_myfsio/buckets/<bucket>/events`
    BucketEvents(BucketName),
    /// `POST /_myfsio/buckets/<bucket>/events/replay`
    ReplayEvents(BucketName),
    /// `DELETE /_myfsio/buckets/<bucket>/events/dead`
    DiscardEvents(BucketName),
    /// `GET /_myfsio/events`
    ListenToEvents,
    /// `GET /_myfsio/explain?request_id=…`; for every signed caller, each of whom sees what is its own.
    Explain,
    /// `POST /_myfsio/simulate`; also for whoever may set the policy of the bucket.
    Simulate,
    /// `GET /_myfsio/metrics`; also for whoever shows METRICS_TOKEN.
    Metrics,
    /// `GET /_myfsio/metrics/history`
    MetricsHistory,
    /// `GET /_myfsio/requests`
    Requests,
    /// `GET /_myfsio/requests/buckets`
    RequestsByBucket,
    /// `GET /_myfsio/trace`
    Trace,
    /// `GET /_myfsio/settings`
    Settings,
    /// `GET /_myfsio/self-check`
    SelfCheck,
    /// `GET /_myfsio/audit`
    AuditLog,
    /// `GET /_myfsio/objects/<bucket>/<key>/storage`
    ObjectStorage(BucketName, ObjectKey),
    /// `GET /_myfsio/users/<user>/permissions`
    Permissions(String),
    /// `/_myfsio/users/<user>/quota`
    UserQuota(UserQuotaRoute),
    /// `GET /_myfsio/kms/usage`
    KeyUsage,
    /// `/_myfsio/kms/reencrypt`
    Reencrypt(ReencryptRoute),
    /// `GET /_myfsio/backups`
    Backups,
    /// `POST /_myfsio/backups`; only by the admin socket.
    CreateBackup,
    /// `/_myfsio/scrub`
    Scrub(ScrubRoute),
    /// Routes below `/_myfsio/replication`.
    Replication(ReplicationRoute),
}

/// What is asked of the job that wraps data keys anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReencryptRoute {
    /// `GET`: how far it is.
    Progress,
    /// `POST`: begins one.
    Begin,
    /// `DELETE`: ends it.
    Cancel,
}

/// What is asked of the scrub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScrubRoute {
    /// `GET`: how far it is, and what was found.
    Report,
    /// `POST`: begins a run, over everything or over one bucket.
    Begin,
    /// `DELETE`: ends it.
    Stop,
}

fn backups(method: &Method) -> Result<AdminRoute, S3Error> {
    match method.as_str() {
        "GET" => Ok(AdminRoute::Backups),
        "POST" => Ok(AdminRoute::CreateBackup),
        _ => Err(S3Error::new(ErrorCode::MethodNotAllowed).header("allow", "GET, POST")),
    }
}

fn scrub(method: &Method) -> Result<AdminRoute, S3Error> {
    match method.as_str() {
        "GET" => Ok(AdminRoute::Scrub(ScrubRoute::Report)),
        "POST" => Ok(AdminRoute::Scrub(ScrubRoute::Begin)),
        "DELETE" => Ok(AdminRoute::Scrub(ScrubRoute::Stop)),
        _ => Err(S3Error::new(ErrorCode::MethodNotAllowed).header("allow", "GET, POST, DELETE")),
    }
}

fn reencrypt(method: &Method) -> Result<AdminRoute, S3Error> {
    match method.as_str() {
        "GET" => Ok(AdminRoute::Reencrypt(ReencryptRoute::Progress)),
        "POST" => Ok(AdminRoute::Reencrypt(ReencryptRoute::Begin)),
        "DELETE" => Ok(AdminRoute::Reencrypt(ReencryptRoute::Cancel)),
        _ => Err(S3Error::new(ErrorCode::MethodNotAllowed).header("allow", "GET, POST, DELETE")),
    }
}

/// What is asked of a user's quota. The user goes by its id, one of its access keys, or a name that it alone has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserQuotaRoute {
    /// `GET`; also for the user itself.
    Get(String),
    /// `PUT`
    Set(String),
    /// `DELETE`
    Remove(String),
}

fn user_quota(method: &Method, user: &str) -> Result<AdminRoute, S3Error> {
    let user = super::iam::route::decoded(user)?;
    match method.as_str() {
        "GET" => Ok(AdminRoute::UserQuota(UserQuotaRoute::Get(user))),
        "PUT" => Ok(AdminRoute::UserQuota(UserQuotaRoute::Set(user))),
        "DELETE" => Ok(AdminRoute::UserQuota(UserQuotaRoute::Remove(user))),
        _ => Err(S3Error::new(ErrorCode::MethodNotAllowed).header("allow", "GET, PUT, DELETE")),
    }
}

/// Finds the route of a path that begins with `/_myfsio`. Errs: NotImplemented, MethodNotAllowed, InvalidBucketName,
/// InvalidURI.
pub fn find(method: &Method, path: &str) -> Result<AdminRoute, S3Error> {
    let segments: Vec<_> = path.trim_start_matches('/').split('/').skip(1).collect();
    let named = |bucket| BucketName::parse(bucket).map_err(|_| S3Error::from(ErrorCode::InvalidBucketName));
    let of_bucket = |taken: Method, route: fn(BucketName) -> AdminRoute, bucket| -> Result<_, S3Error> {
        Ok((taken, route(named(bucket)?)))
    };
    let (taken, route) = match segments[..] {
        ["kms", "reencrypt"] => return reencrypt(method),
        ["kms", "usage"] => (Method::GET, AdminRoute::KeyUsage),
        ["backups"] => return backups(method),
        ["scrub"] => return scrub(method),
        ["users", user, "quota"] => return user_quota(method, user),
        ["users", user, "permissions"] => (Method::GET, AdminRoute::Permissions(super::iam::route::decoded(user)?)),
        ["replication", ref rest @ ..] => {
            return super::replication::route::find(method, rest).map(AdminRoute::Replication);
        }
        ["jobs", ref rest @ ..] => return super::jobs::find(method, rest).map(AdminRoute::Jobs),
        ["iam", ref rest @ ..] => return super::iam::route::find(method, rest).map(AdminRoute::Iam),
        ["buckets", bucket, "adopt"] => of_bucket(Method::POST, AdminRoute::AdoptFiles, bucket)?,
        ["buckets", bucket, "lifecycle"] => of_bucket(Method::GET, AdminRoute::Lifecycle, bucket)?,
        ["buckets", bucket, "lifecycle", "preview"] => of_bucket(Method::POST, AdminRoute::PreviewLifecycle, bucket)?,
        ["buckets", bucket, "policy"] if *method == Method::GET => {
            of_bucket(Method::GET, AdminRoute::BucketPolicy, bucket)?
        }
        ["buckets", bucket, "policy"] => of_bucket(Method::PUT, AdminRoute::SetBucketPolicy, bucket)?,
        ["buckets", bucket, "events"] => of_bucket(Method::GET, AdminRoute::BucketEvents, bucket)?,
        ["buckets", bucket, "events", "replay"] => of_bucket(Method::POST, AdminRoute::ReplayEvents, bucket)?,
        ["buckets", bucket, "events", "dead"] => of_bucket(Method::DELETE, AdminRoute::DiscardEvents, bucket)?,
        ["events"] => (Method::GET, AdminRoute::ListenToEvents),
        ["explain"] => (Method::GET, AdminRoute::Explain),
        ["simulate"] => (Method::POST, AdminRoute::Simulate),
        ["metrics"] => (Method::GET, AdminRoute::Metrics),
        ["metrics", "history"] => (Method::GET, AdminRoute::MetricsHistory),
        ["requests"] => (Method::GET, AdminRoute::Requests),
        ["requests", "buckets"] => (Method::GET, AdminRoute::RequestsByBucket),
        ["trace"] => (Method::GET, AdminRoute::Trace),
        ["settings"] => (Method::GET, AdminRoute::Settings),
        ["self-check"] => (Method::GET, AdminRoute::SelfCheck),
        ["audit"] => (Method::GET, AdminRoute::AuditLog),
        ["objects", bucket, ref key @ .., "storage"] if !key.is_empty() => {
            (Method::GET, AdminRoute::ObjectStorage(named(bucket)?, object_key(&key.join("/"))?))
        }
        _ => return Err(S3Error::with_message(ErrorCode::NotImplemented, "This route is not implemented.")),
    };
    if method != taken {
        return Err(S3Error::new(ErrorCode::MethodNotAllowed).header("allow", taken.as_str()));
    }
    Ok(route)
}

/// The key in a path, decoded once. Errs: InvalidURI, KeyTooLongError.
fn object_key(path: &str) -> Result<ObjectKey, S3Error> {
    let bytes = percent_decode(path.as_bytes(), false).ok_or_else(|| S3Error::from(ErrorCode::InvalidURI))?;
    parse_key(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let bucket = BucketName::parse("photos").unwrap();
        let adopt = "/_myfsio/buckets/photos/adopt";
        assert_eq!(find(&Method::POST, adopt).unwrap(), AdminRoute::AdoptFiles(bucket.clone()));
        let lifecycle = "/_myfsio/buckets/photos/lifecycle";
        assert_eq!(find(&Method::GET, lifecycle).unwrap(), AdminRoute::Lifecycle(bucket.clone()));
        let preview = "/_myfsio/buckets/photos/lifecycle/preview";
        assert_eq!(find(&Method::POST, preview).unwrap(), AdminRoute::PreviewLifecycle(bucket.clone()));
        let policy = "/_myfsio/buckets/photos/policy";
        assert_eq!(find(&Method::GET, policy).unwrap(), AdminRoute::BucketPolicy(bucket.clone()));
        assert_eq!(find(&Method::PUT, policy).unwrap(), AdminRoute::SetBucketPolicy(bucket.clone()));
        let events = "/_myfsio/buckets/photos/events";
        assert_eq!(find(&Method::GET, events).unwrap(), AdminRoute::BucketEvents(bucket.clone()));
        let replay = find(&Method::POST, "/_myfsio/buckets/photos/events/replay");
        assert_eq!(replay.unwrap(), AdminRoute::ReplayEvents(bucket.clone()));
        let discard = find(&Method::DELETE, "/_myfsio/buckets/photos/events/dead");
        assert_eq!(discard.unwrap(), AdminRoute::DiscardEvents(bucket));
        assert_eq!(find(&Method::GET, "/_myfsio/events").unwrap(), AdminRoute::ListenToEvents);
        assert_eq!(find(&Method::GET, "/_myfsio/explain").unwrap(), AdminRoute::Explain);
        assert_eq!(find(&Method::POST, "/_myfsio/simulate").unwrap(), AdminRoute::Simulate);
        assert_eq!(find(&Method::GET, "/_myfsio/audit").unwrap(), AdminRoute::AuditLog);
        assert_eq!(find(&Method::GET, "/_myfsio/settings").unwrap(), AdminRoute::Settings);
        assert_eq!(find(&Method::GET, "/_myfsio/self-check").unwrap(), AdminRoute::SelfCheck);
        assert_eq!(find(&Method::GET, "/_myfsio/requests/buckets").unwrap(), AdminRoute::RequestsByBucket);
        let storage = |bucket: &BucketName, key: &str| {
            AdminRoute::ObjectStorage(bucket.clone(), ObjectKey::parse(key.as_bytes()).unwrap())
        };
        let named = BucketName::parse("photos").unwrap();
        for (path, key) in [("a", "a"), ("a/b%2Fc/", "a/b/c/"), ("storage/storage", "storage/storage"), ("%C3%A4", "ä")]
        {
            let found = find(&Method::GET, &format!("/_myfsio/objects/photos/{path}/storage")).unwrap();
            assert_eq!(found, storage(&named, key));
        }
        let ann = "/_myfsio/users/Ann%20B/quota";
        for (method, route) in [
            (Method::GET, UserQuotaRoute::Get("Ann B".to_owned())),
            (Method::PUT, UserQuotaRoute::Set("Ann B".to_owned())),
            (Method::DELETE, UserQuotaRoute::Remove("Ann B".to_owned())),
        ] {
            assert_eq!(find(&method, ann).unwrap(), AdminRoute::UserQuota(route));
        }
        let permissions = find(&Method::GET, "/_myfsio/users/Ann%20B/permissions");
        assert_eq!(permissions.unwrap(), AdminRoute::Permissions("Ann B".to_owned()));
        let reencrypt = |method| find(&method, "/_myfsio/kms/reencrypt").map_err(|error| error.code());
        assert_eq!(reencrypt(Method::POST), Ok(AdminRoute::Reencrypt(ReencryptRoute::Begin)));
        assert_eq!(reencrypt(Method::GET), Ok(AdminRoute::Reencrypt(ReencryptRoute::Progress)));
        assert_eq!(reencrypt(Method::DELETE), Ok(AdminRoute::Reencrypt(ReencryptRoute::Cancel)));
        assert_eq!(reencrypt(Method::PUT), Err(ErrorCode::MethodNotAllowed));
        assert_eq!(find(&Method::POST, "/_myfsio/backups").unwrap(), AdminRoute::CreateBackup);
        assert_eq!(find(&Method::GET, "/_myfsio/backups").unwrap(), AdminRoute::Backups);
        for (method, route) in
            [(Method::GET, ScrubRoute::Report), (Method::POST, ScrubRoute::Begin), (Method::DELETE, ScrubRoute::Stop)]
        {
            assert_eq!(find(&method, "/_myfsio/scrub").unwrap(), AdminRoute::Scrub(route));
        }
        assert_eq!(find(&Method::GET, "/_myfsio/kms/usage").unwrap(), AdminRoute::KeyUsage);
        let code = |method, path| find(&method, path).unwrap_err().code();
        for (method, path) in [
            (Method::GET, adopt),
            (Method::POST, ann),
            (Method::POST, "/_myfsio/users/ann/permissions"),
            (Method::POST, policy),
            (Method::POST, events),
            (Method::POST, "/_myfsio/events"),
            (Method::DELETE, "/_myfsio/backups"),
        ] {
            assert_eq!(code(method, path), ErrorCode::MethodNotAllowed, "{path}");
        }
        assert_eq!(code(Method::POST, "/_myfsio/buckets/NO/adopt"), ErrorCode::InvalidBucketName);
        for path in ["/_myfsio", "/_myfsio/", "/_myfsio/buckets/photos", "/_myfsio/buckets/photos/adopt/x"] {
            assert_eq!(code(Method::POST, path), ErrorCode::NotImplemented, "{path}");
        }
    }
}
