//! Users with their keys, connections to other servers, and what was replicated.

use std::path::{Path, PathBuf};

use myfsio_actors::earlier::{Fernet, USERS_PREFIX};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{CONFIG_BYTES_MAX, SYSTEM};
use crate::import::beneath::Folder;

/// Actions that this node knows, too.
const ACTIONS: [&str; 30] = [
    "*",
    "list",
    "read",
    "write",
    "delete",
    "share",
    "policy",
    "replication",
    "create_bucket",
    "delete_bucket",
    "tagging",
    "versioning",
    "encryption",
    "lifecycle",
    "cors",
    "notification",
    "logging",
    "website",
    "object_lock",
    "iam:*",
    "iam:list_users",
    "iam:create_user",
    "iam:delete_user",
    "iam:rotate_key",
    "iam:update_policy",
    "iam:listusers",
    "iam:createuser",
    "iam:deleteuser",
    "iam:rotateaccesskey",
    "iam:putuserpolicy",
];
/// What only administrators may here.
const OF_ADMINISTRATORS: [&str; 6] =
    ["quota", "iam:create_key", "iam:delete_key", "iam:get_user", "iam:get_policy", "iam:disable_user"];

/// What is read of `config/`.
#[derive(Debug, Default)]
pub struct Accounts {
    /// Users.
    pub users: Vec<User>,
    /// Connections.
    pub connections: Vec<Connection>,
    /// What is replicated.
    pub rules: Vec<Rule>,
    /// What cannot be read, and why.
    pub lost: Vec<(String, String)>,
}

/// A user.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Name for people.
    pub display_name: String,
    /// Whether it may sign requests.
    pub enabled: bool,
    /// When it ends, as the file says it.
    pub expires_at: Option<String>,
    /// In the short form.
    pub policies: Value,
    /// At least one.
    pub keys: Vec<Key>,
    /// What of it is left behind, and why.
    pub lost: Vec<String>,
}

/// An access key.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub access_key: String,
    /// Its secret.
    pub secret_key: Zeroizing<String>,
    /// Whether it may sign requests.
    pub enabled: bool,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// A connection to another server.
#[derive(Clone)]
pub struct Connection {
    /// Its id there.
    pub id: String,
    /// What makes it here.
    pub document: Value,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What was replicated where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The bucket.
    pub bucket: String,
    /// Id of the connection.
    pub connection: String,
    /// The bucket there.
    pub target: String,
    /// Whether deletes were.
    pub deletes: bool,
    /// Only keys that begin with this.
    pub prefix: Option<String>,
}

/// Reads all of it; each of `secrets` may have been the `SECRET_KEY`. Errs: the users cannot be read.
pub fn read(folder: &Folder, secrets: &[String]) -> Result<Accounts, String> {
    let mut accounts = Accounts::default();
    users(folder, secrets, &mut accounts)?;
    connections(folder, &mut accounts);
    rules(folder, &mut accounts);
    Ok(accounts)
}

fn config(name: &str) -> PathBuf {
    Path::new(SYSTEM).join("config").join(name)
}

fn text(folder: &Folder, path: &Path) -> Result<Option<String>, String> {
    let bytes = folder.read(path, CONFIG_BYTES_MAX).map_err(|error| format!("{}: {error}", path.display()))?;
    bytes.map(String::from_utf8).transpose().map_err(|error| format!("{}: {error}", path.display()))
}

fn users(folder: &Folder, secrets: &[String], accounts: &mut Accounts) -> Result<(), String> {
    let at = config("iam.json");
    let found = match text(folder, &at)? {
        Some(found) => Some(found),
        None => text(folder, Path::new("iam.json"))?,
    };
    let Some(found) = found else { return Ok(()) };
    let plain = match found.strip_prefix(USERS_PREFIX) {
        None => Zeroizing::new(found.into_bytes()),
        Some(token) => {
            let own = text(folder, &config(".secret"))?;
            let own = own.map(|own| own.trim().to_owned());
            let opened = secrets.iter().chain(&own).find_map(|secret| Fernet::of_secret(secret).open(token).ok());
            opened.ok_or_else(|| {
                format!(
                    "{}: it is encrypted with a SECRET_KEY that is none of those known here: give it in a file, by --secret-key-file",
                    at.display()
                )
            })?
        }
    };
    let document: Value = serde_json::from_slice(&plain).map_err(|error| format!("{}: {error}", at.display()))?;
    add_users(&document, accounts);
    Ok(())
}

