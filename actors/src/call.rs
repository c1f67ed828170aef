//! How a message reaches an actor: with a permit and a deadline, or not at all.
//!
//! actix's mailbox is no bound (a full one still takes one message per sender) and its `.timeout()` counts only once the
//! message is queued, so both limits stand here, around the whole call. A call that times out may still be carried out:
//! commits run detached from whoever asked for them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, MailboxError, Message};
use tokio::sync::Semaphore;

/// Why a call brought no answer of the actor's own, or the actor's refusal.
#[derive(Debug, thiserror::Error)]
pub enum CallError<E> {
    /// All permits are taken: overloaded, try again later.
    #[error("overloaded: too many calls are waiting")]
    Busy,
    /// The actor has stopped.
    #[error("the service has stopped")]
    Stopped,
    /// No answer within the deadline; the work may still be done.
    #[error("no answer within the deadline")]
    TimedOut,
    /// The actor answered with a refusal.
    #[error(transparent)]
    Refused(E),
}

/// The door to one actor: an address, a bounded number of calls under way, and a deadline for each.
pub struct Door<A: Actor> {
    address: Addr<A>,
    permits: Arc<Semaphore>,
    calls_max: usize,
    deadline: Duration,
}

impl<A: Actor> Clone for Door<A> {
    fn clone(&self) -> Self {
        Self {
            address: self.address.clone(),
            permits: Arc::clone(&self.permits),
            calls_max: self.calls_max,
            deadline: self.deadline,
        }
    }
}

impl<A: Actor> fmt::Debug for Door<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("free", &self.permits.available_permits()).finish_non_exhaustive()
    }
}

impl<A: Actor> Door<A> {
    /// A door that lets `calls_max` calls be under way at once, each for at most `deadline`.
    pub fn new(address: Addr<A>, calls_max: usize, deadline: Duration) -> Self {
        Self { address, permits: Arc::new(Semaphore::new(calls_max)), calls_max, deadline }
    }

    /// Calls that wait for the actor, or for its answer.
    pub fn calls(&self) -> usize {
        self.calls_max.saturating_sub(self.permits.available_permits())
    }

    /// Sends `message` and waits for its result. Errs: Busy at once when no permit is free.
    pub async fn call<M, T, E>(&self, message: M) -> Result<T, CallError<E>>
    where
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message<Result = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let Ok(_permit) = self.permits.try_acquire() else {
            return Err(CallError::Busy);
        };
        match tokio::time::timeout(self.deadline, self.address.send(message)).await {
            Err(_) => Err(CallError::TimedOut),
            Ok(Err(MailboxError::Closed)) => Err(CallError::Stopped),
            Ok(Err(MailboxError::Timeout)) => Err(CallError::TimedOut),
            Ok(Ok(Err(refusal))) => Err(CallError::Refused(refusal)),
            Ok(Ok(Ok(answer))) => Ok(answer),
        }
    }
}
