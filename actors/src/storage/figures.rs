//! What Storage counts of its own work since it started, for metrics: plain atomics, so that counting costs nothing that could be seen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::client::StorageClient;
use super::index::IndexCache;
use super::opened::index_path;

/// Upper bounds of the classes of times that writing a batch takes, in microseconds; the last class has none.
pub const COMMIT_BOUNDS_US: [u64; 12] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 1_000_000];

/// Counted since the start; only ever added to, but for what waits.
#[derive(Debug, Default)]
pub(super) struct Figures {
    batches: AtomicU64,
    entries: AtomicU64,
    bytes: AtomicU64,
    nanos: AtomicU64,
    classes: [AtomicU64; COMMIT_BOUNDS_US.len() + 1],
    waiting_index: AtomicU64,
    waiting_files: AtomicU64,
    waiting_commits: AtomicU64,
}

/// What was counted up to some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StorageFigures {
    /// Batches that were written to the journal.
    pub batches: u64,
    /// Transactions in them.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How long writing and syncing them took, all together, in nanoseconds.
    pub commit_nanos: u64,
    /// How many took how long, by [`COMMIT_BOUNDS_US`].
    pub commit_classes: [u64; COMMIT_BOUNDS_US.len() + 1],
    /// Batches that the index had still to take after the last one.
    pub waiting_index: u64,
    /// Batches that files had still to follow after the last one.
    pub waiting_files: u64,
    /// Mutations that waited behind the last batch.
    pub waiting_commits: u64,
}

/// Room on the device and of the index, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StorageRoom {
    /// What may still be written to the device.
    pub device_free: u64,
    /// The whole device.
    pub device_total: u64,
    /// The index's file.
    pub index: u64,
}

impl StorageClient {
    /// What Storage counted of its work since it started.
    pub fn figures(&self) -> StorageFigures {
        self.shared.figures.read()
    }

    /// What the index's cache was good for since it was opened.
    pub fn index_cache(&self) -> IndexCache {
        self.shared.rows.index.cache()
    }

    /// Room on the device and of the index; zeros where the system does not say.
    pub fn room(&self) -> StorageRoom {
        let disk = &self.shared.disk;
        let index = disk.stamp_at(&index_path()).ok().flatten().map_or(0, |file| file.size);
        let free = disk.free_space().map(|free| (free.bytes, free.total)).unwrap_or_default();
        StorageRoom { device_free: free.0, device_total: free.1, index }
    }
}

impl Figures {
    /// A batch was written.
    pub fn committed(&self, entries: usize, bytes: usize, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let class = COMMIT_BOUNDS_US.partition_point(|bound| bound.saturating_mul(1_000) < nanos);
        for (counter, more) in [(&self.batches, 1), (&self.entries, entries as u64), (&self.bytes, bytes as u64)] {
            counter.fetch_add(more, Ordering::Relaxed);
        }
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        if let Some(counter) = self.classes.get(class) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What waits now.
    pub fn waits(&self, commits: usize, index: usize, files: usize) {
        self.waiting_commits.store(commits as u64, Ordering::Relaxed);
        self.waiting_index.store(index as u64, Ordering::Relaxed);
        self.waiting_files.store(files as u64, Ordering::Relaxed);
    }

    /// As it stands.
    pub fn read(&self) -> StorageFigures {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StorageFigures {
            batches: of(&self.batches),
            entries: of(&self.entries),
            bytes: of(&self.bytes),
            commit_nanos: of(&self.nanos),
            commit_classes: std::array::from_fn(|class| self.classes.get(class).map_or(0, of)),
            waiting_index: of(&self.waiting_index),
            waiting_files: of(&self.waiting_files),
            waiting_commits: of(&self.waiting_commits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_their_upper_bound() {
        let figures = Figures::default();
        for micros in [1, 50, 51, 1_000_000, 1_000_001] {
            figures.committed(2, 10, Duration::from_micros(micros));
        }
        let read = figures.read();
        assert_eq!((read.batches, read.entries, read.bytes), (5, 10, 50));
        assert_eq!(read.commit_classes, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(read.commit_nanos, 2_000_103_000);
    }
}
