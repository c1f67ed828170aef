//! The node's job for keys, of which there is one at a time: what it does and how far it is; begun and ended by administrators. Over the
//! route `/_myfsio/kms/reencrypt`.

use actix_web::http::Method;
use myfsio_actors::names::Stamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::console::failure::Failure;
use crate::console::notice::Notice;
use crate::console::route::Outcome;
use crate::console::text::{Jobs, Kms};
use crate::console::units::{When, count, legible};
use crate::console::visit::{Visit, read};

/// The route of the job.
pub const JOB: &str = "/_myfsio/kms/reencrypt";
/// The screen that shows it.
const PAGE: &str = "/ui/kms";

/// What the route tells of it.
#[derive(Deserialize)]
pub struct Told {
    order: Order,
    /// Where it stands.
    pub state: String,
    /// When it was begun, in milliseconds since 1970: no two are begun at once, so that it names the job.
    pub started_millis: u64,
    /// When it ended.
    pub ended_millis: Option<u64>,
    looked_at: u64,
    rewrapped: u64,
    /// Objects that were written once more.
    pub rewritten: u64,
    uploads: u64,
    current: u64,
    /// Objects that were left alone.
    pub skipped: u64,
    /// Objects that could not be.
    pub failed: u64,
    /// The first reasons.
    pub errors: Vec<String>,
    /// Where it is.
    bucket: Option<String>,
}

#[derive(Deserialize)]
struct Order {
    bucket: Option<String>,
    prefix: Option<String>,
    key_id: Option<String>,
    to_key_id: Option<String>,
    rewrite: bool,
    convert: bool,
}

impl Told {
    /// Whether it is at work.
    pub fn is_running(&self) -> bool {
        self.state == "running"
    }

    /// Whether it encrypts what is in a bucket, and nothing else.
    pub fn encrypts(&self, bucket: &str) -> bool {
        self.order.convert && self.order.bucket.as_deref() == Some(bucket)
    }
}

/// The job that is at work, or the last one.
pub struct Job {
    /// Where it stands, as the route says.
    pub state: String,
    /// The same in words.
    pub word: &'static str,
    /// Their tone.
    pub tone: &'static str,
    /// What it does.
    pub kind: &'static str,
    /// What it is only about, or does it with: words and names.
    pub scope: Vec<(&'static str, String)>,
    /// Whether it is at work.
    pub is_running: bool,
    /// The bucket where it is, while it is at work.
    pub position: String,
    /// What it counts: names for scripts, words, and numbers.
    pub figures: Vec<(&'static str, &'static str, String)>,
    /// When it was begun.
    pub started: When,
    /// The same, by which it is named when it is ended.
    pub name: u64,
    /// When it ended.
    pub ended: Option<When>,
    /// The first errors.
    pub errors: Vec<String>,
}

impl Job {
    /// What changes of it, for its script.
    pub fn live(&self) -> Value {
        let mut told = json!({ "id": "reencrypt", "status": self.state, "position": self.position });
        if let Some(fields) = told.as_object_mut() {
            fields.extend(self.figures.iter().map(|(name, _, number)| ((*name).to_owned(), json!(number))));
        }
        told
    }
}

/// What the route tells, if there was a job. Errs: as the route would.
pub async fn told(visit: &Visit) -> Result<Option<Told>, Failure> {
    read(visit.asker()?.json(Method::GET, JOB, None).await?)
}

/// The job, if there was one, for an administrator. Errs: as the route would.
pub async fn job(visit: &Visit) -> Result<Option<Job>, Failure> {
    Ok(told(visit).await?.map(|told| shown(&visit.t.kms, &visit.t.jobs, told)))
}

fn shown(words: &'static Kms, jobs: &'static Jobs, told: Told) -> Job {
    let (word, tone) = standing(jobs, &told.state, told.failed);
    let is_running = told.is_running();
    let figures = [
        ("looked_at", words.job_looked_at, told.looked_at),
        ("rewrapped", words.job_rewrapped, told.rewrapped),
        ("uploads", words.job_uploads, told.uploads),
        ("rewritten", words.job_rewritten, told.rewritten),
        ("current", words.job_current, told.current),
        ("skipped", words.job_skipped, told.skipped),
        ("failed", jobs.not_done, told.failed),
    ];
    let order = told.order;
    let scope = [
        (words.job_bucket, order.bucket),
        (words.job_prefix, order.prefix),
        (words.job_key, order.key_id),
        (words.job_to_key, order.to_key_id),
    ];
    Job {
        word,
        tone,
        kind: match (order.convert, order.rewrite) {
            (true, _) => words.job_convert,
            (false, true) => words.job_rewrite,
            (false, false) => words.job_rewrap,
        },
        scope: scope.into_iter().filter_map(|(word, name)| Some((word, legible(&name?)))).collect(),
        is_running,
        position: told.bucket.filter(|_| is_running).unwrap_or_default(),
        figures: figures.map(|(name, word, number)| (name, word, count(number))).to_vec(),
        started: when(told.started_millis),
        name: told.started_millis,
        ended: told.ended_millis.map(when),
        errors: told.errors.iter().map(|error| legible(error)).collect(),
        state: told.state,
    }
}

/// Where a job stands, in words with their tone.
pub fn standing(words: &'static Jobs, state: &str, failed: u64) -> (&'static str, &'static str) {
    match state {
        "running" => (words.running, "accent"),
        "cancelled" => (words.cancelled, ""),
        _ if failed > 0 => (words.done_partly, "warn"),
        _ => (words.done, "good"),
    }
}

/// A moment in milliseconds since 1970.
pub fn when(millis: u64) -> When {
    When::of(Stamp(millis.saturating_mul(1_000_000)))
}

/// Begins it: field `how`, `rewrite` or else to wrap data keys anew; `bucket`, empty for all.
pub async fn begin(visit: Visit) -> Outcome {
    let mut order = json!({ "rewrite": visit.form.text("how") == "rewrite" });
    if let (Some(fields), Some(bucket)) = (order.as_object_mut(), visit.form.filled("bucket")) {
        fields.insert("bucket".to_owned(), Value::from(bucket));
    }
    visit.asker()?.json(Method::POST, JOB, Some(&order)).await?;
    visit.done(Notice::good(visit.t.kms.job_begun), PAGE)
}

/// Ends the job that is at work, if it is the one that is meant: a page may be from before. Errs: it is another, or none; as the route would.
pub async fn end(visit: &Visit, is_meant: impl Fn(&Told) -> bool) -> Result<(), Failure> {
    if !told(visit).await?.is_some_and(|told| told.is_running() && is_meant(&told)) {
        return Err(Failure::input(visit.t.kms.job_is_another));
    }
    visit.asker()?.json(Method::DELETE, JOB, None).await?;
    Ok(())
}

/// Ends the one that the form names.
pub async fn stop(visit: Visit) -> Outcome {
    end(&visit, |told| visit.form.text("job") == told.started_millis.to_string()).await?;
    visit.done(Notice::good(visit.t.kms.job_ended), PAGE)
}
