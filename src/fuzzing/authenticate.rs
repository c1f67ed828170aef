//! Requests as they are, and the same ones signed and then tampered with.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use futures_util::FutureExt as _;
use myfsio_actors::names::{AccessKeyId, Stamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::input::{Request, is_answered};
use crate::s3::auth::canonical::canonical_path;
use crate::s3::auth::query_signs::adopt_headers;
use crate::s3::auth::signing::{Scope, SigningKey, sha256_hex};
use crate::s3::auth::{
    AuthSettings, Authenticated, Credential, CredentialError, Credentials, Mechanism, SecretText, authenticate as ask,
};
use crate::s3::error::S3Error;
use crate::s3::request_head::RequestHead;

const ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const NOW: Stamp = Stamp(1_369_353_600_000_000_000);
const DATE: &str = "20130524T000000Z";
const SCOPE: &str = "20130524/us-east-1/s3/aws4_request";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// What SigV4 leaves unencoded (RFC 3986 unreserved).
const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request is refused with a legible error, or its signature is that of the specification and covers its headers. Signed
/// by the specification it is accepted, and with one thing changed it is not.
pub fn authenticate(data: &[u8]) -> bool {
    let Some(mut request) = Request::parse(data) else { return false };
    adopt_headers(request.uri.query().unwrap_or_default(), &mut request.headers);
    if let Some(bare) = Bare::of(&request) {
        let tamper = data.iter().fold(0, |all: u8, byte| all.wrapping_add(*byte));
        bare.by_header().check(Mechanism::SigV4Header, tamper);
        bare.by_query().check(Mechanism::SigV4Query, tamper);
    }
    let head = request.head();
    match done(&head) {
        Ok(found) => {
            vouch(&head, &found);
            found.principal.is_some()
        }
        Err(error) => {
            is_answered(&error, data);
            false
        }
    }
}

/// One access key.
struct Keys;

impl Credentials for Keys {
    type Principal = ();

    async fn credential(
        &self,
        id: &AccessKeyId,
        _: Option<&str>,
        _: impl FnOnce() -> bool,
    ) -> Result<Credential<()>, CredentialError> {
        match id.as_str() == ID {
            true => Ok(Credential { secret: SecretText::new(SECRET), principal: Arc::new(()) }),
            false => Err(CredentialError::NoSuchAccessKey),
        }
    }

    async fn verify_secret(
        &self,
        id: &AccessKeyId,
        _: Option<&str>,
        secret: &str,
        _: Option<IpAddr>,
        _: bool,
    ) -> Result<Arc<()>, CredentialError> {
        match (id.as_str() == ID, secret == SECRET) {
            (true, true) => Ok(Arc::new(())),
            (true, false) => Err(CredentialError::WrongSecret),
            (false, _) => Err(CredentialError::NoSuchAccessKey),
        }
    }
}

fn done(head: &RequestHead<'_>) -> Result<Authenticated<()>, S3Error> {
    ask(head, &AuthSettings::default(), &Keys, NOW).now_or_never().expect("nothing waits in here")
}

/// Whoever was accepted knew the secret, and all that is obeyed was signed.
fn vouch(head: &RequestHead<'_>, found: &Authenticated<()>) {
    let claim = match found.mechanism {
        Mechanism::SigV4Header => Claim::of_header(head),
        Mechanism::SigV4Query => Claim::of_query(head),
        Mechanism::HeaderPair => return assert_eq!(head.header("x-secret-key"), Some(SECRET)),
        Mechanism::Anonymous => {
            let is_absent = head.header("authorization").is_none_or(str::is_empty);
            return assert!(found.principal.is_none() && is_absent);
        }
        Mechanism::SigV2Header | Mechanism::SigV2Query | Mechanism::PostForm => return,
    };
    let names: Vec<&str> = claim.signed.split(';').collect();
    let path = std::str::from_utf8(head.path).expect("a path is ASCII");
    let expected = [path, &canonical_path(head.path)].map(|path| claim.signature_for(head, path));
    assert!(expected.contains(&claim.signature), "{} is none of {expected:?}", claim.signature);
    for (name, value) in head.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-amz-")) {
        let in_query = head
            .query_pairs()
            .any(|(other, text)| other.eq_ignore_ascii_case(name.as_str()) && text.as_bytes() == value.as_bytes());
        let exempt = found.mechanism == Mechanism::SigV4Query && name.as_str() == "x-amz-content-sha256";
        assert!(names.contains(&name.as_str()) || in_query || exempt, "{name}: {value:?} is not signed");
    }
    assert!(names.contains(&"host"));
}

