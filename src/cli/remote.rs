//! Asking the node of a configuration something as its administrator, wherever it is: by the admin socket while it runs, else by
//! starting it, without its listeners, for this one question.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::config::Config;
use crate::private_socket::{find, run_folder};
use crate::s3::xml::{Element, read};
use crate::{admin_socket, start};

/// How long the node may take to answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long a node that has the directory open, but takes no commands yet or any more, is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);
/// Largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A request.
#[derive(Debug, Clone)]
pub struct Question {
    /// Its method.
    pub method: &'static str,
    /// Path and query, percent-encoded.
    pub target: String,
    /// Its JSON document.
    pub body: Option<Value>,
}

impl Question {
    /// A request without a body.
    pub fn new(method: &'static str, target: impl Into<String>) -> Self {
        Self { method, target: target.into(), body: None }
    }

    /// The same with a document.
    #[must_use]
    pub fn with(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    fn bytes(&self) -> Vec<u8> {
        let body = self.body.as_ref().map(Value::to_string).unwrap_or_default();
        let head = format!(
            "{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.method,
            self.target,
            body.len()
        );
        [head.as_bytes(), body.as_bytes()].concat()
    }
}

/// What the node answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    /// The JSON document. Errs: one line.
    pub fn json(&self) -> Result<Value, String> {
        serde_json::from_slice(&self.body).map_err(|_| "the node's answer is not JSON".to_owned())
    }

    /// The XML document whose root has this name. Errs: one line.
    pub fn xml(&self, root: &str) -> Result<Element, String> {
        read::parse(&self.body, root).map_err(|_| "the node's answer is not XML".to_owned())
    }

    /// The last line of an answer that is a JSON document in each line. Errs: one line.
    pub fn last_json_line(&self) -> Result<Value, String> {
        let last = self.body.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).unwrap_or_default();
        serde_json::from_slice(last).map_err(|_| "the node's answer did not come to its end".to_owned())
    }

    /// The answer of a request that was carried out. Errs: why it was refused, in one line.
    fn accepted(self) -> Result<Self, String> {
        if self.status < 400 {
            return Ok(self);
        }
        let of_json = || {
            let error = self.json().ok()?.get("error")?.clone();
            let text = |name: &str| error.get(name)?.as_str().map(str::to_owned);
            Some((text("code")?, text("message")?))
        };
        let of_xml = || {
            let error = self.xml("Error").ok()?;
            let text =
                |name: &str| error.children.iter().find(|child| child.name == name).map(|child| child.text.clone());
            Some((text("Code")?, text("Message")?))
        };
        let told = of_json().or_else(of_xml);
        Err(told.map_or_else(
            || format!("the node answered {}", self.status),
            |(code, message)| format!("{message} ({code})"),
        ))
    }
}

/// Asks the node of a configuration. Errs: it cannot be asked, or refuses; one line.
pub fn ask(config: &Config, question: &Question) -> Result<Answer, String> {
    ask_watching(config, question, |_| ())
}

