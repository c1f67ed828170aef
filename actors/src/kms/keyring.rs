//! All keys, opened: what `kms_keys.json` means. Immutable; a change makes another. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::error::KmsError;
use super::key::{Alias, KeyState, KmsKey, Material};
use super::master::{MasterKey, Masters};
use super::name::{KeyName, NODE_ACCOUNT, arn, id_bytes, is_alias};
use super::records::{AliasRecord, DestroyedRecord, FORMAT, FileRecord, KeyRecord, StateRecord};
use super::sealed::{self, Purpose};
use crate::encryption::{DataKey, EncryptionError};
use crate::json_store::{Mistake, Schema};
use crate::names::Stamp;
use crate::policy_engine::KeyPolicy;

/// All keys and aliases.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    /// In the order in which they were made.
    pub keys: Vec<Arc<KmsKey>>,
    by_id: HashMap<String, usize>,
    /// By account, then by name.
    aliases: BTreeMap<String, BTreeMap<String, Alias>>,
    destroyed: HashMap<String, (String, Stamp)>,
    /// Id of the master key that seals the file; none of a file of nothing.
    pub master: Option<String>,
}

impl Keyring {
    /// The key that goes by this name for an account: an alias is one of its own, or one of the node. Errs: NotFound, Destroyed,
    /// InvalidArn, Validation.
    pub fn find_for(&self, account: &str, key: &str) -> Result<&Arc<KmsKey>, KmsError> {
        self.find_by(key, |name| self.alias(account, name).or_else(|| self.alias(NODE_ACCOUNT, name)))
    }

    /// The key that goes by this name for the node and its administrators, whose accounts are all: an alias is one of the node, or the
    /// only one of this name. Errs: as [`Self::find_for`].
    pub fn find(&self, key: &str) -> Result<&Arc<KmsKey>, KmsError> {
        self.find_by(key, |name| {
            let mut named = self.aliases.values().filter_map(|aliases| aliases.get(name));
            self.alias(NODE_ACCOUNT, name).or_else(|| named.next().filter(|_| named.next().is_none()))
        })
    }

    /// The alias of this name, with its prefix, that an account has.
    pub fn alias(&self, account: &str, name: &str) -> Option<&Alias> {
        self.aliases.get(account)?.get(name)
    }

    /// Every alias of every account.
    pub fn aliases(&self) -> impl Iterator<Item = &Alias> {
        self.aliases.values().flat_map(BTreeMap::values)
    }

    fn find_by<'a>(
        &'a self,
        key: &str,
        by_name: impl FnOnce(&str) -> Option<&'a Alias>,
    ) -> Result<&'a Arc<KmsKey>, KmsError> {
        let no_key = |key: &str| KmsError::NotFound(format!("Key '{key}' does not exist"));
        let no_alias = |alias: &str| KmsError::NotFound(format!("Alias {alias} is not found."));
        match KeyName::parse(key)? {
            KeyName::Id(id) => self.by_id(id),
            KeyName::Arn { arn, id } => match self.by_id(id) {
                Ok(key) if key.arn == arn => Ok(key),
                Err(KmsError::Destroyed { arn: own, at }) if own == arn => Err(KmsError::Destroyed { arn: own, at }),
                _ => Err(no_key(arn)),
            },
            KeyName::Alias(name) => {
                let alias = by_name(name).ok_or_else(|| no_alias(name))?;
                self.by_id(&alias.key_id)
            }
            KeyName::AliasArn { arn, account, alias } => {
                let alias = self.alias(account, alias).filter(|alias| alias.arn == arn).ok_or_else(|| no_alias(arn))?;
                self.by_id(&alias.key_id)
            }
        }
    }

    /// The key of this id. Errs: NotFound, Destroyed.
    pub fn by_id(&self, id: &str) -> Result<&Arc<KmsKey>, KmsError> {
        let found = self.by_id.get(id).and_then(|index| self.keys.get(*index));
        found.ok_or_else(|| match self.destroyed.get(id) {
            Some((arn, at)) => KmsError::Destroyed { arn: arn.clone(), at: *at },
            None => KmsError::NotFound(format!("Key '{id}' does not exist")),
        })
    }

    /// The key of this id, under which something is sealed: that it is not there means that it was lost. Errs: NotFound, Destroyed.
    pub fn sealing(&self, id: &str) -> Result<&Arc<KmsKey>, KmsError> {
        self.by_id(id).map_err(|error| match error {
            KmsError::NotFound(_) => KmsError::NotFound(format!(
                "The object is encrypted under key '{id}', which the node does not have: the file of keys that had it was lost."
            )),
            error => error,
        })
    }

    /// The key that goes by this name, if it may seal and open. Errs: as [`Self::find`], Disabled, PendingDeletion.
    pub fn usable(&self, key: &str) -> Result<&Arc<KmsKey>, KmsError> {
        let key = self.find(key)?;
        key.check_usable()?;
        Ok(key)
    }
}

/// What a material is sealed for: it opens as no other key's and no other version's.
fn about(key_id: &str, version: u32) -> Vec<u8> {
    [key_id.as_bytes(), &version.to_be_bytes()].concat()
}

/// A material as the file has it. Errs: NoRandomness.
pub(super) fn seal_material(
    master: &MasterKey,
    key_id: &str,
    version: u32,
    material: &DataKey,
) -> Result<String, EncryptionError> {
    let sealed = sealed::seal(&master.materials, Purpose::Material, material.expose(), &about(key_id, version))?;
    Ok(STANDARD.encode(sealed))
}

