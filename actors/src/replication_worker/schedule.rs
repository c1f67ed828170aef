//! Which entry of a queue is sent next. Pure: no clock, no I/O.
//!
//! It holds a window of the queue's oldest entries, never more than [`WINDOW`], however long the queue is. INVARIANT: of the entries of
//! one key only the oldest is ready, under way or waits for another attempt, so the slots of a key are sent in order; keys go side by
//! side. An entry that is done with stays until its row is gone, or it would be read again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::retry::{Retry, Waits};
use crate::names::{ObjectKey, Stamp};
use crate::storage::{QueuedChange, Slot};

/// Most entries of a queue that are in memory.
pub(super) const WINDOW: usize = 512;
/// Entries that are read at once.
const PAGE: usize = WINDOW / 2;
/// Failures of one entry before it is parked: about an hour.
pub(super) const FAILURES_MAX: u32 = 16;
/// Waits after failures of one entry.
const WAITS: Waits = Waits { first: Duration::from_secs(1), longest: Duration::from_secs(300) };

/// Where an entry stands in its queue.
pub(super) type Place = (Stamp, Slot);

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The target has it, or it is not wanted there.
    Done,
    /// The target will not take it.
    Refused(String),
    /// It may take it later.
    Failed {
        /// Why not now.
        reason: String,
        /// When it asks for the next attempt.
        retry_after: Option<Duration>,
    },
    /// It could not be tried: nothing is known of the entry.
    Untried,
}

/// What becomes of an entry after an [`Attempt`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is done with.
    Done,
    /// It is parked for this reason.
    Parked(String),
    /// It stays.
    Waits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Behind another of its key, or ready.
    Waiting,
    UnderWay,
    Delayed(Stamp),
    /// Its row is being settled.
    Settling,
}

#[derive(Debug)]
struct Entry {
    change: Arc<QueuedChange>,
    state: State,
    trouble: Option<Box<(Retry, String)>>,
}

/// An entry that failed and waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingChange {
    /// Which.
    pub slot: Slot,
    /// Failures in a row.
    pub failures: u32,
    /// The last one.
    pub reason: String,
    /// When it is tried again.
    pub until: Stamp,
}

/// A queue's window.
#[derive(Debug)]
pub(super) struct Schedule {
    entries: BTreeMap<Place, Entry>,
    /// Entries of each key that are not settling.
    keys: HashMap<ObjectKey, BTreeSet<Place>>,
    ready: BTreeSet<Place>,
    delayed: BTreeSet<(Stamp, Place)>,
    under_way: usize,
    /// The last entry that was read.
    cursor: Option<Place>,
    /// Whether there may be entries behind it.
    more: bool,
    /// Whether entries are being read, and whether they are to be read anew from where.
    reading: Option<Again>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Again {
    No,
    Behind,
    FromTheStart,
}

impl Default for Schedule {
    /// A queue that may have entries.
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            keys: HashMap::new(),
            ready: BTreeSet::new(),
            delayed: BTreeSet::new(),
            under_way: 0,
            cursor: None,
            more: true,
            reading: None,
        }
    }
}

impl Schedule {
    /// There are new entries.
    pub fn fill(&mut self) {
        match &mut self.reading {
            Some(again) => *again = (*again).max(Again::Behind),
            None => self.more = true,
        }
    }

    /// There may be entries anywhere, such as some that changed while they were sent.
    pub fn rewind(&mut self) {
        match &mut self.reading {
            Some(again) => *again = Again::FromTheStart,
            None => (self.cursor, self.more) = (None, true),
        }
    }

    /// Nothing waits any longer: the target may be well again.
    pub fn hurry(&mut self) {
        for (_, place) in std::mem::take(&mut self.delayed) {
            self.make_ready(place);
        }
    }

    /// Whether entries are to be read: behind which, and how many. It is then under way until [`Self::take`].
    pub fn read(&mut self) -> Option<(Option<Place>, usize)> {
        if !self.more || self.reading.is_some() || self.entries.len() > WINDOW - PAGE {
            return None;
        }
        self.reading = Some(Again::No);
        Some((self.cursor.clone(), PAGE))
    }

