//! New keys.

use std::collections::BTreeMap;

use serde_json::Map;

use super::aliases::{add_alias, check_free};
use super::describe::{check_description, check_policy, check_tags};
use super::rotation::new_material;
use crate::kms::error::KmsError;
use crate::kms::key::{Cause, KeyManager, Rotation};
use crate::kms::messages::{Draft, KmsChange};
use crate::kms::name::{DEFAULT_ALIAS, NODE_ACCOUNT, new_id};
use crate::kms::records::{KeyRecord, StateRecord};

/// Most keys of a node.
const KEYS_MAX: usize = 10_000;
/// Most keys of an account, so that none can use up those of the node.
const KEYS_OF_ACCOUNT_MAX: usize = 1000;
/// How often the node's own key is rotated, in days (KMS Developer Guide, "AWS managed keys").
const DEFAULT_KEY_ROTATION_DAYS: u32 = 365;

/// Makes a key (KMS API Reference, CreateKey). Errs: LimitExceeded, AlreadyExists, InvalidAliasName, ReservedAlias, Tag,
/// MalformedPolicy, Validation.
#[derive(Debug, Clone, Default)]
pub struct CreateKey {
    /// Its first alias, with the prefix `alias/`.
    pub alias: Option<String>,
    /// What it is for.
    pub description: String,
    /// Names and values.
    pub tags: Vec<(String, String)>,
    /// Its policy, JSON; none: the default one.
    pub policy: Option<String>,
    /// The account that it belongs to.
    pub account: String,
    /// ARN of who makes it.
    pub creator: Option<String>,
}

impl KmsChange for CreateKey {
    /// Its id.
    type Answer = String;

    fn action(&self) -> &'static str {
        "kms:CreateKey"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<String, KmsError> {
        if let Some(alias) = &self.alias {
            check_free(alias, &self.account, draft)?;
        }
        if draft.file.keys.len() >= KEYS_MAX {
            return Err(KmsError::LimitExceeded(format!("A node has at most {KEYS_MAX} keys.")));
        }
        if draft.file.keys.iter().filter(|key| key.account == self.account).count() >= KEYS_OF_ACCOUNT_MAX {
            return Err(KmsError::LimitExceeded(format!("An account has at most {KEYS_OF_ACCOUNT_MAX} keys.")));
        }
        check_description(&self.description)?;
        check_tags(&self.tags, &BTreeMap::new())?;
        if let Some(policy) = &self.policy {
            check_policy(policy)?;
        }
        let id = add_key(draft, |record| {
            record.account.clone_from(&self.account);
            record.creator.clone_from(&self.creator);
            record.description.clone_from(&self.description);
            record.policy.clone_from(&self.policy);
            record.tags = self.tags.iter().cloned().collect();
        })?;
        if let Some(alias) = &self.alias {
            add_alias(alias, &id, draft);
        }
        Ok(id)
    }
}

/// Makes the key under which S3 seals when none is named, unless it is there. It is the node's own and has no part in the limit of
/// keys.
#[derive(Debug)]
pub(in crate::kms) struct EnsureDefaultKey;

impl KmsChange for EnsureDefaultKey {
    /// Its id.
    type Answer = String;

    fn action(&self) -> &'static str {
        "kms:CreateKey"
    }

    fn is_upkeep(&self) -> bool {
        true
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<String, KmsError> {
        if let Some(alias) = draft.keyring.alias(NODE_ACCOUNT, DEFAULT_ALIAS) {
            return Ok(alias.key_id.clone());
        }
        let rotation = Rotation { since: draft.now, period_days: DEFAULT_KEY_ROTATION_DAYS };
        let id = add_key(draft, |record| {
            NODE_ACCOUNT.clone_into(&mut record.account);
            record.manager = KeyManager::Node;
            "Default key that protects objects when no other key is named".clone_into(&mut record.description);
            record.rotation = Some(rotation);
        })?;
        add_alias(DEFAULT_ALIAS, &id, draft);
        Ok(id)
    }
}

/// A new key with one material, whatever `fill` makes of it beside. Answers its id.
fn add_key(draft: &mut Draft<'_>, fill: impl FnOnce(&mut KeyRecord)) -> Result<String, KmsError> {
    let mut record = KeyRecord {
        id: new_id()?,
        region: draft.region.to_owned(),
        account: String::new(),
        creator: None,
        manager: KeyManager::Customer,
        description: String::new(),
        created_at: draft.now,
        state: StateRecord::Enabled,
        delete_at: None,
        rotation: None,
        policy: None,
        tags: BTreeMap::new(),
        materials: Vec::new(),
        other: Map::new(),
    };
    fill(&mut record);
    new_material(&mut record, Cause::Created, draft.masters, draft.now)?;
    let id = record.id.clone();
    draft.file.keys.push(record);
    Ok(id)
}
