//! The KMS: the only writer of `kms_keys.json`.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext as _, Context, Handler};

use super::audit;
use super::changes::{Destroy, RotateDue};
use super::error::KmsError;
use super::key::{KeyState, KmsKey};
use super::keyring::KeysFile;
use super::messages::{Change, Draft, KmsChange};
use super::vault::{self, Vault};
use crate::audit::{AuditLog, ChangeOrigin};
use crate::clock::SharedClock;
use crate::json_store::JsonStore;

/// How often is looked for what is due. Nothing is due more often than once in days.
const TEND_EVERY: Duration = Duration::from_secs(60);

/// Owns the keys.
#[derive(Debug)]
pub struct KmsActor {
    pub(super) store: Option<JsonStore<KeysFile>>,
    pub(super) vault: Arc<Vault>,
    pub(super) region: String,
    pub(super) audit: AuditLog,
    pub(super) clock: SharedClock,
}

impl KmsActor {
    /// Changes the file and tells the audit log.
    fn change<M: KmsChange>(&mut self, change: &Change<M>) -> Result<M::Answer, KmsError> {
        let Some(store) = &mut self.store else {
            // Says why there is no file.
            self.vault.held()?;
            return Err(KmsError::Stopped);
        };
        let (now, snapshot, masters) = (self.clock.now(), store.snapshot(), Arc::clone(&store.schema().masters));
        let edited = vault::edit(store, now, change.message.is_upkeep(), |file| {
            let published = snapshot.load();
            let (keyring, region) = (&*published.state, self.region.as_str());
            change.message.apply(&mut Draft { file, keyring, masters: &masters, region, now })
        })?;
        if let Some((before, _)) = &edited.before {
            let entries = audit::entries(before, store.document(), now, &change.by, change.message.action());
            let entries = audit::noted(entries, &change.message.note());
            self.audit.record_blocking(entries);
        }
        Ok(edited.answer)
    }

    /// Rotates and destroys what is due. What cannot be written now is tried again.
    pub(super) fn tend(&mut self) {
        let Some(store) = &self.store else { return };
        let (now, published) = (self.clock.now(), store.snapshot().load_full());
        for key in &published.state.keys {
            let done = match (key.state, key.rotation) {
                (KeyState::PendingDeletion { at }, _) if at <= now => {
                    tracing::warn!(key = key.arn, "its waiting period is over: the key is destroyed");
                    self.change(&by_itself(Destroy { key: key.id.clone() }))
                }
                (KeyState::Enabled, Some(rotation)) if rotation.next() <= now => self.rotate(key),
                _ => Ok(()),
            };
            if let Err(error) = done {
                tracing::error!(key = key.arn, %error, "the key cannot be tended; it is tried again");
            }
        }
    }

    fn rotate(&mut self, key: &KmsKey) -> Result<(), KmsError> {
        tracing::info!(key = key.arn, "the key is rotated");
        self.change(&by_itself(RotateDue { key: key.id.clone() }))
    }
}

/// A change that nobody asked for.
pub(super) fn by_itself<M>(message: M) -> Change<M> {
    Change { by: ChangeOrigin { principal: "kms".to_owned(), ..ChangeOrigin::default() }, message }
}

impl Actor for KmsActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.tend();
        context.run_interval(TEND_EVERY, |kms, _| kms.tend());
    }
}

impl<M: KmsChange> Handler<Change<M>> for KmsActor {
    type Result = Result<M::Answer, KmsError>;

    fn handle(&mut self, change: Change<M>, _: &mut Self::Context) -> Self::Result {
        // A key whose time is over is gone, even before that was looked for.
        self.tend();
        self.change(&change)
    }
}
