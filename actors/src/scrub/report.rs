//! What was ordered, how far it is, and what was found. Pure.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::names::Stamp;
use crate::storage::DamageKind;

/// Runs that are remembered.
const RUNS_MAX: usize = 10;
/// Findings that are remembered; the oldest go first.
pub(super) const FINDINGS_MAX: usize = 200;

/// What is to be verified.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScrubOrder {
    /// Only this bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// At this pace instead of SCRUB_BYTES_PER_SECOND; 0: as fast as others leave room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScrubState {
    /// It is at work, or goes on with the node.
    #[default]
    Running,
    /// It was everywhere.
    Done,
    /// It was told to end.
    Stopped,
}

/// A run: what was ordered, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ScrubRun {
    /// What was ordered.
    pub order: ScrubOrder,
    /// Whether it began by itself.
    pub is_scheduled: bool,
    /// Where it stands.
    pub state: ScrubState,
    /// When it began, in milliseconds since 1970.
    pub started_millis: u64,
    /// When it ended.
    pub ended_millis: Option<u64>,
    /// Current objects that were verified.
    pub objects: u64,
    /// Versions that are not current.
    pub versions: u64,
    /// Parts of uploads in progress.
    pub parts: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Bytes that there were when it began, roughly.
    pub expected_bytes: u64,
    /// What was too new to have a file, or went meanwhile.
    pub passed_over: u64,
    /// Files that somebody had edited, which became their objects.
    pub edited: u64,
    /// What was damaged, by how.
    pub damaged: BTreeMap<String, u64>,
    /// What of that was repaired.
    pub repaired: u64,
    /// What an earlier run had found damaged, and is right again.
    pub lifted: u64,
    /// Rows of the index that cannot be read.
    pub unreadable_rows: u64,
    /// Up to where it is: the key of a row, in hexadecimal digits.
    pub position: Option<String>,
}

/// What becomes of something damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingOutcome {
    /// It is not served; its file is where it was.
    Quarantined,
    /// Right bytes are in its place.
    Repaired,
    /// Nothing could be done.
    Reported,
    /// It was written anew, deleted, or put right since.
    Lifted,
}

/// Something damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubFinding {
    /// When it was found, in milliseconds since 1970.
    pub found_millis: u64,
    /// Its bucket.
    pub bucket: String,
    /// Its key; none of a part.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// Its version id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version_id: Option<String>,
    /// The upload of a part.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub upload_id: Option<String>,
    /// The number of a part.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub part_number: Option<u16>,
    /// Its file, relative to the root.
    pub path: String,
    /// How it is damaged.
    pub damage: String,
    /// More, for people.
    pub detail: String,
    /// What became of it.
    pub outcome: FindingOutcome,
    /// Where the damaged file is kept, if right bytes took its place.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kept: Option<String>,
    /// Why it was not repaired, where a target could have had right bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_repaired: Option<String>,
}

/// Everything that is told, and kept for the next start.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ScrubReport {
    /// The run that is at work.
    pub run: Option<ScrubRun>,
    /// A run over everything that waits while one bucket is verified.
    pub waiting: Option<ScrubRun>,
    /// The last runs that ended, newest first.
    pub last_runs: VecDeque<ScrubRun>,
    /// The last findings, newest first.
    pub findings: VecDeque<ScrubFinding>,
}

impl ScrubRun {
    /// A run that begins.
    pub fn new(order: ScrubOrder, is_scheduled: bool, expected_bytes: u64, now: Stamp) -> Self {
        Self { order, is_scheduled, expected_bytes, started_millis: now.0 / 1_000_000, ..Self::default() }
    }

    /// The row behind which it goes on.
    pub fn after(&self) -> Option<Vec<u8>> {
        self.position.as_deref().and_then(|position| hex::decode(position).ok())
    }

    /// Goes on behind a row.
    pub fn reach(&mut self, row: &[u8]) {
        self.position = Some(hex::encode(row));
    }

    /// Counts damage.
    pub fn count(&mut self, kind: DamageKind) {
        *self.damaged.entry(kind.name().to_owned()).or_default() += 1;
    }

    /// How far it is, roughly: what is written meanwhile was not expected.
    pub fn percent(&self) -> u64 {
        match (self.state, self.expected_bytes) {
            (ScrubState::Done, _) => 100,
            (_, 0) => 0,
            (_, expected) => self.bytes.saturating_mul(100).checked_div(expected).unwrap_or(0).min(99),
        }
    }

    /// All that was damaged.
    pub fn damaged_total(&self) -> u64 {
        self.damaged.values().sum()
    }

    /// Whether it is the same run.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.started_millis == other.started_millis && self.order == other.order
    }
}

