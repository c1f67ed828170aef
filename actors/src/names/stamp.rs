//! Commit stamps: the time of a commit in nanoseconds, unique in a node's life.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Nanoseconds since the Unix epoch. A row's stamp is its last-modified time, the mtime of its file, and the order of
/// its versions; the committer hands out each value once, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Stamp(pub u64);

impl Stamp {
    /// The stamp of a wall-clock time; times before 1970 become 0.
    pub fn from_system_time(time: SystemTime) -> Self {
        let nanos = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Self(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The wall-clock time.
    pub fn to_system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.0)
    }

    /// Whole seconds since the epoch: what `Last-Modified` and conditional headers compare.
    pub fn seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// The time as RFC 3339 writes it, in UTC.
    pub fn rfc3339(self) -> String {
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0)).ok();
        // Every 64-bit number of nanoseconds is a time before the year 2555.
        time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
    }

    /// This much later.
    #[must_use]
    pub fn after(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000_000)))
    }

    /// Milliseconds since the epoch: the resolution of times in S3's XML.
    pub fn millis(self) -> u64 {
        self.0 / 1_000_000
    }
}
