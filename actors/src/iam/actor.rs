//! The single writer of `iam.json`.

use actix::{Actor, Context, Handler};

use super::directory::IamFile;
use super::error::IamError;
use super::messages::{CreateUser, DeleteUser, ListUsers, NewCredential, Reload, RotateKey, SetPolicies, UserSummary};
use super::users::{self, NewUser};
use crate::clock::SharedClock;
use crate::json_store::JsonStore;
use crate::seal::SecretKey;

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
        let tidied: Result<(), IamError> = self.store.edit(self.clock.now(), |file| users::tidy(file, &sealer));
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
        if !std::sync::Arc::ptr_eq(&before.state, &after.state) {
            self.tidy();
        }
    }

    fn create(&mut self, message: CreateUser) -> Result<NewCredential, IamError> {
        let user = NewUser::prepare(message)?;
        let (snapshot, sealer) = (self.store.snapshot(), self.store.schema().sealer.clone());
        self.store.edit(self.clock.now(), |file| user.add(file, &snapshot.load().state, &sealer))
    }

    fn delete(&mut self, message: &DeleteUser) -> Result<UserSummary, IamError> {
        let snapshot = self.store.snapshot();
        self.store.edit(self.clock.now(), |file| users::delete(file, &snapshot.load().state, &message.user))
    }

    fn rotate(&mut self, message: &RotateKey) -> Result<NewCredential, IamError> {
        let secret = SecretKey::random()?;
        let (snapshot, sealer) = (self.store.snapshot(), self.store.schema().sealer.clone());
        self.store
            .edit(self.clock.now(), |file| users::rotate(file, &snapshot.load().state, &message.user, &secret, &sealer))
    }

    fn set_policies(&mut self, message: &SetPolicies) -> Result<(), IamError> {
        users::check_policies(&message.policies)?;
        let snapshot = self.store.snapshot();
        self.store.edit(self.clock.now(), |file| {
            users::set_policies(file, &snapshot.load().state, &message.user, &message.policies)
        })
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

impl Handler<ListUsers> for Iam {
    type Result = Result<Vec<UserSummary>, IamError>;

    fn handle(&mut self, _: ListUsers, _: &mut Self::Context) -> Self::Result {
        self.reload();
        Ok(self.store.snapshot().load().state.users().to_vec())
    }
}

impl Handler<CreateUser> for Iam {
    type Result = Result<NewCredential, IamError>;

    fn handle(&mut self, message: CreateUser, _: &mut Self::Context) -> Self::Result {
        self.create(message)
    }
}

impl Handler<DeleteUser> for Iam {
    type Result = Result<UserSummary, IamError>;

    fn handle(&mut self, message: DeleteUser, _: &mut Self::Context) -> Self::Result {
        self.delete(&message)
    }
}

impl Handler<RotateKey> for Iam {
    type Result = Result<NewCredential, IamError>;

    fn handle(&mut self, message: RotateKey, _: &mut Self::Context) -> Self::Result {
        self.rotate(&message)
    }
}

impl Handler<SetPolicies> for Iam {
    type Result = Result<(), IamError>;

    fn handle(&mut self, message: SetPolicies, _: &mut Self::Context) -> Self::Result {
        self.set_policies(&message)
    }
}
