//! Who has given wrong secrets: five within fifteen minutes lock that access key for that address, and a settable number over
//! all keys, unknown ones included, the address. Pure: the time is passed in. The tables are bounded, since clients choose
//! what is in them.
//!
//! An address may be that of many: of a whole office, or of a proxy that is not listed. So a key whose secret came from there
//! within the last day stays open to it, up to five wrong ones of its own: who guesses locks out who never was there.
//!
//! IPv6 addresses count by their /64, which one client usually has whole.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::address::network;
use crate::names::{AccessKeyId, Stamp};
use crate::rate::{Deadlines, Rate, Usage};

/// Wrong secrets that lock.
pub(super) const WRONG_SECRETS_MAX: usize = 5;
/// The time within which they count, and for which the lock holds, in nanoseconds.
pub(super) const WINDOW_NANOS: u64 = 15 * 60 * 1_000_000_000;
/// How long a right secret keeps its pair open, in seconds.
const PROVEN_SECONDS: u64 = 24 * 60 * 60;
/// Most pairs of key and address that are remembered.
const PAIRS_MAX: usize = 10_000;
/// Most addresses that are remembered.
const ADDRESSES_MAX: usize = 10_000;

type Address = Option<IpAddr>;
type Pair = (AccessKeyId, Address);

/// What is locked, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    /// The key, for the address.
    Key(Stamp),
    /// The address, for all keys but those that it has proven to have.
    Address(Stamp),
}

/// The wrong secrets of the last minutes.
#[derive(Debug)]
pub(super) struct Lockout {
    /// Times of wrong secrets, oldest first, at most [`WRONG_SECRETS_MAX`].
    wrong: HashMap<Pair, Vec<Stamp>>,
    /// Wrong secrets and unknown keys by address; none: they are without limit.
    failures: Option<Usage<Address>>,
    /// Pairs that gave the right secret, and until when that counts.
    proven: Deadlines<Pair>,
}

impl Lockout {
    /// Nothing went wrong yet. `failures_max` is what an address may get wrong within the window; zero is no limit.
    pub fn new(failures_max: u32) -> Self {
        let rate = Rate::new(failures_max, Duration::from_nanos(WINDOW_NANOS), failures_max);
        Self {
            wrong: HashMap::new(),
            failures: rate.map(|rate| Usage::new(rate, ADDRESSES_MAX)),
            proven: Deadlines::new(PAIRS_MAX),
        }
    }

    /// What keeps the pair out, if anything does.
    pub fn lock(&self, key: &AccessKeyId, address: Address, now: Stamp) -> Option<Lock> {
        let pair = pair(key, address);
        self.locked_until(&pair, now).map(Lock::Key).or_else(|| {
            let until = self.failures.as_ref()?.spent_until(&pair.1, now)?;
            self.proven.get(&pair, now).is_none().then_some(Lock::Address(until))
        })
    }

    fn locked_until(&self, pair: &Pair, now: Stamp) -> Option<Stamp> {
        let times = self.wrong.get(pair)?;
        let full = times.len() >= WRONG_SECRETS_MAX;
        let until = Stamp(times.last()?.0.saturating_add(WINDOW_NANOS));
        (full && now < until).then_some(until)
    }

    /// Counts a wrong secret.
    pub fn count(&mut self, key: &AccessKeyId, address: Address, now: Stamp) {
        self.count_address(address, now);
        let pair = pair(key, address);
        if self.wrong.len() >= PAIRS_MAX && !self.wrong.contains_key(&pair) {
            self.make_room(now);
        }
        let times = self.wrong.entry(pair).or_default();
        times.retain(|time| is_recent(*time, now));
        times.push(now);
    }

    /// Counts against the address alone: a key that does not exist.
    pub fn count_address(&mut self, address: Address, now: Stamp) {
        if let Some(failures) = &mut self.failures {
            failures.count(address.map(network), now);
        }
    }

    /// The right secret: forgets what the pair got wrong, and remembers that it knows better.
    pub fn prove(&mut self, key: &AccessKeyId, address: Address, now: Stamp) {
        let pair = pair(key, address);
        self.wrong.remove(&pair);
        if self.failures.is_some() {
            self.proven.set(pair, now.after(PROVEN_SECONDS), now);
        }
    }

    /// Drops what no longer counts; if everything does, the pair whose last wrong secret is oldest, a locked one last.
    fn make_room(&mut self, now: Stamp) {
        self.wrong.retain(|_, times| times.last().is_some_and(|time| is_recent(*time, now)));
        if self.wrong.len() < PAIRS_MAX {
            return;
        }
        let rank = |times: &Vec<Stamp>| (times.len() >= WRONG_SECRETS_MAX, times.last().copied());
        let oldest = self.wrong.iter().min_by_key(|(_, times)| rank(times)).map(|(pair, _)| pair.clone());
        if let Some(oldest) = oldest {
            self.wrong.remove(&oldest);
        }
    }
}

fn is_recent(time: Stamp, now: Stamp) -> bool {
    now.0.saturating_sub(time.0) < WINDOW_NANOS
}

