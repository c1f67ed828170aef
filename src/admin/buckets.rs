//! Routes about one bucket.

use std::sync::Arc;

use actix_web::http::StatusCode;
use myfsio_actors::audit::ChangeOrigin;
use myfsio_actors::names::BucketName;
use myfsio_actors::storage::Adopted;
use serde_json::{Value, json};

use super::audit::carry_out;
use crate::node::Node;
use crate::s3::respond::{self, Answer};

/// Makes the files that somebody put into the bucket's folder objects. Runs to its end, whoever waits for it.
pub async fn adopt(node: &Arc<Node>, bucket: &BucketName, by: ChangeOrigin) -> Answer {
    let bucket = node.storage.bucket(bucket)?;
    let (storage, named) = (node.storage.clone(), Arc::clone(&bucket));
    let work = async move {
        let adopted = storage.adopt_files(&named).await?;
        let Adopted { adopted: files, bytes, changed, mended, .. } = adopted;
        let done = match files + changed + mended {
            0 => Value::Null,
            _ => json!({ "adopted": files, "bytes": bytes, "changed": changed, "mended": mended }),
        };
        Ok((adopted, done))
    };
    let adopted = carry_out(node, by, "myfsio:AdoptFiles", &bucket, work).await?;
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
    Ok(respond::json(StatusCode::OK, &body))
}
