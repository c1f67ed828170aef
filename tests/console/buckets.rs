//! The list of buckets.

use myfsio::console::route::Role;

use crate::world;

#[actix_rt::test]
async fn made_listed_and_deleted() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let page = admin.get("/ui/buckets/create").await;
    let made = admin.submit(&page, "/ui/buckets", &[("name", "photos"), ("versioning", "on")]).await;
    assert_eq!((made.status, made.location()), (303, "/ui/buckets/photos/browse"));
    let page = admin.get("/ui/buckets").await;
    assert!(page.texts(".banner.good").join("").contains("photos was created"));
    let rows = page.texts("tbody tr");
    assert!(rows.iter().any(|row| row.contains("photos Versions")), "{rows:?}");
    let page = admin.get("/ui/buckets/create").await;
    let refused = admin.submit(&page, "/ui/buckets", &[("name", "No")]).await;
    assert_eq!(refused.status, 400);
    assert!(refused.texts("main").join("").contains("No bucket can have this name"));
    let ask = admin.get("/ui/buckets/photos/delete").await;
    let wrong = admin.submit(&ask, "/ui/buckets/photos/delete", &[("confirm", "photo")]).await;
    assert_eq!(wrong.status, 400);
    let gone = admin.submit(&ask, "/ui/buckets/photos/delete", &[("confirm", "photos")]).await;
    assert_eq!((gone.status, gone.location()), (303, "/ui/buckets"));
    assert_eq!(node.node.ask("GET", "/photos", &[], b"").status, 404);
}

#[actix_rt::test]
async fn each_sees_what_is_theirs() {
    let node = world::node();
    node.node.create_bucket("private");
    for (role, seen) in [(Role::Admin, 2), (Role::Reader, 2), (Role::Writer, 1)] {
        let page = world::browser(&node, role).await.get("/ui/buckets").await;
        assert_eq!(page.texts("tbody tr").len(), seen, "{role:?}");
    }
    let writer = world::browser(&node, Role::Writer).await;
    assert_eq!(writer.get("/ui/buckets/private/delete").await.status, 403);
    let token = writer.token().await;
    let denied = writer.post("/ui/buckets/private/delete", &[("confirm", "private"), ("csrf", &token)]).await;
    assert_eq!(denied.status, 403);
    let told = denied.texts("main").join("");
    assert!(told.contains("AccessDenied") && told.contains(denied.header("x-amz-request-id")), "{told}");
}

#[actix_rt::test]
async fn what_a_bucket_holds_is_told_before_it_is_deleted() {
    let node = world::node();
    let lock = [("x-amz-bucket-object-lock-enabled", "true")];
    assert_eq!(node.node.ask("PUT", "/locked", &lock, b"").status, 200);
    let md5 = [("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")];
    assert_eq!(node.node.ask("PUT", "/locked/note", &md5, b"hello").status, 200);
    assert_eq!(node.node.ask("DELETE", "/locked/note", &[], b"").status, 204);
    let admin = world::browser(&node, Role::Admin).await;
    let page = admin.get("/ui/buckets/locked/delete").await;
    let told = page.texts("main").join("");
    assert!(told.contains("2 versions (1 of them delete markers)") && told.contains("It has Object Lock"), "{told}");
    let plain = admin.get("/ui/buckets/shared/delete").await.texts("main").join("");
    assert!(!plain.contains("It has Object Lock") && !plain.contains("delete markers"), "{plain}");
}

#[actix_rt::test]
async fn a_full_bucket_stays() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let token = admin.token().await;
    let fields = [("confirm", "shared"), ("csrf", token.as_str())];
    let refused = admin.post("/ui/buckets/shared/delete", &fields).await;
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains("BucketNotEmpty"));
}

