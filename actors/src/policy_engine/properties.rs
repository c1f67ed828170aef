//! What must hold for whatever policies and requests there are.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::condition_operators::{Operator, Wanted};
use super::context::{Facts, Found, RequestContext};
use super::decision::{Decision, Reason};
use super::document::{Document, Effect};
use super::evaluate::{Surroundings, decide, explain};
use super::parse::{Kind, parse_bucket_policy, parse_document};
use super::pattern::{Pattern, Syntax};
use super::request::{AccessRequest, ObjectState};
use super::{IdentityPolicy, PolicyHome, TrustPolicy};
use crate::iam::{Principal, RoleSession, Session};
use crate::names::{AccessKeyId, BucketName, CanonicalId, Stamp};

const ACCOUNT: &str = "111111111111";
const OTHER: &str = "222222222222";

/// Names that the strategies choose from, so that statements and requests meet often.
const ACTIONS: [&str; 8] =
    ["s3:GetObject", "s3:PutObject", "s3:Get*", "s3:*", "*", "s3:ListBucket", "s3:?utObject", "s3:DeleteObject"];
const RESOURCES: [&str; 7] = [
    "arn:aws:s3:::photos",
    "arn:aws:s3:::photos/*",
    "arn:aws:s3:::photos/a/*",
    "arn:aws:s3:::photos/${aws:username}/*",
    "arn:aws:s3:::*",
    "*",
    "arn:aws:s3:::photos/a?",
];
const CONDITIONS: [&str; 10] = [
    r#"{}"#,
    r#"{"StringEquals": {"s3:prefix": "a"}}"#,
    r#"{"StringNotLike": {"s3:prefix": ["a*", "${aws:username}"]}}"#,
    r#"{"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}"#,
    r#"{"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "Bool": {"aws:SecureTransport": "true"}}"#,
    r#"{"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["a", "b"]}}"#,
    r#"{"ForAnyValue:StringNotEquals": {"s3:RequestObjectTagKeys": "a"}}"#,
    r#"{"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/*"}}"#,
    r#"{"Null": {"s3:prefix": "true"}}"#,
    r#"{"NumericLessThanEqualsIfExists": {"s3:max-keys": 10}}"#,
];
const PRINCIPALS: [&str; 9] = [
    r#""*""#,
    r#"{"AWS": "*"}"#,
    r#"{"AWS": "111111111111"}"#,
    r#"{"AWS": "222222222222"}"#,
    r#"{"AWS": "arn:aws:iam::111111111111:user/ann"}"#,
    r#"{"AWS": ["arn:aws:iam::222222222222:user/ann", "nobody"]}"#,
    r#"{"AWS": "arn:aws:iam::111111111111:role/ann"}"#,
    r#"{"AWS": "arn:aws:sts::111111111111:assumed-role/ann/ci"}"#,
    r#"{"Service": "logging.s3.amazonaws.com"}"#,
];

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A statement without principal.
fn statement() -> impl Strategy<Value = Value> {
    let some = |list: &'static [&'static str]| prop::collection::vec(prop::sample::select(list), 1..3);
    (any::<bool>(), some(&ACTIONS), any::<bool>(), some(&RESOURCES), 0..8u8, prop::sample::select(&CONDITIONS[..]))
        .prop_map(|(allows, actions, not_action, resources, not_resource, condition)| {
            let mut statement = Map::new();
            statement.insert("Effect".to_owned(), json!(if allows { "Allow" } else { "Deny" }));
            statement.insert(if not_action { "NotAction" } else { "Action" }.to_owned(), json!(actions));
            statement.insert(if not_resource == 0 { "NotResource" } else { "Resource" }.to_owned(), json!(resources));
            statement.insert("Condition".to_owned(), parsed(condition));
            Value::Object(statement)
        })
}

fn bucket_statement() -> impl Strategy<Value = Value> {
    (statement(), prop::sample::select(&PRINCIPALS[..]), any::<bool>()).prop_map(
        |(mut statement, principal, negated)| {
            let negated = negated && statement["Effect"] == "Deny";
            statement[if negated { "NotPrincipal" } else { "Principal" }] = parsed(principal);
            statement
        },
    )
}

