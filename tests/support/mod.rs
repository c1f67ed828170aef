//! Starts and stops a node for the tests, and speaks to it over bare sockets.
//!
//! A node is started as a user would: the built binary, settings in the environment, a data directory of its own, free
//! ports. It is ready when `/healthz` answers 200, and ends (SIGKILL) with the value that holds it. Requests are written
//! byte for byte as given: nothing here corrects what a test bends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod device;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Access key and secret of the first boot's admin on loopback.
pub const ADMIN: (&str, &str) = ("localadmin", "localadmin");

/// A running node.
pub struct Node {
    dir: tempfile::TempDir,
    child: Child,
    settings: Vec<(String, String)>,
    /// Port of the S3 API.
    pub port: u16,
}

impl Node {
    /// Starts a node with these settings added; panics when it is not ready within 20 s.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::try_start(settings).unwrap_or_else(|log| panic!("the node ended at its start: {log}"))
    }

    /// The same; a node that ends at its start gives its log.
    pub fn try_start(settings: &[(&str, &str)]) -> Result<Self, String> {
        Self::try_start_by(Command::new(binary()), settings)
    }

    /// Starts a node after a `ulimit` with these arguments.
    pub fn start_limited(ulimit: &str, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit {ulimit} && exec \"$0\""), &binary()]);
        Self::try_start_by(command, settings).unwrap_or_else(|log| panic!("the node ended at its start: {log}"))
    }

    fn try_start_by(command: Command, settings: &[(&str, &str)]) -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("cwd")).unwrap();
        let port = free_port();
        let settings: Vec<_> = settings.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let child = launch(command, dir.path(), port, &settings);
        let mut node = Self { dir, child, settings, port };
        node.wait_ready().map(|()| node)
    }

    fn wait_ready(&mut self) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(20);
        while !self.healthy() {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Err(format!("{status}: {}", self.log()));
            }
            assert!(Instant::now() < end, "the node was not ready within 20 s: {}", self.log());
            std::thread::sleep(Duration::from_millis(30));
        }
        Ok(())
    }

    /// Starts a node that was stopped again, on the same directory and port.
    pub fn restart(&mut self) {
        self.child = launch(Command::new(binary()), self.dir.path(), self.port, &self.settings);
        self.wait_ready().unwrap_or_else(|log| panic!("the node ended at its start: {log}"));
    }

    /// The same, with these arguments.
    pub fn restart_with(&mut self, arguments: &[&str]) {
        let mut command = Command::new(binary());
        command.args(arguments);
        self.child = launch(command, self.dir.path(), self.port, &self.settings);
        self.wait_ready().unwrap_or_else(|log| panic!("the node ended at its start: {log}"));
    }

    /// Starts another process of the program on the node's directory.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(binary());
        command.args(arguments);
        launch(command, self.dir.path(), self.port, &self.settings)
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops the node as an operator would; its directory stays until the node is dropped.
    pub fn stop(&mut self) {
        self.ask_to_stop();
        self.wait_for_end();
    }

    /// Asks the node to stop, as an operator would, and waits for nothing.
    pub fn ask_to_stop(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits until a node that was asked to stop has ended.
    pub fn wait_for_end(&mut self) {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.log());
    }

    /// Runs another command of the program on the node's directory.
    pub fn run(&self, arguments: &[&str]) -> std::process::Output {
        Command::new(binary())
            .current_dir(self.dir.path().join("cwd"))
            .env_clear()
            .env("STORAGE_ROOT", self.root())
            .args(arguments)
            .output()
            .unwrap()
    }

    /// The data directory.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// What the node has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `http://127.0.0.1:port`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Whether `/healthz` answers 200.
    pub fn healthy(&self) -> bool {
        let Ok(mut wire) = Wire::try_open(self.port) else { return false };
        wire.write("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        wire.try_read("GET").is_some_and(|reply| reply.status == 200)
    }

    /// A connection to the S3 port.
    pub fn open(&self) -> Wire {
        Wire::try_open(self.port).unwrap()
    }

    /// One request as the admin by the header pair; see [`Node::ask_as`].
    pub fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.ask_as(Some(ADMIN), method, target, headers, body)
    }

    /// One request on a connection of its own, as `who` by the header pair, or as nobody.
    pub fn ask_as(
        &self,
        who: Option<(&str, &str)>,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut wire = self.open();
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n", self.port);
        if let Some((access, secret)) = who {
            text += &format!("X-Access-Key: {access}\r\nX-Secret-Key: {secret}\r\n");
        }
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n", body.len());
        wire.write(&text);
        wire.write(body);
        wire.read(method)
    }

    /// One request signed in its header (SigV4, unsigned payload) as `who`.
    pub fn ask_signed(
        &self,
        who: (&str, &str),
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let host = format!("127.0.0.1:{}", self.port);
        let signed = sign(who, method, target, &host, headers);
        let mut all: Vec<(&str, &str)> = headers.to_vec();
        all.extend(signed.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        self.ask_as(None, method, target, &all, body)
    }

    /// Creates a bucket as the admin.
    pub fn create_bucket(&self, bucket: &str) {
        let reply = self.ask("PUT", &format!("/{bucket}"), &[], b"");
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// Puts an object as the admin.
    pub fn put(&self, target: &str, body: &[u8]) {
        let reply = self.ask("PUT", target, &[], body);
        assert_eq!(reply.status, 200, "{target}: {reply:?}");
    }

    /// Status of a GET as the admin.
    pub fn status(&self, target: &str) -> u16 {
        self.ask("GET", target, &[], b"").status
    }

    /// Adds users to `iam.json` by hand.
    pub fn add_users(&self, users: &[serde_json::Value]) {
        let path = self.root().join(".myfsio.sys/config/iam.json");
        let mut document: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        document["users"].as_array_mut().unwrap().extend(users.iter().cloned());
        let edit = path.with_extension("edit");
        std::fs::write(&edit, serde_json::to_vec_pretty(&document).unwrap()).unwrap();
        std::fs::rename(edit, path).unwrap();
    }

    /// Every regular file under a folder of the node's own data that holds bytes, apart from those named `except`.
    pub fn files_with_bytes(&self, folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![folder.to_path_buf()];
        while let Some(dir) = open.pop() {
            let Ok(entries) = std::fs::read_dir(&dir) else { continue };
            for entry in entries.flatten() {
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() {
                    open.push(entry.path());
                } else if kind.is_file() && entry.metadata().is_ok_and(|m| m.len() > 0) {
                    found.push(entry.path());
                }
            }
        }
        found
    }

    /// Files and sockets that the node has open.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Resident memory of the node in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        text.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }
}

fn launch(mut command: Command, dir: &Path, port: u16, settings: &[(String, String)]) -> Child {
    let cwd = dir.join("cwd");
    let log = std::fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
    command
        .current_dir(&cwd)
        .env_clear()
        .env("HOME", &cwd)
        .env("HOST", "127.0.0.1")
        .env("PORT", port.to_string())
        .env("UI_PORT", "0")
        .env("STORAGE_ROOT", dir.join("data"))
        .env("JOURNAL_SEGMENT_BYTES", "4194304")
        .env("LOG_LEVEL", "warn")
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the node's log:\n{}", self.log());
        }
    }
}

