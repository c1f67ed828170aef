//! `NotificationConfiguration` (S3 API Reference, PutBucketNotificationConfiguration), read with S3's own refusals, and written.

use std::collections::HashSet;

use myfsio_actors::bucket_config::{EventPattern, Notification, NotificationTarget, Overlap, TargetKind};

use super::read::{self, Element, MalformedXml};
use super::write::XmlWriter;
use crate::s3::error::{ErrorCode, S3Error};

/// Largest document in bytes: 100 targets with filters of 1024 bytes each, written as references, fit.
pub const NOTIFICATION_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Most targets of a bucket (S3 User Guide, "Amazon S3 event notification quotas").
const TARGETS_MAX: usize = 100;
/// Largest value of a filter rule, in bytes.
const FILTER_BYTES_MAX: usize = 1024;
/// Longest id.
const ID_CHARS_MAX: usize = 255;

/// The elements of a kind of target: its own, and that of its ARN.
fn elements(kind: TargetKind) -> (&'static str, &'static str) {
    match kind {
        TargetKind::Topic => ("TopicConfiguration", "Topic"),
        TargetKind::Queue => ("QueueConfiguration", "Queue"),
        TargetKind::Function => ("CloudFunctionConfiguration", "CloudFunction"),
    }
}

const KINDS: [TargetKind; 3] = [TargetKind::Topic, TargetKind::Queue, TargetKind::Function];

/// Reads `NotificationConfiguration`. A target without an id gets none here. Errs: MalformedXML, InvalidArgument.
pub fn notification_configuration(body: &[u8]) -> Result<Notification, S3Error> {
    let root = read::parse(body, "NotificationConfiguration")?;
    let mut notification = Notification::default();
    for child in root.branch()? {
        let kind = KINDS.into_iter().find(|kind| elements(*kind).0 == child.name);
        match (kind, child.name.as_str()) {
            (Some(kind), _) => notification.targets.push(target(child, kind)?),
            (None, "EventBridgeConfiguration") => notification.event_bridge = true,
            _ => return Err(child.unexpected().into()),
        }
    }
    // As they are written: one kind after the other.
    notification.targets.sort_by_key(|target| target.kind);
    check(&notification)?;
    Ok(notification)
}

fn check(notification: &Notification) -> Result<(), S3Error> {
    if notification.targets.len() > TARGETS_MAX {
        let count = notification.targets.len().to_string();
        let message = "The number of notification configurations of a bucket cannot exceed 100.";
        return Err(S3Error::invalid_argument("NotificationConfiguration", &count, message));
    }
    let mut ids = HashSet::new();
    let given = notification.targets.iter().map(|target| target.id.as_str()).filter(|id| !id.is_empty());
    for id in given {
        if !ids.insert(id) {
            return Err(S3Error::invalid_argument(
                "Id",
                id,
                "Same ID used for multiple configurations. IDs must be unique",
            ));
        }
    }
    let message = match notification.overlap() {
        None => return Ok(()),
        Some(Overlap::Unfiltered) => {
            "Configurations overlap. Configurations on the same bucket cannot share a common event type."
        }
        Some(Overlap::Filtered) => {
            "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are \
             overlapping for the same event type."
        }
    };
    Err(S3Error::with_message(ErrorCode::InvalidArgument, message))
}

fn target(element: &Element, kind: TargetKind) -> Result<NotificationTarget, S3Error> {
    let (_, arn_element) = elements(kind);
    let (mut id, mut arn, mut events, mut filter) = (None, None, Vec::new(), None);
    for child in element.branch()? {
        match child.name.as_str() {
            "Id" if id.is_none() => id = Some(self::id(child)?),
            "Event" => events.push(event(child)?),
            "Filter" if filter.is_none() => filter = Some(self::filter(child)?),
            name if name == arn_element && arn.is_none() => arn = Some(child.leaf()?.trim().to_owned()),
            _ => return Err(child.unexpected().into()),
        }
    }
    let Some(arn) = arn.filter(|_| !events.is_empty()) else {
        return Err(MalformedXml::new(format!("a {} without {arn_element} or Event", element.name)).into());
    };
    let (prefix, suffix) = filter.unwrap_or_default();
    Ok(NotificationTarget { id: id.unwrap_or_default(), kind, arn, events, prefix, suffix })
}

