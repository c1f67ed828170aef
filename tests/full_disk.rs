//! A full device: new objects are refused with 507, what was acknowledged is there, reads and deletes go on, and the node
//! recovers by itself — filled by the node's own objects, by another program to the last byte, and across kill -9.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use support::device::{Device, ballast_bytes};
use support::{Node, element};

const BALLAST: u64 = 4 << 20;

fn start(device: &Device, settings: &[(&str, &str)]) -> Node {
    try_start(device, settings).unwrap_or_else(|log| panic!("the node ended at its start: {log}"))
}

fn try_start(device: &Device, settings: &[(&str, &str)]) -> Result<Node, String> {
    let root = device.path().join("data");
    let ballast = BALLAST.to_string();
    let mut all = vec![("STORAGE_ROOT", root.to_str().unwrap()), ("BALLAST_BYTES", ballast.as_str())];
    all.extend_from_slice(settings);
    Node::try_start(&all)
}

/// Bytes of an object, different for each.
fn bytes(seed: usize, size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 131 + seed * 31 + i / 4096) as u8).collect()
}

fn target(key: &str) -> String {
    format!("/bkt/{key}")
}

/// What a client knows of the bucket.
#[derive(Debug, Default)]
struct Known {
    /// What was acknowledged: key, and seed and size of its bytes.
    there: BTreeMap<String, (usize, usize)>,
    /// Changes that were under way when the last byte was taken, and whose client was told nothing: done or not.
    unsure: BTreeSet<String>,
}

