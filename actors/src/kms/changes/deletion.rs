//! Deleting keys, which nobody can take back once the waiting period is over (KMS Developer Guide, "Deleting AWS KMS keys").

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::encryption::KeyUse;
use crate::kms::error::KmsError;
use crate::kms::key::KeyState;
use crate::kms::messages::{Draft, KmsChange};
use crate::kms::records::{DestroyedRecord, StateRecord};
use crate::names::Stamp;

/// How long a key may wait for its deletion, in days.
pub const WAITING_DAYS: RangeInclusive<u32> = 7..=30;
/// How long it waits when nothing is said, in days.
pub const WAITING_DAYS_DEFAULT: u32 = 30;

/// Has a key deleted in so many days; until then it cannot be used (KMS API Reference, ScheduleKeyDeletion). Errs: PendingDeletion,
/// ManagedByNode, Validation.
#[derive(Debug)]
pub(in crate::kms) struct ScheduleDeletion {
    pub key: String,
    pub days: u32,
    /// What is under the key.
    pub affected: KeyUse,
}

impl KmsChange for ScheduleDeletion {
    /// Its id, and when that will be.
    type Answer = (String, Stamp);

    fn action(&self) -> &'static str {
        "kms:ScheduleKeyDeletion"
    }

    fn is_upkeep(&self) -> bool {
        true
    }

    fn note(&self) -> Map<String, Value> {
        let KeyUse { objects, uploads } = self.affected;
        [("affected_objects", objects), ("affected_uploads", uploads)]
            .map(|(name, count)| (name.to_owned(), count.into()))
            .into_iter()
            .collect()
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(String, Stamp), KmsError> {
        if !WAITING_DAYS.contains(&self.days) {
            return Err(KmsError::out_of_range("pendingWindowInDays", self.days, "value between 7 and 30"));
        }
        let at = draft.now.after(u64::from(self.days) * 86_400);
        let (key, record) = draft.key(&self.key)?;
        key.check_managed_by_customer("it cannot be deleted")?;
        key.check_stays()?;
        record.state = StateRecord::PendingDeletion;
        record.delete_at = Some(at);
        Ok((key.id.clone(), at))
    }
}

/// Keeps a key that waits for its deletion, disabled (KMS API Reference, CancelKeyDeletion). Errs: NotPendingDeletion.
#[derive(Debug)]
pub(in crate::kms) struct CancelDeletion {
    pub key: String,
}

impl KmsChange for CancelDeletion {
    type Answer = String;

    fn action(&self) -> &'static str {
        "kms:CancelKeyDeletion"
    }

    fn is_upkeep(&self) -> bool {
        true
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<String, KmsError> {
        let (key, record) = draft.key(&self.key)?;
        if !matches!(key.state, KeyState::PendingDeletion { .. }) {
            return Err(KmsError::NotPendingDeletion { arn: key.arn.clone() });
        }
        record.state = StateRecord::Disabled;
        record.delete_at = None;
        Ok(key.id.clone())
    }
}

/// Destroys a key whose waiting period is over; nothing else if it is not, or was cancelled. What stays is that there was one.
#[derive(Debug)]
pub(in crate::kms) struct Destroy {
    pub key: String,
}

impl KmsChange for Destroy {
    type Answer = ();

    fn action(&self) -> &'static str {
        "kms:DeleteKey"
    }

    fn is_upkeep(&self) -> bool {
        true
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), KmsError> {
        let now = draft.now;
        let (key, record) = draft.key(&self.key)?;
        let KeyState::PendingDeletion { at } = key.state else { return Ok(()) };
        if at > now {
            return Ok(());
        }
        let destroyed = DestroyedRecord {
            id: record.id.clone(),
            region: record.region.clone(),
            account: record.account.clone(),
            description: String::new(),
            destroyed_at: now,
            other: Map::new(),
        };
        draft.file.keys.retain(|record| record.id != key.id);
        draft.file.aliases.retain(|alias| alias.key_id != key.id);
        draft.file.destroyed.push(destroyed);
        Ok(())
    }
}
