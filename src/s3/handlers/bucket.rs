//! Buckets: create, look, delete, and what is told of configurations that nobody can set yet.

use std::sync::Arc;

use actix_web::http::StatusCode;
use myfsio_actors::bucket_config::{ObjectLock, Tag};
use myfsio_actors::storage::{BucketChange, CreateBucket, StorageError};

use crate::s3::authorize::{creation, on_new_bucket, tags_of_new_bucket};
use crate::s3::context::Call;
use crate::s3::controls::of_new_bucket;
use crate::s3::encryption::asked::refuse_all;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::handlers::bucket_policy::drop_policy;
use crate::s3::headers::{check_bucket_tags, refuse_unbuilt, text};
use crate::s3::respond::{Answer, empty, set_header, xml};
use crate::s3::xml::requests::{CREATE_BUCKET_BYTES_MAX, CreateBucketConfiguration, create_bucket_configuration};
use crate::s3::xml::versioning::{versioning_configuration, write_versioning};

/// The region whose buckets have an empty location constraint, and where creating one's own bucket again succeeds.
const CLASSIC_REGION: &str = "us-east-1";

/// Largest VersioningConfiguration in bytes.
const VERSIONING_BYTES_MAX: usize = 16 * 1024;

/// S3 API Reference, CreateBucket. The permission may depend on the region and the tags, so it is asked for once they are known.
pub async fn create_bucket(mut call: Call) -> Answer {
    let name = call.bucket_name.clone().ok_or(ErrorCode::InvalidBucketName)?;
    name.check_new().map_err(|broken| S3Error::new(ErrorCode::InvalidBucketName).because(broken))?;
    let document = call.body.collect(CREATE_BUCKET_BYTES_MAX).await?;
    let asked = match document.is_empty() {
        true => Ok(CreateBucketConfiguration::default()),
        false => create_bucket_configuration(&document),
    };
    // The spine asks for no permission here, so it has not taken in edited policies either.
    call.node.access.refresh().await;
    let (region, tags) =
        asked.as_ref().map_or((None, &[][..]), |asked| (asked.location_constraint.as_deref(), &asked.tags));
    creation(&call, &name, region, tags)?;
    refuse_unbuilt(&call.headers)?;
    refuse_all(&call.headers)?;
    let CreateBucketConfiguration { location_constraint, tags } = asked?;
    check_location(location_constraint.as_deref(), &call.node.settings.region)?;
    let owner = call.owner_id();
    let mut config = of_new_bucket(&call.node, &owner, &call.headers)?;
    if !tags.is_empty() {
        tags_of_new_bucket(&call, &name, &owner, &tags)?;
        check_bucket_tags(&tags)?;
        config.tags = Some(tags.clone());
    }
    config.object_lock = asked_object_lock(&call)?;
    if config.object_lock.is_some() {
        on_new_bucket(&call, "s3:PutBucketObjectLockConfiguration", &name, &owner)?;
        on_new_bucket(&call, "s3:PutBucketVersioning", &name, &owner)?;
    }
    let (acl, ownership, locks) = (config.acl.clone(), config.ownership, config.object_lock.is_some());
    if acl.as_ref().is_some_and(|acl| acl.shares_beyond(&[&owner])) {
        on_new_bucket(&call, "s3:PutBucketAcl", &name, &owner)?;
    }
    if config.ownership.is_some() {
        on_new_bucket(&call, "s3:PutBucketOwnershipControls", &name, &owner)?;
    }
    let region = &call.node.settings.region;
    if call.storage().bucket(&name).is_err() {
        drop_policy(&call.node, &name, Some(call.changed_by())).await?;
    }
    let message = CreateBucket { name: name.clone(), owner: owner.clone(), config };
    match call.create_bucket(message).await {
        Ok(_) => {}
        Err(StorageError::BucketExists { owner: holder, .. }) if holder == owner => {
            // Creating one's own bucket again succeeds when it asks for nothing else than holds.
            let holds = Arc::clone(&call.storage().bucket(&name)?.config);
            let same = holds.acl == acl
                && (ownership.is_none() || holds.ownership == ownership)
                && (!locks || holds.object_lock.is_some())
                && (tags.is_empty() || are_same(&tags, holds.tags.as_deref().unwrap_or_default()));
            if !same {
                return Err(S3Error::new(ErrorCode::BucketAlreadyExists).field("BucketName", name.as_str()));
            }
            if region != CLASSIC_REGION {
                return Err(S3Error::new(ErrorCode::BucketAlreadyOwnedByYou).field("BucketName", name.as_str()));
            }
        }
        Err(error) => return Err(error.into()),
    }
    let mut response = empty(StatusCode::OK);
    set_header(&mut response, "location", &format!("/{name}"));
    Ok(response)
}

