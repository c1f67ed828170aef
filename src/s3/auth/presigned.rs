//! The query of a presigned URL (S3 API Reference, "Authenticating Requests: Using Query Parameters").
//!
//! `X-Amz-Expires` outside 1 to 604800 is refused with 403, as ceph/s3-tests expects; a value that is no number at
//! all is a malformed query, 400.

use std::borrow::Cow;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use super::canonical::Signed;
use super::claim::{
    Claim, Place, SECURITY_TOKEN, SKEW_SECONDS_MAX, check_scope_date, check_signed_headers, parse_credential,
    parse_signed_headers, session_token,
};
use super::header_signs::HeaderSigns;
use super::payload::{CONTENT_SHA256, DeclaredPayload, UNSIGNED, payload_line};
use super::query_signs::QuerySigns;
use super::settings::AuthSettings;
use super::signing::{ALGORITHM, AmzDate, iso8601};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::request_head::{RequestHead, pairs, query_pairs, text};

/// Longest life of a presigned URL, in seconds: a week.
pub const EXPIRES_SECONDS_MAX: i64 = 604_800;

/// What a query says of a signature, gathered in one look: every request is looked at, and few have any.
#[derive(Default)]
pub struct Parameters<'a> {
    /// A parameter of Signature Version 2 is there.
    pub is_version_2: bool,
    is_twice: bool,
    algorithm: Option<Cow<'a, str>>,
    credential: Option<Cow<'a, str>>,
    date: Option<Cow<'a, str>>,
    expires: Option<Cow<'a, str>>,
    signed_headers: Option<Cow<'a, str>>,
    signature: Option<Cow<'a, str>>,
    content_sha256: Option<Cow<'a, str>>,
    security_token: Option<Cow<'a, str>>,
}

/// Makes headers of the `x-amz-*` parameters that some SDKs sign into the query in place of headers (metadata, ACL, storage
/// class, tags …), so that what is signed is also obeyed. Those of the signature itself stay out, and so do checksums: an
/// SDK that presigns knows no body yet. A header that is there already stays.
pub fn adopt_headers(query: &str, signs: QuerySigns, headers: &mut HeaderMap) {
    if !(signs.signature_4 && signs.others) {
        return;
    }
    for (name, value) in query_pairs(query) {
        let name = name.to_ascii_lowercase();
        let checks = name.starts_with("x-amz-checksum-") || name.starts_with("x-amz-sdk-");
        if !name.starts_with("x-amz-") || checks || is_own_parameter(&name) || headers.contains_key(&name) {
            continue;
        }
        let header = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()));
        if let (Ok(name), Ok(value)) = header {
            headers.insert(name, value);
        }
    }
}

/// Whether a parameter belongs to the signature, in whatever letter case.
pub(super) fn is_own_parameter(name: &str) -> bool {
    const OWN: [&str; 8] = [
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-signedheaders",
        "x-amz-signature",
        SECURITY_TOKEN,
        CONTENT_SHA256,
    ];
    OWN.iter().any(|own| own.eq_ignore_ascii_case(name))
}

impl<'a> Parameters<'a> {
    /// Of the decoded names: whoever bears a URL could hide a signature in other spellings.
    pub fn of(head: &RequestHead<'a>) -> Self {
        let mut parameters = Self::default();
        for (name, value) in pairs(head.query) {
            let slot = match &*text(name) {
                "X-Amz-Algorithm" => &mut parameters.algorithm,
                "X-Amz-Credential" => &mut parameters.credential,
                "X-Amz-Date" => &mut parameters.date,
                "X-Amz-Expires" => &mut parameters.expires,
                "X-Amz-SignedHeaders" => &mut parameters.signed_headers,
                "X-Amz-Signature" => &mut parameters.signature,
                "X-Amz-Content-Sha256" => &mut parameters.content_sha256,
                "X-Amz-Security-Token" => &mut parameters.security_token,
                "AWSAccessKeyId" | "Signature" => {
                    parameters.is_version_2 = true;
                    continue;
                }
                _ => continue,
            };
            parameters.is_twice |= slot.replace(text(value)).is_some();
        }
        parameters
    }

    /// Whether a parameter of Signature Version 4 is there that nothing else has.
    pub fn is_version_4(&self) -> bool {
        self.algorithm.is_some() || self.credential.is_some() || self.signature.is_some()
    }
}

