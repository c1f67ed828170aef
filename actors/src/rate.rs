//! How often something may happen: the generic cell rate algorithm (ITU-T I.371, a leaky bucket), which keeps one time for
//! each key. Pure: the time is passed in. Tables are bounded, since clients choose what is in them.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::names::Stamp;

/// A rate, and how much may happen at once before it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    interval_nanos: u64,
    burst: u64,
}

impl Rate {
    /// `times` in every `window`, of which `burst`, at least one, may come at once. None when `times` is zero: no limit.
    pub fn new(times: u32, window: Duration, burst: u32) -> Option<Self> {
        let window_nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let interval_nanos = window_nanos.checked_div(u64::from(times))?.max(1);
        Some(Self { interval_nanos, burst: u64::from(burst.max(1)) })
    }

    /// How long it takes until `times` count no longer.
    fn nanos_of(self, times: u64) -> u64 {
        self.interval_nanos.saturating_mul(times)
    }
}

/// Times by key, at most so many. A key whose time has come is as good as gone; where there is no room for another, those go,
/// and else the half whose time comes first.
#[derive(Debug)]
pub struct Deadlines<K> {
    keys_max: usize,
    at: HashMap<K, Stamp>,
}

impl<K: Eq + Hash> Deadlines<K> {
    /// An empty table for this many keys.
    pub fn new(keys_max: usize) -> Self {
        Self { keys_max: keys_max.max(1), at: HashMap::new() }
    }

    /// The key's time, if it is still to come.
    pub fn get(&self, key: &K, now: Stamp) -> Option<Stamp> {
        self.at.get(key).copied().filter(|at| *at > now)
    }

    /// Gives the key a time.
    pub fn set(&mut self, key: K, at: Stamp, now: Stamp) {
        if self.at.len() >= self.keys_max && !self.at.contains_key(&key) {
            self.make_room(now);
        }
        self.at.insert(key, at);
    }

    fn make_room(&mut self, now: Stamp) {
        self.at.retain(|_, at| *at > now);
        if self.at.len() < self.keys_max {
            return;
        }
        let mut all: Vec<(K, Stamp)> = self.at.drain().collect();
        // Half at once, so that a table that stays full costs little for each of its keys.
        let middle = all.len() / 2;
        all.select_nth_unstable_by_key(middle, |(_, at)| *at);
        let first = if all.len() == 1 { 1 } else { middle };
        self.at.extend(all.drain(first..));
    }
}

/// What each key has used of its rate.
#[derive(Debug)]
pub struct Usage<K> {
    rate: Rate,
    /// When nothing that the key did counts any longer.
    clear_at: Deadlines<K>,
}

impl<K: Eq + Hash> Usage<K> {
    /// Nothing used yet, by any of at most so many keys.
    pub fn new(rate: Rate, keys_max: usize) -> Self {
        Self { rate, clear_at: Deadlines::new(keys_max) }
    }

    /// When the key may act again, if it may not now.
    pub fn spent_until(&self, key: &K, now: Stamp) -> Option<Stamp> {
        let ahead = self.rate.nanos_of(self.rate.burst - 1);
        let until = Stamp(self.clear_at(key, now).0.saturating_sub(ahead));
        (until > now).then_some(until)
    }

    /// Counts an act of the key, whether or not it might.
    pub fn count(&mut self, key: K, now: Stamp) {
        let after = Stamp(self.clear_at(&key, now).0.saturating_add(self.rate.interval_nanos));
        self.clear_at.set(key, after.min(self.latest(now)), now);
    }

    /// Counts an act of the key if it may act now. Errs: when it may again.
    pub fn take(&mut self, key: K, now: Stamp) -> Result<(), Stamp> {
        if let Some(until) = self.spent_until(&key, now) {
            return Err(until);
        }
        self.count(key, now);
        Ok(())
    }

    /// A time beyond what a whole burst gives is one of a clock that was set back since: it must not make anybody wait.
    fn clear_at(&self, key: &K, now: Stamp) -> Stamp {
        self.clear_at.get(key, now).filter(|at| *at <= self.latest(now)).unwrap_or(now)
    }

