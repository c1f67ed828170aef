//! Keys of the KMS.

use myfsio::console::route::Role;
use serde_json::Value;

use crate::browser::{Browser, ConsoleNode, Shown};
use crate::world;

fn node() -> ConsoleNode {
    world::node_with(&[("ENCRYPTION_ENABLED", "true"), ("KMS_ENABLED", "true")])
}

/// Makes a key; answers the address of its page.
async fn made(admin: &Browser, fields: &[(&str, &str)]) -> String {
    let list = admin.get("/ui/kms").await;
    let made = admin.submit(&list, "/ui/kms", fields).await;
    assert_eq!(made.status, 303, "{}", made.text);
    made.location().to_owned()
}

#[actix_rt::test]
async fn without_the_kms_its_page_says_so() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let page = admin.get("/ui/kms").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("KMS_ENABLED=true") && page.attributes("#create", "id").is_empty());
}

#[actix_rt::test]
async fn a_key_is_made_named_rotated_and_disabled() {
    let node = node();
    let admin = world::browser(&node, Role::Admin).await;
    let hostile = "\"><img src=x onerror=alert(1)>\u{202e}";
    let address = made(&admin, &[("alias", "photos"), ("description", hostile), ("tags", "team = a\nempty=")]).await;
    let list = admin.get("/ui/kms").await;
    assert!(list.texts("tbody th").iter().any(|text| text.contains("alias/photos")), "{}", list.text);
    let page = admin.get(&address).await;
    assert!(page.attributes("img", "src").is_empty() && page.text.contains("⟨U+202E⟩"));
    assert!(page.texts("#about").join("").contains("team=a") && page.text.contains("Enabled"));
    assert_eq!(page.texts("#versions tbody tr").len(), 1);
    assert_eq!(admin.submit(&page, &format!("{address}/rotate"), &[]).await.status, 303);
    let page = admin.get(&address).await;
    let versions = page.texts("#versions tbody tr");
    assert!(versions.len() == 2 && versions[0].contains("Current") && versions[0].contains("by hand"), "{versions:?}");
    assert_eq!(admin.submit(&page, &format!("{address}/alias"), &[("alias", "pictures")]).await.status, 303);
    let page = admin.get(&address).await;
    assert!(page.texts("#aliases li").join(" ").contains("alias/pictures"));
    let removed = admin.submit(&page, &format!("{address}/alias/remove"), &[("alias", "alias/pictures")]).await;
    assert_eq!(removed.status, 303, "{}", removed.text);
    assert!(!admin.get(&address).await.texts("#aliases li").join(" ").contains("pictures"));
    assert_eq!(admin.submit(&page, &format!("{address}/disable"), &[]).await.status, 303);
    let page = admin.get(&address).await;
    assert!(page.texts("#about h2").join("").contains("Disabled"));
    assert_eq!(admin.submit(&page, &format!("{address}/enable"), &[]).await.status, 303);
    for wrong in [("tags", "no pair"), ("alias", "two words")] {
        assert_eq!(admin.submit(&list, "/ui/kms", &[wrong]).await.status, 400, "{wrong:?}");
    }
}

#[actix_rt::test]
async fn what_a_deletion_would_cost_is_said_before_it() {
    let node = node();
    let admin = world::browser(&node, Role::Admin).await;
    let address = made(&admin, &[("alias", "costly")]).await;
    let id = address.rsplit('/').next().unwrap();
    let headers = [("x-amz-server-side-encryption", "aws:kms"), ("x-amz-server-side-encryption-aws-kms-key-id", id)];
    for key in ["one", "two"] {
        let put = node.node.ask("PUT", &format!("/shared/{key}"), &headers, b"sealed");
        assert_eq!(put.status, 200, "{}", put.text());
    }
    let page = admin.get(&address).await;
    assert!(page.texts("#delete .banner").join("").contains("objects and versions: 2"), "{}", page.text);
    let delete = format!("{address}/delete");
    assert_eq!(admin.submit(&page, &delete, &[("confirm", "costly")]).await.status, 400);
    assert_eq!(admin.submit(&page, &delete, &[("confirm", "alias/costly"), ("days", "3")]).await.status, 400);
    assert_eq!(node.node.status("/shared/one"), 200);
    let scheduled = admin.submit(&page, &delete, &[("confirm", "alias/costly"), ("days", "7")]).await;
    assert_eq!(scheduled.status, 303, "{}", scheduled.text);
    assert_eq!(node.node.status("/shared/one"), 400);
    let page = admin.get(&address).await;
    assert!(page.texts(".banner.bad").join("").contains("objects and versions: 2"), "{}", page.text);
    assert_eq!(admin.submit(&page, &format!("{address}/cancel"), &[]).await.status, 303);
    let page = admin.get(&address).await;
    assert_eq!(admin.submit(&page, &format!("{address}/enable"), &[]).await.status, 303);
    assert_eq!(node.node.status("/shared/one"), 200);
}

