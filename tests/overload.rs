//! More than the node has room for: too many requests, clients that are slow or stand still, thousands that do nothing.
//!
//! Each test also plays a client that behaves, which must be served promptly all the while.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::net::Ipv4Addr;
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

/// What the node tells of its connections, asked over one of them.
fn open_connections(wire: &mut Wire) -> (u64, u64) {
    wire.write("GET /_myfsio/metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a-token-for-scrapers\r\n\r\n");
    let metrics = wire.read("GET").text();
    let of = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)?.parse().ok()).expect(name);
    (of("myfsio_connections_open "), of("myfsio_connections_refused_total "))
}

/// Bodies and answers that are under way move on a little, again and again: memory depends on how many there are, not on how far they are.
#[test]
fn slow_writers_and_readers_hold_no_memory() {
    const STEP: usize = 128 << 10;
    const STEPS: usize = 12;
    let node = node(&[]);
    node.put("/bkt/large", &vec![7; STEP * STEPS * 2]);
    assert_serves(&node);
    let memory = node.resident_bytes();
    let mut writers: Vec<Wire> = (0..CLIENTS / 2).map(|_| node.open()).collect();
    for (i, wire) in writers.iter_mut().enumerate() {
        wire.write(head(&node, "PUT", &format!("/bkt/{i}")) + &format!("Content-Length: {}\r\n\r\n", STEP * STEPS));
    }
    let mut readers: Vec<Wire> = (0..CLIENTS / 2).map(|_| node.open()).collect();
    for wire in &mut readers {
        wire.write(head(&node, "GET", "/bkt/large") + "\r\n");
    }
    let step = vec![7; STEP];
    for number in 0..STEPS {
        writers.iter_mut().for_each(|wire| wire.write(&step));
        readers.iter_mut().for_each(|wire| wire.take(STEP));
        let sent = (CLIENTS * STEP * number) as u64;
        // The allocator gives back a moment later what bodies let go of.
        let end = Instant::now() + GIVEN_UP;
        while node.resident_bytes().saturating_sub(memory) >= 128 * MIB && Instant::now() < end {
            assert_serves(&node);
        }
        assert_grew_less(&node, memory, 128 * MIB, &format!("slow bodies and answers after {sent} bytes"));
    }
    for wire in &mut writers {
        assert_eq!(wire.read("PUT").status, 200);
    }
    assert_serves(&node);
}

#[test]
fn a_stop_waits_for_what_is_under_way() {
    let mut node = node(&[("SHUTDOWN_TIMEOUT_SECONDS", "60")]);
    let body = vec![7; 3_000_000];
    node.put("/bkt/large", &body);
    let mut upload = node.open();
    upload.write(head(&node, "PUT", "/bkt/late") + &format!("Content-Length: {}\r\n\r\n", body.len()));
    upload.write(&body[..1_000_000]);
    let mut download = node.open();
    download.write(head(&node, "GET", "/bkt/large") + "\r\n");
    download.take(1000);
    let mut idle = node.open();
    idle.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(idle.read("GET").status, 200);
    node.ask_to_stop();
    assert!(idle.is_closed(), "an idle connection is not waited for");
    let end = Instant::now() + GIVEN_UP;
    while Wire::try_open(node.port).is_ok_and(|mut wire| !wire.is_closed()) {
        assert!(Instant::now() < end, "new clients are let in");
    }
    upload.write(&body[1_000_000..]);
    let reply = upload.read("PUT");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(download.read("GET").body.len(), body.len());
    node.wait_for_end();
    node.restart();
    assert_eq!(node.ask("GET", "/bkt/late", &[], b"").body, body);
}

#[test]
fn a_stop_waits_no_longer_than_it_is_told_to() {
    let mut node = node(&[("SHUTDOWN_TIMEOUT_SECONDS", "1")]);
    let mut stalled = node.open();
    stalled.write(head(&node, "PUT", "/bkt/never") + "Content-Length: 3000000\r\n\r\n");
    stalled.write(vec![7; 1_000_000]);
    assert_serves(&node);
    let start = Instant::now();
    node.stop();
    assert!(start.elapsed() < Duration::from_secs(20), "it waited {:?}", start.elapsed());
    assert!(stalled.is_closed());
    node.restart();
    assert_eq!(node.status("/bkt/never"), 404);
    assert_serves(&node);
}

#[test]
fn one_address_cannot_take_all_connections() {
    let node = node(&[("CONNECTIONS_PER_ADDRESS_MAX", "8"), ("METRICS_TOKEN", "a-token-for-scrapers")]);
    let health = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut held: Vec<Wire> = Vec::new();
    let end = Instant::now() + GIVEN_UP;
    while held.len() < 8 {
        let mut wire = node.open();
        wire.write(health);
        match wire.try_read("GET") {
            Some(reply) if reply.status == 200 => held.push(wire),
            // Connections that were closed before may still be counted.
            _ => assert!(Instant::now() < end, "{} connections get in", held.len()),
        }
    }
    let mut refused = node.open();
    let reply = refused.read("GET");
    assert_eq!((reply.status, reply.code().as_str()), (503, "SlowDown"), "{reply:?}");
    assert_eq!((reply.header("retry-after"), reply.header("connection")), (Some("1"), Some("close")), "{reply:?}");
    assert!(refused.is_closed());
    // Those of another address are not affected, nor those that are open.
    let mut other = Wire::from(Ipv4Addr::new(127, 0, 0, 2), node.port);
    let (open, refused) = open_connections(&mut other);
    assert!(open == 9 && refused >= 1, "{open} open, {refused} refused");
    for wire in &mut held {
        wire.write(health);
        assert_eq!(wire.read("GET").status, 200);
    }
    drop(held);
    let end = Instant::now() + GIVEN_UP;
    while open_connections(&mut other).0 > 1 {
        assert!(Instant::now() < end, "connections that were closed are still counted");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_serves(&node);
}

#[test]
fn a_listed_proxy_may_have_as_many_connections_as_it_likes() {
    let node = node(&[("CONNECTIONS_PER_ADDRESS_MAX", "2"), ("TRUSTED_PROXIES", "127.0.0.1")]);
    let mut held: Vec<Wire> = (0..10).map(|_| node.open()).collect();
    for wire in &mut held {
        wire.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(wire.read("GET").status, 200);
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
