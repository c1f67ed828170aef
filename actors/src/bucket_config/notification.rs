//! Event notifications (S3 User Guide, "Amazon S3 Event Notifications"): who is told of which events, and which configuration
//! an event belongs to.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who is told of a bucket's events.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Notification {
    /// Targets, topics first, then queues; their ids unique.
    pub targets: Vec<NotificationTarget>,
    /// Whether the document had `EventBridgeConfiguration`: everything is told to the event bus.
    pub event_bridge: bool,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationTarget {
    /// Its id; never empty.
    pub id: String,
    /// The element that it came in.
    pub kind: TargetKind,
    /// Its ARN.
    pub arn: String,
    /// What it is told of; at least one.
    pub events: Vec<EventPattern>,
    /// Only keys that begin with this.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Only keys that end with this.
    #[serde(default)]
    pub suffix: Option<String>,
}

/// What a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TargetKind {
    /// `TopicConfiguration`.
    Topic,
    /// `QueueConfiguration`.
    Queue,
    /// `CloudFunctionConfiguration`.
    Function,
}

/// Events that a configuration may name (S3 API Reference, NotificationConfiguration). Those that this node never has, such as
/// of restoring from an archive, are taken all the same.
const PATTERNS: &[&str] = &[
    "s3:IntelligentTiering",
    "s3:LifecycleExpiration:*",
    "s3:LifecycleExpiration:Delete",
    "s3:LifecycleExpiration:DeleteMarkerCreated",
    "s3:LifecycleTransition",
    "s3:ObjectAcl:Put",
    "s3:ObjectAnnotation:*",
    "s3:ObjectAnnotation:Delete",
    "s3:ObjectAnnotation:Put",
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Put",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:Delete",
    "s3:ObjectRemoved:DeleteMarkerCreated",
    "s3:ObjectRestore:*",
    "s3:ObjectRestore:Completed",
    "s3:ObjectRestore:Delete",
    "s3:ObjectRestore:Post",
    "s3:ObjectRetention:Put",
    "s3:ObjectTagging:*",
    "s3:ObjectTagging:Delete",
    "s3:ObjectTagging:Put",
    "s3:ReducedRedundancyLostObject",
    "s3:Replication:*",
    "s3:Replication:OperationFailedReplication",
    "s3:Replication:OperationMissedThreshold",
    "s3:Replication:OperationNotTracked",
    "s3:Replication:OperationReplicatedAfterThreshold",
];

/// One event of S3's list, or all of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventPattern(&'static str);

impl EventPattern {
    /// The pattern of this name, if S3 knows it.
    pub fn parse(name: &str) -> Option<Self> {
        PATTERNS.iter().find(|known| **known == name).map(|known| Self(known))
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Whether an event of this name is meant.
    pub fn covers(self, event: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(family) => event.starts_with(family),
            None => self.0 == event,
        }
    }

    /// Whether some event is meant by both.
    pub fn overlaps(self, other: Self) -> bool {
        self.covers(other.0) || other.covers(self.0)
    }
}

impl Serialize for EventPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for EventPattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&name).ok_or_else(|| serde::de::Error::custom(format!("`{name}` is no event")))
    }
}

macro_rules! events {
    ($($name:ident $code:literal $text:literal;)+) => {
        /// What happened to a key, as S3 calls it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EventKind {
            $(#[doc = $text] $name,)+
        }

        impl EventKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name, such as `s3:ObjectCreated:Put`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// Its number in rows.
            pub fn code(self) -> u8 {
                match self { $(Self::$name => $code,)+ }
            }
        }
    };
}

events! {
    CreatedByPut 0 "s3:ObjectCreated:Put";
    CreatedByPost 1 "s3:ObjectCreated:Post";
    CreatedByCopy 2 "s3:ObjectCreated:Copy";
    CreatedByUpload 3 "s3:ObjectCreated:CompleteMultipartUpload";
    Removed 4 "s3:ObjectRemoved:Delete";
    MarkerCreated 5 "s3:ObjectRemoved:DeleteMarkerCreated";
    Expired 6 "s3:LifecycleExpiration:Delete";
    ExpiredByMarker 7 "s3:LifecycleExpiration:DeleteMarkerCreated";
    Tagged 8 "s3:ObjectTagging:Put";
    Untagged 9 "s3:ObjectTagging:Delete";
    AclChanged 10 "s3:ObjectAcl:Put";
    RetentionChanged 11 "s3:ObjectRetention:Put";
}

impl EventKind {
    /// The kind of this number.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }

