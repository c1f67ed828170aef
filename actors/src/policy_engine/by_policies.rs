//! What policies alone say to a request, whoever owns what (IAM API Reference, SimulateCustomPolicy and SimulatePrincipalPolicy),
//! and which condition keys they ask for. Pure.

use std::collections::BTreeSet;

use super::actions::find_action;
use super::condition::Condition;
use super::context::{Facts, RequestContext};
use super::decision::{Source, StatementRef};
use super::document::{Asked, Document, Effect, Verdict};
use super::effort::Effort;
use super::grant::Wish;
use super::identity::{Form, IdentityPolicy};
use super::pattern::Pattern;
use super::trace::{Fit, Trace};
use super::verdict::IdentityVerdict;
use super::{DraftPolicy, InvalidPolicy};
use crate::iam::Principal;

/// What policies are asked.
#[derive(Debug, Clone, Copy)]
pub struct PolicyQuestion<'a> {
    /// Who asks, as far as conditions and variables can tell; none leaves that to `context`.
    pub principal: Option<&'a Principal>,
    /// The policies.
    pub policies: &'a [IdentityPolicy],
    /// Policies that bound the others: without their allow there is none. None bounds nothing.
    pub boundaries: &'a [IdentityPolicy],
    /// The policy of the resource, which is of the same account.
    pub resource_policy: Option<&'a DraftPolicy>,
    /// Name with service, of any service.
    pub action: &'a str,
    /// ARN.
    pub resource: &'a str,
    /// What conditions may ask for.
    pub context: &'a RequestContext,
}

/// What policies say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyDecision {
    /// One allows and none denies.
    Allowed,
    /// One denies.
    ExplicitDeny,
    /// None allows, one has a mistake, or their patterns take too long for what is asked.
    ImplicitDeny,
}

/// Asks policies; gives the statements that made the decision.
pub fn ask_policies(question: &PolicyQuestion<'_>) -> (PolicyDecision, Vec<StatementRef>) {
    let PolicyQuestion { principal, policies, boundaries, resource_policy, action, resource, context } = *question;
    let row = find_action(action);
    let action = row.map_or(action, |row| row.checks);
    let asked = Asked::new(action, resource);
    let facts = Facts::new(principal, action, context, None, &[]);
    let path = resource.strip_prefix("arn:aws:s3:::");
    let wish = row.map(|row| Wish {
        capability: row.capability,
        action: row.name,
        bucket: path.map(|path| path.split_once('/').map_or(path, |(bucket, _)| bucket)),
        key: path.and_then(|path| path.split_once('/')).map(|(_, key)| key),
        listed_prefix: context.get("s3:prefix"),
    });
    let effort = Effort::begin();
    let mut trace = Trace::default();
    let own = IdentityVerdict::of(policies, wish, asked, &facts, &mut trace);
    let others = match resource_policy {
        Some(DraftPolicy(document)) => document.verdict(asked, &facts, &|| Source::Bucket, &mut trace),
        None => Verdict::Silent,
    };
    let bounds = match boundaries {
        [] => None,
        boundaries => Some(IdentityVerdict::of(boundaries, wish, asked, &facts, &mut trace)),
    };
    let denies = |verdict: &IdentityVerdict| matches!(verdict, IdentityVerdict::Denied(_));
    let allows =
        |verdict: &IdentityVerdict| matches!(verdict, IdentityVerdict::Granted(_) | IdentityVerdict::Allowed(_));
    let is_broken = matches!(own, IdentityVerdict::Broken(_));
    let allowed = allows(&own) || matches!(others, Verdict::Allowed(_));
    // What patterns said that were given up does not count.
    if effort.is_spent() {
        return (PolicyDecision::ImplicitDeny, Vec::new());
    }
    let decision = if denies(&own) || matches!(others, Verdict::Denied(_)) || bounds.as_ref().is_some_and(denies) {
        PolicyDecision::ExplicitDeny
    } else if allowed && !is_broken && bounds.as_ref().is_none_or(allows) {
        PolicyDecision::Allowed
    } else {
        PolicyDecision::ImplicitDeny
    };
    let effect = match decision {
        PolicyDecision::Allowed => Effect::Allow,
        PolicyDecision::ExplicitDeny => Effect::Deny,
        PolicyDecision::ImplicitDeny => return (decision, Vec::new()),
    };
    let deciding = trace.considered.into_iter().filter(|one| one.effect == effect && one.fit == Fit::Applies);
    (decision, deciding.map(|one| one.statement).collect())
}

