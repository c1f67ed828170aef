//! Where the time of a request goes.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Runs from a request's head to the last byte of its answer.
#[derive(Debug)]
pub struct Stopwatch {
    began: Instant,
    authenticated: Cell<Option<Duration>>,
    authorised: Cell<Option<Duration>>,
    answered: Cell<Option<Duration>>,
    waited: Cell<Duration>,
}

impl Default for Stopwatch {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            authenticated: Cell::default(),
            authorised: Cell::default(),
            answered: Cell::default(),
            waited: Cell::default(),
        }
    }
}

impl Stopwatch {
    /// It is known who asks.
    pub fn authenticated(&self) {
        self.authenticated.set(Some(self.began.elapsed()));
    }

    /// It may go to its handler.
    pub fn authorised(&self) {
        self.authorised.set(Some(self.began.elapsed()));
    }

    /// The answer's head is there.
    pub fn answered(&self) {
        self.answered.set(Some(self.began.elapsed()));
    }

    /// So long bytes of the request's body were waited for.
    pub fn waited(&self, more: Duration) {
        self.waited.set(self.waited.get() + more);
    }

    /// The times, as of now.
    pub fn read(&self) -> Times {
        let total = self.began.elapsed();
        let answered = self.answered.get().unwrap_or(total);
        let authenticated = self.authenticated.get().unwrap_or(answered);
        let authorised = self.authorised.get().unwrap_or(answered).max(authenticated);
        let worked = answered.saturating_sub(authorised);
        let receive = self.waited.get().min(worked);
        Times {
            auth: authenticated,
            policy: authorised.saturating_sub(authenticated),
            receive,
            work: worked.saturating_sub(receive),
            send: total.saturating_sub(answered),
        }
    }
}

/// Where the time of a request went. They add up to all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// Reading the head, and finding out who asks.
    pub auth: Duration,
    /// Deciding whether it may.
    pub policy: Duration,
    /// Waiting for the client's body.
    pub receive: Duration,
    /// Index, disk and whatever else the answer took.
    pub work: Duration,
    /// Sending the answer's body.
    pub send: Duration,
}

impl Times {
    /// All of it.
    pub fn total(&self) -> Duration {
        self.to_answer() + self.send
    }

    /// Until the answer's head.
    pub fn to_answer(&self) -> Duration {
        self.auth + self.policy + self.receive + self.work
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_add_up() {
        let watch = Stopwatch::default();
        watch.authenticated();
        watch.authorised();
        watch.waited(Duration::from_secs(5));
        watch.answered();
        let times = watch.read();
        assert!(times.receive <= times.to_answer() && times.to_answer() <= times.total());
        assert!(times.total() <= watch.began.elapsed());
    }

    #[test]
    fn a_request_that_is_refused_at_once_has_nothing_but_its_beginning() {
        let watch = Stopwatch::default();
        watch.answered();
        let times = watch.read();
        assert_eq!((times.policy, times.receive, times.work), (Duration::ZERO, Duration::ZERO, Duration::ZERO));
    }
}
