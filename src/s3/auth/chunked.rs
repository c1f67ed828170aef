//! Takes the aws-chunked framing off a body (S3 API Reference, "Signature Calculations for the Authorization Header:
//! Transferring Payload in Multiple Chunks" and "… Including Trailing Headers").
//!
//! No I/O: bytes go in as they arrive, and come out as slices of them. Nothing is held until it is verified: a chunk may be as
//! large as its body, and a client that stops within one must cost no more than another.
//! INVARIANT: a body ends well only when every chunk's signature was verified, so whoever takes the bytes keeps them from others
//! until then. Each signature covers the one before, hence chunks cannot be replayed, reordered or left out.
//!
//! Tolerated, since clients do it: a blank line between the last chunk and the trailers, trailer lines that end in a
//! bare line feed, and a line end too many (minio-go) or too few at the very end. None of them can change what was signed.

use actix_web::http::header::HeaderMap;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::payload::PayloadSigning;
use super::signing::{AmzDate, EMPTY_SHA256, Scope, SigningKey, same_secret, sha256_hex};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::request_head::RequestHead;

/// Longest line in front of a chunk, in bytes.
pub const CHUNK_LINE_BYTES_MAX: usize = 1024;
/// All trailer lines together, in bytes.
pub const TRAILER_BYTES_MAX: usize = 16 * 1024;
/// Most declared trailers.
pub const TRAILERS_MAX: usize = 32;

const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";
const BEHIND_THE_END: &str = "bytes follow the end of the chunked body";

/// Trailers in the order they came, names in lower case.
pub type Trailers = Vec<(String, String)>;

/// Verifies the chain of chunk signatures.
#[derive(Debug, Clone)]
pub struct ChunkSigner {
    key: SigningKey,
    date: String,
    scope: String,
    previous: String,
}

impl ChunkSigner {
    /// A chain that starts from the request's own signature, `seed`.
    pub fn new(key: SigningKey, date: &AmzDate, scope: &Scope, seed: String) -> Self {
        Self { key, date: date.text.clone(), scope: scope.to_string(), previous: seed }
    }

    /// The signature of the next chunk, whose data has this SHA-256.
    pub fn chunk_signature(&self, data_sha256: &str) -> String {
        self.key.sign(self.chunk_string(data_sha256).as_bytes())
    }

    /// The signature of the trailers, `name:value` lines each ended by a line feed.
    pub fn trailer_signature(&self, canonical: &str) -> String {
        self.key.sign(self.trailer_string(canonical).as_bytes())
    }

    fn chunk_string(&self, data_sha256: &str) -> String {
        let Self { date, scope, previous, .. } = self;
        format!("AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{previous}\n{EMPTY_SHA256}\n{data_sha256}")
    }

    fn trailer_string(&self, canonical: &str) -> String {
        let Self { date, scope, previous, .. } = self;
        format!("AWS4-HMAC-SHA256-TRAILER\n{date}\n{scope}\n{previous}\n{}", sha256_hex(canonical.as_bytes()))
    }

    /// Accepts `signature` as the next link of the chain. Errs: SignatureDoesNotMatch.
    fn accept(&mut self, string_to_sign: &str, signature: &str) -> Result<(), S3Error> {
        let expected = self.key.sign(string_to_sign.as_bytes());
        if same_secret(expected.as_bytes(), signature.as_bytes()) {
            self.previous = expected;
            return Ok(());
        }
        Err(S3Error::new(ErrorCode::SignatureDoesNotMatch)
            .field("StringToSign", string_to_sign)
            .field("SignatureProvided", signature))
    }
}

/// Which of the three framings a body has.
#[derive(Debug, Clone)]
pub enum ChunkedKind {
    /// Signed chunks.
    Signed(ChunkSigner),
    /// Signed chunks, then trailers and their signature.
    SignedTrailer(ChunkSigner),
    /// Chunks and trailers without signatures.
    UnsignedTrailer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    ChunkLine,
    Data {
        left: u64,
    },
    DataEnd,
    LastLineEnd,
    Trailers,
    /// All has come, but for a blank line that some clients send behind it.
    Done,
    DoneAndBlank,
    Failed,
}