/// The condition keys and policy variables that policies ask for, as they are written.
pub fn context_keys<'a>(policies: impl IntoIterator<Item = &'a IdentityPolicy>) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for policy in policies {
        let Form::Document(document) = &*policy.form else { continue };
        keys.extend(keys_of(document).map(str::to_owned));
    }
    keys
}

fn keys_of(document: &Document) -> impl Iterator<Item = &str> {
    document.statements.iter().flat_map(|statement| {
        let in_values = statement.conditions.iter().flat_map(Condition::variables);
        let in_resources = statement.resources.patterns.iter().flat_map(Pattern::variables);
        statement.conditions.iter().map(Condition::key).chain(in_values).chain(in_resources)
    })
}

impl IdentityPolicy {
    /// Parses the text of a document that is in force nowhere; `name` is how decisions call it. Errs with the place of the
    /// mistake.
    pub fn draft(text: &str, name: &str) -> Result<Self, InvalidPolicy> {
        super::unambiguous::refuse_ambiguous(text).map_err(|error| InvalidPolicy::new(name, error.to_string()))?;
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| InvalidPolicy::new(name, error.to_string()))?;
        if value.get("Statement").is_none() {
            return Err(InvalidPolicy::new(format!("{name}.Statement"), "is missing"));
        }
        Ok(Self { name: Some(Box::from(name)), ..Self::parse(&value, name)? })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(name: &str, statement: serde_json::Value) -> IdentityPolicy {
        IdentityPolicy::draft(&json!({"Version": "2012-10-17", "Statement": statement}).to_string(), name).unwrap()
    }

    fn ask(
        policies: &[IdentityPolicy],
        boundaries: &[IdentityPolicy],
        action: &str,
        resource: &str,
    ) -> (PolicyDecision, Vec<String>) {
        let context = RequestContext::default().with("aws:username", "ann");
        let question = PolicyQuestion {
            principal: None,
            policies,
            boundaries,
            resource_policy: None,
            action,
            resource,
            context: &context,
        };
        let (decision, deciding) = ask_policies(&question);
        let name = |statement: &StatementRef| match &statement.source {
            Source::Identity { name, .. } => name.clone().unwrap_or_default().into_string(),
            other => format!("{other:?}"),
        };
        (decision, deciding.iter().map(name).collect())
    }

