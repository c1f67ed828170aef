//! Tags of users, roles, managed policies and identity providers.

use serde_json::{Map, Value};

use super::managed::own_policy;
use crate::iam::directory::Directory;
use crate::iam::document::{record, set};
use crate::iam::entries::{Named, Tags, WhichUser};
use crate::iam::error::IamError;
use crate::iam::grants::Permission;
use crate::iam::messages::{Draft, IamChange};
use crate::names::CanonicalId;

/// Most tags of one thing, and the longest of their texts (IAM User Guide, "Tags for IAM resources").
const TAGS_MAX: usize = 50;
const KEY_CHARACTERS_MAX: usize = 128;
const VALUE_CHARACTERS_MAX: usize = 256;

/// What has tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taggable {
    /// A user.
    User(WhichUser),
    /// A role.
    Role(Named),
    /// A managed policy of this account, by its ARN.
    Policy {
        /// Whose it must be.
        account_id: String,
        /// Its ARN.
        arn: String,
    },
    /// An identity provider of this account, by its ARN.
    Provider {
        /// Whose it must be.
        account_id: String,
        /// Its ARN.
        arn: String,
    },
}

fn check(key: &str, value: &str) -> Result<(), IamError> {
    let is_good = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    let fits = |text: &str, max: usize| text.chars().count() <= max && text.chars().all(is_good);
    if key.is_empty() || !fits(key, KEY_CHARACTERS_MAX) || key.to_ascii_lowercase().starts_with("aws:") {
        let reason = "a key has 1 to 128 letters, digits, spaces, or of `_.:/=+-@`, and does not begin with `aws:`";
        return Err(IamError::invalid("tags", reason));
    }
    match fits(value, VALUE_CHARACTERS_MAX) {
        true => Ok(()),
        false => Err(IamError::invalid("tags", "a value has at most 256 letters, digits, spaces, or of `_.:/=+-@`")),
    }
}

/// The tags that something has after these are put to it: none is no field. Keys differ by more than letter case. Errs: InvalidInput,
/// LimitExceeded.
pub(super) fn tags_value(old: &[(String, String)], new: &Tags, quota: &str) -> Result<Option<Value>, IamError> {
    let mut tags: Map<String, Value> =
        old.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
    for (index, (key, value)) in new.iter().enumerate() {
        check(key, value)?;
        if new.iter().take(index).any(|(other, _)| other.eq_ignore_ascii_case(key)) {
            return Err(IamError::invalid("tags", format!("the key {key} stands twice")));
        }
        tags.retain(|other, _| !other.eq_ignore_ascii_case(key));
        tags.insert(key.clone(), Value::from(value.as_str()));
    }
    match tags.len() {
        0 => Ok(None),
        1..=TAGS_MAX => Ok(Some(Value::Object(tags))),
        _ => Err(IamError::LimitExceeded(format!("Cannot exceed quota for {quota}: {TAGS_MAX}"))),
    }
}

/// Something with its tags, found.
struct Found<'a> {
    list: &'static str,
    place: usize,
    arn: String,
    tags: &'a Tags,
}

impl Taggable {
    fn find<'a>(&self, draft: &Draft<'a>) -> Result<Found<'a>, IamError> {
        let directory = draft.directory;
        match self {
            Self::User(which) => {
                let (place, user) = directory.find_user(which)?;
                Ok(Found { list: "users", place, arn: user.arn(), tags: &user.tags })
            }
            Self::Role(Named { account_id, name }) => {
                let role = directory.role(account_id, name)?;
                Ok(Found { list: "roles", place: role.place, arn: role.arn(), tags: &role.tags })
            }
            Self::Policy { account_id, arn } => {
                let (place, policy) = own_policy(directory, account_id, arn)?;
                Ok(Found { list: "managed_policies", place, arn: policy.arn(account_id), tags: &policy.tags })
            }
            Self::Provider { account_id, arn } => {
                let provider = super::providers::own_provider(directory, account_id, arn)?;
                let place = provider.place;
                Ok(Found { list: "oidc_providers", place, arn: provider.arn(), tags: &provider.tags })
            }
        }
    }

    /// What its tags say may decide what its policies allow, so they are changed as those are.
    fn takes_by_grant(&self, action: &'static str, directory: &Directory, caller: &CanonicalId) -> Vec<Permission> {
        match self {
            Self::User(which) => directory.to_change_user(action, which, caller),
            Self::Role(role) => directory.to_change_role(action, role),
            Self::Policy { .. } | Self::Provider { .. } => Vec::new(),
        }
    }

    fn quota(&self) -> &'static str {
        match self {
            Self::User(_) => "TagsPerUser",
            Self::Role(_) => "TagsPerRole",
            Self::Policy { .. } => "TagsPerPolicy",
            Self::Provider { .. } => "TagsPerOpenIDConnectProvider",
        }
    }
}

/// Puts tags to something, in the place of those with the same keys (IAM API Reference, TagUser, TagRole, TagPolicy,
/// TagOpenIDConnectProvider). Errs: NoSuchEntity, InvalidInput, LimitExceeded, UnmodifiableEntity.
#[derive(Debug, Clone)]
pub struct Tag {
    /// What.
    pub what: Taggable,
    /// The tags.
    pub tags: Tags,
}

impl IamChange for Tag {
    type Answer = ();

    fn action(&self) -> &'static str {
        match self.what {
            Taggable::User(_) => "iam:TagUser",
            Taggable::Role(_) => "iam:TagRole",
            Taggable::Policy { .. } => "iam:TagPolicy",
            Taggable::Provider { .. } => "iam:TagOpenIDConnectProvider",
        }
    }

    fn takes_by_grant(&self, directory: &Directory, caller: &CanonicalId) -> Vec<Permission> {
        self.what.takes_by_grant(self.action(), directory, caller)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let found = self.what.find(draft)?;
        let tags = tags_value(found.tags, &self.tags, self.what.quota())?;
        draft.target = found.arn;
        set(record(draft.document, found.list, found.place)?, "tags", tags);
        Ok(())
    }
}

/// Removes tags by their keys, also those that are not there (IAM API Reference, UntagUser, UntagRole, UntagPolicy,
/// UntagOpenIDConnectProvider). Errs: NoSuchEntity, UnmodifiableEntity.
#[derive(Debug, Clone)]
pub struct Untag {
    /// Of what.
    pub what: Taggable,
    /// Keys of the tags.
    pub keys: Vec<String>,
}

impl IamChange for Untag {
    type Answer = ();

    fn action(&self) -> &'static str {
        match self.what {
            Taggable::User(_) => "iam:UntagUser",
            Taggable::Role(_) => "iam:UntagRole",
            Taggable::Policy { .. } => "iam:UntagPolicy",
            Taggable::Provider { .. } => "iam:UntagOpenIDConnectProvider",
        }
    }

    fn takes_by_grant(&self, directory: &Directory, caller: &CanonicalId) -> Vec<Permission> {
        self.what.takes_by_grant(self.action(), directory, caller)
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let found = self.what.find(draft)?;
        draft.target = found.arn;
        let stays = |tag: &&(String, String)| !self.keys.iter().any(|key| key.eq_ignore_ascii_case(&tag.0));
        let left: Map<String, Value> =
            found.tags.iter().filter(stays).map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
        let left = (!left.is_empty()).then_some(Value::Object(left));
        set(record(draft.document, found.list, found.place)?, "tags", left);
        Ok(())
    }
}
