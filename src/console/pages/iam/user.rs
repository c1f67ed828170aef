//! A user: its keys, its policies, what is said of it.

use actix_web::http::{Method, StatusCode};
use askama::Template;
use serde_json::{Map, Value, json};

use super::told::{Used, User, day, route, status, wanted_end};
use super::users::parse_policies;
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::pages::groups::told::{Choice, name_of, offered, policy_page};
use crate::console::pages::properties::mark;
use crate::console::route::Outcome;
use crate::console::units::{When, legible};
use crate::console::visit::{Visit, read, render_with};

/// What rules of the short form allow.
const ACTIONS: &[&str] = &["list", "read", "write", "delete", "share", "policy", "replication", "iam:*"];
/// Lines of the editor, at least and at most.
const EDITOR_LINES: (usize, usize) = (6, 30);

#[derive(Template)]
#[template(path = "iam/user.html")]
struct UserPage {
    page: Page,
    who: User,
    status: &'static str,
    tone: &'static str,
    keys: Vec<KeyRow>,
    paths: Paths,
    templates: Vec<(&'static str, String)>,
    actions: &'static [&'static str],
    loaded: String,
    /// Of what the form of settings shows.
    revision: String,
    policies: String,
    is_draft: bool,
    rows: usize,
    problem: String,
    expires_day: String,
    groups: String,
    attached: Vec<(String, String, String)>,
    offered: Vec<Choice>,
}

struct KeyRow {
    access_key: String,
    enabled: bool,
    status: &'static str,
    tone: &'static str,
    created: Option<When>,
    expires: Option<When>,
    used: Used,
    expires_day: String,
    rotate: String,
    change: String,
    revision: String,
}

/// Where the forms go.
struct Paths {
    user: String,
    policies: String,
    keys: String,
    delete: String,
    permissions: String,
}

/// Policies to start from, by their name in the query.
fn templates(visit: &Visit) -> [(&'static str, &'static str, Value); 6] {
    let words = &visit.t.iam;
    let rule = |bucket: &str, actions: &[&str]| json!([{ "bucket": bucket, "actions": actions }]);
    let all = ["list", "read", "write", "delete", "share", "policy", "replication", "iam:*"];
    [
        ("reader", words.template_reader, rule("*", &["list", "read"])),
        ("editor", words.template_editor, rule("*", &["list", "read", "write", "delete"])),
        ("bucket", words.template_bucket, rule("my-bucket", &["list", "read", "write", "delete"])),
        ("replicator", words.template_replicator, rule("my-bucket", &["list", "read", "replication"])),
        ("admin", words.template_admin, rule("*", &all)),
        ("none", words.template_none, json!([])),
    ]
}

/// What the editor shows in place of what is saved.
#[derive(Default)]
struct Draft {
    text: String,
    problem: String,
}

async fn find(visit: &Visit) -> Result<User, Failure> {
    read(visit.asker()?.json(Method::GET, &route(visit.parameter("user"), &[]), None).await?)
}

/// The page.
pub async fn show(visit: Visit) -> Outcome {
    let user = find(&visit).await?;
    let wanted = visit.query.text("template");
    let template = templates(&visit).into_iter().find(|(name, ..)| *name == wanted);
    let draft = template.map(|(.., policies)| Draft { text: pretty(&policies), problem: String::new() });
    page(&visit, StatusCode::OK, user, draft).await
}

async fn page(visit: &Visit, status_code: StatusCode, user: User, draft: Option<Draft>) -> Outcome {
    let words = &visit.t.iam;
    let own = |below: &str| links::link(&["iam", &user.user_id, below], &[]);
    let address = links::link(&["iam", &user.user_id], &[]);
    let choices = templates(visit).into_iter().map(|(name, word, _)| {
        (word, format!("{}#policies", links::link(&["iam", &user.user_id], &[("template", name)])))
    });
    let saved = (words.template_saved, format!("{address}#policies"));
    let loaded = user.policies.to_string();
    let is_draft = draft.is_some();
    let Draft { text, problem } = draft.unwrap_or_else(|| Draft { text: pretty(&user.policies), ..Draft::default() });
    let (word, tone) = status(visit, user.enabled, user.expires_at.as_deref());
    let view = UserPage {
        page: visit.page(legible(&user.display_name)).crumb(words.title, "/ui/iam"),
        status: word,
        tone,
        keys: user.access_keys.iter().map(|key| key_row(visit, key, &own)).collect(),
        templates: choices.chain(is_draft.then_some(saved)).collect(),
        actions: ACTIONS,
        loaded,
        revision: revision(&user),
        rows: text.lines().count().clamp(EDITOR_LINES.0, EDITOR_LINES.1),
        policies: text,
        is_draft,
        problem,
        expires_day: day(user.expires_at.as_deref()),
        groups: user.groups.join(", "),
        attached: (user.attached_policies.iter())
            .map(|arn| (arn.clone(), legible(name_of(arn)), policy_page(arn)))
            .collect(),
        offered: offered(visit, &user.attached_policies).await,
        paths: Paths {
            policies: own("policies"),
            keys: own("keys"),
            delete: own("delete"),
            permissions: own("permissions"),
            user: address,
        },
        who: user,
    };
    render_with(status_code, &view)
}

fn key_row(visit: &Visit, key: &super::told::Key, own: &impl Fn(&str) -> String) -> KeyRow {
    let (word, tone) = status(visit, key.enabled, key.expires_at.as_deref());
    KeyRow {
        access_key: key.access_key.clone(),
        enabled: key.enabled,
        status: word,
        tone,
        created: key.created_at.as_deref().map(When::told),
        expires: key.expires_at.as_deref().map(When::told),
        used: Used::of(visit, key.last_used.iter()),
        expires_day: day(key.expires_at.as_deref()),
        rotate: own("rotate"),
        change: own("key"),
        revision: key_revision(key),
    }
}

