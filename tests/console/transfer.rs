//! Users as a file: out, looked at, and in.

use myfsio::console::route::Role;
use serde_json::{Value, json};

use crate::browser::{Browser, Shown};
use crate::objects::multipart;
use crate::world;

async fn look(admin: &Browser, document: &str) -> Shown {
    let token = admin.token().await;
    let (kind, body) = multipart(&[("csrf", &token)], "users.json", document);
    admin.ask("POST", "/ui/transfer", &[("content-type", &kind)], Some(body)).await
}

fn rows(page: &Shown) -> Vec<String> {
    let cells = page.texts("#preview tbody tr");
    cells.iter().map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn document() -> Value {
    let user = |name: &str| json!({"user_name": name, "policies": [{"bucket": "shared", "actions": ["read"]}], "groups": ["staff"]});
    json!({"format": "myfsio-accounts-1", "groups": [{"name": "staff"}], "users": [user("ann"), user("bob")]})
}

#[actix_rt::test]
async fn looked_at_first_and_then_done() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let page = look(&admin, &document().to_string()).await;
    assert_eq!(rows(&page), ["staffGroupCreated", "annUserCreated", "bobUserCreated"], "{}", page.text);
    assert!(!admin.get("/ui/iam").await.text.contains(">ann<"), "nothing has happened yet");
    let done = admin.submit(&page, "/ui/transfer/import", &[]).await;
    assert_eq!((done.status, done.location()), (303, "/ui/iam"), "{}", done.text);
    let list = admin.get("/ui/iam").await;
    assert!(list.texts("#notices").join("").contains("3 were created or changed"), "{}", list.text);
    assert!(list.texts("tbody tr").iter().any(|row| row.contains("ann") && row.contains("staff")));
    let audit = admin.get("/ui/audit?action=iam:Create*").await;
    for name in ["user/ann", "user/bob", "group/staff"] {
        assert!(audit.texts("tbody tr").iter().any(|row| row.contains(name) && row.contains("localadmin")), "{name}");
    }
    let again = look(&admin, &document().to_string()).await;
    assert!(again.text.contains("Everything is as the file says"), "{}", again.text);
    assert!(again.attributes("form[action$='/import']", "action").is_empty());
    let exported = admin.get("/ui/transfer/export").await;
    assert!(exported.header("content-disposition").contains("attachment"));
    let exported: Value = serde_json::from_str(&exported.text).unwrap();
    assert_eq!(exported["users"].as_array().unwrap().len(), 2);
    assert!(!exported.to_string().contains("secret"));
}

#[actix_rt::test]
async fn what_changed_since_the_look_is_shown_again() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let page = look(&admin, &document().to_string()).await;
    let users = admin.get("/ui/iam").await;
    admin.submit(&users, "/ui/iam", &[("name", "ann")]).await;
    let conflict = admin.submit(&page, "/ui/transfer/import", &[]).await;
    assert_eq!(conflict.status, 409);
    assert!(conflict.texts("[role=alert]").join("").contains("has changed since"), "{}", conflict.text);
    assert_eq!(rows(&conflict)[1], "annUserChangedpolicies, groups");
    assert_eq!(admin.submit(&conflict, "/ui/transfer/import", &[]).await.status, 303);
}

#[actix_rt::test]
async fn what_cannot_be_taken_in_says_why() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let mut wrong = document();
    wrong["users"][1]["policies"][0]["actions"] = json!(["<b>fly"]);
    for (document, why) in [(wrong.to_string(), "user `bob`"), ("[".to_owned(), "no JSON"), ("{}".to_owned(), "format")]
    {
        let page = look(&admin, &document).await;
        assert_eq!(page.status, 400, "{document}");
        assert!(page.texts("[role=alert]").join("").contains(why), "{document}: {}", page.text);
        assert!(!page.text.contains("<b>fly"));
    }
    let form = admin.get("/ui/transfer").await;
    let token = admin.token().await;
    let (kind, body) = multipart(&[("csrf", &token)], "", "");
    let empty = admin.ask("POST", "/ui/transfer", &[("content-type", &kind)], Some(body)).await;
    assert!(empty.text.contains("Choose a file"), "{}", form.text);
    let forged = multipart(&[("csrf", "x")], "u.json", "{}");
    assert_eq!(admin.ask("POST", "/ui/transfer", &[("content-type", &forged.0)], Some(forged.1)).await.status, 403);
}
