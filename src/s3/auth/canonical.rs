//! The canonical request of Signature Version 4 as S3 uses it: path as received, encoded once; query decoded and
//! encoded again with the AWS set, sorted, duplicates kept; header values folded.
//!
//! Plain functions of bytes. What must stay true: two requests with the same canonical request address the same bucket,
//! key and parameters.

use std::borrow::Cow;

use actix_web::http::header::HeaderMap;

use super::signing::{ALGORITHM, AmzDate, HexDigest, Scope};
use crate::s3::request_head::{RequestHead, decode_query_part, pairs, values};

/// Whether SigV4 leaves the byte unencoded everywhere (RFC 3986 unreserved). Every byte of a query is looked at, so it is a table.
fn is_unreserved(byte: u8) -> bool {
    const UNRESERVED: [bool; 256] = {
        let (mut table, mut byte) = ([false; 256], 0);
        while byte < 256 {
            #[allow(clippy::indexing_slicing, reason = "worked out when this is built")]
            {
                let of = byte as u8;
                table[byte] = of.is_ascii_alphanumeric() || matches!(of, b'-' | b'.' | b'_' | b'~');
            }
            byte += 1;
        }
        table
    };
    UNRESERVED.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Whether all bytes are unreserved: comparisons that a processor makes of many bytes at once, where a table takes one at a time.
fn are_unreserved(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, &byte| {
        let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let is_digit = byte.wrapping_sub(b'0') < 10;
        all & (is_letter | is_digit | (byte == b'-') | (byte == b'.') | (byte == b'_') | (byte == b'~'))
    })
}

fn push_encoded(out: &mut String, byte: u8) {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0').to_ascii_uppercase();
    out.extend(['%', digit(byte >> 4), digit(byte & 0xf)]);
}

/// Percent-encodes with the AWS set: unreserved characters stay, all else becomes upper-case escapes.
pub fn encode(bytes: &[u8], keep_slash: bool) -> String {
    let plain = bytes.iter().all(|&byte| is_unreserved(byte) || (keep_slash && byte == b'/'));
    if let (true, Ok(text)) = (plain, std::str::from_utf8(bytes)) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        if is_unreserved(byte) || (keep_slash && byte == b'/') {
            out.push(char::from(byte));
        } else {
            push_encoded(&mut out, byte);
        }
    }
    out
}

/// The path as received, with the characters encoded that a client should have encoded: existing escapes, `/` and
/// unreserved characters stay as they are. An empty path is `/`.
pub fn canonical_path(path: &[u8]) -> Cow<'_, str> {
    if path.is_empty() {
        return Cow::Borrowed("/");
    }
    let is_plain = path.iter().all(|&byte| is_unreserved(byte) || byte == b'/');
    if let (true, Ok(text)) = (is_plain, std::str::from_utf8(path)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(path.len());
    for (i, &byte) in path.iter().enumerate() {
        let hex_at = |at: usize| path.get(at).is_some_and(u8::is_ascii_hexdigit);
        if is_unreserved(byte) || byte == b'/' || (byte == b'%' && hex_at(i + 1) && hex_at(i + 2)) {
            out.push(char::from(byte));
        } else {
            push_encoded(&mut out, byte);
        }
    }
    Cow::Owned(out)
}

/// The two forms in which clients sign a path: with the characters encoded that S3 wants encoded, and exactly as sent.
/// Both name the same key; there is one where they are one.
pub fn path_forms(path: &[u8]) -> impl Iterator<Item = Cow<'_, str>> + Clone {
    let encoded = canonical_path(path);
    let is_sent = |raw: &&str| !raw.is_empty() && **raw != *encoded && !raw.bytes().any(|b| b.is_ascii_control());
    let raw = std::str::from_utf8(path).ok().filter(is_sent).map(Cow::Borrowed);
    [Some(encoded), raw].into_iter().flatten()
}

/// A name or value of a query, decoded and encoded with the AWS set.
fn canonical_query_part(part: &str) -> Cow<'_, str> {
    match is_canonical(part.as_bytes()) {
        true => Cow::Borrowed(part),
        false => Cow::Owned(encode(&decode_query_part(part), false)),
    }
}

/// Whether decoding and encoding would change nothing: unreserved characters, and upper-case escapes of others.
fn is_canonical(part: &[u8]) -> bool {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    if are_unreserved(part) {
        return true;
    }
    let mut rest = part;
    loop {
        let plain = rest.iter().take_while(|byte| is_unreserved(**byte)).count();
        rest = match rest.get(plain..) {
            None | Some([]) => return true,
            Some([b'%', high, low, behind @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) if !is_unreserved(high << 4 | low) => behind,
                _ => return false,
            },
            Some(_) => return false,
        };
    }
}

