//! What the node tells another one that is about to replicate to it: who it is, what time it is, and what the caller may do here.

use std::sync::Arc;

use actix_web::http::StatusCode;
use myfsio_actors::names::BucketName;
use myfsio_actors::storage::Bucket;

use crate::node::Node;
use crate::replication::handshake::{Answer as Told, AnsweredBucket, Rights, versioning_name};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight::Caller;
use crate::s3::respond::{Answer, json, no_store};

/// The key that rights are asked for: what holds for all keys holds for it.
const ANY_KEY: &str = "*";

/// Answers every signed caller, of the bucket that the query names. What it may not do is told as such; a bucket in which it may do
/// nothing seems to be missing. Errs: AccessDenied without credentials, InvalidBucketName.
pub async fn answer(node: &Arc<Node>, caller: &Caller) -> Answer {
    let principal = caller.principal().ok_or_else(|| S3Error::from(ErrorCode::AccessDenied))?;
    node.access.refresh().await;
    let name = caller.query().get("bucket").map(BucketName::parse).transpose();
    let name = name.map_err(|_| S3Error::from(ErrorCode::InvalidBucketName))?;
    let found = name.as_ref().and_then(|name| node.storage.bucket(name).ok());
    let rights = found.as_deref().map(|bucket| rights(node, caller, bucket)).unwrap_or_default();
    let seen = found.filter(|_| rights != Rights::default());
    let bucket = name.map(|_| match seen {
        None => AnsweredBucket::default(),
        Some(bucket) => AnsweredBucket {
            exists: true,
            versioning: versioning_name(bucket.versioning).to_owned(),
            object_lock: bucket.config.object_lock.is_some(),
        },
    });
    let told = Told {
        node_id: node.storage.node_id().to_string(),
        time: node.clock.now().0,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        bucket,
        rights,
        together: principal.session.is_none(),
        whole: true,
    };
    let body = serde_json::to_value(&told).map_err(S3Error::internal)?;
    Ok(no_store(json(StatusCode::OK, &body)))
}

fn rights(node: &Node, caller: &Caller, bucket: &Bucket) -> Rights {
    let may = |action: &str| caller.may(node, action, bucket, Some(ANY_KEY));
    Rights {
        read: caller.may(node, "s3:ListBucket", bucket, None),
        write: may("s3:PutObject"),
        delete: may("s3:DeleteObject"),
        replicate: ["s3:ReplicateObject", "s3:ReplicateTags", "s3:ReplicateDelete"].into_iter().all(may),
    }
}
