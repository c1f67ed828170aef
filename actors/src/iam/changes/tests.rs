//! Each change on documents: what it writes, what it refuses, and what it leaves alone.

use serde_json::{Value, json};

use super::*;
use crate::iam::directory::Directory;
use crate::iam::document::{fill_in_ids, seal_plain};
use crate::iam::messages::{Draft, IamChange};
use crate::iam::{Holder, IamError, Named, Tags, WhichUser, inline_policies};
use crate::names::Stamp;
use crate::policy_engine::PolicyHome;
use crate::seal::{Sealer, SecretKey};

const ONE: &str = "111111111111";
const TWO: &str = "222222222222";
const NOW: Stamp = Stamp(1_700_000_000_000_000_000);

/// A file, changed as the actor changes it.
struct File {
    document: Value,
    now: Stamp,
    target: String,
}

impl File {
    fn new(mut document: Value) -> Self {
        document["note"] = json!("kept");
        Self { document, now: NOW, target: String::new() }
    }

    /// Of two accounts: `root` and `ann` in the first, `eve` in the second.
    fn of_two_accounts() -> Self {
        let user = |name: &str, account: &str, root: bool| {
            json!({"access_key": name, "secret_key": "typed by hand", "display_name": name, "account_id": account,
                "root": root, "policies": [], "color": "red"})
        };
        Self::new(json!({"users": [user("root", ONE, true), user("ann", ONE, false), user("eve", TWO, true)]}))
    }

    fn directory(&self) -> Directory {
        Directory::of(&self.document)
    }

    fn apply<M: IamChange>(&mut self, message: M) -> Result<M::Answer, IamError> {
        let sealer = Sealer::new(&SecretKey::new("test"), &[]).unwrap();
        let mut document = self.document.clone();
        fill_in_ids(&mut document)?;
        let directory = self.directory();
        let mut draft = Draft {
            document: &mut document,
            directory: &directory,
            now: self.now,
            sealer: &sealer,
            target: String::new(),
        };
        let answer = message.apply(&mut draft)?;
        self.target = draft.target;
        seal_plain(&mut document, &sealer)?;
        fill_in_ids(&mut document)?;
        assert!(self.target.starts_with("arn:aws:iam::"), "{}", self.target);
        assert_eq!(document["note"], "kept");
        assert!(!document.to_string().contains("typed by hand"), "a write seals what was typed");
        self.document = document;
        self.directory();
        Ok(answer)
    }

    /// The statement of every policy that the user holds, with where from.
    fn homes(&self, user: &str) -> Vec<PolicyHome> {
        let directory = self.directory();
        let user = directory.user(&WhichUser::from(user)).unwrap();
        directory.principal_of(&user.user_id).unwrap().policies.iter().map(|policy| policy.home.clone()).collect()
    }
}

fn named(name: &str) -> Named {
    Named::new(ONE, name)
}

fn user(name: &str) -> WhichUser {
    WhichUser::Named(named(name))
}

fn allow(action: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}).to_string()
}

fn trust() -> String {
    let statement = json!({"Effect": "Allow", "Principal": {"AWS": ONE}, "Action": "sts:AssumeRole"});
    json!({"Version": "2012-10-17", "Statement": statement}).to_string()
}

fn api_user(name: &str) -> CreateUser {
    CreateUser {
        account_id: Some(ONE.to_owned()),
        user_name: Some(name.to_owned()),
        with_key: false,
        ..CreateUser::default()
    }
}

macro_rules! refused {
    ($result:expr, $kind:ident) => {{
        let result = $result;
        assert!(matches!(result, Err(IamError::$kind { .. })), "{:?}", result.err());
    }};
}

#[test]
fn users_of_the_api_are_made_renamed_and_removed() {
    let mut file = File::of_two_accounts();
    let made = file.apply(CreateUser { path: Some("/team/".to_owned()), ..api_user("Bob") }).unwrap();
    assert!(made.credential.is_none());
    assert_eq!(file.target, "arn:aws:iam::111111111111:user/team/Bob");
    refused!(file.apply(api_user("bob")), EntityAlreadyExists);
    file.apply(CreateUser { account_id: Some(TWO.to_owned()), ..api_user("bob") }).unwrap();
    let directory = file.directory();
    let bob = directory.user(&user("bOB")).unwrap();
    assert_eq!((&bob.user_id, bob.path.as_str(), bob.user_name.as_str()), (&made.user_id, "/team/", "Bob"));
    assert_eq!(bob.created_at.map(Stamp::seconds), Some(NOW.seconds()));
    assert!(directory.principal_of(&made.user_id).unwrap().access_keys.is_empty());

    let update = |new_name: &str| UpdateUser {
        user_name: Some(new_name.to_owned()),
        path: Some("/".to_owned()),
        ..UpdateUser::new(user("bob"))
    };
    refused!(file.apply(update("ANN")), EntityAlreadyExists);
    refused!(file.apply(update("a b")), InvalidInput);
    file.apply(update("Rob")).unwrap();
    assert_eq!(file.target, "arn:aws:iam::111111111111:user/team/Bob");
    let directory = file.directory();
    let rob = directory.user(&user("Rob")).unwrap();
    assert_eq!((&rob.user_id, rob.path.as_str(), rob.display_name.as_str()), (&made.user_id, "/", "Rob"));
    refused!(file.apply(update("Rob")), NoSuchEntity);

    file.apply(DeleteUser { user: user("rob"), force: false }).unwrap();
    assert_eq!(file.document["former_users"][0]["user_id"], made.user_id.as_str());
    assert_eq!(file.directory().account_of(&made.user_id), ONE);
    let again = file.apply(api_user("Rob")).unwrap();
    assert_ne!(again.user_id, made.user_id, "an id is never given on");
}

