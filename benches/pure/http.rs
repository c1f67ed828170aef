//! Signatures, targets, framing and XML.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use futures_util::FutureExt as _;
use myfsio::s3::auth::canonical::{Reading, Signed, canonical_request, string_to_sign};
use myfsio::s3::auth::chunked::{ChunkSigner, ChunkedKind};
use myfsio::s3::auth::signing::{AmzDate, Scope, SigningKey, sha256_hex};
use myfsio::s3::auth::{
    AuthSettings, ChunkedDecoder, Credential, CredentialError, Credentials, SecretText, authenticate,
};
use myfsio::s3::handlers::listing::{storage_class, write_object};
use myfsio::s3::query::Query;
use myfsio::s3::range;
use myfsio::s3::request_head::RequestHead;
use myfsio::s3::route;
use myfsio::s3::xml::XmlWriter;
use myfsio_actors::names::{AccessKeyId, CanonicalId, ETag, Stamp, VersionId};
use myfsio_actors::storage::{Attributes, Object};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const DATE: &str = "20130524T000000Z";
const NOW: Stamp = Stamp(1_369_353_600_000_000_000);
const PATH: &str = "/photos/folder-0001/object%20with%20spaces-00000001";
const QUERY: &str = "list-type=2&prefix=folder-0001%2F&delimiter=%2F&max-keys=1000&encoding-type=url";
const CHUNK_BYTES: usize = 64 << 10;
const MIB: usize = 1 << 20;

fn scope() -> Scope {
    Scope::new("20130524", "us-east-1", "s3")
}

/// One access key, always at hand.
struct Keys;

impl Credentials for Keys {
    type Principal = ();

    async fn credential(
        &self,
        _: &AccessKeyId,
        _: Option<&str>,
        _: impl FnOnce() -> bool,
    ) -> Result<Credential<()>, CredentialError> {
        Ok(Credential { secret: SecretText::new(SECRET), principal: Arc::new(()) })
    }

    async fn verify_secret(
        &self,
        _: &AccessKeyId,
        _: Option<&str>,
        _: &str,
        _: Option<IpAddr>,
        _: bool,
    ) -> Result<Arc<()>, CredentialError> {
        Err(CredentialError::WrongSecret)
    }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header's value"))
    };
    pairs.iter().map(pair).collect()
}

fn head<'a>(headers: &'a HeaderMap, query: &'a str) -> RequestHead<'a> {
    RequestHead {
        method: "GET",
        path: PATH.as_bytes(),
        query,
        virtual_bucket: None,
        headers,
        peer: Some([127, 0, 0, 1].into()),
        secure: false,
        body_sha256: None,
    }
}

fn signature(head: &RequestHead<'_>, signed: &Signed) -> String {
    let canonical = canonical_request(head, signed, &Reading::default());
    let to_sign = string_to_sign(&AmzDate::parse(DATE).expect("a date"), &scope(), &canonical);
    SigningKey::derive(SECRET, &scope()).sign(to_sign.as_bytes())
}

/// Parts of a verification, and whole ones. The key of a scope is derived anew for each; what a cached one would leave is
/// the whole without `derive the key`.
pub fn signatures(criterion: &mut Criterion) {
    let credential = format!("AKIAIOSFODNN7EXAMPLE/{}", scope());
    let mut by_header =
        headers(&[("host", "localhost:5000"), ("x-amz-date", DATE), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]);
    let names = ["host", "x-amz-content-sha256", "x-amz-date"].map(Into::into).to_vec();
    let signed = Signed { headers: names, payload: "UNSIGNED-PAYLOAD".into(), leave_out: None };
    let text = format!(
        "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={}, Signature={}",
        signed.headers.join(";"),
        signature(&head(&by_header, QUERY), &signed)
    );
    by_header.insert(HeaderName::from_static("authorization"), text.parse().expect("a header's value"));

    let plain = headers(&[("host", "localhost:5000")]);
    let unsigned = format!(
        "{QUERY}&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date={DATE}&X-Amz-Expires=60\
         &X-Amz-SignedHeaders=host",
        credential.replace('/', "%2F")
    );
    let in_query =
        Signed { headers: vec!["host".into()], payload: "UNSIGNED-PAYLOAD".into(), leave_out: Some("X-Amz-Signature") };
    let presigned = format!("{unsigned}&X-Amz-Signature={}", signature(&head(&plain, &unsigned), &in_query));

    let settings = AuthSettings::default();
    let verify = |headers: &HeaderMap, query: &str| {
        let found = authenticate(&head(headers, query), &settings, &Keys, NOW).now_or_never();
        found.expect("nothing waits").expect("a good signature").mechanism
    };
    let mut group = criterion.benchmark_group("sigv4");
    group.bench_function("canonical request", |b| {
        b.iter(|| black_box(canonical_request(&head(&by_header, QUERY), &signed, &Reading::default())));
    });
    group.bench_function("derive the key", |b| b.iter(|| black_box(SigningKey::derive(SECRET, &scope()))));
    group.bench_function("verify a header", |b| b.iter(|| black_box(verify(&by_header, QUERY))));
    group.bench_function("verify a presigned query", |b| b.iter(|| black_box(verify(&plain, &presigned))));
    group.finish();
}

