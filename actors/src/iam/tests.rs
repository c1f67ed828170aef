//! The actor with its file: first start, lookups, hand edits, changes, lock-out.

mod hand_written;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::audit::{AuditLog, ChangeOrigin};
use crate::clock::ManualClock;
use crate::names::{AccessKeyId, Stamp};
use crate::seal::Sealer;

struct Node {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    settings: IamSettings,
}

impl Node {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = IamSettings {
            path: folder.path().join("config/iam.json"),
            host_is_loopback: true,
            admin_access_key: None,
            admin_secret_key: None,
            sealer: sealer("key one", &[]),
            audit: AuditLog::nowhere(),
            login_failures_max: 20,
        };
        Self { folder, clock: Arc::new(ManualClock::new(Stamp(1_000_000_000))), settings }
    }

    fn with_file(document: &Value) -> Self {
        let node = Self::new();
        node.write(&document.to_string());
        node
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("config/iam.json")
    }

    fn write(&self, text: &str) {
        fs::create_dir_all(self.path().parent().unwrap()).unwrap();
        fs::write(self.path(), text).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    fn document(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    fn start(&self) -> Result<IamStart, IamError> {
        IamClient::start(self.settings.clone(), self.clock.clone(), &actix::Arbiter::current())
    }

    fn client(&self) -> IamClient {
        self.start().unwrap().client
    }
}

fn sealer(current: &str, previous: &[&str]) -> Sealer {
    let previous: Vec<SecretKey> = previous.iter().map(|key| SecretKey::new(key)).collect();
    Sealer::new(&SecretKey::new(current), &previous).unwrap()
}

fn by() -> ChangeOrigin {
    ChangeOrigin { principal: "test".to_owned(), ..ChangeOrigin::default() }
}

fn id(text: &str) -> AccessKeyId {
    AccessKeyId::parse(text).unwrap()
}

fn users(users: Value) -> Value {
    json!({"users": users, "note": "kept"})
}

/// SHA-256 of `ann`.
const ANN_ID: &str = "49915e0d7d4b402e3017d010bc1c0e83cac6c797d6c16e66340fe3268693a6a1";

#[actix::test]
async fn the_first_start_on_loopback_seeds_the_well_known_admin() {
    let node = Node::new();
    let start = node.start().unwrap();
    let seeded = start.seeded.unwrap();
    assert_eq!((seeded.access_key.as_str(), seeded.secret_key.expose()), ("localadmin", "localadmin"));
    assert!(seeded.well_known && start.client.has_well_known_secret());
    assert_eq!(fs::metadata(node.path()).unwrap().permissions().mode() & 0o777, 0o600);
    let user = &node.document()["users"][0];
    assert_eq!(user["secret_key"], "localadmin");
    assert_eq!(user["user_id"].as_str().unwrap().len(), 64);
    let actions = json!(["list", "read", "write", "delete", "share", "policy", "replication", "iam:*"]);
    assert_eq!(user["policies"], json!([{"bucket": "*", "actions": actions}]));

    let key = id("localadmin");
    let credential = start.client.credential(&key, None, || false).await.unwrap();
    assert!(credential.principal.is_root);
    assert!(matches!(start.client.credential(&key, None, || true).await, Err(IamError::WellKnownRefused(_))));
    let refused = start.client.verify_secret(&key, None, "localadmin", None, true).await;
    assert!(matches!(refused, Err(IamError::WellKnownRefused(_))));
    assert!(node.start().unwrap().seeded.is_none(), "only the first start seeds");
}

#[actix::test]
async fn on_other_addresses_the_secret_is_random_and_sealed() {
    let mut node = Node::new();
    node.settings.host_is_loopback = false;
    let start = node.start().unwrap();
    let seeded = start.seeded.unwrap();
    assert!(!seeded.well_known && seeded.secret_key.expose().len() == 40);
    assert!(!node.text().contains(seeded.secret_key.expose()));
    let credential = start.client.credential(&seeded.access_key, None, || true).await.unwrap();
    assert_eq!(credential.secret.expose(), seeded.secret_key.expose());
}

#[actix::test]
async fn the_operator_may_choose_the_admin_even_the_well_known_one() {
    let mut node = Node::new();
    node.settings.admin_access_key = Some("chief".to_owned());
    node.settings.admin_secret_key = Some(SecretKey::new("long enough"));
    let start = node.start().unwrap();
    assert_eq!(start.client.credential(&id("chief"), None, || true).await.unwrap().secret.expose(), "long enough");
    assert!(!node.text().contains("long enough"));

    let mut node = Node::new();
    node.settings.host_is_loopback = false;
    node.settings.admin_secret_key = Some(SecretKey::new("localadmin"));
    let client = node.client();
    assert!(client.credential(&id("localadmin"), None, || true).await.is_ok());
}

#[actix::test]
async fn absent_ids_are_written_back_and_never_given_on() {
    let user = |key: &str| json!({"access_key": key, "secret_key": "secret", "display_name": key, "color": "red"});
    let node = Node::with_file(&users(json!([user("ann")])));
    let client = node.client();
    let ann = client.credential(&id("ann"), None, || true).await.unwrap().principal.user_id.clone();
    assert_eq!(ann.as_str(), ANN_ID);
    assert_eq!(node.document()["users"][0]["user_id"], ann.as_str());
    assert!(!node.text().contains("\"secret\""), "what was typed is sealed with the first write");
    assert_eq!((&node.document()["note"], &node.document()["users"][0]["color"]), (&json!("kept"), &json!("red")));

    // Her key is renamed by hand, and another user gets the old one.
    let mut document = node.document();
    document["users"][0]["access_key"] = json!("ann2");
    document["users"].as_array_mut().unwrap().push(user("ann"));
    node.write(&document.to_string());
    assert_eq!(client.credential(&id("ann2"), None, || true).await.unwrap().principal.user_id, ann);
    let other = client.credential(&id("ann"), None, || true).await.unwrap().principal.user_id.clone();
    assert_ne!(other, ann);
    assert_eq!(node.document()["users"][1]["user_id"], other.as_str());

    client.change(by(), DeleteUser { user: ann.as_str().into(), force: true }).await.unwrap();
    let mut document = node.document();
    document["users"]
        .as_array_mut()
        .unwrap()
        .push(json!({"access_key": "thief", "secret_key": "s", "user_id": ann.as_str()}));
    node.write(&document.to_string());
    client.refresh().await.unwrap();
    assert!(client.problem().unwrap().reason.contains("another user has, or had"));
}

#[actix::test]
async fn hand_edits_count_at_once_and_broken_ones_never() {
    let user = |enabled: bool| {
        users(json!([{"access_key": "ann", "secret_key": "secret", "enabled": enabled, "policies": []}]))
    };
    let node = Node::with_file(&user(true));
    let client = node.client();
    assert!(client.credential(&id("ann"), None, || true).await.is_ok());
    node.write(&user(false).to_string());
    assert!(matches!(client.credential(&id("ann"), None, || true).await, Err(IamError::Disabled(_))));
    node.write(&user(true).to_string());
    assert!(client.credential(&id("ann"), None, || true).await.is_ok());

    for broken in [
        "{\"users\": [\n\n{]}",
        "{\"users\": {}}",
        "{\"users\": [{\"display_name\": \"nobody\"}]}",
        "{\"users\": [{\"access_key\": \"ann\"}]}",
        "{\"users\": [{\"access_key\": \"a/b\", \"secret_key\": \"s\"}]}",
        "{\"users\": [{\"access_key\": \"ann\", \"secret_key\": \"s\", \"account_id\": \"12\"}]}",
        "{\"users\": [{\"access_key\": \"ann\", \"secret_key\": \"s\", \"enabled\": \"yes\"}]}",
        "{\"users\": [{\"access_key\": \"ann\", \"secret_key\": \"s\", \"enabled\": true, \"enabled\": false}]}",
        "{\"users\": [{\"access_key\": \"ann\", \"secret_key\": \"s\"}, {\"access_key\": \"ann\", \"secret_key\": \"t\"}]}",
        "{\"users\": [{\"access_key\": \"ann\", \"secret_key_sealed\": \"v1:00000000:AAAA\"}]}",
    ] {
        node.write(broken);
        assert!(client.credential(&id("ann"), None, || true).await.is_ok(), "{broken}");
        assert!(client.problem().unwrap().to_string().contains("iam.json, line "), "{broken}");
        let create = CreateUser { display_name: Some("Bob".to_owned()), ..Default::default() };
        assert!(matches!(client.change(by(), create).await, Err(IamError::Store(_))), "{broken}");
        assert_eq!(node.text(), broken);
        assert!(matches!(node.start(), Err(IamError::Store(_))), "{broken}");
    }
    fs::remove_file(node.path()).unwrap();
    assert!(client.credential(&id("ann"), None, || true).await.is_ok());
    node.write(&users(json!([])).to_string());
    assert!(matches!(client.credential(&id("ann"), None, || true).await, Err(IamError::NoSuchAccessKey(_))));
    assert!(client.problem().is_none());
}

#[actix::test]
async fn a_policy_with_a_mistake_is_told_of_and_leaves_the_file_in_force() {
    let node = Node::with_file(&users(json!([
        {"access_key": "ann", "secret_key": "s", "policies": [{"bucket": "*", "actions": ["*"]}, {"Statement": []}]},
        {"access_key": "bob", "secret_key": "s", "policies": [{"bucket": "*", "actions": ["list"]}]},
    ])));
    let client = node.client();
    let principal = client.credential(&id("ann"), None, || true).await.unwrap().principal;
    assert!(principal.policies.iter().any(|policy| policy.mistake().is_some_and(|found| found.place.contains("[1]"))));
    assert!(client.directory().warnings().iter().any(|text| text.contains("`ann` may do nothing")));
    assert!(client.credential(&id("bob"), None, || true).await.is_ok());
}

#[actix::test]
async fn ends_and_further_keys() {
    let node = Node::with_file(&users(json!([{
        "display_name": "ann", "user_id": "a".repeat(64), "expires_at": 1000,
        "access_keys": [
            {"access_key": "k1", "secret_key": "s1"},
            {"access_key": "k2", "secret_key": "s2", "enabled": false},
            {"access_key": "k3", "secret_key": "s3", "expires_at": "1970-01-01T00:01:00Z"},
        ],
    }])));
    let client = node.client();
    let look = async |key: &str| client.credential(&id(key), None, || true).await;
    assert!(look("k1").await.is_ok() && look("k3").await.is_ok());
    assert!(matches!(look("k2").await, Err(IamError::Disabled(_))));
    node.clock.set(Stamp(60_000_000_000));
    assert!(matches!(look("k3").await, Err(IamError::Expired(_))));
    node.clock.set(Stamp(1_000_000_000_000));
    assert!(matches!(look("k1").await, Err(IamError::Expired(_))));
    let rotate = |user: &str| client.change(by(), RotateKey::from(user));
    assert!(matches!(rotate("ann").await, Err(IamError::InvalidInput { .. })));
    let rotated = rotate("k3").await.unwrap();
    assert_eq!(rotated.access_key, id("k3"));
    assert_eq!(node.document()["users"][0]["access_keys"][2].get("secret_key"), None);
    let first = &node.document()["users"][0]["access_keys"][0];
    assert!(
        first.get("secret_key").is_none() && first["secret_key_sealed"].is_string(),
        "writing seals the others too"
    );
}

#[actix::test]
async fn users_are_created_listed_changed_and_deleted() {
    let node = Node::new();
    let client = node.client();
    let policies = json!([{"bucket": "backup-bucket", "actions": ["write", "read", "list"]}]);
    let create = |name: &str| CreateUser {
        display_name: Some(name.to_owned()),
        policies: policies.clone(),
        ..CreateUser::default()
    };
    let made = client.change(by(), create("Replication User")).await.unwrap();
    let new = made.credential.unwrap();
    assert!(!node.text().contains(new.secret_key.expose()));
    let principal = client.verify_secret(&new.access_key, None, new.secret_key.expose(), None, true).await.unwrap();
    let admin = client.credential(&id("localadmin"), None, || false).await.unwrap().principal;
    assert_eq!(principal.account_id, admin.account_id, "it joins its creator's account");
    assert!(!principal.is_root && admin.is_root);
    assert_eq!((&principal.user_id, &made.user_id), (&new.user_id, &new.user_id));
    assert_eq!(client.owner_display_name(&new.user_id).as_deref(), Some("Replication User"));
    assert_eq!(client.directory().users().len(), 2);
    assert!(client.directory().users()[1].created_at.is_some());

    let rotated = client.change(by(), RotateKey::from("Replication User")).await.unwrap();
    assert_eq!((&rotated.access_key, rotated.replaced), (&new.access_key, None));
    let old = client.verify_secret(&new.access_key, None, new.secret_key.expose(), None, true).await;
    assert!(matches!(old, Err(IamError::WrongSecret(_))));
    assert!(client.verify_secret(&new.access_key, None, rotated.secret_key.expose(), None, true).await.is_ok());

    let set = |policies: Value| client.change(by(), SetPolicies { user: new.access_key.as_str().into(), policies });
    set(json!([{"bucket": "*", "actions": ["list"]}])).await.unwrap();
    assert_eq!(node.document()["users"][1]["policies"], json!([{"bucket": "*", "actions": ["list"]}]));
    for bad in [json!({}), json!([{"bucket": "*", "actions": ["fly"]}]), json!([{"Statement": []}])] {
        assert!(matches!(set(bad).await, Err(IamError::MalformedPolicyDocument(_))));
    }

    let taken = CreateUser { access_key: Some("localadmin".to_owned()), ..create("x") };
    assert!(matches!(client.change(by(), taken).await, Err(IamError::EntityAlreadyExists(_))));
    for bad in [
        CreateUser { display_name: Some(" ".to_owned()), ..create("x") },
        CreateUser { display_name: None, ..create("x") },
        CreateUser { access_key: Some("a b".to_owned()), ..create("x") },
        CreateUser { secret_key: Some("short".to_owned()), ..create("x") },
        CreateUser { user_name: Some("a b".to_owned()), ..create("x") },
        CreateUser { path: Some("a".to_owned()), ..create("x") },
        CreateUser { account_id: Some("12".to_owned()), ..create("x") },
    ] {
        assert!(matches!(client.change(by(), bad).await, Err(IamError::InvalidInput { .. })));
    }
    let delete = || DeleteUser { user: new.access_key.as_str().into(), force: true };
    let gone = client.change(by(), delete()).await.unwrap();
    assert_eq!(gone.user_id, new.user_id);
    assert!(matches!(client.credential(&new.access_key, None, || true).await, Err(IamError::NoSuchAccessKey(_))));
    assert!(matches!(client.change(by(), delete()).await, Err(IamError::NoSuchEntity(_))));
    assert_eq!(node.document()["former_users"][0]["user_id"], new.user_id.as_str());
}

#[actix::test]
async fn a_change_keeps_hand_edits_that_nobody_has_looked_at_yet() {
    let node = Node::new();
    let client = node.client();
    let mut document = node.document();
    document["users"].as_array_mut().unwrap().push(json!({"access_key": "typed", "secret_key": "by hand", "x": 1}));
    document["groups"] = json!([{"name": "g"}]);
    node.write(&document.to_string());
    let create = CreateUser { display_name: Some("New".to_owned()), ..CreateUser::default() };
    client.change(by(), create).await.unwrap();
    let after = node.document();
    assert_eq!(after["groups"], json!([{"name": "g"}]));
    assert_eq!((after["users"][1]["access_key"].as_str(), after["users"][1]["x"].as_i64()), (Some("typed"), Some(1)));
    assert_eq!(client.credential(&id("typed"), None, || true).await.unwrap().secret.expose(), "by hand");
    assert_eq!(client.fresh().await.unwrap().users().len(), 3);
}

#[actix::test]
async fn five_wrong_secrets_lock_the_key_for_the_address() {
    let node = Node::with_file(&users(json!([{"access_key": "ann", "secret_key": "right"}])));
    let client = node.client();
    let (here, there) = ("192.0.2.1".parse().ok(), "192.0.2.2".parse().ok());
    let try_it = async |secret: &str, address| client.verify_secret(&id("ann"), None, secret, address, true).await;
    for _ in 0..5 {
        assert!(matches!(try_it("wrong", here).await, Err(IamError::WrongSecret(_))));
    }
    let until = Stamp(crate::clock::Clock::now(node.clock.as_ref()).0 + 15 * 60 * 1_000_000_000);
    assert!(matches!(try_it("right", here).await, Err(IamError::LockedOut { until: end, .. }) if end == until));
    assert!(try_it("right", there).await.is_ok());
    assert!(client.credential(&id("ann"), None, || true).await.is_ok(), "signatures are not locked");
    node.clock.advance(Duration::from_secs(15 * 60));
    assert!(try_it("right", here).await.is_ok());
    for _ in 0..20 {
        let unknown = client.verify_secret(&id("nobody"), None, "x", here, true).await;
        assert!(matches!(unknown, Err(IamError::NoSuchAccessKey(_))));
    }
    let of = async |key: &str, address| client.verify_secret(&id(key), None, "x", address, true).await;
    assert!(matches!(of("nobody", here).await, Err(IamError::AddressLockedOut { .. })));
    assert!(
        matches!(of("localadmin", here).await, Err(IamError::AddressLockedOut { .. })),
        "nor does it tell who is there"
    );
    assert!(matches!(of("nobody", there).await, Err(IamError::NoSuchAccessKey(_))));
    assert!(try_it("right", here).await.is_ok(), "this key was used rightly from there");
}

#[actix::test]
async fn sealed_secrets_need_their_key_and_move_to_the_new_one() {
    let mut node = Node::new();
    node.settings.host_is_loopback = false;
    let secret = node.start().unwrap().seeded.unwrap().secret_key;
    let sealed = node.text();
    node.settings.sealer = sealer("key two", &[]);
    let error = node.start().unwrap_err().to_string();
    assert!(error.contains("iam.json, line ") && error.contains(sealer("key one", &[]).key_id()), "{error}");
    assert_eq!(node.text(), sealed, "a start that cannot unseal changes nothing");
    node.settings.sealer = sealer("key two", &["key one"]);
    assert_eq!(
        node.client().credential(&id("localadmin"), None, || true).await.unwrap().secret.expose(),
        secret.expose()
    );
    assert!(!node.text().contains(sealer("key one", &[]).key_id()));
    node.settings.sealer = sealer("key two", &[]);
    assert!(node.start().is_ok());
}

#[actix::test]
async fn accounts_and_names() {
    let node = Node::with_file(&users(json!([
        {"access_key": "ann", "secret_key": "s", "account_id": "111111111111", "root": true, "display_name": "Ann"},
        {"access_key": "bob", "secret_key": "s", "account_id": "111111111111", "path": "/team/", "user_name": "bob"},
        {"access_key": "cat", "secret_key": "s", "account_id": "222222222222", "display_name": "Same"},
        {"access_key": "dan", "secret_key": "s", "display_name": "Same"},
    ])));
    let client = node.client();
    let look = async |key: &str| client.credential(&id(key), None, || true).await.unwrap().principal;
    let (ann, bob, cat, dan) = (look("ann").await, look("bob").await, look("cat").await, look("dan").await);
    assert_eq!([ann.is_root, bob.is_root, cat.is_root, dan.is_root], [true, false, true, true]);
    assert_eq!(ann.arn(), "arn:aws:iam::111111111111:root");
    assert_eq!(bob.arn(), "arn:aws:iam::111111111111:user/team/bob");
    assert!(bob.has_path_and_name("team/bob") && !bob.has_path_and_name("bob"));
    assert_eq!(dan.account_id, account_id_of(&dan.user_id));
    assert_eq!(dan.account_id.len(), 12);
    assert!(ann.is_called("Ann") && ann.is_called("ann") && !cat.is_called("Same") && cat.is_called("cat"));
    assert!(client.is_known("Ann") && !client.is_known("Same") && client.is_known(dan.user_id.as_str()));
    // Nobody gets called by another's id or access key, nor has a key that another goes by.
    let refused = async |create: CreateUser| {
        let error = client.change(by(), create).await.unwrap_err();
        assert!(matches!(error, IamError::EntityAlreadyExists(_) | IamError::InvalidInput { .. }), "{error}");
    };
    for taken in [bob.user_id.as_str(), &bob.user_id.as_str().to_ascii_uppercase(), "cat", "CAT"] {
        refused(CreateUser { user_name: Some(taken.to_owned()), ..CreateUser::default() }).await;
        refused(CreateUser { display_name: Some(taken.to_owned()), ..CreateUser::default() }).await;
    }
    for taken in ["Ann", "aNN", "BOB", bob.user_id.as_str(), &"E".repeat(64)] {
        let create = CreateUser { display_name: Some("x".to_owned()), ..CreateUser::default() };
        refused(CreateUser { access_key: Some(taken.to_owned()), ..create }).await;
        let user = WhichUser::from("dan");
        let key = CreateAccessKey { user, access_key: Some(taken.to_owned()), secret_key: None, expires_at: None };
        assert!(client.change(by(), key).await.is_err(), "{taken}");
    }
    let rename = UpdateUser { display_name: Some("cat".to_owned()), ..UpdateUser::new("bob".into()) };
    assert!(matches!(client.change(by(), rename).await, Err(IamError::EntityAlreadyExists(_))));
}

#[actix::test]
async fn the_last_administrator_is_kept_unless_forced() {
    let node = Node::new();
    let client = node.client();
    let who = || WhichUser::from("localadmin");
    let before = node.text();
    let update = |change: UpdateUser| client.change(by(), change);
    let key =
        |enabled, expires_at| UpdateAccessKey { user: who(), access_key: "localadmin".to_owned(), enabled, expires_at };
    let end = Some(Some(Stamp(2_000_000_000_000_000_000)));
    let everything = json!({"bucket": "*", "actions": ["*"]});
    let denied = json!({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}});
    let delete = || DeleteUser { user: who(), force: true };
    let refusals = [
        client.change(by(), delete()).await.err(),
        update(UpdateUser { enabled: Some(false), ..UpdateUser::new(who()) }).await.err(),
        update(UpdateUser { expires_at: end, ..UpdateUser::new(who()) }).await.err(),
        client.change(by(), SetPolicies { user: who(), policies: json!([]) }).await.err(),
        client.change(by(), SetPolicies { user: who(), policies: json!([everything, denied]) }).await.err(),
        client.change(by(), key(Some(false), None)).await.err(),
        client.change(by(), key(None, end)).await.err(),
        client.change(by(), DeleteAccessKey { user: who(), access_key: "localadmin".to_owned() }).await.err(),
    ];
    for refusal in refusals {
        let refusal = refusal.unwrap();
        assert!(matches!(refusal, IamError::DeleteConflict(_)) && refusal.to_string().contains("--force"), "{refusal}");
    }
    assert_eq!(node.text(), before);
    // What keeps one is done: another secret, another key, other policies, another administrator.
    client.change(by(), RotateKey { overlap_seconds: Some(60), ..RotateKey::from("localadmin") }).await.unwrap();
    client
        .change(by(), SetPolicies { user: who(), policies: json!([{"bucket": "*", "actions": ["*"]}]) })
        .await
        .unwrap();
    let chief = CreateUser {
        display_name: Some("chief".to_owned()),
        policies: json!([{"bucket": "*", "actions": ["iam:*"]}]),
        ..CreateUser::default()
    };
    client.change(by(), chief).await.unwrap();
    client.change(by(), delete()).await.unwrap();
    let last = || DeleteUser { user: "chief".into(), force: true };
    assert!(matches!(client.change(by(), last()).await, Err(IamError::DeleteConflict(_))));
    client.change_by_force(by(), last()).await.unwrap();
    // From there on nothing is lost by what follows.
    let plain = CreateUser { display_name: Some("plain".to_owned()), ..CreateUser::default() };
    client.change(by(), plain).await.unwrap();
    client.change(by(), DeleteUser { user: "plain".into(), force: true }).await.unwrap();
}

