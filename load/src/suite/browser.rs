//! A browser at a node's console: signs in, keeps its cookies, and loads pages, compressed, over one connection.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::response::Head;

/// Room for an answer's head, and for as much of a body as one read takes.
const BUFFER_BYTES: usize = 256 << 10;
/// Most bytes of a body that are kept: more than any page has.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// A browser.
pub struct Browser {
    address: SocketAddr,
    cookies: BTreeMap<String, String>,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// What was answered.
#[derive(Debug, Default)]
pub struct Shown {
    /// Status.
    pub status: u16,
    /// Bytes of the body as they were sent.
    pub bytes: u64,
    /// The first of them.
    body: Vec<u8>,
    cookies: Vec<String>,
}

impl Browser {
    /// Signs in. Errs: the console does not let it.
    pub async fn sign_in(address: SocketAddr, access_key: &str, secret_key: &str) -> Result<Self, String> {
        let cookies = BTreeMap::new();
        let mut browser = Self { address, cookies, stream: None, buffer: vec![0; BUFFER_BYTES] };
        let fields = [("access_key", access_key), ("secret_key", secret_key)];
        let shown = browser.submit("/ui/login", "/ui/login", &fields).await?;
        match shown.status {
            303 => Ok(browser),
            status => Err(format!("the console does not let {access_key} in: {status}")),
        }
    }

    /// Loads a page. Errs: it does not come, or comes with an error.
    pub async fn open(&mut self, path: &str) -> Result<Shown, String> {
        let shown = self.ask("GET", path, "Accept-Encoding: gzip\r\n", "").await?;
        if shown.status == 200 { Ok(shown) } else { Err(format!("{path}: {}", shown.status)) }
    }

    /// Sends a form of a page to an address, with the page's token. Errs: no answer comes.
    pub async fn submit(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Result<Shown, String> {
        let form = self.ask("GET", page, "", "").await?;
        let html = String::from_utf8_lossy(&form.body).into_owned();
        let token = html.split_once("name=\"csrf\" value=\"").and_then(|(_, rest)| Some(rest.split_once('"')?.0));
        let token = token.ok_or_else(|| format!("{page} has no form: {}", form.status))?;
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let all = [("csrf", token)].into_iter().chain(fields.iter().copied());
        let body: Vec<String> = all.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let headers = "Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\n";
        self.ask("POST", action, headers, &body.join("&")).await
    }

    async fn ask(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Result<Shown, String> {
        let told = |error: io::Error| format!("{method} {path}: {error}");
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            self.address,
            cookies.join("; "),
            body.len()
        );
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(self.address).await.map_err(told)?,
        };
        stream.set_nodelay(true).map_err(told)?;
        stream.write_all(request.as_bytes()).await.map_err(told)?;
        let (shown, close) = receive(&mut stream, &mut self.buffer).await.map_err(told)?;
        if !close {
            self.stream = Some(stream);
        }
        for cookie in &shown.cookies {
            if let Some((name, value)) = cookie.split(';').next().and_then(|pair| pair.trim().split_once('=')) {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(shown)
    }
}

/// Reads one answer, and whether the connection ends with it.
async fn receive(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<(Shown, bool)> {
    let wrong = |what: crate::response::Malformed| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut filled = 0;
    let (head, length) = loop {
        filled += some(stream.read(buffer.get_mut(filled..).unwrap_or_default()).await?)?;
        if let Some(parsed) = Head::parse(buffer.get(..filled).unwrap_or_default(), false).map_err(wrong)? {
            break parsed;
        }
    };
    let mut shown = Shown { status: head.status, ..Shown::default() };
    let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    let cookies = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    shown.cookies = cookies.map(|(_, cookie)| cookie.to_owned()).collect();
    let mut body = head.body(false);
    let mut at = length;
    loop {
        let mut take = |bytes: &[u8]| {
            shown.bytes += bytes.len() as u64;
            let room = KEPT_BYTES_MAX.saturating_sub(shown.body.len());
            shown.body.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        };
        body.feed(buffer.get(at..filled).unwrap_or_default(), &mut take).map_err(wrong)?;
        if body.ended() {
            return Ok((shown, head.close));
        }
        (at, filled) = (0, some(stream.read(buffer).await?)?);
    }
}

fn some(count: usize) -> io::Result<usize> {
    if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(count) }
}
