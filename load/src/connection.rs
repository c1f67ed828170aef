//! One connection of the load generator: a request out, its answer in. Cheap on purpose, since it shares the cores with
//! what it measures: one write for head and small body, one read for a small answer, bodies read into a buffer that is
//! used again and never copied further.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::response::{Body, Head, Malformed, element};

/// Room for an answer's head, and for as much of a body as one read takes.
const BUFFER_BYTES: usize = 256 << 10;
/// Bodies up to this size leave with the head in one write.
const JOINED_BYTES: usize = 64 << 10;
/// How much of an error's body is kept.
const ERROR_BYTES_MAX: usize = 4096;

/// Why an operation does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// The connection could not be made.
    Connect(io::ErrorKind),
    /// The connection ended in the middle.
    Broken(io::ErrorKind),
    /// No whole answer within the time that an operation has.
    TimedOut,
    /// The answer is not HTTP.
    Malformed(&'static str),
    /// The server refused: status, and S3's error code if it named one.
    Status(u16, String),
    /// The answer is a good one but not to what was asked: its length or content is wrong.
    Unexpected(&'static str),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(kind) => write!(f, "connect: {kind}"),
            Self::Broken(kind) => write!(f, "connection broken: {kind}"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Malformed(what) => write!(f, "malformed answer: {what}"),
            Self::Status(status, code) if code.is_empty() => write!(f, "{status}"),
            Self::Status(status, code) => write!(f, "{status} {code}"),
            Self::Unexpected(what) => write!(f, "unexpected answer: {what}"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.kind())
    }
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.0)
    }
}

/// What the sender wants of an answer beyond its length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The answer is one to HEAD: no body follows whatever its length.
    pub to_head: bool,
    /// Keep the ETag.
    pub etag: bool,
    /// Keep the body.
    pub body: bool,
    /// Hash the body.
    pub digest: bool,
}

/// A good answer (2xx).
#[derive(Debug, Default)]
pub struct Answer {
    /// Length of the body; of an answer to HEAD, what Content-Length says.
    pub length: u64,
    /// Its ETag where wanted.
    pub etag: Option<String>,
    /// Its body where wanted.
    pub body: String,
    /// SHA-256 of its body where wanted.
    pub digest: Option<[u8; 32]>,
}

/// Where a client leaves in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// After so many bytes of the request's body, which are not all.
    InBody(u64),
    /// After the whole request and so many bytes of the answer, head included.
    InAnswer(usize),
}

/// A request's body: `length` bytes, `pattern` over and over.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    /// What is repeated.
    pub pattern: &'a [u8],
    /// Bytes in all.
    pub length: u64,
}

impl Payload<'_> {
    /// No body.
    pub const NONE: Payload<'static> = Payload { pattern: &[], length: 0 };

    /// Writes the body into `out`, piece by piece.
    async fn write(self, out: &mut (impl AsyncWriteExt + Unpin)) -> io::Result<()> {
        let mut left = self.length;
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(self.pattern.len());
            let piece = self.pattern.get(..count).unwrap_or_default();
            if piece.is_empty() {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            out.write_all(piece).await?;
            left -= count as u64;
        }
        Ok(())
    }
}

/// A connection that is made when it is needed, and anew after it broke.
pub struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    /// A connection to `address`, not yet made.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, buffer: vec![0; BUFFER_BYTES] }
    }

    /// Sends a request, whose head is `request` (it may be appended to), and takes the whole answer. After an error the
    /// next request makes a new connection, unless the server only refused. Errs: every [`Failure`] but `TimedOut`.
    pub async fn exchange(
        &mut self,
        request: &mut Vec<u8>,
        payload: Payload<'_>,
        wanted: Wanted,
    ) -> Result<Answer, Failure> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address).await.map_err(|error| Failure::Connect(error.kind()))?,
        };
        let sent = send(&mut stream, request, payload).await;
        if let Sent::Broken(error) = sent {
            return Err(error.into());
        }
        let (reply, close) = receive(&mut stream, &mut self.buffer, wanted).await?;
        if !close && matches!(sent, Sent::Whole) {
            self.stream = Some(stream);
        }
        reply
    }

    /// Sends a request, whose head is `request`, and is gone in the middle of it: with a reset, or as a client that closes. The next
    /// request makes a new connection. Errs: the connection cannot be made. What the server does after that is not looked at.
    pub async fn leave(
        &mut self,
        request: &[u8],
        payload: Payload<'_>,
        cut: Cut,
        with_reset: bool,
    ) -> Result<(), Failure> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address).await.map_err(|error| Failure::Connect(error.kind()))?,
        };
        if with_reset {
            // A system that does not know it closes as usual.
            let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
        }
        let (length, mut wanted) = match cut {
            Cut::InBody(length) => (length.min(payload.length), 0),
            Cut::InAnswer(wanted) => (payload.length, wanted),
        };
        // The server may have gone first.
        let sent = async {
            stream.write_all(request).await?;
            Payload { length, ..payload }.write(&mut stream).await
        };
        if sent.await.is_err() {
            return Ok(());
        }
        while wanted > 0 {
            let room = wanted.min(self.buffer.len());
            match stream.read(self.buffer.get_mut(..room).unwrap_or_default()).await {
                Ok(count) if count > 0 => wanted -= count,
                _ => break,
            }
        }
        Ok(())
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// How sending ended.
enum Sent {
    /// All of it.
    Whole,
    /// The server answered before it had everything, so it will not take the rest.
    AnsweredEarly,
    /// The connection ended, and there is no answer to read.
    Broken(io::Error),
}

