//! What access control lists give (S3 User Guide, "Access control list overview", mapping of ACL permissions to actions).
//!
//! A grant stands beside the bucket's policy: it lets in, it never refuses. A grant to the resource's own owner adds nothing,
//! since what an owner may follows from owning.

use super::principal::Meant;
use crate::bucket_config::{Acl, Grant, Grantee, Permission};
use crate::iam::Principal;
use crate::names::CanonicalId;

/// Whose list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AclOf {
    /// The bucket's.
    Bucket,
    /// The object's.
    Object,
}

/// A grant of an access control list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRef {
    /// The list.
    pub of: AclOf,
    /// Place in the list, counted from 0.
    pub index: usize,
    /// The grant.
    pub grant: Grant,
}

/// The list that may give an action, and the permission in it that does.
pub(super) fn right_of(action: &str) -> Option<(AclOf, Permission)> {
    Some(match action {
        "s3:ListBucket" | "s3:ListBucketVersions" | "s3:ListBucketMultipartUploads" => {
            (AclOf::Bucket, Permission::Read)
        }
        // S3 lets whoever began an upload see and end it; its id is known to nobody else, but to those who may list uploads.
        // Who may overwrite an object may tag it, as in Ceph: else an upload with tags would be refused.
        "s3:PutObject"
        | "s3:DeleteObject"
        | "s3:AbortMultipartUpload"
        | "s3:ListMultipartUploadParts"
        | "s3:PutObjectTagging" => (AclOf::Bucket, Permission::Write),
        "s3:GetBucketAcl" => (AclOf::Bucket, Permission::ReadAcp),
        "s3:PutBucketAcl" => (AclOf::Bucket, Permission::WriteAcp),
        "s3:GetObject" | "s3:GetObjectVersion" | "s3:GetObjectTorrent" | "s3:GetObjectVersionTorrent" => {
            (AclOf::Object, Permission::Read)
        }
        "s3:GetObjectAcl" | "s3:GetObjectVersionAcl" => (AclOf::Object, Permission::ReadAcp),
        "s3:PutObjectAcl" | "s3:PutObjectVersionAcl" => (AclOf::Object, Permission::WriteAcp),
        _ => return None,
    })
}

/// Whether an action is about what the object's owner owns: reading it, and reading and writing its list. Everything else is
/// decided at the bucket.
pub(super) fn is_object_owners(action: &str) -> bool {
    let attributes = matches!(action, "s3:GetObjectAttributes" | "s3:GetObjectVersionAttributes");
    attributes || right_of(action).is_some_and(|(of, _)| of == AclOf::Object)
}

/// Whether an action writes an object's list.
pub(super) fn writes_object_acl(action: &str) -> bool {
    right_of(action) == Some((AclOf::Object, Permission::WriteAcp))
}

/// Whom the grants of a list are compared with.
#[derive(Clone, Copy)]
pub(super) struct Grantees<'a> {
    /// None is the anonymous caller.
    pub caller: Option<&'a Principal>,
    /// Owner of what the list is about.
    pub owner: Option<&'a CanonicalId>,
    /// Grants to everybody do not count.
    pub ignores_public: bool,
    /// The account of a user.
    pub account_of: &'a dyn Fn(&CanonicalId) -> String,
}

impl Grantees<'_> {
    /// The grant that gives the caller `permission` most strongly, and how strongly.
    pub fn strongest(&self, acl: &Acl, permission: Permission) -> Option<(usize, Meant)> {
        let mut found: Option<(usize, Meant)> = None;
        for (index, grant) in acl.grants.iter().enumerate().filter(|(_, grant)| grant.permission.includes(permission)) {
            let meant = self.means(&grant.grantee);
            if meant > found.map_or(Meant::Not, |(_, strongest)| strongest) {
                found = Some((index, meant));
            }
        }
        found
    }

    fn means(&self, grantee: &Grantee) -> Meant {
        let directly = |yes| if yes { Meant::Directly } else { Meant::Not };
        match (grantee, self.caller) {
            (Grantee::AllUsers, _) => directly(!self.ignores_public),
            (Grantee::AuthenticatedUsers, caller) => directly(caller.is_some() && !self.ignores_public),
            (Grantee::LogDelivery, _) | (Grantee::User(_), None) => Meant::Not,
            (Grantee::User(id), _) if self.owner == Some(id) => Meant::Not,
            (Grantee::User(id), Some(caller)) if *id == caller.user_id => Meant::Directly,
            // To S3 a canonical id is an account: its root has the right, and may give it on to its users.
            (Grantee::User(id), Some(caller)) if (self.account_of)(id) == caller.account_id => {
                if caller.is_root {
                    Meant::Directly
                } else {
                    Meant::ByAccount
                }
            }
            (Grantee::User(_), Some(_)) => Meant::Not,
        }
    }
}
