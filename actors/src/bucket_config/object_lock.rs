//! Object Lock (S3 User Guide, "Locking objects with Object Lock").

use serde::{Deserialize, Serialize};

/// Object Lock of a bucket: on, since it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ObjectLock {
    /// Retention of new objects that say nothing.
    pub default: Option<DefaultRetention>,
}

/// Retention of new objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultRetention {
    /// How strong it is.
    pub mode: RetentionMode,
    /// How long.
    pub period: RetentionPeriod,
}

/// How long a default retention lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetentionPeriod {
    /// So many days of 24 hours.
    Days(u32),
    /// So many years of 365 days.
    Years(u32),
}

/// How strong a retention is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetentionMode {
    /// Who has the permission may lift it.
    Governance,
    /// Nobody may lift or shorten it.
    Compliance,
}

/// Until when a version may not be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// How strong it is.
    pub mode: RetentionMode,
    /// Until when, in milliseconds since 1970.
    pub until_millis: u64,
}

impl DefaultRetention {
    /// The retention of an object made at `now_millis`.
    pub fn from(self, now_millis: u64) -> Retention {
        let days = match self.period {
            RetentionPeriod::Days(days) => u64::from(days),
            RetentionPeriod::Years(years) => u64::from(years) * 365,
        };
        Retention { mode: self.mode, until_millis: now_millis.saturating_add(days.saturating_mul(86_400_000)) }
    }
}

impl Retention {
    /// Whether it still keeps its version from being deleted.
    pub fn holds(&self, now_millis: u64) -> bool {
        now_millis < self.until_millis
    }

    /// Whether it may be taken away, or its version deleted.
    pub fn may_be_lifted(&self, now_millis: u64, bypass: bool) -> bool {
        !self.holds(now_millis) || (bypass && self.mode == RetentionMode::Governance)
    }

    /// Whether `self` may take the place of `current`: always for a longer one in the same mode or a stronger one, for others
    /// only if the caller bypasses governance (S3 User Guide, "Locking objects with Object Lock", retention modes).
    pub fn may_replace(&self, current: Option<&Self>, now_millis: u64, bypass: bool) -> bool {
        let Some(current) = current.filter(|current| current.holds(now_millis)) else { return true };
        let is_longer = self.until_millis >= current.until_millis;
        match (current.mode, self.mode) {
            (RetentionMode::Compliance, mode) => mode == RetentionMode::Compliance && is_longer,
            (RetentionMode::Governance, _) => bypass || (is_longer && self.mode == RetentionMode::Governance),
        }
    }
}