/// The decoder of one body.
#[derive(Debug)]
pub struct ChunkedDecoder {
    state: State,
    signer: Option<ChunkSigner>,
    has_trailers: bool,
    decoded_length: u64,
    decoded: u64,
    declared: Vec<String>,
    /// The line under way.
    line: Vec<u8>,
    /// Signature of the chunk under way.
    signature: String,
    digest: Sha256,
    trailers: Trailers,
    trailer_bytes: usize,
    trailers_signed: bool,
}

impl ChunkedDecoder {
    /// A decoder of a body that decodes to `decoded_length` bytes and brings exactly the `declared` trailers.
    pub fn new(kind: ChunkedKind, decoded_length: u64, declared: Vec<String>) -> Self {
        let (signer, has_trailers) = match kind {
            ChunkedKind::Signed(signer) => (Some(signer), false),
            ChunkedKind::SignedTrailer(signer) => (Some(signer), true),
            ChunkedKind::UnsignedTrailer => (None, true),
        };
        Self {
            state: State::ChunkLine,
            signer,
            has_trailers,
            decoded_length,
            decoded: 0,
            declared,
            line: Vec::new(),
            signature: String::new(),
            digest: Sha256::new(),
            trailers: Vec::new(),
            trailer_bytes: 0,
            trailers_signed: false,
        }
    }

    /// The decoder that a request's body needs; `None` when the body is not framed. Errs: MissingContentLength
    /// without `x-amz-decoded-content-length`, InvalidArgument when that is no number, InvalidRequest for trailers
    /// that cannot come.
    pub fn for_request(payload: &PayloadSigning, head: &RequestHead<'_>) -> Result<Option<Self>, S3Error> {
        let kind = match payload {
            PayloadSigning::Unsigned | PayloadSigning::Sha256(_) => return Ok(None),
            PayloadSigning::StreamingSigned { signer, trailer: false } => ChunkedKind::Signed(signer.clone()),
            PayloadSigning::StreamingSigned { signer, trailer: true } => ChunkedKind::SignedTrailer(signer.clone()),
            PayloadSigning::StreamingUnsignedTrailer => ChunkedKind::UnsignedTrailer,
        };
        let declared = declared_trailers(head.headers)?;
        if matches!(kind, ChunkedKind::Signed(_)) && !declared.is_empty() {
            let message = "x-amz-trailer needs an x-amz-content-sha256 that ends in -TRAILER.";
            return Err(S3Error::with_message(ErrorCode::InvalidRequest, message));
        }
        Ok(Some(Self::new(kind, decoded_length(head)?, declared)))
    }

    /// Takes the next bytes of the body and returns those that are decoded, in order; that they are what was signed shows when
    /// [`ChunkedDecoder::finish`] says so. Errs: SignatureDoesNotMatch, IncompleteBody, InvalidRequest, MalformedTrailerError; after
    /// an error the decoder takes no more.
    pub fn feed(&mut self, input: Bytes) -> Result<Vec<Bytes>, S3Error> {
        let mut out = Vec::new();
        let result = self.advance(input, &mut out);
        if result.is_err() {
            self.state = State::Failed;
        }
        result.map(|()| out)
    }

