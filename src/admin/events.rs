//! Events: what targets were not told yet, and the stream of everything that happens.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use futures_util::stream::unfold;
use myfsio_actors::audit::ChangeOrigin;
use myfsio_actors::bucket_config::EventPattern;
use myfsio_actors::names::{BucketName, Stamp};
use myfsio_actors::notifier::{TargetEvents, record};
use myfsio_actors::storage::{ObjectEvent, QueueLength, QuotaWarning};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::audit::carry_out;
use super::quotas::{WARNING_EVENT, warning};
use super::stream::{self, KEEP_ALIVE, Listener};
use crate::node::Node;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight::Caller;
use crate::s3::query::Query;
use crate::s3::respond::{self, Answer};

/// The events of a bucket that were not told yet, by target.
pub async fn pending(node: &Node, bucket: &BucketName) -> Answer {
    let bucket = node.storage.bucket(bucket)?;
    let events = node.notifier.events(&bucket).await?;
    let targets: Vec<_> = events.targets.iter().map(|target| target_json(node, target)).collect();
    Ok(answer(&json!({ "targets": targets })))
}

/// Makes dead events pending, and has everything tried now.
pub async fn replay(node: &Arc<Node>, bucket: &BucketName, by: ChangeOrigin) -> Answer {
    let bucket = node.storage.bucket(bucket)?;
    let (notifier, named) = (node.notifier.clone(), Arc::clone(&bucket));
    let work = async move { Ok(counted("replayed", notifier.replay(&named).await?)) };
    Ok(answer(&carry_out(node, by, "myfsio:ReplayEvents", &bucket, work).await?))
}

/// Forgets dead events.
pub async fn discard(node: &Arc<Node>, bucket: &BucketName, by: ChangeOrigin) -> Answer {
    let bucket = node.storage.bucket(bucket)?;
    let (notifier, named) = (node.notifier.clone(), Arc::clone(&bucket));
    let work = async move { Ok(counted("discarded", notifier.discard(&named).await?)) };
    Ok(answer(&carry_out(node, by, "myfsio:DiscardEvents", &bucket, work).await?))
}

/// How many it were, for the answer and for the audit log.
fn counted(name: &str, count: usize) -> (Value, Value) {
    let told = json!({ name: count });
    (told.clone(), if count == 0 { Value::Null } else { told })
}

fn answer(body: &Value) -> HttpResponse {
    respond::json(StatusCode::OK, body)
}

fn target_json(node: &Node, target: &TargetEvents) -> Value {
    let trouble = &target.trouble;
    let refused = trouble.refused.iter().map(|event| {
        json!({
            "sequencer": format!("{:016X}", event.sequence.0),
            "key": event.key,
            "attempts": event.attempts,
            "error": event.error,
            "next_attempt": time(event.until),
        })
    });
    let dead = target.dead_first.iter().map(|queued| {
        json!({
            "error": queued.error,
            "record": record(&queued.event, &queued.configuration, node.notifier.region()),
        })
    });
    json!({
        "target": &*target.target,
        "webhook": target.webhook,
        "pending": length_json(&target.pending),
        "failures": trouble.failures,
        "error": trouble.error,
        "next_attempt": trouble.until.map(time),
        "refused": refused.collect::<Vec<_>>(),
        "dead": length_json(&target.dead),
        "dead_first": dead.collect::<Vec<_>>(),
    })
}

fn length_json(length: &QueueLength) -> Value {
    json!({ "events": length.events, "is_more": length.is_more, "oldest": length.oldest.map(time) })
}

fn time(stamp: Stamp) -> String {
    let mut text = String::new();
    crate::s3::xml::write::time_into(&mut text, stamp);
    text
}

/// Which events a listener wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    bucket: Option<BucketName>,
    prefix: Option<String>,
    event: Option<EventPattern>,
    /// Nothing but warnings of quotas.
    warnings_only: bool,
}

impl EventFilter {
    /// Reads `bucket`, `prefix` and `event` of a query. Errs: InvalidBucketName, InvalidArgument.
    pub fn parse(query: &Query) -> Result<Self, S3Error> {
        let bucket = query.get("bucket").map(BucketName::parse).transpose();
        let warnings_only = query.get("event") == Some(WARNING_EVENT);
        let event = query.get("event").filter(|_| !warnings_only).map(|name| {
            let unknown = || S3Error::invalid_argument("event", name, "There is no such event.");
            EventPattern::parse(name).ok_or_else(unknown)
        });
        Ok(Self {
            bucket: bucket.map_err(|_| ErrorCode::InvalidBucketName)?,
            prefix: query.get("prefix").map(str::to_owned),
            event: event.transpose()?,
            warnings_only,
        })
    }

