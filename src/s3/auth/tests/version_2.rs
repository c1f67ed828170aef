//! Signature Version 2: requests and URLs as botocore 1.43 makes and signs them at the time of the published examples,
//! and every refusal.

use super::*;

const HTTP_DATE: &str = "Fri, 24 May 2013 00:00:00 GMT";

/// A URL that ends a minute after the tests' time.
fn url(method: &'static str, path: &str, query: &str, signature: &str) -> Request {
    let separator = if query.is_empty() { "" } else { "&" };
    let query = format!(
        "{query}{separator}AWSAccessKeyId={ID}&Signature={}&Expires=1369353660",
        encode(signature.as_bytes(), false)
    );
    let mut request = Request::new(method, path, &query, &[("host", "127.0.0.1:5000")]);
    query_signs::adopt_headers(&request.query, &mut request.headers);
    request
}

fn header(method: &'static str, path: &str, query: &str, signature: &str, headers: &[(&'static str, &str)]) -> Request {
    let mut request = Request::new(method, path, query, headers);
    request.set("host", "127.0.0.1:5000");
    request.set("date", HTTP_DATE);
    request.set("authorization", &format!("AWS {ID}:{signature}"));
    request
}

fn string_to_sign_of(request: &Request) -> String {
    let error = request.run().unwrap_err();
    assert_eq!(error.code(), ErrorCode::SignatureDoesNotMatch);
    let found = error.fields().iter().find(|(name, _)| *name == "StringToSign");
    found.map(|(_, text)| text.clone()).unwrap()
}

fn urls() -> Vec<Request> {
    let odd_key = "/a%20b%2Bc%26d%3D%C3%A9~%21%27%28%29%2A%2C%3B%3A%40%24/.//x%2541";
    vec![
        url("GET", "/bucket/test.txt", "", "+rRtM2+licWczuRtjAGcEk+jcEk="),
        url("GET", &format!("/bucket{odd_key}"), "", "OLpQBBzfFwwSwovwNc7PCHT9X1U="),
        url(
            "GET",
            "/bucket/k",
            "versionId=3%2FL4kq%2Btg%3D&response-content-type=text%2Fplain%3B%20charset%3Dutf-8\
             &response-content-disposition=attachment%3B%20filename%3D%22a%20b%2B%C3%BC.txt%22",
            "LYoXPmNMAE9Q86YiUWrohteFwaE=",
        ),
        url("GET", "/bucket/k", "acl", "jgMPX4QqyyoyHi7tvzCFV8cY7zk="),
        // Sent without the slash behind the bucket, signed with it.
        url("GET", "/bucket", "list-type=2&prefix=a&encoding-type=url", "l5sxVPXuifRafH7aZSU8h09/2SU="),
        url("PUT", "/bucket/k", "uploadId=u%2F%2B%3D1&partNumber=2", "FgVuTBQVpK+R7t5Jz6twLbGcu6M="),
        url("DELETE", "/bucket/k", "", "wQicD09i3T1CABslLiiNPhT06dk="),
        url(
            "PUT",
            "/bucket/k",
            "content-type=text%2Fplain&x-amz-acl=private&x-amz-meta-a=two%20%20%20spaces",
            "0+axtFB28XRUaUGjiThCD5i7UUg=",
        ),
    ]
}

fn headers() -> Vec<Request> {
    vec![
        header("GET", "/", "", "LmMMufbDz0HS5njYUhVCdBuXpdU=", &[]),
        header("GET", "/bucket", "list-type=2&prefix=a%20b&encoding-type=url", "R7CYrorpG0j9EGZmEqFcUpWkwpo=", &[]),
        header(
            "PUT",
            "/bucket/a%20b%2B%C3%A9",
            "",
            "1qxLnkP9ij/MQqPc19ZeTtxBARE=",
            &[
                ("content-type", "text/plain"),
                ("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="),
                ("x-amz-meta-b", "x"),
                ("x-amz-meta-a", "two   spaces"),
                ("x-amz-checksum-crc32", "NhCmhg=="),
                ("x-amz-sdk-checksum-algorithm", "CRC32"),
            ],
        ),
        header(
            "GET",
            "/bucket/k",
            "versionId=v1&response-content-type=text%2Fplain%3B%20charset%3Dutf-8",
            "k/Q4K8ENjKwEE1pjVztlc0v1/6I=",
            &[("x-amz-checksum-mode", "ENABLED")],
        ),
        header(
            "PUT",
            "/bucket",
            "acl",
            "dfHmKx3ilgNNgQBe+g5RlBBc0mA=",
            &[
                ("x-amz-acl", "private"),
                ("x-amz-checksum-crc32", "AAAAAA=="),
                ("x-amz-sdk-checksum-algorithm", "CRC32"),
            ],
        ),
        // Which botocore does not sign.
        header("GET", "/bucket", "encryption", "R7CYrorpG0j9EGZmEqFcUpWkwpo=", &[]),
    ]
}

