//! The published examples of the S3 API Reference: requests and the signatures that AWS computed for them.

use super::*;
use crate::s3::auth::chunked::declared_trailers;

fn published(
    method: &'static str,
    path: &str,
    query: &str,
    signed: &str,
    signature: &str,
    headers: &[(&'static str, &str)],
) -> Request {
    let mut request = Request::new(method, path, query, headers);
    request.set("host", HOST);
    request.set("x-amz-date", DATE);
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={ID}/20130524/us-east-1/s3/aws4_request,SignedHeaders={signed},Signature={signature}"
    );
    request.set("authorization", &value);
    request
}

/// The examples of "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk".
fn published_requests() -> Vec<Request> {
    let empty = ("x-amz-content-sha256", EMPTY_SHA256);
    let short = "host;x-amz-content-sha256;x-amz-date";
    vec![
        published(
            "GET",
            "/test.txt",
            "",
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            &[("range", "bytes=0-9"), empty],
        ),
        published(
            "PUT",
            "/test$file.text",
            "",
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            &[
                ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ("x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
            ],
        ),
        published(
            "GET",
            "/",
            "lifecycle",
            short,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            &[empty],
        ),
        published(
            "GET",
            "/",
            "max-keys=2&prefix=J",
            short,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            &[empty],
        ),
    ]
}

/// The examples of the two pages on chunked uploads: without and with a trailer.
fn published_chunked_requests() -> [Request; 2] {
    let mut streaming = published(
        "PUT",
        "/examplebucket/chunkObject.txt",
        "",
        "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        &[
            ("content-encoding", "aws-chunked"),
            ("content-length", "66824"),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            ("x-amz-decoded-content-length", "66560"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ],
    );
    streaming.set("host", "s3.amazonaws.com");
    let mut trailer = published(
        "PUT",
        "/examplebucket/chunkObject.txt",
        "",
        "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        &[
            ("content-encoding", "aws-chunked"),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
            ("x-amz-decoded-content-length", "66560"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-trailer", "x-amz-checksum-crc32c"),
        ],
    );
    trailer.set("host", "s3.amazonaws.com");
    [streaming, trailer]
}

#[test]
fn the_published_header_examples() {
    for request in published_requests().into_iter().chain(published_chunked_requests()) {
        let authenticated = request.run().unwrap_or_else(|error| panic!("{}: {:?}", request.path, error.fields()));
        assert_eq!(authenticated.mechanism, Mechanism::SigV4Header);
        assert_eq!(authenticated.principal.as_deref().map(String::as_str), Some("example"));
        assert_eq!(authenticated.signed_at_seconds, Some(1_369_353_600));
    }
}

#[test]
fn the_published_chunked_requests_make_decoders() {
    let requests = published_chunked_requests();
    for request in &requests {
        let payload = request.run().unwrap().payload;
        assert!(payload.is_framed());
        assert!(ChunkedDecoder::for_request(&payload, &request.head()).unwrap().is_some());
    }
    assert_eq!(declared_trailers(&requests[1].headers).unwrap(), ["x-amz-checksum-crc32c"]);
    let mut request = requests[0].clone();
    let payload = request.run().unwrap().payload;
    request.headers.remove("x-amz-decoded-content-length");
    let error = ChunkedDecoder::for_request(&payload, &request.head()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::MissingContentLength);
}

fn published_url() -> Request {
    Request::new(
        "GET",
        "/test.txt",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
         &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
         &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
        &[("host", HOST)],
    )
}

#[test]
fn the_published_presigned_url() {
    let mut request = published_url();
    assert_eq!(request.run().unwrap().mechanism, Mechanism::SigV4Query);
    request.now = Stamp(NOW.0 + 86_400 * 1_000_000_000);
    assert!(request.run().is_ok());
    request.now = Stamp(NOW.0 + 86_401 * 1_000_000_000);
    let error = request.run().unwrap_err();
    assert_eq!((error.code(), error.message()), (ErrorCode::AccessDenied, "Request has expired"));
    assert!(error.fields().contains(&("Expires", "2013-05-25T00:00:00Z".to_owned())));
    request.now = Stamp(NOW.0 - 901 * 1_000_000_000);
    assert_eq!(request.run().unwrap_err().message(), "Request is not yet valid");
    let mut head = published_url();
    head.method = "HEAD";
    assert!(head.hint().contains("method GET"), "{}", head.hint());
}

/// Requests as botocore 1.43 makes and signs them at the time of the published examples: keys with every character that
/// encoders disagree about, dot segments, and header values to be folded.
#[test]
fn requests_of_botocore() {
    let empty = ("x-amz-content-sha256", EMPTY_SHA256);
    let hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let short = "host;x-amz-content-sha256;x-amz-date";
    let requests = [
        published(
            "PUT",
            "/bucket/a%20b%2Bc%26d%3D%C3%A9~%21%27%28%29%2A%2C%3B%3A%40%24/.//../x%2541",
            "",
            "host;x-amz-content-sha256;x-amz-date;x-amz-meta-a",
            "a9c3090be3efb1531c09339e6ac5258dff952621ceb0290b8b6c411adbc868df",
            &[("x-amz-meta-a", "  two   spaces "), ("x-amz-content-sha256", hello)],
        ),
        published(
            "GET",
            "/bucket",
            "list-type=2&prefix=a%20b%2Bc%2F%C3%A9~%27%28%29%2A&delimiter=%2F&start-after=%26%3D%3F&encoding-type=url",
            short,
            "c72ffda63398bae610c89d6331daef31bfa99b6fb3290643da079bbea1b6e044",
            &[empty],
        ),
        published(
            "GET",
            "/bucket",
            "acl",
            short,
            "b6162469d1c105a2850709d9adf917c2a06b5f9fde7ebbe6512c39c74044b2d7",
            &[empty],
        ),
    ];
    for mut request in requests {
        request.set("host", "127.0.0.1:5000");
        assert!(request.run().is_ok(), "{}?{}", request.path, request.query);
    }
    let mut url = Request::new(
        "PUT",
        "/bucket/a%20b%2B%C3%A9/..//x",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F\
         aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=content-type%3Bhost%3B\
         x-amz-meta-k&X-Amz-Signature=e510e99dc3f4542b3d4791f08c08c6174283787f0c8a4c0cd8c655d1df6d686e",
        &[("host", "127.0.0.1:5000"), ("content-type", "text/plain"), ("x-amz-meta-k", "v")],
    );
    assert!(url.run().is_ok());
    url.headers.remove("x-amz-meta-k");
    assert_eq!(url.code(), ErrorCode::SignatureDoesNotMatch);
}
