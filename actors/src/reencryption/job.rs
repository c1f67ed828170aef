//! What is to be done, and how far it is. Pure.

use serde::{Deserialize, Serialize};

use crate::encryption::WrappingKey;
use crate::names::Stamp;

/// Errors that a report quotes.
const ERRORS_MAX: usize = 10;

/// What is to be done anew. What is left out chooses everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobOrder {
    /// Only in this bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Only keys that begin with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Only what is wrapped under this key: id, ARN or alias of a KMS key, or the id of a master key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The KMS key under which it is wrapped then, where a KMS key wrapped it; its own if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_key_id: Option<String>,
    /// Whether current objects are written anew, with fresh data keys.
    pub rewrite: bool,
    /// Whether, instead of all that, current objects that are not encrypted are encrypted as their bucket is configured.
    pub convert: bool,
}

impl JobOrder {
    /// Whether it makes sense: what is not encrypted has no key to be chosen by.
    pub fn is_sound(&self) -> bool {
        !self.convert || (!self.rewrite && self.key_id.is_none() && self.to_key_id.is_none())
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// It is at work, or goes on with the node.
    #[default]
    Running,
    /// It was everywhere. What failed is counted.
    Done,
    /// It was told to end.
    Cancelled,
}

/// A job: what was ordered, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Job {
    /// What was ordered.
    pub order: JobOrder,
    /// Where it stands.
    pub state: JobState,
    /// When it was ordered, in milliseconds since 1970.
    pub started_millis: u64,
    /// When it ended.
    pub ended_millis: Option<u64>,
    /// Objects, versions and uploads that were looked at.
    pub looked_at: u64,
    /// Objects and versions whose data key is wrapped anew.
    pub rewrapped: u64,
    /// Objects that were written anew.
    pub rewritten: u64,
    /// Uploads in progress whose data key is wrapped anew.
    pub uploads: u64,
    /// What was as it should be.
    pub current: u64,
    /// What cannot be done: the keys are customers', or a version that is not current would have to be written anew.
    pub skipped: u64,
    /// What failed; the errors name some.
    pub failed: u64,
    /// The first errors.
    pub errors: Vec<String>,
    /// Up to where it is.
    pub position: Position,
}

/// How far a walk over buckets, versions and uploads is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    /// The last bucket that is done.
    pub done: Option<String>,
    /// The bucket that is walked.
    pub bucket: Option<String>,
    /// Whether its objects are done, and its uploads are walked.
    pub in_uploads: bool,
    /// Behind this key …
    pub key: Option<String>,
    /// … and this version, or upload, of it.
    pub mark: Option<String>,
}

impl Job {
    /// A job that begins.
    pub fn new(order: JobOrder, now: Stamp) -> Self {
        Self { order, started_millis: now.0 / 1_000_000, ..Self::default() }
    }

    /// Whether it is at work.
    pub fn is_running(&self) -> bool {
        self.state == JobState::Running
    }

    /// Ends it.
    pub fn end(&mut self, state: JobState, now: Stamp) {
        self.state = state;
        self.ended_millis = Some(now.0 / 1_000_000);
    }

    /// Takes note of something that failed.
    pub fn fail(&mut self, place: &str, error: &dyn std::fmt::Display) {
        self.failed += 1;
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(format!("{place}: {error}"));
        }
    }
}

impl Position {
    /// Goes to a bucket, unless it is there already.
    pub fn enter(&mut self, bucket: &str) {
        if self.bucket.as_deref() != Some(bucket) {
            *self = Self { done: self.done.take(), bucket: Some(bucket.to_owned()), ..Self::default() };
        }
    }

    /// Goes on behind a key and a mark; at the end of the objects with the uploads, at their end with the next bucket.
    pub fn advance(&mut self, next: Option<(String, Option<String>)>) {
        match next {
            Some((key, mark)) => (self.key, self.mark) = (Some(key), mark),
            None if self.in_uploads => *self = Self { done: self.bucket.take(), ..Self::default() },
            None => (self.in_uploads, self.key, self.mark) = (true, None, None),
        }
    }
}

/// Whether a data key is one of those that were chosen.
pub(super) fn is_chosen(key: &WrappingKey, only: Option<&str>) -> bool {
    only.is_none_or(|id| key.id() == Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_goes_through_objects_and_uploads_of_one_bucket_after_the_other() {
        let mut position = Position::default();
        position.enter("a");
        position.advance(Some(("k".to_owned(), Some("v".to_owned()))));
        position.enter("a");
        assert_eq!((position.key.as_deref(), position.mark.as_deref()), (Some("k"), Some("v")));
        position.advance(None);
        assert!(position.in_uploads && position.key.is_none());
        position.advance(Some(("k".to_owned(), None)));
        position.advance(None);
        assert_eq!(position, Position { done: Some("a".to_owned()), ..Position::default() });
        position.enter("b");
        assert_eq!((position.done.as_deref(), position.bucket.as_deref()), (Some("a"), Some("b")));
    }

    #[test]
    fn a_job_goes_both_ways_and_quotes_some_errors() {
        let mut job = Job::new(JobOrder { prefix: Some("x/".to_owned()), ..JobOrder::default() }, Stamp(5_000_000));
        for number in 0..20 {
            job.fail("b/k", &number);
        }
        job.end(JobState::Done, Stamp(6_000_000));
        assert_eq!((job.failed, job.errors.len(), job.ended_millis), (20, ERRORS_MAX, Some(6)));
        let text = serde_json::to_vec(&job).unwrap();
        assert_eq!(serde_json::from_slice::<Job>(&text).unwrap(), job);
        assert!(serde_json::from_str::<JobOrder>("{\"bukket\":\"a\"}").is_err());
        let order = |text| serde_json::from_str::<JobOrder>(text).unwrap().is_sound();
        assert!(order("{}") && order(r#"{"convert":true,"prefix":"a"}"#) && order(r#"{"rewrite":true,"key_id":"k"}"#));
        assert!(!order(r#"{"convert":true,"key_id":"k"}"#) && !order(r#"{"convert":true,"rewrite":true}"#));
    }

    #[test]
    fn keys_are_chosen_by_their_id() {
        let (managed, kms) = (WrappingKey::Managed("m".to_owned()), WrappingKey::Kms("k".to_owned()));
        assert!(is_chosen(&kms, None) && is_chosen(&kms, Some("k")) && is_chosen(&managed, Some("m")));
        assert!(!is_chosen(&kms, Some("m")) && !is_chosen(&WrappingKey::Customer, Some("k")));
    }
}
