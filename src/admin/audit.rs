//! The audit log: reading it, and telling it of what is done by the node's own routes.

use std::sync::Arc;

use actix_web::http::StatusCode;
use myfsio_actors::audit::{AuditEntry, AuditError, AuditPosition, AuditQuery, ChangeOrigin};
use myfsio_actors::names::Stamp;
use myfsio_actors::storage::Bucket;
use serde_json::Value;

use crate::node::Node;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::query::Query;
use crate::s3::respond::{Answer, json_text, no_store};

/// Entries of a page when nothing is said of it, and at most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// Entries, newest first. Errs: InvalidArgument; SlowDown when too many read at once.
pub async fn entries(node: &Node, query: &Query) -> Answer {
    let page = node.audit.page(parse(query)?).await?;
    // Each entry is an object already, and stays to the letter what the log has.
    let next = page.next.map_or(Value::Null, |next| Value::from(next.to_string()));
    let body = format!("{{\"entries\":[{}],\"next\":{next}}}", page.entries.join(","));
    Ok(no_store(json_text(StatusCode::OK, body)))
}

/// Carries out a change that a route of the node's own makes of a bucket, and tells the log of it, whoever waits for it. The work
/// answers what it has done; null when there was nothing to do.
pub async fn carry_out<T: 'static>(
    node: &Arc<Node>,
    by: ChangeOrigin,
    action: &'static str,
    bucket: &Bucket,
    work: impl Future<Output = Result<(T, Value), S3Error>> + 'static,
) -> Result<T, S3Error> {
    let (node, target) = (Arc::clone(node), format!("arn:aws:s3:::{}", bucket.name));
    let work = async move {
        let (answer, done) = work.await?;
        let entry = AuditEntry::of_change(node.clock.now(), by, action, target, &Value::Null, &done);
        node.audit.record(entry.into_iter().collect()).await;
        Ok(answer)
    };
    actix_rt::spawn(work).await.map_err(S3Error::internal)?
}

/// Reads `from`, `to`, `principal`, `action`, `target`, `limit` and `next` of a query. Errs: InvalidArgument.
fn parse(query: &Query) -> Result<AuditQuery, S3Error> {
    let time = |name: &str| {
        let unreadable = |text| S3Error::invalid_argument(name, text, "A time is as in RFC 3339, or a date.");
        query.get(name).map(|text| Stamp::parse_time_or_date(text).ok_or_else(|| unreadable(text))).transpose()
    };
    let text = |name: &str| query.get_filled(name).map(str::to_owned);
    let limit = |text: &str| text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    let limits = |text| S3Error::invalid_argument("limit", text, format!("A page has 1 to {LIMIT_MAX} entries."));
    let position = |text| S3Error::invalid_argument("next", text, "The log was not read up to there.");
    let asked = AuditQuery {
        from: time("from")?,
        to: time("to")?,
        principal: text("principal"),
        action: text("action"),
        target: text("target"),
        limit: query.get("limit").map_or(Ok(LIMIT), |text| limit(text).ok_or_else(|| limits(text)))?,
        position: query.get("next").map(|text| AuditPosition::parse(text).ok_or_else(|| position(text))).transpose()?,
    };
    match (asked.from, asked.to) {
        (Some(from), Some(to)) if from > to => {
            let text = query.get("to").unwrap_or_default();
            Err(S3Error::invalid_argument("to", text, "The end lies before the beginning."))
        }
        _ => Ok(asked),
    }
}

impl From<AuditError> for S3Error {
    fn from(error: AuditError) -> Self {
        match &error {
            AuditError::NoSuchPosition => {
                Self::invalid_argument("next", "", "The log was not read up to there.").because(error)
            }
            AuditError::Busy => Self::new(ErrorCode::SlowDown).because(error),
            AuditError::Io { .. } | AuditError::BrokenOff => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<AuditQuery, ErrorCode> {
        parse(&Query::parse(query).unwrap()).map_err(|error| error.code())
    }

    #[test]
    fn queries_are_read() {
        let all = asked("").unwrap();
        assert_eq!((all.limit, all.from, all.principal.is_none()), (LIMIT, None, true));
        let some = asked("from=1970-01-02&to=1970-01-02T00:00:00.5%2B00:00&action=iam:*&target=&limit=1000").unwrap();
        assert_eq!((some.from, some.to), (Some(Stamp(86_400_000_000_000)), Some(Stamp(86_400_500_000_000))));
        assert_eq!((some.action.as_deref(), some.target, some.limit), (Some("iam:*"), None, LIMIT_MAX));
        for bad in [
            "limit=0",
            "limit=1001",
            "limit=",
            "limit=x",
            "limit=-1",
            "from=",
            "from=now",
            "to=1970-13-01",
            "next=",
            "next=abc",
            "from=2026-01-02&to=2026-01-01",
            "to=99999-01-01",
        ] {
            assert_eq!(asked(bad).unwrap_err(), ErrorCode::InvalidArgument, "{bad}");
        }
    }
}
