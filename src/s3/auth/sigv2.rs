//! Signature Version 2 (S3 User Guide, "Signing and authenticating REST requests (AWS Signature Version 2)"): the
//! `Authorization: AWS` header and the query with `AWSAccessKeyId`, `Signature` and `Expires`, which boto3 and the AWS
//! CLI still write when they presign in us-east-1.
//!
//! Plain functions of the request's head. The version signs neither the host nor most of the query. What must stay
//! true all the same: in a query, whatever selects an operation or a version is signed, so that the bearer of a URL can
//! make nothing else of it; and every line in front of the resource comes from headers, which hold no line breaks.

use std::borrow::Cow;
use std::collections::BTreeSet;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use myfsio_actors::names::AccessKeyId;

use super::canonical::path_forms;
use super::claim::{SECURITY_TOKEN, check_skew, session_token};
use super::credentials::SecretText;
use super::query_signs::QuerySigns;
use super::signing::{AmzDate, hmac_sha1, iso8601, same_secret};
use super::verify::spell;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::operation::is_sub_resource;
use crate::s3::request_head::{RequestHead, decode_query_part, query_pairs};

/// Parameters that clients sign: the sub-resources that the specification lists and those that S3 gained later while
/// the version was in use, in the order of their bytes.
const SIGNED_PARAMETERS: [&str; 35] = [
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// Where the signature stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Header,
    Query,
}

/// What a request signed with Version 2 claims.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Whose key signed.
    pub access_key_id: AccessKeyId,
    /// Time of signing, in seconds since the Unix epoch; a query says only when it ends.
    pub signed_at_seconds: Option<i64>,
    /// The session token of temporary credentials.
    pub session_token: Option<SecretText>,
    /// The line of the date: `Date`, or `Expires` in a query; empty beside an `x-amz-date`.
    date_line: String,
    /// The signature, as sent.
    signature: String,
    place: Place,
}