/// The same of an answer that comes line by line: `watch` is told of each as it comes.
pub fn ask_watching(config: &Config, question: &Question, watch: fn(&str)) -> Result<Answer, String> {
    let (run, since) = (run_folder(&config.storage_root), Instant::now());
    loop {
        if let Some(stream) = find(&run, admin_socket::NAME).ok().and_then(|path| UnixStream::connect(path).ok()) {
            return exchange(stream, question, watch)
                .map_err(|error| format!("the node at its admin socket: {error}"))?
                .accepted();
        }
        let asked = question.clone();
        match start::for_one_command(config, move |stream| exchange(stream, &asked, watch)) {
            Ok(answer) => return answer.map_err(|error| error.to_string())?.accepted(),
            // It starts or stops just now, or another command has it.
            Err(error) if error.is_locked() && since.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
            Err(error) if error.is_locked() => {
                return Err(format!("{error}: it is open, and its node takes no commands at {}", run.display()));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Gives the node's admin socket to a command that asks many things, starting the node for as long as it takes if it does not run.
/// Errs: there is none; one line.
pub fn at_socket<T: Send + 'static>(
    config: &Config,
    command: impl FnOnce(&Path) -> T + Send + 'static,
) -> Result<T, String> {
    let (run, since) = (run_folder(&config.storage_root), Instant::now());
    // A start that failed leaves it for the next one.
    let waiting = Arc::new(Mutex::new(Some(command)));
    let taken = || "the command was begun twice".to_owned();
    let take = |waiting: &Mutex<Option<_>>| waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
    loop {
        if let Some(socket) = find(&run, admin_socket::NAME).ok().filter(|path| UnixStream::connect(path).is_ok()) {
            return take(&waiting).map(|command| command(&socket)).ok_or_else(taken);
        }
        let of = Arc::clone(&waiting);
        match start::at_own_socket(config, move |socket| take(&of).map(|command| command(socket))) {
            Ok(answer) => return answer.ok_or_else(taken),
            // It starts or stops just now, or another command has it.
            Err(error) if error.is_locked() && since.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn exchange(mut stream: UnixStream, question: &Question, watch: fn(&str)) -> io::Result<Answer> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(&question.bytes())?;
    let (mut answer, mut reader) = (Vec::new(), BufReader::new(stream.take(ANSWER_BYTES_MAX)));
    loop {
        let start = answer.len();
        if reader.read_until(b'\n', &mut answer)? == 0 {
            break;
        }
        watch(str::from_utf8(answer.get(start..).unwrap_or_default()).unwrap_or_default());
    }
    parse(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is no HTTP"))
}

/// Reads an answer that ends with its connection.
fn parse(bytes: &[u8]) -> Option<Answer> {
    const END: &[u8] = b"\r\n\r\n";
    let end = memchr::memmem::find(bytes, END)?;
    let (head, body) = (std::str::from_utf8(bytes.get(..end)?).ok()?, bytes.get(end + END.len()..)?);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let has = |name: &str, value: &str| {
        let given = |line: &str| {
            line.split_once(':')
                .is_some_and(|(n, v)| n.eq_ignore_ascii_case(name) && v.trim().eq_ignore_ascii_case(value))
        };
        head.split("\r\n").any(given)
    };
    let body = if has("transfer-encoding", "chunked") { unchunked(body)? } else { body.to_vec() };
    Some(Answer { status, body })
}

/// The content of a chunked body (RFC 9112 §7.1); none when it was cut off.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let end = memchr::memmem::find(rest, b"\r\n")?;
        let size = std::str::from_utf8(rest.get(..end)?).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        rest = rest.get(end + 2..)?;
        if size == 0 {
            return Some(content);
        }
        content.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Option<Result<String, String>> {
        parse(text.as_bytes()).map(|answer| answer.accepted().map(|answer| String::from_utf8(answer.body).unwrap()))
    }

    #[test]
    fn answers_are_read_as_they_are_framed() {
        let plain = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n";
        assert_eq!(answer(plain), Some(Ok("{}".to_owned())));
        assert_eq!(answer(chunked), Some(Ok("abc0123456789".to_owned())));
        assert_eq!(answer("HTTP/1.1 204 No Content\r\n\r\n"), Some(Ok(String::new())));
        for bad in ["", "HTTP/1.1 200 OK\r\n", "SSH-2.0\r\n\r\n", &chunked[..chunked.len() - 12], "HTTP/1.1 2\r\n\r\n"]
        {
            assert_eq!(answer(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_words() {
        let json =
            "HTTP/1.1 404 Not Found\r\n\r\n{\"error\": {\"code\": \"NoSuchEntity\", \"message\": \"There is none.\"}}";
        let xml =
            "HTTP/1.1 409 Conflict\r\n\r\n<Error><Code>BucketNotEmpty</Code><Message>It is not.</Message></Error>";
        assert_eq!(answer(json), Some(Err("There is none. (NoSuchEntity)".to_owned())));
        assert_eq!(answer(xml), Some(Err("It is not. (BucketNotEmpty)".to_owned())));
        assert_eq!(answer("HTTP/1.1 503 Busy\r\n\r\n?"), Some(Err("the node answered 503".to_owned())));
    }

    #[test]
    fn a_question_is_one_request() {
        let text = String::from_utf8(Question::new("PUT", "/a%20b").with(serde_json::json!({"a": 1})).bytes()).unwrap();
        assert!(
            text.starts_with("PUT /a%20b HTTP/1.1\r\nHost: localhost\r\n") && text.ends_with("\r\n\r\n{\"a\":1}"),
            "{text}"
        );
        assert!(text.contains("Content-Length: 7\r\n"));
    }
}
