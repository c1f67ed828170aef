//! Answers of the Query protocol: `<XResponse><XResult>…</XResult><ResponseMetadata>`, and `<ErrorResponse>`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;

use super::action::Row;
use super::error::{ApiError, ErrorCode};
use super::service::Service;
use crate::s3::respond::{RequestId, legible, set_header};
use crate::s3::xml::XmlWriter;

/// The media type of every answer of the Query protocol.
const XML: &str = "text/xml";

/// A document for the answer of an action, open where the action tells what it has to tell.
pub fn begin(row: &Row) -> XmlWriter {
    let mut document = XmlWriter::in_namespace(row.response, row.service.namespace(), 1024);
    if let Some(result) = row.result {
        document.open(result);
    }
    document
}

/// The answer of an action, from the document that [`begin`] began.
pub fn end(row: &Row, mut document: XmlWriter, request_id: RequestId) -> HttpResponse {
    if row.result.is_some() {
        document.close();
    }
    document.open("ResponseMetadata").value("RequestId", request_id);
    with_id(StatusCode::OK, XML, document.finish(), request_id)
}

/// The answer that tells an error.
pub fn error(service: Service, error: &ApiError, request_id: RequestId) -> HttpResponse {
    let mut response = with_id(error.code().status(), XML, error_document(service, error, request_id), request_id);
    if matches!(error.code(), ErrorCode::Throttling | ErrorCode::ServiceUnavailable) {
        set_header(&mut response, "retry-after", "1");
    }
    response
}

/// The document that tells an error.
pub fn error_document(service: Service, error: &ApiError, request_id: RequestId) -> String {
    let mut document = XmlWriter::in_namespace("ErrorResponse", service.namespace(), 512);
    let kind = if error.code().status().is_server_error() { "Receiver" } else { "Sender" };
    document.open("Error").text("Type", kind).text("Code", error.code().name());
    document.text("Message", &legible(error.message())).close().value("RequestId", request_id);
    document.finish()
}

/// An answer with the header that names its request.
pub fn with_id(status: StatusCode, kind: &'static str, body: String, request_id: RequestId) -> HttpResponse {
    let mut response = HttpResponse::build(status).insert_header((CONTENT_TYPE, kind)).body(body);
    set_header(&mut response, "x-amzn-requestid", &request_id.to_string());
    response
}
