//! The admin socket: the API for the node's own commands, whose caller is the node's administrator.
//!
//! Whoever may connect may open the data directory, so no other credentials are asked for: each request carries the key of this
//! run ([`OwnKey`](crate::s3::authorize::OwnKey)) and takes the way of any other, so that it is audited and refused like any other.
//! The same service answers a command that had to start the node for itself.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_service::{Service as _, ServiceFactory as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::connection::Connection;
use crate::node::Node;
use crate::private_socket::PrivateSocket;
use crate::server::{ServerSettings, own_requests};

/// Name of the socket in `run`.
pub const NAME: &str = "admin.sock";
/// Commands at once; further ones wait.
const CONNECTIONS_MAX: u16 = 16;
/// How long to wait after a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket that is served. Dropping it ends that.
#[derive(Debug)]
pub struct AdminSocket {
    serving: JoinHandle<()>,
    places: Arc<Semaphore>,
    socket: PrivateSocket,
}

impl AdminSocket {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.socket.path()
    }

    /// Lets in nobody else, and waits until whoever is in has an answer.
    pub async fn drain(&self) {
        self.serving.abort();
        // An error means that there are no places any more.
        let _all = self.places.acquire_many(CONNECTIONS_MAX.into()).await;
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Serves the socket on the current thread. A socket that cannot be made is no reason not to run.
pub fn listen(node: &Arc<Node>, settings: &ServerSettings, run: &Path) -> Option<AdminSocket> {
    match try_listen(node, settings, run) {
        Ok(socket) => Some(socket),
        Err(error) => {
            tracing::warn!(%error, "there is no admin socket: commands work only while the node is stopped");
            None
        }
    }
}

fn try_listen(node: &Arc<Node>, settings: &ServerSettings, run: &Path) -> io::Result<AdminSocket> {
    let (listener, socket) = PrivateSocket::bind(run, NAME)?;
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    tracing::debug!(path = %socket.path().display(), "the admin socket");
    let (node, settings) = (Arc::clone(node), settings.clone());
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX.into()));
    let free = Arc::clone(&places);
    let serving = tokio::task::spawn_local(async move {
        loop {
            let Ok(place) = Arc::clone(&free).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (node, settings) = (Arc::clone(&node), settings.clone());
                    tokio::task::spawn_local(async move {
                        serve(&node, &settings, stream).await;
                        drop(place);
                    });
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    });
    Ok(AdminSocket { serving, places, socket })
}

/// Serves one connection until it ends.
pub async fn serve(node: &Arc<Node>, settings: &ServerSettings, stream: UnixStream) {
    let patience = settings.patience(node);
    let Ok(service) = own_requests(node, settings).new_service(()).await else { return };
    let ended = service.call((Connection::new(stream, patience), None)).await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a command's connection ended early");
    }
}
