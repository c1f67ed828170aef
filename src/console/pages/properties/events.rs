//! Who is told of a bucket's events: what is configured, and a form for a further target.

use askama::Template;
use myfsio_actors::bucket_config::{Notification, NotificationTarget, TargetKind};
use myfsio_actors::storage::Bucket;

use super::{begin, revision, saved};
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::Outcome;
use crate::console::units::legible;
use crate::console::visit::{Visit, render};
use crate::within::{Asker, XmlWriter};

/// The page of this screen.
const PAGE: &str = "notifications";
/// Events that the form offers: families, and what people ask for most of the rest.
const OFFERED: [&str; 9] = [
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:Put",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:DeleteMarkerCreated",
    "s3:ObjectTagging:*",
    "s3:ObjectAcl:Put",
    "s3:LifecycleExpiration:*",
    "s3:Replication:*",
];

#[derive(Template)]
#[template(path = "properties/events.html")]
struct EventsPage {
    page: Page,
    bucket: String,
    rows: Vec<TargetRow>,
    offered: [&'static str; 9],
    event_bridge: bool,
    revision: String,
    may_change: bool,
}

struct TargetRow {
    id: String,
    shown: String,
    kind: &'static str,
    arn: String,
    events: Vec<&'static str>,
    keys: String,
}

pub(super) async fn show(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    asker.ask("s3:GetBucketNotification", &bucket).await?;
    let told = bucket.config.notification.clone().unwrap_or_default();
    let name = bucket.name.as_str();
    let words = &visit.t.access;
    let row = |target: &NotificationTarget| TargetRow {
        shown: legible(&target.id),
        id: target.id.clone(),
        kind: match target.kind {
            TargetKind::Topic => words.topic,
            TargetKind::Queue => words.queue,
            TargetKind::Function => words.function,
        },
        arn: legible(&target.arn),
        events: target.events.iter().map(|event| event.as_str()).collect(),
        keys: match (&target.prefix, &target.suffix) {
            (None, None) => words.all_keys.to_owned(),
            (prefix, suffix) => {
                legible(&format!("{}…{}", prefix.as_deref().unwrap_or_default(), suffix.as_deref().unwrap_or_default()))
            }
        },
    };
    let view = EventsPage {
        rows: told.targets.iter().map(row).collect(),
        offered: OFFERED,
        event_bridge: told.event_bridge,
        revision: revision(&bucket, "notification"),
        may_change: asker.may("s3:PutBucketNotification", Some(&bucket), None),
        page: visit
            .page(visit.t.properties.events)
            .for_bucket(asker, &bucket, "properties")
            .crumb(visit.t.properties.title, links::bucket(name, "properties")),
        bucket: name.to_owned(),
    };
    render(&view)
}

/// Adds a target.
pub(super) async fn add(visit: Visit) -> Outcome {
    let (bucket, asker) = begin(&visit, "s3:PutBucketNotification", "notification").await?;
    let form = &visit.form;
    let (arn, events) = (form.text("arn"), form.all("event").collect::<Vec<_>>());
    if arn.is_empty() || events.is_empty() {
        return Err(Failure::input(visit.t.access.target_empty));
    }
    let known = bucket.config.notification.clone().unwrap_or_default();
    let filters = [("prefix", form.filled("prefix")), ("suffix", form.filled("suffix"))];
    let kind = if form.text("kind") == "topic" { TargetKind::Topic } else { TargetKind::Queue };
    let mut document = XmlWriter::new("NotificationConfiguration");
    for target in &known.targets {
        write_known(&mut document, target);
    }
    write(&mut document, kind, form.filled("id"), arn, events.into_iter(), filters);
    put(&visit, &asker, &bucket, document, &known, form.is_on("untested")).await
}

/// Removes a target. Those that stay are not tested again: one of them may be away.
pub(super) async fn remove(visit: Visit) -> Outcome {
    let (bucket, asker) = begin(&visit, "s3:PutBucketNotification", "notification").await?;
    let known = bucket.config.notification.clone().unwrap_or_default();
    let id = visit.form.raw("id").unwrap_or_default();
    let mut document = XmlWriter::new("NotificationConfiguration");
    for target in known.targets.iter().filter(|target| target.id != id) {
        write_known(&mut document, target);
    }
    put(&visit, &asker, &bucket, document, &known, true).await
}

async fn put(
    visit: &Visit,
    asker: &Asker,
    bucket: &Bucket,
    mut document: XmlWriter,
    known: &Notification,
    is_untested: bool,
) -> Outcome {
    if known.event_bridge {
        document.open("EventBridgeConfiguration").close();
    }
    let headers: &[_] = if is_untested { &[("x-amz-skip-destination-validation", "true")] } else { &[] };
    asker.put_document_with(&bucket.name, "notification", &document.finish(), headers).await?;
    saved(visit, bucket, PAGE)
}

fn write_known(document: &mut XmlWriter, target: &NotificationTarget) {
    let filters = [("prefix", target.prefix.as_deref()), ("suffix", target.suffix.as_deref())];
    let events = target.events.iter().map(|event| event.as_str());
    write(document, target.kind, Some(&target.id), &target.arn, events, filters);
}

fn write<'a>(
    document: &mut XmlWriter,
    kind: TargetKind,
    id: Option<&str>,
    arn: &str,
    events: impl Iterator<Item = &'a str>,
    filters: [(&str, Option<&str>); 2],
) {
    let (element, of_arn) = match kind {
        TargetKind::Topic => ("TopicConfiguration", "Topic"),
        TargetKind::Queue => ("QueueConfiguration", "Queue"),
        TargetKind::Function => ("CloudFunctionConfiguration", "CloudFunction"),
    };
    document.open(element).text_if("Id", id).text(of_arn, arn);
    for event in events {
        document.text("Event", event);
    }
    if filters.iter().any(|(_, value)| value.is_some()) {
        document.open("Filter").open("S3Key");
        for (name, value) in filters {
            if let Some(value) = value {
                document.open("FilterRule").text("Name", name).text("Value", value).close();
            }
        }
        document.close().close();
    }
    document.close();
}
