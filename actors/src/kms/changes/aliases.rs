//! Names for keys (KMS Developer Guide, "Aliases"). Each is one of its key's account, whoever made it.

use serde_json::Map;

use crate::kms::error::KmsError;
use crate::kms::key::{Alias, KmsKey};
use crate::kms::messages::{Draft, KmsChange};
use crate::kms::name::check_alias;
use crate::kms::records::AliasRecord;

/// Most aliases of a key.
const ALIASES_MAX: usize = 50;

/// Gives a key an alias (KMS API Reference, CreateAlias). Errs: AlreadyExists, InvalidAliasName, ReservedAlias, PendingDeletion,
/// LimitExceeded.
#[derive(Debug)]
pub(in crate::kms) struct CreateAlias {
    pub alias: String,
    pub key: String,
}

impl KmsChange for CreateAlias {
    type Answer = ();

    fn action(&self) -> &'static str {
        "kms:CreateAlias"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), KmsError> {
        let key = draft.keyring.find(&self.key)?;
        check_free(&self.alias, &key.account, draft)?;
        let id = target(key)?;
        add_alias(&self.alias, &id, draft);
        Ok(())
    }
}

/// Gives an alias of a key's account to the key (KMS API Reference, UpdateAlias). Errs: NotFound, ReservedAlias, PendingDeletion,
/// LimitExceeded.
#[derive(Debug)]
pub(in crate::kms) struct UpdateAlias {
    pub alias: String,
    pub key: String,
}

impl KmsChange for UpdateAlias {
    type Answer = ();

    fn action(&self) -> &'static str {
        "kms:UpdateAlias"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), KmsError> {
        check_alias(&self.alias)?;
        let key = draft.keyring.find(&self.key)?;
        let former = own_alias(&self.alias, &key.account, draft)?.key_id.clone();
        let id = target(key)?;
        let now = draft.now;
        if let Some(record) = draft.file.aliases.iter_mut().find(|alias| alias.is(&self.alias, &former) && former != id)
        {
            record.key_id = id;
            record.updated_at = now;
        }
        Ok(())
    }
}

/// Takes an alias of an account away; its key stays (KMS API Reference, DeleteAlias). Errs: NotFound, ReservedAlias.
#[derive(Debug)]
pub(in crate::kms) struct DeleteAlias {
    pub account: String,
    pub alias: String,
}

impl KmsChange for DeleteAlias {
    type Answer = ();

    fn action(&self) -> &'static str {
        "kms:DeleteAlias"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), KmsError> {
        check_alias(&self.alias)?;
        let key_id = &own_alias(&self.alias, &self.account, draft)?.key_id;
        draft.file.aliases.retain(|alias| !alias.is(&self.alias, key_id));
        Ok(())
    }
}

/// The alias of an account. Errs: NotFound.
fn own_alias<'a>(alias: &str, account: &str, draft: &Draft<'a>) -> Result<&'a Alias, KmsError> {
    let found = draft.keyring.alias(account, alias);
    found.ok_or_else(|| KmsError::NotFound(format!("Alias {alias} is not found.")))
}

/// Errs unless a client may make this alias in an account: AlreadyExists, InvalidAliasName, ReservedAlias.
pub(super) fn check_free(alias: &str, account: &str, draft: &Draft<'_>) -> Result<(), KmsError> {
    check_alias(alias)?;
    match draft.keyring.alias(account, alias) {
        Some(alias) => Err(KmsError::AlreadyExists { arn: alias.arn.clone() }),
        None => Ok(()),
    }
}

pub(super) fn add_alias(alias: &str, key_id: &str, draft: &mut Draft<'_>) {
    draft.file.aliases.push(AliasRecord {
        name: alias.to_owned(),
        key_id: key_id.to_owned(),
        created_at: draft.now,
        updated_at: draft.now,
        other: Map::new(),
    });
}

/// Id of a key that may be given one more alias.
fn target(key: &KmsKey) -> Result<String, KmsError> {
    key.check_stays()?;
    if key.aliases.len() >= ALIASES_MAX {
        let arn = &key.arn;
        return Err(KmsError::LimitExceeded(format!("{arn} has {ALIASES_MAX} aliases, as many as a key may have.")));
    }
    Ok(key.id.clone())
}
