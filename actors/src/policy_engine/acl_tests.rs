//! Access control lists in decisions: every canned and single grant against every kind of caller and action, and what
//! ownership controls and public access block leave of them.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::json;

use super::context::RequestContext;
use super::decision::{Decision, Reason};
use super::evaluate::{Surroundings, decide};
use super::parse::parse_bucket_policy;
use super::request::{AccessRequest, ObjectFacts, ObjectState};
use super::{ACTIONS, AclOf, Capability};
use crate::bucket_config::{Acl, BucketConfig, Grant, Grantee, ObjectOwnership, Permission, PublicAccessBlock};
use crate::iam::Directory;
use crate::names::{BucketName, CanonicalId};

const PERMISSIONS: [Permission; 5] =
    [Permission::FullControl, Permission::Read, Permission::Write, Permission::ReadAcp, Permission::WriteAcp];

/// What each permission of a bucket's list gives, but for full control, which gives all of it.
const OF_BUCKET: [(&str, Permission); 10] = [
    ("s3:ListBucket", Permission::Read),
    ("s3:ListBucketVersions", Permission::Read),
    ("s3:ListBucketMultipartUploads", Permission::Read),
    ("s3:PutObject", Permission::Write),
    ("s3:DeleteObject", Permission::Write),
    ("s3:AbortMultipartUpload", Permission::Write),
    ("s3:ListMultipartUploadParts", Permission::Write),
    ("s3:PutObjectTagging", Permission::Write),
    ("s3:GetBucketAcl", Permission::ReadAcp),
    ("s3:PutBucketAcl", Permission::WriteAcp),
];

/// The same of an object's list.
const OF_OBJECT: [(&str, Permission); 8] = [
    ("s3:GetObject", Permission::Read),
    ("s3:GetObjectVersion", Permission::Read),
    ("s3:GetObjectTorrent", Permission::Read),
    ("s3:GetObjectVersionTorrent", Permission::Read),
    ("s3:GetObjectAcl", Permission::ReadAcp),
    ("s3:GetObjectVersionAcl", Permission::ReadAcp),
    ("s3:PutObjectAcl", Permission::WriteAcp),
    ("s3:PutObjectVersionAcl", Permission::WriteAcp),
];

/// `ann` owns the bucket; `bob` is another user of her account, `dan` one who is bound by a grant that gives nothing. `eve`
/// owns the object and is alone in her account, as is `gus`, who is bound like `dan`. `fay` is root of an account with `fox`,
/// who has an identity policy for everything, and `fin`, who has none.
fn directory() -> Directory {
    let user = |name: &str, account: &str, root: bool, policies| {
        json!({"access_key": name, "secret_key": "s", "display_name": name, "account_id": account, "root": root,
            "policies": policies})
    };
    let all = json!([{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}]);
    Directory::of(&json!({"users": [
        user("ann", "111111111111", true, json!([])),
        user("bob", "111111111111", false, json!([])),
        user("dan", "111111111111", false, json!([{"bucket": "elsewhere", "actions": ["read"]}])),
        user("eve", "222222222222", true, json!([])),
        user("gus", "444444444444", true, json!([{"bucket": "elsewhere", "actions": ["read"]}])),
        user("fay", "333333333333", true, json!([])),
        user("fox", "333333333333", false, all),
        user("fin", "333333333333", false, json!([])),
    ]}))
}

struct World {
    directory: Directory,
    config: BucketConfig,
    object_acl: Option<Acl>,
    object_owner: &'static str,
    policy: Option<String>,
}

impl World {
    fn new() -> Self {
        let (config, object_acl, policy) = (BucketConfig::default(), None, None);
        Self { directory: directory(), config, object_acl, object_owner: "eve", policy }
    }

    fn id(&self, name: &str) -> CanonicalId {
        self.directory.principal(name).user_id.clone()
    }

    fn acl(&self, grantee: &str, permission: Permission) -> Acl {
        let grantee = match grantee {
            "everybody" => Grantee::AllUsers,
            "signed" => Grantee::AuthenticatedUsers,
            "logs" => Grantee::LogDelivery,
            name => Grantee::User(self.id(name)),
        };
        Acl { grants: vec![Grant { grantee, permission }] }
    }

    fn ask(&self, who: &str, action: &str) -> Decision {
        let owner = self.id(self.object_owner);
        let facts = ObjectFacts { owner: &owner, acl: self.object_acl.as_ref(), tags: &[] };
        self.ask_with(who, action, ObjectState::Found(facts))
    }

