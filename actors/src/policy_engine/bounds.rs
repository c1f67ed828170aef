//! What bounds temporary credentials: session policies allow nothing by themselves, but what they do not allow is refused, unless the
//! bucket's policy names the very session.

use super::context::Facts;
use super::decision::{Decision, Reason, refuse};
use super::document::{Asked, Document, Effect};
use super::identity::IdentityPolicy;
use super::trace::Watch;
use super::verdict::IdentityVerdict;
use crate::iam::Principal;

/// The session policies of a caller; none bounds nothing.
pub(super) fn session_policies(principal: &Principal) -> &[IdentityPolicy] {
    principal.session.as_ref().map(|session| session.policies.as_slice()).unwrap_or_default()
}

/// Whether the document allows it to this very session of a role.
pub(super) fn names_session(document: &Document, principal: &Principal, asked: Asked<'_>, facts: &Facts<'_>) -> bool {
    principal.role.is_some()
        && document.statements.iter().any(|statement| {
            statement.effect == Effect::Allow
                && statement.principals.as_ref().is_some_and(|clause| clause.names_session(principal))
                && statement.covers(asked, facts)
        })
}

/// What session policies leave of a decision.
pub(super) fn within_session<W: Watch>(
    decision: Decision,
    principal: &Principal,
    asked: Asked<'_>,
    facts: &Facts<'_>,
    names_session: impl FnOnce() -> bool,
    watch: &mut W,
) -> Decision {
    let policies = session_policies(principal);
    if policies.is_empty() {
        return decision;
    }
    match IdentityVerdict::of(policies, None, asked, facts, watch) {
        _ if matches!(decision.reason, Reason::ExplicitDeny(_)) => decision,
        IdentityVerdict::Denied(statement) => refuse(Reason::ExplicitDeny(statement)),
        IdentityVerdict::Broken(mistake) => refuse(Reason::BrokenIdentityPolicy(mistake)),
        IdentityVerdict::Granted(_) | IdentityVerdict::Allowed(_) => decision,
        IdentityVerdict::Silent if decision.allowed && !names_session() => refuse(Reason::NoSessionPolicyAllows),
        IdentityVerdict::Silent => decision,
    }
}
