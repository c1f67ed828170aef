//! Who owns a new object or bucket, and who may do what with it: read from the headers of the request that makes it.
//!
//! Shared by PutObject, CopyObject, CreateMultipartUpload and the form upload, so that the same headers mean the same whichever
//! way an object comes.

use actix_web::http::header::HeaderMap;
use myfsio_actors::bucket_config::{Acl, BucketConfig, ObjectOwnership};
use myfsio_actors::names::{CanonicalId, ObjectKey};
use myfsio_actors::storage::{Bucket, Controls};

use super::acl::{AskedAcl, Canned, Subject, resolve_grants};
use super::authorize::list_of_new_object;
use super::context::Call;
use super::error::{ErrorCode, S3Error};
use super::handlers::object_lock::{asked_lock, authorize_lock};
use super::headers::text;
use super::replica::{Received, may_replicate};
use super::xml::access::ownership;
use crate::node::Node;

/// Owner and controls of a new object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewObject {
    /// Its owner.
    pub owner: CanonicalId,
    /// Who may do what with it.
    pub controls: Controls,
}

impl NewObject {
    /// Reads the headers of a write into `bucket` by `writer` (S3 User Guide, "Controlling ownership of objects"). Errs: those of
    /// the access control list, AccessControlListNotSupported, and AccessDenied for a public list in a bucket that blocks them.
    /// Of a replica, the retention may be over.
    pub fn of(
        node: &Node,
        writer: CanonicalId,
        headers: &HeaderMap,
        bucket: &Bucket,
        is_replica: bool,
    ) -> Result<Self, S3Error> {
        let lock = asked_lock(headers, bucket, Some(node.clock.now()).filter(|_| !is_replica))?;
        let asked = AskedAcl::of(headers)?;
        let ownership = ownership_of(bucket);
        let gives_to_bucket_owner = asked == AskedAcl::Canned(Canned::BucketOwnerFullControl);
        if ownership == ObjectOwnership::BucketOwnerEnforced {
            if asked != AskedAcl::Default {
                refuse_acl(node, asked, bucket)?;
            }
            return Ok(Self { owner: bucket.owner.clone(), controls: lock });
        }
        let owner = match ownership {
            ObjectOwnership::BucketOwnerPreferred if gives_to_bucket_owner => bucket.owner.clone(),
            _ => writer,
        };
        let subject = Subject::Object { owner: &owner, bucket_owner: &bucket.owner };
        let acl = asked.resolve(subject, &node.access.iam.directory())?;
        refuse_public(bucket, &acl)?;
        let acl = kept(acl, &owner);
        Ok(Self { owner, controls: Controls { acl, ..lock } })
    }

    /// The same for the caller, with the permissions that an access control list for others and a lock take; of a replica, its lock was
    /// permitted where it was written. Errs: also AccessDenied.
    pub fn of_call(
        call: &Call,
        bucket: &Bucket,
        key: &ObjectKey,
        received: Option<&Received>,
    ) -> Result<Self, S3Error> {
        let new = Self::of(&call.node, call.owner_id(), &call.headers, bucket, received.is_some())?;
        if new.controls.acl.as_ref().is_some_and(|acl| acl.shares_beyond(&[&new.owner, &bucket.owner])) {
            list_of_new_object(call, bucket, key.as_str(), &new.owner)?;
        }
        if !may_replicate(received) {
            authorize_lock(call, bucket, key.as_str(), &new.controls)?;
        }
        Ok(new)
    }
}

/// Who owns new objects of a bucket.
pub fn ownership_of(bucket: &Bucket) -> ObjectOwnership {
    bucket.config.ownership.unwrap_or(ObjectOwnership::ObjectWriter)
}

/// A list as it is kept: none for one that only says what holds without it.
pub fn kept(acl: Acl, owner: &CanonicalId) -> Option<Acl> {
    (acl != Acl::of_owner(owner)).then_some(acl)
}

/// Refuses a list where lists do not count, unless it gives the bucket's owner full control and nothing else. Errs:
/// AccessControlListNotSupported.
pub fn refuse_acl(node: &Node, asked: AskedAcl, bucket: &Bucket) -> Result<(), S3Error> {
    let says_what_holds = match asked {
        AskedAcl::Canned(canned) => canned == Canned::BucketOwnerFullControl,
        AskedAcl::Grants(grants) => {
            resolve_grants(grants, &node.access.iam.directory())? == Acl::of_owner(&bucket.owner)
        }
        AskedAcl::Default => false,
    };
    match says_what_holds {
        true => Ok(()),
        false => Err(ErrorCode::AccessControlListNotSupported.into()),
    }
}

/// Refuses a public list in a bucket that blocks them. Errs: AccessDenied.
pub fn refuse_public(bucket: &Bucket, acl: &Acl) -> Result<(), S3Error> {
    match acl.is_public() && bucket.config.public_access_block.is_some_and(|block| block.block_public_acls) {
        true => {
            let cause = "the public access block of the bucket refuses public ACLs (BlockPublicAcls)";
            Err(S3Error::new(ErrorCode::AccessDenied).because(cause).by_rule("public_access_block"))
        }
        false => Ok(()),
    }
}

/// What the headers of CreateBucket configure of it. Errs: those of the access control list, InvalidArgument for an unknown
/// ownership, InvalidBucketAclWithObjectOwnership.
pub fn of_new_bucket(node: &Node, owner: &CanonicalId, headers: &HeaderMap) -> Result<BucketConfig, S3Error> {
    let ownership = match text(headers, "x-amz-object-ownership") {
        None => None,
        Some(name) => Some(ownership(&name).ok_or_else(|| {
            let message = format!("Invalid x-amz-object-ownership header: {name}");
            S3Error::invalid_argument("x-amz-object-ownership", &name, message)
        })?),
    };
    let acl = AskedAcl::of(headers)?.resolve(Subject::Bucket { owner }, &node.access.iam.directory())?;
    let acl = kept(acl, owner);
    if ownership == Some(ObjectOwnership::BucketOwnerEnforced) && acl.is_some() {
        return Err(ErrorCode::InvalidBucketAclWithObjectOwnership.into());
    }
    Ok(BucketConfig { acl, ownership, ..BucketConfig::default() })
}
