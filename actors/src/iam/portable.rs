//! The users, groups and managed policies of an account as a document that another node, or the same one later, takes in.
//!
//! It holds no access keys and no secrets: a file that is passed around must open nothing, and a sealed secret would be of use only
//! to a node that has the same `SECRET_KEY`. Who is taken in gets a new key; a whole node moves by a backup.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::directory::Directory;
use super::entries::{ManagedPolicy, UserSummary};
use super::error::IamError;
use super::naming::{Kind, scope};
use crate::bucket_config::QuotaLimits;
use crate::names::Stamp;
use crate::policy_engine::refuse_ambiguous;

/// What a document calls itself.
const FORMAT: &str = "myfsio-accounts-1";
/// Most users, groups and policies of a document, each.
const RECORDS_MAX: usize = 2_000;

/// The document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    format: String,
    /// When it was made, RFC 3339; only for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exported_at: Option<String>,
    /// Managed policies of the account.
    #[serde(default)]
    pub policies: Vec<PortablePolicy>,
    /// Its groups.
    #[serde(default)]
    pub groups: Vec<PortableGroup>,
    /// Its users, without the account's own.
    #[serde(default)]
    pub users: Vec<PortableUser>,
}

/// A managed policy, as it is in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortablePolicy {
    /// Its name.
    pub name: String,
    /// Its path in ARNs.
    #[serde(default = "root_path")]
    pub path: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The AWS policy document.
    pub document: Value,
}

/// A group. Who is in it stands with the users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortableGroup {
    /// Its name.
    pub name: String,
    /// Its path in ARNs.
    #[serde(default = "root_path")]
    pub path: String,
    /// Its own policies, in either form.
    #[serde(default = "no_policies")]
    pub policies: Value,
    /// Managed policies: those of the account by their names, AWS's own by their ARNs.
    #[serde(default)]
    pub attached_policies: Vec<String>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortableUser {
    /// Its name in ARNs, by which it is found again.
    pub user_name: String,
    /// Name for people; the user name where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Its path in ARNs.
    #[serde(default = "root_path")]
    pub path: String,
    /// Whether it may sign requests.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// When it ends: RFC 3339, or a date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Its own policies, in either form.
    #[serde(default = "no_policies")]
    pub policies: Value,
    /// Names of its groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// As those of groups.
    #[serde(default)]
    pub attached_policies: Vec<String>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// How much it may own.
    #[serde(default, skip_serializing_if = "QuotaLimits::is_unlimited")]
    pub quota: QuotaLimits,
}

fn root_path() -> String {
    "/".to_owned()
}

fn no_policies() -> Value {
    json!([])
}

fn yes() -> bool {
    true
}

impl PortableUser {
    /// Name for people.
    pub fn shown_name(&self) -> &str {
        self.display_name.as_deref().unwrap_or(&self.user_name)
    }

    /// When it ends. Errs: what stands there is no time.
    pub fn end(&self) -> Result<Option<Stamp>, IamError> {
        let Some(text) = self.expires_at.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        let end = Stamp::parse_time_or_date(text);
        end.map(Some).ok_or_else(|| IamError::invalid("expires_at", format!("`{text}` is no time")))
    }

    pub(super) fn of(user: &UserSummary, account_id: &str) -> Self {
        Self {
            user_name: user.user_name.clone(),
            display_name: Some(user.display_name.clone()).filter(|name| *name != user.user_name),
            path: user.path.clone(),
            enabled: user.is_enabled,
            expires_at: user.expires_at.map(Stamp::rfc3339),
            policies: user.policies.clone(),
            groups: user.groups.clone(),
            attached_policies: names_of(&user.attached_policies, account_id),
            tags: user.tags.iter().cloned().collect(),
            quota: user.quota,
        }
    }
}

/// Managed policies as the document names them.
pub(super) fn names_of(arns: &[String], account_id: &str) -> Vec<String> {
    let name = |arn: &String| match Kind::Policy.parse_arn(arn) {
        Some((own, _, name)) if own == account_id => name.to_owned(),
        _ => arn.clone(),
    };
    arns.iter().map(name).collect()
}

