//! The way to anywhere: pages, buckets and their tabs, users, what can be created, a folder by its name, a request by its id. A page
//! with a form; a script asks the same address, and shows what comes in a dialog over whatever page is open.
//!
//! It gives nothing away: what is found is what navigation, the list of buckets and the list of users would show the same asker.

use std::sync::Arc;

use actix_web::http::Method;
use askama::Template;
use myfsio_actors::storage::Bucket;
use serde::Deserialize;
use serde_json::json;

use super::iam::User;
use crate::console::failure::Failure;
use crate::console::layout::{Page, bucket_tabs, navigation};
use crate::console::links;
use crate::console::route::{Outcome, Row, SIGNED_IN};
use crate::console::units::legible;
use crate::console::visit::{Visit, json as answer_json, read, render};
use crate::within::Asker;

/// Routes.
pub const ROWS: &[Row] = &[Row::get("/ui/go", SIGNED_IN, |visit| Box::pin(show(visit))).tested_by("q=shared")];

/// What is shown at most.
const FOUND_MAX: usize = 12;
/// Buckets whose tabs are looked through.
const TABBED_MAX: usize = 3;
/// Longest text that is looked for, in characters.
const ASKED_CHARS_MAX: usize = 1_200;

/// A place to go to.
#[derive(Debug)]
struct Place {
    label: String,
    kind: &'static str,
    icon: &'static str,
    address: String,
}

#[derive(Template)]
#[template(path = "go/go.html")]
struct GoPage {
    page: Page,
    query: String,
    found: Vec<Place>,
}

#[derive(Deserialize)]
struct Users {
    users: Vec<User>,
}

async fn show(visit: Visit) -> Outcome {
    let query: String = visit.query.text("q").chars().take(ASKED_CHARS_MAX).collect();
    let found = find(&visit, &query).await?;
    if visit.wants_json() {
        let base = visit.console.settings.base();
        let told = found.iter().map(|place| {
            let Place { label, kind, icon, address } = place;
            json!({ "label": label, "kind": kind, "icon": icon, "address": format!("{base}{address}") })
        });
        return answer_json(&json!({ "found": told.collect::<Vec<_>>() }));
    }
    render(&GoPage { page: visit.page(visit.t.go.title), query, found })
}

