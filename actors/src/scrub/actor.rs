//! The Scrub actor: takes orders; the work itself is a task beside it.

use std::sync::Arc;

use actix::{Actor, Context, Handler, ResponseFuture};

use super::messages::{Begin, Cancel, ScrubError, Stop};
use super::report::ScrubRun;
use super::worker::{Desk, Worker};

/// Owner of the task.
#[derive(Debug)]
pub struct ScrubActor {
    desk: Arc<Desk>,
    /// Taken when it starts.
    worker: Option<Worker>,
}

impl ScrubActor {
    pub(super) fn new(worker: Worker) -> Self {
        Self { desk: Arc::clone(&worker.desk), worker: Some(worker) }
    }
}

impl Actor for ScrubActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        if let Some(worker) = self.worker.take() {
            actix::spawn(worker.run());
        }
    }
}

impl Handler<Begin> for ScrubActor {
    type Result = ResponseFuture<Result<ScrubRun, ScrubError>>;

    fn handle(&mut self, Begin(order): Begin, _: &mut Self::Context) -> Self::Result {
        let desk = Arc::clone(&self.desk);
        Box::pin(async move { desk.begin(order).await })
    }
}

impl Handler<Cancel> for ScrubActor {
    type Result = ResponseFuture<Result<ScrubRun, ScrubError>>;

    fn handle(&mut self, _: Cancel, _: &mut Self::Context) -> Self::Result {
        let desk = Arc::clone(&self.desk);
        Box::pin(async move { desk.cancel().await })
    }
}

impl Handler<Stop> for ScrubActor {
    type Result = ResponseFuture<Result<(), ScrubError>>;

    fn handle(&mut self, _: Stop, _: &mut Self::Context) -> Self::Result {
        let desk = Arc::clone(&self.desk);
        Box::pin(async move {
            desk.stop().await;
            Ok(())
        })
    }
}
