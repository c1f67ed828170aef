//! What is sent next, whatever the target answers and whatever changes meanwhile.

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
