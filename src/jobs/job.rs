//! A job: its order, who gave it, how far it is, and what could not be done. Pure but for the lock.

use std::sync::atomic::{AtomicBool, Ordering};

use myfsio_actors::audit::ChangeOrigin;
use myfsio_actors::names::{CanonicalId, Stamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::order::Order;
use super::walk::Position;
use crate::within::{Refusal, Whence};

/// Most failures of a job that are told one by one.
pub const FAILURES_MAX: usize = 200;
/// Most bytes of what is told of one failure.
const MESSAGE_BYTES_MAX: usize = 300;
/// Most items of an order that are told, and in a list.
const TOLD_ITEMS_MAX: usize = 20;
const LISTED_ITEMS_MAX: usize = 3;

/// Who gave an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// The user's id, which nobody else takes on.
    pub user_id: CanonicalId,
    /// Its name for people, as it was then.
    pub display_name: String,
    /// The access key that it asks by.
    pub access_key: String,
    /// From where.
    pub whence: Whence,
    /// As the audit log tells it.
    pub origin: ChangeOrigin,
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Waits for its turn.
    Queued,
    /// Is at work.
    Running,
    /// Has come to its end; what could not be done is told.
    Done,
    /// Could not go on.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

impl Status {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will happen.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// Something that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Of which key; empty for the job as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// Of which version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The code, as the API names it.
    pub code: String,
    /// Why.
    pub message: String,
    /// The request that was refused, which can be asked about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
}

impl Failure {
    /// What a refusal says.
    pub fn of(key: &str, version: Option<String>, refusal: &Refusal) -> Self {
        let mut message = refusal.message.clone();
        let end = (0..=MESSAGE_BYTES_MAX.min(message.len())).rev().find(|end| message.is_char_boundary(*end));
        message.truncate(end.unwrap_or(0));
        let (code, request_id) = (refusal.code.to_owned(), refusal.request_id.clone());
        Self { key: key.to_owned(), version, code, message, request_id }
    }
}

/// An upload that a copy is made by, which is of no use once nobody goes on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The upload's id.
    pub upload: String,
}

/// Objects and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// How many.
    pub objects: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Whether there are more, since not everything was looked at.
    #[serde(default)]
    pub is_partial: bool,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Where it is.
    pub status: Status,
    /// When the order was given, in nanoseconds since 1970: what was written later is left alone.
    pub created: u64,
    /// When the work began.
    pub started: Option<u64>,
    /// When it ended.
    pub ended: Option<u64>,
    /// How often it went on after a restart of the node.
    #[serde(default)]
    pub resumed: u32,
    /// What there was to do when it began.
    pub total: Option<Count>,
    /// What was done.
    pub done: Count,
    /// How often there was nothing to do.
    #[serde(default)]
    pub skipped: u64,
    /// How much was refused.
    #[serde(default)]
    pub failed: u64,
    /// The first of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// Why it could not go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Failure>,
    /// Everything before is done.
    #[serde(default)]
    pub position: Position,
    /// Copies in parts that are under way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unfinished: Vec<Unfinished>,
}

/// A job as its file has it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub id: String,
    /// The bucket itself, since another may get its name.
    pub bucket_id: u64,
    pub by: By,
    pub order: Order,
    pub progress: Progress,
}

/// A job.
#[derive(Debug)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// Number of the bucket.
    pub bucket_id: u64,
    /// Who gave the order.
    pub by: By,
    /// The order. Once it is over, only what is told of it.
    order: Mutex<Order>,
    cancelled: AtomicBool,
    progress: Mutex<Progress>,
}

impl Job {
    /// A job that waits.
    pub fn new(id: String, bucket_id: u64, by: By, order: Order, now: Stamp) -> Self {
        let progress = Progress {
            status: Status::Queued,
            created: now.0,
            started: None,
            ended: None,
            resumed: 0,
            total: None,
            done: Count::default(),
            skipped: 0,
            failed: 0,
            failures: Vec::new(),
            problem: None,
            position: Position::default(),
            unfinished: Vec::new(),
        };
        Self::of(Kept { id, bucket_id, by, order, progress })
    }

    pub(super) fn of(kept: Kept) -> Self {
        let Kept { id, bucket_id, by, order, progress } = kept;
        let (order, progress) = (Mutex::new(order), Mutex::new(progress));
        Self { id, bucket_id, by, order, cancelled: AtomicBool::new(false), progress }
    }

    pub(super) fn kept(&self) -> Kept {
        let (order, progress) = (self.order(), self.progress());
        Kept { id: self.id.clone(), bucket_id: self.bucket_id, by: self.by.clone(), order, progress }
    }

    /// The order.
    pub fn order(&self) -> Order {
        self.order.lock().clone()
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress.lock().clone()
    }

    /// Where it is.
    pub fn status(&self) -> Status {
        self.progress.lock().status
    }

    /// Whether somebody wants it to end.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Asks it to end. Answers whether it had not ended yet.
    pub fn cancel(&self) -> bool {
        let is_over = self.status().is_over();
        self.cancelled.store(true, Ordering::Release);
        !is_over
    }

    /// Ends it if somebody wants that and nothing is done for it yet. Answers whether it ended now.
    pub fn end_if_waiting(&self, now: Stamp) -> bool {
        self.is_cancelled() && self.status() == Status::Queued && self.end(Status::Cancelled, None, now)
    }

