//! Jobs as the routes below `/_myfsio/jobs` tell them, and what pages say of them.

use myfsio_actors::names::Stamp;
use serde::Deserialize;

use crate::console::links;
use crate::console::text::Jobs;
use crate::console::units::{When, bytes, count, counted, legible, percent};
use crate::console::visit::Visit;

/// A job.
#[derive(Debug, Clone, Deserialize)]
pub struct Told {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub status: String,
    /// What it does.
    pub action: String,
    /// In which bucket.
    pub bucket: String,
    /// The first keys that it is about.
    pub keys: Vec<String>,
    /// And prefixes.
    pub prefixes: Vec<String>,
    /// What keys below them contain.
    #[serde(default)]
    pub containing: String,
    /// Whether it deletes for good.
    pub versions: bool,
    /// Where copies go.
    pub to: Option<String>,
    /// And into which bucket.
    pub to_bucket: Option<String>,
    /// As of when it restores.
    pub as_of: Option<String>,
    /// Whose it is.
    pub display_name: String,
    created_at: String,
    ended_at: Option<String>,
    resumed: u32,
    total: Option<Count>,
    done: u64,
    bytes: u64,
    skipped: u64,
    failed: u64,
    /// The last key that is done.
    pub after: Option<String>,
    /// Why it could not go on.
    pub problem: Option<Failure>,
    cancelling: bool,
    /// What could not be done.
    #[serde(default)]
    pub failures: Vec<Failure>,
    /// How much more could not be done.
    #[serde(default)]
    pub failures_left_out: u64,
}

/// Objects and bytes.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Count {
    /// How many objects.
    pub objects: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Whether there are more.
    pub is_partial: bool,
}

impl Count {
    /// In words.
    pub fn words(self, words: &Jobs) -> String {
        let at_least = if self.is_partial { words.at_least } else { "" };
        let objects = counted(self.objects, words.object, words.objects);
        format!("{at_least} {objects}, {}", bytes(self.bytes)).trim().to_owned()
    }
}

/// Something that was refused.
#[derive(Debug, Clone, Deserialize)]
pub struct Failure {
    /// The key.
    #[serde(default)]
    pub key: String,
    /// The version.
    #[serde(default)]
    pub version: Option<String>,
    /// The code.
    pub code: String,
    /// Why.
    pub message: String,
    /// By which request.
    #[serde(default)]
    pub request_id: String,
}

/// A job as pages show it.
#[derive(Debug)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// Its page.
    pub address: String,
    /// What it does with what.
    pub title: String,
    /// Where it is: as a script compares it, in words, and their tone.
    pub status: String,
    /// In words.
    pub word: &'static str,
    /// Their tone.
    pub tone: &'static str,
    /// Whose it is.
    pub user: String,
    /// When the order was given.
    pub created: Option<When>,
    /// When it ended.
    pub ended: Option<When>,
    /// Whether nothing more will happen.
    pub is_over: bool,
    /// How far it is.
    pub percent: Option<u8>,
    /// What was done.
    pub done: String,
    /// What there was to do.
    pub total: String,
    /// How much was refused.
    pub failed: String,
    /// Whether anything was.
    pub has_failed: bool,
    /// How often there was nothing to do.
    pub skipped: String,
    /// How often it went on after a restart.
    pub resumed: u32,
}

/// A job as pages show it.
pub fn row(visit: &Visit, job: &Told) -> Row {
    let words = &visit.t.jobs;
    let is_over = matches!(job.status.as_str(), "done" | "failed" | "cancelled");
    let (word, tone) = match job.status.as_str() {
        _ if job.cancelling => (words.cancelling, "warn"),
        "queued" => (words.queued, ""),
        "running" => (words.running, "accent"),
        "done" if job.failed > 0 => (words.done_partly, "warn"),
        "done" => (words.done, "good"),
        "cancelled" => (words.cancelled, ""),
        _ => (words.failed, "bad"),
    };
    let when = |text: &str| Stamp::parse_rfc3339(text).map(When::of);
    let settled = job.done + job.failed + job.skipped;
    let known = job.total.filter(|total| !total.is_partial && total.objects > 0);
    Row {
        id: job.id.clone(),
        address: links::link(&["jobs", &job.id], &[]),
        title: title(words, job),
        status: job.status.clone(),
        word,
        tone,
        user: legible(&job.display_name),
        created: when(&job.created_at),
        ended: job.ended_at.as_deref().and_then(when),
        is_over,
        percent: known.map(|total| percent(settled, total.objects).min(100)),
        done: format!("{}, {}", counted(job.done, words.object, words.objects), bytes(job.bytes)),
        total: job.total.map(|total| total.words(words)).unwrap_or_default(),
        failed: count(job.failed),
        has_failed: job.failed > 0,
        skipped: count(job.skipped),
        resumed: job.resumed,
    }
}

fn title(words: &Jobs, job: &Told) -> String {
    let what = match job.action.as_str() {
        "delete" if job.versions => words.does_delete_versions,
        "delete" => words.does_delete,
        "copy" => words.does_copy,
        "move" => words.does_move,
        "tag" => words.does_tag,
        _ => words.does_restore,
    };
    format!("{what} {}", subject(words, job))
}

/// What a job is about, in short.
fn subject(words: &Jobs, job: &Told) -> String {
    match (&job.prefixes[..], &job.keys[..]) {
        ([prefix], []) if !job.containing.is_empty() => matching(words, &job.bucket, prefix, &job.containing),
        ([prefix], []) if prefix.is_empty() => format!("{} {}", words.whole_bucket, job.bucket),
        ([prefix], []) => legible(&format!("{}/{prefix}", job.bucket)),
        ([], [key]) => legible(&format!("{}/{key}", job.bucket)),
        _ => format!("{} {}", words.selection_in, job.bucket),
    }
}

/// All below a prefix that contains a text, or begins so.
pub fn matching(words: &Jobs, bucket: &str, prefix: &str, query: &str) -> String {
    let below = legible(&format!("{bucket}/{prefix}"));
    match query.is_empty() {
        true => format!("{} {below}…", words.beginning),
        false => format!("{} “{}” {} {below}", words.containing, legible(query), words.below),
    }
}
