//! What the headers of a request say of who sent it, gathered in one look: every request is looked at, and a look for each of them
//! costs more than all else that is made of them.

use actix_web::http::header::{HeaderMap, HeaderValue};

use super::claim::SECURITY_TOKEN;
use super::payload::CONTENT_SHA256;
use crate::s3::request_head::visible;

/// What there is; the first value of each.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeaderSigns<'a> {
    /// `Authorization`.
    pub authorization: Option<&'a HeaderValue>,
    /// Whether there are several of that.
    pub is_authorized_twice: bool,
    date: Option<&'a HeaderValue>,
    amz_date: Option<&'a HeaderValue>,
    content_sha256: Option<&'a HeaderValue>,
    /// Whether a session token is there.
    pub has_token: bool,
    /// Whether one of `X-Access-Key` and `X-Secret-Key` is there.
    pub has_pair: bool,
}

impl<'a> HeaderSigns<'a> {
    /// Looks at all headers.
    pub fn of(headers: &'a HeaderMap) -> Self {
        let mut signs = Self::default();
        for (name, value) in headers {
            let slot = match name.as_str() {
                "authorization" => {
                    signs.is_authorized_twice |= signs.authorization.is_some();
                    &mut signs.authorization
                }
                "date" => &mut signs.date,
                "x-amz-date" => &mut signs.amz_date,
                CONTENT_SHA256 => &mut signs.content_sha256,
                SECURITY_TOKEN => {
                    signs.has_token = true;
                    continue;
                }
                "x-access-key" | "x-secret-key" => {
                    signs.has_pair = true;
                    continue;
                }
                _ => continue,
            };
            slot.get_or_insert(value);
        }
        signs
    }

    /// The time of signing as text: `x-amz-date`, or `Date` when that is absent.
    pub fn date(&self) -> Option<&'a str> {
        text(self.amz_date).or_else(|| text(self.date))
    }

    /// `x-amz-content-sha256` as text.
    pub fn content_sha256(&self) -> Option<&'a str> {
        text(self.content_sha256)
    }
}

fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value.and_then(visible).map(str::trim_ascii)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderName;

    use super::*;

    #[test]
    fn each_is_found_as_a_look_for_it_finds_it() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "h"),
            ("authorization", "a"),
            ("date", " 1 "),
            (CONTENT_SHA256, "c"),
            ("authorization", "b"),
            (SECURITY_TOKEN, "t"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let signs = HeaderSigns::of(&headers);
        assert_eq!((signs.authorization, signs.is_authorized_twice), (headers.get("authorization"), true));
        assert_eq!((signs.date(), signs.content_sha256()), (Some("1"), Some("c")));
        assert_eq!((signs.has_token, signs.has_pair), (true, false));
        headers.append(HeaderName::from_static("x-amz-date"), HeaderValue::from_static("2"));
        headers.append(HeaderName::from_static("x-amz-date"), HeaderValue::from_static("3"));
        headers.append(HeaderName::from_static("x-secret-key"), HeaderValue::from_static(""));
        let signs = HeaderSigns::of(&headers);
        assert_eq!((signs.date(), signs.has_pair), (Some("2"), true));
        assert_eq!(HeaderSigns::of(&HeaderMap::new()).date(), None);
        for (value, date) in [(&b""[..], Some("")), (b"\xe9", Some("1"))] {
            headers.insert(HeaderName::from_static("x-amz-date"), HeaderValue::from_bytes(value).unwrap());
            assert_eq!(HeaderSigns::of(&headers).date(), date);
        }
    }
}