fn add_users(document: &Value, accounts: &mut Accounts) {
    for record in document.get("users").and_then(Value::as_array).into_iter().flatten() {
        match user(record) {
            Some(user) => accounts.users.push(user),
            None => {
                let name = ["display_name", "user_id"].iter().find_map(|name| record.get(name).and_then(Value::as_str));
                let reason = "it has no access key, so nobody could use it".to_owned();
                accounts.lost.push((format!("user {}", name.unwrap_or_default()), reason));
            }
        }
    }
}

fn user(record: &Value) -> Option<User> {
    let field = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).map(str::to_owned);
    let key = |of: &Value| {
        let (access_key, secret_key) = field(of, "access_key").zip(field(of, "secret_key"))?;
        let enabled = field(of, "status").is_none_or(|status| status == "active");
        Some(Key { access_key, secret_key: Zeroizing::new(secret_key), enabled })
    };
    let mut keys: Vec<Key> =
        record.get("access_keys").and_then(Value::as_array).into_iter().flatten().filter_map(key).collect();
    if keys.is_empty() {
        keys.extend(key(record));
    }
    let first = keys.first()?.access_key.clone();
    let mut lost = Vec::new();
    let policies = record.get("policies").and_then(Value::as_array).into_iter().flatten();
    let policies: Vec<Value> = policies.filter_map(|policy| self::policy(policy, &mut lost)).collect();
    Some(User {
        display_name: field(record, "display_name").unwrap_or(first),
        enabled: record.get("enabled").and_then(Value::as_bool).unwrap_or(true),
        expires_at: field(record, "expires_at").filter(|end| !end.is_empty()),
        policies: Value::Array(policies),
        keys,
        lost,
    })
}

