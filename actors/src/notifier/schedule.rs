//! Which event of a queue is sent next. Pure: no clock, no I/O.
//!
//! A queue holds a window of its oldest events. INVARIANT: of the events of one key only the oldest is under way or waits for
//! another try, so a key's events are told in order. A target that cannot be reached makes the whole queue wait, and is then tried
//! with one event; an event that the target refuses makes only its own key wait.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::backoff;
use super::messages::{FailingEvent, Trouble};
use crate::names::Stamp;
use crate::storage::QueuedEvent;

/// Events of a window.
pub const WINDOW: usize = 64;
/// Events of one queue that are under way at once.
const UNDER_WAY_MAX: usize = 8;
/// How often an event may be refused before it is given up: about an hour.
const REFUSALS_MAX: u32 = 18;

/// What a target made of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has it.
    Told,
    /// It does not want this one.
    Refused(String),
    /// It could not be asked, or could not answer.
    Failed(String),
}

/// What becomes of an event after an [`Outcome`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is done with.
    Done,
    /// It is given up, for this reason.
    Dead(String),
    /// It stays.
    Waits,
}

#[derive(Debug)]
enum State {
    Waiting,
    UnderWay,
    Refused {
        error: String,
        until: Stamp,
    },
    /// Its row is being removed.
    Settling,
}

#[derive(Debug)]
struct Slot {
    event: Arc<QueuedEvent>,
    state: State,
    refusals: u32,
}

#[derive(Debug)]
struct Pause {
    failures: u32,
    error: String,
    until: Stamp,
}

/// A queue's window.
#[derive(Debug)]
pub struct Schedule {
    slots: BTreeMap<Stamp, Slot>,
    /// The last event that was taken into the window.
    cursor: Option<Stamp>,
    /// Whether there may be events behind the window.
    more: bool,
    /// Whether events are being read, and whether further ones came meanwhile.
    reading: Option<bool>,
    under_way: usize,
    pause: Option<Pause>,
}

impl Default for Schedule {
    /// A queue that may have events.
    fn default() -> Self {
        Self { slots: BTreeMap::new(), cursor: None, more: true, reading: None, under_way: 0, pause: None }
    }
}

impl Schedule {
    /// There are new events.
    pub fn fill(&mut self) {
        match &mut self.reading {
            Some(again) => *again = true,
            None => self.more = true,
        }
    }

    /// There may be events in front of the window, and the target may be well again.
    pub fn restart(&mut self) {
        (self.cursor, self.pause) = (None, None);
        for slot in self.slots.values_mut().filter(|slot| matches!(slot.state, State::Refused { .. })) {
            slot.state = State::Waiting;
        }
        self.fill();
    }

    /// Whether events are to be read: behind which, and how many. It is then under way until [`Self::take`].
    pub fn read(&mut self) -> Option<(Option<Stamp>, usize)> {
        if !self.more || self.reading.is_some() || self.slots.len() > WINDOW / 2 {
            return None;
        }
        self.reading = Some(false);
        // From the beginning, what is in the window already is read again.
        Some((self.cursor, WINDOW))
    }

    /// Takes what was read; none if it could not be, and is to be tried again.
    pub fn take(&mut self, events: Option<Vec<QueuedEvent>>) {
        let again = self.reading.take().unwrap_or(true);
        let Some(events) = events else { return };
        self.more = again || events.len() >= WINDOW;
        for event in events {
            let sequence = event.event.sequence;
            self.cursor = self.cursor.max(Some(sequence));
            let slot = || Slot { event: Arc::new(event), state: State::Waiting, refusals: 0 };
            self.slots.entry(sequence).or_insert_with(slot);
        }
    }