    /// Whether S3 tells the event bus of it (S3 User Guide, "Using EventBridge").
    pub fn is_told_to_the_bus(self) -> bool {
        self != Self::RetentionChanged
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl NotificationTarget {
    /// Whether it is told of this event on this key.
    pub fn is_told(&self, event: EventKind, key: &str) -> bool {
        self.events.iter().any(|pattern| pattern.covers(event.name()))
            && self.prefix.as_deref().is_none_or(|prefix| key.starts_with(prefix))
            && self.suffix.as_deref().is_none_or(|suffix| key.ends_with(suffix))
    }

    /// Whether an event on some key would be told to both.
    fn overlaps(&self, other: &Self) -> bool {
        let (prefix, other_prefix) = (text(&self.prefix), text(&other.prefix));
        let (suffix, other_suffix) = (text(&self.suffix), text(&other.suffix));
        self.events.iter().any(|event| other.events.iter().any(|other| event.overlaps(*other)))
            && (prefix.starts_with(other_prefix) || other_prefix.starts_with(prefix))
            && (suffix.ends_with(other_suffix) || other_suffix.ends_with(suffix))
    }
}

fn text(filter: &Option<String>) -> &str {
    filter.as_deref().unwrap_or_default()
}

/// Why a configuration is ambiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// Two targets without filters share an event.
    Unfiltered,
    /// Two targets share an event, and some keys fit the filters of both.
    Filtered,
}

impl Notification {
    /// Whether an event may belong to two targets, which S3 does not allow.
    pub fn overlap(&self) -> Option<Overlap> {
        let is_filtered = |target: &NotificationTarget| target.prefix.is_some() || target.suffix.is_some();
        let pairs = self
            .targets
            .iter()
            .enumerate()
            .flat_map(|(at, target)| self.targets.iter().skip(at + 1).map(move |other| (target, other)));
        let (target, other) = pairs.into_iter().find(|(target, other)| target.overlaps(other))?;
        Some(if is_filtered(target) || is_filtered(other) { Overlap::Filtered } else { Overlap::Unfiltered })
    }

    /// Whether nobody is told of anything.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty() && !self.event_bridge
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(event: &str, prefix: Option<&str>, suffix: Option<&str>) -> NotificationTarget {
        NotificationTarget {
            id: "id".to_owned(),
            kind: TargetKind::Queue,
            arn: "arn:aws:sqs:us-east-1:0:q".to_owned(),
            events: vec![EventPattern::parse(event).unwrap()],
            prefix: prefix.map(str::to_owned),
            suffix: suffix.map(str::to_owned),
        }
    }

    fn overlap(one: NotificationTarget, other: NotificationTarget) -> Option<Overlap> {
        Notification { targets: vec![one, other], event_bridge: false }.overlap()
    }

    #[test]
    fn every_event_has_a_pattern_and_a_number() {
        for kind in EventKind::ALL {
            assert!(EventPattern::parse(kind.name()).unwrap().covers(kind.name()));
            assert_eq!(EventKind::of_code(kind.code()), Some(*kind));
            let family = format!("{}:*", kind.name().rsplit_once(':').unwrap().0);
            if let Some(family) = EventPattern::parse(&family) {
                assert!(family.covers(kind.name()));
            }
        }
        assert!(PATTERNS.is_sorted());
        for unknown in ["", "*", "s3:*", "s3:ObjectCreated", "s3:ObjectAcl:*", "s3:objectcreated:put"] {
            assert_eq!(EventPattern::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn overlaps_are_as_s3_has_them() {
        let all = "s3:ObjectCreated:*";
        assert_eq!(
            overlap(target(all, None, None), target("s3:ObjectCreated:Put", None, None)),
            Some(Overlap::Unfiltered)
        );
        assert_eq!(overlap(target(all, None, None), target("s3:ObjectRemoved:*", None, None)), None);
        assert_eq!(overlap(target(all, Some("a/"), None), target(all, Some("b/"), None)), None);
        assert_eq!(overlap(target(all, Some("a/"), None), target(all, Some("a/b"), None)), Some(Overlap::Filtered));
        assert_eq!(overlap(target(all, None, Some(".jpg")), target(all, Some("a"), None)), Some(Overlap::Filtered));
        assert_eq!(overlap(target(all, Some("a"), Some(".jpg")), target(all, Some("a"), Some(".png"))), None);
        assert_eq!(overlap(target(all, None, Some("g")), target(all, Some(""), Some("pg"))), Some(Overlap::Filtered));
    }

    proptest! {
        /// If two targets do not overlap, no key is told to both; if a key is, they overlap.
        #[test]
        fn a_key_has_one_target(
            filters in prop::array::uniform4(prop::option::of("[ab]{0,3}")),
            key in "[ab]{0,6}",
        ) {
            let [p, s, q, t] = &filters;
            let one = target("s3:ObjectCreated:*", p.as_deref(), s.as_deref());
            let other = target("s3:ObjectCreated:Put", q.as_deref(), t.as_deref());
            let both = one.is_told(EventKind::CreatedByPut, &key) && other.is_told(EventKind::CreatedByPut, &key);
            prop_assert!(!both || overlap(one, other).is_some());
        }

        #[test]
        fn a_configuration_survives_its_row(prefix in prop::option::of(".{0,9}"), bridge: bool) {
            let notification = Notification {
                targets: vec![target("s3:ObjectTagging:*", prefix.as_deref(), None)],
                event_bridge: bridge,
            };
            let text = serde_json::to_string(&notification).unwrap();
            prop_assert_eq!(serde_json::from_str::<Notification>(&text).unwrap(), notification);
        }
    }
}
