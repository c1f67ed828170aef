//! Rows of replication: where a state comes from, what was deleted, what waits to be sent.

use minicbor::{Decode, Encode};

use crate::names::{Change, NodeId, ObjectKey, Seen, Stamp};
use crate::storage::StorageError;
use crate::storage::messages::{Kinds, Lineage, QueueTotals, QueuedChange, Slot};

/// Clock and origin.
type ChangeRow = (u64, u64);

/// Where a state comes from; see [`Lineage`].
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(in crate::storage) struct LineageRow {
    #[n(0)]
    pub clock: u64,
    #[n(1)]
    pub origin: u64,
    #[n(2)]
    pub seen: Option<Vec<ChangeRow>>,
    #[n(3)]
    pub won: Option<Vec<ChangeRow>>,
    #[n(4)]
    pub modified: Option<u64>,
    #[n(5)]
    pub tags_change: Option<ChangeRow>,
    #[n(6)]
    pub lock_change: Option<ChangeRow>,
    /// Whether it lost against a change that had not seen it.
    #[n(7)]
    pub is_conflict: Option<bool>,
    /// Whether it is kept only for that, and no version.
    #[n(8)]
    pub is_copy: Option<bool>,
    /// Whether it was not taken where it was to be sent, and that was dismissed.
    #[n(9)]
    pub is_dismissed: Option<bool>,
}

fn change_row(change: Change) -> ChangeRow {
    (change.clock, change.origin.get())
}

fn change_of((clock, origin): ChangeRow) -> Result<Change, StorageError> {
    let origin = NodeId::new(origin).ok_or_else(|| StorageError::Index("a change without an origin".to_owned()))?;
    Ok(Change { clock, origin })
}

fn seen_row(seen: &Seen) -> Option<Vec<ChangeRow>> {
    (!seen.is_empty()).then(|| seen.iter().map(change_row).collect())
}

fn seen_of(row: Option<Vec<ChangeRow>>) -> Result<Seen, StorageError> {
    row.unwrap_or_default().into_iter().map(change_of).collect()
}

impl LineageRow {
    pub fn of(lineage: &Lineage) -> Self {
        let Lineage { change, seen, won, modified, tags_change, lock_change, is_conflict, is_dismissed } = lineage;
        Self {
            clock: change.clock,
            origin: change.origin.get(),
            seen: seen_row(seen),
            won: seen_row(won),
            modified: modified.map(|modified| modified.0),
            tags_change: tags_change.map(change_row),
            lock_change: lock_change.map(change_row),
            is_conflict: is_conflict.then_some(true),
            is_copy: None,
            is_dismissed: is_dismissed.then_some(true),
        }
    }

    pub fn into_lineage(self) -> Result<Lineage, StorageError> {
        Ok(Lineage {
            change: change_of((self.clock, self.origin))?,
            seen: seen_of(self.seen)?,
            won: seen_of(self.won)?,
            modified: self.modified.map(Stamp),
            tags_change: self.tags_change.map(change_of).transpose()?,
            lock_change: self.lock_change.map(change_of).transpose()?,
            is_conflict: self.is_conflict == Some(true),
            is_dismissed: self.is_dismissed == Some(true),
        })
    }
}

/// What is left of something that was deleted: whoever sends it again is told that it is known.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(in crate::storage) struct TombstoneRow {
    /// When it was deleted here.
    #[n(0)]
    pub stamp: u64,
    #[n(1)]
    pub clock: u64,
    #[n(2)]
    pub origin: u64,
    #[n(3)]
    pub seen: Option<Vec<ChangeRow>>,
    #[n(4)]
    pub won: Option<Vec<ChangeRow>>,
    /// Random half of the id of the version that was deleted.
    #[n(5)]
    pub version: Option<u64>,
}

impl TombstoneRow {
    pub fn of(stamp: Stamp, lineage: &Lineage, version: Option<u64>) -> Self {
        let Lineage { change, seen, won, .. } = lineage;
        let (clock, origin) = change_row(*change);
        Self { stamp: stamp.0, clock, origin, seen: seen_row(seen), won: seen_row(won), version }
    }

    pub fn into_lineage(self) -> Result<Lineage, StorageError> {
        Ok(Lineage {
            change: change_of((self.clock, self.origin))?,
            seen: seen_of(self.seen)?,
            won: seen_of(self.won)?,
            modified: None,
            tags_change: None,
            lock_change: None,
            is_conflict: false,
            is_dismissed: false,
        })
    }
}

/// A slot that is to be sent; key and version are in the row's key.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(in crate::storage) struct QueueRow {
    #[n(0)]
    pub since: u64,
    #[n(1)]
    pub mark: u64,
    #[n(2)]
    pub kinds: u8,
    #[n(3)]
    pub bytes: u64,
    #[n(4)]
    pub attempts: u32,
    #[n(5)]
    pub parked: Option<String>,
}

impl QueueRow {
    pub fn into_change(self, key: ObjectKey, version: Option<u64>) -> QueuedChange {
        QueuedChange {
            slot: Slot { key, version },
            since: Stamp(self.since),
            mark: Stamp(self.mark),
            kinds: Kinds(self.kinds),
            bytes: self.bytes,
            attempts: self.attempts,
            parked: self.parked,
        }
    }
}

/// Sums over a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub(in crate::storage) struct QueueTotalsRow {
    #[n(0)]
    pub pending: u64,
    #[n(1)]
    pub pending_bytes: u64,
    #[n(2)]
    pub parked: u64,
    #[n(3)]
    pub parked_bytes: u64,
    #[n(4)]
    pub overflowed: bool,
}

impl QueueTotalsRow {
    /// With the time of the oldest entry, which is asked of the queue.
    pub fn totals(self, oldest: Option<Stamp>) -> QueueTotals {
        let Self { pending, pending_bytes, parked, parked_bytes, overflowed } = self;
        QueueTotals { pending, pending_bytes, parked, parked_bytes, overflowed, oldest }
    }
}