#[actix_rt::test]
async fn a_key_names_the_buckets_that_have_it_as_their_default() {
    let node = node();
    let admin = world::browser(&node, Role::Admin).await;
    let address = made(&admin, &[("alias", "photos")]).await;
    let id = address.rsplit('/').next().unwrap();
    let named = |page: &crate::browser::Shown| page.attributes("#about a", "href");
    assert!(named(&admin.get(&address).await).is_empty());
    for name in ["other", "third"] {
        let create = admin.get("/ui/buckets/create").await;
        assert_eq!(admin.submit(&create, "/ui/buckets", &[("name", name)]).await.status, 303);
    }
    for (bucket, key) in [("shared", id), ("other", "alias/photos"), ("third", "")] {
        let page = admin.get(&format!("/ui/buckets/{bucket}/properties")).await;
        let fields = [("algorithm", "aws:kms"), ("key", key)];
        let set = admin.submit(&page, &format!("/ui/buckets/{bucket}/encryption"), &fields).await;
        assert_eq!(set.status, 303, "{}", set.text);
    }
    let expected = ["other", "shared"].map(|bucket| format!("/ui/buckets/{bucket}/properties#encryption"));
    assert_eq!(named(&admin.get(&address).await), expected);
}

#[actix_rt::test]
async fn the_job_for_keys_is_started_told_and_ended() {
    let node = node();
    let admin = world::browser(&node, Role::Admin).await;
    let idle = || -> Value {
        let told = node.node.ask("GET", "/_myfsio/kms/reencrypt?wait=50", &[], b"");
        serde_json::from_str(&told.text()).unwrap()
    };
    let figure = |page: &Shown, name: &str| page.texts(&format!("#reencrypt [data-part={name}]")).join("");
    let headers = [("x-amz-server-side-encryption", "AES256")];
    assert_eq!(node.node.ask("PUT", "/shared/sealed", &headers, b"sealed").status, 200);
    let page = admin.get("/ui/kms").await;
    assert!(page.texts("#reencrypt .kind").is_empty(), "no job was at work yet: {}", page.text);
    let token = admin.token().await;
    let ended = admin.post("/ui/kms/reencrypt/stop", &[("csrf", &token)]).await;
    assert_eq!(ended.status, 400, "nothing is there to be ended: {}", ended.text);

    let (action, rewrite) = ("/ui/kms/reencrypt", [("how", "rewrite"), ("bucket", "shared")]);
    assert_eq!(admin.submit(&page, action, &[("bucket", "missing")]).await.status, 404);
    let begun = admin.submit(&page, action, &rewrite).await;
    assert_eq!((begun.status, begun.location()), (303, "/ui/kms"), "{}", begun.text);
    assert_eq!(idle()["state"], "done", "{}", idle());
    let page = admin.get("/ui/kms").await;
    assert_eq!(page.texts("#reencrypt .kind"), ["Write objects anew, with fresh data keys"]);
    assert!(page.texts("#reencrypt dl code").contains(&"shared".to_owned()), "{}", page.text);
    assert_eq!((figure(&page, "rewritten"), figure(&page, "failed")), ("1".to_owned(), "0".to_owned()));
    assert!(page.texts("#reencrypt h2").join("").contains("Done"), "{}", page.text);
    let live = admin.ask("GET", "/ui/kms", &[("accept", "application/json")], None).await;
    let told: Value = serde_json::from_str(&live.text).unwrap();
    let job = &told["jobs"][0];
    assert_eq!((&job["id"], &job["status"]), (&"reencrypt".into(), &"done".into()), "{told}");
    assert_eq!(job["rewritten"], "1", "{told}");

    assert_eq!(admin.submit(&page, action, &[]).await.status, 303);
    assert_eq!(idle()["order"]["rewrite"], false, "{}", idle());
    let page = admin.get("/ui/kms").await;
    assert_eq!(page.texts("#reencrypt .kind"), ["Wrap data keys anew"]);
    // Its data key is under the key in force already.
    assert_eq!((figure(&page, "current"), figure(&page, "rewrapped")), ("1".to_owned(), "0".to_owned()));
}

#[actix_rt::test]
async fn the_list_of_a_buckets_keys_has_their_names() {
    let node = node();
    let admin = world::browser(&node, Role::Admin).await;
    made(&admin, &[("alias", "photos")]).await;
    let page = admin.get("/ui/buckets/shared/properties").await;
    let options = page.texts("#encryption option");
    assert!(options.iter().any(|option| option.starts_with("alias/photos (")), "{options:?}");
    let reply = node.node.ask("GET", "/kms/aliases", &[], b"");
    let told: Value = serde_json::from_str(&reply.text()).unwrap();
    assert_eq!(told["Aliases"][0]["AliasName"], "alias/photos", "{told}");
}
