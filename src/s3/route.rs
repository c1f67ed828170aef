//! From host and path to what a request addresses. Pure.
//!
//! The path is taken as sent: nothing is collapsed or normalised, each segment's escapes are decoded once, and `+` is a
//! plus sign. Path-style and virtual-hosted addressing differ only here; the signature is over the untouched path.

use actix_http::RequestHead;
use actix_web::http::header::HOST;
use myfsio_actors::names::{BucketName, InvalidObjectKey, KEY_BYTES_MAX, ObjectKey};

use super::error::{ErrorCode, S3Error};
use super::operation::Scope;
use super::query::{Query, percent_decode};
use super::website::Site;

/// First path segment of S3 Control: the version of its API.
const CONTROL: &str = "v20180820";
/// Path of WriteGetObjectResponse (S3 API Reference); no name of a bucket, which has no capitals.
const OBJECT_LAMBDA: &str = "WriteGetObjectResponse";

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// The S3 API.
    S3(Address),
    /// The website of a bucket.
    Website(Site),
    /// IAM, STS or KMS, which are spoken at `/` as well.
    Aws,
    /// `/healthz`.
    Health,
    /// A route below `/_myfsio`; speaks JSON.
    Admin,
    /// A route below `/kms`; speaks JSON.
    Kms,
    /// `/presign/<bucket>/<key>`: a URL to it is asked for; speaks JSON.
    Presign(BucketName, ObjectKey),
    /// Another route of the node's own, not built; speaks JSON.
    Unbuilt,
}

impl Route {
    /// What is asked, when it is not the S3 API.
    pub fn interface(&self) -> Option<&'static str> {
        match self {
            Self::S3(_) => None,
            Self::Website(_) => Some("Website"),
            Self::Aws => Some("AwsApi"),
            Self::Health => Some("Health"),
            Self::Admin | Self::Unbuilt => Some("Admin"),
            Self::Kms => Some("Kms"),
            Self::Presign(..) => Some("Presign"),
        }
    }
}

/// What a request of the S3 API addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// The node.
    Service,
    /// A bucket.
    Bucket(BucketName),
    /// A key in a bucket.
    Object(BucketName, ObjectKey),
    /// What a function of Object Lambda answers.
    ObjectLambda,
    /// A bucket, by its ARN, in S3 Control's tag operations.
    Control(BucketName),
    /// A document that belongs to a bucket, by a path of its own; errors are told as JSON.
    Document(Document, BucketName),
}

/// Documents of buckets that have a path of their own beside that of the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// `/bucket-policy/<bucket>`: what `/<bucket>?policy` is.
    Policy,
    /// `/bucket/<bucket>?quota`: what `/<bucket>?quota` is.
    Quota,
}

impl Document {
    /// Completes a query with what the path says already. Errs: NotImplemented where nothing stands behind the path.
    pub fn complete(self, query: &mut Query) -> Result<(), S3Error> {
        match self {
            Self::Policy => query.imply("policy"),
            Self::Quota if query.has("quota") => {}
            Self::Quota => return Err(unbuilt()),
        }
        Ok(())
    }
}

/// The refusal of routes that are not there.
pub fn unbuilt() -> S3Error {
    S3Error::with_message(ErrorCode::NotImplemented, "This route is not implemented.")
}

impl Address {
    /// Its scope.
    pub fn scope(&self) -> Scope {
        match self {
            Self::Service => Scope::Service,
            Self::Bucket(_) | Self::Document(..) => Scope::Bucket,
            Self::Object(..) => Scope::Object,
            Self::ObjectLambda => Scope::ObjectLambda,
            Self::Control(_) => Scope::Control,
        }
    }

    /// Bucket and key.
    pub fn into_parts(self) -> (Option<BucketName>, Option<ObjectKey>) {
        match self {
            Self::Service | Self::ObjectLambda => (None, None),
            Self::Bucket(bucket) | Self::Control(bucket) | Self::Document(_, bucket) => (Some(bucket), None),
            Self::Object(bucket, key) => (Some(bucket), Some(key)),
        }
    }
}

/// The bucket that a request is about, also where the rest of its path cannot be read.
pub fn bucket_of(host: Option<&str>, raw_path: &str, base_domains: &[String]) -> Option<BucketName> {
    let of_host = host.and_then(|host| virtual_bucket(host, base_domains));
    let of_path = || {
        let path = raw_path.strip_prefix('/').unwrap_or(raw_path);
        let decoded = decode(path.split('/').next().unwrap_or_default()).ok()?;
        String::from_utf8(decoded).ok()
    };
    BucketName::parse(&of_host.or_else(of_path)?).ok()
}

/// The host that a request names: its `Host` header, else that of its target.
pub fn host(head: &RequestHead) -> Option<&str> {
    head.headers.get(HOST).and_then(|host| host.to_str().ok()).or(head.uri.host())
}

