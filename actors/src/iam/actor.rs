//! The single writer of `iam.json`.

use std::sync::Arc;

use actix::{Actor, Context, Handler};
use serde_json::Value;

use super::audit;
use super::directory::{Directory, IamFile};
use super::document;
use super::error::IamError;
use super::last_administrator::NOBODY_LEFT;
use super::messages::{Change, Draft, IamChange, Reload};
use crate::clock::SharedClock;
use crate::json_store::{JsonStore, Version};

/// Owns the users.
#[derive(Debug)]
pub struct Iam {
    store: JsonStore<IamFile>,
    clock: SharedClock,
}

impl Iam {
    pub(super) fn new(store: JsonStore<IamFile>, clock: SharedClock) -> Self {
        Self { store, clock }
    }

    /// Writes the ids of users that have none, and seals anew what stands under a previous key. The node can serve
    /// without, so a file that cannot be written is only reported.
    pub(super) fn tidy(&mut self) {
        let sealer = self.store.schema().sealer.clone();
        let tidied: Result<(), IamError> = self.store.edit(self.clock.now(), |file| document::tidy(file, &sealer));
        if let Err(error) = tidied {
            tracing::error!("user ids cannot be written back: {error}");
        }
        self.warn();
    }

    fn warn(&self) {
        let published = self.store.snapshot().load_full();
        for warning in published.state.warnings() {
            tracing::warn!("iam: {warning}");
        }
        if let Some(access_key) = published.state.well_known_key() {
            tracing::warn!(
                "iam: access key {access_key} has the well-known secret; rotate it before others reach this node"
            );
        }
    }

    fn reload(&mut self) {
        let snapshot = self.store.snapshot();
        let before = snapshot.load_full();
        self.store.reload(self.clock.now());
        let after = snapshot.load_full();
        if !Arc::ptr_eq(&before.state, &after.state) {
            self.tidy();
        }
    }

    /// Changes the file. What people typed since is kept: its secrets are sealed, and its users get their ids before a change
    /// takes away what those follow from.
    fn change<M: IamChange>(&mut self, change: &Change<M>) -> Result<M::Answer, IamError> {
        let (now, sealer, snapshot) = (self.clock.now(), self.store.schema().sealer.clone(), self.store.snapshot());
        let mut changed = String::new();
        let keeps = |before: &Directory, after: &Directory| match change.is_forced
            || after.administered(now) >= before.administered(now)
        {
            true => Ok(()),
            false => Err(IamError::DeleteConflict(NOBODY_LEFT)),
        };
        let edit = |document: &mut Value| {
            document::fill_in_ids(document)?;
            let published = snapshot.load();
            let mut draft =
                Draft { document, directory: &published.state, now, sealer: &sealer, target: String::new() };
            let answer = change.message.apply(&mut draft)?;
            let Draft { document, target, .. } = draft;
            document::seal_plain(document, &sealer)?;
            document::fill_in_ids(document)?;
            changed = target;
            Ok::<_, IamError>(answer)
        };
        let edited = self.store.edit_if(now, edit, keeps)?;
        if let Some((document, state)) = &edited.before {
            let (before, present) = (Version { document, state: &**state }, snapshot.load());
            let after = Version { document: self.store.document(), state: &*present.state };
            let (by, action) = (&change.by, change.message.action());
            let entries = match change.message.tells_each() {
                true => audit::of_each(&before, &after, &sealer, now, by),
                false => audit::of_change(&before, &after, &sealer, now, by, action, changed).into_iter().collect(),
            };
            self.store.schema().audit.record_blocking(entries);
        }
        Ok(edited.answer)
    }
}

impl Actor for Iam {
    type Context = Context<Self>;
}

impl Handler<Reload> for Iam {
    type Result = Result<(), IamError>;

    fn handle(&mut self, _: Reload, _: &mut Self::Context) -> Self::Result {
        self.reload();
        Ok(())
    }
}

impl<M: IamChange> Handler<Change<M>> for Iam {
    type Result = Result<M::Answer, IamError>;

    fn handle(&mut self, change: Change<M>, _: &mut Self::Context) -> Self::Result {
        self.change(&change)
    }
}
