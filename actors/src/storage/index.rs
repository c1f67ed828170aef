//! The ordered index: bytes to bytes, with atomic batches, snapshots and durable checkpoints.
//!
//! The journal in front makes writes durable, so a batch is applied without any sync and is lost on a crash unless a
//! checkpoint followed; recovery applies it again. redb's own contract fits this: a non-durable commit rolls back whole.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use redb::{Database, Durability, ReadableDatabase, StorageBackend, TableDefinition};

use super::StorageError;
use super::index_file::IndexFile;

const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");

/// A row, or its removal.
pub(super) type RowChange = (Vec<u8>, Option<Arc<[u8]>>);

/// Of each row the last change, in the order of keys: counters are in every transaction, and neighbours are cheap to change together.
pub(super) fn last_states<'a>(changes: impl DoubleEndedIterator<Item = &'a RowChange>) -> Vec<RowChange> {
    let mut last: Vec<_> = changes.rev().collect();
    last.sort_by(|a, b| a.0.cmp(&b.0));
    last.dedup_by(|earlier, later| earlier.0 == later.0);
    last.into_iter().cloned().collect()
}

/// Takes key and value of one row; answers whether to go on.
pub(super) type RowVisitor<'a> = dyn FnMut(&[u8], &[u8]) -> Result<bool, StorageError> + 'a;

/// The cache of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IndexCache {
    /// Pages that were in it when they were read.
    pub hits: u64,
    /// Pages that were read from the file.
    pub misses: u64,
    /// Bytes that it holds.
    pub bytes: u64,
}

/// An ordered map of rows.
pub(super) trait Index: Send + Sync + std::fmt::Debug {
    /// A view that later batches do not change.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError>;
    /// Applies all changes or none; not durable before the next checkpoint.
    fn apply(&self, changes: &[RowChange]) -> Result<(), StorageError>;
    /// Applies `changes` and makes these and everything applied before durable.
    fn checkpoint(&self, changes: &[RowChange]) -> Result<(), StorageError>;
    /// What its cache was good for since it was opened.
    fn cache(&self) -> IndexCache;
}

/// A frozen view of an [`Index`].
pub(super) trait Snapshot: Send {
    /// The row of this key.
    fn get(&self, key: &[u8]) -> Result<Option<Arc<[u8]>>, StorageError>;
    /// Calls `row` with each row from `start`, inclusive, to `end`, exclusive (empty: no bound), in order, until it
    /// answers `false`.
    fn scan(&self, start: &[u8], end: &[u8], row: &mut RowVisitor<'_>) -> Result<(), StorageError>;
}

/// The embedded index in one file.
#[derive(Debug)]
pub(super) struct RedbIndex {
    /// The table as of the last batch: opening a view for each read costs more than the read. Goes before the database.
    latest: ArcSwapOption<Table>,
    /// Held from a batch until the table shows it: the thread that applies and the one that checkpoints would otherwise show theirs in
    /// another order than they wrote in, and rows that have left the overlay would be hidden by an older table.
    writing: Mutex<()>,
    database: Database,
    pub(super) file: Arc<IndexFile>,
}

/// The file as redb wants it. One process owns the data directory already, so redb's own locks are left out.
#[derive(Debug)]
struct Backend(Arc<IndexFile>);

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.resize(bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

type Table = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

fn failed(error: impl Into<redb::Error>) -> StorageError {
    match error.into() {
        redb::Error::Io(e) => StorageError::io("use", "index", e),
        other => StorageError::Index(other.to_string()),
    }
}

impl RedbIndex {
    /// Opens the index in its file, or makes it in an empty one; `cache_bytes` bounds its cache.
    pub fn open(file: IndexFile, cache_bytes: usize) -> Result<Self, StorageError> {
        let file = Arc::new(file);
        let backend = Backend(Arc::clone(&file));
        let database = Database::builder().set_cache_size(cache_bytes).create_with_backend(backend).map_err(failed)?;
        let index = Self { database, file, latest: ArcSwapOption::empty(), writing: Mutex::new(()) };
        index.write(&[], true)?;
        Ok(index)
    }

    fn write(&self, changes: &[RowChange], durable: bool) -> Result<(), StorageError> {
        let _turn = self.writing.lock();
        self.file.settle().map_err(|e| StorageError::io("write", "index", e))?;
        let mut transaction = self.database.begin_write().map_err(failed)?;
        if durable {
            transaction.set_quick_repair(true);
        } else {
            transaction.set_durability(Durability::None).map_err(failed)?;
        }
        {
            let mut table = transaction.open_table(ROWS).map_err(failed)?;
            for (key, value) in changes {
                match value {
                    Some(value) => drop(table.insert(key.as_slice(), &**value).map_err(failed)?),
                    None => drop(table.remove(key.as_slice()).map_err(failed)?),
                }
            }
        }
        transaction.commit().map_err(failed)?;
        let table = self.database.begin_read().map_err(failed)?.open_table(ROWS).map_err(failed)?;
        self.latest.store(Some(Arc::new(table)));
        Ok(())
    }
}

impl Index for RedbIndex {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        let table = self.latest.load_full();
        Ok(Box::new(RedbSnapshot { table: table.ok_or_else(|| StorageError::Index("not open".to_owned()))? }))
    }

    fn apply(&self, changes: &[RowChange]) -> Result<(), StorageError> {
        self.write(changes, false)
    }

    fn checkpoint(&self, changes: &[RowChange]) -> Result<(), StorageError> {
        self.write(changes, true)
    }

    fn cache(&self) -> IndexCache {
        let cache = self.database.cache_stats();
        IndexCache {
            hits: cache.read_hits().saturating_add(cache.write_hits()),
            misses: cache.read_misses().saturating_add(cache.write_misses()),
            bytes: cache.used_bytes() as u64,
        }
    }
}

struct RedbSnapshot {
    table: Arc<Table>,
}

impl Snapshot for RedbSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Arc<[u8]>>, StorageError> {
        Ok(self.table.get(key).map_err(failed)?.map(|guard| Arc::from(guard.value())))
    }