/// The canonical query: every pair but `leave_out`, decoded, encoded with the AWS set, sorted by encoded name and then
/// value; a parameter without `=` gets one.
pub fn canonical_query(query: &str, leave_out: Option<&str>) -> String {
    let mut out = Vec::with_capacity(query.len() + 8);
    push_canonical_query(&mut out, query, leave_out);
    String::from_utf8(out).unwrap_or_default()
}

fn push_canonical_query(out: &mut Vec<u8>, query: &str, leave_out: Option<&str>) {
    if query.is_empty() {
        return;
    }
    let received = pairs(query).map(|(name, value)| (canonical_query_part(name), value));
    let kept = received.filter(|(name, _)| leave_out.is_none_or(|left_out| left_out != name));
    // Room for those of a presigned URL.
    let mut sorted: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::with_capacity(8);
    sorted.extend(kept.map(|(name, value)| (name, canonical_query_part(value))));
    sorted.sort_unstable();
    for (i, (name, value)) in sorted.iter().enumerate() {
        if i > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(value.as_bytes());
    }
}

/// The value of a header in the canonical request: trimmed, inner white space collapsed, repeats joined with a comma.
/// An absent header is empty.
pub fn folded_header(headers: &HeaderMap, name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    push_folded_header(&mut out, headers, name);
    out
}

fn push_folded_header(out: &mut Vec<u8>, headers: &HeaderMap, name: &str) {
    for (i, value) in values(headers, name).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        // Most have no white space, and no other than these can be in one.
        if memchr::memchr2(b' ', b'\t', value.as_bytes()).is_none() {
            out.extend_from_slice(value.as_bytes());
            continue;
        }
        let words = value.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        for (j, word) in words.enumerate() {
            if j > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(word);
        }
    }
}

/// What of a request is canonicalised otherwise than received: forwarded hosts that a signature is accepted for, and
/// the edits that a hint tries.
#[derive(Debug, Clone, Default)]
pub struct Reading<'a> {
    /// Method in place of the received one.
    pub method: Option<&'a str>,
    /// Canonical path in place of the received one.
    pub path: Option<&'a str>,
    /// Value of `host` in place of the received one.
    pub host: Option<&'a str>,
    /// One further header and its value in place of the received one.
    pub header: Option<(&'a str, &'a str)>,
}

/// What the signature covers, beside the request itself.
#[derive(Debug, Clone)]
pub struct Signed {
    /// Names of the signed headers, lower case, in the order the client gave.
    pub headers: Vec<Cow<'static, str>>,
    /// The payload line: a SHA-256 in hexadecimal or one of the literal values.
    pub payload: Cow<'static, str>,
    /// Query parameter that the canonical query leaves out.
    pub leave_out: Option<&'static str>,
}

/// The canonical request.
pub fn canonical_request(head: &RequestHead<'_>, signed: &Signed, reading: &Reading<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + head.query.len());
    out.extend_from_slice(reading.method.unwrap_or(head.method).as_bytes());
    out.push(b'\n');
    let path = reading.path.map_or_else(|| canonical_path(head.path), Cow::Borrowed);
    out.extend_from_slice(path.as_bytes());
    out.push(b'\n');
    push_canonical_query(&mut out, head.query, signed.leave_out);
    out.push(b'\n');
    for name in &signed.headers {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        match (reading.host, reading.header) {
            (Some(host), _) if name == "host" => out.extend_from_slice(host.as_bytes()),
            (_, Some((other, value))) if name == other => out.extend_from_slice(value.as_bytes()),
            _ => push_folded_header(&mut out, head.headers, name),
        }
        out.push(b'\n');
    }
    out.push(b'\n');
    for (i, name) in signed.headers.iter().enumerate() {
        if i > 0 {
            out.push(b';');
        }
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b'\n');
    out.extend_from_slice(signed.payload.as_bytes());
    out
}

/// The string to sign of a canonical request.
pub fn string_to_sign(date: &AmzDate, scope: &Scope, canonical_request: &[u8]) -> String {
    pieces_to_sign(date, scope, &HexDigest::sha256(canonical_request)).concat()
}

