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

    /// The next entry, and as many of those right behind it as may go along: all are `light`, and together not more than `bytes`.
    pub fn next_together(
        &mut self,
        most: usize,
        bytes: u64,
        light: impl Fn(&QueuedChange) -> bool,
    ) -> Vec<Arc<QueuedChange>> {
        let mut taken: Vec<_> = self.next().into_iter().collect();
        let mut left = bytes;
        while let Some(last) = taken.last().filter(|last| light(last)) {
            left = left.saturating_sub(last.bytes);
            let next = self.ready.first().and_then(|place| self.entries.get(place));
            let fits = next.is_some_and(|entry| light(&entry.change) && entry.change.bytes <= left);
            match self.next_if(fits && taken.len() < most) {
                Some(next) => taken.push(next),
                None => break,
            }
        }
        taken
    }

    fn next_if(&mut self, may: bool) -> Option<Arc<QueuedChange>> {
        if may { self.next() } else { None }
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
mod tests;
