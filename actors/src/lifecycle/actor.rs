//! The Lifecycle actor: wakes the worker, and tells when it is done. The work itself is a task beside it.

use std::sync::Arc;

use actix::{Actor, Context, Handler, ResponseFuture};

use super::messages::{LifecycleError, Look, LookThrough, Stop};
use super::worker::{Signals, Worker};

/// Owner of the task that removes what is due.
#[derive(Debug)]
pub struct LifecycleActor {
    signals: Arc<Signals>,
    /// Taken when it starts.
    worker: Option<Worker>,
}

impl LifecycleActor {
    pub(super) fn new(worker: Worker) -> Self {
        Self { signals: Arc::clone(&worker.signals), worker: Some(worker) }
    }
}

impl Actor for LifecycleActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        if let Some(worker) = self.worker.take() {
            actix::spawn(worker.run());
        }
    }
}

impl Handler<Look> for LifecycleActor {
    type Result = Result<(), LifecycleError>;

    fn handle(&mut self, _: Look, _: &mut Self::Context) -> Self::Result {
        self.signals.ask();
        Ok(())
    }
}

impl Handler<LookThrough> for LifecycleActor {
    type Result = ResponseFuture<Result<(), LifecycleError>>;

    fn handle(&mut self, _: LookThrough, _: &mut Self::Context) -> Self::Result {
        let signals = Arc::clone(&self.signals);
        let asked = signals.ask();
        Box::pin(async move { signals.done(asked).await })
    }
}

impl Handler<Stop> for LifecycleActor {
    type Result = ResponseFuture<Result<(), LifecycleError>>;

    fn handle(&mut self, _: Stop, _: &mut Self::Context) -> Self::Result {
        let signals = Arc::clone(&self.signals);
        Box::pin(async move {
            signals.stop().await;
            Ok(())
        })
    }
}