/// What the words of the query are all in; with none, where most people go.
async fn find(visit: &Visit, query: &str) -> Result<Vec<Place>, Failure> {
    let asker = visit.asker()?;
    let lower = query.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let is_meant = |text: &str| {
        let text = text.to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let mut found = requests(visit, asker, query.trim());
    let buckets = asker.buckets().await?;
    found.extend(folder(visit, &buckets, query.trim()));
    let pages = pages(visit, asker).into_iter().chain(actions(visit, asker));
    found.extend(pages.filter(|place| is_meant(&format!("{} {}", place.kind, place.label))));
    if !words.is_empty() {
        found.extend(of_buckets(visit, asker, &buckets, &words));
        if asker.is_administrator() {
            let Users { users } = read(asker.json(Method::GET, "/_myfsio/iam/users", None).await?)?;
            let names = |user: &User| {
                let keys = user.access_keys.iter().map(|key| key.access_key.as_str());
                std::iter::once(user.display_name.as_str()).chain(keys).collect::<Vec<_>>().join(" ")
            };
            found.extend(users.iter().filter(|user| is_meant(&names(user))).map(|user| Place {
                label: legible(&user.display_name),
                kind: visit.t.go.user,
                icon: "user",
                address: links::link(&["iam", &user.user_id], &[]),
            }));
        }
    }
    // What begins so is meant more likely than what only contains it; the order is kept otherwise.
    let first = words.first().copied().unwrap_or_default();
    found.sort_by_key(|place| !place.label.to_lowercase().starts_with(first));
    found.truncate(FOUND_MAX);
    Ok(found)
}

/// Pages that the navigation shows.
fn pages(visit: &Visit, asker: &Asker) -> Vec<Place> {
    let groups = navigation(visit.t, asker, "");
    let page = |label: &str, icon, address: &str| Place {
        label: label.to_owned(),
        kind: visit.t.go.page,
        icon,
        address: address.to_owned(),
    };
    let items = groups.iter().flat_map(|group| &group.items);
    let mut pages: Vec<_> = items.map(|item| page(item.label, item.icon, &item.address)).collect();
    pages.push(page(visit.t.account.title, "user", "/ui/account"));
    pages
}

/// What can be created.
fn actions(visit: &Visit, asker: &Asker) -> Vec<Place> {
    let t = &visit.t.go;
    let may_create = asker.may("s3:CreateBucket", None, None);
    let is_admin = asker.is_administrator();
    let all = [
        (may_create, t.create_bucket, "/ui/buckets/create"),
        (is_admin, t.create_user, "/ui/iam#create"),
        (is_admin, t.create_group, "/ui/groups#create"),
        (is_admin, t.create_policy, "/ui/policies#create"),
        (is_admin, t.create_key, "/ui/kms#create"),
        (is_admin, t.create_connection, "/ui/connections#create"),
    ];
    let shown = all.into_iter().filter(|(is_shown, ..)| *is_shown);
    shown
        .map(|(_, label, address)| Place {
            label: label.to_owned(),
            kind: t.action,
            icon: "plus",
            address: address.to_owned(),
        })
        .collect()
}

/// Buckets that have one of the words in their names, and their tabs that have the others.
fn of_buckets(visit: &Visit, asker: &Asker, buckets: &[Arc<Bucket>], words: &[&str]) -> Vec<Place> {
    let t = &visit.t.go;
    let mut found = Vec::new();
    let mut tabbed = 0;
    for bucket in buckets {
        let name = bucket.name.as_str();
        let others: Vec<_> = words.iter().filter(|word| !name.contains(*word)).collect();
        if others.is_empty() {
            let address = links::bucket(name, "browse");
            found.push(Place { label: name.to_owned(), kind: t.bucket, icon: "bucket", address });
        }
        if others.len() == words.len() || tabbed >= TABBED_MAX {
            continue;
        }
        tabbed += 1;
        let tabs = bucket_tabs(visit.t, asker, bucket, "").into_iter();
        let meant = tabs.filter(|tab| {
            let label = tab.label.to_lowercase();
            others.iter().all(|word| label.contains(**word))
        });
        found.extend(meant.map(|tab| Place {
            label: format!("{name}: {}", tab.label),
            kind: t.bucket,
            icon: tab.icon,
            address: tab.address,
        }));
    }
    found.sort_by_key(|place| place.icon != "bucket");
    found
}

/// A folder of a bucket that is seen, as `bucket/folder/`.
fn folder(visit: &Visit, buckets: &[Arc<Bucket>], query: &str) -> Option<Place> {
    let (name, prefix) = query.strip_prefix("s3://").unwrap_or(query).split_once('/')?;
    buckets.iter().find(|bucket| bucket.name.as_str() == name)?;
    Some(Place {
        label: legible(&format!("{name}/{prefix}")),
        kind: visit.t.go.place,
        icon: "folder",
        address: links::browse(name, prefix),
    })
}

/// What is known of a request, by its id.
fn requests(visit: &Visit, asker: &Asker, query: &str) -> Vec<Place> {
    let t = &visit.t.go;
    if query.len() != 16 || !query.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Vec::new();
    }
    let id = query.to_ascii_uppercase();
    let place = |label: &str, icon, page| Place {
        label: label.to_owned(),
        kind: t.request,
        icon,
        address: links::link(&[page], &[("request_id", &id)]),
    };
    let record = asker.is_administrator().then(|| place(t.find_request, "list", "requests"));
    record.into_iter().chain([place(t.explain_request, "shield", "why")]).collect()
}
