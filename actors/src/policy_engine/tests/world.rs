//! Whom and what the tables speak of: users in three accounts and without one, and bucket policies by name.

use serde_json::{Value, json};

use crate::iam::Directory;
use crate::names::{BucketName, CanonicalId};
use crate::policy_engine::context::RequestContext;
use crate::policy_engine::decision::Decision;
use crate::policy_engine::evaluate::{Surroundings, decide};
use crate::policy_engine::parse::parse_bucket_policy;
use crate::policy_engine::request::{AccessRequest, ObjectFacts, ObjectState};

pub(super) const ACCOUNT: &str = "111111111111";

fn seed(bucket: &str, actions: &[&str]) -> Value {
    json!({"bucket": bucket, "actions": actions})
}

fn document(effect: &str, actions: Value, resources: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": {"Effect": effect, "Action": actions, "Resource": resources}})
}

/// `ann` is the root of account 1…, with `bob` `cat` `dan` `den` in it; `eve` is alone in account 2…; `fay` is root of
/// 3… with `fox` and `fin`; `admin`, `gus` and `hal` have no account.
pub(super) fn directory() -> Directory {
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
pub(super) fn policy(name: &str) -> Option<Value> {
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

pub(super) struct Ask<'a> {
    pub who: &'a str,
    pub action: &'a str,
    pub bucket: &'a str,
    pub key: Option<&'a str>,
    pub object_owner: Option<&'a str>,
    pub policy: &'a str,
    pub context: RequestContext,
}

/// The owner of `x-data` is `x`; `new-…` does not exist yet.
pub(super) fn ask(ask: &Ask<'_>) -> Decision {
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
pub(super) fn check(rows: &[(&str, bool)]) {
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
