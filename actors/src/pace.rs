//! How fast bytes are sent or read: a bucket of bytes that fills at a steady rate. Pure.

use std::time::Duration;

use crate::names::Stamp;

const NANOS: u128 = 1_000_000_000;

/// Lets so many bytes through per second, and a second's worth at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    bytes_per_second: u64,
    /// When everything that was let through would have been sent at this rate.
    sent_until: Stamp,
}

impl Pace {
    /// A rate, of which a second's worth is free.
    pub fn new(bytes_per_second: u64, now: Stamp) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), sent_until: now }
    }

    /// Lets bytes through. Answers how long to wait before they are sent.
    pub fn take(&mut self, bytes: usize, now: Stamp) -> Duration {
        let lasts = (bytes as u128 * NANOS) / u128::from(self.bytes_per_second);
        let burst = Stamp(now.0.saturating_sub(NANOS as u64));
        let start = self.sent_until.max(burst);
        self.sent_until = Stamp(start.0.saturating_add(u64::try_from(lasts).unwrap_or(u64::MAX)));
        Duration::from_nanos(self.sent_until.0.saturating_sub(now.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// In no stretch of time more gets through than the rate allows, beyond a second's worth and the piece that is under way.
        #[test]
        fn the_rate_holds(rate in 1u64..10_000_000, pieces in prop::collection::vec((1usize..100_000, 0u64..2_000_000_000), 1..100)) {
            let (mut pace, mut now, mut total) = (Pace::new(rate, Stamp(0)), 0u64, 0u128);
            for (bytes, pause) in pieces {
                now = now.saturating_add(pause);
                let wait = pace.take(bytes, Stamp(now));
                now = now.saturating_add(u64::try_from(wait.as_nanos()).unwrap());
                total += bytes as u128;
                let allowed = u128::from(rate) * (u128::from(now) + NANOS) / NANOS + 1;
                // Each piece loses less than a nanosecond's worth to rounding.
                prop_assert!(total <= allowed + 100 * (u128::from(rate) / NANOS + 1), "{total} > {allowed}");
            }
        }
    }
}
