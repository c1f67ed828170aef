//! Which changes take a grant of the short form.

use super::*;
use crate::names::CanonicalId;

/// `root` and `ann` hold no grants, `chief` its own, `member` one by a group of its account, `reader` documents alone.
fn file() -> File {
    let grant = json!({"bucket": "*", "actions": ["*"]});
    let document: Value = serde_json::from_str(&allow("*")).unwrap();
    let user = |name: &str, more: Value| {
        let mut user = json!({"access_key": name, "secret_key": "typed by hand", "display_name": name,
            "account_id": ONE, "root": name == "root", "policies": []});
        user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        user
    };
    let role = |name: &str, policy: &Value| {
        let trust: Value = serde_json::from_str(&trust()).unwrap();
        json!({"role_name": name, "account_id": ONE, "assume_role_policy": trust, "policies": [policy]})
    };
    File::new(json!({
        "users": [
            user("root", json!({})),
            user("ann", json!({"groups": ["gone"]})),
            user("chief", json!({"policies": [document, grant]})),
            user("member", json!({"groups": ["admins"]})),
            user("reader", json!({"policies": [document], "groups": ["readers", "everywhere"]})),
        ],
        "groups": [
            {"name": "admins", "account_id": ONE, "policies": [grant]},
            {"name": "readers", "account_id": ONE, "policies": [document]},
            {"name": "everywhere", "policies": [document]},
        ],
        "roles": [role("strong", &grant), role("plain", &document)],
    }))
}

/// What the change takes by a grant, when this user asks.
fn taken(file: &File, caller: &str, message: &impl IamChange) -> Vec<String> {
    let directory = file.directory();
    let caller: CanonicalId = directory.user(&WhichUser::from(caller)).unwrap().user_id.clone();
    let permissions = message.takes_by_grant(&directory, &caller);
    permissions.into_iter().map(|needed| format!("{} {}", needed.action, needed.resource)).collect()
}

fn user_arn(name: &str) -> String {
    format!("arn:aws:iam::{ONE}:user/{name}")
}

#[test]
fn keys_of_whoever_holds_a_grant() {
    let file = file();
    for (name, holds) in [("ann", false), ("reader", false), ("chief", true), ("member", true)] {
        let expected = |action: &str| if holds { vec![format!("{action} {}", user_arn(name))] } else { Vec::new() };
        let create = CreateAccessKey { user: user(name), access_key: None, secret_key: None, expires_at: None };
        let access_key = name.to_owned();
        let update = UpdateAccessKey { user: user(name), access_key, enabled: Some(false), expires_at: None };
        let delete = DeleteAccessKey { user: user(name), access_key: name.to_owned() };
        assert_eq!(taken(&file, "root", &create), expected("iam:CreateAccessKey"));
        assert_eq!(taken(&file, "root", &RotateKey::from(name)), expected("iam:RotateAccessKey"));
        assert_eq!(taken(&file, "root", &update), expected("iam:UpdateAccessKey"));
        assert_eq!(taken(&file, "root", &delete), expected("iam:DeleteAccessKey"));
        // Of its own it needs no more than the permission.
        assert!(taken(&file, name, &create).is_empty());
        assert!(taken(&file, name, &RotateKey::from(name)).is_empty());
    }
}

#[test]
fn an_accounts_root_is_changed_by_itself_or_by_a_grant() {
    let file = file();
    let arn = format!("arn:aws:iam::{ONE}:root");
    let key = CreateAccessKey { user: user("root"), access_key: None, secret_key: None, expires_at: None };
    let end = DeleteUser { user: user("root"), force: true };
    let off = UpdateUser { enabled: Some(false), ..UpdateUser::new(user("root")) };
    let what = Taggable::User(user("root"));
    let tag = Tag { what: what.clone(), tags: vec![("team".to_owned(), "red".to_owned())] };
    let untag = Untag { what, keys: vec!["team".to_owned()] };
    let policy_arn = "arn:aws:iam::aws:policy/IAMFullAccess".to_owned();
    let attach = AttachPolicy { holder: Holder::User(user("root")), policy_arn };
    let told = |caller: &str| {
        let (keys, lives) =
            (taken(&file, caller, &key), [taken(&file, caller, &end), taken(&file, caller, &off)].concat());
        let tags = [taken(&file, caller, &tag), taken(&file, caller, &untag)].concat();
        [keys, lives, tags, taken(&file, caller, &attach)].concat()
    };
    let actions = ["CreateAccessKey", "DeleteUser", "UpdateUser", "TagUser", "UntagUser", "AttachUserPolicy"];
    assert_eq!(told("reader"), actions.map(|action| format!("iam:{action} {arn}")));
    assert!(told("root").is_empty());
}

#[test]
fn who_is_left_of_several_is_nobodys_root() {
    let left = |former: Value| {
        let user = json!({"access_key": "ann", "secret_key": "typed by hand", "account_id": ONE});
        let file = File::new(json!({"users": [user], "former_users": former}));
        file.directory().users()[0].is_root
    };
    let id = "0".repeat(64);
    assert!(left(json!([])));
    assert!(left(json!([{"user_id": id, "account_id": ONE, "role": true}])));
    assert!(left(json!([{"user_id": id, "account_id": "999999999999"}])));
    assert!(!left(json!([{"user_id": id, "account_id": ONE}])));
}

