//! The list of users; creating one.

use actix_web::http::Method;
use askama::Template;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::secret;
use super::told::{Used, User, status, summary};
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::Outcome;
use crate::console::units::legible;
use crate::console::visit::{Visit, read, render};

/// Lines of policies that a row shows.
const LINES_MAX: usize = 3;

#[derive(Deserialize)]
struct Listing {
    users: Vec<User>,
    #[serde(default)]
    problem: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Template)]
#[template(path = "iam/list.html")]
struct ListPage {
    page: Page,
    rows: Vec<UserRow>,
    filter: String,
    troubles: Vec<String>,
    next: Option<String>,
}

struct UserRow {
    name: String,
    address: String,
    is_root: bool,
    keys: Vec<String>,
    policies: Vec<String>,
    groups: String,
    status: &'static str,
    tone: &'static str,
    expires: String,
    used: Used,
}

/// The users that the asker may see.
pub async fn list(visit: Visit) -> Outcome {
    let told = visit.asker()?.json(Method::GET, "/_myfsio/iam/users", None).await?;
    let Listing { users, problem, warnings } = read(told)?;
    let filter = visit.query.text("q").to_lowercase();
    let is_meant = |user: &&User| {
        let mut names = std::iter::once(&user.display_name).chain(user.access_keys.iter().map(|key| &key.access_key));
        names.any(|name| name.to_lowercase().contains(&filter))
    };
    let found: Vec<_> = users.iter().filter(is_meant).collect();
    let size = visit.console.settings.page_size;
    let begin = usize::try_from(visit.query.number("from")?.unwrap_or(0)).unwrap_or(usize::MAX);
    let next = begin.saturating_add(size);
    let next = (next < found.len()).then(|| links::link(&["iam"], &[("q", &filter), ("from", &next.to_string())]));
    let troubles = problem.map(|problem| format!("{} {problem}", visit.t.iam.problem)).into_iter().chain(warnings);
    let view = ListPage {
        rows: found.iter().skip(begin).take(size).map(|user| row(&visit, user)).collect(),
        troubles: troubles.collect(),
        next,
        filter,
        page: visit.page(visit.t.iam.title),
    };
    render(&view)
}

fn row(visit: &Visit, user: &User) -> UserRow {
    let (status, tone) = status(visit, user.enabled, user.expires_at.as_deref());
    let mut policies = summary(&user.policies);
    let more = policies.len().saturating_sub(LINES_MAX);
    policies.truncate(LINES_MAX);
    if more > 0 {
        policies.push(format!("+ {more}"));
    }
    UserRow {
        name: legible(&user.display_name),
        address: links::link(&["iam", &user.user_id], &[]),
        is_root: user.root,
        keys: user.access_keys.iter().map(|key| key.access_key.clone()).collect(),
        policies: policies.iter().map(|line| legible(line)).collect(),
        groups: legible(&user.groups.join(", ")),
        used: Used::of(visit, user.access_keys.iter().filter_map(|key| key.last_used.as_ref())),
        status,
        tone,
        expires: user.expires_at.clone().unwrap_or_else(|| visit.t.iam.never.to_owned()),
    }
}

/// Makes a user, and shows its secret.
pub async fn create(visit: Visit) -> Outcome {
    let mut wanted = Map::new();
    for (name, field) in [("display_name", "name"), ("access_key", "access_key"), ("expires_at", "expires")] {
        if let Some(text) = visit.form.filled(field) {
            wanted.insert(name.to_owned(), Value::from(text));
        }
    }
    if let Some(text) = visit.form.filled("policies") {
        wanted.insert("policies".to_owned(), parse_policies(text)?);
    }
    let made = visit.asker()?.json(Method::POST, "/_myfsio/iam/users", Some(&Value::Object(wanted))).await?;
    secret::show(&visit, made)
}

/// Policies as they are typed. Errs: they are no JSON.
pub fn parse_policies(text: &str) -> Result<Value, Failure> {
    parse(text, "The policies are")
}

/// A file as it was sent. Errs: it is no JSON.
pub fn parse_document(text: &str) -> Result<Value, Failure> {
    parse(text, "The file is")
}

fn parse(text: &str, what: &str) -> Result<Value, Failure> {
    // Of a name that is there twice, parsers keep one: who reads the text may mean the other.
    myfsio_actors::policy_engine::refuse_ambiguous(text)
        .and_then(|()| serde_json::from_str(text))
        .map_err(|error| Failure::input(format!("{what} no JSON: {error}.")))
}
