//! Turning keys off and on (KMS Developer Guide, "Enabling and disabling keys").

use crate::kms::error::KmsError;
use crate::kms::messages::{Draft, KmsChange};
use crate::kms::records::StateRecord;

/// Lets a key be used (KMS API Reference, EnableKey). Errs: PendingDeletion.
#[derive(Debug)]
pub(in crate::kms) struct Enable {
    pub key: String,
}

impl KmsChange for Enable {
    type Answer = String;

    fn action(&self) -> &'static str {
        "kms:EnableKey"
    }

    fn is_upkeep(&self) -> bool {
        true
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<String, KmsError> {
        set_state(draft, &self.key, StateRecord::Enabled)
    }
}

/// Lets a key not be used, neither to seal nor to open (KMS API Reference, DisableKey). Errs: PendingDeletion, ManagedByNode.
#[derive(Debug)]
pub(in crate::kms) struct Disable {
    pub key: String,
}

impl KmsChange for Disable {
    type Answer = String;

    fn action(&self) -> &'static str {
        "kms:DisableKey"
    }

    fn is_upkeep(&self) -> bool {
        true
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<String, KmsError> {
        let (key, _) = draft.key(&self.key)?;
        key.check_managed_by_customer("it cannot be disabled")?;
        set_state(draft, &self.key, StateRecord::Disabled)
    }
}

fn set_state(draft: &mut Draft<'_>, name: &str, state: StateRecord) -> Result<String, KmsError> {
    let (key, record) = draft.key(name)?;
    key.check_stays()?;
    record.state = state;
    Ok(key.id.clone())
}
