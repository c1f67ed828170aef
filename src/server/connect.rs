//! From an accepted socket to a connection: its place among those of its client, its options, and the handshake of TLS where there is a
//! certificate.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use actix_http::body::MessageBody as _;
use actix_http::error::DispatchError;
use actix_rt::net::TcpStream;
use actix_service::{ServiceFactory, fn_service};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::connection::{Connection, Patience};
use crate::node::Node;
use crate::s3::error::ErrorCode;
use crate::s3::respond::{Asked, RequestId, add_common_headers, error_response};
use crate::tls::{self, Socket, Tls};

/// What makes connections of sockets, with the handshake of TLS where there is a certificate. It runs in the connection's own task, so
/// that others are accepted meanwhile; a stop does not wait for it.
pub(super) fn connections(
    node: Arc<Node>,
    patience: Patience,
    tls: Option<Tls>,
) -> impl ServiceFactory<
    TcpStream,
    Config = (),
    Response = (Connection<Socket>, Option<SocketAddr>),
    Error = DispatchError,
    InitError = (),
> {
    fn_service(move |socket: TcpStream| {
        let (node, tls, mut draining) = (Arc::clone(&node), tls.clone(), node.stopping.subscribe());
        async move {
            tokio::select! {
                connected = connect(&node, socket, patience, tls.as_ref()) => connected.map_err(DispatchError::Io),
                _ = draining.wait_for(|draining| *draining) => Err(DispatchError::Io(io::ErrorKind::ConnectionAborted.into())),
            }
        }
    })
}

async fn connect(
    node: &Node,
    socket: TcpStream,
    patience: Patience,
    tls: Option<&Tls>,
) -> io::Result<(Connection<Socket>, Option<SocketAddr>)> {
    let peer = socket.peer_addr().ok();
    let place = peer.map(|peer| node.connections.admit(peer.ip()));
    if let Some(None) = place {
        tracing::debug!(?peer, "its address has as many connections as it may");
        if tls.is_none() {
            refuse(node, &socket);
        }
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    // Without it small answers wait for the client's acknowledgement; failing only costs time.
    let _ = socket.set_nodelay(true);
    // A client that is gone, or takes nothing of what the system holds ready for it.
    let stalled_ms = u32::try_from(patience.answer.as_millis()).unwrap_or(u32::MAX);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&socket, stalled_ms);
    let accepted = tls::accept(socket, tls, patience.head).await;
    let (socket, mark) = accepted.inspect_err(|error| tracing::debug!(?peer, %error, "a handshake came to nothing"))?;
    Ok((Connection::new(socket, patience).sealed(mark).placed(place.flatten()), peer))
}

/// Tells a client of plain HTTP why it is not served, as far as that takes no waiting: who is refused must not cost more than that.
fn refuse(node: &Node, socket: &TcpStream) {
    let asked = Asked {
        request_id: RequestId::random(),
        host_id: &node.host_id,
        resource: "/",
        is_head: false,
        as_json: false,
    };
    let mut response = error_response(&ErrorCode::SlowDown.into(), asked);
    add_common_headers(response.headers_mut(), asked.request_id, &node.host_id);
    let (head, body) = response.into_parts();
    let body = body.try_into_bytes().unwrap_or_default();
    let mut answer = format!("HTTP/1.1 {}\r\nConnection: close\r\nContent-Length: {}\r\n", head.status(), body.len());
    for (name, value) in head.headers() {
        answer.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap_or_default()));
    }
    answer.push_str("\r\n");
    // A request that is left unread makes the system reset the connection, which takes the answer along.
    let mut unread = [0; 4096];
    let _ = recv(socket, &mut unread, RecvFlags::DONTWAIT);
    let _ = send(socket, &[answer.as_bytes(), &body].concat(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}
