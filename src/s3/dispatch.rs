//! From an operation to its handler.

use super::context::Call;
use super::error::{ErrorCode, S3Error};
use super::handlers::{bucket, object_copy, object_delete, object_get, object_put};
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
        Operation::GetObject => object_get::get_object(call).await,
        Operation::HeadObject => object_get::head_object(call).await,
        Operation::PutObject => object_put::put_object(call).await,
        Operation::CopyObject => object_copy::copy_object(call).await,
        Operation::DeleteObject => object_delete::delete_object(call).await,
        other => match bucket::unset_configuration(&call) {
            Some(answer) => answer,
            None => Err(S3Error::new(ErrorCode::NotImplemented).field("Operation", other.name())),
        },
    }
}
