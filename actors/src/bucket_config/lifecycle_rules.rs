//! What lifecycle rules mean: which of them is about what, and when it is due. Pure.
//!
//! S3 User Guide, "Lifecycle configuration elements": days are added to the time and the sum is rounded up to the next
//! midnight in UTC. With `LIFECYCLE_DAY_SECONDS` a day is that long, and midnights are its multiples since 1970.
//!
//! INVARIANT: what is due at a time was due at every later one, and of two things of one kind the older is due no later. So what
//! a rule asks for is a range of the times since when things are what they are.

use super::{Expiration, Lifecycle, LifecycleFilter, LifecycleRule, Tag};
use crate::names::Stamp;

/// The length of a day, in nanoseconds; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day(u64);

impl Default for Day {
    fn default() -> Self {
        Self::of_seconds(86_400)
    }
}

impl Day {
    /// A day of so many seconds, at least one.
    pub fn of_seconds(seconds: u64) -> Self {
        Self(seconds.max(1).saturating_mul(1_000_000_000))
    }

    /// A day that is over at once.
    #[cfg(test)]
    pub(crate) fn of_one_nanosecond() -> Self {
        Self(1)
    }

    /// The first midnight that is no earlier than `time`; the end of time when there is none.
    pub fn round_up(self, time: Stamp) -> Stamp {
        Stamp(time.0.div_ceil(self.0).saturating_mul(self.0))
    }

    /// The first midnight later than `time`.
    pub fn next_midnight(self, time: Stamp) -> Stamp {
        self.round_up(Stamp(time.0.saturating_add(1)))
    }

    /// So many days later.
    pub fn later(self, time: Stamp, days: u32) -> Stamp {
        Stamp(time.0.saturating_add(self.0.saturating_mul(u64::from(days))))
    }

    /// When something is due that is so many days after `since`.
    pub fn after(self, since: Stamp, days: u32) -> Stamp {
        self.round_up(self.later(since, days))
    }

    /// The latest time of which [`Day::after`] is no later than `now`; none when there is none.
    fn latest_due(self, now: Stamp, days: u32) -> Option<Stamp> {
        let midnight = now.0 - now.0 % self.0;
        midnight.checked_sub(self.0.saturating_mul(u64::from(days))).map(Stamp)
    }
}

/// What a rule may be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LifecycleKind {
    /// A current object, since it was made.
    Current,
    /// A noncurrent version, since another followed it.
    Noncurrent,
    /// A delete marker without any other version, since it was made.
    LoneMarker,
    /// An upload in progress, since its initiation.
    Upload,
}

impl LifecycleKind {
    /// Every kind, in the order in which expiry makes work for the next: what expires leaves a marker, which may be alone once
    /// the noncurrent versions are gone.
    pub const ALL: [Self; 4] = [Self::Current, Self::Noncurrent, Self::LoneMarker, Self::Upload];
}

/// What a filter looks at.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The key.
    pub key: &'a str,
    /// Size and tags; none for delete markers and uploads, which no filter of these is about.
    pub content: Option<(u64, &'a [Tag])>,
}

/// When something is due, and by which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due<'a> {
    /// When.
    pub at: Stamp,
    /// The rule that is due first; of several at the same time the one that the document has first.
    pub rule: &'a LifecycleRule,
}

impl LifecycleFilter {
    /// Whether all that is given holds.
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        if self.prefix.as_ref().is_some_and(|prefix| !subject.key.starts_with(prefix.as_str())) {
            return false;
        }
        let Some((size, tags)) = subject.content else { return !self.looks_at_content() };
        self.tags.iter().all(|tag| tags.contains(tag))
            && self.size_greater_than.is_none_or(|than| size > than)
            && self.size_less_than.is_none_or(|than| size < than)
    }

    /// Whether it asks for a size, or for tags.
    pub fn looks_at_content(&self) -> bool {
        !self.tags.is_empty() || self.size_greater_than.is_some() || self.size_less_than.is_some()
    }
}

