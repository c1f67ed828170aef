//! Who may reach a bucket: its policy by presets, a draft of one with what it would change, and the block of public access.

use actix_web::http::Method;
use askama::Template;
use serde_json::{Value, json};

use super::compare::{Difference, Shown};
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

/// Version of the language of policies.
const VERSION: &str = "2012-10-17";

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
    /// How a sound draft differs from the policy in force.
    difference: Option<Difference>,
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
    let drafted = draft.as_deref().and_then(|draft| serde_json::from_str::<Value>(draft).ok());
    let is_sound = found.as_ref().is_some_and(|found| found.mistake.is_empty());
    let difference = drafted.filter(|_| is_sound).map(|drafted| format!("{drafted:#}"));
    let difference = difference.filter(|drafted| *drafted != shown);
    let difference = difference.map(|drafted| Difference::of(&visit.t.object, &shown, &drafted));
    let view = PolicyPage {
        bucket: name.to_owned(),
        preset: text("preset"),
        problem: text("problem"),
        draft: draft
            .or_else(|| Some(shown.clone()).filter(|shown| !shown.is_empty()))
            .unwrap_or_else(|| format!("{:#}", example(name))),
        attached: shown,
        revision,
        found,
        difference,
        may_change: asker.may("s3:PutBucketPolicy", Some(&bucket), None),
        page: visit.page(visit.t.policy.title).for_bucket(asker, &bucket, "policy"),
    };
    render(&view)
}

/// What the editor begins with where there is no policy: everybody may read.
fn example(bucket: &str) -> Value {
    json!({ "Version": VERSION, "Statement": [reading(bucket, "")] })
}

/// A statement by which everybody may read what begins with a prefix.
fn reading(bucket: &str, prefix: &str) -> Value {
    let resource = format!("arn:aws:s3:::{bucket}/{}*", as_pattern(prefix));
    json!({ "Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": [resource] })
}

/// A statement by which everybody may list what begins with a prefix.
fn listing(bucket: &str, prefix: &str) -> Value {
    json!({
        "Effect": "Allow", "Principal": "*", "Action": ["s3:ListBucket"], "Resource": [format!("arn:aws:s3:::{bucket}")],
        "Condition": { "StringLike": { "s3:prefix": [format!("{}*", as_pattern(prefix))] } }
    })
}

/// A text as patterns of policies mean it (IAM User Guide, "Policy variables", special characters).
fn as_pattern(text: &str) -> String {
    let letter = |c: char| if matches!(c, '*' | '?' | '$') { format!("${{{c}}}") } else { c.to_string() };
    text.chars().map(letter).collect()
}

/// A policy with these statements behind its own; none where it is no policy.
fn with_statements(mut policy: Value, further: Vec<Value>) -> Option<Value> {
    let statements = policy.as_object_mut()?.entry("Statement").or_insert_with(|| json!([]));
    if !statements.is_array() {
        *statements = Value::Array(vec![statements.take()]);
    }
    statements.as_array_mut()?.extend(further);
    Some(policy)
}

/// The draft with what lets everybody read below the prefix of the form. What is no JSON stays as it is. Errs: as the policy's route.
async fn opened(visit: &Visit, bucket: &str, draft: &str) -> Result<String, Failure> {
    let Ok(given) = serde_json::from_str::<Value>(draft) else { return Ok(draft.to_owned()) };
    let (told, _) = attached(visit, bucket).await?;
    // The example is nobody's, and would open all of the bucket.
    let is_example = given == example(bucket) && told.get("policy").is_none_or(Value::is_null);
    let given = if is_example { json!({ "Version": VERSION, "Statement": [] }) } else { given };
    let prefix = visit.form.raw("prefix").unwrap_or_default();
    let mut further = vec![reading(bucket, prefix)];
    if visit.form.is_on("lists") {
        further.push(listing(bucket, prefix));
    }
    Ok(with_statements(given, further).map_or_else(|| draft.to_owned(), |policy| format!("{policy:#}")))
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
    let mut draft = visit.form.text("draft").to_owned();
    if visit.form.text("do") == "open" {
        asker.ask("s3:PutBucketPolicy", &bucket).await?;
        draft = opened(&visit, bucket.name.as_str(), &draft).await?;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_added_behind_what_is_there() {
        let policy = with_statements(json!({ "Statement": { "Sid": "one" } }), vec![reading("b", "a/*$?")]).unwrap();
        assert_eq!(policy["Statement"][0]["Sid"], "one", "a single statement is a list of one");
        assert_eq!(policy["Statement"][1]["Resource"][0], "arn:aws:s3:::b/a/${*}${$}${?}*");
        assert_eq!(listing("b", "a/")["Condition"]["StringLike"]["s3:prefix"][0], "a/*");
        assert!(with_statements(json!([]), Vec::new()).is_none());
        assert_eq!(with_statements(json!({}), Vec::new()).unwrap()["Statement"], json!([]));
    }
}
