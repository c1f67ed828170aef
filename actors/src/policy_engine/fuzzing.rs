//! The fuzz target of policies: parsed twice they are the same, and decisions obey what no document may change.
#![allow(clippy::expect_used, reason = "what does not hold ends the run")]

use std::sync::Arc;

use serde_json::{Value, json};

use super::context::RequestContext;
use super::decision::{Decision, Reason, Source};
use super::document::{Document, Effect};
use super::error::InvalidPolicy;
use super::evaluate::{Surroundings, decide, explain, may_list};
use super::identity::{IdentityPolicy, PolicyHome};
use super::parse::{Kind, parse_bucket_policy, parse_document};
use super::request::{AccessRequest, ObjectState};
use super::trace::Trace;
use super::trust::{TrustPolicy, TrustRequest};
use crate::iam::{Principal, RoleSession, Session};
use crate::names::{AccessKeyId, BucketName, CanonicalId, Stamp};

const OWNER: &str = "111111111111";
const STRANGER: &str = "222222222222";

/// A line `who action key name=value …`, the policy of the bucket `photos`, and, each behind a line `---`, a policy of the caller,
/// one of its session, and the trust policy of a role. A key of `-` is none, and so is an empty policy.
pub fn policy(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let (line, documents) = text.split_once('\n').unwrap_or((text, ""));
    let mut documents = documents.split("\n---\n");
    let of_bucket = documents.next().unwrap_or_default();
    let mut further = || documents.next().filter(|text| !text.is_empty());
    let (of_caller, of_session, of_role) = (further(), further(), further());
    let held = |text: &str| IdentityPolicy::parse(&json_of(text)?, "policies[0]").map_err(Some);
    let trust = |text: &str| TrustPolicy::parse(&json_of(text)?, "trust").map_err(Some);
    let parsed = (of_caller.map(held).transpose(), of_session.map(held).transpose(), of_role.map(trust).transpose());
    let (identity, session, trust) = match parsed {
        (Ok(identity), Ok(session), Ok(trust)) => (identity, session, trust),
        (Err(Some(mistake)), ..) | (_, Err(Some(mistake)), _) | (.., Err(Some(mistake))) => {
            return !is_told(&mistake.to_string());
        }
        _ => return false,
    };
    let bucket = BucketName::parse("photos").expect("a bucket name");
    let document = match parse_bucket_policy(of_bucket, &bucket) {
        Ok((value, document)) => {
            assert_eq!(parse_document(&value, Kind::Bucket(&bucket)).as_ref(), Ok(&document));
            document
        }
        Err(mistake) => return !is_told(&mistake.to_string()),
    };
    let mut words = line.split(' ');
    let (who, action, key) =
        (words.next().unwrap_or_default(), words.next().unwrap_or_default(), words.next().unwrap_or("-"));
    let mut context = RequestContext::new(Stamp(1_700_000_000_000_000_000), None, false);
    for (name, value) in words.filter_map(|word| word.split_once('=')) {
        match name {
            "ip" => context.source_ip = value.parse().ok(),
            name => context.add(name.to_owned(), value),
        }
    }
    let case = Case { who, action, key: (key != "-").then_some(key), context: &context, bucket: &bucket };
    case.check(&document, identity.as_slice());
    case.check_session(&document, identity.as_slice(), session.as_slice());
    if let Some(trust) = &trust {
        case.check_trust(trust, identity.as_slice(), session.as_slice());
    }
    true
}

/// Whether somebody is denied even to list an own bucket.
pub(crate) fn may_do_nothing(principal: &Principal) -> bool {
    let bucket = BucketName::parse("photos").expect("a bucket name");
    let context = RequestContext::new(Stamp(1_700_000_000_000_000_000), None, false);
    let request = AccessRequest {
        principal: Some(principal),
        action: "s3:ListBucket",
        bucket: Some(&bucket),
        bucket_owner: Some(&principal.user_id),
        config: None,
        key: None,
        resource: None,
        object: ObjectState::Missing,
        context: &context,
    };
    let account = principal.account_id.as_str();
    let around = Surroundings {
        policy: None,
        bucket_account: Some(account),
        object_account: None,
        account_of: &|_| account.to_owned(),
    };
    !decide(&request, &around).allowed
}

/// A text as JSON; what is none names no place.
fn json_of(text: &str) -> Result<Value, Option<InvalidPolicy>> {
    serde_json::from_str(text).map_err(|_| None)
}

/// A mistake names its place and its reason.
fn is_told(mistake: &str) -> bool {
    assert!(mistake.split_once(": ").is_some_and(|(place, reason)| !place.is_empty() && !reason.is_empty()));
    true
}

/// One question.
struct Case<'a> {
    who: &'a str,
    action: &'a str,
    key: Option<&'a str>,
    context: &'a RequestContext,
    bucket: &'a BucketName,
}

