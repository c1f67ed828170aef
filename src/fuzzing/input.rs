//! Inputs as text, and what holds for every error that a client is answered with.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};

use crate::s3::error::S3Error;
use crate::s3::request_head::RequestHead;
use crate::s3::respond::{Asked, RequestId, error_xml};
use crate::s3::xml::{Element, read};

/// A request as a client might write it: `METHOD target`, header lines, a blank line, and a body. Only what the HTTP parser
/// would hand on is one.
pub struct Request<'a> {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    pub fn parse(data: &'a [u8]) -> Option<Self> {
        let (first, mut rest) = line(data);
        let first = first.trim_ascii();
        let at = first.iter().position(|byte| *byte == b' ')?;
        let method = Method::from_bytes(&first[..at]).ok()?;
        let uri = Uri::try_from(&first[at + 1..]).ok()?;
        let mut headers = HeaderMap::new();
        loop {
            let (header, behind) = line(rest);
            rest = behind;
            if header.is_empty() {
                return Some(Self { method, uri, headers, body: rest });
            }
            let colon = header.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::from_bytes(&header[..colon]).ok()?;
            headers.append(name, HeaderValue::from_bytes(header[colon + 1..].trim_ascii()).ok()?);
        }
    }

    pub fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: self.method.as_str(),
            path: self.uri.path().as_bytes(),
            query: self.uri.query().unwrap_or_default(),
            virtual_bucket: None,
            headers: &self.headers,
            peer: Some([203, 0, 113, 9].into()),
            secure: false,
            body_sha256: None,
        }
    }
}

/// The first line without its end, and what follows it.
pub fn line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}

/// The first line as text, and what follows it.
pub fn text_line(data: &[u8]) -> Option<(&str, &[u8])> {
    let (first, rest) = line(data);
    Some((std::str::from_utf8(first).ok()?, rest))
}

/// Cuts `data` into pieces of these sizes, again and again; sizes of 0 count as 1, and none at all means single bytes.
pub fn pieces<'a>(data: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut sizes = sizes.iter().chain([&1][..usize::from(sizes.is_empty())].iter().copied()).cycle();
    let (mut pieces, mut rest) = (Vec::new(), data);
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(sizes.next().map_or(1, |size| (*size).clamp(1, rest.len())));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

/// An error reads as one to every client: a document of XML 1.0 with its code, of a size that what was asked explains.
pub fn is_answered(error: &S3Error, input: &[u8]) {
    let asked =
        Asked { request_id: RequestId::random(), host_id: "host", resource: "/", is_head: false, as_json: false };
    let document = error_xml(error, asked);
    assert!(document.len() <= 4096 + 32 * input.len(), "{} bytes of error for {}", document.len(), input.len());
    let root = read::parse(document.as_bytes(), "Error").expect("an error is well-formed");
    assert_eq!(root.children[0].text, error.code().name());
    assert!(is_legal(&root), "{document}");
}

/// Whether XML 1.0 has a way to write all its characters.
pub fn is_legal(element: &Element) -> bool {
    let legal = |c: char| matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'));
    element.text.chars().all(legal) && element.children.iter().all(is_legal)
}
