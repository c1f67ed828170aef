//! A shelf that holds things for a while, within a number of bytes. Pure: the time is passed in.
//!
//! INVARIANT: whoever fills the shelf pushes out its own. When there is no room, the source that takes up most loses its oldest
//! thing first, so a source that takes up no more than an equal share of the room loses nothing to others.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;

use myfsio_actors::address::network;
use myfsio_actors::names::Stamp;

/// What a thing takes up beside itself, in bytes: its places in the maps.
const PLACE_BYTES: usize = 320;

/// Where things come from: what counts as one client; none when nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(Option<IpAddr>);

impl Source {
    /// Of an address.
    pub fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(network))
    }
}

/// The shelf.
#[derive(Debug)]
pub struct Shelf<T> {
    bytes_max: usize,
    keep_nanos: u64,
    things: HashMap<u64, Thing<T>>,
    shares: HashMap<Source, Share>,
    /// What the sources take up, the largest share last.
    by_size: BTreeSet<(usize, Source)>,
    /// Ids in the order in which they came, each under its number.
    by_age: BTreeMap<u64, u64>,
    next_number: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Thing<T> {
    number: u64,
    source: Source,
    at: Stamp,
    bytes: usize,
    item: T,
}

/// What one source has on the shelf.
#[derive(Debug, Default)]
struct Share {
    bytes: usize,
    /// Ids, oldest first.
    ids: VecDeque<u64>,
}

impl<T> Shelf<T> {
    /// A shelf of so many bytes, on which things stay so many nanoseconds at most.
    pub fn new(bytes_max: usize, keep_nanos: u64) -> Self {
        Self {
            bytes_max,
            keep_nanos,
            things: HashMap::new(),
            shares: HashMap::new(),
            by_size: BTreeSet::new(),
            by_age: BTreeMap::new(),
            next_number: 0,
            bytes: 0,
        }
    }

    /// Bytes that are taken up; never more than the shelf has.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What stands there under this id.
    pub fn get(&self, id: u64, now: Stamp) -> Option<(Stamp, &T)> {
        let thing = self.things.get(&id).filter(|thing| !self.is_over(thing.at, now))?;
        Some((thing.at, &thing.item))
    }

