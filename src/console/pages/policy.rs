//! Who may reach a bucket: its policy by presets, a draft of one with what it would change, and the block of public access.

use actix_web::http::Method;
use askama::Template;
use serde_json::{Value, json};

use super::properties::mark;
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::route::{ADMINS, Outcome, Row};
use crate::console::text::Policy;
use crate::console::visit::{Visit, render};
use crate::within::Refusal;

/// The routes.
pub const ROWS: &[Row] = &[
    Row::get("/ui/buckets/{bucket}/policy", ADMINS, |visit| Box::pin(show(visit))),
    Row::post("/ui/buckets/{bucket}/policy", ADMINS, |visit| Box::pin(save(visit))),
    Row::post("/ui/buckets/{bucket}/policy/check", ADMINS, |visit| Box::pin(check(visit))).tested_by("draft=%7B%7D"),
];

#[derive(Template)]
#[template(path = "policy/policy.html")]
struct PolicyPage {
    page: Page,
    bucket: String,
    /// `private`, `public` or `custom`.
    preset: String,
    /// The policy in force, for people.
    attached: String,
    problem: String,
    revision: String,
    draft: String,
    found: Option<Found>,
    may_change: bool,
}

/// What is known of a draft.
struct Found {
    mistake: String,
    gains: Vec<Change>,
    loses: Vec<Change>,
    is_truncated: bool,
}

struct Change {
    who: String,
    action: String,
    resource: String,
}

/// The bucket's policy as its route tells it, and a mark of it.
async fn attached(visit: &Visit, bucket: &str) -> Result<(Value, String), Failure> {
    let told = visit.asker()?.json(Method::GET, &format!("/_myfsio/buckets/{bucket}/policy"), None).await?;
    let revision = mark(&told.get("policy").map(Value::to_string).unwrap_or_default());
    Ok((told, revision))
}

async fn show(visit: Visit) -> Outcome {
    page(&visit, None, None).await
}

async fn page(visit: &Visit, draft: Option<String>, found: Option<Found>) -> Outcome {
    let bucket = visit.bucket().await?;
    let name = bucket.name.as_str();
    let (told, revision) = attached(visit, name).await?;
    let asker = visit.asker()?;
    let policy = told.get("policy").filter(|policy| !policy.is_null());
    let shown = policy.map(|policy| format!("{policy:#}")).unwrap_or_default();
    let text = |field: &str| told.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let template = || {
        format!(
            "{:#}",
            json!({
                "Version": "2012-10-17",
                "Statement": [{
                    "Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"],
                    "Resource": [format!("arn:aws:s3:::{name}/*")]
                }]
            })
        )
    };
    let view = PolicyPage {
        bucket: name.to_owned(),
        preset: text("preset"),
        problem: text("problem"),
        draft: draft.or_else(|| Some(shown.clone()).filter(|shown| !shown.is_empty())).unwrap_or_else(template),
        attached: shown,
        revision,
        found,
        may_change: asker.may("s3:PutBucketPolicy", Some(&bucket), None),
        page: visit.page(visit.t.policy.title).for_bucket(asker, &bucket, "policy"),
    };
    render(&view)
}

async fn save(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    let preset = visit.form.text("preset");
    let action = if preset == "private" { "s3:DeleteBucketPolicy" } else { "s3:PutBucketPolicy" };
    asker.ask(action, &bucket).await?;
    let (_, revision) = attached(&visit, bucket.name.as_str()).await?;
    if visit.form.text("revision") != revision {
        return Err(Failure::Changed);
    }
    let document = match preset {
        "private" | "public" => json!({ "preset": preset }),
        "custom" => json!({ "preset": "custom", "policy": parsed(&visit)? }),
        _ => return Err(Failure::input(visit.t.policy.no_preset)),
    };
    asker.json(Method::PUT, &format!("/_myfsio/buckets/{}/policy", bucket.name), Some(&document)).await?;
    visit.done(Notice::good(visit.t.policy.saved), &links::bucket(bucket.name.as_str(), "policy"))
}

/// The draft as JSON. Errs: it is none.
fn parsed(visit: &Visit) -> Result<Value, Failure> {
    let draft = visit.form.text("draft");
    serde_json::from_str(draft).map_err(|error| Failure::input(format!("{} {error}", visit.t.policy.no_json)))
}

/// What a draft would change, without putting it in force.
async fn check(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    let draft = visit.form.text("draft").to_owned();
    let found = match serde_json::from_str::<Value>(&draft) {
        Err(error) => {
            asker.ask("s3:PutBucketPolicy", &bucket).await?;
            Found::mistake(format!("{} {error}", visit.t.policy.no_json))
        }
        Ok(policy) => {
            let question = json!({
                "principal": null, "action": "s3:ListBucket", "bucket": bucket.name.as_str(), "bucket_policy": policy,
            });
            match asker.json(Method::POST, "/_myfsio/simulate", Some(&question)).await {
                Ok(told) => Found::of(told.get("changes")),
                Err(Refusal { code: "MalformedPolicy", message, .. }) => Found::mistake(message),
                Err(refusal) => return Err(refusal.into()),
            }
        }
    };
    page(&visit, Some(draft), Some(found)).await
}

impl Found {
    fn mistake(mistake: String) -> Self {
        Self { mistake, gains: Vec::new(), loses: Vec::new(), is_truncated: false }
    }

    /// Who gains and who loses, each with its title.
    fn lists(&self, t: &'static Policy) -> Vec<(&'static str, &[Change])> {
        vec![(t.gains, &self.gains), (t.loses, &self.loses)]
    }

    fn of(changes: Option<&Value>) -> Self {
        let list = |field: &str| {
            let all = changes.and_then(|changes| changes.get(field)).and_then(Value::as_array);
            all.map(|all| all.iter().map(Change::of).collect()).unwrap_or_default()
        };
        let is_truncated = changes.and_then(|changes| changes.get("truncated")).and_then(Value::as_bool);
        Self {
            mistake: String::new(),
            gains: list("gains"),
            loses: list("loses"),
            is_truncated: is_truncated.unwrap_or_default(),
        }
    }
}

impl Change {
    fn of(told: &Value) -> Self {
        let text = |field: &str| match told.get(field) {
            Some(Value::String(text)) => text.clone(),
            Some(other) if !other.is_null() => other.to_string(),
            _ => "anonymous".to_owned(),
        };
        Self { who: text("principal"), action: text("action"), resource: text("resource") }
    }
}
