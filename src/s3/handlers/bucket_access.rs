//! What limits the access control lists and policy of a bucket: ownership controls, public access block, and whether it is
//! public.

use actix_web::http::StatusCode;
use myfsio_actors::bucket_config::{ConfigChange, ObjectOwnership};

use super::bucket_config::configure;
use crate::s3::context::Call;
use crate::s3::controls::kept;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::respond::{Answer, empty, xml};
use crate::s3::xml::access::{
    ACCESS_BYTES_MAX, ownership_controls, public_access_block, write_ownership_controls, write_policy_status,
    write_public_access_block,
};

/// S3 API Reference, GetBucketOwnershipControls. Errs: OwnershipControlsNotFoundError while none were put.
pub fn get_bucket_ownership_controls(call: &Call) -> Answer {
    let setting = call.bucket()?.config.ownership;
    let setting = setting.ok_or_else(|| unset(call, ErrorCode::OwnershipControlsNotFoundError))?;
    Ok(xml(StatusCode::OK, write_ownership_controls(setting)))
}

/// S3 API Reference, PutBucketOwnershipControls. Errs: MalformedXML; InvalidBucketAclWithObjectOwnership when lists would no
/// longer count and the bucket's gives others something.
pub async fn put_bucket_ownership_controls(mut call: Call) -> Answer {
    let setting = ownership_controls(&document(&mut call).await?)?;
    let bucket = call.bucket()?;
    let acl = bucket.config.acl.clone().and_then(|acl| kept(acl, &bucket.owner));
    let shares = acl.is_some_and(|acl| acl.shares_beyond(&[&bucket.owner]));
    if setting == ObjectOwnership::BucketOwnerEnforced && shares {
        return Err(ErrorCode::InvalidBucketAclWithObjectOwnership.into());
    }
    configure(&call, ConfigChange::Ownership(Some(setting))).await?;
    Ok(empty(StatusCode::OK))
}

/// S3 API Reference, DeleteBucketOwnershipControls; deleting none is no error.
pub async fn delete_bucket_ownership_controls(call: Call) -> Answer {
    configure(&call, ConfigChange::Ownership(None)).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// S3 API Reference, GetPublicAccessBlock. Errs: NoSuchPublicAccessBlockConfiguration while none was put.
pub fn get_public_access_block(call: &Call) -> Answer {
    let block = call.bucket()?.config.public_access_block;
    let block = block.ok_or_else(|| unset(call, ErrorCode::NoSuchPublicAccessBlockConfiguration))?;
    Ok(xml(StatusCode::OK, write_public_access_block(&block)))
}

/// S3 API Reference, PutPublicAccessBlock. Errs: MalformedXML, InvalidRequest for a document without any setting.
pub async fn put_public_access_block(mut call: Call) -> Answer {
    let block = public_access_block(&document(&mut call).await?)?
        .ok_or_else(|| S3Error::with_message(ErrorCode::InvalidRequest, "Must specify at least one configuration."))?;
    configure(&call, ConfigChange::PublicAccessBlock(Some(block))).await?;
    Ok(empty(StatusCode::OK))
}

/// S3 API Reference, DeletePublicAccessBlock; deleting none is no error.
pub async fn delete_public_access_block(call: Call) -> Answer {
    configure(&call, ConfigChange::PublicAccessBlock(None)).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// S3 API Reference, GetBucketPolicyStatus: whether policy or access control list make the bucket public. A bucket without
/// policy is answered too, as the public test suite expects.
pub fn get_bucket_policy_status(call: &Call) -> Answer {
    let bucket = call.bucket()?;
    let config = &bucket.config;
    let ignores_lists = config.public_access_block.is_some_and(|block| block.ignore_public_acls)
        || config.ownership == Some(ObjectOwnership::BucketOwnerEnforced);
    let by_list = !ignores_lists && config.acl.as_ref().is_some_and(|acl| acl.is_public());
    let by_policy = call.node.access.policy_engine.is_public(&bucket.name);
    Ok(xml(StatusCode::OK, write_policy_status(by_list || by_policy)))
}

async fn document(call: &mut Call) -> Result<Vec<u8>, S3Error> {
    let document = call.body.collect(ACCESS_BYTES_MAX).await?;
    if document.is_empty() {
        return Err(ErrorCode::MissingRequestBodyError.into());
    }
    Ok(document.to_vec())
}

fn unset(call: &Call, code: ErrorCode) -> S3Error {
    let name = call.bucket_name.as_ref().map(|name| name.as_str()).unwrap_or_default();
    S3Error::new(code).field("BucketName", name)
}