fn document(statements: Vec<Value>) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn identity_policy() -> impl Strategy<Value = Value> {
    let grant =
        (prop::sample::select(&["photos", "*", "other"][..]), prop::sample::select(&["read", "write", "*"][..]))
            .prop_map(|(bucket, word)| json!({"bucket": bucket, "actions": [word]}));
    prop_oneof![
        3 => prop::collection::vec(statement(), 1..4).prop_map(document),
        1 => grant,
        1 => Just(json!({"Statement": {"Effect": "Perhaps"}})),
    ]
}

/// Policies, caller and request.
#[derive(Debug, Clone)]
struct Case {
    bucket_policy: Option<Vec<Value>>,
    identity: Vec<Value>,
    session: Vec<Value>,
    who: Option<(&'static str, bool, bool)>,
    action: &'static str,
    key: Option<&'static str>,
    context: RequestContext,
}

fn case() -> impl Strategy<Value = Case> {
    let who = prop::option::weighted(0.8, (prop::sample::select(&[ACCOUNT, OTHER][..]), any::<bool>(), any::<bool>()));
    let request = (
        prop::sample::select(&["s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:PutBucketPolicy"][..]),
        prop::option::of(prop::sample::select(&["a/b", "ann/x", "ab"][..])),
        prop::option::of(prop::sample::select(&["a", "ann", "b"][..])),
        prop::option::of(prop::sample::select(&[[10, 0, 0, 1], [192, 0, 2, 1]][..])),
        any::<bool>(),
        prop::collection::vec(prop::sample::select(&["a", "b", "c"][..]), 0..3),
    );
    let policies = (
        prop::option::of(prop::collection::vec(bucket_statement(), 1..5)),
        prop::collection::vec(identity_policy(), 0..3),
        prop::collection::vec(identity_policy(), 0..2),
    );
    (policies, who, request).prop_map(|((bucket_policy, identity, session), who, request)| {
        let (action, key, prefix, address, tls, tags) = request;
        let mut context = RequestContext::new(Stamp(1_700_000_000_000_000_000), address.map(Into::into), tls);
        if let Some(prefix) = prefix {
            context.add("s3:prefix", prefix);
        }
        for tag in tags {
            context.add("s3:RequestObjectTagKeys", tag);
        }
        Case { bucket_policy, identity, session, who, action, key, context }
    })
}

/// Policies, at home where they stand.
fn held(policies: &[Value], home: impl Fn(usize) -> PolicyHome) -> Vec<IdentityPolicy> {
    let parse =
        |value| IdentityPolicy::parse(value, "own").unwrap_or_else(|mistake| IdentityPolicy::broken(value, mistake));
    policies.iter().enumerate().map(|(index, value)| parse(value).at(home(index))).collect()
}

impl Case {
    fn principal(&self) -> Option<Principal> {
        let (account, is_root, is_role) = self.who?;
        let access_key = AccessKeyId::parse("key").unwrap();
        let session = Session {
            issued_at: Stamp(1),
            expires_at: Stamp(2),
            policies: held(&self.session, |index| PolicyHome::Session { index }),
            ..Session::default()
        };
        Some(Principal {
            user_id: CanonicalId::from_bytes([2; 32]),
            account_id: account.to_owned(),
            access_keys: Arc::from([access_key.clone()]),
            access_key,
            display_name: "ann".to_owned(),
            user_name: "ann".to_owned(),
            path: "/".to_owned(),
            is_root: is_root && !is_role,
            is_named_root: false,
            shares_arn: false,
            unambiguous_names: Arc::from(["ann".to_owned()]),
            policies: held(&self.identity, |index| PolicyHome::Own { index }).into(),
            tags: Arc::from([]),
            role: is_role.then(|| RoleSession { role_id: "AROA".to_owned(), session_name: "ci".to_owned() }),
            session: (is_role || !self.session.is_empty()).then(|| Arc::new(session)),
        })
    }