#[test]
fn policies_names_and_lives_of_users() {
    let file = file();
    let policy_name = || "p".to_owned();
    let policy_arn = || "arn:aws:iam::aws:policy/IAMFullAccess".to_owned();
    for (name, holds) in [("ann", false), ("reader", false), ("chief", true), ("member", true)] {
        let expected = |action: &str| if holds { vec![format!("{action} {}", user_arn(name))] } else { Vec::new() };
        let holder = || Holder::User(user(name));
        let put = PutInlinePolicy { holder: holder(), policy_name: policy_name(), document: allow("*") };
        let delete = DeleteInlinePolicy { holder: holder(), policy_name: policy_name() };
        let attach = AttachPolicy { holder: holder(), policy_arn: policy_arn() };
        let detach = DetachPolicy { holder: holder(), policy_arn: policy_arn() };
        let rename = UpdateUser { user_name: Some("new".to_owned()), ..UpdateUser::new(user(name)) };
        let set = SetPolicies { user: user(name), policies: json!([]) };
        // Also for the user itself: what grants bind must not unbind itself.
        for caller in ["root", name] {
            assert_eq!(taken(&file, caller, &put), expected("iam:PutUserPolicy"));
            assert_eq!(taken(&file, caller, &delete), expected("iam:DeleteUserPolicy"));
            assert_eq!(taken(&file, caller, &attach), expected("iam:AttachUserPolicy"));
            assert_eq!(taken(&file, caller, &detach), expected("iam:DetachUserPolicy"));
            assert_eq!(taken(&file, caller, &rename), expected("iam:UpdateUser"));
            assert_eq!(taken(&file, caller, &set), expected("iam:PutUserPolicy"));
        }
        assert_eq!(taken(&file, "root", &DeleteUser { user: user(name), force: true }), expected("iam:DeleteUser"));
    }
    let grants = json!([{"bucket": "*", "actions": ["list"]}]);
    let given = SetPolicies { user: user("ann"), policies: grants.clone() };
    assert_eq!(taken(&file, "root", &given), [format!("iam:PutUserPolicy {}", user_arn("ann"))]);
    let born = CreateUser { policies: grants, ..api_user("new") };
    assert_eq!(taken(&file, "root", &born), [format!("iam:PutUserPolicy {}", user_arn("*"))]);
    assert!(taken(&file, "root", &api_user("new")).is_empty());
}

#[test]
fn groups_that_are_more_than_the_account_can_give() {
    let file = file();
    let group_arn = |group: &str| format!("arn:aws:iam::{ONE}:group/{group}");
    for (group, name, by_grant) in [
        ("readers", "ann", false),
        ("readers", "chief", true),
        ("admins", "ann", true),
        ("Everywhere", "ann", true),
        ("everywhere", "reader", true),
        ("none", "ann", false),
    ] {
        let arn = group_arn(&group.to_ascii_lowercase());
        let expected = |action: &str| if by_grant { vec![format!("{action} {arn}")] } else { Vec::new() };
        let add = AddUserToGroup { group: named(group), user: user(name) };
        let remove = RemoveUserFromGroup { group: named(group), user: user(name) };
        for caller in ["root", name] {
            assert_eq!(taken(&file, caller, &add), expected("iam:AddUserToGroup"), "{group} {name}");
            assert_eq!(taken(&file, caller, &remove), expected("iam:RemoveUserFromGroup"), "{group} {name}");
        }
    }
    let groups = |name: &str, groups: &[&str]| {
        let groups = Some(groups.iter().map(|group| (*group).to_owned()).collect());
        taken(&file, "root", &UpdateUser { groups, ..UpdateUser::new(user(name)) })
    };
    assert!(groups("ann", &["gone", "READERS"]).is_empty());
    assert_eq!(groups("ann", &["gone", "admins"]), [format!("iam:AddUserToGroup {}", group_arn("admins"))]);
    assert_eq!(groups("ann", &[]), [format!("iam:RemoveUserFromGroup {}", group_arn("gone"))]);
    assert!(groups("reader", &["everywhere"]).is_empty());
    assert_eq!(groups("reader", &["readers"]), [format!("iam:RemoveUserFromGroup {}", group_arn("everywhere"))]);
    for (group, count) in [("admins", 1), ("readers", 0)] {
        let holder = Holder::Group(named(group));
        let put = PutInlinePolicy { holder, policy_name: "p".to_owned(), document: allow("*") };
        assert_eq!(taken(&file, "root", &put).len(), count);
        assert_eq!(taken(&file, "root", &DeleteGroup { group: named(group) }).len(), count);
        let rename = UpdateGroup { group: named(group), new_name: Some("n".to_owned()), new_path: None };
        assert_eq!(taken(&file, "root", &rename).len(), count);
    }
}

#[test]
fn roles_with_grants_and_who_may_assume_them() {
    let file = file();
    for (name, count) in [("strong", 1), ("plain", 0)] {
        let trust = UpdateAssumeRolePolicy { role: named(name), document: trust() };
        assert_eq!(taken(&file, "root", &trust).len(), count);
        let longer = UpdateRole { role: named(name), description: None, max_session_duration: Some(7200) };
        assert_eq!(taken(&file, "root", &longer).len(), count);
        assert_eq!(taken(&file, "root", &DeleteRole { role: named(name) }).len(), count);
        let holder = Holder::Role(named(name));
        let put = PutInlinePolicy { holder, policy_name: "p".to_owned(), document: allow("*") };
        assert_eq!(taken(&file, "root", &put).len(), count);
    }
}
