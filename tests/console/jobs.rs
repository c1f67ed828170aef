//! Jobs: by their routes, and by their pages.

use std::time::{Duration, Instant, SystemTime};

use myfsio::console::route::Role;
use myfsio_actors::names::Stamp;
use serde_json::{Value, json};

use crate::browser::ConsoleNode;
use crate::names::HOSTILE;
use crate::support::{ADMIN, Node};
use crate::world;

pub const WRITER: (&str, &str) = ("writer", "writer-secret");
pub const READER: (&str, &str) = ("reader", "reader-secret");
pub const VERSIONING: &[u8] = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";

fn ask(node: &Node, who: (&str, &str), method: &str, below: &str, order: Option<&Value>) -> (u16, Value) {
    let body = order.map(Value::to_string).unwrap_or_default();
    let reply = node.ask_as(Some(who), method, &format!("/_myfsio/jobs{below}"), &[], body.as_bytes());
    (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
}

pub fn begin(node: &Node, who: (&str, &str), order: &Value) -> String {
    let (status, job) = ask(node, who, "POST", "", Some(order));
    assert_eq!(status, 201, "{job}");
    job["id"].as_str().unwrap().to_owned()
}

/// A job, once it is as it should be.
pub fn when(node: &Node, id: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let (status, job) = ask(node, ADMIN, "GET", &format!("/{id}"), None);
        assert_eq!(status, 200, "{job}");
        if holds(&job) {
            return job;
        }
        assert!(Instant::now() < end, "{job}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

pub fn is_over(job: &Value) -> bool {
    ["done", "failed", "cancelled"].iter().any(|status| job["status"] == *status)
}

pub fn carried_out(node: &Node, who: (&str, &str), order: &Value) -> Value {
    let id = begin(node, who, order);
    when(node, &id, is_over)
}

pub fn keys(node: &Node, target: &str) -> Vec<String> {
    let listed = node.ask("GET", target, &[], b"").text();
    listed.split("<Key>").skip(1).filter_map(|part| Some(part.split_once('<')?.0.to_owned())).collect()
}

#[actix_rt::test]
async fn folders_are_copied_moved_tagged_and_deleted() {
    let node = world::node().node;
    node.put("/shared/folder/deep/b.txt", b"more");
    node.put("/shared/other", b"x");
    let order =
        json!({ "action": "copy", "bucket": "shared", "prefixes": ["folder/"], "from": "folder/", "to": "copy/" });
    let copied = carried_out(&node, WRITER, &order);
    assert_eq!(
        (&copied["status"], &copied["done"], &copied["bytes"]),
        (&json!("done"), &json!(2), &json!(8)),
        "{copied}"
    );
    assert_eq!(copied["total"], json!({ "objects": 2, "bytes": 8, "is_partial": false }));
    let order = json!({ "action": "move", "bucket": "shared", "prefixes": ["copy/"], "keys": ["other"], "to": "new/" });
    assert_eq!(carried_out(&node, WRITER, &order)["done"], 3);
    let found = ["folder/a.txt", "folder/deep/b.txt", "new/copy/a.txt", "new/copy/deep/b.txt", "new/other"];
    assert_eq!(keys(&node, "/shared?list-type=2"), found);
    let order = json!({ "action": "tag", "bucket": "shared", "prefixes": ["new/"], "tags": { "a": "1", "b": "2" } });
    assert_eq!(carried_out(&node, WRITER, &order)["done"], 3);
    let order = json!({ "action": "tag", "bucket": "shared", "keys": ["new/other", "none"], "tags": { "b": "3" } });
    assert_eq!(carried_out(&node, WRITER, &order)["done"], 1);
    let tags = node.ask("GET", "/shared/new/other?tagging", &[], b"").text();
    assert!(tags.contains("<Key>a</Key><Value>1</Value>") && tags.contains("<Key>b</Key><Value>3</Value>"), "{tags}");
    node.put("/shared/kept/other", b"stays");
    let order = json!({ "action": "move", "bucket": "shared", "prefixes": ["new/"], "from": "new/", "to": "kept/",
                        "keep_existing": true });
    let moved = carried_out(&node, WRITER, &order);
    assert_eq!((&moved["done"], &moved["skipped"], &moved["failed"]), (&json!(2), &json!(1), &json!(0)), "{moved}");
    assert_eq!(node.ask("GET", "/shared/kept/other", &[], b"").body, b"stays");
    assert_eq!(node.status("/shared/new/other"), 200, "what could not go anywhere stays");
    let order = json!({ "action": "delete", "bucket": "shared", "prefixes": [""] });
    let preview = ask(&node, WRITER, "POST", "/preview", Some(&order));
    assert_eq!(preview, (200, json!({ "objects": 6, "bytes": 22, "is_partial": false })));
    assert_eq!(carried_out(&node, WRITER, &order)["done"], 6);
    assert_eq!(keys(&node, "/shared?list-type=2"), Vec::<String>::new());
    let audit = node.ask("GET", "/_myfsio/audit?limit=2", &[], b"").text();
    assert!(audit.contains("myfsio:EndJob") && audit.contains("myfsio:StartJob"), "{audit}");
    assert!(audit.contains(r#""done":6"#) && audit.contains(r#""access_key":"writer""#), "{audit}");
}

/// Keys below `pets/`, half of which speak of cats.
fn put_pets(node: &Node) {
    for key in ["pets/Cat.txt", "pets/deep/my-cat", "pets/dog.txt", "cats/list.txt"] {
        node.put(&format!("/shared/{key}"), b"text");
    }
}

#[actix_rt::test]
async fn of_a_prefix_only_what_contains_a_text() {
    let node = world::node().node;
    put_pets(&node);
    let order =
        |action: &str| json!({ "action": action, "bucket": "shared", "prefixes": ["pets/"], "containing": "CAT" });
    let preview = ask(&node, WRITER, "POST", "/preview", Some(&order("delete")));
    assert_eq!(preview, (200, json!({ "objects": 2, "bytes": 8, "is_partial": false })));
    let mut moved = order("move");
    moved["from"] = json!("pets/");
    moved["to"] = json!("found/");
    assert_eq!(carried_out(&node, WRITER, &moved)["done"], 2);
    let found = ["cats/list.txt", "folder/a.txt", "found/Cat.txt", "found/deep/my-cat", "pets/dog.txt"];
    assert_eq!(keys(&node, "/shared?list-type=2"), found);
    let named = json!({ "action": "delete", "bucket": "shared", "keys": ["pets/dog.txt"], "containing": "dog" });
    assert_eq!(ask(&node, WRITER, "POST", "", Some(&named)).0, 400);
}

#[actix_rt::test]
async fn what_was_searched_for_is_deleted_and_brought_back() {
    let node = ConsoleNode::start(&[]).node;
    node.create_bucket("shared");
    assert_eq!(node.ask("PUT", "/shared?versioning", &[], VERSIONING).status, 200);
    put_pets(&node);
    let order = |action: &str, containing: &str| json!({ "action": action, "bucket": "shared", "prefixes": [""], "containing": containing });
    assert_eq!(carried_out(&node, ADMIN, &order("delete", "pets"))["done"], 3);
    assert_eq!(keys(&node, "/shared?list-type=2"), ["cats/list.txt"]);
    assert_eq!(carried_out(&node, ADMIN, &order("restore", "dog"))["done"], 1);
    assert_eq!(keys(&node, "/shared?list-type=2"), ["cats/list.txt", "pets/dog.txt"]);
    let mut for_good = order("delete", "deep");
    for_good["versions"] = json!(true);
    assert_eq!(carried_out(&node, ADMIN, &for_good)["done"], 2, "the object and its marker");
    assert_eq!(carried_out(&node, ADMIN, &order("restore", ""))["done"], 1, "one of three is left to come back");
}

#[actix_rt::test]
async fn all_that_match_are_chosen_on_the_page_of_a_search() {
    let node = world::node();
    put_pets(&node.node);
    let writer = world::browser(&node, Role::Writer).await;
    let browse = writer.get("/ui/buckets/shared/browse?prefix=pets%2F&q=cat").await;
    assert!(browse.texts(".all-matching").join("").contains("All 2 objects that match"), "{}", browse.text);
    let work = "/ui/buckets/shared/work";
    let fields = browse.form(work);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let zip = writer.post("/ui/buckets/shared/archive", &fields).await;
    assert_eq!((zip.status, zip.header("content-type")), (200, "application/zip"));
    assert!(zip.text.contains("deep/my-cat") && zip.text.contains("Cat.txt") && !zip.text.contains("dog.txt"));
    let chosen = writer.submit(&browse, work, &[]).await;
    let told = chosen.texts("dl dd").join("\n");
    assert!(told.contains("all that contains “cat” below shared/pets/") && told.contains("2 objects"), "{told}");
    let begin = "/ui/buckets/shared/jobs";
    let tagged = writer.submit(&chosen, begin, &[("do", "tag"), ("tags", "kind=cat")]).await;
    assert_eq!(tagged.status, 303, "{}", tagged.text);
    let id = tagged.location().rsplit('/').next().unwrap();
    assert_eq!(when(&node.node, id, is_over)["done"], 2);
    assert!(writer.get(tagged.location()).await.texts("h1").join("").contains("contains “cat”"));
    assert!(!node.node.ask("GET", "/shared/pets/dog.txt?tagging", &[], b"").text().contains("kind"));
    assert!(node.node.ask("GET", "/shared/pets/deep/my-cat?tagging", &[], b"").text().contains("kind"));
    let moved = writer.submit(&chosen, begin, &[("do", "move"), ("to", "found")]).await;
    let id = moved.location().rsplit('/').next().unwrap();
    assert_eq!(when(&node.node, id, is_over)["done"], 2, "{}", moved.text);
    assert_eq!(keys(&node.node, "/shared?list-type=2&prefix=found/"), ["found/Cat.txt", "found/deep/my-cat"]);
    // A prefix that ends within a name.
    let browse = writer.get("/ui/buckets/shared/browse?prefix=pets%2Fd").await;
    assert!(browse.texts(".all-matching").join("").contains("All objects below here"), "{}", browse.text);
    let chosen = writer.submit(&browse, work, &[]).await;
    assert!(chosen.texts("dl dd").join("").contains("all that begins with shared/pets/d"), "{}", chosen.text);
    let deleted = writer.submit(&chosen, begin, &[("do", "delete"), ("confirm", "shared")]).await;
    let id = deleted.location().rsplit('/').next().unwrap();
    assert_eq!(when(&node.node, id, is_over)["done"], 1, "{}", deleted.text);
    assert!(keys(&node.node, "/shared?list-type=2&prefix=pets/").is_empty());
    let whole = writer.get("/ui/buckets/shared/browse").await;
    assert!(whole.texts(".all-matching").is_empty(), "what is on one page is selected there");
}

#[actix_rt::test]
async fn folders_that_lead_to_their_like_lose_nothing() {
    let node = world::node().node;
    for (key, content) in [("a/a/x", "inner"), ("a/x", "outer"), ("a/a/y", "alone")] {
        node.put(&format!("/shared/{key}"), content.as_bytes());
    }
    let order = json!({ "action": "move", "bucket": "shared", "prefixes": ["a/"], "from": "a/", "to": "" });
    let moved = carried_out(&node, WRITER, &order);
    // Whether the inner one finds its place free depends on which is moved first.
    assert_eq!(moved["done"].as_u64().unwrap() + moved["failed"].as_u64().unwrap(), 3, "{moved}");
    let found = keys(&node, "/shared?list-type=2").into_iter().filter(|key| !key.starts_with("folder/"));
    let mut contents: Vec<_> = found.map(|key| node.ask("GET", &format!("/shared/{key}"), &[], b"").text()).collect();
    contents.sort();
    assert_eq!(contents, ["alone", "inner", "outer"], "{moved}");
}

#[actix_rt::test]
async fn what_was_deleted_is_brought_back_and_a_bucket_emptied_for_good() {
    let node = ConsoleNode::start(&[]).node;
    node.create_bucket("kept");
    assert_eq!(node.ask("PUT", "/kept?versioning", &[], VERSIONING).status, 200);
    for at in 0..30 {
        node.put(&format!("/kept/a/{at}"), b"first");
    }
    // The node keeps time by the same clock, to the nanosecond; what its answers tell is rounded.
    let then = Stamp::from_system_time(SystemTime::now());
    let order = json!({ "action": "delete", "bucket": "kept", "prefixes": ["a/"] });
    assert_eq!(carried_out(&node, ADMIN, &order)["done"], 30);
    assert_eq!(keys(&node, "/kept?list-type=2").len(), 0);
    let back = carried_out(&node, ADMIN, &json!({ "action": "restore", "bucket": "kept", "prefixes": [""] }));
    assert_eq!((&back["done"], &back["bytes"]), (&json!(30), &json!(150)), "{back}");
    assert_eq!(node.ask("GET", "/kept/a/7", &[], b"").body, b"first");
    node.put("/kept/a/7", b"second");
    node.put("/kept/a/new", b"later");
    let order = json!({ "action": "restore", "bucket": "kept", "prefixes": ["a/"], "as_of": then.rfc3339() });
    let back = carried_out(&node, ADMIN, &order);
    assert_eq!(back["done"], 1, "{back}");
    assert_eq!(node.ask("GET", "/kept/a/7", &[], b"").body, b"first");
    assert_eq!(node.status("/kept/a/new"), 200, "nothing is deleted");
    let begun = node.ask("POST", "/kept/part?uploads", &[], b"");
    assert_eq!(begun.status, 200);
    let order = json!({ "action": "delete", "bucket": "kept", "prefixes": [""], "versions": true, "uploads": true });
    let emptied = carried_out(&node, ADMIN, &order);
    assert_eq!((&emptied["status"], &emptied["failed"]), (&json!("done"), &json!(0)), "{emptied}");
    assert_eq!(node.ask("DELETE", "/kept", &[], b"").status, 204);
}

#[actix_rt::test]
async fn each_object_is_decided_and_what_is_refused_is_told() {
    let node = world::node().node;
    node.create_bucket("locked");
    node.put("/locked/x", b"x");
    let order = json!({ "action": "delete", "bucket": "locked", "keys": ["x", "y"] });
    let refused = carried_out(&node, READER, &order);
    assert_eq!((&refused["status"], &refused["done"], &refused["failed"]), (&json!("done"), &json!(0), &json!(1)));
    let failure = &refused["failures"][0];
    assert_eq!((&failure["key"], &failure["code"]), (&json!("x"), &json!("AccessDenied")), "{refused}");
    let why = format!("/_myfsio/explain?request_id={}", failure["request_id"].as_str().unwrap());
    assert_eq!(node.ask_as(Some(READER), "GET", &why, &[], b"").status, 200);
    let order = json!({ "action": "delete", "bucket": "locked", "prefixes": [""] });
    let refused = carried_out(&node, WRITER, &order);
    assert_eq!((&refused["status"], &refused["problem"]["code"]), (&json!("failed"), &json!("AccessDenied")));
    assert_eq!(node.status("/locked/x"), 200);
    let deny = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Deny", "Principal": "*",
        "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::shared/folder/secret*" }] });
    node.put("/shared/folder/secret.txt", b"x");
    assert_eq!(node.ask("PUT", "/bucket-policy/shared", &[], deny.to_string().as_bytes()).status, 204);
    let order = json!({ "action": "delete", "bucket": "shared", "prefixes": ["folder/"] });
    let partly = carried_out(&node, WRITER, &order);
    assert_eq!(
        (&partly["done"], &partly["failed"], &partly["failures"][0]["key"]),
        (&json!(1), &json!(1), &json!("folder/secret.txt"))
    );
}

#[actix_rt::test]
async fn everybody_sees_their_own_and_administrators_all() {
    let node = world::node().node;
    let order = json!({ "action": "tag", "bucket": "shared", "keys": ["none"], "tags": { "a": "1" } });
    let id = begin(&node, WRITER, &order);
    let own = format!("/{id}");
    assert_eq!(ask(&node, WRITER, "GET", &own, None).0, 200);
    assert_eq!(ask(&node, ADMIN, "GET", &own, None).0, 200);
    for method in ["GET", "DELETE"] {
        let (status, told) = ask(&node, READER, method, &own, None);
        assert_eq!((status, &told["error"]["code"]), (404, &json!("NoSuchJob")));
    }
    let jobs = |who| ask(&node, who, "GET", "", None).1["jobs"].as_array().unwrap().len();
    assert_eq!((jobs(WRITER), jobs(READER), jobs(ADMIN)), (1, 0, 1));
    for (method, below) in [("GET", ""), ("POST", ""), ("GET", own.as_str())] {
        assert_eq!(node.ask_as(None, method, &format!("/_myfsio/jobs{below}"), &[], b"{}").status, 403);
    }
    let unsound = [
        (json!({ "action": "delete", "bucket": "shared" }), 400, "InvalidArgument"),
        (json!({ "action": "delete", "bucket": "nowhere", "prefixes": [""] }), 404, "NoSuchBucket"),
        (
            json!({ "action": "copy", "bucket": "shared", "prefixes": ["a/"], "to": "b/", "to_bucket": "nowhere" }),
            404,
            "NoSuchBucket",
        ),
        (json!({ "action": "copy", "bucket": "shared", "prefixes": ["a/"], "to": "a/" }), 400, "InvalidArgument"),
    ];
    for (order, status, code) in unsound {
        let told = ask(&node, WRITER, "POST", "", Some(&order));
        assert_eq!((told.0, &told.1["error"]["code"]), (status, &json!(code)), "{order}");
    }
    let too_large = json!({ "action": "delete", "bucket": "shared", "keys": ["k".repeat(1024 * 1024)] });
    assert_eq!(ask(&node, WRITER, "POST", "", Some(&too_large)).0, 400);
}

/// A node whose users may ask so rarely that a job of 150 objects takes a while.
fn slow() -> ConsoleNode {
    let console = world::node_with(&[("KEY_REQUESTS_PER_SECOND", "60"), ("KEY_REQUESTS_BURST", "10")]);
    for at in 0..150 {
        // Signed by a key of its own rate, and as often as it takes.
        let target = format!("/shared/many/{at:03}");
        while console.node.ask("PUT", &target, &[], b"x").status != 200 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    console
}

pub fn patient(node: &Node, who: (&str, &str), method: &str, target: &str, body: &str) -> (u16, Value) {
    loop {
        let reply = node.ask_as(Some(who), method, target, &[], body.as_bytes());
        if reply.status != 503 {
            return (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn told(node: &Node, id: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let (status, job) = patient(node, ADMIN, "GET", &format!("/_myfsio/jobs/{id}"), "");
        assert_eq!(status, 200, "{job}");
        if holds(&job) {
            return job;
        }
        assert!(Instant::now() < end, "{job}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

fn some_are_done(job: &Value) -> bool {
    job["done"].as_u64().is_some_and(|done| done > 0)
}

#[actix_rt::test]
async fn a_job_is_cancelled_and_ends_with_the_rights_of_its_user() {
    let node = slow().node;
    let order = json!({ "action": "delete", "bucket": "shared", "prefixes": ["many/"] }).to_string();
    let started = || {
        let (status, job) = patient(&node, WRITER, "POST", "/_myfsio/jobs", &order);
        assert_eq!(status, 201, "{job}");
        job["id"].as_str().unwrap().to_owned()
    };
    let id = started();
    told(&node, &id, some_are_done);
    assert_eq!(patient(&node, WRITER, "DELETE", &format!("/_myfsio/jobs/{id}"), "").0, 200);
    let job = told(&node, &id, is_over);
    assert_eq!(job["status"], "cancelled");
    let left = 150 - job["done"].as_u64().unwrap();
    assert!(left > 0, "{job}");
    let id = started();
    told(&node, &id, some_are_done);
    let user = job["user_id"].as_str().unwrap();
    assert_eq!(patient(&node, ADMIN, "DELETE", &format!("/_myfsio/iam/users/{user}"), "").0, 204);
    let job = told(&node, &id, is_over);
    let refused = job["failed"].as_u64().unwrap();
    let is_known = job["problem"]["code"] == "InvalidAccessKeyId" || job["failures"][0]["code"] == "InvalidAccessKeyId";
    assert!(is_known && job["done"].as_u64().unwrap() < left && refused <= left, "{job}");
}

#[actix_rt::test]
async fn a_job_goes_on_after_a_restart() {
    let mut node = slow().node;
    let order = json!({ "action": "move", "bucket": "shared", "prefixes": ["many/"], "from": "many/", "to": "moved/" });
    let (status, job) = patient(&node, WRITER, "POST", "/_myfsio/jobs", &order.to_string());
    assert_eq!(status, 201, "{job}");
    let id = job["id"].as_str().unwrap().to_owned();
    told(&node, &id, some_are_done);
    node.stop();
    node.restart();
    let job = told(&node, &id, is_over);
    assert_eq!((&job["status"], &job["resumed"], &job["failed"]), (&json!("done"), &json!(1), &json!(0)), "{job}");
    let found = |prefix: &str| loop {
        let reply = node.ask("GET", &format!("/shared?list-type=2&prefix={prefix}"), &[], b"");
        if reply.status == 200 {
            return reply.text().matches("<Key>").count();
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!((found("many/"), found("moved/")), (0, 150));
}

#[actix_rt::test]
async fn pages_start_show_and_end_jobs() {
    let node = world::node();
    let writer = world::browser(&node, Role::Writer).await;
    for name in HOSTILE {
        let path: String = name.replace('\0', "").bytes().map(|byte| format!("%{byte:02X}")).collect();
        node.node.put(&format!("/shared/bad/{path}"), b"x");
    }
    let page = writer.get("/ui/buckets/shared/browse?prefix=bad%2F").await;
    let work = page.attributes(".heading-actions a", "href").into_iter().find(|href| href.contains("/work")).unwrap();
    let page = writer.get(&work).await;
    let number = HOSTILE.len();
    assert!(page.texts("dl dd").join("\n").contains(&format!("{number} objects")), "{}", page.text);
    assert_eq!(page.texts("section h2"), ["Selection", "Copy, move or rename", "Tag", "Delete"]);
    let begin = "/ui/buckets/shared/jobs";
    let refused = writer.submit(&page, begin, &[("do", "delete")]).await;
    assert_eq!(refused.status, 400, "what cannot be undone takes the name of the bucket");
    let moved = writer.submit(&page, begin, &[("do", "move"), ("to", "worse")]).await;
    assert_eq!(moved.status, 303, "{}", moved.text);
    let address = moved.location().to_owned();
    let id = address.rsplit('/').next().unwrap();
    when(&node.node, id, is_over);
    let shown = writer.get(&address).await;
    assert!(shown.texts("main").join("").contains("Done"), "{}", shown.text);
    assert!(shown.texts("h1").join("").contains("Move shared/bad/"));
    assert_eq!(keys(&node.node, "/shared?list-type=2&prefix=worse/&encoding-type=url").len(), number);
    let page = writer.get("/ui/buckets/shared/work?item=worse%2F").await;
    let deleted = writer.submit(&page, begin, &[("do", "delete"), ("confirm", "shared")]).await;
    let id = deleted.location().rsplit('/').next().unwrap();
    assert_eq!(when(&node.node, id, is_over)["done"], number);
    let reader = world::browser(&node, Role::Reader).await;
    assert_eq!(reader.get(&address).await.status, 404);
    let json = [("accept", "application/json")];
    let live = writer.ask("GET", &address, &json, None).await;
    assert!(live.text.contains(r#""status":"done""#), "{}", live.text);
    let list = writer.get("/ui/jobs").await;
    assert_eq!(list.texts("tbody tr").len(), 2);
    assert!(list.attributes("img", "src").is_empty() && !list.text.contains("./jobs.js"));
    let forged = writer.post(begin, &[("do", "delete"), ("item", "folder/"), ("confirm", "shared")]).await;
    assert_eq!(forged.status, 403);
    let token = writer.token().await;
    let none = writer.post("/ui/buckets/shared/work", &[("csrf", &token)]).await;
    assert_eq!(none.status, 303, "an empty selection is not the whole bucket");
    let none = writer.post(begin, &[("csrf", &token), ("do", "delete"), ("confirm", "shared")]).await;
    assert_eq!(none.status, 400);
}

#[actix_rt::test]
async fn failures_are_shown_harmless_and_lead_to_their_reasons() {
    let node = world::node();
    let key = "\"><img src=x onerror=alert(1)>";
    let order = json!({ "action": "copy", "bucket": "shared", "keys": [key], "to": "x/" });
    node.node.put("/shared/%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E", b"x");
    node.node.create_bucket("closed");
    let order = {
        let mut order = order;
        order["to_bucket"] = json!("closed");
        order
    };
    let job = carried_out(&node.node, READER, &order);
    assert_eq!(job["failed"], 1, "{job}");
    let reader = world::browser(&node, Role::Reader).await;
    let page = reader.get(&format!("/ui/jobs/{}", job["id"].as_str().unwrap())).await;
    assert!(page.attributes("main img", "src").is_empty(), "{}", page.text);
    assert!(page.texts("tbody td code").contains(&"AccessDenied".to_owned()));
    let why = page.attributes("td.actions a", "href").remove(0);
    assert_eq!(reader.get(&why).await.status, 200);
}
