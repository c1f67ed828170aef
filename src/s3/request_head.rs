//! A plain view of a request's head: what authentication reads, and nothing of the server that received it.
//!
//! The path and the query are the bytes of the request target as received. Nothing in front may decode, normalise or
//! collapse them: the signature is over these bytes. Under HTTP/2 the caller puts `:authority` into `headers` as
//! `host`.

use std::borrow::Cow;
use std::net::IpAddr;

use actix_web::http::header::HeaderMap;

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
        self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
    }

    /// The `Host` header; empty when absent.
    pub fn host(&self) -> &'a str {
        self.header("host").unwrap_or_default()
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

/// The decoded name/value pairs of a query; see [`RequestHead::query_pairs`].
pub fn query_pairs<'a>(query: &'a str) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (text(name), text(value))
    })
}

fn text(part: &str) -> Cow<'_, str> {
    match decode_query_part(part) {
        // Nothing was escaped.
        Cow::Borrowed(_) => Cow::Borrowed(part),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// Decodes one name or value of a query: `+` is a space, `%XX` a byte, a broken escape stays as it is.
pub fn decode_query_part(part: &str) -> Cow<'_, [u8]> {
    if !part.bytes().any(|byte| matches!(byte, b'+' | b'%')) {
        return Cow::Borrowed(part.as_bytes());
    }
    let spaced = part.replace('+', " ");
    Cow::Owned(percent_encoding::percent_decode_str(&spaced).collect())
}