    fn scan(&self, start: &[u8], end: &[u8], row: &mut RowVisitor<'_>) -> Result<(), StorageError> {
        let rows = if end.is_empty() {
            self.table.range::<&[u8]>(start..)
        } else if start >= end {
            return Ok(());
        } else {
            self.table.range::<&[u8]>(start..end)
        };
        for item in rows.map_err(failed)? {
            let (key, value) = item.map_err(failed)?;
            if !row(key.value(), value.value())? {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use std::path::Path;

    use proptest::prelude::*;

    use super::super::disk::Disk;
    use super::super::space::Space;
    use super::*;

    /// A row that was applied is seen, whatever checkpoints come to their end meanwhile.
    #[test]
    fn a_checkpoint_hides_no_later_row() {
        let root = tempfile::tempdir().unwrap();
        let disk = Arc::new(Disk::open(root.path(), false).unwrap());
        let file = disk.open_or_create(Path::new("index")).unwrap();
        let space = Space::open(disk, 0).unwrap();
        let index = RedbIndex::open(IndexFile::new(file, space), 1 << 20).unwrap();
        let row = |key: &[u8]| (key.to_vec(), Some(Arc::from([1].as_slice())));
        std::thread::scope(|scope| {
            let applier = scope.spawn(|| {
                let mut hidden = Vec::new();
                for number in 0..5_000u32 {
                    let key = number.to_be_bytes();
                    index.apply(&[row(&key)]).unwrap();
                    std::thread::yield_now();
                    if index.snapshot().unwrap().get(&key).unwrap().is_none() {
                        hidden.push(number);
                    }
                }
                hidden
            });
            while !applier.is_finished() {
                index.checkpoint(&[row(b"checkpoint")]).unwrap();
            }
            assert_eq!(applier.join().unwrap(), Vec::<u32>::new());
        });
    }

    proptest! {
        /// Applied one after the other, changes leave what their last states say.
        #[test]
        fn the_last_state_of_each_row_counts(changes in prop::collection::vec((0u8..9, any::<Option<u8>>()), 0..40)) {
            let change = |(key, value): &(u8, Option<u8>)| -> RowChange { (vec![*key], value.map(|value| Arc::from([value]))) };
            let changes: Vec<RowChange> = changes.iter().map(change).collect();
            let one_by_one: BTreeMap<_, _> = changes.iter().cloned().collect();
            let at_once = last_states(changes.iter());
            prop_assert!(at_once.is_sorted_by(|a, b| a.0 < b.0));
            prop_assert_eq!(at_once.into_iter().collect::<BTreeMap<_, _>>(), one_by_one);
        }
    }
}
