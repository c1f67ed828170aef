//! What was asked of each bucket, as far as the requests are kept. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What was asked of a bucket, or by one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests.
    pub requests: u64,
    /// How many of them were refused or failed.
    pub errors: u64,
    /// Bytes of their bodies.
    pub received: u64,
    /// Bytes of the answers' bodies.
    pub sent: u64,
}

/// What buckets are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// How much was asked.
    Requests,
    /// How much came in.
    Received,
    /// How much went out.
    Sent,
}

impl Measure {
    /// Reads `requests`, `received` or `sent`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "requests" => Some(Self::Requests),
            "received" => Some(Self::Received),
            "sent" => Some(Self::Sent),
            _ => None,
        }
    }

    fn of(self, traffic: &Traffic) -> u64 {
        match self {
            Self::Requests => traffic.requests,
            Self::Received => traffic.received,
            Self::Sent => traffic.sent,
        }
    }
}

/// The buckets with the most, at most so many; those that are alike by their names.
pub fn busiest<'a>(
    seen: impl Iterator<Item = (&'a str, Traffic)>,
    by: Measure,
    limit: usize,
) -> Vec<(&'a str, Traffic)> {
    let mut buckets: BTreeMap<&str, Traffic> = BTreeMap::new();
    for (bucket, one) in seen {
        let sum = buckets.entry(bucket).or_default();
        sum.requests += one.requests;
        sum.errors += one.errors;
        sum.received += one.received;
        sum.sent += one.sent;
    }
    let mut buckets: Vec<_> = buckets.into_iter().collect();
    // Sorting keeps the order of what is alike.
    buckets.sort_by_key(|(_, traffic)| Reverse(by.of(traffic)));
    buckets.truncate(limit);
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_come_first() {
        let one = |received, sent| Traffic { requests: 1, errors: u64::from(sent == 0), received, sent };
        let seen = [("a", one(0, 5)), ("b", one(9, 0)), ("a", one(0, 6)), ("c", one(1, 1))];
        let named = |by, limit| {
            let found = busiest(seen.into_iter(), by, limit);
            found.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(named(Measure::Requests, 10), ["a", "b", "c"]);
        assert_eq!(named(Measure::Received, 2), ["b", "c"]);
        assert_eq!(named(Measure::Sent, 1), ["a"]);
        let sums = busiest(seen.into_iter(), Measure::Sent, 2);
        assert_eq!(sums[0], ("a", Traffic { requests: 2, errors: 0, received: 0, sent: 11 }));
        assert_eq!(busiest(seen.into_iter(), Measure::Received, 1)[0].1.errors, 1);
        assert!(Measure::parse("Sent").is_none() && Measure::parse("received") == Some(Measure::Received));
    }
}