    /// Runs a question about the case.
    fn ask<T>(&self, question: impl FnOnce(&AccessRequest<'_>, &Surroundings<'_>) -> T) -> T {
        let bucket = BucketName::parse("photos").unwrap();
        let owner = CanonicalId::from_bytes([1; 32]);
        let policy: Option<Document> = self
            .bucket_policy
            .as_ref()
            .map(|statements| parse_document(&document(statements.clone()), Kind::Bucket(&bucket)).unwrap());
        let principal = self.principal();
        let request = AccessRequest {
            principal: principal.as_ref(),
            action: self.action,
            bucket: Some(&bucket),
            bucket_owner: Some(&owner),
            config: None,
            key: self.key,
            resource: None,
            object: ObjectState::Missing,
            context: &self.context,
        };
        let around = Surroundings {
            policy: policy.as_ref().map(Ok),
            bucket_account: Some(ACCOUNT),
            object_account: None,
            account_of: &|_| ACCOUNT.to_owned(),
        };
        question(&request, &around)
    }

    fn decide(&self) -> Decision {
        self.ask(decide)
    }

    fn is_allowed(&self) -> bool {
        self.decide().allowed
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }
}

fn is_effect(statement: &Value, effect: &str) -> bool {
    statement["Effect"] == effect
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn an_explicit_deny_never_widens(case in case(), mut deny in bucket_statement(), mut own in statement(), place: usize) {
        deny["Effect"] = json!("Deny");
        own["Effect"] = json!("Deny");
        let allowed = case.is_allowed();
        let denied = case.with(|case| {
            let statements = case.bucket_policy.get_or_insert_default();
            statements.insert(place % (statements.len() + 1), deny);
        });
        prop_assert!(allowed || !denied.is_allowed(), "in the bucket's policy");
        let denied = case.with(|case| case.identity.insert(place % (case.identity.len() + 1), document(vec![own.clone()])));
        prop_assert!(allowed || !denied.is_allowed(), "in an identity policy");
        let denied = case.with(|case| case.session.iter_mut().for_each(|policy| {
            if let Some(list) = policy.get_mut("Statement").and_then(Value::as_array_mut) {
                list.insert(0, own.clone());
            }
        }));
        prop_assert!(allowed || !denied.is_allowed(), "in a session policy");
    }

    #[test]
    fn an_allow_never_narrows(case in case(), mut more in bucket_statement(), mut own in statement(), place: usize) {
        let allow = |statement: &mut Value| {
            statement["Effect"] = json!("Allow");
            if let Some(names) = statement.as_object_mut().unwrap().remove("NotPrincipal") {
                statement["Principal"] = names;
            }
        };
        allow(&mut more);
        allow(&mut own);
        let allowed = case.is_allowed();
        let wider = case.with(|case| {
            let statements = case.bucket_policy.get_or_insert_default();
            statements.insert(place % (statements.len() + 1), more);
        });
        prop_assert!(!allowed || wider.is_allowed(), "in the bucket's policy");
        let wider = case.with(|case| case.identity.insert(place % (case.identity.len() + 1), document(vec![own.clone()])));
        prop_assert!(!allowed || wider.is_allowed(), "in an identity policy");
        // A first session policy bounds; a further one only widens the bounds.
        let wider = case.with(|case| {
            if !case.session.is_empty() {
                case.session.push(document(vec![own]));
            }
        });
        prop_assert!(!allowed || wider.is_allowed(), "in a session policy");
    }

    #[test]
    fn a_session_policy_never_widens(case in case(), policy in identity_policy()) {
        let bounded = case.with(|case| case.session = vec![policy]);
        let unbounded = case.with(|case| case.session.clear());
        prop_assert!(unbounded.is_allowed() || !bounded.is_allowed());
    }

    #[test]
    fn the_order_of_statements_and_policies_does_not_decide(case in case(), turn in 0..7usize) {
        let turned = case.with(|case| {
            for list in case.bucket_policy.iter_mut().chain([&mut case.identity, &mut case.session]) {
                let turn = turn % list.len().max(1);
                list.rotate_left(turn);
                list.reverse();
            }
            for policy in case.identity.iter_mut().chain(&mut case.session) {
                if let Some(list) = policy.get_mut("Statement").and_then(Value::as_array_mut) {
                    list.reverse();
                }
            }
        });
        prop_assert_eq!(case.is_allowed(), turned.is_allowed());
    }

    #[test]
    fn explaining_decides_the_same_and_tells_of_every_statement(case in case()) {
        let decision = case.decide();
        let (explained, trace) = case.ask(explain);
        prop_assert_eq!(&decision, &explained);
        let statements = case.bucket_policy.as_ref().map_or(0, Vec::len);
        prop_assert!(trace.considered.len() >= statements);
        if let Reason::Allowed(by) | Reason::ExplicitDeny(by) = &decision.reason {
            let told = trace.considered.iter().find(|seen| seen.statement == *by);
            prop_assert!(told.is_some_and(|seen| (seen.effect == Effect::Allow) == decision.allowed));
        }
    }

    #[test]
    fn without_statements_that_allow_nothing_is_allowed_to_whom_nothing_else_is(case in case()) {
        let closed = case.with(|case| {
            if let Some(statements) = &mut case.bucket_policy {
                statements.retain(|statement| is_effect(statement, "Deny"));
                if statements.is_empty() {
                    case.bucket_policy = None;
                }
            }
            case.identity.clear();
        });
        let is_owning_root = case.who.is_some_and(|(account, is_root, is_role)| account == ACCOUNT && is_root && !is_role);
        prop_assert!(is_owning_root || !closed.is_allowed());
    }

    #[test]
    fn what_was_parsed_is_parsed_again_the_same(statements in prop::collection::vec(bucket_statement(), 1..5)) {
        let bucket = BucketName::parse("photos").unwrap();
        let (value, parsed) = parse_bucket_policy(&document(statements).to_string(), &bucket).unwrap();
        let (again, reparsed) = parse_bucket_policy(&value.to_string(), &bucket).unwrap();
        prop_assert_eq!(value, again);
        prop_assert_eq!(parsed, reparsed);
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let bucket = BucketName::parse("photos").unwrap();
        for text in [text.as_str(), &String::from_utf8_lossy(&bytes)] {
            let _ = parse_bucket_policy(text, &bucket);
            for variables in [false, true] {
                let _ = Pattern::parse(text, Syntax { wildcards: true, variables });
                for name in OPERATORS {
                    if let Some(operator) = Operator::parse(name)
                        && let Ok(wanted) = Wanted::parse(operator.test, text, variables)
                    {
                        let _ = wanted.fits(&Found::Text(text.into()), &|_| Some(text.to_owned().into()));
                    }
                }
            }
            for value in [json!(text), json!({text: text}), json!({"Statement": {text: text}}), json!([text])] {
                let _ = IdentityPolicy::parse(&value, "own");
                let _ = TrustPolicy::parse(&value, "trust");
            }
            let context = RequestContext::default();
            let _ = Facts::new(None, "s3:ListBucket", &context, None, &[]).variable(text);
        }
    }

    #[test]
    fn no_json_makes_a_parser_panic(value in json_value(), name in prop::sample::select(&ELEMENTS[..])) {
        let bucket = BucketName::parse("photos").unwrap();
        let mut statement = json!({"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"});
        statement[name] = value.clone();
        let whole = json!({"Statement": statement});
        let mut named = json!({"Statement": []});
        named[name] = value.clone();
        for value in [&value, &whole, &named] {
            let _ = IdentityPolicy::parse(value, "own");
            let _ = TrustPolicy::parse(value, "trust");
            let _ = parse_document(value, Kind::Bucket(&bucket));
        }
    }
}

const OPERATORS: [&str; 9] = [
    "StringEquals",
    "StringEqualsIgnoreCase",
    "StringLike",
    "NumericLessThan",
    "DateEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "ArnLike",
];
const ELEMENTS: [&str; 12] = [
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
    "Version",
    "Id",
    "Statement",
];

fn json_value() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(
        &["AWS", "*", "StringLike", "aws:SourceIp", "s3:Get*", "arn:aws:iam::111111111111:root", "Null", "${", "1"][..],
    );
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words.clone().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((words.clone().prop_map(str::to_owned), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}
