//! `--mode ui`: a process of its own that hands connections of the console's port on to a node's private socket, and says so where
//! no node runs.
//!
//! It opens no data and holds no state, and its only key is that of its certificate, if it speaks TLS: node and front can be restarted, and
//! exposed, each by itself.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpStream, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};

use super::socket::{NAME, line_of};
use super::traffic::Watched;
use crate::config::TrustedProxies;
use crate::connections::Connections;
use crate::private_socket::find;
use crate::readiness::{self, State};
use crate::tls::{self, Tls};

/// Connections at once; further ones wait.
const CONNECTIONS_MAX: u16 = 200;
/// Those of one address, whatever is set: nobody takes all of them.
const SHARE_MAX: usize = 100;
/// How long to wait after a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(100);
/// How long nothing comes behind the last bytes of an answer until it is taken for whole, once the front is to end.
const SILENCE: Duration = Duration::from_secs(1);
/// How long a handshake may take.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// How long the head of a request is waited for that no node will see.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of it that are read.
const HEAD_BYTES_MAX: usize = 16 * 1024;

const NO_NODE: &str = include_str!("../../templates/no_node.html");

/// Who may connect how often: as the node's own listeners have it, as far as there is room.
pub fn connections(per_address_max: usize, proxies: TrustedProxies) -> Arc<Connections> {
    Connections::new(per_address_max.min(SHARE_MAX), proxies)
}

/// Serves the port until the process is told to stop; what is under way then has `patience`. `run`: the folder of the node's sockets.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    run: PathBuf,
    connections: Arc<Connections>,
    patience: Duration,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let own = listener.local_addr()?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX.into()));
    let stopping = watch::Sender::new(false);
    readiness::tell(State::Ready);
    loop {
        let taken = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            listener.accept().await.map(|(stream, client)| (place, stream, client))
        };
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            taken = taken => match taken {
                Ok((place, stream, client)) => {
                    // Who has its share is told by closing: what it would ask is not read.
                    let Some(share) = connections.admit(client.ip()) else { continue };
                    let (run, tls, stopping) = (run.clone(), tls.clone(), stopping.subscribe());
                    tokio::task::spawn_local(async move {
                        if let Err(error) = hand_on(stream, (client, own), tls.as_ref(), run, stopping).await {
                            tracing::debug!(%error, "a connection ended early");
                        }
                        drop((place, share));
                    });
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
        }
    }
    readiness::tell(State::Stopping);
    drop(listener);
    stopping.send_replace(true);
    tokio::select! {
        _all = places.acquire_many(CONNECTIONS_MAX.into()) => {}
        () = tokio::time::sleep(patience) => tracing::warn!("requests under way are cut off"),
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

async fn hand_on(
    client: TcpStream,
    (address, own): (SocketAddr, SocketAddr),
    tls: Option<&Tls>,
    run: PathBuf,
    mut stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    let _ = client.set_nodelay(true);
    let (client, mark) = tls::accept(client, tls, HANDSHAKE_PATIENCE).await?;
    let mut client = Watched::new(client);
    let found = tokio::task::spawn_blocking(move || find(&run, NAME)).await.map_err(io::Error::other)?;
    let connected = match found {
        Ok(path) => UnixStream::connect(path).await,
        Err(error) => Err(error),
    };
    let Ok(mut node) = connected else { return refuse(&mut client).await };
    node.write_all(line_of(address, own, mark.as_ref()).as_bytes()).await?;
    let traffic = client.traffic();
    let quiet = async {
        // An error means that the front is gone.
        drop(stopping.wait_for(|stopping| *stopping).await);
        traffic.quiet(SILENCE).await;
    };
    tokio::select! {
        copied = copy_bidirectional(&mut client, &mut node) => copied.map(drop),
        () = quiet => Ok(()),
    }
}

async fn refuse(client: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    // An answer before the request was read would be lost with the connection.
    let mut head = vec![0; HEAD_BYTES_MAX];
    let mut read = 0;
    while let Some(room) = head.get_mut(read..).filter(|room| !room.is_empty()) {
        match tokio::time::timeout(HEAD_PATIENCE, client.read(room)).await {
            Ok(Ok(count)) if count > 0 => read += count,
            _ => break,
        }
        if head.get(..read).is_some_and(|seen| seen.windows(4).any(|end| end == b"\r\n\r\n")) {
            break;
        }
    }
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nRetry-After: 5\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n\
         X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{NO_NODE}",
        NO_NODE.len(),
    );
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await
}
