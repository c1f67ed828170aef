//! Event notifications (S3 User Guide, "Amazon S3 Event Notifications").

use serde::{Deserialize, Serialize};

/// Who is told of a bucket's events.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Notification {
    /// Targets in the order of the document, their ids unique.
    pub targets: Vec<NotificationTarget>,
    /// Whether the document had `EventBridgeConfiguration`.
    pub event_bridge: bool,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationTarget {
    /// Its id; never empty.
    pub id: String,
    /// The element that it came in: `Topic`, `Queue` or `CloudFunction`.
    pub kind: String,
    /// Its ARN.
    pub arn: String,
    /// Events such as `s3:ObjectCreated:*`.
    pub events: Vec<String>,
    /// Only keys that begin with this.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Only keys that end with this.
    #[serde(default)]
    pub suffix: Option<String>,
}
