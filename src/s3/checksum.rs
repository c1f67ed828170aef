//! What a request claims about the bytes of its body, and whether they are those bytes.
//!
//! Claims are `Content-MD5`, one `x-amz-checksum-*` (as a header or, named by `x-amz-trailer`, behind the body), and
//! `x-amz-content-sha256`. S3 User Guide, "Checking object integrity". Pure: no I/O.

use actix_web::http::header::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use md5::Digest as _;
use myfsio_actors::names::{Checksum, ChecksumAlgorithm};
use myfsio_actors::storage::{DigestPlan, Digests, checksum_of};

use super::auth::chunked::declared_trailers;
use super::error::{ErrorCode, S3Error};
use super::headers::text;

/// Trailers of a request, names in lower case.
pub type Trailers = Vec<(String, String)>;

/// The checksum that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumClaim {
    /// A header gave the value.
    Value(Checksum),
    /// A trailer is to give the value.
    Trailer(ChecksumAlgorithm),
    /// Only the algorithm was named: compute it.
    Compute(ChecksumAlgorithm),
}

impl ChecksumClaim {
    /// The algorithm.
    pub fn algorithm(self) -> ChecksumAlgorithm {
        match self {
            Self::Value(value) => value.algorithm(),
            Self::Trailer(algorithm) | Self::Compute(algorithm) => algorithm,
        }
    }
}

/// All claims about one body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BodyChecks {
    /// `Content-MD5`.
    pub content_md5: Option<[u8; 16]>,
    /// `x-amz-content-sha256`, when it is a digest.
    pub sha256: Option<[u8; 32]>,
    /// The checksum.
    pub checksum: Option<ChecksumClaim>,
}

impl BodyChecks {
    /// Reads the claims. Errs: InvalidDigest for a malformed Content-MD5, BadDigest for a malformed checksum,
    /// InvalidRequest for an unknown algorithm, or more than one.
    pub fn parse(headers: &HeaderMap, sha256: Option<[u8; 32]>) -> Result<Self, S3Error> {
        Ok(Self { content_md5: content_md5(headers)?, sha256, checksum: checksum_claim(headers)? })
    }

    /// The digests to compute while the body arrives.
    pub fn plan(&self) -> DigestPlan {
        DigestPlan {
            md5: self.content_md5.is_some(),
            sha256: self.sha256.is_some(),
            checksum: self.checksum.map(ChecksumClaim::algorithm),
        }
    }

    /// Whether the request carries any integrity value of the document in its body (DeleteObjects asks for one).
    pub fn has_integrity(&self) -> bool {
        self.content_md5.is_some() || matches!(self.checksum, Some(ChecksumClaim::Value(_) | ChecksumClaim::Trailer(_)))
    }

    /// Compares the claims with the digests of the whole body; gives back the checksum to keep. Errs: BadDigest,
    /// XAmzContentSHA256Mismatch, InvalidRequest for a missing trailer.
    pub fn verify(&self, digests: &Digests, trailers: &[(String, String)]) -> Result<Option<Checksum>, S3Error> {
        if let Some(claimed) = self.sha256
            && digests.sha256 != Some(claimed)
        {
            let computed = digests.sha256.map(hex::encode).unwrap_or_default();
            return Err(S3Error::new(ErrorCode::XAmzContentSHA256Mismatch)
                .field("ClientComputedContentSHA256", hex::encode(claimed))
                .field("S3ComputedContentSHA256", computed));
        }
        if let Some(claimed) = self.content_md5
            && digests.md5 != Some(claimed)
        {
            return Err(S3Error::with_message(
                ErrorCode::BadDigest,
                "The Content-MD5 you specified did not match what we received.",
            )
            .field("ExpectedDigest", STANDARD.encode(claimed))
            .field("CalculatedDigest", STANDARD.encode(digests.md5.unwrap_or_default())));
        }
        let claimed = match self.checksum {
            None => return Ok(None),
            Some(ChecksumClaim::Compute(_)) => return Ok(digests.checksum),
            Some(ChecksumClaim::Value(value)) => value,
            Some(ChecksumClaim::Trailer(algorithm)) => trailer_checksum(algorithm, trailers)?,
        };
        if digests.checksum == Some(claimed) { Ok(Some(claimed)) } else { Err(mismatch(claimed.algorithm())) }
    }

    /// The same for a document that is in memory.
    pub fn verify_bytes(&self, bytes: &[u8], trailers: &[(String, String)]) -> Result<(), S3Error> {
        let digests = Digests {
            md5: Some(md5::Md5::digest(bytes).into()),
            crc64nvme: crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes),
            sha256: self.sha256.map(|_| sha2::Sha256::digest(bytes).into()),
            checksum: self.checksum.and_then(|claim| checksum_of(claim.algorithm(), bytes)),
        };
        self.verify(&digests, trailers).map(|_| ())
    }
}

