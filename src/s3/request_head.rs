//! A plain view of a request's head: what authentication reads, and nothing of the server that received it.
//!
//! The path and the query are the bytes of the request target as received. Nothing in front may decode, normalise or
//! collapse them: the signature is over these bytes. Under HTTP/2 the caller puts `:authority` into `headers` as
//! `host`.

use std::borrow::Cow;
use std::net::IpAddr;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// The head of one request.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// Method, upper case as received.
    pub method: &'a str,
    /// Path bytes as received, without the query.
    pub path: &'a [u8],
    /// Query as received, without `?`; empty when there is none.
    pub query: &'a str,
    /// The bucket that the host names (virtual-hosted style), if it names one.
    pub virtual_bucket: Option<&'a str>,
    /// Header fields.
    pub headers: &'a HeaderMap,
    /// Address of the other end of the connection.
    pub peer: Option<IpAddr>,
    /// Whether the connection is TLS.
    pub secure: bool,
    /// SHA-256 of the body in lower-case hexadecimal, where it was read already: clients of services other than S3 sign it
    /// without a header that tells it.
    pub body_sha256: Option<&'a str>,
}

impl<'a> RequestHead<'a> {
    /// The first value of a header as text, trimmed; `None` when absent or not visible ASCII.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        first_value(self.headers, name).and_then(visible).map(str::trim_ascii)
    }

    /// The `Host` header; empty when absent.
    pub fn host(&self) -> &'a str {
        self.header("host").unwrap_or_default()
    }

    /// The decoded names of the query, in their order.
    pub fn query_names(&self) -> impl Iterator<Item = Cow<'a, str>> {
        query_names(self.query)
    }

    /// The token that comes with temporary credentials, in a header or in the query.
    pub fn session_token(&self) -> Option<Cow<'a, str>> {
        let in_query = || self.query_pairs().find(|(name, _)| name == "X-Amz-Security-Token").map(|(_, token)| token);
        self.header("x-amz-security-token").map(Cow::Borrowed).or_else(in_query)
    }

    /// The decoded name/value pairs of the query, in their order; `+` is a space, a parameter without `=` has an empty
    /// value.
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        query_pairs(self.query)
    }
}

/// The values of a header, by its name in lower case, in their order. A map would make a name of the text first, which costs more
/// than to look through the few that a request has. Those of one name stand side by side in the map, which a test holds it to.
pub fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a HeaderValue> + use<'a> {
    let is_it = move |header: &HeaderName| header.as_str() == name;
    let from_first = headers.iter().skip_while(move |(header, _)| !is_it(header));
    from_first.take_while(move |(header, _)| is_it(header)).map(|(_, value)| value)
}

/// A value as text; `None` when not all of it is ASCII. Other controls than tabs cannot be in one, so this is `HeaderValue::to_str`,
/// which looks at one byte at a time.
pub fn visible(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok().filter(|text| text.is_ascii())
}

/// The first of them.
pub fn first_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a HeaderValue> {
    headers.iter().find(|(header, _)| header.as_str() == name).map(|(_, value)| value)
}

/// Whether there is one.
pub fn has_header(headers: &HeaderMap, name: &str) -> bool {
    headers.keys().any(|header| header.as_str() == name)
}

/// The decoded name/value pairs of a query; see [`RequestHead::query_pairs`].
pub fn query_pairs<'a>(query: &'a str) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
    pairs(query).map(|(name, value)| (text(name), text(value)))
}

/// The decoded names of a query, for those who only look whether something is there.
pub fn query_names(query: &str) -> impl Iterator<Item = Cow<'_, str>> {
    pairs(query).map(|(name, _)| text(name))
}

/// The pairs of a query as they were received, empty ones left out.
pub fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    split(query, b'&').filter(|piece| !piece.is_empty()).map(|piece| {
        let (name, value) = split_at(piece, b'=');
        (name, value.unwrap_or_default())
    })
}

/// The pieces between the bytes of this value, which is an ASCII one.
pub fn split(text: &str, byte: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let (piece, behind) = split_at(rest?, byte);
        rest = behind;
        Some(piece)
    })
}

/// What is in front of the first `byte`, which is an ASCII one, and what is behind it.
pub fn split_at(text: &str, byte: u8) -> (&str, Option<&str>) {
    match memchr::memchr(byte, text.as_bytes()) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    }
}

/// A name or value of a query, decoded; what is no UTF-8 is replaced.
pub fn text(part: &str) -> Cow<'_, str> {
    match decode_query_part(part) {
        // Nothing was escaped.
        Cow::Borrowed(_) => Cow::Borrowed(part),
        Cow::Owned(bytes) => Cow::Owned(
            String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        ),
    }
}

/// Decodes one name or value of a query: `+` is a space, `%XX` a byte, a broken escape stays as it is.
pub fn decode_query_part(part: &str) -> Cow<'_, [u8]> {
    let escape = |bytes: &[u8]| memchr::memchr2(b'+', b'%', bytes);
    let Some(first) = escape(part.as_bytes()) else { return Cow::Borrowed(part.as_bytes()) };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut out = Vec::with_capacity(part.len());
    let (mut rest, mut next) = (part.as_bytes(), Some(first));
    while let Some((plain, [byte, behind @ ..])) = next.and_then(|at| rest.split_at_checked(at)) {
        out.extend_from_slice(plain);
        let escaped = behind.first_chunk().filter(|_| *byte == b'%');
        let escaped = escaped.and_then(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
        out.push(escaped.unwrap_or(if *byte == b'+' { b' ' } else { *byte }));
        rest = behind.get(if escaped.is_some() { 2 } else { 0 }..).unwrap_or_default();
        next = escape(rest);
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_are_texts_as_the_crate_has_them(bytes in proptest::collection::vec(any::<u8>(), 0..8)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                prop_assert_eq!(visible(&value), value.to_str().ok());
            }
        }
    }

    #[test]
    fn headers_are_found_as_the_map_finds_them() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("x-amz-date", "1"), ("host", "a"), ("x-amz-dates", "3"), ("x-amz-date", "2"), ("host", "b")]
        {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        for name in ["host", "x-amz-date", "x-amz-dates", "x-amz", "date"] {
            assert!(values(&headers, name).eq(headers.get_all(name)), "{name}");
            assert_eq!(first_value(&headers, name), headers.get(name));
            assert_eq!(has_header(&headers, name), headers.contains_key(name));
        }
    }

    proptest! {
        #[test]
        fn decoding_agrees_with_the_crate(part in "[a-f0-9%+é&=]{0,20}") {
            let spaced = part.replace('+', " ");
            let expected: Vec<u8> = percent_encoding::percent_decode_str(&spaced).collect();
            prop_assert_eq!(decode_query_part(&part).into_owned(), expected);
            let plain = part.split('&').filter(|piece| !piece.is_empty());
            let plain: Vec<_> = plain.map(|piece| piece.split_once('=').unwrap_or((piece, ""))).collect();
            prop_assert_eq!(pairs(&part).collect::<Vec<_>>(), plain);
            let names: Vec<_> = query_names(&part).collect();
            let of_pairs: Vec<_> = query_pairs(&part).map(|(name, _)| name).collect();
            prop_assert_eq!(names, of_pairs);
        }
    }
}
