//! Whether a claim's signature is the one that its secret makes, and what the refusal says when it is not.

use std::fmt::Write as _;

use super::canonical::{Reading, canonical_request, path_forms, pieces_to_sign, string_to_sign};
use super::claim::Claim;
use super::hint;
use super::settings::{AuthSettings, forwarded_host, forwarded_host_without_port};
use super::signing::{HexDigest, SigningKey, same_secret};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::request_head::RequestHead;
use crate::s3::route::virtual_bucket;

/// Longest canonical request whose bytes the error spells out in hexadecimal; three characters for each.
const SPELLED_BYTES_MAX: usize = 8 * 1024;

/// Whether the claim's signature fits the request in one reading.
pub fn matches(head: &RequestHead<'_>, claim: &Claim<'_>, key: &SigningKey, reading: &Reading<'_>) -> bool {
    let canonical = canonical_request(head, &claim.signed, reading);
    let expected = key.signature_of(&pieces_to_sign(&claim.date, &claim.scope, &HexDigest::sha256(&canonical)));
    same_secret(expected.as_str().as_bytes(), claim.signature.as_bytes())
}

/// The hosts for which a signature is accepted: as received, then what a trusted proxy says the client used, then
/// that of `API_BASE_URL`. A host that names another bucket than the received one, by which the request is routed, is none of them:
/// what was signed for one bucket would be done to another.
fn accepted_hosts<'a>(head: &'a RequestHead<'_>, settings: &'a AuthSettings) -> impl Iterator<Item = Option<&'a str>> {
    let forwarded = [forwarded_host, forwarded_host_without_port];
    let forwarded = forwarded.into_iter().filter_map(|host| host(head, &settings.trusted_proxies));
    let of_url = settings.api_base_url.iter().map(|url| url.authority.as_str());
    let is_same_bucket = |host: &&str| virtual_bucket(host, &settings.base_domains).as_deref() == head.virtual_bucket;
    std::iter::once(None).chain(forwarded.chain(of_url).filter(is_same_bucket).map(Some))
}

/// Verifies the signature. Errs: SignatureDoesNotMatch with what the node computed, and a hint when a likely edit of a
/// proxy explains the difference.
pub fn verify(
    head: &RequestHead<'_>,
    claim: &Claim<'_>,
    secret: &str,
    settings: &AuthSettings,
) -> Result<SigningKey, S3Error> {
    let key = settings.signing_keys.of(&claim.access_key_id, secret, &claim.scope);
    let paths = path_forms(head.path);
    for host in accepted_hosts(head, settings) {
        for path in paths.clone() {
            let reading = Reading { host, path: Some(&path), ..Reading::default() };
            if matches(head, claim, &key, &reading) {
                return Ok(key);
            }
        }
    }
    let error = mismatch(head, claim);
    Err(match hint::find(head, claim, &key, settings) {
        Some(hint) => error.field("Hint", hint),
        None => error,
    })
}

/// `SignatureDoesNotMatch` with the strings that the node signed (S3 API Reference, "Error responses").
fn mismatch(head: &RequestHead<'_>, claim: &Claim<'_>) -> S3Error {
    let canonical = canonical_request(head, &claim.signed, &Reading::default());
    let to_sign = string_to_sign(&claim.date, &claim.scope, &canonical);
    let error = S3Error::new(ErrorCode::SignatureDoesNotMatch)
        .field("AWSAccessKeyId", claim.access_key_id.as_str())
        .field("StringToSign", to_sign.as_str())
        .field("SignatureProvided", &*claim.signature)
        .field("StringToSignBytes", spell(to_sign.as_bytes()))
        .field("CanonicalRequest", String::from_utf8_lossy(&canonical));
    if canonical.len() > SPELLED_BYTES_MAX {
        return error;
    }
    error.field("CanonicalRequestBytes", spell(&canonical))
}

/// Bytes in hexadecimal, separated by spaces.
pub fn spell(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 3);
    for (i, byte) in bytes.iter().enumerate() {
        let separator = if i == 0 { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(out, "{separator}{byte:02x}");
    }
    out
}
