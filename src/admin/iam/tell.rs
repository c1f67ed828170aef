//! Users as JSON.

use actix_web::http::StatusCode;
use myfsio_actors::iam::{AccessKeySummary, IamClient, NewCredential, UserSummary};
use myfsio_actors::names::Stamp;
use serde_json::{Value, json};

use crate::s3::respond::{self, Answer, no_store};

/// An answer in JSON, which may hold a secret: nobody keeps it on the way.
pub fn answer(status: StatusCode, body: &Value) -> Answer {
    Ok(no_store(respond::json(status, body)))
}

fn time(stamp: Option<Stamp>) -> Option<String> {
    stamp.map(Stamp::rfc3339)
}

/// A user without its secrets.
pub fn user(iam: &IamClient, user: &UserSummary) -> Value {
    let tags: serde_json::Map<String, Value> =
        user.tags.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
    json!({
        "user_id": user.user_id.as_str(),
        "account_id": user.account_id,
        "arn": user.arn(),
        "display_name": user.display_name,
        "user_name": user.user_name,
        "path": user.path,
        "email": user.email,
        "root": user.is_root,
        "enabled": user.is_enabled,
        "expires_at": time(user.expires_at),
        "created_at": time(user.created_at),
        "access_keys": user.access_keys.iter().map(|key| access_key(iam, key)).collect::<Vec<_>>(),
        "policies": user.policies,
        "groups": user.groups,
        "attached_policies": user.attached_policies,
        "tags": tags,
        "quota": (!user.quota.is_unlimited()).then_some(user.quota),
    })
}

fn access_key(iam: &IamClient, key: &AccessKeySummary) -> Value {
    let last_used = iam.last_use(&key.access_key);
    json!({
        "access_key": key.access_key.as_str(),
        "enabled": key.is_enabled,
        "expires_at": time(key.expires_at),
        "created_at": time(key.created_at),
        "last_used": last_used.map(|used| json!({
            "at": used.at.rfc3339(), "service": used.service, "region": used.region,
        })),
    })
}

/// A new credential, with its secret.
pub fn credential(credential: &NewCredential) -> Value {
    let replaced = credential.replaced.as_ref();
    json!({
        "user_id": credential.user_id.as_str(),
        "display_name": credential.display_name,
        "access_key": credential.access_key.as_str(),
        "secret_key": credential.secret_key.expose(),
        "replaced": replaced.map(|old| json!({
            "access_key": old.access_key.as_str(),
            "expires_at": old.expires_at.rfc3339(),
        })),
    })
}
