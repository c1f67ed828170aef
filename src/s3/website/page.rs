//! Errors of websites as pages for people, as S3's website endpoints write them. Pure.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;

use crate::s3::error::S3Error;
use crate::s3::respond::{RequestId, set_header};

/// The page of an error; without its body when the request was a HEAD. `second` is what went wrong with the error document.
pub fn error_page(
    error: &S3Error,
    second: Option<&S3Error>,
    request_id: RequestId,
    host_id: &str,
    is_head: bool,
) -> HttpResponse {
    let status = error.code().status();
    let mut response = HttpResponse::build(status);
    response.insert_header((CONTENT_TYPE, "text/html; charset=utf-8"));
    let mut response = match is_head {
        true => response.finish(),
        false => response.body(text(status, error, second, request_id, host_id)),
    };
    set_header(&mut response, "x-amz-error-code", error.code().name());
    set_header(&mut response, "x-amz-error-message", error.message());
    for (name, value) in error.fields() {
        if *name == "Key" {
            let mut encoded = String::new();
            crate::s3::xml::write::url_encode_into(&mut encoded, value);
            set_header(&mut response, "x-amz-error-detail-key", &encoded);
        }
    }
    for (name, value) in error.headers() {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    response
}

fn text(status: StatusCode, error: &S3Error, second: Option<&S3Error>, request_id: RequestId, host_id: &str) -> String {
    let title = format!("{} {}", status.as_str(), status.canonical_reason().unwrap_or_default());
    let mut page = format!("<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n<ul>\n");
    items(&mut page, error);
    item(&mut page, "RequestId", &request_id.to_string());
    item(&mut page, "HostId", host_id);
    page.push_str("</ul>\n");
    if let Some(second) = second {
        page.push_str("<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n<ul>\n");
        items(&mut page, second);
        page.push_str("</ul>\n");
    }
    page.push_str("<hr/>\n</body>\n</html>\n");
    page
}

fn items(page: &mut String, error: &S3Error) {
    item(page, "Code", error.code().name());
    item(page, "Message", error.message());
    for (name, value) in error.fields() {
        item(page, name, value);
    }
}

fn item(page: &mut String, name: &str, value: &str) {
    page.push_str("<li>");
    page.push_str(name);
    page.push_str(": ");
    for c in value.chars() {
        match c {
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '&' => page.push_str("&amp;"),
            '"' => page.push_str("&quot;"),
            c if c.is_control() => page.push('\u{fffd}'),
            c => page.push(c),
        }
    }
    page.push_str("</li>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::error::ErrorCode;

    #[test]
    fn pages_tell_the_error_and_no_markup_of_the_request() {
        let error = S3Error::new(ErrorCode::NoSuchKey).field("Key", "<script>\u{1}\"&");
        let second = S3Error::new(ErrorCode::AccessDenied);
        let id = RequestId::random();
        let page = text(StatusCode::NOT_FOUND, &error, Some(&second), id, "host");
        assert!(
            page.starts_with("<html>\n<head><title>404 Not Found</title></head>\n<body>\n<h1>404 Not Found</h1>\n")
        );
        for line in [
            "<li>Code: NoSuchKey</li>",
            "<li>Message: The specified key does not exist.</li>",
            "<li>Key: &lt;script&gt;\u{fffd}&quot;&amp;</li>",
            &format!("<li>RequestId: {id}</li>"),
            "<li>HostId: host</li>",
            "<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>",
            "<li>Code: AccessDenied</li>",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in {page}");
        }
        let response = error_page(&error, None, id, "host", true);
        assert_eq!(response.headers().get("x-amz-error-code").unwrap(), "NoSuchKey");
        assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), "text/html; charset=utf-8");
    }
}
