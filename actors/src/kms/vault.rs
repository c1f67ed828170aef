//! Opening the keys at the start: the master key and `kms_keys.json`, which must belong together.
//!
//! SAFETY OF ORDER: the master key is durable before the file that names it, and the file before anything is sealed. INVARIANT: a
//! master key is made only where no file names one: whatever was sealed under a lost one would be lost for good, unseen.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::Guard;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::KmsSettings;
use super::error::KmsError;
use super::keyring::{Keyring, KeysFile, open_material, seal_material};
use super::master::{Masters, decode};
use super::master_file::{self, MasterFileError};
use super::objects::Keys;
use super::records::{FORMAT, FileRecord, MasterRecord};
use crate::audit::{AuditEntry, ChangeOrigin};
use crate::encryption::{DataKey, EncryptionError};
use crate::json_store::{Edited, FileProblem, JsonStore, Mistake, Published, Schema, Snapshot, StoreError};
use crate::names::Stamp;
use crate::seal::SecretKey;

/// Most bytes of JSON in the file. As it is written, with line breaks, it is less than what is read of a file.
const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What the start found. It stays that until the next one.
#[derive(Debug)]
pub(super) enum Vault {
    /// Nothing was ever encrypted, and nothing is to be.
    Empty,
    /// What was found does not belong together. For clients, and for whoever runs the node.
    Unusable(&'static str, String),
    /// Keys.
    Ready(Arc<Masters>, Snapshot<Keyring>),
}

/// The keys of one moment.
pub(super) struct Held<'a> {
    masters: &'a Masters,
    published: Guard<Arc<Published<Keyring>>>,
}

impl Held<'_> {
    pub fn keys(&self) -> Keys<'_> {
        Keys { masters: self.masters, keyring: &self.published.state }
    }
}

impl Vault {
    /// Errs: Unusable.
    pub fn held(&self) -> Result<Held<'_>, KmsError> {
        match self {
            Self::Ready(masters, keyring) => Ok(Held { masters, published: keyring.load() }),
            Self::Unusable(reason, _) => Err(KmsError::Unusable(reason)),
            Self::Empty => Err(KmsError::Unusable("The node has no master key.")),
        }
    }

    /// Why keys cannot be used or changed, for whoever runs the node.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Empty => None,
            Self::Unusable(_, reason) => Some(reason.clone()),
            Self::Ready(_, keyring) => {
                let problem = keyring.load().problem.clone()?;
                Some(format!("KMS keys cannot be changed: {problem}"))
            }
        }
    }
}

/// Why the keys cannot be opened.
#[derive(Debug, thiserror::Error)]
enum VaultError {
    #[error(
        "{} is not there, but {} was sealed under master key {id}; restore it",
        master_key.display(), keys.display()
    )]
    Missing { master_key: PathBuf, keys: PathBuf, id: String },
    #[error(
        "{} was sealed under master key {id}, but the node was given master key {given}; restore the former one, or name it in \
         ENCRYPTION_MASTER_KEY_PREVIOUS",
        keys.display()
    )]
    Other { keys: PathBuf, id: String, given: String },
    #[error("{0} is not base64 of 32 bytes")]
    MalformedSetting(&'static str),
    #[error(transparent)]
    File(#[from] MasterFileError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Kms(#[from] KmsError),
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
}

impl VaultError {
    /// The same for clients, whom the node's files do not concern.
    fn told(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "The node's master key is missing.",
            Self::Other { .. } => "The node's master key is not the one that its keys are sealed under.",
            Self::MalformedSetting(_) | Self::File(MasterFileError::Malformed { .. }) => {
                "The node's master key is malformed."
            }
            Self::File(MasterFileError::WorldReadable { .. }) => "The node's master key can be read by everybody.",
            Self::File(MasterFileError::Store(_)) => "The node's master key cannot be read.",
            Self::Store(_) | Self::Kms(_) => "The node's file of keys cannot be used.",
            Self::File(MasterFileError::NoRandomness(_)) | Self::Encryption(_) => "The system gives no random numbers.",
        }
    }
}

/// Opens the keys. The file is there to be changed when they can be used.
pub(super) fn open(settings: &KmsSettings, now: Stamp) -> (Vault, Option<JsonStore<KeysFile>>) {
    match try_open(settings, now) {
        Ok(Some(store)) => {
            let masters = Arc::clone(&store.schema().masters);
            (Vault::Ready(masters, store.snapshot()), Some(store))
        }
        Ok(None) => (Vault::Empty, None),
        Err(error) => {
            let reason = format!("encrypted objects and KMS keys cannot be used: {error}");
            tracing::error!("{reason}");
            (Vault::Unusable(error.told(), reason), None)
        }
    }
}

