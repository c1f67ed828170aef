//! What a change of `iam.json` changed, entity by entity, for the audit log. Pure.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::directory::{Directory, SEAL_PURPOSE};
use super::document;
use super::entries::ManagedPolicy;
use crate::audit::{AuditEntry, ChangeOrigin, difference};
use crate::json_store::Version;
use crate::names::Stamp;
use crate::seal::Sealer;

/// What the IAM API calls what is in the file.
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

/// Something that is not what it was; one of both sides is there.
#[derive(Debug)]
struct Changed<'a> {
    was: Option<Entity<'a>>,
    is: Option<Entity<'a>>,
}

impl Changed<'_> {
    fn present(&self) -> Option<&Entity<'_>> {
        self.is.as_ref().or(self.was.as_ref())
    }

    fn arn(&self) -> &str {
        self.present().map_or("", |entity| &entity.arn)
    }

    fn goes_by(&self, arn: &str) -> bool {
        [&self.was, &self.is].into_iter().flatten().any(|entity| entity.arn == arn)
    }

    fn is_made_or_removed(&self) -> bool {
        self.was.is_none() || self.is.is_none()
    }

    /// What differs, secrets unsealed: sealing one does not change it, and sealing it anew neither.
    fn difference(&self, sealer: &Sealer) -> Option<(Value, Value)> {
        let told =
            |entity: &Option<Entity<'_>>| entity.as_ref().map_or(Value::Null, |entity| unsealed(entity.record, sealer));
        difference(&told(&self.was), &told(&self.is))
    }
}

/// One entry for each entity that somebody changed at once with others: by hand, or by an import.
pub(super) fn of_each(
    before: &Version<'_, Directory>,
    after: &Version<'_, Directory>,
    sealer: &Sealer,
    at: Stamp,
    by: &ChangeOrigin,
) -> Vec<AuditEntry> {
    let entry = |changed: Changed<'_>| {
        let verb = match (&changed.was, &changed.is) {
            (None, _) => "Create",
            (Some(_), Some(_)) => "Update",
            (Some(_), None) => "Delete",
        };
        let action = format!("iam:{verb}{:?}", changed.present()?.noun);
        let (was, is) = changed.difference(sealer)?;
        AuditEntry::of_document(at, by.clone(), &action, changed.arn().to_owned(), was, is)
    };
    changes(before, after).into_iter().filter_map(entry).collect()
}

/// The entry of a change that was asked for. Where it is not its target alone that changed, both sides tell what did by its ARN.
pub(super) fn of_change(
    before: &Version<'_, Directory>,
    after: &Version<'_, Directory>,
    sealer: &Sealer,
    at: Stamp,
    by: &ChangeOrigin,
    action: &str,
    target: String,
) -> Option<AuditEntry> {
    let changes = changes(before, after);
    let told = |changed: &Changed<'_>| Some((changed.arn().to_owned(), changed.difference(sealer)?));
    let mut differences: Vec<_> = changes.iter().filter_map(told).collect();
    let is_alone = match changes.as_slice() {
        [only] => target.is_empty() || only.goes_by(&target) || only.is_made_or_removed(),
        _ => false,
    };
    let (target, (was, is)) = match differences.pop() {
        Some((arn, sides)) if is_alone => {
            // A new name is told by what changed; it was asked for by the old one.
            let is_asked_for = changes.iter().any(|only| only.goes_by(&target));
            (if is_asked_for { target } else { arn }, sides)
        }
        last => {
            let all = differences.into_iter().chain(last);
            let sides = all.map(|(arn, (was, is))| ((arn.clone(), was), (arn, is)));
            let (was, is): (Map<_, _>, Map<_, _>) = sides.unzip();
            (target, (Value::Object(was), Value::Object(is)))
        }
    };
    AuditEntry::of_document(at, by.clone(), action, target, was, is)
}

