//! Walks the table of operations: every one of them, for every kind of caller; then the actions of IAM and STS, and the node's own
//! routes.
//!
//! For each operation: nobody, a wrong secret, a disabled user, a user without the action, and a user with it, by the
//! header pair and by SigV4. The first four are refused with 403 and must change nothing; the last is never refused with
//! 403, whatever else may be wrong with its request (an operation that is not built answers 501, an unknown upload 404).

use myfsio::aws::Action;
use myfsio::s3::operation::{Mark, Operation, Row, Scope};
use serde_json::json;

use crate::support::{self, Node, Reply};

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
        (Scope::ObjectLambda, _) => "/WriteGetObjectResponse",
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
    matches!(operation, Operation::ListBuckets | Operation::ListDirectoryBuckets)
}

/// Operations that another permission gives as well: who may list a bucket sees how full it is.
fn given_by_another(operation: Operation) -> bool {
    operation == Operation::GetBucketQuota
}

/// Operations that no action grants: administrators only.
fn for_administrators(operation: Operation) -> bool {
    use Operation::{DeleteBucketQuota, DeleteBucketReplication, PutBucketQuota};
    matches!(operation, PutBucketQuota | DeleteBucketQuota | DeleteBucketReplication)
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
                let rest = callers.ask(Some((&format!("rest{i}"), "secret")), row, by_signature);
                check(operation, "every other action", &rest, given_by_another(operation));
            }
        }
    }
    // Nothing of all that may have changed anything.
    assert_eq!(callers.node.ask("GET", "/bkt/source", &[], b"").body, b"source");
    let listing = callers.node.ask("GET", "/bkt?list-type=2", &[], b"").text();
    assert_eq!(support::element(&listing, "KeyCount").as_deref(), Some("1"), "{listing}");
    for (i, operation) in Operation::ALL.iter().enumerate() {
        let (row, operation) = (operation.row(), *operation);
        // Nobody has an access point of Object Lambda to answer for.
        if matches!(operation, Operation::PostObject | Operation::WriteGetObjectResponse) {
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

/// The account of the callers below; `chief` is its root.
const ACCOUNT: &str = "111122223333";

/// Actions that need no permission: AWS answers them to everybody who signs, whatever policies say (STS API Reference,
/// GetCallerIdentity, GetSessionToken); a web identity's token takes the place of a signature.
const NEED_NO_PERMISSION: [Action; 3] =
    [Action::GetCallerIdentity, Action::GetSessionToken, Action::AssumeRoleWithWebIdentity];

/// Actions that need no signature either.
const NEED_NO_SIGNATURE: [Action; 1] = [Action::AssumeRoleWithWebIdentity];

/// A request of the action that names whatever any action asks to be named.
fn form(action: Action) -> String {
    let arn = |what: &str| format!("arn:aws:iam::{ACCOUNT}:{what}");
    let document = user_with("", &["s3:GetObject"])["policies"][0].clone();
    let document = json!({"Version": document["Version"], "Statement": document["Statement"]}).to_string();
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": ["sts:AssumeRole", "sts:TagSession"]}]});
    let row = action.row();
    let pairs = [
        ("Action", row.name.to_owned()),
        ("Version", row.service.version().to_owned()),
        ("UserName", "subject".to_owned()),
        ("GroupName", "crew".to_owned()),
        ("RoleName", "pilot".to_owned()),
        ("PolicyName", "plan".to_owned()),
        ("PolicyArn", arn("policy/plan")),
        ("PolicyDocument", document.clone()),
        ("AssumeRolePolicyDocument", trust.to_string()),
        ("AccessKeyId", "subject".to_owned()),
        ("Status", "Active".to_owned()),
        ("Description", "as before".to_owned()),
        ("VersionId", "v1".to_owned()),
        ("Url", "https://idp.example.com".to_owned()),
        ("OpenIDConnectProviderArn", arn("oidc-provider/idp.example.com")),
        ("ClientID", "app".to_owned()),
        ("ClientIDList.member.1", "app".to_owned()),
        ("ThumbprintList.member.1", "0".repeat(40)),
        ("Tags.member.1.Key", "k".to_owned()),
        ("Tags.member.1.Value", "v".to_owned()),
        ("TagKeys.member.1", "k".to_owned()),
        ("PolicySourceArn", arn("user/subject")),
        ("PolicyInputList.member.1", document),
        ("ActionNames.member.1", "s3:GetObject".to_owned()),
        ("RoleArn", arn("role/pilot")),
        ("RoleSessionName", "visit".to_owned()),
        ("WebIdentityToken", "none".to_owned()),
    ];
    let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    pairs.join("&")
}

/// A route of the node's own.
struct OwnRoute {
    method: &'static str,
    target: &'static str,
    body: &'static str,
    /// Whether every signed caller may ask: the answer depends on the caller.
    is_open: bool,
}

const fn route(method: &'static str, target: &'static str, body: &'static str) -> OwnRoute {
    OwnRoute { method, target, body, is_open: false }
}

/// The node's own routes, those last that remove what others name.
const OWN_ROUTES: &[OwnRoute] = &[
    route("POST", "/_myfsio/buckets/bkt/adopt", ""),
    route("GET", "/_myfsio/buckets/bkt/lifecycle", ""),
    route("POST", "/_myfsio/buckets/bkt/lifecycle/preview", ""),
    route("GET", "/_myfsio/buckets/bkt/policy", ""),
    route("PUT", "/_myfsio/buckets/bkt/policy", r#"{"preset": "private"}"#),
    route("GET", "/bucket-policy/bkt", ""),
    route("PUT", "/bucket-policy/bkt", r#"{"Version": "2012-10-17", "Statement": []}"#),
    route("DELETE", "/bucket-policy/bkt", ""),
    route("GET", "/_myfsio/buckets/bkt/events", ""),
    route("POST", "/_myfsio/buckets/bkt/events/replay", ""),
    route("DELETE", "/_myfsio/buckets/bkt/events/dead", ""),
    route("GET", "/_myfsio/audit", ""),
    route("GET", "/_myfsio/settings", ""),
    route("GET", "/_myfsio/self-check", ""),
    route("GET", "/_myfsio/requests/buckets", ""),
    route("GET", "/_myfsio/backups", ""),
    // A refusal is told to whom it was told before, and is unknown to all others.
    OwnRoute { is_open: true, ..route("GET", "/_myfsio/explain?request_id=0000000000000001", "") },
    route("POST", "/_myfsio/simulate", r#"{"action": "s3:GetObject", "bucket": "bkt", "key": "source"}"#),
    route("POST", "/presign/bkt/source", ""),
    route("GET", "/_myfsio/iam/users", ""),
    route("POST", "/_myfsio/iam/users", r#"{"display_name": "another"}"#),
    route("GET", "/_myfsio/iam/export", ""),
    route("POST", "/_myfsio/iam/import?preview", r#"{"format": "myfsio-accounts-1"}"#),
    route("GET", "/_myfsio/iam/users/subject", ""),
    route("PATCH", "/_myfsio/iam/users/subject", r#"{"display_name": "subject"}"#),
    route("PUT", "/_myfsio/iam/users/subject/policies", "[]"),
    route("POST", "/_myfsio/iam/users/subject/access-keys", "{}"),
    route("PATCH", "/_myfsio/iam/users/subject/access-keys/subject", r#"{"enabled": true}"#),
    route("POST", "/_myfsio/iam/users/subject/rotate", r#"{"access_key": "subject"}"#),
    route("DELETE", "/_myfsio/iam/users/subject/access-keys/subject", ""),
    route("GET", "/_myfsio/users/subject/quota", ""),
    route("GET", "/_myfsio/users/subject/permissions", ""),
    route("PUT", "/_myfsio/users/subject/quota", r#"{"max_bytes": 1000000}"#),
    route("DELETE", "/_myfsio/users/subject/quota", ""),
    route("DELETE", "/_myfsio/iam/users/subject", ""),
    // Last: who may hear it hears it without end.
    route("GET", "/_myfsio/events", ""),
];

/// A user of the account with these statements beside its grants.
fn member(access: &str, grants: serde_json::Value, statements: serde_json::Value) -> serde_json::Value {
    let mut policies = grants;
    if statements.as_array().is_some_and(|statements| !statements.is_empty()) {
        let document = json!({"PolicyName": "own", "Version": "2012-10-17", "Statement": statements});
        policies.as_array_mut().unwrap().push(document);
    }
    json!({"access_key": access, "secret_key": "secret", "display_name": access, "account_id": ACCOUNT, "policies": policies})
}

/// What the account has: a bucket, and one of each entity that the requests name.
fn node_with_an_account() -> Node {
    let node = Node::start(&[]);
    let everything = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    let nothing = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
    let all_grants = json!([{"bucket": "*", "actions": ["*"]}]);
    let mut users = vec![
        json!({"access_key": "chief", "secret_key": "secret", "display_name": "chief", "root": true, "account_id": ACCOUNT, "policies": []}),
        member("subject", json!([]), json!([])),
        member("without", json!([{"bucket": "other-bucket", "actions": ["read"]}]), json!([])),
        member("denied", json!([]), json!([everything, nothing])),
        member("denied-administrator", all_grants.clone(), json!([nothing])),
        member("administrator", all_grants, json!([])),
        member("with", json!([]), json!([everything])),
    ];
    for (i, action) in Action::ALL.iter().enumerate() {
        let rest = json!([{"Effect": "Allow", "NotAction": action.row().permission, "Resource": "*"}]);
        users.push(member(&format!("rest{i}"), json!([]), rest));
    }
    node.add_users(&users);
    let chief = Some(("chief", "secret"));
    assert_eq!(node.ask_as(chief, "PUT", "/bkt", &[], b"").status, 200);
    assert_eq!(node.ask_as(chief, "PUT", "/bkt/source", &[], b"source").status, 200);
    for action in [Action::CreateGroup, Action::CreatePolicy, Action::CreateRole, Action::CreateOpenIDConnectProvider] {
        let reply = ask_for(&node, chief, action);
        assert_eq!(reply.status, 200, "{action:?}: {}", reply.text());
    }
    node
}

fn ask_for(node: &Node, who: Option<(&str, &str)>, action: Action) -> Reply {
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    node.ask_as(who, "POST", "/", &headers, form(action).as_bytes())
}

#[test]
fn every_action_for_every_caller() {
    let node = node_with_an_account();
    let mut failures = Vec::new();
    let mut check = |action: Action, who: &str, reply: &Reply, allowed: bool| {
        let is_refused = reply.status == 403;
        let is_denied = reply.code() == "AccessDenied" || who == "nobody";
        if is_refused == allowed || (is_refused && !is_denied) || reply.status >= 500 {
            let (name, expected) = (action.row().name, if allowed { "not 403" } else { "403" });
            failures.push(format!("{name} as {who}: {} {} (expected {expected})", reply.status, reply.code()));
        }
    };
    for (i, &action) in Action::ALL.iter().enumerate() {
        check(action, "nobody", &ask_for(&node, None, action), NEED_NO_SIGNATURE.contains(&action));
        let rest = format!("rest{i}");
        for who in ["without", "denied", "denied-administrator", &rest] {
            let reply = ask_for(&node, Some((who, "secret")), action);
            check(action, who, &reply, NEED_NO_PERMISSION.contains(&action));
        }
    }
    // From the end: what is made comes first in the table, and what names it must find it.
    for &action in Action::ALL.iter().rev() {
        check(action, "with", &ask_for(&node, Some(("with", "secret")), action), true);
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(node.healthy());
}

#[test]
fn every_route_for_every_caller() {
    let node = node_with_an_account();
    let mut failures = Vec::new();
    let mut check = |route: &OwnRoute, who: &str, reply: &Reply, allowed: bool| {
        let is_refused = reply.status == 403;
        if is_refused == allowed || (is_refused && !reply.text().contains("AccessDenied")) || reply.status >= 500 {
            let expected = if allowed { "not 403" } else { "403" };
            let (method, target, text) = (route.method, route.target, reply.text());
            failures.push(format!("{method} {target} as {who}: {} {text} (expected {expected})", reply.status));
        }
    };
    let ask = |route: &OwnRoute, who| node.ask_as(who, route.method, route.target, &[], route.body.as_bytes());
    for route in OWN_ROUTES {
        check(route, "nobody", &ask(route, None), false);
        for who in ["without", "denied", "denied-administrator"] {
            check(route, who, &ask(route, Some((who, "secret"))), route.is_open);
        }
    }
    let (_endless, answered) = OWN_ROUTES.split_last().unwrap();
    for route in answered {
        check(route, "administrator", &ask(route, Some(("administrator", "secret"))), true);
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(node.healthy());
}
