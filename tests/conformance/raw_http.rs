//! What SDKs hide: requests written byte by byte over bare sockets.
//!
//! Each refusal must be an S3 error (or a closed connection where no answer is possible), must leave no object and no
//! temporary file, and must not let leftovers of a body be read as a request.

use std::time::{Duration, Instant};

use crate::support::{self, ADMIN, Node, Wire, element, head, sign};

fn node() -> Node {
    let node = Node::start(&[]);
    node.create_bucket("bkt");
    node
}

/// Everything a bad client may have left must be gone: no object, no upload, no temporary bytes; and the node lives.
fn assert_clean(node: &Node) {
    assert!(node.healthy(), "{}", node.log());
    let listing = node.ask("GET", "/bkt?list-type=2", &[], b"").text();
    assert_eq!(element(&listing, "KeyCount").as_deref(), Some("0"), "{listing}");
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        let left: Vec<_> = node
            .files_with_bytes(&node.root().join(".myfsio.sys"))
            .into_iter()
            .filter(|path| {
                path.strip_prefix(node.root())
                    .is_ok_and(|p| p.components().any(|c| c.as_os_str() == "tmp" || c.as_os_str() == "uploads"))
            })
            .collect();
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < end, "temporary files stay behind: {left:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn expect_100_continue_is_decided_before_the_body() {
    let node = node();
    // Accepted: the interim answer comes before any byte of the body was sent.
    let mut wire = node.open();
    wire.write(head(&node, "PUT", "/bkt/k") + "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(wire.read("PUT").status, 100);
    wire.write("hello");
    assert_eq!(wire.read("PUT").status, 200);
    assert_eq!(node.ask("GET", "/bkt/k", &[], b"").body, b"hello");
    node.ask("DELETE", "/bkt/k", &[], b"");

    // Refused: the final status comes at once, without an interim one, and the connection does not take the body, sent
    // all the same, for a request.
    let evil = "GET /bkt/evil HTTP/1.1\r\nHost: x\r\n\r\n";
    let length = evil.len();
    let cases = [
        ("/no-such-bucket-here/k", "", 404, "NoSuchBucket"),
        ("/bkt/k", "If-Match: \"x\"\r\n", 404, "NoSuchKey"),
        ("/bkt/k", "Content-MD5: nonsense\r\n", 400, "InvalidDigest"),
        ("/bkt/k?partNumber=1&uploadId=00000000000000000000000000000000", "", 404, "NoSuchUpload"),
        ("/bkt/k?partNumber=0&uploadId=00000000000000000000000000000000", "", 400, "InvalidArgument"),
    ];
    for (target, more, status, code) in cases {
        let mut wire = node.open();
        wire.write(
            head(&node, "PUT", target) + more + &format!("Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"),
        );
        let reply = wire.read("PUT");
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{target} {more}: {reply:?}");
        wire.write(evil);
        wire.patience(Duration::from_millis(500));
        assert!(wire.try_read("GET").is_none(), "the refused body was taken for a request");
    }
    let mut wire = node.open();
    let anonymous = "PUT /bkt/k HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    wire.write(anonymous);
    let reply = wire.read("PUT");
    assert_eq!((reply.status, reply.code().as_str()), (403, "AccessDenied"));
    let mut wire = node.open();
    wire.write(head(&node, "PUT", "/bkt/k") + "Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n");
    let reply = wire.read("PUT");
    assert_eq!((reply.status, reply.code().as_str()), (400, "EntityTooLarge"));
    assert_clean(&node);
}

#[test]
fn lengths_are_taken_at_their_word() {
    let node = node();
    // None at all.
    let mut wire = node.open();
    wire.write(head(&node, "PUT", "/bkt/k") + "\r\n");
    let reply = wire.read("PUT");
    assert_eq!((reply.status, reply.code().as_str()), (411, "MissingContentLength"));
    // Shorter than said, then gone: nothing of it may stay.
    for (size, sent) in [(10, 5), (1_000_000, 999_999), (200_000, 0), (5_000_000, 3_000_000)] {
        let mut wire = node.open();
        wire.write(head(&node, "PUT", "/bkt/short") + &format!("Content-Length: {size}\r\n\r\n"));
        wire.write(vec![b'x'; sent]);
        wire.finish();
        if let Some(reply) = wire.try_read("PUT") {
            assert_eq!(reply.status, 400, "{reply:?}");
        }
        drop(wire);
    }
    // Nonsense.
    for bad in ["-1", "x", "1e3", "99999999999999999999999", "0x10", "5, 6", "+5"] {
        let mut wire = node.open();
        wire.write(head(&node, "PUT", "/bkt/k") + &format!("Content-Length: {bad}\r\n\r\nhello"));
        wire.finish();
        if let Some(reply) = wire.try_read("PUT") {
            assert_eq!(reply.status, 400, "{bad}: {reply:?}");
        }
    }
    assert_clean(&node);
    // Longer than said: the rest is a request of its own (here none), never part of the object.
    let mut wire = node.open();
    wire.write(head(&node, "PUT", "/bkt/k") + "Content-Length: 5\r\n\r\nhello, and more\r\n\r\n");
    assert_eq!(wire.read("PUT").status, 200);
    if let Some(reply) = wire.try_read("PUT") {
        assert!((400..500).contains(&reply.status), "{reply:?}");
    }
    assert_eq!(node.ask("GET", "/bkt/k", &[], b"").body, b"hello");
    node.ask("DELETE", "/bkt/k", &[], b"");
    // Length and chunks at once is how requests are smuggled.
    let mut wire = node.open();
    wire.write(
        head(&node, "PUT", "/bkt/k") + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    if let Some(reply) = wire.try_read("PUT") {
        assert!(
            reply.status == 400 || (reply.status == 200 && node.ask("GET", "/bkt/k", &[], b"").body == b"hello"),
            "{reply:?}"
        );
    }
    node.ask("DELETE", "/bkt/k", &[], b"");
    let mut wire = node.open();
    wire.write(head(&node, "PUT", "/bkt/k") + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!");
    wire.finish();
    if let Some(reply) = wire.try_read("PUT") {
        assert_eq!(reply.status, 400, "{reply:?}");
    }
    assert_clean(&node);
}

#[test]
fn requests_follow_each_other_on_one_connection() {
    let node = node();
    let mut wire = node.open();
    let put = head(&node, "PUT", "/bkt/k") + "Content-Length: 5\r\n\r\nhello";
    let get = head(&node, "GET", "/bkt/k") + "\r\n";
    let delete = head(&node, "DELETE", "/bkt/k") + "\r\n";
    wire.write(format!("{put}{get}{delete}{get}"));
    assert_eq!(wire.read("PUT").status, 200);
    assert_eq!(wire.read("GET").body, b"hello");
    assert_eq!(wire.read("DELETE").status, 204);
    assert_eq!(wire.read("GET").code(), "NoSuchKey");
    // A refused upload whose body is there in full, then another request.
    let refused = head(&node, "PUT", "/no-such-bucket-here/k") + "Content-Length: 5\r\n\r\nhello";
    let mut wire = node.open();
    wire.write(format!("{refused}{get}"));
    assert_eq!(wire.read("PUT").code(), "NoSuchBucket");
    if let Some(reply) = wire.try_read("GET") {
        assert_eq!(reply.code(), "NoSuchKey", "{reply:?}");
    }
    assert_clean(&node);
}

#[test]
fn chunked_transfer_encoding() {
    let node = node();
    let mut wire = node.open();
    wire.write(
        head(&node, "PUT", "/bkt/k") + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n",
    );
    let reply = wire.read("PUT");
    // S3 asks for a length; a node may also take the chunks, but then whole.
    match reply.status {
        200 => assert_eq!(node.ask("GET", "/bkt/k", &[], b"").body, b"hello, world"),
        status => assert!(matches!(status, 411 | 501), "{reply:?}"),
    }
    node.ask("DELETE", "/bkt/k", &[], b"");
    for broken in [
        "5\r\nhel",
        "zz\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nhello",
        "-5\r\nhello\r\n0\r\n\r\n",
    ] {
        let mut wire = node.open();
        wire.write(head(&node, "PUT", "/bkt/k") + "Transfer-Encoding: chunked\r\n\r\n" + broken);
        wire.finish();
        if let Some(reply) = wire.try_read("PUT") {
            assert!((400..502).contains(&reply.status) && reply.status != 500, "{broken:?}: {reply:?}");
        }
    }
    assert_clean(&node);
}

#[test]
fn aws_chunked_garbage() {
    let node = node();
    let streaming = |more: &str, body: &[u8]| {
        let mut wire = node.open();
        let host = format!("127.0.0.1:{}", node.port);
        // The header pair authenticates; the framing is announced as the SDKs do.
        wire.write(format!("PUT /bkt/k HTTP/1.1\r\nHost: {host}\r\nX-Access-Key: localadmin\r\nX-Secret-Key: localadmin\r\n\
             x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\nContent-Encoding: aws-chunked\r\n{more}Content-Length: {}\r\n\r\n", body.len()));
        wire.write(body);
        wire.finish();
        wire.try_read("PUT")
    };
    let bodies: [&[u8]; 12] = [
        b"",
        b"5",
        b"5\r\n",
        b"5\r\nhel",
        b"5\r\nhello",
        b"5\r\nhello\r\n",
        b"\r\n\r\n",
        b"0",
        b"g\r\n",
        b"5\nhello\n0\n\n",
        &[b'0'; 70_000],
        b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
    ];
    for body in bodies {
        let reply = streaming("x-amz-decoded-content-length: 5\r\nx-amz-trailer: x-amz-checksum-crc32\r\n", body);
        let status = reply.map_or(400, |r| r.status);
        assert_eq!(status, 400, "{:?}", String::from_utf8_lossy(&body[..body.len().min(60)]));
    }
    let framed = b"5\r\nhello\r\n0\r\n\r\n";
    for length in [
        "",
        "x-amz-decoded-content-length: x\r\n",
        "x-amz-decoded-content-length: -5\r\n",
        "x-amz-decoded-content-length: 99999999999999999999\r\n",
    ] {
        let reply = streaming(length, framed).unwrap();
        assert!(matches!(reply.status, 400 | 411), "{length}: {reply:?}");
    }
    // Sixty thousand trailers.
    let mut many = b"5\r\nhello\r\n0\r\n".to_vec();
    for i in 0..60_000 {
        many.extend_from_slice(format!("x-amz-t{i}:v\r\n").as_bytes());
    }
    many.extend_from_slice(b"\r\n");
    let reply = streaming("x-amz-decoded-content-length: 5\r\nx-amz-trailer: x-amz-checksum-crc32\r\n", &many);
    assert_eq!(reply.map_or(400, |r| r.status), 400);
    assert_clean(&node);
}

#[test]
fn paths_are_never_normalised() {
    let node = node();
    let pairs = [
        ("/bkt//", "/"),
        ("/bkt/a//b", "a//b"),
        ("/bkt/a/../b", "a/../b"),
        ("/bkt/../x", "../x"),
        ("/bkt/%2e%2e/x2", "../x2"),
        ("/bkt/.", "."),
        ("/bkt/a/./b", "a/./b"),
        ("/bkt/%2e", "."),
        ("/bkt/a%2F%2Fb", "a//b"),
        ("/bkt/a+b", "a+b"),
        ("/bkt/~", "~"),
    ];
    for (target, key) in pairs {
        // The signature is over the bytes as sent.
        let host = format!("127.0.0.1:{}", node.port);
        let signed = sign(ADMIN, "PUT", target, &host, &[]);
        let headers: Vec<(&str, &str)> = signed.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let reply = node.ask_as(None, "PUT", target, &headers, target.as_bytes());
        assert_eq!(reply.status, 200, "{target}: {reply:?}");
        let listing = node.ask("GET", "/bkt?list-type=2", &[], b"").text();
        assert_eq!(element(&listing, "Key").as_deref(), Some(key), "{target}: {listing}");
        assert_eq!(node.ask("GET", target, &[], b"").body, target.as_bytes());
        assert_eq!(node.ask("DELETE", target, &[], b"").status, 204);
    }
    for bad in [
        "/bkt/%",
        "/bkt/%2",
        "/bkt/%zz",
        "/bkt/%ff",
        "/bkt/a\u{1}b",
        "//",
        "/%2e%2e/x",
        "/../x",
        "/.myfsio.sys/config/iam.json",
        "/%2emyfsio.sys/x",
    ] {
        for method in ["GET", "PUT"] {
            let reply = node.ask(method, bad, &[], b"x");
            assert!((400..500).contains(&reply.status), "{method} {bad}: {reply:?}");
        }
    }
    // Forms of the request target other than a path.
    for target in ["*", "bkt/k", "http://127.0.0.1/bkt", "/bkt/k#fragment", "/bkt?list-type=2&list-type=1", "/bkt?%"] {
        let mut wire = node.open();
        wire.write(head(&node, "GET", target) + "Connection: close\r\n\r\n");
        if let Some(reply) = wire.try_read("GET") {
            assert!(reply.status < 500, "{target}: {reply:?}");
        }
    }
    assert_clean(&node);
}

#[test]
fn headers_twice_and_huge() {
    let node = node();
    let cases = [
        "Range: bytes=0-1\r\nRange: bytes=2-3\r\n",
        "If-Match: \"a\"\r\nIf-Match: \"b\"\r\n",
        "x-amz-date: 1\r\nx-amz-date: 2\r\n",
        "Host: a\r\nHost: b\r\n",
        "Authorization: AWS4-HMAC-SHA256 x\r\nAuthorization: AWS4-HMAC-SHA256 y\r\n",
        "X-Access-Key: other\r\n",
        "Content-Type: a\r\nContent-Type: b\r\n",
    ];
    for more in cases {
        let mut wire = node.open();
        wire.write(head(&node, "GET", "/bkt/k") + more + "Connection: close\r\n\r\n");
        if let Some(reply) = wire.try_read("GET") {
            assert!((400..500).contains(&reply.status), "{more}: {reply:?}");
        }
    }
    for size in [20_000, 200_000, 5_000_000] {
        for line in [format!("x-amz-meta-a: {}\r\n", "v".repeat(size)), "x-amz-meta-a: b\r\n".repeat(size / 17)] {
            let mut wire = node.open();
            wire.write(head(&node, "PUT", "/bkt/k") + &line + "Content-Length: 1\r\n\r\nx");
            wire.finish();
            if let Some(reply) = wire.try_read("PUT") {
                assert!((400..500).contains(&reply.status), "{size}: {:?}", reply.status);
            }
        }
    }
    let long = format!("/bkt/{}", "k".repeat(100_000));
    let mut wire = node.open();
    wire.write(head(&node, "GET", &long) + "\r\n");
    wire.finish();
    if let Some(reply) = wire.try_read("GET") {
        assert!((400..500).contains(&reply.status), "{reply:?}");
    }
    assert_clean(&node);
}

#[test]
fn documents_that_are_bombs() {
    let node = node();
    let upload = element(&node.ask("POST", "/bkt/k?uploads", &[], b"").text(), "UploadId").unwrap();
    let complete = format!("/bkt/k?uploadId={upload}");
    let entities: String =
        (1..20).map(|i| format!("<!ENTITY a{i} \"&a{};&a{};&a{};\">", i - 1, i - 1, i - 1)).collect();
    let bodies = [
        format!("<!DOCTYPE x [<!ENTITY a0 \"ha\">{entities}]><Delete><Object><Key>&a19;</Key></Object></Delete>"),
        "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><Delete/>".to_owned(),
        "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><Delete><Object><Key>&e;</Key></Object></Delete>"
            .to_owned(),
        "<Delete>".repeat(100_000),
        format!("<Delete {}/>", "a=\"b\" ".repeat(50_000)),
        format!("<Delete><Object><Key>{}</Key></Object></Delete>", "k".repeat(3_000_000)),
        "<".repeat(100_000),
        "<Delete><Object><Key>&unknown;</Key></Object></Delete>".to_owned(),
        "<Delete><Object><Key>&#xFFFFFFFFF;</Key></Object></Delete>".to_owned(),
        "<Delete><Object><Key>a</Key></Object></Delete><Delete/>".to_owned(),
    ];
    let before = node.resident_bytes();
    for body in &bodies {
        for target in ["/bkt?delete", &complete, "/another-new-bucket"] {
            let method = if target.starts_with("/another") { "PUT" } else { "POST" };
            // With the integrity that S3 asks for, so that the reader of documents meets the bomb itself.
            let sum = support::sha256_base64(body.as_bytes());
            let reply = node.ask(method, target, &[("x-amz-checksum-sha256", &sum)], body.as_bytes());
            // A document that is sound but for a key too long is answered key by key.
            let refused =
                (400..500).contains(&reply.status) || (reply.status == 200 && reply.text().contains("<Error>"));
            assert!(refused, "{target} {body:.60}: {}", reply.status);
        }
    }
    assert!(node.resident_bytes() < before + (64 << 20), "memory grew from {before} to {}", node.resident_bytes());
    assert_eq!(node.ask("DELETE", &complete, &[], b"").status, 204);
    assert_clean(&node);
}

#[test]
fn a_client_that_stops_sending_is_refused() {
    let node = Node::start(&[("REQUEST_TIMEOUT_SECONDS", "1")]);
    node.create_bucket("bkt");
    let stalls: [(String, &[u8]); 4] = [
        (head(&node, "PUT", "/bkt/k") + "Content-Length: 1000\r\n\r\n", b"hello"),
        (head(&node, "PUT", "/bkt/k") + "Content-Length: 1000000\r\n\r\n", &[b'x'; 300_000]),
        (
            head(&node, "POST", "/bkt?delete")
                + "Content-MD5: AAAAAAAAAAAAAAAAAAAAAA==\r\nContent-Length: 1000\r\n\r\n",
            b"<Delete>",
        ),
        (head(&node, "PUT", "/bkt/k") + "Transfer-Encoding: chunked\r\n\r\n", b"5\r\nhel"),
    ];
    let mut wires: Vec<Wire> = stalls
        .iter()
        .map(|(head, body)| {
            let mut wire = node.open();
            wire.write(head);
            wire.write(body);
            wire
        })
        .collect();
    let start = Instant::now();
    for (i, wire) in wires.iter_mut().enumerate() {
        wire.patience(Duration::from_secs(8));
        if let Some(reply) = wire.try_read("PUT") {
            let code = reply.code();
            assert!(code == "RequestTimeout" || (i == 3 && reply.status == 411), "{i}: {reply:?}");
            assert!(wire.is_closed(), "{i}: the connection stays open");
        }
    }
    assert!(start.elapsed() < Duration::from_secs(8));
    // A header section that never ends.
    let mut wire = node.open();
    wire.write("GET / HTTP/1.1\r\nHost: x\r\n");
    wire.patience(Duration::from_secs(15));
    let reply = wire.try_read("GET");
    assert!(reply.is_none_or(|r| r.status == 408 || r.status == 400));
    assert_clean(&node);
}

#[test]
fn a_client_that_stops_reading_is_cut_off() {
    let node = Node::start(&[("REQUEST_TIMEOUT_SECONDS", "1")]);
    node.create_bucket("bkt");
    node.put("/bkt/large", &vec![7; 32 << 20]);
    let mut stalled = node.open();
    stalled.write(head(&node, "GET", "/bkt/large") + "\r\n");
    // Nothing tells from outside when it is given up but that the rest never comes.
    std::thread::sleep(Duration::from_secs(8));
    stalled.patience(Duration::from_secs(5));
    let got = stalled.try_read("GET").map_or(0, |reply| reply.body.len());
    assert!(got < 32 << 20, "it got everything");
    assert!(node.healthy());
}

#[test]
fn answers_to_head_have_no_body() {
    let node = node();
    node.put("/bkt/k", b"hello");
    let mut wire = node.open();
    for target in
        ["/bkt/k", "/bkt/none", "/bkt", "/no-such-bucket-here", "/no-such-bucket-here/k", "/bkt/k?partNumber=9"]
    {
        wire.write(head(&node, "HEAD", target) + "\r\n");
        wire.write(head(&node, "GET", "/healthz") + "\r\n");
        let reply = wire.read("HEAD");
        assert!(reply.header("x-amz-request-id").is_some(), "{target}: {reply:?}");
        // Were there a body, the next answer would not start where it must.
        let next = wire.read("GET");
        assert_eq!(next.status, 200, "{target}: {next:?}");
    }
    wire.write(head(&node, "HEAD", "/bkt/k") + "\r\n");
    assert_eq!(wire.read("HEAD").header("content-length"), Some("5"));
    node.ask("DELETE", "/bkt/k", &[], b"");
    assert_clean(&node);
}

#[test]
fn one_way_to_say_who_you_are() {
    let node = node();
    let host = format!("127.0.0.1:{}", node.port);
    let signed = sign(ADMIN, "GET", "/bkt", &host, &[]);
    let headers: Vec<(&str, &str)> = signed.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    // Both the signature and the header pair.
    let reply = node.ask("GET", "/bkt", &headers, b"");
    assert_eq!((reply.status, reply.code().as_str()), (400, "InvalidArgument"), "{reply:?}");
    // Header and query.
    let target = format!("/bkt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={}", "0".repeat(64));
    let reply = node.ask_as(None, "GET", &target, &headers, b"");
    assert_eq!((reply.status, reply.code().as_str()), (400, "InvalidArgument"), "{reply:?}");
    assert_eq!(node.ask_signed(ADMIN, "GET", "/bkt?list-type=2&prefix=a", &[], b"").status, 200);
    assert_eq!(node.ask_signed(("localadmin", "wrong"), "GET", "/bkt", &[], b"").code(), "SignatureDoesNotMatch");
}

#[test]
fn malformed_everything() {
    let node = node();
    let lines: [&[u8]; 14] = [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
        b"G\0T / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /bkt/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: \xff\xfe\r\n\r\n",
        b"PUT /bkt/k HTTP/1.0\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    for line in lines {
        let mut wire = node.open();
        wire.write(line);
        wire.finish();
        if let Some(reply) = wire.try_read("GET") {
            assert!(
                (400..502).contains(&reply.status) && reply.status != 500,
                "{:?}: {reply:?}",
                String::from_utf8_lossy(line)
            );
        }
    }
    node.put("/bkt/k", b"hello");
    let queries = [
        "max-keys=-1",
        "list-type=2&max-keys=9999999999999999999999",
        "list-type=2&continuation-token=%00",
        "uploads&max-uploads=x",
        "list-type=2&encoding-type=x",
        "list-type=2&prefix=%ff",
        "versions&version-id-marker=x",
        "acl&policy",
    ];
    for query in queries {
        let reply = node.ask("GET", &format!("/bkt?{query}"), &[], b"");
        assert!((400..500).contains(&reply.status), "{query}: {reply:?}");
    }
    for query in [
        "partNumber=x",
        "partNumber=0",
        "partNumber=10001",
        "versionId=x",
        "uploadId=x",
        "response-content-type=a%0d%0aSet-Cookie:x",
    ] {
        let reply = node.ask("GET", &format!("/bkt/k?{query}"), &[], b"");
        assert!(reply.status < 500 && reply.header("set-cookie").is_none(), "{query}: {reply:?}");
        assert!(query.starts_with("response") || reply.status >= 400, "{query}: {reply:?}");
    }
    for (name, value) in [
        ("If-Modified-Since", "yesterday"),
        ("If-Unmodified-Since", "\u{ff}"),
        ("If-Match", ""),
        ("If-None-Match", "\"unterminated"),
        ("Range", "bytes=99999999999999999999-"),
        ("Range", "bytes=-99999999999999999999"),
        ("Range", "bytes=0-99999999999999999999999"),
        ("If-Range", "x"),
    ] {
        let reply = node.ask("GET", "/bkt/k", &[(name, value)], b"");
        assert!(reply.status < 500, "{name}: {value}: {reply:?}");
    }
    for (name, value) in [
        ("x-amz-checksum-crc32", "x"),
        ("x-amz-storage-class", "NOPE"),
        ("x-amz-copy-source", "x"),
        ("x-amz-copy-source", "%"),
        ("x-amz-acl", "nope"),
        ("x-amz-sdk-checksum-algorithm", "MD4"),
        ("Content-MD5", "x"),
        ("x-amz-content-sha256", "x"),
    ] {
        let reply = node.ask("PUT", "/bkt/new", &[(name, value)], b"x");
        assert!((400..502).contains(&reply.status) && reply.status != 500, "{name}: {value}: {reply:?}");
    }
    node.ask("DELETE", "/bkt/k", &[], b"");
    assert_clean(&node);
}
