//! How the KMS is asked for changes: one trait for each of them, and one envelope that says who asks.

use std::sync::Arc;

use actix::Message;
use serde_json::{Map, Value};

use super::error::KmsError;
use super::key::KmsKey;
use super::keyring::Keyring;
use super::master::Masters;
use super::records::{FileRecord, KeyRecord};
use crate::audit::ChangeOrigin;
use crate::names::Stamp;

/// A change to keys or aliases. Pure: it turns one file into the next.
pub(super) trait KmsChange: Send + 'static {
    /// What whoever asked is told.
    type Answer: Send + 'static;

    /// KMS action, such as `kms:CreateKey`.
    fn action(&self) -> &'static str;

    /// What the audit log is told beside the difference, of each thing that is changed.
    fn note(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Whether it only keeps keys in order. Such a change may use room that is refused to whatever adds, or a full file would
    /// keep everybody from disabling or deleting a key.
    fn is_upkeep(&self) -> bool {
        false
    }

    /// Changes the file of the draft. May run again on a new one.
    fn apply(&self, draft: &mut Draft<'_>) -> Result<Self::Answer, KmsError>;
}

/// A change and who asks for it; durable on reply.
#[derive(Debug)]
pub(super) struct Change<M> {
    /// Who asks.
    pub by: ChangeOrigin,
    /// The change.
    pub message: M,
}

impl<M: KmsChange> Message for Change<M> {
    type Result = Result<M::Answer, KmsError>;
}

/// A file that is being changed, and what the change may depend on.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub file: &'a mut FileRecord,
    /// What the file said before.
    pub keyring: &'a Keyring,
    pub masters: &'a Masters,
    pub region: &'a str,
    pub now: Stamp,
}

impl Draft<'_> {
    /// The key that goes by this name, as it was and as it is to be. Errs: as [`Keyring::find`].
    pub fn key(&mut self, name: &str) -> Result<(Arc<KmsKey>, &mut KeyRecord), KmsError> {
        let key = Arc::clone(self.keyring.find(name)?);
        let record = self.file.keys.iter_mut().find(|record| record.id == key.id);
        record.map(|record| (key, record)).ok_or_else(|| KmsError::NotFound(format!("Key '{name}' does not exist")))
    }
}
