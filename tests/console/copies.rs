//! Copies of objects that are larger than one request copies.

use std::time::SystemTime;

use myfsio_actors::names::Stamp;
use serde_json::json;

use crate::jobs::{READER, VERSIONING, WRITER, carried_out, is_over, keys, patient, told};
use crate::support::{ADMIN, Node, Reply, element};
use crate::world;
use myfsio::console::route::Role;

/// Bytes that one request may bring, and so copy.
const AT_ONCE: usize = 16 * 1024;

fn content() -> Vec<u8> {
    (0..AT_ONCE * 4 - 100).map(|at| (at % 251) as u8).collect()
}

fn settings<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [("MAX_UPLOAD_SIZE", "16384"), ("MULTIPART_MIN_PART_SIZE", "1")].into_iter().chain(more.iter().copied()).collect()
}

/// Asks until the node is not busy.
fn asked(node: &Node, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    loop {
        let reply = node.ask(method, target, headers, body);
        if reply.status != 503 {
            return reply;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Uploads an object that no single request could bring.
fn upload(node: &Node, target: &str, headers: &[(&str, &str)], content: &[u8]) {
    let begun = asked(node, "POST", &format!("{target}?uploads"), headers, b"");
    let id = element(&begun.text(), "UploadId").unwrap_or_else(|| panic!("{begun:?}"));
    let mut document = String::from("<CompleteMultipartUpload>");
    for (part, number) in content.chunks(AT_ONCE).zip(1..) {
        let put = asked(node, "PUT", &format!("{target}?partNumber={number}&uploadId={id}"), &[], part);
        let etag = put.header("etag").unwrap_or_else(|| panic!("{put:?}"));
        document.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"));
    }
    document.push_str("</CompleteMultipartUpload>");
    let made = asked(node, "POST", &format!("{target}?uploadId={id}"), &[], document.as_bytes());
    assert_eq!(made.status, 200, "{made:?}");
}

fn leaves_no_upload(node: &Node, bucket: &str) {
    let listed = asked(node, "GET", &format!("/{bucket}?uploads"), &[], b"").text();
    assert!(!listed.contains("<Upload>"), "{listed}");
}

#[actix_rt::test]
async fn they_are_made_in_parts_with_all_that_copies_keep() {
    let node = world::node_with(&settings(&[])).node;
    node.create_bucket("other");
    let headers = [
        ("content-type", "text/x-large"),
        ("cache-control", "no-cache"),
        ("x-amz-meta-kind", "größer"),
        ("x-amz-tagging", "a=1&b=%C3%BC%20x"),
        ("x-amz-checksum-algorithm", "CRC32C"),
    ];
    upload(&node, "/shared/big/one", &headers, &content());
    let single = node.ask("PUT", "/other/single", &[("x-amz-copy-source", "/shared/big/one")], b"");
    assert_eq!(single.status, 200, "the API's own copy has the limit of S3: {single:?}");

    let order =
        json!({ "action": "copy", "bucket": "shared", "prefixes": ["big/"], "to": "there/", "to_bucket": "other" });
    let copied = carried_out(&node, ADMIN, &order);
    assert_eq!((&copied["done"], &copied["bytes"]), (&json!(1), &json!(content().len())), "{copied}");
    let told = [("x-amz-checksum-mode", "ENABLED")];
    let copy = node.ask("GET", "/other/there/big/one", &told, b"");
    let single = node.ask("HEAD", "/other/single", &told, b"");
    assert!(copy.body == content(), "the bytes are the same");
    assert!(copy.header("etag").unwrap().ends_with("-4\""), "{:?}", copy.headers);
    for name in ["content-type", "cache-control", "x-amz-meta-kind", "x-amz-tagging-count", "x-amz-checksum-crc32c"] {
        assert!(copy.header(name).is_some() && copy.header(name) == single.header(name), "{name}: {:?}", copy.headers);
    }
    let tags = |target: &str| node.ask("GET", &format!("{target}?tagging"), &[], b"").text();
    assert_eq!(tags("/other/there/big/one"), tags("/shared/big/one"));
    leaves_no_upload(&node, "other");

    let order = json!({ "action": "move", "bucket": "shared", "prefixes": ["big/"], "to": "there/", "to_bucket": "other",
                        "keep_existing": true });
    let kept = carried_out(&node, ADMIN, &order);
    assert_eq!((&kept["done"], &kept["skipped"], &kept["failed"]), (&json!(0), &json!(1), &json!(0)), "{kept}");
    assert_eq!(node.status("/shared/big/one"), 200);
    leaves_no_upload(&node, "other");

    let order =
        json!({ "action": "move", "bucket": "shared", "prefixes": ["big/"], "from": "big/", "to": "folder/moved/" });
    assert_eq!(carried_out(&node, WRITER, &order)["done"], 1);
    assert_eq!(keys(&node, "/shared?list-type=2"), ["folder/a.txt", "folder/moved/one"]);
    leaves_no_upload(&node, "shared");

    // Who may read it but write nowhere leaves nothing behind either.
    let order = json!({ "action": "copy", "bucket": "shared", "keys": ["folder/moved/one"], "to": "x/" });
    let refused = carried_out(&node, READER, &order);
    assert_eq!((&refused["failed"], &refused["failures"][0]["code"]), (&json!(1), &json!("AccessDenied")), "{refused}");
    leaves_no_upload(&node, "shared");
}

#[actix_rt::test]
async fn versions_come_back_and_pages_hand_them_to_jobs() {
    let console = world::node_with(&settings(&[]));
    let node = &console.node;
    assert_eq!(node.ask("PUT", "/shared?versioning", &[], VERSIONING).status, 200);
    upload(node, "/shared/big", &[], &content());
    let then = Stamp::from_system_time(SystemTime::now());
    node.put("/shared/big", b"small");
    let order = json!({ "action": "restore", "bucket": "shared", "keys": ["big"], "as_of": then.rfc3339() });
    assert_eq!(carried_out(node, ADMIN, &order)["done"], 1);
    assert!(node.ask("GET", "/shared/big", &[], b"").body == content());

    let admin = world::browser(&console, Role::Admin).await;
    let token = admin.token().await;
    let fields = [("csrf", token.as_str()), ("key", "big"), ("target", "copy of big")];
    let sent = admin.post("/ui/buckets/shared/copy", &fields).await;
    let id = sent.location().strip_prefix("/ui/jobs/").unwrap_or_else(|| panic!("{}", sent.text)).to_owned();
    assert_eq!(told(node, &id, is_over)["done"], 1);
    assert!(node.ask("GET", "/shared/copy%20of%20big", &[], b"").body == content());

    node.put("/shared/big", b"small again");
    let listed = node.ask("GET", "/shared?versions&prefix=big", &[], b"").text();
    let large = listed.split("<Version>").find(|version| version.contains(&format!("<Size>{}<", content().len())));
    let version = element(large.unwrap(), "VersionId").unwrap();
    let fields = [("csrf", token.as_str()), ("key", "big"), ("version", version.as_str())];
    let sent = admin.post("/ui/buckets/shared/restore", &fields).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    assert!(node.ask("GET", "/shared/big", &[], b"").body == content());
    leaves_no_upload(node, "shared");
}

#[actix_rt::test]
async fn what_a_crash_left_of_a_copy_is_removed_and_the_copy_made_anew() {
    let mut node = world::node_with(&settings(&[("KEY_REQUESTS_PER_SECOND", "10"), ("KEY_REQUESTS_BURST", "5")])).node;
    upload(&node, "/shared/folder/big", &[], &content());
    let order = json!({ "action": "move", "bucket": "shared", "keys": ["folder/big"], "to": "moved/" });
    let (status, job) = patient(&node, WRITER, "POST", "/_myfsio/jobs", &order.to_string());
    assert_eq!(status, 201, "{job}");
    let id = job["id"].as_str().unwrap();
    let has_begun = |node: &Node| {
        let is_there = asked(node, "HEAD", "/shared/moved/folder/big", &[], b"").status == 200;
        is_there || asked(node, "GET", "/shared?uploads", &[], b"").text().contains("<Upload>")
    };
    crate::browser::eventually("the copy begins", || std::future::ready(has_begun(&node))).await;
    node.kill();
    node.restart();
    let job = told(&node, id, is_over);
    assert_eq!((&job["status"], &job["done"], &job["failed"]), (&json!("done"), &json!(1), &json!(0)), "{job}");
    assert!(asked(&node, "GET", "/shared/moved/folder/big", &[], b"").body == content());
    leaves_no_upload(&node, "shared");
}
