//! How far each of the threads behind the journal has come.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::StorageError;
use crate::names::Stamp;

#[derive(Debug, Clone, Copy, Default)]
struct Marks {
    committed: Position,
    applied: u64,
    materialised: u64,
    checkpointed: u64,
    checkpoint_asked: bool,
    /// A thread failed, or the node is stopping: waiting is over.
    over: bool,
    closing: bool,
}

/// A place in the journal.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Position {
    /// Sequence of the last batch.
    pub sequence: u64,
    /// Segment and offset of the one after it.
    pub next: (u32, u64),
    /// Highest stamp handed out.
    pub stamp: Stamp,
}

/// Shared marks, and a bell that rings whenever one moves.
#[derive(Debug, Default)]
pub(super) struct Progress {
    marks: Mutex<Marks>,
    bell: Condvar,
}

impl Progress {
    /// All threads stand at `position`.
    pub fn at(position: Position) -> Self {
        let sequence = position.sequence;
        let marks = Marks {
            committed: position,
            applied: sequence,
            materialised: sequence,
            checkpointed: sequence,
            ..Marks::default()
        };
        Self { marks: Mutex::new(marks), bell: Condvar::new() }
    }

    fn change(&self, change: impl FnOnce(&mut Marks)) {
        change(&mut self.marks.lock());
        self.bell.notify_all();
    }

    pub fn committed(&self, sequence: u64, next: (u32, u64), stamp: Stamp) {
        self.change(|m| m.committed = Position { sequence, next, stamp });
    }

    pub fn applied(&self, sequence: u64) {
        self.change(|m| m.applied = sequence);
    }

    pub fn materialised(&self, sequence: u64) {
        self.change(|m| m.materialised = sequence);
    }

    pub fn checkpointed(&self, sequence: u64) {
        self.change(|m| m.checkpointed = sequence);
    }

    pub fn ask_checkpoint(&self) {
        self.change(|m| m.checkpoint_asked = true);
    }

    /// Ends all waiting: a thread failed.
    pub fn give_up(&self) {
        self.change(|m| m.over = true);
    }

    /// Lets the checkpoint thread end after a last checkpoint.
    pub fn close(&self) {
        self.change(|m| m.closing = true);
    }

    pub fn position(&self) -> Position {
        self.marks.lock().committed
    }

    /// Waits until a checkpoint is asked for, or due after `interval` with something to save. Answers whether to go on
    /// after it.
    pub fn wait_checkpoint_due(&self, interval: Duration) -> bool {
        let mut marks = self.marks.lock();
        let deadline = std::time::Instant::now() + interval;
        while !marks.checkpoint_asked && !marks.closing && !marks.over {
            if self.bell.wait_until(&mut marks, deadline).timed_out() {
                break;
            }
        }
        marks.checkpoint_asked = false;
        !marks.closing && !marks.over
    }

    /// Whether anything was committed since the last checkpoint.
    pub fn is_checkpoint_behind(&self) -> bool {
        let marks = self.marks.lock();
        marks.committed.sequence > marks.checkpointed
    }

    /// Waits until the files have followed up to `sequence`. Errs: Busy after `patience`.
    pub fn wait_materialised(&self, sequence: u64, patience: Duration) -> Result<(), StorageError> {
        self.wait_within(patience, |m| m.materialised >= sequence)
    }

    /// Asks for a checkpoint of everything up to `sequence`, and waits for it. Errs: Busy after `patience`.
    pub fn checkpoint_within(&self, sequence: u64, patience: Duration) -> Result<(), StorageError> {
        self.ask_checkpoint();
        self.wait_within(patience, |m| m.checkpointed >= sequence)
    }

    fn wait_within(&self, patience: Duration, reached: impl Fn(&Marks) -> bool) -> Result<(), StorageError> {
        let deadline = std::time::Instant::now() + patience;
        let mut marks = self.marks.lock();
        while !reached(&marks) {
            if marks.over || self.bell.wait_until(&mut marks, deadline).timed_out() {
                return Err(StorageError::Busy);
            }
        }
        Ok(())
    }

    fn wait(&self, reached: impl Fn(&Marks) -> bool) -> Result<(), StorageError> {
        let mut marks = self.marks.lock();
        while !reached(&marks) {
            if marks.over {
                return Err(StorageError::Unavailable { reason: "a storage thread has failed".to_owned() });
            }
            self.bell.wait(&mut marks);
        }
        Ok(())
    }

    pub fn wait_checkpointed(&self, sequence: u64) -> Result<(), StorageError> {
        self.wait(|m| m.checkpointed >= sequence)
    }

    /// Waits until index and files have followed up to `sequence`.
    pub fn wait_followed(&self, sequence: u64) -> Result<(), StorageError> {
        self.wait(|m| m.applied >= sequence && m.materialised >= sequence)
    }
}
