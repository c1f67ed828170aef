//! Opening the keys at the start: the master key and `kms_keys.json`, which must belong together, and to what is encrypted.
//!
//! SAFETY OF ORDER: the master key is durable before the file that names it, and the file before anything is sealed. INVARIANT: a
//! master key is made only where neither the file nor an object names one, and one that only lies there is taken only where one of
//! them knows it: whatever was sealed under a lost one would be lost for good, unseen. `ENCRYPTION_MASTER_KEY` is the word of whoever
//! runs the node, who may go on with another key; what is lost is told all the same.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::Guard;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::KmsSettings;
use super::error::KmsError;
use super::keyring::{Keyring, KeysFile, open_material, seal_material};
use super::lost::Lost;
use super::master::{Masters, decode};
use super::master_file::{self, MasterFileError};
use super::objects::Keys;
use super::records::{FORMAT, FileRecord, MasterRecord};
use crate::audit::{AuditEntry, ChangeOrigin};
use crate::encryption::{DataKey, EncryptionError, WrappingKey};
use crate::json_store::{Edited, FileProblem, JsonStore, Mistake, Published, Schema, Snapshot, StoreError};
use crate::names::Stamp;
use crate::seal::SecretKey;

/// Most bytes of JSON in the file. As it is written, with line breaks, it is less than what is read of a file.
const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How many of them only upkeep may use: states, rotations, deletions, the node's own key.
const UPKEEP_BYTES: usize = 4 * 1024 * 1024;
/// How many bytes of the file an account's keys and aliases may take, so that none takes the room of all.
const ACCOUNT_BYTES_MAX: usize = 3 * 1024 * 1024;

/// What the start found. It stays that until the next one.
#[derive(Debug)]
pub(super) enum Vault {
    /// Nothing was ever encrypted, and nothing is to be.
    Empty,
    /// What was found does not belong together. For clients, and for whoever runs the node.
    Unusable(Cow<'static, str>, String),
    /// Keys, and those that are missing.
    Ready { masters: Arc<Masters>, keyring: Snapshot<Keyring>, lost: Option<Lost> },
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
            Self::Ready { masters, keyring, .. } => Ok(Held { masters, published: keyring.load() }),
            Self::Unusable(reason, _) => Err(KmsError::Unusable(reason.clone())),
            Self::Empty => Err(KmsError::Unusable("The node has no master key.".into())),
        }
    }

    /// Why keys cannot be used or changed, for whoever runs the node.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Empty => None,
            Self::Unusable(_, reason) => Some(reason.clone()),
            Self::Ready { keyring, lost, .. } => {
                let problem = keyring.load().problem.clone().map(|it| format!("KMS keys cannot be changed: {it}"));
                let troubles: Vec<String> = lost.as_ref().map(missing).into_iter().chain(problem).collect();
                (!troubles.is_empty()).then(|| troubles.join("; "))
            }
        }
    }
}

/// That keys are missing, for whoever runs the node.
fn missing(lost: &Lost) -> String {
    format!(
        "keys are missing, without which what is encrypted under them cannot be read: {lost}; give master keys back by \
         ENCRYPTION_MASTER_KEY_PREVIOUS, and KMS keys by the kms_keys.json that had them"
    )
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
    #[error(
        "there is neither {} nor {}, but the index knows what is encrypted: {lost}; restore them, or set ENCRYPTION_MASTER_KEY to go on \
         without",
        master_key.display(), keys.display()
    )]
    Lost { master_key: PathBuf, keys: PathBuf, lost: Lost },
    #[error(
        "{} is not there, and {} holds master key {given}, under which nothing is encrypted, but under others: {lost}; restore both \
         files, or set ENCRYPTION_MASTER_KEY to go on without",
        keys.display(), master_key.display()
    )]
    Stranger { master_key: PathBuf, keys: PathBuf, given: String, lost: Lost },
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
    fn told(&self) -> Cow<'static, str> {
        let told = match self {
            Self::Lost { lost, .. } | Self::Stranger { lost, .. } => return lost.told().into(),
            Self::Missing { .. } => "The node's master key is missing.",
            Self::Other { .. } => "The node's master key is not the one that its keys are sealed under.",
            Self::MalformedSetting(_) | Self::File(MasterFileError::Malformed { .. }) => {
                "The node's master key is malformed."
            }
            Self::File(MasterFileError::WorldReadable { .. }) => "The node's master key can be read by everybody.",
            Self::File(MasterFileError::Store(_)) => "The node's master key cannot be read.",
            Self::Store(_) | Self::Kms(_) => "The node's file of keys cannot be used.",
            Self::File(MasterFileError::NoRandomness(_)) | Self::Encryption(_) => "The system gives no random numbers.",
        };
        told.into()
    }
}

