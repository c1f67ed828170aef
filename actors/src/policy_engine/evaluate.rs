//! The decision: what identity policies, bucket policy and ownership say together. Pure: no I/O, clock or async.
//!
//! In this order: an explicit deny refuses (only the root of the owning account always reaches its own bucket policy, so
//! that it can repair it); ownership, a short-form grant, or, inside one account, either kind of policy permits; across
//! accounts it takes the identity policy and the bucket's side together (IAM User Guide, "Policy evaluation logic").

use super::actions::{Capability, find_action};
use super::context::{Facts, RequestContext};
use super::document::{Asked, Document, Verdict};
use super::error::InvalidPolicy;
use super::grant::Wish;
use super::identity::{Form, IdentityPolicy};
use crate::iam::Principal;
use crate::names::{BucketName, CanonicalId};

/// What is asked for, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct AccessRequest<'a> {
    /// The caller; `None` is the anonymous one.
    pub principal: Option<&'a Principal>,
    /// Name with service, such as `s3:GetObject`; aliases such as `s3:HeadBucket` count as what they check.
    pub action: &'a str,
    /// The bucket; `None` for what concerns the node.
    pub bucket: Option<&'a BucketName>,
    /// Owner of the bucket; `None` while it does not exist.
    pub bucket_owner: Option<&'a CanonicalId>,
    /// The decoded key.
    pub key: Option<&'a str>,
    /// Owner of the object, where it exists and the caller's right may follow from owning it.
    pub object_owner: Option<&'a CanonicalId>,
    /// What conditions may ask for.
    pub context: &'a RequestContext,
}

/// Whether the caller may, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether the caller may.
    pub allowed: bool,
    /// Why.
    pub reason: Reason,
}

/// Which policy decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The policy at this place in the caller's `policies`, counted from 0.
    Identity {
        /// Place in `policies`.
        index: usize,
        /// `PolicyName`, if it has one.
        name: Option<Box<str>>,
    },
    /// The bucket's policy.
    Bucket,
}

/// A statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementRef {
    /// The policy.
    pub source: Source,
    /// Place in `Statement`, counted from 0; `None` in the short form, which has no statements.
    pub index: Option<usize>,
    /// `Sid`, if it has one.
    pub sid: Option<Box<str>>,
}

/// Why a decision is as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A statement denies.
    ExplicitDeny(StatementRef),
    /// A statement or grant allows; across accounts, the identity policy's beside the bucket's.
    Allowed(StatementRef),
    /// The caller is the root of the account that owns the bucket, or the node lets its account create one.
    AccountRoot,
    /// The caller created the bucket.
    BucketCreator,
    /// The caller, or its account, owns the object.
    ObjectOwner,
    /// The root may always reach its own bucket's policy.
    PolicyRepair,
    /// Every signed caller may list its buckets.
    OwnBuckets,
    /// No credentials, and the bucket policy does not let everybody in.
    Anonymous,
    /// Nothing allows it.
    NoStatementAllows,
    /// Another account's bucket: its policy allows, but none of the caller's own does.
    NoIdentityPolicyAllows,
    /// Another account's bucket: the caller's policy allows, but the bucket's does not.
    NoBucketPolicyAllows,
    /// Only administrators may (`iam:*` or `iam:list_users`).
    AdministratorsOnly,
    /// The bucket's policy has a mistake and refuses everybody but owner and administrators.
    BrokenBucketPolicy(InvalidPolicy),
    /// No such action.
    UnknownAction,
}

/// What the engine knows beside the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub policy: Option<Result<&'a Document, &'a InvalidPolicy>>,
    /// Account that owns the bucket.
    pub bucket_account: Option<&'a str>,
    /// Account that owns the object.
    pub object_account: Option<&'a str>,
}

fn allow(reason: Reason) -> Decision {
    Decision { allowed: true, reason }
}

fn refuse(reason: Reason) -> Decision {
    Decision { allowed: false, reason }
}

