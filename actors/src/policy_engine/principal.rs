//! Whom a statement of a bucket policy means (IAM User Guide, "AWS JSON policy elements: Principal").
//!
//! Naming an account (`123456789012` or `arn:aws:iam::123456789012:root`) gives its root the right, and lets the account
//! give it on to its users; naming a user gives it to that user. A deny for an account is one for everybody in it; as an exception
//! from a deny an account stands for its root alone, so that each user or role that is to be spared has to be named itself.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::InvalidPolicy;
use crate::iam::Principal;
use crate::names::CanonicalId;

/// Most principals of one statement.
const NAMES_MAX: usize = 1000;

/// Canonical ids of users and roles by the names that a policy has for them.
pub(super) type PrincipalIds = BTreeMap<String, CanonicalId>;

/// Those ids as files keep them: an object of texts. None for anything else.
pub(super) fn principal_ids(value: &Value) -> Option<PrincipalIds> {
    let entry = |(name, id): (&String, &Value)| Some((name.clone(), CanonicalId::parse(id.as_str()?).ok()?));
    value.as_object()?.iter().map(entry).collect()
}

/// How a caller is meant by a statement, in ascending strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Meant {
    Not,
    /// As a member of a named account.
    ByAccount,
    Directly,
}

/// One name in `Principal`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Everyone,
    Account(String),
    User {
        account: String,
        /// Path and user name, such as `team/ann`.
        path_and_name: String,
    },
    Canonical(CanonicalId),
    /// User id, access key id, or a display name that only one user has.
    Bare(String),
    /// Everybody who assumes a role.
    Role {
        account: String,
        path_and_name: String,
    },
    /// One session of a role.
    RoleSession {
        account: String,
        role: String,
        session: String,
    },
    /// A user or role that another name meant when the policy was put, whoever goes by that name since.
    Tied {
        id: CanonicalId,
        /// The session of the role that alone is meant.
        session: Option<String>,
        /// Whether the name was an ARN.
        by_arn: bool,
    },
    /// Who is known to this identity provider, by its ARN or name; for trust policies of roles.
    Federated(String),
    /// A service of AWS, such as `logging.s3.amazonaws.com`: never the caller of a request.
    Service(String),
    /// A federated user, or a tenant of another system: nobody on this node.
    Other,
}

/// `Principal` or `NotPrincipal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PrincipalClause {
    names: Vec<Name>,
    negated: bool,
}

impl PrincipalClause {
    /// Parses the value of `Principal` (or of `NotPrincipal`, when `negated`).
    pub fn parse(value: &Value, negated: bool, place: &str) -> Result<Self, InvalidPolicy> {
        let mut names = Vec::new();
        match value {
            Value::String(text) if text == "*" => names.push(Name::Everyone),
            Value::Object(kinds) if !kinds.is_empty() => {
                for (kind, values) in kinds {
                    let place = format!("{place}.{kind}");
                    for text in texts(values, &place)? {
                        names.push(parse_name(kind, text, &place)?);
                    }
                }
            }
            _ => return Err(InvalidPolicy::new(place, "must be \"*\" or an object such as {\"AWS\": …}")),
        }
        if names.len() > NAMES_MAX {
            return Err(InvalidPolicy::new(place, format!("names more than {NAMES_MAX} principals")));
        }
        Ok(Self { names, negated })
    }

    /// How the caller is meant; `None` is the anonymous caller.
    pub fn means(&self, caller: Option<&Principal>) -> Meant {
        let strongest = self.names.iter().map(|name| name.means(caller)).max().unwrap_or(Meant::Not);
        match (self.negated, strongest) {
            (false, meant) => meant,
            (true, Meant::Directly) => Meant::Not,
            (true, Meant::Not | Meant::ByAccount) => Meant::Directly,
        }
    }

    /// Whether it names the caller, its role or its session by its ARN.
    pub fn names(&self, caller: &Principal) -> bool {
        let is_arn = |name: &Name| match name {
            Name::User { .. } | Name::Role { .. } | Name::RoleSession { .. } => true,
            Name::Tied { by_arn, .. } => *by_arn,
            _ => false,
        };
        self.names.iter().any(|name| is_arn(name) && name.means(Some(caller)) != Meant::Not)
    }

