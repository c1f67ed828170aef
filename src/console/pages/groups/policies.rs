//! The managed policies that the account sees; making one.

use actix_web::http::{Method, StatusCode};
use askama::Template;
use serde_json::{Value, json};

use super::told::{Policy, lines, parse_document, policies, policy_page, pretty, route};
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::notice::Notice;
use crate::console::route::Outcome;
use crate::console::units::{count, legible};
use crate::console::visit::{Visit, render_with};

#[derive(Template)]
#[template(path = "groups/policies.html")]
struct ListPage {
    page: Page,
    rows: Vec<PolicyRow>,
    filter: String,
    name: String,
    description: String,
    document: String,
    lines: usize,
    problem: String,
}

struct PolicyRow {
    name: String,
    address: String,
    description: String,
    is_of_aws: bool,
    is_broken: bool,
    holders: String,
}

/// The policies.
pub async fn list(visit: Visit) -> Outcome {
    page(&visit, StatusCode::OK, String::new()).await
}

async fn page(visit: &Visit, status: StatusCode, problem: String) -> Outcome {
    let filter = visit.query.text("q").to_lowercase();
    let found = policies(visit).await?;
    let row = |policy: Policy| PolicyRow {
        address: policy_page(&policy.arn),
        description: legible(policy.description.as_deref().unwrap_or_default()),
        is_of_aws: policy.is_of_aws,
        is_broken: policy.problem.is_some(),
        holders: count(policy.holders.len() as u64),
        name: legible(&policy.name),
    };
    let example = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"],
        "Resource": ["arn:aws:s3:::my-bucket", "arn:aws:s3:::my-bucket/*"],
    }] });
    let document = visit.form.filled("document").map_or_else(|| pretty(&example), str::to_owned);
    let view = ListPage {
        rows: found.into_iter().filter(|policy| policy.name.to_lowercase().contains(&filter)).map(row).collect(),
        filter,
        name: visit.form.text("name").to_owned(),
        description: visit.form.text("description").to_owned(),
        lines: lines(&document),
        document,
        problem,
        page: visit.page(visit.t.groups.policies),
    };
    render_with(status, &view)
}

/// Makes a policy. What cannot be saved stays in the editor.
pub async fn create(visit: Visit) -> Outcome {
    let form = &visit.form;
    if form.text("name").is_empty() {
        return Err(Failure::input(visit.t.groups.name_missing));
    }
    let document = match parse_document(form.raw("document").unwrap_or_default()) {
        Ok(document) => document,
        Err(problem) => return page(&visit, StatusCode::BAD_REQUEST, problem).await,
    };
    let wanted = json!({ "name": form.text("name"), "description": form.filled("description"), "document": document });
    match visit.asker()?.json(Method::POST, &route(&["policies"]), Some(&wanted)).await {
        Ok(made) => {
            let arn = made.get("arn").and_then(Value::as_str).unwrap_or_default();
            visit.done(Notice::good(visit.t.groups.policy_created), &policy_page(arn))
        }
        Err(refusal) if refusal.status == StatusCode::BAD_REQUEST => {
            page(&visit, StatusCode::BAD_REQUEST, legible(&refusal.message)).await
        }
        Err(refusal) => Err(refusal.into()),
    }
}
