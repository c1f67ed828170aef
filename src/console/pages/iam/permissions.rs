//! What a user may do in each bucket, and by which policy: decided by the evaluator that requests use, and only told here.

use actix_web::http::Method;
use askama::Template;
use serde::Deserialize;

use super::told::{User, route};
use crate::console::layout::Page;
use crate::console::links;
use crate::console::pages::groups::told::{group_page, name_of, policy_page};
use crate::console::route::Outcome;
use crate::console::units::{counted, legible};
use crate::console::visit::{Visit, read, render};

/// Buckets of one page.
const BUCKETS_MAX: usize = 10;

#[derive(Deserialize)]
struct Told {
    key: String,
    buckets: Vec<OfBucket>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct OfBucket {
    bucket: String,
    decisions: Vec<Decided>,
}

#[derive(Deserialize)]
struct Decided {
    decision: String,
    reason: String,
    by: Option<Statement>,
    words: Vec<String>,
    actions: Vec<String>,
}

#[derive(Deserialize)]
struct Statement {
    source: Source,
    sid: Option<String>,
    index: Option<u64>,
}

#[derive(Deserialize)]
struct Source {
    kind: String,
    policy_name: Option<String>,
    policy_arn: Option<String>,
    group: Option<String>,
    policy_index: Option<u64>,
}

#[derive(Template)]
#[template(path = "iam/permissions.html")]
struct PermissionsPage {
    page: Page,
    rows: Vec<Row>,
    key: String,
    bucket: String,
    /// Address of this page, without the base and its query.
    here: String,
    next: Option<String>,
    simulate: String,
}

/// What is decided alike in a bucket.
struct Row {
    bucket: String,
    /// The bucket's permissions, without the base.
    address: String,
    is_allowed: bool,
    by: String,
    /// Where the policy that decides is edited, without the base; empty where there is none.
    by_address: String,
    statement: String,
    words: Vec<String>,
    count: String,
    actions: Vec<String>,
}

/// The page: buckets by their names, a few at once.
pub async fn show(visit: Visit) -> Outcome {
    let asker = visit.asker()?;
    let user: User = read(asker.json(Method::GET, &route(visit.parameter("user"), &[]), None).await?)?;
    let field = |name: &str| visit.query.raw(name).unwrap_or_default().to_owned();
    let (key, bucket) = (field("key"), visit.query.text("bucket").to_owned());
    let mut target = format!("/_myfsio/users/{}/permissions?limit={BUCKETS_MAX}", links::encode(&user.user_id));
    for (name, value) in [("key", &key), ("bucket", &bucket), ("after", &field("after"))] {
        target.push_str(&format!("&{name}={}", links::encode(value)));
    }
    let told: Told = read(asker.json(Method::GET, &target, None).await?)?;
    let own_page = links::link(&["iam", &user.user_id], &[]);
    let rows = told.buckets.into_iter().flat_map(|of| {
        let bucket = of.bucket;
        of.decisions.into_iter().map(|decided| row(&visit, &own_page, &bucket, decided)).collect::<Vec<_>>()
    });
    let query = |after: &str| {
        links::link(&["iam", &user.user_id, "permissions"], &[("key", &key), ("bucket", &bucket), ("after", after)])
    };
    let view = PermissionsPage {
        rows: rows.collect(),
        next: told.next.as_deref().map(query),
        simulate: links::link(&["simulate"], &[("principal", &user.user_id), ("bucket", &bucket), ("key", &told.key)]),
        here: links::link(&["iam", &user.user_id, "permissions"], &[]),
        page: visit
            .page(visit.t.iam.permissions)
            .crumb(visit.t.iam.title, "/ui/iam")
            .crumb(legible(&user.display_name), own_page.clone()),
        key: told.key,
        bucket,
    };
    render(&view)
}

fn row(visit: &Visit, own_page: &str, bucket: &str, decided: Decided) -> Row {
    let words = &visit.t.iam;
    let (by, by_address, statement) = match &decided.by {
        Some(statement) => by(visit, own_page, bucket, statement),
        None => (reason(visit, &decided.reason), String::new(), String::new()),
    };
    Row {
        address: links::bucket(bucket, "policy"),
        bucket: bucket.to_owned(),
        is_allowed: decided.decision == "allowed",
        by,
        by_address,
        statement,
        words: decided.words,
        count: counted(decided.actions.len() as u64, words.action_one, words.action_many),
        actions: decided.actions,
    }
}

/// Which policy decides, where it is edited, and which of its statements it is.
fn by(visit: &Visit, own_page: &str, bucket: &str, statement: &Statement) -> (String, String, String) {
    let (words, source) = (&visit.t.iam, &statement.source);
    let group = source.group.as_deref().unwrap_or_default();
    let (policy, address) = match (source.kind.as_str(), &source.policy_arn) {
        ("bucket", _) => (words.by_bucket.to_owned(), links::bucket(bucket, "policy")),
        (_, Some(arn)) => (format!("{} {}", words.by_managed, name_of(arn)), policy_page(arn)),
        ("group", None) => (words.by_group.to_owned(), group_page(group)),
        _ => (words.by_own.to_owned(), format!("{own_page}#policies")),
    };
    let mut text = policy;
    if !group.is_empty() {
        text.push_str(&format!(" ({} {group})", words.of_group));
    }
    let place = source.policy_index.map(|index| format!("[{index}]"));
    text.extend(source.policy_name.as_ref().filter(|_| source.policy_arn.is_none()).map(|name| format!(" {name}")));
    let position = statement.index.map(|index| format!("Statement[{index}]"));
    let named = statement.sid.clone().filter(|sid| !sid.is_empty());
    (legible(&text), address, legible(&named.or(position).or(place).unwrap_or_default()))
}

/// Why no single statement decides.
fn reason(visit: &Visit, reason: &str) -> String {
    let words = &visit.t.iam;
    let known = match reason {
        "account_root" => words.reason_root,
        "bucket_creator" => words.reason_creator,
        "granted" => words.reason_list,
        "policy_repair" => words.reason_repair,
        "no_statement_allows" | "no_identity_policy_allows" => words.reason_none,
        "no_bucket_policy_allows" => words.reason_foreign,
        "administrators_only" => words.reason_administrators,
        _ => return reason.replace('_', " "),
    };
    known.to_owned()
}
