//! Server access logging (S3 User Guide, "Logging requests with server access logging").

use serde::{Deserialize, Serialize};

use super::Grant;

/// Where a bucket's access logs go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logging {
    /// The bucket that takes them.
    pub target_bucket: String,
    /// Their keys begin with this.
    pub target_prefix: String,
    /// Who else may read them.
    #[serde(default)]
    pub target_grants: Vec<Grant>,
    /// By which date keys are partitioned; absent means that they are not.
    #[serde(default)]
    pub partitioned_by: Option<PartitionDate>,
    /// Whether the document said that keys are not partitioned, rather than nothing about it.
    #[serde(default)]
    pub simple_prefix: bool,
}

/// The date in partitioned keys (S3 API Reference, PartitionedPrefix).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartitionDate {
    /// Of the requests in the log.
    EventTime,
    /// Of its delivery.
    DeliveryTime,
}
