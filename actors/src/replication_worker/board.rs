//! What is told of each rule: counted by whoever works, read by whoever asks.

use std::time::Duration;

use parking_lot::Mutex;

use super::learned::Fill;
use super::schedule::FailingChange;
use crate::names::Stamp;
use crate::storage::Applied;

/// Seconds that throughput is measured over.
const SECONDS: usize = 60;
/// Failures that are quoted.
const QUOTED_MAX: usize = 20;

/// What was sent in the last minute, second by second, and since the start.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    seconds: [(u64, u64, u64); SECONDS],
    changes: u64,
    bytes: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self { seconds: [(0, 0, 0); SECONDS], changes: 0, bytes: 0 }
    }
}

impl Counts {
    fn second(&mut self, now: Stamp) -> Option<&mut (u64, u64, u64)> {
        let second = now.seconds();
        let at = usize::try_from(second).unwrap_or_default() % SECONDS;
        let counts = self.seconds.get_mut(at)?;
        if counts.0 != second {
            *counts = (second, 0, 0);
        }
        Some(counts)
    }
}

impl Meter {
    /// Bytes were sent.
    pub fn bytes(&self, bytes: u64, now: Stamp) {
        let mut counts = self.0.lock();
        counts.bytes = counts.bytes.saturating_add(bytes);
        if let Some((.., of_second)) = counts.second(now) {
            *of_second = of_second.saturating_add(bytes);
        }
    }

    /// A change was sent.
    pub fn change(&self, now: Stamp) {
        let mut counts = self.0.lock();
        counts.changes = counts.changes.saturating_add(1);
        if let Some((_, of_second, _)) = counts.second(now) {
            *of_second = of_second.saturating_add(1);
        }
    }

    pub fn read(&self, now: Stamp) -> Throughput {
        let counts = self.0.lock();
        let lately =
            counts.seconds.iter().filter(|(second, ..)| now.seconds().saturating_sub(*second) < SECONDS as u64);
        let (changes_per_minute, bytes_per_minute) = lately.fold((0, 0), |(a, b), (_, c, d)| (a + c, b + d));
        Throughput { changes: counts.changes, bytes: counts.bytes, changes_per_minute, bytes_per_minute }
    }
}

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Throughput {
    /// Changes since the start.
    pub changes: u64,
    /// Bytes since the start, with those that were sent in vain.
    pub bytes: u64,
    /// Changes of the last minute.
    pub changes_per_minute: u64,
    /// Bytes of the last minute.
    pub bytes_per_minute: u64,
}

/// How a rule fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleState {
    /// It is sent, or there is nothing to send.
    Active,
    /// Somebody has paused it.
    Paused,
    /// It cannot be sent as things are.
    Failed(String),
    /// The target is away, or asked to be left alone.
    Offline {
        /// Why.
        reason: String,
        /// When it is tried again; none while it is.
        until: Option<Stamp>,
    },
}

impl RuleState {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Paused => "PAUSED",
            Self::Failed(_) => "FAILED",
            Self::Offline { .. } => "OFFLINE",
        }
    }

    /// Why, if something is wrong.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Active | Self::Paused => None,
            Self::Failed(reason) | Self::Offline { reason, .. } => Some(reason),
        }
    }
}

/// The circuit breaker of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Circuit {
    /// Requests go through.
    #[default]
    Closed,
    /// The target is left alone.
    Open,
    /// It is asked whether it is back.
    HalfOpen,
}

impl Circuit {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }

    /// As a line's trouble tells it.
    pub(super) fn of(trouble: Option<&(String, Option<Stamp>)>) -> Self {
        match trouble {
            None => Self::Closed,
            Some((_, Some(_))) => Self::Open,
            Some((_, None)) => Self::HalfOpen,
        }
    }
}

/// What is told of a rule whose queue was full.
pub(super) const OVERFLOWED: &str =
    "more changes waited than are kept: those were dropped, and the bucket is sent anew";

/// What the work on one rule tells.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes {
    /// Why nothing can be sent at all.
    pub failed: Option<String>,
    /// Whether changes were lost from the queue, and all is being sent anew.
    pub overflowed: bool,
    /// Transfers under way.
    pub under_way: usize,
    /// Entries that failed and wait.
    pub failing: Vec<FailingChange>,
    /// Attempts that failed since the start.
    pub failures: u64,
    /// Changes that lost against others at the target.
    pub lost: u64,
    /// Changes that the target knew already.
    pub known: u64,
    /// How far a back-fill or resync is; none where there was none.
    pub fill: Option<Fill>,
}

/// Where the work on one rule tells how it fares.
#[derive(Debug, Default)]
pub(super) struct Board {
    notes: Mutex<Notes>,
    pub meter: std::sync::Arc<Meter>,
}

impl Board {
    pub fn notes(&self) -> Notes {
        self.notes.lock().clone()
    }

    pub fn sent(&self, applied: Applied, now: Stamp) {
        self.meter.change(now);
        let mut notes = self.notes.lock();
        match applied {
            Applied::Applied => {}
            Applied::Known => notes.known += 1,
            Applied::Lost => notes.lost += 1,
        }
    }

    pub fn failure(&self) {
        self.notes.lock().failures += 1;
    }

    pub fn fail(&self, reason: Option<String>) {
        let mut notes = self.notes.lock();
        if notes.failed != reason {
            if let Some(reason) = &reason {
                tracing::warn!(reason, "a replication rule cannot be followed");
            }
            notes.failed = reason;
        }
    }

    pub fn overflow(&self, overflowed: bool) {
        let mut notes = self.notes.lock();
        if overflowed && !notes.overflowed {
            tracing::warn!("{OVERFLOWED}");
        }
        notes.overflowed = overflowed;
    }

    pub fn filled(&self, fill: Fill) {
        self.notes.lock().fill = Some(fill);
    }

    pub fn show(&self, under_way: usize, failing: impl Iterator<Item = FailingChange>) {
        let mut notes = self.notes.lock();
        notes.under_way = under_way;
        notes.failing = failing.take(QUOTED_MAX).collect();
    }
}

/// How far behind: the age of the oldest entry.
pub(super) fn lag(oldest: Option<Stamp>, now: Stamp) -> Duration {
    Duration::from_nanos(oldest.map_or(0, |oldest| now.0.saturating_sub(oldest.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_counted() {
        let (meter, second) = (Meter::default(), |seconds: u64| Stamp(seconds * 1_000_000_000));
        meter.bytes(10, second(100));
        meter.change(second(100));
        meter.change(second(159));
        let at = meter.read(second(159));
        assert_eq!((at.changes_per_minute, at.bytes_per_minute), (2, 10));
        meter.change(second(160));
        let at = meter.read(second(160));
        assert_eq!((at.changes_per_minute, at.bytes_per_minute, at.changes, at.bytes), (2, 0, 3, 10));
        assert_eq!(meter.read(second(1000)).changes_per_minute, 0);
    }
}
