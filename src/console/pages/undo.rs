//! Takes back what was just deleted, overwritten or moved in a bucket that keeps versions ([`crate::console::undo`]). What something else
//! happened to since stays as it is, and is told.

use std::sync::Arc;

use myfsio_actors::storage::Bucket;

use crate::console::failure::Failure;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::route::{Outcome, Row, SIGNED_IN};
use crate::console::undo::{Change, Deed, ITEMS_MAX, newest};
use crate::console::units::{count, legible};
use crate::console::visit::Visit;
use crate::within::{Copying, Place};

/// Routes.
pub const ROWS: &[Row] = &[
    // Who may not is told so once a key is found as it was left.
    Row::post("/ui/buckets/{bucket}/undo", SIGNED_IN, |visit| Box::pin(undo(visit)))
        .tested_by("item=deleted%3A00000000000000010000000000000001%3Amatrix-none"),
];

/// What was not taken back is told one by one up to here.
const TOLD_MAX: usize = 5;

async fn undo(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let words = &visit.t.browse;
    let changes: Option<Vec<_>> = visit.form.all("item").map(Change::parse).collect();
    let changes = changes.filter(|changes| !changes.is_empty() && changes.len() <= ITEMS_MAX);
    let changes = changes.ok_or_else(|| Failure::input(words.undo_wrong))?;
    let is_whole = visit.form.is_on("whole");
    let (mut left, mut done) = (Vec::new(), 0);
    for change in &changes {
        match take_back(&visit, &bucket, change).await {
            Ok(()) => done += 1,
            Err(failure) => left.push((legible(change.key.as_str()), failure)),
        }
        // Of a move whose source is another object by now, the target is all that is left.
        if is_whole && !left.is_empty() {
            break;
        }
    }
    if done == 0
        && let Some((key, failure)) = left.pop()
    {
        let is_overtaken = matches!(failure, Failure::Overtaken(_));
        return Err(if is_overtaken { Failure::Overtaken(format!("{key} {}", words.undo_overtaken)) } else { failure });
    }
    visit.leave(Notice::good(match &changes[..] {
        [first, rest @ ..] if is_whole || rest.is_empty() => {
            format!("{} {}", legible(first.key.as_str()), words.undone_one)
        }
        _ => format!("{} {}", count(done), words.undone_many),
    }));
    for (key, failure) in left.iter().take(TOLD_MAX) {
        visit.leave(Notice::bad(match failure {
            Failure::Refused(refusal) => format!("{key}: {} ({})", refusal.message, refusal.code),
            _ => format!("{key} {}", words.undo_overtaken),
        }));
    }
    if left.len() > TOLD_MAX {
        visit.leave(Notice::bad(format!("{} {}", count((left.len() - TOLD_MAX) as u64), words.undo_more)));
    }
    visit.go_to(&links::browse(bucket.name.as_str(), visit.form.raw("prefix").unwrap_or_default()))
}

/// Errs: it is not any more what was left; as the API.
async fn take_back(visit: &Visit, bucket: &Arc<Bucket>, change: &Change) -> Result<(), Failure> {
    let asker = visit.asker()?;
    let overtaken = || Failure::Overtaken(String::new());
    let Change { deed, version, key } = change;
    let (bucket_name, versions) = (&bucket.name, newest(asker, bucket, key).await);
    let place = |version| Place { bucket: bucket_name, key, version };
    let own = versions.first().filter(|own| own.version_id == *version).ok_or_else(overtaken)?;
    match (deed, &own.object) {
        // Should somebody write meanwhile, then the marker is one among older versions, and nobody misses it.
        (Deed::Deleted, None) => asker.delete(place(Some(*version))).await.map(drop)?,
        (Deed::Replaced, Some(object)) => {
            let before = versions.get(1).ok_or_else(overtaken)?;
            let size = before.object.as_ref().map(|object| object.size).ok_or_else(overtaken)?;
            let from = place(Some(before.version_id));
            let copying = Copying { from, to: place(None), etag: None, keep_existing: false, over: Some(object.etag) };
            asker.copy_of_any_size(bucket, &copying, size, async |_, _| true).await?;
        }
        // A marker comes on top, and the version stays below it.
        (Deed::Created, Some(object)) => asker.delete_matching(bucket_name, key, object.etag).await.map(drop)?,
        _ => return Err(overtaken()),
    }
    Ok(())
}
