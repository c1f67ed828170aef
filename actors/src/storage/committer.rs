//! The committer: the one thread that writes the journal. Mutations become transactions here, one after the other, and are
//! answered once their batch is durable.
//!
//! SAFETY OF ORDER: plan → write and sync the batch → publish (pending bytes first, then rows, then buckets and counters) →
//! hand to index and files → answer. Nothing is visible before it is durable, and everything is visible before it is
//! answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvError, Sender, select};
use tokio::sync::oneshot;

use super::StorageError;
use super::engine::Shared;
use super::index::RowChange;
use super::journal::{EncodedEntry, Entry, Journal, JournalBytes};
use super::messages::Origin;
use super::plan::{BatchRows, Effect, Mutation, Planner, Relocate, State};
use super::quota::Charge;
use super::steps::Step;

/// Entries of one batch at most.
const BATCH_ENTRIES_MAX: usize = 256;
/// Bytes of one batch at most.
const BATCH_BYTES_MAX: usize = 4 << 20;

type Answer = Box<dyn FnOnce(Result<(), StorageError>) + Send>;
type Plan = Box<dyn FnOnce(&mut Planner<'_>) -> Planned + Send>;

enum Planned {
    /// Answer when the batch is durable.
    Commit(Answer),
    /// The mutation was refused.
    Refused(Answer),
}

/// A mutation on its way to the committer.
pub(super) struct Proposal {
    plan: Plan,
}

impl Proposal {
    /// A proposal of `origin`, none for the node itself, and where its answer will come.
    pub fn new<M: Mutation>(
        mutation: M,
        origin: Option<Arc<Origin>>,
    ) -> (Self, oneshot::Receiver<Result<M::Output, StorageError>>) {
        let (reply, answer) = oneshot::channel();
        // Whoever asked may be gone; the commit stands all the same.
        let planned = |planner: &mut Planner<'_>| {
            planner.origin = origin;
            let output = mutation.plan(planner)?;
            planner.finish().map(|()| output)
        };
        let plan: Plan = Box::new(move |planner| match planned(planner) {
            Ok(output) => Planned::Commit(Box::new(move |outcome: Result<(), StorageError>| {
                let _nobody = reply.send(outcome.map(|()| output));
            })),
            Err(refusal) => Planned::Refused(Box::new(move |_| {
                let _nobody = reply.send(Err(refusal));
            })),
        });
        (Self { plan }, answer)
    }
}

/// A durable batch on its way to the index and the files.
#[derive(Debug)]
pub(super) struct CommittedBatch {
    pub sequence: u64,
    pub entries: Vec<CommittedEntry>,
}

/// An entry without its body.
#[derive(Debug)]
pub(super) struct CommittedEntry {
    pub changes: Vec<RowChange>,
    pub steps: Vec<Step>,
    pub body: Option<JournalBytes>,
}

pub(super) struct Committer {
    pub shared: Arc<Shared>,
    pub journal: Journal,
    pub state: State,
    pub proposals: Receiver<Proposal>,
    pub relocations: Receiver<Relocate>,
    pub applier: Sender<Arc<CommittedBatch>>,
    pub materialiser: Sender<Arc<CommittedBatch>>,
}

#[derive(Default)]
struct Batch {
    staged: BTreeMap<Vec<u8>, Option<Arc<[u8]>>>,
    entries: Vec<Entry>,
    encoded: Vec<EncodedEntry>,
    effects: Vec<Vec<Effect>>,
    answers: Vec<Answer>,
    refusals: Vec<Answer>,
    bytes: usize,
}

impl Committer {
    /// Runs until every sender of proposals is gone.
    pub fn run(mut self) {
        while let Ok(first) = self.wait() {
            let mut batch = Batch::default();
            self.plan(&mut batch, first);
            while batch.entries.len() < BATCH_ENTRIES_MAX && batch.bytes < self.batch_bytes_max() {
                let Ok(next) = self.proposals.try_recv() else { break };
                self.plan(&mut batch, next);
            }
            // There may be as many as the whole journal has objects; what is left comes with the next batches.
            let most = batch.bytes + self.batch_bytes_max() / 2;
            while batch.bytes < most
                && let Ok(relocation) = self.relocations.try_recv()
            {
                self.plan(&mut batch, Proposal::new(relocation, None).0);
            }
            self.commit(batch);
        }
    }

    fn wait(&self) -> Result<Proposal, RecvError> {
        select! {
            recv(self.proposals) -> proposal => proposal,
            recv(self.relocations) -> relocation => match relocation {
                Ok(relocation) => Ok(Proposal::new(relocation, None).0),
                Err(_) => self.proposals.recv(),
            },
        }
    }