/// Whether an `Authorization` header is of this version.
pub fn is_header(authorization: &str) -> bool {
    authorization.strip_prefix("AWS").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

fn scheme(authorization: &str) -> (&str, &str) {
    authorization.split_once(char::is_whitespace).unwrap_or((authorization, ""))
}

/// Makes headers of the parameters that signers of this version put into the query in place of headers: `x-amz-*`,
/// Content-Type and Content-MD5. Then all that is signed is also obeyed. A header that is there already stays, and what
/// is no legal header is left out, which the signature shows.
pub fn adopt_headers(query: &str, signs: QuerySigns, headers: &mut HeaderMap) {
    if !signs.version_2 {
        return;
    }
    for (name, value) in query_pairs(query) {
        let name = name.to_ascii_lowercase();
        let stands_in = name.starts_with("x-amz-") || matches!(name.as_str(), "content-type" | "content-md5");
        let (true, Ok(name)) = (stands_in, HeaderName::from_bytes(name.as_bytes())) else { continue };
        if let (false, Ok(value)) = (headers.contains_key(&name), HeaderValue::from_bytes(value.as_bytes())) {
            headers.insert(name, value);
        }
    }
}

/// Parses the header and checks all that needs no secret. Errs: InvalidArgument (not `id:signature`),
/// InvalidAccessKeyId, AccessDenied (no date), RequestTimeTooSkewed, InvalidToken.
pub fn parse_header(head: &RequestHead<'_>, authorization: &str, now_seconds: i64) -> Result<Claim, S3Error> {
    // From the right: base 64 has no colon, whatever stands in the id.
    let parts = scheme(authorization).1.trim().rsplit_once(':');
    let Some((id, signature)) = parts.filter(|(id, signature)| !id.is_empty() && !signature.is_empty()) else {
        let message = "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature";
        return Err(S3Error::invalid_argument("Authorization", authorization, message));
    };
    let access_key_id = parse_id(id)?;
    let amz_date = head.headers.contains_key("x-amz-date");
    let text = head.header(if amz_date { "x-amz-date" } else { "date" }).unwrap_or_default();
    let date = AmzDate::parse_header(text)
        .ok_or_else(|| denied("AWS authentication requires a valid Date or x-amz-date header"))?;
    check_skew(&date, now_seconds)?;
    Ok(Claim {
        access_key_id,
        signed_at_seconds: Some(date.seconds),
        session_token: session_token(head, None)?,
        date_line: if amz_date { String::new() } else { text.to_owned() },
        signature: signature.to_owned(),
        place: Place::Header,
    })
}

/// Parses the query and checks all that needs no secret. Errs: AccessDenied (a parameter is missing, given twice or
/// malformed; expired), InvalidAccessKeyId, InvalidToken.
pub fn parse_query(head: &RequestHead<'_>, now_seconds: i64) -> Result<Claim, S3Error> {
    let (mut id, mut signature, mut expires) = (None, None, None);
    for (name, value) in head.query_pairs() {
        let slot = match &*name {
            "AWSAccessKeyId" => &mut id,
            "Signature" => &mut signature,
            "Expires" => &mut expires,
            _ => continue,
        };
        if slot.replace(value.into_owned()).is_some() {
            return Err(denied("An authentication query parameter is given twice."));
        }
    }
    let filled = |value: Option<String>| value.filter(|value| !value.is_empty());
    let (Some(id), Some(signature), Some(expires)) = (filled(id), filled(signature), filled(expires)) else {
        let message = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters";
        return Err(denied(message));
    };
    let all_digits = expires.bytes().all(|b| b.is_ascii_digit());
    let Some(end) = expires.parse::<i64>().ok().filter(|_| all_digits) else {
        return Err(denied("Invalid date (should be seconds since epoch)").field("Expires", expires));
    };
    let access_key_id = parse_id(&id)?;
    if now_seconds > end {
        return Err(denied("Request has expired")
            .field("Expires", iso8601(end))
            .field("ServerTime", iso8601(now_seconds)));
    }
    // Its signature covers headers only; the parameter has become one, unless it can be none.
    let mut parameters = head.query_pairs();
    let in_query = parameters.find(|(name, _)| name.eq_ignore_ascii_case(SECURITY_TOKEN)).map(|(_, value)| value);
    let session_token = session_token(head, in_query.as_deref())?;
    // Signers that leave the plus signs of base 64 unencoded are as good as others: it has no spaces.
    let signature = signature.replace(' ', "+");
    Ok(Claim {
        access_key_id,
        signed_at_seconds: None,
        session_token,
        date_line: expires,
        signature,
        place: Place::Query,
    })
}

fn denied(message: &'static str) -> S3Error {
    S3Error::with_message(ErrorCode::AccessDenied, message)
}

fn parse_id(id: &str) -> Result<AccessKeyId, S3Error> {
    AccessKeyId::parse(id).map_err(|_| S3Error::new(ErrorCode::InvalidAccessKeyId).field("AWSAccessKeyId", id))
}

/// Which parameters enter the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Those that clients sign and all that select an operation.
    Selecting,
    /// Those that clients sign.
    Listed,
}

/// The forms of the path that a client may have signed: the bucket of a virtual host in front; with and without the
/// slash behind a bucket, which clients sign and do not send; as sent and with all encoded that S3 wants encoded.
fn resource_paths(head: &RequestHead<'_>) -> Vec<String> {
    let mut paths: Vec<String> = path_forms(head.path).map(Cow::into_owned).collect();
    if let Some(bucket) = head.virtual_bucket {
        return paths.into_iter().map(|path| format!("/{bucket}{path}")).collect();
    }
    let is_bare = |path: &String| path.strip_prefix('/').is_some_and(|name| !name.is_empty() && !name.contains('/'));
    let with_slash: Vec<String> = paths.iter().filter(|path| is_bare(path)).map(|path| format!("{path}/")).collect();
    paths.extend(with_slash);
    paths
}

/// How `?name=`, without a value, is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Empty {
    /// As it was sent.
    AsSent,
    /// As `?name`: what minio-go sends and signs.
    Bare,
}

fn is_signed(name: &str, extent: Extent) -> bool {
    SIGNED_PARAMETERS.contains(&name) || (extent == Extent::Selecting && is_sub_resource(name))
}