fn pair(key: &AccessKeyId, address: Address) -> Pair {
    (key.clone(), address.map(network))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn key(text: &str) -> AccessKeyId {
        AccessKeyId::parse(text).unwrap()
    }

    fn at(seconds: u64) -> Stamp {
        Stamp(seconds * SECOND)
    }

    impl Lockout {
        fn until(&self, key: &AccessKeyId, address: Address, now: Stamp) -> Option<Stamp> {
            self.locked_until(&pair(key, address), now)
        }
    }

    #[test]
    fn five_in_the_window_lock_the_pair() {
        let mut lockout = Lockout::new(0);
        let here: Option<IpAddr> = Some("10.0.0.1".parse().unwrap());
        let there: Option<IpAddr> = Some("10.0.0.2".parse().unwrap());
        for second in 0..4 {
            lockout.count(&key("a"), here, at(second));
        }
        assert_eq!(lockout.until(&key("a"), here, at(4)), None);
        lockout.count(&key("a"), here, at(4));
        assert_eq!(lockout.until(&key("a"), here, at(5)), Some(at(904)));
        assert_eq!(lockout.until(&key("a"), there, at(5)), None);
        assert_eq!(lockout.until(&key("b"), here, at(5)), None);
        assert_eq!(lockout.until(&key("a"), here, at(904)), None);
    }

    #[test]
    fn old_ones_and_a_right_one_do_not_count() {
        let mut lockout = Lockout::new(0);
        for second in [0, 1, 2, 3, 901] {
            lockout.count(&key("a"), None, at(second));
        }
        assert_eq!(lockout.until(&key("a"), None, at(902)), None);
        for second in 902..906 {
            lockout.count(&key("b"), None, at(second));
        }
        lockout.prove(&key("b"), None, at(905));
        lockout.count(&key("b"), None, at(906));
        assert_eq!(lockout.until(&key("b"), None, at(906)), None);
    }

    #[test]
    fn an_ipv6_network_is_one_address_and_mapped_ipv4_is_ipv4() {
        let mut lockout = Lockout::new(0);
        for host in 1..=5 {
            lockout.count(&key("a"), Some(format!("2001:db8::{host}").parse().unwrap()), at(1));
            lockout.count(&key("b"), Some("::ffff:10.0.0.1".parse().unwrap()), at(1));
        }
        assert!(lockout.until(&key("a"), Some("2001:db8::9".parse().unwrap()), at(2)).is_some());
        assert!(lockout.until(&key("a"), Some("2001:db8:0:1::9".parse().unwrap()), at(2)).is_none());
        assert!(lockout.until(&key("b"), Some("10.0.0.1".parse().unwrap()), at(2)).is_some());
    }

    #[test]
    fn the_table_stays_bounded_and_keeps_locks() {
        let mut lockout = Lockout::new(0);
        for _ in 0..WRONG_SECRETS_MAX {
            lockout.count(&key("locked"), None, at(1));
        }
        for number in 0..PAIRS_MAX + 50 {
            lockout.count(&key(&format!("k{number}")), None, at(2));
        }
        assert_eq!(lockout.wrong.len(), PAIRS_MAX);
        assert!(lockout.until(&key("locked"), None, at(3)).is_some());
    }

    #[test]
    fn an_address_that_keeps_guessing_is_locked_for_keys_that_it_never_had() {
        let mut lockout = Lockout::new(10);
        let here: Address = Some("2001:db8::1".parse().unwrap());
        let neighbour: Address = Some("2001:db8::2".parse().unwrap());
        let there: Address = Some("2001:db8:0:1::1".parse().unwrap());
        lockout.prove(&key("mine"), here, at(0));
        for number in 0..9 {
            lockout.count(&key(&format!("k{number}")), here, at(1));
        }
        assert_eq!(lockout.lock(&key("other"), here, at(1)), None);
        lockout.count_address(neighbour, at(1));
        // Ten in 900 seconds: one is forgiven every 90.
        assert_eq!(lockout.lock(&key("other"), here, at(1)), Some(Lock::Address(at(91))));
        assert_eq!(lockout.lock(&key("other"), there, at(1)), None);
        assert_eq!(lockout.lock(&key("mine"), neighbour, at(1)), None, "its secret came from there before");
        assert_eq!(lockout.lock(&key("other"), here, at(91)), None);
        lockout.count(&key("other"), here, at(91));
        assert_eq!(lockout.lock(&key("another"), here, at(91)), Some(Lock::Address(at(181))));
        // What was proven a day ago is not known any more.
        for second in [24 * 3_600 - 1, 24 * 3_600] {
            (0..10).for_each(|_| lockout.count_address(here, at(second)));
            let is_locked = lockout.lock(&key("mine"), here, at(second)).is_some();
            assert_eq!(is_locked, second == 24 * 3_600);
        }
    }

    #[test]
    fn a_proven_key_still_locks_after_five() {
        let mut lockout = Lockout::new(10);
        lockout.prove(&key("a"), None, at(0));
        (0..10).for_each(|_| lockout.count(&key("a"), None, at(1)));
        assert_eq!(lockout.lock(&key("a"), None, at(1)), Some(Lock::Key(at(901))));
    }

    #[test]
    fn addresses_without_limit_are_not_remembered() {
        let mut lockout = Lockout::new(0);
        (0..1_000).for_each(|_| lockout.count_address(None, at(1)));
        lockout.prove(&key("a"), None, at(1));
        assert_eq!(lockout.lock(&key("a"), None, at(1)), None);
        assert_eq!(lockout.proven.get(&pair(&key("a"), None), at(1)), None);
    }
}
