//! Where parts go. Each upload has one sparse file cut into slots of equal size, its grid; a part that fits its slot is
//! written where it will lie in the object, so that Complete has nothing to copy. Other parts get files of their own.
//!
//! This is what is known beside the rows: the grid, its open file, which slots are taken or being written. It is rebuilt from
//! the rows when an upload goes on after a restart.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use dashmap::DashMap;
use parking_lot::Mutex;

use super::body::StagedPart;
use super::disk::{Disk, DiskFile};
use super::overlay::Rows;
use super::parts::{OBJECT_BYTES_MAX, StoredPart};
use super::rows::{self, PartRow};
use super::staging::{StagedFile, Staging};
use super::steps::staged_path;
use super::{StorageError, keys};
use crate::names::{BucketId, PartNumber, UploadId};

/// Different sizes remembered while no grid is chosen.
const SIZES_MAX: usize = 16;
/// Uploads remembered; beyond, those that nobody works on are forgotten and rebuilt from their rows when they go on.
const UPLOADS_MAX: usize = 4096;

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
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Slots {
    /// Size of a slot in bytes.
    grid: Option<u64>,
    /// Sizes declared so far, until one is declared twice.
    sizes: Vec<u64>,
    file: Option<StagedFile>,
    /// The grid's file while a part is being written into it; else it is closed.
    handle: Weak<DiskFile>,
    /// Slots that hold a part, or will: also those whose rows are not visible yet.
    taken: HashSet<u16>,
    /// A Complete request is at work, or the upload has ended: no new part may touch the grid.
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
    pub fn entry(&self, rows: &dyn Rows, bucket: BucketId, id: UploadId) -> Result<Arc<UploadEntry>, StorageError> {
        if let Some(entry) = self.uploads.get(&id) {
            return Ok(Arc::clone(&entry));
        }
        if self.uploads.len() >= UPLOADS_MAX {
            self.uploads.retain(|_, entry| Arc::strong_count(entry) > 1);
        }
        let mut slots = Slots::default();
        for part in stored_parts(rows, bucket, id)? {
            let Some(grid) = part.row.grid else { continue };
            if slots.file.is_none() {
                slots.file = Some(StagedFile::adopted(part.row.file.clone()));
                slots.grid = Some(grid);
            }
            slots.taken.insert(part.number.get());
        }
        let entry = Arc::new(UploadEntry { slots: Mutex::new(slots), turn: Arc::default() });
        Ok(Arc::clone(&self.uploads.entry(id).or_insert(entry)))
    }

    /// Forgets an upload that ended; whoever still holds its entry can claim nothing any more.
    pub fn remove(&self, id: UploadId) {
        if let Some((_, entry)) = self.uploads.remove(&id) {
            entry.slots.lock().closing = true;
        }
    }
}

impl UploadEntry {
    /// Claims the place of a part of `size` bytes.
    pub fn claim(
        self: &Arc<Self>,
        number: PartNumber,
        size: u64,
        disk: &Disk,
        staging: &Arc<Staging>,
    ) -> Result<StagedPart, StorageError> {
        let mut slots = self.slots.lock();
        slots.choose_grid(number, size);
        if let Some((grid, offset)) = slots.slot_for(number, size) {
            let (name, file) = slots.open(disk, staging)?;
            slots.taken.insert(number.get());
            let entry = Arc::clone(self);
            return Ok(StagedPart::Grid(GridSlot { entry, number, name, file, offset, grid, committed: false }));
        }
        drop(slots);
        Ok(StagedPart::Side(staging.take()?))
    }

    /// Waits for this request's turn and keeps further parts out of the grid until the guard is dropped.
    pub async fn close(self: &Arc<Self>) -> Closing {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        self.slots.lock().closing = true;
        Closing { entry: Arc::clone(self), ended: false, _turn: turn }
    }
}

/// A Complete request at work on an upload. Dropping it lets parts go on, unless the upload ended.
#[derive(Debug)]
pub(super) struct Closing {
    entry: Arc<UploadEntry>,
    ended: bool,
    _turn: tokio::sync::OwnedMutexGuard<()>,
}

