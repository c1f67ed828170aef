//! New buckets, with what is set from their beginning.

use myfsio::console::route::Role;
use serde_json::json;

use crate::browser::{Browser, ConsoleNode, Shown};
use crate::world;

const PAGE: &str = "/ui/buckets/create";

async fn create(browser: &Browser, fields: &[(&str, &str)]) -> Shown {
    let page = browser.get(PAGE).await;
    browser.submit(&page, "/ui/buckets", fields).await
}

fn told(node: &ConsoleNode, target: &str) -> String {
    node.node.ask("GET", target, &[], b"").text()
}

#[actix_rt::test]
async fn with_all_that_can_be_set() {
    let node = world::node_with(&[("ENCRYPTION_ENABLED", "true")]);
    let admin = world::browser(&node, Role::Admin).await;
    let page = admin.get(PAGE).await;
    assert!(page.texts("main .pairs").join("").contains("us-east-1"), "the region is shown");
    assert_eq!(page.texts("#name-rules li").len(), 5, "rules can be read without scripts");
    let fields = [
        ("name", "photos"),
        ("versioning", "on"),
        ("algorithm", "AES256"),
        ("max_mb", "3"),
        ("max_objects", "10"),
        ("tags", "team=a b\nempty\n"),
    ];
    let made = create(&admin, &fields).await;
    assert_eq!((made.status, made.location()), (303, "/ui/buckets/photos/browse"), "{}", made.text);
    assert!(told(&node, "/photos?versioning").contains("<Status>Enabled</Status>"));
    assert!(told(&node, "/photos?encryption").contains("<SSEAlgorithm>AES256</SSEAlgorithm>"));
    let quota = told(&node, "/photos?quota");
    assert!(quota.contains("3145728") && quota.contains("\"max_objects\":10"), "{quota}");
    let tags = told(&node, "/photos?tagging");
    assert!(tags.contains("<Value>a b</Value>") && tags.contains("<Key>empty</Key>"), "{tags}");
}

#[actix_rt::test]
async fn with_a_lock_and_a_default_retention() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let fields = [("name", "locked"), ("lock", "on"), ("mode", "GOVERNANCE"), ("period", "2"), ("unit", "Years")];
    assert_eq!(create(&admin, &fields).await.status, 303);
    let lock = told(&node, "/locked?object-lock");
    assert!(lock.contains("<Mode>GOVERNANCE</Mode><Years>2</Years>"), "{lock}");
    assert!(told(&node, "/locked?versioning").contains("Enabled"));
}

#[actix_rt::test]
async fn what_the_form_says_wrongly_creates_nothing() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    for wrong in [
        &[("mode", "GOVERNANCE"), ("period", "2")][..],
        &[("lock", "on"), ("mode", "GOVERNANCE")],
        &[("max_mb", "many")],
        &[("tags", "aws:own=1")],
    ] {
        let fields: Vec<_> = [("name", "fresh")].into_iter().chain(wrong.iter().copied()).collect();
        assert_eq!(create(&admin, &fields).await.status, 400, "{wrong:?}");
        assert_eq!(node.node.ask("HEAD", "/fresh", &[], b"").status, 404, "{wrong:?}");
    }
}

#[actix_rt::test]
async fn a_step_that_is_refused_removes_the_new_bucket() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let fields = [("name", "fresh"), ("lock", "on"), ("mode", "GOVERNANCE"), ("period", "0"), ("max_mb", "1")];
    let refused = create(&admin, &fields).await;
    let text = refused.texts("main").join("");
    assert_eq!(refused.status, 400, "{text}");
    assert!(text.contains("Object Lock could not be set") && text.contains("removed again"), "{text}");
    assert_eq!(node.node.ask("HEAD", "/fresh", &[], b"").status, 404);
}

#[actix_rt::test]
async fn what_cannot_be_removed_is_told_exactly() {
    let node = world::node_with(&[("ENCRYPTION_ENABLED", "true")]);
    node.node.add_users(&[json!({
        "access_key": "maker", "secret_key": "maker-secret", "display_name": "maker",
        "policies": [{ "PolicyName": "own", "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": "s3:*", "Resource": "*" },
            { "Effect": "Deny", "Action": ["s3:DeleteBucket", "s3:PutEncryptionConfiguration"], "Resource": "*" },
        ] }],
    })]);
    let maker = node.signed_in(("maker", "maker-secret")).await;
    let refused = create(&maker, &[("name", "made"), ("versioning", "on"), ("algorithm", "AES256")]).await;
    let text = refused.texts("main").join("");
    assert_eq!(refused.status, 403, "{text}");
    assert!(text.contains("Default encryption could not be set"), "{text}");
    assert!(
        text.contains("made was created and could not be removed again") && text.contains("Set of it: Versioning."),
        "{text}"
    );
    assert!(told(&node, "/made?versioning").contains("Enabled"));
}

#[actix_rt::test]
async fn what_is_there_stays_as_it_is() {
    let node = world::node();
    node.node.create_bucket("mine");
    let admin = world::browser(&node, Role::Admin).await;
    let again = create(&admin, &[("name", "mine"), ("versioning", "on"), ("max_mb", "1")]).await;
    assert_eq!(again.status, 409);
    assert!(again.texts("main").join("").contains("mine is there already"), "{}", again.text);
    assert_eq!(node.node.ask("HEAD", "/mine", &[], b"").status, 200);
    assert!(!told(&node, "/mine?versioning").contains("Enabled") && !told(&node, "/mine?quota").contains("1048576"));
}

#[actix_rt::test]
async fn who_may_not_is_told_so() {
    let node = world::node();
    let reader = world::browser(&node, Role::Reader).await;
    let page = reader.get(PAGE).await;
    assert!(page.text.contains("You may not create buckets") && page.texts("#create").is_empty());
    let token = reader.token().await;
    assert_eq!(reader.post("/ui/buckets", &[("name", "fresh"), ("csrf", &token)]).await.status, 403);
}
