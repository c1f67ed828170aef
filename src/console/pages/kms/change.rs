//! Forms of keys.

use actix_web::http::Method;
use serde_json::{Map, Value, json};

use super::key::name_of;
use super::told::{self, Metadata, address, route};
use crate::console::failure::Failure;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::route::Outcome;
use crate::console::visit::{Visit, read};

/// Makes a key, with an alias where one is wanted.
pub async fn create(visit: Visit) -> Outcome {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Made {
        key_metadata: Metadata,
    }
    let mut wanted = Map::new();
    if let Some(description) = visit.form.filled("description") {
        wanted.insert("description".to_owned(), Value::from(description));
    }
    if let Some(alias) = visit.form.filled("alias") {
        wanted.insert("alias".to_owned(), Value::from(alias));
    }
    let lines = visit.form.text("tags").lines().map(str::trim).filter(|line| !line.is_empty());
    let tags: Option<Vec<Value>> = lines
        .map(|line| {
            let (key, value) = line.split_once('=')?;
            Some(json!({ "TagKey": key.trim(), "TagValue": value.trim() }))
        })
        .collect();
    let tags = tags.ok_or_else(|| Failure::input(visit.t.kms.tags_wrong))?;
    if !tags.is_empty() {
        wanted.insert("tags".to_owned(), Value::from(tags));
    }
    let made = visit.asker()?.json(Method::POST, "/kms/keys", Some(&Value::Object(wanted))).await?;
    let Made { key_metadata } = read(made)?;
    visit.done(Notice::good(visit.t.kms.created), &address(&key_metadata.key_id))
}

/// Gives the key a new version.
pub async fn rotate(visit: Visit) -> Outcome {
    post(&visit, "/rotate", visit.t.kms.rotated).await
}

/// Lets it be used.
pub async fn enable(visit: Visit) -> Outcome {
    post(&visit, "/enable", visit.t.kms.enabled).await
}

/// Lets it not be used.
pub async fn disable(visit: Visit) -> Outcome {
    post(&visit, "/disable", visit.t.kms.disabled).await
}

/// Has it not deleted after all.
pub async fn cancel(visit: Visit) -> Outcome {
    post(&visit, "/cancel-deletion", visit.t.kms.cancelled).await
}

async fn post(visit: &Visit, below: &str, word: &'static str) -> Outcome {
    let key = visit.parameter("key");
    visit.asker()?.json(Method::POST, &route(key, below), None).await?;
    visit.done(Notice::good(word), &address(key))
}

/// Has it deleted after a time. Errs: it is another name that was typed.
pub async fn schedule(visit: Visit) -> Outcome {
    let described = told::described(&visit).await?;
    if visit.form.text("confirm") != name_of(&described) {
        return Err(Failure::input(visit.t.kms.delete_mismatch));
    }
    let key = &described.key_metadata.key_id;
    let days = visit.form.number("days")?.unwrap_or(30);
    let target = route(key, &format!("?waiting_period_days={days}"));
    visit.asker()?.json(Method::DELETE, &target, None).await?;
    visit.done(Notice::good(visit.t.kms.scheduled), &address(key))
}

/// Gives it another name.
pub async fn add_alias(visit: Visit) -> Outcome {
    let key = visit.parameter("key");
    let wanted = json!({ "alias_name": visit.form.text("alias"), "target_key_id": key });
    visit.asker()?.json(Method::POST, "/kms/aliases", Some(&wanted)).await?;
    visit.done(Notice::good(visit.t.kms.alias_added), &address(key))
}

/// Takes a name from it.
pub async fn remove_alias(visit: Visit) -> Outcome {
    let target = format!("/kms/aliases?alias_name={}", links::encode(visit.form.text("alias")));
    visit.asker()?.json(Method::DELETE, &target, None).await?;
    visit.done(Notice::good(visit.t.kms.alias_removed), &address(visit.parameter("key")))
}