/// A signature as it stands in a request that was accepted.
struct Claim {
    signed: String,
    signature: String,
    date: String,
    payload: String,
}

impl Claim {
    fn of_header(head: &RequestHead<'_>) -> Self {
        let text = head.header("authorization").expect("the header that was accepted");
        let part = |name: &str| {
            let parts = text.split_once(' ').map_or("", |(_, parts)| parts).split(',');
            let found = parts.filter_map(|part| part.split_once('=')).find(|(found, _)| found.trim() == name);
            found.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        Self {
            signed: tidy(&part("SignedHeaders")),
            signature: part("Signature"),
            date: head.header("x-amz-date").unwrap_or(DATE).to_owned(),
            payload: head.header("x-amz-content-sha256").unwrap_or_default().to_owned(),
        }
    }

    fn of_query(head: &RequestHead<'_>) -> Self {
        let first = |name: &str| head.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned());
        let value = |name: &str| first(name).unwrap_or_default();
        let signed = tidy(&value("X-Amz-SignedHeaders"));
        let header =
            head.header("x-amz-content-sha256").filter(|_| signed.split(';').any(|n| n == "x-amz-content-sha256"));
        let payload = header.map(str::to_owned).or_else(|| first("X-Amz-Content-Sha256"));
        let payload = payload.unwrap_or_else(|| UNSIGNED.to_owned());
        Self { signed, signature: value("X-Amz-Signature"), date: value("X-Amz-Date"), payload }
    }

    fn signature_for(&self, head: &RequestHead<'_>, path: &str) -> String {
        signature(head.method, path, head.query, head.headers, &self.signed, &self.payload, &self.date)
    }
}

fn tidy(names: &str) -> String {
    let names: Vec<String> =
        names.split(';').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty()).collect();
    names.join(";")
}

/// Signature Version 4 by the letter of its specification, written a second time.
fn signature(
    method: &str,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    signed: &str,
    payload: &str,
    date: &str,
) -> String {
    let encode = |text: &str| {
        let bytes: Vec<u8> = percent_decode_str(&text.replace('+', "%20")).collect();
        percent_encode(&bytes, &ENCODED).to_string()
    };
    let mut pairs: Vec<String> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if encode(name) != "X-Amz-Signature" {
            // Byte 1 sorts below all that an encoded name can hold: names are compared before values.
            pairs.push(format!("{}\u{1}{}", encode(name), encode(value)));
        }
    }
    pairs.sort();
    let query = pairs.join("&").replace('\u{1}', "=");
    let mut canonical = format!("{method}\n{path}\n{query}\n").into_bytes();
    for name in signed.split(';') {
        let values: Vec<Vec<u8>> = headers.get_all(name).map(|value| single_spaced(value.as_bytes())).collect();
        canonical.extend_from_slice(name.as_bytes());
        canonical.push(b':');
        canonical.extend(values.join(&b','));
        canonical.push(b'\n');
    }
    canonical.extend(format!("\n{signed}\n{payload}").bytes());
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{SCOPE}\n{}", sha256_hex(&canonical));
    let scope = Scope::new(&date[..8], "us-east-1", "s3");
    SigningKey::derive(SECRET, &scope).sign(to_sign.replace(SCOPE, &scope.to_string()).as_bytes())
}

fn single_spaced(value: &[u8]) -> Vec<u8> {
    let words: Vec<&[u8]> = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
    words.join(&b' ')
}

/// A request without any signature.
#[derive(Clone)]
struct Bare {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
}