    /// The next event to be sent now; it is then under way until [`Self::done`].
    pub fn next(&mut self, now: Stamp) -> Option<Arc<QueuedEvent>> {
        let under_way_max = match &self.pause {
            Some(pause) if now < pause.until => return None,
            Some(_) => 1,
            None => UNDER_WAY_MAX,
        };
        if self.under_way >= under_way_max {
            return None;
        }
        let mut earlier = HashSet::new();
        let ready = self.slots.values_mut().find(|slot| {
            let is_first = earlier.insert(slot.event.event.key.clone());
            let is_due = match &slot.state {
                State::Waiting => true,
                State::Refused { until, .. } => *until <= now,
                State::UnderWay => false,
                State::Settling => {
                    // It was told, or given up: its key goes on.
                    if is_first {
                        earlier.remove(&slot.event.event.key);
                    }
                    false
                }
            };
            is_first && is_due
        })?;
        ready.state = State::UnderWay;
        self.under_way += 1;
        Some(Arc::clone(&ready.event))
    }

    /// What the target made of an event that was under way.
    pub fn done(&mut self, sequence: Stamp, outcome: Outcome, now: Stamp, random: u64) -> Verdict {
        let Some(slot) = self.slots.get_mut(&sequence) else { return Verdict::Waits };
        self.under_way = self.under_way.saturating_sub(1);
        match outcome {
            Outcome::Told => {
                (slot.state, self.pause) = (State::Settling, None);
                Verdict::Done
            }
            Outcome::Refused(error) => {
                self.pause = None;
                slot.refusals += 1;
                if slot.refusals >= REFUSALS_MAX {
                    slot.state = State::Settling;
                    return Verdict::Dead(error);
                }
                let until = after(now, backoff::delay(slot.refusals, random));
                slot.state = State::Refused { error, until };
                Verdict::Waits
            }
            Outcome::Failed(error) => {
                slot.state = State::Waiting;
                let failures = match &self.pause {
                    // Sent before the one that made the queue wait: it tells nothing new.
                    Some(pause) if now < pause.until => return Verdict::Waits,
                    Some(pause) => pause.failures.saturating_add(1),
                    None => 1,
                };
                self.pause = Some(Pause { failures, error, until: after(now, backoff::delay(failures, random)) });
                Verdict::Waits
            }
        }
    }

    /// Events that have been tried since before `limit`, with why they were not told; they are then given up.
    pub fn expire(&mut self, limit: Stamp) -> Vec<(Stamp, String)> {
        let (mut expired, pause) = (Vec::new(), self.pause.as_ref());
        for (sequence, slot) in self.slots.iter_mut().filter(|(_, slot)| slot.event.since < limit) {
            let reason = match &slot.state {
                State::UnderWay | State::Settling => continue,
                State::Refused { error, .. } => error.clone(),
                State::Waiting => match pause {
                    Some(pause) => pause.error.clone(),
                    // It could be told at once.
                    None => continue,
                },
            };
            slot.state = State::Settling;
            expired.push((*sequence, reason));
        }
        expired
    }

    /// The row of an event is gone.
    pub fn settled(&mut self, sequence: Stamp) {
        self.slots.remove(&sequence);
    }

    /// Whether there is nothing left to do.
    pub fn is_idle(&self) -> bool {
        self.slots.is_empty() && !self.more && self.reading.is_none()
    }

    /// What keeps it from being emptied.
    pub fn trouble(&self) -> Trouble {
        let refused = self.slots.iter().filter_map(|(sequence, slot)| match &slot.state {
            State::Refused { error, until } => Some(FailingEvent {
                sequence: *sequence,
                key: slot.event.event.key.as_str().to_owned(),
                attempts: slot.refusals,
                error: error.clone(),
                until: *until,
            }),
            State::Waiting | State::UnderWay | State::Settling => None,
        });
        Trouble {
            failures: self.pause.as_ref().map_or(0, |pause| pause.failures),
            error: self.pause.as_ref().map(|pause| pause.error.clone()),
            until: self.pause.as_ref().map(|pause| pause.until),
            refused: refused.collect(),
        }
    }
}

