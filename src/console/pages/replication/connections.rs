//! The list of connections, and the form that makes one.

use actix_web::http::{Method, StatusCode};
use askama::Template;
use serde_json::{Map, Value};

use super::told::{self, Connection, Rule};
use crate::console::failure::Failure;
use crate::console::forms::Fields;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::route::Outcome;
use crate::console::units::legible;
use crate::console::visit::{Visit, read, render_with};

/// What a form of a connection holds. Never a secret.
#[derive(Debug, Default)]
pub struct Draft {
    /// Name for people.
    pub name: String,
    /// Where it leads.
    pub endpoint: String,
    /// As whom.
    pub access_key: String,
    /// Region.
    pub region: String,
    /// Transfers at once.
    pub concurrency: String,
    /// Bytes per second at most.
    pub rate: String,
}

impl Draft {
    /// What somebody typed.
    pub fn typed(form: &Fields) -> Self {
        let text = |name| form.text(name).to_owned();
        Self {
            name: text("name"),
            endpoint: text("endpoint_url"),
            access_key: text("access_key"),
            region: text("region"),
            concurrency: text("concurrency"),
            rate: text("bytes_per_second"),
        }
    }
}

/// What a form asks for. Numbers that are left empty stay, or are what they are without.
pub fn wanted(form: &Fields) -> Result<Value, Failure> {
    let mut wanted = Map::new();
    for name in ["name", "endpoint_url", "access_key", "region"] {
        wanted.insert(name.to_owned(), Value::from(form.text(name)));
    }
    // Spaces around a secret may be part of it.
    if let Some(secret) = form.raw("secret_key").filter(|secret| !secret.is_empty()) {
        wanted.insert("secret_key".to_owned(), Value::from(secret));
    }
    if let Some(number) = form.number("concurrency")? {
        wanted.insert("concurrency".to_owned(), Value::from(number));
    }
    wanted.insert("bytes_per_second".to_owned(), Value::from(form.number("bytes_per_second")?.unwrap_or_default()));
    Ok(Value::Object(wanted))
}

#[derive(Template)]
#[template(path = "replication/connections.html")]
struct ConnectionsPage {
    page: Page,
    rows: Vec<ConnectionRow>,
    draft: Draft,
    problem: String,
}

struct ConnectionRow {
    name: String,
    address: String,
    endpoint: String,
    access_key: String,
    used_by: Vec<(String, String)>,
}

/// Buckets that are replicated over a connection, with the addresses of their pages.
pub fn users_of(connection: &Connection, rules: &[Rule]) -> Vec<(String, String)> {
    let own = rules.iter().filter(|rule| rule.target_connection_id == connection.id);
    own.map(|rule| (rule.bucket_name.clone(), links::bucket(&rule.bucket_name, "replication"))).collect()
}

/// The address of a connection's page.
pub fn address(id: &str) -> String {
    links::link(&["connections", id], &[])
}

/// The page.
pub async fn list(visit: Visit) -> Outcome {
    page(&visit, StatusCode::OK, Draft::default(), String::new()).await
}

async fn page(visit: &Visit, status: StatusCode, draft: Draft, problem: String) -> Outcome {
    let (connections, rules) = (told::connections(visit).await?, told::rules(visit).await?);
    let row = |connection: &Connection| ConnectionRow {
        name: legible(&connection.name),
        address: address(&connection.id),
        endpoint: legible(&connection.endpoint_url),
        access_key: legible(&connection.access_key),
        used_by: users_of(connection, &rules),
    };
    let view = ConnectionsPage {
        rows: connections.iter().map(row).collect(),
        page: visit.page(visit.t.replication.connections),
        draft,
        problem,
    };
    render_with(status, &view)
}

/// Makes a connection. What cannot be stays in the form, but for the secret.
pub async fn create(visit: Visit) -> Outcome {
    let again = |problem: String| page(&visit, StatusCode::BAD_REQUEST, Draft::typed(&visit.form), problem);
    let wanted = match wanted(&visit.form) {
        Ok(wanted) => wanted,
        Err(Failure::Input(problem)) => return again(problem).await,
        Err(failure) => return Err(failure),
    };
    match visit.asker()?.json(Method::POST, "/_myfsio/replication/connections", Some(&wanted)).await {
        Ok(made) => {
            let made: Connection = read(made)?;
            let notice = format!("{} {}", legible(&made.name), visit.t.replication.created_one);
            visit.done(Notice::good(notice), &address(&made.id))
        }
        Err(refusal) if matches!(refusal.status, StatusCode::BAD_REQUEST | StatusCode::CONFLICT) => {
            again(legible(&refusal.message)).await
        }
        Err(refusal) => Err(refusal.into()),
    }
}