fn try_open(settings: &KmsSettings, now: Stamp) -> Result<Option<JsonStore<KeysFile>>, VaultError> {
    let keys_path = &settings.keys_path;
    let named = JsonStore::open(keys_path.clone(), Head, None, &json!({}), now)?.snapshot().load().state.clone();
    let Some(current) = current_key(settings, named.as_ref().as_ref())? else { return Ok(None) };
    let previous: Option<Vec<DataKey>> = settings.previous_master_keys.iter().map(|key| decode(key.expose())).collect();
    let previous = previous.ok_or(VaultError::MalformedSetting("ENCRYPTION_MASTER_KEY_PREVIOUS"))?;
    let masters = Arc::new(Masters::new(&current, &previous)?);
    if let Some(MasterRecord { id, .. }) = named.as_ref()
        && masters.find(id).is_err()
    {
        let (id, given) = (id.clone(), masters.current.id.clone());
        return Err(VaultError::Other { keys: keys_path.clone(), id, given });
    }
    let mut store = JsonStore::open(keys_path.clone(), KeysFile { masters }, None, &json!({}), now)?;
    adopt(&mut store, settings, now)?;
    Ok(Some(store))
}

/// The master key that was given, or is in its file, or is made; none where there is none and none is needed.
fn current_key(settings: &KmsSettings, named: Option<&MasterRecord>) -> Result<Option<DataKey>, VaultError> {
    if let Some(text) = settings.master_key.as_ref().map(SecretKey::expose) {
        return decode(text).map(Some).ok_or(VaultError::MalformedSetting("ENCRYPTION_MASTER_KEY"));
    }
    let path = &settings.master_key_path;
    match (master_file::read(path)?, named) {
        (Some(key), _) => Ok(Some(key)),
        (None, Some(MasterRecord { id, .. })) => {
            let keys = settings.keys_path.clone();
            Err(VaultError::Missing { master_key: path.clone(), keys, id: id.clone() })
        }
        (None, None) if settings.is_used() => Ok(Some(master_file::create(path)?)),
        (None, None) => Ok(None),
    }
}

/// Has the file name the master key in force, and seals under it what was sealed under a former one. Errs when a file that names none
/// cannot be written: nobody could tell a wrong master key from the right one.
fn adopt(store: &mut JsonStore<KeysFile>, settings: &KmsSettings, now: Stamp) -> Result<(), VaultError> {
    let masters = Arc::clone(&store.schema().masters);
    let current = &masters.current;
    let former = store.snapshot().load().state.master.clone();
    if former.as_ref() == Some(&current.id) || (former.is_none() && !settings.is_used()) {
        return Ok(());
    }
    let sealed = edit(store, now, |file| {
        for key in &mut file.keys {
            for material in &mut key.materials {
                let former = masters.find(former.as_deref().unwrap_or_default())?;
                let opened = open_material(former, &key.id, material.version, &material.sealed)?;
                material.sealed = seal_material(current, &key.id, material.version, &opened)?;
            }
        }
        file.master = Some(MasterRecord { id: current.id.clone(), check: current.check.clone() });
        Ok(())
    });
    match (sealed, former) {
        (Ok(_), None) => Ok(()),
        (Ok(_), Some(former)) => {
            tracing::info!(former, now = current.id, "the KMS keys are sealed under another master key");
            let by = ChangeOrigin { principal: "kms".to_owned(), ..ChangeOrigin::default() };
            let (before, after) = (json!({ "master": former }), json!({ "master": current.id }));
            let target = "kms_keys.json".to_owned();
            let entry = AuditEntry::of_change(now, by, "kms:ChangeMasterKey", target, &before, &after);
            settings.audit.record_blocking(entry.into_iter().collect());
            Ok(())
        }
        (Err(error), None) => Err(error.into()),
        (Err(error), Some(former)) => {
            tracing::error!(%error, former, "the KMS keys are still sealed under a previous master key");
            Ok(())
        }
    }
}

/// Changes the file. Errs: those of `change`, Store, LimitExceeded.
pub(super) fn edit<R>(
    store: &mut JsonStore<KeysFile>,
    now: Stamp,
    mut change: impl FnMut(&mut FileRecord) -> Result<R, KmsError>,
) -> Result<Edited<R, Keyring>, KmsError> {
    store.edit_and_tell(now, |document| {
        let mut file: FileRecord = FileRecord::deserialize(&*document).map_err(unreadable)?;
        let answer = change(&mut file)?;
        file.format = FORMAT;
        let after = serde_json::to_value(&file).map_err(unreadable)?;
        let bytes = after.to_string().len();
        if bytes > FILE_BYTES_MAX && bytes > document.to_string().len() {
            return Err(KmsError::LimitExceeded("The node has no room for more keys.".to_owned()));
        }
        *document = after;
        Ok(answer)
    })
}

/// A record that does not serialise or parse, which a compiled one always does.
fn unreadable(error: serde_json::Error) -> KmsError {
    let Mistake { line, reason } = Mistake::from(error);
    StoreError::Broken(FileProblem { path: PathBuf::from("kms_keys.json"), line, reason }).into()
}

/// The file as far as it can be read without any key: which master key it names.
#[derive(Debug)]
struct Head;

impl Schema for Head {
    type State = Option<MasterRecord>;

    fn compile(&self, text: &str, _: &Value) -> Result<Self::State, Mistake> {
        #[derive(Deserialize)]
        struct Named {
            master: Option<MasterRecord>,
        }
        Ok(serde_json::from_str::<Named>(text)?.master)
    }
}