fn id(element: &Element) -> Result<String, S3Error> {
    let id = element.leaf()?;
    if id.chars().count() > ID_CHARS_MAX {
        return Err(S3Error::invalid_argument("Id", id, "The ID must not be longer than 255 characters."));
    }
    Ok(id.to_owned())
}

fn event(element: &Element) -> Result<EventPattern, S3Error> {
    let name = element.leaf()?.trim();
    EventPattern::parse(name).ok_or_else(|| {
        S3Error::invalid_argument("Event", name, "A specified event is not supported for notifications.")
    })
}

type Filter = (Option<String>, Option<String>);

/// Prefix and suffix.
fn filter(element: &Element) -> Result<Filter, S3Error> {
    let mut filter = Filter::default();
    for key in element.branch()? {
        if key.name != "S3Key" {
            return Err(key.unexpected().into());
        }
        for rule in key.branch()? {
            if rule.name != "FilterRule" {
                return Err(rule.unexpected().into());
            }
            filter_rule(rule, &mut filter)?;
        }
    }
    Ok(filter)
}

fn filter_rule(rule: &Element, (prefix, suffix): &mut Filter) -> Result<(), S3Error> {
    let (mut name, mut value) = (None, None);
    for child in rule.branch()? {
        match child.name.as_str() {
            "Name" if name.is_none() => name = Some(child.leaf()?),
            "Value" if value.is_none() => value = Some(child.leaf()?),
            _ => return Err(child.unexpected().into()),
        }
    }
    let (Some(name), Some(value)) = (name, value) else {
        return Err(MalformedXml::new("a FilterRule without Name or Value").into());
    };
    let refuse = |message| Err(S3Error::invalid_argument("FilterRule", name, message));
    if value.len() > FILTER_BYTES_MAX {
        return refuse("Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation");
    }
    let (place, twice) = match name.to_ascii_lowercase().as_str() {
        "prefix" => (prefix, "Cannot specify more than one prefix rule in a filter."),
        "suffix" => (suffix, "Cannot specify more than one suffix rule in a filter."),
        _ => return refuse("filter rule name must be either prefix or suffix"),
    };
    if place.is_some() {
        return refuse(twice);
    }
    *place = Some(value.to_owned());
    Ok(())
}

