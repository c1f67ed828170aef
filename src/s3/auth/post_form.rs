//! Takes a `multipart/form-data` upload apart as it arrives (RFC 7578; S3 API Reference, "POST Object").
//!
//! No I/O: bytes go in, the fields come out in one piece when the file begins, then the file's bytes as slices of the
//! input. What follows the file is ignored, as S3 does. All that comes before the file is bounded.

use bytes::{Bytes, BytesMut};

use crate::s3::error::{ErrorCode, S3Error};

/// All bytes in front of the file's own, in bytes.
pub const PRE_DATA_BYTES_MAX: usize = 64 * 1024;
/// Longest value of one field, in bytes.
pub const FIELD_BYTES_MAX: usize = 20 * 1024;
/// Longest boundary, in bytes; RFC 2046 §5.1.1 allows 70.
const BOUNDARY_BYTES_MAX: usize = 200;

/// What the parser found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormEvent {
    /// The file begins; all fields that count are known.
    File(FileHead),
    /// The next bytes of the file.
    Data(Bytes),
    /// The file is complete.
    End,
}

/// The form up to its file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileHead {
    /// Names and values of the fields, as sent and in their order.
    pub fields: Vec<(String, String)>,
    /// File name that the client gave.
    pub filename: Option<String>,
    /// Content type of the file's part.
    pub content_type: Option<String>,
}

#[derive(Debug)]
enum State {
    /// Looking for the first delimiter.
    Preamble,
    /// Behind a delimiter: its line's rest.
    DelimiterEnd,
    /// In the header lines of a part.
    Headers,
    /// In the value of a field.
    Field { name: String },
    /// In the file.
    File,
    /// Behind the file.
    After,
}

#[derive(Debug, Default)]
struct PartHead {
    name: Option<String>,
    filename: Option<String>,
    content_type: Option<String>,
}

/// The parser of one form.
#[derive(Debug)]
pub struct FormParser {
    delimiter: Vec<u8>,
    state: State,
    buffer: BytesMut,
    /// So much of the buffer is known to hold no beginning of a delimiter.
    scanned: usize,
    consumed: usize,
    part: PartHead,
    fields: Vec<(String, String)>,
    carry: Bytes,
}

/// The boundary in a `Content-Type` header. Errs: PreconditionFailed when it is not multipart/form-data,
/// MalformedPOSTRequest without a usable boundary.
pub fn boundary_of(content_type: &str) -> Result<String, S3Error> {
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        let message = "Bucket POST must be of the enclosure-type multipart/form-data";
        return Err(S3Error::with_message(ErrorCode::PreconditionFailed, message));
    }
    let boundary =
        parameter(parameters, "boundary").filter(|boundary| (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()));
    boundary.ok_or_else(|| malformed("the boundary is missing or too long"))
}

impl FormParser {
    /// A parser for parts that are separated by `boundary`.
    pub fn new(boundary: &str) -> Self {
        Self {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            state: State::Preamble,
            // The first delimiter may stand at the very beginning, without a line end before it.
            buffer: BytesMut::from(&b"\r\n"[..]),
            scanned: 0,
            consumed: 0,
            part: PartHead::default(),
            fields: Vec::new(),
            carry: Bytes::new(),
        }
    }

    /// Takes the next bytes. Errs: MalformedPOSTRequest, MaxPostPreDataLengthExceededError, InvalidArgument when the
    /// form ends without a file.
    pub fn feed(&mut self, input: Bytes) -> Result<Vec<FormEvent>, S3Error> {
        let mut events = Vec::new();
        match self.state {
            State::File => self.file_data(input, &mut events),
            State::After => {}
            _ => {
                self.buffer.extend_from_slice(&input);
                while self.step(&mut events)? {}
                let in_front = !matches!(self.state, State::File | State::After);
                if in_front && self.consumed + self.buffer.len() > PRE_DATA_BYTES_MAX {
                    return Err(ErrorCode::MaxPostPreDataLengthExceededError.into());
                }
            }
        }
        Ok(events)
    }

