//! The Storage actor: the one way by which state changes. It hands mutations to the committer and answers when they are
//! durable; a requester that goes away does not undo its commit.

use std::sync::Arc;

use actix::{Actor, Context, Handler, Message, ResponseFuture};
use crossbeam_channel::TrySendError;

use super::StorageError;
use super::committer::Proposal;
use super::engine::Engine;
use super::messages::Origin;
use super::plan::Mutation;

/// Owner of buckets, objects and uploads.
#[derive(Debug)]
pub struct StorageActor {
    engine: Option<Engine>,
}

impl StorageActor {
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine: Some(engine) }
    }
}

impl Actor for StorageActor {
    type Context = Context<Self>;
}

/// Commits a mutation. Errs: whatever its rules refuse; Busy when too many wait; Unavailable when the journal failed.
pub(super) struct Commit<M> {
    pub mutation: M,
    /// Who asks; none is the node itself.
    pub origin: Option<Arc<Origin>>,
}

impl<M: Mutation> Message for Commit<M> {
    type Result = Result<M::Output, StorageError>;
}

impl<M: Mutation> Handler<Commit<M>> for StorageActor {
    type Result = ResponseFuture<Result<M::Output, StorageError>>;

    fn handle(&mut self, message: Commit<M>, _: &mut Self::Context) -> Self::Result {
        let stopped = || StorageError::Unavailable { reason: "the node is stopping".to_owned() };
        let (proposal, answer) = Proposal::new(message.mutation, message.origin);
        let sent = match &self.engine {
            Some(engine) => engine.proposals().try_send(proposal).map_err(|e| match e {
                TrySendError::Full(_) => StorageError::Busy,
                TrySendError::Disconnected(_) => stopped(),
            }),
            None => Err(stopped()),
        };
        Box::pin(async move {
            sent?;
            answer.await.unwrap_or_else(|_| Err(stopped()))
        })
    }
}

/// Lets everything under way be committed, seals index and files, and ends. Later commits are refused.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), StorageError>")]
pub(super) struct Stop;

impl Handler<Stop> for StorageActor {
    type Result = ResponseFuture<Result<(), StorageError>>;

    fn handle(&mut self, _: Stop, _: &mut Self::Context) -> Self::Result {
        let engine = self.engine.take();
        Box::pin(async move {
            if let Some(engine) = engine {
                let stopped = tokio::task::spawn_blocking(|| engine.stop()).await;
                stopped.map_err(|e| StorageError::Unavailable { reason: e.to_string() })?;
            }
            Ok(())
        })
    }
}
