//! The master key, and the KMS keys that it seals.

use std::collections::HashMap;
use std::path::Path;

use myfsio_actors::earlier::{DataKey, MasterKey, Unreadable, WrappedKey};
use serde_json::Value;

use super::{CONFIG_BYTES_MAX, SYSTEM};
use crate::import::beneath::Folder;

/// Where master keys were kept: of objects, of the KMS in later releases, and of both in the first ones.
const MASTER_KEYS: [&str; 3] = [".myfsio.sys/keys/master.key", ".myfsio.sys/keys/kms_master.key", "master.key"];
const KMS_KEYS: [&str; 2] = ["keys/kms_keys.json", "../kms_keys.json"];

/// The keys that are there and can be read.
#[derive(Debug, Default)]
pub struct Keys {
    masters: Vec<MasterKey>,
    kms: HashMap<String, MasterKey>,
}

impl Keys {
    /// Reads what is there; what cannot be read is missed where it is needed.
    pub fn read(folder: &Folder) -> Self {
        let text = |path: &Path| {
            let bytes = folder.read(path, CONFIG_BYTES_MAX).ok().flatten()?;
            String::from_utf8(bytes).ok()
        };
        let masters: Vec<_> = MASTER_KEYS.iter().filter_map(|path| MasterKey::parse(&text(Path::new(path))?)).collect();
        let stores = KMS_KEYS.iter().map(|name| match name.strip_prefix("../") {
            Some(name) => Path::new(name).to_path_buf(),
            None => Path::new(SYSTEM).join(name),
        });
        let mut kms = HashMap::new();
        for store in stores.filter_map(|path| serde_json::from_str::<Value>(&text(&path)?).ok()) {
            for key in store.get("keys").and_then(Value::as_array).into_iter().flatten() {
                let field = |name: &str| key.get(name).and_then(Value::as_str);
                let (Some(id), Some(sealed)) = (field("KeyId"), field("EncryptedKeyMaterial")) else { continue };
                if let Some(opened) = masters.iter().find_map(|master| master.open_kms_key(sealed).ok()) {
                    kms.insert(id.to_owned(), opened);
                }
            }
        }
        Self { masters, kms }
    }

    /// Opens a data key that the master key wraps, or the KMS key of this id. Errs: why it cannot be.
    pub fn unwrap(&self, wrapped: &str, key_id: Option<&str>) -> Result<DataKey, String> {
        let wrapped = WrappedKey::parse(wrapped).map_err(|error| format!("its data key: {error}"))?;
        // Also told by ARN.
        let id = wrapped.named.as_deref().or(key_id).map(|id| id.rsplit('/').next().unwrap_or(id));
        match id.filter(|id| *id != "local") {
            Some(id) => {
                let key = self.kms.get(id).ok_or_else(|| format!("the KMS key {id} is missing, or cannot be read"))?;
                key.unwrap(&wrapped).map_err(|error| format!("its data key, by the KMS key {id}: {error}"))
            }
            None if self.masters.is_empty() => Err("the master key is missing".to_owned()),
            None => {
                let opened = self.masters.iter().find_map(|master| master.unwrap(&wrapped).ok());
                opened.ok_or_else(|| format!("its data key: {}", Unreadable::WrongKey))
            }
        }
    }
}
