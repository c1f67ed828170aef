//! The load generator against a live node, as docs/development.md runs it: what it reports is what happened.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use serde_json::Value;
use support::{Node, binary};

/// Runs `myfsio-load` with these words; whether all was good, what it printed, and its figures of the first endpoint.
fn drive(node: &Node, words: &str) -> (Result<bool, String>, String, Value) {
    let json = node.root().with_file_name("figures.json");
    let (endpoint, json_text) =
        (format!("name=node,url={},pid={}", node.endpoint(), node.pid()), json.to_str().unwrap());
    let mut arguments = vec!["myfsio-load"];
    arguments.extend(words.split_whitespace());
    arguments.extend(["--endpoint", &endpoint, "--json", json_text]);
    let mut printed = Vec::new();
    let good = myfsio_load::drive(arguments, &mut printed);
    let figures = std::fs::read(&json).map(|bytes| serde_json::from_slice(&bytes).unwrap()).unwrap_or(Value::Null);
    let _ = std::fs::remove_file(json);
    (good, String::from_utf8(printed).unwrap(), figures["endpoints"][0]["median"].clone())
}

#[test]
fn every_operation_is_driven_and_measured() {
    let node = Node::start(&[]);
    for (operation, options) in [
        ("put", "--duration 1s --connections 4"),
        ("get", "--duration 300ms --connections 4 --keys 50"),
        ("get", "--duration 300ms --connections 2 --keys 3 --size 1MiB --range 10KiB"),
        ("head", "--duration 300ms --keys 50"),
        ("list", "--duration 300ms --connections 2 --keys 50 --delimiter / --pages first"),
        ("delete", "--duration 300ms --connections 4 --keys 500"),
        ("multipart", "--count 2 --connections 2 --size 12MiB --part-size 5MiB"),
        ("part", "--count 3 --connections 3 --size 12MiB --part-size 5MiB --rounds 2"),
        ("mixed", "--duration 500ms --connections 4 --keys 50 --mix get=3,put=3,head=1,delete=1,list=1"),
    ] {
        let (good, printed, figures) = drive(&node, &format!("run --op {operation} {options}"));
        assert_eq!(good, Ok(true), "{operation}: {printed}");
        assert!(figures["operations"].as_u64().unwrap() > 0, "{operation}: {figures}");
        assert!(figures["operations_per_second"].as_f64().unwrap() > 0.0, "{operation}: {figures}");
        assert!(figures["p50_ms"].as_f64().unwrap() > 0.0, "{operation}: {figures}");
        assert!(figures["p50_ms"].as_f64() <= figures["max_ms"].as_f64(), "{operation}: {figures}");
        assert!(figures["memory"]["rss_kib"].as_u64().unwrap() > 1000, "{operation}: {figures}");
        assert!(figures["cpu_us_per_operation"].is_number(), "{operation}: {figures}");
        assert!(printed.contains("operations/s"), "{printed}");
        assert_eq!(figures["complete_ms"].is_number(), matches!(operation, "part" | "multipart"), "{figures}");
    }
    assert_eq!(node.status("/load-bucket/load/00000000"), 200, "a multipart upload was completed");
}

#[test]
fn a_count_is_done_exactly_and_lies_in_files() {
    let node = Node::start(&[]);
    let (good, printed, _) = drive(&node, "fill --keys 1200 --key-shape deep --size 100 --prefix x/");
    assert_eq!(good, Ok(true), "{printed}");
    assert!(printed.starts_with("node: 1200 objects, "), "{printed}");
    let (good, _, figures) =
        drive(&node, "run --prepared --op put --count 10 --connections 4 --keys 10 --size 7 --prefix y/");
    assert_eq!((good, figures["operations"].as_u64()), (Ok(true), Some(10)));
    let last = "/load-bucket/x/0001/sub/dir/0199";
    assert_eq!(node.ask("GET", last, &[], b"").body.len(), 100);
    assert_eq!(node.status("/load-bucket/x/0001/sub/dir/0200"), 404, "one more than asked for");
    assert_eq!(node.ask("GET", "/load-bucket/y/00000009", &[], b"").body.len(), 7);
}