/// The same request to the bucket's own host.
fn virtual_hosted(request: &Request) -> Option<Request> {
    let mut request = request.clone();
    let path = request.path.strip_prefix("/bucket")?;
    request.path = if path.is_empty() { "/".into() } else { path.into() };
    request.virtual_bucket = Some("bucket");
    request.set("host", "bucket.s3.example.com:5000");
    Some(request)
}

#[test]
fn what_botocore_signs_is_accepted() {
    for (requests, mechanism) in [(urls(), Mechanism::SigV2Query), (headers(), Mechanism::SigV2Header)] {
        for request in requests {
            let hosted = virtual_hosted(&request);
            for request in [Some(request), hosted].into_iter().flatten() {
                let shown = format!("{}?{} {:?}", request.path, request.query, request.virtual_bucket);
                let authenticated = request.run().unwrap_or_else(|error| panic!("{shown}: {:?}", error.fields()));
                assert_eq!(authenticated.mechanism, mechanism);
                assert!(authenticated.principal.is_some());
                assert!(matches!(authenticated.payload, PayloadSigning::Unsigned));
            }
        }
    }
}

/// minio-go sends `?acl=` and signs `?acl`.
#[test]
fn an_empty_value_may_be_signed_as_none() {
    let signed = |query| url("GET", "/bucket/k", query, "jgMPX4QqyyoyHi7tvzCFV8cY7zk=");
    assert!(signed("acl").run().is_ok());
    assert!(signed("acl=").run().is_ok());
    assert_eq!(signed("acl=x").run().unwrap_err().code(), ErrorCode::SignatureDoesNotMatch);
    assert_eq!(signed("").run().unwrap_err().code(), ErrorCode::SignatureDoesNotMatch);
}

#[test]
fn every_change_of_a_signed_part_is_noticed() {
    type Change = fn(&mut Request);
    let changes: [Change; 9] = [
        |r| r.method = "POST",
        |r| r.path.push('2'),
        |r| r.virtual_bucket = Some("other"),
        |r| r.set("content-type", "text/html"),
        |r| r.set("content-md5", "AAAA"),
        |r| r.set("x-amz-meta-new", "1"),
        |r| r.query.push_str("&versionId=1"),
        |r| r.query.push_str("&response-content-type=a"),
        |r| r.query.push_str("&delete"),
    ];
    for request in urls().into_iter().chain(headers()) {
        for change in changes {
            let mut request = request.clone();
            change(&mut request);
            assert_eq!(request.code(), ErrorCode::SignatureDoesNotMatch, "{}?{}", request.path, request.query);
        }
    }
    // What selects an operation is signed in a URL, whether clients know it or not.
    for added in ["legal-hold", "publicAccessBlock", "%65ncryption=", "attributes"] {
        for mut request in urls() {
            request.query = format!("{added}&{}", request.query);
            assert_eq!(request.code(), ErrorCode::SignatureDoesNotMatch, "{added}");
        }
    }
    let mut hidden = urls().remove(2);
    assert!(hidden.run().is_ok());
    hidden.query =
        hidden.query.replace("versionId=3%2FL4kq%2Btg%3D&", "").replace("utf-8&", "utf-8%26versionId=3/L4kq%2Btg=&");
    assert_eq!(hidden.code(), ErrorCode::SignatureDoesNotMatch);
    for mut request in urls() {
        request.query = request.query.replace("Expires=1369353660", "Expires=1369353661");
        assert_eq!(request.code(), ErrorCode::SignatureDoesNotMatch);
    }
}

