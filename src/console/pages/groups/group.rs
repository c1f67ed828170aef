//! Groups: who is in them, and what their members may.

use actix_web::http::{Method, StatusCode};
use askama::Template;
use serde::Deserialize;
use serde_json::json;

use super::told::{
    Choice, Group, group_page, lines, name_of, offered, parse_document, policy_page, pretty, route, users,
};
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::pages::properties::mark;
use crate::console::route::Outcome;
use crate::console::units::{count, legible};
use crate::console::visit::{Visit, read, render, render_with};

#[derive(Deserialize)]
struct Listing {
    groups: Vec<Group>,
}

#[derive(Template)]
#[template(path = "groups/groups.html")]
struct ListPage {
    page: Page,
    rows: Vec<GroupRow>,
}

struct GroupRow {
    name: String,
    address: String,
    members: String,
    policies: Vec<String>,
}

/// The groups of the account.
pub async fn list(visit: Visit) -> Outcome {
    let told = visit.asker()?.json(Method::GET, &route(&["groups"]), None).await?;
    let Listing { groups } = read(told)?;
    let row = |group: Group| GroupRow {
        address: group_page(&group.name),
        members: count(group.members.len() as u64),
        policies: (group.policies.iter().map(|policy| legible(&policy.name)))
            .chain(group.attached_policies.iter().map(|arn| legible(name_of(arn))))
            .collect(),
        name: legible(&group.name),
    };
    let rows = groups.into_iter().map(row).collect();
    render(&ListPage { rows, page: visit.page(visit.t.groups.title) })
}

/// Makes a group.
pub async fn create(visit: Visit) -> Outcome {
    let name = visit.form.text("name");
    visit.asker()?.json(Method::POST, &route(&["groups"]), Some(&json!({ "name": name }))).await?;
    visit.done(Notice::good(visit.t.groups.created), &group_page(name))
}

#[derive(Template)]
#[template(path = "groups/group.html")]
struct GroupPage {
    page: Page,
    arn: String,
    address: String,
    name: String,
    is_fixed: bool,
    members: Vec<(String, String, String)>,
    users: Vec<Choice>,
    attached: Vec<(String, String, String)>,
    offered: Vec<Choice>,
    policies: Vec<InlineRow>,
    draft: Draft,
    problem: String,
}

struct InlineRow {
    name: String,
    shown: String,
    document: String,
    lines: usize,
    loaded: String,
}

/// What the form for a policy says.
struct Draft {
    name: String,
    document: String,
    /// Mark of the policy that it is to take the place of; empty where there is none of its name.
    loaded: String,
}

impl Default for Draft {
    fn default() -> Self {
        let example = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"],
            "Resource": ["arn:aws:s3:::my-bucket", "arn:aws:s3:::my-bucket/*"],
        }] });
        Self { name: String::new(), document: pretty(&example), loaded: String::new() }
    }
}

async fn find(visit: &Visit) -> Result<Group, Failure> {
    read(visit.asker()?.json(Method::GET, &route(&["groups", visit.parameter("group")]), None).await?)
}

/// A group.
pub async fn show(visit: Visit) -> Outcome {
    page(&visit, StatusCode::OK, Draft::default(), String::new()).await
}

async fn page(visit: &Visit, status: StatusCode, draft: Draft, problem: String) -> Outcome {
    let group = find(visit).await?;
    let is_in = |user: &Choice| group.members.iter().any(|member| member.user_id == user.0);
    let inline = |policy: &super::told::Inline| {
        let document = pretty(&policy.document);
        let (name, shown) = (policy.name.clone(), legible(&policy.name));
        InlineRow { name, shown, lines: lines(&document), loaded: mark(&document), document }
    };
    let view = GroupPage {
        page: visit.page(legible(&group.name)).crumb(visit.t.groups.title, "/ui/groups"),
        arn: group.arn.clone(),
        address: group_page(&group.name),
        is_fixed: group.is_of_every_account,
        members: (group.members.iter())
            .map(|member| {
                let address = links::link(&["iam", &member.user_id], &[]);
                (member.user_id.clone(), legible(&member.display_name), address)
            })
            .collect(),
        users: users(visit).await.into_iter().filter(|user| !is_in(user)).collect(),
        attached: (group.attached_policies.iter())
            .map(|arn| (arn.clone(), legible(name_of(arn)), policy_page(arn)))
            .collect(),
        offered: offered(visit, &group.attached_policies).await,
        policies: group.policies.iter().map(inline).collect(),
        draft,
        problem,
        name: group.name,
    };
    render_with(status, &view)
}

