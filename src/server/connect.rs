//! From an accepted socket to a connection: its options, and the handshake of TLS where there is a certificate.

use std::io;
use std::net::SocketAddr;

use actix_http::error::DispatchError;
use actix_rt::net::TcpStream;
use actix_service::{ServiceFactory, fn_service};
use tokio::sync::watch;

use crate::connection::{Connection, Patience};
use crate::tls::{self, Socket, Tls};

/// What makes connections of sockets, with the handshake of TLS where there is a certificate. It runs in the connection's own task, so
/// that others are accepted meanwhile; a stop does not wait for it.
pub(super) fn connections(
    patience: Patience,
    tls: Option<Tls>,
    draining: watch::Sender<bool>,
) -> impl ServiceFactory<
    TcpStream,
    Config = (),
    Response = (Connection<Socket>, Option<SocketAddr>),
    Error = DispatchError,
    InitError = (),
> {
    fn_service(move |socket: TcpStream| {
        let (tls, mut draining) = (tls.clone(), draining.subscribe());
        async move {
            tokio::select! {
                connected = connect(socket, patience, tls.as_ref()) => connected.map_err(DispatchError::Io),
                _ = draining.wait_for(|draining| *draining) => Err(DispatchError::Io(io::ErrorKind::ConnectionAborted.into())),
            }
        }
    })
}

async fn connect(
    socket: TcpStream,
    patience: Patience,
    tls: Option<&Tls>,
) -> io::Result<(Connection<Socket>, Option<SocketAddr>)> {
    // Without it small answers wait for the client's acknowledgement; failing only costs time.
    let _ = socket.set_nodelay(true);
    // A client that is gone, or takes nothing of what the system holds ready for it.
    let stalled_ms = u32::try_from(patience.answer.as_millis()).unwrap_or(u32::MAX);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&socket, stalled_ms);
    let peer = socket.peer_addr().ok();
    let accepted = tls::accept(socket, tls, patience.head).await;
    let (socket, mark) = accepted.inspect_err(|error| tracing::debug!(?peer, %error, "a handshake came to nothing"))?;
    Ok((Connection::new(socket, patience).sealed(mark), peer))
}