/// The error of a checksum that does not match.
pub fn mismatch(algorithm: ChecksumAlgorithm) -> S3Error {
    S3Error::with_message(
        ErrorCode::BadDigest,
        format!("The {} you specified did not match the calculated checksum.", algorithm.name()),
    )
}

/// The error of a value that no checksum of the algorithm has: no body could match it.
pub fn malformed(algorithm: ChecksumAlgorithm) -> S3Error {
    S3Error::with_message(ErrorCode::BadDigest, format!("Value for {} header is invalid.", algorithm.header()))
}

/// The error of an algorithm in `x-amz-checksum-algorithm` that S3 does not know.
pub fn unsupported() -> S3Error {
    let names = ChecksumAlgorithm::ALL.map(ChecksumAlgorithm::name).join(", ");
    let message =
        format!("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [{names}]");
    S3Error::with_message(ErrorCode::InvalidRequest, message)
}

/// The CRC-64/NVME of a stored object as a checksum value.
pub fn crc64nvme(value: u64) -> Option<Checksum> {
    Checksum::from_bytes(ChecksumAlgorithm::Crc64Nvme, &value.to_be_bytes())
}

fn content_md5(headers: &HeaderMap) -> Result<Option<[u8; 16]>, S3Error> {
    let Some(value) = text(headers, "content-md5") else { return Ok(None) };
    let digest = STANDARD.decode(value.trim()).ok().and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    match digest {
        Some(digest) => Ok(Some(digest)),
        None => Err(S3Error::with_message(ErrorCode::InvalidDigest, "The Content-MD5 you specified was invalid.")
            .field("Content-MD5", value)),
    }
}

/// Beginning of headers that tell a checksum, or something of checksums.
const PREFIX: &str = "x-amz-checksum-";
/// Those that tell something of checksums.
const ABOUT: [&str; 3] = ["algorithm", "mode", "type"];

/// Refuses checksums that nobody would compare. Errs: InvalidRequest.
fn refuse_unknown(headers: &HeaderMap) -> Result<(), S3Error> {
    for name in headers.keys() {
        let Some(kind) = name.as_str().strip_prefix(PREFIX) else { continue };
        let is_known = ChecksumAlgorithm::ALL.iter().any(|algorithm| algorithm.header() == name.as_str());
        if !is_known && !ABOUT.contains(&kind) {
            let message = "The algorithm type you specified in x-amz-checksum- header is invalid.";
            return Err(S3Error::with_message(ErrorCode::InvalidRequest, message));
        }
    }
    Ok(())
}

fn checksum_claim(headers: &HeaderMap) -> Result<Option<ChecksumClaim>, S3Error> {
    refuse_unknown(headers)?;
    // Each with the value of its header; none of those that trailers are to give.
    let mut claims = Vec::new();
    for algorithm in ChecksumAlgorithm::ALL {
        for value in headers.get_all(algorithm.header()) {
            claims.push((algorithm, Some(value.to_str().unwrap_or_default())));
        }
    }
    for name in declared_trailers(headers)? {
        match ChecksumAlgorithm::ALL.into_iter().find(|algorithm| algorithm.header() == name) {
            Some(algorithm) => claims.push((algorithm, None)),
            None => {
                return Err(S3Error::with_message(
                    ErrorCode::InvalidRequest,
                    "The value specified in the x-amz-trailer header is not supported",
                ));
            }
        }
    }
    let hint = hinted_algorithm(headers)?;
    match (claims.as_slice(), hint) {
        ([], None) => Ok(None),
        // A hint without a value: the SDK left the value out, and S3 computes it.
        ([], Some(algorithm)) => Ok(Some(ChecksumClaim::Compute(algorithm))),
        // With a value at hand the hint says nothing more, even if it names another algorithm.
        ([(algorithm, Some(value))], _) => {
            parse_value(*algorithm, value).map(|value| Some(ChecksumClaim::Value(value)))
        }
        ([(algorithm, None)], _) => Ok(Some(ChecksumClaim::Trailer(*algorithm))),
        _ => Err(S3Error::with_message(
            ErrorCode::InvalidRequest,
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )),
    }
}

fn hinted_algorithm(headers: &HeaderMap) -> Result<Option<ChecksumAlgorithm>, S3Error> {
    let Some(name) = text(headers, "x-amz-sdk-checksum-algorithm") else { return Ok(None) };
    // MD5 is named by some SDKs that send Content-MD5: nothing to compute then.
    if name.eq_ignore_ascii_case("MD5") {
        return Ok(None);
    }
    ChecksumAlgorithm::parse(&name).map(Some).ok_or_else(|| {
        S3Error::with_message(ErrorCode::InvalidRequest, "Value for x-amz-sdk-checksum-algorithm header is invalid.")
    })
}

