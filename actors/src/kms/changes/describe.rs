//! What is said of keys, and who may use them: descriptions, tags, policies.

use std::collections::{BTreeMap, BTreeSet};

use crate::kms::error::KmsError;
use crate::kms::messages::{Draft, KmsChange};
use crate::policy_engine::KeyPolicy;

/// Most characters of a description.
pub const DESCRIPTION_CHARACTERS_MAX: usize = 8192;
/// Most tags of a key.
pub const TAGS_MAX: usize = 50;
const TAG_NAME_CHARACTERS_MAX: usize = 128;
const TAG_VALUE_CHARACTERS_MAX: usize = 256;

/// Says what a key is for (KMS API Reference, UpdateKeyDescription). Errs: PendingDeletion, Validation.
#[derive(Debug)]
pub(in crate::kms) struct UpdateDescription {
    pub key: String,
    pub description: String,
}

impl KmsChange for UpdateDescription {
    type Answer = String;

    fn action(&self) -> &'static str {
        "kms:UpdateKeyDescription"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<String, KmsError> {
        check_description(&self.description)?;
        let (key, record) = draft.key(&self.key)?;
        key.check_managed_by_customer("its description cannot be changed")?;
        key.check_stays()?;
        record.description.clone_from(&self.description);
        Ok(key.id.clone())
    }
}

/// Gives a key a policy (KMS API Reference, PutKeyPolicy), or the default one. Errs: MalformedPolicy, ManagedByNode.
#[derive(Debug)]
pub(in crate::kms) struct PutPolicy {
    pub key: String,
    pub policy: Option<String>,
}

impl KmsChange for PutPolicy {
    type Answer = String;

    fn action(&self) -> &'static str {
        "kms:PutKeyPolicy"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<String, KmsError> {
        if let Some(policy) = &self.policy {
            check_policy(policy)?;
        }
        let (key, record) = draft.key(&self.key)?;
        key.check_managed_by_customer("its policy cannot be changed")?;
        record.policy.clone_from(&self.policy);
        Ok(key.id.clone())
    }
}

/// Adds tags, or changes those of the same names (KMS API Reference, TagResource). Errs: PendingDeletion, ManagedByNode, Tag,
/// LimitExceeded.
#[derive(Debug)]
pub(in crate::kms) struct Tag {
    pub key: String,
    pub tags: Vec<(String, String)>,
}

impl KmsChange for Tag {
    type Answer = String;

    fn action(&self) -> &'static str {
        "kms:TagResource"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<String, KmsError> {
        let (key, record) = draft.key(&self.key)?;
        key.check_managed_by_customer("it has no tags")?;
        key.check_stays()?;
        check_tags(&self.tags, &key.tags)?;
        record.tags.extend(self.tags.iter().cloned());
        Ok(key.id.clone())
    }
}

/// Removes tags; those that are not there are none (KMS API Reference, UntagResource). Errs: PendingDeletion, ManagedByNode, Tag.
#[derive(Debug)]
pub(in crate::kms) struct Untag {
    pub key: String,
    pub names: Vec<String>,
}

impl KmsChange for Untag {
    type Answer = String;

    fn action(&self) -> &'static str {
        "kms:UntagResource"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<String, KmsError> {
        let (key, record) = draft.key(&self.key)?;
        key.check_managed_by_customer("it has no tags")?;
        key.check_stays()?;
        for name in &self.names {
            check_tag(name, "")?;
        }
        record.tags.retain(|name, _| !self.names.contains(name));
        Ok(key.id.clone())
    }
}

pub(super) fn check_description(description: &str) -> Result<(), KmsError> {
    match description.chars().count() <= DESCRIPTION_CHARACTERS_MAX {
        true => Ok(()),
        false => Err(KmsError::out_of_range("description", "...", "length less than or equal to 8192")),
    }
}

pub(super) fn check_policy(policy: &str) -> Result<(), KmsError> {
    match KeyPolicy::new(policy.into()).mistake() {
        None => Ok(()),
        Some(mistake) => Err(KmsError::MalformedPolicy(mistake.to_string())),
    }
}

/// Errs unless `tags` may be added to those that are there: Tag, LimitExceeded.
pub(super) fn check_tags(tags: &[(String, String)], present: &BTreeMap<String, String>) -> Result<(), KmsError> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for (name, value) in tags {
        check_tag(name, value)?;
        if !names.insert(name) {
            return Err(KmsError::Tag(format!("Tag key {name} is given twice.")));
        }
    }
    names.extend(present.keys().map(String::as_str));
    match names.len() <= TAGS_MAX {
        true => Ok(()),
        false => Err(KmsError::LimitExceeded(format!("A key has at most {TAGS_MAX} tags."))),
    }
}

fn check_tag(name: &str, value: &str) -> Result<(), KmsError> {
    let is_good = |c: char| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c);
    let refused = |reason: &str| Err(KmsError::Tag(reason.to_owned()));
    if name.is_empty() || name.chars().count() > TAG_NAME_CHARACTERS_MAX {
        return refused("Tag keys have 1 to 128 characters.");
    }
    if value.chars().count() > TAG_VALUE_CHARACTERS_MAX {
        return refused("Tag values have at most 256 characters.");
    }
    if name.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
        return refused("Tag keys that begin with aws: are reserved.");
    }
    match name.chars().chain(value.chars()).all(is_good) {
        true => Ok(()),
        false => refused("Tags are made of letters, digits, spaces and the characters _.:/=+-@."),
    }
}