    fn ask_with(&self, who: &str, action: &str, object: ObjectState<'_>) -> Decision {
        let principal = (who != "-").then(|| self.directory.principal(who));
        let bucket = BucketName::parse("photos").unwrap();
        let owner = self.id("ann");
        let document = self.policy.as_ref().map(|text| parse_bucket_policy(text, &bucket).unwrap().1);
        let object_account = match object {
            ObjectState::Found(object) => Some(self.directory.account_of(object.owner)),
            ObjectState::Unseen | ObjectState::Missing => None,
        };
        let context = RequestContext::default();
        let request = AccessRequest {
            principal: principal.as_deref(),
            action,
            bucket: Some(&bucket),
            bucket_owner: Some(&owner),
            config: Some(&self.config),
            key: Some("x"),
            resource: None,
            object,
            context: &context,
        };
        let around = Surroundings {
            policy: document.as_ref().map(Ok),
            bucket_account: Some("111111111111"),
            object_account: object_account.as_deref(),
            account_of: &|user| self.directory.account_of(user).into_owned(),
        };
        decide(&request, &around)
    }

    fn may(&self, who: &str, action: &str) -> bool {
        self.ask(who, action).allowed
    }
}

/// Whom a grant to each grantee lets in. Another account's users need an identity policy beside it; a canonical id also
/// stands for its account.
fn let_in(grantee: &str) -> &'static [&'static str] {
    match grantee {
        "everybody" => &["-", "bob", "dan", "eve", "fay", "fox"],
        "signed" => &["bob", "dan", "eve", "fay", "fox"],
        "bob" => &["bob"],
        "dan" => &["dan"],
        "fay" | "fox" | "fin" => &["fay", "fox"],
        _ => &[],
    }
}

const GRANTEES: [&str; 9] = ["everybody", "signed", "logs", "ann", "bob", "dan", "fay", "fox", "fin"];
const CALLERS: [&str; 7] = ["-", "bob", "dan", "eve", "fay", "fox", "fin"];

#[test]
fn a_grant_of_the_bucket_gives_its_actions_to_its_grantee_and_nothing_else() {
    let mut world = World::new();
    for grantee in GRANTEES {
        for permission in PERMISSIONS {
            world.config.acl = Some(world.acl(grantee, permission));
            for row in ACTIONS.iter().filter(|row| row.name == row.checks && row.name.starts_with("s3:")) {
                let gives = OF_BUCKET.iter().any(|(name, needs)| *name == row.name && permission.includes(*needs));
                for who in CALLERS.iter().filter(|who| **who != "eve") {
                    let is_open = row.name == "s3:ListAllMyBuckets" && *who != "-";
                    let expected = is_open || (gives && let_in(grantee).contains(who));
                    assert_eq!(world.may(who, row.name), expected, "{grantee} {permission:?}: {who} {}", row.name);
                }
            }
        }
    }
}

#[test]
fn a_grant_of_the_object_gives_its_actions_to_its_grantee_and_nothing_else() {
    let mut world = World::new();
    for grantee in GRANTEES {
        for permission in PERMISSIONS {
            world.object_acl = Some(world.acl(grantee, permission));
            for row in ACTIONS.iter().filter(|row| row.name == row.checks && row.name.starts_with("s3:")) {
                let gives = OF_OBJECT.iter().any(|(name, needs)| *name == row.name && permission.includes(*needs));
                for who in CALLERS.iter().filter(|who| **who != "eve") {
                    let is_open = row.name == "s3:ListAllMyBuckets" && *who != "-";
                    let expected = is_open || (gives && let_in(grantee).contains(who));
                    assert_eq!(world.may(who, row.name), expected, "{grantee} {permission:?}: {who} {}", row.name);
                }
            }
        }
    }
}

#[test]
fn what_another_account_owns_is_its_own() {
    let mut world = World::new();
    let owners = |world: &World, who: &str| OF_OBJECT.iter().filter(|(action, _)| world.may(who, action)).count();
    // The bucket's owner may not read what others wrote, unless they let it; deleting and writing are the bucket's.
    assert_eq!((owners(&world, "ann"), owners(&world, "eve")), (0, OF_OBJECT.len()));
    assert!(world.may("ann", "s3:DeleteObject") && world.may("ann", "s3:PutObject"));
    assert!(!world.may("eve", "s3:DeleteObject") && !world.may("eve", "s3:PutObject"));
    world.object_acl = Some(world.acl("ann", Permission::FullControl));
    assert_eq!(owners(&world, "ann"), OF_OBJECT.len());
    assert_eq!(owners(&world, "bob"), 0);
    world.object_acl = None;
    world.object_owner = "bob";
    assert_eq!(owners(&world, "ann"), OF_OBJECT.len());
    // Owning gives it all but the right to give it on, where grants bind.
    world.object_owner = "dan";
    assert!(world.may("dan", "s3:GetObject") && world.may("dan", "s3:GetObjectAcl"));
    assert!(!world.may("dan", "s3:PutObjectAcl"));
    world.object_owner = "gus";
    assert!(world.may("gus", "s3:GetObject") && !world.may("gus", "s3:PutObjectAcl"));
    // Where the bucket's owner owns everything, nothing else counts.
    world.object_owner = "eve";
    world.object_acl = Some(world.acl("everybody", Permission::FullControl));
    world.config.acl = Some(world.acl("everybody", Permission::FullControl));
    world.config.ownership = Some(ObjectOwnership::BucketOwnerEnforced);
    assert_eq!(owners(&world, "ann"), OF_OBJECT.len());
    for who in CALLERS {
        assert_eq!(owners(&world, who), 0, "{who}");
        assert!(OF_BUCKET.iter().all(|(action, _)| !world.may(who, action)), "{who}");
    }
}

