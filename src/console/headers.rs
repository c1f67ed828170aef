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

/// What a PDF may do when a browser shows it in a page of the console: nothing beyond being drawn. The viewers of some browsers are pages
/// around it that bring a style and an element for it.
const PDF_POLICY: &str =
    "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const REST: [(&str, &str); 4] = [
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("x-permitted-cross-domain-policies", "none"),
];

/// How long a browser that came over TLS asks in no other way (RFC 6797): a year.
const TLS_ONLY: &str = "max-age=31536000";

/// What a page may do that shows something of another origin. `origin`: as a policy names it.
pub fn page_policy_with_frames_of(origin: &str) -> String {
    PAGE_POLICY.replace("frame-src 'self'", &format!("frame-src {origin}"))
}

/// What a preview from an origin of its own may do. `page_origin`: the only one whose pages may show it; none: nobody's.
pub fn preview_policy(page_origin: Option<&str>) -> String {
    format!("{PDF_POLICY}; frame-ancestors {}", page_origin.unwrap_or("'none'"))
}

/// Adds what every answer of the origin of previews carries. It says by its policy who may show it, which `X-Frame-Options` cannot.
pub fn add_to_preview(response: &mut HttpResponse, secure: bool) {
    add(response, secure);
    response.headers_mut().remove(X_FRAME_OPTIONS);
}

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
