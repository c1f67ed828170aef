//! What people type: groups, managed policies, roles and providers in their shortest forms, and with mistakes.

use std::time::Instant;

use serde_json::{Value, json};

use super::*;
use crate::iam::directory::Directory;
use crate::policy_engine::PolicyHome;

const ADMIN_ACCOUNT: &str = "111111111111";

fn allow(action: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
}

fn admin(more: Value) -> Value {
    let mut user = json!({
        "access_key": "admin", "secret_key": "s", "display_name": "admin", "account_id": ADMIN_ACCOUNT,
        "policies": [{"bucket": "*", "actions": ["iam:*"]}],
    });
    user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    user
}

fn warning<'a>(directory: &'a Directory, words: &str) -> &'a str {
    let found = directory.warnings().iter().find(|warning| warning.contains(words));
    found.unwrap_or_else(|| panic!("{:?}", directory.warnings()))
}

#[test]
fn a_user_holds_its_own_policies_those_of_its_groups_and_managed_ones() {
    let directory = Directory::of(&json!({
        "users": [admin(json!({
            "groups": ["Devs", "everyone", "devs"],
            "attached_policies": ["arn:aws:iam::111111111111:policy/p", "arn:aws:iam::aws:policy/IAMFullAccess"],
        }))],
        "groups": [
            {"name": "devs", "account_id": ADMIN_ACCOUNT, "policies": [{"bucket": "b", "actions": ["list"]}],
             "attached_policies": ["arn:aws:iam::111111111111:policy/x/shared"]},
            {"name": "everyone", "policies": [allow("s3:GetObject")]},
            {"name": "devs", "account_id": "222222222222"},
        ],
        "managed_policies": [
            {"policy_name": "p", "account_id": ADMIN_ACCOUNT, "document": allow("s3:*")},
            {"policy_name": "shared", "path": "/x/", "versions": [{"version_id": "v7", "document": allow("s3:*")}]},
        ],
    }));
    assert_eq!(directory.warnings(), &[] as &[String]);
    let homes: Vec<_> = directory.principal("admin").policies.iter().map(|policy| policy.home.clone()).collect();
    let managed =
        |arn: &str, group: Option<&str>| PolicyHome::Managed { arn: Box::from(arn), group: group.map(Box::from) };
    assert_eq!(
        homes,
        [
            PolicyHome::Own { index: 0 },
            PolicyHome::Group { group: Box::from("devs"), index: 0 },
            managed("arn:aws:iam::111111111111:policy/x/shared", Some("devs")),
            PolicyHome::Group { group: Box::from("everyone"), index: 0 },
            managed("arn:aws:iam::111111111111:policy/p", None),
            managed("arn:aws:iam::aws:policy/IAMFullAccess", None),
        ]
    );
    let group = directory.group(ADMIN_ACCOUNT, "DEVS").unwrap();
    assert!(group.group_id.starts_with("AGPA") && group.group_id.len() == 21);
    assert_eq!(directory.members(group, ADMIN_ACCOUNT).count(), 1);
    assert_eq!(directory.groups_of(ADMIN_ACCOUNT).count(), 2);
    assert_eq!(directory.managed_policies_of("222222222222").count(), 6, "five of AWS, one of every account");
    let shared = directory.managed_policy("arn:aws:iam::222222222222:policy/x/shared").unwrap();
    assert_eq!(shared.default_version_id, "v7");
    assert!(
        directory.managed_policy("arn:aws:iam::222222222222:policy/shared").is_err(),
        "the path is part of the ARN"
    );
}

#[test]
fn what_has_a_mistake_or_is_not_there_denies_to_its_holders_alone() {
    let broken = json!({"Statement": []});
    let directory = Directory::of(&json!({
        "users": [
            admin(json!({})),
            {"access_key": "a", "secret_key": "s", "account_id": ADMIN_ACCOUNT, "groups": ["broken"]},
            {"access_key": "b", "secret_key": "s", "account_id": ADMIN_ACCOUNT, "groups": ["none"]},
            {"access_key": "c", "secret_key": "s", "account_id": ADMIN_ACCOUNT,
             "attached_policies": ["arn:aws:iam::111111111111:policy/none"]},
            {"access_key": "d", "secret_key": "s", "account_id": ADMIN_ACCOUNT,
             "attached_policies": ["arn:aws:iam::111111111111:policy/short"]},
            {"access_key": "e", "secret_key": "s", "account_id": ADMIN_ACCOUNT,
             "attached_policies": ["arn:aws:iam::222222222222:policy/theirs"]},
            {"access_key": "f", "secret_key": "s", "account_id": ADMIN_ACCOUNT,
             "attached_policies": ["arn:aws:iam::111111111111:policy/unsettled"]},
        ],
        "groups": [{"name": "broken", "policies": [broken]}],
        "managed_policies": [
            {"policy_name": "short", "document": {"bucket": "*", "actions": ["*"]}},
            {"policy_name": "theirs", "account_id": "222222222222", "document": allow("s3:*")},
            {"policy_name": "unsettled", "versions": [
                {"version_id": "v1", "document": allow("s3:*")}, {"version_id": "v2", "document": allow("s3:*")}]},
        ],
    }));
    assert!(directory.principal("admin").policies.iter().all(|policy| policy.mistake().is_none()));
    for key in ["a", "b", "c", "d", "e", "f"] {
        assert!(directory.principal(key).policies.iter().any(|policy| policy.mistake().is_some()), "{key}");
    }
    warning(&directory, "who is in group `broken` may do nothing");
    warning(&directory, "user `b` may do nothing, since a policy has a mistake: groups[0]: there is no group `none`");
    warning(&directory, "user `c` may do nothing, since a policy has a mistake: attached_policies[0]");
    warning(&directory, "who holds policy `short` may do nothing");
    warning(&directory, "user `e` may do nothing");
    warning(&directory, "who holds policy `unsettled` may do nothing");
}