    /// Whether somebody is meant whom it does not name.
    pub fn is_open(&self) -> bool {
        self.negated || self.names.contains(&Name::Everyone)
    }

    /// Whether a service is meant that the node does the work of.
    pub fn means_service(&self, service: &str) -> bool {
        let named = |name: &Name| match name {
            Name::Everyone => true,
            Name::Service(text) => text == service,
            _ => false,
        };
        self.negated != self.names.iter().any(named)
    }

    /// Whether it names one session of a role, and this caller is that.
    pub fn names_session(&self, caller: &Principal) -> bool {
        let is_session = |name: &Name| {
            let names_one = matches!(name, Name::RoleSession { .. } | Name::Tied { session: Some(_), .. });
            names_one && name.means(Some(caller)) != Meant::Not
        };
        !self.negated && self.names.iter().any(is_session)
    }

    /// Whether whoever this identity provider knows is meant. `provider` is its ARN, behind `oidc-provider/` its name.
    pub fn means_federated(&self, provider: &str) -> bool {
        let bare = provider.split_once(":oidc-provider/").map(|(_, name)| name);
        let named = |name: &Name| match name {
            Name::Everyone => true,
            Name::Federated(text) => text == provider || Some(text.as_str()) == bare,
            _ => false,
        };
        self.negated != self.names.iter().any(named)
    }

