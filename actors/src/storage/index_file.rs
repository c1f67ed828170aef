//! The index's file, which is never full: the index engine takes the first failed write for the end and answers nothing any
//! more, reads included. So what the device has no room for is kept in memory, and whoever brings rows into the index waits
//! until there is room. Memory stays bounded: no transaction begins before the last one is on the device.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::disk::DiskFile;
use super::space::{Space, is_full};

const BLOCK_BYTES: u64 = 4096;

type Block = Vec<u8>;

/// The file below the index.
#[derive(Debug)]
pub(super) struct IndexFile {
    file: DiskFile,
    space: Arc<Space>,
    /// Blocks that are newer here than in the file, by their place.
    kept: Mutex<BTreeMap<u64, Block>>,
    keeps: AtomicBool,
}

impl IndexFile {
    /// Over an open file.
    pub fn new(file: DiskFile, space: Arc<Space>) -> Self {
        Self { file, space, kept: Mutex::default(), keeps: AtomicBool::new(false) }
    }

    /// Size in bytes.
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.file.stamp()?.size)
    }

    /// Fills `out` from `offset`.
    pub fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if !self.keeps.load(Ordering::Acquire) {
            return self.file.read_exact_at(out, offset);
        }
        let kept = self.kept.lock();
        self.file.read_exact_at(out, offset)?;
        let end = offset + out.len() as u64;
        for (at, block) in kept.range(offset - offset % BLOCK_BYTES..end) {
            overlay(out, offset, block, *at);
        }
        Ok(())
    }

    /// Writes, or keeps what the device has no room for.
    pub fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut kept = self.kept.lock();
        if kept.is_empty() {
            match self.sparing(|| self.file.write_all_at(data, offset)) {
                Err(e) if is_full(&e) => {}
                other => return other,
            }
        }
        let end = offset + data.len() as u64;
        let mut at = offset - offset % BLOCK_BYTES;
        while at < end {
            let block = match kept.entry(at) {
                std::collections::btree_map::Entry::Occupied(there) => there.into_mut(),
                std::collections::btree_map::Entry::Vacant(none) => none.insert(self.block(at)?),
            };
            overlay(block, at, data, offset);
            at += BLOCK_BYTES;
        }
        if !self.keeps.swap(true, Ordering::AcqRel) {
            tracing::warn!("the device is full: changes of the index wait in memory");
        }
        Ok(())
    }

    /// A block as it is in the file; what lies beyond its end is zero.
    fn block(&self, at: u64) -> io::Result<Block> {
        let bytes = self.size()?.saturating_sub(at).min(BLOCK_BYTES);
        let mut block = vec![0; usize::try_from(bytes).unwrap_or(0)];
        self.file.read_exact_at(&mut block, at)?;
        block.resize(BLOCK_BYTES as usize, 0);
        Ok(block)
    }

    /// Changes the size; new bytes are zero.
    pub fn resize(&self, bytes: u64) -> io::Result<()> {
        let mut kept = self.kept.lock();
        kept.retain(|at, _| *at < bytes);
        if let Some((at, block)) = kept.iter_mut().next_back() {
            let within = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(block.len());
            block.get_mut(within..).unwrap_or_default().fill(0);
        }
        self.sparing(|| self.file.set_len(bytes))
    }

    /// Brings to the device what is kept, and waits for space if need be. Errs: StorageFull when waiting is of no use.
    pub fn settle(&self) -> io::Result<()> {
        while self.keeps.load(Ordering::Acquire) {
            match self.sparing(|| self.write_kept()) {
                Err(e) if is_full(&e) && self.space.wait() => {}
                other => return other,
            }
        }
        Ok(())
    }

    fn write_kept(&self) -> io::Result<()> {
        let mut kept = self.kept.lock();
        let size = self.size()?;
        while let Some((at, block)) = kept.first_key_value() {
            // The last block may go beyond the file's end.
            let bytes = usize::try_from(size.saturating_sub(*at)).unwrap_or(usize::MAX).min(block.len());
            self.file.write_all_at(block.get(..bytes).unwrap_or_default(), *at)?;
            kept.pop_first();
        }
        self.keeps.store(false, Ordering::Release);
        tracing::info!("changes of the index are on the device again");
        Ok(())
    }

    /// Makes everything durable, kept blocks too.
    pub fn sync(&self) -> io::Result<()> {
        self.settle()?;
        self.file.sync_data()
    }

    fn sparing(&self, mut work: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        loop {
            match work() {
                Err(e) if is_full(&e) && self.space.give_way() => {}
                other => return other,
            }
        }
    }
}