    /// Takes what was read; none if it could not be, and is to be tried again.
    pub fn take(&mut self, read: Option<Vec<QueuedChange>>) {
        let again = self.reading.take().unwrap_or(Again::FromTheStart);
        let Some(changes) = read else {
            self.more = true;
            if again == Again::FromTheStart {
                self.cursor = None;
            }
            return;
        };
        self.more = again != Again::No || changes.len() >= PAGE;
        if let Some(last) = changes.last() {
            self.cursor = Some((last.since, last.slot.clone()));
        }
        if again == Again::FromTheStart {
            self.cursor = None;
        }
        for change in changes {
            let place = (change.since, change.slot.clone());
            if self.entries.contains_key(&place) {
                continue;
            }
            let of_key = self.keys.entry(change.slot.key.clone()).or_default();
            // What was found late goes in front of what is not under way yet.
            let first = of_key.first().cloned();
            of_key.insert(place.clone());
            self.entries
                .insert(place.clone(), Entry { change: Arc::new(change), state: State::Waiting, trouble: None });
            match first {
                None => drop(self.ready.insert(place)),
                Some(first) if place < first && self.ready.remove(&first) => drop(self.ready.insert(place)),
                Some(_) => {}
            }
        }
    }

    /// The next entry to be sent; it is then under way until [`Self::done`].
    pub fn next(&mut self) -> Option<Arc<QueuedChange>> {
        let entry = self.entries.get_mut(&self.ready.pop_first()?)?;
        entry.state = State::UnderWay;
        self.under_way += 1;
        Some(Arc::clone(&entry.change))
    }

    /// Whether there is one to be sent.
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Lets those that have waited long enough be sent.
    pub fn release(&mut self, now: Stamp) {
        while self.delayed.first().is_some_and(|(until, _)| *until <= now)
            && let Some((_, place)) = self.delayed.pop_first()
        {
            self.make_ready(place);
        }
    }

    /// When the next one has waited long enough.
    pub fn next_release(&self) -> Option<Stamp> {
        self.delayed.first().map(|(until, _)| *until)
    }

    fn make_ready(&mut self, place: Place) {
        if let Some(entry) = self.entries.get_mut(&place) {
            entry.state = State::Waiting;
            self.ready.insert(place);
        }
    }

