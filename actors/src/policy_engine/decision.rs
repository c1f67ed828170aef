//! What is answered: whether the caller may, and why.

use super::acl::GrantRef;
use super::error::InvalidPolicy;
use super::identity::PolicyHome;

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
    /// A policy that the caller holds.
    Identity {
        /// Where from.
        home: PolicyHome,
        /// `PolicyName`, if it has one.
        name: Option<Box<str>>,
    },
    /// The bucket's policy.
    Bucket,
    /// The trust policy of a role.
    Trust,
    /// The policy of a KMS key.
    Key,
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
    /// A grant of an access control list allows; across accounts, beside an identity policy.
    Granted(GrantRef),
    /// Owner, root and the node's administrators may always reach a bucket's policy.
    PolicyRepair,
    /// Every signed caller may list its buckets.
    OwnBuckets,
    /// No credentials, and the bucket policy does not let everybody in.
    Anonymous,
    /// The object must be looked at first: its owner, access control list or tags decide.
    DependsOnObject,
    /// Nothing allows it.
    NoStatementAllows,
    /// The caller's temporary credentials are bounded by policies that do not allow it.
    NoSessionPolicyAllows,
    /// The role's trust policy does not let the caller assume it.
    NoTrust,
    /// Another account's bucket or object: its policy or a grant allows, but none of the caller's own policies does.
    NoIdentityPolicyAllows,
    /// Another account's bucket or object: the caller's policy allows, but neither the bucket's nor a grant does.
    NoBucketPolicyAllows,
    /// Only administrators may (`iam:*` or `iam:list_users`).
    AdministratorsOnly,
    /// The caller administers the node, and so its keys.
    Administrator,
    /// The key's policy neither allows it to the caller nor leaves it to the caller's account.
    NoKeyPolicyAllows,
    /// The key's policy has a mistake and refuses everybody but administrators.
    BrokenKeyPolicy(InvalidPolicy),
    /// The bucket's policy has a mistake and refuses everybody but owner and administrators.
    BrokenBucketPolicy(InvalidPolicy),
    /// One of the caller's own policies has a mistake, and so the caller may do nothing.
    BrokenIdentityPolicy(InvalidPolicy),
    /// The patterns of the policies take too long for what the request says.
    TooMuchWork,
    /// No such action.
    UnknownAction,
}

impl Reason {
    /// Whether a grant of the short form allows, which counts in every account.
    pub fn is_grant(&self) -> bool {
        matches!(self, Self::Allowed(statement) if statement.index.is_none())
    }
}

pub(super) fn allow(reason: Reason) -> Decision {
    Decision { allowed: true, reason }
}

pub(super) fn refuse(reason: Reason) -> Decision {
    Decision { allowed: false, reason }
}