fn after(now: Stamp, wait: Duration) -> Stamp {
    Stamp(now.0.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::bucket_config::EventKind;
    use crate::names::{BucketName, CanonicalId, ObjectKey};
    use crate::storage::ObjectEvent;

    const SECOND: u64 = 1_000_000_000;

    fn event(sequence: u64, key: &str) -> QueuedEvent {
        QueuedEvent {
            configuration: "id".to_owned(),
            event: ObjectEvent {
                kind: EventKind::CreatedByPut,
                bucket: BucketName::parse("photos").unwrap(),
                bucket_owner: CanonicalId::from_bytes([1; 32]),
                key: ObjectKey::parse(key.as_bytes()).unwrap(),
                sequence: Stamp(sequence),
                size: None,
                etag: None,
                version_id: None,
                origin: Arc::default(),
            },
            since: Stamp(sequence),
            error: None,
        }
    }

    fn schedule(keys: &[&str]) -> Schedule {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.read(), Some((None, WINDOW)));
        schedule.take(Some(keys.iter().zip(1..).map(|(key, sequence)| event(sequence, key)).collect()));
        schedule
    }

    fn next(schedule: &mut Schedule, now: u64) -> Option<u64> {
        schedule.next(Stamp(now)).map(|event| event.event.sequence.0)
    }

    #[test]
    fn keys_go_in_order_and_side_by_side() {
        let mut schedule = schedule(&["a", "b", "a", "c"]);
        assert_eq!([(); 4].map(|()| next(&mut schedule, 0)), [Some(1), Some(2), Some(4), None]);
        assert_eq!(schedule.done(Stamp(1), Outcome::Told, Stamp(0), 0), Verdict::Done);
        assert_eq!(next(&mut schedule, 0), Some(3), "the first is told, though its row still stands");
        schedule.settled(Stamp(1));
        for sequence in [2, 3, 4] {
            schedule.done(Stamp(sequence), Outcome::Told, Stamp(0), 0);
            schedule.settled(Stamp(sequence));
        }
        assert!(schedule.is_idle());
    }

    #[test]
    fn a_target_that_fails_is_tried_with_one_event() {
        let mut schedule = schedule(&["a", "b", "c"]);
        assert_eq!([(); 3].map(|()| next(&mut schedule, 0)), [Some(1), Some(2), Some(3)]);
        for sequence in [1, 2, 3] {
            schedule.done(Stamp(sequence), Outcome::Failed("down".to_owned()), Stamp(0), 0);
        }
        assert_eq!(schedule.trouble().failures, 1, "they failed together");
        assert_eq!(next(&mut schedule, 0), None);
        assert_eq!([next(&mut schedule, SECOND), next(&mut schedule, SECOND)], [Some(1), None]);
        schedule.done(Stamp(1), Outcome::Failed("down".to_owned()), Stamp(SECOND), 0);
        assert_eq!(schedule.trouble().failures, 2);
        assert_eq!(next(&mut schedule, 3 * SECOND), Some(1));
        schedule.done(Stamp(1), Outcome::Told, Stamp(3 * SECOND), 0);
        assert_eq!([next(&mut schedule, 3 * SECOND), next(&mut schedule, 3 * SECOND)], [Some(2), Some(3)]);
    }

    #[test]
    fn what_is_refused_holds_up_its_own_key_and_is_given_up() {
        let mut schedule = schedule(&["a", "a", "b"]);
        let mut now = 0;
        assert_eq!(next(&mut schedule, now), Some(1));
        for _ in 1..REFUSALS_MAX {
            let verdict = schedule.done(Stamp(1), Outcome::Refused("400".to_owned()), Stamp(now), 0);
            assert_eq!(verdict, Verdict::Waits);
            assert_eq!(schedule.trouble().refused.len(), 1);
            if let Some(other) = next(&mut schedule, now) {
                assert_eq!(other, 3);
                schedule.done(Stamp(3), Outcome::Told, Stamp(now), 0);
            }
            assert_eq!(next(&mut schedule, now), None, "the second waits for the first");
            now += 301 * SECOND;
            assert_eq!(next(&mut schedule, now), Some(1));
        }
        let verdict = schedule.done(Stamp(1), Outcome::Refused("400".to_owned()), Stamp(now), 0);
        assert_eq!(verdict, Verdict::Dead("400".to_owned()));
        assert_eq!(next(&mut schedule, now), Some(2));
    }

    #[test]
    fn what_could_not_be_told_for_too_long_is_given_up() {
        let mut schedule = schedule(&["a", "b"]);
        assert_eq!(schedule.expire(Stamp(100)), [], "nothing has failed yet");
        assert_eq!(next(&mut schedule, 0), Some(1));
        schedule.done(Stamp(1), Outcome::Failed("down".to_owned()), Stamp(0), 0);
        assert_eq!(schedule.expire(Stamp(2)), [(Stamp(1), "down".to_owned())]);
        assert_eq!(schedule.expire(Stamp(9)), [(Stamp(2), "down".to_owned())]);
        schedule.settled(Stamp(1));
        schedule.settled(Stamp(2));
        assert!(schedule.is_idle());
    }

    #[test]
    fn what_comes_while_it_reads_is_read_next() {
        let mut schedule = Schedule::default();
        assert!(schedule.read().is_some());
        schedule.fill();
        schedule.take(Some(vec![event(5, "a")]));
        assert_eq!(schedule.read(), Some((Some(Stamp(5)), WINDOW)));
        schedule.take(Some(Vec::new()));
        assert_eq!(schedule.read(), None);
        schedule.restart();
        assert_eq!(schedule.read(), Some((None, WINDOW)));
        schedule.take(Some(vec![event(2, "b"), event(5, "a")]));
        assert_eq!([next(&mut schedule, 0), next(&mut schedule, 0)], [Some(2), Some(5)]);
    }

    proptest! {
        /// Whatever the target answers, in whatever order: each key is told in order, and in the end everything is told.
        #[test]
        fn nothing_is_lost_or_out_of_order(keys in prop::collection::vec(0usize..4, 1..200), answers in prop::collection::vec((0usize..8, 0u8..6), 0..400)) {
            let outbox: BTreeMap<u64, String> = keys.iter().zip(1..).map(|(key, at)| (at, format!("k{key}"))).collect();
            let (mut left, mut schedule) = (outbox.clone(), Schedule::default());
            let (mut under_way, mut told, mut now) = (Vec::new(), HashMap::<String, u64>::new(), 0);
            let mut answers = answers.into_iter();
            while !schedule.is_idle() {
                if let Some((after, limit)) = schedule.read() {
                    let behind = left.range(after.map_or(0, |after| after.0 + 1)..).take(limit);
                    let events: Vec<_> = behind.map(|(sequence, key)| event(*sequence, key)).collect();
                    schedule.take(Some(events));
                }
                while let Some(event) = schedule.next(Stamp(now)) {
                    prop_assert!(under_way.iter().all(|(_, key)| *key != event.event.key));
                    under_way.push((event.event.sequence, event.event.key.clone()));
                }
                prop_assert!(under_way.len() <= UNDER_WAY_MAX);
                if under_way.is_empty() {
                    now += SECOND;
                    continue;
                }
                let (which, answer) = answers.next().unwrap_or((0, 5));
                let (sequence, key) = under_way.swap_remove(which % under_way.len());
                let outcome = match answer {
                    0 => Outcome::Failed("down".to_owned()),
                    1 => Outcome::Refused("no".to_owned()),
                    _ => Outcome::Told,
                };
                match schedule.done(sequence, outcome, Stamp(now), answer.into()) {
                    Verdict::Waits => {}
                    Verdict::Done | Verdict::Dead(_) => {
                        let before = told.insert(key.as_str().to_owned(), sequence.0);
                        prop_assert!(before.is_none_or(|before| before < sequence.0));
                        left.remove(&sequence.0);
                        schedule.settled(sequence);
                    }
                }
            }
            prop_assert!(left.is_empty());
        }
    }
}
