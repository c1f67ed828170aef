//! Policies, groups, roles and identity providers.

use serde_json::{Value, json};

use super::*;

#[test]
fn inline_policies_are_put_by_name() {
    let mut file = File::of_two_accounts();
    file.document["users"][1]["policies"] =
        json!([{"bucket": "b", "actions": ["list"]}, serde_json::from_str::<Value>(&allow("s3:GetObject")).unwrap()]);
    let put = |name: &str, document: String| PutInlinePolicy {
        holder: Holder::User(user("ann")),
        policy_name: name.to_owned(),
        document,
    };
    file.apply(put("p", allow("s3:*"))).unwrap();
    file.apply(put("p", allow("s3:PutObject"))).unwrap();
    let names = |file: &File| {
        let directory = file.directory();
        let policies = &directory.user(&user("ann")).unwrap().policies;
        inline_policies(policies).map(|(name, _)| name.into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&file), ["policy-2", "p"], "one that was typed without a name goes by its place");
    let policies = &file.document["users"][1]["policies"];
    assert_eq!(policies[0], json!({"bucket": "b", "actions": ["list"]}), "grants are not touched");
    assert_eq!(policies[2]["Statement"][0]["Action"], "s3:PutObject");
    assert_eq!(policies[2].as_object().unwrap().keys().next().unwrap(), "PolicyName");

    refused!(file.apply(put("a b", allow("s3:*"))), InvalidInput);
    for bad in [
        "{",
        "[]",
        "{\"Version\": \"2012-10-17\"}",
        "{\"bucket\": \"*\", \"actions\": [\"*\"]}",
        "{\"PolicyName\": \"x\", \"Statement\": []}",
        "{\"Statement\": [], \"Statement\": []}",
        &allow("Fly"),
    ] {
        refused!(file.apply(put("p", bad.to_owned())), MalformedPolicyDocument);
    }
    let of_size = |characters: usize| {
        let text = allow("s3:*");
        format!("{text}{}", " ".repeat(5000)).replace("\"*\"", &format!("\"arn:aws:s3:::{}\"", "x".repeat(characters)))
    };
    file.apply(put("large", of_size(1500))).unwrap();
    refused!(file.apply(put("more", of_size(300))), LimitExceeded);
    refused!(file.apply(put("large", of_size(2048))), LimitExceeded);
    file.apply(put("large", of_size(300))).unwrap();

    let delete = |name: &str| DeleteInlinePolicy { holder: Holder::User(user("ann")), policy_name: name.to_owned() };
    file.apply(delete("p")).unwrap();
    refused!(file.apply(delete("p")), NoSuchEntity);
    assert_eq!(names(&file), ["policy-2", "large"]);
    file.apply(delete("policy-2")).unwrap();
    for holder in [Holder::Group(named("none")), Holder::Role(named("none")), Holder::User(user("eve"))] {
        let put = PutInlinePolicy { holder, policy_name: "p".to_owned(), document: allow("s3:*") };
        refused!(file.apply(put), NoSuchEntity);
    }
}

