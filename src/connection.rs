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

/// Bytes of a head, and what came with it, that the HTTP layer may read before it looks at them. A request's headers keep the
/// whole buffer that they were read into as long as the request lives; it begins with 8 KiB, and doubles when less than 1 KiB is free.
const HEAD_UNSEEN_MAX: usize = 7 << 10;
/// The same of a body: a connection keeps its buffer until it is closed, and would make it 256 KiB long.
const BODY_UNSEEN_MAX: usize = 60 << 10;

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

    /// Bytes that the HTTP layer may read before it looks at them.
    fn unseen_max(&self) -> usize {
        match self.0.get() {
            Turn::Idle | Turn::Head(_) => HEAD_UNSEEN_MAX,
            Turn::Request => BODY_UNSEEN_MAX,
        }
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
    /// Bytes that were read since the HTTP layer last looked at what there is.
    unseen: usize,
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
            unseen: 0,
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
        if this.unseen >= this.phase.unseen_max() {
            // The HTTP layer looks at what it has once nothing more is to be had.
            this.unseen = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.socket).poll_read(context, buffer);
        let arrived = buffer.filled().len() - before;
        this.unseen = if read.is_pending() { 0 } else { this.unseen + arrived };
        if arrived > 0 {
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
    use std::future::poll_fn;

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

    const PIECE: usize = 4096;

    /// Bytes that are read before the HTTP layer gets to look at them, of so many that are there.
    async fn unseen(connection: &mut Connection<DuplexStream>, there: usize) -> usize {
        let mut bytes = vec![0; there];
        let mut buffer = ReadBuf::new(&mut bytes);
        poll_fn(|context| {
            // As the HTTP layer's buffer offers it.
            while buffer.remaining() > 0 {
                let mut piece = [0; PIECE];
                let mut room = ReadBuf::new(&mut piece[..PIECE.min(buffer.remaining())]);
                if Pin::new(&mut *connection).poll_read(context, &mut room).is_pending() {
                    break;
                }
                buffer.put_slice(room.filled());
            }
            Poll::Ready(buffer.filled().len())
        })
        .await
    }

    #[actix_rt::test]
    async fn the_http_layer_looks_at_what_it_has_before_its_buffer_grows() {
        let (server, mut client) = duplex(1 << 20);
        let mut connection = Connection::new(server, Patience { head: LONG, answer: LONG });
        client.write_all(&vec![7; 1 << 19]).await.unwrap();
        let head = unseen(&mut connection, 1 << 18).await;
        assert!((HEAD_UNSEEN_MAX..HEAD_UNSEEN_MAX + PIECE).contains(&head), "{head}");
        let serving = connection.phase().serve();
        assert_eq!(unseen(&mut connection, 1 << 18).await, BODY_UNSEEN_MAX);
        assert_eq!(unseen(&mut connection, 1 << 18).await, BODY_UNSEEN_MAX, "it goes on");
        drop(serving);
        assert_eq!(unseen(&mut connection, 5000).await, 5000);
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
