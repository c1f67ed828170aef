//! What people do beside S3: edit files, drop files in, check a data directory, make its index anew, and mistype settings.

mod bad_settings;

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{self, Node};

/// Waits until a plain file holds these bytes: it follows the answer within a moment.
fn wait_for(path: &Path, bytes: &[u8]) {
    let end = Instant::now() + Duration::from_secs(10);
    while std::fs::read(path).ok().as_deref() != Some(bytes) {
        assert!(Instant::now() < end, "{}", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn json_of(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn status(output: &Output) -> Option<i32> {
    output.status.code()
}

#[test]
fn an_edited_file_is_served_as_it_is_now() {
    let node = Node::start(&[]);
    node.create_bucket("edits");
    node.put("/edits/notes.txt", b"first");
    let path = node.root().join("edits/notes.txt");
    wait_for(&path, b"first");
    let before = node.ask("HEAD", "/edits/notes.txt", &[], b"");
    std::fs::write(&path, b"by hand").unwrap();
    let head = node.ask("HEAD", "/edits/notes.txt", &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some("7")));
    assert_ne!(head.header("etag"), before.header("etag"));
    let get = node.ask("GET", "/edits/notes.txt", &[], b"");
    assert_eq!((get.status, &get.body[..]), (200, &b"by hand"[..]));
    assert_eq!(get.header("etag"), head.header("etag"));
    assert!(node.ask("GET", "/edits?list-type=2", &[], b"").text().contains("<Size>7</Size>"));
}

#[test]
fn files_dropped_into_a_bucket_are_adopted_by_administrators() {
    let node = Node::start(&[]);
    node.create_bucket("drops");
    node.add_users(&[json!({
        "access_key": "user", "secret_key": "secret", "display_name": "user",
        "policies": [{"bucket": "*", "actions": ["read", "write", "list", "delete", "policy"]}],
    })]);
    std::fs::create_dir(node.root().join("drops/2024")).unwrap();
    std::fs::write(node.root().join("drops/2024/a.jpg"), b"a photo").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", node.root().join("drops/passwd")).unwrap();
    let adopt = "/_myfsio/buckets/drops/adopt";
    for (who, expected) in [(None, 403), (Some(("user", "secret")), 403), (Some(("user", "wrong")), 403)] {
        let reply = node.ask_as(who, "POST", adopt, &[], b"");
        assert_eq!(reply.status, expected, "{who:?}");
        let error: Value = serde_json::from_str(&reply.text()).unwrap();
        assert!(error["error"]["code"].is_string() && error["error"]["request_id"].is_string(), "{error}");
    }
    assert_eq!(node.status("/drops/2024/a.jpg"), 404);
    let reply = node.ask_signed(support::ADMIN, "POST", adopt, &[], b"");
    let told: Value = serde_json::from_str(&reply.text()).unwrap();
    assert_eq!(
        (reply.status, &told["adopted"], &told["bytes"], &told["skipped"]),
        (200, &json!(1), &json!(7), &json!(1))
    );
    assert_eq!(told["skipped_first"][0]["path"], "drops/passwd");
    let get = node.ask("GET", "/drops/2024/a.jpg", &[], b"");
    assert_eq!((get.status, &get.body[..]), (200, &b"a photo"[..]));
    assert_eq!(node.ask("POST", "/_myfsio/buckets/nobody/adopt", &[], b"").status, 404);
    assert_eq!(node.ask("GET", adopt, &[], b"").status, 405);
    assert_eq!(node.ask("GET", "/_myfsio/unknown", &[], b"").status, 501);
    assert_eq!(node.ask("PUT", "/_myfsio", &[], b"").status, 400, "no name for a bucket");
}

#[test]
fn a_directory_is_checked_mended_and_indexed_anew() {
    let mut node = Node::start(&[]);
    node.create_bucket("kept");
    node.put("/kept/a", b"aaa");
    node.put("/kept/b//c", b"odd");
    node.put("/kept/lost", b"lost");
    let running = node.run(&["fsck"]);
    assert_eq!(status(&running), Some(1));
    let told = String::from_utf8_lossy(&running.stderr);
    assert!(told.contains("another process") && told.lines().count() == 1, "{told}");
    node.stop();

    let audit = node.root().join(".myfsio.sys/audit/audit.jsonl");
    let log = std::fs::read_to_string(&audit).unwrap();
    assert!(log.contains("s3:CreateBucket"));
    let clean = node.run(&["fsck", "--data", "--json"]);
    assert_eq!((status(&clean), &json_of(&clean)["status"]), (Some(0), &json!("clean")));
    assert_eq!(json_of(&clean)["checked"]["objects"], 3);

    std::fs::write(node.root().join("kept/a"), b"edited").unwrap();
    std::fs::remove_file(node.root().join("kept/lost")).unwrap();
    std::fs::write(node.root().join("kept/new"), b"new").unwrap();
    let found = node.run(&["fsck", "--json"]);
    assert_eq!(status(&found), Some(1));
    let findings = json_of(&found);
    let mut names: Vec<_> =
        findings["findings"].as_array().unwrap().iter().map(|f| f["difference"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["edited-file", "missing-file", "unknown-file"]);
    let text = String::from_utf8(node.run(&["fsck"]).stdout).unwrap();
    assert!(text.contains("missing-file  kept/lost: 4 bytes are lost\n"), "{text}");

    let mended = node.run(&["fsck", "--repair"]);
    assert_eq!(status(&mended), Some(1), "what is lost stays lost");
    assert!(String::from_utf8_lossy(&mended.stderr).contains("2 of 3 differences are left"));
    assert_eq!(status(&node.run(&["reindex", "kept"])), Some(0));
    assert_eq!(json_of(&node.run(&["fsck", "--json"]))["status"], "clean");

    std::fs::remove_file(node.root().join(".myfsio.sys/index.redb")).unwrap();
    let refused = node.run(&["serve"]);
    assert_eq!(status(&refused), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("reindex"));
    let rebuilt = node.run(&["reindex", "--json"]);
    assert_eq!((status(&rebuilt), &json_of(&rebuilt)["status"]), (Some(0), &json!("clean")));
    assert_eq!(json_of(&rebuilt)["checked"]["objects"], 3);
    assert_eq!(std::fs::read_to_string(&audit).unwrap(), log, "the audit log is nobody's to mend");

    node.restart();
    for (target, body) in [("/kept/a", &b"edited"[..]), ("/kept/b//c", b"odd"), ("/kept/new", b"new")] {
        let reply = node.ask("GET", target, &[], b"");
        assert_eq!((reply.status, &reply.body[..]), (200, body), "{target}");
    }
    assert_eq!(node.status("/kept/lost"), 404);
}
