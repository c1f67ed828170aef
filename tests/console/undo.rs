//! What was just deleted or overwritten is taken back by one form.

use myfsio::console::route::Role;

use crate::browser::{Browser, ConsoleNode, Shown};
use crate::objects::upload;
use crate::support::ADMIN;
use crate::world;

const FORM: &str = "/ui/buckets/shared/undo";
const VERSIONING: &[u8] = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";

/// A node whose bucket keeps versions.
fn node() -> ConsoleNode {
    let node = world::node();
    assert_eq!(node.node.ask("PUT", "/shared?versioning", &[], VERSIONING).status, 200);
    node
}

fn body(node: &ConsoleNode, key: &str) -> String {
    node.node.ask("GET", &format!("/shared/{key}"), &[], b"").text()
}

/// How many versions and delete markers a key has.
fn versions(node: &ConsoleNode, key: &str) -> (usize, usize) {
    let told = node.node.ask("GET", &format!("/shared?versions&prefix={key}"), &[], b"").text();
    (told.matches("<Version>").count(), told.matches("<DeleteMarker>").count())
}

async fn delete(browser: &Browser, keys: &[&str]) -> Shown {
    let token = browser.token().await;
    let mut fields = vec![("confirmed", "1"), ("csrf", token.as_str())];
    fields.extend(keys.iter().map(|key| ("item", *key)));
    let gone = browser.post("/ui/buckets/shared/delete-objects", &fields).await;
    browser.get(gone.location()).await
}

/// The changes that a page offers to take back.
fn offered(page: &Shown) -> Vec<String> {
    page.attributes("#notices form.undo input[name=item]", "value")
}

/// Sends that form with all of its fields.
async fn send(browser: &Browser, page: &Shown) -> Shown {
    let mut fields = Vec::new();
    for name in ["csrf", "prefix", "whole", "item"] {
        let values = page.attributes(&format!("#notices form.undo input[name={name}]"), "value");
        fields.extend(values.into_iter().map(|value| (name, value)));
    }
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.post(FORM, &fields).await
}

async fn take_back(browser: &Browser, changes: &[String]) -> Shown {
    let token = browser.token().await;
    let mut fields = vec![("csrf", token.as_str()), ("prefix", "")];
    fields.extend(changes.iter().map(|change| ("item", change.as_str())));
    browser.post(FORM, &fields).await
}

#[actix_rt::test]
async fn a_delete_is_taken_back_by_removing_exactly_its_marker() {
    let node = node();
    node.node.put("/shared/a.txt", b"first");
    node.node.put("/shared/a.txt", b"second");
    // An older marker stays.
    assert_eq!(node.node.ask("DELETE", "/shared/a.txt", &[], b"").status, 204);
    node.node.put("/shared/a.txt", b"third");
    let writer = world::browser(&node, Role::Writer).await;
    let page = delete(&writer, &["a.txt"]).await;
    assert_eq!((offered(&page).len(), versions(&node, "a.txt")), (1, (3, 2)));
    let back = writer.submit(&page, FORM, &[]).await;
    assert_eq!((back.status, back.location()), (303, "/ui/buckets/shared/browse"), "{}", back.text);
    assert!(writer.get(back.location()).await.texts("#notices").join("").contains("a.txt is as it was before"));
    assert_eq!((body(&node, "a.txt").as_str(), versions(&node, "a.txt")), ("third", (3, 1)));
    // A second time there is nothing to take back, and nothing is done.
    let again = take_back(&writer, &offered(&page)).await;
    assert_eq!(again.status, 409);
    assert!(again.texts("main").join("").contains("a.txt was written or deleted again since"), "{}", again.text);
    assert_eq!(versions(&node, "a.txt"), (3, 1));
}

#[actix_rt::test]
async fn a_selection_comes_back_but_for_what_was_written_since() {
    let node = node();
    for key in ["one", "two", "three"] {
        node.node.put(&format!("/shared/{key}"), key.as_bytes());
    }
    let writer = world::browser(&node, Role::Writer).await;
    let page = delete(&writer, &["one", "two", "three"]).await;
    let changes = offered(&page);
    assert_eq!(changes.len(), 3);
    node.node.put("/shared/two", b"new");
    let back = take_back(&writer, &changes).await;
    let told = writer.get(back.location()).await.texts("#notices").join(" ");
    assert!(told.contains("2 objects are as they were") && told.contains("two was written"), "{told}");
    assert_eq!((body(&node, "one"), body(&node, "two")), ("one".to_owned(), "new".to_owned()));
    assert_eq!(versions(&node, "two"), (2, 1), "its marker stays, too");
}