#[test]
fn the_refusal_says_what_was_to_be_signed() {
    let request =
        url("PUT", "/k", "x-amz-meta-b=2&X-Amz-Meta-A=1&content-type=a%2Fb&versionId=a%2Bb&uploads&prefix=p", "AAAA");
    let expected = "PUT\n\na/b\n1369353660\nx-amz-meta-a:1\nx-amz-meta-b:2\n/k?uploads&versionId=a+b";
    assert_eq!(string_to_sign_of(&request), expected);
    let mut hosted = request.clone();
    hosted.virtual_bucket = Some("bucket");
    assert_eq!(string_to_sign_of(&hosted), expected.replace("/k", "/bucket/k"));
    let error = request.run().unwrap_err();
    let names: Vec<&str> = error.fields().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["AWSAccessKeyId", "StringToSign", "SignatureProvided", "StringToSignBytes"]);
    let mut dated = header("GET", "/b/k", "", "AAAA", &[("x-amz-date", HTTP_DATE)]);
    assert_eq!(string_to_sign_of(&dated), format!("GET\n\n\n\nx-amz-date:{HTTP_DATE}\n/b/k"));
    let name = HeaderName::from_static("x-amz-meta-a");
    dated.headers.append(name.clone(), HeaderValue::from_static("1 "));
    dated.headers.append(name, HeaderValue::from_static("2"));
    assert!(string_to_sign_of(&dated).contains("\nx-amz-meta-a:1,2\n"));
}

#[test]
fn parameters_become_headers_only_beside_a_signature() {
    let adopted = |query: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("x-amz-acl"), HeaderValue::from_static("private"));
        query_signs::adopt_headers(query, &mut headers);
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        (headers.len(), text("x-amz-acl"), text("x-amz-meta-a"))
    };
    let private = Some("private".to_owned());
    assert_eq!(adopted("x-amz-meta-a=1&content-type=a"), (1, private.clone(), None));
    let query = "Signature=a&x-amz-meta-a=1&x-amz-meta-a=2&X-Amz-Acl=public-read&range=a&Content-Type=b";
    assert_eq!(adopted(query), (3, private.clone(), Some("1".into())));
    assert_eq!(adopted("AWSAccessKeyId=a&x-amz-meta-a=1%0Ax&x-amz-a%3Ab=1&x-amz-%20=1"), (1, private, None));
}

#[test]
fn query_refusals() {
    use ErrorCode as E;
    let good = urls().remove(0);
    let incomplete = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters";
    let signature = "&Signature=%2BrRtM2%2BlicWczuRtjAGcEk%2BjcEk%3D";
    for (from, to, code, message) in [
        ("AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&", "", E::AccessDenied, incomplete),
        (signature, "", E::AccessDenied, incomplete),
        (signature, "&Signature=", E::AccessDenied, incomplete),
        ("&Expires=1369353660", "", E::AccessDenied, incomplete),
        ("Expires=1369353660", "Expires=soon", E::AccessDenied, "Invalid date (should be seconds since epoch)"),
        ("Expires=1369353660", "Expires=-1", E::AccessDenied, "Invalid date (should be seconds since epoch)"),
        ("Expires=", "Expires=1&Expires=", E::AccessDenied, "An authentication query parameter is given twice."),
        (ID, "AKIAOTHER", E::InvalidAccessKeyId, E::InvalidAccessKeyId.message()),
        (ID, "A%2FB", E::InvalidAccessKeyId, E::InvalidAccessKeyId.message()),
        ("&Expires", "&x-amz-security-token=t&Expires", E::InvalidToken, E::InvalidToken.message()),
        ("Signature=%2B", "Signature=-", E::SignatureDoesNotMatch, E::SignatureDoesNotMatch.message()),
    ] {
        let mut request = good.clone();
        request.query = request.query.replacen(from, to, 1);
        let error = request.run().unwrap_err();
        assert_eq!((error.code(), error.message()), (code, message), "{from} {to}");
    }
    let mut unencoded = good.clone();
    unencoded.query = unencoded.query.replace("%2B", "+");
    assert!(unencoded.run().is_ok());
    let mut late = good.clone();
    late.now = Stamp(NOW.0 + 60 * 1_000_000_000);
    assert!(late.run().is_ok());
    late.now = Stamp(NOW.0 + 61 * 1_000_000_000);
    let error = late.run().unwrap_err();
    assert_eq!((error.code(), error.message()), (E::AccessDenied, "Request has expired"));
    let fields = [("Expires", "2013-05-24T00:01:00Z".to_owned()), ("ServerTime", "2013-05-24T00:01:01Z".to_owned())];
    assert_eq!(error.fields(), fields);
}