/// Whether a signed value spells out a further signed parameter. Values are signed decoded, so that the bearer of
/// `?response-expires=a&versionId=b` could hide the version in the value before it.
fn hides_parameter(head: &RequestHead<'_>) -> bool {
    let is_signed = |name: &str| is_signed(name, Extent::Selecting);
    head.query_pairs().filter(|(name, _)| is_signed(name)).any(|(_, value)| {
        value.split('&').skip(1).any(|piece| is_signed(piece.split_once('=').map_or(piece, |(name, _)| name)))
    })
}

/// The parameters of the resource, decoded, ordered by name; `?name` without `=` stays so.
fn push_parameters(out: &mut Vec<u8>, query: &str, extent: Extent, empty: Empty) {
    let mut parameters: Vec<_> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => (decode_query_part(name), Some(decode_query_part(value))),
            None => (decode_query_part(pair), None),
        })
        .filter(|(name, _)| std::str::from_utf8(name).is_ok_and(|name| is_signed(name, extent)))
        .collect();
    // Stable: of a repeated parameter the first counts, so their order is part of what is signed.
    parameters.sort_by(|a, b| a.0.cmp(&b.0));
    for (i, (name, value)) in parameters.into_iter().enumerate() {
        out.push(if i == 0 { b'?' } else { b'&' });
        out.extend_from_slice(&name);
        if let Some(value) = value.filter(|value| empty == Empty::AsSent || !value.is_empty()) {
            out.push(b'=');
            out.extend_from_slice(&value);
        }
    }
}

/// All values of a header, trimmed and joined with a comma; empty when it is absent.
fn header_value(head: &RequestHead<'_>, name: &str) -> Vec<u8> {
    let values: Vec<&[u8]> = head.headers.get_all(name).map(|value| value.as_bytes().trim_ascii()).collect();
    values.join(&b',')
}

/// The string to sign.
fn string_to_sign(head: &RequestHead<'_>, claim: &Claim, path: &str, extent: Extent, empty: Empty) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(head.method.as_bytes());
    out.push(b'\n');
    for name in ["content-md5", "content-type"] {
        out.extend_from_slice(&header_value(head, name));
        out.push(b'\n');
    }
    out.extend_from_slice(claim.date_line.as_bytes());
    out.push(b'\n');
    let names = head.headers.keys().map(HeaderName::as_str).filter(|name| name.starts_with("x-amz-"));
    for name in names.collect::<BTreeSet<_>>() {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        out.extend_from_slice(&header_value(head, name));
        out.push(b'\n');
    }
    out.extend_from_slice(path.as_bytes());
    push_parameters(&mut out, head.query, extent, empty);
    out
}

/// Verifies the signature. Errs: SignatureDoesNotMatch with what the node would have signed.
pub fn verify(head: &RequestHead<'_>, claim: &Claim, secret: &str) -> Result<(), S3Error> {
    // Clients do not know every sub-resource. A header serves one request and ends after minutes; a URL is passed on,
    // so there nothing that selects an operation may be unsigned.
    let extents: &[Extent] = match claim.place {
        Place::Header => &[Extent::Selecting, Extent::Listed],
        Place::Query => &[Extent::Selecting],
    };
    if hides_parameter(head) {
        return Err(mismatch(head, claim));
    }
    let provided = STANDARD.decode(&claim.signature).unwrap_or_default();
    for path in resource_paths(head) {
        for (extent, empty) in extents.iter().flat_map(|extent| [(*extent, Empty::AsSent), (*extent, Empty::Bare)]) {
            let expected = hmac_sha1(secret.as_bytes(), &string_to_sign(head, claim, &path, extent, empty));
            if same_secret(&expected, &provided) {
                return Ok(());
            }
        }
    }
    Err(mismatch(head, claim))
}

fn mismatch(head: &RequestHead<'_>, claim: &Claim) -> S3Error {
    let path = resource_paths(head).into_iter().next().unwrap_or_default();
    let to_sign = string_to_sign(head, claim, &path, Extent::Selecting, Empty::AsSent);
    S3Error::new(ErrorCode::SignatureDoesNotMatch)
        .field("AWSAccessKeyId", claim.access_key_id.as_str())
        .field("StringToSign", String::from_utf8_lossy(&to_sign))
        .field("SignatureProvided", claim.signature.as_str())
        .field("StringToSignBytes", spell(&to_sign))
}
