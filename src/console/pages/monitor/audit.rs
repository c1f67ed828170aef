//! Who changed what, from what to what.

use actix_web::http::Method;
use askama::Template;
use serde::Deserialize;
use serde_json::Value;

use crate::console::csv::Csv;
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::Outcome;
use crate::console::units::{When, legible};
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
    /// Address of the file.
    csv: String,
}

struct Change {
    when: When,
    action: String,
    target: String,
    principal: String,
    access_key: String,
    request_id: String,
    address: String,
    before: Option<String>,
    after: Option<String>,
}

/// Entries that are asked for at once, and pages of them in a file.
const ROWS_MAX: usize = 1000;
const PAGES_OF_FILE: usize = 20;

/// The fields of the search that are filled in.
fn wanted(visit: &Visit) -> Vec<(&'static str, &str)> {
    FIELDS.iter().filter_map(|field| visit.query.filled(field).map(|text| (*field, text))).collect()
}

/// The entries of a search, newest first. Errs: as the route.
async fn asked(visit: &Visit, limit: usize, wanted: &[(&str, &str)]) -> Result<Listing, Failure> {
    let mut target = format!("/_myfsio/audit?limit={}", limit.clamp(1, ROWS_MAX));
    for (field, text) in wanted {
        target.push_str(&format!("&{field}={}", links::encode(text)));
    }
    read(visit.asker()?.json(Method::GET, &target, None).await?)
}

/// The same as comma-separated values: of all pages, as far as a file goes.
pub async fn csv(visit: Visit) -> Outcome {
    let columns = ["time", "action", "target", "principal", "access_key", "address", "request_id", "before", "after"];
    let mut csv = Csv::new(&columns);
    let mut next = visit.query.filled("next").map(str::to_owned);
    for _ in 0..PAGES_OF_FILE {
        let mut fields: Vec<_> = wanted(&visit).into_iter().filter(|(name, _)| *name != "next").collect();
        if let Some(next) = &next {
            fields.push(("next", next));
        }
        let told = asked(&visit, ROWS_MAX, &fields).await?;
        for entry in told.entries {
            let side = |value: Value| if value.is_null() { String::new() } else { value.to_string() };
            let Entry { time, action, target, principal, access_key, request_id, source_ip, before, after } = entry;
            let (key, address) = (access_key.unwrap_or_default(), source_ip.unwrap_or_default());
            csv.row(&[time, action, target, principal, key, address, request_id, side(before), side(after)]);
        }
        match told.next {
            Some(told) => next = Some(told),
            None => break,
        }
    }
    csv.answer("myfsio-audit.csv")
}

/// The page: those that the query wants, newest first.
pub async fn show(visit: Visit) -> Outcome {
    let wanted = wanted(&visit);
    let Listing { entries, next } = asked(&visit, visit.console.settings.page_size, &wanted).await?;
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
        csv: links::link(&["audit", "csv"], &wanted),
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
        when: When::told(&entry.time),
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
