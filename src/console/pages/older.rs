//! Deletes all versions of an object but the newest one, for good.

use myfsio_actors::names::VersionId;

use super::browse::CHANGERS;
use crate::console::failure::Failure;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::route::{Outcome, Row};
use crate::console::units::{count, counted};
use crate::console::visit::Visit;
use crate::within::{Place, Refusal, VersionsWanted};

/// Routes.
pub const ROWS: &[Row] = &[Row::post("/ui/buckets/{bucket}/delete-older", CHANGERS, |visit| Box::pin(delete(visit)))
    .tested_by("key=matrix-none&newest=none")];

/// What it takes.
const ACTION: &str = "s3:DeleteObjectVersion";
/// Versions that one form deletes, at most.
const DELETED_MAX: usize = 1_000;
/// Refusals that are told one by one.
const TOLD_MAX: usize = 5;

async fn delete(visit: Visit) -> Outcome {
    let (bucket, key) = (visit.bucket().await?, visit.key()?);
    let asker = visit.asker()?;
    if !asker.may(ACTION, Some(&bucket), Some(key.as_str())) {
        asker.ask(ACTION, &bucket).await?;
    }
    // A key comes before all others that begin with it.
    let wanted =
        VersionsWanted { prefix: key.as_str().to_owned(), limit: DELETED_MAX + 1, ..VersionsWanted::default() };
    let page = asker.versions(&bucket, wanted).await?;
    let ids: Vec<VersionId> =
        page.entries.into_iter().filter(|entry| entry.key == key).map(|entry| entry.version_id).collect();
    // What was the newest one as somebody looked is no older one because another came.
    let Some((newest, older)) = ids.split_first() else { return Err(Failure::Changed) };
    if newest.to_string() != visit.form.text("newest") {
        return Err(Failure::Changed);
    }
    let mut refused: Vec<Refusal> = Vec::new();
    let mut deleted = 0;
    for version in older.iter().take(DELETED_MAX) {
        match asker.delete(Place { bucket: &bucket.name, key: &key, version: Some(*version) }).await {
            Ok(_) => deleted += 1,
            Err(refusal) => refused.push(refusal),
        }
    }
    let words = &visit.t.browse;
    if deleted == 0
        && let Some(refusal) = refused.pop()
    {
        return Err(refusal.into());
    }
    visit.leave(Notice::good(counted(deleted, words.older_deleted_one, words.older_deleted_many)));
    for refusal in refused.iter().take(TOLD_MAX) {
        visit.leave(Notice::bad(format!("{} ({})", refusal.message, refusal.code)));
    }
    if refused.len() > TOLD_MAX {
        visit.leave(Notice::bad(format!("{} {}", count((refused.len() - TOLD_MAX) as u64), words.more_refused)));
    }
    if older.len() > DELETED_MAX {
        visit.leave(Notice::bad(words.delete_more));
    }
    visit.go_to(&links::object(bucket.name.as_str(), key.as_str(), ""))
}