/// What is not what it was, in the order of the file; what is gone last.
fn changes<'a>(before: &Version<'a, Directory>, after: &Version<'a, Directory>) -> Vec<Changed<'a>> {
    let placed = entities(before).into_iter().enumerate();
    let mut former: HashMap<_, _> =
        placed.map(|(place, entity)| ((entity.noun, entity.id.clone()), (place, entity))).collect();
    let mut changes = Vec::new();
    for is in entities(after) {
        let was = former.remove(&(is.noun, is.id.clone())).map(|(_, was)| was);
        if was.as_ref().is_none_or(|was| was.record != is.record) {
            changes.push(Changed { was, is: Some(is) });
        }
    }
    let mut gone: Vec<_> = former.into_values().collect();
    gone.sort_unstable_by_key(|(place, _)| *place);
    changes.extend(gone.into_iter().map(|(_, was)| Changed { was: Some(was), is: None }));
    changes
}

fn entities<'a>(version: &Version<'a, Directory>) -> Vec<Entity<'a>> {
    let Directory { users, groups, managed, roles, providers, .. } = version.state;
    // What every account has is nobody's.
    let own = |policy: &&ManagedPolicy| policy.place.is_some();
    let mut users = users.iter().map(|user| (user.user_id.as_str().to_owned(), user.arn()));
    let mut groups = groups.iter().map(|group| (group.group_id.clone(), group.arn("")));
    let mut managed = managed.iter().filter(own).map(|policy| (policy.policy_id.clone(), policy.arn("")));
    let mut roles = roles.iter().map(|role| (role.role_id.clone(), role.arn()));
    let mut providers = providers.iter().map(|provider| (provider.arn(), provider.arn()));
    let mut found = Vec::new();
    let mut add = |noun, list, names: &mut dyn Iterator<Item = (String, String)>| {
        let records = document::entries(version.document, list);
        found.extend(records.iter().zip(names).map(|(record, (id, arn))| Entity { noun, id, arn, record }));
    };
    add(Noun::User, "users", &mut users);
    add(Noun::Group, "groups", &mut groups);
    add(Noun::Policy, "managed_policies", &mut managed);
    add(Noun::Role, "roles", &mut roles);
    add(Noun::OpenIDConnectProvider, "oidc_providers", &mut providers);
    found
}