/// Adds a user, or takes it out.
pub async fn change_member(visit: Visit) -> Outcome {
    let (group, user) = (visit.parameter("group"), visit.form.text("user"));
    let method = if visit.form.text("do") == "remove" { Method::DELETE } else { Method::PUT };
    visit.asker()?.json(method, &route(&["groups", group, "members", user]), None).await?;
    visit.done(Notice::good(visit.t.groups.saved), &group_page(group))
}

/// Saves an inline policy, or removes it, if it still is what the editor began with. What cannot be saved stays in the editor.
pub async fn change_policy(visit: Visit) -> Outcome {
    let (group, name) = (visit.parameter("group"), visit.form.text("name"));
    let asker = visit.asker()?;
    let now = find(&visit).await?.policies.into_iter().find(|policy| policy.name == name);
    let now = now.map(|policy| mark(&pretty(&policy.document))).unwrap_or_default();
    if visit.form.text("loaded") != now {
        return Err(Failure::Changed);
    }
    let target = route(&["groups", group, "policies", name]);
    if visit.form.text("do") == "remove" {
        asker.json(Method::DELETE, &target, None).await?;
        return visit.done(Notice::good(visit.t.groups.saved), &group_page(group));
    }
    if name.is_empty() {
        return Err(Failure::input(visit.t.groups.name_missing));
    }
    let text = visit.form.raw("document").unwrap_or_default();
    let draft = || Draft { name: name.to_owned(), document: text.to_owned(), loaded: now.clone() };
    let document = match parse_document(text) {
        Ok(document) => document,
        Err(problem) => return page(&visit, StatusCode::BAD_REQUEST, draft(), problem).await,
    };
    match asker.json(Method::PUT, &target, Some(&document)).await {
        Ok(_) => visit.done(Notice::good(visit.t.groups.saved), &group_page(group)),
        Err(refusal) if refusal.status == StatusCode::BAD_REQUEST => {
            page(&visit, StatusCode::BAD_REQUEST, draft(), legible(&refusal.message)).await
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// Attaches a managed policy, or takes it away.
pub async fn change_attached(visit: Visit) -> Outcome {
    let (group, arn) = (visit.parameter("group"), visit.form.text("arn"));
    let method = if visit.form.text("do") == "remove" { Method::DELETE } else { Method::PUT };
    visit.asker()?.json(method, &route(&["groups", group, "attached", arn]), None).await?;
    visit.done(Notice::good(visit.t.groups.saved), &group_page(group))
}

/// Deletes a group, once its name was typed. Its members, and policies, are taken out first.
pub async fn delete(visit: Visit) -> Outcome {
    let group = find(&visit).await?;
    if visit.form.text("confirm") != group.name {
        return Err(Failure::input(visit.t.groups.delete_mismatch));
    }
    let asker = visit.asker()?;
    let own = |kind: &str, what: &str| route(&["groups", &group.name, kind, what]);
    let members = group.members.iter().map(|member| own("members", &member.user_id));
    let policies = group.policies.iter().map(|policy| own("policies", &policy.name));
    let attached = group.attached_policies.iter().map(|arn| own("attached", arn));
    for target in members.chain(policies).chain(attached) {
        asker.json(Method::DELETE, &target, None).await?;
    }
    asker.json(Method::DELETE, &route(&["groups", &group.name]), None).await?;
    visit.done(Notice::good(visit.t.groups.deleted), "/ui/groups")
}
