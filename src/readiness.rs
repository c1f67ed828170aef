//! Tells the service manager when the node is ready, and when it stops (systemd, sd_notify(3)): what depends on the node then starts
//! when it answers, not when its process is there.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Requests are answered.
    Ready,
    /// The node drains and ends.
    Stopping,
}

/// Tells it where `NOTIFY_SOCKET` names somebody who wants to know. Who cannot be told is no reason not to run.
pub fn tell(state: State) {
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET")
        && let Err(error) = send(&socket, state)
    {
        tracing::warn!(%error, "the service manager could not be told: {state:?}");
    }
}

fn send(socket: &OsStr, state: State) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let text: &[u8] = match state {
        State::Ready => b"READY=1",
        State::Stopping => b"STOPPING=1",
    };
    UnixDatagram::unbound()?.send_to_addr(text, &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_sockets_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("myfsio-test-{}", std::process::id());
        let of_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let of_path = UnixDatagram::bind(&path).unwrap();
        let mut told = [0; 32];
        for (listener, socket) in [(of_path, path.into_os_string()), (of_name, format!("@{name}").into())] {
            for (state, text) in [(State::Ready, "READY=1"), (State::Stopping, "STOPPING=1")] {
                send(&socket, state).unwrap();
                let length = listener.recv(&mut told).unwrap();
                assert_eq!(std::str::from_utf8(&told[..length]), Ok(text));
            }
        }
        assert!(send(OsStr::new("/nobody/there"), State::Ready).is_err());
        assert!(send(OsStr::new(""), State::Ready).is_err());
    }
}
