//! HTTP/1.1 responses (RFC 9112) without I/O: the head, and how much of what follows is body. Bodies are counted, not kept.

use thiserror::Error;

/// Most headers that an answer may have.
const HEADERS_MAX: usize = 64;

/// An answer that is not HTTP/1.1 as expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("malformed answer: {0}")]
pub struct Malformed(pub &'static str);

/// What the head of a response says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// HTTP status.
    pub status: u16,
    /// `Content-Length`, also of an answer to HEAD.
    pub content_length: Option<u64>,
    /// Whether the body is sent in chunks.
    pub chunked: bool,
    /// Whether the connection ends with this answer.
    pub close: bool,
    /// The ETag's value between its quotes, where it was asked for.
    pub etag: Option<String>,
}

impl Head {
    /// Parses a head and says where it ends; `None` when more bytes are needed. Errs: Malformed.
    pub fn parse(bytes: &[u8], want_etag: bool) -> Result<Option<(Self, usize)>, Malformed> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Malformed("no HTTP head")),
        };
        let status = response.code.ok_or(Malformed("no status"))?;
        let mut head = Self { status, content_length: None, chunked: false, close: false, etag: None };
        head.close = response.version == Some(0);
        for header in response.headers.iter() {
            head.take(header.name, header.value, want_etag)?;
        }
        Ok(Some((head, length)))
    }

    fn take(&mut self, name: &str, value: &[u8], want_etag: bool) -> Result<(), Malformed> {
        if name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(value).map_err(|_| Malformed("Content-Length"))?;
            self.content_length = Some(text.trim().parse().map_err(|_| Malformed("Content-Length"))?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            self.chunked = value.trim_ascii().eq_ignore_ascii_case(b"chunked");
        } else if name.eq_ignore_ascii_case("connection") {
            self.close = value.trim_ascii().eq_ignore_ascii_case(b"close");
        } else if want_etag && name.eq_ignore_ascii_case("etag") {
            let text = std::str::from_utf8(value).map_err(|_| Malformed("ETag"))?;
            self.etag = Some(text.trim().trim_matches('"').to_owned());
        }
        Ok(())
    }

    /// The body that follows this head; `to_head` for an answer to a HEAD request.
    pub fn body(&self, to_head: bool) -> Body {
        match (to_head || matches!(self.status, 100..=199 | 204 | 304), self.chunked, self.content_length) {
            (true, ..) => Body::Length(0),
            (false, true, _) => Body::Chunked(Chunk::Size(0)),
            (false, false, Some(length)) => Body::Length(length),
            (false, false, None) => Body::UntilClosed,
        }
    }
}

/// What is still to come of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    /// This many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunk),
    /// Everything until the connection ends.
    UntilClosed,
}

/// Where in a chunked body the next byte stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunk {
    /// In a size; the digits so far.
    Size(u64),
    /// In an extension of a size, which is passed over.
    Extension(u64),
    /// In data, this many bytes before its end.
    Data(u64),
    /// In the line end behind data.
    Behind,
    /// In the trailer, this many bytes into a line.
    Trailer(u64),
    /// Behind the body.
    End,
}

impl Body {
    /// Whether the body is complete.
    pub fn ended(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::End))
    }

    /// Passes over the body's bytes in `bytes` and hands each piece of content to `sink`. Returns how many bytes belonged
    /// to it. Errs: Malformed.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<usize, Malformed> {
        match self {
            Self::Length(left) => Ok(pass(bytes, left, sink)),
            Self::UntilClosed => {
                sink(bytes);
                Ok(bytes.len())
            }
            Self::Chunked(state) => feed_chunks(state, bytes, sink),
        }
    }
}

/// Passes over at most `left` bytes and takes them off it.
fn pass(bytes: &[u8], left: &mut u64, sink: &mut impl FnMut(&[u8])) -> usize {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    sink(bytes.get(..count).unwrap_or_default());
    *left -= count as u64;
    count
}