/// The same in pieces, of the canonical request's digest.
pub fn pieces_to_sign<'a>(date: &'a AmzDate, scope: &'a Scope, digest: &'a HexDigest) -> [&'a str; 7] {
    [ALGORITHM, "\n", &date.text, "\n", scope.as_str(), "\n", digest.as_str()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_table_and_the_comparisons_are_one() {
        for byte in 0..=u8::MAX {
            assert_eq!(are_unreserved(&[b'a', byte]), is_unreserved(byte), "{byte}");
        }
    }

    #[test]
    fn paths_are_encoded_once() {
        for (path, canonical) in [
            ("", "/"),
            ("/a+b", "/a%2Bb"),
            ("/a%2Bb", "/a%2Bb"),
            ("/a%2bb", "/a%2bb"),
            ("/a//b/../c/./", "/a//b/../c/./"),
            ("/a b$é%", "/a%20b%24%C3%A9%25"),
            ("/%zz%4", "/%25zz%254"),
        ] {
            assert_eq!(canonical_path(path.as_bytes()), canonical, "{path}");
        }
        assert_eq!(path_forms(b"/a!b").collect::<Vec<_>>(), ["/a%21b", "/a!b"]);
        assert_eq!(path_forms(b"/ab").collect::<Vec<_>>(), ["/ab"]);
    }

    #[test]
    fn queries_are_sorted_and_encoded() {
        for (query, canonical) in [
            ("acl", "acl="),
            ("lifecycle=", "lifecycle="),
            ("prefix=a+b&max-keys=2", "max-keys=2&prefix=a%20b"),
            ("b=2&a=2&a=1&&a=1", "a=1&a=1&a=2&b=2"),
            ("k=a/b%2fc%7e&%6b=1", "k=1&k=a%2Fb%2Fc~"),
            ("a-b=1&a=2&aB=3", "a=2&a-b=1&aB=3"),
            ("x=a=b&y=%zz", "x=a%3Db&y=%25zz"),
        ] {
            assert_eq!(canonical_query(query, None), canonical, "{query}");
        }
        assert_eq!(
            canonical_query("X-Amz-Signature=1&x-amz-signature=2", Some("X-Amz-Signature")),
            "x-amz-signature=2"
        );
    }

    #[test]
    fn headers_are_folded() {
        use actix_web::http::header::{HeaderName, HeaderValue};
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_static("x-amz-meta-a");
        headers.append(name.clone(), HeaderValue::from_static("  a   b\tc "));
        headers.append(name, HeaderValue::from_static("d"));
        assert_eq!(folded_header(&headers, "x-amz-meta-a"), b"a b c,d");
        assert_eq!(folded_header(&headers, "x-amz-meta-b"), b"");
    }

    proptest! {
        #[test]
        fn encoding_is_reversible(bytes in proptest::collection::vec(any::<u8>(), 0..64), slash: bool) {
            let encoded = encode(&bytes, slash);
            let decoded: Vec<u8> = percent_encoding::percent_decode_str(&encoded).collect();
            prop_assert_eq!(decoded, bytes);
        }

        #[test]
        fn canonical_paths_are_fixed_points_naming_the_same_key(path in proptest::collection::vec(any::<u8>(), 1..64)) {
            let canonical = canonical_path(&path);
            prop_assert_eq!(&canonical_path(canonical.as_bytes()), &canonical);
            let before: Vec<u8> = percent_encoding::percent_decode(&path).collect();
            let after: Vec<u8> = percent_encoding::percent_decode_str(&canonical).collect();
            prop_assert_eq!(before, after);
        }

        #[test]
        fn what_is_canonical_stays(part in "[a-zA-Z0-9%+/=~é]{0,12}") {
            prop_assert_eq!(&canonical_query_part(&part), &encode(&decode_query_part(&part), false));
        }

        #[test]
        fn canonical_queries_do_not_depend_on_order_or_encoding(
            mut pairs in proptest::collection::vec(("[a-z]{1,3}", any::<Vec<u8>>()), 0..6), seed: u64,
        ) {
            let write = |pairs: &[(String, Vec<u8>)], all: bool| pairs.iter().map(|(name, value)| {
                let value = if all { value.iter().map(|b| format!("%{b:02x}")).collect() } else { encode(value, true) };
                format!("{name}={value}")
            }).collect::<Vec<_>>().join("&");
            let once = canonical_query(&write(&pairs, false), None);
            let turn = usize::try_from(seed % 7).unwrap();
            if !pairs.is_empty() { let n = pairs.len(); pairs.rotate_left(turn % n); }
            prop_assert_eq!(canonical_query(&write(&pairs, true), None), once.clone());
            prop_assert_eq!(canonical_query(&once, None), once);
        }
    }
}
