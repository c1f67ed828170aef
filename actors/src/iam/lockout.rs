//! Who has given wrong secrets: five within fifteen minutes lock that access key for that address. Pure: the time is
//! passed in. The table is bounded, since clients choose what is in it.
//!
//! IPv6 addresses count by their /64, which one client usually has whole.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use crate::names::{AccessKeyId, Stamp};

/// Wrong secrets that lock.
pub(super) const WRONG_SECRETS_MAX: usize = 5;
/// The time within which they count, and for which the lock holds, in nanoseconds.
pub(super) const WINDOW_NANOS: u64 = 15 * 60 * 1_000_000_000;
/// Most pairs of key and address that are remembered.
const PAIRS_MAX: usize = 10_000;

type Pair = (AccessKeyId, Option<IpAddr>);

/// The wrong secrets of the last minutes.
#[derive(Debug, Default)]
pub(super) struct Lockout {
    /// Times of wrong secrets, oldest first, at most [`WRONG_SECRETS_MAX`].
    wrong: HashMap<Pair, Vec<Stamp>>,
}

impl Lockout {
    /// Until when the pair is locked, if it is.
    pub fn locked_until(&self, key: &AccessKeyId, address: Option<IpAddr>, now: Stamp) -> Option<Stamp> {
        let times = self.wrong.get(&pair(key, address))?;
        let full = times.len() >= WRONG_SECRETS_MAX;
        let until = Stamp(times.last()?.0.saturating_add(WINDOW_NANOS));
        (full && now < until).then_some(until)
    }

    /// Counts a wrong secret.
    pub fn count(&mut self, key: &AccessKeyId, address: Option<IpAddr>, now: Stamp) {
        let pair = pair(key, address);
        if self.wrong.len() >= PAIRS_MAX && !self.wrong.contains_key(&pair) {
            self.make_room(now);
        }
        let times = self.wrong.entry(pair).or_default();
        times.retain(|time| is_recent(*time, now));
        times.push(now);
    }

    /// Forgets a pair after the right secret.
    pub fn forget(&mut self, key: &AccessKeyId, address: Option<IpAddr>) {
        if !self.wrong.is_empty() {
            self.wrong.remove(&pair(key, address));
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

fn pair(key: &AccessKeyId, address: Option<IpAddr>) -> Pair {
    let address = address.map(|ip| match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    });
    (key.clone(), address)
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

    #[test]
    fn five_in_the_window_lock_the_pair() {
        let mut lockout = Lockout::default();
        let here: Option<IpAddr> = Some("10.0.0.1".parse().unwrap());
        let there: Option<IpAddr> = Some("10.0.0.2".parse().unwrap());
        for second in 0..4 {
            lockout.count(&key("a"), here, at(second));
        }
        assert_eq!(lockout.locked_until(&key("a"), here, at(4)), None);
        lockout.count(&key("a"), here, at(4));
        assert_eq!(lockout.locked_until(&key("a"), here, at(5)), Some(at(904)));
        assert_eq!(lockout.locked_until(&key("a"), there, at(5)), None);
        assert_eq!(lockout.locked_until(&key("b"), here, at(5)), None);
        assert_eq!(lockout.locked_until(&key("a"), here, at(904)), None);
    }

    #[test]
    fn old_ones_and_a_right_one_do_not_count() {
        let mut lockout = Lockout::default();
        for second in [0, 1, 2, 3, 901] {
            lockout.count(&key("a"), None, at(second));
        }
        assert_eq!(lockout.locked_until(&key("a"), None, at(902)), None);
        for second in 902..906 {
            lockout.count(&key("b"), None, at(second));
        }
        lockout.forget(&key("b"), None);
        lockout.count(&key("b"), None, at(906));
        assert_eq!(lockout.locked_until(&key("b"), None, at(906)), None);
    }

    #[test]
    fn an_ipv6_network_is_one_address_and_mapped_ipv4_is_ipv4() {
        let mut lockout = Lockout::default();
        for host in 1..=5 {
            lockout.count(&key("a"), Some(format!("2001:db8::{host}").parse().unwrap()), at(1));
            lockout.count(&key("b"), Some("::ffff:10.0.0.1".parse().unwrap()), at(1));
        }
        assert!(lockout.locked_until(&key("a"), Some("2001:db8::9".parse().unwrap()), at(2)).is_some());
        assert!(lockout.locked_until(&key("a"), Some("2001:db8:0:1::9".parse().unwrap()), at(2)).is_none());
        assert!(lockout.locked_until(&key("b"), Some("10.0.0.1".parse().unwrap()), at(2)).is_some());
    }

    #[test]
    fn the_table_stays_bounded_and_keeps_locks() {
        let mut lockout = Lockout::default();
        for _ in 0..WRONG_SECRETS_MAX {
            lockout.count(&key("locked"), None, at(1));
        }
        for number in 0..PAIRS_MAX + 50 {
            lockout.count(&key(&format!("k{number}")), None, at(2));
        }
        assert_eq!(lockout.wrong.len(), PAIRS_MAX);
        assert!(lockout.locked_until(&key("locked"), None, at(3)).is_some());
    }
}