/// Parses and checks all that needs no secret. Errs: AuthorizationQueryParametersError, AccessDenied (expired, not yet
/// valid, `X-Amz-Expires` out of range, unsigned headers), InvalidToken, and the errors of `x-amz-content-sha256`.
pub fn parse<'a>(
    head: &RequestHead<'_>,
    signs: &HeaderSigns<'_>,
    parameters: Parameters<'a>,
    settings: &AuthSettings,
    now_seconds: i64,
) -> Result<Claim<'a>, S3Error> {
    if parameters.is_twice {
        return Err(malformed("An authentication query parameter is given twice."));
    }
    let (Some(algorithm), Some(credential), Some(date), Some(expires), Some(signed_headers), Some(signature)) = (
        parameters.algorithm,
        parameters.credential,
        parameters.date,
        parameters.expires,
        parameters.signed_headers,
        parameters.signature,
    ) else {
        return Err(malformed(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, \
             X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
        ));
    };
    if algorithm != ALGORITHM {
        return Err(malformed("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
    }
    let (access_key_id, scope) = parse_credential(&credential, Place::Query, settings)?;
    let date = AmzDate::parse(&date)
        .ok_or_else(|| malformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""))?;
    check_scope_date(&scope, &date, Place::Query)?;
    check_life(&date, &expires, now_seconds)?;
    let headers = parse_signed_headers(&signed_headers);
    let in_query = parameters.content_sha256.as_deref().or(head.body_sha256);
    let declared = declared_payload(signs.content_sha256(), &headers, in_query)?;
    check_signed_headers(head, &headers, declared.exempt.then_some(CONTENT_SHA256))?;
    let session_token = match (&parameters.security_token, signs.has_token) {
        (None, false) => None,
        (in_query, _) => session_token(head, in_query.as_deref())?,
    };
    let signed = Signed { headers, payload: declared.line, leave_out: Some("X-Amz-Signature") };
    Ok(Claim { access_key_id, scope, date, signed, signature, payload: declared.payload, session_token })
}

fn malformed(message: &'static str) -> S3Error {
    S3Error::with_message(ErrorCode::AuthorizationQueryParametersError, message)
}

/// Refuses a URL that is not yet valid, has expired, or claims a life out of range.
fn check_life(date: &AmzDate, expires: &str, now_seconds: i64) -> Result<(), S3Error> {
    let denied = |message: &'static str| S3Error::with_message(ErrorCode::AccessDenied, message);
    let expires: i64 = expires.parse().map_err(|_| malformed("X-Amz-Expires should be a number"))?;
    if expires < 0 {
        return Err(denied("X-Amz-Expires must be non-negative"));
    }
    if expires > EXPIRES_SECONDS_MAX {
        return Err(denied(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than \
             604800 seconds",
        ));
    }
    if date.seconds.saturating_sub(now_seconds) > SKEW_SECONDS_MAX {
        return Err(denied("Request is not yet valid")
            .field("X-Amz-Date", date.text.as_str())
            .field("ServerTime", iso8601(now_seconds)));
    }
    let end = date.seconds.saturating_add(expires);
    if expires == 0 || now_seconds > end {
        return Err(denied("Request has expired")
            .field("X-Amz-Expires", expires.to_string())
            .field("Expires", iso8601(end))
            .field("ServerTime", iso8601(now_seconds)));
    }
    Ok(())
}

/// What a presigned request says about its body.
struct Declared {
    /// The payload line of the canonical request.
    line: Cow<'static, str>,
    payload: DeclaredPayload,
    /// Whether the header may be there unsigned.
    exempt: bool,
}

/// The payload is unsigned unless the query or a signed header says otherwise, or the body was read already. An unsigned header does not enter the
/// signature; what it says about framing is heeded all the same, else the frames would be stored as data.
fn declared_payload(
    in_header: Option<&str>,
    signed: &[Cow<'static, str>],
    in_query: Option<&str>,
) -> Result<Declared, S3Error> {
    if let Some(line) = in_header.filter(|_| signed.iter().any(|name| name == CONTENT_SHA256)) {
        return Ok(Declared { line: payload_line(line), payload: DeclaredPayload::parse(line)?, exempt: false });
    }
    let line = in_query.unwrap_or(UNSIGNED);
    let payload = DeclaredPayload::parse(line)?;
    let line = payload_line(line);
    match in_header.map(DeclaredPayload::parse).transpose()? {
        Some(DeclaredPayload::StreamingSigned { .. }) => Ok(Declared { line, payload, exempt: false }),
        Some(framed @ DeclaredPayload::StreamingUnsignedTrailer) if payload == DeclaredPayload::Unsigned => {
            Ok(Declared { line, payload: framed, exempt: true })
        }
        _ => Ok(Declared { line, payload, exempt: true }),
    }
}
