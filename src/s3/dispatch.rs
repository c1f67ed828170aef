//! From an operation to its handler.

use super::context::Call;
use super::error::{ErrorCode, S3Error};
use super::handlers::{
    bucket, bucket_cors, bucket_logging, bucket_policy, bucket_switches, bucket_website, delete_objects, list_buckets,
    list_objects, list_versions, multipart_complete, multipart_create, multipart_list, multipart_part,
    object_attributes, object_copy, object_delete, object_get, object_lock, object_put, post_object, tagging,
};
use super::operation::Operation;
use super::respond::Answer;

/// Runs the handler of a request that was let through.
pub async fn dispatch(call: Call) -> Answer {
    match call.operation {
        Operation::CreateBucket => bucket::create_bucket(call).await,
        Operation::HeadBucket => bucket::head_bucket(&call),
        Operation::DeleteBucket => bucket::delete_bucket(call).await,
        Operation::GetBucketLocation => bucket::get_bucket_location(&call),
        Operation::GetBucketVersioning => bucket::get_bucket_versioning(&call),
        Operation::PutBucketVersioning => bucket::put_bucket_versioning(call).await,
        Operation::GetObjectLockConfiguration => object_lock::get_object_lock_configuration(&call),
        Operation::PutObjectLockConfiguration => object_lock::put_object_lock_configuration(call).await,
        Operation::GetObjectRetention => object_lock::get_object_retention(call).await,
        Operation::PutObjectRetention => object_lock::put_object_retention(call).await,
        Operation::GetObjectLegalHold => object_lock::get_object_legal_hold(call).await,
        Operation::PutObjectLegalHold => object_lock::put_object_legal_hold(call).await,
        Operation::GetBucketPolicy => bucket_policy::get_bucket_policy(&call),
        Operation::PutBucketPolicy => bucket_policy::put_bucket_policy(call).await,
        Operation::DeleteBucketPolicy => bucket_policy::delete_bucket_policy(call).await,
        Operation::GetObject => object_get::get_object(call).await,
        Operation::HeadObject => object_get::head_object(call).await,
        Operation::PutObject => object_put::put_object(call).await,
        Operation::CopyObject => object_copy::copy_object(call).await,
        Operation::DeleteObject => object_delete::delete_object(call).await,
        Operation::ListBuckets => list_buckets::list_buckets(call).await,
        Operation::ListObjects => list_objects::list_objects(call).await,
        Operation::ListObjectsV2 => list_objects::list_objects_v2(call).await,
        Operation::ListObjectVersions => list_versions::list_object_versions(call).await,
        Operation::ListMultipartUploads => multipart_list::list_multipart_uploads(call).await,
        Operation::ListParts => multipart_list::list_parts(call).await,
        Operation::CreateMultipartUpload => multipart_create::create_multipart_upload(call).await,
        Operation::UploadPart => multipart_part::upload_part(call).await,
        Operation::UploadPartCopy => multipart_part::upload_part_copy(call).await,
        Operation::CompleteMultipartUpload => multipart_complete::complete_multipart_upload(call).await,
        Operation::AbortMultipartUpload => multipart_create::abort_multipart_upload(call).await,
        Operation::DeleteObjects => delete_objects::delete_objects(call).await,
        Operation::GetObjectAttributes => object_attributes::get_object_attributes(call).await,
        Operation::PostObject => post_object::post_object(call).await,
        Operation::GetBucketTagging => tagging::get_bucket_tagging(&call),
        Operation::PutBucketTagging => tagging::put_bucket_tagging(call).await,
        Operation::DeleteBucketTagging => tagging::delete_bucket_tagging(call).await,
        Operation::GetObjectTagging => tagging::get_object_tagging(call).await,
        Operation::PutObjectTagging => tagging::put_object_tagging(call).await,
        Operation::DeleteObjectTagging => tagging::delete_object_tagging(call).await,
        Operation::ListTagsForResource => tagging::list_tags_for_resource(&call),
        Operation::TagResource => tagging::tag_resource_of(call).await,
        Operation::UntagResource => tagging::untag_resource(call).await,
        Operation::GetBucketCors => bucket_cors::get_bucket_cors(&call),
        Operation::PutBucketCors => bucket_cors::put_bucket_cors(call).await,
        Operation::DeleteBucketCors => bucket_cors::delete_bucket_cors(call).await,
        Operation::GetBucketWebsite => bucket_website::get_bucket_website(&call),
        Operation::PutBucketWebsite => bucket_website::put_bucket_website(call).await,
        Operation::DeleteBucketWebsite => bucket_website::delete_bucket_website(call).await,
        Operation::GetBucketLogging => bucket_logging::get_bucket_logging(&call),
        Operation::PutBucketLogging => bucket_logging::put_bucket_logging(call).await,
        Operation::GetBucketRequestPayment => bucket_switches::get_bucket_request_payment(&call),
        Operation::PutBucketRequestPayment => bucket_switches::put_bucket_request_payment(call).await,
        Operation::GetBucketAccelerateConfiguration => bucket_switches::get_bucket_accelerate(&call),
        Operation::PutBucketAccelerateConfiguration => bucket_switches::put_bucket_accelerate(call).await,
        other => match bucket::unset_configuration(&call) {
            Some(answer) => answer,
            None => Err(S3Error::new(ErrorCode::NotImplemented).field("Operation", other.name())),
        },
    }
}
