//! The list of keys, page by page, the form that makes one, and for administrators the node's job for keys.

use actix_web::http::Method;
use askama::Template;
use serde_json::json;

use super::job::{Job, job};
use super::told::{self, Described, Listing, address, route};
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::Outcome;
use crate::console::units::{When, legible};
use crate::console::visit::{Visit, json as answer_json, read, render};

/// Keys on one page, at most: each is looked up.
const KEYS_MAX: usize = 100;

#[derive(Template)]
#[template(path = "kms/list.html")]
struct KeysPage {
    page: Page,
    is_off: bool,
    rows: Vec<KeyRow>,
    next: Option<String>,
    is_admin: bool,
    /// The job that is at work, or the last one.
    job: Option<Job>,
    /// Whether it is at work.
    is_open: bool,
}

struct KeyRow {
    id: String,
    address: String,
    aliases: Vec<String>,
    description: String,
    state: &'static str,
    tone: &'static str,
    is_own: bool,
    created: Option<When>,
}

/// The page, or how far the job is. Where the KMS is off, it says so.
pub async fn show(visit: Visit) -> Outcome {
    let asker = visit.asker()?;
    let is_admin = asker.is_administrator();
    let job = if is_admin { job(&visit).await? } else { None };
    if visit.wants_json() {
        return answer_json(&json!({ "jobs": job.iter().map(Job::live).collect::<Vec<_>>() }));
    }
    let limit = visit.console.settings.page_size.min(KEYS_MAX);
    let marker = visit.query.filled("marker").map(|marker| format!("&marker={}", links::encode(marker)));
    let target = format!("/kms/keys?limit={limit}{}", marker.unwrap_or_default());
    let (is_off, listing) = match asker.json(Method::GET, &target, None).await {
        Ok(told) => (false, read(told)?),
        Err(refusal) if refusal.code == "KMSNotEnabled" => (true, Listing { keys: Vec::new(), next_marker: None }),
        Err(refusal) => return Err(refusal.into()),
    };
    let mut rows = Vec::new();
    for listed in listing.keys {
        // A key that one may list, but not look at, is only named.
        let described = match asker.json(Method::GET, &route(&listed.key_id, ""), None).await {
            Ok(told) => Some(read(told)?),
            Err(refusal) if refusal.status.is_server_error() => return Err(refusal.into()),
            Err(_) => None,
        };
        rows.push(row(&visit, listed.key_id, described));
    }
    let view = KeysPage {
        is_off,
        rows,
        next: listing.next_marker.map(|marker| links::link(&["kms"], &[("marker", &marker)])),
        page: visit.page(visit.t.kms.title),
        is_admin,
        is_open: job.as_ref().is_some_and(|job| job.is_running),
        job,
    };
    render(&view)
}

fn row(visit: &Visit, id: String, described: Option<Described>) -> KeyRow {
    let address = address(&id);
    let Some(Described { key_metadata: key, aliases, .. }) = described else {
        let (description, created) = (String::new(), None);
        return KeyRow { id, address, aliases: Vec::new(), description, state: "", tone: "", is_own: false, created };
    };
    let (state, tone) = told::state(&visit.t.kms, &key.key_state);
    KeyRow {
        id,
        address,
        aliases: aliases.iter().map(|alias| legible(alias)).collect(),
        description: legible(&key.description),
        state,
        tone,
        is_own: key.key_manager == "AWS",
        created: Some(When::of_seconds(key.creation_date.max(0.0) as u64)),
    }
}