/// A policy with the actions that this node knows.
fn policy(policy: &Value, lost: &mut Vec<String>) -> Option<Value> {
    let named = match policy.get("actions")? {
        Value::String(action) => vec![action.as_str()],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is_administrator = named.iter().any(|action| matches!(*action, "*" | "iam:*"));
    let mut actions: Vec<&str> = Vec::new();
    for action in named {
        let lower = action.to_ascii_lowercase();
        // Names as AWS writes them are known to both.
        let is_known = ACTIONS.contains(&lower.as_str()) || lower.starts_with("s3:");
        match is_known {
            true => actions.push(action),
            false if is_administrator && OF_ADMINISTRATORS.contains(&lower.as_str()) => {}
            false => lost.push(format!("the action {action}: only administrators have it here")),
        }
    }
    if actions.is_empty() {
        return None;
    }
    let mut made = Map::new();
    made.insert("bucket".to_owned(), policy.get("bucket").cloned().unwrap_or_else(|| "*".into()));
    made.insert("actions".to_owned(), json!(actions));
    if let Some(prefix) = policy.get("prefix").and_then(Value::as_str).filter(|prefix| !matches!(*prefix, "" | "*")) {
        made.insert("prefix".to_owned(), prefix.into());
    }
    Some(made.into())
}

fn connections(folder: &Folder, accounts: &mut Accounts) {
    let at = config("connections.json");
    let found = text(folder, &at).and_then(|found| {
        found.map(|found| serde_json::from_str::<Value>(&found)).transpose().map_err(|error| error.to_string())
    });
    let list = match found {
        Ok(found) => found.unwrap_or_default(),
        Err(error) => {
            accounts.lost.push(("connections".to_owned(), error));
            return;
        }
    };
    let key = text(folder, &config(".connections_key")).ok().flatten().and_then(|key| Fernet::parse(&key));
    for record in list.as_array().into_iter().flatten() {
        let field = |name: &str| record.get(name).and_then(Value::as_str).map(str::to_owned);
        let name = field("name").unwrap_or_default();
        let secret = field("secret_key").unwrap_or_default();
        let secret = match secret.strip_prefix("enc:") {
            None => Some(secret),
            Some(token) => key
                .as_ref()
                .and_then(|key| key.open(token).ok())
                .and_then(|secret| String::from_utf8(secret.to_vec()).ok()),
        };
        let (Some(id), Some(secret)) = (field("id"), secret) else {
            accounts.lost.push((format!("connection {name}"), "its secret key cannot be read".to_owned()));
            continue;
        };
        let mut document = json!({ "name": name, "endpoint_url": field("endpoint_url"), "access_key": field("access_key"), "secret_key": secret });
        if let (Some(region), Value::Object(fields)) = (field("region"), &mut document) {
            fields.insert("region".to_owned(), region.into());
        }
        accounts.connections.push(Connection { id, document });
    }
}

fn rules(folder: &Folder, accounts: &mut Accounts) {
    let found = match text(folder, &config("replication_rules.json")) {
        Ok(Some(found)) => found,
        Ok(None) => return,
        Err(error) => {
            accounts.lost.push(("replication".to_owned(), error));
            return;
        }
    };
    let rules: Map<String, Value> = match serde_json::from_str(&found) {
        Ok(rules) => rules,
        Err(error) => {
            accounts.lost.push(("replication".to_owned(), error.to_string()));
            return;
        }
    };
    for (bucket, rule) in rules {
        let field = |name: &str| rule.get(name).and_then(Value::as_str).map(str::to_owned);
        let Some(connection) = field("target_connection_id") else { continue };
        accounts.rules.push(Rule {
            connection,
            target: field("target_bucket").unwrap_or_else(|| bucket.clone()),
            deletes: rule.get("sync_deletions").and_then(Value::as_bool).unwrap_or(true),
            prefix: field("filter_prefix").filter(|prefix| !prefix.is_empty()),
            bucket,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_both_forms() {
        let first = user(&json!({
            "access_key": "AK", "secret_key": "SK", "display_name": "Ann",
            "policies": [{"bucket": "b", "actions": ["read", "quota"], "prefix": "*"}],
        }))
        .unwrap();
        assert_eq!(
            first.keys,
            [Key { access_key: "AK".to_owned(), secret_key: Zeroizing::new("SK".to_owned()), enabled: true }]
        );
        assert_eq!(first.policies, json!([{"bucket": "b", "actions": ["read"]}]));
        assert_eq!(first.lost.len(), 1);
        let named = json!([{"bucket": "*", "actions": ["iam:ListUsers", "s3:GetObject"]}]);
        let aliases = user(&json!({"access_key": "AK", "secret_key": "SK", "policies": named})).unwrap();
        assert_eq!((aliases.policies, aliases.lost.len()), (named, 0));
        let later = user(&json!({
            "user_id": "u-1", "display_name": "Admin", "enabled": false, "expires_at": "2030-01-01T00:00:00Z",
            "access_keys": [{"access_key": "A1", "secret_key": "S1", "status": "inactive"}, {"access_key": "A2", "secret_key": "S2"}],
            "policies": [{"bucket": "*", "actions": ["iam:*", "quota", "iam:create_key", "read"]}, {"bucket": "c", "actions": [], "prefix": "p/"}],
        }))
        .unwrap();
        assert_eq!(later.keys.iter().map(|key| key.enabled).collect::<Vec<_>>(), [false, true]);
        assert_eq!((later.enabled, later.lost.len()), (false, 0));
        assert_eq!(later.policies, json!([{"bucket": "*", "actions": ["iam:*", "read"]}]));
        assert!(!format!("{later:?}").contains("S1"));
        let mut accounts = Accounts::default();
        let key = json!({"access_key": "A1", "secret_key": "S1"});
        add_users(
            &json!({"users": [{"display_name": "Bob", "access_keys": []}, {"display_name": "Eve", "access_keys": [key]}]}),
            &mut accounts,
        );
        assert_eq!(accounts.users.iter().map(|user| user.display_name.as_str()).collect::<Vec<_>>(), ["Eve"]);
        assert_eq!(accounts.lost.iter().map(|(place, _)| place.as_str()).collect::<Vec<_>>(), ["user Bob"]);
    }
}
