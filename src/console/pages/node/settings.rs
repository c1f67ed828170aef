//! Every setting with its value and where that came from.

use actix_web::http::Method;
use askama::Template;
use serde::Deserialize;

use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::Outcome;
use crate::console::units::legible;
use crate::console::visit::{Visit, read, render};

#[derive(Deserialize)]
struct Listing {
    settings: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    group: String,
    variable: String,
    help: String,
    value: String,
    source: String,
    is_default: bool,
}

#[derive(Template)]
#[template(path = "node/settings.html")]
struct SettingsPage {
    page: Page,
    groups: Vec<Group>,
    only_changed: bool,
    other: String,
}

struct Group {
    name: String,
    rows: Vec<Told>,
}

/// The page: all, or what is not the default.
pub async fn show(visit: Visit) -> Outcome {
    let told = visit.asker()?.json(Method::GET, "/_myfsio/settings", None).await?;
    let Listing { settings } = read(told)?;
    let only_changed = visit.query.is_on("changed");
    let mut groups: Vec<Group> = Vec::new();
    for mut told in settings.into_iter().filter(|told| !(only_changed && told.is_default)) {
        told.value = legible(&told.value);
        told.source = legible(&told.source);
        match groups.last_mut().filter(|group| group.name == told.group) {
            Some(group) => group.rows.push(told),
            None => groups.push(Group { name: told.group.clone(), rows: vec![told] }),
        }
    }
    let view = SettingsPage {
        groups,
        only_changed,
        other: links::link(&["settings"], &[("changed", if only_changed { "" } else { "on" })]),
        page: visit.page(visit.t.node.settings_title),
    };
    render(&view)
}
