//! A managed policy: its document and earlier versions, and to whom it is attached.

use actix_web::http::{Method, StatusCode};
use askama::Template;
use serde::Deserialize;

use super::told::{Choice, Policy, group_page, lines, parse_document, policy_page, pretty, route, users};
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::pages::properties::mark;
use crate::console::route::Outcome;
use crate::console::units::legible;
use crate::console::visit::{Visit, read, render_with};

#[derive(Template)]
#[template(path = "groups/policy.html")]
struct PolicyPage {
    page: Page,
    policy: Policy,
    description: String,
    updated: String,
    document: String,
    lines: usize,
    revision: String,
    is_draft: bool,
    problem: String,
    versions: Vec<VersionRow>,
    holders: Vec<HolderRow>,
    users: Vec<Choice>,
    groups: Vec<Choice>,
}

struct VersionRow {
    id: String,
    created: String,
    document: String,
    is_in_force: bool,
}

struct HolderRow {
    kind: &'static str,
    field: &'static str,
    id: String,
    name: String,
    address: String,
}

async fn find(visit: &Visit) -> Result<Policy, Failure> {
    let arn = visit.form.filled("arn").unwrap_or_else(|| visit.query.text("arn"));
    read(visit.asker()?.json(Method::GET, &route(&["policies", arn]), None).await?)
}

/// The document in force, as the editor shows it.
fn in_force(policy: &Policy) -> String {
    let version = policy.versions.iter().find(|version| version.version_id == policy.default_version_id);
    version.map(|version| pretty(&version.document)).unwrap_or_default()
}

/// The page.
pub async fn show(visit: Visit) -> Outcome {
    let policy = find(&visit).await?;
    page(&visit, StatusCode::OK, policy, None).await
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<super::told::Group>,
}

/// The groups of the account, to choose from.
async fn groups(visit: &Visit) -> Vec<Choice> {
    let Ok(asker) = visit.asker() else { return Vec::new() };
    let told = asker.json(Method::GET, &route(&["groups"]), None).await.unwrap_or_default();
    let Groups { groups } = serde_json::from_value(told).unwrap_or(Groups { groups: Vec::new() });
    let own = groups.into_iter().filter(|group| !group.is_of_every_account);
    own.map(|group| (legible(&group.name), group.name)).map(|(shown, name)| (name, shown)).collect()
}

/// `draft`: what the editor shows in place of what is in force, and what is wrong with it.
async fn page(visit: &Visit, status: StatusCode, policy: Policy, draft: Option<(String, String)>) -> Outcome {
    let words = &visit.t.groups;
    let holder = |holder: &super::told::Holder| {
        let (kind, field, address) = match holder.kind.as_str() {
            "user" => (words.user, "user", links::link(&["iam", &holder.id], &[])),
            "group" => (words.group, "group", group_page(&holder.id)),
            _ => (words.role, "", String::new()),
        };
        HolderRow { kind, field, id: holder.id.clone(), name: legible(&holder.name), address }
    };
    let version = |version: &super::told::Version| VersionRow {
        id: version.version_id.clone(),
        created: version.created_at.clone().unwrap_or_default(),
        document: pretty(&version.document),
        is_in_force: version.version_id == policy.default_version_id,
    };
    let has = |kind: &str, id: &str| policy.holders.iter().any(|holder| holder.kind == kind && holder.id == id);
    let now = in_force(&policy);
    let is_draft = draft.is_some();
    let (document, problem) = draft.unwrap_or_else(|| (now.clone(), String::new()));
    let view = PolicyPage {
        page: visit.page(legible(&policy.name)).crumb(words.policies, "/ui/policies"),
        description: legible(policy.description.as_deref().unwrap_or_default()),
        updated: policy.updated_at.clone().unwrap_or_default(),
        lines: lines(&document),
        document,
        revision: mark(&now),
        is_draft,
        problem,
        versions: policy.versions.iter().rev().map(version).collect(),
        holders: policy.holders.iter().map(holder).collect(),
        users: users(visit).await.into_iter().filter(|(id, _)| !has("user", id)).collect(),
        groups: groups(visit).await.into_iter().filter(|(id, _)| !has("group", id)).collect(),
        policy,
    };
    render_with(status, &view)
}

/// Saves the document as a new version, if the one in force is what the editor began with.
pub async fn save(visit: Visit) -> Outcome {
    let policy = find(&visit).await?;
    if visit.form.text("revision") != mark(&in_force(&policy)) {
        return Err(Failure::Changed);
    }
    let text = visit.form.raw("document").unwrap_or_default().to_owned();
    let document = match parse_document(&text) {
        Ok(document) => document,
        Err(problem) => return page(&visit, StatusCode::BAD_REQUEST, policy, Some((text, problem))).await,
    };
    match visit.asker()?.json(Method::PUT, &route(&["policies", &policy.arn]), Some(&document)).await {
        Ok(_) => visit.done(Notice::good(visit.t.groups.policy_saved), &policy_page(&policy.arn)),
        Err(refusal) if refusal.status == StatusCode::BAD_REQUEST => {
            let problem = legible(&refusal.message);
            page(&visit, StatusCode::BAD_REQUEST, policy, Some((text, problem))).await
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// Puts another version in force, or deletes one.
pub async fn version(visit: Visit) -> Outcome {
    let (arn, id) = (visit.form.text("arn"), visit.form.text("version"));
    let method = if visit.form.text("do") == "delete" { Method::DELETE } else { Method::POST };
    visit.asker()?.json(method, &route(&["policies", arn, "versions", id]), None).await?;
    visit.done(Notice::good(visit.t.groups.policy_saved), &policy_page(arn))
}

/// Attaches the policy to a user or group, or takes it away.
pub async fn attach(visit: Visit) -> Outcome {
    let form = &visit.form;
    let arn = form.text("arn");
    let method = if form.text("do") == "remove" { Method::DELETE } else { Method::PUT };
    let target = match (form.filled("user"), form.filled("group")) {
        (Some(user), _) => route(&["users", user, "attached", arn]),
        (None, Some(group)) => route(&["groups", group, "attached", arn]),
        (None, None) => return Err(Failure::input(visit.t.groups.name_missing)),
    };
    visit.asker()?.json(method, &target, None).await?;
    let back = form.filled("next").map_or_else(|| policy_page(arn), |next| links::safe_next(next).to_owned());
    visit.done(Notice::good(visit.t.groups.saved), &back)
}

/// Deletes the policy with all its versions, once its name was typed.
pub async fn delete(visit: Visit) -> Outcome {
    let policy = find(&visit).await?;
    if visit.form.text("confirm") != policy.name {
        return Err(Failure::input(visit.t.groups.delete_mismatch));
    }
    visit.asker()?.json(Method::DELETE, &route(&["policies", &policy.arn]), None).await?;
    visit.done(Notice::good(visit.t.groups.deleted), "/ui/policies")
}
