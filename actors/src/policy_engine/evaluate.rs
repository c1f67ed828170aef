//! The decision: what identity policies, bucket policy and ownership say together. Pure: no I/O, clock or async.
//!
//! In this order: an explicit deny refuses (only the root of the bucket's account and the node's administrators always reach the
//! bucket's policy, so that they can repair it, and what that denies does not keep its creator from it); ownership, a short-form
//! grant, or, inside one account, either kind of policy permits; across accounts it takes the identity policy and the bucket's side
//! together (IAM User Guide, "Policy evaluation logic"). The bucket's side is its policy and the access control lists, as far as
//! ownership controls and public access block let them count.
//!
//! Temporary credentials may be bounded by session policies: those allow nothing by themselves, but what they do not allow is
//! refused, unless the bucket's policy names the very session.
//!
//! Most decisions need no look at the object. One that does is refused as [`Reason::DependsOnObject`] while nobody has looked.

use super::acl::{AclOf, GrantRef, Grantees, is_object_owners, right_of, writes_object_acl};
use super::actions::{ActionRow, Capability, find_action};
use super::administrators::{is_administrator, is_node_administrator};
use super::bounds::{names_session, session_policies, within_session};
use super::condition_keys::has_existing_tags;
use super::context::{Facts, RequestContext, values_of};
use super::decision::{Decision, Reason, StatementRef, allow, refuse};
use super::document::{Asked, Document};
use super::effort::Effort;
use super::error::InvalidPolicy;
use super::grant::Wish;
use super::identity::{Form, IdentityPolicy};
use super::principal::Meant;
use super::request::{AccessRequest, ObjectState};
use super::trace::{Trace, Watch};
use super::verdict::{BucketVerdict, IdentityVerdict};
use crate::bucket_config::{BucketConfig, ObjectOwnership, PublicAccessBlock};
use crate::iam::{COMMAND_LINE_KEY, Principal};
use crate::names::{BucketName, CanonicalId};

/// What the engine knows beside the request.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub policy: Option<Result<&'a Document, &'a InvalidPolicy>>,
    /// Account that owns the bucket.
    pub bucket_account: Option<&'a str>,
    /// Account that owns the object: the bucket's, when its owner is nobody that the node knows.
    pub object_account: Option<&'a str>,
    /// The account of a user.
    pub account_of: &'a dyn Fn(&CanonicalId) -> String,
}

/// Decides a request.
pub(super) fn decide(request: &AccessRequest<'_>, around: &Surroundings<'_>) -> Decision {
    decide_watched(request, around, &mut ())
}

/// Decides a request, and tells what was considered.
pub(super) fn explain(request: &AccessRequest<'_>, around: &Surroundings<'_>) -> (Decision, Trace) {
    let mut trace = Trace::default();
    let decision = decide_watched(request, around, &mut trace);
    (decision, trace)
}

fn decide_watched<W: Watch>(request: &AccessRequest<'_>, around: &Surroundings<'_>, watch: &mut W) -> Decision {
    let Some(row) = find_action(request.action) else {
        return refuse(Reason::UnknownAction);
    };
    let effort = Effort::begin();
    let is_unseen = request.key.is_some() && matches!(request.object, ObjectState::Unseen);
    if is_unseen && has_existing_tags(row.checks) && asks_object_tags(request, around) {
        return refuse(Reason::DependsOnObject);
    }
    // Unseen, an object is taken for one that neither caller nor bucket owns, and that nobody was granted.
    let decision = judge(row, request, around, watch);
    if effort.is_spent() {
        return refuse(Reason::TooMuchWork);
    }
    let is_open = matches!(
        decision.reason,
        Reason::Anonymous | Reason::NoStatementAllows | Reason::NoIdentityPolicyAllows | Reason::NoBucketPolicyAllows
    );
    match is_unseen && is_open && is_object_owners(row.checks) {
        true => refuse(Reason::DependsOnObject),
        false => decision,
    }
}

fn asks_object_tags(request: &AccessRequest<'_>, around: &Surroundings<'_>) -> bool {
    let asks = |policy: &IdentityPolicy| matches!(&*policy.form, Form::Document(document) if document.asks_object_tags);
    let own = request
        .principal
        .is_some_and(|principal| principal.policies.iter().any(asks) || session_policies(principal).iter().any(asks));
    own || around.policy.is_some_and(|policy| policy.is_ok_and(|document| document.asks_object_tags))
}