impl Bare {
    /// The request without its claims; none when its query holds some, which cannot be told apart from those to be made.
    fn of(request: &Request<'_>) -> Option<Self> {
        let head = request.head();
        let own = ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders"];
        let others = ["x-amz-signature", "x-amz-content-sha256", "x-amz-security-token", "awsaccesskeyid", "signature"];
        let claims = |name: &str| own.iter().chain(&others).any(|claim| name.eq_ignore_ascii_case(claim));
        if head.query_pairs().any(|(name, _)| claims(&name)) {
            return None;
        }
        let mut headers = request.headers.clone();
        let pair = ["authorization", "x-access-key", "x-secret-key", "date", "host"];
        for name in pair.iter().chain(&own).chain(&others) {
            headers.remove(*name);
        }
        set(&mut headers, "host", "photos.example.com");
        // A target without a path, such as `host:80`, is signed as `/`.
        let path = request.uri.path();
        let path = if path.is_empty() { "/" } else { path };
        Some(Self { method: head.method.to_owned(), path: path.to_owned(), query: head.query.to_owned(), headers })
    }

    /// Host and all `x-amz-*` headers, as clients sign them.
    fn names(&self) -> String {
        let mut names: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        names.retain(|name| *name == "host" || name.starts_with("x-amz-"));
        names.sort_unstable();
        names.join(";")
    }

    fn signature(&self) -> String {
        signature(&self.method, &self.path, &self.query, &self.headers, &self.names(), UNSIGNED, DATE)
    }

    fn by_header(&self) -> Self {
        let mut signed = self.clone();
        set(&mut signed.headers, "x-amz-date", DATE);
        set(&mut signed.headers, "x-amz-content-sha256", UNSIGNED);
        let (names, signature) = (signed.names(), signed.signature());
        let text = format!("AWS4-HMAC-SHA256 Credential={ID}/{SCOPE}, SignedHeaders={names}, Signature={signature}");
        set(&mut signed.headers, "authorization", &text);
        signed
    }

    fn by_query(&self) -> Self {
        let mut signed = self.clone();
        let encode = |text: &str| percent_encode(text.as_bytes(), &ENCODED).to_string();
        signed.query = format!(
            "{}&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date={DATE}&X-Amz-Expires=60\
             &X-Amz-SignedHeaders={}",
            self.query,
            encode(&format!("{ID}/{SCOPE}")),
            encode(&self.names())
        );
        let signature = signed.signature();
        signed.query.push_str(&format!("&X-Amz-Signature={signature}"));
        adopt_headers(&signed.query, &mut signed.headers);
        signed
    }

    fn ask(&self) -> Result<Authenticated<()>, S3Error> {
        done(&RequestHead {
            method: &self.method,
            path: self.path.as_bytes(),
            query: &self.query,
            virtual_bucket: None,
            headers: &self.headers,
            peer: None,
            secure: false,
            body_sha256: None,
        })
    }

    /// Accepted as it is, and not with one thing changed.
    fn check(&self, mechanism: Mechanism, tamper: u8) {
        let found = self.ask().expect("a good signature");
        assert_eq!((found.mechanism, found.signed_at_seconds), (mechanism, Some(1_369_353_600)));
        let mut other = self.clone();
        match tamper % 6 {
            0 => other.path.push('x'),
            1 => other.query.push_str("&x"),
            2 => other.method.push('X'),
            3 => set(&mut other.headers, "host", "videos.example.com"),
            4 => append(&mut other.headers, "x-amz-meta-unsigned", "x"),
            _ => {
                let name = self.headers.keys().find(|name| name.as_str().starts_with("x-amz-")).cloned();
                append(&mut other.headers, name.as_ref().map_or("x-amz-meta-unsigned", HeaderName::as_str), "x");
            }
        }
        assert!(other.ask().is_err(), "accepted with change {}", tamper % 6);
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header's value"));
}

fn append(headers: &mut HeaderMap, name: &str, value: &'static str) {
    headers.append(name.parse().expect("a header's name"), HeaderValue::from_static(value));
}
