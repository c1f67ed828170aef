//! Whether and how a bucket is replicated: set and removed by administrators.

use actix_web::http::Method;
use serde_json::json;

use super::told::{self, Rule, rule_route};
use crate::console::failure::Failure;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::pages::properties::mark;
use crate::console::route::Outcome;
use crate::console::visit::Visit;

/// A mark of what a rule is now, but for how it goes.
pub fn revision(rule: Option<&Rule>) -> String {
    let Some(rule) = rule else { return mark("") };
    let parts = serde_json::to_string(&rule.rules).unwrap_or_default();
    let Rule { target_connection_id, target_bucket, mode, replicate_deletes, delete_versions, .. } = rule;
    mark(&format!("{target_connection_id}\n{target_bucket}\n{mode}\n{replicate_deletes}\n{delete_versions}\n{parts}"))
}

/// Replicates the bucket as the form says. Whether it is paused, and rules that the form does not show, stay as they are.
pub async fn set(visit: Visit) -> Outcome {
    let asker = visit.asker()?;
    let former = told::rule(&visit).await?;
    let name = visit.parameter("bucket");
    let form = &visit.form;
    let body = json!({
        "target_connection_id": form.text("connection"),
        "target_bucket": form.text("target_bucket"),
        "mode": if form.text("mode") == "all" { "all" } else { "new_only" },
        "enabled": former.as_ref().is_none_or(|rule| rule.enabled),
        "replicate_deletes": form.is_on("deletes"),
        "delete_versions": form.is_on("delete_versions"),
        "id": former.as_ref().and_then(|rule| rule.id.clone()),
        "rules": former.as_ref().and_then(|rule| rule.rules.clone()),
    });
    // Who may not set it is told so before anything is said of what is there.
    if asker.is_administrator() && form.text("revision") != revision(former.as_ref()) {
        return Err(Failure::Changed);
    }
    asker.json(Method::PUT, &rule_route(name, ""), Some(&body)).await?;
    visit.done(Notice::good(visit.t.replication.rule_saved), &links::bucket(name, "replication"))
}

/// Replicates the bucket no more.
pub async fn remove(visit: Visit) -> Outcome {
    let name = visit.parameter("bucket");
    if visit.form.text("confirm") != name {
        return Err(Failure::input(visit.t.replication.remove_mismatch));
    }
    visit.asker()?.json(Method::DELETE, &rule_route(name, ""), None).await?;
    visit.done(Notice::good(visit.t.replication.rule_removed), &links::bucket(name, "replication"))
}