fn feed_chunks(state: &mut Chunk, bytes: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<usize, Malformed> {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..)
        && let Some(&byte) = rest.first()
    {
        match state {
            Chunk::End => break,
            Chunk::Data(left) => {
                at += pass(rest, left, sink);
                if *left == 0 {
                    *state = Chunk::Behind;
                }
                continue;
            }
            Chunk::Size(size) | Chunk::Extension(size) if byte == b'\n' => {
                *state = if *size == 0 { Chunk::Trailer(0) } else { Chunk::Data(*size) };
            }
            Chunk::Extension(_) => {}
            Chunk::Size(_) if byte == b'\r' => {}
            Chunk::Size(size) if byte == b';' => *state = Chunk::Extension(*size),
            Chunk::Size(size) => {
                let digit = char::from(byte).to_digit(16).ok_or(Malformed("chunk size"))?;
                *size = size.checked_mul(16).ok_or(Malformed("chunk size"))? + u64::from(digit);
            }
            Chunk::Behind if byte == b'\r' => {}
            Chunk::Behind if byte == b'\n' => *state = Chunk::Size(0),
            Chunk::Behind => return Err(Malformed("chunk longer than its size")),
            Chunk::Trailer(0) if byte == b'\n' => *state = Chunk::End,
            Chunk::Trailer(length) if byte == b'\n' => *length = 0,
            Chunk::Trailer(_) if byte == b'\r' => {}
            Chunk::Trailer(length) => *length += 1,
        }
        at += 1;
    }
    Ok(at)
}

/// The text between `<name>` and `</name>`, the first of them.
pub fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Option<(Head, usize)>, Malformed> {
        Head::parse(text.as_bytes(), true)
    }

    /// Feeds `text` in pieces of `step` bytes; the content, and what lay behind the body.
    fn read(body: &mut Body, text: &str, step: usize) -> Result<(String, usize), Malformed> {
        let (mut content, mut surplus) = (Vec::new(), 0);
        for piece in text.as_bytes().chunks(step) {
            let taken = body.feed(piece, &mut |bytes| content.extend_from_slice(bytes))?;
            surplus += piece.len() - taken;
        }
        Ok((String::from_utf8(content).unwrap(), surplus))
    }

    #[test]
    fn a_head_is_complete_only_with_its_empty_line() {
        let text = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nETag: \"ab\"\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(head(&text[..end]).unwrap(), None, "{end}");
        }
        let (parsed, length) = head(&format!("{text}hello")).unwrap().unwrap();
        assert_eq!(length, text.len());
        let expected =
            Head { status: 200, content_length: Some(5), chunked: false, close: false, etag: Some("ab".into()) };
        assert_eq!(parsed, expected);
    }

    #[test]
    fn what_is_no_http_is_malformed() {
        assert!(head("SSH-2.0-OpenSSH\r\n\r\n").is_err());
        assert!(head("HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n").is_err());
        assert!(head("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n").is_err());
    }

    #[test]
    fn the_body_is_told_by_status_method_and_headers() {
        let body = |text: &str, to_head| head(text).unwrap().unwrap().0.body(to_head);
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false), Body::Length(5));
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true), Body::Length(0));
        assert_eq!(body("HTTP/1.1 204 No Content\r\n\r\n", false), Body::Length(0));
        assert_eq!(body("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", false), Body::UntilClosed);
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(body(chunked, false), Body::Chunked(Chunk::Size(0)));
    }

    #[test]
    fn a_connection_ends_when_the_answer_says_so() {
        let close = |text: &str| head(text).unwrap().unwrap().0.close;
        assert!(close("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"));
        assert!(close("HTTP/1.0 200 OK\r\n\r\n"));
        assert!(!close("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n"));
        assert!(!close("HTTP/1.1 200 OK\r\n\r\n"));
    }

    #[test]
    fn a_body_of_known_length_leaves_the_next_answer_alone() {
        for step in 1..12 {
            let mut body = Body::Length(5);
            assert_eq!(read(&mut body, "helloHTTP", step).unwrap(), ("hello".into(), 4), "{step}");
            assert!(body.ended());
        }
    }

    #[test]
    fn chunks_are_read_however_they_arrive() {
        let text = "5\r\nhello\r\n1;name=value\r\n,\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nHTTP";
        for step in 1..text.len() {
            let mut body = Body::Chunked(Chunk::Size(0));
            assert_eq!(read(&mut body, text, step).unwrap(), ("hello,0123456789".into(), 4), "{step}");
            assert!(body.ended());
        }
    }

    #[test]
    fn broken_chunks_are_malformed() {
        for text in ["x\r\n", "2\r\nabc\r\n", "fffffffffffffffff\r\n"] {
            assert!(read(&mut Body::Chunked(Chunk::Size(0)), text, 100).is_err(), "{text}");
        }
        let mut body = Body::Chunked(Chunk::Size(0));
        read(&mut body, "5\r\nhello\r\n0\r\n", 100).unwrap();
        assert!(!body.ended(), "the empty line is missing");
    }

    #[test]
    fn elements_are_found() {
        assert_eq!(element("<Error><Code>SlowDown</Code></Error>", "Code"), Some("SlowDown"));
        assert_eq!(element("<Error><Code>SlowDown", "Code"), None);
    }
}