/// What every request is asked first.
pub fn requests(criterion: &mut Criterion) {
    let domains = ["s3.example.com".to_owned()];
    let mut group = criterion.benchmark_group("request");
    group.bench_function("route of a path", |b| b.iter(|| black_box(route::find(Some("localhost"), PATH, &domains))));
    group.bench_function("route of a host", |b| {
        b.iter(|| black_box(route::find(Some("photos.s3.example.com:5000"), "/folder/object", &domains)));
    });
    group.bench_function("query", |b| b.iter(|| black_box(Query::parse(QUERY))));
    group.bench_function("range", |b| b.iter(|| black_box(range::resolve("bytes=1048576-2097151", 64 << 20))));
    group.finish();
}

fn signer(seed: &str) -> ChunkSigner {
    let date = AmzDate::parse(DATE).expect("a date");
    ChunkSigner::new(SigningKey::derive(SECRET, &scope()), &date, &scope(), seed.to_owned())
}

/// A mebibyte in chunks of 64 KiB, as SDKs send it.
fn framed(is_signed: bool) -> Bytes {
    let data = vec![7; CHUNK_BYTES];
    let (mut body, mut link) = (Vec::new(), is_signed.then(|| signer("0")));
    for chunk in std::iter::repeat_n(data.as_slice(), MIB / CHUNK_BYTES).chain([&[][..]]) {
        let signature = link.as_ref().map(|signer| signer.chunk_signature(&sha256_hex(chunk)));
        let extension = signature.as_ref().map_or(String::new(), |text| format!(";chunk-signature={text}"));
        body.extend(format!("{:x}{extension}\r\n", chunk.len()).bytes());
        if !chunk.is_empty() {
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        link = signature.as_deref().map(signer);
    }
    body.extend_from_slice(b"\r\n");
    body.into()
}

/// Decoding of aws-chunked bodies that arrive in reads of 32 KiB.
pub fn framing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("aws-chunked");
    group.throughput(Throughput::Bytes(MIB as u64));
    for (name, kind, body) in [
        ("signed, 1 MiB", ChunkedKind::Signed(signer("0")), framed(true)),
        ("unsigned, 1 MiB", ChunkedKind::UnsignedTrailer, framed(false)),
    ] {
        let decode = |(mut decoder, mut body): (ChunkedDecoder, Bytes)| {
            let mut decoded = 0;
            while !body.is_empty() {
                let read = body.split_to(body.len().min(32 << 10));
                decoded += decoder.feed(read).expect("a good body").iter().map(Bytes::len).sum::<usize>();
            }
            decoder.finish().expect("a whole body");
            assert_eq!(decoded, MIB);
        };
        let fresh = || (ChunkedDecoder::new(kind.clone(), MIB as u64, Vec::new()), body.clone());
        group.bench_function(name, |b| b.iter_batched(fresh, decode, BatchSize::SmallInput));
    }
    group.finish();
}

/// The document of a page of 1000 keys.
pub fn listing(criterion: &mut Criterion) {
    let object = Object {
        version_id: VersionId::Null,
        stamp: Stamp(1_700_000_000_000_000_000),
        size: 4096,
        etag: ETag::single([0x5d; 16]),
        crc64nvme: 7,
        checksum: None,
        owner: CanonicalId::from_bytes([1; 32]),
        attributes: Attributes::default(),
        controls: myfsio_actors::storage::Controls::default(),
        upload: None,
        sealed: None,
        lineage: None,
    };
    let keys: Vec<String> = (0..1000).map(|n| format!("folder-{:04}/object-{n:08}", n / 100)).collect();
    let write = || {
        let mut out = XmlWriter::with_capacity("ListBucketResult", 400 * keys.len());
        for key in &keys {
            out.open("Contents").key("Key", key, false);
            write_object(&mut out, &object);
            out.text("StorageClass", storage_class(None)).close();
        }
        out.finish()
    };
    let mut group = criterion.benchmark_group("xml");
    group.throughput(Throughput::Bytes(write().len() as u64));
    group.bench_function("listing of 1000 keys", |b| b.iter(|| black_box(write())));
    group.finish();
}
