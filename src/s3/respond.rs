//! Answers: from results and errors to HTTP responses, with the headers that every S3 response carries.
//!
//! An error is `<Error>` without a namespace, of type exactly `application/xml` (a charset breaks some SDKs), and without
//! a body where the method is HEAD. JSON routes answer errors as JSON.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SERVER};

use super::error::{ErrorCode, S3Error};
use super::xml::write::XmlWriter;

/// What a handler gives back.
pub type Answer = Result<HttpResponse, S3Error>;

/// Names one request in responses and logs: 16 hexadecimal digits in upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestId(u64);

impl RequestId {
    /// A new random id.
    pub fn random() -> Self {
        thread_local! {
            /// Random numbers fetched ahead: one system call serves many requests.
            static AHEAD: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
        }
        let next = AHEAD.with_borrow_mut(|ahead| {
            if ahead.is_empty() {
                let mut bytes = [0; 1024];
                // Without random numbers there is no id: it names nothing, but the request need not fail for it.
                let filled = getrandom::fill(&mut bytes).is_ok();
                let (numbers, _) = bytes.as_chunks::<8>();
                ahead.extend(numbers.iter().filter(|_| filled).map(|bytes| u64::from_ne_bytes(*bytes)));
            }
            ahead.pop()
        });
        Self(next.unwrap_or(0))
    }

    /// Reads an id as it is written in responses; letter case does not count.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(text, 16).ok().filter(|_| is_id).map(Self)
    }

    /// The id as a number; 0 names nothing.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

/// What an error response says about the request that it answers.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its id.
    pub request_id: RequestId,
    /// The node's `x-amz-id-2`.
    pub host_id: &'a str,
    /// Its path as sent.
    pub resource: &'a str,
    /// Whether it was a HEAD, whose answer has no body.
    pub is_head: bool,
    /// Whether the error is told as JSON.
    pub as_json: bool,
}

/// An XML document; `body` begins with the XML declaration.
pub fn xml(status: StatusCode, body: String) -> HttpResponse {
    HttpResponse::build(status).insert_header((CONTENT_TYPE, "application/xml")).body(body)
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> HttpResponse {
    HttpResponse::new(status)
}

/// A JSON document.
pub fn json(status: StatusCode, body: &serde_json::Value) -> HttpResponse {
    json_text(status, body.to_string())
}

/// A JSON document that is written already.
pub fn json_text(status: StatusCode, body: String) -> HttpResponse {
    HttpResponse::build(status).insert_header((CONTENT_TYPE, "application/json")).body(body)
}

/// The response as one that nobody keeps on the way (RFC 9111, section 5.2.2.5): it holds what not everybody may see.
pub fn no_store(mut response: HttpResponse) -> HttpResponse {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Sets a response header; a value that no header can carry is left out.
pub fn set_header(response: &mut HttpResponse, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// The response that tells an error.
pub fn error_response(error: &S3Error, asked: Asked<'_>) -> HttpResponse {
    let status = error.code().status();
    let mut response = if asked.is_head {
        HttpResponse::new(status)
    } else if asked.as_json {
        json_text(status, error_json(error, asked))
    } else {
        xml(status, error_xml(error, asked))
    };
    for (name, value) in error.headers() {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    let is_passing = matches!(error.code(), ErrorCode::SlowDown | ErrorCode::ServiceUnavailable);
    if is_passing && !response.headers().contains_key("retry-after") {
        set_header(&mut response, "retry-after", "1");
    }
    response
}

/// The headers of every response; `Date` is added by the HTTP encoder.
pub fn add_common_headers(headers: &mut HeaderMap, request_id: RequestId, host_id: &str) {
    headers.insert(SERVER, HeaderValue::from_static("MyFSIO"));
    let mut add = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    add("x-amz-request-id", &request_id.to_string());
    add("x-amz-id-2", host_id);
}

/// The `<Error>` document of S3 API Reference, "Error responses".
pub fn error_xml(error: &S3Error, asked: Asked<'_>) -> String {
    let mut document = XmlWriter::bare("Error", 512);
    document.text("Code", error.code().name()).text("Message", &legible(error.message()));
    for (name, value) in error.fields() {
        document.text(name, &legible(value));
    }
    document.text("Resource", asked.resource).value("RequestId", asked.request_id).text("HostId", asked.host_id);
    document.finish()
}

/// The value with characters that XML 1.0 has no way to write percent-encoded: an error that the client's parser refuses
/// would tell nothing at all.
pub fn legible(value: &str) -> Cow<'_, str> {
    let illegal =
        |c: char| (c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    if !value.contains(illegal) {
        return Cow::Borrowed(value);
    }
    let mut bytes = [0; 4];
    let encode = |c: char| match illegal(c) {
        true => c.encode_utf8(&mut bytes).bytes().map(|b| format!("%{b:02X}")).collect(),
        false => c.to_string(),
    };
    Cow::Owned(value.chars().map(encode).collect())
}

fn error_json(error: &S3Error, asked: Asked<'_>) -> String {
    serde_json::json!({
        "error": {
            "code": error.code().name(),
            "message": error.message(),
            "request_id": asked.request_id.to_string(),
        }
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(is_head: bool, as_json: bool) -> Asked<'static> {
        Asked { request_id: RequestId(255), host_id: "host", resource: "/b/<k>&\u{1}", is_head, as_json }
    }

    #[test]
    fn errors_read_as_s3_writes_them() {
        let error = S3Error::new(ErrorCode::NoSuchKey).field("Key", "a&b\u{1}");
        assert_eq!(
            error_xml(&error, asked(false, false)),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>The specified key does \
             not exist.</Message><Key>a&amp;b%01</Key><Resource>/b/&lt;k&gt;&amp;&#x1;</Resource>\
             <RequestId>00000000000000FF</RequestId><HostId>host</HostId></Error>"
        );
        let told = S3Error::with_message(ErrorCode::InvalidArgument, "no region \u{1}");
        assert!(error_xml(&told, asked(false, false)).contains("<Message>no region %01</Message>"));
        let response = error_response(&error, asked(false, false));
        assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), "application/xml");
        assert_eq!(response.status(), 404);
    }

    #[test]
    fn json_documents() {
        let response = no_store(json(StatusCode::CREATED, &serde_json::json!({ "a": 1 })));
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), "application/json");
        assert_eq!(response.headers().get(CACHE_CONTROL).unwrap(), "no-store");
    }

    #[test]
    fn head_has_no_body_and_json_routes_speak_json() {
        use actix_web::body::{BodySize, MessageBody as _};
        let error = S3Error::new(ErrorCode::SlowDown);
        let head = error_response(&error, asked(true, false));
        assert!(matches!(head.body().size(), BodySize::None | BodySize::Sized(0)));
        assert_eq!(head.headers().get("retry-after").unwrap(), "1");
        let later = error_response(&S3Error::new(ErrorCode::SlowDown).header("retry-after", "7"), asked(true, false));
        assert_eq!(later.headers().get("retry-after").unwrap(), "7");
        let json: serde_json::Value = serde_json::from_str(&error_json(&error, asked(false, true))).unwrap();
        assert_eq!(json["error"]["code"], "SlowDown");
        assert_eq!(json["error"]["request_id"], "00000000000000FF");
    }
}