fn parse_value(algorithm: ChecksumAlgorithm, value: &str) -> Result<Checksum, S3Error> {
    Checksum::parse_base64(algorithm, value.trim()).ok_or_else(|| malformed(algorithm))
}

fn trailer_checksum(algorithm: ChecksumAlgorithm, trailers: &[(String, String)]) -> Result<Checksum, S3Error> {
    match trailers.iter().find(|(name, _)| name == algorithm.header()) {
        Some((_, value)) => parse_value(algorithm, value),
        None => Err(S3Error::with_message(
            ErrorCode::InvalidRequest,
            format!("The trailer {} that x-amz-trailer announces is missing.", algorithm.header()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        map
    }

    fn code(pairs: &[(&'static str, &str)]) -> Option<ErrorCode> {
        BodyChecks::parse(&headers(pairs), None).err().map(|e| e.code())
    }

    #[test]
    fn malformed_claims_are_refused() {
        assert_eq!(code(&[("content-md5", "abc")]), Some(ErrorCode::InvalidDigest));
        assert_eq!(code(&[("content-md5", "")]), Some(ErrorCode::InvalidDigest));
        assert_eq!(code(&[("x-amz-checksum-crc32", "AAAA")]), Some(ErrorCode::BadDigest));
        let two = [("x-amz-checksum-crc32", "AAAA"), ("x-amz-checksum-xxhash3", "AAAA")];
        assert_eq!(code(&two), Some(ErrorCode::InvalidRequest), "which of them is malformed does not matter");
        assert_eq!(
            code(&[("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-checksum-crc32c", "AAAAAA==")]),
            Some(ErrorCode::InvalidRequest)
        );
        assert_eq!(
            code(&[("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-trailer", "x-amz-checksum-crc32")]),
            Some(ErrorCode::InvalidRequest)
        );
        assert_eq!(code(&[("x-amz-trailer", "x-other")]), Some(ErrorCode::InvalidRequest));
        let two = [("x-amz-trailer", "x-amz-checksum-crc32"), ("x-amz-trailer", "x-amz-checksum-sha1")];
        assert_eq!(code(&two), Some(ErrorCode::InvalidRequest), "the second would be read and never compared");
        assert_eq!(code(&[("x-amz-sdk-checksum-algorithm", "CRC7")]), Some(ErrorCode::InvalidRequest));
        assert_eq!(
            code(&[("x-amz-sdk-checksum-algorithm", "crc32"), ("x-amz-checksum-sha1", "2jmj7l5rSw0yVb/vlWAYkK/YBwk=")]),
            None
        );
    }

    #[test]
    fn what_nobody_would_compare_is_refused() {
        assert_eq!(code(&[("x-amz-checksum-crc7", "AAAA")]), Some(ErrorCode::InvalidRequest));
        let about = [("x-amz-checksum-mode", "ENABLED"), ("x-amz-checksum-algorithm", "CRC32")];
        assert_eq!(code(&about), None);
        assert_eq!(code(&[("x-amz-checksum-type", "COMPOSITE")]), None);
    }

    #[test]
    fn bodies_are_compared() {
        let body = b"hello";
        let crc = checksum_of(ChecksumAlgorithm::Crc32, body).unwrap().to_string();
        let good = headers(&[("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="), ("x-amz-checksum-crc32", &crc)]);
        let sha: [u8; 32] = sha2::Sha256::digest(body).into();
        let checks = BodyChecks::parse(&good, Some(sha)).unwrap();
        assert!(checks.has_integrity());
        checks.verify_bytes(body, &[]).unwrap();
        assert_eq!(checks.verify_bytes(b"hellO", &[]).unwrap_err().code(), ErrorCode::XAmzContentSHA256Mismatch);
        let checks = BodyChecks::parse(&good, None).unwrap();
        assert_eq!(checks.verify_bytes(b"hellO", &[]).unwrap_err().code(), ErrorCode::BadDigest);

        let checks = BodyChecks::parse(&headers(&[("x-amz-trailer", "X-Amz-Checksum-CRC32")]), None).unwrap();
        assert_eq!(checks.verify_bytes(body, &[]).unwrap_err().code(), ErrorCode::InvalidRequest);
        let trailers = vec![("x-amz-checksum-crc32".to_owned(), crc)];
        checks.verify_bytes(body, &trailers).unwrap();
        let error = checks.verify_bytes(b"other", &trailers).unwrap_err();
        assert_eq!(error.message(), "The CRC32 you specified did not match the calculated checksum.");
    }
}
