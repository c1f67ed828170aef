//! Who may do what: tables over the whole of an evaluation, and what decisions say of themselves.

use serde_json::{Value, json};

use super::world::{ACCOUNT, Ask, ask, check, directory};
use crate::names::{BucketName, Stamp};
use crate::policy_engine::context::RequestContext;
use crate::policy_engine::decision::{Decision, Reason, Source};
use crate::policy_engine::evaluate::{Surroundings, decide, may_list};
use crate::policy_engine::parse::parse_bucket_policy;
use crate::policy_engine::request::{AccessRequest, ObjectState};
use crate::policy_engine::{ACTIONS, Capability, PolicyHome};

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
