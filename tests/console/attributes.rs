//! Other headers and metadata for an object that is there.

use myfsio::console::route::Role;

use crate::browser::{Browser, Shown};
use crate::support::ADMIN;
use crate::world;

const SAVE: &str = "/ui/buckets/shared/headers";

async fn object(browser: &Browser, key: &str) -> Shown {
    browser.get(&format!("/ui/buckets/shared/object?key={key}")).await
}

#[actix_rt::test]
async fn headers_change_and_the_rest_stays() {
    let node = world::node_with(&[("ENCRYPTION_ENABLED", "true")]);
    let headers = [
        ("content-type", "text/html"),
        ("cache-control", "no-cache"),
        ("x-amz-meta-old", "1"),
        ("x-amz-tagging", "stage=draft"),
        ("x-amz-acl", "public-read"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
    ];
    let put = node.node.ask("PUT", "/shared/note", &headers, b"hello");
    assert_eq!(put.status, 200, "{}", put.text());
    let admin = node.signed_in(ADMIN).await;
    let page = object(&admin, "note").await;
    let form = page.form(SAVE);
    assert_eq!((form["Content-Type"].as_str(), form["Cache-Control"].as_str()), ("text/html", "no-cache"));
    assert_eq!(form["metadata"], "old=1");
    let fields = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Cache-Control", ""),
        ("Content-Disposition", "attachment; filename=\"n.txt\""),
        ("Content-Language", "de"),
        ("Expires", "Wed, 21 Oct 2026 07:28:00 GMT"),
        ("metadata", "New=ä=b\nflag"),
    ];
    let saved = admin.submit(&page, SAVE, &fields).await;
    assert_eq!((saved.status, saved.location()), (303, "/ui/buckets/shared/object?key=note"), "{}", saved.text);
    let now = node.node.ask("GET", "/shared/note", &[("x-amz-checksum-mode", "ENABLED")], b"");
    assert_eq!(now.body, b"hello");
    for (name, value) in [
        ("content-type", "text/plain; charset=utf-8"),
        ("content-disposition", "attachment; filename=\"n.txt\""),
        ("content-language", "de"),
        ("expires", "Wed, 21 Oct 2026 07:28:00 GMT"),
        ("x-amz-meta-flag", ""),
        ("x-amz-tagging-count", "1"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
    ] {
        assert_eq!(now.header(name), Some(value), "{name}");
    }
    assert_eq!((now.header("cache-control"), now.header("x-amz-meta-old")), (None, None));
    assert_eq!(node.node.ask_as(None, "GET", "/shared/note", &[], b"").status, 200, "everybody may still read it");
    let page = object(&admin, "note").await;
    assert!(page.text.contains("The headers are saved."));
    assert_eq!(page.form(SAVE)["metadata"], "flag=\nnew=ä=b");
}

#[actix_rt::test]
async fn nobody_overwrites_what_they_have_not_seen() {
    let node = world::node();
    let versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assert_eq!(node.node.ask("PUT", "/shared?versioning", &[], versioning).status, 200);
    node.node.put("/shared/note", b"hello");
    let writer = world::browser(&node, Role::Writer).await;
    let page = object(&writer, "note").await;
    assert_eq!(writer.submit(&page, SAVE, &[("Content-Language", "de")]).await.status, 303);
    // The bytes are the same, and so is the ETag; somebody else has been there all the same.
    let late = writer.submit(&page, SAVE, &[("Content-Language", "fr")]).await;
    assert_eq!(late.status, 409, "{}", late.text);
    assert!(late.text.contains("Somebody has changed this"));
    assert_eq!(node.node.ask("HEAD", "/shared/note", &[], b"").header("content-language"), Some("de"));
    let versions = node.node.ask("GET", "/shared?versions&prefix=note", &[], b"").text();
    assert_eq!(versions.matches("<Version>").count(), 2, "what was there is an older version: {versions}");
    let wrong = writer.submit(&page, SAVE, &[("metadata", "a b=c")]).await;
    assert!(wrong.status == 400 && wrong.text.contains("is no name for metadata"), "{}", wrong.text);
}

#[actix_rt::test]
async fn a_lock_stays_and_who_may_only_read_is_refused() {
    let node = world::node();
    let lock = [("x-amz-bucket-object-lock-enabled", "true")];
    assert_eq!(node.node.ask("PUT", "/locked", &lock, b"").status, 200);
    let hold = [("x-amz-object-lock-legal-hold", "ON"), ("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")];
    assert_eq!(node.node.ask("PUT", "/locked/note", &hold, b"hello").status, 200);
    let admin = node.signed_in(ADMIN).await;
    let page = admin.get("/ui/buckets/locked/object?key=note").await;
    let saved = admin.submit(&page, "/ui/buckets/locked/headers", &[("Content-Language", "de")]).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let now = node.node.ask("HEAD", "/locked/note", &[], b"");
    assert_eq!((now.header("content-language"), now.header("x-amz-object-lock-legal-hold")), (Some("de"), Some("ON")));
    let reader = world::browser(&node, Role::Reader).await;
    let page = object(&reader, "folder%2Fa.txt").await;
    assert!(page.attributes("form[action$=headers]", "action").is_empty());
    let token = reader.token().await;
    let fields = [("key", "folder/a.txt"), ("Content-Type", "x/y"), ("seen", ""), ("csrf", token.as_str())];
    assert_eq!(reader.post(SAVE, &fields).await.status, 403);
}

#[actix_rt::test]
async fn tags_and_locks_of_a_stale_form_change_nothing() {
    let node = world::node();
    let lock = [("x-amz-bucket-object-lock-enabled", "true")];
    assert_eq!(node.node.ask("PUT", "/locked", &lock, b"").status, 200);
    let md5 = [("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")];
    assert_eq!(node.node.ask("PUT", "/locked/note", &md5, b"hello").status, 200);
    let admin = node.signed_in(ADMIN).await;
    let (tags, lock) = ("/ui/buckets/locked/tags", "/ui/buckets/locked/lock");
    let old = admin.get("/ui/buckets/locked/object?key=note").await;
    assert_eq!(admin.submit(&old, tags, &[("tags", "by=one")]).await.status, 303);
    let late = admin.submit(&old, tags, &[("tags", "by=two")]).await;
    assert!(late.status == 409 && late.text.contains("Somebody has changed this"), "{}", late.text);
    let told = node.node.ask("GET", "/locked/note?tagging", &[], b"").text();
    assert!(told.contains("<Value>one</Value>") && !told.contains("two"), "{told}");
    // The first form that goes there is that of the legal hold. What was tagged does not concern it.
    let held = admin.submit(&old, lock, &[]).await;
    assert_eq!(held.status, 303, "{}", held.text);
    assert_eq!(admin.submit(&old, lock, &[("hold", "off")]).await.status, 409);
    let held = node.node.ask("GET", "/locked/note?legal-hold", &[], b"").text();
    assert!(held.contains("<Status>ON</Status>"), "{held}");
    // Nor does the hold concern the retention.
    let marks = old.attributes("form[action$=lock] input[name=revision]", "value");
    let token = admin.token().await;
    for (until, status) in [("2099-01-01T00:00", 303), ("2098-01-01T00:00", 409)] {
        let fields = [
            ("key", "note"),
            ("mode", "GOVERNANCE"),
            ("until", until),
            ("revision", marks[1].as_str()),
            ("csrf", token.as_str()),
        ];
        let set = admin.post(lock, &fields).await;
        assert_eq!(set.status, status, "{until}: {}", set.text);
    }
    let told = node.node.ask("GET", "/locked/note?retention", &[], b"").text();
    assert!(told.contains("2099-01-01"), "{told}");
    // Governance is lifted by a form of its own.
    let shown = admin.get("/ui/buckets/locked/object?key=note").await;
    let current = shown.attributes(".lift [name=revision]", "value").remove(0);
    for (mark, status) in [(&marks[1], 409), (&current, 303)] {
        let fields = [("key", "note"), ("bypass", "1"), ("revision", mark.as_str()), ("csrf", token.as_str())];
        let lifted = admin.post(lock, &fields).await;
        assert_eq!(lifted.status, status, "{}", lifted.text);
    }
    let told = node.node.ask("GET", "/locked/note?retention", &[], b"").text();
    assert!(!told.contains("2099-01-01"), "{told}");
    let shown = admin.get("/ui/buckets/locked/object?key=note").await;
    assert!(shown.attributes(".lift button", "class").is_empty(), "there is nothing to lift: {}", shown.text);
    // Another object under the key is one that nobody has seen.
    let seen = admin.get("/ui/buckets/locked/object?key=note").await;
    assert_eq!(node.node.ask("PUT", "/locked/note", &md5, b"hello").status, 200);
    assert_eq!(admin.submit(&seen, tags, &[("tags", "by=three")]).await.status, 409);
    // Who may not tag at all is told that.
    let reader = world::browser(&node, Role::Reader).await;
    let token = reader.token().await;
    let fields = [("key", "folder/a.txt"), ("tags", "a=b"), ("revision", "old"), ("csrf", token.as_str())];
    assert_eq!(reader.post("/ui/buckets/shared/tags", &fields).await.status, 403);
}

#[actix_rt::test]
async fn of_two_forms_that_are_sent_at_once_one_comes_too_late() {
    let node = world::node();
    let lock = [("x-amz-bucket-object-lock-enabled", "true")];
    assert_eq!(node.node.ask("PUT", "/locked", &lock, b"").status, 200);
    let md5 = [("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")];
    assert_eq!(node.node.ask("PUT", "/locked/note", &md5, b"hello").status, 200);
    let (one, two) = (node.signed_in(ADMIN).await, node.signed_in(ADMIN).await);
    let (page, tags, lock) =
        ("/ui/buckets/locked/object?key=note", "/ui/buckets/locked/tags", "/ui/buckets/locked/lock");
    for round in 0..6 {
        let (first, second) = (one.get(page).await, two.get(page).await);
        let values = ["one", "two"].map(|who| format!("by={who}{round}"));
        let [mine, theirs] = values.each_ref().map(|value| [("tags", value.as_str())]);
        let taken = world::taken_of(tags, (&one, &first, &mine), (&two, &second, &theirs)).await;
        assert_eq!(one.get(page).await.texts("textarea[name=tags]"), [values[taken].as_str()]);
        // The first form that goes there is that of the legal hold: both turn it to what it was not.
        world::taken_of(lock, (&one, &first, &[]), (&two, &second, &[])).await;
        let held = node.node.ask("GET", "/locked/note?legal-hold", &[], b"").text();
        assert_eq!(held.contains("<Status>ON</Status>"), round % 2 == 0, "{held}");
        let years = [0, 1].map(|later| format!("{}-01-01", 2080 + 2 * round + later));
        let mark = &first.attributes("form[action$=lock] input[name=revision]", "value")[1];
        let until = years.each_ref().map(|year| format!("{year}T00:00"));
        let [mine, theirs] = until.each_ref().map(|until| {
            [("hold", ""), ("mode", "GOVERNANCE"), ("until", until.as_str()), ("revision", mark.as_str())]
        });
        let taken = world::taken_of(lock, (&one, &first, &mine), (&two, &second, &theirs)).await;
        let told = node.node.ask("GET", "/locked/note?retention", &[], b"").text();
        assert!(told.contains(&years[taken]) && !told.contains(&years[1 - taken]), "{told}");
    }
}