#[actix::test]
async fn temporary_credentials_end() {
    let node = Node::new();
    let client = node.client();
    let admin = client.credential(&id("localadmin"), None, || false).await.unwrap().principal;
    let given = client.session_token(&admin, Some(900)).unwrap();
    let (key, token) = (given.access_key.clone(), given.token.expose());
    let session = client.credential(&key, Some(token), || true).await.unwrap();
    assert_eq!((session.secret.expose(), &session.principal.user_id), (given.secret_key.expose(), &admin.user_id));
    assert!(matches!(client.credential(&key, None, || true).await, Err(IamError::NoSuchAccessKey(_))));
    assert!(matches!(client.credential(&id("localadmin"), Some(token), || true).await, Err(IamError::InvalidToken)));
    assert!(matches!(client.credential(&key, Some("token"), || true).await, Err(IamError::InvalidToken)));
    assert!(client.verify_secret(&key, Some(token), given.secret_key.expose(), None, true).await.is_ok());
    for _ in 0..5 {
        let wrong = client.verify_secret(&key, Some(token), "wrong", None, true).await;
        assert!(matches!(wrong, Err(IamError::WrongSecret(_))));
    }
    let locked = client.verify_secret(&key, Some(token), given.secret_key.expose(), None, true).await;
    assert!(matches!(locked, Err(IamError::LockedOut { .. })));
    node.clock.advance(Duration::from_secs(899));
    assert!(client.credential(&key, Some(token), || true).await.is_ok());
    node.clock.advance(Duration::from_secs(1));
    assert!(matches!(client.credential(&key, Some(token), || true).await, Err(IamError::ExpiredToken)));
}