/// Decides a request.
pub(super) fn decide(request: &AccessRequest<'_>, around: &Surroundings<'_>) -> Decision {
    let Some(row) = find_action(request.action) else {
        return refuse(Reason::UnknownAction);
    };
    let resource = resource_arn(request);
    let asked = Asked { action: row.checks, resource: &resource };
    let facts =
        Facts { principal: request.principal, context: request.context, resource_account: around.bucket_account };
    let bucket_verdict = match around.policy {
        Some(Ok(document)) => BucketVerdict::of(document, asked, &facts),
        _ => BucketVerdict::Silent,
    };
    let Some(principal) = request.principal else {
        return decide_anonymous(around, bucket_verdict);
    };
    let wish = Wish {
        capability: row.capability,
        action: row.name,
        bucket: request.bucket.map(BucketName::as_str),
        key: request.key,
        listed_prefix: request.context.get("s3:prefix"),
    };
    let identity = IdentityVerdict::of(principal, wish, asked, &facts);
    let caller = Caller::of(principal, request, around);
    if let IdentityVerdict::Denied(statement) = identity {
        return refuse(Reason::ExplicitDeny(statement));
    }
    if caller.is_owning_root && is_policy_repair(row.checks) {
        return allow(Reason::PolicyRepair);
    }
    if let BucketVerdict::Denied(statement) = bucket_verdict {
        return refuse(Reason::ExplicitDeny(statement));
    }
    if let Some(Err(mistake)) = around.policy
        && !(caller.is_owning_root || caller.is_creator || is_administrator(principal, &facts))
    {
        return refuse(Reason::BrokenBucketPolicy(mistake.clone()));
    }
    if row.capability == Capability::Quota {
        return match is_administrator(principal, &facts) {
            true => allow(Reason::AccountRoot),
            false => refuse(Reason::AdministratorsOnly),
        };
    }
    if row.checks == "s3:ListAllMyBuckets" {
        return allow(Reason::OwnBuckets);
    }
    decide_signed(row.checks, &caller, identity, bucket_verdict)
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
}

impl Caller {
    fn of(principal: &Principal, request: &AccessRequest<'_>, around: &Surroundings<'_>) -> Self {
        let owns = |account: Option<&str>| account == Some(principal.account_id.as_str());
        Self {
            is_inside: request.bucket_owner.is_none() || owns(around.bucket_account),
            is_root: principal.is_root,
            is_owning_root: principal.is_root && owns(around.bucket_account),
            is_creator: request.bucket_owner == Some(&principal.user_id),
            is_bound: principal.policies.iter().any(IdentityPolicy::is_short),
            owns_object: request.object_owner == Some(&principal.user_id),
            account_owns_object: owns(around.object_account),
        }
    }
}

fn decide_anonymous(around: &Surroundings<'_>, verdict: BucketVerdict) -> Decision {
    if let Some(Err(mistake)) = around.policy {
        return refuse(Reason::BrokenBucketPolicy(mistake.clone()));
    }
    match verdict {
        BucketVerdict::Denied(statement) => refuse(Reason::ExplicitDeny(statement)),
        BucketVerdict::Allowed(statement) => allow(Reason::Allowed(statement)),
        BucketVerdict::AllowedToAccount(_) | BucketVerdict::Silent => refuse(Reason::Anonymous),
    }
}

/// Nothing denies: looks for what allows.
fn decide_signed(checks: &str, caller: &Caller, identity: IdentityVerdict, bucket: BucketVerdict) -> Decision {
    let reads_own_object = is_object_owners(checks);
    if caller.is_inside && caller.is_root && !caller.is_bound {
        return allow(Reason::AccountRoot);
    }
    if caller.is_creator && (caller.is_bound || caller.is_root) {
        return allow(Reason::BucketCreator);
    }
    if caller.owns_object && reads_own_object {
        return allow(Reason::ObjectOwner);
    }
    let identity = match identity {
        IdentityVerdict::Granted(grant) => return allow(Reason::Allowed(grant)),
        IdentityVerdict::Allowed(statement) => Some(statement),
        IdentityVerdict::Denied(_) | IdentityVerdict::Silent => None,
    };
    if caller.is_inside {
        return match (identity, bucket) {
            (Some(statement), _) | (None, BucketVerdict::Allowed(statement)) => allow(Reason::Allowed(statement)),
            _ => refuse(Reason::NoStatementAllows),
        };
    }
    let by_bucket = match bucket {
        BucketVerdict::Allowed(statement) | BucketVerdict::AllowedToAccount(statement) => {
            Some(Reason::Allowed(statement))
        }
        _ => (caller.account_owns_object && reads_own_object).then_some(Reason::ObjectOwner),
    };
    match (by_bucket, identity) {
        (Some(reason), _) if caller.is_root => allow(reason),
        (Some(_), Some(statement)) => allow(Reason::Allowed(statement)),
        (Some(_), None) => refuse(Reason::NoIdentityPolicyAllows),
        (None, Some(_)) => refuse(Reason::NoBucketPolicyAllows),
        (None, None) => refuse(Reason::NoStatementAllows),
    }
}

