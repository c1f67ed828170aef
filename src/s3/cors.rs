//! Cross-origin requests of browsers (Fetch standard, "CORS protocol"; S3 User Guide, "Using cross-origin resource sharing"):
//! the answer of a preflight, and the headers that every other answer gets, errors too. Pure.
//!
//! An answer of a bucket with rules depends on the request's origin, also when the request has none, so caches are told that
//! with every answer.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use myfsio_actors::bucket_config::{Cors, CorsRule, CrossOrigin};

use super::error::{ErrorCode, S3Error};
use super::operation::Scope;
use super::respond::empty;

const METHODS: [&str; 5] = ["GET", "PUT", "HEAD", "POST", "DELETE"];
const VARY: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

/// Response headers.
pub type Headers = Vec<(HeaderName, HeaderValue)>;

/// The headers of the answer to a request that is no preflight. The method is the one that `Access-Control-Request-Method`
/// names, if it is there, as S3 has it.
pub fn headers_for(cors: &Cors, method: &str, headers: &HeaderMap) -> Headers {
    let mut answer = Vec::new();
    if let Some(origin) = text(headers, "origin") {
        let request = CrossOrigin {
            origin,
            method: text(headers, "access-control-request-method").unwrap_or(method),
            headers: text(headers, "access-control-request-headers"),
        };
        if let Some(rule) = cors.rule_for(&request) {
            allow(&mut answer, rule, origin);
        }
    }
    add(&mut answer, "vary", VARY);
    answer
}

