//! A connection: changed, tested, deleted.

use actix_web::http::{Method, StatusCode};
use askama::Template;
use serde_json::{Value, json};

use super::connections::{Draft, address, users_of, wanted};
use super::told::{self, Connection, Report, connection_route};
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::pages::properties::mark;
use crate::console::route::Outcome;
use crate::console::text::Text;
use crate::console::units::{lasting, legible};
use crate::console::visit::{Visit, read, render_with};

#[derive(Template)]
#[template(path = "replication/connection.html")]
struct ConnectionPage {
    page: Page,
    name: String,
    draft: Draft,
    problem: String,
    loaded: String,
    used_by: Vec<(String, String)>,
    tested_bucket: String,
    found: Option<Found>,
    paths: Paths,
}

struct Paths {
    change: String,
    test: String,
    delete: String,
}

/// What a test found, check by check.
struct Found {
    word: &'static str,
    tone: &'static str,
    icon: &'static str,
    problems: Vec<String>,
    checks: Vec<Check>,
}

struct Check {
    what: &'static str,
    word: &'static str,
    tone: &'static str,
    more: String,
}

/// What a page shows beside the connection.
struct Shown {
    status: StatusCode,
    draft: Option<Draft>,
    problem: String,
    tested_bucket: String,
    found: Option<Found>,
}

impl Default for Shown {
    fn default() -> Self {
        let (problem, tested_bucket) = (String::new(), String::new());
        Self { status: StatusCode::OK, draft: None, problem, tested_bucket, found: None }
    }
}

/// The connection of the path, with a mark of what it is now. Errs: as the route.
async fn find(visit: &Visit) -> Result<(Connection, String), Failure> {
    let told = visit.asker()?.json(Method::GET, &connection_route(visit.parameter("connection"), ""), None).await?;
    let loaded = mark(&told.to_string());
    Ok((read(told)?, loaded))
}

/// The page.
pub async fn show(visit: Visit) -> Outcome {
    page(&visit, Shown::default()).await
}

async fn page(visit: &Visit, shown: Shown) -> Outcome {
    let (connection, loaded) = find(visit).await?;
    let rules = told::rules(visit).await?;
    let own = |below: &str| links::link(&["connections", &connection.id, below], &[]);
    let name = legible(&connection.name);
    let words = &visit.t.replication;
    let view = ConnectionPage {
        page: visit.page(name.clone()).crumb(words.connections, "/ui/connections"),
        used_by: users_of(&connection, &rules),
        paths: Paths { change: address(&connection.id), test: own("test"), delete: own("delete") },
        draft: shown.draft.unwrap_or_else(|| Draft {
            name: connection.name,
            endpoint: connection.endpoint_url,
            access_key: connection.access_key,
            region: connection.region,
            concurrency: connection.concurrency.to_string(),
            rate: connection.bytes_per_second.map(|rate| rate.to_string()).unwrap_or_default(),
        }),
        problem: shown.problem,
        name,
        loaded,
        tested_bucket: shown.tested_bucket,
        found: shown.found,
    };
    render_with(shown.status, &view)
}