#[actix_rt::test]
async fn a_filter_pages_and_sorts() {
    let node = crate::browser::ConsoleNode::start(&[("UI_PAGE_SIZE", "2")]);
    for name in ["alpha", "beta", "gamma", "abc"] {
        node.node.create_bucket(name);
    }
    node.node.put("/gamma/x", &[0; 5000]);
    let admin = node.signed_in(crate::support::ADMIN).await;
    let first = admin.get("/ui/buckets").await;
    assert_eq!(first.texts("tbody th a"), ["abc", "alpha"]);
    let next = first.attributes(".pager a", "href").remove(0);
    assert_eq!(admin.get(&next).await.texts("tbody th a"), ["beta", "gamma"]);
    assert_eq!(admin.get("/ui/buckets?sort=size").await.texts("tbody th a")[0], "gamma");
    assert_eq!(admin.get("/ui/buckets?q=ALPH").await.texts("tbody th a"), ["alpha"]);
    // Where one is, and the ways back.
    let next = admin.get(&next).await;
    assert!(next.texts(".pager").join("").contains("3–4 of 4"), "{}", next.text);
    assert_eq!(next.attributes(".pager a", "href"), ["/ui/buckets"]);
    assert_eq!(admin.get("/ui/buckets?order=desc").await.texts("tbody th a"), ["gamma", "beta"]);
    assert_eq!(first.attributes("thead th[aria-sort=ascending] a", "href"), ["/ui/buckets?order=desc"]);
    let by_size = first.attributes("thead a", "href");
    assert!(by_size.contains(&"/ui/buckets?sort=size".to_owned()), "{by_size:?}");
}

#[actix_rt::test]
async fn what_old_versions_hold_is_counted_as_they_come_and_go() {
    let node = world::node();
    node.node.create_bucket("kept");
    let versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assert_eq!(node.node.ask("PUT", "/kept?versioning", &[], versioning).status, 200);
    let admin = world::browser(&node, Role::Admin).await;
    let old = async || {
        let page = admin.get("/ui/buckets?q=kept").await;
        page.texts("tbody td[data-label='Old versions']").remove(0)
    };
    node.node.put("/kept/a", &[0; 1024]);
    assert_eq!(old().await, "–");
    node.node.put("/kept/a", &[0; 3 * 1024]);
    assert_eq!(old().await, "1.00 KiB 25 %");
    let marker = node.node.ask("DELETE", "/kept/a", &[], b"");
    assert_eq!(old().await, "4.00 KiB 100 %", "what was current is so no more");
    let marker = marker.header("x-amz-version-id").unwrap().to_owned();
    assert_eq!(node.node.ask("DELETE", &format!("/kept/a?versionId={marker}"), &[], b"").status, 204);
    assert_eq!(old().await, "1.00 KiB 25 %");
    assert_eq!(admin.get("/ui/buckets?sort=old").await.texts("tbody th a")[0], "kept");
    let oldest =
        admin.get("/ui/buckets/kept/object?key=a").await.attributes("form[action$=restore] [name=version]", "value");
    assert_eq!(node.node.ask("DELETE", &format!("/kept/a?versionId={}", oldest[0]), &[], b"").status, 204);
    assert_eq!(old().await, "–");
}

#[actix_rt::test]
async fn a_filter_by_what_is_set() {
    let node = world::node();
    for name in ["kept", "open", "full"] {
        node.node.create_bucket(name);
    }
    let versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    node.node.ask("PUT", "/kept?versioning", &[], versioning);
    let policy = br#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::open/*"}]}"#;
    assert!(node.node.ask("PUT", "/open?policy", &[], policy).status < 300);
    node.node.put("/full/x", b"x");
    assert!(node.node.ask("PUT", "/full?quota", &[], br#"{"max_objects":1}"#).status < 300);
    let admin = world::browser(&node, Role::Admin).await;
    for (only, seen) in [
        ("public", &["open"][..]),
        ("versioned", &["kept"]),
        ("unversioned", &["full", "open", "shared"]),
        ("full", &["full"]),
        ("locked", &[]),
        ("other", &["full", "kept", "open", "shared"]),
    ] {
        let page = admin.get(&format!("/ui/buckets?only={only}")).await;
        assert_eq!(page.texts("tbody th a"), seen, "{only}");
    }
    assert_eq!(admin.get("/ui/buckets?sort=quota").await.texts("tbody th a")[0], "full");
    assert_eq!(admin.get("/ui/buckets?sort=created").await.texts("tbody th a")[0], "full", "the newest first");
}
