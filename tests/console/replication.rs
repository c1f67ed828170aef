//! Connections, and how buckets are replicated.

use myfsio::console::route::Role;
use serde_json::{Value, json};

use crate::browser::{Browser, ConsoleNode, eventually};
use crate::world::{self, SHARED};

const TAB: &str = "/ui/buckets/shared/replication";
const HOSTILE: &str = "\"><img src=x onerror=alert(1)>\u{202e}";

/// Makes a connection to `endpoint`; answers the address of its page.
async fn connect(admin: &Browser, name: &str, endpoint: &str, (key, secret): (&str, &str)) -> String {
    let list = admin.get("/ui/connections").await;
    let fields = [("name", name), ("endpoint_url", endpoint), ("access_key", key), ("secret_key", secret)];
    let made = admin.submit(&list, "/ui/connections", &fields).await;
    assert_eq!(made.status, 303, "{}", made.text);
    made.location().to_owned()
}

fn status(node: &ConsoleNode) -> Value {
    let reply = node.node.ask("GET", "/_myfsio/replication/rules/shared", &[], b"");
    assert_eq!(reply.status, 200, "{}", reply.text());
    serde_json::from_str(&reply.text()).unwrap()
}

/// A bucket that is replicated to another node, and whom to ask there.
async fn pair() -> (ConsoleNode, ConsoleNode, Browser) {
    let (source, target) = (world::node(), ConsoleNode::start(&[]));
    target.node.create_bucket("copy");
    let policies = json!([{ "bucket": "copy", "actions": ["list", "read", "write", "delete", "replication"] }]);
    target.node.add_users(&[
        json!({ "access_key": "peer", "secret_key": "peer-secret", "display_name": "peer", "policies": policies }),
    ]);
    let admin = world::browser(&source, Role::Admin).await;
    connect(&admin, "second site", &target.node.endpoint(), ("peer", "peer-secret")).await;
    let tab = admin.get(TAB).await;
    let set = admin.submit(&tab, TAB, &[("target_bucket", "copy"), ("mode", "all")]).await;
    assert_eq!((set.status, set.location()), (303, TAB), "{}", set.text);
    (source, target, admin)
}

#[actix_rt::test]
async fn a_connection_is_made_changed_tested_and_deleted() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let address = connect(&admin, HOSTILE, &node.node.endpoint(), ("localadmin", "localadmin")).await;
    let list = admin.get("/ui/connections").await;
    assert!(list.texts("tbody th").join("").contains("onerror") && list.attributes("img", "src").is_empty());
    let page = admin.get(&address).await;
    assert!(page.attributes("img", "src").is_empty() && page.text.contains("⟨U+202E⟩"));
    let tested = admin.submit(&page, &format!("{address}/test"), &[("bucket", SHARED)]).await;
    let checks = tested.texts("#found tbody tr");
    for check in ["Somebody answersYes", "It is a MyFSIO nodeYes", "Writing is allowedYes", "The bucket is thereYes"] {
        assert!(checks.iter().any(|row| row.starts_with(check)), "{check}: {checks:?}");
    }
    // What is not typed again stays.
    let changed = admin.submit(&page, &address, &[("name", "second"), ("concurrency", "4")]).await;
    assert_eq!(changed.status, 303, "{}", changed.text);
    let page = admin.get(&address).await;
    assert_eq!(page.form(&address)["concurrency"], "4");
    assert_eq!(page.form(&address)["secret_key"], "");
    assert!(!page.text.contains("value=\"localadmin\" type=\"password\""));
    let tested = admin.submit(&page, &format!("{address}/test"), &[]).await;
    assert!(tested.texts("#found .banner").join("").contains("works"), "{}", tested.text);
    // The page is from before.
    let former = admin.get(&address).await;
    admin.submit(&former, &address, &[("name", "third")]).await;
    assert_eq!(admin.submit(&former, &address, &[("name", "fourth")]).await.status, 409);
    let delete = format!("{address}/delete");
    assert_eq!(admin.submit(&former, &delete, &[("confirm", "second")]).await.status, 400);
    assert_eq!(admin.submit(&former, &delete, &[("confirm", "third")]).await.status, 303);
    assert_eq!(admin.get(&address).await.status, 404);
}