    #[test]
    fn policies_decide_and_are_named() {
        let allow = policy("allow", json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}));
        let deny = policy(
            "deny",
            json!([
                {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::b/keep/*"},
                {"Effect": "Allow", "Action": ["ec2:Run*", "iam:GetUser"], "Resource": "*"},
            ]),
        );
        let home = policy(
            "home",
            json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/${aws:username}/*"}),
        );
        let both = [allow.clone(), deny];
        let key = "arn:aws:s3:::b/keep/x";
        assert_eq!(ask(&both, &[], "s3:GetObject", key), (PolicyDecision::Allowed, vec!["allow".to_owned()]));
        assert_eq!(ask(&both, &[], "s3:HeadObject", key).0, PolicyDecision::Allowed);
        assert_eq!(ask(&both, &[], "s3:DeleteObject", key), (PolicyDecision::ExplicitDeny, vec!["deny".to_owned()]));
        assert_eq!(ask(&both, &[], "ec2:RunInstances", "*").0, PolicyDecision::Allowed);
        assert_eq!(ask(&both, &[], "ec2:StopInstances", "*"), (PolicyDecision::ImplicitDeny, vec![]));
        assert_eq!(ask(&[], &[], "s3:GetObject", key).0, PolicyDecision::ImplicitDeny);
        let bounds = [home];
        assert_eq!(
            ask(std::slice::from_ref(&allow), &bounds, "s3:GetObject", "arn:aws:s3:::b/ann/x").0,
            PolicyDecision::Allowed
        );
        assert_eq!(ask(&[allow], &bounds, "s3:GetObject", key).0, PolicyDecision::ImplicitDeny);
        let grant = IdentityPolicy::parse(&json!({"bucket": "b", "actions": ["read"]}), "policies[0]").unwrap();
        assert_eq!(ask(std::slice::from_ref(&grant), &[], "s3:GetObject", key).0, PolicyDecision::Allowed);
        assert_eq!(ask(&[grant], &[], "s3:GetObject", "arn:aws:s3:::c/x").0, PolicyDecision::ImplicitDeny);
    }

    #[test]
    fn what_the_node_does_not_know_is_never_asked_for_and_never_there() {
        let key = "arn:aws:s3:::b/x";
        let with = |condition: serde_json::Value| {
            let statement = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": condition});
            ask(&[policy("p", statement)], &[], "s3:GetObject", key).0
        };
        assert_eq!(with(json!({"StringEquals": {"aws:Foo": "x"}})), PolicyDecision::ImplicitDeny);
        assert_eq!(with(json!({"StringEquals": {"s3:nothing": "x"}})), PolicyDecision::ImplicitDeny);
        assert_eq!(with(json!({"StringNotEquals": {"aws:Foo": "x"}})), PolicyDecision::Allowed);
        assert_eq!(with(json!({"StringEqualsIfExists": {"aws:Foo": "x"}})), PolicyDecision::Allowed);
        assert_eq!(with(json!({"Null": {"ec2:Region": "true"}})), PolicyDecision::Allowed);
        let statement = json!([
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"},
            {"Effect": "Deny", "Action": ["s3:Nothing", "s3:Gett*"], "Resource": "*"},
        ]);
        assert_eq!(ask(&[policy("p", statement)], &[], "s3:GetObject", key).0, PolicyDecision::Allowed);
    }

    #[test]
    fn keys_are_those_of_conditions_and_variables() {
        let policy = policy(
            "p",
            json!({
                "Effect": "Allow",
                "Action": "s3:*",
                "Resource": "arn:aws:s3:::b/${aws:username}/*",
                "Condition": {"StringEquals": {"s3:prefix": "${aws:PrincipalTag/team}"}},
            }),
        );
        let keys: Vec<_> = context_keys([&policy]).into_iter().collect();
        assert_eq!(keys, ["aws:PrincipalTag/team", "aws:username", "s3:prefix"]);
    }

    #[test]
    fn drafts_are_documents() {
        for text in ["", "{}", "[]", r#"{"bucket": "b", "actions": ["read"]}"#, r#"{"Statement": 1, "Statement": 2}"#] {
            assert!(IdentityPolicy::draft(text, "PolicyInputList.1").is_err(), "{text}");
        }
    }

    #[test]
    fn patterns_that_take_too_long_allow_nothing() {
        let slow = format!("arn:aws:s3:::*{}b", "a?".repeat(60));
        let slow = policy("slow", json!({"Effect": "Deny", "Action": "s3:*", "Resource": vec![slow; 100]}));
        let all = policy("all", json!({"Effect": "Allow", "Action": "*", "Resource": "*"}));
        let context = RequestContext::default();
        let resource = format!("arn:aws:s3:::{}", "a".repeat(16_000));
        let ask = |policies: &[IdentityPolicy], resource: &str| {
            let question = PolicyQuestion {
                principal: None,
                policies,
                boundaries: &[],
                resource_policy: None,
                action: "s3:GetObject",
                resource,
                context: &context,
            };
            ask_policies(&question).0
        };
        let both = [slow, all];
        assert_eq!(ask(&both, &resource), PolicyDecision::ImplicitDeny);
        assert_eq!(ask(&both, "arn:aws:s3:::b/k"), PolicyDecision::Allowed);
    }
}