/// The node under test: the built one, or the one that `MYFSIO_BIN` names.
pub fn binary() -> String {
    std::env::var("MYFSIO_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_myfsio").to_owned())
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    // The system gives a port that was let go of to the next who asks; tests run side by side, so each gets one of its own.
    static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if TAKEN.lock().unwrap().insert(port) {
            return port;
        }
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header section, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, de-chunked.
    pub body: Vec<u8>,
}

impl Reply {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of an error document, or an empty string.
    pub fn code(&self) -> String {
        element(&self.text(), "Code").unwrap_or_default()
    }
}

/// Text of the first element of this name.
pub fn element(document: &str, name: &str) -> Option<String> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text.to_owned())
}

/// A connection, with what was read and not yet used.
pub struct Wire {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    /// A connection; the error of one that is not let in.
    pub fn try_open(port: u16) -> std::io::Result<Self> {
        let socket = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), Duration::from_secs(5))?;
        socket.set_read_timeout(Some(Duration::from_secs(15)))?;
        socket.set_write_timeout(Some(Duration::from_secs(15)))?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, read: Vec::new() })
    }

    /// A connection that comes from another address of this machine.
    pub fn from(source: Ipv4Addr, port: u16) -> Self {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::from((source, 0))).unwrap();
        connect(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
        let socket = TcpStream::from(socket);
        socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        Self { socket, read: Vec::new() }
    }

    /// Sends bytes; false when the node takes no more.
    pub fn try_write(&mut self, bytes: &[u8]) -> bool {
        self.socket.write_all(bytes).is_ok()
    }

    /// Sends bytes; a connection that the node has closed is no failure here, its answer tells.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.socket.write_all(bytes.as_ref());
    }

    /// Ends the sending side.
    pub fn finish(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
    }

    /// Takes little from the node ahead of being read.
    pub fn narrow(&mut self) {
        rustix::net::sockopt::set_socket_recv_buffer_size(&self.socket, 4096).unwrap();
    }

    /// Limits how long a read may wait.
    pub fn patience(&mut self, limit: Duration) {
        self.socket.set_read_timeout(Some(limit)).unwrap();
    }

    fn fill(&mut self) -> bool {
        let mut buffer = [0; 16384];
        match self.socket.read(&mut buffer) {
            Ok(n) if n > 0 => {
                self.read.extend_from_slice(&buffer[..n]);
                true
            }
            _ => false,
        }
    }

    /// Whether the node closes the connection (and says no more) within the patience set.
    pub fn is_closed(&mut self) -> bool {
        let mut buffer = [0; 1024];
        match self.socket.read(&mut buffer) {
            Ok(n) => n == 0,
            Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
        }
    }

    /// Takes so many bytes of what the node sends, and keeps them as the beginning of the next answer.
    pub fn take(&mut self, count: usize) {
        let wanted = self.read.len() + count;
        while self.read.len() < wanted && self.fill() {}
    }

    /// The next answer, an interim one (100) included; `None` when the connection ends or stays silent.
    pub fn try_read(&mut self, method: &str) -> Option<Reply> {
        let end = loop {
            if let Some(i) = find(&self.read, b"\r\n\r\n") {
                break i;
            }
            if !self.fill() {
                return None;
            }
        };
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        self.read.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|l| l.split_once(':'))
            .map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()))
            .collect();
        let mut reply = Reply { status, headers, body: Vec::new() };
        if status < 200 || status == 204 || status == 304 || method == "HEAD" {
            return Some(reply);
        }
        if reply.header("transfer-encoding").is_some_and(|v| v.contains("chunked")) {
            self.read_chunked(&mut reply.body);
        } else if let Some(length) = reply.header("content-length").and_then(|v| v.parse::<usize>().ok()) {
            while self.read.len() < length && self.fill() {}
            let length = length.min(self.read.len());
            reply.body.extend(self.read.drain(..length));
        } else {
            while self.fill() {}
            reply.body.append(&mut self.read);
        }
        Some(reply)
    }

    fn read_chunked(&mut self, body: &mut Vec<u8>) {
        loop {
            let Some(end) = find(&self.read, b"\r\n") else {
                if !self.fill() {
                    return;
                }
                continue;
            };
            let size = usize::from_str_radix(String::from_utf8_lossy(&self.read[..end]).trim(), 16).unwrap_or(0);
            while self.read.len() < end + 2 + size + 2 && self.fill() {}
            if self.read.len() < end + 2 + size + 2 {
                return;
            }
            body.extend_from_slice(&self.read[end + 2..end + 2 + size]);
            self.read.drain(..end + 2 + size + 2);
            if size == 0 {
                return;
            }
        }
    }

    /// The next answer; panics when there is none.
    pub fn read(&mut self, method: &str) -> Reply {
        self.try_read(method).expect("an answer")
    }

    /// The next final answer, interim ones skipped.
    pub fn read_final(&mut self, method: &str) -> Reply {
        loop {
            let reply = self.read(method);
            if reply.status >= 200 {
                return reply;
            }
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

/// Start of a request as the admin by the header pair, up to the headers that a test adds.
pub fn head(node: &Node, method: &str, target: &str) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nX-Access-Key: {}\r\nX-Secret-Key: {}\r\n",
        node.port, ADMIN.0, ADMIN.1
    )
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Headers that sign a request (SigV4, UNSIGNED-PAYLOAD) over host and every `x-amz-*` header given. The query of
/// `target` must already be encoded; its parameters are sorted here.
pub fn sign(
    who: (&str, &str),
    method: &str,
    target: &str,
    host: &str,
    headers: &[(&str, &str)],
) -> Vec<(String, String)> {
    let stamp = amz_date(SystemTime::now());
    let mut fixed = vec![
        ("x-amz-content-sha256".to_owned(), "UNSIGNED-PAYLOAD".to_owned()),
        ("x-amz-date".to_owned(), stamp.clone()),
    ];
    let mut canonical: Vec<(String, String)> = fixed.clone();
    canonical.push(("host".to_owned(), host.to_owned()));
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if name.starts_with("x-amz-") {
            canonical.push((name, (*value).trim().to_owned()));
        }
    }
    canonical.sort();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut pairs: Vec<(&str, &str)> =
        query.split('&').filter(|p| !p.is_empty()).map(|p| p.split_once('=').unwrap_or((p, ""))).collect();
    pairs.sort_unstable();
    let query: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let names: Vec<&str> = canonical.iter().map(|(n, _)| n.as_str()).collect();
    let lines: String = canonical.iter().map(|(n, v)| format!("{n}:{v}\n")).collect();
    let request = format!("{method}\n{path}\n{}\n{lines}\n{}\nUNSIGNED-PAYLOAD", query.join("&"), names.join(";"));
    let day = &stamp[..8];
    let scope = format!("{day}/us-east-1/s3/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex::encode(Sha256::digest(request.as_bytes())));
    let mut key = format!("AWS4{}", who.1).into_bytes();
    for part in [day, "us-east-1", "s3", "aws4_request"] {
        key = hmac_sha256(&key, part);
    }
    let signature = hex::encode(hmac_sha256(&key, &text));
    fixed.push((
        "Authorization".to_owned(),
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
            who.0,
            names.join(";")
        ),
    ));
    fixed
}

/// `20200131T235959Z`, from the same moment written as an HTTP date.
fn amz_date(at: SystemTime) -> String {
    let text = httpdate::fmt_http_date(at); // Sun, 06 Nov 1994 08:49:37 GMT
    let parts: Vec<&str> = text.split(' ').collect();
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|m| *m == parts[2]).unwrap() + 1;
    format!("{}{month:02}{}T{}Z", parts[3], parts[1], parts[4].replace(':', ""))
}

/// Value of `x-amz-checksum-sha256` for a body.
pub fn sha256_base64(body: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(Sha256::digest(body))
}
