//! Bucket policies: read, put, delete. The PolicyEngine keeps them and judges their grammar.

use actix_web::http::StatusCode;
use myfsio_actors::audit::ChangeOrigin;
use myfsio_actors::names::BucketName;
use myfsio_actors::policy_engine::{DOCUMENT_BYTES_MAX, DeleteBucketPolicy, PolicyError, PutBucketPolicy};
use myfsio_actors::storage::Bucket;

use crate::node::Node;
use crate::s3::context::Call;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::respond::{Answer, empty, json_text};

/// S3 API Reference, GetBucketPolicy: the document as it was put.
pub fn get_bucket_policy(call: &Call) -> Answer {
    let bucket = call.bucket()?;
    let text = call.node.access.policy_engine.policy_text(&bucket.name);
    let text =
        text.ok_or_else(|| S3Error::new(ErrorCode::NoSuchBucketPolicy).field("BucketName", bucket.name.as_str()))?;
    Ok(json_text(StatusCode::OK, text.to_string()))
}

/// S3 API Reference, PutBucketPolicy. Errs: MalformedPolicy with the place of the mistake, AccessDenied for a public policy in
/// a bucket that blocks them.
pub async fn put_bucket_policy(mut call: Call) -> Answer {
    let bucket = call.bucket()?;
    let document = call.body.collect(DOCUMENT_BYTES_MAX).await?;
    if document.is_empty() {
        return Err(ErrorCode::MissingRequestBodyError.into());
    }
    let malformed = || S3Error::with_message(ErrorCode::MalformedPolicy, "Policies must be valid JSON in UTF-8.");
    let text = String::from_utf8(document.to_vec()).map_err(|_| malformed())?;
    put_policy(&call.node, &bucket, text, call.changed_by()).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Sets a bucket's policy. Errs: MalformedPolicy with the place of the mistake, AccessDenied for a public one in a bucket that
/// blocks them.
pub async fn put_policy(node: &Node, bucket: &Bucket, text: String, by: ChangeOrigin) -> Result<(), S3Error> {
    let refuse_public = bucket.config.public_access_block.is_some_and(|block| block.block_public_policy);
    let message = PutBucketPolicy { bucket: bucket.name.clone(), text, refuse_public, by };
    Ok(node.access.policy_engine.put_bucket_policy(message).await?)
}

/// S3 API Reference, DeleteBucketPolicy; deleting none is no error.
pub async fn delete_bucket_policy(call: Call) -> Answer {
    drop_policy(&call.node, &call.bucket()?.name, Some(call.changed_by())).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Removes what may be left of a bucket's policy: with the bucket, and before another of its name is made. `by` tells the audit log who
/// asks; none when the policy goes with what the log is told of.
pub async fn drop_policy(node: &Node, bucket: &BucketName, by: Option<ChangeOrigin>) -> Result<(), S3Error> {
    if node.access.policy_engine.policy_text(bucket).is_some() {
        node.access.policy_engine.delete_bucket_policy(DeleteBucketPolicy { bucket: bucket.clone(), by }).await?;
    }
    Ok(())
}

impl From<PolicyError> for S3Error {
    fn from(error: PolicyError) -> Self {
        match &error {
            PolicyError::Malformed { source, .. } => Self::with_message(ErrorCode::MalformedPolicy, source.to_string()),
            PolicyError::Public { .. } => Self::new(ErrorCode::AccessDenied).by_rule("public_access_block"),
            PolicyError::Busy => Self::new(ErrorCode::SlowDown),
            PolicyError::Stopped | PolicyError::TimedOut => Self::new(ErrorCode::ServiceUnavailable),
            PolicyError::Store(store) if store.is_full() => Self::new(ErrorCode::InsufficientStorage),
            PolicyError::Store(_) => Self::internal(&error),
        }
        .because(error)
    }
}