impl Case<'_> {
    fn check(&self, document: &Document, identity: &[IdentityPolicy]) {
        let decision = self.decide(document, identity);
        let allowed = decision.allowed;
        let with = |change: &dyn Fn(&mut Document)| {
            let mut changed = document.clone();
            change(&mut changed);
            self.decide(&changed, identity).allowed
        };

        assert_eq!(allowed, with(&|d| d.statements.reverse()), "the order of statements decides");
        assert!(allowed || !with(&|d| d.statements.retain(|s| s.effect == Effect::Deny)), "a loss of allows allows");
        assert!(!allowed || with(&|d| d.statements.retain(|s| s.effect == Effect::Allow)), "a loss of denies denies");

        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"});
        let deny = parse_document(&json!({"Statement": deny}), Kind::Bucket(self.bucket)).expect("a policy");
        let mut denying = document.clone();
        denying.statements.extend(deny.statements);
        let denied = self.decide(&denying, identity);
        assert!(!denied.allowed || denied.reason == Reason::PolicyRepair, "{:?}", denied.reason);
        let own = json!({"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}});
        let own = IdentityPolicy::parse(&own, "own").expect("a policy");
        if self.who != "anonymous" {
            assert!(!self.decide(document, &[identity, &[own]].concat()).allowed, "an explicit deny is outvoted");
        }

        match &decision.reason {
            Reason::Allowed(told) | Reason::ExplicitDeny(told) if told.source == Source::Bucket => {
                let told = told.index.and_then(|index| document.statements.get(index)).expect("a statement");
                assert_eq!(told.effect == Effect::Allow, allowed);
            }
            Reason::Allowed(_) | Reason::ExplicitDeny(_) => assert!(!identity.is_empty()),
            reason => assert!(!allowed || self.who != "anonymous", "{reason:?}"),
        }
        if let Some(principal) = self.principal(identity, &[]) {
            let listed = may_list(&principal, self.bucket, self.context);
            assert!(!listed || !identity.is_empty(), "a bucket is listed without any policy");
        }
    }

    fn check_session(&self, document: &Document, identity: &[IdentityPolicy], session: &[IdentityPolicy]) {
        let unbounded = self.decide(document, identity);
        let (bounded, trace) = self.explain(document, identity, session);
        assert!(unbounded.allowed || !bounded.allowed, "a session policy allows");
        assert!(!session.is_empty() || bounded == unbounded, "explaining decides otherwise");
        if let Reason::Allowed(told) | Reason::ExplicitDeny(told) = &bounded.reason {
            assert!(trace.considered.iter().any(|one| one.statement == *told), "the trace does not tell of {told:?}");
        }
    }

    fn check_trust(&self, trust: &TrustPolicy, identity: &[IdentityPolicy], session: &[IdentityPolicy]) {
        let request = TrustRequest {
            action: "sts:AssumeRole",
            account_id: OWNER,
            role_arn: "arn:aws:iam::111111111111:role/target",
            context: self.context,
        };
        trust.allows_federated("arn:aws:iam::111111111111:oidc-provider/idp.example", request);
        let decide = |identity: &[IdentityPolicy], session: &[IdentityPolicy]| {
            self.principal(identity, session).is_some_and(|principal| trust.decide(&principal, request).0.allowed)
        };
        assert!(decide(identity, &[]) || !decide(identity, session), "a session policy lets into a role");
        let own = json!({"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}});
        let own = IdentityPolicy::parse(&own, "own").expect("a policy");
        assert!(!decide(&[identity, &[own]].concat(), session), "an explicit deny is outvoted");
    }

    fn decide(&self, document: &Document, identity: &[IdentityPolicy]) -> Decision {
        self.ask(document, identity, &[], decide)
    }

    fn explain(
        &self,
        document: &Document,
        identity: &[IdentityPolicy],
        session: &[IdentityPolicy],
    ) -> (Decision, Trace) {
        self.ask(document, identity, session, explain)
    }

    fn ask<T>(
        &self,
        document: &Document,
        identity: &[IdentityPolicy],
        session: &[IdentityPolicy],
        question: impl FnOnce(&AccessRequest<'_>, &Surroundings<'_>) -> T,
    ) -> T {
        let principal = self.principal(identity, session);
        let owner = CanonicalId::from_bytes([1; 32]);
        let request = AccessRequest {
            principal: principal.as_ref(),
            action: self.action,
            bucket: Some(self.bucket),
            bucket_owner: Some(&owner),
            config: None,
            key: self.key,
            resource: None,
            object: ObjectState::Missing,
            context: self.context,
        };
        let around = Surroundings {
            policy: Some(Ok(document)),
            bucket_account: Some(OWNER),
            object_account: None,
            account_of: &|_| OWNER.to_owned(),
        };
        question(&request, &around)
    }

    fn principal(&self, identity: &[IdentityPolicy], session: &[IdentityPolicy]) -> Option<Principal> {
        let (number, account, is_root) = match self.who {
            "anonymous" => return None,
            "owner" => (1, OWNER, true),
            "member" | "role" => (2, OWNER, false),
            "stranger" => (3, STRANGER, false),
            _ => (4, STRANGER, true),
        };
        let access_key = AccessKeyId::parse("key").expect("an access key id");
        Some(Principal {
            user_id: CanonicalId::from_bytes([number; 32]),
            account_id: account.to_owned(),
            access_keys: Arc::from([access_key.clone()]),
            access_key,
            display_name: self.who.to_owned(),
            user_name: self.who.to_owned(),
            path: "/".to_owned(),
            is_root,
            is_named_root: false,
            shares_arn: false,
            unambiguous_names: Arc::from([self.who.to_owned()]),
            policies: Arc::from(identity),
            tags: Arc::from([]),
            role: (self.who == "role")
                .then(|| RoleSession { role_id: "AROAROLE".to_owned(), session_name: "session".to_owned() }),
            session: (!session.is_empty()).then(|| {
                Arc::new(Session {
                    issued_at: Stamp(1),
                    expires_at: Stamp(2),
                    policies: session.iter().map(|policy| policy.at(PolicyHome::Session { index: 0 })).collect(),
                    provider: None,
                    source_identity: None,
                    tags: vec![("team".to_owned(), "red".to_owned())],
                    transitive_tag_keys: Vec::new(),
                    claims: Vec::new(),
                })
            }),
        })
    }
}
