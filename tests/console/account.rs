//! The page of whoever has signed in.

use myfsio::console::route::Role;
use serde_json::{Value, json};

use crate::browser::{Browser, ConsoleNode};
use crate::world;

/// A user with these policies: its access key and secret.
async fn made(admin: &Browser, name: &str, policies: &Value) -> (String, String) {
    let list = admin.get("/ui/iam").await;
    let made = admin.submit(&list, "/ui/iam", &[("name", name), ("policies", &policies.to_string())]).await;
    assert_eq!(made.status, 200, "{}", made.text);
    (made.texts("#access-key").remove(0), made.texts("#secret-key").remove(0))
}

fn allowing(actions: &[&str], resource: &str) -> Value {
    let statement = json!({ "Effect": "Allow", "Action": actions, "Resource": resource });
    json!([{ "Version": "2012-10-17", "Statement": [statement] }])
}

/// Whether the page offers a new secret, and whether the node makes one for the same person.
async fn may_rotate(node: &ConsoleNode, (key, secret): (&str, &str)) -> (bool, u16) {
    let browser = node.signed_in((key, secret)).await;
    let page = browser.get("/ui/account").await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.texts("#you").join("").contains(key), "{}", page.text);
    let token = browser.token().await;
    let made = browser.post("/ui/account/rotate", &[("csrf", &token), ("access_key", key), ("overlap", "0")]).await;
    (!page.attributes("#secret form", "action").is_empty(), made.status)
}

#[actix_rt::test]
async fn ones_own_secret_is_changed_by_whoever_may_by_the_api() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let own = "arn:aws:iam::*:user/${aws:username}";
    let all = ["iam:GetUser", "iam:RotateAccessKey", "iam:CreateAccessKey", "iam:UpdateAccessKey"];
    let (key, old) = made(&admin, "Ann", &allowing(&all, own)).await;
    let ann = node.signed_in((&key, &old)).await;
    let page = ann.get("/ui/account").await;
    assert!(page.texts("#keys tbody th").contains(&key), "{}", page.text);
    let made_anew = ann.submit(&page, "/ui/account/rotate", &[]).await;
    assert_eq!((made_anew.status, made_anew.header("content-encoding")), (200, "identity"), "{}", made_anew.text);
    let new = made_anew.texts("#secret-key").remove(0);
    assert_ne!(new, old);
    assert_eq!(made_anew.texts("#access-key"), [key.as_str()]);
    assert_eq!(ann.get("/ui/account").await.status, 303, "the session ends with its secret");
    assert_ne!(node.browser().sign_in(&key, &old).await.status, 303);
    let ann = node.signed_in((&key, &new)).await;
    assert!(!ann.get("/ui/account").await.text.contains(&new), "a secret is shown once");
    let page = ann.get("/ui/account").await;
    let beside = ann.submit(&page, "/ui/account/rotate", &[("overlap", "3600")]).await;
    assert_ne!(beside.texts("#access-key"), [key.as_str()]);
    assert_eq!(ann.get("/ui/account").await.status, 200, "both are good for a while");
}

#[actix_rt::test]
async fn the_page_offers_what_the_node_would_let_one_do() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    assert_eq!(may_rotate(&node, ("reader", "reader-secret")).await, (false, 403));
    let grant = json!([{ "bucket": "*", "actions": ["list", "iam:rotate_key"] }]);
    let ann = made(&admin, "Ann", &grant).await;
    assert_eq!(may_rotate(&node, (&ann.0, &ann.1)).await, (true, 200));
    let bob = made(&admin, "Bob", &allowing(&["iam:RotateAccessKey"], "*")).await;
    assert_eq!(may_rotate(&node, (&bob.0, &bob.1)).await, (false, 403), "which AWS does not know");
    let eve = made(&admin, "Eve", &allowing(&["iam:*"], "arn:aws:iam::*:user/Bob")).await;
    assert_eq!(may_rotate(&node, (&eve.0, &eve.1)).await, (false, 403), "others are not oneself");
    let reader = world::browser(&node, Role::Reader).await.get("/ui/account").await;
    assert!(reader.texts("#keys").is_empty(), "whoever may not ask for them is not told its keys");
    let page = admin.get("/ui/account").await;
    assert!(page.attributes("#you a", "href").join("").ends_with("/permissions"), "{}", page.text);
    assert_eq!(page.attributes("#secret form", "action"), ["/ui/account/rotate"]);
}
