//! Changes that others would make in somebody's name.

use myfsio::console::route::{Body, Role, rows};

use crate::support::ADMIN;
use crate::world;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[actix_rt::test]
async fn nothing_changes_without_the_token_of_the_session() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let other = world::browser(&node, Role::Writer).await.token().await;
    for row in rows().filter(|row| row.method != "GET" && !row.is_open()) {
        let path = row.path.replace("{bucket}", "shared").replace(['{', '}'], "");
        for token in ["", "x", other.as_str()] {
            let kind = if row.body == Body::Form { FORM } else { ("content-type", "application/octet-stream") };
            let mut headers = vec![kind];
            if !token.is_empty() {
                headers.push(("x-csrf-token", token));
            }
            let shown = admin.ask(row.method, &path, &headers, Some(row.sample.to_owned())).await;
            // A form with files is judged by its first field, which is none here.
            let is_refused = shown.status == 403 || (row.body == Body::Files && shown.status == 400);
            assert!(is_refused, "{} with {token:?}: {}", row.path, shown.status);
        }
    }
    assert_eq!(node.node.status("/shared/folder/a.txt"), 200);
}

#[actix_rt::test]
async fn a_page_of_the_same_site_but_another_origin_changes_nothing() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let token = admin.token().await;
    let body = Some("name=forged".to_owned());
    for evidence in [
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "cross-site"),
        ("origin", "http://evil.example"),
        ("origin", "null"),
        // The API of the very host serves what users stored.
        ("origin", node.node.endpoint().as_str()),
    ] {
        let shown = admin.ask("POST", "/ui/buckets", &[FORM, ("x-csrf-token", &token), evidence], body.clone()).await;
        assert_eq!(shown.status, 403, "{evidence:?}");
    }
    let plain = [("content-type", "text/plain"), ("x-csrf-token", token.as_str())];
    assert_eq!(admin.ask("POST", "/ui/buckets", &plain, body.clone()).await.status, 403, "a form of plain text");
    let own = [FORM, ("x-csrf-token", &token), ("sec-fetch-site", "same-origin"), ("origin", node.console.as_str())];
    assert_eq!(admin.ask("POST", "/ui/buckets", &own, body).await.status, 303);
}

#[actix_rt::test]
async fn nobody_is_made_to_sign_in_as_somebody_else() {
    let node = world::node();
    let browser = node.browser();
    let fields = [("access_key", ADMIN.0), ("secret_key", ADMIN.1)];
    assert_eq!(browser.post("/ui/login", &fields).await.status, 403, "without the form's token");
    let elsewhere = node.browser().get("/ui/login").await.form("/ui/login").remove("csrf").unwrap();
    let fields = [fields[0], fields[1], ("csrf", elsewhere.as_str())];
    browser.get("/ui/login").await;
    assert_eq!(browser.post("/ui/login", &fields).await.status, 403, "with another browser's");
}

#[actix_rt::test]
async fn the_api_does_not_know_sessions() {
    let node = world::node();
    let browser = node.browser();
    let entered = browser.sign_in(ADMIN.0, ADMIN.1).await;
    let cookie = entered.header("set-cookie").split(';').next().unwrap().to_owned();
    let reply = node.node.ask_as(None, "GET", "/shared", &[("Cookie", &cookie)], b"");
    assert_eq!((reply.status, reply.code().as_str()), (403, "AccessDenied"));
}
