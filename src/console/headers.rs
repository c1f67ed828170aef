//! Headers that every answer of the console carries.

use actix_web::HttpResponse;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, SERVER,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

/// What pages may load and do: only what comes from here, and no script within a page.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; \
                           font-src 'self'; connect-src 'self'; form-action 'self'; frame-src 'self'; frame-ancestors 'none'; \
                           base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// What an object's bytes may do when a browser shows them: nothing, as nobody.
pub const OBJECT_POLICY: &str = "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'none'; \
                                 frame-ancestors 'self'; base-uri 'none'; form-action 'none'";

const REST: [(&str, &str); 4] = [
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("x-permitted-cross-domain-policies", "none"),
];

/// How long a browser that came over TLS asks in no other way (RFC 6797): a year.
const TLS_ONLY: &str = "max-age=31536000";

/// Adds them; what a page has set of them itself stays. `secure`: whether the browser came over TLS.
pub fn add(response: &mut HttpResponse, secure: bool) {
    let headers = response.headers_mut();
    let mut keep = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    keep(CONTENT_SECURITY_POLICY, PAGE_POLICY);
    keep(CACHE_CONTROL, "no-store");
    keep(X_CONTENT_TYPE_OPTIONS, "nosniff");
    keep(REFERRER_POLICY, "no-referrer");
    keep(X_FRAME_OPTIONS, "DENY");
    keep(SERVER, "MyFSIO");
    if secure {
        keep(STRICT_TRANSPORT_SECURITY, TLS_ONLY);
    }
    for (name, value) in REST {
        keep(HeaderName::from_static(name), value);
    }
}
