//! Users and their keys.

use myfsio::console::route::Role;

use crate::browser::{Browser, ConsoleNode, Shown};
use crate::world;

/// The page of the user with this name.
async fn page_of(admin: &Browser, name: &str) -> (String, Shown) {
    let list = admin.get(&format!("/ui/iam?q={name}")).await;
    let address = list.attributes("tbody th a", "href").remove(0);
    let page = admin.get(&address).await;
    assert_eq!(page.status, 200);
    (address, page)
}

async fn made(node: &ConsoleNode, admin: &Browser, policies: &str) -> (String, String) {
    let list = admin.get("/ui/iam").await;
    let made = admin.submit(&list, "/ui/iam", &[("name", "Ann"), ("policies", policies)]).await;
    assert_eq!((made.status, made.header("content-encoding")), (200, "identity"), "{}", made.text);
    let credential = (made.texts("#access-key").remove(0), made.texts("#secret-key").remove(0));
    let (_, page) = page_of(admin, "Ann").await;
    assert!(!page.text.contains(&credential.1), "a secret is shown once");
    assert!(node.browser().sign_in(&credential.0, &credential.1).await.location().starts_with("/ui"));
    credential
}

#[actix_rt::test]
async fn when_a_key_was_last_used() {
    let mut node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let list = admin.get("/ui/iam").await;
    let made = admin.submit(&list, "/ui/iam", &[("name", "Ann"), ("policies", READER)]).await;
    let (key, secret) = (made.texts("#access-key").remove(0), made.texts("#secret-key").remove(0));
    let used = |page: &Shown| page.texts("tbody td[data-label='Last used']").join("");
    let (address, page) = page_of(&admin, "Ann").await;
    assert_eq!(used(&page), "Never");
    let listed = |who| node.node.ask_as(Some(who), "GET", "/shared?list-type=2", &[], b"").status;
    assert_eq!(listed((&key, &secret)), 200);
    assert!(used(&admin.get(&address).await).ends_with(" ago, s3, us-east-1"), "{}", page.text);
    assert!(used(&admin.get("/ui/iam?q=Ann").await).ends_with(" ago, s3, us-east-1"));
    assert_eq!(listed(("reader", "wrong")), 403);
    assert_eq!(used(&admin.get("/ui/iam?q=reader").await), "Never", "what was not proven is no use");
    node.signed_in((&key, &secret)).await.get("/ui").await;
    node.node.stop();
    node.node.restart();
    let admin = world::browser(&node, Role::Admin).await;
    assert!(used(&admin.get(&address).await).ends_with(" ago, console, us-east-1"), "a restart forgets nothing");
}

const READER: &str = r#"[{"bucket": "*", "actions": ["list", "read"]}]"#;

#[actix_rt::test]
async fn made_with_policies_that_hold() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let (key, secret) = made(&node, &admin, READER).await;
    let ann = node.signed_in((&key, &secret)).await;
    assert!(ann.get("/ui/buckets").await.texts("tbody th a").contains(&"shared".to_owned()));
    assert_eq!(ann.get("/ui/iam").await.status, 403);
    let list = admin.get("/ui/iam").await;
    assert!(list.texts("tbody tr").iter().any(|row| row.contains("Ann") && row.contains("*: list, read")));
    let refused = admin.submit(&list, "/ui/iam", &[("name", "Bob"), ("policies", "[{]")]).await;
    assert_eq!(refused.status, 400);
}

#[actix_rt::test]
async fn a_rotated_secret_is_shown_once_and_ends_the_old_one() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let (key, old) = made(&node, &admin, READER).await;
    let ann = node.signed_in((&key, &old)).await;
    let (address, page) = page_of(&admin, "Ann").await;
    let rotate = format!("{address}/rotate");
    let rotated = admin.submit(&page, &rotate, &[("access_key", &key), ("overlap", "0")]).await;
    let new = rotated.texts("#secret-key").remove(0);
    assert_ne!(new, old);
    assert_eq!(rotated.texts("#access-key"), [key.as_str()]);
    assert_eq!(ann.get("/ui").await.status, 303, "a session ends with its secret");
    node.signed_in((&key, &new)).await;
    let rotated = admin.submit(&page, &rotate, &[("access_key", &key), ("overlap", "3600")]).await;
    let next = (rotated.texts("#access-key").remove(0), rotated.texts("#secret-key").remove(0));
    assert_ne!(next.0, key);
    node.signed_in((&key, &new)).await;
    node.signed_in((&next.0, &next.1)).await;
}

