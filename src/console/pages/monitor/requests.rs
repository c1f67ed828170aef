//! The last requests: which, by whom, what became of them, and where their time went.

use actix_web::http::Method;
use askama::Template;
use serde::Deserialize;

use crate::console::csv::Csv;
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::Outcome;
use crate::console::units::{When, bytes, legible};
use crate::console::visit::{Visit, read, render};

/// Requests on the page, and in a file.
const ROWS: usize = 100;
const ROWS_OF_FILE: usize = 1000;

/// What requests are asked for, as it was typed.
pub struct Filter {
    /// The bucket.
    pub bucket: String,
    /// How keys begin.
    pub prefix: String,
    /// A user or an access key.
    pub user: String,
    /// The operation.
    pub operation: String,
    /// Status of the answer, or its class.
    pub status: String,
    /// The code of the error.
    pub code: String,
    /// Milliseconds that they took at least.
    pub min_ms: String,
}

impl Filter {
    /// Its fields, as the route names them.
    const FIELDS: [&str; 7] = ["bucket", "prefix", "user", "operation", "status", "code", "min_ms"];

    /// What a page is asked for.
    pub fn of(visit: &Visit) -> Self {
        let [bucket, prefix, user, operation, status, code, min_ms] =
            Self::FIELDS.map(|field| visit.query.text(field).to_owned());
        Self { bucket, prefix, user, operation, status, code, min_ms }
    }

    /// As the route reads it: each field with `&` before it.
    pub fn query(visit: &Visit) -> String {
        wanted(visit, &Self::FIELDS)
    }
}

#[derive(Deserialize)]
struct Listing {
    requests: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    request_id: String,
    time: String,
    operation: String,
    bucket: Option<String>,
    key: Option<String>,
    path: Option<String>,
    user: Option<String>,
    address: Option<String>,
    status: u16,
    code: Option<String>,
    bytes_received: u64,
    bytes_sent: u64,
    milliseconds: f64,
    phases: Phases,
}

#[derive(Deserialize)]
struct Phases {
    auth: f64,
    policy: f64,
    receive: f64,
    work: f64,
    send: f64,
}

#[derive(Template)]
#[template(path = "monitor/requests.html")]
struct RequestsPage {
    page: Page,
    rows: Vec<RequestRow>,
    request_id: String,
    filter: Filter,
    is_filtered: bool,
    /// Address of the file.
    csv: String,
}

/// A request as tables show it.
pub struct RequestRow {
    id: String,
    /// Address of its details.
    pub address: String,
    /// When it ended.
    pub when: When,
    /// The same without the day.
    pub clock: String,
    /// What was asked for.
    pub operation: String,
    /// Of what.
    pub what: String,
    /// By whom.
    pub who: String,
    client: String,
    /// HTTP status of the answer.
    pub status: u16,
    /// Tone of that.
    pub tone: &'static str,
    /// Code of the error.
    pub code: String,
    /// Address of the others that have it.
    pub alike: String,
    moved: String,
    /// Milliseconds that it took.
    pub millis: String,
    phases: Vec<(&'static str, String)>,
    /// Where it is explained why it was refused.
    pub why: Option<String>,
}

/// The page: those that the query wants.
pub async fn show(visit: Visit) -> Outcome {
    let query = Filter::query(&visit) + &wanted(&visit, &["request_id"]);
    let view = RequestsPage {
        rows: listing(&visit, ROWS, &query).await?,
        request_id: visit.query.text("request_id").to_owned(),
        filter: Filter::of(&visit),
        is_filtered: !query.is_empty(),
        csv: format!("/ui/requests/csv?{}", query.strip_prefix('&').unwrap_or_default()),
        page: visit.page(visit.t.monitor.requests_title),
    };
    render(&view)
}

/// The same as comma-separated values, and more of them.
pub async fn csv(visit: Visit) -> Outcome {
    let query = Filter::query(&visit) + &wanted(&visit, &["request_id"]);
    let mut csv = Csv::new(&[
        "time",
        "request_id",
        "operation",
        "bucket",
        "key",
        "path",
        "user",
        "address",
        "status",
        "code",
        "bytes_received",
        "bytes_sent",
        "milliseconds",
    ]);
    for told in asked(&visit, ROWS_OF_FILE, &query).await? {
        let text = |value: Option<String>| value.unwrap_or_default();
        csv.row(&[
            told.time,
            told.request_id,
            told.operation,
            text(told.bucket),
            text(told.key),
            text(told.path),
            text(told.user),
            text(told.address),
            told.status.to_string(),
            text(told.code),
            told.bytes_received.to_string(),
            told.bytes_sent.to_string(),
            format!("{:.3}", told.milliseconds),
        ]);
    }
    csv.answer("myfsio-requests.csv")
}

/// Fields of the query that are filled in, as the route reads them.
fn wanted(visit: &Visit, fields: &[&str]) -> String {
    let filled = fields.iter().filter_map(|field| visit.query.filled(field).map(|text| (field, text)));
    filled.map(|(field, text)| format!("&{field}={}", links::encode(text))).collect()
}

/// The last requests that are like this, newest first. Errs: as the route.
pub async fn listing(visit: &Visit, limit: usize, filter: &str) -> Result<Vec<RequestRow>, Failure> {
    Ok(asked(visit, limit, filter).await?.into_iter().map(|told| row(visit, told)).collect())
}

async fn asked(visit: &Visit, limit: usize, filter: &str) -> Result<Vec<Told>, Failure> {
    let target = format!("/_myfsio/requests?limit={limit}{filter}");
    let Listing { requests } = read(visit.asker()?.json(Method::GET, &target, None).await?)?;
    Ok(requests)
}

fn row(visit: &Visit, told: Told) -> RequestRow {
    let words = &visit.t.monitor;
    let what = match (told.bucket, told.key) {
        (Some(bucket), Some(key)) => format!("{bucket}/{key}"),
        (Some(bucket), None) => bucket,
        (None, _) => told.path.unwrap_or_default(),
    };
    let tone = match told.status {
        500.. => "bad",
        400.. => "warn",
        _ => "good",
    };
    let phase = |word, millis: f64| (word, format!("{millis:.1}"));
    let Phases { auth, policy, receive, work, send } = told.phases;
    let why = (told.status == 403).then(|| links::link(&["why"], &[("request_id", &told.request_id)]));
    RequestRow {
        clock: told.time.get(11..19).unwrap_or_default().to_owned(),
        when: When::told(&told.time),
        operation: told.operation,
        what: legible(&what),
        who: legible(&told.user.unwrap_or_else(|| words.nobody.to_owned())),
        address: links::link(&["requests"], &[("request_id", &told.request_id)]),
        client: told.address.unwrap_or_default(),
        status: told.status,
        tone,
        alike: links::link(&["requests"], &[("code", told.code.as_deref().unwrap_or_default())]),
        code: told.code.unwrap_or_default(),
        moved: format!("{} / {}", bytes(told.bytes_received), bytes(told.bytes_sent)),
        millis: format!("{:.1}", told.milliseconds),
        phases: vec![
            phase(words.auth, auth),
            phase(words.policy, policy),
            phase(words.receive, receive),
            phase(words.work, work),
            phase(words.send, send),
        ],
        why,
        id: told.request_id,
    }
}