    /// What became of an entry that was under way.
    pub fn done(&mut self, place: &Place, attempt: Attempt, now: Stamp) -> Verdict {
        let Some(entry) = self.entries.get_mut(place).filter(|entry| entry.state == State::UnderWay) else {
            return Verdict::Waits;
        };
        self.under_way = self.under_way.saturating_sub(1);
        let verdict = match attempt {
            Attempt::Done => Verdict::Done,
            Attempt::Refused(reason) => Verdict::Parked(reason),
            Attempt::Untried => Verdict::Waits,
            Attempt::Failed { reason, retry_after } => {
                let (mut retry, _) = entry.trouble.take().map_or_else(|| (Retry::new(WAITS), reason.clone()), |it| *it);
                let wait = retry.failed(retry_after);
                if retry.failures() >= FAILURES_MAX {
                    Verdict::Parked(reason)
                } else {
                    entry.trouble = Some(Box::new((retry, reason)));
                    let until = Stamp(now.0.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)));
                    entry.state = State::Delayed(until);
                    self.delayed.insert((until, place.clone()));
                    return Verdict::Waits;
                }
            }
        };
        if verdict == Verdict::Waits {
            self.make_ready(place.clone());
            return verdict;
        }
        entry.state = State::Settling;
        // The key goes on.
        if let Some(of_key) = self.keys.get_mut(&place.1.key) {
            of_key.remove(place);
            match of_key.first() {
                Some(next) => drop(self.ready.insert(next.clone())),
                None => drop(self.keys.remove(&place.1.key)),
            }
        }
        verdict
    }

    /// The row of an entry is settled, or could not be: it is read again if it is still there.
    pub fn settled(&mut self, place: &Place) {
        if self.entries.get(place).is_some_and(|entry| entry.state == State::Settling) {
            self.entries.remove(place);
        }
    }

    /// Entries that are under way.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Whether there is nothing left to do.
    pub fn is_idle(&self) -> bool {
        self.entries.is_empty() && !self.more && self.reading.is_none()
    }

    /// Entries that failed and wait.
    pub fn failing(&self) -> impl Iterator<Item = FailingChange> {
        self.delayed.iter().filter_map(|(until, place)| {
            let (retry, reason) = self.entries.get(place)?.trouble.as_deref()?;
            let (failures, reason) = (retry.failures(), reason.clone());
            Some(FailingChange { slot: place.1.clone(), failures, reason, until: *until })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::storage::Kinds;

    const SECOND: u64 = 1_000_000_000;

    fn change(since: u64, key: &str, version: Option<u64>) -> QueuedChange {
        QueuedChange {
            slot: Slot { key: ObjectKey::parse(key.as_bytes()).unwrap(), version },
            since: Stamp(since),
            mark: Stamp(since),
            kinds: Kinds::CONTENT,
            bytes: 1,
            attempts: 0,
            parked: None,
        }
    }

    fn place(change: &QueuedChange) -> Place {
        (change.since, change.slot.clone())
    }

    fn next(schedule: &mut Schedule) -> Option<u64> {
        schedule.next().map(|change| change.since.0)
    }

    fn of(changes: &[QueuedChange]) -> Schedule {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.read(), Some((None, PAGE)));
        schedule.take(Some(changes.to_vec()));
        schedule
    }

    #[test]
    fn keys_go_in_order_and_side_by_side() {
        let changes = [change(1, "a", Some(1)), change(2, "b", None), change(3, "a", Some(3)), change(4, "c", None)];
        let mut schedule = of(&changes);
        assert_eq!([(); 4].map(|()| next(&mut schedule)), [Some(1), Some(2), Some(4), None]);
        assert_eq!(schedule.done(&place(&changes[0]), Attempt::Done, Stamp(0)), Verdict::Done);
        assert_eq!(next(&mut schedule), Some(3), "the first is sent, though its row still stands");
        schedule.settled(&place(&changes[0]));
        for change in &changes[1..] {
            schedule.done(&place(change), Attempt::Done, Stamp(0));
            schedule.settled(&place(change));
        }
        assert!(schedule.is_idle());
    }

    #[test]
    fn what_fails_waits_and_is_parked_in_the_end() {
        let changes = [change(1, "a", None), change(2, "a", Some(2)), change(3, "b", None)];
        let (mut schedule, mut now) = (of(&changes), Stamp(0));
        let failed = || Attempt::Failed { reason: "500".to_owned(), retry_after: Some(Duration::from_secs(7)) };
        for attempt in 1..FAILURES_MAX {
            assert_eq!(next(&mut schedule), Some(1));
            assert_eq!(schedule.done(&place(&changes[0]), failed(), now), Verdict::Waits);
            let waiting: Vec<_> = schedule.failing().collect();
            assert_eq!((waiting[0].failures, waiting[0].reason.as_str()), (attempt, "500"));
            assert!(waiting[0].until.0 >= now.0 + 7 * SECOND, "the target asked for it");
            if attempt == 1 {
                assert_eq!([next(&mut schedule), next(&mut schedule)], [Some(3), None], "others go on");
            }
            now = schedule.next_release().unwrap();
            schedule.release(Stamp(now.0 - 1));
            assert!(!schedule.is_ready());
            schedule.release(now);
        }
        assert_eq!(next(&mut schedule), Some(1));
        assert_eq!(schedule.done(&place(&changes[0]), failed(), now), Verdict::Parked("500".to_owned()));
        assert_eq!(next(&mut schedule), Some(2));
        assert_eq!(schedule.done(&place(&changes[1]), failed(), now), Verdict::Waits);
        schedule.hurry();
        assert_eq!(next(&mut schedule), Some(2));
    }

    #[test]
    fn what_changed_while_it_was_sent_is_read_again() {
        let first = change(1, "a", None);
        let mut schedule = of(std::slice::from_ref(&first));
        assert_eq!(next(&mut schedule), Some(1));
        schedule.done(&place(&first), Attempt::Done, Stamp(0));
        schedule.rewind();
        assert_eq!(schedule.read(), Some((None, PAGE)));
        let renewed = QueuedChange { mark: Stamp(9), ..first.clone() };
        schedule.take(Some(vec![renewed.clone()]));
        assert_eq!(next(&mut schedule), None, "its row is being settled");
        schedule.settled(&place(&first));
        schedule.rewind();
        assert!(schedule.read().is_some());
        schedule.take(Some(vec![renewed]));
        assert_eq!(schedule.next().map(|change| change.mark), Some(Stamp(9)));
    }

    #[test]
    fn what_is_found_late_goes_first() {
        let mut schedule = of(&[change(5, "a", Some(5))]);
        schedule.rewind();
        assert!(schedule.read().is_some());
        schedule.take(Some(vec![change(2, "a", Some(2)), change(5, "a", Some(5))]));
        assert_eq!([next(&mut schedule), next(&mut schedule)], [Some(2), None]);
    }

    /// A queue as Storage has it: of a slot there is one entry, which a later change renews.
    #[derive(Debug, Default)]
    struct Queue {
        rows: BTreeMap<Place, Stamp>,
        clock: u64,
    }

    impl Queue {
        fn change(&mut self, slot: Slot) {
            self.clock += 1;
            let old = self.rows.iter_mut().find(|(place, _)| place.1 == slot);
            match old {
                Some((_, mark)) => *mark = Stamp(self.clock),
                None => drop(self.rows.insert((Stamp(self.clock), slot), Stamp(self.clock))),
            }
        }

        fn page(&self, after: Option<&Place>, limit: usize) -> Vec<QueuedChange> {
            let behind = self.rows.iter().filter(|(place, _)| after.is_none_or(|after| *place > after)).take(limit);
            let row = |(place, mark): (&Place, &Stamp)| QueuedChange {
                mark: *mark,
                ..change(place.0.0, place.1.key.as_str(), place.1.version)
            };
            behind.map(row).collect()
        }
    }

    proptest! {
        /// Whatever the target answers, in whatever order, and whatever changes meanwhile: slots of a key are sent one at a time and
        /// in order, no more are in memory or under way than may be, and in the end each slot was sent as it was last.
        #[test]
        fn nothing_is_forgotten_or_out_of_order(
            steps in prop::collection::vec((0u8..8, 0usize..6, prop::option::of(0u64..3), 0usize..8), 0..600),
            limit in 1usize..9,
        ) {
            let (mut queue, mut schedule, mut now) = (Queue::default(), Schedule::default(), 0);
            let (mut wanted, mut sent) = (HashMap::<Slot, Stamp>::new(), HashMap::<Slot, Stamp>::new());
            let mut under_way: Vec<Arc<QueuedChange>> = Vec::new();
            let mut settling: Vec<(Place, Stamp)> = Vec::new();
            let finish = (0..400).map(|at| (if at % 2 == 0 { 6 } else { 7 }, 0, None, 0));
            for (what, key, version, which) in steps.into_iter().chain(finish) {
                match what {
                    0..=2 => {
                        let slot = Slot { key: ObjectKey::parse(format!("k{key}").as_bytes()).unwrap(), version };
                        queue.change(slot.clone());
                        wanted.insert(slot, Stamp(queue.clock));
                        schedule.fill();
                    }
                    3..=6 if !under_way.is_empty() => {
                        let change = under_way.swap_remove(which % under_way.len());
                        let attempt = match what {
                            3 => Attempt::Failed { reason: "500".to_owned(), retry_after: None },
                            4 => Attempt::Untried,
                            _ => Attempt::Done,
                        };
                        match schedule.done(&place(&change), attempt, Stamp(now)) {
                            Verdict::Waits => {}
                            Verdict::Done | Verdict::Parked(_) => {
                                settling.push((place(&change), change.mark));
                                sent.insert(change.slot.clone(), change.mark);
                            }
                        }
                    }
                    _ => {
                        let mut missed = false;
                        for (place, mark) in settling.drain(..) {
                            match queue.rows.get(&place) == Some(&mark) {
                                true => drop(queue.rows.remove(&place)),
                                false => missed = true,
                            }
                            schedule.settled(&place);
                        }
                        if missed {
                            schedule.rewind();
                        }
                        now += 400 * SECOND;
                        schedule.release(Stamp(now));
                    }
                }
                while let Some((after, count)) = schedule.read() {
                    let page = queue.page(after.as_ref(), count);
                    schedule.take(Some(page));
                }
                prop_assert!(schedule.entries.len() <= WINDOW);
                while under_way.len() < limit && let Some(next) = schedule.next() {
                    prop_assert!(under_way.iter().all(|other| other.slot.key != next.slot.key));
                    under_way.push(next);
                }
                prop_assert_eq!(under_way.len(), schedule.under_way());
            }
            prop_assert!(queue.rows.is_empty(), "{:?}", queue.rows);
            prop_assert!(schedule.is_idle());
            for (slot, mark) in wanted {
                prop_assert!(sent.get(&slot).is_some_and(|sent| *sent == mark), "{slot:?}");
            }
        }

        /// A window, however many entries there are.
        #[test]
        fn memory_is_bounded(total in 0u64..3000) {
            let mut schedule = Schedule::default();
            let mut told = 0;
            loop {
                while let Some((after, limit)) = schedule.read() {
                    let first = after.map_or(0, |(since, _)| since.0 + 1);
                    let page = (first..total).take(limit).map(|at| change(at, &format!("k{at}"), None));
                    schedule.take(Some(page.collect()));
                    prop_assert!(schedule.entries.len() <= WINDOW);
                }
                let Some(next) = schedule.next() else { break };
                prop_assert_eq!(next.since.0, told);
                told += 1;
                schedule.done(&place(&next), Attempt::Done, Stamp(0));
                schedule.settled(&place(&next));
            }
            prop_assert_eq!(told, total);
            prop_assert!(schedule.is_idle());
        }
    }
}