#[test]
fn public_grants_can_be_ignored() {
    let mut world = World::new();
    let block = PublicAccessBlock { ignore_public_acls: true, ..PublicAccessBlock::default() };
    for (grantee, counts) in [("everybody", false), ("signed", false), ("fay", true), ("bob", true)] {
        world.config.acl = Some(world.acl(grantee, Permission::Read));
        world.object_acl = Some(world.acl(grantee, Permission::Read));
        let who = if counts { grantee } else { "fay" };
        world.config.public_access_block = None;
        assert!(world.may(who, "s3:ListBucket") && world.may(who, "s3:GetObject"), "{grantee}");
        world.config.public_access_block = Some(block);
        assert_eq!(world.may(who, "s3:ListBucket"), counts, "{grantee}");
        assert_eq!(world.may(who, "s3:GetObject"), counts, "{grantee}");
    }
}

#[test]
fn a_public_policy_can_be_kept_inside_the_account() {
    let mut world = World::new();
    let statement = |principal| {
        json!({"Effect": "Allow", "Principal": principal, "Action": "s3:GetObjectTagging",
            "Resource": "arn:aws:s3:::photos/*"})
    };
    let named = statement(json!({"AWS": "333333333333"}));
    let text = |statements| json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let open = text(json!([statement(json!("*")), named]));
    let closed = text(json!([named]));
    let block = PublicAccessBlock { restrict_public_buckets: true, ..PublicAccessBlock::default() };
    for (policy, restricted, expected) in [
        (&open, false, ["-", "bob", "eve", "fay"].as_slice()),
        // All that a public policy gives to others is lost, also what it gives by name.
        (&open, true, &["bob"]),
        (&closed, false, &["fay"]),
        (&closed, true, &["fay"]),
    ] {
        world.policy = Some(policy.clone());
        world.config.public_access_block = restricted.then_some(block);
        for who in ["-", "bob", "eve", "fay"] {
            assert_eq!(world.may(who, "s3:GetObjectTagging"), expected.contains(&who), "{policy} {restricted} {who}");
        }
        assert!(world.may("ann", "s3:GetObjectTagging"));
    }
}

