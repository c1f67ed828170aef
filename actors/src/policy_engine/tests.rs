//! Who may do what: tables over the whole of an evaluation, and the actor with its file.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::context::RequestContext;
use super::decision::{Decision, Reason, Source};
use super::evaluate::{Surroundings, decide, may_list};
use super::parse::parse_bucket_policy;
use super::request::{AccessRequest, ObjectFacts, ObjectState};
use super::*;
use crate::audit::{AuditLog, ChangeOrigin};
use crate::clock::ManualClock;
use crate::iam::{Directory, IamClient, IamSettings, SecretKey};
use crate::json_store::FileStamp;
use crate::names::{BucketName, CanonicalId, Stamp};
use crate::seal::Sealer;

const ACCOUNT: &str = "111111111111";

fn seed(bucket: &str, actions: &[&str]) -> Value {
    json!({"bucket": bucket, "actions": actions})
}

fn document(effect: &str, actions: Value, resources: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": {"Effect": effect, "Action": actions, "Resource": resources}})
}

/// `ann` is the root of account 1…, with `bob` `cat` `dan` `den` in it; `eve` is alone in account 2…; `fay` is root of
/// 3… with `fox` and `fin`; `admin`, `gus` and `hal` have no account.
fn directory() -> Directory {
    let all = ["list", "read", "write", "delete", "share", "policy", "replication", "iam:*"];
    let user = |name: &str, account: Option<&str>, root: bool, policies: Value| {
        let mut user = json!({"access_key": name, "secret_key": "s", "display_name": name, "policies": policies});
        if let Some(account) = account {
            user["account_id"] = json!(account);
        }
        if root {
            user["root"] = json!(true);
        }
        user
    };
    let one = Some(ACCOUNT);
    let three = Some("333333333333");
    Directory::of(&json!({"users": [
        user("admin", None, false, json!([seed("*", &all)])),
        user("ann", one, true, json!([])),
        user("bob", one, false, json!([])),
        user("cat", one, false, json!([
            document("Allow", json!(["s3:GetObject", "s3:PutObject"]), json!("arn:aws:s3:::ann-data/*")),
            document("Deny", json!("s3:*"), json!("arn:aws:s3:::ann-data/secret/*")),
        ])),
        user("dan", one, false, json!([seed("ann-data", &["read", "list"])])),
        user("den", one, true, json!([seed("ann-data", &["list"])])),
        user("eve", Some("222222222222"), false, json!([])),
        user("fay", three, true, json!([])),
        user("fox", three, false, json!([document("Allow", json!("s3:*"), json!("*"))])),
        user("fin", three, false, json!([])),
        user("gus", None, false, json!([seed("*", &["list"])])),
        user("hal", None, false, json!([
            seed("*", &["*"]),
            document("Deny", json!(["s3:DeleteObject", "s3:PutBucketPolicy", "s3:ListAllMyBuckets"]), json!("*")),
        ])),
    ]}))
}

