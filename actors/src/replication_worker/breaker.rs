//! Whether a connection may be used: not while its target is away, or asked to be left alone. Pure.
//!
//! A few failures in a row open it. Then, after waits that grow, one request asks whether the target is back; until it is, nothing is
//! sent, and what waits is none the worse for it.

use std::time::Duration;

use super::retry::{RETRY_AFTER_MAX, Retry, Waits};
use crate::names::Stamp;

/// Failures in a row that open it.
const FAILURES_MAX: u32 = 4;
/// Waits between probes.
const WAITS: Waits = Waits { first: Duration::from_secs(1), longest: Duration::from_secs(30) };

/// What a connection may be used for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Anything.
    Free,
    /// Nothing before this time.
    Closed(Stamp),
    /// One probe, by whoever was told this.
    Probe,
    /// Nothing: somebody probes.
    Probing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    Until(Stamp),
    Probing,
}

/// The breaker of one connection.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    /// Failures in a row while it was free.
    failures: u32,
    retry: Retry,
    reason: Option<String>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: State::Free, failures: 0, retry: Retry::new(WAITS), reason: None }
    }
}

impl Breaker {
    /// What may be done now. Who is told to probe must tell how it went.
    pub fn ask(&mut self, now: Stamp) -> Use {
        match self.state {
            State::Free => Use::Free,
            State::Probing => Use::Probing,
            State::Until(until) if until > now => Use::Closed(until),
            State::Until(_) => {
                self.state = State::Probing;
                Use::Probe
            }
        }
    }

    /// The target answered, whatever it said.
    pub fn answered(&mut self) {
        self.failures = 0;
        // What was sent before it went away may be answered late: then it is back.
        self.retry.reset();
        (self.state, self.reason) = (State::Free, None);
    }

    /// The target could not be reached.
    pub fn unreachable(&mut self, reason: &str, now: Stamp) {
        self.failures = self.failures.saturating_add(1);
        let opens = match self.state {
            State::Free => self.failures >= FAILURES_MAX,
            State::Probing => true,
            // Sent before it was opened: it tells nothing new.
            State::Until(_) => false,
        };
        if opens {
            let wait = self.retry.failed(None);
            self.reason = Some(reason.to_owned());
            self.state = State::Until(after(now, wait));
        }
    }

    /// The target asks to be left alone.
    pub fn throttled(&mut self, retry_after: Option<Duration>, reason: &str, now: Stamp) {
        let until = match self.state {
            State::Free | State::Probing => after(now, self.retry.failed(retry_after)),
            // Sent before it was opened: of what is asked for, the longest wait counts.
            State::Until(already) => already.max(after(now, retry_after.unwrap_or_default().min(RETRY_AFTER_MAX))),
        };
        self.reason = Some(reason.to_owned());
        self.state = State::Until(until);
    }

    /// A probe was given up before it told anything.
    pub fn unasked(&mut self, now: Stamp) {
        if self.state == State::Probing {
            self.state = State::Until(now);
        }
    }

    /// Why it is not free; none while it is.
    pub fn trouble(&self) -> Option<(String, Option<Stamp>)> {
        let reason = self.reason.clone().unwrap_or_default();
        match self.state {
            State::Free => None,
            State::Until(until) => Some((reason, Some(until))),
            State::Probing => Some((reason, None)),
        }
    }

    /// Somebody has reason to believe that it is worth a try.
    pub fn hurry(&mut self, now: Stamp) {
        if matches!(self.state, State::Until(_)) {
            self.retry.reset();
            self.state = State::Until(now);
        }
    }
}

fn after(now: Stamp, wait: Duration) -> Stamp {
    Stamp(now.0.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn it_opens_probes_and_closes() {
        let mut breaker = Breaker::default();
        for _ in 1..FAILURES_MAX {
            breaker.unreachable("refused", Stamp(0));
            assert_eq!(breaker.ask(Stamp(0)), Use::Free);
        }
        breaker.answered();
        for _ in 0..FAILURES_MAX {
            assert_eq!(breaker.ask(Stamp(0)), Use::Free);
            breaker.unreachable("refused", Stamp(0));
        }
        let Use::Closed(until) = breaker.ask(Stamp(0)) else { panic!() };
        assert!((SECOND / 2..=2 * SECOND).contains(&until.0));
        assert_eq!(breaker.trouble(), Some(("refused".to_owned(), Some(until))));
        breaker.unreachable("late", Stamp(0));
        assert_eq!(breaker.ask(Stamp(0)), Use::Closed(until), "it was sent before");
        assert_eq!([breaker.ask(until), breaker.ask(until)], [Use::Probe, Use::Probing]);
        breaker.unreachable("still", until);
        let Use::Closed(later) = breaker.ask(until) else { panic!() };
        assert!(later.0 - until.0 >= SECOND - 1);
        assert_eq!(breaker.ask(later), Use::Probe);
        breaker.unasked(later);
        assert_eq!(breaker.ask(later), Use::Probe);
        breaker.answered();
        assert_eq!((breaker.ask(later), breaker.trouble()), (Use::Free, None));
    }

    #[test]
    fn it_leaves_alone_who_asks_for_it() {
        let mut breaker = Breaker::default();
        breaker.throttled(Some(Duration::from_secs(20)), "503", Stamp(0));
        for _ in 0..20 {
            breaker.throttled(None, "503", Stamp(0));
        }
        assert_eq!(breaker.ask(Stamp(0)), Use::Closed(Stamp(20 * SECOND)), "many that were under way are one failure");
        breaker.hurry(Stamp(5));
        assert_eq!(breaker.ask(Stamp(5)), Use::Probe);
    }
}
