//! URLs that the node signs, as its own authentication takes them.

use myfsio_actors::names::{BucketName, ObjectKey};
use proptest::prelude::*;

use super::sign_url::{Signer, UrlRequest, presigned_url};
use super::*;
use crate::s3::route::{self, Address, Route};

fn url_to(key: &str, base: &str, token: Option<&str>) -> String {
    let signer = Signer {
        access_key_id: &AccessKeyId::parse(ID).unwrap(),
        secret: &SecretText::new(SECRET),
        session_token: token,
    };
    let asked = UrlRequest {
        method: "GET",
        base: &base.parse().unwrap(),
        bucket: &BucketName::parse("examplebucket").unwrap(),
        key: &ObjectKey::parse(key.as_bytes()).unwrap(),
        expires_seconds: 900,
    };
    presigned_url(signer, asked, &AuthSettings::default(), NOW).unwrap()
}

/// Host, path and query of a URL.
fn parts(url: &str) -> (&str, String, &str) {
    let (_, rest) = url.split_once("://").unwrap();
    let (host, rest) = rest.split_once('/').unwrap();
    let (path, query) = rest.split_once('?').unwrap();
    (host, format!("/{path}"), query)
}

fn request(url: &str) -> Request {
    let (host, path, query) = parts(url);
    Request::new("GET", &path, query, &[("host", host)])
}

/// What becomes of a path in front of the wire (RFC 3986 §5.2.4, as browsers do it, to whom `%2e` is a dot too).
fn without_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part.to_ascii_lowercase().replace("%2e", ".").as_str() {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(part),
        }
    }
    format!("/{}", kept.join("/"))
}

#[test]
fn a_url_is_what_the_reference_makes_of_it() {
    // S3 API Reference, "Authenticating Requests: Using Query Parameters", but in path style and for 900 seconds.
    let url = url_to("test.txt", "https://s3.amazonaws.com", None);
    let expected = "https://s3.amazonaws.com/examplebucket/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=\
        AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=900\
        &X-Amz-SignedHeaders=host&X-Amz-Signature=";
    assert!(url.starts_with(expected) && url.len() == expected.len() + 64, "{url}");
    let authenticated = request(&url).run().unwrap();
    assert_eq!(
        (authenticated.mechanism, authenticated.signed_at_seconds),
        (Mechanism::SigV4Query, Some(1_369_353_600))
    );
}

#[test]
fn a_url_is_for_one_method_and_time() {
    let mut used = request(&url_to("k", "http://localhost:5000", None));
    used.method = "PUT";
    assert_eq!(used.code(), ErrorCode::SignatureDoesNotMatch);
    used.method = "GET";
    used.now = Stamp(NOW.0 + 901 * 1_000_000_000);
    assert_eq!(used.code(), ErrorCode::AccessDenied);
    used.now = Stamp(NOW.0 + 900 * 1_000_000_000);
    assert!(used.run().is_ok());
}

#[test]
fn a_parameter_given_twice_in_any_spelling_is_refused() {
    let url = url_to("k", "http://localhost:5000", None);
    for again in ["X-Amz-Date=20130524T000000Z", "X-Amz-%44ate=1", "X-Amz-Signature="] {
        let error = request(&format!("{url}&{again}")).run().unwrap_err();
        assert_eq!(error.code(), ErrorCode::AuthorizationQueryParametersError, "{again}");
    }
}

#[test]
fn a_proxy_may_change_the_host() {
    let url = url_to("k", "https://s3.example.com", None);
    let mut used = request(&url);
    used.set("host", "10.0.0.5:5000");
    assert_eq!(used.code(), ErrorCode::SignatureDoesNotMatch);
    for forwarded in ["s3.example.com", "s3.example.com:443", "s3.example.com, inner"] {
        used.set("x-forwarded-host", forwarded);
        assert!(used.run().is_ok(), "{forwarded}");
    }
    used.peer = [8, 8, 8, 8];
    assert_eq!(used.code(), ErrorCode::SignatureDoesNotMatch, "only proxies that are trusted");
    used.settings.api_base_url = "https://s3.example.com".parse().ok();
    assert!(used.run().is_ok());
}

#[test]
fn a_token_is_signed() {
    let (url, other) = (url_to("k", "http://a", Some("a/b+c==")), url_to("k", "http://a", Some("d")));
    assert!(parts(&url).2.contains("&X-Amz-Security-Token=a%2Fb%2Bc%3D%3D&"), "{url}");
    assert_ne!(url.rsplit('=').next(), other.rsplit('=').next());
    let keys = Keys { token: Some("d"), ..Keys::default() };
    assert!(request(&other).run_with(&keys).is_ok() && request(&url).run_with(&keys).is_err());
}

#[test]
fn keys_with_dots_survive_clients_that_resolve_them() {
    for key in ["a/../b", "../x", "x/..", "./x", "a/./b", "...", "a/.../b", ".hidden", "a//b", "/a", "a/"] {
        let (_, path, _) = parts(&url_to(key, "http://a", None));
        assert_eq!(without_dot_segments(&path), path, "{key}");
    }
}

proptest! {
    #[test]
    fn any_key_is_found_and_let_in(
        key in prop_oneof!["\\PC{1,40}", "[a./+% ~]{1,20}", prop::collection::vec(any::<char>(), 1..20).prop_map(String::from_iter)],
    ) {
        let url = url_to(&key, "http://localhost:5000", None);
        prop_assert!(url.bytes().all(|byte| byte.is_ascii_graphic()));
        let (host, path, _) = parts(&url);
        let bucket = BucketName::parse("examplebucket").unwrap();
        let object = Address::Object(bucket, ObjectKey::parse(key.as_bytes()).unwrap());
        prop_assert_eq!(route::find(Some(host), &path, &[]).unwrap(), Route::S3(object));
        prop_assert!(request(&url).run().is_ok());
    }
}