#[test]
fn failures_are_counted_by_kind_and_never_as_operations() {
    let node = Node::start(&[]);
    assert_eq!(drive(&node, "fill --keys 20 --size 100").0, Ok(true));
    let reads = "run --prepared --op get --count 40 --connections 2 --keys 20";
    let failed = |words: &str| {
        let (good, printed, figures) = drive(&node, words);
        assert_eq!(good, Ok(false), "{printed}");
        assert_eq!(figures["operations"].as_u64(), Some(0), "{figures}");
        assert!(printed.contains("FAILED"), "{printed}");
        figures["errors"].clone()
    };
    let wrong_length = failed(&format!("{reads} --size 101"));
    assert_eq!(wrong_length["unexpected answer: the object's length is another"], 40, "{wrong_length}");
    let absent = failed(&format!("{reads} --size 100 --prefix absent/"));
    assert_eq!(absent["404 NoSuchKey"], 40, "{absent}");
    let forged = failed(&format!("{reads} --size 100 --secret-key wrong-secret"));
    assert_eq!(forged["403 SignatureDoesNotMatch"], 40, "{forged}");
    let (good, ..) = drive(&node, "run --op get --secret-key wrong-secret");
    assert!(good.unwrap_err().contains("403 SignatureDoesNotMatch"), "nothing could be prepared");
}

#[test]
fn a_node_that_is_gone_is_told_and_not_waited_for() {
    let node = Node::start(&[]);
    let endpoint = node.endpoint();
    drop(node);
    let mut printed = Vec::new();
    let arguments = ["myfsio-load", "run", "--prepared", "--count", "3", "--connections", "1", "--url", &endpoint];
    assert_eq!(myfsio_load::drive(arguments, &mut printed), Ok(false));
    let printed = String::from_utf8(printed).unwrap();
    assert!(printed.contains("3 × FAILED: connect: connection refused"), "{printed}");
}

#[test]
fn two_endpoints_stand_side_by_side() {
    let nodes = [Node::start(&[]), Node::start(&[("DURABILITY", "relaxed")])];
    let second = format!("name=relaxed,url={},pid={}", nodes[1].endpoint(), nodes[1].pid());
    let words = format!("run --op put --count 50 --connections 4 --rounds 3 --fresh --endpoint {second}");
    let (good, printed, _) = drive(&nodes[0], &words);
    assert_eq!(good, Ok(true), "{printed}");
    let heading: Vec<&str> = printed.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(heading, ["relaxed", "node", "relaxed", ":", "node"]);
    for node in &nodes {
        for round in 1..=3 {
            assert_eq!(node.status(&format!("/load-bucket/load/round-{round}/00000049")), 200, "round {round}");
        }
    }
}

/// Runs parts of the suite below a folder of its own: whether all was good, what it printed, and what it wrote as JSON.
fn suite(words: &str, node: &str) -> (Result<bool, String>, String, Value) {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("suite.json");
    let mut arguments = vec!["myfsio-load", "suite", "--quick", "--node", node];
    arguments.extend(["--dir", dir.path().to_str().unwrap(), "--json", json.to_str().unwrap()]);
    arguments.extend(words.split_whitespace());
    let mut printed = Vec::new();
    let good = myfsio_load::drive(arguments, &mut printed);
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["suite.json"], "data is left over");
    let results = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    (good, String::from_utf8(printed).unwrap(), results)
}

#[test]
fn the_suite_starts_a_node_and_judges_what_it_does() {
    let (good, printed, results) = suite("--only large --large 64MiB", &binary());
    assert_eq!(good, Ok(true), "{printed}");
    let figures: Vec<&str> =
        results["checks"].as_array().unwrap().iter().map(|check| check["figure"].as_str().unwrap()).collect();
    assert_eq!(figures, ["CompleteMultipartUpload of 0.0625 GiB", "8 parallel UploadParts: throughput"]);
    for check in results["checks"].as_array().unwrap() {
        assert!(check["met"].is_boolean(), "{check}");
    }
    assert!(printed.contains("| 1 × 64 MiB, 8 connections | parts of one upload | "), "{printed}");
    assert!(printed.contains("no measurement"), "{printed}");
}

#[test]
fn a_suite_whose_node_does_not_start_fails_and_says_why() {
    let (good, printed, results) = suite("--only reads,large", "/bin/false");
    assert_eq!(good, Ok(false));
    assert!(printed.contains("FAILED, Reads: node did not start"), "{printed}");
    assert!(printed.contains("FAILED, Large: node did not start"), "{printed}");
    assert_eq!(results["checks"].as_array().unwrap().len(), 0);
}
