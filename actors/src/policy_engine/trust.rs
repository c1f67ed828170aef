//! Trust policies: who may assume a role (IAM User Guide, "How to use trust policies with IAM roles").
//!
//! A role belongs to nobody by ownership: also inside its account the trust policy must let the caller in. Naming the account
//! leaves it to the account's own policies to give the right on; across accounts it takes both sides.

use serde_json::Value;

use super::bounds::{names_session, within_session};
use super::context::{Facts, RequestContext};
use super::decision::{Decision, Reason, Source, allow, refuse};
use super::document::{Asked, Document, Verdict};
use super::effort::Effort;
use super::error::InvalidPolicy;
use super::grant::Wish;
use super::parse::{Kind, parse_document};
use super::principal::principal_ids;
use super::trace::{Trace, Watch};
use super::verdict::{IdentityVerdict, statement_ref};
use crate::iam::Principal;

/// A role's trust policy.
#[derive(Debug, Clone)]
pub struct TrustPolicy(Document);

/// The role that somebody wants to assume.
#[derive(Debug, Clone, Copy)]
pub struct TrustRequest<'a> {
    /// `sts:AssumeRole`, `sts:TagSession` and the like.
    pub action: &'static str,
    /// Account of the role.
    pub account_id: &'a str,
    /// ARN of the role.
    pub role_arn: &'a str,
    /// What conditions may ask for.
    pub context: &'a RequestContext,
}

impl TrustPolicy {
    /// Parses a trust policy; `place` names it in errors.
    pub fn parse(value: &Value, place: &str) -> Result<Self, InvalidPolicy> {
        let document = parse_document(value, Kind::Trust)
            .map_err(|error| InvalidPolicy::new(format!("{place}.{}", error.place), error.reason))?;
        Ok(Self(document))
    }

    /// The names of users and roles that it trusts.
    pub fn principals(&self) -> impl Iterator<Item = String> {
        self.0.principals().map(|(_, text)| text)
    }

    /// The same policy, with those names tied to whom they meant when it was put: `ids` has the canonical id of each. Errs: they
    /// are none.
    pub fn tied(mut self, ids: &Value) -> Result<Self, InvalidPolicy> {
        let place = || InvalidPolicy::new("assume_role_principals", "must tell a canonical id of each name");
        self.0.tie(&principal_ids(ids).ok_or_else(place)?);
        Ok(self)
    }

    /// Whether a signed caller may, and why; with what was considered.
    pub fn decide(&self, principal: &Principal, request: TrustRequest<'_>) -> (Decision, Trace) {
        let mut trace = Trace::default();
        let decision = self.judge(principal, request, &mut trace);
        (decision, trace)
    }

    fn judge<W: Watch>(&self, principal: &Principal, request: TrustRequest<'_>, watch: &mut W) -> Decision {
        let effort = Effort::begin();
        let facts = Facts::new(Some(principal), request.action, request.context, Some(request.account_id), &[]);
        let asked = Asked::new(request.action, request.role_arn);
        let named = |index| statement_ref(&self.0, index, Source::Trust);
        let trust = self.0.verdict(asked, &facts, &|| Source::Trust, watch);
        let wish = super::actions::find_action(request.action).map(|row| Wish {
            capability: row.capability,
            action: row.name,
            bucket: None,
            key: None,
            listed_prefix: None,
        });
        let own = IdentityVerdict::of(&principal.policies, wish, asked, &facts, watch);
        let is_inside = principal.account_id == request.account_id;
        let decision = match (own, trust) {
            (IdentityVerdict::Denied(statement), _) => refuse(Reason::ExplicitDeny(statement)),
            (_, Verdict::Denied(index)) => refuse(Reason::ExplicitDeny(named(index))),
            (IdentityVerdict::Broken(mistake), _) => refuse(Reason::BrokenIdentityPolicy(mistake)),
            (_, Verdict::Silent) => refuse(Reason::NoTrust),
            (_, Verdict::Allowed(index)) if is_inside || principal.is_root => allow(Reason::Allowed(named(index))),
            (_, Verdict::AllowedToAccount(index)) if principal.is_root => allow(Reason::Allowed(named(index))),
            (IdentityVerdict::Granted(statement) | IdentityVerdict::Allowed(statement), _) => {
                allow(Reason::Allowed(statement))
            }
            (IdentityVerdict::Silent, _) => refuse(Reason::NoIdentityPolicyAllows),
        };
        let named_session = || is_inside && names_session(&self.0, principal, asked, &facts);
        let decision = within_session(decision, principal, asked, &facts, named_session, watch);
        if effort.is_spent() { refuse(Reason::TooMuchWork) } else { decision }
    }

    /// Whether whoever shows a token of this identity provider may. `provider` is its ARN.
    pub fn allows_federated(&self, provider: &str, request: TrustRequest<'_>) -> bool {
        let facts = Facts::new(None, request.action, request.context, Some(request.account_id), &[]);
        let asked = Asked::new(request.action, request.role_arn);
        self.0.allows(|clause| clause.means_federated(provider), asked, &facts)
    }
}
