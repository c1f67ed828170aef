//! Decisions, for benches.
#![allow(clippy::expect_used, reason = "what cannot be set up ends the run")]

use std::sync::Arc;

use serde_json::{Value, json};

use super::context::RequestContext;
use super::decision::Decision;
use super::document::Document;
use super::evaluate::{Surroundings, decide, explain};
use super::identity::IdentityPolicy;
use super::parse::{Kind, parse_document};
use super::request::{AccessRequest, ObjectState};
use super::trace::Trace;
use crate::iam::Principal;
use crate::names::{AccessKeyId, BucketName, CanonicalId, Stamp};

const ACCOUNT: &str = "111111111111";

/// Where the statements of a decision stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statements {
    /// In the bucket's policy; the caller has no credentials. All are about the action, the last about the key.
    Bucket,
    /// In one document that the caller holds.
    Identity,
    /// In documents of ten statements that the caller holds.
    IdentityDocuments,
    /// Half in the bucket's policy, half in documents of ten.
    Mixed,
    /// In the bucket's policy, with actions and resources of several stars; each is about another folder.
    Stars,
    /// In the bucket's policy, all about the whole bucket; conditions with addresses, lists and variables tell them apart.
    Conditions,
    /// In the bucket's policy: several stars that fit, and four conditions with long lists, of which only the last is not met.
    Extreme,
}

/// Decides a read that the last of so many statements allows; gives whether it may.
pub fn decision(statements: usize, stand: Statements) -> impl FnMut() -> bool {
    let mut ask = asked(statements, stand, [192, 168, 1, 1]);
    move || {
        let mut is_allowed = false;
        ask(&mut |request, around| is_allowed = decide(request, around).allowed);
        is_allowed
    }
}

/// What is done with a refusal: the request, the decision, what was considered.
pub type Tell<'a> = dyn FnMut(&AccessRequest<'_>, Decision, Trace) + 'a;

/// Explains why a read is refused that comes from an address that no statement of the bucket's policy lets in.
pub fn refusal(statements: usize) -> impl FnMut(&mut Tell<'_>) {
    let mut ask = asked(statements, Statements::Bucket, [203, 0, 113, 1]);
    move |tell| {
        ask(&mut |request, around| {
            let (decision, trace) = explain(request, around);
            tell(request, decision, trace);
        });
    }
}

/// What is done with a request and what is known beside it.
type Use<'a> = dyn FnMut(&AccessRequest<'_>, &Surroundings<'_>) + 'a;

fn asked(statements: usize, stand: Statements, address: [u8; 4]) -> impl FnMut(&mut Use<'_>) {
    let bucket = BucketName::parse("photos").expect("a bucket name");
    let all: Vec<Value> = (1..=statements).map(|n| statement(stand, n, n == statements)).collect();
    let (of_bucket, of_caller) = match stand {
        Statements::Bucket | Statements::Stars | Statements::Conditions | Statements::Extreme => {
            (all.as_slice(), [].as_slice())
        }
        Statements::Identity | Statements::IdentityDocuments => ([].as_slice(), all.as_slice()),
        Statements::Mixed => all.split_at(statements / 2),
    };
    let document = |list: &[Value]| json!({"Version": "2012-10-17", "Statement": list});
    let policy: Option<Document> = (!of_bucket.is_empty()).then(|| {
        let list: Vec<Value> = of_bucket.iter().map(with_principal).collect();
        parse_document(&document(&list), Kind::Bucket(&bucket)).expect("a policy")
    });
    let each = if stand == Statements::Identity { statements } else { 10 };
    let held = |list: &[Value]| IdentityPolicy::parse(&document(list), "own").expect("a policy");
    let principal = principal(of_caller.chunks(each).map(held).collect());
    let caller = (stand != Statements::Bucket).then_some(&principal);
    let caller = caller.cloned();
    let key = format!("folder-{statements:04}/object-00000001.jpg");
    let owner = CanonicalId::from_bytes([1; 32]);
    let context = RequestContext::new(Stamp(1), Some(address.into()), false)
        .with("s3:prefix", "a/long/folder/with/names")
        .with("aws:UserAgent", "Boto3/1.40 md/Botocore#1.40 ua/2.1 os/linux md/arch#x86_64 lang/python#3.13");
    move |act| {
        let request = AccessRequest {
            principal: caller.as_ref(),
            action: "s3:GetObject",
            bucket: Some(&bucket),
            bucket_owner: Some(&owner),
            config: None,
            key: Some(&key),
            resource: None,
            object: ObjectState::Missing,
            context: &context,
        };
        let around = Surroundings {
            policy: policy.as_ref().map(Ok),
            bucket_account: Some(ACCOUNT),
            object_account: None,
            account_of: &|_| ACCOUNT.to_owned(),
        };
        act(&request, &around);
    }
}

