//! Every screen shows what it shows as commands, too.

use myfsio::console::route::{Role, rows};

use crate::matrix::target;
use crate::world;

/// Screens that show nothing which a program would ask for in one request, or what only their query names, or whose commands are the
/// screen.
const WITHOUT: &[&str] = &[
    "/ui",
    "/ui/account",
    "/ui/buckets/{bucket}/compare",
    "/ui/buckets/{bucket}/document",
    "/ui/buckets/{bucket}/object-acl",
    "/ui/buckets/create",
    "/ui/go",
    "/ui/guide",
    "/ui/login",
    "/ui/sessions",
    "/ui/simulate",
    "/ui/why",
];

#[actix_rt::test]
async fn screens_show_commands_and_their_requests_are_answered() {
    let node = world::node_with(&[("ENCRYPTION_ENABLED", "true"), ("KMS_ENABLED", "true")]);
    let admin = world::browser(&node, Role::Admin).await;
    let mut without = Vec::new();
    for row in rows().filter(|row| row.method == "GET" && !row.path.ends_with("/stream")) {
        let page = admin.get(&target(row)).await;
        if page.status != 200 || !page.header("content-type").starts_with("text/html") {
            continue;
        }
        if page.attributes("details.commands code, #commands code", "id").is_empty() {
            without.push(row.path);
            continue;
        }
        let curl = page.texts("#command-curl").join("");
        let url = curl.rsplit(' ').next().unwrap_or_default().trim_matches('\'');
        let Some(asked) = url.strip_prefix(&node.node.endpoint()) else {
            assert_eq!(row.path, "/ui/buckets/{bucket}/delete", "{curl}");
            continue;
        };
        if asked == "/_myfsio/trace" {
            // It never ends.
            continue;
        }
        let reply = node.node.ask("GET", asked, &[], b"");
        let is_not_set = reply.status == 404 && reply.text().contains("NoSuch");
        let has_none = reply.status == 404 && reply.text().contains("NotFound");
        assert!(reply.status == 200 || is_not_set || has_none, "{}: {asked}: {}", row.path, reply.text());
    }
    without.retain(|path| !WITHOUT.contains(path));
    assert!(without.is_empty(), "{without:?}");
}