/// The document of a managed policy that is in force.
pub(super) fn document_of(policy: &ManagedPolicy) -> Value {
    policy.version(&policy.default_version_id).map(|version| version.document.clone()).unwrap_or_default()
}

impl Accounts {
    /// What an account has, without the account's own users. `at`: when.
    pub fn of(directory: &Directory, account_id: &str, at: Option<Stamp>) -> Self {
        let is_own = |owner: &Option<String>| owner.as_deref() == Some(account_id);
        let policies = directory.managed.iter().filter(|policy| is_own(&policy.account_id));
        let groups = directory.groups.iter().filter(|group| is_own(&group.account_id));
        let users = directory.users_of(account_id).filter(|user| !user.is_root);
        Self {
            format: FORMAT.to_owned(),
            exported_at: at.map(Stamp::rfc3339),
            policies: policies
                .map(|policy| PortablePolicy {
                    name: policy.name.clone(),
                    path: policy.path.clone(),
                    description: policy.description.clone(),
                    document: document_of(policy),
                })
                .collect(),
            groups: groups
                .map(|group| PortableGroup {
                    name: group.name.clone(),
                    path: group.path.clone(),
                    policies: group.policies.clone(),
                    attached_policies: names_of(&group.attached_policies, account_id),
                })
                .collect(),
            users: users.map(|user| PortableUser::of(user, account_id)).collect(),
        }
    }

    /// Reads a document. Errs: it is none, holds what nobody would know the meaning of, names something twice, or holds too much.
    pub fn parse(text: &str) -> Result<Self, IamError> {
        let refused = |reason: String| IamError::invalid("document", reason);
        refuse_ambiguous(text).map_err(|error| refused(error.to_string()))?;
        let read: Self = serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
        if read.format != FORMAT {
            return Err(refused(format!("its `format` must be `{FORMAT}`")));
        }
        let names = [
            ("policies", read.policies.iter().map(|policy| &*policy.name).collect::<Vec<_>>()),
            ("groups", read.groups.iter().map(|group| &*group.name).collect()),
            ("users", read.users.iter().map(|user| &*user.user_name).collect()),
            ("users", read.users.iter().map(PortableUser::shown_name).collect()),
        ];
        for (list, names) in names {
            if names.len() > RECORDS_MAX {
                return Err(refused(format!("`{list}` has more than {RECORDS_MAX}")));
            }
            let mut seen = HashSet::new();
            if let Some(twice) = names.iter().find(|name| !seen.insert(scope(None, name))) {
                return Err(refused(format!("`{list}` has `{twice}` twice")));
            }
        }
        Ok(read)
    }

    /// The document as JSON.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_say_each_thing_once() {
        let parse = |text: &str| Accounts::parse(text).map_err(|error| error.to_string());
        let ann = r#"{"format": "myfsio-accounts-1", "users": [{"user_name": "ann"}]}"#;
        let read = parse(ann).unwrap();
        let user = read.users.first().unwrap();
        assert_eq!((user.shown_name(), &*user.path, user.enabled, user.end().unwrap()), ("ann", "/", true, None));
        for (bad, why) in [
            ("{", "EOF"),
            (r#"{"users": []}"#, "format"),
            (r#"{"format": "other"}"#, "must be"),
            (r#"{"format": "myfsio-accounts-1", "users": [{"user_name": "a", "secret_key": "x"}]}"#, "secret_key"),
            (r#"{"format": "myfsio-accounts-1", "users": [{"user_name": "a"}, {"user_name": "A"}]}"#, "twice"),
            (r#"{"format": "myfsio-accounts-1", "format": "myfsio-accounts-1"}"#, "format"),
        ] {
            let refused = parse(bad).unwrap_err();
            assert!(refused.contains(why), "{bad}: {refused}");
        }
    }
}