fn statement(stand: Statements, n: usize, is_last: bool) -> Value {
    if stand == Statements::Stars {
        return json!({
            "Sid": format!("stars{n}"),
            "Effect": "Allow",
            "Action": ["s3:Get*", "s3:List*"],
            "Resource": [format!("arn:aws:s3:::ph*/archive-{n:04}/*.png"), format!("arn:aws:s3:::ph*/folder-{n:04}/object-*.jpg")],
            "Condition": {"StringLike": {"aws:UserAgent": ["Boto3/*", "aws-cli/*", "*Botocore*os/linux*"]}},
        });
    }
    if stand == Statements::Conditions {
        let team = if is_last { "a".to_owned() } else { format!("team-{n:04}") };
        return json!({
            "Sid": format!("conditions{n}"),
            "Effect": "Allow",
            "Action": "s3:Get*",
            "Resource": "arn:aws:s3:::photos/*",
            "Condition": {
                "StringLike": {"s3:prefix": [format!("{team}/${{aws:username}}/*"), format!("{team}/long/*"), "shared/*"]},
                "IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.168.0.0/16"]},
                "ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/team/*"},
            },
        });
    }
    if stand == Statements::Extreme {
        let last = if is_last { "*Botocore*os/linux*" } else { "*Botocore*os/windows*" };
        let mut agents: Vec<String> = (0..9).map(|k| format!("*client-{k}/*os/linux*")).collect();
        agents.push(last.to_owned());
        return json!({
            "Sid": format!("extreme{n}"),
            "Effect": "Allow",
            "Action": ["s3:Get*", "s3:List*"],
            "Resource": ["arn:aws:s3:::ph*/archive-*/*.png", "arn:aws:s3:::ph*/folder-*/object-*.jpg"],
            "Condition": {
                "IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "172.16.0.0/12", "2001:db8::/32", "192.168.0.0/16"]},
                "ArnLike": {"aws:PrincipalArn": ["arn:aws:iam::*:role/*", "arn:aws:iam::*:user/te*/a*"]},
                "StringNotLike": {"s3:prefix": ["home/${aws:username}/*", "a/*/${aws:username}"]},
                "StringLike": {"aws:UserAgent": agents},
            },
        });
    }
    json!({
        "Sid": format!("folder{n}"),
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:GetObjectVersion"],
        "Resource": format!("arn:aws:s3:::photos/folder-{n:04}/*"),
        "Condition": {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.168.0.0/16"]}},
    })
}

fn with_principal(statement: &Value) -> Value {
    let mut statement = statement.clone();
    if let Some(map) = statement.as_object_mut() {
        map.insert("Principal".to_owned(), json!("*"));
    }
    statement
}

/// A user who is no root.
fn principal(policies: Vec<IdentityPolicy>) -> Principal {
    let access_key = AccessKeyId::parse("key").expect("an access key id");
    Principal {
        user_id: CanonicalId::from_bytes([2; 32]),
        account_id: ACCOUNT.to_owned(),
        access_keys: Arc::from([access_key.clone()]),
        access_key,
        display_name: "ann".to_owned(),
        user_name: "ann".to_owned(),
        path: "/team/".to_owned(),
        is_root: false,
        is_named_root: false,
        shares_arn: false,
        unambiguous_names: Arc::from(["ann".to_owned()]),
        policies: Arc::from(policies),
        tags: Arc::from([]),
        role: None,
        session: None,
    }
}
