//! Forms for public access, lists, rules for other origins, and events.

use myfsio::console::route::Role;
use serde_json::json;

use crate::names::HOSTILE;
use crate::support::ADMIN;
use crate::world;

#[actix_rt::test]
async fn switches_hold_and_say_when_a_bucket_is_public() {
    let node = world::node();
    let admin = node.signed_in(ADMIN).await;
    let address = "/ui/buckets/shared/access";
    let page = admin.get(address).await;
    assert!(page.text.contains("Neither policy nor list"));
    assert_eq!(page.attributes("#block input[type=checkbox]", "name").len(), 4);
    let public = json!({ "preset": "public" }).to_string();
    assert_eq!(node.node.ask("PUT", "/_myfsio/buckets/shared/policy", &[], public.as_bytes()).status, 200);
    let page = admin.get(address).await;
    assert!(page.texts("#public").join("").contains("by its policy"), "{}", page.text);
    assert_eq!(node.node.ask_as(None, "GET", "/shared/folder/a.txt", &[], b"").status, 200);
    let block = format!("{address}/block");
    let on = [("RestrictPublicBuckets", "true"), ("do", "save")];
    assert_eq!(admin.submit(&page, &block, &on).await.status, 303);
    assert_eq!(node.node.ask_as(None, "GET", "/shared/folder/a.txt", &[], b"").status, 403);
    assert_eq!(admin.submit(&page, &block, &on).await.status, 409, "it is another setting now");
    let page = admin.get(address).await;
    assert_eq!(page.attributes("#block input[checked]", "name"), ["RestrictPublicBuckets"]);
    assert_eq!(admin.submit(&page, &block, &[("do", "remove")]).await.status, 303);
    assert_eq!(node.node.ask_as(None, "GET", "/shared/folder/a.txt", &[], b"").status, 200);
}

#[actix_rt::test]
async fn grants_come_and_go_and_ownership_turns_them_off() {
    let node = world::node();
    let admin = node.signed_in(ADMIN).await;
    let address = "/ui/buckets/shared/access";
    let page = admin.get(address).await;
    assert_eq!(page.texts("#list tbody tr").len(), 1);
    let grant = format!("{address}/grant");
    let everybody = [("kind", "all"), ("permission", "READ")];
    assert_eq!(admin.submit(&page, &grant, &everybody).await.status, 303);
    assert_eq!(node.node.ask_as(None, "GET", "/shared", &[], b"").status, 200);
    let page = admin.get(address).await;
    assert!(page.texts("#public").join("").contains("by its access control list"), "{}", page.text);
    for who in ["nobody", "\"><img src=x onerror=alert(1)>", ""] {
        let refused = admin.submit(&page, &grant, &[("kind", "user"), ("who", who), ("permission", "READ")]).await;
        assert_eq!(refused.status, 400, "{who}");
        assert!(refused.attributes("main img", "src").is_empty());
    }
    let revoke = format!("{address}/revoke");
    let at = page.texts("#list tbody tr").iter().position(|row| row.starts_with("Everybody Public")).unwrap();
    assert_eq!(admin.submit(&page, &revoke, &[("at", &at.to_string())]).await.status, 303);
    assert_eq!(node.node.ask_as(None, "GET", "/shared", &[], b"").status, 403);
    let page = admin.get(address).await;
    let ownership = format!("{address}/ownership");
    assert_eq!(admin.submit(&page, &ownership, &[("ownership", "BucketOwnerEnforced")]).await.status, 303);
    let page = admin.get(address).await;
    assert!(page.text.contains("this list does not count") && !page.text.contains("Add a grant"));
    assert_eq!(admin.submit(&page, &ownership, &[("ownership", "")]).await.status, 303);
    let reader = world::browser(&node, Role::Reader).await;
    assert_eq!(reader.get(address).await.status, 403);
    assert_eq!(reader.post(&grant, &everybody).await.status, 403, "no token");
}