/// Decides, and keeps temporary credentials within their bounds.
fn judge<W: Watch>(row: &ActionRow, request: &AccessRequest<'_>, around: &Surroundings<'_>, watch: &mut W) -> Decision {
    let resource = resource_arn(request);
    let asked = Asked::new(row.checks, &resource);
    let object_tags = match request.object {
        ObjectState::Found(object) => object.tags,
        ObjectState::Unseen | ObjectState::Missing => &[],
    };
    let facts = Facts::new(request.principal, row.checks, request.context, around.bucket_account, object_tags);
    let decision = judge_unbounded(row, request, around, asked, &facts, watch);
    let Some(principal) = request.principal else { return decision };
    // Across accounts the caller's side has to allow it too, and that is within its bounds.
    let is_inside = around.bucket_account == Some(principal.account_id.as_str());
    let names_session = || match around.policy {
        Some(Ok(document)) if is_inside => names_session(document, principal, asked, &facts),
        _ => false,
    };
    within_session(decision, principal, asked, &facts, names_session, watch)
}

/// Decides, whatever session policies say.
fn judge_unbounded<W: Watch>(
    row: &ActionRow,
    request: &AccessRequest<'_>,
    around: &Surroundings<'_>,
    asked: Asked<'_>,
    facts: &Facts<'_>,
    watch: &mut W,
) -> Decision {
    let limits = Limits::of(request.config);
    let is_of_account = request.principal.is_some_and(|p| around.bucket_account == Some(p.account_id.as_str()));
    let bucket_verdict = match around.policy {
        Some(Ok(document)) => {
            let verdict = BucketVerdict::of(document, asked, facts, watch);
            match limits.restrict_public_policy && !is_of_account && document.is_public() {
                true => {
                    watch.note("RestrictPublicBuckets: what the public policy allows counts inside the account only");
                    verdict.without_allow()
                }
                false => verdict,
            }
        }
        _ => BucketVerdict::Silent,
    };
    let granted = granted(row.checks, request, around, limits, watch);
    let Some(principal) = request.principal else {
        return decide_anonymous(around, bucket_verdict, granted);
    };
    let wish = Wish {
        capability: row.capability,
        action: row.name,
        bucket: request.bucket.map(BucketName::as_str),
        key: request.key,
        listed_prefix: match row.capability {
            Capability::List => values_of(request.context, "s3:prefix").next(),
            _ => None,
        },
    };
    let identity = IdentityVerdict::of(&principal.policies, Some(wish), asked, facts, watch);
    let caller = Caller::of(principal, request, around, limits);
    match identity {
        IdentityVerdict::Denied(statement) => return refuse(Reason::ExplicitDeny(statement)),
        IdentityVerdict::Broken(mistake) => return refuse(Reason::BrokenIdentityPolicy(mistake)),
        IdentityVerdict::Granted(_) | IdentityVerdict::Allowed(_) | IdentityVerdict::Silent => {}
    }
    let is_repair = is_policy_repair(row.checks);
    if is_repair && (caller.is_owning_root || is_node_administrator(principal)) {
        return allow(Reason::PolicyRepair);
    }
    let bucket_verdict = match bucket_verdict {
        // The node's own commands: whoever may open the data directory may change everything in it, and what a bucket's policy says of
        // clients' addresses or TLS means nothing of them. Nobody else is let in by this key.
        BucketVerdict::Denied(_) if principal.access_key.as_str() == COMMAND_LINE_KEY => {
            watch.note("what the bucket's policy denies does not keep out the node's own commands");
            BucketVerdict::Silent
        }
        // Whoever created the bucket must not be locked out by its policy; that is no permission yet.
        BucketVerdict::Denied(_) if is_repair && caller.is_creator => {
            watch.note("what the bucket's policy denies does not keep its creator from changing it");
            BucketVerdict::Silent
        }
        BucketVerdict::Denied(statement) => return refuse(Reason::ExplicitDeny(statement)),
        BucketVerdict::Allowed(_) | BucketVerdict::AllowedToAccount(_) | BucketVerdict::Silent => bucket_verdict,
    };
    if let Some(Err(mistake)) = around.policy
        && !(caller.is_owning_root || caller.is_creator || is_administrator(principal, facts))
    {
        return refuse(Reason::BrokenBucketPolicy(mistake.clone()));
    }
    if row.capability == Capability::Quota {
        return match is_administrator(principal, facts) {
            true => allow(Reason::AccountRoot),
            false => refuse(Reason::AdministratorsOnly),
        };
    }
    if row.checks == "s3:ListAllMyBuckets" {
        return allow(Reason::OwnBuckets);
    }
    let stronger = match (bucket_verdict, granted) {
        (BucketVerdict::Allowed(statement), _) => Some((Reason::Allowed(statement), Meant::Directly)),
        (_, Some((grant, Meant::Directly))) => Some((Reason::Granted(grant), Meant::Directly)),
        (BucketVerdict::AllowedToAccount(statement), _) => Some((Reason::Allowed(statement), Meant::ByAccount)),
        (_, Some((grant, meant))) => Some((Reason::Granted(grant), meant)),
        (_, None) => None,
    };
    decide_signed(row.checks, &caller, identity, stronger)
}

