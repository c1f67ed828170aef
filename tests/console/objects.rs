//! Objects: listing, uploading, looking, changing, bringing back.

use myfsio::console::route::Role;

use crate::browser::{Browser, ConsoleNode, Shown};
use crate::names::HOSTILE;
use crate::support::ADMIN;
use crate::world;

pub fn multipart(fields: &[(&str, &str)], name: &str, bytes: &str) -> (String, String) {
    let mut body = String::new();
    for (field, value) in fields {
        body += &format!("--xx\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n");
    }
    body += &format!("--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n");
    body += &format!("Content-Type: text/plain\r\n\r\n{bytes}\r\n--xx--\r\n");
    ("multipart/form-data; boundary=xx".to_owned(), body)
}

pub async fn upload(browser: &Browser, prefix: &str, name: &str, bytes: &str) -> crate::browser::Shown {
    let token = browser.token().await;
    let (kind, body) = multipart(&[("csrf", &token), ("prefix", prefix)], name, bytes);
    browser.ask("POST", "/ui/buckets/shared/upload", &[("content-type", &kind)], Some(body)).await
}

#[actix_rt::test]
async fn a_file_goes_up_and_comes_down_without_scripts() {
    let node = world::node();
    let writer = world::browser(&node, Role::Writer).await;
    let sent = upload(&writer, "in/", "ä %22b%22.txt", "hello\r\n--xx?").await;
    assert_eq!((sent.status, sent.location()), (303, "/ui/buckets/shared/browse?prefix=in%2F"), "{}", sent.text);
    let listed = writer.get(sent.location()).await;
    assert!(listed.texts("tbody th a").contains(&"ä \"b\".txt".to_owned()), "{:?}", listed.texts("tbody th"));
    let page = listed.attributes("tbody th a", "href").pop().unwrap();
    let object = writer.get(&page).await;
    assert_eq!(object.texts(".preview pre"), ["hello --xx?"]);
    let download = object.attributes(".heading-actions a", "href").remove(0);
    let bytes = writer.get(&download).await;
    assert_eq!((bytes.status, bytes.text.as_str()), (200, "hello\r\n--xx?"));
    assert_eq!(bytes.header("content-type"), "application/octet-stream");
    let named = "attachment; filename=\"_ _b_.txt\"; filename*=UTF-8''%C3%A4%20%22b%22%2Etxt";
    assert_eq!(bytes.header("content-disposition"), named);
    assert!(bytes.header("content-security-policy").starts_with("sandbox"));
    let part = writer.ask("GET", &download, &[("range", "bytes=1-2")], None).await;
    assert_eq!((part.status, part.text.as_str(), part.header("content-range")), (206, "el", "bytes 1-2/12"));
}

#[actix_rt::test]
async fn an_upload_needs_token_and_permission() {
    let node = world::node();
    let (kind, body) = multipart(&[("csrf", "x"), ("prefix", "")], "a", "b");
    let writer = world::browser(&node, Role::Writer).await;
    let headers = [("content-type", kind.as_str())];
    assert_eq!(writer.ask("POST", "/ui/buckets/shared/upload", &headers, Some(body)).await.status, 403);
    let reader = world::browser(&node, Role::Reader).await;
    assert_eq!(upload(&reader, "", "a", "b").await.status, 403);
    assert!(!reader.get("/ui/buckets/shared/browse").await.text.contains("data-upload"));
}