#[test]
fn groups_and_their_members() {
    let mut file = File::of_two_accounts();
    let create = |name: &str| CreateGroup { group: named(name), path: Some("/x/".to_owned()) };
    file.apply(create("Devs")).unwrap();
    assert_eq!(file.target, "arn:aws:iam::111111111111:group/x/Devs");
    refused!(file.apply(create("devs")), EntityAlreadyExists);
    refused!(file.apply(create("a b")), InvalidInput);
    let add = |name: &str| AddUserToGroup { group: named("devs"), user: user(name) };
    file.apply(add("ann")).unwrap();
    file.apply(add("ann")).unwrap();
    assert_eq!(file.document["users"][1]["groups"], json!(["Devs"]));
    refused!(file.apply(add("eve")), NoSuchEntity);
    let of_another = AddUserToGroup { group: named("devs"), user: WhichUser::from("eve") };
    refused!(file.apply(of_another), NoSuchEntity);

    let holder = || Holder::Group(named("devs"));
    let put = PutInlinePolicy { holder: holder(), policy_name: "p".to_owned(), document: allow("s3:*") };
    file.apply(put).unwrap();
    let arn = "arn:aws:iam::aws:policy/IAMReadOnlyAccess";
    file.apply(AttachPolicy { holder: holder(), policy_arn: arn.to_owned() }).unwrap();
    let group = Box::from("Devs");
    let homes = [
        PolicyHome::Group { group: Box::clone(&group), index: 0 },
        PolicyHome::Managed { arn: Box::from(arn), group: Some(group) },
    ];
    assert_eq!(file.homes("ann"), homes);
    assert!(file.homes("root").is_empty());

    let id = file.directory().group(ONE, "devs").unwrap().group_id.clone();
    file.apply(create("Ops")).unwrap();
    let update =
        |new_name: &str| UpdateGroup { group: named("devs"), new_name: Some(new_name.to_owned()), new_path: None };
    refused!(file.apply(update("ops")), EntityAlreadyExists);
    file.apply(update("Builders")).unwrap();
    assert_eq!(file.document["users"][1]["groups"], json!(["Builders"]), "who is in it stays in it");
    let directory = file.directory();
    let builders = directory.group(ONE, "builders").unwrap();
    assert_eq!((builders.group_id.as_str(), builders.path.as_str()), (id.as_str(), "/x/"));
    assert_eq!(directory.members(builders, ONE).count(), 1);

    let delete = |name: &str| DeleteGroup { group: named(name) };
    refused!(file.apply(delete("Devs")), NoSuchEntity);
    refused!(file.apply(delete("Builders")), DeleteConflict);
    let remove = || RemoveUserFromGroup { group: named("builders"), user: user("ann") };
    file.apply(remove()).unwrap();
    refused!(file.apply(remove()), NoSuchEntity);
    refused!(file.apply(delete("Builders")), DeleteConflict);
    let holder = || Holder::Group(named("builders"));
    file.apply(DeleteInlinePolicy { holder: holder(), policy_name: "p".to_owned() }).unwrap();
    refused!(file.apply(delete("Builders")), DeleteConflict);
    file.apply(DetachPolicy { holder: holder(), policy_arn: arn.to_owned() }).unwrap();
    file.apply(delete("Builders")).unwrap();
    assert!(file.directory().group(ONE, "Builders").is_err());
}

#[test]
fn a_group_that_every_account_has_is_changed_in_the_file() {
    let mut file = File::of_two_accounts();
    file.document["groups"] = json!([{"name": "all", "policies": [{"bucket": "*", "actions": ["list"]}]}]);
    for (account, name) in [(ONE, "ann"), (TWO, "eve")] {
        let user = WhichUser::Named(Named::new(account, name));
        file.apply(AddUserToGroup { group: Named::new(account, "all"), user }).unwrap();
        assert_eq!(file.homes(name).len(), 1);
    }
    let directory = file.directory();
    let all = directory.group(ONE, "all").unwrap();
    assert_eq!(all.arn(TWO), "arn:aws:iam::222222222222:group/all");
    assert_eq!((directory.members(all, ONE).count(), directory.members(all, TWO).count()), (1, 1));
    refused!(file.apply(DeleteGroup { group: named("all") }), UnmodifiableEntity);
    let put =
        PutInlinePolicy { holder: Holder::Group(named("all")), policy_name: "p".to_owned(), document: allow("s3:*") };
    refused!(file.apply(put), UnmodifiableEntity);
    refused!(file.apply(CreateGroup { group: named("ALL"), path: None }), EntityAlreadyExists);
}

