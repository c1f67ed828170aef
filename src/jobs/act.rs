//! What is done with one object: requests of the API, by whoever gave the order.

use std::sync::Arc;

use actix_web::http::StatusCode;
use myfsio_actors::names::UploadId;
use myfsio_actors::storage::Bucket;

use super::order::{Does, Work};
use super::walk::Target;
use crate::within::{Asker, Copying, Place, Refusal, patiently};

/// What came of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// It was done.
    Done,
    /// There was nothing to do, or nothing that was wanted.
    Skipped,
}

/// Does the work with a target. Errs: as the API refuses it. `goes_on`: see [`Asker::copy_of_any_size`].
pub async fn act(
    asker: &Asker,
    bucket: &Arc<Bucket>,
    work: &Work,
    target: &Target,
    goes_on: impl AsyncFn(Place<'_>, UploadId) -> bool,
) -> Result<Came, Refusal> {
    let name = &bucket.name;
    match (&work.does, target) {
        (Does::Copy(copy), Target::Object { key, size, etag }) => {
            let to = copy.target(key.as_str()).map_err(|error| Refusal::invalid(error.to_string()))?;
            let (size, etag) = match etag {
                Some(etag) => (*size, *etag),
                None => {
                    let object = patiently(async || asker.object(bucket, key, None).await).await?;
                    (object.size, object.etag)
                }
            };
            // What the order names, too, must not be lost before its turn comes: folders that lead to folders of the same name.
            let is_named = work.names(&copy.bucket, &to);
            let copying = Copying {
                from: Place { bucket: name, key, version: None },
                to: Place { bucket: &copy.bucket, key: &to, version: None },
                etag: Some(etag),
                keep_existing: copy.keep_existing || is_named,
                over: None,
            };
            match asker.copy_of_any_size(bucket, &copying, size, goes_on).await {
                Err(refusal) if copy.keep_existing && is_there_already(&refusal) => return Ok(Came::Skipped),
                Err(refusal) if is_there_already(&refusal) => {
                    let message = "The new key is that of another object which the order names: it would be lost.";
                    return Err(Refusal { message: message.to_owned(), ..refusal });
                }
                copied => copied?,
            }
            if copy.moves {
                // As long as it is what was copied.
                patiently(async || asker.delete_matching(name, key, etag).await).await?;
            }
            Ok(Came::Done)
        }
        (_, Target::Older { key, version, size }) => {
            let from = Place { bucket: name, key, version: Some(*version) };
            let to = Place { bucket: name, key, version: None };
            let copying = Copying { from, to, etag: None, keep_existing: false, over: None };
            asker.copy_of_any_size(bucket, &copying, *size, goes_on).await?;
            Ok(Came::Done)
        }
        _ => patiently(async || change(asker, bucket, work, target).await).await,
    }
}

/// Does what is no copy.
async fn change(asker: &Asker, bucket: &Arc<Bucket>, work: &Work, target: &Target) -> Result<Came, Refusal> {
    let place = |version| Place { bucket: &bucket.name, key: target.key(), version };
    match (&work.does, target) {
        (_, Target::Upload { upload, .. }) => asker.abort_upload(place(None), *upload).await?,
        (_, Target::Version { version, .. }) => {
            asker.delete(place(Some(*version))).await?;
        }
        (_, Target::Hidden { markers, .. }) => {
            for marker in markers {
                asker.delete(place(Some(*marker))).await?;
            }
        }
        (Does::Tag { tags, replace }, Target::Object { .. }) => {
            let mut all = if *replace { Vec::new() } else { asker.tags(place(None)).await? };
            all.retain(|(known, _)| tags.iter().all(|(name, _)| name != known));
            all.extend(tags.iter().cloned());
            asker.set_tags(place(None), &all).await?;
        }
        (Does::Delete { .. }, Target::Object { .. }) => {
            asker.delete(place(None)).await?;
        }
        // Copies, and what no walk of a restoration finds.
        (Does::Copy(_) | Does::Restore { .. }, Target::Object { .. }) | (_, Target::Older { .. }) => {
            return Ok(Came::Skipped);
        }
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
