//! More than the node has room for: too many requests, clients that are slow or stand still, thousands that do nothing.
//!
//! Each test also plays a client that behaves, which must be served promptly all the while.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Node, Wire, head};

const MIB: u64 = 1 << 20;
/// Slow clients of a kind.
const CLIENTS: usize = 300;
/// Longest time that the node is given to find a client slow whose patience was set to 2 s, on a machine that does much else.
const GIVEN_UP: Duration = Duration::from_secs(12);
const IDLE_CONNECTIONS: usize = 10_000;

fn node(settings: &[(&str, &str)]) -> Node {
    let node = Node::start(settings);
    node.create_bucket("bkt");
    node
}

/// Writes, reads and lists as a client that behaves.
fn assert_serves(node: &Node) {
    let start = Instant::now();
    let body = [7; 200_000];
    node.put("/bkt/good", &body);
    assert_eq!(node.ask("GET", "/bkt/good", &[], b"").body, body);
    assert_eq!(node.status("/bkt?list-type=2"), 200);
    assert!(start.elapsed() < Duration::from_secs(5), "a client that behaves waited {:?}", start.elapsed());
}

/// Waits until the node has given up all clients but those that it had before; serves others meanwhile.
fn assert_given_up(node: &Node, files_before: usize) {
    let end = Instant::now() + GIVEN_UP;
    // The pool of staged files, and the folders kept open, may have grown a little.
    while node.open_files() > files_before + CLIENTS / 10 {
        assert!(Instant::now() < end, "{} files are open, {files_before} were before", node.open_files());
        assert_serves(node);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_serves(node);
}

fn assert_grew_less(node: &Node, before: u64, bytes: u64, what: &str) {
    let grown = node.resident_bytes().saturating_sub(before);
    println!("{what}: {:.1} MiB more resident memory", grown as f64 / MIB as f64);
    assert!(grown < bytes, "{what}: memory grew by {grown} bytes");
}

#[test]
fn requests_beyond_the_places_are_refused_before_their_bodies() {
    let node = node(&[("REQUESTS_MAX", "4")]);
    let expecting = head(&node, "PUT", "/bkt/k") + "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    let mut placed: Vec<Wire> = (0..4)
        .map(|_| {
            let mut wire = node.open();
            wire.write(&expecting);
            assert_eq!(wire.read("PUT").status, 100);
            wire
        })
        .collect();
    // None of them sends a byte of its body.
    let large = head(&node, "PUT", "/bkt/k") + "Content-Length: 1000000000\r\n\r\n";
    for request in [&expecting, &large, &(head(&node, "GET", "/bkt/k") + "\r\n")] {
        let start = Instant::now();
        let mut wire = node.open();
        wire.write(request);
        let reply = wire.read("PUT");
        assert_eq!((reply.status, reply.code().as_str()), (503, "SlowDown"), "{reply:?}");
        assert!(reply.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{reply:?}");
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }
    assert!(node.healthy(), "health takes no place");
    for wire in &mut placed {
        wire.write("hello");
        assert_eq!(wire.read("PUT").status, 200);
    }
    assert_serves(&node);
}

#[test]
fn heads_that_drip_are_given_up() {
    let node = node(&[("REQUEST_TIMEOUT_SECONDS", "2")]);
    assert_serves(&node);
    let (files, memory) = (node.open_files(), node.resident_bytes());
    let mut wires: Vec<Wire> = (0..CLIENTS).map(|_| node.open()).collect();
    // Every other one has sent a request before; every tenth has sent much of its head already.
    for wire in wires.iter_mut().skip(1).step_by(2) {
        wire.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(wire.read("GET").status, 200);
    }
    let begun = format!("GET / HTTP/1.1\r\nHost: x\r\nx-amz-meta-a: {}", "v".repeat(100_000));
    for wire in wires.iter_mut().step_by(10) {
        wire.write(&begun);
    }
    let end = Instant::now() + GIVEN_UP;
    while !wires.is_empty() {
        assert!(Instant::now() < end, "{} clients go on dripping", wires.len());
        wires.retain_mut(|wire| wire.try_write(b"G"));
        assert_grew_less(&node, memory, 32 * MIB, "heads that drip");
        assert_serves(&node);
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_given_up(&node, files);
}

#[test]
fn bodies_that_stall_are_given_up() {
    let node = node(&[("REQUEST_TIMEOUT_SECONDS", "2")]);
    assert_serves(&node);
    let (files, memory) = (node.open_files(), node.resident_bytes());
    let mut wires: Vec<Wire> = (0..CLIENTS)
        .map(|i| {
            let mut wire = node.open();
            wire.write(head(&node, "PUT", &format!("/bkt/{i}")) + "Content-Length: 10000000\r\n\r\n");
            wire.write(vec![7; 300_000]);
            wire
        })
        .collect();
    assert_serves(&node);
    assert_grew_less(&node, memory, CLIENTS as u64 * MIB + 32 * MIB, "bodies that stall");
    for wire in &mut wires {
        let reply = wire.read("PUT");
        assert_eq!((reply.status, reply.code().as_str()), (400, "RequestTimeout"), "{reply:?}");
    }
    assert_given_up(&node, files);
}

#[test]
fn answers_that_nobody_takes_are_given_up() {
    let node = node(&[("REQUEST_TIMEOUT_SECONDS", "2")]);
    node.put("/bkt/large", &vec![7; 16 * MIB as usize]);
    assert_serves(&node);
    let (files, memory) = (node.open_files(), node.resident_bytes());
    let stalled: Vec<Wire> = (0..CLIENTS)
        .map(|_| {
            let mut wire = node.open();
            wire.narrow();
            wire.write(head(&node, "GET", "/bkt/large") + "\r\n");
            wire
        })
        .collect();
    assert_serves(&node);
    assert_grew_less(&node, memory, 128 * MIB, "answers that nobody takes");
    assert_given_up(&node, files);
    drop(stalled);
}

#[test]
fn ten_thousand_idle_connections_are_held() {
    let hard = getrlimit(Resource::Nofile).maximum;
    let needed = (IDLE_CONNECTIONS + 4096) as u64;
    if hard.is_some_and(|files| files < needed) {
        eprintln!("SKIPPED: ten_thousand_idle_connections_are_held needs ulimit -Hn {needed}, it is {hard:?}");
        return;
    }
    setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard }).unwrap();
    // The node raises its own limit.
    let node = Node::start_limited("-Sn 1024", &[]);
    node.create_bucket("bkt");
    assert_serves(&node);
    let memory = node.resident_bytes();
    let start = Instant::now();
    let mut idle: Vec<Wire> = (0..IDLE_CONNECTIONS)
        .map(|_| {
            let mut wire = node.open();
            wire.write(head(&node, "HEAD", "/bkt/good") + "\r\n");
            assert_eq!(wire.read("HEAD").status, 200);
            wire
        })
        .collect();
    println!("{IDLE_CONNECTIONS} connections opened in {:?}", start.elapsed());
    assert_grew_less(&node, memory, 256 * MIB, "idle connections");
    assert_serves(&node);
    assert!(node.open_files() > IDLE_CONNECTIONS);
    for wire in idle.iter_mut().step_by(7) {
        wire.write(head(&node, "HEAD", "/bkt/good") + "\r\n");
        assert_eq!(wire.read("HEAD").status, 200, "an idle connection was closed");
    }
}

#[test]
fn connections_leave_files_for_requests() {
    let node = Node::start_limited("-n 800", &[("HTTP_WORKERS", "2")]);
    node.create_bucket("bkt");
    assert!(node.log().contains("the limit of open files is too low"), "{}", node.log());
    // (800 - 512) / 3, as docs/design.md has it.
    let mut held: Vec<Wire> = (0..96).map(|_| node.open()).collect();
    for (i, wire) in held.iter_mut().enumerate() {
        wire.write(head(&node, "PUT", &format!("/bkt/{i}")) + "Content-Length: 1000000\r\n\r\n");
        wire.write(vec![7; 600_000]);
    }
    let mut waiting = node.open();
    waiting.write(head(&node, "GET", "/bkt/0") + "\r\n");
    waiting.patience(Duration::from_millis(500));
    assert!(waiting.try_read("GET").is_none(), "a connection too many");
    for wire in &mut held {
        wire.write(vec![7; 400_000]);
        assert_eq!(wire.read("PUT").status, 200);
    }
    drop(held);
    waiting.patience(Duration::from_secs(5));
    assert_eq!(waiting.read("GET").status, 200);
    assert_serves(&node);
}