/// Whether two sets of tags are the same: tags have no order.
fn are_same(one: &[Tag], other: &[Tag]) -> bool {
    one.len() == other.len() && one.iter().all(|tag| other.contains(tag))
}

/// `x-amz-bucket-object-lock-enabled`. Errs: InvalidArgument unless it is `true` or `false`.
fn asked_object_lock(call: &Call) -> Result<Option<ObjectLock>, S3Error> {
    const HEADER: &str = "x-amz-bucket-object-lock-enabled";
    match text(&call.headers, HEADER).as_deref() {
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(Some(ObjectLock::default())),
        None => Ok(None),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(None),
        Some(value) => Err(S3Error::invalid_argument(HEADER, value, "The value is neither true nor false.")),
    }
}

/// A location constraint names this node's region or is absent. Errs: IllegalLocationConstraintException,
/// InvalidLocationConstraint.
fn check_location(constraint: Option<&str>, region: &str) -> Result<(), S3Error> {
    match constraint {
        None => Ok(()),
        Some(asked) if asked == region || (asked == "EU" && region == "eu-west-1") => Ok(()),
        Some(asked) if asked.split('-').count() >= 3 => Err(S3Error::with_message(
            ErrorCode::IllegalLocationConstraintException,
            format!(
                "The {asked} location constraint is incompatible for the region specific endpoint this request was sent to."
            ),
        )),
        Some(asked) => Err(S3Error::new(ErrorCode::InvalidLocationConstraint).field("LocationConstraint", asked)),
    }
}

/// S3 API Reference, HeadBucket.
pub fn head_bucket(call: &Call) -> Answer {
    call.bucket()?;
    let mut response = empty(StatusCode::OK);
    set_header(&mut response, "x-amz-bucket-region", &call.node.settings.region);
    set_header(&mut response, "x-amz-access-point-alias", "false");
    Ok(response)
}

/// S3 API Reference, DeleteBucket.
pub async fn delete_bucket(call: Call) -> Answer {
    call.delete_bucket().await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// S3 API Reference, GetBucketLocation: empty for us-east-1.
pub fn get_bucket_location(call: &Call) -> Answer {
    call.bucket()?;
    let region = call.node.settings.region.as_str();
    let mut document = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint xmlns=\"");
    document.push_str(crate::s3::xml::write::NAMESPACE);
    document.push_str("\">");
    if region != CLASSIC_REGION {
        crate::s3::xml::write::escape_into(&mut document, region);
    }
    document.push_str("</LocationConstraint>");
    Ok(xml(StatusCode::OK, document))
}

/// S3 API Reference, GetBucketVersioning: no status while versioning was never enabled.
pub fn get_bucket_versioning(call: &Call) -> Answer {
    Ok(xml(StatusCode::OK, write_versioning(call.bucket()?.versioning)))
}

/// S3 API Reference, PutBucketVersioning. Errs: InvalidBucketState when objects may be locked and versions would not be kept.
pub async fn put_bucket_versioning(mut call: Call) -> Answer {
    let document = call.body.collect(VERSIONING_BYTES_MAX).await?;
    if document.is_empty() {
        return Err(ErrorCode::MissingRequestBodyError.into());
    }
    call.configure(BucketChange::Versioning(versioning_configuration(&document)?)).await?;
    Ok(empty(StatusCode::OK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_no_order() {
        let tags = |keys: &str| keys.chars().map(|key| (key.to_string(), String::new())).collect::<Vec<_>>();
        assert!(are_same(&tags("ab"), &tags("ba")) && are_same(&[], &[]));
        assert!(!are_same(&tags("ab"), &tags("a")) && !are_same(&tags("a"), &tags("b")));
    }

    #[test]
    fn location_constraints() {
        let code = |constraint, region| check_location(constraint, region).map_err(|e| e.code());
        assert_eq!(code(None, "us-east-1"), Ok(()));
        assert_eq!(code(Some("us-east-1"), "us-east-1"), Ok(()));
        assert_eq!(code(Some("EU"), "eu-west-1"), Ok(()));
        assert_eq!(code(Some("eu-west-1"), "us-east-1"), Err(ErrorCode::IllegalLocationConstraintException));
        assert_eq!(code(Some("moon"), "us-east-1"), Err(ErrorCode::InvalidLocationConstraint));
    }
}