impl Known {
    /// Puts objects of these sizes in turn until they are refused for want of space, also a little later, when the node has
    /// looked at the device again.
    fn fill(&mut self, node: &Node, prefix: &str, sizes: &[usize]) {
        let mut refused = false;
        for n in 0.. {
            let size = sizes[n % sizes.len()];
            let key = format!("{prefix}/{}/{n}", n % 10);
            let reply = node.ask("PUT", &target(&key), &[], &bytes(n, size));
            match reply.status {
                200 => {
                    self.there.insert(key, (n, size));
                    refused = false;
                    continue;
                }
                507 => {
                    assert_eq!(reply.code(), "InsufficientStorage");
                    assert!(reply.text().contains("not enough space"), "{reply:?}");
                }
                503 => {
                    assert_eq!(reply.code(), "ServiceUnavailable");
                    self.unsure.insert(key);
                }
                _ => panic!("{reply:?}"),
            }
            if refused {
                return;
            }
            refused = true;
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// Four writers put objects while another program takes all there is, until each of them is refused.
    fn fill_with_another(&mut self, node: &Node, device: &Device, sizes: &[usize]) {
        std::thread::scope(|scope| {
            let write = |writer: usize| {
                let mut known = Self::default();
                known.fill(node, &format!("w{writer}"), sizes);
                known
            };
            let writers: Vec<_> = (0..4).map(|writer| scope.spawn(move || write(writer))).collect();
            wait_for("something to lose", node, || listed(node).len() >= 60);
            device.fill();
            for writer in writers {
                let mut known = writer.join().unwrap();
                self.there.append(&mut known.there);
                self.unsure.append(&mut known.unsure);
            }
        });
    }

    /// Everything acknowledged is listed and has its bytes, and nothing else is listed.
    fn check(&self, node: &Node) {
        assert!(!self.there.is_empty());
        for (key, (seed, size)) in &self.there {
            let reply = node.ask("GET", &target(key), &[], b"");
            assert_eq!(reply.status, 200, "{key}: {reply:?}");
            assert!(reply.body == bytes(*seed, *size), "{key} has other bytes");
        }
        let sure: BTreeSet<String> = self.there.keys().filter(|key| !self.unsure.contains(*key)).cloned().collect();
        let listed: BTreeSet<String> = listed(node).into_iter().filter(|key| !self.unsure.contains(key)).collect();
        assert_eq!(listed, sure);
    }

    fn delete(&mut self, node: &Node, count: usize) {
        let keys: Vec<String> = self.there.keys().take(count).cloned().collect();
        assert_eq!(keys.len(), count);
        for key in keys {
            let reply = node.ask("DELETE", &target(&key), &[], b"");
            assert_eq!(reply.status, 204, "{key}: {reply:?}");
            self.there.remove(&key);
            assert_eq!(node.status(&target(&key)), 404, "{key} is back");
        }
    }

    /// New objects are taken again, all is well, and nothing was lost.
    fn recovered(&mut self, node: &Node) {
        wait_for("space", node, || node.ask("PUT", "/bkt/later", &[], &bytes(5, 70_000)).status == 200);
        self.there.insert("later".to_owned(), (5, 70_000));
        wait_for("well", node, || health(node).0 == "ok");
        self.check(node);
    }
}

/// All keys of the bucket.
fn listed(node: &Node) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    loop {
        let after = keys.last().map(|key| key.replace('/', "%2F")).unwrap_or_default();
        let page = node.ask("GET", &format!("/bkt?list-type=2&start-after={after}"), &[], b"").text();
        let before = keys.len();
        keys.extend(page.split("<Key>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()));
        if keys.len() == before {
            return keys;
        }
    }
}

/// Status and reason of `/healthz`.
fn health(node: &Node) -> (String, String) {
    let document: serde_json::Value = serde_json::from_slice(&node.ask("GET", "/healthz", &[], b"").body).unwrap();
    let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

fn wait_for(what: &str, node: &Node, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "{what}: not within 20 s; {:?}; {}", health(node), node.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn wait_until_degraded(node: &Node) {
    wait_for("said", node, || health(node).0 == "degraded");
    assert!(health(node).1.contains("full"), "{:?}", health(node));
}

/// The settings of a node that encrypts.
const ENCRYPTED: &[(&str, &str)] = &[("ENCRYPTION_ENABLED", "true")];

/// Makes the bucket, whose objects are encrypted where the node is one of `ENCRYPTED`.
fn create_bucket(node: &Node, settings: &[(&str, &str)]) {
    node.create_bucket("bkt");
    if settings == ENCRYPTED {
        let rule = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>\
                    </ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
        let reply = node.ask("PUT", "/bkt?encryption", &[], rule.as_bytes());
        assert_eq!(reply.status, 200, "{reply:?}");
    }
}

/// What stands in the bucket's folder is sealed, whole or not, if anything is.
fn check_sealed(device: &Device, settings: &[(&str, &str)]) {
    let mut folders = vec![device.path().join("data/bkt")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if settings == ENCRYPTED {
                let bytes = std::fs::read(entry.path()).unwrap();
                assert!(bytes.is_empty() || bytes.starts_with(b"MYFSIOEN"), "{:?}", entry.path());
            }
        }
    }
}

#[test]
fn filled_by_its_own_objects() {
    by_its_own_objects(&[]);
}

#[test]
fn filled_by_its_own_encrypted_objects() {
    by_its_own_objects(ENCRYPTED);
}

fn by_its_own_objects(settings: &[(&str, &str)]) {
    let Some(device) = Device::mount(128, 16_384) else { return };
    let root = device.path().join("data");
    let mut node = start(&device, settings);
    create_bucket(&node, settings);
    node.create_bucket("empty");
    let upload = element(&node.ask("POST", "/bkt/mp?uploads", &[], b"").text(), "UploadId").unwrap();
    let part = format!("/bkt/mp?partNumber=1&uploadId={upload}");
    assert_eq!(node.ask("PUT", &part, &[], &bytes(1, 300_000)).status, 200);
    assert_eq!(ballast_bytes(&root), BALLAST);
    let mut known = Known::default();
    known.fill(&node, "large", &[2_000_000]);
    known.fill(&node, "small", &[100, 20_000, 300_000]);
    known.fill(&node, "tiny", &[100]);
    assert!(known.there.len() > 30, "{}", known.there.len());
    wait_until_degraded(&node);
    // The node stopped by itself: nothing of the ballast was needed.
    assert_eq!(ballast_bytes(&root), BALLAST);
    assert!(device.free() > 0);

    let copy = [("x-amz-copy-source", "/bkt/small/0/0")];
    let writes = [
        ("PUT", "/bkt/new", &[][..], &b"x"[..]),
        ("PUT", "/bkt/new", &[], b""),
        ("PUT", "/bkt/folder/", &[], b""),
        ("PUT", "/bkt/copy", &copy, b""),
        ("POST", "/bkt/new?uploads", &[], b""),
        ("PUT", part.as_str(), &[], b"abc"),
        ("PUT", "/other-bucket", &[], b""),
    ];
    for (method, target, headers, body) in writes {
        let reply = node.ask(method, target, headers, body);
        assert_eq!((reply.status, reply.code().as_str()), (507, "InsufficientStorage"), "{method} {target}: {reply:?}");
    }
    // Before the body, for those who ask.
    let mut wire = node.open();
    wire.write(format!(
        "PUT /bkt/new HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nX-Access-Key: localadmin\r\nX-Secret-Key: localadmin\r\n\
         Content-Length: 500000\r\nExpect: 100-continue\r\n\r\n",
        node.port
    ));
    assert_eq!(wire.read("PUT").status, 507);
    assert_eq!(node.status("/bkt/new"), 404);
    known.check(&node);
    assert_eq!(node.ask("DELETE", "/empty", &[], b"").status, 204);

    drop(node);
    check_sealed(&device, settings);
    node = start(&device, settings);
    known.check(&node);
    assert_eq!(node.ask("DELETE", &format!("/bkt/mp?uploadId={upload}"), &[], b"").status, 204);
    known.delete(&node, 12);
    known.recovered(&node);
}

#[test]
fn filled_by_another_program_under_load() {
    by_another_program(&[]);
}

#[test]
fn filled_by_another_program_under_an_encrypted_load() {
    by_another_program(ENCRYPTED);
}

fn by_another_program(settings: &[(&str, &str)]) {
    let Some(device) = Device::mount(128, 16_384) else { return };
    let root = device.path().join("data");
    let mut node = start(&device, settings);
    create_bucket(&node, settings);
    let mut known = Known::default();
    known.fill_with_another(&node, &device, &[3_000, 60_000, 200_000]);
    wait_until_degraded(&node);
    device.fill();
    known.check(&node);

    // Nothing is free but what the ballast holds, and nothing was lost.
    drop(node);
    node = start(&device, settings);
    known.check(&node);
    known.delete(&node, 20);
    known.check(&node);
    std::fs::remove_file(device.path().join("filler")).unwrap();
    known.recovered(&node);
    check_sealed(&device, settings);
    assert_eq!(ballast_bytes(&root), BALLAST);
}

#[test]
fn without_a_ballast_the_node_waits_and_reads_go_on() {
    let Some(device) = Device::mount(128, 16_384) else { return };
    let mut node = start(&device, &[("BALLAST_BYTES", "0")]);
    node.create_bucket("bkt");
    let mut known = Known::default();
    known.fill_with_another(&node, &device, &[100_000]);
    wait_until_degraded(&node);
    known.check(&node);
    // Deletes wait in the journal; when that is full they are refused, since waiting ones would take the places of readers.
    for key in known.there.keys().cloned().collect::<Vec<_>>() {
        let reply = node.ask("DELETE", &target(&key), &[], b"");
        match reply.status {
            204 => drop(known.there.remove(&key)),
            503 => drop(known.unsure.insert(key)),
            507 => {}
            _ => panic!("{key}: {reply:?}"),
        }
    }
    known.there.retain(|key, _| !known.unsure.contains(key));
    assert!(known.unsure.len() < 10, "{:?}", known.unsure);
    assert_eq!(node.status("/bkt?list-type=2"), 200);

    // What waits in the journal needs space to be replayed.
    drop(node);
    let log = try_start(&device, &[("BALLAST_BYTES", "0")]).map(drop).expect_err("it needs space");
    assert!(log.contains("exit status: 1") && log.contains("no space left on the device of"), "{log}");
    let filler = device.path().join("filler");
    let size = std::fs::metadata(&filler).unwrap().len();
    std::fs::File::options().write(true).open(&filler).unwrap().set_len(size - (30 << 20)).unwrap();
    node = start(&device, &[("BALLAST_BYTES", "0")]);
    known.check(&node);
    std::fs::remove_file(filler).unwrap();
    known.recovered(&node);
    known.delete(&node, 1);
    drop(node);
    node = start(&device, &[("BALLAST_BYTES", "0")]);
    known.check(&node);
}

/// A delete marker frees nothing, and there may be very many.
#[test]
fn delete_markers_leave_the_ballast_to_deletes() {
    let Some(device) = Device::mount(64, 16_384) else { return };
    let root = device.path().join("data");
    let node = start(&device, &[]);
    node.create_bucket("bkt");
    let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assert_eq!(node.ask("PUT", "/bkt?versioning", &[], enabled.as_bytes()).status, 200);
    let versions: Vec<String> = (0..200)
        .map(|n| {
            let reply = node.ask("PUT", &target(&n.to_string()), &[], &bytes(n, 3_000));
            reply.header("x-amz-version-id").expect("a version").to_owned()
        })
        .collect();
    let whole = ballast_bytes(&root);
    device.fill();
    wait_until_degraded(&node);
    let hide = |n: usize| node.ask("DELETE", &target(&(n % 200).to_string()), &[], b"").status;
    let refused = (0..100_000).find(|n| match hide(*n) {
        204 => false,
        507 => true,
        status => panic!("marker {n}: {status}"),
    });
    assert!(refused.is_some_and(|n| n > 200), "{refused:?}");
    let left = ballast_bytes(&root);
    assert!(left >= whole / 4 && left < whole, "{left} of {whole} bytes");
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    let tagged = node.ask("PUT", &format!("/bkt/0?tagging&versionId={}", versions[0]), &[], tags.as_bytes());
    assert_eq!((tagged.status, tagged.code().as_str()), (507, "InsufficientStorage"), "{tagged:?}");
    for (n, version) in versions.iter().enumerate() {
        let reply = node.ask("DELETE", &format!("/bkt/{n}?versionId={version}"), &[], b"");
        assert_eq!(reply.status, 204, "{n}: {reply:?}");
    }
    std::fs::remove_file(device.path().join("filler")).unwrap();
    wait_for("space", &node, || node.ask("PUT", "/bkt/later", &[], &bytes(5, 70_000)).status == 200);
    assert_eq!(hide(0), 204);
}

#[test]
fn no_more_files() {
    let Some(device) = Device::mount(128, 700) else { return };
    let node = start(&device, &[]);
    node.create_bucket("bkt");
    let mut known = Known::default();
    known.fill(&node, "tiny", &[100]);
    assert!((100..700).contains(&known.there.len()), "{}", known.there.len());
    wait_until_degraded(&node);
    assert!(health(&node).1.contains("files"), "{:?}", health(&node));
    // Blocks would not have helped.
    assert_eq!(ballast_bytes(&device.path().join("data")), BALLAST);
    known.check(&node);
    known.delete(&node, 50);
    known.recovered(&node);
}
