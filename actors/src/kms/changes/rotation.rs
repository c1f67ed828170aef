//! New materials for keys (KMS Developer Guide, "Rotating AWS KMS keys"). Former ones stay, and open what they sealed.

use std::ops::RangeInclusive;

use crate::encryption::DataKey;
use crate::kms::error::KmsError;
use crate::kms::key::{Cause, Rotation};
use crate::kms::keyring::seal_material;
use crate::kms::master::Masters;
use crate::kms::messages::{Draft, KmsChange};
use crate::kms::records::{KeyRecord, MaterialRecord};
use crate::names::Stamp;

/// How often a key may be rotated by itself, in days.
pub const ROTATION_DAYS: RangeInclusive<u32> = 90..=2560;
/// How often it is when nothing is said, in days.
pub const ROTATION_DAYS_DEFAULT: u32 = 365;
/// Most materials of a key.
const MATERIALS_MAX: usize = 1_000;

/// Gives a key a new material (KMS API Reference, RotateKeyOnDemand). Errs: Disabled, PendingDeletion, ManagedByNode, LimitExceeded.
#[derive(Debug)]
pub(in crate::kms) struct Rotate {
    pub key: String,
}

impl KmsChange for Rotate {
    type Answer = String;

    fn action(&self) -> &'static str {
        "kms:RotateKeyOnDemand"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<String, KmsError> {
        let (masters, now) = (draft.masters, draft.now);
        let (key, record) = draft.key(&self.key)?;
        key.check_managed_by_customer("it is rotated by itself")?;
        key.check_usable()?;
        new_material(record, Cause::OnDemand, masters, now)?;
        Ok(key.id.clone())
    }
}

/// Turns automatic rotation on, each so many days, or off (KMS API Reference, EnableKeyRotation and DisableKeyRotation). Errs:
/// Disabled, PendingDeletion, ManagedByNode, Validation.
#[derive(Debug)]
pub(in crate::kms) struct SetRotation {
    pub key: String,
    pub period_days: Option<u32>,
}

impl KmsChange for SetRotation {
    type Answer = String;

    fn action(&self) -> &'static str {
        match self.period_days {
            Some(_) => "kms:EnableKeyRotation",
            None => "kms:DisableKeyRotation",
        }
    }

    fn is_upkeep(&self) -> bool {
        true
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<String, KmsError> {
        let now = draft.now;
        if let Some(days) = self.period_days.filter(|days| !ROTATION_DAYS.contains(days)) {
            return Err(KmsError::out_of_range("rotationPeriodInDays", days, "value between 90 and 2560"));
        }
        let (key, record) = draft.key(&self.key)?;
        key.check_managed_by_customer("its rotation cannot be changed")?;
        key.check_usable()?;
        // Another period counts from the same day as the former one.
        let since = key.rotation.map_or(now, |rotation| rotation.since);
        record.rotation = self.period_days.map(|period_days| Rotation { since, period_days });
        Ok(key.id.clone())
    }
}

/// Gives a key its new material when that is due; nothing else if it is not, or not any more.
#[derive(Debug)]
pub(in crate::kms) struct RotateDue {
    pub key: String,
}

impl KmsChange for RotateDue {
    type Answer = ();

    fn action(&self) -> &'static str {
        "kms:RotateKey"
    }

    fn is_upkeep(&self) -> bool {
        true
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), KmsError> {
        let (masters, now) = (draft.masters, draft.now);
        let (key, record) = draft.key(&self.key)?;
        let Some(rotation) = key.rotation.filter(|rotation| key.check_usable().is_ok() && rotation.next() <= now)
        else {
            return Ok(());
        };
        record.rotation = Some(Rotation { since: now, ..rotation });
        new_material(record, Cause::Automatic, masters, now)
    }
}

/// Adds a random material, sealed under the current master key.
pub(super) fn new_material(
    record: &mut KeyRecord,
    cause: Cause,
    masters: &Masters,
    now: Stamp,
) -> Result<(), KmsError> {
    if record.materials.len() >= MATERIALS_MAX {
        return Err(KmsError::LimitExceeded(format!("A key has at most {MATERIALS_MAX} materials.")));
    }
    let version = record.materials.last().map_or(0, |material| material.version).saturating_add(1);
    let sealed = seal_material(&masters.current, &record.id, version, &DataKey::random()?)?;
    record.materials.push(MaterialRecord { version, created_at: now, cause, sealed });
    Ok(())
}