impl LifecycleRule {
    /// When something of this kind is due by this rule, were it in force and its filter met. `since` is as the kind says.
    fn due(&self, kind: LifecycleKind, since: Stamp, day: Day) -> Option<Stamp> {
        match (kind, self.expiration) {
            (LifecycleKind::Current | LifecycleKind::LoneMarker, Some(Expiration::Days(days))) => {
                Some(day.after(since, days))
            }
            // What is made after that day goes at the midnight that follows.
            (LifecycleKind::Current, Some(Expiration::Date(seconds))) => {
                Some(day.round_up(since).max(Stamp(seconds.saturating_mul(1_000_000_000))))
            }
            (LifecycleKind::LoneMarker, Some(Expiration::ExpiredDeleteMarker(true))) => Some(since),
            (LifecycleKind::Noncurrent, _) => self.noncurrent.map(|noncurrent| day.after(since, noncurrent.days)),
            (LifecycleKind::Upload, _) => self.abort_uploads.map(|abort| day.after(since, abort.days)),
            (LifecycleKind::Current | LifecycleKind::LoneMarker, _) => None,
        }
    }

    /// The latest `since` of this kind that is due at `now`.
    fn latest_due(&self, kind: LifecycleKind, now: Stamp, day: Day) -> Option<Stamp> {
        match (kind, self.expiration) {
            (LifecycleKind::Current | LifecycleKind::LoneMarker, Some(Expiration::Days(days))) => {
                day.latest_due(now, days)
            }
            (LifecycleKind::Current, Some(Expiration::Date(seconds))) => {
                day.latest_due(now, 0).filter(|_| seconds.saturating_mul(1_000_000_000) <= now.0)
            }
            (LifecycleKind::LoneMarker, Some(Expiration::ExpiredDeleteMarker(true))) => Some(now),
            (LifecycleKind::Noncurrent, _) => self.noncurrent.and_then(|it| day.latest_due(now, it.days)),
            (LifecycleKind::Upload, _) => self.abort_uploads.and_then(|it| day.latest_due(now, it.days)),
            (LifecycleKind::Current | LifecycleKind::LoneMarker, _) => None,
        }
    }
}

impl Lifecycle {
    /// Whether any rule is in force.
    pub fn is_in_force(&self) -> bool {
        self.rules.iter().any(|rule| rule.enabled)
    }

