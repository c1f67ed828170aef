//! Tags of objects, versions and buckets, and S3 Control's operations on the tags of buckets.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use myfsio_actors::bucket_config::{ConfigChange, Tag};
use myfsio_actors::storage::{Bucket, Object, ObjectChange, Purpose, Versioning};

use super::bucket_config::{checked_document, configure, document, told};
use crate::s3::authorize::{self, Further};
use crate::s3::context::Call;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::headers::{check_bucket_tags, check_tags};
use crate::s3::replica::{self, Does};
use crate::s3::respond::{Answer, empty, set_header, xml};
use crate::s3::xml::requests;
use crate::s3::xml::tagging::{tag_resource, write_resource_tags, write_tagging};

/// Largest document in bytes: 50 tags of the longest keys and values fit, each character written as a reference.
const TAGGING_BYTES_MAX: usize = 256 * 1024;

/// S3 API Reference, GetObjectTagging.
pub async fn get_object_tagging(call: Call) -> Answer {
    let bucket = call.bucket()?;
    let object = authorize::open(&call, &bucket, Purpose::Look).await?.object;
    Ok(with_version(xml(StatusCode::OK, write_tagging(&object.attributes.tags)), &bucket, &object))
}

/// S3 API Reference, PutObjectTagging. The permission may depend on the tags, so it is asked for once they are known. Errs:
/// AccessDenied, MalformedXML, InvalidTag.
pub async fn put_object_tagging(mut call: Call) -> Answer {
    let body = call.body.collect(TAGGING_BYTES_MAX).await?;
    let tags = requests::tagging(&body);
    // The spine asks for no permission here, so it has not taken in edited policies either.
    call.node.access.refresh().await;
    let (bucket, key, version) = (call.bucket()?, call.key()?, call.version()?);
    let named = tags.as_deref().unwrap_or_default();
    let received = replica::received(&call, &bucket, &key, Does::Tag)?;
    let ask = |object: Option<&Arc<Object>>| {
        let further = Further { key: Some(key.as_str()), version, object, tags: Some(named), ..Further::default() };
        call.authorize_further(call.operation.action(version.is_some()), &bucket, further)
    };
    let peeked = call.storage().peek_object(&bucket, &key, version).ok().map(|peeked| peeked.object);
    ask(peeked.as_ref())?;
    if body.is_empty() {
        return Err(ErrorCode::MissingRequestBodyError.into());
    }
    let tags = tags.as_ref().map_err(Clone::clone)?;
    check_tags(tags)?;
    let change = |_: &_| Ok(Some(ObjectChange::Tags(tags.clone())));
    let replica = received.map(|received| received.tags_change());
    let object = authorize::change_of(&call, &bucket, peeked, replica, |object| ask(Some(object)), change).await?;
    Ok(with_version(empty(StatusCode::OK), &bucket, &object))
}

/// S3 API Reference, DeleteObjectTagging.
pub async fn delete_object_tagging(call: Call) -> Answer {
    let bucket = call.bucket()?;
    let permitted = call.peeked.as_ref().map(|peeked| Arc::clone(&peeked.object));
    let ask = |object: &_| authorize::ask_again(&call, &bucket, object);
    let change = |_: &_| Ok(Some(ObjectChange::Tags(Vec::new())));
    let object = authorize::change(&call, &bucket, permitted, ask, change).await?;
    Ok(with_version(empty(StatusCode::NO_CONTENT), &bucket, &object))
}

/// The version id, where the bucket keeps versions.
pub fn with_version(mut response: HttpResponse, bucket: &Bucket, object: &Object) -> HttpResponse {
    if bucket.versioning != Versioning::Off {
        set_header(&mut response, "x-amz-version-id", &object.version_id.to_string());
    }
    response
}

/// S3 API Reference, GetBucketTagging. Errs: NoSuchTagSet.
pub fn get_bucket_tagging(call: &Call) -> Answer {
    let bucket = call.bucket()?;
    told(call, bucket.config.tags.as_ref(), |tags| write_tagging(tags), ErrorCode::NoSuchTagSet)
}

/// S3 API Reference, PutBucketTagging. Errs: AccessDenied, InvalidRequest without a digest of the document, MalformedXML,
/// InvalidTag, BadRequest for more than 50.
pub async fn put_bucket_tagging(mut call: Call) -> Answer {
    let body = checked_document(&mut call, TAGGING_BYTES_MAX).await;
    let tags = body.and_then(|body| Ok(requests::tagging(&body)?));
    may_tag(&call, tags.as_deref().unwrap_or_default()).await?;
    let tags = tags?;
    check_bucket_tags(&tags)?;
    configure(&call, ConfigChange::Tags(some(tags))).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// S3 API Reference, DeleteBucketTagging.
pub async fn delete_bucket_tagging(call: Call) -> Answer {
    configure(&call, ConfigChange::Tags(None)).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// S3 Control API Reference, ListTagsForResource: of a bucket.
pub fn list_tags_for_resource(call: &Call) -> Answer {
    let bucket = call.bucket()?;
    Ok(xml(StatusCode::OK, write_resource_tags(bucket.config.tags.as_deref().unwrap_or_default())))
}

/// S3 Control API Reference, TagResource: adds tags, and replaces those of the same keys.
pub async fn tag_resource_of(mut call: Call) -> Answer {
    let body = document(&mut call, TAGGING_BYTES_MAX).await;
    let added = body.and_then(|body| Ok(tag_resource(&body)?));
    may_tag(&call, added.as_deref().unwrap_or_default()).await?;
    let added = added?;
    check_bucket_tags(&added)?;
    configure(&call, ConfigChange::MergeTags { set: added, remove: Vec::new() }).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// S3 Control API Reference, UntagResource: removes the tags whose keys the query names.
pub async fn untag_resource(call: Call) -> Answer {
    let named = call.query.iter().filter(|(name, _)| *name == "tagKeys");
    let remove = named.map(|(_, key)| key.to_owned()).collect();
    configure(&call, ConfigChange::MergeTags { set: Vec::new(), remove }).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Asks for the permission to tag a bucket, which may depend on the tags; none where they cannot be read, so that nobody learns
/// more of its request than that it is refused. Errs: AccessDenied.
async fn may_tag(call: &Call, tags: &[Tag]) -> Result<(), S3Error> {
    // The spine asks for no permission here, so it has not taken in edited policies either.
    call.node.access.refresh().await;
    let further = Further { bucket_tags: Some(tags), ..Further::default() };
    call.authorize_further(call.operation.action(false), &*call.bucket()?, further)
}

/// A bucket without tags has no tag set.
fn some(tags: Vec<Tag>) -> Option<Vec<Tag>> {
    (!tags.is_empty()).then_some(tags)
}