    /// Begins to work at it. Answers whether it waited for that.
    pub(super) fn begin(&self) -> bool {
        let mut progress = self.progress.lock();
        let waits = progress.status == Status::Queued;
        if waits {
            progress.status = Status::Running;
        }
        waits
    }

    /// Takes note of something.
    pub fn note(&self, note: impl FnOnce(&mut Progress)) {
        note(&mut self.progress.lock());
    }

    /// Takes note of a refusal.
    pub fn refused(&self, failure: Failure) {
        self.note(|progress| {
            progress.failed += 1;
            if progress.failures.len() < FAILURES_MAX {
                progress.failures.push(failure);
            }
        });
    }

    /// Ends it, unless it has ended. What the order named is not needed any more. Answers whether it ended now.
    pub fn end(&self, status: Status, problem: Option<Failure>, now: Stamp) -> bool {
        let mut progress = self.progress.lock();
        if progress.status.is_over() {
            return false;
        }
        progress.status = status;
        progress.problem = problem;
        progress.ended = Some(now.0);
        drop(progress);
        let mut order = self.order.lock();
        order.keys.truncate(TOLD_ITEMS_MAX);
        order.prefixes.truncate(TOLD_ITEMS_MAX);
        true
    }

    /// Some of what is told of the job.
    pub fn tell_some(&self, names: &[&str]) -> Value {
        let told = self.tell(false);
        let field = |name: &&str| ((*name).to_owned(), told.get(*name).cloned().unwrap_or_default());
        Value::Object(names.iter().map(field).collect())
    }

    /// The job as it is told; `whole` with its failures.
    pub fn tell(&self, whole: bool) -> Value {
        let (order, progress) = (self.order.lock(), self.progress.lock());
        let time = |nanos: u64| Stamp(nanos).rfc3339();
        let told = if whole { TOLD_ITEMS_MAX } else { LISTED_ITEMS_MAX };
        let first = |items: &[String]| items.iter().take(told).cloned().collect::<Vec<_>>();
        let mut told = json!({
            "id": self.id,
            "status": progress.status.word(),
            "action": order.action.word(),
            "bucket": order.bucket,
            "keys": first(&order.keys),
            "prefixes": first(&order.prefixes),
            "containing": order.containing,
            "versions": order.versions,
            "uploads": order.uploads,
            "from": order.from,
            "to": order.to,
            "to_bucket": order.to_bucket,
            "tags": order.tags,
            "as_of": order.as_of,
            "user_id": self.by.user_id,
            "display_name": self.by.display_name,
            "access_key": self.by.access_key,
            "created_at": time(progress.created),
            "started_at": progress.started.map(time),
            "ended_at": progress.ended.map(time),
            "resumed": progress.resumed,
            "total": progress.total,
            "done": progress.done.objects,
            "bytes": progress.done.bytes,
            "skipped": progress.skipped,
            "failed": progress.failed,
            "after": progress.position.after,
            "problem": progress.problem,
            "cancelling": self.is_cancelled() && !progress.status.is_over(),
        });
        if let (true, Value::Object(fields)) = (whole, &mut told) {
            let left_out = progress.failed.saturating_sub(progress.failures.len() as u64);
            fields.insert("failures".to_owned(), json!(progress.failures));
            fields.insert("failures_left_out".to_owned(), left_out.into());
        }
        told
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn job(id: &str, user: u8, at: u64) -> Job {
        let by = By {
            user_id: CanonicalId::from_bytes([user; 32]),
            display_name: "Ann".to_owned(),
            access_key: "ann".to_owned(),
            whence: Whence::default(),
            origin: ChangeOrigin::default(),
        };
        let order = Order::parse(br#"{"action":"delete","bucket":"bbb","prefixes":["a/"]}"#).unwrap();
        Job::new(id.to_owned(), 7, by, order, Stamp(at))
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let one = job("1", 1, 5);
        let (bucket, key, upload) = ("bbb".to_owned(), "c".to_owned(), "1".to_owned());
        one.note(|progress| {
            progress.position.after = Some("a/b".to_owned());
            progress.unfinished.push(Unfinished { bucket, key, upload });
        });
        let text = serde_json::to_string(&one.kept()).unwrap();
        let again = Job::of(serde_json::from_str(&text).unwrap());
        assert_eq!((again.progress(), again.order(), &again.by), (one.progress(), one.order(), &one.by));
    }

    #[test]
    fn failures_are_bounded_and_counted() {
        let one = job("1", 1, 5);
        let refusal = Refusal::invalid("ü".repeat(400));
        for _ in 0..FAILURES_MAX + 5 {
            one.refused(Failure::of("k", None, &refusal));
        }
        let told = one.tell(true);
        assert_eq!((told["failed"].as_u64(), told["failures_left_out"].as_u64()), (Some(205), Some(5)));
        assert_eq!(told["failures"][0]["message"].as_str().unwrap().len(), MESSAGE_BYTES_MAX);
        assert!(one.tell(false)["failures"].is_null());
    }

    #[test]
    fn it_ends_once() {
        let one = job("1", 1, 5);
        assert!(one.cancel() && one.is_cancelled());
        assert!(one.end(Status::Cancelled, None, Stamp(9)));
        assert!(!one.end(Status::Done, None, Stamp(10)) && !one.cancel());
        assert_eq!((one.status(), one.progress().ended), (Status::Cancelled, Some(9)));
    }
}