/// The record with its secrets as they are, so that they can be compared; only for entries, which mask them.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::uses::KeyUses;
    use super::*;
    use crate::audit::{AuditLog, MASKED};
    use crate::iam::directory::IamFile;
    use crate::json_store::Schema as _;
    use crate::seal::SecretKey;

    const ANN: &str = "arn:aws:iam::111111111111:user/ann";
    const STAFF: &str = "arn:aws:iam::111111111111:group/staff";

    fn sealer() -> Sealer {
        Sealer::new(&SecretKey::new("key"), &[]).unwrap()
    }

    fn user(name: &str) -> Value {
        json!({
            "user_name": name, "display_name": name, "account_id": "111111111111", "policies": [],
            "access_keys": [{"access_key": format!("{name}-1"), "secret_key": "first secret"}],
        })
    }

    fn file() -> Value {
        json!({
            "users": [user("ann"), user("bob")],
            "groups": [{"name": "staff", "account_id": "111111111111", "group_id": "AGPA1"}],
            "oidc_providers": [{"url": "https://idp.test/a", "account_id": "111111111111", "client_ids": ["x"]}],
        })
    }

    fn state(document: &Value) -> Directory {
        IamFile { sealer: sealer(), audit: AuditLog::nowhere(), uses: KeyUses::nowhere() }
            .compile(&document.to_string(), document)
            .unwrap()
    }

    /// Action, target, before and after of the entries of a hand edit.
    fn by_hand(before: &Value, after: &Value) -> Vec<(String, String, Value, Value)> {
        let (was, is) = (state(before), state(after));
        let (before, after) = (Version { document: before, state: &was }, Version { document: after, state: &is });
        let entries = of_each(&before, &after, &sealer(), Stamp(1), &ChangeOrigin::hand_edit());
        assert!(entries.iter().all(|entry| entry.origin == ChangeOrigin::hand_edit()));
        entries.into_iter().map(|entry| (entry.action, entry.target, entry.before, entry.after)).collect()
    }

    fn asked(before: &Value, after: &Value, target: &str) -> Option<(String, Value, Value)> {
        let (was, is) = (state(before), state(after));
        let (before, after) = (Version { document: before, state: &was }, Version { document: after, state: &is });
        let by = ChangeOrigin { request_id: "R".to_owned(), ..ChangeOrigin::default() };
        let entry = of_change(&before, &after, &sealer(), Stamp(1), &by, "iam:Act", target.to_owned())?;
        assert_eq!((&entry.origin, entry.action.as_str()), (&by, "iam:Act"));
        Some((entry.target, entry.before, entry.after))
    }

    #[test]
    fn a_hand_edit_has_an_entry_for_each_that_it_changed() {
        let mut edited = file();
        edited["users"][0]["policies"] = json!([{"bucket": "*", "actions": ["read"]}]);
        edited["users"][1] = user("cat");
        edited["groups"] = json!([]);
        edited["oidc_providers"][0]["client_ids"] = json!(["x", "y"]);
        edited["note"] = json!("not the node's");
        let told = by_hand(&file(), &edited);
        let named: Vec<_> = told.iter().map(|(action, target, ..)| (action.as_str(), target.as_str())).collect();
        assert_eq!(
            named,
            [
                ("iam:UpdateUser", ANN),
                ("iam:CreateUser", "arn:aws:iam::111111111111:user/cat"),
                ("iam:UpdateOpenIDConnectProvider", "arn:aws:iam::111111111111:oidc-provider/idp.test/a"),
                ("iam:DeleteUser", "arn:aws:iam::111111111111:user/bob"),
                ("iam:DeleteGroup", STAFF),
            ]
        );
        assert_eq!(told[0].2, json!({ "policies": [] }));
        assert_eq!(told[0].3, json!({ "policies": [{"bucket": "*", "actions": ["read"]}] }));
        assert_eq!((&told[1].2, &told[1].3["access_keys"][0]["secret_key"]), (&Value::Null, &json!(MASKED)));
        assert_eq!((&told[2].2, &told[2].3), (&json!({ "client_ids": [] }), &json!({ "client_ids": ["y"] })));
        assert_eq!(told[3].3, Value::Null);
        assert!(!format!("{told:?}").contains("first secret"));
        assert_eq!(by_hand(&file(), &file()), []);
    }

    #[test]
    fn a_new_secret_is_a_change_and_sealing_one_is_none() {
        let sealed = |secret: &str| {
            let sealed = sealer().seal(SEAL_PURPOSE, secret).unwrap();
            let mut file = file();
            let key = file["users"][0]["access_keys"][0].as_object_mut().unwrap();
            key.remove("secret_key");
            key.insert("secret_key_sealed".to_owned(), sealed.into());
            file
        };
        assert_eq!(asked(&file(), &sealed("first secret"), ANN), None);
        assert_eq!(by_hand(&sealed("first secret"), &sealed("first secret")), []);
        for before in [file(), sealed("first secret")] {
            let (target, was, is) = asked(&before, &sealed("second secret"), ANN).unwrap();
            let key = json!({ "access_keys": [{"access_key": "ann-1", "secret_key": MASKED}] });
            assert_eq!((target.as_str(), &was, &is), (ANN, &key, &key));
        }
    }

    #[test]
    fn a_change_tells_its_target_or_else_what_changed_by_its_name() {
        let mut renamed = file();
        let id = state(&file()).users()[0].user_id.clone();
        renamed["users"][0]["user_id"] = json!(id.as_str());
        renamed["users"][0]["user_name"] = json!("anna");
        let (target, was, is) = asked(&file(), &renamed, ANN).unwrap();
        assert_eq!(target, ANN);
        assert_eq!(was, json!({ "user_name": "ann" }));
        assert_eq!(is, json!({ "user_name": "anna", "user_id": id.as_str() }));

        let mut joined = file();
        joined["users"][0]["groups"] = json!(["staff"]);
        let (target, was, is) = asked(&file(), &joined, STAFF).unwrap();
        assert_eq!(target, STAFF);
        assert_eq!((was, is), (json!({ ANN: {} }), json!({ ANN: { "groups": ["staff"] } })));

        let mut both = joined.clone();
        both["groups"][0]["path"] = json!("/a/");
        let (target, was, is) = asked(&file(), &both, STAFF).unwrap();
        let moved = "arn:aws:iam::111111111111:group/a/staff";
        assert_eq!((target.as_str(), was), (STAFF, json!({ ANN: {}, moved: {} })));
        assert_eq!(is, json!({ ANN: { "groups": ["staff"] }, moved: { "path": "/a/" } }));
    }
}
