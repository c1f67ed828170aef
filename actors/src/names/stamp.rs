//! Commit stamps: the time of a commit in nanoseconds, unique in a node's life.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

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

    /// Reads a time as RFC 3339 writes it; one before 1970 becomes 0.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc3339).ok().map(Self::of_time)
    }

    /// The same, or a date, of which the first moment is meant, UTC.
    pub fn parse_time_or_date(text: &str) -> Option<Self> {
        let date = || Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
        Self::parse_rfc3339(text).or_else(|| Some(Self::of_time(date()?.midnight().assume_utc())))
    }

    fn of_time(time: OffsetDateTime) -> Self {
        Self(u64::try_from(time.unix_timestamp_nanos().max(0)).unwrap_or(u64::MAX))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_dates() {
        for (text, seconds) in [
            ("1970-01-02", Some(86_400)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("1969-12-31T00:00:00Z", Some(0)),
            ("1969-12-31", Some(0)),
            ("1970-01-01T00:00:01.9Z", Some(1)),
            ("1970-13-01", None),
            ("99999-01-01", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(Stamp::parse_time_or_date(text).map(Stamp::seconds), seconds, "{text}");
        }
        assert_eq!(Stamp::parse_rfc3339("1970-01-02"), None);
        let now = Stamp(1_700_000_000_123_456_789);
        assert_eq!(Stamp::parse_rfc3339(&now.rfc3339()), Some(now));
    }
}
