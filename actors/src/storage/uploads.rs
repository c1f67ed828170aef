//! Where parts go. Each upload has one sparse file cut into slots of equal size, its grid; a part that fits its slot is
//! written where it will lie in the object, so that Complete has nothing to copy. Other parts get files of their own.
//!
//! This is what is known beside the rows: the grid, its open file, which slots are taken or being written. It is rebuilt from
//! the rows when an upload goes on after a restart.

use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;

use dashmap::DashMap;
use parking_lot::Mutex;

use super::body::StagedPart;
use super::disk::Disk;
use super::overlay::Rows;
use super::parts::{OBJECT_BYTES_MAX, StoredPart};
use super::rows::{self, PartRow};
use super::staging::{StagedFile, Staging};
use super::steps::staged_path;
use super::{StorageError, keys};
use crate::names::{BucketId, PartNumber, UploadId};

/// Different sizes remembered while no grid is chosen.
const SIZES_MAX: usize = 16;

/// The uploads that something was done with in this run of the node.
#[derive(Debug, Default)]
pub(super) struct UploadTable {
    uploads: DashMap<UploadId, Arc<UploadEntry>>,
}

/// One upload.
#[derive(Debug)]
pub(super) struct UploadEntry {
    slots: Mutex<Slots>,
    /// Complete requests of one upload take turns: two must not copy into the same file.
    pub turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Slots {
    /// Size of a slot in bytes.
    grid: Option<u64>,
    /// Sizes declared so far, until one is declared twice.
    sizes: Vec<u64>,
    file: Option<StagedFile>,
    taken: HashSet<u16>,
    /// Parts being written into the grid.
    writing: usize,
    /// A Complete request is at work: no new part may touch the grid.
    closing: bool,
}

/// The parts of an upload in order of their numbers.
pub(super) fn stored_parts(rows: &dyn Rows, bucket: BucketId, id: UploadId) -> Result<Vec<StoredPart>, StorageError> {
    let (start, end) = keys::parts(bucket, id);
    let mut parts = Vec::new();
    rows.scan(&start, &end, &mut |row_key, value| {
        let number = keys::part_number(row_key).ok_or_else(|| StorageError::Index("malformed row".to_owned()))?;
        let row: PartRow = rows::decode(value)?;
        parts.push(StoredPart { number, part: row.to_part(number)?, row });
        Ok(true)
    })?;
    Ok(parts)
}

impl UploadTable {
    /// The entry of an upload whose row exists, made from its parts if need be.
    pub fn entry(
        &self,
        rows: &dyn Rows,
        disk: &Disk,
        bucket: BucketId,
        id: UploadId,
    ) -> Result<Arc<UploadEntry>, StorageError> {
        if let Some(entry) = self.uploads.get(&id) {
            return Ok(Arc::clone(&entry));
        }
        let mut slots = Slots::default();
        for part in stored_parts(rows, bucket, id)? {
            let Some(grid) = part.row.grid else { continue };
            if slots.file.is_none() {
                let path = staged_path(&part.row.file);
                let file = disk.open_writable(&path).map_err(|e| StorageError::io("open", &path, e))?;
                slots.file = Some(StagedFile::adopted_open(part.row.file.clone(), file));
                slots.grid = Some(grid);
            }
            slots.taken.insert(part.number.get());
        }
        let entry = Arc::new(UploadEntry { slots: Mutex::new(slots), turn: tokio::sync::Mutex::new(()) });
        Ok(Arc::clone(&self.uploads.entry(id).or_insert(entry)))
    }

    /// Forgets an upload that ended.
    pub fn remove(&self, id: UploadId) {
        self.uploads.remove(&id);
    }
}

impl UploadEntry {
    /// Claims the place of a part of `size` bytes.
    pub fn claim(
        self: &Arc<Self>,
        number: PartNumber,
        size: u64,
        staging: &Arc<Staging>,
    ) -> Result<StagedPart, StorageError> {
        let mut slots = self.slots.lock();
        slots.choose_grid(number, size);
        if let Some((grid, offset)) = slots.slot_for(number, size) {
            if slots.file.is_none() {
                slots.file = Some(staging.take()?);
            }
            let (name, file) = match &slots.file {
                Some(staged) => (staged.name().to_owned(), staged.file()),
                None => (String::new(), None),
            };
            if let Some(file) = file {
                slots.taken.insert(number.get());
                slots.writing += 1;
                let entry = Arc::clone(self);
                return Ok(StagedPart::Grid(GridSlot { entry, number, name, file, offset, grid, committed: false }));
            }
        }
        drop(slots);
        Ok(StagedPart::Side(staging.take()?))
    }

