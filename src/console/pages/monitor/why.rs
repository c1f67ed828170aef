//! Why a request was refused, and what would be decided of one that nobody sent.

use actix_web::http::{Method, StatusCode};
use askama::Template;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::Outcome;
use crate::console::units::legible;
use crate::console::visit::{Visit, read, render, render_with};

/// A decision, as far as the asker is told.
#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    time: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    principal: Value,
    #[serde(default)]
    action: Option<String>,
    #[serde(default)]
    resource: Option<String>,
    #[serde(default)]
    decision: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    cause: Option<String>,
    #[serde(default)]
    statements: Vec<Statement>,
    #[serde(default)]
    notes: Vec<String>,
}

#[derive(Deserialize)]
struct Statement {
    source: Value,
    sid: Option<String>,
    index: Option<u64>,
    #[serde(default)]
    effect: Option<String>,
    #[serde(default)]
    matched: bool,
    #[serde(default)]
    why: Option<String>,
}

/// A decision, as a page shows it.
struct Decision {
    is_allowed: bool,
    message: String,
    facts: Vec<(&'static str, String)>,
    statements: Vec<Row>,
    notes: Vec<String>,
}

struct Row {
    source: String,
    statement: String,
    effect: String,
    is_deny: bool,
    matched: bool,
    why: String,
}

fn decision(visit: &Visit, told: Told) -> Decision {
    let words = &visit.t.monitor;
    let principal = ["arn", "access_key", "kind"];
    let principal = principal.iter().find_map(|name| told.principal.get(name).and_then(Value::as_str));
    let facts = [
        (words.when, told.time),
        (words.principal, principal.unwrap_or_default().to_owned()),
        (words.action, told.action.unwrap_or_default()),
        (words.resource, told.resource.unwrap_or_default()),
        (words.reason, told.reason),
        (visit.t.common.error_code, told.code.unwrap_or_default()),
        (words.cause, told.cause.unwrap_or_default()),
        (words.hint, told.hint.unwrap_or_default()),
    ];
    let filled = facts.into_iter().filter(|(_, text)| !text.is_empty());
    Decision {
        is_allowed: told.decision == "allowed",
        message: legible(&told.message.unwrap_or_default()),
        facts: filled.map(|(word, text)| (word, legible(&text))).collect(),
        statements: told.statements.into_iter().map(row).collect(),
        notes: told.notes.iter().map(|note| legible(note)).collect(),
    }
}

fn row(statement: Statement) -> Row {
    let text = |name: &str| statement.source.get(name).and_then(Value::as_str);
    let name = ["policy_name", "policy_arn", "group"].iter().find_map(|name| text(name)).unwrap_or_default();
    let effect = statement.effect.unwrap_or_default();
    let place = statement.index.map(|index| format!("Statement[{index}]"));
    Row {
        source: legible(format!("{} {name}", text("kind").unwrap_or_default()).trim()),
        statement: legible(&statement.sid.or(place).unwrap_or_default()),
        is_deny: effect == "Deny",
        effect,
        matched: statement.matched,
        why: legible(&statement.why.unwrap_or_default()),
    }
}

#[derive(Template)]
#[template(path = "monitor/why.html")]
struct WhyPage {
    page: Page,
    request_id: String,
    found: Option<Decision>,
    problem: String,
    simulate: String,
}

/// Why the request with an id was refused.
pub async fn show(visit: Visit) -> Outcome {
    let request_id = visit.query.text("request_id").to_owned();
    let (mut found, mut problem, mut simulate, mut status) =
        (None, String::new(), links::link(&["simulate"], &[]), StatusCode::OK);
    if !request_id.is_empty() {
        let target = format!("/_myfsio/explain?request_id={}", links::encode(&request_id));
        match visit.asker()?.json(Method::GET, &target, None).await {
            Ok(told) => {
                simulate = simulation_of(&told);
                found = Some(decision(&visit, read(told)?));
            }
            Err(refusal) if refusal.status == StatusCode::NOT_FOUND => {
                status = StatusCode::NOT_FOUND;
                visit.t.monitor.no_decision.clone_into(&mut problem);
            }
            Err(refusal) => return Err(refusal.into()),
        }
    }
    let page = visit.page(visit.t.monitor.why_title);
    render_with(status, &WhyPage { page, request_id, found, problem, simulate })
}

/// The form that asks the same question again.
fn simulation_of(told: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let part = |name: &str| told.get(name).map(text).unwrap_or_default();
    let principal = told.get("principal").and_then(|principal| principal.get("arn")).map(text).unwrap_or_default();
    let resource = part("resource");
    let (bucket, key) = match resource.strip_prefix("arn:aws:s3:::") {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None => ("", ""),
    };
    let query = [("principal", principal.as_str()), ("action", &part("action")), ("bucket", bucket), ("key", key)];
    links::link(&["simulate"], &query)
}

#[derive(Template)]
#[template(path = "monitor/simulate.html")]
struct SimulatePage {
    page: Page,
    principal: String,
    action: String,
    bucket: String,
    key: String,
    policies: String,
    answer: Option<Decision>,
    problem: String,
}

/// The form of a simulation.
pub async fn ask(visit: Visit) -> Outcome {
    let view = form(&visit, None, String::new());
    render(&view)
}

fn form(visit: &Visit, answer: Option<Decision>, problem: String) -> SimulatePage {
    let field =
        |name: &str| visit.form.filled(name).or_else(|| visit.query.filled(name)).unwrap_or_default().to_owned();
    SimulatePage {
        page: visit.page(visit.t.monitor.simulate_title).crumb(visit.t.monitor.why_title, "/ui/why"),
        principal: field("principal"),
        action: field("action"),
        bucket: field("bucket"),
        key: field("key"),
        policies: field("policies"),
        answer,
        problem,
    }
}

/// Asks what would be decided. What cannot be asked stays in the form.
pub async fn simulate(visit: Visit) -> Outcome {
    let mut question = Map::new();
    for name in ["principal", "action", "bucket", "key"] {
        if let Some(text) = visit.form.filled(name) {
            question.insert(name.to_owned(), Value::from(text));
        }
    }
    if let Some(text) = visit.form.filled("policies") {
        match serde_json::from_str(text) {
            Ok(policies) => question.insert("identity_policies".to_owned(), policies),
            Err(error) => return Err(Failure::input(format!("The policies are no JSON: {error}."))),
        };
    }
    match visit.asker()?.json(Method::POST, "/_myfsio/simulate", Some(&Value::Object(question))).await {
        Ok(told) => {
            let answer = decision(&visit, read(told)?);
            render(&form(&visit, Some(answer), String::new()))
        }
        Err(refusal) if matches!(refusal.status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND) => {
            render_with(refusal.status, &form(&visit, None, legible(&refusal.message)))
        }
        Err(refusal) => Err(refusal.into()),
    }
}