    fn wants(&self, event: &ObjectEvent) -> bool {
        !self.warnings_only
            && self.bucket.as_ref().is_none_or(|bucket| *bucket == event.bucket)
            && self.prefix.as_deref().is_none_or(|prefix| event.key.as_str().starts_with(prefix))
            && self.event.is_none_or(|pattern| pattern.covers(event.kind.name()))
    }

    /// Whoever asks for some keys or kinds of events alone is not told of quotas.
    fn wants_warning(&self, warning: &QuotaWarning) -> bool {
        self.prefix.is_none()
            && self.event.is_none()
            && self.bucket.as_ref().is_none_or(|bucket| Some(bucket) == warning.bucket.as_ref())
    }
}

/// A listener's end of the stream.
struct EventStream {
    listener: Listener,
    events: Receiver<Arc<ObjectEvent>>,
    warnings: Receiver<Arc<QuotaWarning>>,
    filter: EventFilter,
    region: String,
    /// It was told that it missed something.
    is_over: bool,
}

/// Everything that happens from now on, as server-sent events. Who is too slow is told how many events were missed, and let go, as is
/// who does not administer the node any more. Errs: SlowDown when too many listen.
pub fn listen(node: &Arc<Node>, caller: Caller) -> Answer {
    let filter = EventFilter::parse(caller.query())?;
    let stream = EventStream {
        listener: Listener::begin(node, caller)?,
        events: node.storage.listen(),
        warnings: node.quotas.listen(),
        filter,
        region: node.notifier.region().to_owned(),
        is_over: false,
    };
    Ok(stream::answer(unfold(stream, |mut stream| async move {
        if stream.is_over {
            return None;
        }
        let text = stream.next().await?;
        Some((text, stream))
    })))
}

impl EventStream {
    /// What is sent next; none when the node stops or the caller may not listen any more.
    async fn next(&mut self) -> Option<String> {
        let deadline = Instant::now() + KEEP_ALIVE;
        while self.listener.may_stay().await {
            let received = tokio::select! {
                received = tokio::time::timeout_at(deadline, self.events.recv()) => received,
                // One that was missed is told by the quota itself.
                Ok(told) = self.warnings.recv() => match self.filter.wants_warning(&told) {
                    true => return Some(format!("event: {WARNING_EVENT}\ndata: {}\n\n", warning(&told))),
                    false => continue,
                },
                () = self.listener.stopped() => return None,
            };
            match received {
                Ok(Ok(event)) if self.filter.wants(&event) => return Some(self.text(&event)),
                Ok(Ok(_)) => {}
                Ok(Err(RecvError::Lagged(missed))) => {
                    self.is_over = true;
                    return Some(format!(": {missed} events were missed\n\n"));
                }
                Ok(Err(RecvError::Closed)) => return None,
                Err(_) => return Some(": keep-alive\n\n".to_owned()),
            }
        }
        None
    }

    fn text(&self, event: &ObjectEvent) -> String {
        let sequencer = event.sequence.0;
        format!("id: {sequencer:016X}\nevent: {}\ndata: {}\n\n", event.kind, record(event, "", &self.region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read() {
        let filter = |query: &str| EventFilter::parse(&Query::parse(query).unwrap()).map_err(|error| error.code());
        assert_eq!(filter(""), Ok(EventFilter::default()));
        let all = filter("bucket=photos&prefix=a/&event=s3:ObjectCreated:*").unwrap();
        assert_eq!((all.bucket.unwrap().as_str(), all.prefix.as_deref()), ("photos", Some("a/")));
        let warnings = filter("event=myfsio:QuotaWarning").unwrap();
        assert!(warnings.warnings_only && warnings.event.is_none());
        assert_eq!(filter("bucket=NO"), Err(ErrorCode::InvalidBucketName));
        assert_eq!(filter("event=s3:Nothing"), Err(ErrorCode::InvalidArgument));
    }
}