    /// Ends the form. Errs: MalformedPOSTRequest when it stopped early.
    pub fn finish(self) -> Result<(), S3Error> {
        match self.state {
            State::After => Ok(()),
            // The closing delimiter without its dashes.
            State::File if self.carry.starts_with(&self.delimiter) => Ok(()),
            State::File => Err(S3Error::new(ErrorCode::IncompleteBody)),
            _ => Err(malformed("it ends before its file")),
        }
    }

    /// One step in front of the file; false when more input is needed or the file has begun.
    fn step(&mut self, events: &mut Vec<FormEvent>) -> Result<bool, S3Error> {
        match &self.state {
            State::Preamble => {
                let found = self.take_to_delimiter().is_some();
                if found {
                    self.state = State::DelimiterEnd;
                }
                Ok(found)
            }
            State::DelimiterEnd => {
                // The closing delimiter need not have a line end behind it.
                if self.buffer.starts_with(b"--") {
                    return Err(no_file());
                }
                let Some(line) = self.take_line() else { return Ok(false) };
                if !line.trim_ascii().is_empty() {
                    return Err(malformed("a delimiter is followed by text"));
                }
                self.part = PartHead::default();
                self.state = State::Headers;
                Ok(true)
            }
            State::Headers => {
                let Some(line) = self.take_line() else { return Ok(false) };
                if line.is_empty() {
                    return self.begin_part(events);
                }
                self.part_header(&line)?;
                Ok(true)
            }
            State::Field { name } => {
                let name = name.clone();
                let Some(value) = self.take_to_delimiter() else { return Ok(false) };
                if value.len() > FIELD_BYTES_MAX {
                    return Err(ErrorCode::MaxPostPreDataLengthExceededError.into());
                }
                let value = String::from_utf8(value.to_vec()).map_err(|_| malformed("a field is not UTF-8 text"))?;
                self.fields.push((name, value));
                self.state = State::DelimiterEnd;
                Ok(true)
            }
            State::File | State::After => Ok(false),
        }
    }

    fn begin_part(&mut self, events: &mut Vec<FormEvent>) -> Result<bool, S3Error> {
        let part = std::mem::take(&mut self.part);
        let name = part.name.filter(|name| !name.is_empty()).ok_or_else(|| malformed("a part has no name"))?;
        if !name.eq_ignore_ascii_case("file") {
            self.state = State::Field { name };
            return Ok(true);
        }
        if self.consumed > PRE_DATA_BYTES_MAX {
            return Err(ErrorCode::MaxPostPreDataLengthExceededError.into());
        }
        let PartHead { filename, content_type, .. } = part;
        let fields = std::mem::take(&mut self.fields);
        events.push(FormEvent::File(FileHead { fields, filename, content_type }));
        self.state = State::File;
        let rest = std::mem::take(&mut self.buffer).freeze();
        self.file_data(rest, events);
        Ok(false)
    }

    /// Streams the file's bytes; a possible beginning of the delimiter is kept back until it is known to be one.
    fn file_data(&mut self, input: Bytes, events: &mut Vec<FormEvent>) {
        let mut data = if self.carry.is_empty() {
            input
        } else {
            let mut joined = BytesMut::with_capacity(self.carry.len() + input.len());
            joined.extend_from_slice(&self.carry);
            joined.extend_from_slice(&input);
            self.carry = Bytes::new();
            joined.freeze()
        };
        let mut from = 0;
        let (end, is_over) = loop {
            let Some(at) = find(&data, &self.delimiter, from) else {
                break (data.len() - partial_suffix(&data, &self.delimiter), false);
            };
            match data.get(at + self.delimiter.len()..).unwrap_or_default() {
                [b'-', b'-', ..] | [b'\r' | b'\n' | b' ' | b'\t', ..] => break (at, true),
                // What follows tells whether it is one.
                [] | [b'-'] => break (at, false),
                // A line of the file that only begins like the delimiter.
                _ => from = at + 1,
            }
        };
        let behind = data.split_off(end);
        if !data.is_empty() {
            events.push(FormEvent::Data(data));
        }
        if is_over {
            events.push(FormEvent::End);
            self.state = State::After;
        } else {
            self.carry = behind;
        }
    }

    /// The bytes in front of the next delimiter, which is taken too.
    fn take_to_delimiter(&mut self) -> Option<BytesMut> {
        let Some(at) = find(&self.buffer, &self.delimiter, self.scanned) else {
            self.scanned = self.buffer.len().saturating_sub(self.delimiter.len());
            return None;
        };
        let before = self.buffer.split_to(at);
        let delimiter = self.buffer.split_to(self.delimiter.len());
        self.consumed += before.len() + delimiter.len();
        self.scanned = 0;
        Some(before)
    }

