//! A signature as a request claims it, before anything of it is believed; shared by the `Authorization` header and the
//! presigned query.

use std::borrow::Cow;

use myfsio_actors::names::AccessKeyId;

use super::canonical::Signed;
use super::credentials::SecretText;
use super::payload::{CONTENT_SHA256, DeclaredPayload};
use super::settings::AuthSettings;
use super::signing::{AmzDate, Scope, iso8601};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::request_head::{RequestHead, split, values};

/// Largest difference between the clocks of client and node, in seconds (S3 API Reference, RequestTimeTooSkewed).
pub const SKEW_SECONDS_MAX: i64 = 15 * 60;

/// What a signed request claims.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    /// Whose key signed.
    pub access_key_id: AccessKeyId,
    /// Credential scope.
    pub scope: Scope,
    /// Time of signing.
    pub date: AmzDate,
    /// What the signature covers.
    pub signed: Signed,
    /// The signature, as sent.
    pub signature: Cow<'a, str>,
    /// What it says about the body.
    pub payload: DeclaredPayload,
    /// The session token of temporary credentials.
    pub session_token: Option<SecretText>,
}

/// Where a claim stands, which decides the code and wording of its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `Authorization` header.
    Header,
    /// Query of a presigned URL.
    Query,
    /// Field of a POST form.
    Form,
}

impl Place {
    /// The error of a malformed or wrong part of the claim.
    pub fn malformed(self, detail: &str) -> S3Error {
        match self {
            Self::Header => S3Error::with_message(
                ErrorCode::AuthorizationHeaderMalformed,
                format!("The authorization header is malformed; {detail}"),
            ),
            Self::Query => S3Error::with_message(
                ErrorCode::AuthorizationQueryParametersError,
                format!("Error parsing the X-Amz-Credential parameter; {detail}"),
            ),
            Self::Form => S3Error::with_message(
                ErrorCode::InvalidArgument,
                format!("Error parsing the x-amz-credential field; {detail}"),
            ),
        }
    }
}

/// Splits a credential and checks its scope against the node's region and service. Errs: the malformed error of
/// `place`, with `Region` for a wrong region; InvalidAccessKeyId for an id that no key can have.
pub fn parse_credential(text: &str, place: Place, settings: &AuthSettings) -> Result<(AccessKeyId, Scope), S3Error> {
    let Some((id, scope)) = Scope::parse_credential(text) else {
        let shape = "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".";
        return Err(place.malformed(shape));
    };
    if scope.region() != settings.region {
        let detail = format!("the region '{}' is wrong; expecting '{}'", scope.region(), settings.region);
        // Clients that look for a bucket's region by HEAD, whose answers have no body, find it in the header.
        let error = place.malformed(&detail).field("Region", settings.region.as_str());
        return Err(error.header("x-amz-bucket-region", &settings.region));
    }
    if scope.service() != settings.service {
        let (theirs, ours) = (scope.service(), &settings.service);
        let detail = format!("incorrect service \"{theirs}\". This endpoint belongs to \"{ours}\".");
        return Err(place.malformed(&detail));
    }
    let unknown = |_| S3Error::new(ErrorCode::InvalidAccessKeyId).field("AWSAccessKeyId", id);
    Ok((AccessKeyId::parse(id).map_err(unknown)?, scope))
}

/// Refuses a scope of another day than the request.
pub fn check_scope_date(scope: &Scope, date: &AmzDate, place: Place) -> Result<(), S3Error> {
    if scope.date() == date.day() {
        return Ok(());
    }
    let (scope_date, day) = (scope.date(), date.day());
    let detail =
        format!("Invalid credential date \"{scope_date}\". This date is not the same as X-Amz-Date: \"{day}\".");
    Err(place.malformed(&detail))
}

/// Refuses a request whose time differs from the node's by more than a quarter of an hour.
pub fn check_skew(date: &AmzDate, now_seconds: i64) -> Result<(), S3Error> {
    if date.seconds.abs_diff(now_seconds) <= SKEW_SECONDS_MAX.unsigned_abs() {
        return Ok(());
    }
    Err(S3Error::new(ErrorCode::RequestTimeTooSkewed)
        .field("RequestTime", date.text.as_str())
        .field("ServerTime", iso8601(now_seconds))
        .field("MaxAllowedSkewMilliseconds", (SKEW_SECONDS_MAX * 1000).to_string()))
}

/// Splits `SignedHeaders`; names become lower case.
pub fn parse_signed_headers(text: &str) -> Vec<Cow<'static, str>> {
    split(text, b';').map(str::trim_ascii).filter(|name| !name.is_empty()).map(header_name).collect()
}

/// The name of a header in lower case. Those that clients sign with every request are not copied.
fn header_name(name: &str) -> Cow<'static, str> {
    const USUAL: [&str; 4] = ["host", "x-amz-date", CONTENT_SHA256, SECURITY_TOKEN];
    let usual = USUAL.into_iter().find(|usual| *usual == name);
    usual.map_or_else(|| Cow::Owned(name.to_ascii_lowercase()), Cow::Borrowed)
}

/// Refuses a request with headers that must be signed and are not: `host` and every `x-amz-*` but `exempt`.
pub fn check_signed_headers(
    head: &RequestHead<'_>,
    signed: &[Cow<'static, str>],
    exempt: Option<&str>,
) -> Result<(), S3Error> {
    // A header that stands in for a parameter of the query is signed with the query, as long as it says nothing else.
    let from_query = |name: &str| {
        let mut values = values(head.headers, name);
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let stands_for =
            |parameter: &str, text: &str| parameter.eq_ignore_ascii_case(name) && text.as_bytes() == value.as_bytes();
        head.query_pairs().any(|(parameter, text)| stands_for(&parameter, &text))
    };
    let is_signed = |name: &str| signed.iter().any(|s| s == name) || (name != "host" && from_query(name));
    let mut missing: Vec<&str> = head
        .headers
        .keys()
        .map(|name| name.as_str())
        .filter(|name| name.starts_with("x-amz-") && exempt != Some(*name) && !is_signed(name))
        .collect();
    if !is_signed("host") {
        missing.push("host");
    }
    if missing.is_empty() {
        return Ok(());
    }
    missing.sort_unstable();
    missing.dedup();
    let message = "There were headers present in the request which were not signed";
    Err(S3Error::with_message(ErrorCode::AccessDenied, message).field("HeadersNotSigned", missing.join(", ")))
}

/// Name of the header with the session token of temporary credentials.
pub const SECURITY_TOKEN: &str = "x-amz-security-token";

/// The session token: of the header, or of the query where that has one. An empty one is none. Errs: InvalidToken when it is no
/// text or there are several that differ.
pub fn session_token(head: &RequestHead<'_>, in_query: Option<&str>) -> Result<Option<SecretText>, S3Error> {
    let invalid = || S3Error::new(ErrorCode::InvalidToken);
    let mut found = in_query;
    for value in values(head.headers, SECURITY_TOKEN) {
        let text = value.to_str().map_err(|_| invalid())?.trim();
        if found.is_some_and(|found| found != text) {
            return Err(invalid());
        }
        found = Some(text);
    }
    Ok(found.filter(|token| !token.is_empty()).map(SecretText::new))
}
