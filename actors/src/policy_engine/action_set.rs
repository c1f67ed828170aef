//! Which actions a statement is about.
//!
//! Most actions that are asked for are in the table, so what the patterns of a statement make of the table is worked out when
//! the policy is parsed: it then tells by one bit whether it is about an action.

use std::sync::LazyLock;

use super::actions::ACTIONS;
use super::document::Clause;
use super::pattern::no_variables;

const WORDS: usize = ACTIONS.len().div_ceil(64);

/// The place of an action in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(usize);

static PLACES: LazyLock<foldhash::HashMap<&'static str, Place>> =
    LazyLock::new(|| ACTIONS.iter().enumerate().map(|(index, row)| (row.name, Place(index))).collect());

impl Place {
    /// Of the action of exactly this name.
    pub fn of(action: &str) -> Option<Self> {
        PLACES.get(action).copied()
    }
}

/// The actions that a clause is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ActionSet([u64; WORDS]);

impl ActionSet {
    /// Works out what a clause makes of the table.
    pub fn of(clause: &Clause) -> Self {
        let mut words = [0; WORDS];
        for (word, rows) in words.iter_mut().zip(ACTIONS.chunks(64)) {
            for (bit, _) in rows.iter().enumerate().filter(|(_, row)| is_about(clause, row.name)) {
                *word |= 1 << bit;
            }
        }
        Self(words)
    }

    /// Whether the clause is about an action. `place` is the action's in the table, if it has one.
    pub fn is_about(&self, clause: &Clause, action: &str, place: Option<Place>) -> bool {
        match place {
            Some(Place(index)) => self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1),
            None => is_about(clause, action),
        }
    }
}

/// Action names have no letter case.
fn is_about(clause: &Clause, action: &str) -> bool {
    clause.negated != clause.patterns.iter().any(|pattern| pattern.matches_ignoring_case(action, &no_variables))
}

#[cfg(test)]
mod tests {
    use super::super::pattern::{Pattern, Syntax};
    use super::*;

    #[test]
    fn the_bit_says_what_the_patterns_say() {
        let clause = |texts: &[&str], negated| {
            let pattern = |text: &&str| Pattern::parse(text, Syntax::WILDCARDS).unwrap();
            Clause { patterns: texts.iter().map(pattern).collect(), negated }
        };
        let sets: [&[&str]; 6] =
            [&["*"], &["s3:GetObject"], &["S3:get*", "s3:PutObject"], &["s3:*Object?cl"], &["iam:*"], &["ec2:Run*"]];
        for (texts, negated) in sets.iter().flat_map(|texts| [(texts, false), (texts, true)]) {
            let clause = clause(texts, negated);
            let set = ActionSet::of(&clause);
            for row in ACTIONS {
                let by_text = set.is_about(&clause, row.name, None);
                assert_eq!(set.is_about(&clause, row.name, Place::of(row.name)), by_text, "{texts:?} {}", row.name);
            }
        }
        let instances = clause(&["ec2:Run*"], false);
        let place = Place::of("ec2:RunInstances");
        assert!(ActionSet::of(&instances).is_about(&instances, "ec2:RunInstances", place), "beyond the table");
    }
}