#[test]
fn managed_policies_and_versions() {
    let mut file = File::of_two_accounts();
    let create = |name: &str| CreatePolicy {
        policy: named(name),
        path: None,
        description: Some("for tests".to_owned()),
        document: allow("s3:GetObject"),
        tags: vec![("k".to_owned(), "v".to_owned())],
    };
    let arn = file.apply(create("Read")).unwrap();
    assert_eq!(arn, "arn:aws:iam::111111111111:policy/Read");
    refused!(file.apply(create("READ")), EntityAlreadyExists);
    let grant = CreatePolicy { document: json!({"bucket": "*", "actions": ["*"]}).to_string(), ..create("x") };
    refused!(file.apply(grant), MalformedPolicyDocument);
    let large = allow(&format!("s3:{}*", "?".repeat(7000)));
    refused!(file.apply(CreatePolicy { document: large, ..create("x") }), LimitExceeded);

    let add = |set_as_default| CreatePolicyVersion {
        account_id: ONE.to_owned(),
        arn: arn.clone(),
        document: allow("s3:PutObject"),
        set_as_default,
    };
    assert_eq!(file.apply(add(false)).unwrap(), "v2");
    assert_eq!(file.apply(add(true)).unwrap(), "v3");
    let default = |file: &File| file.directory().managed_policy(&arn).unwrap().default_version_id.clone();
    assert_eq!(default(&file), "v3");
    let version = |version_id: &str| (ONE.to_owned(), arn.clone(), version_id.to_owned());
    let delete = |id: &str| {
        let (account_id, arn, version_id) = version(id);
        DeletePolicyVersion { account_id, arn, version_id }
    };
    let set_default = |id: &str| {
        let (account_id, arn, version_id) = version(id);
        SetDefaultPolicyVersion { account_id, arn, version_id }
    };
    refused!(file.apply(delete("v3")), DeleteConflict);
    refused!(file.apply(delete("v9")), NoSuchEntity);
    refused!(file.apply(set_default("v9")), NoSuchEntity);
    file.apply(set_default("v1")).unwrap();
    file.apply(delete("v3")).unwrap();
    assert_eq!(file.apply(add(false)).unwrap(), "v4", "a number is not used again");
    file.apply(add(false)).unwrap();
    file.apply(add(false)).unwrap();
    refused!(file.apply(add(false)), LimitExceeded);

    let holder = || Holder::User(user("ann"));
    file.apply(AttachPolicy { holder: holder(), policy_arn: arn.clone() }).unwrap();
    file.apply(AttachPolicy { holder: holder(), policy_arn: arn.clone() }).unwrap();
    assert_eq!(file.homes("ann"), [PolicyHome::Managed { arn: Box::from(arn.as_str()), group: None }]);
    let remove = || DeletePolicy { account_id: ONE.to_owned(), arn: arn.clone() };
    refused!(file.apply(remove()), DeleteConflict);
    refused!(file.apply(DeletePolicy { account_id: TWO.to_owned(), arn: arn.clone() }), NoSuchEntity);
    let of_eve = Holder::User(WhichUser::from("eve"));
    refused!(file.apply(AttachPolicy { holder: of_eve, policy_arn: arn.clone() }), NoSuchEntity);
    let directory = file.directory();
    let policy = directory.managed_policy(&arn).unwrap();
    assert_eq!((directory.holders(policy, ONE).count(), directory.holders(policy, TWO).count()), (1, 0));
    let detach = || DetachPolicy { holder: holder(), policy_arn: arn.clone() };
    file.apply(detach()).unwrap();
    refused!(file.apply(detach()), NoSuchEntity);
    refused!(file.apply(remove()), DeleteConflict);
    for id in ["v2", "v4", "v5", "v6"] {
        file.apply(delete(id)).unwrap();
    }
    file.apply(remove()).unwrap();
    let aws = "arn:aws:iam::aws:policy/AdministratorAccess".to_owned();
    refused!(file.apply(DeletePolicy { account_id: ONE.to_owned(), arn: aws }), UnmodifiableEntity);
}

#[test]
fn a_document_alone_becomes_the_first_version() {
    let document: Value = serde_json::from_str(&allow("s3:GetObject")).unwrap();
    let mut file = File::of_two_accounts();
    file.document["managed_policies"] =
        json!([{"policy_name": "typed", "account_id": ONE, "document": document, "x": 1}]);
    let arn = "arn:aws:iam::111111111111:policy/typed".to_owned();
    let id = file.directory().managed_policy(&arn).unwrap().policy_id.clone();
    assert!(id.starts_with("ANPA") && id.len() == 21);
    let add = CreatePolicyVersion {
        account_id: ONE.to_owned(),
        arn: arn.clone(),
        document: allow("s3:PutObject"),
        set_as_default: true,
    };
    assert_eq!(file.apply(add).unwrap(), "v2");
    let directory = file.directory();
    let policy = directory.managed_policy(&arn).unwrap();
    assert_eq!((policy.versions.len(), &policy.versions[0].document, &policy.policy_id), (2, &document, &id));
    assert_eq!(file.document["managed_policies"][0]["x"], 1);
}

