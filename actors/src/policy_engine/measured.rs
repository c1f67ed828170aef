//! Decisions, for benches.
#![allow(clippy::expect_used, reason = "what cannot be set up ends the run")]

use serde_json::{Value, json};

use super::context::RequestContext;
use super::evaluate::{AccessRequest, Decision, ObjectState, Surroundings, decide, explain};
use super::parse::{Kind, parse_document};
use super::trace::Trace;
use crate::names::{BucketName, CanonicalId, Stamp};

/// Decides an anonymous read under a bucket policy whose last of so many statements allows it; gives whether it may.
pub fn decision(statements: usize) -> impl FnMut() -> bool {
    let mut ask = asked(statements, [192, 168, 1, 1]);
    move || {
        let mut is_allowed = false;
        ask(&mut |request, around| is_allowed = decide(request, around).allowed);
        is_allowed
    }
}

/// What is done with a refusal: the request, the decision, what was considered.
pub type Tell<'a> = dyn FnMut(&AccessRequest<'_>, &Decision, &Trace) + 'a;

/// Explains why the same read is refused from an address that no statement lets in.
pub fn refusal(statements: usize) -> impl FnMut(&mut Tell<'_>) {
    let mut ask = asked(statements, [203, 0, 113, 1]);
    move |tell| {
        ask(&mut |request, around| {
            let (decision, trace) = explain(request, around);
            tell(request, &decision, &trace);
        });
    }
}

/// What is done with a request and what is known beside it.
type Use<'a> = dyn FnMut(&AccessRequest<'_>, &Surroundings<'_>) + 'a;

fn asked(statements: usize, address: [u8; 4]) -> impl FnMut(&mut Use<'_>) {
    let statement = |n: usize| {
        json!({
            "Sid": format!("folder{n}"),
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:GetObject", "s3:GetObjectVersion"],
            "Resource": format!("arn:aws:s3:::photos/folder-{n:04}/*"),
            "Condition": {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.168.0.0/16"]}},
        })
    };
    let bucket = BucketName::parse("photos").expect("a bucket name");
    let list: Vec<Value> = (1..=statements).map(statement).collect();
    let text = json!({"Version": "2012-10-17", "Statement": list});
    let document = parse_document(&text, Kind::Bucket(&bucket)).expect("a policy");
    let key = format!("folder-{statements:04}/object-00000001");
    let owner = CanonicalId::from_bytes([1; 32]);
    let context = RequestContext::new(Stamp(1), Some(address.into()), false);
    move |act| {
        let request = AccessRequest {
            principal: None,
            action: "s3:GetObject",
            bucket: Some(&bucket),
            bucket_owner: Some(&owner),
            config: None,
            key: Some(&key),
            resource: None,
            object: ObjectState::Unseen,
            context: &context,
        };
        let around = Surroundings {
            policy: Some(Ok(&document)),
            bucket_account: None,
            object_account: None,
            account_of: &|_| String::new(),
        };
        act(&request, &around);
    }
}
