//! Who administers the node.

use super::actions::{Capability, find_action};
use super::bounds::session_policies;
use super::context::{Facts, RequestContext, is_of_request};
use super::decision::Source;
use super::document::{Asked, Effect, Outcome, Statement};
use super::effort::Effort;
use super::grant::Wish;
use super::identity::{Form, IdentityPolicy};
use super::trace::Watch;
use super::verdict::IdentityVerdict;
use crate::iam::Principal;
use crate::names::Stamp;

/// Whether the caller holds `iam:*` or `iam:list_users`, and so may change quotas and see everybody's settings. A document does not
/// make it one, whatever it allows: users of any account write them, for those of their account.
pub(super) fn is_administrator(principal: &Principal, facts: &Facts<'_>) -> bool {
    let wish = Wish {
        capability: Capability::IamListUsers,
        action: "iam:ListUsers",
        bucket: None,
        key: None,
        listed_prefix: None,
    };
    let asked = Asked::new("iam:ListUsers", "*");
    let verdict = |policies: &[IdentityPolicy]| IdentityVerdict::of(policies, Some(wish), asked, facts, &mut ());
    let bounds = session_policies(principal);
    matches!(verdict(&principal.policies), IdentityVerdict::Granted(_))
        && (bounds.is_empty() || matches!(verdict(bounds), IdentityVerdict::Granted(_) | IdentityVerdict::Allowed(_)))
}

/// Whether the node's administrator gave the caller `iam:*` by a grant. A document says that of an account only.
pub(super) fn is_node_administrator(principal: &Principal) -> bool {
    let wish = Wish { capability: Capability::IamOther, action: "iam:*", bucket: None, key: None, listed_prefix: None };
    principal.policies.iter().any(|policy| matches!(&*policy.form, Form::Short(grant) if grant.gives(wish)))
}

/// Whether the caller can make another administrator of the node, at this time and whatever requests say: it holds `iam:*` by a grant, and
/// nothing that it holds takes away what that needs.
pub(crate) fn makes_administrators(principal: &Principal, now: Stamp) -> bool {
    // A policy with a mistake refuses its holder everything.
    if !is_node_administrator(principal) || principal.policies.iter().any(|policy| policy.mistake().is_some()) {
        return false;
    }
    let users = format!("arn:aws:iam::{}:user/*", principal.account_id);
    // To be an administrator at all, and what adding a user with policies asks for.
    let needs = [("iam:ListUsers", "*"), ("iam:CreateUser", users.as_str()), ("iam:PutUserPolicy", users.as_str())];
    needs.into_iter().all(|(action, resource)| is_given(principal, action, resource, now))
}

/// Whether a grant gives the caller an action that no statement denies to every request.
fn is_given(principal: &Principal, action: &str, resource: &str, now: Stamp) -> bool {
    let Some(row) = find_action(action) else { return false };
    let context = RequestContext::new(now, None, true);
    let facts = Facts::new(Some(principal), row.checks, &context, None, &[]);
    let asked = Asked::new(row.checks, resource);
    let wish = Wish { capability: row.capability, action: row.name, bucket: None, key: None, listed_prefix: None };
    let (effort, mut heard) = (Effort::begin(), EveryRequest::default());
    IdentityVerdict::of(&principal.policies, Some(wish), asked, &facts, &mut heard);
    heard.is_granted && !heard.is_denied && !effort.is_spent()
}

/// What policies say to every request alike. A deny under a condition on the request, such as the client's address, leaves those for which it
/// does not hold, and so is not heard.
#[derive(Debug, Default)]
struct EveryRequest {
    is_granted: bool,
    is_denied: bool,
}

impl Watch for EveryRequest {
    // A deny that is not heard must not end the asking.
    const WHOLE: bool = true;

    fn statement(
        &mut self,
        _: &dyn Fn() -> Source,
        _: usize,
        statement: &Statement,
        outcome: Outcome<'_>,
        _: &Facts<'_>,
    ) {
        let applies = matches!(outcome, Outcome::Applies(_));
        let differs = statement.conditions.iter().any(|condition| is_of_request(condition.lower_key()));
        self.is_denied |= applies && statement.effect == Effect::Deny && !differs;
    }

    fn grant(&mut self, _: &dyn Fn() -> Source, gives: bool) {
        self.is_granted |= gives;
    }

    fn note(&mut self, _: &'static str) {}
}