/// Finds the route. Errs: InvalidBucketName, KeyTooLongError, InvalidURI for malformed escapes and keys that are not
/// UTF-8, InvalidRequest where a route of the node's own or of S3 Control is wanting what it is about.
pub fn find(host: Option<&str>, raw_path: &str, base_domains: &[String]) -> Result<Route, S3Error> {
    let path = raw_path.strip_prefix('/').unwrap_or(raw_path);
    if let Some(bucket) = host.and_then(|host| virtual_bucket(host, base_domains)) {
        return address(Some(&bucket), path).map(Route::S3);
    }
    let (first, rest) = match path.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    match first {
        "healthz" if rest.is_none_or(str::is_empty) => Ok(Route::Health),
        "_myfsio" => Ok(Route::Admin),
        "kms" => Ok(Route::Kms),
        "presign" => presign(rest.unwrap_or_default()),
        "bucket-policy" => document(Document::Policy, rest.unwrap_or_default()),
        "bucket" => document(Document::Quota, rest.unwrap_or_default()),
        CONTROL => control(rest.unwrap_or_default()),
        OBJECT_LAMBDA if rest.is_none() => Ok(Route::S3(Address::ObjectLambda)),
        "" if rest.is_none() => Ok(Route::S3(Address::Service)),
        bucket => address(Some(bucket), rest.unwrap_or_default()).map(Route::S3),
    }
}

/// Whether the path is below one of the node's own routes that speak JSON, well-formed or not.
pub fn speaks_json(host: Option<&str>, raw_path: &str, base_domains: &[String]) -> bool {
    let own = |(first, rest): (&str, &str)| matches!(first, "presign" | "bucket-policy" | "bucket") && !rest.is_empty();
    let is_own = raw_path.strip_prefix('/').and_then(|path| path.split_once('/')).is_some_and(own);
    is_own && host.and_then(|host| virtual_bucket(host, base_domains)).is_none()
}

/// `<bucket>/<key>`.
fn presign(rest: &str) -> Result<Route, S3Error> {
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    match address(Some(bucket), key)? {
        Address::Object(bucket, key) => Ok(Route::Presign(bucket, key)),
        _ => {
            Err(S3Error::with_message(ErrorCode::InvalidRequest, "The path names no object: /presign/<bucket>/<key>."))
        }
    }
}

/// `<bucket>`, with or without a slash behind it.
fn document(document: Document, rest: &str) -> Result<Route, S3Error> {
    let bucket = rest.strip_suffix('/').unwrap_or(rest);
    if bucket.is_empty() || bucket.contains('/') {
        return Ok(Route::Unbuilt);
    }
    match address(Some(bucket), "")? {
        Address::Bucket(bucket) => Ok(Route::S3(Address::Document(document, bucket))),
        _ => Ok(Route::Unbuilt),
    }
}

/// `tags/<ARN of a bucket>`; the rest of S3 Control is not built. Errs: InvalidRequest for other ARNs.
fn control(rest: &str) -> Result<Route, S3Error> {
    let Some(arn) = rest.strip_prefix("tags/") else { return Ok(Route::Unbuilt) };
    let arn = String::from_utf8(decode(arn)?).map_err(|_| uri_error())?;
    let bucket = arn.strip_prefix("arn:aws:s3:::").and_then(|name| BucketName::parse(name).ok());
    match bucket {
        Some(bucket) => Ok(Route::S3(Address::Control(bucket))),
        None => Err(S3Error::with_message(ErrorCode::InvalidRequest, "The resource is not the ARN of a bucket.")),
    }
}

/// Whether the host names an account in front of the node's own, as clients of S3 Control do with endpoints of their own,
/// and the path is S3 Control's.
pub fn is_control(host: Option<&str>, raw_path: &str, account: Option<&str>) -> bool {
    let label = host.and_then(|host| host.split_once('.')).map(|(label, _)| label);
    account.is_some() && label == account && raw_path.strip_prefix('/').is_some_and(|path| path.starts_with(CONTROL))
}

fn address(raw_bucket: Option<&str>, raw_key: &str) -> Result<Address, S3Error> {
    let Some(raw_bucket) = raw_bucket else { return Ok(Address::Service) };
    let bucket = String::from_utf8(decode(raw_bucket)?).map_err(|_| uri_error())?;
    let bucket = BucketName::parse(&bucket).map_err(|reason| {
        S3Error::new(ErrorCode::InvalidBucketName).field("BucketName", bucket.as_str()).because(reason)
    })?;
    if raw_key.is_empty() {
        return Ok(Address::Bucket(bucket));
    }
    Ok(Address::Object(bucket, parse_key(&decode(raw_key)?)?))
}