    fn latest(&self, now: Stamp) -> Stamp {
        Stamp(now.0.saturating_add(self.rate.nanos_of(self.rate.burst)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn usage(times: u32, seconds: u64, burst: u32) -> Usage<&'static str> {
        Usage::new(Rate::new(times, Duration::from_secs(seconds), burst).unwrap(), 100)
    }

    fn at(millis: u64) -> Stamp {
        Stamp(1_000 * SECOND + millis * 1_000_000)
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut usage = usage(10, 1, 3);
        for _ in 0..3 {
            assert_eq!(usage.take("a", at(0)), Ok(()));
        }
        assert_eq!(usage.take("a", at(0)), Err(at(100)));
        assert_eq!(usage.take("b", at(0)), Ok(()), "another key has its own");
        assert_eq!(usage.take("a", at(99)), Err(at(100)));
        assert_eq!(usage.take("a", at(100)), Ok(()));
        assert_eq!(usage.take("a", at(100)), Err(at(200)), "a refusal costs nothing, an act does");
        // Rest gives the burst back, and no more than that.
        for _ in 0..3 {
            assert_eq!(usage.take("a", at(5_000)), Ok(()));
        }
        assert!(usage.take("a", at(5_000)).is_err());
    }

    #[test]
    fn what_counts_anyway_counts_for_no_longer_than_a_burst() {
        let mut usage = usage(50, 900, 50);
        for _ in 0..1_000 {
            usage.count("a", at(0));
        }
        assert_eq!(usage.spent_until(&"a", at(0)), Some(at(18_000)));
        assert_eq!(usage.spent_until(&"a", at(18_000)), None);
    }

    #[test]
    fn a_clock_that_is_set_back_forgives() {
        let mut usage = usage(1, 1, 1);
        assert_eq!(usage.take("a", at(3_600_000)), Ok(()));
        assert_eq!(usage.take("a", at(0)), Ok(()));
        assert_eq!(usage.take("a", at(0)), Err(at(1_000)));
        assert_eq!(usage.take("a", at(1_000)), Ok(()));
    }

    #[test]
    fn no_rate_is_no_limit_and_a_burst_is_one_at_least() {
        assert_eq!(Rate::new(0, Duration::from_secs(1), 5), None);
        let mut usage = usage(1, 1, 0);
        assert_eq!(usage.take("a", at(0)), Ok(()));
        assert!(usage.take("a", at(0)).is_err());
        assert!(Rate::new(u32::MAX, Duration::from_nanos(1), u32::MAX).is_some());
    }

    #[test]
    fn a_full_table_drops_what_ended_and_then_what_ends_first() {
        let mut table = Deadlines::new(4);
        for (key, end) in [("a", 10), ("b", 40), ("c", 30), ("d", 20)] {
            table.set(key, at(end), at(0));
        }
        table.set("e", at(50), at(15));
        assert_eq!((table.get(&"a", at(15)), table.get(&"d", at(15)), table.at.len()), (None, Some(at(20)), 4));
        table.set("f", at(60), at(15));
        assert_eq!(table.at.len(), 3);
        assert!(
            table.get(&"b", at(15)).is_some() && table.get(&"e", at(15)).is_some() && table.get(&"d", at(15)).is_none()
        );
        let mut one = Deadlines::new(1);
        one.set("a", at(10), at(0));
        one.set("b", at(10), at(0));
        assert_eq!((one.get(&"a", at(0)), one.get(&"b", at(0))), (None, Some(at(10))));
    }

    proptest! {
        /// In any stretch of time no more passes than the burst and what the rate gives meanwhile.
        #[test]
        fn never_more_than_the_rate_allows(
            steps in proptest::collection::vec(0_u64..400, 1..200), times in 1_u32..20, burst in 1_u32..10,
        ) {
            let mut usage = usage(times, 1, burst);
            let (mut now, mut passed) = (0, Vec::new());
            for step in steps {
                now += step;
                if usage.take("a", at(now)).is_ok() {
                    passed.push(now);
                }
            }
            let interval = 1_000.0 / f64::from(times);
            for (i, first) in passed.iter().enumerate() {
                for (j, last) in passed.iter().enumerate().skip(i) {
                    let allowed = f64::from(burst) + (last - first) as f64 / interval + 0.001;
                    prop_assert!((j - i + 1) as f64 <= allowed);
                }
            }
        }
    }
}