#[actix_rt::test]
async fn keys_are_added_disabled_and_deleted() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let (key, secret) = made(&node, &admin, READER).await;
    let (address, page) = page_of(&admin, "Ann").await;
    let added = admin.submit(&page, &format!("{address}/keys"), &[]).await;
    let second = (added.texts("#access-key").remove(0), added.texts("#secret-key").remove(0));
    let change = format!("{address}/key");
    let disabled = admin.submit(&page, &change, &[("access_key", &key), ("do", "disable")]).await;
    assert_eq!((disabled.status, disabled.location()), (303, address.as_str()));
    assert_ne!(node.browser().sign_in(&key, &secret).await.status, 303);
    node.signed_in((&second.0, &second.1)).await;
    let fields = [("access_key", second.0.as_str()), ("do", "expire"), ("expires", "2020-01-01")];
    assert_eq!(admin.submit(&page, &change, &fields).await.status, 303);
    assert_ne!(node.browser().sign_in(&second.0, &second.1).await.status, 303);
    assert!(admin.get(&address).await.texts("#keys tbody tr").iter().any(|row| row.contains("Expired")));
    admin.submit(&page, &change, &[("access_key", &key), ("do", "delete")]).await;
    assert!(!admin.get(&address).await.text.contains(&key));
}

#[actix_rt::test]
async fn policies_are_edited() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    made(&node, &admin, "").await;
    let (address, page) = page_of(&admin, "Ann").await;
    let action = format!("{address}/policies");
    let saved = admin.submit(&page, &action, &[("policies", READER)]).await;
    assert_eq!(saved.status, 303);
    assert!(admin.get(&address).await.texts("textarea").remove(0).contains("\"list\""));
    // The page is from before.
    assert_eq!(admin.submit(&page, &action, &[("policies", "[]")]).await.status, 409);
    let (_, page) = page_of(&admin, "Ann").await;
    for wrong in ["[{", r#"[{"bucket": "*", "actions": ["fly"]}]"#, r#"[{"bucket": "*"}]"#] {
        let kept = admin.submit(&page, &action, &[("policies", wrong)]).await;
        assert_eq!(kept.status, 400, "{wrong}");
        assert!(kept.texts("textarea").remove(0).contains(wrong), "{wrong}: {}", kept.text);
        assert!(!kept.texts("#policies .banner.bad").is_empty());
    }
    let aws =
        r#"[{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}]"#;
    assert_eq!(admin.submit(&page, &action, &[("policies", aws)]).await.status, 303);
    let template = admin.get(&format!("{address}?template=reader")).await;
    assert!(template.texts("#policies .badge").join("").contains("Not saved"));
}

#[actix_rt::test]
async fn a_rule_is_ticked_together_and_saved_by_saving() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    made(&node, &admin, READER).await;
    let (address, page) = page_of(&admin, "Ann").await;
    let action = format!("{address}/policies");
    let add = |bucket: &'static str| [("do", "add"), ("bucket", bucket), ("actions", "write")];
    assert_eq!(admin.submit(&page, &action, &add("")).await.status, 400, "a rule without a bucket says nothing");
    let draft = admin.submit(&page, &action, &add("photos")).await;
    assert_eq!((draft.status, draft.texts("#policies .badge").join("")), (200, "Not saved yet.".to_owned()));
    assert!(!admin.get(&address).await.text.contains("photos"), "not yet");
    assert_eq!(admin.submit(&draft, &action, &[("do", "save")]).await.status, 303);
    let saved: serde_json::Value = serde_json::from_str(&admin.get(&address).await.texts("textarea")[0]).unwrap();
    assert_eq!(saved[0]["bucket"], "*");
    assert_eq!(saved[1], serde_json::json!({"bucket": "photos", "actions": ["write"]}));
}

#[actix_rt::test]
async fn settings_that_changed_since_are_not_overwritten() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let (key, _) = made(&node, &admin, READER).await;
    let (address, page) = page_of(&admin, "Ann").await;
    assert_eq!(admin.submit(&page, &address, &[("name", "Anna")]).await.status, 303);
    let stale = admin.submit(&page, &address, &[("name", "Ann"), ("groups", "")]).await;
    assert_eq!(stale.status, 409);
    assert!(stale.text.contains("has changed"), "{}", stale.text);
    assert_eq!(admin.get(&address).await.attributes("#settings [name=name]", "value"), ["Anna"]);
    let change = format!("{address}/key");
    let expires =
        |day: &'static str| [("access_key", key.clone()), ("do", "expire".to_owned()), ("expires", day.to_owned())];
    for (day, status) in [("2098-01-01", 303), ("2099-01-01", 409)] {
        let fields = expires(day);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(admin.submit(&page, &change, &fields).await.status, status, "{day}");
    }
}

