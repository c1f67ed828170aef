//! The thread that has the steps of committed entries carried out, in commit order.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::{Materialiser, Outcome};
use crate::names::{BucketName, Stamp};
use crate::storage::StorageError;
use crate::storage::committer::CommittedBatch;
use crate::storage::engine::Shared;
use crate::storage::plan::Relocate;
use crate::storage::steps::Step;

/// Pause before work is tried again that the file system refused (full, or failing).
const RETRY: Duration = Duration::from_secs(1);
/// Pause before it is tried again to remove files that may not be removed.
const LEFT_RETRY: Duration = Duration::from_secs(60);
/// Batches after which it is tried even if there is no pause between them.
const LEFT_BATCHES: usize = 4096;

/// Follows the journal until it ends.
pub(in crate::storage) fn run(
    shared: &Arc<Shared>,
    batches: &Receiver<Arc<CommittedBatch>>,
    relocations: &Sender<Relocate>,
) {
    let bucket_id = |name: &str| {
        let name = BucketName::parse(name).ok()?;
        shared.buckets.get(&name).map(|bucket| bucket.id)
    };
    let files = Materialiser { disk: &shared.disk, rows: &shared.rows, bucket_id: &bucket_id, replay: None };
    let (mut since, mut turn) = (0, 0);
    loop {
        let next = batches.recv_timeout(LEFT_RETRY);
        since += 1;
        if matches!(next, Err(RecvTimeoutError::Timeout)) || since >= LEFT_BATCHES {
            if let Err(error) = files.remove_left(turn) {
                tracing::warn!(%error, "what could not be removed is not tried again for now");
            }
            shared.disk.forget_folders();
            (since, turn) = (0, turn + 1);
        }
        let batch = match next {
            Ok(batch) => batch,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        for entry in &batch.entries {
            let body = || match &entry.body {
                Some(body) => body.read(),
                None => Ok(Vec::new()),
            };
            for step in &entry.steps {
                // Nothing may be skipped: a later step builds on this one. Meanwhile the journal holds the bytes.
                loop {
                    match files.carry_out(step, &entry.changes, &body) {
                        Ok(Outcome::Done) => break,
                        Ok(Outcome::Moved(place)) => {
                            let _stopping = relocations.send(Relocate::ToOverflow(place));
                            break;
                        }
                        Ok(Outcome::Gone(place)) => {
                            let _stopping = relocations.send(Relocate::Nowhere(place));
                            break;
                        }
                        Err(StorageError::NoSpace) if shared.space.give_way() => {}
                        Err(error) => {
                            shared.set_trouble(Some(&error));
                            if shared.is_stopping() {
                                return shared.progress.give_up();
                            }
                            std::thread::sleep(RETRY);
                        }
                    }
                }
                if let Step::Write { place, .. } | Step::Adopt { place, .. } = step {
                    shared.pending.remove(&Stamp(place.stamp));
                }
                shared.space.settle(step);
            }
        }
        shared.disk.forget_folders();
        shared.set_trouble(None);
        shared.progress.materialised(batch.sequence);
    }
}