/// Opens what [`seal_material`] gave. Errs: WrongKey.
pub(super) fn open_material(
    master: &MasterKey,
    key_id: &str,
    version: u32,
    sealed: &str,
) -> Result<DataKey, EncryptionError> {
    let sealed = STANDARD.decode(sealed).map_err(|_| EncryptionError::WrongKey)?;
    sealed::open_key(&master.materials, Purpose::Material, &sealed, &about(key_id, version))
}

/// What `kms_keys.json` means under these master keys.
#[derive(Debug)]
pub(super) struct KeysFile {
    pub masters: Arc<Masters>,
}

impl Schema for KeysFile {
    type State = Keyring;

    fn compile(&self, text: &str, _: &Value) -> Result<Keyring, Mistake> {
        // From the text once more, so that a mistake has its line.
        let file: FileRecord = serde_json::from_str(text)?;
        let refused = |word: &str, reason: String| Err(Mistake::near(text, word, reason));
        if file.format > FORMAT {
            return refused("format", format!("format {} is that of a later version", file.format));
        }
        let master = match &file.master {
            Some(record) => match self.masters.find(&record.id) {
                Ok(master) if master.check == record.check => Some(master),
                Ok(_) => return refused("check", "the check value of the master key is not that of its id".to_owned()),
                Err(_) => {
                    let current = &self.masters.current.id;
                    let reason = format!(
                        "its keys are sealed under master key {}, but the node was given master key {current}; restore the \
                         former one, or name it in ENCRYPTION_MASTER_KEY_PREVIOUS",
                        record.id
                    );
                    return refused("master", reason);
                }
            },
            None if file.keys.is_empty() => None,
            None => {
                return refused(
                    "keys",
                    "there are keys, but no master key is named by which they are sealed".to_owned(),
                );
            }
        };
        let mut keyring = Keyring { master: master.map(|master| master.id.clone()), ..Keyring::default() };
        for (record, master) in file.keys.iter().filter_map(|record| Some((record, master?))) {
            let key = open_key(record, master)
                .map_err(|reason| Mistake::near(text, &record.id, format!("key `{}`: {reason}", record.id)))?;
            if keyring.by_id.insert(key.id.clone(), keyring.keys.len()).is_some() {
                return refused(&record.id, format!("key `{}` is there twice", record.id));
            }
            keyring.keys.push(Arc::new(key));
        }
        for record in &file.aliases {
            keyring
                .add_alias(record)
                .map_err(|reason| Mistake::near(text, &record.name, format!("alias `{}`: {reason}", record.name)))?;
        }
        for DestroyedRecord { id, region, account, destroyed_at, .. } in &file.destroyed {
            let arn = arn(region, account, &format!("key/{id}"));
            keyring.destroyed.insert(id.clone(), (arn, *destroyed_at));
        }
        Ok(keyring)
    }
}

impl Keyring {
    fn add_alias(&mut self, record: &AliasRecord) -> Result<(), &'static str> {
        if !is_alias(&record.name) {
            return Err("not the name of an alias");
        }
        let index = self.by_id.get(&record.key_id).and_then(|index| self.keys.get_mut(*index));
        let key = Arc::make_mut(index.ok_or("its key is not there")?);
        let alias = Alias {
            name: record.name.clone(),
            arn: arn(&key.region, &key.account, &record.name),
            key_id: record.key_id.clone(),
            created_at: record.created_at,
            updated_at: record.updated_at,
        };
        key.aliases.push(record.name.clone());
        key.aliases.sort_unstable();
        match self.aliases.entry(key.account.clone()).or_default().insert(record.name.clone(), alias) {
            Some(_) => Err("its account has it twice"),
            None => Ok(()),
        }
    }
}

fn open_key(record: &KeyRecord, master: &MasterKey) -> Result<KmsKey, String> {
    if id_bytes(&record.id).is_none() {
        return Err("its id is no UUID".to_owned());
    }
    let state = match (record.state, record.delete_at) {
        (StateRecord::Enabled, _) => KeyState::Enabled,
        (StateRecord::Disabled, _) => KeyState::Disabled,
        (StateRecord::PendingDeletion, Some(at)) => KeyState::PendingDeletion { at },
        (StateRecord::PendingDeletion, None) => return Err("it does not say when it is to be deleted".to_owned()),
    };
    let mut materials = Vec::with_capacity(record.materials.len());
    let mut last = 0;
    for material in &record.materials {
        if material.version <= last {
            return Err("its materials are not in order".to_owned());
        }
        last = material.version;
        let key = open_material(master, &record.id, material.version, &material.sealed).map_err(|_| {
            format!("version {} of its material was changed, or is that of another key", material.version)
        })?;
        materials.push(Material {
            version: material.version,
            created_at: material.created_at,
            cause: material.cause,
            key,
        });
    }
    if materials.is_empty() {
        return Err("it has no material".to_owned());
    }
    Ok(KmsKey {
        id: record.id.clone(),
        arn: arn(&record.region, &record.account, &format!("key/{}", record.id)),
        region: record.region.clone(),
        account: record.account.clone(),
        creator: record.creator.clone(),
        manager: record.manager,
        description: record.description.clone(),
        tags: record.tags.clone(),
        created_at: record.created_at,
        state,
        rotation: record.rotation,
        policy: record.policy.as_deref().map(|text| Arc::new(KeyPolicy::new(Arc::from(text)))),
        aliases: Vec::new(),
        materials,
    })
}