#[actix_rt::test]
async fn disabled_and_deleted() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let (key, secret) = made(&node, &admin, READER).await;
    let (address, page) = page_of(&admin, "Ann").await;
    let changed = admin.submit(&page, &address, &[("name", "\u{202e}<b>Ann"), ("expires", "2099-01-01")]).await;
    assert_eq!(changed.status, 303, "{}", changed.text);
    let list = admin.get("/ui/iam").await;
    assert!(list.texts("tbody tr").iter().any(|row| row.contains("⟨U+202E⟩<b>Ann")), "{}", list.text);
    let page = admin.get(&address).await;
    assert!(page.attributes("#settings [name=expires]", "value").contains(&"2099-01-01".to_owned()));
    assert_eq!(admin.submit(&page, &format!("{address}/delete"), &[("confirm", "Ann")]).await.status, 400);
    let gone = admin.submit(&page, &format!("{address}/delete"), &[("confirm", "\u{202e}<b>Ann")]).await;
    assert_eq!((gone.status, gone.location()), (303, "/ui/iam"));
    assert_ne!(node.browser().sign_in(&key, &secret).await.status, 303);
    assert_eq!(admin.get(&address).await.status, 404);
}

#[actix_rt::test]
async fn what_a_user_may_do_is_told_with_the_policy_that_decides() {
    let node = world::node();
    node.node.create_bucket("other");
    let policy = br#"{"Version": "2012-10-17", "Statement": [{"Sid": "keep", "Effect": "Deny", "Principal": "*",
        "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::shared/kept/*"}]}"#;
    assert_eq!(node.node.ask("PUT", "/shared?policy", &[], policy).status, 204);
    let admin = world::browser(&node, Role::Admin).await;
    let (address, page) = page_of(&admin, "writer").await;
    let link = page.attributes(".heading-actions a", "href").remove(0);
    assert_eq!(link, format!("{address}/permissions"));
    let rows = |page: &Shown, bucket: &str| -> Vec<String> {
        page.texts("tbody tr").into_iter().filter(|row| row.starts_with(bucket)).collect()
    };
    let page = admin.get(&link).await;
    let own = rows(&page, "shared").remove(0);
    assert!(own.contains("Allowed") && own.contains("Own policy") && own.contains("s3:DeleteObjectVersion"), "{own}");
    let words = page.texts("tbody .badge");
    assert!(["list", "read", "write", "delete"].iter().all(|word| words.iter().any(|it| it == word)), "{words:?}");
    let other = rows(&page, "other");
    assert!(!other.is_empty() && other.iter().all(|row| row.contains("Denied")), "{other:?}");
    assert!(other.iter().any(|row| row.contains("No policy allows it")), "{other:?}");
    let kept = rows(&admin.get(&format!("{link}?bucket=shared&key=kept%2Fx")).await, "shared");
    let denied = kept.iter().find(|row| row.contains("keep")).expect("the statement is named");
    assert!(denied.contains("Denied") && denied.contains("Bucket policy") && denied.contains("s3:DeleteObject"));
    assert!(admin.get(&format!("{link}?bucket=none")).await.text.contains("No bucket is called that"));
    // It is what happens.
    let writer = Some(("writer", "writer-secret"));
    node.node.put("/shared/kept/x", b"x");
    assert_eq!(node.node.ask_as(writer, "DELETE", "/shared/kept/x", &[], b"").status, 403);
    let told = |query: &str| -> serde_json::Value {
        let reply = node.node.ask("GET", &format!("/_myfsio/users/writer/permissions?{query}"), &[], b"");
        assert_eq!(reply.status, 200, "{}", reply.text());
        serde_json::from_str(&reply.text()).unwrap()
    };
    let first = told("limit=1");
    assert_eq!((&first["buckets"][0]["bucket"], &first["next"]), (&"other".into(), &"other".into()));
    let second = told("limit=1&after=other");
    assert_eq!(second["buckets"][0]["decisions"][0]["words"], serde_json::json!(["list", "read", "write", "delete"]));
    assert_eq!(second["buckets"][0]["decisions"][0]["by"]["source"]["kind"], "identity");
    assert!(second["next"].is_null() && second["key"] == "example", "{second}");
    let status =
        |who, user: &str| node.node.ask_as(who, "GET", &format!("/_myfsio/users/{user}/permissions"), &[], b"").status;
    assert_eq!((status(writer, "writer"), status(Some(crate::support::ADMIN), "nobody")), (403, 404));
}