#[actix_rt::test]
async fn an_overwrite_is_taken_back_by_a_copy_and_no_byte_is_lost() {
    let node = node();
    node.node.ask("PUT", "/shared/a.txt", &[("content-type", "text/x-first"), ("x-amz-meta-kind", "old")], b"first");
    let writer = world::browser(&node, Role::Writer).await;
    let sent = upload(&writer, "", "a.txt", "second").await;
    let page = writer.get(sent.location()).await;
    assert!(page.texts("#notices").join("").contains("What was there is kept"), "{}", page.text);
    let back = writer.submit(&page, FORM, &[]).await;
    assert_eq!(back.status, 303, "{}", back.text);
    let reply = node.node.ask("GET", "/shared/a.txt", &[], b"");
    assert_eq!((reply.text().as_str(), reply.header("x-amz-meta-kind")), ("first", Some("old")));
    assert_eq!(versions(&node, "a.txt"), (3, 0), "what was uploaded is a version");
    // A new key took the place of nothing; nor did one that was deleted before.
    let fresh = upload(&writer, "", "fresh.txt", "x").await;
    assert!(offered(&writer.get(fresh.location()).await).is_empty());
    delete(&writer, &["fresh.txt"]).await;
    let again = upload(&writer, "", "fresh.txt", "x").await;
    assert!(offered(&writer.get(again.location()).await).is_empty());
}

#[actix_rt::test]
async fn an_overwrite_that_was_overwritten_stays() {
    let node = node();
    node.node.put("/shared/a.txt", b"first");
    let writer = world::browser(&node, Role::Writer).await;
    let page = writer.get(upload(&writer, "", "a.txt", "second").await.location()).await;
    node.node.put("/shared/a.txt", b"third");
    let refused = writer.submit(&page, FORM, &[]).await;
    assert_eq!(refused.status, 409);
    assert_eq!((body(&node, "a.txt").as_str(), versions(&node, "a.txt")), ("third", (3, 0)));
}

#[actix_rt::test]
async fn a_scripts_uploads_are_taken_back_together() {
    let node = node();
    let writer = world::browser(&node, Role::Writer).await;
    let token = writer.token().await;
    let headers = [("x-csrf-token", token.as_str()), ("content-type", "application/octet-stream")];
    for key in ["in%2Fa", "in%2Fdeep%2Fb"] {
        node.node.put(&format!("/shared/{}", key.replace("%2F", "/")), b"old");
        let target = format!("/ui/buckets/shared/upload?key={key}");
        assert_eq!(writer.ask("PUT", &target, &headers, Some("new".to_owned())).await.status, 200);
    }
    let page = writer.get("/ui/buckets/shared/browse?prefix=in%2F").await;
    assert_eq!(page.attributes("form.undo input[name=prefix]", "value"), ["in/"]);
    assert!(page.texts("#notices").join("").contains("2 uploads took the place of objects"), "{}", page.text);
    assert_eq!(take_back(&writer, &offered(&page)).await.status, 303);
    assert_eq!((body(&node, "in/a"), body(&node, "in/deep/b")), ("old".to_owned(), "old".to_owned()));
}

#[actix_rt::test]
async fn a_restored_version_is_taken_back() {
    let node = node();
    node.node.put("/shared/a.txt", b"first");
    node.node.put("/shared/a.txt", b"second");
    let writer = world::browser(&node, Role::Writer).await;
    let page = writer.get("/ui/buckets/shared/object?key=a.txt").await;
    let done = writer.submit(&page, "/ui/buckets/shared/restore", &[]).await;
    assert_eq!(body(&node, "a.txt"), "first");
    let page = writer.get(done.location()).await;
    assert_eq!(writer.submit(&page, FORM, &[]).await.status, 303);
    assert_eq!(body(&node, "a.txt"), "second");
}

/// Moves `a.txt` by the form on its page; answers the page that follows.
async fn moved(browser: &Browser, target: &str) -> Shown {
    let page = browser.get("/ui/buckets/shared/object?key=a.txt").await;
    let fields = [("target", target), ("move", "1")];
    let done = browser.submit(&page, "/ui/buckets/shared/copy", &fields).await;
    assert_eq!(done.status, 303, "{}", done.text);
    browser.get(done.location()).await
}

