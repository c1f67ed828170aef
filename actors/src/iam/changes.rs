//! What a change of `iam.json` changed, entity by entity, for the audit log. Pure.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::directory::{Directory, SEAL_PURPOSE};
use super::messages::UserSummary;
use crate::audit::{AuditEntry, ChangeOrigin};
use crate::json_store::Version;
use crate::names::Stamp;
use crate::seal::Sealer;

/// The lists of the file, and what the IAM API calls what is in them.
const LISTS: [(&str, Noun); 5] = [
    ("users", Noun::User),
    ("groups", Noun::Group),
    ("managed_policies", Noun::Policy),
    ("roles", Noun::Role),
    ("oidc_providers", Noun::OpenIDConnectProvider),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Noun {
    User,
    Group,
    Policy,
    Role,
    OpenIDConnectProvider,
}

/// Something in the file.
#[derive(Debug)]
struct Entity<'a> {
    noun: Noun,
    /// Stays when it is renamed.
    id: String,
    arn: String,
    record: &'a Value,
}

/// Who changed what: one entry for each entity that is not what it was. `action` is what was asked for; without one, the entries of
/// a hand edit say `Create`, `Update` or `Delete`.
pub(super) fn entries(
    before: &Version<'_, Directory>,
    after: &Version<'_, Directory>,
    sealer: &Sealer,
    at: Stamp,
    origin: &ChangeOrigin,
    action: Option<&str>,
) -> Vec<AuditEntry> {
    let mut former: HashMap<_, _> = entities(before).into_iter().map(|was| ((was.noun, was.id.clone()), was)).collect();
    let mut entries = Vec::new();
    let mut tell = |was: Option<&Entity<'_>>, is: Option<&Entity<'_>>| {
        let Some(named) = is.or(was) else { return };
        let verb = match (was, is) {
            (None, _) => "Create",
            (Some(_), Some(_)) => "Update",
            (Some(_), None) => "Delete",
        };
        let by_hand = format!("iam:{verb}{:?}", named.noun);
        // Sealing a secret does not change it, and sealing it anew neither.
        let told = |entity: Option<&Entity<'_>>| entity.map_or(Value::Null, |entity| unsealed(entity.record, sealer));
        let action = action.unwrap_or(&by_hand);
        entries.extend(AuditEntry::of_change(at, origin.clone(), action, named.arn.clone(), &told(was), &told(is)));
    };
    for is in entities(after) {
        match former.remove(&(is.noun, is.id.clone())) {
            Some(was) if was.record == is.record => {}
            was => tell(was.as_ref(), Some(&is)),
        }
    }
    for was in entities(before).iter().filter(|was| former.contains_key(&(was.noun, was.id.clone()))) {
        tell(Some(was), None);
    }
    entries
}

fn entities<'a>(version: &Version<'a, Directory>) -> Vec<Entity<'a>> {
    let mut found = Vec::new();
    for (list, noun) in LISTS {
        let records = version.document.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (index, record) in records.iter().enumerate() {
            let (id, arn) = match (noun, version.state.users().get(index)) {
                (Noun::User, Some(user)) => (user.user_id.as_str().to_owned(), user_arn(user)),
                _ => named(noun, record),
            };
            found.push(Entity { noun, id, arn, record });
        }
    }
    found
}

fn user_arn(user: &UserSummary) -> String {
    match user.is_named_root {
        true => format!("arn:aws:iam::{}:root", user.account_id),
        false => format!("arn:aws:iam::{}:user{}{}", user.account_id, user.path, user.user_name),
    }
}

/// Id and ARN of what is no user.
fn named(noun: Noun, record: &Value) -> (String, String) {
    let text = |field: &str| record.get(field).and_then(Value::as_str).unwrap_or_default();
    let (id, kind, name) = match noun {
        Noun::User => (text("user_id"), "user", text("user_name")),
        Noun::Group => (text("group_id"), "group", text("name")),
        Noun::Policy => (text("policy_id"), "policy", text("policy_name")),
        Noun::Role => (text("role_id"), "role", text("role_name")),
        Noun::OpenIDConnectProvider => {
            let url = text("url");
            ("", "oidc-provider/", url.split_once("://").map_or(url, |(_, host)| host))
        }
    };
    let path = match (noun, text("path")) {
        (Noun::OpenIDConnectProvider, _) => "",
        (_, "") => "/",
        (_, path) => path,
    };
    let arn = format!("arn:aws:iam::{}:{kind}{path}{name}", text("account_id"));
    (if id.is_empty() { arn.clone() } else { id.to_owned() }, arn)
}

/// The record with its secrets as they are, so that they can be compared; only for [`AuditEntry::of_change`], which masks them.
fn unsealed(record: &Value, sealer: &Sealer) -> Value {
    match record {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| match (name.as_str(), value.as_str()) {
                ("secret_key_sealed", Some(sealed)) => {
                    let secret = sealer.unseal(SEAL_PURPOSE, sealed);
                    // What cannot be unsealed is another secret as soon as it is another text.
                    let secret = secret.as_ref().map_or(sealed, |secret| secret.expose());
                    ("secret_key".to_owned(), Value::from(secret))
                }
                _ => (name.clone(), unsealed(value, sealer)),
            };
            Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
        }
        Value::Array(elements) => elements.iter().map(|element| unsealed(element, sealer)).collect(),
        other => other.clone(),
    }
}
