//! What is done with the replication of a bucket, each by one form.

use actix_web::http::Method;
use serde_json::{Map, Value, json};

use super::told::rule_route;
use crate::console::failure::Failure;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::route::Outcome;
use crate::console::units::{count, legible};
use crate::console::visit::Visit;

/// Asks a route of the bucket's replication.
async fn ask(visit: &Visit, method: Method, below: &str, body: Option<&Value>) -> Result<Value, Failure> {
    let route = rule_route(visit.parameter("bucket"), below);
    Ok(visit.asker()?.json(method, &route, body).await?)
}

fn done(visit: &Visit, text: impl Into<String>) -> Outcome {
    visit.done(Notice::good(text), &links::bucket(visit.parameter("bucket"), "replication"))
}

/// Sends nothing for a while.
pub async fn pause(visit: Visit) -> Outcome {
    ask(&visit, Method::POST, "/pause", None).await?;
    done(&visit, visit.t.replication.paused)
}

/// Goes on.
pub async fn resume(visit: Visit) -> Outcome {
    ask(&visit, Method::POST, "/resume", None).await?;
    done(&visit, visit.t.replication.resumed)
}

/// Sends again what was given up: of one key, or all.
pub async fn retry(visit: Visit) -> Outcome {
    of_failures(&visit, "/retry", visit.t.replication.retried).await
}

/// Forgets what was given up: of one key, or all.
pub async fn dismiss(visit: Visit) -> Outcome {
    of_failures(&visit, "/dismiss", visit.t.replication.dismissed).await
}

async fn of_failures(visit: &Visit, below: &str, word: &str) -> Outcome {
    let mut which = Map::new();
    // A key is as it is, spaces and all.
    if let Some(key) = visit.form.raw("key").filter(|key| !key.is_empty()) {
        which.insert("key".to_owned(), Value::from(key));
    }
    let told = ask(visit, Method::POST, below, Some(&Value::Object(which))).await?;
    let changes = told.get("changes").and_then(Value::as_u64).unwrap_or_default();
    done(visit, format!("{} {word}", count(changes)))
}

/// Looks through the whole bucket, and queues what is not there.
pub async fn resync(visit: Visit) -> Outcome {
    ask(&visit, Method::POST, "/resync", None).await?;
    done(&visit, visit.t.replication.resynced)
}

/// Begins a comparison, with repairs or without, or ends one.
pub async fn compare(visit: Visit) -> Outcome {
    let words = &visit.t.replication;
    let (method, below, word) = match visit.form.text("do") {
        "stop" => (Method::DELETE, "/compare", words.compare_stopped),
        "repair" => (Method::POST, "/compare/repair", words.comparing),
        _ => (Method::POST, "/compare", words.comparing),
    };
    ask(&visit, method, below, None).await?;
    done(&visit, word)
}

/// Settles a conflict: keeps what holds, or takes what lost.
pub async fn resolve(visit: Visit) -> Outcome {
    let key = visit.form.raw("key").unwrap_or_default();
    let body = json!({ "key": key, "version_id": visit.form.text("version_id"), "keep": visit.form.text("keep") });
    ask(&visit, Method::POST, "/conflicts/resolve", Some(&body)).await?;
    done(&visit, format!("{} {}", legible(key), visit.t.replication.resolved))
}
