//! The QuotaTracker actor: brings the quotas of users to Storage, one change after the other. Counting is a task beside it.

use std::sync::Arc;

use actix::{Actor, AtomicResponse, Context, Handler, ResponseFuture, WrapFuture as _};

use super::client::Shared;
use super::error::QuotaError;
use super::messages::{CountThrough, Stop, TakeUp};
use super::worker::{Signals, Worker};

/// Owner of which quotas there are.
#[derive(Debug)]
pub struct QuotaTracker {
    shared: Arc<Shared>,
    signals: Arc<Signals>,
    /// Taken when it starts.
    worker: Option<Worker>,
}

impl QuotaTracker {
    pub(super) fn new(shared: Arc<Shared>, worker: Worker) -> Self {
        Self { shared, signals: Arc::clone(&worker.signals), worker: Some(worker) }
    }
}

impl Actor for QuotaTracker {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        if let Some(worker) = self.worker.take() {
            actix::spawn(worker.run());
        }
    }
}

impl Handler<TakeUp> for QuotaTracker {
    /// One after the other: an older state of the users must not come to Storage behind a newer one.
    type Result = AtomicResponse<Self, Result<(), QuotaError>>;

    fn handle(&mut self, _: TakeUp, _: &mut Self::Context) -> Self::Result {
        let shared = Arc::clone(&self.shared);
        let taken = async move { shared.take_up().await };
        AtomicResponse::new(Box::pin(taken.into_actor(self)))
    }
}

impl Handler<CountThrough> for QuotaTracker {
    type Result = ResponseFuture<Result<(), QuotaError>>;

    fn handle(&mut self, _: CountThrough, _: &mut Self::Context) -> Self::Result {
        let signals = Arc::clone(&self.signals);
        let asked = signals.ask();
        Box::pin(async move { signals.done(asked).await })
    }
}

impl Handler<Stop> for QuotaTracker {
    type Result = ResponseFuture<Result<(), QuotaError>>;

    fn handle(&mut self, _: Stop, _: &mut Self::Context) -> Self::Result {
        let signals = Arc::clone(&self.signals);
        Box::pin(async move {
            signals.stop().await;
            Ok(())
        })
    }
}