#[actix::test]
async fn a_role_of_two_fields_gets_an_id_and_the_administrators_account() {
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ADMIN_ACCOUNT}, "Action": "sts:AssumeRole"}]});
    let node = Node::with_file(&json!({
        "users": [{"access_key": "first", "secret_key": "s", "account_id": "222222222222"}, admin(json!({}))],
        "roles": [
            {"role_name": "deploy", "assume_role_policy": trust, "color": "red"},
            {"role_name": "closed", "policies": [allow("s3:*"), {"bucket": 1}]},
        ],
        "oidc_providers": [{"url": "https://idp.example.com"}],
    }));
    let client = node.client();
    let directory = client.directory();
    let role = directory.role(ADMIN_ACCOUNT, "deploy").unwrap();
    assert_eq!((role.arn().as_str(), role.max_session_duration), ("arn:aws:iam::111111111111:role/deploy", 3600));
    assert!(role.role_id.starts_with("AROA") && role.trust.is_ok());
    let record = node.document()["roles"][0].clone();
    assert_eq!(
        (&record["canonical_id"], &record["account_id"]),
        (&json!(role.canonical_id.as_str()), &json!(ADMIN_ACCOUNT))
    );
    assert_eq!(record["color"], "red");
    assert_eq!(directory.provider("arn:aws:iam::111111111111:oidc-provider/idp.example.com").unwrap().place, 0);
    warning(&directory, "nobody may assume role `closed`");
    warning(&directory, "who has role `closed` may do nothing");

    let session = Session { issued_at: Stamp(1), expires_at: Stamp(2), ..Session::default() };
    let principal = role.principal(id("temporary"), "run", Arc::new(session));
    assert_eq!(principal.caller_arn(), "arn:aws:sts::111111111111:assumed-role/deploy/run");
    assert_eq!((&principal.user_id, principal.is_root), (&role.canonical_id, false));

    // The administrator leaves, and the role stays where it was; its id is nobody else's.
    let (canonical_id, mut document) = (role.canonical_id.clone(), node.document());
    document["users"].as_array_mut().unwrap().pop();
    node.write(&document.to_string());
    let directory = client.fresh().await.unwrap();
    assert_eq!(directory.role_by_id(&canonical_id).unwrap().account_id, ADMIN_ACCOUNT);
    document["users"].as_array_mut().unwrap().push(json!(
        {"access_key": "thief", "secret_key": "s", "user_id": canonical_id.as_str()}));
    node.write(&document.to_string());
    client.refresh().await.unwrap();
    assert!(client.problem().unwrap().reason.contains("another user has, or had"));
}

#[actix::test]
async fn mistakes_of_the_shape_leave_the_last_good_state_in_force() {
    let node = Node::with_file(&json!({"users": [admin(json!({}))]}));
    let client = node.client();
    for (list, entries, words) in [
        ("groups", json!([{"policies": []}]), "name"),
        ("groups", json!([{"name": "a b"}]), "the name must be"),
        ("groups", json!([{"name": "a"}, {"name": "A"}]), "stands twice"),
        ("groups", json!([{"name": "a", "path": "x"}]), "path must begin"),
        ("groups", json!([{"name": "a", "account_id": "1"}]), "twelve digits"),
        ("managed_policies", json!([{"policy_name": "a"}, {"policy_name": "a"}]), "stands twice"),
        (
            "managed_policies",
            json!([{"policy_name": "a", "versions": [
            {"version_id": "v1", "document": {}}, {"version_id": "v1", "document": {}}]}]),
            "v1 stands twice",
        ),
        ("roles", json!([{"role_name": "a", "max_session_duration": 60}]), "3600 to 43200"),
        ("roles", json!([{"role_name": "a", "canonical_id": "xyz"}]), "64 lower-case"),
        ("roles", json!([{"role_name": "a"}, {"role_name": "A"}]), "stands twice"),
        ("oidc_providers", json!([{"url": "https://a"}, {"url": "https://a/"}]), "stands twice"),
    ] {
        let mut document = json!({"users": [admin(json!({}))]});
        document[list] = entries;
        node.write(&document.to_string());
        assert!(client.credential(&id("admin"), None, || true).await.is_ok());
        let problem = client.problem().unwrap_or_else(|| panic!("{document} was taken"));
        assert!(problem.to_string().contains(words) && problem.line.is_some(), "{problem}");
    }
}

