//! Routes about one bucket.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use myfsio_actors::names::BucketName;
use serde_json::json;

use crate::node::Node;
use crate::s3::error::S3Error;
use crate::s3::respond::Answer;

/// Makes the files that somebody put into the bucket's folder objects. Runs to its end, whoever waits for it.
pub async fn adopt(node: &Arc<Node>, bucket: &BucketName) -> Answer {
    let bucket = node.storage.bucket(bucket)?;
    let storage = node.storage.clone();
    let work = actix_rt::spawn(async move { storage.adopt_files(&bucket).await });
    let adopted = work.await.map_err(S3Error::internal)??;
    let skipped = adopted.skipped_first.iter().map(|(path, why)| json!({ "path": path.to_string_lossy(), "why": why }));
    let body = json!({
        "adopted": adopted.adopted,
        "bytes": adopted.bytes,
        "changed": adopted.changed,
        "mended": adopted.mended,
        "known": adopted.known,
        "skipped": adopted.skipped,
        "skipped_first": skipped.collect::<Vec<_>>(),
    });
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(body.to_string()))
}