#[test]
fn a_user_goes_only_with_nothing_on_it_unless_forced() {
    let mut file = File::of_two_accounts();
    let delete = |force| DeleteUser { user: user("ann"), force };
    refused!(file.apply(delete(false)), DeleteConflict);
    file.apply(DeleteAccessKey { user: user("ann"), access_key: "ann".to_owned() }).unwrap();
    let holder = || Holder::User(user("ann"));
    let put = PutInlinePolicy { holder: holder(), policy_name: "p".to_owned(), document: allow("s3:*") };
    file.apply(put.clone()).unwrap();
    refused!(file.apply(delete(false)), DeleteConflict);
    file.apply(DeleteInlinePolicy { holder: holder(), policy_name: "p".to_owned() }).unwrap();
    let arn = "arn:aws:iam::aws:policy/AmazonS3FullAccess".to_owned();
    file.apply(AttachPolicy { holder: holder(), policy_arn: arn.clone() }).unwrap();
    refused!(file.apply(delete(false)), DeleteConflict);
    file.apply(DetachPolicy { holder: holder(), policy_arn: arn }).unwrap();
    file.apply(CreateGroup { group: named("g"), path: None }).unwrap();
    file.apply(AddUserToGroup { group: named("g"), user: user("ann") }).unwrap();
    refused!(file.apply(delete(false)), DeleteConflict);
    let mut forced = File::new(file.document.clone());
    forced.apply(delete(true)).unwrap();
    file.apply(RemoveUserFromGroup { group: named("g"), user: user("ann") }).unwrap();
    file.apply(delete(false)).unwrap();
    refused!(file.apply(delete(true)), NoSuchEntity);
}

#[test]
fn names_that_are_taken_give_way_to_the_access_key() {
    let mut file = File::of_two_accounts();
    let create = CreateUser {
        account_id: Some(ONE.to_owned()),
        display_name: Some("ann".to_owned()),
        access_key: Some("ann2".to_owned()),
        ..CreateUser::default()
    };
    let made = file.apply(create).unwrap();
    let directory = file.directory();
    let second = directory.user(&user("ann2")).unwrap();
    assert_eq!((&second.user_id, second.display_name.as_str()), (&made.user_id, "ann"));
    assert_ne!(directory.user(&WhichUser::from("ann")).unwrap().user_id, made.user_id, "it is another's access key");
    assert!(directory.user(&user("ann")).is_ok());
}

#[test]
fn access_keys() {
    let mut file = File::of_two_accounts();
    let create = |user: WhichUser| CreateAccessKey { user, access_key: None, secret_key: None, expires_at: None };
    let new = file.apply(create(user("ann"))).unwrap();
    refused!(file.apply(create(user("ann"))), LimitExceeded);
    refused!(file.apply(create(user("nobody"))), NoSuchEntity);
    let taken = CreateAccessKey { access_key: Some("eve".to_owned()), ..create(user("root")) };
    refused!(file.apply(taken), EntityAlreadyExists);

    // The key that the record holds itself becomes a further one when it is disabled.
    let update = |key: &str, enabled| UpdateAccessKey {
        user: user("ann"),
        access_key: key.to_owned(),
        enabled: Some(enabled),
        expires_at: None,
    };
    let id = file.directory().user(&user("ann")).unwrap().user_id.clone();
    file.apply(update("ann", false)).unwrap();
    let record = &file.document["users"][1];
    assert!(record.get("access_key").is_none() && record.get("secret_key_sealed").is_none());
    assert_eq!((&record["access_keys"][0]["access_key"], &record["color"]), (&json!("ann"), &json!("red")));
    let directory = file.directory();
    let ann = directory.user(&user("ann")).unwrap();
    assert_eq!(
        (&ann.user_id, ann.access_keys.iter().map(|key| key.is_enabled).collect::<Vec<_>>()),
        (&id, vec![false, true])
    );
    assert_eq!(directory.key(&ann.access_keys[0].access_key).unwrap().secret.expose(), "typed by hand");
    refused!(file.apply(update("eve", true)), NoSuchEntity);

    let end = UpdateAccessKey { expires_at: Some(Some(NOW)), enabled: None, ..update("ann", true) };
    file.apply(end).unwrap();
    file.apply(create(user("ann"))).unwrap();
    let delete = |key: &str| DeleteAccessKey { user: user("ann"), access_key: key.to_owned() };
    file.apply(delete(new.access_key.as_str())).unwrap();
    refused!(file.apply(delete(new.access_key.as_str())), NoSuchEntity);
    refused!(file.apply(delete("eve")), NoSuchEntity);
    assert_eq!(file.directory().user(&user("ann")).unwrap().access_keys.len(), 2);
}

