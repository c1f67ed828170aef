//! Every route as every role: what a row promises is what the decisions of the node give.

use myfsio::console::route::{Body, Role, Row, rows};

use crate::browser::{Browser, Shown};
use crate::world::{self, SHARED};

const ROLES: [Role; 5] = [Role::Anonymous, Role::Reader, Role::Writer, Role::Replicator, Role::Admin];

/// The path of a row, with the world's names in the places of its parameters.
pub fn target(row: &Row) -> String {
    let parts = row.path.split('/').map(|part| match part {
        "{bucket}" => SHARED,
        part if part.starts_with('{') => "1",
        part => part,
    });
    let path = parts.collect::<Vec<_>>().join("/");
    if row.method == "GET" && !row.sample.is_empty() { format!("{path}?{}", row.sample) } else { path }
}

/// A page; of a stream, which never ends, how it begins.
async fn open(browser: &Browser, target: &str) -> Shown {
    if target.ends_with("/stream") { browser.follow(target, "").await } else { browser.get(target).await }
}

async fn ask(browser: &Browser, row: &Row, token: &str) -> Shown {
    let target = target(row);
    if row.method == "GET" {
        return open(browser, &target).await;
    }
    let kind = match row.body {
        Body::Form => "application/x-www-form-urlencoded",
        Body::Stream | Body::Files => "application/octet-stream",
    };
    let headers = [("content-type", kind), ("x-csrf-token", token)];
    let (target, body) = match row.body {
        Body::Form => (target, row.sample.to_owned()),
        Body::Stream | Body::Files => (format!("{target}?{}", row.sample), "x".to_owned()),
    };
    browser.ask(row.method, &target, &headers, Some(body)).await
}

/// Whether somebody is let through, whatever becomes of it then.
fn is_in(shown: &Shown) -> bool {
    let to_log_in = shown.status == 303 && shown.location().starts_with("/ui/login");
    !to_log_in && !matches!(shown.status, 401 | 403)
}

#[actix_rt::test]
async fn roles_and_routes() {
    // Without keys, their pages only say that there are none.
    let node = world::node_with(&[("ENCRYPTION_ENABLED", "true"), ("KMS_ENABLED", "true")]);
    let mut wrong = Vec::new();
    for role in ROLES {
        for row in rows().filter(|row| !matches!(row.path, "/ui/login" | "/ui/logout" | "/ui/account/end-all")) {
            let browser = world::browser(&node, role).await;
            let token = if role == Role::Anonymous { String::new() } else { browser.token().await };
            let shown = ask(&browser, row, &token).await;
            assert!(shown.status < 500, "{role:?} {} {}: {}", row.method, row.path, shown.text);
            if is_in(&shown) != row.open_to.contains(&role) {
                wrong.push(format!("{role:?} {} {}: {}", row.method, row.path, shown.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[actix_rt::test]
async fn every_answer_has_the_headers() {
    let node = world::node();
    for role in [Role::Anonymous, Role::Admin] {
        let browser = world::browser(&node, role).await;
        for row in rows().filter(|row| row.method == "GET") {
            let shown = open(&browser, &target(row)).await;
            let policy = shown.header("content-security-policy");
            assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{}: {policy}", row.path);
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("x-frame-options", "DENY"),
                ("cross-origin-opener-policy", "same-origin"),
            ] {
                assert!(shown.header(name) == value || policy.starts_with("sandbox"), "{}: {name}", row.path);
            }
            assert!(shown.header("access-control-allow-origin").is_empty(), "{}", row.path);
            assert!(shown.header("cache-control").contains("no-store"), "{}", row.path);
            let scripts = shown.attributes("script:not([src]):not([type='application/json'])", "type");
            assert!(scripts.is_empty(), "{} has a script within", row.path);
        }
    }
}
