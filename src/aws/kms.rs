//! KMS in the JSON protocol (`X-Amz-Target: TrentService.…`). This version has no keys, and says so in the client's own protocol.

use actix_web::HttpResponse;
use serde_json::json;

use super::error::{ApiError, ErrorCode};
use super::respond::with_id;
use crate::s3::respond::{RequestId, legible, set_header};

/// The media type of the JSON protocol.
const JSON: &str = "application/x-amz-json-1.1";

/// The refusal of an operation. `target` is the value of `X-Amz-Target`.
pub fn unbuilt(target: &str) -> ApiError {
    let operation = target.strip_prefix("TrentService.").unwrap_or(target);
    let operation: String = operation.chars().take(64).collect();
    ApiError::with_message(ErrorCode::NotImplemented, format!("{operation} of KMS is not implemented."))
}

/// The answer that tells an error.
pub fn error(error: &ApiError, request_id: RequestId) -> HttpResponse {
    let name = exception_name(error.code());
    let body = json!({"__type": name, "message": legible(error.message())}).to_string();
    let mut response = with_id(error.code().status(), JSON, body, request_id);
    set_header(&mut response, "x-amzn-errortype", name);
    response
}

/// How the JSON protocol calls an error (KMS API Reference, "Common errors").
fn exception_name(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::AccessDenied => "AccessDeniedException",
        ErrorCode::InvalidClientTokenId => "UnrecognizedClientException",
        ErrorCode::MissingAuthenticationToken => "MissingAuthenticationTokenException",
        ErrorCode::SignatureDoesNotMatch => "InvalidSignatureException",
        ErrorCode::IncompleteSignature => "IncompleteSignatureException",
        ErrorCode::ExpiredTokenHeader => "ExpiredTokenException",
        ErrorCode::Throttling => "ThrottlingException",
        ErrorCode::NotImplemented => "UnsupportedOperationException",
        other => other.name(),
    }
}
