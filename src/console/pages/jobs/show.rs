//! The list of jobs, and one of them, which tells by itself how far it is.

use actix_web::http::Method;
use askama::Template;
use serde::Deserialize;
use serde_json::{Value, json};

use super::told::{Failure, Row, Told, row};
use crate::console::failure::Failure as Wrong;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::route::Outcome;
use crate::console::units::{count, legible};
use crate::console::visit::{Visit, json as answer_json, read, render};

#[derive(Deserialize)]
struct Listing {
    jobs: Vec<Told>,
}

#[derive(Template)]
#[template(path = "jobs/list.html")]
struct ListPage {
    page: Page,
    rows: Vec<Row>,
    is_open: bool,
    shows_users: bool,
    next: Option<String>,
}

/// The jobs that the asker may see, newest first.
pub async fn list(visit: Visit) -> Outcome {
    let asker = visit.asker()?;
    let Listing { jobs } = read(asker.json(Method::GET, "/_myfsio/jobs", None).await?)?;
    let size = visit.console.settings.page_size;
    let begin = usize::try_from(visit.query.number("from")?.unwrap_or(0)).unwrap_or(usize::MAX);
    let rows: Vec<Row> = jobs.iter().skip(begin).take(size).map(|job| row(&visit, job)).collect();
    if visit.wants_json() {
        return answer_json(&json!({ "jobs": rows.iter().map(live).collect::<Vec<_>>() }));
    }
    let next = begin.saturating_add(size);
    let next = (next < jobs.len()).then(|| links::link(&["jobs"], &[("from", &next.to_string())]));
    let view = ListPage {
        is_open: rows.iter().any(|row| !row.is_over),
        shows_users: asker.is_administrator(),
        rows,
        next,
        page: visit.page(visit.t.jobs.title),
    };
    render(&view)
}

/// What changes of a row, for its script.
fn live(row: &Row) -> Value {
    json!({
        "id": row.id, "status": row.status, "word": row.word, "percent": row.percent, "done": row.done,
        "total": row.total, "failed": row.failed, "skipped": row.skipped,
    })
}

#[derive(Template)]
#[template(path = "jobs/job.html")]
struct JobPage {
    page: Page,
    row: Row,
    keys: Vec<String>,
    bucket: String,
    to: Option<String>,
    as_of: Option<String>,
    after: String,
    problem: Option<Failure>,
    failures: Vec<FailureRow>,
    left_out: Option<String>,
    trash: Option<String>,
}

struct FailureRow {
    key: String,
    address: String,
    code: String,
    message: String,
    why: String,
}

async fn find(visit: &Visit) -> Result<Told, Wrong> {
    let target = format!("/_myfsio/jobs/{}", links::encode(visit.parameter("job")));
    read(visit.asker()?.json(Method::GET, &target, None).await?)
}

/// A job.
pub async fn one(visit: Visit) -> Outcome {
    let job = find(&visit).await?;
    let row = row(&visit, &job);
    if visit.wants_json() {
        return answer_json(&json!({ "jobs": [live(&row)] }));
    }
    let address = |failure: &Failure| match failure.key.is_empty() {
        true => String::new(),
        false => links::object(&job.bucket, &failure.key, failure.version.as_deref().unwrap_or_default()),
    };
    let failures = job.failures.iter().map(|failure| FailureRow {
        key: legible(&failure.key),
        address: address(failure),
        code: failure.code.clone(),
        message: legible(&failure.message),
        why: match failure.request_id.is_empty() {
            true => String::new(),
            false => links::link(&["why"], &[("request_id", &failure.request_id)]),
        },
    });
    let to_bucket = job.to_bucket.as_deref().unwrap_or(&job.bucket);
    let undoes = job.action == "delete" && !job.versions && row.is_over;
    let prefix = job.prefixes.first().map(String::as_str).unwrap_or_default();
    let view = JobPage {
        page: visit.page(row.title.clone()).crumb(visit.t.jobs.title, "/ui/jobs"),
        keys: job.prefixes.iter().chain(&job.keys).filter(|item| !item.is_empty()).map(|item| legible(item)).collect(),
        to: job.to.as_ref().map(|to| legible(&format!("{to_bucket}/{to}"))),
        as_of: job.as_of.clone(),
        after: job.after.as_deref().map(legible).unwrap_or_default(),
        problem: job.problem.clone().map(|problem| Failure { message: legible(&problem.message), ..problem }),
        failures: failures.collect(),
        left_out: (job.failures_left_out > 0).then(|| count(job.failures_left_out)),
        trash: undoes
            .then(|| links::link(&["buckets", &job.bucket, "browse"], &[("prefix", prefix), ("show", "deleted")])),
        bucket: job.bucket,
        row,
    };
    render(&view)
}

/// Ends a job.
pub async fn cancel(visit: Visit) -> Outcome {
    let target = format!("/_myfsio/jobs/{}", links::encode(visit.parameter("job")));
    visit.asker()?.json(Method::DELETE, &target, None).await?;
    let address = links::link(&["jobs", visit.parameter("job")], &[]);
    visit.done(Notice::good(visit.t.jobs.cancel_asked), &address)
}
