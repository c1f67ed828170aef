//! The shape of `kms_keys.json`. Fields that are not listed here are kept as they are. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::key::{Cause, KeyManager, Rotation};
use crate::names::Stamp;

/// Version of the shape that this node writes, and the highest that it reads.
pub(super) const FORMAT: u32 = 1;

/// The file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct FileRecord {
    #[serde(default)]
    pub format: u32,
    /// By which master key everything in it is sealed; none in a file of nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<MasterRecord>,
    #[serde(default)]
    pub keys: Vec<KeyRecord>,
    #[serde(default)]
    pub aliases: Vec<AliasRecord>,
    /// Keys whose materials were destroyed.
    #[serde(default)]
    pub destroyed: Vec<DestroyedRecord>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl FileRecord {
    /// How many bytes each account's keys and aliases take.
    pub fn bytes_by_account(&self) -> BTreeMap<&str, usize> {
        fn bytes(record: &impl Serialize) -> usize {
            serde_json::to_string(record).map_or(0, |text| text.len())
        }
        let accounts: BTreeMap<&str, &str> =
            self.keys.iter().map(|key| (key.id.as_str(), key.account.as_str())).collect();
        let keys = self.keys.iter().map(|key| (key.account.as_str(), bytes(key)));
        let aliases =
            self.aliases.iter().filter_map(|alias| Some((*accounts.get(alias.key_id.as_str())?, bytes(alias))));
        let mut sums = BTreeMap::new();
        for (account, bytes) in keys.chain(aliases) {
            *sums.entry(account).or_default() += bytes;
        }
        sums
    }
}

/// What tells a master key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MasterRecord {
    pub id: String,
    pub check: String,
}

/// A key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct KeyRecord {
    pub id: String,
    pub region: String,
    pub account: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
    #[serde(default)]
    pub manager: KeyManager,
    #[serde(default)]
    pub description: String,
    #[serde(with = "moment")]
    pub created_at: Stamp,
    pub state: StateRecord,
    /// When the materials are destroyed, of a key that waits for that.
    #[serde(default, with = "moment::optional", skip_serializing_if = "Option::is_none")]
    pub delete_at: Option<Stamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Oldest first.
    pub materials: Vec<MaterialRecord>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StateRecord {
    Enabled,
    Disabled,
    PendingDeletion,
}

/// A version of a key's material.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MaterialRecord {
    pub version: u32,
    #[serde(with = "moment")]
    pub created_at: Stamp,
    pub cause: Cause,
    /// Base64 of the material, sealed under the master key for this key and version.
    pub sealed: String,
}

/// An alias.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AliasRecord {
    pub name: String,
    pub key_id: String,
    #[serde(with = "moment")]
    pub created_at: Stamp,
    #[serde(with = "moment")]
    pub updated_at: Stamp,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl AliasRecord {
    /// Whether it is the one of this name that this key has.
    pub fn is(&self, name: &str, key_id: &str) -> bool {
        self.name == name && self.key_id == key_id
    }
}

/// A key that is no more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DestroyedRecord {
    pub id: String,
    pub region: String,
    pub account: String,
    #[serde(default)]
    pub description: String,
    #[serde(with = "moment")]
    pub destroyed_at: Stamp,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Times as RFC 3339 writes them.
pub(super) mod moment {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    use crate::names::Stamp;

    pub fn serialize<S: Serializer>(stamp: &Stamp, serializer: S) -> Result<S::Ok, S::Error> {
        stamp.rfc3339().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Stamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = OffsetDateTime::parse(&text, &Rfc3339).ok();
        let nanos = time.and_then(|time| u64::try_from(time.unix_timestamp_nanos()).ok());
        nanos
            .map(Stamp)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is no time since 1970 as RFC 3339 writes it")))
    }

    pub mod optional {
        use super::{Deserialize, Deserializer, Serializer, Stamp};

        pub fn serialize<S: Serializer>(stamp: &Option<Stamp>, serializer: S) -> Result<S::Ok, S::Error> {
            match stamp {
                Some(stamp) => super::serialize(stamp, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Stamp>, D::Error> {
            #[derive(Deserialize)]
            struct Moment(#[serde(with = "super")] Stamp);
            Ok(Option::<Moment>::deserialize(deserializer)?.map(|moment| moment.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_known_is_kept() {
        let file = json!({
            "format": 1,
            "master": {"id": "00", "check": "11"},
            "keys": [{
                "id": "x", "region": "r", "account": "a", "manager": "node", "description": "",
                "created_at": "2026-01-02T03:04:05.678901234Z", "state": "pending_deletion",
                "delete_at": "2026-02-02T03:04:05Z", "rotation": {"since": "2026-01-02T03:04:05Z", "period_days": 365},
                "materials": [{"version": 1, "created_at": "2026-01-02T03:04:05Z", "cause": "created", "sealed": "AA=="}],
                "note": "of a person",
            }],
            "aliases": [{
                "name": "alias/x", "key_id": "x", "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z",
                "colour": 1,
            }],
            "destroyed": [],
            "later": {"version": "knows"},
        });
        let record: FileRecord = serde_json::from_value(file.clone()).unwrap();
        assert_eq!(serde_json::to_value(&record).unwrap(), file);
        let empty: FileRecord = serde_json::from_value(json!({})).unwrap();
        assert_eq!((empty.format, empty.keys.len()), (0, 0));
        let mut wrong = file;
        wrong["keys"][0]["created_at"] = json!("yesterday");
        assert!(serde_json::from_value::<FileRecord>(wrong).unwrap_err().to_string().contains("yesterday"));
    }
}