    /// The names that users and roles go by, and others may go by later, each as one text.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.names.iter().filter_map(Name::text)
    }

    /// Ties names to whom they meant when the policy was put: `ids` has their canonical ids by [`Self::texts`].
    pub fn tie(&mut self, ids: &PrincipalIds) {
        for name in &mut self.names {
            let Some(id) = name.text().and_then(|text| ids.get(&text)).cloned() else { continue };
            let by_arn = !matches!(name, Name::Bare(_));
            let session = match name {
                Name::RoleSession { session, .. } => Some(std::mem::take(session)),
                _ => None,
            };
            *name = Name::Tied { id, session, by_arn };
        }
    }

    /// Names that are neither ARNs nor ids of accounts, and so must be known to the node.
    pub fn bare_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter_map(|name| match name {
            Name::Bare(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

impl Name {
    /// As one text, where it is the name of a user or role.
    fn text(&self) -> Option<String> {
        match self {
            Self::User { account, path_and_name } => Some(format!("arn:aws:iam::{account}:user/{path_and_name}")),
            Self::Role { account, path_and_name } => Some(format!("arn:aws:iam::{account}:role/{path_and_name}")),
            Self::RoleSession { account, role, session } => {
                Some(format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"))
            }
            Self::Bare(text) => Some(text.clone()),
            _ => None,
        }
    }

    fn means(&self, caller: Option<&Principal>) -> Meant {
        let Some(caller) = caller else {
            return if *self == Self::Everyone { Meant::Directly } else { Meant::Not };
        };
        let directly = |yes| if yes { Meant::Directly } else { Meant::Not };
        match self {
            Self::Everyone => Meant::Directly,
            Self::Account(account) if *account != caller.account_id => Meant::Not,
            Self::Account(_) => {
                if caller.is_root {
                    Meant::Directly
                } else {
                    Meant::ByAccount
                }
            }
            Self::User { account, path_and_name } => {
                let is_user = caller.role.is_none() && *account == caller.account_id;
                directly(is_user && caller.has_path_and_name(path_and_name))
            }
            Self::Role { account, path_and_name } => {
                let is_role = caller.role.is_some() && *account == caller.account_id;
                directly(is_role && caller.has_path_and_name(path_and_name))
            }
            Self::RoleSession { account, role, session } => directly(
                *account == caller.account_id
                    && *role == caller.user_name
                    && caller.role.as_ref().is_some_and(|own| own.session_name == *session),
            ),
            Self::Canonical(id) => directly(*id == caller.user_id),
            Self::Tied { id, session, .. } => {
                let own = caller.role.as_ref().map(|role| &role.session_name);
                directly(*id == caller.user_id && session.as_ref().is_none_or(|session| own == Some(session)))
            }
            Self::Bare(text) => directly(caller.is_called(text)),
            Self::Federated(_) | Self::Service(_) | Self::Other => Meant::Not,
        }
    }
}

/// A text, or a list of at least one text.
pub(super) fn texts<'a>(value: &'a Value, place: &str) -> Result<Vec<&'a str>, InvalidPolicy> {
    let list = match value {
        Value::Array(list) if !list.is_empty() => list.as_slice(),
        Value::Array(_) => return Err(InvalidPolicy::new(place, "is an empty list")),
        single => std::slice::from_ref(single),
    };
    let as_text = |value: &'a Value| value.as_str();
    list.iter()
        .map(as_text)
        .collect::<Option<Vec<&str>>>()
        .ok_or_else(|| InvalidPolicy::new(place, "must be a text or a list of texts"))
}

/// Whether `text` is an AWS account id: twelve digits.
pub(crate) fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether `text` could be the name of a tenant, and can be mistaken for no account: it has a letter.
fn is_tenant(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && text.bytes().any(|b| b.is_ascii_alphabetic())
}

fn parse_name(kind: &str, text: &str, place: &str) -> Result<Name, InvalidPolicy> {
    let invalid = |reason: &str| InvalidPolicy::new(place, format!("`{text}` {reason}"));
    match kind {
        "AWS" => parse_aws(text).map_err(invalid),
        "CanonicalUser" => CanonicalId::parse(&text.to_ascii_lowercase())
            .map(Name::Canonical)
            .map_err(|_| invalid("is not a canonical user id (64 hexadecimal digits)")),
        "Service" if !text.is_empty() => Ok(Name::Service(text.to_owned())),
        "Federated" if !text.is_empty() => Ok(Name::Federated(text.to_owned())),
        "Service" | "Federated" => Err(invalid("is empty")),
        _ => Err(InvalidPolicy::new(place, "is not a kind of principal (AWS, CanonicalUser, Federated, Service)")),
    }
}

fn parse_aws(text: &str) -> Result<Name, &'static str> {
    if text == "*" {
        return Ok(Name::Everyone);
    }
    if is_account_id(text) {
        return Ok(Name::Account(text.to_owned()));
    }
    if !text.starts_with("arn:") {
        let plain = (1..=128).contains(&text.len()) && !text.contains(['*', '?']) && !text.contains(char::is_control);
        return if plain { Ok(Name::Bare(text.to_owned())) } else { Err("names no principal") };
    }
    let mut parts = text.splitn(6, ':').skip(1);
    let (partition, service) = (parts.next(), parts.next());
    let (region, account, resource) = (parts.next(), parts.next(), parts.next());
    let (Some("aws" | "aws-cn" | "aws-us-gov"), Some(service), Some(""), Some(account), Some(resource)) =
        (partition, service, region, account, resource)
    else {
        return Err("is a malformed ARN");
    };
    if resource.contains(['*', '?']) {
        return Err("has a wildcard; only \"*\" alone is allowed");
    }
    let user = resource.strip_prefix("user/").filter(|rest| !rest.is_empty() && !rest.ends_with('/'));
    match (service, user) {
        // Without an account, as Ceph writes it: a user by one of its own names.
        ("iam", Some(user)) if account.is_empty() => Ok(Name::Bare(user.to_owned())),
        // Ceph's tenants: accounts of another kind, which no user of this node is in.
        ("iam", Some(_)) if is_tenant(account) => Ok(Name::Other),
        ("iam", None) if is_tenant(account) && resource == "root" => Ok(Name::Other),
        _ if !is_account_id(account) => Err("has no account of twelve digits"),
        ("iam", Some(user)) => Ok(Name::User { account: account.to_owned(), path_and_name: user.to_owned() }),
        ("iam", None) if resource == "root" => Ok(Name::Account(account.to_owned())),
        ("iam", None) => match resource.strip_prefix("role/").filter(|rest| !rest.is_empty() && !rest.ends_with('/')) {
            Some(role) => Ok(Name::Role { account: account.to_owned(), path_and_name: role.to_owned() }),
            None => Err("is an ARN that names no principal"),
        },
        ("sts", None) if resource.starts_with("federated-user/") => Ok(Name::Other),
        ("sts", None) => match resource.strip_prefix("assumed-role/").and_then(|rest| rest.split_once('/')) {
            Some((role, session)) if !role.is_empty() && !session.is_empty() => Ok(Name::RoleSession {
                account: account.to_owned(),
                role: role.to_owned(),
                session: session.to_owned(),
            }),
            _ => Err("is an ARN that names no principal"),
        },
        _ => Err("is an ARN that names no principal"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn refused() {
        for value in [
            json!("ann"),
            json!({}),
            json!([]),
            json!({"AWS": []}),
            json!({"AWS": 5}),
            json!({"AWS": ""}),
            json!({"AWS": "ann*"}),
            json!({"AWS": "arn:aws:iam::123:user/ann"}),
            json!({"AWS": "arn:aws:iam::tenant-1:root"}),
            json!({"AWS": "arn:aws:iam::tenant1:role/x"}),
            json!({"AWS": "arn:aws:iam::123456789012:user/"}),
            json!({"AWS": "arn:aws:iam::123456789012:user/*"}),
            json!({"AWS": "arn:aws:iam::123456789012:group/x"}),
            json!({"AWS": "arn:aws:iam:us-east-1:123456789012:root"}),
            json!({"AWS": "arn:aws:iam::123456789012"}),
            json!({"AWS": "arn:aws:s3:::bucket"}),
            json!({"CanonicalUser": "abc"}),
            json!({"Wizard": "x"}),
        ] {
            assert!(PrincipalClause::parse(&value, false, "Principal").is_err(), "{value}");
        }
        for value in [
            json!("*"),
            json!({"AWS": "*"}),
            json!({"AWS": ["123456789012", "arn:aws:iam::123456789012:root", "localadmin"]}),
            json!({"AWS": ["arn:aws:iam::tenant1:root", "arn:aws:iam::tenant1:user/ann"]}),
            json!({"AWS": "arn:aws:iam:::user/ann", "Service": "logging.s3.amazonaws.com"}),
        ] {
            assert!(PrincipalClause::parse(&value, false, "Principal").is_ok(), "{value}");
        }
    }

    #[test]
    fn names_of_users_and_roles_are_told_as_texts() {
        let value = json!({"AWS": ["*", "123456789012", "arn:aws:iam::123456789012:root", "arn:aws-cn:iam::123456789012:user/a/ann",
            "arn:aws:iam::123456789012:role/r", "arn:aws:sts::123456789012:assumed-role/r/s", "localadmin", "arn:aws:iam:::user/bob"]});
        let texts: Vec<String> = PrincipalClause::parse(&value, false, "P").unwrap().texts().collect();
        let of = |kind: &str| format!("arn:aws:iam::123456789012:{kind}");
        let session = "arn:aws:sts::123456789012:assumed-role/r/s".to_owned();
        assert_eq!(texts, [of("user/a/ann"), of("role/r"), session, "localadmin".to_owned(), "bob".to_owned()]);
    }

    #[test]
    fn services_are_no_callers() {
        let clause = |value, negated| PrincipalClause::parse(&value, negated, "P").unwrap();
        let logging = clause(json!({"Service": ["backup.amazonaws.com", "logging.s3.amazonaws.com"]}), false);
        assert!(logging.means_service("logging.s3.amazonaws.com") && !logging.means_service("s3.amazonaws.com"));
        assert_eq!(logging.means(None), Meant::Not);
        assert!(clause(json!("*"), false).means_service("logging.s3.amazonaws.com"));
        assert!(clause(json!({"AWS": "123456789012"}), true).means_service("logging.s3.amazonaws.com"));
    }

    #[test]
    fn the_anonymous_caller_is_everyone_only() {
        let means = |value, negated| PrincipalClause::parse(&value, negated, "P").unwrap().means(None);
        assert_eq!(means(json!("*"), false), Meant::Directly);
        assert_eq!(means(json!({"AWS": "*"}), false), Meant::Directly);
        assert_eq!(means(json!({"AWS": "123456789012"}), false), Meant::Not);
        assert_eq!(means(json!({"AWS": "123456789012"}), true), Meant::Directly);
        assert_eq!(means(json!("*"), true), Meant::Not);
    }
}
