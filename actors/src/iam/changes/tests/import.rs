//! Documents of users, groups and policies, taken in.

use serde_json::json;

use super::*;
use crate::iam::Accounts;

fn import(document: &Value, mode: ImportMode) -> ImportAccounts {
    let caller = Directory::of(&File::of_two_accounts().document).user(&user("root")).unwrap().user_id.clone();
    let accounts = Accounts::parse(&document.to_string()).unwrap();
    ImportAccounts { account_id: ONE.to_owned(), caller, accounts, mode }
}

fn document() -> Value {
    let statement = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"});
    let allow = json!({"Version": "2012-10-17", "Statement": [statement]});
    json!({
        "format": "myfsio-accounts-1",
        "policies": [{"name": "read", "document": allow}],
        "groups": [{"name": "staff", "attached_policies": ["read", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]}],
        "users": [
            {"user_name": "bob", "display_name": "Bob B", "groups": ["staff"], "attached_policies": ["read"], "enabled": false,
                "policies": [{"bucket": "b", "actions": ["list"]}], "tags": {"team": "x"}, "quota": {"max_bytes": 10}},
            {"user_name": "ann", "expires_at": "2030-01-01"},
            {"user_name": "root", "policies": []},
        ],
    })
}

fn told(plan: &ImportPlan) -> Vec<(&str, ImportOutcome, Vec<&'static str>)> {
    plan.items.iter().map(|item| (&*item.name, item.outcome, item.fields.clone())).collect()
}

#[test]
fn a_preview_tells_and_changes_nothing_and_what_it_told_is_done() {
    use ImportOutcome::{Changed, Created, Kept, Same};
    let mut file = File::of_two_accounts();
    file.apply(UpdateUser { path: Some("/a/".to_owned()), ..UpdateUser::new(user("ann")) }).unwrap();
    let before = file.document.clone();
    let seen = file.apply(import(&document(), ImportMode::Preview)).unwrap();
    assert_eq!(
        told(&seen),
        [
            ("read", Created, vec![]),
            ("staff", Created, vec![]),
            ("bob", Created, vec![]),
            ("ann", Changed, vec!["path", "expires_at"]),
            ("root", Kept, vec![]),
        ]
    );
    assert_eq!((seen.is_done, &file.document), (false, &before));
    let done = file.apply(import(&document(), ImportMode::ApplyIf(seen.stamp.clone()))).unwrap();
    assert!(done.is_done && done.items == seen.items);
    let directory = file.directory();
    let bob = directory.user(&user("bob")).unwrap();
    assert_eq!((&*bob.display_name, bob.is_enabled, bob.quota.max_bytes), ("Bob B", false, Some(10)));
    assert!(bob.access_keys.is_empty(), "a document gives nobody a key");
    assert_eq!((&bob.groups[..], bob.tags.len()), (&["staff".to_owned()][..], 1));
    assert_eq!(bob.attached_policies, ["arn:aws:iam::111111111111:policy/read"]);
    assert_eq!(directory.group(ONE, "staff").unwrap().attached_policies.len(), 2);
    let ann = directory.user(&user("ann")).unwrap();
    assert_eq!((&*ann.path, ann.access_keys.len()), ("/", 1), "who is there keeps its keys");
    assert_eq!(file.document["users"][1]["color"], "red");
    let again = file.apply(import(&document(), ImportMode::Apply)).unwrap();
    assert!(told(&again).iter().all(|(_, outcome, _)| matches!(outcome, Same | Kept)), "{again:?}");
}

#[test]
fn a_preview_that_no_longer_holds_does_nothing() {
    let mut file = File::of_two_accounts();
    let seen = file.apply(import(&document(), ImportMode::Preview)).unwrap();
    file.apply(api_user("kim")).unwrap();
    let before = file.document.clone();
    let refused = file.apply(import(&document(), ImportMode::ApplyIf(seen.stamp.clone()))).unwrap();
    assert!(!refused.is_done && refused.stamp != seen.stamp && file.document == before);
    let mut other = document();
    other["users"][1]["enabled"] = json!(false);
    let other = file.apply(import(&other, ImportMode::ApplyIf(refused.stamp))).unwrap();
    assert!(!other.is_done, "a stamp is of one document");
}

#[test]
fn all_or_nothing() {
    for (field, wrong, why) in [
        ("groups", json!(["none"]), "none"),
        ("attached_policies", json!(["gone"]), "gone"),
        ("policies", json!([{"bucket": "b", "actions": ["fly"]}]), "fly"),
        ("expires_at", json!("soon"), "soon"),
        ("tags", json!({"aws:x": "1"}), "tags"),
    ] {
        let mut file = File::of_two_accounts();
        let mut bad = document();
        bad["users"][0][field] = wrong;
        let before = file.document.clone();
        let refused = file.apply(import(&bad, ImportMode::Apply)).unwrap_err().to_string();
        assert!(refused.contains("user `bob`") && refused.contains(why), "{field}: {refused}");
        assert_eq!(file.document, before);
    }
}

#[test]
fn what_is_exported_is_the_same_when_it_comes_back_and_holds_no_key() {
    let mut file = File::of_two_accounts();
    file.apply(import(&document(), ImportMode::Apply)).unwrap();
    let exported = Accounts::of(&file.directory(), ONE, Some(NOW)).to_value();
    assert!(!exported.to_string().contains("key") && !exported.to_string().contains("eve"), "{exported}");
    let names: Vec<_> = exported["users"].as_array().unwrap().iter().map(|user| user["user_name"].clone()).collect();
    assert_eq!(names, ["ann", "bob"], "the account itself is not in it");
    let again = file.apply(import(&exported, ImportMode::Apply)).unwrap();
    assert!(again.items.iter().all(|item| item.outcome == ImportOutcome::Same), "{again:?}");
    let mut empty = File::of_two_accounts();
    empty.apply(import(&exported, ImportMode::Apply)).unwrap();
    assert_eq!(Accounts::of(&empty.directory(), ONE, Some(NOW)).to_value(), exported);
}