#[actix_rt::test]
async fn a_script_sends_parts_and_finds_them_again() {
    let node = world::node();
    let writer = world::browser(&node, Role::Writer).await;
    let token = writer.token().await;
    let json = [("x-csrf-token", token.as_str()), ("accept", "application/json")];
    let form = [json[0], json[1], ("content-type", "application/x-www-form-urlencoded")];
    let begun = writer.ask("POST", "/ui/buckets/shared/uploads", &form, Some("key=big&size=9000000".into())).await;
    let begun: serde_json::Value = serde_json::from_str(&begun.text).unwrap();
    let (upload, size) = (begun["upload"].as_str().unwrap(), begun["part_bytes"].as_u64().unwrap() as usize);
    let put = |number: usize, bytes: usize| {
        let path = format!("/ui/buckets/shared/part?key=big&upload={upload}&number={number}");
        let (writer, json) = (&writer, &json);
        async move { writer.ask("PUT", &path, json, Some("x".repeat(bytes))).await.status }
    };
    assert_eq!(put(1, size).await, 200);
    let parts = writer.ask("GET", &format!("/ui/buckets/shared/parts?key=big&upload={upload}"), &json, None).await;
    assert_eq!(parts.text, format!("{{\"parts\":[[1,{size}]]}}"));
    let unfinished = writer.get("/ui/buckets/shared/uploads").await;
    assert!(unfinished.texts("tbody tr").join("").starts_with("big18.00 MiB"), "{:?}", unfinished.texts("tbody tr"));
    assert_eq!(put(2, 9_000_000 - size).await, 200);
    let end = Some(format!("key=big&upload={upload}"));
    assert_eq!(writer.ask("POST", "/ui/buckets/shared/complete", &form, end).await.status, 200);
    assert_eq!(node.node.ask("GET", "/shared/big", &[], b"").body.len(), 9_000_000);
    let refused = writer.ask("POST", "/ui/buckets/shared/complete", &form, Some("key=k&upload=0".into())).await;
    assert!(refused.status == 400 && refused.text.contains("\"code\":\"InvalidArgument\""), "{}", refused.text);
}

#[actix_rt::test]
async fn what_was_deleted_comes_back() {
    let node = ConsoleNode::start(&[]);
    node.node.create_bucket("kept");
    let versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assert_eq!(node.node.ask("PUT", "/kept?versioning", &[], versioning).status, 200);
    node.node.put("/kept/a.txt", b"first");
    node.node.put("/kept/a.txt", b"second");
    let admin = node.signed_in(ADMIN).await;
    let page = admin.get("/ui/buckets/kept/object?key=a.txt").await;
    assert_eq!(page.texts(".preview pre"), ["second"]);
    let ask = admin.submit(&page, "/ui/buckets/kept/delete-objects", &[]).await;
    assert!(ask.texts("main").join("").contains("you can bring them back"));
    let gone = admin.submit(&ask, "/ui/buckets/kept/delete-objects", &[]).await;
    let told = admin.get(gone.location()).await;
    assert!(told.attributes(".banner a", "href").iter().any(|undo| undo.ends_with("show=deleted")));
    assert!(told.text.contains("No objects here"));
    let trash = admin.get("/ui/buckets/kept/browse?show=deleted").await;
    assert_eq!(trash.texts("tbody th"), ["a.txt"]);
    let back = admin.submit(&trash, "/ui/buckets/kept/delete-version", &[]).await;
    assert_eq!(back.status, 303);
    let page = admin.get("/ui/buckets/kept/object?key=a.txt").await;
    assert_eq!(page.texts(".preview pre"), ["second"]);
    let older = page.attributes("form[action$=restore] input[name=version]", "value").remove(0);
    let shown = admin.get(&format!("/ui/buckets/kept/object?key=a.txt&version={older}")).await;
    assert_eq!(
        (shown.texts(".preview pre"), shown.text.contains("An older version")),
        (vec!["first".to_owned()], true)
    );
    let fields = [("key", "a.txt"), ("version", &older), ("csrf", &admin.token().await)];
    assert_eq!(admin.post("/ui/buckets/kept/restore", &fields).await.status, 303);
    assert_eq!(node.node.ask("GET", "/kept/a.txt", &[], b"").body, b"first");
    let before = admin.get("/ui/buckets/kept/browse?at=2001-01-01T00:00").await;
    assert!(before.text.contains("Nothing was here then"));
    let now = admin.get("/ui/buckets/kept/browse?at=2100-01-01T00:00").await;
    assert_eq!(now.texts("tbody th a"), ["a.txt"]);
}

