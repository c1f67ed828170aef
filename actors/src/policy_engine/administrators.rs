//! Who administers the node.

use super::actions::Capability;
use super::bounds::session_policies;
use super::context::Facts;
use super::document::Asked;
use super::grant::Wish;
use super::identity::{Form, IdentityPolicy};
use super::verdict::IdentityVerdict;
use crate::iam::Principal;

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
pub(crate) fn is_node_administrator(principal: &Principal) -> bool {
    let wish = Wish { capability: Capability::IamOther, action: "iam:*", bucket: None, key: None, listed_prefix: None };
    principal.policies.iter().any(|policy| matches!(&*policy.form, Form::Short(grant) if grant.gives(wish)))
}
