//! The world that roles are tested in ([`myfsio::console::route::Role`]).

use futures_util::future::join;
use myfsio::console::route::Role;
use serde_json::{Value, json};

use crate::browser::{Browser, ConsoleNode, Shown};
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

/// A page in a browser, and what is filled into one of its forms.
pub type Filled<'a> = (&'a Browser, &'a Shown, &'a [(&'a str, &'a str)]);

/// Sends two forms to `action` at once. Answers which of them was taken, the first or the second: the other one must have come too late.
pub async fn taken_of(action: &str, first: Filled<'_>, second: Filled<'_>) -> usize {
    let (one, two) = (first.0.submit(first.1, action, first.2), second.0.submit(second.1, action, second.2));
    let (first, second) = join(one, two).await;
    for late in [&first, &second].into_iter().filter(|shown| shown.status == 409) {
        assert!(late.text.contains("Somebody has changed this"), "{}", late.text);
    }
    match (first.status, second.status) {
        (303, 409) => 0,
        (409, 303) => 1,
        statuses => panic!("{statuses:?}: {} {}", first.text, second.text),
    }
}