/// Copies into `target`, which begins at `target_at`, what of `source`, which begins at `source_at`, lies within it.
fn overlay(target: &mut [u8], target_at: u64, source: &[u8], source_at: u64) {
    let start = target_at.max(source_at);
    let end = (target_at + target.len() as u64).min(source_at + source.len() as u64);
    let range = |at: u64| {
        let offset = |of: u64| usize::try_from(of.saturating_sub(at)).unwrap_or(usize::MAX);
        offset(start)..offset(end)
    };
    if let (Some(to), Some(from)) = (target.get_mut(range(target_at)), source.get(range(source_at))) {
        to.copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::storage::disk::Disk;
    use crate::storage::index::{Index, RedbIndex, RowChange};

    /// A file system in memory of this size, unmounted when dropped.
    struct Tiny(tempfile::TempDir);

    impl Tiny {
        fn mount(kib: u32) -> Option<Self> {
            let tiny = Self(tempfile::tempdir().unwrap());
            if tiny.ask(&["mount", "-t", "tmpfs", "-o", &format!("size={kib}k"), "none"]) {
                return Some(tiny);
            }
            let why = b"SKIPPED: no tmpfs can be mounted here: the index on a full device was NOT tested\n";
            io::Write::write_all(&mut io::stderr(), why).unwrap();
            None
        }

        fn resize(&self, kib: u32) {
            assert!(self.ask(&["mount", "-o", &format!("remount,size={kib}k")]));
        }

        fn ask(&self, command: &[&str]) -> bool {
            let mut command = command.iter();
            let mut process = std::process::Command::new(command.next().unwrap());
            process.args(command).arg(self.0.path()).status().is_ok_and(|status| status.success())
        }
    }

    impl Drop for Tiny {
        fn drop(&mut self) {
            self.ask(&["umount", "-l"]);
        }
    }

    fn open(tiny: &Tiny) -> (Arc<Space>, RedbIndex) {
        let disk = Arc::new(Disk::open(tiny.0.path(), false).unwrap());
        let file = disk.open_or_create(std::path::Path::new("index")).unwrap();
        let space = Space::open(disk, 0).unwrap();
        let index = RedbIndex::open(IndexFile::new(file, Arc::clone(&space)), 1 << 20).unwrap();
        (space, index)
    }

    fn rows(batch: u32) -> Vec<RowChange> {
        let row = |n: u32| ((batch * 1000 + n).to_be_bytes().to_vec(), Some(Arc::from([n as u8; 100].as_slice())));
        (0..1000).map(row).collect()
    }

    fn count(index: &RedbIndex) -> usize {
        let mut count = 0;
        let mut row = |_: &[u8], _: &[u8]| {
            count += 1;
            Ok(true)
        };
        index.snapshot().unwrap().scan(b"", b"", &mut row).unwrap();
        count
    }

    #[test]
    fn a_full_device_holds_the_index_up_but_not_its_readers() {
        let Some(tiny) = Tiny::mount(4 << 10) else { return };
        let (space, index) = open(&tiny);
        space.set_patient(true);
        let written = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for batch in 0..100 {
                    index.apply(&rows(batch)).unwrap();
                    written.store(batch + 1, Ordering::SeqCst);
                }
                index.checkpoint(&[]).unwrap();
            });
            while !index.file.keeps.load(Ordering::SeqCst) {
                assert!(!writer.is_finished(), "the device was never full");
                std::thread::yield_now();
            }
            let before = written.load(Ordering::SeqCst);
            for _ in 0..20 {
                std::thread::sleep(std::time::Duration::from_millis(10));
                assert!(count(&index) >= before as usize * 1000);
            }
            assert!(written.load(Ordering::SeqCst) <= before + 1, "it goes on without room");
            assert!(index.file.kept.lock().len() * 4096 < 8 << 20);
            tiny.resize(64 << 10);
            writer.join().unwrap();
        });
        assert!(!index.file.keeps.load(Ordering::SeqCst));
        drop((index, space));
        assert_eq!(count(&open(&tiny).1), 100_000);
    }

    #[test]
    fn a_full_device_at_the_start_is_an_error_and_costs_no_rows() {
        let Some(tiny) = Tiny::mount(4 << 10) else { return };
        let (space, index) = open(&tiny);
        index.apply(&rows(0)).unwrap();
        index.checkpoint(&[]).unwrap();
        let full = (1..100).find_map(|batch| index.apply(&rows(batch)).and_then(|()| index.checkpoint(&[])).err());
        assert!(matches!(full, Some(crate::storage::StorageError::NoSpace)), "{full:?}");
        drop((index, space));
        tiny.resize(64 << 10);
        assert!(count(&open(&tiny).1) >= 1000);
    }

    /// An index file over `file`, on a node without a ballast.
    fn over(file: DiskFile) -> (tempfile::TempDir, IndexFile) {
        let root = tempfile::tempdir().unwrap();
        let disk = Arc::new(Disk::open(root.path(), false).unwrap());
        (root, IndexFile::new(file, Space::open(disk, 0).unwrap()))
    }

    /// Reads zeros, and has no room for a byte.
    fn full() -> DiskFile {
        DiskFile::alone(std::fs::File::options().read(true).write(true).open("/dev/full").unwrap())
    }

    proptest! {
        #[test]
        fn what_the_device_has_no_room_for_reads_back_and_arrives_later(
            before in 0usize..40_000,
            writes in prop::collection::vec((0u64..30_000, 1usize..10_000, any::<u8>()), 1..12),
            cut in prop::option::of(1u64..40_000),
        ) {
            let (_root, index) = over(full());
            let mut model = vec![0; 40_000];
            for (offset, size, byte) in writes {
                index.write(offset, &vec![byte; size]).unwrap();
                model[offset as usize..][..size].fill(byte);
            }
            let read = |from: &IndexFile, offset: usize, size: usize| {
                let mut bytes = vec![1; size];
                from.read(offset as u64, &mut bytes).unwrap();
                bytes
            };
            prop_assert!(read(&index, 0, 40_000) == model);
            prop_assert!(read(&index, before.min(39_000), 1000) == model[before.min(39_000)..][..1000]);

            // The same blocks over a device that has room.
            let file = tempfile::tempfile().unwrap();
            file.set_len(40_000).unwrap();
            let (_root, roomy) = over(DiskFile::alone(file));
            *roomy.kept.lock() = std::mem::take(&mut *index.kept.lock());
            roomy.keeps.store(true, Ordering::SeqCst);
            if let Some(cut) = cut {
                roomy.resize(cut).unwrap();
                roomy.resize(40_000).unwrap();
                model[cut as usize..].fill(0);
            }
            prop_assert!(read(&roomy, 0, 40_000) == model);
            roomy.sync().unwrap();
            prop_assert!(roomy.kept.lock().is_empty());
            prop_assert_eq!(roomy.size().unwrap(), 40_000);
            prop_assert!(read(&roomy, 0, 40_000) == model);
        }
    }
}
