//! The servers that the suite starts: nodes, each on a data directory of its own, and nginx as a reference for reads. Only
//! loopback; all end with the value that holds them.

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use time::OffsetDateTime;

use crate::connection::{Connection, Failure, Payload, Wanted};
use crate::process::Process;
use crate::sign::{Credentials, Place};
use crate::site::{Endpoint, Site};

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(120);
/// Pause between looks at a server that starts.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A server under this process.
pub struct Server {
    name: String,
    child: Child,
    port: u16,
    console: u16,
    folder: PathBuf,
}

/// What of a node differs from the default.
pub type Settings<'a> = &'a [(&'a str, &'a str)];

impl Server {
    /// Starts a node with its data below `folder`, and waits until it answers. Errs with what its log says.
    pub async fn node(program: &Path, name: &str, folder: &Path, settings: Settings<'_>) -> Result<Self, String> {
        let (port, ui_port) = free_ports().map_err(|error| format!("no free port: {error}"))?;
        let mut command = Command::new(absolute(program)?);
        // In its own folder, where no configuration file is.
        command
            .current_dir(folder)
            .env_clear()
            .env("HOST", "127.0.0.1")
            .env("PORT", port.to_string())
            .env("UI_PORT", ui_port.to_string())
            .env("STORAGE_ROOT", absolute(folder)?.join("data"))
            .env("LOG_LEVEL", "warn")
            .envs(settings.iter().copied());
        Self::start(command, name, folder, (port, ui_port)).await
    }

    /// Starts nginx with one process that serves the files below `data`. Errs with what its log says.
    pub async fn nginx(program: &Path, folder: &Path, data: &Path) -> Result<Self, String> {
        let (port, _) = free_ports().map_err(|error| format!("no free port: {error}"))?;
        let (folder, data) = (absolute(folder)?, absolute(data)?);
        let told = |error| format!("{}: {error}", folder.display());
        std::fs::create_dir_all(&folder).map_err(told)?;
        let configuration = folder.join("nginx.conf");
        std::fs::write(&configuration, nginx_configuration(port, &folder, &data)).map_err(told)?;
        let mut command = Command::new(program);
        command.arg("-p").arg(&folder).arg("-c").arg(&configuration).arg("-e").arg(folder.join("log"));
        Self::start(command, "nginx", &folder, (port, port)).await
    }

    async fn start(
        mut command: Command,
        name: &str,
        folder: &Path,
        (port, console): (u16, u16),
    ) -> Result<Self, String> {
        let program = command.get_program().to_owned();
        let told = |error| format!("{}: {error}", Path::new(&program).display());
        std::fs::create_dir_all(folder).map_err(told)?;
        let log = File::create(folder.join("log")).map_err(told)?;
        let output = log.try_clone().map_err(told)?;
        let child = command.stdin(Stdio::null()).stdout(output).stderr(log).spawn().map_err(told)?;
        let mut server = Self { name: name.to_owned(), child, port, console, folder: folder.to_owned() };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// Waits until it answers a request, whatever the answer.
    async fn wait_until_ready(&mut self) -> Result<(), String> {
        let begin = Instant::now();
        loop {
            let mut request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".to_vec();
            let mut connection = Connection::new(self.address());
            match connection.exchange(&mut request, Payload::NONE, Wanted::default()).await {
                Ok(_) | Err(Failure::Status(404, _)) => return Ok(()),
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
            let ended = self.child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || begin.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                return Err(format!("{} did not start: {}", self.name, log.trim()));
            }
        }
    }

    /// Asks it to stop and waits until it has. Errs when it does not, or says that it failed.
    pub async fn stop(mut self) -> Result<(), String> {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            kill_process(pid, Signal::TERM).map_err(|error| error.to_string())?;
        }
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            match self.child.try_wait().map_err(|error| error.to_string())? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("{} ended with {status}", self.name)),
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
        Err(format!("{} does not stop", self.name))
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(self) {
        drop(self);
    }

