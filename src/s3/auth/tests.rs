//! Whole requests: the published examples of the S3 API Reference, each mechanism, and each refusal.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use myfsio_actors::names::{AccessKeyId, Stamp};
use proptest::prelude::*;

use super::canonical::{Reading, Signed, canonical_request, encode, string_to_sign};
use super::chunked::declared_trailers;
use super::signing::{AmzDate, EMPTY_SHA256, Scope, SigningKey};
use super::*;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::request_head::RequestHead;

const ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const NOW: Stamp = Stamp(1_369_353_600_000_000_000);
const HOST: &str = "examplebucket.s3.amazonaws.com";
const DATE: &str = "20130524T000000Z";

/// One access key; the secret counts as the well-known one when `well_known`.
#[derive(Default)]
struct Keys {
    well_known: bool,
    fails: Option<CredentialError>,
}

impl Keys {
    fn check(&self, id: &AccessKeyId, exposed: bool) -> Result<(), CredentialError> {
        match &self.fails {
            Some(error) => Err(error.clone()),
            None if id.as_str() != ID => Err(CredentialError::NoSuchAccessKey),
            None if self.well_known && exposed => Err(CredentialError::WellKnownSecret),
            None => Ok(()),
        }
    }
}

impl Credentials for Keys {
    type Principal = String;

    async fn credential(&self, id: &AccessKeyId, exposed: bool) -> Result<Credential<String>, CredentialError> {
        self.check(id, exposed)?;
        Ok(Credential { secret: SecretText::new(SECRET), principal: Arc::new("example".to_owned()) })
    }

    async fn verify_secret(
        &self,
        id: &AccessKeyId,
        secret: &str,
        _address: Option<IpAddr>,
        exposed: bool,
    ) -> Result<Arc<String>, CredentialError> {
        self.check(id, exposed)?;
        if secret == SECRET { Ok(Arc::new("example".to_owned())) } else { Err(CredentialError::WrongSecret) }
    }
}

/// Nothing in these tests waits, so one poll carries a future to its end.
fn done<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a test's future waits"),
    }
}

/// A request under construction.
#[derive(Clone)]
struct Request {
    method: &'static str,
    path: String,
    query: String,
    headers: HeaderMap,
    settings: AuthSettings,
    peer: [u8; 4],
    now: Stamp,
}

impl Request {
    fn new(method: &'static str, path: &str, query: &str, headers: &[(&'static str, &str)]) -> Self {
        let mut request = Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: HeaderMap::new(),
            settings: AuthSettings::default(),
            peer: [127, 0, 0, 1],
            now: NOW,
        };
        for (name, value) in headers {
            request.set(name, value);
        }
        request
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }

    fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: self.method,
            path: self.path.as_bytes(),
            query: &self.query,
            headers: &self.headers,
            peer: Some(IpAddr::from(self.peer)),
            secure: false,
        }
    }

    fn run_with(&self, keys: &Keys) -> Result<Authenticated<String>, S3Error> {
        done(authenticate(&self.head(), &self.settings, keys, self.now))
    }

    fn run(&self) -> Result<Authenticated<String>, S3Error> {
        self.run_with(&Keys::default())
    }

    fn code(&self) -> ErrorCode {
        self.run().expect_err("a refusal").code()
    }

    fn hint(&self) -> String {
        let error = self.run().expect_err("a refusal");
        assert_eq!(error.code(), ErrorCode::SignatureDoesNotMatch);
        error.fields().iter().find(|(name, _)| *name == "Hint").map(|(_, hint)| hint.clone()).unwrap_or_default()
    }

    fn scope() -> Scope {
        Scope { date: "20130524".into(), region: "us-east-1".into(), service: "s3".into() }
    }

    fn signature(&self, signed: &Signed) -> String {
        let canonical = canonical_request(&self.head(), signed, &Reading::default());
        let to_sign = string_to_sign(&AmzDate::parse(DATE).unwrap(), &Self::scope(), &canonical);
        SigningKey::derive(SECRET, &Self::scope()).sign(to_sign.as_bytes())
    }

    /// Signs host and all x-amz-* headers in the `Authorization` header.
    fn sign(mut self) -> Self {
        self.set("x-amz-date", DATE);
        if !self.headers.contains_key("x-amz-content-sha256") {
            self.set("x-amz-content-sha256", EMPTY_SHA256);
        }
        let mut names: Vec<String> = self.headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        let payload = self.head().header("x-amz-content-sha256").unwrap().to_owned();
        let list = names.join(";");
        let signature = self.signature(&Signed { headers: names, payload, leave_out: None });
        let value =
            format!("AWS4-HMAC-SHA256 Credential={ID}/{}, SignedHeaders={list}, Signature={signature}", Self::scope());
        self.set("authorization", &value);
        self
    }

    fn presign(mut self, expires: &str) -> Self {
        let credential = encode(format!("{ID}/{}", Self::scope()).as_bytes(), false);
        self.query = format!(
            "{}&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={DATE}\
             &X-Amz-Expires={expires}&X-Amz-SignedHeaders=host",
            self.query
        );
        let signed = Signed {
            headers: vec!["host".into()],
            payload: "UNSIGNED-PAYLOAD".into(),
            leave_out: Some("X-Amz-Signature"),
        };
        let signature = self.signature(&signed);
        self.query.push_str(&format!("&X-Amz-Signature={signature}"));
        self
    }
}

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

