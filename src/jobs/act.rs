//! What is done with one object: requests of the API, by whoever gave the order.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use myfsio_actors::names::{BucketName, ETag, ObjectKey};
use myfsio_actors::storage::Bucket;
use std::sync::Arc;

use super::order::{Copy, Does, Work};
use super::walk::Target;
use crate::within::{Asker, Place, Refusal, Wish};

/// How often a busy node is asked again, and how long it is left alone before, first and at most.
const ATTEMPTS_MAX: u32 = 10;
const PATIENCE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What came of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// It was done.
    Done,
    /// There was nothing to do, or nothing that was wanted.
    Skipped,
}

/// Asks for something until the node is not busy. Errs: what the last answer was.
pub async fn patiently<T>(ask: impl AsyncFn() -> Result<T, Refusal>) -> Result<T, Refusal> {
    let mut wait = PATIENCE.0;
    for _ in 1..ATTEMPTS_MAX {
        match ask().await {
            Err(refusal) if refusal.status == StatusCode::SERVICE_UNAVAILABLE => {}
            answer => return answer,
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(PATIENCE.1);
    }
    ask().await
}

/// Does the work with a target. Errs: as the API refuses it.
pub async fn act(asker: &Asker, bucket: &Arc<Bucket>, work: &Work, target: &Target) -> Result<Came, Refusal> {
    let name = &bucket.name;
    let place = |key, version| Place { bucket: name, key, version };
    match (&work.does, target) {
        (_, Target::Upload { key, upload }) => {
            let id = upload.to_string();
            let query = [("uploadId", id.as_str())];
            let (bucket, key) = (Some(name), Some(key));
            asker.s3(Wish { method: Method::DELETE, bucket, key, query: &query, ..Wish::default() }).await?;
        }
        (_, Target::Version { key, version, .. }) => {
            asker.delete(place(key, Some(*version))).await?;
        }
        (_, Target::Hidden { key, markers, .. }) => {
            for marker in markers {
                asker.delete(place(key, Some(*marker))).await?;
            }
        }
        (_, Target::Older { key, version, .. }) => asker.copy(place(key, Some(*version)), name, key, &[]).await?,
        (Does::Copy(copy), Target::Object { key, etag, .. }) => {
            let etag = match etag {
                Some(etag) => *etag,
                None => asker.object(bucket, key, None).await?.etag,
            };
            return copied(asker, name, key, etag, copy).await;
        }
        (Does::Tag { tags, replace }, Target::Object { key, .. }) => {
            let mut all = if *replace { Vec::new() } else { asker.tags(place(key, None)).await? };
            all.retain(|(known, _)| tags.iter().all(|(name, _)| name != known));
            all.extend(tags.iter().cloned());
            asker.set_tags(place(key, None), &all).await?;
        }
        (Does::Delete { .. } | Does::Restore { .. }, Target::Object { key, .. }) => {
            asker.delete(place(key, None)).await?;
        }
    }
    Ok(Came::Done)
}

/// Copies an object; a move deletes it only as long as it is what was copied.
async fn copied(asker: &Asker, bucket: &BucketName, key: &ObjectKey, etag: ETag, copy: &Copy) -> Result<Came, Refusal> {
    let target = copy.target(key.as_str()).map_err(|error| Refusal::invalid(error.to_string()))?;
    let etag = format!("\"{etag}\"");
    let mut headers = vec![("x-amz-copy-source-if-match", etag.as_str())];
    if copy.keep_existing {
        headers.push(("if-none-match", "*"));
    }
    let source = Place { bucket, key, version: None };
    match asker.copy(source, &copy.bucket, &target, &headers).await {
        Ok(()) => {}
        Err(refusal) if copy.keep_existing && is_there_already(&refusal) => return Ok(Came::Skipped),
        Err(refusal) => return Err(refusal),
    }
    if copy.moves {
        let headers = [("if-match", etag.as_str())];
        let (bucket, key) = (Some(bucket), Some(key));
        asker.s3(Wish { method: Method::DELETE, bucket, key, headers: &headers, ..Wish::default() }).await?;
    }
    Ok(Came::Done)
}

fn is_there_already(refusal: &Refusal) -> bool {
    refusal.status == StatusCode::PRECONDITION_FAILED
        && refusal
            .fields
            .iter()
            .any(|(name, value)| *name == "Condition" && value.eq_ignore_ascii_case("if-none-match"))
}