#[test]
fn the_last_key_goes_and_the_user_stays_who_it_is() {
    let key = json!({"access_key": "KEY", "secret_key": "typed by hand", "policies": [], "account_id": ONE});
    let mut file = File::new(json!({"users": [key]}));
    let before = file.directory().users()[0].clone();
    file.apply(DeleteAccessKey { user: WhichUser::from("KEY"), access_key: "KEY".to_owned() }).unwrap();
    let after = file.directory().users()[0].clone();
    assert_eq!((&after.user_id, &after.user_name, after.arn()), (&before.user_id, &before.user_name, before.arn()));
    assert!(after.access_keys.is_empty());
}

#[test]
fn rotation_with_overlap_makes_a_successor() {
    let mut file = File::of_two_accounts();
    let rotate = |key: Option<&str>| RotateKey {
        user: user("ann"),
        access_key: key.map(str::to_owned),
        overlap_seconds: Some(60),
    };
    let first = file.apply(rotate(None)).unwrap();
    let replaced = first.replaced.unwrap();
    assert_eq!((replaced.access_key.as_str(), replaced.expires_at), ("ann", NOW.after(60)));
    let ends = |file: &File| {
        let directory = file.directory();
        let keys = directory.user(&user("ann")).unwrap().access_keys.clone();
        keys.into_iter().map(|key| (key.access_key, key.expires_at)).collect::<Vec<_>>()
    };
    assert_eq!(ends(&file), [(replaced.access_key.clone(), Some(NOW.after(60))), (first.access_key.clone(), None)]);
    refused!(file.apply(rotate(None)), InvalidInput);
    // A second one does not make the first end later.
    file.now = NOW.after(30);
    file.apply(rotate(Some("ann"))).unwrap();
    assert_eq!(ends(&file)[0], (replaced.access_key, Some(NOW.after(60))));
    // What has ended goes with the next one.
    file.now = NOW.after(61);
    let last = file.apply(rotate(Some(first.access_key.as_str()))).unwrap();
    assert!(ends(&file).iter().all(|(key, _)| key.as_str() != "ann"));
    assert_eq!(ends(&file).last(), Some(&(last.access_key, None)));
    refused!(
        file.apply(RotateKey { overlap_seconds: Some(u64::MAX), ..rotate(Some(first.access_key.as_str())) }),
        InvalidInput
    );
    for _ in 0..20 {
        let Err(error) = file.apply(rotate(Some(first.access_key.as_str()))) else { continue };
        assert!(matches!(error, IamError::LimitExceeded(_)), "{error}");
        return;
    }
    panic!("there is no limit");
}

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
        &allow("s3:Fly"),
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

#[test]
fn tags() {
    let mut file = File::of_two_accounts();
    let tag = |tags: &[(&str, &str)]| Tag {
        what: Taggable::User(user("ann")),
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    };
    file.apply(tag(&[("Team", "a"), ("cost", "1")])).unwrap();
    file.apply(tag(&[("team", "b")])).unwrap();
    let tags = |file: &File| file.directory().user(&user("ann")).unwrap().tags.clone();
    assert_eq!(tags(&file), [("cost".to_owned(), "1".to_owned()), ("team".to_owned(), "b".to_owned())]);
    for bad in
        [&[("", "x")][..], &[("aws:x", "x")], &[("k", "a\nb")], &[("k", "1"), ("K", "2")], &[(&"k".repeat(129), "")]]
    {
        refused!(file.apply(tag(bad)), InvalidInput);
    }
    let many: Vec<String> = (0..49).map(|number| format!("k{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "")).collect();
    refused!(file.apply(tag(&many)), LimitExceeded);
    file.apply(tag(&many[..48])).unwrap();
    let untag = Untag { what: Taggable::User(user("ann")), keys: vec!["TEAM".to_owned(), "none".to_owned()] };
    file.apply(untag).unwrap();
    assert_eq!(tags(&file).len(), 49);

    file.apply(CreateRole {
        role: named("r"),
        path: None,
        assume_role_policy: trust(),
        description: None,
        max_session_duration: None,
        tags: vec![("k".to_owned(), "v".to_owned())],
    })
    .unwrap();
    file.apply(Untag { what: Taggable::Role(named("r")), keys: vec!["k".to_owned()] }).unwrap();
    assert!(file.document["roles"][0].get("tags").is_none());
    let aws = "arn:aws:iam::aws:policy/IAMFullAccess".to_owned();
    let what = Taggable::Policy { account_id: ONE.to_owned(), arn: aws };
    refused!(file.apply(Tag { what, ..tag(&[("k", "v")]) }), UnmodifiableEntity);
}
