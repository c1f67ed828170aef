//! What headers say about a body and about an object.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use myfsio_actors::names::ChecksumAlgorithm;
use myfsio_actors::storage::checksum_of;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::input::{Request, is_answered};
use crate::s3::auth::DeclaredPayload;
use crate::s3::auth::chunked::{declared_trailers, decoded_length};
use crate::s3::checksum::BodyChecks;
use crate::s3::headers::{
    METADATA_BYTES_MAX, attributes, mail_safe, parse_tagging, refuse_unbuilt, text, write_attributes,
};

/// The claims of a request about its body: one that holds for the body holds for no other, whichever line it stands on.
pub fn body_claims(data: &[u8]) -> bool {
    let Some(request) = Request::parse(data) else { return false };
    let head = request.head();
    let refusals = [
        declared_trailers(&request.headers).err(),
        decoded_length(&head).err(),
        DeclaredPayload::of_unsigned_request(&head).err(),
        BodyChecks::parse(&request.headers, None).err(),
    ];
    refusals.iter().flatten().for_each(|error| is_answered(error, data));
    let checks = BodyChecks::parse(&request.headers, None).ok();
    let joined = BodyChecks::parse(&with_one_line(&request.headers, "x-amz-trailer"), None).ok();
    assert_eq!(checks, joined, "lines of a list are read apart");
    let Some(checks) = checks else { return false };

    let right = |algorithm: ChecksumAlgorithm| {
        let value = checksum_of(algorithm, request.body).expect("a checksum");
        (algorithm.header().to_owned(), value.to_string())
    };
    let trailers = ChecksumAlgorithm::ALL.map(right);
    if let Err(error) = checks.verify_bytes(request.body, &trailers) {
        is_answered(&error, data);
        return false;
    }
    let other = [request.body, b"x"].concat();
    assert_eq!(checks.verify_bytes(&other, &trailers).is_err(), checks.has_integrity());
    true
}

/// The headers with all lines of one joined into a single line.
fn with_one_line(headers: &HeaderMap, name: &'static str) -> HeaderMap {
    let lines: Vec<&[u8]> = headers.get_all(name).map(HeaderValue::as_bytes).collect();
    let mut joined = headers.clone();
    if !lines.is_empty() {
        let value = HeaderValue::from_bytes(&lines.join(&b','));
        joined.insert(HeaderName::from_static(name), value.expect("a header's value"));
    }
    joined
}

/// What a write says about its object comes back on a read.
pub fn object_headers(data: &[u8]) -> bool {
    let Some(request) = Request::parse(data) else { return false };
    if let Err(error) = refuse_unbuilt(&request.headers) {
        is_answered(&error, data);
    }
    let written = match attributes(&request.headers) {
        Ok(written) => written,
        Err(error) => {
            is_answered(&error, data);
            return false;
        }
    };
    let size: usize = written.user_metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(size <= METADATA_BYTES_MAX);
    let mut response = HttpResponse::Ok().finish();
    write_attributes(&mut response, &written);
    for (name, value) in &written.user_metadata {
        let name = format!("x-amz-meta-{name}");
        assert_eq!(text(response.headers(), &name), Some(mail_safe(value)));
        // Encoded words are longer than what they say: read as a request they may be too large.
        response.headers_mut().remove(&name);
    }
    let mut read = attributes(response.headers()).expect("what was written can be read");
    read.user_metadata.clone_from(&written.user_metadata);
    read.tags.clone_from(&written.tags);
    if written.content_type.is_none() {
        read.content_type = None;
    }
    assert_eq!(read, written);
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let tagging: Vec<String> =
        written.tags.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
    assert_eq!(parse_tagging(&tagging.join("&")).expect("the same tags"), written.tags);
    true
}