    /// Puts a thing of so many bytes on the shelf, and takes off what there is no room for any more. Nothing happens when the
    /// id is taken.
    pub fn put(&mut self, id: u64, source: Source, now: Stamp, item: T, bytes: usize) {
        self.drop_old(now);
        if self.things.contains_key(&id) {
            return;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.things.insert(id, Thing { number, source, at: now, bytes: 0, item });
        self.by_age.insert(number, id);
        self.shares.entry(source).or_default().ids.push_back(id);
        self.grow(id, bytes.saturating_add(PLACE_BYTES));
        self.make_room();
    }

    /// Changes a thing, which grows by so many bytes, and takes off what there is no room for any more. Nothing happens when
    /// there is no such thing of this source.
    pub fn add_to(&mut self, id: u64, source: Source, bytes: usize, change: impl FnOnce(&mut T)) {
        let Some(thing) = self.things.get_mut(&id).filter(|thing| thing.source == source) else { return };
        change(&mut thing.item);
        self.grow(id, bytes);
        self.make_room();
    }

    fn is_over(&self, at: Stamp, now: Stamp) -> bool {
        now.0.saturating_sub(at.0) >= self.keep_nanos
    }

    fn grow(&mut self, id: u64, bytes: usize) {
        let Some(thing) = self.things.get_mut(&id) else { return };
        let Some(share) = self.shares.get_mut(&thing.source) else { return };
        self.by_size.remove(&(share.bytes, thing.source));
        thing.bytes = thing.bytes.saturating_add(bytes);
        share.bytes = share.bytes.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        self.by_size.insert((share.bytes, thing.source));
    }

    fn drop_old(&mut self, now: Stamp) {
        while let Some((_, id)) = self.by_age.first_key_value() {
            match self.things.get(id) {
                Some(thing) if self.is_over(thing.at, now) => self.take_oldest_of(thing.source),
                _ => return,
            }
        }
    }

    fn make_room(&mut self) {
        while self.bytes > self.bytes_max {
            let Some((_, largest)) = self.by_size.last() else { return };
            self.take_oldest_of(*largest);
        }
    }

    /// INVARIANT: the oldest thing of all is the oldest of its source, since both orders are that of coming.
    fn take_oldest_of(&mut self, source: Source) {
        let Some(share) = self.shares.get_mut(&source) else { return };
        self.by_size.remove(&(share.bytes, source));
        if let Some(thing) = share.ids.pop_front().and_then(|id| self.things.remove(&id)) {
            self.by_age.remove(&thing.number);
            share.bytes = share.bytes.saturating_sub(thing.bytes);
            self.bytes = self.bytes.saturating_sub(thing.bytes);
        }
        match share.ids.is_empty() {
            true => drop(self.shares.remove(&source)),
            false => drop(self.by_size.insert((share.bytes, source))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = 86_400;

    fn at(seconds: u64) -> Stamp {
        Stamp(seconds * 1_000_000_000)
    }

    fn shelf(bytes_max: usize) -> Shelf<u32> {
        Shelf::new(bytes_max, DAY * 1_000_000_000)
    }

    fn from(last: u8) -> Source {
        Source::of(Some(IpAddr::from([192, 0, 2, last])))
    }

    #[test]
    fn sources() {
        let of = |text: &str| Source::of(Some(text.parse().unwrap()));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1:2:3"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.7"), from(7));
        assert_ne!(from(7), from(8));
        assert_ne!(Source::of(None), of("::"));
    }

    #[test]
    fn things_stay_a_day() {
        let mut shelf = shelf(10_000);
        shelf.put(1, from(1), at(0), 10, 100);
        assert_eq!(shelf.get(1, at(DAY - 1)), Some((at(0), &10)));
        assert_eq!(shelf.get(1, at(DAY)), None, "also when nothing came since");
        shelf.put(2, from(2), at(DAY), 20, 100);
        assert_eq!((shelf.things.len(), shelf.bytes()), (1, 100 + PLACE_BYTES));
        assert_eq!(shelf.get(3, at(DAY)), None);
    }

    #[test]
    fn an_id_is_taken_once() {
        let mut shelf = shelf(10_000);
        shelf.put(1, from(1), at(0), 10, 100);
        shelf.put(1, from(2), at(1), 20, 100);
        shelf.add_to(1, from(2), 50, |item| *item = 30);
        assert_eq!(shelf.get(1, at(1)), Some((at(0), &10)));
        shelf.add_to(1, from(1), 50, |item| *item = 40);
        assert_eq!((shelf.get(1, at(1)), shelf.bytes()), (Some((at(0), &40)), 150 + PLACE_BYTES));
    }

    #[test]
    fn who_takes_up_most_loses_its_oldest() {
        let mut shelf = shelf(4 * (100 + PLACE_BYTES));
        shelf.put(1, from(1), at(0), 0, 100);
        for id in 2..100 {
            shelf.put(id, from(2), at(id), 0, 100);
        }
        let held: Vec<u64> = (1..100).filter(|id| shelf.get(*id, at(100)).is_some()).collect();
        assert_eq!(held, [1, 97, 98, 99]);
        // One that grows beyond the shelf takes itself off.
        shelf.add_to(99, from(2), 1_000_000, |_| ());
        assert!(shelf.get(99, at(100)).is_none() && shelf.get(1, at(100)).is_some());
        shelf.put(200, from(3), at(100), 0, 1_000_000);
        assert!(shelf.get(200, at(100)).is_none() && shelf.get(1, at(100)).is_some());
    }

    fn is_whole(shelf: &Shelf<u32>) -> bool {
        let bytes: usize = shelf.things.values().map(|thing| thing.bytes).sum();
        let in_shares: usize = shelf.shares.values().map(|share| share.ids.len()).sum();
        let sizes: BTreeSet<_> = shelf.shares.iter().map(|(source, share)| (share.bytes, *source)).collect();
        bytes == shelf.bytes
            && shelf.bytes <= shelf.bytes_max
            && in_shares == shelf.things.len()
            && shelf.by_age.len() == shelf.things.len()
            && shelf.by_age.iter().all(|(number, id)| shelf.things.get(id).is_some_and(|thing| thing.number == *number))
            && sizes == shelf.by_size
            && shelf.shares.values().all(|share| !share.ids.is_empty())
    }

    proptest! {
        #[test]
        fn bounds_hold_and_a_flood_evicts_itself(
            steps in proptest::collection::vec((0u8..6, 0u64..40, 0usize..2000, 0u64..5000, any::<bool>()), 1..400),
        ) {
            const SOURCES: usize = 6;
            let mut shelf = shelf(20_000);
            let mut now = 0;
            let mut sent = [0usize; SOURCES];
            let mut held: HashMap<u64, (u8, u64)> = HashMap::new();
            for (i, (source, id, bytes, passed, adds)) in steps.into_iter().enumerate() {
                now += passed;
                let id = if adds { id } else { 1000 + i as u64 };
                let before: HashSet<u64> = held.keys().copied().filter(|id| shelf.get(*id, at(now)).is_some()).collect();
                if adds {
                    shelf.add_to(1000 + id, from(source), bytes, |_| ());
                } else {
                    shelf.put(id, from(source), at(now), 0, bytes);
                    held.insert(id, (source, now));
                }
                sent[usize::from(source)] += bytes + PLACE_BYTES;
                prop_assert!(is_whole(&shelf));
                for lost in before.into_iter().filter(|id| shelf.get(*id, at(now)).is_none()) {
                    let (of, _) = held[&lost];
                    // Only who sent more than an equal share of the shelf ever loses anything before its day is over.
                    prop_assert!(sent[usize::from(of)] > 20_000 / SOURCES, "{lost} of source {of}");
                }
            }
        }
    }
}
