//! Which change of a key wins. Pure.
//!
//! The greatest change wins, in whatever order changes arrive: so all nodes come to the same state. What a change has seen only decides
//! whether what it takes the place of was meant to be replaced, or is a conflict that somebody has to be told of. A change is greater
//! than all that it has seen.
//!
//! INVARIANT: what a change has seen never changes and is told to all; what a state won over is each node's own knowledge (`won`). If the
//! latter were told, the node where the loser was written would take it for replaced, and drop it.

use crate::names::{Change, NodeId, Seen, Stamp};
use crate::storage::messages::{Lineage, Replica};

/// By how much at most a clock that is ahead is exceeded.
const CLOCK_STEPS: u64 = 1 << 16;

/// How an incoming change stands to a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum Verdict {
    /// The state descends from it, or won over it before.
    Known,
    /// It descends from the state: takes its place, and nothing is lost.
    Follows,
    /// Neither has seen the other, and it is the greater: takes the place of the state, which lost.
    Wins,
    /// Neither has seen the other, and it lost.
    Loses,
}

impl Lineage {
    /// A change and what it has seen.
    pub(in crate::storage) fn new(change: Change, seen: Seen) -> Self {
        Self {
            change,
            seen,
            won: Seen::default(),
            modified: None,
            tags_change: None,
            lock_change: None,
            is_conflict: false,
            is_dismissed: false,
        }
    }

    /// That of a state of which nothing is told: a change of this node at the time of its commit.
    pub(in crate::storage) fn of_own(stamp: Stamp, own: NodeId) -> Self {
        Self::new(Change { clock: stamp.0, origin: own }, Seen::default())
    }

    /// The last one of all, for what has to be recorded whatever came before.
    pub(in crate::storage) fn last(own: NodeId) -> Self {
        Self::of_own(Stamp(u64::MAX), own)
    }

    /// That of a replica.
    pub(in crate::storage) fn of_replica(replica: &Replica) -> Self {
        Self {
            modified: Some(replica.modified.unwrap_or(Stamp(replica.change.clock))),
            tags_change: replica.tags_change,
            lock_change: replica.lock_change,
            ..Self::new(replica.change, replica.seen.clone().without(replica.change.origin))
        }
    }

    /// Whether the state descends from a change, or won over it.
    pub(in crate::storage) fn knows(&self, change: Change) -> bool {
        let own = Seen::from_iter([self.change]);
        own.covers(change) || self.seen.covers(change) || self.won.covers(change)
    }

    /// How an incoming change stands to this state.
    pub(in crate::storage) fn judge(&self, incoming: &Self) -> Verdict {
        match (self.knows(incoming.change), incoming.change > self.change) {
            (true, _) => Verdict::Known,
            (false, true) if incoming.knows(self.change) => Verdict::Follows,
            (false, true) => Verdict::Wins,
            (false, false) => Verdict::Loses,
        }
    }

    /// Remembers that it won over another state, and what that knew.
    pub(in crate::storage) fn win_over(&mut self, other: &Self) {
        let mut known = other.won.clone();
        known.union(&other.seen);
        known.insert(other.change);
        let news: Vec<_> = known.iter().filter(|change| !self.knows(*change)).collect();
        news.into_iter().for_each(|change| self.won.insert(change));
    }

    /// All that whoever writes after this state has seen.
    pub(in crate::storage) fn all_seen(&self) -> Seen {
        let mut seen = self.seen.clone();
        seen.union(&self.won);
        seen.insert(self.change);
        seen
    }

    /// The highest clock of anything in it.
    pub(in crate::storage) fn highest_clock(&self) -> u64 {
        let beside = [self.tags_change, self.lock_change].into_iter().flatten();
        let clocks = beside.chain(self.won.iter()).map(|change| change.clock);
        clocks.max().unwrap_or_default().max(self.change.clock)
    }

    /// The last change of its tags.
    pub(in crate::storage) fn tags(&self) -> Change {
        self.tags_change.unwrap_or(self.change).max(self.change)
    }

    /// The last change of its locks.
    pub(in crate::storage) fn lock(&self) -> Change {
        self.lock_change.unwrap_or(self.change).max(self.change)
    }
}

/// What a change that is made here comes after.
#[derive(Debug, Clone, Default)]
pub(in crate::storage) struct Ancestry {
    highest: u64,
    seen: Seen,
}

impl Ancestry {
    /// Comes after a state, too.
    pub fn after(&mut self, state: &Lineage) {
        self.highest = self.highest.max(state.highest_clock());
        self.seen.union(&state.all_seen());
    }

    /// The change of a commit at `stamp`: later than everything that was seen, whatever the clocks of other nodes say.
    /// A clock that is ahead is exceeded by a `step`, which is random: two nodes that write after the same state do not choose the same.
    /// None when no clock is later than what was seen: a change that seems to be as old would take the place of another.
    pub fn change(&self, stamp: Stamp, own: NodeId, step: u64) -> Option<Lineage> {
        let is_ahead = self.highest >= stamp.0;
        let clock = if is_ahead { self.highest.checked_add(1 + step % CLOCK_STEPS)? } else { stamp.0 };
        Some(Lineage::new(Change { clock, origin: own }, self.seen.clone().without(own)))
    }
}

