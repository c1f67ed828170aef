//! Two versions of an object side by side.

use myfsio::console::route::Role;

use crate::browser::{Browser, ConsoleNode, Shown};
use crate::support::ADMIN;
use crate::world;

/// A bucket that keeps versions; answers the ids of two, the older one first.
fn two_versions(
    node: &ConsoleNode,
    key: &str,
    first: (&[(&str, &str)], &[u8]),
    second: (&[(&str, &str)], &[u8]),
) -> [String; 2] {
    let versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assert_eq!(node.node.ask("PUT", "/shared?versioning", &[], versioning).status, 200);
    [first, second].map(|(headers, body)| {
        let put = node.node.ask("PUT", &format!("/shared/{key}"), headers, body);
        put.header("x-amz-version-id").expect("a version").to_owned()
    })
}

async fn compare(browser: &Browser, key: &str, [left, right]: &[String; 2]) -> Shown {
    browser.get(&format!("/ui/buckets/shared/compare?key={key}&version={left}&other={right}")).await
}

/// Names of facts on the page, and both values.
fn facts(page: &Shown, within: &str) -> Vec<(String, String, String)> {
    let names = page.texts(&format!("{within} .sides-table tbody th"));
    let values = page.texts(&format!("{within} .sides-table tbody td"));
    let pairs = values.chunks(2);
    names.into_iter().zip(pairs).map(|(name, pair)| (name, pair[0].clone(), pair[1].clone())).collect()
}

#[actix_rt::test]
async fn what_differs_is_shown() {
    let node = world::node();
    let first = [("content-type", "text/plain"), ("x-amz-meta-a", "1"), ("x-amz-tagging", "stage=draft")];
    let second = [("content-type", "text/plain"), ("cache-control", "no-cache"), ("x-amz-tagging", "stage=done")];
    let ids = two_versions(&node, "note", (&first, b"one\ntwo\nthree\n"), (&second, b"one\n2\nthree\n<b>four"));
    let admin = node.signed_in(ADMIN).await;
    let page = admin.get("/ui/buckets/shared/object?key=note").await;
    let linked = page.attributes("a[href*='/compare?']", "href");
    assert_eq!(linked.len(), 1, "the older one is compared with the current one");
    let page = admin.get(&linked[0]).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let differing = facts(&page, "main section:first-of-type > .table-frame");
    let of = |name: &str| differing.iter().find(|(found, ..)| found == name).map(|(_, l, r)| (l.as_str(), r.as_str()));
    assert_eq!(of("x-amz-meta-a"), Some(("1", "")));
    assert_eq!(of("Cache-Control"), Some(("", "no-cache")));
    assert_eq!(of("Tags: stage"), Some(("draft", "done")));
    assert!(of("ETag").is_some() && of("Size").is_some() && of("Content type").is_none());
    let same = facts(&page, "main details");
    assert!(same.iter().any(|(name, left, _)| name == "Content type" && left == "text/plain"), "{same:?}");
    let lines: Vec<_> = page.texts(".diff tbody td code");
    assert_eq!(lines, ["one", "two", "2", "three", "<b>four"]);
    assert_eq!(page.texts(".diff .removed code"), ["two"]);
    assert_eq!(page.texts(".diff .added code"), ["2", "<b>four"]);
    assert_eq!(page.texts(".diff .removed .sr"), ["removed"]);
    let turned = [ids[1].clone(), ids[0].clone()];
    assert_eq!(compare(&admin, "note", &turned).await.texts(".diff .added code"), ["two"]);
    let itself = compare(&admin, "note", &[ids[0].clone(), ids[0].clone()]).await;
    assert!(
        itself.text.contains("Nothing that is told of them differs") && itself.text.contains("The bytes are the same")
    );
}

#[actix_rt::test]
async fn long_texts_and_others_are_not_compared_by_lines() {
    let node = world::node();
    let admin = node.signed_in(ADMIN).await;
    let long = "x\n".repeat(200 * 1024);
    let ids = two_versions(&node, "long.txt", (&[], long.as_bytes()), (&[], b"x"));
    let page = compare(&admin, "long.txt", &ids).await;
    assert!(page.text.contains("more than 256 KiB") && page.texts(".diff").is_empty());
    let (one, other): (String, String) = (0..600).map(|at| (format!("a{at}\n"), format!("b{at}\n"))).unzip();
    let ids = two_versions(&node, "far.txt", (&[], one.as_bytes()), (&[], other.as_bytes()));
    assert!(compare(&admin, "far.txt", &ids).await.text.contains("So much differs"));
    let ids = two_versions(&node, "x.bin", (&[], b"a"), (&[], b"b"));
    let page = compare(&admin, "x.bin", &ids).await;
    assert!(page.status == 200 && page.texts(".diff").is_empty());
}

#[actix_rt::test]
async fn who_may_not_read_a_version_sees_nothing_of_it() {
    let node = world::node();
    let ids = two_versions(&node, "folder/a.txt", (&[], b"secret"), (&[], b"open"));
    let deny = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObjectVersion","Resource":"arn:aws:s3:::shared/*"}]}"#;
    assert_eq!(node.node.ask("PUT", "/shared?policy", &[], deny.as_bytes()).status, 204);
    let reader = world::browser(&node, Role::Reader).await;
    let page = compare(&reader, "folder%2Fa.txt", &ids).await;
    assert!(page.status == 403 && !page.text.contains("secret"), "{}", page.status);
    let wrong = reader.get("/ui/buckets/shared/compare?key=folder%2Fa.txt").await;
    assert_eq!(wrong.status, 400);
}