    /// The next line, without its CRLF.
    fn take_line(&mut self) -> Option<BytesMut> {
        let at = find(&self.buffer, b"\r\n", 0)?;
        let line = self.buffer.split_to(at);
        let end = self.buffer.split_to(2);
        self.consumed += line.len() + end.len();
        Some(line)
    }

    fn part_header(&mut self, line: &[u8]) -> Result<(), S3Error> {
        let text = std::str::from_utf8(line).map_err(|_| malformed("a part's header is not UTF-8 text"))?;
        let (name, value) = text.split_once(':').ok_or_else(|| malformed("a part's header has no colon"))?;
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "content-disposition" => {
                let (kind, parameters) = value.split_once(';').unwrap_or((value, ""));
                if !kind.trim().eq_ignore_ascii_case("form-data") {
                    return Err(malformed("a part is not form-data"));
                }
                self.part.name = parameter(parameters, "name");
                self.part.filename = parameter(parameters, "filename*")
                    .and_then(|extended| decode_extended(&extended))
                    .or_else(|| parameter(parameters, "filename"));
            }
            "content-type" => self.part.content_type = Some(value.to_owned()),
            _ => {}
        }
        Ok(())
    }
}

fn find(haystack: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let first = *needle.first()?;
    let mut at = from;
    loop {
        at += haystack.get(at..)?.iter().position(|&b| b == first)?;
        if haystack.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
}

/// Length of the longest end of `data` that is a beginning of `delimiter`.
fn partial_suffix(data: &[u8], delimiter: &[u8]) -> usize {
    let longest = delimiter.len().saturating_sub(1).min(data.len());
    (1..=longest)
        .rev()
        .find(|&length| {
            let end = data.get(data.len() - length..);
            end.is_some() && end == delimiter.get(..length)
        })
        .unwrap_or(0)
}

/// The value of a parameter, quoted (with backslash escapes) or bare.
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        let (name, after) = rest.split_once('=')?;
        let (value, remaining) = match after.strip_prefix('"') {
            Some(quoted) => take_quoted(quoted)?,
            None => {
                let (value, remaining) = after.split_once(';').unwrap_or((after, ""));
                (value.trim().to_owned(), remaining)
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = remaining;
    }
}

/// Reads up to the closing quote. A backslash escapes only a quote or a backslash: Windows browsers send whole paths.
fn take_quoted(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' if characters.peek().is_some_and(|(_, next)| matches!(next, '"' | '\\')) => {
                value.push(characters.next()?.1);
            }
            other => value.push(other),
        }
    }
    None
}

/// `UTF-8''percent-encoded` (RFC 8187).
fn decode_extended(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    let utf8 = charset.eq_ignore_ascii_case("utf-8");
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(encoded).collect();
    if utf8 { String::from_utf8(decoded).ok() } else { None }
}

fn malformed(detail: &str) -> S3Error {
    let message = format!("The body of your POST request is not well-formed multipart/form-data: {detail}.");
    S3Error::with_message(ErrorCode::MalformedPOSTRequest, message)
}