    /// Its process.
    pub fn process(&self) -> Process {
        Process { pid: self.child.id() }
    }

    /// Where its objects are files.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Its S3 URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// What it counts, for who shows its token. Errs: it does not answer.
    pub async fn metrics(&self, token: &str) -> Result<String, String> {
        let head = "GET /_myfsio/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer";
        let mut request = format!("{head} {token}\r\n\r\n").into_bytes();
        let wanted = Wanted { body: true, ..Wanted::default() };
        let answer = Connection::new(self.address()).exchange(&mut request, Payload::NONE, wanted).await;
        answer.map(|answer| answer.body).map_err(|failure| format!("{}: metrics: {failure}", self.name))
    }

    /// Where its console listens.
    pub fn console(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.console).into()
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// A bucket of the node as an endpoint, with the first boot's administrator.
    pub fn site(&self, name: &str, bucket: &str) -> Result<Arc<Site>, String> {
        self.site_of(name, Some(Credentials::well_known()), bucket)
    }

    /// A folder of nginx's as an endpoint: nobody signs.
    pub fn unsigned_site(&self, bucket: &str) -> Result<Arc<Site>, String> {
        self.site_of(&self.name, None, bucket)
    }

    fn site_of(&self, name: &str, credentials: Option<Credentials>, bucket: &str) -> Result<Arc<Site>, String> {
        let (authority, process) = (self.address().to_string(), Some(self.process()));
        let endpoint =
            Endpoint { name: name.to_owned(), authority, credentials, place: Place::Query, process, bucket: None };
        Site::new(endpoint, bucket, OffsetDateTime::now_utc()).map(Arc::new)
    }
}

/// Runs another command of the node's program on the data directory of a node that was stopped. Errs unless it is content.
pub fn run(program: &Path, folder: &Path, argument: &str) -> Result<(), String> {
    command(program, folder, &[argument], "")
}

/// Runs a command of the node's program on a data directory, with this as its input. Errs unless it is content.
pub fn command(program: &Path, folder: &Path, arguments: &[&str], input: &str) -> Result<(), String> {
    let mut command = Command::new(absolute(program)?);
    command.current_dir(folder).env_clear().env("STORAGE_ROOT", absolute(folder)?.join("data")).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let told = |error: std::io::Error| format!("{}: {error}", arguments.join(" "));
    let mut child = command.spawn().map_err(told)?;
    if let Some(mut stdin) = child.stdin.take() {
        // What it does not read it does not want.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(told)?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = [output.stderr, output.stdout].concat();
            Err(format!("{}: {}", arguments.join(" "), String::from_utf8_lossy(&said).trim()))
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Two ports that nobody listens on.
fn free_ports() -> std::io::Result<(u16, u16)> {
    let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let [first, second] = listeners.map(|listener| listener.local_addr().map(|address| address.port()));
    Ok((first?, second?))
}

fn nginx_configuration(port: u16, folder: &Path, data: &Path) -> String {
    let folder = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|module| format!("    {module}_temp_path {folder}/temporary;\n"))
        .collect();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nevents {{ worker_connections 4096; }}\nhttp {{\n{temporary}\
         \x20   access_log off;\n    sendfile on;\n    keepalive_requests 1000000000;\n\
         \x20   server {{ listen 127.0.0.1:{port}; root {}; }}\n}}\n",
        data.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ() {
        let (first, second) = free_ports().unwrap();
        assert_ne!(first, second);
    }

    #[tokio::test]
    async fn a_server_that_ends_at_once_is_told_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let program = Path::new("/bin/false");
        let error = Server::node(program, "node", folder.path(), &[]).await.err().unwrap();
        assert!(error.contains("node did not start"), "{error}");
        let missing = folder.path().join("missing");
        assert!(Server::node(&missing, "node", folder.path(), &[]).await.is_err());
    }
}