#[actix_rt::test]
async fn pages_have_addresses_and_search_finds_across_them() {
    let node = ConsoleNode::start(&[("UI_PAGE_SIZE", "3")]);
    node.node.create_bucket("many");
    for key in ["a/1", "a/2", "b/1", "c/1", "d", "e", "f-Needle"] {
        node.node.put(&format!("/many/{key}"), b"x");
    }
    let admin = node.signed_in(ADMIN).await;
    let (mut address, mut seen) = ("/ui/buckets/many/browse".to_owned(), Vec::new());
    loop {
        let page = admin.get(&address).await;
        seen.extend(page.texts("tbody th a"));
        let next = page.attributes(".pager a", "href").into_iter().find(|href| href.contains("after="));
        match next {
            Some(next) => address = next,
            None => break,
        }
    }
    assert_eq!(seen, ["a/", "b/", "c/", "d", "e", "f-Needle"]);
    assert_eq!(admin.get("/ui/buckets/many/browse?q=needle").await.texts("tbody th a"), ["f-Needle"]);
    let flat = admin.get("/ui/buckets/many/browse?show=flat&prefix=a%2F").await;
    assert_eq!(flat.texts("tbody th a"), ["1", "2"]);
    let token = admin.token().await;
    let body = crate::browser::encode(&[("csrf", &token), ("item", "a/"), ("item", "d"), ("confirmed", "1")]);
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let deleted = admin.ask("POST", "/ui/buckets/many/delete-objects", &[kind], Some(body)).await;
    assert_eq!(deleted.status, 303);
    assert!(admin.get(deleted.location()).await.text.contains("3\u{a0}objects deleted"));
    assert_eq!(node.node.status("/many/a/2"), 404);
}

#[actix_rt::test]
async fn the_way_to_a_folder_can_be_typed() {
    let node = world::node();
    let reader = world::browser(&node, Role::Reader).await;
    let page = reader.get("/ui/buckets/shared/browse?prefix=folder%2F").await;
    assert_eq!(page.attributes("form.jump", "action"), ["/ui/buckets/shared/browse"]);
    assert_eq!(page.attributes("form.jump input[name=prefix]", "value"), ["folder/"]);
    assert_eq!(page.attributes("nav.path", "data-up"), ["/ui/buckets/shared/browse"], "where a key leads");
    let top = reader.get("/ui/buckets/shared/browse").await;
    assert!(top.attributes("nav.path", "data-up").is_empty(), "nothing is above a bucket");
    // As browsers send it.
    let there = reader.get("/ui/buckets/shared/browse?prefix=folder%2Fa").await;
    assert_eq!(there.attributes("nav.path", "data-up"), ["/ui/buckets/shared/browse?prefix=folder%2F"]);
    assert!(there.texts("tbody th").join(" ").contains("a.txt"), "{}", there.text);
    let itself = reader.get("/ui/buckets/shared/browse?prefix=folder%2Fa.txt").await;
    assert!(itself.texts("tbody th").join(" ").contains("a.txt"), "{}", itself.text);
}

#[actix_rt::test]
async fn an_object_has_the_names_that_programs_know_it_by() {
    let node = world::node();
    node.node.put("/shared/a%20b/%C3%A4%3F.txt", b"x");
    let reader = world::browser(&node, Role::Reader).await;
    let page = reader.get("/ui/buckets/shared/object?key=a%20b%2F%C3%A4%3F.txt").await;
    assert_eq!(page.texts("#object-uri"), ["s3://shared/a b/ä?.txt"]);
    assert_eq!(page.texts("#object-arn"), ["arn:aws:s3:::shared/a b/ä?.txt"]);
    let url = page.texts("#object-url").remove(0);
    let target = url.strip_prefix(&node.node.endpoint()).expect("a URL of the API");
    assert_eq!(node.node.ask("GET", target, &[], b"").body, b"x");
}