    fn batch_bytes_max(&self) -> usize {
        BATCH_BYTES_MAX.min(self.journal.entry_bytes_max() / 2)
    }

    fn plan(&mut self, batch: &mut Batch, proposal: Proposal) {
        let rows = BatchRows { staged: std::mem::take(&mut batch.staged), live: &self.shared.rows };
        let mut planner = Planner::new(&rows, &mut self.state);
        let planned = (proposal.plan)(&mut planner);
        let (entry, mut effects, charge) = planner.into_parts();
        batch.staged = rows.staged;
        match planned {
            Planned::Refused(answer) => batch.refusals.push(answer),
            Planned::Commit(answer) => {
                let encoded = match EncodedEntry::of(&entry) {
                    Ok(encoded) if encoded.size() <= self.journal.entry_bytes_max() => encoded,
                    Ok(_) => {
                        return answer(Err(StorageError::Index("a transaction too large for the journal".to_owned())));
                    }
                    Err(error) => return answer(Err(error)),
                };
                let crossed = charge.map(Charge::keep).unwrap_or_default();
                self.state.accept(&mut effects, crossed);
                for (key, value) in &entry.changes {
                    batch.staged.insert(key.clone(), value.clone());
                }
                batch.bytes += encoded.size();
                batch.encoded.push(encoded);
                batch.answers.push(answer);
                batch.entries.push(entry);
                batch.effects.push(effects);
            }
        }
    }

    /// Makes a batch durable, visible and answered. After a failure nothing is acknowledged any more.
    fn commit(&mut self, batch: Batch) {
        let idle = batch.entries.iter().all(|e| e.changes.is_empty() && e.steps.is_empty());
        let result = match self.shared.failure() {
            Some(reason) => Err(reason),
            None if idle => {
                batch.effects.iter().flatten().for_each(|effect| self.shared.publish_effect(effect));
                Ok(())
            }
            None => self.write(batch.entries, &batch.encoded, batch.effects).map_err(|error| {
                let reason = format!("the journal could not be written: {error}");
                self.shared.fail(&reason);
                reason
            }),
        };
        for answer in batch.answers {
            let outcome = result.clone().map_err(|reason| StorageError::Unavailable { reason });
            answer(outcome);
        }
        batch.refusals.into_iter().for_each(|answer| answer(Ok(())));
    }

    fn write(
        &mut self,
        entries: Vec<Entry>,
        encoded: &[EncodedEntry],
        effects: Vec<Vec<Effect>>,
    ) -> Result<(), StorageError> {
        while let Err(up_to) = self.journal.room_for(encoded) {
            self.shared.progress.ask_checkpoint();
            self.shared.held_back(|| self.shared.progress.wait_checkpointed(up_to))?;
            self.journal.release(up_to);
            if self.journal.room_for(encoded).is_err() {
                // Checkpointed, but a reader is just now copying bytes out of the segment: it is done in a moment.
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        let begun = Instant::now();
        let written = self.journal.append(encoded, self.state.stamp_last)?;
        let bytes = encoded.iter().map(EncodedEntry::size).sum();
        self.shared.figures.committed(entries.len(), bytes, begun.elapsed());
        self.shared.figures.waits(self.proposals.len(), self.applier.len(), self.materialiser.len());
        entries.iter().for_each(|entry| self.shared.space.promise(&entry.steps));
        let mut changes = Vec::new();
        let mut committed = Vec::with_capacity(entries.len());
        for ((entry, body), effects) in entries.into_iter().zip(written.bodies).zip(effects) {
            for effect in &effects {
                self.shared.publish_bytes(effect, body.as_ref());
            }
            changes.extend_from_slice(&entry.changes);
            committed.push((CommittedEntry { changes: entry.changes, steps: entry.steps, body }, effects));
        }
        self.shared.rows.overlay.publish(written.sequence, &changes);
        for effect in committed.iter().flat_map(|(_, effects)| effects) {
            self.shared.publish_effect(effect);
        }
        self.shared.progress.committed(written.sequence, written.next, self.state.stamp_last);
        let entries = committed.into_iter().map(|(entry, _)| entry).collect();
        let batch = Arc::new(CommittedBatch { sequence: written.sequence, entries });
        // Full channels hold the committer back: so the overlay stays bounded.
        let closed = |_| StorageError::Unavailable { reason: "a storage thread has ended".to_owned() };
        self.shared.held_back(|| {
            self.applier.send(Arc::clone(&batch)).map_err(closed)?;
            self.materialiser.send(batch).map_err(closed)
        })
    }
}
