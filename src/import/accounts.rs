//! Users, connections and rules of an earlier generation. What is there already stays as it is.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::earlier::{Accounts, Key, User};
use super::node::NodeApi;
use super::run::Run;
use crate::replication::{Failure, Method};

const IAM: [&str; 3] = ["_myfsio", "iam", "users"];
const CONNECTIONS: [&str; 3] = ["_myfsio", "replication", "connections"];

impl Run<'_> {
    /// Adds the users. Errs: they cannot be read.
    pub(super) async fn bring_users(&self) -> Result<(), String> {
        let Some(Accounts { users, lost, .. }) = &self.accounts else { return Ok(()) };
        for (place, reason) in lost {
            self.left_out(place, reason);
        }
        for user in users {
            let place = format!("user {}", user.display_name);
            for reason in &user.lost {
                self.left_out(&place, reason);
            }
            let Some(node) = &self.node else {
                self.counts.users.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            match add_user(node, user).await {
                Ok(Some(lost)) => {
                    self.counts.users.fetch_add(1, Ordering::Relaxed);
                    lost.iter().for_each(|reason| self.left_out(&place, reason));
                }
                Ok(None) => {
                    let access_key = user.keys.first().map(|key| key.access_key.as_str()).unwrap_or_default();
                    self.noted(&place, &format!("the access key {access_key} is there already, and stays as it is"));
                }
                Err(failure) => self.left_out(&place, &failure.to_string()),
            }
        }
        Ok(())
    }

    /// Adds connections and rules. Nothing is sent by them until somebody says so: the earlier node may still do it.
    pub(super) async fn bring_rules(&self) {
        let (Some(accounts), Some(node)) = (&self.accounts, &self.node) else { return };
        let mut ids = HashMap::new();
        for connection in &accounts.connections {
            match add_connection(node, &connection.document).await {
                Ok(id) => drop(ids.insert(connection.id.as_str(), id)),
                Err(failure) => self.left_out(&format!("connection {}", connection.id), &failure.to_string()),
            }
        }
        for rule in &accounts.rules {
            let place = format!("replication of {}", rule.bucket);
            let Some(id) = ids.get(rule.connection.as_str()) else {
                self.left_out(&place, "its connection is missing");
                continue;
            };
            let part = |prefix: &String| json!([{ "id": "import", "prefix": prefix, "delete_markers": rule.deletes, "priority": 1 }]);
            let mut document = json!({
                "target_connection_id": id, "target_bucket": rule.target, "enabled": false, "mode": "new_only", "replicate_deletes": rule.deletes,
            });
            if let (Some(prefix), Value::Object(fields)) = (&rule.prefix, &mut document) {
                fields.insert("rules".to_owned(), part(prefix));
            }
            let route = ["_myfsio", "replication", "rules", rule.bucket.as_str()];
            match node.json(Method::GET, &route, None).await {
                // It is replicated already.
                Ok(_) => continue,
                Err(failure) if failure.status() == 404 => {}
                Err(failure) => {
                    self.left_out(&place, &failure.to_string());
                    continue;
                }
            }
            match node.json(Method::PUT, &route, Some(&document)).await {
                Ok(_) => {
                    self.noted(&place, &format!("it is paused: `myfsio replication resume {}` begins it", rule.bucket))
                }
                Err(failure) => self.left_out(&place, &failure.to_string()),
            }
        }
    }
}

/// Adds a user; answers what of it could not be, or none when it is there already. What must not be used is disabled before anything else
/// can fail.
async fn add_user(node: &NodeApi, user: &User) -> Result<Option<Vec<String>>, Failure> {
    let Some((first, others)) = user.keys.split_first() else { return Ok(None) };
    let one =
        |name: &str| -> Vec<String> { IAM.iter().map(|part| (*part).to_owned()).chain([name.to_owned()]).collect() };
    let route = one(&first.access_key);
    let route: Vec<&str> = route.iter().map(String::as_str).collect();
    match node.json(Method::GET, &route, None).await {
        Ok(_) => return Ok(None),
        Err(failure) if failure.status() == 404 => {}
        Err(failure) => return Err(failure),
    }
    let document = json!({
        "display_name": user.display_name, "policies": user.policies, "access_key": first.access_key, "secret_key": first.secret_key.as_str(),
        "expires_at": user.expires_at,
    });
    node.json(Method::POST, &IAM, Some(&document)).await?;
    let disabled = json!({ "enabled": false });
    if !user.enabled {
        node.json(Method::PATCH, &route, Some(&disabled)).await?;
    }
    let keys = [route.as_slice(), &["access-keys"]].concat();
    let disable = async |key: &Key| match key.enabled {
        true => Ok(()),
        false => {
            let route = [keys.as_slice(), &[key.access_key.as_str()]].concat();
            node.json(Method::PATCH, &route, Some(&disabled)).await.map(drop)
        }
    };
    disable(first).await?;
    let mut lost = Vec::new();
    for key in others {
        let document = json!({ "access_key": key.access_key, "secret_key": key.secret_key.as_str() });
        let added = match node.json(Method::POST, &keys, Some(&document)).await {
            Ok(_) => disable(key).await,
            Err(failure) => Err(failure),
        };
        if let Err(failure) = added {
            lost.push(format!("its access key {}: {failure}", key.access_key));
        }
    }
    Ok(Some(lost))
}

/// Adds a connection, unless one of its name is there; answers its id here.
async fn add_connection(node: &NodeApi, document: &Value) -> Result<String, Failure> {
    let there = node.json(Method::GET, &CONNECTIONS, None).await?;
    let listed = there.get("connections").and_then(Value::as_array).into_iter().flatten();
    let same =
        |connection: &&Value| ["name", "endpoint_url"].iter().all(|field| connection.get(field) == document.get(field));
    let found = listed.clone().find(same).cloned();
    let made = match found {
        Some(found) => found,
        None => node.json(Method::POST, &CONNECTIONS, Some(document)).await?,
    };
    let id = made.get("id").and_then(Value::as_str).map(str::to_owned);
    id.ok_or_else(|| Failure::Nonsense("a connection without an id".to_owned()))
}