/// Whether the bucket belongs in a listing of the buckets that the caller may see, for another reason than owning it.
pub(super) fn may_list(principal: &Principal, bucket: &BucketName) -> bool {
    let context = RequestContext::default();
    let facts = Facts { principal: Some(principal), context: &context, resource_account: None };
    let resource = format!("arn:aws:s3:::{bucket}");
    let asked = Asked { action: "s3:ListBucket", resource: &resource };
    let mut lists = false;
    for policy in principal.policies.iter() {
        match &policy.form {
            Form::Short(grant) => lists |= grant.lists(bucket.as_str()),
            Form::Document(document) => match document.verdict(asked, &facts) {
                Verdict::Denied(_) => return false,
                Verdict::Allowed(_) | Verdict::AllowedToAccount(_) => lists = true,
                Verdict::Silent => {}
            },
        }
    }
    lists
}

/// Whether the caller holds `iam:*` or `iam:list_users`, and so may change quotas and see everybody's settings.
pub(super) fn is_administrator(principal: &Principal, facts: &Facts<'_>) -> bool {
    let wish = Wish {
        capability: Capability::IamListUsers,
        action: "iam:ListUsers",
        bucket: None,
        key: None,
        listed_prefix: None,
    };
    let asked = Asked { action: "iam:ListUsers", resource: "*" };
    matches!(
        IdentityVerdict::of(principal, wish, asked, facts),
        IdentityVerdict::Granted(_) | IdentityVerdict::Allowed(_)
    )
}

fn is_policy_repair(action: &str) -> bool {
    matches!(action, "s3:GetBucketPolicy" | "s3:PutBucketPolicy" | "s3:DeleteBucketPolicy")
}

/// What owning an object gives: reading it and its ACL, and writing the ACL.
fn is_object_owners(action: &str) -> bool {
    matches!(
        action,
        "s3:GetObject"
            | "s3:GetObjectVersion"
            | "s3:GetObjectAttributes"
            | "s3:GetObjectVersionAttributes"
            | "s3:GetObjectAcl"
            | "s3:GetObjectVersionAcl"
            | "s3:PutObjectAcl"
            | "s3:PutObjectVersionAcl"
    )
}

fn resource_arn(request: &AccessRequest<'_>) -> String {
    match (request.bucket, request.key) {
        (Some(bucket), Some(key)) => format!("arn:aws:s3:::{bucket}/{key}"),
        (Some(bucket), None) => format!("arn:aws:s3:::{bucket}"),
        (None, _) if request.action.starts_with("s3:") => "arn:aws:s3:::*".to_owned(),
        (None, _) => "*".to_owned(),
    }
}

/// What the bucket's policy says.
#[derive(Debug)]
enum BucketVerdict {
    Denied(StatementRef),
    Allowed(StatementRef),
    AllowedToAccount(StatementRef),
    Silent,
}

impl BucketVerdict {
    fn of(document: &Document, asked: Asked<'_>, facts: &Facts<'_>) -> Self {
        let named = |index| statement_ref(document, index, Source::Bucket);
        match document.verdict(asked, facts) {
            Verdict::Denied(index) => Self::Denied(named(index)),
            Verdict::Allowed(index) => Self::Allowed(named(index)),
            Verdict::AllowedToAccount(index) => Self::AllowedToAccount(named(index)),
            Verdict::Silent => Self::Silent,
        }
    }
}

/// What the caller's own policies say together.
#[derive(Debug)]
enum IdentityVerdict {
    Denied(StatementRef),
    /// By a short-form grant, which suffices everywhere.
    Granted(StatementRef),
    /// By a document, which suffices in its own account.
    Allowed(StatementRef),
    Silent,
}

impl IdentityVerdict {
    fn of(principal: &Principal, wish: Wish<'_>, asked: Asked<'_>, facts: &Facts<'_>) -> Self {
        let mut verdict = Self::Silent;
        for (index, policy) in principal.policies.iter().enumerate() {
            let source = || Source::Identity { index, name: policy.name.clone() };
            match &policy.form {
                Form::Short(grant) => {
                    if !matches!(verdict, Self::Granted(_)) && grant.gives(wish) {
                        verdict = Self::Granted(StatementRef { source: source(), index: None, sid: None });
                    }
                }
                Form::Document(document) => match document.verdict(asked, facts) {
                    Verdict::Denied(at) => return Self::Denied(statement_ref(document, at, source())),
                    Verdict::Allowed(at) | Verdict::AllowedToAccount(at) => {
                        if matches!(verdict, Self::Silent) {
                            verdict = Self::Allowed(statement_ref(document, at, source()));
                        }
                    }
                    Verdict::Silent => {}
                },
            }
        }
        verdict
    }
}

fn statement_ref(document: &Document, index: usize, source: Source) -> StatementRef {
    let sid = document.statements.get(index).and_then(|statement| statement.sid.clone());
    StatementRef { source, index: Some(index), sid }
}