#[test]
fn a_deny_is_never_outvoted_by_a_grant() {
    let mut world = World::new();
    world.config.acl = Some(world.acl("everybody", Permission::FullControl));
    world.object_acl = Some(world.acl("everybody", Permission::FullControl));
    let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": ["arn:aws:s3:::photos", "arn:aws:s3:::photos/*"]});
    world.policy = Some(json!({"Version": "2012-10-17", "Statement": deny}).to_string());
    for who in CALLERS {
        for (action, _) in OF_BUCKET.iter().chain(&OF_OBJECT) {
            let decision = world.ask(who, action);
            assert!(!decision.allowed && matches!(decision.reason, Reason::ExplicitDeny(_)), "{who} {action}");
        }
    }
}

#[test]
fn the_grant_that_decided_is_named() {
    let mut world = World::new();
    let mut acl = world.acl("logs", Permission::FullControl);
    acl.grants.extend(world.acl("everybody", Permission::WriteAcp).grants);
    acl.grants.extend(world.acl("everybody", Permission::Read).grants);
    world.config.acl = Some(acl.clone());
    let Reason::Granted(told) = world.ask("-", "s3:ListBucket").reason else { panic!() };
    assert_eq!((told.of, told.index, &told.grant), (AclOf::Bucket, 2, &acl.grants[2]));
    world.object_acl = Some(acl);
    let Reason::Granted(told) = world.ask("fay", "s3:PutObjectAcl").reason else { panic!() };
    assert_eq!((told.of, told.index), (AclOf::Object, 1));
    assert_eq!(world.ask("fay", "s3:GetObjectAcl").reason, Reason::NoStatementAllows);
}

/// What deletes goes by this: it deletes whatever is there.
#[test]
fn no_deletion_depends_on_the_object() {
    let mut world = World::new();
    for condition in [json!({}), json!({"StringEquals": {"s3:ExistingObjectTag/team": "red"}})] {
        let statement = json!({"Effect": "Allow", "Principal": "*", "Action": "s3:*",
            "Resource": "arn:aws:s3:::photos/*", "Condition": condition});
        for policy in [None, Some(json!({"Version": "2012-10-17", "Statement": statement}).to_string())] {
            world.policy = policy;
            for who in ["-", "ann", "fay"] {
                for action in ["s3:DeleteObject", "s3:DeleteObjects", "s3:DeleteObjectVersion"] {
                    let reason = world.ask_with(who, action, ObjectState::Unseen).reason;
                    assert_ne!(reason, Reason::DependsOnObject, "{who} {action} {condition}");
                }
            }
        }
    }
}

#[test]
fn tags_of_the_object_are_asked_for_only_where_a_policy_does() {
    let mut world = World::new();
    let allow = |key: &str| {
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:*",
            "Resource": "arn:aws:s3:::photos/*", "Condition": {"StringEquals": {key: "red"}}}})
        .to_string()
    };
    let owner = world.id("ann");
    let tagged = |value: &str| vec![("Team".to_owned(), value.to_owned())];
    world.policy = Some(allow("s3:ExistingObjectTag/team"));
    for (action, depends) in
        [("s3:GetObjectTagging", true), ("s3:PutObjectAcl", true), ("s3:DeleteObject", false), ("s3:PutObject", false)]
    {
        let unseen = world.ask_with("-", action, ObjectState::Unseen).reason;
        assert_eq!(unseen == Reason::DependsOnObject, depends, "{action}");
    }
    for (value, expected) in [("red", true), ("blue", false)] {
        let tags = tagged(value);
        let facts = ObjectFacts { owner: &owner, acl: None, tags: &tags };
        let decision = world.ask_with("-", "s3:GetObjectTagging", ObjectState::Found(facts));
        assert_eq!(decision.allowed, expected, "{value}");
    }
    assert!(!world.ask_with("-", "s3:GetObjectTagging", ObjectState::Missing).allowed);
    world.policy = Some(allow("s3:prefix"));
    assert_eq!(world.ask_with("-", "s3:GetObjectTagging", ObjectState::Unseen).reason, Reason::Anonymous);
    world.policy = Some(allow("s3:prefix").replace("photos/*", "photos/${s3:ExistingObjectTag/team}/*"));
    assert_eq!(world.ask_with("-", "s3:GetObjectTagging", ObjectState::Unseen).reason, Reason::DependsOnObject);
}

fn any_acl() -> impl Strategy<Value = Vec<(usize, usize)>> {
    proptest::collection::vec((0..GRANTEES.len(), 0..PERMISSIONS.len()), 0..5)
}

proptest! {
    #[test]
    fn an_unseen_object_never_opens_what_a_look_would_close(
        bucket_acl in any_acl(),
        object_acl in any_acl(),
        who in 0..CALLERS.len() + 1,
        action in 0..ACTIONS.len(),
        owner in 0usize..4,
        settings in 0u8..8,
    ) {
        let mut world = World::new();
        let acl = |world: &World, picks: Vec<(usize, usize)>| Acl {
            grants: picks.into_iter().flat_map(|(who, what)| world.acl(GRANTEES[who], PERMISSIONS[what]).grants).collect(),
        };
        world.config.acl = Some(acl(&world, bucket_acl));
        world.object_acl = Some(acl(&world, object_acl));
        world.object_owner = ["ann", "bob", "dan", "eve"][owner];
        world.config.ownership = (settings & 1 != 0).then_some(ObjectOwnership::BucketOwnerEnforced);
        world.config.public_access_block = Some(PublicAccessBlock {
            ignore_public_acls: settings & 2 != 0,
            restrict_public_buckets: settings & 4 != 0,
            ..PublicAccessBlock::default()
        });
        let who = CALLERS.get(who).copied().unwrap_or("ann");
        let row = &ACTIONS[action];
        let unseen = world.ask_with(who, row.name, ObjectState::Unseen);
        let seen = world.ask(who, row.name);
        prop_assert!(seen.reason != Reason::DependsOnObject);
        prop_assert!(!unseen.allowed || seen.allowed, "{} {}: {:?} then {:?}", who, row.name, unseen, seen);
        if unseen.reason != Reason::DependsOnObject {
            prop_assert_eq!(unseen.allowed, seen.allowed, "{} {}: {:?} then {:?}", who, row.name, unseen, seen);
        }
        if seen.allowed && who == "-" {
            prop_assert!(matches!(seen.reason, Reason::Granted(_)));
            prop_assert!(row.capability != Capability::Policy);
        }
    }
}

#[test]
fn who_is_unknown_is_of_an_account_of_its_own() {
    let nobody = CanonicalId::from_bytes([9; 32]);
    let directory = directory();
    assert!(!directory.knows(&nobody) && matches!(directory.account_of(&nobody), Cow::Owned(_)));
}