    /// Ends the body. Errs: IncompleteBody when it stopped early, MalformedTrailerError when a trailer is missing.
    pub fn finish(mut self) -> Result<Trailers, S3Error> {
        if self.state == State::Trailers && !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.trailer_line(&line)?;
        }
        match self.state {
            State::Done | State::DoneAndBlank if self.line.is_empty() => {}
            State::Done | State::DoneAndBlank => return Err(malformed(BEHIND_THE_END)),
            State::LastLineEnd if self.line.is_empty() => {}
            State::Trailers if self.trailers_complete() => {}
            State::Trailers => return Err(self.missing_trailers()),
            State::ChunkLine | State::Data { .. } | State::DataEnd | State::LastLineEnd => {
                return Err(incomplete("The request body ended within a chunk."));
            }
            State::Failed => return Err(malformed("the body was refused before its end")),
        }
        Ok(self.trailers)
    }

    fn advance(&mut self, mut input: Bytes, out: &mut Vec<Bytes>) -> Result<(), S3Error> {
        while !input.is_empty() {
            match self.state {
                State::ChunkLine => {
                    if self.take_line(&mut input, CHUNK_LINE_BYTES_MAX)? {
                        let line = std::mem::take(&mut self.line);
                        self.chunk_line(&line)?;
                    }
                }
                State::Data { left } => self.take_data(&mut input, left, out)?,
                State::DataEnd | State::LastLineEnd => {
                    if self.take_line(&mut input, 2)? {
                        if self.line != b"\r\n" {
                            return Err(malformed("a chunk does not end where its size says"));
                        }
                        self.line.clear();
                        self.state = if self.state == State::DataEnd { State::ChunkLine } else { State::Done };
                    }
                }
                State::Trailers => {
                    if self.take_line(&mut input, TRAILER_BYTES_MAX)? {
                        let mut line = std::mem::take(&mut self.line);
                        line.pop();
                        if line.last() == Some(&b'\r') {
                            line.pop();
                        }
                        self.trailer_line(&line)?;
                    }
                }
                State::Done => {
                    if self.take_line(&mut input, 2)? {
                        if self.line != b"\r\n" {
                            return Err(malformed(BEHIND_THE_END));
                        }
                        self.line.clear();
                        self.state = State::DoneAndBlank;
                    }
                }
                State::DoneAndBlank => return Err(malformed(BEHIND_THE_END)),
                State::Failed => return Err(malformed("the body was refused before its end")),
            }
        }
        Ok(())
    }

    /// Moves input into `line` up to and with a line feed; whether that came. Errs: InvalidRequest past `bytes_max`.
    fn take_line(&mut self, input: &mut Bytes, bytes_max: usize) -> Result<bool, S3Error> {
        let end = input.iter().position(|&b| b == b'\n');
        let part = input.split_to(end.map_or(input.len(), |end| end + 1));
        if self.line.len() + part.len() > bytes_max {
            return Err(malformed("a line of the framing is too long or misplaced"));
        }
        self.line.extend_from_slice(&part);
        Ok(end.is_some())
    }

    /// `size-in-hex[;chunk-signature=…]` and CRLF.
    fn chunk_line(&mut self, line: &[u8]) -> Result<(), S3Error> {
        let text = std::str::from_utf8(line).ok().and_then(|line| line.strip_suffix("\r\n"));
        let text = text.ok_or_else(|| malformed("a chunk's first line is not text that ends in CRLF"))?;
        let (size, extensions) = text.split_once(';').unwrap_or((text, ""));
        let digits = (1..=16).contains(&size.len()) && size.bytes().all(|b| b.is_ascii_hexdigit());
        let size = u64::from_str_radix(size, 16).ok().filter(|_| digits);
        let size = size.ok_or_else(|| malformed("a chunk's size is not a hexadecimal number"))?;
        if self.signer.is_some() {
            let signature = extensions.split(';').find_map(|extension| extension.strip_prefix("chunk-signature="));
            let signature = signature.ok_or_else(|| malformed("a chunk has no chunk-signature"))?;
            signature.clone_into(&mut self.signature);
        }
        if size > self.decoded_length - self.decoded {
            return Err(incomplete("The chunks have more bytes than x-amz-decoded-content-length says."));
        }
        if size > 0 {
            self.state = State::Data { left: size };
            return Ok(());
        }
        self.accept_chunk()?;
        if self.decoded != self.decoded_length {
            return Err(incomplete("The chunks have fewer bytes than x-amz-decoded-content-length says."));
        }
        self.state = if self.has_trailers { State::Trailers } else { State::LastLineEnd };
        Ok(())
    }

    fn take_data(&mut self, input: &mut Bytes, left: u64, out: &mut Vec<Bytes>) -> Result<(), S3Error> {
        let part = input.split_to(usize::try_from(left).unwrap_or(usize::MAX).min(input.len()));
        let taken = part.len() as u64;
        self.decoded += taken;
        if self.signer.is_some() {
            self.digest.update(&part);
        }
        out.push(part);
        self.state = State::Data { left: left - taken };
        if left == taken {
            self.accept_chunk()?;
            self.state = State::DataEnd;
        }
        Ok(())
    }

    /// Verifies the chunk under way, when chunks are signed.
    fn accept_chunk(&mut self) -> Result<(), S3Error> {
        let Some(signer) = &mut self.signer else { return Ok(()) };
        let digest = hex::encode(self.digest.finalize_reset());
        let string_to_sign = signer.chunk_string(&digest);
        signer.accept(&string_to_sign, &self.signature)
    }

    /// One line of the trailers, without its end.
    fn trailer_line(&mut self, line: &[u8]) -> Result<(), S3Error> {
        self.trailer_bytes += line.len() + 1;
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(malformed_trailer("The trailers are too large."));
        }
        if line.is_empty() {
            // A blank line ends the trailers once they are complete, else it stands in front of them.
            if self.trailers_complete() {
                self.state = State::Done;
            }
            return Ok(());
        }
        let text = std::str::from_utf8(line).ok().and_then(|line| line.split_once(':'));
        let (name, value) = text.ok_or_else(|| malformed_trailer("A trailer is not of the form name:value."))?;
        if name.eq_ignore_ascii_case(TRAILER_SIGNATURE) && self.signer.is_some() && !self.trailers_signed {
            return self.accept_trailers(value);
        }
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        let declared = self.declared.contains(&name);
        if self.trailers_signed || !declared || self.trailers.iter().any(|(known, _)| *known == name) {
            return Err(malformed_trailer("A trailer was not declared in x-amz-trailer, or came twice or too late."));
        }
        self.trailers.push((name, value));
        Ok(())
    }

    fn accept_trailers(&mut self, signature: &str) -> Result<(), S3Error> {
        if !self.all_arrived() {
            return Err(self.missing_trailers());
        }
        let canonical: String = self.trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        if let Some(signer) = &mut self.signer {
            let string_to_sign = signer.trailer_string(&canonical);
            signer.accept(&string_to_sign, signature)?;
        }
        self.trailers_signed = true;
        Ok(())
    }

    fn all_arrived(&self) -> bool {
        self.declared.iter().all(|name| self.trailers.iter().any(|(arrived, _)| arrived == name))
    }

    fn trailers_complete(&self) -> bool {
        self.all_arrived() && (self.signer.is_none() || self.trailers_signed)
    }

    fn missing_trailers(&self) -> S3Error {
        malformed_trailer("A trailer that x-amz-trailer declares, or the trailers' signature, did not arrive.")
    }
}

