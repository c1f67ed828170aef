//! Who changed what, from what to what.

use actix_web::http::Method;
use askama::Template;
use serde::Deserialize;
use serde_json::Value;

use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::Outcome;
use crate::console::units::legible;
use crate::console::visit::{Visit, read, render};

/// Fields of the search, as the route names them.
const FIELDS: [&str; 6] = ["from", "to", "principal", "action", "target", "next"];

#[derive(Deserialize)]
struct Listing {
    entries: Vec<Entry>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    time: String,
    action: String,
    target: String,
    principal: String,
    access_key: Option<String>,
    request_id: String,
    source_ip: Option<String>,
    before: Value,
    after: Value,
}

#[derive(Template)]
#[template(path = "monitor/audit.html")]
struct AuditPage {
    page: Page,
    rows: Vec<Change>,
    from: String,
    to: String,
    principal: String,
    action: String,
    target: String,
    is_filtered: bool,
    next: Option<String>,
}

struct Change {
    time: String,
    action: String,
    target: String,
    principal: String,
    access_key: String,
    request_id: String,
    address: String,
    before: Option<String>,
    after: Option<String>,
}

/// The page: those that the query wants, newest first.
pub async fn show(visit: Visit) -> Outcome {
    let wanted: Vec<_> =
        FIELDS.iter().filter_map(|field| visit.query.filled(field).map(|text| (*field, text))).collect();
    let mut target = format!("/_myfsio/audit?limit={}", visit.console.settings.page_size.clamp(1, 1000));
    for (field, text) in &wanted {
        target.push_str(&format!("&{field}={}", links::encode(text)));
    }
    let Listing { entries, next } = read(visit.asker()?.json(Method::GET, &target, None).await?)?;
    let next = next.map(|next| {
        let mut query: Vec<_> = wanted.iter().copied().filter(|(name, _)| *name != "next").collect();
        query.push(("next", &next));
        links::link(&["audit"], &query)
    });
    let field = |name| visit.query.text(name).to_owned();
    let view = AuditPage {
        rows: entries.into_iter().map(change).collect(),
        from: field("from"),
        to: field("to"),
        principal: field("principal"),
        action: field("action"),
        target: field("target"),
        is_filtered: !wanted.is_empty(),
        next,
        page: visit.page(visit.t.monitor.audit_title),
    };
    render(&view)
}

fn change(entry: Entry) -> Change {
    let side = |value: Value| {
        let text = serde_json::to_string_pretty(&value).unwrap_or_default();
        (!value.is_null()).then(|| text.lines().map(legible).collect::<Vec<_>>().join("\n"))
    };
    Change {
        time: entry.time.replace('T', " ").replace('Z', " UTC"),
        action: legible(&entry.action),
        target: legible(&entry.target),
        principal: legible(&entry.principal),
        access_key: entry.access_key.unwrap_or_default(),
        request_id: entry.request_id,
        address: entry.source_ip.unwrap_or_default(),
        before: side(entry.before),
        after: side(entry.after),
    }
}
