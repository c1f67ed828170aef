//! A client's connection, given up when the client is too slow in sending the head of a request or in taking its answer.
//!
//! The HTTP layer times only the first head of a connection, and no answer; bodies are timed where they are read
//! (`s3/body`). Timers are lazy: one that is armed already is not moved for every request, but looks again when it fires.

use std::cell::Cell;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::connections::Place;
use crate::s3::body::RATE_MIN;
use crate::tls::Mark;

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// To send the head of a request, from its first byte.
    pub head: Duration,
    /// To take what is ready for it, beyond the time that the lowest rate allows for the bytes it took.
    pub answer: Duration,
}

/// What a connection is about; shared with its requests, since only they know when a head has come to its end.
#[derive(Debug, Clone, Default)]
pub struct Phase(Rc<Cell<Turn>>);

#[derive(Debug, Clone, Copy, Default)]
enum Turn {
    /// Between requests.
    #[default]
    Idle,
    /// The head of a request is due since then.
    Head(Instant),
    /// A request is being served.
    Request,
}

impl Phase {
    /// The head of a request has arrived. The connection is between requests again when the guard is dropped.
    pub fn serve(&self) -> Serving {
        self.0.set(Turn::Request);
        Serving(self.clone())
    }
}

/// A request that is being served on a connection.
#[derive(Debug)]
pub struct Serving(Phase);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.0.set(Turn::Idle);
    }
}

/// A connection with its patience.
#[derive(Debug)]
pub struct Connection<S> {
    socket: S,
    patience: Patience,
    phase: Phase,
    mark: Option<Mark>,
    /// What it takes of its client's share.
    _place: Option<Place>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Bytes that the client took since the last request began.
    taken: u64,
    /// How long they were waited for, but for the wait under way.
    waited: Duration,
    /// Since when the client takes nothing.
    blocked: Option<Instant>,
}

impl<S> Connection<S> {
    /// A connection over `socket`.
    pub fn new(socket: S, patience: Patience) -> Self {
        let phase = Phase::default();
        Self {
            socket,
            patience,
            phase,
            mark: None,
            _place: None,
            timer: None,
            taken: 0,
            waited: Duration::ZERO,
            blocked: None,
        }
    }

    /// The same, which keeps a place as long as it is open.
    #[must_use]
    pub fn placed(self, place: Option<Place>) -> Self {
        Self { _place: place, ..self }
    }

    /// The same, of which it is known how it is sealed to the client.
    #[must_use]
    pub fn sealed(self, mark: Option<Mark>) -> Self {
        Self { mark, ..self }
    }

    /// How it is sealed to the client.
    pub fn mark(&self) -> Option<Mark> {
        self.mark.clone()
    }

    /// What its requests must know.
    pub fn phase(&self) -> Phase {
        self.phase.clone()
    }

    /// Bytes have arrived.
    fn note_arrival(&mut self) {
        if matches!(self.phase.0.get(), Turn::Idle) {
            self.phase.0.set(Turn::Head(Instant::now()));
            (self.taken, self.waited) = (0, Duration::ZERO);
        }
    }

    /// When the client, that takes nothing at present, is given up.
    fn answer_deadline(&mut self) -> Instant {
        let blocked = *self.blocked.get_or_insert_with(Instant::now);
        let allowed = self.patience.answer + Duration::from_secs(self.taken / RATE_MIN);
        blocked + allowed.saturating_sub(self.waited)
    }

    /// Whether `deadline` has passed; if not, the task is woken by then.
    fn is_past(&mut self, deadline: Instant, context: &mut Context<'_>) -> bool {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        loop {
            match timer.as_mut().poll(context) {
                Poll::Pending if timer.deadline() <= deadline => return false,
                Poll::Ready(()) if timer.deadline() >= deadline => return true,
                _ => timer.as_mut().reset(deadline),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.socket).poll_read(context, buffer);
        if buffer.filled().len() > before {
            this.note_arrival();
        }
        match (read, this.phase.0.get()) {
            // To the HTTP layer it is as if the client had gone.
            (Poll::Pending, Turn::Head(since)) if this.is_past(since + this.patience.head, context) => {
                Poll::Ready(Ok(()))
            }
            (read, _) => read,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write(context, bytes);
        match &written {
            Poll::Ready(Ok(count)) => {
                this.taken = this.taken.saturating_add(*count as u64);
                this.waited += this.blocked.take().map_or(Duration::ZERO, |since| since.elapsed());
            }
            Poll::Pending => {
                let deadline = this.answer_deadline();
                if this.is_past(deadline, context) {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
            Poll::Ready(Err(_)) => {}
        }
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::{sleep, timeout};

    use super::*;

    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(10);

    fn connection(head: Duration, answer: Duration) -> (Connection<DuplexStream>, DuplexStream) {
        let (server, client) = duplex(64);
        (Connection::new(server, Patience { head, answer }), client)
    }

    /// Sends or takes a byte every few milliseconds, for as long as the other side lives.
    async fn drip(mut client: DuplexStream) {
        while client.write_all(b"x").await.is_ok() {
            sleep(SHORT / 10).await;
        }
    }

    #[actix_rt::test]
    async fn every_head_is_timed_and_nothing_else() {
        let (mut connection, mut client) = connection(SHORT, LONG);
        let mut byte = [0];
        for _ in 0..2 {
            assert!(timeout(2 * SHORT, connection.read(&mut byte)).await.is_err(), "an idle client is not timed here");
            client.write_all(b"x").await.unwrap();
            assert_eq!(connection.read(&mut byte).await.unwrap(), 1);
            let serving = connection.phase().serve();
            assert!(timeout(2 * SHORT, connection.read(&mut byte)).await.is_err(), "nor is a body");
            drop(serving);
        }
        actix_rt::spawn(drip(client));
        let dripping = async { while connection.read(&mut byte).await.unwrap() > 0 {} };
        timeout(LONG, dripping).await.unwrap();
    }

    #[actix_rt::test]
    async fn a_client_that_takes_nothing_or_too_little_is_cut_off() {
        for takes in [false, true] {
            let (mut connection, mut client) = connection(LONG, SHORT);
            let taking = actix_rt::spawn(async move {
                while takes && client.read_u8().await.is_ok() {
                    sleep(SHORT / 10).await;
                }
                sleep(LONG).await;
            });
            let cut = timeout(LONG, connection.write_all(&[0; 4096])).await.unwrap();
            assert_eq!(cut.unwrap_err().kind(), io::ErrorKind::TimedOut);
            taking.abort();
        }
    }

    #[actix_rt::test]
    async fn a_client_that_takes_its_time_now_and_then_is_not() {
        let (mut connection, mut client) = connection(LONG, SHORT);
        actix_rt::spawn(async move {
            let mut taken = [0; 2048];
            while client.read_exact(&mut taken).await.is_ok() {
                sleep(2 * SHORT).await;
            }
        });
        timeout(LONG, connection.write_all(&[0; 20_000])).await.unwrap().unwrap();
    }
}