#[actix_rt::test]
async fn what_cannot_be_a_connection_stays_in_the_form() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let list = admin.get("/ui/connections").await;
    let fields = [("name", "n"), ("endpoint_url", "ftp://x"), ("access_key", "a"), ("secret_key", "never-shown")];
    for more in [("endpoint_url", "ftp://x"), ("endpoint_url", "http://169.254.169.254"), ("concurrency", "x")] {
        let mut all = fields.to_vec();
        all.push(more);
        let refused = admin.submit(&list, "/ui/connections", &all).await;
        assert_eq!(refused.status, 400, "{more:?}");
        assert!(!refused.texts(".banner.bad").is_empty() && !refused.text.contains("never-shown"), "{more:?}");
        assert_eq!(refused.form("/ui/connections")["name"], "n");
    }
    assert!(admin.get("/ui/connections").await.texts("tbody th").is_empty());
    let gone = connect(&admin, "gone", "http://127.0.0.1:9", ("a", "s")).await;
    let page = admin.get(&gone).await;
    let tested = admin.submit(&page, &format!("{gone}/test"), &[]).await;
    assert_eq!(tested.status, 200);
    assert!(tested.texts("#found .banner.bad").join("").contains("does not work"), "{}", tested.text);
}

#[actix_rt::test]
async fn replicated_paused_resumed_and_stopped() {
    let (source, target, admin) = pair().await;
    eventually("what was there is sent", async || target.node.status("/copy/folder/a.txt") == 200).await;
    let replicator = world::browser(&source, Role::Replicator).await;
    let tab = replicator.get(TAB).await;
    assert_eq!(tab.texts("[data-figure=state]"), ["Active"]);
    assert!(tab.attributes("#rule, #remove", "id").is_empty(), "only administrators set it");
    let paused = replicator.submit(&tab, &format!("{TAB}/pause"), &[]).await;
    assert_eq!((paused.status, paused.location()), (303, TAB));
    source.node.put("/shared/later.txt", b"later");
    let tab = replicator.get(TAB).await;
    assert_eq!(tab.texts("[data-figure=state]"), ["Paused"]);
    eventually("the change waits", async || replicator.get(TAB).await.texts("[data-figure=pending]") == ["1"]).await;
    let live = replicator.ask("GET", TAB, &[("accept", "application/json")], None).await;
    let live: Value = serde_json::from_str(&live.text).unwrap();
    assert_eq!((&live["figures"]["pending"], &live["figures"]["state"]), (&json!("1"), &json!("Paused")));
    assert_eq!(target.node.status("/copy/later.txt"), 404);
    assert_eq!(replicator.submit(&tab, &format!("{TAB}/resume"), &[]).await.status, 303);
    eventually("it is sent", async || target.node.status("/copy/later.txt") == 200).await;
    // A form that does not know of a change is refused, and saving does not resume what is paused.
    let former = admin.get(TAB).await;
    admin.submit(&former, &format!("{TAB}/pause"), &[]).await;
    assert_eq!(admin.submit(&former, TAB, &[("delete_versions", "on")]).await.status, 303);
    let now = status(&source);
    assert_eq!((&now["enabled"], &now["delete_versions"]), (&json!(false), &json!(true)));
    assert_eq!(admin.submit(&former, TAB, &[("mode", "new_only")]).await.status, 409);
    // A connection that is used stays.
    let list = admin.get("/ui/connections").await;
    let address = list.attributes("tbody th a", "href").remove(0);
    let page = admin.get(&address).await;
    assert!(page.texts("#delete").join("").contains("shared"));
    let token = admin.token().await;
    let fields = [("csrf", token.as_str()), ("confirm", "second site")];
    let refused = admin.post(&format!("{address}/delete"), &fields).await;
    assert_eq!(refused.status, 409);
    assert!(refused.texts("main").join("").contains("used by the replication of shared"), "{}", refused.text);
    let remove = format!("{TAB}/remove");
    assert_eq!(admin.submit(&former, &remove, &[("confirm", "other")]).await.status, 400);
    assert_eq!(admin.submit(&former, &remove, &[("confirm", "shared")]).await.status, 303);
    assert!(replicator.get(TAB).await.text.contains("This bucket is not replicated"));
    assert_eq!(target.node.status("/copy/later.txt"), 200);
}

