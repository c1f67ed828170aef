//! Walks the table of operations: every one of them, for every kind of caller.
//!
//! For each operation: nobody, a wrong secret, a disabled user, a user without the action, and a user with it, by the
//! header pair and by SigV4. The first four are refused with 403 and must change nothing; the last is never refused with
//! 403, whatever else may be wrong with its request (an operation that is not built answers 501, an unknown upload 404).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use myfsio::s3::operation::{Mark, Operation, Row, Scope};
use serde_json::json;
use support::{Node, Reply};

/// One request of each operation: target and headers, as its row of the table describes it.
fn request(row: &Row) -> (String, Vec<(&'static str, &'static str)>) {
    let mut query = Vec::new();
    let mut headers = Vec::new();
    for mark in row.marks {
        match mark {
            Mark::Query("uploadId") => query.push("uploadId=unknown".to_owned()),
            Mark::Query(name) => query.push(format!("{name}=")),
            Mark::QueryIs(name, value) => query.push(format!("{name}={value}")),
            Mark::With(name) => query.push(format!("{name}=1")),
            Mark::Header("x-amz-copy-source") => headers.push(("x-amz-copy-source", "/bkt/source")),
            Mark::Header(name) => headers.push((*name, "x")),
        }
    }
    // What is deleted must not be what the next operation needs; a delete of what is absent is decided all the same.
    let path = match (row.scope, row.operation) {
        (Scope::Service, _) => "/",
        (Scope::Bucket, Operation::CreateBucket) => "/created",
        (Scope::Bucket, Operation::DeleteBucket) => "/bkt",
        (Scope::Bucket, _) => "/bkt",
        (Scope::Object, Operation::DeleteObject) => "/bkt/deleted",
        (Scope::Object, Operation::PutObject | Operation::CopyObject) => "/bkt/written",
        (Scope::Object, _) => "/bkt/source",
        (Scope::Control, _) => "/v20180820/tags/arn%3Aaws%3As3%3A%3A%3Abkt",
    };
    (if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }, headers)
}

/// Operations that name their keys or their caller in the body.
fn decided_in_the_body(operation: Operation) -> bool {
    matches!(operation, Operation::DeleteObjects | Operation::PostObject)
}

/// Operations that every signed caller may ask: the answer, not the question, depends on the caller.
fn open_to_every_caller(operation: Operation) -> bool {
    operation == Operation::ListBuckets
}

/// Operations that no action grants: administrators only.
fn for_administrators(operation: Operation) -> bool {
    matches!(operation, Operation::PutBucketQuota | Operation::DeleteBucketQuota)
}

/// The action that AWS checks; `s3:HeadBucket` is the short form's name for it.
fn checked(row: &Row) -> &'static str {
    if row.action == "s3:HeadBucket" { "s3:ListBucket" } else { row.action }
}

struct Callers {
    node: Node,
}

impl Callers {
    fn ask(&self, who: Option<(&str, &str)>, row: &Row, by_signature: bool) -> Reply {
        let (target, headers) = request(row);
        match who {
            Some(who) if by_signature => self.node.ask_signed(who, row.method, &target, &headers, b""),
            who => self.node.ask_as(who, row.method, &target, &headers, b""),
        }
    }
}