#[actix_rt::test]
async fn older_versions_go_together_and_the_current_one_stays() {
    let node = world::node();
    let versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assert_eq!(node.node.ask("PUT", "/shared?versioning", &[], versioning).status, 200);
    for body in ["one", "two", "three"] {
        node.node.put("/shared/a", body.as_bytes());
        node.node.put("/shared/ab", body.as_bytes());
    }
    let count = |key: &str| {
        let told = node.node.ask("GET", &format!("/shared?versions&prefix={key}"), &[], b"").text();
        told.matches("<Version>").count()
    };
    let writer = world::browser(&node, Role::Writer).await;
    let action = "/ui/buckets/shared/delete-older";
    let former = writer.get("/ui/buckets/shared/object?key=a").await;
    node.node.put("/shared/a", b"four");
    // What was current as the page was loaded is not deleted because something else is now.
    assert_eq!(writer.submit(&former, action, &[]).await.status, 409);
    assert_eq!(count("a"), 7);
    let page = writer.get("/ui/buckets/shared/object?key=a").await;
    let gone = writer.submit(&page, action, &[]).await;
    assert_eq!((gone.status, gone.location()), (303, "/ui/buckets/shared/object?key=a"), "{}", gone.text);
    let page = writer.get(gone.location()).await;
    assert!(page.texts("#notices").join("").contains("3 older versions deleted for good"), "{}", page.text);
    assert!(page.attributes("form[action$=delete-older]", "action").is_empty(), "there are none any more");
    assert_eq!((node.node.ask("GET", "/shared/a", &[], b"").body, count("ab")), (b"four".to_vec(), 3));
    assert_eq!(count("a"), 4, "those of the key that begins alike are there");
    let reader = world::browser(&node, Role::Reader).await;
    let token = reader.token().await;
    let fields = [("key", "ab"), ("newest", ""), ("csrf", token.as_str())];
    assert_eq!(reader.post(action, &fields).await.status, 403);
}

#[actix_rt::test]
async fn a_link_is_made_and_works() {
    let node = world::node();
    let reader = world::browser(&node, Role::Reader).await;
    let page = reader.get("/ui/buckets/shared/object?key=folder%2Fa.txt").await;
    let made = reader.submit(&page, "/ui/buckets/shared/presign", &[("expires", "60")]).await;
    assert_eq!(made.header("content-encoding"), "identity");
    let url = made.texts("#signed-url").remove(0);
    let target = url.strip_prefix(&node.node.endpoint()).expect("a URL of the API");
    assert_eq!(node.node.ask_as(None, "GET", target, &[], b"").body, b"text");
    let told = made.texts(".signed dd").join(" | ");
    assert!(told.starts_with("GET | reader reader | 20") && told.contains(" UTC (1 minute) | 127.0.0.1:"), "{told}");
    assert_eq!(made.attributes(".signed svg.qr path", "d").len(), 1);
    let fields = [("expires", "604801")];
    assert_eq!(reader.submit(&page, "/ui/buckets/shared/presign", &fields).await.status, 400);
    let fields = [("method", "PUT")];
    assert_eq!(reader.submit(&page, "/ui/buckets/shared/presign", &fields).await.status, 403, "not allowed to write");
}

#[actix_rt::test]
async fn copies_moves_folders_and_tags() {
    let node = world::node();
    let writer = world::browser(&node, Role::Writer).await;
    let page = writer.get("/ui/buckets/shared/object?key=folder%2Fa.txt").await;
    let copied = writer.submit(&page, "/ui/buckets/shared/copy", &[("target", "b.txt")]).await;
    assert_eq!(copied.location(), "/ui/buckets/shared/object?key=b.txt");
    let moved = writer.submit(&page, "/ui/buckets/shared/copy", &[("target", "c.txt"), ("move", "1")]).await;
    assert_eq!((moved.status, node.node.status("/shared/folder/a.txt")), (303, 404));
    let page = writer.get("/ui/buckets/shared/browse").await;
    let made = writer.submit(&page, "/ui/buckets/shared/folder", &[("name", "new")]).await;
    assert_eq!(made.location(), "/ui/buckets/shared/browse?prefix=new%2F");
    let page = writer.get("/ui/buckets/shared/object?key=c.txt").await;
    writer.submit(&page, "/ui/buckets/shared/tags", &[("tags", "stage=draft\nplain")]).await;
    let page = writer.get("/ui/buckets/shared/object?key=c.txt").await;
    assert_eq!(page.texts("textarea[name=tags]"), ["stage=draft plain="]);
}

