//! The world that roles are tested in ([`myfsio::console::route::Role`]).

use myfsio::console::route::Role;
use serde_json::{Value, json};

use crate::browser::{Browser, ConsoleNode};
use crate::support::ADMIN;

/// The bucket that everybody may do something with.
pub const SHARED: &str = "shared";

/// Users, beside the administrator, and their seed-form policies.
fn users() -> Vec<Value> {
    let user = |name: &str, policies: Value| json!({ "access_key": name, "secret_key": secret(name), "display_name": name, "policies": policies });
    vec![
        user("reader", json!([{ "bucket": "*", "actions": ["list", "read"] }])),
        user("writer", json!([{ "bucket": SHARED, "actions": ["list", "read", "write", "delete"] }])),
        user("replicator", json!([{ "bucket": SHARED, "actions": ["list", "read", "replication"] }])),
    ]
}

fn secret(name: &str) -> String {
    format!("{name}-secret")
}

/// A node with these users, and the bucket with an object.
pub fn node() -> ConsoleNode {
    node_with(&[])
}

/// The same with settings.
pub fn node_with(settings: &[(&str, &str)]) -> ConsoleNode {
    let console = ConsoleNode::start(settings);
    console.node.add_users(&users());
    console.node.create_bucket(SHARED);
    console.node.put("/shared/folder/a.txt", b"text");
    console
}

/// A browser of each role.
pub async fn browser(node: &ConsoleNode, role: Role) -> Browser {
    let name = match role {
        Role::Anonymous => return node.browser(),
        Role::Admin => return node.signed_in(ADMIN).await,
        Role::Reader => "reader",
        Role::Writer => "writer",
        Role::Replicator => "replicator",
    };
    node.signed_in((name, &secret(name))).await
}