impl ScrubReport {
    /// Begins a run. One over a bucket goes before one over everything, which waits meanwhile. Answers whether there was room.
    pub fn begin(&mut self, run: ScrubRun) -> bool {
        match self.run.take() {
            None => {}
            Some(other) if other.order.bucket.is_none() && run.order.bucket.is_some() => self.waiting = Some(other),
            Some(other) => {
                self.run = Some(other);
                return false;
            }
        }
        self.run = Some(run);
        true
    }

    /// Ends the run; one that waited goes on, unless it was asked for an end of everything.
    pub fn end(&mut self, state: ScrubState, now: Stamp) -> Option<ScrubRun> {
        let mut run = self.run.take()?;
        (run.state, run.ended_millis, run.position) = (state, Some(now.0 / 1_000_000), None);
        self.last_runs.push_front(run.clone());
        self.last_runs.truncate(RUNS_MAX);
        let waiting = self.waiting.take();
        match (state, waiting) {
            (ScrubState::Stopped, Some(waiting)) => {
                self.run = Some(waiting);
                self.end(state, now);
            }
            (_, waiting) => self.run = waiting,
        }
        Some(run)
    }

    /// When the last run over everything began.
    pub fn last_full_millis(&self) -> Option<u64> {
        let full = |run: &&ScrubRun| run.order.bucket.is_none();
        self.last_runs.iter().find(full).map(|run| run.started_millis)
    }

    /// Takes note of something, in the place of what was said of it before.
    pub fn note(&mut self, finding: ScrubFinding) {
        let is_it = |other: &ScrubFinding| {
            (&other.bucket, &other.key, &other.version_id, &other.upload_id, other.part_number)
                == (&finding.bucket, &finding.key, &finding.version_id, &finding.upload_id, finding.part_number)
        };
        self.findings.retain(|other| !is_it(other));
        self.findings.push_front(finding);
        self.findings.truncate(FINDINGS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(bucket: Option<&str>, at: u64) -> ScrubRun {
        let order = ScrubOrder { bucket: bucket.map(str::to_owned), bytes_per_second: None };
        ScrubRun::new(order, false, 0, Stamp(at * 1_000_000))
    }

    #[test]
    fn a_bucket_goes_before_everything_else() {
        let mut report = ScrubReport::default();
        assert!(report.begin(run(None, 1)));
        assert!(!report.begin(run(None, 2)));
        assert!(report.begin(run(Some("a"), 3)));
        assert!(!report.begin(run(Some("b"), 4)), "one at a time");
        let ended = report.end(ScrubState::Done, Stamp(5_000_000)).unwrap();
        assert_eq!((ended.order.bucket.as_deref(), ended.ended_millis), (Some("a"), Some(5)));
        assert!(report.run.as_ref().is_some_and(|now| now.is(&run(None, 1))), "it goes on");
        assert_eq!(report.last_full_millis(), None);
        report.end(ScrubState::Done, Stamp(6_000_000));
        assert_eq!((report.run.clone(), report.last_full_millis()), (None, Some(1)));
        let text = serde_json::to_vec(&report).unwrap();
        assert_eq!(serde_json::from_slice::<ScrubReport>(&text).unwrap(), report);
    }

    #[test]
    fn stopping_ends_what_waits_too() {
        let mut report = ScrubReport::default();
        report.begin(run(None, 1));
        report.begin(run(Some("a"), 2));
        report.end(ScrubState::Stopped, Stamp(3_000_000));
        assert_eq!((report.run, report.waiting, report.last_runs.len()), (None, None, 2));
    }

    #[test]
    fn what_is_said_of_something_is_said_once_and_the_list_is_bounded() {
        let finding = |key: &str, outcome| ScrubFinding {
            found_millis: 1,
            bucket: "b".to_owned(),
            key: Some(key.to_owned()),
            version_id: Some("null".to_owned()),
            upload_id: None,
            part_number: None,
            path: "b/k".to_owned(),
            damage: DamageKind::Checksum.name().to_owned(),
            detail: String::new(),
            outcome,
            kept: None,
            not_repaired: None,
        };
        let mut report = ScrubReport::default();
        report.note(finding("k", FindingOutcome::Quarantined));
        report.note(finding("k", FindingOutcome::Repaired));
        assert_eq!(report.findings.len(), 1);
        assert_eq!(report.findings[0].outcome, FindingOutcome::Repaired);
        for number in 0..2 * FINDINGS_MAX {
            report.note(finding(&number.to_string(), FindingOutcome::Reported));
        }
        assert_eq!(report.findings.len(), FINDINGS_MAX);
        assert!(serde_json::from_str::<ScrubOrder>("{\"bukket\":\"a\"}").is_err());
    }

    #[test]
    fn a_position_goes_both_ways() {
        let mut run = run(None, 1);
        assert_eq!(run.after(), None);
        run.reach(b"O\0\xff");
        assert_eq!(run.after().as_deref(), Some(b"O\0\xff".as_slice()));
    }
}