#[actix::test]
async fn edits_between_two_changes_survive() {
    let node = Node::new();
    let client = node.client();
    let account = client.directory().users()[0].account_id.clone();
    let group = Named::new(&account, "devs");
    client.change(by(), CreateGroup { group: group.clone(), path: None }).await.unwrap();
    let mut document = node.document();
    document["groups"][0]["color"] = json!("red");
    document["groups"][0]["policies"] = json!([{"bucket": "*", "actions": ["list"]}]);
    document["roles"] = json!([{"role_name": "typed"}]);
    document["more"] = json!({"x": 1});
    node.write(&document.to_string());
    let user = WhichUser::from("localadmin");
    client.change(by(), AddUserToGroup { group: group.clone(), user: user.clone() }).await.unwrap();
    let mut document = node.document();
    assert_eq!((&document["groups"][0]["color"], &document["more"]), (&json!("red"), &json!({"x": 1})));
    assert!(document["roles"][0]["canonical_id"].is_string(), "a write also completes what was typed");
    assert_eq!(document["users"][0]["secret_key"], "localadmin", "the well-known secret stays readable");
    assert_eq!(client.directory().principal("localadmin").policies.len(), 2);

    // Somebody takes the user out by hand; a later change does not bring the membership back.
    document["users"][0]["groups"] = json!([]);
    node.write(&document.to_string());
    let put = PutInlinePolicy {
        holder: Holder::Group(group),
        policy_name: "p".to_owned(),
        document: allow("s3:GetObject").to_string(),
    };
    client.change(by(), put).await.unwrap();
    assert_eq!(node.document()["users"][0]["groups"], json!([]));
    assert_eq!(node.document()["groups"][0]["policies"].as_array().unwrap().len(), 2);
}

#[test]
fn the_work_grows_with_the_file_and_not_with_its_square() {
    let file = |users: usize| {
        let user = |number: usize| {
            json!({"access_key": format!("key-{number}"), "secret_key": "s", "account_id": ADMIN_ACCOUNT,
                "user_name": format!("user-{number}"), "groups": ["g0", "g1"],
                "attached_policies": ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"], "policies": []})
        };
        let group = |number: usize| json!({"name": format!("g{number}"), "policies": [allow("s3:GetObject")]});
        json!({"users": (0..users).map(user).collect::<Vec<_>>(), "groups": (0..200).map(group).collect::<Vec<_>>()})
    };
    let seconds = |document: &Value| {
        let started = Instant::now();
        let directory = Directory::of(document);
        assert_eq!(directory.principal("key-7").policies.len(), 3);
        started.elapsed().as_secs_f64()
    };
    let (small, large) = (file(1000), file(8000));
    let best = |document: &Value| (0..3).map(|_| seconds(document)).fold(f64::INFINITY, f64::min);
    let (small, large) = (best(&small), best(&large));
    assert!(large < 30.0 * small, "{small} s for 1000 users, {large} s for 8000");
}

#[test]
fn what_two_go_by_means_nobody_and_is_told() {
    let user = |key: &str, more: Value| {
        let mut user = json!({"access_key": key, "secret_key": "s", "account_id": ADMIN_ACCOUNT, "policies": []});
        user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        user
    };
    let id = "a".repeat(64);
    let directory = Directory::of(&json!({"users": [
        user("ann", json!({"user_id": id})),
        user("key", json!({"display_name": "ann", "user_name": "kay"})),
        user("thief", json!({"display_name": id})),
        user("one", json!({"user_name": "twin"})),
        user("two", json!({"user_name": "twin"})),
        user("far", json!({"user_name": "twin", "path": "/far/"})),
    ]}));
    let (ann, key, thief) = (directory.principal("ann"), directory.principal("key"), directory.principal("thief"));
    assert!(!ann.is_called("ann") && !key.is_called("ann") && key.is_called("kay") && key.is_called("key"));
    assert!(directory.user(&"ann".into()).is_err());
    assert!(ann.is_called(&id) && !thief.is_called(&id));
    assert_eq!(directory.user(&id.as_str().into()).unwrap().user_id.as_str(), id);
    for twin in ["one", "two"] {
        assert!(!directory.principal(twin).has_path_and_name("twin"));
    }
    assert!(directory.principal("far").has_path_and_name("far/twin"));
    warning(&directory, "others go by its access key `ann`");
    warning(&directory, "its name is the id of somebody else");
    warning(&directory, "several users are arn:aws:iam::111111111111:user/twin, which therefore means none");
}

#[test]
fn providers_may_be_private_when_they_were_typed_or_are_marked() {
    let made = "2026-01-01T00:00:00Z";
    let directory = Directory::of(&json!({"users": [admin(json!({}))], "oidc_providers": [
        {"url": "http://typed.example"},
        {"url": "https://made.example", "created_at": made},
        {"url": "https://marked.example", "created_at": made, "private": true},
        {"url": "https://public.example", "private": false},
    ]}));
    let private: Vec<bool> = directory.providers().iter().map(|provider| provider.may_be_private).collect();
    assert_eq!(private, [true, false, true, false]);
}
