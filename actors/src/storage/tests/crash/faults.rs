//! Changes fail: once, or from some moment on. What was acknowledged stays, in memory and on the disk; a journal whose write or
//! sync failed acknowledges nothing more.

use super::disk_model::{DiskModel, Survival};
use super::oracle::{self, Promise};
use super::power_loss::{Load, Story, folder, settings, tell};
use super::recorder::{Failure, Fault, Note};
use super::{Choices, rounds, seed};
use crate::storage::disk::Disk;

/// Changes at which one is made to fail, in one round.
const PLACES: usize = 40;

fn check(story: &Story, seed: u64) {
    let (mut disk, mut promise) = (DiskModel::default(), Promise::of_failing_disk());
    for note in &story.notes {
        disk.apply(note);
        promise.hear(note, &story.requests);
    }
    let lost = folder();
    disk.lose_power(Survival::Nothing, &mut Choices(seed), lost.path());
    for root in [lost.path(), story.root.path()] {
        oracle::check(Disk::open(root, false).unwrap(), &settings(root, false), &promise, &story.requests);
    }
}

#[actix::test]
async fn a_failing_disk_costs_nothing_that_was_acknowledged() {
    for round in 0..rounds() {
        let mut choices = Choices(seed(round));
        let changes = tell(true, None, Load::OneByOne).await.recorder.changes();
        for place in 0..PLACES {
            let at = choices.below(changes);
            let failure = [Failure::Eio, Failure::Full, Failure::Short][place % 3];
            let fault = Fault { at, only_syncs: false, failure, lasting: choices.coin() };
            let story = tell(true, Some(fault), Load::OneByOne).await;
            let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&story, choices.next())));
            if let Err(panic) = checked {
                eprintln!("{fault:?} of {changes} changes, {:?}", story.failure);
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// After a sync of the journal failed, what it was for may be lost whatever later syncs say.
#[actix::test]
async fn a_failed_sync_poisons_the_journal() {
    let whole = tell(true, None, Load::OneByOne).await;
    let first = whole.notes.iter().position(|note| matches!(note, Note::Begun { .. })).unwrap();
    // The first request makes a bucket: the next sync is the journal's.
    let at = whole.notes[..first].iter().filter(|note| matches!(note, Note::SyncData { .. })).count();
    let fault = Fault { at, only_syncs: true, failure: Failure::Eio, lasting: false };
    let story = tell(true, Some(fault), Load::OneByOne).await;
    assert!(story.recorder.has_failed());
    assert!(story.failure.as_ref().is_some_and(|reason| reason.contains("sync")), "{:?}", story.failure);
    let acknowledged = story.notes.iter().any(|note| matches!(note, Note::Acknowledged { .. }));
    assert!(!acknowledged, "something was acknowledged after a sync had failed");
    check(&story, 1);
}
