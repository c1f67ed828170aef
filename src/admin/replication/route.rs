//! Routes below `/_myfsio/replication`. Pure.

use actix_web::http::Method;
use myfsio_actors::names::BucketName;

use crate::admin::iam::route::decoded;
use crate::s3::error::{ErrorCode, S3Error};

/// A route below `/_myfsio/replication`. Connections go by their id, or a name that they alone have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicationRoute {
    /// `GET` of nothing below: figures of all rules.
    Overview,
    /// `GET peer`; for every signed caller.
    Peer,
    /// `POST objects`; for every signed caller, who needs the permission to write each of them.
    Objects,
    /// `GET connections`
    Connections,
    /// `POST connections`
    AddConnection,
    /// `GET connections/<connection>`
    Connection(String),
    /// `PUT connections/<connection>`
    SetConnection(String),
    /// `DELETE connections/<connection>`
    RemoveConnection(String),
    /// `POST connections/<connection>/test`
    TestConnection(String),
    /// `GET rules`
    Rules,
    /// A route of a bucket.
    Of(BucketName, RuleRoute),
}

/// What is asked of how a bucket is replicated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleRoute {
    /// `GET rules/<bucket>`; for whoever may see it.
    Show,
    /// `PUT rules/<bucket>`
    Set,
    /// `DELETE rules/<bucket>`
    Remove,
    /// `POST rules/<bucket>/pause`; for whoever may replicate.
    Pause,
    /// `POST rules/<bucket>/resume`; for whoever may replicate.
    Resume,
    /// `POST rules/<bucket>/resync`
    Resync,
    /// `GET rules/<bucket>/history`; for whoever may see it.
    History,
    /// `GET rules/<bucket>/failures`; for whoever may see it.
    Failures,
    /// `POST rules/<bucket>/retry`; for whoever may replicate.
    Retry,
    /// `POST rules/<bucket>/dismiss`
    Dismiss,
    /// `GET rules/<bucket>/compare`; for whoever may see it.
    Comparison,
    /// `POST rules/<bucket>/compare`
    Compare,
    /// `DELETE rules/<bucket>/compare`
    StopComparing,
    /// `POST rules/<bucket>/compare/repair`
    Repair,
    /// `GET rules/<bucket>/conflicts`; for whoever may see it.
    Conflicts,
    /// `POST rules/<bucket>/conflicts/resolve`; for whoever may replicate.
    Resolve,
}

/// Finds the route of what stands behind `/_myfsio/replication`. Errs: NotImplemented, MethodNotAllowed, InvalidBucketName, InvalidURI.
pub fn find(method: &Method, segments: &[&str]) -> Result<ReplicationRoute, S3Error> {
    use ReplicationRoute as R;
    let refused = |allowed: &str| Err(S3Error::new(ErrorCode::MethodNotAllowed).header("allow", allowed));
    match (segments, method.as_str()) {
        ([], "GET") => Ok(R::Overview),
        (["peer"], "GET") => Ok(R::Peer),
        (["objects"], "POST") => Ok(R::Objects),
        (["connections"], "GET") => Ok(R::Connections),
        (["connections"], "POST") => Ok(R::AddConnection),
        (["connections", connection], "GET") => Ok(R::Connection(decoded(connection)?)),
        (["connections", connection], "PUT") => Ok(R::SetConnection(decoded(connection)?)),
        (["connections", connection], "DELETE") => Ok(R::RemoveConnection(decoded(connection)?)),
        (["connections", connection, "test"], "POST") => Ok(R::TestConnection(decoded(connection)?)),
        (["rules"], "GET") => Ok(R::Rules),
        (["rules", bucket, rest @ ..], method) => {
            let bucket = BucketName::parse(bucket).map_err(|_| S3Error::from(ErrorCode::InvalidBucketName))?;
            Ok(R::Of(bucket, of_bucket(method, rest)?))
        }
        ([] | ["peer"] | ["rules"], _) => refused("GET"),
        (["connections"], _) => refused("GET, POST"),
        (["connections", _], _) => refused("GET, PUT, DELETE"),
        (["objects"] | ["connections", _, "test"], _) => refused("POST"),
        _ => Err(S3Error::with_message(ErrorCode::NotImplemented, "This route is not implemented.")),
    }
}