#[test]
fn header_refusals() {
    use ErrorCode as E;
    let good = headers().remove(0);
    for text in ["AWS", "AWS HAHAHA", "AWS :c2ln", "AWS AKID:"] {
        let mut request = good.clone();
        request.set("authorization", text);
        assert_eq!(request.code(), E::InvalidArgument, "{text}");
    }
    let mut unknown = good.clone();
    unknown.set("authorization", "AWS AKIAIGR7ZNNBHC5BKSUB:FWeDfwojDSdS2Ztmpfeubhd9isU=");
    assert_eq!(unknown.code(), E::InvalidAccessKeyId);
    let mut token = good.clone();
    token.set("x-amz-security-token", "t");
    assert_eq!(token.code(), E::InvalidToken);
    let mut dateless = good.clone();
    dateless.headers.remove("date");
    assert_eq!(dateless.code(), E::AccessDenied);
    // As ceph/s3-tests expects.
    for (date, code) in [
        ("Bad Date", E::AccessDenied),
        ("", E::AccessDenied),
        ("Tue, 07 Jul 2010 21:53:04 GMT", E::RequestTimeTooSkewed),
        ("Tue, 07 Jul 2030 21:53:04 GMT", E::RequestTimeTooSkewed),
        ("Tue, 07 Jul 1950 21:53:04 GMT", E::AccessDenied),
        ("Tue, 07 Jul 9999 21:53:04 GMT", E::RequestTimeTooSkewed),
        ("Fri, 24 May 2013 00:15:01 GMT", E::RequestTimeTooSkewed),
        ("Fri, 24 May 2013 00:15:00 +0000", E::SignatureDoesNotMatch),
        ("Fri, 24 May 2013 02:00:00 +0200", E::SignatureDoesNotMatch),
        (DATE, E::SignatureDoesNotMatch),
    ] {
        let mut request = good.clone();
        request.set("x-amz-date", date);
        assert_eq!(request.code(), code, "{date}");
    }
}

#[test]
fn bodies_are_read_as_their_headers_say() {
    let payload = |name: &'static str, value: &str| {
        let mut request = urls().remove(0);
        request.set(name, value);
        let error = request.run().unwrap_err();
        error.code()
    };
    // An `x-amz-*` header must be signed, whatever it says.
    assert_eq!(payload("x-amz-content-sha256", EMPTY_SHA256), ErrorCode::SignatureDoesNotMatch);
    assert_eq!(payload("x-amz-content-sha256", "abc"), ErrorCode::InvalidArgument);
    assert_eq!(payload("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), ErrorCode::InvalidRequest);
    let sign = |mut request: Request| {
        let to_sign = string_to_sign_of(&request);
        let signature = super::super::signing::hmac_sha1(SECRET.as_bytes(), to_sign.as_bytes());
        let signature = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, signature);
        request.set("authorization", &format!("AWS {ID}:{signature}"));
        request.run().unwrap().payload
    };
    let digest = header("PUT", "/b/k", "", "AAAA", &[("x-amz-content-sha256", EMPTY_SHA256)]);
    assert!(matches!(sign(digest), PayloadSigning::Sha256(_)));
    let framed = [
        ("content-encoding", "aws-chunked"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
        ("x-amz-decoded-content-length", "5"),
    ];
    assert!(matches!(sign(header("PUT", "/b/k", "", "AAAA", &framed)), PayloadSigning::StreamingUnsignedTrailer));
}

#[test]
fn one_mechanism_only() {
    let mut both = urls().remove(0);
    both.set("authorization", &format!("AWS {ID}:AAAA"));
    assert_eq!(both.code(), ErrorCode::InvalidArgument);
    let mut pair = headers().remove(0);
    pair.set("x-access-key", ID);
    pair.set("x-secret-key", SECRET);
    assert_eq!(pair.code(), ErrorCode::InvalidArgument);
    assert_eq!(urls().remove(0).presign("60").code(), ErrorCode::InvalidArgument);
}
