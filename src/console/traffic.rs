//! Whether a request is under way on a connection of which no more is known than its bytes.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep};

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What went last over a connection.
#[derive(Debug, Clone)]
pub struct Traffic(Rc<Cell<Last>>);

#[derive(Debug, Clone, Copy)]
enum Last {
    /// The client has sent something, or does not take what is ready for it.
    Waits,
    /// It has taken bytes of an answer, or has not begun.
    Answered(Instant),
}

impl Traffic {
    /// Waits until the client waits for nothing: an answer is taken for whole when nothing came behind it for that long.
    pub async fn quiet(&self, silence: Duration) {
        while !matches!(self.0.get(), Last::Answered(at) if at.elapsed() >= silence) {
            sleep(LOOK).await;
        }
    }
}

/// A client's connection whose bytes are watched.
#[derive(Debug)]
pub struct Watched<S> {
    socket: S,
    traffic: Traffic,
}

impl<S> Watched<S> {
    /// One on which nothing went yet.
    pub fn new(socket: S) -> Self {
        Self { socket, traffic: Traffic(Rc::new(Cell::new(Last::Answered(Instant::now())))) }
    }

    /// What goes over it.
    pub fn traffic(&self) -> Traffic {
        self.traffic.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.socket).poll_read(context, buffer);
        if buffer.filled().len() > before {
            this.traffic.0.set(Last::Waits);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write(context, bytes);
        let last = if written.is_pending() { Last::Waits } else { Last::Answered(Instant::now()) };
        this.traffic.0.set(last);
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::timeout;

    use super::*;

    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(10);

    #[actix_rt::test]
    async fn a_client_waits_from_its_request_to_the_end_of_the_answer() {
        let (socket, mut client) = duplex(8);
        let mut watched = Watched::new(socket);
        let traffic = watched.traffic();
        timeout(LONG, traffic.quiet(SHORT)).await.unwrap();
        client.write_all(b"asks").await.unwrap();
        watched.read_exact(&mut [0; 4]).await.unwrap();
        assert!(timeout(3 * SHORT, traffic.quiet(SHORT)).await.is_err(), "it waits for its answer");
        // More than there is room for, which the client does not take.
        assert!(timeout(SHORT, watched.write_all(&[0; 12])).await.is_err());
        assert!(timeout(3 * SHORT, traffic.quiet(SHORT)).await.is_err(), "it takes its time");
        client.read_exact(&mut [0; 8]).await.unwrap();
        watched.write_all(&[0; 4]).await.unwrap();
        timeout(LONG, traffic.quiet(SHORT)).await.unwrap();
    }
}