/// A mark of what the form of settings was loaded with.
fn revision(user: &User) -> String {
    mark(&json!([user.display_name, user.enabled, user.expires_at, user.groups]).to_string())
}

/// The same of an access key's form.
fn key_revision(key: &super::told::Key) -> String {
    mark(&json!([key.enabled, key.expires_at]).to_string())
}

fn pretty(policies: &Value) -> String {
    serde_json::to_string_pretty(policies).unwrap_or_default()
}

/// Replaces the policies, if they are still what the editor began with. What cannot be saved stays in the editor.
pub async fn set_policies(visit: Visit) -> Outcome {
    let user = find(&visit).await?;
    if visit.form.raw("loaded") != Some(user.policies.to_string().as_str()) {
        return Err(Failure::Changed);
    }
    let text = visit.form.raw("policies").unwrap_or_default();
    let text = if text.trim().is_empty() { "[]" } else { text };
    let again = |user, problem| {
        let draft = Draft { text: text.to_owned(), problem };
        page(&visit, StatusCode::BAD_REQUEST, user, Some(draft))
    };
    let policies = match parse_policies(text) {
        Ok(policies) => policies,
        Err(Failure::Input(problem)) => return again(user, problem).await,
        Err(failure) => return Err(failure),
    };
    if visit.form.text("do") == "add" {
        return match with_rule(&visit, policies) {
            Some(policies) => {
                let draft = Draft { text: pretty(&policies), problem: String::new() };
                page(&visit, StatusCode::OK, user, Some(draft)).await
            }
            None => again(user, visit.t.iam.rule_missing.to_owned()).await,
        };
    }
    let target = route(&user.user_id, &["policies"]);
    match visit.asker()?.json(Method::PUT, &target, Some(&policies)).await {
        Ok(_) => visit.done(Notice::good(visit.t.iam.policies_saved), &own_page(&user)),
        Err(refusal) if refusal.status == StatusCode::BAD_REQUEST => again(user, legible(&refusal.message)).await,
        Err(refusal) => Err(refusal.into()),
    }
}

/// The policies with the rule that was ticked together; none where it says nothing, or they are no list.
fn with_rule(visit: &Visit, mut policies: Value) -> Option<Value> {
    let ticked: Vec<&str> = visit.form.all("actions").filter(|action| ACTIONS.contains(action)).collect();
    let bucket = visit.form.filled("bucket").filter(|_| !ticked.is_empty())?;
    policies.as_array_mut()?.push(json!({ "bucket": bucket, "actions": ticked }));
    Some(policies)
}

fn own_page(user: &User) -> String {
    links::link(&["iam", &user.user_id], &[])
}

/// Changes what is said of the user, if it still is what the form was loaded with. Only what is another than before is asked for.
pub async fn change(visit: Visit) -> Outcome {
    let user = find(&visit).await?;
    if visit.form.text("revision") != revision(&user) {
        return Err(Failure::Changed);
    }
    let mut wanted = Map::new();
    let name = visit.form.text("name");
    if name != user.display_name {
        wanted.insert("display_name".to_owned(), Value::from(name));
    }
    let enabled = visit.form.is_on("enabled");
    if enabled != user.enabled {
        wanted.insert("enabled".to_owned(), Value::from(enabled));
    }
    if let Some(end) = wanted_end(visit.form.text("expires"), user.expires_at.as_deref()) {
        wanted.insert("expires_at".to_owned(), end);
    }
    let groups: Vec<_> = visit.form.text("groups").split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if groups != user.groups {
        wanted.insert("groups".to_owned(), json!(groups));
    }
    if !wanted.is_empty() {
        let target = route(&user.user_id, &[]);
        visit.asker()?.json(Method::PATCH, &target, Some(&Value::Object(wanted))).await?;
    }
    visit.done(Notice::good(visit.t.iam.saved), &own_page(&user))
}

/// Enables, disables or deletes a key, or sets its end.
pub async fn change_key(visit: Visit) -> Outcome {
    let user = find(&visit).await?;
    let key = visit.form.text("access_key");
    let words = &visit.t.iam;
    let target = route(&user.user_id, &["access-keys", key]);
    let asker = visit.asker()?;
    if visit.form.text("do") == "delete" {
        asker.json(Method::DELETE, &target, None).await?;
        return visit.done(Notice::good(words.key_deleted), &own_page(&user));
    }
    let found = user.access_keys.iter().find(|found| found.access_key == key);
    if found.is_some_and(|found| visit.form.text("revision") != key_revision(found)) {
        return Err(Failure::Changed);
    }
    let end = found.and_then(|key| key.expires_at.as_deref());
    let wanted = match visit.form.text("do") {
        "enable" => json!({ "enabled": true }),
        "disable" => json!({ "enabled": false }),
        "expire" => match wanted_end(visit.form.text("expires"), end) {
            Some(end) => json!({ "expires_at": end }),
            None => json!({}),
        },
        _ => return Err(Failure::NoSuchPage),
    };
    asker.json(Method::PATCH, &target, Some(&wanted)).await?;
    visit.done(Notice::good(words.key_saved), &own_page(&user))
}

/// Removes the user, once its name was typed.
pub async fn delete(visit: Visit) -> Outcome {
    let user = find(&visit).await?;
    if visit.form.text("confirm") != user.display_name.trim() {
        return Err(Failure::input(visit.t.iam.delete_mismatch));
    }
    visit.asker()?.json(Method::DELETE, &route(&user.user_id, &[]), None).await?;
    let name = legible(&user.display_name);
    visit.done(Notice::good(format!("{name} {}", visit.t.iam.deleted_one)), "/ui/iam")
}