async fn send(stream: &mut TcpStream, request: &mut Vec<u8>, payload: Payload<'_>) -> Sent {
    let small = usize::try_from(payload.length).is_ok_and(|length| length <= JOINED_BYTES.min(payload.pattern.len()));
    let sent = if small {
        let body = payload.pattern.get(..payload.length as usize).unwrap_or_default();
        request.extend_from_slice(body);
        stream.write_all(request).await
    } else {
        let (mut reader, mut writer) = stream.split();
        let whole = async {
            writer.write_all(request).await?;
            payload.write(&mut writer).await
        };
        let mut first = [0];
        tokio::select! {
            biased;
            sent = whole => sent,
            _ = reader.peek(&mut first) => return Sent::AnsweredEarly,
        }
    };
    match sent {
        Ok(()) => Sent::Whole,
        // A server that refuses a body may answer and close: the answer says why.
        Err(error) => match stream.peek(&mut [0]).await {
            Ok(1) => Sent::AnsweredEarly,
            _ => Sent::Broken(error),
        },
    }
}

/// Reads one answer. Returns what it is, and whether the connection ends with it. Errs when it is not whole.
async fn receive(
    stream: &mut TcpStream,
    buffer: &mut [u8],
    wanted: Wanted,
) -> Result<(Result<Answer, Failure>, bool), Failure> {
    let mut filled = 0;
    let (head, head_length) = loop {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        if room.is_empty() {
            return Err(Failure::Malformed("head too long"));
        }
        filled += at_least_one(stream.read(room).await?)?;
        if let Some(parsed) = Head::parse(buffer.get(..filled).unwrap_or_default(), wanted.etag)? {
            break parsed;
        }
    };
    let good = (200..300).contains(&head.status);
    let keep = if good { if wanted.body { usize::MAX } else { 0 } } else { ERROR_BYTES_MAX };
    let (mut length, mut kept, mut hash) = (0, Vec::new(), wanted.digest.then(Sha256::new));
    let mut sink = |bytes: &[u8]| {
        length += bytes.len() as u64;
        if let Some(hash) = &mut hash {
            hash.update(bytes);
        }
        kept.extend_from_slice(bytes.get(..keep.saturating_sub(kept.len()).min(bytes.len())).unwrap_or_default());
    };
    let mut body = head.body(wanted.to_head);
    let first = buffer.get(head_length..filled).unwrap_or_default();
    let mut surplus = first.len() - body.feed(first, &mut sink)?;
    while !body.ended() {
        let count = match (stream.read(buffer).await?, &body) {
            (0, Body::UntilClosed) => break,
            (count, _) => at_least_one(count)?,
        };
        surplus = count - body.feed(buffer.get(..count).unwrap_or_default(), &mut sink)?;
    }
    if surplus > 0 {
        return Err(Failure::Malformed("bytes behind the answer"));
    }
    let close = head.close || body == Body::UntilClosed;
    let text = String::from_utf8_lossy(&kept);
    if !good {
        return Ok((Err(Failure::Status(head.status, element(&text, "Code").unwrap_or_default().to_owned())), close));
    }
    if wanted.to_head {
        length = head.content_length.unwrap_or(0);
    }
    let digest = hash.map(|hash| hash.finalize().into());
    Ok((Ok(Answer { length, etag: head.etag, body: text.into_owned(), digest }), close))
}

