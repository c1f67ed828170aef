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
    /// The element `TargetObjectKeyFormat`: whether keys are partitioned by date, and by which; absent means not.
    #[serde(default)]
    pub partitioned_by: Option<String>,
}