/// The answer of a preflight. `cors` holds the bucket's rules: the outer none means that there is no bucket. Errs: BadRequest
/// without an origin or with an unknown method, AccessForbidden when no rule allows what is announced.
pub fn preflight(cors: Option<Option<&Cors>>, scope: Scope, headers: &HeaderMap) -> Result<HttpResponse, S3Error> {
    let Some(origin) = text(headers, "origin") else {
        return Err(S3Error::with_message(
            ErrorCode::BadRequest,
            "Insufficient information. Origin request header needed.",
        ));
    };
    let method = text(headers, "access-control-request-method");
    let forbidden = |message: &'static str| {
        let resource_type = if scope == Scope::Object { "OBJECT" } else { "BUCKET" };
        S3Error::with_message(ErrorCode::AccessForbidden, message)
            .field("Method", method.unwrap_or("OPTIONS"))
            .field("ResourceType", resource_type)
    };
    let cors = cors.ok_or_else(|| forbidden("CORSResponse: Bucket not found"))?;
    let cors = cors.ok_or_else(|| forbidden("CORSResponse: CORS is not enabled for this bucket."))?;
    let Some(method) = method.filter(|method| METHODS.contains(method)) else {
        let message = format!("Invalid Access-Control-Request-Method: {}", method.unwrap_or("null"));
        return Err(S3Error::with_message(ErrorCode::BadRequest, message));
    };
    let request = CrossOrigin { origin, method, headers: text(headers, "access-control-request-headers") };
    let rule = cors.rule_for(&request).ok_or_else(|| {
        forbidden(
            "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request \
             method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the \
             resource's CORS spec.",
        )
    })?;
    let mut answer = Vec::new();
    allow(&mut answer, rule, origin);
    let announced: Vec<String> = request.header_names().map(str::to_ascii_lowercase).collect();
    if !announced.is_empty() {
        add(&mut answer, "access-control-allow-headers", &announced.join(", "));
    }
    add(&mut answer, "vary", VARY);
    let mut response = empty(StatusCode::OK);
    for (name, value) in answer {
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// What a rule that fits lets the browser do. Credentials never go with an answer that is the same for every origin.
fn allow(answer: &mut Headers, rule: &CorsRule, origin: &str) {
    match rule.allows_every_origin() {
        true => add(answer, "access-control-allow-origin", "*"),
        false => {
            add(answer, "access-control-allow-origin", origin);
            add(answer, "access-control-allow-credentials", "true");
        }
    }
    add(answer, "access-control-allow-methods", &rule.allowed_methods.join(", "));
    if !rule.expose_headers.is_empty() {
        add(answer, "access-control-expose-headers", &rule.expose_headers.join(", "));
    }
    if let Some(seconds) = rule.max_age_seconds {
        add(answer, "access-control-max-age", &seconds.to_string());
    }
}

/// A value that no header can have is left out.
fn add(answer: &mut Headers, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.push((HeaderName::from_static(name), value));
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors() -> Cors {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let rule = CorsRule {
            allowed_origins: owned(&["http://a.example"]),
            allowed_methods: owned(&["GET", "PUT"]),
            allowed_headers: owned(&["x-amz-*"]),
            expose_headers: owned(&["ETag", "x-amz-version-id"]),
            max_age_seconds: Some(60),
            id: None,
        };
        let open =
            CorsRule { allowed_origins: owned(&["*"]), allowed_methods: owned(&["HEAD"]), ..CorsRule::default() };
        Cors { rules: vec![rule, open] }
    }

    fn request(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn told(headers: &Headers) -> Vec<String> {
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn requests_of_an_allowed_origin_are_told_so() {
        let headers = headers_for(&cors(), "GET", &request(&[("origin", "http://a.example")]));
        assert_eq!(
            told(&headers),
            [
                "access-control-allow-origin: http://a.example",
                "access-control-allow-credentials: true",
                "access-control-allow-methods: GET, PUT",
                "access-control-expose-headers: ETag, x-amz-version-id",
                "access-control-max-age: 60",
                "vary: Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
            ]
        );
        let open = headers_for(&cors(), "HEAD", &request(&[("origin", "http://b.example")]));
        assert_eq!(open.first().unwrap().1, "*");
        assert!(!told(&open).iter().any(|header| header.contains("credentials")));
        for (method, pairs) in [
            ("GET", vec![]),
            ("GET", vec![("origin", "http://b.example")]),
            ("DELETE", vec![("origin", "http://a.example")]),
            ("GET", vec![("origin", "http://a.example"), ("access-control-request-method", "DELETE")]),
        ] {
            assert_eq!(headers_for(&cors(), method, &request(&pairs)).len(), 1, "{method} {pairs:?}");
        }
        let announced = request(&[("origin", "http://a.example"), ("access-control-request-method", "PUT")]);
        assert_eq!(headers_for(&cors(), "DELETE", &announced).len(), 6);
    }

    #[test]
    fn preflights() {
        let rules = cors();
        let ask = |cors, pairs: &[(&'static str, &str)]| preflight(cors, Scope::Object, &request(pairs));
        let (origin, get) = (("origin", "http://a.example"), ("access-control-request-method", "GET"));
        let names = ("access-control-request-headers", "X-Amz-Date, x-amz-acl");
        let response = ask(Some(Some(&rules)), &[origin, get, names]).unwrap();
        assert_eq!(response.headers().get("access-control-allow-headers").unwrap(), "x-amz-date, x-amz-acl");
        assert!(response.headers().contains_key("vary"));
        let refused = |cors, pairs: &[(&'static str, &str)]| {
            let error = ask(cors, pairs).unwrap_err();
            (error.code(), error.message().chars().take(34).collect::<String>())
        };
        let starts = |text: &str| text.chars().take(34).collect::<String>();
        assert_eq!(refused(None, &[get]).0, ErrorCode::BadRequest);
        assert_eq!(refused(None, &[origin]), (ErrorCode::AccessForbidden, starts("CORSResponse: Bucket not found")));
        assert_eq!(
            refused(Some(None), &[origin, get]),
            (ErrorCode::AccessForbidden, starts("CORSResponse: CORS is not enabled for this bucket."))
        );
        assert_eq!(refused(Some(Some(&rules)), &[origin]).0, ErrorCode::BadRequest);
        assert_eq!(
            refused(Some(Some(&rules)), &[origin, ("access-control-request-method", "get")]).0,
            ErrorCode::BadRequest
        );
        for pairs in [
            [origin, ("access-control-request-method", "DELETE"), names],
            [origin, get, ("access-control-request-headers", "authorization")],
            [("origin", "http://b.example"), get, names],
        ] {
            assert_eq!(
                refused(Some(Some(&rules)), &pairs),
                (ErrorCode::AccessForbidden, starts("CORSResponse: This CORS request is not allowed.")),
            );
        }
    }
}