/// A user with exactly this AWS action on everything (and reading, where a copy needs its source).
fn user_with(access: &str, actions: &[&str]) -> serde_json::Value {
    json!({
        "access_key": access, "secret_key": "secret", "display_name": access,
        "policies": [{"PolicyName": "p", "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}],
    })
}

#[test]
fn every_operation_for_every_caller() {
    // A wrong secret for each operation is more than one address may get wrong.
    let node = Node::start(&[("LOGIN_FAILURES_MAX", "0")]);
    let account = |mut user: serde_json::Value| {
        // Members of an account whose root is somebody else: nothing is theirs by ownership.
        user["account_id"] = json!("111122223333");
        user
    };
    let mut users = vec![
        json!({"access_key": "chief", "secret_key": "secret", "display_name": "chief", "root": true, "account_id": "111122223333", "policies": []}),
        json!({"access_key": "disabled", "secret_key": "secret", "display_name": "disabled", "enabled": false, "policies": [{"bucket": "*", "actions": ["*"]}]}),
        account(
            json!({"access_key": "without", "secret_key": "secret", "display_name": "without", "policies": [{"bucket": "other-bucket", "actions": ["read"]}]}),
        ),
        json!({"access_key": "with", "secret_key": "secret", "display_name": "with", "policies": [{"bucket": "*", "actions": ["*"]}]}),
    ];
    for (i, operation) in Operation::ALL.iter().enumerate() {
        let row = operation.row();
        let mut own = vec![row.action];
        if row.marks.contains(&Mark::Header("x-amz-copy-source")) || *operation == Operation::GetObjectAttributes {
            own.push("s3:GetObject");
        }
        users.push(account(user_with(&format!("own{i}"), &own)));
        let rest: Vec<&str> = Operation::ALL.iter().map(|o| checked(o.row())).filter(|a| *a != checked(row)).collect();
        users.push(account(user_with(&format!("rest{i}"), &rest)));
    }
    node.add_users(&users);
    // The account's root makes the bucket: in its own account an identity policy is all that a member needs.
    let chief = Some(("chief", "secret"));
    assert_eq!(node.ask_as(chief, "PUT", "/bkt", &[], b"").status, 200);
    assert_eq!(node.ask_as(chief, "PUT", "/bkt/source", &[], b"source").status, 200);
    let callers = Callers { node };
    let mut failures = Vec::new();
    let mut check = |operation: Operation, who: &str, reply: &Reply, allowed: bool| {
        let refused = reply.status == 403;
        if refused == allowed || reply.status == 500 {
            failures.push(format!(
                "{} as {who}: {} {} (expected {})",
                operation.name(),
                reply.status,
                reply.code(),
                if allowed { "not 403" } else { "403" }
            ));
        }
    };
    for (i, operation) in Operation::ALL.iter().enumerate() {
        let row = operation.row();
        let operation = *operation;
        if operation == Operation::PostObject {
            // Without its form there is no caller and no key: it must be refused, by whichever rule comes first.
            let reply = callers.ask(None, row, false);
            assert!((400..500).contains(&reply.status), "PostObject: {reply:?}");
            continue;
        }
        let nobody = callers.ask(None, row, false);
        if decided_in_the_body(operation) {
            assert!((400..500).contains(&nobody.status), "{operation:?}: {nobody:?}");
        } else {
            check(operation, "nobody", &nobody, false);
        }
        for by_signature in [false, true] {
            // The header pair locks a key out after five wrong secrets: each operation gets a key of its own.
            check(
                operation,
                "wrong secret",
                &callers.ask(Some((&format!("own{i}"), "wrong")), row, by_signature),
                false,
            );
            check(operation, "disabled", &callers.ask(Some(("disabled", "secret")), row, by_signature), false);
            if !open_to_every_caller(operation) && !decided_in_the_body(operation) {
                check(operation, "without", &callers.ask(Some(("without", "secret")), row, by_signature), false);
                check(
                    operation,
                    "every other action",
                    &callers.ask(Some((&format!("rest{i}"), "secret")), row, by_signature),
                    false,
                );
            }
        }
    }
    // Nothing of all that may have changed anything.
    assert_eq!(callers.node.ask("GET", "/bkt/source", &[], b"").body, b"source");
    let listing = callers.node.ask("GET", "/bkt?list-type=2", &[], b"").text();
    assert_eq!(support::element(&listing, "KeyCount").as_deref(), Some("1"), "{listing}");
    for (i, operation) in Operation::ALL.iter().enumerate() {
        let (row, operation) = (operation.row(), *operation);
        if operation == Operation::PostObject {
            continue;
        }
        for by_signature in [false, true] {
            check(
                operation,
                "the action alone",
                &callers.ask(Some((&format!("own{i}"), "secret")), row, by_signature),
                !for_administrators(operation),
            );
            check(operation, "every action", &callers.ask(Some(("with", "secret")), row, by_signature), true);
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(callers.node.healthy());
}

#[test]
fn keys_in_a_body_are_asked_one_by_one() {
    let node = Node::start(&[]);
    node.create_bucket("bkt");
    node.put("/bkt/a", b"a");
    node.add_users(&[
        json!({"access_key": "without", "secret_key": "secret", "display_name": "without", "policies": [{"bucket": "*", "actions": ["read"]}]}),
        json!({"access_key": "with", "secret_key": "secret", "display_name": "with", "policies": [{"bucket": "bkt", "actions": ["delete"]}]}),
    ]);
    let body = b"<Delete><Object><Key>a</Key></Object></Delete>";
    let crc = ("x-amz-checksum-sha256", support::sha256_base64(body));
    let headers = [(crc.0, crc.1.as_str())];
    let reply = node.ask_as(None, "POST", "/bkt?delete", &headers, body);
    assert!(reply.status == 403 || reply.text().contains("<Code>AccessDenied</Code>"), "{reply:?}");
    let reply = node.ask_as(Some(("without", "secret")), "POST", "/bkt?delete", &headers, body);
    assert!(reply.text().contains("<Code>AccessDenied</Code>"), "{reply:?}");
    assert_eq!(node.status("/bkt/a"), 200);
    let reply = node.ask_as(Some(("with", "secret")), "POST", "/bkt?delete", &headers, body);
    assert!(reply.status == 200 && reply.text().contains("<Deleted>"), "{reply:?}");
    assert_eq!(node.status("/bkt/a"), 404);
}
