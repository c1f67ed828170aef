//! A key as the rest of the node sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::KmsError;
use super::records::moment;
use crate::encryption::DataKey;
use crate::names::Stamp;
use crate::policy_engine::KeyPolicy;

/// A KMS key: symmetric, for encryption and decryption (`SYMMETRIC_DEFAULT`, `ENCRYPT_DECRYPT`). Printing one shows no material.
#[derive(Debug, Clone)]
pub struct KmsKey {
    /// Its id, a UUID.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// The region in its ARN: that of the node when it was made.
    pub region: String,
    /// The account that it belongs to.
    pub account: String,
    /// ARN of who made it; none of the node's own.
    pub creator: Option<String>,
    /// Whose it is to manage.
    pub manager: KeyManager,
    /// What somebody wrote about it.
    pub description: String,
    /// By name.
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Stamp,
    /// What it may do.
    pub state: KeyState,
    /// How it is rotated by itself; none: not at all.
    pub rotation: Option<Rotation>,
    /// Its policy; none: the default one, by which its account decides.
    pub policy: Option<Arc<KeyPolicy>>,
    /// Its aliases, in order.
    pub aliases: Vec<String>,
    /// Oldest first; never empty.
    pub(super) materials: Vec<Material>,
}

/// Whose a key is to manage (KMS API Reference, KeyMetadata, KeyManager).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyManager {
    /// Whoever may by its policy (`CUSTOMER`).
    #[default]
    Customer,
    /// The node's: the key under which S3 seals when none is named (`AWS`).
    Node,
}

/// What a key may do (KMS Developer Guide, "Key states").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Everything.
    Enabled,
    /// Nothing until it is enabled.
    Disabled,
    /// Nothing; its materials are destroyed then, unless that is cancelled before.
    PendingDeletion {
        /// When.
        at: Stamp,
    },
}

/// Automatic rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// When it was turned on, or last done.
    #[serde(with = "moment")]
    pub since: Stamp,
    /// How often, in days.
    pub period_days: u32,
}

impl Rotation {
    /// When the next material is made.
    pub fn next(&self) -> Stamp {
        self.since.after(u64::from(self.period_days) * 86_400)
    }
}

/// A version of a key's material.
#[derive(Debug, Clone)]
pub struct Material {
    /// Which; the first is 1.
    pub version: u32,
    /// When it was made.
    pub created_at: Stamp,
    /// Why.
    pub cause: Cause,
    pub(super) key: DataKey,
}

/// Why there is a material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The key was made.
    Created,
    /// Its time had come (`AUTOMATIC`).
    Automatic,
    /// Somebody asked for it (`ON_DEMAND`).
    OnDemand,
}

/// An alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// Its name, with the prefix `alias/`.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Id of the key that it stands for.
    pub key_id: String,
    /// When it was made.
    pub created_at: Stamp,
    /// When it was last given a key.
    pub updated_at: Stamp,
}

impl KmsKey {
    /// Every version of its material, oldest first.
    pub fn materials(&self) -> &[Material] {
        &self.materials
    }

    /// The material that seals; the other ones only open. Errs for a key without any, which is none.
    pub(super) fn newest(&self) -> Result<&Material, KmsError> {
        self.materials.last().ok_or_else(|| KmsError::NotFound(format!("Key '{}' does not exist", self.arn)))
    }

    pub(super) fn material(&self, version: u32) -> Option<&Material> {
        self.materials.iter().find(|material| material.version == version)
    }

    /// Errs unless it may seal and open: Disabled, PendingDeletion.
    pub fn check_usable(&self) -> Result<(), KmsError> {
        match self.state {
            KeyState::Enabled => Ok(()),
            KeyState::Disabled => Err(KmsError::Disabled { arn: self.arn.clone() }),
            KeyState::PendingDeletion { .. } => self.check_stays(),
        }
    }

    /// Errs while it waits for its deletion: PendingDeletion.
    pub fn check_stays(&self) -> Result<(), KmsError> {
        match self.state {
            KeyState::PendingDeletion { .. } => Err(KmsError::PendingDeletion { arn: self.arn.clone() }),
            KeyState::Enabled | KeyState::Disabled => Ok(()),
        }
    }

    /// Errs unless it is its account's to change: ManagedByNode.
    pub(super) fn check_managed_by_customer(&self, what: &'static str) -> Result<(), KmsError> {
        match self.manager {
            KeyManager::Customer => Ok(()),
            KeyManager::Node => Err(KmsError::ManagedByNode { arn: self.arn.clone(), what }),
        }
    }
}
