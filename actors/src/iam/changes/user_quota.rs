//! How much a user may own.

use serde_json::{Value, json};

use crate::bucket_config::QuotaLimits;
use crate::iam::document::{record, set};
use crate::iam::entries::WhichUser;
use crate::iam::error::IamError;
use crate::iam::messages::{Draft, IamChange};

/// Sets how much a user may own, in whatever buckets; unlimited is no field. For administrators of the node, which whoever sends it
/// has made sure of. Errs: NoSuchEntity.
#[derive(Debug, Clone)]
pub struct SetUserQuota {
    /// The user.
    pub user: WhichUser,
    /// The limits.
    pub quota: QuotaLimits,
}

impl IamChange for SetUserQuota {
    type Answer = ();

    fn action(&self) -> &'static str {
        "myfsio:PutUserQuota"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let (place, user) = draft.directory.find_user(&self.user)?;
        draft.target = user.arn();
        let QuotaLimits { max_bytes, max_objects } = self.quota;
        let quota = json!({ "max_bytes": max_bytes, "max_objects": max_objects });
        let quota: Option<Value> = (!self.quota.is_unlimited()).then_some(quota);
        set(record(draft.document, "users", place)?, "quota", quota);
        Ok(())
    }
}
