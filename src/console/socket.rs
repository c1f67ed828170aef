//! The console's private socket: by it the front process of `--mode ui` reaches the console of a running node.
//!
//! Each connection begins with a line that says who is behind it (the PROXY protocol, version 1; behind it two words of our own, if the
//! client speaks TLS): what the front knows of its client would be lost else. Only the node's own user can connect, so the line is believed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_service::{Service as _, ServiceFactory as _};
use tokio::io::AsyncReadExt as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::Console;
use crate::connection::{Connection, Patience};
use crate::private_socket::PrivateSocket;
use crate::server::of_console;
use crate::tls::Mark;

/// Name of the socket in `run`.
pub const NAME: &str = "console.sock";
/// Connections at once; further ones wait.
const CONNECTIONS_MAX: u16 = 256;
/// How long to wait after a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest first line, in bytes: 107 of the PROXY protocol (section 2.1), and what we add.
const LINE_BYTES_MAX: usize = 160;

/// A socket that is served. Dropping it ends that.
#[derive(Debug)]
pub struct ConsoleSocket {
    serving: JoinHandle<()>,
    places: Arc<Semaphore>,
    _socket: PrivateSocket,
}

impl ConsoleSocket {
    /// Lets in nobody else, and waits until whoever is in has an answer.
    pub async fn drain(&self) {
        self.serving.abort();
        // An error means that there are no places any more.
        let _all = self.places.acquire_many(CONNECTIONS_MAX.into()).await;
    }
}

impl Drop for ConsoleSocket {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Serves the socket on the current thread. A socket that cannot be made is no reason not to run.
pub fn listen(console: &Arc<Console>, patience: Patience, run: &Path) -> Option<ConsoleSocket> {
    match try_listen(console, patience, run) {
        Ok(socket) => Some(socket),
        Err(error) => {
            tracing::warn!(%error, "there is no console socket: --mode ui will not find this node");
            None
        }
    }
}

fn try_listen(console: &Arc<Console>, patience: Patience, run: &Path) -> io::Result<ConsoleSocket> {
    let (listener, socket) = PrivateSocket::bind(run, NAME)?;
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    let console = Arc::clone(console);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX.into()));
    let free = Arc::clone(&places);
    let serving = tokio::task::spawn_local(async move {
        loop {
            let Ok(place) = Arc::clone(&free).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let console = Arc::clone(&console);
                    tokio::task::spawn_local(async move {
                        serve(&console, patience, stream).await;
                        drop(place);
                    });
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    });
    Ok(ConsoleSocket { serving, places, _socket: socket })
}

async fn serve(console: &Arc<Console>, patience: Patience, mut stream: UnixStream) {
    let line = tokio::time::timeout(patience.head, first_line(&mut stream)).await;
    let Ok(Ok(line)) = line else { return };
    let factory = of_console(console, patience, &console.node.stopping);
    let Ok(service) = factory.new_service(()).await else { return };
    let (client, mark) = client_of(&line).unzip();
    let ended = service.call((Connection::new(stream, patience).sealed(mark.flatten()), client)).await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of the console's front ended early");
    }
}

async fn first_line(stream: &mut UnixStream) -> io::Result<String> {
    let mut line = Vec::new();
    // Byte by byte: what follows belongs to the HTTP layer.
    while !line.ends_with(b"\r\n") {
        if line.len() >= LINE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        line.push(stream.read_u8().await?);
    }
    String::from_utf8(line).map_err(io::Error::other)
}

/// The line that tells of a client.
pub fn line_of(client: SocketAddr, own: SocketAddr, mark: Option<&Mark>) -> String {
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let sealed = mark.map(|mark| format!(" {}", mark.text())).unwrap_or_default();
    format!("PROXY {family} {} {} {} {}{sealed}\r\n", client.ip(), own.ip(), client.port(), own.port())
}

fn client_of(line: &str) -> Option<(SocketAddr, Option<Mark>)> {
    let mut words = line.trim_end().split(' ');
    let (proxy, family) = (words.next()?, words.next()?);
    if proxy != "PROXY" || !matches!(family, "TCP4" | "TCP6") {
        return None;
    }
    let ip: IpAddr = words.next()?.parse().ok()?;
    let port = words.nth(1)?.parse().ok()?;
    let sealed: Vec<&str> = words.skip(1).collect();
    Some((SocketAddr::new(ip, port), Mark::parse(&sealed.join(" "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let (client, own) = ("10.0.0.7:4000".parse().unwrap(), "10.0.0.1:5100".parse().unwrap());
        let line = line_of(client, own, None);
        assert_eq!(line, "PROXY TCP4 10.0.0.7 10.0.0.1 4000 5100\r\n");
        assert_eq!(client_of(&line), Some((client, None)));
        let mark = Mark::parse("1.3 TLS_AES_128_GCM_SHA256");
        let line = line_of(client, own, mark.as_ref());
        assert_eq!(line, "PROXY TCP4 10.0.0.7 10.0.0.1 4000 5100 1.3 TLS_AES_128_GCM_SHA256\r\n");
        assert_eq!(client_of(&line), Some((client, mark)));
        let client: SocketAddr = "[2001:db8::1]:1".parse().unwrap();
        assert_eq!(client_of(&line_of(client, "[::1]:2".parse().unwrap(), None)), Some((client, None)));
        for line in ["", "PROXY UNKNOWN\r\n", "GET / HTTP/1.1\r\n", "PROXY TCP4 x y 1 2\r\n", "PROXY TCP4 1.2.3.4\r\n"]
        {
            assert_eq!(client_of(line), None, "{line}");
        }
    }
}