#[test]
fn roles() {
    let mut file = File::of_two_accounts();
    let create = |name: &str| CreateRole {
        role: named(name),
        path: Some("/svc/".to_owned()),
        assume_role_policy: trust(),
        description: Some("a role".to_owned()),
        max_session_duration: Some(7200),
        tags: Tags::new(),
    };
    file.apply(create("Deploy")).unwrap();
    refused!(file.apply(create("deploy")), EntityAlreadyExists);
    refused!(file.apply(CreateRole { max_session_duration: Some(60), ..create("x") }), InvalidInput);
    refused!(
        file.apply(CreateRole { assume_role_policy: allow("sts:AssumeRole"), ..create("x") }),
        MalformedPolicyDocument
    );
    let directory = file.directory();
    let role = directory.role(ONE, "deploy").unwrap();
    assert_eq!(role.arn(), "arn:aws:iam::111111111111:role/svc/Deploy");
    assert_eq!((role.max_session_duration, role.trust.is_ok(), role.role_id.len()), (7200, true, 21));
    assert!(directory.role_by_arn(&role.arn()).is_some());
    assert!(directory.role_by_arn("arn:aws:iam::111111111111:role/svc/deploy").is_none());
    assert_eq!(directory.account_of(&role.canonical_id), ONE);
    assert_eq!(directory.display_name(&role.canonical_id), Some("Deploy"));

    let holder = || Holder::Role(named("deploy"));
    let put = PutInlinePolicy { holder: holder(), policy_name: "p".to_owned(), document: allow("s3:*") };
    file.apply(put).unwrap();
    let role_named = || named("deploy");
    file.apply(UpdateRole { role: role_named(), description: None, max_session_duration: Some(3600) }).unwrap();
    refused!(
        file.apply(UpdateRole { role: role_named(), description: None, max_session_duration: Some(43_201) }),
        InvalidInput
    );
    file.apply(UpdateAssumeRolePolicy { role: role_named(), document: trust().replace("Allow", "Deny") }).unwrap();
    refused!(
        file.apply(UpdateAssumeRolePolicy { role: role_named(), document: "{}".to_owned() }),
        MalformedPolicyDocument
    );
    let directory = file.directory();
    let after = directory.role(ONE, "deploy").unwrap();
    assert_eq!((after.max_session_duration, after.description.as_deref()), (3600, Some("a role")));
    assert_eq!((after.identity_policies().len(), &after.canonical_id), (1, &role.canonical_id));

    let delete = || DeleteRole { role: role_named() };
    refused!(file.apply(delete()), DeleteConflict);
    file.apply(DeleteInlinePolicy { holder: holder(), policy_name: "p".to_owned() }).unwrap();
    file.apply(delete()).unwrap();
    refused!(file.apply(delete()), NoSuchEntity);
    let directory = file.directory();
    assert_eq!((directory.account_of(&role.canonical_id).as_ref(), directory.knows(&role.canonical_id)), (ONE, true));
    file.apply(create("Deploy")).unwrap();
    assert_ne!(file.directory().role(ONE, "Deploy").unwrap().canonical_id, role.canonical_id);
}

#[test]
fn identity_providers() {
    let mut file = File::of_two_accounts();
    let create = |url: &str| CreateOidcProvider {
        account_id: ONE.to_owned(),
        url: url.to_owned(),
        client_ids: vec!["app".to_owned()],
        thumbprints: vec!["a".repeat(40)],
        tags: Tags::new(),
        may_be_private: true,
    };
    let arn = file.apply(create("https://idp.example.com/realms/x")).unwrap();
    assert_eq!(arn, "arn:aws:iam::111111111111:oidc-provider/idp.example.com/realms/x");
    refused!(file.apply(create("http://idp.example.com/realms/x")), EntityAlreadyExists);
    for url in [
        "",
        "idp.example.com",
        "ftp://idp",
        "https://",
        "https://idp?x",
        "https://me@idp",
        &format!("https://{}", "x".repeat(300)),
    ] {
        refused!(file.apply(create(url)), InvalidInput);
    }
    let of_account = |url: &str| CreateOidcProvider { may_be_private: false, ..create(url) };
    refused!(file.apply(of_account("http://10.0.0.1")), InvalidInput);
    let public = file.apply(of_account("https://public.example")).unwrap();
    let directory = file.directory();
    assert!(directory.provider(&arn).unwrap().may_be_private && !directory.provider(&public).unwrap().may_be_private);
    refused!(file.apply(CreateOidcProvider { thumbprints: vec!["a".to_owned()], ..create("https://b") }), InvalidInput);
    let add =
        |client_id: &str| AddClientId { account_id: ONE.to_owned(), arn: arn.clone(), client_id: client_id.to_owned() };
    file.apply(add("app")).unwrap();
    file.apply(add("other")).unwrap();
    refused!(file.apply(add("")), InvalidInput);
    refused!(file.apply(AddClientId { account_id: TWO.to_owned(), ..add("x") }), NoSuchEntity);
    let client_ids = |file: &File| file.directory().provider(&arn).unwrap().client_ids.clone();
    assert_eq!(client_ids(&file), ["app", "other"]);
    let remove = RemoveClientId { account_id: ONE.to_owned(), arn: arn.clone(), client_id: "app".to_owned() };
    file.apply(remove.clone()).unwrap();
    file.apply(remove).unwrap();
    assert_eq!(client_ids(&file), ["other"]);
    let thumbprints = vec!["b".repeat(40)];
    file.apply(UpdateThumbprints { account_id: ONE.to_owned(), arn: arn.clone(), thumbprints: thumbprints.clone() })
        .unwrap();
    assert_eq!(file.directory().provider(&arn).unwrap().thumbprints, thumbprints);
    file.apply(DeleteOidcProvider { account_id: ONE.to_owned(), arn: arn.clone() }).unwrap();
    assert!(file.directory().provider(&arn).is_err());
}