/// Writes `NotificationConfiguration`; empty when nothing is configured.
pub fn write_notification_configuration(notification: Option<&Notification>) -> String {
    let mut xml = XmlWriter::new("NotificationConfiguration");
    let targets = notification.map(|notification| notification.targets.as_slice()).unwrap_or_default();
    for kind in KINDS {
        let (name, arn_element) = elements(kind);
        for target in targets.iter().filter(|target| target.kind == kind) {
            xml.open(name).text("Id", &target.id).text(arn_element, &target.arn);
            for event in &target.events {
                xml.text("Event", event.as_str());
            }
            if target.prefix.is_some() || target.suffix.is_some() {
                xml.open("Filter").open("S3Key");
                for (rule, value) in [("Prefix", &target.prefix), ("Suffix", &target.suffix)] {
                    if let Some(value) = value {
                        xml.open("FilterRule").text("Name", rule).text("Value", value).close();
                    }
                }
                xml.close().close();
            }
            xml.close();
        }
    }
    if notification.is_some_and(|notification| notification.event_bridge) {
        xml.open("EventBridgeConfiguration").close();
    }
    xml.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(inner: &str) -> Result<Notification, S3Error> {
        notification_configuration(format!("<NotificationConfiguration>{inner}</NotificationConfiguration>").as_bytes())
    }

    fn queue(inner: &str) -> String {
        format!(
            "<QueueConfiguration><Queue>arn:aws:sqs:us-east-1:1:q</Queue><Event>s3:ObjectCreated:*</Event>{inner}</QueueConfiguration>"
        )
    }

    fn filter(rules: &[(&str, &str)]) -> String {
        let rule = |(name, value): &(&str, &str)| {
            format!("<FilterRule><Name>{name}</Name><Value>{value}</Value></FilterRule>")
        };
        let rules: String = rules.iter().map(rule).collect();
        format!("<Filter><S3Key>{rules}</S3Key></Filter>")
    }

    #[test]
    fn targets_are_read() {
        assert_eq!(read("").unwrap(), Notification::default());
        let document = format!(
            "<TopicConfiguration><Id>one</Id><Topic>arn:aws:sns:us-east-1:1:t</Topic><Event>s3:ObjectRemoved:Delete</Event>\
             <Event>s3:ObjectAcl:Put</Event></TopicConfiguration>{}<CloudFunctionConfiguration>\
             <CloudFunction>arn:aws:lambda:us-east-1:1:function:f</CloudFunction><Event>s3:ObjectTagging:*</Event>\
             </CloudFunctionConfiguration><EventBridgeConfiguration/>",
            queue(&filter(&[("prefix", "a/"), ("Suffix", ".jpg")]))
        );
        let notification = read(&document).unwrap();
        assert!(notification.event_bridge);
        let [topic, queue, function] = notification.targets.as_slice() else { panic!("{notification:?}") };
        assert_eq!((topic.id.as_str(), topic.kind, topic.events.len()), ("one", TargetKind::Topic, 2));
        assert_eq!((queue.prefix.as_deref(), queue.suffix.as_deref()), (Some("a/"), Some(".jpg")));
        assert_eq!((function.id.as_str(), function.kind), ("", TargetKind::Function));
    }

    #[test]
    fn what_s3_refuses_is_refused() {
        let event =
            |name: &str| format!("<QueueConfiguration><Queue>arn</Queue><Event>{name}</Event></QueueConfiguration>");
        let long = "x".repeat(1025);
        for (document, part) in [
            (event("s3:ObjectCreated:Nothing"), "not supported"),
            (event(""), "not supported"),
            (queue(&filter(&[("middle", "a")])), "either prefix or suffix"),
            (queue(&filter(&[("prefix", "a"), ("Prefix", "b")])), "more than one prefix"),
            (queue(&filter(&[("suffix", "a"), ("suffix", "a")])), "more than one suffix"),
            (queue(&filter(&[("suffix", &long)])), "1024 bytes"),
            (queue(&format!("<Id>{}</Id>", "x".repeat(256))), "255 characters"),
            (queue("") + &queue(""), "Configurations overlap"),
            (queue("") + &queue(&filter(&[("prefix", "a")])), "ambiguously defined"),
            (
                queue(&format!("<Id>x</Id>{}", filter(&[("prefix", "a")])))
                    + &queue(&format!("<Id>x</Id>{}", filter(&[("prefix", "b")]))),
                "unique",
            ),
        ] {
            let error = read(&document).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidArgument, "{document}");
            assert!(error.message().contains(part), "{}", error.message());
        }
        for document in [
            "<Other/>".to_owned(),
            "<QueueConfiguration><Queue>arn</Queue></QueueConfiguration>".to_owned(),
            "<QueueConfiguration><Event>s3:ObjectAcl:Put</Event></QueueConfiguration>".to_owned(),
            queue("<Topic>arn</Topic>"),
            queue("<Queue>arn</Queue>"),
            queue("<Filter><S3Key><FilterRule><Name>prefix</Name></FilterRule></S3Key></Filter>"),
            queue("<Filter><Tag/></Filter>"),
        ] {
            assert_eq!(read(&document).unwrap_err().code(), ErrorCode::MalformedXML, "{document}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            targets in prop::collection::vec((0usize..3, prop::option::of("(?s).{0,9}"), prop::option::of("(?s).{0,9}")), 0..4),
            bridge: bool,
        ) {
            let events = ["s3:ObjectCreated:Put", "s3:ObjectRemoved:*", "s3:ObjectAcl:Put", "s3:ObjectTagging:Put"];
            let mut targets: Vec<_> = targets.into_iter().zip(events).enumerate().map(|(at, ((kind, prefix, suffix), event))| {
                let (kind, events) = (KINDS[kind], vec![EventPattern::parse(event).unwrap()]);
                NotificationTarget { id: format!("<{at}>"), kind, arn: "arn:&".to_owned(), events, prefix, suffix }
            }).collect();
            targets.sort_by_key(|target| target.kind);
            let notification = Notification { targets, event_bridge: bridge };
            let text = write_notification_configuration(Some(&notification));
            prop_assert_eq!(notification_configuration(text.as_bytes()).unwrap(), notification);
        }

        #[test]
        fn nothing_panics(text in "[<>/a&;\"=A-Z ]{0,80}") {
            let _ = notification_configuration(text.as_bytes());
        }
    }
}