    /// When something is due, by the rules in force. `stays` tells of a noncurrent version whether so many newer ones follow
    /// that it may go.
    pub fn due(
        &self,
        kind: LifecycleKind,
        subject: &Subject<'_>,
        since: Stamp,
        day: Day,
        mut has_newer: impl FnMut(u32) -> bool,
    ) -> Option<Due<'_>> {
        let in_force = self.rules.iter().filter(|rule| rule.enabled && rule.filter.matches(subject));
        let due = in_force.filter_map(|rule| rule.due(kind, since, day).map(|at| Due { at, rule }));
        let mut due: Vec<_> = due.collect();
        // Stable: of rules that are due together the first counts.
        due.sort_by_key(|due| due.at);
        let newer = |rule: &LifecycleRule| match kind {
            LifecycleKind::Noncurrent => rule.noncurrent.and_then(|noncurrent| noncurrent.newer_versions),
            LifecycleKind::Current | LifecycleKind::LoneMarker | LifecycleKind::Upload => None,
        };
        due.into_iter().find(|due| newer(due.rule).is_none_or(&mut has_newer))
    }

    /// When a current object expires.
    pub fn expiration(&self, subject: &Subject<'_>, made: Stamp, day: Day) -> Option<Due<'_>> {
        self.due(LifecycleKind::Current, subject, made, day, |_| true)
    }

    /// When an upload is aborted.
    pub fn abort(&self, key: &str, initiated: Stamp, day: Day) -> Option<Due<'_>> {
        self.due(LifecycleKind::Upload, &Subject { key, content: None }, initiated, day, |_| true)
    }

    /// The latest `since` of which something of this kind can be due at `now`; none when nothing can.
    pub fn latest_due(&self, kind: LifecycleKind, now: Stamp, day: Day) -> Option<Stamp> {
        let in_force = self.rules.iter().filter(|rule| rule.enabled);
        in_force.filter_map(|rule| rule.latest_due(kind, now, day)).max()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bucket_config::{AbortUploads, NoncurrentExpiration};

    const SECOND: u64 = 1_000_000_000;
    const DAY: u64 = 86_400 * SECOND;

    fn rule(id: &str, expiration: Expiration) -> LifecycleRule {
        LifecycleRule { id: id.to_owned(), enabled: true, expiration: Some(expiration), ..LifecycleRule::default() }
    }

    fn of(rules: Vec<LifecycleRule>) -> Lifecycle {
        Lifecycle { rules, ..Lifecycle::default() }
    }

    fn object<'a>(key: &'a str, size: u64, tags: &'a [Tag]) -> Subject<'a> {
        Subject { key, content: Some((size, tags)) }
    }

    #[test]
    fn days_round_up_to_midnight() {
        let day = Day::default();
        // S3 User Guide: made on 15 January at 10:30, 3 days, due on 19 January at 00:00.
        let made = 14 * DAY + 37_800 * SECOND;
        assert_eq!(day.after(Stamp(made), 3), Stamp(18 * DAY));
        assert_eq!(day.after(Stamp(14 * DAY), 3), Stamp(17 * DAY));
        assert_eq!(day.after(Stamp(14 * DAY + 1), 3), Stamp(18 * DAY));
        assert_eq!(day.next_midnight(Stamp(14 * DAY)), Stamp(15 * DAY));
        assert_eq!(Day::of_seconds(10).after(Stamp(12 * SECOND), 1), Stamp(30 * SECOND));
        assert_eq!(day.after(Stamp(made), u32::MAX), Stamp(u64::MAX));
        assert_eq!(Day::of_seconds(0), Day::of_seconds(1));
    }

    #[test]
    fn filters() {
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let tags = [tag("a", "1"), tag("b", "2")];
        let filter = LifecycleFilter {
            prefix: Some("logs/".to_owned()),
            tags: vec![tag("b", "2")],
            size_greater_than: Some(10),
            size_less_than: Some(20),
            and: true,
        };
        assert!(filter.matches(&object("logs/x", 11, &tags)));
        for (key, size, tags) in [
            ("log", 11, &tags[..]),
            ("logs/x", 10, &tags),
            ("logs/x", 20, &tags),
            ("logs/x", 11, &tags[..1]),
            ("logs/x", 11, &[tag("b", "3")]),
        ] {
            assert!(!filter.matches(&object(key, size, tags)), "{key} {size} {tags:?}");
        }
        let marker = Subject { key: "logs/x", content: None };
        assert!(!filter.matches(&marker));
        assert!(LifecycleFilter { prefix: Some("l".to_owned()), ..LifecycleFilter::default() }.matches(&marker));
        assert!(LifecycleFilter::default().matches(&object("", 0, &[])));
    }

    #[test]
    fn the_earliest_rule_in_force_counts() {
        let day = Day::default();
        let disabled = LifecycleRule { enabled: false, ..rule("off", Expiration::Days(1)) };
        let other = LifecycleRule {
            filter: LifecycleFilter { prefix: Some("b/".to_owned()), ..LifecycleFilter::default() },
            ..rule("b", Expiration::Days(1))
        };
        let rules = of(vec![
            disabled,
            rule("late", Expiration::Days(9)),
            rule("first", Expiration::Days(3)),
            rule("same", Expiration::Days(3)),
            rule("markers", Expiration::ExpiredDeleteMarker(true)),
            other,
        ]);
        let due =
            |key| rules.expiration(&object(key, 1, &[]), Stamp(1), day).map(|due| (due.at.0 / DAY, &*due.rule.id));
        assert_eq!(due("a"), Some((4, "first")));
        assert_eq!(due("b/c"), Some((2, "b")));
        assert!(rules.is_in_force());
        assert_eq!(
            of(vec![rule("m", Expiration::ExpiredDeleteMarker(true))]).expiration(&object("a", 1, &[]), Stamp(1), day),
            None
        );
    }

    #[test]
    fn dates_hold_from_that_day_on() {
        let (day, date) = (Day::default(), 20 * 86_400);
        let rules = of(vec![rule("date", Expiration::Date(date))]);
        let due = |made| rules.expiration(&object("a", 1, &[]), Stamp(made), day).unwrap().at.0;
        assert_eq!(due(3 * DAY + 5), 20 * DAY);
        assert_eq!(due(20 * DAY), 20 * DAY);
        assert_eq!(due(25 * DAY + 5), 26 * DAY);
        assert_eq!(rules.latest_due(LifecycleKind::Current, Stamp(19 * DAY), day), None);
        assert_eq!(rules.latest_due(LifecycleKind::Current, Stamp(21 * DAY + 7), day), Some(Stamp(21 * DAY)));
    }

    #[test]
    fn markers_go_at_once_or_by_age() {
        let day = Day::default();
        let marker = Subject { key: "a", content: None };
        let due = |expiration| {
            let rules = of(vec![rule("m", expiration)]);
            rules.due(LifecycleKind::LoneMarker, &marker, Stamp(5), day, |_| true).map(|due| due.at.0)
        };
        assert_eq!(due(Expiration::ExpiredDeleteMarker(true)), Some(5));
        assert_eq!(due(Expiration::ExpiredDeleteMarker(false)), None);
        assert_eq!(due(Expiration::Days(2)), Some(3 * DAY));
        assert_eq!(due(Expiration::Date(0)), None);
    }

    #[test]
    fn newer_noncurrent_versions_stay() {
        let day = Day::default();
        let noncurrent = |days, newer_versions| LifecycleRule {
            enabled: true,
            noncurrent: Some(NoncurrentExpiration { days, newer_versions }),
            ..LifecycleRule::default()
        };
        let rules = of(vec![noncurrent(1, Some(5)), noncurrent(10, None)]);
        let due = |newer: u32| {
            let has = |wanted| newer >= wanted;
            rules.due(LifecycleKind::Noncurrent, &object("a", 1, &[]), Stamp(0), day, has).unwrap().at.0 / DAY
        };
        assert_eq!((due(4), due(5)), (10, 1));
    }

    fn any_rule() -> impl Strategy<Value = LifecycleRule> {
        let expiration = prop_oneof![
            (1u32..4).prop_map(Expiration::Days),
            (0u64..8).prop_map(|day| Expiration::Date(day * 10)),
            any::<bool>().prop_map(Expiration::ExpiredDeleteMarker),
        ];
        let times = (proptest::option::of(expiration), proptest::option::of(1u32..4), proptest::option::of(1u32..4));
        (any::<bool>(), times).prop_map(|(enabled, (expiration, noncurrent, abort))| LifecycleRule {
            enabled,
            expiration,
            noncurrent: noncurrent.map(|days| NoncurrentExpiration { days, newer_versions: None }),
            abort_uploads: abort.map(|days| AbortUploads { days }),
            ..LifecycleRule::default()
        })
    }

    proptest! {
        /// What is due is exactly a range of times: the range that is read misses nothing, and holds nothing else.
        #[test]
        fn what_is_due_is_a_range(
            rules in proptest::collection::vec(any_rule(), 0..4),
            now in 0u64..80, since in 0u64..80,
        ) {
            let (day, rules) = (Day::of_seconds(10), of(rules));
            let (now, since) = (Stamp(now * SECOND + 3), Stamp(since * SECOND));
            for kind in LifecycleKind::ALL {
                let due = rules.due(kind, &Subject { key: "a", content: None }, since, day, |_| true);
                let is_due = due.is_some_and(|due| due.at <= now);
                let within = rules.latest_due(kind, now, day).is_some_and(|latest| since <= latest);
                prop_assert_eq!(is_due, within, "{:?}", kind);
            }
        }
    }
}
