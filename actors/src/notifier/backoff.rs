//! How long to wait after a failure. Pure.

use std::time::Duration;

/// The wait after the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(300);

/// The wait after so many failures in a row, one at least: twice as long each time, less up to half of it by `random`, so that
/// what failed together is not tried together.
pub fn delay(failures: u32, random: u64) -> Duration {
    let doubled = 2u32.saturating_pow(failures.saturating_sub(1).min(16));
    let longest = FIRST.saturating_mul(doubled).min(LONGEST);
    let half_nanos = u64::try_from(longest.as_nanos() / 2).unwrap_or(u64::MAX);
    longest - Duration::from_nanos(random % half_nanos.max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn waits_grow_up_to_the_longest(failures in 1u32.., random: u64) {
            let wait = delay(failures, random);
            prop_assert!(wait <= LONGEST && wait > FIRST / 2 - Duration::from_nanos(1));
            prop_assert!(failures > 1 || wait <= FIRST);
            prop_assert!(failures < 10 || wait >= LONGEST / 2);
            prop_assert!(delay(failures.saturating_add(2), random) + Duration::from_nanos(1) >= wait.min(LONGEST / 2));
        }
    }
}
