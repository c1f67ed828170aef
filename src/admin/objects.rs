//! How single objects are stored.

use std::sync::Arc;

use actix_web::http::StatusCode;
use myfsio_actors::names::{BucketName, ObjectKey, VersionId};
use myfsio_actors::storage::ExplainObject;

use crate::node::Node;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::query::Query;
use crate::s3::respond::{self, Answer};

/// Where and how an object lies on the disk: `versionId` names a version, `data=true` reads every byte.
pub async fn storage(node: &Arc<Node>, bucket: &BucketName, key: ObjectKey, query: &Query) -> Answer {
    let bucket = node.storage.bucket(bucket)?;
    let version = query.get("versionId").map(VersionId::parse).transpose();
    let version = version.map_err(|_| S3Error::from(ErrorCode::InvalidArgument))?;
    let asked = ExplainObject { key, version, data: query.get("data") == Some("true") };
    let told = node.storage.explain_object(&bucket, asked).await?;
    let body = serde_json::to_value(&told).map_err(S3Error::internal)?;
    Ok(respond::no_store(respond::json(StatusCode::OK, &body)))
}