impl Closing {
    /// Slots that hold a part or are being written; to be asked before the rows are read.
    pub fn taken(&self) -> HashSet<u16> {
        self.entry.slots.lock().taken.clone()
    }

    /// The upload ends with this request: its file is the object's.
    pub fn end(&mut self) {
        self.ended = true;
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        if !self.ended {
            self.entry.slots.lock().closing = false;
        }
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

    /// Name and handle of the grid's file, which is made when there is none.
    fn open(&mut self, disk: &Disk, staging: &Arc<Staging>) -> Result<(String, Arc<DiskFile>), StorageError> {
        let staged = match &mut self.file {
            Some(staged) => staged,
            none => none.insert(staging.take()?),
        };
        let name = staged.name().to_owned();
        let path = staged_path(&name);
        let open = || disk.open_writable(&path).map(Arc::new).map_err(|e| StorageError::io("open", &path, e));
        let file = match staged.take_handle().or(self.handle.upgrade()) {
            Some(file) => file,
            None => open()?,
        };
        self.handle = Arc::downgrade(&file);
        Ok((name, file))
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
    file: Arc<DiskFile>,
    offset: u64,
    grid: u64,
    committed: bool,
}

impl GridSlot {
    pub fn file_name(&self) -> &str {
        &self.name
    }

    pub fn file(&self) -> Arc<DiskFile> {
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

    fn fixture() -> (tempfile::TempDir, Arc<Disk>, Arc<Staging>, Arc<UploadEntry>) {
        let root = tempfile::tempdir().unwrap();
        let disk = Arc::new(Disk::open(root.path(), false).unwrap());
        let entry = UploadEntry { slots: Mutex::default(), turn: Arc::default() };
        (root, Arc::clone(&disk), Staging::new(disk, 1), Arc::new(entry))
    }

    #[actix::test]
    async fn part_one_or_a_repeated_size_makes_the_grid() {
        let (_root, disk, staging, entry) = fixture();
        let third = entry.claim(number(3), 10, &disk, &staging).unwrap();
        assert_eq!(third.grid(), None);
        let second = entry.claim(number(2), 10, &disk, &staging).unwrap();
        assert_eq!((second.grid(), second.offset()), (Some(10), 10));
        let last = entry.claim(number(4), 7, &disk, &staging).unwrap();
        assert_eq!((last.grid(), last.offset()), (Some(10), 30));
        let long = entry.claim(number(5), 11, &disk, &staging).unwrap();
        assert_eq!(long.grid(), None);
        let closing = entry.close().await;
        assert_eq!(closing.taken(), HashSet::from([2, 4]));
        drop((second, last));
        assert!(closing.taken().is_empty());
        assert_eq!(entry.claim(number(1), 10, &disk, &staging).unwrap().grid(), None, "closing");
        drop(closing);
        assert_eq!(entry.claim(number(1), 10, &disk, &staging).unwrap().grid(), Some(10), "refused");
        entry.close().await.end();
        assert_eq!(entry.claim(number(2), 10, &disk, &staging).unwrap().grid(), None, "ended");
    }

    #[test]
    fn a_part_sent_again_never_touches_the_first() {
        let (_root, disk, staging, entry) = fixture();
        let first = entry.claim(number(1), 10, &disk, &staging).unwrap();
        assert_eq!(entry.claim(number(1), 10, &disk, &staging).unwrap().grid(), None, "being written");
        first.commit();
        assert_eq!(entry.claim(number(1), 10, &disk, &staging).unwrap().grid(), None, "committed");
    }

    #[test]
    fn a_failed_part_frees_its_slot() {
        let (_root, disk, staging, entry) = fixture();
        drop(entry.claim(number(1), 10, &disk, &staging).unwrap());
        assert_eq!(entry.claim(number(1), 10, &disk, &staging).unwrap().grid(), Some(10));
    }
}