    /// Keeps further parts out of the grid while a Complete request is at work; answers whether one is being written now.
    pub fn close(&self) -> bool {
        let mut slots = self.slots.lock();
        slots.closing = true;
        slots.writing > 0
    }

    /// The Complete request was refused: parts may go on.
    pub fn reopen(&self) {
        self.slots.lock().closing = false;
    }
}

impl Slots {
    fn choose_grid(&mut self, number: PartNumber, size: u64) {
        if self.grid.is_some() || size == 0 {
            return;
        }
        if number.get() == 1 || self.sizes.contains(&size) {
            self.grid = Some(size);
        } else if self.sizes.len() < SIZES_MAX {
            self.sizes.push(size);
        }
    }

    fn slot_for(&self, number: PartNumber, size: u64) -> Option<(u64, u64)> {
        let grid = self.grid?;
        let offset = grid.checked_mul(u64::from(number.get()) - 1)?;
        let fits = size <= grid && offset.checked_add(size)? <= OBJECT_BYTES_MAX;
        (fits && !self.closing && !self.taken.contains(&number.get())).then_some((grid, offset))
    }
}

/// A slot of an upload's grid, claimed for one part.
#[derive(Debug)]
pub(super) struct GridSlot {
    entry: Arc<UploadEntry>,
    number: PartNumber,
    name: String,
    file: Arc<File>,
    offset: u64,
    grid: u64,
    committed: bool,
}

impl GridSlot {
    pub fn file_name(&self) -> &str {
        &self.name
    }

    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn grid(&self) -> u64 {
        self.grid
    }

    /// From here on a row names the slot, and so the file.
    pub fn commit(mut self) {
        self.committed = true;
    }
}

impl Drop for GridSlot {
    fn drop(&mut self) {
        let mut slots = self.entry.slots.lock();
        slots.writing = slots.writing.saturating_sub(1);
        if !self.committed {
            slots.taken.remove(&self.number.get());
        } else if let Some(file) = &mut slots.file {
            file.disarm();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: u32) -> PartNumber {
        PartNumber::new(n).unwrap()
    }

    fn fixture() -> (tempfile::TempDir, Arc<Staging>, Arc<UploadEntry>) {
        let root = tempfile::tempdir().unwrap();
        let disk = Arc::new(Disk::open(root.path(), false).unwrap());
        let entry = UploadEntry { slots: Mutex::default(), turn: tokio::sync::Mutex::new(()) };
        (root, Staging::new(disk, 1), Arc::new(entry))
    }

    #[test]
    fn part_one_or_a_repeated_size_makes_the_grid() {
        let (_root, staging, entry) = fixture();
        let third = entry.claim(number(3), 10, &staging).unwrap();
        assert_eq!(third.grid(), None);
        let second = entry.claim(number(2), 10, &staging).unwrap();
        assert_eq!((second.grid(), second.offset()), (Some(10), 10));
        let last = entry.claim(number(4), 7, &staging).unwrap();
        assert_eq!((last.grid(), last.offset()), (Some(10), 30));
        let long = entry.claim(number(5), 11, &staging).unwrap();
        assert_eq!(long.grid(), None);
        assert!(entry.close());
        drop((second, last));
        assert!(!entry.close());
        assert_eq!(entry.claim(number(1), 10, &staging).unwrap().grid(), None, "closing");
    }

    #[test]
    fn a_part_sent_again_never_touches_the_first() {
        let (_root, staging, entry) = fixture();
        let first = entry.claim(number(1), 10, &staging).unwrap();
        assert_eq!(entry.claim(number(1), 10, &staging).unwrap().grid(), None, "being written");
        first.commit();
        assert_eq!(entry.claim(number(1), 10, &staging).unwrap().grid(), None, "committed");
    }

    #[test]
    fn a_failed_part_frees_its_slot() {
        let (_root, staging, entry) = fixture();
        drop(entry.claim(number(1), 10, &staging).unwrap());
        assert_eq!(entry.claim(number(1), 10, &staging).unwrap().grid(), Some(10));
    }
}
