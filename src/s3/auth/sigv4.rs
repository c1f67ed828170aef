//! The `Authorization` header of Signature Version 4 (S3 API Reference, "Authenticating Requests: Using the
//! Authorization Header").

use std::borrow::Cow;

use super::canonical::Signed;
use super::claim::{
    Claim, Place, check_scope_date, check_signed_headers, check_skew, parse_credential, parse_signed_headers,
    session_token,
};
use super::header_signs::HeaderSigns;
use super::payload::{DeclaredPayload, payload_line};
use super::settings::AuthSettings;
use super::signing::{ALGORITHM, AmzDate};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::request_head::{RequestHead, split, split_at};

/// The three components of the header.
struct Components<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

/// Parses and checks all that needs no secret. Errs: InvalidRequest (another algorithm), InvalidArgument (another
/// scheme), AuthorizationHeaderMalformed, AccessDenied (no date, unsigned headers), RequestTimeTooSkewed, InvalidToken,
/// and the errors of `x-amz-content-sha256`.
pub fn parse<'a>(
    head: &RequestHead<'_>,
    signs: &HeaderSigns<'_>,
    authorization: &'a str,
    settings: &AuthSettings,
    now_seconds: i64,
) -> Result<Claim<'a>, S3Error> {
    let components = parse_components(authorization)?;
    let (access_key_id, scope) = parse_credential(components.credential, Place::Header, settings)?;
    let date = request_date(signs)?;
    check_scope_date(&scope, &date, Place::Header)?;
    check_skew(&date, now_seconds)?;
    let Some(payload_text) = signs.content_sha256().or(head.body_sha256) else {
        let message = "Missing required header for this request: x-amz-content-sha256";
        return Err(S3Error::with_message(ErrorCode::InvalidRequest, message));
    };
    let payload = DeclaredPayload::parse(payload_text)?;
    let headers = parse_signed_headers(components.signed_headers);
    check_signed_headers(head, &headers, None)?;
    let session_token = if signs.has_token { session_token(head, None)? } else { None };
    let signed = Signed { headers, payload: payload_line(payload_text), leave_out: None };
    let signature = Cow::Borrowed(components.signature);
    Ok(Claim { access_key_id, scope, date, signed, signature, payload, session_token })
}

fn parse_components(authorization: &str) -> Result<Components<'_>, S3Error> {
    let (scheme, rest) = authorization.split_once(char::is_whitespace).unwrap_or((authorization, ""));
    if scheme.starts_with("AWS4-") && scheme != ALGORITHM {
        return Err(unsupported_algorithm());
    }
    if scheme != ALGORITHM {
        return Err(S3Error::invalid_argument("Authorization", authorization, "Unsupported Authorization Type"));
    }
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for component in split(rest, b',') {
        let (name, value) = split_at(component, b'=');
        let slot = match name.trim_ascii() {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed_headers,
            "Signature" => &mut signature,
            _ => continue,
        };
        if slot.replace(value.unwrap_or_default().trim_ascii()).is_some() {
            return Err(Place::Header.malformed("a component is given twice."));
        }
    }
    match (credential, signed_headers, signature) {
        (Some(credential), Some(signed_headers), Some(signature)) => {
            Ok(Components { credential, signed_headers, signature })
        }
        _ => Err(Place::Header.malformed(
            "the authorization header requires three components: Credential, SignedHeaders, and Signature.",
        )),
    }
}

/// The refusal of algorithms that the node does not know.
fn unsupported_algorithm() -> S3Error {
    let message = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
    S3Error::with_message(ErrorCode::InvalidRequest, message)
}

/// `x-amz-date`, or `Date` when that is absent; either may have either form.
fn request_date(signs: &HeaderSigns<'_>) -> Result<AmzDate, S3Error> {
    AmzDate::parse_header(signs.date().unwrap_or_default()).ok_or_else(|| {
        let message = "AWS authentication requires a valid Date or x-amz-date header";
        S3Error::with_message(ErrorCode::AccessDenied, message)
    })
}