/// What ownership controls and public access block leave of policy and lists.
#[derive(Debug, Clone, Copy, Default)]
struct Limits {
    /// Lists do not count, and every object is the bucket owner's.
    owner_enforced: bool,
    ignore_public_acls: bool,
    restrict_public_policy: bool,
}

impl Limits {
    fn of(config: Option<&BucketConfig>) -> Self {
        let Some(config) = config else { return Self::default() };
        let PublicAccessBlock { ignore_public_acls, restrict_public_buckets, .. } =
            config.public_access_block.unwrap_or_default();
        Self {
            owner_enforced: config.ownership == Some(ObjectOwnership::BucketOwnerEnforced),
            ignore_public_acls,
            restrict_public_policy: restrict_public_buckets,
        }
    }
}

/// The grant that lets the caller in most strongly.
fn granted<W: Watch>(
    checks: &str,
    request: &AccessRequest<'_>,
    around: &Surroundings<'_>,
    limits: Limits,
    watch: &mut W,
) -> Option<(GrantRef, Meant)> {
    let (of, permission) = right_of(checks)?;
    if limits.owner_enforced {
        watch.note("BucketOwnerEnforced: access control lists do not count");
        return None;
    }
    let (acl, owner) = match (of, request.object) {
        (AclOf::Bucket, _) => (request.config?.acl.as_ref()?, request.bucket_owner),
        (AclOf::Object, ObjectState::Found(object)) => (object.acl?, Some(object.owner)),
        (AclOf::Object, ObjectState::Unseen | ObjectState::Missing) => return None,
    };
    let grantees = Grantees {
        caller: request.principal,
        owner,
        ignores_public: limits.ignore_public_acls,
        account_of: around.account_of,
    };
    let found = grantees.strongest(acl, permission);
    if found.is_none() {
        watch.note(match (of, limits.ignore_public_acls) {
            (AclOf::Bucket, false) => "no grant of the bucket's access control list gives it to the caller",
            (AclOf::Object, false) => "no grant of the object's access control list gives it to the caller",
            (_, true) => "IgnorePublicAcls: grants to everybody do not count, and no other gives it to the caller",
        });
    }
    let (index, meant) = found?;
    Some((GrantRef { of, index, grant: acl.grants.get(index)?.clone() }, meant))
}

/// What the caller is to the bucket and object.
#[derive(Debug, Clone, Copy)]
struct Caller {
    /// Same account as the bucket's owner, or no bucket yet.
    is_inside: bool,
    is_root: bool,
    is_owning_root: bool,
    is_creator: bool,
    /// Holds a short-form grant, so that the account alone gives it nothing.
    is_bound: bool,
    owns_object: bool,
    account_owns_object: bool,
    /// The object is, or may be, another account's than the bucket's.
    object_is_foreign: bool,
}

impl Caller {
    fn of(principal: &Principal, request: &AccessRequest<'_>, around: &Surroundings<'_>, limits: Limits) -> Self {
        let owns = |account: Option<&str>| account == Some(principal.account_id.as_str());
        let (object_owner, object_account) = match request.object {
            ObjectState::Found(_) if limits.owner_enforced => (request.bucket_owner, around.bucket_account),
            ObjectState::Found(object) => (Some(object.owner), around.object_account),
            ObjectState::Unseen | ObjectState::Missing => (None, None),
        };
        Self {
            is_inside: around.bucket_account.is_none() || owns(around.bucket_account),
            is_root: principal.is_root,
            is_owning_root: principal.is_root && owns(around.bucket_account),
            is_creator: request.bucket_owner == Some(&principal.user_id),
            is_bound: principal.policies.iter().any(IdentityPolicy::is_short),
            owns_object: object_owner == Some(&principal.user_id),
            account_owns_object: owns(object_account),
            object_is_foreign: match request.object {
                ObjectState::Unseen => !limits.owner_enforced,
                ObjectState::Missing => false,
                ObjectState::Found(_) => object_account != around.bucket_account,
            },
        }
    }
}

fn decide_anonymous(around: &Surroundings<'_>, verdict: BucketVerdict, granted: Option<(GrantRef, Meant)>) -> Decision {
    if let Some(Err(mistake)) = around.policy {
        return refuse(Reason::BrokenBucketPolicy(mistake.clone()));
    }
    match (verdict, granted) {
        (BucketVerdict::Denied(statement), _) => refuse(Reason::ExplicitDeny(statement)),
        (BucketVerdict::Allowed(statement), _) => allow(Reason::Allowed(statement)),
        (BucketVerdict::AllowedToAccount(_) | BucketVerdict::Silent, Some((grant, Meant::Directly))) => {
            allow(Reason::Granted(grant))
        }
        (BucketVerdict::AllowedToAccount(_) | BucketVerdict::Silent, _) => refuse(Reason::Anonymous),
    }
}