/// The examples of "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk" and of
/// the two pages on chunked uploads.
fn published_requests() -> Vec<Request> {
    let empty = ("x-amz-content-sha256", EMPTY_SHA256);
    let short = "host;x-amz-content-sha256;x-amz-date";
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
        streaming,
        trailer,
    ]
}

#[test]
fn the_published_header_examples() {
    for request in published_requests() {
        let authenticated = request.run().unwrap_or_else(|error| panic!("{}: {:?}", request.path, error.fields()));
        assert_eq!(authenticated.mechanism, Mechanism::SigV4Header);
        assert_eq!(authenticated.principal.as_deref().map(String::as_str), Some("example"));
        assert_eq!(authenticated.signed_at_seconds, Some(1_369_353_600));
    }
}

#[test]
fn the_published_chunked_requests_make_decoders() {
    let requests = published_requests();
    for request in &requests[4..] {
        let payload = request.run().unwrap().payload;
        assert!(payload.is_framed());
        assert!(ChunkedDecoder::for_request(&payload, &request.head()).unwrap().is_some());
    }
    assert_eq!(declared_trailers(&requests[5].head()).unwrap(), ["x-amz-checksum-crc32c"]);
    let mut request = requests[4].clone();
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

/// The example of "Browser-Based Upload using HTTP POST (Using AWS Signature Version 4)".
#[test]
fn the_published_form() {
    const POLICY: &str = concat!(
        "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJz",
        "aWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJw",
        "dWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6",
        "b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2Uv",
        "Il0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRp",
        "b24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRl",
        "bnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXot",
        "YWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9"
    );
    let mut fields: Vec<(String, String)> = [
        ("key", "user/user1/${filename}"),
        ("acl", "public-read"),
        ("success_action_redirect", "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"),
        ("Content-Type", "image/jpeg"),
        ("x-amz-meta-uuid", "14365123651274"),
        ("x-amz-server-side-encryption", "AES256"),
        ("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Date", "20151229T000000Z"),
        ("x-amz-meta-tag", ""),
        ("Policy", POLICY),
        ("X-Amz-Signature", "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    post_policy::substitute_filename(&mut fields, "cat.jpg");
    let request = Request::new("POST", "/", "", &[("host", "sigv4examplebucket.s3.amazonaws.com")]);
    let now = Stamp(AmzDate::parse("20151230T115959Z").unwrap().seconds.unsigned_abs() * 1_000_000_000);
    let run = |fields: &[(String, String)], bucket: &str| {
        let keys = Keys::default();
        let head = request.head();
        let form = authenticate_form(&head, fields, bucket, &request.settings, &keys, now);
        done(form).map(|form| form.authenticated.mechanism).map_err(|error| error.code())
    };
    assert_eq!(run(&fields, "sigv4examplebucket"), Ok(Mechanism::PostForm));
    assert_eq!(run(&fields, "another"), Err(ErrorCode::AccessDenied));
    fields.last_mut().unwrap().1.replace_range(..1, "9");
    assert_eq!(run(&fields, "sigv4examplebucket"), Err(ErrorCode::SignatureDoesNotMatch));
    fields.pop();
    assert_eq!(run(&fields, "sigv4examplebucket"), Err(ErrorCode::InvalidArgument));
    fields.pop();
    fields.retain(|(name, _)| !name.starts_with("X-Amz"));
    assert_eq!(run(&fields, "sigv4examplebucket"), Ok(Mechanism::Anonymous));
    fields.retain(|(name, _)| name != "key");
    assert_eq!(run(&fields, "sigv4examplebucket"), Err(ErrorCode::InvalidArgument));
}

#[test]
fn version_2_forms() {
    // The signature was made with Python's hmac and base64 modules, as ceph/s3-tests makes it.
    let json =
        r#"{"expiration": "2013-05-25T00:00:00Z", "conditions": [{"bucket": "b"}, ["starts-with", "$key", ""]]}"#;
    let policy = base64::engine::general_purpose::STANDARD.encode(json);
    let form = |signature: Option<&str>| {
        let mut fields = vec![
            ("key".to_owned(), "a".to_owned()),
            ("AWSAccessKeyId".to_owned(), ID.to_owned()),
            ("policy".to_owned(), policy.clone()),
        ];
        fields.extend(signature.map(|signature| ("signature".to_owned(), signature.to_owned())));
        let request = Request::new("POST", "/b", "", &[("host", HOST)]);
        let keys = Keys::default();
        let form = done(authenticate_form(&request.head(), &fields, "b", &request.settings, &keys, NOW));
        form.map(|form| form.authenticated.mechanism).map_err(|error| error.code())
    };
    assert_eq!(form(Some("D/v3OSY01xHwFkAshyPGxCp196M=")), Ok(Mechanism::PostForm));
    assert_eq!(form(Some("AAAAAAAAAAAAAAAAAAAAAAAAAAA=")), Err(ErrorCode::SignatureDoesNotMatch));
    assert_eq!(form(None), Err(ErrorCode::InvalidArgument));
}

#[test]
fn every_change_of_a_signed_part_is_noticed() {
    let signed = Request::new("GET", "/b/k", "prefix=a&acl", &[("host", HOST)]).sign();
    assert!(signed.run().is_ok());
    type Change = fn(&mut Request);
    let changes: [Change; 6] = [
        |r| r.method = "DELETE",
        |r| r.path = "/b/k2".into(),
        |r| r.query = "prefix=b&acl".into(),
        |r| r.query.push_str("&x=1"),
        |r| r.set("host", "other"),
        |r| r.set("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
    ];
    for change in changes {
        let mut request = signed.clone();
        change(&mut request);
        let error = request.run().unwrap_err();
        assert_eq!(error.code(), ErrorCode::SignatureDoesNotMatch);
        let names: Vec<&str> = error.fields().iter().map(|(name, _)| *name).take(6).collect();
        let expected = [
            "AWSAccessKeyId",
            "StringToSign",
            "SignatureProvided",
            "StringToSignBytes",
            "CanonicalRequest",
            "CanonicalRequestBytes",
        ];
        assert_eq!(names, expected);
    }
}

#[test]
fn header_refusals() {
    let base = Request::new("PUT", "/b/k", "", &[("host", HOST)]).sign();
    let text = base.head().header("authorization").unwrap().to_owned();
    let with = |value: &str| {
        let mut request = base.clone();
        request.set("authorization", value);
        request
    };
    use ErrorCode as E;
    for (value, code) in [
        (text.replace("us-east-1", "eu-west-1"), E::AuthorizationHeaderMalformed),
        (text.replace("/s3/", "/iam/"), E::AuthorizationHeaderMalformed),
        (text.replace("20130524", "20130523"), E::AuthorizationHeaderMalformed),
        (text.replace("aws4_request", "aws4"), E::AuthorizationHeaderMalformed),
        (text.replace("Signature=", "Sig="), E::AuthorizationHeaderMalformed),
        (format!("{text}, Signature=1"), E::AuthorizationHeaderMalformed),
        (text.replace(ID, "AKIAOTHER"), E::InvalidAccessKeyId),
        (text.replace(ID, "A/B"), E::InvalidAccessKeyId),
        (text.replace("host;", ""), E::AccessDenied),
        (text.replace(";x-amz-date", ""), E::AccessDenied),
        ("AWS AKID:c2ln".to_owned(), E::InvalidRequest),
        (text.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), E::InvalidRequest),
        ("Basic YTpi".to_owned(), E::InvalidArgument),
        ("AWS4-HMAC-SHA256".to_owned(), E::AuthorizationHeaderMalformed),
    ] {
        assert_eq!(with(&value).code(), code, "{value}");
    }
    let region = with(&text.replace("us-east-1", "eu-west-1")).run().unwrap_err();
    assert!(region.fields().contains(&("Region", "us-east-1".to_owned())));
    let unsigned = with(&text.replace(";x-amz-date", "")).run().unwrap_err();
    assert!(unsigned.fields().contains(&("HeadersNotSigned", "x-amz-date".to_owned())));
    assert_eq!(with("").run().unwrap().mechanism, Mechanism::Anonymous);
}

#[test]
fn header_value_refusals() {
    let base = Request::new("PUT", "/b/k", "", &[("host", HOST)]);
    let with = |name: &'static str, value: &str| {
        let mut request = base.clone();
        request.set(name, value);
        request.sign()
    };
    use ErrorCode as E;
    assert_eq!(with("x-amz-security-token", "t").code(), E::InvalidToken);
    assert_eq!(with("x-amz-content-sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD").code(), E::NotImplemented);
    assert_eq!(with("x-amz-content-sha256", "abc").code(), E::InvalidArgument);
    assert!(with("x-amz-content-sha256", "UNSIGNED-PAYLOAD").run().is_ok());
    let mut request = base.clone().sign();
    request.headers.remove("x-amz-content-sha256");
    assert_eq!(request.code(), E::InvalidRequest);
    let mut request = base.clone().sign();
    request.set("x-amz-date", "yesterday");
    assert_eq!(request.code(), E::AccessDenied);
    let mut request = base.clone().sign();
    request.now = Stamp(NOW.0 + 901 * 1_000_000_000);
    let error = request.run().unwrap_err();
    assert_eq!(error.code(), E::RequestTimeTooSkewed);
    let fields = [
        ("RequestTime", DATE.to_owned()),
        ("ServerTime", "2013-05-24T00:15:01Z".to_owned()),
        ("MaxAllowedSkewMilliseconds", "900000".to_owned()),
    ];
    assert_eq!(error.fields(), fields);
    request.now = Stamp(NOW.0 + 900 * 1_000_000_000);
    assert!(request.run().is_ok());
}

#[test]
fn query_refusals() {
    use ErrorCode as E;
    let base = Request::new("GET", "/b/k", "", &[("host", HOST)]);
    for (expires, code) in [
        ("0", Some(E::AccessDenied)),
        ("-7", Some(E::AccessDenied)),
        ("604801", Some(E::AccessDenied)),
        ("soon", Some(E::AuthorizationQueryParametersError)),
        ("604800", None),
        ("1", None),
    ] {
        assert_eq!(base.clone().presign(expires).run().map_err(|e| e.code()).err(), code, "{expires}");
    }
    for (from, to, code) in [
        ("us-east-1", "eu-west-1", E::AuthorizationQueryParametersError),
        ("%2Fs3%2F", "%2Fkms%2F", E::AuthorizationQueryParametersError),
        ("X-Amz-Date=2013", "X-Amz-Date=2014", E::AuthorizationQueryParametersError),
        ("&X-Amz-Expires=60", "", E::AuthorizationQueryParametersError),
        ("&X-Amz-Expires=60", "&X-Amz-Expires=60&X-Amz-Expires=60", E::AuthorizationQueryParametersError),
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", E::AuthorizationQueryParametersError),
        ("SignedHeaders=host", "SignedHeaders=date", E::AccessDenied),
        (ID, "AKIAOTHER", E::InvalidAccessKeyId),
        ("X-Amz-Signature=", "X-Amz-Security-Token=t&X-Amz-Signature=", E::InvalidToken),
        ("X-Amz-Expires=60", "X-Amz-Expires=61", E::SignatureDoesNotMatch),
    ] {
        let mut request = base.clone().presign("60");
        request.query = request.query.replacen(from, to, 1);
        assert_eq!(request.code(), code, "{to}");
    }
    let mut request = base.clone().presign("60");
    request.set("x-amz-acl", "public-read");
    assert_eq!(request.code(), E::AccessDenied);
    let mut request = base.clone().presign("60");
    request.set("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    assert!(request.run().is_ok());
    request.set("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    assert!(matches!(request.run().unwrap().payload, PayloadSigning::StreamingUnsignedTrailer));
}

#[test]
fn one_mechanism_only() {
    let pair = [("host", HOST), ("x-access-key", ID), ("x-secret-key", SECRET)];
    let header = Request::new("GET", "/", "", &pair).sign();
    assert_eq!(header.code(), ErrorCode::InvalidArgument);
    let query = Request::new("GET", "/", "", &pair).presign("60");
    assert_eq!(query.code(), ErrorCode::InvalidArgument);
    let mut both = Request::new("GET", "/", "", &[("host", HOST)]).presign("60");
    both.set("authorization", "AWS4-HMAC-SHA256 Credential=a");
    assert_eq!(both.code(), ErrorCode::InvalidArgument);
    let version_2 = Request::new("GET", "/", "AWSAccessKeyId=a&Expires=1&Signature=b", &[("host", HOST)]);
    assert_eq!(version_2.code(), ErrorCode::InvalidRequest);
}

#[test]
fn the_header_pair() {
    let pair = |secret: &str| {
        Request::new("GET", "/", "", &[("host", "localhost"), ("x-access-key", ID), ("x-secret-key", secret)])
    };
    let authenticated = pair(SECRET).run().unwrap();
    assert_eq!(authenticated.mechanism, Mechanism::HeaderPair);
    assert!(authenticated.principal.is_some());
    assert_eq!(pair("wrong").code(), ErrorCode::AccessDenied);
    let half = Request::new("GET", "/", "", &[("host", HOST), ("x-access-key", ID)]);
    assert_eq!(half.code(), ErrorCode::AccessDenied);
    let locked = Keys { fails: Some(CredentialError::LockedOut { until: NOW }), ..Keys::default() };
    let error = pair(SECRET).run_with(&locked).unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooManyLoginAttempts);
    let well_known = Keys { well_known: true, ..Keys::default() };
    assert!(pair(SECRET).run_with(&well_known).is_ok());
    let mut distant = pair(SECRET);
    distant.set("x-forwarded-for", "127.0.0.1");
    assert_eq!(distant.run_with(&well_known).unwrap_err().code(), ErrorCode::AccessDenied);
}

#[test]
fn requests_without_credentials() {
    let anonymous = Request::new("PUT", "/b/k", "", &[("host", HOST)]);
    let authenticated = anonymous.run().unwrap();
    assert!(authenticated.principal.is_none());
    assert!(matches!(authenticated.payload, PayloadSigning::Unsigned));
    let framed = [
        ("host", HOST),
        ("content-encoding", "gzip, aws-chunked"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
        ("x-amz-decoded-content-length", "5"),
    ];
    let framed = Request::new("PUT", "/b/k", "", &framed);
    assert!(matches!(framed.run().unwrap().payload, PayloadSigning::StreamingUnsignedTrailer));
    let signed = ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    let signed = Request::new("PUT", "/b/k", "", &[("host", HOST), signed]);
    assert_eq!(signed.code(), ErrorCode::InvalidRequest);
}

#[test]
fn forwarded_hosts_are_accepted_from_trusted_proxies() {
    let signed = Request::new("GET", "/b/k", "", &[("host", "s3.example.com")]).sign();
    let mut proxied = signed.clone();
    proxied.set("host", "10.0.0.5:5000");
    assert_eq!(proxied.hint(), "");
    proxied.set("x-forwarded-host", "s3.example.com");
    assert!(proxied.run().is_ok());
    proxied.peer = [8, 8, 8, 8];
    assert!(proxied.hint().contains("host \"s3.example.com\""), "{}", proxied.hint());
    proxied.headers.remove("x-forwarded-host");
    proxied.settings.api_base_url = Some("https://s3.example.com/".parse().unwrap());
    assert!(proxied.run().is_ok());
}

#[test]
fn hints_name_the_edit_of_a_proxy() {
    let signed =
        Request::new("GET", "/b/a%20b", "", &[("host", "example.com"), ("accept-encoding", "identity")]).sign();
    type Change = fn(&mut Request);
    let changes: [(Change, &str); 7] = [
        (|r| r.set("host", "example.com:443"), "host \"example.com\""),
        (|r| r.path = "/b/a%2520b".into(), "decoded once"),
        (|r| r.path = "/s3/b/a%20b".into(), "first segment \"s3\""),
        (|r| r.path = "/b/a%20b/".into(), "last slash"),
        (|r| r.set("accept-encoding", "gzip, br"), "accept-encoding"),
        (|r| r.path = "/b/%61%20b".into(), "encoded anew"),
        (
            |r| {
                r.set("host", "10.0.0.1");
                r.set("forwarded", "for=1.1.1.1;host=\"example.com\"");
                r.path.push('/');
            },
            "\"example.com\"",
        ),
    ];
    for (change, expected) in changes {
        let mut request = signed.clone();
        change(&mut request);
        assert!(request.hint().contains(expected), "{expected}: {}", request.hint());
    }
    let mut prefixed = Request::new("GET", "/files/b/k", "", &[("host", "example.com")]).sign();
    prefixed.path = "/b/k".into();
    assert_eq!(prefixed.hint(), "");
    prefixed.settings.api_base_url = Some("http://example.com/files".parse().unwrap());
    assert!(prefixed.hint().contains("prefix \"/files\""));
}

#[test]
fn unencoded_paths_are_accepted_in_either_form() {
    let encoded = Request::new("GET", "/b/a%21b%20", "", &[("host", HOST)]).sign();
    let mut sent_raw = encoded.clone();
    sent_raw.path = "/b/a!b%20".into();
    assert!(sent_raw.run().is_ok());
}

proptest! {
    #[test]
    fn what_is_signed_is_accepted(
        segments in proptest::collection::vec("[ -~é]{0,6}", 1..4),
        pairs in proptest::collection::vec(("[a-z-]{1,6}", "[ -~é]{0,6}"), 0..4),
        meta in "[!-~ ]{0,12}",
        presigned: bool,
    ) {
        let path = format!("/{}", encode(segments.join("/").as_bytes(), true));
        let query: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}={}", encode(v.as_bytes(), false))).collect();
        let mut request = Request::new("PUT", &path, &query.join("&"), &[("host", HOST)]);
        if !presigned {
            request.set("x-amz-meta-a", &meta);
        }
        let request = if presigned { request.presign("60") } else { request.sign() };
        prop_assert!(request.run().is_ok());
    }

    #[test]
    fn nothing_that_a_client_sends_breaks_it(authorization in "\\PC{0,80}", query in "[ -~]{0,80}", date in "[ -~]{0,20}") {
        let mut request = Request::new("GET", "/", &query, &[("host", HOST)]);
        if let Ok(value) = HeaderValue::from_str(&authorization) {
            request.headers.insert(HeaderName::from_static("authorization"), value);
        }
        request.set("x-amz-date", &date);
        if let Ok(authenticated) = request.run() {
            prop_assert!(authenticated.principal.is_none());
        }
    }
}