#[actix_rt::test]
async fn keys_of_others_do_nothing_on_pages() {
    let node = world::node();
    let admin = node.signed_in(ADMIN).await;
    let token = admin.token().await;
    let mut keys: Vec<String> = HOSTILE.iter().map(|name| name.replace('\0', "")).collect();
    keys.extend(["../x", "a//b", "/lead", " ", "a?b#c&d=e", "%2e%2e"].map(str::to_owned));
    keys.push("k".repeat(1024));
    for key in &keys {
        let path = key.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let headers = [("x-amz-meta-note", "\"><img src=x onerror=alert(1)>"), ("content-type", "text/html")];
        let put = node.node.ask("PUT", &format!("/shared/{path}"), &headers, b"<script>alert(1)</script>");
        assert_eq!(put.status, 200, "{key}: {}", put.text());
        let page = admin.get(&format!("/ui/buckets/shared/object?key={path}")).await;
        assert_eq!(page.status, 200, "{key}");
        assert!(page.attributes("img[onerror]", "src").is_empty(), "{key}");
        let scripts =
            page.attributes("script", "src").len() + page.texts("script").iter().filter(|t| !t.is_empty()).count();
        assert_eq!(scripts, 1, "{key}");
        let revision = &page.form("/ui/buckets/shared/tags")["revision"];
        let tagged = [("key", key.as_str()), ("tags", "a=b"), ("revision", revision), ("csrf", &token)];
        assert_eq!(admin.post("/ui/buckets/shared/tags", &tagged).await.status, 303, "{key}");
        let view = admin.get(&format!("/ui/buckets/shared/view?key={path}")).await;
        assert!(view.status == 200 && view.header("content-type") == "text/plain; charset=utf-8", "{key}");
        assert!(view.header("content-security-policy").starts_with("sandbox; default-src 'none'"), "{key}");
    }
    for address in ["/ui/buckets/shared/browse", "/ui/buckets/shared/browse?show=flat", "/ui/buckets/shared/browse?q=a"]
    {
        let page = admin.get(address).await;
        assert!(
            page.attributes("img", "src").is_empty() && !page.texts("main").join("").contains('\u{202e}'),
            "{address}"
        );
    }
    let token = admin.token().await;
    for key in &keys {
        let fields = [("item", key.as_str()), ("confirmed", "1"), ("csrf", &token)];
        assert_eq!(admin.post("/ui/buckets/shared/delete-objects", &fields).await.status, 303, "{key}");
    }
    assert_eq!(admin.get("/ui/buckets/shared/browse").await.texts("tbody th a"), ["folder/"]);
}

#[actix_rt::test]
async fn a_denial_says_why() {
    let node = world::node();
    let reader = world::browser(&node, Role::Reader).await;
    let token = reader.token().await;
    let fields = [("prefix", ""), ("name", "x"), ("csrf", token.as_str())];
    let denied = reader.post("/ui/buckets/shared/folder", &fields).await;
    assert_eq!(denied.status, 403);
    let told = denied.texts(".reasons li").join("\n");
    assert!(told.contains("s3:PutObject → arn:aws:s3:::shared/x/"), "{told}");
}

#[actix_rt::test]
async fn who_may_not_list_may_still_read_and_write() {
    let node = world::node();
    node.node.add_users(&[serde_json::json!({
        "access_key": "single", "secret_key": "single-secret", "display_name": "single",
        "policies": [{ "bucket": "shared", "actions": ["read", "write"] }],
    })]);
    let browser = node.signed_in(("single", "single-secret")).await;
    let page = browser.get("/ui/buckets/shared/browse").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("You may not list this bucket") && page.text.contains("data-upload"));
    assert_eq!(browser.get("/ui/buckets/shared/object?key=folder%2Fa.txt").await.texts(".preview pre"), ["text"]);
    assert_eq!(upload(&browser, "", "mine.txt", "x").await.status, 303);
}

