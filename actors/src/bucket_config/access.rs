//! Access control lists, ownership of objects, and the public access block.

use serde::{Deserialize, Serialize};

use crate::names::CanonicalId;

/// An access control list (S3 User Guide, "Access control list overview"). The owner stands beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Acl {
    /// At most 100 grants, in the order given.
    pub grants: Vec<Grant>,
}

impl Acl {
    /// Full control for the owner, and nothing for anybody else: what an absent list means.
    pub fn of_owner(owner: &CanonicalId) -> Self {
        Self { grants: vec![Grant { grantee: Grantee::User(owner.clone()), permission: Permission::FullControl }] }
    }

    /// Whether it gives anything to everybody, or to everybody with credentials (S3 User Guide, "The meaning of 'public'").
    pub fn is_public(&self) -> bool {
        self.grants.iter().any(|grant| grant.grantee.is_public())
    }

    /// Whether it gives anything to somebody else than these.
    pub fn shares_beyond(&self, known: &[&CanonicalId]) -> bool {
        self.grants.iter().any(|grant| match &grant.grantee {
            Grantee::User(id) => !known.contains(&id),
            Grantee::AllUsers | Grantee::AuthenticatedUsers | Grantee::LogDelivery => true,
        })
    }
}

/// One grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// To whom.
    pub grantee: Grantee,
    /// What.
    pub permission: Permission,
}

/// To whom a grant gives something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grantee {
    /// A user.
    User(CanonicalId),
    /// Everybody, without credentials too.
    AllUsers,
    /// Everybody with credentials.
    AuthenticatedUsers,
    /// The node's own delivery of access logs.
    LogDelivery,
}

impl Grantee {
    /// Whether that is everybody, or everybody with credentials.
    pub fn is_public(&self) -> bool {
        matches!(self, Self::AllUsers | Self::AuthenticatedUsers)
    }
}

/// What a grant gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Permission {
    /// All of the others.
    FullControl,
    /// Listing a bucket, reading an object.
    Read,
    /// Writing and deleting a bucket's objects.
    Write,
    /// Reading the ACL.
    ReadAcp,
    /// Writing the ACL.
    WriteAcp,
}

impl Permission {
    /// Whether it includes `asked`.
    pub fn includes(self, asked: Self) -> bool {
        self == Self::FullControl || self == asked
    }
}

/// Who owns new objects (S3 User Guide, "Controlling ownership of objects").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectOwnership {
    /// The bucket's owner; ACLs do not count.
    BucketOwnerEnforced,
    /// The bucket's owner, if the writer gives it full control.
    BucketOwnerPreferred,
    /// The writer.
    ObjectWriter,
}

/// What public access is refused (S3 User Guide, "Blocking public access").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PublicAccessBlock {
    /// Refuses requests that would set a public ACL.
    pub block_public_acls: bool,
    /// Public grants of ACLs do not count.
    pub ignore_public_acls: bool,
    /// Refuses public bucket policies.
    pub block_public_policy: bool,
    /// A public bucket policy lets in only users of the owner's account.
    pub restrict_public_buckets: bool,
}
