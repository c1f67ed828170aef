//! Groups and managed policies: by their routes, and by their pages.

use myfsio::console::route::Role;
use serde_json::{Value, json};

use crate::names::HOSTILE;
use crate::support::{ADMIN, Node};
use crate::world;

const READ: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:ListBucket","s3:GetObject"],"Resource":["arn:aws:s3:::shared","arn:aws:s3:::shared/*"]}]}"#;

fn ask(node: &Node, method: &str, below: &str, body: &str) -> (u16, Value) {
    let reply = node.ask(method, &format!("/_myfsio/iam/{below}"), &[], body.as_bytes());
    (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
}

fn path(arn: &str) -> String {
    arn.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A user of the administrator's account, who may nothing: its id, access key and secret.
fn user(node: &Node) -> (String, String, String) {
    let (status, made) = ask(node, "POST", "users", r#"{"display_name":"Ann","policies":[]}"#);
    assert_eq!(status, 201, "{made}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["user_id"]), text(&made["access_key"]), text(&made["secret_key"]))
}

#[actix_rt::test]
async fn members_have_what_their_group_has() {
    let node = world::node().node;
    let (id, key, secret) = user(&node);
    let status = || node.ask_as(Some((&key, &secret)), "GET", "/shared/folder/a.txt", &[], b"").status;
    assert_eq!(ask(&node, "POST", "groups", r#"{"name":"readers"}"#).0, 201);
    assert_eq!(ask(&node, "POST", "groups", r#"{"name":"readers"}"#).0, 409);
    assert_eq!(status(), 403);
    let (added, group) = ask(&node, "PUT", &format!("groups/readers/members/{id}"), "");
    assert_eq!((added, &group["members"][0]["user_id"]), (200, &json!(id)), "{group}");
    let (put, group) = ask(&node, "PUT", "groups/readers/policies/read", READ);
    assert_eq!((put, &group["policies"][0]["name"]), (200, &json!("read")), "{group}");
    assert_eq!(status(), 200);
    assert_eq!(ask(&node, "PUT", "groups/readers/policies/bad", "{").0, 400);
    assert_eq!(ask(&node, "DELETE", "groups/readers/policies/read", "").0, 200);
    assert_eq!(status(), 403);
    let document = format!(r#"{{"name":"shared-read","document":{READ}}}"#);
    let (made, policy) = ask(&node, "POST", "policies", &document);
    assert_eq!(made, 201, "{policy}");
    let arn = path(policy["arn"].as_str().unwrap());
    assert_eq!(ask(&node, "PUT", &format!("groups/readers/attached/{arn}"), "").0, 200);
    assert_eq!(status(), 200);
    let (refused, told) = ask(&node, "DELETE", &format!("policies/{arn}"), "");
    assert_eq!((refused, &told["error"]["code"]), (409, &json!("DeleteConflict")));
    assert_eq!(ask(&node, "DELETE", "groups/readers", "").0, 409);
    assert_eq!(ask(&node, "DELETE", &format!("groups/readers/attached/{arn}"), "").0, 200);
    assert_eq!(ask(&node, "PUT", &format!("users/{id}/attached/{arn}"), "").0, 200);
    assert_eq!(status(), 200);
    let (_, told) = ask(&node, "GET", &format!("policies/{arn}"), "");
    assert_eq!(told["holders"], json!([{ "kind": "user", "name": "Ann", "id": id }]));
    assert_eq!(ask(&node, "PATCH", "groups/readers", r#"{"name":"others"}"#).0, 200);
    assert_eq!(ask(&node, "DELETE", &format!("groups/others/members/{id}"), "").0, 200);
    assert_eq!(ask(&node, "DELETE", "groups/others", "").0, 204);
    assert_eq!(ask(&node, "GET", "groups/others", "").0, 404);
}

#[actix_rt::test]
async fn versions_of_a_policy_are_kept_and_chosen() {
    let node = world::node().node;
    let document = |at: usize| READ.replace("s3:GetObject", &format!("s3:GetObject{}", ["", "Acl", "Tagging"][at % 3]));
    let (_, policy) = ask(&node, "POST", "policies", &format!(r#"{{"name":"p","document":{READ}}}"#));
    let arn = path(policy["arn"].as_str().unwrap());
    for at in 1..7 {
        let (status, told) = ask(&node, "PUT", &format!("policies/{arn}"), &document(at));
        assert_eq!((status, &told["default_version_id"]), (200, &json!(format!("v{}", at + 1))), "{told}");
        assert!(told["versions"].as_array().unwrap().len() <= 5);
    }
    let (status, told) = ask(&node, "POST", &format!("policies/{arn}/versions/v4"), "");
    assert_eq!((status, &told["default_version_id"]), (200, &json!("v4")));
    assert_eq!(ask(&node, "DELETE", &format!("policies/{arn}/versions/v4"), "").0, 409, "it is in force");
    assert_eq!(ask(&node, "DELETE", &format!("policies/{arn}/versions/v5"), "").0, 200);
    assert_eq!(ask(&node, "DELETE", &format!("policies/{arn}"), "").0, 204);
    assert_eq!(ask(&node, "GET", &format!("policies/{arn}"), "").0, 404);
}

#[actix_rt::test]
async fn who_may_attach_one_policy_may_not_attach_another() {
    let node = world::node().node;
    let (id, key, secret) = user(&node);
    let own = |name: &str| {
        let (_, made) = ask(&node, "POST", "policies", &format!(r#"{{"name":"{name}","document":{READ}}}"#));
        made["arn"].as_str().unwrap().to_owned()
    };
    let (mild, strong) = (own("mild"), own("strong"));
    let may = json!([{ "PolicyName": "attach", "Version": "2012-10-17", "Statement": [{ "Effect": "Allow",
        "Action": ["iam:AttachUserPolicy"], "Resource": "*", "Condition": { "ArnEquals": { "iam:PolicyARN": mild } } }] }]);
    assert_eq!(ask(&node, "PUT", &format!("users/{id}/policies"), &may.to_string()).0, 200);
    let attach = |arn: &str| {
        let target = format!("/_myfsio/iam/users/{id}/attached/{}", path(arn));
        node.ask_as(Some((&key, &secret)), "PUT", &target, &[], b"").status
    };
    assert_eq!((attach(&strong), attach(&mild)), (403, 200));
    assert_eq!(attach("arn:aws:iam::aws:policy/AdministratorAccess"), 403);
}

#[actix_rt::test]
async fn pages_make_change_and_delete_them() {
    let node = world::node();
    let (id, key, secret) = user(&node.node);
    let admin = node.signed_in(ADMIN).await;
    let page = admin.get("/ui/groups").await;
    let made = admin.submit(&page, "/ui/groups", &[("name", "team")]).await;
    assert_eq!(made.location(), "/ui/groups/team");
    let page = admin.get("/ui/groups/team").await;
    assert_eq!(admin.submit(&page, "/ui/groups/team/members", &[("user", &id), ("do", "add")]).await.status, 303);
    let bad = [("name", "x"), ("document", "{\"Statement\": 1}"), ("do", "save")];
    let refused = admin.submit(&page, "/ui/groups/team/policy", &bad).await;
    assert_eq!(
        (refused.status, refused.texts("textarea[name=document]").pop()),
        (400, Some("{\"Statement\": 1}".to_owned()))
    );
    let own = [("name", "own"), ("document", READ), ("do", "save")];
    assert_eq!(admin.submit(&page, "/ui/groups/team/policy", &own).await.status, 303);
    assert_eq!(admin.submit(&page, "/ui/groups/team/policy", &own).await.status, 409, "there is one of this name now");
    let with_own = admin.get("/ui/groups/team").await;
    let denied = READ.replace("Allow", "Deny");
    let change = [("name", "own"), ("document", denied.as_str()), ("do", "save")];
    assert_eq!(admin.submit(&with_own, "/ui/groups/team/policy", &change).await.status, 303);
    for what in ["save", "remove"] {
        let again = [("name", "own"), ("document", READ), ("do", what)];
        assert_eq!(admin.submit(&with_own, "/ui/groups/team/policy", &again).await.status, 409, "{what}");
    }
    let now = admin.get("/ui/groups/team").await;
    assert_eq!(admin.submit(&now, "/ui/groups/team/policy", &[("name", "own"), ("do", "remove")]).await.status, 303);
    let page = admin.get("/ui/policies").await;
    let made = admin.submit(&page, "/ui/policies", &[("name", "shared-read"), ("document", READ)]).await;
    assert_eq!(made.status, 303, "{}", made.text);
    let address = made.location().to_owned();
    let page = admin.get(&address).await;
    let attached = admin.submit(&page, "/ui/policies/attach", &[("user", ""), ("group", "team"), ("do", "add")]).await;
    assert_eq!(attached.status, 303, "{}", attached.text);
    assert_eq!(node.node.ask_as(Some((&key, &secret)), "GET", "/shared/folder/a.txt", &[], b"").status, 200);
    let page = admin.get(&address).await;
    assert!(page.texts("#holders tbody tr").join("").contains("team Group"), "{}", page.text);
    let denies = READ.replace("Allow", "Deny");
    let saved = admin.submit(&page, "/ui/policies/policy", &[("document", &denies)]).await;
    assert_eq!(saved.status, 303);
    assert_eq!(admin.submit(&page, "/ui/policies/policy", &[("document", READ)]).await.status, 409);
    assert_eq!(node.node.ask_as(Some((&key, &secret)), "GET", "/shared/folder/a.txt", &[], b"").status, 403);
    let page = admin.get(&address).await;
    assert_eq!(page.texts("#versions summary").len(), 2);
    let group = admin.get("/ui/groups/team").await;
    assert!(group.texts("#members th").join("").contains("Ann"));
    assert_eq!(admin.submit(&group, "/ui/groups/team/delete", &[("confirm", "other")]).await.status, 400);
    assert_eq!(admin.submit(&group, "/ui/groups/team/delete", &[("confirm", "team")]).await.status, 303);
    let page = admin.get(&address).await;
    assert_eq!(admin.submit(&page, "/ui/policies/delete", &[("confirm", "shared-read")]).await.status, 303);
    let user = admin.get(&format!("/ui/iam/{id}")).await;
    let key = admin.submit(&user, &format!("/ui/iam/{id}/keys"), &[("expires", "2100-01-01")]).await;
    assert_eq!(key.status, 200);
    let user = admin.get(&format!("/ui/iam/{id}")).await;
    assert!(user.texts("#keys tbody tr").join("").contains("2100-01-01"), "{}", user.text);
    let arn = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    if user.attributes("#attached option", "value").contains(&arn.to_owned()) {
        let attached = admin.submit(&user, "/ui/policies/attach", &[("arn", arn), ("do", "add")]).await;
        assert_eq!(attached.location(), format!("/ui/iam/{id}"));
    }
    for name in HOSTILE {
        let page = admin.get("/ui/groups").await;
        let answer = admin.submit(&page, "/ui/groups", &[("name", name)]).await;
        assert_eq!(answer.status, 400, "{name}");
        assert!(answer.attributes("main img", "src").is_empty(), "{name}");
        let shown = admin.get(&format!("/ui/policies?q={}", path(name))).await;
        assert!(shown.attributes("main img", "src").is_empty(), "{name}");
    }
    let reader = world::browser(&node, Role::Reader).await;
    assert_eq!(reader.get("/ui/groups").await.status, 403);
    assert!(!reader.get("/ui").await.text.contains("/ui/policies"));
}