fn of_bucket(method: &str, segments: &[&str]) -> Result<RuleRoute, S3Error> {
    use RuleRoute as R;
    let all: &[(&str, R)] = match segments {
        [] => &[("GET", R::Show), ("PUT", R::Set), ("DELETE", R::Remove)],
        ["pause"] => &[("POST", R::Pause)],
        ["resume"] => &[("POST", R::Resume)],
        ["resync"] => &[("POST", R::Resync)],
        ["history"] => &[("GET", R::History)],
        ["failures"] => &[("GET", R::Failures)],
        ["retry"] => &[("POST", R::Retry)],
        ["dismiss"] => &[("POST", R::Dismiss)],
        ["compare"] => &[("GET", R::Comparison), ("POST", R::Compare), ("DELETE", R::StopComparing)],
        ["compare", "repair"] => &[("POST", R::Repair)],
        ["conflicts"] => &[("GET", R::Conflicts)],
        ["conflicts", "resolve"] => &[("POST", R::Resolve)],
        _ => return Err(S3Error::with_message(ErrorCode::NotImplemented, "This route is not implemented.")),
    };
    match all.iter().find(|(taken, _)| *taken == method) {
        Some((_, route)) => Ok(*route),
        None => {
            let allowed: Vec<_> = all.iter().map(|(taken, _)| *taken).collect();
            Err(S3Error::new(ErrorCode::MethodNotAllowed).header("allow", &allowed.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        use ReplicationRoute as R;
        let bucket = || BucketName::parse("photos").unwrap();
        for (method, path, route) in [
            (Method::GET, "peer", R::Peer),
            (Method::POST, "objects", R::Objects),
            (Method::POST, "connections", R::AddConnection),
            (Method::PUT, "connections/Secondary%20Site", R::SetConnection("Secondary Site".to_owned())),
            (Method::POST, "connections/c1/test", R::TestConnection("c1".to_owned())),
            (Method::GET, "rules", R::Rules),
            (Method::PUT, "rules/photos", R::Of(bucket(), RuleRoute::Set)),
            (Method::POST, "rules/photos/pause", R::Of(bucket(), RuleRoute::Pause)),
            (Method::GET, "rules/photos/history", R::Of(bucket(), RuleRoute::History)),
            (Method::DELETE, "rules/photos/compare", R::Of(bucket(), RuleRoute::StopComparing)),
            (Method::POST, "rules/photos/compare/repair", R::Of(bucket(), RuleRoute::Repair)),
            (Method::POST, "rules/photos/conflicts/resolve", R::Of(bucket(), RuleRoute::Resolve)),
        ] {
            assert_eq!(find(&method, &path.split('/').collect::<Vec<_>>()).unwrap(), route, "{path}");
        }
        assert_eq!(find(&Method::GET, &[]).unwrap(), R::Overview);
        assert_eq!(find(&Method::POST, &[]).unwrap_err().code(), ErrorCode::MethodNotAllowed);
        let code = |method, path: &str| find(&method, &path.split('/').collect::<Vec<_>>()).unwrap_err().code();
        assert_eq!(code(Method::POST, "peer"), ErrorCode::MethodNotAllowed);
        assert_eq!(code(Method::GET, "rules/photos/pause"), ErrorCode::MethodNotAllowed);
        assert_eq!(code(Method::GET, "rules/NO"), ErrorCode::InvalidBucketName);
        assert_eq!(code(Method::GET, "rules/photos/x"), ErrorCode::NotImplemented);
        assert_eq!(code(Method::GET, ""), ErrorCode::NotImplemented);
    }
}