/// Of two versions of a key that have one clock, whether the one that comes has the place of the one that is there. Whatever they are,
/// objects, delete markers, or what was deleted for good: the greater id has it, of which only the random halves differ.
pub(in crate::storage) fn gives_way(there: u64, comes: u64) -> bool {
    there < comes
}

/// A lineage as a row keeps it: not at all, if it says only what the row tells anyway.
pub(in crate::storage) fn kept(lineage: Lineage, stamp: Stamp, own: NodeId) -> Option<Box<Lineage>> {
    (lineage != Lineage::of_own(stamp, own)).then(|| Box::new(lineage))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// A node with one key: its state, and copies of what lost.
    #[derive(Clone, Default)]
    struct Model {
        state: Option<Lineage>,
        copies: BTreeSet<Change>,
    }

    impl Model {
        fn write(&mut self, clock: u64, own: NodeId) -> Lineage {
            let mut ancestry = Ancestry::default();
            self.state.iter().for_each(|state| ancestry.after(state));
            let written = ancestry.change(Stamp(clock), own, 0).unwrap();
            self.state = Some(written.clone());
            written
        }

        fn take(&mut self, incoming: &Lineage) {
            let Some(state) = &mut self.state else {
                self.state = Some(incoming.clone());
                return;
            };
            let verdict = state.judge(incoming);
            let mut incoming = incoming.clone();
            match verdict {
                Verdict::Known => {}
                Verdict::Loses => {
                    self.copies.insert(incoming.change);
                    state.win_over(&incoming);
                }
                Verdict::Follows | Verdict::Wins => {
                    if verdict == Verdict::Wins {
                        self.copies.insert(state.change);
                    }
                    incoming.win_over(state);
                    *state = incoming;
                }
            }
        }
    }

    fn node(number: usize) -> NodeId {
        NodeId::new(number as u64 + 1).unwrap()
    }

    proptest! {
        /// Whatever is written where, and in whatever order and how often it arrives: all come to the same state, and each change is that
        /// state, or a copy somewhere, or was seen by another change.
        #[test]
        fn nodes_agree_and_nothing_is_lost(
            // Which node writes at which (wall) clock, and what it hears before: an earlier change.
            steps in prop::collection::vec((0usize..3, 0u64..40, prop::option::of(any::<prop::sample::Index>())), 1..14),
            orders in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..30), 3),
        ) {
            let mut nodes = vec![Model::default(); 3];
            let mut changes: Vec<Lineage> = Vec::new();
            for (at, clock, heard) in steps {
                if let Some(heard) = heard.filter(|_| !changes.is_empty()) {
                    let heard = changes[heard.index(changes.len())].clone();
                    nodes[at].take(&heard);
                }
                changes.push(nodes[at].write(clock, node(at)));
            }
            for (model, order) in nodes.iter_mut().zip(&orders) {
                for index in order {
                    model.take(&changes[index.index(changes.len())]);
                }
                for change in changes.iter().rev() {
                    model.take(change);
                }
            }
            let winner = changes.iter().map(|lineage| lineage.change).max().unwrap();
            let copies: BTreeSet<_> = nodes.iter().flat_map(|node| node.copies.iter().copied()).collect();
            for model in &nodes {
                let state = model.state.as_ref().unwrap();
                prop_assert_eq!(state.change, winner);
                let mut again = model.clone();
                changes.iter().for_each(|change| again.take(change));
                prop_assert_eq!(&again.copies, &model.copies, "what is known makes no copy");
            }
            for lineage in &changes {
                let change = lineage.change;
                let was_seen = changes.iter().any(|other| other.change != change && other.knows(change));
                prop_assert!(change == winner || was_seen || copies.contains(&change), "{} is lost", change);
                prop_assert!(lineage.seen.iter().all(|seen| seen < change), "a change is greater than what it has seen");
            }
        }
    }

    #[test]
    fn a_clock_ahead_does_not_win_over_what_comes_after_it() {
        let (a, b) = (node(0), node(1));
        let ahead = Lineage::of_own(Stamp(1 << 62), a);
        let mut ancestry = Ancestry::default();
        ancestry.after(&ahead);
        let later = ancestry.change(Stamp(5), b, 2).unwrap();
        assert_eq!(later.change, Change { clock: (1 << 62) + 3, origin: b });
        assert_eq!(ahead.judge(&later), Verdict::Follows);
        assert_eq!(later.judge(&ahead), Verdict::Known);
        assert_eq!(kept(Lineage::of_own(Stamp(5), b), Stamp(5), b), None);
        assert!(kept(later, Stamp(5), b).is_some());
        ancestry.after(&Lineage::of_own(Stamp(u64::MAX), a));
        assert_eq!(ancestry.change(Stamp(5), b, 2), None, "nothing comes after the end of time");
    }
}