/// A key from decoded bytes. Errs: KeyTooLongError, InvalidURI.
pub fn parse_key(bytes: &[u8]) -> Result<ObjectKey, S3Error> {
    ObjectKey::parse(bytes).map_err(|error| match error {
        InvalidObjectKey::TooLong { size } => S3Error::new(ErrorCode::KeyTooLongError)
            .field("Size", size.to_string())
            .field("MaxSizeAllowed", KEY_BYTES_MAX.to_string()),
        InvalidObjectKey::Empty | InvalidObjectKey::NotUtf8 => uri_error().because(error),
    })
}

fn decode(raw: &str) -> Result<Vec<u8>, S3Error> {
    percent_decode(raw.as_bytes(), false).ok_or_else(uri_error)
}

fn uri_error() -> S3Error {
    ErrorCode::InvalidURI.into()
}

/// The bucket that a host names under the longest base domain it ends with; none for a base domain itself and for
/// other hosts.
pub fn virtual_bucket(host: &str, base_domains: &[String]) -> Option<String> {
    if base_domains.is_empty() {
        return None;
    }
    let host = without_port(host).trim_end_matches('.').to_ascii_lowercase();
    let under = |domain: &&String| {
        host.strip_suffix(domain.to_ascii_lowercase().as_str())
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let domain = base_domains.iter().filter(under).max_by_key(|domain| domain.len())?;
    let bucket = host.get(..host.len().checked_sub(domain.len() + 1)?)?;
    (!bucket.is_empty()).then(|| bucket.to_owned())
}

/// A host without its port; an IPv6 literal keeps its brackets.
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_path(path: &str) -> Result<Route, ErrorCode> {
        find(Some("localhost:5000"), path, &[]).map_err(|e| e.code())
    }

    fn object(bucket: &str, key: &str) -> Result<Route, ErrorCode> {
        let key = ObjectKey::parse(key.as_bytes()).unwrap();
        Ok(Route::S3(Address::Object(BucketName::parse(bucket).unwrap(), key)))
    }

    fn bucket(name: &str) -> Result<Route, ErrorCode> {
        Ok(Route::S3(Address::Bucket(BucketName::parse(name).unwrap())))
    }

    #[test]
    fn keys_are_what_stands_behind_the_bucket() {
        assert_eq!(find_path("/"), Ok(Route::S3(Address::Service)));
        assert_eq!(find_path("/abc"), bucket("abc"));
        assert_eq!(find_path("/abc/"), bucket("abc"));
        for (path, key) in [
            ("/abc/k", "k"),
            ("/abc//k", "/k"),
            ("/abc/a//b/", "a//b/"),
            ("/abc/../x", "../x"),
            ("/abc/./", "./"),
            ("/abc/a+b%20c%2Bd", "a+b c+d"),
            ("/abc/%252F", "%2F"),
            ("/abc/%2e%2e/%00", "../\0"),
            ("/abc/e%CC%81", "e\u{301}"),
        ] {
            assert_eq!(find_path(path), object("abc", key), "{path}");
        }
    }

    #[test]
    fn malformed_paths_are_refused() {
        assert_eq!(find_path("/abc/%zz"), Err(ErrorCode::InvalidURI));
        assert_eq!(find_path("/abc/%ff"), Err(ErrorCode::InvalidURI));
        assert_eq!(find_path("/Ab/k"), Err(ErrorCode::InvalidBucketName));
        assert_eq!(find_path("//k"), Err(ErrorCode::InvalidBucketName));
        assert_eq!(find_path(&format!("/abc/{}", "k".repeat(1025))), Err(ErrorCode::KeyTooLongError));
        assert!(find_path(&format!("/abc/{}", "%20".repeat(1024))).is_ok());
    }

    #[test]
    fn a_path_that_cannot_be_read_names_its_bucket() {
        let domains = ["example.com".to_owned()];
        let of = |host: &str, path: &str| bucket_of(Some(host), path, &domains).map(|bucket| bucket.to_string());
        assert_eq!(of("localhost", "/abc/%zz").as_deref(), Some("abc"));
        assert_eq!(of("localhost", "/a%62c").as_deref(), Some("abc"));
        assert_eq!(of("abc.example.com", "/%zz").as_deref(), Some("abc"));
        for path in ["/", "/Abc/%zz", "/%zz/abc", "/ab%/k"] {
            assert_eq!(of("localhost", path), None, "{path}");
        }
    }

    #[test]
    fn own_routes_are_no_buckets() {
        assert_eq!(find_path("/healthz"), Ok(Route::Health));
        assert_eq!(find_path("/_myfsio/metrics"), Ok(Route::Admin));
        for path in ["/kms", "/kms/keys/x"] {
            assert_eq!(find_path(path), Ok(Route::Kms), "{path}");
        }
        for path in ["/v20180820", "/v20180820/jobs", "/bucket", "/bucket-policy/", "/bucket-policy/abc/k"] {
            assert_eq!(find_path(path), Ok(Route::Unbuilt), "{path}");
        }
        assert_eq!(find_path("/presigned/k"), object("presigned", "k"));
        assert_eq!(find_path("/WriteGetObjectResponse"), Ok(Route::S3(Address::ObjectLambda)));
    }

    #[test]
    fn documents_and_presigned_urls_have_paths_of_their_own() {
        let document = |document, name| Ok(Route::S3(Address::Document(document, BucketName::parse(name).unwrap())));
        assert_eq!(find_path("/bucket-policy/abc"), document(Document::Policy, "abc"));
        assert_eq!(find_path("/bucket-policy/abc/"), document(Document::Policy, "abc"));
        assert_eq!(find_path("/bucket/abc"), document(Document::Quota, "abc"));
        assert_eq!(find_path("/bucket-policy/Ab"), Err(ErrorCode::InvalidBucketName));
        assert!(speaks_json(None, "/bucket-policy/Ab", &[]) && speaks_json(None, "/presign/abc/%zz", &[]));
        let domains = ["example.com".to_owned()];
        assert!(!speaks_json(Some("abc.example.com"), "/presign/abc/%zz", &domains));
        assert!(!speaks_json(None, "/presign", &[]) && !speaks_json(None, "/abc/presign/%zz", &[]));
        let url_to = |key: &str| {
            let key = ObjectKey::parse(key.as_bytes()).unwrap();
            Ok(Route::Presign(BucketName::parse("abc").unwrap(), key))
        };
        assert_eq!(find_path("/presign/abc/a%20b/c+%2B"), url_to("a b/c++"));
        assert_eq!(find_path("/presign/abc//../k"), url_to("/../k"));
        for path in ["/presign/abc", "/presign/abc/"] {
            assert_eq!(find_path(path), Err(ErrorCode::InvalidRequest), "{path}");
        }
        for path in ["/presign", "/presign/", "/presign//k"] {
            assert_eq!(find_path(path), Err(ErrorCode::InvalidBucketName), "{path}");
        }
    }

    #[test]
    fn paths_of_documents_stand_for_their_parameters() {
        let complete = |document: Document, raw: &str| {
            let mut query = Query::parse(raw).unwrap();
            document.complete(&mut query).map(|()| query.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(complete(Document::Policy, "").unwrap(), ["policy"]);
        assert_eq!(complete(Document::Policy, "x=1&policy").unwrap(), ["x", "policy"]);
        assert_eq!(complete(Document::Quota, "quota").unwrap(), ["quota"]);
        assert_eq!(complete(Document::Quota, "policy").unwrap_err().code(), ErrorCode::NotImplemented);
    }

    #[test]
    fn control_knows_buckets_by_their_arns() {
        let control = |name: &str| Ok(Route::S3(Address::Control(BucketName::parse(name).unwrap())));
        assert_eq!(find_path("/v20180820/tags/arn%3Aaws%3As3%3A%3A%3Aabc"), control("abc"));
        assert_eq!(find_path("/v20180820/tags/arn:aws:s3:::a.b-c"), control("a.b-c"));
        for path in ["/v20180820/tags/abc", "/v20180820/tags/arn:aws:s3:us-east-1:1:accesspoint/a", "/v20180820/tags/"]
        {
            assert_eq!(find_path(path), Err(ErrorCode::InvalidRequest), "{path}");
        }
        assert!(is_control(Some("123456789012.localhost:5000"), "/v20180820/tags/x", Some("123456789012")));
        assert!(!is_control(Some("123456789012.localhost:5000"), "/v20180820/tags/x", None));
        assert!(!is_control(Some("abc.localhost:5000"), "/v20180820/tags/x", Some("123456789012")));
        assert!(!is_control(Some("123456789012.localhost"), "/key", Some("123456789012")));
    }

    #[test]
    fn hosts_name_buckets_under_base_domains() {
        let domains = ["example.com".to_owned(), "s3.example.com".to_owned()];
        let find = |host: &str, path: &str| find(Some(host), path, &domains).map_err(|e| e.code());
        assert_eq!(find("s3.example.com:5000", "/abc/k"), object("abc", "k"));
        assert_eq!(find("abc.s3.example.com:5000", "/x/k"), object("abc", "x/k"));
        assert_eq!(find("My.Bucket.S3.example.com", "/"), bucket("my.bucket"));
        assert_eq!(find("abc.example.com", "/healthz"), object("abc", "healthz"));
        assert_eq!(find("badexample.com", "/abc/k"), object("abc", "k"));
        assert_eq!(find("[::1]:5000", "/abc/k"), object("abc", "k"));
        assert_eq!(find("127.0.0.1", "/abc/k"), object("abc", "k"));
    }
}
