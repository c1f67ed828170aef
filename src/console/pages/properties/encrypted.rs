//! How much of what is in a bucket is encrypted, which is counted behind the page; and the node's job that encrypts the rest as the bucket's
//! default says, for administrators.

use actix_web::http::Method;
use askama::Template;
use myfsio_actors::storage::Bucket;
use serde_json::{Value, json};

use crate::console::counts::Sum;
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::pages::kms::job::{JOB, Told, end, standing, told, when};
use crate::console::route::Outcome;
use crate::console::units::{When, bytes, count, counted, legible};
use crate::console::visit::{Visit, json as answer_json, render};

#[derive(Template)]
#[template(path = "properties/encrypted.html")]
struct EncryptedPage {
    page: Page,
    bucket: String,
    sealed: String,
    clear: String,
    /// Whether that is all.
    is_whole: bool,
    is_clear: bool,
    at: When,
    here: String,
    anew: String,
    has_default: bool,
    is_admin: bool,
    /// The job, if the last one was for this bucket.
    job: Option<Job>,
    /// Whether a job is at work that is not.
    is_busy: bool,
    /// Whether something is to come.
    is_open: bool,
}

struct Job {
    state: String,
    word: &'static str,
    tone: &'static str,
    started: When,
    ended: Option<When>,
    is_running: bool,
    done: String,
    skipped: String,
    failed: String,
    has_failed: bool,
    errors: Vec<String>,
}

/// The page, or its figures.
pub(super) async fn show(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    let counting = visit.console.counts.of(asker, &bucket, "", visit.query.is_on("anew")).await?;
    let (sums, is_whole) = counting.watch().await?;
    let is_admin = asker.is_administrator();
    let told = if is_admin { told(&visit).await? } else { None };
    let name = bucket.name.as_str();
    let (mine, others): (Option<Told>, Option<Told>) = match told {
        Some(told) if told.encrypts(name) => (Some(told), None),
        told => (None, told),
    };
    let job = mine.map(|told| job(&visit, told));
    let clear = Sum {
        objects: sums.total.objects.saturating_sub(sums.sealed.objects),
        bytes: sums.total.bytes.saturating_sub(sums.sealed.bytes),
    };
    let words = |sum: Sum| {
        let objects = counted(sum.objects, visit.t.common.objects_one, visit.t.common.objects_many);
        format!("{objects}, {}", bytes(sum.bytes))
    };
    if visit.wants_json() {
        let state = if is_whole { "done" } else { "running" };
        let mut jobs =
            vec![json!({ "id": "count", "status": state, "clear": words(clear), "sealed": words(sums.sealed) })];
        jobs.extend(job.as_ref().map(live));
        return answer_json(&json!({ "jobs": jobs }));
    }
    let here = links::bucket(name, "encrypted");
    let view = EncryptedPage {
        page: visit
            .page(visit.t.properties.encrypted_title)
            .for_bucket(asker, &bucket, "properties")
            .crumb(visit.t.properties.title, links::bucket(name, "properties")),
        sealed: words(sums.sealed),
        clear: words(clear),
        is_clear: clear.objects > 0,
        at: When::of(counting.at),
        anew: format!("{here}?anew=1"),
        here,
        has_default: has_default(&bucket),
        is_admin,
        is_open: !is_whole || job.as_ref().is_some_and(|job| job.is_running),
        job,
        is_busy: others.is_some_and(|told| told.is_running()),
        is_whole,
        bucket: name.to_owned(),
    };
    render(&view)
}

/// What changes of the job, for its script.
fn live(job: &Job) -> Value {
    json!({ "id": "convert", "status": job.state, "done": job.done, "skipped": job.skipped, "failed": job.failed })
}

fn job(visit: &Visit, told: Told) -> Job {
    let (word, tone) = standing(&visit.t.jobs, &told.state, told.failed);
    Job {
        word,
        tone,
        started: when(told.started_millis),
        ended: told.ended_millis.map(when),
        is_running: told.is_running(),
        done: count(told.rewritten),
        skipped: count(told.skipped),
        failed: count(told.failed),
        has_failed: told.failed > 0,
        errors: told.errors.iter().map(|error| legible(error)).collect(),
        state: told.state,
    }
}

fn has_default(bucket: &Bucket) -> bool {
    bucket.config.encryption.as_ref().is_some_and(|encryption| encryption.default.is_some())
}

/// Begins the job for the bucket.
pub(super) async fn begin(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    asker.administrators_only()?;
    if !has_default(&bucket) {
        return Err(Failure::input(visit.t.properties.convert_no_default));
    }
    let name = bucket.name.as_str();
    asker.json(Method::POST, JOB, Some(&json!({ "bucket": name, "convert": true }))).await?;
    visit.done(Notice::good(visit.t.properties.convert_begun), &links::bucket(name, "encrypted"))
}

/// Ends the job that is at work for the bucket.
pub(super) async fn stop(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    end(&visit, |told| told.encrypts(bucket.name.as_str())).await?;
    let notice = Notice::good(visit.t.properties.convert_ended);
    visit.done(notice, &links::bucket(bucket.name.as_str(), "encrypted"))
}