/// The value of `x-amz-decoded-content-length`. Errs: MissingContentLength, InvalidArgument.
pub fn decoded_length(head: &RequestHead<'_>) -> Result<u64, S3Error> {
    const NAME: &str = "x-amz-decoded-content-length";
    let text = head.header(NAME).ok_or(ErrorCode::MissingContentLength)?;
    let number = text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    number.ok_or_else(|| S3Error::invalid_argument(NAME, text, "The decoded content length is not a number."))
}

/// The names in all lines of `x-amz-trailer`, lower case. Errs: InvalidRequest when they are no text, or too many.
pub fn declared_trailers(headers: &HeaderMap) -> Result<Vec<String>, S3Error> {
    let refused = |message: &'static str| S3Error::with_message(ErrorCode::InvalidRequest, message);
    let mut names = Vec::new();
    for line in headers.get_all("x-amz-trailer") {
        let line = line.to_str().map_err(|_| refused("x-amz-trailer is not text."))?;
        names.extend(line.split(',').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty()));
    }
    if names.len() > TRAILERS_MAX {
        return Err(refused("x-amz-trailer names too many headers."));
    }
    Ok(names)
}

fn malformed(detail: &str) -> S3Error {
    S3Error::with_message(ErrorCode::InvalidRequest, format!("The aws-chunked body is malformed: {detail}."))
}

fn incomplete(message: &'static str) -> S3Error {
    S3Error::with_message(ErrorCode::IncompleteBody, message)
}

fn malformed_trailer(message: &'static str) -> S3Error {
    S3Error::with_message(ErrorCode::MalformedTrailerError, message)
}

#[cfg(test)]
#[path = "chunked_tests.rs"]
mod tests;
