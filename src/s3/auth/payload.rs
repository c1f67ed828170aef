//! What a request says about its body: `x-amz-content-sha256` and the aws-chunked framing.

use std::borrow::Cow;

use actix_web::http::header::HeaderMap;

use super::chunked::ChunkSigner;
use super::signing::EMPTY_SHA256;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::request_head::RequestHead;

/// Name of the header that declares the payload.
pub const CONTENT_SHA256: &str = "x-amz-content-sha256";
/// The literal of an unsigned payload.
pub const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// The payload line of a canonical request: what most clients write is not copied.
pub fn payload_line(text: &str) -> Cow<'static, str> {
    match text {
        UNSIGNED => Cow::Borrowed(UNSIGNED),
        EMPTY_SHA256 => Cow::Borrowed(EMPTY_SHA256),
        _ => Cow::Owned(text.to_owned()),
    }
}

/// The declaration, parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeclaredPayload {
    /// `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// SHA-256 of the body.
    Sha256([u8; 32]),
    /// aws-chunked with signed chunks, with or without a signed trailer.
    StreamingSigned {
        /// Whether trailers and their signature follow.
        trailer: bool,
    },
    /// aws-chunked without signatures, with trailers.
    StreamingUnsignedTrailer,
}

impl DeclaredPayload {
    /// Parses the header's value. Errs: NotImplemented for streaming forms of other algorithms, else InvalidArgument.
    pub fn parse(text: &str) -> Result<Self, S3Error> {
        match text {
            UNSIGNED => return Ok(Self::Unsigned),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => return Ok(Self::StreamingSigned { trailer: false }),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => return Ok(Self::StreamingSigned { trailer: true }),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => return Ok(Self::StreamingUnsignedTrailer),
            _ => {}
        }
        if text.starts_with("STREAMING-") {
            let message = format!("The payload signing {text} is not implemented.");
            return Err(S3Error::with_message(ErrorCode::NotImplemented, message));
        }
        let mut digest = [0; 32];
        match hex::decode_to_slice(text, &mut digest) {
            Ok(()) => Ok(Self::Sha256(digest)),
            Err(_) => Err(S3Error::invalid_argument(
                CONTENT_SHA256,
                text,
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
                 STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 \
                 value.",
            )),
        }
    }

    /// What the body of a request without a signature claims. An SDK without credentials frames a body with a trailer
    /// as aws-chunked and sends no `x-amz-content-sha256`. Errs: as [`Self::parse`]; InvalidRequest for signed
    /// chunks.
    pub fn of_unsigned_request(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        match head.header(CONTENT_SHA256).map(Self::parse).transpose()? {
            Some(Self::StreamingSigned { .. }) => {
                Err(S3Error::with_message(ErrorCode::InvalidRequest, "Signed chunks need a signed request."))
            }
            Some(declared) => Ok(declared),
            None if is_framed(head.headers) => Ok(Self::StreamingUnsignedTrailer),
            None => Ok(Self::Unsigned),
        }
    }
}

fn is_framed(headers: &HeaderMap) -> bool {
    let chunked = headers
        .get_all("content-encoding")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("aws-chunked"));
    chunked && headers.contains_key("x-amz-decoded-content-length") && headers.contains_key("x-amz-trailer")
}

/// How the body of an authenticated request is to be read and checked.
#[derive(Debug, Clone)]
pub enum PayloadSigning {
    /// As it comes.
    Unsigned,
    /// Its SHA-256 must be this, else XAmzContentSHA256Mismatch.
    Sha256([u8; 32]),
    /// aws-chunked, each chunk signed.
    StreamingSigned {
        /// Verifies the chunks; starts from the request's own signature.
        signer: ChunkSigner,
        /// Whether trailers and their signature follow.
        trailer: bool,
    },
    /// aws-chunked without signatures; a trailer's checksum is the only integrity.
    StreamingUnsignedTrailer,
}

impl PayloadSigning {
    /// Whether the body is framed as aws-chunked.
    pub fn is_framed(&self) -> bool {
        matches!(self, Self::StreamingSigned { .. } | Self::StreamingUnsignedTrailer)
    }
}
