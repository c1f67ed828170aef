//! A form with one file as its last field (`multipart/form-data`, RFC 7578), as our own pages send it: fields are read, and the file
//! stays a stream of known length, so that it goes the way of any other upload.

use actix_http::Payload;
use bytes::BytesMut;
use futures_util::StreamExt as _;

use super::pages::upload::rest_of;

/// Most bytes before the file.
const FIELDS_BYTES_MAX: usize = 64 * 1024;
/// Longest boundary (RFC 2046, section 5.1.1, allows 70), in bytes.
const BOUNDARY_BYTES_MAX: usize = 200;

/// The form up to its file, and the file.
pub struct FormFile {
    fields: Vec<(String, String)>,
    /// Name of the file, as the browser gave it.
    pub name: String,
    /// Its type, as the browser gave it.
    pub content_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its bytes.
    pub payload: Payload,
}

impl FormFile {
    /// A field before the file; empty where there is none.
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }
}

/// What stands before the file's bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Fields {
    fields: Vec<(String, String)>,
    name: String,
    content_type: String,
    /// Where the file begins.
    begin: usize,
}

/// Reads a form of `length` bytes up to its file. None where it is no such form.
pub async fn read_to_file(content_type: &str, length: u64, mut payload: Payload) -> Option<FormFile> {
    let boundary = boundary_of(content_type)?;
    let mut seen = BytesMut::new();
    let found = loop {
        if let Some(found) = fields_of(&seen, boundary) {
            break found;
        }
        if seen.len() > FIELDS_BYTES_MAX {
            return None;
        }
        seen.extend_from_slice(&payload.next().await?.ok()?);
    };
    // The file is followed by "\r\n--", the boundary and "--\r\n", and nothing else.
    let end = boundary.len() as u64 + 8;
    let size = length.checked_sub(found.begin as u64)?.checked_sub(end)?;
    let _ = seen.split_to(found.begin.min(seen.len()));
    let Fields { fields, name, content_type, .. } = found;
    Some(FormFile { fields, name, content_type, size, payload: rest_of(seen, payload, size) })
}

fn boundary_of(content_type: &str) -> Option<&str> {
    let parameters = content_type.strip_prefix("multipart/form-data")?;
    let mut named = parameters.split(';').filter_map(|parameter| parameter.trim().strip_prefix("boundary="));
    let boundary = named.next()?.trim_matches('"');
    (!boundary.is_empty() && boundary.len() <= BOUNDARY_BYTES_MAX).then_some(boundary)
}

/// The fields, once the file's own head has come.
fn fields_of(seen: &[u8], boundary: &str) -> Option<Fields> {
    let mut found = Fields::default();
    let opening = format!("--{boundary}\r\n");
    let delimiter = format!("\r\n--{boundary}\r\n");
    let mut at = seen.strip_prefix(opening.as_bytes()).map(|_| opening.len())?;
    loop {
        let rest = seen.get(at..)?;
        let head_end = memchr::memmem::find(rest, b"\r\n\r\n")?;
        let head = std::str::from_utf8(rest.get(..head_end)?).ok()?;
        at += head_end + 4;
        let line = |name: &str| {
            let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
            lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        let disposition = line("content-disposition")?;
        if let Some(name) = quoted(disposition, "filename") {
            found.name = name;
            found.content_type = line("content-type").unwrap_or_default().to_owned();
            found.begin = at;
            return Some(found);
        }
        let rest = seen.get(at..)?;
        let end = memchr::memmem::find(rest, delimiter.as_bytes())?;
        let value = String::from_utf8_lossy(rest.get(..end)?).into_owned();
        found.fields.push((quoted(disposition, "name")?, value));
        at += end + delimiter.len();
    }
}

/// A quoted parameter, with the escapes that browsers write (WHATWG HTML, "Multipart form data").
fn quoted(disposition: &str, name: &str) -> Option<String> {
    let (_, behind) = disposition.split_once(&format!("; {name}=\""))?;
    let (value, _) = behind.split_once('"')?;
    Some(value.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::within::body;

    const FORM: &str = "--x\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\nto\r\nken\r\n--x\r\nContent-Disposition: \
                        form-data; name=\"file\"; filename=\"a%22b.txt\"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--y\r\n--x--\r\n";

    #[actix_rt::test]
    async fn fields_and_a_file() {
        let form = read_to_file("multipart/form-data; boundary=x", FORM.len() as u64, body(FORM)).await.unwrap();
        assert_eq!((form.field("csrf"), form.field("none")), ("to\r\nken", ""));
        assert_eq!((form.name.as_str(), form.content_type.as_str(), form.size), ("a\"b.txt", "text/plain", 10));
        let mut bytes = Vec::new();
        let mut payload = form.payload;
        while let Some(chunk) = payload.next().await {
            bytes.extend_from_slice(&chunk.unwrap());
        }
        assert_eq!(bytes, b"hello\r\n--y");
    }

    #[actix_rt::test]
    async fn what_is_no_such_form() {
        let size = FORM.len() as u64;
        for kind in [
            "multipart/form-data",
            "text/plain; boundary=x",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=z",
        ] {
            assert!(read_to_file(kind, size, body(FORM)).await.is_none(), "{kind}");
        }
        assert!(
            read_to_file("multipart/form-data; boundary=x", 10, body(FORM)).await.is_none(),
            "shorter than its head"
        );
        assert!(read_to_file("multipart/form-data; boundary=x", 40, body(&FORM[..40])).await.is_none(), "broken off");
    }

    #[test]
    fn half_a_form_has_no_file_yet() {
        for end in 0..FORM.find("hello").unwrap() {
            assert_eq!(fields_of(&FORM.as_bytes()[..end], "x"), None, "{end}");
        }
    }
}