#[actix_rt::test]
async fn both_sides_are_compared() {
    let (source, target, admin) = pair().await;
    eventually("what was there is sent", async || target.node.status("/copy/folder/a.txt") == 200).await;
    assert!(admin.get(TAB).await.texts("#report").join("").contains("not compared yet"));
    let tab = admin.get(TAB).await;
    assert_eq!(admin.submit(&tab, &format!("{TAB}/compare"), &[("do", "compare")]).await.status, 303);
    eventually("the comparison ends", async || {
        admin.get(TAB).await.texts("#report .badge").first().is_some_and(|word| word == "Done")
    })
    .await;
    let report = admin.get(TAB).await;
    assert!(report.texts("#report dl").join("").contains("Compared1The same1"), "{}", report.text);
    let resync = admin.submit(&report, &format!("{TAB}/resync"), &[]).await;
    assert_eq!(resync.status, 303);
    drop(source);
}

#[actix_rt::test]
async fn what_was_given_up_is_retried_and_dismissed() {
    let (source, target, admin) = pair().await;
    eventually("what was there is sent", async || target.node.status("/copy/folder/a.txt") == 200).await;
    // Objects of the bucket may not be written there any more.
    let deny = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Deny", "Principal": "*",
        "Action": ["s3:PutObject", "s3:ReplicateObject"], "Resource": "arn:aws:s3:::copy/*" }] });
    let set = target.node.ask("PUT", "/copy?policy", &[], deny.to_string().as_bytes());
    assert!(set.status < 300, "{}", set.text());
    let hostile = "/shared/%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E";
    source.node.put(hostile, b"x");
    source.node.put("/shared/second", b"x");
    eventually("both are given up", async || admin.get(TAB).await.texts("#failures tbody tr").len() == 2).await;
    let tab = admin.get(TAB).await;
    assert!(tab.attributes("img", "src").is_empty() && tab.texts("#failures tbody th").join(" ").contains("onerror"));
    let replicator = world::browser(&source, Role::Replicator).await;
    let seen = replicator.get(TAB).await;
    assert!(seen.attributes("form", "action").iter().all(|action| !action.ends_with("/dismiss")));
    let removed = target.node.ask("DELETE", "/copy?policy", &[], b"");
    assert!(removed.status < 300, "{}", removed.text());
    let one = replicator.submit(&seen, &format!("{TAB}/retry"), &[("key", "second")]).await;
    assert_eq!(one.status, 303);
    eventually("one is sent", async || target.node.status("/copy/second") == 200).await;
    let left = admin.get(TAB).await;
    assert_eq!(left.texts("#failures tbody tr").len(), 1, "{}", left.text);
    assert_eq!(admin.submit(&left, &format!("{TAB}/dismiss"), &[]).await.status, 303);
    let told = admin.get(TAB).await;
    assert!(told.texts("#notices").join("").contains("were dismissed"), "{}", told.text);
    assert!(told.texts("#failures").join("").contains("Nothing was given up"));
}

#[actix_rt::test]
async fn how_far_behind_is_drawn() {
    let (mut source, _target, _) = pair().await;
    source.node.stop();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let points = |back: u64| json!([[now - 2 * back, 90_250, 5], [now - back, 0, 0]]);
    let series = json!({ "hour": points(10), "day": points(240) });
    let file = source.node.root().join(".myfsio.sys/replication_history.json");
    std::fs::write(file, json!({ "buckets": { SHARED: series } }).to_string()).unwrap();
    source.node.restart();
    let replicator = world::browser(&source, Role::Replicator).await;
    for (address, range) in [(TAB.to_owned(), "1 hour"), (format!("{TAB}?range=24h"), "24 hours")] {
        let page = replicator.get(&address).await;
        assert_eq!(page.texts(".chart h2"), ["Lag", "Pending"], "{}", page.text);
        assert_eq!(page.texts(".chart [data-most]"), ["90.2 s", "5"]);
        assert_eq!(page.texts(".segments [aria-current]"), [range]);
    }
    let told = replicator.ask("GET", TAB, &[("accept", "application/json")], None).await;
    let told: Value = serde_json::from_str(&told.text).unwrap();
    assert_eq!(told["drawn"]["charts"][1]["most"], "5");
    assert!(told["drawn"]["charts"][0]["lines"][0]["path"].as_str().unwrap().starts_with('M'));
}