/// Changes the connection, if it is still what the form was loaded with.
pub async fn change(visit: Visit) -> Outcome {
    let (connection, loaded) = find(&visit).await?;
    if visit.form.text("loaded") != loaded {
        return Err(Failure::Changed);
    }
    let again = |problem: String| {
        let draft = Some(Draft::typed(&visit.form));
        page(&visit, Shown { status: StatusCode::BAD_REQUEST, draft, problem, ..Shown::default() })
    };
    let wanted = match wanted(&visit.form) {
        Ok(wanted) => wanted,
        Err(Failure::Input(problem)) => return again(problem).await,
        Err(failure) => return Err(failure),
    };
    match visit.asker()?.json(Method::PUT, &connection_route(&connection.id, ""), Some(&wanted)).await {
        Ok(_) => visit.done(Notice::good(visit.t.replication.saved), &address(&connection.id)),
        Err(refusal) if matches!(refusal.status, StatusCode::BAD_REQUEST | StatusCode::CONFLICT) => {
            again(legible(&refusal.message)).await
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// Asks the other side, and shows what it said.
pub async fn test(visit: Visit) -> Outcome {
    let bucket = visit.form.filled("bucket");
    let body = bucket.map_or_else(|| json!({}), |bucket| json!({ "bucket": bucket }));
    let route = connection_route(visit.parameter("connection"), "/test");
    let told = visit.asker()?.json(Method::POST, &route, Some(&body)).await?;
    let found = Some(found(visit.t, read(told)?, bucket.is_some()));
    page(&visit, Shown { tested_bucket: bucket.unwrap_or_default().to_owned(), found, ..Shown::default() }).await
}

fn found(text: &'static Text, report: Report, with_bucket: bool) -> Found {
    let words = &text.replication;
    let (word, tone, icon) = match report.state.as_str() {
        "ok" => (words.result_ok, "good", "check"),
        "limited" => (words.result_limited, "warn", "warn"),
        _ => (words.result_failed, "bad", "warn"),
    };
    let check = |what, is_good: Option<bool>, more: String| {
        let (word, tone) = match is_good {
            Some(true) => (text.common.yes, "good"),
            Some(false) => (text.common.no, "bad"),
            None => (words.check_unknown, ""),
        };
        Check { what, word, tone, more }
    };
    let is_there = report.rights.is_some();
    let took = if is_there {
        format!("{} {}\u{a0}{}", words.within, report.took_millis, words.milliseconds)
    } else {
        String::new()
    };
    let node = match &report.node_id {
        Some(_) => format!("MyFSIO {}", legible(&report.version)),
        None if is_there => words.check_node_other.to_owned(),
        None => String::new(),
    };
    let clock = report.skew_millis.map(|skew| {
        let is_near = skew.unsigned_abs() <= 300_000;
        let seconds = skew.unsigned_abs() / 1000;
        let more = if seconds == 0 { String::new() } else { format!("{} {}", lasting(seconds), words.apart) };
        (is_near, more)
    });
    let (clock_good, clock_more) = clock.map_or((None, String::new()), |(near, more)| (Some(near), more));
    let mut checks = vec![
        check(words.check_answer, Some(is_there), took),
        check(words.check_node, is_there.then_some(report.node_id.is_some()), node),
        check(words.check_clock, clock_good, clock_more),
    ];
    if with_bucket && let Some(rights) = report.rights {
        let of_node = report.node_id.is_some();
        let bucket = report.bucket.as_ref().and_then(|bucket| bucket.get("versioning")).and_then(Value::as_str);
        let plain = |what, is_good| check(what, Some(is_good), String::new());
        checks.push(check(words.check_bucket, Some(report.bucket.is_some()), bucket.map(legible).unwrap_or_default()));
        checks.push(plain(words.check_write, rights.write));
        checks.push(plain(words.check_read, rights.read));
        checks.push(plain(words.check_delete, rights.delete));
        if of_node {
            checks.push(plain(words.check_replicate, rights.replicate));
        }
    }
    Found { word, tone, icon, problems: report.problems.iter().map(|text| legible(text)).collect(), checks }
}

/// Deletes the connection. Errs: it is another name; a bucket is replicated over it, which the route says.
pub async fn delete(visit: Visit) -> Outcome {
    let (connection, _) = find(&visit).await?;
    if visit.form.text("confirm") != connection.name.trim() {
        return Err(Failure::input(visit.t.replication.delete_mismatch));
    }
    visit.asker()?.json(Method::DELETE, &connection_route(&connection.id, ""), None).await?;
    let notice = format!("{} {}", legible(&connection.name), visit.t.replication.deleted_one);
    visit.done(Notice::good(notice), "/ui/connections")
}