/// Nothing denies: looks for what allows. `bucket_side` is what policy or lists of bucket and object give, and how strongly.
fn decide_signed(
    checks: &str,
    caller: &Caller,
    identity: IdentityVerdict,
    bucket_side: Option<(Reason, Meant)>,
) -> Decision {
    let is_owners = is_object_owners(checks);
    // An object of another account is not the bucket owner's to read; who created the bucket under grants has every right.
    let is_at_home = caller.is_inside && !(is_owners && caller.object_is_foreign);
    if is_at_home && caller.is_root && !caller.is_bound {
        return allow(Reason::AccountRoot);
    }
    if caller.is_creator && caller.is_bound {
        return allow(Reason::BucketCreator);
    }
    // To give others access is the account's to decide: its root may, others by a policy. Who is bound by grants needs one, also
    // for what it owns.
    let gives_access = writes_object_acl(checks);
    let follows_from_owning = is_owners && !(caller.is_bound && gives_access);
    if caller.owns_object && follows_from_owning && (caller.is_root || !gives_access) {
        return allow(Reason::ObjectOwner);
    }
    let identity = match identity {
        IdentityVerdict::Granted(grant) => return allow(Reason::Allowed(grant)),
        IdentityVerdict::Allowed(statement) => Some(statement),
        IdentityVerdict::Denied(_) | IdentityVerdict::Broken(_) | IdentityVerdict::Silent => None,
    };
    if caller.is_inside {
        match (identity, bucket_side) {
            (Some(statement), _) if is_at_home => allow(Reason::Allowed(statement)),
            (_, Some((reason, Meant::Directly))) => allow(reason),
            _ if is_at_home => refuse(Reason::NoStatementAllows),
            (identity, bucket_side) => decide_across(caller, follows_from_owning, identity, bucket_side),
        }
    } else {
        decide_across(caller, follows_from_owning, identity, bucket_side)
    }
}

/// What belongs to another account takes both sides; a root needs the other's only.
fn decide_across(
    caller: &Caller,
    follows_from_owning: bool,
    identity: Option<StatementRef>,
    bucket_side: Option<(Reason, Meant)>,
) -> Decision {
    let by_ownership = || (caller.account_owns_object && follows_from_owning).then_some(Reason::ObjectOwner);
    let by_other = bucket_side.map(|(reason, _)| reason).or_else(by_ownership);
    match (by_other, identity) {
        (Some(reason), _) if caller.is_root => allow(reason),
        (Some(_), Some(statement)) => allow(Reason::Allowed(statement)),
        (Some(_), None) => refuse(Reason::NoIdentityPolicyAllows),
        (None, Some(_)) => refuse(Reason::NoBucketPolicyAllows),
        (None, None) => refuse(Reason::NoStatementAllows),
    }
}

/// Whether the bucket belongs in a listing of the buckets that the caller may see, for another reason than owning it.
pub(super) fn may_list(principal: &Principal, bucket: &BucketName, context: &RequestContext) -> bool {
    let effort = Effort::begin();
    let facts = Facts::new(Some(principal), "s3:ListBucket", context, None, &[]);
    let resource = format!("arn:aws:s3:::{bucket}");
    let asked = Asked::new("s3:ListBucket", &resource);
    let lists = |policies: &[IdentityPolicy]| {
        let grants =
            |policy: &IdentityPolicy| matches!(&*policy.form, Form::Short(grant) if grant.lists(bucket.as_str()));
        match IdentityVerdict::of(policies, None, asked, &facts, &mut ()) {
            IdentityVerdict::Denied(_) | IdentityVerdict::Broken(_) => false,
            IdentityVerdict::Granted(_) | IdentityVerdict::Allowed(_) => true,
            IdentityVerdict::Silent => policies.iter().any(grants),
        }
    };
    let bounds = session_policies(principal);
    lists(&principal.policies) && (bounds.is_empty() || lists(bounds)) && !effort.is_spent()
}

fn is_policy_repair(action: &str) -> bool {
    matches!(action, "s3:GetBucketPolicy" | "s3:PutBucketPolicy" | "s3:DeleteBucketPolicy")
}

fn resource_arn(request: &AccessRequest<'_>) -> String {
    match (request.bucket, request.key, request.resource) {
        (Some(bucket), Some(key), _) => ["arn:aws:s3:::", bucket.as_str(), "/", key].concat(),
        (Some(bucket), None, _) => ["arn:aws:s3:::", bucket.as_str()].concat(),
        (None, _, Some(resource)) => resource.to_owned(),
        (None, _, None) if request.action.starts_with("s3:") => "arn:aws:s3:::*".to_owned(),
        (None, _, None) => "*".to_owned(),
    }
}
