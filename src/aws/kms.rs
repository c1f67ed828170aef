//! KMS in the JSON protocol (`X-Amz-Target: TrentService.<operation>`, version 1.1), as `aws kms`, the SDKs and Terraform speak it.
//! What is done is told in `crate::kms`; here it is read and written.

use std::sync::Arc;

use actix_http::RequestHead;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use myfsio_actors::iam::Principal;
use myfsio_actors::policy_engine::RequestContext;
use serde_json::{Value, json};

use super::error::{ApiError, ErrorCode};
use super::respond::with_id;
use super::service::TARGET;
use crate::constraint::shown;
use crate::kms::{self, Fields, Operation};
use crate::node::Node;
use crate::s3::authorize;
use crate::s3::error::{ErrorCode as S3Code, S3Error};
use crate::s3::headers::text;
use crate::s3::preflight::client_of;
use crate::s3::respond::{RequestId, legible, no_store, set_header};

/// The media type of the JSON protocol.
const JSON: &str = "application/x-amz-json-1.1";

/// Does what a request of somebody who is known asks for; answers what is to be told. Errs: UnknownOperationException,
/// SerializationException; as [`kms::perform`].
pub async fn perform(
    node: &Arc<Node>,
    head: &RequestHead,
    (principal, context): (&Principal, RequestContext),
    request_id: RequestId,
    body: &[u8],
) -> Result<Value, S3Error> {
    let target = text(&head.headers, TARGET).unwrap_or_default();
    let operation = target.strip_prefix("TrentService.").and_then(Operation::find);
    let operation = operation.ok_or_else(|| {
        S3Error::with_message(S3Code::UnknownOperationException, format!("There is no operation {}.", shown(&target)))
    })?;
    let mut fields = Fields::parse(body)?;
    // Of members that it does not know, AWS takes no notice.
    fields.keep(operation.members().unwrap_or_default());
    let by = authorize::changed_by(Some(principal), request_id, client_of(node, head));
    let told = kms::perform(&kms::Call { node, operation, fields, principal, context, by }).await?;
    tracing::debug!(%request_id, action = operation.name(), "answered");
    Ok(told)
}

/// The answer of an operation; one that tells nothing has no body.
pub fn answer(told: &Value, request_id: RequestId) -> HttpResponse {
    let body = if told.is_null() { String::new() } else { told.to_string() };
    no_store(with_id(StatusCode::OK, JSON, body, request_id))
}

/// The answer that tells why an operation was refused.
pub fn refusal(error: &S3Error, request_id: RequestId) -> HttpResponse {
    let code = error.code();
    let name = match code {
        S3Code::AccessDenied => "AccessDeniedException",
        S3Code::NotImplemented => "UnsupportedOperationException",
        S3Code::SlowDown => "ThrottlingException",
        S3Code::ServiceUnavailable => "ServiceUnavailableException",
        S3Code::InternalError | S3Code::InsufficientStorage => "KMSInternalException",
        other => other.name(),
    };
    exception(name, code.status(), error.message(), request_id)
}

/// The answer that tells why a request came to no operation.
pub fn error(error: &ApiError, request_id: RequestId) -> HttpResponse {
    exception(exception_name(error.code()), error.code().status(), error.message(), request_id)
}

/// An exception. All that are the client's have status 400 in this protocol, but for a body that is not read to its end.
fn exception(name: &'static str, status: StatusCode, message: &str, request_id: RequestId) -> HttpResponse {
    let status = match status.is_client_error() && status != StatusCode::PAYLOAD_TOO_LARGE {
        true => StatusCode::BAD_REQUEST,
        false => status,
    };
    let body = json!({"__type": name, "message": legible(message)}).to_string();
    let mut response = with_id(status, JSON, body, request_id);
    set_header(&mut response, "x-amzn-errortype", name);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        set_header(&mut response, "retry-after", "1");
    }
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
        ErrorCode::ServiceUnavailable => "ServiceUnavailableException",
        ErrorCode::ServiceFailure => "KMSInternalException",
        ErrorCode::RequestEntityTooLarge => "RequestEntityTooLargeException",
        other => other.name(),
    }
}