/// Opens the keys. The file is there to be changed when they can be used.
pub(super) fn open(settings: &KmsSettings, now: Stamp) -> (Vault, Option<JsonStore<KeysFile>>) {
    match try_open(settings, now) {
        Ok(Some(store)) => {
            let masters = Arc::clone(&store.schema().masters);
            let keyring = store.snapshot();
            let lost = lost(settings, &masters, &keyring.load().state);
            if let Some(lost) = &lost {
                tracing::error!("{}", missing(lost));
            }
            (Vault::Ready { masters, keyring, lost }, Some(store))
        }
        Ok(None) => (Vault::Empty, None),
        Err(error) => {
            let reason = format!("encrypted objects and KMS keys cannot be used: {error}");
            tracing::error!("{reason}");
            (Vault::Unusable(error.told(), reason), None)
        }
    }
}

/// Keys that are in use, and neither here nor known to be destroyed.
fn lost(settings: &KmsSettings, masters: &Masters, keyring: &Keyring) -> Option<Lost> {
    Lost::of(&settings.in_use, |key| match key {
        WrappingKey::Managed(id) => masters.find(id).is_ok(),
        WrappingKey::Kms(id) => !matches!(keyring.by_id(id), Err(KmsError::NotFound(_))),
        WrappingKey::Customer => true,
    })
}

fn try_open(settings: &KmsSettings, now: Stamp) -> Result<Option<JsonStore<KeysFile>>, VaultError> {
    let keys_path = &settings.keys_path;
    let named = JsonStore::open(keys_path.clone(), Head, None, &json!({}))?.snapshot().load().state.clone();
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
    if named.as_ref().is_none()
        && settings.master_key.is_none()
        && let Some(lost) = stranger(settings, &masters)
    {
        let (master_key, keys) = (settings.master_key_path.clone(), keys_path.clone());
        return Err(VaultError::Stranger { master_key, keys, given: masters.current.id.clone(), lost });
    }
    let mut store = JsonStore::open(keys_path.clone(), KeysFile { masters }, None, &json!({}))?;
    adopt(&mut store, settings, now)?;
    Ok(Some(store))
}

/// The master keys in use, if none of them is here.
fn stranger(settings: &KmsSettings, masters: &Masters) -> Option<Lost> {
    let in_use: Vec<_> =
        settings.in_use.iter().filter(|(key, _)| matches!(key, WrappingKey::Managed(_))).cloned().collect();
    let is_here = |key: &WrappingKey| key.id().is_some_and(|id| masters.find(id).is_ok());
    match in_use.iter().any(|(key, _)| is_here(key)) {
        true => None,
        false => Lost::of(&in_use, is_here),
    }
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
        (None, None) => match Lost::of(&settings.in_use, |_| false) {
            Some(lost) => Err(VaultError::Lost { master_key: path.clone(), keys: settings.keys_path.clone(), lost }),
            None if settings.is_used() => Ok(Some(master_file::create(path)?)),
            None => Ok(None),
        },
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
    let sealed = edit(store, now, true, |file| {
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

/// Changes the file; upkeep of what is there has room of its own. Errs: those of `change`, Store, LimitExceeded.
pub(super) fn edit<R>(
    store: &mut JsonStore<KeysFile>,
    now: Stamp,
    is_upkeep: bool,
    mut change: impl FnMut(&mut FileRecord) -> Result<R, KmsError>,
) -> Result<Edited<R, Keyring>, KmsError> {
    store.edit_and_tell(now, |document| {
        let mut file: FileRecord = FileRecord::deserialize(&*document).map_err(unreadable)?;
        let answer = change(&mut file)?;
        file.format = FORMAT;
        let after = serde_json::to_value(&file).map_err(unreadable)?;
        let bytes = after.to_string().len();
        let bytes_max = if is_upkeep { FILE_BYTES_MAX } else { FILE_BYTES_MAX - UPKEEP_BYTES };
        let grows = bytes > document.to_string().len();
        if grows && bytes > bytes_max {
            return Err(KmsError::LimitExceeded("The node has no room for more keys.".to_owned()));
        }
        if grows && !is_upkeep && bytes > ACCOUNT_BYTES_MAX {
            let before = FileRecord::deserialize(&*document).map_err(unreadable)?;
            check_accounts(&before.bytes_by_account(), &file.bytes_by_account())?;
        }
        *document = after;
        Ok(answer)
    })
}

/// Errs when an account takes more than it may, and more than before: LimitExceeded.
fn check_accounts(before: &BTreeMap<&str, usize>, after: &BTreeMap<&str, usize>) -> Result<(), KmsError> {
    let is_over = |(account, bytes): (&&str, &usize)| {
        *bytes > ACCOUNT_BYTES_MAX && *bytes > before.get(account).copied().unwrap_or_default()
    };
    match after.iter().any(is_over) {
        true => Err(KmsError::LimitExceeded("The account has no room for more of its keys.".to_owned())),
        false => Ok(()),
    }
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
