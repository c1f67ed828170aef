//! Which actions a statement is about.
//!
//! Most actions that are asked for are in the table, so what patterns make of the table is worked out when the policy is
//! parsed: a statement then tells whether it is about an action by one bit.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::actions::ACTIONS;
use super::pattern::{Pattern, no_variables};

const WORDS: usize = ACTIONS.len().div_ceil(64);

/// The place of an action in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(usize);

static PLACES: LazyLock<HashMap<&'static str, Place>> =
    LazyLock::new(|| ACTIONS.iter().enumerate().map(|(index, row)| (row.name, Place(index))).collect());

impl Place {
    /// Of the action of exactly this name.
    pub fn of(action: &str) -> Option<Self> {
        PLACES.get(action).copied()
    }
}

/// A set of rows of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ActionSet([u64; WORDS]);

impl ActionSet {
    /// The actions that fit one of the patterns.
    fn of(patterns: &[Pattern]) -> Self {
        let mut words = [0; WORDS];
        for (word, rows) in words.iter_mut().zip(ACTIONS.chunks(64)) {
            for (bit, row) in rows.iter().enumerate().filter(|(_, row)| fit(patterns, row.name)) {
                debug_assert!(Place::of(row.name).is_some());
                *word |= 1 << bit;
            }
        }
        Self(words)
    }

    fn has(&self, Place(index): Place) -> bool {
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }
}

/// Action names have no letter case.
fn fit(patterns: &[Pattern], action: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches_ignoring_case(action, &no_variables))
}

/// `Action`, or, negated, `NotAction`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ActionClause {
    patterns: Box<[Pattern]>,
    /// What they make of the table.
    known: ActionSet,
    negated: bool,
}

impl ActionClause {
    /// A clause of these patterns.
    pub fn new(patterns: Vec<Pattern>, negated: bool) -> Self {
        Self { known: ActionSet::of(&patterns), patterns: patterns.into(), negated }
    }

    /// Whether it is about an action. `place` is its place in the table, if it has one.
    pub fn fits(&self, action: &str, place: Option<Place>) -> bool {
        self.negated != place.map_or_else(|| fit(&self.patterns, action), |place| self.known.has(place))
    }
}

#[cfg(test)]
mod tests {
    use super::super::pattern::Syntax;
    use super::*;

    #[test]
    fn the_bit_says_what_the_patterns_say() {
        let sets: [&[&str]; 6] =
            [&["*"], &["s3:GetObject"], &["S3:get*", "s3:PutObject"], &["s3:*Object?cl"], &["iam:*"], &["ec2:Run*"]];
        for texts in sets {
            let patterns: Vec<Pattern> =
                texts.iter().map(|text| Pattern::parse(text, Syntax::WILDCARDS).unwrap()).collect();
            for negated in [false, true] {
                let clause = ActionClause::new(patterns.clone(), negated);
                for row in ACTIONS {
                    let by_text = clause.fits(row.name, None);
                    assert_eq!(clause.fits(row.name, Place::of(row.name)), by_text, "{texts:?} {}", row.name);
                }
            }
        }
        let clause = ActionClause::new(vec![Pattern::parse("ec2:Run*", Syntax::WILDCARDS).unwrap()], false);
        assert!(
            clause.fits("ec2:RunInstances", Place::of("ec2:RunInstances")),
            "actions beyond the table are asked too"
        );
    }
}