fn no_file() -> S3Error {
    S3Error::invalid_argument("file", "0", "POST requires exactly one file upload per request.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BODY: &str = "--xx\r\nContent-Disposition: form-data; name=\"key\"; filename=\"key\"\r\n\r\nfoo.txt\r\n--xx\r\n\
        content-disposition: form-data; name=empty\r\n\r\n\r\n--xx\r\n\
        Content-Disposition: form-data; name=\"File\"; filename=\"a\\\"b.txt\"\r\nContent-Type: text/plain\r\n\r\n\
        some\r\n--x\r\r\n-- data\r\n--xxx\r\n--xx-y\r\n--xx\r\nContent-Disposition: form-data; name=\"late\"\r\n\r\nignored\r\n--xx--\r\n";

    fn run(pieces: &[&[u8]]) -> Result<(FileHead, Vec<u8>), ErrorCode> {
        let mut parser = FormParser::new("xx");
        let (mut head, mut data, mut ended) = (None, Vec::new(), false);
        for piece in pieces {
            for event in parser.feed(Bytes::copy_from_slice(piece)).map_err(|e| e.code())? {
                match event {
                    FormEvent::File(file) => head = Some(file),
                    FormEvent::Data(bytes) => data.extend_from_slice(&bytes),
                    FormEvent::End => ended = true,
                }
            }
        }
        parser.finish().map_err(|e| e.code())?;
        assert!(ended);
        Ok((head.unwrap(), data))
    }

    fn expected() -> (FileHead, Vec<u8>) {
        let fields = [("key", "foo.txt"), ("empty", "")].map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
        let filename = Some("a\"b.txt".to_owned());
        let head = FileHead { fields, filename, content_type: Some("text/plain".to_owned()) };
        (head, b"some\r\n--x\r\r\n-- data\r\n--xxx\r\n--xx-y".to_vec())
    }

    #[test]
    fn a_whole_form() {
        assert_eq!(run(&[BODY.as_bytes()]), Ok(expected()));
        let empty_file = "--xx\r\nContent-Disposition: form-data; name=file\r\n\r\n\r\n--xx--";
        assert_eq!(run(&[empty_file.as_bytes()]).map(|(_, data)| data), Ok(vec![]));
        let mut parser = FormParser::new("xx");
        parser.feed(Bytes::from_static(empty_file.trim_end_matches('-').as_bytes())).unwrap();
        assert!(parser.finish().is_ok());
    }

    #[test]
    fn bad_forms() {
        let field =
            |value: &str| format!("--xx\r\nContent-Disposition: form-data; name=a\r\n\r\n{value}\r\n--xx--\r\n");
        assert_eq!(run(&[field("b").as_bytes()]), Err(ErrorCode::InvalidArgument));
        let pre_data = Err(ErrorCode::MaxPostPreDataLengthExceededError);
        assert_eq!(run(&[field(&"b".repeat(FIELD_BYTES_MAX + 1)).as_bytes()]), pre_data);
        assert_eq!(run(&[&b"a".repeat(PRE_DATA_BYTES_MAX)]), pre_data);
        assert_eq!(run(&[b"--xx\r\nContent-Disposition: form-data; name=a"]), Err(ErrorCode::MalformedPOSTRequest));
        assert_eq!(run(&[b"--xx\r\n\r\nb\r\n--xx--"]), Err(ErrorCode::MalformedPOSTRequest));
        let nameless = b"--xx\r\nContent-Disposition: form-data; name=\"\"; filename=\"a\"\r\n\r\nb\r\n--xx--";
        assert_eq!(run(&[nameless]), Err(ErrorCode::MalformedPOSTRequest));
        let cut = b"--xx\r\nContent-Disposition: form-data; name=file\r\n\r\nabc\r\n--x";
        assert_eq!(run(&[cut]), Err(ErrorCode::IncompleteBody));
    }

    #[test]
    fn boundaries() {
        assert_eq!(boundary_of("multipart/form-data; charset=a; boundary=\"x y\"").unwrap(), "x y");
        assert_eq!(boundary_of("Multipart/Form-Data;boundary=xx").unwrap(), "xx");
        assert_eq!(boundary_of("text/plain").unwrap_err().code(), ErrorCode::PreconditionFailed);
        assert_eq!(boundary_of("multipart/form-data").unwrap_err().code(), ErrorCode::MalformedPOSTRequest);
    }

    #[test]
    fn file_names() {
        let name = |text: &str| parameter(text, "filename");
        assert_eq!(name(" name=\"file\"; filename=\"C:\\a\\b.txt\"").unwrap(), "C:\\a\\b.txt");
        assert_eq!(decode_extended("UTF-8''%C3%A9.txt").unwrap(), "é.txt");
    }

    proptest! {
        #[test]
        fn any_split_parses_the_same(cuts in proptest::collection::vec(0..BODY.len(), 0..10)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let body = BODY.as_bytes();
            let (mut pieces, mut at) = (Vec::new(), 0);
            for cut in cuts {
                pieces.push(&body[at..cut]);
                at = cut;
            }
            pieces.push(&body[at..]);
            prop_assert_eq!(run(&pieces), Ok(expected()));
        }
    }
}