#[actix_rt::test]
async fn rules_for_other_origins_are_added_tried_and_removed() {
    let node = world::node();
    let admin = node.signed_in(ADMIN).await;
    let address = "/ui/buckets/shared/cors";
    let page = admin.get(address).await;
    let fields = [
        ("id", "app"),
        ("origins", "https://*.example.com\nhttps://b.test"),
        ("method", "GET"),
        ("headers", "content-*"),
        ("exposes", "ETag"),
        ("max_age", "60"),
    ];
    assert_eq!(admin.submit(&page, address, &fields).await.status, 303);
    let asked = [("origin", "https://a.example.com"), ("access-control-request-method", "GET")];
    let reply = node.node.ask_as(None, "OPTIONS", "/shared/folder/a.txt", &asked, b"");
    assert_eq!((reply.status, reply.header("access-control-max-age")), (200, Some("60")));
    let tried =
        admin.get(&format!("{address}?origin=https%3A%2F%2Fa.example.com&method=GET&headers=content-type")).await;
    assert!(tried.texts("#try .banner").join("").contains("Allowed, by rule app"), "{}", tried.text);
    let tried = admin.get(&format!("{address}?origin=https%3A%2F%2Fevil.test&method=GET")).await;
    assert!(tried.texts("#try .banner").join("").contains("Refused"));
    let page = admin.get(address).await;
    assert_eq!(admin.submit(&page, address, &[("origins", "*"), ("method", "PUT")]).await.status, 303);
    assert_eq!(admin.get(address).await.texts("tbody tr").len(), 2);
    for hostile in HOSTILE {
        let page = admin.get(address).await;
        let answer = admin.submit(&page, address, &[("origins", hostile), ("id", hostile), ("method", "GET")]).await;
        assert!(matches!(answer.status, 303 | 400), "{hostile}: {}", answer.status);
        let page = admin.get(address).await;
        assert!(page.attributes("main img", "src").is_empty(), "{hostile}");
    }
    let page = admin.get(address).await;
    let count = page.texts("section:first-of-type tbody tr").len();
    for _ in 0..count {
        let page = admin.get(address).await;
        assert_eq!(admin.submit(&page, &format!("{address}/remove"), &[("at", "0")]).await.status, 303);
    }
    assert_eq!(node.node.ask("GET", "/shared?cors", &[], b"").status, 404);
    let page = admin.get(address).await;
    assert_eq!(admin.submit(&page, address, &[("origins", ""), ("method", "GET")]).await.status, 400);
}

#[actix_rt::test]
async fn targets_of_events_are_added_and_removed() {
    let node = world::node();
    let admin = node.signed_in(ADMIN).await;
    let address = "/ui/buckets/shared/notifications";
    let page = admin.get(address).await;
    let refused = admin.submit(&page, address, &[("arn", ""), ("event", "s3:ObjectCreated:*")]).await;
    assert_eq!(refused.status, 400);
    let fields =
        [("id", "up"), ("arn", "arn:minio:sqs::uploads:webhook"), ("event", "s3:ObjectCreated:*"), ("prefix", "in/")];
    assert_eq!(admin.submit(&page, address, &fields).await.status, 400, "no webhook has this name");
    let fields: Vec<_> = fields.into_iter().chain([("untested", "1")]).collect();
    let added = admin.submit(&page, address, &fields).await;
    assert_eq!(added.status, 303, "{}", added.text);
    let page = admin.get(address).await;
    let row = page.texts("tbody tr").join("");
    assert!(row.contains("up Queue") && row.contains("s3:ObjectCreated:*") && row.contains("in/…"), "{row}");
    assert!(node.node.ask("GET", "/shared?notification", &[], b"").text().contains("<Id>up</Id>"));
    assert_eq!(admin.submit(&page, &format!("{address}/remove"), &[]).await.status, 303);
    assert!(admin.get(address).await.text.contains("Nobody is told"));
}
