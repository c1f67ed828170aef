//! How long to wait after failures: the one door to the `backoff` crate. Each wait is about twice as long as the last, up to a longest
//! one, and spread by half of it either way, so that what failed together is not tried together.

use std::fmt;
use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// Bounds of the waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waits {
    /// The first one, about.
    pub first: Duration,
    /// The longest one, about.
    pub longest: Duration,
}

/// Waits after failures in a row.
pub(super) struct Retry {
    waits: ExponentialBackoff,
    failures: u32,
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry").field("failures", &self.failures).finish_non_exhaustive()
    }
}

impl Retry {
    pub fn new(Waits { first, longest }: Waits) -> Self {
        let waits = ExponentialBackoff {
            current_interval: first,
            initial_interval: first,
            randomization_factor: 0.5,
            multiplier: 2.0,
            max_interval: longest,
            // It is never given up here.
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Self { waits, failures: 0 }
    }

    /// Takes note of a failure. Answers how long to wait: at least as long as the target asks for.
    pub fn failed(&mut self, retry_after: Option<Duration>) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let wait = self.waits.next_backoff().unwrap_or(self.waits.max_interval);
        wait.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX))
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// All is well again.
    pub fn reset(&mut self) {
        self.failures = 0;
        self.waits.reset();
    }
}

/// The longest that a target is left alone because it asks for it.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn waits_grow_up_to_the_longest(failures in 1usize..40, asked in proptest::option::of(0u64..10_000)) {
            let waits = Waits { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
            let mut retry = Retry::new(waits);
            let asked = asked.map(Duration::from_secs);
            for number in 1..=failures {
                let wait = retry.failed(None);
                let about = waits.first.mul_f64(2f64.powi(i32::try_from(number - 1).unwrap())).min(waits.longest);
                prop_assert!(wait >= about.mul_f64(0.499) && wait <= about.mul_f64(1.501), "{number}: {wait:?}");
            }
            prop_assert_eq!(retry.failures() as usize, failures);
            prop_assert!(retry.failed(asked) >= asked.unwrap_or_default().min(RETRY_AFTER_MAX));
            retry.reset();
            prop_assert!(retry.failed(None) <= waits.first.mul_f64(1.501));
        }
    }
}
