//! The way to anywhere shows what the asker may see, and no more.

use myfsio::console::route::Role;
use serde_json::Value;

use crate::browser::{Browser, ConsoleNode};
use crate::names::HOSTILE;
use crate::world;

async fn found(browser: &Browser, query: &str) -> Vec<(String, String)> {
    let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let shown = browser.ask("GET", &format!("/ui/go?q={query}"), &[("accept", "application/json")], None).await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    let told: Value = serde_json::from_str(&shown.text).unwrap();
    let text = |place: &Value, field: &str| place[field].as_str().unwrap().to_owned();
    told["found"].as_array().unwrap().iter().map(|place| (text(place, "label"), text(place, "address"))).collect()
}

fn addresses(found: &[(String, String)]) -> Vec<&str> {
    found.iter().map(|(_, address)| address.as_str()).collect()
}

#[actix_rt::test]
async fn pages_buckets_users_and_actions_are_found() {
    let node = world::node();
    node.node.create_bucket("shared-too");
    let admin = world::browser(&node, Role::Admin).await;
    assert_eq!(addresses(&found(&admin, "metr").await), ["/ui/metrics"]);
    assert_eq!(addresses(&found(&admin, "create buck").await), ["/ui/buckets/create"]);
    let shared = found(&admin, "SHARED").await;
    assert_eq!(addresses(&shared)[..2], ["/ui/buckets/shared/browse", "/ui/buckets/shared-too/browse"]);
    assert_eq!(addresses(&found(&admin, "too perm").await), ["/ui/buckets/shared-too/policy"]);
    let place = found(&admin, "s3://shared/folder/x y").await;
    assert_eq!(addresses(&place), ["/ui/buckets/shared/browse?prefix=folder%2Fx%20y"]);
    let user = found(&admin, "replicat").await;
    assert!(user.iter().any(|(label, address)| label == "replicator" && address.starts_with("/ui/iam/")), "{user:?}");
    let request = found(&admin, "0123456789abcdef").await;
    let id = "request_id=0123456789ABCDEF";
    assert_eq!(addresses(&request), [format!("/ui/requests?{id}"), format!("/ui/why?{id}")]);
    assert!(found(&admin, "").await.iter().any(|(label, _)| label == "Dashboard"));
    let page = admin.get("/ui/go?q=metr").await;
    assert_eq!(page.attributes("main .settings a", "href"), ["/ui/metrics"], "without scripts");
}

#[actix_rt::test]
async fn nothing_is_given_away() {
    let node = world::node();
    node.node.create_bucket("secret");
    let writer = world::browser(&node, Role::Writer).await;
    for query in ["secret", "secret/x", "secret properties", "metrics", "create", "reader", "users"] {
        let places = found(&writer, query).await;
        assert!(places.is_empty(), "{query}: {places:?}");
    }
    let shared = found(&writer, "shared").await;
    assert!(addresses(&shared).contains(&"/ui/buckets/shared/browse"), "{shared:?}");
    assert_eq!(addresses(&found(&writer, "0123456789ABCDEF").await), ["/ui/why?request_id=0123456789ABCDEF"]);
    let anonymous = world::browser(&node, Role::Anonymous).await;
    assert!(anonymous.get("/ui/go?q=shared").await.location().starts_with("/ui/login"));
    let json = [("accept", "application/json")];
    assert_eq!(anonymous.ask("GET", "/ui/go?q=shared", &json, None).await.status, 401);
}

#[actix_rt::test]
async fn hostile_names_are_shown_as_they_are() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    for name in HOSTILE {
        let users = admin.get("/ui/iam").await;
        admin.submit(&users, "/ui/iam", &[("name", name), ("policies", "")]).await;
        let query: String = format!("shared/{name}").bytes().map(|byte| format!("%{byte:02X}")).collect();
        let page = admin.get(&format!("/ui/go?q={query}")).await;
        assert_eq!(page.status, 200, "{name}");
        assert!(page.attributes("main img, main script", "src").is_empty(), "{name}");
        assert!(page.attributes("main a", "href").iter().all(|address| address.starts_with("/ui")), "{name}");
    }
}

#[actix_rt::test]
async fn addresses_keep_what_stands_before_them() {
    let node = ConsoleNode::start(&[("UI_BASE_URL", "http://store.example/fsio")]);
    let browser = node.browser();
    let form = browser.get("/fsio/ui/login").await;
    let (key, secret) = crate::support::ADMIN;
    let sent = browser.submit(&form, "/fsio/ui/login", &[("access_key", key), ("secret_key", secret)]).await;
    assert_eq!((sent.status, sent.location()), (303, "/fsio/ui"), "{}", sent.text);
    let json = [("accept", "application/json")];
    let told = browser.ask("GET", "/fsio/ui/go?q=metr", &json, None).await;
    assert!(told.text.contains("\"/fsio/ui/metrics\""), "{}", told.text);
    let page = browser.get("/fsio/ui/go?q=metr").await;
    assert_eq!(page.attributes("main .settings a", "href"), ["/fsio/ui/metrics"]);
    assert_eq!(page.attributes(".side a[data-go]", "href"), ["/fsio/ui/go"]);
}