#[actix_rt::test]
async fn a_folder_comes_down_as_an_archive() {
    let node = world::node();
    node.node.put("/shared/folder/deep/b.txt", b"more");
    let reader = world::browser(&node, Role::Reader).await;
    let token = reader.token().await;
    let fields = [("csrf", token.as_str()), ("item", "folder/"), ("prefix", "")];
    let zip = reader.post("/ui/buckets/shared/archive", &fields).await;
    assert_eq!((zip.status, zip.header("content-type")), (200, "application/zip"));
    assert!(zip.header("content-disposition").starts_with("attachment; filename=\"shared.zip\""));
    for part in ["folder/a.txt", "folder/deep/b.txt", "more"] {
        assert!(zip.text.contains(part), "{part}");
    }
    let none = reader.post("/ui/buckets/shared/archive", &[("csrf", token.as_str())]).await;
    assert_eq!(none.status, 400);
}

#[actix_rt::test]
async fn looks_tell_scripts_how_far_they_came() {
    let node = world::node();
    let reader = world::browser(&node, Role::Reader).await;
    let json = [("accept", "application/json")];
    let told = reader.ask("GET", "/ui/buckets/shared/browse?q=A.TXT&seen=41", &json, None).await;
    assert_eq!(told.text, r#"{"rows":1,"looked_at":"42","next":null}"#);
    let page = reader.get("/ui/buckets/shared/browse?q=none&after=folder%2F").await;
    assert!(page.text.contains("No key matches"), "also where it went on from another page");
    assert!(page.attributes("[data-goes-on]", "data-goes-on").is_empty(), "there is nothing more");
    let wrong = reader.get("/ui/buckets/shared/browse?at=soon").await;
    assert_eq!(wrong.status, 400);
}

#[actix_rt::test]
async fn a_page_is_sorted_by_its_heads_and_says_within_what() {
    let node = world::node_with(&[("UI_PAGE_SIZE", "4")]);
    for (key, size) in [("a", 3), ("b", 9), ("c", 1), ("d", 5)] {
        node.node.put(&format!("/shared/sorted/{key}"), &vec![0; size]);
    }
    node.node.put("/shared/sorted/sub/x", b"x");
    let reader = world::browser(&node, Role::Reader).await;
    let address = "/ui/buckets/shared/browse?prefix=sorted%2F";
    let names = |page: &Shown| {
        let all = page.texts("tbody th a");
        all.into_iter().filter(|name| name != "..").collect::<Vec<_>>()
    };
    let plain = reader.get(address).await;
    assert_eq!(names(&plain), ["a", "b", "c", "d"]);
    assert!(plain.texts("#sorted").is_empty());
    assert_eq!(plain.attributes("thead th[aria-sort]", "aria-sort"), ["ascending", "none", "none"]);
    // Each head is a link to an address that can be kept.
    let by_size = plain.attributes("thead th a", "href").remove(1);
    assert_eq!(by_size, format!("{address}&sort=size"));
    let page = reader.get(&by_size).await;
    assert_eq!(names(&page), ["b", "d", "a", "c"]);
    assert_eq!(page.attributes("thead th[aria-sort]", "aria-sort"), ["none", "descending", "none"]);
    let told = page.texts("#sorted").join("");
    assert!(
        told.starts_with("Sorted within the 4\u{a0}objects of this page")
            || told.starts_with("Sorted within the 4 objects of this page"),
        "{told}"
    );
    let smallest = page.attributes("thead th a", "href").remove(1);
    assert_eq!(names(&reader.get(&smallest).await), ["c", "a", "d", "b"]);
    // The order stays on the way to the next page and into folders; a whole listing has nothing to add.
    let next = page.attributes(".pager a", "href").remove(0);
    assert!(next.contains("sort=size"), "{next}");
    assert_eq!(names(&reader.get(&next).await), ["sub/"]);
    let folder = reader.get(&next).await.attributes("tbody th a", "href");
    let folder = folder.iter().find(|address| address.contains("sub")).unwrap();
    assert!(folder.ends_with("prefix=sorted%2Fsub%2F&sort=size"), "{folder}");
    assert!(reader.get(folder).await.texts("#sorted").is_empty(), "it is all there");
    let latest = reader.get(&format!("{address}&sort=modified&order=asc")).await;
    assert_eq!(names(&latest), ["a", "b", "c", "d"]);
}