/// Bucket policies by name; `B` stands for the bucket.
fn policy(name: &str) -> Option<Value> {
    let statement = |effect: &str, principal: Value, actions: Value| {
        json!({"Version": "2012-10-17", "Statement": [{"Sid": "s", "Effect": effect, "Principal": principal,
            "Action": actions, "Resource": ["arn:aws:s3:::B", "arn:aws:s3:::B/*"]}]})
    };
    let aws = |text: &str| json!({"AWS": text});
    Some(match name {
        "" => return None,
        "public" => json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::B"},
            {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::B/*"}]}),
        "deny all" => statement("Deny", json!("*"), json!("s3:*")),
        "deny delete" => statement("Deny", json!("*"), json!("s3:Delete*")),
        "deny ann" => statement("Deny", aws("arn:aws:iam::111111111111:user/ann"), json!("s3:GetObject")),
        "deny account" => statement("Deny", aws("arn:aws:iam::111111111111:root"), json!("s3:GetObject")),
        "allow bob" => statement("Allow", aws("arn:aws:iam::111111111111:user/bob"), json!("s3:GetObject")),
        "allow bob by key" => statement("Allow", aws("bob"), json!("s3:GetObject")),
        "allow account" => statement("Allow", aws(ACCOUNT), json!("s3:GetObject")),
        "allow eve" => statement("Allow", aws("arn:aws:iam::222222222222:user/eve"), json!("s3:*")),
        "allow 2" => statement("Allow", aws("222222222222"), json!("s3:GetObject")),
        "allow 3" => statement("Allow", aws("arn:aws:iam::333333333333:root"), json!("s3:GetObject")),
        "allow fin" => statement("Allow", aws("arn:aws:iam::333333333333:user/fin"), json!("s3:GetObject")),
        "versions" => statement("Allow", json!("*"), json!("s3:GetObjectVersion")),
        "all but eve" => json!({"Version": "2012-10-17", "Statement": {"Effect": "Deny",
            "NotPrincipal": {"AWS": "arn:aws:iam::222222222222:user/eve"}, "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::B/*"}}),
        "not put" => json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*",
            "NotAction": "s3:PutObject", "NotResource": "arn:aws:s3:::B/private/*"}}),
        "from lan" => json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*",
            "Action": "s3:GetObject", "Resource": "arn:aws:s3:::B/*",
            "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}}),
        "tls only" => json!({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*",
            "Action": "s3:*", "Resource": ["arn:aws:s3:::B", "arn:aws:s3:::B/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}}}),
        "homes" => json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam::111111111111:user/bob", "arn:aws:iam::111111111111:user/dan"]},
            "Action": "s3:*", "Resource": "arn:aws:s3:::B/home/${aws:username}/*"}}),
        "upload as private" => json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*",
            "Action": "s3:PutObject", "Resource": "arn:aws:s3:::B/*",
            "Condition": {"StringEquals": {"s3:x-amz-acl": "private"}}}}),
        "broken" => json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*",
            "Action": "s3:GetObject", "Resource": "arn:aws:s3:::B/*", "Conditions": {}}}),
        _ => panic!("{name}"),
    })
}

struct Ask<'a> {
    who: &'a str,
    action: &'a str,
    bucket: &'a str,
    key: Option<&'a str>,
    object_owner: Option<&'a str>,
    policy: &'a str,
    context: RequestContext,
}

/// The owner of `x-data` is `x`; `new-…` does not exist yet.
fn ask(ask: &Ask<'_>) -> Decision {
    let directory = directory();
    let id = |name: &str| directory.principal(name).user_id.clone();
    let principal = (ask.who != "-").then(|| directory.principal(ask.who));
    let bucket = (!ask.bucket.is_empty()).then(|| BucketName::parse(ask.bucket).unwrap());
    let owner: Option<CanonicalId> = ask.bucket.strip_suffix("-data").map(id);
    let object_owner = ask.object_owner.map(id);
    let text = policy(ask.policy).map(|value| value.to_string().replace(":::B", &format!(":::{}", ask.bucket)));
    let parsed = text.map(|text| parse_bucket_policy(&text, bucket.as_ref().unwrap()).map(|(_, document)| document));
    let bucket_account = owner.as_ref().map(|owner| directory.account_of(owner));
    let object_account = object_owner.as_ref().map(|owner| directory.account_of(owner));
    let request = AccessRequest {
        principal: principal.as_deref(),
        action: ask.action,
        bucket: bucket.as_ref(),
        bucket_owner: owner.as_ref(),
        key: ask.key,
        config: None,
        resource: None,
        object: match &object_owner {
            Some(owner) => ObjectState::Found(ObjectFacts { owner, acl: None, tags: &[] }),
            None => ObjectState::Missing,
        },
        context: &ask.context,
    };
    let around = Surroundings {
        policy: parsed.as_ref().map(|parsed| parsed.as_ref()),
        bucket_account: bucket_account.as_deref(),
        object_account: object_account.as_deref(),
        account_of: &|user| directory.account_of(user).into_owned(),
    };
    decide(&request, &around)
}

/// `who action bucket[/key] policy`, separated by `|`.
fn check(rows: &[(&str, bool)]) {
    for (row, expected) in rows {
        let mut parts = row.split('|').map(str::trim);
        let mut next = || parts.next().unwrap_or_default();
        let (who, action, resource, policy) = (next(), next(), next(), next());
        let (bucket, key) = match resource.split_once('/') {
            Some((bucket, key)) => (bucket, Some(key)),
            None => (resource, None),
        };
        let action = format!("s3:{action}");
        let context = RequestContext::default();
        let decision = ask(&Ask { who, action: &action, bucket, key, object_owner: None, policy, context });
        assert_eq!(decision.allowed, *expected, "{row}: {:?}", decision.reason);
    }
}

#[test]
fn inside_one_account() {
    check(&[
        // The root has every right, also in what its users created.
        ("ann|GetObject|ann-data/x|", true),
        ("ann|DeleteBucket|ann-data|", true),
        ("ann|PutBucketPolicy|ann-data|", true),
        ("ann|GetObject|bob-data/x|", true),
        ("ann|DeleteObject|dan-data/x|", true),
        ("ann|CreateBucket|new-bucket|", true),
        ("ann|BypassGovernanceRetention|ann-data/x|", true),
        // unless a policy denies; its bucket policy it can always repair.
        ("ann|GetObject|ann-data/x|deny all", false),
        ("ann|GetObject|ann-data/x|deny ann", false),
        ("ann|GetObject|ann-data/x|deny account", false),
        ("ann|PutObject|ann-data/x|deny account", true),
        ("ann|GetBucketPolicy|ann-data|deny all", true),
        ("ann|PutBucketPolicy|ann-data|deny all", true),
        ("ann|DeleteBucketPolicy|ann-data|deny all", true),
        ("ann|PutBucketAcl|ann-data|deny all", false),
        ("ann|DeleteBucketPolicy|bob-data|deny all", true),
        // The others need a policy, also for what they created.
        ("bob|GetObject|ann-data/x|", false),
        ("bob|ListBucket|ann-data|", false),
        ("bob|CreateBucket|new-bucket|", false),
        ("bob|GetObject|bob-data/x|", false),
        ("bob|GetObject|ann-data/x|allow bob", true),
        ("bob|GetObject|ann-data/x|allow bob by key", true),
        ("bob|PutObject|ann-data/x|allow bob", false),
        ("bob|GetObject|ann-data/x|public", true),
        ("bob|ListBucket|ann-data|public", true),
        ("bob|PutObject|ann-data/x|public", false),
        ("bob|PutBucketPolicy|ann-data|deny all", false),
        // Naming the account leaves it to the account whom to let in.
        ("bob|GetObject|ann-data/x|allow account", false),
        ("bob|GetObject|ann-data/x|deny account", false),
        ("cat|GetObject|ann-data/x|allow account", true),
        // An AWS document of the user's own.
        ("cat|GetObject|ann-data/x|", true),
        ("cat|HeadObject|ann-data/x|", true),
        ("cat|PutObject|ann-data/x|", true),
        ("cat|UploadPart|ann-data/x|", true),
        ("cat|CompleteMultipartUpload|ann-data/x|", true),
        ("cat|DeleteObject|ann-data/x|", false),
        ("cat|GetObjectVersion|ann-data/x|", false),
        ("cat|GetObject|bob-data/x|", false),
        ("cat|ListBucket|ann-data|", false),
        ("cat|GetObject|ann-data/secret/x|", false),
        ("cat|GetObject|ann-data/secret/x|public", false),
        ("cat|GetObject|ann-data/x|deny account", false),
        ("cat|GetObject|ann-data/x|deny delete", true),
    ]);
}

#[test]
fn short_grants() {
    check(&[
        ("dan|GetObject|ann-data/x|", true),
        ("dan|GetObjectVersion|ann-data/x|", true),
        ("dan|ListBucket|ann-data|", true),
        ("dan|HeadBucket|ann-data|", true),
        ("dan|ListParts|ann-data/x|", true),
        ("dan|PutObject|ann-data/x|", false),
        ("dan|DeleteObject|ann-data/x|", false),
        ("dan|GetBucketPolicy|ann-data|", false),
        ("dan|GetObject|bob-data/x|", false),
        ("dan|CreateBucket|new-bucket|", false),
        ("dan|GetObject|ann-data/x|deny all", false),
        ("dan|GetObject|bob-data/x|public", true),
        // What it created itself is its own.
        ("dan|PutObject|dan-data/x|", true),
        ("dan|PutBucketPolicy|dan-data|", true),
        ("dan|DeleteBucket|dan-data|", true),
        ("dan|DeleteObject|dan-data/x|deny delete", false),
        // A root that holds grants is bound by them, except in what it created.
        ("den|ListBucket|ann-data|", true),
        ("den|GetObject|ann-data/x|", false),
        ("den|CreateBucket|new-bucket|", false),
        ("den|PutObject|den-data/x|", true),
        ("den|GetBucketPolicy|ann-data|", true),
        // Grants suffice everywhere.
        ("admin|GetObject|ann-data/x|", true),
        ("admin|DeleteBucket|eve-data|", true),
        ("admin|PutBucketPolicy|eve-data|", true),
        ("admin|PutBucketVersioning|eve-data|", true),
        ("admin|PutObjectRetention|eve-data/x|", true),
        ("admin|BypassGovernanceRetention|eve-data/x|", false),
        ("admin|CreateBucket|new-bucket|", true),
        ("admin|GetObject|ann-data/x|deny all", false),
        ("admin|GetBucketPolicy|ann-data|deny all", true),
        ("admin|DeleteBucketPolicy|ann-data|deny all", true),
        ("bob|DeleteBucketPolicy|bob-data|deny all", false),
        ("bob|DeleteBucketPolicy|ann-data|deny all", false),
        ("gus|DeleteBucketPolicy|ann-data|deny all", false),
        ("hal|PutBucketPolicy|ann-data|deny all", false),
        ("admin|PutBucketPolicy|ann-data|deny all", true),
        ("admin|PutBucketPolicy|admin-data|deny all", true),
        ("gus|ListBucket|ann-data|", true),
        ("gus|GetObject|ann-data/x|", false),
        ("gus|CreateBucket|new-bucket|", false),
        ("gus|GetObject|ann-data/x|public", true),
        ("gus|HeadBucket|ann-data|", false),
        ("hal|GetObject|ann-data/x|", true),
        ("hal|BypassGovernanceRetention|ann-data/x|", true),
        ("hal|DeleteObject|ann-data/x|", false),
        ("hal|DeleteObjects|hal-data/x|", false),
        ("hal|PutBucketPolicy|hal-data|", false),
        ("hal|DeleteBucketPolicy|hal-data|deny all", true),
    ]);
}

#[test]
fn across_accounts() {
    check(&[
        // A root needs the bucket's side only.
        ("eve|GetObject|ann-data/x|", false),
        ("eve|GetObject|ann-data/x|public", true),
        ("eve|PutObject|ann-data/x|public", false),
        ("eve|PutObject|ann-data/x|allow eve", true),
        ("eve|DeleteBucket|ann-data|allow eve", true),
        ("eve|GetObject|ann-data/x|allow 2", true),
        ("eve|PutObject|ann-data/x|allow 2", false),
        ("eve|GetObject|ann-data/x|allow 3", false),
        ("eve|GetObject|ann-data/x|deny all", false),
        ("eve|PutBucketPolicy|ann-data|deny all", false),
        ("eve|GetObject|eve-data/x|", true),
        ("eve|CreateBucket|new-bucket|", true),
        ("fay|GetObject|ann-data/x|allow 3", true),
        // The others need both sides.
        ("fox|GetObject|ann-data/x|", false),
        ("fox|GetObject|ann-data/x|allow 3", true),
        ("fox|PutObject|ann-data/x|allow 3", false),
        ("fox|GetObject|ann-data/x|public", true),
        ("fox|GetObject|ann-data/x|deny all", false),
        ("fin|GetObject|ann-data/x|allow 3", false),
        ("fin|GetObject|ann-data/x|allow fin", false),
        ("fin|GetObject|ann-data/x|public", false),
        ("fox|GetObject|fay-data/x|", true),
        ("fox|CreateBucket|new-bucket|", true),
        ("fin|GetObject|fay-data/x|allow fin", true),
        ("fin|GetObject|fay-data/x|public", true),
    ]);
}

#[test]
fn anonymous() {
    check(&[
        ("-|GetObject|ann-data/x|", false),
        ("-|ListBucket|ann-data|", false),
        ("-|GetObject|ann-data/x|public", true),
        ("-|HeadObject|ann-data/x|public", true),
        ("-|ListObjectsV2|ann-data|public", true),
        ("-|HeadBucket|ann-data|public", true),
        ("-|GetObjectVersion|ann-data/x|public", false),
        ("-|GetObjectVersion|ann-data/x|versions", true),
        ("-|GetObject|ann-data/x|versions", false),
        ("-|PutObject|ann-data/x|public", false),
        ("-|ListBucketVersions|ann-data|public", false),
        ("-|GetObject|ann-data/x|allow account", false),
        ("-|GetObject|ann-data/x|deny all", false),
        ("-|GetObject|ann-data/x|all but eve", false),
        ("-|CreateBucket|new-bucket|", false),
        ("-|ListAllMyBuckets||", false),
        ("-|PutBucketQuota|ann-data|public", false),
        ("-|NoSuchAction|ann-data|public", false),
    ]);
}

#[test]
fn elements_and_conditions() {
    check(&[
        ("eve|GetObject|eve-data/x|all but eve", true),
        ("ann|GetObject|ann-data/x|all but eve", false),
        ("admin|GetObject|ann-data/x|all but eve", false),
        ("-|GetObject|ann-data/x|not put", true),
        ("-|DeleteObject|ann-data/x|not put", true),
        ("-|PutObject|ann-data/x|not put", false),
        ("-|GetObject|ann-data/private/x|not put", false),
        ("bob|PutObject|ann-data/home/bob/x|homes", true),
        ("bob|PutObject|ann-data/home/dan/x|homes", false),
        ("dan|PutObject|ann-data/home/dan/x|homes", true),
        ("dan|PutObject|ann-data/home/x|homes", false),
        ("-|GetObject|ann-data/home//x|homes", false),
        ("ann|GetObject|ann-data/x|tls only", false),
        ("ann|PutBucketPolicy|ann-data|tls only", true),
        ("-|GetObject|ann-data/x|from lan", false),
        ("-|PutObject|ann-data/x|upload as private", false),
    ]);
    let with = |policy, action, context| {
        let key = Some("x");
        ask(&Ask { who: "-", action, bucket: "ann-data", key, object_owner: None, policy, context }).allowed
    };
    let from = |ip: &str| RequestContext::new(Stamp(0), Some(ip.parse().unwrap()), false);
    assert!(with("from lan", "s3:GetObject", from("10.1.2.3")));
    assert!(with("from lan", "s3:GetObject", from("::ffff:10.1.2.3")));
    assert!(!with("from lan", "s3:GetObject", from("192.0.2.1")));
    let acl = |value: &str| RequestContext::default().with("s3:x-amz-acl", value);
    assert!(with("upload as private", "s3:PutObject", acl("private")));
    assert!(!with("upload as private", "s3:PutObject", acl("public-read")));
    let tls = RequestContext::new(Stamp(0), None, true);
    let who = "ann";
    let (action, bucket, policy) = ("s3:GetObject", "ann-data", "tls only");
    assert!(ask(&Ask { who, action, bucket, key: Some("x"), object_owner: None, policy, context: tls }).allowed);
}

#[test]
fn owning_an_object_gives_reading_it() {
    let rows = [
        ("eve", "s3:GetObject", "eve", "", true),
        ("eve", "s3:HeadObject", "eve", "", true),
        ("eve", "s3:GetObjectAcl", "eve", "", true),
        ("eve", "s3:PutObjectAcl", "eve", "", true),
        ("eve", "s3:PutObject", "eve", "", false),
        ("eve", "s3:DeleteObject", "eve", "", false),
        ("eve", "s3:GetObject", "fay", "", false),
        ("eve", "s3:GetObject", "eve", "deny all", false),
        ("fin", "s3:GetObject", "fin", "", true),
        ("fin", "s3:GetObject", "fay", "", false),
        ("fay", "s3:GetObject", "fin", "", true),
        ("fox", "s3:GetObject", "fin", "", true),
        ("bob", "s3:GetObject", "bob", "", true),
        ("ann", "s3:DeleteObject", "eve", "", true),
    ];
    for (who, action, owner, policy, expected) in rows {
        let (bucket, key, object_owner) = ("ann-data", Some("x"), Some(owner));
        let decision = ask(&Ask { who, action, bucket, key, object_owner, policy, context: RequestContext::default() });
        assert_eq!(decision.allowed, expected, "{who} {action} of {owner}: {:?}", decision.reason);
    }
}

#[test]
fn the_node_as_a_whole() {
    check(&[
        ("bob|ListAllMyBuckets||", true),
        ("eve|ListBuckets||", true),
        ("gus|ListAllMyBuckets||", true),
        ("hal|ListAllMyBuckets||", false),
        // Quotas are for administrators, whoever owns the bucket.
        ("ann|PutBucketQuota|ann-data|", false),
        ("fox|PutBucketQuota|fay-data|", false),
        ("gus|PutBucketQuota|gus-data|", false),
        ("admin|PutBucketQuota|ann-data|", true),
        ("hal|PutBucketQuota|ann-data|", true),
        ("ann|GetBucketQuota|ann-data|", true),
        ("gus|GetBucketQuota|ann-data|", false),
    ]);
}

#[test]
fn a_broken_policy_lets_in_owner_and_administrators_only() {
    check(&[
        ("ann|GetObject|ann-data/x|broken", true),
        ("ann|PutBucketPolicy|ann-data|broken", true),
        ("admin|GetObject|ann-data/x|broken", true),
        ("dan|GetObject|dan-data/x|broken", true),
        ("-|GetObject|ann-data/x|broken", false),
        ("cat|GetObject|ann-data/x|broken", false),
        ("dan|GetObject|ann-data/x|broken", false),
        ("gus|ListBucket|ann-data|broken", false),
        ("eve|GetObject|ann-data/x|broken", false),
    ]);
}

#[test]
fn every_action_is_refused_to_those_without_rights_and_allowed_to_the_owner() {
    for row in ACTIONS.iter().filter(|row| row.name.starts_with("s3:")) {
        let asked = |who, policy| {
            let (bucket, key, context) = ("ann-data", Some("x"), RequestContext::default());
            ask(&Ask { who, action: row.name, bucket, key, object_owner: None, policy, context }).allowed
        };
        assert!(!asked("-", ""), "{}", row.name);
        if row.checks == "s3:ListAllMyBuckets" {
            continue;
        }
        for stranger in ["bob", "eve", "fin", "fox"] {
            assert!(!asked(stranger, ""), "{stranger} {}", row.name);
        }
        assert!(!asked("bob", "deny all"), "{}", row.name);
        let is_quota = row.capability == Capability::Quota;
        assert_eq!(asked("ann", ""), !is_quota, "{}", row.name);
        let is_repair = matches!(row.name, "s3:GetBucketPolicy" | "s3:PutBucketPolicy" | "s3:DeleteBucketPolicy");
        assert_eq!(asked("ann", "deny all"), is_repair, "{}", row.name);
    }
}

#[test]
fn reasons_name_the_statement() {
    let reason = |who, action, policy| {
        let (bucket, key, context) = ("ann-data", Some("secret/x"), RequestContext::default());
        ask(&Ask { who, action, bucket, key, object_owner: None, policy, context }).reason
    };
    let Reason::ExplicitDeny(by) = reason("bob", "s3:GetObject", "deny all") else { panic!() };
    assert_eq!((by.source, by.index, by.sid.as_deref()), (Source::Bucket, Some(0), Some("s")));
    let Reason::ExplicitDeny(by) = reason("cat", "s3:GetObject", "") else { panic!() };
    assert_eq!((by.source, by.index), (Source::Identity { home: PolicyHome::Own { index: 1 }, name: None }, Some(0)));
    let Reason::Allowed(by) = reason("dan", "s3:GetObject", "") else { panic!() };
    assert_eq!((by.source, by.index), (Source::Identity { home: PolicyHome::Own { index: 0 }, name: None }, None));
    assert_eq!(reason("ann", "s3:GetObject", ""), Reason::AccountRoot);
    assert_eq!(reason("-", "s3:GetObject", ""), Reason::Anonymous);
    assert_eq!(reason("fox", "s3:GetObject", ""), Reason::NoBucketPolicyAllows);
    assert_eq!(reason("fin", "s3:GetObject", "public"), Reason::NoIdentityPolicyAllows);
    assert_eq!(reason("ann", "s3:PutBucketQuota", ""), Reason::AdministratorsOnly);
    assert_eq!(reason("bob", "s3:GetObject", ""), Reason::NoStatementAllows);
    assert_eq!(reason("ann", "s3:Fly", ""), Reason::UnknownAction);
}

#[test]
fn listing_of_buckets() {
    let directory = directory();
    let bucket = BucketName::parse("ann-data").unwrap();
    for (who, expected) in
        [("admin", true), ("dan", true), ("gus", true), ("fox", true), ("bob", false), ("cat", false)]
    {
        assert_eq!(may_list(&directory.principal(who), &bucket, &RequestContext::default()), expected, "{who}");
    }
}

struct Node {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    iam: IamClient,
    engine: PolicyEngineClient,
}

impl Node {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Stamp(1)));
        let arbiter = actix::Arbiter::current();
        let settings = IamSettings {
            path: folder.path().join("iam.json"),
            host_is_loopback: true,
            admin_access_key: None,
            admin_secret_key: None,
            sealer: Sealer::new(&SecretKey::new("k"), &[]).unwrap(),
            audit: AuditLog::nowhere(),
            login_failures_max: 0,
        };
        let iam = IamClient::start(settings, clock.clone(), &arbiter).unwrap().client;
        let settings = PolicyEngineSettings { path: folder.path().join("policies.json"), audit: AuditLog::nowhere() };
        let engine = PolicyEngineClient::start(settings, iam.clone(), clock.clone(), &arbiter).unwrap();
        Self { folder, clock, iam, engine }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("policies.json")
    }

    /// An anonymous GetObject in `photos`.
    async fn anonymous_reads(&self) -> bool {
        self.engine.refresh(std::time::Instant::now()).await.unwrap();
        let bucket = BucketName::parse("photos").unwrap();
        let owner = self.iam.directory().principal("localadmin").user_id.clone();
        let request = AccessRequest {
            principal: None,
            action: "s3:GetObject",
            bucket: Some(&bucket),
            bucket_owner: Some(&owner),
            key: Some("x"),
            config: None,
            resource: None,
            object: ObjectState::Missing,
            context: &RequestContext::default(),
        };
        self.engine.decide(&request).allowed
    }
}

fn public_policy() -> String {
    policy("public").unwrap().to_string().replace(":::B", ":::photos")
}

fn stamp(path: &Path) -> Option<FileStamp> {
    FileStamp::of(path).unwrap()
}

#[actix::test]
async fn policies_are_put_read_and_deleted() {
    let node = Node::start();
    let bucket = BucketName::parse("photos").unwrap();
    assert!(!node.anonymous_reads().await);
    node.engine.delete_bucket_policy(DeleteBucketPolicy { bucket: bucket.clone(), by: None }).await.unwrap();
    assert_eq!(stamp(&node.path()), None, "deleting nothing writes nothing");
    let put = |text: String| PutBucketPolicy {
        bucket: bucket.clone(),
        text,
        refuse_public: false,
        by: ChangeOrigin::default(),
    };
    node.engine.put_bucket_policy(put(public_policy())).await.unwrap();
    assert!(node.anonymous_reads().await);
    assert_eq!(node.engine.policy_text(&bucket).unwrap().as_ref(), public_policy());
    assert!(!fs::read_to_string(node.path()).unwrap().contains("as_put"), "a compact text needs no copy");
    let spaced = public_policy().replace("\":", "\" :  ");
    node.engine.put_bucket_policy(put(spaced.clone())).await.unwrap();
    assert_eq!(node.engine.policy_text(&bucket).unwrap().as_ref(), spaced, "a policy is given back to the letter");
    let refused = PutBucketPolicy { refuse_public: true, ..put(public_policy()) };
    assert!(matches!(node.engine.put_bucket_policy(refused).await, Err(PolicyError::Public { .. })));
    assert!(node.engine.is_public(&bucket));
    let edited = fs::read_to_string(node.path()).unwrap().replacen("s3:GetObject", "s3:GetObjectVersion", 1);
    fs::write(node.path(), edited).unwrap();
    node.engine.refresh(std::time::Instant::now()).await.unwrap();
    assert!(node.engine.policy_text(&bucket).unwrap().contains("GetObjectVersion"), "a hand edit counts");
    node.engine.put_bucket_policy(put(public_policy())).await.unwrap();
    let malformed = node.engine.put_bucket_policy(put("{}".to_owned())).await;
    assert!(matches!(malformed, Err(PolicyError::Malformed { .. })));
    let nobody = public_policy().replace("\"*\"", "{\"AWS\":\"nobody\"}");
    assert!(matches!(node.engine.put_bucket_policy(put(nobody)).await, Err(PolicyError::Malformed { .. })));
    let known = public_policy().replace("\"*\"", "{\"AWS\":\"localadmin\"}");
    node.engine.put_bucket_policy(put(known)).await.unwrap();
    assert!(!node.anonymous_reads().await);
    let kept: serde_json::Value = serde_json::from_str(&fs::read_to_string(node.path()).unwrap()).unwrap();
    assert!(kept["principals"]["photos"]["localadmin"].is_string(), "whom it meant is kept beside it");
    let strange = public_policy().replace("\"*\"", "{\"AWS\":\"arn:aws:iam::111111111111:user/nobody\"}");
    assert!(matches!(node.engine.put_bucket_policy(put(strange)).await, Err(PolicyError::Malformed { .. })));
    let idle = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*","Condition":{"StringLike":{"s3:prefix":"a*"}}}}"#;
    let refused = node.engine.put_bucket_policy(put(idle.to_owned())).await;
    assert!(refused.unwrap_err().to_string().contains("Conditions do not apply"));
    node.engine.delete_bucket_policy(DeleteBucketPolicy { bucket: bucket.clone(), by: None }).await.unwrap();
    assert_eq!(node.engine.policy_text(&bucket), None);
    assert!(fs::read_to_string(node.path()).unwrap().contains("policies"));
}

#[actix::test]
async fn hand_edits_count_at_once_and_broken_ones_never() {
    let node = Node::start();
    let bucket = BucketName::parse("photos").unwrap();
    let file = |policy: &str| format!("{{\"note\": \"mine\", \"policies\": {{\"photos\": {policy}}}}}");
    fs::write(node.path(), file(&public_policy())).unwrap();
    assert!(node.anonymous_reads().await);

    fs::write(node.path(), "{\"policies\": {\n").unwrap();
    assert!(node.anonymous_reads().await, "the last good state stays in force");
    assert!(node.engine.problem().unwrap().line.is_some());
    let (text, by) = (public_policy(), ChangeOrigin::default());
    let put = PutBucketPolicy { bucket: bucket.clone(), text, refuse_public: false, by };
    assert!(matches!(node.engine.put_bucket_policy(put.clone()).await, Err(PolicyError::Store(_))));
    let delete = DeleteBucketPolicy { bucket: bucket.clone(), by: None };
    assert!(matches!(node.engine.delete_bucket_policy(delete).await, Err(PolicyError::Store(_))));
    assert_eq!(fs::read_to_string(node.path()).unwrap(), "{\"policies\": {\n");

    // JSON, but not a policy: closed, and named.
    let odd = public_policy().replace("Effect", "Efect");
    fs::write(node.path(), file(&odd)).unwrap();
    assert!(!node.anonymous_reads().await);
    assert!(node.engine.problem().is_none());
    assert!(node.engine.policy_problem(&bucket).unwrap().contains("Efect"));

    node.engine.put_bucket_policy(put).await.unwrap();
    assert!(node.anonymous_reads().await);
    assert!(fs::read_to_string(node.path()).unwrap().contains("mine"), "unknown fields are kept");
    node.clock.advance(std::time::Duration::from_secs(1));
    assert!(node.engine.policy_problem(&bucket).is_none());
}

#[actix::test]
async fn what_a_deleted_user_owns_stays_with_its_account() {
    let node = Node::start();
    let message = crate::iam::CreateUser { display_name: Some("Temp".to_owned()), ..Default::default() };
    let user = node.iam.change(Default::default(), message).await.unwrap();
    let delete = crate::iam::DeleteUser { user: "Temp".into(), force: true };
    node.iam.change(Default::default(), delete).await.unwrap();
    let directory = node.iam.directory();
    let admin = directory.principal("localadmin");
    assert_eq!(directory.account_of(&user.user_id), admin.account_id);
    let bucket = BucketName::parse("photos").unwrap();
    assert!(node.engine.sees_bucket(&admin, &bucket, &user.user_id, &RequestContext::default()));
    assert!(node.engine.is_administrator(&admin, &RequestContext::default()));
}

#[test]
fn patterns_that_take_too_long_refuse() {
    let directory = directory();
    let ann = directory.principal("ann");
    let stars = format!("*{}b", "a?".repeat(60));
    let policy = |effect: &str, operator: &str| {
        let conditions: serde_json::Map<String, Value> =
            [(operator.to_owned(), json!({"aws:UserAgent": vec![stars.clone(); 100]}))].into_iter().collect();
        let text = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::ann-data/*"},
            {"Effect": effect, "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::ann-data/*", "Condition": conditions},
        ]});
        parse_bucket_policy(&text.to_string(), &BucketName::parse("ann-data").unwrap()).unwrap().1
    };
    let bucket = BucketName::parse("ann-data").unwrap();
    for (effect, operator) in [("Allow", "StringLike"), ("Deny", "StringLike"), ("Deny", "StringNotLike")] {
        let document = policy(effect, operator);
        let decide = |agent: &str| {
            let context = RequestContext::default().with("aws:UserAgent", agent);
            let request = AccessRequest {
                principal: None,
                action: "s3:GetObject",
                bucket: Some(&bucket),
                bucket_owner: Some(&ann.user_id),
                config: None,
                key: Some("x"),
                resource: None,
                object: ObjectState::Missing,
                context: &context,
            };
            let around = Surroundings {
                policy: Some(Ok(&document)),
                bucket_account: Some(ACCOUNT),
                object_account: None,
                account_of: &|_| ACCOUNT.to_owned(),
            };
            decide(&request, &around)
        };
        let began = std::time::Instant::now();
        assert_eq!(decide(&"a".repeat(16_000)), Decision { allowed: false, reason: Reason::TooMuchWork });
        assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
        assert_ne!(decide("curl/8").reason, Reason::TooMuchWork, "the next one starts anew");
    }
}
