//! What single buckets held over the last thirty days, for how they grow and when they will be full. Pure.
//!
//! Bounded: so many samples, one every two hours, each of so many buckets: those with a quota first, then the largest. A bucket that is
//! not among them is simply not known of then.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// Seconds from sample to sample.
pub const STEP_SECONDS: u64 = 7_200;
/// Samples that are kept: thirty days, and the one that they begin with.
pub const SAMPLES_MAX: usize = 361;
/// Buckets of a sample.
pub const BUCKETS_MAX: usize = 100;

/// What a bucket held: what counts for its quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub struct Held {
    /// Bytes of objects, versions and parts of uploads.
    pub bytes: u64,
    /// Objects and versions.
    pub objects: u64,
}

impl From<(u64, u64)> for Held {
    fn from((bytes, objects): (u64, u64)) -> Self {
        Self { bytes, objects }
    }
}

impl From<Held> for (u64, u64) {
    fn from(held: Held) -> Self {
        (held.bytes, held.objects)
    }
}

/// A bucket for a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its id, which no other bucket ever gets.
    pub id: u64,
    /// Whether it has a quota.
    pub has_quota: bool,
    /// What it holds.
    pub held: Held,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sample {
    /// In seconds since 1970.
    at: u64,
    held: BTreeMap<u64, Held>,
}

/// The samples, oldest first.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Growth {
    samples: VecDeque<Sample>,
}

impl Growth {
    /// Whether the next sample is due at this time, in seconds since 1970. Also where the clock was set back.
    pub fn is_due(&self, now: u64) -> bool {
        self.samples.back().is_none_or(|last| now >= last.at.saturating_add(STEP_SECONDS) || now < last.at)
    }

    /// Takes a sample.
    pub fn take(&mut self, now: u64, mut all: Vec<Seen>) {
        all.sort_by_key(|seen| std::cmp::Reverse((seen.has_quota, seen.held.bytes)));
        all.truncate(BUCKETS_MAX);
        // What a clock that was wrong has left behind would be read as what is to come.
        self.samples.retain(|sample| sample.at < now);
        self.samples.push_back(Sample { at: now, held: all.into_iter().map(|seen| (seen.id, seen.held)).collect() });
        while self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
    }

    /// What a bucket held within so many seconds before now, oldest first: when, in seconds since 1970, and what.
    pub fn of(&self, id: u64, seconds: u64, now: u64) -> Vec<(u64, Held)> {
        let oldest = now.saturating_sub(seconds);
        let within = self.samples.iter().filter(|sample| (oldest..=now).contains(&sample.at));
        within.filter_map(|sample| Some((sample.at, *sample.held.get(&id)?))).collect()
    }

    /// What a bucket held so many seconds ago: the sample nearest to that, if it is not farther from it than a step. None is known
    /// of a bucket that was not there, or not among the samples.
    pub fn ago(&self, id: u64, seconds: u64, now: u64) -> Option<Held> {
        let then = now.checked_sub(seconds)?;
        let near = self.samples.iter().filter(|sample| sample.at.abs_diff(then) <= STEP_SECONDS);
        near.min_by_key(|sample| sample.at.abs_diff(then)).and_then(|sample| sample.held.get(&id).copied())
    }

    /// Drops what a file should not have held.
    pub fn trimmed(mut self) -> Self {
        while self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
        for sample in &mut self.samples {
            while sample.held.len() > BUCKETS_MAX {
                sample.held.pop_last();
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(id: u64, has_quota: bool, bytes: u64) -> Seen {
        Seen { id, has_quota, held: Held { bytes, objects: bytes / 10 } }
    }

    fn grown(samples: u64) -> Growth {
        let mut growth = Growth::default();
        for at in 0..samples {
            growth.take(1_000_000 + at * STEP_SECONDS, vec![seen(1, false, at * 100)]);
        }
        growth
    }

    #[test]
    fn what_was_held_is_told_by_when() {
        let (growth, now) = (grown(13), 1_000_000 + 12 * STEP_SECONDS);
        assert_eq!(growth.ago(1, 86_400, now), Some(Held { bytes: 0, objects: 0 }));
        assert_eq!(growth.ago(1, 2 * STEP_SECONDS, now).map(|held| held.bytes), Some(1_000));
        assert_eq!(growth.ago(1, 7 * 86_400, now), None, "nobody knows");
        assert_eq!(growth.ago(2, 86_400, now), None);
        let day = growth.of(1, 86_400, now);
        assert_eq!((day.len(), day[0].0, day[12].1.bytes), (13, 1_000_000, 1_200));
        assert_eq!(growth.of(1, STEP_SECONDS, now).len(), 2);
    }

    #[test]
    fn samples_are_bounded_and_due() {
        let mut growth = grown(SAMPLES_MAX as u64 + 9);
        assert_eq!(growth.samples.len(), SAMPLES_MAX);
        let last = growth.samples.back().unwrap().at;
        assert!(!growth.is_due(last + STEP_SECONDS - 1) && growth.is_due(last + STEP_SECONDS));
        assert!(growth.is_due(last - 1), "the clock was set back");
        growth.take(last - 1, (0..300).map(|id| seen(id, id == 7, id)).collect());
        let sample = growth.samples.back().unwrap();
        assert_eq!((sample.at, sample.held.len()), (last - 1, BUCKETS_MAX));
        assert!(sample.held.contains_key(&7) && sample.held.contains_key(&299) && !sample.held.contains_key(&8));
        assert!(growth.samples.iter().all(|sample| sample.at < last), "what was to come is dropped");
    }

    #[test]
    fn a_file_holds_it_in_few_bytes() {
        let mut growth = Growth::default();
        for at in 0..SAMPLES_MAX as u64 {
            growth.take(at * STEP_SECONDS, (0..BUCKETS_MAX as u64).map(|id| seen(id, false, 1 << 40)).collect());
        }
        let text = serde_json::to_string(&growth).unwrap();
        assert!(text.len() < 2 << 20, "{}", text.len());
        assert_eq!(serde_json::from_str::<Growth>(&text).unwrap().trimmed(), growth);
    }
}
