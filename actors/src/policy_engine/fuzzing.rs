//! The fuzz target of policies: parsed twice they are the same, and decisions obey what no document may change.
#![allow(clippy::expect_used, reason = "what does not hold ends the run")]

use std::sync::Arc;

use serde_json::{Value, json};

use super::context::RequestContext;
use super::document::{Document, Effect};
use super::evaluate::{AccessRequest, Decision, ObjectState, Reason, Source, Surroundings, decide, may_list};
use super::identity::IdentityPolicy;
use super::parse::{Kind, parse_bucket_policy, parse_document};
use crate::iam::Principal;
use crate::names::{AccessKeyId, BucketName, CanonicalId, Stamp};

const OWNER: &str = "111111111111";
const STRANGER: &str = "222222222222";

/// A line `who action key name=value …`, the policy of the bucket `photos`, and, behind a line `---`, a policy of the caller.
/// A key of `-` is none.
pub fn policy(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let (line, documents) = text.split_once('\n').unwrap_or((text, ""));
    let (of_bucket, of_caller) = match documents.split_once("\n---\n") {
        Some((of_bucket, of_caller)) => (of_bucket, Some(of_caller)),
        None => (documents, None),
    };
    let identity = match of_caller.map(serde_json::from_str::<Value>) {
        None => None,
        Some(Ok(value)) => match IdentityPolicy::parse(&value, "policies[0]") {
            Ok(policy) => Some(policy),
            Err(mistake) => return !is_told(&mistake.to_string()),
        },
        Some(Err(_)) => return false,
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
    true
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
        if let Some(principal) = self.principal(identity) {
            let listed = may_list(&principal, self.bucket);
            assert!(!listed || !identity.is_empty(), "a bucket is listed without any policy");
        }
    }

    fn decide(&self, document: &Document, identity: &[IdentityPolicy]) -> Decision {
        let principal = self.principal(identity);
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
        decide(&request, &around)
    }

    fn principal(&self, identity: &[IdentityPolicy]) -> Option<Principal> {
        let (number, account, is_root) = match self.who {
            "anonymous" => return None,
            "owner" => (1, OWNER, true),
            "member" => (2, OWNER, false),
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
            unambiguous_names: Arc::from([self.who.to_owned()]),
            policies: Arc::from(identity),
            tags: Arc::from([]),
            role: None,
            session: None,
        })
    }
}