#[actix_rt::test]
async fn a_move_is_taken_back_at_both_ends() {
    let node = node();
    node.node.put("/shared/a.txt", b"first");
    let writer = world::browser(&node, Role::Writer).await;
    let page = moved(&writer, "sub/b.txt").await;
    assert_eq!((offered(&page).len(), body(&node, "sub/b.txt").as_str()), (2, "first"));
    let back = send(&writer, &page).await;
    assert_eq!((back.status, back.location()), (303, "/ui/buckets/shared/browse"), "{}", back.text);
    let told = writer.get(back.location()).await.texts("#notices").join("");
    assert!(told.contains("a.txt is as it was before"), "{told}");
    assert_eq!((body(&node, "a.txt").as_str(), versions(&node, "a.txt")), ("first", (1, 0)));
    // No byte is lost: what the move made lies below a marker.
    assert_eq!((node.node.status("/shared/sub/b.txt"), versions(&node, "sub/b.txt")), (404, (1, 1)));
    // What was in its place comes back.
    node.node.put("/shared/there", b"old");
    let page = moved(&writer, "there").await;
    assert_eq!(send(&writer, &page).await.status, 303);
    assert_eq!((body(&node, "a.txt"), body(&node, "there")), ("first".to_owned(), "old".to_owned()));
    assert_eq!(versions(&node, "there"), (3, 0));
}

#[actix_rt::test]
async fn of_a_move_only_what_is_still_as_it_was_left_is_taken_back() {
    let node = node();
    node.node.put("/shared/a.txt", b"first");
    let writer = world::browser(&node, Role::Writer).await;
    // Another object is at its source: then what was moved is all there is of it.
    let page = moved(&writer, "b.txt").await;
    node.node.put("/shared/a.txt", b"second");
    assert_eq!(send(&writer, &page).await.status, 409);
    assert_eq!((body(&node, "a.txt"), body(&node, "b.txt")), ("second".to_owned(), "first".to_owned()));
    // Another object is at its target: it stays, and the source comes back.
    let page = moved(&writer, "c.txt").await;
    node.node.put("/shared/c.txt", b"third");
    let back = send(&writer, &page).await;
    let told = writer.get(back.location()).await.texts("#notices").join(" ");
    assert!(told.contains("a.txt is as it was before") && told.contains("c.txt was written"), "{told}");
    assert_eq!((body(&node, "a.txt"), body(&node, "c.txt")), ("second".to_owned(), "third".to_owned()));
    // Into another bucket there is no form for it.
    node.node.create_bucket("other");
    let admin = node.signed_in(ADMIN).await;
    let page = admin.get("/ui/buckets/shared/object?key=a.txt").await;
    let fields = [("target_bucket", "other"), ("target", "a.txt"), ("move", "1")];
    let done = admin.submit(&page, "/ui/buckets/shared/copy", &fields).await;
    assert_eq!(done.location(), "/ui/buckets/other/object?key=a.txt", "{}", done.text);
    assert!(offered(&admin.get(done.location()).await).is_empty());
}

#[actix_rt::test]
async fn nobody_takes_back_what_they_may_not_do() {
    let node = node();
    let admin = node.signed_in(ADMIN).await;
    let changes = offered(&delete(&admin, &["folder/a.txt"]).await);
    assert_eq!(changes.len(), 1);
    for role in [Role::Reader, Role::Replicator] {
        assert_eq!(take_back(&world::browser(&node, role).await, &changes).await.status, 403, "{role:?}");
    }
    assert_eq!(node.node.ask("HEAD", "/shared/folder/a.txt", &[], b"").status, 404);
    for wrong in ["", "made:00000000000000070000000000000009:k", "deleted:null:k"] {
        assert_eq!(take_back(&admin, &[wrong.to_owned()]).await.status, 400, "{wrong}");
    }
}

#[actix_rt::test]
async fn without_versions_nothing_is_offered() {
    let node = world::node();
    node.node.put("/shared/a.txt", b"first");
    let writer = world::browser(&node, Role::Writer).await;
    let sent = upload(&writer, "", "a.txt", "second").await;
    assert!(offered(&writer.get(sent.location()).await).is_empty());
    assert!(offered(&delete(&writer, &["a.txt"]).await).is_empty());
}