fn at_least_one(count: usize) -> Result<usize, Failure> {
    if count == 0 { Err(Failure::Broken(io::ErrorKind::UnexpectedEof)) } else { Ok(count) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// A server that reads a head, answers each connection with the next of `answers`, and closes.
    fn server(answers: Vec<&'static str>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    head.push(byte[0]);
                }
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        address
    }

    async fn ask(connection: &mut Connection, payload: Payload<'_>, wanted: Wanted) -> Result<Answer, Failure> {
        connection.exchange(&mut b"GET / HTTP/1.1\r\n\r\n".to_vec(), payload, wanted).await
    }

    #[tokio::test]
    async fn answers_are_counted_and_kept_only_where_wanted() {
        let answer = "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
        let mut connection = Connection::new(server(vec![answer, answer]));
        let plain = ask(&mut connection, Payload::NONE, Wanted::default()).await.unwrap();
        assert_eq!((plain.length, plain.etag, plain.body), (5, None, String::new()));
        let wanted = Wanted { etag: true, body: true, to_head: false, digest: true };
        let kept = ask(&mut connection, Payload::NONE, wanted).await.unwrap();
        assert_eq!((kept.length, kept.etag.as_deref(), kept.body.as_str()), (5, Some("e"), "hello"));
        assert_eq!(kept.digest, Some(Sha256::digest(b"hello").into()));
    }

    #[tokio::test]
    async fn an_answer_to_head_has_a_length_and_no_body() {
        let mut connection = Connection::new(server(vec!["HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"]));
        let answer = ask(&mut connection, Payload::NONE, Wanted { to_head: true, ..Wanted::default() }).await;
        assert_eq!(answer.unwrap().length, 7);
    }

    #[tokio::test]
    async fn failures_are_told_apart() {
        let answers = vec![
            "HTTP/1.1 503 Slow Down\r\nContent-Length: 38\r\nConnection: close\r\n\r\n<Error><Code>SlowDown</Code></Error>  ",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
            "",
            "SMTP ready\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc",
        ];
        let mut connection = Connection::new(server(answers));
        let expected = [
            Failure::Status(503, "SlowDown".into()),
            Failure::Broken(io::ErrorKind::UnexpectedEof),
            Failure::Broken(io::ErrorKind::UnexpectedEof),
            Failure::Malformed("no HTTP head"),
            Failure::Malformed("bytes behind the answer"),
        ];
        for failure in expected {
            assert_eq!(ask(&mut connection, Payload::NONE, Wanted::default()).await.unwrap_err(), failure);
        }
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_refuses() {
        // Held and not listened at: nobody else can get the port meanwhile.
        let held = tokio::net::TcpSocket::new_v4().unwrap();
        held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut connection = Connection::new(held.local_addr().unwrap());
        let refused = ask(&mut connection, Payload::NONE, Wanted::default()).await.unwrap_err();
        assert_eq!(refused, Failure::Connect(io::ErrorKind::ConnectionRefused));
    }

    #[tokio::test]
    async fn a_refusal_before_the_body_is_read_is_the_answer() {
        let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
        let mut connection = Connection::new(server(vec![answer]));
        let payload = Payload { pattern: &[7; 1 << 16], length: 1 << 30 };
        let failure = ask(&mut connection, payload, Wanted::default()).await.unwrap_err();
        assert_eq!(failure, Failure::Status(403, String::new()));
        assert!(connection.stream.is_none(), "half of a body is in it");
    }

    #[tokio::test]
    async fn who_leaves_has_sent_as_much_as_told() {
        for (cut, with_reset, expected) in
            [(Cut::InBody(3), false, &b"HEAD\r\n\r\nabc"[..]), (Cut::InAnswer(0), true, b"HEAD\r\n\r\nabcabc")]
        {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let (mut got, mut buffer) = (Vec::new(), [0; 64]);
                // A reset takes with it what was not read yet.
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    got.extend_from_slice(&buffer[..count]);
                }
                got
            });
            let payload = Payload { pattern: b"abc", length: 6 };
            let mut connection = Connection::new(address);
            connection.leave(b"HEAD\r\n\r\n", payload, cut, with_reset).await.unwrap();
            assert!(connection.stream.is_none());
            let got = server.join().unwrap();
            assert!(if with_reset { expected.starts_with(&got) } else { expected == got }, "{cut:?}: {got:?}");
        }
    }
}
