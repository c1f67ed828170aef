//! Links for others are tried without doing what they are for.

use myfsio::console::route::Role;

use crate::browser::{Browser, Shown};
use crate::support::ADMIN;
use crate::world;

const PAGE: &str = "/ui/buckets/shared/object?key=folder%2Fa.txt";
const TRY: &str = "/ui/buckets/shared/try-link";

async fn link(browser: &Browser, method: &str, expires: &str) -> Shown {
    let page = browser.get(PAGE).await;
    let made = browser.submit(&page, "/ui/buckets/shared/presign", &[("method", method), ("expires", expires)]).await;
    assert_eq!(made.status, 200, "{}", made.text);
    made
}

/// What the page says of a link: good or bad, and why.
fn verdict(shown: &Shown) -> (String, String) {
    assert_eq!(shown.status, 200, "{}", shown.text);
    (shown.attributes(".signed .banner", "class").join(""), shown.texts(".signed .banner").join(""))
}

#[actix_rt::test]
async fn good_links_are_good_and_nothing_happens() {
    let node = world::node();
    let writer = world::browser(&node, Role::Writer).await;
    for method in ["GET", "PUT", "DELETE"] {
        let made = link(&writer, method, "60").await;
        let tried = writer.submit(&made, TRY, &[]).await;
        assert_eq!(verdict(&tried), ("banner good".to_owned(), "The node would accept this link now.".to_owned()));
        assert_eq!(tried.header("content-encoding"), "identity");
        assert_eq!(tried.texts("#signed-url"), made.texts("#signed-url"), "the link is still there");
    }
    assert_eq!(node.node.ask("GET", "/shared/folder/a.txt", &[], b"").body, b"text");
}

#[actix_rt::test]
async fn refused_links_say_why() {
    let node = world::node();
    let writer = world::browser(&node, Role::Writer).await;
    let made = link(&writer, "GET", "60").await;
    let url = made.texts("#signed-url").remove(0);
    let tried = async |url: &str| verdict(&writer.submit(&made, TRY, &[("url", url)]).await);
    let (tone, why) = tried(&url.replace("X-Amz-Signature=", "X-Amz-Signature=0")).await;
    assert!(tone.ends_with("bad") && why.contains("(SignatureDoesNotMatch)"), "{why}");
    let (_, why) = tried(&url.replace("127.0.0.1", "other.test")).await;
    assert!(why.contains("(SignatureDoesNotMatch)"), "the host is signed: {why}");
    let (_, why) = tried(&url.replace("X-Amz-Date=202", "X-Amz-Date=201")).await;
    assert!(why.contains("refuse this link"), "{why}");
    let other = writer.submit(&made, TRY, &[("method", "DELETE")]).await;
    assert!(verdict(&other).1.contains("(SignatureDoesNotMatch)"), "a link is for one method");
    for wrong in ["x", "http://127.0.0.1/shared/other?X-Amz-Signature=0"] {
        assert_eq!(writer.submit(&made, TRY, &[("url", wrong)]).await.status, 400, "{wrong}");
    }
    let (_, why) = tried(&url.replace("folder/a.txt", "folder/b.txt")).await;
    assert!(why.contains("no presigned link of this object"), "{why}");
    // What the signer may do is asked anew.
    let deny = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::shared/folder/*","Condition":{"StringEquals":{"s3:authType":"REST-QUERY-STRING"}}}]}"#;
    assert_eq!(node.node.ask("PUT", "/shared?policy", &[], deny.as_bytes()).status, 204);
    let (_, why) = tried(&url).await;
    assert!(why.contains("(AccessDenied)"), "{why}");
    assert_eq!(node.node.ask("DELETE", "/shared?policy", &[], b"").status, 204);
    assert!(tried(&url).await.0.ends_with("good"));
}

#[actix_rt::test]
async fn a_link_to_nothing_says_so() {
    let node = world::node();
    node.node.put("/shared/gone", b"x");
    let admin = node.signed_in(ADMIN).await;
    let page = admin.get("/ui/buckets/shared/object?key=gone").await;
    let made = admin.submit(&page, "/ui/buckets/shared/presign", &[("expires", "60")]).await;
    let mut fields = made.form(TRY);
    assert_eq!(node.node.ask("DELETE", "/shared/gone", &[], b"").status, 204);
    let url = fields.remove("url").unwrap();
    let tried = admin.submit(&made, TRY, &[("url", &url)]).await;
    assert_eq!(tried.status, 404, "the page of an object that is gone is not there");
}
